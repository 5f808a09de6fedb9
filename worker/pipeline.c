// SPDX-License-Identifier: BSD-2-Clause
/*
 * A burst of packets from an RX ring to a TX ring. Direction of failure: closed. Whatever does not
 * hold is dropped with its reason; nothing leaves here but what ESP has sealed, what ESP has opened
 * and an SA's selectors have accepted, and ICMP errors to the red side.
 */
#include "worker/loop.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>

#include "lib/if_xdp.h"
#include "worker/ah.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/icmp.h"
#include "worker/inner.h"
#include "worker/jumbo.h"
#include "worker/late.h"
#include "worker/mss.h"
#include "worker/oversize.h"
#include "worker/sa.h"
#include "worker/slow.h"
#include "worker/tap.h"
#include "worker/tx.h"
#include "xipsec/meta.h"

#define L2_MAX      PACKET_L2_MAX
#define ESP_MIN     8u   /* SPI and sequence number */
#define ICMP_RATE   1000 /* errors a second, and in one go */
#define unlikely(x) __builtin_expect(!!(x), 0)

/* ------------------------------------------------------------------ ends */

void pipeline_drop(struct worker *w, struct work *work, __u16 reason)
{
	worker_count(w, reason, work->bytes);
	sample_drop(w, work, reason);
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

/* 1: the packet waits or was dropped; 0: nh is good. */
static int waits_for(struct worker *w, struct nexthop *nh, struct work *work)
{
	if (nh->status == XIPSEC_NEXTHOP_OK)
		return 0;
	if (nh->status == XIPSEC_NEXTHOP_UNKNOWN && !(work->p.flags & PACKET_OUTSIDE) &&
	    may_be_held(w, work) && !nexthop_hold(w->nhs, nh, work))
		return 1;
	pipeline_drop(w, work, nexthop_reason(nh, work->dir));
	return 1;
}

static __u32 link_mtu(const struct nexthop *nh, const struct device *dev)
{
	return nh->mtu && nh->mtu < dev->ctl.mtu ? nh->mtu : dev->ctl.mtu;
}

/* ------------------------------------------------------------------ out */

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
 * included, with the addresses swapped. The packet is intact up to its Ethernet header. */
static void answer_icmp(struct worker *w, struct work *work)
{
	const struct device *dev = &w->dev[work->p.slot];
	const struct xipsec_addr *src = work->p.family == XIPSEC_FAMILY_IP4 ? &dev->ctl.ip4
									    : &dev->ctl.ip6;
	static const struct xipsec_addr none;
	__u16 reason = work->p.reason;
	__u8 l2[L2_MAX];

	if (work->p.flags & PACKET_LOCAL) {
		tap_answer(w, work, pipeline_icmp_allowed(w));
		return;
	}
	memcpy(l2, work->p.data - work->p.l2_len, work->p.l2_len);
	if (!dev->known || !memcmp(src, &none, sizeof(none)) || (l2[0] & 1) ||
	    !pipeline_icmp_allowed(w) || icmp_error_build(&work->p, src)) {
		pipeline_drop(w, work, reason);
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
		return link_mtu(nh, &w->dev[nh->slot]);
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

/* Sealing writes behind the packet: trailer and ICV, and zeroes that hide its length. Where there
 * is no frame for one that would fit (`max`), it is not the packet that is too big. */
static void make_room(struct worker *w, const struct sa *sa, struct packet *p, __u32 hidden,
		      __u32 max)
{
	__u32 end = p->len > hidden ? p->len : hidden;

	if (p->len + p->tailroom >= end + sa->tail_room || p->reason || jumbo_move(w, p))
		return;
	if (p->tailroom < sa->tail_room && p->len <= max && p->len <= JUMBO_MAX &&
	    !frame_is_jumbo(&w->frames, p->frame))
		p->reason = XIPSEC_REASON_TX_FULL;
}

/* Takes those out that have to be cut. Returns how many are left. */
static unsigned int cut_oversize(struct worker *w, struct sa_place *place, struct packet **pkts,
				 unsigned int n, const struct nexthop *nh, __u32 mtu)
{
	__u32 from = oversize_from(place->sa, mtu);
	const bool own_whole = place->sa->transport;
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
			if (!waits_for(w, nh, work_of(pkts[i])))
				pipeline_drop(w, work_of(pkts[i]), XIPSEC_REASON_NO_ROUTE);
		return;
	}
	mtu = sa_path_mtu(place->sa, link_mtu(nh, dev), w->now_ms / 1000);
	n = cut_oversize(w, place, pkts, n, nh, mtu);
	pipeline_seal(w, place, pkts, n, mtu);
	for (unsigned int i = 0; i < n; i++)
		pipeline_finish_out(w, work_of(pkts[i]), nh, mtu);
	tell_stopped(w, place);
}

/* ------------------------------------------------------------------ in */

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

static void send_opened(struct worker *w, struct work *work)
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
	if (unlikely(waits_for(w, nh, work)))
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
	if (unlikely(work->p.len > link_mtu(nh, dev))) {
		oversize_opened(w, work, nh, link_mtu(nh, dev));
		return;
	}
	if (unlikely(inner_forward(work->p.data, work->p.family))) {
		work->p.reason = XIPSEC_REASON_TTL;
		oversize_answer(w, work, nh->slot);
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
			mss_clamp_opened(w, place->sa, pkts[i]);
		if (unlikely(place->if_id))
			tap_deliver(w, place->if_id, work_of(pkts[i]));
		else
			send_opened(w, work_of(pkts[i]));
	}
	taps_flush(w);
}

/* ------------------------------------------------------------------ verdicts */

/* Is the SA still the one that the program meant, and the policy not an older one? */
static __u16 check_fresh(const struct worker *w, const struct work *work)
{
	const struct sa_place *place = &w->sas[work->sa_index];

	if (!place->sa || place->generation != work->sa_generation ||
	    __atomic_load_n(&place->state->generation, __ATOMIC_RELAXED) != work->sa_generation)
		return XIPSEC_REASON_STALE_META;
	if (work->dir == XIPSEC_DIR_OUT &&
	    (__s32)(work->spd_generation -
		    __atomic_load_n(&w->globals->spd_generation, __ATOMIC_RELAXED)) < 0)
		return XIPSEC_REASON_STALE_META;
	return 0;
}

/* Headers stand 14 bytes into a frame: aligned to 2 at best. */
static __u32 read_be16(const __u8 *p)
{
	return p[0] << 8 | p[1];
}

/* Ethernet pads short frames: the packet is as long as its own header says. */
static __u16 trim(struct packet *p)
{
	__u32 len;

	if (p->family == XIPSEC_FAMILY_IP4) {
		len = read_be16(p->data + offsetof(struct iphdr, tot_len));
		if (p->data[0] >> 4 != 4 || len < sizeof(struct iphdr) || len > p->len)
			return XIPSEC_REASON_MALFORMED_IP4;
	} else {
		len = sizeof(struct ipv6hdr);
		if (p->data[0] >> 4 != 6 || p->len < len)
			return XIPSEC_REASON_MALFORMED_IP6;
		len += read_be16(p->data + offsetof(struct ipv6hdr, payload_len));
		if (len > p->len)
			return XIPSEC_REASON_MALFORMED_IP6;
	}
	p->tailroom += p->len - len;
	p->len = len;
	return 0;
}

static bool meta_ok(const struct worker *w, const struct xipsec_meta *meta, __u32 len)
{
	if (meta->magic != XIPSEC_META_MAGIC || meta->abi != XIPSEC_ABI ||
	    meta->sa_index >= w->n_sas)
		return false;
	if (meta->family != XIPSEC_FAMILY_IP4 && meta->family != XIPSEC_FAMILY_IP6)
		return false;
	if (meta->l3_off < ETH_HLEN || meta->l3_off > L2_MAX ||
	    meta->l3_off + sizeof(struct iphdr) > len)
		return false;
	if (meta->dir == XIPSEC_DIR_IN)
		return meta->l4_off >= meta->l3_off + sizeof(struct iphdr) &&
		       (__u32)meta->l4_off + ESP_MIN <= len;
	return meta->dir == XIPSEC_DIR_OUT &&
	       (!meta->l4_off || (meta->l4_off > meta->l3_off && (__u32)meta->l4_off <= len));
}

#define LATE 0xffff /* no reason, and not to go on yet (late.h) */

/* Turns a frame and its verdict into work; 0, LATE or the reason of its end. */
static __u16 classify(const struct worker *w, struct work *work, __u64 addr, __u32 len)
{
	__u8 *frame = frame_at(&w->frames, work->p.frame);
	__u8 *eth = frame_at(&w->frames, addr);
	struct packet *p = &work->p;
	struct xipsec_meta copy;
	const struct xipsec_meta *meta = &copy;
	__u16 reason, stale;

	if (unlikely(eth < frame + sizeof(copy)))
		return XIPSEC_REASON_BAD_META;
	/* A verdict is for one frame: the next that lies here must bring its own. (Copied, as no
	 * driver promises an alignment.) */
	memcpy(&copy, eth - sizeof(copy), sizeof(copy));
	memset(eth - sizeof(copy), 0, sizeof(copy.magic));
	if (unlikely(!meta_ok(w, meta, len)))
		return XIPSEC_REASON_BAD_META;
	work->dir = meta->dir;
	work->sa_index = meta->sa_index;
	work->sa_generation = meta->sa_generation;
	work->spd_generation = meta->spd_generation;
	stale = check_fresh(w, work);
	if (unlikely(stale)) {
		if (!late_may_come(w, work))
			return stale;
	} else if (unlikely(w->sas[work->sa_index].dir != work->dir)) {
		return XIPSEC_REASON_BAD_META;
	}
	p->l2_len = meta->l3_off;
	p->data = eth + meta->l3_off;
	p->len = len - meta->l3_off;
	/* ESP may not write where the Ethernet header will stand. */
	p->headroom = p->data - frame - PACKET_L2_MAX;
	p->tailroom = frame + frame_bytes(&w->frames, p->frame) - (p->data + p->len);
	p->l4_off = meta->l4_off ? meta->l4_off - meta->l3_off : 0;
	p->family = meta->family;
	reason = trim(p);
	if (unlikely(reason))
		return reason;
	if (unlikely(p->l4_off > p->len))
		return XIPSEC_REASON_BAD_META;
	if (unlikely(stale))
		return LATE;
	return 0;
}

/* ------------------------------------------------------------------ bursts */

struct group {
	struct sa_place *place;
	unsigned int n, first;
};

/* Sorts a burst by SA, keeping the order inside each (counting sort: one pass to count, one to
 * place), and runs each group. All works are fresh and not opened yet. */
static void run_burst(struct worker *w, struct work **works, unsigned int n)
{
	struct packet *sorted[BURST_MAX];
	struct group groups[BURST_MAX];
	unsigned int n_groups = 0, at = 0;

	w->burst++;
	for (unsigned int i = 0; i < n; i++) {
		struct sa_place *place = &w->sas[works[i]->sa_index];

		if (place->burst != w->burst) {
			place->burst = w->burst;
			place->group = n_groups;
			groups[n_groups++] = (struct group){.place = place};
		}
		groups[place->group].n++;
	}
	for (unsigned int g = 0; g < n_groups; g++) {
		groups[g].first = at;
		at += groups[g].n;
		groups[g].n = 0;
	}
	for (unsigned int i = 0; i < n; i++) {
		struct group *g = &groups[w->sas[works[i]->sa_index].group];

		sorted[g->first + g->n++] = &works[i]->p;
	}
	for (unsigned int g = 0; g < n_groups; g++) {
		if (groups[g].place->dir == XIPSEC_DIR_OUT)
			pipeline_out(w, groups[g].place, sorted + groups[g].first, groups[g].n);
		else
			pipeline_in(w, groups[g].place, sorted + groups[g].first, groups[g].n);
	}
}

void pipeline_take(struct worker *w, struct work **works, unsigned int n)
{
	struct work *fresh[BURST_MAX];
	unsigned int n_fresh = 0;

	for (unsigned int i = 0; i < n; i++) {
		__u16 reason = check_fresh(w, works[i]);

		if (unlikely(reason))
			pipeline_drop(w, works[i], reason);
		else
			fresh[n_fresh++] = works[i];
	}
	if (n_fresh)
		run_burst(w, fresh, n_fresh);
}

/* A frame's lines come out of the cache of the core that received it: the verdict before it, its
 * headers, and its end, where ESP puts or finds trailer and ICV. The descriptor is not checked yet;
 * a prefetch does no harm anywhere. */
static void fetch_frame(const struct worker *w, struct xsk *xsk)
{
	const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, xsk->rx_fetched++);
	const __u8 *frame = frame_at(&w->frames, desc->addr);

	prefetch_write(frame - sizeof(struct xipsec_meta));
	prefetch_write(frame + 32);
	prefetch_write(frame + desc->len);
}

/* Fetches one frame of the next burst, if the ring is known to hold one: spread over the work on
 * this burst, as only so many fetches run at a time. */
static void fetch_ahead(const struct worker *w, struct xsk *xsk)
{
	if (xsk->rx_fetched != xsk->rx.cached_prod &&
	    xsk->rx_fetched - xsk->rx.cached_cons < BURST_MAX)
		fetch_frame(w, xsk);
}

/* Half a packet stays in the ring until the rest has come. It never comes if the ring was full just
 * then and nothing followed: after so many rounds it ends. */
#define TORN_ROUNDS 1024

static unsigned int take_jumbo(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n,
			       struct xdp_desc *out)
{
	unsigned int parts = jumbo_receive(w, xsk, index, n, out);

	if (parts || (n < BURST_MAX && ++xsk->rx_torn < TORN_ROUNDS)) {
		xsk->rx_torn = parts ? 0 : xsk->rx_torn;
		return parts;
	}
	xsk->rx_torn = 0;
	jumbo_torn(w, xsk, index, n);
	return n;
}

/* What was peeked at from `at` on is still to come; by then there may be more of it than was seen.
 */
static void leave_half(struct xsk *xsk, __u32 at)
{
	xsk->rx.cached_cons = at;
	xsk->rx.cached_prod = at;
	xsk->rx_fetched = at;
}

/* Takes up to BURST_MAX frames off the RX ring: ours from here on. */
static unsigned int take_frames(struct worker *w, struct xsk *xsk, struct xdp_desc *descs)
{
	unsigned int got, n = 0;
	__u32 index;

	got = xsk_ring_cons__peek(&xsk->rx, BURST_MAX, &index);
	if (!got)
		return 0;
	while ((__s32)(xsk->rx.cached_cons - xsk->rx_fetched) > 0)
		fetch_frame(w, xsk);
	for (unsigned int i = 0; i < got; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, index + i);
		__u64 base = frame_base(&w->frames, desc->addr);

		if (unlikely(desc->options & XDP_PKT_CONTD)) {
			unsigned int parts = take_jumbo(w, xsk, index + i, got - i, &descs[n]);

			n += descs[n].len != 0;
			if (!parts) {
				got = i;
				break;
			}
			i += parts - 1;
			continue;
		}
		/* The ring outlives workers: do not trust it with our memory. */
		if (unlikely(frame_number(&w->frames, base) >= w->frames.n ||
			     desc->addr - base + desc->len > w->frames.size))
			continue;
		descs[n++] = *desc;
		frame_set(&w->frames, base, FRAME_WORKER, 0);
	}
	xsk_ring_cons__release(&xsk->rx, got);
	if (unlikely(xsk->rx.cached_cons != index + got))
		leave_half(xsk, index + got);
	return n;
}

unsigned int pipeline_receive(struct worker *w, struct xsk *xsk)
{
	struct xdp_desc descs[BURST_MAX];
	struct work store[BURST_MAX];
	struct work *works[BURST_MAX];
	unsigned int got, n = 0;

	got = take_frames(w, xsk, descs);
	for (unsigned int i = 0; i < got; i++) {
		struct work *work = &store[i];
		__u16 reason;

		fetch_ahead(w, xsk);
		*work = (struct work){
			.p.frame = frame_base(&w->frames, descs[i].addr),
			.p.slot = xsk->slot,
			.p.queue = xsk->queue,
			.bytes = descs[i].len,
		};
		reason = classify(w, work, descs[i].addr, descs[i].len);
		if (unlikely(reason == LATE))
			late_hold(w, work);
		else if (unlikely(reason))
			pipeline_drop(w, work, reason);
		else
			works[n++] = work;
	}
	if (n)
		run_burst(w, works, n);
	return got;
}

void pipeline_resume(struct worker *w)
{
	struct work store[BURST_MAX];
	struct work *works[BURST_MAX];
	unsigned int got, n;

	while ((got = nexthops_ready(w->nhs, store, BURST_MAX))) {
		n = 0;
		for (unsigned int i = 0; i < got; i++) {
			/* SAs and policies may have changed while it waited. */
			__u16 reason = check_fresh(w, &store[i]);

			if (reason)
				pipeline_drop(w, &store[i], reason);
			else if (store[i].opened)
				send_opened(w, &store[i]);
			else
				works[n++] = &store[i];
		}
		taps_flush(w);
		if (n)
			run_burst(w, works, n);
	}
}

void pipeline_drop_sa(struct worker *w, __u32 sa_index)
{
	struct work store[BURST_MAX];
	unsigned int n;

	while ((n = nexthops_take_sa(w->nhs, sa_index, store, BURST_MAX)))
		for (unsigned int i = 0; i < n; i++)
			pipeline_drop(w, &store[i], XIPSEC_REASON_STALE_META);
}
