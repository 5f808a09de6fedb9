// SPDX-License-Identifier: BSD-2-Clause
/* What RFC 7296 and RFC 7383 ask of two engines that no scenario meets by itself: nonces, answers
 * that were forgotten, fragments that come again, notifies that are not answered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>

#include "iked/message.h"
#include "iked/xchg.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/ike_tamper.h"

static const char fast[] = SIM_CONN(SIM_FAST, "", SIM_NET);

static struct sim *begin(__u64 seed, const char *conn_0, const char *conn_1)
{
	struct sim *sim = sim_new(seed, conn_0, conn_1);

	engine_initiate(sim->side[0].engine, "c", "net", 7);
	return sim;
}

/* ------------------------------------------------------------------ nonces */

#define SEEDS 8

static __u8 nonces[2 * SEEDS][IKE_NONCE_MAX];
static size_t nonce_len[2 * SEEDS];
static unsigned int n_nonces;

static bool see_nonce(struct sim *sim, int from, const __u8 *data, size_t len)
{
	static struct ike_msg msg;
	struct ike_fault fault;

	if (msg_exchange(data) != IKE_SA_INIT)
		return false;
	assert_int_equal(ike_msg_parse(BYTES(data, len), &msg, &fault), 0);
	assert_true(n_nonces < 2 * SEEDS);
	nonce_len[n_nonces] = msg.nonce.len;
	memcpy(nonces[n_nonces++], msg.nonce.data, msg.nonce.len);
	return false;
}

/* 2.10: half of the longest PRF key that there is, 64 octets, and another each time. */
static void test_nonces(void **state)
{
	static const char wide[] = SIM_CONN("aes256gcm16-prfsha512-x25519", "", SIM_NET);

	n_nonces = 0;
	for (__u64 seed = 1; seed <= SEEDS; seed++) {
		struct sim *sim = begin(seed, wide, wide);

		sim->lose = see_nonce;
		assert_true(sim_up(sim, 2000));
		sim_end(sim, 1, 1);
	}
	assert_int_equal(n_nonces, 2 * SEEDS);
	for (unsigned int i = 0; i < n_nonces; i++) {
		assert_in_range(nonce_len[i], 64 / 2, 256);
		for (unsigned int k = 0; k < i; k++)
			assert_memory_not_equal(nonces[i], nonces[k], 16);
	}
}

/* 3.9: of others 16 to 256 octets are taken. */
static void test_nonce_of_others(void **state)
{
	static const __u8 data[300] = {7};
	struct nonce nonce;

	assert_int_equal(nonce_set(&nonce, BYTES(data, 15)), -EINVAL);
	assert_int_equal(nonce_set(&nonce, BYTES(data, 16)), 0);
	assert_int_equal(nonce_set(&nonce, BYTES(data, 256)), 0);
	assert_int_equal(nonce_view(&nonce).len, 256);
	assert_int_equal(nonce_set(&nonce, BYTES(data, 257)), -EINVAL);
}

/* ------------------------------------------------------------------ requests that come again */

static struct {
	__u8 data[2048];
	size_t len;
} kept[2]; /* whole, or the first and the second fragment */

static bool keep_auth(struct sim *sim, int from, const __u8 *data, size_t len)
{
	unsigned int i = data[16] == IKE_PL_SKF ? data[33] - 1u : 0;

	if (from || msg_exchange(data) != IKE_AUTH || i > 1)
		return false;
	assert_true(len <= sizeof(kept[i].data));
	memcpy(kept[i].data, data, kept[i].len = len);
	return false;
}

/* How many messages the responder answers with. */
static unsigned int answers_to(struct sim *sim, unsigned int i)
{
	unsigned int before = sim->sent[IKE_AUTH][1];

	sim_inject(sim, 1, kept[i].data, kept[i].len);
	sim_run(sim, 100);
	return sim->sent[IKE_AUTH][1] - before;
}

/* 2.1: an answer is sent again for minutes; then the request is ignored, not answered anew. */
static void test_forgotten(void **state)
{
	struct sim *sim = begin(1, fast, fast);

	kept[0].len = 0;
	sim->lose = keep_auth;
	assert_true(sim_up(sim, 2000));
	assert_true(kept[0].len > 0);
	assert_int_equal(answers_to(sim, 0), 1);
	sim_run(sim, RESPONSE_MS - 10000);
	assert_int_equal(answers_to(sim, 0), 1);
	sim_run(sim, 20000);
	assert_int_equal(answers_to(sim, 0), 0);
	assert_int_equal(sim->side[1].events[IKE_EVENT_IKE_UP], 1);
	sim_end(sim, 1, 1);
}

/* RFC 7383 2.6.1: of a request in fragments the first one calls for the answer, no other. */
static void test_fragments_again(void **state)
{
	static char conn[2][4096];
	struct sim *sim;

	for (int side = 0; side < 2; side++) {
		size_t len = snprintf(conn[side], sizeof(conn[side]),
				      "c {\n%%s\nproposals = " SIM_FAST "\nlocal { auth = psk }\n"
				      "remote { auth = psk }\nchildren {\nnet {\n"
				      "esp_proposals = aes128gcm16\n%s_ts = ",
				      side ? "remote" : "local");

		for (int i = 0; i < 30; i++)
			len += snprintf(conn[side] + len, sizeof(conn[side]) - len,
					"%sfd00:1:%x::/64", i ? ", " : "", i);
		snprintf(conn[side] + len, sizeof(conn[side]) - len,
			 "\n%s_ts = fd02::/64\nstart_action = trap\n} } }",
			 side ? "local" : "remote");
	}
	kept[0].len = kept[1].len = 0;
	sim = begin(1, conn[0], conn[1]);
	sim->lose = keep_auth;
	assert_true(sim_up(sim, 2000));
	assert_true(kept[0].len > 0 && kept[1].len > 0);
	assert_int_equal(kept[0].data[16], IKE_PL_SKF);
	assert_int_equal(answers_to(sim, 1), 0);
	assert_true(answers_to(sim, 0) > 0);
	sim->lose = NULL;
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ transport mode, a NAT */

static void assert_host(const struct xipsec_addr *lo, const struct xipsec_addr *hi,
			const char *want)
{
	__u8 addr[4];

	assert_int_equal(inet_pton(AF_INET, want, addr), 1);
	assert_memory_equal(lo->byte, addr, 4);
	assert_memory_equal(hi->byte, addr, 4);
}

/* 2.23.1: who sits in front of the NAT has the outside of it for the other end, and each its own
 * address, whatever the selectors in the messages said. */
static void test_transport_nat(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "# NAT",
			 SIM_CHILD("net", "dynamic", "dynamic",
				   "esp_proposals = aes128gcm16\nmode = transport\ncopy_df = no\n"
				   "copy_ecn = no\ncopy_dscp = no"));
	static const char *const want[2][2] = {{"192.0.2.1", "192.0.2.2"},
					       {"192.0.2.2", "203.0.113.9"}};
	struct sim *sim = sim_new(1, conn, conn);

	sim->nat = true;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	assert_true(sim_up(sim, 3000));
	for (int side = 0; side < 2; side++) {
		const struct child_sa *child = sim_child(&sim->side[side], "net");
		const struct xipsec_sa *in = &sim->side[side].sa[0];

		assert_non_null(child);
		if (in->dir != XIPSEC_DIR_IN)
			in++;
		assert_int_equal(in->mode, XIPSEC_MODE_TRANSPORT);
		assert_int_equal(in->flags & XIPSEC_SA_UDP, XIPSEC_SA_UDP);
		assert_int_equal(in->n_selectors, 1);
		assert_host(&in->selector[0].local_lo, &in->selector[0].local_hi, want[side][0]);
		assert_host(&in->selector[0].remote_lo, &in->selector[0].remote_hi, want[side][1]);
	}
	sim_good(sim); /* the two ends differ in what they call the first one */
	sim_free(sim);
}

/* 1.3.1: transport mode is declined by silence. Who wants no other installs nothing, and deletes
 * the peer's half; the IKE SA stays. Packets that want it do not have it asked for all the time. */
static void test_declined(void **state)
{
	static const char transport[] =
		SIM_CONN(SIM_FAST, "",
			 SIM_CHILD("net", "dynamic", "dynamic",
				   "esp_proposals = aes128gcm16\nmode = transport\ncopy_df = no\n"
				   "copy_ecn = no\ncopy_dscp = no\nstart_action = trap")),
			  tunnel[] = SIM_CONN(SIM_FAST, "",
					      SIM_CHILD("net", "dynamic", "dynamic",
							"esp_proposals = aes128gcm16"));
	struct sim *sim = begin(5, transport, tunnel);

	sim->may_close = true;
	sim_run(sim, 15000);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "its mode is not ours"));
	assert_non_null(sim_ike(&sim->side[0]));
	assert_int_equal(sim_children(&sim->side[0], -1), 0);
	assert_int_equal(sim->side[0].n_sas, 0);
	assert_int_equal(sim->side[1].events[IKE_EVENT_CHILD_UP], 1);
	assert_int_equal(sim->side[1].events[IKE_EVENT_CHILD_DOWN], 1);
	assert_int_equal(sim->side[1].n_sas, 0);
	for (int i = 0; i < 60; i++) {
		engine_acquire(sim->side[0].engine, "c/net");
		sim_run(sim, 100);
	}
	assert_in_range(sim->sent[CREATE_CHILD_SA][0], 1, 3);
	assert_int_equal(sim->sent[INFORMATIONAL][0], 1 + sim->sent[CREATE_CHILD_SA][0]);
	sim_end(sim, 1, 0);
}

/* ------------------------------------------------------------------ notifies */

static unsigned int declined;

/* The initiator's IKE_AUTH asks for fragments to be taken; the answer says nothing of it. */
static bool ask_for_fragments(struct sim *sim, int from, const __u8 *data, size_t len)
{
	_cleanup_writer_ struct writer text = {0};
	_cleanup_out_ struct ike_out out = {0};
	static struct ike_msg msg;

	if (msg_exchange(data) != IKE_AUTH)
		return false;
	if (msg_response(data)) {
		tamper_read(sim, from, BYTES(data, len), &msg, &text);
		assert_non_null(msg.sa.data);
		assert_null(ike_msg_notify(&msg, IKE_N_NON_FIRST_FRAGMENTS_ALSO));
		declined++;
		return false;
	}
	tamper_open(sim, from, BYTES(data, len), &msg, &text);
	ike_out_open(&out, &msg.h);
	ike_out_status(&out, IKE_N_NON_FIRST_FRAGMENTS_ALSO);
	tamper_add(&out, msg.sk.first, writer_view(&text));
	tamper_send(sim, from, &out);
	return true;
}

/* RFC 4301 7.3: where selectors ask for no ports there is nothing to agree on. */
static void test_no_fragments(void **state)
{
	struct sim *sim = begin(3, fast, fast);

	declined = 0;
	sim->lose = ask_for_fragments;
	assert_true(sim_up(sim, 3000));
	assert_int_equal(declined, 1);
	sim->lose = NULL;
	sim_end(sim, 1, 1);
}

static void later_are(struct sim *sim, bool agreed)
{
	for (int s = 0; s < 2; s++) {
		const struct side *side = &sim->side[s];

		assert_int_equal(side->n_sas, 2);
		for (unsigned int i = 0; i < side->n_sas; i++)
			assert_int_equal(!!(side->sa[i].flags & XIPSEC_SA_LATER),
					 agreed && side->sa[i].dir == XIPSEC_DIR_IN);
	}
}

/* Where they do it is: by who asks for ports and who answers, and anew with each rekey. Who did not
 * ask is told nothing. */
static void test_later_fragments(void **state)
{
#define ASKS_MORE(ts, more) SIM_CONN(SIM_FAST, "", SIM_CHILD("net", ts, ts, more))
#define ASKS(ts)            ASKS_MORE(ts, "")
	static const char *const ends[][2] = {
		{ASKS("10.0.0.0/8[udp/5000]"), ASKS("10.0.0.0/8[udp/5000]")},
		{ASKS("10.0.0.0/8[udp/5000]"), fast},
		{fast, ASKS("10.0.0.0/8[udp/5000]")},
		{ASKS("10.0.0.0/8[udp]"), fast},
		/* kernel XFRM does not know how */
		{ASKS_MORE("10.0.0.0/8[udp/5000]", "engine = xfrm"), ASKS("10.0.0.0/8[udp/5000]")},
		{ASKS("10.0.0.0/8[udp/5000]"), ASKS_MORE("10.0.0.0/8[udp/5000]", "engine = xfrm")},
	};
#undef ASKS
#undef ASKS_MORE
	for (int i = 0; i < 6; i++) {
		struct sim *sim = begin(11, ends[i][0], ends[i][1]);

		assert_true(sim_up(sim, 2000));
		later_are(sim, i < 2);
		engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 20000);
		assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 1);
		later_are(sim, i < 2);
		sim_end(sim, 1, 1);
	}
}

/* ------------------------------------------------------------------ a child that the peer lost */

/* 2.25: what the peer does not have goes, and is made anew, in silence. */
static void test_not_found(void **state)
{
	struct sim *sim = begin(4, fast, fast);
	const struct child_sa *child;
	__u32 old;

	assert_true(sim_up(sim, 2000));
	sim->may_close = true;
	old = sim_child(&sim->side[0], "net")->id;
	child_free(sim_child(&sim->side[1], "net"), false);
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 8);
	sim_run(sim, 3000);
	assert_true(sim_said(&sim->side[0], "the peer does not have it; it is made anew"));
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	child = sim_child(&sim->side[0], "net");
	assert_non_null(child);
	assert_int_not_equal(child->id, old);
	assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 2);
	assert_int_equal(sim->sent[INFORMATIONAL][0], 0);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ what is negotiated, and told
 */

static __u32 esn_of(const struct side *side)
{
	__u32 with = 0;

	for (unsigned int i = 0; i < side->n_sas; i++)
		with += !!(side->sa[i].flags & XIPSEC_SA_ESN);
	assert_int_equal(side->n_sas, 2);
	return with;
}

/* RFC 4303 2.2.1: long numbers where both ends want them, and nowhere else. 1.3: a rekey's key
 * exchange is of the group that it offers, so one request is enough. */
static void test_esn(void **state)
{
#define NET(suffix)            \
	SIM_CONN(SIM_FAST, "", \
		 SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", "esp_proposals = " suffix))
	static const char *const ends[][2] = {
		{NET("aes256gcm16-x25519-esn"), NET("aes256gcm16-x25519-esn")},
		{NET("aes256gcm16-x25519-noesn"), NET("aes256gcm16-x25519-noesn")},
		{NET("aes256gcm16-x25519-esn-noesn"), NET("aes256gcm16-x25519-noesn")},
	};
#undef NET
	for (int i = 0; i < 3; i++) {
		struct sim *sim = begin(7, ends[i][0], ends[i][1]);

		assert_true(sim_up(sim, 2000));
		for (int side = 0; side < 2; side++)
			assert_int_equal(esn_of(&sim->side[side]), i ? 0 : 2);
		engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 20000);
		assert_int_equal(sim->sent[CREATE_CHILD_SA][0], 1);
		assert_int_equal(sim_child(&sim->side[0], "net")->ke, KE_X25519);
		for (int side = 0; side < 2; side++)
			assert_int_equal(esn_of(&sim->side[side]), i ? 0 : 2);
		sim_end(sim, 1, 1);
	}
}

/* RFC 4301 5.2: INVALID_SELECTORS goes out once in a while, however many packets are refused. */
static void test_selectors_told(void **state)
{
	const struct xipsec_sample inner = {.family = XIPSEC_FAMILY_IP4, .l4_proto = 17};
	struct sim *sim = begin(8, fast, fast);
	char name[XIPSEC_NAME_LEN];

	assert_true(sim_up(sim, 2000));
	child_sa_name(sim_child(&sim->side[0], "net"), XIPSEC_DIR_IN, name);
	for (__u64 ms = 0; ms < 2 * INVALID_SPI_MS; ms += 1000) {
		engine_sa_selectors(sim->side[0].engine, name, &inner);
		sim_run(sim, 1000);
		assert_int_equal(sim->sent[INFORMATIONAL][0], ms < INVALID_SPI_MS ? 1 : 2);
	}
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ a certificate and a secret */

#define MIXED(local, remote)                                                           \
	"c {\n%s\nproposals = " SIM_FAST "\nsend_cert = always\nlocal { " local " }\n" \
	"remote { " remote " }\nchildren {\n" SIM_NET "} }"

/* 4: the responder shows a certificate, the initiator knows the secret; whoever comes with the
 * secret where a certificate is wanted is not let in. */
static void test_mixed(void **state)
{
	static const char moon[] =
		MIXED("auth = psk\nid = moon.example.org", "auth = pubkey\nid = sun.example.org"),
			  sun[] = MIXED("auth = pubkey\ncerts = a.pem\nid = sun.example.org",
					"auth = psk\nid = moon.example.org"),
			  secret[] = MIXED("auth = psk\nid = sun.example.org",
					   "auth = psk\nid = moon.example.org");
	struct made root = make_cert((struct wish){
		.cn = "root", .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign"});
	struct made end = make_cert((struct wish){.cn = "end",
						  .issuer = &root,
						  .names = "DNS:sun.example.org",
						  .usage = "digitalSignature"});

	for (int wrong = 0; wrong < 2; wrong++) {
		struct sim *sim = sim_new(6, moon, wrong ? secret : sun);
		struct cert_store *store = cert_store_new();
		struct conn_blob *cert;
		char why[200];

		assert_int_equal(cert_store_add_ca(store, made_bytes(&root), why, sizeof(why)), 0);
		for (int i = 0; i < 2; i++) {
			engine_trust(sim->side[i].engine, store);
			engine_wall_clock(sim->side[i].engine, NOW);
		}
		if (!wrong) {
			cert = ike_conn_find(sim->side[1].engine, "c")->model.local.certs.blob;
			cert->data = malloc(end.len);
			memcpy(cert->data, end.der, cert->len = end.len);
			sim->side[1].key = end.key;
			EVP_PKEY_up_ref(end.key);
		}
		sim->may_close = true;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 3000);
		assert_int_equal(!sim_done(&sim->side[0], 7), !wrong);
		if (!wrong) {
			assert_int_equal(sim_ike(&sim->side[0])->auth_remote, IKE_AUTH_SIGNATURE);
			assert_int_equal(sim_ike(&sim->side[1])->auth_remote, IKE_AUTH_PSK);
		} else {
			assert_int_equal(sim_ikes(&sim->side[0], -1), 0);
		}
		sim_good(sim);
		sim_free(sim);
		cert_store_free(store);
	}
	made_free(&end);
	made_free(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nonces),        cmocka_unit_test(test_nonce_of_others),
		cmocka_unit_test(test_forgotten),     cmocka_unit_test(test_fragments_again),
		cmocka_unit_test(test_transport_nat), cmocka_unit_test(test_declined),
		cmocka_unit_test(test_no_fragments),  cmocka_unit_test(test_later_fragments),
		cmocka_unit_test(test_not_found),     cmocka_unit_test(test_mixed),
		cmocka_unit_test(test_esn),           cmocka_unit_test(test_selectors_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
