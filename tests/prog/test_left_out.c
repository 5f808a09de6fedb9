// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a search passes over: rules that others stand in for, which must be found when those go, and
 * tables whose rules all come later than what was found, however many rules were put before them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <netinet/in.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "loader/classifier_inside.h"
#include "loader/spd_edit_inside.h"
#include "tests/lib/spd_generate.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"

#define LIVE  400
#define FLOWS 4096

static struct classify c;
static struct spd_editor *editor;
static __u64 seed;

static int setup(void **state)
{
	const char *text = getenv("XIPSEC_SEED");

	seed = text ? strtoull(text, NULL, 0) : (__u64)time(NULL);
	print_message("  XIPSEC_SEED=%llu\n", (unsigned long long)seed);
	classify_load(&c, FLOWS, CLASSIFY_TABLES);
	return 0;
}

static int teardown(void **state)
{
	spd_editor_close(editor);
	classify_end(&c);
	return 0;
}

static void start(enum spd_shape shape, __u32 n)
{
	struct xipsec_spd_rule *rule = calloc(n, sizeof(*rule));

	assert_non_null(rule);
	spd_generate(shape, &seed, rule, n);
	spd_editor_close(editor);
	classify_spd(&c, rule, n);
	assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 2 * n, &editor), 0);
	free(rule);
}

static __u32 whole_spds(void)
{
	struct xipsec_globals globals = {0};
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(c.dp.globals, &zero, &globals), 0);
	return globals.spd_generation;
}

/* The program says of flows at the borders of rules what the list says. */
static void compare(void)
{
	const struct classifier *memory = spd_editor_classifier(editor);
	__u32 n, *number = spd_editor_order(editor, &n);
	struct xipsec_spd_rule *rule = calloc(n + 1, sizeof(*rule));

	assert_non_null(rule);
	for (__u32 i = 0; i < n; i++)
		rule[i] = memory->rule[number[i]];
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(rule, n, &seed, &c.flow[i]);
	classify_run(&c, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++) {
		struct reference_answer want = reference_search(rule, n, &c.flow[i]);
		__u32 is = want.rule == ~0U ? ~0U : number[want.rule];

		if (c.answer[i].verdict != want.verdict || c.answer[i].rule != is)
			fail_msg("flow %u: rule %d instead of %d", i, (int)c.answer[i].rule,
				 (int)is);
	}
	free(rule);
	free(number);
}

/* The number of the first rule that others were left out for, NONE. */
static __u32 stand_in_first(void)
{
	const struct classifier *memory = spd_editor_classifier(editor);
	__u32 n, *number = spd_editor_order(editor, &n), found = NONE;

	for (__u32 i = 0; i < n && found == NONE; i++)
		if (memory->rule[number[i]].stands_for)
			found = number[i];
	free(number);
	return found;
}

/* Rules that others were left out for go, one by one and some at once, and one like it comes in the
 * same change: those others are found, and nothing is built anew but for want of memory. */
static void test_stand_ins_go(void **state)
{
	static const enum spd_shape shapes[] = {SHAPE_FW, SHAPE_CHAIN, SHAPE_PORTS, SHAPE_RANGES};
	__u32 all = 0, built = 0;

	for (unsigned int s = 0; s < 4; s++) {
		__u32 whole, generation, gone, times = 0;

		start(shapes[s], LIVE);
		for (; times < 60 && (gone = stand_in_first()) != NONE; times++) {
			struct spd_add like = {.rule = spd_editor_classifier(editor)->rule[gone],
					       .before = SPD_AT_END};

			whole = whole_spds();
			assert_int_equal(
				spd_edit(editor, &like, times % 3 == 2, &gone, 1, &generation), 0);
			built += whole_spds() != whole;
			compare();
		}
		print_message("  %s: %u went\n", spd_shape_name[shapes[s]], times);
		all += times;
	}
	print_message("  %u of %u built anew\n", built, all);
	assert_true(all > 20 && built < all / 4);
}

/* A rule for one DSCP stands in for no rule without: a later fragment with another finds that. */
static void test_stand_ins_have_the_dscp(void **state)
{
	struct xipsec_spd_rule rule[2] = {0};

	spd_generate(SHAPE_ACL, &seed, rule, 1);
	rule[0].action = XIPSEC_ACTION_BYPASS;
	rule[0].dirs = XIPSEC_DIR_BOTH;
	rule[0].dev = 0;
	rule[0].sel.opaque = 0;
	rule[0].sel.any_proto = 0;
	rule[0].sel.l4_proto = 17;
	rule[0].sel.local_port_lo = rule[0].sel.remote_port_lo = rule[0].sel.icmp_lo = 0;
	rule[0].sel.local_port_hi = rule[0].sel.remote_port_hi = rule[0].sel.icmp_hi = 65535;
	rule[1] = rule[0];
	rule[0].sel.dscp = 1ULL << 46;
	rule[1].sel.dscp = 0;
	spd_editor_close(editor);
	editor = NULL;
	classify_spd(&c, rule, 2);
	for (__u8 opaque = 0; opaque <= XIPSEC_OPAQUE_PORTS + XIPSEC_OPAQUE_PROTO; opaque++) {
		struct reference_answer want;

		flow_inside(&rule[1], &seed, &c.flow[0]);
		c.flow[0].dscp = 0;
		c.flow[0].opaque = opaque;
		if (opaque)
			c.flow[0].local_port = c.flow[0].remote_port = 0;
		want = reference_search(rule, 2, &c.flow[0]);
		classify_run(&c, 1);
		assert_int_equal(c.answer[0].verdict, want.verdict);
	}
}

/* So many entries of one hash and no more, for which a search has steps. */
static void test_chain_has_an_end(void **state)
{
	enum { MOST = 7 * (1 + 255) };
	struct classifier_size size = classifier_size(NULL, 0, 0);
	struct classifier one = {.head = calloc(1, sizeof(*one.head)),
				 .bucket = calloc(size.buckets + 512, sizeof(*one.bucket))};

	assert_true(one.head && one.bucket);
	size.buckets += 512;
	classifier_init(&one, &size);
	for (__u32 i = 0; i < MOST; i++)
		assert_int_equal(slot_put(&one, 0x123456789abcdefULL, i + 1, i), 0);
	assert_int_equal(slot_put(&one, 0x123456789abcdefULL, MOST + 1, MOST), -E2BIG);
	assert_int_equal(slots_count(&one, 0x123456789abcdefULL), MOST);
	free(one.head);
	free(one.bucket);
}

static int refuse(void *ctx)
{
	return -EPERM;
}

/* A change that is not to be: who stood for others does so still, and they can be found or not. */
static void test_stand_in_stays(void **state)
{
	const struct spd_ready ready = {refuse, NULL};
	__u32 generation, gone;

	start(SHAPE_PORTS, LIVE);
	gone = stand_in_first();
	assert_int_not_equal(gone, NONE);
	spd_editor_ready(editor, &ready);
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), -EPERM);
	compare();
	spd_editor_ready(editor, NULL);
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), 0);
	compare();
	/* nothing of it is left behind: its place is another's afterwards */
	assert_int_equal(spd_tidy(editor), 0);
	compare();
}

static bool was_in[2 * LIVE][XIPSEC_TABLES_MAX];

/* Does the table have the rule, under two keys or more? The second of them. */
static bool is_in(__u32 number, __u32 table, __u64 *second)
{
	const struct classifier *memory = &editor->memory.c;
	const struct xipsec_spd_rule *rule = &memory->rule[number];
	const struct xipsec_spd_table *t = &memory->head->table[table];
	struct shape shape = shape_of(&rule->sel, XIPSEC_FAMILY_IP4);
	struct keys keys;

	if (!rule->used || rule->sel.family == XIPSEC_FAMILY_IP6 || !shape_fits(t, &shape))
		return false;
	shape_keys(t, &shape, &keys);
	*second = keys.hash[1];
	return keys.n >= 2 && slot_has(memory, keys.hash[0], rule->priority, number) &&
	       slot_has(memory, keys.hash[1], rule->priority, number);
}

static void note_who_is_in(void)
{
	__u64 second;

	assert_true(editor->memory.c.head->rules_end <= 2 * LIVE);
	for (__u32 i = 0; i < editor->memory.c.head->rules_end; i++)
		for (__u32 t = 0; t < editor->memory.c.head->n_tables; t++)
			was_in[i][t] = is_in(i, t, &second);
}

/* Takes the second of its keys from a rule that was let in since. Which one, and where. */
static bool forget_half(__u32 *number, __u32 *table)
{
	struct classifier *memory = &editor->memory.c;
	__u64 second;

	for (__u32 i = 0; i < memory->head->rules_end; i++) {
		for (__u32 t = 0; t < memory->head->n_tables; t++) {
			if (was_in[i][t] || !is_in(i, t, &second))
				continue;
			slot_clear(memory, second, memory->rule[i].priority, i);
			*number = i;
			*table = t;
			return true;
		}
	}
	return false;
}

/* Who lets in a rule that was left out dies between two of its keys: the next one puts the rest. */
static void test_half_let_in(void **state)
{
	static const __u64 seeds[] = {7147, 7119,
				      7035}; /* SPDs where one is let in that has several */
	const struct spd_ready ready = {refuse, NULL};
	const __u64 before = seed;
	unsigned int times = 0;

	for (unsigned int s = 0; s < sizeof(seeds) / sizeof(seeds[0]); s++) {
		__u32 generation, n, *order, number, table;
		__u64 second;

		seed = seeds[s];
		start(SHAPE_RANGES, LIVE);
		order = spd_editor_order(editor, &n);
		for (__u32 i = 0; i < n; i++) {
			if (!spd_editor_classifier(editor)->rule[order[i]].stands_for)
				continue;
			note_who_is_in();
			spd_editor_ready(editor, &ready);
			assert_int_equal(spd_edit(editor, NULL, 0, &order[i], 1, &generation),
					 -EPERM);
			spd_editor_ready(editor, NULL);
			if (!forget_half(&number, &table))
				continue;
			assert_int_equal(spd_edit(editor, NULL, 0, &order[i], 1, &generation), 0);
			/* or one that was let in beside it stands in for it now */
			times += is_in(number, table, &second);
			compare();
			break;
		}
		free(order);
	}
	assert_true(times > 0);
	seed = before;
}

/* A rule of which only some keys fit is taken back whole: its place and priority are known. */
static void test_half_put(void **state)
{
	const struct spd_ready no = {refuse, NULL};
	struct classifier *memory;
	unsigned int times = 0;

	start(SHAPE_RANGES, LIVE);
	memory = &editor->memory.c;
	for (unsigned int i = 0; i < 64 && times < 4; i++) {
		__u32 generation, n, *order = spd_editor_order(editor, &n);
		struct spd_add add = {.rule = memory->rule[order[i]], .before = order[n / 2]};
		struct shape shape = shape_of(&add.rule.sel, XIPSEC_FAMILY_IP4);
		struct keys keys = {0};

		free(order);
		for (__u32 t = 0; t < memory->head->n_tables && keys.n < 2; t++)
			if (shape_fits(&memory->head->table[t], &shape))
				shape_keys(&memory->head->table[t], &shape, &keys);
		if (keys.n < 2 || add.rule.sel.family != XIPSEC_FAMILY_IP4)
			continue;
		for (__u32 k = 0; !slot_put(memory, keys.hash[1], ~0U, k); k++)
			;
		spd_editor_ready(editor, &no);
		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), -EPERM);
		spd_editor_ready(editor, NULL);
		for (__u32 r = 0; r < memory->head->rules_end; r++) {
			bool known = !memory->rule[r].used || !memory->rule[r].dies;

			for (unsigned int p = 0; p < editor->n_pending; p++)
				known = known || editor->pending[p] == r;
			assert_true(known);
			times += memory->rule[r].used && memory->rule[r].dies;
		}
		for (__u32 k = 0; k < 4 * LIVE; k++)
			slot_clear(memory, keys.hash[1], ~0U, k);
	}
	print_message("  %u left for the next tidying\n", times);
	assert_true(times > 0);
}

static unsigned int halves;

static int half_is_taken_back(void *ctx)
{
	halves += editor->n_moves > 1;
	editor->n_moves /= 2;
	return -EPERM;
}

/* A change for which rules have made room is refused, and who takes that back dies when half of
 * them are back in their places. Whoever edits next finds the list of before. */
static void test_dies_while_taking_back(void **state)
{
	const struct spd_ready ready = {half_is_taken_back, NULL};
	int status, died = 0;

	start(SHAPE_CHAIN, LIVE);
	for (unsigned int i = 0; i < 60; i++) {
		__u32 n, m, generation, *before = spd_editor_order(editor, &n), *after;
		struct spd_add add = {.rule = spd_editor_classifier(editor)->rule[before[i]],
				      .before = before[LIVE / 2]};
		pid_t child = fork();

		if (!child) {
			spd_editor_ready(editor, &ready);
			spd_edit(editor, &add, 1, NULL, 0, &generation);
			_exit(halves > 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		assert_true(WIFEXITED(status));
		died += WEXITSTATUS(status);
		spd_editor_close(editor);
		assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 2 * LIVE, &editor), 0);
		after = spd_editor_order(editor, &m);
		assert_int_equal(m, n);
		assert_memory_equal(after, before, n * sizeof(*before));
		compare();
		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
		compare();
		free(before);
		free(after);
	}
	print_message("  %d died\n", died);
	assert_true(died > 2);
}

/* Tables that the flows were looked up in, of all of them. */
static __u64 tables_looked_at(void)
{
	__u64 sum = 0;

	classify_run(&c, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++)
		sum += c.answer[i].tables;
	return sum;
}

/* Rules in front of all, as they come with children: packets that they do not match stop where they
 * stopped before, but for the tables of those rules. */
static void test_front_rules_stop_no_search_late(void **state)
{
	enum { N = 20000, ADDED = 50 };
	__u64 before, after;

	start(SHAPE_FW, N);
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_inside(&c.memory.c.rule[random_next(&seed) % N], &seed, &c.flow[i]);
	before = tables_looked_at();
	for (unsigned int i = 0; i < ADDED; i++) {
		__u32 n, generation, *number = spd_editor_order(editor, &n);
		struct spd_add add = {.rule = c.memory.c.rule[number[n - 1 - i]],
				      .before = number[0]};

		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
		free(number);
	}
	after = tables_looked_at();
	print_message("  %llu tables, %llu afterwards\n", (unsigned long long)before,
		      (unsigned long long)after);
	assert_true(after < before + before / 2);
}

/* Nested prefixes, each pair of lengths with ports of its own, until there are no more tables; then
 * rules of each kind that only the tables for all can take. */
static void test_tables_for_all_are_kept(void **state)
{
	enum { SIDE = 29, N = SIDE * SIDE, WIDE = 4 };
	struct xipsec_spd_rule *rule = calloc(N + WIDE, sizeof(*rule));

	assert_non_null(rule);
	for (__u32 i = 0; i < N + WIDE; i++) {
		struct xipsec_selector *sel = &rule[i].sel;
		__u32 local = 32 - i / SIDE, remote = 32 - i % SIDE;
		__u32 local_host = i < N ? local < 32 ? ~0U >> local : 0 : ~0U;
		__u32 remote_host = i < N ? remote < 32 ? ~0U >> remote : 0 : ~0U;

		rule[i].action = i % 2 ? XIPSEC_ACTION_BYPASS : XIPSEC_ACTION_DISCARD;
		rule[i].dirs = XIPSEC_DIR_BOTH;
		sel->family = XIPSEC_FAMILY_IP4;
		sel->local_lo.word[0] = htonl(0x0a010101 & ~local_host);
		sel->local_hi.word[0] = htonl(0x0a010101 | local_host);
		sel->remote_lo.word[0] = htonl(0x0a020202 & ~remote_host);
		sel->remote_hi.word[0] = htonl(0x0a020202 | remote_host);
		sel->l4_proto = IPPROTO_TCP;
		sel->local_port_lo = sel->local_port_hi = (__u16)(1000 + i);
		sel->remote_port_hi = sel->icmp_hi = 65535;
	}
	/* whole packets of a protocol; what hides its ports; what hides its protocol; all there is
	 */
	rule[N].sel.local_port_lo = rule[N + 1].sel.local_port_lo = 0;
	rule[N].sel.local_port_hi = rule[N + 1].sel.local_port_hi = 65535;
	rule[N + 1].sel.opaque = XIPSEC_OPAQUE_PORTS;
	for (__u32 i = N + 2; i < N + WIDE; i++) {
		rule[i].sel.any_proto = 1;
		rule[i].sel.local_port_lo = 0;
		rule[i].sel.local_port_hi = 65535;
	}
	rule[N + 2].sel.opaque = XIPSEC_OPAQUE_PROTO;
	spd_editor_close(editor);
	editor = NULL;
	classify_spd(&c, rule, N + WIDE);
	/* and no more of the general kind: those that are left are kept for families of their own
	 */
	assert_true(c.memory.c.head->n_tables > XIPSEC_TABLES_MAX - 8);
	assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 2 * N, &editor), 0);
	compare();
	free(rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stand_ins_go),
		cmocka_unit_test(test_stand_ins_have_the_dscp),
		cmocka_unit_test(test_chain_has_an_end),
		cmocka_unit_test(test_stand_in_stays),
		cmocka_unit_test(test_half_let_in),
		cmocka_unit_test(test_half_put),
		cmocka_unit_test(test_dies_while_taking_back),
		cmocka_unit_test(test_front_rules_stop_no_search_late),
		cmocka_unit_test(test_tables_for_all_are_kept),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
