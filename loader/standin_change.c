// SPDX-License-Identifier: BSD-2-Clause
#include "loader/standin_change.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "loader/spd_change.h"

void standin_change_free(struct standin_change *change)
{
	free(change->add);
	free(change->remove);
	free(change->keep);
	*change = (struct standin_change){0};
}

/* A rule of an SA in force, and the one of the config that it stands before. */
struct there {
	__u32 child, place; /* in the order */
	__u32 number, before;
	bool kept;
};

/* What is in force, as far as it matters. */
struct force {
	struct there *there; /* by child */
	__u32 *standin;      /* in order */
	__u32 n_there, n_standins;
};

static void force_free(struct force *force)
{
	free(force->there);
	free(force->standin);
}
#define _cleanup_force_ __attribute__((cleanup(force_free)))

static int by_child(const void *a, const void *b)
{
	const struct there *x = a, *y = b;

	if (x->child != y->child)
		return x->child < y->child ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

/* The rules of SAs of one child, or (NULL) of all. */
static int force_read(const struct classifier *c, const struct spd_dynamic *list, __u32 n,
		      const __u32 *child, struct force *force)
{
	__u32 before = SPD_AT_END;
	bool of_sa = false;

	force->there = calloc(n + 1, sizeof(force->there[0]));
	force->standin = calloc(n + 1, sizeof(force->standin[0]));
	if (!force->there || !force->standin)
		return -ENOMEM;
	for (__u32 i = n; i-- > 0;) {
		const struct xipsec_spd_rule *rule = &c->rule[list[i].number];

		/* Several of SAs stand before the same one. */
		if (!of_sa || list[i].behind != list[i + 1].number)
			before = list[i].behind;
		of_sa = rule->origin & XIPSEC_RULE_OF_SA;
		if (of_sa && (!child || rule->child == *child))
			force->there[force->n_there++] =
				(struct there){rule->child, i, list[i].number, before, false};
	}
	for (__u32 i = 0; i < n; i++)
		if (!(c->rule[list[i].number].origin & XIPSEC_RULE_OF_SA))
			force->standin[force->n_standins++] = list[i].number;
	qsort(force->there, force->n_there, sizeof(force->there[0]), by_child);
	return 0;
}

static bool standin_same(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->origin == b->origin && !memcmp(&a->sel, &b->sel, sizeof(a->sel));
}

/* -EAGAIN: it is not in force. */
static int standin_number(const struct classifier *c, const struct force *force,
			  const struct xipsec_spd_rule *standin, __u32 *number)
{
	for (__u32 i = 0; i < force->n_standins; i++)
		if (standin_same(&c->rule[force->standin[i]], standin)) {
			*number = force->standin[i];
			return 0;
		}
	return -EAGAIN;
}

/* The first of a child's. */
static __u32 there_first(const struct force *force, __u32 child)
{
	__u32 low = 0, high = force->n_there;

	while (low < high) {
		__u32 mid = low + (high - low) / 2;

		if (force->there[mid].child < child)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

static struct there *there_find(const struct classifier *c, const struct force *force,
				const struct xipsec_spd_rule *rule, __u32 before)
{
	for (__u32 i = there_first(force, rule->child);
	     i < force->n_there && force->there[i].child == rule->child; i++) {
		struct there *there = &force->there[i];

		if (!there->kept && there->before == before &&
		    spd_rule_same(&c->rule[there->number], rule))
			return there;
	}
	return NULL;
}

int standin_change_find(const struct classifier *c, const struct spd_dynamic *list, __u32 n,
			const struct standin_want *want, unsigned int n_want, const __u32 *child,
			struct standin_change *out)
{
	_cleanup_force_ struct force force = {0};
	int err = force_read(c, list, n, child, &force);

	out->add = calloc(n_want + 1, sizeof(out->add[0]));
	out->keep = calloc(n_want + 1, sizeof(out->keep[0]));
	out->remove = calloc(force.n_there + 1, sizeof(out->remove[0]));
	if (err || !out->add || !out->keep || !out->remove)
		return -ENOMEM;
	for (unsigned int i = 0; i < n_want; i++) {
		struct there *there;
		__u32 before = 0;

		err = standin_number(c, &force, want[i].standin, &before);
		if (err)
			return err;
		there = there_find(c, &force, &want[i].rule, before);
		if (there) {
			there->kept = true;
			out->keep[out->n_keep++] = (struct standin_kept){there->number, i};
		} else {
			out->add[out->n_add++] =
				(struct spd_add){.rule = want[i].rule, .before = before};
		}
	}
	for (__u32 i = 0; i < force.n_there; i++)
		if (!force.there[i].kept)
			out->remove[out->n_remove++] = force.there[i].number;
	return 0;
}

/* ------------------------------------------------------------------ into another SPD */

/* Stand-ins of a list that is not in force yet, by place. */
static __u32 *source_standins(const struct spd_source *source, __u32 *n)
{
	__u32 *list = calloc(source->n_rules + 1, sizeof(*list));

	*n = 0;
	for (__u32 i = 0; list && i < source->n_rules; i++)
		if (source->rule[i].origin)
			list[(*n)++] = i;
	return list;
}

/* For each of the rules of SAs, in order, the place that it comes before; no place: `none`. */
static int carry_places(const struct spd_editor *editor, const struct spd_source *source,
			struct there *list, __u32 *n_list)
{
	const struct classifier *c = spd_editor_classifier(editor);
	__u32 n, n_standins;
	_cleanup_free_ __u32 *order = spd_editor_order(editor, &n);
	_cleanup_free_ __u32 *standin = source_standins(source, &n_standins);
	const struct xipsec_spd_rule *before = NULL;

	if (!order || !standin)
		return -ENOMEM;
	for (__u32 i = n; i-- > 0;) {
		const struct xipsec_spd_rule *rule = &c->rule[order[i]];
		__u32 k = 0;

		if (!(rule->origin & XIPSEC_RULE_OF_SA)) {
			before = rule;
			continue;
		}
		while (before && k < n_standins && !standin_same(&source->rule[standin[k]], before))
			k++;
		if (before && k < n_standins)
			list[(*n_list)++] = (struct there){
				.place = i, .number = order[i], .before = standin[k]};
	}
	return 0;
}

static int by_before(const void *a, const void *b)
{
	const struct there *x = a, *y = b;

	if (x->before != y->before)
		return x->before < y->before ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static int carry_make(const struct classifier *c, const struct there *list, __u32 n_list,
		      struct spd_source *source)
{
	struct xipsec_spd_rule *rule = calloc(source->n_rules + n_list + 1, sizeof(*rule));
	__u32 n = 0, k = 0;

	if (!rule)
		return -ENOMEM;
	for (__u32 i = 0; i < source->n_rules; i++) {
		for (; k < n_list && list[k].before == i; k++) {
			rule[n] = c->rule[list[k].number];
			rule[n].line = source->rule[i].line;
			rule[n].policy = source->rule[i].policy;
			rule[n++].stands_for = 0;
		}
		rule[n++] = source->rule[i];
	}
	free(source->rule);
	source->rule = rule;
	source->n_rules = n;
	return 0;
}

int standin_carry(const struct datapath *dp, __u32 max_rules, struct spd_source *source)
{
	_cleanup_free_ struct there *list = NULL;
	struct spd_editor *editor;
	__u32 most = source->counted && source->counted < max_rules ? source->counted : max_rules;
	__u32 n_list = 0;
	int err = spd_editor_open(dp, NULL, NULL, max_rules, &editor);

	if (err)
		return err == -ENOENT ? 0 : err;
	list = calloc(spd_editor_classifier(editor)->head->n_rules + 1, sizeof(*list));
	err = list ? carry_places(editor, source, list, &n_list) : -ENOMEM;
	if (!err && n_list && source->n_rules + n_list <= most) {
		qsort(list, n_list, sizeof(*list), by_before);
		err = carry_make(spd_editor_classifier(editor), list, n_list, source);
	}
	spd_editor_close(editor);
	return err;
}
