// SPDX-License-Identifier: BSD-2-Clause
/*
 * SYNs that come out of a tunnel: their MSS is lowered to what the way back has room for. The peer,
 * which is the worker itself, clamped by an MTU that has become smaller since.
 */
#include "tests/unit/pipeline_fixture.h"

#include "worker/checksum.h"

#define LATER_MTU 1400
/* Outer IPv4, ESP header and IV, ICV, trailer, in steps of 4 */
#define INNER(mtu) ((((mtu)-20 - 16 - 16) & ~3) - 2)

static __u8 frame[200];

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static __u32 get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

static __u32 ip_len(int family)
{
	return family == 4 ? 20 : 40;
}

/* Sum over pseudo-header and segment: 0xffff when the checksum is right. */
static __u16 tcp_sum(const __u8 *ip, int family, __u32 tcp_len)
{
	__u64 sum = (__u64)htons((__u16)tcp_len) + htons(IPPROTO_TCP);

	sum = family == 4 ? csum_add(sum, ip + 12, 8) : csum_add(sum, ip + 8, 32);
	return csum_fold(csum_add(sum, ip + ip_len(family), tcp_len));
}

static void syn_write(int family, __u32 mss)
{
	__u8 *ip = frame + 14, *tcp = ip + ip_len(family);
	__u16 check;

	memset(frame, 0, sizeof(frame));
	memcpy(frame, "\x02\0\0\0\0\x11\x02\0\0\0\0\x22", 12);
	put16(frame + 12, family == 4 ? 0x0800 : 0x86dd);
	if (family == 4) {
		memcpy(ip, "\x45\0\0\x2c\0\0\x40\0\x40\x06\0\0\x0a\x01\0\x01\x0a\x02\0\x01", 20);
		check = (__u16)~csum_fold(csum_add(0, ip, 20));
		memcpy(ip + 10, &check, 2);
	} else {
		memcpy(ip, "\x60\0\0\0\0\x18\x06\x40", 8);
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
	}
	put16(tcp, 4000);
	put16(tcp + 2, 80);
	tcp[12] = 0x60;
	tcp[13] = 0x02;
	memcpy(tcp + 20, "\x02\x04", 2);
	put16(tcp + 22, mss);
	check = (__u16)~tcp_sum(ip, family, 24);
	memcpy(tcp + 16, &check, 2);
}

static void tell_hop6(void)
{
	struct ctl_in in = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					    .family = XIPSEC_FAMILY_IP6,
					    .status = XIPSEC_NEXTHOP_OK,
					    .slot = RED,
					    .mtu = fixture_mtu,
					    .lifetime = 60}};

	in.msg.nexthop.dst.byte[0] = 0xfd;
	in.msg.nexthop.dst.byte[15] = 2;
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* The MSS that it arrives with on red, sealed while black had `then`, opened while it has `now`. */
static __u32 mss_after(int family, __u32 mss, __u32 then, __u32 now)
{
	struct xipsec_meta out = meta_of(XIPSEC_DIR_OUT), in = meta_of(XIPSEC_DIR_IN);
	const __u8 *ip = t.sent + 14;
	__u32 len;

	out.family = family == 4 ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6;
	out.l4_off = (__u16)(14 + ip_len(family));
	tell_dev_mtu(BLACK, XIPSEC_ROLE_UNPROTECTED, then);
	syn_write(family, mss);
	rx(&t.red, frame, 14 + ip_len(family) + 24, &out);
	go_round();
	len = tx(&t.black);
	tell_dev_mtu(BLACK, XIPSEC_ROLE_UNPROTECTED, now);
	rx(&t.black, t.sent, len, &in);
	go_round();
	assert_int_equal(tx(&t.red), 14 + ip_len(family) + 24);
	assert_int_equal(tcp_sum(ip, family, 24), 0xffff);
	return get16(ip + ip_len(family) + 22);
}

static void lowered(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	tell_hop6();
	for (int family = 4; family <= 6; family += 2) {
		const __u32 headers = ip_len(family) + 20;

		assert_int_equal(mss_after(family, 1460, 1500, 1500), INNER(1500) - headers);
		assert_int_equal(mss_after(family, 1460, 1500, LATER_MTU),
				 INNER(LATER_MTU) - headers);
		/* what fits is not raised, and stays */
		assert_int_equal(mss_after(family, 500, 1500, LATER_MTU), 500);
		assert_int_equal(mss_after(family, 1460, LATER_MTU, 1500),
				 INNER(LATER_MTU) - headers);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(lowered)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
