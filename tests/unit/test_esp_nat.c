// SPDX-License-Identifier: BSD-2-Clause
/* ESP in UDP: checksums behind a NAT, and who may move a peer. */
#include "tests/unit/esp_pair.h"

#include <stdbool.h>

#include "worker/inbound.h"

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
	{"UDP behind two headers", 6, IPPROTO_UDP, KEEPS, 44, 16, {43, 7, [8] = 17, 0, 253}},
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

/* A checksum that was not made yet can be left to the stack, and still be made afterwards. */
static void left_open(int family, __u32 l4_off)
{
	__u8 *l4 = frame.p.data + l4_off;
	__u16 field;

	if (!(frame.p.flags & PACKET_SUM))
		return;
	field = inbound_sum_open(&frame.p);
	assert_int_equal(field, l4[-1 * (family == 4 ? 11 : 34)] == IPPROTO_UDP ? 6 : 16);
	assert_int_equal(*(__u16 *)(l4 + field),
			 pseudo_fold(frame.p.data, family, field == 6 ? IPPROTO_UDP : IPPROTO_TCP,
				     BEHIND_NAT_L4));
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
	if (family == 6 && carried[c].first != IPPROTO_DSTOPTS)
		udp_off += carried[c].ext_len;
	translate(frame.p.data);
	put16(frame.p.data + udp_off, 1234);
	frame.p.flags = 0;
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
	if (!carried[c].ext_len && carried[c].check != KEEPS && carried[c].proto != IPPROTO_ICMPV6)
		assert_int_equal(frame.p.flags, PACKET_SUM);
	left_open(family, l4_off);
	inbound_sum(&frame.p);
	assert_int_equal(frame.p.flags, 0);
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

/* Where the SA says so nobody is followed, neither to an address nor to a port. */
static void test_peer_stays(void **unused)
{
	for (int i = 0; i < 6; i++) {
		const bool transport = i >= 4, dummy = transport || i & 2;
		struct pair pair = {.config =
					    sa_config(XIPSEC_ALG_AES128GCM16, i & 1 ? 6 : 4, 0, 0)};
		struct letter letter;

		pair.config.flags = XIPSEC_SA_UDP | XIPSEC_SA_STAY;
		pair.config.src_port = pair.config.dst_port = htons(4500);
		pair_open(&pair);
		pair.in->transport = transport;
		for (int moved = 0; moved < 2; moved++) {
			letter = letter_seal(&pair, dummy);
			letter_from(&letter, moved ? places[0] : pair.config.src.byte, 31000);
			assert_int_equal(letter_open(&pair, &letter),
					 dummy ? XIPSEC_REASON_DUMMY : XIPSEC_REASON_OPENED);
			assert_int_equal(pair.in->peer_changed, 0);
			assert_int_equal(pair.in->peer_port, htons(4500));
		}
		pair_close(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_nat_tunnel),
		cmocka_unit_test(test_udp_sum_unread),
		cmocka_unit_test(test_nat_leaves),
		cmocka_unit_test(test_peer),
		cmocka_unit_test(test_peer_dummies),
		cmocka_unit_test(test_peer_burst),
		cmocka_unit_test(test_peer_overtaken),
		cmocka_unit_test(test_peer_transport_dummies),
		cmocka_unit_test(test_peer_stays),
		cmocka_unit_test(test_peer_selectors),
		cmocka_unit_test(test_peer_transport),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
