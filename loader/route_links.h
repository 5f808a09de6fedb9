/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of this network namespace, as rtnetlink tells them. */
#ifndef LOADER_ROUTE_LINKS_H
#define LOADER_ROUTE_LINKS_H

#include <stdbool.h>
#include "lib/netlink.h"
#include "xipsec/ctl.h"
#include "xipsec/selector.h"

struct route_link {
	unsigned int ifindex;
	char name[16];
	unsigned int mtu;
	unsigned int queues; /* that the kernel has room for, not those in use */
	bool up;
	__u8 mac[6];
	unsigned int lower;     /* a VLAN's: ifindex below it in this namespace, else 0 */
	__be32 vlan;            /* its ethertype and tag, as they stand in a frame */
	struct xipsec_addr ip4; /* of global scope if it has one, 0: none */
	struct xipsec_addr ip6;
	bool ip4_global, ip6_global;
};

/* {0} is none. Owns `link`: ended by route_links_free(). */
struct route_links {
	struct route_link *link;
	size_t n;
};

/* Asks for all interfaces and their addresses, over a NETLINK_ROUTE socket without groups. 0 or
 * -errno: what it has then is not all. */
int route_links_ask(struct route_links *links, struct netlink *query);
/* NULL: there is none. Valid until the next route_links_ask(). */
const struct route_link *route_links_find(const struct route_links *links, unsigned int ifindex);
/* The VLANs on interface `below` that are up and have an address, each with its tags as seen there:
 * `max` at most. Returns how many. */
unsigned int route_links_vlans(const struct route_links *links, unsigned int below,
			       struct ctl_vlan *out, unsigned int max);
void route_links_free(struct route_links *links);

#endif
