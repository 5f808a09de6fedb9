// SPDX-License-Identifier: BSD-2-Clause
#include "iked/key_pool.h"

#include <errno.h>
#include <string.h>
#include <openssl/crypto.h>
#include <sys/mman.h>

#include "lib/log.h"

#define CHUNK ((size_t)64 << 10)

struct key_slot {
	struct key_slot *next;
};

/* The first slot of each chunk. */
struct key_page {
	struct key_page *next;
};

static int grow(struct key_pool *pool)
{
	char *chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct key_page *page = (struct key_page *)chunk;

	if (chunk == MAP_FAILED)
		return -ENOMEM;
	if ((mlock(chunk, CHUNK) || madvise(chunk, CHUNK, MADV_DONTDUMP)) && !pool->said) {
		log_warn("keys of IKE can be swapped out: %s; raise LimitMEMLOCK", strerror(errno));
		pool->said = true;
	}
	page->next = pool->pages;
	pool->pages = page;
	for (size_t at = CHUNK - KEY_SLOT; at; at -= KEY_SLOT) {
		struct key_slot *slot = (struct key_slot *)(chunk + at);

		slot->next = pool->unused;
		pool->unused = slot;
	}
	return 0;
}

void *key_pool_take(struct key_pool *pool)
{
	struct key_slot *slot;

	if (!pool->unused && grow(pool))
		return NULL;
	slot = pool->unused;
	pool->unused = slot->next;
	slot->next = NULL;
	pool->n_used++;
	return slot;
}

void key_pool_give(struct key_pool *pool, void *slot)
{
	struct key_slot *s = slot;

	if (!s)
		return;
	OPENSSL_cleanse(s, KEY_SLOT);
	s->next = pool->unused;
	pool->unused = s;
	pool->n_used--;
}

void key_pool_free(struct key_pool *pool)
{
	while (pool->pages) {
		struct key_page *page = pool->pages;

		pool->pages = page->next;
		munmap(page, CHUNK);
	}
	pool->unused = NULL;
}
