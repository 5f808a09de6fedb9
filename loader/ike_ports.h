/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * UDP 500 and 4500, v4 and v6: opened and kept, so that nobody else can bind them, and what comes
 * in by them is read for as long as this machine guards. The guard lets only marked sockets send
 * from there.
 *
 * On 4500 ESP and IKE are kept apart by the kernel (RFC 3948 2.2): two sockets share the port, a
 * filter looks at the first four bytes. Four zeros are IKE's; all else is worker 0's
 * (slow_sockets.h), which opens ESP in UDP that came in fragments. That second socket is kernel
 * XFRM's while inbound SAs of the kernel use ESP in UDP: it takes what arrives, the worker nothing.
 *
 * IKE's sockets are lent to xipsec-iked. While it does not live, what arrives is read and thrown
 * away: a queue that nobody empties would greet the next one with what has long been repeated.
 */
#ifndef LOADER_IKE_PORTS_H
#define LOADER_IKE_PORTS_H

#include <stdbool.h>
#include <event2/event.h>
#include "xipsec/sadb.h"

#define IKE_PORTS_NATT 2 /* IPv4, IPv6 */

struct ike_ports {
	int ike[XIPSEC_IKE_SOCKETS]; /* -1: could not be opened */
	int natt[IKE_PORTS_NATT];
	struct event *readable[XIPSEC_IKE_SOCKETS]; /* of ike[] */
	bool lent;
	unsigned int kernel[IKE_PORTS_NATT]; /* inbound SAs of kernel XFRM in UDP */
};

/* The socket of ESP in UDP 4500, for AF_INET or AF_INET6; -1: none. */
int ike_ports_natt(const struct ike_ports *ports, int family);

/* An inbound SA of kernel XFRM in UDP comes or goes (`more`): with the first one the socket is
 * XFRM's, with the last one it is not any more. 0; -ENOTCONN: there is no socket; -errno. */
int ike_ports_kernel(struct ike_ports *ports, int family, bool more);

void ike_ports_init(struct ike_ports *ports);
/* What fails is a warning: the data path does without. */
void ike_ports_open(struct event_base *base, struct ike_ports *ports);
void ike_ports_close(struct ike_ports *ports);

/* From here on the borrower reads, until ike_ports_back(). */
void ike_ports_lend(struct ike_ports *ports);
void ike_ports_back(struct ike_ports *ports);

#endif
