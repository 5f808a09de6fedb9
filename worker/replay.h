/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inbound replay window (RFC 4303 3.4.3 and appendix A), shared by workers without a lock.
 *
 * A word of the ring names the block of 32 numbers that it stands for (maps.h), and a word is only
 * ever replaced by one with a newer tag. So a bit once set either stays, or the number is refused
 * as too old: a number is accepted once, whatever replay_top says at that moment and whoever dies
 * where. The ring is at least twice the window: no number inside the window shares a word with a
 * newer one inside it. A word that was never written is 0, which is older than any: every other has
 * a bit set. (Tags are of 32 bits and compared as serial numbers: a written word is told from later
 * ones for 2^45 numbers, of which one in 512 words of 32 would have to be lost as a whole each
 * time.)
 */
#ifndef WORKER_REPLAY_H
#define WORKER_REPLAY_H

#include <linux/types.h>
#include "xipsec/maps.h"

/* The whole number of a packet whose low half is `seq_lo` (RFC 4303 A2.2). 0, which no packet has,
 * when it would lie before the first number. Without ESN it is seq_lo. */
__u64 replay_infer(const struct xipsec_sa_state *state, __u32 window, int esn, __u32 seq_lo);

/* Before the ICV is verified: UNSPEC (go on), REPLAY or REPLAY_OLD. Changes nothing. */
enum xipsec_reason replay_check(const struct xipsec_sa_state *state, __u32 window, __u64 seq);

/* After the ICV was verified, for a burst in the order of its packets: UNSPEC exactly once for each
 * number, across all processes that share the state; else REPLAY or REPLAY_OLD. Moves the window.
 * Number 0 is refused and changes nothing, so it may stand for a packet that must not count. One
 * atomic step for each word of the ring that they touch and one for the burst: two for each packet
 * were 8 ns of it. */
void replay_commit_burst(struct xipsec_sa_state *state, __u32 window, const __u64 *seq,
			 unsigned int n, __u16 *reason);

static inline enum xipsec_reason replay_commit(struct xipsec_sa_state *state, __u32 window,
					       __u64 seq)
{
	__u16 reason;

	replay_commit_burst(state, window, &seq, 1, &reason);
	return reason;
}

#endif
