// SPDX-License-Identifier: BSD-2-Clause
/* Many connections, many IKE SAs: what is asked of the engine is found, and without looking at all
 * of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>
#include <unistd.h>
#include <cmocka.h>

#include "iked/conn_pack.h"
#include "iked/match.h"
#include "iked/peer_auth.h"
#include "iked/setup.h"
#include "tests/unit/ike_sim.h"

enum { CONNS = 10000, FEW = 100, MANY = 4000 };

static const char fast[] = SIM_CONN(SIM_FAST, "unique = never # NAT", SIM_NET);

static double cpu_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return ts.tv_sec * 1e3 + ts.tv_nsec / 1e6;
}

/* ------------------------------------------------------------------ connections */

/* Where the peers of a connection are, and who. */
struct kind {
	enum conn_host_kind host;
	unsigned int bits; /* of a range: hosts are random below that */
	const char *id;    /* printf with a number; NULL: none */
};

/* Another connection like that of the sim's side 1. */
static struct conn model_new(const struct sim *sim, unsigned int n, const struct kind *kind,
			     __u32 at)
{
	int fd = conn_pack(&ike_conn_find(sim->side[1].engine, "c")->model);
	struct conn model = {0};
	struct conn_host *host;

	assert_int_equal(conn_unpack(fd, &model), 0);
	close(fd);
	snprintf(model.name, sizeof(model.name), "c%u", n);
	snprintf(model.children[0].sadb_name, sizeof(model.children[0].sadb_name), "c%u/net", n);
	free(model.remote.id);
	model.remote.id = NULL;
	if (kind->id && asprintf(&model.remote.id, kind->id, n) < 0)
		abort();
	model.digest[0] ^= (__u8)(1 + n);
	model.digest[1] ^= (__u8)(n >> 8);
	host = &model.remote_addrs.host[0];
	*host = (struct conn_host){.kind = kind->host};
	if (kind->host != CONN_HOST_RANGE)
		return model;
	host->family = XIPSEC_FAMILY_IP4;
	host->lo.word[0] = htobe32(at & ~((1U << kind->bits) - 1));
	host->hi.word[0] = htobe32(at | ((1U << kind->bits) - 1));
	return model;
}

static void load(const struct sim *sim, unsigned int n, const struct kind *kind, __u32 at)
{
	struct conn model = model_new(sim, n, kind, at);

	assert_int_equal(engine_conn_load(sim->side[1].engine, &model), 0);
}

static bool count(void *arg, struct ike_conn *conn)
{
	++*(unsigned int *)arg;
	return true;
}

static struct ident *ident(const char *text)
{
	struct ident *id;
	char why[160];

	assert_int_equal(ident_parse(text, &id, why, sizeof(why)), 0);
	return id;
}

/* Ten thousand road warriors: by name, by child, and by who they say that they are. */
static void test_by_name_and_identity(void **state)
{
	static const struct kind warrior = {.host = CONN_HOST_ANY, .id = "W%u.example.org"};
	struct sim *sim = sim_new(1, fast, fast);
	struct engine *engine = sim->side[1].engine;
	struct ike_path path = sim_path(sim, 1, 500, 500);
	const struct conn_child *child;
	const struct ike_conn *conn;
	double begin = cpu_ms();

	for (unsigned int i = 0; i < CONNS; i++)
		load(sim, i, &warrior, 0);
	print_message("%u connections: %.0f ms\n", CONNS, cpu_ms() - begin);
	for (unsigned int i = 0; i < CONNS; i += 97) {
		unsigned int looked = 0;
		char text[64];
		struct ident *id;

		snprintf(text, sizeof(text), "c%u", i);
		assert_string_equal(ike_conn_find(engine, text)->model.name, text);
		snprintf(text, sizeof(text), "c%u/net", i);
		conn = ike_conn_of_child(engine, text, &child);
		assert_ptr_equal(conn->model.children, child);
		/* in other letters than the config has it */
		snprintf(text, sizeof(text), "w%u.EXAMPLE.org", i);
		id = ident(text);
		conn_index_peer(&engine->index, &path, id, count, &looked);
		/* that one, and the sim's own, which takes everybody */
		assert_int_equal(looked, 2);
		free(id);
		looked = 0;
		conn_index_at(&engine->index, &path, count, &looked);
		/* all are alike until they say who they are */
		assert_int_equal(looked, 1);
	}
	assert_null(ike_conn_find(engine, "c10001"));
	assert_null(ike_conn_of_child(engine, "c10001/net", &child));
	for (unsigned int i = 0; i < CONNS; i++) {
		char text[64];

		snprintf(text, sizeof(text), "c%u", i);
		assert_int_equal(engine_conn_unload(engine, text), 0);
		assert_null(ike_conn_find(engine, text));
	}
	assert_int_equal(engine->n_conns, 1);
	sim_free(sim);
}

/* ------------------------------------------------------------------ against looking at all */

struct seen {
	struct ike_conn *conn[512];
	unsigned int n;
};

static bool see(void *arg, struct ike_conn *conn)
{
	struct seen *seen = arg;

	assert_in_range(seen->n, 0, 511);
	seen->conn[seen->n++] = conn;
	return true;
}

static bool has(const struct seen *seen, const struct ike_conn *conn)
{
	for (unsigned int i = 0; i < seen->n; i++)
		if (seen->conn[i] == conn)
			return true;
	return false;
}

/* Whoever may be meant is looked at; before IKE_AUTH one of its like is enough. */
static void check_peer(const struct sim *sim, const struct ike_path *path, const struct ident *id)
{
	const struct engine *engine = sim->side[1].engine;
	struct seen shapes = {0}, peer = {0};

	conn_index_at(&engine->index, path, see, &shapes);
	conn_index_peer(&engine->index, path, id, see, &peer);
	for (struct ike_conn *conn = engine->conns; conn; conn = conn->next) {
		bool like = false;

		if (!ike_conn_says(conn, path))
			continue;
		for (unsigned int i = 0; i < shapes.n; i++)
			like |= shapes.conn[i]->place.shape == conn->place.shape;
		if (!like)
			fail_msg("%s: nobody of its like is looked at", conn->model.name);
		if ((!conn->remote_id || ident_match(conn->remote_id, id)) && !has(&peer, conn))
			fail_msg("%s is not looked at", conn->model.name);
	}
}

static void test_against_all(void **state)
{
	static const struct kind kinds[] = {
		{CONN_HOST_ANY, 0, NULL},
		{CONN_HOST_ANY, 0, "w%u.example.org"},
		{CONN_HOST_ANY, 0, "*.example.org"},
		{CONN_HOST_ANY, 0, "C=CH, O=Example, CN=w%u"},
		{CONN_HOST_ANY, 0, "C=CH, O=*, CN=w%u"},
		{CONN_HOST_RANGE, 0, NULL},
		{CONN_HOST_RANGE, 0, "w%u.example.org"},
		{CONN_HOST_RANGE, 0, "*@example.org"},
		{CONN_HOST_RANGE, 3, "w%u@example.org"},
		{CONN_HOST_RANGE, 3, NULL},
		{CONN_HOST_RANGE, 3, "10.0.0.%u"},
	};
	static const char *const ids[] = {"w%u.example.org",
					  "W%u.Example.ORG",
					  "c=ch, o=EXAMPLE, cn=w%u",
					  "C=CH, O=Other, CN=w%u",
					  "w%u@example.org",
					  "10.0.0.%u",
					  "fd00::%u"};
	struct sim *sim = sim_new(7, fast, fast);
	struct engine *engine = sim->side[1].engine;

	for (unsigned int round = 0; round < 3000; round++) {
		unsigned int n = sim_dice(sim, 200);
		struct ike_path path = sim_path(sim, 1, 500, 500);
		char name[16], text[64];
		struct ident *id;

		snprintf(name, sizeof(name), "c%u", n);
		if (sim_dice(sim, 4))
			load(sim, n, &kinds[sim_dice(sim, sizeof(kinds) / sizeof(kinds[0]))],
			     0x0a000000 + sim_dice(sim, 32));
		else
			engine_conn_unload(engine, name);
		path.remote.word[0] = htobe32(0x0a000000 + sim_dice(sim, 32));
		snprintf(text, sizeof(text), ids[sim_dice(sim, sizeof(ids) / sizeof(ids[0]))],
			 sim_dice(sim, 200));
		id = ident(text);
		check_peer(sim, &path, id);
		free(id);
	}
	sim_free(sim);
}

/* ------------------------------------------------------------------ IKE SAs */

static bool count_ike(void *arg, const struct ike_sa *ike)
{
	++*(unsigned int *)arg;
	return true;
}

/* A match by name or id is not a walk over all; what is done to one may end others. */
static void test_match(void **state)
{
	static const struct kind other = {.host = CONN_HOST_NAME, .id = "w%u"};
	struct sim *sim = sim_new(1, fast, fast);
	struct engine *engine = sim->side[1].engine;
	struct ike_path path = sim_path(sim, 1, 500, 500);
	struct engine_match m = {.ike = "c3"};
	unsigned int n = 0;
	struct ike_sa *ike;

	for (unsigned int i = 0; i < 10; i++)
		load(sim, i, &other, 0);
	for (unsigned int i = 0; i < 1000; i++) {
		char name[16];

		snprintf(name, sizeof(name), "c%u", i % 10);
		assert_int_equal(ike_new(engine, ike_conn_find(engine, name), false, &path, &ike),
				 0);
		ike->state = IKE_UP;
	}
	engine_each_match(engine, &m, count_ike, &n);
	assert_int_equal(n, 100);
	for (n = 0, ike = ike_of_conn(engine, "c3"); ike; ike = ike_same_conn(ike), n++)
		assert_string_equal(ike->conn->model.name, "c3");
	assert_int_equal(n, 100);
	/* the connection is another one of that name: found all the same */
	load(sim, 3, &(struct kind){.host = CONN_HOST_ANY}, 0);
	for (n = 0, ike = ike_of_conn(engine, "c3"); ike; ike = ike_same_conn(ike), n++)
		;
	assert_int_equal(n, 100);
	engine_terminate(engine, &m, true, 0);
	assert_null(ike_of_conn(engine, "c3"));
	assert_int_equal(engine->n_ikes, 900);
	m = (struct engine_match){.ike_id = engine->first->id};
	n = 0;
	engine_each_match(engine, &m, count_ike, &n);
	assert_int_equal(n, 1);
	engine_terminate(engine, &m, true, 0);
	assert_null(ike_by_id(engine, m.ike_id));
	sim_free(sim);
}

/* CPU of both ends to set up so many more; of one identity there may not be so many. */
static double set_up(struct sim *sim, unsigned int n)
{
	struct ike_conn *conn = ike_conn_find(sim->side[0].engine, "c");
	static unsigned int number;
	double begin = cpu_ms();
	char text[32];

	for (unsigned int i = 0; i < n; i++) {
		snprintf(text, sizeof(text), "w%u.example.org", number++);
		free(conn->local_id);
		conn->local_id = ident(text);
		setup_begin(sim->side[0].engine, conn, &conn->model.children[0], 0);
		sim_run(sim, 200);
	}
	return (cpu_ms() - begin) / n;
}

/* All of one connection on both sides, and at one end all with one peer: the worst that a table can
 * be given. */
static void test_set_up(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);
	double first, last;

	sim->traffic = false;
	sim->may_close = true;
	sim->side[0].forgetful = sim->side[1].forgetful = true;
	set_up(sim, FEW);
	first = set_up(sim, FEW);
	set_up(sim, MANY);
	last = set_up(sim, FEW);
	sim_good(sim);
	print_message("set-up of both ends: %.3f ms at %u, %.3f ms at %u\n", first, FEW, last,
		      MANY);
	assert_int_equal(sim_children(&sim->side[1], CHILD_UP), 3 * FEW + MANY);
	/* a machine that is busy makes either longer; a walk over all would be ten times that */
	assert_true(last < 2 * first);
	sim_free(sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_name_and_identity),
		cmocka_unit_test(test_against_all),
		cmocka_unit_test(test_match),
		cmocka_unit_test(test_set_up),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
