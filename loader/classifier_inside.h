/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the classifier: slots.c (entries of one hash), tables.c (which table a rule goes
 * into, and the lists of tables), left_out.c (rules that need no entry), classifier.c (rules).
 * Everybody else includes classifier.h. Which store programs may see when: there.
 */
#ifndef LOADER_CLASSIFIER_INSIDE_H
#define LOADER_CLASSIFIER_INSIDE_H

#include "loader/classifier.h"
#include "loader/shape.h"

/* ------------------------------------------------------------------ slots.c */

/* Candidates with this hash, as programs would find them. */
static inline __u32 slots_count(const struct classifier *c, __u64 hash)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask);
	__u32 finger = xipsec_hash_finger(hash), n = 0;

	do {
		const struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++)
			n += bucket->slot[i] && ((__u32)bucket->slot[i] >> 20) == finger;
		at = bucket->more;
	} while (at);
	return n;
}

/* An entry of `hash`. 0; -ENOSPC: no bucket is left; -E2BIG: too many are chained to that one. */
int slot_put(struct classifier *c, __u64 hash, __u32 priority, __u32 number);

/* One slot of this rule, if there is any. */
void slot_clear(struct classifier *c, __u64 hash, __u32 priority, __u32 number);

/* Is there one? */
bool slot_has(const struct classifier *c, __u64 hash, __u32 priority, __u32 number);

/* Rules of one hash. */
void slots_visit(const struct classifier *c, __u64 hash, void (*visit)(void *arg, __u32 number),
		 void *arg);

/* ------------------------------------------------------------------ tables.c */

/* Sets of views, of a table. */
#define SHOWN  (1U << XIPSEC_VIEW_WHOLE)
#define HIDDEN (1U << XIPSEC_VIEW_HIDDEN)
#define BLIND  (1U << XIPSEC_VIEW_BLIND)
#define ALL    (SHOWN | HIDDEN | BLIND)

/* The table stands in the lists of the rule's directions and its own views, with bounds that do not
 * stop before the rule. */
void lists_cover(struct classifier *c, __u32 table, const struct xipsec_spd_rule *rule);

/* The number of the table for a rule: one with room where it is, else a new one, else the least
 * crowded. -ENOSPC: there is none, nor room for one. */
int table_choose(struct classifier *c, const struct shape *shape, __u8 views);

/* ------------------------------------------------------------------ left_out.c */

/* Rules that stand in for another, so that it need not be found. */
struct stand_ins {
	const struct xipsec_spd_rule *rule;
	struct xipsec_spd_rule *by[2];
	unsigned int n;
};

/* May `there` stand in for the rule, in tables of packets that hide their ports; that hide their
 * protocol, too; that show all? True: what was found is enough. */
bool stand_in_hidden(struct stand_ins *found, struct xipsec_spd_rule *there);
bool stand_in_blind(struct stand_ins *found, struct xipsec_spd_rule *there);
bool stand_in_whole(struct stand_ins *found, struct xipsec_spd_rule *there);

/* Looks among the candidates of the rule's first key. */
bool stand_ins_find(const struct classifier *c, __u32 table, const struct shape *shape,
		    bool (*ask)(struct stand_ins *found, struct xipsec_spd_rule *there),
		    struct stand_ins *found);

/* They must not go without it. */
void stand_ins_note(struct stand_ins *found);

/* Could `b` have been left out somewhere because of `a`? */
bool rule_may_stand_for(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b);

#endif
