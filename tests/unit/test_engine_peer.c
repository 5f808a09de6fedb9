// SPDX-License-Identifier: BSD-2-Clause
/* What peers say that our engine never does: put into its messages on their way, with its keys. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/unit/ike_tamper.h"

static const char padded[] = SIM_CONN(SIM_FAST, "",
				      SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
						"esp_proposals = aes128gcm16\ntfc_padding = 1000"));
static const char nets[] =
	SIM_CONN(SIM_FAST, "",
		 SIM_CHILD("net", "10.0.0.0/16", "10.0.0.0/16", "esp_proposals = aes128gcm16")
			 SIM_CHILD("two", "10.1.0.0/16, 10.3.0.0/16", "10.1.0.0/16, 10.3.0.0/16",
				   "esp_proposals = aes128gcm16"));

/* With a notify in front of its payloads, or (`alone`) in place of them. */
static void send_with(struct sim *sim, int from, const __u8 *data, size_t len,
		      enum ike_notify_type type, bool alone)
{
	_cleanup_writer_ struct writer text = {0};
	_cleanup_out_ struct ike_out out = {0};
	static struct ike_msg msg;

	tamper_open(sim, from, BYTES(data, len), &msg, &text);
	ike_out_open(&out, &msg.h);
	ike_out_status(&out, type);
	if (!alone)
		tamper_add(&out, msg.sk.first, writer_view(&text));
	tamper_send(sim, from, &out);
}

static bool is(const __u8 *data, __u8 exchange, bool response)
{
	return data[18] == exchange && !(data[19] & IKE_FLAG_RESPONSE) == !response;
}

/* script: 0: the responder says it, 1: the initiator */
static bool say_no_tfc(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (!is(data, IKE_AUTH, !sim->script) || from != (int)!sim->script)
		return false;
	send_with(sim, from, data, len, IKE_N_ESP_TFC_PADDING_NOT_SUPPORTED, false);
	return true;
}

static __u32 tfc_of(const struct side *side)
{
	for (unsigned int i = side->n_sas; i--;)
		if (side->sa[i].dir == XIPSEC_DIR_OUT)
			return side->sa[i].tfc_size;
	fail_msg("no outbound SA");
	return 0;
}

/* Who is told pads no more; who said it may pad; a rekey that says nothing of it pads again. */
static void test_no_tfc(void **state)
{
	for (int teller = 0; teller < 2; teller++) {
		struct sim *sim = sim_new(5, padded, padded);
		int told = !teller;

		sim->script = teller == 0;
		sim->lose = say_no_tfc;
		engine_initiate(sim->side[0].engine, "c", "net", 0);
		assert_true(sim_up(sim, 3000));
		assert_int_equal(tfc_of(&sim->side[told]), 0);
		assert_int_equal(tfc_of(&sim->side[teller]), 1000);
		assert_true(sim_said(&sim->side[told], "without tfc_padding: the peer does not"));
		assert_false(sim_said(&sim->side[teller], "without tfc_padding"));
		sim->lose = NULL;
		engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 2000);
		assert_int_equal(tfc_of(&sim->side[told]), 1000);
		sim_good(sim);
		sim_free(sim);
	}
}

static bool want_one_pair(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (from != 1 || !is(data, CREATE_CHILD_SA, true) || sim->lost)
		return false;
	send_with(sim, from, data, len, IKE_N_SINGLE_PAIR_REQUIRED, true);
	return true;
}

/* RFC 7296 2.9: it is asked for again, with the first selector of each side. */
static void test_single_pair(void **state)
{
	struct sim *sim = sim_new(6, nets, nets);
	const struct child_sa *child;

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 3000));
	sim->may_close = true; /* the responder has made what its answer said no to */
	sim->lose = want_one_pair;
	engine_initiate(sim->side[0].engine, "c", "two", 7);
	sim_run(sim, 3000);
	assert_int_equal(sim->lost, 1);
	assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 2);
	assert_true(sim_said(&sim->side[0], "the peer wants one pair of selectors"));
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	child = sim_child(&sim->side[0], "two");
	assert_non_null(child);
	assert_int_equal(child->n_local, 1);
	assert_int_equal(child->ts[0].lo.byte[1], 1);
	sim_good(sim);
	sim_free(sim);
}

static bool make_it_transport(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (from != 1 || !is(data, sim->script, true) || sim->lost)
		return false;
	send_with(sim, from, data, len, IKE_N_USE_TRANSPORT_MODE, false);
	return true;
}

/* 1.3.1: what is not as we asked has our Delete, whichever exchange made it. One that was to take
 * another's place leaves that up. */
static void test_other_mode(void **state)
{
	struct sim *sim = sim_new(7, nets, nets);

	sim->may_close = true;
	sim->lose = make_it_transport;
	sim->script = IKE_AUTH;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 8000);
	assert_int_equal(sim->lost, 1);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "its mode is not ours"));
	sim_same(sim, 1, 0);
	sim->script = CREATE_CHILD_SA;
	sim->lost = 0;
	engine_initiate(sim->side[0].engine, "c", "net", 8);
	sim_run(sim, 8000);
	assert_int_equal(sim->lost, 1);
	assert_true(sim_done(&sim->side[0], 8) < 0);
	sim_same(sim, 1, 0);
	engine_initiate(sim->side[0].engine, "c", "net", 9); /* a command does not wait */
	assert_true(sim_up(sim, 1000));
	sim->lost = 0;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 10);
	sim_run(sim, 8000);
	assert_int_equal(sim->lost, 1);
	assert_true(sim_done(&sim->side[0], 10) < 0);
	assert_non_null(sim_child(&sim->side[0], "net"));
	assert_int_equal(sim->side[0].n_sas, 2);
	assert_int_equal(sim->side[1].n_sas, 2);
	sim_good(sim);
	sim_free(sim);
}

/* In the answer to IKE_SA_INIT, of the transform of that type, another number: x25519 becomes
 * P-256, which was offered too, AES-GCM becomes ChaCha20, which was not. */
static bool other_transform(struct sim *sim, int from, const __u8 *data, size_t len)
{
	static const __u8 wanted[2][4] = {{4, 0, 0, 31}, {1, 0, 0, 20}};
	const __u8 *find = wanted[sim->script];
	__u8 changed[1024];

	if (from != 1 || !is(data, IKE_SA_INIT, true) || sim->lost)
		return false;
	assert_true(len <= sizeof(changed));
	memcpy(changed, data, len);
	for (size_t i = 28; i + 4 <= len; i++) {
		if (memcmp(changed + i, find, 4) != 0)
			continue;
		changed[i + 3] = sim->script ? 28 : 19;
		sim_inject(sim, !from, changed, len);
		return true;
	}
	fail_msg("no such transform");
	return false;
}

/* 2.7, 3.3.6: it is not taken, and as anybody can have sent it, the true one still counts. */
static void test_other_init(void **state)
{
	static const char conn[] = SIM_CONN(
		"aes128gcm16-prfsha256-x25519-ecp256", "",
		SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", "esp_proposals = aes128gcm16"));
	static const char *const said[] = {"its KE payload is of another group",
					   "it chose a proposal that we did not offer"};

	for (unsigned int i = 0; i < 2; i++) {
		struct sim *sim = sim_new(8, conn, conn);

		sim->script = i;
		sim->lose = other_transform;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 8000);
		assert_int_equal(sim->lost, 1);
		assert_true(sim_said(&sim->side[0], said[i]));
		assert_int_equal(sim_done(&sim->side[0], 7), 0);
		assert_int_equal(sim_ike(&sim->side[0])->suite.ke, KE_X25519);
		sim_same(sim, 1, 1);
		sim_good(sim);
		sim_free(sim);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_tfc),
		cmocka_unit_test(test_single_pair),
		cmocka_unit_test(test_other_mode),
		cmocka_unit_test(test_other_init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
