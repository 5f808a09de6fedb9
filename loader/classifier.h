/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer's side of include/xipsec/classifier.h: rules into tables and out of them again. Works
 * on memory alone, the maps of an SPD or a test's own, and knows neither kernel nor config.
 *
 * Programs may be searching the same memory at any moment. What each function changes, it changes
 * in such an order that a search at the generation in force finds what it would have found before;
 * a rule that is put in is not part of the SPD before classifier_publish(), one that dies is part
 * of it until then. What is taken away for good (classifier_forget()) must not be read by anybody
 * any more: the caller waits until every program run that began before has ended.
 */
#ifndef LOADER_CLASSIFIER_H
#define LOADER_CLASSIFIER_H

#include <stdbool.h>
#include <stddef.h>
#include "xipsec/classifier.h"

struct classifier {
	struct xipsec_spd *head;
	struct xipsec_spd_bucket *bucket; /* head->n_buckets */
	struct xipsec_spd_rule *rule;     /* head->max_rules */
	__u32 free_from;                  /* no free place in `rule` is before this one */
};

/* Entries of the two arrays that `n` rules are likely to need, with room for a quarter more.
 * `attempt`: 0, and one more each time that it was not enough. */
struct classifier_size {
	__u32 hashed; /* a power of 2; the filter has 64 bits for each */
	__u32 hints;  /* words of an axis, a power of 2 */
	__u32 buckets;
	__u32 rules;
};
struct classifier_size classifier_size(const struct xipsec_spd_rule *rule, __u32 n, __u32 attempt);

/* An SPD without rules in zeroed memory of `size`. generation stays 0. */
void classifier_init(struct classifier *c, const struct classifier_size *size);

#define CLASSIFIER_ANY (~0U)

/* Puts a rule into the tables; its priority, born and dies are the caller's. *number: its place; a
 * free one if it is CLASSIFIER_ANY, else this one, which nothing else has.
 * 0; -ENOSPC: the arrays are full, a larger SPD must be built; -E2BIG: too many rules that only
 * differ where no table can tell them apart. On failure nothing of it can be found;
 * what is born later than now keeps its place, *number, until classifier_forget(). */
int classifier_put(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 *number);

/* Takes back what was put in and not published: it will never live. With `born` its place stays
 * taken until classifier_forget(), for a search may be looking at it. */
void classifier_undo(struct classifier *c, __u32 number);

/* Writes the change log: rule `number` is born or dies with `generation`, which is the next one. */
void classifier_log(struct classifier *c, __u32 number, __u32 generation);
/* Flows looked up before `generation` are looked up anew. */
void classifier_log_forget(struct classifier *c, __u32 generation);

/* One store: from here on, searches that begin see the SPD of `generation`. */
void classifier_publish(struct classifier *c, __u32 generation);

/* Takes a rule that is in no generation that anybody searches out of all tables. Its place stays
 * taken: a search that has just found it goes on to read there. */
void classifier_leave(struct classifier *c, __u32 number);

/* The same of one that nobody can see any more; its place is free. */
void classifier_forget(struct classifier *c, __u32 number);

/* Calls `visit` with each rule that a search for this flow could propose:
 * those that match, except rules that an earlier one shadows, and some that do not. */
void classifier_candidates(const struct classifier *c, const struct xipsec_flow *flow,
			   void (*visit)(void *arg, __u32 number), void *arg);

/* Part of the SPD of that generation? */
bool classifier_lives(const struct xipsec_spd_rule *rule, __u32 generation);

/* Before rule `number` goes, which is marked to die: what was left out of tables because it is
 * there is put in, as far as nothing else stands in for it. A pass over all rules, of which the few
 * that are concerned are looked at. 0, as classifier_put(), or -EAGAIN: too many are. On failure
 * some have more entries than they need, which no answer hangs on. */
int classifier_let_in(struct classifier *c, __u32 number);

#endif
