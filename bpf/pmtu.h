/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors that quote our own ESP or AH, and what of them is believed (RFC 4301 6.1.1 and 8.2):
 * they come from anybody, so one that says "too big" lowers the path MTU of its SA only if it
 * quotes what was sent a moment ago, and bigger than the MTU it tells; within bounds, once a
 * second, and for as long as the config says. All other errors about what we seal end here.
 */
#ifndef BPF_PMTU_H
#define BPF_PMTU_H

#include "bpf/parse.h"
#include "bpf/sad.h"

#define PMTU_NATT   4500
#define PMTU_RECENT (1U << 20) /* sequence numbers back: a second at a million packets */
#define PMTU_MIN4   576U       /* RFC 1191 asks for 68; a link below 576 is an attack or a museum */
#define PMTU_MIN6   1280U      /* RFC 8200 5 */

static __always_inline int icmp_is_error(const struct pkt *pkt)
{
	__u8 type = pkt->icmp >> 8;

	if (!pkt_has_l4(pkt))
		return 0;
	if (pkt->family == XIPSEC_FAMILY_IP6)
		return pkt->l4_proto == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
	return pkt->l4_proto == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 11 || type == 12);
}

/* The packet that an ICMP error quotes, as far as we must know it. */
struct quote {
	struct xipsec_addr src;
	struct xipsec_addr dst;
	__u32 l4_off; /* from the start of pkt's transport header */
	__u32 len;    /* of the packet, as its header says */
	__u8 l4_proto;
};

/* Behind IPv6's fragment header, where we have cut what we sealed: the first one shows the SPI.
 * What is inside, in the clear, is told by its next header alone: other extension headers are not
 * walked here. 0 or -1. */
static __always_inline int quote_read_frag(const struct pkt *pkt, struct quote *quote)
{
	struct ip6_ext *frag = pkt_l4_at(pkt, quote->l4_off, sizeof(*frag));

	if (!frag || (frag->frag_off & bpf_htons(0xfff8)))
		return -1;
	quote->l4_proto = frag->next;
	quote->l4_off += sizeof(*frag);
	return 0;
}

/* 0 or -1. */
static __always_inline int quote_read(const struct pkt *pkt, struct quote *quote)
{
	__builtin_memset(quote, 0, sizeof(*quote));
	if (pkt->family == XIPSEC_FAMILY_IP4) {
		struct iphdr *ip = pkt_l4_at(pkt, 8, sizeof(*ip));

		if (!ip || ip->version != 4 || ip->ihl < 5 || (ip->frag_off & bpf_htons(0x1fff)))
			return -1;
		quote->src.word[0] = ip->saddr;
		quote->dst.word[0] = ip->daddr;
		quote->l4_proto = ip->protocol;
		quote->len = bpf_ntohs(ip->tot_len);
		quote->l4_off = 8 + ip->ihl * 4;
	} else {
		struct ipv6hdr *ip6 = pkt_l4_at(pkt, 8, sizeof(*ip6));

		if (!ip6 || ip6->version != 6)
			return -1;
		__builtin_memcpy(&quote->src, &ip6->saddr, sizeof(quote->src));
		__builtin_memcpy(&quote->dst, &ip6->daddr, sizeof(quote->dst));
		quote->l4_proto = ip6->nexthdr;
		quote->len = sizeof(*ip6) + bpf_ntohs(ip6->payload_len);
		quote->l4_off = 8 + sizeof(*ip6);
		if (quote->l4_proto == IPPROTO_FRAGMENT)
			return quote_read_frag(pkt, quote);
	}
	return 0;
}

/* ip6_is_ext() in two branches: the verifier follows each of them once a header. */
static __always_inline int quote_is_ext(__u8 next)
{
	const __u64 exts = 1ULL << IPPROTO_HOPOPTS | 1ULL << IPPROTO_ROUTING |
			   1ULL << IPPROTO_DSTOPTS | 1ULL << IPPROTO_FRAGMENT;

	return next < 64 && (exts >> next & 1);
}

/* To what is sealed: in transport mode ESP stands behind the packet's own extension headers (RFC
 * 4303 3.1.1), and behind a fragment header where we have cut it, of which the first fragment shows
 * the SPI. 0 or -1. What we seal has no longer chain: a quote that has is not of ours. */
static __always_inline int quote_walk_ip6(const struct pkt *pkt, struct quote *quote)
{
	__u8 next = quote->l4_proto;
	struct ip6_ext *ext;
	__u32 len;

#pragma clang loop unroll(disable)
	for (int i = 0; i < IP6_EXT_MAX && quote_is_ext(next); i++) {
		ext = pkt_l4_at(pkt, quote->l4_off, sizeof(*ext));
		if (!ext)
			return -1;
		len = sizeof(*ext);
		if (next != IPPROTO_FRAGMENT)
			len += ext->len * 8;
		else if (ext->frag_off & bpf_htons(0xfff8))
			return -1;
		/* All ways round look alike to the verifier. */
		quote->l4_off += len + blind_zero(len);
		next = ext->next;
	}
	quote->l4_off += blind_zero(quote->l4_off);
	next ^= blind_zero(next);
	quote->l4_proto = next;
	return 0;
}

static __always_inline int addr_equal(const struct xipsec_addr *a, const struct xipsec_addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* The outbound SA of ours whose ESP or AH this ICMP error quotes, sent from the address that the
 * error comes to; NULL: none. quote->l4_off is that of the SPI then, behind which the number stands
 * in both. A quote too short to show the SPI is an error like any other. */
static __always_inline const struct xipsec_sad_entry *quoted_sa(const struct pkt *pkt,
								struct quote *quote)
{
	const struct xipsec_sad_entry *entry;
	__u8 l4_proto = IPPROTO_ESP;
	__be32 *spi;

	if (!icmp_is_error(pkt) || quote_read(pkt, quote) || !addr_equal(&quote->src, &pkt->dst))
		return NULL;
	if (pkt->family == XIPSEC_FAMILY_IP6 && quote_walk_ip6(pkt, quote))
		return NULL;
	if (quote->l4_proto == IPPROTO_UDP) {
		__be16 *port = pkt_l4_at(pkt, quote->l4_off, 4);

		/* Ours is sent from there, to wherever the peer's NAT has it. */
		if (!port || port[0] != bpf_htons(PMTU_NATT))
			return NULL;
		quote->l4_off += 8;
	} else if (quote->l4_proto == IPPROTO_AH) {
		quote->l4_off += 4;
		l4_proto = IPPROTO_AH;
	} else if (quote->l4_proto != IPPROTO_ESP) {
		return NULL;
	}
	spi = pkt_l4_at(pkt, quote->l4_off, 4);
	if (!spi)
		return NULL;
	entry = sad_lookup(&quote->dst, pkt->family, *spi, l4_proto);
	if (!entry || entry->dir != XIPSEC_DIR_OUT)
		return NULL;
	way_set(pkt, spi, *spi);
	way_sa(pkt, entry);
	return entry;
}

/* The MTU that a "too big" tells (RFC 792 and 1191, RFC 4443 3.2), within bounds; 0: it is another
 * error, or does not tell. */
static __always_inline __u32 pmtu_told(const struct pkt *pkt)
{
	__u32 ip4 = pkt->family == XIPSEC_FAMILY_IP4, mtu;
	__be32 *word = pkt_l4_at(pkt, 4, 4);

	if (!word || pkt->icmp != (ip4 ? 3 << 8 | 4 : 2 << 8))
		return 0;
	mtu = bpf_ntohl(*word);
	if (ip4)
		mtu &= 0xffff;
	if (mtu && mtu < (ip4 ? PMTU_MIN4 : PMTU_MIN6))
		mtu = ip4 ? PMTU_MIN4 : PMTU_MIN6;
	return mtu;
}

/* Is the quoted sequence number one of the last that were sent? A young SA has sent few: where its
 * numbers began, those before them are nobody's. */
static __always_inline int pmtu_recent(const struct pkt *pkt, const struct quote *quote,
				       const struct xipsec_sa_state *state)
{
	__be32 *seq = pkt_l4_at(pkt, quote->l4_off + 4, 4);
	__u64 last = state->seq, most = last < PMTU_RECENT ? last : PMTU_RECENT;

	return seq && (__u32)last - bpf_ntohl(*seq) < most;
}

/* Seconds that a path MTU is believed. */
static __always_inline __u32 pmtu_age(void)
{
	const struct xipsec_globals *known;
	__u32 zero = 0;

	known = bpf_map_lookup_elem(&globals, &zero);
	return known && known->pmtu_age ? known->pmtu_age : XIPSEC_PMTU_AGE;
}

/* For an error that quotes our ESP or AH: the reason it ends with. */
static __always_inline enum xipsec_reason pmtu_learn(const struct pkt *pkt,
						     const struct quote *quote,
						     const struct xipsec_sad_entry *entry)
{
	__u32 index = entry->sa_index, now = bpf_ktime_get_boot_ns() / 1000000000ULL;
	struct xipsec_sa_state *state = bpf_map_lookup_elem(&sa_state, &index);
	__u32 mtu = pmtu_told(pkt), age = pmtu_age(), known, left;

	if (!state || !mtu || mtu >= quote->len || state->generation != entry->sa_generation ||
	    !pmtu_recent(pkt, quote, state))
		return XIPSEC_REASON_PMTU_IGNORED;
	known = state->pmtu;
	left = state->pmtu_until - now;
	if (known && (left == age || ((__s32)left > 0 && mtu >= known)))
		return XIPSEC_REASON_PMTU_IGNORED;
	if (explain)
		return XIPSEC_REASON_PMTU_LEARNED;
	/* Two stores: a worker between them sees the new MTU with the old time, for one burst. */
	state->pmtu = mtu;
	state->pmtu_until = now + age;
	return XIPSEC_REASON_PMTU_LEARNED;
}

#endif
