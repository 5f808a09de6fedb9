// SPDX-License-Identifier: BSD-2-Clause
#include "tests/lib/spd_generate.h"

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/config_policy.h"
#include "tests/lib/draw.h"

const char *const spd_shape_name[SHAPE_COUNT] = {"acl",   "fw",   "chain",  "mesh", "nested",
						 "ports", "bits", "ranges", "wide"};

/* ------------------------------------------------------------------ prefixes */

/* The prefix of `bits` bits around lo, as lo and hi. */
static void prefix_set(__u8 family, unsigned int bits, struct xipsec_addr *lo,
		       struct xipsec_addr *hi)
{
	*hi = addr_last(lo, family, bits);
	*lo = addr_first(lo, bits);
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

/* Types and codes of ICMP as ranges of any form: codes of a type, whole types, from the middle of
 * one to the middle of another. */
static void icmp_make(__u64 *seed, struct xipsec_selector *sel)
{
	__u32 type = below(seed, chance(seed, 70) ? 20 : 256) << 8, at = type + below(seed, 256);
	__u32 last = at + below(seed, 1500);

	switch (below(seed, 7)) {
	case 0: sel->icmp_lo = sel->icmp_hi = (__u16)(type + below(seed, 16)); break;
	case 1: sel->icmp_lo = (__u16)type, sel->icmp_hi = (__u16)(type + below(seed, 16)); break;
	case 2: sel->icmp_lo = (__u16)type, sel->icmp_hi = (__u16)(type + 255); break;
	case 3: sel->icmp_lo = (__u16)at, sel->icmp_hi = (__u16)(type + 255); break;
	case 4: sel->icmp_lo = (__u16)at; break;
	case 5: sel->icmp_hi = (__u16)at; break;
	default:
		sel->icmp_lo = (__u16)at;
		sel->icmp_hi = (__u16)(last > XIPSEC_PORT_MAX ? XIPSEC_PORT_MAX : last);
	}
}

/* Types of the Mobility Header have no codes. */
static void mh_make(__u64 *seed, struct xipsec_selector *sel)
{
	__u32 first = below(seed, chance(seed, 70) ? 22 : 256), last = first + below(seed, 4);

	if (chance(seed, 20))
		last = 255;
	if (chance(seed, 10))
		first = 0;
	sel->icmp_lo = (__u16)(first << 8);
	sel->icmp_hi = (__u16)((last > 255 ? 255 : last) << 8 | 255);
}

/* One, all but one, a class of eight, a few in a row, any. */
static __u64 dscp_make(__u64 *seed)
{
	__u32 at = below(seed, 64), n = 1 + below(seed, 64 - at);

	switch (below(seed, 5)) {
	case 0: return 1ULL << at;
	case 1: return ~(1ULL << at);
	case 2: return 0xffULL << (at & 56);
	case 3: return ~0ULL >> (64 - n) << at;
	default: return random_next(seed);
	}
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

/* One side: anything between two addresses of the whole net, a range about a site, a prefix of any
 * length, all. */
static void side_wide(__u64 *seed, __u8 family, __u32 sites, struct xipsec_addr *lo,
		      struct xipsec_addr *hi)
{
	__u32 kind = below(seed, 100);
	wide a = draw_wide(seed, family), b = draw_wide(seed, family);

	if (kind < 15) {
		addr_of(a < b ? a : b, family, lo);
		addr_of(a < b ? b : a, family, hi);
	} else if (kind < 65) {
		range_addr(seed, family, sites, lo, hi);
	} else if (kind < 90) {
		prefix_make(seed, family, sites, below(seed, addr_bits(family) + 1), lo, hi);
	}
}

static void proto_wide(__u64 *seed, struct xipsec_selector *sel)
{
	static const __u8 protos[] = {IPPROTO_TCP,  IPPROTO_TCP,     IPPROTO_UDP, IPPROTO_UDP,
				      IPPROTO_SCTP, IPPROTO_UDPLITE, IPPROTO_DCCP};
	bool ip6 = sel->family == XIPSEC_FAMILY_IP6;
	__u32 kind = below(seed, 100);

	sel->any_proto = kind < 10;
	if (sel->any_proto)
		return;
	sel->l4_proto = protos[below(seed, 7)];
	if (kind < 35)
		sel->l4_proto = ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	else if (kind < 50 && ip6)
		sel->l4_proto = IPPROTO_MH;
	if (sel->l4_proto == IPPROTO_MH && chance(seed, 80))
		mh_make(seed, sel);
	if (kind < 35 && chance(seed, 80))
		icmp_make(seed, sel);
	if (proto_has_ports(sel->l4_proto) && chance(seed, 75))
		range_make(seed, &sel->remote_port_lo, &sel->remote_port_hi);
	if (proto_has_ports(sel->l4_proto) && chance(seed, 50))
		range_make(seed, &sel->local_port_lo, &sel->local_port_hi);
}

/* All that can be asked for at once: where few of these stand among many, they lie above all. */
static void rule_wide(__u64 *seed, __u32 n, struct xipsec_spd_rule *rule)
{
	struct xipsec_selector *sel = &rule->sel;
	__u32 sites = n > 2000 ? 400 : 4;

	selector_family(sel, chance(seed, 50) ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6);
	side_wide(seed, sel->family, sites, &sel->local_lo, &sel->local_hi);
	side_wide(seed, sel->family, sites, &sel->remote_lo, &sel->remote_hi);
	proto_wide(seed, sel);
	rule->dev = chance(seed, 20) ? (__u16)(1 + below(seed, 3)) : 0;
	if (chance(seed, 30))
		sel->dscp = dscp_make(seed);
	if (chance(seed, 20))
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
		case SHAPE_WIDE: rule_wide(seed, n, &rule[i]); break;
		default: rule_classbench(seed, shape, n, &rule[i]);
		}
	}
	if (shape == SHAPE_ACL || shape == SHAPE_FW || shape == SHAPE_CHAIN)
		narrow_first(seed, rule, n);
}
