// SPDX-License-Identifier: BSD-2-Clause
/* Outbound sequence numbers: limits, the end of the space, and several processes at once. */
#include "tests/unit/esp_fixture.h"

#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "worker/seq.h"

static struct xipsec_sa_state state;

struct seq_case {
	const char *name;
	__u64 seq, limit;
	int esn;
	unsigned int n;
	unsigned int got;
	__u64 first;
	enum xipsec_reason reason;
	__u32 status; /* afterwards */
};

#define LO 0xffffffffULL

static const struct seq_case cases[] = {
	{"the first is 1", 0, 1000, 0, 4, 4, 1, XIPSEC_REASON_UNSPEC, XIPSEC_SA_LIVE},
	{"up to the limit", 996, 1000, 0, 4, 4, 997, XIPSEC_REASON_UNSPEC, XIPSEC_SA_LIVE},
	{"over the limit", 998, 1000, 0, 4, 2, 999, XIPSEC_REASON_SEQ_WAIT, XIPSEC_SA_LIVE},
	{"at the limit", 1000, 1000, 0, 4, 0, 0, XIPSEC_REASON_SEQ_WAIT, XIPSEC_SA_LIVE},
	{"limit lowered below", 2000, 1000, 0, 4, 0, 0, XIPSEC_REASON_SEQ_WAIT, XIPSEC_SA_LIVE},
	{"nothing reserved", 0, 0, 0, 4, 0, 0, XIPSEC_REASON_SEQ_WAIT, XIPSEC_SA_LIVE},
	{"to the very end", LO - 4, ~0ULL, 0, 4, 4, LO - 3, XIPSEC_REASON_UNSPEC, XIPSEC_SA_LIVE},
	{"over the end", LO - 2, ~0ULL, 0, 4, 2, LO - 1, XIPSEC_REASON_SEQ_END, XIPSEC_SA_STOPPED},
	{"at the end", LO, ~0ULL, 0, 1, 0, 0, XIPSEC_REASON_SEQ_END, XIPSEC_SA_STOPPED},
	{"ESN goes on", LO - 2, ~0ULL, 1, 4, 4, LO - 1, XIPSEC_REASON_UNSPEC, XIPSEC_SA_LIVE},
	{"ESN ends too", ~0ULL - 1, ~0ULL, 1, 4, 1, ~0ULL, XIPSEC_REASON_SEQ_END,
	 XIPSEC_SA_STOPPED},
	{"ESN at the end", ~0ULL, ~0ULL, 1, 4, 0, 0, XIPSEC_REASON_SEQ_END, XIPSEC_SA_STOPPED},
	{"limit before the end", LO - 2, LO - 1, 0, 4, 1, LO - 1, XIPSEC_REASON_SEQ_WAIT,
	 XIPSEC_SA_LIVE},
};

static void test_table(void **unused)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct seq_case *c = &cases[i];
		enum xipsec_reason reason;
		__u64 first = 0;
		unsigned int got;

		state_reset(&state);
		state.seq = c->seq;
		state.seq_limit = c->limit;
		got = seq_reserve(&state, GENERATION, c->esn, c->n, &first, &reason);
		if (got != c->got || first != c->first || reason != c->reason ||
		    state.status != c->status || state.seq != c->seq + got)
			fail_msg("%s: got %u first %llx reason %d status %u", c->name, got,
				 (unsigned long long)first, reason, state.status);
	}
}

static void assert_refused(enum xipsec_reason want)
{
	enum xipsec_reason reason;
	__u64 first = 99, before = state.seq;

	assert_int_equal(seq_reserve(&state, GENERATION, 1, 1, &first, &reason), 0);
	assert_int_equal(reason, want);
	assert_int_equal(first, 99);
	assert_int_equal(state.seq, before);
}

static void test_not_ours(void **unused)
{
	state_reset(&state);
	state.status = XIPSEC_SA_STOPPED;
	assert_refused(XIPSEC_REASON_LIMIT);
	state.status = XIPSEC_SA_FREE;
	assert_refused(XIPSEC_REASON_STALE_META);
	state_reset(&state);
	state.generation++;
	assert_refused(XIPSEC_REASON_STALE_META);
}

/* A worker that was held up stops its own SA alone, not the one that has the place since. */
static void test_stops_its_own(void **unused)
{
	static const struct {
		__u32 generation, status, after;
	} rows[] = {
		{GENERATION, XIPSEC_SA_LIVE, XIPSEC_SA_STOPPED},
		{GENERATION, XIPSEC_SA_STOPPED, XIPSEC_SA_STOPPED},
		{GENERATION, XIPSEC_SA_FREE, XIPSEC_SA_FREE},
		{GENERATION + 1, XIPSEC_SA_LIVE, XIPSEC_SA_LIVE},
		{GENERATION + 1, XIPSEC_SA_FREE, XIPSEC_SA_FREE},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct xipsec_sa_state before;

		state_reset(&state);
		state.generation = rows[i].generation;
		state.status = rows[i].status;
		state.seq = LO;
		before = state;
		seq_stop(&state, GENERATION);
		assert_int_equal(state.status, rows[i].after);
		before.status = state.status;
		assert_memory_equal(&state, &before, sizeof(state));
	}
}

#define DRAWERS 4
#define NUMBERS 100000

struct arena {
	struct xipsec_sa_state state;
	__u8 given[NUMBERS + 1];
};

static void draw_all(struct arena *arena, unsigned int salt)
{
	enum xipsec_reason reason;
	unsigned int n = 1, got;
	__u64 first = 0;

	do {
		n = (n * 5 + salt) % 64 + 1;
		got = seq_reserve(&arena->state, GENERATION, 0, n, &first, &reason);
		for (unsigned int i = 0; i < got; i++)
			__atomic_fetch_add(&arena->given[first + i], 1, __ATOMIC_SEQ_CST);
	} while (got == n);
}

static void test_processes(void **unused)
{
	struct arena *arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid[DRAWERS];
	int status;

	assert_true(arena != MAP_FAILED);
	state_reset(&arena->state);
	arena->state.seq_limit = NUMBERS;
	for (unsigned int i = 0; i < DRAWERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			draw_all(arena, i);
			_exit(0);
		}
		assert_true(pid[i] > 0);
	}
	for (int i = 0; i < DRAWERS; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	assert_int_equal(arena->given[0], 0);
	for (__u32 seq = 1; seq <= NUMBERS; seq++)
		assert_int_equal(arena->given[seq], 1);
	munmap(arena, sizeof(*arena));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_not_ours),
		cmocka_unit_test(test_stops_its_own),
		cmocka_unit_test(test_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
