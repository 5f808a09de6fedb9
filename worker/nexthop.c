// SPDX-License-Identifier: BSD-2-Clause
#include "worker/nexthop.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS      4096
#define EVICT_SAMPLE 16

/* Lists are chains of "index + 1", so that zeroed memory is empty lists. */
struct held {
	struct work work;
	__u32 next;
};

struct nexthops {
	__u64 seed;
	nexthop_ask_fn ask;
	void *ask_arg;
	__u32 n;
	__u32 last; /* entry of the last look-up */
	__u32 evict_hand;
	__u32 n_open;    /* entries with a question open */
	__u32 n_held;    /* in all, ready ones too */
	__u32 held_free; /* list */
	__u32 ready_first, ready_last;
	__u16 held_by[NEXTHOP_SHARES], open_by[NEXTHOP_SHARES];
	struct nexthop refused; /* nexthop_find_for()'s */
	__u32 bucket[BUCKETS];
	struct held held[HELD_MAX];
	struct nexthop entry[NEXTHOPS_MAX];
};

struct nexthops *nexthops_new(__u64 seed, nexthop_ask_fn ask, void *arg)
{
	struct nexthops *nhs = calloc(1, sizeof(*nhs));

	if (!nhs)
		return NULL;
	nhs->seed = seed | 1;
	nhs->ask = ask;
	nhs->ask_arg = arg;
	for (__u32 i = 0; i < HELD_MAX; i++)
		nhs->held[i].next = i + 2 <= HELD_MAX ? i + 2 : 0;
	nhs->held_free = 1;
	return nhs;
}

void nexthops_free(struct nexthops *nhs)
{
	free(nhs);
}

/* ------------------------------------------------------------------ the table */

static __u32 bucket_of(const struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family)
{
	__u64 a, b;

	memcpy(&a, dst->byte, 8);
	memcpy(&b, dst->byte + 8, 8);
	a = (a ^ nhs->seed) * 0x9e3779b97f4a7c15ull;
	a ^= a >> 32;
	a = (a + b + family) * (nhs->seed | 1);
	a ^= a >> 29;
	a *= 0xbf58476d1ce4e5b9ull;
	return (a >> 40) % BUCKETS;
}

static bool is_for(const struct nexthop *nh, const struct xipsec_addr *dst, __u8 family)
{
	return nh->family == family && !memcmp(&nh->dst, dst, sizeof(*dst));
}

static struct nexthop *lookup(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family)
{
	if (nhs->n && is_for(&nhs->entry[nhs->last], dst, family))
		return &nhs->entry[nhs->last];
	for (__u32 i = nhs->bucket[bucket_of(nhs, dst, family)]; i; i = nhs->entry[i - 1].next) {
		if (is_for(&nhs->entry[i - 1], dst, family)) {
			nhs->last = i - 1;
			return &nhs->entry[i - 1];
		}
	}
	return NULL;
}

static void unchain(struct nexthops *nhs, struct nexthop *nh)
{
	__u32 self = nh - nhs->entry + 1;
	__u32 *link = &nhs->bucket[bucket_of(nhs, &nh->dst, nh->family)];

	while (*link != self)
		link = &nhs->entry[*link - 1].next;
	*link = nh->next;
}

static void close_question(struct nexthops *nhs, struct nexthop *nh)
{
	if (nh->first_asked)
		nhs->n_open--;
	if (nh->share)
		nhs->open_by[nh->share - 1]--;
	nh->first_asked = 0;
	nh->share = 0;
}

/* The least used of a few, never one that packets wait for: at most HELD_MAX of NEXTHOPS_MAX
 * entries are such, so going round finds another. */
static struct nexthop *evict(struct nexthops *nhs)
{
	struct nexthop *victim = NULL;

	for (unsigned int seen = 0; seen < EVICT_SAMPLE || !victim; seen++) {
		struct nexthop *nh = &nhs->entry[nhs->evict_hand];

		nhs->evict_hand = (nhs->evict_hand + 1) % NEXTHOPS_MAX;
		if (nh->n_held)
			continue;
		if (!victim || nh->used < victim->used)
			victim = nh;
	}
	unchain(nhs, victim);
	close_question(nhs, victim);
	return victim;
}

static struct nexthop *insert(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family,
			      __u64 now)
{
	struct nexthop *nh = nhs->n < NEXTHOPS_MAX ? &nhs->entry[nhs->n++] : evict(nhs);
	__u32 *bucket = &nhs->bucket[bucket_of(nhs, dst, family)];

	*nh = (struct nexthop){.dst = *dst, .family = family, .used = now, .next = *bucket};
	*bucket = nh - nhs->entry + 1;
	nhs->last = nh - nhs->entry;
	return nh;
}

/* ------------------------------------------------------------------ questions */

/* `share` counts the question if none is open yet; 0: nobody's does. */
static void ask(struct nexthops *nhs, struct nexthop *nh, __u32 share, __u64 now)
{
	if (!nh->first_asked) {
		nh->first_asked = now ? now : 1;
		nhs->n_open++;
		nh->share = share;
		if (share)
			nhs->open_by[share - 1]++;
	} else if (now - nh->last_asked < NEXTHOP_RETRY_MS) {
		return;
	}
	nh->last_asked = now;
	nhs->ask(nhs->ask_arg, &nh->dst, nh->family, nh->share);
}

static struct nexthop *find(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family,
			    __u32 share, __u64 now)
{
	struct nexthop *nh = lookup(nhs, dst, family);

	if (!nh)
		nh = insert(nhs, dst, family, now);
	nh->used = now;
	/* An answer that has grown old is used until the new one comes. */
	if (nh->status == XIPSEC_NEXTHOP_UNKNOWN || now >= nh->expires)
		ask(nhs, nh, share, now);
	return nh;
}

struct nexthop *nexthop_find(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family,
			     __u64 now)
{
	return find(nhs, dst, family, 0, now);
}

struct nexthop *nexthop_find_for(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family,
				 __u32 sa_index, __u64 now)
{
	const __u32 share = sa_index % NEXTHOP_SHARES;
	const struct nexthop *nh = lookup(nhs, dst, family);

	if (nhs->open_by[share] >= OPEN_PER_SA && (!nh || nh->status == XIPSEC_NEXTHOP_UNKNOWN) &&
	    !(nh && nh->first_asked)) {
		nhs->refused = (struct nexthop){
			.dst = *dst, .family = family, .status = XIPSEC_NEXTHOP_NO_NEIGH};
		return &nhs->refused;
	}
	return find(nhs, dst, family, share + 1, now);
}

/* ------------------------------------------------------------------ packets that wait */

int nexthop_hold(struct nexthops *nhs, struct nexthop *nh, const struct work *work)
{
	__u16 *share = &nhs->held_by[work->sa_index % NEXTHOP_SHARES];
	__u32 self = nhs->held_free;

	if (!self || nh->n_held >= HELD_PER_DST || *share >= HELD_PER_SA)
		return -ENOBUFS;
	++*share;
	nhs->held_free = nhs->held[self - 1].next;
	nhs->held[self - 1].work = *work;
	nhs->held[self - 1].next = 0;
	if (nh->held_last)
		nhs->held[nh->held_last - 1].next = self;
	else
		nh->held_first = self;
	nh->held_last = self;
	nh->n_held++;
	nhs->n_held++;
	return 0;
}

/* Appends all that waits for nh to the ready list. */
static void release(struct nexthops *nhs, struct nexthop *nh)
{
	if (!nh->held_first)
		return;
	if (nhs->ready_last)
		nhs->held[nhs->ready_last - 1].next = nh->held_first;
	else
		nhs->ready_first = nh->held_first;
	nhs->ready_last = nh->held_last;
	nh->held_first = 0;
	nh->held_last = 0;
	nh->n_held = 0;
}

static void decide(struct nexthops *nhs, struct nexthop *nh, __u8 status, __u64 expires)
{
	nh->status = status;
	nh->expires = expires;
	close_question(nhs, nh);
	if (status != XIPSEC_NEXTHOP_UNKNOWN)
		release(nhs, nh);
}

int nexthop_learn(struct nexthops *nhs, const struct ctl_nexthop *msg, __u64 now)
{
	__u64 lifetime = (__u64)(msg->lifetime ? msg->lifetime : 1) * 1000;
	struct nexthop *nh;

	if (msg->status > XIPSEC_NEXTHOP_LOCAL ||
	    (msg->family != XIPSEC_FAMILY_IP4 && msg->family != XIPSEC_FAMILY_IP6) ||
	    (msg->status == XIPSEC_NEXTHOP_OK && msg->slot >= XIPSEC_SLOTS_MAX) ||
	    msg->n_vlans > XIPSEC_VLANS_MAX)
		return -EINVAL;
	nh = lookup(nhs, &msg->dst, msg->family);
	/* "Being resolved" is no answer: what is known is used on, what is asked stays open. */
	if (msg->status == XIPSEC_NEXTHOP_UNKNOWN)
		return 0;
	if (!nh)
		nh = insert(nhs, &msg->dst, msg->family, now);
	nh->slot = msg->status == XIPSEC_NEXTHOP_OK ? msg->slot : 0;
	nh->mtu = msg->mtu;
	memcpy(nh->src_mac, msg->src_mac, sizeof(nh->src_mac));
	memcpy(nh->dst_mac, msg->dst_mac, sizeof(nh->dst_mac));
	memcpy(nh->vlan, msg->vlan, sizeof(nh->vlan));
	nh->n_vlans = msg->n_vlans;
	decide(nhs, nh, msg->status, now + lifetime);
	return 0;
}

void nexthops_tick(struct nexthops *nhs, __u64 now)
{
	if (!nhs->n_open)
		return;
	for (__u32 i = 0; i < nhs->n; i++) {
		struct nexthop *nh = &nhs->entry[i];

		if (!nh->first_asked)
			continue;
		if (nh->status != XIPSEC_NEXTHOP_UNKNOWN) {
			/* Not answered and in use no more: the next packet may ask. */
			if (now - nh->last_asked >= NEXTHOP_PATIENCE_MS)
				close_question(nhs, nh);
		} else if (now - nh->first_asked >= NEXTHOP_PATIENCE_MS) {
			decide(nhs, nh, XIPSEC_NEXTHOP_NO_NEIGH, now + NEXTHOP_PATIENCE_MS);
		} else if (nh->n_held) {
			ask(nhs, nh, nh->share, now);
		}
	}
}

static void give_back(struct nexthops *nhs, __u32 self)
{
	nhs->held_by[nhs->held[self - 1].work.sa_index % NEXTHOP_SHARES]--;
	nhs->held[self - 1].next = nhs->held_free;
	nhs->held_free = self;
	nhs->n_held--;
}

unsigned int nexthops_ready(struct nexthops *nhs, struct work *out, unsigned int max)
{
	unsigned int n = 0;

	while (n < max && nhs->ready_first) {
		__u32 self = nhs->ready_first;

		out[n++] = nhs->held[self - 1].work;
		nhs->ready_first = nhs->held[self - 1].next;
		if (!nhs->ready_first)
			nhs->ready_last = 0;
		give_back(nhs, self);
	}
	return n;
}

static unsigned int take_from(struct nexthops *nhs, __u32 *first, __u32 *last, __u32 sa_index,
			      struct work *out, unsigned int max)
{
	unsigned int n = 0;
	__u32 keep = 0; /* the last that stays */

	for (__u32 self = *first, next; self; self = next) {
		next = nhs->held[self - 1].next;
		if (n == max || nhs->held[self - 1].work.sa_index != sa_index) {
			keep = self;
			continue;
		}
		out[n++] = nhs->held[self - 1].work;
		if (keep)
			nhs->held[keep - 1].next = next;
		else
			*first = next;
		give_back(nhs, self);
	}
	*last = keep;
	return n;
}

unsigned int nexthops_take_sa(struct nexthops *nhs, __u32 sa_index, struct work *out,
			      unsigned int max)
{
	unsigned int n = take_from(nhs, &nhs->ready_first, &nhs->ready_last, sa_index, out, max);

	for (__u32 i = 0; i < nhs->n && nhs->n_held && n < max; i++) {
		struct nexthop *nh = &nhs->entry[i];
		unsigned int got =
			take_from(nhs, &nh->held_first, &nh->held_last, sa_index, out + n, max - n);

		nh->n_held -= got;
		n += got;
	}
	return n;
}

void nexthops_forget_slot(struct nexthops *nhs, __u32 slot)
{
	for (__u32 i = 0; i < nhs->n; i++)
		if (nhs->entry[i].status == XIPSEC_NEXTHOP_OK && nhs->entry[i].slot == slot)
			nhs->entry[i].status = XIPSEC_NEXTHOP_UNKNOWN;
}

unsigned int nexthops_held(const struct nexthops *nhs)
{
	return nhs->n_held;
}

static unsigned int list_frames(const struct nexthops *nhs, __u32 first, __u64 *out, unsigned int n,
				unsigned int max)
{
	for (__u32 i = first; i && n < max; i = nhs->held[i - 1].next)
		out[n++] = nhs->held[i - 1].work.p.frame;
	return n;
}

unsigned int nexthops_held_frames(const struct nexthops *nhs, __u64 *out, unsigned int max)
{
	unsigned int n = list_frames(nhs, nhs->ready_first, out, 0, max);

	for (__u32 i = 0; i < nhs->n; i++)
		n = list_frames(nhs, nhs->entry[i].held_first, out, n, max);
	return n;
}
