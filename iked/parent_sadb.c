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

#define AGAIN_MS 200

/* ------------------------------------------------------------------ lending a restricted one */

/* A connection between its RESTRICT and the day it is lent. */
struct lending {
	struct parent *parent;
	struct sadb_link *link;
	int fd; /* a duplicate, for the child */
	bool failed;
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

/* The answer has come, so nothing is on its way to us that would be the child's. */
static void lend(struct lending *l)
{
	struct parent *p = l->parent;

	if (l->failed)
		log_error("the child gets no connection to xipsecd: it cannot be restricted");
	else if (p->child_ready && proc_chan(p->child))
		chan_say(proc_chan(p->child), CHAN_SADB, &l->fd, 1);
	lending_end(p);
}

static void on_restricted(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
			  unsigned int n)
{
	struct lending *l = ctx;

	if (!answer || answer->err) {
		l->failed = true;
		if (answer)
			log_error("RESTRICT: %s", sadb_answer_text(answer, len));
	}
	lend(l);
}

static void lending_event(void *ctx, const struct sadb_event *event)
{
}

static void lending_gone(void *ctx)
{
	struct lending *l = ctx;

	lending_end(l->parent);
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

	lending_drop(p); /* there are other rights now: who waits goes on waiting */
	err = p->link && p->child_ready ? lending_start(p) : 0;
	if (err)
		log_error("the child gets no connection to xipsecd: %s", strerror(-err));
	if (err || !p->lending)
		lending_end(p);
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

static void try_later(struct parent *p)
{
	static const struct timeval wait = {.tv_usec = AGAIN_MS * 1000};

	event_add(p->again, &wait);
}

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
	lending_end(p);
	try_later(p);
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
		try_later(p);
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
	if (!p->again)
		return -ENOMEM;
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
}
