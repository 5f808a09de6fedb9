// SPDX-License-Identifier: BSD-2-Clause
/* What did not work once is tried again, and what will never work ends: nothing waits for ever. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iked/ident.h"
#include "iked/out.h"
#include "iked/setup.h"
#include "iked/xchg.h"
#include "tests/unit/ike_sim.h"

#define HOUR 3600000ULL

#define STARTED(more)                                \
	SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", \
		  "esp_proposals = aes128gcm16\nstart_action = start\n" more)

static const char fast[] = SIM_CONN(SIM_FAST, "dpd_delay = 5s", SIM_NET);
static const char started[] = SIM_CONN(SIM_FAST, "keyingtries = 0", STARTED(""));
static const char closed[] = SIM_CONN(SIM_FAST, "dpd_delay = 5s", STARTED("close_action = start"));

static struct sim *start(const char *conn)
{
	struct sim *sim = sim_new(3, conn, fast);

	sim->traffic = false;
	sim->may_close = true;
	engine_start(sim->side[0].engine, "c");
	return sim;
}

/* By side `from`, with the keys of its IKE SA. */
static void send_by(struct sim *sim, int from, struct ike_out *out)
{
	struct ike_sa *ike = sim->side[from].engine->first;
	struct ike_packets *packets = NULL;

	assert_int_equal(ike_out_sealed(out, from ? &ike->keys->r : &ike->keys->i, 0, &packets), 0);
	for (unsigned int i = 0; i < packets->n; i++) {
		struct bytes b = ike_packet(packets, i);

		sim_inject(sim, !from, b.data, b.len);
	}
	ike_out_free(out);
	free(packets);
}

static struct ike_header header(const struct ike_sa *ike, __u8 exchange, __u32 id)
{
	return (struct ike_header){.spi_i = ike->spi_i,
				   .spi_r = ike->spi_r,
				   .id = id,
				   .exchange = exchange,
				   .flags = ike->initiator ? IKE_FLAG_INITIATOR : 0};
}

/* ------------------------------------------------------------------ reauthentication */

static void test_reauth_refused(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST,
					    "reauth_time = 1h\nrekey_time = 0\nover_time = 6m\n"
					    "rand_time = 0",
					    STARTED("rekey_time = 0"));
	struct sim *sim = start(conn);
	const char *psk = sim->side[1].psk;
	__u32 first;

	sim_run(sim, 3000);
	first = sim_ike(&sim->side[0])->id;
	sim->side[1].psk = "another one";
	sim_run(sim, HOUR);
	assert_true(sim_said(&sim->side[0], "is not authenticated anew"));
	assert_int_equal(sim_ike(&sim->side[0])->id, first);
	sim->side[1].psk = psk;
	sim_run(sim, 2 * 60000 + 30000);
	/* well before over_time */
	assert_false(sim_said(&sim->side[0], "its life is over"));
	assert_non_null(sim_ike(&sim->side[0]));
	assert_true(sim_ike(&sim->side[0])->id != first);
	sim_run(sim, 5 * HOUR);
	assert_false(sim_said(&sim->side[0], "its life is over"));
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
	assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 1);
	sim_free(sim);
}

/* ------------------------------------------------------------------ an answer that never comes */

static void lost_question(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
}

static void test_lost_answer(void **state)
{
	for (int verify = 0; verify < 2; verify++) {
		struct sim *sim = start(started);
		struct ike_env *env = &sim->side[0].engine->env, was = *env;

		*(verify ? &env->psk_verify : &env->auth_make) = lost_question;
		sim_run(sim, 3000);
		assert_int_equal(sim_ikes(&sim->side[0], IKE_AUTHING), 1);
		*env = was;
		sim_run(sim, AUTHING_MS + 10000);
		assert_true(sim_said(&sim->side[0], "it was not authenticated in time"));
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
		assert_int_equal(sim_ikes(&sim->side[0], -1), 1);
		sim_free(sim);
	}
}

static bool lose_auth(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return from == 0 && msg_exchange(data) == IKE_AUTH;
}

/* More AUTH than the parent is asked about. */
static void test_long_auth(void **state)
{
	static const __u8 auth[IKE_AUTH_MAX + 1];

	for (size_t len = IKE_AUTH_MAX; len <= sizeof(auth); len++) {
		struct sim *sim = start(started);
		const char *says = len > IKE_AUTH_MAX ? "we refuse it: its AUTH has 2049 bytes"
						      : "we refuse it: its pre-shared key";
		struct ike_out out = {0};
		struct ike_header h;
		struct ike_sa *ike;

		sim->lose = lose_auth;
		sim_run(sim, 200);
		ike = sim->side[0].engine->first;
		h = header(ike, IKE_AUTH, 1);
		ike_out_open(&out, &h);
		ike_out_id(&out, IKE_PL_IDI, ike->local_id);
		ike_out_auth(&out, IKE_AUTH_PSK, BYTES(auth, len));
		send_by(sim, 0, &out);
		sim_run(sim, 200);
		assert_true(sim_said(&sim->side[1], says));
		assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
		sim_free(sim);
	}
}

/* ------------------------------------------------------------------ ended by the peer */

/* With what cannot be read, or by its word that it does not believe us: close_action is done. */
static void test_ended_by_peer(void **state)
{
	for (int refused = 0; refused < 2; refused++) {
		struct sim *sim = start(closed);
		struct ike_out out = {0};
		struct ike_header h;
		__u32 first;

		sim_run(sim, 3000);
		first = sim_ike(&sim->side[0])->id;
		h = header(sim_ike(&sim->side[1]), INFORMATIONAL, sim_ike(&sim->side[1])->w.out_id);
		ike_out_open(&out, &h);
		if (refused)
			ike_out_status(&out, IKE_N_AUTHENTICATION_FAILED);
		else
			ike_out_payload(&out, IKE_PL_DELETE, false, BYTES("\3\4\0\7abc", 7));
		send_by(sim, 1, &out);
		sim_run(sim, 3000);
		assert_null(ike_by_id(sim->side[0].engine, first));
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
		assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 1);
		sim_free(sim);
	}
}

/* ------------------------------------------------------------------ until it is up */

#define TRAPPED(more)                                \
	SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", \
		  "esp_proposals = aes128gcm16\nstart_action = trap\n" more)

static struct sim *lost(const char *conn)
{
	struct sim *sim = sim_begun(conn, fast);

	sim->traffic = false;
	sim->may_close = true;
	return sim;
}

/* dpd_action and close_action want it back, though keyingtries is 1 and no packet asks: for as long
 * as it takes, at times that are bounded both ways. */
static void test_until_up(void **state)
{
	static const char dpd[] =
		SIM_CONN(SIM_FAST, "dpd_delay = 5s", TRAPPED("dpd_action = restart"));
	static const char closed_again[] = SIM_CONN(SIM_FAST, "", TRAPPED("close_action = start"));

	for (int close = 0; close < 2; close++) {
		struct sim *sim = lost(close ? closed_again : dpd);
		unsigned int begun;

		if (close) {
			sim->side[1].psk = "another one";
			engine_terminate(sim->side[1].engine, &(struct engine_match){.ike = "c"},
					 false, 0);
			sim_run(sim, HOUR);
			assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
		} else {
			sim->side[1].deaf = true;
			sim_run(sim, HOUR);
			sim->side[1].deaf = false;
		}
		assert_null(sim_child(&sim->side[0], "net"));
		begun = sim_lines(&sim->side[0], "begins, for child net") - 1;
		/* of 3.5 minutes each, with a wait; or each minute and a quarter at most */
		assert_in_range(begun, close ? 45 : 10, close ? 65 : 18);
		sim->side[1].psk = sim->side[0].psk;
		sim_run(sim, 65000);
		assert_non_null(sim_child(&sim->side[0], "net"));
		sim_end(sim, 1, 1);
	}
}

/* … or until it is taken down: by its name, by its IKE SA's, while it waits or is tried. */
static void test_until_down(void **state)
{
	static const char dpd[] = SIM_CONN(SIM_FAST, "dpd_delay = 5s\nkeyingtries = 0",
					   TRAPPED("dpd_action = restart"));
	static const struct engine_match by[] = {
		{.ike = "c"}, {.child = "net"}, {.ike = "c", .child = "net"}};

	for (unsigned int i = 0; i < 2 * sizeof(by) / sizeof(by[0]); i++) {
		struct sim *sim = lost(dpd);
		bool waits = i % 2;
		unsigned int sent;

		sim->side[1].deaf = true;
		for (int ms = 0; ms < 1200000; ms += 100) {
			bool tried = sim_ikes(&sim->side[0], IKE_INIT);

			if (sim_said(&sim->side[0], "not established") && tried != waits)
				break;
			sim_run(sim, 100);
		}
		engine_terminate(sim->side[0].engine, &by[i / 2], true, 9);
		if (waits || by[i / 2].child == NULL)
			assert_int_equal(sim_done(&sim->side[0], 9), 0);
		if (!waits && by[i / 2].child) /* what is under way ends */
			sim_run(sim, 400000);
		sent = sim->sent[IKE_SA_INIT][0];
		sim_run(sim, HOUR);
		if (sim->sent[IKE_SA_INIT][0] - sent > (by[i / 2].child ? 13 : 0) ||
		    sim_ikes(&sim->side[0], -1))
			fail_msg("case %u: %u\n%s", i, sim->sent[IKE_SA_INIT][0] - sent,
				 sim->side[0].log);
		sim_free(sim);
	}
}

/* Who can only be waited for is not called. */
static void test_not_callable(void **state)
{
	static const char any[] = SIM_CONN(SIM_FAST, "dpd_delay = 5s # NAT",
					   TRAPPED("dpd_action = restart\nclose_action = start"));
	struct sim *sim = sim_new(3, fast, any);
	unsigned int began;

	sim->may_close = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	began = sim_lines(&sim->side[1], "begins, for child");
	sim->side[0].deaf = true;
	sim_run(sim, HOUR);
	assert_true(sim_said(&sim->side[1], "the peer does not answer"));
	assert_int_equal(sim_lines(&sim->side[1], "begins, for child"), began);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	sim_free(sim);
}

/* Its life ends, or that of its IKE SA, and nobody replaced it in time: it is begun anew, unless
 * nobody is to negotiate it. */
static void test_outlived(void **state)
{
	static const char *const child[] = {"start", "trap", "none"};

	for (int i = 0; i < 6; i++) {
		char conn[1024];
		struct sim *sim;

		snprintf(conn, sizeof(conn),
			 SIM_CONN(SIM_FAST, "rekey_time = %s\nover_time = 1m\nrand_time = 0",
				  SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
					    "esp_proposals = aes128gcm16\nrekey_time = 0\n"
					    "life_time = %s\nstart_action = %s")),
			 "%s", i < 3 ? "0" : "10m", i < 3 ? "10m" : "0", child[i % 3]);
		sim = lost(conn);
		if (i >= 3) /* it never comes to a rekey */
			sim_ike(&sim->side[0])->rekey_at = 0;
		ike_timers(sim_ike(&sim->side[0]));
		sim_run(sim, 700000);
		assert_true(sim_said(&sim->side[0], "its life is over"));
		if (!sim_child(&sim->side[0], "net") != (i % 3 == 2))
			fail_msg("case %d\n%s", i, sim->side[0].log);
		sim_free(sim);
	}
}

/* ------------------------------------------------------------------ by force */

/* A child alone: its SAs go at once, though the peer does not answer, or has not yet when it is
 * asked for; the peer hears of it when it can. */
static void test_forced_child(void **state)
{
	const struct engine_match net = {.child = "net"};

	for (int late = 0; late < 2; late++) {
		struct sim *sim = lost(fast);

		sim->side[1].deaf = true;
		if (late)
			engine_terminate(sim->side[0].engine, &net, false, 8);
		sim_run(sim, 100);
		assert_int_equal(sim->side[0].n_sas, 2);
		assert_int_equal(sim_done(&sim->side[0], 9), 1);
		engine_terminate(sim->side[0].engine, &net, true, 9);
		assert_int_equal(sim_done(&sim->side[0], 9), 0);
		sim_run(sim, 100);
		assert_int_equal(sim->side[0].n_sas, 0);
		assert_int_equal(sim->side[1].n_sas, 2);
		sim->side[1].deaf = false;
		sim_run(sim, 10000);
		assert_int_equal(sim->side[0].events[IKE_EVENT_CHILD_DOWN], 1);
		assert_int_equal(sim_done(&sim->side[0], 8), !late);
		sim_end(sim, 1, 0);
	}
}

/* ------------------------------------------------------------------ a rekey that met another */

/* From the first response on, nothing arrives. */
static bool cut(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (msg_exchange(data) == CREATE_CHILD_SA && msg_response(data))
		sim->script = 1;
	return sim->script;
}

/* Both have made what the other asked for, and never hear who won: it goes with the old one. */
static void test_rival_goes(void **state)
{
	struct engine_match all = {.ike = "c"};
	struct sim *sim = start(fast);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	sim_run(sim, 500);
	sim->net = (struct sim_net){.delay_min = 20, .delay_max = 20};
	for (int i = 0; i < 2; i++)
		engine_rekey(sim->side[i].engine, &all, 0);
	sim->lose = cut;
	sim_run(sim, 1000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sim_ikes(&sim->side[i], IKE_UP), 2);
	sim_run(sim, 400000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sim_ikes(&sim->side[i], -1), 0);
	sim_free(sim);
}

/* ------------------------------------------------------------------ where the peer is */

/* Nobody says it: that ends, too. */
static void test_lost_paths(void **state)
{
	struct sim *sim = sim_new(3, fast, fast);

	sim->side[0].lost_paths = true;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, PATHS_MS - 100);
	assert_int_equal(sim_done(&sim->side[0], 7), 1);
	sim_run(sim, 200);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "nobody said in time where the peer is"));
	assert_int_equal(sim_ikes(&sim->side[0], -1), 0);
	sim->side[0].lost_paths = false;
	engine_initiate(sim->side[0].engine, "c", "net", 8);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	sim_end(sim, 1, 1);
}

/* Each address of a peer gets its 3 s for something better than an error that may be forged, and
 * each error is told. */
static void test_next_address(void **state)
{
	static const char other[] = SIM_CONN("aes256gcm16-prfsha384-ecp384", "", SIM_NET);
	struct sim *sim = sim_new(3, fast, other);
	struct ike_setup *s;
	const char *first;

	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 10);
	s = sim->side[0].engine->first->setup;
	assert_int_equal(s->n_paths, 1);
	s->paths[1] = s->paths[0];
	s->n_paths = 2;
	sim_run(sim, 2 * INIT_ERROR_MS + 500);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "trying its next address"));
	first = strstr(sim->side[0].log, "the peer refused IKE_SA_INIT");
	assert_non_null(first);
	assert_non_null(strstr(first + 1, "the peer refused IKE_SA_INIT"));
	sim_good(sim);
	sim_free(sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reauth_refused), cmocka_unit_test(test_lost_answer),
		cmocka_unit_test(test_long_auth),      cmocka_unit_test(test_ended_by_peer),
		cmocka_unit_test(test_rival_goes),     cmocka_unit_test(test_lost_paths),
		cmocka_unit_test(test_next_address),   cmocka_unit_test(test_until_up),
		cmocka_unit_test(test_until_down),     cmocka_unit_test(test_not_callable),
		cmocka_unit_test(test_outlived),       cmocka_unit_test(test_forced_child),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
