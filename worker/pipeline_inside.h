/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the pipeline, for pipeline.c (bursts), pipeline_out.c, pipeline_in.c,
 * pipeline_end.c and oversize.c (what does not fit). Whoever gets a work ends it: sends it, keeps
 * it until a next hop is known, or drops it with its reason.
 */
#ifndef WORKER_PIPELINE_INSIDE_H
#define WORKER_PIPELINE_INSIDE_H

#include "worker/loop.h"

/* Counts the packet as what ended it, and tells of it; its frame stays the caller's. */
void pipeline_refuse(struct worker *w, const struct work *work, __u16 reason);

/* The same, and takes its frame back. */
void pipeline_drop(struct worker *w, struct work *work, __u16 reason);

/* Counts it and hands its frame to the socket; data stands at the Ethernet header. Drops it where
 * that fails. */
void pipeline_transmit(struct worker *w, struct work *work, __u32 slot, __u16 reason);

/* Writes the Ethernet header of the next hop, VLAN tags included, before data: PACKET_L2_MAX bytes
 * of room beyond p->headroom are promised. */
void pipeline_push_eth(struct packet *p, const struct nexthop *nh);

/* False: nh is good. True: the packet waits for it, or was dropped. */
bool pipeline_waits(struct worker *w, struct nexthop *nh, struct work *work);

/* Bytes of IP that a route by that interface takes. */
static inline __u32 pipeline_link_mtu(const struct nexthop *nh, const struct device *dev)
{
	return nh->mtu && nh->mtu < dev->ctl.mtu ? nh->mtu : dev->ctl.mtu;
}

/* Seals packets that fit; with `mtu` SA_ANY_MTU those too that do not. Each has a reason then. */
void pipeline_seal(struct worker *w, struct sa_place *place, struct packet **pkts, unsigned int n,
		   __u32 mtu);

/* Goes on with what pipeline_seal() gave; sealed packets longer than `mtu` are cut. */
void pipeline_finish_out(struct worker *w, struct work *work, const struct nexthop *nh, __u32 mtu);

/* Packets of one outbound SA, from their next hop on. */
void pipeline_out(struct worker *w, struct sa_place *place, struct packet **pkts, unsigned int n);

/* Opens packets of one inbound SA and sends them on. */
void pipeline_in(struct worker *w, struct sa_place *place, struct packet **pkts, unsigned int n);

/* What an opened packet that goes on is counted as, whole or its pieces; congestion marks that no
 * tunnel makes are told, once a packet (RFC 6040 4.2). OPENED or OPENED_ECN. */
__u16 pipeline_opened_reason(struct worker *w, const struct work *work);

/* Sends one on that has been opened, from the next hop of its inner destination on. */
void pipeline_send_opened(struct worker *w, struct work *work);

/* Bytes of IP that the way to a peer takes; while it is not known, the least that any unprotected
 * interface does. */
__u32 pipeline_mtu_to(struct worker *w, const struct xipsec_addr *dst, __u8 family);

/* Takes a token: whether another ICMP error may be sent now (RFC 4443 2.4 (f)). */
bool pipeline_icmp_allowed(struct worker *w);

#endif
