// SPDX-License-Identifier: BSD-2-Clause
/*
 * The flow cache: what it remembers and until when. A flow that came from the cache looked at no
 * table, which is how it is told here.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sched.h>
#include "loader/spd_edit_inside.h"
#include "tests/lib/spd_generate.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"

#define RULES 4

static struct classify c;
static struct xipsec_spd_rule rule[RULES];
static struct spd_editor *editor;

static void rule_net(struct xipsec_spd_rule *to, __u32 remote, __u8 action)
{
	memset(to, 0, sizeof(*to));
	to->action = action;
	to->dirs = 3;
	to->sel = (struct xipsec_selector){.family = XIPSEC_FAMILY_IP4,
					   .any_proto = 1,
					   .local_port_hi = 65535,
					   .remote_port_hi = 65535,
					   .icmp_hi = 65535};
	to->sel.local_hi.word[0] = htonl(0xffffffff);
	to->sel.remote_lo.word[0] = htonl(remote);
	to->sel.remote_hi.word[0] = htonl(remote | 0xffff);
}

/* 10.0/16 and 10.1/16 pass, 10.2/16 is dropped, 10.3/16 passes. */
static int setup(void **state)
{
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0); /* a CPU, a cache */
	classify_load(&c, CLASSIFY_FLOWS, CLASSIFY_CACHED);
	for (__u32 i = 0; i < RULES; i++)
		rule_net(&rule[i], 0x0a000000 + (i << 16),
			 i == 2 ? XIPSEC_ACTION_DISCARD : XIPSEC_ACTION_BYPASS);
	return 0;
}

static int teardown(void **state)
{
	classify_end(&c);
	return 0;
}

static void spd_start(void)
{
	spd_editor_close(editor);
	classify_spd(&c, rule, RULES);
	assert_int_equal(spd_editor_open(&c.dp, NULL, NULL, 1000, &editor), 0);
}

static void flow_to(struct xipsec_flow *flow, __u32 remote)
{
	memset(flow, 0, sizeof(*flow));
	flow->family = XIPSEC_FAMILY_IP4;
	flow->dir = XIPSEC_DIR_OUT;
	flow->l4_proto = IPPROTO_UDP;
	flow->local.word[0] = htonl(0xc0000201);
	flow->remote.word[0] = htonl(remote);
}

static struct spd_found ask(__u32 remote)
{
	flow_to(&c.flow[0], remote);
	classify_run(&c, 1);
	return c.answer[0];
}

static bool known(__u32 remote)
{
	return ask(remote).tables == 0;
}

/* Of CPU 0, where all runs. */
static struct xipsec_flow_stats stats(void)
{
	int fd = bpf_map__fd(c.skel->maps.flow_stats), cpus = libbpf_num_possible_cpus();
	struct xipsec_flow_stats *values = calloc((size_t)cpus, sizeof(*values)), of_all = {0};
	__u32 zero = 0;

	assert_int_equal(bpf_map_lookup_elem(fd, &zero, values), 0);
	for (int i = 0; i < cpus; i++) {
		of_all.hits += values[i].hits;
		of_all.misses += values[i].misses;
	}
	free(values);
	return of_all;
}

#define A 0x0a000005U
#define B 0x0a010005U

static void test_second_packet_is_known(void **state)
{
	struct spd_found first, second;

	spd_start();
	first = ask(A);
	second = ask(A);
	assert_true(first.tables > 0);
	assert_int_equal(second.tables, 0);
	assert_int_equal(second.verdict, first.verdict);
	assert_int_equal(second.rule, 0);
	assert_int_equal(second.generation, first.generation);
	/* one bit of any field is another flow */
	for (unsigned int bit = 0; bit < sizeof(struct xipsec_flow) * 8; bit++) {
		flow_to(&c.flow[0], A);
		((__u8 *)&c.flow[0])[bit / 8] ^= (__u8)(1 << bit % 8);
		if (c.flow[0].family != XIPSEC_FAMILY_IP4)
			continue;
		classify_run(&c, 1);
		if (c.answer[0].tables == 0 && c.answer[0].rule != ~0U)
			fail_msg("bit %u is not looked at", bit);
	}
}

/* Hits and misses, each look-up one of them: new flows, known ones, ones that no rule takes, ones
 * whose answer a change made old, and not those whose answer it left alone. */
static void test_counted(void **state)
{
	struct spd_add mine = {.before = 0};
	struct xipsec_flow_stats before, after;
	__u32 generation;

	spd_start();
	before = stats();
	ask(A), ask(B), ask(0x63000000);
	after = stats();
	assert_int_equal(after.misses - before.misses, 3);
	assert_int_equal(after.hits, before.hits);
	ask(A), ask(A), ask(B), ask(0x63000000);
	before = after, after = stats();
	assert_int_equal(after.hits - before.hits, 4);
	assert_int_equal(after.misses, before.misses);
	rule_net(&mine.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &mine, 1, NULL, 0, &generation), 0);
	ask(A), ask(B), ask(A);
	before = after, after = stats();
	assert_int_equal(after.hits - before.hits, 2);
	assert_int_equal(after.misses - before.misses, 1);
}

/* A rule that cannot match the flow comes and goes: still known. One that can: looked up. */
static void test_changes_of_others(void **state)
{
	struct spd_add other = {.before = SPD_AT_END}, mine = {.before = 0};
	__u32 generation, gone;
	struct spd_found found;

	spd_start();
	ask(A), ask(B);
	rule_net(&other.rule, 0x0a630000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &other, 1, NULL, 0, &generation), 0);
	found = ask(A);
	assert_int_equal(found.tables, 0);
	assert_int_equal(found.generation, generation);
	rule_net(&mine.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	mine.rule.sel.remote_lo.word[0] = mine.rule.sel.remote_hi.word[0] = htonl(A);
	assert_int_equal(spd_edit(editor, &mine, 1, NULL, 0, &generation), 0);
	found = ask(A);
	assert_true(found.tables > 0);
	assert_int_equal(found.verdict, REFERENCE_DISCARD);
	assert_true(known(B));
	gone = mine.number;
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), 0);
	assert_true(known(B));
	found = ask(A);
	assert_true(found.tables > 0);
	assert_int_equal(found.verdict, REFERENCE_BYPASS);
	assert_true(known(A));
	gone = other.number;
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), 0);
	assert_true(known(A) && known(B));
}

/* A rule of another interface, of another DSCP: it cannot match the flow, which stays known. */
static void test_changes_of_other_kinds(void **state)
{
	struct spd_add of_dev = {.before = 0}, of_dscp = {.before = 0};
	__u32 generation;

	spd_start();
	ask(A);
	rule_net(&of_dev.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	of_dev.rule.dev = 7;
	assert_int_equal(spd_edit(editor, &of_dev, 1, NULL, 0, &generation), 0);
	assert_true(known(A));
	rule_net(&of_dscp.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	of_dscp.rule.sel.dscp = 1ULL << 46;
	assert_int_equal(spd_edit(editor, &of_dscp, 1, NULL, 0, &generation), 0);
	assert_true(known(A));
	/* those that they are for are looked up */
	flow_to(&c.flow[0], A);
	c.flow[0].dev = 7;
	classify_run(&c, 1);
	assert_int_equal(c.answer[0].verdict, REFERENCE_DISCARD);
	flow_to(&c.flow[0], A);
	c.flow[0].dscp = 46;
	classify_run(&c, 1);
	assert_int_equal(c.answer[0].verdict, REFERENCE_DISCARD);
}

/* A change that is larger than the log overwrites itself before it is published: what happened
 * before is not in the log any more, and the flow is looked up. */
static void test_log_overwrites_itself(void **state)
{
	struct spd_add mine = {.before = 0};
	struct classifier *memory;
	struct spd_found found;
	__u32 generation;

	spd_start();
	ask(A);
	rule_net(&mine.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &mine, 1, NULL, 0, &generation), 0);
	memory = (struct classifier *)spd_editor_classifier(editor);
	for (unsigned int i = 0; i < 2 * XIPSEC_CHANGES; i++)
		classifier_log(memory, 3, generation + 1);
	found = ask(A);
	assert_true(found.tables > 0);
	assert_int_equal(found.verdict, REFERENCE_DISCARD);
}

/* The log holds 64 changes: who was not met for longer is looked up, and rightly so. */
static void test_log_runs_over(void **state)
{
	struct spd_add add = {.before = SPD_AT_END}, first = {.before = 0};
	__u32 generation;

	spd_start();
	ask(A), ask(B);
	rule_net(&first.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &first, 1, NULL, 0, &generation), 0);
	for (unsigned int i = 0; i < XIPSEC_CHANGES - 1; i++) {
		if (i == XIPSEC_CHANGES - 2)
			assert_true(known(B));
		rule_net(&add.rule, 0x0b000000 + (i << 16), XIPSEC_ACTION_DISCARD);
		assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	}
	/* 64 changes ago: just inside. One more, and the rule that hides A is out of the log. */
	rule_net(&add.rule, 0x0c000000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	assert_int_equal(ask(A).verdict, REFERENCE_DISCARD);
	assert_true(known(B));
}

/* Another SPD, or a place that was given to another rule: nothing is known any more that was not
 * asked since. */
static void test_what_forgets(void **state)
{
	struct spd_add add = {.before = 0};
	__u32 generation, gone;

	spd_start();
	ask(A), ask(B);
	spd_start();
	assert_false(known(A));
	assert_true(known(A));
	rule_net(&add.rule, 0x0a000000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	assert_int_equal(ask(A).verdict, REFERENCE_DISCARD);
	gone = add.number;
	assert_int_equal(spd_edit(editor, NULL, 0, &gone, 1, &generation), 0);
	assert_int_equal(spd_tidy(editor), 0);
	/* the same place in the log's memory, another rule: A was last known under the old one */
	rule_net(&add.rule, 0x0d000000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &add, 1, NULL, 0, &generation), 0);
	assert_int_equal(add.number, gone);
	assert_int_equal(ask(A).verdict, REFERENCE_BYPASS);
}

/* Of flows that pass and were met twice, none is evicted by half a million strangers. */
static void test_scan(void **state)
{
	enum { KNOWN = 2000, BATCHES = 8 };
	__u32 lost = 0;

	spd_start();
	for (unsigned int turn = 0; turn < 4; turn++) {
		for (__u32 i = 0; i < KNOWN; i++)
			flow_to(&c.flow[i], 0x0a010000 + i);
		classify_run(&c, KNOWN);
	}
	for (__u32 batch = 0; batch < BATCHES; batch++) {
		/* dropped by a rule, dropped by none; each twice */
		for (__u32 i = 0; i < CLASSIFY_FLOWS; i++) {
			flow_to(&c.flow[i], batch % 2 ? 0x0a020000 + i : 0x63000000 + batch);
			c.flow[i].local_port = (__u16)i;
			c.flow[i].remote_port = (__u16)batch;
		}
		classify_run(&c, CLASSIFY_FLOWS);
		classify_run(&c, CLASSIFY_FLOWS);
	}
	for (__u32 i = 0; i < KNOWN; i++)
		flow_to(&c.flow[i], 0x0a010000 + i);
	classify_run(&c, KNOWN);
	for (__u32 i = 0; i < KNOWN; i++)
		lost += c.answer[i].tables != 0;
	print_message("  %u of %u flows lost to the scan\n", lost, KNOWN);
	/* More than three that share a set take turns; 2,000 in 8,192 sets hardly do. */
	assert_true(lost < KNOWN / 100);
}

/* Flows to `net` from different ports, each once; `from` tells one batch from another. */
static void strangers(__u32 net, __u32 from)
{
	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++) {
		flow_to(&c.flow[i], net + (from << 8 & 0xff00));
		c.flow[i].local_port = (__u16)i;
		c.flow[i].remote_port = (__u16)from;
	}
	classify_run(&c, CLASSIFY_FLOWS);
}

static void keep_flows(__u32 net, __u32 n, unsigned int turns)
{
	for (__u32 i = 0; i < n; i++)
		flow_to(&c.flow[i], net + i);
	while (turns--)
		classify_run(&c, n);
}

static __u32 flows_lost(__u32 n)
{
	__u32 lost = 0;

	for (__u32 i = 0; i < n; i++)
		lost += c.answer[i].tables != 0;
	return lost;
}

/* Strangers that pass, a million, each once: flows that were met twice are known afterwards, though
 * none of them was met in between, and a rule came in between that is not theirs. */
static void test_scan_of_what_passes(void **state)
{
	enum { KNOWN = 2000, BATCHES = 16 };
	struct spd_add other = {.before = SPD_AT_END};
	struct xipsec_flow_stats before, after;
	__u32 generation, lost;

	spd_start();
	keep_flows(0x0a010000, KNOWN, 4);
	rule_net(&other.rule, 0x0a630000, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd_edit(editor, &other, 1, NULL, 0, &generation), 0);
	before = stats();
	for (__u32 batch = 0; batch < BATCHES; batch++)
		strangers(0x0a030000, batch);
	after = stats();
	assert_int_equal(after.misses - before.misses, BATCHES * CLASSIFY_FLOWS);
	assert_int_equal(c.answer[CLASSIFY_FLOWS - 1].verdict, REFERENCE_BYPASS);
	keep_flows(0x0a010000, KNOWN, 1);
	lost = flows_lost(KNOWN);
	print_message("  %u of %u flows lost to a million that pass\n", lost, KNOWN);
	assert_true(lost < KNOWN / 100);
}

/* Each of them `times` times, one after another. */
static void strangers_of_few(__u32 net, __u32 from, unsigned int times)
{
	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++) {
		flow_to(&c.flow[i], net + (from << 8 & 0xff00));
		c.flow[i].local_port = (__u16)(i / times);
		c.flow[i].remote_port = (__u16)from;
	}
	classify_run(&c, CLASSIFY_FLOWS);
}

/* Strangers that pass, of as many packets as the flows that are kept, up to the count that is kept:
 * they take nothing from these, though none of them is met in between. */
static void test_scan_of_few_packets(void **state)
{
	static const unsigned int packets[] = {2, 4, XIPSEC_CACHED_MET};
	enum { KNOWN = 2000, BATCHES = 16 };

	for (unsigned int i = 0; i < 3; i++) {
		__u32 lost;

		spd_start();
		keep_flows(0x0a010000, KNOWN, packets[i]);
		for (__u32 batch = 0; batch < packets[i] * BATCHES; batch++)
			strangers_of_few(0x0a030000, batch, packets[i]);
		keep_flows(0x0a010000, KNOWN, 1);
		lost = flows_lost(KNOWN);
		print_message("  %u of %u flows lost to a million of %u packets\n", lost, KNOWN,
			      packets[i]);
		assert_true(lost < KNOWN / 50);
	}
}

/* What is dropped takes nothing from what is kept, however many packets it has. */
static void test_scan_of_what_is_dropped(void **state)
{
	enum { KNOWN = 2000, BATCHES = 64, PACKETS = 40 };
	__u32 lost;

	spd_start();
	keep_flows(0x0a010000, KNOWN, 4);
	for (__u32 batch = 0; batch < BATCHES; batch++)
		strangers_of_few(0x0a020000, batch, PACKETS);
	assert_int_equal(c.answer[0].verdict, REFERENCE_DISCARD);
	keep_flows(0x0a010000, KNOWN, 1);
	lost = flows_lost(KNOWN);
	print_message("  %u of %u flows lost to what is dropped\n", lost, KNOWN);
	assert_true(lost < KNOWN / 50);
}

/* Flows that had many packets and have none any more give way to others that come often. */
static void test_old_flows_give_way(void **state)
{
	enum { NEW = XIPSEC_CACHED_SETS };
	__u32 lost;

	spd_start();
	keep_flows(0x0a010000, 4 * XIPSEC_CACHED_SETS, 80);
	keep_flows(0x0a030000, NEW, 160);
	lost = flows_lost(NEW);
	print_message("  %u of %u flows not kept after old ones\n", lost, NEW);
	assert_true(lost < NEW / 5);
}

/* A cache full of what is gone is no use: of new flows that take turns, more of them than a set
 * has places, those are kept that fit. */
static void test_newcomers_come_in(void **state)
{
	enum { NEW = 5 * XIPSEC_CACHED_SETS };
	__u32 lost;

	spd_start();
	strangers(0x0a030000, 0);
	keep_flows(0x0a010000, NEW, 40);
	lost = flows_lost(NEW);
	print_message("  %u of %u flows not kept, of 5 for 4 places\n", lost, NEW);
	assert_true(lost < NEW / 2);
}

/* Half written by somebody else: not believed. */
static void test_torn_entry(void **state)
{
	int fd = bpf_map__fd(c.skel->maps.flow_cache), cpus = libbpf_num_possible_cpus();
	struct xipsec_cached_set *sets = calloc((size_t)cpus, sizeof(*sets));
	unsigned int torn = 0;

	spd_start();
	ask(A);
	assert_true(known(A));
	for (__u32 at = 0; at < XIPSEC_CACHED_SETS; at++) {
		assert_int_equal(bpf_map_lookup_elem(fd, &at, sets), 0);
		for (unsigned int i = 0; i < 4; i++) {
			struct xipsec_cached *cached = &sets[0].kept[0] + i;

			if (cached->flow.remote.word[0] != htonl(A) ||
			    cached->generation != c.memory.c.head->generation)
				continue;
			cached->verdict = SPD_DISCARD;
			torn++;
			assert_int_equal(bpf_map_update_elem(fd, &at, sets, BPF_ANY), 0);
		}
	}
	free(sets);
	assert_int_equal(torn, 1);
	assert_int_equal(ask(A).verdict, REFERENCE_BYPASS);
	spd_editor_close(editor);
	editor = NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_second_packet_is_known),
		cmocka_unit_test(test_counted),
		cmocka_unit_test(test_changes_of_others),
		cmocka_unit_test(test_changes_of_other_kinds),
		cmocka_unit_test(test_log_runs_over),
		cmocka_unit_test(test_log_overwrites_itself),
		cmocka_unit_test(test_what_forgets),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_scan_of_what_passes),
		cmocka_unit_test(test_scan_of_few_packets),
		cmocka_unit_test(test_scan_of_what_is_dropped),
		cmocka_unit_test(test_old_flows_give_way),
		cmocka_unit_test(test_newcomers_come_in),
		cmocka_unit_test(test_torn_entry),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
