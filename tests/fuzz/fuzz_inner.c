// SPDX-License-Identifier: BSD-2-Clause
/*
 * The steps of inner packets on raw bytes: parse, selectors, the place of ESP, TTL, checksums, MSS,
 * ECN, ICMP errors. The packet stands in memory of just its size.
 */
#include "tests/fuzz/harness.h"

#include <netinet/in.h>

#include "tests/fuzz/see.h"
#include "worker/icmp.h"
#include "worker/inner.h"
#include "worker/transport.h"

#define HEADROOM 48 /* what icmp.h asks for, no more */

static __u8 *before;
static __u32 before_len;

/* A fresh copy of the packet with nothing behind it. The caller frees *memory. */
static struct packet copy_new(__u8 **memory)
{
	*memory = malloc(HEADROOM + before_len);
	MUST(*memory);
	memset(*memory, 0xee, HEADROOM);
	memcpy(*memory + HEADROOM, before, before_len);
	return packet_in(*memory, HEADROOM + before_len, HEADROOM, before_len);
}

/* ---------------------------------------------------------------- parse and selectors */

static void flow_must(const struct inner *inner, const struct seen *seen)
{
	const __u8 *l4 = before + seen->l4_off;
	int ports = inner->l4_proto == 6 || inner->l4_proto == 17;
	struct xipsec_flow out, in;

	inner_flow(before, inner, XIPSEC_DIR_OUT, &out);
	inner_flow(before, inner, XIPSEC_DIR_IN, &in);
	MUST(!memcmp(out.local.byte, seen->src, seen->addr_len));
	MUST(!memcmp(out.remote.byte, seen->dst, seen->addr_len));
	MUST(!memcmp(&out.local, &in.remote, 16) && !memcmp(&out.remote, &in.local, 16));
	MUST(out.local_port == in.remote_port && out.remote_port == in.local_port);
	MUST(!seen->later == !(out.opaque & XIPSEC_OPAQUE_PORTS));
	MUST(out.l4_proto == seen->proto);
	if (!seen->later && ports) {
		MUST(out.local_port == l4[0] * 256 + l4[1]);
		MUST(out.remote_port == l4[2] * 256 + l4[3]);
	}
}

static void parse_must(const struct inner *inner, struct seen *seen)
{
	MUST(packet_sound(before, before_len, seen));
	MUST(inner->len == seen->len && inner->family == seen->family);
	MUST(inner->tos == seen->tos && inner->ttl == seen->ttl);
	MUST(inner->l4_off == seen->l4_off && inner->l4_proto == seen->proto);
	MUST(!(inner->flags & INNER_FRAG) == !seen->fragment);
	flow_must(inner, seen);
}

/* ---------------------------------------------------------------- the place of ESP */

static void transport_must(const struct inner *inner)
{
	_cleanup_free_ __u8 *memory = NULL;
	struct packet p = copy_new(&memory);
	struct transport_place place, again;
	struct seen seen;

	if (transport_find(p.data, inner, &place)) {
		MUST(inner->flags & INNER_FRAG);
		return;
	}
	MUST(place.off >= 20 && place.off <= inner->len && place.next_off < place.off);
	MUST(p.data[place.next_off] == place.next);
	MUST(!transport_find_at(p.data, place.off, &again));
	MUST(place.off == again.off && place.next_off == again.next_off &&
	     place.next == again.next);
	transport_set(p.data, &place, IPPROTO_ESP, inner->len);
	MUST(packet_see(p.data, inner->len, &seen) && seen.len == inner->len);
	MUST(packet_sum_fits(p.data) && seen.proto == IPPROTO_ESP && seen.l4_off == place.off);
	transport_set(p.data, &place, place.next, inner->len);
	packet_mend(before, inner->len);
	MUST(!memcmp(p.data, before, inner->len));
}

/* Of packets that nothing was checked of; it reads up to `off` alone. */
static void find_at_run(__u32 off)
{
	_cleanup_free_ __u8 *memory = NULL;
	struct transport_place place;
	__u32 len = before_len;

	if (off > before_len || off < 20 || (before[0] >> 4 == 6 && off < 40))
		return;
	before_len = off;
	if (!transport_find_at(copy_new(&memory).data, off, &place))
		MUST(place.off == off && place.next_off < off);
	before_len = len;
}

/* ---------------------------------------------------------------- as a router */

/* Lowers what is above `max`, of the options at `opt`. */
static void mss_lower(__u8 *opt, const __u8 *end, __u32 max)
{
	for (; opt < end && *opt; opt += *opt == 1 ? 1 : opt[1]) {
		if (*opt == 1)
			continue;
		if (end - opt < 2 || opt[1] < 2 || opt[1] > end - opt)
			return;
		if (opt[0] == 2 && opt[1] == 4 && opt[2] * 256u + opt[3] > max) {
			opt[2] = (__u8)(max >> 8);
			opt[3] = (__u8)max;
		}
	}
}

/* A sum that was right is right still, one that was wrong is as wrong as it was. */
static void clamp_must(const __u8 *was, const __u8 *is, const struct seen *seen, __u32 max)
{
	_cleanup_free_ __u8 *expected = malloc(before_len);
	__u8 *tcp;

	MUST(expected);
	memcpy(expected, was, before_len);
	if (seen->proto == IPPROTO_TCP && !seen->later) {
		tcp = expected + seen->l4_off;
		if (tcp[13] & 2)
			mss_lower(tcp + 20, tcp + tcp[12] / 16 * 4, max);
		if (memcmp(expected, was, before_len))
			memcpy(tcp + 16, is + seen->l4_off + 16, 2);
		MUST(transport_sum(seen, is, IPPROTO_TCP) == transport_sum(seen, was, IPPROTO_TCP));
	}
	MUST(!memcmp(is, expected, before_len));
}

/* Sums that were right stay right; what they leave alone is the same. */
static void sums_must(const struct inner *inner, const struct seen *seen)
{
	_cleanup_free_ __u8 *memory = NULL, *other = NULL;
	struct packet p = copy_new(&memory), q = copy_new(&other);
	int whole = !seen->fragment && !(inner->flags & INNER_ROUTED);
	int fits = transport_sum(seen, before, seen->proto) == 0xffff;

	inner_complete(p.data, inner);
	if (whole && (seen->proto == IPPROTO_TCP || seen->proto == IPPROTO_UDP) && fits)
		MUST(!memcmp(p.data, before, before_len));
	inner_complete(p.data, inner);
	memcpy(q.data, p.data, before_len);
	inner_clamp_mss(p.data, inner, 536);
	clamp_must(q.data, p.data, seen, 536);

	inner_checksum(p.data, inner);
	if (!whole || (seen->proto != IPPROTO_TCP && seen->proto != IPPROTO_UDP))
		return;
	if (seen->proto == IPPROTO_TCP)
		MUST(transport_sum(&(struct seen){.len = seen->len,
						  .l4_off = seen->l4_off,
						  .src = p.data + (seen->src - before),
						  .dst = p.data + (seen->dst - before),
						  .addr_len = seen->addr_len},
				   p.data, IPPROTO_TCP) == 0xffff);
}

static void ecn_must(const struct inner *inner)
{
	for (__u8 outer = 0; outer < 4; outer++) {
		_cleanup_free_ __u8 *memory = NULL;
		struct packet p = copy_new(&memory);
		struct seen seen;

		switch (inner_in(p.data, inner, outer)) {
		case XIPSEC_REASON_ECN:
			MUST(outer == 3 && !(inner->tos & 3));
			MUST(!memcmp(p.data, before, before_len));
			continue;
		case XIPSEC_REASON_OPENED_ECN:
			MUST(outer && outer < 3 && (inner->tos & 3) != outer);
			MUST((inner->tos & 3) != 2);
			break;
		case XIPSEC_REASON_UNSPEC: break;
		default: MUST(0);
		}
		MUST(packet_see(p.data, before_len, &seen));
		MUST((seen.tos & 0xfc) == (inner->tos & 0xfc));
		MUST(outer != 3 || (seen.tos & 3) == 3);
		MUST(packet_sum_fits(p.data) == packet_sum_fits(before));
	}
}

static void out_must(const struct inner *inner, __u32 inner_max)
{
	_cleanup_free_ __u8 *memory = NULL;
	struct packet p = copy_new(&memory);
	enum xipsec_reason reason = inner_out(&p, inner, inner_max);

	packet_must_fit(&p, memory, HEADROOM + before_len);
	MUST(p.len == inner->len);
	switch (reason) {
	case XIPSEC_REASON_TTL: MUST(inner->ttl <= 1); break;
	case XIPSEC_REASON_TOO_BIG: MUST(inner->len > inner_max); break;
	default: MUST(!reason && inner->len <= inner_max && inner->ttl > 1);
	}
	if (reason)
		MUST(!memcmp(p.data, before, p.len));
	else
		MUST(p.data[inner->family == 4 ? 8 : 7] == inner->ttl - 1 &&
		     packet_sum_fits(p.data) == packet_sum_fits(before));
}

static void icmp_must(const struct inner *inner, enum xipsec_reason reason, __u32 mtu)
{
	_cleanup_free_ __u8 *memory = NULL;
	struct packet p = copy_new(&memory);
	const struct xipsec_addr src = {.byte = {9, 9, 9, 9}};
	const __u32 head = inner->family == 4 ? 28 : 48;
	struct seen seen;

	p.reason = (__u16)reason;
	p.icmp_mtu = mtu;
	if (icmp_error_build(&p, &src)) {
		packet_must_fit(&p, memory, HEADROOM + before_len);
		MUST(!memcmp(p.data, before, before_len));
		return;
	}
	packet_must_fit(&p, memory, HEADROOM + before_len);
	MUST(packet_see(p.data, p.len, &seen) && seen.len == p.len);
	MUST(packet_sum_fits(p.data) && p.len <= (seen.family == 4 ? 576u : 1280u));
	MUST(seen.family == inner->family && p.len >= head);
	if (seen.family == 4)
		MUST(sum_fold(sum_bytes(0, p.data + 20, p.len - 20)) == 0xffff);
	else
		MUST(transport_sum(&seen, p.data, IPPROTO_ICMPV6) == 0xffff);
	MUST(!memcmp(seen.dst, before + (seen.family == 4 ? 12 : 8), seen.addr_len));
	MUST(!memcmp(p.data + head, before, p.len - head));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	_cleanup_free_ __u8 *packet = NULL;
	__u32 inner_max = take16(&in), off = take8(&in);
	__u8 mend = take8(&in) & 1;
	struct inner inner;
	struct seen seen;

	packet = malloc(in.left ? in.left : 1);
	MUST(packet);
	before = packet;
	before_len = take(&in, packet, (__u32)in.left);
	if (mend)
		packet_mend(before, before_len);
	find_at_run(off);
	if (inner_parse(before, before_len, &inner)) {
		MUST(!packet_sound(before, before_len, &seen));
		return 0;
	}
	parse_must(&inner, &seen);
	sums_must(&inner, &seen);
	ecn_must(&inner);
	out_must(&inner, inner_max);
	icmp_must(&inner, XIPSEC_REASON_TTL, 0);
	icmp_must(&inner, XIPSEC_REASON_TOO_BIG, inner_max);
	transport_must(&inner); /* the last: it mends the checksum in `before` */
	return 0;
}
