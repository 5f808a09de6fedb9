// SPDX-License-Identifier: BSD-2-Clause
/*
 * A burst of packets from an RX ring to a TX ring. Direction of failure: closed. Whatever does not
 * hold is dropped with its reason; nothing leaves here but what ESP has sealed, what ESP has opened
 * and an SA's selectors have accepted, and ICMP errors to the red side.
 */
#include "worker/pipeline_inside.h"

#include "lib/if_xdp.h"
#include "worker/late.h"
#include "worker/receive.h"
#include "worker/tap.h"
#include "worker/verdict.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

struct group {
	struct sa_place *place;
	unsigned int n, first;
};

/* Sorts a burst by SA, keeping the order inside each (counting sort: one pass to count, one to
 * place), and runs each group. All works are fresh and not opened yet. */
static void run_burst(struct worker *w, struct work **works, unsigned int n)
{
	struct packet *sorted[BURST_MAX];
	struct group groups[BURST_MAX];
	unsigned int n_groups = 0, at = 0;

	w->burst++;
	for (unsigned int i = 0; i < n; i++) {
		struct sa_place *place = &w->sas[works[i]->sa_index];

		if (place->burst != w->burst) {
			place->burst = w->burst;
			place->group = n_groups;
			groups[n_groups++] = (struct group){.place = place};
		}
		groups[place->group].n++;
	}
	for (unsigned int g = 0; g < n_groups; g++) {
		groups[g].first = at;
		at += groups[g].n;
		groups[g].n = 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct group *g = &groups[w->sas[works[i]->sa_index].group];

		sorted[g->first + g->n++] = &works[i]->p;
	}
	for (unsigned int g = 0; g < n_groups; g++) {
		if (groups[g].place->dir == XIPSEC_DIR_OUT)
			pipeline_out(w, groups[g].place, sorted + groups[g].first, groups[g].n);
		else
			pipeline_in(w, groups[g].place, sorted + groups[g].first, groups[g].n);
	}
}

void pipeline_take(struct worker *w, struct work **works, unsigned int n)
{
	struct work *fresh[BURST_MAX];
	unsigned int n_fresh = 0;

	for (unsigned int i = 0; i < n; i++) {
		__u16 reason = verdict_fresh(w, works[i]);

		if (unlikely(reason))
			pipeline_drop(w, works[i], reason);
		else
			fresh[n_fresh++] = works[i];
	}
	if (n_fresh)
		run_burst(w, fresh, n_fresh);
}

unsigned int pipeline_receive(struct worker *w, struct xsk *xsk)
{
	struct xdp_desc descs[BURST_MAX];
	struct work store[BURST_MAX];
	struct work *works[BURST_MAX];
	unsigned int got, n = 0;

	got = receive_burst(w, xsk, descs);
	for (unsigned int i = 0; i < got; i++) {
		struct work *work = &store[i];
		__u16 reason;

		receive_ahead(w, xsk);
		*work = (struct work){
			.p.frame = frame_base(&w->frames, descs[i].addr),
			.p.slot = xsk->slot,
			.p.queue = xsk->queue,
			.bytes = descs[i].len,
		};
		reason = verdict_read(w, work, descs[i].addr, descs[i].len);
		if (unlikely(reason == VERDICT_LATE))
			late_hold(w, work);
		else if (unlikely(reason))
			pipeline_drop(w, work, reason);
		else
			works[n++] = work;
	}
	if (n)
		run_burst(w, works, n);
	return got;
}

void pipeline_resume(struct worker *w)
{
	struct work store[BURST_MAX];
	struct work *works[BURST_MAX];
	unsigned int got, n;

	while ((got = nexthops_ready(w->nhs, store, BURST_MAX))) {
		n = 0;
		for (unsigned int i = 0; i < got; i++) {
			/* SAs and policies may have changed while it waited. */
			__u16 reason = verdict_fresh(w, &store[i]);

			if (reason)
				pipeline_drop(w, &store[i], reason);
			else if (store[i].opened)
				pipeline_send_opened(w, &store[i]);
			else
				works[n++] = &store[i];
		}
		taps_flush(w);
		if (n)
			run_burst(w, works, n);
	}
}

void pipeline_drop_sa(struct worker *w, __u32 sa_index)
{
	struct work store[BURST_MAX];
	unsigned int n;

	while ((n = nexthops_take_sa(w->nhs, sa_index, store, BURST_MAX)))
		for (unsigned int i = 0; i < n; i++)
			pipeline_drop(w, &store[i], XIPSEC_REASON_STALE_META);
}
