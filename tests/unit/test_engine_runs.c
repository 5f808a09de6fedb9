// SPDX-License-Identifier: BSD-2-Clause
/*
 * Chance: two engines that rekey, delete and begin at random moments of their own choice, over a
 * network that delays, drops, doubles and reorders. Whatever happened, the end is what RFC 7296
 * says: the same SAs at both ends, each once, nothing left over, and, unless a child was deleted on
 * purpose, no packet lost and no moment without an outbound SA.
 *
 *	RUNS=N SEED=M test_engine_runs [TEST]    N runs from seed M on; SIM_TALK=1 tells all
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>

#include "tests/unit/ike_sim.h"

#define ENDS                                                            \
	"proposals = aes128gcm16-prfsha256-x25519\n"                    \
	"rekey_time = 0\nreauth_time = 0\ndpd_delay = 0\nunique = no\n" \
	"local { auth = psk }\nremote { auth = psk }\n"
#define CHILD(name, net)                               \
	name " { local_ts = " net "\nremote_ts = " net \
	     "\nesp_proposals = aes128gcm16\nrekey_time = 0\nlife_time = 0 }\n"

static const char one[] = "c {\n%s\n" ENDS "children {\n" CHILD("net", "10.0.0.0/8") "} }";
static const char two[] = "c {\n%s\n" ENDS "children {\n" CHILD("net", "10.0.0.0/8")
	CHILD("lan", "172.16.0.0/12") "} }";

enum wish { CHILD_REKEYS = 1, IKE_REKEYS = 2, DELETES = 4, PROBES = 8 };

/* ASan's allocator takes ten times as long: a quarter of them, beside those without it. */
#ifdef __SANITIZE_ADDRESS__
#define SHARE 4
#else
#define SHARE 1
#endif

static unsigned int runs_of(unsigned int n)
{
	const char *runs = getenv("RUNS");

	return runs ? strtoul(runs, NULL, 0) : n / SHARE;
}

static __u64 first_seed(void)
{
	const char *seed = getenv("SEED");

	return seed ? strtoull(seed, NULL, 0) : 1;
}

static struct child_sa *any_child(struct sim *sim, struct side *side)
{
	struct child_sa *up[64];
	unsigned int n = 0;

	for (struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		for (struct child_sa *child = ike->children; child; child = child->next)
			if (child->state == CHILD_UP && n < 64)
				up[n++] = child;
	return n ? up[sim_dice(sim, n)] : NULL;
}

static void rekey_child(struct sim *sim, struct side *side)
{
	struct child_sa *child = any_child(sim, side);
	struct engine_match match = {.child_id = child ? child->id : 0};

	if (child)
		engine_rekey(side->engine, &match, 0);
}

static void act(struct sim *sim, struct side *side, unsigned int wishes)
{
	struct engine_match all = {.ike = "c"};
	struct child_sa *child;
	unsigned int dice = sim_dice(sim, 10);

	if (dice < 5 && wishes & CHILD_REKEYS) {
		rekey_child(sim, side);
	} else if (dice < 8 && wishes & IKE_REKEYS) {
		engine_rekey(side->engine, &all, 0);
	} else if (dice < 9 && wishes & DELETES) {
		child = any_child(sim, side);
		all = (struct engine_match){.child_id = child ? child->id : 0};
		if (child)
			engine_terminate(side->engine, &all, false, 0);
	} else if (sim_ike(side)) {
		ike_task(sim_ike(side), TASK_DPD);
		ike_work(sim_ike(side));
	}
}

/* Both ends do the same at about the same time, or something else. */
static void storm(struct sim *sim, unsigned int wishes)
{
	unsigned int rounds = 1 + sim_dice(sim, 3);

	while (rounds-- && !*sim->fail) {
		unsigned int gap = 1 + sim_dice(sim, 2 * sim->net.delay_max + 20);

		act(sim, &sim->side[sim_dice(sim, 2)], wishes);
		sim_run(sim, sim_dice(sim, gap));
		act(sim, &sim->side[sim_dice(sim, 2)], wishes);
		sim_run(sim, sim_dice(sim, gap));
		act(sim, &sim->side[0], wishes);
		act(sim, &sim->side[1], wishes);
		sim_run(sim, sim_dice(sim, 4 * gap));
	}
}

static void weather(struct sim *sim)
{
	sim->net.delay_min = 1 + sim_dice(sim, 20);
	sim->net.delay_max = sim->net.delay_min + sim_dice(sim, 60);
	if (sim_dice(sim, 3))
		sim->net.drop = sim_dice(sim, 250);
	if (sim_dice(sim, 3))
		sim->net.twice = sim_dice(sim, 250);
}

/* What was deleted is begun again by whoever still wants it: so that the end is known. */
static void ask_again(struct sim *sim, unsigned int n_children)
{
	static const char *const names[] = {"net", "lan"};

	for (unsigned int i = 0; i < n_children; i++)
		if (!sim_child(&sim->side[0], names[i]))
			engine_initiate(sim->side[0].engine, "c", names[i], 0);
}

static void run(__u64 seed, const char *conn, unsigned int n_children, unsigned int wishes)
{
	struct sim *sim = sim_new(seed, conn, conn);

	weather(sim);
	sim->may_close = wishes & DELETES;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	if (n_children > 1)
		engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 3000);
	storm(sim, wishes);
	/* the network recovers, what was lost is sent again; what waits for the other end times out
	 */
	sim->net.drop = 0;
	sim_run(sim, 30000);
	sim->traffic = false;
	sim_run(sim, 150000);
	if (wishes & DELETES) {
		ask_again(sim, n_children);
		sim_run(sim, 20000);
	}
	sim_same(sim, 1, n_children);
	if (*sim->fail) {
		fprintf(stderr, "%s\n%s---\n%s", sim->fail, sim->side[0].log, sim->side[1].log);
		fail_msg("%s", sim->fail);
	}
	sim_free(sim);
}

/*
 * What a run took it has given back: the second half leaves less behind than one small block a run.
 * (What OpenSSL keeps it fetches in the first half; what malloc() caches for the thread counts as
 * taken.)
 */
static void runs(unsigned int n, const char *conn, unsigned int n_children, unsigned int wishes)
{
	__u64 seed = first_seed();
	size_t before = 0;

	n = runs_of(n);
	for (unsigned int i = 0; i < n; i++) {
		if (i == n / 2)
			before = mallinfo2().uordblks;
		run(seed + i, conn, n_children, wishes);
	}
	if (n >= 1000)
		assert_in_range(mallinfo2().uordblks, 0, before + 16 * (n / 2));
}

static void test_children(void **state)
{
	runs(3000, one, 1, CHILD_REKEYS);
}

static void test_ike(void **state)
{
	runs(2500, one, 1, IKE_REKEYS);
}

static void test_both(void **state)
{
	runs(2500, two, 2, CHILD_REKEYS | IKE_REKEYS | PROBES);
}

static void test_deletes(void **state)
{
	runs(2000, two, 2, CHILD_REKEYS | IKE_REKEYS | DELETES);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_children),
		cmocka_unit_test(test_ike),
		cmocka_unit_test(test_both),
		cmocka_unit_test(test_deletes),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
