/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel knows of the network, over rtnetlink: interfaces (address, MTU, up or down) and
 * next hops (FIB and neighbour table). Workers send frames past the stack, so the kernel would
 * forget their neighbours: each answer that is in use makes it probe them.
 *
 * A look-up is that of a local sender: no input interface, no mark, the destination alone. Rules
 * and routes that look at more are not followed.
 */
#ifndef LOADER_ROUTE_H
#define LOADER_ROUTE_H

#include <stdbool.h>
#include <event2/event.h>
#include "loader/route_links.h"
#include "xipsec/ctl.h"

struct route_hooks {
	/* An answer, or a changed one, to whom it may concern. */
	void (*nexthop)(void *ctx, const struct ctl_nexthop *msg);
	/* Interfaces came, went or changed; called 1 ms after the last of a burst of events. */
	void (*links)(void *ctx);
	/* Slot of an interface that has a role, or -1. */
	int (*slot)(void *ctx, unsigned int ifindex);
};

struct route;

/* 0 or -errno; ended by route_free(). */
int route_new(struct event_base *base, const struct route_hooks *hooks, void *ctx,
	      struct route **out);
void route_free(struct route *route);

/* Reads all interfaces anew. 0 or -errno. */
int route_links_read(struct route *route);
/* NULL: there is none. Valid until the next route_links_read(). */
const struct route_link *route_link(const struct route *route, unsigned int ifindex);

/* Of the same time: route_links_vlans(). */
unsigned int route_vlans(const struct route *route, unsigned int below, struct ctl_vlan *out,
			 unsigned int max);

/* A worker's question: the answer comes by the hook, at once and whenever it changes. `family` is
 * XIPSEC_FAMILY_*; a wrong one is not answered. `share` as in struct ctl_nexthop, any number: where
 * there is no more room, the share that has most of it gives up what it asked for longest ago, so
 * that a peer who names ever new destinations costs others none of theirs. */
void route_ask(struct route *route, const struct xipsec_addr *dst, __u32 family, __u32 share);

/* Gives every answer that is known to `fn`: for a worker that starts. */
void route_each(const struct route *route, void (*fn)(void *ctx, const struct ctl_nexthop *msg),
		void *ctx);

/* Roles have changed: resolves everything again. */
void route_renew(struct route *route);

#endif
