/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * SAs that outlive their delete: inbound ones, because what the peer sent before it knew is still
 * under way (RFC 7296 2.8); outbound ones that were rekeyed, because packets that were steered to
 * them wait in rings. All that is left of their child is a name.
 */
#ifndef IKED_LINGER_H
#define IKED_LINGER_H

#include "iked/timer.h"
#include "xipsec/maps.h"

struct engine;
struct ike_sa;
struct linger;

#define LINGERS_MAX 65536 /* of all; beyond that they go at once */

struct lingers {
	struct linger *first;
	unsigned int n;
};

/* Deletes the SA of that name, of a child of `ike`, at xipsecd in `ms`; at once if there is no
 * room. With IKE_LINGERS_MAX of `ike` the oldest of these goes at once instead: it is the one for
 * which least can be under way. */
void linger(struct ike_sa *ike, const char *sa, __u32 ms);
/* All of them now. */
void lingers_end(struct engine *engine);
/* All of them are forgotten: nothing is deleted at xipsecd. */
void lingers_free(struct engine *engine);

#endif
