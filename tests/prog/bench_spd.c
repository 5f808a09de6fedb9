// SPDX-License-Identifier: BSD-2-Clause
/*
 * What the classifier costs, for `make bench`: rows of JSON, one a line, over 65,536 distinct
 * packets unless the row says otherwise. Rows of sets are those of single packets, timed in the
 * program, the clock's cost taken off: the median packet, and the worst. Rows `-mean` and those of
 * the cache are ns a packet of a turn through all packets, medians of 7 turns, the empty program's
 * taken off. Each turn comes behind one of the empty program. docs/performance.md tells what was
 * measured and where.
 */
#include <arpa/inet.h>
#include <time.h>
#include "lib/addr.h"
#include "lib/config_policy.h"
#include "loader/spd_change.h"
#include "loader/spd_edit.h"
#include "tests/lib/spd_generate.h"
#include "tests/prog/classify.h"

#define TURNS 7
#define MANY  100000

static struct classify tables, cached, hot, some, nothing, timed, nothing_timed;
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
static double cost(struct classify *c, __u32 runs)
{
	double spent[TURNS];

	for (unsigned int i = 0; i < TURNS; i++) {
		spent[i] = classify_run(c, runs);
		spent[i] -= classify_run(&nothing, runs);
	}
	return median(spent, TURNS);
}

/* The same where all is forgotten before each quarter, so that the cache has room for nearly every
 * flow: none is in it, and it is written there. */
static double cost_forgotten(struct classify *c)
{
	double spent[TURNS] = {0};

	for (unsigned int i = 0; i < 4 * TURNS; i++) {
		__u32 next = c->memory.c.head->generation + 1, from = i % 4 * (CLASSIFY_FLOWS / 4);

		classifier_log_forget(&c->memory.c, next);
		classifier_publish(&c->memory.c, next);
		spent[i / 4] += classify_run_from(c, from, CLASSIFY_FLOWS / 4) / 4.0;
		spent[i / 4] -= classify_run_from(&nothing, from, CLASSIFY_FLOWS / 4) / 4.0;
	}
	return median(spent, TURNS);
}

/* Of single packets: the median one and the worst, each by the median of its 7 turns. Each turn
 * asks all 65,536, so a packet does not find its own lines of memory hot. */
struct packets {
	double median, worst;
};

/* A turn's first packets would meet a program that no cache has, for another had its turn before:
 * 4 us for the very first, whatever the rules. So the last ones go ahead, and are asked again. */
#define AHEAD 1024

static void packet_turn(struct classify *c)
{
	classify_run_from(c, CLASSIFY_FLOWS - AHEAD, AHEAD);
	classify_run(c, CLASSIFY_FLOWS);
}

/* What the clock costs, by a turn through the same packets that looks nothing up. */
static double clock_turn(void)
{
	static double spent[CLASSIFY_FLOWS];

	packet_turn(&nothing_timed);
	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++)
		spent[i] = (double)nothing_timed.took[i];
	return median(spent, CLASSIFY_FLOWS);
}

/* Both programs take turns, so what the machine does meanwhile meets both. */
static void take_turns(double (*spent)[TURNS])
{
	for (unsigned int turn = 0; turn < TURNS; turn++) {
		double clock = clock_turn();

		packet_turn(&timed);
		for (__u32 i = 0; i < CLASSIFY_FLOWS; i++)
			spent[i][turn] = (double)timed.took[i] - clock;
	}
}

static struct packets packet_medians(void)
{
	static double spent[CLASSIFY_FLOWS][TURNS], of_each[CLASSIFY_FLOWS];
	struct packets packets;

	take_turns(spent);
	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++)
		of_each[i] = median(spent[i], TURNS);
	packets.median = median(of_each, CLASSIFY_FLOWS);
	packets.worst = of_each[CLASSIFY_FLOWS - 1]; /* they are in order now */
	return packets;
}

/* Half of the packets are inside a rule, half at or near a border of one, or anywhere. */
static struct packets packets_of(struct xipsec_spd_rule *rule, __u32 n)
{
	classify_spd(&timed, rule, n);
	for (__u32 i = 0; i < CLASSIFY_FLOWS; i++)
		if (i % 2)
			flow_inside(&rule[random_next(&seed) % n], &seed, &timed.flow[i]);
		else
			flow_generate(rule, n, &seed, &timed.flow[i]);
	memcpy(nothing_timed.flow, timed.flow, CLASSIFY_FLOWS * sizeof(*timed.flow));
	return packet_medians();
}

static void packet_rows(const char *name, struct packets packets)
{
	char text[96];

	row(name, "ns", packets.median);
	snprintf(text, sizeof(text), "%s-worst", name);
	row(text, "ns", packets.worst);
}

static void mean_row(const char *name, double ns)
{
	char text[96];

	snprintf(text, sizeof(text), "%s-mean", name);
	row(text, "ns", ns);
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
		mean_row(sizes[i].name, cost(&tables, 4 * CLASSIFY_FLOWS));
		packet_rows(sizes[i].name, packets_of(rule, sizes[i].n));
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
	row("spd-cached-hot", "ns", cost(&hot, 4 * CLASSIFY_FLOWS));
	row("spd-cached-16k", "ns", cost(&some, 4 * CLASSIFY_FLOWS));
	row("spd-miss-100k", "ns", cost_forgotten(&cached));
	free(rule);
}

static void classbench_rows(void)
{
	static const enum spd_shape shapes[] = {SHAPE_ACL, SHAPE_FW, SHAPE_CHAIN};
	static const struct {
		__u32 n;
		const char *name;
	} sizes[] = {{10, "10"}, {1000, "1k"}, {10000, "10k"}, {MANY, "100k"}};
	struct packets most = {0};
	double bytes = 0;

	for (unsigned int i = 0; i < 3; i++) {
		for (unsigned int k = 0; k < 4; k++) {
			struct xipsec_spd_rule *rule = rules_make(shapes[i], sizes[k].n);
			struct packets packets = packets_of(rule, sizes[k].n);
			char name[64];

			snprintf(name, sizeof(name), "spd-%s-%s", spd_shape_name[shapes[i]],
				 sizes[k].name);
			packet_rows(name, packets);
			if (sizes[k].n == MANY) {
				classify_spd(&tables, rule, MANY);
				flows_make(&tables, rule, MANY);
				mean_row(name, cost(&tables, 4 * CLASSIFY_FLOWS));
				most.median = packets.median > most.median ? packets.median
									   : most.median;
				most.worst = packets.worst > most.worst ? packets.worst
									: most.worst;
				if (bytes_a_rule(&tables, MANY) > bytes)
					bytes = bytes_a_rule(&tables, MANY);
			}
			free(rule);
		}
	}
	packet_rows("spd-classbench-100k", most); /* the set that is worst in each */
	row("spd-memory-classbench", "bytes a rule", bytes);
}

/* What the classifier has no key for: between the same addresses, wide ranges of ports on both
 * sides, each a little beside the one before. A packet within them on one side alone is looked for
 * in all. */
static void overlap_rows(void)
{
	static const struct {
		__u32 n;
		const char *name;
	} sizes[] = {{100, "spd-overlap-100"}, {1000, "spd-overlap-1k"}, {3000, "spd-overlap-3k"}};

	for (unsigned int i = 0; i < 3; i++) {
		struct xipsec_spd_rule *rule = rules_make(SHAPE_PORTS, sizes[i].n);

		for (__u32 k = 0; k < sizes[i].n; k++) {
			struct xipsec_selector *sel = &rule[k].sel;

			sel->l4_proto = IPPROTO_TCP;
			sel->local_port_lo = (__u16)(1024 + k);
			sel->local_port_hi = (__u16)(31024 + k);
			sel->remote_port_lo = (__u16)(41024 - k);
			sel->remote_port_hi = (__u16)(61024 - k);
		}
		packet_rows(sizes[i].name, packets_of(rule, sizes[i].n));
		free(rule);
	}
}

/* Fifty of a firewall's rules a second time, before all others, one a change, as children come:
 * what packets cost afterwards that these are not for, and before. */
static void added_rows(void)
{
	struct xipsec_spd_rule *rule = rules_make(SHAPE_FW, MANY);
	struct spd_editor *editor;
	__u32 generation;

	classify_spd(&tables, rule, MANY);
	flows_make(&tables, rule, MANY);
	mean_row("spd-classbench-fw-100k", cost(&tables, 4 * CLASSIFY_FLOWS));
	if (spd_editor_open(&tables.dp, NULL, NULL, 2 * MANY, &editor))
		classify_fail("editor");
	for (__u32 i = 0, first = 0; i < 50; i++) {
		struct spd_add add = {.rule = rule[MANY - 1 - i], .before = first};

		if (spd_edit(editor, &add, 1, NULL, 0, &generation))
			classify_fail("edit");
		first = add.number;
	}
	mean_row("spd-classbench-fw-100k-added", cost(&tables, 4 * CLASSIFY_FLOWS));
	spd_editor_close(editor);
	free(rule);
}

/* A rule goes that others were left out for. */
static void stand_in_row(void)
{
	struct xipsec_spd_rule *rule = rules_make(SHAPE_FW, MANY);
	struct spd_editor *editor;
	double spent[TURNS];
	__u32 generation, n = 0;

	classify_spd(&tables, rule, MANY);
	if (spd_editor_open(&tables.dp, NULL, NULL, 2 * MANY, &editor))
		classify_fail("editor");
	for (__u32 i = 0; i < MANY && n < TURNS; i++) {
		double start = now();

		if (!spd_editor_classifier(editor)->rule[i].stands_for)
			continue;
		if (spd_edit(editor, NULL, 0, &i, 1, &generation))
			classify_fail("edit");
		spent[n++] = (now() - start) * 1e3;
	}
	row("spd-remove-stand-in-100k", "ms", median(spent, n));
	spd_editor_close(editor);
	free(rule);
}

/* One rule a change, into the SPD of n rules. */
static void add_rows(__u32 n, const char *name)
{
	struct xipsec_spd_rule *rule = rules_make(SHAPE_MESH, n);
	struct spd_editor *editor;
	struct spd_add add = {0};
	double spent[200];
	__u32 generation;
	char text[64];

	classify_spd(&tables, rule, n);
	if (spd_editor_open(&tables.dp, NULL, NULL, 2 * MANY, &editor))
		classify_fail("editor");
	for (unsigned int i = 0; i < 200; i++) {
		double start;

		add.rule = rule[0];
		add.rule.sel.remote_lo.word[0] = htonl(0x0b000000 + (i << 8));
		add.rule.sel.remote_hi.word[0] = htonl(0x0b0000ff + (i << 8));
		add.before = (__u32)(random_next(&seed) % n);
		start = now();
		if (spd_edit(editor, &add, 1, NULL, 0, &generation))
			classify_fail("edit");
		spent[i] = (now() - start) * 1e6;
	}
	snprintf(text, sizeof(text), "spd-add-%s", name);
	row(text, "us", median(spent, 200));
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
	snprintf(text, sizeof(text), "spd-add-table-%s", name);
	row(text, "us", median(spent, 7));
	spd_editor_close(editor);
	free(rule);
}

/* What a reload costs that adds a child's rule to 100,000: the lists compared, one rule added. */
static void reload_row(void)
{
	struct xipsec_spd_rule *rule = rules_make(SHAPE_MESH, MANY + TURNS);
	struct spd_source source = {.rule = rule};
	double spent[TURNS];
	__u32 generation;

	classify_spd(&tables, rule, MANY);
	for (unsigned int i = 0; i < TURNS; i++) {
		double start = now();

		source.n_rules = MANY + i + 1;
		if (spd_change(&tables.dp, NULL, 2 * MANY, &source, NULL, &generation))
			classify_fail("change");
		spent[i] = (now() - start) * 1e3;
	}
	row("spd-reload-one-100k", "ms", median(spent, TURNS));
	free(rule);
}

static void adds_rows(void)
{
	add_rows(1000, "1k");
	add_rows(MANY, "100k");
}

static const struct part {
	const char *name;
	void (*run)(void);
} parts[] = {
	{"cached", cached_rows},    {"mesh", mesh_rows},       {"classbench", classbench_rows},
	{"add", adds_rows},         {"reload", reload_row},    {"added", added_rows},
	{"stand-in", stand_in_row}, {"overlap", overlap_rows},
};

static bool is_named(const char *name, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return argc == 1;
}

/* All parts, or those that are named. */
int main(int argc, char **argv)
{
	classify_load(&tables, CLASSIFY_FLOWS, CLASSIFY_TABLES);
	classify_load(&cached, CLASSIFY_FLOWS, CLASSIFY_CACHED);
	classify_load(&hot, 1, CLASSIFY_CACHED);
	classify_load(&some, 16384, CLASSIFY_CACHED);
	classify_load(&timed, CLASSIFY_FLOWS, CLASSIFY_TIMED);
	classify_load(&nothing_timed, CLASSIFY_FLOWS, CLASSIFY_CLOCK);
	classify_load(&nothing, CLASSIFY_FLOWS, CLASSIFY_NOTHING);
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (is_named(parts[i].name, argc, argv))
			parts[i].run();
	return 0;
}
