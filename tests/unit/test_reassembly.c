// SPDX-License-Identifier: BSD-2-Clause
/* Fragments in every order, and those that somebody made to do harm. */
#include <errno.h>
#include <stdbool.h>

#include "tests/unit/esp_fixture.h"

#include "worker/fragment.h"
#include "worker/reassembly.h"

#define PIECES 64

static struct reassembly *r;
static __u8 packet[65600], piece[PIECES][9100];
static __u32 piece_len[PIECES], n_pieces, packet_len;

static int setup(void **unused)
{
	r = reassembly_new();
	return r ? 0 : -1;
}

static int teardown(void **unused)
{
	reassembly_free(r);
	return 0;
}

/* A datagram of `payload` bytes of UDP, in pieces of at most `max`, in `piece`. */
static void cut(int family, __u32 payload, __u32 max, __u16 id)
{
	struct fragment_cut c;

	packet_len = udp_write(packet, family, payload);
	if (family == 4) {
		put16(packet + 4, id);
		ip4_check(packet);
		assert_int_equal(fragment_ip4(&c, packet, packet_len, max), 0);
	} else {
		assert_int_equal(fragment_ip6(&c, packet, packet_len, 40, max, htonl(id)), 0);
	}
	n_pieces = fragment_count(&c);
	assert_in_range(n_pieces, 2, PIECES);
	for (__u32 i = 0; i < n_pieces; i++)
		piece_len[i] = fragment_next(&c, piece[i]);
}

static int take(__u32 i, __u64 now, __u8 **out, __u32 *len)
{
	return reassembly_take(r, piece[i], piece_len[i], 1, now, out, len);
}

static void assert_whole(const __u8 *out, __u32 len)
{
	assert_int_equal(len, packet_len);
	assert_memory_equal(out, packet, len);
}

/* What was kept and did not become whole is told once: late, or where another took its place. */
static void test_lost(void **unused)
{
	__u32 len;
	__u8 *out;

	reassembly_lost(r);
	cut(4, 3000, 1500, 900);
	assert_int_equal(take(0, 100, &out, &len), 0);
	assert_int_equal(take(0, 100 + REASSEMBLY_MS, &out, &len), 0);
	assert_int_equal(reassembly_lost(r), 1);
	assert_int_equal(reassembly_lost(r), 0);
	for (__u32 i = 1; i < n_pieces; i++)
		assert_int_equal(take(i, 100 + REASSEMBLY_MS, &out, &len), i == n_pieces - 1);
	for (__u16 id = 0; id < REASSEMBLY_SLOTS + 2; id++) {
		cut(4, 3000, 1500, (__u16)(901 + id));
		assert_int_equal(take(0, 9000 + id, &out, &len), 0);
	}
	assert_int_equal(reassembly_lost(r), 2);
	/* who contradicts himself was told of at once */
	cut(4, 3000, 1500, 901 + REASSEMBLY_SLOTS);
	piece[0][40]++;
	assert_int_equal(take(0, 9020, &out, &len), -EEXIST);
	cut(4, 3000, 1500, 999);
	assert_int_equal(take(0, 90000, &out, &len), 0);
	assert_int_equal(reassembly_lost(r), REASSEMBLY_SLOTS - 1);
}

/* Straight, backwards, and from the middle: whole with the last one that was missing. */
static void test_orders(void **unused)
{
	static const struct {
		int family;
		__u32 payload, max;
	} cases[] = {{4, 1500, 1500}, {4, 3000, 600},  {4, 65507, 8996}, {4, 100, 28 + 8},
		     {6, 1500, 1280}, {6, 9000, 1500}, {6, 65000, 8996}};

	for (size_t c = 0; c < sizeof(cases) / sizeof(cases[0]); c++)
		for (int order = 0; order < 3; order++) {
			__u32 len = 0;
			__u8 *out = NULL;

			cut(cases[c].family, cases[c].payload, cases[c].max, (__u16)(7 + order));
			for (__u32 i = 0; i < n_pieces; i++) {
				__u32 at = order == 0   ? i
					   : order == 1 ? n_pieces - 1 - i
							: (i + n_pieces / 2) % n_pieces;

				assert_int_equal(take(at, 100, &out, &len), i == n_pieces - 1);
			}
			assert_whole(out, len);
		}
}

static void test_duplicates(void **unused)
{
	__u32 len = 0;
	__u8 *out = NULL;

	cut(4, 3000, 1000, 1);
	assert_int_equal(take(0, 1, &out, &len), 0);
	assert_int_equal(take(0, 1, &out, &len), 0);
	assert_int_equal(take(2, 1, &out, &len), 0);
	assert_int_equal(take(3, 1, &out, &len), 0);
	assert_int_equal(take(2, 1, &out, &len), 0);
	assert_int_equal(take(1, 1, &out, &len), 1);
	assert_whole(out, len);
}

/* The same place with other bytes, half a place, a place across two: all is over, also for those
 * that would have made it whole. */
/* RFC 3168 5.3: congestion that one piece met is the whole's; a mark beside pieces that know of
 * none ends the datagram. */
static void test_congestion(void **unused)
{
	for (int i = 0; i < 2 * 3 * 16; i++) {
		const int family = i & 1 ? 6 : 4, at = i / 2 % 3;
		const __u8 others = i / 6 % 4, one = i / 24, shift = family == 6 ? 4 : 0;
		const bool lost = (one == 3 && others == 0) || (one == 0 && others == 3);
		__u8 left = at ? others : one, *out = NULL;
		__u32 len = 0;

		cut(family, 3000, 1280, (__u16)(100 + i));
		assert_int_equal(n_pieces, 3);
		for (__u32 n = 0; n < n_pieces; n++)
			piece[n][1] |= (__u8)((n == (__u32)at ? one : others) << shift);
		for (__u32 n = 0; n < n_pieces - 1; n++)
			assert_int_equal(take(n, 1, &out, &len), 0);
		assert_int_equal(take(n_pieces - 1, 1, &out, &len), lost ? -EINVAL : 1);
		if (lost)
			continue;
		if (one == 3 || others == 3)
			left = 3;
		packet[1] |= (__u8)(left << shift);
		if (family == 4)
			ip4_check(packet);
		assert_whole(out, len);
	}
}

static void test_overlaps(void **unused)
{
	for (int how = 0; how < 3; how++) {
		__u32 len = 0;
		__u8 *out = NULL, evil[1000];

		cut(4, 3000, 1000, (__u16)(20 + how));
		assert_int_equal(take(0, 1, &out, &len), 0);
		memcpy(evil, piece[how == 0 ? 0 : 1], 996);
		if (how == 0)
			evil[500] ^= 1;
		else
			put16(evil + 6, 0x2000 | (976 / 8 - (how == 1 ? 1 : 60)));
		assert_int_equal(reassembly_take(r, evil, 996, 1, 1, &out, &len), -EEXIST);
		for (__u32 i = 0; i < n_pieces; i++)
			assert_int_equal(take(i, 2, &out, &len), -EEXIST);
		/* the ID is free again when the time is over */
		for (__u32 i = 0; i < n_pieces; i++)
			assert_int_equal(take(i, 1 + REASSEMBLY_MS, &out, &len), i == n_pieces - 1);
		assert_whole(out, len);
	}
}

/* Two ends, bytes beyond the end, an end before what is there. */
static void test_ends(void **unused)
{
	__u32 len = 0;
	__u8 *out = NULL, evil[1000];

	cut(4, 3000, 1000, 30);
	assert_int_equal(take(3, 1, &out, &len), 0);
	memcpy(evil, piece[2], 996);
	put16(evil + 6, 2 * 976 / 8); /* another last one */
	assert_int_equal(reassembly_take(r, evil, 996, 1, 1, &out, &len), -EINVAL);
	cut(4, 3000, 1000, 31);
	assert_int_equal(take(3, 1, &out, &len), 0);
	memcpy(evil, piece[2], 996);
	put16(evil + 6, 0x2000 | 4000 / 8);
	put16(evil + 4, 31);
	assert_int_equal(reassembly_take(r, evil, 996, 1, 1, &out, &len), -EINVAL);
	cut(4, 3000, 1000, 32);
	assert_int_equal(take(1, 1, &out, &len), 0);
	assert_int_equal(take(2, 1, &out, &len), 0);
	memcpy(evil, piece[0], 36);
	put16(evil + 2, 36);
	put16(evil + 4, 32);
	put16(evil + 6, 8 / 8);
	assert_int_equal(reassembly_take(r, evil, 36, 1, 1, &out, &len), -EINVAL);
	assert_int_equal(take(0, 1, &out, &len), -EEXIST);
	/* an end with a hole before it, as many bytes as it says being there behind it */
	cut(4, 3000, 1000, 33);
	assert_int_equal(take(2, 1, &out, &len), 0);
	memcpy(evil, piece[0], 36);
	put16(evil + 2, 36);
	put16(evil + 4, 33);
	put16(evil + 6, 976 / 8);
	assert_int_equal(reassembly_take(r, evil, 36, 1, 1, &out, &len), -EINVAL);
}

static void test_malformed(void **unused)
{
	__u32 len = 0;
	__u8 *out = NULL, whole[100];

	len = udp_write(whole, 4, 60);
	assert_int_equal(reassembly_take(r, whole, len, 1, 1, &out, &len), -EINVAL); /* whole */
	cut(4, 3000, 1000, 40);
	assert_int_equal(reassembly_take(r, piece[1], piece_len[1] - 1, 1, 1, &out, &len), -EINVAL);
	put16(piece[1] + 2, piece_len[1] - 1); /* more, but no multiple of 8 */
	assert_int_equal(reassembly_take(r, piece[1], piece_len[1] - 1, 1, 1, &out, &len), -EINVAL);
	put16(piece[3] + 6, 0x1fff); /* ends behind 65,535 */
	assert_int_equal(take(3, 1, &out, &len), -EINVAL);
	cut(6, 3000, 1300, 41);
	for (__u32 n = 0; n < 48; n++)
		assert_int_equal(reassembly_take(r, piece[0], n, 1, 1, &out, &len), -EINVAL);
	piece[0][6] = IPPROTO_UDP;
	assert_int_equal(take(0, 1, &out, &len), -EINVAL);
}

/* Time is over, another tag, another ID: never together. */
static void test_apart(void **unused)
{
	__u32 len = 0;
	__u8 *out = NULL;

	cut(4, 1000, 600, 50);
	assert_int_equal(take(0, 1, &out, &len), 0);
	assert_int_equal(take(1, 1 + REASSEMBLY_MS, &out, &len), 0);
	assert_int_equal(
		reassembly_take(r, piece[0], piece_len[0], 2, 1 + REASSEMBLY_MS, &out, &len), 0);
	put16(piece[0] + 4, 51);
	assert_int_equal(take(0, 1 + REASSEMBLY_MS, &out, &len), 0);
	put16(piece[0] + 4, 50);
	assert_int_equal(take(0, 1 + REASSEMBLY_MS, &out, &len), 1);
	assert_whole(out, len);
}

/* More datagrams than places: the oldest gives way, the others come whole. */
static void test_bounded(void **unused)
{
	__u32 len = 0;
	__u8 *out = NULL;

	for (__u16 id = 0; id <= REASSEMBLY_SLOTS; id++) {
		cut(4, 1000, 600, id);
		assert_int_equal(take(0, 10 + id, &out, &len), 0);
	}
	for (__u16 id = REASSEMBLY_SLOTS; id >= 1; id--) {
		cut(4, 1000, 600, id);
		assert_int_equal(take(1, 30, &out, &len), 1);
		assert_whole(out, len);
	}
	cut(4, 1000, 600, 0);
	assert_int_equal(take(1, 30, &out, &len), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_lost),       TEST(test_orders),   TEST(test_duplicates),
		TEST(test_congestion), TEST(test_overlaps), TEST(test_ends),
		TEST(test_malformed),  TEST(test_apart),    TEST(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
