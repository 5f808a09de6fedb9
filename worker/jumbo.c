// SPDX-License-Identifier: BSD-2-Clause
/*
 * Direction of failure: closed. Bytes of two packets never come together: what one SA seals may be
 * nobody else's.
 */
#include "worker/jumbo.h"

#include <string.h>

#include "lib/if_xdp.h"
#include "xipsec/meta.h"

/* ------------------------------------------------------------------ receiving */

/* The ring outlives workers: do not trust it with our memory. */
static bool lies_in_frame(const struct frames *frames, const struct xdp_desc *desc)
{
	__u64 base = frame_base(frames, desc->addr);

	return frame_number(frames, base) < frames->n &&
	       desc->addr - base + desc->len <= frames->size;
}

/* A verdict stands before it: here a packet begins. Frames that go on with one have none: it is
 * wiped when it has been read. */
static bool begins_packet(const struct frames *frames, const struct xdp_desc *desc)
{
	const __u8 *at = frame_at(frames, desc->addr);
	struct xipsec_meta meta;

	if (desc->addr - frame_base(frames, desc->addr) < sizeof(meta))
		return false;
	memcpy(&meta, at - sizeof(meta), sizeof(meta));
	return meta.magic == XIPSEC_META_MAGIC && meta.abi == XIPSEC_ABI;
}

/* Its frame is ours; what was said of it holds no more. */
static void give_up_frame(struct worker *w, const struct xdp_desc *desc)
{
	__u64 base = frame_base(&w->frames, desc->addr);

	if (!lies_in_frame(&w->frames, desc))
		return;
	if (desc->addr - base >= sizeof(struct xipsec_meta))
		memset(frame_at(&w->frames, desc->addr) - sizeof(struct xipsec_meta), 0,
		       sizeof(__u32));
	frame_set(&w->frames, base, FRAME_WORKER, 0);
	frame_free(&w->frames, base);
}

/* Ends `n` descriptors; gives their bytes. */
static __u32 give_up(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n)
{
	__u32 bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, index + i);

		bytes += desc->len;
		give_up_frame(w, desc);
	}
	return bytes;
}

/* Nothing is known of it but where it came in: it is not there as a whole. */
static void drop(struct worker *w, const struct xsk *xsk, __u16 reason, __u32 bytes)
{
	const struct device *dev = &w->dev[xsk->slot];
	const struct xipsec_sample known = {
		.ifindex = dev->known ? dev->ctl.ifindex : 0, .len = bytes, .reason = reason};

	worker_count(w, reason, bytes);
	sample_stranger(w, &known, NULL, 0);
}

void jumbo_torn(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n)
{
	drop(w, xsk, XIPSEC_REASON_RX_FULL, give_up(w, xsk, index, n));
}

/* How many descriptors the packet has, 0: its end is not there. *torn: that many, and the end is
 * another packet's. */
static unsigned int parts_of(const struct worker *w, struct xsk *xsk, __u32 index, unsigned int n,
			     bool *torn)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, index + i);

		*torn = !lies_in_frame(&w->frames, desc) || (i && begins_packet(&w->frames, desc));
		if (*torn)
			return i ? i : 1;
		if (!(desc->options & XDP_PKT_CONTD))
			return i + 1;
	}
	return 0;
}

/* Verdict and packet, one after the other. False: it is too long. */
static bool put_together(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n,
			 struct xdp_desc *out)
{
	const struct xdp_desc *desc = xsk_ring_cons__rx_desc(&xsk->rx, index);
	__u8 *to = frame_at(&w->frames, out->addr);
	const __u8 *from = frame_at(&w->frames, desc->addr);

	if (desc->addr - frame_base(&w->frames, desc->addr) >= sizeof(struct xipsec_meta))
		memcpy(to - sizeof(struct xipsec_meta), from - sizeof(struct xipsec_meta),
		       sizeof(struct xipsec_meta));
	else
		memset(to - sizeof(struct xipsec_meta), 0, sizeof(struct xipsec_meta));
	for (unsigned int i = 0; i < n; i++) {
		desc = xsk_ring_cons__rx_desc(&xsk->rx, index + i);
		if (desc->len > JUMBO_MAX + PACKET_L2_MAX - out->len)
			return false;
		memcpy(to + out->len, frame_at(&w->frames, desc->addr), desc->len);
		out->len += desc->len;
	}
	return true;
}

unsigned int jumbo_receive(struct worker *w, struct xsk *xsk, __u32 index, unsigned int n,
			   struct xdp_desc *out)
{
	bool torn = false;
	unsigned int parts = parts_of(w, xsk, index, n, &torn);
	__u16 reason = 0;
	__u32 bytes;

	*out = (struct xdp_desc){0};
	if (!parts)
		return 0;
	if (torn) {
		jumbo_torn(w, xsk, index, parts);
		return parts;
	}
	if (!w->frames.n_jumbos) {
		reason = XIPSEC_REASON_TX_FULL;
	} else {
		__u64 jumbo = jumbo_take(&w->frames);

		out->addr = jumbo + FRAME_LEAD;
		if (!put_together(w, xsk, index, parts, out)) {
			frame_free(&w->frames, jumbo);
			out->len = 0;
			reason = XIPSEC_REASON_TOO_BIG;
		}
	}
	bytes = give_up(w, xsk, index, parts);
	if (reason)
		drop(w, xsk, reason, bytes);
	return parts;
}

/* ------------------------------------------------------------------ moving */

bool jumbo_move(struct worker *w, struct packet *p)
{
	__u64 jumbo;
	__u8 *data;

	if (p->len > JUMBO_MAX || !w->frames.n_jumbos || frame_is_jumbo(&w->frames, p->frame))
		return false;
	jumbo = jumbo_take(&w->frames);
	data = frame_at(&w->frames, jumbo) + FRAME_LEAD + PACKET_L2_MAX;
	memcpy(data - p->l2_len, p->data - p->l2_len, p->l2_len + p->len);
	frame_free(&w->frames, p->frame);
	p->frame = jumbo;
	p->data = data;
	p->headroom = FRAME_LEAD;
	p->tailroom = FRAME_JUMBO - FRAME_LEAD - PACKET_L2_MAX - p->len;
	p->flags &= (__u8)~PACKET_OUTSIDE;
	return true;
}

bool frame_take_for(struct frames *frames, __u32 len, __u32 tail, __u64 *out)
{
	if (FRAME_LEAD + len + tail > FRAME_JUMBO)
		return false;
	if (FRAME_LEAD + len + tail <= frames->size) {
		if (!frames->n_free)
			return false;
		*out = frame_take(frames);
		return true;
	}
	if (!frames->n_jumbos)
		return false;
	*out = jumbo_take(frames);
	return true;
}
