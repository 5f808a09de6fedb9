// SPDX-License-Identifier: BSD-2-Clause
#include "loader/workers_inside.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/log.h"

#define SEND_PATIENCE   1000 /* ms */
#define FORGET_PATIENCE 2000 /* ms */
#define READ_BURST      64   /* messages of one worker before the others get their turn */

static void on_gone_ok(struct worker *worker, const struct ctl_sa_ref *ref)
{
	const struct workers *workers = worker->all;

	for (unsigned int i = 0; worker->acked && i < workers->n_forgetting; i++) {
		if (workers->forgetting[i].index != ref->index ||
		    workers->forgetting[i].generation != ref->generation || worker->acked[i])
			continue;
		worker->acked[i] = true;
		worker->acks_left--;
		return;
	}
}

static void dispatch(struct worker *worker, const void *buf, size_t len)
{
	struct workers *workers = worker->all;
	const struct ctl_hdr *hdr = buf;
	const struct ctl_nexthop *hop = buf;
	const struct ctl_sa_ref *ref = buf;
	const struct ctl_xsk_ref *xsk = buf;
	const struct ctl_sa_runs *runs = buf;
	const struct ctl_sample *sample = buf;
	const struct ctl_peer *peer = buf;

	/* The sender parses packets from strangers: every length is checked. */
	if (len < sizeof(*hdr) || hdr->abi != XIPSEC_ABI || hdr->len != len)
		return;
	switch (hdr->type) {
	case XIPSEC_CTL_READY:
		worker->ready = true;
		log_debug("worker %u (pid %d) is ready", worker->number, worker->pid);
		break;
	case XIPSEC_CTL_NEXTHOP_ASK:
		if (len == sizeof(*hop))
			workers->hooks->ask(workers->ctx, hop);
		break;
	case XIPSEC_CTL_SA_STOPPED:
		if (len == sizeof(*ref))
			workers->hooks->sa_stopped(workers->ctx, ref->index, ref->generation);
		break;
	case XIPSEC_CTL_SA_RUNS:
		if (len == sizeof(*runs))
			workers->hooks->sa_runs(workers->ctx, worker->number, runs);
		break;
	case XIPSEC_CTL_PEER:
		if (len == sizeof(*peer) && !workers->forgetting)
			workers->hooks->peer(workers->ctx, peer);
		break;
	case XIPSEC_CTL_SAMPLE:
		if (len == sizeof(*sample))
			workers->hooks->sample(workers->ctx, sample);
		break;
	case XIPSEC_CTL_SA_GONE_OK:
		if (len == sizeof(*ref))
			on_gone_ok(worker, ref);
		break;
	case XIPSEC_CTL_XSK_MAPPED:
		if (len == sizeof(*xsk))
			workers->hooks->mapped(workers->ctx, worker->number, xsk->slot, xsk->queue);
		break;
	}
}

/* Reads what waits. False: the worker is gone or does not read. */
static bool worker_read(struct worker *worker)
{
	char buf[sizeof(struct ctl_sa)] __attribute__((aligned(8)));
	ssize_t len;

	for (int i = 0; i < READ_BURST && !worker->behind; i++) {
		len = recv(worker->ctl, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (len <= 0)
			return false;
		dispatch(worker, buf, len);
	}
	return !worker->behind;
}

void worker_on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *worker = ctx;

	if (!worker_read(worker))
		worker_end(worker, true);
}

void workers_send(struct workers *workers, unsigned int i, const void *msg, size_t len,
		  const int *fds, unsigned int n_fds)
{
	union {
		char buf[CMSG_SPACE(5 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct worker *worker = &workers->worker[i];
	struct iovec iov = {(void *)msg, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct pollfd pfd = {.fd = worker->ctl, .events = POLLOUT};

	if (i >= workers->n || !worker->pid || worker->behind)
		return;
	if (n_fds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, n_fds * sizeof(int));
	}
	while (sendmsg(worker->ctl, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN && poll(&pfd, 1, SEND_PATIENCE) > 0 &&
		    !(pfd.revents & (POLLERR | POLLHUP)))
			continue;
		/* It missed a message, so what it knows is wrong from here on. Its death is
		 * handled where nobody holds a pointer into it. */
		worker->behind = true;
		kill(worker->pid, SIGKILL);
		return;
	}
}

void workers_broadcast(struct workers *workers, const void *msg, size_t len)
{
	for (unsigned int i = 0; i < workers->n; i++)
		workers_send(workers, i, msg, len, NULL, 0);
}

/* ------------------------------------------------------------------ forgetting SAs */

static bool forget_wait(struct workers *workers, int ms)
{
	struct pollfd pfd[XIPSEC_WORKERS_MAX];
	unsigned int who[XIPSEC_WORKERS_MAX], n = 0;

	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		if (!worker->pid || !worker->acks_left)
			continue;
		who[n] = i;
		pfd[n++] = (struct pollfd){.fd = worker->ctl, .events = POLLIN};
	}
	if (!n)
		return false;
	if (poll(pfd, n, ms) <= 0)
		return true;
	for (unsigned int i = 0; i < n; i++)
		if (pfd[i].revents && !worker_read(&workers->worker[who[i]]))
			worker_end(&workers->worker[who[i]], true);
	return true;
}

void workers_forget(struct workers *workers, const struct ctl_sa_ref *refs, unsigned int n)
{
	__u64 deadline = workers_now() + FORGET_PATIENCE;

	workers->forgetting = refs;
	workers->n_forgetting = n;
	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		if (!worker->pid)
			continue;
		worker->acked = calloc(n, sizeof(bool));
		worker->acks_left = worker->acked ? n : 0;
		if (!worker->acked)
			worker_end(worker, true);
		for (unsigned int r = 0; r < n; r++)
			workers_send(workers, i, &refs[r], sizeof(refs[r]), NULL, 0);
	}
	while (workers_now() < deadline && forget_wait(workers, 100))
		;
	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		free(worker->acked);
		worker->acked = NULL;
		if (worker->pid && worker->acks_left) {
			log_error("worker %u does not give up an SA: it is ended", i);
			worker_end(worker, true);
		}
	}
	workers->forgetting = NULL;
	workers->n_forgetting = 0;
}

/* A place with no SA has generation 0, and none is lost with it: who says that it is gone has read
 * all that came before. */
void workers_settle(struct workers *workers)
{
	const struct ctl_sa_ref none = {.hdr = {XIPSEC_CTL_SA_GONE, XIPSEC_ABI, sizeof(none)}};

	workers_forget(workers, &none, 1);
}
