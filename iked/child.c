// SPDX-License-Identifier: BSD-2-Clause
#include "iked/child.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <openssl/rand.h>

#include "iked/child_inside.h"
#include "iked/child_sa.h"
#include "iked/ike_sa.h"
#include "iked/hostile.h"
#include "iked/prf.h"
#include "lib/log.h"

void child_finish(struct child *c, int status)
{
	c->status = status;
	c->finished = true;
	event_base_loopbreak(c->base);
}

/* ------------------------------------------------------------------ time */

__u64 child_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (__u64)ts.tv_sec * 1000 + (__u64)ts.tv_nsec / 1000000;
}

void child_set_clock(struct child *c)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	engine_wall_clock(c->engine, ts.tv_sec - (__s64)(child_now() / 1000));
}

static __u64 env_now(void *ctx)
{
	return child_now();
}

void child_plan(struct child *c)
{
	__u64 due = engine_due(c->engine), now = child_now(), wait = due > now ? due - now : 0;
	struct timeval tv = {(time_t)(wait / 1000), (suseconds_t)(wait % 1000 * 1000)};

	if (due == ~0ULL)
		event_del(c->due);
	else
		event_add(c->due, &tv);
}

static void on_due(evutil_socket_t fd, short what, void *ctx)
{
	struct child *c = ctx;

	engine_run(c->engine);
	child_plan(c);
}

/* ------------------------------------------------------------------ what the engine asks */

static void env_random(void *ctx, void *out, size_t len)
{
	struct child *c = ctx;

	/* Keys, nonces and SPIs come of this. Direction of failure: nobody goes on without. */
	if (RAND_bytes(out, (int)len) == 1)
		return;
	log_error("no random numbers are to be had: this process ends");
	memset(out, 0, len);
	abort();
	(void)c;
}

static void env_event(void *ctx, const struct ike_event *event)
{
	struct child *c = ctx;

	if (event->kind == IKE_EVENT_CHILD_UP)
		child_orphans_replaced(c, event->child->cfg->sadb_name, &event->ike->path.remote);
	child_vici_event(c, event);
}

static void env_log(void *ctx, const struct ike_log *line)
{
	char id[16] = "", peer[INET6_ADDRSTRLEN] = "";
	const struct log_field fields[] = {{"connection", line->conn}, {"ike", id}, {"peer", peer}};

	child_vici_log(ctx, line);
	if (line->ike_id)
		snprintf(id, sizeof(id), "%u", line->ike_id);
	if (line->path && line->path->family)
		inet_ntop(line->path->family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET,
			  &line->path->remote, peer, sizeof(peer));
	log_fields(line->level, fields, sizeof(fields) / sizeof(fields[0]), line->text);
}

static void env_done(void *ctx, __u64 ref, int err, const char *text)
{
	child_vici_done(ctx, ref, err, text);
}

static int make_engine(struct child *c)
{
	const struct ike_env env = {.ctx = c,
				    .now = env_now,
				    .random = env_random,
				    .send = child_udp_send,
				    .keepalive = child_udp_keepalive,
				    .find_paths = child_parent_paths,
				    .auth_make = child_parent_auth_make,
				    .psk_verify = child_parent_psk_verify,
				    .sa_add = child_sadb_add,
				    .sa_delete = child_sadb_delete,
				    .event = env_event,
				    .log = env_log,
				    .keylog = child_parent_keylog,
				    .done = env_done};

	c->engine = engine_new(&env);
	return c->engine ? 0 : -1;
}

/* ------------------------------------------------------------------ begin and end */

/* The parent is dead: so is the right to speak for it. SAs stay at xipsecd. */
static void on_parent_gone(void *ctx)
{
	child_finish(ctx, 0);
}

static int start(struct child *c, int channel)
{
	const char *what = "";

	if (ike_crypto_init(&what)) {
		log_error("OpenSSL has no %s", what);
		return -1;
	}
	/* The C library reads /etc/localtime when it is first asked for a date, and dates of
	 * certificates are asked for in the sandbox. */
	tzset();
	c->base = event_base_new();
	if (!c->base)
		return -1;
	c->due = event_new(c->base, -1, 0, on_due, c);
	c->linger = event_new(c->base, -1, 0, child_orphans_linger, c);
	c->restart = event_new(c->base, -1, 0, child_orphans_restart, c);
	c->chan = chan_new(c->base, channel, child_parent_message, on_parent_gone, c);
	if (!c->due || !c->linger || !c->restart || !c->chan)
		return -1;
	if (make_engine(c))
		return -1;
	child_set_clock(c);
	return 0;
}

static void end_event(struct event *event)
{
	if (event)
		event_free(event);
}

static void stop(struct child *c)
{
	child_sadb_free(c);
	child_udp_close(c);
	child_orphans_free(c);
	child_vici_free(c);
	child_parent_free(c);
	engine_free(c->engine);
	cert_store_free(c->trust);
	cert_store_free(c->next_trust);
	chan_free(c->chan);
	end_event(c->due);
	end_event(c->linger);
	end_event(c->restart);
	if (c->base)
		event_base_free(c->base);
}

int child_main(int channel, const struct chan_setup *setup)
{
	struct child c = {.fd = {-1, -1, -1, -1}, .keylog = -1, .hostile = setup->hostile};

	/* A terminal sends these to all of us; it is for the parent to say what becomes of them. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	c.status = 1;
	if (!start(&c, channel) && !child_sandbox(setup)) {
		c.status = 0;
		chan_say(c.chan, CHAN_READY, NULL, 0);
		event_base_dispatch(c.base);
	}
	stop(&c);
	return c.status;
}
