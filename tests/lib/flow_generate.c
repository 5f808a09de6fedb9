// SPDX-License-Identifier: BSD-2-Clause
#include <netinet/in.h>
#include <string.h>
#include "tests/lib/draw.h"
#include "tests/lib/spd_generate.h"

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
	} else if (proto_has_ports(flow->l4_proto)) {
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

/* One that the rule takes, or one that it does not: the next from anywhere, so mostly a border. */
static __u8 dscp_of(__u64 *seed, __u64 set)
{
	__u32 dscp = below(seed, 64), wanted = chance(seed, 75);

	if (!set)
		return chance(seed, 80) ? 0 : (__u8)dscp;
	for (unsigned int i = 0; i < 64 && (set >> dscp & 1) != wanted; i++)
		dscp = (dscp + 1) % 64;
	return (__u8)dscp;
}

static void flow_of(__u64 *seed, const struct xipsec_spd_rule *rule, const enum border *border,
		    struct xipsec_flow *flow)
{
	static const __u8 protos[] = {IPPROTO_TCP,    IPPROTO_UDP, IPPROTO_ICMP,
				      IPPROTO_ICMPV6, IPPROTO_ESP, IPPROTO_MH};
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
	flow->l4_proto = sel->any_proto ? protos[below(seed, 6)] : sel->l4_proto;
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
