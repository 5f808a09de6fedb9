/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every SPD that was in force, kept whole. Each answer names the generation that it is right for,
 * and must be the list's answer of that generation: never a third.
 */
#ifndef TESTS_PROG_KEPT_H
#define TESTS_PROG_KEPT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>
#include "loader/spd_change.h"
#include "loader/spd_edit_inside.h"
#include "tests/lib/spd_generate.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"

#define LIVE  300 /* rules at a time, about */
#define KEPT  4096
#define FLOWS 1024

struct kept {
	struct xipsec_spd_rule *rule;
	__u32 *number;
	__u32 n;
};

static struct classify c;
static struct kept kept[KEPT];
static __u64 seed;
static __u32 base; /* generation of kept[0] */

static inline int setup(void **state)
{
	const char *text = getenv("XIPSEC_SEED");

	seed = text ? strtoull(text, NULL, 0) : (__u64)time(NULL);
	print_message("  XIPSEC_SEED=%llu\n", (unsigned long long)seed);
	classify_load(&c, FLOWS, CLASSIFY_CACHED);
	return 0;
}

static inline int teardown(void **state)
{
	classify_end(&c);
	return 0;
}

static inline void keep(const struct spd_editor *editor, __u32 generation)
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

static inline void forget_all(void)
{
	for (unsigned int i = 0; i < KEPT; i++) {
		free(kept[i].rule);
		free(kept[i].number);
	}
	memset(kept, 0, sizeof(kept));
}

static inline const char *judge(const struct xipsec_flow *flow, const struct spd_found *found)
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

static inline struct spd_editor *editor_start(enum spd_shape shape)
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

static inline void judge_flows(void)
{
	classify_run(&c, FLOWS);
	for (unsigned int i = 0; i < FLOWS; i++) {
		const char *fault = judge(&c.flow[i], &c.answer[i]);

		if (fault)
			fail_msg("generation %u, flow %u: %s", c.answer[i].generation, i, fault);
	}
}

static inline void run_flows(const struct kept *list)
{
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(list->rule, list->n, &seed, &c.flow[i]);
	judge_flows();
}

static inline __u32 whole_spds(void)
{
	struct xipsec_globals globals = {0};
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(c.dp.globals, &zero, &globals), 0);
	return globals.spd_generation;
}

static inline void any_address(struct xipsec_spd_rule *rule)
{
	rule->sel.family = XIPSEC_FAMILY_IP4;
	memset(&rule->sel.local_hi, 0xff, 4);
	memset(&rule->sel.remote_hi, 0xff, 4);
	rule->sel.local_port_hi = rule->sel.remote_port_hi = rule->sel.icmp_hi = 0xffff;
	rule->dirs = XIPSEC_DIR_OUT;
}

struct asked {
	unsigned int times;
	__u32 in_force; /* when it was asked */
	int answer;
};

static inline int ask(void *ctx)
{
	struct asked *asked = ctx;

	asked->times++;
	asked->in_force = spd_last_generation(&c.dp);
	return asked->answer;
}

/* ------------------------------------------------------------------ packets all the while */

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
static inline void *watch(void *arg)
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

static inline void judge_all(void)
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

/* Packets of the first list from now on. */
static inline pthread_t watch_begin(__u64 *random)
{
	pthread_t thread;

	watcher.n = 0;
	atomic_store(&watcher.end, false);
	watcher.seen = calloc(SEEN_MAX, sizeof(watcher.seen[0]));
	assert_non_null(watcher.seen);
	for (unsigned int i = 0; i < FLOWS; i++)
		flow_generate(kept[0].rule, kept[0].n, random, &c.flow[i]);
	assert_int_equal(pthread_create(&thread, NULL, watch, NULL), 0);
	return thread;
}

/* No more; each is judged. */
static inline void watch_end(pthread_t thread)
{
	atomic_store(&watcher.end, true);
	pthread_join(thread, NULL);
	judge_all();
	free(watcher.seen);
}

#endif
