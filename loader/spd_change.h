/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From one SPD to the next by its differences: a reload that brings or takes a few rules, as when a
 * child is loaded or unloaded, changes those in place (loader/spd_edit.h) and builds nothing. The
 * rules that stay keep their numbers, their counters and the flows that were remembered of them.
 */
#ifndef LOADER_SPD_CHANGE_H
#define LOADER_SPD_CHANGE_H

#include "loader/spd.h"

#define SPD_CHANGE_MAX 256 /* rules that come or go; more are a new SPD */

/* Do they say the same of the same packets? Line and policy are for people. */
bool spd_rule_same(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b);

/* The rules that make `from` into `to`, by their places there. Both are lists in order. A rule that
 * has moved goes and comes. -E2BIG: more than SPD_CHANGE_MAX. Pure. */
struct spd_change {
	unsigned int n_remove, n_add;
	__u32 remove[SPD_CHANGE_MAX]; /* in `from` */
	__u32 add[SPD_CHANGE_MAX];    /* in `to` */
	__u32 before[SPD_CHANGE_MAX]; /* in `from`: the one that stays behind add[i]; its length:
					 none does */
};
int spd_change_find(const struct xipsec_spd_rule *const *from, __u32 n_from,
		    const struct xipsec_spd_rule *to, __u32 n_to, struct spd_change *out);

/* Does the SPD in force say what the config says? Rules that came with SAs apart. Reads alone:
 * where somebody edits it meanwhile, it may say no. */
bool spd_is_of(const struct datapath *dp, const struct config *config);

/*
 * Makes the SPD in force the one of `source`; the caller holds the loader's lock. 0 with the
 * generation that has all of it; -EAGAIN: it must be built anew (nothing is in force, too much
 * changes, or what is no rule: built-in passes); -errno. Direction of failure: what is in force
 * stays. `ready` (may be NULL) is called also where no rule changes.
 */
int spd_change(const struct datapath *dp, const char *gen_dir, __u32 max_rules,
	       const struct spd_source *source, const struct spd_ready *ready, __u32 *generation);

#endif
