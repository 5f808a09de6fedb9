// SPDX-License-Identifier: BSD-2-Clause
/* The compile step of the SPD, and the tables and files beside it that need no kernel. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <linux/version.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "loader/probe.h"
#include "loader/record.h"
#include "loader/spd.h"

struct children {
	char name[4][XIPSEC_NAME_LEN];
	int n;
	int asked;
	int fail; /* -errno to give back, 0: none */
};

static int child_id(void *arg, const char *name)
{
	struct children *children = arg;

	children->asked++;
	if (children->fail)
		return children->fail;
	for (int i = 0; i < children->n; i++) {
		if (!strcmp(children->name[i], name))
			return i;
	}
	assert_true(children->n < 4);
	strcpy(children->name[children->n], name);
	return children->n++;
}

static struct xipsec_spd_rule rule(__u8 action, __u32 line)
{
	struct xipsec_spd_rule made = {.action = action, .dirs = XIPSEC_DIR_OUT | XIPSEC_DIR_IN};

	made.line = line;
	made.sel.family = XIPSEC_FAMILY_IP4;
	made.child = 77; /* what the config says there does not count */
	return made;
}

static int dev_id(void *arg, const char *name)
{
	return name[0] == 'r' ? 7 : -ENOSPC;
}

static int compile(const struct config *config, struct children *children, struct spd_source *out)
{
	const struct spd_ids ids = {child_id, dev_id, children};

	return spd_compile(config, &ids, out);
}

/* The name of an interface becomes its number, in the rules of its policy alone. */
static void devs_have_numbers(void **state)
{
	struct xipsec_spd_rule first[] = {rule(XIPSEC_ACTION_BYPASS, 1),
					  rule(XIPSEC_ACTION_BYPASS, 2)};
	struct xipsec_spd_rule second[] = {rule(XIPSEC_ACTION_DISCARD, 3)};
	struct config_policy policies[] = {
		{.name = "p1", .dev = "red0", .rules = first, .n_rules = 2},
		{.name = "p2", .rules = second, .n_rules = 1},
	};
	struct config config = {.policies = policies, .n_policies = 2, .max_rules = 5};
	struct children children = {.n = 0};
	struct spd_source spd;

	assert_int_equal(compile(&config, &children, &spd), 0);
	assert_int_equal(spd.rule[0].dev, 7);
	assert_int_equal(spd.rule[1].dev, 7);
	assert_int_equal(spd.rule[2].dev, 0);
	spd_source_free(&spd);
	strcpy(policies[0].dev, "none");
	assert_int_equal(compile(&config, &children, &spd), -ENOSPC);
}

static void order_is_kept(void **state)
{
	struct xipsec_spd_rule first[] = {rule(XIPSEC_ACTION_PROTECT, 1),
					  rule(XIPSEC_ACTION_PROTECT, 2)};
	struct xipsec_spd_rule second[] = {rule(XIPSEC_ACTION_DISCARD, 3)};
	struct xipsec_spd_rule third[] = {rule(XIPSEC_ACTION_BYPASS, 4)};
	struct xipsec_spd_rule fourth[] = {rule(XIPSEC_ACTION_PROTECT, 5)};
	struct config_policy policies[] = {
		{.name = "p1", .child = "b", .rules = first, .n_rules = 2},
		{.name = "p2", .rules = second, .n_rules = 1},
		{.name = "p3", .rules = third, .n_rules = 1},
		{.name = "p4", .child = "a", .rules = fourth, .n_rules = 1},
	};
	struct config config = {.policies = policies, .n_policies = 4, .max_rules = 5};
	struct children children = {.name = {"a"}, .n = 1};
	struct spd_source spd;

	/* A wide prefix before a narrow one, a later one with the longer mask: still file order. */
	second[0].sel.local_hi.word[0] = 0xffffffff;
	assert_int_equal(compile(&config, &children, &spd), 0);
	assert_int_equal(spd.n_rules, 5);
	for (__u32 i = 0; i < 5; i++)
		assert_int_equal(spd.rule[i].line, i + 1);
	assert_int_equal(spd.rule[0].child, 1);
	assert_int_equal(spd.rule[1].child, 1);
	assert_int_equal(spd.rule[2].child, 0);
	assert_int_equal(spd.rule[3].child, 0);
	assert_int_equal(spd.rule[4].child, 0);
	assert_int_equal(spd.rule[2].action, XIPSEC_ACTION_DISCARD);
	assert_int_equal(spd.rule[3].action, XIPSEC_ACTION_BYPASS);
	assert_int_equal(spd.rule[2].sel.local_hi.word[0], 0xffffffff);
	assert_int_equal(children.asked, 2);
	spd_source_free(&spd);
}

static void allow_is_copied(void **state)
{
	struct config config = {.allow = XIPSEC_ALLOW_DHCP | XIPSEC_ALLOW_MLD,
				.ethertypes = {0x88cc, 0x8863},
				.n_ethertypes = 2};
	struct children children = {0};
	struct spd_source spd;

	assert_int_equal(compile(&config, &children, &spd), 0);
	assert_int_equal(spd.n_rules, 0);
	assert_int_equal(spd.allow, XIPSEC_ALLOW_DHCP | XIPSEC_ALLOW_MLD);
	assert_int_equal(spd.n_ethertypes, 2);
	assert_int_equal(spd.ethertype[0], 0x88cc);
	assert_int_equal(spd.ethertype[1], 0x8863);
	assert_int_equal(spd.ethertype[2], 0);
	spd_source_free(&spd);
}

/* max_rules fit, one more does not, and then nothing is given out. */
static void too_many_rules(void **state)
{
	struct xipsec_spd_rule *rules = calloc(257, sizeof(*rules));
	struct config_policy policy = {.name = "p", .rules = rules, .n_rules = 256};
	struct config config = {.policies = &policy, .n_policies = 1, .max_rules = 256};
	struct children children = {0};
	struct spd_source spd;

	assert_non_null(rules);
	assert_int_equal(compile(&config, &children, &spd), 0);
	assert_int_equal(spd.n_rules, 256);
	spd_source_free(&spd);
	memset(&spd, 0x5a, sizeof(spd));
	policy.n_rules++;
	assert_int_equal(compile(&config, &children, &spd), -E2BIG);
	for (size_t i = 0; i < sizeof(spd); i++)
		assert_int_equal(((unsigned char *)&spd)[i], 0x5a);
	free(rules);
}

static void child_that_gets_no_id(void **state)
{
	struct xipsec_spd_rule rules[] = {rule(XIPSEC_ACTION_BYPASS, 1),
					  rule(XIPSEC_ACTION_PROTECT, 2)};
	struct config_policy policy = {.name = "p", .child = "c", .rules = rules, .n_rules = 2};
	struct config config = {.policies = &policy, .n_policies = 1, .max_rules = 9};
	struct children children = {.fail = -ENOSPC};
	struct spd_source spd = {.n_rules = 9};

	assert_int_equal(compile(&config, &children, &spd), -ENOSPC);
	assert_int_equal(spd.n_rules, 9);
	assert_int_equal(children.asked, 1);
}

static void metadata_table(void **state)
{
	assert_true(probe_driver_metadata("veth", KERNEL_VERSION(6, 1, 0)));
	assert_true(probe_driver_metadata("", KERNEL_VERSION(6, 1, 0)));
	assert_false(probe_driver_metadata("ena", KERNEL_VERSION(6, 18, 0)));
	assert_false(probe_driver_metadata("tun", KERNEL_VERSION(6, 14, 0)));
	assert_true(probe_driver_metadata("tun", KERNEL_VERSION(6, 15, 0)));
}

static void record_round_trip(void **state)
{
	char dir[] = "/tmp/xipsec-record-XXXXXX", path[64];
	struct record record = {0}, read = {0};

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ifaces", dir);
	assert_int_equal(record_read(dir, &read), 0);
	assert_int_equal(read.n, 0);
	assert_int_equal(record_set(&record, "eth0.100", XIPSEC_ROLE_UNPROTECTED), 0);
	assert_int_equal(record_set(&record, "eth1", XIPSEC_ROLE_PROTECTED), 0);
	record_find(&record, "eth1")->vlan_strip = true;
	assert_int_equal(record_write(dir, &record), 0);
	assert_int_equal(record_read(dir, &read), 0);
	assert_int_equal(read.n, 2);
	assert_int_equal(record_find(&read, "eth0.100")->role, XIPSEC_ROLE_UNPROTECTED);
	assert_false(record_find(&read, "eth0.100")->vlan_strip);
	assert_int_equal(record_find(&read, "eth1")->role, XIPSEC_ROLE_PROTECTED);
	assert_true(record_find(&read, "eth1")->vlan_strip);
	record_remove(&read, "eth0.100");
	record_remove(&read, "eth1");
	assert_int_equal(record_write(dir, &read), 0);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(rmdir(dir), 0);
}

static void record_with_nonsense(void **state)
{
	char dir[] = "/tmp/xipsec-record-XXXXXX", path[64];
	struct record read = {0};
	FILE *file;

	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/ifaces", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fputs("eth0\neth1 pink\n\neth2 protected\n", file);
	fclose(file);
	assert_int_equal(record_read(dir, &read), 0);
	assert_int_equal(read.n, 1);
	assert_string_equal(read.entry[0].name, "eth2");
	unlink(path);
	rmdir(dir);
}

static void record_is_full(void **state)
{
	struct record record = {0};
	char name[16];

	for (int i = 0; i < XIPSEC_SLOTS_MAX; i++) {
		snprintf(name, sizeof(name), "eth%d", i);
		assert_int_equal(record_set(&record, name, XIPSEC_ROLE_PROTECTED), 0);
	}
	assert_int_equal(record_set(&record, "one", XIPSEC_ROLE_PROTECTED), -ENOSPC);
	assert_int_equal(record_set(&record, "eth0", XIPSEC_ROLE_UNPROTECTED), 0);
	assert_int_equal(record.n, XIPSEC_SLOTS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(order_is_kept),         cmocka_unit_test(devs_have_numbers),
		cmocka_unit_test(allow_is_copied),       cmocka_unit_test(too_many_rules),
		cmocka_unit_test(child_that_gets_no_id), cmocka_unit_test(metadata_table),
		cmocka_unit_test(record_round_trip),     cmocka_unit_test(record_with_nonsense),
		cmocka_unit_test(record_is_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
