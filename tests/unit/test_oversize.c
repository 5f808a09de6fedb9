// SPDX-License-Identifier: BSD-2-Clause
/*
 * Packets that do not fit, through whole rounds of a worker: what leaves is collected frame by
 * frame, put together again by code of the test's own, and compared with what came in.
 */
#include "tests/unit/oversize_fixture.h"

#include "lib/alg.h"
#include "worker/fragment.h"
#include "worker/sa.h"

static void remake_sa(__u32 index, __u8 dir, __u8 mode, __u8 df, const char *child)
{
	struct ctl_in in = sa_message(index, dir);

	in.msg.sa.sa.mode = mode;
	in.msg.sa.sa.df = df;
	strcpy(in.msg.sa.sa.child, child);
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* ------------------------------------------------------------------ out */

static void cut_before_sealing(void **state)
{
	__u32 fits = 1500 - 20 - 16 - 16 - 2, len = 0;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	for (__u32 payload = fits - 28 - 2; payload <= 1472; payload++) {
		__u64 before = count(XIPSEC_REASON_FRAGMENTED), seq = t.sas[SA_OUT].seq;

		len = big(payload, false);
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, len - 14 <= fits ? 1 : 2);
		assert_int_equal(count(XIPSEC_REASON_FRAGMENTED) - before, out.n - 1);
		assert_int_equal(t.sas[SA_OUT].seq - seq, out.n);
		for (unsigned int i = 0; i < out.n; i++) {
			assert_true(out.len[i] <= 14 + 1500);
			assert_int_equal(at16(out.frame[i] + 20) & 0x3fff, 0);
			assert_int_equal(out.frame[i][23], IPPROTO_ESP);
		}
		rx_all();
		collect(&t.red);
		assert_int_equal(assemble(1500), len - 14);
		assert_is_packet(len, 2);
		assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 0);
		assert_int_equal(t.sas[SA_OUT].drops[XIPSEC_REASON_TOO_BIG], 0);
	}
}

/* The sum of a datagram whose sender left it to hardware spans all pieces. */
static void checksum_before_cutting(void **state)
{
	__u32 len = big(1472, false);
	__u64 pseudo;
	__u16 sum;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	pseudo = csum_add((__u64)htons(1480) + htons(IPPROTO_UDP), packet + 26, 8);
	sum = csum_fold(pseudo);
	memcpy(packet + 40, &sum, 2);
	rx_big(len);
	collect(&t.black);
	rx_all();
	collect(&t.red);
	assert_int_equal(out.n, 2);
	assert_int_equal(assemble(1500), 1500);
	assert_int_equal(csum_fold(csum_add(pseudo, whole + 20, 1480)), 0xffff);
}

static void ttl_is_told_once(void **state)
{
	__u32 len = big(1472, false);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	packet[14 + 8] = 1;
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 0);
	collect(&t.red);
	assert_int_equal(out.n, 1);
	assert_memory_equal(out.frame[0] + 34, "\x0b\x00", 2);
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 0);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	assert_int_equal(count(XIPSEC_REASON_TTL), 1);
}

/* All pieces get a frame, or none is sent. */
static void no_frames_no_pieces(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u32 len = big(1472, false);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx(&t.red, packet, len, &meta);
	t.w->frames.n_free = 1; /* the others hide */
	worker_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	rx(&t.red, packet, len, &meta);
	t.w->frames.n_free = 2;
	worker_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 2);
}

/* ------------------------------------------------------------------ outside */

static void sealed_whole_and_cut(void **state)
{
	static const struct {
		__u8 mode, df;
		bool inner_df;
		unsigned int n; /* frames; 0: answered */
	} cases[] = {
		{XIPSEC_MODE_TUNNEL, XIPSEC_DF_CLEAR, true, 2},
		{XIPSEC_MODE_TUNNEL, XIPSEC_DF_SET, true, 0},
		{XIPSEC_MODE_TUNNEL, XIPSEC_DF_COPY, true, 0},
		{XIPSEC_MODE_TRANSPORT, XIPSEC_DF_SET, false, 2},
		{XIPSEC_MODE_TRANSPORT, XIPSEC_DF_SET, true, 0},
		{XIPSEC_MODE_TRANSPORT, XIPSEC_DF_CLEAR, true, 0},
	};

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 sealed = count(XIPSEC_REASON_SEALED), seq = t.sas[SA_OUT].seq;
		__u32 len = big(1472, cases[i].inner_df), esp_len;

		remake_sa(SA_OUT, XIPSEC_DIR_OUT, cases[i].mode, cases[i].df, "");
		remake_sa(SA_IN, XIPSEC_DIR_IN, cases[i].mode, cases[i].df, "");
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, cases[i].n);
		assert_int_equal(count(XIPSEC_REASON_SEALED) - sealed, cases[i].n);
		assert_int_equal(t.sas[SA_OUT].seq - seq, cases[i].n ? 1 : 0);
		if (!out.n) {
			collect(&t.red);
			assert_int_equal(out.n, 1);
			assert_memory_equal(out.frame[0] + 34, "\x03\x04", 2);
			continue;
		}
		assert_int_equal(out.frame[0][23], IPPROTO_ESP);
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assert_int_equal(at16(out.frame[1] + 20), 1480 / 8);
		esp_len = assemble(1500);
		assert_true(esp_len > 1500);
		whole[10] = whole[11] = 0;
		memcpy(out.frame[0] + 14, whole, esp_len);
		out.len[0] = 14 + esp_len;
		out.n = 1;
		rx_all();
		collect(&t.red);
		assert_int_equal(out.n, 1);
		assert_int_equal(assemble(1500), len - 14);
		assert_is_packet(len, 2);
	}
}

static void remake_ah(__u32 index, __u8 dir, __u8 df)
{
	struct ctl_in in = sa_message(index, dir);

	in.msg.sa.sa.l4_proto = IPPROTO_AH;
	in.msg.sa.sa.alg = XIPSEC_ALG_NULL_SHA256;
	in.msg.sa.sa.key_len = alg_key_len(XIPSEC_ALG_NULL_SHA256);
	in.msg.sa.sa.df = df;
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* Behind AH that never forbade it: once put together it opens. DF of the packet inside stays. */
static void ah_is_cut(void **state)
{
	__u32 len = big(1472, true), ah_len;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	for (int i = 0; i < 3; i++) {
		remake_ah(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_DF_CLEAR);
		remake_ah(SA_IN, XIPSEC_DIR_IN, XIPSEC_DF_CLEAR);
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, 2);
		assert_int_equal(out.frame[0][23], IPPROTO_AH);
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assert_int_equal(at16(out.frame[1] + 20), 1480 / 8);
		ah_len = assemble(1500);
		assert_int_equal(ah_len, len - 14 + 20 + 28);
		assert_int_equal(whole[20 + 28 + 6], 0x40);
		whole[10] = whole[11] = 0;
		memcpy(out.frame[0] + 14, whole, ah_len);
		out.len[0] = 14 + ah_len;
		out.n = 1;
		rx_all();
		assert_int_equal(count(XIPSEC_REASON_ICV), 0);
		collect(&t.red);
		assert_int_equal(out.n, 1);
		assert_int_equal(out.len[0], len);
		assert_memory_equal(out.frame[0] + 14 + 12, packet + 14 + 12, len - 26);
	}
	assert_int_equal(count(XIPSEC_REASON_OPENED), 3);
}

/* Padding goes as far as the path's MTU: what has to be cut anyway gets none. */
static void sealed_whole_without_padding(void **state)
{
	static const __u32 tfc[] = {0, 1300, XIPSEC_TFC_MTU};
	struct ctl_in in = sa_message(SA_OUT, XIPSEC_DIR_OUT);
	__u32 len = big(1472, true);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < 3; i++) {
		in = sa_message(SA_OUT, XIPSEC_DIR_OUT);
		in.msg.sa.sa.df = XIPSEC_DF_CLEAR;
		in.msg.sa.sa.tfc_size = tfc[i];
		assert_int_equal(worker_message(t.w, &in), 0);
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, 2);
		assert_int_equal(assemble(1500), 20 + 16 + 1500 + 2 + 2 + 16);
	}
	len = big(100, true);
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.len[0], 14 + 1500);
}

/* Fragments of two SAs' packets between the same gateways are told apart by their IDs alone. */
static void ids_of_two_sas(void **state)
{
	__u32 seen[4] = {0};

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (__u32 i = 0; i < 4; i++) {
		struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
		__u32 len = big(1472, true);

		meta.sa_index = SA_OUT + 2 * (i & 1);
		if (i < 2) {
			tell_sa(meta.sa_index, XIPSEC_DIR_OUT);
			remake_sa(meta.sa_index, XIPSEC_DIR_OUT, XIPSEC_MODE_TUNNEL,
				  XIPSEC_DF_CLEAR, "");
		}
		rx(&t.red, packet, len, &meta);
		go_round();
		collect(&t.black);
		assert_int_equal(out.n, 2);
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assert_int_equal(at16(out.frame[0] + 18), at16(out.frame[1] + 18));
		seen[i] = at16(out.frame[0] + 18);
		for (__u32 j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	}
	assert_int_equal(t.sas[SA_OUT].seq, 2);
	assert_int_equal(t.sas[SA_OUT + 2].seq, 2);
}

/* An IPv6 packet of `len` bytes in its frame, nothing behind its header. */
static void make_ip6(__u32 len)
{
	memset(packet, 0, sizeof(packet));
	memcpy(packet, "\x02\x00\x00\x00\x00\x11\x02\x00\x00\x00\x00\x22\x86\xdd\x60", 15);
	packet[18] = (__u8)((len - 40) >> 8);
	packet[19] = (__u8)(len - 40);
	packet[20] = IPPROTO_NONE;
	packet[21] = 64;
	packet[22] = packet[38] = 0xfd;
	packet[37] = 1;
	packet[53] = 2;
	for (__u32 i = 54; i < len + 14; i++)
		packet[i] = (__u8)(i * 7);
}

static void rx_made_ip6(__u32 index, __u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);

	meta.family = XIPSEC_FAMILY_IP6;
	meta.l4_off = 54;
	meta.sa_index = index;
	rx(&t.red, packet, len + 14, &meta);
	go_round();
}

/* For an SA. */
static void rx_ip6_of(__u32 index, __u32 len)
{
	make_ip6(len);
	rx_made_ip6(index, len);
}

static void rx_ip6(__u32 len)
{
	rx_ip6_of(SA_OUT, len);
}

/* Transport mode leaves a fragment header that cuts nothing in front of ESP. What is cut has one of
 * its own in its place. */
static void atomic_fragments_are_cut(void **state)
{
	static const __u8 atomic[] = {253, 0, 0, 0, 1, 2, 3, 4};
	struct ctl_in in = sa_message(SA_OUT, XIPSEC_DIR_OUT);
	const __u32 text = 1500 - 40 - 8, esp = 8 + 8 + text + 2 + 2 + 16;
	__u32 payload = 0;

	in.msg.sa.sa.mode = XIPSEC_MODE_TRANSPORT;
	in.msg.sa.sa.df = XIPSEC_DF_CLEAR;
	in.msg.sa.sa.outer_family = XIPSEC_FAMILY_IP6;
	in.msg.sa.sa.src = (struct xipsec_addr){.byte = {0xfd, [15] = 1}};
	in.msg.sa.sa.dst = (struct xipsec_addr){.byte = {0xfd, [15] = 2}};
	assert_int_equal(worker_message(t.w, &in), 0);
	tell_hop6("fd00::2", XIPSEC_NEXTHOP_OK, BLACK);
	make_ip6(1500);
	packet[20] = IPPROTO_FRAGMENT;
	memcpy(packet + 54, atomic, sizeof(atomic));
	rx_made_ip6(SA_OUT, 1500);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 0);
	collect(&t.black);
	assert_int_equal(out.n, 2);
	for (__u32 i = 0; i < 2; i++) {
		const __u8 *ip = out.frame[i] + 14;

		assert_int_equal(ip[6], IPPROTO_FRAGMENT);
		assert_int_equal(ip[40], IPPROTO_ESP);
		assert_int_equal(at16(ip + 42), i ? payload : payload | 1);
		payload += at16(ip + 4) - 8;
	}
	assert_int_equal(payload, esp);
}

/* RFC 2473 7.1: through a path of 576 bytes IPv6 goes up to 1280, cut outside, whatever the SA says
 * of DF; what is longer is answered. */
static void the_least_of_ip6_goes_anywhere(void **state)
{
	static const __u8 dfs[] = {XIPSEC_DF_SET, XIPSEC_DF_CLEAR, XIPSEC_DF_COPY};
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < 3; i++) {
		__u32 last_id = out.n ? at16(out.frame[0] + 18) : 0x10000, len;

		remake_sa(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_MODE_TUNNEL, dfs[i], "");
		t.sas[SA_OUT].pmtu = 576;
		t.sas[SA_OUT].pmtu_until = (__u32)(t.w->now_ms / 1000) + 600;
		rx_ip6(1280);
		collect(&t.black);
		assert_int_equal(out.n, 3);
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assert_int_not_equal(at16(out.frame[0] + 18), last_id);
		len = assemble(576);
		assert_int_equal(len, 20 + 16 + 1280 + 4 + 16);
		/* and it is that packet: only no red route leads on */
		memcpy(out.frame[0] + 14, whole, len);
		rx(&t.black, out.frame[0], len + 14, &meta);
		go_round();
		assert_int_equal(t.sas[SA_IN].packets, i + 1);
		assert_int_equal(t.sas[SA_IN].bytes, 1280 * (i + 1));
	}
	remake_sa(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_MODE_TUNNEL, XIPSEC_DF_SET, "");
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 0);
	rx_ip6(1281);
	collect(&t.black);
	assert_int_equal(out.n, 0);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1);
}

/* Sealed under DF their IDs were their sequence numbers, which two SAs share: cut all the same,
 * their pieces must not be taken for each other's. */
static void ids_of_two_sas_with_df(void **state)
{
	__u32 seen[6] = {0};

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (__u32 i = 0; i < 6; i++) {
		__u32 index = SA_OUT + 2 * (i & 1);

		if (i < 2) {
			tell_sa(index, XIPSEC_DIR_OUT);
			remake_sa(index, XIPSEC_DIR_OUT, XIPSEC_MODE_TUNNEL, XIPSEC_DF_SET, "");
			t.sas[index].pmtu = 576;
			t.sas[index].pmtu_until = (__u32)(t.w->now_ms / 1000) + 600;
		}
		rx_ip6_of(index, 1280);
		collect(&t.black);
		assert_int_equal(out.n, 3);
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assemble(576); /* of one ID */
		seen[i] = at16(out.frame[0] + 18);
		for (__u32 j = 0; j < i; j++)
			assert_int_not_equal(seen[i], seen[j]);
	}
	assert_int_equal(t.sas[SA_OUT].seq, 3);
	assert_int_equal(t.sas[SA_OUT + 2].seq, 3);
}

/* The same behind AH, which covers the ID of the header in front, DF and the checksum not: what is
 * cut has the ID that it was sealed with, and opens once it is put together. */
static void the_least_of_ip6_behind_ah(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	remake_ah(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_DF_SET);
	remake_ah(SA_IN, XIPSEC_DIR_IN, XIPSEC_DF_SET);
	t.sas[SA_OUT].pmtu = 576;
	t.sas[SA_OUT].pmtu_until = (__u32)(t.w->now_ms / 1000) + 600;
	for (int i = 0; i < 3; i++) { /* IDs of the worker's own might be right once */
		__u32 len;

		rx_ip6(1280);
		collect(&t.black);
		assert_int_equal(out.n, 3);
		assert_int_equal(out.frame[0][23], IPPROTO_AH);
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assert_int_equal(at16(out.frame[0] + 18), t.sas[SA_OUT].seq);
		len = assemble(576);
		assert_int_equal(len, 20 + 28 + 1280);
		memcpy(out.frame[0] + 14, whole, len);
		rx(&t.black, out.frame[0], len + 14, &meta);
		go_round();
		assert_int_equal(count(XIPSEC_REASON_ICV), 0);
		assert_int_equal(t.sas[SA_IN].packets, i + 1);
		assert_int_equal(t.sas[SA_IN].bytes, 1280 * (i + 1));
	}
}

/* This host's own fragments, as they come by a TAP: put together, sealed as one, cut on the
 * outside. */
static void own_fragments_go_whole(void **state)
{
	__u32 len = big(1480, false), esp_len;
	struct fragment_cut cut;

	remake_sa(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_MODE_TRANSPORT, 0, "");
	remake_sa(SA_IN, XIPSEC_DIR_IN, XIPSEC_MODE_TRANSPORT, 0, "");
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	assert_int_equal(fragment_ip4(&cut, packet + 14, len - 14, 1300), 0);
	for (int i = 0; i < 2; i++) {
		take_own_piece(&cut, SA_OUT, GEN);
		assert_int_equal(count(XIPSEC_REASON_REASSEMBLED), i + 1);
		assert_int_equal(t.sas[SA_OUT].seq, i);
	}
	go_round();
	collect(&t.black);
	assert_int_equal(out.n, 2);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 2);
	assert_int_equal(count(XIPSEC_REASON_FRAG_TRANSPORT), 0);
	assert_int_equal(out.frame[0][23], IPPROTO_ESP);
	esp_len = assemble(1500);
	whole[10] = whole[11] = 0;
	memcpy(out.frame[0] + 14, whole, esp_len);
	out.len[0] = 14 + esp_len;
	out.n = 1;
	rx_all();
	collect(&t.red);
	assert_int_equal(out.n, 2);
	assert_int_equal(assemble(1500), len - 14);
	assert_is_packet(len, 1);
}

/* Pieces that came in jumbo frames give back none that the whole could lie in. */
static void own_whole_without_a_frame(void **state)
{
	__u32 len = big(1480, false), hidden;
	struct fragment_cut cut;
	struct work work;
	struct work *works = &work;

	remake_sa(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_MODE_TRANSPORT, 0, "");
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	assert_int_equal(fragment_ip4(&cut, packet + 14, len - 14, 1300), 0);
	hidden = t.w->frames.n_free;
	t.w->frames.n_free = 0;
	for (int i = 0; i < 2; i++) {
		work = (struct work){.p.flags = PACKET_LOCAL,
				     .p.family = XIPSEC_FAMILY_IP4,
				     .p.frame = jumbo_take(&t.w->frames),
				     .p.headroom = 200,
				     .bytes = 100,
				     .dir = XIPSEC_DIR_OUT,
				     .sa_index = SA_OUT,
				     .sa_generation = GEN,
				     .spd_generation = SPD};
		work.p.data = frame_at(&t.w->frames, work.p.frame) + 256;
		work.p.len = fragment_next(&cut, work.p.data);
		work.p.tailroom = FRAME_JUMBO - 256 - work.p.len;
		pipeline_take(t.w, &works, 1);
	}
	assert_int_equal(count(XIPSEC_REASON_REASSEMBLED), 2);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	assert_int_equal(t.w->frames.n_free, 0);
	assert_int_equal(t.w->frames.n_jumbos, JUMBOS);
	t.w->frames.n_free = hidden;
	assert_int_equal(worker_check(t.w), 0);
}

/* ------------------------------------------------------------------ in */

static void narrow_red(__u32 mtu)
{
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = RED,
					.role = XIPSEC_ROLE_PROTECTED,
					.mtu = mtu,
					.up = 1,
					.ip4.word[0] = inet_addr("10.2.0.254")}};

	assert_int_equal(worker_message(t.w, &in), 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
}

static void decrypted_is_cut(void **state)
{
	__u32 len = big(1300, false);

	narrow_red(600);
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 1);
	rx_all();
	collect(&t.red);
	assert_int_equal(out.n, 3);
	assert_int_equal(assemble(600), len - 14);
	assert_is_packet(len, 2);
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 3);
	assert_memory_equal(out.frame[2],
			    "\x02\x00\x00\x00\x01\x01\x02\x00\x00\x00\x00\x01\x08\x00", 14);
}

/* Packets of which xipsecd was told, or would have been but for those before them. */
static __u64 told_of(enum xipsec_reason reason)
{
	struct ctl_sample got;
	__u64 n = t.w->gates[reason].missed;

	while (recv(t.ctl, &got, sizeof(got), MSG_DONTWAIT) > 0)
		if (got.hdr.type == XIPSEC_CTL_SAMPLE && got.sample.reason == reason)
			n += 1 + got.sample.missed;
	return n;
}

/* RFC 6040 4.2, RFC 3168 5.3: each piece says of congestion what the whole would; a pair of marks
 * that no tunnel makes is told once. */
static void decrypted_pieces_keep_congestion(void **state)
{
	enum { DROP = 4, ODD = 8 };
	static const __u8 left[4][4] = {/* by the inner field, then the outer one */
					{0, 0 | ODD, 0 | ODD, DROP},
					{1, 1, 1 | ODD, 3},
					{2, 1, 2, 3},
					{3, 3 | ODD, 3, 3}};
	__u64 odd = 0, cut = 0;

	narrow_red(600);
	for (__u8 i = 0; i < 16; i++) {
		__u8 inner = i / 4, outer = i % 4, want = left[inner][outer];
		__u32 len = big(1300, false);

		packet[15] = 0xb8 | inner;
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, 1);
		assert_int_equal(out.frame[0][15], 0xb8 | inner);
		out.frame[0][15] = 0xb8 | outer;
		rx_all();
		collect(&t.red);
		if (want == DROP) {
			assert_int_equal(out.n, 0);
			continue;
		}
		assert_int_equal(out.n, 3);
		assert_int_equal(assemble(600), len - 14);
		for (unsigned int n = 0; n < out.n; n++)
			assert_int_equal(out.frame[n][15], 0xb8 | (want & 3));
		odd += !!(want & ODD);
		assert_int_equal(count(XIPSEC_REASON_OPENED_ECN), 3 * odd);
		assert_int_equal(count(XIPSEC_REASON_OPENED), 3 * (++cut - odd));
		assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), cut);
	}
	assert_int_equal(count(XIPSEC_REASON_ECN), 1);
	assert_int_equal(odd, 4);
	assert_int_equal(told_of(XIPSEC_REASON_OPENED_ECN), odd);
}

/* Seals `packet`, lets the peer (this worker) answer into the tunnel, opens the answer. */
static void answered(__u32 len)
{
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 1);
	rx_all();
	collect(&t.red);
	assert_int_equal(out.n, 0);
	collect(&t.black);
}

static void decrypted_is_answered(void **state)
{
	static const struct {
		__u32 mtu;
		__u8 ttl, type, code;
	} cases[] = {{600, 64, 3, 4}, {1500, 2, 11, 0}};

	for (size_t i = 0; i < 2; i++) {
		__u32 len = big(1300, true), from = inet_addr("10.2.0.254"),
		      to = inet_addr("10.1.0.1");
		const __u8 *ip = out.frame[0] + 14;

		narrow_red(cases[i].mtu);
		packet[14 + 8] = cases[i].ttl;
		answered(len);
		assert_int_equal(out.n, 1);
		assert_int_equal(ip[9], IPPROTO_ESP);
		assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), i + 1);
		assert_int_equal(count(XIPSEC_REASON_SEALED), 2 * (i + 1));
		narrow_red(1500);
		tell_hop("10.1.0.1", XIPSEC_NEXTHOP_OK, RED);
		rx_all();
		collect(&t.red);
		assert_int_equal(out.n, 1);
		assert_int_equal(ip[9], IPPROTO_ICMP);
		assert_memory_equal(ip + 12, &from, 4);
		assert_memory_equal(ip + 16, &to, 4);
		assert_int_equal(ip[20], cases[i].type);
		assert_int_equal(ip[21], cases[i].code);
		assert_int_equal(at16(ip + 26), cases[i].type == 3 ? cases[i].mtu : 0);
		assert_int_equal(csum_fold(csum_add(0, ip + 20, at16(ip + 2) - 20)), 0xffff);
		/* the quote is the inner packet */
		assert_memory_equal(ip + 28 + 12, packet + 26, 500);
	}
}

/* Where the packet would have gone into a VLAN, from the address of that. */
static void answered_from_a_vlan(void **state)
{
	struct ctl_in dev = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					 .slot = RED,
					 .role = XIPSEC_ROLE_PROTECTED,
					 .mtu = 600,
					 .up = 1,
					 .ip4.word[0] = inet_addr("10.2.0.254"),
					 .n_vlans = 1,
					 .vlan = {{{htonl(0x81000014)},
						   .ip4.word[0] = inet_addr("10.2.20.254")}}}};
	struct ctl_in hop = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					     .dst.word[0] = inet_addr("10.2.0.1"),
					     .family = XIPSEC_FAMILY_IP4,
					     .status = XIPSEC_NEXTHOP_OK,
					     .slot = RED,
					     .mtu = 600,
					     .n_vlans = 1,
					     .vlan = {htonl(0x81000014)},
					     .lifetime = 60}};
	__u32 len = big(1300, true), from = inet_addr("10.2.20.254");

	narrow_red(600);
	assert_int_equal(worker_message(t.w, &dev), 0);
	assert_int_equal(worker_message(t.w, &hop), 0);
	answered(len);
	assert_int_equal(out.n, 1);
	narrow_red(1500);
	tell_hop("10.1.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_all();
	collect(&t.red);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.frame[0][14 + 9], IPPROTO_ICMP);
	assert_memory_equal(out.frame[0] + 14 + 12, &from, 4);
}

/* Into the tunnel as to red: a thousand a second (RFC 4443 2.4 f). */
static void answers_are_limited(void **state)
{
	__u32 len = big(1300, true);

	narrow_red(600);
	for (unsigned int i = 0; i < 2; i++) {
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, 1);
		t.w->icmp_filled = t.w->now_ms;
		t.w->icmp_tokens = i * 1000;
		rx_all(); /* its first round comes before the clock goes on */
		collect(&t.black);
		assert_int_equal(out.n, i);
		assert_int_equal(count(XIPSEC_REASON_TOO_BIG), i + 1);
		assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), i);
	}
}

/* No other child's SA takes the answer, and no selector is stretched for it. */
static void answers_keep_to_their_child(void **state)
{
	__u32 len = big(1300, true);
	struct sa *sa;

	narrow_red(600);
	remake_sa(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_MODE_TUNNEL, 0, "one");
	remake_sa(SA_IN, XIPSEC_DIR_IN, XIPSEC_MODE_TUNNEL, 0, "two");
	answered(len);
	assert_int_equal(out.n, 0);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1);
	remake_sa(SA_IN, XIPSEC_DIR_IN, XIPSEC_MODE_TUNNEL, 0, "one");
	sa = t.w->sas[SA_IN].sa;
	sa->selector[0].any_proto = 0;
	sa->selector[0].l4_proto = IPPROTO_UDP;
	usleep(12000);
	answered(len);
	assert_int_equal(out.n, 0);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 2);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 0);
	/* what an earlier rule takes is not the child's */
	sa->selector[0].any_proto = 1;
	sa->selector[0].l4_proto = 0;
	sa->refuse[0] = 1;
	answered(len);
	assert_int_equal(out.n, 0);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 3);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 0);
	/* the control: with the right selector it goes */
	sa->refuse[0] = 0;
	answered(len);
	assert_int_equal(out.n, 1);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 4);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	/* a stopped SA seals nothing */
	t.sas[SA_OUT].status = XIPSEC_SA_STOPPED;
	big(1300, true);
	rx_big(len);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(cut_before_sealing),
		TEST(checksum_before_cutting),
		TEST(ttl_is_told_once),
		TEST(no_frames_no_pieces),
		TEST(sealed_whole_and_cut),
		TEST(ah_is_cut),
		TEST(sealed_whole_without_padding),
		TEST(own_fragments_go_whole),
		TEST(ids_of_two_sas),
		TEST(atomic_fragments_are_cut),
		TEST(the_least_of_ip6_goes_anywhere),
		TEST(ids_of_two_sas_with_df),
		TEST(the_least_of_ip6_behind_ah),
		TEST(own_whole_without_a_frame),
		TEST(decrypted_is_cut),
		TEST(decrypted_pieces_keep_congestion),
		TEST(decrypted_is_answered),
		TEST(answered_from_a_vlan),
		TEST(answers_are_limited),
		TEST(answers_keep_to_their_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
