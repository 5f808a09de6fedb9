/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The writer's side of enum xipsec_hint: what a rule that is put into a table adds to the words
 * that tell which tables are worth a look.
 */
#ifndef LOADER_HINTS_H
#define LOADER_HINTS_H

#include "loader/classifier.h"
#include "loader/shape.h"

/* Words of each of the first two axes for about `n` rules, a power of 2, at least 512. */
__u32 hints_words(__u64 n);

/* Buckets that all axes take. */
__u32 hints_buckets(__u32 words);

/* The rule may be found in this table: bits are set for all that it takes, before its entries are
 * stored. Some hundred stores at most for each axis. */
void hints_set(struct classifier *c, __u32 table, const struct shape *shape);

#endif
