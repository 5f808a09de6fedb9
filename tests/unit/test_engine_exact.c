// SPDX-License-Identifier: BSD-2-Clause
/* What two engines that are wrong in the same way would not notice of each other: what stands in
 * their messages, where they go to, and what keys are made of. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>

#include "iked/engine_state.h"
#include "iked/xchg.h"
#include "tests/unit/ike_tamper.h"

static const char fast[] = SIM_CONN(SIM_FAST, "", SIM_NET);

/* ------------------------------------------------------------------ message ids */

/* An empty INFORMATIONAL request of side 0, who began the IKE SA. free() it. */
static struct ike_packets *info_request(struct sim *sim, __u32 id)
{
	const struct ike_sa *ike = sim_ike(&sim->side[0]);
	_cleanup_out_ struct ike_out out = {0};
	struct ike_header h = {.spi_i = ike->spi_i,
			       .spi_r = ike->spi_r,
			       .id = id,
			       .exchange = INFORMATIONAL,
			       .flags = IKE_FLAG_INITIATOR};

	ike_out_open(&out, &h);
	return tamper_seal(sim, 0, &out);
}

/* 2.2: a number behind the last would be the first one again, and old messages were new. */
static void test_last_id(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	struct ike_packets *packets;
	struct bytes packet;

	sim->may_close = true;
	sim_ike(&sim->side[1])->w.in_id = UINT32_MAX;
	packets = info_request(sim, UINT32_MAX);
	packet = ike_packet(packets, 0);
	sim_inject(sim, 1, packet.data, packet.len);
	sim_run(sim, 100);
	assert_int_equal(sim->sent[INFORMATIONAL][1], 1);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	free(packets);
	sim_free(sim);
}

/* ------------------------------------------------------------------ where answers go */

/* 2.11: to where the request came from, be it another port, also when it comes again. 2.23: that is
 * no reason to go there from now on, without a NAT. */
static void test_answered_there(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	const struct ike_sa *ike = sim_ike(&sim->side[1]);
	struct ike_packets *packets = info_request(sim, ike->w.in_id);
	struct bytes packet = ike_packet(packets, 0);

	for (__u16 port = 7777; port < 7779; port++) {
		struct ike_path path = sim_path(sim, 1, port, 500);

		engine_datagram(sim->side[1].engine, &path, packet.data, packet.len);
		assert_int_equal(sim->sent[INFORMATIONAL][1], port - 7776);
		assert_memory_equal(&sim->side[1].sent_by, &path, sizeof(path));
	}
	assert_int_equal(sim->side[1].engine->counter[ENGINE_RETRANSMIT_IN], 1);
	assert_int_equal(ike->path.remote_port, htons(500));
	sim_good(sim);
	free(packets);
	sim_free(sim);
}

/* ------------------------------------------------------------------ what deletes are answered by
 */

static struct {
	struct ike_delete del;
	__be32 spi;
	unsigned int n;
} answered;

static bool see_answer(struct sim *sim, int from, const __u8 *data, size_t len)
{
	_cleanup_writer_ struct writer text = {0};
	static struct ike_msg msg;

	if (msg_exchange(data) != INFORMATIONAL || !msg_response(data))
		return false;
	assert_int_equal(from, 1);
	tamper_read(sim, from, BYTES(data, len), &msg, &text);
	answered.n++;
	answered.del = msg.n_del ? msg.del[0] : (struct ike_delete){0};
	answered.spi = ike_delete_spi(&answered.del, 0);
	return false;
}

/* 1.4.1: of a child with the Delete of the other half; of the IKE SA by nothing, but sealed. */
static void test_deletes_are_answered(void **state)
{
	struct sim *sim = sim_begun(fast, fast);
	__be32 spi = sim_child(&sim->side[1], "net")->spi_in;

	sim->may_close = true;
	answered.n = 0;
	sim->lose = see_answer;
	engine_terminate(sim->side[0].engine, &(struct engine_match){.child = "net"}, false, 0);
	sim_run(sim, 100);
	assert_int_equal(answered.n, 1);
	assert_int_equal(answered.del.protocol, PROPOSAL_ESP);
	assert_int_equal(answered.del.n, 1);
	assert_int_equal(answered.spi, spi);
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike = "c"}, false, 0);
	sim_run(sim, 100);
	assert_int_equal(answered.n, 2);
	assert_int_equal(answered.del.n, 0);
	assert_int_equal(sim->sent[INFORMATIONAL][0], 2);
	assert_int_equal(sim_ikes(&sim->side[0], -1), 0);
	sim->lose = NULL;
	sim_end(sim, 0, 0);
}

/* ------------------------------------------------------------------ nonces and keys */

enum { NONCES = 16 };

static struct nonce seen[NONCES];
static unsigned int n_seen;

static bool see_nonces(struct sim *sim, int from, const __u8 *data, size_t len)
{
	_cleanup_writer_ struct writer text = {0};
	static struct ike_msg msg;

	if (msg_exchange(data) != CREATE_CHILD_SA)
		return false;
	tamper_read(sim, from, BYTES(data, len), &msg, &text);
	assert_true(n_seen < NONCES);
	assert_int_equal(nonce_set(&seen[n_seen++], msg.nonce), 0);
	return false;
}

static struct sim *sim_seen(const char *conn)
{
	struct sim *sim = sim_begun(conn, conn);

	n_seen = 0;
	sim->lose = see_nonces;
	return sim;
}

/* 2.10: each side has its own in each exchange, and never the same again. */
static void test_nonces_of_rekeys(void **state)
{
	struct sim *sim = sim_seen(fast);

	for (int side = 0; side < 2; side++) {
		engine_rekey(sim->side[side].engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 1000);
		engine_rekey(sim->side[side].engine, &(struct engine_match){.ike = "c"}, 0);
		sim_run(sim, 1000);
	}
	assert_int_equal(n_seen, 8);
	for (unsigned int i = 0; i < n_seen; i++)
		for (unsigned int k = 0; k < i; k++)
			assert_memory_not_equal(seen[i].data, seen[k].data, 16);
	sim->lose = NULL;
	sim_end(sim, 1, 1);
}

/* 2.17: who began the exchange, not the IKE SA, sends with the first half of KEYMAT; what a key
 * exchange gave is in it. */
static void test_keys_of_rekeys(void **state)
{
	static const char pfs[] = SIM_CONN(
		SIM_FAST, "",
		SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", "esp_proposals = aes128gcm16-x25519"));

	for (int by = 0; by < 4; by++) {
		struct sim *sim = sim_seen(by / 2 ? pfs : fast);
		struct side *first = &sim->side[by % 2], *other = &sim->side[!(by % 2)];
		__u8 i2r[XIPSEC_KEY_MAX], r2i[XIPSEC_KEY_MAX];
		const struct xipsec_sa *sa[2];
		struct keymat_in in;

		engine_rekey(first->engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 1000);
		assert_int_equal(n_seen, 2);
		in = (struct keymat_in){.nonce_i = nonce_view(&seen[0]),
					.nonce_r = nonce_view(&seen[1])};
		sa[0] = sim_newest_out(first, "c/net");
		sa[1] = sim_newest_out(other, "c/net");
		assert_int_equal(sa[0]->key_len, 20);
		assert_int_equal(keymat_child(sim_ike(first)->keys, &in, sa[0]->key_len, i2r, r2i),
				 0);
		assert_int_equal(!memcmp(sa[0]->key, i2r, sa[0]->key_len), by < 2);
		assert_int_equal(!memcmp(sa[1]->key, r2i, sa[1]->key_len), by < 2);
		sim->lose = NULL;
		sim_end(sim, 1, 1);
	}
}

/* 2.12: what AUTH was made with goes when it is over, at both ends. */
static void test_sk_p_goes(void **state)
{
	static const __u8 nothing[PRF_LEN_MAX];
	struct sim *sim = sim_begun(fast, fast);

	for (int side = 0; side < 2; side++) {
		const struct ike_keys *keys = sim_ike(&sim->side[side])->keys;

		assert_memory_not_equal(keys->sk_d, nothing, keys->len);
		assert_memory_equal(keys->sk_pi, nothing, sizeof(keys->sk_pi));
		assert_memory_equal(keys->sk_pr, nothing, sizeof(keys->sk_pr));
	}
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ IKE_SA_INIT */

static void answer_cookie(struct sim *sim, size_t len)
{
	static const __u8 data[IKE_COOKIE_MAX + 1] = {1};
	struct ike_header h = {.spi_i = sim->side[0].engine->first->spi_i,
			       .exchange = IKE_SA_INIT,
			       .flags = IKE_FLAG_RESPONSE};
	_cleanup_out_ struct ike_out out = {0};
	struct ike_packets *packets;
	struct bytes packet;

	ike_out_open(&out, &h);
	ike_out_notify(&out, 0, BYTES_NONE, IKE_N_COOKIE, BYTES(data, len));
	assert_int_equal(ike_out_plain(&out, &packets), 0);
	packet = ike_packet(packets, 0);
	sim_inject(sim, 0, packet.data, packet.len);
	sim_run(sim, 1);
	free(packets);
}

/* 2.6: cookies have 1 to 64 octets. */
static void test_cookie_sizes(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);

	sim->side[1].deaf = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 100);
	answer_cookie(sim, 0);
	answer_cookie(sim, IKE_COOKIE_MAX + 1);
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 1);
	answer_cookie(sim, IKE_COOKIE_MAX);
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 2);
	answer_cookie(sim, 1);
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 3);
	sim_free(sim);
}

static __u8 init[1024];
static size_t init_len;

static bool keep_init(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (from || msg_exchange(data) != IKE_SA_INIT)
		return false;
	assert_true(len <= sizeof(init));
	memcpy(init, data, init_len = len);
	return false;
}

/* 2.1: two behind one NAT may have the same SPI: it is the same request if all of it is. */
static void test_same_spi(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);
	const struct engine *engine = sim->side[1].engine;
	static struct ike_msg msg;

	sim->lose = keep_init;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 5);
	sim->side[0].deaf = true;
	sim_run(sim, 50);
	sim_inject(sim, 1, init, init_len);
	sim_run(sim, 50);
	assert_int_equal(engine->counter[ENGINE_RETRANSMIT_IN], 1);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 1);
	assert_int_equal(ike_msg_parse(BYTES(init, init_len), &msg, NULL), 0);
	init[msg.nonce.data - init] ^= 1;
	sim_inject(sim, 1, init, init_len);
	sim_run(sim, 50);
	assert_int_equal(engine->counter[ENGINE_RETRANSMIT_IN], 1);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 2);
	sim_free(sim);
}

/* From another port, which a NAT may have given it meanwhile, it gets the same answer there. From
 * another address it is another request: whoever has seen it cannot have any number of answers go
 * where he likes. */
static void test_repeated_elsewhere(void **state)
{
	static const char any[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	struct sim *sim = sim_new(1, fast, any);
	struct engine *engine = sim->side[1].engine;
	struct ike_path path = sim_path(sim, 1, 7777, 500);

	sim->lose = keep_init;
	sim->side[0].deaf = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 50);
	engine_datagram(engine, &path, init, init_len);
	assert_int_equal(engine->counter[ENGINE_RETRANSMIT_IN], 1);
	assert_memory_equal(&sim->side[1].sent_by, &path, sizeof(path));
	path.remote.byte[3] = 77;
	for (unsigned int i = 0; i < 50; i++)
		engine_datagram(engine, &path, init, init_len);
	assert_int_equal(engine->counter[ENGINE_RETRANSMIT_IN], 1 + 49);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 2);
	for (unsigned int i = 0; i < 2 * HALFOPEN_COOKIES; i++) {
		path.remote.word[0] = htonl(0x0a000000 + i);
		engine_datagram(engine, &path, init, init_len);
	}
	assert_int_equal(engine->counter[ENGINE_RETRANSMIT_IN], 1 + 49);
	assert_int_equal(sim_ikes(&sim->side[1], -1), HALFOPEN_COOKIES);
	assert_int_equal(engine->counter[ENGINE_COOKIE_SENT], HALFOPEN_COOKIES + 2);
	sim_free(sim);
}

/* A key that is none costs no half-open IKE SA, so no cookie stops who sends many: what is said of
 * them, to the peer and in the log, has a limit. */
static void test_bad_keys(void **state)
{
	enum { MANY = 1000 };
	struct sim *sim = sim_new(1, fast, fast);
	static struct ike_msg msg;

	sim->lose = keep_init;
	sim->side[0].deaf = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 50);
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike = "c"}, true, 0);
	sim_run(sim, HALFOPEN_MS + 1000);
	assert_int_equal(ike_msg_parse(BYTES(init, init_len), &msg, NULL), 0);
	memset(init + (msg.ke.data.data - init), 0, msg.ke.data.len);
	sim->sent[IKE_SA_INIT][1] = 0;
	for (unsigned int i = 0; i < MANY; i++)
		sim_inject(sim, 1, init, init_len);
	sim_run(sim, 10);
	assert_int_equal(sim->side[1].engine->counter[ENGINE_IN_INVALID], MANY);
	assert_int_equal(sim->sent[IKE_SA_INIT][1], ERRORS_BURST);
	assert_int_equal(sim_lines(&sim->side[1], "its key exchange is not valid"), ERRORS_BURST);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_last_id),
		cmocka_unit_test(test_answered_there),
		cmocka_unit_test(test_deletes_are_answered),
		cmocka_unit_test(test_nonces_of_rekeys),
		cmocka_unit_test(test_keys_of_rekeys),
		cmocka_unit_test(test_sk_p_goes),
		cmocka_unit_test(test_cookie_sizes),
		cmocka_unit_test(test_same_spi),
		cmocka_unit_test(test_repeated_elsewhere),
		cmocka_unit_test(test_bad_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
