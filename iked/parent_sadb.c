// SPDX-License-Identifier: BSD-2-Clause
/*
 * xipsecd, by a connection with every right, which never leaves this process; and the restricted
 * ones that are made here and lent to the child.
 */
#include "iked/parent_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/cleanup.h"

#define AGAIN_MS    200
#define LEND_MAX_MS 30000 /* between two tries to lend: doubled up to this */

/* ------------------------------------------------------------------ lending a restricted one */

/* A connection between its RESTRICT and the day it is lent. */
struct lending {
	struct parent *parent;
	struct sadb_link *link;
	int fd; /* a duplicate, for the child */
};

static void lending_drop(struct parent *p)
{
	struct lending *l = p->lending;

	p->lending = NULL;
	if (!l)
		return;
	sadb_link_free(l->link);
	if (l->fd >= 0)
		close(l->fd);
	free(l);
}

/* The child has its rights, or gets none: who waited for that goes on. */
static void lending_end(struct parent *p)
{
	lending_drop(p);
	parent_load_lent(p);
	parent_vici_lent(p);
}

static void add_ms(struct event *event, unsigned int ms)
{
	struct timeval wait = {ms / 1000, ms % 1000 * 1000};

	event_add(event, &wait);
}

/* Without it there are neither SAs nor IKE: until it works, or our own connection is gone too. */
static void lending_failed(struct parent *p, const char *why)
{
	log_error("the child gets no connection to xipsecd: %s", why);
	lending_end(p);
	add_ms(p->lend, p->lend_ms);
	p->lend_ms = p->lend_ms * 2 < LEND_MAX_MS ? p->lend_ms * 2 : LEND_MAX_MS;
}

/* The answer has come, so nothing is on its way to us that would be the child's. */
static void lend(struct lending *l)
{
	struct parent *p = l->parent;

	event_del(p->lost); /* what the child said until now is about one of before */
	if (p->child_ready && proc_chan(p->child)) {
		chan_say(proc_chan(p->child), CHAN_SADB, &l->fd, 1);
		p->n_lent++;
	}
	p->lend_ms = AGAIN_MS;
	lending_end(p);
}

static void on_restricted(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
			  unsigned int n)
{
	struct lending *l = ctx;

	if (!answer || answer->err)
		lending_failed(l->parent, answer ? sadb_answer_text(answer, len) : "no answer");
	else
		lend(l);
}

static void lending_event(void *ctx, const struct sadb_event *event)
{
}

static void lending_gone(void *ctx)
{
	struct lending *l = ctx;

	lending_failed(l->parent, "it has ended");
}

static const struct sadb_link_hooks lending_hooks = {lending_event, lending_gone};

/* To children of connections {}, whatever xipsecd's config says they are when it is asked: when
 * they change, nothing has to be lent anew. */
static void restrict_it(struct lending *l)
{
	struct sadb_name req = {
		.hdr = {.type = XIPSEC_SADB_RESTRICT, .flags = XIPSEC_SADB_CONNECTIONS}};

	sadb_link_ask(l->link, &req.hdr, sizeof(req), on_restricted, 0);
}

static int lending_start(struct parent *p)
{
	struct lending *l = calloc(1, sizeof(*l));
	int fd;

	if (!l)
		return -ENOMEM;
	p->lending = l;
	*l = (struct lending){.parent = p, .fd = -1};
	fd = sadb_link_connect(p->config->run_dir);
	if (fd < 0)
		return fd;
	l->fd = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	l->link = sadb_link_new(p->base, fd, &lending_hooks, l);
	if (!l->link || l->fd < 0)
		return -ENOMEM;
	restrict_it(l);
	return 0;
}

void parent_sadb_lend(struct parent *p)
{
	int err;

	event_del(p->lend);
	event_del(p->lost);
	lending_drop(p); /* who waits goes on waiting */
	err = p->link && p->child_ready ? lending_start(p) : 0;
	if (err)
		lending_failed(p, strerror(-err));
	else if (!p->lending)
		lending_end(p);
}

static void on_lend(evutil_socket_t fd, short what, void *ctx)
{
	parent_sadb_lend(ctx);
}

/* ------------------------------------------------------------------ a child without one */

/* Ours shows soon whether xipsecd has ended. */
void parent_sadb_gone(struct parent *p, const struct chan_gone *m)
{
	if (p->link && p->child_ready && m->number == p->n_lent)
		add_ms(p->lost, AGAIN_MS);
}

/* xipsecd lives. What the child had it delete may be there still, and of what ended there it does
 * not know: another child finds out. */
static void on_lost(evutil_socket_t fd, short what, void *ctx)
{
	struct parent *p = ctx;

	if (!p->child_ready)
		return;
	log_warn("the child alone has lost its connection to xipsecd: another one begins");
	proc_renew(p->child);
}

/* ------------------------------------------------------------------ the sockets of IKE */

static void on_sockets(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
		       unsigned int n)
{
	const struct sadb_ike_sockets *got = (const void *)answer;
	struct chan_sockets m = {0};
	struct parent *p = ctx;

	if (!answer || len != sizeof(*got) || answer->err) {
		log_error("xipsecd does not lend the sockets of IKE: %s",
			  sadb_answer_text(answer, len));
		return;
	}
	if (got->have != (1U << XIPSEC_IKE_SOCKETS) - 1)
		log_warn("xipsecd could not open all sockets of IKE: its log tells which");
	if (!p->child_ready || !proc_chan(p->child))
		return;
	m.have = got->have;
	chan_send(proc_chan(p->child), CHAN_SOCKETS, &m, sizeof(m), fds, n);
}

void parent_sadb_lend_sockets(struct parent *p)
{
	if (p->link && p->child_ready)
		sadb_link_ask_plain(p->link, XIPSEC_SADB_IKE_SOCKETS, on_sockets, 0);
}

/* ------------------------------------------------------------------ our own connection */

/* xipsecd has taken over a config: ours is the same file. If a client's connection is waited for,
 * this is that one, or its own event is still to come and counts as any other. */
static void on_event(void *ctx, const struct sadb_event *event)
{
	struct parent *p = ctx;
	bool of_client = p->vici_changes && !p->vici_switched;

	/* One connection alone: its answer is behind this. */
	if (event->event != XIPSEC_EVENT_RELOAD || event->sa[0])
		return;
	p->vici_switched = of_client;
	if (of_client)
		parent_reload_clients(p);
	else
		parent_reload(p);
}

static void on_gone(void *ctx)
{
	struct parent *p = ctx;

	log_warn("xipsecd has ended");
	sadb_link_free(p->link);
	p->link = NULL;
	event_del(p->lend);
	event_del(p->lost);
	lending_end(p);
	add_ms(p->again, AGAIN_MS);
}

static const struct sadb_link_hooks hooks = {on_event, on_gone};

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct sadb_subscribe req = {.hdr.type = XIPSEC_SADB_SUBSCRIBE,
				     .events = XIPSEC_EVENT_BIT(XIPSEC_EVENT_RELOAD)};
	struct parent *p = ctx;
	int sock = sadb_link_connect(p->config->run_dir);

	p->link = sock < 0 ? NULL : sadb_link_new(p->base, sock, &hooks, p);
	if (!p->link) {
		if (!p->said_waiting)
			log_info("waits for xipsecd (%s/sadb.sock)", p->config->run_dir);
		p->said_waiting = true;
		add_ms(p->again, AGAIN_MS);
		return;
	}
	p->said_waiting = false;
	sadb_link_ask(p->link, &req.hdr, sizeof(req), NULL, 0);
	parent_sadb_lend_sockets(p);
	parent_sadb_lend(p);
}

int parent_sadb_start(struct parent *p)
{
	p->again = event_new(p->base, -1, 0, on_again, p);
	p->lend = event_new(p->base, -1, 0, on_lend, p);
	p->lost = event_new(p->base, -1, 0, on_lost, p);
	if (!p->again || !p->lend || !p->lost)
		return -ENOMEM;
	p->lend_ms = AGAIN_MS;
	event_active(p->again, EV_TIMEOUT, 0);
	return 0;
}

void parent_sadb_stop(struct parent *p)
{
	lending_end(p);
	sadb_link_free(p->link);
	p->link = NULL;
	if (p->again)
		event_free(p->again);
	if (p->lend)
		event_free(p->lend);
	if (p->lost)
		event_free(p->lost);
}
