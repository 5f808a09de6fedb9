// SPDX-License-Identifier: BSD-2-Clause
/* Two engines that are up, and one of them is given another config: what changed is made anew
 * without a gap, what is gone goes, what is the same notices nothing; and what had failed is tried
 * again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <unistd.h>

#include "iked/conn_pack.h"
#include "tests/unit/cert_fixture.h"
#include "tests/unit/ike_sim.h"

#define NET(esp, more) \
	SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8", "esp_proposals = " esp "\n" more)
#define LAN                                                \
	SIM_CHILD("lan", "172.16.0.0/12", "172.16.0.0/12", \
		  "esp_proposals = aes128gcm16\nstart_action = trap")
#define TRAP  "start_action = trap"
#define START "start_action = start"

static const char fast[] = SIM_CONN(SIM_FAST, "", SIM_NET);
static const char both[] = SIM_CONN(SIM_FAST, "", NET("aes128gcm16, aes256gcm16", TRAP));

/* As the parent does it: the text, then that it counts. */
static void load(struct sim *sim, int side, const char *conn)
{
	struct sim *other = sim_new(9, conn, conn);
	struct ike_conn *from = ike_conn_find(other->side[side].engine, "c");
	struct conn model = from->model;

	memset(&from->model, 0, sizeof(from->model));
	strcpy(from->model.name, "c");
	assert_int_equal(engine_conn_load(sim->side[side].engine, &model), 0);
	sim_free(other);
}

static void reload(struct sim *sim, int side, const char *conn)
{
	load(sim, side, conn);
	assert_int_equal(engine_start(sim->side[side].engine, "c"), 0);
}

static unsigned int negotiations(const struct sim *sim)
{
	return sim->sent[IKE_SA_INIT][0] + sim->sent[CREATE_CHILD_SA][0] +
	       sim->sent[INFORMATIONAL][0];
}

/* ------------------------------------------------------------------ what is the same */

static void test_more(void **state)
{
	static const char more[] = SIM_CONN(SIM_FAST, "", SIM_NET LAN);
	struct sim *sim = sim_begun(fast, fast);
	struct ike_conn *before = ike_conn_find(sim->side[0].engine, "c");
	unsigned int sent = negotiations(sim);

	reload(sim, 0, fast); /* the same: nothing notices */
	assert_ptr_equal(ike_conn_find(sim->side[0].engine, "c"), before);
	reload(sim, 0, more);
	reload(sim, 1, more);
	sim_run(sim, 1000);
	assert_int_equal(negotiations(sim), sent);
	engine_initiate(sim->side[1].engine, "c", "lan", 5);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[1], 5), 0);
	engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 6);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[0], 6), 0);
	assert_int_equal(engine_conn_unload(sim->side[0].engine, "c"), 0);
	assert_int_equal(engine_conn_unload(sim->side[0].engine, "c"), -ENOENT);
	sim_run(sim, 1000);
	sim_end(sim, 1, 2);
}

/* ------------------------------------------------------------------ what is changed */

/* Of either side; not a packet is lost. */
static void changed(const char *text)
{
	for (int i = 0; i < 2; i++) {
		struct sim *sim = sim_begun(both, both);
		struct child_sa *old = sim_child(&sim->side[i], "net"), *fresh;
		__u32 ike = sim_ike(&sim->side[i])->id, id = old->id;

		assert_int_equal(old->alg, XIPSEC_ALG_AES128GCM16);
		reload(sim, i, text);
		sim_run(sim, 2000);
		sim_good(sim);
		fresh = sim_child(&sim->side[i], "net");
		assert_non_null(fresh);
		assert_true(fresh->id != id);
		assert_int_equal(fresh->alg, XIPSEC_ALG_AES256GCM16);
		assert_int_equal(sim_ike(&sim->side[i])->id, ike);
		assert_true(sim_said(&sim->side[i], "is what the config says"));
		reload(sim, i, text); /* once */
		sim_run(sim, 2000);
		assert_ptr_equal(sim_child(&sim->side[i], "net"), fresh);
		sim_end(sim, 1, 1);
	}
}

static void test_changed_child(void **state)
{
	changed(SIM_CONN(SIM_FAST, "", NET("aes256gcm16", TRAP)));
	changed(SIM_CONN(SIM_FAST, "", NET("aes256gcm16", START)));
}

/* A wider text counts from now on, not from the next `xipsec up` on. */
static void test_wider(void **state)
{
	static const char narrow[] = SIM_CONN(SIM_FAST, "",
					      SIM_CHILD("net", "10.0.0.0/16", "10.0.0.0/16",
							"esp_proposals = aes128gcm16\n" TRAP));
	struct sim *sim = sim_begun(narrow, fast);
	const struct child_sa *child = sim_child(&sim->side[0], "net");

	assert_int_equal(child->ts[0].hi.byte[1], 0);
	reload(sim, 0, fast);
	sim_run(sim, 2000);
	child = sim_child(&sim->side[0], "net");
	assert_non_null(child);
	assert_int_equal(child->ts[0].hi.byte[1], 255);
	sim_end(sim, 1, 1);
}

/* Nobody negotiates: it goes on by the old text. */
static void test_changed_none(void **state)
{
	static const char none[] =
		SIM_CONN(SIM_FAST, "", NET("aes256gcm16", "start_action = none"));
	struct sim *sim = sim_begun(both, both);
	struct child_sa *old = sim_child(&sim->side[0], "net");
	unsigned int sent = negotiations(sim);

	reload(sim, 0, none);
	sim_run(sim, 5000);
	assert_int_equal(negotiations(sim), sent);
	assert_ptr_equal(sim_child(&sim->side[0], "net"), old);
	sim_end(sim, 1, 1);
}

/* What the peer does not want yet does not cost us what there is. */
static void test_peer_is_later(void **state)
{
	static const char other[] = SIM_CONN(SIM_FAST, "", NET("aes256gcm16", START));
	struct sim *sim = sim_begun(fast, fast);
	struct child_sa *old = sim_child(&sim->side[0], "net");

	reload(sim, 0, other);
	sim_run(sim, 20000);
	sim_good(sim);
	assert_true(sim_said(&sim->side[0], "the peer refused it: NO_PROPOSAL_CHOSEN"));
	assert_ptr_equal(sim_child(&sim->side[0], "net"), old);
	assert_int_equal(old->alg, XIPSEC_ALG_AES128GCM16);
	reload(sim, 1, both);
	sim_run(sim, 70000); /* both ends begin, now or when it is tried again */
	sim_good(sim);
	for (int i = 0; i < 2; i++)
		for (const struct child_sa *c = sim_ike(&sim->side[i])->children; c; c = c->next)
			assert_int_equal(c->alg, XIPSEC_ALG_AES256GCM16);
	sim_free(sim);
}

static void test_gone_child(void **state)
{
	static const char two[] = SIM_CONN(SIM_FAST, "", SIM_NET LAN);
	struct sim *sim = sim_begun(two, two);
	struct child_sa *net = sim_child(&sim->side[0], "net");

	engine_initiate(sim->side[0].engine, "c", "lan", 0);
	sim_run(sim, 1000);
	assert_non_null(sim_child(&sim->side[1], "lan"));
	sim->may_close = true;
	reload(sim, 0, fast);
	sim_run(sim, 1000);
	assert_null(sim_child(&sim->side[0], "lan"));
	assert_null(sim_child(&sim->side[1], "lan"));
	assert_ptr_equal(sim_child(&sim->side[0], "net"), net);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ what all of it hangs on */

static void test_changed_ends(void **state)
{
	static const char ends[] = SIM_CONN(SIM_FAST, "dpd_delay = 77\n", SIM_NET LAN);
	static const char two[] = SIM_CONN(SIM_FAST, "", SIM_NET LAN);

	for (int i = 0; i < 2; i++) {
		struct sim *sim = sim_begun(two, two);
		__u32 id = sim_ike(&sim->side[i])->id;

		engine_initiate(sim->side[0].engine, "c", "lan", 0);
		sim_run(sim, 1000);
		reload(sim, i, ends);
		sim_run(sim, 8000);
		sim_good(sim);
		assert_non_null(sim_ike(&sim->side[i]));
		assert_true(sim_ike(&sim->side[i])->id != id);
		assert_int_equal(sim_ike(&sim->side[i])->conn->model.dpd_delay, 77);
		/* what would have cost the old one's traffic */
		assert_false(sim_said(&sim->side[!i], "INITIAL_CONTACT"));
		sim_end(sim, 1, 2);
	}
}

/* ------------------------------------------------------------------ what xipsecd takes away */

static void withdraw(struct sim *sim, int side)
{
	char name[XIPSEC_NAME_LEN];

	sim->may_close = true;
	child_sa_name(sim_child(&sim->side[side], "net"), XIPSEC_DIR_IN, name);
	engine_sa_withdrawn(sim->side[side].engine, name);
	name[strlen(name) - 1] = 'o';
	engine_sa_withdrawn(sim->side[side].engine, name);
}

static void test_withdrawn(void **state)
{
	static const char none[] =
		SIM_CONN(SIM_FAST, "", NET("aes128gcm16", "start_action = none"));
	static const char other[] = SIM_CONN(SIM_FAST, "", NET("aes256gcm16", TRAP));
	const struct {
		const char *conn, *reload;
		unsigned int children;
	} cases[] = {{fast, NULL, 1}, {both, other, 1}, {none, NULL, 0}};

	for (int i = 0; i < 6; i++) {
		struct sim *sim = sim_begun(cases[i / 2].conn, i / 2 == 1 ? both : fast);
		int side = i / 2 ? 0 : i % 2;

		withdraw(sim, side);
		sim_run(sim, 50);
		assert_null(sim_child(&sim->side[side], "net"));
		if (cases[i / 2].reload)
			reload(sim, side, cases[i / 2].reload);
		sim_run(sim, 1500); /* without a packet, without a command */
		assert_int_equal(!!sim_child(&sim->side[side], "net"), cases[i / 2].children);
		if (cases[i / 2].reload)
			assert_int_equal(sim_child(&sim->side[side], "net")->alg,
					 XIPSEC_ALG_AES256GCM16);
		sim_end(sim, 1, cases[i / 2].children);
	}
}

/* ------------------------------------------------------------------ what had failed */

/* The PSK was mended, which the text of a connection does not show. */
static void test_back_off(void **state)
{
	static const char start[] = SIM_CONN(SIM_FAST, "", NET("aes128gcm16", START));

	for (int i = 0; i < 4; i++) {
		bool trap = i & 1, again = i & 2;
		const char *text = trap ? fast : start;
		struct sim *sim = sim_new(3, text, fast);
		struct side *side = &sim->side[0];

		sim->may_close = true;
		sim->side[1].psk = "another one";
		engine_start(side->engine, "c");
		for (int k = 0; k < 600; k++) {
			if (trap)
				engine_acquire(side->engine, "c/net");
			sim_run(sim, 100);
		}
		assert_null(sim_ike(side));
		sim->side[1].psk = side->psk;
		if (again)
			reload(sim, 0, text);
		for (int k = 0; k < 20; k++) {
			if (trap)
				engine_acquire(side->engine, "c/net");
			sim_run(sim, 100);
		}
		/* it waits for longer than that by now, unless it was told that something has
		 * changed */
		assert_int_equal(!!sim_ike(side), again);
		sim_free(sim);
	}
}

/* xipsecd, or the peer, refused a child: the same. */
static void test_child_back_off(void **state)
{
	static const char start[] = SIM_CONN(SIM_FAST, "", NET("aes128gcm16", START));

	for (int again = 0; again < 2; again++) {
		struct sim *sim = sim_new(3, start, fast);
		struct side *side = &sim->side[0];

		sim->may_close = true;
		sim->side[1].refuse_adds = 1000;
		engine_start(side->engine, "c");
		sim_run(sim, 60000);
		assert_null(sim_child(side, "net"));
		sim->side[1].refuse_adds = 0;
		reload(sim, 1, fast); /* it refused, too: it begins nothing, but takes */
		if (again)
			reload(sim, 0, start);
		sim_run(sim, 1000);
		assert_int_equal(!!sim_child(side, "net"), again);
		sim_free(sim);
	}
}

/* ------------------------------------------------------------------ certificates */

static void put_blob(struct conn_blobs *blobs, const struct made *made)
{
	if (!made)
		return;
	if (!blobs->n)
		*blobs = (struct conn_blobs){.n = 1, .blob = calloc(1, sizeof(*blobs->blob))};
	free(blobs->blob->data);
	blobs->blob->data = exact_copy(made->der, made->len);
	blobs->blob->len = made->len;
}

/* The same text; its files say this. NULL: as before. */
static void load_certs(struct sim *sim, int side, const struct made *own, const struct made *pinned,
		       const struct made *ca)
{
	struct conn copy = {0};
	int fd = conn_pack(&ike_conn_find(sim->side[side].engine, "c")->model);

	assert_int_equal(conn_unpack(fd, &copy), 0);
	close(fd);
	put_blob(&copy.local.certs, own);
	put_blob(&copy.remote.certs, pinned);
	put_blob(&copy.remote.cacerts, ca);
	assert_int_equal(engine_conn_load(sim->side[side].engine, &copy), 0);
}

static void set_key(struct side *side, const struct made *made)
{
	EVP_PKEY_free(side->key);
	side->key = made->key;
	EVP_PKEY_up_ref(side->key);
}

static bool again(struct sim *sim, __u64 ref)
{
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike = "c"}, false, 0);
	sim_run(sim, 3000);
	engine_initiate(sim->side[0].engine, "c", "net", ref);
	sim_run(sim, 3000);
	sim_good(sim);
	return sim_done(&sim->side[0], ref) == 0;
}

struct pki {
	struct made root, other, first, second;
	struct cert_store *store;
};

static void pki_make(struct pki *pki)
{
	struct wish ca = {.cn = "root", .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign"};
	struct wish end = {.cn = "end", .issuer = &pki->root, .names = "DNS:sun.example.org"};
	char why[200];

	pki->root = make_cert(ca);
	pki->other = make_cert(ca);
	pki->first = make_cert(end);
	pki->second = make_cert(end);
	pki->store = cert_store_new();
	assert_int_equal(cert_store_add_ca(pki->store, made_bytes(&pki->root), why, sizeof(why)),
			 0);
	assert_int_equal(cert_store_add_ca(pki->store, made_bytes(&pki->other), why, sizeof(why)),
			 0);
}

static void pki_free(struct pki *pki)
{
	cert_store_free(pki->store);
	made_free(&pki->root);
	made_free(&pki->other);
	made_free(&pki->first);
	made_free(&pki->second);
}

/* Files with other bytes by the names of before: what is up goes on, the next IKE_AUTH sends and
 * takes the new ones. */
static void changed_certs(const struct pki *pki, bool pinned)
{
	static const char moon[] =
		"c {\n%s\nproposals = " SIM_FAST "\nlocal { auth = psk\nid = moon.example.org }\n"
		"remote { auth = pubkey\nid = sun.example.org }\nchildren {\n" SIM_NET "} }";
	static const char sun[] =
		"c {\n%s\nproposals = " SIM_FAST "\nsend_cert = always\n"
		"local { auth = pubkey\ncerts = a.pem\nid = sun.example.org }\n"
		"remote { auth = psk\nid = moon.example.org }\nchildren {\n" SIM_NET "} }";
	struct sim *sim = sim_new(6, moon, sun);
	const struct ike_sa *ike;
	unsigned int sent;

	for (int i = 0; i < 2; i++) {
		engine_trust(sim->side[i].engine, pki->store);
		engine_wall_clock(sim->side[i].engine, NOW);
	}
	sim->may_close = true;
	load_certs(sim, 1, &pki->first, NULL, NULL);
	load_certs(sim, 0, NULL, pinned ? &pki->first : NULL, pinned ? NULL : &pki->root);
	set_key(&sim->side[1], &pki->first);
	assert_true(again(sim, 1));

	ike = sim_ike(&sim->side[1]);
	sent = negotiations(sim);
	sim->may_close = false;
	load_certs(sim, 1, &pki->second, NULL, NULL);
	set_key(&sim->side[1], &pki->second);
	load_certs(sim, 0, NULL, pinned ? &pki->other : NULL, pinned ? NULL : &pki->other);
	sim_run(sim, 5000);
	assert_ptr_equal(sim_ike(&sim->side[1]), ike);
	assert_int_equal(negotiations(sim), sent);
	load_certs(sim, 1, &pki->second, NULL, NULL); /* said once a change */
	assert_int_equal(sim_lines(&sim->side[1], "its certificates are others"), 2);

	sim->may_close = true;
	assert_false(again(sim, 2));
	load_certs(sim, 0, NULL, pinned ? &pki->second : NULL, pinned ? NULL : &pki->root);
	assert_true(again(sim, 3));
	sim_end(sim, 1, 1);
}

static void test_changed_certs(void **state)
{
	struct pki pki;

	pki_make(&pki);
	changed_certs(&pki, false);
	changed_certs(&pki, true);
	pki_free(&pki);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_more),          cmocka_unit_test(test_changed_child),
		cmocka_unit_test(test_wider),         cmocka_unit_test(test_changed_none),
		cmocka_unit_test(test_peer_is_later), cmocka_unit_test(test_gone_child),
		cmocka_unit_test(test_changed_ends),  cmocka_unit_test(test_withdrawn),
		cmocka_unit_test(test_back_off),      cmocka_unit_test(test_child_back_off),
		cmocka_unit_test(test_changed_certs),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
