// SPDX-License-Identifier: BSD-2-Clause
#include "worker/loop.h"

#include <errno.h>
#include <time.h>
#include <sys/socket.h>

#include "lib/log.h"
#include "worker/late.h"
#include "worker/slow.h"
#include "worker/tap.h"
#include "worker/tx.h"

#define TICK_MS     10   /* timers */
#define FILL_MS     1000 /* how long it is remembered how full the rings were */
#define CTL_MS      1    /* longest time that the control channel is not looked at */
#define SPIN        256  /* empty rounds before sleeping: about 20 us */
#define SLEEP_MS    500
#define REFILL_STEP 32

static void clock_read(struct worker *w)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	w->now_ms = (__u64)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ------------------------------------------------------------------ packets */

static void round_finish(struct worker *w, struct xsk *xsk)
{
	__u32 short_of;

	tx_flush(xsk);
	if (xsk->tx_flying)
		tx_reap(xsk, &w->frames);
	/* Not for every single frame: the ring's index is a cache line that the kernel reads. */
	short_of = xsk->fill_target -
		   (xsk->fill.size - (xsk->fill.cached_cons - xsk->fill.cached_prod));
	if ((__s32)short_of >= REFILL_STEP || xsk->fill.cached_cons - xsk->fill.cached_prod == 0)
		ring_refill(xsk, &w->frames);
	/* Zero-copy drivers that ran dry want to hear that there are frames again. */
	if (xsk_ring_prod__needs_wakeup(&xsk->fill))
		recvfrom(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, NULL);
}

/* What is known of the rings without a look at the lines that the kernel writes: the RX ring's end
 * as it was when it had been emptied last, so a full one shows. */
static void fill_note(struct worker *w, const struct xsk *xsk)
{
	__u32 waiting = xsk->rx.cached_prod - xsk->rx.cached_cons;

	if (waiting > w->rx_most)
		w->rx_most = waiting;
	if (xsk->tx_given > w->tx_most)
		w->tx_most = xsk->tx_given;
}

static __u32 thousandths(__u32 of, __u32 size)
{
	__u64 share = size ? of * 1000ULL / size : 0;

	return share < 1000 ? (__u32)share : 1000;
}

/* All rings of a worker are of one size. */
static void fill_tell(struct worker *w)
{
	const struct xsk *any = w->n_xsks ? w->xsks[0] : NULL;

	w->next_fill = w->now_ms + FILL_MS;
	__atomic_store_n(&w->stats->rx_fill, any ? thousandths(w->rx_most, any->rx.size) : 0,
			 __ATOMIC_RELAXED);
	__atomic_store_n(&w->stats->tx_fill, any ? thousandths(w->tx_most, any->tx.size) : 0,
			 __ATOMIC_RELAXED);
	w->rx_most = w->tx_most = 0;
}

unsigned int worker_round(struct worker *w)
{
	unsigned int got = 0;

	for (unsigned int i = 0; i < w->n_xsks; i++)
		got += pipeline_receive(w, w->xsks[i]);
	if (w->n_taps)
		got += taps_round(w);
	for (unsigned int i = 0; i < w->n_xsks; i++) {
		round_finish(w, w->xsks[i]);
		fill_note(w, w->xsks[i]);
	}
	worker_add(&w->stats->loops, 1);
	if (got)
		worker_add(&w->stats->rx_packets, got);
	else
		worker_add(&w->stats->idle_loops, 1);
	return got;
}

/* ------------------------------------------------------------------ beside packets */

static int read_messages(struct worker *w)
{
	struct ctl_in in;
	int err;

	while (!(err = ctl_receive(w->ctl, false, &in))) {
		err = worker_message(w, &in);
		ctl_done(&in);
		if (err)
			return err;
	}
	return err == -EAGAIN ? 0 : err;
}

int worker_housekeep(struct worker *w, bool now)
{
	int err;

	clock_read(w);
	if (now || w->now_ms >= w->next_ctl) {
		w->next_ctl = w->now_ms + CTL_MS;
		err = read_messages(w);
		if (err)
			return err;
		if (w->n_late)
			late_run(w);
		slow_round(w);
		if (w->n_runs_owed)
			runs_tell(w);
	}
	if (w->now_ms >= w->next_tick) {
		w->next_tick = w->now_ms + TICK_MS;
		nexthops_tick(w->nhs, w->now_ms);
		frames_wake(&w->frames, w->now_ms);
		quiet_tick(w);
		peers_tick(w);
		if (w->now_ms >= w->next_fill)
			fill_tell(w);
		if (w->n_owed) {
			err = worker_pay(w);
			if (err)
				return err;
		}
	}
	if (nexthops_held(w->nhs))
		pipeline_resume(w);
	return 0;
}

/* Sleeps until there is something to do. The kernel wakes us for what the rings get. */
static void rest(struct worker *w)
{
	bool waiting = nexthops_held(w->nhs) || w->n_owed || w->n_runs_owed || w->n_dummies;

	for (unsigned int i = 0; i < w->n_xsks; i++) {
		struct xsk *xsk = w->xsks[i];

		ring_refill(xsk, &w->frames);
		/* Not sent or not completed: look again soon. */
		if (xsk->tx_unsent || !w->frames.n_free)
			waiting = true;
	}
	/* Nobody can send yet: what a TAP has would wake us for nothing. */
	if (taps_blocked(w)) {
		poll(w->polls + w->n_polls - 1, 1, 1);
		return;
	}
	poll(w->polls, w->n_polls, waiting ? TICK_MS : SLEEP_MS);
	taps_woken(w);
}

int worker_run(struct worker *w)
{
	unsigned int empty = 0;
	int err;

	for (;;) {
		bool rested = false;

		if (worker_round(w)) {
			empty = 0;
		} else if (++empty > SPIN && !w->busy_poll) {
			rest(w);
			rested = true;
			empty = 0;
		}
		/* In every round with packets, so that no timer and no message waits for the end of
		 * a flood; in empty rounds less often. */
		if (!empty || !(empty & 63)) {
			err = worker_housekeep(w, rested);
			if (err)
				return err;
		}
	}
}

int worker_wait_go(struct worker *w)
{
	struct ctl_in in;
	int err = 0;

	clock_read(w);
	while (!err && !w->going) {
		err = ctl_receive(w->ctl, true, &in);
		if (err)
			return err;
		err = worker_message(w, &in);
		ctl_done(&in);
	}
	return err;
}

int worker_check(const struct worker *w)
{
	__u64 held[HELD_MAX];
	unsigned int n = nexthops_held_frames(w->nhs, held, HELD_MAX);

	return frames_check(&w->frames, held, n);
}
