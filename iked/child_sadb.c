// SPDX-License-Identifier: BSD-2-Clause
/* xipsecd, by a connection that is restricted to the children of the config. */
#include "iked/child_inside.h"

#include <stddef.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "lib/log.h"

#define LATE_MS 200

#define EVENTS                                                                                 \
	(XIPSEC_EVENT_BIT(XIPSEC_EVENT_ACQUIRE) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_EXPIRE_HARD) | \
	 XIPSEC_EVENT_BIT(XIPSEC_EVENT_EXPIRE_SOFT) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_IDLE) |    \
	 XIPSEC_EVENT_BIT(XIPSEC_EVENT_MAPPING) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_USED) |        \
	 XIPSEC_EVENT_BIT(XIPSEC_EVENT_NO_SA) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_SELECTORS))

/* ------------------------------------------------------------------ answers that nobody gives */

/* The engine must not be answered while it asks. */
struct refusal {
	struct refusal *next;
	__u64 id;
};

static void on_refuse(evutil_socket_t fd, short what, void *ctx)
{
	struct child *c = ctx;

	while (c->refusals) {
		struct refusal *r = c->refusals;

		c->refusals = r->next;
		engine_answer_sa(c->engine, r->id, -ENOTCONN, "xipsecd does not run");
		free(r);
	}
	child_plan(c);
}

/* Direction of failure: without memory the question stays open, and ends with its exchange. */
static void refuse_later(struct child *c, __u64 id)
{
	struct refusal *r = malloc(sizeof(*r));

	if (!c->refuse)
		c->refuse = event_new(c->base, -1, 0, on_refuse, c);
	if (!r || !c->refuse) {
		free(r);
		return;
	}
	*r = (struct refusal){.next = c->refusals, .id = id};
	c->refusals = r;
	event_active(c->refuse, EV_TIMEOUT, 0);
}

/* ------------------------------------------------------------------ requests */

static void on_added(void *ctx, __u64 id, const struct sadb_hdr *answer, size_t len, int *fds,
		     unsigned int n)
{
	struct child *c = ctx;

	if (answer)
		engine_answer_sa(c->engine, id, answer->err, sadb_answer_text(answer, len));
	else
		engine_answer_sa(c->engine, id, -ECONNRESET, "xipsecd has ended");
	child_plan(c);
}

void child_sadb_add(void *ctx, __u64 id, const struct xipsec_sa *sa)
{
	struct child *c = ctx;
	size_t len = offsetof(struct sadb_sa_add, sa) + XIPSEC_SA_SIZE(sa->n_selectors);
	struct sadb_sa_add req;

	req.hdr = (struct sadb_hdr){.type = XIPSEC_SADB_SA_ADD};
	xipsec_sa_copy(&req.sa, sa);
	/* Of one that may be new the engine does not know yet what is lost. */
	if (c->link && (c->greeted || !c->epoch))
		sadb_link_ask(c->link, &req.hdr, len, on_added, id);
	else
		refuse_later(c, id);
	OPENSSL_cleanse(&req, len);
}

static void delete_now(struct child *c, const char *name)
{
	struct sadb_name req = {.hdr.type = XIPSEC_SADB_SA_DELETE};

	memcpy(req.name, name, strnlen(name, sizeof(req.name) - 1));
	if (c->link)
		sadb_link_ask(c->link, &req.hdr, sizeof(req), NULL, 0);
}

struct late {
	struct late *next;
	struct child *c;
	struct event *due;
	char name[XIPSEC_NAME_LEN];
};

static void late_end(struct late *late)
{
	struct late **link = &late->c->lates;

	while (*link != late)
		link = &(*link)->next;
	*link = late->next;
	delete_now(late->c, late->name);
	event_free(late->due);
	free(late);
}

static void on_late(evutil_socket_t fd, short what, void *arg)
{
	late_end(arg);
}

static bool is_outbound(const char *name)
{
	size_t len = strlen(name);

	return len > 2 && strcmp(name + len - 2, "-o") == 0;
}

/* Frames with a verdict for an outbound SA may wait in rings still, though its heir of a rekey has
 * taken its place: they would be lost (stale_meta). Should this process die meanwhile, the SA is an
 * orphan of the next one. */
void child_sadb_delete(void *ctx, const char *name)
{
	static const struct timeval wait = {.tv_usec = LATE_MS * 1000};
	struct child *c = ctx;
	struct late *late = c->stopping || !is_outbound(name) ? NULL : calloc(1, sizeof(*late));

	if (late)
		late->due = event_new(c->base, -1, 0, on_late, late);
	if (!late || !late->due) {
		free(late);
		delete_now(c, name);
		return;
	}
	late->c = c;
	memcpy(late->name, name, strnlen(name, sizeof(late->name) - 1));
	late->next = c->lates;
	c->lates = late;
	event_add(late->due, &wait);
}

void child_sadb_delete_late(struct child *c)
{
	while (c->lates)
		late_end(c->lates);
}

/* ------------------------------------------------------------------ events */

static bool texts_end(const struct sadb_event *event)
{
	return memchr(event->sa, 0, sizeof(event->sa)) &&
	       memchr(event->child, 0, sizeof(event->child));
}

static void on_event(void *ctx, const struct sadb_event *event)
{
	struct child *c = ctx;

	if (!texts_end(event) || c->stopping)
		return;
	switch (event->event) {
	case XIPSEC_EVENT_ACQUIRE: engine_acquire(c->engine, event->child); break;
	case XIPSEC_EVENT_EXPIRE_HARD:
		child_orphans_over(c, event->sa, event->child, true);
		if (event->limit == XIPSEC_LIMIT_POLICY)
			engine_sa_withdrawn(c->engine, event->sa);
		else
			engine_sa_hard(c->engine, event->sa);
		break;
	case XIPSEC_EVENT_EXPIRE_SOFT: engine_sa_soft(c->engine, event->sa); break;
	case XIPSEC_EVENT_IDLE:
		child_orphans_over(c, event->sa, event->child, false);
		engine_sa_idle(c->engine, event->sa);
		break;
	case XIPSEC_EVENT_USED:
		child_orphans_used(c, event->sa, event->child, &event->src);
		engine_sa_used(c->engine, event->sa);
		break;
	case XIPSEC_EVENT_MAPPING:
		engine_sa_mapping(c->engine, event->sa, &event->src, event->src_port);
		break;
	case XIPSEC_EVENT_NO_SA:
		engine_spi_unknown(c->engine, &event->src, event->family, event->spi);
		break;
	case XIPSEC_EVENT_SELECTORS:
		engine_sa_selectors(c->engine, event->sa, &event->sample);
		break;
	default: return;
	}
	child_plan(c);
}

/* The parent will lend another one, and the sockets of the next xipsecd: these here would keep it
 * from binding its own. If xipsecd has not ended, there will be another one of us (parent_sadb.c).
 */
static void on_gone(void *ctx)
{
	struct child *c = ctx;

	log_warn("the connection to xipsecd has ended: no SA can be made until there is another");
	sadb_link_free(c->link);
	c->link = NULL;
	child_udp_close(c);
	child_parent_sadb_gone(c);
}

static const struct sadb_link_hooks hooks = {on_event, on_gone};

/* ------------------------------------------------------------------ a new connection */

static void start(struct child *c, const char *conn)
{
	if (!child_orphans_start(c, conn))
		engine_start(c->engine, conn);
}

/* Direction of failure: without memory it begins at once. */
void child_sadb_start(struct child *c, const char *conn)
{
	char(*names)[CONN_NAME_LEN] =
		c->listed ? NULL : reallocarray(c->starts, c->n_starts + 1, sizeof(*names));

	if (!names) {
		start(c, conn);
		return;
	}
	c->starts = names;
	snprintf(names[c->n_starts++], CONN_NAME_LEN, "%s", conn);
}

/* What was there before us is known, and its names are not ours. */
static void listed(struct child *c)
{
	c->listed = true;
	child_orphans_seen(c);
	for (unsigned int i = 0; i < c->n_starts; i++)
		start(c, c->starts[i]);
	free(c->starts);
	c->starts = NULL;
	c->n_starts = 0;
	child_udp_listen(c);
}

static void on_listed(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
		      unsigned int n)
{
	const struct sadb_sa_info *info = (const void *)answer;
	struct child *c = ctx;

	if (!answer)
		return; /* the next connection asks again */
	if (!(answer->flags & XIPSEC_SADB_MORE))
		listed(c);
	else if (sadb_sa_info_whole(info, len))
		child_orphans_see(c, &info->sa, info->status == XIPSEC_SA_STOPPED);
	child_plan(c);
}

static void on_hello(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
		     unsigned int n)
{
	const struct sadb_hello *hello = (const void *)answer;
	bool another;
	struct child *c = ctx;

	if (!answer || len != sizeof(*hello))
		return;
	another = c->epoch && hello->epoch != c->epoch;
	c->epoch = hello->epoch;
	c->greeted = true;
	if (!c->listed)
		child_orphans_free(c); /* they are listed anew */
	else if (another)
		child_orphans_lost(c);
	if (another) {
		log_warn("xipsecd is a new one: every child SA is made anew");
		engine_sadb_lost(c->engine);
	}
	if (!c->listed)
		sadb_link_ask_plain(c->link, XIPSEC_SADB_SA_LIST, on_listed, 0);
	child_plan(c);
}

void child_sadb_link(struct child *c, int fd)
{
	struct sadb_subscribe req = {.hdr.type = XIPSEC_SADB_SUBSCRIBE, .events = EVENTS};
	struct sadb_link *old = c->link;

	/* It may be another xipsecd's, while the end of the one before is not read yet. */
	c->greeted = false;
	c->n_links++;
	c->link = sadb_link_new(c->base, fd, &hooks, c);
	sadb_link_end(old);
	if (!c->link) {
		on_gone(c);
		return;
	}
	sadb_link_ask(c->link, &req.hdr, sizeof(req), NULL, 0);
	sadb_link_ask_plain(c->link, XIPSEC_SADB_HELLO, on_hello, 0);
}

static void on_answered(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
			unsigned int n)
{
	child_finish(ctx, 0);
}

/* xipsecd answers in order: with the answer to a last question all is done. Until then requests may
 * wait here that the socket has had no room for. */
void child_sadb_finish(struct child *c)
{
	if (c->link)
		sadb_link_ask_plain(c->link, XIPSEC_SADB_HELLO, on_answered, 0);
	else
		child_finish(c, 0);
}

void child_sadb_free(struct child *c)
{
	while (c->lates) {
		struct late *late = c->lates;

		c->lates = late->next;
		event_free(late->due);
		free(late);
	}
	sadb_link_free(c->link);
	c->link = NULL;
	while (c->refusals) {
		struct refusal *r = c->refusals;

		c->refusals = r->next;
		free(r);
	}
	if (c->refuse)
		event_free(c->refuse);
	free(c->starts);
}
