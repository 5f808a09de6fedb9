// SPDX-License-Identifier: BSD-2-Clause
/* Which rules can never match: the answer of the tables against each pair of rules. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/config.h"
#include "lib/config_policy.h"
#include "tests/lib/spd_generate.h"
#include "xipsec/loader.h"

#define RULES 1500

/* Of a finding, what is compared; the list of rules is the caller's. */
static struct told {
	__u32 rule, line, by, by_line, n_by;
	bool never, same, standin, by_standin;
	__u32 list[8];
} told[RULES];
static unsigned int n_told;
static int undecided; /* of the last check */

static void note(void *arg, const struct loader_overlap *overlap)
{
	struct told *to = &told[n_told++];

	assert_true(n_told <= RULES);
	*to = (struct told){.rule = overlap->rule.rule,
			    .line = overlap->rule.line,
			    .by = overlap->by[0].rule,
			    .by_line = overlap->by[0].line,
			    .n_by = overlap->n_by,
			    .never = overlap->never,
			    .same = overlap->same,
			    .standin = overlap->rule.standin,
			    .by_standin = overlap->by[0].standin};
	for (__u32 i = 0; i < overlap->n_by && i < 8; i++)
		to->list[i] = overlap->by[i].rule;
}

static void run(struct xipsec_spd_rule *rule, unsigned int n)
{
	struct config_policy policies[2] = {
		{.name = "one", .child = "x", .rules = rule, .n_rules = n / 2},
		{.name = "two", .child = "y", .rules = rule + n / 2, .n_rules = n - n / 2}};
	struct config config = {.policies = policies, .n_policies = 2, .max_rules = RULES};

	n_told = 0;
	undecided = loader_policy_check(&config, note, NULL);
	assert_true(undecided >= 0);
}

static bool shadows(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return (a->dirs & b->dirs) == b->dirs && selector_within(&b->sel, &a->sel);
}

/* Of each rule, the first earlier one that takes all of it; nothing else is said to never match. */
static void test_against_pairs(void **state)
{
	static const enum spd_shape shapes[] = {SHAPE_NESTED, SHAPE_FW, SHAPE_PORTS, SHAPE_BITS,
						SHAPE_ACL};
	static struct xipsec_spd_rule rule[RULES];
	__u64 seed = (__u64)time(NULL);

	print_message("  seed %llu\n", (unsigned long long)seed);
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++) {
		unsigned int at = 0, found = 0;

		spd_generate(shapes[s], &seed, rule, RULES);
		run(rule, RULES);
		for (unsigned int i = 0; i < RULES; i++) {
			unsigned int by = 0;

			while (by < i && !shadows(&rule[by], &rule[i]))
				by++;
			while (at < n_told && (told[at].rule < i || !told[at].never))
				at++;
			if (by == i) {
				/* several together are what test_union_against_packets is for */
				assert_false(at < n_told && told[at].rule == i &&
					     told[at].n_by == 1);
				continue;
			}
			found++;
			assert_true(at < n_told);
			assert_int_equal(told[at].rule, i);
			assert_int_equal(told[at].by, by);
		}
		print_message("  %s: %u of %u can never match\n", spd_shape_name[shapes[s]], found,
			      RULES);
	}
}

static void test_what_is_told(void **state)
{
	struct xipsec_spd_rule rule[4] = {0};

	for (unsigned int i = 0; i < 4; i++) {
		rule[i].sel = selector_any;
		rule[i].dirs = 3;
		rule[i].line = 10 + i;
		rule[i].action = XIPSEC_ACTION_PROTECT;
	}
	rule[0].sel.any_proto = 0; /* UDP to 53; all UDP; the same again; all, out */
	rule[0].sel.l4_proto = 17;
	rule[0].sel.remote_port_lo = rule[0].sel.remote_port_hi = 53;
	rule[1].sel.any_proto = rule[2].sel.any_proto = 0;
	rule[1].sel.l4_proto = rule[2].sel.l4_proto = 17;
	rule[1].action = XIPSEC_ACTION_DISCARD;
	rule[3].dirs = XIPSEC_DIR_OUT;
	run(rule, 4);
	assert_int_equal(n_told, 3);
	assert_true(told[0].rule == 1 && told[0].by == 0 && !told[0].never && !told[0].same);
	assert_true(told[1].rule == 2 && told[1].by == 1 && told[1].never && !told[1].same);
	assert_true(told[1].line == 12 && told[1].by_line == 11);
	/* rule 3 is the child y's as rule 2 is, rule 0 the child x's */
	assert_true(told[2].rule == 3 && told[2].by == 0 && !told[2].never);
}

/* A rule that never matches takes nothing from those behind it: they are told of who does. */
static void test_dead_rules_are_not_blamed(void **state)
{
	struct xipsec_spd_rule rule[4] = {0};

	for (unsigned int i = 0; i < 4; i++) {
		rule[i].sel = selector_any;
		rule[i].dirs = 3;
		rule[i].action = XIPSEC_ACTION_DISCARD;
	}
	/* UDP, discarded; UDP to 53, bypassed but never; UDP to 53 and above, discarded: never, and
	 * not less than it says; all, bypassed: less because of the first alone */
	for (unsigned int i = 0; i < 3; i++) {
		rule[i].sel.any_proto = 0;
		rule[i].sel.l4_proto = 17;
	}
	rule[1].sel.remote_port_lo = rule[1].sel.remote_port_hi = rule[2].sel.remote_port_lo = 53;
	rule[1].action = rule[3].action = XIPSEC_ACTION_BYPASS;
	run(rule, 4);
	assert_int_equal(n_told, 3);
	assert_true(told[0].rule == 1 && told[0].by == 0 && told[0].never && !told[0].same);
	assert_true(told[1].rule == 2 && told[1].by == 0 && told[1].never && told[1].same);
	assert_true(told[2].rule == 3 && told[2].by == 0 && !told[2].never);
	/* all, discarded: the first does the same, and the second, which does not, is dead */
	rule[3].action = XIPSEC_ACTION_DISCARD;
	run(rule, 4);
	assert_int_equal(n_told, 2);
}

/* Of two interfaces no rule takes anything from the other; one of all takes all. */
static void test_interfaces(void **state)
{
	struct xipsec_spd_rule rule[4] = {0};
	struct config_policy policies[4];
	struct config config = {.policies = policies, .n_policies = 4, .max_rules = RULES};
	static const char *const devs[] = {"red0", "red1", "red0", ""};
	static const __u8 actions[] = {XIPSEC_ACTION_BYPASS, XIPSEC_ACTION_DISCARD,
				       XIPSEC_ACTION_DISCARD, XIPSEC_ACTION_BYPASS};

	memset(policies, 0, sizeof(policies));
	for (unsigned int i = 0; i < 4; i++) {
		rule[i].sel = selector_any;
		rule[i].dirs = XIPSEC_DIR_OUT;
		rule[i].action = actions[i];
		strcpy(policies[i].name, "p");
		strcpy(policies[i].dev, devs[i]);
		policies[i].rules = &rule[i];
		policies[i].n_rules = 1;
	}
	n_told = 0;
	assert_int_equal(loader_policy_check(&config, note, NULL), 0);
	assert_int_equal(n_told, 2);
	/* the second of red0 never matches; the last loses a part, and first to red1 */
	assert_true(told[0].rule == 2 && told[0].by == 0 && told[0].never);
	assert_true(told[1].rule == 3 && told[1].by == 1 && !told[1].never);
	policies[0].dev[0] = 0; /* before all others now */
	n_told = 0;
	assert_int_equal(loader_policy_check(&config, note, NULL), 0);
	assert_int_equal(n_told, 3);
	for (unsigned int i = 0; i < 3; i++)
		assert_true(told[i].rule == i + 1 && told[i].by == 0 && told[i].never);
}

/* ------------------------------------------------------------------ several together */

static struct xipsec_spd_rule any_rule(void)
{
	struct xipsec_spd_rule rule = {.sel = selector_any, .dirs = 3};

	rule.action = XIPSEC_ACTION_DISCARD;
	return rule;
}

/* The last octets of 10.0.0.0/24. */
static struct xipsec_spd_rule to_net(unsigned int lo, unsigned int hi)
{
	struct xipsec_spd_rule rule = any_rule();

	selector_family(&rule.sel, XIPSEC_FAMILY_IP4);
	rule.sel.remote_lo = rule.sel.remote_hi = (struct xipsec_addr){.byte = {10, 0, 0}};
	rule.sel.remote_lo.byte[3] = (__u8)lo;
	rule.sel.remote_hi.byte[3] = (__u8)hi;
	return rule;
}

static struct xipsec_spd_rule udp_to(unsigned int lo, unsigned int hi)
{
	struct xipsec_spd_rule rule = any_rule();

	rule.sel.any_proto = 0;
	rule.sel.l4_proto = 17;
	rule.sel.remote_port_lo = (__u16)lo;
	rule.sel.remote_port_hi = (__u16)hi;
	return rule;
}

/* Is the last of three taken by the two before it, and by no less? */
static bool taken(struct xipsec_spd_rule a, struct xipsec_spd_rule b, struct xipsec_spd_rule last)
{
	struct xipsec_spd_rule rule[3] = {a, b, last};
	bool is;

	run(rule, 3);
	is = n_told > 0 && told[n_told - 1].rule == 2 && told[n_told - 1].never;
	if (is) {
		assert_int_equal(told[n_told - 1].n_by, 2);
		assert_int_equal(told[n_told - 1].list[0], 0);
		assert_int_equal(told[n_told - 1].list[1], 1);
	}
	return is;
}

static void test_two_together(void **state)
{
	struct xipsec_spd_rule out = any_rule(), in = any_rule(), four = any_rule(),
			       six = any_rule();
	struct xipsec_spd_rule low = any_rule(), high = any_rule(), ports = udp_to(0, 65535);

	assert_true(taken(to_net(0, 99), to_net(100, 255), to_net(0, 255)));
	assert_true(taken(to_net(0, 99), to_net(50, 255), to_net(7, 200)));
	assert_false(taken(to_net(0, 99), to_net(101, 255), to_net(0, 255)));
	assert_false(taken(to_net(0, 99), to_net(100, 254), to_net(0, 255)));
	assert_false(taken(to_net(1, 99), to_net(100, 255), to_net(0, 255)));
	assert_true(taken(udp_to(0, 52), udp_to(53, 100), udp_to(10, 99)));
	assert_false(taken(udp_to(0, 52), udp_to(53, 100), udp_to(10, 101)));
	/* a fragment that hides its ports is this rule's, and none of the others for certain */
	assert_false(taken(udp_to(0, 52), udp_to(53, 65535), ports));
	out.dirs = XIPSEC_DIR_OUT;
	in.dirs = XIPSEC_DIR_IN;
	assert_true(taken(out, in, any_rule()));
	assert_true(taken(in, out, udp_to(1, 2)));
	assert_false(taken(out, out, any_rule()));
	selector_family(&four.sel, XIPSEC_FAMILY_IP4);
	selector_family(&six.sel, XIPSEC_FAMILY_IP6);
	assert_true(taken(four, six, any_rule()));
	assert_false(taken(four, to_net(0, 255), any_rule()));
	low.sel.dscp = 0xffffffffULL;
	high.sel.dscp = ~0xffffffffULL;
	assert_true(taken(low, high, any_rule()));
	high.sel.dscp <<= 1;
	assert_false(taken(low, high, any_rule()));
	low = high = ports;
	low.sel.l4_proto = high.sel.l4_proto = ports.sel.l4_proto = 1;
	low.sel.icmp_hi = 0x0800;
	high.sel.icmp_lo = 0x0801;
	ports.sel.icmp_lo = 0x0300;
	ports.sel.icmp_hi = 0x0bff;
	assert_true(taken(low, high, ports));
	high.sel.icmp_lo++;
	assert_false(taken(low, high, ports));
}

/* ---- generated, against every packet at a border of a rule */

#define FEW 24

static __u64 seed_of_now;

static unsigned int draw(unsigned int n)
{
	seed_of_now = seed_of_now * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned int)(seed_of_now >> 33) % n;
}

static struct xipsec_spd_rule drawn(void)
{
	static const __u16 port[] = {0, 1, 10, 11, 65535};
	unsigned int a = draw(4), b = draw(4);
	struct xipsec_spd_rule rule = to_net(a < b ? a : b, a < b ? b : a);

	a = draw(4);
	rule.sel.local_lo.byte[0] = (__u8)(a * 64);
	rule.sel.local_hi.byte[0] = (__u8)((a + draw(4 - a)) * 64 + 63);
	rule.dirs = (__u8)(draw(4) ? 3 : 1 + draw(2));
	rule.sel.any_proto = !draw(3);
	rule.sel.l4_proto = draw(2) ? 17 : 6;
	if (rule.sel.any_proto || draw(2))
		return rule;
	a = draw(3);
	rule.sel.remote_port_lo = port[a];
	rule.sel.remote_port_hi = port[a + 1 + draw(4 - a)];
	return rule;
}

/* Is there a packet, certain to match it, that no rule before takes for certain? */
static bool is_reached(const struct xipsec_spd_rule *rule, unsigned int at)
{
	static const __u16 port[] = {0, 1, 2, 10, 11, 12, 65535};
	static const __u8 proto[] = {0, 6, 17, 255};

	for (unsigned int i = 0; i < 4 * 4 * 7 * 4 * 2 * 2; i++) {
		struct xipsec_flow flow = {.family = XIPSEC_FAMILY_IP4, .remote.byte = {10}};
		unsigned int by = 0;

		flow.local.byte[0] = (__u8)(i % 4 * 64);
		flow.remote.byte[3] = (__u8)(i / 4 % 4);
		flow.l4_proto = proto[i / 16 % 4];
		flow.dir = (__u8)(1 + i / 64 % 2);
		flow.opaque = i / 128 % 2 ? XIPSEC_OPAQUE_PORTS : 0;
		flow.remote_port = flow.opaque ? 0 : port[i / 256];
		while (by < at &&
		       !((rule[by].dirs & flow.dir) &&
			 xipsec_selector_match(&rule[by].sel, &flow) == XIPSEC_MATCH_YES))
			by++;
		if (by == at && (rule[at].dirs & flow.dir) &&
		    xipsec_selector_match(&rule[at].sel, &flow) == XIPSEC_MATCH_YES)
			return true;
	}
	return false;
}

static void test_union_against_packets(void **state)
{
	unsigned int together = 0, reached = 0;

	seed_of_now = (__u64)time(NULL);
	print_message("  seed %llu\n", (unsigned long long)seed_of_now);
	for (unsigned int set = 0; set < 300; set++) {
		struct xipsec_spd_rule rule[FEW];
		unsigned int at = 0;

		for (unsigned int i = 0; i < FEW; i++)
			rule[i] = drawn();
		run(rule, FEW);
		assert_int_equal(undecided, 0);
		for (unsigned int i = 0; i < FEW; i++) {
			bool told_never, none;

			while (at < n_told && (told[at].rule < i || !told[at].never))
				at++;
			told_never = at < n_told && told[at].rule == i;
			none = !is_reached(rule, i);
			/* of one that shows its ports alone, a rule that takes it whole is enough
			 */
			assert_int_equal(told_never, none);
			together += told_never && told[at].n_by > 1;
			reached += !none;
		}
	}
	print_message("  %u taken by several together, %u reached\n", together, reached);
	assert_true(together > 100 && reached > 100);
}

/* A board of 20 x 20 fields, one rule each, behind it all of it: more than is looked for. */
static void test_what_costs_too_much(void **state)
{
	static struct xipsec_spd_rule rule[401];

	for (unsigned int i = 0; i < 400; i++) {
		rule[i] = udp_to(i % 20 * 10, i % 20 * 10 + 9);
		rule[i].sel.local_port_lo = (__u16)(i / 20 * 10);
		rule[i].sel.local_port_hi = (__u16)(i / 20 * 10 + 9);
	}
	rule[400] = udp_to(0, 199);
	rule[400].sel.local_port_hi = 199;
	run(rule, 401);
	assert_int_equal(undecided, 1);
	assert_int_equal(n_told, 0);
	rule[400].sel.remote_port_hi = 30; /* 80 fields are not */
	run(rule, 401);
	assert_int_equal(undecided, 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(told[0].n_by, 80);
}

/* ------------------------------------------------------------------ dynamic children */

/* A stand-in discards now and protects then: it is compared as what it will be, and what its SAs
 * make known stands before the stand-ins of others. */
static void test_standins(void **state)
{
	struct xipsec_spd_rule rule[4] = {any_rule(), any_rule(), any_rule(), any_rule()};

	for (unsigned int i = 0; i < 4; i++)
		rule[i] = to_net(0, 255);
	/* discarded by policy, though it stands before: what an SA makes known there never counts
	 */
	rule[0] = to_net(0, 9);
	rule[1].origin = rule[2].origin = XIPSEC_RULE_REMOTE_LATER;
	rule[3].action = XIPSEC_ACTION_PROTECT;
	run(rule, 4);
	assert_int_equal(n_told, 3);
	assert_true(told[0].rule == 1 && told[0].by == 0 && !told[0].never && !told[0].same);
	assert_true(told[0].standin && !told[0].by_standin);
	/* the second stand-in: not because of the first, but less by the rule before both */
	assert_true(told[1].rule == 2 && told[1].by == 0 && !told[1].never);
	/* another child's known rule */
	assert_true(told[2].rule == 3 && told[2].by == 1 && told[2].never && told[2].by_standin);
}

/* Ranges that lie above one another go so far and no further: told by what reads the config. */
static void test_fits(void **unused)
{
	enum { N = 6000 };
	struct xipsec_spd_rule *rule = calloc(N, sizeof(*rule));
	struct config_policy policy = {.name = "one", .child = "x", .rules = rule};
	struct config config = {.policies = &policy, .n_policies = 1, .max_rules = N};

	assert_non_null(rule);
	for (unsigned int i = 0; i < N; i++) {
		rule[i] = (struct xipsec_spd_rule){.sel = selector_any,
						   .dirs = XIPSEC_DIR_BOTH,
						   .action = XIPSEC_ACTION_DISCARD};
		rule[i].sel.family = XIPSEC_FAMILY_IP4;
		rule[i].sel.local_lo.word[0] = htonl(0x0a000000 + i);
		rule[i].sel.local_hi.word[0] = htonl(0x0ac80000 + i);
		rule[i].sel.remote_lo.word[0] = htonl(0xac100000);
		rule[i].sel.remote_hi.word[0] = htonl(0xac1fffff);
	}
	policy.n_rules = 1000;
	assert_int_equal(loader_policy_fits(&config), 0);
	policy.n_rules = N;
	assert_int_equal(loader_policy_fits(&config), -E2BIG);
	config.max_rules = 10;
	policy.n_rules = 11;
	assert_int_equal(loader_policy_fits(&config), -E2BIG);
	free(rule);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_pairs),
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_dead_rules_are_not_blamed),
		cmocka_unit_test(test_interfaces),
		cmocka_unit_test(test_two_together),
		cmocka_unit_test(test_union_against_packets),
		cmocka_unit_test(test_what_costs_too_much),
		cmocka_unit_test(test_standins),
		cmocka_unit_test(test_fits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
