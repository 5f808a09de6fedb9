// SPDX-License-Identifier: BSD-2-Clause
/*
 * Segments made one packet again: what segments_next() cut comes back byte for byte, and what the
 * stack could not give back in the same way is left alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "worker/checksum.h"
#include "worker/coalesce.h"
#include "worker/segment.h"
#include "xipsec/maps.h"

#define SIZE   1000
#define PIECES 5
#define OPTS   12

static __u8 whole[70000], piece[PIECES][2048], joined[70000];
static struct packet pkt[PIECES];
static struct coalesce c;

static __u32 ip_len(bool ip6)
{
	return ip6 ? 40 : 20;
}

/* A whole of `payload` bytes, cut into pieces of SIZE; returns the length of the whole. */
static __u32 cut(bool ip6, bool df, __u32 payload)
{
	__u32 l3 = ip_len(ip6), len = l3 + 20 + OPTS + payload, sum;
	struct virtio_net_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = ip6 ? VIRTIO_NET_HDR_GSO_TCPV6
						     : VIRTIO_NET_HDR_GSO_TCPV4,
				     .gso_size = SIZE,
				     .csum_start = l3,
				     .csum_offset = 16};
	const __u8 tcp[16] = {
		0, 1, 0, 2, 0xff, 0xff, 0xfd, 0, 1, 2, 3, 4, (20 + OPTS) / 4 << 4, 0x18, 0x10, 0};
	struct segments s;
	struct inner inner;

	memset(whole, 0x31, len);
	if (ip6) {
		const __u8 head[8] = {0x60, 0, 0, 7, (len - 40) >> 8, len - 40, IPPROTO_TCP, 64};

		memcpy(whole, head, sizeof(head));
	} else {
		const __u8 head[12] = {0x45,          0, len >> 8, len,         0xff, 0xfe,
				       df ? 0x40 : 0, 0, 64,       IPPROTO_TCP, 0,    0};

		memcpy(whole, head, sizeof(head));
		sum = (__u16)~csum_fold(csum_add(0, whole, 20));
		memcpy(whole + 10, &sum, 2);
	}
	memset(whole + l3, 0, 20);
	memcpy(whole + l3, tcp, sizeof(tcp));
	for (__u32 i = 0; i < payload; i++)
		whole[l3 + 20 + OPTS + i] = (__u8)(i + i / 199);
	assert_int_equal(inner_parse(whole, len, &inner), 0);
	assert_int_equal(segments_start(&hdr, 0, whole, &inner, 65535, &s), 1);
	memset(pkt, 0, sizeof(pkt));
	for (int i = 0; i < PIECES; i++) {
		pkt[i].data = piece[i];
		pkt[i].len = segments_next(&s, piece[i]);
		pkt[i].family = ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
	}
	return len;
}

/* After a change to a piece: its checksums hold again. */
static void heal(int i)
{
	__u8 *ip = piece[i];
	bool ip6 = ip[0] >> 4 == 6;
	__u32 l3 = ip6 ? 40 : (ip[0] & 0xf) * 4u, l4_len = pkt[i].len - l3;
	__u64 sum = (__u64)htons((__u16)l4_len) + htons(IPPROTO_TCP);
	__u16 check;

	if (!ip6) {
		memset(ip + 10, 0, 2);
		check = (__u16)~csum_fold(csum_add(0, ip, l3));
		memcpy(ip + 10, &check, 2);
	}
	memset(ip + l3 + 16, 0, 2);
	sum = csum_add(sum, ip + (ip6 ? 8 : 12), ip6 ? 32 : 8);
	check = (__u16)~csum_fold(csum_add(sum, ip + l3, l4_len));
	memcpy(ip + l3 + 16, &check, 2);
}

/* ------------------------------------------------------------------ together */

static void comes_back(bool ip6, bool df)
{
	for (__u32 payload = SIZE + 1; payload <= PIECES * SIZE; payload += 333) {
		__u32 n = (payload + SIZE - 1) / SIZE, len = cut(ip6, df, payload),
		      l3 = ip_len(ip6);
		struct virtio_net_hdr hdr;
		__u32 at;

		assert_true(coalesce_start(&c, &pkt[0]));
		for (__u32 i = 1; i < n; i++)
			assert_true(coalesce_add(&c, &pkt[i]));
		assert_int_equal(c.n, n);
		assert_int_equal(c.len, len);
		coalesce_finish(&c, &pkt[n - 1], 14, &hdr);
		memcpy(joined, piece[0], at = pkt[0].len);
		for (__u32 i = 1; i < n; i++) {
			memcpy(joined + at, piece[i] + c.head, pkt[i].len - c.head);
			at += pkt[i].len - c.head;
		}
		assert_int_equal(at, len);
		/* the sum of the pseudo-header stands in the field of the first */
		memset(whole + l3 + 16, 0, 2);
		memset(joined + l3 + 16, 0, 2);
		assert_memory_equal(joined, whole, len);
		assert_int_equal(hdr.gso_size, SIZE);
		assert_int_equal(hdr.hdr_len, 14 + l3 + 20 + OPTS);
		assert_int_equal(hdr.csum_start, 14 + l3);
		assert_int_equal(hdr.csum_offset, 16);
		assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_int_equal(hdr.gso_type,
				 ip6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
	}
}

static void cut_and_joined(void **state)
{
	comes_back(false, true);
	comes_back(false, false);
	comes_back(true, true);
}

/* The field as the kernel wants it: completing it gives a packet that verifies. */
static void the_open_checksum_completes(void **state)
{
	struct virtio_net_hdr hdr;
	struct segments s;
	struct inner inner;
	__u32 at;

	cut(false, true, 2 * SIZE);
	assert_true(coalesce_start(&c, &pkt[0]) && coalesce_add(&c, &pkt[1]));
	coalesce_finish(&c, &pkt[1], 0, &hdr);
	memcpy(joined, piece[0], at = pkt[0].len);
	memcpy(joined + at, piece[1] + c.head, SIZE);
	hdr.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	assert_int_equal(inner_parse(joined, c.len, &inner), 0);
	assert_int_equal(segments_start(&hdr, 0, joined, &inner, 65535, &s), 0);
	assert_int_equal(csum_fold(csum_add(0, joined, 20)), 0xffff);
	assert_int_equal(csum_fold(csum_add((__u64)htons((__u16)(c.len - 20)) + htons(IPPROTO_TCP),
					    joined + 12, 8) +
				   csum_add(0, joined + 20, c.len - 20)),
			 0xffff);
}

/* Whose checksum is not of its addresses is joined unseen: ESP has proven it. */
static void sums_that_are_left_open(void **state)
{
	cut(true, true, 3 * SIZE);
	piece[0][40 + 17] ^= 1;
	piece[1][40 + 17] ^= 1;
	assert_false(coalesce_start(&c, &pkt[0]));
	pkt[0].flags = PACKET_SUM;
	assert_true(coalesce_start(&c, &pkt[0]));
	assert_false(coalesce_add(&c, &pkt[1]));
	pkt[1].flags = PACKET_SUM;
	assert_true(coalesce_add(&c, &pkt[1]));
	pkt[0].flags = pkt[1].flags = 0;
}

static void not_beyond_64k(void **state)
{
	unsigned int n = 1;

	cut(true, true, 2 * SIZE);
	assert_true(coalesce_start(&c, &pkt[0]));
	for (;; n++) {
		const __be32 seq = htonl(0xfffffd00u + n * SIZE);

		memcpy(piece[1] + 44, &seq, 4);
		piece[1][53] = 0x10;
		heal(1);
		if (!coalesce_add(&c, &pkt[1]))
			break;
	}
	assert_int_equal(n, (65535 - 40 - 20 - OPTS) / SIZE);
	assert_true(c.len <= 65535);
}

/* ------------------------------------------------------------------ apart */

/* One byte of the second piece is another, and its checksums hold (`healed`), or not. */
static void differs(bool ip6, bool df, __u32 at, __u8 to, bool healed)
{
	cut(ip6, df, 3 * SIZE);
	assert_true(coalesce_start(&c, &pkt[0]));
	assert_int_not_equal(piece[1][at], to);
	piece[1][at] = to;
	if (healed)
		heal(1);
	if (coalesce_add(&c, &pkt[1]))
		fail_msg("byte %u of IPv%d is 0x%02x, and yet it is joined", at, ip6 ? 6 : 4, to);
	assert_int_equal(c.n, 1);
}

static void others_are_left_alone(void **state)
{
	static const __u32 tcp[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 11, 14, 15, 18, 19, 20, 31};

	for (size_t i = 0; i < sizeof(tcp) / sizeof(tcp[0]); i++) {
		differs(false, true, 20 + tcp[i], 0x77, true);
		differs(true, true, 40 + tcp[i], 0x77, true);
	}
	/* FIN, SYN, RST, URG, ECE, CWR, no ACK, reserved bits */
	for (__u8 flag = 0x01; flag; flag = (__u8)(flag << 1))
		if (flag != 0x08)
			differs(false, true, 20 + 13, 0x10 ^ flag, true);
	differs(false, true, 20 + 12, ((20 + OPTS) / 4 << 4) | 1, true);
	differs(false, true, 20 + 12, (16 + OPTS) / 4 << 4, true);
	/* TOS, flags, TTL, addresses; ID only where it may be cut */
	differs(false, true, 1, 3, true);
	differs(false, true, 6, 0x00, true);
	differs(false, true, 6, 0x60, true);
	differs(false, true, 8, 63, true);
	differs(false, true, 12, 9, true);
	differs(false, true, 19, 9, true);
	differs(false, false, 5, 7, true);
	differs(true, true, 1, 0x10, true); /* congestion mark */
	differs(true, true, 3, 8, true);    /* flow label */
	differs(true, true, 7, 63, true);
	differs(true, true, 8, 9, true);
	differs(true, true, 39, 9, true);
	/* checksums that do not hold */
	differs(false, true, 700, 0xee, false);
	differs(true, true, 700, 0xee, false);
	differs(false, true, 10, 0xee, false);
	/* lengths that lie */
	differs(false, true, 3, 0xee, false);
	differs(true, true, 5, 0xee, false);
}

/* Nothing begins with these. */
static void no_beginning(void **state)
{
	static const struct {
		__u32 at;
		__u8 to;
		bool healed;
	} firsts[] = {
		{20 + 13, 0x18, true}, {20 + 13, 0x12, true}, {20 + 13, 0x11, true},
		{20 + 13, 0x90, true}, {20 + 13, 0x00, true}, {9, IPPROTO_UDP, false},
		{6, 0x20, true},       {7, 1, true},          {700, 0xee, false},
		{0, 0x46, false},      {20 + 12, 0xf0, true}, {20 + 12, 0x40, true},
	};

	for (size_t i = 0; i < sizeof(firsts) / sizeof(firsts[0]); i++) {
		cut(false, true, 3 * SIZE);
		piece[0][firsts[i].at] = firsts[i].to;
		if (firsts[i].healed)
			heal(0);
		/* 0xf0: 60 bytes of header are there, they are only other options */
		assert_int_equal(coalesce_start(&c, &pkt[0]), firsts[i].to == 0xf0);
		assert_int_equal(c.n, firsts[i].to == 0xf0);
	}
	for (__u32 len = 0; len < 20 + 20 + OPTS; len++) {
		cut(false, true, 3 * SIZE);
		pkt[0].len = len;
		assert_false(coalesce_start(&c, &pkt[0]));
	}
}

/* A short one, or one with PSH, is the last. */
static void the_last_is_the_last(void **state)
{
	cut(false, true, 3 * SIZE - 1);
	assert_true(coalesce_start(&c, &pkt[0]) && coalesce_add(&c, &pkt[1]));
	assert_true(coalesce_add(&c, &pkt[2]));
	assert_true(c.full);
	assert_false(coalesce_add(&c, &pkt[2]));
	cut(false, true, 3 * SIZE);
	piece[1][20 + 13] = 0x18;
	heal(1);
	assert_true(coalesce_start(&c, &pkt[0]) && coalesce_add(&c, &pkt[1]));
	assert_false(coalesce_add(&c, &pkt[2]));
	/* longer than the first */
	cut(false, true, 2 * SIZE);
	pkt[0].len -= 100;
	piece[0][2] = (__u8)(pkt[0].len >> 8);
	piece[0][3] = (__u8)pkt[0].len;
	heal(0);
	assert_true(coalesce_start(&c, &pkt[0]));
	c.seq += 100;
	assert_false(coalesce_add(&c, &pkt[1]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cut_and_joined),
		cmocka_unit_test(the_open_checksum_completes),
		cmocka_unit_test(not_beyond_64k),
		cmocka_unit_test(sums_that_are_left_open),
		cmocka_unit_test(others_are_left_alone),
		cmocka_unit_test(no_beginning),
		cmocka_unit_test(the_last_is_the_last),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
