// SPDX-License-Identifier: BSD-2-Clause
/* policies {}: each policy becomes one rule for every pair of its local and remote prefixes. */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config_key.h"
#include "lib/config_policy.h"
#include "lib/config_section.h"

#define ACTION_CONNECTIONS 100 /* no rule: here stand those of connections {} */

struct policy_draft {
	unsigned int action;
	unsigned int dirs;
	char child[XIPSEC_NAME_LEN];
	struct config_prefixes local, remote;
	bool any_proto;
	__u8 l4_proto;
	bool has_ports, has_type, has_code;
	struct config_range local_port, remote_port, type, code;
};

const struct xipsec_selector selector_any = {
	.local_port_hi = XIPSEC_PORT_MAX,
	.remote_port_hi = XIPSEC_PORT_MAX,
	.icmp_hi = XIPSEC_PORT_MAX,
	.any_proto = 1,
};

unsigned int selector_pairs(const struct config_prefixes *local,
			    const struct config_prefixes *remote,
			    const struct xipsec_selector *base,
			    void (*make)(const struct xipsec_selector *sel, void *into), void *into)
{
	static const struct config_prefix any = {0};
	unsigned int n = 0, n_local = local->n ? local->n : 1, n_remote = remote->n ? remote->n : 1;

	for (unsigned int i = 0; i < n_local; i++) {
		const struct config_prefix *l = local->n ? &local->prefix[i] : &any;

		for (unsigned int k = 0; k < n_remote; k++) {
			const struct config_prefix *r = remote->n ? &remote->prefix[k] : &any;
			struct xipsec_selector sel = *base;

			if (l->family && r->family && l->family != r->family)
				continue;
			sel.family = l->family ? l->family : r->family;
			if (base->family && sel.family && base->family != sel.family)
				continue;
			if (!sel.family)
				sel.family = base->family;
			sel.local = l->addr;
			sel.local_mask = l->mask;
			sel.remote = r->addr;
			sel.remote_mask = r->mask;
			make(&sel, into);
			n++;
		}
	}
	return n;
}

static bool net_within(const struct xipsec_addr *inner, const struct xipsec_addr *inner_mask,
		       const struct xipsec_addr *outer, const struct xipsec_addr *outer_mask)
{
	for (unsigned int i = 0; i < 4; i++)
		if (outer_mask->word[i] & ~inner_mask->word[i])
			return false;
	return xipsec_addr_in(inner, outer, outer_mask);
}

bool selector_within(const struct xipsec_selector *inner, const struct xipsec_selector *outer)
{
	if (outer->family && inner->family != outer->family)
		return false;
	if (!outer->any_proto && (inner->any_proto || inner->l4_proto != outer->l4_proto))
		return false;
	return net_within(&inner->local, &inner->local_mask, &outer->local, &outer->local_mask) &&
	       net_within(&inner->remote, &inner->remote_mask, &outer->remote,
			  &outer->remote_mask) &&
	       inner->local_port_lo >= outer->local_port_lo &&
	       inner->local_port_hi <= outer->local_port_hi &&
	       inner->remote_port_lo >= outer->remote_port_lo &&
	       inner->remote_port_hi <= outer->remote_port_hi && inner->icmp_lo >= outer->icmp_lo &&
	       inner->icmp_hi <= outer->icmp_hi;
}

/* Masks are contiguous, so that of two nets with a common address one is inside the other. */
static bool net_meet(const struct xipsec_addr *a, const struct xipsec_addr *a_mask,
		     const struct xipsec_addr *b, const struct xipsec_addr *b_mask,
		     struct xipsec_addr *net, struct xipsec_addr *mask)
{
	for (unsigned int i = 0; i < 4; i++) {
		if ((a->word[i] ^ b->word[i]) & a_mask->word[i] & b_mask->word[i])
			return false;
		net->word[i] = (a->word[i] & a_mask->word[i]) | (b->word[i] & b_mask->word[i]);
		mask->word[i] = a_mask->word[i] | b_mask->word[i];
	}
	return true;
}

static bool range_meet(__u16 a_lo, __u16 a_hi, __u16 b_lo, __u16 b_hi, __u16 *lo, __u16 *hi)
{
	*lo = a_lo > b_lo ? a_lo : b_lo;
	*hi = a_hi < b_hi ? a_hi : b_hi;
	return *lo <= *hi;
}

bool selector_meet(const struct xipsec_selector *a, const struct xipsec_selector *b,
		   struct xipsec_selector *both)
{
	struct xipsec_selector met = {
		.family = a->family ? a->family : b->family,
		.any_proto = a->any_proto && b->any_proto,
		.l4_proto = a->any_proto ? b->l4_proto : a->l4_proto,
	};

	if ((a->family && b->family && a->family != b->family) ||
	    (!a->any_proto && !b->any_proto && a->l4_proto != b->l4_proto) ||
	    !net_meet(&a->local, &a->local_mask, &b->local, &b->local_mask, &met.local,
		      &met.local_mask) ||
	    !net_meet(&a->remote, &a->remote_mask, &b->remote, &b->remote_mask, &met.remote,
		      &met.remote_mask) ||
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

static bool key_local(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_prefixes(diag, node, &policy->local);
}

static bool key_remote(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_prefixes(diag, node, &policy->remote);
}

static bool key_proto(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	return parse_proto(diag, node, &policy->l4_proto, &policy->any_proto);
}

static bool key_local_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_ports = strcasecmp(node->value, "any") != 0 || policy->has_ports;
	return parse_range(diag, node, XIPSEC_PORT_MAX, &policy->local_port);
}

static bool key_remote_port(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_ports = strcasecmp(node->value, "any") != 0 || policy->has_ports;
	return parse_range(diag, node, XIPSEC_PORT_MAX, &policy->remote_port);
}

static bool key_icmp_type(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_type = true;
	return parse_range(diag, node, 255, &policy->type);
}

static bool key_icmp_code(struct config_diag *diag, const struct config_node *node, void *into)
{
	struct policy_draft *policy = into;

	policy->has_code = true;
	return parse_range(diag, node, 255, &policy->code);
}

/* ------------------------------------------------------------------ what fits together */

static bool has_ports(__u8 l4_proto)
{
	return l4_proto == IPPROTO_TCP || l4_proto == IPPROTO_UDP || l4_proto == IPPROTO_SCTP ||
	       l4_proto == IPPROTO_DCCP || l4_proto == IPPROTO_UDPLITE;
}

static bool policy_fits(struct config_diag *diag, const struct config_node *node,
			const struct policy_draft *policy)
{
	bool icmp = !policy->any_proto &&
		    (policy->l4_proto == IPPROTO_ICMP || policy->l4_proto == IPPROTO_ICMPV6);
	unsigned int before = diag->errors;

	if (policy->has_ports && (policy->any_proto || !has_ports(policy->l4_proto)))
		config_error(diag, &node->place,
			     "%s has ports, but its protocol has none: expected proto = tcp, udp, "
			     "sctp, dccp or udplite",
			     node->name);
	if ((policy->has_type || policy->has_code) && !icmp)
		config_error(diag, &node->place,
			     "%s has icmp_type or icmp_code for another protocol: expected "
			     "proto = icmp or ipv6-icmp",
			     node->name);
	if (policy->has_code && (!policy->has_type || policy->type.lo != policy->type.hi))
		config_error(diag, &node->place,
			     "%s has icmp_code without one icmp_type: expected icmp_type = N",
			     node->name);
	if (policy->child[0] && policy->action != XIPSEC_ACTION_PROTECT)
		config_error(diag, &node->place,
			     "%s names a child, but does not protect: expected action = protect",
			     node->name);
	return diag->errors == before;
}

static struct xipsec_selector policy_selector(const struct policy_draft *policy)
{
	struct xipsec_selector sel = selector_any;

	sel.any_proto = policy->any_proto;
	if (policy->any_proto)
		return sel;
	sel.l4_proto = policy->l4_proto;
	sel.local_port_lo = policy->local_port.lo;
	sel.local_port_hi = policy->local_port.hi;
	sel.remote_port_lo = policy->remote_port.lo;
	sel.remote_port_hi = policy->remote_port.hi;
	sel.icmp_lo = policy->type.lo << 8 | policy->code.lo;
	sel.icmp_hi = policy->type.hi << 8 | policy->code.hi;
	/* each ICMP belongs to one family, also where no address says which */
	if (policy->l4_proto == IPPROTO_ICMP)
		sel.family = XIPSEC_FAMILY_IP4;
	else if (policy->l4_proto == IPPROTO_ICMPV6)
		sel.family = XIPSEC_FAMILY_IP6;
	return sel;
}

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

static bool policy_rules(struct config_diag *diag, const struct config_node *node,
			 const struct policy_draft *draft, struct config_policy *policy)
{
	struct rule_template template = {.policy = policy};
	unsigned int n = 0;

	template.rule.sel = policy_selector(draft);
	template.rule.action = draft->action;
	template.rule.dirs = draft->dirs;
	template.rule.line = node->place.line;
	selector_pairs(&draft->local, &draft->remote, &template.rule.sel, rule_count, &n);
	if (!n) {
		config_error(diag, &node->place,
			     "%s: no pair of its local and remote prefixes and its protocol is of "
			     "one family: expected IPv4 with IPv4 or IPv6 with IPv6",
			     node->name);
		return false;
	}
	policy->rules = calloc(n, sizeof(policy->rules[0]));
	if (!policy->rules) {
		diag->nomem = true;
		return false;
	}
	selector_pairs(&draft->local, &draft->remote, &template.rule.sel, rule_add, &template);
	return true;
}

static const struct config_key policy_keys[] = {
	{"action", key_action, false, true},
	{"child", key_child, false, false},
	{"direction", key_direction, false, false},
	{"local", key_local, false, false},
	{"remote", key_remote, false, false},
	{"proto", key_proto, false, false},
	{"local_port", key_local_port, false, false},
	{"remote_port", key_remote_port, false, false},
	{"icmp_type", key_icmp_type, false, false},
	{"icmp_code", key_icmp_code, false, false},
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
		.local_port = {0, XIPSEC_PORT_MAX},
		.remote_port = {0, XIPSEC_PORT_MAX},
		.type = {0, 255},
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
