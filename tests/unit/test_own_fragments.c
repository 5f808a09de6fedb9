// SPDX-License-Identifier: BSD-2-Clause
/* This host's own fragments for transport mode: whose pieces a datagram is made of. */
#include "tests/unit/pipeline_fixture.h"

#include "worker/fragment.h"
#include "worker/sa.h"

enum { SA_OTHER = 4 };

static __u8 packet[2048];

static void transport_sa(__u32 index, __u32 generation)
{
	struct ctl_in in = sa_message(index, XIPSEC_DIR_OUT);

	tell_sa(index, XIPSEC_DIR_OUT);
	t.sas[index].generation = in.msg.sa.generation = generation;
	in.msg.sa.sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* Piece `n` of the one datagram, both times with the same addresses and the same ID. */
static void piece(int n, __u32 index, __u32 generation)
{
	__u32 len = inner(packet, 1480, false);
	static __u8 passed_over[SIZE];
	struct fragment_cut cut;

	assert_int_equal(fragment_ip4(&cut, packet + 14, len - 14, 1300), 0);
	for (int i = 0; i < n; i++)
		fragment_next(&cut, passed_over);
	take_own_piece(&cut, index, generation);
}

/* Selectors were looked at for each piece by itself: those of two SAs make no datagram. */
static void two_sas_make_no_datagram(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	transport_sa(SA_OUT, GEN);
	transport_sa(SA_OTHER, GEN);
	piece(0, SA_OUT, GEN);
	piece(1, SA_OTHER, GEN);
	assert_int_equal(t.sas[SA_OUT].seq + t.sas[SA_OTHER].seq, 0);
	piece(0, SA_OTHER, GEN);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	assert_int_equal(t.sas[SA_OTHER].seq, 1);
	piece(1, SA_OUT, GEN);
	assert_int_equal(t.sas[SA_OUT].seq, 1);
	assert_int_equal(t.sas[SA_OTHER].seq, 1);
	assert_int_equal(count(XIPSEC_REASON_REASSEMBLED), 4);
	assert_int_equal(count(XIPSEC_REASON_FRAG_LOST), 0);
}

/* Nor do those of an SA and of another that has its place now. */
static void nor_do_two_of_one_place(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	transport_sa(SA_OUT, GEN);
	piece(0, SA_OUT, GEN);
	transport_sa(SA_OUT, GEN + 1);
	piece(1, SA_OUT, GEN + 1);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	piece(0, SA_OUT, GEN + 1);
	assert_int_equal(t.sas[SA_OUT].seq, 1);
	assert_int_equal(count(XIPSEC_REASON_REASSEMBLED), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_sas_make_no_datagram),
		TEST(nor_do_two_of_one_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
