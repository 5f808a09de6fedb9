// SPDX-License-Identifier: BSD-2-Clause
/*
 * ICMP errors that no rule speaks of go by the SA of the answer to the packet that they quote (RFC
 * 4301 6.2), from red and from this host; nothing else comes by that way.
 */
#include "tests/prog/harness.h"

#define R(name) XIPSEC_REASON_##name

enum { MH_BU = 5, DNS = 3, ASKED = 4, SA = 7, SA_GEN = 9, TAP = 4242, BYPASSED = 2001 };

/* 10.1/16 answers DNS in a tunnel; the child ASKED has no SA. */
static const struct rule_spec rules[] = {
	{.action = XIPSEC_ACTION_DISCARD, .remote = "10.3.9.0/24", .proto = IPPROTO_ICMP},
	{.action = XIPSEC_ACTION_PROTECT,
	 .child = DNS,
	 .local = "10.1.0.0/16",
	 .remote = "10.3.0.0/16",
	 .proto = IPPROTO_UDP,
	 .local_port = 53},
	{.action = XIPSEC_ACTION_PROTECT,
	 .child = DNS,
	 .local = "fd01::/16",
	 .remote = "fd03::/16",
	 .proto = IPPROTO_TCP},
	{.action = XIPSEC_ACTION_PROTECT,
	 .child = DNS,
	 .local = "fd01::/16",
	 .remote = "fd03::/16",
	 .proto = IPPROTO_MH,
	 .icmp_type = MH_BU},
	{.action = XIPSEC_ACTION_PROTECT,
	 .child = ASKED,
	 .local = "10.1.0.0/16",
	 .remote = "10.3.0.0/16",
	 .proto = IPPROTO_TCP},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "10.3.0.0/16",
	 .proto = IPPROTO_UDP,
	 .local_port = BYPASSED},
};

static int setup(void **state)
{
	const struct xipsec_child child = {SA, SA_GEN, XIPSEC_ENGINE_AFXDP, {0}};
	const struct xipsec_globals globals = {.tap_ifindex = TAP};
	__u32 id = DNS, zero = 0;

	harness_setup(state);
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), 1);
	map_set(harness.skel->maps.children, &id, &child);
	map_set(harness.skel->maps.globals, &zero, &globals);
	return 0;
}

static struct run run;

/* An error of `type` from src to dst that quotes `seen` bytes of this packet. */
static __u32 error_of(enum prog prog, const char *src, const char *dst, __u8 type,
		      const struct packet_spec *quote, __u32 seen)
{
	static struct packet inside, packet;
	const int ip6 = strchr(src, ':') != NULL;
	struct packet_spec spec = {.src = src,
				   .dst = dst,
				   .proto = ip6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
				   .icmp_type = type,
				   .icmp_code = 1};

	packet_build(&inside, quote);
	spec.payload = inside.data + inside.l3_off;
	spec.payload_len = seen;
	packet_build(&packet, &spec);
	memset(&run, 0, sizeof(run));
	run_packet("an error", prog, packet.data, packet.len, &run);
	return run.reason;
}

#define ASK(from, to, proto_, sport_, dport_, ...)       \
	(&(const struct packet_spec){.src = (from),      \
				     .dst = (to),        \
				     .proto = (proto_),  \
				     .sport = (sport_),  \
				     .dport = (dport_),  \
				     .payload_len = 100, \
				     ##__VA_ARGS__})
#define DNS_FROM(from)    ASK(from, "10.1.0.9", IPPROTO_UDP, 4000, 53)
#define UDP(sport, dport) ASK("10.3.0.5", "10.1.0.9", IPPROTO_UDP, sport, dport)
#define DNS4              DNS_FROM("10.3.0.5")
#define WEB6(...)         ASK("fd03::5", "fd01::9", IPPROTO_TCP, 4000, 80, ##__VA_ARGS__)

#define MOBILE6(type) ASK("fd03::5", "fd01::9", IPPROTO_MH, 0, 0, .icmp_type = (type))

#define FROM4 PROG_RED, "10.1.0.254", "10.3.0.5"
#define FROM6 PROG_RED, "fd01::fe", "fd03::5"

static void by_the_sa_of_the_answer(void **state)
{
	const struct xipsec_meta *meta;

	/* from a router on the way, and from the host itself; 8 bytes are enough */
	assert_int_equal(error_of(FROM4, 3, DNS4, 28), R(STEER_OUT));
	meta = (const struct xipsec_meta *)run.out;
	assert_int_equal(meta->sa_index, SA);
	assert_int_equal(meta->sa_generation, SA_GEN);
	assert_int_equal(meta->dir, XIPSEC_DIR_OUT);
	assert_int_equal(error_of(PROG_RED, "10.1.0.9", "10.3.0.5", 3, DNS4, 128), R(STEER_OUT));
	assert_int_equal(error_of(FROM4, 11, DNS4, 28), R(STEER_OUT));
	assert_int_equal(error_of(FROM4, 12, DNS4, 28), R(STEER_OUT));
	assert_int_equal(error_of(FROM6, 1, WEB6(), 60), R(STEER_OUT));
	assert_int_equal(error_of(FROM6, 3, WEB6(), 60), R(STEER_OUT));
	/* whatever address the router has: what counts is whom the packet was for */
	assert_int_equal(error_of(PROG_RED, "10.200.0.1", "10.3.0.5", 3, DNS4, 28), R(STEER_OUT));
	assert_int_equal(error_of(PROG_RED, "fd99::1", "fd03::5", 1, WEB6(), 60), R(STEER_OUT));
	/* the type of a Mobility Header */
	assert_int_equal(error_of(FROM6, 1, MOBILE6(MH_BU), 60), R(STEER_OUT));
	/* this host's own */
	assert_int_equal(error_of(PROG_GUARD, "10.1.0.1", "10.3.0.5", 3, DNS4, 28), R(HOST_OUT));
}

static void what_does_not_fit(void **state)
{
	/* no error */
	assert_int_equal(error_of(FROM4, 8, DNS4, 28), R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 5, DNS4, 28), R(NO_POLICY));
	assert_int_equal(error_of(FROM6, 128, WEB6(), 60), R(NO_POLICY));
	/* another port, from which nobody in the tunnel answers; ports that are not seen */
	assert_int_equal(error_of(FROM4, 3, UDP(4000, 54), 28), R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 3, UDP(53, 4000), 28), R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 3, DNS4, 22), R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 3, DNS4, 10), R(NO_POLICY));
	/* not to the sender of what it quotes */
	assert_int_equal(error_of(PROG_RED, "10.1.0.254", "10.3.0.6", 3, DNS4, 28), R(NO_POLICY));
	/* the quoted packet is no fragment but the first, and of the same family */
	assert_int_equal(error_of(FROM4, 3,
				  ASK("10.3.0.5", "10.1.0.9", IPPROTO_UDP, 0, 0, .frag_off = 9),
				  28),
			 R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 3, WEB6(), 60), R(NO_POLICY));
	assert_int_equal(error_of(FROM6, 1, MOBILE6(MH_BU + 1), 60), R(NO_POLICY));
	/* headers that are not walked */
	assert_int_equal(error_of(FROM6, 1, WEB6(.ext = "H"), 68), R(NO_POLICY));
	/* for somebody else than who answers in the tunnel */
	assert_int_equal(error_of(FROM4, 3, ASK("10.3.0.5", "10.9.0.9", IPPROTO_UDP, 4000, 53), 28),
			 R(NO_POLICY));
	/* no answer would be sealed */
	assert_int_equal(error_of(FROM4, 3, UDP(4000, BYPASSED), 28), R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 3, DNS_FROM("10.7.0.5"), 28), R(NO_POLICY));
}

/* What a rule says about ICMP holds, and nobody is asked for an SA. */
static void rules_come_first(void **state)
{
	assert_int_equal(error_of(PROG_RED, "10.1.0.254", "10.3.9.5", 3, DNS_FROM("10.3.9.5"), 28),
			 R(DISCARD));
	assert_int_equal(error_of(FROM4, 3, ASK("10.3.0.5", "10.1.0.9", IPPROTO_TCP, 4000, 80), 28),
			 R(NO_POLICY));
}

/* A rule that names the quoted packet says nothing about others. */
static void the_quote_is_no_key_to_the_cache(void **state)
{
	struct packet_spec udp = *ASK("10.1.0.254", "10.3.0.5", IPPROTO_UDP, 1, 53);
	static struct packet packet;

	assert_int_equal(error_of(FROM4, 3, DNS4, 28), R(STEER_OUT));
	packet_build(&packet, &udp);
	memset(&run, 0, sizeof(run));
	run_packet("UDP of another port", PROG_RED, packet.data, packet.len, &run);
	assert_int_equal(run.reason, R(NO_POLICY));
	assert_int_equal(error_of(FROM4, 8, DNS4, 28), R(NO_POLICY));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(by_the_sa_of_the_answer),
		cmocka_unit_test(what_does_not_fit),
		cmocka_unit_test(rules_come_first),
		cmocka_unit_test(the_quote_is_no_key_to_the_cache),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
