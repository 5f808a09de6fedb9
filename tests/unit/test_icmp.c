// SPDX-License-Identifier: BSD-2-Clause
/* ICMP errors, byte for byte, and when none may be sent. */
#include "tests/unit/esp_fixture.h"

#include <errno.h>

#include "worker/icmp.h"

static struct frame frame;
static const struct xipsec_addr src4 = {.byte = {10, 1, 0, 1}};
static const struct xipsec_addr src6 = {.byte = {0xfd, 0, 0, 1, [15] = 1}};

static const struct xipsec_addr *source(int family)
{
	return family == 4 ? &src4 : &src6;
}

static struct packet *ended(const __u8 *ip, __u32 len, enum xipsec_reason reason)
{
	struct packet *p = frame_load(&frame, ip, len);

	p->reason = (__u16)reason;
	p->icmp_mtu = 1386;
	return p;
}

/* An error about a small packet quotes all of it. */
static void test_ip4_bytes(void **unused)
{
	static const __u8 head[] = {
		0x45, 0xc0, 0x00, 0x42, 0x00, 0x00, 0x40, 0x00, /* 66 bytes, DF */
		0x40, 0x01, 0x25, 0xf4, 10,   1,    0,    1,    /* TTL 64, ICMP */
		10,   1,    0,    5,    0x03, 0x04, 0,    0,    /* fragmentation needed */
		0,    0,    0x05, 0x6a,                         /* MTU 1386 */
	};
	__u8 ip[64], want[128];
	__u32 len = udp_write(ip, 4, 10);
	struct packet *p = ended(ip, len, XIPSEC_REASON_TOO_BIG);

	assert_int_equal(icmp_error_build(p, &src4), 0);
	memcpy(want, head, 28);
	memcpy(want + 28, ip, len);
	put16(want + 22, (__u16)~ntohs(csum_fold(csum_add(0, want + 20, 8 + len))));
	assert_int_equal(p->len, 28 + len);
	assert_memory_equal(p->data, want, p->len);
	assert_int_equal(csum_fold(csum_add(0, p->data, 20)), 0xffff);
	assert_int_equal(p->reason, XIPSEC_REASON_TOO_BIG);
	assert_int_equal(p->headroom, HEADROOM - 28);
	assert_int_equal(p->l4_off, 20);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);

	p = ended(ip, len, XIPSEC_REASON_TTL);
	assert_int_equal(icmp_error_build(p, &src4), 0);
	want[20] = 11;
	want[21] = 0;
	memset(want + 22, 0, 6);
	put16(want + 22, (__u16)~ntohs(csum_fold(csum_add(0, want + 20, 8 + len))));
	assert_memory_equal(p->data, want, p->len);
}

static void test_ip6_bytes(void **unused)
{
	__u8 ip[64], want[128];
	__u32 len = udp_write(ip, 6, 10);
	struct packet *p = ended(ip, len, XIPSEC_REASON_TOO_BIG);

	assert_int_equal(icmp_error_build(p, &src6), 0);
	memset(want, 0, sizeof(want));
	want[0] = 0x60;
	put16(want + 4, 8 + len);
	want[6] = IPPROTO_ICMPV6;
	want[7] = 64;
	memcpy(want + 8, src6.byte, 16);
	memcpy(want + 24, ip + 8, 16);
	want[40] = 2; /* packet too big */
	put16(want + 46, 1386);
	memcpy(want + 48, ip, len);
	l4_check(want, 6, IPPROTO_ICMPV6, 8 + len, 2);
	assert_int_equal(p->len, 48 + len);
	assert_memory_equal(p->data, want, p->len);

	p = ended(ip, len, XIPSEC_REASON_TTL);
	assert_int_equal(icmp_error_build(p, &src6), 0);
	want[40] = 3; /* time exceeded */
	put16(want + 46, 0);
	l4_check(want, 6, IPPROTO_ICMPV6, 8 + len, 2);
	assert_memory_equal(p->data, want, p->len);
}

/* RFC 1812: up to 576 bytes; RFC 4443: up to 1280. */
static void test_quote(void **unused)
{
	__u8 ip[2048];

	for (int family = 4; family <= 6; family += 2)
		for (__u32 payload = 500; payload < 1400; payload++) {
			__u32 len = udp_write(ip, family, payload), head = family == 4 ? 28 : 48;
			__u32 max = family == 4 ? 576 : 1280;
			__u32 want = len + head < max ? len + head : max;
			struct packet *p = ended(ip, len, XIPSEC_REASON_TOO_BIG);

			assert_int_equal(icmp_error_build(p, source(family)), 0);
			assert_int_equal(p->len, want);
			assert_memory_equal(p->data + head, ip, want - head);
			assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);
			if (family == 4) {
				assert_int_equal(csum_fold(csum_add(0, p->data + 20, want - 20)),
						 0xffff);
			} else {
				__u16 pseudo = pseudo_fold(p->data, 6, IPPROTO_ICMPV6, want - 40);

				assert_int_equal(
					csum_fold(csum_add(pseudo, p->data + 40, want - 40)),
					0xffff);
			}
		}
}

static void assert_answer(int want, __u8 *ip, __u32 len, enum xipsec_reason reason)
{
	struct packet *p = ended(ip, len, reason), before = *p;

	assert_int_equal(icmp_error_build(p, source(ip[0] >> 4)), want);
	if (want) {
		assert_memory_equal(p, &before, sizeof(before));
		assert_memory_equal(p->data, ip, len);
	}
}

struct addr_case {
	__u8 addr[4];
	int answered;
};

static void test_ip4_hosts(void **unused)
{
	static const struct addr_case sources[] = {
		{{0, 0, 0, 0}, 0},         {{0, 1, 2, 3}, 0},         {{127, 0, 0, 1}, 0},
		{{224, 0, 0, 1}, 0},       {{239, 255, 255, 255}, 0}, {{240, 0, 0, 1}, 0},
		{{255, 255, 255, 255}, 0}, {{1, 0, 0, 1}, 1},         {{223, 255, 255, 254}, 1},
		{{126, 0, 0, 1}, 1},       {{128, 0, 0, 1}, 1},
	};
	static const struct addr_case targets[] = {
		{{224, 0, 0, 5}, 0},
		{{255, 255, 255, 255}, 0},
		{{223, 1, 1, 1}, 1},
	};
	__u8 ip[64];
	__u32 len = udp_write(ip, 4, 10);

	for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
		memcpy(ip + 12, sources[i].addr, 4);
		assert_answer(sources[i].answered ? 0 : -ENOTSUP, ip, len, XIPSEC_REASON_TTL);
	}
	udp_write(ip, 4, 10);
	for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
		memcpy(ip + 16, targets[i].addr, 4);
		assert_answer(targets[i].answered ? 0 : -ENOTSUP, ip, len, XIPSEC_REASON_TTL);
	}
	/* a later fragment; the first one is answered */
	udp_write(ip, 4, 10);
	put16(ip + 6, 1);
	assert_answer(-ENOTSUP, ip, len, XIPSEC_REASON_TTL);
	put16(ip + 6, 0x2000);
	assert_answer(0, ip, len, XIPSEC_REASON_TTL);
}

static void test_ip4_errors(void **unused)
{
	__u8 ip[64];

	for (int type = 0; type < 256; type++) {
		int query = type == 0 || type == 8 || (type >= 13 && type <= 18);

		ip_write(ip, 4, IPPROTO_ICMP, 8);
		memset(ip + 20, 0, 8);
		ip[20] = (__u8)type;
		assert_answer(query ? 0 : -ENOTSUP, ip, 28, XIPSEC_REASON_TTL);
		assert_answer(query ? 0 : -ENOTSUP, ip, 28, XIPSEC_REASON_TOO_BIG);
	}
}

static void test_ip6_rules(void **unused)
{
	__u8 ip[128];
	__u32 len;

	for (int type = 0; type < 256; type++) {
		ip_write(ip, 6, IPPROTO_ICMPV6, 8);
		memset(ip + 40, 0, 8);
		ip[40] = (__u8)type;
		assert_answer(type >= 128 && type != 137 ? 0 : -ENOTSUP, ip, 48,
			      XIPSEC_REASON_TOO_BIG);
	}
	len = udp_write(ip, 6, 10);
	memset(ip + 8, 0, 16); /* from :: */
	assert_answer(-ENOTSUP, ip, len, XIPSEC_REASON_TOO_BIG);
	ip[23] = 1; /* from ::1 */
	assert_answer(-ENOTSUP, ip, len, XIPSEC_REASON_TOO_BIG);
	ip[8] = 0xff; /* from multicast */
	assert_answer(-ENOTSUP, ip, len, XIPSEC_REASON_TOO_BIG);
	udp_write(ip, 6, 10);
	ip[24] = 0xff; /* to multicast: packet too big alone */
	assert_answer(-ENOTSUP, ip, len, XIPSEC_REASON_TTL);
	assert_answer(0, ip, len, XIPSEC_REASON_TOO_BIG);
}

static void test_refused(void **unused)
{
	__u8 ip[64];

	for (int family = 4; family <= 6; family += 2) {
		__u32 len = udp_write(ip, family, 10);

		for (int reason = 0; reason < XIPSEC_REASON_COUNT; reason++)
			assert_answer(reason == XIPSEC_REASON_TTL || reason == XIPSEC_REASON_TOO_BIG
					      ? 0
					      : -ENOTSUP,
				      ip, len, reason);
		ended(ip, len, XIPSEC_REASON_TTL)->headroom = family == 4 ? 27 : 47;
		assert_int_equal(icmp_error_build(&frame.p, source(family)), -ENOTSUP);
		assert_memory_equal(frame.p.data, ip, len);
		assert_answer(-ENOTSUP, ip, len - 1, XIPSEC_REASON_TTL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip4_bytes),  cmocka_unit_test(test_ip6_bytes),
		cmocka_unit_test(test_quote),      cmocka_unit_test(test_ip4_hosts),
		cmocka_unit_test(test_ip4_errors), cmocka_unit_test(test_ip6_rules),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
