/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Drops as programs and workers tell them, at a limited rate, on their way to the subscribers; and
 * of them the acquires: a child's policy wants an SA and there is none.
 */
#ifndef LOADER_SAMPLES_H
#define LOADER_SAMPLES_H

#include <event2/event.h>
#include "loader/datapath.h"
#include "xipsec/sadb.h"

struct samples_hooks {
	/* With event, time, child, iface and sample; the SA is the caller's to describe. */
	void (*event)(void *ctx, struct sadb_event *event);
	/* Does anybody want this kind (XIPSEC_EVENT_SAMPLE, XIPSEC_EVENT_PASS)? */
	bool (*wanted)(void *ctx, enum xipsec_event event);
};

struct samples;

/* NULL: no memory. */
struct samples *samples_new(struct event_base *base, const struct samples_hooks *hooks, void *ctx);
void samples_free(struct samples *samples);

/* Reads the ring buffer of this data path from now on; what waits in it and is older than a second
 * or so is not told as an acquire. A generation without one tells nothing. 0 or -errno. */
int samples_open(struct samples *samples, const struct datapath *dp);

/* What a worker tells: it may say anything. */
void samples_tell(struct samples *samples, const struct xipsec_sample *sample);

/* The same of a packet that a route led into this tunnel, which has no SA. `acquire`: somebody is
 * asked for one, too; the name of the tunnel stands for that of a child. */
void samples_tunnel(struct samples *samples, const struct xipsec_sample *sample, const char *tunnel,
		    bool acquire);

/* One that somebody else has made: unchecked, whatever it is. For tests and for samples_open(). */
void samples_program(struct samples *samples, const struct xipsec_sample *sample);

#endif
