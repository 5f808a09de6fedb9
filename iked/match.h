/* SPDX-License-Identifier: BSD-2-Clause */
/* Which SAs a command means. */
#ifndef IKED_MATCH_H
#define IKED_MATCH_H

#include "iked/engine.h"

/* What of the match concerns an IKE SA, and all of it a child. */
bool match_ike(const struct ike_sa *ike, const struct engine_match *m);
bool match_child(const struct child_sa *child, const struct engine_match *m);

/* The ids of IKE SAs that match: what is done to one may end others. Free `id`. */
struct picked {
	unsigned int n, room;
	__u32 *id;
};

void match_pick(const struct engine *engine, const struct engine_match *m, struct picked *out);

#endif
