// SPDX-License-Identifier: BSD-2-Clause
#include "iked/sadb_link.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define MESSAGE_MAX 65536
_Static_assert(MESSAGE_MAX >= sizeof(struct sadb_sa_info), "the longest message");
#define TURN     64
#define OPEN_MAX 262144 /* questions without an answer */

struct question {
	struct question *next;
	__u32 seq;
	sadb_answer_fn fn;
	__u64 arg;
};

struct unsent {
	struct unsent *next;
	size_t len;
	char data[] __attribute__((aligned(8)));
};

struct sadb_link {
	int fd;
	struct event *readable, *writable;
	const struct sadb_link_hooks *hooks;
	void *ctx;
	struct question *open, **open_end;
	unsigned int n_open;
	struct unsent *unsent, **unsent_end;
	__u32 seq;
	bool broken;
	bool *freed;
};

static void break_off(struct sadb_link *link)
{
	link->broken = true;
	event_active(link->readable, EV_READ, 0);
}

/* ------------------------------------------------------------------ asking */

static void send_later(struct sadb_link *link, const void *data, size_t len)
{
	struct unsent *u = malloc(sizeof(*u) + len);

	if (!u) {
		break_off(link);
		return;
	}
	u->next = NULL;
	u->len = len;
	memcpy(u->data, data, len);
	*link->unsent_end = u;
	link->unsent_end = &u->next;
	event_add(link->writable, NULL);
}

static void unsent_pop(struct sadb_link *link)
{
	struct unsent *u = link->unsent;

	link->unsent = u->next;
	if (!link->unsent)
		link->unsent_end = &link->unsent;
	OPENSSL_cleanse(u->data, u->len);
	free(u);
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
	struct sadb_link *link = ctx;

	while (link->unsent) {
		int err = fdpass_send(link->fd, link->unsent->data, link->unsent->len, NULL, 0);

		if (err == -EAGAIN || err == -ENOBUFS) {
			event_add(link->writable, NULL);
			return;
		}
		if (err) {
			break_off(link);
			return;
		}
		unsent_pop(link);
	}
}

void sadb_link_ask(struct sadb_link *link, struct sadb_hdr *request, size_t len, sadb_answer_fn fn,
		   __u64 arg)
{
	struct question *q = malloc(sizeof(*q));
	int err;

	request->abi = XIPSEC_ABI;
	request->len = (__u32)len;
	request->err = 0;
	request->seq = ++link->seq;
	if (!q) {
		log_error("no memory to ask xipsecd");
		break_off(link);
		return;
	}
	*q = (struct question){.seq = request->seq, .fn = fn, .arg = arg};
	*link->open_end = q;
	link->open_end = &q->next;
	if (++link->n_open > OPEN_MAX && !link->broken)
		log_error("xipsecd is asked more than it answers");
	/* Never from in here: who asks cannot be answered meanwhile. */
	if (link->broken || link->n_open > OPEN_MAX) {
		break_off(link);
		return;
	}
	err = link->unsent ? -EAGAIN : fdpass_send(link->fd, request, len, NULL, 0);
	if (err == -EAGAIN || err == -ENOBUFS)
		send_later(link, request, len);
	else if (err)
		break_off(link);
}

void sadb_link_ask_plain(struct sadb_link *link, enum xipsec_sadb_type type, sadb_answer_fn fn,
			 __u64 arg)
{
	struct sadb_hdr hdr = {.type = (__u16)type};

	sadb_link_ask(link, &hdr, sizeof(hdr), fn, arg);
}

const char *sadb_answer_text(const struct sadb_hdr *answer, size_t len)
{
	const struct sadb_reply *reply = (const void *)answer;

	if (!answer || len < sizeof(*reply) || !memchr(reply->text, 0, sizeof(reply->text)))
		return "";
	return reply->text;
}

/* ------------------------------------------------------------------ hearing */

static void question_pop(struct sadb_link *link)
{
	struct question *q = link->open;

	link->open = q->next;
	if (!link->open)
		link->open_end = &link->open;
	link->n_open--;
	free(q);
}

/* It gets no answer any more. */
static void tell_none(struct sadb_link *link)
{
	struct question q = *link->open;

	question_pop(link);
	if (q.fn)
		q.fn(link->ctx, q.arg, NULL, 0, NULL, 0);
}

/* Was that asked, and not answered yet? */
static bool is_open(const struct sadb_link *link, __u32 seq)
{
	return link->open && (__s32)(seq - link->open->seq) >= 0 && (__s32)(link->seq - seq) >= 0;
}

/* xipsecd answers in order: what stands before this one gets no answer any more. */
static void on_answer(struct sadb_link *link, const struct sadb_hdr *hdr, size_t len, int *fds,
		      unsigned int n)
{
	const bool *freed = link->freed;
	struct question q;

	if (!is_open(link, hdr->seq))
		return;
	while (link->open && link->open->seq != hdr->seq) {
		tell_none(link);
		if (*freed)
			return;
	}
	if (!link->open)
		return;
	q = *link->open;
	if (!(hdr->flags & XIPSEC_SADB_MORE))
		question_pop(link);
	if (q.fn)
		q.fn(link->ctx, q.arg, hdr, len, fds, n);
}

static bool receive(struct sadb_link *link)
{
	static char buf[MESSAGE_MAX] __attribute__((aligned(8)));
	const struct sadb_hdr *hdr = (const void *)buf;
	int fds[FDPASS_MAX];
	unsigned int n;
	ssize_t len = fdpass_recv(link->fd, buf, sizeof(buf), fds, &n);

	if (len == -EAGAIN || len == -EINTR)
		return false;
	if (len < (ssize_t)sizeof(*hdr) || hdr->len != (size_t)len || hdr->abi != XIPSEC_ABI) {
		if (len > 0)
			log_error("xipsecd is of another release: restart it and this daemon");
		link->broken = true;
		n = len > 0 ? n : 0;
	} else if (hdr->type == XIPSEC_SADB_EVENT) {
		if ((size_t)len == sizeof(struct sadb_event))
			link->hooks->event(link->ctx, (const void *)buf);
	} else {
		on_answer(link, hdr, (size_t)len, fds, n);
	}
	for (unsigned int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct sadb_link *link = ctx;
	bool freed = false;

	link->freed = &freed;
	for (int i = 0; i < TURN && !link->broken; i++)
		if (!receive(link) || freed)
			break;
	if (!freed && link->broken) {
		event_del(link->readable);
		event_del(link->writable);
		while (!freed && link->open)
			tell_none(link);
		if (!freed)
			link->hooks->gone(link->ctx);
	}
	if (!freed)
		link->freed = NULL;
}

/* ------------------------------------------------------------------ begin and end */

int sadb_link_connect(const char *run_dir)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", run_dir) >=
	    (int)sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -errno;
	return take_fd(&fd);
}

struct sadb_link *sadb_link_new(struct event_base *base, int fd,
				const struct sadb_link_hooks *hooks, void *ctx)
{
	struct sadb_link *link = calloc(1, sizeof(*link));

	if (!link) {
		close(fd);
		return NULL;
	}
	link->fd = fd;
	link->hooks = hooks;
	link->ctx = ctx;
	link->open_end = &link->open;
	link->unsent_end = &link->unsent;
	link->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, link);
	link->writable = event_new(base, fd, EV_WRITE, on_writable, link);
	if (!link->readable || !link->writable || event_add(link->readable, NULL) < 0) {
		sadb_link_free(link);
		return NULL;
	}
	return link;
}

void sadb_link_free(struct sadb_link *link)
{
	if (!link)
		return;
	if (link->freed)
		*link->freed = true;
	if (link->readable)
		event_free(link->readable);
	if (link->writable)
		event_free(link->writable);
	while (link->open)
		question_pop(link);
	while (link->unsent)
		unsent_pop(link);
	close(link->fd);
	free(link);
}

void sadb_link_end(struct sadb_link *link)
{
	struct question *open = link ? link->open : NULL, *q;
	void *ctx = link ? link->ctx : NULL;

	if (link)
		link->open = NULL;
	sadb_link_free(link);
	while ((q = open)) {
		open = q->next;
		if (q->fn)
			q->fn(ctx, q->arg, NULL, 0, NULL, 0);
		free(q);
	}
}
