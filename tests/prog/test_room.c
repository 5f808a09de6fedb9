// SPDX-License-Identifier: BSD-2-Clause
/* Many rules that come at one place, where priorities leave little room between two. */
#include "tests/prog/kept.h"

/* How rules come one after another: each before the last one that came, each behind it, or between
 * two of those that came before. */
enum comes { COMES_BEFORE, COMES_BEHIND, COMES_BETWEEN };

static void add_near(struct spd_editor *editor, enum comes how, __u32 place, unsigned int i,
		     __u64 *random, struct xipsec_spd_rule *rule)
{
	struct spd_add add = {0};
	__u32 n, generation, *order = spd_editor_order(editor, &n);

	assert_non_null(order);
	spd_generate(SHAPE_BITS, random, rule, 1);
	add.rule = *rule;
	place += how == COMES_BEHIND ? i : how == COMES_BETWEEN ? i - i / 3 : 0;
	add.before = order[place];
	free(order);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	order = spd_editor_order(editor, &n);
	assert_int_equal(n, LIVE + i + 1);
	assert_int_equal(order[place], add.number);
	free(order);
	keep(editor, generation);
}

/* An SPD that grows fourfold is built anew for memory, a quarter more each time, and for nothing
 * else. */
#define BUILT_FOR_MEMORY 8

#define MARK 424242

/* The number of the rule with that line. */
static __u32 marked(const struct spd_editor *editor)
{
	__u32 n, found = ~0U, *order = spd_editor_order(editor, &n);

	for (__u32 i = 0; i < n; i++)
		if (spd_editor_classifier(editor)->rule[order[i]].line == MARK)
			found = order[i];
	free(order);
	assert_int_not_equal(found, ~0U);
	return found;
}

/* Hundreds of rules at one place: others make room, in order and with their counts. */
static void test_room_at_one_place(void **state)
{
	struct hits hits = HITS_NONE;
	__u32 whole, built, moved = 0;

	assert_int_equal(hits_open(c.dp.spd_hits, &hits), 0);
	for (enum comes how = COMES_BEFORE; how <= COMES_BETWEEN; how++) {
		struct spd_editor *editor = editor_start(SHAPE_CHAIN);
		__u32 *number, n, counted;
		struct xipsec_spd_rule rule;

		whole = whole_spds();
		built = 0;
		number = spd_editor_order(editor, &n);
		counted = number[LIVE / 2];
		free(number);
		spd_editor_classifier(editor)->rule[counted].line = MARK;
		for (unsigned int cpu = 0; cpu < hits.cpus; cpu++)
			hits.at[cpu * hits.rules + counted].packets = 1000000;
		for (unsigned int i = 0; i < 700; i++) {
			add_near(editor, how, LIVE / 2, i, &seed, &rule);
			built += whole_spds() != whole;
			whole = whole_spds();
			if (i % 10 == 9)
				run_flows(&kept[i + 1]);
		}
		print_message("  %u of 700 changes were built anew\n", built);
		assert_in_range(built, 0, BUILT_FOR_MEMORY);
		moved += counted != marked(editor);
		assert_in_range(hits_sum(&hits, marked(editor)).packets, 1000000 * hits.cpus,
				1000000 * hits.cpus + 700 * FLOWS);
		spd_editor_close(editor);
		forget_all();
	}
	assert_true(moved);
	hits_close(&hits);
}

/* A change that fails when rules have made room for it: nothing has moved. */
static void test_room_taken_back(void **state)
{
	struct asked asked = {0};
	const struct spd_ready ready = {ask, &asked};
	struct spd_editor *editor = editor_start(SHAPE_CHAIN);
	__u32 *before, *after, n, m, generation = 0, last;
	struct xipsec_spd_rule rule;
	struct spd_add add = {0};

	for (unsigned int i = 0; i < 60; i++)
		add_near(editor, COMES_BETWEEN, LIVE / 2, i, &seed, &rule);
	spd_editor_ready(editor, &ready);
	asked.answer = -EPERM;
	for (unsigned int i = 0; i < 60; i++) {
		last = c.memory.c.head->generation;
		before = spd_editor_order(editor, &n);
		add.rule = rule;
		add.before = before[LIVE / 2 + i];
		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), -EPERM);
		after = spd_editor_order(editor, &m);
		assert_int_equal(n, m);
		assert_memory_equal(before, after, n * sizeof(*before));
		assert_int_equal(spd_last_generation(&c.dp), last);
		free(before);
		free(after);
		run_flows(&kept[last - base]);
	}
	assert_true(asked.times >= 60);
	spd_editor_close(editor);
	forget_all();
}

/* Rules that stand for others in the tables of hidden ports make room as well. */
static void test_room_among_same(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	__u32 whole = whole_spds(), built = 0, generation, last = ~0U;

	for (unsigned int i = 0; i < 200; i++) {
		__u32 n, *order = spd_editor_order(editor, &n);
		struct spd_add add = {.before = order[i < 4 ? 0 : 3]};

		any_address(&add.rule);
		add.rule.sel.l4_proto = IPPROTO_TCP;
		add.rule.sel.remote_port_lo = add.rule.sel.remote_port_hi = (__u16)(1000 - i);
		add.rule.action = i % 7 ? XIPSEC_ACTION_BYPASS : XIPSEC_ACTION_DISCARD;
		free(order);
		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
		keep(editor, generation);
		assert_int_not_equal(last, generation);
		last = generation;
		built += whole_spds() != whole;
		whole = whole_spds();
		run_flows(&kept[generation - base]);
		for (unsigned int k = 0; k < FLOWS; k++)
			c.flow[k] = (struct xipsec_flow){.family = XIPSEC_FAMILY_IP4,
							 .l4_proto = IPPROTO_TCP,
							 .remote_port = (__u16)k,
							 .opaque = k % 2 ? 0 : XIPSEC_OPAQUE_PORTS,
							 .dir = XIPSEC_DIR_OUT};
		judge_flows();
	}
	assert_in_range(built, 0, BUILT_FOR_MEMORY);
	spd_editor_close(editor);
	forget_all();
}

/* Packets meet the order of before or of after while neighbours move. */
static void test_room_while_packets_come(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_CHAIN);
	__u32 whole = whole_spds(), built = 0;
	__u64 random = seed;
	pthread_t thread;
	struct xipsec_spd_rule rule;

	thread = watch_begin(&random);
	for (unsigned int i = 0; i < 900; i++) {
		add_near(editor, COMES_BETWEEN, LIVE / 2, i, &random, &rule);
		built += whole_spds() != whole;
		whole = whole_spds();
		usleep(1000);
	}
	watch_end(thread);
	assert_in_range(built, 0, BUILT_FOR_MEMORY);
	spd_editor_close(editor);
	forget_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_room_at_one_place),
		cmocka_unit_test(test_room_taken_back),
		cmocka_unit_test(test_room_among_same),
		cmocka_unit_test(test_room_while_packets_come),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
