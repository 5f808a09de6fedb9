// SPDX-License-Identifier: BSD-2-Clause
/* ESP in its other shapes: transport mode, UDP encapsulation, traffic-flow confidentiality, limits,
 * the path's MTU. */
#include "tests/unit/esp_fixture.h"

#include <stdbool.h>

#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/inbound.h"
#include "worker/transport.h"

static struct xipsec_sa_state out_state, in_state;
static struct frame frame;

struct pair {
	struct xipsec_sa config;
	struct sa *out, *in;
};

static void pair_open(struct pair *pair)
{
	pair->config.dir = XIPSEC_DIR_OUT;
	pair->out = sa_make(&pair->config, &out_state, XIPSEC_BACKEND_AUTO);
	pair->config.dir = XIPSEC_DIR_IN;
	pair->in = sa_make(&pair->config, &in_state, XIPSEC_BACKEND_AUTO);
}

static void pair_close(struct pair *pair)
{
	sa_free(pair->out);
	sa_free(pair->in);
}

static enum xipsec_reason seal(struct pair *pair, const __u8 *inner, __u32 len, __u32 mtu)
{
	struct packet *p = frame_load(&frame, inner, len);

	p->flags = PACKET_LOCAL;
	esp_out_burst(pair->out, &p, 1, mtu, 1);
	return p->reason;
}

static enum xipsec_reason open_it(struct pair *pair)
{
	struct packet *p = &frame.p;

	p->reason = 0;
	esp_in_burst(pair->in, &p, 1, 1);
	return p->reason;
}

/* ---------------------------------------------------------------- transport mode */

static const struct {
	const char *name;
	int family;
	__u8 first; /* header behind the IPv6 header */
	__u32 len, front;
	__u32 next_off; /* of the byte that says ESP */
	__u8 ext[48];
} shapes[] = {
	{"IPv4", 4, 0, 0, 20, 9, {0}},
	{"IPv4 options", 4, 0, 8, 28, 9, {0x94, 4, 0, 0, 1, 1, 1, 0}},
	{"IPv6", 6, 0, 0, 40, 6, {0}},
	{"hop-by-hop", 6, 0, 8, 48, 40, {17, 0, 1, 4}},
	{"destination options", 6, 60, 8, 40, 6, {17, 0, 1, 4}},
	{"hop-by-hop, destination options", 6, 0, 16, 48, 40, {60, 0, 1, 4, [8] = 17, 0, 1, 4}},
	{"destination options, routing, destination options",
	 6,
	 60,
	 40,
	 72,
	 48,
	 {43, 0, 1, 4, [8] = 60, 2, 4, 0, [32] = 17, 0, 1, 4}},
	{"a fragment header that cuts nothing", 6, 44, 8, 48, 40, {17, 0, 0, 0, 1, 2, 3, 4}},
};

static void run_shape(size_t s, int udp, __u32 payload)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, shapes[s].family, 1, 0)};
	__u8 inner[2200];
	__u32 front = shapes[s].front, udp_len = udp ? 8 : 0, len;
	struct packet *p = &frame.p;

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair.config.flags |= udp ? XIPSEC_SA_UDP : 0;
	pair.config.src_port = pair.config.dst_port = htons(4500);
	pair_open(&pair);
	len = udp_with_ext(inner, shapes[s].family, payload, shapes[s].ext, shapes[s].len,
			   shapes[s].first);
	if (seal(&pair, inner, len, PATH_MTU) != XIPSEC_REASON_SEALED)
		fail_msg("%s: reason %u", shapes[s].name, p->reason);

	/* The headers in front are the same but for next, length and sum. */
	assert_int_equal(p->l4_off, front + udp_len);
	assert_int_equal(p->data[shapes[s].next_off], udp ? IPPROTO_UDP : IPPROTO_ESP);
	if (shapes[s].family == 4) {
		assert_int_equal(get16(p->data + 2), p->len);
		assert_int_equal(csum_fold(csum_add(0, p->data, front)), 0xffff);
		assert_memory_equal(p->data + 12, inner + 12, front - 12);
		assert_int_equal(p->data[8], inner[8]);
	} else {
		assert_int_equal(get16(p->data + 4) + 40, p->len);
		assert_memory_equal(p->data + 8, inner + 8, 32);
		assert_int_equal(p->data[7], inner[7]);
	}
	if (udp)
		assert_int_equal(get16(p->data + front + 4), p->len - front);
	assert_memory_equal(p->data + front + udp_len, &pair.config.spi, 4);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);

	if (open_it(&pair) != XIPSEC_REASON_OPENED)
		fail_msg("%s: back: reason %u", shapes[s].name, p->reason);
	assert_int_equal(p->len, len);
	assert_memory_equal(p->data, inner, len);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);
	pair_close(&pair);
}

static void test_transport(void **unused)
{
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
		for (__u32 payload = 0; payload <= 1800; payload += payload < 40 ? 1 : 97) {
			run_shape(s, 0, payload);
			run_shape(s, 1, payload);
		}
}

/* RFC 4303 3.3.4: whole datagrams alone. */
static void test_transport_fragment(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 64);

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair_open(&pair);
	for (__u32 frag = 0x2000; frag; frag = frag == 0x2000 ? 0x2001 : frag == 0x2001 ? 4 : 0) {
		put16(inner + 6, frag);
		ip4_check(inner);
		assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_FRAG_TRANSPORT);
		assert_memory_equal(frame.p.data, inner, len);
	}
	assert_int_equal(out_state.seq, 0);
	pair_close(&pair);
}

/* What fits is sealed and is no longer than the path allows; one byte more is refused. */
static void test_transport_mtu(void **unused)
{
	for (int family = 4; family <= 6; family += 2) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};
		__u32 front = family == 4 ? 20 : 40, longest = 0, most = 0;
		__u8 inner[1600];

		pair.config.mode = XIPSEC_MODE_TRANSPORT;
		pair_open(&pair);
		for (__u32 payload = 1300; payload < 1400; payload++) {
			__u32 len = udp_write(inner, family, payload);

			if (seal(&pair, inner, len, 1400) == XIPSEC_REASON_SEALED) {
				longest = len;
				most = frame.p.len;
				continue;
			}
			assert_int_equal(frame.p.reason, XIPSEC_REASON_TOO_BIG);
			assert_int_equal(frame.p.icmp_mtu, longest);
			assert_int_equal(longest, sa_transport_max(pair.out, 1400, front));
		}
		assert_in_range(most, 1397, 1400);
		pair_close(&pair);
	}
}

/* A header that lies where no chain of headers leads to. */
static void test_transport_lies(void **unused)
{
	__u8 ip[128] = {0x60, [6] = 0, [40] = 60, [48] = 17};
	struct transport_place place;

	assert_int_equal(transport_find_at(ip, 48, &place), 0);
	assert_int_equal(place.next, 60);
	for (__u32 off = 40; off < 100; off++)
		assert_int_equal(
			transport_find_at(ip, off, &place),
			off == 40 || off == 48 || off == 56 ? 0 : XIPSEC_REASON_INNER_MALFORMED);
	ip[0] = 0x46;
	for (__u32 off = 0; off < 60; off++)
		assert_int_equal(transport_find_at(ip, off, &place),
				 off == 24 ? 0 : XIPSEC_REASON_INNER_MALFORMED);
}

/* ---------------------------------------------------------------- behind a NAT */

enum { KEEPS = -1 }; /* its checksum does not cover the addresses, or is not there */

/* What transport mode carries behind a NAT, by where its checksum lies. */
static const struct {
	const char *name;
	int family;
	__u8 proto;
	int check; /* offset in the transport header, or KEEPS */
	__u8 first, ext_len;
	__u8 ext[24]; /* headers that stay in front of ESP, or go with it */
} carried[] = {
	{"UDP", 4, IPPROTO_UDP, 6, 0, 0, {0}},
	{"TCP", 4, IPPROTO_TCP, 16, 0, 0, {0}},
	{"UDP without checksum", 4, IPPROTO_UDP, KEEPS, 0, 0, {0}},
	{"ICMP", 4, IPPROTO_ICMP, KEEPS, 0, 0, {0}},
	{"UDP behind options", 4, IPPROTO_UDP, 6, 0, 8, {0x94, 4, 0, 0, 1, 1, 1, 0}},
	{"TCP behind options", 4, IPPROTO_TCP, 16, 0, 8, {0x94, 4, 0, 0, 1, 1, 1, 0}},
	{"UDP", 6, IPPROTO_UDP, 6, 0, 0, {0}},
	{"TCP", 6, IPPROTO_TCP, 16, 0, 0, {0}},
	{"ICMPv6", 6, IPPROTO_ICMPV6, 2, 0, 0, {0}},
	{"UDP behind hop-by-hop", 6, IPPROTO_UDP, 6, 0, 8, {17, 0, 1, 4}},
	{"TCP behind hop-by-hop", 6, IPPROTO_TCP, 16, 0, 8, {6, 0, 1, 4}},
	{"TCP behind destination options", 6, IPPROTO_TCP, 16, 60, 16, {6, 1, 1, 12}},
};

#define BEHIND_NAT_L4 61 /* bytes: odd, as sums must cope with it */

static __u32 carried_write(__u8 *ip, size_t c)
{
	__u32 base = carried[c].family == 4 ? 20 : 40, ext_len = carried[c].ext_len;
	__u8 *l4 = ip + base;

	ip_write(ip, carried[c].family, carried[c].proto, BEHIND_NAT_L4);
	for (__u32 i = 0; i < BEHIND_NAT_L4; i++)
		l4[i] = (__u8)(i * 11 + 3);
	switch (carried[c].proto) {
	case IPPROTO_TCP: put16(l4 + 12, 0x5010); break; /* no options, ACK */
	case IPPROTO_UDP: put16(l4 + 4, BEHIND_NAT_L4); break;
	default: l4[0] = carried[c].family == 4 ? 8 : 128; /* echo */
	}
	if (carried[c].check != KEEPS)
		l4_check(ip, carried[c].family, carried[c].proto, BEHIND_NAT_L4,
			 (__u32)carried[c].check);
	else if (carried[c].proto == IPPROTO_UDP)
		put16(l4 + 6, 0);
	memmove(l4 + ext_len, l4, BEHIND_NAT_L4);
	memcpy(l4, carried[c].ext, ext_len);
	if (carried[c].family == 4) {
		ip[0] = (__u8)(0x45 + ext_len / 4);
		put16(ip + 2, base + ext_len + BEHIND_NAT_L4);
		ip4_check(ip);
	} else {
		if (ext_len)
			ip[6] = carried[c].first;
		put16(ip + 4, ext_len + BEHIND_NAT_L4);
	}
	return base + ext_len + BEHIND_NAT_L4;
}

/* 203.0.113.9 or 2001:db8:cb::9 stands for the source on the way, and another port. */
static void translate(__u8 *ip)
{
	static const __u8 ip6[16] = {0x20, 1, 0xd, 0xb8, 0, 0xcb, [15] = 9};

	if (ip[0] >> 4 == 6) {
		memcpy(ip + 8, ip6, 16);
		return;
	}
	memcpy(ip + 12, "\xcb\x00\x71\x09", 4);
	ip4_check(ip);
}

/* RFC 3948 3.1.2: the addresses change on the way, so the receiver makes the transport checksum
 * anew. What it has to become is counted here over the whole packet, never by what is judged. */
static void run_nat(size_t c)
{
	const int family = carried[c].family;
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};
	__u32 len, l4_off, udp_off = family == 4 ? 20 + carried[c].ext_len : 40;
	__u8 inner[256];
	__u16 check;
	__u64 sum;

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair.config.flags = XIPSEC_SA_UDP;
	pair_open(&pair);
	len = carried_write(inner, c);
	l4_off = len - BEHIND_NAT_L4;
	assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
	if (family == 6 && carried[c].ext_len && !carried[c].first)
		udp_off += carried[c].ext_len; /* hop-by-hop stays in front */
	translate(frame.p.data);
	put16(frame.p.data + udp_off, 1234);
	if (open_it(&pair) != XIPSEC_REASON_OPENED)
		fail_msg("%s, IPv%d: reason %u", carried[c].name, family, frame.p.reason);
	translate(inner);
	if (carried[c].check != KEEPS) {
		put16(inner + l4_off + carried[c].check, 0);
		sum = pseudo_fold(inner, family, carried[c].proto, BEHIND_NAT_L4);
		check = (__u16)~csum_fold(csum_add(sum, inner + l4_off, BEHIND_NAT_L4));
		memcpy(inner + l4_off + carried[c].check, &check, 2);
	}
	assert_int_equal(frame.p.len, len);
	if (memcmp(frame.p.data, inner, len))
		fail_msg("%s, IPv%d: other bytes", carried[c].name, family);

	/* and the peer is not taken to have moved: its address is what the hosts talk to */
	assert_int_equal(pair.in->peer_changed, 0);
	pair_close(&pair);
}

static void test_nat(void **unused)
{
	for (size_t c = 0; c < sizeof(carried) / sizeof(carried[0]); c++)
		run_nat(c);
}

/* UDP whose length is not its packet's is left as it is. */
static void test_nat_leaves(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 40);

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair.config.flags = XIPSEC_SA_UDP;
	pair_open(&pair);
	put16(inner + 24, 40); /* 8 bytes less than there are */
	assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
	translate(frame.p.data);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	translate(inner);
	assert_int_equal(frame.p.len, len);
	assert_memory_equal(frame.p.data, inner, len);
	pair_close(&pair);
}

/* TCP without options. Returns the packet's bytes. */
static __u32 tcp_write(__u8 *ip, int family, __u32 payload)
{
	__u32 off = ip_write(ip, family, IPPROTO_TCP, 20 + payload);

	memset(ip + off, 0x31, 20 + payload);
	ip[off + 12] = 0x50;
	ip[off + 13] = 0x10;
	l4_check(ip, family, IPPROTO_TCP, 20 + payload, 16);
	return off + 20 + payload;
}

/* In tunnel mode no sum is touched, a wrong one least of all: the end host is who verifies. */
static void test_nat_tunnel(void **unused)
{
	for (int kind = 0; kind < 8; kind++) {
		int family = kind & 1 ? 6 : 4;
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
		__u8 inner[256];
		__u32 len = tcp_write(inner, family, 33);

		inner[(family == 4 ? 20 : 40) + 16] ^= kind & 2 ? 0x40 : 0;
		pair.config.flags = XIPSEC_SA_UDP;
		pair.config.tfc_size = kind & 4 ? 200 : 0; /* goes the long way in */
		pair_open(&pair);
		assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
		translate(frame.p.data);
		assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		assert_int_equal(frame.p.len, len);
		assert_memory_equal(frame.p.data, inner, len);
		pair_close(&pair);
	}
}

/* RFC 3948 2.1: whatever stands in the UDP checksum, be it 0 or not, and right or not. */
static void test_udp_sum_unread(void **unused)
{
	static const __u16 sums[] = {0, 1, 0x5a5a, 0xffff};

	for (int kind = 0; kind < 4; kind++)
		for (size_t i = 0; i < sizeof(sums) / sizeof(sums[0]); i++) {
			int family = kind & 1 ? 6 : 4;
			struct pair pair = {
				.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};
			__u8 inner[256];
			__u32 len = udp_write(inner, family, 40);

			pair.config.mode = kind & 2 ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL;
			pair.config.flags = XIPSEC_SA_UDP;
			pair_open(&pair);
			assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
			if (family == 4)
				assert_int_equal(get16(frame.p.data + frame.p.l4_off - 2), 0);
			put16(frame.p.data + frame.p.l4_off - 2, sums[i]);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
			assert_int_equal(frame.p.len, len);
			assert_memory_equal(frame.p.data, inner, len);
			pair_close(&pair);
		}
}

/* Opens a packet sealed anew that came from 203.0.113.9 port 1234. */
static enum xipsec_reason open_from_elsewhere(struct pair *pair, const __u8 *inner, __u32 len)
{
	assert_int_equal(seal(pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
	memcpy(frame.p.data + 12, "\xcb\x00\x71\x09", 4);
	put16(frame.p.data + 20, 1234);
	ip4_check(frame.p.data);
	return open_it(pair);
}

/* What the selectors refuse moves nobody, however authentic and new. */
static void test_peer_selectors(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 40);

	pair.config.flags = XIPSEC_SA_UDP;
	pair.config.selector[0].any_proto = 0;
	pair.config.selector[0].l4_proto = IPPROTO_TCP;
	pair_open(&pair);
	assert_int_equal(open_from_elsewhere(&pair, inner, len), XIPSEC_REASON_SELECTOR);
	assert_int_equal(pair.in->peer_changed, 0);
	pair.in->selector[0].l4_proto = IPPROTO_UDP;
	assert_int_equal(open_from_elsewhere(&pair, inner, len), XIPSEC_REASON_OPENED);
	assert_int_equal(pair.in->peer_changed, 1);
	assert_memory_equal(pair.in->peer.byte, "\xcb\x00\x71\x09", 4);
	assert_int_equal(pair.in->peer_port, htons(1234));
	pair_close(&pair);
}

/* Transport mode between two ends, as a config makes it: a new port is followed; a new address is
 * no packet of this SA, and the peer stays where it was. */
static void test_peer_transport(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	struct xipsec_selector *sel = &pair.config.selector[0];
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 40);

	memcpy(inner + 12, pair.config.src.byte, 4);
	memcpy(inner + 16, pair.config.dst.byte, 4);
	ip4_check(inner);
	l4_check(inner, 4, IPPROTO_UDP, len - 20, 6);
	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair.config.flags = XIPSEC_SA_UDP;
	pair.config.src_port = pair.config.dst_port = htons(4500);
	sel->family = XIPSEC_FAMILY_IP4;
	sel->remote_lo = sel->remote_hi = pair.config.src;
	sel->local_lo = sel->local_hi = pair.config.dst;
	pair_open(&pair);
	assert_int_equal(open_from_elsewhere(&pair, inner, len), XIPSEC_REASON_SELECTOR);
	assert_int_equal(pair.in->peer_changed, 0);
	assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
	put16(frame.p.data + 20, 31000);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
	assert_int_equal(pair.in->peer_changed, 1);
	assert_memory_equal(&pair.in->peer, &pair.config.src, sizeof(pair.config.src));
	assert_int_equal(pair.in->peer_port, htons(31000));
	pair_close(&pair);
}

/* ---------------------------------------------------------------- who moves a peer */

/* A sealed packet on its way, as it can come more than once and from anywhere. */
struct letter {
	__u8 bytes[256];
	__u32 len;
	int family;
};

static const __u8 places[3][16] = {{0xcb, 0, 0x71, 9, [15] = 9}, {0xcb, 0, 0x71, 7, [15] = 7}};

static struct letter letter_seal(struct pair *pair, bool dummy)
{
	struct letter letter = {.family = pair->config.outer_family};
	__u8 inner[256];

	if (dummy) {
		frame_load(&frame, (const __u8 *)"", 1);
		assert_int_equal(esp_out_dummy(pair->out, &pair->out->outer, &frame.p, 60),
				 XIPSEC_REASON_UNSPEC);
		assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	} else {
		__u32 len = udp_write(inner, 4, 40);

		assert_int_equal(seal(pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
	}
	letter.len = frame.p.len;
	assert_true(letter.len <= sizeof(letter.bytes));
	memcpy(letter.bytes, frame.p.data, letter.len);
	return letter;
}

static void letter_from(struct letter *letter, const __u8 *addr, __u16 port)
{
	const bool ip4 = letter->family == 4;

	memcpy(letter->bytes + (ip4 ? 12 : 8), addr, ip4 ? 4 : 16);
	put16(letter->bytes + (ip4 ? 20 : 40), port);
	if (ip4)
		ip4_check(letter->bytes);
}

static struct packet *letter_load(struct frame *to, const struct letter *letter)
{
	struct packet *p = frame_load(to, letter->bytes, letter->len);

	p->l4_off = letter->family == 4 ? 28 : 48;
	return p;
}

static enum xipsec_reason letter_open(struct pair *pair, const struct letter *letter)
{
	letter_load(&frame, letter);
	return open_it(pair);
}

static void assert_peer(const struct pair *pair, const __u8 *addr, __u16 port)
{
	assert_int_equal(pair->in->peer_changed, 1);
	assert_memory_equal(pair->in->peer.byte, addr, pair->config.outer_family == 4 ? 4 : 16);
	assert_int_equal(pair->in->peer_port, htons(port));
}

static struct pair pair_udp(int family)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};

	pair.config.flags = XIPSEC_SA_UDP;
	pair.config.src_port = pair.config.dst_port = htons(4500);
	pair_open(&pair);
	return pair;
}

/* Only what is authentic and newer than all else moves the peer, to another address and port. */
static void peer_of(int family, bool dummy)
{
	const enum xipsec_reason good = dummy ? XIPSEC_REASON_DUMMY : XIPSEC_REASON_OPENED;
	struct pair pair = pair_udp(family);
	struct letter letter[3];

	for (int i = 0; i < 3; i++)
		letter[i] = letter_seal(&pair, dummy);
	assert_int_equal(letter_open(&pair, &letter[1]), good);
	assert_int_equal(pair.in->peer_changed, 0);
	for (int i = 0; i < 3; i++)
		letter_from(&letter[i], places[0], 31000);
	/* older, seen, forged */
	assert_int_equal(letter_open(&pair, &letter[0]), good);
	assert_int_equal(pair.in->peer_changed, 0);
	assert_int_equal(letter_open(&pair, &letter[1]), XIPSEC_REASON_REPLAY);
	assert_int_equal(pair.in->peer_changed, 0);
	letter[2].bytes[letter[2].len - 1] ^= 1;
	assert_int_equal(letter_open(&pair, &letter[2]), XIPSEC_REASON_ICV);
	assert_int_equal(pair.in->peer_changed, 0);
	letter[2].bytes[letter[2].len - 1] ^= 1;
	assert_int_equal(letter_open(&pair, &letter[2]), good);
	assert_peer(&pair, places[0], 31000);
	/* the same from a third place, and what is still older */
	letter_from(&letter[2], places[1], 32000);
	assert_int_equal(letter_open(&pair, &letter[2]), XIPSEC_REASON_REPLAY);
	letter_from(&letter[0], places[1], 32000);
	assert_int_equal(letter_open(&pair, &letter[0]), XIPSEC_REASON_REPLAY);
	assert_peer(&pair, places[0], 31000);
	/* a port alone, an address alone */
	letter[0] = letter_seal(&pair, dummy);
	letter_from(&letter[0], places[0], 32000);
	assert_int_equal(letter_open(&pair, &letter[0]), good);
	assert_peer(&pair, places[0], 32000);
	letter[0] = letter_seal(&pair, dummy);
	letter_from(&letter[0], places[1], 32000);
	assert_int_equal(letter_open(&pair, &letter[0]), good);
	assert_peer(&pair, places[1], 32000);
	pair_close(&pair);
}

static void test_peer(void **unused)
{
	peer_of(4, false);
	peer_of(6, false);
}

/* While a peer is silent its dummies alone tell where it is (RFC 4303 2.6). */
static void test_peer_dummies(void **unused)
{
	peer_of(4, true);
	peer_of(6, true);
}

/* Of packets that are opened together the newest counts, whatever it is and wherever it stands. */
static void test_peer_burst(void **unused)
{
	static struct frame other;

	for (int i = 0; i < 16; i++) {
		struct pair pair = pair_udp(i & 1 ? 6 : 4);
		struct letter older = letter_seal(&pair, i & 2), newest = letter_seal(&pair, i & 4);
		struct packet *pkts[2];

		letter_from(&older, places[0], 31000);
		letter_from(&newest, places[1], 32000);
		pkts[0] = letter_load(&frame, i & 8 ? &newest : &older);
		pkts[1] = letter_load(&other, i & 8 ? &older : &newest);
		esp_in_burst(pair.in, pkts, 2, 1);
		assert_peer(&pair, places[1], 32000);
		pair_close(&pair);
	}
}

/* Another worker has opened a newer one meanwhile: that one's word counts. */
static void test_peer_overtaken(void **unused)
{
	struct pair pair = pair_udp(4);
	struct packet p = {.seq = 5};
	struct origin from = {.port = htons(31000)};

	memcpy(from.addr.byte, places[0], 4);
	in_state.replay_top = 6;
	inbound_peer(pair.in, &p, &from);
	assert_int_equal(pair.in->peer_changed, 0);
	p.seq = 6;
	inbound_peer(pair.in, &p, &from);
	assert_peer(&pair, places[0], 31000);
	pair_close(&pair);
}

/* In transport mode a dummy moves the port, and no more than that, too. */
static void test_peer_transport_dummies(void **unused)
{
	for (int family = 4; family <= 6; family += 2) {
		struct pair pair = pair_udp(family);
		struct letter letter;

		pair.in->transport = 1;
		letter = letter_seal(&pair, true);
		letter_from(&letter, places[0], 31000);
		assert_int_equal(letter_open(&pair, &letter), XIPSEC_REASON_DUMMY);
		assert_int_equal(pair.in->peer_changed, 0);
		letter = letter_seal(&pair, true);
		letter_from(&letter, pair.config.src.byte, 31000);
		assert_int_equal(letter_open(&pair, &letter), XIPSEC_REASON_DUMMY);
		assert_peer(&pair, pair.config.src.byte, 31000);
		pair_close(&pair);
	}
}

/* ---------------------------------------------------------------- traffic-flow confidentiality */

static void test_tfc_out(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[2048];
	__u32 sizes[] = {600, XIPSEC_TFC_MTU}, want = 0;

	for (int s = 0; s < 2; s++) {
		pair.config.tfc_size = sizes[s];
		pair_open(&pair);
		for (__u32 payload = 0; payload < 500; payload += 7) {
			__u32 len = udp_write(inner, 4, payload);

			assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
			if (!payload)
				want = frame.p.len;
			assert_int_equal(frame.p.len, want);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
			assert_int_equal(frame.p.len, len);
			assert_memory_equal(frame.p.data, inner, len);
		}
		assert_int_equal(out_state.tfc_bytes, in_state.tfc_bytes);
		assert_true(out_state.tfc_bytes > 0);
		assert_int_equal(out_state.dummy_bytes + in_state.dummy_bytes, 0);
		assert_int_equal(want, s ? 1400 : 600 + 2 + 2 + 36 + 16);
		pair_close(&pair);
	}
}

/* All of the padding or no packet: one whose frame ends too early, or that headroom was made for,
 * draws no number. */
static void test_tfc_whole(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 72);

	pair.config.tfc_size = 600;
	pair_open(&pair);
	for (__u32 short_of = 0; short_of < 2; short_of++) {
		__u32 room = 600 - len + pair.out->tail_room, moved = short_of ? 16 : 0;

		for (__u32 spare = 0; spare < 40; spare++) {
			__u64 before = out_state.seq,
			      dropped = out_state.drops[XIPSEC_REASON_TX_FULL];
			struct packet *p = frame_load(&frame, inner, len);

			p->flags = PACKET_LOCAL;
			p->headroom = pair.out->head_room - short_of;
			p->tailroom = room - 20 + spare;
			esp_out_burst(pair.out, &p, 1, 1400, 1);
			if (spare < 20 + moved) {
				assert_int_equal(p->reason, XIPSEC_REASON_TX_FULL);
				assert_int_equal(out_state.seq, before);
				assert_int_equal(out_state.drops[XIPSEC_REASON_TX_FULL],
						 dropped + 1);
				continue;
			}
			assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
			assert_int_equal(out_state.seq, before + 1);
			assert_int_equal(p->len, 600 + 2 + 2 + 36 + 16);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		}
	}
	assert_int_equal(out_state.packets, 20 + 4);
	assert_int_equal(out_state.tfc_bytes, 24 * (600 - len));
	pair_close(&pair);
}

/* Those that stay keep their own marks when one before them goes. */
static void test_tfc_burst(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	static struct frame frames[3];
	struct packet *p[3];
	__u8 inner[256];
	__u32 len;

	pair.config.tfc_size = 600;
	pair_open(&pair);
	for (int i = 0; i < 3; i++) {
		len = udp_write(inner, 4, 72);
		inner[1] = (__u8)((i + 1) << 2);
		ip4_check(inner);
		p[i] = frame_load(&frames[i], inner, len);
		p[i]->flags = PACKET_LOCAL;
	}
	p[0]->tailroom = 100;
	esp_out_burst(pair.out, p, 3, 1400, 1);
	assert_int_equal(p[0]->reason, XIPSEC_REASON_TX_FULL);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(p[i]->reason, XIPSEC_REASON_SEALED);
		assert_int_equal(p[i]->seq, i);
		assert_int_equal(p[i]->data[1], (i + 1) << 2);
		assert_int_equal(p[i]->len, 600 + 2 + 2 + 36 + 16);
	}
	pair_close(&pair);
}

static void test_dummy(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};

	pair_open(&pair);
	frame_load(&frame, (const __u8 *)"", 1);
	assert_int_equal(esp_out_dummy(pair.out, &pair.out->outer, &frame.p, 300),
			 XIPSEC_REASON_UNSPEC);
	assert_int_equal(frame.p.reason, XIPSEC_REASON_SEALED);
	assert_int_equal(frame.p.len, 20 + 16 + 304 + 16);
	assert_int_equal(frame.p.headroom + frame.p.len + frame.p.tailroom, FRAME_SIZE);
	assert_int_equal(out_state.dummies, 1);
	assert_int_equal(out_state.seq, 1);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
	assert_int_equal(in_state.dummies, 1);
	assert_int_equal(in_state.replay_top, 1);
	out_state.status = XIPSEC_SA_STOPPED;
	frame_load(&frame, (const __u8 *)"", 1);
	assert_int_equal(esp_out_dummy(pair.out, &pair.out->outer, &frame.p, 300),
			 XIPSEC_REASON_LIMIT);
	pair_close(&pair);
}

/* The IP header that transport mode has not wants room as well. */
static void test_dummy_room(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	struct outer outer;

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair_open(&pair);
	assert_int_equal(outer_init(&outer, &pair.config), 0);
	frame_load(&frame, (const __u8 *)"", 1)->headroom = 20 + 16 - 1;
	assert_int_equal(esp_out_dummy(pair.out, &outer, &frame.p, 300), XIPSEC_REASON_TOO_BIG);
	assert_int_equal(out_state.seq, 0);
	frame.p.headroom++;
	assert_int_equal(esp_out_dummy(pair.out, &outer, &frame.p, 300), XIPSEC_REASON_UNSPEC);
	assert_int_equal(frame.p.headroom, 0);
	assert_int_equal(frame.p.len, 20 + 16 + 304 + 16);
	assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
	pair_close(&pair);
}

/* ---------------------------------------------------------------- limits, path MTU */

static void test_limits(void **unused)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
		__u8 inner[256];
		__u32 len = udp_write(inner, 4, 72);

		if (bytes)
			pair.config.limits.hard_bytes = 10 * len;
		else
			pair.config.limits.hard_packets = 10;
		pair_open(&pair);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		}
		assert_int_equal(out_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_LIMIT);
		out_state.status = XIPSEC_SA_LIVE;
		assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
		assert_int_equal(open_it(&pair), XIPSEC_REASON_LIMIT);
		pair_close(&pair);
	}
}

/* Dummies and padding use the key as well: packets alone are far from the limit. last_use is not
 * theirs. */
static void test_limits_hidden(void **unused)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};

		if (bytes)
			pair.config.limits.hard_bytes = 3 * 302; /* what is carried: 300, padded */
		else
			pair.config.limits.hard_packets = 3;
		pair_open(&pair);
		for (int i = 0; i < 3; i++) {
			assert_int_equal(out_state.status, XIPSEC_SA_LIVE);
			frame_load(&frame, (const __u8 *)"", 1);
			assert_int_equal(esp_out_dummy(pair.out, &pair.out->outer, &frame.p, 302),
					 XIPSEC_REASON_UNSPEC);
			assert_int_equal(in_state.status, XIPSEC_SA_LIVE);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_DUMMY);
		}
		assert_int_equal(out_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(out_state.packets + in_state.packets, 0);
		assert_int_equal(out_state.dummy_bytes, 3 * 302);
		assert_int_equal(in_state.dummy_bytes, 3 * 302);
		assert_int_equal(out_state.tfc_bytes + in_state.tfc_bytes, 0);
		assert_int_equal(out_state.last_use + in_state.last_use, 0);
		pair_close(&pair);
	}
	{
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
		__u8 inner[256];
		__u32 len = udp_write(inner, 4, 72);

		pair.config.tfc_size = 1000;
		pair.config.limits.hard_bytes = 2000;
		pair_open(&pair);
		for (int i = 0; i < 2; i++) {
			assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		}
		assert_int_equal(out_state.bytes, 2 * len);
		assert_int_equal(out_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
		pair_close(&pair);
	}
}

static void test_pmtu(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};

	pair_open(&pair);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5000), 1500);
	out_state.pmtu = 1300;
	out_state.pmtu_until = 5600;
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5000), 1300);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5599), 1300);
	assert_int_equal(sa_path_mtu(pair.out, 1280, 5000), 1280);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5600), 1500);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5601), 1500);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_transport_fragment),
		cmocka_unit_test(test_transport_mtu),
		cmocka_unit_test(test_transport_lies),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_nat_tunnel),
		cmocka_unit_test(test_udp_sum_unread),
		cmocka_unit_test(test_nat_leaves),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_peer_dummies),
		cmocka_unit_test(test_peer_burst),
		cmocka_unit_test(test_peer_overtaken),
		cmocka_unit_test(test_peer_transport_dummies),
		cmocka_unit_test(test_peer_selectors),
		cmocka_unit_test(test_peer_transport),
		cmocka_unit_test(test_tfc_out),
		cmocka_unit_test(test_tfc_whole),
		cmocka_unit_test(test_tfc_burst),
		cmocka_unit_test(test_dummy),
		cmocka_unit_test(test_dummy_room),
		cmocka_unit_test(test_limits_hidden),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_pmtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
