// SPDX-License-Identifier: BSD-2-Clause
/* Peers that answer NO_ADDITIONAL_SAS: minimal ones (RFC 7296 4), and full ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "iked/out.h"
#include "tests/unit/ike_sim.h"

#define HOUR 3600000

#define NET(more)                                    \
	SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", \
		  "esp_proposals = aes128gcm16\nstart_action = trap\n" more)
#define LAN                                                \
	SIM_CHILD("lan", "172.16.0.0/12", "172.16.0.0/12", \
		  "esp_proposals = aes128gcm16\nstart_action = trap\n")

static const char fast[] = SIM_CONN(SIM_FAST, "", NET(""));
static const char three[] =
	SIM_CONN(SIM_FAST, "",
		 NET("") LAN SIM_CHILD("dmz", "192.168.0.0/16", "192.168.0.0/16",
				       "esp_proposals = aes128gcm16\nstart_action = trap"));
static const char two[] = SIM_CONN(SIM_FAST, "", NET("") LAN);

/* ------------------------------------------------------------------ a minimal peer */

static const struct ike_sa *of_message(const struct side *side, const struct ike_msg *msg)
{
	const struct ike_sa *ike = side->engine->first;

	while (ike && ike->spi_i != msg->h.spi_i)
		ike = ike->next;
	return ike;
}

/* Another exchange in place of what came, with one notify (0: none), by its sender's key. */
static void send_instead(struct sim *sim, int from, const struct ike_msg *msg, __u8 exchange,
			 enum ike_notify_type type)
{
	const struct ike_sa *ike = of_message(&sim->side[!from], msg);
	struct ike_header header = msg->h;
	_cleanup_out_ struct ike_out out = {0};
	struct ike_packets *packets = NULL;
	struct sk_key key;

	assert_non_null(ike);
	key = ike->initiator ? ike->keys->r : ike->keys->i;
	key.iv += 1ULL << 32; /* none of the engine's own */
	header.exchange = exchange;
	ike_out_open(&out, &header);
	if (type)
		ike_out_status(&out, type);
	assert_int_equal(ike_out_sealed(&out, &key, 0, &packets), 0);
	sim_inject(sim, !from, ike_packet(packets, 0).data, ike_packet(packets, 0).len);
	free(packets);
	sk_key_wipe(&key);
}

static __u32 refused_id;

/* Side 1 knows CREATE_CHILD_SA by its name alone: its engine sees an empty INFORMATIONAL, and what
 * that answers is turned into a refusal. */
static bool be_minimal(struct sim *sim, int from, const __u8 *data, size_t len)
{
	static struct ike_msg msg;
	struct ike_fault fault;

	if (ike_msg_parse(BYTES(data, len), &msg, &fault))
		return false;
	if (from == 0 && !msg_response(data) && msg_exchange(data) == CREATE_CHILD_SA) {
		refused_id = msg.h.id;
		send_instead(sim, from, &msg, INFORMATIONAL, 0);
		return true;
	}
	if (from == 1 && msg_response(data) && msg_exchange(data) == INFORMATIONAL &&
	    msg.h.id == refused_id) {
		refused_id = ~0U;
		send_instead(sim, from, &msg, CREATE_CHILD_SA, IKE_N_NO_ADDITIONAL_SAS);
		return true;
	}
	return false;
}

static struct sim *with_minimal(const char *conn)
{
	struct sim *sim = sim_begun(conn, conn);

	refused_id = ~0U;
	sim->lose = be_minimal;
	return sim;
}

/* ------------------------------------------------------------------ rekeying */

/* A child or the IKE SA, by command: another IKE SA has the child, and no packet is lost. */
static void test_rekey(void **state)
{
	for (int child = 0; child < 2; child++) {
		struct sim *sim = with_minimal(fast);
		__u32 id = sim_ike(&sim->side[0])->id;

		engine_rekey(sim->side[0].engine,
			     &(struct engine_match){.ike = "c", .child = child ? "net" : NULL}, 8);
		sim_run(sim, 9000);
		sim_good(sim);
		assert_int_equal(sim_done(&sim->side[0], 8), -ECONNREFUSED);
		assert_true(sim_said(&sim->side[0], "NO_ADDITIONAL_SAS"));
		assert_non_null(sim_ike(&sim->side[0]));
		assert_int_not_equal(sim_ike(&sim->side[0])->id, id);
		assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 1);
		assert_int_equal(sim->esp_lost, 0);
		sim_end(sim, 1, 1);
	}
}

/* By the clock, for hours: nobody's end of life, no hole, no more messages than it takes. */
static void test_by_the_clock(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "rekey_time = 35m\nrand_time = 0",
			 NET("rekey_time = 10m\nlife_time = 12m\nrand_time = 0"));
	struct sim *sim = with_minimal(conn);

	/* The other end has the same clock and a peer that can do everything: it is kept out. */
	sim_ike(&sim->side[1])->conn->model.children[0].rekey_time = 0;
	sim_run(sim, 4 * HOUR);
	sim_good(sim);
	assert_false(sim_said(&sim->side[0], "its life is over"));
	assert_int_equal(sim->esp_lost, 0);
	assert_in_range(sim->side[0].events[IKE_EVENT_IKE_UP], 20, 26);
	assert_in_range(sim->sent[CREATE_CHILD_SA][0], 20, 30);
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
	assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 1);
	sim_free(sim);
}

/* Two children, each on an IKE SA of its own in the end: none goes before its successor is up. */
static void test_one_each(void **state)
{
	struct sim *sim = sim_begun(two, two);

	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 1000);
	assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 2);
	refused_id = ~0U;
	sim->lose = be_minimal;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 0);
	sim_run(sim, 5 * 60000);
	sim_good(sim);
	assert_int_equal(sim->esp_lost, 0);
	assert_non_null(sim_child(&sim->side[0], "net"));
	assert_non_null(sim_child(&sim->side[0], "lan"));
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 2);
	assert_in_range(sim->sent[IKE_SA_INIT][0], 3, 4);
	sim_end(sim, 2, 1);
}

/* ------------------------------------------------------------------ new children */

/* Packets for children that the peer does not make: it is asked no more often than for one that is
 * refused, and a command asks at once. What is up stays. */
static void test_new_child(void **state)
{
	struct sim *sim = with_minimal(three);
	__u32 id = sim_ike(&sim->side[0])->id;

	for (int i = 0; i < 3000; i++) {
		engine_acquire(sim->side[0].engine, "c/lan");
		engine_acquire(sim->side[0].engine, "c/dmz");
		sim_run(sim, 100);
	}
	/* at once, then after 2, 4, 8, 16, 32, 60, 60 … s and half of that at most */
	assert_in_range(sim->sent[CREATE_CHILD_SA][0], 6, 10);
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 1);
	assert_int_equal(sim_ike(&sim->side[0])->id, id);
	sim->lose = NULL; /* it has room again */
	engine_initiate(sim->side[0].engine, "c", "lan", 9);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[0], 9), 0);
	sim_run(sim, 90000);
	engine_acquire(sim->side[0].engine, "c/dmz");
	sim_end(sim, 1, 3);
}

/* An IKE SA whose only child has ended: the peer makes no other on it. It is closed, and the child
 * comes back by a new one. */
static void test_after_the_last(void **state)
{
	struct sim *sim = with_minimal(fast);
	__u32 id = sim_ike(&sim->side[0])->id;

	sim->may_close = true;
	engine_terminate(sim->side[0].engine, &(struct engine_match){.child = "net"}, false, 0);
	sim_run(sim, 1000);
	assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 0);
	for (int i = 0; i < 60; i++) {
		engine_acquire(sim->side[0].engine, "c/net");
		sim_run(sim, 100);
	}
	assert_non_null(sim_child(&sim->side[0], "net"));
	assert_int_not_equal(sim_ike(&sim->side[0])->id, id);
	assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 1);
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 2);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ a full peer */

/* It makes no child at all any more: what is up stays up to its end, tries are rare, and no IKE SA
 * without a child is left. */
static void test_none_left(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "", NET("rekey_time = 10m\nlife_time = 1h\nrand_time = 1m"));
	struct sim *sim = sim_begun(conn, fast);
	__u32 id = sim_ike(&sim->side[0])->id;

	sim->side[1].refuse_adds = 1000000;
	sim_run(sim, HOUR / 2);
	sim_good(sim);
	assert_int_equal(sim->esp_lost, 0);
	assert_non_null(sim_ike(&sim->side[0]));
	assert_int_equal(sim_ike(&sim->side[0])->id, id);
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 1);
	assert_in_range(sim->sent[IKE_SA_INIT][0], 3, 42);
	assert_in_range(sim->sent[CREATE_CHILD_SA][0], 2, 22);
	sim->side[1].refuse_adds = 0;
	sim_run(sim, 3 * 60000);
	assert_int_equal(sim->esp_lost, 0);
	sim_end(sim, 1, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rekey),          cmocka_unit_test(test_by_the_clock),
		cmocka_unit_test(test_one_each),       cmocka_unit_test(test_new_child),
		cmocka_unit_test(test_after_the_last), cmocka_unit_test(test_none_left),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
