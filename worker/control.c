// SPDX-License-Identifier: BSD-2-Clause
#include "worker/loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "worker/outer.h"
#include "worker/reassembly.h"
#include "worker/sa.h"
#include "worker/slow.h"
#include "worker/tap.h"
#include "worker/tx.h"

#define SAS_MAX (1u << 20)

/* ------------------------------------------------------------------ answers */

_Static_assert(sizeof(struct ctl_sa_ref) == sizeof(struct ctl_xsk_ref), "both are owed alike");

static void owe(struct worker *w, enum xipsec_ctl_type type, void *ref)
{
	/* Right away, but never out of order. */
	if (!w->n_owed && !ctl_send(w->ctl, type, ref, sizeof(w->owed[0].ref)))
		return;
	/* A full list means that xipsecd has not read for long: worker_pay() will end us. */
	if (w->n_owed < OWED_MAX) {
		w->owed[w->n_owed].type = type;
		memcpy(&w->owed[w->n_owed].ref, ref, sizeof(w->owed[0].ref));
	}
	w->n_owed++;
}

void worker_owe(struct worker *w, enum xipsec_ctl_type type, __u32 index, __u32 generation)
{
	struct ctl_sa_ref ref = {.index = index, .generation = generation};

	owe(w, type, &ref);
}

void worker_owe_xsk(struct worker *w, enum xipsec_ctl_type type, __u32 slot, __u32 queue)
{
	struct ctl_xsk_ref ref = {.slot = slot, .queue = queue};

	owe(w, type, &ref);
}

int worker_pay(struct worker *w)
{
	unsigned int done = 0;
	int err = 0;

	if (w->n_owed > OWED_MAX) {
		log_error("xipsecd does not read its control channel, %u answers wait", w->n_owed);
		return -EPIPE;
	}
	while (done < w->n_owed && !err) {
		err = ctl_send(w->ctl, w->owed[done].type, &w->owed[done].ref,
			       sizeof(w->owed[done].ref));
		if (!err)
			done++;
	}
	w->n_owed -= done;
	memmove(&w->owed[0], &w->owed[done], w->n_owed * sizeof(w->owed[0]));
	return err && err != -EAGAIN ? -EPIPE : 0;
}

static void ask_nexthop(void *arg, const struct xipsec_addr *dst, __u8 family, __u32 share)
{
	struct worker *w = arg;
	struct ctl_nexthop msg = {.dst = *dst, .family = family, .share = share};

	/* Lost when the channel is full: the cache asks again. */
	ctl_send(w->ctl, XIPSEC_CTL_NEXTHOP_ASK, &msg, sizeof(msg));
}

/* ------------------------------------------------------------------ start and end */

static int hello_check(const struct ctl_hello *h)
{
	if (h->worker >= XIPSEC_WORKERS_MAX || !h->n_sas || h->n_sas > SAS_MAX ||
	    h->backend > XIPSEC_BACKEND_OPENSSL || h->workers > XIPSEC_WORKERS_MAX)
		return -EINVAL;
	if (h->sa_state_stride < sizeof(struct xipsec_sa_state) || h->sa_state_stride % 8 ||
	    h->sa_state_size / h->sa_state_stride < h->n_sas)
		return -EINVAL;
	if (h->stats_stride < sizeof(struct xipsec_worker_stats) || h->stats_stride % 8 ||
	    h->stats_size / h->stats_stride <= h->worker)
		return -EINVAL;
	return 0;
}

/* Maps no more of the counters than the pages that our own entry stands in. */
static int map_stats(struct worker *w, const struct ctl_hello *h, int fd)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t start = (size_t)h->worker * h->stats_stride;
	size_t from = start & ~(page - 1);
	size_t len = start + h->stats_stride - from;
	__u8 *p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, from);

	if (p == MAP_FAILED)
		return -errno;
	w->stats_map = p;
	w->stats_map_size = len;
	w->stats = (struct xipsec_worker_stats *)(p + (start - from));
	return 0;
}

static int map_maps(struct worker *w, const struct ctl_hello *h, const int *fd)
{
	void *p = mmap(NULL, h->sa_state_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd[2], 0);

	if (p == MAP_FAILED)
		return -errno;
	w->sa_state = p;
	w->sa_state_size = h->sa_state_size;
	w->sa_state_stride = h->sa_state_stride;
	/* To be read alone: what policy rules is not ours to say. */
	p = mmap(NULL, sizeof(*w->globals), PROT_READ, MAP_SHARED, fd[4], 0);
	if (p == MAP_FAILED)
		return -errno;
	w->globals = p;
	return map_stats(w, h, fd[3]);
}

static int worker_fill(struct worker *w, const struct ctl_hello *h, const int *fd)
{
	__u64 seed = 0;
	int err;

	err = frames_open(&w->frames, fd[0], fd[1], h->n_frames, h->frame_size);
	if (err)
		return err;
	w->frames.multi = h->multi_buffer;
	err = map_maps(w, h, fd);
	if (err)
		return err;
	if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
		return -errno;
	w->sas = calloc(h->n_sas, sizeof(*w->sas));
	w->nhs = nexthops_new(seed, ask_nexthop, w);
	w->polls = calloc(1, sizeof(*w->polls));
	if (!w->sas || !w->nhs || !w->polls)
		return -ENOMEM;
	w->n_sas = h->n_sas;
	err = runs_new(w);
	if (err)
		return err;
	w->polls[0] = (struct pollfd){.fd = w->ctl, .events = POLLIN};
	w->n_polls = 1;
	return 0;
}

int worker_new(int ctl, struct ctl_in *in, struct worker **out)
{
	const struct ctl_hello *h = &in->msg.hello;
	struct worker *w;
	int err;

	if (h->hdr.type != XIPSEC_CTL_HELLO || hello_check(h)) {
		log_error("the first control message is no good HELLO (type %u)", h->hdr.type);
		return -EPROTO;
	}
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->ctl = ctl;
	w->number = h->worker;
	outer_ids(h->worker, h->workers);
	w->backend = h->backend;
	w->busy_poll = h->busy_poll;
	err = worker_fill(w, h, in->fd);
	if (err) {
		log_error("the memory that xipsecd lent cannot be used: %s", strerror(-err));
		worker_free(w);
		return err;
	}
	*out = w;
	return 0;
}

void worker_free(struct worker *w)
{
	if (!w)
		return;
	for (__u32 i = 0; w->sas && i < w->n_sas; i++)
		if (w->sas[i].sa)
			sa_free(w->sas[i].sa);
	for (unsigned int i = 0; i < w->n_xsks; i++)
		ring_close(w->xsks[i]);
	taps_free(w);
	slow_free(w);
	reassembly_free(w->own_frags);
	nexthops_free(w->nhs);
	frames_close(&w->frames);
	if (w->sa_state)
		munmap(w->sa_state, w->sa_state_size);
	if (w->stats_map)
		munmap(w->stats_map, w->stats_map_size);
	if (w->globals)
		munmap((void *)w->globals, sizeof(*w->globals));
	free(w->xsks);
	free(w->polls);
	free(w->sas);
	free(w->runs);
	free(w->quiet);
	free(w);
}

/* ------------------------------------------------------------------ sockets */

/* Which socket a packet that came in by queue q leaves by: q's own, else any that we have there.
 * One that is not bound sends nothing: its packets would lie in the ring until it is. */
static void choose_tx(struct worker *w)
{
	memset(w->tx_of, 0, sizeof(w->tx_of));
	for (unsigned int i = 0; i < w->n_xsks; i++)
		for (unsigned int q = 0; w->xsks[i]->bound && q < XIPSEC_QUEUES_MAX; q++)
			if (!w->tx_of[w->xsks[i]->slot][q])
				w->tx_of[w->xsks[i]->slot][q] = w->xsks[i];
	for (unsigned int i = 0; i < w->n_xsks; i++)
		if (w->xsks[i]->bound)
			w->tx_of[w->xsks[i]->slot][w->xsks[i]->queue] = w->xsks[i];
}

int worker_polls_changed(struct worker *w)
{
	struct pollfd *polls;
	unsigned int n = 0;

	polls = realloc(w->polls, (w->n_xsks + w->n_taps + XIPSEC_SLOW_KINDS + 1) * sizeof(*polls));
	if (!polls)
		return -ENOMEM;
	w->polls = polls;
	for (unsigned int i = 0; i < w->n_xsks; i++)
		polls[n++] = (struct pollfd){.fd = w->xsks[i]->fd, .events = POLLIN};
	/* poll() passes over one that is gone, -1 */
	for (unsigned int i = 0; i < w->n_taps; i++)
		polls[n++] = (struct pollfd){.fd = w->taps[i].fd, .events = POLLIN};
	n += slow_polls(w, polls + n);
	polls[n++] = (struct pollfd){.fd = w->ctl, .events = POLLIN};
	w->n_polls = n;
	return 0;
}

/* After every change of the set: who polls, who sends, and an equal share of the frames for each
 * fill ring, so that the first does not starve the last. */
static int sockets_changed(struct worker *w)
{
	__u32 share = w->n_xsks ? w->frames.n / w->n_xsks : 0;

	for (unsigned int i = 0; i < w->n_xsks; i++) {
		struct xsk *xsk = w->xsks[i];

		xsk->fill_target = xsk->fill.size < share ? xsk->fill.size : share;
	}
	choose_tx(w);
	return worker_polls_changed(w);
}

static struct xsk *find_xsk(const struct worker *w, __u32 slot, __u32 queue)
{
	for (unsigned int i = 0; i < w->n_xsks; i++)
		if (w->xsks[i]->slot == slot && w->xsks[i]->queue == queue)
			return w->xsks[i];
	return NULL;
}

static int on_xsk(struct worker *w, struct ctl_in *in)
{
	const struct ctl_xsk *msg = &in->msg.xsk;
	struct xsk *xsk, **xsks;
	int err;

	if (find_xsk(w, msg->slot, msg->queue)) {
		log_error("a second socket for slot %u queue %u", msg->slot, msg->queue);
		return -EPROTO;
	}
	xsks = realloc(w->xsks, (w->n_xsks + 1) * sizeof(*xsks));
	if (!xsks)
		return -ENOMEM;
	w->xsks = xsks;
	err = ring_open(msg, in->fd[0], &xsk);
	if (err) {
		log_error("the rings of slot %u queue %u cannot be mapped: %s%s", msg->slot,
			  msg->queue, strerror(-err),
			  err == -EBUSY ? " (this kernel maps them only before the socket is bound)"
					: "");
		return err;
	}
	in->fd[0] = -1; /* the socket's now */
	w->xsks[w->n_xsks++] = xsk;
	err = sockets_changed(w);
	if (err)
		return err;
	if (w->going)
		ring_refill(xsk, &w->frames);
	worker_owe_xsk(w, XIPSEC_CTL_XSK_MAPPED, xsk->slot, xsk->queue);
	return worker_pay(w);
}

static int on_xsk_bound(struct worker *w, const struct ctl_xsk_ref *msg)
{
	struct xsk *xsk = find_xsk(w, msg->slot, msg->queue);

	if (!xsk) {
		log_error("slot %u queue %u is bound, but has no socket here", msg->slot,
			  msg->queue);
		return -EPROTO;
	}
	xsk->bound = true;
	return sockets_changed(w);
}

static int on_dev(struct worker *w, const struct ctl_dev *msg)
{
	if (msg->slot >= XIPSEC_SLOTS_MAX || msg->mtu > 65535) {
		log_error("interface in slot %u with mtu %u makes no sense", msg->slot, msg->mtu);
		return -EPROTO;
	}
	if (msg->n_vlans > XIPSEC_DEV_VLANS_MAX) {
		log_error("interface in slot %u: %u VLANs are too many", msg->slot, msg->n_vlans);
		return -EPROTO;
	}
	w->dev[msg->slot] = (struct device){.known = true, .ctl = *msg};
	return 0;
}

static int on_dev_gone(struct worker *w, __u32 slot)
{
	unsigned int kept = 0;

	if (slot >= XIPSEC_SLOTS_MAX)
		return -EPROTO;
	w->dev[slot] = (struct device){0};
	for (unsigned int i = 0; i < w->n_xsks; i++) {
		if (w->xsks[i]->slot != slot) {
			w->xsks[kept++] = w->xsks[i];
			continue;
		}
		while (tx_reap(w->xsks[i], &w->frames))
			;
		ring_close(w->xsks[i]);
	}
	w->n_xsks = kept;
	frames_rest_slot(&w->frames, slot, w->now_ms);
	nexthops_forget_slot(w->nhs, slot);
	return sockets_changed(w);
}

/* ------------------------------------------------------------------ SAs */

static void sa_forget(struct worker *w, struct sa_place *place, bool waiting)
{
	if (!place->sa)
		return;
	if (waiting)
		pipeline_drop_sa(w, place - w->sas);
	slow_sa_gone(w, place);
	sa_free(place->sa);
	*place = (struct sa_place){.listed = place->listed};
}

/* The SA that is there, with another list of selectors: what waits to be sealed by it still goes
 * there. Not so what it has opened, which the old list let out. */
static bool same_but_list(const struct sa_place *place, const struct ctl_sa *msg)
{
	return place->sa && place->generation == msg->generation && place->dir == XIPSEC_DIR_OUT &&
	       msg->sa.dir == XIPSEC_DIR_OUT && place->outer_family == msg->sa.outer_family &&
	       !memcmp(&place->dst, &msg->sa.dst, sizeof(place->dst));
}

static int on_sa(struct worker *w, const struct ctl_sa *msg)
{
	struct xipsec_sa_state *state;
	struct sa_place *place;
	struct sa *sa;
	int err = 0;

	if (msg->index >= w->n_sas || !msg->generation ||
	    (msg->sa.dir != XIPSEC_DIR_IN && msg->sa.dir != XIPSEC_DIR_OUT)) {
		log_error("SA %u of generation %u makes no sense", msg->index, msg->generation);
		return -EPROTO;
	}
	place = &w->sas[msg->index];
	state = (struct xipsec_sa_state *)(w->sa_state + msg->index * w->sa_state_stride);
	sa = sa_new(&msg->sa, msg->index, msg->generation, state, w->backend, &err);
	if (sa && place->sa && place->generation == msg->generation)
		sa_succeed(sa, place->sa);
	sa_forget(w, place, !sa || !same_but_list(place, msg));
	if (!sa) {
		/* The data path stays closed for this SA (stale_meta), the others go on. */
		log_error("SA %u (SPI 0x%x) cannot be used: %s", msg->index,
			  __builtin_bswap32(msg->sa.spi), strerror(-err));
		runs_note(w, msg->index, msg->generation, XIPSEC_BACKEND_NONE, err);
		return 0;
	}
	*place = (struct sa_place){
		.sa = sa,
		.state = state,
		.generation = msg->generation,
		.dir = msg->sa.dir,
		.outer_family = msg->sa.outer_family,
		.dst = msg->sa.dst,
		.if_id = msg->sa.if_id,
		.src_port = msg->sa.src_port,
		.listed = place->listed,
	};
	slow_sa_add(w, place);
	runs_note(w, msg->index, msg->generation, sa_backend(sa), 0);
	return quiet_add(w, msg);
}

static int on_sa_gone(struct worker *w, const struct ctl_sa_ref *msg)
{
	if (msg->index >= w->n_sas) {
		log_error("SA %u to forget is out of range", msg->index);
		return -EPROTO;
	}
	/* A reference to another generation is about one that has been replaced already. */
	if (w->sas[msg->index].generation == msg->generation)
		sa_forget(w, &w->sas[msg->index], true);
	worker_owe(w, XIPSEC_CTL_SA_GONE_OK, msg->index, msg->generation);
	return worker_pay(w);
}

/* ------------------------------------------------------------------ messages */

static int on_go(struct worker *w)
{
	_cleanup_free_ __u8 *in_ring = calloc(w->frames.n, 1);
	struct ctl_hdr ready;
	__u32 slots = 0, away;

	if (!in_ring)
		return -ENOMEM;
	if (w->going) {
		log_error("a second GO");
		return -EPROTO;
	}
	for (unsigned int i = 0; i < w->n_xsks; i++) {
		ring_mark(w->xsks[i], &w->frames, in_ring);
		slots |= 1u << w->xsks[i]->slot;
	}
	away = frames_adopt(&w->frames, in_ring, slots, w->now_ms);
	for (unsigned int i = 0; i < w->n_xsks; i++)
		ring_refill(w->xsks[i], &w->frames);
	worker_add(&w->stats->loops, 0);
	w->going = true;
	log_info("%u sockets, %u frames, %u of them under way", w->n_xsks, w->frames.n, away);
	return ctl_send(w->ctl, XIPSEC_CTL_READY, &ready, sizeof(ready));
}

int worker_message(struct worker *w, struct ctl_in *in)
{
	switch (in->msg.hdr.type) {
	case XIPSEC_CTL_DEV: return on_dev(w, &in->msg.dev);
	case XIPSEC_CTL_DEV_GONE: return on_dev_gone(w, in->msg.dev.slot);
	case XIPSEC_CTL_XSK: return on_xsk(w, in);
	case XIPSEC_CTL_XSK_BOUND: return on_xsk_bound(w, &in->msg.xsk_ref);
	case XIPSEC_CTL_SA: return on_sa(w, &in->msg.sa);
	case XIPSEC_CTL_SA_GONE: return on_sa_gone(w, &in->msg.sa_ref);
	case XIPSEC_CTL_NEXTHOP:
		if (nexthop_learn(w->nhs, &in->msg.nexthop, w->now_ms)) {
			log_error("a next hop that makes no sense: status %u, slot %u",
				  in->msg.nexthop.status, in->msg.nexthop.slot);
			return -EPROTO;
		}
		return 0;
	case XIPSEC_CTL_SLOW: return slow_add(w, in);
	case XIPSEC_CTL_TAP: return taps_add(w, in);
	case XIPSEC_CTL_TAP_GONE: return taps_gone(w, in->msg.tap.if_id);
	case XIPSEC_CTL_TAP_SA: return taps_seal_with(w, &in->msg.tap_sa);
	case XIPSEC_CTL_GO: return on_go(w);
	default: log_error("control message of type %u at this point", in->msg.hdr.type);
	}
	return -EPROTO;
}
