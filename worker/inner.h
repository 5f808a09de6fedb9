/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps that an inner packet goes through as a forwarded packet: parse, TTL, MSS, checksums,
 * ECN.
 */
#ifndef WORKER_INNER_H
#define WORKER_INNER_H

#include <stdbool.h>
#include <linux/types.h>
#include "xipsec/reason.h"
#include "xipsec/selector.h"
#include "worker/packet.h"

#define INNER_FRAG   1 /* flags: part of a packet (more fragments, or an offset) */
#define INNER_ROUTED 2 /* has an IPv6 routing header: the destination is not the last one */
#define INNER_DF     4 /* must not be cut: IPv4 with DF, or IPv6 */

struct inner {
	__u32 len;    /* bytes of the IP packet, by its header */
	__u16 l4_off; /* of the transport header, or of what follows a fragment header */
	__u8 family;
	__u8 tos; /* DSCP and ECN */
	__u8 ttl; /* or hop limit */
	__u8 l4_proto;
	__u8 opaque; /* XIPSEC_OPAQUE_* */
	__u8 flags;
	__u8 l4_min; /* bytes of transport header that can be read; 0: hidden, or none is known */
	__u16 frag_off; /* IPv6: of the fragment header, with INNER_FRAG */
	__u32 flow;     /* IPv6: the flow label, else 0 */
};

/* UNSPEC, or INNER_MALFORMED and *inner undefined. `len` bytes may be read; more than the header
 * says (Ethernet padding, TFC padding) is allowed. By the same rules as the programs' parser. */
enum xipsec_reason inner_parse(const __u8 *data, __u32 len, struct inner *inner);

/* A later fragment of IPv4 that begins within the transport header, which the first one brought
 * whole (inner_parse()): it can only be there to write over it. After inner_parse(). */
bool inner_writes_over(const __u8 *data, const struct inner *inner);

/* The packet as selectors see it; `dir` tells which address is `local`. After inner_parse(). */
void inner_flow(const __u8 *data, const struct inner *inner, __u8 dir, struct xipsec_flow *flow);

/* Everything before sealing, on a packet that inner_parse() took: length, TTL (not of what this
 * host sends: PACKET_LOCAL), size, checksums, MSS. `inner_max`: the largest packet that fits.
 * UNSPEC, TTL or TOO_BIG; with the latter two only p->len, tailroom and icmp_mtu have changed. */
enum xipsec_reason inner_out(struct packet *p, const struct inner *inner, __u32 inner_max);

/* Returns TOO_BIG, with what the sender is to be told. Packets that may be cut do not come here
 * (oversize.c). An IPv6 sender cannot be told less than 1280 (RFC 8200 5): what is no longer than
 * that is cut outside. */
enum xipsec_reason inner_too_big(struct packet *p, const struct inner *inner, __u32 inner_max);

/* Merges the outer header's congestion mark into a decapsulated packet (RFC 6040 4.2). UNSPEC; or
 * ECN, nothing changed, when the mark cannot be carried on and the packet must be dropped. It goes
 * on with OPENED_ECN as well, merged: no tunnel makes such a pair of marks, so somebody should
 * know. */
enum xipsec_reason inner_in(__u8 *data, const struct inner *inner, __u8 outer_tos);

/* What a router does to a packet that goes on: UNSPEC, or TTL with nothing changed. `data` is a
 * whole IP header of `family`. */
enum xipsec_reason inner_forward(__u8 *data, __u8 family);

/* Completes a transport checksum that its sender left to hardware: only where the field holds the
 * folded sum of the pseudo-header and does not verify (SCTP: where it is 0). Anything else is not
 * touched: to recompute a wrong sum would bless the corruption. Fragments are left alone. */
void inner_complete(__u8 *data, const struct inner *inner);

/* Makes the checksum of TCP, ICMPv6 and UDP (unless it is 0 over IPv4, which means none) anew. For
 * what has been authenticated otherwise. */
void inner_checksum(__u8 *data, const struct inner *inner);

/* Lowers the MSS option of a TCP SYN to `mss_max`; the checksum is updated, not recomputed. */
void inner_clamp_mss(__u8 *data, const struct inner *inner, __u32 mss_max);

#endif
