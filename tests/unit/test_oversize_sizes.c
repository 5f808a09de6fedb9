// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every size around the longest that fits, through whole rounds of a worker: what fits goes as it
 * is, what may be cut goes in pieces, and whoever must be told is told the longest that fits. What
 * is right here comes from the packet formats alone (RFC 4303 2): no code of the worker is asked.
 */
#include "tests/unit/pipeline_fixture.h"

#include "lib/alg.h"

enum { AROUND = 28, IP6_LEAST = 1280, PROTO = 253 };

static const struct cipher {
	__u8 alg;
	__u32 iv, icv, block;
} ciphers[] = {
	{XIPSEC_ALG_AES128CBC_SHA256, 16, 16, 16},
	{XIPSEC_ALG_AES128CBC_SHA384, 16, 24, 16},
	{XIPSEC_ALG_AES128CBC_SHA512, 16, 32, 16},
	{XIPSEC_ALG_AES128GCM16, 8, 16, 4},
};

/* One of the ways in which a packet is carried. `front`: its own headers, options included. */
struct way {
	const struct cipher *cipher;
	bool transport;
	int family;
	__u32 front, mtu;
};

static __u8 packet[2048];

static __u32 sealed_len(const struct way *way, __u32 len)
{
	const __u32 outside = way->transport ? way->front : way->family == 4 ? 20 : 40;
	const __u32 text = way->transport ? len - way->front : len;
	const __u32 block = way->cipher->block;

	return outside + 8 + way->cipher->iv + (text + 2 + block - 1) / block * block +
	       way->cipher->icv;
}

static __u32 longest(const struct way *way)
{
	__u32 len = way->mtu;

	while (sealed_len(way, len) > way->mtu)
		len--;
	return len;
}

/* ------------------------------------------------------------------ a worker of both families */

static const struct xipsec_addr ends[2] = {
	{.byte = {0x20, 1, 0xd, 0xb8, [15] = 1}},
	{.byte = {0x20, 1, 0xd, 0xb8, [15] = 2}},
};

static void tell_links(__u32 mtu)
{
	struct ctl_in red = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					 .slot = RED,
					 .role = XIPSEC_ROLE_PROTECTED,
					 .mtu = 1500,
					 .up = 1,
					 .ip4.word[0] = inet_addr("10.1.0.254"),
					 .ip6.byte = {0xfd, [15] = 0xfe}}};

	assert_int_equal(worker_message(t.w, &red), 0);
	tell_dev_mtu(BLACK, XIPSEC_ROLE_UNPROTECTED, mtu);
}

static void tell_hops(void)
{
	tell_hop6("2001:db8::2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
}

static void tell_way(const struct way *way)
{
	struct ctl_in in = sa_message(SA_OUT, XIPSEC_DIR_OUT);
	struct xipsec_sa *sa = &in.msg.sa.sa;

	sa->alg = way->cipher->alg;
	sa->key_len = alg_key_len(way->cipher->alg);
	sa->mode = way->transport ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL;
	sa->df = XIPSEC_DF_SET;
	if (way->family == 6) {
		sa->outer_family = XIPSEC_FAMILY_IP6;
		sa->src = ends[0];
		sa->dst = ends[1];
	}
	assert_int_equal(worker_message(t.w, &in), 0);
	tell_links(way->mtu);
}

/* ------------------------------------------------------------------ packets */

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static __u32 get16(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

static void make4(__u8 *ip, __u32 front, __u32 len, bool df)
{
	__u32 sum = 0;

	memset(ip, 1, front); /* options: NOP */
	memset(ip, 0, 20);
	ip[0] = (__u8)(0x40 | front / 4);
	put16(ip + 2, len);
	ip[6] = df ? 0x40 : 0;
	ip[8] = 64;
	ip[9] = PROTO;
	memcpy(ip + 12, "\x0a\x01\0\x01\x0a\x02\0\x01", 8);
	for (__u32 i = 0; i < front; i += 2)
		sum += get16(ip + i);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(ip + 10, ~(sum + (sum >> 16)) & 0xffff);
}

static void make6(__u8 *ip, __u32 front, __u32 len)
{
	memset(ip, 0, front);
	ip[0] = 0x60;
	put16(ip + 4, len - 40);
	ip[6] = front > 40 ? IPPROTO_HOPOPTS : PROTO;
	ip[7] = 64;
	ip[8] = ip[24] = 0xfd;
	ip[23] = 1;
	ip[39] = 2;
	if (front > 40) {
		ip[40] = PROTO;
		ip[42] = 1; /* PadN */
		ip[43] = 4;
	}
}

static void rx_one(const struct way *way, __u32 len, bool df)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);

	memcpy(packet, "\x02\0\0\0\0\x11\x02\0\0\0\0\x22\x08\0", 14);
	memset(packet + 14, 0x5a, len);
	if (way->family == 4) {
		make4(packet + 14, way->front, len, df);
	} else {
		memcpy(packet + 12, "\x86\xdd", 2);
		make6(packet + 14, way->front, len);
	}
	meta.family = (__u8)(way->family == 4 ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6);
	meta.l4_off = (__u16)(14 + way->front);
	t.w->icmp_tokens = 1000 * 1000;
	rx(&t.red, packet, len + 14, &meta);
	go_round();
}

/* What stands in black's ring: the packets, none longer than the MTU, and the bytes of IP in all.
 */
static unsigned int sent_black(const struct way *way, __u32 *bytes)
{
	unsigned int n = 0;

	*bytes = 0;
	for (__u32 at = *t.black.tx.consumer; at != *t.black.tx.producer; at++, n++) {
		const struct xdp_desc *desc = (struct xdp_desc *)t.black.tx.desc + at % RING;

		assert_in_range(desc->len, 15, 14 + way->mtu);
		*bytes += desc->len - 14;
	}
	tx(&t.black);
	return n;
}

/* ------------------------------------------------------------------ */

static void assert_told(const struct way *way)
{
	const __u32 most = longest(way);
	const __u8 *ip = t.sent + 14;

	assert_true(tx(&t.red) > 0);
	if (way->family == 4) {
		assert_memory_equal(ip + 20, "\x03\x04", 2);
		assert_int_equal(get16(ip + 26), most);
	} else {
		assert_memory_equal(ip + 40, "\x02\x00", 2);
		assert_int_equal(get16(ip + 46), most > IP6_LEAST ? most : IP6_LEAST);
	}
}

static void one_size(const struct way *way, __u32 len, bool df)
{
	const bool fits = sealed_len(way, len) <= way->mtu;
	const bool told = !fits && (way->family == 4 ? df : len > IP6_LEAST);
	__u64 icmp = count(XIPSEC_REASON_ICMP_SENT), too_big = count(XIPSEC_REASON_TOO_BIG);
	unsigned int n;
	__u32 bytes;

	rx_one(way, len, df);
	n = sent_black(way, &bytes);
	if (n != (told ? 0 : fits ? 1 : 2) || count(XIPSEC_REASON_ICMP_SENT) - icmp != told)
		fail_msg("%s, %s, IPv%d, header of %u, MTU %u: %u bytes%s: %u packets, %s",
			 alg_name(way->cipher->alg, IPPROTO_ESP),
			 way->transport ? "transport" : "tunnel", way->family, way->front, way->mtu,
			 len, df ? " with DF" : "", n,
			 count(XIPSEC_REASON_ICMP_SENT) == icmp ? "nobody told"
								: "its sender told");
	if (fits)
		assert_int_equal(bytes, sealed_len(way, len));
	if (told)
		assert_told(way);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG) - too_big, told);
}

static void around_the_longest(const struct way *way)
{
	const __u32 most = longest(way);

	tell_way(way);
	for (__u32 len = most - AROUND; len <= most + AROUND && len <= 1500; len++) {
		one_size(way, len, false);
		if (way->family == 4)
			one_size(way, len, true);
	}
}

static void every_residue(bool transport, int family)
{
	static const __u32 mtus[] = {1280, 1400, 1500 - 16};
	const __u32 base = family == 4 ? 20 : 40, step = family == 4 ? 4 : 8;

	tell_hops();
	for (size_t c = 0; c < sizeof(ciphers) / sizeof(ciphers[0]); c++)
		for (size_t m = 0; m < sizeof(mtus) / sizeof(mtus[0]); m++)
			for (__u32 more = 0; more < (m ? 16 : 48); more += 4)
				for (__u32 opts = 0; opts < 16; opts += step) {
					struct way way = {&ciphers[c], transport, family,
							  base + opts, mtus[m] + more};

					around_the_longest(&way);
				}
}

static void transport_ip4(void **state)
{
	every_residue(true, 4);
}

static void transport_ip6(void **state)
{
	every_residue(true, 6);
}

static void tunnel_ip4(void **state)
{
	every_residue(false, 4);
}

static void tunnel_ip6(void **state)
{
	every_residue(false, 6);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(transport_ip4),
		TEST(transport_ip6),
		TEST(tunnel_ip4),
		TEST(tunnel_ip6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
