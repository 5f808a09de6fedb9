// SPDX-License-Identifier: BSD-2-Clause
/*
 * The SPD while it changes: rules added and removed one by one, whole SPDs swapped, packets all the
 * while. Each answer names the generation that it is right for, and must be the list's answer of
 * that generation: never a third.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <time.h>
#include "loader/spd_change.h"
#include "loader/spd_edit_inside.h"
#include "loader/standin_change.h"
#include "tests/lib/spd_generate.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"

/* Lists are kept whole, so that each generation can be asked afterwards. */
#define LIVE       300 /* rules at a time, about */
#define KEPT       4096
#define FLOWS      1024
#define SWAP_EVERY 80 /* changes */

struct kept {
	struct xipsec_spd_rule *rule;
	__u32 *number;
	__u32 n;
};

static struct classify c;
static struct kept kept[KEPT];
static __u64 seed;
static __u32 base; /* generation of kept[0] */

static int setup(void **state)
{
	const char *text = getenv("XIPSEC_SEED");

	seed = text ? strtoull(text, NULL, 0) : (__u64)time(NULL);
	print_message("  XIPSEC_SEED=%llu\n", (unsigned long long)seed);
	classify_load(&c, FLOWS, CLASSIFY_CACHED);
	return 0;
}

static int teardown(void **state)
{
	classify_end(&c);
	return 0;
}

static void keep(const struct spd_editor *editor, __u32 generation)
{
	struct kept *to = &kept[generation - base];
	const struct classifier *memory = spd_editor_classifier(editor);

	assert_true(generation - base < KEPT);
	to->number = spd_editor_order(editor, &to->n);
	to->rule = calloc(to->n + 1, sizeof(to->rule[0]));
	assert_non_null(to->rule);
	for (__u32 i = 0; i < to->n; i++)
		to->rule[i] = memory->rule[to->number[i]];
}

static void forget_all(void)
{
	for (unsigned int i = 0; i < KEPT; i++) {
		free(kept[i].rule);
		free(kept[i].number);
	}
	memset(kept, 0, sizeof(kept));
}

static const char *judge(const struct xipsec_flow *flow, const struct spd_found *found)
{
	const struct kept *list = &kept[found->generation - base];
	struct reference_answer want;

	if (found->generation - base >= KEPT || !list->rule)
		return "an SPD that never was";
	want = reference_search(list->rule, list->n, flow);
	if (found->verdict != want.verdict || found->child != want.child)
		return "another verdict than the list's";
	if (found->rule != (want.rule == ~0U ? ~0U : list->number[want.rule]))
		return "another rule than the list's";
	return NULL;
}

static struct spd_editor *editor_start(enum spd_shape shape)
{
	static struct xipsec_spd_rule rule[LIVE];
	struct spd_editor *editor;

	spd_generate(shape, &seed, rule, LIVE);
	classify_spd(&c, rule, LIVE);
	assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 100000, &editor), 0);
	base = c.memory.c.head->generation;
	keep(editor, base);
	return editor;
}

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

static void judge_flows(void)
{
	classify_run(&c, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++) {
		const char *fault = judge(&c.flow[i], &c.answer[i]);

		if (fault)
			fail_msg("generation %u, flow %u: %s", c.answer[i].generation, i, fault);
	}
}

static void run_flows(const struct kept *list)
{
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(list->rule, list->n, &seed, &c.flow[i]);
	judge_flows();
}

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

struct seen {
	struct xipsec_flow flow;
	struct spd_found found;
};

#define SEEN_MAX 1000000
#define AT_ONCE  256 /* flows a run */

static struct {
	struct seen *seen;
	size_t n;
	atomic_bool end;
} watcher;

/* The flows change as well, so that all rules are met. */
static void *watch(void *arg)
{
	__u64 random = 4711;

	while (!atomic_load(&watcher.end) && watcher.n + AT_ONCE <= SEEN_MAX) {
		classify_run(&c, AT_ONCE);
		for (unsigned int i = 0; i < AT_ONCE; i++)
			watcher.seen[watcher.n++] = (struct seen){c.flow[i], c.answer[i]};
		for (unsigned int i = 0; i < 64; i++)
			flow_generate(kept[0].rule, kept[0].n, &random,
				      &c.flow[random_next(&random) % AT_ONCE]);
		usleep(500);
	}
	return NULL;
}

static void judge_all(void)
{
	__u32 generations = 0, last = 0;

	for (size_t i = 0; i < watcher.n; i++) {
		const char *fault = judge(&watcher.seen[i].flow, &watcher.seen[i].found);

		if (fault)
			fail_msg("packet %zu, generation %u: %s", i,
				 watcher.seen[i].found.generation, fault);
		/* one thread: time goes forward only */
		assert_true((__s32)(watcher.seen[i].found.generation - last) >= 0 || !last);
		generations += watcher.seen[i].found.generation != last;
		last = watcher.seen[i].found.generation;
	}
	print_message("  %zu packets saw %u generations\n", watcher.n, generations);
	assert_true(watcher.n > FLOWS && generations > 10);
}

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

	watcher.seen = calloc(SEEN_MAX, sizeof(watcher.seen[0]));
	assert_non_null(watcher.seen);
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(kept[0].rule, kept[0].n, &random, &c.flow[i]);
	assert_int_equal(pthread_create(&thread, NULL, watch, NULL), 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		edit_one(editor, SHAPE_NESTED, &random);
		if (++edits % 50 == 0)
			spd_tidy(editor);
		if (edits % SWAP_EVERY == 0)
			swap_all(editor, &random);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < 4 && edits + edits / SWAP_EVERY < KEPT - 2);
	atomic_store(&watcher.end, true);
	pthread_join(thread, NULL);
	print_message("  %u changes\n", edits);
	judge_all();
	free(watcher.seen);
	spd_editor_close(editor);
	forget_all();
}

/* ------------------------------------------------------------------ by differences */

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

static __u32 whole_spds(void)
{
	struct xipsec_globals globals = {0};
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(c.dp.globals, &zero, &globals), 0);
	return globals.spd_generation;
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

static void any_address(struct xipsec_spd_rule *rule)
{
	rule->sel.family = XIPSEC_FAMILY_IP4;
	memset(&rule->sel.local_hi, 0xff, 4);
	memset(&rule->sel.remote_hi, 0xff, 4);
	rule->sel.local_port_hi = rule->sel.remote_port_hi = rule->sel.icmp_hi = 0xffff;
	rule->dirs = XIPSEC_DIR_OUT;
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

struct asked {
	unsigned int times;
	__u32 in_force; /* when it was asked */
	int answer;
};

static int ask(void *ctx)
{
	struct asked *asked = ctx;

	asked->times++;
	asked->in_force = spd_last_generation(&c.dp);
	return asked->answer;
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

	watcher.n = 0;
	atomic_store(&watcher.end, false);
	watcher.seen = calloc(SEEN_MAX, sizeof(watcher.seen[0]));
	assert_non_null(watcher.seen);
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(kept[0].rule, kept[0].n, &seed, &c.flow[i]);
	assert_int_equal(pthread_create(&thread, NULL, watch, NULL), 0);
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
	atomic_store(&watcher.end, true);
	pthread_join(thread, NULL);
	judge_all();
	free(watcher.seen);
	spd_editor_close(editor);
	forget_all();
}

/* ------------------------------------------------------------------ at one place */

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

	watcher.n = 0;
	atomic_store(&watcher.end, false);
	watcher.seen = calloc(SEEN_MAX, sizeof(watcher.seen[0]));
	assert_non_null(watcher.seen);
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(kept[0].rule, kept[0].n, &random, &c.flow[i]);
	assert_int_equal(pthread_create(&thread, NULL, watch, NULL), 0);
	for (unsigned int i = 0; i < 900; i++) {
		add_near(editor, COMES_BETWEEN, LIVE / 2, i, &random, &rule);
		built += whole_spds() != whole;
		whole = whole_spds();
		usleep(1000);
	}
	atomic_store(&watcher.end, true);
	pthread_join(thread, NULL);
	judge_all();
	assert_in_range(built, 0, BUILT_FOR_MEMORY);
	free(watcher.seen);
	spd_editor_close(editor);
	forget_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_change_by_change),
		cmocka_unit_test(test_open_again),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_stale_editor),
		cmocka_unit_test(test_while_packets_come),
		cmocka_unit_test(test_all_or_nothing),
		cmocka_unit_test(test_reload_by_differences),
		cmocka_unit_test(test_reload_keeps_rules_of_sas),
		cmocka_unit_test(test_whole_spd_carries_rules_of_sas),
		cmocka_unit_test(test_gone_and_back),
		cmocka_unit_test(test_same_comes_and_goes),
		cmocka_unit_test(test_ready_before_the_switch),
		cmocka_unit_test(test_too_different),
		cmocka_unit_test(test_counts_are_of_one_rule),
		cmocka_unit_test(test_place_outlives_entries),
		cmocka_unit_test(test_room_at_one_place),
		cmocka_unit_test(test_room_taken_back),
		cmocka_unit_test(test_room_among_same),
		cmocka_unit_test(test_room_while_packets_come),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
