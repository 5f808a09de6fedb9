// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragments: every size that a packet may be cut to, and what a receiver makes of them, by a
 * reassembly of our own here that knows nothing of the code that cuts.
 */
#include <errno.h>

#include "tests/unit/esp_fixture.h"

#include "worker/fragment.h"

#define PACKET_MAX 9000

static __u8 packet[PACKET_MAX], pieces[PACKET_MAX + 64], whole[PACKET_MAX];

static __u16 header_sum(const __u8 *ip)
{
	return csum_fold(csum_add(0, ip, (ip[0] & 0xf) * 4));
}

/* An IPv4 packet with `options` and `payload` bytes, its frag field being `frag`. */
static __u32 ip4_packet(const char *options, __u32 options_len, __u32 payload, __u32 frag)
{
	__u32 head = 20 + options_len;

	ip_write(packet, 4, IPPROTO_UDP, options_len + payload);
	packet[0] = (__u8)(0x40 | head / 4);
	put16(packet + 4, 0xbeef);
	put16(packet + 6, frag);
	memcpy(packet + 20, options, options_len);
	for (__u32 i = 0; i < payload; i++)
		packet[head + i] = (__u8)(i * 31 + i / 256);
	ip4_check(packet);
	return head + payload;
}

/* Cuts `packet` and puts its payload together again in `whole`; asserts what each piece must be. */
static void cut_ip4(__u32 len, __u32 max, __u32 later_len)
{
	__u32 head = (packet[0] & 0xf) * 4, base = get16(packet + 6), at = 0, n = 0, expected;
	struct fragment_cut cut;

	assert_int_equal(fragment_ip4(&cut, packet, len, max), 0);
	expected = fragment_count(&cut);
	memset(whole, 0, sizeof(whole));
	for (;;) {
		__u32 got, piece_head, frag;

		memset(pieces, 0xcc, max + 16);
		got = fragment_next(&cut, pieces);
		if (!got)
			break;
		assert_in_range(got, 1, max);
		for (__u32 i = got; i < max + 16; i++)
			assert_int_equal(pieces[i], 0xcc);
		piece_head = (pieces[0] & 0xf) * 4;
		assert_int_equal(pieces[0] >> 4, 4);
		assert_int_equal(piece_head, at ? later_len : head);
		assert_int_equal(header_sum(pieces), 0xffff);
		assert_int_equal(get16(pieces + 2), got);
		assert_int_equal(get16(pieces + 4), 0xbeef);
		assert_memory_equal(pieces + 8, packet + 8, 2);
		assert_memory_equal(pieces + 12, packet + 12, 8);
		frag = get16(pieces + 6);
		assert_int_equal((frag & 0x1fff) * 8, (base & 0x1fff) * 8 + at);
		assert_int_equal(frag & 0xc000, base & 0xc000);
		memcpy(whole + at, pieces + piece_head, got - piece_head);
		at += got - piece_head;
		n++;
		if (at < len - head) {
			assert_int_equal(frag & 0x2000, 0x2000);
			assert_int_equal((got - piece_head) % 8, 0);
			/* as few as possible: no room for 8 bytes more was left */
			assert_true(got + 8 > max);
		} else {
			assert_int_equal(frag & 0x2000, base & 0x2000);
		}
	}
	assert_int_equal(at, len - head);
	assert_memory_equal(whole, packet + head, at);
	assert_int_equal(n, expected);
	assert_int_equal(fragment_next(&cut, pieces), 0);
}

static void test_ip4_sizes(void **unused)
{
	static const __u32 payloads[] = {1, 7, 8, 9, 555, 1480, 4321, 8000};

	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++)
		for (__u32 max = 28; max < 1600; max++)
			cut_ip4(ip4_packet("", 0, payloads[i], 0), max, 20);
}

/* A fragment cut again: its offset is where it starts, and only a last one has a last piece. */
static void test_ip4_of_fragment(void **unused)
{
	static const __u32 frags[] = {0x2000, 0x2001, 0x20b9, 0x00b9, 0x8000, 0x4000};

	for (size_t i = 0; i < sizeof(frags) / sizeof(frags[0]); i++)
		for (__u32 max = 28; max < 700; max++)
			cut_ip4(ip4_packet("", 0, 640, frags[i]), max, 20);
}

/* Copied: security (130), loose source route (131), an unknown 0x9e. Not: record route, timestamp,
 * no-ops. */
static void test_ip4_options(void **unused)
{
	static const struct {
		const char *options;
		__u32 len;
		const char *later;
		__u32 later_len; /* of the options */
	} cases[] = {
		{"\x07\x07\x04\x01\x02\x03\x04\x00", 8, "", 0},
		{"\x01\x83\x07\x04\x0a\x00\x00\x01", 8, "\x83\x07\x04\x0a\x00\x00\x01\x00", 8},
		{"\x94\x04\x00\x00", 4, "\x94\x04\x00\x00", 4},
		{"\x07\x03\x04\x9e\x02\x01\x44\x05\x05\x00\x11\x82\x03\x07\x00\x94", 16,
		 "\x9e\x02\x82\x03\x07\x00\x00\x00", 8},
		{"\x01\x01\x01\x01", 4, "", 0},
		{"\x83\x27\x04"
		 "abcdefghijklmnopqrstuvwxyz0123456789\x00",
		 40,
		 "\x83\x27\x04"
		 "abcdefghijklmnopqrstuvwxyz0123456789\x00",
		 40},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fragment_cut cut;
		__u32 len, got;

		for (__u32 max = 20 + cases[i].len + 8; max < 300; max++)
			cut_ip4(ip4_packet(cases[i].options, cases[i].len, 777, 0), max,
				20 + cases[i].later_len);
		len = ip4_packet(cases[i].options, cases[i].len, 777, 0);
		assert_int_equal(fragment_ip4(&cut, packet, len, 200), 0);
		got = fragment_next(&cut, pieces);
		assert_true(got > 20 + cases[i].len);
		assert_memory_equal(pieces + 20, cases[i].options, cases[i].len);
		got = fragment_next(&cut, pieces);
		assert_true(got > 20 + cases[i].later_len);
		assert_memory_equal(pieces + 20, cases[i].later, cases[i].later_len);
	}
}

static void test_ip4_refused(void **unused)
{
	static const char *bad_options[] = {"\x83\x01\x00\x00", "\x83\x05\x00\x00",
					    "\x01\x01\x01\x83", "\x83\x00\x00\x00"};
	struct fragment_cut cut;
	__u32 len;

	for (size_t i = 0; i < sizeof(bad_options) / sizeof(bad_options[0]); i++) {
		len = ip4_packet(bad_options[i], 4, 100, 0);
		assert_int_equal(fragment_ip4(&cut, packet, len, 60), -EINVAL);
	}
	len = ip4_packet("", 0, 100, 0);
	assert_int_equal(fragment_ip4(&cut, packet, len, 27), -EMSGSIZE);
	assert_int_equal(fragment_ip4(&cut, packet, len, 0), -EMSGSIZE);
	assert_int_equal(fragment_ip4(&cut, packet, len - 1, 60), -EINVAL);
	assert_int_equal(fragment_ip4(&cut, packet, 19, 60), -EINVAL);
	packet[0] = 0x44;
	assert_int_equal(fragment_ip4(&cut, packet, len, 60), -EINVAL);
	packet[0] = 0x4f;
	put16(packet + 2, 40);
	assert_int_equal(fragment_ip4(&cut, packet, 40, 60), -EINVAL);
	/* more fragments, but no multiple of 8 */
	len = ip4_packet("", 0, 100, 0x2000);
	assert_int_equal(fragment_ip4(&cut, packet, len, 60), -EINVAL);
	/* ends behind 65,535 */
	len = ip4_packet("", 0, 104, 0x1ff8);
	assert_int_equal(fragment_ip4(&cut, packet, len, 60), -EINVAL);
}

/* ---------------------------------------------------------------- IPv6 */

static __u32 ip6_packet(const char *exts, __u32 exts_len, __u8 first, __u32 payload)
{
	ip_write(packet, 6, first, exts_len + payload);
	memcpy(packet + 40, exts, exts_len);
	for (__u32 i = 0; i < payload; i++)
		packet[40 + exts_len + i] = (__u8)(i * 31 + i / 256);
	return 40 + exts_len + payload;
}

static void cut_ip6(__u32 len, __u32 off, __u32 next_off, __u32 max)
{
	__u32 at = 0, n = 0, expected;
	struct fragment_cut cut;

	assert_int_equal(fragment_ip6(&cut, packet, len, off, max, htonl(0xfeedbeef)), 0);
	expected = fragment_count(&cut);
	for (;;) {
		__u32 got, frag;

		memset(pieces, 0xcc, max + 16);
		got = fragment_next(&cut, pieces);
		if (!got)
			break;
		assert_in_range(got, off + 9, max);
		for (__u32 i = got; i < max + 16; i++)
			assert_int_equal(pieces[i], 0xcc);
		assert_int_equal(get16(pieces + 4) + 40, got);
		assert_int_equal(pieces[next_off], IPPROTO_FRAGMENT);
		assert_int_equal(pieces[off], packet[next_off]);
		assert_int_equal(pieces[off + 1], 0);
		assert_memory_equal(pieces + off + 4, "\xfe\xed\xbe\xef", 4);
		frag = get16(pieces + off + 2);
		assert_int_equal(frag & 0xfff8, at);
		assert_int_equal(frag & 6, 0);
		memcpy(whole + at, pieces + off + 8, got - off - 8);
		at += got - off - 8;
		n++;
		assert_int_equal(frag & 1, at < len - off);
		if (at < len - off)
			assert_true((got - off) % 8 == 0 && got + 8 > max);
		/* all else of the headers is the packet's */
		put16(pieces + 4, len - 40);
		pieces[next_off] = packet[next_off];
		assert_memory_equal(pieces, packet, off);
	}
	assert_int_equal(at, len - off);
	assert_memory_equal(whole, packet + off, at);
	assert_int_equal(n, expected);
}

static void test_ip6_sizes(void **unused)
{
	/* hop-by-hop, then a routing header of 16 bytes */
	static const char exts[] =
		"\x2b\x00\x05\x02\x00\x00\x01\x00"
		"\x32\x01\x04\x00\x00\x00\x00\x00\x01\x02\x03\x04\x05\x06\x07\x08";

	for (__u32 max = 56; max < 1600; max += 3)
		for (__u32 payload = 1; payload < 8000; payload = payload * 5 + 3)
			cut_ip6(ip6_packet("", 0, IPPROTO_ESP, payload), 40, 6, max);
	for (__u32 max = 80; max < 1600; max += 7)
		cut_ip6(ip6_packet(exts, 24, IPPROTO_HOPOPTS, 3333), 64, 48, max);
}

static void test_ip6_refused(void **unused)
{
	static const char frag[] = "\x32\x00\x00\x00\x00\x00\x00\x01";
	struct fragment_cut cut;
	__u32 len = ip6_packet("", 0, IPPROTO_ESP, 500);

	assert_int_equal(fragment_ip6(&cut, packet, len, 40, 55, 1), -EMSGSIZE);
	assert_int_equal(fragment_ip6(&cut, packet, len - 1, 40, 200, 1), -EINVAL);
	assert_int_equal(fragment_ip6(&cut, packet, len, 39, 200, 1), -EINVAL);
	assert_int_equal(fragment_ip6(&cut, packet, len, 48, 200, 1), -EINVAL);
	assert_int_equal(fragment_ip6(&cut, packet, len, len + 8, 200, 1), -EINVAL);
	/* a fragment header is there already: at the cut, or before it */
	len = ip6_packet(frag, 8, IPPROTO_FRAGMENT, 500);
	assert_int_equal(fragment_ip6(&cut, packet, len, 40, 200, 1), -EINVAL);
	assert_int_equal(fragment_ip6(&cut, packet, len, 48, 200, 1), -EINVAL);
	/* an extension header that leads beyond the place, and beyond the packet */
	len = ip6_packet("\x32\xff\x00\x00\x00\x00\x00\x00", 8, IPPROTO_HOPOPTS, 500);
	assert_int_equal(fragment_ip6(&cut, packet, len, 48, 200, 1), -EINVAL);
	assert_int_equal(fragment_ip6(&cut, packet, len, len, 2000, 1), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip4_sizes),   cmocka_unit_test(test_ip4_of_fragment),
		cmocka_unit_test(test_ip4_options), cmocka_unit_test(test_ip4_refused),
		cmocka_unit_test(test_ip6_sizes),   cmocka_unit_test(test_ip6_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
