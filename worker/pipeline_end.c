// SPDX-License-Identifier: BSD-2-Clause
/* How a work ends: dropped with its reason, handed to a socket, or kept until a next hop is known.
 */
#include "worker/pipeline_inside.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <string.h>

#include "worker/jumbo.h"
#include "worker/tx.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

void pipeline_refuse(struct worker *w, const struct work *work, __u16 reason)
{
	worker_count(w, reason, work->bytes);
	sample_drop(w, work, reason);
}

void pipeline_drop(struct worker *w, struct work *work, __u16 reason)
{
	pipeline_refuse(w, work, reason);
	frame_free(&w->frames, work->p.frame);
}

/* data stands at the Ethernet header. From success on the frame is the kernel's. */
void pipeline_transmit(struct worker *w, struct work *work, __u32 slot, __u16 reason)
{
	struct xsk *xsk = w->tx_of[slot][work->p.queue];
	__u64 addr = work->p.data - w->frames.umem;
	int err;

	if (unlikely(work->p.flags & PACKET_OUTSIDE)) {
		pipeline_drop(w, work, XIPSEC_REASON_TOO_BIG);
		return;
	}
	if (unlikely(!xsk)) {
		pipeline_drop(w, work, XIPSEC_REASON_NO_ROUTE);
		return;
	}
	if (frame_is_jumbo(&w->frames, work->p.frame)) {
		err = tx_send_jumbo(xsk, &w->frames, work->p.data, work->p.len);
		if (!err)
			frame_free(&w->frames, work->p.frame);
	} else {
		err = tx_send(xsk, &w->frames, addr, work->p.len);
	}
	if (unlikely(err)) {
		pipeline_drop(w, work,
			      err == -EMSGSIZE ? XIPSEC_REASON_TOO_BIG : XIPSEC_REASON_TX_FULL);
		return;
	}
	worker_count(w, reason, work->bytes);
	worker_add(&w->stats->tx_packets, 1);
}

void pipeline_push_eth(struct packet *p, const struct nexthop *nh)
{
	__be16 type = htons(p->family == XIPSEC_FAMILY_IP4 ? ETH_P_IP : ETH_P_IPV6);
	__u32 tags = nh->n_vlans * sizeof(nh->vlan[0]), len = ETH_HLEN + tags;

	p->data -= len;
	p->len += len;
	memcpy(p->data, nh->dst_mac, ETH_ALEN);
	memcpy(p->data + ETH_ALEN, nh->src_mac, ETH_ALEN);
	if (unlikely(tags))
		memcpy(p->data + 2 * ETH_ALEN, nh->vlan, tags);
	memcpy(p->data + len - sizeof(type), &type, sizeof(type));
}

/* What an undecided or negative next hop means for a packet. */
static __u16 nexthop_reason(const struct nexthop *nh, __u8 dir)
{
	switch (nh->status) {
	case XIPSEC_NEXTHOP_LOCAL:
		/* an outer destination that is this host: no peer there */
		return dir == XIPSEC_DIR_IN ? XIPSEC_REASON_INNER_LOCAL : XIPSEC_REASON_NO_ROUTE;
	case XIPSEC_NEXTHOP_NO_ROUTE: return XIPSEC_REASON_NO_ROUTE;
	default: return XIPSEC_REASON_NO_NEIGH;
	}
}

/* Jumbo frames are few: those that wait leave enough for a burst. */
static bool may_be_held(const struct worker *w, const struct work *work)
{
	return !frame_is_jumbo(&w->frames, work->p.frame) || w->frames.n_jumbos > JUMBOS / 2;
}

bool pipeline_waits(struct worker *w, struct nexthop *nh, struct work *work)
{
	if (nh->status == XIPSEC_NEXTHOP_OK)
		return false;
	if (nh->status == XIPSEC_NEXTHOP_UNKNOWN && !(work->p.flags & PACKET_OUTSIDE) &&
	    may_be_held(w, work) && !nexthop_hold(w->nhs, nh, work))
		return true;
	pipeline_drop(w, work, nexthop_reason(nh, work->dir));
	return true;
}
