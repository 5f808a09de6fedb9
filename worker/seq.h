/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Outbound sequence numbers, which are the nonces of the key too: each is given out once, across
 * workers and restarts.
 */
#ifndef WORKER_SEQ_H
#define WORKER_SEQ_H

#include <linux/types.h>
#include "xipsec/maps.h"

/* The last number of the space: 2^32 - 1, or 2^64 - 1 with ESN. It never wraps (RFC 4303 3.3.3). */
static inline __u64 seq_end(int esn)
{
	return esn ? ~0ULL : 0xffffffffULL;
}

/*
 * Reserves up to `n` successive numbers: returns how many, the first one in *first. With fewer than
 * n, *reason says why the rest must be dropped:
 *	SEQ_END     the space is used up, the SA is STOPPED now
 *	LIMIT       the SA was stopped before that
 *	SEQ_WAIT    numbers up to seq_limit are used up; xipsecd will reserve more on disk
 *	STALE_META  the state is not this generation's any more
 *
 * Fails closed. Whoever gives the state to another SA writes `generation` before `seq`, or a worker
 * that still holds the old SA could draw the new one's numbers: they are looked at after the draw.
 */
unsigned int seq_reserve(struct xipsec_sa_state *state, __u32 generation, int esn, unsigned int n,
			 __u64 *first, enum xipsec_reason *reason);

/* The SA of that generation is STOPPED from now on, if it is LIVE in its place. Generation and
 * status are looked at and changed in one step: whatever has the place since is left as it is. */
void seq_stop(struct xipsec_sa_state *state, __u32 generation);

#endif
