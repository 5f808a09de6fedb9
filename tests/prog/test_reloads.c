// SPDX-License-Identifier: BSD-2-Clause
/* A reload changes the SPD by what differs: what is asked for comes out, and no more is touched. */
#include "tests/prog/kept.h"
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include "loader/standin_change.h"

static void list_of(const struct xipsec_spd_rule *rule, __u32 n, const struct xipsec_spd_rule **to)
{
	for (__u32 i = 0; i < n; i++)
		to[i] = &rule[i];
}

/* Removes, adds and moves a few. */
static __u32 list_change(struct xipsec_spd_rule *rule, __u32 n, __u64 *random)
{
	unsigned int times = 1 + (unsigned int)(random_next(random) % 6);

	for (unsigned int i = 0; i < times; i++) {
		__u32 at = (__u32)(random_next(random) % n), len;

		if (n > LIVE / 2 && random_next(random) % 2) {
			memmove(&rule[at], &rule[at + 1], (n - at - 1) * sizeof(*rule));
			n--;
			continue;
		}
		len = 1 + (__u32)(random_next(random) % 5);
		memmove(&rule[at + len], &rule[at], (n - at) * sizeof(*rule));
		spd_generate(SHAPE_RANGES, random, &rule[at], len);
		n += len;
	}
	return n;
}

/* What spd_change_find() says, done to `from`, is `to`. */
static void assert_change(const struct xipsec_spd_rule *from, __u32 n_from,
			  const struct xipsec_spd_rule *to, __u32 n_to)
{
	static const struct xipsec_spd_rule *list[2 * LIVE];
	static struct xipsec_spd_rule made[3 * LIVE];
	static struct spd_change change;
	__u32 n = 0, removed = 0, added = 0;

	list_of(from, n_from, list);
	assert_int_equal(spd_change_find(list, n_from, to, n_to, &change), 0);
	for (__u32 i = 0; i <= n_from; i++) {
		while (added < change.n_add && change.before[added] == i)
			made[n++] = to[change.add[added++]];
		if (removed < change.n_remove && change.remove[removed] == i)
			removed++;
		else if (i < n_from)
			made[n++] = from[i];
	}
	assert_int_equal(removed, change.n_remove);
	assert_int_equal(added, change.n_add);
	assert_int_equal(n, n_to);
	for (__u32 i = 0; i < n; i++)
		assert_memory_equal(&made[i].sel, &to[i].sel, sizeof(to[i].sel));
	assert_in_range(change.n_add + change.n_remove, 0, 100);
}

/* A reload with few differences: the rules are those of the new list, and nothing was built but
 * where there was no room. */
static void test_reload_by_differences(void **state)
{
	static struct xipsec_spd_rule rule[2 * LIVE], was[2 * LIVE];
	__u32 n = LIVE, generation = 0, built = 0, last, whole;
	__u64 random = seed;

	spd_generate(SHAPE_RANGES, &random, rule, LIVE);
	classify_spd(&c, rule, LIVE);
	last = base = c.memory.c.head->generation;
	whole = whole_spds();
	for (unsigned int i = 1; i < 100; i++) {
		struct spd_source source = {.rule = rule};
		struct spd_editor *editor;
		__u32 n_was = n;

		memcpy(was, rule, sizeof(was));
		n = n < LIVE + 100 ? list_change(rule, n, &random) : n;
		for (__u32 k = 0; k < n; k++)
			rule[k].line = k + i;
		source.n_rules = n;
		assert_change(was, n_was, rule, n);
		assert_int_equal(spd_change(&c.dp, NULL, 100000, &source, NULL, &generation), 0);
		assert_in_range(generation, last, last + 1);
		last = generation;
		built += whole_spds() != whole;
		whole = whole_spds();
		assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 100000, &editor), 0);
		keep(editor, generation);
		assert_int_equal(kept[generation - base].n, n);
		for (__u32 k = 0; k < n; k++)
			assert_int_equal(kept[generation - base].rule[k].line, k + i);
		spd_editor_close(editor);
		run_flows(&kept[generation - base]);
	}
	print_message("  %u of 99 changes were built anew\n", built);
	assert_in_range(built, 0, 30);
	forget_all();
}

/* Rules that came with SAs are no config's: a reload leaves them where they stand, with their
 * numbers. Others may edit meanwhile: what an editor remembers is then read anew. */
static void test_reload_keeps_rules_of_sas(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	static struct xipsec_spd_rule rule[LIVE];
	struct spd_source source = {.rule = rule, .n_rules = LIVE - 1};
	struct spd_add add = {0};
	__u32 n, generation, *number = spd_editor_order(editor, &n);
	const struct classifier *memory;

	assert_non_null(number);
	for (__u32 i = 0, k = 0; i < n; i++)
		if (i != 9) /* the reload takes one away */
			rule[k++] = kept[0].rule[i];
	source.n_rules = n - 1;
	add.rule = kept[0].rule[3];
	add.rule.action = XIPSEC_ACTION_PROTECT;
	add.rule.child = 77;
	add.rule.origin = XIPSEC_RULE_OF_SA;
	add.before = number[3];
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	free(number);
	assert_int_equal(spd_change(&c.dp, NULL, 100000, &source, NULL, &generation), 0);
	/* and by the editor that does not know of it yet */
	assert_int_equal(spd_edit(editor, NULL, 0, &add.number, 1, &generation), -ESTALE);
	number = spd_editor_order(editor, &n);
	memory = spd_editor_classifier(editor);
	assert_int_equal(n, source.n_rules + 1);
	assert_int_equal(number[3], add.number);
	assert_int_equal(memory->rule[number[3]].child, 77);
	for (__u32 i = 0, k = 0; i < n; i++)
		if (i != 3)
			assert_memory_equal(&memory->rule[number[i]].sel, &rule[k++].sel,
					    sizeof(rule[0].sel));
	assert_int_equal(spd_edit(editor, NULL, 0, &add.number, 1, &generation), 0);
	free(number);
	number = spd_editor_order(editor, &n);
	assert_int_equal(n, source.n_rules);
	free(number);
	spd_editor_close(editor);
	forget_all();
}

/* An SPD that takes the place of the whole one has the rules of SAs before the same stand-ins, from
 * the switch on; not those whose stand-in is none any more, nor where there is no room. */
static void test_whole_spd_carries_rules_of_sas(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	static struct xipsec_spd_rule rule[LIVE], list[2];
	struct spd_source source = {.rule = list, .n_rules = 2};
	struct spd_add add[3] = {0};
	__u32 generation, n, *order;

	for (unsigned int i = 0; i < 2; i++) {
		any_address(&list[i]);
		list[i].sel.any_proto = 1;
		list[i].action = XIPSEC_ACTION_DISCARD;
		list[i].origin = XIPSEC_RULE_REMOTE_LATER;
		list[i].sel.local_lo.byte[0] = (__u8)(i + 1);
	}
	classify_spd(&c, list, 2);
	assert_int_equal(spd_edit(editor, NULL, 0, NULL, 0, &generation), -ESTALE);
	order = spd_editor_order(editor, &n);
	for (unsigned int i = 0; i < 3; i++) {
		add[i].rule = list[i / 2];
		add[i].rule.action = XIPSEC_ACTION_PROTECT;
		add[i].rule.origin = XIPSEC_RULE_OF_SA;
		add[i].rule.child = 70 + i;
		add[i].before = order[i / 2];
	}
	free(order);
	assert_int_equal(spd_edit(editor, add, 3, NULL, 0, &generation), 0);
	spd_editor_close(editor);
	spd_generate(SHAPE_ACL, &seed, rule, LIVE);
	rule[LIVE / 2] = list[0];
	rule[LIVE / 2].line = 77;
	source.rule = calloc(LIVE, sizeof(rule[0]));
	source.n_rules = LIVE;
	memcpy(source.rule, rule, sizeof(rule));
	assert_int_equal(standin_carry(&c.dp, LIVE + 1, &source), 0);
	assert_int_equal(source.n_rules, LIVE);
	assert_int_equal(standin_carry(&c.dp, LIVE + 2, &source), 0);
	assert_int_equal(source.n_rules, LIVE + 2);
	for (__u32 i = 0; i < 2; i++) {
		assert_int_equal(source.rule[LIVE / 2 + i].child, 70 + i);
		assert_int_equal(source.rule[LIVE / 2 + i].origin, XIPSEC_RULE_OF_SA);
		assert_int_equal(source.rule[LIVE / 2 + i].line, 77);
	}
	assert_memory_equal(source.rule, rule, LIVE / 2 * sizeof(rule[0]));
	assert_memory_equal(&source.rule[LIVE / 2 + 2], &rule[LIVE / 2],
			    LIVE / 2 * sizeof(rule[0]));
	spd_source_free(&source);
	forget_all();
}

/* What goes and comes again, while programs may still meet what went, has its place again. */
static void test_gone_and_back(void **state)
{
	static const __u32 lengths[] = {3, 2, 3, 0, 3, 0, 1, 3, 1, 3, 0, 3};
	struct xipsec_spd_rule rule[3];
	__u32 generation = 0, whole;

	spd_generate(SHAPE_MESH, &seed, rule, 3);
	classify_spd(&c, rule, 3);
	base = c.memory.c.head->generation;
	whole = whole_spds();
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(rule, 3, &seed, &c.flow[i]);
	for (unsigned int i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct spd_source source = {.rule = rule, .n_rules = lengths[i]};
		struct spd_editor *editor;

		assert_int_equal(spd_change(&c.dp, NULL, 100000, &source, NULL, &generation), 0);
		assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 100000, &editor), 0);
		keep(editor, generation);
		spd_editor_close(editor);
		assert_int_equal(kept[generation - base].n, lengths[i]);
		judge_flows();
	}
	assert_int_equal(whole_spds(), whole);
	forget_all();
}

/* Of rules that say the same of packets without ports the first stands for all, unless it goes in
 * the change in which another one comes. */
static void test_same_comes_and_goes(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	struct spd_add low = {0}, all = {0}, add[2];
	__u32 n, generation, *number = spd_editor_order(editor, &n);

	assert_non_null(number);
	any_address(&low.rule);
	low.rule.sel.l4_proto = IPPROTO_TCP;
	low.rule.sel.remote_port_hi = 1023;
	low.rule.action = XIPSEC_ACTION_DISCARD;
	any_address(&all.rule);
	all.rule.sel.any_proto = 1;
	all.rule.action = XIPSEC_ACTION_BYPASS;
	low.before = all.before = number[0];
	free(number);
	assert_int_equal(spd_edit(editor, &low, 1, NULL, 0, &generation), 0);
	add[0] = low;
	add[1] = all;
	assert_int_equal(spd_edit(editor, add, 2, &low.number, 1, &generation), 0);
	keep(editor, generation);
	for (unsigned int i = 0; i < FLOWS; i++)
		c.flow[i] = (struct xipsec_flow){.family = XIPSEC_FAMILY_IP4,
						 .l4_proto = IPPROTO_TCP,
						 .opaque = XIPSEC_OPAQUE_PORTS,
						 .dir = XIPSEC_DIR_OUT};
	judge_flows();
	assert_int_not_equal(c.answer[0].verdict, SPD_BYPASS);
	spd_editor_close(editor);
	forget_all();
}

/* What has to go before the switch is told when all is done but the switch; for a change that
 * cannot be it is not told at all, and nobody who says no gets the new rules. */
static void test_ready_before_the_switch(void **state)
{
	static struct xipsec_spd_rule rule[LIVE];
	struct spd_source source = {.rule = rule, .n_rules = LIVE};
	struct asked asked = {0};
	const struct spd_ready ready = {ask, &asked};
	__u32 generation = 0, before;

	spd_generate(SHAPE_ACL, &seed, rule, LIVE);
	classify_spd(&c, rule, LIVE);
	before = spd_last_generation(&c.dp);
	rule[5].action = rule[5].action == XIPSEC_ACTION_BYPASS ? XIPSEC_ACTION_DISCARD
								: XIPSEC_ACTION_BYPASS;
	assert_int_equal(spd_change(&c.dp, NULL, LIVE - 1, &source, &ready, &generation), -E2BIG);
	assert_int_equal(asked.times, 0);
	asked.answer = -EAGAIN;
	assert_int_equal(spd_change(&c.dp, NULL, LIVE, &source, &ready, &generation), -EIO);
	assert_int_equal(spd_last_generation(&c.dp), before);
	asked.answer = 0;
	assert_int_equal(asked.times, 1);
	assert_int_equal(spd_change(&c.dp, NULL, LIVE, &source, &ready, &generation), 0);
	assert_int_equal(asked.times, 2);
	assert_int_equal(asked.in_force, before);
	assert_int_equal(spd_last_generation(&c.dp), generation);
	assert_int_not_equal(generation, before);
	/* and where no rule changes, as an SA may all the same */
	assert_int_equal(spd_change(&c.dp, NULL, LIVE, &source, &ready, &generation), 0);
	assert_int_equal(asked.times, 3);
	/* another whole list is not spd_change()'s, which asks nobody then */
	spd_generate(SHAPE_ACL, &seed, rule, LIVE);
	assert_int_equal(spd_change(&c.dp, NULL, LIVE, &source, &ready, &generation), -EAGAIN);
	assert_int_equal(asked.times, 3);
}

static void test_too_different(void **state)
{
	static struct xipsec_spd_rule rule[LIVE];
	struct spd_source source = {.rule = rule, .n_rules = LIVE};
	__u32 generation = 0;

	spd_generate(SHAPE_ACL, &seed, rule, LIVE);
	classify_spd(&c, rule, LIVE);
	assert_int_equal(spd_change(&c.dp, NULL, 100000, &source, NULL, &generation), 0);
	assert_int_equal(generation, c.memory.c.head->generation);
	source.allow = XIPSEC_ALLOW_MLD;
	assert_int_equal(spd_change(&c.dp, NULL, 100000, &source, NULL, &generation), -EAGAIN);
	source.allow = 0;
	spd_generate(SHAPE_ACL, &seed, rule, LIVE);
	assert_int_equal(spd_change(&c.dp, NULL, 100000, &source, NULL, &generation), -EAGAIN);
	assert_int_equal(generation, c.memory.c.head->generation);
}

/* The place of a rule that is gone goes to another, whose count begins at 0. */
static void test_counts_are_of_one_rule(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	struct spd_add add = {.before = SPD_AT_END};
	struct hits hits = HITS_NONE;
	__u32 n, generation, gone, *order = spd_editor_order(editor, &n);

	gone = order[n / 2];
	assert_int_equal(hits_open(c.dp.spd_hits, &hits), 0);
	for (unsigned int cpu = 0; cpu < hits.cpus; cpu++)
		for (__u32 i = gone - 1; i <= gone + 1; i++)
			hits.at[cpu * hits.rules + i].packets = 7;
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), 0);
	assert_int_equal(spd_tidy(editor), 0);
	spd_generate(SHAPE_ACL, &seed, &add.rule, 1);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	assert_int_equal(add.number, gone);
	assert_int_equal(hits_sum(&hits, gone).packets, 0);
	assert_int_equal(hits_sum(&hits, gone - 1).packets, 7 * hits.cpus);
	assert_int_equal(hits_sum(&hits, gone + 1).packets, 7 * hits.cpus);
	hits_close(&hits);
	free(order);
	spd_editor_close(editor);
	forget_all();
}

/* Who waits for programs, and what stood at the end of each wait. */
static struct {
	const struct spd_editor *editor; /* NULL: nobody asks */
	struct xipsec_spd_rule was;
	__u32 gone;
	bool found[4], stands[4];
	unsigned int n;
} waits;

static void note_found(void *arg, __u32 number)
{
	*(bool *)arg |= number == waits.gone;
}

/* In the place of libbpf's. */
int bpf_map_update_elem(int fd, const void *key, const void *value, __u64 flags)
{
	union bpf_attr attr = {.map_fd = (__u32)fd, .flags = flags};
	bool found = false;

	attr.key = (__u64)(uintptr_t)key;
	attr.value = (__u64)(uintptr_t)value;
	if (syscall(__NR_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr)))
		return -errno;
	if (waits.editor && fd == c.dp.spd && waits.n < 4) {
		const struct classifier *now = spd_editor_classifier(waits.editor);

		classifier_candidates(now, &c.flow[0], note_found, &found);
		waits.found[waits.n] = found;
		waits.stands[waits.n++] = !memcmp(&now->rule[waits.gone].sel, &waits.was.sel,
						  sizeof(waits.was.sel)) &&
					  now->rule[waits.gone].dies;
	}
	return 0;
}

/* A search that began while a rule that is gone was still found reads of it that it is gone. */
static void test_place_outlives_entries(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_ACL);
	__u32 n, generation, *order = spd_editor_order(editor, &n);
	const struct classifier *now = spd_editor_classifier(editor);
	bool found = false;

	memset(&waits, 0, sizeof(waits));
	for (unsigned int i = 0; !found; i++) { /* by a packet at the border of some rule */
		waits.gone = order[i % n];
		waits.was = now->rule[waits.gone];
		flow_generate(&waits.was, 1, &seed, &c.flow[0]);
		classifier_candidates(now, &c.flow[0], note_found, &found);
	}
	assert_int_equal(spd_edit(editor, NULL, 0, &waits.gone, 1, &generation), 0);
	waits.editor = editor;
	assert_int_equal(spd_tidy(editor), 0);
	waits.editor = NULL;
	assert_int_equal(waits.n, 2);
	assert_true(waits.found[0] && waits.stands[0]);
	assert_true(!waits.found[1] && waits.stands[1]);
	assert_int_equal(now->rule[waits.gone].used, 0);
	free(order);
	spd_editor_close(editor);
	forget_all();
}

/* Many rules in one change, in front of all: none is met before the last of them is there. */
static void test_all_or_nothing(void **state)
{
	struct spd_editor *editor = editor_start(SHAPE_MESH);
	static struct spd_add add[200];
	__u32 gone[200], generation;
	pthread_t thread;
	__u32 n, *order;

	thread = watch_begin(&seed);
	for (unsigned int round = 0; round < 150; round++) {
		order = spd_editor_order(editor, &n);
		for (unsigned int i = 0; i < 200; i++) {
			add[i] = (struct spd_add){.rule = kept[0].rule[i % kept[0].n],
						  .before = order[0]};
			add[i].rule.child += 1000;
		}
		free(order);
		assert_int_equal(spd_edit(editor, add, 200, NULL, 0, &generation), 0);
		keep(editor, generation);
		for (unsigned int i = 0; i < 200; i++)
			gone[i] = add[i].number;
		assert_int_equal(spd_edit(editor, NULL, 0, gone, 200, &generation), 0);
		keep(editor, generation);
		usleep(500);
	}
	watch_end(thread);
	spd_editor_close(editor);
	forget_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_reload_by_differences),
		cmocka_unit_test(test_reload_keeps_rules_of_sas),
		cmocka_unit_test(test_whole_spd_carries_rules_of_sas),
		cmocka_unit_test(test_gone_and_back),
		cmocka_unit_test(test_same_comes_and_goes),
		cmocka_unit_test(test_ready_before_the_switch),
		cmocka_unit_test(test_too_different),
		cmocka_unit_test(test_counts_are_of_one_rule),
		cmocka_unit_test(test_place_outlives_entries),
		cmocka_unit_test(test_all_or_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
