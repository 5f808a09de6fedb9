// SPDX-License-Identifier: BSD-2-Clause
/* Which connection a peer is of, once it has said who it is, and what that one lets it prove itself
 * by. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "tests/unit/cert_fixture.h"
#include "tests/unit/ike_sim.h"

/* One of several: no address, so that the identities choose. */
#define ONE(name, proposal, remote_id)                                                   \
	name " {\nproposals = " proposal "\nlocal { auth = psk }\nremote { auth = psk\n" \
	     "id = " remote_id " }\nchildren {\n" SIM_NET "} }\n"
#define OTHER "aes256gcm16-prfsha384-ecp384"

static const char us[] = "c {\n%s\nproposals = " SIM_FAST "\nlocal { auth = psk\nid = a.example }\n"
			 "remote { auth = psk }\nchildren {\n" SIM_NET "} }";

/* The connection that it became, NULL: none, and then it was told so. */
static void becomes(const char *theirs, const char *name)
{
	struct sim *sim = sim_new(2, us, theirs);

	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	assert_int_equal(!sim_done(&sim->side[0], 7), !!name);
	assert_int_equal(sim_ikes(&sim->side[1], -1), !!name);
	if (name)
		assert_string_equal(sim_ike(&sim->side[1])->conn->model.name, name);
	else if (!sim_said(&sim->side[1], "no connection is for a.example (AUTH method 2)") ||
		 !sim_said(&sim->side[0], "the peer refused us: AUTHENTICATION_FAILED"))
		fail_msg("%s---\n%s", sim->side[0].log, sim->side[1].log);
	sim_good(sim);
	sim_free(sim);
}

/* What was agreed on before it said who it is must be what its connection takes. */
static void test_suite(void **state)
{
	becomes(ONE("guessed", SIM_FAST, "b.example") ONE("meant", OTHER, "a.example"), NULL);
	becomes(ONE("guessed", SIM_FAST, "b.example")
			ONE("meant", OTHER ", " SIM_FAST, "a.example"),
		"meant");
}

/* A name says more than a pattern, whatever came first; a pattern that does not fit says nothing.
 */
static void test_identity(void **state)
{
	becomes(ONE("many", SIM_FAST, "*.example") ONE("meant", SIM_FAST, "a.example"), "meant");
	becomes(ONE("meant", SIM_FAST, "a.example") ONE("many", SIM_FAST, "*.example"), "meant");
	becomes(ONE("others", SIM_FAST, "*.example.org") ONE("many", SIM_FAST, "*.example"),
		"many");
	becomes(ONE("others", SIM_FAST, "*.example.org"), NULL);
}

/* ------------------------------------------------------------------ signatures */

static struct made root, end;

static struct sim *sim_signed(const char *auth)
{
	static const char conn[] = "c {\n%%s\nproposals = " SIM_FAST
				   "\nsend_cert = always\nlocal { auth = pubkey\ncerts = a.pem\n"
				   "id = %s.example }\nremote { auth = %s\nid = %s.example }\n"
				   "children {\n" SIM_NET "} }";
	char text[2][1024];
	struct sim *sim;

	snprintf(text[0], sizeof(text[0]), conn, "moon", auth, "sun");
	snprintf(text[1], sizeof(text[1]), conn, "sun", "pubkey", "moon");
	sim = sim_new(6, text[0], text[1]);
	for (int i = 0; i < 2; i++) {
		struct engine *engine = sim->side[i].engine;
		struct conn_blob *cert = ike_conn_find(engine, "c")->model.local.certs.blob;

		engine_wall_clock(engine, NOW);
		cert->data = malloc(end.len);
		memcpy(cert->data, end.der, cert->len = end.len);
		sim->side[i].key = end.key;
		EVP_PKEY_up_ref(end.key);
	}
	return sim;
}

/* `auth` of the remote end: with what key, and with what hash; the peer has P-256, by SHA-256. */
static void test_signature(void **state)
{
	static const struct {
		const char *auth, *said;
	} rows[] = {
		{"pubkey", NULL},
		{"ecdsa", NULL},
		{"ecdsa-sha256", NULL},
		{"ike:rsa-ecdsa-sha512-sha256", NULL},
		{"rsa", "is not what `auth` allows"},
		{"ed25519", "is not what `auth` allows"},
		{"ike:ecdsa-sha384", "is not what `auth` allows"},
		{"ike:pubkey-sha512", "is not what `auth` allows"},
	};

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct sim *sim = sim_signed(rows[i].auth);
		struct cert_store *store = cert_store_new();
		char why[200];

		assert_int_equal(cert_store_add_ca(store, made_bytes(&root), why, sizeof(why)), 0);
		for (int side = 0; side < 2; side++)
			engine_trust(sim->side[side].engine, store);
		sim->may_close = true;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 8000);
		if (!sim_done(&sim->side[0], 7) != !rows[i].said ||
		    (rows[i].said && !sim_said(&sim->side[0], rows[i].said)))
			fail_msg("%s: %s", rows[i].auth, sim->side[0].log);
		assert_int_equal(sim_ikes(&sim->side[1], -1), !rows[i].said);
		sim_good(sim);
		sim_free(sim);
		cert_store_free(store);
	}
}

static int make_pki(void **state)
{
	root = make_cert((struct wish){
		.cn = "root", .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign"});
	end = make_cert((struct wish){.cn = "end",
				      .issuer = &root,
				      .names = "DNS:moon.example,DNS:sun.example",
				      .usage = "digitalSignature"});
	return 0;
}

static int drop_pki(void **state)
{
	made_free(&end);
	made_free(&root);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_suite),
		cmocka_unit_test(test_identity),
		cmocka_unit_test(test_signature),
	};

	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
