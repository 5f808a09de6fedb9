// SPDX-License-Identifier: BSD-2-Clause
/* Two engines that are up: CREATE_CHILD_SA, INFORMATIONAL, what xipsecd tells, what people want. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "iked/setup.h"
#include "tests/unit/ike_sim.h"

static const char fast[] = SIM_CONN(SIM_FAST, "", SIM_NET);

static void rekey_child(struct side *side, __u64 ref)
{
	engine_rekey(side->engine, &(struct engine_match){.child = "net"}, ref);
}

/* ------------------------------------------------------------------ rekeying */

/* With and without a key exchange, by either side; other keys, nothing lost. */
static void rekey(const char *conn, __u16 ke)
{
	struct sim *sim = sim_begun(conn, conn);

	for (int i = 0; i < 2; i++) {
		struct child_sa *old = sim_child(&sim->side[i], "net"), *fresh;
		__be32 spi = old->spi_in;

		rekey_child(&sim->side[i], 10 + i);
		sim_run(sim, 1000);
		sim_good(sim);
		assert_int_equal(sim_done(&sim->side[i], 10 + i), 0);
		fresh = sim_child(&sim->side[i], "net");
		assert_non_null(fresh);
		assert_true(fresh->spi_in != spi);
		assert_int_equal(fresh->ke, ke);
		/* the old inbound SA lives on for a while, for what is under way */
		assert_in_range(sim->side[i].n_sas, 3 + i, 4 + 2 * i);
	}
	assert_int_equal(sim->esp_lost, 0);
	sim_end(sim, 1, 1);
}

static void test_child_rekey(void **state)
{
	rekey(fast, 0);
	rekey(SIM_CONN(SIM_FAST, "",
		       SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
				 "esp_proposals = aes256gcm16-x25519-esn")),
	      KE_X25519);
}

/* The responder sends on the old SA until a packet comes on the new one, or the delete (2.8). */
static bool lose_deletes(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return msg_exchange(data) == INFORMATIONAL && from == 0;
}

static const struct xipsec_sa *newest_out(const struct side *side)
{
	for (unsigned int i = side->n_sas; i--;)
		if (side->sa[i].dir == XIPSEC_DIR_OUT)
			return &side->sa[i];
	return NULL;
}

static void test_responder_waits(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	__be32 before = newest_out(&sim->side[1])->spi;

	sim->traffic = false; /* no packet, no delete: it stays with the old one … */
	sim_run(sim, 500);
	sim->lose = lose_deletes;
	rekey_child(&sim->side[0], 0);
	sim_run(sim, 2000);
	assert_int_equal(newest_out(&sim->side[1])->spi, before);
	assert_int_equal(sim_children(&sim->side[1], CHILD_REPLACED), 1);
	sim->traffic = true; /* … until a packet comes */
	sim_run(sim, 500);
	assert_true(newest_out(&sim->side[1])->spi != before);
	sim->lose = NULL;
	sim_end(sim, 1, 1);

	sim = sim_begun(fast, fast);
	sim->traffic = false; /* or the delete */
	sim_run(sim, 500);
	before = newest_out(&sim->side[1])->spi;
	rekey_child(&sim->side[0], 0);
	sim_run(sim, 2000);
	assert_true(newest_out(&sim->side[1])->spi != before);
	sim_end(sim, 1, 1);

	sim = sim_begun(fast, fast);
	sim->traffic = false; /* or half a minute */
	sim_run(sim, 500);
	before = newest_out(&sim->side[1])->spi;
	sim->lose = lose_deletes;
	rekey_child(&sim->side[0], 0);
	sim_run(sim, 35000);
	assert_true(newest_out(&sim->side[1])->spi != before);
	sim->lose = NULL;
	sim_run(sim, 60000);
	sim_end(sim, 1, 1);
}

static void test_child_group(void **state)
{
	static const char both[] = SIM_CONN(SIM_FAST, "",
					    SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
						      "esp_proposals = aes128gcm16-x25519-ecp256"));
	static const char ecp[] = SIM_CONN(
		SIM_FAST, "",
		SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", "esp_proposals = aes128gcm16-ecp256"));
	struct sim *sim = sim_begun(both, ecp);

	rekey_child(&sim->side[0], 9);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[0], 9), 0);
	assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 2); /* INVALID_KE_PAYLOAD, and again */
	assert_int_equal(sim_child(&sim->side[0], "net")->ke, KE_ECP_256);
	sim_end(sim, 1, 1);
}

static void test_ike_rekey(void **state)
{
	struct sim *sim = sim_begun(fast, fast);

	for (int i = 0; i < 2; i++) {
		struct ike_keys keys = *sim_ike(&sim->side[i])->keys;

		engine_rekey(sim->side[i].engine, &(struct engine_match){.ike = "c"}, 20 + i);
		sim_run(sim, 1000);
		assert_int_equal(sim_done(&sim->side[i], 20 + i), 0);
		assert_memory_not_equal(sim_ike(&sim->side[i])->keys->sk_d, keys.sk_d, keys.len);
		assert_true(sim_ike(&sim->side[i])->initiator); /* who rekeys is that, anew */
		assert_int_equal(sim_ike(&sim->side[i])->w.out_id, 0);
		rekey_child(&sim->side[!i], 30 + i); /* children go on, on the new one */
		sim_run(sim, 1000);
		assert_int_equal(sim_done(&sim->side[!i], 30 + i), 0);
	}
	assert_int_equal(sim->esp_lost, 0);
	assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_REKEYED], 2);
	assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_UP], 1);
	assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_DOWN], 0);
	sim_end(sim, 1, 1);
}

/* By the clock: hundreds of rekeys of both kinds, both ends with the same times, nothing lost. */
static void test_by_the_clock(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "rekey_time = 67\nrand_time = 7\ndpd_delay = 10",
			 SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
				   "esp_proposals = aes128gcm16\nrekey_time = 20\n"
				   "life_time = 40\nrand_time = 4"));
	struct sim *sim = sim_begun(conn, conn);

	sim->net.drop = 50;
	sim->net.twice = 50;
	sim_run(sim, 2000000);
	sim_good(sim);
	assert_true(sim->side[0].engine->counter[ENGINE_CHILD_REKEY] > 100);
	assert_int_equal(sim->esp_lost, 0);
	sim->net.drop = 0;
	sim_run(sim, 9000);
	sim_good(sim);
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 1);
	assert_int_equal(sim_children(&sim->side[0], CHILD_UP), 1);
	sim_free(sim);
}

/* ------------------------------------------------------------------ several, new ones, deletes */

static void test_several(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "",
			 SIM_NET SIM_CHILD("lan", "172.16.0.0/12", "172.16.0.0/12",
					   "esp_proposals = chacha20poly1305\n"));
	struct sim *sim = sim_begun(conn, conn);

	engine_initiate(sim->side[1].engine, "c", "lan", 4);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[1], 4), 0);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 1); /* on the same IKE SA */
	sim_same(sim, 1, 2);
	sim_good(sim);
	sim->may_close = true;
	engine_terminate(sim->side[0].engine, &(struct engine_match){.child = "net"}, false, 5);
	sim_run(sim, 8000);
	assert_int_equal(sim_done(&sim->side[0], 5), 0);
	sim_end(sim, 1, 1);
}

static void test_terminate(void **state)
{
	struct sim *sim = sim_begun(fast, fast);

	sim->may_close = true;
	for (int i = 0; i < 2; i++)
		assert_int_equal(sim->side[i].engine->keys.n_used, 1); /* xipsecd has the child's */
	engine_terminate(sim->side[1].engine, &(struct engine_match){.ike = "c"}, false, 6);
	sim_run(sim, 10000);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sim->side[i].engine->keys.n_used, 0);
	assert_int_equal(sim_done(&sim->side[1], 6), 0);
	assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_DOWN], 1);
	assert_int_equal(sim->side[1].events[IKE_EVENT_CHILD_DOWN], 1);
	sim_end(sim, 0, 0);

	sim = sim_begun(fast, fast);
	sim->may_close = true;
	sim->side[0].deaf = true; /* forced: nobody is waited for */
	engine_terminate(sim->side[1].engine, &(struct engine_match){.ike = "c"}, true, 6);
	assert_int_equal(sim_done(&sim->side[1], 6), 0);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	sim_free(sim);

	sim = sim_new(1, fast, fast);
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike = "c"}, false, 1);
	engine_initiate(sim->side[0].engine, "x", NULL, 2);
	engine_initiate(sim->side[0].engine, "c", "x", 3);
	for (int i = 1; i <= 3; i++)
		assert_int_equal(sim_done(&sim->side[0], i), -ENOENT);
	sim_free(sim);
}

static __be64 held_up; /* the SPI of an IKE SA on which nothing gets through */

static bool lose_one(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return !memcmp(data, &held_up, sizeof(held_up));
}

/* Two are closed, or rekeyed, by one command: it ends with the last of them, whichever that is. */
static void test_several_at_once(void **state)
{
	for (int i = 0; i < 4; i++) {
		struct sim *sim = sim_begun(fast, fast);
		struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");
		const struct engine_match all = {.ike = "c"};

		sim->may_close = true;
		setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 0);
		sim_run(sim, 500);
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 2);
		held_up = (i & 1 ? sim->side[0].engine->last : sim->side[0].engine->first)->spi_i;
		sim->lose = lose_one;
		if (i & 2)
			engine_rekey(sim->side[0].engine, &all, 8);
		else
			engine_terminate(sim->side[0].engine, &all, false, 8);
		sim_run(sim, 300);
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), i & 2 ? 2 : 0);
		assert_int_equal(sim_done(&sim->side[0], 8), 1);
		sim->lose = NULL;
		sim_run(sim, 2000);
		assert_int_equal(sim_done(&sim->side[0], 8), 0);
		assert_null(sim->side[0].engine->batches);
		sim_end(sim, i & 2 ? 2 : 0, i & 2 ? 1 : 0);
	}
}

/* One of several fails: that is what is told. */
static void test_one_of_several_fails(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");

	sim->may_close = true;
	setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 0);
	sim_run(sim, 500);
	sim->side[1].refuse_adds = 1;
	rekey_child(&sim->side[0], 8);
	sim_run(sim, 2000);
	assert_int_equal(sim_done(&sim->side[0], 8), -ECONNREFUSED);
	sim_good(sim);
	sim_free(sim);
}

static void test_close_action(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "",
					    SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
						      "esp_proposals = aes128gcm16\n"
						      "close_action = start"));
	struct sim *sim = sim_begun(fast, conn);

	sim->may_close = true;
	engine_terminate(sim->side[0].engine, &(struct engine_match){.child = "net"}, false, 0);
	sim_run(sim, 8000);
	sim_same(sim, 1, 1); /* begun again by who wants it */
	sim_good(sim);
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike = "c"}, false, 0);
	sim_run(sim, 8000);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ is it alive */

static void test_dpd(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "dpd_delay = 30",
					    SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
						      "esp_proposals = aes128gcm16\n"
						      "dpd_action = restart"));
	struct sim *sim = sim_begun(conn, fast);

	sim_run(sim, 100000); /* asked, answered, nothing else */
	assert_in_range(sim->sent[INFORMATIONAL][0], 2, 4);
	sim_same(sim, 1, 1);
	sim_good(sim);
	sim->may_close = true;
	sim->side[1].deaf = true;
	sim_run(sim, 300000);
	assert_true(sim_said(&sim->side[0], "the peer does not answer: no answer to 12 tries of "
					    "INFORMATIONAL request"));
	assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), 0);
	assert_int_equal(sim_ikes(&sim->side[0], IKE_INIT), 1); /* it is begun again */
	assert_int_equal(sim->side[0].n_sas, 0);
	sim->side[1].deaf = false;
	sim_run(sim, 40000);
	/* INITIAL_CONTACT takes what the other end still had */
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ reauthentication */

static void test_reauth(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "",
			 SIM_NET SIM_CHILD("lan", "172.16.0.0/12", "172.16.0.0/12",
					   "esp_proposals = aes128gcm16\n"));
	struct sim *sim = sim_begun(conn, conn);

	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 1000);
	for (int i = 0; i < 2; i++) {
		__u32 old = sim_ike(&sim->side[i])->id;

		engine_reauth(sim->side[i].engine, &(struct engine_match){.ike = "c"}, 40 + i);
		sim_run(sim, 10000);
		sim_good(sim);
		assert_int_equal(sim_done(&sim->side[i], 40 + i), 0);
		assert_non_null(sim_ike(&sim->side[i]));
		assert_true(sim_ike(&sim->side[i])->id != old);
	}
	assert_int_equal(sim->esp_lost, 0);
	sim_end(sim, 1, 2);
}

/* ------------------------------------------------------------------ xipsecd */

static void test_acquire(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);

	for (int i = 0; i < 100; i++)
		engine_acquire(sim->side[0].engine, "c/net");
	engine_acquire(sim->side[0].engine, "c/unknown");
	assert_int_equal(sim_ikes(&sim->side[0], -1), 1);
	assert_true(sim_up(sim, 2000));
	engine_acquire(sim->side[0].engine, "c/net");
	sim_end(sim, 1, 1);
}

/* start_action = none: nobody negotiates, whatever traffic wants; what was asked for by name is. */
static void test_acquire_of_none(void **state)
{
	static const char conn[] = SIM_CONN(
		SIM_FAST, "",
		SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", "esp_proposals = aes128gcm16"));
	struct sim *sim = sim_new(1, conn, conn);

	engine_acquire(sim->side[0].engine, "c/net");
	sim_run(sim, 1000);
	assert_int_equal(sim_ikes(&sim->side[0], -1), 0);
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	sim_end(sim, 1, 1);
}

static void test_sadb_refuses(void **state)
{
	struct sim *sim;

	for (int which = 0; which < 4; which++) {
		sim = sim_new(which, fast, fast);
		sim->may_close = true;
		sim->side[which / 2].refuse_adds = 1;
		if (which % 2)
			sim->side[which / 2].skip_adds = 1;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 10000);
		assert_true(sim_done(&sim->side[0], 7) < 0);
		sim_end(sim, 1, 0);
	}
	/* while rekeying: the old one stays */
	sim = sim_begun(fast, fast);
	sim->side[1].refuse_adds = 1;
	rekey_child(&sim->side[0], 8);
	sim_run(sim, 5000);
	assert_true(sim_done(&sim->side[0], 8) < 0);
	sim_end(sim, 1, 1);
	sim = sim_begun(fast, fast);
	sim->side[0].refuse_adds = 1;
	rekey_child(&sim->side[0], 8);
	sim_run(sim, 5000);
	assert_true(sim_done(&sim->side[0], 8) < 0);
	assert_int_equal(sim->esp_lost, 0);
	sim_end(sim, 1, 1); /* at the other end it is up again, too */
}

/* A packet every 100 ms, and an xipsecd that takes no SA: tries become rare, each is one line. */
static void test_refused_again_and_again(void **state)
{
	struct sim *sim;

	for (int which = 0; which < 2; which++) {
		struct side *side;

		sim = sim_new(which, fast, fast);
		side = &sim->side[which];
		sim->may_close = true;
		side->refuse_adds = 1000000;
		for (int i = 0; i < 1200; i++) {
			engine_acquire(sim->side[0].engine, "c/net");
			sim_run(sim, 100);
		}
		/* 2, 4, 8, 16, 32, 60 s, and half of that at most */
		assert_in_range(1000000 - side->refuse_adds, 4, 7);
		assert_in_range(sim_lines(&sim->side[0], "not tried again of itself"), 4, 7);
		assert_in_range(sim_lines(side, "xipsecd refused"), 4, 7);
		/* a command does not wait */
		side->refuse_adds = 0;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 1000);
		assert_int_equal(sim_done(&sim->side[0], 7), 0);
		sim_end(sim, 1, 1);
	}
}

/* What begins of itself comes back of itself, without a packet. */
static void test_refused_start(void **state)
{
	static const char start[] =
		SIM_CONN(SIM_FAST, "",
			 SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
				   "esp_proposals = aes128gcm16\nstart_action = start"));
	struct sim *sim = sim_new(3, start, fast);

	sim->may_close = true;
	sim->side[1].refuse_adds = 2; /* the first, and the second try after 2 to 3 s */
	engine_start(sim->side[0].engine, "c");
	sim_run(sim, 15000);
	assert_int_equal(sim->side[1].refuse_adds, 0);
	assert_non_null(sim_child(&sim->side[0], "net"));
	sim_end(sim, 1, 1);
}

/* Of an IKE SA that cannot be: packets begin no more of them than the clock does. */
static void test_acquire_in_vain(void **state)
{
	struct sim *sim = sim_new(3, fast, fast);

	sim->side[1].psk = "another one";
	for (int i = 0; i < 1200; i++) {
		engine_acquire(sim->side[0].engine, "c/net");
		sim_run(sim, 100);
	}
	sim_good(sim);
	assert_in_range(sim->sent[IKE_SA_INIT][0], 3, 8);
	sim_free(sim);
}

static void test_events(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	struct child_sa *child = sim_child(&sim->side[0], "net");
	struct xipsec_addr other = {.byte = {198, 51, 100, 7}};
	char name[XIPSEC_NAME_LEN];
	__u32 id = child->id;

	child_sa_name(child, XIPSEC_DIR_OUT, name);
	engine_sa_soft(sim->side[0].engine, "net-99-o"); /* unknown names, of any form */
	engine_sa_soft(sim->side[0].engine, "net");
	engine_sa_soft(sim->side[0].engine, "-");
	engine_sa_soft(sim->side[0].engine, "");
	engine_sa_soft(sim->side[0].engine, name); /* twice is once */
	engine_sa_soft(sim->side[0].engine, name);
	sim_run(sim, 1000);
	assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 1);
	child = sim_child(&sim->side[0], "net");
	assert_true(child->id != id);
	/* who is not behind a NAT is followed nowhere */
	child_sa_name(child, XIPSEC_DIR_IN, name);
	engine_sa_mapping(sim->side[0].engine, name, &other, 9);
	assert_int_equal(sim_ike(&sim->side[0])->path.remote.byte[0], 192);
	/* the peer hears of ESP that we cannot place, not too often */
	for (int i = 0; i < 10; i++)
		engine_spi_unknown(sim->side[0].engine, &sim_ike(&sim->side[0])->path.remote,
				   XIPSEC_FAMILY_IP4, htobe32(0x1234));
	sim_run(sim, 1000);
	assert_true(sim_said(&sim->side[1], "the peer says: INVALID_SPI (11)"));
	assert_int_equal(sim->sent[INFORMATIONAL][0], 2); /* with the delete */
	sim->may_close = true;
	id = child->id;
	engine_sa_hard(sim->side[0].engine, name);
	sim_run(sim, 10000);
	assert_null(child_by_id(sim->side[0].engine, id));
	sim_end(sim, 1, 1); /* begun anew */
}

/* RFC 7296 2.2: message ids never wrap. An IKE SA with many messages is rekeyed; one that nobody
 * rekeys ends. */
static void test_message_ids_end(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	struct ike_sa *ike = sim_ike(&sim->side[0]), *peer = sim_ike(&sim->side[1]);
	__u32 id = ike->id;

	ike->w.out_id = peer->w.in_id = MESSAGE_ID_REKEY - 1;
	ike_task(ike, TASK_DPD);
	ike_work(ike);
	sim_run(sim, 5000);
	/* who answers counts first */
	assert_true(sim_said(&sim->side[1], "rekeyed before their numbers end"));
	assert_int_not_equal(sim_ike(&sim->side[0])->id, id);
	assert_in_range(sim_ike(&sim->side[0])->w.out_id, 0, 10);
	sim_run(sim, 2000);
	sim_same(sim, 1, 1);
	sim_good(sim);
	sim->may_close = true;
	ike = sim_ike(&sim->side[0]);
	peer = sim_ike(&sim->side[1]);
	ike->w.out_id = peer->w.in_id = UINT32_MAX - 1;
	ike_task(ike, TASK_DPD);
	ike_task(ike, TASK_DPD);
	ike_work(ike);
	sim_run(sim, 1000);
	assert_true(sim_said(&sim->side[0], "cannot make the INFORMATIONAL request"));
	ike = sim_ike(&sim->side[0]);
	assert_int_equal(ike->w.out_id, UINT32_MAX);
	sim_free(sim);
}

/* What the peer is told of packets that it should not have sent, and what it makes of that. */
static void test_told_of_packets(void **state)
{
	const struct xipsec_sample inner = {.family = XIPSEC_FAMILY_IP4,
					    .l4_proto = 17,
					    .src = {.byte = {11, 0, 0, 1}},
					    .dst = {.byte = {10, 0, 0, 1}},
					    .sport = 1000,
					    .dport = 53};
	struct sim *sim = sim_begun(fast, fast);
	struct child_sa *child = sim_child(&sim->side[0], "net");
	__be32 spi = child->spi_in;
	char name[XIPSEC_NAME_LEN];

	child_sa_name(child, XIPSEC_DIR_IN, name);
	engine_sa_selectors(sim->side[0].engine, "net-99-i", &inner); /* of nobody */
	for (int i = 0; i < 10; i++)
		engine_sa_selectors(sim->side[0].engine, name, &inner);
	sim_run(sim, 1000);
	assert_true(sim_said(&sim->side[0], "a packet from the peer is outside its selectors"));
	assert_int_equal(sim_lines(&sim->side[1], "the peer says: INVALID_SELECTORS (39)"), 1);
	assert_true(sim_said(&sim->side[1], "child net-"));
	assert_int_equal(sim->sent[INFORMATIONAL][0], 1);
	/* an SPI that is young: the answer that tells of it may be under way */
	engine_spi_unknown(sim->side[0].engine, &sim_ike(&sim->side[0])->path.remote,
			   XIPSEC_FAMILY_IP4, spi);
	sim_run(sim, INVALID_SPI_MS);
	assert_false(sim_said(&sim->side[1], "does not know its SPI"));
	assert_int_equal(sim_child(&sim->side[0], "net")->spi_in, spi);
	/* one that has been there for long: it is rekeyed */
	engine_spi_unknown(sim->side[0].engine, &sim_ike(&sim->side[0])->path.remote,
			   XIPSEC_FAMILY_IP4, spi);
	sim_run(sim, 1000);
	assert_true(sim_said(&sim->side[1], "does not know its SPI"));
	assert_int_not_equal(sim_child(&sim->side[0], "net")->spi_in, spi);
	sim_run(sim, 10000);
	sim_end(sim, 1, 1);
}

/* xipsecd is another one: keys are made anew, none is installed twice. */
static void test_epoch(void **state)
{
	struct sim *sim = sim_begun(fast, fast);

	sim->may_close = true;
	sim->side[0].n_sas = 0;
	engine_sadb_lost(sim->side[0].engine);
	sim_run(sim, 2000);
	sim_good(sim);
	assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 1);
	sim_end(sim, 1, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_child_rekey),
		cmocka_unit_test(test_responder_waits),
		cmocka_unit_test(test_child_group),
		cmocka_unit_test(test_ike_rekey),
		cmocka_unit_test(test_by_the_clock),
		cmocka_unit_test(test_several),
		cmocka_unit_test(test_terminate),
		cmocka_unit_test(test_close_action),
		cmocka_unit_test(test_dpd),
		cmocka_unit_test(test_reauth),
		cmocka_unit_test(test_acquire),
		cmocka_unit_test(test_acquire_of_none),
		cmocka_unit_test(test_sadb_refuses),
		cmocka_unit_test(test_refused_again_and_again),
		cmocka_unit_test(test_several_at_once),
		cmocka_unit_test(test_one_of_several_fails),
		cmocka_unit_test(test_refused_start),
		cmocka_unit_test(test_acquire_in_vain),
		cmocka_unit_test(test_events),
		cmocka_unit_test(test_told_of_packets),
		cmocka_unit_test(test_message_ids_end),
		cmocka_unit_test(test_epoch),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
