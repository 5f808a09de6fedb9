// SPDX-License-Identifier: BSD-2-Clause
/*
 * The SPD while it changes: rules added and removed one by one, whole SPDs swapped, packets all the
 * while.
 */
#include "tests/prog/kept.h"

#define SWAP_EVERY 80 /* changes */

static void edit_one(struct spd_editor *editor, enum spd_shape shape, __u64 *random)
{
	struct xipsec_spd_rule rule[4];
	struct spd_add add[4];
	__u32 *number, n, generation, gone[3];
	unsigned int n_add = (unsigned int)(random_next(random) % 5), n_gone = 0;

	number = spd_editor_order(editor, &n);
	spd_generate(shape, random, rule, 4);
	for (unsigned int i = 0; i < n_add; i++) {
		__u32 at = (__u32)(random_next(random) % (n + 1));

		add[i] = (struct spd_add){.rule = rule[i],
					  .before = at < n ? number[at] : SPD_AT_END};
	}
	while (n_gone < 3 && n > LIVE / 2 && random_next(random) % 3) {
		__u32 at = number[random_next(random) % n];
		unsigned int k = 0;

		while (k < n_gone && gone[k] != at)
			k++;
		if (k == n_gone)
			gone[n_gone++] = at;
	}
	free(number);
	assert_int_equal(spd_edit(editor, add, n_add, gone, n_gone, &generation), 0);
	keep(editor, generation);
}

/* ------------------------------------------------------------------ one after another */

/* After each change the program and the list agree, and the program is at the new generation. */
static void test_change_by_change(void **state)
{
	static const enum spd_shape shapes[] = {SHAPE_CHAIN, SHAPE_NESTED, SHAPE_PORTS, SHAPE_BITS};

	for (unsigned int s = 0; s < 4; s++) {
		struct spd_editor *editor = editor_start(shapes[s]);

		for (unsigned int i = 0; i < 200; i++) {
			__u32 *number, n;

			edit_one(editor, shapes[s], &seed);
			if (i % 16 == 15)
				assert_int_equal(spd_tidy(editor), 0);
			number = spd_editor_order(editor, &n);
			free(number);
			run_flows(&kept[i + 1]);
			assert_int_equal(c.answer[0].generation, base + i + 1);
		}
		spd_editor_close(editor);
		forget_all();
	}
}

/* Who opens the SPD after an editor that died goes on where that one stopped. */
static void test_open_again(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_CHAIN);
	__u32 *before, *after, n, m;

	for (unsigned int i = 0; i < 40; i++) {
		edit_one(editor, SHAPE_CHAIN, &seed);
		before = spd_editor_order(editor, &n);
		spd_editor_close(editor);
		assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 100000, &editor), 0);
		after = spd_editor_order(editor, &m);
		assert_int_equal(n, m);
		assert_memory_equal(before, after, n * sizeof(*before));
		free(before);
		free(after);
		run_flows(&kept[i + 1]);
	}
	spd_editor_close(editor);
	forget_all();
}

/* A change that cannot be is none: same generation, same rules. */
static void test_refusals(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL), *small;
	struct spd_add add = {.before = 77777};
	__u32 generation = 12345, gone[2] = {99999, 0}, *order, n;

	spd_generate(SHAPE_ACL, &seed, &add.rule, 1);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), -ENOENT);
	assert_int_equal(spd_edit(editor, NULL, 0, gone, 1, &generation), -ENOENT);
	gone[0] = 0;
	assert_int_equal(spd_edit(editor, NULL, 0, gone, 2, &generation), -EINVAL);
	add.before = SPD_AT_END;
	assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, LIVE, &small), 0);
	assert_int_equal(spd_edit(small, &add, 1, NULL, 0, &generation), -E2BIG);
	assert_int_equal(generation, 12345);
	assert_int_equal(c.memory.c.head->generation, base);
	order = spd_editor_order(editor, &n);
	assert_int_equal(n, LIVE);
	free(order);
	run_flows(&kept[0]);
	/* one in, one out fits */
	assert_int_equal(spd_edit(small, &add, 1, gone, 1, &generation), 0);
	assert_int_equal(generation, base + 1);
	spd_editor_close(small);
	spd_editor_close(editor);
	forget_all();
}

/* Another SPD was loaded: the numbers that the editor gave out mean nothing any more. */
static void test_stale_editor(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	static struct xipsec_spd_rule rule[LIVE];
	__u32 generation, gone = 0;

	spd_generate(SHAPE_FW, &seed, rule, LIVE);
	classify_spd(&c, rule, LIVE);
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), -ESTALE);
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), 0);
	assert_int_equal(generation, c.memory.c.head->generation);
	spd_editor_close(editor);
	forget_all();
}

/* ------------------------------------------------------------------ at the same time */

/* Another SPD altogether, as a reload brings it. */
static void swap_all(struct spd_editor *editor, __u64 *random)
{
	static struct xipsec_spd_rule rule[LIVE];
	__u32 generation;

	spd_generate(SHAPE_NESTED, random, rule, LIVE);
	classify_spd(&c, rule, LIVE);
	assert_int_equal(spd_edit(editor, NULL, 0, NULL, 0, &generation), -ESTALE);
	keep(editor, c.memory.c.head->generation);
}

static void test_while_packets_come(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_NESTED);
	__u64 random = seed;
	struct timespec start, now;
	pthread_t thread;
	__u32 edits = 0;

	thread = watch_begin(&random);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		edit_one(editor, SHAPE_NESTED, &random);
		if (++edits % 50 == 0)
			spd_tidy(editor);
		if (edits % SWAP_EVERY == 0)
			swap_all(editor, &random);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 4 && edits + edits / SWAP_EVERY < KEPT - 2);
	print_message("  %u changes\n", edits);
	watch_end(thread);
	spd_editor_close(editor);
	forget_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change_by_change),   cmocka_unit_test(test_open_again),
		cmocka_unit_test(test_refusals),           cmocka_unit_test(test_stale_editor),
		cmocka_unit_test(test_while_packets_come),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
