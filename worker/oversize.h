/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Packets that do not fit where they go (RFC 4301 8): cut into fragments, before or after sealing,
 * or answered with ICMP.
 *
 *	inner packet, tunnel mode, may be cut	fragments, each sealed for itself
 *	the same, and the SA asks for ports	sealed whole, and the ESP packet cut (RFC 4301 7.3)
 *	the same, a fragment that hosts made	cut further, each piece sealed, unless later ones go
 *						by another SA: sealed whole
 *	must not be cut, the SA's DF is clear	sealed whole, and the ESP packet cut
 *	IPv6 of no more than 1280 bytes		the same, whatever the SA's DF (RFC 2473 7.1)
 *	transport mode, may be cut		the same (RFC 4303 3.3.4: whole datagrams alone)
 *	must not be cut				ICMP to its sender
 *	the host's own fragment of those two	put together, sealed whole, and cut again
 *	decrypted, may be cut			fragments to red
 *	decrypted, must not be cut		ICMP back into the tunnel
 *
 * The packet that is cut counts as FRAGMENTED, its pieces count as packets of their own. Its
 * fragments take frames from the pool; with too few of those it is dropped as TX_FULL.
 */
#ifndef WORKER_OVERSIZE_H
#define WORKER_OVERSIZE_H

#include "worker/pipeline_inside.h"
#include "worker/sa.h"

#define OVERSIZE_FRONT 128 /* bytes of headers in front, in transport mode */

/* Inner packets of at most so many bytes fit for certain; longer ones may be oversize_out()'s. In
 * transport mode the longest that fits depends on the headers in front: they, and so what is left
 * for blocks of `align` bytes, come in steps of 4. */
static inline __u32 oversize_from(const struct sa *sa, __u32 mtu)
{
	__u32 max, less = sa->align > 4 ? sa->align - 4 : 0;

	if (!sa->transport)
		return sa_inner_max(sa, mtu);
	max = sa_transport_max(sa, mtu, OVERSIZE_FRONT);
	return max > less ? max - less : 0;
}

/* Takes an outbound packet that has to be cut. False: not taken, it fits or its sender is told. */
bool oversize_out(struct worker *w, struct sa_place *place, struct work *work,
		  const struct nexthop *nh, __u32 mtu);

/* Takes a fragment of this host's own for an SA that takes datagrams whole: with the last of them
 * the datagram is sealed and goes. False: it is no fragment. */
bool oversize_fragment(struct worker *w, struct sa_place *place, struct work *work,
		       const struct nexthop *nh, __u32 mtu);

/* Takes a sealed packet that is longer than `mtu`, and sends it in fragments. */
void oversize_sealed(struct worker *w, struct work *work, const struct nexthop *nh, __u32 mtu);

/* Takes a decrypted packet longer than `mtu`, the link's to `nh`. */
void oversize_opened(struct worker *w, struct work *work, const struct nexthop *nh, __u32 mtu);

/* The outbound SA of the same child as that inbound one that was installed last, or NULL. The place
 * is remembered while it lives; without one the search is not repeated for a while, or strangers'
 * packets would make it a load. */
struct sa_place *oversize_reverse(struct worker *w, struct sa_place *in);

/* Takes a decrypted packet that cannot go on, TTL or TOO_BIG being its reason, and answers its
 * sender from red, where `nh` leads, with ICMP, through oversize_reverse().
 * The answer must match what the SA of the packet accepts, turned round; else, or without such an
 * SA, the packet is dropped with its reason. */
void oversize_answer(struct worker *w, struct work *work, const struct nexthop *nh);

#endif
