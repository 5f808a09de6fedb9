// SPDX-License-Identifier: BSD-2-Clause
#include "loader/classifier_inside.h"

#include <errno.h>
#include <string.h>
#include "lib/addr.h"
#include "loader/hints.h"

/* ------------------------------------------------------------------ sizes */

static __u32 power_above(__u64 n)
{
	__u32 power = 64;

	while (power < n && power < 1U << 23)
		power *= 2;
	return power;
}

static bool sides_are_prefixes(const struct xipsec_selector *sel)
{
	return addr_prefix(&sel->local_lo, &sel->local_hi, sel->family) >= 0 &&
	       addr_prefix(&sel->remote_lo, &sel->remote_hi, sel->family) >= 0;
}

struct classifier_size classifier_size(const struct xipsec_spd_rule *rule, __u32 n, __u32 attempt)
{
	struct classifier_size size;
	__u64 entries = 64 + n + n / 4;

	for (__u32 i = 0; i < n; i++)
		entries += !rule[i].sel.any_proto + 3 * !sides_are_prefixes(&rule[i].sel);
	size.hashed = power_above((entries / 4) << attempt);
	size.hints = hints_words(n / 4);
	size.buckets = size.hashed + size.hashed / 8 + hints_buckets(size.hints) +
		       (size.hashed / 4 << attempt) + 64;
	size.rules = n + n / 4 + 256;
	if (size.rules > XIPSEC_RULES_LIMIT)
		size.rules = XIPSEC_RULES_LIMIT;
	return size;
}

void classifier_init(struct classifier *c, const struct classifier_size *size)
{
	c->head->n_buckets = size->buckets;
	c->head->bucket_mask = size->hashed - 1;
	c->head->filter_at = size->hashed;
	c->head->filter_mask = size->hashed * 64 - 1;
	c->head->hint_at = size->hashed + size->hashed / 8;
	c->head->hint_mask = size->hints - 1;
	c->head->buckets_used = c->head->hint_at + hints_buckets(size->hints);
	c->head->max_rules = size->rules;
	c->free_from = 0;
	for (__u32 i = 0; i < XIPSEC_LISTS; i++)
		for (__u32 p = 0; p < XIPSEC_TABLES_MAX; p++)
			c->head->list[i].entry[p].bound = c->head->list[i].entry[p].best = ~0U;
}

/* ------------------------------------------------------------------ rules */

static int entries_put(struct classifier *c, __u32 table, const struct shape *shape,
		       const struct xipsec_spd_rule *rule, __u32 number)
{
	/* Whoever let it in before may have come half the way. */
	bool again = c->rule[number].used & XIPSEC_USED_LEFT_OUT;
	struct keys keys;
	int err = 0;

	shape_keys(&c->head->table[table], shape, &keys);
	if (c->head->table[table].views & SHOWN)
		hints_set(c, table, shape);
	lists_cover(c, table, rule);
	for (unsigned int k = 0; k < keys.n && !err; k++)
		if (!again || !slot_has(c, keys.hash[k], rule->priority, number))
			err = slot_put(c, keys.hash[k], rule->priority, number);
	c->head->table[table].n_entries += keys.n;
	return err;
}

static int rule_hide_in(struct classifier *c, const struct shape *shape,
			const struct xipsec_spd_rule *rule, __u32 number, __u8 views)
{
	int table = table_choose(c, shape, views);
	struct stand_ins found = {.rule = rule};

	if (table < 0)
		return table;
	if (stand_ins_find(c, (__u32)table, shape,
			   views == BLIND ? stand_in_blind : stand_in_hidden, &found)) {
		stand_ins_note(&found);
		c->rule[number].used |= XIPSEC_USED_LEFT_OUT;
		return 0;
	}
	return entries_put(c, (__u32)table, shape, rule, number);
}

/* Into the tables for packets that hide something. */
static int rule_hide(struct classifier *c, const struct shape *shape,
		     const struct xipsec_spd_rule *rule, __u32 number)
{
	int err;

	if (!shape->has_proto)
		return rule_hide_in(c, shape, rule, number, HIDDEN | BLIND);
	err = rule_hide_in(c, shape, rule, number, HIDDEN);
	return err ? err : rule_hide_in(c, shape, rule, number, BLIND);
}

/* Where a key has this many candidates it is worth asking whether another is needed. */
#define CROWDED 16

/* Into the tables for packets that show all. *all: these serve all packets. */
static int rule_show(struct classifier *c, const struct shape *shape,
		     const struct xipsec_spd_rule *rule, __u32 number, bool *all)
{
	int table = table_choose(c, shape, SHOWN);
	struct stand_ins found = {.rule = rule};
	struct keys keys;

	if (table < 0)
		return table;
	shape_keys(&c->head->table[table], shape, &keys);
	if (slots_count(c, keys.hash[0]) >= CROWDED &&
	    stand_ins_find(c, (__u32)table, shape, stand_in_whole, &found)) {
		stand_ins_note(&found);
		c->rule[number].used |= XIPSEC_USED_LEFT_OUT;
		*all = !shape->has_proto;
		return 0;
	}
	*all = c->head->table[table].views != SHOWN;
	return entries_put(c, (__u32)table, shape, rule, number);
}

static int rule_enter(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 number,
		      __u8 family)
{
	struct shape shape = shape_of(&rule->sel, family);
	bool all = false;
	int err = rule->sel.opaque ? 0 : rule_show(c, &shape, rule, number, &all);

	return err || all ? err : rule_hide(c, &shape, rule, number);
}

/* Does a table that serves these packets have it, under all its keys? */
static bool rule_is_in(const struct classifier *c, const struct shape *shape,
		       const struct xipsec_spd_rule *rule, __u32 number, __u8 view)
{
	for (__u32 i = 0; i < c->head->n_tables; i++) {
		const struct xipsec_spd_table *table = &c->head->table[i];
		struct keys keys;
		unsigned int k = 0;

		if (!(table->views & view) || !shape_fits(table, shape))
			continue;
		shape_keys(table, shape, &keys);
		while (k < keys.n && slot_has(c, keys.hash[k], rule->priority, number))
			k++;
		if (k == keys.n)
			return true;
	}
	return false;
}

/* Into those tables that it was left out of. */
static int rule_enter_again(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 number,
			    __u8 family)
{
	struct shape shape = shape_of(&rule->sel, family);
	bool all = false;
	int err = 0;

	if (!rule->sel.opaque && !rule_is_in(c, &shape, rule, number, SHOWN))
		err = rule_show(c, &shape, rule, number, &all);
	if (!err && !rule_is_in(c, &shape, rule, number, HIDDEN))
		err = rule_hide_in(c, &shape, rule, number,
				   shape.has_proto ? HIDDEN : HIDDEN | BLIND);
	if (!err && shape.has_proto && !rule_is_in(c, &shape, rule, number, BLIND))
		err = rule_hide_in(c, &shape, rule, number, BLIND);
	return err;
}

/* More than this are built anew in less time. */
#define LET_IN_MAX 1024

int classifier_let_in(struct classifier *c, __u32 number)
{
	const struct xipsec_spd_rule *goes = &c->rule[number];
	__u32 n = 0;
	int err = 0;

	if (!goes->stands_for)
		return 0;
	for (__u32 i = 0; i < c->head->rules_end && !err; i++) {
		const struct xipsec_spd_rule *rule = &c->rule[i];

		if (!(rule->used & XIPSEC_USED_LEFT_OUT) || rule->dies ||
		    !rule_may_stand_for(goes, rule))
			continue;
		if (++n > LET_IN_MAX)
			return -EAGAIN;
		if (rule->sel.family != XIPSEC_FAMILY_IP6)
			err = rule_enter_again(c, rule, i, XIPSEC_FAMILY_IP4);
		if (!err && rule->sel.family != XIPSEC_FAMILY_IP4)
			err = rule_enter_again(c, rule, i, XIPSEC_FAMILY_IP6);
	}
	return err;
}

void classifier_undo(struct classifier *c, __u32 number)
{
	if (c->rule[number].born)
		__atomic_store_n(&c->rule[number].dies, c->rule[number].born, __ATOMIC_RELEASE);
	else
		classifier_forget(c, number);
}

static __u32 free_place(const struct classifier *c)
{
	__u32 at = c->free_from;

	while (at < c->head->max_rules && c->rule[at].used)
		at++;
	return at;
}

int classifier_put(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 *number)
{
	__u32 at = *number == CLASSIFIER_ANY ? free_place(c) : *number;
	int err = 0;

	if (at >= c->head->max_rules)
		return -ENOSPC;
	c->rule[at] = *rule;
	c->rule[at].used = XIPSEC_USED_TAKEN;
	c->rule[at].stands_for = 0;
	if (rule->sel.opaque)
		__atomic_store_n(&c->head->opaque, 1, __ATOMIC_RELEASE);
	if (*number == CLASSIFIER_ANY)
		c->free_from = at + 1;
	if (c->head->rules_end <= at)
		__atomic_store_n(&c->head->rules_end, at + 1, __ATOMIC_RELEASE);
	if (rule->sel.family != XIPSEC_FAMILY_IP6)
		err = rule_enter(c, &c->rule[at], at, XIPSEC_FAMILY_IP4);
	if (!err && rule->sel.family != XIPSEC_FAMILY_IP4)
		err = rule_enter(c, &c->rule[at], at, XIPSEC_FAMILY_IP6);
	if (err)
		classifier_undo(c, at);
	if (!err || c->rule[at].used)
		*number = at;
	return err;
}

static void rule_leave(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 number,
		       __u8 family)
{
	struct shape shape = shape_of(&rule->sel, family);

	for (__u32 i = 0; i < c->head->n_tables; i++) {
		struct keys keys;

		if (!shape_fits(&c->head->table[i], &shape))
			continue;
		shape_keys(&c->head->table[i], &shape, &keys);
		for (unsigned int k = 0; k < keys.n; k++)
			slot_clear(c, keys.hash[k], rule->priority, number);
	}
}

void classifier_leave(struct classifier *c, __u32 number)
{
	const struct xipsec_spd_rule *rule = &c->rule[number];

	if (rule->sel.family != XIPSEC_FAMILY_IP6)
		rule_leave(c, rule, number, XIPSEC_FAMILY_IP4);
	if (rule->sel.family != XIPSEC_FAMILY_IP4)
		rule_leave(c, rule, number, XIPSEC_FAMILY_IP6);
}

void classifier_forget(struct classifier *c, __u32 number)
{
	classifier_leave(c, number);
	memset(&c->rule[number], 0, sizeof(c->rule[number]));
	if (number < c->free_from)
		c->free_from = number;
}

void classifier_candidates(const struct classifier *c, const struct xipsec_flow *flow,
			   void (*visit)(void *arg, __u32 number), void *arg)
{
	const struct xipsec_spd_list *list =
		&c->head->list[xipsec_spd_list_of(flow->dir, flow->family, xipsec_view_of(flow))];
	struct xipsec_key key;

	xipsec_key_of(flow, &key);
	for (__u32 p = 0; p < XIPSEC_TABLES_MAX; p++)
		if (list->member[p / 64] >> (p & 63) & 1)
			slots_visit(c,
				    xipsec_key_hash(&c->head->table[list->entry[p].table], &key,
						    flow->family == XIPSEC_FAMILY_IP6),
				    visit, arg);
}

bool classifier_lives(const struct xipsec_spd_rule *rule, __u32 generation)
{
	return rule->used && (!rule->born || (__s32)(generation - rule->born) >= 0) &&
	       (!rule->dies || (__s32)(generation - rule->dies) < 0);
}

/* ------------------------------------------------------------------ changes */

void classifier_log_forget(struct classifier *c, __u32 generation)
{
	if ((__s32)(generation - c->head->log_base) > 0)
		__atomic_store_n(&c->head->log_base, generation, __ATOMIC_SEQ_CST);
}

void classifier_log(struct classifier *c, __u32 number, __u32 generation)
{
	struct xipsec_spd_change *change = &c->head->change[c->head->n_changes % XIPSEC_CHANGES];

	/* What is overwritten is forgotten first: a reader looks at log_base last. */
	if (change->generation)
		classifier_log_forget(c, change->generation);
	__atomic_store_n(&change->generation, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&change->rule, number, __ATOMIC_RELEASE);
	__atomic_store_n(&change->generation, generation, __ATOMIC_RELEASE);
	__atomic_store_n(&c->head->n_changes, c->head->n_changes + 1, __ATOMIC_RELEASE);
}

void classifier_publish(struct classifier *c, __u32 generation)
{
	__atomic_store_n(&c->head->generation, generation, __ATOMIC_RELEASE);
}
