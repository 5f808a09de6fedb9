// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets of one inbound SA, opened and on to where their inner destination is. Direction of
 * failure: closed. Nothing goes on but what the SA's selectors have accepted, and never by a black
 * interface.
 */
#include "worker/pipeline_inside.h"

#include <linux/ip.h>
#include <linux/ipv6.h>
#include <stddef.h>
#include <string.h>

#include "worker/ah.h"
#include "worker/esp_in.h"
#include "worker/inbound.h"
#include "worker/inner.h"
#include "worker/mss.h"
#include "worker/oversize.h"
#include "worker/sa.h"
#include "worker/slow.h"
#include "worker/tap.h"

#define unlikely(x) __builtin_expect(!!(x), 0)

static void inner_dst(const struct packet *p, struct xipsec_addr *out)
{
	if (p->family == XIPSEC_FAMILY_IP4) {
		memset(out, 0, sizeof(*out));
		memcpy(&out->word[0], p->data + offsetof(struct iphdr, daddr), 4);
	} else {
		memcpy(out, p->data + offsetof(struct ipv6hdr, daddr), sizeof(*out));
	}
}

__u16 pipeline_opened_reason(struct worker *w, const struct work *work)
{
	if (!unlikely(work->p.flags & PACKET_ECN))
		return XIPSEC_REASON_OPENED;
	sample_drop(w, work, XIPSEC_REASON_OPENED_ECN);
	return XIPSEC_REASON_OPENED_ECN;
}

void pipeline_send_opened(struct worker *w, struct work *work)
{
	const struct device *dev;
	struct xipsec_addr dst;
	struct nexthop *nh;
	__u16 reason;

	inner_dst(&work->p, &dst);
	nh = nexthop_find_for(w->nhs, &dst, work->p.family, work->sa_index, w->now_ms);
	if (unlikely(nh->status == XIPSEC_NEXTHOP_LOCAL)) {
		tap_deliver(w, 0, work);
		return;
	}
	if (unlikely(work->p.flags & PACKET_SUM))
		inbound_sum(&work->p);
	if (unlikely(pipeline_waits(w, nh, work)))
		return;
	dev = &w->dev[nh->slot];
	if (unlikely(dev->known && dev->ctl.role == XIPSEC_ROLE_UNPROTECTED)) {
		pipeline_drop(w, work, XIPSEC_REASON_INNER_BLACK);
		return;
	}
	if (unlikely(!dev->known || !dev->ctl.up || dev->ctl.role != XIPSEC_ROLE_PROTECTED)) {
		pipeline_drop(w, work, XIPSEC_REASON_NO_ROUTE);
		return;
	}
	if (unlikely(work->p.len > pipeline_link_mtu(nh, dev))) {
		oversize_opened(w, work, nh, pipeline_link_mtu(nh, dev));
		return;
	}
	if (unlikely(inner_forward(work->p.data, work->p.family))) {
		work->p.reason = XIPSEC_REASON_TTL;
		oversize_answer(w, work, nh);
		return;
	}
	reason = pipeline_opened_reason(w, work);
	pipeline_push_eth(&work->p, nh);
	pipeline_transmit(w, work, nh->slot, reason);
}

void pipeline_in(struct worker *w, struct sa_place *place, struct packet **pkts, unsigned int n)
{
	if (place->sa->ah)
		ah_in_burst(place->sa, pkts, n, w->now_ms / 1000);
	else
		esp_in_burst(place->sa, pkts, n, w->now_ms / 1000);
	if (unlikely(place->sa->peer_changed))
		peer_tell(w, place);
	for (unsigned int i = 0; i < n; i++) {
		if (pkts[i]->reason != XIPSEC_REASON_OPENED)
			pipeline_drop(w, work_of(pkts[i]), pkts[i]->reason);
		else if (unlikely(pkts[i]->flags & PACKET_OUTSIDE))
			slow_settle(w, pkts[i]);
		if (pkts[i]->reason != XIPSEC_REASON_OPENED)
			continue;
		work_of(pkts[i])->opened = 1;
		if (unlikely(mss_may_be(pkts[i])))
			mss_clamp_opened(w, place, pkts[i]);
		if (unlikely(place->if_id))
			tap_deliver(w, place->if_id, work_of(pkts[i]));
		else
			pipeline_send_opened(w, work_of(pkts[i]));
	}
	taps_flush(w);
}
