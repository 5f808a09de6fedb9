// SPDX-License-Identifier: BSD-2-Clause
/* ESP: traffic-flow confidentiality, the padding that hides lengths and dummies. */
#include "tests/unit/esp_pair.h"

static void test_tfc_out(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[2048];
	__u32 sizes[] = {600, XIPSEC_TFC_MTU}, want = 0;

	for (int s = 0; s < 2; s++) {
		pair.config.tfc_size = sizes[s];
		pair_open(&pair);
		for (__u32 payload = 0; payload < 500; payload += 7) {
			__u32 len = udp_write(inner, 4, payload);

			assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
			if (!payload)
				want = frame.p.len;
			assert_int_equal(frame.p.len, want);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
			assert_int_equal(frame.p.len, len);
			assert_memory_equal(frame.p.data, inner, len);
		}
		assert_int_equal(out_state.tfc_bytes, in_state.tfc_bytes);
		assert_true(out_state.tfc_bytes > 0);
		assert_int_equal(out_state.dummy_bytes + in_state.dummy_bytes, 0);
		assert_int_equal(want, s ? 1400 : 600 + 2 + 2 + 36 + 16);
		pair_close(&pair);
	}
}

/* All of the padding or no packet: one whose frame ends too early, or that headroom was made for,
 * draws no number. */
static void test_tfc_whole(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 72);

	pair.config.tfc_size = 600;
	pair_open(&pair);
	for (__u32 short_of = 0; short_of < 2; short_of++) {
		__u32 room = 600 - len + pair.out->tail_room, moved = short_of ? 16 : 0;

		for (__u32 spare = 0; spare < 40; spare++) {
			__u64 before = out_state.seq,
			      dropped = out_state.drops[XIPSEC_REASON_TX_FULL];
			struct packet *p = frame_load(&frame, inner, len);

			p->flags = PACKET_LOCAL;
			p->headroom = pair.out->head_room - short_of;
			p->tailroom = room - 20 + spare;
			esp_out_burst(pair.out, &p, 1, 1400, 1);
			if (spare < 20 + moved) {
				assert_int_equal(p->reason, XIPSEC_REASON_TX_FULL);
				assert_int_equal(out_state.seq, before);
				assert_int_equal(out_state.drops[XIPSEC_REASON_TX_FULL],
						 dropped + 1);
				continue;
			}
			assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
			assert_int_equal(out_state.seq, before + 1);
			assert_int_equal(p->len, 600 + 2 + 2 + 36 + 16);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		}
	}
	assert_int_equal(out_state.packets, 20 + 4);
	assert_int_equal(out_state.tfc_bytes, 24 * (600 - len));
	pair_close(&pair);
}

/* Those that stay keep their own marks when one before them goes. */
static void test_tfc_burst(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	static struct frame frames[3];
	struct packet *p[3];
	__u8 inner[256];
	__u32 len;

	pair.config.tfc_size = 600;
	pair_open(&pair);
	for (int i = 0; i < 3; i++) {
		len = udp_write(inner, 4, 72);
		inner[1] = (__u8)((i + 1) << 2);
		ip4_check(inner);
		p[i] = frame_load(&frames[i], inner, len);
		p[i]->flags = PACKET_LOCAL;
	}
	p[0]->tailroom = 100;
	esp_out_burst(pair.out, p, 3, 1400, 1);
	assert_int_equal(p[0]->reason, XIPSEC_REASON_TX_FULL);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(p[i]->reason, XIPSEC_REASON_SEALED);
		assert_int_equal(p[i]->seq, i);
		assert_int_equal(p[i]->data[1], (i + 1) << 2);
		assert_int_equal(p[i]->len, 600 + 2 + 2 + 36 + 16);
	}
	pair_close(&pair);
}

static void test_dummy(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};

	pair_open(&pair);
	frame_load(&frame, (const __u8 *)"", 1);
	assert_int_equal(esp_out_dummy(pair.out, &pair.out->outer, &frame.p, 300),
			 XIPSEC_REASON_UNSPEC);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	assert_int_equal(frame.p.len, 20 + 16 + 304 + 16);
	assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
	assert_int_equal(out_state.dummies, 1);
	assert_int_equal(out_state.seq, 1);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
	assert_int_equal(in_state.dummies, 1);
	assert_int_equal(in_state.replay_top, 1);
	out_state.status = XIPSEC_SA_STOPPED;
	frame_load(&frame, (const __u8 *)"", 1);
	assert_int_equal(esp_out_dummy(pair.out, &pair.out->outer, &frame.p, 300),
			 XIPSEC_REASON_LIMIT);
	pair_close(&pair);
}

/* The IP header that transport mode has not wants room as well. */
static void test_dummy_room(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	struct outer outer;

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair_open(&pair);
	assert_int_equal(outer_init(&outer, &pair.config), 0);
	frame_load(&frame, (const __u8 *)"", 1)->headroom = 20 + 16 - 1;
	assert_int_equal(esp_out_dummy(pair.out, &outer, &frame.p, 300), XIPSEC_REASON_TOO_BIG);
	assert_int_equal(out_state.seq, 0);
	frame.p.headroom++;
	assert_int_equal(esp_out_dummy(pair.out, &outer, &frame.p, 300), XIPSEC_REASON_UNSPEC);
	assert_int_equal(frame.p.headroom, 0);
	assert_int_equal(frame.p.len, 20 + 16 + 304 + 16);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
	pair_close(&pair);
}

/* ---------------------------------------------------------------- what it is filled with */

/* The peer decrypts it: what stood in the frame before was somebody's packet in the clear. */
static void assert_zeros(const __u8 *at, __u32 n, const char *alg)
{
	for (__u32 i = 0; i < n; i++)
		if (at[i])
			fail_msg("%s: byte %u of %u is %02x", alg, i, n, at[i]);
}

/* `lack` bytes of headroom are wanting: the packet is moved, padding and all. */
static void padding_is_zero(struct pair *pair, int family, __u32 payload, __u32 lack)
{
	const char *alg = alg_name(pair->config.alg, IPPROTO_ESP);
	__u8 inner[2048];
	__u32 len = udp_write(inner, family, payload), padded;
	struct packet *p = frame_load(&frame, inner, len);
	__u64 before = in_state.tfc_bytes;

	p->flags = PACKET_LOCAL;
	p->headroom = pair->out->head_room - lack;
	esp_out_burst(pair->out, &p, 1, 1400, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
	assert_int_equal(open_it(pair), XIPSEC_REASON_OPENED);
	assert_int_equal(p->len, len);
	assert_memory_equal(p->data, inner, len);
	padded = (__u32)(in_state.tfc_bytes - before);
	assert_in_range(padded, 600 - len, 1400);
	assert_zeros(p->data + len, padded, alg);
}

static void test_padding_zero(void **unused)
{
	static const __u32 sizes[] = {600, XIPSEC_TFC_MTU};

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int i = 0; i < 4; i++) {
			struct pair pair = {.config = sa_config(alg, i & 1 ? 6 : 4, 0, 0)};

			pair.config.tfc_size = sizes[i / 2];
			pair_open(&pair);
			for (__u32 payload = 0; payload < 500; payload += 97)
				for (__u32 lack = 0; lack < 2; lack++) {
					padding_is_zero(&pair, 4, payload, lack);
					padding_is_zero(&pair, 6, payload, lack);
				}
			pair_close(&pair);
		}
}

static void test_dummy_zero(void **unused)
{
	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int mode = 0; mode < 2; mode++) {
			struct pair pair = {.config = sa_config(alg, 4, 0, 0)};
			struct outer outer;

			pair.config.mode = mode ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL;
			pair_open(&pair);
			assert_int_equal(outer_init(&outer, &pair.config), 0);
			for (__u32 len = 0; len < 1300; len += len < 40 ? 1 : 97) {
				struct packet *p = frame_load(&frame, (const __u8 *)"", 1);

				assert_int_equal(esp_out_dummy(pair.out, &outer, p, len),
						 XIPSEC_REASON_UNSPEC);
				assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
				assert_zeros(p->data + p->l4_off + pair.in->head_len, len,
					     alg_name(alg, IPPROTO_ESP));
			}
			pair_close(&pair);
		}
}

/* ---------------------------------------------------------------- limits */

/* Dummies and padding use the key as well: packets alone are far from the limit. last_use is not
 * theirs. */
static void test_limits_hidden(void **unused)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};

		if (bytes)
			pair.config.limits.hard_bytes = 3 * 302; /* what is carried: 300, padded */
		else
			pair.config.limits.hard_packets = 3;
		pair_open(&pair);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(out_state.status, XIPSEC_SA_LIVE);
			frame_load(&frame, (const __u8 *)"", 1);
			assert_int_equal(esp_out_dummy(pair.out, &pair.out->outer, &frame.p, 302),
					 XIPSEC_REASON_UNSPEC);
			assert_int_equal(in_state.status, XIPSEC_SA_LIVE);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
		}
		assert_int_equal(out_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(out_state.packets + in_state.packets, 0);
		assert_int_equal(out_state.dummy_bytes, 3 * 302);
		assert_int_equal(in_state.dummy_bytes, 3 * 302);
		assert_int_equal(out_state.tfc_bytes + in_state.tfc_bytes, 0);
		assert_int_equal(out_state.last_use + in_state.last_use, 0);
		pair_close(&pair);
	}
	{
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
		__u8 inner[256];
		__u32 len = udp_write(inner, 4, 72);

		pair.config.tfc_size = 1000;
		pair.config.limits.hard_bytes = 2000;
		pair_open(&pair);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		}
		assert_int_equal(out_state.bytes, 2 * len);
		assert_int_equal(out_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
		pair_close(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tfc_out),    cmocka_unit_test(test_tfc_whole),
		cmocka_unit_test(test_tfc_burst),  cmocka_unit_test(test_dummy),
		cmocka_unit_test(test_dummy_room), cmocka_unit_test(test_padding_zero),
		cmocka_unit_test(test_dummy_zero), cmocka_unit_test(test_limits_hidden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
