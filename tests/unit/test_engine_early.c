// SPDX-License-Identifier: BSD-2-Clause
/* A responder that asks before it has shown who it is: its requests are sealed with the right keys,
 * and yet nothing comes of them. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>

#include "iked/auth.h"
#include "iked/ident.h"
#include "iked/setup.h"
#include "iked/xchg.h"
#include "tests/unit/ike_sim.h"

static const char ours[] =
	"c {\n%s\nproposals = " SIM_FAST
	"\nlocal { auth = psk }\nremote { auth = psk\nid = 192.0.2.2 }\nchildren {\n" SIM_NET
	"} }\n"
	"d {\nproposals = " SIM_FAST "\nlocal_addrs = %%any\nremote_addrs = %%any\nlocal { auth = "
	"psk }\nremote { auth = psk\nid = bob }\n"
	"children {\n" SIM_CHILD("other", "10.99.0.0/16", "10.99.0.0/16",
				 "esp_proposals = aes128gcm16\nstart_action = none") "} }";
static const char theirs[] = SIM_CONN(SIM_FAST, "", SIM_NET);

static bool answers_come;

static bool lose(struct sim *sim, int from, const __u8 *data, size_t len)
{
	return !answers_come && from == 0 && msg_exchange(data) == IKE_AUTH;
}

static void send_sealed(struct sim *sim, struct ike_sa *r, struct ike_out *out)
{
	struct ike_packets *packets = NULL;

	assert_int_equal(ike_out_sealed(out, &r->keys->r, 0, &packets), 0);
	for (unsigned int i = 0; i < packets->n; i++) {
		struct bytes packet = ike_packet(packets, i);

		sim_inject(sim, 0, packet.data, packet.len);
	}
	free(packets);
}

static struct ike_header header_of(const struct ike_sa *r, __u8 exchange)
{
	return (struct ike_header){.spi_i = r->spi_i, .spi_r = r->spi_r, .exchange = exchange};
}

/* IKE_AUTH with the AUTH of `name`, whom the secret fits. */
static void as_initiator(struct sim *sim, struct ike_sa *r, const char *name)
{
	const struct ike_setup *s = r->setup;
	struct ike_header header = header_of(r, IKE_AUTH);
	const char *psk = sim->side[1].psk;
	_cleanup_out_ struct ike_out out = {0};
	struct writer body = {0};
	__u8 mac[PRF_LEN_MAX];
	struct auth_in in = {.init = BYTES(s->own, s->own_len),
			     .nonce = nonce_view(&s->nonce_i),
			     .prf = r->suite.prf,
			     .sk_p = BYTES(r->keys->sk_pr, r->keys->len)};
	struct ident *id;
	char why[200];

	assert_int_equal(ident_parse(name, &id, why, sizeof(why)), 0);
	auth_id_body(&body, id->type, BYTES(id->data, id->len));
	in.id = writer_view(&body);
	assert_int_equal(auth_psk(&in, BYTES(psk, strlen(psk)), mac), 0);
	ike_out_open(&out, &header);
	ike_out_id(&out, IKE_PL_IDI, id);
	ike_out_auth(&out, IKE_AUTH_PSK, BYTES(mac, prf_len(r->suite.prf)));
	send_sealed(sim, r, &out);
	writer_free(&body);
	free(id);
}

/* An exchange with nothing in it, or with what no one can read. */
static void with_notify(struct sim *sim, struct ike_sa *r, __u8 exchange, enum ike_notify_type type)
{
	struct ike_header header = header_of(r, exchange);
	_cleanup_out_ struct ike_out out = {0};

	ike_out_open(&out, &header);
	if (type)
		ike_out_status(&out, type);
	send_sealed(sim, r, &out);
}

static void test_early(void **unused)
{
	struct sim *sim = sim_new(3, ours, theirs);
	const struct ike_sa *i;
	struct ike_sa *r;
	unsigned int sent;

	sim->lose = lose;
	answers_come = false;
	engine_initiate(sim->side[0].engine, "c", "net", 1);
	sim_run(sim, 100);
	i = sim->side[0].engine->first;
	r = sim->side[1].engine->first;
	assert_non_null(i);
	assert_non_null(r);
	assert_int_equal(i->state, IKE_AUTHING);
	sent = i->w.in_id;
	as_initiator(sim, r, "bob");
	as_initiator(sim, r, "192.0.2.2");
	with_notify(sim, r, IKE_AUTH, 0);
	with_notify(sim, r, IKE_AUTH, IKE_N_AUTHENTICATION_FAILED);
	with_notify(sim, r, INFORMATIONAL, 0);
	with_notify(sim, r, INFORMATIONAL, IKE_N_AUTHENTICATION_FAILED);
	with_notify(sim, r, CREATE_CHILD_SA, 0);
	with_notify(sim, r, 99, 0);
	sim_run(sim, 100);
	assert_int_equal(i->state, IKE_AUTHING);
	assert_string_equal(i->conn->model.name, "c");
	assert_null(i->remote_id);
	assert_int_equal(i->w.in_id, sent);
	/* and the honest answer makes it what it should be */
	answers_come = true;
	assert_true(sim_up(sim, 5000));
	assert_string_equal(sim->side[0].engine->first->conn->model.name, "c");
	sim_run(sim, 1000);
	sim_same(sim, 1, 1);
	sim_good(sim);
	sim_free(sim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_early)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
