// SPDX-License-Identifier: BSD-2-Clause
#include "loader/classifier_inside.h"

#include <errno.h>
#include <string.h>

/* Bits are never cleared: one too many costs a search a bucket. */
static void filter_set(struct classifier *c, __u64 hash)
{
	struct xipsec_filter_bit at = xipsec_filter_bit(c->head, hash);
	__u64 *word = (__u64 *)&c->bucket[at.bucket] + at.word;

	__atomic_store_n(word, *word | at.bit, __ATOMIC_RELEASE);
}

int slot_put(struct classifier *c, __u64 hash, __u32 priority, __u32 number)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask), chained = 0;
	__u64 slot = xipsec_slot(priority, xipsec_hash_finger(hash), number);
	struct xipsec_spd_bucket *bucket, *fresh;

	filter_set(c, hash);
	for (;;) {
		bucket = &c->bucket[at];
		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++) {
			if (bucket->slot[i])
				continue;
			__atomic_store_n(&bucket->slot[i], slot, __ATOMIC_RELEASE);
			return 0;
		}
		if (!bucket->more)
			break;
		at = bucket->more;
		chained++;
	}
	if (chained == XIPSEC_BUCKET_MORE)
		return -E2BIG;
	if (c->head->buckets_used == c->head->n_buckets)
		return -ENOSPC;
	at = c->head->buckets_used++;
	fresh = &c->bucket[at];
	memset(fresh, 0, sizeof(*fresh));
	fresh->slot[0] = slot;
	__atomic_store_n(&bucket->more, at, __ATOMIC_RELEASE);
	return 0;
}

/* Where this rule has an entry of `hash`, or NULL. */
static __u64 *slot_find(const struct classifier *c, __u64 hash, __u32 priority, __u32 number)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask);
	__u64 slot = xipsec_slot(priority, xipsec_hash_finger(hash), number);

	do {
		struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++)
			if (bucket->slot[i] == slot)
				return &bucket->slot[i];
		at = bucket->more;
	} while (at);
	return NULL;
}

void slot_clear(struct classifier *c, __u64 hash, __u32 priority, __u32 number)
{
	__u64 *slot = slot_find(c, hash, priority, number);

	if (slot)
		__atomic_store_n(slot, 0, __ATOMIC_RELEASE);
}

bool slot_has(const struct classifier *c, __u64 hash, __u32 priority, __u32 number)
{
	return slot_find(c, hash, priority, number) != NULL;
}

void slots_visit(const struct classifier *c, __u64 hash, void (*visit)(void *arg, __u32 number),
		 void *arg)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask);

	do {
		const struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int k = 0; k < XIPSEC_BUCKET_SLOTS; k++)
			if (bucket->slot[k] &&
			    (__u32)bucket->slot[k] >> 20 == xipsec_hash_finger(hash))
				visit(arg, (__u32)bucket->slot[k] & (XIPSEC_RULES_LIMIT - 1));
		at = bucket->more;
	} while (at);
}
