// SPDX-License-Identifier: BSD-2-Clause
#include "tests/lib/spd_generate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

const char *const spd_shape_name[SHAPE_COUNT] = {"acl",    "fw",    "chain", "mesh",
						 "nested", "ports", "bits"};

__u64 random_next(__u64 *seed)
{
	__u64 x = *seed += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static __u32 below(__u64 *seed, __u32 n)
{
	return (__u32)(random_next(seed) >> 32) % n;
}

/* True `percent` times of a hundred. */
static int chance(__u64 *seed, __u32 percent)
{
	return below(seed, 100) < percent;
}

/* ------------------------------------------------------------------ prefixes */

static void mask_set(struct xipsec_addr *mask, unsigned int bits)
{
	memset(mask, 0, sizeof(*mask));
	for (unsigned int i = 0; i < bits; i++)
		mask->byte[i / 8] |= (__u8)(0x80 >> i % 8);
}

static void addr_mask(struct xipsec_addr *addr, const struct xipsec_addr *mask)
{
	for (unsigned int i = 0; i < 16; i++)
		addr->byte[i] &= mask->byte[i];
}

/* One of `sites` networks of 16 bits (of 32 with IPv6), then anything: so prefixes nest. */
static void prefix_make(__u64 *seed, __u8 family, __u32 sites, unsigned int bits,
			struct xipsec_addr *addr, struct xipsec_addr *mask)
{
	__u32 site = below(seed, sites);
	unsigned int len = family == XIPSEC_FAMILY_IP6 ? 16 : 4, at = 2;

	memset(addr, 0, sizeof(*addr));
	if (family == XIPSEC_FAMILY_IP6) {
		addr->byte[0] = 0x20;
		addr->byte[1] = 1;
		addr->byte[2] = (__u8)(site >> 8);
		addr->byte[3] = (__u8)site;
		at = 4;
	} else {
		addr->byte[0] = (__u8)(10 + site % 190);
		addr->byte[1] = (__u8)(site * 7);
	}
	for (; at < len; at++)
		addr->byte[at] = (__u8)random_next(seed);
	mask_set(mask, bits);
	addr_mask(addr, mask);
}

/* Bits of a prefix as such lists have them, IPv4; IPv6 twice that. */
static unsigned int bits_of(__u64 *seed, enum spd_shape shape, int remote)
{
	static const __u8 acl[] = {32, 32, 32, 30, 28, 27, 26, 25, 24, 24, 24, 23, 22, 21, 20, 16};
	static const __u8 fw[] = {0, 0, 0, 0, 0, 8, 16, 16, 20, 24, 24, 24, 28, 32, 32, 32};
	static const __u8 chain[] = {0, 0, 16, 18, 19, 20, 21, 22, 24, 24, 26, 28, 30, 32, 32, 32};
	__u32 at = below(seed, 16);

	if (shape == SHAPE_ACL)
		return !remote && chance(seed, 15) ? 0 : acl[at];
	return shape == SHAPE_FW ? fw[at] : chain[at];
}

/* ------------------------------------------------------------------ ports */

static void range_any(__u16 *lo, __u16 *hi)
{
	*lo = 0;
	*hi = XIPSEC_PORT_MAX;
}

static void range_make(__u64 *seed, __u16 *lo, __u16 *hi)
{
	__u16 a = (__u16)random_next(seed), b = (__u16)random_next(seed);

	switch (below(seed, 6)) {
	case 0: *lo = 1024, *hi = 65535; break;
	case 1: *lo = 0, *hi = 1023; break;
	case 2: *lo = a, *hi = a; break;
	case 3: *lo = a & 0xff00, *hi = *lo | 0xff; break;
	case 4: *lo = a, *hi = (__u16)(a > 65000 ? 65535 : a + below(seed, 500)); break;
	default: *lo = a < b ? a : b, *hi = a < b ? b : a;
	}
}

static void port_exact(__u64 *seed, __u16 *lo, __u16 *hi)
{
	static const __u16 known[] = {22, 25, 53, 80, 123, 161, 443, 445, 1521, 3306, 5060, 8080};

	*lo = *hi = chance(seed, 60) ? known[below(seed, 12)] : (__u16)random_next(seed);
}

static void ports_make(__u64 *seed, enum spd_shape shape, struct xipsec_selector *sel)
{
	if (sel->any_proto)
		return;
	if (sel->l4_proto == IPPROTO_ICMP || sel->l4_proto == IPPROTO_ICMPV6) {
		if (chance(seed, 50)) {
			sel->icmp_lo = (__u16)(below(seed, 20) << 8);
			sel->icmp_hi = (__u16)(sel->icmp_lo + (below(seed, 3) << 8) + 255);
		}
		return;
	}
	if (sel->l4_proto != IPPROTO_TCP && sel->l4_proto != IPPROTO_UDP)
		return;
	if (shape == SHAPE_ACL ? chance(seed, 85) : chance(seed, 50))
		port_exact(seed, &sel->remote_port_lo, &sel->remote_port_hi);
	else if (chance(seed, shape == SHAPE_ACL ? 30 : 60))
		range_make(seed, &sel->remote_port_lo, &sel->remote_port_hi);
	if (shape == SHAPE_FW && chance(seed, 40))
		range_make(seed, &sel->local_port_lo, &sel->local_port_hi);
	else if (chance(seed, 5))
		port_exact(seed, &sel->local_port_lo, &sel->local_port_hi);
}

static void proto_make(__u64 *seed, enum spd_shape shape, struct xipsec_selector *sel)
{
	__u32 at = below(seed, 100);

	sel->any_proto = shape == SHAPE_ACL ? at < 10 : at < 20;
	if (sel->any_proto)
		return;
	if (at < 65)
		sel->l4_proto = IPPROTO_TCP;
	else if (at < 88)
		sel->l4_proto = IPPROTO_UDP;
	else if (at < 95)
		sel->l4_proto = sel->family == XIPSEC_FAMILY_IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	else
		sel->l4_proto = (__u8)random_next(seed);
}

/* ------------------------------------------------------------------ rules */

static void rule_start(__u64 *seed, __u32 at, struct xipsec_spd_rule *rule)
{
	__u32 what = below(seed, 10);

	memset(rule, 0, sizeof(*rule));
	range_any(&rule->sel.local_port_lo, &rule->sel.local_port_hi);
	range_any(&rule->sel.remote_port_lo, &rule->sel.remote_port_hi);
	range_any(&rule->sel.icmp_lo, &rule->sel.icmp_hi);
	rule->action = what < 3   ? XIPSEC_ACTION_BYPASS
		       : what < 6 ? XIPSEC_ACTION_DISCARD
				  : XIPSEC_ACTION_PROTECT;
	rule->child = rule->action == XIPSEC_ACTION_PROTECT ? below(seed, 6) : 0;
	rule->dirs = chance(seed, 80) ? 3 : (__u8)(1 + below(seed, 2));
	rule->line = at + 1;
}

static void rule_classbench(__u64 *seed, enum spd_shape shape, __u32 n,
			    struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	__u32 sites = n > 2000 ? 400 : 20;
	unsigned int times;

	sel->family = chance(seed, 85) ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6;
	times = sel->family == XIPSEC_FAMILY_IP6 ? 2 : 1;
	prefix_make(seed, sel->family, sites, bits_of(seed, shape, 0) * times, &sel->local,
		    &sel->local_mask);
	prefix_make(seed, sel->family, sites, bits_of(seed, shape, 1) * times, &sel->remote,
		    &sel->remote_mask);
	proto_make(seed, shape, sel);
	ports_make(seed, shape, sel);
}

/* Node i has the pods 10.x.y.0/24 or fd00:x:y::/64 and one address. */
static void rule_mesh(__u32 at, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	__u32 node = at / 2;

	sel->family = XIPSEC_FAMILY_IP4;
	sel->any_proto = 1;
	rule->action = XIPSEC_ACTION_PROTECT;
	rule->child = node;
	rule->dirs = 3;
	if (at % 2 == 0) {
		sel->remote.word[0] = htonl((10U << 24) + (node << 8));
		mask_set(&sel->remote_mask, 24);
	} else {
		sel->remote.word[0] = htonl((172U << 24) + (16U << 16) + node * 3 + 1);
		mask_set(&sel->remote_mask, 32);
	}
}

static void rule_nested(__u64 *seed, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	int ip6 = chance(seed, 30);
	unsigned int most = ip6 ? 128 : 32;
	struct xipsec_addr ones;

	memset(&ones, 0xa5, sizeof(ones));
	sel->family = ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
	for (int side = 0; side < 2; side++) {
		struct xipsec_addr *addr = side ? &sel->remote : &sel->local;
		struct xipsec_addr *mask = side ? &sel->remote_mask : &sel->local_mask;

		*addr = ones;
		addr->byte[(ip6 ? 15 : 3)] = (__u8)below(seed, 4);
		mask_set(mask, below(seed, most + 1));
		addr_mask(addr, mask);
	}
	if (chance(seed, 5)) {
		memset(sel, 0, 4 * sizeof(sel->local));
		sel->family = XIPSEC_FAMILY_ANY;
	}
	proto_make(seed, SHAPE_CHAIN, sel);
}

static void rule_ports(__u64 *seed, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;

	sel->family = XIPSEC_FAMILY_IP4;
	sel->local.byte[0] = 10;
	mask_set(&sel->local_mask, 8);
	sel->l4_proto = chance(seed, 50) ? IPPROTO_TCP : IPPROTO_UDP;
	range_make(seed, &sel->remote_port_lo, &sel->remote_port_hi);
	if (chance(seed, 40))
		range_make(seed, &sel->local_port_lo, &sel->local_port_hi);
	/* narrow enough for hundreds not to lie above one another */
	if (sel->remote_port_hi - sel->remote_port_lo > 1000)
		sel->remote_port_lo = (__u16)(sel->remote_port_hi - below(seed, 1000));
}

static void rule_bits(__u64 *seed, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	unsigned int bit = below(seed, 32);

	sel->family = XIPSEC_FAMILY_IP4;
	sel->local.word[0] = htonl(0x0a0a0a0a);
	sel->remote.word[0] = htonl(0xac1f2e3d);
	mask_set(&sel->local_mask, 32);
	mask_set(&sel->remote_mask, 32);
	sel->l4_proto = IPPROTO_UDP;
	sel->remote_port_lo = sel->remote_port_hi = 500;
	switch (below(seed, 4)) {
	case 0: sel->local.byte[bit / 8] ^= (__u8)(1 << bit % 8); break;
	case 1: sel->remote.byte[bit / 8] ^= (__u8)(1 << bit % 8); break;
	case 2: sel->remote_port_lo = sel->remote_port_hi ^= (__u16)(1 << bit % 16); break;
	default:
		mask_set(&sel->remote_mask, 32 - bit % 4),
			addr_mask(&sel->remote, &sel->remote_mask);
	}
}

static int by_priority(const void *a, const void *b)
{
	const struct xipsec_spd_rule *x = a, *y = b;

	if (x->priority != y->priority)
		return x->priority < y->priority ? -1 : 1;
	return x->line < y->line ? -1 : x->line > y->line;
}

/* People write the narrow before the wide, roughly. */
static void narrow_first(__u64 *seed, struct xipsec_spd_rule *rule, __u32 n)
{
	for (__u32 i = 0; i < n; i++) {
		const struct xipsec_selector *sel = &rule[i].sel;
		__u32 bits = sel->any_proto ? 0 : 8;

		for (unsigned int k = 0; k < 4; k++)
			bits += (__u32)(__builtin_popcount(sel->local_mask.word[k]) +
					__builtin_popcount(sel->remote_mask.word[k]));
		if (sel->family == XIPSEC_FAMILY_IP6)
			bits /= 2;
		bits += sel->remote_port_lo == sel->remote_port_hi ? 8 : 0;
		rule[i].priority = 100 - bits + below(seed, 16);
	}
	qsort(rule, n, sizeof(*rule), by_priority);
	for (__u32 i = 0; i < n; i++) {
		rule[i].priority = 0;
		rule[i].line = i + 1;
	}
}

void spd_generate(enum spd_shape shape, __u64 *seed, struct xipsec_spd_rule *rule, __u32 n)
{
	for (__u32 i = 0; i < n; i++) {
		rule_start(seed, i, &rule[i]);
		switch (shape) {
		case SHAPE_MESH: rule_mesh(i, &rule[i]); break;
		case SHAPE_NESTED: rule_nested(seed, &rule[i]); break;
		case SHAPE_PORTS: rule_ports(seed, &rule[i]); break;
		case SHAPE_BITS: rule_bits(seed, &rule[i]); break;
		default: rule_classbench(seed, shape, n, &rule[i]);
		}
	}
	if (shape == SHAPE_ACL || shape == SHAPE_FW || shape == SHAPE_CHAIN)
		narrow_first(seed, rule, n);
}

/* ------------------------------------------------------------------ packets */

enum border { BORDER_FIRST, BORDER_LAST, BORDER_BEFORE, BORDER_BEYOND, BORDER_INSIDE };

static void addr_step(struct xipsec_addr *addr, unsigned int len, int step)
{
	for (unsigned int i = len; i-- > 0;) {
		addr->byte[i] = (__u8)(addr->byte[i] + step);
		if (addr->byte[i] != (step > 0 ? 0 : 0xff))
			return;
	}
}

static void addr_at(__u64 *seed, enum border border, __u8 family, const struct xipsec_addr *net,
		    const struct xipsec_addr *mask, struct xipsec_addr *addr)
{
	unsigned int len = family == XIPSEC_FAMILY_IP6 ? 16 : 4;
	int high = border == BORDER_LAST || border == BORDER_BEYOND;

	memset(addr, 0, sizeof(*addr));
	for (unsigned int i = 0; i < len; i++) {
		__u8 host = (__u8)~mask->byte[i];

		addr->byte[i] = net->byte[i] | (high ? host : 0);
		if (border == BORDER_INSIDE)
			addr->byte[i] |= (__u8)(host & random_next(seed));
	}
	if (border == BORDER_BEFORE || border == BORDER_BEYOND)
		addr_step(addr, len, high ? 1 : -1);
}

static __u16 port_at(__u64 *seed, enum border border, __u16 lo, __u16 hi)
{
	switch (border) {
	case BORDER_FIRST: return lo;
	case BORDER_LAST: return hi;
	case BORDER_BEFORE: return (__u16)(lo - 1);
	case BORDER_BEYOND: return (__u16)(hi + 1);
	default: return (__u16)(lo + below(seed, (__u32)hi - lo + 1));
	}
}

static void flow_ports(__u64 *seed, const struct xipsec_selector *sel, const enum border *border,
		       struct xipsec_flow *flow)
{
	if (flow->l4_proto == IPPROTO_ICMP || flow->l4_proto == IPPROTO_ICMPV6) {
		flow->icmp = port_at(seed, border[0], sel->icmp_lo, sel->icmp_hi);
	} else if (flow->l4_proto == IPPROTO_TCP || flow->l4_proto == IPPROTO_UDP) {
		flow->local_port = port_at(seed, border[1], sel->local_port_lo, sel->local_port_hi);
		flow->remote_port =
			port_at(seed, border[2], sel->remote_port_lo, sel->remote_port_hi);
	}
}

static void flow_of(__u64 *seed, const struct xipsec_spd_rule *rule, const enum border *border,
		    struct xipsec_flow *flow)
{
	static const __u8 protos[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_ICMPV6, 50};
	const struct xipsec_selector *sel = &rule->sel;

	memset(flow, 0, sizeof(*flow));
	flow->family = sel->family        ? sel->family
		       : chance(seed, 50) ? XIPSEC_FAMILY_IP4
					  : XIPSEC_FAMILY_IP6;
	flow->dir = rule->dirs & (__u8)(1 + below(seed, 2));
	if (!flow->dir)
		flow->dir = rule->dirs & 1 ? 1 : 2;
	addr_at(seed, border[3], flow->family, &sel->local, &sel->local_mask, &flow->local);
	addr_at(seed, border[4], flow->family, &sel->remote, &sel->remote_mask, &flow->remote);
	flow->l4_proto = sel->any_proto ? protos[below(seed, 5)] : sel->l4_proto;
	flow_ports(seed, sel, border, flow);
}

void flow_inside(const struct xipsec_spd_rule *rule, __u64 *seed, struct xipsec_flow *flow)
{
	static const enum border inside[] = {BORDER_INSIDE, BORDER_INSIDE, BORDER_INSIDE,
					     BORDER_INSIDE, BORDER_INSIDE};

	flow_of(seed, rule, inside, flow);
}

void flow_generate(const struct xipsec_spd_rule *rule, __u32 n, __u64 *seed,
		   struct xipsec_flow *flow)
{
	const struct xipsec_spd_rule *near = &rule[below(seed, n)];
	enum border border[5];

	/* One side of another rule: pairs that no rule has. */
	for (unsigned int i = 0; i < 5; i++)
		border[i] = chance(seed, 70) ? BORDER_INSIDE : (enum border)below(seed, 5);
	flow_of(seed, near, border, flow);
	if (chance(seed, 10)) {
		struct xipsec_flow other;

		flow_of(seed, &rule[below(seed, n)], border, &other);
		if (other.family == flow->family)
			flow->remote = other.remote;
	}
	if (chance(seed, 5))
		flow->l4_proto = (__u8)random_next(seed), flow->local_port = 0,
		flow->remote_port = 0, flow->icmp = 0;
	if (chance(seed, 3))
		flow->remote.word[flow->family == XIPSEC_FAMILY_IP6 ? 3 : 0] =
			(__u32)random_next(seed);
	if (chance(seed, 12)) {
		flow->local_port = flow->remote_port = flow->icmp = 0;
		flow->opaque = XIPSEC_OPAQUE_PORTS;
		if (flow->family == XIPSEC_FAMILY_IP6 && chance(seed, 30))
			flow->opaque |= XIPSEC_OPAQUE_PROTO;
	}
}
