// SPDX-License-Identifier: BSD-2-Clause
/* Pieces that come before their first: whose wait, how many, and of IKE, which anybody sends. */
#include "tests/prog/frags.h"

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

#define TEST_PEERS(f) cmocka_unit_test_setup_teardown(f, peers_known, peers_gone)

int main(void)
{
	const struct CMUnitTest tests[] = {
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
