/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outer headers of a tunnel: a template made once per SA, completed for each packet.
 *
 * IP, and with UDP encapsulation UDP behind it (RFC 3948). ECN is copied (RFC 6040 normal mode)
 * unless the SA says no, DSCP copied or fixed, DF set, clear or copied, the flow label of IPv6 in
 * IPv6 copied or 0. The IPv4 ID is the low bits of the sequence number where DF is set and it means
 * nothing (RFC 6864); where it is not, a number of the worker's own, for SAs between the same two
 * gateways share the IDs that the fragments of their packets are told apart by.
 */
#ifndef WORKER_OUTER_H
#define WORKER_OUTER_H

#include <netinet/in.h>
#include <linux/types.h>
#include "xipsec/sa.h"
#include "worker/inner.h"

#define OUTER_TTL 64
#define OUTER_IP4 20 /* bytes of an IPv4 header without options */
#define OUTER_IP6 40
#define OUTER_UDP 8  /* bytes of the UDP header */
#define OUTER_MAX 48 /* bytes of the longest outer headers */
#define OUTER_DF  0x4000

/* What shows of a packet in the headers around it. */
struct shown {
	__u32 flow; /* IPv6: the flow label, else 0 */
	__u16 df;   /* OUTER_DF: must not be cut; or 0 */
	__u8 tos;
	__u8 next; /* IPPROTO_IPIP or IPPROTO_IPV6 */
};

static inline struct shown shown_of(const struct inner *inner)
{
	return (struct shown){
		.flow = inner->flow,
		.df = inner->flags & INNER_DF ? OUTER_DF : 0,
		.tos = inner->tos,
		.next = inner->family == XIPSEC_FAMILY_IP4 ? IPPROTO_IPIP : IPPROTO_IPV6,
	};
}

/* The IDs of this thread, which is worker `number` of `workers` (no more than 65,536): they begin
 * anywhere, and no other worker gives the same before all of its own have been given. */
void outer_ids(__u32 number, __u32 workers);

/* The next of them: a worker of W repeats one after 65,536 / W packets, W rounded up to a power of
 * two. */
__u16 outer_next_id(void);

struct outer;

/* Writes the headers at `to`. `total`: bytes of the whole packet, these headers included; `shown`:
 * of the packet inside; `id`: the IPv4 ID. The checksum of UDP over IPv6 waits for outer_finish().
 */
typedef void outer_write_fn(const struct outer *outer, __u8 *to, __u32 total,
			    const struct shown *shown, __u16 id);

struct outer {
	__u8 header[OUTER_MAX];
	__u32 len;      /* of all of them: 20 or 40, and 8 with UDP */
	__u32 ip_len;   /* 20 or 40 */
	__u32 ttl_next; /* TTL and protocol, next header and hop limit, where they stand in their
			   word */
	__u32 sum;      /* IPv4: of the header without length, TOS, ID and DF */
	__u32 flow_mask;
	__u32 df_set, df_copy; /* the DF bit, or 0 */
	__u32 tos_mask, tos_set;
	outer_write_fn *write;
};

/* Of IPv4 and of IPv6 (which has no ID), alone and with UDP. */
outer_write_fn outer_write_ip4, outer_write_ip6, outer_write_ip4_udp, outer_write_ip6_udp;

/* The usual headers without a call through a pointer, which cannot be inlined. */
static inline void outer_write(const struct outer *outer, __u8 *to, __u32 total,
			       const struct shown *shown, __u16 id)
{
	if (outer->write == outer_write_ip4)
		outer_write_ip4(outer, to, total, shown, id);
	else
		outer->write(outer, to, total, shown, id);
}

/* The ID of a packet with this sequence number. */
static inline __u16 outer_id(const struct outer *outer, const struct shown *shown, __u64 seq)
{
	return outer->df_set | (shown->df & outer->df_copy) ? (__u16)seq : outer_next_id();
}

/* From an outbound SA. 0, or -EINVAL for another family than 4 and 6. */
int outer_init(struct outer *outer, const struct xipsec_sa *sa);

/* The UDP header alone: `total` bytes from the first of it to the packet's end. */
void outer_write_udp(const struct outer *outer, __u8 *to, __u32 total);

/* Once the packet is sealed: RFC 8200 8.1 wants a UDP checksum over IPv6 (over IPv4 it is 0, RFC
 * 3948 2.1). `data` is the IPv6 header, `udp_off` from there to UDP, over extension headers that
 * inner_parse() took, `len` all bytes. */
void outer_finish_udp6(__u8 *data, __u32 udp_off, __u32 len);

#endif
