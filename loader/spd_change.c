// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/spd_edit.h"

bool spd_rule_same(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->action == b->action && a->dirs == b->dirs && a->dev == b->dev &&
	       a->origin == b->origin &&
	       (a->action != XIPSEC_ACTION_PROTECT || a->child == b->child) &&
	       !memcmp(&a->sel, &b->sel, sizeof(a->sel));
}

/* Where two lists stand that are walked side by side. */
struct walk {
	const struct xipsec_spd_rule *const *from;
	const struct xipsec_spd_rule *to;
	__u32 n_from, n_to, i, k;
};

/* The fewest rules to pass over, on one side, until both say the same again; 0: there is no such
 * place near. *gone: on the side of `from`. */
static __u32 next_same(const struct walk *w, bool *gone)
{
	for (__u32 skip = 1; skip <= SPD_CHANGE_MAX; skip++) {
		*gone = true;
		if (w->i + skip < w->n_from && w->k < w->n_to &&
		    spd_rule_same(w->from[w->i + skip], &w->to[w->k]))
			return skip;
		*gone = false;
		if (w->k + skip < w->n_to && w->i < w->n_from &&
		    spd_rule_same(w->from[w->i], &w->to[w->k + skip]))
			return skip;
	}
	return 0;
}

static int note_gone(struct spd_change *change, struct walk *w, __u32 n)
{
	for (; n; n--) {
		if (change->n_remove == SPD_CHANGE_MAX)
			return -E2BIG;
		change->remove[change->n_remove++] = w->i++;
	}
	return 0;
}

/* Which rule stands behind them is known when one stays. */
static int note_come(struct spd_change *change, struct walk *w, __u32 n)
{
	for (; n; n--) {
		if (change->n_add == SPD_CHANGE_MAX)
			return -E2BIG;
		change->before[change->n_add] = w->n_from;
		change->add[change->n_add++] = w->k++;
	}
	return 0;
}

static void note_stay(struct spd_change *change, struct walk *w)
{
	for (unsigned int i = change->n_add; i-- > 0 && change->before[i] == w->n_from;)
		change->before[i] = w->i;
	w->i++;
	w->k++;
}

int spd_change_find(const struct xipsec_spd_rule *const *from, __u32 n_from,
		    const struct xipsec_spd_rule *to, __u32 n_to, struct spd_change *out)
{
	struct walk w = {from, to, n_from, n_to, 0, 0};
	int err = 0;

	out->n_remove = out->n_add = 0;
	while (!err && (w.i < n_from || w.k < n_to)) {
		bool gone = false;
		__u32 skip;

		if (w.i < n_from && w.k < n_to && spd_rule_same(from[w.i], &to[w.k])) {
			note_stay(out, &w);
			continue;
		}
		skip = next_same(&w, &gone);
		if (skip) {
			err = gone ? note_gone(out, &w, skip) : note_come(out, &w, skip);
			continue;
		}
		err = note_gone(out, &w, w.i < n_from);
		if (!err)
			err = note_come(out, &w, w.k < n_to);
	}
	return err;
}

/* ------------------------------------------------------------------ in force */

static bool passes_same(const struct xipsec_spd *head, const struct spd_source *source)
{
	return head->allow == source->allow && head->n_ethertypes == source->n_ethertypes &&
	       !memcmp(head->ethertype, source->ethertype,
		       source->n_ethertypes * sizeof(source->ethertype[0]));
}

/* The rules in force, and where among them stand those that a config says: at `at`, and from
 * `front` on up to it those that belong to it and came with SAs. */
struct in_order {
	__u32 *number;
	struct ours {
		__u32 front, at;
	} * ours;
	__u32 n_ours;
};

static void in_order_free(struct in_order *order)
{
	free(order->number);
	free(order->ours);
}
#define _cleanup_in_order_ __attribute__((cleanup(in_order_free)))

static int in_order_read(const struct spd_editor *editor, struct in_order *out)
{
	const struct classifier *c = spd_editor_classifier(editor);
	__u32 n, front = 0;

	out->number = spd_editor_order(editor, &n);
	out->ours = calloc(n + 1, sizeof(out->ours[0]));
	if (!out->number || !out->ours)
		return -ENOMEM;
	for (__u32 i = 0; i < n; i++) {
		if (c->rule[out->number[i]].origin & XIPSEC_RULE_OF_SA)
			continue;
		out->ours[out->n_ours++] = (struct ours){front, i};
		front = i + 1;
	}
	return 0;
}

/* What is only for people, of all rules that are in force now. */
static int tell_people(struct spd_editor *editor, const struct spd_source *source)
{
	const struct classifier *c = spd_editor_classifier(editor);
	__u32 n, k = 0;
	_cleanup_free_ __u32 *number = spd_editor_order(editor, &n);

	if (!number)
		return -ENOMEM;
	for (__u32 i = 0; i < n && k < source->n_rules; i++) {
		c->rule[number[i]].line = source->rule[k].line;
		c->rule[number[i]].policy = source->rule[k].policy;
		k += !(c->rule[number[i]].origin & XIPSEC_RULE_OF_SA);
	}
	return 0;
}

/* Rules of SAs go with the one that they stand before. Where that only moves, all is made anew, and
 * they move with it: -EAGAIN; so where they are too many. */
static int remove_with_sas(const struct classifier *c, const struct spd_source *source,
			   const struct in_order *order, const struct spd_change *change,
			   __u32 *remove, unsigned int *n)
{
	*n = 0;
	for (unsigned int i = 0; i < change->n_remove; i++) {
		const struct ours *goes = &order->ours[change->remove[i]];
		const struct xipsec_spd_rule *rule = &c->rule[order->number[goes->at]];

		for (unsigned int k = 0; goes->front < goes->at && k < change->n_add; k++)
			if (spd_rule_same(&source->rule[change->add[k]], rule))
				return -EAGAIN;
		for (__u32 k = goes->front; k <= goes->at; k++) {
			if (*n == SPD_CHANGE_MAX)
				return -EAGAIN;
			remove[(*n)++] = order->number[k];
		}
	}
	return 0;
}

static int by_priority(const void *a, const void *b)
{
	__u32 x = (*(const struct xipsec_spd_rule *const *)a)->priority,
	      y = (*(const struct xipsec_spd_rule *const *)b)->priority;

	return x < y ? -1 : x > y;
}

bool spd_is_of(const struct datapath *dp, const struct config *config)
{
	_cleanup_spd_source_ struct spd_source source = {0};
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	_cleanup_free_ const struct xipsec_spd_rule **list = NULL;
	const struct spd_ids ids = spd_ids_of(dp);
	const struct xipsec_spd *head;
	__u32 n = 0;
	bool same;

	if (spd_compile(config, &ids, &source) || spd_memory_open(dp, &memory))
		return false;
	head = memory.c.head;
	list = calloc(head->rules_end + 1, sizeof(*list));
	for (__u32 i = 0; list && i < head->rules_end; i++)
		if (classifier_lives(&memory.c.rule[i], head->generation) &&
		    !(memory.c.rule[i].origin & XIPSEC_RULE_OF_SA))
			list[n++] = &memory.c.rule[i];
	same = list && n == source.n_rules && passes_same(head, &source);
	if (same)
		qsort(list, n, sizeof(*list), by_priority);
	for (__u32 i = 0; same && i < n; i++)
		same = spd_rule_same(list[i], &source.rule[i]);
	return same;
}

static int edit(struct spd_editor *editor, const struct spd_source *source,
		const struct in_order *order, const struct spd_change *change, __u32 *generation)
{
	__u32 remove[SPD_CHANGE_MAX];
	unsigned int n_remove;
	_cleanup_free_ struct spd_add *add = calloc(SPD_CHANGE_MAX, sizeof(*add));
	int err = remove_with_sas(spd_editor_classifier(editor), source, order, change, remove,
				  &n_remove);

	if (!add)
		return -ENOMEM;
	if (err)
		return err;
	for (unsigned int i = 0; i < change->n_add; i++) {
		__u32 before = change->before[i];

		add[i] = (struct spd_add){
			.rule = source->rule[change->add[i]],
			.before = before < order->n_ours ? order->number[order->ours[before].front]
							 : SPD_AT_END};
	}
	return spd_edit(editor, add, change->n_add, remove, n_remove, generation);
}

static int change_in(struct spd_editor *editor, const struct spd_source *source,
		     const struct spd_ready *ready, __u32 *generation)
{
	const struct classifier *c = spd_editor_classifier(editor);
	_cleanup_free_ const struct xipsec_spd_rule **from = NULL;
	_cleanup_free_ struct spd_change *change = calloc(1, sizeof(*change));
	_cleanup_in_order_ struct in_order order = {0};
	int err = in_order_read(editor, &order);

	from = calloc(order.n_ours + 1, sizeof(from[0]));
	if (err || !from || !change)
		return -ENOMEM;
	if (!passes_same(c->head, source))
		return -EAGAIN;
	for (__u32 i = 0; i < order.n_ours; i++)
		from[i] = &c->rule[order.number[order.ours[i].at]];
	if (spd_change_find(from, order.n_ours, source->rule, source->n_rules, change))
		return -EAGAIN;
	*generation = c->head->generation;
	if (!change->n_add && !change->n_remove)
		return spd_ready_call(ready);
	spd_editor_ready(editor, ready);
	err = edit(editor, source, &order, change, generation);
	if (err == -E2BIG)
		log_error("policies {}: %u rules, and %u that came with SAs: raise max_rules in "
			  "datapath {} and attach anew",
			  source->n_rules, c->head->n_rules - order.n_ours);
	return err;
}

int spd_change(const struct datapath *dp, const char *gen_dir, __u32 max_rules,
	       const struct spd_source *source, const struct spd_ready *ready, __u32 *generation)
{
	struct spd_editor *editor;
	int err = spd_editor_open(dp, NULL, gen_dir, max_rules, &editor);

	if (err)
		return err == -ENOENT ? -EAGAIN : err;
	err = change_in(editor, source, ready, generation);
	if (!err) {
		spd_editor_pin(editor);
		tell_people(editor, source);
	}
	spd_editor_close(editor);
	return err;
}
