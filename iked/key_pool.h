/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Memory for keys that live as long as an SA: pages that are not swapped out and in no core dump,
 * in slots of one size. What cannot be locked is used nevertheless, and the log says so once.
 */
#ifndef IKED_KEY_POOL_H
#define IKED_KEY_POOL_H

#include <stdbool.h>
#include <stddef.h>

#define KEY_SLOT 512 /* bytes */

struct key_pool {
	struct key_page *pages;
	struct key_slot *unused;
	unsigned int n_used;
	bool said;
};

/* A slot, zeroed. NULL: no memory. */
void *key_pool_take(struct key_pool *pool);
/* Wipes it. `slot` may be NULL. */
void key_pool_give(struct key_pool *pool, void *slot);
/* Nothing of it is used any more. */
void key_pool_free(struct key_pool *pool);

#endif
