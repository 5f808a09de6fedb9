// SPDX-License-Identifier: BSD-2-Clause
/*
 * The MSS that a SYN leaves with, for every way that a packet is carried: a segment of that size
 * fits exactly, one of the next size that padding tells apart does not.
 */
#include "tests/unit/esp_fixture.h"

#include "worker/esp_in.h"
#include "worker/esp_out.h"

#define MTU 1400

static struct frame frame;
static struct xipsec_sa_state out_state, in_state;

/* TCP with `flags`, an MSS option of `mss` (0: none) and `payload` bytes. */
static __u32 tcp_write(__u8 *ip, int family, __u8 flags, __u32 mss, __u32 payload)
{
	__u32 len = (mss ? 24 : 20) + payload, off = ip_write(ip, family, IPPROTO_TCP, len);
	__u8 *tcp = ip + off;

	memset(tcp, 0, len);
	put16(tcp, 4000);
	put16(tcp + 2, 80);
	tcp[12] = mss ? 0x60 : 0x50;
	tcp[13] = flags;
	if (mss) {
		tcp[20] = 2;
		tcp[21] = 4;
		put16(tcp + 22, mss);
	}
	l4_check(ip, family, IPPROTO_TCP, len, 16);
	return off + len;
}

static enum xipsec_reason seal(struct sa *out, const __u8 *ip, __u32 len)
{
	struct packet *p = frame_load(&frame, ip, len);

	p->flags = PACKET_LOCAL;
	esp_out_burst(out, &p, 1, MTU, 1);
	return p->reason;
}

static __u32 mss_after(struct sa *out, struct sa *in, int family, __u32 mss)
{
	__u32 len, off = family == 4 ? 20 : 40;
	struct packet *p = &frame.p;
	__u8 ip[200];

	len = tcp_write(ip, family, 0x02, mss, 0);
	assert_int_equal(seal(out, ip, len), XIPSEC_REASON_SEALED);
	p->reason = 0;
	esp_in_burst(in, &p, 1, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_OPENED);
	assert_int_equal(p->len, len);
	/* the checksum holds */
	assert_int_equal(csum_fold(csum_add(pseudo_fold(p->data, family, IPPROTO_TCP, 24),
					    p->data + off, 24)),
			 0xffff);
	return get16(p->data + off + 22);
}

static void run(int mode, int inner_family, int outer_family, int udp, enum xipsec_alg alg)
{
	struct xipsec_sa config = sa_config(alg, outer_family, 1, XIPSEC_DIR_OUT);
	struct sa *out, *in;
	__u8 ip[2000];
	__u32 mss;

	config.mode = (__u8)mode;
	config.flags |= udp ? XIPSEC_SA_UDP : 0;
	config.src_port = config.dst_port = htons(4500);
	out = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);
	config.dir = XIPSEC_DIR_IN;
	in = sa_make(&config, &in_state, XIPSEC_BACKEND_AUTO);
	mss = mss_after(out, in, inner_family, 8960);
	assert_in_range(mss, MTU - 200, MTU - 60);
	/* what fits is not raised */
	assert_int_equal(mss_after(out, in, inner_family, 500), 500);
	assert_int_equal(mss_after(out, in, inner_family, mss), mss);
	assert_int_equal(seal(out, ip, tcp_write(ip, inner_family, 0x10, 0, mss)),
			 XIPSEC_REASON_SEALED);
	assert_in_range(frame.p.len, MTU - out->align + 1, MTU);
	assert_int_equal(seal(out, ip, tcp_write(ip, inner_family, 0x10, 0, mss + 1)),
			 XIPSEC_REASON_TOO_BIG);
	sa_free(out);
	sa_free(in);
}

static void test_every_way(void **unused)
{
	static const enum xipsec_alg algs[] = {XIPSEC_ALG_AES128GCM16, XIPSEC_ALG_AES256CBC_SHA512};

	for (int a = 0; a < 2; a++)
		for (int udp = 0; udp < 2; udp++)
			for (int outer = 4; outer <= 6; outer += 2) {
				run(XIPSEC_MODE_TUNNEL, 4, outer, udp, algs[a]);
				run(XIPSEC_MODE_TUNNEL, 6, outer, udp, algs[a]);
				run(XIPSEC_MODE_TRANSPORT, outer, outer, udp, algs[a]);
			}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_way),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
