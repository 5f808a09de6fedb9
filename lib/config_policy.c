// SPDX-License-Identifier: BSD-2-Clause
/* policies {}: each policy becomes one rule for every pair of its local and remote prefixes. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/config_key.h"
#include "lib/config_policy.h"
#include "lib/config_section.h"

#define ACTION_CONNECTIONS 100 /* no rule: here stand those of connections {} */

struct policy_draft {
	unsigned int action;
	unsigned int dirs;
	char child[XIPSEC_NAME_LEN];
	char dev[XIPSEC_IFNAME_LEN];
	struct config_nets local, remote;
	bool any_proto, opaque_proto;
	__u8 l4_proto;
	bool has_type, has_code, has_mh;
	struct config_ranges local_port, remote_port, type, mh;
	struct config_range code;
	__u64 dscp;
};

const struct xipsec_selector selector_any = {
	.local_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
	.remote_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
	.local_port_hi = XIPSEC_PORT_MAX,
	.remote_port_hi = XIPSEC_PORT_MAX,
	.icmp_hi = XIPSEC_PORT_MAX,
	.any_proto = 1,
};

static void side_set(const struct config_net *net, __u8 family, struct xipsec_addr *lo,
		     struct xipsec_addr *hi)
{
	addr_any(family, lo, hi);
	if (net->family) {
		*lo = net->lo;
		*hi = net->hi;
	}
}

unsigned int selector_pairs(const struct config_nets *local, const struct config_nets *remote,
			    const struct xipsec_selector *base,
			    void (*make)(const struct xipsec_selector *sel, void *into), void *into)
{
	struct config_net any = {.family = XIPSEC_FAMILY_ANY};
	unsigned int n = 0, n_local = local->n ? local->n : 1, n_remote = remote->n ? remote->n : 1;

	addr_any(XIPSEC_FAMILY_ANY, &any.lo, &any.hi);
	for (unsigned int i = 0; i < n_local; i++) {
		const struct config_net *l = local->n ? &local->net[i] : &any;

		for (unsigned int k = 0; k < n_remote; k++) {
			const struct config_net *r = remote->n ? &remote->net[k] : &any;
			struct xipsec_selector sel = *base;

			if (l->family && r->family && l->family != r->family)
				continue;
			sel.family = l->family ? l->family : r->family;
			if (base->family && sel.family && base->family != sel.family)
				continue;
			if (!sel.family)
				sel.family = base->family;
			side_set(l, sel.family, &sel.local_lo, &sel.local_hi);
			side_set(r, sel.family, &sel.remote_lo, &sel.remote_hi);
			make(&sel, into);
			n++;
		}
	}
	return n;
}

void selector_family(struct xipsec_selector *sel, __u8 family)
{
	sel->family = family;
	addr_any(family, &sel->local_lo, &sel->local_hi);
	addr_any(family, &sel->remote_lo, &sel->remote_hi);
}

static bool net_within(const struct xipsec_addr *inner_lo, const struct xipsec_addr *inner_hi,
		       const struct xipsec_addr *outer_lo, const struct xipsec_addr *outer_hi)
{
	return addr_compare(inner_lo, outer_lo) >= 0 && addr_compare(inner_hi, outer_hi) <= 0;
}

bool selector_dscp_within(__u64 inner, __u64 outer)
{
	return !outer || (inner && !(inner & ~outer));
}

bool selector_within(const struct xipsec_selector *inner, const struct xipsec_selector *outer)
{
	if (outer->family && inner->family != outer->family)
		return false;
	if (!outer->any_proto && (inner->any_proto || inner->l4_proto != outer->l4_proto))
		return false;
	if (outer->opaque & ~inner->opaque)
		return false;
	return selector_dscp_within(inner->dscp, outer->dscp) &&
	       net_within(&inner->local_lo, &inner->local_hi, &outer->local_lo, &outer->local_hi) &&
	       net_within(&inner->remote_lo, &inner->remote_hi, &outer->remote_lo,
			  &outer->remote_hi) &&
	       inner->local_port_lo >= outer->local_port_lo &&
	       inner->local_port_hi <= outer->local_port_hi &&
	       inner->remote_port_lo >= outer->remote_port_lo &&
	       inner->remote_port_hi <= outer->remote_port_hi && inner->icmp_lo >= outer->icmp_lo &&
	       inner->icmp_hi <= outer->icmp_hi;
}

static bool net_meet(const struct xipsec_addr *a_lo, const struct xipsec_addr *a_hi,
		     const struct xipsec_addr *b_lo, const struct xipsec_addr *b_hi,
		     struct xipsec_addr *lo, struct xipsec_addr *hi)
{
	*lo = addr_compare(a_lo, b_lo) > 0 ? *a_lo : *b_lo;
	*hi = addr_compare(a_hi, b_hi) < 0 ? *a_hi : *b_hi;
	return addr_compare(lo, hi) <= 0;
}

static bool range_meet(__u16 a_lo, __u16 a_hi, __u16 b_lo, __u16 b_hi, __u16 *lo, __u16 *hi)
{
	*lo = a_lo > b_lo ? a_lo : b_lo;
	*hi = a_hi < b_hi ? a_hi : b_hi;
	return *lo <= *hi;
}

/* What of a selector is no range. */
static bool values_meet(const struct xipsec_selector *a, const struct xipsec_selector *b)
{
	return (!a->family || !b->family || a->family == b->family) &&
	       (a->any_proto || b->any_proto || a->l4_proto == b->l4_proto) &&
	       (!a->dscp || !b->dscp || (a->dscp & b->dscp));
}

bool selector_meet(const struct xipsec_selector *a, const struct xipsec_selector *b,
		   struct xipsec_selector *both)
{
	struct xipsec_selector met = {
		.family = a->family ? a->family : b->family,
		.any_proto = a->any_proto && b->any_proto,
		.l4_proto = a->any_proto ? b->l4_proto : a->l4_proto,
		.opaque = a->opaque | b->opaque,
		.dscp = a->dscp && b->dscp ? a->dscp & b->dscp : a->dscp | b->dscp,
	};

	if (!values_meet(a, b) ||
	    !net_meet(&a->local_lo, &a->local_hi, &b->local_lo, &b->local_hi, &met.local_lo,
		      &met.local_hi) ||
	    !net_meet(&a->remote_lo, &a->remote_hi, &b->remote_lo, &b->remote_hi, &met.remote_lo,
		      &met.remote_hi) ||
	    !range_meet(a->local_port_lo, a->local_port_hi, b->local_port_lo, b->local_port_hi,
			&met.local_port_lo, &met.local_port_hi) ||
	    !range_meet(a->remote_port_lo, a->remote_port_hi, b->remote_port_lo, b->remote_port_hi,
			&met.remote_port_lo, &met.remote_port_hi) ||
	    !range_meet(a->icmp_lo, a->icmp_hi, b->icmp_lo, b->icmp_hi, &met.icmp_lo, &met.icmp_hi))
		return false;
	*both = met;
	return true;
}

/* ------------------------------------------------------------------ keys */

static bool key_action(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word actions[] = {
		{"bypass", XIPSEC_ACTION_BYPASS},
		{"discard", XIPSEC_ACTION_DISCARD},
		{"protect", XIPSEC_ACTION_PROTECT},
		{"connections", ACTION_CONNECTIONS},
		{NULL, 0},
	};
	struct policy_draft *policy = into;

	return parse_word(diag, node, actions, &policy->action);
}

static bool key_direction(struct config_diag *diag, const struct config_node *node, void *into)
{
	static const struct config_word directions[] = {
		{"out", XIPSEC_DIR_OUT},
		{"in", XIPSEC_DIR_IN},
		{"both", XIPSEC_DIR_OUT | XIPSEC_DIR_IN},
		{NULL, 0},
	};
	struct policy_draft *policy = into;

	return parse_word(diag, node, directions, &policy->dirs);
}

static bool key_child(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_name(diag, node, policy->child, sizeof(policy->child));
}

static bool key_dev(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_name(diag, node, policy->dev, sizeof(policy->dev));
}

static bool key_local(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_nets(diag, node, &policy->local);
}

static bool key_remote(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_nets(diag, node, &policy->remote);
}

static bool key_proto(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->opaque_proto = strcasecmp(node->value, "opaque") == 0;
	if (policy->opaque_proto)
		return true;
	return parse_proto(diag, node, &policy->l4_proto, &policy->any_proto);
}

static bool key_local_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_ranges(diag, node, XIPSEC_PORT_MAX, &policy->local_port);
}

static bool key_remote_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_ranges(diag, node, XIPSEC_PORT_MAX, &policy->remote_port);
}

static bool key_icmp_type(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_type = true;
	return parse_ranges(diag, node, 255, &policy->type);
}

static bool key_icmp_code(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_code = true;
	return parse_range(diag, node, 255, &policy->code);
}

static bool key_mh_type(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_mh = true;
	return parse_ranges(diag, node, 255, &policy->mh);
}

static bool key_dscp(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_dscps(diag, node, &policy->dscp);
}

/* ------------------------------------------------------------------ what fits together */

static bool has_ports(__u8 l4_proto)
{
	return l4_proto == IPPROTO_TCP || l4_proto == IPPROTO_UDP || l4_proto == IPPROTO_SCTP ||
	       l4_proto == IPPROTO_DCCP || l4_proto == IPPROTO_UDPLITE;
}

static void ports_fit(struct config_diag *diag, const struct config_node *node,
		      const struct policy_draft *policy)
{
	bool numbers = policy->local_port.n || policy->remote_port.n;
	bool hidden = policy->local_port.opaque || policy->remote_port.opaque;

	if (numbers && hidden)
		config_error(diag, &node->place,
			     "%s: a packet hides both ports or none: expected opaque alone, or "
			     "local_port = opaque and remote_port = opaque",
			     node->name);
	else if (numbers && (policy->any_proto || !has_ports(policy->l4_proto)))
		config_error(diag, &node->place,
			     "%s has ports, but its protocol has none: expected proto = tcp, udp, "
			     "sctp, dccp or udplite",
			     node->name);
	else if (hidden && !policy->any_proto && !has_ports(policy->l4_proto))
		config_error(diag, &node->place,
			     "%s has opaque ports, but its protocol has none: expected proto = "
			     "any, tcp, udp, sctp, dccp or udplite",
			     node->name);
}

static void types_fit(struct config_diag *diag, const struct config_node *node,
		      const struct policy_draft *policy)
{
	bool icmp = !policy->any_proto &&
		    (policy->l4_proto == IPPROTO_ICMP || policy->l4_proto == IPPROTO_ICMPV6);

	if ((policy->has_type || policy->has_code) && !icmp)
		config_error(diag, &node->place,
			     "%s has icmp_type or icmp_code for another protocol: expected "
			     "proto = icmp or ipv6-icmp",
			     node->name);
	if (policy->has_code &&
	    (policy->type.n != 1 || policy->type.range[0].lo != policy->type.range[0].hi))
		config_error(diag, &node->place,
			     "%s has icmp_code without one icmp_type: expected icmp_type = N",
			     node->name);
	if (policy->has_mh && (policy->any_proto || policy->l4_proto != IPPROTO_MH))
		config_error(diag, &node->place,
			     "%s has mh_type for another protocol: expected proto = "
			     "mobility-header",
			     node->name);
	if (policy->type.opaque || policy->mh.opaque)
		config_error(diag, &node->place,
			     "%s: expected icmp_type and mh_type as numbers or any; "
			     "local_port = opaque is for what hides ports",
			     node->name);
}

static bool policy_fits(struct config_diag *diag, const struct config_node *node,
			const struct policy_draft *policy)
{
	unsigned int before = diag->errors;

	ports_fit(diag, node, policy);
	types_fit(diag, node, policy);
	if (policy->dev[0] && policy->dirs == (XIPSEC_DIR_OUT | XIPSEC_DIR_IN))
		config_error(diag, &node->place,
			     "%s has dev for both directions, but what goes out came in by another "
			     "interface than what comes back: expected direction = out or in",
			     node->name);
	if (policy->child[0] && policy->action != XIPSEC_ACTION_PROTECT)
		config_error(diag, &node->place,
			     "%s names a child, but does not protect: expected action = protect",
			     node->name);
	return diag->errors == before;
}

/* All but addresses, ports and types. */
static struct xipsec_selector policy_selector(const struct policy_draft *policy)
{
	struct xipsec_selector sel = selector_any;

	sel.any_proto = policy->any_proto;
	sel.dscp = policy->dscp;
	if (policy->opaque_proto) {
		/* an IPv4 header hides no protocol */
		sel.family = XIPSEC_FAMILY_IP6;
		sel.opaque = XIPSEC_OPAQUE_PROTO | XIPSEC_OPAQUE_PORTS;
	} else if (policy->local_port.opaque || policy->remote_port.opaque) {
		sel.opaque = XIPSEC_OPAQUE_PORTS;
	}
	if (policy->any_proto)
		return sel;
	sel.l4_proto = policy->l4_proto;
	/* each ICMP belongs to one family, also where no address says which */
	if (policy->l4_proto == IPPROTO_ICMP)
		sel.family = XIPSEC_FAMILY_IP4;
	else if (policy->l4_proto == IPPROTO_ICMPV6 || policy->l4_proto == IPPROTO_MH)
		sel.family = XIPSEC_FAMILY_IP6;
	return sel;
}

/* ------------------------------------------------------------------ rules */

static void rule_count(const struct xipsec_selector *sel, void *into)
{
	(*(unsigned int *)into)++;
}

struct rule_template {
	struct config_policy *policy;
	struct xipsec_spd_rule rule;
};

static void rule_add(const struct xipsec_selector *sel, void *into)
{
	struct rule_template *template = into;
	struct xipsec_spd_rule *rule = &template->policy->rules[template->policy->n_rules++];

	*rule = template->rule;
	rule->sel = *sel;
}

static const struct config_ranges any_range = {.n = 1, .range = {{0, XIPSEC_PORT_MAX}}};

static const struct config_ranges *or_any(const struct config_ranges *ranges)
{
	return ranges->n ? ranges : &any_range;
}

/* The ranges of `icmp_lo` to `icmp_hi`: types with their codes. */
static struct config_ranges types_of(const struct policy_draft *policy)
{
	const struct config_ranges *from = policy->has_mh ? &policy->mh : &policy->type;
	struct config_ranges to = {.n = from->n};

	for (unsigned int i = 0; i < from->n; i++) {
		to.range[i].lo = from->range[i].lo << 8 | policy->code.lo;
		to.range[i].hi = from->range[i].hi << 8 | policy->code.hi;
	}
	return to;
}

/* A rule for each way to take one of every list: RFC 4301 4.4.1.1's lists of ranges. */
static unsigned int policy_make(const struct policy_draft *draft,
				const struct xipsec_selector *base,
				void (*make)(const struct xipsec_selector *sel, void *into),
				void *into)
{
	const struct config_ranges types = types_of(draft), *type = or_any(&types),
				   *local = or_any(&draft->local_port),
				   *remote = or_any(&draft->remote_port);
	struct xipsec_selector sel = *base;
	unsigned int n = 0;

	for (unsigned int l = 0; l < local->n; l++) {
		for (unsigned int r = 0; r < remote->n; r++) {
			for (unsigned int t = 0; t < type->n; t++) {
				sel.local_port_lo = local->range[l].lo;
				sel.local_port_hi = local->range[l].hi;
				sel.remote_port_lo = remote->range[r].lo;
				sel.remote_port_hi = remote->range[r].hi;
				sel.icmp_lo = type->range[t].lo;
				sel.icmp_hi = type->range[t].hi;
				n += selector_pairs(&draft->local, &draft->remote, &sel, make,
						    into);
			}
		}
	}
	return n;
}

static bool policy_rules(struct config_diag *diag, const struct config_node *node,
			 const struct policy_draft *draft, struct config_policy *policy)
{
	struct rule_template template = {.policy = policy};
	unsigned int n = 0;

	template.rule.sel = policy_selector(draft);
	template.rule.action = draft->action;
	template.rule.dirs = draft->dirs;
	template.rule.dev = draft->dev[0] != 0;
	template.rule.line = node->place.line;
	policy_make(draft, &template.rule.sel, rule_count, &n);
	if (!n) {
		config_error(
			diag, &node->place,
			"%s: no pair of its local and remote prefixes and its protocol is of "
			"one family: expected IPv4 with IPv4 or IPv6 with IPv6 (of IPv4: icmp; "
			"of IPv6: ipv6-icmp, mobility-header, opaque)",
			node->name);
		return false;
	}
	policy->rules = calloc(n, sizeof(policy->rules[0]));
	if (!policy->rules) {
		diag->nomem = true;
		return false;
	}
	policy_make(draft, &template.rule.sel, rule_add, &template);
	return true;
}

static const struct config_key policy_keys[] = {
	{"action", key_action, false, true},
	{"child", key_child, false, false},
	{"direction", key_direction, false, false},
	{"dev", key_dev, false, false},
	{"local", key_local, false, false},
	{"remote", key_remote, false, false},
	{"proto", key_proto, false, false},
	{"local_port", key_local_port, false, false},
	{"remote_port", key_remote_port, false, false},
	{"icmp_type", key_icmp_type, false, false},
	{"icmp_code", key_icmp_code, false, false},
	{"mh_type", key_mh_type, false, false},
	{"dscp", key_dscp, false, false},
	{0},
};

/* `NAME { action = connections }` */
static bool connections_place(struct config_diag *diag, const struct config_node *node,
			      struct config_draft *draft)
{
	if (node->first->next) {
		config_error(diag, &node->place,
			     "%s is where the rules of connections {} stand: expected nothing "
			     "beside action = connections",
			     node->name);
		return false;
	}
	if (draft->conns_placed) {
		config_error(diag, &node->place,
			     "%s: connections {} have a place already: expected action = "
			     "connections once",
			     node->name);
		return false;
	}
	draft->conns_placed = true;
	draft->conns_at = draft->config->n_policies;
	return true;
}

static bool section_policy(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft policy = {
		.dirs = XIPSEC_DIR_OUT | XIPSEC_DIR_IN,
		.any_proto = true,
		.code = {0, 255},
	};
	struct config_draft *draft = into;
	struct config *config = draft->config;
	struct config_policy *out = &config->policies[config->n_policies];

	if (!config_walk(diag, node, node->first, policy_keys, &policy))
		return false;
	if (policy.action == ACTION_CONNECTIONS)
		return connections_place(diag, node, draft);
	if (!policy_fits(diag, node, &policy) || !policy_rules(diag, node, &policy, out))
		return false;
	strcpy(out->name, node->name);
	strcpy(out->dev, policy.dev);
	if (policy.action == XIPSEC_ACTION_PROTECT)
		strcpy(out->child, policy.child[0] ? policy.child : node->name);
	draft->policy_place[config->n_policies++] = node->place;
	return true;
}

bool config_policies(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct config_draft *draft = into;
	unsigned int n = config_count(node);

	draft->config->policies = calloc(n + 1, sizeof(draft->config->policies[0]));
	draft->policy_place = calloc(n + 1, sizeof(draft->policy_place[0]));
	if (!draft->config->policies || !draft->policy_place) {
		diag->nomem = true;
		return false;
	}
	draft->policies_ok = config_walk_named(diag, node, XIPSEC_NAME_LEN, section_policy, draft);
	return draft->policies_ok;
}

void config_policies_check(struct config_diag *diag, const struct config_draft *draft)
{
	const struct config *config = draft->config;
	unsigned int before = 0;

	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];

		if (policy->n_rules > config->max_rules - before) {
			config_error(diag, &draft->policy_place[i],
				     "%s makes %u rules after %u before it: expected at most "
				     "max_rules = %u in all",
				     policy->name, policy->n_rules, before, config->max_rules);
			return;
		}
		before += policy->n_rules;
	}
}
