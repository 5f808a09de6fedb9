// SPDX-License-Identifier: BSD-2-Clause
/* The outer header, byte for byte. */
#include "tests/unit/esp_fixture.h"

#include <errno.h>

#include "worker/outer.h"

static void test_ip4(void **unused)
{
	/* 192.0.2.1 to 192.0.2.2, 1500 bytes, DF, TTL 64, ESP, EF with ECT(0) */
	static const __u8 want[20] = {0x45, 0xba, 0x05, 0xdc, 0xbe, 0xef, 0x40, 0x00, 0x40, 0x32,
				      0xf1, 0x42, 0xc0, 0x00, 0x02, 0x01, 0xc0, 0x00, 0x02, 0x02};
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[24];

	assert_int_equal(outer_init(&outer, 4, &sa.src, &sa.dst, IPPROTO_ESP), 0);
	assert_int_equal(outer.len, 20);
	memset(got, 0xaa, sizeof(got));
	outer.write(&outer, got, 1500, 0xba, 0xbeef);
	assert_memory_equal(got, want, 20);
	assert_memory_equal(got + 20, "\xaa\xaa\xaa\xaa", 4);
}

/* Every TOS and a spread of lengths and IDs sums to all ones. */
static void test_ip4_sum(void **unused)
{
	struct xipsec_sa sa = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	struct outer outer;
	__u8 got[20];

	assert_int_equal(outer_init(&outer, 4, &sa.src, &sa.dst, IPPROTO_ESP), 0);
	for (__u32 tos = 0; tos < 256; tos++)
		for (__u32 i = 0; i < 65536; i += 251) {
			outer.write(&outer, got, i, (__u8)tos, (__u16)(65535 - i * 3));
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

	assert_int_equal(outer_init(&outer, 6, &sa.src, &sa.dst, IPPROTO_ESP), 0);
	assert_int_equal(outer.len, 40);
	outer.write(&outer, got, 1500, 0xba, 0xbeef);
	assert_memory_equal(got, want, 40);
}

static void test_family(void **unused)
{
	struct xipsec_addr addr = {0};
	struct outer outer;

	assert_int_equal(outer_init(&outer, 0, &addr, &addr, IPPROTO_ESP), -EINVAL);
	assert_int_equal(outer_init(&outer, 5, &addr, &addr, IPPROTO_ESP), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ip4),
		cmocka_unit_test(test_ip4_sum),
		cmocka_unit_test(test_ip6),
		cmocka_unit_test(test_family),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
