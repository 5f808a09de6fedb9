/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From the bytes of a frame to a struct pkt. One parser for XDP and TC; it reads the linear part
 * only, and judges lengths by the whole frame, so a header that stands in a later buffer counts as
 * missing.
 *
 * Direction of failure: closed. Whatever is cut short, contradicts itself or is too long to follow
 * ends with a drop reason; every length is checked before the field behind it is read.
 */
#ifndef BPF_PARSE_H
#define BPF_PARSE_H

#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "xipsec/explain.h"
#include "xipsec/reason.h"
#include "xipsec/selector.h"

/* A step that has not decided returns this. Counted as it is, it would be a drop, and a bug. */
#define GO_ON XIPSEC_REASON_UNSPEC

#define VLAN_TAGS_MAX 2
#define IP6_EXT_MAX   6
#define PARSE_OFF_MAX                                                               \
	0x7fff /* 6 extension headers of 2048 bytes fit; the verifier wants a bound \
		*/
#define IP_BYTES_MAX   65535
#define ETH_P_8021Q_BE bpf_htons(ETH_P_8021Q)

#define PKT_FRAG_HEADER \
	XIPSEC_FRAG_HEADER              /* has an IPv6 fragment header, perhaps the only fragment */
#define PKT_FRAG_PART  XIPSEC_FRAG_PART /* part of a packet: more fragments, or an offset */
#define PKT_FRAG_LATER XIPSEC_FRAG_LATER /* not the first: no transport header */

struct pkt {
	void *data; /* re-read from the context after every adjust or pull */
	void *data_end;
	__u32 len;     /* bytes of the frame in all its buffers */
	__u32 ifindex; /* XDP and TC ingress: where it came in; TC egress: where it goes out */
	__u32 queue;   /* that it was received on */
	__u32 l3_off;  /* offsets from the start of the frame */
	__u32 l3_end;  /* end of the IP packet: Ethernet padding may follow */
	__u32 l4_off;
	struct xipsec_addr src;
	struct xipsec_addr dst;
	__be32 flowinfo;
	__be32 frag_id; /* of fragments */
	__u16 eth_type; /* host order, behind the VLAN tags */
	__u16 sport;    /* host order; 0 where there is none */
	__u16 dport;
	__u16 icmp; /* type << 8 | code; type << 8 of a Mobility Header */
	__u8 family;
	__u8 l4_proto;
	__u8 hop_limit; /* TTL */
	__u8 tos;
	__u8 frag;    /* PKT_FRAG_* */
	__u8 opaque;  /* XIPSEC_OPAQUE_* */
	__u32 mark;   /* red: for kernel XFRM, by this mark of the skb; 0: not for it */
	__u32 opened; /* black: by an SA of this child, plus 1, kernel XFRM has opened it; 0: none
		       */
	__u16 dev;    /* for rules: see struct xipsec_flow */
};

/*
 * Zero, but the verifier does not know: `unknown` is any number that it does not know. What it does
 * not know it does not follow in ways of their own.
 *
 * Nor does the CPU: what is read at an address made with it is read after `unknown`.
 */
static __always_inline __u32 blind_zero(__u32 unknown)
{
	asm volatile("%0 ^= %0" : "+r"(unknown));
	return unknown;
}

struct vlan_tag {
	__be16 tci;
	__be16 eth_type;
};

struct ip6_ext {
	__u8 next;
	__u8 len; /* in 8 bytes, the first 8 not counted */
	__be16 frag_off;
	__be32 frag_id;
};

/* `size` bytes at `off`, or NULL. The barriers keep the compiler from computing the address twice,
 * and from taking a bound for checked that was checked before: the verifier (of 6.1 at least) ties
 * it to one register. */
static __always_inline void *pkt_at(const struct pkt *pkt, __u32 off, __u32 size)
{
	void *at;

	asm volatile("" : "+r"(off));
	if (off > PARSE_OFF_MAX)
		return NULL;
	at = pkt->data + off;
	asm volatile("" : "+r"(at));
	if (at + size > pkt->data_end)
		return NULL;
	return at;
}

/* The same for bytes of the transport layer, which must also lie inside the IP packet. */
static __always_inline void *pkt_l4_at(const struct pkt *pkt, __u32 off, __u32 size)
{
	if (pkt->l4_off + off + size > pkt->l3_end)
		return NULL;
	return pkt_at(pkt, pkt->l4_off + off, size);
}

static __always_inline __u32 pkt_l4_len(const struct pkt *pkt)
{
	return pkt->l3_end - pkt->l4_off;
}

/* The transport header can be read: `ports`, `icmp` and pkt_l4_at() mean something. */
static __always_inline int pkt_has_l4(const struct pkt *pkt)
{
	return !(pkt->frag & PKT_FRAG_LATER);
}

static __always_inline __u8 pkt_dscp(const struct pkt *pkt)
{
	__u32 class = pkt->family == XIPSEC_FAMILY_IP6 ? bpf_ntohl(pkt->flowinfo) >> 20 : pkt->tos;

	return class >> 2 & 63;
}

static __always_inline int pkt_multicast(const struct pkt *pkt)
{
	if (pkt->family == XIPSEC_FAMILY_IP6)
		return pkt->dst.byte[0] == 0xff;
	return (pkt->dst.byte[0] & 0xf0) == 0xe0 || pkt->dst.word[0] == 0xffffffff;
}

static __always_inline int eth_is_vlan(__be16 eth_type_be)
{
	return eth_type_be == ETH_P_8021Q_BE || eth_type_be == bpf_htons(ETH_P_8021AD);
}

/* `tags`: how many the hardware or the kernel has taken off already. */
static __always_inline enum xipsec_reason parse_eth(struct pkt *pkt, __u32 tags)
{
	struct ethhdr *eth = pkt_at(pkt, 0, sizeof(*eth));
	__u32 off = sizeof(*eth);
	__be16 eth_type_be;

	if (!eth)
		return XIPSEC_REASON_MALFORMED_ETH;
	eth_type_be = eth->h_proto;
	for (int i = 0; i < VLAN_TAGS_MAX; i++) {
		struct vlan_tag *tag;

		if (!eth_is_vlan(eth_type_be))
			break;
		tag = pkt_at(pkt, off, sizeof(*tag));
		if (!tag)
			return XIPSEC_REASON_MALFORMED_ETH;
		eth_type_be = tag->eth_type;
		off += sizeof(*tag);
		tags++;
	}
	if (eth_is_vlan(eth_type_be) || tags > VLAN_TAGS_MAX)
		return XIPSEC_REASON_MALFORMED_ETH;
	pkt->eth_type = bpf_ntohs(eth_type_be);
	pkt->l3_off = off;
	return GO_ON;
}

/* Padding behind tot_len is Ethernet's; a tot_len beyond the frame is a lie. */
static __always_inline enum xipsec_reason parse_ip4(struct pkt *pkt)
{
	struct iphdr *ip = pkt_at(pkt, pkt->l3_off, sizeof(*ip));
	__u32 header_len, total_len, frag_off;

	if (!ip || ip->version != 4 || ip->ihl < 5)
		return XIPSEC_REASON_MALFORMED_IP4;
	header_len = ip->ihl * 4;
	total_len = bpf_ntohs(ip->tot_len);
	if (total_len < header_len || pkt->l3_off + total_len > pkt->len)
		return XIPSEC_REASON_MALFORMED_IP4;
	pkt->family = XIPSEC_FAMILY_IP4;
	pkt->l3_end = pkt->l3_off + total_len;
	pkt->l4_off = pkt->l3_off + header_len;
	pkt->src.word[0] = ip->saddr;
	pkt->dst.word[0] = ip->daddr;
	pkt->l4_proto = ip->protocol;
	pkt->hop_limit = ip->ttl;
	pkt->tos = ip->tos;
	frag_off = bpf_ntohs(ip->frag_off);
	pkt->frag_id = ip->id;
	if (frag_off & 0x3fff)
		pkt->frag |= PKT_FRAG_PART;
	if (!(frag_off & 0x1fff))
		return GO_ON;
	if ((frag_off & 0x1fff) * 8 + total_len > IP_BYTES_MAX)
		return XIPSEC_REASON_MALFORMED_IP4;
	pkt->frag |= PKT_FRAG_LATER;
	pkt->opaque |= XIPSEC_OPAQUE_PORTS;
	return GO_ON;
}

/* The headers that RFC 4301 4.4.1.1 looks through. AH and ESP are next layer protocols there. */
static __always_inline int ip6_is_ext(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

static __always_inline enum xipsec_reason parse_ip6_frag(struct pkt *pkt, const struct ip6_ext *ext)
{
	__u16 frag_off = bpf_ntohs(ext->frag_off);

	if (pkt->frag & PKT_FRAG_HEADER)
		return XIPSEC_REASON_IP6_CHAIN;
	pkt->frag |= PKT_FRAG_HEADER;
	pkt->frag_id = ext->frag_id;
	if (frag_off & 0xfff9)
		pkt->frag |= PKT_FRAG_PART;
	if (!(frag_off & 0xfff8))
		return GO_ON;
	pkt->frag |= PKT_FRAG_LATER;
	pkt->opaque |= XIPSEC_OPAQUE_PORTS;
	if (ip6_is_ext(ext->next))
		pkt->opaque |= XIPSEC_OPAQUE_PROTO;
	return GO_ON;
}

/* Walks to the next layer protocol. A later fragment ends the walk: what follows is data. */
static __always_inline enum xipsec_reason parse_ip6_chain(struct pkt *pkt, __u8 next, __u32 off)
{
	enum xipsec_reason reason;
	struct ip6_ext *ext;
	__u32 len;

#pragma clang loop unroll(disable)
	for (int i = 0; i <= IP6_EXT_MAX; i++) {
		pkt->l4_proto = next;
		pkt->l4_off = off;
		if ((pkt->frag & PKT_FRAG_LATER) || !ip6_is_ext(next))
			return GO_ON;
		if (i == IP6_EXT_MAX || (next == IPPROTO_HOPOPTS && i > 0))
			return XIPSEC_REASON_IP6_CHAIN;
		ext = pkt_at(pkt, off, sizeof(*ext));
		len = sizeof(*ext);
		if (ext && next != IPPROTO_FRAGMENT)
			len += ext->len * 8;
		if (!ext || off + len > pkt->l3_end)
			return pkt->frag & PKT_FRAG_PART ? XIPSEC_REASON_FRAG_SHORT
							 : XIPSEC_REASON_MALFORMED_IP6;
		if (next == IPPROTO_FRAGMENT) {
			reason = parse_ip6_frag(pkt, ext);
			if (reason)
				return reason;
		}
		next = ext->next;
		off += len;
	}
	return XIPSEC_REASON_IP6_CHAIN;
}

/* Jumbograms (payload length 0 and a hop-by-hop header, RFC 2675) are refused: no link here is
 * that wide, but for "BIG TCP" inside this host, which closes too. */
static __always_inline enum xipsec_reason parse_ip6(struct pkt *pkt)
{
	struct ipv6hdr *ip6 = pkt_at(pkt, pkt->l3_off, sizeof(*ip6));
	__u32 payload_len;

	if (!ip6 || ip6->version != 6)
		return XIPSEC_REASON_MALFORMED_IP6;
	payload_len = bpf_ntohs(ip6->payload_len);
	if (pkt->l3_off + sizeof(*ip6) + payload_len > pkt->len)
		return XIPSEC_REASON_MALFORMED_IP6;
	if (payload_len == 0 && ip6->nexthdr == IPPROTO_HOPOPTS)
		return XIPSEC_REASON_MALFORMED_IP6;
	pkt->family = XIPSEC_FAMILY_IP6;
	pkt->l3_end = pkt->l3_off + sizeof(*ip6) + payload_len;
	__builtin_memcpy(&pkt->src, &ip6->saddr, sizeof(pkt->src));
	__builtin_memcpy(&pkt->dst, &ip6->daddr, sizeof(pkt->dst));
	pkt->hop_limit = ip6->hop_limit;
	pkt->flowinfo = *(__be32 *)ip6 & bpf_htonl(0x0fffffff);
	return parse_ip6_chain(pkt, ip6->nexthdr, pkt->l3_off + sizeof(*ip6));
}

/* Shortest header of a transport protocol that the SPD or a worker reads; 0: none is read. */
static __always_inline __u32 l4_header_min(const struct pkt *pkt)
{
	switch (pkt->l4_proto) {
	case IPPROTO_TCP: return 20;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_AH: return 12;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ESP: return 8;
	case IPPROTO_ICMP: return pkt->family == XIPSEC_FAMILY_IP4 ? 8 : 0;
	case IPPROTO_MH:
	case IPPROTO_ICMPV6: return pkt->family == XIPSEC_FAMILY_IP6 ? 8 : 0;
	default: return 0;
	}
}

static __always_inline enum xipsec_reason parse_tcp_len(struct pkt *pkt, enum xipsec_reason cut)
{
	__u8 *doff = pkt_l4_at(pkt, 12, 1);

	if (!doff)
		return cut;
	if (*doff >> 4 < 5)
		return XIPSEC_REASON_MALFORMED_L4;
	return (*doff >> 4) * 4 > pkt_l4_len(pkt) ? cut : GO_ON;
}

static __always_inline enum xipsec_reason parse_udp_len(struct pkt *pkt, enum xipsec_reason cut)
{
	__be16 *udp_len_be = pkt_l4_at(pkt, 4, 2);
	__u16 udp_len;

	if (!udp_len_be)
		return cut;
	udp_len = bpf_ntohs(*udp_len_be);
	if (udp_len < 8 || (!(pkt->frag & PKT_FRAG_PART) && udp_len > pkt_l4_len(pkt)))
		return XIPSEC_REASON_MALFORMED_L4;
	return GO_ON;
}

/* A first fragment holds its whole header chain or is dropped (RFC 7112, RFC 4301 7.4). */
static __always_inline enum xipsec_reason parse_l4(struct pkt *pkt)
{
	enum xipsec_reason cut = pkt->frag & PKT_FRAG_PART ? XIPSEC_REASON_FRAG_SHORT
							   : XIPSEC_REASON_MALFORMED_L4;
	__u32 header_min = l4_header_min(pkt);
	__u8 proto = pkt->l4_proto;
	__be16 *word;

	if (!pkt_has_l4(pkt) || header_min == 0)
		return GO_ON;
	word = pkt_l4_at(pkt, 0, 4);
	if (!word || header_min > pkt_l4_len(pkt))
		return cut;
	if (proto == IPPROTO_ESP || proto == IPPROTO_AH)
		return GO_ON;
	if (proto == IPPROTO_ICMP || proto == IPPROTO_ICMPV6) {
		pkt->icmp = bpf_ntohs(word[0]);
		return GO_ON;
	}
	if (proto == IPPROTO_MH) { /* RFC 6275 6.1.1: next header, length, type */
		pkt->icmp = bpf_ntohs(word[1]) & 0xff00;
		return GO_ON;
	}
	pkt->sport = bpf_ntohs(word[0]);
	pkt->dport = bpf_ntohs(word[1]);
	if (proto == IPPROTO_TCP)
		return parse_tcp_len(pkt, cut);
	if (proto == IPPROTO_UDP)
		return parse_udp_len(pkt, cut);
	return GO_ON;
}

/* The whole frame. Frames that are not IP come back with family 0 and their ethertype. */
static __always_inline enum xipsec_reason parse_frame(struct pkt *pkt, __u32 tags)
{
	enum xipsec_reason reason = parse_eth(pkt, tags);

	if (reason)
		return reason;
	if (pkt->eth_type == ETH_P_IP)
		reason = parse_ip4(pkt);
	else if (pkt->eth_type == ETH_P_IPV6)
		reason = parse_ip6(pkt);
	else
		return GO_ON;
	return reason ? reason : parse_l4(pkt);
}

#endif
