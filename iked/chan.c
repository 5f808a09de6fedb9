// SPDX-License-Identifier: BSD-2-Clause
#include "iked/chan.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "lib/log.h"

#define WAITING_MAX (64 << 20) /* bytes that wait for an end that does not read */
#define TURN        64         /* messages that are read before others have their turn */
#define FLUSH_MS    2000

struct waiting {
	struct waiting *next;
	size_t len;
	int fds[FDPASS_MAX];
	unsigned int n;
	char data[] __attribute__((aligned(8)));
};

struct chan {
	int fd;
	struct event *readable, *writable;
	chan_fn on_message;
	chan_gone_fn on_gone;
	void *ctx;
	struct waiting *first, **last;
	size_t waiting;
	bool broken; /* it is told at the next turn */
	bool *freed; /* set when it goes while messages are read */
};

static void close_all(int *fds, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (fds[i] >= 0)
			close(fds[i]);
}

static void waiting_free(struct waiting *w)
{
	close_all(w->fds, w->n);
	OPENSSL_cleanse(w->data, w->len);
	free(w);
}

/* ------------------------------------------------------------------ sending */

static void break_off(struct chan *chan)
{
	chan->broken = true;
	event_active(chan->readable, EV_READ, 0);
}

static void wait(struct chan *chan, const void *message, size_t len, const int *fds, unsigned int n)
{
	struct waiting *w = calloc(1, sizeof(*w) + len);

	if (!w || chan->waiting + len > WAITING_MAX) {
		free(w);
		break_off(chan);
		return;
	}
	w->len = len;
	memcpy(w->data, message, len);
	for (unsigned int i = 0; i < n; i++) {
		w->fds[w->n] = fcntl(fds[i], F_DUPFD_CLOEXEC, 0);
		if (w->fds[w->n] < 0) {
			waiting_free(w);
			break_off(chan);
			return;
		}
		w->n++;
	}
	*chan->last = w;
	chan->last = &w->next;
	chan->waiting += len;
	event_add(chan->writable, NULL);
}

void chan_send(struct chan *chan, enum chan_type type, void *message, size_t len, const int *fds,
	       unsigned int n)
{
	struct chan_hdr *hdr = message;
	int err;

	*hdr = (struct chan_hdr){.type = (__u16)type, .len = (__u32)len};
	if (chan->broken)
		return;
	err = chan->first ? -EAGAIN : fdpass_send(chan->fd, message, len, fds, n);
	if (err == -EAGAIN || err == -ENOBUFS)
		wait(chan, message, len, fds, n);
	else if (err)
		break_off(chan);
}

void chan_say(struct chan *chan, enum chan_type type, const int *fds, unsigned int n)
{
	struct chan_hdr hdr;

	chan_send(chan, type, &hdr, sizeof(hdr), fds, n);
}

void chan_say_name(struct chan *chan, enum chan_type type, const char *name)
{
	struct chan_name m = {0};

	memcpy(m.name, name, strnlen(name, sizeof(m.name) - 1));
	chan_send(chan, type, &m, sizeof(m), NULL, 0);
}

void chan_say_blob(struct chan *chan, enum chan_type type, const void *data, size_t len)
{
	struct chan_blob *m;

	if (len > CHAN_MAX - sizeof(*m))
		return;
	m = calloc(1, sizeof(*m) + len);
	if (!m) {
		break_off(chan);
		return;
	}
	m->data_len = (__u32)len;
	memcpy(m->data, data, len);
	chan_send(chan, type, m, sizeof(*m) + len, NULL, 0);
	free(m);
}

/* 0, or -errno: -EAGAIN, it cannot take more now. */
static int send_waiting(struct chan *chan)
{
	struct waiting *w;

	while ((w = chan->first)) {
		int err = fdpass_send(chan->fd, w->data, w->len, w->fds, w->n);

		if (err)
			return err == -ENOBUFS ? -EAGAIN : err;
		chan->first = w->next;
		if (!chan->first)
			chan->last = &chan->first;
		chan->waiting -= w->len;
		waiting_free(w);
	}
	return 0;
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
	struct chan *chan = ctx;
	int err = send_waiting(chan);

	if (err == -EAGAIN)
		event_add(chan->writable, NULL);
	else if (err)
		break_off(chan);
}

void chan_say_vici(struct chan *chan, enum chan_type type, __u64 id, __u32 event,
		   const char *command, struct bytes message)
{
	char room[CHAN_MAX] __attribute__((aligned(8)));
	struct chan_vici *m = (void *)room;
	size_t at = 0;

	do {
		size_t part = message.len - at < CHAN_VICI_MAX ? message.len - at : CHAN_VICI_MAX;

		memset(m, 0, sizeof(*m));
		m->id = id;
		m->event = event;
		m->more = at + part < message.len;
		m->data_len = part;
		if (command)
			memcpy(m->command, command, strnlen(command, sizeof(m->command) - 1));
		memcpy(m->data, message.data + at, part);
		chan_send(chan, type, m, sizeof(*m) + part, NULL, 0);
		at += part;
	} while (at < message.len);
}

void chan_flush(struct chan *chan)
{
	struct pollfd pfd = {.fd = chan->fd, .events = POLLOUT};

	while (send_waiting(chan) == -EAGAIN)
		if (poll(&pfd, 1, FLUSH_MS) <= 0)
			return;
}

/* ------------------------------------------------------------------ receiving */

/* false: nothing more, or nobody. */
static bool receive(struct chan *chan, char *buf)
{
	int fds[FDPASS_MAX];
	unsigned int n;
	ssize_t len = fdpass_recv(chan->fd, buf, CHAN_MAX, fds, &n);

	if (len == -EAGAIN || len == -EINTR)
		return false;
	if (len <= 0 || !chan_check(buf, (size_t)len, n)) {
		if (len > 0)
			log_error("another process of this daemon said what makes no sense");
		if (len > 0)
			close_all(fds, n);
		chan->broken = true;
		return false;
	}
	chan->on_message(chan->ctx, (const struct chan_hdr *)buf, fds, n);
	close_all(fds, n);
	OPENSSL_cleanse(buf, (size_t)len);
	return true;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	static char buf[CHAN_MAX] __attribute__((aligned(8)));
	struct chan *chan = ctx;
	bool freed = false;

	chan->freed = &freed;
	for (int i = 0; i < TURN && !chan->broken; i++)
		if (!receive(chan, buf) || freed)
			break;
	if (freed)
		return;
	chan->freed = NULL;
	if (chan->broken) {
		event_del(chan->readable);
		event_del(chan->writable);
		chan->on_gone(chan->ctx);
	}
}

struct chan *chan_new(struct event_base *base, int fd, chan_fn on_message, chan_gone_fn on_gone,
		      void *ctx)
{
	struct chan *chan = calloc(1, sizeof(*chan));

	if (!chan) {
		close(fd);
		return NULL;
	}
	chan->fd = fd;
	chan->on_message = on_message;
	chan->on_gone = on_gone;
	chan->ctx = ctx;
	chan->last = &chan->first;
	chan->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, chan);
	chan->writable = event_new(base, fd, EV_WRITE, on_writable, chan);
	if (!chan->readable || !chan->writable || event_add(chan->readable, NULL) < 0) {
		chan_free(chan);
		return NULL;
	}
	return chan;
}

void chan_free(struct chan *chan)
{
	if (!chan)
		return;
	if (chan->freed)
		*chan->freed = true;
	if (chan->readable)
		event_free(chan->readable);
	if (chan->writable)
		event_free(chan->writable);
	while (chan->first) {
		struct waiting *w = chan->first;

		chan->first = w->next;
		waiting_free(w);
	}
	close(chan->fd);
	free(chan);
}
