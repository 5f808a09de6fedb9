/* SPDX-License-Identifier: BSD-2-Clause */
/* Two questions to the kernel, over a NETLINK_ROUTE socket without groups: which way to an address,
 * and who is the neighbour there. */
#ifndef LOADER_ROUTE_QUERY_H
#define LOADER_ROUTE_QUERY_H

#include <stdbool.h>
#include "lib/netlink.h"
#include "xipsec/selector.h"

struct fib_answer {
	unsigned int type; /* RTN_* */
	unsigned int oif;
	unsigned int mtu;
	bool learnt; /* mtu is what an ICMP error told the stack */
	__u8 family; /* AF_*, of gateway */
	struct xipsec_addr gateway;
	bool has_gateway;
};

struct neighbour {
	__u16 state; /* NUD_* */
	bool has_mac;
	__u8 mac[6];
};

/* The way of a local sender to `dst`; `family` is AF_*. 0 or -errno; *fib is to be {0} before. */
int route_query_fib(struct netlink *query, __u8 family, const struct xipsec_addr *dst,
		    struct fib_answer *fib);

/* The neighbour as the kernel has it, {0} if it has none; has it probed when that is not sure. */
void route_query_neighbour(struct netlink *query, unsigned int ifindex, __u8 family,
			   const struct xipsec_addr *dst, struct neighbour *n);

#endif
