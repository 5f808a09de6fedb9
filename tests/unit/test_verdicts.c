// SPDX-License-Identifier: BSD-2-Clause
/* The verdicts that programs write before frames: those that lie, are stale, or not there at all.
 */
#include "tests/unit/pipeline_fixture.h"

static void lies_in_metadata(void **state)
{
	struct xipsec_meta good = meta_of(XIPSEC_DIR_OUT), bad[12];
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);
	int n = 0;

	for (int i = 0; i < 12; i++)
		bad[i] = good;
	bad[n++].magic = 0;
	bad[n++].abi = XIPSEC_ABI + 1;
	bad[n++].dir = 0;
	bad[n++].dir = XIPSEC_DIR_IN; /* of an outbound SA */
	bad[n++].sa_index = N_SAS;
	bad[n++].sa_index = ~0u;
	bad[n++].family = 0;
	bad[n++].l3_off = 13;
	bad[n++].l3_off = 255;
	bad[n++].l4_off = 14;
	bad[n++].l4_off = len + 1;
	bad[n++].l4_off = 65535;
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (int i = 0; i < n; i++) {
		rx(&t.red, frame, len, &bad[i]);
		go_round();
		assert_int_equal(count(XIPSEC_REASON_BAD_META), i + 1);
		assert_int_equal(tx(&t.black), 0);
	}
	/* cut short behind the verdict's back */
	rx(&t.red, frame, 33, &good);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_BAD_META), n + 1);
	rx(&t.red, frame, len - 1, &good);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_MALFORMED_IP4), 1);
}

static void stale_verdicts(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	meta.sa_generation = GEN - 1;
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	meta = meta_of(XIPSEC_DIR_OUT);
	meta.sa_index = 0; /* none there */
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 2);
	meta = meta_of(XIPSEC_DIR_OUT);
	meta.spd_generation = SPD - 1;
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 3);
	meta.spd_generation = SPD + 1; /* the switch comes before the announcement */
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 3);
	assert_true(tx(&t.black) > 0);
	t.sas[SA_OUT].generation = GEN + 1; /* xipsecd is faster than its message */
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 4);
	assert_int_equal(tx(&t.black), 0);
}

/* What is stale is no business of the SA that has the place now: neither counted as its drop, nor
 * kept until a next hop is known. Whichever of the two generations tells. */
static void stale_before_anything_else(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);

	/* the state has a new owner, of whom this worker has not heard */
	t.sas[SA_OUT].generation = GEN + 1;
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	/* and a verdict for that new owner may not run with the old one's key */
	meta.sa_generation = GEN + 1;
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 2);
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	go_round();
	assert_int_equal(t.sas[SA_OUT].drops[XIPSEC_REASON_STALE_META], 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	assert_int_equal(tx(&t.black), 0);
}

/* A verdict is used once. The frame comes back through the fill ring, and what arrives in it next
 * without a verdict of its own (no program ran) must not be taken for the last one's. */
static void a_verdict_is_for_one_frame(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);

	/* dropped before ESP writes over what stands before the packet */
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_NO_ROUTE, 0);
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_NO_ROUTE), 1);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	/* every frame there is comes by, this one too */
	for (int i = 0; i < N_FRAMES; i++) {
		rx(&t.red, frame, len, NULL);
		go_round();
		assert_int_equal(count(XIPSEC_REASON_BAD_META), i + 1);
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	assert_int_equal(tx(&t.black), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(lies_in_metadata),
		TEST(stale_verdicts),
		TEST(stale_before_anything_else),
		TEST(a_verdict_is_for_one_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
