// SPDX-License-Identifier: BSD-2-Clause
/* The next-hop cache, its questions and its bounded queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "worker/nexthop.h"

static unsigned int asked;
static struct xipsec_addr asked_dst;
static __u32 asked_share;

static void on_ask(void *arg, const struct xipsec_addr *dst, __u8 family, __u32 share)
{
	assert_ptr_equal(arg, &asked);
	asked++;
	asked_dst = *dst;
	asked_share = share;
}

static int setup(void **state)
{
	asked = 0;
	*state = nexthops_new(0x1234567890abcdefull, on_ask, &asked);
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	nexthops_free(*state);
	return 0;
}

static struct xipsec_addr ip4(__u32 n)
{
	return (struct xipsec_addr){.word = {__builtin_bswap32(0x0a000000 + n)}};
}

static struct ctl_nexthop answer(__u32 n, __u32 status)
{
	return (struct ctl_nexthop){
		.dst = ip4(n),
		.family = XIPSEC_FAMILY_IP4,
		.status = status,
		.slot = 5,
		.mtu = 1400,
		.src_mac = {2, 0, 0, 0, 0, 1},
		.dst_mac = {2, 0, 0, 0, 0, 2},
		.lifetime = 30,
	};
}

static struct nexthop *find(struct nexthops *nhs, __u32 n, __u64 now)
{
	struct xipsec_addr dst = ip4(n);

	return nexthop_find(nhs, &dst, XIPSEC_FAMILY_IP4, now);
}

static int learn(struct nexthops *nhs, __u32 n, __u32 status, __u64 now)
{
	struct ctl_nexthop msg = answer(n, status);

	return nexthop_learn(nhs, &msg, now);
}

static int hold(struct nexthops *nhs, __u32 n, __u64 frame, __u32 sa, __u64 now)
{
	struct work work = {.p.frame = frame, .sa_index = sa};

	return nexthop_hold(nhs, find(nhs, n, now), &work);
}

static void asks_once_then_knows(void **state)
{
	struct xipsec_addr dst = ip4(1);
	struct nexthop *nh;

	assert_int_equal(find(*state, 1, 0)->status, XIPSEC_NEXTHOP_UNKNOWN);
	assert_int_equal(asked, 1);
	assert_memory_equal(&asked_dst, &dst, sizeof(dst));
	find(*state, 1, NEXTHOP_RETRY_MS - 1);
	assert_int_equal(asked, 1);
	find(*state, 1, NEXTHOP_RETRY_MS + 1);
	assert_int_equal(asked, 2);
	assert_int_equal(learn(*state, 1, XIPSEC_NEXTHOP_OK, 300), 0);
	nh = find(*state, 1, 20000);
	assert_int_equal(nh->status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(nh->slot, 5);
	assert_int_equal(nh->mtu, 1400);
	assert_int_equal(nh->src_mac[5], 1);
	assert_int_equal(nh->dst_mac[5], 2);
	assert_int_equal(asked, 2);
}

static void old_answer_is_used_while_asking(void **state)
{
	learn(*state, 1, XIPSEC_NEXTHOP_OK, 0);
	assert_int_equal(find(*state, 1, 29999)->status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(asked, 0);
	assert_int_equal(find(*state, 1, 30000)->status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(asked, 1);
	/* no answer for long: still used, asked again */
	nexthops_tick(*state, 40000);
	assert_int_equal(find(*state, 1, 40000)->status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(asked, 2);
	/* "being resolved" does not take it away either */
	learn(*state, 1, XIPSEC_NEXTHOP_UNKNOWN, 40001);
	assert_int_equal(find(*state, 1, 40002)->status, XIPSEC_NEXTHOP_OK);
	learn(*state, 1, XIPSEC_NEXTHOP_NO_ROUTE, 40003);
	assert_int_equal(find(*state, 1, 40004)->status, XIPSEC_NEXTHOP_NO_ROUTE);
}

static void families_do_not_mix(void **state)
{
	struct xipsec_addr dst = ip4(1);

	learn(*state, 1, XIPSEC_NEXTHOP_OK, 0);
	assert_int_equal(nexthop_find(*state, &dst, XIPSEC_FAMILY_IP6, 0)->status,
			 XIPSEC_NEXTHOP_UNKNOWN);
	assert_int_equal(find(*state, 1, 0)->status, XIPSEC_NEXTHOP_OK);
}

static void held_come_back_in_order(void **state)
{
	struct work out[HELD_MAX];

	for (int i = 0; i < 5; i++)
		assert_int_equal(hold(*state, 1, 100 + i, 0, 0), 0);
	assert_int_equal(hold(*state, 2, 200, 0, 0), 0);
	assert_int_equal(nexthops_held(*state), 6);
	assert_int_equal(nexthops_ready(*state, out, HELD_MAX), 0);
	learn(*state, 1, XIPSEC_NEXTHOP_OK, 10);
	assert_int_equal(nexthops_ready(*state, out, 2), 2);
	assert_int_equal(nexthops_ready(*state, out + 2, HELD_MAX), 3);
	for (int i = 0; i < 5; i++)
		assert_int_equal(out[i].p.frame, 100 + i);
	assert_int_equal(nexthops_held(*state), 1);
	learn(*state, 2, XIPSEC_NEXTHOP_NO_NEIGH, 10);
	assert_int_equal(nexthops_ready(*state, out, HELD_MAX), 1);
	assert_int_equal(out[0].p.frame, 200);
	assert_int_equal(nexthops_held(*state), 0);
}

static void bounds_hold(void **state)
{
	struct work out[HELD_MAX];
	unsigned int n = 0;

	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < HELD_PER_DST; i++)
			assert_int_equal(hold(*state, 1, i, 0, 0), 0);
		assert_int_equal(hold(*state, 1, 99, 0, 0), -ENOBUFS);
		for (__u32 dst = 2; dst <= HELD_MAX / HELD_PER_DST; dst++)
			for (int i = 0; i < HELD_PER_DST; i++)
				assert_int_equal(hold(*state, dst, i, dst, 0), 0);
		assert_int_equal(hold(*state, 1000, 99, 1000, 0), -ENOBUFS);
		assert_int_equal(nexthops_held(*state), HELD_MAX);
		/* nobody answers: given up in one go, and the room is there again */
		nexthops_tick(*state, NEXTHOP_PATIENCE_MS + 1);
		assert_int_equal(find(*state, 1, NEXTHOP_PATIENCE_MS + 1)->status,
				 XIPSEC_NEXTHOP_NO_NEIGH);
		n = nexthops_ready(*state, out, HELD_MAX);
		assert_int_equal(n, HELD_MAX);
		assert_int_equal(nexthops_held(*state), 0);
		teardown(state);
		setup(state);
	}
}

static struct nexthop *find_for(struct nexthops *nhs, __u32 n, __u32 sa, __u64 now)
{
	struct xipsec_addr dst = ip4(n);

	return nexthop_find_for(nhs, &dst, XIPSEC_FAMILY_IP4, sa, now);
}

/* An SA whose peer names ever new destinations has its share of what waits, and others theirs; what
 * was taken out, in either way, is room again. */
static void one_sa_cannot_fill_the_queue(void **state)
{
	struct work out[HELD_MAX];
	__u32 dst = 1;

	for (int round = 0; round < 3; round++) {
		for (unsigned int i = 0; i < HELD_PER_SA; i++)
			assert_int_equal(hold(*state, dst++, i, 7, 0), 0);
		assert_int_equal(hold(*state, dst++, 99, 7, 0), -ENOBUFS);
		assert_int_equal(hold(*state, dst++, 99, 7 + NEXTHOP_SHARES, 0), -ENOBUFS);
		assert_int_equal(hold(*state, 5000, 200, 8, 0), 0);
		if (round == 0) {
			assert_int_equal(nexthops_take_sa(*state, 7, out, HELD_MAX), HELD_PER_SA);
			assert_int_equal(nexthops_take_sa(*state, 8, out, HELD_MAX), 1);
		} else {
			nexthops_tick(*state, NEXTHOP_PATIENCE_MS + 1);
			assert_int_equal(nexthops_ready(*state, out, HELD_MAX), HELD_PER_SA + 1);
			learn(*state, 5000, XIPSEC_NEXTHOP_OK, 0);
			teardown(state);
			setup(state);
		}
	}
}

/* The same of questions: not asked, not remembered, and asked once an answer came or it was given
 * up. */
static void one_sa_cannot_ask_for_all(void **state)
{
	for (__u32 dst = 0; dst < OPEN_PER_SA; dst++)
		assert_int_equal(find_for(*state, dst, 7, 0)->status, XIPSEC_NEXTHOP_UNKNOWN);
	assert_int_equal(asked, OPEN_PER_SA);
	/* what is asked already goes on being so */
	assert_int_equal(find_for(*state, 0, 7, 1)->status, XIPSEC_NEXTHOP_UNKNOWN);
	for (__u32 dst = 100; dst < 3 * NEXTHOPS_MAX; dst++)
		assert_int_equal(find_for(*state, dst, 7, 1)->status, XIPSEC_NEXTHOP_NO_NEIGH);
	assert_int_equal(asked, OPEN_PER_SA);
	assert_int_equal(asked_share, 7 + 1);
	assert_int_equal(find_for(*state, 100, 8, 1)->status, XIPSEC_NEXTHOP_UNKNOWN);
	assert_int_equal(asked, OPEN_PER_SA + 1);
	assert_int_equal(asked_share, 8 + 1);
	assert_int_equal(find_for(*state, 100, 7, 1)->status, XIPSEC_NEXTHOP_UNKNOWN);

	learn(*state, 3, XIPSEC_NEXTHOP_OK, 2);
	assert_int_equal(find_for(*state, 3, 7, 3)->status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(find_for(*state, 200, 7, 3)->status, XIPSEC_NEXTHOP_UNKNOWN);
	assert_int_equal(find_for(*state, 201, 7, 3)->status, XIPSEC_NEXTHOP_NO_NEIGH);
	/* what is known is used, though it is old */
	assert_int_equal(find_for(*state, 3, 7, 40000)->status, XIPSEC_NEXTHOP_OK);
	nexthops_tick(*state, 50000);
	assert_int_equal(find_for(*state, 201, 7, 50000)->status, XIPSEC_NEXTHOP_UNKNOWN);
}

static void waiting_packets_ask_again(void **state)
{
	hold(*state, 1, 1, 0, 100);
	assert_int_equal(asked, 1);
	assert_int_equal(asked_share, 0);
	nexthops_tick(*state, 100 + NEXTHOP_RETRY_MS - 1);
	assert_int_equal(asked, 1);
	nexthops_tick(*state, 100 + NEXTHOP_RETRY_MS);
	assert_int_equal(asked, 2);
	nexthops_tick(*state, 100 + NEXTHOP_PATIENCE_MS - 1);
	assert_int_equal(find(*state, 1, 100 + NEXTHOP_PATIENCE_MS - 1)->status,
			 XIPSEC_NEXTHOP_UNKNOWN);
	nexthops_tick(*state, 100 + NEXTHOP_PATIENCE_MS);
	assert_int_equal(find(*state, 1, 100 + NEXTHOP_PATIENCE_MS)->status,
			 XIPSEC_NEXTHOP_NO_NEIGH);
}

static void takes_an_sa_out_of_the_middle(void **state)
{
	struct work out[HELD_MAX];
	__u64 frames[HELD_MAX];

	for (int i = 0; i < 6; i++)
		hold(*state, 1, i, i % 3, 0);
	for (int i = 6; i < 9; i++)
		hold(*state, 2, i, i % 3, 0);
	learn(*state, 2, XIPSEC_NEXTHOP_OK, 0); /* ready, not fetched */
	assert_int_equal(nexthops_take_sa(*state, 2, out, 2), 2);
	assert_int_equal(nexthops_take_sa(*state, 2, out + 2, HELD_MAX), 1);
	assert_int_equal(out[0].p.frame + out[1].p.frame + out[2].p.frame, 2 + 5 + 8);
	assert_int_equal(nexthops_take_sa(*state, 2, out, HELD_MAX), 0);
	assert_int_equal(nexthops_held(*state), 6);
	assert_int_equal(nexthops_held_frames(*state, frames, HELD_MAX), 6);
	/* the tails are right: appending and fetching still works */
	hold(*state, 1, 50, 0, 0);
	learn(*state, 1, XIPSEC_NEXTHOP_OK, 0);
	assert_int_equal(nexthops_ready(*state, out, HELD_MAX), 7);
	assert_int_equal(out[0].p.frame, 6);
	assert_int_equal(out[1].p.frame, 7);
	assert_int_equal(out[2].p.frame, 0);
	assert_int_equal(out[6].p.frame, 50);
}

static void full_cache_gives_up_the_idle(void **state)
{
	struct work out[HELD_MAX];

	hold(*state, 0, 7, 0, 1);
	for (__u32 i = 1; i < 3 * NEXTHOPS_MAX; i++) {
		learn(*state, i, XIPSEC_NEXTHOP_OK, i);
		/* one that is used all the time and one that packets wait for stay */
		if (i > 10)
			assert_int_equal(find(*state, 10, i)->status, XIPSEC_NEXTHOP_OK);
	}
	assert_int_equal(find(*state, 3 * NEXTHOPS_MAX - 1, 20000)->status, XIPSEC_NEXTHOP_OK);
	assert_int_equal(find(*state, 11, 20000)->status, XIPSEC_NEXTHOP_UNKNOWN);
	learn(*state, 0, XIPSEC_NEXTHOP_OK, 20000);
	assert_int_equal(nexthops_ready(*state, out, HELD_MAX), 1);
	assert_int_equal(out[0].p.frame, 7);
}

static void refuses_nonsense(void **state)
{
	struct ctl_nexthop msg = answer(1, XIPSEC_NEXTHOP_LOCAL + 1);

	assert_int_equal(nexthop_learn(*state, &msg, 0), -EINVAL);
	msg = answer(1, XIPSEC_NEXTHOP_OK);
	msg.slot = XIPSEC_SLOTS_MAX;
	assert_int_equal(nexthop_learn(*state, &msg, 0), -EINVAL);
	msg = answer(1, XIPSEC_NEXTHOP_OK);
	msg.family = 2;
	assert_int_equal(nexthop_learn(*state, &msg, 0), -EINVAL);
	assert_int_equal(find(*state, 1, 0)->status, XIPSEC_NEXTHOP_UNKNOWN);
}

static void forgets_an_interface(void **state)
{
	learn(*state, 1, XIPSEC_NEXTHOP_OK, 0);
	learn(*state, 2, XIPSEC_NEXTHOP_LOCAL, 0);
	nexthops_forget_slot(*state, 5);
	assert_int_equal(find(*state, 1, 1)->status, XIPSEC_NEXTHOP_UNKNOWN);
	assert_int_equal(asked, 1);
	assert_int_equal(find(*state, 2, 1)->status, XIPSEC_NEXTHOP_LOCAL);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(asks_once_then_knows),
		TEST(old_answer_is_used_while_asking),
		TEST(families_do_not_mix),
		TEST(held_come_back_in_order),
		TEST(bounds_hold),
		TEST(one_sa_cannot_fill_the_queue),
		TEST(one_sa_cannot_ask_for_all),
		TEST(waiting_packets_ask_again),
		TEST(takes_an_sa_out_of_the_middle),
		TEST(full_cache_gives_up_the_idle),
		TEST(refuses_nonsense),
		TEST(forgets_an_interface),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
