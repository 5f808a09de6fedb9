// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_change.h"

#include <errno.h>
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

/* A rule that a config says, and the first of those that stand before it because of SAs, or it. */
struct ours {
	__u32 number, front;
};

/* In order. */
static struct ours *config_order(const struct spd_editor *editor, __u32 *n)
{
	const struct classifier *c = spd_editor_classifier(editor);
	__u32 all, front = SPD_AT_END;
	_cleanup_free_ __u32 *number = spd_editor_order(editor, &all);
	struct ours *list = number ? calloc(all + 1, sizeof(*list)) : NULL;

	*n = 0;
	for (__u32 i = 0; list && i < all; i++) {
		if (front == SPD_AT_END)
			front = number[i];
		if (c->rule[number[i]].origin & XIPSEC_RULE_OF_SA)
			continue;
		list[(*n)++] = (struct ours){number[i], front};
		front = SPD_AT_END;
	}
	return list;
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
static int remove_front(const struct spd_editor *editor, const struct spd_source *source,
			const struct spd_change *change, const struct ours *goes, __u32 *remove,
			unsigned int *n)
{
	const struct classifier *c = spd_editor_classifier(editor);
	__u32 n_dynamic;
	_cleanup_free_ struct spd_dynamic *list = spd_editor_dynamic(editor, &n_dynamic);
	bool within = false;

	if (!list)
		return -ENOMEM;
	for (unsigned int i = 0; i < change->n_add; i++)
		if (spd_rule_same(&source->rule[change->add[i]], &c->rule[goes->number]))
			return -EAGAIN;
	for (__u32 i = 0; i < n_dynamic && list[i].number != goes->number; i++) {
		within = within || list[i].number == goes->front;
		if (!within)
			continue;
		if (!(c->rule[list[i].number].origin & XIPSEC_RULE_OF_SA))
			break;
		if (*n == SPD_CHANGE_MAX)
			return -EAGAIN;
		remove[(*n)++] = list[i].number;
	}
	return 0;
}

static int edit(struct spd_editor *editor, const struct spd_source *source, const struct ours *ours,
		__u32 n, const struct spd_change *change, __u32 *generation)
{
	__u32 remove[SPD_CHANGE_MAX];
	unsigned int n_remove = 0;
	_cleanup_free_ struct spd_add *add = calloc(SPD_CHANGE_MAX, sizeof(*add));

	if (!add)
		return -ENOMEM;
	for (unsigned int i = 0; i < change->n_remove; i++)
		remove[n_remove++] = ours[change->remove[i]].number;
	for (unsigned int i = 0; i < change->n_remove; i++) {
		const struct ours *goes = &ours[change->remove[i]];
		int err = goes->front == goes->number
				  ? 0
				  : remove_front(editor, source, change, goes, remove, &n_remove);

		if (err)
			return err;
	}
	for (unsigned int i = 0; i < change->n_add; i++)
		add[i] = (struct spd_add){.rule = source->rule[change->add[i]],
					  .before = change->before[i] < n
							    ? ours[change->before[i]].front
							    : SPD_AT_END};
	return spd_edit(editor, add, change->n_add, remove, n_remove, generation);
}

static int change_in(struct spd_editor *editor, const struct spd_source *source,
		     const struct spd_ready *ready, __u32 *generation)
{
	const struct classifier *c = spd_editor_classifier(editor);
	_cleanup_free_ const struct xipsec_spd_rule **from = NULL;
	_cleanup_free_ struct spd_change *change = calloc(1, sizeof(*change));
	__u32 n;
	_cleanup_free_ struct ours *ours = config_order(editor, &n);
	int err;

	from = calloc(n + 1, sizeof(from[0]));
	if (!ours || !from || !change)
		return -ENOMEM;
	if (!passes_same(c->head, source))
		return -EAGAIN;
	for (__u32 i = 0; i < n; i++)
		from[i] = &c->rule[ours[i].number];
	if (spd_change_find(from, n, source->rule, source->n_rules, change))
		return -EAGAIN;
	*generation = c->head->generation;
	if (!change->n_add && !change->n_remove)
		return spd_ready_call(ready);
	spd_editor_ready(editor, ready);
	err = edit(editor, source, ours, n, change, generation);
	if (err == -E2BIG)
		log_error("policies {}: %u rules, and %u that came with SAs: raise max_rules in "
			  "datapath {} and attach anew",
			  source->n_rules, c->head->n_rules - n);
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
