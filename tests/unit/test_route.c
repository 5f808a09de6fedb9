// SPDX-License-Identifier: BSD-2-Clause
/* Next hops as xipsecd resolves them, by the kernel's own tables in a network of the test's own:
 * what is answered, how often the kernel is asked, and who loses what when there is no more room.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/route.h"
#include "tests/lib/skip.h"

enum {
	SLOT = 3,
	ROOM = 4096, /* NEXTHOPS_MAX of loader/route.c */
	FEW = 100,   /* destinations of an SA that wants no more */
};

static struct event_base *base;
static struct route *route;
static struct ctl_nexthop last;
static unsigned int n_told;
static __u32 few_told; /* of 10.1.0.0/16, with NO_ROUTE */

static void run(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static void on_nexthop(void *ctx, const struct ctl_nexthop *msg)
{
	last = *msg;
	n_told++;
	if (msg->dst.byte[1] == 1 && msg->status == XIPSEC_NEXTHOP_NO_ROUTE)
		few_told++;
}

static void on_links(void *ctx)
{
}

static int on_slot(void *ctx, unsigned int ifindex)
{
	return ifindex == if_nametoindex("r0") ? SLOT : -1;
}

static const struct route_hooks hooks = {on_nexthop, on_links, on_slot};

static int own_network(void **state)
{
	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return 0;
	run("ip link add r0 type veth peer name r1");
	run("ip addr add 10.9.0.1/24 dev r0 && ip link set r0 up && ip link set r1 up");
	run("ip neigh replace 10.9.0.2 lladdr 02:00:00:00:00:02 dev r0 nud permanent");
	base = event_base_new();
	return base ? 0 : -1;
}

static int begin(void **state)
{
	if (!base)
		return 0;
	run("ip route replace 10.0.0.0/8 via 10.9.0.2");
	n_told = few_told = 0;
	return route_new(base, &hooks, NULL, &route);
}

static int end(void **state)
{
	route_free(route);
	route = NULL;
	return 0;
}

/* 10.a.x.y, the n-th of them. */
static struct xipsec_addr addr(__u8 a, __u32 n)
{
	return (struct xipsec_addr){.byte = {10, a, (__u8)(n >> 8), (__u8)n}};
}

static void ask(struct xipsec_addr dst, __u32 share)
{
	route_ask(route, &dst, XIPSEC_FAMILY_IP4, share);
}

static void events_for(int ms)
{
	const struct timeval time = {.tv_usec = ms * 1000};

	event_base_loopexit(base, &time);
	event_base_dispatch(base);
}

static void answers(void **state)
{
	static const __u8 gateway[6] = {2, 0, 0, 0, 0, 2};
	struct xipsec_addr dst = {.byte = {192, 0, 2, 1}};

	if (!base)
		skip_because("needs root (namespaces)");
	ask(addr(1, 1), 0);
	assert_int_equal(n_told, 1);
	assert_int_equal(last.status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(last.slot, SLOT);
	assert_int_equal(last.mtu, 1500);
	assert_int_equal(last.lifetime, 30);
	assert_int_equal(last.share, 0);
	assert_memory_equal(last.dst_mac, gateway, 6);
	dst = (struct xipsec_addr){.byte = {10, 9, 0, 1}};
	ask(dst, 0);
	assert_int_equal(last.status, XIPSEC_NEXTHOP_LOCAL);
	dst = (struct xipsec_addr){.byte = {192, 0, 2, 1}};
	ask(dst, 0);
	assert_int_equal(last.status, XIPSEC_NEXTHOP_NO_ROUTE);
	assert_int_equal(n_told, 3);
	route_ask(route, &dst, 0, 0);
	route_ask(route, &dst, 10, ~0U);
	assert_int_equal(n_told, 3);
}

/* Who asks in a loop is answered each time, and the kernel is asked five times a second at most. */
static void asked_in_a_loop(void **state)
{
	if (!base)
		skip_because("needs root (namespaces)");
	ask(addr(1, 1), 0);
	run("ip route del 10.0.0.0/8");
	for (int i = 0; i < 100; i++)
		ask(addr(1, 1), 0);
	assert_int_equal(n_told, 101);
	assert_int_equal(last.status, XIPSEC_NEXTHOP_OK);
	usleep(210000);
	ask(addr(1, 1), 0);
	assert_int_equal(last.status, XIPSEC_NEXTHOP_NO_ROUTE);
}

struct kept {
	unsigned int all, few;
	bool first_of_many;
};

static void count(void *ctx, const struct ctl_nexthop *msg)
{
	struct kept *kept = ctx;
	const struct xipsec_addr first = addr(16, 0);

	kept->all++;
	kept->few += msg->dst.byte[1] == 1;
	kept->first_of_many |= !memcmp(&msg->dst, &first, sizeof(first));
}

static struct kept kept(void)
{
	struct kept k = {0};

	route_each(route, count, &k);
	return k;
}

/* An SA whose peer names ever new destinations has what room there is, and takes none from another:
 * who has few keeps them, and goes on being told of changes. */
static void one_sa_cannot_push_out_others(void **state)
{
	if (!base)
		skip_because("needs root (namespaces)");
	for (__u32 n = 0; n < FEW; n++)
		ask(addr(1, n), n < 20 ? 0 : 5);
	for (__u32 n = 0; n < ROOM - FEW; n++)
		ask(addr(16, n), 7);
	assert_int_equal(kept().all, ROOM);
	assert_true(kept().first_of_many);
	for (__u32 n = ROOM; n < ROOM + 500; n++)
		ask(addr(16, n), 7);
	assert_int_equal(kept().all, ROOM);
	assert_int_equal(kept().few, FEW);
	assert_false(kept().first_of_many);
	/* a second of its kind; and one more of the few, which then has room too */
	for (__u32 n = 0; n < ROOM; n++)
		ask(addr(32, n), 8);
	ask(addr(1, FEW), 5);
	assert_int_equal(kept().all, ROOM);
	assert_int_equal(kept().few, FEW + 1);
	/* what it names is theirs no less */
	ask(addr(1, 50), 7);
	for (__u32 n = 0; n < 500; n++)
		ask(addr(33, n), 7);
	assert_int_equal(kept().few, FEW + 1);
	run("ip route del 10.0.0.0/8");
	events_for(800);
	assert_int_equal(few_told, FEW + 1);
}

/* Nor do two SAs of one peer that name the same in turns: what both ask for is the first one's, not
 * of the share that next hops of peers are in. */
static void two_sas_cannot_push_out_peers(void **state)
{
	if (!base)
		skip_because("needs root (namespaces)");
	for (__u32 n = 0; n < ROOM - 20; n++)
		ask(addr(16, n), 7);
	for (__u32 n = 0; n < 20; n++)
		ask(addr(1, n), 0);
	usleep(1100000); /* and then they are the oldest */
	for (__u32 n = 0; n < ROOM + 500; n++) {
		ask(addr(16, n), 7);
		ask(addr(16, n), 8);
	}
	assert_int_equal(kept().all, ROOM);
	assert_int_equal(kept().few, 20);
}

/* A peer's next hop is none of an SA's, not even when an SA named it first. */
static void peers_are_of_no_sa(void **state)
{
	if (!base)
		skip_because("needs root (namespaces)");
	ask(addr(1, 1), 7);
	ask(addr(1, 1), 0);
	ask(addr(1, 1), 7);
	for (__u32 n = 0; n < ROOM; n++)
		ask(addr(16, n), 7);
	assert_int_equal(kept().all, ROOM);
	assert_int_equal(kept().few, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers),
		TEST(asked_in_a_loop),
		TEST(one_sa_cannot_push_out_others),
		TEST(two_sas_cannot_push_out_peers),
		TEST(peers_are_of_no_sa),
	};

	return cmocka_run_group_tests(tests, own_network, NULL);
}
