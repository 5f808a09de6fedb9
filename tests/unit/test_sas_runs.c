// SPDX-License-Identifier: BSD-2-Clause
/* What listings say of the workers that run an SA, or cannot. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "lib/alg.h"
#include "loader/sas.h"

static struct xipsec_sa_state states[4];
static struct sas *sas;
static struct sa *sa;

static int sad_set(void *ctx, const struct xipsec_sad_key *key,
		   const struct xipsec_sad_entry *entry)
{
	return 0;
}

static int sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	return 0;
}

static int child_id(void *ctx, const struct xipsec_sa *of)
{
	return 1;
}

static int child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	return 0;
}

static void install(void *ctx, const struct ctl_sa *msg)
{
}

static void forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
}

static void event(void *ctx, struct sadb_event *event)
{
}

static unsigned int workers(void *ctx)
{
	return 2;
}

static int setup(void **state)
{
	static const struct sas_ops ops = {sad_set, sad_delete, child_id, child_set,
					   install, forget,     event,    workers,
					   NULL,    NULL,       NULL};
	struct xipsec_sa want = {.name = "in",
				 .child = "c",
				 .outer_family = XIPSEC_FAMILY_IP4,
				 .l4_proto = IPPROTO_ESP,
				 .spi = htonl(0x1001),
				 .src.word[0] = htonl(0xc0000201),
				 .dst.word[0] = htonl(0xc0000202),
				 .dir = XIPSEC_DIR_IN,
				 .mode = XIPSEC_MODE_TUNNEL,
				 .alg = XIPSEC_ALG_AES128GCM16,
				 .window = 1024,
				 .n_selectors = 1};
	char text[XIPSEC_SADB_ERR_TEXT] = "";

	memset(states, 0, sizeof(states));
	want.key_len = alg_key_len(want.alg);
	want.key[0] = 1;
	want.selector[0].any_proto = 1;
	want.selector[0].local_port_hi = want.selector[0].remote_port_hi =
		want.selector[0].icmp_hi = XIPSEC_PORT_MAX;
	sas = sas_new(4, NULL, &ops, NULL);
	assert_non_null(sas);
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), 4, "here"), 0);
	if (sas_add(sas, &want, text))
		fail_msg("%s", text);
	sa = sas_by_name(sas, "in");
	assert_non_null(sa);
	return 0;
}

static int teardown(void **state)
{
	sas_free(sas);
	return 0;
}

static void say(unsigned int worker, __u32 generation, __u32 backend, int err)
{
	struct ctl_sa_runs runs = {
		.index = sa->index, .generation = generation, .backend = backend, .err = err};

	sas_runs(sas, worker, &runs);
}

static void expect(__u32 backend, __u32 status)
{
	struct sadb_sa_info info;

	sas_info(sas, sa, &info);
	assert_int_equal(info.backend, backend);
	assert_int_equal(info.status, status);
}

static void shows_what_runs(void **state)
{
	expect(XIPSEC_BACKEND_AUTO, XIPSEC_SA_LIVE);
	say(0, sa->generation, XIPSEC_BACKEND_OPENSSL, 0);
	expect(XIPSEC_BACKEND_OPENSSL, XIPSEC_SA_LIVE);
	say(1, sa->generation, XIPSEC_BACKEND_IPSEC_MB, 0);
	expect(XIPSEC_BACKEND_IPSEC_MB, XIPSEC_SA_LIVE);
}

/* One worker that cannot is enough: the packets of its queues are lost. */
static void shows_what_cannot(void **state)
{
	say(1, sa->generation, XIPSEC_BACKEND_NONE, -ENOTSUP);
	expect(XIPSEC_BACKEND_NONE, XIPSEC_SA_REFUSED);
	say(0, sa->generation, XIPSEC_BACKEND_OPENSSL, 0);
	expect(XIPSEC_BACKEND_NONE, XIPSEC_SA_REFUSED);
	/* its successor can */
	say(1, sa->generation, XIPSEC_BACKEND_OPENSSL, 0);
	expect(XIPSEC_BACKEND_OPENSSL, XIPSEC_SA_LIVE);
}

/* Padding and dummies are no packets of users, and apart from each other. */
static void shows_what_hides(void **state)
{
	struct sadb_sa_info info;

	states[sa->index].packets = 2;
	states[sa->index].bytes = 300;
	states[sa->index].tfc_bytes = 1000;
	states[sa->index].dummies = 5;
	states[sa->index].dummy_bytes = 2510;
	sas_info(sas, sa, &info);
	assert_int_equal(info.packets, 2);
	assert_int_equal(info.bytes, 300);
	assert_int_equal(info.tfc_bytes, 1000);
	assert_int_equal(info.dummies, 5);
	assert_int_equal(info.dummy_bytes, 2510);
}

/* Workers parse packets from strangers: what they say may be anything. */
static void believes_no_nonsense(void **state)
{
	struct ctl_sa_runs far = {.index = 0xffffffff, .generation = 1, .backend = 1};

	say(0, sa->generation + 1, XIPSEC_BACKEND_NONE, -ENOTSUP);
	say(0, sa->generation - 1, XIPSEC_BACKEND_OPENSSL, 0);
	say(0, sa->generation, XIPSEC_BACKEND_AUTO, 0);
	say(0, sa->generation, 4, -1);
	say(0, sa->generation, 0xffffffff, 0);
	say(XIPSEC_WORKERS_MAX, sa->generation, XIPSEC_BACKEND_NONE, -ENOTSUP);
	sas_runs(sas, 0, &far);
	expect(XIPSEC_BACKEND_AUTO, XIPSEC_SA_LIVE);
	say(63, sa->generation, XIPSEC_BACKEND_NONE, 5);
	expect(XIPSEC_BACKEND_NONE, XIPSEC_SA_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(shows_what_runs, setup, teardown),
		cmocka_unit_test_setup_teardown(shows_what_cannot, setup, teardown),
		cmocka_unit_test_setup_teardown(shows_what_hides, setup, teardown),
		cmocka_unit_test_setup_teardown(believes_no_nonsense, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
