/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inbound replay window (RFC 4303 3.4.3 and appendix A), shared by workers without a lock.
 *
 * A word of the ring names the block of 32 numbers that it stands for (maps.h), and a word is only
 * ever replaced by one with a newer tag. So a bit once set either stays, or the number is refused
 * as too old: a number is accepted once, whatever replay_top says at that moment and whoever dies
 * where. The ring is at least twice the window: no number inside the window shares a word with a
 * newer one inside it.
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

/* After the ICV was verified: UNSPEC exactly once for each number, across all processes that share
 * the state; else REPLAY or REPLAY_OLD. Moves the window. */
enum xipsec_reason replay_commit(struct xipsec_sa_state *state, __u32 window, __u64 seq);

#endif
