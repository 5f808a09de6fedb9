// SPDX-License-Identifier: BSD-2-Clause
/* Rules that are known when an SA comes: which they are, where they stand, and what may come out of
 * that SA. */
#include "tests/unit/config_fixture.h"
#include "lib/sa_selectors.h"
#include "lib/standin.h"
#include "loader/standin_change.h"

#define ENDS "local { auth = psk }\nremote { auth = psk }\n"

/* A gateway for whoever comes, by two connections that differ in how they prove who they are, with
 * a rule between them. */
static const char roads[] =
	"connections {\n"
	"  first { " ENDS "children { net {\n local_ts = 10.1.0.0/16, 10.2.0.0/16\n } } }\n"
	"  second { " ENDS
	"children { net {\n local_ts = 10.1.0.0/16\n remote_ts = dynamic, 10.9.0.0/16\n } } }\n"
	"}\n";

static struct xipsec_addr addr4(const char *text)
{
	struct xipsec_addr addr = {0};

	assert_int_equal(inet_pton(AF_INET, text, addr.byte), 1);
	return addr;
}

static struct xipsec_selector pair(const char *local_lo, const char *local_hi,
				   const char *remote_lo, const char *remote_hi)
{
	struct xipsec_selector sel = {.family = XIPSEC_FAMILY_IP4,
				      .local_port_hi = 65535,
				      .remote_port_hi = 65535,
				      .icmp_hi = 65535,
				      .any_proto = 1};

	sel.local_lo = addr4(local_lo);
	sel.local_hi = addr4(local_hi);
	sel.remote_lo = addr4(remote_lo);
	sel.remote_hi = addr4(remote_hi);
	return sel;
}

static void assert_selector(const struct xipsec_selector *a, const struct xipsec_selector *b)
{
	assert_memory_equal(a, b, sizeof(*a));
}

static struct xipsec_sa sa_of(const char *child, __u8 way)
{
	struct xipsec_sa sa = {.dir = way, .mode = XIPSEC_MODE_TUNNEL, .outer_family = 4};

	strcpy(sa.name, "x");
	strcpy(sa.child, child);
	return sa;
}

static void test_addresses(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	struct xipsec_sa sa = sa_of("first/net", XIPSEC_DIR_OUT);
	struct xipsec_addr peer = addr4("192.0.2.7"), none = {0};
	struct standin_addrs got;

	load_good(roads, &config);
	assert_false(standin_addrs(config, &sa, &got)); /* it says nothing */
	sa.selector[sa.n_selectors++] = pair("10.1.4.0", "10.1.4.255", "192.0.2.7", "192.0.2.7");
	assert_true(standin_addrs(config, &sa, &got));
	assert_int_equal(got.sides, XIPSEC_RULE_REMOTE_LATER);
	assert_int_equal(got.family, XIPSEC_FAMILY_IP4);
	assert_memory_equal(&got.remote, &peer, sizeof(peer));
	assert_memory_equal(&got.local, &none, sizeof(none));
	sa.selector[sa.n_selectors++] = pair("10.2.4.0", "10.2.4.255", "192.0.2.7", "192.0.2.7");
	assert_true(standin_addrs(config, &sa, &got));
	/* two peers in one */
	sa.selector[1] = pair("10.2.4.0", "10.2.4.255", "192.0.2.8", "192.0.2.8");
	assert_false(standin_addrs(config, &sa, &got));
	/* not one address */
	sa.n_selectors = 1;
	sa.selector[0] = pair("10.1.4.0", "10.1.4.255", "192.0.2.6", "192.0.2.7");
	assert_false(standin_addrs(config, &sa, &got));
	/* of the second one: what is known by the config is not to come */
	sa = sa_of("second/net", XIPSEC_DIR_OUT);
	sa.n_selectors = 1;
	sa.selector[0] = pair("10.1.4.0", "10.1.4.255", "10.9.1.0", "10.9.1.255");
	assert_false(standin_addrs(config, &sa, &got));
}

/* Not narrowed as the SA is, one for each stand-in; the second connection's stands before the first
 * one's, which would discard it. */
static void test_rules(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	struct xipsec_selector want = pair("10.1.0.0", "10.1.255.255", "192.0.2.7", "192.0.2.7");
	struct xipsec_selector want2 = pair("10.2.0.0", "10.2.255.255", "192.0.2.7", "192.0.2.7");
	struct standin_addrs addrs = {.family = XIPSEC_FAMILY_IP4,
				      .sides = XIPSEC_RULE_REMOTE_LATER,
				      .remote = addr4("192.0.2.7")};
	struct standin_rule *rules;
	unsigned int n;

	load_good(roads, &config);
	assert_int_equal(config->policies[0].rules[0].action, XIPSEC_ACTION_DISCARD);
	assert_int_equal(config->policies[0].rules[0].origin, XIPSEC_RULE_REMOTE_LATER);
	assert_int_equal(config->policies[1].rules[1].action, XIPSEC_ACTION_PROTECT);
	assert_int_equal(config->policies[1].rules[1].origin, 0);
	assert_int_equal(standin_rules(config, "first/net", &addrs, &rules, &n), 0);
	assert_int_equal(n, 2);
	assert_selector(&rules[0].rule.sel, &want);
	assert_selector(&rules[1].rule.sel, &want2);
	assert_int_equal(rules[0].rule.action, XIPSEC_ACTION_PROTECT);
	assert_int_equal(rules[0].rule.origin, XIPSEC_RULE_OF_SA);
	assert_int_equal(rules[1].policy, 0);
	assert_int_equal(rules[1].place, 1);
	free(rules);
	assert_int_equal(standin_rules(config, "second/net", &addrs, &rules, &n), 0);
	assert_int_equal(n, 1);
	assert_selector(&rules[0].rule.sel, &want);
	assert_int_equal(rules[0].policy, 0);
	assert_int_equal(rules[0].place, 0);
	free(rules);
	/* a side that nobody told */
	addrs.sides = XIPSEC_RULE_LOCAL_LATER;
	assert_int_equal(standin_rules(config, "first/net", &addrs, &rules, &n), 0);
	assert_int_equal(n, 0);
	free(rules);
}

/* RFC 4301 5.2: what comes out is what the SA has, of the peer's address alone. */
static void test_list(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	struct xipsec_sa sa = sa_of("second/net", XIPSEC_DIR_IN), again;
	struct xipsec_selector want = pair("10.1.0.0", "10.1.255.255", "192.0.2.7", "192.0.2.7");
	struct xipsec_selector fixed = pair("10.1.0.0", "10.1.255.255", "10.9.0.0", "10.9.255.255");

	load_good(roads, &config);
	sa.selector[sa.n_selectors++] = want;
	sa.selector[sa.n_selectors++] = fixed;
	assert_null(sa_selectors_narrow(config, &sa));
	/* the first connection's stand-in takes from what stands behind it, not from what is known
	 */
	assert_int_equal(sa.refuse[0], 0);
	assert_selector(&sa.selector[0], &want);
	assert_int_equal(sa.n_selectors, 3);
	assert_int_equal(sa.refuse[1], 1);
	assert_selector(&sa.selector[1], &config->policies[0].rules[0].sel);
	assert_int_equal(sa.refuse[2], 0);
	assert_selector(&sa.selector[2], &fixed);
	/* and it is the same when it is asked again: a reload compares */
	xipsec_sa_copy(&again, &sa);
	assert_null(sa_selectors_narrow(config, &again));
	assert_memory_equal(&again, &sa, XIPSEC_SA_SIZE(sa.n_selectors));
}

static void test_refusals(void **state)
{
	_cleanup_config_ struct config *config = NULL;
	struct xipsec_sa sa = sa_of("first/net", XIPSEC_DIR_IN);

	load_good(roads, &config);
	/* all: no address */
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "no policy"));
	sa.n_selectors = 1;
	sa.selector[0] = pair("10.1.0.0", "10.1.255.255", "0.0.0.0", "255.255.255.255");
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "outside"));
	sa.selector[0] = pair("10.3.0.0", "10.3.255.255", "192.0.2.7", "192.0.2.7");
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "outside"));
	/* the other direction of the same addresses is no packet of it */
	sa.selector[0] = pair("192.0.2.7", "192.0.2.7", "10.1.0.0", "10.1.255.255");
	assert_non_null(strstr(sa_selectors_narrow(config, &sa), "outside"));
	sa.selector[0] = pair("10.1.0.0", "10.1.255.255", "192.0.2.7", "192.0.2.7");
	assert_null(sa_selectors_narrow(config, &sa));
}

/* ------------------------------------------------------------------ in an SPD */

/* bypass; of SA 7; of SA 8; stand-in; of SA 7; another stand-in: rules by number, not in order. */
static struct xipsec_spd_rule in_force[6];
static const struct spd_dynamic in_order[] = {{2, 0}, {0, 5}, {5, 1}, {1, 3}, {3, SPD_AT_END}};
#define N_DYNAMIC 5

static void fill_force(void)
{
	memset(in_force, 0, sizeof(in_force));
	for (unsigned int i = 0; i < 6; i++)
		in_force[i].sel = pair("10.1.0.0", "10.1.255.255", "0.0.0.0", "255.255.255.255");
	in_force[4].action = XIPSEC_ACTION_BYPASS;
	in_force[2].child = in_force[1].child = 7;
	in_force[0].child = 8;
	for (unsigned int i = 0; i < 3; i++) {
		in_force[i].action = XIPSEC_ACTION_PROTECT;
		in_force[i].origin = XIPSEC_RULE_OF_SA;
		in_force[i].sel.remote_lo = in_force[i].sel.remote_hi = addr4("192.0.2.7");
	}
	in_force[0].sel.remote_lo = in_force[0].sel.remote_hi = addr4("192.0.2.8");
	in_force[1].sel.local_hi = addr4("10.1.0.255");
	in_force[5].origin = in_force[3].origin = XIPSEC_RULE_REMOTE_LATER;
	in_force[3].sel.local_hi = addr4("10.1.0.255");
}

static const struct classifier force = {.rule = in_force};

static void find(const struct standin_want *want, unsigned int n, const __u32 *child,
		 struct standin_change *change)
{
	*change = (struct standin_change){0};
	assert_int_equal(standin_change_find(&force, in_order, N_DYNAMIC, want, n, child, change),
			 0);
}

/* What is as it should be stays, whatever the lines of the config are now. */
static void test_only_what_differs(void **state)
{
	const struct xipsec_spd_rule wide = {
		.sel = pair("10.1.0.0", "10.1.255.255", "0.0.0.0", "255.255.255.255"),
		.origin = XIPSEC_RULE_REMOTE_LATER};
	struct xipsec_spd_rule gone = wide;
	struct standin_want want[3];
	struct standin_change change;
	struct spd_dynamic list[N_DYNAMIC];
	__u32 child = 7;

	fill_force();
	memcpy(list, in_order, sizeof(list));
	want[0] = (struct standin_want){in_force[2], &wide};
	want[1] = (struct standin_want){in_force[1], &in_force[3]};
	want[2] = (struct standin_want){in_force[0], &wide};
	for (unsigned int i = 0; i < 3; i++)
		want[i].rule.line = 100 + i;
	find(want, 3, NULL, &change);
	assert_int_equal(change.n_add + change.n_remove, 0);
	assert_int_equal(change.n_keep, 3);
	assert_int_equal(change.keep[2].number, 0);
	standin_change_free(&change);
	/* one of two goes; those of another child are not asked for */
	find(want, 1, &child, &change);
	assert_int_equal(change.n_add, 0);
	assert_int_equal(change.n_remove, 1);
	assert_int_equal(change.remove[0], 1);
	standin_change_free(&change);
	/* of all: the other child's as well */
	find(want, 2, NULL, &change);
	assert_int_equal(change.n_remove, 1);
	assert_int_equal(change.remove[0], 0);
	standin_change_free(&change);
	/* it stands before another stand-in than it should; twice wanted is twice there */
	want[1].standin = &wide;
	want[2] = want[0];
	find(want, 3, &child, &change);
	assert_int_equal(change.n_keep, 1);
	assert_int_equal(change.n_add, 2);
	assert_int_equal(change.add[0].before, 5);
	assert_int_equal(change.add[1].before, 5);
	assert_int_equal(change.n_remove, 1);
	assert_int_equal(change.remove[0], 1);
	standin_change_free(&change);
	/* a rule of another kind has come between */
	list[0].behind = 4;
	want[0] = (struct standin_want){in_force[2], &wide};
	change = (struct standin_change){0};
	assert_int_equal(standin_change_find(&force, list, N_DYNAMIC, want, 1, &child, &change), 0);
	assert_int_equal(change.n_add, 1);
	assert_int_equal(change.add[0].before, 5);
	assert_int_equal(change.n_remove, 2);
	standin_change_free(&change);
	/* a stand-in that is not in force */
	gone.sel.local_lo = addr4("10.1.3.0");
	want[0].standin = &gone;
	change = (struct standin_change){0};
	assert_int_equal(standin_change_find(&force, in_order, N_DYNAMIC, want, 1, NULL, &change),
			 -EAGAIN);
	standin_change_free(&change);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_list),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_only_what_differs),
	};

	return cmocka_run_group_tests(tests, config_setup, config_teardown);
}
