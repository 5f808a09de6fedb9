// SPDX-License-Identifier: BSD-2-Clause
#include "tests/lib/spd_generate.h"
#include "lib/addr.h"
#include "lib/config_policy.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

const char *const spd_shape_name[SHAPE_COUNT] = {"acl",    "fw",    "chain", "mesh",
						 "nested", "ports", "bits",  "ranges"};

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

__extension__ typedef unsigned __int128 wide;

/* The prefix of `bits` bits around lo, as lo and hi. */
static void prefix_set(__u8 family, unsigned int bits, struct xipsec_addr *lo,
		       struct xipsec_addr *hi)
{
	*hi = addr_last(lo, family, bits);
	*lo = addr_first(lo, bits);
}

/* As a number; those of IPv4 have 32 bits. */
static wide wide_of(const struct xipsec_addr *addr, __u8 family)
{
	wide number = 0;

	for (unsigned int i = 0; i < addr_bits(family) / 8; i++)
		number = number << 8 | addr->byte[i];
	return number;
}

static void addr_of(wide number, __u8 family, struct xipsec_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	for (unsigned int i = addr_bits(family) / 8; i-- > 0; number >>= 8)
		addr->byte[i] = (__u8)number;
}

/* One of `sites` networks of 16 bits (of 32 with IPv6), then anything: so prefixes nest. */
static void prefix_make(__u64 *seed, __u8 family, __u32 sites, unsigned int bits,
			struct xipsec_addr *lo, struct xipsec_addr *hi)
{
	__u32 site = below(seed, sites);
	unsigned int len = family == XIPSEC_FAMILY_IP6 ? 16 : 4, at = 2;

	memset(lo, 0, sizeof(*lo));
	if (family == XIPSEC_FAMILY_IP6) {
		lo->byte[0] = 0x20;
		lo->byte[1] = 1;
		lo->byte[2] = (__u8)(site >> 8);
		lo->byte[3] = (__u8)site;
		at = 4;
	} else {
		lo->byte[0] = (__u8)(10 + site % 190);
		lo->byte[1] = (__u8)(site * 7);
	}
	for (; at < len; at++)
		lo->byte[at] = (__u8)random_next(seed);
	prefix_set(family, bits, lo, hi);
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
	addr_any(XIPSEC_FAMILY_ANY, &rule->sel.local_lo, &rule->sel.local_hi);
	addr_any(XIPSEC_FAMILY_ANY, &rule->sel.remote_lo, &rule->sel.remote_hi);
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
	prefix_make(seed, sel->family, sites, bits_of(seed, shape, 0) * times, &sel->local_lo,
		    &sel->local_hi);
	prefix_make(seed, sel->family, sites, bits_of(seed, shape, 1) * times, &sel->remote_lo,
		    &sel->remote_hi);
	proto_make(seed, shape, sel);
	ports_make(seed, shape, sel);
}

/* Node i has the pods 10.x.y.0/24 or fd00:x:y::/64 and one address. */
static void rule_mesh(__u32 at, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	__u32 node = at / 2;

	selector_family(sel, XIPSEC_FAMILY_IP4);
	sel->any_proto = 1;
	rule->action = XIPSEC_ACTION_PROTECT;
	rule->child = node;
	rule->dirs = 3;
	if (at % 2 == 0) {
		sel->remote_lo.word[0] = htonl((10U << 24) + (node << 8));
		prefix_set(sel->family, 24, &sel->remote_lo, &sel->remote_hi);
	} else {
		sel->remote_lo.word[0] = htonl((172U << 24) + (16U << 16) + node * 3 + 1);
		prefix_set(sel->family, 32, &sel->remote_lo, &sel->remote_hi);
	}
}

static void rule_nested(__u64 *seed, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	int ip6 = chance(seed, 30);
	unsigned int most = ip6 ? 128 : 32;

	sel->family = ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
	for (int side = 0; side < 2; side++) {
		struct xipsec_addr *lo = side ? &sel->remote_lo : &sel->local_lo;
		struct xipsec_addr *hi = side ? &sel->remote_hi : &sel->local_hi;

		memset(lo, 0, sizeof(*lo));
		memset(lo, 0xa5, most / 8);
		lo->byte[(ip6 ? 15 : 3)] = (__u8)below(seed, 4);
		prefix_set(sel->family, below(seed, most + 1), lo, hi);
	}
	if (chance(seed, 5))
		selector_family(sel, XIPSEC_FAMILY_ANY);
	proto_make(seed, SHAPE_CHAIN, sel);
}

static void rule_ports(__u64 *seed, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;

	selector_family(sel, XIPSEC_FAMILY_IP4);
	sel->local_lo.byte[0] = 10;
	prefix_set(sel->family, 8, &sel->local_lo, &sel->local_hi);
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
	unsigned int bit = below(seed, 32), bits = 32;

	selector_family(sel, XIPSEC_FAMILY_IP4);
	sel->local_lo.word[0] = htonl(0x0a0a0a0a);
	sel->remote_lo.word[0] = htonl(0xac1f2e3d);
	sel->l4_proto = IPPROTO_UDP;
	sel->remote_port_lo = sel->remote_port_hi = 500;
	switch (below(seed, 4)) {
	case 0: sel->local_lo.byte[bit / 8] ^= (__u8)(1 << bit % 8); break;
	case 1: sel->remote_lo.byte[bit / 8] ^= (__u8)(1 << bit % 8); break;
	case 2: sel->remote_port_lo = sel->remote_port_hi ^= (__u16)(1 << bit % 16); break;
	default: bits -= bit % 4;
	}
	prefix_set(sel->family, 32, &sel->local_lo, &sel->local_hi);
	prefix_set(sel->family, bits, &sel->remote_lo, &sel->remote_hi);
}

/* Any two addresses near one of `sites`, the second up to some power of 2 behind the first: ranges
 * that cross round numbers, nest, overlap, touch. */
static void range_addr(__u64 *seed, __u8 family, __u32 sites, struct xipsec_addr *lo,
		       struct xipsec_addr *hi)
{
	unsigned int bits = addr_bits(family), tail = 1 + below(seed, bits / 2);
	wide span = ((wide)random_next(seed) << 64 | random_next(seed)) >> (128 - tail);
	wide at;

	prefix_make(seed, family, sites, bits, lo, hi);
	if (chance(seed, 50)) /* about a round number */
		*lo = addr_first(lo, bits - below(seed, bits / 2));
	at = wide_of(lo, family) - (chance(seed, 50) ? below(seed, 6) : 0);
	addr_of(at, family, lo);
	addr_of(at + span < at || (family == XIPSEC_FAMILY_IP4 && (at + span) >> 32) ? at
										     : at + span,
		family, hi);
}

static void sides_make(__u64 *seed, __u32 sites, struct xipsec_selector *sel)
{
	selector_family(sel, chance(seed, 60) ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6);
	for (int side = 0; side < 2; side++) {
		struct xipsec_addr *lo = side ? &sel->remote_lo : &sel->local_lo;
		struct xipsec_addr *hi = side ? &sel->remote_hi : &sel->local_hi;
		__u32 kind = below(seed, 10);

		if (kind < 6)
			range_addr(seed, sel->family, sites, lo, hi);
		else if (kind < 8)
			prefix_make(seed, sel->family, sites, addr_bits(sel->family) - kind, lo,
				    hi);
	}
	if (chance(seed, 5))
		selector_family(sel, XIPSEC_FAMILY_ANY);
	proto_make(seed, SHAPE_CHAIN, sel);
	if (sel->family == XIPSEC_FAMILY_IP6 && chance(seed, 10)) {
		sel->any_proto = 0;
		sel->l4_proto = IPPROTO_MH;
	}
}

static void hidden_make(__u64 *seed, struct xipsec_selector *sel)
{
	if (!chance(seed, 25) || !(sel->any_proto || sel->l4_proto == IPPROTO_TCP))
		return;
	sel->opaque = XIPSEC_OPAQUE_PORTS;
	if (sel->any_proto && chance(seed, 50))
		sel->opaque |= XIPSEC_OPAQUE_PROTO;
	range_any(&sel->local_port_lo, &sel->local_port_hi);
	range_any(&sel->remote_port_lo, &sel->remote_port_hi);
}

/* What ranges of addresses, DSCPs and hidden ports can be; some differ from one before in the last
 * two alone. */
static void rule_ranges(__u64 *seed, __u32 n, __u32 at, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;

	if (at > 3 && chance(seed, 40)) {
		*sel = rule[-1 - (int)below(seed, 3)].sel;
		sel->dscp = 0;
		sel->opaque = 0; /* and perhaps of another interface */
	} else {
		sides_make(seed, n > 2000 ? 400 : 2, sel);
		ports_make(seed, SHAPE_CHAIN, sel);
		if (!sel->any_proto && sel->l4_proto == IPPROTO_MH) {
			sel->icmp_lo = (__u16)(below(seed, 4) << 8);
			sel->icmp_hi = (__u16)(sel->icmp_lo + (below(seed, 3) << 8) + 255);
		}
	}
	rule->dev = chance(seed, 30) ? (__u16)(1 + below(seed, 3)) : 0;
	if (chance(seed, 20))
		sel->dscp = chance(seed, 50) ? 1ULL << below(seed, 64) : random_next(seed);
	hidden_make(seed, sel);
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

		bits += (addr_common(&sel->local_lo, &sel->local_hi, sel->family) +
			 addr_common(&sel->remote_lo, &sel->remote_hi, sel->family)) /
			(sel->family == XIPSEC_FAMILY_IP6 ? 2 : 1);
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
		case SHAPE_RANGES: rule_ranges(seed, n, i, &rule[i]); break;
		default: rule_classbench(seed, shape, n, &rule[i]);
		}
	}
	if (shape == SHAPE_ACL || shape == SHAPE_FW || shape == SHAPE_CHAIN)
		narrow_first(seed, rule, n);
}

/* ------------------------------------------------------------------ packets */

enum border { BORDER_FIRST, BORDER_LAST, BORDER_BEFORE, BORDER_BEYOND, BORDER_INSIDE };

static void addr_at(__u64 *seed, enum border border, __u8 family, const struct xipsec_addr *first,
		    const struct xipsec_addr *last, struct xipsec_addr *addr)
{
	wide lo = wide_of(first, family), hi = wide_of(last, family), at = lo;
	wide random = (wide)random_next(seed) << 64 | random_next(seed);

	switch (border) {
	case BORDER_FIRST: break;
	case BORDER_LAST: at = hi; break;
	case BORDER_BEFORE: at = lo - 1; break;
	case BORDER_BEYOND: at = hi + 1; break;
	default: at = hi - lo + 1 ? lo + random % (hi - lo + 1) : random;
	}
	addr_of(at, family, addr);
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
	if (flow->l4_proto == IPPROTO_MH) {
		flow->icmp = port_at(seed, border[0], sel->icmp_lo, sel->icmp_hi) & 0xff00;
	} else if (flow->l4_proto == IPPROTO_ICMP || flow->l4_proto == IPPROTO_ICMPV6) {
		flow->icmp = port_at(seed, border[0], sel->icmp_lo, sel->icmp_hi);
	} else if (flow->l4_proto == IPPROTO_TCP || flow->l4_proto == IPPROTO_UDP) {
		flow->local_port = port_at(seed, border[1], sel->local_port_lo, sel->local_port_hi);
		flow->remote_port =
			port_at(seed, border[2], sel->remote_port_lo, sel->remote_port_hi);
	}
}

static void flow_hide(struct xipsec_flow *flow, __u8 opaque)
{
	flow->local_port = flow->remote_port = flow->icmp = 0;
	flow->opaque = opaque | XIPSEC_OPAQUE_PORTS;
}

static __u8 dscp_of(__u64 *seed, __u64 set)
{
	__u8 dscp = (__u8)below(seed, 64);

	if (!set)
		return chance(seed, 80) ? 0 : dscp;
	while (chance(seed, 95) && !(set >> dscp & 1))
		dscp = (dscp + 1) % 64;
	return dscp;
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
	addr_at(seed, border[3], flow->family, &sel->local_lo, &sel->local_hi, &flow->local);
	addr_at(seed, border[4], flow->family, &sel->remote_lo, &sel->remote_hi, &flow->remote);
	flow->l4_proto = sel->any_proto ? protos[below(seed, 5)] : sel->l4_proto;
	flow_ports(seed, sel, border, flow);
	flow->dscp = dscp_of(seed, sel->dscp);
	flow->dev = rule->dev && chance(seed, 70) ? rule->dev : (__u16)below(seed, 4);
	if (sel->opaque && chance(seed, 90))
		flow_hide(flow, sel->opaque);
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
		flow_hide(flow, 0);
		if (flow->family == XIPSEC_FAMILY_IP6 && chance(seed, 30))
			flow->opaque |= XIPSEC_OPAQUE_PROTO;
	}
}
