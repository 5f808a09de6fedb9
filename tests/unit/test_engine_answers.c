// SPDX-License-Identifier: BSD-2-Clause
/* A peer that has proven who it is, or claims to, and whose messages do not say what was asked for:
 * sealed with the right keys, and not taken all the same. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/ike_tamper.h"

#define GROUPS "aes128gcm16-x25519-ecp256"
#define CONN(net_l, net_r, two_l, two_r)                                   \
	SIM_CONN("aes128gcm16-prfsha256-x25519-ecp256", "",                \
		 SIM_CHILD("net", net_l, net_r, "esp_proposals = " GROUPS) \
			 SIM_CHILD("two", two_l, two_r, "esp_proposals = " GROUPS))

static const char left[] = CONN("10.0.0.0/16", "10.1.0.0/16", "10.2.0.0/16", "10.3.0.0/16"),
		  right[] = CONN("10.1.0.0/16", "10.0.0.0/16", "10.3.0.0/16", "10.2.0.0/16");

/* A key of 256 bits; P-256 in SA, and in KE; ends of TSi and of TSr; AUTH that is wrong. */
static const struct swap key_length = {4, {0x80, 14, 0, 128}, {0x80, 14, 1, 0}, false},
			 sa_group = {4, {4, 0, 0, 31}, {4, 0, 0, 19}, false},
			 ke_group = {6, {0, 40, 0, 31, 0, 0}, {0, 40, 0, 19, 0, 0}, false},
			 wide_i = {4, {10, 0, 255, 255}, {10, 255, 255, 255}, false},
			 wide_r = {4, {10, 1, 255, 255}, {10, 255, 255, 255}, false},
			 wrong_auth = {6, {0, 40, 2, 0, 0, 0}, {0, 40, 2, 0, 0, 0}, true};

/* The selectors of net become those of two. */
static const struct swap
	other_i = {8, {10, 0, 0, 0, 10, 0, 255, 255}, {10, 2, 0, 0, 10, 2, 255, 255}, false},
	other_r = {8, {10, 1, 0, 0, 10, 1, 255, 255}, {10, 3, 0, 0, 10, 3, 255, 255}, false};

static struct {
	__u8 exchange;
	bool response;
	const struct swap *swap[2];
	bool (*change)(__u8 *data, size_t *len); /* NULL: none */
} plan;

/* Once: what is sent again, or in another try, is as it was. */
static bool tampers(struct sim *sim, int from, const __u8 *data, size_t len)
{
	_cleanup_writer_ struct writer text = {0};
	_cleanup_out_ struct ike_out out = {0};
	static struct ike_msg msg;

	if (from != plan.response || msg_exchange(data) != plan.exchange ||
	    msg_response(data) != plan.response || sim->lost)
		return false;
	tamper_open(sim, from, BYTES(data, len), &msg, &text);
	for (unsigned int i = 0; i < 2 && plan.swap[i]; i++)
		assert_true(swap_in(plan.swap[i], text.data, text.len));
	if (plan.change)
		assert_true(plan.change(text.data, &text.len));
	ike_out_open(&out, &msg.h);
	tamper_add(&out, msg.sk.first, writer_view(&text));
	tamper_send(sim, from, &out);
	return true;
}

static struct sim *sim_tampered_with(const char *theirs, __u8 exchange, bool response,
				     const struct swap *swap)
{
	struct sim *sim = sim_new(9, left, theirs);

	plan.exchange = exchange;
	plan.response = response;
	plan.swap[0] = swap;
	plan.swap[1] = NULL;
	plan.change = NULL;
	sim->may_close = true;
	return sim;
}

static struct sim *sim_tampered(__u8 exchange, bool response, const struct swap *swap)
{
	return sim_tampered_with(right, exchange, response, swap);
}

/* ------------------------------------------------------------------ children */

static const struct {
	const struct swap *swap;
	const char *said;
	bool in_auth; /* that answer has it, too: these come first */
} answers[] = {
	{&key_length, "it chose a proposal that we did not offer", true},
	{&wide_i, "its selectors are not within ours", true},
	{&wide_r, "its selectors are not within ours", true},
	{&sa_group, "its KE payload is of another group", false},
	{&ke_group, "its KE payload is of another group", false},
};

#define ANSWERS (sizeof(answers) / sizeof(answers[0]))

/* 2.9, 3.3.6: nothing of it is installed, and the peer's half has our Delete (1.3.1). */
static void test_first_child(void **state)
{
	for (unsigned int i = 0; i < ANSWERS && answers[i].in_auth; i++) {
		struct sim *sim = sim_tampered(IKE_AUTH, true, answers[i].swap);

		sim->lose = tampers;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 8000);
		assert_int_equal(sim->lost, 1);
		assert_true(sim_done(&sim->side[0], 7) < 0);
		assert_true(sim_said(&sim->side[0], answers[i].said));
		assert_int_equal(sim->side[0].events[IKE_EVENT_CHILD_UP], 0);
		sim_end(sim, 1, 0);
	}
}

/* What it was to replace stays. */
static void test_rekeyed_child(void **state)
{
	for (unsigned int i = 0; i < ANSWERS; i++) {
		struct sim *sim = sim_tampered(CREATE_CHILD_SA, true, answers[i].swap);
		__u32 id;

		engine_initiate(sim->side[0].engine, "c", "net", 7);
		assert_true(sim_up(sim, 3000));
		id = sim_child(&sim->side[0], "net")->id;
		sim->lose = tampers;
		engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 8);
		sim_run(sim, 8000);
		assert_int_equal(sim->lost, 1);
		assert_true(sim_done(&sim->side[0], 8) < 0);
		if (!sim_said(&sim->side[0], answers[i].said))
			fail_msg("not said: %s\n%s", answers[i].said, sim->side[0].log);
		assert_non_null(sim_child(&sim->side[0], "net"));
		assert_int_equal(sim_child(&sim->side[0], "net")->id, id);
		sim_same(sim, 1, 1);
		sim_good(sim);
		sim_free(sim);
	}
}

static bool tampers_and_waits(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return tampers(sim, from, data, len) ||
	       (from == 0 && msg_exchange(data) == INFORMATIONAL && sim->now < 14000);
}

/* Its time to be rekeyed comes while the peer's new one has its place: it is made up for. */
static void test_back_in_time(void **state)
{
	static const char timed[] =
		SIM_CONN("aes128gcm16-prfsha256-x25519", "",
			 SIM_CHILD("net", "10.1.0.0/16", "10.0.0.0/16",
				   "esp_proposals = " GROUPS
				   "\nrekey_time = 12\nlife_time = 600\nrand_time = 0"));
	struct sim *sim = sim_tampered_with(timed, CREATE_CHILD_SA, true, &wide_r);
	struct side *other = &sim->side[1];

	engine_initiate(sim->side[0].engine, "c", "net", 7);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 12000 - sim->now);
	sim->lose = tampers_and_waits;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 8);
	sim_run(sim, 1900);
	assert_int_equal(sim_children(other, CHILD_REPLACED), 1);
	sim_run(sim, 2000);
	assert_true(sim_said(other, "stays, for the peer has deleted its successor"));
	assert_int_equal(sim_children(other, CHILD_REPLACED), 0);
	assert_int_equal(other->engine->counter[ENGINE_OUT_CHILD_REQ], 0);
	sim_run(sim, 2 * REKEY_RETRY_MS);
	assert_true(other->engine->counter[ENGINE_OUT_CHILD_REQ] > 0);
	sim_good(sim);
	sim_free(sim);
}

/* 2.8: a rekey makes what was there, not another child that would fit. */
static void test_other_child(void **state)
{
	struct sim *sim = sim_tampered(CREATE_CHILD_SA, false, &other_i);

	plan.swap[1] = &other_r;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	assert_true(sim_up(sim, 3000));
	sim->lose = tampers;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 8);
	sim_run(sim, 8000);
	assert_int_equal(sim->lost, 1);
	assert_true(sim_done(&sim->side[0], 8) < 0);
	assert_true(sim_said(&sim->side[1], "no selectors in common; it wants 10.3.0.0/16 === "
					    "10.2.0.0/16; we have net: 10.1.0.0/16 === "
					    "10.0.0.0/16"));
	assert_true(sim_said(&sim->side[0], "the peer refused to rekey it: TS_UNACCEPTABLE"));
	assert_non_null(sim_child(&sim->side[1], "net"));
	assert_int_equal(sim->side[1].events[IKE_EVENT_CHILD_UP], 1);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ the IKE SA */

/* The SA payload comes first, of one proposal: without its SPI. */
static bool no_spi(__u8 *data, size_t *len)
{
	enum { PROPOSAL = 4, SPI = PROPOSAL + 8, SPI_LEN = 8 };

	if (data[PROPOSAL] != 0 || data[PROPOSAL + 6] != SPI_LEN)
		return false;
	data[3] -= SPI_LEN;
	data[PROPOSAL + 3] -= SPI_LEN;
	data[PROPOSAL + 6] = 0;
	memmove(data + SPI, data + SPI + SPI_LEN, *len - SPI - SPI_LEN);
	*len -= SPI_LEN;
	return true;
}

static struct sim *ike_rekeyed(bool response, const struct swap *swap, bool spi)
{
	struct sim *sim = sim_tampered(CREATE_CHILD_SA, response, swap);

	plan.change = spi ? NULL : no_spi;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	assert_true(sim_up(sim, 3000));
	sim->lose = tampers;
	engine_rekey(sim->side[0].engine, &(struct engine_match){.ike = "c"}, 8);
	sim_run(sim, 2000);
	assert_int_equal(sim->lost, 1);
	assert_true(sim_done(&sim->side[0], 8) < 0);
	sim_good(sim);
	return sim;
}

/* 1.3.2: the old IKE SA goes on, with its child. */
static void test_rekeyed_ike(void **state)
{
	static const struct swap *const swaps[] = {&key_length, &sa_group, &ke_group, NULL};

	for (unsigned int i = 0; i < 4; i++) {
		struct sim *sim = ike_rekeyed(true, swaps[i], swaps[i]);

		assert_true(sim_said(&sim->side[0],
				     "cannot be rekeyed: its answer is not what we asked for"));
		assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_REKEYED], 0);
		assert_non_null(sim_ike(&sim->side[0]));
		assert_int_equal(sim_ike(&sim->side[0])->n_children, 1);
		sim_free(sim);
	}
}

/* An IKE SA without the other end's SPI is none. */
static void test_ike_without_spi(void **state)
{
	struct sim *sim = ike_rekeyed(false, NULL, false);

	assert_true(sim_said(&sim->side[0], "cannot be rekeyed: INVALID_SYNTAX"));
	assert_int_equal(sim_ikes(&sim->side[1], -1), 1);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ who it is */

/* 2.15: by a secret that it does not know. Who answers so is told, and nothing is installed. */
static void test_wrong_auth(void **state)
{
	struct sim *sim = sim_tampered(IKE_AUTH, true, &wrong_auth);

	sim->lose = tampers;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 8000);
	assert_int_equal(sim->lost, 1);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "we do not believe the peer: "));
	assert_true(sim_said(&sim->side[1], "the peer says: AUTHENTICATION_FAILED"));
	assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_UP], 0);
	assert_int_equal(sim->side[0].events[IKE_EVENT_CHILD_UP], 0);
	sim_same(sim, 0, 0);
	sim_good(sim);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_first_child),  cmocka_unit_test(test_rekeyed_child),
		cmocka_unit_test(test_back_in_time), cmocka_unit_test(test_other_child),
		cmocka_unit_test(test_rekeyed_ike),  cmocka_unit_test(test_ike_without_spi),
		cmocka_unit_test(test_wrong_auth),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
