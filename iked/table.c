// SPDX-License-Identifier: BSD-2-Clause
#include "iked/table.h"

#include <errno.h>
#include <stdlib.h>

#define TABLE_START 64

static struct table_link **bucket_of(const struct table *table, __u64 key)
{
	/* Fibonacci hashing: counted keys spread as well as random ones. */
	return &table->bucket[(key * 0x9e3779b97f4a7c15ULL >> 32) & (table->size - 1)];
}

static void link_in(struct table_link **to, struct table_link *link)
{
	link->next = *to;
	link->at = to;
	if (link->next)
		link->next->at = &link->next;
	*to = link;
}

static int grow(struct table *table)
{
	struct table old = *table;
	unsigned int size = old.size ? old.size * 2 : TABLE_START;
	struct table_link **bucket = calloc(size, sizeof(*bucket));

	if (!bucket)
		return old.size ? 0 : -ENOMEM;
	table->bucket = bucket;
	table->size = size;
	for (unsigned int i = 0; i < old.size; i++) {
		struct table_link *reversed = NULL, *link, *next;

		/* the newest of a key stays in front */
		for (link = old.bucket[i]; link; link = next) {
			next = link->next;
			link->next = reversed;
			reversed = link;
		}
		for (link = reversed; link; link = next) {
			next = link->next;
			link_in(bucket_of(table, link->key), link);
		}
	}
	free(old.bucket);
	return 0;
}

int table_add(struct table *table, struct table_link *link, __u64 key)
{
	if (table->n >= table->size && grow(table))
		return -ENOMEM;
	link->key = key;
	link_in(bucket_of(table, key), link);
	table->n++;
	return 0;
}

void table_remove(struct table *table, struct table_link *link)
{
	*link->at = link->next;
	if (link->next)
		link->next->at = link->at;
	link->next = NULL;
	link->at = NULL;
	table->n--;
}

struct table_link *table_find(const struct table *table, __u64 key)
{
	struct table_link *link;

	if (!table->size)
		return NULL;
	for (link = *bucket_of(table, key); link && link->key != key; link = link->next)
		;
	return link;
}

struct table_link *table_next(const struct table_link *link)
{
	struct table_link *next = link->next;

	while (next && next->key != link->key)
		next = next->next;
	return next;
}

void table_free(struct table *table)
{
	free(table->bucket);
	*table = (struct table){0};
}
