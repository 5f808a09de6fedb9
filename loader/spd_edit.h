/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Rules that come and go one by one, in the SPD in force: what a daemon calls when a child appears.
 * A change costs microseconds, however many rules there are, and each packet sees all of it or
 * nothing (docs/classifier.md). Where there is no room between two neighbours, some around them
 * move; not before there is none any more (memory, or too many to move) the SPD is built anew, with
 * the change, and switched.
 *
 * An editor belongs to one thread. Others may reload or edit meanwhile: each change takes the
 * loader's lock and looks again if the SPD is another one.
 */
#ifndef LOADER_SPD_EDIT_H
#define LOADER_SPD_EDIT_H

#include "loader/spd.h"

struct spd_editor;

#define SPD_AT_END (~0U)

/* A rule to be. The number of a rule is its place in spd_rules and spd_hits, and stays the same
 * when the SPD is built anew here. A change may give other numbers to rules near those that come,
 * with which their counts go; a reload gives out other ones to all. So it is good until the next
 * change: spd_editor_order() tells. */
struct spd_add {
	struct xipsec_spd_rule rule; /* priority, born, dies: not read */
	__u32 before;                /* number of the rule that it comes before, or SPD_AT_END */
	__u32 number;                /* out */
};

/* Of an open generation, whose maps must stay open. run_dir: where the loader's lock is; NULL: none
 * is taken (tests). 0, -ENOENT: there is no SPD yet, -errno. The caller ends it with
 * spd_editor_close(). */
int spd_editor_open(const struct datapath *dp, const char *run_dir, const char *gen_dir,
		    __u32 max_rules, struct spd_editor **out);
void spd_editor_close(struct spd_editor *editor);

/* What each spd_edit() calls from now on before its change is in force; NULL: nothing. It must live
 * as long. */
void spd_editor_ready(struct spd_editor *editor, const struct spd_ready *ready);

/*
 * One change, all or nothing: the rules of `add`, in this order where they come before the same
 * rule, and without those numbered in `remove`. *generation: of the SPD with the change.
 * 0; -ENOENT: a number is not that of a rule; -E2BIG: more than max_rules, or as spd_build();
 * -ESTALE: another SPD was loaded meanwhile, or this one edited by somebody else: all numbers are
 * void, and the editor has read it;
 * -errno. Direction of failure: the SPD stays as it was.
 */
int spd_edit(struct spd_editor *editor, struct spd_add *add, unsigned int n_add,
	     const __u32 *remove, unsigned int n_remove, __u32 *generation);

/* Reads anew what another one has loaded or edited meanwhile, if one has. 0 or -errno. */
int spd_editor_renew(struct spd_editor *editor);

/* The rules in order, first wins: their numbers, the caller frees. NULL: no memory. */
__u32 *spd_editor_order(const struct spd_editor *editor, __u32 *n);

/* A rule that stands for others until an SA comes, or that came with one; and the rule behind it,
 * SPD_AT_END: none. */
struct spd_dynamic {
	__u32 number, behind;
};

/* These alone, in order, the caller frees; what it costs grows with them, not with the others.
 * NULL: no memory. */
struct spd_dynamic *spd_editor_dynamic(const struct spd_editor *editor, __u32 *n);

/* Pins the maps anew, where pins are wanted: somebody may have removed them. */
void spd_editor_pin(const struct spd_editor *editor);

/* The memory that is edited, to read; valid until the next spd_edit(). */
const struct classifier *spd_editor_classifier(const struct spd_editor *editor);

#endif
