/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames off an RX ring, which outlives workers and is not trusted with our memory. */
#ifndef WORKER_RECEIVE_H
#define WORKER_RECEIVE_H

#include "worker/loop.h"

/* Takes up to BURST_MAX frames, ours from here on; a packet in several comes as one, a jumbo frame,
 * and one whose rest has not come stays in the ring. Returns how many, in `descs`. */
unsigned int receive_burst(struct worker *w, struct xsk *xsk, struct xdp_desc *descs);

/* Fetches one frame of the next burst into the cache, if the ring is known to hold one: spread over
 * the work on this burst, as only so many fetches run at a time. */
void receive_ahead(const struct worker *w, struct xsk *xsk);

#endif
