// SPDX-License-Identifier: BSD-2-Clause
/* How many dropped packets a worker tells of, all reasons together. The clock is moved by hand. */
#include "tests/unit/pipeline_fixture.h"

#include "lib/reason.h"

enum { ALL = 100, GAP_MS = XIPSEC_SAMPLE_GAP / 1000000 };

static struct {
	__u32 offered, told, missed;
} seen;

/* A packet of each reason that is worth it; what is told of them is read at once. */
static void drop_each(void)
{
	const struct work work = {.p.slot = XIPSEC_SLOTS_MAX, .sa_index = N_SAS};
	struct ctl_sample s;

	for (__u16 reason = 1; reason < XIPSEC_REASON_COUNT; reason++) {
		if (reason_kind(reason) != XIPSEC_KIND_DROP || reason == XIPSEC_REASON_DUMMY ||
		    reason == XIPSEC_REASON_NAT_KEEPALIVE)
			continue;
		seen.offered++;
		sample_drop(t.w, &work, reason);
		while (recv(t.ctl, &s, sizeof(s), MSG_DONTWAIT) > 0)
			if (s.hdr.type == XIPSEC_CTL_SAMPLE) {
				seen.told++;
				seen.missed += s.sample.missed;
			}
	}
}

/* So often, each time as soon as its reason may be told again. */
static __u32 told_in(int rounds)
{
	__u32 before = seen.told;

	for (int i = 0; i < rounds; i++) {
		t.w->now_ms += GAP_MS;
		drop_each();
	}
	return seen.told - before;
}

static void so_many_a_second(void **state)
{
	memset(&seen, 0, sizeof(seen));
	told_in(1000 / GAP_MS); /* what was saved up goes */
	assert_true(seen.offered > 3 * ALL);
	for (int i = 0; i < 3; i++)
		assert_int_equal(told_in(1000 / GAP_MS), ALL);
	/* who is not told of is counted, in the next sample of its reason */
	for (__u16 reason = 1; reason < XIPSEC_REASON_COUNT; reason++)
		seen.missed += (__u32)t.w->gates[reason].missed;
	assert_int_equal(seen.told + seen.missed, seen.offered);
}

/* Of a long silence no more is saved up than a second's. */
static void silence_saves_up_little(void **state)
{
	memset(&seen, 0, sizeof(seen));
	told_in(2000 / GAP_MS);
	t.w->now_ms += 3600 * 1000;
	seen.offered = 0;
	assert_int_equal(told_in(3), ALL + 2 * ALL * GAP_MS / 1000);
	assert_true(seen.offered > ALL + 2 * ALL * GAP_MS / 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(so_many_a_second),
		TEST(silence_saves_up_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
