/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Finds the place of a name in an array that somebody else owns: a hash of places, not of pointers,
 * so the array may move. All zero is an empty one. Names are the administrator's: no guard against
 * ones that were chosen to collide.
 */
#ifndef LIB_NAME_INDEX_H
#define LIB_NAME_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

#define NAME_NONE (~0U)

/* The name at place `i` of the array `array`. */
typedef const char *(*name_at_fn)(const void *array, __u32 i);

struct name_index {
	__u32 *slot; /* place + 1; 0: empty. Open addressing, at most half full */
	__u32 n, mask;
	name_at_fn at;
};

/* Notes that `array[i]` has its name now, which no other place has. False: no memory; nothing has
 * changed then. */
bool name_index_put(struct name_index *index, name_at_fn at, const void *array, __u32 i);

/* Anew from places 0 to n - 1: after some went or moved. False: no memory; it is as it was
 * then. */
bool name_index_make(struct name_index *index, name_at_fn at, const void *array, __u32 n);

/* NAME_NONE: nothing is called so. */
__u32 name_index_find(const struct name_index *index, const void *array, const char *name);

void name_index_free(struct name_index *index);

/* FNV-1a, folded. */
__u32 name_hash(const char *name);

#endif
