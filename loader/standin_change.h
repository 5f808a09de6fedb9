/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules that came with SAs, in the SPD in force and as they should be: only what differs is
 * changed, so that the others keep their counts, their flows and their moment. Works on memory
 * alone.
 */
#ifndef LOADER_STANDIN_CHANGE_H
#define LOADER_STANDIN_CHANGE_H

#include "loader/spd_edit.h"

/* A rule that should be, and the rule of the config that it stands before. */
struct standin_want {
	struct xipsec_spd_rule rule;
	const struct xipsec_spd_rule *standin;
};

struct standin_change {
	struct spd_add *add;
	__u32 *remove;
	struct standin_kept {
		__u32 number, want;
	} * keep; /* in force as they should be, but for what people are told of them */
	unsigned int n_add, n_remove, n_keep;
};

/* What makes the rules of SAs in `list` (n, as spd_editor_dynamic() tells them) those of `want`; of
 * one child, or (NULL) of all. 0; -EAGAIN: a stand-in is not in force, the policies are not yet
 * those of the config; -ENOMEM. The caller ends *out with standin_change_free() in any case. */
int standin_change_find(const struct classifier *c, const struct spd_dynamic *list, __u32 n,
			const struct standin_want *want, unsigned int n_want, const __u32 *child,
			struct standin_change *out);
void standin_change_free(struct standin_change *change);
#define _cleanup_standin_change_ __attribute__((cleanup(standin_change_free)))

/* The rules of SAs in force, put into a list that takes the place of them all: each before the
 * stand-in that it stood before, where there is that one. Not where there would be more than
 * max_rules: then none, and what they protect is discarded. 0 or -errno, *source as it was. */
int standin_carry(const struct datapath *dp, __u32 max_rules, struct spd_source *source);

#endif
