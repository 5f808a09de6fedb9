/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An AF_XDP socket that somebody else made: its four rings, mapped from the descriptor and the
 * offsets in ctl_xsk, going on from the indices that stand in the shared memory. It may not be
 * bound yet: its fill ring can be filled, its descriptor polled, but nothing sent. (The rings of a
 * bound one can be mapped since Linux 6.4; xipsecd lends none where that does not work.)
 */
#ifndef WORKER_RING_H
#define WORKER_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <xdp/xsk.h>
#include "worker/frames.h"
#include "xipsec/ctl.h"

struct xsk {
	int fd;
	bool bound; /* xipsecd said so */
	__u32 slot;
	__u32 queue;
	struct xsk_ring_cons rx;
	struct xsk_ring_prod tx;
	struct xsk_ring_prod fill;
	struct xsk_ring_cons comp;
	__u32 rx_torn;     /* rounds in which the RX ring began with half a packet */
	__u32 rx_fetched;  /* RX index up to which the pipeline has prefetched frames */
	__u32 fill_target; /* how many frames its fill ring is kept filled with */
	__u32 tx_unsent;   /* descriptors written since the last kick */
	__u32 tx_flying;   /* handed to the kernel, not completed; what is adopted counts as full */
	__u32 tx_given;    /* of those, what this worker handed over */
	struct {
		void *at;
		size_t len;
	} map[4];
};

/* Maps the rings. On success the socket owns fd. 0 or -errno (*out untouched, fd still the
 * caller's); -EBUSY: the socket is bound and the kernel older than 6.4. */
int ring_open(const struct ctl_xsk *msg, int fd, struct xsk **out);

/* Unmaps and closes. Frames are frames_rest_slot()'s business. NULL is fine. */
void ring_close(struct xsk *xsk);

/* Sets in_ring[frame] = slot + 1 for what stands in the RX and completion rings now. */
void ring_mark(const struct xsk *xsk, const struct frames *frames, __u8 *in_ring);

/* Gives free frames to the fill ring up to its target. */
void ring_refill(struct xsk *xsk, struct frames *frames);

#endif
