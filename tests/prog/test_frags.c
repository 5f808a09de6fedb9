// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragments one after the other: what the first was told holds for those behind it, and for nobody
 * else; by interface, direction, addresses, ID, age and SPD.
 */
#include "tests/prog/frags.h"

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
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
