// SPDX-License-Identifier: BSD-2-Clause
/* The replay window as tables, and under several threads and processes at once. */
#include "tests/unit/esp_fixture.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "worker/replay.h"

#define OK  XIPSEC_REASON_UNSPEC
#define DUP XIPSEC_REASON_REPLAY
#define OLD XIPSEC_REASON_REPLAY_OLD
#define HI  (1ULL << 32)

static struct xipsec_sa_state state;

struct step {
	__u64 seq;
	enum xipsec_reason want;
};

static void run_steps(__u32 window, const struct step *steps, size_t n)
{
	memset(&state, 0, sizeof(state));
	for (size_t i = 0; i < n; i++) {
		enum xipsec_reason check = replay_check(&state, window, steps[i].seq);

		if (check != steps[i].want)
			fail_msg("step %zu: check of %llu says %d", i,
				 (unsigned long long)steps[i].seq, check);
		assert_int_equal(replay_commit(&state, window, steps[i].seq), steps[i].want);
	}
}

#define RUN(window, ...)                                                     \
	do {                                                                 \
		const struct step steps_[] = {__VA_ARGS__};                  \
		run_steps(window, steps_, sizeof(steps_) / sizeof(*steps_)); \
	} while (0)

static void test_window(void **unused)
{
	/* number 0 is never right; the first ones; twice; out of order */
	RUN(64, {0, OLD}, {1, OK}, {1, DUP}, {3, OK}, {2, OK}, {2, DUP}, {3, DUP}, {0, OLD});
	/* the left edge: top 64 keeps 1, top 65 loses it */
	RUN(64, {64, OK}, {1, OK}, {1, DUP}, {65, OK}, {1, OLD}, {2, OK}, {2, DUP});
	/* a jump far beyond the ring, then back to both edges */
	RUN(64, {1, OK}, {1000000, OK}, {1000000 - 63, OK}, {1000000 - 64, OLD}, {1, OLD},
	    {1000000, DUP}, {999999, OK});
	/* a jump by exactly the ring's size meets the same words */
	RUN(64, {5, OK}, {5 + 16384, OK}, {5, OLD}, {5 + 16384, DUP}, {6 + 16384, OK});
	RUN(8192, {5, OK}, {5 + 16384, OK}, {5 + 16384 - 8191, OK}, {5 + 16384 - 8192, OLD});
	/* across 2^32, and near the end of the 64-bit space */
	RUN(64, {HI - 2, OK}, {HI + 1, OK}, {HI - 1, OK}, {HI, OK}, {HI - 1, DUP}, {HI, DUP});
}

static void test_end_of_space(void **unused)
{
	memset(&state, 0, sizeof(state));
	for (__u32 i = 0; i < XIPSEC_REPLAY_WORDS; i++)
		state.replay[i] = 0xfffffffeULL << 32;
	state.replay_top = ~0ULL - 5;
	assert_int_equal(replay_commit(&state, 64, ~0ULL), OK);
	assert_int_equal(replay_commit(&state, 64, ~0ULL), DUP);
	assert_int_equal(replay_commit(&state, 64, ~0ULL - 63), OK);
	assert_int_equal(replay_commit(&state, 64, ~0ULL - 64), OLD);
	assert_int_equal(replay_commit(&state, 64, 1), OLD);
}

/* A worker that has set its bit and not yet moved the top, or died there: a number that shares the
 * word and was seen may not come again by taking the word back. */
static void test_newer_word(void **unused)
{
	memset(&state, 0, sizeof(state));
	assert_int_equal(replay_commit(&state, 64, 5), OK);
	assert_int_equal(replay_commit(&state, 64, 5 + 16384), OK);
	state.replay_top = 5;
	assert_int_equal(replay_check(&state, 64, 5), OLD);
	assert_int_equal(replay_check(&state, 64, 5 + 16384), OK); /* what follows refuses it */
	assert_int_equal(replay_commit(&state, 64, 5), OLD);
	assert_int_equal(replay_commit(&state, 64, 6), OLD);
	assert_int_equal(replay_commit(&state, 64, 5 + 16384), DUP);
	assert_int_equal(replay_commit(&state, 64, 40), OK);
}

#define RING_PACKETS (32ULL * XIPSEC_REPLAY_WORDS) /* numbers of one tag */

/* Where tags change their sign as serial numbers, and where they wrap: on a ring that was never
 * written, packets that are not authentic (0) among the others. */
static void test_high_tags(void **unused)
{
	static const __u64 tags[] = {1,  HI / 2 - 1, HI / 2,      HI / 2 + 1, HI - 1,
				     HI, HI + 1,     HI + HI / 2, HI * 2,     (HI >> 14) * HI - 1};

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		const __u64 first = tags[i] * RING_PACKETS;
		const __u64 seq[] = {first, 0, first + 1, 0, first - 1, 0, 0, first + 40};
		__u16 got[8];

		memset(&state, 0, sizeof(state));
		state.replay_top = first - 2;
		for (int round = 0; round < 2; round++) {
			__u16 want = round ? DUP : OK;

			for (int k = 0; k < 8; k++)
				if (seq[k])
					assert_int_equal(replay_check(&state, 64, seq[k]), want);
			replay_commit_burst(&state, 64, seq, 8, got);
			for (int k = 0; k < 8; k++)
				if (got[k] != (seq[k] ? want : OLD))
					fail_msg("tag %llx, round %d, number %d: %u",
						 (unsigned long long)tags[i], round, k, got[k]);
		}
		assert_int_equal(replay_commit(&state, 64, first + 100), OK);
		assert_int_equal(replay_commit(&state, 64, first + 36), OLD);
		assert_int_equal(replay_commit(&state, 64, first + 37), OK);
	}
}

/* Number 0 touches no word: not that of its own slot, whatever stands there. */
static void test_zero_changes_nothing(void **unused)
{
	static struct xipsec_sa_state before;
	static const __u64 tags[] = {0, 1, HI / 2 - 1, HI / 2, HI / 2 + 1, HI - 1};
	const __u64 zeroes[4] = {0};
	__u16 got[4];

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		memset(&state, 0, sizeof(state));
		state.replay_top = tags[i] * RING_PACKETS + 20;
		state.replay[0] = tags[i] << 32 | 0xffffff;
		memcpy(&before, &state, sizeof(before));
		replay_commit_burst(&state, 64, zeroes, 4, got);
		for (int k = 0; k < 4; k++)
			assert_int_equal(got[k], OLD);
		assert_memory_equal(&state, &before, sizeof(state));
	}
}

/* A refused number takes no word from an older block, which a worker that still has the old top in
 * hand may ask about. */
static void test_refused_takes_nothing(void **unused)
{
	memset(&state, 0, sizeof(state));
	assert_int_equal(replay_commit(&state, 64, 5), OK);
	state.replay_top = 3 * RING_PACKETS;
	assert_int_equal(replay_commit(&state, 64, RING_PACKETS + 5), OLD);
	assert_int_equal(state.replay[0], 1 << 5);
}

/* Every number of a window-wide burst in a shuffled order, twice: once yes, once no. */
static void test_every_window(void **unused)
{
	for (__u32 window = XIPSEC_WINDOW_MIN; window <= XIPSEC_WINDOW_MAX; window *= 2) {
		memset(&state, 0, sizeof(state));
		for (int round = 0; round < 2; round++)
			for (__u64 i = 0; i < window; i++) {
				/* 5 is coprime to a power of two */
				__u64 seq = 1 + (i * 5 + 3) % window;

				assert_int_equal(replay_commit(&state, window, seq),
						 round ? DUP : OK);
			}
		assert_int_equal(state.replay_top, window);
	}
}

/* A burst is refused and remembered as its packets one by one would be: numbers that repeat, that
 * lie left of the window when it is their turn, and 0, in any order. */
static void test_burst(void **unused)
{
	static struct xipsec_sa_state alone;
	__u64 seq[64];
	__u16 got[64];

	srand(1);
	for (int round = 0; round < 20000; round++) {
		__u32 window = round & 1 ? 64 : 1024, n = 1 + (__u32)rand() % 64;
		__u64 base = round % 100 ? state.replay_top : 0;

		if (!base)
			memset(&state, 0, sizeof(state));
		memcpy(&alone, &state, sizeof(alone));
		for (__u32 i = 0; i < n; i++) {
			__u32 kind = (__u32)rand() % 32;

			seq[i] = base + 1 + i;
			if (kind == 0)
				seq[i] = 0;
			else if (kind < 4)
				seq[i] = base + (__u32)rand() % 40;
			else if (kind == 4)
				seq[i] = base + (__u32)rand() % 40000;
			else if (kind < 8 && base > 100000)
				seq[i] = base - (__u32)rand() % (2 * window);
		}
		replay_commit_burst(&state, window, seq, n, got);
		for (__u32 i = 0; i < n; i++)
			assert_int_equal(got[i], replay_commit(&alone, window, seq[i]));
		assert_memory_equal(&state, &alone, sizeof(state));
	}
	/* Nothing that stood in the verdicts before is taken for one. */
	memset(&state, 0, sizeof(state));
	memset(got, 0xff, sizeof(got));
	replay_commit_burst(&state, 64, (const __u64[]){1, 1, 0, 2}, 4, got);
	assert_int_equal(got[0], OK);
	assert_int_equal(got[1], DUP);
	assert_int_equal(got[2], OLD);
	assert_int_equal(got[3], OK);
	assert_int_equal(state.replay_top, 2);
}

struct infer_case {
	__u64 top;
	__u32 window, seq_lo;
	__u64 want;
};

/* RFC 4303 A2.2 */
static void test_infer(void **unused)
{
	static const struct infer_case cases[] = {
		/* the start: everything right of the window is ahead, what is left of 0 is nothing
		 */
		{0, 64, 1, 1},
		{0, 64, 0x7fffffff, 0x7fffffff},
		{0, 64, 0xffffffc0, 0xffffffc0},
		{0, 64, 0xffffffc1, 0},
		{0, 64, 0xffffffff, 0},
		{10, 64, 11, 11},
		{10, 64, 0xffffffff, 0},
		/* case A: T_lo >= W - 1 */
		{63, 64, 0, 0},
		{64, 64, 0, HI},
		{1000, 64, 937, 937},
		{1000, 64, 936, HI + 936},
		{0xfffffff0, 64, 0xffffffff, 0xffffffff},
		{0xfffffff0, 64, 0, HI},
		{0xfffffff0, 64, 5, HI + 5},
		/* case B: the window reaches back over the wrap */
		{HI + 5, 64, 6, HI + 6},
		{HI + 5, 64, 0xffffffff, 0xffffffff},
		{HI + 5, 64, 5U - 63U, 5ULL + HI - 63},
		{HI + 5, 64, 5U - 64U, 2 * HI + 5 - 64},
		{7 * HI, 64, 0xfffffff0, 7 * HI - 16},
		{7 * HI, 64, 0, 7 * HI},
		{7 * HI + 8191, 8192, 0, 7 * HI},
		{7 * HI + 8190, 8192, 0xffffffff, 7 * HI - 1},
		/* the last subspace has no next one */
		{~0ULL, 64, 5, 5},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 got;

		state.replay_top = cases[i].top;
		got = replay_infer(&state, cases[i].window, 1, cases[i].seq_lo);
		if (got != cases[i].want)
			fail_msg("case %zu: %llx", i, (unsigned long long)got);
		assert_int_equal(replay_infer(&state, cases[i].window, 0, cases[i].seq_lo),
				 cases[i].seq_lo);
	}
}

/* ---------------------------------------------------------------- many at once */

#define HAMMERS 4
#define NUMBERS 200000

struct arena {
	struct xipsec_sa_state state;
	__u32 arrived;
	__u32 hammers;
	__u8 accepted[NUMBERS + 1]; /* times, of each number */
};

/* 64 numbers one by one, or as a burst: mixed, or in their order. */
static void hammer_block(struct arena *arena, __u64 base, __u32 how)
{
	__u64 seq[64];
	__u16 verdict[64];

	for (__u64 i = 0; i < 64; i++)
		seq[i] = base + 1 + (how == 2 ? i : i * 37 % 64);
	if (how)
		replay_commit_burst(&arena->state, XIPSEC_WINDOW_MAX, seq, 64, verdict);
	for (__u64 i = 0; i < 64; i++) {
		if (!how)
			verdict[i] = replay_commit(&arena->state, XIPSEC_WINDOW_MAX, seq[i]);
		if (verdict[i] == OK)
			__atomic_fetch_add(&arena->accepted[seq[i]], 1, __ATOMIC_SEQ_CST);
	}
}

/* All try every number, alone and in bursts by turns, and wait for each other before every 64, so
 * that they collide; the window is as wide as can be, so that none is lost to age. */
static void *hammer(void *arg)
{
	struct arena *arena = arg;
	__u32 me = __atomic_fetch_add(&arena->hammers, 1, __ATOMIC_SEQ_CST), rounds = 0;

	for (__u64 base = 0; base < NUMBERS; base += 64) {
		__atomic_fetch_add(&arena->arrived, 1, __ATOMIC_SEQ_CST);
		rounds += HAMMERS;
		while (__atomic_load_n(&arena->arrived, __ATOMIC_SEQ_CST) < rounds)
			sched_yield();
		hammer_block(arena, base, ((__u32)(base / 64) + me) % 3);
	}
	return NULL;
}

static struct arena *arena_new(void)
{
	struct arena *arena = mmap(NULL, sizeof(*arena), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(arena != MAP_FAILED);
	return arena;
}

/* The fastest one sees every number first or not at all: none is lost, none comes twice. */
static void arena_judge(struct arena *arena)
{
	for (__u32 seq = 1; seq <= NUMBERS; seq++)
		if (arena->accepted[seq] != 1)
			fail_msg("number %u accepted %u times", seq, arena->accepted[seq]);
	assert_int_equal(arena->state.replay_top, NUMBERS);
	munmap(arena, sizeof(*arena));
}

static void test_threads(void **unused)
{
	struct arena *arena = arena_new();
	pthread_t thread[HAMMERS];

	for (int i = 0; i < HAMMERS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, hammer, arena), 0);
	for (int i = 0; i < HAMMERS; i++)
		pthread_join(thread[i], NULL);
	arena_judge(arena);
}

static void test_processes(void **unused)
{
	struct arena *arena = arena_new();
	pid_t pid[HAMMERS];
	int status;

	for (int i = 0; i < HAMMERS; i++) {
		pid[i] = fork();
		if (pid[i] == 0) {
			hammer(arena);
			_exit(0);
		}
		assert_true(pid[i] > 0);
	}
	for (int i = 0; i < HAMMERS; i++) {
		assert_int_equal(waitpid(pid[i], &status, 0), pid[i]);
		assert_int_equal(status, 0);
	}
	arena_judge(arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_end_of_space),
		cmocka_unit_test(test_newer_word),
		cmocka_unit_test(test_every_window),
		cmocka_unit_test(test_infer),
		cmocka_unit_test(test_burst),
		cmocka_unit_test(test_high_tags),
		cmocka_unit_test(test_zero_changes_nothing),
		cmocka_unit_test(test_refused_takes_nothing),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_processes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
