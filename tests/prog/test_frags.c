// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragments one after the other: what the first was told holds for those behind it, and for nobody
 * else; by interface, direction, addresses, ID, age and SPD.
 */
#include <time.h>
#include "tests/prog/harness.h"

#define R(name) XIPSEC_REASON_##name

enum { CHILD = 3, CHILD_B, SA = 7, SA_B, SA_GEN = 9, TAP = 4242 };

/* Port 53 goes in the clear, DNS over red too; all else that belongs together is protected. */
static const struct rule_spec rules[] = {
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "10.3.0.0/16",
	 .proto = IPPROTO_UDP,
	 .remote_port = 53},
	{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "10.3.0.0/16", .icmp_type = -1},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "fd03::/16",
	 .proto = IPPROTO_UDP,
	 .remote_port = 53},
	{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "fd03::/16", .icmp_type = -1},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "192.0.2.0/24",
	 .proto = IPPROTO_UDP,
	 .local_port = 53},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "2001:db8::/32",
	 .proto = IPPROTO_UDP,
	 .local_port = 53},
};

static __u32 generation = 10;

static int setup(void **state)
{
	const struct xipsec_sad_entry in = {SA, SA_GEN, XIPSEC_DIR_IN, XIPSEC_ENGINE_AFXDP, 0,
					    0,  0};
	const struct xipsec_child child = {SA, SA_GEN, XIPSEC_ENGINE_AFXDP, {0}};
	const struct xipsec_child other = {SA_B, SA_GEN, XIPSEC_ENGINE_AFXDP, {0}};
	const struct xipsec_globals globals = {.tap_ifindex = TAP};
	struct xipsec_sad_key key = {.spi = htonl(0x1001), .l4_proto = IPPROTO_ESP};
	struct xipsec_sad_entry udp = in;
	__u32 id = CHILD, zero = 0;

	harness_setup(state);
	udp.udp = 1;
	key.family = XIPSEC_FAMILY_IP4;
	inet_pton(AF_INET, "192.0.2.1", &key.dst);
	map_set(harness.skel->maps.sad, &key, &in);
	key.spi = htonl(0x1002);
	map_set(harness.skel->maps.sad, &key, &udp);
	key.family = XIPSEC_FAMILY_IP6;
	key.spi = htonl(0x1001);
	inet_pton(AF_INET6, "2001:db8::1", &key.dst);
	map_set(harness.skel->maps.sad, &key, &in);
	map_set(harness.skel->maps.children, &id, &child);
	id = CHILD_B;
	map_set(harness.skel->maps.children, &id, &other);
	map_set(harness.skel->maps.globals, &zero, &globals);
	return 0;
}

static void sa_set(const char *dst, __u32 spi, const struct xipsec_sad_entry *entry)
{
	struct xipsec_sad_key key = {
		.spi = htonl(spi), .l4_proto = IPPROTO_ESP, .family = XIPSEC_FAMILY_IP4};

	inet_pton(AF_INET, dst, &key.dst);
	map_set(harness.skel->maps.sad, &key, entry);
}

/* bpf/frags.h counts anew with each window of 2^35 ns: none ends while a test counts. */
static void window_with_room(void)
{
	const __u64 window = 1ULL << 35, room = 4000000000ULL;
	struct timespec now;
	__u64 left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = window - ((__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec) % window;
	if (left < room)
		usleep((__u32)(left / 1000) + 1000);
}

static int fresh(void **state)
{
	window_with_room();
	frags_clear();
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), ++generation);
	return 0;
}

/* Sends one packet; `id` is written into its IPv4 header or IPv6 fragment header. */
static __u32 send_id(enum prog prog, const struct packet_spec *spec, __u16 id, struct run *run)
{
	static struct packet packet;
	__u8 *ip;

	packet_build(&packet, spec);
	ip = packet.data + packet.l3_off;
	if (ip[0] >> 4 == 4) {
		/* the checksum is not looked at by the programs */
		ip[4] = id >> 8;
		ip[5] = (__u8)id;
	} else {
		ip[46] = id >> 8;
		ip[47] = (__u8)id;
	}
	run_packet("fragment", prog, packet.data, packet.len, run);
	return run->reason;
}

static __u32 send_one(enum prog prog, struct packet_spec spec, __u16 id)
{
	static struct run run;

	memset(&run, 0, sizeof(run));
	return send_id(prog, &spec, id, &run);
}

#define SPEC(...)  ((struct packet_spec){.payload_len = 64, __VA_ARGS__})
#define A4         .src = "10.1.0.5", .dst = "10.3.0.1"
#define H4         .src = "192.0.2.1", .dst = "10.3.0.1"
#define A6         .src = "fd01::5", .dst = "fd03::1", .ext = "F"
#define UDP        .proto = IPPROTO_UDP
#define ESP        .proto = IPPROTO_ESP
#define RED4(...)  SPEC(A4, UDP, __VA_ARGS__)
#define RED6(...)  SPEC(A6, UDP, __VA_ARGS__)
#define OWN4(...)  SPEC(H4, UDP, __VA_ARGS__)
#define IN4(...)   SPEC(.src = "192.0.2.2", .dst = "192.0.2.1", __VA_ARGS__)
#define IN6(...)   SPEC(.src = "2001:db8::2", .dst = "2001:db8::1", .ext = "F", __VA_ARGS__)
#define FIRST(to)  .sport = 4000, .dport = (to), .more = true
#define LATER      .frag_off = 9, .more = true
#define LAST       .frag_off = 18
#define STRANGER   .src = "192.0.2.3", .dst = "192.0.2.1"
#define STRANGER6  .src = "2001:db8::3", .dst = "2001:db8::1", .ext = "F"
#define PEER       .src = "192.0.2.2", .dst = "192.0.2.1"
#define PEER6      .src = "2001:db8::2", .dst = "2001:db8::1", .ext = "F"
#define ON(port)   UDP, .sport = (port), .dport = (port), .more = true
#define IKE(...)   SPEC(ON(500), __VA_ARGS__)
#define SIZE(len)  .payload_len = (len)
#define PIECE(...) ((struct packet_spec){__VA_ARGS__})

static void later_follow_the_first(void **state)
{
	static const struct {
		__u16 port;
		enum xipsec_reason reason;
	} cases[] = {{53, R(BYPASS_OUT)}, {54, R(STEER_OUT)}};

	for (int i = 0; i < 2; i++) {
		__u16 id = 100 + i;

		assert_int_equal(send_one(PROG_RED, RED4(LATER), id), R(FRAG_OPAQUE));
		assert_int_equal(send_one(PROG_RED, RED4(FIRST(cases[i].port)), id),
				 cases[i].reason);
		assert_int_equal(send_one(PROG_RED, RED4(LATER), id), cases[i].reason);
		assert_int_equal(send_one(PROG_RED, RED4(LAST), id), cases[i].reason);
		assert_int_equal(send_one(PROG_RED, RED6(LATER), id), R(FRAG_OPAQUE));
		assert_int_equal(send_one(PROG_RED, RED6(FIRST(cases[i].port)), id),
				 cases[i].reason);
		assert_int_equal(send_one(PROG_RED, RED6(LAST), id), cases[i].reason);
		/* the first one's chain went further than the later one shows */
		assert_int_equal(send_one(PROG_RED,
					  SPEC(.src = "fd01::5", .dst = "fd03::1", .ext = "FD", UDP,
					       FIRST(cases[i].port)),
					  id + 10),
				 cases[i].reason);
		assert_int_equal(
			send_one(PROG_RED, SPEC(A6, .proto = IPPROTO_DSTOPTS, LAST), id + 10),
			cases[i].reason);
	}
}

/* Its verdict, and the SA that the worker is told. */
static void assert_to(enum prog prog, const struct packet_spec *spec, __u16 id,
		      enum xipsec_reason reason, __u32 sa)
{
	const struct xipsec_tap_meta *tap;
	const struct xipsec_meta *meta;
	static struct run run;

	memset(&run, 0, sizeof(run));
	assert_int_equal(send_id(prog, spec, id, &run), reason);
	meta = (const struct xipsec_meta *)run.out;
	tap = (const struct xipsec_tap_meta *)run.out;
	assert_int_equal(reason == R(HOST_OUT) ? tap->sa_index & ~XIPSEC_TAP_MARK : meta->sa_index,
			 sa);
}

/* A rule for fragments comes in its order: before what the first was told where it is certain. */
static void opaque_rules_go_first(void **state)
{
	static const struct rule_spec first[] = {
		{.action = XIPSEC_ACTION_DISCARD, .remote = "10.3.0.0/16", .opaque = 1},
		{.action = XIPSEC_ACTION_BYPASS, .remote = "10.3.0.0/16"},
	};
	static const struct rule_spec behind[] = {
		{.action = XIPSEC_ACTION_BYPASS,
		 .remote = "10.3.0.0/16",
		 .proto = IPPROTO_UDP,
		 .remote_port = 53},
		{.action = XIPSEC_ACTION_DISCARD, .remote = "10.3.0.0/16", .opaque = 1},
	};

	spd_set(first, 2, ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(FIRST(53)), 500), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 500), R(DISCARD));
	/* it could be the earlier rule's: the first fragment says so */
	spd_set(behind, 2, ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 501), R(FRAG_OPAQUE));
	assert_int_equal(send_one(PROG_RED, RED4(FIRST(53)), 501), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 501), R(BYPASS_OUT));
}

/* The child in front takes what hides its ports, the one behind it what shows them (RFC 4301 7.2):
 * pieces of one datagram go to two SAs, forwarded or this host's own. Behind the other one it takes
 * only pieces whose first one was somebody else's. */
static void pieces_to_a_child_of_their_own(void **state)
{
	static const struct rule_spec first[] = {
		{.action = XIPSEC_ACTION_PROTECT,
		 .child = CHILD_B,
		 .remote = "10.3.0.0/16",
		 .opaque = XIPSEC_OPAQUE_PORTS},
		{.action = XIPSEC_ACTION_PROTECT,
		 .child = CHILD,
		 .remote = "10.3.0.0/16",
		 .proto = IPPROTO_UDP,
		 .remote_port = 53},
	};
	const struct rule_spec behind[] = {first[1], first[0]};
	static const struct {
		enum prog prog;
		enum xipsec_reason reason;
		struct packet_spec first, later, last;
	} ways[] = {
		{PROG_RED, R(STEER_OUT), RED4(FIRST(53)), RED4(LATER), RED4(LAST)},
		{PROG_GUARD, R(HOST_OUT), OWN4(FIRST(53)), OWN4(LATER), OWN4(LAST)},
	};

	for (unsigned int i = 0; i < 2; i++) {
		__u16 id = (__u16)(600 + 10 * i);

		spd_set(first, 2, ++generation);
		frags_clear();
		/* whether their first one was seen or not */
		assert_to(ways[i].prog, &ways[i].later, id, ways[i].reason, SA_B);
		assert_to(ways[i].prog, &ways[i].first, id, ways[i].reason, SA);
		assert_to(ways[i].prog, &ways[i].later, id, ways[i].reason, SA_B);
		assert_to(ways[i].prog, &ways[i].last, id, ways[i].reason, SA_B);
		spd_set(behind, 2, ++generation);
		assert_to(ways[i].prog, &ways[i].first, id + 1, ways[i].reason, SA);
		assert_to(ways[i].prog, &ways[i].later, id + 1, ways[i].reason, SA);
		assert_to(ways[i].prog, &ways[i].last, id + 1, ways[i].reason, SA);
	}
}

/* The verdict that a worker gets names the child's SA, as the first one's did. */
static void later_carry_the_child(void **state)
{
	struct packet_spec first = RED4(FIRST(54)), last = RED4(LAST);
	const struct xipsec_meta *meta;
	static struct run run;

	send_id(PROG_RED, &first, 7, &run);
	memset(&run, 0, sizeof(run));
	assert_int_equal(send_id(PROG_RED, &last, 7, &run), R(STEER_OUT));
	meta = (const struct xipsec_meta *)run.out;
	assert_int_equal(meta->sa_index, SA);
	assert_int_equal(meta->sa_generation, SA_GEN);
	assert_int_equal(meta->spd_generation, generation);
	assert_int_equal(meta->l4_off, 0);
}

static void nobody_else_follows(void **state)
{
	assert_int_equal(send_one(PROG_RED, RED4(FIRST(53)), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 2), R(FRAG_OPAQUE));
	assert_int_equal(
		send_one(PROG_RED, SPEC(.src = "10.1.0.6", .dst = "10.3.0.1", UDP, LAST), 1),
		R(FRAG_OPAQUE));
	assert_int_equal(
		send_one(PROG_RED, SPEC(.src = "10.1.0.5", .dst = "10.3.0.2", UDP, LAST), 1),
		R(FRAG_OPAQUE));
	/* TCP cannot be port 53 over UDP: certain, whatever the entry says */
	assert_int_equal(send_one(PROG_RED, SPEC(A4, .proto = IPPROTO_TCP, LAST), 1), R(STEER_OUT));
	/* red's entry is not the guard's */
	assert_int_equal(send_one(PROG_GUARD, RED4(LAST), 1), R(FRAG_OPAQUE));
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 1), R(BYPASS_OUT));
	/* a whole packet leaves no entry */
	assert_int_equal(send_one(PROG_RED, RED4(.dport = 53, .sport = 1), 3), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 3), R(FRAG_OPAQUE));
}

/* What came in is not what goes out by the same interface, between the same addresses. */
static void directions_are_kept_apart(void **state)
{
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, FIRST(53)), 1), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_GUARD, IN4(UDP, LATER), 1), R(FRAG_OPAQUE));
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LATER), 1), R(BYPASS_IN));
}

static void the_guard_follows_too(void **state)
{
	assert_int_equal(send_one(PROG_GUARD, OWN4(LAST), 1), R(FRAG_OPAQUE));
	assert_int_equal(send_one(PROG_GUARD, OWN4(FIRST(53)), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_GUARD, OWN4(LAST), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_GUARD, OWN4(FIRST(54)), 2), R(HOST_OUT));
	assert_int_equal(send_one(PROG_GUARD, OWN4(LAST), 2), R(HOST_OUT));
}

/* Later pieces get what their first one would get by now, by another SPD too. */
static void a_new_policy_is_asked(void **state)
{
	static const struct rule_spec other[] = {
		{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "10.3.0.0/16"},
		{.action = XIPSEC_ACTION_DISCARD, .remote = "10.3.0.0/16"},
	};

	assert_int_equal(send_one(PROG_RED, RED4(FIRST(53)), 1), R(BYPASS_OUT));
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 1), R(BYPASS_OUT));
	spd_set(&other[0], 1, ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 1), R(STEER_OUT));
	spd_set(&other[1], 1, ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 1), R(DISCARD));
	spd_set(NULL, 0, ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 1), R(NO_POLICY));
}

/* One rule comes that is not theirs; then one that is. Of what an SA brings no rule is asked. */
static void a_changed_rule_is_asked(void **state)
{
	const struct rule_spec others = {.action = XIPSEC_ACTION_DISCARD, .remote = "10.9.0.0/16"};
	const struct rule_spec theirs = {.action = XIPSEC_ACTION_DISCARD,
					 .remote = "10.3.0.0/16",
					 .proto = IPPROTO_UDP,
					 .remote_port = 53};
	const struct rule_spec of_red = {.action = XIPSEC_ACTION_DISCARD, .remote = "0.0.0.0/0"};
	const struct packet_spec esp = IN4(ESP, .spi = 0x1001, .more = true);
	static const struct packet_spec ike = IKE(PEER);
	struct rule_spec all[1 + sizeof(rules) / sizeof(rules[0])];

	assert_int_equal(send_one(PROG_RED, RED4(FIRST(53)), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(FIRST(54)), 2), R(STEER_OUT));
	assert_int_equal(send_one(PROG_GUARD, OWN4(FIRST(53)), 3), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, FIRST(53)), 4), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, esp, 5), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, ike, 6), R(REASSEMBLE));
	memcpy(&all[1], rules, sizeof(rules));
	all[0] = others;
	spd_set(all, sizeof(all) / sizeof(all[0]), ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 2), R(STEER_OUT));
	assert_int_equal(send_one(PROG_GUARD, OWN4(LATER), 3), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LATER), 4), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LATER), 5), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LATER), 6), R(REASSEMBLE));
	all[0] = theirs;
	spd_set(all, sizeof(all) / sizeof(all[0]), ++generation);
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 1), R(DISCARD));
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 2), R(STEER_OUT));
	assert_int_equal(send_one(PROG_GUARD, OWN4(LATER), 3), R(DISCARD));
	all[0] = of_red;
	spd_set(all, sizeof(all) / sizeof(all[0]), ++generation);
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 4), R(REASSEMBLY_CLOSED));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 5), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 6), R(REASSEMBLE));
}

/* As above, over IPv6. */
static void a_changed_rule_is_asked_ip6(void **state)
{
	struct rule_spec all[1 + sizeof(rules) / sizeof(rules[0])];

	assert_int_equal(send_one(PROG_RED, RED6(FIRST(53)), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED6(FIRST(54)), 2), R(STEER_OUT));
	assert_int_equal(send_one(PROG_BLACK, IN6(UDP, FIRST(53)), 3), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, IN6(ESP, .spi = 0x1001, .more = true), 4),
			 R(REASSEMBLE));
	memcpy(&all[1], rules, sizeof(rules));
	all[0] = (struct rule_spec){.action = XIPSEC_ACTION_DISCARD, .remote = "fd09::/16"};
	spd_set(all, sizeof(all) / sizeof(all[0]), ++generation);
	assert_int_equal(send_one(PROG_RED, RED6(LATER), 1), R(BYPASS_OUT));
	assert_int_equal(send_one(PROG_RED, RED6(LATER), 2), R(STEER_OUT));
	assert_int_equal(send_one(PROG_BLACK, IN6(UDP, LATER), 3), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, IN6(ESP, LATER), 4), R(REASSEMBLE));
	all[0].remote = "::/0";
	spd_set(all, sizeof(all) / sizeof(all[0]), ++generation);
	assert_int_equal(send_one(PROG_RED, RED6(LAST), 1), R(DISCARD));
	assert_int_equal(send_one(PROG_RED, RED6(LAST), 2), R(DISCARD));
	assert_int_equal(send_one(PROG_BLACK, IN6(UDP, LAST), 3), R(REASSEMBLY_CLOSED));
	assert_int_equal(send_one(PROG_BLACK, IN6(ESP, LAST), 4), R(REASSEMBLE));
}

/* An entry that became another datagram's while it was read is none. */
static void half_an_entry_is_none(void **state)
{
	int fd = bpf_map__fd(harness.skel->maps.frags);
	struct xipsec_frag_key key;
	struct xipsec_frag frag;

	assert_int_equal(send_one(PROG_RED, RED4(FIRST(54)), 1), R(STEER_OUT));
	assert_int_equal(send_one(PROG_RED, RED4(LATER), 1), R(STEER_OUT));
	assert_int_equal(bpf_map_get_next_key(fd, NULL, &key), 0);
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &frag), 0);
	frag.flow.remote_port = 53;
	assert_int_equal(bpf_map_update_elem(fd, &key, &frag, BPF_EXIST), 0);
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 1), R(FRAG_OPAQUE));
}

static void age_forgets(void **state)
{
	assert_int_equal(send_one(PROG_RED, RED4(FIRST(53)), 1), R(BYPASS_OUT));
	sleep(1);
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 1), R(BYPASS_OUT));
	usleep(1200000);
	assert_int_equal(send_one(PROG_RED, RED4(LAST), 1), R(FRAG_OPAQUE));
}

static void inbound_bypass(void **state)
{
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_UDP, LAST), 1),
			 R(REASSEMBLY_CLOSED));
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_UDP, FIRST(53)), 1),
			 R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_UDP, LAST), 1), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_UDP, FIRST(54)), 2),
			 R(NO_POLICY));
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_UDP, LAST), 2),
			 R(REASSEMBLY_CLOSED));
}

static void ipsec_goes_up(void **state)
{
	const struct packet_spec first[] = {
		IN4(.proto = IPPROTO_ESP, .spi = 0x1001, .more = true),
		IN6(.proto = IPPROTO_ESP, .spi = 0x1001, .more = true),
		IN4(.proto = IPPROTO_UDP, .sport = 4500, .dport = 4500, .spi = 0x1002,
		    .more = true),
		IN4(.proto = IPPROTO_UDP, .sport = 500, .dport = 500, .more = true),
	};
	struct packet_spec last[4];

	for (int i = 0; i < 4; i++) {
		last[i] = (struct packet_spec){.src = first[i].src,
					       .dst = first[i].dst,
					       .ext = first[i].ext,
					       .proto = first[i].proto,
					       .payload_len = 64,
					       LAST};
		assert_int_equal(send_one(PROG_BLACK, last[i], 50 + i), R(REASSEMBLY_CLOSED));
		assert_int_equal(send_one(PROG_BLACK, first[i], 50 + i), R(REASSEMBLE));
		assert_int_equal(send_one(PROG_BLACK, last[i], 50 + i), R(REASSEMBLE));
		assert_int_equal(send_one(PROG_BLACK, last[i], 60 + i), R(REASSEMBLY_CLOSED));
	}
	/* a first fragment of other UDP with the same ID does not pass, whatever passed before */
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_UDP, FIRST(700)), 52),
			 R(NO_POLICY));
	/* nor does a later one of another protocol */
	assert_int_equal(send_one(PROG_BLACK, IN4(.proto = IPPROTO_TCP, LAST), 52), R(NO_POLICY));
	/* in transit nothing is put together */
	assert_int_not_equal(send_one(PROG_BLACK,
				      SPEC(.src = "192.0.2.2", .dst = "10.1.0.5", ESP,
					   .spi = 0x1001, .more = true),
				      70),
			     R(REASSEMBLE));
}

/* What kernel XFRM opens goes up as well. */
static void the_kernels_goes_up_too(void **state)
{
	const struct xipsec_sad_entry in = {SA, SA_GEN, XIPSEC_DIR_IN, XIPSEC_ENGINE_XFRM, 0, 0, 0};

	sa_set("192.0.2.1", 0x1003, &in);
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, .spi = 0x1003, .more = true), 80),
			 R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 80), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 81), R(REASSEMBLY_CLOSED));
}

/* ------------------------------------------------------------------ pieces before their first */

static void peer_set(__u8 family, const char *src, const char *dst, __u8 proto, __u32 sas)
{
	struct xipsec_peer_key key = {.family = family, .l4_proto = proto};
	const struct xipsec_peer peer = {sas};
	int fd = bpf_map__fd(harness.skel->maps.peers);

	inet_pton(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, src, &key.src);
	inet_pton(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, dst, &key.dst);
	if (sas)
		map_set(harness.skel->maps.peers, &key, &peer);
	else
		bpf_map_delete_elem(fd, &key);
}

/* The programs' enum frags_budget, and what each holds. */
enum { STRANGERS, PEERS, EARLY, EARLY_MAX = 96, IKE_MAX = 64 };

static int peers_known(void **state)
{
	fresh(state);
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", IPPROTO_ESP, 1);
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", IPPROTO_UDP, 1);
	peer_set(XIPSEC_FAMILY_IP6, "2001:db8::2", "2001:db8::1", IPPROTO_ESP, 1);
	return 0;
}

static int peers_gone(void **state)
{
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", IPPROTO_ESP, 0);
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", IPPROTO_UDP, 0);
	peer_set(XIPSEC_FAMILY_IP6, "2001:db8::2", "2001:db8::1", IPPROTO_ESP, 0);
	return 0;
}

static __u32 waiting(void)
{
	return harness.skel->bss->frags_waiting[EARLY];
}

static void any_order_from_a_peer(void **state)
{
	const struct packet_spec first[] = {
		IN4(ESP, .spi = 0x1001, .more = true),
		IN6(ESP, .spi = 0x1001, .more = true),
		IN4(UDP, .sport = 4500, .dport = 4500, .spi = 0x1002, .more = true),
		IN4(UDP, .sport = 500, .dport = 500, .more = true),
	};
	const struct packet_spec piece[][2] = {
		{IN4(ESP, LAST), IN4(ESP, LATER)},
		{IN6(ESP, LAST), IN6(ESP, LATER)},
		{IN4(UDP, LAST), IN4(UDP, LATER)},
		{IN4(UDP, LAST), IN4(UDP, LATER)},
	};

	for (__u16 i = 0; i < 4; i++) {
		/* IKE gives nothing back: anybody can send it */
		__u32 left = i == 3 ? 2 : 0;

		assert_int_equal(send_one(PROG_BLACK, piece[i][0], 200 + i), R(REASSEMBLE));
		assert_int_equal(send_one(PROG_BLACK, piece[i][1], 200 + i), R(REASSEMBLE));
		assert_int_equal(waiting(), 2);
		assert_int_equal(send_one(PROG_BLACK, first[i], 200 + i), R(REASSEMBLE));
		assert_int_equal(waiting(), left);
		/* now they follow it, and count no more */
		assert_int_equal(send_one(PROG_BLACK, piece[i][1], 200 + i), R(REASSEMBLE));
		assert_int_equal(waiting(), left);
	}
}

/* A datagram of a peer of which the first piece has passed by a rule that is gone: an SA does not
 * stand for the others. */
static void a_rule_that_went_is_no_sa(void **state)
{
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, FIRST(53)), 1), R(BYPASS_IN));
	spd_set(rules, 2, ++generation);
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 1), R(REASSEMBLY_CLOSED));
	assert_int_equal(waiting(), 0);
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 2), R(REASSEMBLE));
}

static void no_stranger_is_a_peer(void **state)
{
	const struct packet_spec strange[] = {
		IN4(.proto = IPPROTO_AH, LAST),
		IN6(UDP, LAST),
		SPEC(.src = "192.0.2.3", .dst = "192.0.2.1", ESP, LAST),
		SPEC(.src = "192.0.2.2", .dst = "192.0.2.3", ESP, LAST),
		SPEC(.src = "192.0.2.2", .dst = "10.1.0.5", ESP, LAST),
		SPEC(.src = "2001:db8::3", .dst = "2001:db8::1", .ext = "F", ESP, LAST),
		/* what it hides may be anything */
		IN6(.proto = IPPROTO_DSTOPTS, LAST),
		IN4(.proto = IPPROTO_TCP, LAST),
		IN4(.proto = IPPROTO_ICMP, LAST),
	};

	for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
		if (send_one(PROG_BLACK, strange[i], 300) == R(REASSEMBLE))
			fail_msg("piece %zu goes up", i);
	assert_int_equal(waiting(), 0);
}

/* The stack has pieces of it: whatever the rules say of a first one alone, it would be put together
 * with pieces that no rule was asked about. */
static void nothing_else_is_led_by_pieces(void **state)
{
	const struct packet_spec dns = IN4(UDP, FIRST(53));

	assert_int_equal(send_one(PROG_BLACK, dns, 400), R(BYPASS_IN));
	/* a piece whose first one passed by a rule goes as that one */
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 400), R(BYPASS_IN));
	assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 401), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, dns, 401), R(REASSEMBLY_CLOSED));
	/* a new SPD does not take them back */
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), ++generation);
	assert_int_equal(send_one(PROG_BLACK, dns, 401), R(REASSEMBLY_CLOSED));
	/* nor what says an SPI that is nobody's */
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 402), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, .spi = 0x7777, .more = true), 402),
			 R(NO_SA));
	/* over IPv6 the stack asks for the ID alone: a piece that says ESP may be of TCP */
	assert_int_equal(send_one(PROG_BLACK, IN6(ESP, LAST), 403), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN6(.proto = IPPROTO_TCP, FIRST(22)), 403),
			 R(REASSEMBLY_CLOSED));
}

static void few_wait(void **state)
{
	for (__u32 i = 0; i < EARLY_MAX; i++)
		assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 1000 + i), R(REASSEMBLE));
	assert_int_equal(waiting(), EARLY_MAX);
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2000), R(REASSEMBLY_CLOSED));
	assert_int_equal(send_one(PROG_BLACK, IN6(ESP, LAST), 2000), R(REASSEMBLY_CLOSED));
	/* in order: as ever */
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, .spi = 0x1001, .more = true), 2001),
			 R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2001), R(REASSEMBLE));
	/* a first one makes room */
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, .spi = 0x1001, .more = true), 1000),
			 R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2000), R(REASSEMBLE));
	/* and so does time */
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2002), R(REASSEMBLY_CLOSED));
	harness.skel->bss->frags_window -= 1;
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2002), R(REASSEMBLE));
	/* a long one takes more room: 14 + 20 + 2014 bytes are 2 KB */
	assert_int_equal(waiting(), 1);
	assert_int_equal(send_one(PROG_BLACK, PIECE(PEER, ESP, SIZE(2013), LAST), 2002),
			 R(REASSEMBLE));
	assert_int_equal(waiting(), 2);
	assert_int_equal(send_one(PROG_BLACK, PIECE(PEER, ESP, SIZE(2014), LAST), 2002),
			 R(REASSEMBLE));
	assert_int_equal(waiting(), 4);
	/* and gives back as much */
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, .spi = 0x1001, .more = true), 2002),
			 R(REASSEMBLE));
	assert_int_equal(waiting(), 0);
}

/* The SA went. */
static void peers_come_and_go(void **state)
{
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 1), R(REASSEMBLE));
	peers_gone(state);
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2), R(REASSEMBLY_CLOSED));
}

/* ------------------------------------------------------------------ IKE, which anybody sends */

static void assert_waiting(__u32 strangers, __u32 peers, __u32 early)
{
	assert_int_equal(harness.skel->bss->frags_waiting[STRANGERS], strangers);
	assert_int_equal(harness.skel->bss->frags_waiting[PEERS], peers);
	assert_int_equal(harness.skel->bss->frags_waiting[EARLY], early);
}

/* First ones of as many datagrams as may wait, over both ports and both families. */
static void strangers_have_a_share(void **state)
{
	const struct packet_spec first[] = {
		SPEC(STRANGER, ON(500)),
		SPEC(STRANGER, ON(4500)),
		SPEC(STRANGER6, ON(500)),
		SPEC(STRANGER6, ON(4500)),
	};

	for (__u32 i = 0; i < IKE_MAX; i++)
		assert_int_equal(send_one(PROG_BLACK, first[i % 4], 3000 + i), R(REASSEMBLE));
	assert_waiting(IKE_MAX, 0, 0);
	for (__u32 i = 0; i < 4; i++) {
		assert_int_equal(send_one(PROG_BLACK, first[i], 4000 + i), R(REASSEMBLY_CLOSED));
		/* one that is up already, again: the stack may have kept it */
		assert_int_equal(send_one(PROG_BLACK, first[i], 3000 + i), R(REASSEMBLY_CLOSED));
	}
	assert_waiting(IKE_MAX, 0, 0);
	/* nor does what is whole */
	assert_int_equal(send_one(PROG_BLACK, SPEC(STRANGER, UDP, .sport = 500, .dport = 500), 0),
			 R(IKE_IN));
	/* what SAs stand for does not mind */
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, .spi = 0x1001, .more = true), 1),
			 R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LATER), 1), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 1), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IN4(ESP, LAST), 2), R(REASSEMBLE));
	assert_waiting(IKE_MAX, 0, 1);
	/* time makes room */
	harness.skel->bss->frags_window -= 1;
	for (__u32 i = 0; i < IKE_MAX; i++)
		assert_int_equal(send_one(PROG_BLACK, first[i % 4], 5000 + i), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, first[0], 6000), R(REASSEMBLY_CLOSED));
	assert_waiting(IKE_MAX, 0, 0);
}

/* Those behind a first one that went up take room as well; nobody gives any back. */
static void all_pieces_of_ike_count(void **state)
{
	const struct packet_spec later = SPEC(STRANGER, UDP, LATER),
				 last = SPEC(STRANGER, UDP, LAST);

	assert_int_equal(send_one(PROG_BLACK, IKE(STRANGER), 1), R(REASSEMBLE));
	assert_waiting(1, 0, 0);
	assert_int_equal(send_one(PROG_BLACK, last, 1), R(REASSEMBLE));
	assert_waiting(2, 0, 0);
	assert_int_equal(send_one(PROG_BLACK, PIECE(STRANGER, ON(500), SIZE(2005)), 2),
			 R(REASSEMBLE));
	assert_waiting(3, 0, 0);
	assert_int_equal(send_one(PROG_BLACK, PIECE(STRANGER, ON(500), SIZE(2006)), 3),
			 R(REASSEMBLE));
	assert_waiting(5, 0, 0);
	for (__u32 i = 5; i < IKE_MAX - 1; i++)
		assert_int_equal(send_one(PROG_BLACK, later, 2), R(REASSEMBLE));
	/* a long one has no room, a short one has */
	assert_int_equal(send_one(PROG_BLACK, PIECE(STRANGER, ON(500), SIZE(2006)), 4),
			 R(REASSEMBLY_CLOSED));
	assert_waiting(IKE_MAX - 1, 0, 0);
	assert_int_equal(send_one(PROG_BLACK, later, 2), R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, later, 2), R(REASSEMBLY_CLOSED));
	assert_int_equal(send_one(PROG_BLACK, last, 3), R(REASSEMBLY_CLOSED));
	/* what was refused is remembered by nobody */
	assert_int_equal(send_one(PROG_BLACK, last, 4), R(REASSEMBLY_CLOSED));
	assert_waiting(IKE_MAX, 0, 0);
}

/* What strangers did takes nothing from those we have an SA of, by whatever protocol. */
static void peers_have_a_share_of_their_own(void **state)
{
	static const __u8 protos[] = {IPPROTO_UDP, IPPROTO_ESP, IPPROTO_AH};

	for (__u32 i = 0; i <= IKE_MAX; i++)
		assert_int_equal(send_one(PROG_BLACK, IKE(PEER), 100 + i),
				 i < IKE_MAX ? R(REASSEMBLE) : R(REASSEMBLY_CLOSED));
	assert_waiting(IKE_MAX, 0, 0);
	for (size_t i = 0; i < sizeof(protos); i++) {
		peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", protos[i], 1);
		assert_int_equal(send_one(PROG_BLACK, IKE(PEER), 200 + i), R(REASSEMBLE));
		assert_waiting(IKE_MAX, 2 * i + 1, 0);
		assert_int_equal(send_one(PROG_BLACK, IN4(UDP, LAST), 200 + i), R(REASSEMBLE));
		assert_waiting(IKE_MAX, 2 * i + 2, 0);
		assert_int_equal(send_one(PROG_BLACK, IKE(STRANGER), 300), R(REASSEMBLY_CLOSED));
		peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", protos[i], 0);
		assert_int_equal(send_one(PROG_BLACK, IKE(PEER), 300), R(REASSEMBLY_CLOSED));
	}
	/* their share is as large; the other direction is no peer */
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.1", "192.0.2.2", IPPROTO_ESP, 1);
	assert_int_equal(send_one(PROG_BLACK, IKE(PEER), 400), R(REASSEMBLY_CLOSED));
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.1", "192.0.2.2", IPPROTO_ESP, 0);
	peer_set(XIPSEC_FAMILY_IP4, "192.0.2.2", "192.0.2.1", IPPROTO_ESP, 1);
	peer_set(XIPSEC_FAMILY_IP6, "2001:db8::2", "2001:db8::1", IPPROTO_ESP, 1);
	for (__u32 i = 6; i < IKE_MAX; i++)
		assert_int_equal(send_one(PROG_BLACK, i & 1 ? IKE(PEER) : IKE(PEER6), 500 + i),
				 R(REASSEMBLE));
	assert_int_equal(send_one(PROG_BLACK, IKE(PEER), 600), R(REASSEMBLY_CLOSED));
	assert_int_equal(send_one(PROG_BLACK, IKE(PEER6), 600), R(REASSEMBLY_CLOSED));
	assert_waiting(IKE_MAX, IKE_MAX, 0);
	peers_gone(state);
}

/* What goes up to nobody takes no room. */
static void nobody_waits_for_nobody(void **state)
{
	struct packet_spec first = IKE(STRANGER);
	static struct run run;

	run = (struct run){.queue = 1};
	assert_int_equal(send_id(PROG_BLACK, &first, 1, &run), R(NO_WORKER));
	assert_waiting(0, 0, 0);
}

/* ------------------------------------------------------------------ what the kernel has sealed */

/* What it has sealed and the stack has cut leaves, by the first piece and the mark of each. */
static void pieces_of_esp(__u8 forwarded)
{
	const struct xipsec_sad_entry out = {SA, SA_GEN, XIPSEC_DIR_OUT,   XIPSEC_ENGINE_XFRM,
					     0,  0,      htonl(0xc0000201)};
	const struct packet_spec first = SPEC(.src = "192.0.2.1", .dst = "192.0.2.2", ESP,
					      .spi = 0x2001, .more = true),
				 later = SPEC(.src = "192.0.2.1", .dst = "192.0.2.2", ESP, LATER),
				 last = SPEC(.src = "192.0.2.1", .dst = "192.0.2.2", ESP, LAST);
	struct run marked = {.mark = XIPSEC_MARK_XFRM | CHILD, .forwarded = forwarded}, run;

	sa_set("192.0.2.2", 0x2001, &out);
	run = marked;
	assert_int_not_equal(send_id(PROG_GUARD, &later, 1, &run), R(ESP_OWN));
	run = marked;
	assert_int_equal(send_id(PROG_GUARD, &first, 1, &run), R(ESP_OWN));
	run = marked;
	assert_int_equal(send_id(PROG_GUARD, &later, 1, &run), R(ESP_OWN));
	run = marked;
	assert_int_equal(send_id(PROG_GUARD, &last, 1, &run), R(ESP_OWN));
	run = marked;
	assert_int_not_equal(send_id(PROG_GUARD, &last, 2, &run), R(ESP_OWN));
	assert_int_not_equal(send_one(PROG_GUARD, last, 1), R(ESP_OWN));
	/* a piece that begins another packet is judged by itself */
	run = marked;
	assert_int_not_equal(send_id(PROG_GUARD,
				     &SPEC(.src = "192.0.2.1", .dst = "192.0.2.2", ESP,
					   .spi = 0x2002, .more = true),
				     1, &run),
			     R(ESP_OWN));
}

static void pieces_of_the_kernels_esp(void **state)
{
	pieces_of_esp(1);
}

static void pieces_of_this_hosts(void **state)
{
	pieces_of_esp(0);
}

/* With nobody there to read it, the stack would answer. */
static void nothing_goes_up_to_nobody(void **state)
{
	struct packet_spec first = IN4(.proto = IPPROTO_ESP, .spi = 0x1001, .more = true);
	struct packet_spec last = IN4(.proto = IPPROTO_ESP, LAST);
	static struct run run;

	run = (struct run){.queue = 1};
	assert_int_equal(send_id(PROG_BLACK, &first, 1, &run), R(NO_WORKER));
	run = (struct run){.queue = 0};
	assert_int_equal(send_id(PROG_BLACK, &first, 1, &run), R(REASSEMBLE));
	run = (struct run){.queue = 1};
	assert_int_equal(send_id(PROG_BLACK, &last, 1, &run), R(NO_WORKER));
}

#define TEST(f)       cmocka_unit_test_setup(f, fresh)
#define TEST_PEERS(f) cmocka_unit_test_setup_teardown(f, peers_known, peers_gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(later_follow_the_first),
		TEST(opaque_rules_go_first),
		TEST(pieces_to_a_child_of_their_own),
		TEST(later_carry_the_child),
		TEST(nobody_else_follows),
		TEST(directions_are_kept_apart),
		TEST(the_guard_follows_too),
		TEST(a_new_policy_is_asked),
		TEST(a_changed_rule_is_asked),
		TEST(a_changed_rule_is_asked_ip6),
		TEST(half_an_entry_is_none),
		TEST(age_forgets),
		TEST(inbound_bypass),
		TEST(ipsec_goes_up),
		TEST(nothing_goes_up_to_nobody),
		TEST(the_kernels_goes_up_too),
		TEST(pieces_of_the_kernels_esp),
		TEST(pieces_of_this_hosts),
		TEST_PEERS(any_order_from_a_peer),
		TEST_PEERS(a_rule_that_went_is_no_sa),
		TEST_PEERS(no_stranger_is_a_peer),
		TEST_PEERS(nothing_else_is_led_by_pieces),
		TEST_PEERS(few_wait),
		TEST_PEERS(peers_come_and_go),
		TEST_PEERS(strangers_have_a_share),
		TEST_PEERS(all_pieces_of_ike_count),
		TEST(peers_have_a_share_of_their_own),
		TEST(nobody_waits_for_nobody),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
