/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy look-up: rules in order, the first that matches wins, whatever its prefixes. A faster
 * classifier may take the place of spd_lookup(); its answer must be the same.
 *
 * Fragments (RFC 4301 7.4): a packet that hides its ports or protocol may match a rule without it
 * being certain. It passes only if every rule that it could belong to, down to the first certain
 * one, says the same; else it is FRAG_OPAQUE.
 *
 * Direction of failure: closed. No SPD, no rule, an unknown action: drop.
 */
#ifndef BPF_SPD_H
#define BPF_SPD_H

#include "bpf/count.h"
#include "bpf/parse.h"

enum spd_verdict {
	SPD_NONE = 0, /* no rule: discard */
	SPD_DISCARD,
	SPD_BYPASS,
	SPD_PROTECT,
	SPD_OPAQUE,
};

struct spd_walk {
	const struct xipsec_spd *rules;
	struct xipsec_flow flow;
	__u32 dir;
	__u32 frame_bytes;
	__u32 verdict; /* enum spd_verdict, of the certain rule */
	__u32 child;   /* with SPD_PROTECT */
	__u32 maybe;   /* the first uncertain rule's verdict, SPD_NONE: there was none */
	__u32 maybe_child;
	__u32 pad;
};

/* The SPD that is current, or NULL: none was loaded yet (generation 0). */
static __always_inline const struct xipsec_spd *spd_current(void)
{
	const struct xipsec_spd *rules;
	__u32 zero = 0;
	void *inner;

	inner = bpf_map_lookup_elem(&spd, &zero);
	if (!inner)
		return NULL;
	rules = bpf_map_lookup_elem(inner, &zero);
	if (!rules || rules->generation == 0)
		return NULL;
	return rules;
}

static __always_inline __u32 spd_rule_verdict(const struct xipsec_spd_rule *rule)
{
	if (rule->action == XIPSEC_ACTION_BYPASS)
		return SPD_BYPASS;
	if (rule->action == XIPSEC_ACTION_PROTECT)
		return SPD_PROTECT;
	return SPD_DISCARD;
}

/* One rule; 1 ends the walk. Called by bpf_loop(). */
static int spd_step(__u32 index, struct spd_walk *walk)
{
	const struct xipsec_spd_rule *rule;
	enum xipsec_match match;
	__u32 verdict, child;

	if (index >= XIPSEC_RULES_MAX)
		return 1;
	rule = &walk->rules->rule[index];
	if (!(rule->dirs & walk->dir))
		return 0;
	match = xipsec_selector_match(&rule->sel, &walk->flow);
	if (match == XIPSEC_MATCH_NO)
		return 0;
	verdict = spd_rule_verdict(rule);
	child = verdict == SPD_PROTECT ? rule->child : 0;
	if (walk->maybe != SPD_NONE && (walk->maybe != verdict || walk->maybe_child != child)) {
		walk->verdict = SPD_OPAQUE;
		return 1;
	}
	if (match == XIPSEC_MATCH_MAYBE) {
		walk->maybe = verdict;
		walk->maybe_child = child;
		return 0;
	}
	walk->verdict = verdict;
	walk->child = child;
	counter_add(bpf_map_lookup_elem(&spd_hits, &index), walk->frame_bytes);
	return 1;
}

/* The packet turned so that `local` is our side. */
static __always_inline void spd_flow(const struct pkt *pkt, __u32 dir, struct xipsec_flow *flow)
{
	int out = dir == XIPSEC_DIR_OUT;

	flow->local = out ? pkt->src : pkt->dst;
	flow->remote = out ? pkt->dst : pkt->src;
	flow->local_port = out ? pkt->sport : pkt->dport;
	flow->remote_port = out ? pkt->dport : pkt->sport;
	flow->icmp = pkt->icmp;
	flow->family = pkt->family;
	flow->l4_proto = pkt->l4_proto;
	flow->opaque = pkt->opaque;
}

/*
 * Zero, but the verifier does not know. Before Linux 6.7 it follows a bpf_loop() callback once,
 * from the state that the caller left on the stack, and then removes as dead the branches that only
 * a second call would take: a walk that starts from a known zero would never see that a rule before
 * was uncertain. tests/prog/test_spd.c fails on 6.1 without this.
 */
static __always_inline __u32 spd_blind_zero(__u32 unknown)
{
	asm volatile("%0 ^= %0" : "+r"(unknown));
	return unknown;
}

static __always_inline void spd_walk_start(struct spd_walk *walk, const struct xipsec_spd *rules,
					   const struct pkt *pkt, __u32 dir)
{
	__u32 zero = spd_blind_zero(rules->generation);

	__builtin_memset(walk, 0, sizeof(*walk));
	walk->rules = rules;
	walk->dir = dir;
	walk->frame_bytes = pkt->len;
	walk->verdict = zero;
	walk->child = zero;
	walk->maybe = zero;
	walk->maybe_child = zero;
	spd_flow(pkt, dir, &walk->flow);
}

/* Verdict of `rules` on the packet in direction `dir`; *child is written with SPD_PROTECT alone. */
static __always_inline enum spd_verdict spd_lookup(const struct xipsec_spd *rules,
						   const struct pkt *pkt, __u32 dir, __u32 *child)
{
	struct spd_walk walk;
	__u32 n_rules = rules->n_rules;

	spd_walk_start(&walk, rules, pkt, dir);
	if (n_rules > XIPSEC_RULES_MAX)
		n_rules = XIPSEC_RULES_MAX;
	bpf_loop(n_rules, spd_step, &walk, 0);
	/* No certain rule is the default, discard: an uncertain one that says else contradicts. */
	if (walk.verdict == SPD_NONE && walk.maybe > SPD_DISCARD)
		return SPD_OPAQUE;
	if (walk.verdict == SPD_PROTECT)
		*child = walk.child;
	return walk.verdict;
}

/* The drop that belongs to a verdict that is neither BYPASS nor PROTECT. */
static __always_inline enum xipsec_reason spd_drop_reason(enum spd_verdict verdict)
{
	if (verdict == SPD_OPAQUE)
		return XIPSEC_REASON_FRAG_OPAQUE;
	if (verdict == SPD_DISCARD)
		return XIPSEC_REASON_DISCARD;
	return XIPSEC_REASON_NO_POLICY;
}

static __always_inline int spd_ethertype_named(const struct xipsec_spd *rules, __u16 eth_type)
{
	int named = 0;

	for (__u32 i = 0; i < XIPSEC_ALLOW_ETHERTYPES; i++)
		named |= i < rules->n_ethertypes && rules->ethertype[i] == eth_type;
	return named;
}

#endif
