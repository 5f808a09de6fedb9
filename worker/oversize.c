// SPDX-License-Identifier: BSD-2-Clause
#include "worker/oversize.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <string.h>
#include <sys/random.h>

#include "worker/checksum.h"
#include "worker/device.h"
#include "worker/fragment.h"
#include "worker/icmp.h"
#include "worker/inner.h"
#include "worker/jumbo.h"
#include "worker/outer.h"
#include "worker/reassembly.h"
#include "worker/slow.h"
#include "worker/transport.h"

#define PIECES      16         /* that are sealed in one go */
#define PIECE_ROOM  FRAME_LEAD /* before a piece: headers, IV, Ethernet */
#define PIECE_TAIL  JUMBO_TAIL /* behind it: padding, trailer, ICV */
#define IP6_MTU_MIN 1280       /* RFC 8200 5 */
#define SCAN_MS     10         /* between two searches for the SA of the other direction */

/* ------------------------------------------------------------------ pieces */

#define PIECE_MAX (FRAME_JUMBO - PIECE_ROOM - PIECE_TAIL)

/* Ends the packet unless all its pieces can have a frame: those that fit none get a jumbo frame
 * each, PIECES at a time, and then as many as they are sent in. */
static bool cut_ready(struct worker *w, struct work *work, const struct fragment_cut *cut, int err)
{
	const __u32 room = w->frames.size - PIECE_ROOM;
	__u32 n = err ? 0 : fragment_count(cut), jumbos = n < PIECES ? n : PIECES;

	if (!err && cut->max + PIECE_TAIL <= room && n <= w->frames.n_free)
		return true;
	if (!err && jumbos <= w->frames.n_jumbos && n * (cut->max / room + 1) <= w->frames.n_free)
		return true;
	pipeline_drop(w, work, err ? XIPSEC_REASON_TOO_BIG : XIPSEC_REASON_TX_FULL);
	return false;
}

/* The next piece, in a frame of its own, with what the runtime knows of `from`. */
static bool piece_take(struct worker *w, const struct work *from, struct fragment_cut *cut,
		       struct work *piece)
{
	struct packet *p = &piece->p;
	__u64 frame;

	if (!fragment_count(cut) || !frame_take_for(&w->frames, cut->max, PIECE_TAIL, &frame))
		return false;
	*piece = *from;
	p->frame = frame;
	p->data = frame_at(&w->frames, p->frame) + PIECE_ROOM;
	p->len = fragment_next(cut, p->data);
	p->headroom = PIECE_ROOM - PACKET_L2_MAX;
	p->tailroom = frame_bytes(&w->frames, frame) - PIECE_ROOM - p->len;
	p->l4_off = 0;
	p->flags &= (__u8)~PACKET_OUTSIDE;
	piece->bytes = p->len + p->l2_len;
	return true;
}

static void cut_done(struct worker *w, struct work *work)
{
	pipeline_drop(w, work, XIPSEC_REASON_FRAGMENTED);
}

/* ------------------------------------------------------------------ out */

/* Each piece is sealed for itself. The checksum spans them all: it is completed before. */
static void cut_before(struct worker *w, struct sa_place *place, struct work *work,
		       const struct inner *inner, const struct nexthop *nh, __u32 mtu)
{
	__u32 max = sa_inner_max(place->sa, mtu);
	struct packet *pkts[PIECES];
	struct work piece[PIECES];
	struct fragment_cut cut;
	unsigned int n;

	if (max > PIECE_MAX)
		max = PIECE_MAX;
	inner_complete(work->p.data, inner);
	if (!cut_ready(w, work, &cut, fragment_ip4(&cut, work->p.data, inner->len, max)))
		return;
	do {
		for (n = 0; n < PIECES && piece_take(w, work, &cut, &piece[n]); n++)
			pkts[n] = &piece[n].p;
		pipeline_seal(w, place, pkts, n, mtu);
		for (unsigned int i = 0; i < n; i++) {
			if (pkts[i]->reason == XIPSEC_REASON_SEALED)
				pipeline_finish_out(w, &piece[i], nh, mtu);
			else
				pipeline_drop(w, &piece[i], pkts[i]->reason);
		}
	} while (n == PIECES);
	cut_done(w, work);
}

/* What may be cut and is known in pieces, or is one already: a peer that would not take the pieces
 * of a fragment does not take the fragments behind it either, and one that does is spared the slow
 * way, in which others overtake the first. Unless those behind it go another way. */
static bool cut_inside(const struct sa *sa, const struct inner *inner)
{
	if (inner->flags & INNER_DF)
		return false;
	return !sa->whole || (inner->flags & INNER_FRAG && !sa->transport && !sa->apart);
}

/* IPv6 of 1280 bytes must get through anywhere, and no sender takes a smaller size from us: where
 * the path has less room than that the outer packet is cut, whatever the SA says of DF (RFC 2473
 * 7.1 (b)). */
static bool no_sender_cuts(const struct inner *inner)
{
	return inner->family == XIPSEC_FAMILY_IP6 && inner->len <= IP6_MTU_MIN;
}

/* May it be sealed whole and cut then? What carries the packet must not forbid it: in transport
 * mode the packet's own header, in tunnel mode that of the SA, but for what may be cut and would
 * not be known in pieces. */
static bool cut_outside(const struct sa *sa, const struct inner *inner)
{
	if (no_sender_cuts(inner))
		return true;
	if (sa->whole && !(inner->flags & INNER_DF))
		return true;
	return sa->df_clear && (!sa->transport || inner->family == XIPSEC_FAMILY_IP6);
}

/* Takes DF back from an outer IPv4 header, and gives it an ID that tells fragments apart. AH covers
 * the ID: there it stays. */
static void allow_cut(const struct sa *sa, __u8 *ip)
{
	__u16 id = outer_next_id(), check = 0;

	if (ip[0] >> 4 != 4 || !(ip[6] & OUTER_DF >> 8))
		return;
	ip[6] &= (__u8) ~(OUTER_DF >> 8);
	if (!sa->ah) {
		ip[4] = (__u8)(id >> 8);
		ip[5] = (__u8)id;
	}
	memcpy(ip + 10, &check, 2);
	check = (__u16)~csum_fold(csum_add(0, ip, OUTER_IP4));
	memcpy(ip + 10, &check, 2);
}

/* Whatever its length: what is too long then may be cut. */
static void seal_whole(struct worker *w, struct sa_place *place, struct packet *p, __u32 mtu)
{
	const struct sa *sa = place->sa;

	pipeline_seal(w, place, &p, 1, p->len > oversize_from(sa, mtu) ? SA_ANY_MTU : mtu);
	/* No room in the frame: what fits as it is does. */
	if (p->reason == XIPSEC_REASON_TOO_BIG)
		p->icmp_mtu = oversize_from(sa, mtu);
	if (p->reason == XIPSEC_REASON_SEALED && p->len > mtu && !sa->transport)
		allow_cut(sa, p->data);
}

bool oversize_out(struct worker *w, struct sa_place *place, struct work *work,
		  const struct nexthop *nh, __u32 mtu)
{
	struct packet *p = &work->p;
	const struct sa *sa = place->sa;
	struct inner inner;

	if (p->reason || inner_parse(p->data, p->len, &inner))
		return false;
	/* The sealing steps tell its sender. */
	if (!(p->flags & PACKET_LOCAL) && inner.ttl <= 1)
		return false;
	if (!sa->transport && inner.len <= sa_inner_max(sa, mtu))
		return false;
	if (cut_inside(sa, &inner)) {
		cut_before(w, place, work, &inner, nh, mtu);
		return true;
	}
	if (!cut_outside(sa, &inner))
		return false;
	seal_whole(w, place, p, mtu);
	pipeline_finish_out(w, work, nh, mtu);
	return true;
}

/* The datagram lies in the store, where sealing finds room around it: it goes from there. */
static void send_whole(struct worker *w, struct sa_place *place, struct work *work,
		       const struct nexthop *nh, __u32 mtu, __u8 *data, __u32 len)
{
	struct packet *p = &work->p;

	work->bytes = len;
	/* What the last piece gave back may have been a jumbo frame. */
	if (!w->frames.n_free) {
		worker_count(w, XIPSEC_REASON_TX_FULL, len);
		sample_drop(w, work, XIPSEC_REASON_TX_FULL);
		return;
	}
	p->frame = frame_take(&w->frames);
	p->data = data;
	p->len = len;
	p->headroom = REASSEMBLY_ROOM - PACKET_L2_MAX;
	p->tailroom = REASSEMBLY_TAIL(len);
	p->l4_off = 0;
	p->flags |= PACKET_OUTSIDE;
	seal_whole(w, place, p, mtu);
	if (p->reason == XIPSEC_REASON_SEALED && p->len <= mtu)
		slow_settle(w, p);
	pipeline_finish_out(w, work, nh, mtu);
}

bool oversize_fragment(struct worker *w, struct sa_place *place, struct work *work,
		       const struct nexthop *nh, __u32 mtu)
{
	__u64 tag = (__u64)work->sa_index << 32 | work->sa_generation;
	struct packet *p = &work->p;
	struct inner inner;
	__u8 *data;
	__u32 len;
	int ret;

	if (p->reason || inner_parse(p->data, p->len, &inner) || !(inner.flags & INNER_FRAG))
		return false;
	if (!w->own_frags)
		w->own_frags = reassembly_new();
	if (!w->own_frags)
		return false;
	ret = reassembly_take(w->own_frags, p->data, inner.len, tag, w->now_ms, &data, &len);
	for (__u32 lost = reassembly_lost(w->own_frags); lost > 0; lost--)
		worker_count(w, XIPSEC_REASON_FRAG_LOST, 0);
	pipeline_drop(w, work, ret < 0 ? XIPSEC_REASON_FRAG_LOST : XIPSEC_REASON_REASSEMBLED);
	if (ret > 0)
		send_whole(w, place, work, nh, mtu, data, len);
	return true;
}

/* Not to be foreseen (RFC 7739), and not repeated for 2^32 packets of this worker. */
static __be32 next_id(struct worker *w)
{
	if (!w->fragment_id &&
	    getrandom(&w->fragment_id, sizeof(w->fragment_id), GRND_NONBLOCK) < 0)
		w->fragment_id = (__u32)w->now_ms;
	return htonl(++w->fragment_id);
}

void oversize_sealed(struct worker *w, struct work *work, const struct nexthop *nh, __u32 mtu)
{
	const struct sa *sa = w->sas[work->sa_index].sa;
	struct packet *p = &work->p;
	__u32 off = p->l4_off - (sa->udp ? OUTER_UDP : 0u);
	struct fragment_cut cut;
	struct work piece;
	int err;

	if (mtu > PIECE_MAX)
		mtu = PIECE_MAX;
	off -= transport_whole(p, off);
	err = p->family == XIPSEC_FAMILY_IP4
		      ? fragment_ip4(&cut, p->data, p->len, mtu)
		      : fragment_ip6(&cut, p->data, p->len, off, mtu, next_id(w));
	if (!cut_ready(w, work, &cut, err))
		return;
	while (piece_take(w, work, &cut, &piece)) {
		pipeline_push_eth(&piece.p, nh);
		pipeline_transmit(w, &piece, nh->slot, XIPSEC_REASON_SEALED);
	}
	cut_done(w, work);
}

/* ------------------------------------------------------------------ in */

void oversize_opened(struct worker *w, struct work *work, const struct nexthop *nh, __u32 mtu)
{
	struct packet *p = &work->p;
	struct fragment_cut cut;
	struct inner inner;
	struct work piece;
	__u16 reason;

	if (inner_parse(p->data, p->len, &inner)) {
		pipeline_drop(w, work, XIPSEC_REASON_INNER_MALFORMED);
		return;
	}
	p->icmp_mtu = mtu;
	p->reason = XIPSEC_REASON_TOO_BIG;
	if (!(inner.flags & INNER_DF))
		p->reason = (__u16)inner_forward(p->data, p->family);
	if (p->reason) {
		oversize_answer(w, work, nh);
		return;
	}
	if (mtu > PIECE_MAX)
		mtu = PIECE_MAX;
	if (!cut_ready(w, work, &cut, fragment_ip4(&cut, p->data, p->len, mtu)))
		return;
	reason = pipeline_opened_reason(w, work);
	while (piece_take(w, work, &cut, &piece)) {
		pipeline_push_eth(&piece.p, nh);
		pipeline_transmit(w, &piece, nh->slot, reason);
	}
	cut_done(w, work);
}

/* ------------------------------------------------------------------ answers into the tunnel */

static bool is_reverse(const struct sa_place *out, const struct sa *in)
{
	return out->sa && out->dir == XIPSEC_DIR_OUT &&
	       !memcmp(out->sa->child, in->child, sizeof(in->child)) &&
	       __atomic_load_n(&out->state->generation, __ATOMIC_RELAXED) == out->generation &&
	       __atomic_load_n(&out->state->status, __ATOMIC_RELAXED) == XIPSEC_SA_LIVE;
}

struct sa_place *oversize_reverse(struct worker *w, struct sa_place *in)
{
	struct sa_place *best = NULL;

	if (in->reverse < w->n_sas && is_reverse(&w->sas[in->reverse], in->sa))
		return &w->sas[in->reverse];
	if (w->now_ms < w->next_reverse)
		return NULL;
	w->next_reverse = w->now_ms + SCAN_MS;
	for (__u32 i = 0; i < w->n_sas; i++)
		if (is_reverse(&w->sas[i], in->sa) &&
		    (!best || (__s32)(w->sas[i].generation - best->generation) > 0))
			best = &w->sas[i];
	if (best)
		in->reverse = (__u32)(best - w->sas);
	return best;
}

/* Would the SA accept such a packet from the other side? (RFC 4301 6.2: errors keep to the
 * selectors.) */
static bool reverse_allows(const struct sa *in, const struct packet *p)
{
	struct xipsec_flow flow;
	struct inner inner;

	if (inner_parse(p->data, p->len, &inner))
		return false;
	inner_flow(p->data, &inner, XIPSEC_DIR_OUT, &flow);
	for (__u32 i = 0; i < in->n_selectors; i++) {
		enum xipsec_match match = xipsec_selector_match(&in->selector[i], &flow);

		if (match != XIPSEC_MATCH_NO)
			return match == XIPSEC_MATCH_YES && !in->refuse[i];
	}
	return false;
}

void oversize_answer(struct worker *w, struct work *work, const struct nexthop *nh)
{
	struct sa_place *in = &w->sas[work->sa_index], *out = oversize_reverse(w, in);
	const struct xipsec_addr *src =
		device_source(&w->dev[nh->slot], work->p.family, nh->vlan, nh->n_vlans);
	struct packet *p = &work->p;

	pipeline_refuse(w, work, p->reason);
	if (!out || !src || !pipeline_icmp_allowed(w) || icmp_error_build(p, src) ||
	    !reverse_allows(in->sa, p) || ((p->flags & PACKET_OUTSIDE) && !slow_settle(w, p))) {
		frame_free(&w->frames, p->frame);
		return;
	}
	worker_count(w, XIPSEC_REASON_ICMP_SENT, work->bytes);
	p->reason = 0;
	p->flags |= PACKET_LOCAL;
	work->bytes = p->len;
	work->dir = XIPSEC_DIR_OUT;
	work->opened = 0;
	work->sa_index = (__u32)(out - w->sas);
	work->sa_generation = out->generation;
	work->spd_generation = __atomic_load_n(&w->globals->spd_generation, __ATOMIC_RELAXED);
	pipeline_out(w, out, &p, 1);
}
