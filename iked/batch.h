/* SPDX-License-Identifier: BSD-2-Clause */
/* Commands that ask for several things: env->done() is told when the last of them has ended. */
#ifndef IKED_BATCH_H
#define IKED_BATCH_H

#include <linux/types.h>
#include <stdbool.h>

struct engine;
struct batch;

/* The command is one thing so far. NULL: no memory, or `ref` is 0. */
struct batch *batch_new(struct engine *engine, __u64 ref);
/* One more bears the ref of it. */
void batch_more(struct batch *batch);
/* One thing with that ref has ended: is it the last? Then *err and *text are those of the first
 * that failed, if one did; they live until the next call. */
bool batch_ends(struct engine *engine, __u64 ref, int *err, const char **text);
void batches_free(struct engine *engine);

#endif
