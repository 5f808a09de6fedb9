/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy look-up: rules in order, the first that matches wins, whatever its prefixes and
 * whichever table it stands in. docs/classifier.md tells how the tables are made and changed.
 *
 * Fragments (RFC 4301 7.4): a packet that hides its ports or protocol may match a rule without it
 * being certain. It passes only if every rule that it could belong to, down to the first certain
 * one, says the same; else it is FRAG_OPAQUE.
 *
 * Direction of failure: closed. No SPD, no rule, an unknown action, a search that does not end:
 * drop.
 */
#ifndef BPF_SPD_H
#define BPF_SPD_H

#include "bpf/count.h"
#include "bpf/parse.h"

#define SPD_NO_RULE (~0U)

/* The answer, and how it was found. */
struct spd_found {
	__u32 generation; /* that it is right for */
	__u32 verdict;    /* enum spd_verdict */
	__u32 child;      /* with SPD_PROTECT */
	__u32 rule;       /* number of the certain rule, SPD_NO_RULE: none was */
	__u32 tables;     /* looked at, of list `list` */
	__u32 list;
};

/* Where search words stand says what a walk may cost: buckets looked at and candidates matched. The
 * writer refuses SPDs that could need more (XIPSEC_BUCKET_MORE). */
#define SPD_STEPS_MAX (XIPSEC_TABLES_MAX * (XIPSEC_BUCKET_MORE + 1) * XIPSEC_BUCKET_SLOTS)

/*
 * Where a walk stands: in memory of who calls spd_classify(). Of what the arguments of a global
 * function point to the verifier remembers nothing, so a step is the same to it whatever the steps
 * before it left. On the walk's own stack it would follow each step once for all that it could find
 * there, 380,000 instructions instead of 2,500; and before Linux 6.7, which follows a bpf_loop()
 * callback once, it would take for known what only the first step finds, and remove as dead the
 * branches of the later ones.
 */
struct spd_steps {
	__u64 left;   /* of this word of the list: tables to look at, a bit each */
	__u64 keep;   /* those that the hints leave */
	__u32 bucket; /* being looked at, or the one that the chain goes on with; 0: the next table
		       */
	__u32 tried;  /* priority of its last candidate, where there are more; 0: go on */
	__u32 priority; /* of the first certain rule so far */
	__u32 said;     /* by that rule: verdict | child << 3 */
	__u32 rule;
	/* The first uncertain rule of all, and the first that says something else. */
	__u32 maybe_priority;
	__u32 maybe_said;
	__u32 other_priority;
	__u16 finger; /* of the key in this table */
	__u16 tables; /* looked at so far */
	__u8 word;    /* of the list */
	__u8 skip;    /* there is nothing in this table, or nothing that comes first */
	__u8 ended;
};

struct spd_walk {
	const struct xipsec_spd *head;
	const struct xipsec_spd_list *list;
	void *buckets;
	void *rules;
	const struct xipsec_flow *flow;
	struct spd_steps *at;
	struct xipsec_key key;
	__u32 generation;
};

/* The SPD that is current, or NULL: none was loaded yet (generation 0). */
static __always_inline const struct xipsec_spd *spd_current(void)
{
	const struct xipsec_spd *head;
	__u32 zero = 0;
	void *inner;

	inner = bpf_map_lookup_elem(&spd, &zero);
	if (!inner)
		return NULL;
	head = bpf_map_lookup_elem(inner, &zero);
	if (!head || head->generation == 0)
		return NULL;
	return head;
}

static __always_inline __u32 spd_rule_says(const struct xipsec_spd_rule *rule)
{
	if (rule->action == XIPSEC_ACTION_BYPASS)
		return SPD_BYPASS;
	if (rule->action == XIPSEC_ACTION_PROTECT)
		return SPD_PROTECT | rule->child << 3;
	return SPD_DISCARD;
}

/* Part of the SPD as it was at `generation`. */
static __always_inline int spd_rule_lives(const struct xipsec_spd_rule *rule, __u32 generation)
{
	if (rule->born && (__s32)(generation - rule->born) < 0)
		return 0;
	return !rule->dies || (__s32)(generation - rule->dies) < 0;
}

/* An uncertain rule. Kept are the first, and the first that says something else than that one. */
static __always_inline void spd_maybe(struct spd_steps *at, __u32 priority, __u32 said)
{
	if (said == at->maybe_said) {
		if (priority < at->maybe_priority)
			at->maybe_priority = priority;
	} else if (priority < at->maybe_priority) {
		at->other_priority = at->maybe_priority;
		at->maybe_priority = priority;
		at->maybe_said = said;
	} else if (priority < at->other_priority) {
		at->other_priority = priority;
	}
}

static __always_inline void spd_candidate(struct spd_walk *walk, __u64 slot)
{
	const struct xipsec_spd_rule *rule;
	struct spd_steps *at = walk->at;
	__u32 number = (__u32)slot & (XIPSEC_RULES_LIMIT - 1);
	enum xipsec_match match;

	rule = bpf_map_lookup_elem(walk->rules, &number);
	if (!rule || !xipsec_rule_asks(rule, walk->flow) || !spd_rule_lives(rule, walk->generation))
		return;
	match = xipsec_selector_match(&rule->sel, walk->flow);
	if (match == XIPSEC_MATCH_NO)
		return;
	if (match == XIPSEC_MATCH_MAYBE) {
		if (explain && (__u32)(slot >> 32) < at->maybe_priority)
			way_note.maybe = number + 1;
		spd_maybe(at, slot >> 32, spd_rule_says(rule));
		return;
	}
	at->priority = slot >> 32;
	at->said = spd_rule_says(rule);
	at->rule = number;
}

/* Rules behind this priority change nothing: a certain one was found, or two uncertain ones that
 * contradict each other. */
static __always_inline __u32 spd_cut(const struct spd_steps *at)
{
	__u32 certain = at->priority, other = at->other_priority;

	return certain < other ? certain : other;
}

/* 0: no entry has this hash. */
static __always_inline int spd_filter_has(const struct spd_walk *walk, __u64 hash)
{
	struct xipsec_filter_bit at = xipsec_filter_bit(walk->head, hash);
	const __u64 *word = bpf_map_lookup_elem(walk->buckets, &at.bucket);

	return !word || (word[at.word & 7] & at.bit);
}

/* The number of the lowest bit that is set: how many there are below it, counted in pairs, in
 * fours, in bytes, in all. Without branches, of which the verifier would follow each. */
static __always_inline __u64 lowest_bit(__u64 word)
{
	__u64 n = (word & -word) - 1;

	n -= n >> 1 & 0x5555555555555555ULL;
	n = (n & 0x3333333333333333ULL) + (n >> 2 & 0x3333333333333333ULL);
	n = (n + (n >> 4)) & 0x0f0f0f0f0f0f0f0fULL;
	return n * 0x0101010101010101ULL >> 56 & 63;
}

/* The next table of the list that the hints leave, as its place; XIPSEC_TABLES_MAX: none. In 64
 * bits, for Linux 6.1 knows nothing of those above what it was told in 32. */
static __always_inline __u64 spd_next_place(struct spd_walk *walk)
{
	struct spd_steps *at = walk->at;
	__u64 left = at->left, word = at->word, bit;

#pragma clang loop unroll(full)
	for (__u32 i = 1; i < XIPSEC_LIST_WORDS; i++) {
		if (left || word >= XIPSEC_LIST_WORDS - 1)
			continue;
		word++;
		left = walk->list->member[word];
		if (word < XIPSEC_PLACES_SHOWN / 64)
			left &= at->keep;
	}
	if (!left)
		return XIPSEC_TABLES_MAX;
	bit = lowest_bit(left);
	at->word = word;
	at->left = left & (left - 1);
	return word * 64 + bit;
}

/* The bucket to look at next; 1: the search is over. */
static __always_inline int spd_advance(struct spd_walk *walk)
{
	const struct xipsec_spd_table *table;
	struct spd_steps *at = walk->at;
	__u32 number, cut = spd_cut(at);
	__u64 hash, place;

	if (at->bucket)
		return 0;
	place = spd_next_place(walk);
	if (place >= XIPSEC_TABLES_MAX || walk->list->entry[place].bound >= cut) {
		at->ended = 1;
		return 1;
	}
	number = walk->list->entry[place].table;
	if (number >= XIPSEC_TABLES_MAX)
		return 1;
	at->skip = walk->list->entry[place].best >= cut;
	if (at->skip)
		return 0;
	at->tables++;
	table = &walk->head->table[number];
	hash = xipsec_key_hash(table, &walk->key, walk->flow->family == XIPSEC_FAMILY_IP6);
	at->skip = walk->list->n > XIPSEC_LIST_SHORT && !spd_filter_has(walk, hash);
	if (at->skip)
		return 0;
	at->finger = xipsec_hash_finger(hash);
	at->bucket = xipsec_hash_bucket(hash, walk->head->bucket_mask);
	return 0;
}

/* One candidate of a bucket, the earliest first, or the way to the next bucket; 1 ends the walk.
 * Called by bpf_loop(). */
static int spd_step(__u32 index, struct spd_walk *walk)
{
	const struct xipsec_spd_bucket *bucket;
	struct spd_steps *at = walk->at;
	__u32 tried = at->tried, cut = spd_cut(at), best = cut, finger, number, n = 0;
	__u64 found = 0;

	if (!tried && spd_advance(walk))
		return 1;
	if (at->skip)
		return 0;
	finger = at->finger;
	number = at->bucket; /* Linux 6.1 takes no key from memory of unknown origin */
	bucket = bpf_map_lookup_elem(walk->buckets, &number);
	if (!bucket)
		return 1;
#pragma clang loop unroll(full)
	for (__u32 i = 0; i < XIPSEC_BUCKET_SLOTS; i++) {
		__u64 slot = bucket->slot[i];
		__u32 priority = slot >> 32;

		if (((__u32)slot >> 20) != finger || priority <= tried || priority >= cut)
			continue;
		n++;
		if (priority < best) {
			found = slot;
			best = priority;
		}
	}
	at->tried = n > 1 ? found >> 32 : 0;
	if (n <= 1)
		at->bucket = bucket->more;
	if (!found)
		return 0;
	spd_candidate(walk, found);
	return 0;
}

/* The packet turned so that `local` is our side. */
static __always_inline void spd_flow(const struct pkt *pkt, __u32 dir, struct xipsec_flow *flow)
{
	int out = dir == XIPSEC_DIR_OUT;

	__builtin_memset(flow, 0, sizeof(*flow));
	flow->local = out ? pkt->src : pkt->dst;
	flow->remote = out ? pkt->dst : pkt->src;
	flow->local_port = out ? pkt->sport : pkt->dport;
	flow->remote_port = out ? pkt->dport : pkt->sport;
	flow->icmp = pkt->icmp;
	flow->family = pkt->family;
	flow->l4_proto = pkt->l4_proto;
	flow->opaque = pkt->opaque;
	flow->dir = dir;
	flow->dev = pkt->dev;
	flow->dscp = pkt_dscp(pkt);
}

/* By the first bits of an address. */
static __always_inline __u64 spd_hint_net(const struct spd_walk *walk, enum xipsec_hint axis,
					  int ip6, __u64 value)
{
	__u32 at = xipsec_hint_word(walk->head, axis, ip6, value);
	__u32 bucket = walk->head->hint_at + (at >> 3);
	const __u64 *word = bpf_map_lookup_elem(walk->buckets, &bucket);

	return word ? word[at & 7] | walk->head->wild[ip6][axis] : ~0ULL;
}

/* By an axis that is small. */
static __always_inline __u64 spd_hint(const struct spd_walk *walk, enum xipsec_hint axis, int ip6,
				      __u64 value)
{
	__u32 at = xipsec_hint_word(walk->head, axis, ip6, value);

	return walk->head->hint[ip6][axis - XIPSEC_HINT_LOCAL_WIDE][at] |
	       walk->head->wild[ip6][axis];
}

/* Tables that may have something for this packet, a bit each. The head's words are read where `ip6`
 * says, which hangs on the generation: no CPU reads hints that are older than the rules that it is
 * to find. With a stack of its own: spd_classify() and its caller have little left. */
static __noinline __u64 spd_hints(const struct spd_walk *walk)
{
	const struct xipsec_flow *flow = walk->flow;
	__u64 local = xipsec_addr_word(&flow->local, 0) << 32;
	__u64 remote = xipsec_addr_word(&flow->remote, 0) << 32;
	__u32 zero = blind_zero(walk->generation);
	int ip6 = ((flow->family == XIPSEC_FAMILY_IP6) + zero) & 1;
	__u32 unit = 1;
	__u64 keep;

	if (ip6) {
		local |= xipsec_addr_word(&flow->local, 1);
		remote |= xipsec_addr_word(&flow->remote, 1);
		unit = 2;
	}
	keep = spd_hint_net(walk, XIPSEC_HINT_LOCAL, ip6, local >> (64 - 24 * unit));
	keep &= spd_hint_net(walk, XIPSEC_HINT_REMOTE, ip6, remote >> (64 - 24 * unit));
	keep &= spd_hint(walk, XIPSEC_HINT_LOCAL_WIDE, ip6, local >> (64 - 10 * unit));
	keep &= spd_hint(walk, XIPSEC_HINT_REMOTE_WIDE, ip6, remote >> (64 - 10 * unit));
	if (!flow->opaque)
		keep &= spd_hint(walk, XIPSEC_HINT_PORT, ip6,
				 (__u64)flow->l4_proto << 9 |
					 xipsec_port_block(flow->remote_port | flow->icmp));
	return keep;
}

/* 0, or -1: there are no tables. All is read after the generation that it is read at. */
static __always_inline int spd_walk_start(struct spd_walk *walk, const struct xipsec_spd *head)
{
	__u32 generation = *(volatile const __u32 *)&head->generation;
	__u32 zero = blind_zero(generation);
	__u32 place = head->place + zero, list;
	struct spd_steps *at = walk->at;

	walk->head = head;
	walk->generation = generation;
	walk->buckets = bpf_map_lookup_elem(&spd_buckets_of, &place);
	walk->rules = bpf_map_lookup_elem(&spd_rules_of, &place);
	list = xipsec_spd_list_of(walk->flow->dir, walk->flow->family, xipsec_view_of(walk->flow));
	list += zero;
	if (list >= XIPSEC_LISTS)
		return -1;
	walk->list = &head->list[list];
	__builtin_memset(at, 0, sizeof(*at));
	at->priority = ~0U;
	at->rule = SPD_NO_RULE;
	at->maybe_priority = ~0U;
	at->other_priority = ~0U;
	xipsec_key_of(walk->flow, &walk->key);
	if (!walk->buckets || !walk->rules)
		return -1;
	at->keep = walk->list->n > XIPSEC_LIST_SHORT ? spd_hints(walk) : ~0ULL;
	at->left = walk->list->member[0] & at->keep;
	return 0;
}

/* What the rules found come to. */
static __always_inline __u32 spd_said(const struct spd_steps *at)
{
	/* No certain rule is the default, discard: an uncertain one that says else contradicts. */
	__u32 said = at->said ? at->said : SPD_DISCARD;

	if (!at->ended)
		return SPD_OPAQUE;
	if (at->maybe_priority < at->priority &&
	    (at->maybe_said != said || at->other_priority < at->priority))
		return SPD_OPAQUE;
	return at->said;
}

/* Verdict of the SPD on the packet that `flow` tells; *found is written in any case, *at is room. A
 * global function: the verifier follows it once, not once for each way that leads here. */
__noinline int spd_classify(const struct xipsec_spd *head, const struct xipsec_flow *flow,
			    struct spd_found *found, struct spd_steps *at)
{
	struct spd_walk walk;
	__u32 said;

	if (!head || !flow || !found || !at)
		return SPD_NONE;
	walk.flow = flow;
	walk.at = at;
	if (spd_walk_start(&walk, head)) {
		__builtin_memset(found, 0, sizeof(*found));
		found->rule = SPD_NO_RULE;
		return SPD_NONE;
	}
	bpf_loop(SPD_STEPS_MAX, spd_step, &walk, 0);
	said = spd_said(at);
	found->generation = walk.generation;
	found->verdict = said & 7;
	found->child = said >> 3;
	found->rule = said == SPD_OPAQUE ? SPD_NO_RULE : at->rule;
	found->tables = at->tables;
	if (explain && at->maybe_priority >= at->priority)
		way_note.maybe = 0; /* a certain one comes first */
	found->list = xipsec_spd_list_of(flow->dir, flow->family, xipsec_view_of(flow));
	return found->verdict;
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

/* A global function for the same reason: inline, each of its turns doubles the ways. */
__noinline int spd_ethertype_named(const struct xipsec_spd *head, __u16 eth_type)
{
	int named = 0;

	if (!head)
		return 0;
	for (__u32 i = 0; i < XIPSEC_ALLOW_ETHERTYPES; i++)
		named |= i < head->n_ethertypes && head->ethertype[i] == eth_type;
	return named;
}

#endif
