/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Next hops: the worker's cache of what xipsecd resolved, the questions it asks, and the packets
 * that wait for an answer.
 *
 * Bounds: NEXTHOPS_MAX destinations, HELD_PER_DST packets a destination, HELD_MAX in all, none
 * waits longer than NEXTHOP_PATIENCE_MS. What comes out of an SA is addressed by its peer, who may
 * name as many destinations as its selectors hold: each SA has a share of the packets and of the
 * questions, HELD_PER_SA and OPEN_PER_SA, so that others keep theirs. (SAs whose indices are equal
 * modulo NEXTHOP_SHARES have one together.) Times are milliseconds of one monotonic clock.
 */
#ifndef WORKER_NEXTHOP_H
#define WORKER_NEXTHOP_H

#include "worker/work.h"
#include "xipsec/ctl.h"

#define NEXTHOPS_MAX        4096
#define HELD_MAX            256
#define HELD_PER_DST        16
#define HELD_PER_SA         64
#define OPEN_PER_SA         64
#define NEXTHOP_SHARES      XIPSEC_NEXTHOP_SHARES
#define NEXTHOP_RETRY_MS    200
#define NEXTHOP_PATIENCE_MS 1000

struct nexthop {
	struct xipsec_addr dst;
	__u8 family;
	__u8 status; /* enum xipsec_nexthop_status */
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u16 n_held;
	__u32 n_vlans;
	__be32 vlan[XIPSEC_VLANS_MAX]; /* ethertype and tag, outer first, as they stand in a frame
					*/
	__u32 slot;
	__u32 mtu; /* of the route, bytes of IP; 0: not known */
	/* the cache's own */
	__u32 next;                  /* in the hash chain, index + 1 */
	__u32 held_first, held_last; /* index + 1 */
	__u32 share;                 /* whose the question is that is open, + 1; 0: nobody's */
	__u64 first_asked;           /* of the question that is open; 0: none is */
	__u64 last_asked;
	__u64 expires;
	__u64 used;
};

struct nexthops;

/* Puts the question to xipsecd; called at most once a destination and NEXTHOP_RETRY_MS. `share` as
 * in struct ctl_nexthop. */
typedef void (*nexthop_ask_fn)(void *arg, const struct xipsec_addr *dst, __u8 family, __u32 share);

/* `seed` makes the hash unpredictable to who chooses the addresses. NULL: no memory. */
struct nexthops *nexthops_new(__u64 seed, nexthop_ask_fn ask, void *arg);
void nexthops_free(struct nexthops *nhs); /* packets that are still held are forgotten */

/* What is known of dst. With status UNKNOWN a question is under way. Valid until the next call.
 * Never NULL; a full cache gives up its least used entry. */
struct nexthop *nexthop_find(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family,
			     __u64 now);

/* The same for a packet that came out of an SA. What is not known while OPEN_PER_SA questions of
 * that SA are open is not asked: NO_NEIGH, and nothing is kept of it. */
struct nexthop *nexthop_find_for(struct nexthops *nhs, const struct xipsec_addr *dst, __u8 family,
				 __u32 sa_index, __u64 now);

/* Keeps a copy of the work until dst is known. 0, or -ENOBUFS: no room, or its SA has used up its
 * share; still the caller's. */
int nexthop_hold(struct nexthops *nhs, struct nexthop *nh, const struct work *work);

/* An answer, or news about something asked for earlier. -EINVAL: it makes no sense. */
int nexthop_learn(struct nexthops *nhs, const struct ctl_nexthop *msg, __u64 now);

/* Asks again, gives up on what waits too long (it becomes NO_NEIGH). */
void nexthops_tick(struct nexthops *nhs, __u64 now);

/* Takes out up to `max` works whose destination has been decided. They have to be looked up again.
 * Returns how many. */
unsigned int nexthops_ready(struct nexthops *nhs, struct work *out, unsigned int max);

/* Takes out up to `max` works of one SA, decided or not. Returns how many. */
unsigned int nexthops_take_sa(struct nexthops *nhs, __u32 sa_index, struct work *out,
			      unsigned int max);

/* Forgets what leaves by an interface that is gone: it will be asked for again. */
void nexthops_forget_slot(struct nexthops *nhs, __u32 slot);

/* How many are held, decided or not; and their frames' addresses for the invariant. */
unsigned int nexthops_held(const struct nexthops *nhs);
unsigned int nexthops_held_frames(const struct nexthops *nhs, __u64 *out, unsigned int max);

#endif
