// SPDX-License-Identifier: BSD-2-Clause
#include "worker/inner.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "xipsec/maps.h"
#include "worker/checksum.h"

#define IP4_LEN     20
#define IP6_LEN     40
#define IP6_EXT_MAX 6
#define IP6_MTU_MIN 1280
#define IP_MAX      65535

#define TCP_LEN      20
#define TCP_FLAGS    13
#define TCP_SYN      0x02
#define TCP_CHECK    16
#define TCP_OPT_END  0
#define TCP_OPT_NOP  1
#define TCP_OPT_MSS  2
#define TCP_MSS_SIZE 4
#define UDP_LEN      8
#define UDP_CHECK    6
#define ICMP6_CHECK  2
#define SCTP_LEN     12
#define SCTP_CHECK   8

static __u16 be16_at(const __u8 *at)
{
	return (__u16)(at[0] << 8 | at[1]);
}

static __u16 word_at(const __u8 *at)
{
	__u16 word;

	memcpy(&word, at, 2);
	return word;
}

/* ---------------------------------------------------------------- parse */

static enum xipsec_reason parse_ip4_frag(__u32 frag, struct inner *inner)
{
	inner->flags |= INNER_FRAG;
	if (!(frag & 0x1fff))
		return XIPSEC_REASON_UNSPEC;
	inner->opaque = XIPSEC_OPAQUE_PORTS;
	return (frag & 0x1fff) * 8 + inner->len > IP_MAX ? XIPSEC_REASON_INNER_MALFORMED
							 : XIPSEC_REASON_UNSPEC;
}

static enum xipsec_reason parse_ip4(const __u8 *data, __u32 len, struct inner *inner)
{
	__u32 header_len = (data[0] & 0xf) * 4u, total = be16_at(data + 2),
	      frag = be16_at(data + 6);

	if (header_len < IP4_LEN || total < header_len || total > len)
		return XIPSEC_REASON_INNER_MALFORMED;
	*inner = (struct inner){
		.len = total,
		.l4_off = (__u16)header_len,
		.family = XIPSEC_FAMILY_IP4,
		.tos = data[1],
		.ttl = data[8],
		.l4_proto = data[9],
		.flags = frag >> 12 & INNER_DF,
	};
	if (__builtin_expect(frag & 0x3fff, 0))
		return parse_ip4_frag(frag, inner);
	return XIPSEC_REASON_UNSPEC;
}

/* The headers that RFC 4301 4.4.1.1 looks through; AH and ESP are next layer protocols there. */
static int ip6_is_ext(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

static void parse_ip6_frag(const __u8 *data, __u32 off, struct inner *inner)
{
	const __u8 *ext = data + off;
	__u32 frag = be16_at(ext + 2);

	inner->frag_off = (__u16)off;
	if (frag & 0xfff9)
		inner->flags |= INNER_FRAG;
	if (!(frag & 0xfff8))
		return;
	inner->opaque |= XIPSEC_OPAQUE_PORTS;
	if (ip6_is_ext(ext[0]))
		inner->opaque |= XIPSEC_OPAQUE_PROTO;
}

/* To the next layer protocol, or to what follows the header of a later fragment, which is data. */
static enum xipsec_reason parse_ip6_chain(const __u8 *data, struct inner *inner)
{
	__u32 off = IP6_LEN, ext_len, frags = 0;
	__u8 next = data[6];

	for (int i = 0; ip6_is_ext(next) && !inner->opaque; i++) {
		const __u8 *ext = data + off;

		if (i == IP6_EXT_MAX || (next == IPPROTO_HOPOPTS && i > 0) || off + 8 > inner->len)
			return XIPSEC_REASON_INNER_MALFORMED;
		ext_len = next == IPPROTO_FRAGMENT ? 8 : 8 + ext[1] * 8;
		if (off + ext_len > inner->len)
			return XIPSEC_REASON_INNER_MALFORMED;
		if (next == IPPROTO_ROUTING)
			inner->flags |= INNER_ROUTED;
		if (next == IPPROTO_FRAGMENT) {
			if (frags++)
				return XIPSEC_REASON_INNER_MALFORMED;
			parse_ip6_frag(data, off, inner);
		}
		next = ext[0];
		off += ext_len;
	}
	inner->l4_proto = next;
	inner->l4_off = (__u16)off;
	return XIPSEC_REASON_UNSPEC;
}

/* Jumbograms (RFC 2675) are refused: no link here is that wide. */
static enum xipsec_reason parse_ip6(const __u8 *data, __u32 len, struct inner *inner)
{
	*inner = (struct inner){0};
	if (len < IP6_LEN)
		return XIPSEC_REASON_INNER_MALFORMED;
	inner->len = IP6_LEN + be16_at(data + 4);
	if (inner->len > len || (inner->len == IP6_LEN && data[6] == IPPROTO_HOPOPTS))
		return XIPSEC_REASON_INNER_MALFORMED;
	inner->family = XIPSEC_FAMILY_IP6;
	inner->tos = (__u8)(data[0] << 4 | data[1] >> 4);
	inner->flow = (__u32)(data[1] & 0x0f) << 16 | be16_at(data + 2);
	inner->flags = INNER_DF;
	inner->ttl = data[7];
	return parse_ip6_chain(data, inner);
}

/* Shortest header of a transport protocol that the selectors see into; 0: none is read. */
static const __u8 l4_min_ip4[256] = {
	[IPPROTO_TCP] = TCP_LEN,     [IPPROTO_SCTP] = 12, [IPPROTO_DCCP] = 12,
	[IPPROTO_AH] = 12,           [IPPROTO_ESP] = 8,   [IPPROTO_UDP] = UDP_LEN,
	[IPPROTO_UDPLITE] = UDP_LEN, [IPPROTO_ICMP] = 8,
};
static const __u8 l4_min_ip6[256] = {
	[IPPROTO_TCP] = TCP_LEN,     [IPPROTO_SCTP] = 12,  [IPPROTO_DCCP] = 12,
	[IPPROTO_AH] = 12,           [IPPROTO_ESP] = 8,    [IPPROTO_UDP] = UDP_LEN,
	[IPPROTO_UDPLITE] = UDP_LEN, [IPPROTO_ICMPV6] = 8, [IPPROTO_MH] = 8,
};

static enum xipsec_reason parse_l4(const __u8 *data, struct inner *inner)
{
	const __u8 *l4 = data + inner->l4_off;
	__u32 l4_len = inner->len - inner->l4_off;

	if (inner->opaque)
		return XIPSEC_REASON_UNSPEC;
	inner->l4_min =
		(inner->family == XIPSEC_FAMILY_IP4 ? l4_min_ip4 : l4_min_ip6)[inner->l4_proto];
	if (l4_len < inner->l4_min)
		return XIPSEC_REASON_INNER_MALFORMED;
	if (inner->l4_proto == IPPROTO_TCP) {
		__u32 tcp_len = (__u32)(l4[12] >> 4) * 4;

		if (tcp_len < TCP_LEN || tcp_len > l4_len)
			return XIPSEC_REASON_INNER_MALFORMED;
	}
	if (inner->l4_proto == IPPROTO_UDP) {
		__u32 udp_len = be16_at(l4 + 4);

		if (udp_len < UDP_LEN || (!(inner->flags & INNER_FRAG) && udp_len > l4_len))
			return XIPSEC_REASON_INNER_MALFORMED;
	}
	return XIPSEC_REASON_UNSPEC;
}

enum xipsec_reason inner_parse(const __u8 *data, __u32 len, struct inner *inner)
{
	enum xipsec_reason reason = XIPSEC_REASON_INNER_MALFORMED;

	if (len < IP4_LEN)
		return reason;
	if (__builtin_expect(data[0] >> 4 == 4, 1))
		reason = parse_ip4(data, len, inner);
	else if (data[0] >> 4 == 6)
		reason = parse_ip6(data, len, inner);
	return reason ? reason : parse_l4(data, inner);
}

bool inner_writes_over(const __u8 *data, const struct inner *inner)
{
	return inner->family == XIPSEC_FAMILY_IP4 && inner->opaque &&
	       (be16_at(data + 6) & 0x1fff) * 8u < l4_min_ip4[inner->l4_proto];
}

/* ---------------------------------------------------------------- selectors */

static void flow_l4(const __u8 *l4, const struct inner *inner, __u8 dir, struct xipsec_flow *flow)
{
	if (!inner->l4_min)
		return;
	switch (inner->l4_proto) {
	case IPPROTO_AH:
	case IPPROTO_ESP: return;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: flow->icmp = be16_at(l4); return;
	case IPPROTO_MH: flow->icmp = (__u16)(l4[2] << 8); return; /* RFC 6275 6.1.1 */
	default: break;
	}
	flow->local_port = be16_at(l4 + (dir == XIPSEC_DIR_OUT ? 0 : 2));
	flow->remote_port = be16_at(l4 + (dir == XIPSEC_DIR_OUT ? 2 : 0));
}

/* Whole, by one store: the selectors are compared 16 bytes at a time, and a load waits 4 ns for
 * stores of parts of what it reads. */
static void addr_set(struct xipsec_addr *to, const __u8 *from, int ip4)
{
	typedef __u32 whole __attribute__((vector_size(16)));
	__u32 word;
	whole addr;

	if (ip4) {
		memcpy(&word, from, sizeof(word));
		addr = (whole){word};
	} else {
		memcpy(&addr, from, sizeof(addr));
	}
	memcpy(to, &addr, sizeof(*to));
}

void inner_flow(const __u8 *data, const struct inner *inner, __u8 dir, struct xipsec_flow *flow)
{
	struct xipsec_addr *src = dir == XIPSEC_DIR_OUT ? &flow->local : &flow->remote;
	struct xipsec_addr *dst = dir == XIPSEC_DIR_OUT ? &flow->remote : &flow->local;
	int ip4 = inner->family == XIPSEC_FAMILY_IP4;

	*flow = (struct xipsec_flow){0};
	addr_set(src, data + (ip4 ? 12 : 8), ip4);
	addr_set(dst, data + (ip4 ? 16 : 24), ip4);
	flow->family = inner->family;
	flow->l4_proto = inner->l4_proto;
	flow->opaque = inner->opaque;
	flow->dscp = inner->tos >> 2;
	flow_l4(data + inner->l4_off, inner, dir, flow);
}

/* ---------------------------------------------------------------- checksums */

/* Cheap for the packets that are complete already: only the pseudo-header is summed. UDP of another
 * length than its packet is left alone. */
static void complete_sum(__u8 *data, const struct inner *inner, __u32 check_off)
{
	__u64 pseudo = csum_pseudo(data, inner->l4_proto, inner->len - inner->l4_off), sum;
	__u8 *l4 = data + inner->l4_off;
	__u16 check;

	if (__builtin_expect(word_at(l4 + check_off) != csum_fold(pseudo), 1))
		return;
	if (inner->l4_proto == IPPROTO_UDP && be16_at(l4 + 4) != inner->len - inner->l4_off)
		return;
	sum = csum_add(0, l4, inner->len - inner->l4_off);
	if (csum_fold(pseudo + sum) == 0xffff)
		return;
	/* The field stands for the pseudo-header in this sum. */
	check = (__u16)~csum_fold(sum);
	if (!check && inner->l4_proto == IPPROTO_UDP)
		check = 0xffff;
	memcpy(l4 + check_off, &check, 2);
}

void inner_checksum(__u8 *data, const struct inner *inner)
{
	__u32 l4_len = inner->len - inner->l4_off, off;
	__u8 *l4 = data + inner->l4_off;

	if (inner->opaque || (inner->flags & (INNER_FRAG | INNER_ROUTED)))
		return;
	if (inner->l4_proto == IPPROTO_TCP)
		off = TCP_CHECK;
	else if (inner->l4_proto == IPPROTO_UDP && be16_at(l4 + 4) == l4_len &&
		 (word_at(l4 + UDP_CHECK) || inner->family == XIPSEC_FAMILY_IP6))
		off = UDP_CHECK;
	else if (inner->l4_proto == IPPROTO_ICMPV6 && inner->family == XIPSEC_FAMILY_IP6)
		off = ICMP6_CHECK; /* RFC 4443 2.3: over the pseudo-header too */
	else
		return;
	csum_renew(l4, l4_len, off, csum_pseudo(data, inner->l4_proto, inner->len - inner->l4_off),
		   inner->l4_proto == IPPROTO_UDP);
}

/* CRC32c (Castagnoli, reflected), four bits a step: SCTP with checksums left to hardware is rare.
 */
static __u32 crc32c(const __u8 *at, __u32 len)
{
	static const __u32 table[16] = {
		0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3,
		0x61c69362, 0x7198540d, 0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9,
		0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
	};
	__u32 crc = 0xffffffff;

	while (len--) {
		crc ^= *at++;
		crc = crc >> 4 ^ table[crc & 0xf];
		crc = crc >> 4 ^ table[crc & 0xf];
	}
	return ~crc;
}

static __attribute__((noinline)) void complete_crc(__u8 *data, const struct inner *inner)
{
	__u8 *l4 = data + inner->l4_off;
	__u32 crc;

	if (word_at(l4 + SCTP_CHECK) || word_at(l4 + SCTP_CHECK + 2))
		return;
	/* RFC 9260 appendix A: the least significant byte goes first. */
	crc = crc32c(l4, inner->len - inner->l4_off);
	for (int i = 0; i < 4; i++)
		l4[SCTP_CHECK + i] = (__u8)(crc >> 8 * i);
}

void inner_complete(__u8 *data, const struct inner *inner)
{
	if (inner->flags & (INNER_FRAG | INNER_ROUTED))
		return;
	switch (inner->l4_proto) {
	case IPPROTO_TCP: complete_sum(data, inner, TCP_CHECK); break;
	case IPPROTO_UDP: complete_sum(data, inner, UDP_CHECK); break;
	case IPPROTO_SCTP: complete_crc(data, inner); break;
	default: break;
	}
}

/* ---------------------------------------------------------------- MSS */

/* A word that starts at an odd offset counts with its bytes swapped. */
static __u16 sum_word(const __u8 *word, int odd)
{
	__u8 bytes[2] = {word[odd], word[!odd]};

	return word_at(bytes);
}

static void clamp_option(__u8 *tcp, __u8 *mss, __u32 mss_max)
{
	int odd = (mss - tcp) & 1;
	__u16 old = sum_word(mss, odd);

	if (be16_at(mss) <= mss_max)
		return;
	mss[0] = (__u8)(mss_max >> 8);
	mss[1] = (__u8)mss_max;
	csum_replace(tcp + TCP_CHECK, old, sum_word(mss, odd));
}

__attribute__((noinline)) void inner_clamp_mss(__u8 *data, const struct inner *inner, __u32 mss_max)
{
	__u8 *tcp = data + inner->l4_off, *opt = tcp + TCP_LEN, *end;

	if (inner->opaque || inner->l4_proto != IPPROTO_TCP || !(tcp[TCP_FLAGS] & TCP_SYN))
		return;
	end = tcp + (tcp[12] >> 4) * 4;
	while (opt < end && *opt != TCP_OPT_END) {
		if (*opt == TCP_OPT_NOP) {
			opt++;
			continue;
		}
		if (end - opt < 2 || opt[1] < 2 || opt[1] > end - opt)
			return;
		if (*opt == TCP_OPT_MSS && opt[1] == TCP_MSS_SIZE)
			clamp_option(tcp, opt + 2, mss_max);
		opt += opt[1];
	}
}

/* ---------------------------------------------------------------- forwarding */

/* `ttl` is not 0. */
static void ttl_decrement(__u8 *data, __u8 family)
{
	__u32 sum;
	__u16 check;

	if (family == XIPSEC_FAMILY_IP6) {
		data[7]--;
		return;
	}
	data[8]--;
	/* RFC 1141: one less in the sum is one more in its complement, the carry back in; 0xffff
	 * is 0 in such sums. */
	sum = (__u32)word_at(data + 10) + htons(0x0100);
	check = (__u16)(sum + (sum >= 0xffff));
	memcpy(data + 10, &check, 2);
}

enum xipsec_reason inner_forward(__u8 *data, __u8 family)
{
	if (data[family == XIPSEC_FAMILY_IP6 ? 7 : 8] <= 1)
		return XIPSEC_REASON_TTL;
	ttl_decrement(data, family);
	return XIPSEC_REASON_UNSPEC;
}

enum xipsec_reason inner_too_big(struct packet *p, const struct inner *inner, __u32 inner_max)
{
	p->icmp_mtu = inner_max;
	if (inner->family == XIPSEC_FAMILY_IP6 && inner_max < IP6_MTU_MIN)
		p->icmp_mtu = IP6_MTU_MIN;
	return XIPSEC_REASON_TOO_BIG;
}

enum xipsec_reason inner_out(struct packet *p, const struct inner *inner, __u32 inner_max)
{
	const int forwarded = !(p->flags & PACKET_LOCAL);
	__u32 headers;

	p->tailroom += p->len - inner->len;
	p->len = inner->len;
	if (forwarded && inner->ttl <= 1)
		return XIPSEC_REASON_TTL;
	if (inner->len > inner_max)
		return inner_too_big(p, inner, inner_max);
	if (forwarded)
		ttl_decrement(p->data, inner->family);
	inner_complete(p->data, inner);
	if (inner->l4_proto != IPPROTO_TCP)
		return XIPSEC_REASON_UNSPEC;
	/* What options and extension headers take is its sender's to subtract (RFC 6691 2). */
	headers = TCP_LEN + (inner->family == XIPSEC_FAMILY_IP4 ? IP4_LEN : IP6_LEN);
	if (inner_max > headers)
		inner_clamp_mss(p->data, inner, inner_max - headers);
	return XIPSEC_REASON_UNSPEC;
}

#define ECN_DROP 4
#define ECN_ODD  8 /* beside the mark */

/* RFC 6040 4.2: congestion on the way, CE, wins, then ECT(1). A CE mark on a packet that cannot
 * carry it means that the packet must be dropped. Odd are the pairs that figure 4 calls unused. */
static __u8 ecn_merge(__u8 inner_tos, __u8 outer_tos)
{
	static const __u8 merged[4][4] = {
		/* outer: Not-ECT, ECT(1), ECT(0), CE */
		{0, 0 | ECN_ODD, 0 | ECN_ODD, ECN_DROP}, /* inner Not-ECT */
		{1, 1, 1 | ECN_ODD, 3},                  /* ECT(1) */
		{2, 1, 2, 3},                            /* ECT(0) */
		{3, 3 | ECN_ODD, 3, 3},                  /* CE */
	};

	return merged[inner_tos & 3][outer_tos & 3];
}

static void tos_set(__u8 *data, const struct inner *inner, __u8 tos)
{
	__u16 old;

	if (tos == inner->tos)
		return;
	if (inner->family == XIPSEC_FAMILY_IP6) {
		data[0] = (__u8)(0x60 | tos >> 4);
		data[1] = (__u8)((data[1] & 0x0f) | tos << 4);
		return;
	}
	old = word_at(data);
	data[1] = tos;
	csum_replace(data + 10, old, word_at(data));
}

enum xipsec_reason inner_in(__u8 *data, const struct inner *inner, __u8 outer_tos)
{
	__u8 ecn;

	if (!(outer_tos & 3))
		return XIPSEC_REASON_UNSPEC;
	ecn = ecn_merge(inner->tos, outer_tos);
	if (ecn == ECN_DROP)
		return XIPSEC_REASON_ECN;
	tos_set(data, inner, (__u8)((inner->tos & ~3) | (ecn & 3)));
	return ecn & ECN_ODD ? XIPSEC_REASON_OPENED_ECN : XIPSEC_REASON_UNSPEC;
}
