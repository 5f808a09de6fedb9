// SPDX-License-Identifier: BSD-2-Clause
/* A worker says which backend runs an SA, or that none does; also when its channel is full. */
#include "tests/unit/pipeline_fixture.h"

#include <stdbool.h>

#include "worker/sa.h"

static bool next_run(struct ctl_sa_runs *run)
{
	union {
		struct ctl_hdr hdr;
		struct ctl_sa_runs run;
		__u8 room[512];
	} msg;

	while (recv(t.ctl, &msg, sizeof(msg), MSG_DONTWAIT) > 0) {
		if (msg.hdr.type != XIPSEC_CTL_SA_RUNS)
			continue;
		assert_int_equal(msg.hdr.len, sizeof(msg.run));
		assert_int_equal(msg.hdr.abi, XIPSEC_ABI);
		*run = msg.run;
		return true;
	}
	return false;
}

static void says_what_runs(void **state)
{
	struct ctl_sa_runs run;

	assert_int_equal(worker_housekeep(t.w, true), 0);
	for (int i = 0; i < 2; i++) {
		assert_true(next_run(&run));
		assert_int_equal(run.index, i ? SA_IN : SA_OUT);
		assert_int_equal(run.generation, GEN);
		assert_int_equal(run.err, 0);
		assert_int_equal(run.backend, sa_backend(t.w->sas[run.index].sa));
		assert_true(run.backend == XIPSEC_BACKEND_IPSEC_MB ||
			    run.backend == XIPSEC_BACKEND_OPENSSL);
	}
	/* once */
	assert_int_equal(worker_housekeep(t.w, true), 0);
	assert_false(next_run(&run));
}

static void says_what_does_not(void **state)
{
	struct ctl_in in = {.msg.sa = {.hdr.type = XIPSEC_CTL_SA,
				       .index = SA_OUT,
				       .generation = GEN + 1,
				       .sa = {.dir = XIPSEC_DIR_OUT, .alg = XIPSEC_ALG_COUNT}}};
	struct ctl_sa_runs run;

	assert_int_equal(worker_housekeep(t.w, true), 0);
	while (next_run(&run))
		;
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_null(t.w->sas[SA_OUT].sa);
	assert_int_equal(worker_housekeep(t.w, true), 0);
	assert_true(next_run(&run));
	assert_int_equal(run.index, SA_OUT);
	assert_int_equal(run.generation, GEN + 1);
	assert_int_equal(run.backend, XIPSEC_BACKEND_NONE);
	assert_int_equal(run.err, -ENOTSUP);
}

/* xipsecd does not read for a while: the last word on each SA waits, and the worker lives. */
static void waits_for_the_channel(void **state)
{
	struct ctl_sa_runs run;
	unsigned int seen = 0;
	__u32 said = 0;

	assert_int_equal(worker_housekeep(t.w, true), 0);
	while (next_run(&run))
		;
	for (said = 0; !t.w->n_runs_owed && said < 100000; said++) {
		runs_note(t.w, SA_OUT, said, XIPSEC_BACKEND_OPENSSL, 0);
		runs_tell(t.w);
	}
	assert_int_equal(t.w->n_runs_owed, 1);
	for (__u32 i = 0; i < N_SAS; i++)
		runs_note(t.w, i, 1000000 + i, XIPSEC_BACKEND_OPENSSL, 0);
	assert_int_equal(t.w->n_runs_owed, N_SAS);
	assert_int_equal(worker_housekeep(t.w, true), 0);
	while (next_run(&run))
		;
	assert_int_equal(worker_housekeep(t.w, true), 0);
	assert_int_equal(t.w->n_runs_owed, 0);
	while (next_run(&run))
		seen |= 1u << (run.generation - 1000000);
	assert_int_equal(seen, (1u << N_SAS) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_what_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(says_what_does_not, setup, teardown),
		cmocka_unit_test_setup_teardown(waits_for_the_channel, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
