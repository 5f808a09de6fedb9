// SPDX-License-Identifier: BSD-2-Clause
/*
 * Chance: two engines that rekey, reauthenticate, delete and begin at random moments of their own
 * choice, over a network that delays, drops, doubles and reorders, beside xipsecds that end and
 * come back with nothing. Whatever happened, the end is what RFC 7296 says: the same SAs at both
 * ends, each once, nothing left over, no key told to xipsecd twice, and, unless a child was deleted
 * on purpose or an xipsecd ended, no packet lost and no moment without an outbound SA. What is to
 * happen by chance is counted: it must have happened often.
 *
 *	RUNS=N SEED=M test_engine_runs [TEST]    N runs from seed M on; SIM_TALK=1 tells all
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <malloc.h>

#include "iked/xchg.h"
#include "tests/unit/ike_sim.h"

#define ENDS_OF(unique)                                                         \
	"proposals = aes128gcm16-prfsha256-x25519\n"                            \
	"rekey_time = 0\nreauth_time = 0\ndpd_delay = 0\nunique = " unique "\n" \
	"local { auth = psk }\nremote { auth = psk }\n"
#define ENDS ENDS_OF("no")
#define CHILD(name, net)                                                      \
	name " { local_ts = " net "\nremote_ts = " net                        \
	     "\nesp_proposals = aes128gcm16\nrekey_time = 0\nlife_time = 0\n" \
	     "start_action = trap }\n"

static const char one[] = "c {\n%s\n" ENDS "children {\n" CHILD("net", "10.0.0.0/8") "} }";
static const char two[] = "c {\n%s\n" ENDS "children {\n" CHILD("net", "10.0.0.0/8")
	CHILD("lan", "172.16.0.0/12") "} }";
static const char three[] = "c {\n%s\n" ENDS "children {\n" CHILD("net", "10.0.0.0/8")
	CHILD("lan", "172.16.0.0/12") CHILD("far", "192.168.0.0/16") "} }";
static const char replaces[] =
	"c {\n%s\n" ENDS_OF("replace") "children {\n" CHILD("net", "10.0.0.0/8")
		CHILD("lan", "172.16.0.0/12") "} }";

enum wish {
	CHILD_REKEYS = 1,
	IKE_REKEYS = 2,
	DELETES = 4,
	PROBES = 8,
	BEGINS = 16, /* side 0 wants child "lan", side 1 child "far" */
	REAUTHS = 32,
	LOSES = 64 /* an xipsecd ends */
};

/* What has happened in the storms of a test's runs, by side. `amid`: while an exchange was under
 * way there. */
static struct seen {
	unsigned int begun[2], begun_amid[2];
	unsigned int reauths[2], reauths_amid[2];
	unsigned int losses[2];
} seen;

/* ASan's allocator takes ten times as long: an eighth of them, beside those without it. */
#ifdef __SANITIZE_ADDRESS__
#define SHARE 8
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

static bool is_busy(const struct side *side)
{
	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		if (ike->ours || ike->peers)
			return true;
	return false;
}

static bool begun[2]; /* in this run */
static const char *const own_child[] = {"c/lan", "c/far"};

static bool has_own(const struct side *side)
{
	const struct conn_child *child;
	const struct ike_conn *conn = ike_conn_of_child(side->engine, own_child[side->n], &child);

	return engine_has_child(side->engine, conn, child);
}

static void begin_child(struct side *side)
{
	bool had = has_own(side), busy = is_busy(side);

	/* Both at once would have one each. */
	if (!sim_ikes(side, IKE_UP))
		return;
	engine_acquire(side->engine, own_child[side->n]);
	if (had || !has_own(side))
		return;
	begun[side->n] = true;
	seen.begun[side->n]++;
	seen.begun_amid[side->n] += busy;
}

static void lose_sadb(struct sim *sim, struct side *side)
{
	if (side->sadb_gone)
		return;
	seen.losses[side->n]++;
	sim_lose_sadb(sim, side->n, 1 + sim_dice(sim, 300));
}

/* The oldest one, as its clock would: what has just been made in its place has hours. 0: none. */
static __u32 due_one(const struct side *side)
{
	const struct ike_sa *due = NULL;

	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		if (ike->state == IKE_UP && (!due || ike->first_id < due->first_id))
			due = ike;
	for (const struct ike_sa *ike = side->engine->first; ike; ike = ike->next)
		if (due && ike->origin.renews &&
		    (ike->state < IKE_UP ||
		     (ike->state == IKE_UP && ike->first_id > due->first_id)))
			return 0;
	return due && !due->reauth_half ? due->id : 0;
}

static void reauth(struct side *side)
{
	const struct engine_match oldest = {.ike_id = due_one(side)};
	unsigned int before = sim_lines(side, "is authenticated anew, by");
	bool busy = is_busy(side);

	if (!oldest.ike_id)
		return;
	engine_reauth(side->engine, &oldest, 0);
	if (sim_lines(side, "is authenticated anew, by") == before)
		return;
	seen.reauths[side->n]++;
	seen.reauths_amid[side->n] += busy;
}

/* One of the rarer wishes; false: none. */
static bool act_rarely(struct sim *sim, struct side *side, unsigned int wishes)
{
	switch (sim_dice(sim, 6)) {
	case 0:
	case 1:
		if (wishes & BEGINS)
			begin_child(side);
		return wishes & BEGINS;
	case 2:
		if (wishes & REAUTHS)
			reauth(side);
		return wishes & REAUTHS;
	case 3:
		if (wishes & LOSES)
			lose_sadb(sim, side);
		return wishes & LOSES;
	default: return false;
	}
}

static void act(struct sim *sim, struct side *side, unsigned int wishes)
{
	struct engine_match all = {.ike = "c"};
	struct child_sa *child;
	unsigned int dice;

	if (wishes & (BEGINS | REAUTHS | LOSES) && act_rarely(sim, side, wishes))
		return;
	dice = sim_dice(sim, 10);
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

/* What was deleted or could not be had without an xipsecd is begun again by whoever still wants
 * it: so that the end is known. */
static void ask_again(struct sim *sim, unsigned int n_children, unsigned int wishes)
{
	static const char *const names[] = {"net", "lan"};

	for (unsigned int i = 0; i < n_children; i++)
		if (!sim_child(&sim->side[0], names[i]))
			engine_initiate(sim->side[0].engine, "c", names[i], 0);
	for (int i = 0; i < 2 && wishes & BEGINS; i++) {
		begun[i] = true;
		engine_acquire(sim->side[i].engine, own_child[i]);
	}
}

/* What is under way on an IKE SA that goes is not begun again by itself. */
static void get_whole(struct sim *sim, unsigned int n_children)
{
	unsigned int drop = sim->net.drop;

	sim->net.drop = 0;
	for (int i = 0; i < 60 && (sim_children(&sim->side[0], CHILD_UP) < n_children ||
				   sim_children(&sim->side[1], CHILD_UP) < n_children);
	     i++)
		sim_run(sim, 500);
	sim->net.drop = drop;
}

static void run(__u64 seed, const char *conn, unsigned int n_children, unsigned int wishes)
{
	struct sim *sim = sim_new(seed, conn, conn);

	begun[0] = begun[1] = false;
	weather(sim);
	sim->may_close = wishes & DELETES;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	if (n_children > 1)
		engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 3000);
	if (wishes & REAUTHS)
		get_whole(sim, n_children);
	storm(sim, wishes);
	/* the network recovers, what was lost is sent again; what waits for the other end times out
	 */
	sim->net.drop = 0;
	sim_run(sim, 30000);
	sim->traffic = false;
	sim_run(sim, 150000);
	if (wishes & (DELETES | LOSES) || (wishes & REAUTHS && wishes & BEGINS)) {
		ask_again(sim, n_children, wishes);
		sim_run(sim, 20000);
	}
	sim_same(sim, 1, n_children + begun[0] + begun[1]);
	/* What there is carries traffic. */
	sim->may_close = wishes & DELETES;
	sim->traffic = true;
	sim_run(sim, 200);
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
	seen = (struct seen){0};
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
	runs(2000, one, 1, CHILD_REKEYS);
}

static void test_ike(void **state)
{
	runs(1500, one, 1, IKE_REKEYS);
}

static void test_both(void **state)
{
	runs(1500, two, 2, CHILD_REKEYS | IKE_REKEYS | PROBES);
}

static void test_deletes(void **state)
{
	runs(1500, two, 2, CHILD_REKEYS | IKE_REKEYS | DELETES);
}

/* In so many of ten runs at least, on both sides. */
static void happened(const unsigned int times[2], unsigned int in_ten, unsigned int n)
{
	assert_in_range(10 * times[0], in_ten * n, UINT32_MAX);
	assert_in_range(10 * times[1], in_ten * n, UINT32_MAX);
}

/* Often enough, or those runs say nothing? Who asks for a few seeds is not asked. */
static void happened_all(unsigned int n, unsigned int wishes)
{
	if (getenv("RUNS"))
		return;
	n = runs_of(n);
	if (wishes & BEGINS) {
		happened(seen.begun, 5, n);
		happened(seen.begun_amid, 2, n);
	}
	if (wishes & REAUTHS) {
		happened(seen.reauths, 2, n);
		happened(seen.reauths_amid, 1, n);
	}
	if (wishes & LOSES)
		happened(seen.losses, 4, n);
}

static void test_begins(void **state)
{
	runs(1000, three, 1, CHILD_REKEYS | IKE_REKEYS | BEGINS);
	happened_all(1000, BEGINS);
}

static void test_reauths(void **state)
{
	runs(1000, two, 2, CHILD_REKEYS | IKE_REKEYS | REAUTHS);
	happened_all(1000, REAUTHS);
}

static void test_replaces(void **state)
{
	runs(1000, replaces, 2, CHILD_REKEYS | IKE_REKEYS | REAUTHS);
	happened_all(1000, REAUTHS);
}

static void test_losses(void **state)
{
	runs(1000, two, 2, CHILD_REKEYS | IKE_REKEYS | LOSES);
	happened_all(1000, LOSES);
}

static void test_all(void **state)
{
	runs(1000, three, 1, CHILD_REKEYS | IKE_REKEYS | BEGINS | REAUTHS | LOSES);
	happened_all(1000, BEGINS | REAUTHS | LOSES);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_children), cmocka_unit_test(test_ike),
		cmocka_unit_test(test_both),     cmocka_unit_test(test_deletes),
		cmocka_unit_test(test_begins),   cmocka_unit_test(test_reauths),
		cmocka_unit_test(test_losses),   cmocka_unit_test(test_all),
		cmocka_unit_test(test_replaces),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
