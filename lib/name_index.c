// SPDX-License-Identifier: BSD-2-Clause
#include "lib/name_index.h"

#include <stdlib.h>
#include <string.h>

#define SLOTS_MIN 16

__u32 name_hash(const char *name)
{
	__u64 hash = 0xcbf29ce484222325ULL;

	for (; *name; name++)
		hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
	return (__u32)(hash ^ hash >> 32);
}

static void put(struct name_index *index, const void *array, __u32 i)
{
	__u32 at = name_hash(index->at(array, i)) & index->mask;

	while (index->slot[at])
		at = (at + 1) & index->mask;
	index->slot[at] = i + 1;
	index->n++;
}

/* Room for `n` at half of its size, those it has put in anew. */
static bool grow(struct name_index *index, const void *array, __u32 n)
{
	struct name_index more = {.mask = SLOTS_MIN - 1, .at = index->at};

	while (more.mask / 2 < n)
		more.mask = 2 * more.mask + 1;
	more.slot = calloc((size_t)more.mask + 1, sizeof(more.slot[0]));
	if (!more.slot)
		return false;
	for (__u32 k = 0; index->slot && k <= index->mask; k++)
		if (index->slot[k])
			put(&more, array, index->slot[k] - 1);
	free(index->slot);
	*index = more;
	return true;
}

bool name_index_put(struct name_index *index, name_at_fn at, const void *array, __u32 i)
{
	index->at = at;
	if ((!index->slot || index->mask / 2 <= index->n) && !grow(index, array, index->n + 1))
		return false;
	put(index, array, i);
	return true;
}

bool name_index_make(struct name_index *index, name_at_fn at, const void *array, __u32 n)
{
	struct name_index made = {.at = at};

	if (!grow(&made, array, n + 1))
		return false;
	for (__u32 i = 0; i < n; i++)
		put(&made, array, i);
	name_index_free(index);
	*index = made;
	return true;
}

__u32 name_index_find(const struct name_index *index, const void *array, const char *name)
{
	__u32 at;

	if (!index->slot)
		return NAME_NONE;
	for (at = name_hash(name) & index->mask; index->slot[at]; at = (at + 1) & index->mask)
		if (strcmp(index->at(array, index->slot[at] - 1), name) == 0)
			return index->slot[at] - 1;
	return NAME_NONE;
}

void name_index_free(struct name_index *index)
{
	free(index->slot);
	*index = (struct name_index){0};
}
