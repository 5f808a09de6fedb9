// SPDX-License-Identifier: BSD-2-Clause
/* Fields that no config would let through, from a client that is not to be trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/sa_fault.h"

static const struct xipsec_sa good = {.spi = 0xffffffff,
				      .outer_family = XIPSEC_FAMILY_IP4,
				      .l4_proto = IPPROTO_ESP,
				      .dir = XIPSEC_DIR_OUT,
				      .mode = XIPSEC_MODE_TUNNEL,
				      .alg = XIPSEC_ALG_AES128GCM16,
				      .window = 1024,
				      .key_len = 20};

static void fields(void **state)
{
	struct sa_fault faults[SA_FAULTS_MAX];
	struct xipsec_sa sa = good;

	assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0);
#define FAULT(change, word)                                                                    \
	do {                                                                                   \
		sa = good;                                                                     \
		change;                                                                        \
		assert_true(sa_faults(&sa, faults, SA_FAULTS_MAX) > 0);                        \
		assert_true(strstr(faults[0].what, word) || strstr(faults[0].expected, word)); \
	} while (0)
	FAULT(sa.dir = 3, "direction");
	FAULT(sa.outer_family = 5, "IPv4");
	FAULT(sa.mode = 3, "mode");
	FAULT(sa.mode = 0, "mode");
	FAULT(sa.l4_proto = IPPROTO_UDP, "protocol");
	FAULT(sa.l4_proto = IPPROTO_AH, "no cipher");
	FAULT(sa.alg = XIPSEC_ALG_COUNT, "algorithm");
	FAULT(sa.alg = 0; sa.key_len = 0, "algorithm");
	FAULT(sa.alg = XIPSEC_ALG_AES256CBC_SHA512, "length");
	FAULT(sa.engine = 3, "engine");
	FAULT(sa.flags |= 0x8000, "flags");
	FAULT(sa.flags |= XIPSEC_SA_UDP; sa.src_port = htons(4500), "destination port");
	FAULT(sa.flags |= XIPSEC_SA_UDP; sa.dst_port = htons(4500), "source port");
	FAULT(sa.src_port = 1, "only ESP in UDP");
	FAULT(sa.dir = XIPSEC_DIR_IN; sa.flags |= XIPSEC_SA_UDP; sa.src_port = htons(4500);
	      sa.dst_port = htons(5500), "4500 alone");
	FAULT(sa.df = 3, "df");
	FAULT(sa.dscp = 64; sa.flags |= XIPSEC_SA_DSCP, "dscp");
	FAULT(sa.dscp = 1, "flag");
	FAULT(sa.flags |= XIPSEC_SA_FLOW_COPY, "flow label");
	FAULT(sa.tfc_size = 65536, "large");
	FAULT(sa.dummies = 10001, "dummy");
	FAULT(sa.mode = XIPSEC_MODE_TRANSPORT; sa.ttl = 1, "mode = tunnel");
	FAULT(sa.outer_family = XIPSEC_FAMILY_IP6; sa.df = XIPSEC_DF_COPY, "IPv6");
	FAULT(sa.limits.soft_time = 2; sa.limits.hard_time = 1, "life_time");
	FAULT(sa.limits.soft_bytes = 2; sa.limits.hard_bytes = 1, "life_bytes");
	FAULT(sa.limits.soft_packets = 2; sa.limits.hard_packets = 1, "life_packets");
	FAULT(sa.n_selectors = XIPSEC_SELECTORS_MAX + 1, "at most 512");
	FAULT(sa.dir = XIPSEC_DIR_IN; sa.n_selectors = 1; sa.ttl = 1, "outbound");
	FAULT(sa.spi = htonl(255), "reserved");
	FAULT(sa.window = 63, "window");
	FAULT(sa.window = 8193, "window");
#undef FAULT
	sa = good;
	sa.mode = XIPSEC_MODE_TRANSPORT;
	sa.dummies = 1;
	assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0);
}

/* What kernel XFRM has not is said by name, of this engine alone. */
static void what_the_kernel_has_not(void **state)
{
	struct sa_fault faults[SA_FAULTS_MAX];
	struct xipsec_sa sa = good;

	sa.engine = XIPSEC_ENGINE_XFRM;
	assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0);
#define FAULT(of, change)                                                   \
	do {                                                                \
		sa = good;                                                  \
		change;                                                     \
		assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0); \
		sa.engine = XIPSEC_ENGINE_XFRM;                             \
		assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 1); \
		assert_string_equal(faults[0].key, of);                     \
		assert_non_null(strstr(faults[0].what, "kernel XFRM"));     \
	} while (0)
	FAULT("algorithm", sa.alg = XIPSEC_ALG_AES128GCM16IIV);
	FAULT("algorithm", sa.alg = XIPSEC_ALG_AES128GMAC; sa.l4_proto = IPPROTO_AH);
	FAULT("algorithm", sa.flags = XIPSEC_SA_MANUAL);
	FAULT("replay_window", sa.window = 4097);
	FAULT("dscp", sa.flags = XIPSEC_SA_DSCP; sa.dscp = 46);
	FAULT("ttl", sa.ttl = 9);
	FAULT("dummies", sa.dummies = 1);
	FAULT("mode", sa.if_id = 7; sa.mode = XIPSEC_MODE_TRANSPORT);
	FAULT("src_port", sa.flags = XIPSEC_SA_UDP; sa.src_port = sa.dst_port = htons(4501));
#undef FAULT
	sa = good;
	sa.engine = XIPSEC_ENGINE_XFRM;
	sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0);
	sa.mode = XIPSEC_MODE_TUNNEL;
	sa.flags = XIPSEC_SA_MANUAL | XIPSEC_SA_DSCP;
	sa.alg = XIPSEC_ALG_AES128CBC_SHA256;
	sa.key_len = 48;
	sa.window = 4096;
	assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0);
	sa.flags |= XIPSEC_SA_UDP;
	sa.src_port = sa.dst_port = htons(4500);
	assert_int_equal(sa_faults(&sa, faults, SA_FAULTS_MAX), 0);
}

/* All bits set, and none: whatever is wrong, the list ends where it has to. */
static void no_more_than_asked(void **state)
{
	struct sa_fault faults[SA_FAULTS_MAX + 1] = {0};
	struct xipsec_sa sa;

	memset(&sa, 0xff, sizeof(sa));
	assert_in_range(sa_faults(&sa, faults, SA_FAULTS_MAX), 8, SA_FAULTS_MAX - 1);
	memset(&sa, 0, sizeof(sa));
	memset(faults, 0, sizeof(faults));
	assert_int_equal(sa_faults(&sa, faults, 2), 2);
	assert_non_null(faults[1].key);
	assert_null(faults[2].key);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fields),
		cmocka_unit_test(what_the_kernel_has_not),
		cmocka_unit_test(no_more_than_asked),
	};

	return cmocka_run_group_tests_name("sa_fault", tests, NULL, NULL);
}
