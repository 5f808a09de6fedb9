// SPDX-License-Identifier: BSD-2-Clause
/* Strangers, floods, damage and old versions; and how much memory all of that may have. */
#include "tests/unit/cert_fixture.h"

#include <errno.h>
#include <malloc.h>
#include <unistd.h>

#include "iked/conn_pack.h"
#include "iked/setup.h"
#include "iked/xchg.h"
#include "tests/unit/ike_sim.h"

static const char fast[] = SIM_CONN(SIM_FAST, "", SIM_NET);

/* What was sent last, by either side. */
static struct {
	size_t len;
	__u8 data[4096];
	unsigned int n;
} heard[2];

static bool hear(struct sim *sim, int from, const __u8 *data, size_t len)
{
	heard[from].len = len < sizeof(heard[0].data) ? len : sizeof(heard[0].data);
	memcpy(heard[from].data, data, heard[from].len);
	heard[from].n++;
	return false;
}

static struct sim *sim_listening(const char *conn)
{
	struct sim *sim = sim_new(5, conn, conn);

	memset(heard, 0, sizeof(heard));
	sim->lose = hear;
	return sim;
}

static struct sim *up(void)
{
	struct sim *sim = sim_listening(fast);

	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	sim_run(sim, 300);
	return sim;
}

static void unharmed(struct sim *sim)
{
	sim->traffic = false;
	sim_run(sim, 10000);
	sim_same(sim, 1, 1);
	sim_good(sim);
	sim_free(sim);
}

/* ------------------------------------------------------------------ strangers */

/* 16 octets of SPIs, next payload, version, exchange, flags, id, length. */
static size_t header(__u8 *to, __u8 version, __u8 exchange, __u8 flags)
{
	memset(to, 0, 28);
	memset(to, 0xaa, 8);
	memset(to + 8, exchange == IKE_SA_INIT ? 0 : 0xbb, 8);
	to[17] = version;
	to[18] = exchange;
	to[19] = flags;
	to[23] = 9;
	to[27] = 28;
	return 28;
}

static void answered_with(const __u8 *request, __u8 exchange, __u16 notify)
{
	const __u8 *d = heard[1].data;

	assert_int_equal(heard[1].n, 1);
	assert_memory_equal(d, request, 16);
	assert_int_equal(d[17], 0x20);
	assert_int_equal(d[18], exchange);
	assert_int_equal(d[19] & IKE_FLAG_RESPONSE, IKE_FLAG_RESPONSE);
	assert_int_equal(d[16], IKE_PL_NOTIFY);
	assert_int_equal(d[34] << 8 | d[35], notify);
}

static void test_versions(void **state)
{
	struct sim *sim = sim_listening(fast);
	__u8 m[64];

	header(m, 0x10, 2, 0); /* IKEv1, Main Mode */
	sim_inject(sim, 1, m, 28);
	sim_run(sim, 50);
	answered_with(m, INFORMATIONAL, IKE_N_INVALID_MAJOR_VERSION);
	assert_int_equal(heard[1].data[36], 0x20); /* what we speak */
	assert_int_equal(sim->side[1].engine->counter[ENGINE_IN_IKEV1], 1);

	heard[1].n = 0;
	header(m, 0x30, IKE_SA_INIT, IKE_FLAG_INITIATOR);
	sim_inject(sim, 1, m, 28);
	sim_run(sim, 50);
	answered_with(m, IKE_SA_INIT, IKE_N_INVALID_MAJOR_VERSION);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	sim_free(sim);
}

static void test_unknown_spi(void **state)
{
	struct sim *sim = sim_listening(fast);
	__u8 m[64];

	header(m, 0x20, INFORMATIONAL, IKE_FLAG_INITIATOR);
	sim_inject(sim, 1, m, 28);
	sim_run(sim, 50);
	answered_with(m, INFORMATIONAL, IKE_N_INVALID_IKE_SPI);
	assert_int_equal(heard[1].data[23], 9); /* the message ID is copied (1.5) */
	assert_int_equal(heard[1].data[19] & IKE_FLAG_INITIATOR, 0);
	/* not to responses, and not without end */
	header(m, 0x20, INFORMATIONAL, IKE_FLAG_INITIATOR | IKE_FLAG_RESPONSE);
	sim_inject(sim, 1, m, 28);
	sim_run(sim, 50);
	assert_int_equal(heard[1].n, 1);
	header(m, 0x20, INFORMATIONAL, IKE_FLAG_INITIATOR);
	for (int i = 0; i < 1000; i++)
		sim_inject(sim, 1, m, 28);
	sim_run(sim, 50);
	assert_in_range(heard[1].n, ERRORS_BURST, ERRORS_BURST + 10);
	sim_free(sim);
}

/* A critical payload that nobody knows: in the clear, and in an IKE SA, which lives on (2.5). */
/* The last thing that side 1 said, opened. `text` holds it. */
static void last_answer(const struct sim *sim, struct ike_msg *msg, struct writer *text)
{
	struct ike_fault fault;

	assert_int_equal(ike_msg_parse(BYTES(heard[1].data, heard[1].len), msg, &fault), 0);
	assert_int_equal(sk_open(&sim_ike(&sim->side[0])->keys->r, msg, text), 0);
	assert_int_equal(ike_msg_parse_inner(msg, writer_view(text), msg->sk.first, &fault), 0);
}

static void test_critical(void **state)
{
	struct sim *sim = up();
	_cleanup_writer_ struct writer text = {0};
	const struct ike_notify *n;
	static struct ike_msg msg;
	struct ike_sa *ike = sim_ike(&sim->side[0]);
	struct xchg *x = xchg_new(ike, true, INFORMATIONAL);

	x->task = calloc(1, sizeof(*x->task));
	x->task->kind = TASK_DPD;
	xchg_open(x);
	ike_out_payload(&x->out, 200, true, BYTES("?", 1));
	assert_int_equal(xchg_request(x), 0);
	sim_run(sim, 100);
	assert_true(sim_said(&sim->side[1], "INFORMATIONAL request cannot be read"));
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 1);
	last_answer(sim, &msg, &text);
	n = ike_msg_notify(&msg, IKE_N_UNSUPPORTED_CRITICAL_PAYLOAD);
	assert_non_null(n);
	assert_int_equal(n->data.len, 1);
	assert_int_equal(n->data.data[0], 200);

	/* not critical: passed over */
	x = xchg_new(ike, true, INFORMATIONAL);
	x->task = calloc(1, sizeof(*x->task));
	x->task->kind = TASK_DPD;
	xchg_open(x);
	ike_out_payload(&x->out, 200, false, BYTES("?", 1));
	assert_int_equal(xchg_request(x), 0);
	sim_run(sim, 100);
	unharmed(sim);
}

/* A whole message that makes no sense ends the IKE SA (2.21.3). */
static void test_syntax(void **state)
{
	struct sim *sim = up();
	struct xchg *x = xchg_new(sim_ike(&sim->side[0]), true, INFORMATIONAL);

	sim->may_close = true;
	x->task = calloc(1, sizeof(*x->task));
	x->task->kind = TASK_DPD;
	xchg_open(x);
	ike_out_payload(&x->out, IKE_PL_DELETE, false, BYTES("\3\4\0\7abc", 7));
	assert_int_equal(xchg_request(x), 0);
	sim_run(sim, 100);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	sim_free(sim);
}

/* Real messages, damaged or repeated much later, and noise: nothing happens. */
static void test_damage(void **state)
{
	struct sim *sim = up();
	__u8 m[4096];

	for (int i = 0; i < 20000; i++) {
		size_t len = heard[i & 1].len;

		memcpy(m, heard[i & 1].data, len);
		for (unsigned int k = sim_dice(sim, 3); k--;)
			m[sim_dice(sim, len)] ^= 1 << sim_dice(sim, 8);
		if (sim_dice(sim, 4) == 0)
			len = sim_dice(sim, len);
		sim_inject(sim, !(i & 1), m, len);
		if (sim_dice(sim, 8) == 0) {
			engine_rekey(sim->side[i & 1].engine,
				     &(struct engine_match){.child = "net"}, 0);
			sim_run(sim, 100);
		}
	}
	unharmed(sim);
}

/* ------------------------------------------------------------------ floods */

static __u8 init[2048];
static size_t init_len;

static void learn_init(struct sim *sim)
{
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 5);
	assert_int_equal(heard[0].data[18], IKE_SA_INIT);
	memcpy(init, heard[0].data, init_len = heard[0].len);
	engine_terminate(sim->side[0].engine, &(struct engine_match){.ike = "c"}, true, 0);
	sim_run(sim, HALFOPEN_MS + 1000);
	assert_int_equal(sim->side[1].engine->halfopen.n, 0);
}

static void spoof(struct sim *sim, __u32 from, __u64 spi)
{
	struct ike_path path = sim_path(sim, 1, 500, 500);

	path.remote.word[0] = htobe32(from);
	memcpy(init, &spi, 8);
	engine_datagram(sim->side[1].engine, &path, init, init_len);
}

/* 50,000 a second for two seconds, no two from one address: half-open ones are few, memory is
 * bounded, and who is honest gets in, by a cookie. */
static void test_flood(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	struct sim *sim = sim_listening(conn);
	const struct engine *engine = sim->side[1].engine;
	size_t before, most = 0;

	learn_init(sim);
	before = mallinfo2().uordblks;
	for (unsigned int i = 0; i < 100000; i++) {
		spoof(sim, 0x0a000000 + i, 1 + i);
		if (mallinfo2().uordblks > most)
			most = mallinfo2().uordblks;
		if (i == 20000)
			engine_initiate(sim->side[0].engine, "c", "net", 7);
		if (i % 50 == 0)
			sim_run(sim, 1);
	}
	sim_good(sim);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_true(sim_ike(&sim->side[0])->since < 1000 + HALFOPEN_MS + 6000);
	assert_in_range(engine->halfopen.n, 1, HALFOPEN_COOKIES);
	assert_true(engine->counter[ENGINE_COOKIE_SENT] > 90000);
	assert_in_range(most - before, 0, 4 << 20);
	sim_run(sim, HALFOPEN_MS + 1000);
	assert_int_equal(engine->halfopen.n, 0);
	unharmed(sim);
}

/* There are as many as there may be, all with cookies: who returns one gets in, the oldest goes,
 * and nobody else. */
static void test_full(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	struct sim *sim = sim_listening(conn);
	struct engine *engine = sim->side[1].engine;
	const unsigned int others = HALFOPEN_MAX - 3;

	learn_init(sim);
	for (unsigned int i = 0; i < 3; i++)
		spoof(sim, 0x0a000000 + i, 1 + i);
	engine->halfopen.n += others; /* as if there were more */
	spoof(sim, 0x0b000000, 0x77777777);
	assert_int_equal(engine->counter[ENGINE_COOKIE_SENT], 1);
	assert_int_equal(engine->counter[ENGINE_HALFOPEN_REFUSED], 0);
	assert_int_equal(engine->oldest->path.remote.word[0], htobe32(0x0a000000));
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 2000);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_int_equal(engine->counter[ENGINE_COOKIE_SENT], 2);
	assert_int_equal(engine->counter[ENGINE_HALFOPEN_REFUSED], 1);
	assert_int_equal(engine->halfopen.n, others + 2);
	assert_int_equal(engine->oldest->path.remote.word[0], htobe32(0x0a000001));
	assert_int_equal(engine->newest->path.remote.word[0], htobe32(0x0a000002));
	engine->halfopen.n -= others;
	sim_run(sim, HALFOPEN_MS);
	assert_null(engine->oldest);
	assert_null(engine->newest);
	unharmed(sim);
}

static __u64 spi_of(const struct ike_setup *s)
{
	return s ? s->ike->spi_i : 0;
}

/* Who goes has most, is not the oldest of all, and its IKE_AUTH has not come; else nobody gets in.
 */
static void test_who_goes(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	const unsigned int others = HALFOPEN_MAX - 4;

	for (unsigned int authing = 0; authing < 3; authing++) {
		struct sim *sim = sim_listening(conn);
		struct engine *engine = sim->side[1].engine;

		learn_init(sim);
		spoof(sim, 0x0a000000, 1);
		for (__u64 spi = 2; spi < 5; spi++)
			spoof(sim, 0x0a000001, spi);
		if (authing)
			assert_non_null(xchg_new(engine->oldest->newer->ike, false, IKE_AUTH));
		if (authing == 2)
			for (struct ike_setup *s = engine->oldest; s; s = s->newer)
				assert_true(s->ike->peers || xchg_new(s->ike, false, IKE_AUTH));
		engine->halfopen.n += others; /* as if there were more */
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 400); /* nothing is sent again so far */
		assert_int_equal(engine->counter[ENGINE_HALFOPEN_REFUSED], 1);
		assert_int_equal(sim_done(&sim->side[0], 7), authing == 2);
		assert_int_equal(spi_of(engine->oldest), 1);
		assert_int_equal(spi_of(engine->oldest->newer), authing ? 2 : 3);
		assert_int_equal(spi_of(engine->newest->older), authing == 1 ? 2 : 3);
		engine->halfopen.n -= others;
		sim_run(sim, HALFOPEN_MS);
		unharmed(sim);
	}
}

/* A cookie that is none of ours is as good as no cookie: its sender gets one, and no half-open IKE
 * SA. */
static void test_wrong_cookie(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	static const __u8 notify[8] = {0, 0, 0, 8 + COOKIE_LEN, 0, 0, 0x40, 0x06};
	struct sim *sim = sim_listening(conn);
	const struct engine *engine = sim->side[1].engine;
	__u64 sent, wrong;
	__u8 next;

	learn_init(sim);
	for (unsigned int i = 0; i < 2 * HALFOPEN_COOKIES; i++)
		spoof(sim, 0x0a000000 + i, 1 + i);
	assert_int_equal(engine->halfopen.n, HALFOPEN_COOKIES);
	next = init[16];
	memmove(init + 28 + sizeof(notify) + COOKIE_LEN, init + 28, init_len - 28);
	memcpy(init + 28, notify, sizeof(notify));
	memset(init + 28 + sizeof(notify), 7, COOKIE_LEN);
	init[16] = IKE_PL_NOTIFY;
	init[28] = next;
	init_len += sizeof(notify) + COOKIE_LEN;
	init[26] = (__u8)(init_len >> 8);
	init[27] = (__u8)init_len;
	sent = engine->counter[ENGINE_COOKIE_SENT];
	wrong = engine->counter[ENGINE_COOKIE_WRONG];
	spoof(sim, 0x0b000000, 0x77777777);
	assert_int_equal(engine->counter[ENGINE_COOKIE_WRONG], wrong + 1);
	assert_int_equal(engine->counter[ENGINE_COOKIE_SENT], sent + 1);
	assert_int_equal(engine->halfopen.n, HALFOPEN_COOKIES);
	sim_run(sim, HALFOPEN_MS + 1000);
	sim_good(sim);
	sim_free(sim);
}

/* One address that answers to its cookies is one address. */
static void test_one_address(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	struct sim *sim = sim_listening(conn);
	const struct engine *engine = sim->side[1].engine;

	learn_init(sim);
	for (unsigned int i = 0; i < 1000; i++)
		spoof(sim, 0x0a000001, 1 + i);
	assert_int_equal(engine->halfopen.n, HALFOPEN_ADDR_COOKIES); /* no cookie came back */
	assert_int_equal(engine->counter[ENGINE_COOKIE_SENT], 1000 - HALFOPEN_ADDR_COOKIES);
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 2000);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	/* without a cookie of its own: there is room for other addresses */
	assert_int_equal(sim_ike(&sim->side[0])->w.out_id, 2);
	sim_run(sim, HALFOPEN_MS);
	unharmed(sim);
}

/* ------------------------------------------------------------------ memory */

/* Of one peer there are no more. */
enum { MANY = IKE_PEER_SAS_MAX - 1, TARGET = 8192 };

/* One IKE SA with one child, in the process that holds them, as malloc counts it. */
static void test_memory(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);
	struct side *side = &sim->side[1];
	size_t before, after;

	sim->traffic = false;
	sim->may_close = true;
	side->forgetful = true; /* its xipsecd keeps nothing: we count the engine */
	sim->side[0].forgetful = true;
	setup_begin(sim->side[0].engine, ike_conn_find(sim->side[0].engine, "c"),
		    &ike_conn_find(sim->side[0].engine, "c")->model.children[0], 0);
	sim_run(sim, 400000);
	before = mallinfo2().uordblks;
	for (int i = 0; i < MANY; i++) {
		setup_begin(sim->side[0].engine, ike_conn_find(sim->side[0].engine, "c"),
			    &ike_conn_find(sim->side[0].engine, "c")->model.children[0], 0);
		sim_run(sim, 200);
	}
	sim_run(sim, 400000); /* answers are forgotten */
	after = mallinfo2().uordblks;
	sim_good(sim);
	assert_int_equal(sim_ikes(side, IKE_UP), MANY + 1);
	assert_int_equal(sim_children(side, CHILD_UP), MANY + 1);
	print_message("%zu octets an IKE SA with a child (both ends: %zu)\n",
		      (after - before) / MANY / 2, (after - before) / MANY);
	assert_true((after - before) / MANY / 2 < TARGET);
	sim_free(sim);
}

/* ------------------------------------------------------------------ certificates, in fragments */

static struct made root, ends[2];
static struct cert_store *store;

static void blob(struct conn_blobs *to, unsigned int n, ...)
{
	va_list args;

	for (unsigned int i = 0; i < to->n; i++) /* a name of a file */
		free(to->blob[i].file);
	free(to->blob);
	to->blob = calloc(n, sizeof(*to->blob));
	to->n = n;
	va_start(args, n);
	for (unsigned int i = 0; i < n; i++) {
		struct made *made = va_arg(args, struct made *);

		to->blob[i].data = malloc(made->len);
		memcpy(to->blob[i].data, made->der, made->len);
		to->blob[i].len = made->len;
	}
	va_end(args);
}

static const char *remote_more = ""; /* of side 0's connection */

static struct sim *with_certs(const char *more, const char *id_1)
{
	char conn[2][1024];
	struct sim *sim;
	char why[200];

	for (int i = 0; i < 2; i++)
		snprintf(conn[i], sizeof(conn[i]),
			 "c {\n%%s\nproposals = " SIM_FAST
			 "\n%s\nlocal { auth = pubkey\n certs = a.pem\n id = %s }\n"
			 "remote { auth = pubkey\n id = %s\n%s }\nchildren {\n" SIM_NET "} }",
			 more, i ? id_1 : "moon.example.org", i ? "moon.example.org" : id_1,
			 i ? "" : remote_more);
	sim = sim_new(4, conn[0], conn[1]);
	sim->lose = hear;
	store = cert_store_new();
	assert_int_equal(cert_store_add_ca(store, made_bytes(&root), why, sizeof(why)), 0);
	for (int i = 0; i < 2; i++) {
		struct side *side = &sim->side[i];

		engine_trust(side->engine, store);
		engine_wall_clock(side->engine, NOW);
		side->key = ends[i].key;
		EVP_PKEY_up_ref(side->key);
		blob(&ike_conn_find(side->engine, "c")->model.local.certs, 2, &ends[i], &root);
	}
	return sim;
}

static int make_pki(void **state)
{
	const char *first[] = {"DNS:moon.example.org", "DNS:sun.example.org"};
	char names[2][4096];

	root = make_cert((struct wish){
		.cn = "root", .ca = "critical,CA:TRUE", .usage = "critical,keyCertSign,cRLSign"});
	for (int i = 0; i < 2; i++) {
		size_t n = snprintf(names[i], sizeof(names[i]), "%s", first[i]);

		/* long ones */
		for (int k = 0; k < 100; k++)
			n += snprintf(names[i] + n, sizeof(names[i]) - n, ",DNS:%d.example.com", k);
		ends[i] = make_cert((struct wish){.cn = "end",
						  .issuer = &root,
						  .names = names[i],
						  .usage = "digitalSignature"});
	}
	return 0;
}

static int drop_pki(void **state)
{
	made_free(&root);
	made_free(&ends[0]);
	made_free(&ends[1]);
	return 0;
}

static void test_certificates(void **state)
{
	struct sim *sim = with_certs("send_cert = always", "sun.example.org");

	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	sim_good(sim);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_int_equal(sim_ike(&sim->side[0])->auth_remote, IKE_AUTH_SIGNATURE);
	/* RFC 7383: no message is longer than 1280 with its headers; each fragment once */
	assert_true(sim->longest <= 1228);
	assert_true(sim->sent[IKE_AUTH][0] >= 2);
	unharmed(sim);
	cert_store_free(store);

	/* switched off at one end: in one piece */
	sim = with_certs("send_cert = always\nfragmentation = no", "sun.example.org");
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_true(sim->longest > 1228);
	assert_int_equal(sim->sent[IKE_AUTH][0], 1);
	unharmed(sim);
	cert_store_free(store);
}

static void test_lost_fragments(void **state)
{
	for (unsigned int seed = 1; seed <= 100; seed++) {
		struct sim *sim = with_certs("send_cert = always", "sun.example.org");

		sim->random = seed;
		sim->net = (struct sim_net){
			.delay_min = 1, .delay_max = 80, .drop = 200, .twice = 200};
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 100000);
		sim_good(sim);
		assert_int_equal(sim_done(&sim->side[0], 7), 0);
		sim->net.drop = 0;
		unharmed(sim);
		cert_store_free(store);
	}
}

static void test_wrong_certificate(void **state)
{
	struct sim *sim = with_certs("send_cert = always", "mars.example.org");

	sim->may_close = true;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 20000);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "we do not believe the peer: "));
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	sim_free(sim);
	cert_store_free(store);

	/* nobody is trusted; nobody sends one */
	sim = with_certs("send_cert = never", "sun.example.org");
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 20000);
	assert_true(sim_said(&sim->side[1], "we refuse it: it sent no certificate"));
	sim_free(sim);
	cert_store_free(store);
}

/* remote.ca_id is asked of the chain. */
static void test_ca_id(void **state)
{
	static const char *const ids[] = {"ca_id = \"C=CH, CN=root\"",
					  "ca_id = \"C=CH, CN=other\""};

	for (int i = 0; i < 2; i++) {
		struct sim *sim;

		remote_more = ids[i];
		sim = with_certs("send_cert = always", "sun.example.org");
		remote_more = "";
		sim->may_close = true;
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 5000);
		if (i)
			assert_true(sim_said(&sim->side[0], "is not below a CA `C=CH, CN=other`"));
		else
			assert_int_equal(sim_done(&sim->side[0], 7), 0);
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), !i);
		sim_free(sim);
		cert_store_free(store);
	}
}

/* Side 0 loads its connection again, with that one as remote.certs, in PEM. */
static void pin_pem(struct sim *sim, const struct made *made)
{
	struct side *side = &sim->side[0];
	struct conn copy = {0};
	BIO *bio = BIO_new(BIO_s_mem());
	char *pem;
	int fd = conn_pack(&ike_conn_find(side->engine, "c")->model);

	assert_true(fd >= 0);
	assert_int_equal(conn_unpack(fd, &copy), 0);
	close(fd);
	PEM_write_bio_X509(bio, made->cert);
	copy.remote.certs.n = 1;
	copy.remote.certs.blob = calloc(1, sizeof(*copy.remote.certs.blob));
	copy.remote.certs.blob->len = (__u32)BIO_get_mem_data(bio, &pem);
	copy.remote.certs.blob->data = malloc(copy.remote.certs.blob->len);
	memcpy(copy.remote.certs.blob->data, pem, copy.remote.certs.blob->len);
	copy.digest[0] ^= 1; /* it is another text */
	assert_int_equal(engine_conn_load(side->engine, &copy), 0);
	BIO_free(bio);
}

/* A peer's own certificate in the config, as files are written. */
static void test_pinned_pem(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct sim *sim = with_certs("send_cert = always", "sun.example.org");

		sim->may_close = true;
		pin_pem(sim, i ? &ends[0] : &ends[1]);
		engine_initiate(sim->side[0].engine, "c", "net", 7);
		sim_run(sim, 5000);
		if (i)
			assert_true(sim_said(&sim->side[0], "is not the one that the config has"));
		else
			assert_int_equal(sim_done(&sim->side[0], 7), 0);
		assert_int_equal(sim_ikes(&sim->side[0], IKE_UP), !i);
		sim_free(sim);
		cert_store_free(store);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_versions),       cmocka_unit_test(test_unknown_spi),
		cmocka_unit_test(test_critical),       cmocka_unit_test(test_syntax),
		cmocka_unit_test(test_damage),         cmocka_unit_test(test_flood),
		cmocka_unit_test(test_full),           cmocka_unit_test(test_who_goes),
		cmocka_unit_test(test_wrong_cookie),   cmocka_unit_test(test_one_address),
		cmocka_unit_test(test_memory),         cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_lost_fragments), cmocka_unit_test(test_wrong_certificate),
		cmocka_unit_test(test_ca_id),          cmocka_unit_test(test_pinned_pem),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_pki, drop_pki);
}
