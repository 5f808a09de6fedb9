/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sending frames: three verbs, so that another way out (a TAP, injected frames) can take their
 * place. AF_XDP is the one way now.
 */
#ifndef WORKER_TX_H
#define WORKER_TX_H

#include <linux/types.h>
#include "worker/ring.h"

/* Hands len bytes at UMEM address addr to the socket. From then on the frame is the kernel's.
 * 0, or -ENOBUFS when the ring is full after one reap and one kick: the frame is still ours. */
int tx_send(struct xsk *xsk, struct frames *frames, __u64 addr, __u32 len);

/* The same for len bytes anywhere, for which frames are taken from the pool: as many as they need,
 * one after the other in the ring, seen by the kernel together or not at all. -ENOBUFS: there are
 * not so many; -EMSGSIZE: the sockets take packets in one frame alone. */
int tx_send_jumbo(struct xsk *xsk, struct frames *frames, const __u8 *data, __u32 len);

/* Makes the kernel see and send what was handed over; once a round. */
void tx_flush(struct xsk *xsk);

/* Takes back frames that were sent. Returns how many. */
__u32 tx_reap(struct xsk *xsk, struct frames *frames);

#endif
