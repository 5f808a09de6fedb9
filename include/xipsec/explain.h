/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs' twin says about one packet (`xipsec explain`). The twin is the same object on
 * the same maps with `explain` set in its read-only data: it writes no map, sends nothing anywhere
 * and drops every packet, whatever it would have decided. Its answer stands in the first bytes of
 * the frame that a test run gives back.
 */
#ifndef XIPSEC_EXPLAIN_H
#define XIPSEC_EXPLAIN_H

#include <linux/types.h>
#include "xipsec/selector.h"

#define XIPSEC_EXPLAIN_MAGIC 0x78697077 /* "xipw" */

/* What of a fragment a packet is. */
#define XIPSEC_FRAG_HEADER 1 /* it has an IPv6 fragment header, perhaps the only fragment */
#define XIPSEC_FRAG_PART   2 /* part of a packet: more fragments, or an offset */
#define XIPSEC_FRAG_LATER  4 /* not the first: no transport header */

/* Flags of a way. */
#define XIPSEC_WAY_LOCAL    1 /* the routes say: to this host */
#define XIPSEC_WAY_FOLLOWED 2 /* a later fragment, judged by what its first one was told */
#define XIPSEC_WAY_SOCKET   4 /* a worker has a socket on the packet's queue */
#define XIPSEC_WAY_OWN      8 /* at the guard: made by this host */

/* The steps that were taken, filled in as they are. Numbers of rules are one more than the rule's,
 * so that 0 says: none. */
struct xipsec_way {
	__u32 spd_generation; /* of the SPD that was asked, 0: none was */
	__u32 rule;           /* that decided; + 1 */
	__u32 maybe;          /* the first that might match, if it were known what is hidden; + 1 */
	__u32 sa_index;       /* with sa_generation; 0: no SA is concerned */
	__u32 sa_generation;
	__be32 spi;   /* of ESP or AH that the packet is, or that its ICMP quotes; 0: none */
	__u32 egress; /* ifindex that the routes lead to; 0: they were not asked, or to none */
	__u32 child;  /* id + 1, with PROTECT; 0: none */
	__u16 tables; /* of the classifier, that were looked into */
	__u16 flags;  /* XIPSEC_WAY_* */
	__u8 dir;     /* XIPSEC_DIR_* that the SPD was asked for; 0: it was not asked */
	__u8 engine;  /* enum xipsec_engine of the SA */
	__u8 pad[2];
};

struct xipsec_explain {
	__u32 magic;
	__u16 abi;
	__u16 reason; /* enum xipsec_reason */
	struct xipsec_addr src;
	struct xipsec_addr dst;
	__u32 len; /* bytes of the frame */
	__be32 frag_id;
	__u16 eth_type; /* host order from here on; 0: not read so far */
	__u16 l3_off;
	__u16 l4_off;
	__u16 sport;
	__u16 dport;
	__u16 icmp;  /* type << 8 | code; type << 8 of a Mobility Header */
	__u8 family; /* XIPSEC_FAMILY_*, ANY: not IP, or not read so far */
	__u8 l4_proto;
	__u8 hop_limit;
	__u8 frag;   /* XIPSEC_FRAG_HEADER, _PART, _LATER */
	__u8 opaque; /* XIPSEC_OPAQUE_* */
	__u8 dscp;
	__u8 pad[2];
	__u32 ifindex; /* where the program ran */
	__u32 queue;   /* receive queue, XDP */
	struct xipsec_way way;
};

_Static_assert(sizeof(struct xipsec_way) == 40, "ABI");
_Static_assert(sizeof(struct xipsec_explain) == 116, "fits what XDP has before a frame");

#endif
