// SPDX-License-Identifier: BSD-2-Clause
/*
 * Direction of failure: closed. A frame without a verdict of ours, with a header that contradicts
 * it, or for an SA that is not this interface's ends with its reason.
 */
#include "worker/tap_inside.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/virtio_net.h>
#include <sys/uio.h>

#include "worker/jumbo.h"
#include "worker/sa.h"
#include "worker/segment.h"
#include "xipsec/meta.h"

#define HEADROOM  FRAME_LEAD /* outer headers find their room */
#define TAGS_MAX  2
#define ASK_EVERY 8 /* rounds: asking an empty queue costs 0.2 us */

/* Of one round. */
#define FRAMES_MAX   32
#define SEGMENTS_MAX 128

/* What is free before a frame is read: it may fall into this many segments of everyday size. */
#define FREE_MIN 128

/* Packets on their way to the pipeline. */
struct batch {
	struct work store[BURST_MAX];
	struct work *works[BURST_MAX];
	unsigned int n;
	unsigned int all; /* since the round began */
};

/* One frame as it was read. */
struct tap_frame {
	struct virtio_net_hdr hdr;
	__u8 *l2;     /* the frame behind that header, contiguous */
	__u32 len;    /* bytes from l2 */
	__u32 l3_off; /* of the IP header, from l2 */
	__u64 frame;  /* of the UMEM, the first bytes lie in it */
	bool whole;   /* the others too: at HEADROOM, when there are no tags */
	struct inner inner;
	struct work work; /* what all its packets have in common */
};

struct tap *tap_find(struct worker *w, __u32 if_id)
{
	for (unsigned int i = 0; i < w->n_taps; i++)
		if (w->taps[i].if_id == if_id)
			return &w->taps[i];
	return NULL;
}

/* Somebody deleted the interface: xipsecd makes it anew and lends that. */
void tap_lose(struct worker *w, struct tap *tap)
{
	close(tap->fd);
	tap->fd = -1;
	worker_polls_changed(w);
}

/* ------------------------------------------------------------------ what a frame says */

static __u32 be16_at(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

/* Past the Ethernet header and its tags, which TC may find on a packet. 0, or its end. */
static __u16 read_l2(const struct tap *tap, struct tap_frame *f)
{
	__u32 off = ETH_HLEN, type;

	if (tap->if_id) {
		f->l3_off = 0;
		return f->len ? 0 : XIPSEC_REASON_INNER_MALFORMED;
	}
	if (f->len < ETH_HLEN + sizeof(struct iphdr))
		return XIPSEC_REASON_BAD_META;
	type = be16_at(f->l2 + 12);
	for (int i = 0; i < TAGS_MAX && (type == ETH_P_8021Q || type == ETH_P_8021AD); i++) {
		type = be16_at(f->l2 + off + 2);
		off += 4;
	}
	f->l3_off = off;
	return type == ETH_P_IP || type == ETH_P_IPV6 ? 0 : XIPSEC_REASON_BAD_META;
}

/* Who seals it: the guard has said so, or the interface stands for it. */
static __u16 read_verdict(const struct worker *w, const struct tap *tap, struct tap_frame *f)
{
	struct work *work = &f->work;
	struct xipsec_tap_meta meta;

	if (tap->if_id) {
		if (!tap->sa_generation)
			return XIPSEC_REASON_NO_SA_OUT;
		work->sa_index = tap->sa_index;
		work->sa_generation = tap->sa_generation;
		work->spd_generation =
			__atomic_load_n(&w->globals->spd_generation, __ATOMIC_RELAXED);
		return 0;
	}
	memcpy(&meta, f->l2, sizeof(meta));
	if ((meta.sa_index & XIPSEC_TAP_MARK_MASK) != XIPSEC_TAP_MARK)
		return XIPSEC_REASON_BAD_META;
	work->sa_index = meta.sa_index & ~XIPSEC_TAP_MARK_MASK;
	work->sa_generation = meta.sa_generation;
	work->spd_generation = meta.spd_generation;
	return 0;
}

static __u16 read_frame(const struct worker *w, const struct tap *tap, struct tap_frame *f)
{
	const struct sa_place *place;
	__u16 reason;

	f->work = (struct work){.p.flags = PACKET_LOCAL,
				.p.queue = w->number % XIPSEC_QUEUES_MAX,
				.bytes = f->len,
				.if_id = tap->if_id,
				.dir = XIPSEC_DIR_OUT};
	reason = read_l2(tap, f);
	if (reason)
		return reason;
	f->work.p.data = f->l2 + f->l3_off;
	f->work.p.len = f->len - f->l3_off;
	reason = read_verdict(w, tap, f);
	if (reason)
		return reason;
	if (f->work.sa_index >= w->n_sas)
		return XIPSEC_REASON_BAD_META;
	place = &w->sas[f->work.sa_index];
	if (!place->sa || place->generation != f->work.sa_generation)
		return XIPSEC_REASON_STALE_META;
	if (place->dir != XIPSEC_DIR_OUT || place->if_id != tap->if_id)
		return XIPSEC_REASON_BAD_META;
	return inner_parse(f->work.p.data, f->work.p.len, &f->inner);
}

/* Counts a frame that ends, and tells of it; whoever read it frees what it lies in. */
static void refuse(struct worker *w, struct tap *tap, struct tap_frame *f, __u16 reason)
{
	worker_count(w, reason, f->len);
	f->work.bytes = f->len;
	if (reason == XIPSEC_REASON_NO_SA_OUT)
		sample_acquire(w, tap, f->work.p.data, f->work.p.len);
	else
		sample_drop(w, &f->work, reason);
}

/* ------------------------------------------------------------------ into the pipeline */

static void flush(struct worker *w, struct batch *batch)
{
	if (batch->n)
		pipeline_take(w, batch->works, batch->n);
	batch->n = 0;
}

/* A packet of `len` bytes at `data` in `frame`. */
static void put(struct worker *w, struct batch *batch, const struct tap_frame *f, __u64 frame,
		__u8 *data, __u32 len)
{
	struct work *work = &batch->store[batch->n];
	__u8 *start = frame_at(&w->frames, frame);

	*work = f->work;
	work->p.frame = frame;
	work->p.data = data;
	work->p.len = len;
	/* ESP may not write where the Ethernet header will stand. */
	work->p.headroom = (__u32)(data - start) - PACKET_L2_MAX;
	work->p.tailroom = (__u32)(start + frame_bytes(&w->frames, frame) - (data + len));
	work->p.family = f->inner.family;
	work->p.l4_off = f->inner.opaque ? 0 : f->inner.l4_off;
	batch->works[batch->n++] = work;
	batch->all++;
	if (batch->n == BURST_MAX)
		flush(w, batch);
}

/* The largest packet that the SA can carry there now, and that a frame has room for. */
static __u32 packet_max(struct worker *w, const struct tap_frame *f)
{
	const struct sa_place *place = &w->sas[f->work.sa_index];
	const struct sa *sa = place->sa;
	__u32 room = FRAME_JUMBO - HEADROOM - sa->tail_room, max;
	__u32 mtu = sa_path_mtu(sa, pipeline_out_mtu(w, place), w->now_ms / 1000);

	max = sa->transport ? sa_transport_max(sa, mtu, f->inner.l4_off) : sa_inner_max(sa, mtu);
	return max < room ? max : room;
}

/* A frame for a packet of `len` bytes, even if those in hand must go first. */
static bool room_for(struct worker *w, struct batch *batch, const struct tap_frame *f, __u32 len,
		     __u64 *frame)
{
	__u32 tail = w->sas[f->work.sa_index].sa->tail_room;

	if (frame_take_for(&w->frames, len, tail, frame))
		return true;
	flush(w, batch);
	return frame_take_for(&w->frames, len, tail, frame);
}

/* XIPSEC_REASON_COUNT, or the reason that ends what is left of it. */
static __u16 cut(struct worker *w, struct batch *batch, struct tap_frame *f, struct segments *s)
{
	const __u32 longest = segments_longest(s);
	__u32 len;

	if (longest > FRAME_JUMBO - HEADROOM - JUMBO_TAIL)
		return XIPSEC_REASON_TOO_BIG;
	f->work.bytes = longest + f->l3_off;
	for (;;) {
		__u64 frame;
		__u8 *data;

		if (!room_for(w, batch, f, longest, &frame))
			return XIPSEC_REASON_TX_FULL;
		data = frame_at(&w->frames, frame) + HEADROOM;
		len = segments_next(s, data);
		if (!len) {
			frame_free(&w->frames, frame);
			return XIPSEC_REASON_COUNT;
		}
		put(w, batch, f, frame, data, len);
	}
}

/* One packet that did not go into the frame that it was read to. */
static __u16 carry_jumbo(struct worker *w, struct batch *batch, const struct tap_frame *f,
			 const __u8 *l3)
{
	__u8 *data;
	__u64 frame;

	if (f->inner.len > FRAME_JUMBO - HEADROOM - JUMBO_TAIL)
		return XIPSEC_REASON_TOO_BIG;
	if (!room_for(w, batch, f, f->inner.len, &frame))
		return XIPSEC_REASON_TX_FULL;
	data = frame_at(&w->frames, frame) + HEADROOM;
	memcpy(data, l3, f->inner.len);
	put(w, batch, f, frame, data, f->inner.len);
	return XIPSEC_REASON_COUNT;
}

/* Makes packets of a frame. 0: its UMEM frame has become one's; else the reason that ends it, or
 * XIPSEC_REASON_COUNT when it only served to be read into. */
static __u16 carry(struct worker *w, struct batch *batch, struct tap_frame *f)
{
	__u8 *l3 = f->l2 + f->l3_off;
	struct segments s;
	int err = segments_start(&f->hdr, f->l3_off, l3, &f->inner, packet_max(w, f), &s);

	if (err == -EMSGSIZE)
		return XIPSEC_REASON_TOO_BIG;
	if (err < 0)
		return XIPSEC_REASON_INNER_MALFORMED;
	if (err)
		return cut(w, batch, f, &s);
	if (!f->whole)
		return carry_jumbo(w, batch, f, l3);
	put(w, batch, f, f->frame, l3, f->inner.len);
	return 0;
}

/* ------------------------------------------------------------------ reading */

/* Headers and what goes in one piece are read to where they shall stand in a frame of the UMEM,
 * long ones go on into a buffer. There the first part is put before them when it is needed. */
static void gather(struct worker *w, struct tap_frame *f, __u8 *at, __u32 room, __u32 got)
{
	__u32 here = got < room ? got : room;

	memcpy(&f->hdr, at, TAP_HDR_LEN);
	f->whole = got <= room;
	f->len = got - TAP_HDR_LEN;
	f->l2 = at + TAP_HDR_LEN;
	if (f->whole && f->hdr.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return;
	f->l2 = w->tap_buffer + w->frames.size - here + TAP_HDR_LEN;
	memcpy(f->l2, at + TAP_HDR_LEN, here - TAP_HDR_LEN);
}

/* Reads and carries one frame. 1; 0: there is none. */
static int read_one(struct worker *w, struct tap *tap, struct batch *batch)
{
	struct tap_frame f = {.frame = frame_take(&w->frames)};
	__u32 lead = TAP_HDR_LEN + (tap->if_id ? 0 : ETH_HLEN);
	__u8 *at = frame_at(&w->frames, f.frame) + HEADROOM - lead;
	__u32 room = w->frames.size - (HEADROOM - lead);
	struct iovec iov[2] = {{at, room}, {w->tap_buffer + w->frames.size, TAP_FRAME_MAX}};
	ssize_t got = readv(tap->fd, iov, 2);
	__u16 reason;

	if (got < TAP_HDR_LEN) {
		frame_free(&w->frames, f.frame);
		if (got < 0 && errno != EAGAIN && errno != EINTR)
			tap_lose(w, tap);
		return 0;
	}
	gather(w, &f, at, room, (__u32)got);
	reason = read_frame(w, tap, &f);
	if (!reason)
		reason = carry(w, batch, &f);
	if (reason) {
		if (reason != XIPSEC_REASON_COUNT)
			refuse(w, tap, &f, reason);
		frame_free(&w->frames, f.frame);
	}
	return 1;
}

bool taps_blocked(const struct worker *w)
{
	return w->n_taps && w->frames.n_free < FREE_MIN;
}

unsigned int taps_round(struct worker *w)
{
	struct batch batch;
	unsigned int frames = 0;

	batch.n = batch.all = 0;
	for (unsigned int i = 0; i < w->n_taps; i++) {
		struct tap *tap = &w->taps[i];
		unsigned int got = 0;

		if (tap->fd < 0 || (tap->wait && tap->wait--))
			continue;
		while (got < FRAMES_MAX && batch.all < SEGMENTS_MAX && !taps_blocked(w) &&
		       read_one(w, tap, &batch))
			got++;
		if (!got)
			tap->wait = ASK_EVERY;
		frames += got;
	}
	flush(w, &batch);
	return frames;
}

void taps_woken(struct worker *w)
{
	for (unsigned int i = 0; i < w->n_taps; i++)
		w->taps[i].wait = 0;
}
