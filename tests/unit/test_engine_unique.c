// SPDX-License-Identifier: BSD-2-Clause
/* Several IKE SAs with one peer: who says INITIAL_CONTACT, what that takes with it, and what
 * `unique` means by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iked/ident.h"
#include "iked/setup.h"
#include "iked/unique.h"
#include "tests/unit/ike_sim.h"

#define NET(name, addr) SIM_CHILD(name, addr, addr, "esp_proposals = aes128gcm16")
/* Side 0's connection d to side 1 beside c; side 1 has one for both. */
#define SECOND(more, remote)                                                              \
	"\nd {\nlocal_addrs = 192.0.2.1\nremote_addrs = 192.0.2.2\nproposals = " SIM_FAST \
	"\n" more "\nlocal { auth = psk }\nremote { auth = psk\n" remote                  \
	"}\nchildren {\n" NET("lan", "172.16.0.0/12") "\n} }"
#define ONE(more)  SIM_CONN(SIM_FAST, more, NET("net", "10.0.0.0/8"))
#define BOTH(more) SIM_CONN(SIM_FAST, more, NET("net", "10.0.0.0/8") NET("lan", "172.16.0.0/12"))

static const char two[] = ONE("") SECOND("", "");
static const char both[] = BOTH("");
static const char keep[] = BOTH("unique = keep");

static struct sim *begin(const char *conn_0, const char *conn_1)
{
	struct sim *sim = sim_new(3, conn_0, conn_1);

	sim->traffic = false;
	sim->may_close = true;
	return sim;
}

/* Side 0 is up by c and is begun anew, by a daemon that knows of nothing. */
static struct sim *crashed(const char *conn_0, const char *conn_1)
{
	struct sim *sim = begin(conn_0, conn_1);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	sim_crash(sim, 0, conn_0);
	return sim;
}

static bool contacted(const struct sim *sim)
{
	return sim_said(&sim->side[1], "INITIAL_CONTACT");
}

/* ------------------------------------------------------------------ INITIAL_CONTACT */

/* Two connections with one peer, whose identity no config names: one after the other; at once; and
 * when the one that began first, and said so, gets up last. */
static bool lose_first_auth(struct sim *sim, int from, const __u8 *data, size_t len)
{
	const struct ike_sa *first = sim->side[0].engine->first;

	return from == 0 && msg_exchange(data) == IKE_AUTH && sim->now < 4000 && first &&
	       !memcmp(data, &first->spi_i, sizeof(first->spi_i));
}

static void test_two_connections(void **state)
{
	for (int at_once = 0; at_once < 3; at_once++) {
		struct sim *sim = begin(two, both);

		if (at_once == 2)
			sim->lose = lose_first_auth;
		engine_initiate(sim->side[0].engine, "c", "net", 0);
		if (!at_once)
			assert_true(sim_up(sim, 3000));
		else if (at_once == 2)
			sim_run(sim, 100);
		engine_initiate(sim->side[0].engine, "d", "lan", 0);
		sim_run(sim, 15000);
		assert_int_equal(sim->lost > 0, at_once == 2);
		assert_false(contacted(sim));
		assert_non_null(sim_child(&sim->side[1], "net"));
		assert_non_null(sim_child(&sim->side[1], "lan"));
		sim_end(sim, 2, 1);
	}
}

/* One that is up by another connection hinders it if it may be with the same peer, and so does one
 * that is on its way, and comes before. */
static void test_first(void **state)
{
	static const struct {
		const char *remote, *who; /* of connection d; identity of its IKE SA */
		__u8 host;                /* its address: 192.0.2.x */
		enum ike_state state;
		bool later, expected;
	} cases[] = {
		{"", "192.0.2.2", 2, IKE_UP, false, false},
		{"", "192.0.2.3", 3, IKE_UP, false, true},
		{"", "moon.example.org", 3, IKE_UP, false, false}, /* it may be here as well */
		{"id = sun.example.org", "sun.example.org", 2, IKE_UP, false, false},
		{"", "192.0.2.2", 2, IKE_CLOSING, false, false},
		{"", NULL, 2, IKE_AUTHING, false, false},
		{"", NULL, 2, IKE_AUTHING, true, false},
		{"", NULL, 2, IKE_INIT, false, false},
		{"", NULL, 2, IKE_INIT, true, true},
		{"", NULL, 3, IKE_AUTHING, false, true},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char conn[1024], why[100];
		struct ike_path path = {.family = XIPSEC_FAMILY_IP4,
					.local.byte = {192, 0, 2, 1},
					.remote.byte = {192, 0, 2, 2}};
		struct ike_sa *ike, *other;
		struct sim *sim;

		snprintf(conn, sizeof(conn), "%s" SECOND("", "%s\n"), ONE(""), cases[i].remote);
		sim = begin(conn, both);
		for (int n = 0; n < 2; n++) {
			bool of_d = (n == 0) != cases[i].later;

			path.remote.byte[3] = of_d ? cases[i].host : 2;
			assert_int_equal(
				ike_new(sim->side[0].engine,
					ike_conn_find(sim->side[0].engine, of_d ? "d" : "c"), true,
					&path, of_d ? &other : &ike),
				0);
		}
		ike->state = IKE_AUTHING;
		assert_int_equal(ident_parse("192.0.2.1", &ike->local_id, why, sizeof(why)), 0);
		other->local_id = ident_copy(ike->local_id);
		other->state = cases[i].state;
		if (cases[i].who)
			assert_int_equal(
				ident_parse(cases[i].who, &other->remote_id, why, sizeof(why)), 0);
		if (unique_first(ike) != cases[i].expected)
			fail_msg("case %u", i);
		/* between other identities of ours it does not count */
		free(other->local_id);
		assert_int_equal(ident_parse("me.example.org", &other->local_id, why, sizeof(why)),
				 0);
		assert_true(unique_first(ike));
		sim_free(sim);
	}
}

/* SAs of before hinder it whatever connection they are of, if they may be of the same peer. */
static void test_orphans(void **state)
{
	static const char other[] = SIM_CONN(SIM_FAST, "", NET("net", "10.0.0.0/8"))
		SECOND("", "id = moon.example.org\n");
	static const struct {
		const char *conn, *has;
		bool expected;
	} cases[] = {{two, NULL, true},
		     {two, "c", false},
		     {two, "d", false},
		     {other, "d", false}, /* c's peer may well be moon */
		     {"c {\n%s\nproposals = " SIM_FAST
		      "\nlocal { auth = psk }\nremote { auth = psk\n"
		      "id = 192.0.2.2\n}\nchildren {\n" NET("net", "10.0.0.0/8") "\n} }" SECOND(
			      "", "id = moon.example.org\n"),
		      "d", true}};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sim *sim = crashed(cases[i].conn, both);

		if (cases[i].has)
			assert_int_equal(
				engine_conn_orphans(sim->side[0].engine, cases[i].has, true), 0);
		engine_initiate(sim->side[0].engine, "c", "net", 8);
		sim_run(sim, 5000);
		assert_int_equal(sim_done(&sim->side[0], 8), 0);
		if (contacted(sim) != cases[i].expected)
			fail_msg("case %u\n%s", i, sim->side[1].log);
		/* Connections are looked through only while one has some. */
		assert_int_equal(sim->side[0].engine->n_orphans, cases[i].has ? 1 : 0);
		for (int twice = 0; twice < 2; twice++)
			engine_conn_orphans(sim->side[0].engine, "c", true);
		engine_conn_unload(sim->side[0].engine, "c");
		assert_int_equal(sim->side[0].engine->n_orphans,
				 cases[i].has && *cases[i].has == 'd' ? 1 : 0);
		sim_free(sim);
	}
}

/* ------------------------------------------------------------------ unique */

/* Connections of one peer do not replace each other; the same one twice does. */
static void test_replace_by_connection(void **state)
{
	static const char replacing[] = ONE("unique = replace") SECOND("unique = replace", "");
	struct sim *sim = begin(replacing, both);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	engine_initiate(sim->side[0].engine, "d", "lan", 0);
	sim_run(sim, 20000);
	sim_same(sim, 2, 1);
	sim_good(sim);
	setup_begin(sim->side[0].engine, ike_conn_find(sim->side[0].engine, "c"),
		    &ike_conn_find(sim->side[0].engine, "c")->model.children[0], 0);
	sim_run(sim, 20000);
	sim_end(sim, 2, 1);
}

/* The old one stays while the new one has no child, and goes when that has one; if the new one ends
 * before, or only the old one gets children, nothing goes. */
static void test_replace_without_child(void **state)
{
	static const char replacing[] = BOTH("unique = replace");

	for (int then = 0; then < 3; then++) {
		struct sim *sim = begin(both, replacing);
		struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");
		__u32 old, fresh;

		engine_initiate(sim->side[0].engine, "c", "net", 0);
		assert_true(sim_up(sim, 3000));
		sim_run(sim, 1000);
		old = sim_ike(&sim->side[1])->id;
		sim->side[1].refuse_adds = 1;
		setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 0);
		sim_run(sim, 20000);
		assert_int_equal(sim->side[1].refuse_adds, 0);
		assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 2);
		fresh = sim->side[1].engine->last->id;
		assert_int_not_equal(fresh, old);
		if (then == 0) {
			sim->traffic = true;
			engine_initiate(sim->side[0].engine, "c", "net", 0);
			sim_run(sim, OLD_INBOUND_MS - 500); /* who authenticates anew closes it */
			assert_non_null(ike_by_id(sim->side[1].engine, old));
			sim_run(sim, 2000);
			assert_null(ike_by_id(sim->side[1].engine, old));
			assert_true(ike_is_used(ike_by_id(sim->side[1].engine, fresh)));
		} else if (then == 1) {
			engine_terminate(sim->side[1].engine,
					 &(struct engine_match){.ike_id = fresh}, false, 0);
			sim_run(sim, 20000);
			assert_true(ike_is_used(ike_by_id(sim->side[1].engine, old)));
		} else {
			engine_rekey(sim->side[1].engine, &(struct engine_match){.ike_id = old}, 0);
			sim_run(sim, 1000);
			engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"},
				     0);
			sim_run(sim, 20000);
			assert_non_null(ike_by_id(sim->side[1].engine, fresh));
			assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 2);
		}
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), then == 2 ? 2 : 1);
		assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 1);
		sim_good(sim);
		sim_free(sim);
	}
}

/* The new one has one of two children: the old one stays until both are there and the peer sends by
 * them. The other one comes of itself, or we ask for it in the end; if it cannot come the old one
 * goes after two minutes. */
static void test_replace_waits(void **state)
{
	static const char replacing[] = BOTH("unique = replace");
	enum { COMES, ASKED, REFUSED };

	for (int how = COMES; how <= REFUSED; how++) {
		struct sim *sim = begin(both, replacing);
		struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");
		__u32 old;

		engine_initiate(sim->side[0].engine, "c", "net", 0);
		assert_true(sim_up(sim, 3000));
		engine_initiate(sim->side[0].engine, "c", "lan", 0);
		sim_run(sim, 1000);
		old = sim_ike(&sim->side[1])->id;
		sim->traffic = true;
		setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 0);
		sim_run(sim, 20000);
		if (how == COMES)
			engine_initiate(sim->side[0].engine, "c", "lan", 0);
		else
			sim_run(sim, 2 * REPLACE_FILLS_MS - 20000);
		if (how == REFUSED) {
			sim->side[0].refuse_adds = 100;
			sim_run(sim, RENEWS_MS - 2 * REPLACE_FILLS_MS);
			sim->may_close = true;
		}
		sim_run(sim, OLD_INBOUND_MS - 500);
		assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 2);
		assert_non_null(ike_by_id(sim->side[1].engine, old));
		sim_run(sim, OLD_INBOUND_MS + 2000);
		sim_same(sim, 1, how == REFUSED ? 1 : 2);
		sim_good(sim);
		sim_free(sim);
	}
}

/* It is to be authenticated anew while it goes for a newer one, which is gone before: it stays, and
 * that is done later. */
static void test_replace_not(void **state)
{
	static const char replacing[] = BOTH("unique = replace");
	struct sim *sim = begin(replacing, both);
	struct engine *engine = sim->side[0].engine;
	struct ike_conn *conn = ike_conn_find(engine, "c");
	struct engine_match fresh;
	struct ike_sa *old;

	engine_initiate(engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	old = sim_ike(&sim->side[0]);
	setup_begin(engine, conn, &conn->model.children[0], 0);
	sim_run(sim, 1000);
	assert_true(ike_is_leaving(old));
	old->reauth_at = ike_now(old);
	ike_timers(old);
	sim_run(sim, 100);
	fresh = (struct engine_match){.ike_id = engine->last->id};
	engine_terminate(engine, &fresh, false, 0);
	sim_run(sim, OLD_INBOUND_MS + 1000);
	assert_ptr_equal(sim_ike(&sim->side[0]), old);
	assert_false(ike_is_leaving(old));
	assert_false(sim_said(&sim->side[0], "is authenticated anew"));
	sim_run(sim, 2 * REKEY_RETRY_MS);
	assert_true(sim_said(&sim->side[0], "is authenticated anew"));
	sim_end(sim, 1, 1);
}

/* By IPv6 it is another one. */
static void test_replace_by_family(void **state)
{
	struct sim *sim = begin(ONE("unique = replace"), both);
	struct ike_sa *old;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	old = sim_ike(&sim->side[0]);
	old->path.family = XIPSEC_FAMILY_IP6;
	setup_begin(sim->side[0].engine, old->conn, &old->conn->model.children[0], 0);
	sim_run(sim, 20000);
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 2);
	sim_free(sim);
}

/* `keep`: from the same address a peer may be back, or authenticate anew. */
static void test_keep_same_address(void **state)
{
	for (int orphans = 0; orphans < 2; orphans++) {
		struct sim *sim = crashed(both, keep);

		engine_conn_orphans(sim->side[0].engine, "c", orphans);
		engine_initiate(sim->side[0].engine, "c", "net", 8);
		sim_run(sim, 5000);
		assert_int_equal(sim_done(&sim->side[0], 8), 0);
		assert_int_equal(contacted(sim), !orphans);
		sim_run(sim, 300000); /* the old one is asked, and nobody answers */
		assert_int_equal(sim_ikes(&sim->side[1], -1), 1);
		assert_int_equal(sim_said(&sim->side[1], "the peer does not answer"), orphans);
		sim_free(sim);
	}
}

static void test_keep_reauth(void **state)
{
	struct sim *sim = begin(both, keep);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim->may_close = false;
	sim->traffic = true;
	for (int i = 0; i < 2; i++) {
		__u32 old = sim_ike(&sim->side[i])->id;

		engine_reauth(sim->side[i].engine, &(struct engine_match){.ike = "c"}, 8 + i);
		sim_run(sim, 10000);
		assert_int_equal(sim_done(&sim->side[i], 8 + i), 0);
		sim_good(sim);
		assert_non_null(sim_ike(&sim->side[i]));
		assert_true(sim_ike(&sim->side[i])->id != old);
	}
	sim_end(sim, 1, 1);
}

/* From another one it is refused while the old one lives, and that is asked whether it does. */
static void test_keep_other_address(void **state)
{
	struct sim *sim = begin(both, keep);
	struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	sim_ike(&sim->side[1])->path.remote.byte[3] = 77; /* where nobody is */
	setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 20);
	sim_run(sim, 3000);
	assert_true(sim_done(&sim->side[0], 20) < 0);
	assert_true(sim_said(&sim->side[1], "is with the same peer, `unique = keep`"));
	assert_true(sim->sent[INFORMATIONAL][0] > 0);
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 1);
	sim_run(sim, 300000);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 30);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 30), 0);
	sim_free(sim);
}

/* A child that the new IKE SA does not have stays on the old one, `unique = replace` or not. */
static void test_partly_anew(void **state)
{
	struct sim *sim = begin(BOTH("unique = replace"), both);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 1000);
	sim->side[1].skip_adds = 1;
	sim->side[1].refuse_adds = 1;
	engine_reauth(sim->side[0].engine, &(struct engine_match){.ike = "c"}, 8);
	sim_run(sim, 20000);
	assert_true(sim_said(&sim->side[0], "stays: IKE SA"));
	assert_non_null(sim_child(&sim->side[0], "net"));
	assert_non_null(sim_child(&sim->side[0], "lan"));
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 2);
	sim_good(sim);
	sim_free(sim);
}

/* ------------------------------------------------------------------ both ends at once */

/* Side 1 begins `later` ms after side 0, which is before it knows, or just after. Nothing is lost,
 * and in the end there is one: whichever it is, both ends agree. */
static void reauth_at_once(const char *conn, unsigned int later, __u64 seed, bool won[2])
{
	struct sim *sim = sim_new(seed, conn, conn);
	struct engine_match old[2] = {0};

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 1000);
	for (int i = 0; i < 2; i++)
		old[i].ike_id = sim_ike(&sim->side[i])->id;
	engine_reauth(sim->side[0].engine, &old[0], 8);
	sim_run(sim, later);
	engine_reauth(sim->side[1].engine, &old[1], 9);
	sim_run(sim, 30000);
	sim_good(sim);
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	assert_int_equal(sim_done(&sim->side[1], 9), 0);
	assert_int_equal(sim_said(&sim->side[0], "one too many, for the peer began") +
				 sim_said(&sim->side[1], "one too many, for the peer began"),
			 1);
	sim_same(sim, 1, 2);
	sim_good(sim);
	assert_true(sim_ike(&sim->side[0])->origin.renews != sim_ike(&sim->side[1])->origin.renews);
	won[sim_ike(&sim->side[1])->origin.renews] = true;
	sim_end(sim, 1, 2);
}

static void test_both_reauthenticate(void **state)
{
	bool won[2] = {false};

	for (unsigned int later = 0; later < 60; later += 4)
		reauth_at_once(both, later, 3 + later, won);
	assert_true(won[0] && won[1]); /* chance decides */
}

/* Both ends authenticate anew at once, and `ms` later both have what they began; returns whose goes
 * by our rule. */
static int both_renew(struct sim *sim, unsigned int ms, struct ike_sa *ours[2])
{
	const struct engine_match all = {.ike = "c"};

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	for (int i = 0; i < 2; i++)
		engine_reauth(sim->side[i].engine, &all, 0);
	sim_run(sim, ms);
	for (int i = 0; i < 2; i++) {
		ours[i] = sim->side[i].engine->first;
		while (ours[i] && !(ours[i]->state == IKE_UP && ours[i]->origin.renews))
			ours[i] = ours[i]->next;
		assert_non_null(ours[i]);
	}
	return ours[1]->origin.tie < ours[0]->origin.tie;
}

/* What the other end began, here. */
static struct ike_sa *theirs_of(struct side *side, const struct ike_sa *theirs)
{
	struct ike_sa *ike = side->engine->first;

	while (ike && ike->origin.tie != theirs->origin.tie)
		ike = ike->next;
	assert_non_null(ike);
	return ike;
}

/* The peer closes the other one, by a rule of its own, at once or seconds later: ours stays. */
static void test_other_rule(void **state)
{
	for (unsigned int ms = 1000; ms < 12000; ms += 5000)
		for (__u64 seed = 3; seed < 7; seed++) {
			struct sim *sim = sim_new(seed, both, both);
			struct ike_sa *ours[2];
			int loser = both_renew(sim, ms, ours);
			struct engine_match other = {.ike_id = ours[!loser]->id};

			engine_terminate(sim->side[!loser].engine, &other, false, 0);
			sim_run(sim, 20000);
			assert_true(sim_ike(&sim->side[loser])->origin.ours);
			sim_end(sim, 1, 1);
		}
}

/* What goes by our rule has something that the peer's does not have: it stays. */
static void test_narrower(void **state)
{
	for (__u64 seed = 3; seed < 7; seed++) {
		struct sim *sim = sim_new(seed, both, both);
		struct ike_sa *ours[2], *theirs;
		int loser = both_renew(sim, 1000, ours);
		__u32 id = ours[loser]->id;

		theirs = theirs_of(&sim->side[loser], ours[!loser]);
		theirs->children->ts[0].hi = theirs->children->ts[0].lo;
		sim_run(sim, 600000);
		assert_int_equal(sim_lines(&sim->side[loser], "stays: IKE SA"), 1);
		assert_true(ike_is_used(ike_by_id(sim->side[loser].engine, id)));
		sim_end(sim, 2, 1);
	}
}

static void close_one(struct sim *sim, __u32 id)
{
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike_id = id}, false, 0);
	sim_run(sim, 1000);
	sim_good(sim);
}

/* Four IKE SAs with the same child, which go one after the other: that of the one that sends waits
 * for nobody, so that the last one is known when nothing else sends. */
static void test_heirs(void **state)
{
	struct sim *sim = begin(both, both);
	struct side *peer = &sim->side[0];
	struct ike_conn *conn = ike_conn_find(peer->engine, "c");
	__u32 id[4];

	engine_initiate(peer->engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	id[0] = peer->engine->last->id;
	for (int i = 1; i < 4; i++) {
		if (i == 3) {
			sim->traffic = true; /* by the newest */
			sim_run(sim, 1000);
			sim->traffic = false;
			close_one(sim, id[1]);
			/* now the first one is the newest of that peer */
			engine_rekey(peer->engine, &(struct engine_match){.ike_id = id[0]}, 0);
			sim_run(sim, 1000);
			id[0] = peer->engine->last->id;
		}
		setup_begin(peer->engine, conn, &conn->model.children[0], 0);
		sim_run(sim, 1000);
		id[i] = peer->engine->last->id;
	}
	close_one(sim, id[0]);
	close_one(sim, id[2]);
	sim_end(sim, 1, 1);
}

/* By `unique = replace`, whoever's answer comes first: two that both ends began are one in the end,
 * also when one end did not see that they crossed. */
static bool lose_first_init(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return from == 1 && msg_exchange(data) == IKE_SA_INIT && !msg_response(data) && !sim->lost;
}

static bool both_begin(unsigned int later, bool loses)
{
	static const char replacing[] = BOTH("unique = replace");
	struct sim *sim = sim_new(3 + later, replacing, replacing);
	struct ike_conn *conn = ike_conn_find(sim->side[1].engine, "c");
	bool crossed;

	sim->may_close = true; /* while they begin */
	if (loses)
		sim->lose = lose_first_init;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, later);
	setup_begin(sim->side[1].engine, conn, &conn->model.children[0], 0);
	sim_run(sim, 1000);
	sim->may_close = false;
	sim_run(sim, 20000);
	crossed = sim_said(&sim->side[0], "one too many, for the peer began") ||
		  sim_said(&sim->side[1], "one too many, for the peer began");
	sim_end(sim, 1, 1);
	return crossed;
}

static void test_both_begin(void **state)
{
	unsigned int crossed = 0, half = 0;

	for (unsigned int later = 0; later < 90; later += 3) {
		crossed += both_begin(later, false);
		half += both_begin(later, true);
	}
	assert_in_range(crossed, 10, 29);
	assert_int_equal(half, 0); /* the other end's to see, which is quicker */
}

/* The peer knows nothing of that, and keeps what it began: when it had its time, we close that. */
static void test_one_replaces(void **state)
{
	unsigned int waited = 0;

	for (unsigned int later = 0; later < 60; later += 6) {
		struct sim *sim = sim_new(3 + later, BOTH("unique = replace"), both);
		struct ike_conn *conn = ike_conn_find(sim->side[1].engine, "c");

		sim->may_close = true; /* while they begin */
		engine_initiate(sim->side[0].engine, "c", "net", 0);
		sim_run(sim, later);
		setup_begin(sim->side[1].engine, conn, &conn->model.children[0], 0);
		sim_run(sim, 1000);
		sim->may_close = false;
		sim_run(sim, RENEWS_MS - 2000);
		waited += sim_ikes(&sim->side[0], IKE_UP) == 2;
		sim_run(sim, 15000);
		sim_end(sim, 1, 1);
	}
	assert_in_range(waited, 1, 9);
}

/* The peer goes on at another port with what it began, and nobody is behind a NAT. */
static void test_other_port(void **state)
{
	unsigned int crossed = 0;

	for (__u64 seed = 3; seed < 9; seed++) {
		struct sim *sim = sim_new(seed, both, both);
		struct ike_sa *ours[2], *theirs;
		int loser;

		sim->float_second = true;
		loser = both_renew(sim, 1000, ours);
		theirs = theirs_of(&sim->side[0], ours[1]);
		assert_int_equal(be16toh(theirs->path.remote_port), 4500);
		assert_int_equal(be16toh(ours[0]->path.remote_port), 500);
		crossed += loser == 0;
		sim_run(sim, 30000);
		sim_end(sim, 1, 1);
	}
	assert_in_range(crossed, 1, 5);
}

/* The peer refuses its only child, and has closed what it was to replace when we hear of that: it
 * is not needed. */
static bool lose_first_answer(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return from == 0 && msg_exchange(data) == IKE_AUTH && msg_response(data) && !sim->lost;
}

static void test_spare(void **state)
{
	const struct engine_match all = {.ike = "c"};

	for (__u64 seed = 3; seed < 9; seed++) {
		struct sim *sim = sim_new(seed, both, both);

		engine_initiate(sim->side[0].engine, "c", "net", 0);
		assert_true(sim_up(sim, 3000));
		sim_run(sim, 1000);
		sim->lose = lose_first_answer;
		sim->net.delay_min = sim->net.delay_max = 15;
		sim->side[0].refuse_adds = 1; /* what side 1 asks for */
		engine_reauth(sim->side[1].engine, &all, 0);
		engine_reauth(sim->side[0].engine, &all, 0);
		sim_run(sim, 20000);
		assert_true(sim_said(&sim->side[1], "the peer refused it"));
		sim_end(sim, 1, 1);
	}
}

/* ------------------------------------------------------------------ two machines, one identity */

/* What is with one has no part in when we send to the other: at once if it is new there, and when
 * the last one there goes if it authenticates anew. */
static void two_machines(bool behind_nat)
{
	struct sim *sim = begin(both, both);
	struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");
	const struct engine *engine = sim->side[1].engine;
	struct engine_match second;
	struct ike_sa *first;
	__u32 old;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	first = sim_ike(&sim->side[1]); /* the other machine */
	first->nat_remote = behind_nat;
	if (behind_nat)
		first->path.remote_port++;
	else
		first->path.remote.byte[3] = 77;
	setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 0);
	sim_run(sim, 1000);
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 2);
	assert_true(engine->last->children->out_added);
	old = engine->last->id;
	second = (struct engine_match){.ike_id = sim->side[0].engine->last->id};
	engine_reauth(sim->side[0].engine, &second, 8);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	assert_null(ike_by_id(engine, old));
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 2);
	assert_true(engine->last->children->out_added);
	sim_good(sim);
	sim_free(sim);
}

static void test_two_machines(void **state)
{
	two_machines(false);
	two_machines(true);
}

/* ------------------------------------------------------------------ whose packet was it */

/* An SPI that is not known: each IKE SA from that address is told, at a limited rate; other peers
 * have a rate of their own. */
static void test_invalid_spi(void **state)
{
	struct sim *sim = begin(two, both);
	struct side *side = &sim->side[1];
	struct xipsec_addr from = {.byte = {192, 0, 2, 1}};
	unsigned int sent;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	engine_initiate(sim->side[0].engine, "d", "lan", 0);
	sim_run(sim, 5000);
	assert_int_equal(sim_ikes(side, IKE_UP), 2);
	for (unsigned int told = 2; told <= 4; told += 2) {
		for (int i = 0; i < 5; i++) {
			engine_spi_unknown(side->engine, &from, XIPSEC_FAMILY_IP4, 0x1234);
			engine_spi_unknown(side->engine, &from, XIPSEC_FAMILY_IP6, 0x1234);
			sim_run(sim, 1000);
		}
		assert_int_equal(sim_lines(&sim->side[0], "the peer says: INVALID_SPI"), told);
		sim_run(sim, 6000);
	}
	side->engine->first->path.remote.byte[3] = 77;
	sent = sim->sent[INFORMATIONAL][0];
	engine_spi_unknown(side->engine, &from, XIPSEC_FAMILY_IP4, 0x1234);
	assert_int_equal(sim->sent[INFORMATIONAL][0], sent + 1);
	from.byte[3] = 77;
	engine_spi_unknown(side->engine, &from, XIPSEC_FAMILY_IP4, 0x1234);
	assert_int_equal(sim->sent[INFORMATIONAL][0], sent + 2);
	sim_good(sim);
	sim_free(sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_connections),
		cmocka_unit_test(test_first),
		cmocka_unit_test(test_orphans),
		cmocka_unit_test(test_replace_by_connection),
		cmocka_unit_test(test_replace_without_child),
		cmocka_unit_test(test_replace_waits),
		cmocka_unit_test(test_replace_not),
		cmocka_unit_test(test_replace_by_family),
		cmocka_unit_test(test_keep_same_address),
		cmocka_unit_test(test_keep_reauth),
		cmocka_unit_test(test_keep_other_address),
		cmocka_unit_test(test_partly_anew),
		cmocka_unit_test(test_both_reauthenticate),
		cmocka_unit_test(test_other_rule),
		cmocka_unit_test(test_narrower),
		cmocka_unit_test(test_heirs),
		cmocka_unit_test(test_other_port),
		cmocka_unit_test(test_both_begin),
		cmocka_unit_test(test_one_replaces),
		cmocka_unit_test(test_spare),
		cmocka_unit_test(test_two_machines),
		cmocka_unit_test(test_invalid_spi),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
