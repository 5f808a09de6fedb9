// SPDX-License-Identifier: BSD-2-Clause
/* What a peer that has proven who it is can still make grow, and how far (iked/bounds.h). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "iked/vici_sas.h"
#include "lib/vici_msg.h"
#include "tests/unit/ike_sim.h"

static const char quiet[] = SIM_CONN(SIM_FAST, "unique = never", SIM_NET);
static const char open_to_all[] = SIM_CONN(SIM_FAST, "unique = no", SIM_NET);
static const char replacing[] = SIM_CONN(SIM_FAST, "unique = replace", SIM_NET);

/* Its SAs are not what is looked at. */
static struct sim *sim_bare(const char *conn_0, const char *conn_1)
{
	struct sim *sim = sim_new(9, conn_0, conn_1);

	sim->traffic = false;
	sim->may_close = true;
	for (int i = 0; i < 2; i++)
		sim->side[i].forgetful = true;
	return sim;
}

static void forget_words(struct side *side)
{
	side->log_len = 0;
	side->log[0] = 0;
}

/* The peer comes from nowhere, again and again, and says nothing of what was before. */
static void come(struct sim *sim)
{
	forget_words(&sim->side[0]);
	forget_words(&sim->side[1]);
	sim_crash(sim, 0, quiet);
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 150);
	sim_good(sim);
}

/* `unique = no` takes them all, up to a number. */
static void test_one_identity(void **state)
{
	struct sim *sim = sim_bare(quiet, open_to_all);

	for (unsigned int i = 1; i <= IKE_PEER_SAS_MAX; i++) {
		come(sim);
		assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), i);
	}
	for (unsigned int i = 0; i < 3; i++) {
		come(sim);
		assert_int_equal(sim_ikes(&sim->side[1], -1), IKE_PEER_SAS_MAX);
		assert_true(sim_said(&sim->side[1], "256 IKE SAs are up with that peer"));
		assert_true(sim_said(&sim->side[0], "AUTHENTICATION_FAILED"));
	}
	sim_free(sim);
}

/* Deletes of whole IKE SAs and the answers to ours are all that comes from side 0 in INFORMATIONAL
 * here. */
static bool lose_deletes(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return from == 0 && msg_exchange(data) == INFORMATIONAL;
}

/* `unique = replace`: the older ones wait for an answer to their Delete that never comes; the
 * newest is up all the while. */
static void test_replaced(void **state)
{
	struct sim *sim = sim_bare(quiet, replacing);

	sim->lose = lose_deletes;
	for (unsigned int i = 1; i <= 2 * IKE_PEER_LEAVING_MAX; i++) {
		come(sim);
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
		assert_in_range(sim_ikes(&sim->side[1], -1), 1, IKE_PEER_LEAVING_MAX + 1);
	}
	assert_int_equal(sim_ikes(&sim->side[1], -1), IKE_PEER_LEAVING_MAX + 1);
	assert_true(sim_said(&sim->side[1], "gone before its time"));
	sim_run(sim, SWITCH_MS + 20000); /* nobody uses the newest one */
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 1);
	sim_free(sim);
}

/* The peer rekeys its IKE SA and never deletes the one before. */
static void test_chain(void **state)
{
	struct sim *sim = sim_bare(replacing, replacing);
	struct engine_match match = {0};

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim->lose = lose_deletes;
	for (unsigned int i = 1; i <= 2 * IKE_PEER_LEAVING_MAX; i++) {
		forget_words(&sim->side[1]);
		match.ike_id = sim_ike(&sim->side[0])->id;
		engine_rekey(sim->side[0].engine, &match, 0);
		sim_run(sim, 100);
		sim_good(sim);
		assert_int_not_equal(sim_ike(&sim->side[0])->id, match.ike_id);
		assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 1);
		assert_in_range(sim_ikes(&sim->side[1], -1), 1, IKE_PEER_LEAVING_MAX + 1);
	}
	assert_int_equal(sim_ikes(&sim->side[1], -1), IKE_PEER_LEAVING_MAX + 1);
	assert_true(sim_said(&sim->side[1], "gone before its time"));
	/* the newest has the child, and works */
	assert_int_equal(sim_ike(&sim->side[1])->n_children, 1);
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 61);
	sim_run(sim, 100);
	assert_int_equal(sim_done(&sim->side[0], 61), 0);
	sim_run(sim, REPLACED_MS + 1000);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 1);
	sim_good(sim);
	sim_free(sim);
}

static const struct xipsec_sa *sa_named(const struct side *side, const char *name)
{
	for (unsigned int i = 0; i < side->n_sas; i++)
		if (!strcmp(side->sa[i].name, name))
			return &side->sa[i];
	return NULL;
}

/* The peer makes and deletes children as fast as it can: each leaves an inbound SA for a while, and
 * beyond the bound the oldest goes, for packets by the newest are still under way. */
static void test_lingers(void **state)
{
	struct sim *sim = sim_bare(replacing, replacing);
	const struct ike_sa *ike;
	char name[XIPSEC_NAME_LEN];

	sim->net = (struct sim_net){0};
	sim->side[1].forgetful = false;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	ike = sim_ike(&sim->side[1]);
	for (unsigned int i = 0; i < 2 * IKE_LINGERS_MAX; i++) {
		forget_words(&sim->side[0]);
		forget_words(&sim->side[1]);
		snprintf(name, sizeof(name), "net-%u-i", sim_child(&sim->side[1], "net")->id);
		assert_non_null(sa_named(&sim->side[1], name));
		engine_terminate(sim->side[0].engine, &(struct engine_match){.child = "net"}, false,
				 0);
		sim_run(sim, 1);
		assert_null(sim_child(&sim->side[1], "net"));
		assert_non_null(sa_named(&sim->side[1], name));
		engine_initiate(sim->side[0].engine, "c", "net", 0);
		for (unsigned int k = 0; k < 20 && !sim_child(&sim->side[0], "net"); k++)
			sim_run(sim, 1);
		assert_ptr_equal(sim_ike(&sim->side[1]), ike);
		assert_in_range(ike->n_lingers, 0, IKE_LINGERS_MAX);
	}
	assert_int_equal(ike->n_lingers, IKE_LINGERS_MAX);
	assert_int_equal(sim->side[1].engine->lingers.n, IKE_LINGERS_MAX);
	sim_run(sim, OLD_INBOUND_MS + 100);
	assert_int_equal(ike->n_lingers, 0);
	assert_int_equal(sim->side[1].engine->lingers.n, 0);
	sim_good(sim);
	sim_free(sim);
}

/* What is to be closed is closed, however much waits before it. */
static void test_full_queue(void **state)
{
	struct sim *sim = sim_bare(replacing, replacing);
	struct ike_sa *ike;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 100);
	ike = sim_ike(&sim->side[0]);
	for (unsigned int i = 0; i < IKE_TASKS_MAX; i++)
		assert_non_null(ike_task(ike, TASK_DPD));
	assert_null(ike_task(ike, TASK_DPD));
	assert_true(sim_said(&sim->side[0], "too many requests"));
	engine_terminate(sim->side[0].engine, &(struct engine_match){.child = "net"}, false, 7);
	sim_run(sim, 30000);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_int_equal(sim_children(&sim->side[0], -1), 0);
	assert_int_equal(sim_children(&sim->side[1], -1), 0);
	assert_int_equal(ike->n_tasks, 0);
	sim_good(sim);
	sim_free(sim);
}

/* What list-sas says of it: is that all that is under way there? NULL: nothing. */
static bool is_active(const struct ike_sa *ike, const char *word)
{
	struct vici_writer w = {0}, list = {0};
	struct bytes text, wanted;
	bool is;

	vici_list(&list, "tasks-active");
	if (word) {
		vici_item_text(&list, word);
		vici_list_end(&list);
	}
	vici_put_ike_brief(&w, ike);
	text = vici_view(&w);
	wanted = vici_view(&list);
	is = memmem(text.data, text.len, wanted.data, wanted.len);
	vici_free(&w);
	vici_free(&list);
	return is == !!word;
}

static void test_active_has_words(void **state)
{
	struct sim *sim = sim_bare(replacing, replacing);
	struct ike_sa *ike;

	sim->may_close = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	ike = ike_of_conn(sim->side[0].engine, "c");
	assert_true(is_active(ike, "IKE_INIT"));
	for (unsigned int i = 0; i < 100 && !is_active(ike, "IKE_AUTH"); i++)
		sim_run(sim, 1);
	assert_true(is_active(ike, "IKE_AUTH"));
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	assert_true(is_active(ike, NULL));
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 0);
	assert_true(is_active(ike, "CHILD_REKEY"));
	sim_run(sim, 1000);
	engine_rekey(sim->side[0].engine, &(struct engine_match){.ike = "c"}, 0);
	assert_true(is_active(ike, "IKE_REKEY"));
	sim_run(sim, 1000);
	assert_true(is_active(sim_ike(&sim->side[0]), NULL));
	sim_good(sim);
	sim_free(sim);
}

/* list-sas has a word for whatever waits. */
static void test_waiting_has_words(void **state)
{
	static const char last[] = "IKE_INVALID_SELECTORS";
	struct sim *sim = sim_bare(replacing, replacing);
	struct vici_writer w = {0};
	struct ike_sa *ike;
	struct bytes text;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	ike = sim_ike(&sim->side[1]);
	for (enum task_kind kind = 0; kind < TASK_COUNT; kind++)
		assert_non_null(ike_task(ike, kind));
	vici_put_ike_brief(&w, ike);
	text = vici_view(&w);
	assert_non_null(memmem(text.data, text.len, last, strlen(last)));
	assert_null(memmem(text.data, text.len, "OTHER", 5));
	vici_free(&w);
	sim_free(sim);
}

static unsigned int lines(struct side *side, const char *text)
{
	unsigned int n = 0;

	for (const char *at = side->log; (at = strstr(at, text)); at++)
		n++;
	return n;
}

/* What it makes us say is bounded, and nothing is left out in silence. */
static void test_words(void **state)
{
	struct sim *sim = sim_bare(replacing, replacing);
	struct side *side = &sim->side[1];
	struct ike_sa *ike;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, IKE_LINES_MAX * IKE_LINE_MS);
	ike = sim_ike(side);
	forget_words(side);
	for (unsigned int i = 0; i < IKE_LINES_MAX + 7; i++)
		ike_log(ike, LOG_LEVEL_INFO, "well");
	assert_int_equal(lines(side, "well"), IKE_LINES_MAX);
	forget_words(side);
	sim_run(sim, 3 * IKE_LINE_MS + 1);
	for (unsigned int i = 0; i < 5; i++)
		ike_log(ike, LOG_LEVEL_INFO, "well");
	assert_int_equal(lines(side, "7 lines are left out here"), 1);
	assert_int_equal(lines(side, "well"), 3);
	forget_words(side);
	sim_run(sim, IKE_LINES_MAX * IKE_LINE_MS);
	for (unsigned int i = 0; i < IKE_LINES_MAX + 1; i++)
		ike_log(ike, LOG_LEVEL_INFO, "well");
	assert_int_equal(lines(side, "2 lines are left out here"), 1);
	assert_int_equal(lines(side, "well"), IKE_LINES_MAX);
	sim_free(sim);
}

/* However many IKE SAs begin whose peers prove nothing. */
static void test_words_of_strangers(void **state)
{
	struct sim *sim = sim_bare(replacing, replacing);
	struct side *side = &sim->side[1];
	struct ike_sa *ike;
	unsigned int n = 0;

	sim->net = (struct sim_net){.delay_min = 20, .delay_max = 20};
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	for (unsigned int i = 0; i < 500 && !side->engine->first; i++)
		sim_run(sim, 1);
	ike = side->engine->first;
	assert_true(ike && ike->setup);
	for (unsigned int i = 0; i < STRANGERS_LINES_MAX + 7; i++) {
		ike->words = (struct ike_words){0}; /* as another one's */
		forget_words(side);
		ike_log(ike, LOG_LEVEL_INFO, "well");
		n += lines(side, "well");
	}
	assert_in_range(n, STRANGERS_LINES_MAX - 10, STRANGERS_LINES_MAX); /* some went before */
	/* one that proves itself has lines of its own */
	forget_words(side);
	assert_true(sim_up(sim, 3000));
	assert_ptr_equal(sim_ike(side), ike);
	assert_null(ike->setup);
	forget_words(side);
	ike_log(ike, LOG_LEVEL_INFO, "well");
	assert_int_equal(lines(side, "well"), 1);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_identity),
		cmocka_unit_test(test_replaced),
		cmocka_unit_test(test_chain),
		cmocka_unit_test(test_lingers),
		cmocka_unit_test(test_full_queue),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_words_of_strangers),
		cmocka_unit_test(test_active_has_words),
		cmocka_unit_test(test_waiting_has_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
