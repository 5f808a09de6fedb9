// SPDX-License-Identifier: BSD-2-Clause
/* The steps of a forwarded inner packet, byte for byte. */
#include "tests/unit/esp_fixture.h"

#include "worker/inner.h"

static struct frame frame;
static struct inner inner;
static const int families[] = {4, 6};

static __u32 header_len(int family)
{
	return family == 4 ? 20 : 40;
}

/* ---------------------------------------------------------------- parse */

static void test_parse(void **unused)
{
	__u8 ip[256];

	for (int f = 0; f < 2; f++) {
		__u32 len = udp_write(ip, families[f], 10);

		if (families[f] == 4)
			ip[1] = 0xba;
		else
			put16(ip, 0x6ba5);
		assert_int_equal(inner_parse(ip, len + 7, &inner), XIPSEC_REASON_UNSPEC);
		assert_int_equal(inner.len, len);
		assert_int_equal(inner.family, families[f]);
		assert_int_equal(inner.l4_off, header_len(families[f]));
		assert_int_equal(inner.tos, 0xba);
		assert_int_equal(inner.ttl, 64);
		assert_int_equal(inner.l4_proto, IPPROTO_UDP);
		assert_int_equal(inner.opaque, 0);
		assert_int_equal(inner.flags & ~INNER_DF, 0);
	}
}

/* Cut anywhere: refused, and no byte behind the cut is read. */
static void test_parse_cut(void **unused)
{
	__u8 ip[256];

	for (int f = 0; f < 2; f++) {
		__u32 len = udp_write(ip, families[f], 10);

		for (__u32 cut = 0; cut < len; cut++) {
			__u8 *copy = malloc(cut ? cut : 1);
			__u32 off = header_len(families[f]);

			memcpy(copy, ip, cut);
			assert_int_equal(inner_parse(copy, cut, &inner),
					 XIPSEC_REASON_INNER_MALFORMED);
			/* with the IP length made right: the UDP length lies */
			if (cut >= off) {
				put16(copy + (families[f] == 4 ? 2 : 4),
				      families[f] == 4 ? cut : cut - off);
				assert_int_equal(inner_parse(copy, cut, &inner),
						 XIPSEC_REASON_INNER_MALFORMED);
			}
			free(copy);
		}
	}
}

struct malformed_case {
	const char *name;
	int family;
	__u32 off;
	__u8 value;
};

static void test_parse_malformed(void **unused)
{
	static const struct malformed_case cases[] = {
		{"version 0", 4, 0, 0x05},
		{"version 5", 4, 0, 0x55},
		{"version 15", 4, 0, 0xf5},
		{"ihl 4", 4, 0, 0x44},
		{"ihl 0", 4, 0, 0x40},
		{"ihl over the end", 4, 0, 0x4f},
		{"length below ihl", 4, 3, 19},
		{"length over the end", 4, 3, 200},
		{"udp length 7", 4, 25, 7},
		{"udp length over the end", 4, 25, 100},
		{"v6 length over the end", 6, 5, 100},
		{"v6 udp length", 6, 45, 7},
		{"v6 chain over the end", 6, 6, 60},
	};
	__u8 ip[256];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u32 len = udp_write(ip, cases[i].family, 10);

		ip[cases[i].off] = cases[i].value;
		if (cases[i].family == 6 && cases[i].off == 6)
			ip[41] = 200; /* of the destination options that it now has */
		if (inner_parse(ip, len, &inner) != XIPSEC_REASON_INNER_MALFORMED)
			fail_msg("%s: taken", cases[i].name);
	}
	/* a fragment up to byte 65,534 of its datagram, and one beyond the last */
	udp_write(ip, 4, 10);
	put16(ip + 6, 65496 / 8);
	assert_int_equal(inner_parse(ip, 38, &inner), XIPSEC_REASON_UNSPEC);
	put16(ip + 6, 65504 / 8);
	assert_int_equal(inner_parse(ip, 38, &inner), XIPSEC_REASON_INNER_MALFORMED);
	/* a jumbogram */
	udp_write(ip, 6, 10);
	put16(ip + 4, 0);
	ip[6] = IPPROTO_HOPOPTS;
	assert_int_equal(inner_parse(ip, 58, &inner), XIPSEC_REASON_INNER_MALFORMED);
}

/* `n` destination options of 8 bytes each, a fragment header if frag >= 0, then UDP. */
static __u32 chain_write(__u8 *ip, int n, int frag)
{
	__u32 off = 40, ext = (__u32)n * 8 + (frag >= 0 ? 8 : 0);

	ip_write(ip, 6, n ? IPPROTO_DSTOPTS : frag >= 0 ? IPPROTO_FRAGMENT : IPPROTO_UDP, ext + 18);
	memset(ip + off, 0, ext + 18);
	for (int i = 0; i < n; i++, off += 8)
		ip[off] = i < n - 1 ? IPPROTO_DSTOPTS
				    : (frag >= 0 ? IPPROTO_FRAGMENT : IPPROTO_UDP);
	if (frag >= 0) {
		ip[off] = IPPROTO_UDP;
		put16(ip + off + 2, (__u32)frag);
		off += 8;
	}
	put16(ip + off, 4000);
	put16(ip + off + 2, 5000);
	put16(ip + off + 4, 18);
	return off + 18;
}

static void test_parse_chain(void **unused)
{
	__u8 ip[512];
	__u32 len;

	for (int n = 0; n <= 7; n++) {
		len = chain_write(ip, n, -1);
		assert_int_equal(inner_parse(ip, len, &inner),
				 n <= 6 ? XIPSEC_REASON_UNSPEC : XIPSEC_REASON_INNER_MALFORMED);
		if (n <= 6) {
			assert_int_equal(inner.l4_off, 40 + 8 * n);
			assert_int_equal(inner.l4_proto, IPPROTO_UDP);
		}
	}
	len = chain_write(ip, 1, 0); /* an atomic fragment hides nothing */
	assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_UNSPEC);
	assert_int_equal(inner.flags & ~INNER_DF, 0);
	assert_int_equal(inner.opaque, 0);
	len = chain_write(ip, 1, 1); /* a first one */
	assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_UNSPEC);
	assert_int_equal(inner.flags & ~INNER_DF, INNER_FRAG);
	assert_int_equal(inner.opaque, 0);
	len = chain_write(ip, 0, 8); /* a later one */
	assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_UNSPEC);
	assert_int_equal(inner.flags & ~INNER_DF, INNER_FRAG);
	assert_int_equal(inner.opaque, XIPSEC_OPAQUE_PORTS);
	assert_int_equal(inner.l4_proto, IPPROTO_UDP);
	ip[40] = IPPROTO_DSTOPTS; /* whose protocol is hidden too */
	assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_UNSPEC);
	assert_int_equal(inner.opaque, XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO);
	len = chain_write(ip, 1, -1);
	ip[6] = IPPROTO_ROUTING;
	assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_UNSPEC);
	assert_int_equal(inner.flags & ~INNER_DF, INNER_ROUTED);
}

static void test_flow(void **unused)
{
	struct xipsec_flow flow;
	__u8 ip[256];

	for (int f = 0; f < 2; f++) {
		__u32 len = udp_write(ip, families[f], 10), off = families[f] == 4 ? 12 : 8;
		__u32 addr_len = families[f] == 4 ? 4 : 16;

		assert_int_equal(inner_parse(ip, len, &inner), 0);
		inner_flow(ip, &inner, XIPSEC_DIR_OUT, &flow);
		assert_memory_equal(flow.local.byte, ip + off, addr_len);
		assert_memory_equal(flow.remote.byte, ip + off + addr_len, addr_len);
		assert_int_equal(flow.local_port, 4000);
		assert_int_equal(flow.remote_port, 5000);
		inner_flow(ip, &inner, XIPSEC_DIR_IN, &flow);
		assert_memory_equal(flow.remote.byte, ip + off, addr_len);
		assert_memory_equal(flow.local.byte, ip + off + addr_len, addr_len);
		assert_int_equal(flow.local_port, 5000);
		assert_int_equal(flow.remote_port, 4000);
		assert_int_equal(flow.family, families[f]);
		assert_int_equal(flow.l4_proto, IPPROTO_UDP);
		if (families[f] == 4)
			assert_int_equal(flow.local.word[1] | flow.remote.word[3], 0);
	}
	/* ICMP: type and code in place of ports */
	ip_write(ip, 4, IPPROTO_ICMP, 8);
	memcpy(ip + 20, "\x03\x04\0\0\0\0\0\0", 8);
	assert_int_equal(inner_parse(ip, 28, &inner), 0);
	inner_flow(ip, &inner, XIPSEC_DIR_IN, &flow);
	assert_int_equal(flow.icmp, 0x0304);
	assert_int_equal(flow.local_port | flow.remote_port, 0);
}

/* ---------------------------------------------------------------- TTL, size */

static void test_ttl(void **unused)
{
	__u8 ip[256], want[256];

	for (int f = 0; f < 2; f++)
		for (int ttl = 0; ttl < 256; ttl++) {
			__u32 len = udp_write(ip, families[f], 10);
			__u32 at = families[f] == 4 ? 8 : 7;

			ip[at] = (__u8)ttl;
			if (families[f] == 4)
				ip4_check(ip);
			frame_load(&frame, ip, len);
			assert_int_equal(inner_parse(ip, len, &inner), 0);
			if (ttl <= 1) {
				assert_int_equal(inner_out(&frame.p, &inner, 1400),
						 XIPSEC_REASON_TTL);
				assert_memory_equal(frame.p.data, ip, len);
				continue;
			}
			assert_int_equal(inner_out(&frame.p, &inner, 1400), 0);
			memcpy(want, ip, len);
			want[at]--;
			if (families[f] == 4)
				ip4_check(want);
			assert_memory_equal(frame.p.data, want, len);
		}
}

static void test_ttl_wrong_sum(void **unused)
{
	__u8 ip[256];
	__u32 len = udp_write(ip, 4, 10);

	ip[10] ^= 0x11;
	frame_load(&frame, ip, len);
	assert_int_equal(inner_parse(ip, len, &inner), 0);
	assert_int_equal(inner_out(&frame.p, &inner, 1400), 0);
	assert_int_not_equal(csum_fold(csum_add(0, frame.p.data, 20)), 0xffff);
}

static void test_too_big(void **unused)
{
	__u8 ip[2048];

	for (int f = 0; f < 2; f++)
		for (int df = 0; df < 2; df++) {
			__u32 len = udp_write(ip, families[f], 1400);

			if (df && families[f] == 4) {
				ip[6] = 0x40;
				ip4_check(ip);
			}
			frame_load(&frame, ip, len);
			assert_int_equal(inner_parse(ip, len, &inner), 0);
			assert_int_equal(inner_out(&frame.p, &inner, len - 1),
					 XIPSEC_REASON_TOO_BIG);
			assert_int_equal(frame.p.icmp_mtu, len - 1);
			assert_memory_equal(frame.p.data, ip, len);
			/* IPv6 senders are never told less than 1280 */
			assert_int_equal(inner_out(&frame.p, &inner, 1000), XIPSEC_REASON_TOO_BIG);
			assert_int_equal(frame.p.icmp_mtu, families[f] == 4 ? 1000 : 1280);
			assert_int_equal(inner_out(&frame.p, &inner, len), 0);
		}
}

/* ---------------------------------------------------------------- checksums */

/* A transport packet of `l4_len` bytes with its checksum field holding `field`. */
static __u32 l4_write(__u8 *ip, int family, __u8 proto, __u32 l4_len, __u32 check)
{
	__u32 off = ip_write(ip, family, proto, l4_len);

	for (__u32 i = 0; i < l4_len; i++)
		ip[off + i] = (__u8)(i * 13 + 3);
	if (proto == IPPROTO_TCP)
		ip[off + 12] = 0x50, ip[off + 13] = 0x10;
	if (proto == IPPROTO_UDP)
		put16(ip + off + 4, l4_len);
	l4_check(ip, family, proto, l4_len, check);
	return off + l4_len;
}

static void assert_completed(__u8 *ip, __u32 len, const __u8 *want)
{
	assert_int_equal(inner_parse(ip, len, &inner), 0);
	inner_complete(ip, &inner);
	assert_memory_equal(ip, want, len);
}

static void run_checksums(int family, __u8 proto, __u32 l4_len)
{
	__u32 check = proto == IPPROTO_TCP ? 16 : 6, off = header_len(family);
	__u8 whole[2048], ip[2048], want[2048];
	__u32 len = l4_write(whole, family, proto, l4_len, check);
	__u16 partial = pseudo_fold(whole, family, proto, l4_len);

	/* partial: completed */
	memcpy(ip, whole, len);
	memcpy(ip + off + check, &partial, 2);
	assert_completed(ip, len, whole);
	/* complete: left alone */
	assert_completed(ip, len, whole);
	/* corrupt in the field or in the data: left alone */
	memcpy(ip, whole, len);
	ip[off + check] ^= 1;
	memcpy(want, ip, len);
	assert_completed(ip, len, want);
	memcpy(ip, whole, len);
	ip[off] ^= 0x40;
	memcpy(want, ip, len);
	assert_completed(ip, len, want);
	/* no checksum (UDP) or a zero: left alone */
	memcpy(ip, whole, len);
	put16(ip + off + check, 0);
	memcpy(want, ip, len);
	assert_completed(ip, len, want);
	/* partial, but a fragment: left alone */
	if (family == 4) {
		memcpy(ip, whole, len);
		memcpy(ip + off + check, &partial, 2);
		put16(ip + 6, 0x2000);
		memcpy(want, ip, len);
		assert_completed(ip, len, want);
	}
}

static void test_checksums(void **unused)
{
	for (int f = 0; f < 2; f++)
		for (__u32 l4_len = 20; l4_len < 1500; l4_len += 37) {
			run_checksums(families[f], IPPROTO_TCP, l4_len);
			run_checksums(families[f], IPPROTO_UDP, l4_len);
		}
}

/* The field holds the pseudo-header's sum by chance, and verifies: data that sums to -2 times it.
 */
static void test_checksum_by_chance(void **unused)
{
	__u8 ip[64], want[64];
	__u32 len = l4_write(ip, 4, IPPROTO_UDP, 20, 6);
	__u16 partial = pseudo_fold(ip, 4, IPPROTO_UDP, 20), fill;

	memcpy(ip + 26, &partial, 2);
	memset(ip + 38, 0, 2);
	fill = (__u16)~csum_fold(csum_add(partial, ip + 20, 20));
	memcpy(ip + 38, &fill, 2);
	assert_int_equal(csum_fold(csum_add(partial, ip + 20, 20)), 0xffff);
	memcpy(want, ip, len);
	assert_completed(ip, len, want);
}

/* A UDP sum that comes out as 0 is sent as all ones (RFC 768); TCP has no such rule. */
static void test_checksum_zero(void **unused)
{
	__u8 ip[64], want[64];
	__u32 len = l4_write(ip, 4, IPPROTO_UDP, 20, 6);
	__u16 partial = pseudo_fold(ip, 4, IPPROTO_UDP, 20), fill;

	memset(ip + 26, 0, 2);
	memset(ip + 38, 0, 2);
	fill = (__u16)~csum_fold(csum_add(partial, ip + 20, 20));
	memcpy(ip + 38, &fill, 2);
	memcpy(want, ip, len);
	put16(want + 26, 0xffff);
	memcpy(ip + 26, &partial, 2);
	assert_completed(ip, len, want);
}

/* Of a fragment the sum is not that of its bytes, and behind a routing header the pseudo-header's
 * destination is another: neither is made anew, right as it may look. */
static void test_checksum_left_alone(void **unused)
{
	static const __u8 flags[] = {INNER_FRAG, INNER_ROUTED, INNER_FRAG | INNER_ROUTED, 0};

	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof(flags); i++) {
			__u8 ip[128], want[128];
			__u32 len = udp_write(ip, families[f], 20), at = len - 28 + 6;

			ip[at] ^= 0x55;
			memcpy(want, ip, len);
			assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_UNSPEC);
			inner.flags |= flags[i];
			inner_checksum(ip, &inner);
			if (flags[i])
				assert_memory_equal(ip, want, len);
			else
				assert_int_equal(ip[at], want[at] ^ 0x55);
		}
}

static void test_sctp(void **unused)
{
	/* ports 4000, 5000, tag 1, CRC32c 0, then "123456789012": the CRC was worked out bit by bit
	 */
	__u8 ip[64], want[64], *sctp = ip + 20;
	__u32 len = 20 + ip_write(ip, 4, IPPROTO_SCTP, 24) - 20 + 24, crc = ~0U;

	memcpy(sctp,
	       "\x0f\xa0\x13\x88\0\0\0\1\0\0\0\0"
	       "123456789012",
	       24);
	for (int i = 0; i < 24; i++) {
		crc ^= sctp[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78 : 0);
	}
	crc = ~crc;
	memcpy(want, ip, len);
	for (int i = 0; i < 4; i++)
		want[28 + i] = (__u8)(crc >> 8 * i);
	assert_completed(ip, len, want);
	assert_completed(ip, len, want);
	ip[28] ^= 1;
	want[28] ^= 1;
	assert_completed(ip, len, want);
}

/* ---------------------------------------------------------------- MSS */

static __u32 syn_write(__u8 *ip, int family, const __u8 *opts, __u32 opts_len, __u8 flags)
{
	__u32 off = ip_write(ip, family, IPPROTO_TCP, 20 + opts_len);
	__u8 *tcp = ip + off;

	memset(tcp, 0, 20);
	put16(tcp, 40000);
	put16(tcp + 2, 80);
	tcp[12] = (__u8)((20 + opts_len) / 4 << 4);
	tcp[13] = flags;
	memcpy(tcp + 20, opts, opts_len);
	l4_check(ip, family, IPPROTO_TCP, 20 + opts_len, 16);
	return off + 20 + opts_len;
}

struct mss_case {
	const char *name;
	__u8 opts[12];
	__u8 flags;
	int at; /* of the value in opts, if it must change */
};

static void test_mss(void **unused)
{
	static const struct mss_case cases[] = {
		{"alone", {2, 4, 0x05, 0xb4}, 0x02, 2},
		{"on a SYN-ACK", {2, 4, 0x05, 0xb4}, 0x12, 2},
		{"behind two no-ops", {1, 1, 2, 4, 0x05, 0xb4}, 0x02, 4},
		{"at an odd offset", {1, 2, 4, 0x05, 0xb4}, 0x02, 3},
		{"behind SACK permitted", {4, 2, 2, 4, 0xff, 0xff}, 0x02, 4},
		{"small enough", {2, 4, 0x05, 0x14}, 0x02, -1},
		{"no SYN", {2, 4, 0x05, 0xb4}, 0x10, -1},
		{"behind the end", {0, 0, 2, 4, 0x05, 0xb4}, 0x02, -1},
		{"of a wrong length", {2, 3, 0x05, 0xb4}, 0x02, -1},
		{"behind a length of 0", {3, 0, 2, 4, 0x05, 0xb4}, 0x02, -1},
		{"behind a length over the end", {3, 200, 2, 4, 0x05, 0xb4}, 0x02, -1},
		{"cut", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4}, 0x02, -1},
		{"cut at its kind", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2}, 0x02, -1},
		{"none", {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}, 0x02, -1},
	};
	__u8 ip[256], want[256];

	for (int f = 0; f < 2; f++)
		for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
			const struct mss_case *c = &cases[i];
			__u8 *copy;
			__u32 len = syn_write(ip, families[f], c->opts, 12, c->flags);

			memcpy(want, ip, len);
			if (c->at >= 0) {
				put16(want + header_len(families[f]) + 20 + c->at, 1300);
				l4_check(want, families[f], IPPROTO_TCP, 32, 16);
			}
			copy = malloc(len);
			memcpy(copy, ip, len);
			assert_int_equal(inner_parse(copy, len, &inner), 0);
			inner_clamp_mss(copy, &inner, 1300);
			if (memcmp(copy, want, len))
				fail_msg("%s, IPv%d", c->name, families[f]);
			free(copy);
		}
}

/* By the way out: the MSS that fits, for either family; a partial checksum is completed first. */
static void test_mss_out(void **unused)
{
	static const __u8 opts[4] = {2, 4, 0x05, 0xb4};
	__u8 ip[256], want[256];

	for (int f = 0; f < 2; f++) {
		int family = families[f];
		__u32 len = syn_write(ip, family, opts, 4, 0x02), off = header_len(family);
		__u16 partial = pseudo_fold(ip, family, IPPROTO_TCP, 24);

		memcpy(want, ip, len);
		put16(want + off + 22, 1400 - 20 - off);
		l4_check(want, family, IPPROTO_TCP, 24, 16);
		want[family == 4 ? 8 : 7]--;
		if (family == 4)
			ip4_check(want);
		memcpy(ip + off + 16, &partial, 2);
		frame_load(&frame, ip, len);
		assert_int_equal(inner_parse(ip, len, &inner), 0);
		assert_int_equal(inner_out(&frame.p, &inner, 1400), 0);
		assert_memory_equal(frame.p.data, want, len);
	}
}

/* ---------------------------------------------------------------- ECN */

/* RFC 6040 figure 4; 4: dropped, and nothing is changed. */
static void test_ecn(void **unused)
{
	static const __u8 want[4][4] = {
		/* outer 00, 01 ECT(1), 10 ECT(0), 11 CE */
		{0, 0, 0, 4},
		{1, 1, 1, 3},
		{2, 1, 2, 3},
		{3, 3, 3, 3},
	};
	/* marked (!) or (!!!) there, beside the one that drops */
	static const __u8 odd[4][4] = {{0, 1, 1, 0}, {0, 0, 1, 0}, {0, 0, 0, 0}, {0, 1, 0, 0}};
	__u8 ip[256], copy[256];

	for (int f = 0; f < 2; f++)
		for (__u8 in = 0; in < 4; in++)
			for (__u8 out = 0; out < 4; out++) {
				__u32 len = udp_write(ip, families[f], 10);
				__u8 tos = 0xb8 | in, expect = 0xb8 | want[in][out];

				put16(ip, families[f] == 4 ? 0x4500 | tos : 0x6005 | tos << 4);
				if (families[f] == 4)
					ip4_check(ip);
				memcpy(copy, ip, len);
				assert_int_equal(inner_parse(ip, len, &inner), 0);
				assert_int_equal(inner.tos, tos);
				/* the outer DSCP is not taken */
				if (want[in][out] == 4) {
					assert_int_equal(inner_in(ip, &inner, 0x28 | out),
							 XIPSEC_REASON_ECN);
					assert_memory_equal(ip, copy, len);
					continue;
				}
				assert_int_equal(inner_in(ip, &inner, 0x28 | out),
						 odd[in][out] ? XIPSEC_REASON_OPENED_ECN : 0);
				put16(copy,
				      families[f] == 4 ? 0x4500 | expect : 0x6005 | expect << 4);
				if (families[f] == 4)
					ip4_check(copy);
				assert_memory_equal(ip, copy, len);
			}
}

/* What a router does, and what it does not to a packet of this host. */
static void test_forward(void **unused)
{
	__u8 ip[256], copy[256];

	for (int f = 0; f < 2; f++) {
		__u32 at = families[f] == 4 ? 8 : 7, len = udp_write(ip, families[f], 10);

		for (int ttl = 0; ttl < 256; ttl++) {
			ip[at] = (__u8)ttl;
			if (families[f] == 4)
				ip4_check(ip);
			memcpy(copy, ip, len);
			assert_int_equal(inner_forward(ip, (__u8)families[f]),
					 ttl > 1 ? 0 : XIPSEC_REASON_TTL);
			copy[at] = (__u8)(ttl > 1 ? ttl - 1 : ttl);
			if (families[f] == 4)
				ip4_check(copy);
			assert_memory_equal(ip, copy, len);
		}
		ip[at] = 1;
		if (families[f] == 4)
			ip4_check(ip);
		frame_load(&frame, ip, len)->flags = PACKET_LOCAL;
		assert_int_equal(inner_parse(frame.p.data, len, &inner), 0);
		assert_int_equal(inner_out(&frame.p, &inner, 1400), 0);
		assert_memory_equal(frame.p.data, ip, len);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_parse_cut),
		cmocka_unit_test(test_parse_malformed),
		cmocka_unit_test(test_parse_chain),
		cmocka_unit_test(test_flow),
		cmocka_unit_test(test_ttl),
		cmocka_unit_test(test_ttl_wrong_sum),
		cmocka_unit_test(test_too_big),
		cmocka_unit_test(test_checksums),
		cmocka_unit_test(test_checksum_by_chance),
		cmocka_unit_test(test_checksum_zero),
		cmocka_unit_test(test_checksum_left_alone),
		cmocka_unit_test(test_sctp),
		cmocka_unit_test(test_mss),
		cmocka_unit_test(test_mss_out),
		cmocka_unit_test(test_ecn),
		cmocka_unit_test(test_forward),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
