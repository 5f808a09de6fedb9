/* SPDX-License-Identifier: BSD-2-Clause */
/* What loader/spd_edit.c and loader/spd_room.c share. */
#ifndef LOADER_SPD_EDIT_INSIDE_H
#define LOADER_SPD_EDIT_INSIDE_H

#include "loader/hits.h"
#include "loader/rule_list.h"
#include "loader/spd_edit.h"

/* Gone, or born, since the last spd_tidy(). */
#define PENDING_MAX 512

/* Rules that one change moves, at most. Each is a rule that goes and one that comes. */
#define MOVES_MAX (PENDING_MAX / 4)

struct spd_editor {
	const struct datapath *dp;
	char *run_dir, *gen_dir; /* NULL: none */
	const struct spd_ready *ready;
	__u32 max_rules;
	__u32 head_id;    /* of the map that is edited */
	__u32 generation; /* that `order` is of, */
	__u32 n_edits;    /* and after how many changes, published or not */
	struct spd_memory memory;
	struct hits hits;
	struct rule_list order;
	struct rule_list dynamic; /* of these, those with an origin */
	__u32 newest;             /* the rule that came last, NONE */
	__u32 pending[PENDING_MAX];
	unsigned int n_pending;
	struct {
		__u32 from, to;
	} move[MOVES_MAX]; /* of the change that is being made */
	unsigned int n_moves;
};

/* A change, as spd_edit() is told it. */
struct spd_edit {
	struct spd_add *add;
	unsigned int n_add;
	const __u32 *remove;
	unsigned int n_remove;
};

/* A rule moves in the lists. */
void order_replace(struct spd_editor *e, __u32 from, __u32 to);

/* Does the rule of this number go? */
bool spd_edit_removes(const struct spd_edit *change, __u32 number);

/* Frees what rules that are gone have left, by who has the lock. Waits for running programs, twice
 * (about 10 ms each), and flows are looked up anew afterwards. Not while rules are marked to die
 * that still live. 0 or -errno. */
int spd_tidy(struct spd_editor *e);

#endif
