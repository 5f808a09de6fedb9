// SPDX-License-Identifier: BSD-2-Clause
#include "tests/lib/spd_reference.h"

#include <stdbool.h>
#include <string.h>
#include <netinet/in.h>

/* Network byte order: as numbers, addresses compare as their bytes do. */
static bool between(const struct xipsec_addr *addr, const struct xipsec_addr *lo,
		    const struct xipsec_addr *hi)
{
	return memcmp(lo->byte, addr->byte, 16) <= 0 && memcmp(addr->byte, hi->byte, 16) <= 0;
}

static bool has_dscp(const struct xipsec_selector *sel, __u8 dscp)
{
	for (unsigned int i = 0; i < 64; i++)
		if (i == dscp && (sel->dscp & 1ULL << i))
			return true;
	return sel->dscp == 0;
}

static bool in_range(__u16 value, __u16 lo, __u16 hi)
{
	return lo <= value && value <= hi;
}

static bool asks_for_ports(const struct xipsec_selector *sel)
{
	return sel->local_port_lo != 0 || sel->local_port_hi != 65535 || sel->remote_port_lo != 0 ||
	       sel->remote_port_hi != 65535 || sel->icmp_lo != 0 || sel->icmp_hi != 65535;
}

enum fit { FITS_NOT, FITS_PERHAPS, FITS };

static enum fit fit(const struct xipsec_spd_rule *rule, const struct xipsec_flow *flow)
{
	const struct xipsec_selector *sel = &rule->sel;
	bool proto_hidden = flow->opaque & XIPSEC_OPAQUE_PROTO;
	bool ports_hidden = flow->opaque != 0;

	if ((rule->dirs & flow->dir) == 0)
		return FITS_NOT;
	if (rule->dev != 0 && rule->dev != flow->dev)
		return FITS_NOT;
	if (sel->family != XIPSEC_FAMILY_ANY && sel->family != flow->family)
		return FITS_NOT;
	if (!between(&flow->remote, &sel->remote_lo, &sel->remote_hi) ||
	    !between(&flow->local, &sel->local_lo, &sel->local_hi))
		return FITS_NOT;
	if (!has_dscp(sel, flow->dscp))
		return FITS_NOT;
	if ((sel->opaque & XIPSEC_OPAQUE_PROTO) && !proto_hidden)
		return FITS_NOT;
	if ((sel->opaque & XIPSEC_OPAQUE_PORTS) && !ports_hidden)
		return FITS_NOT;
	if (!sel->any_proto && !proto_hidden && sel->l4_proto != flow->l4_proto)
		return FITS_NOT;
	if (asks_for_ports(sel) && !ports_hidden &&
	    !(in_range(flow->local_port, sel->local_port_lo, sel->local_port_hi) &&
	      in_range(flow->remote_port, sel->remote_port_lo, sel->remote_port_hi) &&
	      in_range(flow->icmp, sel->icmp_lo, sel->icmp_hi)))
		return FITS_NOT;
	if (!sel->any_proto && proto_hidden)
		return FITS_PERHAPS;
	if (asks_for_ports(sel) && ports_hidden)
		return FITS_PERHAPS;
	return FITS;
}

static struct reference_answer says(const struct xipsec_spd_rule *rule, __u32 place)
{
	struct reference_answer answer = {.verdict = REFERENCE_DISCARD, .rule = place};

	if (rule->action == XIPSEC_ACTION_BYPASS)
		answer.verdict = REFERENCE_BYPASS;
	if (rule->action == XIPSEC_ACTION_PROTECT) {
		answer.verdict = REFERENCE_PROTECT;
		answer.child = rule->child;
	}
	return answer;
}

struct reference_answer reference_search(const struct xipsec_spd_rule *rule, __u32 n,
					 const struct xipsec_flow *flow)
{
	const struct reference_answer opaque = {.verdict = REFERENCE_OPAQUE, .rule = ~0U};
	const struct reference_answer none = {.verdict = REFERENCE_NONE, .rule = ~0U};
	struct reference_answer perhaps = none, this;

	for (__u32 i = 0; i < n; i++) {
		enum fit fits = fit(&rule[i], flow);

		if (fits == FITS_NOT)
			continue;
		this = says(&rule[i], i);
		if (perhaps.verdict != REFERENCE_NONE &&
		    (perhaps.verdict != this.verdict || perhaps.child != this.child))
			return opaque;
		if (fits == FITS)
			return this;
		perhaps = this;
	}
	/* The nominal last entry discards: what would not be discarded contradicts it. */
	if (perhaps.verdict == REFERENCE_BYPASS || perhaps.verdict == REFERENCE_PROTECT)
		return opaque;
	return none;
}
