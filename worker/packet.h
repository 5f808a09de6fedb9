/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A packet in a worker's hands, seen from layer 3: the runtime (loop.c) strips and writes the
 * Ethernet header, ESP and the inner-packet steps never see it. Everything is done in place.
 */
#ifndef WORKER_PACKET_H
#define WORKER_PACKET_H

#include <linux/types.h>
#include "xipsec/reason.h"

#define BURST_MAX     64
#define PACKET_L2_MAX 22 /* an Ethernet header with two VLAN tags, as the programs parse */

#define PACKET_LOCAL   1 /* flags: this host's own, not forwarded */
#define PACKET_OUTSIDE 2 /* lies in no frame yet: cannot wait, cannot be sent (slow.c) */
#define PACKET_ECN     4 /* opened, with congestion marks that no tunnel makes (RFC 6040 4.2) */
#define PACKET_SUM     8 /* opened, its TCP or UDP checksum is of other addresses (inbound_sum()) */

struct sa;

struct packet {
	__u8 *data;     /* first byte of the (outer) IP header; moves as headers come and go */
	__u32 len;      /* bytes from data that belong to the packet */
	__u32 headroom; /* writable bytes before data */
	__u32 tailroom; /* writable bytes after data + len */
	__u16 reason;   /* enum xipsec_reason: 0 while it lives, else why it ended */
	__u16 l4_off;   /* in: of the ESP header, from data; out: of the transport header, 0 if not
			   known */
	__u8 family;    /* XIPSEC_FAMILY_*, of the header at data */
	__u8 flags;     /* PACKET_* */
	__u16 pad;
	__u32 icmp_mtu; /* with reason TOO_BIG: the MTU to tell the sender */
	__u64 seq;      /* out: number given; in: number inferred (ESN) */
	/* the runtime's */
	__u64 frame;  /* UMEM address of the frame's first byte */
	__u32 l2_len; /* length of the Ethernet header it came with */
	__u32 slot;   /* interface it came in by */
	__u32 queue;
};

#endif
