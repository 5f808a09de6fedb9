/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the SPD said about flows that this CPU saw (docs/classifier.md, "The flow cache"): sets of
 * four flows, in which a newcomer takes the place of another newcomer, or of a flow that was met
 * less often.
 *
 * An entry is right for the generation that it was looked up at, and for later ones as long as no
 * rule that could match its flow came or went since; the SPD's change log says so.
 *
 * Direction of failure: closed, and towards looking up anew. An entry that another run on this CPU
 * has half written (programs may be preempted where softirqs are threads) fails its check.
 */
#ifndef BPF_FLOW_CACHE_H
#define BPF_FLOW_CACHE_H

#include "bpf/spd.h"

/* 1: nothing is read from or written to the cache. */
const volatile __u32 opt_no_cache;

struct flow_words {
	__u64 word[6];
};

_Static_assert(XIPSEC_CHILDREN_MAX <= 1 << 20 && XIPSEC_CACHED_MET < 1 << 4,
	       "they have their bits");

_Static_assert(sizeof(struct flow_words) == sizeof(struct xipsec_flow), "compared as words");

static __always_inline __u64 flow_hash(const struct xipsec_flow *flow)
{
	const struct flow_words *f = (const void *)flow;
	__u64 hash = 0x51afd7ed558ccd17ULL;

	hash = xipsec_hash_step(hash, f->word[0]);
	hash = xipsec_hash_step(hash, f->word[2]);
	if (flow->family == XIPSEC_FAMILY_IP6) {
		hash = xipsec_hash_step(hash, f->word[1]);
		hash = xipsec_hash_step(hash, f->word[3]);
	}
	hash = xipsec_hash_step(hash, f->word[4]);
	return xipsec_hash_step(hash, f->word[5]);
}

static __always_inline int flow_same(const struct xipsec_flow *a, const struct xipsec_flow *b)
{
	const struct flow_words *x = (const void *)a, *y = (const void *)b;

	/* One after another: most differ in the first. */
	return x->word[0] == y->word[0] && x->word[2] == y->word[2] && x->word[4] == y->word[4] &&
	       x->word[1] == y->word[1] && x->word[3] == y->word[3] && x->word[5] == y->word[5];
}

static __always_inline __u32 cached_check(__u64 hash, const struct spd_found *found)
{
	return (__u32)hash ^ found->generation * 0x9e3779b1U ^
	       (found->verdict | found->child << 3) * 0x85ebca6bU ^ found->rule * 0xc2b2ae35U;
}

/* ------------------------------------------------------------------ what changed since */

struct change_walk {
	const struct xipsec_spd *head;
	void *rules;
	const struct xipsec_flow *flow;
	__u32 last;  /* number of the newest change in the log */
	__u32 since; /* generation that the entry is right for */
	__u32 now;   /* generation of this run */
	__u32 seen;  /* made of all that was read of the log */
	/* 1: the flow must be looked up anew. Starts from a zero that the verifier does not know:
	 * before Linux 6.7 it follows a bpf_loop() callback once and may take for known what that
	 * one call left. */
	__u32 touched;
};

/* One change, newest first; 1 ends the walk. Called by bpf_loop(). */
static int change_step(__u32 index, struct change_walk *walk)
{
	const struct xipsec_spd_change *change;
	const struct xipsec_spd_rule *rule;
	__u32 number, generation;

	change = &walk->head->change[(walk->last - index) & (XIPSEC_CHANGES - 1)];
	generation = *(volatile const __u32 *)&change->generation;
	number = *(volatile const __u32 *)&change->rule;
	walk->seen += generation + number;
	if (generation && (__s32)(generation - walk->since) <= 0)
		return 1;
	if (!generation || (__s32)(generation - walk->now) > 0)
		return 0;
	rule = bpf_map_lookup_elem(walk->rules, &number);
	if (rule && (!xipsec_rule_asks(rule, walk->flow) ||
		     xipsec_selector_match(&rule->sel, walk->flow) == XIPSEC_MATCH_NO))
		return 0;
	walk->touched = 1;
	return 1;
}

/* A word of the head, read after `before`: see blind_zero(). */
static __always_inline __u32 head_word_after(const __u32 *word, __u32 before)
{
	return *(volatile const __u32 *)(word + (blind_zero(before) & 1));
}

/*
 * Is what was looked up at `since` right at `now`, too? If no rule that could match the flow came
 * or went in between, the rules that match are the same ones. log_base is read last: who overwrites
 * a change, or gives a rule's place to another, raises it before. No test falls without that last
 * read: the log would have to be overwritten in the nanoseconds between it and the first.
 */
static __always_inline int flow_holds(const struct xipsec_spd *head, const struct xipsec_flow *flow,
				      __u32 since, __u32 now)
{
	struct change_walk walk;
	__u32 place = head->place, zero = blind_zero(now);

	/* log_base is ahead of `now` while one change overwrites what it wrote itself. */
	if ((__s32)(now - since) < 0 || (__s32)(since - head->log_base) < 0)
		return 0;
	walk.head = head;
	walk.rules = bpf_map_lookup_elem(&spd_rules_of, &place);
	walk.flow = flow;
	walk.last = head_word_after(&head->n_changes, now) - 1;
	walk.since = since;
	walk.now = now;
	walk.touched = zero;
	walk.seen = zero;
	if (!walk.rules)
		return 0;
	bpf_loop(XIPSEC_CHANGES, change_step, &walk, 0);
	if (walk.touched)
		return 0;
	return (__s32)(since - head_word_after(&head->log_base, walk.seen)) >= 0;
}

/* ------------------------------------------------------------------ the sets */

static __always_inline void cached_write(struct xipsec_cached *to, const struct xipsec_flow *flow,
					 __u64 hash, const struct spd_found *found)
{
	to->check = 0;
	to->flow = *flow;
	to->generation = found->generation;
	to->verdict = found->verdict;
	to->child = found->child;
	to->rule = found->rule;
	to->check = cached_check(hash, found);
}

/* From an entry of this flow. 0: it says nothing that is right now. */
static __always_inline int cached_read(const struct xipsec_spd *head, struct xipsec_cached *cached,
				       const struct xipsec_flow *flow, __u64 hash,
				       struct spd_found *found)
{
	__u32 now = *(volatile const __u32 *)&head->generation;
	__u32 since = cached->generation, check = cached->check;

	found->generation = since;
	found->verdict = cached->verdict;
	found->child = cached->child;
	found->rule = cached->rule;
	found->tables = 0;
	found->list = XIPSEC_LISTS;
	if (!since || check != cached_check(hash, found))
		return 0;
	if (since == now)
		return 1;
	if (!flow_holds(head, flow, since, now))
		return 0;
	found->generation = now;
	cached->generation = now;
	cached->check = cached_check(hash, found);
	return 1;
}

/* 1: it may be right: the change log reaches back to it. */
static __always_inline int cached_counts(const struct xipsec_spd *head,
					 const struct xipsec_cached *cached)
{
	__u32 generation = *(volatile const __u32 *)&cached->generation;

	return generation && (__s32)(generation - head->log_base) >= 0;
}

/* A kept place that nobody needs any more, or NULL. */
static __always_inline struct xipsec_cached *cached_free(const struct xipsec_spd *head,
							 struct xipsec_cached_set *set)
{
	if (!cached_counts(head, &set->kept[0]))
		return &set->kept[0];
	if (!cached_counts(head, &set->kept[1]))
		return &set->kept[1];
	if (!cached_counts(head, &set->kept[2]))
		return &set->kept[2];
	return NULL;
}

/* The kept flow that was met least. */
static __always_inline struct xipsec_cached *cached_least(struct xipsec_cached_set *set)
{
	struct xipsec_cached *least = &set->kept[0];

	if (set->kept[1].met < least->met)
		least = &set->kept[1];
	if (set->kept[2].met < least->met)
		least = &set->kept[2];
	return least;
}

/*
 * A newcomer that passes and is met again is kept where a place is free, or in that of a flow that
 * was met less often, which may come back the same way. So flows of few packets, however many they
 * are, take nothing from one that has had as many. Of flows that were met as often as is counted
 * one that does not come any more loses its count to one that does.
 */
static __always_inline void cached_keep(const struct xipsec_spd *head,
					struct xipsec_cached_set *set)
{
	struct xipsec_cached *to = cached_free(head, set), was;

	if (!to) {
		to = cached_least(set);
		if (to->met >= set->newcomer.met) {
			if (set->newcomer.met == XIPSEC_CACHED_MET && !(bpf_get_prandom_u32() & 7))
				to->met--;
			return;
		}
	}
	was = *to;
	*to = set->newcomer;
	set->newcomer = was;
	set->newcomer.met = 0;
}

static __always_inline int verdict_passes(__u32 verdict)
{
	return verdict == SPD_BYPASS || verdict == SPD_PROTECT;
}

static __always_inline struct xipsec_cached_set *cached_set(__u64 hash)
{
	__u32 at = (__u32)(hash >> 40) & (XIPSEC_CACHED_SETS - 1);

	return opt_no_cache ? NULL : bpf_map_lookup_elem(&flow_cache, &at);
}

/* The flow's place: its own, or the newcomer's. */
static __always_inline struct xipsec_cached *cached_place(struct xipsec_cached_set *set,
							  const struct xipsec_flow *flow)
{
	if (flow_same(&set->kept[0].flow, flow))
		return &set->kept[0];
	if (flow_same(&set->kept[1].flow, flow))
		return &set->kept[1];
	if (flow_same(&set->kept[2].flow, flow))
		return &set->kept[2];
	return &set->newcomer;
}

/* 1: *found is what is known of the flow, and right. Global, as spd_classify() is. */
__noinline int flow_known(const struct xipsec_spd *head, const struct xipsec_flow *flow,
			  struct spd_found *found)
{
	struct xipsec_cached_set *set;
	struct xipsec_cached *mine;
	__u64 hash;

	if (!head || !flow || !found)
		return 0;
	hash = flow_hash(flow);
	set = cached_set(hash);
	if (!set)
		return 0;
	mine = cached_place(set, flow);
	if (!flow_same(&mine->flow, flow) || !cached_read(head, mine, flow, hash, found))
		return 0;
	if (mine->met < XIPSEC_CACHED_MET)
		mine->met++;
	if (mine == &set->newcomer && verdict_passes(found->verdict))
		cached_keep(head, set);
	return 1;
}

/*
 * The place of a flow that the set does not have, or NULL: it is not remembered this time. Nobody
 * is kept for one packet where that would cost another its place: else whoever scans what passes
 * would evict all. Nor does a newcomer that passes give way to each other one, but once in eight
 * times, and once more for each time that it was met: of flows that take turns none would ever be
 * there when it is met again.
 */
static __always_inline struct xipsec_cached *cached_new(const struct xipsec_spd *head,
							struct xipsec_cached_set *set,
							const struct spd_found *found)
{
	struct xipsec_cached *to = NULL;

	if (verdict_passes(found->verdict))
		to = cached_free(head, set);
	if (to)
		return to;
	to = &set->newcomer;
	if (!cached_counts(head, to) || !verdict_passes(to->verdict))
		return to;
	if (bpf_get_prandom_u32() & 7)
		return NULL;
	if (!to->met)
		return to;
	to->met--;
	return NULL;
}

/* Remembers what the tables said of the flow. The SPD is asked for anew, for the caller's stack has
 * no room to keep it; if it is another one by now, nothing in the set counts any more. */
__noinline int flow_keep(const struct xipsec_flow *flow, const struct spd_found *found)
{
	const struct xipsec_spd *head = spd_current();
	struct xipsec_cached_set *set;
	struct xipsec_cached *to;
	__u64 hash;

	if (!head || !flow || !found)
		return 0;
	hash = flow_hash(flow);
	set = cached_set(hash);
	if (!set)
		return 0;
	to = cached_place(set, flow);
	if (!flow_same(&to->flow, flow)) {
		to = cached_new(head, set, found);
		if (!to)
			return 0;
		to->met = 0;
	}
	cached_write(to, flow, hash, found);
	return 0;
}

static __always_inline void flow_count(int known)
{
	struct xipsec_flow_stats *stats;
	__u32 zero = 0;

	stats = opt_no_cache ? NULL : bpf_map_lookup_elem(&flow_stats, &zero);
	if (stats && known)
		stats->hits++;
	else if (stats)
		stats->misses++;
}

/* spd_classify(), by what is known of the flow where that is right. */
static __always_inline int flow_classify(const struct xipsec_spd *head,
					 const struct xipsec_flow *flow, struct spd_found *found)
{
	struct spd_steps room;
	int known, verdict;

	/* The twin looks into the tables: the cache that a packet would meet is another CPU's. */
	if (explain)
		return spd_classify(head, flow, found, &room);
	known = flow_known(head, flow, found);
	flow_count(known);
	if (known)
		return found->verdict;
	verdict = spd_classify(head, flow, found, &room);
	flow_keep(flow, found);
	return verdict;
}

/* How many rules each CPU has a counter for. */
const volatile __u32 hits_rules = XIPSEC_RULES_DEFAULT;

/* On this CPU; SPD_NO_RULE is none. */
static __always_inline void hit_count(__u32 rule, __u32 bytes)
{
	__u32 at = bpf_get_smp_processor_id() * hits_rules + rule;

	if (rule < hits_rules)
		counter_add(bpf_map_lookup_elem(&spd_hits, &at), bytes);
}

/* What the SPD said, for the twin. */
static __always_inline void way_found(const struct pkt *pkt, __u32 dir,
				      const struct spd_found *found)
{
	way_set(pkt, dir, dir);
	way_set(pkt, spd_generation, found->generation);
	way_set(pkt, tables, found->tables);
	way_set(pkt, rule, found->rule + 1);
	if (found->verdict == SPD_PROTECT)
		way_set(pkt, child, found->child + 1);
}

#endif
