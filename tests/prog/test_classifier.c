// SPDX-License-Identifier: BSD-2-Clause
/*
 * The programs against the list: generated SPDs, the bytes of packets at the borders of their rules
 * by each of the five programs, and the reference of tests/lib; not one difference. The program
 * tells the reason and counts for the rule, its twin names rule and child.
 *
 * XIPSEC_COMPARE=N: so many comparisons in all (500000). XIPSEC_SEED=N: the run that printed it.
 */
#include <sys/resource.h>
#include <time.h>
#include "tests/lib/flow_packet.h"
#include "tests/lib/spd_generate.h"
#include "tests/lib/spd_reference.h"
#include "tests/prog/classify.h"
#include "tests/prog/twin.h"

#define RULES_MOST 100000
#define BATCH      65536 /* as many as there are IDs of fragments */

static struct classify c;
static struct hits hits;
static __u64 seed;
static __u64 wanted, compared, not_asked;

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

/* All goes out by black that is not for one host or one link. */
static void routes_make(void)
{
	shell("for i in r0 b0 u0; do ip addr flush dev $i; done; ip route flush table main; "
	      "ip -6 route flush table main; ip route add default dev b0; "
	      "ip -6 route add default dev b0");
}

static int setup(void **state)
{
	wanted = number_of("XIPSEC_COMPARE", getenv("XIPSEC_SLOW") ? 20000 : 500000);
	seed = number_of("XIPSEC_SEED", (__u64)time(NULL));
	print_message("  XIPSEC_SEED=%llu\n", (unsigned long long)seed);
	classify_load(&c, CLASSIFY_FLOWS, CLASSIFY_CACHED);
	harness_rules = RULES_MOST;
	harness_setup(state);
	twin_load();
	routes_make();
	return hits_open(bpf_map__fd(harness.skel->maps.spd_hits), &hits);
}

static int teardown(void **state)
{
	print_message("  %llu comparisons, %llu packets of IPsec that no rule is asked about\n",
		      (unsigned long long)compared, (unsigned long long)not_asked);
	hits_close(&hits);
	twin_end();
	classify_end(&c);
	return harness_teardown(state);
}

/* ------------------------------------------------------------------ one packet */

/* A packet, by which way it comes, and what is to become of it. */
struct trial {
	struct xipsec_flow flow;
	struct packet packet;
	struct reference_answer want;
	enum prog prog;
	enum prog twin; /* that tells of this program */
	bool forwarded; /* at the guard */
	__u32 reason;
};

/* Addresses that routes lead no further than here, or nowhere. */
static bool is_near(const struct xipsec_flow *flow, const struct xipsec_addr *addr)
{
	static const struct xipsec_addr loopback = {.byte = {[15] = 1}};

	if (flow->family == XIPSEC_FAMILY_IP4)
		return addr->byte[0] == 127;
	return addr->byte[0] == 0xff || (addr->byte[0] == 0xfe && addr->byte[1] >> 6 == 2) ||
	       !memcmp(addr, &loopback, sizeof(loopback));
}

static bool is_group(const struct xipsec_flow *flow, const struct xipsec_addr *addr)
{
	if (flow->family == XIPSEC_FAMILY_IP6)
		return addr->byte[0] == 0xff;
	return addr->byte[0] >> 4 == 14 || addr->word[0] == 0xffffffff;
}

/* What routes do not send out: XDP on red leaves it to the stack and the guard. */
static bool stays(const struct xipsec_flow *flow, const struct xipsec_addr *src,
		  const struct xipsec_addr *dst)
{
	return is_group(flow, dst) || is_near(flow, dst) ||
	       (flow->family == XIPSEC_FAMILY_IP6 && is_near(flow, src));
}

/* In to this host: IPsec, or perhaps a part of it, which rules are not asked about. */
static bool is_ipsec(const struct xipsec_flow *flow)
{
	if (is_group(flow, &flow->local) || !stays(flow, &flow->remote, &flow->local))
		return false;
	return flow->opaque || flow->l4_proto == IPPROTO_ESP || flow->l4_proto == IPPROTO_AH ||
	       (flow->l4_proto == IPPROTO_UDP &&
		(flow->local_port == 500 || flow->local_port == 4500));
}

static void trial_way(struct trial *trial)
{
	static const enum prog out[] = {PROG_RED, PROG_REDTC, PROG_GUARD, PROG_GUARD};
	const struct xipsec_flow *flow = &trial->flow;
	__u32 way = below(&seed, 4);

	if (flow->dir == XIPSEC_DIR_IN)
		trial->prog = way & 1 ? PROG_BLACK : PROG_BLACKTC;
	else
		trial->prog = stays(flow, &flow->local, &flow->remote) ? PROG_GUARD : out[way];
	trial->forwarded = trial->prog == PROG_GUARD && way & 1;
	trial->twin = trial->prog == PROG_REDTC     ? PROG_RED
		      : trial->prog == PROG_BLACKTC ? PROG_BLACK
						    : trial->prog;
}

/* No child has an SA. */
static __u32 reason_of(const struct trial *trial)
{
	bool in = trial->flow.dir == XIPSEC_DIR_IN;

	switch (trial->want.verdict) {
	case REFERENCE_DISCARD: return XIPSEC_REASON_DISCARD;
	case REFERENCE_BYPASS: return in ? XIPSEC_REASON_BYPASS_IN : XIPSEC_REASON_BYPASS_OUT;
	case REFERENCE_PROTECT:
		if (in)
			return XIPSEC_REASON_PLAINTEXT_IN;
		return trial->forwarded ? XIPSEC_REASON_PLAINTEXT_OUT : XIPSEC_REASON_NO_SA_OUT;
	case REFERENCE_OPAQUE: return XIPSEC_REASON_FRAG_OPAQUE;
	default: return XIPSEC_REASON_NO_POLICY;
	}
}

/* The interface whose name rules may ask for: where it came in, of our own where it goes out. */
static void trial_iface(const struct trial *trial)
{
	__u16 dev = trial->flow.dev;

	if (trial->flow.dir == XIPSEC_DIR_OUT && (trial->prog != PROG_GUARD || trial->forwarded))
		iface_set(harness.red, XIPSEC_ROLE_PROTECTED, RED_SLOT, dev);
	else
		iface_set(harness.black, XIPSEC_ROLE_UNPROTECTED, BLACK_SLOT, dev);
}

static void trial_print(const struct trial *trial)
{
	const struct xipsec_flow *flow = &trial->flow;

	print_message("  dir %u family %u local %08x %08x remote %08x %08x proto %u ports %u %u "
		      "icmp %04x opaque %u dscp %u dev %u\n",
		      flow->dir, flow->family, ntohl(flow->local.word[0]),
		      ntohl(flow->local.word[3]), ntohl(flow->remote.word[0]),
		      ntohl(flow->remote.word[3]), flow->l4_proto, flow->local_port,
		      flow->remote_port, flow->icmp, flow->opaque, flow->dscp, flow->dev);
	print_message("  program %d%s, frame", trial->prog, trial->forwarded ? ", forwarded" : "");
	for (unsigned int i = 0; i < trial->packet.len; i++)
		print_message(" %02x", trial->packet.data[i]);
	print_message("\n");
}

/* The twin: the rule, the child, the reason. How many tables were looked into. */
static __u32 trial_explain(const char *name, const struct trial *trial, struct run *run)
{
	const struct reference_answer *want = &trial->want;
	struct xipsec_explain told;
	__u32 child;

	twin_run(name, trial->twin, prog_is_red(trial->prog) ? harness.red : harness.black,
		 &trial->packet, run, &told);
	child = want->verdict == REFERENCE_PROTECT ? want->child + 1 : 0;
	if (told.reason == trial->reason && told.way.dir == trial->flow.dir &&
	    told.way.child == child && told.way.rule == want->rule + 1)
		return told.way.tables;
	trial_print(trial);
	fail_msg("%s: the twin says %s by rule %d, child %u; the list: %s by rule %d, child %u",
		 name, reason_name(told.reason), (int)told.way.rule - 1, told.way.child,
		 reason_name(trial->reason), (int)want->rule, child);
	return 0;
}

/* The program itself, which does what it says, and counts it for that rule. */
static void trial_run(const char *name, const struct trial *trial, struct run *run)
{
	const struct reference_answer *want = &trial->want;
	__u64 reason = reason_sum(trial->reason).packets,
	      rule = hits_sum(&hits, want->rule).packets;

	run_only(name, trial->prog, trial->packet.data, trial->packet.len, run);
	if (run->action == action_of(trial->prog, trial->reason) &&
	    reason_sum(trial->reason).packets == reason + 1 &&
	    hits_sum(&hits, want->rule).packets == rule + (want->rule != ~0U))
		return;
	trial_print(trial);
	fail_msg("%s: action %d; %s and rule %d, which the list says, are not counted", name,
		 run->action, reason_name(trial->reason), (int)want->rule);
}

/* ------------------------------------------------------------------ many */

static void rules_set(struct xipsec_spd_rule *rule, __u32 n)
{
	const struct datapath dp = {.globals = bpf_map__fd(harness.skel->maps.globals),
				    .spd = bpf_map__fd(harness.skel->maps.spd),
				    .spd_buckets_of =
					    bpf_map__fd(harness.skel->maps.spd_buckets_of),
				    .spd_rules_of = bpf_map__fd(harness.skel->maps.spd_rules_of),
				    .spd_hits = bpf_map__fd(harness.skel->maps.spd_hits)};
	struct spd_source source = {.rule = rule, .n_rules = n, .counted = harness_rules};
	struct spd_memory memory;
	__u32 generation;

	assert_int_equal(spd_build(bpf_object__btf(harness.skel->obj), &source, &memory), 0);
	assert_int_equal(spd_switch(&dp, &memory, &generation), 0);
	spd_memory_close(&harness.memory);
	harness.memory = memory;
}

/* Rules keep their order of numbers in a fresh SPD, so the number is the place in the list. */
static __u32 compare(const char *name, const struct xipsec_spd_rule *rule, __u32 n, __u16 id)
{
	static struct trial trial;
	static struct run run;
	__u32 tables;

	flow_generate(rule, n, &seed, &trial.flow);
	flow_packet(&trial.flow, id, &seed, &trial.packet);
	trial_way(&trial);
	compared++;
	if (trial.flow.dir == XIPSEC_DIR_IN && is_ipsec(&trial.flow)) {
		not_asked++;
		return 0;
	}
	trial.want = reference_search(rule, n, &trial.flow);
	trial.reason = reason_of(&trial);
	trial_iface(&trial);
	run.forwarded = trial.forwarded ? harness.red : 0;
	tables = trial_explain(name, &trial, &run);
	trial_run(name, &trial, &run);
	return tables;
}

/* Nothing was counted but what the list says, of which there was one for each packet. */
static void assert_all_counted(const char *name, __u64 packets)
{
	__u64 sum = 0;

	for (__u32 reason = 0; reason < XIPSEC_REASON_MAX; reason++)
		sum += reason_sum(reason).packets;
	if (sum != packets)
		fail_msg("%s: %llu packets counted, not %llu", name, (unsigned long long)sum,
			 (unsigned long long)packets);
	reasons_clear();
}

static void run_row(const struct row *row)
{
	struct xipsec_spd_rule *rule = calloc(row->n, sizeof(*rule));
	const char *name = spd_shape_name[row->shape];
	__u64 n = wanted * row->share / 1000, before = not_asked, tables = 0;

	assert_non_null(rule);
	spd_generate(row->shape, &seed, rule, row->n);
	rules_set(rule, row->n);
	for (__u64 i = 0; i < n; i++) {
		if (i % BATCH == 0)
			frags_clear();
		tables += compare(name, rule, row->n, (__u16)i);
	}
	assert_all_counted(name, n - (not_asked - before));
	print_message("  %-6s %6u rules, %3u tables, %5.1f looked at, %llu packets\n", name, row->n,
		      harness.memory.c.head->n_tables, n ? (double)tables / (double)n : 0,
		      (unsigned long long)n);
	free(rule);
}

static void test_against_the_list(void **state)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		run_row(&rows[i]);
	assert_true(not_asked <= compared / 100);
}

/* ------------------------------------------------------------------ a switch that fails */

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
