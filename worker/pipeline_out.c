// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of one outbound SA, from their next hop to TX. Direction of failure: closed. Nothing
 * leaves here but what has been sealed, and ICMP errors to the red side.
 */
#include "worker/pipeline_inside.h"

#include <linux/if_ether.h>
#include <string.h>

#include "worker/ah.h"
#include "worker/device.h"
#include "worker/esp_out.h"
#include "worker/icmp.h"
#include "worker/jumbo.h"
#include "worker/outbound.h"
#include "worker/oversize.h"
#include "worker/sa.h"
#include "worker/tap.h"

#define L2_MAX      PACKET_L2_MAX
#define ICMP_RATE   1000 /* errors a second, and in one go */
#define unlikely(x) __builtin_expect(!!(x), 0)

bool pipeline_icmp_allowed(struct worker *w)
{
	__u64 passed = w->now_ms - w->icmp_filled;

	/* A thousandth of a token a millisecond and unit of rate; RFC 4443 2.4 (f). */
	w->icmp_filled = w->now_ms;
	w->icmp_tokens += passed * ICMP_RATE;
	if (w->icmp_tokens > ICMP_RATE * 1000)
		w->icmp_tokens = ICMP_RATE * 1000;
	if (w->icmp_tokens < 1000)
		return false;
	w->icmp_tokens -= 1000;
	return true;
}

/* Tells the sender what was wrong, back on the way it came: its own Ethernet header, VLAN tags
 * included, with the addresses swapped. The packet is intact up to its Ethernet header. It counts
 * as what ended it, told or not; the error that goes counts as one more. */
static void answer_icmp(struct worker *w, struct work *work)
{
	const struct device *dev = &w->dev[work->p.slot];
	const struct xipsec_addr *src;
	__u8 l2[L2_MAX];

	pipeline_refuse(w, work, work->p.reason);
	if (work->p.flags & PACKET_LOCAL) {
		tap_answer(w, work, pipeline_icmp_allowed(w));
		return;
	}
	memcpy(l2, work->p.data - work->p.l2_len, work->p.l2_len);
	src = device_source_of(dev, work->p.family, l2, work->p.l2_len);
	if (!src || (l2[0] & 1) || !pipeline_icmp_allowed(w) || icmp_error_build(&work->p, src)) {
		frame_free(&w->frames, work->p.frame);
		return;
	}
	work->p.data -= work->p.l2_len;
	work->p.len += work->p.l2_len;
	memcpy(work->p.data, l2 + ETH_ALEN, ETH_ALEN);
	memcpy(work->p.data + ETH_ALEN, l2, ETH_ALEN);
	memcpy(work->p.data + 2 * ETH_ALEN, l2 + 2 * ETH_ALEN, work->p.l2_len - 2 * ETH_ALEN);
	pipeline_transmit(w, work, work->p.slot, XIPSEC_REASON_ICMP_SENT);
}

void pipeline_seal(struct worker *w, struct sa_place *place, struct packet **pkts, unsigned int n,
		   __u32 mtu)
{
	if (place->sa->ah)
		ah_out_burst(place->sa, pkts, n, mtu, w->now_ms / 1000);
	else
		esp_out_burst(place->sa, pkts, n, mtu, w->now_ms / 1000);
}

void pipeline_finish_out(struct worker *w, struct work *work, const struct nexthop *nh, __u32 mtu)
{
	switch (work->p.reason) {
	case XIPSEC_REASON_SEALED:
		if (unlikely(work->p.len > mtu)) {
			oversize_sealed(w, work, nh, mtu);
			break;
		}
		pipeline_push_eth(&work->p, nh);
		pipeline_transmit(w, work, nh->slot, XIPSEC_REASON_SEALED);
		break;
	case XIPSEC_REASON_TOO_BIG:
	case XIPSEC_REASON_TTL: answer_icmp(w, work); break;
	default: pipeline_drop(w, work, work->p.reason);
	}
}

__u32 pipeline_out_mtu(struct worker *w, const struct sa_place *place)
{
	return pipeline_mtu_to(w, &place->dst, place->outer_family);
}

__u32 pipeline_mtu_to(struct worker *w, const struct xipsec_addr *dst, __u8 family)
{
	const struct nexthop *nh = nexthop_find(w->nhs, dst, family, w->now_ms);
	__u32 mtu = 0;

	if (nh->status == XIPSEC_NEXTHOP_OK && w->dev[nh->slot].known)
		return pipeline_link_mtu(nh, &w->dev[nh->slot]);
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++) {
		const struct device *dev = &w->dev[slot];

		if (dev->known && dev->ctl.role == XIPSEC_ROLE_UNPROTECTED &&
		    (!mtu || dev->ctl.mtu < mtu))
			mtu = dev->ctl.mtu;
	}
	return mtu;
}

static void tell_stopped(struct worker *w, struct sa_place *place)
{
	if (place->told_stopped ||
	    __atomic_load_n(&place->state->status, __ATOMIC_RELAXED) != XIPSEC_SA_STOPPED)
		return;
	place->told_stopped = true;
	worker_owe(w, XIPSEC_CTL_SA_STOPPED, place - w->sas, place->generation);
}

/* Sealing writes behind the packet: trailer and ICV, and zeroes that hide its length, all of them
 * or it is not sent; and it may have to move the packet up. Where there is no frame for one that
 * would fit (`max`), it is not the packet that is too big. */
static void make_room(struct worker *w, const struct sa *sa, struct packet *p, __u32 hidden,
		      __u32 max)
{
	__u32 end = (p->len > hidden ? p->len : hidden) + sa->tail_room + outbound_shift(sa, p);

	if (p->len + p->tailroom >= end || p->reason || jumbo_move(w, p))
		return;
	if (p->len <= max && p->len <= JUMBO_MAX && !frame_is_jumbo(&w->frames, p->frame))
		p->reason = XIPSEC_REASON_TX_FULL;
}

/* Takes those out that have to be cut. Returns how many are left. */
static unsigned int cut_oversize(struct worker *w, struct sa_place *place, struct packet **pkts,
				 unsigned int n, const struct nexthop *nh, __u32 mtu)
{
	__u32 from = oversize_from(place->sa, mtu);
	const bool own_whole = place->sa->whole;
	__u32 hidden = place->sa->tfc_size < from ? place->sa->tfc_size : from;
	unsigned int left = 0;

	for (unsigned int i = 0; i < n; i++) {
		make_room(w, place->sa, pkts[i], hidden, from);
		if (!(own_whole && pkts[i]->flags & PACKET_LOCAL &&
		      oversize_fragment(w, place, work_of(pkts[i]), nh, mtu)) &&
		    !(unlikely(pkts[i]->len > from) &&
		      oversize_out(w, place, work_of(pkts[i]), nh, mtu)))
			pkts[left++] = pkts[i];
	}
	return left;
}

void pipeline_out(struct worker *w, struct sa_place *place, struct packet **pkts, unsigned int n)
{
	struct nexthop *nh = nexthop_find(w->nhs, &place->dst, place->outer_family, w->now_ms);
	const struct device *dev = &w->dev[nh->slot];
	__u32 mtu;

	/* Waiting comes before sealing: a number that waits would fall out of the peer's window.
	 * ESP goes to the unprotected side alone, and not by an interface that is down. */
	if (nh->status != XIPSEC_NEXTHOP_OK || !dev->known || !dev->ctl.up ||
	    dev->ctl.role != XIPSEC_ROLE_UNPROTECTED) {
		for (unsigned int i = 0; i < n; i++)
			if (!pipeline_waits(w, nh, work_of(pkts[i])))
				pipeline_drop(w, work_of(pkts[i]), XIPSEC_REASON_NO_ROUTE);
		return;
	}
	mtu = sa_path_mtu(place->sa, pipeline_link_mtu(nh, dev), w->now_ms / 1000);
	n = cut_oversize(w, place, pkts, n, nh, mtu);
	pipeline_seal(w, place, pkts, n, mtu);
	for (unsigned int i = 0; i < n; i++)
		pipeline_finish_out(w, work_of(pkts[i]), nh, mtu);
	tell_stopped(w, place);
}
