// SPDX-License-Identifier: BSD-2-Clause
/* What a worker says and sends unasked: dummies, NAT keepalives, peers that move, dropped packets.
 * Frames are those of the pipeline fixture; the clock is moved by hand. */
#include "tests/unit/pipeline_fixture.h"

#include <netinet/in.h>

#include "lib/reason.h"
#include "lib/sa_fault.h"
#include "worker/checksum.h"
#include "worker/sa.h"

#define SEALED_MIN 54 /* Ethernet, IPv4, ESP and IV, trailer, ICV at 0 bytes of text: 66 */

static void give(__u32 index, __u8 dir, __u16 flags, __u32 dummies, __u32 tfc)
{
	struct ctl_in in = sa_message(index, dir);
	struct xipsec_sa *sa = &in.msg.sa.sa;

	sa->flags = flags;
	sa->dummies = dummies;
	sa->tfc_size = tfc;
	if (flags & XIPSEC_SA_UDP)
		sa->src_port = sa->dst_port = htons(4500);
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* The clock of the worker is what quiet_tick() and the like go by. */
static void pass(__u64 ms)
{
	t.w->now_ms += ms;
	quiet_tick(t.w);
	peers_tick(t.w);
	worker_round(t.w);
	assert_int_equal(worker_check(t.w), 0);
}

/* Messages of that type that wait; the last in *out. */
static unsigned int told(__u16 type, union ctl_msg *out, size_t len)
{
	union {
		union ctl_msg msg;
		struct ctl_sample sample;
		struct ctl_peer peer;
	} got;
	unsigned int n = 0;

	while (recv(t.ctl, &got, sizeof(got), MSG_DONTWAIT) > 0) {
		if (got.msg.hdr.type != type)
			continue;
		n++;
		memcpy(out, &got, len);
	}
	return n;
}

/* ------------------------------------------------------------------ dummies */

static void dummies_at_their_rate(void **state)
{
	__u64 before;

	give(SA_OUT, XIPSEC_DIR_OUT, 0, 10, 200);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	pass(1);
	tx(&t.black);
	before = count(XIPSEC_REASON_DUMMY_SENT);
	for (int i = 0; i < 100; i++)
		pass(10);
	assert_int_equal(count(XIPSEC_REASON_DUMMY_SENT) - before, 10);
	assert_int_equal(t.sas[SA_OUT].dummies, count(XIPSEC_REASON_DUMMY_SENT));
	assert_int_equal(t.sas[SA_OUT].packets, 0);
	/* 200 bytes of text and a trailer, to a multiple of 4; outer IP, ESP and IV, ICV. */
	assert_int_equal(tx(&t.black), 14 + 20 + 16 + 204 + 16);
	assert_int_equal(t.sas[SA_OUT].seq, count(XIPSEC_REASON_DUMMY_SENT));
}

/* Dummies sent in `n` ticks, the first of them `late` ms late. */
static __u64 dummies_in(int n, __u64 late)
{
	__u64 before = count(XIPSEC_REASON_DUMMY_SENT);

	for (int i = 0; i < n; i++) {
		pass(10 + late);
		tx(&t.black);
		worker_round(t.w);
		late = 0;
	}
	return count(XIPSEC_REASON_DUMMY_SENT) - before;
}

/* Up to the highest rate that a config may ask for, ticks that come late included. Of a long sleep
 * a tenth of a second is made up for. */
static void dummies_at_high_rates(void **state)
{
	static const __u32 rates[] = {5000, 8000, SA_DUMMIES_MAX};
	__u64 sent;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < 3; i++) {
		give(SA_OUT, XIPSEC_DIR_OUT, 0, rates[i], 100);
		dummies_in(1, 0);
		sent = dummies_in(100, 0);
		assert_in_range(sent, rates[i] - 2, rates[i] + rates[i] / 50);
		sent = dummies_in(20, 30);
		assert_in_range(sent, rates[i] * 23 / 100 - 2, rates[i] * 24 / 100);
	}
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 0);
	sent = dummies_in(100, 5000);
	assert_in_range(sent, SA_DUMMIES_MAX, SA_DUMMIES_MAX + SA_DUMMIES_MAX * 12 / 100);
}

static void dummies_vanish_at_the_receiver(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
	__u32 len;

	give(SA_OUT, XIPSEC_DIR_OUT, 0, 10, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	pass(101);
	len = tx(&t.black);
	assert_true(len > SEALED_MIN);
	rx(&t.black, t.sent, len, &meta);
	pass(0);
	assert_int_equal(count(XIPSEC_REASON_DUMMY), 1);
	assert_int_equal(t.sas[SA_IN].dummies, 1);
	assert_true(t.sas[SA_IN].dummy_bytes > 0);
	assert_int_equal(t.sas[SA_IN].tfc_bytes, 0);
	assert_int_equal(t.sas[SA_IN].packets, 0);
	assert_int_equal(tx(&t.red), 0);
}

/* An SA in transport mode of that family, both ends of it, and the way to the peer. */
static void give_transport(__u8 family, __u16 flags)
{
	struct ctl_in hop = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					     .family = family,
					     .status = XIPSEC_NEXTHOP_OK,
					     .slot = BLACK,
					     .mtu = 1500,
					     .lifetime = 60}};

	for (__u32 i = SA_OUT; i <= SA_IN; i++) {
		struct ctl_in in = sa_message(i, i == SA_OUT ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN);
		struct xipsec_sa *sa = &in.msg.sa.sa;

		if (family == XIPSEC_FAMILY_IP6) {
			sa->src = (struct xipsec_addr){.byte = {0x20, 1, 0xd, 0xb8, [15] = 1}};
			sa->dst = (struct xipsec_addr){.byte = {0x20, 1, 0xd, 0xb8, [15] = 2}};
		}
		hop.msg.nexthop.dst = sa->dst;
		sa->outer_family = family;
		sa->mode = XIPSEC_MODE_TRANSPORT;
		sa->flags = flags;
		sa->dummies = i == SA_OUT ? 10 : 0;
		if (flags & XIPSEC_SA_UDP)
			sa->src_port = sa->dst_port = htons(4500);
		assert_int_equal(worker_message(t.w, &in), 0);
	}
	assert_int_equal(worker_message(t.w, &hop), 0);
}

/* The headers of the dummy that was sent: between the ends of the SA, whole, ESP or UDP in them. */
static void headers_fit(__u8 family, bool udp, __u32 len)
{
	static const __u8 ends4[] = {192, 0, 2, 1, 192, 0, 2, 2};
	static const __u8 ends6[] = {0x20, 1, 0xd, 0xb8, [15] = 1, 0x20, 1, 0xd, 0xb8, [31] = 2};
	const bool ip4 = family == XIPSEC_FAMILY_IP4;
	const __u8 *ip = t.sent + 14, *l4 = ip + (ip4 ? 20 : 40);
	__be16 total = htons(ip4 ? len : len - 40), udp_len = htons(len - (ip4 ? 20 : 40));

	assert_int_equal(t.sent[12] << 8 | t.sent[13], ip4 ? 0x0800 : 0x86dd);
	assert_int_equal(ip[0], ip4 ? 0x45 : 0x60);
	assert_memory_equal(ip + (ip4 ? 2 : 4), &total, 2);
	assert_int_equal(ip[ip4 ? 9 : 6], udp ? IPPROTO_UDP : IPPROTO_ESP);
	assert_memory_equal(ip + (ip4 ? 12 : 8), ip4 ? ends4 : ends6, ip4 ? 8 : 32);
	if (ip4)
		assert_int_equal(csum_fold(csum_add(0, ip, 20)), 0xffff);
	if (udp) {
		assert_memory_equal(l4, "\x11\x94\x11\x94", 4);
		assert_memory_equal(l4 + 4, &udp_len, 2);
		if (!ip4) /* pseudo header: addresses, length, protocol; and UDP to its end */
			assert_int_equal(
				csum_fold(csum_add((__u64)htonl(len - 40) + htonl(IPPROTO_UDP),
						   ip + 8, len - 8)),
				0xffff);
		l4 += 8;
	}
	assert_memory_equal(l4, "\0\0\x10\1", 4);
}

/* RFC 4303 2.6 knows of no mode: without a packet whose header could be kept, the SA's ends are
 * the header. Of any length that the path takes; the receiver drops and counts them. */
static void dummies_in_transport_mode(void **state)
{
	for (int i = 0; i < 4; i++) {
		const __u8 family = i & 1 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
		const bool udp = i & 2;
		struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
		__u64 opened = count(XIPSEC_REASON_DUMMY);
		__u32 len, most = 0;

		give_transport(family, udp ? XIPSEC_SA_UDP : 0);
		meta.family = family;
		meta.l4_off = (family == XIPSEC_FAMILY_IP4 ? 34 : 54) + (udp ? 8 : 0);
		pass(1);
		tx(&t.black);
		for (__u64 n = 1; n <= 200; n++) {
			pass(100);
			len = tx(&t.black);
			assert_in_range(len, 14 + 20 + 16 + 20, 14 + 1500);
			most = len > most ? len : most;
			headers_fit(family, udp, len - 14);
			rx(&t.black, t.sent, len, &meta);
			pass(0);
			assert_int_equal(count(XIPSEC_REASON_DUMMY), opened + n);
		}
		assert_true(most > 14 + 1300);
	}
	assert_int_equal(t.sas[SA_IN].dummies, 800);
	assert_int_equal(t.sas[SA_IN].packets, 0);
	assert_int_equal(t.sas[SA_OUT].packets, 0);
	assert_int_equal(tx(&t.red), 0);
}

/* Different lengths within what the path takes. */
static void dummies_of_any_length(void **state)
{
	__u32 least = 10000, most = 0;

	give(SA_OUT, XIPSEC_DIR_OUT, 0, 1000, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (int i = 0; i < 500; i++) {
		__u32 len;

		pass(1);
		len = tx(&t.black);
		if (!len)
			continue;
		least = len < least ? len : least;
		most = len > most ? len : most;
	}
	assert_true(most <= 1514);
	assert_true(most > 1300);
	assert_true(least < 300);
}

static void no_dummies_beside_traffic(void **state)
{
	__u64 before;

	give(SA_OUT, XIPSEC_DIR_OUT, 0, 10, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	pass(1);
	before = count(XIPSEC_REASON_DUMMY_SENT);
	for (int i = 0; i < 40; i++) {
		rx_inner();
		worker_round(t.w);
		pass(50);
		tx(&t.black);
	}
	assert_int_equal(count(XIPSEC_REASON_DUMMY_SENT), before);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 40);
}

static void no_dummies_where_it_is_closed(void **state)
{
	give(SA_OUT, XIPSEC_DIR_OUT, 0, 100, 0);
	pass(1000); /* no next hop */
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, RED);
	pass(1000); /* not by a red interface */
	assert_int_equal(count(XIPSEC_REASON_DUMMY_SENT), 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	t.sas[SA_OUT].status = XIPSEC_SA_STOPPED;
	pass(1000);
	assert_int_equal(count(XIPSEC_REASON_DUMMY_SENT), 0);
	/* One worker is enough. */
	t.w->number = 1;
	t.sas[SA_OUT].status = XIPSEC_SA_LIVE;
	give(SA_OUT + 3, XIPSEC_DIR_OUT, 0, 100, 0);
	assert_int_equal(t.w->n_quiet, 1);
}

/* Its place goes to an SA that wants none; an SA that is given again is still one. */
/* A stopped SA says nothing any more: no dummy is tried, no keepalive keeps a NAT open for it. */
static void stopped_is_silent(void **state)
{
	give(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_SA_UDP, 10, 200);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	t.sas[SA_OUT].status = XIPSEC_SA_STOPPED;
	for (int i = 0; i < 50; i++)
		pass(1000);
	for (int r = 0; r < XIPSEC_REASON_COUNT; r++)
		assert_int_equal(count(r), 0);
	assert_int_equal(tx(&t.black), 0);
}

static void places_change_hands(void **state)
{
	struct ctl_in gone = {
		.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = SA_OUT, .generation = GEN}};

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	give(SA_OUT, XIPSEC_DIR_OUT, 0, 100, 0);
	give(SA_OUT, XIPSEC_DIR_OUT, 0, 100, 0);
	assert_int_equal(t.w->n_quiet, 1);
	assert_int_equal(t.w->n_dummies, 1);
	assert_int_equal(worker_message(t.w, &gone), 0);
	give(SA_OUT, XIPSEC_DIR_OUT, 0, 100, 0);
	assert_int_equal(t.w->n_quiet, 1);
	t.w->sas[SA_OUT].generation = GEN + 1;
	pass(1000);
	assert_int_equal(t.w->n_quiet, 0);
	assert_int_equal(t.w->n_dummies, 0);
	assert_int_equal(count(XIPSEC_REASON_DUMMY_SENT), 0);
}

/* ------------------------------------------------------------------ keepalives */

static void keepalive_after_20_s(void **state)
{
	static const __u8 udp[] = {0x11, 0x94, 0x11, 0x94, 0, 9, 0, 0, 0xff};

	give(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_SA_UDP, 0, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	pass(1000);
	pass(18000);
	assert_int_equal(tx(&t.black), 0);
	pass(1100);
	assert_int_equal(tx(&t.black), 14 + 20 + 9);
	assert_int_equal(t.sent[14 + 9], IPPROTO_UDP);
	assert_memory_equal(t.sent + 34, udp, sizeof(udp));
	assert_int_equal(count(XIPSEC_REASON_KEEPALIVE_SENT), 1);
	pass(19000);
	assert_int_equal(tx(&t.black), 0);
	/* A packet is as good. */
	rx_inner();
	worker_round(t.w);
	assert_true(tx(&t.black) > 100);
	pass(1000);
	pass(18000);
	assert_int_equal(tx(&t.black), 0);
	pass(2100);
	assert_int_equal(tx(&t.black), 14 + 20 + 9);
	assert_int_equal(t.sas[SA_OUT].seq, 1);
}

/* Over IPv6 the UDP checksum is not left out (RFC 8200 8.1). */
static void checksums_over_ip6(void **state)
{
	struct ctl_in hop = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					     .family = XIPSEC_FAMILY_IP6,
					     .status = XIPSEC_NEXTHOP_OK,
					     .slot = BLACK,
					     .mtu = 1500,
					     .lifetime = 60}};
	struct ctl_in in = sa_message(SA_OUT, XIPSEC_DIR_OUT);
	struct xipsec_sa *sa = &in.msg.sa.sa;
	const struct xipsec_addr src = {.byte = {0x20, 1, 0xd, 0xb8, [15] = 1}};
	const struct xipsec_addr dst = {.byte = {0x20, 1, 0xd, 0xb8, [15] = 2}};
	__u32 len;

	sa->outer_family = XIPSEC_FAMILY_IP6;
	sa->src = src;
	sa->dst = dst;
	sa->flags = XIPSEC_SA_UDP;
	sa->src_port = sa->dst_port = htons(4500);
	sa->dummies = 10;
	hop.msg.nexthop.dst = dst;
	for (int keepalive = 0; keepalive < 2; keepalive++) {
		sa->dummies = keepalive ? 0 : 10;
		assert_int_equal(worker_message(t.w, &in), 0);
		assert_int_equal(worker_message(t.w, &hop), 0);
		pass(1000);
		pass(keepalive ? 21000 : 100);
		len = tx(&t.black);
		assert_true(keepalive ? len == 14 + 40 + 9 : len > 14 + 40 + 8 + 16);
		assert_int_equal(t.sent[14 + 6], IPPROTO_UDP);
		assert_true(t.sent[60] || t.sent[61]);
		/* pseudo header: addresses, length, protocol; and UDP to its end */
		assert_int_equal(csum_fold(csum_add((__u64)htonl(len - 54) + htonl(IPPROTO_UDP),
						    t.sent + 22, len - 22)),
				 0xffff);
	}
	assert_true(count(XIPSEC_REASON_DUMMY_SENT) > 0);
	assert_true(count(XIPSEC_REASON_KEEPALIVE_SENT) > 0);
}

/* Dummies as long as the path takes go by what was learnt of it. */
static void dummies_keep_to_the_path(void **state)
{
	give(SA_OUT, XIPSEC_DIR_OUT, 0, 10, XIPSEC_TFC_MTU);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	pass(1);
	pass(100);
	assert_in_range(tx(&t.black), 14 + 1497, 14 + 1500);
	t.sas[SA_OUT].pmtu = 1000;
	t.sas[SA_OUT].pmtu_until = (__u32)(t.w->now_ms / 1000) + 600;
	pass(100);
	while (tx(&t.black) > 14 + 1400)
		;
	pass(100);
	assert_in_range(tx(&t.black), 14 + 997, 14 + 1000);
}

static void no_keepalive_without_udp(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	pass(50000);
	pass(50000);
	assert_int_equal(tx(&t.black), 0);
}

/* ------------------------------------------------------------------ peers */

/* Sealed in UDP, as if it came from that port. */
static void rx_from(__u16 port)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
	__be16 port_be = htons(port);
	__u32 len;

	rx_inner();
	worker_round(t.w);
	len = tx(&t.black);
	assert_true(len > 0);
	memcpy(t.sent + 34, &port_be, 2);
	meta.l4_off = 42;
	rx(&t.black, t.sent, len, &meta);
	worker_round(t.w);
}

static void peer_is_told(void **state)
{
	struct ctl_peer peer;

	give(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_SA_UDP, 0, 0);
	give(SA_IN, XIPSEC_DIR_IN, XIPSEC_SA_UDP, 0, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_from(4500);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 0);
	rx_from(31000);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 1);
	assert_int_equal(peer.index, SA_IN);
	assert_int_equal(peer.generation, GEN);
	assert_int_equal(peer.addr.word[0], inet_addr("192.0.2.1"));
	assert_int_equal(peer.port, htons(31000));
	/* Once a second, the newest, until xipsecd says so. */
	rx_from(31001);
	rx_from(31002);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 0);
	pass(1001);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 1);
	assert_int_equal(peer.port, htons(31002));
	pass(1001);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 1);
	give(SA_IN, XIPSEC_DIR_IN, XIPSEC_SA_UDP, 0, 0);
	pass(1001);
	pass(1001);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 0);
}

static void peer_that_comes_back(void **state)
{
	struct ctl_peer peer;

	give(SA_OUT, XIPSEC_DIR_OUT, XIPSEC_SA_UDP, 0, 0);
	give(SA_IN, XIPSEC_DIR_IN, XIPSEC_SA_UDP, 0, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_from(31000);
	rx_from(4500);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 1);
	pass(1001);
	pass(1001);
	assert_int_equal(told(XIPSEC_CTL_PEER, (void *)&peer, sizeof(peer)), 0);
}

/* ------------------------------------------------------------------ samples */

static void replays_are_told(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
	struct ctl_sample s;
	__u32 len = seal_one();

	rx_sealed(len);
	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	for (int i = 0; i < 20; i++) {
		rx(&t.black, t.sent, len, &meta);
		worker_round(t.w);
	}
	assert_int_equal(count(XIPSEC_REASON_REPLAY), 20);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_REPLAY);
	assert_int_equal(s.sample.spi, htonl(0x1001));
	assert_int_equal(s.sample.seq, 1);
	assert_int_equal(s.sample.src.word[0], inet_addr("192.0.2.1"));
	assert_int_equal(s.sample.dst.word[0], inet_addr("192.0.2.2"));
	assert_int_equal(s.sample.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(s.sample.sa_index, SA_IN);
	assert_int_equal(s.sample.sa_generation, GEN);
	assert_int_equal(s.sample.len, len);
	assert_int_equal(s.sample.inner, 0);
	assert_int_equal(s.sample.missed, 0);
	pass(101);
	rx(&t.black, t.sent, len, &meta);
	worker_round(t.w);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.missed, 19);
}

/* All that a worker drops for a second, of all reasons: each reason every 100 ms, and 100 a second
 * in all, after 100 that it may tell in one go. */
static void tells_are_limited(void **state)
{
	const struct work work = {.bytes = 60};
	unsigned int n, all = 0, dropped = 0;
	struct ctl_sample s;

	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	sample_drop(t.w, &work, XIPSEC_REASON_ICV);
	assert_int_equal(t.w->gates[XIPSEC_REASON_ICV].next, t.w->now_ms + 100);
	t.w->now_ms += 99;
	sample_drop(t.w, &work, XIPSEC_REASON_ICV);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	t.w->now_ms += 1;
	for (int i = 0; i < 10; i++, t.w->now_ms += 100) {
		for (__u16 reason = 0; reason < XIPSEC_REASON_COUNT; reason++) {
			bool drop = reason_kind(reason) == XIPSEC_KIND_DROP;

			dropped += drop;
			if (drop)
				sample_drop(t.w, &work, reason);
		}
		n = told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
		all += n;
		assert_true(i < 3 || n == 10);
	}
	assert_true(dropped > 400);
	assert_int_equal(all, 100 + 9 * 10);
}

/* The packet that selectors refuse is told as it is inside. */
static void refused_packets_are_told(void **state)
{
	struct ctl_sample s;
	__u32 len = seal_one();
	struct ctl_in in = sa_message(SA_IN, XIPSEC_DIR_IN);
	struct xipsec_selector *sel = in.msg.sa.sa.selector;

	sel->family = XIPSEC_FAMILY_IP4;
	sel->remote_lo.word[0] = inet_addr("10.77.0.0");
	sel->remote_hi.word[0] = inet_addr("10.77.255.255");
	assert_int_equal(worker_message(t.w, &in), 0);
	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_SELECTOR), 1);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_SELECTOR);
	assert_int_equal(s.sample.inner, 1);
	assert_int_equal(s.sample.src.word[0], inet_addr("10.1.0.1"));
	assert_int_equal(s.sample.dst.word[0], inet_addr("10.2.0.1"));
	assert_int_equal(s.sample.l4_proto, IPPROTO_UDP);
	assert_int_equal(s.sample.sport, 1);
	assert_int_equal(s.sample.dport, 2);
	assert_int_equal(s.sample.spi, htonl(0x1001));
}

/* One packet in of SA_IN that ends as `reason`: told with SPI, number and outer addresses, the
 * first `kept` bytes of it as they came. */
static void told_outside(__u32 len, enum xipsec_reason reason, __u32 seq, __u8 proto, __u32 kept)
{
	struct ctl_sample s = {0};

	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	rx_sealed(len);
	assert_int_equal(count(reason), 1);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, reason);
	assert_int_equal(s.sample.spi, htonl(0x1001));
	assert_int_equal(s.sample.seq, seq);
	assert_int_equal(s.sample.src.word[0], inet_addr("192.0.2.1"));
	assert_int_equal(s.sample.dst.word[0], inet_addr("192.0.2.2"));
	assert_int_equal(s.sample.l4_proto, proto);
	assert_int_equal(s.sample.inner, 0);
	assert_int_equal(s.sample.sa_index, SA_IN);
	assert_int_equal(s.sample.sa_generation, GEN);
	assert_int_equal(s.sample.captured, len - 14);
	assert_memory_equal(s.sample.data, t.sent + 14, kept);
}

static void forged_packets_are_told(void **state)
{
	__u32 len;

	t.globals->tell = XIPSEC_TELL_PACKETS;
	seal_one();
	len = seal_one();
	t.sent[len - 1] ^= 1;
	told_outside(len, XIPSEC_REASON_ICV, 2, IPPROTO_ESP, 20 + 16);
}

/* Authentic, but its first byte of padding is none. */
static void wrong_padding_is_told(void **state)
{
	__u32 len = seal_one(), text_len = len - 14 - 20 - 16 - 16;
	const struct sa *sa = t.w->sas[SA_OUT].sa;
	__u8 *esp = t.sent + 34;
	struct crypto_op op = {
		.text = esp + 16, .tag = esp + 16 + text_len, .len = text_len, .head_len = 16};

	memcpy(op.nonce, sa->salt, 4);
	memcpy(op.nonce + 4, esp + 8, 8);
	memcpy(op.aad, esp, 8);
	sa->open(sa->key->ctx, &op, 1, sa->aad_len);
	assert_true(op.ok);
	assert_memory_equal(op.text + text_len - 4, "\x01\x02\x02\x04", 4);
	op.text[text_len - 4] = 9;
	sa->seal(sa->key->ctx, &op, 1, sa->aad_len);
	t.globals->tell = XIPSEC_TELL_PACKETS;
	told_outside(len, XIPSEC_REASON_ESP_PAD, 1, IPPROTO_ESP, 20 + 16);
}

/* What AH takes for zero while it computes is told as it came: TOS, TTL, checksum, ICV. */
static void forged_ah_is_told_as_it_came(void **state)
{
	__u32 len;

	t.globals->tell = XIPSEC_TELL_PACKETS;
	for (__u32 i = SA_OUT; i <= SA_IN; i++) {
		struct ctl_in in = sa_message(i, i == SA_OUT ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN);

		in.msg.sa.sa.l4_proto = IPPROTO_AH;
		in.msg.sa.sa.alg = XIPSEC_ALG_NULL_SHA256;
		in.msg.sa.sa.key_len = 32;
		in.msg.sa.sa.dscp = 46;
		in.msg.sa.sa.flags = XIPSEC_SA_DSCP;
		assert_int_equal(worker_message(t.w, &in), 0);
	}
	len = seal_one();
	assert_int_equal(t.sent[15], 46 << 2);
	t.sent[len - 1] ^= 1;
	told_outside(len, XIPSEC_REASON_ICV, 1, IPPROTO_AH, len - 14);
}

/* RFC 4303 3.3.3: of an SA that has come to its end, not of the packet that met it. */
static void the_end_of_numbers_is_told(void **state)
{
	struct ctl_sample s = {0};

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	t.sas[SA_OUT].seq = t.sas[SA_OUT].seq_limit = 0xffffffff;
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEQ_END), 1);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_SEQ_END);
	assert_int_equal(s.sample.spi, htonl(0x1001));
	assert_int_equal(s.sample.seq, 0xffffffff);
	assert_int_equal(s.sample.src.word[0], inet_addr("192.0.2.1"));
	assert_int_equal(s.sample.dst.word[0], inet_addr("192.0.2.2"));
	assert_int_equal(s.sample.l4_proto, IPPROTO_ESP);
	assert_int_equal(s.sample.sport, 0);
	assert_int_equal(s.sample.inner, 0);
	assert_int_equal(s.sample.sa_index, SA_OUT);
}

/* RFC 6040 4.2: ECT(0) outside of a packet that says it cannot carry marks. */
static void odd_congestion_marks_are_told(void **state)
{
	struct ctl_sample s;
	__u32 len = seal_one();

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	assert_int_equal(t.sent[14 + 1] & 3, 0);
	t.sent[14 + 1] |= 2;
	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_OPENED_ECN), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 0);
	assert_int_equal(t.sas[SA_IN].packets, 1);
	assert_true(tx(&t.red) > 14);
	assert_int_equal(t.sent[14 + 1] & 3, 0);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_OPENED_ECN);
	assert_int_equal(s.sample.inner, 1);
	assert_int_equal(s.sample.src.word[0], inet_addr("10.1.0.1"));
	assert_int_equal(s.sample.spi, htonl(0x1001));
	assert_int_equal(s.sample.seq, 1);
}

/* CE outside of a packet that cannot carry it: dropped when the tunnel's headers were gone. */
static void refused_congestion_is_told(void **state)
{
	struct ctl_sample s = {0};
	__u32 len = seal_one();

	t.globals->tell = XIPSEC_TELL_PACKETS;
	t.sent[14 + 1] |= 3;
	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_ECN), 1);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_ECN);
	assert_int_equal(s.sample.inner, 1);
	assert_int_equal(s.sample.src.word[0], inet_addr("10.1.0.1"));
	assert_int_equal(s.sample.dst.word[0], inet_addr("10.2.0.1"));
	assert_int_equal(s.sample.l4_proto, IPPROTO_UDP);
	assert_int_equal(s.sample.spi, htonl(0x1001));
	assert_int_equal(s.sample.captured, 20 + 8 + 64);
}

static void frames_without_a_verdict(void **state)
{
	struct ctl_sample s;
	__u8 frame[200] = {0};

	told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s));
	rx(&t.black, frame, sizeof(frame), NULL);
	worker_round(t.w);
	assert_int_equal(told(XIPSEC_CTL_SAMPLE, (void *)&s, sizeof(s)), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_BAD_META);
	assert_int_equal(s.sample.sa_generation, 0);
	assert_int_equal(s.sample.spi, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(dummies_at_their_rate),
		TEST(dummies_at_high_rates),
		TEST(dummies_vanish_at_the_receiver),
		TEST(dummies_in_transport_mode),
		TEST(dummies_of_any_length),
		TEST(no_dummies_beside_traffic),
		TEST(no_dummies_where_it_is_closed),
		TEST(stopped_is_silent),
		TEST(places_change_hands),
		TEST(keepalive_after_20_s),
		TEST(checksums_over_ip6),
		TEST(dummies_keep_to_the_path),
		TEST(no_keepalive_without_udp),
		TEST(peer_is_told),
		TEST(peer_that_comes_back),
		TEST(replays_are_told),
		TEST(tells_are_limited),
		TEST(refused_packets_are_told),
		TEST(forged_packets_are_told),
		TEST(wrong_padding_is_told),
		TEST(forged_ah_is_told_as_it_came),
		TEST(the_end_of_numbers_is_told),
		TEST(odd_congestion_marks_are_told),
		TEST(refused_congestion_is_told),
		TEST(frames_without_a_verdict),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
