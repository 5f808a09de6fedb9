/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What may come out of an SA (RFC 4301 5.2): the policies of its child, in the order of the SPD,
 * with the earlier rules that take something from them. One place makes that list, for the SAs of
 * sas {} and for those of a client, so nobody can bring a wider one.
 *
 * Of a child with rules that stand in for what is not known yet (lib/standin.h) an SA brings its
 * own: what its selectors say takes their place.
 *
 * Of an SA with an if_id routes decide, not policies: its own selectors are all there is, and its
 * child is the tunnel of that if_id.
 */
#ifndef LIB_SA_SELECTORS_H
#define LIB_SA_SELECTORS_H

#include "lib/config.h"

/* The SA's own traffic selectors, which narrow the child's policies: calls `make` with each and
 * returns their number. One that is all packets narrows nothing. */
typedef unsigned int sa_selectors_each(void *ctx,
				       void (*make)(const struct xipsec_selector *ts, void *into),
				       void *into);

/* What came of it. The list is whole only if nothing of this is at fault. */
struct sa_selectors {
	unsigned int n_serving; /* rules that lead into the child; 0: at fault */
	unsigned int n_accept;
	unsigned int n; /* with refusals; at fault above XIPSEC_SELECTORS_MAX */
	bool more;      /* ... and they were not counted further */
	bool too_wide;  /* transport mode: a rule reaches beyond its two addresses */
	bool too_many;  /* more than XIPSEC_SELECTORS_MAX without refusals */
};

/* Fills selector, refuse and n_selectors of `sa`, of which all but key and selectors is set. */
struct sa_selectors sa_selectors_fill(const struct config *config, struct xipsec_sa *sa,
				      sa_selectors_each *each, void *ctx);

/* True if every packet of `ts` is one of a rule that leads into the SA's child, or routes decide.
 */
bool sa_selectors_inside(const struct config *config, const struct xipsec_sa *sa,
			 const struct xipsec_selector *ts);

/* Makes the list of an SA that a client brought: the selectors it sent may narrow its child's
 * policies, none means all of them, its refusals do not count. NULL, or what is wrong: then the SA
 * is untouched. */
const char *sa_selectors_narrow(const struct config *config, struct xipsec_sa *sa);

/* What an outbound SA is for, in the order of the SPD: the rules that lead into its child, and the
 * earlier ones of that direction that take something from them (refuse). For who compares packets
 * before they are sealed and asks no program. NULL, or why it cannot be said, with *out undefined.
 */
const char *sa_selectors_leaving(const struct config *config, const struct xipsec_sa *sa,
				 struct xipsec_sa *out);

#endif
