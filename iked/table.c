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
			struct table_link **to = bucket_of(table, link->key);

			next = link->next;
			link->next = *to;
			*to = link;
		}
	}
	free(old.bucket);
	return 0;
}

int table_add(struct table *table, struct table_link *link, __u64 key)
{
	struct table_link **to;

	if (table->n >= table->size && grow(table))
		return -ENOMEM;
	to = bucket_of(table, key);
	link->key = key;
	link->next = *to;
	*to = link;
	table->n++;
	return 0;
}

void table_remove(struct table *table, struct table_link *link)
{
	struct table_link **at = bucket_of(table, link->key);

	while (*at != link)
		at = &(*at)->next;
	*at = link->next;
	link->next = NULL;
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
