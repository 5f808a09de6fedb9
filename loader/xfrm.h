/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's half of the engine xfrm: puts SAs and policies there, asks for their counters, hears
 * what becomes of them. Which messages: xfrm_msg.h.
 *
 * What is ours in the kernel is known by its reqid (SAs) and its mark (policies), so that nobody
 * else's is touched, and what a dead xipsecd left is found.
 */
#ifndef LOADER_XFRM_H
#define LOADER_XFRM_H

#include <event2/event.h>
#include <stdbool.h>
#include "loader/xfrm_msg.h"
#include "loader/xfrm_sel.h"

struct xfrm;

/* News of SAs and policies of ours; and of any that somebody else has taken away. */
typedef void (*xfrm_news_fn)(void *ctx, const struct xfrm_news *news);

/* 0 or -errno. *out NULL with 0: this kernel has no XFRM. */
int xfrm_new(struct event_base *base, xfrm_news_fn news, void *ctx, struct xfrm **out);
void xfrm_free(struct xfrm *xfrm); /* leaves the kernel's tables as they are */

/* Has this kernel ESP of that family (XIPSEC_FAMILY_*)? Asks it by an SA that is gone at once. */
bool xfrm_has_esp(struct xfrm *xfrm, __u8 family);

/* What is heard of SAs that a dead xipsecd left. Not 0: they must not go yet. */
typedef int (*xfrm_left_fn)(void *ctx, const struct xfrm_state *list, unsigned int n);

/* Takes away what is ours: a dead xipsecd's. `tell` (NULL: nobody) hears of its SAs before, and,
 * for they open to the last, again when they are gone. 0, or the first -errno. */
int xfrm_clear(struct xfrm *xfrm, xfrm_left_fn tell, void *ctx);

/* As xfrm_msg_sa(). `sels`: of what an inbound SA in transport mode opens, else NULL. 0 or the
 * kernel's -errno. */
int xfrm_add(struct xfrm *xfrm, const struct xipsec_sa *sa, const struct xfrm_sels *sels,
	     __u32 index, __u32 child, __u64 seq);

/* 0, or the kernel's -errno. *last: what it counted at its end; untouched where that is not told.
 */
int xfrm_delete(struct xfrm *xfrm, const struct xipsec_sa *sa, struct xfrm_count *last);
int xfrm_ask(struct xfrm *xfrm, const struct xipsec_sa *sa, struct xfrm_count *out);

/* What carries the child's mark is sealed by this outbound SA from now on, by no other; and what
 * this host sends that is among `sels`. NULL: nothing that it sends. With an if_id: what routes
 * lead into its tunnel. */
int xfrm_lead_out(struct xfrm *xfrm, const struct xipsec_sa *sa, const struct xfrm_sels *sels,
		  __u32 index, __u32 child);

/* What inbound SAs of the child have opened goes on: forwarded or to this host, or in transport
 * mode and out of a tunnel what is among `sels`. */
int xfrm_lead_in(struct xfrm *xfrm, const struct xipsec_sa *sa, const struct xfrm_sels *sels,
		 __u32 child);

/* Are `sels` those by which what comes out of this tunnel's SAs is compared, or is nothing yet? The
 * kernel has one list of them. */
bool xfrm_tunnel_takes(const struct xfrm *xfrm, __u32 child, const struct xfrm_sels *sels);

/* Takes either away (XIPSEC_DIR_*); one that is not there is no error. */
int xfrm_lead_nowhere(struct xfrm *xfrm, __u8 dir, __u32 child);

#endif
