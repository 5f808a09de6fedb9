// SPDX-License-Identifier: BSD-2-Clause
/* A responder answers IKE_SA_INIT before it knows which connection is meant (iked/wishes.h). */
#include "tests/unit/cert_fixture.h"

#include "tests/unit/ike_sim.h"

static struct made root, other, ends[2];
static struct cert_store *store;
static __u8 hash[2][CERT_HASH_LEN]; /* of both CAs */
static struct ike_cert asked;       /* in IKE_SA_INIT's response */
static __u8 asked_data[4 * CERT_HASH_LEN];
static bool asked_fragments;

/* The connection that stands first and is not meant, and the one that is. */
static struct sim *sim_two(const char *front, const char *more)
{
	char conn[2][2048];
	struct sim *sim;

	for (int i = 0; i < 2; i++)
		snprintf(conn[i], sizeof(conn[i]),
			 "%s\nc {\n%%s\nproposals = " SIM_FAST
			 "\n%s\nlocal { auth = pubkey\n certs = a.pem\n id = %s.example.org }\n"
			 "remote { auth = pubkey\n id = %s.example.org }\nchildren {\n" SIM_NET
			 "} }",
			 i ? front : "", more, i ? "sun" : "moon", i ? "moon" : "sun");
	sim = sim_new(8, conn[0], conn[1]);
	for (int i = 0; i < 2; i++) {
		struct conn_blob *blob;

		engine_trust(sim->side[i].engine, store);
		engine_wall_clock(sim->side[i].engine, NOW);
		sim->side[i].key = ends[i].key;
		EVP_PKEY_up_ref(ends[i].key);
		blob = &ike_conn_find(sim->side[i].engine, "c")->model.local.certs.blob[0];
		blob->data = exact_copy(ends[i].der, ends[i].len);
		blob->len = ends[i].len;
	}
	return sim;
}

static bool hear(struct sim *sim, int from, const __u8 *data, size_t len)
{
	static struct ike_msg msg;
	struct ike_fault fault;

	if (from != 1 || msg_exchange(data) != IKE_SA_INIT)
		return false;
	assert_int_equal(ike_msg_parse(BYTES(data, len), &msg, &fault), 0);
	asked_fragments = ike_msg_notify(&msg, IKE_N_FRAGMENTATION_SUPPORTED);
	asked = (struct ike_cert){0};
	assert_true(msg.n_certreq <= 1);
	if (!msg.n_certreq)
		return false;
	assert_true(msg.certreq[0].data.len <= sizeof(asked_data));
	memcpy(asked_data, msg.certreq[0].data.data, msg.certreq[0].data.len);
	asked.data = BYTES(asked_data, msg.certreq[0].data.len);
	return false;
}

static bool asked_for(int ca)
{
	for (size_t at = 0; at < asked.data.len; at += CERT_HASH_LEN)
		if (!memcmp(asked_data + at, hash[ca], CERT_HASH_LEN))
			return true;
	return false;
}

static void take_one_ca(struct ike_conn *conn, int ca)
{
	conn->cas = exact_copy(hash[ca], CERT_HASH_LEN);
	conn->cas_len = CERT_HASH_LEN;
}

static void up(struct sim *sim)
{
	sim->lose = hear;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	sim_good(sim);
	if (sim_done(&sim->side[0], 7))
		fail_msg("%s\n---\n%s", sim->side[0].log, sim->side[1].log);
	assert_string_equal(sim_ike(&sim->side[1])->conn->model.name, "c");
	assert_true(sim_ike(&sim->side[0])->fragments);
	assert_true(sim_ike(&sim->side[1])->fragments);
	assert_true(asked_fragments);
}

#define FRONT(auth)                                                                        \
	"front { local_addrs = 192.0.2.2\nremote_addrs = 192.0.2.1\nproposals = " SIM_FAST \
	"\nfragmentation = no\nlocal { auth = psk }\nremote { auth = " auth                \
	"\nid = nobody.example.org }\nchildren { x { remote_ts = 10.9.0.0/16 } } }"

/* The first one wants a secret and no fragments; who sends a certificate if asked is asked. */
static void test_secret_in_front(void **state)
{
	struct sim *sim = sim_two(FRONT("psk"), "send_cert = ifasked");

	up(sim);
	assert_int_equal(asked.data.len, CERT_HASH_LEN * 2);
	sim_end(sim, 1, 1);
}

/* Each takes one CA: both are asked for, each once. */
static void test_two_cas(void **state)
{
	for (int any = 0; any < 2; any++) {
		struct sim *sim = sim_two(FRONT("pubkey"), "send_cert = ifasked");

		take_one_ca(ike_conn_find(sim->side[1].engine, "front"), 1);
		if (!any)
			take_one_ca(ike_conn_find(sim->side[1].engine, "c"), 0);
		up(sim);
		assert_int_equal(asked.data.len, 2 * CERT_HASH_LEN);
		assert_true(asked_for(0));
		assert_true(asked_for(1));
		sim_end(sim, 1, 1);
	}
}

/* Nobody wants a certificate: none is asked for. */
static void test_nobody_asks(void **state)
{
	struct sim *sim = sim_two(FRONT("psk"), "send_cert = always\nsend_certreq = no");

	up(sim);
	assert_int_equal(asked.data.len, 0);
	sim_end(sim, 1, 1);
}

/* Who is meant wants no fragments after all: none are sent to it, though they were offered. */
static void test_no_fragments(void **state)
{
	static const char front[] =
		"front { local_addrs = 192.0.2.2\nremote_addrs = 192.0.2.1\nproposals = " SIM_FAST
		"\nlocal { auth = psk }\nremote { auth = psk\nid = nobody.example.org }\n"
		"children { x { remote_ts = 10.9.0.0/16 } } }";
	struct sim *sim = sim_two(front, "send_cert = always\nfragmentation = no");

	sim->lose = hear;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_true(asked_fragments);
	assert_false(sim_ike(&sim->side[0])->fragments);
	assert_false(sim_ike(&sim->side[1])->fragments);
	sim_end(sim, 1, 1);
}

static int make_pki(void **state)
{
	static const char *const names[] = {"DNS:moon.example.org", "DNS:sun.example.org"};
	const struct made *cas[] = {&root, &other};
	char why[200];

	root = make_cert((struct wish){
		.cn = "root", .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"});
	other = make_cert((struct wish){
		.cn = "other", .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"});
	store = cert_store_new();
	for (int i = 0; i < 2; i++) {
		struct cert_store *one = cert_store_new();
		struct writer w = {0};

		ends[i] = make_cert((struct wish){.cn = "end",
						  .issuer = &root,
						  .names = names[i],
						  .usage = "digitalSignature"});
		cert_store_add_ca(store, made_bytes(cas[i]), why, sizeof(why));
		cert_store_add_ca(one, made_bytes(cas[i]), why, sizeof(why));
		cert_store_hashes(one, &w);
		assert_int_equal(w.len, CERT_HASH_LEN);
		memcpy(hash[i], w.data, CERT_HASH_LEN);
		writer_free(&w);
		cert_store_free(one);
	}
	return 0;
}

static int drop_pki(void **state)
{
	cert_store_free(store);
	made_free(&root);
	made_free(&other);
	made_free(&ends[0]);
	made_free(&ends[1]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_secret_in_front),
		cmocka_unit_test(test_two_cas),
		cmocka_unit_test(test_nobody_asks),
		cmocka_unit_test(test_no_fragments),
	};

	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
