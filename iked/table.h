/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A hash table of things that carry their own links. Keys are 64 bits that we chose at random or
 * counted ourselves: nobody outside can aim at a bucket.
 */
#ifndef IKED_TABLE_H
#define IKED_TABLE_H

#include <linux/types.h>
#include <stddef.h>

struct table_link {
	struct table_link *next, **at; /* at: what points here */
	__u64 key;
};

struct table {
	struct table_link **bucket;
	unsigned int n, size; /* size: a power of two; 0: none yet */
};

#define table_entry(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* The same key may be there several times. 0 or -ENOMEM (only while it is empty: a table that
 * cannot grow goes on with longer chains). */
int table_add(struct table *table, struct table_link *link, __u64 key);
/* It must be in there. As fast however many have its key. */
void table_remove(struct table *table, struct table_link *link);
/* The newest with this key, or NULL; table_next(): the one before it. */
struct table_link *table_find(const struct table *table, __u64 key);
struct table_link *table_next(const struct table_link *link);
void table_free(struct table *table);

#endif
