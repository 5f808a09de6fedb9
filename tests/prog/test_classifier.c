// SPDX-License-Identifier: BSD-2-Clause
/*
 * The classifier against the list: generated SPDs, packets at the borders of their rules, the real
 * BPF code and the reference of tests/lib; not one difference.
 *
 * XIPSEC_COMPARE=N: so many comparisons in all (500000). XIPSEC_SEED=N: the run that printed it.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <sys/resource.h>
#include <time.h>
#include "tests/lib/spd_generate.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"

static struct classify c;
static __u64 seed;
static __u64 wanted, compared;

struct row {
	enum spd_shape shape;
	__u32 n;
	__u32 share; /* of the comparisons, per thousand */
};

/* A long list takes the reference long: those get fewer packets. */
static const struct row rows[] = {
	{SHAPE_ACL, 10, 60},       {SHAPE_FW, 10, 70},       {SHAPE_CHAIN, 10, 60},
	{SHAPE_MESH, 10, 30},      {SHAPE_NESTED, 10, 80},   {SHAPE_NESTED, 300, 86},
	{SHAPE_PORTS, 100, 80},    {SHAPE_PORTS, 2000, 20},  {SHAPE_BITS, 150, 60},
	{SHAPE_ACL, 1000, 50},     {SHAPE_FW, 1000, 50},     {SHAPE_CHAIN, 1000, 50},
	{SHAPE_MESH, 1000, 30},    {SHAPE_ACL, 10000, 4},    {SHAPE_FW, 10000, 4},
	{SHAPE_RANGES, 10, 60},    {SHAPE_RANGES, 200, 60},  {SHAPE_RANGES, 3000, 6},
	{SHAPE_WIDE, 10, 60},      {SHAPE_WIDE, 300, 60},    {SHAPE_WIDE, 3000, 6},
	{SHAPE_CHAIN, 10000, 4},   {SHAPE_NESTED, 3000, 4},  {SHAPE_ACL, 100000, 1},
	{SHAPE_FW, 100000, 1},     {SHAPE_CHAIN, 100000, 1}, {SHAPE_MESH, 100000, 1},
	{SHAPE_RANGES, 100000, 1}, {SHAPE_WIDE, 100000, 1},
};

static __u64 number_of(const char *name, __u64 otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 0) : otherwise;
}

static int setup(void **state)
{
	wanted = number_of("XIPSEC_COMPARE", getenv("XIPSEC_SLOW") ? 20000 : 500000);
	seed = number_of("XIPSEC_SEED", (__u64)time(NULL));
	print_message("  XIPSEC_SEED=%llu\n", (unsigned long long)seed);
	classify_load(&c, CLASSIFY_FLOWS, CLASSIFY_CACHED);
	return 0;
}

static int teardown(void **state)
{
	print_message("  %llu comparisons\n", (unsigned long long)compared);
	classify_end(&c);
	return 0;
}

static void flow_print(const struct xipsec_flow *flow)
{
	print_message("  dir %u family %u local %08x %08x remote %08x %08x proto %u ports %u %u "
		      "icmp %04x opaque %u dscp %u dev %u\n",
		      flow->dir, flow->family, ntohl(flow->local.word[0]),
		      ntohl(flow->local.word[3]), ntohl(flow->remote.word[0]),
		      ntohl(flow->remote.word[3]), flow->l4_proto, flow->local_port,
		      flow->remote_port, flow->icmp, flow->opaque, flow->dscp, flow->dev);
}

/* Rules keep their order of numbers in a fresh SPD, so the number is the place in the list. */
static void compare(const char *name, const struct xipsec_spd_rule *rule, __u32 n,
		    const struct xipsec_flow *flow, const struct spd_found *found)
{
	struct reference_answer want = reference_search(rule, n, flow);

	compared++;
	if (found->verdict == want.verdict && found->child == want.child &&
	    found->rule == want.rule)
		return;
	flow_print(flow);
	fail_msg("%s, %u rules: verdict %u child %u rule %d, the list says %u, %u, %d", name, n,
		 found->verdict, found->child, (int)found->rule, want.verdict, want.child,
		 (int)want.rule);
}

static void run_row(const struct row *row)
{
	struct xipsec_spd_rule *rule = calloc(row->n, sizeof(*rule));
	__u64 left = wanted * row->share / 1000;
	__u64 tables = 0, n = left;

	assert_non_null(rule);
	spd_generate(row->shape, &seed, rule, row->n);
	classify_spd(&c, rule, row->n);
	while (left) {
		__u32 batch = left < CLASSIFY_FLOWS ? (__u32)left : CLASSIFY_FLOWS;

		for (__u32 i = 0; i < batch; i++)
			flow_generate(rule, row->n, &seed, &c.flow[i]);
		memset(c.answer, 0xff, batch * sizeof(*c.answer));
		classify_run(&c, batch);
		for (__u32 i = 0; i < batch; i++) {
			compare(spd_shape_name[row->shape], rule, row->n, &c.flow[i], &c.answer[i]);
			tables += c.answer[i].tables;
		}
		left -= batch;
	}
	print_message("  %-6s %6u rules, %3u tables, %5.1f looked at, %llu packets\n",
		      spd_shape_name[row->shape], row->n, c.memory.c.head->n_tables,
		      n ? (double)tables / (double)n : 0, (unsigned long long)n);
	free(rule);
}

static void test_against_the_list(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i]);
}

/* As if there were no file descriptor left; 0: as before. */
static void files_limit(rlim_t most)
{
	static struct rlimit before;
	struct rlimit now;

	if (most)
		assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	now = before;
	now.rlim_cur = most ? most : before.rlim_cur;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
}

static rlim_t next_file(void)
{
	int fd = dup(0);

	assert_true(fd >= 0);
	close(fd);
	return (rlim_t)fd;
}

/* Of `rule`, which passes: a switch to one that drops fails, and is none. */
static void assert_switch_fails(struct xipsec_spd_rule *rule, const struct datapath *dp,
				bool no_files)
{
	struct spd_source source = {.rule = rule, .n_rules = 1};
	__u32 generation = 4711, before;
	struct spd_memory memory;
	int err;

	rule->action = XIPSEC_ACTION_BYPASS;
	classify_spd(&c, rule, 1);
	before = c.memory.c.head->generation;
	rule->action = XIPSEC_ACTION_DISCARD;
	assert_int_equal(spd_build(bpf_object__btf(c.skel->obj), &source, &memory), 0);
	if (no_files)
		files_limit(next_file());
	err = spd_switch(dp, &memory, &generation);
	if (no_files)
		files_limit(0);
	assert_true(err < 0);
	assert_int_equal(generation, 4711);
	spd_memory_close(&memory);
	classify_run(&c, 1);
	assert_int_equal(c.answer[0].verdict, REFERENCE_BYPASS);
	assert_int_equal(c.answer[0].generation, before);
}

/* Something that a switch needs is not there: the SPD before stays in force, in whichever of the
 * two places its maps are. */
static void test_a_switch_that_fails(void **state)
{
	struct datapath dp = c.dp;
	struct xipsec_spd_rule rule;

	spd_generate(SHAPE_MESH, &seed, &rule, 1);
	flow_inside(&rule, &seed, &c.flow[0]);
	for (unsigned int i = 0; i < 2; i++) {
		assert_switch_fails(&rule, &c.dp, true);
		dp.globals = -1;
		assert_switch_fails(&rule, &dp, false);
		dp = c.dp;
		dp.spd_rules_of = -1;
		assert_switch_fails(&rule, &dp, false);
		dp = c.dp;
		classify_spd(&c, &rule, 1); /* the other place */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_switch_that_fails),
		cmocka_unit_test(test_against_the_list),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
