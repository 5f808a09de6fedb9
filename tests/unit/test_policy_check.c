// SPDX-License-Identifier: BSD-2-Clause
/* Which rules can never match: the answer of the tables against each pair of rules. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "lib/config.h"
#include "lib/config_policy.h"
#include "tests/lib/spd_generate.h"
#include "xipsec/loader.h"

#define RULES 1500

static struct loader_overlap told[RULES];
static unsigned int n_told;

static void note(void *arg, const struct loader_overlap *overlap)
{
	assert_true(n_told < RULES);
	told[n_told++] = *overlap;
}

static void run(struct xipsec_spd_rule *rule, unsigned int n)
{
	struct config_policy policies[2] = {
		{.name = "one", .child = "x", .rules = rule, .n_rules = n / 2},
		{.name = "two", .child = "y", .rules = rule + n / 2, .n_rules = n - n / 2}};
	struct config config = {.policies = policies, .n_policies = 2, .max_rules = RULES};

	n_told = 0;
	assert_int_equal(loader_policy_check(&config, note, NULL), 0);
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
				assert_false(at < n_told && told[at].rule == i);
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_pairs),
		cmocka_unit_test(test_what_is_told),
		cmocka_unit_test(test_dead_rules_are_not_blamed),
		cmocka_unit_test(test_interfaces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
