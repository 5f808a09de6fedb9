// SPDX-License-Identifier: BSD-2-Clause
/*
 * The slow path, from a real socket on the loopback to a frame in a TX ring: ESP in UDP as a
 * datagram of any length. (Raw sockets want root: tests/netns/reassembly.sh has them.)
 */
#include "tests/unit/pipeline_fixture.h"

#include <net/if.h>

#include "worker/esp_out.h"
#include "worker/sa.h"
#include "worker/slow.h"

static int from; /* sends to the worker's socket */
static __u8 sealed[32768];
static __u8 inner_tos; /* of what is sealed next */
static __u8 packet[32768];

static void remake(__u32 index, __u8 dir, __u32 spi)
{
	struct ctl_in in = {.msg.sa = {.hdr.type = XIPSEC_CTL_SA,
				       .index = index,
				       .generation = GEN,
				       .sa = {
					       .src.word[0] = inet_addr("127.0.0.1"),
					       .dst.word[0] = inet_addr("127.0.0.1"),
					       .spi = htonl(spi),
					       .outer_family = XIPSEC_FAMILY_IP4,
					       .l4_proto = IPPROTO_ESP,
					       .dir = dir,
					       .mode = XIPSEC_MODE_TUNNEL,
					       .flags = XIPSEC_SA_UDP,
					       .src_port = htons(4500),
					       .dst_port = htons(4500),
					       .alg = XIPSEC_ALG_AES128GCM16,
					       .window = 1024,
					       .key_len = 20,
					       .key = {9, 8, 7},
					       .n_selectors = 1,
				       }}};
	struct xipsec_selector *sel = &in.msg.sa.sa.selector[0];

	memset(&sel->local_hi, 0xff, sizeof(sel->local_hi));
	memset(&sel->remote_hi, 0xff, sizeof(sel->remote_hi));
	sel->local_port_hi = sel->remote_port_hi = sel->icmp_hi = XIPSEC_PORT_MAX;
	sel->any_proto = 1;
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* Gives the worker a socket of that kind; returns one that sends to it. */
static int slow_socket(__u32 kind, int family)
{
	union {
		struct sockaddr any;
		struct sockaddr_in ip4;
		struct sockaddr_in6 ip6;
	} at = {.any.sa_family = (sa_family_t)family};
	struct ctl_in in = {.n_fds = 1, .msg.slow = {.hdr.type = XIPSEC_CTL_SLOW, .kind = kind}};
	const bool ip4 = family == AF_INET;
	const int level = ip4 ? IPPROTO_IP : IPPROTO_IPV6, one = 1;
	int to = socket(family, SOCK_DGRAM, 0), sender = socket(family, SOCK_DGRAM, 0);
	socklen_t len = sizeof(at);

	if (ip4)
		at.ip4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	else
		at.ip6.sin6_addr = in6addr_loopback;
	assert_int_equal(
		setsockopt(to, level, ip4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &one, sizeof(one)), 0);
	assert_int_equal(
		setsockopt(to, level, ip4 ? IP_RECVTOS : IPV6_RECVTCLASS, &one, sizeof(one)), 0);
	assert_int_equal(bind(to, &at.any, len), 0);
	assert_int_equal(getsockname(to, &at.any, &len), 0);
	assert_int_equal(connect(sender, &at.any, len), 0);
	in.fd[0] = to;
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_int_equal(in.fd[0], -1);
	return sender;
}

static int slow_setup(void **state)
{
	setup(state);
	remake(SA_IN, XIPSEC_DIR_IN, 0x2001); /* before the socket comes */
	from = slow_socket(XIPSEC_SLOW_NATT4, AF_INET);
	remake(SA_OUT, XIPSEC_DIR_OUT, 0x2001);
	tell_hop("127.0.0.1", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	return 0;
}

static int slow_teardown(void **state)
{
	close(from);
	return teardown(state);
}

static void say(const void *data, __u32 len)
{
	assert_int_equal(send(from, data, len, 0), len);
	usleep(2000);
	slow_round(t.w);
	assert_int_equal(worker_check(t.w), 0);
}

/* Seals a packet whose payload is `payload` bytes, of whatever length; its ESP in `sealed`. */
static __u32 seal_long(__u32 payload, bool df)
{
	static __u8 buffer[32768];
	struct packet p = {.data = buffer + 256, .headroom = 256, .family = XIPSEC_FAMILY_IP4};
	struct packet *pkts = &p;

	p.len = inner(packet, payload, df) - 14;
	for (__u32 i = 0; i < payload; i++)
		packet[42 + i] = (__u8)(i * 13 + i / 251);
	memcpy(p.data, packet + 14, p.len);
	p.data[1] = inner_tos;
	p.tailroom = sizeof(buffer) - 256 - p.len;
	esp_out_burst(t.w->sas[SA_OUT].sa, &pkts, 1, SA_ANY_MTU, 1);
	assert_int_equal(p.reason, XIPSEC_REASON_SEALED);
	memcpy(sealed, p.data + 28, p.len - 28);
	return p.len - 28;
}

static void opens(void **state)
{
	for (__u32 payload = 0; payload < 1400; payload += 100) {
		__u32 len = seal_long(payload, false), got;

		say(sealed, len);
		go_round();
		got = tx(&t.red);
		assert_int_equal(got, 42 + payload);
		assert_memory_equal(t.sent + 26, packet + 26, got - 26);
	}
	assert_int_equal(count(XIPSEC_REASON_OPENED), 14);
	/* none twice */
	say(sealed, seal_long(5, false));
	tx(&t.red);
	say(sealed, 60);
	assert_true(count(XIPSEC_REASON_REPLAY) + count(XIPSEC_REASON_ESP_SHORT) > 0);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 15);
}

/* RFC 6040 4.2: what the datagram's own header says of congestion goes to the inner one. */
static void congestion(void **state)
{
	static const struct {
		__u8 outer, inner, left;
		enum xipsec_reason reason;
	} cases[] = {
		{3, 2, 3, XIPSEC_REASON_OPENED}, {1, 2, 1, XIPSEC_REASON_OPENED},
		{0, 2, 2, XIPSEC_REASON_OPENED}, {3, 1, 3, XIPSEC_REASON_OPENED},
		{0, 0, 0, XIPSEC_REASON_OPENED}, {3, 0, 0, XIPSEC_REASON_ECN},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 before = count(cases[i].reason);
		int tos = cases[i].outer;

		inner_tos = cases[i].inner;
		assert_int_equal(setsockopt(from, IPPROTO_IP, IP_TOS, &tos, sizeof(tos)), 0);
		say(sealed, seal_long(100, false));
		go_round();
		assert_int_equal(count(cases[i].reason), before + 1);
		if (cases[i].reason != XIPSEC_REASON_OPENED) {
			assert_int_equal(tx(&t.red), 0);
			continue;
		}
		assert_int_equal(tx(&t.red), 42 + 100);
		assert_int_equal(t.sent[15], cases[i].left);
	}
	inner_tos = 0;
}

/* What no frame holds is cut, or its sender is told; it waits where a jumbo frame holds it. */
static void longer_than_a_frame(void **state)
{
	__u32 len = seal_long(3000, false);

	say(sealed, len);
	go_round();
	assert_true(tx(&t.red) > 0);
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 3);
	len = seal_long(3000, true);
	say(sealed, len);
	go_round();
	assert_int_equal(tx(&t.red), 0);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	/* a next hop that is not known holds what fits one, and nothing else */
	nexthops_forget_slot(t.w->nhs, RED);
	len = seal_long(100, false);
	say(sealed, len);
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	len = seal_long(3000, false);
	say(sealed, len);
	assert_int_equal(nexthops_held(t.w->nhs), 2);
	len = seal_long(20000, false);
	say(sealed, len);
	assert_int_equal(nexthops_held(t.w->nhs), 2);
	assert_int_equal(count(XIPSEC_REASON_NO_NEIGH), 1);
}

static void answers_from_outside(void **state)
{
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = RED,
					.role = XIPSEC_ROLE_PROTECTED,
					.mtu = 1500,
					.up = 1,
					.ip4.word[0] = inet_addr("10.2.0.254")}};
	__u32 len = seal_long(3000, true);

	assert_int_equal(worker_message(t.w, &in), 0);
	say(sealed, len);
	go_round();
	assert_int_equal(tx(&t.red), 0);
	assert_true(tx(&t.black) > 576);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
}

static void refuses(void **state)
{
	struct ctl_in gone = {
		.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = SA_IN, .generation = GEN}};
	__u32 len;

	say("\xff", 1);
	assert_int_equal(count(XIPSEC_REASON_NAT_KEEPALIVE), 1);
	say("\0\0\0\0IKE", 7);
	assert_int_equal(count(XIPSEC_REASON_IKE_CLOSED), 1);
	say("\0\0\x20\x01\0\0\0", 7);
	assert_int_equal(count(XIPSEC_REASON_ESP_SHORT), 1);
	say("", 0);
	assert_int_equal(count(XIPSEC_REASON_ESP_SHORT), 2);
	say("\0\0\x20\x02\0\0\0\1", 8);
	assert_int_equal(count(XIPSEC_REASON_NO_SA), 1);
	say("\0\0\x20\x01\0\0\0\1", 8);
	assert_int_equal(count(XIPSEC_REASON_ESP_SHORT), 3);
	len = seal_long(100, false);
	sealed[30] ^= 1;
	say(sealed, len);
	assert_int_equal(count(XIPSEC_REASON_ICV), 1);
	/* with an SA of other ends */
	tell_sa(SA_IN, XIPSEC_DIR_IN);
	say(sealed, len);
	assert_int_equal(count(XIPSEC_REASON_NO_SA), 2);
	remake(SA_IN, XIPSEC_DIR_IN, 0x2001);
	t.sas[SA_IN].generation = GEN;
	say(sealed, seal_long(100, false));
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	assert_int_equal(worker_message(t.w, &gone), 0);
	say(sealed, seal_long(100, false));
	assert_int_equal(count(XIPSEC_REASON_NO_SA), 3);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
}

/* Another SA of the same SPI, with a key of its own, at 127.0.0.2. */
static void tell_elsewhere(__u32 index, __u32 spi)
{
	struct ctl_in in = sa_message(index, XIPSEC_DIR_IN);
	struct xipsec_sa *sa = &in.msg.sa.sa;

	tell_sa(index, XIPSEC_DIR_IN);
	sa->spi = htonl(spi);
	sa->src.word[0] = inet_addr("127.0.0.1");
	sa->dst.word[0] = inet_addr("127.0.0.2");
	sa->flags = XIPSEC_SA_UDP;
	sa->src_port = sa->dst_port = htons(4500);
	sa->key[0] ^= 1;
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* SPIs are told apart by the address they are of: two peers of ours may have given the same. */
static void one_spi_of_two_addresses(void **state)
{
	struct ctl_in gone = {
		.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = SA_IN, .generation = GEN}};

	tell_elsewhere(SA_IN + 2, 0x2001); /* found first: it came last */
	say(sealed, seal_long(100, false));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	assert_int_equal(t.sas[SA_IN].packets, 1);
	assert_int_equal(worker_message(t.w, &gone), 0);
	say(sealed, seal_long(100, false));
	assert_int_equal(count(XIPSEC_REASON_NO_SA), 1);
	assert_int_equal(count(XIPSEC_REASON_ICV), 0);
}

/* ------------------------------------------------------------------ samples */

/* The last sample that waits; how many there were. */
static unsigned int told(struct xipsec_sample *last)
{
	union {
		union ctl_msg msg;
		struct ctl_sample sample;
	} got;
	unsigned int n = 0;

	while (recv(t.ctl, &got, sizeof(got), MSG_DONTWAIT) > 0) {
		if (got.msg.hdr.type != XIPSEC_CTL_SAMPLE)
			continue;
		*last = got.sample.sample;
		n++;
	}
	return n;
}

/* One datagram that ends as `reason` is told once, with what can be known of it. */
static void told_as(const void *data, __u32 len, __u16 reason, __u32 spi, __u32 seq)
{
	struct xipsec_sample s = {0};
	struct sockaddr_in at;
	socklen_t at_len = sizeof(at);
	__u32 n_free = t.w->frames.n_free;

	t.w->now_ms += 1000;
	told(&s);
	assert_int_equal(send(from, data, len, 0), len);
	usleep(2000);
	if (reason == XIPSEC_REASON_TX_FULL)
		t.w->frames.n_free = 0; /* they hide */
	slow_round(t.w);
	t.w->frames.n_free = n_free;
	assert_int_equal(worker_check(t.w), 0);
	assert_int_equal(told(&s), 1);
	assert_int_equal(s.reason, reason);
	assert_int_equal(s.worker, 1);
	assert_int_equal(s.missed, 0);
	assert_int_equal(s.time, t.w->now_ms * 1000000);
	assert_int_equal(s.ifindex, if_nametoindex("lo"));
	assert_int_equal(s.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(s.src.word[0], inet_addr("127.0.0.1"));
	assert_int_equal(s.dst.word[0], inet_addr("127.0.0.1"));
	assert_int_equal(s.l4_proto, IPPROTO_UDP);
	assert_int_equal(getsockname(from, (struct sockaddr *)&at, &at_len), 0);
	assert_int_equal(s.sport, ntohs(at.sin_port));
	assert_int_equal(s.dport, 4500);
	assert_int_equal(s.spi, htonl(spi));
	assert_int_equal(s.seq, seq);
	assert_int_equal(s.inner, 0);
	assert_int_equal(s.sa_generation, 0);
	if (!spi) {
		assert_int_equal(s.captured, 0);
		return;
	}
	assert_int_equal(s.captured, 28 + len);
	assert_int_equal(s.raw, 1);
	assert_int_equal(s.data[0], 0x45);
	assert_memory_equal(s.data + 28, data, len);
}

static void strangers_are_told(void **state)
{
	struct xipsec_sample s;

	t.globals->tell = XIPSEC_TELL_PACKETS;
	told_as("\0\0\x20\x02\1\2\3\4", 8, XIPSEC_REASON_NO_SA, 0x2002, 0x1020304);
	told_as("\0\0\x20\x01\0\0\0", 7, XIPSEC_REASON_ESP_SHORT, 0, 0);
	told_as("E\0\x20\x01\0\0\0", 7, XIPSEC_REASON_ESP_SHORT, 0, 0);
	told_as("\0\0\x20\x01\0\0\0\5", 8, XIPSEC_REASON_TX_FULL, 0x2001, 5);
	/* as seldom as any */
	t.w->now_ms += 1000;
	for (int i = 0; i < 20; i++)
		say("\0\0\x20\x02\0\0\0\1", 8);
	assert_int_equal(told(&s), 1);
	t.w->now_ms += 1000;
	say("\0\0\x20\x02\0\0\0\1", 8);
	assert_int_equal(told(&s), 1);
	assert_int_equal(s.missed, 19);
	/* what ends in silence */
	say("\xff", 1);
	assert_int_equal(count(XIPSEC_REASON_NAT_KEEPALIVE), 1);
	assert_int_equal(told(&s), 0);
}

/* As raw sockets give them: ESP and AH without UDP, behind an IPv4 header of their own, or behind
 * one of IPv6 that is made again. (UDP's sockets deliver them here.) */
static void strangers_of_other_kinds_are_told(void **state)
{
#define IP4(len, proto) "E\0\0" len "\0\0\0\0@" proto "\0\0\x7f\0\0\1\x7f\0\0\1"
	static const struct {
		__u32 kind, len;
		const char *data;
		__u32 spi, seq, captured;
		__u16 reason;
		__u8 proto;
	} cases[] = {
		{XIPSEC_SLOW_ESP6, 8, "\0\0\x20\2\1\2\3\4", 0x2002, 0x1020304, 48,
		 XIPSEC_REASON_NO_SA, IPPROTO_ESP},
		{XIPSEC_SLOW_ESP6, 7, "\0\0\x20\2\1\2\3", 0, 0, 47, XIPSEC_REASON_ESP_SHORT,
		 IPPROTO_ESP},
		{XIPSEC_SLOW_AH6, 12, "\x11\1\0\0\0\0\x20\2\1\2\3\4", 0x2002, 0x1020304, 52,
		 XIPSEC_REASON_NO_SA, IPPROTO_AH},
		{XIPSEC_SLOW_AH6, 11, "\x11\1\0\0\0\0\x20\2\1\2\3", 0, 0, 51,
		 XIPSEC_REASON_ESP_SHORT, IPPROTO_AH},
		{XIPSEC_SLOW_ESP4, 28, IP4("\x1c", "\x32") "\0\0\x20\2\1\2\3\4", 0x2002, 0x1020304,
		 28, XIPSEC_REASON_NO_SA, IPPROTO_ESP},
		{XIPSEC_SLOW_AH4, 32, IP4("\x20", "\x33") "\x11\1\0\0\0\0\x20\2\1\2\3\4", 0x2002,
		 0x1020304, 32, XIPSEC_REASON_NO_SA, IPPROTO_AH},
		/* what says that it is longer than it is has no header that could be shown */
		{XIPSEC_SLOW_AH4, 32, IP4("\x21", "\x33") "\x11\1\0\0\0\0\x20\2\1\2\3\4", 0, 0, 0,
		 XIPSEC_REASON_MALFORMED_IP4, IPPROTO_AH},
	};
#undef IP4

	t.globals->tell = XIPSEC_TELL_PACKETS;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const bool ip6 = cases[i].kind == XIPSEC_SLOW_ESP6 ||
				 cases[i].kind == XIPSEC_SLOW_AH6;
		const struct xipsec_addr end4 = {.word[0] = htonl(INADDR_LOOPBACK)};
		const struct xipsec_addr end6 = {.byte[15] = 1};
		const struct xipsec_addr end = ip6 ? end6 : end4;
		struct xipsec_sample s = {0};

		close(from);
		from = slow_socket(cases[i].kind, ip6 ? AF_INET6 : AF_INET);
		t.w->now_ms += 1000;
		say(cases[i].data, cases[i].len);
		assert_int_equal(told(&s), 1);
		assert_int_equal(s.reason, cases[i].reason);
		assert_int_equal(s.ifindex, if_nametoindex("lo"));
		assert_int_equal(s.family, ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4);
		assert_memory_equal(&s.src, &end, sizeof(end));
		assert_memory_equal(&s.dst, &end, sizeof(end));
		assert_int_equal(s.l4_proto, cases[i].proto);
		assert_int_equal(s.sport, 0);
		assert_int_equal(s.dport, 0);
		assert_int_equal(s.spi, htonl(cases[i].spi));
		assert_int_equal(s.seq, cases[i].seq);
		assert_int_equal(s.captured, cases[i].captured);
		if (!s.captured)
			continue;
		assert_int_equal(s.data[0] >> 4, ip6 ? 6 : 4);
		assert_int_equal(s.data[ip6 ? 6 : 9], cases[i].proto);
		assert_memory_equal(s.data + s.captured - cases[i].len, cases[i].data,
				    cases[i].len);
	}
}

static void tell_ifindex(__u32 slot, __u32 ifindex)
{
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = slot,
					.role = XIPSEC_ROLE_UNPROTECTED,
					.mtu = 1500,
					.up = 1,
					.ifindex = ifindex}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

/* What an SA dropped names the interface that it came in by, if that is one of ours. */
static void samples_name_the_interface(void **state)
{
	__u32 lo = if_nametoindex("lo");

	for (int ours = 0; ours < 2; ours++) {
		struct xipsec_sample s = {0};
		__u32 len = seal_long(100, false);

		tell_ifindex(0, lo + 7);
		tell_ifindex(6, ours ? lo : lo + 8);
		sealed[30] ^= 1;
		t.w->now_ms += 1000;
		told(&s);
		say(sealed, len);
		assert_int_equal(told(&s), 1);
		assert_int_equal(s.reason, XIPSEC_REASON_ICV);
		assert_int_equal(s.sa_index, SA_IN);
		assert_int_equal(s.ifindex, ours ? lo : 0);
	}
}

/* An SPI and an address alone are not an SA: it must be of that family. In UDP or not is the same
 * (RFC 7296 2.23). */
static void other_family_is_no_sa(void **state)
{
	struct ctl_in in = sa_message(SA_IN, XIPSEC_DIR_IN);
	struct xipsec_sa *sa = &in.msg.sa.sa;

	sa->spi = htonl(0x2001);
	sa->src.word[0] = sa->dst.word[0] = inet_addr("127.0.0.1");
	sa->outer_family = XIPSEC_FAMILY_IP6;
	sa->flags = XIPSEC_SA_UDP;
	sa->src_port = sa->dst_port = htons(4500);
	assert_int_equal(worker_message(t.w, &in), 0);
	say(sealed, seal_long(100, false));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_NO_SA), 1);
	assert_int_equal(tx(&t.red), 0);
	/* the positive control */
	remake(SA_IN, XIPSEC_DIR_IN, 0x2001);
	say(sealed, seal_long(100, false));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	t.w->sas[SA_IN].sa->udp = 0;
	say(sealed, seal_long(100, false));
	go_round();
	assert_int_equal(count(XIPSEC_REASON_OPENED), 2);
}

/* One round reads so much and no more; without a frame nothing is opened. */
static void is_bounded(void **state)
{
	__u32 len;

	for (int i = 0; i < SLOW_BURST + 3; i++)
		assert_int_equal(send(from, "\xff", 1, 0), 1);
	usleep(5000);
	slow_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_NAT_KEEPALIVE), SLOW_BURST);
	slow_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_NAT_KEEPALIVE), SLOW_BURST + 3);
	len = seal_long(100, false);
	t.w->frames.n_free = 0;
	assert_int_equal(send(from, sealed, len, 0), len);
	usleep(2000);
	slow_round(t.w);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 0);
}

#undef TEST
#define TEST(f) cmocka_unit_test_setup_teardown(f, slow_setup, slow_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens),
		TEST(congestion),
		TEST(longer_than_a_frame),
		TEST(answers_from_outside),
		TEST(refuses),
		TEST(is_bounded),
		TEST(other_family_is_no_sa),
		TEST(one_spi_of_two_addresses),
		TEST(strangers_are_told),
		TEST(strangers_of_other_kinds_are_told),
		TEST(samples_name_the_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
