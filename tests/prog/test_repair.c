// SPDX-License-Identifier: BSD-2-Clause
/*
 * What xipsecd calls when interfaces come and go, in a network namespace and a bpffs of this
 * process alone: attach_repair() and attach_ifaces(). keep0 stays attached from the first test to
 * the last, so that the programs are loaded once and not by every test: that takes half a minute
 * under emulation.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/log.h"
#include "loader/attach.h"
#include "loader/datapath.h"
#include "loader/hook_tc.h"
#include "loader/iflist.h"
#include "tests/lib/bpffs.h"
#include "xipsec/maps.h"

static char dir[] = "/tmp/xipsec-repair-XXXXXX";
static struct config *config;

static void shell(const char *command)
{
	assert_int_equal(system(command), 0);
}

static int attach(const char *name, enum xipsec_role role)
{
	struct loader_attach what = {.ifname = name, .role = role};

	return loader_attach(config, &what);
}

/* The entry of an interface; slot and ifindex as attach_ifaces() says. */
static struct attach_iface entry(const char *name)
{
	struct attach_iface *list = NULL, found = {0};
	unsigned int n = 0;

	assert_int_equal(attach_ifaces(config, &list, &n), 0);
	for (unsigned int i = 0; i < n; i++) {
		if (!strcmp(list[i].name, name)) {
			assert_int_equal(found.name[0], 0); /* once only */
			found = list[i];
		}
	}
	free(list);
	return found;
}

static int faults(void)
{
	struct loader_status *status = NULL;
	int n = 0;

	assert_int_equal(loader_status(config, &status), 0);
	for (unsigned int i = 0; i < status->n_ifaces; i++)
		n += status->iface[i].role &&
		     (status->iface[i].fault[0] || status->iface[i].note[0]);
	loader_status_free(status);
	return n;
}

static bool is_up(const char *name)
{
	struct iflist_entry link;

	assert_int_equal(iflist_find(name, &link), 0);
	return link.up;
}

static int setup(void **state)
{
	if (if_nametoindex("keep0") == 0) {
		shell("ip link add keep0 type veth peer name keep1 && ip link set keep0 up && "
		      "ip link set keep1 up");
		assert_int_equal(attach("keep0", XIPSEC_ROLE_PROTECTED), 0);
	}
	shell("ip link add red0 type veth peer name red1");
	shell("ip link add blk0 type veth peer name blk1");
	shell("for i in lo red0 red1 blk0 blk1; do ip link set $i up; done");
	assert_int_equal(attach("blk0", XIPSEC_ROLE_UNPROTECTED), 0);
	assert_int_equal(attach("red0", XIPSEC_ROLE_PROTECTED), 0);
	return 0;
}

static int teardown(void **state)
{
	loader_detach(config, "red0");
	loader_detach(config, "blk0");
	return system("ip link del red0; ip link del blk0; true");
}

static void nothing_attached(void **state)
{
	struct attach_iface *list = NULL;
	unsigned int n = 0;

	assert_int_equal(attach_repair(config), 0);
	assert_int_equal(attach_ifaces(config, &list, &n), -ENOENT);
	assert_null(list);
}

static void nothing_to_do(void **state)
{
	struct attach_iface blk, red;

	assert_int_equal(attach_repair(config), 0);
	blk = entry("blk0");
	red = entry("red0");
	assert_int_equal(blk.role, XIPSEC_ROLE_UNPROTECTED);
	assert_int_equal(red.role, XIPSEC_ROLE_PROTECTED);
	assert_int_not_equal(blk.slot, red.slot);
	assert_true(blk.up);
	assert_false(blk.generic);
	assert_int_equal(blk.mtu, 1500);
	assert_int_equal(faults(), 0);
}

/* Gone: listed without an ifindex. Anew: attached again, in the same slot. */
static void made_anew(void **state)
{
	struct attach_iface before = entry("blk0"), after;

	shell("ip link del blk0");
	assert_int_equal(attach_repair(config), 0);
	assert_int_equal(entry("blk0").ifindex, 0);
	assert_int_equal(entry("blk0").role, XIPSEC_ROLE_UNPROTECTED);
	shell("ip link add blk0 type veth peer name blk1");
	assert_int_equal(attach_repair(config), 1);
	after = entry("blk0");
	assert_int_not_equal(after.ifindex, before.ifindex);
	assert_int_not_equal(after.ifindex, 0);
	assert_int_equal(after.role, XIPSEC_ROLE_UNPROTECTED);
	assert_int_equal(faults(), 0);
	assert_int_equal(attach_repair(config), 0);
}

/* Anew before anybody looked: the old entry makes room, the slot stays. */
static void made_anew_at_once(void **state)
{
	unsigned int slot = entry("blk0").slot;

	shell("ip link del blk0 && ip link add blk0 type veth peer name blk1");
	assert_int_equal(attach_repair(config), 1);
	assert_int_equal(entry("blk0").slot, slot);
	assert_int_equal(faults(), 0);
}

static void lost_a_program(void **state)
{
	shell("ip link set red0 xdp off");
	assert_int_equal(faults(), 1);
	assert_int_equal(attach_repair(config), 1);
	assert_int_equal(faults(), 0);
}

static void lost_the_one_behind_xdp(void **state)
{
	unsigned int ifindex = entry("blk0").ifindex;
	struct tc_state now;
	int fd;

	assert_int_equal(tc_query_place(ifindex, &tc_place[TC_BLACKTC], &now), 0);
	assert_int_not_equal(now.prog_id, 0);
	fd = bpf_prog_get_fd_by_id(now.prog_id);
	assert_true(fd >= 0);
	assert_int_equal(tc_swap(ifindex, TC_INGRESS, now.kind, -1, fd), 0);
	close(fd);
	assert_int_equal(faults(), 1);
	assert_int_equal(attach_repair(config), 1);
	assert_int_equal(faults(), 0);
	assert_int_equal(tc_query_place(ifindex, &tc_place[TC_BLACKTC], &now), 0);
	assert_int_not_equal(now.prog_id, 0);
}

/* Programs live on without pins; a new generation takes all of them over. */
static void pins_are_gone(void **state)
{
	char before[32], after[32], command[512];

	assert_int_equal(datapath_current(config->pin_dir, before), 0);
	snprintf(command, sizeof(command), "rm -rf %s", config->pin_dir);
	shell(command);
	assert_int_equal(faults(), 3);
	assert_int_equal(attach_repair(config), 3);
	assert_int_equal(faults(), 0);
	assert_int_equal(datapath_current(config->pin_dir, after), 0);
	assert_string_not_equal(before, after);
}

/* Direction of failure: what cannot be attached is closed, the others are mended. */
static void cannot_be_mended(void **state)
{
	shell("ip link set red0 xdp off");
	shell("ip link del blk0 && ip link add blk0 mtu 20000 type veth peer name blk1 mtu 20000");
	shell("ip link set blk0 up");
	assert_int_equal(attach_repair(config), -EMSGSIZE);
	assert_false(is_up("blk0"));
	assert_true(is_up("red0"));
	shell("ip link set blk0 mtu 1500 && ip link set blk1 mtu 1500");
	assert_int_equal(attach_repair(config), 1);
	assert_int_equal(faults(), 0);
}

/* ------------------------------------------------------------------ MACs */

/* The MACs that red0's entry lists, as text. */
static const char *macs(void)
{
	static char text[XIPSEC_IFACE_MACS * 18 + 1];
	__u32 ifindex = entry("red0").ifindex;
	struct xipsec_iface iface;
	struct datapath dp;
	size_t len = 0;

	assert_int_equal(datapath_open(config->pin_dir, &dp), 0);
	assert_int_equal(bpf_map_lookup_elem(dp.ifaces, &ifindex, &iface), 0);
	datapath_close(&dp);
	assert_true(iface.n_macs <= XIPSEC_IFACE_MACS);
	text[0] = 0;
	for (__u32 i = 0; i < iface.n_macs; i++) {
		const __u8 *m = iface.mac[i];

		len += snprintf(text + len, sizeof(text) - len, "%s%02x:%02x:%02x:%02x:%02x:%02x",
				i ? " " : "", m[0], m[1], m[2], m[3], m[4], m[5]);
	}
	return text;
}

/* Changed under a running attach: by xipsecd's look, and by `attach --all` where none runs. */
static void mac_changes(void **state)
{
	struct loader_attach all = {0};

	shell("ip link set red0 address 02:00:00:00:01:01");
	assert_string_not_equal(macs(), "02:00:00:00:01:01");
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), "02:00:00:00:01:01");
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), "02:00:00:00:01:01");
	shell("ip link set red0 address 02:00:00:00:01:02");
	config->n_ifaces = 1;
	config->ifaces = calloc(1, sizeof(*config->ifaces));
	assert_non_null(config->ifaces);
	config->ifaces[0].role = XIPSEC_ROLE_PROTECTED;
	strcpy(config->ifaces[0].name, "red0");
	assert_int_equal(loader_attach(config, &all), -EALREADY);
	assert_string_equal(macs(), "02:00:00:00:01:02");
	free(config->ifaces);
	config->ifaces = NULL;
	config->n_ifaces = 0;
}

/* An interface that is made anew has a new MAC, whoever finds it. */
static void mac_of_one_made_anew(void **state)
{
	shell("ip link del red0 && "
	      "ip link add red0 address 02:00:00:00:01:03 type veth peer name red1");
	assert_int_equal(attach_repair(config), 1);
	assert_string_equal(macs(), "02:00:00:00:01:03");
}

/* VRRP with a MAC of its own: a macvlan above, while it is up and in this namespace. */
static void mac_of_a_macvlan(void **state)
{
	shell("ip link set red0 address 02:00:00:00:01:01 && "
	      "ip link add vrrp0 link red0 address 00:00:5e:00:01:33 type macvlan mode private && "
	      "ip link add other0 link blk0 address 00:00:5e:00:01:34 type macvlan mode private && "
	      "ip link set other0 up");
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), "02:00:00:00:01:01");
	shell("ip link set vrrp0 up");
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), "02:00:00:00:01:01 00:00:5e:00:01:33");
	shell("ip link set vrrp0 address 00:00:5e:00:01:35");
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), "02:00:00:00:01:01 00:00:5e:00:01:35");
	shell("ip link set vrrp0 down");
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), "02:00:00:00:01:01");
}

static void too_many_macs(void **state)
{
	char want[XIPSEC_IFACE_MACS * 18 + 1] = "02:00:00:00:01:01";

	shell("ip link set red0 address 02:00:00:00:01:01 && for i in 1 2 3 4 5 6 7 8 9; do "
	      "ip link add m$i link red0 address 00:00:5e:00:01:0$i type macvlan && "
	      "ip link set m$i up || exit 1; done");
	for (int i = 1; i < XIPSEC_IFACE_MACS; i++)
		snprintf(want + strlen(want), sizeof(want) - strlen(want), " 00:00:5e:00:01:0%d",
			 i);
	assert_int_equal(attach_repair(config), 0);
	assert_string_equal(macs(), want);
}

static void no_ethernet(void **state)
{
	int err;

	shell("ip tuntap add dev tun0 mode tun && ip tuntap add dev tap0 mode tap");
	assert_int_equal(attach("tun0", XIPSEC_ROLE_PROTECTED), -EINVAL);
	err = attach("tap0", XIPSEC_ROLE_PROTECTED);
	/* The driver's XDP on 6.1 has no metadata area: refused in words. */
	if (err != -EOPNOTSUPP) {
		assert_int_equal(err, 0);
		assert_int_equal(loader_detach(config, "tap0"), 0);
	}
	shell("ip link del tun0 && ip link del tap0");
}

static void detached_stays_detached(void **state)
{
	assert_int_equal(loader_detach(config, "red0"), 0);
	assert_int_equal(attach_repair(config), 0);
	assert_int_equal(entry("red0").name[0], 0);
	shell("ip link del red0 && ip link add red0 type veth peer name red1");
	assert_int_equal(attach_repair(config), 0);
}

/* The last one out takes the programs and their pins away. */
static void all_detached(void **state)
{
	struct attach_iface *list = NULL;
	unsigned int n = 0;

	assert_int_equal(loader_detach(config, NULL), 0);
	assert_int_equal(attach_ifaces(config, &list, &n), -ENOENT);
	assert_int_equal(access(config->pin_dir, F_OK), -1);
	shell("ip link del keep0");
}

static int begin(void)
{
	char path[128];
	int err;

	if (unshare(CLONE_NEWNET) || !mkdtemp(dir))
		return -errno;
	snprintf(path, sizeof(path), "%s/bpffs", dir);
	err = bpffs_mount(path);
	if (err)
		return err;
	config = config_defaults();
	if (!config)
		return -ENOMEM;
	snprintf(config->pin_dir, sizeof(config->pin_dir), "%s/bpffs/pins", dir);
	snprintf(config->run_dir, sizeof(config->run_dir), "%s/run", dir);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_attached),
		cmocka_unit_test_setup_teardown(nothing_to_do, setup, teardown),
		cmocka_unit_test_setup_teardown(made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(made_anew_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_a_program, setup, teardown),
		cmocka_unit_test_setup_teardown(lost_the_one_behind_xdp, setup, teardown),
		cmocka_unit_test_setup_teardown(pins_are_gone, setup, teardown),
		cmocka_unit_test_setup_teardown(cannot_be_mended, setup, teardown),
		cmocka_unit_test_setup_teardown(mac_changes, setup, teardown),
		cmocka_unit_test_setup_teardown(mac_of_one_made_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(mac_of_a_macvlan, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_macs, setup, teardown),
		cmocka_unit_test_setup_teardown(no_ethernet, setup, teardown),
		cmocka_unit_test_setup_teardown(detached_stays_detached, setup, teardown),
		cmocka_unit_test(all_detached),
	};
	char command[128];
	int failed, err = begin();

	if (err) {
		fprintf(stderr, "namespaces, bpffs: %s\n", strerror(-err));
		return 1;
	}
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	config_free(config);
	snprintf(command, sizeof(command), "umount %s/bpffs; rm -rf %s", dir, dir);
	return system(command) || failed;
}
