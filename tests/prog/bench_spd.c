// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the classifier costs, for `make bench`: rows of JSON, one a line. ns a packet are medians of
 * 7 turns, the empty program's turn taken off, over 65,536 distinct packets unless the row says
 * otherwise. docs/performance.md tells what was measured and where.
 */
#include <arpa/inet.h>
#include <time.h>
#include "lib/addr.h"
#include "lib/config_policy.h"
#include "loader/spd_edit.h"
#include "tests/lib/spd_generate.h"
#include "tests/prog/classify.h"

#define TURNS 7
#define MANY  100000

static struct classify tables, cached, hot, some, nothing, one;
static __u64 seed = 20261128;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static double median(double *values, unsigned int n)
{
	qsort(values, n, sizeof(*values), by_value);
	return values[n / 2];
}

static void row(const char *name, const char *unit, double ours)
{
	printf("{\"name\": \"%s\", \"unit\": \"%s\", \"ours\": %.1f}\n", name, unit, ours);
	fprintf(stderr, "%-32s %10.1f %s\n", name, ours, unit);
}

static struct xipsec_spd_rule *rules_make(enum spd_shape shape, __u32 n)
{
	struct xipsec_spd_rule *rule = calloc(n, sizeof(*rule));

	if (!rule)
		classify_fail("memory");
	spd_generate(shape, &seed, rule, n);
	return rule;
}

static void flows_make(struct classify *c, const struct xipsec_spd_rule *rule, __u32 n)
{
	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++)
		flow_inside(&rule[random_next(&seed) % n], &seed, &c->flow[i]);
	memcpy(nothing.flow, c->flow, CLASSIFY_FLOWS * sizeof(*c->flow));
}

/* ns a flow of the table above those of the empty program, which takes turns with it. */
static double cost(struct classify *c, __u32 runs, bool forget)
{
	double spent[TURNS];

	for (unsigned int i = 0; i < TURNS; i++) {
		__u32 next = c->memory.c.head->generation + 1;

		if (forget) {
			classifier_log_forget(&c->memory.c, next);
			classifier_publish(&c->memory.c, next);
		}
		spent[i] = classify_run(c, runs);
		spent[i] -= classify_run(&nothing, runs);
	}
	return median(spent, TURNS);
}

/* ------------------------------------------------------------------ rows */

static double bytes_a_rule(const struct classify *c, __u32 n)
{
	/* the counters are there for each possible rule and CPU */
	double hits = (double)sizeof(struct xipsec_counter) * libbpf_num_possible_cpus();

	return (double)spd_memory_bytes(&c->memory) / n + hits;
}

static void mesh_rows(void)
{
	static const struct {
		__u32 n;
		const char *name;
	} sizes[] = {{10, "spd-mesh-10"},
		     {1000, "spd-mesh-1k"},
		     {10000, "spd-mesh-10k"},
		     {MANY, "spd-mesh-100k"}};

	for (unsigned int i = 0; i < 4; i++) {
		struct xipsec_spd_rule *rule = rules_make(SHAPE_MESH, sizes[i].n);

		classify_spd(&tables, rule, sizes[i].n);
		flows_make(&tables, rule, sizes[i].n);
		row(sizes[i].name, "ns", cost(&tables, 4 * CLASSIFY_FLOWS, false));
		free(rule);
	}
	row("spd-memory-mesh", "bytes a rule", bytes_a_rule(&tables, MANY));
}

static void cached_rows(void)
{
	struct xipsec_spd_rule *rule = rules_make(SHAPE_MESH, MANY);
	double spent[TURNS];

	for (unsigned int i = 0; i < TURNS; i++) {
		double start = now();

		classify_spd(&cached, rule, MANY);
		spent[i] = (now() - start) * 1e3;
	}
	row("spd-compile-100k", "ms", median(spent, TURNS));
	classify_spd(&hot, rule, MANY);
	classify_spd(&some, rule, MANY);
	flows_make(&cached, rule, MANY);
	memcpy(hot.flow, cached.flow, CLASSIFY_FLOWS * sizeof(*hot.flow));
	memcpy(some.flow, cached.flow, CLASSIFY_FLOWS * sizeof(*some.flow));
	for (unsigned int i = 0; i < 16; i++)
		classify_run(&some, CLASSIFY_FLOWS);
	row("spd-cached-hot", "ns", cost(&hot, 4 * CLASSIFY_FLOWS, false));
	row("spd-cached-16k", "ns", cost(&some, 4 * CLASSIFY_FLOWS, false));
	row("spd-miss-100k", "ns", cost(&cached, CLASSIFY_FLOWS, true));
	free(rule);
}

/* The most expensive of the packets, each asked alone, over and over, as an attacker would. */
static double worst_of(const struct xipsec_spd_rule *rule)
{
	double worst = 0, base;
	unsigned int asked = 0;

	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++)
		if (i % 2)
			flow_generate(rule, MANY, &seed, &tables.flow[i]);
	classify_run(&tables, CLASSIFY_FLOWS);
	classify_spd(&one, (struct xipsec_spd_rule *)rule, MANY);
	base = classify_run(&nothing, CLASSIFY_FLOWS);
	for (__u32 most = 256; most > 0 && asked < 300; most--) {
		for (__u32 i = 0; i < CLASSIFY_FLOWS && asked < 300; i++) {
			double spent[3];

			if (tables.answer[i].tables != most)
				continue;
			one.flow[0] = tables.flow[i];
			for (unsigned int k = 0; k < 3; k++)
				spent[k] = classify_run(&one, 4000);
			asked++;
			spent[0] = median(spent, 3) - base;
			worst = spent[0] > worst ? spent[0] : worst;
		}
	}
	return worst;
}

static void classbench_rows(void)
{
	static const enum spd_shape shapes[] = {SHAPE_ACL, SHAPE_FW, SHAPE_CHAIN};
	double typical[3], worst[3], bytes = 0;

	for (unsigned int i = 0; i < 3; i++) {
		struct xipsec_spd_rule *rule = rules_make(shapes[i], MANY);
		char name[64];

		classify_spd(&tables, rule, MANY);
		flows_make(&tables, rule, MANY);
		typical[i] = cost(&tables, 4 * CLASSIFY_FLOWS, false);
		worst[i] = worst_of(rule);
		snprintf(name, sizeof(name), "spd-%s-100k", spd_shape_name[shapes[i]]);
		row(name, "ns", typical[i]);
		snprintf(name, sizeof(name), "spd-%s-100k-worst", spd_shape_name[shapes[i]]);
		row(name, "ns", worst[i]);
		if (bytes_a_rule(&tables, MANY) > bytes)
			bytes = bytes_a_rule(&tables, MANY);
		free(rule);
	}
	qsort(typical, 3, sizeof(typical[0]), by_value);
	qsort(worst, 3, sizeof(worst[0]), by_value);
	row("spd-classbench-100k", "ns", typical[2]);
	row("spd-classbench-100k-worst", "ns", worst[2]);
	row("spd-memory-classbench", "bytes a rule", bytes);
}

/* One rule a change, into the SPD of 100,000. */
static void add_rows(void)
{
	struct xipsec_spd_rule *rule = rules_make(SHAPE_MESH, MANY);
	struct spd_editor *editor;
	struct spd_add add = {0};
	double spent[200];
	__u32 generation;

	classify_spd(&tables, rule, MANY);
	if (spd_editor_open(&tables.dp, NULL, NULL, 2 * MANY, &editor))
		classify_fail("editor");
	for (unsigned int i = 0; i < 200; i++) {
		double start;

		add.rule = rule[0];
		add.rule.sel.remote_lo.word[0] = htonl(0x0b000000 + (i << 8));
		add.rule.sel.remote_hi.word[0] = htonl(0x0b0000ff + (i << 8));
		add.before = (__u32)(random_next(&seed) % MANY);
		start = now();
		if (spd_edit(editor, &add, 1, NULL, 0, &generation))
			classify_fail("edit");
		spent[i] = (now() - start) * 1e6;
	}
	row("spd-add-100k", "us", median(spent, 200));
	for (unsigned int i = 0; i < 7; i++) {
		double start;

		spd_generate(SHAPE_PORTS, &seed, &add.rule, 1);
		selector_family(&add.rule.sel, XIPSEC_FAMILY_IP6);
		add.rule.sel.local_hi =
			addr_last(&add.rule.sel.local_lo, XIPSEC_FAMILY_IP6, 16 * (i + 1));
		add.before = SPD_AT_END;
		start = now();
		if (spd_edit(editor, &add, 1, NULL, 0, &generation))
			classify_fail("edit");
		spent[i] = (now() - start) * 1e6;
	}
	row("spd-add-table-100k", "us", median(spent, 7));
	spd_editor_close(editor);
	free(rule);
}

int main(void)
{
	classify_load(&tables, CLASSIFY_FLOWS, CLASSIFY_TABLES);
	classify_load(&cached, CLASSIFY_FLOWS, CLASSIFY_CACHED);
	classify_load(&hot, 1, CLASSIFY_CACHED);
	classify_load(&some, 16384, CLASSIFY_CACHED);
	classify_load(&one, 1, CLASSIFY_TABLES);
	classify_load(&nothing, CLASSIFY_FLOWS, CLASSIFY_NOTHING);
	cached_rows();
	mesh_rows();
	classbench_rows();
	add_rows();
	return 0;
}
