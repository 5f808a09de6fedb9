/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet with what the runtime must know of it beyond layer 3. The packet stands first, so that a
 * pointer to it, as ESP sees it, is a pointer to the work.
 */
#ifndef WORKER_WORK_H
#define WORKER_WORK_H

#include "worker/packet.h"

struct work {
	struct packet p;
	__u32 bytes; /* of the frame as it came in, for the counters */
	__u32 sa_index;
	__u32 sa_generation;
	__u32 spd_generation;
	__u8 dir;    /* XIPSEC_DIR_* */
	__u8 opened; /* 1: has been opened, waits for the next hop of its inner destination */
	__u16 pad;
	__u32 if_id; /* PACKET_LOCAL: of the TAP that it came by */
};

_Static_assert(__builtin_offsetof(struct work, p) == 0, "a packet's address is its work's");

static inline struct work *work_of(struct packet *p)
{
	return (struct work *)p;
}

#endif
