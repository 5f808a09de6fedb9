// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets in several frames, through whole rounds of a worker: what arrives in parts leaves in
 * parts, sealed or opened as a whole. Every case asserts the bytes or the reason, and that no frame
 * is lost.
 */
#include "tests/unit/pipeline_fixture.h"

#include <linux/virtio_net.h>

#include "worker/checksum.h"
#include "worker/jumbo.h"
#include "worker/sa.h"
#include "worker/tap.h"
#include "worker/tx.h"

enum {
	MTU = 9000,
	/* outer IP, ESP and IV, ICV */
	ADDS = 20 + 16 + 16,
	INNER_MAX = (MTU - ADDS) / 4 * 4 - 2,
};

static __u8 packet[FRAME_JUMBO * 2];

static int jumbo_setup(void **state)
{
	fixture_mtu = MTU;
	setup(state);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	return 0;
}

/* A frame whose IP packet has `len` bytes, different everywhere; gives the frame's length. */
static __u32 make(__u32 len, bool df)
{
	inner(packet, len - 28, df);
	for (__u32 i = 42; i < len + 14; i++)
		packet[i] = (__u8)(i * 13 + i / 251);
	return len + 14;
}

static void rx_made(__u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);

	rx(&t.red, packet, len, &meta);
}

/* One drop has been told, of a frame of `len` bytes; sa 0: of which SA is not known. */
static void assert_told_once(enum xipsec_reason reason, __u32 len, __u32 sa)
{
	struct ctl_sample s, told = {0};
	int n = 0;

	while (recv(t.ctl, &s, sizeof(s), MSG_DONTWAIT) > 0) {
		if (s.hdr.type != XIPSEC_CTL_SAMPLE)
			continue;
		told = s;
		n++;
	}
	assert_int_equal(n, 1);
	assert_int_equal(told.sample.reason, reason);
	assert_int_equal(told.sample.len, len);
	assert_int_equal(told.sample.sa_index, sa);
	assert_int_equal(told.sample.sa_generation, sa ? GEN : 0);
	assert_int_equal(told.sample.worker, 1);
}

/* Bytes on the wire of a sealed packet of `len` bytes. */
static __u32 sealed_len(__u32 len)
{
	return 14 + ADDS + (len + 2 + 3) / 4 * 4;
}

static __u32 parts_of(__u32 len)
{
	return (len + FRAME_ROOM - 1) / FRAME_ROOM;
}

static void assert_is_packet(__u32 len)
{
	assert_int_equal(t.sent[14 + 8], packet[14 + 8] - 2);
	assert_memory_equal(t.sent + 14 + 12, packet + 14 + 12, len - 14 - 12);
}

/* The invariant, and all frames where they were before. */
static void assert_frames(void)
{
	go_round();
	tx_reap(t.w->tx_of[RED][0], &t.w->frames);
	tx_reap(t.w->tx_of[BLACK][0], &t.w->frames);
	ring_refill(t.w->tx_of[RED][0], &t.w->frames);
	ring_refill(t.w->tx_of[BLACK][0], &t.w->frames);
	assert_int_equal(t.w->frames.n_free, N_FRAMES - 2 * RING);
	assert_int_equal(t.w->frames.n_jumbos, JUMBOS);
	assert_int_equal(worker_check(t.w), 0);
}

/* ------------------------------------------------------------------ whole ones */

static void there_and_back(void **state)
{
	__u32 n = 0;

	for (__u32 len = 1500; len <= INNER_MAX; len++) {
		__u32 frame = make(len, true), got;
		bool border = (frame % FRAME_ROOM < 80) || sealed_len(len) % FRAME_ROOM < 80 ||
			      len > INNER_MAX - 8;

		if (!border && len % 97)
			continue;
		n++;
		rx_made(frame);
		go_round();
		got = tx(&t.black);
		assert_int_equal(got, sealed_len(len));
		/* what came in one frame may grow in it */
		if (frame > FRAME_ROOM)
			assert_int_equal(t.parts, parts_of(got));
		assert_int_equal(count(XIPSEC_REASON_SEALED), n);
		rx_sealed(got);
		got = tx(&t.red);
		assert_int_equal(got, frame);
		assert_int_equal(t.parts, parts_of(got));
		assert_is_packet(frame);
		assert_int_equal(count(XIPSEC_REASON_OPENED), n);
	}
	assert_true(n > 300);
	assert_int_equal(t.sas[SA_OUT].seq, n);
	assert_frames();
}

/* What goes into a frame as it is, and not with what sealing adds. */
static void little_room_behind(void **state)
{
	for (__u32 len = FRAME_ROOM - 14 - 40; len <= FRAME_ROOM - 14; len++) {
		rx_made(make(len, true));
		go_round();
		assert_int_equal(tx(&t.black), sealed_len(len));
	}
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 0);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 0);
	assert_frames();
}

/* Many at once, small ones between them: the order stays. */
static void bursts(void **state)
{
	for (int i = 0; i < 12; i++) {
		rx_made(make(5000 + i, false));
		rx_inner();
	}
	worker_round(t.w);
	for (__u32 i = 0, at = 0; i < 24; i++) {
		const struct xdp_desc *ring = (struct xdp_desc *)t.black.tx.desc;
		__u32 want = i % 2 ? 14 + 20 + 16 + 96 + 16 : sealed_len(5000 + i / 2), len = 0;
		const __u8 *esp = t.w->frames.umem + ring[at].addr + 34;

		assert_int_equal(esp[4 + 3], i + 1);
		do
			len += ring[at].len;
		while (ring[at++].options & XDP_PKT_CONTD);
		assert_int_equal(len, want);
	}
	tx(&t.black);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 24);
	assert_frames();
}

/* A burst ends in the middle of a packet: the rest comes with the next. */
static void longer_than_a_burst(void **state)
{
	for (int i = 0; i < 14; i++)
		rx_made(make(INNER_MAX, false));
	assert_true(*t.red.rx.producer - *t.red.rx.consumer > BURST_MAX);
	worker_round(t.w);
	assert_in_range(count(XIPSEC_REASON_SEALED), 1, 13);
	tx(&t.black);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), 14);
	tx(&t.black);
	assert_frames();
}

/* ------------------------------------------------------------------ halves */

/* Nothing of it is taken, so that whoever comes after a death finds the whole. */
static void half_stays_in_the_ring(void **state)
{
	__u32 len = make(5000, true), end;
	__u64 addr;

	rx_made(len);
	end = *t.red.rx.producer;
	*t.red.rx.producer = end - 1;
	for (int i = 0; i < 10; i++)
		worker_round(t.w);
	assert_int_equal(*t.red.rx.consumer, 0);
	for (__u32 i = 0; i < end; i++) {
		addr = ((struct xdp_desc *)t.red.rx.desc)[i].addr;
		assert_int_equal(frame_owner(&t.w->frames, addr), FRAME_FILL);
	}
	*t.red.rx.producer = end;
	go_round();
	assert_int_equal(tx(&t.black), sealed_len(5000));
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(count(XIPSEC_REASON_RX_FULL), 0);
}

static void half_that_stays_one_ends(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	make(5000, true);
	rx_part(&t.red, packet, FRAME_ROOM, &meta, XDP_PKT_CONTD);
	rx_part(&t.red, packet + FRAME_ROOM, FRAME_ROOM, NULL, XDP_PKT_CONTD);
	for (int i = 0; i < 1023; i++)
		worker_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_RX_FULL), 0);
	worker_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_RX_FULL), 1);
	assert_int_equal(t.w->stats->reason[XIPSEC_REASON_RX_FULL].bytes, 2 * FRAME_ROOM);
	assert_int_equal(*t.red.rx.consumer, 2);
	assert_frames();
}

/* The ring was full in the middle of a packet, then it had room for another: bytes of one are never
 * sealed with those of the other. */
static void halves_do_not_mix(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u32 len = make(5000, true);

	rx_part(&t.red, packet, FRAME_ROOM, &meta, XDP_PKT_CONTD);
	rx_part(&t.red, packet + FRAME_ROOM, FRAME_ROOM, NULL, XDP_PKT_CONTD);
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_RX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(tx(&t.black), 14 + 20 + 16 + 96 + 16);
	/* and with a whole one behind it */
	rx_part(&t.red, packet, FRAME_ROOM, &meta, XDP_PKT_CONTD);
	rx_made(len);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_RX_FULL), 2);
	assert_int_equal(tx(&t.black), sealed_len(5000));
	rx_sealed(sealed_len(5000));
	assert_int_equal(tx(&t.red), len);
	assert_is_packet(len);
	assert_frames();
}

/* The end of a packet whose begin was lost is no packet. */
static void ends_without_a_begin(void **state)
{
	/* frames that held packets before: what was said of those is said no more */
	for (int i = 0; i < 200; i++) {
		rx_made(make(5000, true));
		go_round();
		tx(&t.black);
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 200);
	for (int i = 0; i < 100; i++) {
		rx_part(&t.red, packet + FRAME_ROOM, FRAME_ROOM, NULL, XDP_PKT_CONTD);
		rx_part(&t.red, packet + 2 * FRAME_ROOM, 500, NULL, 0);
		go_round();
	}
	assert_int_equal(count(XIPSEC_REASON_BAD_META), 100);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 200);
	assert_int_equal(tx(&t.black), 0);
	assert_frames();
}

/* ------------------------------------------------------------------ bounds */

static void too_long_for_anything(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	/* one byte more than the longest */
	make(JUMBO_MAX + 1, true);
	rx_made(14 + JUMBO_MAX + 8 + 1);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1);
	assert_told_once(XIPSEC_REASON_TOO_BIG, 14 + JUMBO_MAX + 8 + 1, 0);
	assert_frames();
	/* more parts than a burst has */
	for (int i = 0; i < 70; i++)
		rx_part(&t.red, packet, 100, i ? NULL : &meta, i < 69 ? XDP_PKT_CONTD : 0);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_RX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_BAD_META), 1);
	assert_int_equal(tx(&t.black) + tx(&t.red), 0);
	assert_frames();
}

/* A ring that lies about one of the parts. */
static void lies_in_the_ring(void **state)
{
	static const struct xdp_desc lies[] = {
		{.addr = (__u64)N_FRAMES * SIZE + 256, .len = 100},
		{.addr = ~0ULL - 64, .len = 100},
		{.addr = 256, .len = SIZE},
		{.addr = 256, .len = ~0u},
	};

	for (size_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
		for (__u32 part = 0; part < 3; part++) {
			__u32 start = *t.red.rx.producer;
			struct xdp_desc *desc;

			rx_made(make(5000, true));
			desc = (struct xdp_desc *)t.red.rx.desc + (start + part) % RING;
			desc->addr = lies[i].addr;
			desc->len = lies[i].len;
			worker_round(t.w);
			assert_int_equal(*t.red.rx.consumer, *t.red.rx.producer);
			assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
		}
	}
	assert_int_equal(tx(&t.black), 0);
	assert_int_equal(t.w->frames.n_jumbos, JUMBOS);
}

static void no_frame_no_packet(void **state)
{
	__u32 n;

	t.w->frames.n_jumbos = 0;
	rx_made(make(5000, true));
	worker_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_told_once(XIPSEC_REASON_TX_FULL, 14 + 5000, 0);
	t.w->frames.n_jumbos = JUMBOS;
	assert_frames();
	/* of the UMEM, to send it in */
	n = t.w->frames.n_free;
	rx_made(make(INNER_MAX, true));
	t.w->frames.n_free = 0;
	worker_round(t.w);
	/* its own came free; sealing made it longer */
	assert_int_equal(count(XIPSEC_REASON_TX_FULL) + count(XIPSEC_REASON_SEALED), 2);
	t.w->frames.n_free = n;
}

/* One frame held it, and sealed it needs two: without a jumbo frame nobody is told of an MTU that
 * it fits. */
static void no_frame_is_not_too_big(void **state)
{
	t.w->frames.n_jumbos = 0;
	rx_made(make(FRAME_ROOM - 14, true));
	worker_round(t.w);
	t.w->frames.n_jumbos = JUMBOS;
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT) + count(XIPSEC_REASON_TOO_BIG), 0);
	assert_int_equal(tx(&t.red), 0);
	assert_frames();
}

/* The TX ring takes all parts or none. */
static void full_ring_takes_none(void **state)
{
	__u32 sent;

	for (int i = 0; i < RING / 3 + 5; i++) {
		rx_made(make(5000, true));
		go_round();
	}
	sent = (__u32)count(XIPSEC_REASON_SEALED);
	assert_int_equal(sent, RING / 3);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 5);
	assert_int_equal(*t.black.tx.producer - *t.black.tx.consumer, sent * 3);
	assert_int_equal(tx(&t.black), sealed_len(5000));
	assert_frames();
}

/* Sockets of an older kernel: a second part would be refused by it, and the frame never come back.
 */
static void one_frame_is_one_frame(void **state)
{
	t.w->frames.multi = false;
	rx_made(make(5000, true));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1);
	assert_int_equal(*t.black.tx.producer, 0);
	rx_made(make(FRAME_ROOM - 14 - 70, true));
	go_round();
	assert_int_equal(tx(&t.black), sealed_len(FRAME_ROOM - 14 - 70));
	assert_frames();
}

/* ------------------------------------------------------------------ other links */

static __u32 ip16(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

/* Red 9000, black 1500. */
static void narrow_black(void **state)
{
	tell_dev_mtu(BLACK, XIPSEC_ROLE_UNPROTECTED, 1500);
	rx_made(make(5000, true));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	assert_int_equal(tx(&t.red), 14 + 576);
	assert_memory_equal(t.sent + 34, "\x03\x04", 2);
	assert_int_equal(ip16(t.sent + 40), 1446);
	assert_memory_equal(t.sent + 42, packet + 14, 20);
	assert_int_equal(tx(&t.black), 0);
	/* without DF: in four pieces, each for itself */
	rx_made(make(5000, false));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 4);
	assert_true(tx(&t.black) > 0);
	assert_frames();
}

/* Red 1500, black 9000: what comes out of the tunnel is too big. */
static void narrow_red(void **state)
{
	__u32 len;

	rx_made(make(5000, true));
	go_round();
	len = tx(&t.black);
	tell_dev_mtu(RED, XIPSEC_ROLE_PROTECTED, 1500);
	rx_sealed(len);
	/* told through the tunnel */
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	assert_int_equal(tx(&t.red), 0);
	assert_int_equal(tx(&t.black), sealed_len(576));
	rx_made(make(5000, false));
	go_round();
	rx_sealed(tx(&t.black));
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 4);
	tx(&t.red);
	assert_frames();
}

/* Pieces may be longer than a frame too. */
static void long_pieces(void **state)
{
	__u32 got, seen = 0, n;

	rx_made(make(15000, false));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 2);
	/* one after the other, as tx() keeps the last alone */
	for (n = 0; *t.black.tx.consumer != *t.black.tx.producer; n++) {
		__u32 producer = *t.black.tx.producer, at = *t.black.tx.consumer;

		while (((struct xdp_desc *)t.black.tx.desc)[at % RING].options & XDP_PKT_CONTD)
			at++;
		*t.black.tx.producer = at + 1;
		got = tx(&t.black);
		*t.black.tx.producer = producer;
		assert_true(got <= 14 + MTU);
		rx_sealed(got);
		got = tx(&t.red);
		assert_int_equal(got, 14 + ip16(t.sent + 16));
		assert_memory_equal(t.sent + 34, packet + 34 + (ip16(t.sent + 14 + 6) & 0x1fff) * 8,
				    got - 34);
		seen += got - 34;
	}
	assert_int_equal(n, 2);
	assert_int_equal(seen, 15000 - 20);
	assert_frames();
}

/* A next hop that is not known holds them, but never so many that none is left. */
static void they_wait(void **state)
{
	__u64 taken[JUMBOS];
	__u32 len, n = 0;

	rx_made(make(5000, true));
	go_round();
	len = tx(&t.black);
	nexthops_forget_slot(t.w->nhs, RED);
	rx_sealed(len);
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	assert_int_equal(tx(&t.red), 0);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	go_round();
	assert_int_equal(tx(&t.red), 14 + 5000);
	assert_is_packet(14 + 5000);
	assert_frames();
	rx_made(make(5000, true));
	go_round();
	len = tx(&t.black);
	nexthops_forget_slot(t.w->nhs, RED);
	while (t.w->frames.n_jumbos > JUMBOS / 2)
		taken[n++] = jumbo_take(&t.w->frames);
	{
		struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

		rx(&t.black, t.sent, len, &meta);
		worker_round(t.w);
	}
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	assert_int_equal(count(XIPSEC_REASON_NO_NEIGH), 1);
	while (n)
		frame_free(&t.w->frames, taken[--n]);
	assert_frames();
}

/* ------------------------------------------------------------------ what hides lengths */

static void remake_tfc(__u32 tfc, __u32 dummies)
{
	struct ctl_in in = sa_message(SA_OUT, XIPSEC_DIR_OUT);

	in.msg.sa.sa.tfc_size = tfc;
	in.msg.sa.sa.dummies = dummies;
	assert_int_equal(worker_message(t.w, &in), 0);
}

static void all_look_alike(void **state)
{
	static const __u32 sizes[] = {28, 100, 1500, FRAME_ROOM - 14, 3000, 7000};

	remake_tfc(XIPSEC_TFC_MTU, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		__u32 len = make(sizes[i], true), got;

		rx_made(len);
		go_round();
		got = tx(&t.black);
		assert_int_equal(got, sealed_len(INNER_MAX));
		rx_sealed(got);
		assert_int_equal(tx(&t.red), len);
		assert_is_packet(len);
	}
	assert_frames();
}

/* Without a jumbo frame to be padded in, the length is not shown instead. */
static void none_looks_shorter(void **state)
{
	remake_tfc(XIPSEC_TFC_MTU, 0);
	t.w->frames.n_jumbos = 0;
	rx_made(make(100, true));
	worker_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	assert_int_equal(tx(&t.black) + tx(&t.red), 0);
	/* what its own frame has room for goes */
	remake_tfc(1000, 0);
	rx_made(make(100, true));
	worker_round(t.w);
	assert_int_equal(tx(&t.black), sealed_len(1000));
	t.w->frames.n_jumbos = JUMBOS;
	remake_tfc(XIPSEC_TFC_MTU, 0);
	rx_made(make(100, true));
	worker_round(t.w);
	assert_int_equal(tx(&t.black), sealed_len(INNER_MAX));
	assert_frames();
}

/* A frame with little room in front: the packet is moved up, and what lies behind it is less by
 * that. Where the rest does not hold the padding it goes into a jumbo frame. */
static void moved_up_and_no_shorter(void **state)
{
	const struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	const __u32 early = 216; /* bytes: 40 are left, of which L2 keeps some */

	for (__u32 tfc = SIZE - 256; tfc < SIZE; tfc++) {
		const __u32 len = make(100, true);
		struct xdp_desc *desc;
		__u8 *at;

		remake_tfc(tfc, 0);
		rx(&t.red, packet, len, &meta);
		desc = (struct xdp_desc *)t.red.rx.desc + (*t.red.rx.producer - 1) % RING;
		at = t.w->frames.umem + desc->addr;
		memmove(at - sizeof(meta) - early, at - sizeof(meta), sizeof(meta) + len);
		desc->addr -= early;
		worker_round(t.w);
		assert_int_equal(tx(&t.black), sealed_len(tfc));
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 256);
	assert_frames();
}

static void dummies_look_like_them(void **state)
{
	remake_tfc(XIPSEC_TFC_MTU, 10);
	for (int i = 0; i < 3; i++) {
		t.w->now_ms += 101;
		quiet_tick(t.w);
		worker_round(t.w);
	}
	assert_true(count(XIPSEC_REASON_DUMMY_SENT) > 0);
	assert_int_equal(tx(&t.black), sealed_len(INNER_MAX));
	assert_frames();
}

/* ------------------------------------------------------------------ this host */

static int tap_new(void)
{
	struct ctl_in in = {.n_fds = 1,
			    .msg.tap = {.hdr.type = XIPSEC_CTL_TAP, .mac = {2, 9, 9, 9, 9, 9}}};
	int pair[2], size = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	in.fd[0] = pair[1];
	assert_int_equal(worker_message(t.w, &in), 0);
	return pair[0];
}

static void stack_puts(int fd, const struct virtio_net_hdr *hdr, __u32 len)
{
	static __u8 frame[70000];
	const struct xipsec_tap_meta meta = {SA_OUT | XIPSEC_TAP_MARK, GEN, SPD};

	memcpy(frame, hdr, sizeof(*hdr));
	memcpy(frame + sizeof(*hdr), packet, len);
	memcpy(frame + sizeof(*hdr), &meta, sizeof(meta));
	assert_int_equal(send(fd, frame, sizeof(*hdr) + len, 0), sizeof(*hdr) + len);
	for (int i = 0; i < 12; i++)
		worker_round(t.w);
}

static void stack_sends(int fd, const struct virtio_net_hdr *hdr, __u32 len)
{
	stack_puts(fd, hdr, len);
	assert_int_equal(worker_check(t.w), 0);
}

static void of_this_host(void **state)
{
	static const __u32 sizes[] = {1700, FRAME_ROOM - 14, 2000, 5000, INNER_MAX};
	static const struct virtio_net_hdr none;
	static __u8 got[FRAME_JUMBO];
	int fd = tap_new();

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		__u32 len = make(sizes[i], true);

		stack_sends(fd, &none, len);
		assert_int_equal(tx(&t.black), sealed_len(sizes[i]));
		rx_sealed(sealed_len(sizes[i]));
		assert_int_equal(recv(fd, got, sizeof(got), 0), sizeof(none) + len);
		assert_memory_equal(got + sizeof(none) + 14, packet + 14, sizes[i]);
	}
	/* one byte more is too much, and it is told so */
	stack_sends(fd, &none, make(INNER_MAX + 1, true));
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	assert_true(recv(fd, got, sizeof(got), 0) > 0);
	assert_int_equal(ip16(got + sizeof(none) + 14 + 26), INNER_MAX);
	assert_frames();
	close(fd);
}

static const struct virtio_net_hdr udp_to_cut = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
						 .gso_type = 5, /* UDP_L4 */
						 .hdr_len = 42,
						 .gso_size = 8000,
						 .csum_start = 34,
						 .csum_offset = 6};

/* UDP that the stack leaves to be cut: every datagram is as long as the stack said. */
static void segments_of_this_host(void **state)
{
	int fd = tap_new();

	stack_sends(fd, &udp_to_cut, make(28 + 24000, true));
	assert_int_equal(count(XIPSEC_REASON_SEALED), 3);
	assert_int_equal(tx(&t.black), sealed_len(8028));
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG) + count(XIPSEC_REASON_TX_FULL), 0);
	assert_frames();
	close(fd);
}

/* No frame for the first of them: one drop, which is told with its SA. */
static void segments_without_a_frame(void **state)
{
	const __u32 len = make(28 + 24000, true);
	const __u32 jumbos = t.w->frames.n_jumbos;
	int fd = tap_new();

	t.w->frames.n_jumbos = 0;
	stack_puts(fd, &udp_to_cut, len);
	t.w->frames.n_jumbos = jumbos;
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_told_once(XIPSEC_REASON_TX_FULL, len, SA_OUT);
	assert_int_equal(tx(&t.black), 0);
	assert_frames();
	close(fd);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, jumbo_setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_and_back),
		TEST(little_room_behind),
		TEST(bursts),
		TEST(longer_than_a_burst),
		TEST(half_stays_in_the_ring),
		TEST(half_that_stays_one_ends),
		TEST(halves_do_not_mix),
		TEST(ends_without_a_begin),
		TEST(too_long_for_anything),
		TEST(lies_in_the_ring),
		TEST(no_frame_no_packet),
		TEST(no_frame_is_not_too_big),
		TEST(full_ring_takes_none),
		TEST(one_frame_is_one_frame),
		TEST(narrow_black),
		TEST(narrow_red),
		TEST(long_pieces),
		TEST(they_wait),
		TEST(all_look_alike),
		TEST(none_looks_shorter),
		TEST(moved_up_and_no_shorter),
		TEST(dummies_look_like_them),
		TEST(of_this_host),
		TEST(segments_of_this_host),
		TEST(segments_without_a_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
