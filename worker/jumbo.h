/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that no frame of the UMEM holds. What came in several frames is put together in a jumbo
 * frame (frames.h), is sealed and opened there like any other, and is spread over several frames
 * again when it is sent (tx_send_jumbo()). That costs a copy each way, and only such packets pay
 * it.
 */
#ifndef WORKER_JUMBO_H
#define WORKER_JUMBO_H

#include "worker/loop.h"

/* The longest packet from its IP header, with room to seal it. */
#define JUMBO_TAIL 128u
#define JUMBO_MAX  (FRAME_JUMBO - FRAME_LEAD - PACKET_L2_MAX - JUMBO_TAIL)

_Static_assert(JUMBO_MAX >= XIPSEC_MTU_MAX, "the widest link's packets fit");

/*
 * The next packet of an RX ring, in several frames, of which the descriptors from `index` on tell;
 * `n` of them are there. It moves to a jumbo frame, where *out then points to, and its own frames
 * to the pool. Gives the number of descriptors it took, for the caller to release; 0: the end is
 * not there yet, nothing has changed.
 *
 * out->len 0: the packet ended here, counted (TOO_BIG, TX_FULL). So does one whose rest the kernel
 * had no room for (RX_FULL): a verdict stands before the first frame of every packet, so one in the
 * middle means that another begins there; nothing of that one is taken.
 */
unsigned int jumbo_receive(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n,
			   struct xdp_desc *out);

/* Ends `n` descriptors from `index` on, as the packet whose end never comes. */
void jumbo_torn(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n);

/* Moves a packet to a jumbo frame, from wherever it lies, the Ethernet header before it included;
 * its frame goes to the pool. False, and nothing has changed: it is too long, it lies in one
 * already, or none is free. */
bool jumbo_move(struct worker *w, struct packet *p);

/* A frame for `len` bytes behind FRAME_LEAD and `tail` bytes more: of the UMEM, or a jumbo one.
 * False: there is none. */
bool frame_take_for(struct frames *frames, __u32 len, __u32 tail, __u64 *out);

#endif
