/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The verdict that a program wrote before a frame: whether it is ours, whether the packet bears it
 * out, and whether it still holds. Direction of failure: closed.
 */
#ifndef WORKER_VERDICT_H
#define WORKER_VERDICT_H

#include "worker/loop.h"

#define VERDICT_LATE 0xffff /* no reason, and not to go on yet (late.h) */

/* Is the SA still the one that the program meant, and the policy not an older one? 0, or
 * STALE_META. */
static inline __u16 verdict_fresh(const struct worker *w, const struct work *work)
{
	const struct sa_place *place = &w->sas[work->sa_index];

	if (!place->sa || place->generation != work->sa_generation ||
	    __atomic_load_n(&place->state->generation, __ATOMIC_RELAXED) != work->sa_generation)
		return XIPSEC_REASON_STALE_META;
	if (work->dir == XIPSEC_DIR_OUT &&
	    (__s32)(work->spd_generation -
		    __atomic_load_n(&w->globals->spd_generation, __ATOMIC_RELAXED)) < 0)
		return XIPSEC_REASON_STALE_META;
	return 0;
}

/* Turns a frame of `len` bytes at `addr` of the UMEM, whose work knows its frame alone, and its
 * verdict into work. The verdict is used up. 0, VERDICT_LATE, or the reason of its end. */
__u16 verdict_read(const struct worker *w, struct work *work, __u64 addr, __u32 len);

#endif
