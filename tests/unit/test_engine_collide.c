// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every collision of RFC 7296 2.8 and 2.25: both ends do something to the same SAs, each pair of
 * doings, apart by 0 to 60 ms with 20 ms of way, with no message lost or with each of the first
 * ones lost in turn. The end is one line of the table, whatever came first.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/ike_sim.h"

static const char conn[] =
	SIM_CONN(SIM_FAST, "",
		 SIM_NET SIM_CHILD("lan", "172.16.0.0/12", "172.16.0.0/12",
				   "esp_proposals = aes128gcm16\nstart_action = trap"));

enum act { NOTHING, CHILD_REKEY, CHILD_CLOSE, CHILD_NEW, IKE_REKEY, IKE_CLOSE, ACTS };

static const char *const names[ACTS] = {"nothing",     "child rekey", "child close",
					"a new child", "IKE rekey",   "IKE close"};

/* What is left of net: a child is closed by whoever closes it, with all that replaced it. */
static unsigned int nets_left(enum act a, enum act b)
{
	return a != CHILD_CLOSE && b != CHILD_CLOSE;
}

static unsigned int lans_left(enum act a, enum act b)
{
	return a == CHILD_NEW || b == CHILD_NEW;
}

static void act(struct side *side, enum act what)
{
	struct engine_match net = {.child = "net"}, ike = {.ike = "c"};

	switch (what) {
	case CHILD_REKEY: engine_rekey(side->engine, &net, 0); break;
	case CHILD_CLOSE: engine_terminate(side->engine, &net, false, 0); break;
	case CHILD_NEW: engine_acquire(side->engine, "c/lan"); break;
	case IKE_REKEY: engine_rekey(side->engine, &ike, 0); break;
	case IKE_CLOSE: engine_terminate(side->engine, &ike, false, 0); break;
	default: break;
	}
}

static unsigned int seen, lose_at;

static bool lose_nth(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return ++seen == lose_at;
}

static unsigned int of_child(const struct side *side, const char *name)
{
	unsigned int n = 0;

	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		for (const struct child_sa *child = ike->children; child; child = child->next)
			n += !strcmp(child->cfg->name, name);
	return n;
}

/* A new child can have made a new IKE SA after the old one was closed: both are right. Two of lan,
 * one by either end, too: nobody can tell that they are meant to be one (2.8 asks not to guess). */
static void check(struct sim *sim, enum act a, enum act b)
{
	bool closed = a == IKE_CLOSE || b == IKE_CLOSE, fresh = a == CHILD_NEW || b == CHILD_NEW;
	unsigned int ikes = sim_ikes(&sim->side[0], -1), children = sim_children(&sim->side[0], -1);

	if (closed && ikes != 0 && !(fresh && ikes == 1))
		sim_fail(sim, "%u IKE SAs are left", ikes);
	if (!closed && ikes != 1)
		sim_fail(sim, "%u IKE SAs are left", ikes);
	if (!closed && of_child(&sim->side[0], "net") != nets_left(a, b))
		sim_fail(sim, "%u of net are left", of_child(&sim->side[0], "net"));
	if (!closed && !!of_child(&sim->side[0], "lan") != lans_left(a, b))
		sim_fail(sim, "%u of lan are left", of_child(&sim->side[0], "lan"));
	sim_same(sim, ikes, ikes ? children / ikes : 0);
}

/* ASan's allocator takes ten times as long: every third of these, beside all of them without it. */
#ifdef __SANITIZE_ADDRESS__
#define STEP 15
#else
#define STEP 5
#endif

static void collide_once(enum act a, enum act b, unsigned int apart, unsigned int lose)
{
	struct sim *sim = sim_new(1 + apart + 100 * lose, conn, conn);

	sim->net = (struct sim_net){.delay_min = 20, .delay_max = 20};
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 1000);
	sim->may_close = a == CHILD_CLOSE || b == CHILD_CLOSE || a == IKE_CLOSE || b == IKE_CLOSE;
	seen = 0;
	lose_at = lose;
	sim->lose = lose_nth;
	act(&sim->side[0], a);
	sim_run(sim, apart);
	act(&sim->side[1], b);
	sim_run(sim, 20000);
	sim->traffic = false;
	sim_run(sim, 80000);
	check(sim, a, b);
	if (*sim->fail)
		fail_msg("%s at side 0, %s at side 1 %u ms later, message %u lost: %s\n%s---\n%s",
			 names[a], names[b], apart, lose, sim->fail, sim->side[0].log,
			 sim->side[1].log);
	sim_free(sim);
}

static void test_pairs(void **state)
{
	for (unsigned int a = 0; a < ACTS; a++)
		for (unsigned int b = 0; b < ACTS; b++)
			for (unsigned int apart = 0; apart <= 60; apart += STEP)
				for (unsigned int lose = 0; lose <= 8; lose++)
					collide_once(a, b, apart, lose);
}

/* 2.8.1's figure: who created the SA with the lowest nonce deletes it, the other deletes the old
 * one. */
static void test_lowest_nonce(void **state)
{
	for (unsigned int seed = 1; seed <= 20; seed++) {
		struct sim *sim = sim_new(seed, conn, conn);
		unsigned int deletes[2];

		sim->net = (struct sim_net){.delay_min = 20, .delay_max = 20};
		engine_initiate(sim->side[0].engine, "c", "net", 0);
		sim_run(sim, 1000);
		act(&sim->side[0], CHILD_REKEY);
		act(&sim->side[1], CHILD_REKEY);
		sim_run(sim, 1000);
		sim_good(sim);
		/* one exchange and one delete by either side, and one says that it lost */
		for (int i = 0; i < 2; i++)
			deletes[i] = sim->side[i].engine->counter[ENGINE_OUT_INFO_REQ];
		assert_int_equal(deletes[0], 1);
		assert_int_equal(deletes[1], 1);
		assert_int_equal(sim_said(&sim->side[0], "one too many") +
					 sim_said(&sim->side[1], "one too many"),
				 1);
		sim->traffic = false;
		sim_run(sim, 10000);
		sim_same(sim, 1, 1);
		sim_good(sim);
		sim_free(sim);
	}
}

/* TEMPORARY_FAILURE without an end: after minutes the IKE SA is closed (2.25), and what was on it
 * is made anew. */
static void test_temporary_for_ever(void **state)
{
	struct sim *sim = sim_new(1, conn, conn);
	struct child_sa *child;
	__u32 first;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 1000);
	sim->may_close = true;
	first = sim_ike(&sim->side[0])->id;
	child = sim_child(&sim->side[1], "net");
	assert_non_null(child);
	child->state = CHILD_CLOSING; /* it never does */
	act(&sim->side[0], CHILD_REKEY);
	sim_run(sim, 60000);
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
	assert_in_range(sim->sent[CREATE_CHILD_SA][0], 10, 40); /* it waits between its tries */
	sim_run(sim, 200000);
	assert_true(sim_said(&sim->side[0], "TEMPORARY_FAILURE for minutes"));
	assert_null(ike_by_id(sim->side[0].engine, first));
	sim_end(sim, 1, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_lowest_nonce),
		cmocka_unit_test(test_temporary_for_ever),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
