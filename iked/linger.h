/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inbound SAs that outlive their delete by OLD_INBOUND_MS: what the peer sent before it knew is
 * still under way (RFC 7296 2.8). All that is left of their child is a name.
 */
#ifndef IKED_LINGER_H
#define IKED_LINGER_H

#include "iked/timer.h"
#include "xipsec/maps.h"

struct engine;
struct linger;

#define LINGERS_MAX 65536 /* beyond that they go at once */

struct lingers {
	struct linger *first;
	unsigned int n;
};

/* Deletes the SA of that name at xipsecd in OLD_INBOUND_MS; at once if there is no room. */
void linger(struct engine *engine, const char *sa);
/* All of them now. */
void lingers_end(struct engine *engine);
/* All of them are forgotten: nothing is deleted at xipsecd. */
void lingers_free(struct engine *engine);

#endif
