// SPDX-License-Identifier: BSD-2-Clause
/* The outer header, byte for byte. */
#include "tests/unit/esp_fixture.h"

#include <errno.h>

#include "worker/outer.h"

static const struct shown marked = {.tos = 0xba, .df = OUTER_DF, .flow = 0x54321};

static void test_ip4(void **unused)
{
	/* 192.0.2.1 to 192.0.2.2, 1500 bytes, DF, TTL 64, ESP, EF with ECT(0) */
	static const __u8 want[20] = {0x45, 0xba, 0x05, 0xdc, 0xbe, 0xef, 0x40, 0x00, 0x40, 0x32,
				      0xf1, 0x42, 0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02, 0x02};
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[24];

	assert_int_equal(outer_init(&outer, &sa), 0);
	assert_int_equal(outer.len, 20);
	memset(got, 0xaa, sizeof(got));
	outer.write(&outer, got, 1500, &marked, 0xbeef);
	assert_memory_equal(got, want, 20);
	assert_memory_equal(got + 20, "\xaa\xaa\xaa\xaa", 4);
}

/* Every TOS and a spread of lengths and IDs sums to all ones. */
static void test_ip4_sum(void **unused)
{
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[20];

	assert_int_equal(outer_init(&outer, &sa), 0);
	for (__u32 tos = 0; tos < 256; tos++)
		for (__u32 i = 0; i < 65536; i += 251) {
			struct shown shown = {.tos = (__u8)tos, .df = tos & 1 ? OUTER_DF : 0};

			sa.df = i % 3;
			assert_int_equal(outer_init(&outer, &sa), 0);
			outer.write(&outer, got, i, &shown, (__u16)(65535 - i * 3));
			assert_int_equal(get16(got + 6), sa.df == XIPSEC_DF_SET ? 0x4000
							 : sa.df == XIPSEC_DF_COPY && shown.df
								 ? 0x4000
								 : 0);
			assert_int_equal(csum_fold(csum_add(0, got, 20)), 0xffff);
			assert_int_equal(get16(got + 2), i);
			assert_int_equal(got[1], tos);
		}
}

static void test_ip6(void **unused)
{
	static const __u8 want[40] = {0x6b, 0xa0, 0x00, 0x00, 0x05, 0xb4, 0x32, 0x40, 0x20, 0x01,
				      0x0d, 0xb8, 0,    0,    0,    0,    0,    0,    0,    0,
				      0,    0,    0,    1,    0x20, 0x01, 0x0d, 0xb8, 0,    0,
				      0,    0,    0,    0,    0,    0,    0,    0,    0,    2};
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[40];

	assert_int_equal(outer_init(&outer, &sa), 0);
	assert_int_equal(outer.len, 40);
	outer.write(&outer, got, 1500, &marked, 0xbeef);
	assert_memory_equal(got, want, 40);
}

/* What the SA says of TTL, DSCP, ECN and the flow label. */
static void test_options(void **unused)
{
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[48];

	sa.ttl = 9;
	sa.flags = XIPSEC_SA_DSCP | XIPSEC_SA_NO_ECN | XIPSEC_SA_FLOW_COPY;
	sa.dscp = 46;
	assert_int_equal(outer_init(&outer, &sa), 0);
	outer.write(&outer, got, 100, &marked, 0);
	assert_memory_equal(got, "\x6b\x85\x43\x21", 4);
	assert_int_equal(got[7], 9);
	sa.flags = XIPSEC_SA_NO_ECN;
	assert_int_equal(outer_init(&outer, &sa), 0);
	outer.write(&outer, got, 100, &marked, 0);
	assert_memory_equal(got, "\x6b\x80\0\0", 4);
	sa.flags = XIPSEC_SA_DSCP;
	sa.dscp = 0;
	assert_int_equal(outer_init(&outer, &sa), 0);
	outer.write(&outer, got, 100, &marked, 0);
	assert_memory_equal(got, "\x60\x20\0\0", 4);
	sa.outer_family = 4;
	assert_int_equal(outer_init(&outer, &sa), 0);
	outer.write(&outer, got, 100, &marked, 0);
	assert_int_equal(got[1], 2);
	assert_int_equal(got[8], 9);
}

/* RFC 3948 2.1: over IPv4 the checksum is 0; over IPv6 there must be one. */
static void test_udp(void **unused)
{
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[120];

	sa.flags = XIPSEC_SA_UDP;
	sa.src_port = htons(4500);
	sa.dst_port = htons(40000);
	assert_int_equal(outer_init(&outer, &sa), 0);
	assert_int_equal(outer.len, 28);
	outer.write(&outer, got, 100, &marked, 0);
	assert_int_equal(got[9], IPPROTO_UDP);
	assert_memory_equal(got + 20, "\x11\x94\x9c\x40\x00\x50\0\0", 8);
	assert_int_equal(csum_fold(csum_add(0, got, 20)), 0xffff);

	sa.outer_family = 6;
	memset(&sa.dst.byte, 0x77, 16);
	for (__u32 len = 48; len < sizeof(got); len++) {
		__u64 sum;

		assert_int_equal(outer_init(&outer, &sa), 0);
		for (__u32 i = 0; i < len; i++)
			got[i] = (__u8)(i * len);
		outer.write(&outer, got, len, &marked, 0);
		assert_int_equal(got[6], IPPROTO_UDP);
		outer_finish_udp6(got, 40, len);
		sum = csum_add((__u64)htons((__u16)(len - 40)) + htons(IPPROTO_UDP), got + 8, 32);
		assert_int_equal(csum_fold(csum_add(sum, got + 40, len - 40)), 0xffff);
		assert_int_not_equal(get16(got + 46), 0);
	}
}

/* RFC 8200 8.1: a sum that comes out as 0 travels as all ones, for 0 says that there is none. */
static void test_udp6_zero(void **unused)
{
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[100];
	__u16 rest;

	sa.flags = XIPSEC_SA_UDP;
	sa.src_port = sa.dst_port = htons(4500);
	assert_int_equal(outer_init(&outer, &sa), 0);
	for (__u32 first = 0; first < 256; first += 5) {
		memset(got, (int)first, sizeof(got));
		outer.write(&outer, got, sizeof(got), &marked, 0);
		put16(got + 98, 0);
		rest = csum_fold(
			csum_add(csum_add((__u64)htons(60) + htons(IPPROTO_UDP), got + 8, 32),
				 got + 40, 60));
		rest = (__u16)~rest; /* the last word makes the sum all ones, its complement 0 */
		memcpy(got + 98, &rest, 2);
		outer_finish_udp6(got, 40, sizeof(got));
		assert_int_equal(get16(got + 46), 0xffff);
	}
}

static void test_family(void **unused)
{
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct outer outer;

	sa.outer_family = 0;
	assert_int_equal(outer_init(&outer, &sa), -EINVAL);
	sa.outer_family = 5;
	assert_int_equal(outer_init(&outer, &sa), -EINVAL);
}

/* Behind a routing header with segments left the sum is over the address that the packet ends at.
 */
static void test_udp6_routed(void **unused)
{
	static const struct {
		__u8 type, left, final; /* which address: 0 the header's, 1 or 2 of the list */
	} cases[] = {{0, 2, 2}, {0, 1, 2}, {0, 0, 0}, {4, 1, 1}, {4, 0, 0}, {253, 1, 0}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u8 ip[40 + 8 + 40 + 20] = {0x60}, *ext = ip + 48, *udp = ip + 88;
		const __u8 *dst = cases[i].final ? ext + 8 + 16 * (cases[i].final - 1) : ip + 24;

		ip[6] = IPPROTO_HOPOPTS;
		ip[40] = IPPROTO_ROUTING;
		ip[42] = 1; /* PadN */
		ip[43] = 4;
		memset(ip + 8, 0x11, 16);
		memset(ip + 24, 0x22, 16);
		ext[0] = IPPROTO_UDP;
		ext[1] = 4;
		ext[2] = cases[i].type;
		ext[3] = cases[i].left;
		memset(ext + 8, 0x33, 16);
		memset(ext + 24, 0x47, 16);
		memset(udp, 0x5a, 20);
		memset(udp + 6, 0, 2);
		outer_finish_udp6(ip, 88, sizeof(ip));
		assert_int_equal(
			csum_fold(csum_add(
				csum_add(csum_add(htons(20) + htons(IPPROTO_UDP), ip + 8, 16), dst,
					 16),
				udp, 20)),
			0xffff);
	}
}

/* Three workers: nobody gives what another gave, before each has given all of its own. */
static void test_ids(void **unused)
{
	static __u8 given[65536];
	__u16 first[8] = {0};

	memset(given, 0, sizeof(given));
	for (__u32 worker = 0; worker < 3; worker++) {
		outer_ids(worker, 3);
		for (int i = 0; i < 65536 / 4; i++)
			assert_int_equal(given[outer_next_id()]++, 0);
		given[outer_next_id()]++;
	}
	/* Alone it has all of them, and does not begin where it began before. */
	for (int i = 0; i < 8; i++) {
		outer_ids(0, 1);
		first[i] = outer_next_id();
	}
	assert_true(memcmp(first, first + 1, sizeof(first) - sizeof(first[0])));
	memset(given, 0, sizeof(given));
	for (int i = 0; i < 65536; i++)
		assert_int_equal(given[outer_next_id()]++, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids),       cmocka_unit_test(test_udp6_routed),
		cmocka_unit_test(test_ip4),       cmocka_unit_test(test_ip4_sum),
		cmocka_unit_test(test_ip6),       cmocka_unit_test(test_options),
		cmocka_unit_test(test_udp6_zero), cmocka_unit_test(test_udp),
		cmocka_unit_test(test_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
