// SPDX-License-Identifier: BSD-2-Clause
/* Messages in fragments (RFC 7383) that go both ways at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iked/out.h"
#include "iked/xchg.h"
#include "tests/unit/ike_sim.h"

/* So many selectors at one end make two fragments of every request and response. */
#define NETS 30

static size_t add_nets(char *to, size_t size, size_t len, unsigned int child)
{
	for (unsigned int i = 0; i < NETS; i++)
		len += snprintf(to + len, size - len, "%sfd00:%x:%x::/64", i ? ", " : "", child, i);
	return len;
}

/* Children net and lan: one selector at side 0, NETS at side 1. */
static void wide(char *to, size_t size, bool mirrored)
{
	static const char *const names[] = {"net", "lan"};
	size_t len = snprintf(to, size,
			      "c {\n%%s\nproposals = " SIM_FAST "\nlocal { auth = psk }\n"
			      "remote { auth = psk }\nchildren {\n");

	for (unsigned int i = 0; i < 2; i++) {
		len += snprintf(
			to + len, size - len, "%s {\n%s_ts = fd0%u::/64\n%s_ts = ", names[i],
			mirrored ? "remote" : "local", i + 1, mirrored ? "local" : "remote");
		len = add_nets(to, size, len, i + 1);
		len += snprintf(to + len, size - len,
				"\nesp_proposals = aes256gcm16-x25519\nstart_action = trap\n}\n");
	}
	snprintf(to + len, size - len, "} }");
}

/* The second fragment of side 1's first request to make a child is lost. */
static bool lose_second(struct sim *sim, int from, const __u8 *data, size_t len)
{
	static const __u8 two_of_two[] = {0, 2, 0, 2};

	if (sim->script || from != 1 || msg_exchange(data) != CREATE_CHILD_SA ||
	    msg_response(data) || data[16] != IKE_PL_SKF || memcmp(data + 32, two_of_two, 4) != 0)
		return false;
	sim->script = 1;
	return true;
}

/* Both ends have used the same numbers for their requests. */
static void level(struct sim *sim)
{
	const struct ike_sa *a = sim_ike(&sim->side[0]);
	struct ike_sa *b = sim_ike(&sim->side[1]);

	while (b->w.out_id < a->w.out_id) {
		ike_task(b, TASK_DPD);
		ike_work(b);
		sim_run(sim, 100);
	}
	assert_int_equal(a->w.out_id, b->w.out_id);
}

/* A request and a response with one message ID come at once, each in two fragments, and half of the
 * request is missing: neither is put together of the other's. */
static void test_both_ways(void **state)
{
	char conn[2][4096];
	struct sim *sim;
	__u32 ikes[2];

	wide(conn[0], sizeof(conn[0]), false);
	wide(conn[1], sizeof(conn[1]), true);
	sim = sim_new(1, conn[0], conn[1]);
	sim->net = (struct sim_net){.delay_min = 10, .delay_max = 10};
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 2000);
	for (int i = 0; i < 2; i++)
		ikes[i] = sim_ike(&sim->side[i])->id;
	level(sim);
	sim->lose = lose_second;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 7);
	engine_rekey(sim->side[1].engine, &(struct engine_match){.child = "lan"}, 7);
	sim_run(sim, 5000);
	assert_int_equal(sim->script, 1);
	assert_int_equal(sim->longest, 1228);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(sim_done(&sim->side[i], 7), 0);
		assert_false(sim_said(&sim->side[i], "cannot be read"));
		assert_int_equal(sim_ike(&sim->side[i])->id, ikes[i]);
	}
	sim->traffic = false;
	sim_run(sim, 10000);
	sim_same(sim, 1, 2);
	sim_good(sim);
	sim_free(sim);
}

/* In place of the second fragment of side 1's first request to make a child comes a forged one. */
static bool forge_second(struct sim *sim, int from, const __u8 *data, size_t len)
{
	__u8 forged[2048];

	if (!lose_second(sim, from, data, len))
		return false;
	assert_true(len <= sizeof(forged));
	memcpy(forged, data, len);
	forged[len - 1] ^= 1;
	sim_inject(sim, !from, forged, len);
	return true;
}

/* It is not kept in the place of the true one, which comes again. */
static void test_forged(void **state)
{
	char conn[2][4096];
	struct sim *sim;
	__u64 invalid;

	wide(conn[0], sizeof(conn[0]), false);
	wide(conn[1], sizeof(conn[1]), true);
	sim = sim_new(1, conn[0], conn[1]);
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 2000);
	invalid = sim->side[0].engine->counter[ENGINE_IN_INVALID];
	sim->lose = forge_second;
	engine_rekey(sim->side[1].engine, &(struct engine_match){.child = "lan"}, 7);
	sim_run(sim, 5000);
	assert_int_equal(sim->script, 1);
	assert_int_equal(sim->side[0].engine->counter[ENGINE_IN_INVALID], invalid + 1);
	assert_int_equal(sim_done(&sim->side[1], 7), 0);
	assert_false(sim_said(&sim->side[0], "cannot be read"));
	sim->traffic = false;
	sim_run(sim, 10000);
	sim_same(sim, 1, 2);
	sim_good(sim);
	sim_free(sim);
}

#define SHORT 700 /* bytes */

static size_t longest_answer;
static unsigned int answers;

/* Side 0's first request to make a child comes in shorter fragments: the path has no room. */
static bool shorten(struct sim *sim, int from, const __u8 *data, size_t len)
{
	static struct writer text;
	static __u8 first;
	_cleanup_out_ struct ike_out out = {0};
	struct ike_packets *packets;
	struct ike_fault fault;
	static struct ike_msg msg;
	struct sk_key key;

	if (msg_exchange(data) != CREATE_CHILD_SA)
		return false;
	if (from == 1 && msg_response(data)) {
		answers++;
		if (len > longest_answer)
			longest_answer = len;
	}
	if (from != 0 || msg_response(data) || sim->script)
		return false;
	key = sim_ike(&sim->side[0])->keys->i;
	assert_int_equal(ike_msg_parse(BYTES(data, len), &msg, &fault), 0);
	assert_int_equal(sk_open(&key, &msg, &text), 0);
	if (msg.sk.number == 1)
		first = msg.sk.first;
	if (msg.sk.number < msg.sk.total)
		return true;
	ike_out_open(&out, &msg.h);
	out.first = first;
	out.any = true;
	writer_bytes(&out.text, writer_view(&text));
	key.iv += 1ULL << 32; /* none of the engine's own */
	assert_int_equal(ike_out_sealed(&out, &key, SHORT, &packets), 0);
	for (unsigned int i = 0; i < packets->n; i++)
		sim_inject(sim, 1, ike_packet(packets, i).data, ike_packet(packets, i).len);
	free(packets);
	writer_free(&text);
	sk_key_wipe(&key);
	sim->script = 1;
	return true;
}

/* RFC 7383 2.5.1: the answer is no longer than what asked, as long as that is so. */
static void test_short(void **state)
{
	char conn[2][4096];
	struct sim *sim;

	wide(conn[0], sizeof(conn[0]), true);
	wide(conn[1], sizeof(conn[1]), false);
	sim = sim_new(3, conn[0], conn[1]);
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	sim_run(sim, 1000);
	sim->lose = shorten;
	longest_answer = answers = 0;
	engine_initiate(sim->side[0].engine, "c", "lan", 7);
	sim_run(sim, 2000);
	assert_int_equal(sim->script, 1);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_in_range(longest_answer, SHORT - 16, SHORT);
	assert_in_range(answers, 3, 4);
	longest_answer = answers = 0;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "lan"}, 8);
	sim_run(sim, 2000);
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	assert_int_equal(longest_answer, FRAGMENT_LEN);
	assert_int_equal(answers, 2);
	sim_end(sim, 1, 2);
}

/* Of side 0's requests to make a child the first fragment comes, once, and no more for a while. */
static bool lose_the_rest(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return from == 0 && msg_exchange(data) == CREATE_CHILD_SA && sim->script++ > 0;
}

/* What is not whole after a minute is forgotten, and the same request may begin again. */
static void test_half(void **state)
{
	char conn[2][4096];
	unsigned int n_timers;
	struct ike_sa *ike;
	struct sim *sim;

	wide(conn[0], sizeof(conn[0]), true); /* the many selectors are side 0's */
	wide(conn[1], sizeof(conn[1]), false);
	sim = sim_new(2, conn[0], conn[1]);
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	sim_run(sim, 1000);
	ike = sim_ike(&sim->side[1]);
	n_timers = sim->side[1].engine->n_timers;
	sim->lose = lose_the_rest;
	engine_initiate(sim->side[0].engine, "c", "lan", 7);
	sim_run(sim, 1000);
	assert_non_null(ike->gather[0]);
	assert_int_equal(sim->side[1].engine->n_timers, n_timers + 1);
	sim_run(sim, FRAGMENTS_MS - 2000);
	assert_non_null(ike->gather[0]);
	sim_run(sim, 2000);
	assert_null(ike->gather[0]);
	assert_null(ike->gather[1]);
	assert_int_equal(sim->side[1].engine->n_timers, n_timers);
	assert_true(sim_said(&sim->side[1], "1 of 2 fragments of message"));
	sim->lose = NULL;
	sim_run(sim, 60000);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_ptr_equal(sim_ike(&sim->side[1]), ike);
	sim_end(sim, 1, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_forged),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_half),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
