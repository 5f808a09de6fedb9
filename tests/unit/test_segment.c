// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the stack leaves to hardware: every segment of TCP and UDP over both families is looked at
 * with checksums of the test's own, and headers that contradict their packet are refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>

#include "worker/segment.h"
#include "xipsec/maps.h"

#define L3_OFF    14
#define SEQ       0xfffffc00u /* wraps soon */
#define ID        0xfffe
#define TCP_OPTS  12
#define GSO_UDP   5
#define WHOLE_MAX 66000

static __u8 whole[WHOLE_MAX], out[WHOLE_MAX];

/* RFC 1071, as slowly as it stands there. */
static __u32 sum16(__u32 sum, const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		sum += i & 1 ? at[i] : (__u32)at[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __u32 be16_of(const __u8 *at)
{
	return (__u32)at[0] << 8 | at[1];
}

/* RFC 8200 8.1: under way the last address of a routing header is the destination. */
static __u32 pseudo16(const __u8 *ip, __u32 l4_len, __u8 proto)
{
	__u32 sum = ip[0] >> 4 == 4 ? sum16(0, ip + 12, 8) : sum16(0, ip + 8, 32);

	if (ip[0] >> 4 == 6 && ip[6] == IPPROTO_ROUTING && ip[43])
		sum = sum16(sum16(0, ip + 8, 16), ip + 48, 16);
	return sum16(sum + l4_len + proto, NULL, 0);
}

struct shape {
	bool ip6;
	__u8 proto;
	bool routed; /* by a routing header, under way or at its end */
	__u8 left;
};

static const struct shape shapes[] = {
	{false, IPPROTO_TCP, false, 0}, {true, IPPROTO_TCP, false, 0},
	{false, IPPROTO_UDP, false, 0}, {true, IPPROTO_UDP, false, 0},
	{true, IPPROTO_TCP, true, 1},   {true, IPPROTO_UDP, true, 1},
	{true, IPPROTO_TCP, true, 0},
};

static __u32 ip_len(const struct shape *shape)
{
	return shape->routed ? 64 : shape->ip6 ? 40 : 24; /* IPv4 with a word of options */
}

static __u32 head_len(const struct shape *shape)
{
	return ip_len(shape) + (shape->proto == IPPROTO_TCP ? 20 + TCP_OPTS : 8);
}

/* As the stack hands it on: the checksum field holds the pseudo-header's sum. */
static __u32 make_whole(const struct shape *shape, __u32 payload)
{
	__u32 l3 = ip_len(shape), len = head_len(shape) + payload, l4_len = len - l3, check;
	__u8 *l4 = whole + l3;

	memset(whole, 0, head_len(shape));
	if (shape->ip6) {
		const __u32 rest = len - 40;
		const __u8 head[8] = {0x60, 0, 0, 0, rest >> 8, rest, shape->proto, 64};
		const __u8 routing[4] = {shape->proto, 2, 0, shape->left};

		memcpy(whole, head, sizeof(head));
		memset(whole + 8, 0x20, 32);
		if (shape->routed) {
			whole[6] = IPPROTO_ROUTING;
			memcpy(whole + 40, routing, sizeof(routing));
			memset(whole + 48, 0x31, 16);
		}
	} else {
		const __u8 head[20] = {0x46, 0,  len >> 8,     len, ID >> 8, ID & 0xff, 0x40,
				       0,    64, shape->proto, 0,   0,       10,        1,
				       0,    1,  10,           2,   0,       2};

		memcpy(whole, head, sizeof(head));
		memset(whole + 20, 1, 4);
	}
	if (shape->proto == IPPROTO_TCP) {
		const __u8 head[14] = {0x10,
				       0x01,
				       0,
				       80,
				       SEQ >> 24,
				       SEQ >> 16 & 0xff,
				       SEQ >> 8 & 0xff,
				       SEQ & 0xff,
				       1,
				       2,
				       3,
				       4,
				       (20 + TCP_OPTS) / 4 << 4,
				       0x80 | 0x10 | 0x08 | 0x01};

		memcpy(l4, head, sizeof(head));
		memset(l4 + 20, 1, TCP_OPTS);
	} else {
		const __u8 head[6] = {0x10, 0x01, 0, 53, l4_len >> 8, l4_len};

		memcpy(l4, head, sizeof(head));
	}
	for (__u32 i = 0; i < payload; i++)
		whole[head_len(shape) + i] = (__u8)(i * 7 + i / 251);
	check = pseudo16(whole, l4_len, shape->proto);
	l4[shape->proto == IPPROTO_TCP ? 16 : 6] = check >> 8;
	l4[shape->proto == IPPROTO_TCP ? 17 : 7] = (__u8)check;
	return len;
}

static struct virtio_net_hdr header(const struct shape *shape, __u16 gso_size)
{
	struct virtio_net_hdr hdr = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_size = gso_size,
		.csum_start = L3_OFF + ip_len(shape),
		.csum_offset = shape->proto == IPPROTO_TCP ? 16 : 6,
	};

	if (!gso_size)
		return hdr;
	hdr.gso_type = shape->proto == IPPROTO_UDP ? GSO_UDP
		       : shape->ip6                ? VIRTIO_NET_HDR_GSO_TCPV6
						   : VIRTIO_NET_HDR_GSO_TCPV4;
	return hdr;
}

static int start(const struct shape *shape, __u32 len, __u16 gso_size, __u32 max,
		 struct segments *s)
{
	struct virtio_net_hdr hdr = header(shape, gso_size);
	struct inner inner;

	assert_int_equal(inner_parse(whole, len, &inner), 0);
	return segments_start(&hdr, L3_OFF, whole, &inner, max, s);
}

/* ------------------------------------------------------------------ segments */

static void look_at_ip(const struct shape *shape, __u32 len, unsigned int n)
{
	if (shape->ip6) {
		assert_int_equal(be16_of(out + 4), len - 40);
		assert_memory_equal(out + 6, whole + 6, ip_len(shape) - 6);
		return;
	}
	assert_int_equal(be16_of(out + 2), len);
	assert_int_equal(be16_of(out + 4), (__u16)(ID + n));
	assert_int_equal(sum16(0, out, 24), 0xffff);
	assert_memory_equal(out + 12, whole + 12, 12);
}

static void look_at_l4(const struct shape *shape, __u32 len, __u32 done, unsigned int n, bool last)
{
	__u32 l4_len = len - ip_len(shape);
	const __u8 *l4 = out + ip_len(shape), *from = whole + ip_len(shape);

	assert_int_equal(sum16(pseudo16(out, l4_len, shape->proto), l4, l4_len), 0xffff);
	assert_memory_equal(l4, from, 4);
	if (shape->proto == IPPROTO_UDP) {
		assert_int_equal(be16_of(l4 + 4), l4_len);
		assert_int_not_equal(be16_of(l4 + 6), 0);
		return;
	}
	assert_int_equal(be16_of(l4 + 4) << 16 | be16_of(l4 + 6), SEQ + done);
	assert_memory_equal(l4 + 8, from + 8, 5);
	assert_int_equal(l4[13], 0x10 | (last ? 0x09 : 0) | (n ? 0 : 0x80));
	assert_memory_equal(l4 + 18, from + 18, 2 + TCP_OPTS);
}

/* Cuts it all, and looks at each piece. `size`: payload that each but the last must have. */
static void look_at_all(const struct shape *shape, struct segments *s, __u32 payload, __u32 size)
{
	__u32 head = head_len(shape), done = 0, want, len;
	unsigned int n = 0;

	assert_int_equal(segments_longest(s), head + (payload < size ? payload : size));
	do {
		want = payload - done < size ? payload - done : size;
		memset(out, 0xee, head + want + 1);
		len = segments_next(s, out);
		assert_int_equal(len, head + want);
		assert_int_equal(out[len], 0xee);
		look_at_ip(shape, len, n);
		look_at_l4(shape, len, done, n, done + want == payload);
		assert_memory_equal(out + head, whole + head + done, want);
		done += want;
		n++;
	} while (done < payload);
	assert_int_equal(segments_next(s, out), 0);
}

/* Every length over a few segments, odd and even. */
static void every_size(void **state)
{
	struct segments s;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (__u32 size = 1; size <= 97; size += size < 5 ? 1 : 23) {
			for (__u32 payload = 0; payload <= 4 * size + 1; payload++) {
				__u32 len = make_whole(&shapes[i], payload);

				assert_int_equal(start(&shapes[i], len, size, 65535, &s), 1);
				look_at_all(&shapes[i], &s, payload, size);
			}
		}
	}
}

static void whole_64k(void **state)
{
	struct segments s;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		__u32 payload = 65535 - head_len(&shapes[i]);
		__u32 len = make_whole(&shapes[i], payload);

		assert_int_equal(start(&shapes[i], len, 1448, 65535, &s), 1);
		look_at_all(&shapes[i], &s, payload, 1448);
	}
}

/* TCP is cut to what fits, datagrams are not. */
static void what_fits(void **state)
{
	struct segments s;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *shape = &shapes[i];
		__u32 head = head_len(shape), len;

		for (__u32 max = head + 1; max < head + 1600; max += 13) {
			__u32 size = max - head < 1448 ? max - head : 1448;

			len = make_whole(shape, 5000);
			assert_int_equal(start(shape, len, 1448, max, &s), 1);
			look_at_all(shape, &s, 5000, shape->proto == IPPROTO_TCP ? size : 1448);
		}
		len = make_whole(shape, 5000);
		assert_int_equal(start(shape, len, 1448, head, &s),
				 shape->proto == IPPROTO_TCP ? -EMSGSIZE : 1);
		assert_int_equal(start(shape, len, 1448, 0, &s),
				 shape->proto == IPPROTO_TCP ? -EMSGSIZE : 1);
	}
}

/* In one piece: the checksum is completed, nothing else changes, too long or not. */
static void one_piece(void **state)
{
	static __u8 before[WHOLE_MAX];
	struct segments s;

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		for (__u32 payload = 0; payload < 300; payload++) {
			const struct shape *shape = &shapes[i];
			__u32 len = make_whole(shape, payload), l3 = ip_len(shape);
			__u32 check = l3 + (shape->proto == IPPROTO_TCP ? 16 : 6);

			memcpy(before, whole, len);
			assert_int_equal(start(shape, len, 0, 100, &s), 0);
			assert_int_equal(sum16(pseudo16(whole, len - l3, shape->proto), whole + l3,
					       len - l3),
					 0xffff);
			assert_memory_equal(whole, before, check);
			assert_memory_equal(whole + check + 2, before + check + 2, len - check - 2);
		}
	}
}

/* A sum of 0 is written as its other form: 0 means "no checksum" to UDP. */
static void zero_sum(void **state)
{
	const struct shape *udp = &shapes[2];
	struct segments s;
	__u32 len = make_whole(udp, 2), l3 = ip_len(udp), sum;

	memset(whole + l3 + 8, 0, 2);
	sum = sum16(pseudo16(whole, len - l3, IPPROTO_UDP), whole + l3, 6);
	whole[l3 + 8] = (__u8)(~sum >> 8);
	whole[l3 + 9] = (__u8)~sum;
	assert_int_equal(start(udp, len, 0, 1500, &s), 0);
	assert_int_equal(be16_of(whole + l3 + 6), 0xffff);
}

/* No open checksum: what is there stays, right or wrong. */
static void not_ours(void **state)
{
	struct virtio_net_hdr hdr = {0};
	struct segments s;
	struct inner inner;
	__u32 len = make_whole(&shapes[0], 100);
	__u8 before[200];

	memcpy(before, whole, len);
	assert_int_equal(inner_parse(whole, len, &inner), 0);
	assert_int_equal(segments_start(&hdr, L3_OFF, whole, &inner, 1500, &s), 0);
	assert_memory_equal(whole, before, len);
}

/* ------------------------------------------------------------------ lies */

static void refused(const struct shape *shape, struct virtio_net_hdr hdr)
{
	static __u8 before[WHOLE_MAX];
	__u32 len = make_whole(shape, 3000);
	struct segments s;
	struct inner inner;

	memcpy(before, whole, len);
	assert_int_equal(inner_parse(whole, len, &inner), 0);
	assert_int_equal(segments_start(&hdr, L3_OFF, whole, &inner, 1400, &s), -EINVAL);
	assert_memory_equal(whole, before, len);
}

#define LIE(shape, gso, ...)                                    \
	do {                                                    \
		struct virtio_net_hdr lie = header(shape, gso); \
		__VA_ARGS__;                                    \
		refused(shape, lie);                            \
	} while (0)

static void lies(void **state)
{
	const struct shape *tcp4 = &shapes[0], *tcp6 = &shapes[1], *udp4 = &shapes[2];
	const __u32 len = make_whole(tcp4, 3000);

	/* checksums outside of the packet, or in its IP header */
	LIE(tcp4, 0, lie.csum_start = 0);
	LIE(tcp4, 0, lie.csum_start = L3_OFF + 19);
	LIE(tcp4, 0, lie.csum_start = (__u16)(L3_OFF + len - 17));
	LIE(tcp4, 0, lie.csum_start = 65535);
	LIE(tcp4, 0, lie.csum_offset = 65535);
	LIE(tcp4, 0, lie.csum_offset = (__u16)(len - 24 - 1));
	LIE(tcp4, 0, lie.csum_start = 65535, lie.csum_offset = 65535);
	/* another protocol or family than the packet's */
	LIE(tcp4, 1448, lie.gso_type = VIRTIO_NET_HDR_GSO_TCPV6);
	LIE(tcp6, 1448, lie.gso_type = VIRTIO_NET_HDR_GSO_TCPV4);
	LIE(tcp4, 1448, lie.gso_type = GSO_UDP);
	LIE(udp4, 1448, lie.gso_type = VIRTIO_NET_HDR_GSO_TCPV4);
	/* kinds that nobody asked for */
	LIE(udp4, 1448, lie.gso_type = VIRTIO_NET_HDR_GSO_UDP);
	LIE(tcp4, 1448, lie.gso_type = 2);
	LIE(tcp4, 1448, lie.gso_type = 0x41);
	/* no size, a checksum that was not open */
	LIE(tcp4, 1448, lie.gso_size = 0);
	LIE(udp4, 1448, lie.gso_size = 0);
	LIE(tcp4, 1448, lie.flags = 0);
	LIE(tcp4, 1448, lie.flags = VIRTIO_NET_HDR_F_DATA_VALID);
}

/* Fragments have no transport header of their own to copy. */
static void fragments_are_not_cut(void **state)
{
	static const __u32 offs[] = {0x2000, 0x2001, 0x0001};

	for (size_t i = 0; i < sizeof(offs) / sizeof(offs[0]); i++) {
		struct virtio_net_hdr hdr = header(&shapes[0], 1448);
		__u32 len = make_whole(&shapes[0], 3000);
		struct segments s;
		struct inner inner;

		whole[6] = (__u8)(offs[i] >> 8);
		whole[7] = (__u8)offs[i];
		assert_int_equal(inner_parse(whole, len, &inner), 0);
		assert_int_equal(segments_start(&hdr, L3_OFF, whole, &inner, 1400, &s), -EINVAL);
	}
}

/* With congestion marks (RFC 3168) the type has a flag beside. */
static void ecn_flag(void **state)
{
	struct virtio_net_hdr hdr = header(&shapes[0], 1000);
	__u32 len = make_whole(&shapes[0], 3000);
	struct segments s;
	struct inner inner;

	hdr.gso_type |= VIRTIO_NET_HDR_GSO_ECN;
	assert_int_equal(inner_parse(whole, len, &inner), 0);
	assert_int_equal(segments_start(&hdr, L3_OFF, whole, &inner, 1400, &s), 1);
	look_at_all(&shapes[0], &s, 3000, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_size),
		cmocka_unit_test(whole_64k),
		cmocka_unit_test(what_fits),
		cmocka_unit_test(one_piece),
		cmocka_unit_test(zero_sum),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(lies),
		cmocka_unit_test(ecn_flag),
		cmocka_unit_test(fragments_are_not_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
