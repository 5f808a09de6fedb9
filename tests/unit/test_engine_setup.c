// SPDX-License-Identifier: BSD-2-Clause
/* IKE_SA_INIT and IKE_AUTH between two engines: what gets up, what does not, and what is said then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>

#include "iked/setup.h"
#include "tests/unit/ike_sim.h"

static const char fast[] = SIM_CONN(SIM_FAST, "", SIM_NET);

/* The first side begins; a command waits. */
static struct sim *begin(const char *conn_0, const char *conn_1)
{
	struct sim *sim = sim_new(1, conn_0, conn_1);

	engine_initiate(sim->side[0].engine, "c", "net", 7);
	return sim;
}

static void end_empty(struct sim *sim)
{
	sim_good(sim);
	assert_int_equal(sim_ikes(&sim->side[0], -1), 0);
	assert_int_equal(sim_ikes(&sim->side[1], -1), 0);
	assert_int_equal(sim->side[0].n_sas + sim->side[1].n_sas, 0);
	assert_int_equal(sim->side[1].engine->halfopen.n, 0);
	sim_free(sim);
}

/* ------------------------------------------------------------------ up */

static void test_up(void **state)
{
	struct sim *sim = begin(fast, fast);
	const struct xipsec_sa *sa;

	assert_true(sim_up(sim, 2000));
	sim_run(sim, 3000);
	sim_good(sim);
	assert_int_equal(sim_done(&sim->side[0], 7), 0);
	assert_true(sim->esp_sent > 50);
	assert_int_equal(sim->esp_lost, 0);
	/* two round trips, nothing sent twice */
	assert_int_equal(sim->sent[IKE_SA_INIT][0] + sim->sent[IKE_SA_INIT][1], 2);
	assert_int_equal(sim->sent[IKE_AUTH][0] + sim->sent[IKE_AUTH][1], 2);
	sa = &sim->side[0].sa[0];
	assert_int_equal(sa->dir, XIPSEC_DIR_IN); /* before the other half */
	assert_string_equal(sa->child, "c/net");
	assert_string_equal(sa->name, "net-2-i");
	assert_int_equal(sa->key_len, 20);
	assert_int_equal(sa->flags & XIPSEC_SA_UDP, 0);
	assert_int_equal(sa->n_selectors, 1);
	assert_int_equal(sim->side[0].events[IKE_EVENT_IKE_UP], 1);
	assert_int_equal(sim->side[1].events[IKE_EVENT_CHILD_UP], 1);
	sim_end(sim, 1, 1);
}

/* Each message is lost once, in turn: what is sent again is the same to the octet. */
static struct {
	unsigned int which, seen;
	size_t len;
	__u8 data[2048];
	bool compared;
} lost;

static bool lose_one(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (lost.seen++ == lost.which) {
		assert_true(len <= sizeof(lost.data));
		memcpy(lost.data, data, lost.len = len);
		return true;
	}
	if (lost.len && len == lost.len && msg_exchange(data) == msg_exchange(lost.data) &&
	    msg_response(data) == msg_response(lost.data) && !memcmp(data, lost.data, 24)) {
		assert_memory_equal(data, lost.data, len);
		lost.compared = true;
	}
	return false;
}

static void test_each_lost(void **state)
{
	struct engine_match all = {.ike = "c"};

	for (lost.which = 0; lost.which < 12; lost.which++) {
		struct sim *sim = sim_new(lost.which + 1, fast, fast);

		lost.seen = 0;
		lost.len = 0;
		lost.compared = false;
		sim->lose = lose_one;
		engine_initiate(sim->side[0].engine, "c", "net", 0);
		assert_true(sim_up(sim, 3000));
		sim_run(sim, 1000);
		engine_rekey(sim->side[0].engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 2000);
		engine_rekey(sim->side[1].engine, &all, 0);
		sim_run(sim, 2000);
		sim->traffic = false;
		sim_run(sim, 10000);
		sim_same(sim, 1, 1);
		sim_good(sim);
		assert_true(lost.seen > 12);
		/* of an IKE SA that is closed nothing is kept: the peer says that, and we believe
		 * it */
		assert_true(lost.compared ||
			    sim_said(&sim->side[1], "the peer does not know it any more"));
		assert_true(lost.compared || lost.which == 11);
		sim_free(sim);
	}
}

/* Everything comes three times: answered from what is kept, done once. */
static bool tripled;

static bool triple(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (!tripled) {
		tripled = true;
		sim_inject(sim, !from, data, len);
		sim_inject(sim, !from, data, len);
		tripled = false;
	}
	return false;
}

static void test_repeated(void **state)
{
	struct sim *sim = begin(fast, fast);

	sim->lose = triple;
	assert_true(sim_up(sim, 2000));
	sim_run(sim, 1000);
	assert_true(sim->side[1].engine->counter[ENGINE_RETRANSMIT_IN] >= 2);
	assert_int_equal(sim->side[1].events[IKE_EVENT_IKE_UP], 1);
	sim->lose = NULL;
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ algorithms */

static void test_other_group(void **state)
{
	static const char both[] = SIM_CONN("aes128gcm16-prfsha256-x25519-ecp256", "", SIM_NET);
	static const char ecp[] = SIM_CONN("aes128gcm16-prfsha256-ecp256", "", SIM_NET);
	struct sim *sim = begin(both, ecp);

	assert_true(sim_up(sim, 2000));
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 2); /* INVALID_KE_PAYLOAD, and again */
	assert_int_equal(sim_ike(&sim->side[0])->suite.ke, KE_ECP_256);
	sim_end(sim, 1, 1);
}

/* 2.6.1: the cookie goes into the retry with the other group as well, first of all payloads. */
static __u8 first_payload;

static bool see_first(struct sim *sim, int from, const __u8 *data, size_t len)
{
	if (from == 0 && msg_exchange(data) == IKE_SA_INIT && len > 60)
		first_payload = data[16];
	return false;
}

static void test_cookie_and_group(void **state)
{
	static const char both[] = SIM_CONN("aes128gcm16-prfsha256-x25519-ecp256", "", SIM_NET);
	static const char ecp[] = SIM_CONN("aes128gcm16-prfsha256-ecp256", "", SIM_NET);
	struct sim *sim = begin(both, ecp);

	sim->lose = see_first;
	sim->side[1].engine->halfopen.n += HALFOPEN_COOKIES; /* as if there were many */
	assert_true(sim_up(sim, 2000));
	sim->side[1].engine->halfopen.n -= HALFOPEN_COOKIES;
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 3); /* the shorter exchange */
	assert_int_equal(first_payload, IKE_PL_NOTIFY);
	assert_int_equal(sim->side[1].engine->counter[ENGINE_COOKIE_SENT], 1);
	sim_end(sim, 1, 1);
}

/* Who asks for cookies without an end is not followed without an end. */
static void test_cookies_for_ever(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);
	static const __u8 cookie[] = {[16] = IKE_PL_NOTIFY,
				      0x20,
				      IKE_SA_INIT,
				      IKE_FLAG_RESPONSE,
				      0,
				      0,
				      0,
				      0,
				      0,
				      0,
				      0,
				      37,
				      0,
				      0,
				      0,
				      9,
				      0,
				      0,
				      0x40,
				      0x06,
				      7};
	__u8 m[sizeof(cookie)];

	sim->side[1].deaf = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	sim_run(sim, 100);
	for (int i = 0; i < 100; i++) {
		memcpy(m, cookie, sizeof(m));
		memcpy(m, &sim->side[0].engine->first->spi_i, 8);
		sim_inject(sim, 0, m, sizeof(m));
		sim_run(sim, 1);
	}
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 1 + INIT_RETRIES_MAX);
	sim_free(sim);
}

static void test_no_proposal(void **state)
{
	static const char other[] = SIM_CONN("aes256gcm16-prfsha384-ecp384", "", SIM_NET);
	struct sim *sim = begin(fast, other);

	sim_run(sim, 20000);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	/* who refused what, both proposals, at both ends */
	assert_true(sim_said(&sim->side[1],
			     "we refuse its IKE_SA_INIT: no proposal chosen; it offers "
			     "aes128gcm16-prfsha256-x25519; we take "
			     "aes256gcm16-prfsha384-ecp384"));
	assert_true(sim_said(&sim->side[0],
			     "the peer refused IKE_SA_INIT: NO_PROPOSAL_CHOSEN (14); "
			     "we offered aes128gcm16-prfsha256-x25519"));
	end_empty(sim);
}

/* The IKE SA is up all the same (RFC 7296 1.2), without a child. */
static void no_child(const char *conn_0, const char *conn_1, const char *said)
{
	struct sim *sim = begin(conn_0, conn_1);

	sim_run(sim, 5000);
	sim_good(sim);
	assert_true(sim_done(&sim->side[0], 7) < 0);
	if (!sim_said(&sim->side[1], said))
		fail_msg("not said: %s\n%s", said, sim->side[1].log);
	/* The other side tells who refused, and what it had asked for; no address that is none. */
	if (!sim_said(&sim->side[0], "child net: the peer refused it: ") ||
	    sim_said(&sim->side[0], " 0.0.0.0") || !sim_said(&sim->side[0], "c[1]: begins"))
		fail_msg("said: %s", sim->side[0].log);
	for (int i = 0; i < 2; i++)
		if (sim_said(&sim->side[i], "child net is up") ||
		    sim_said(&sim->side[i], ": child net-"))
			fail_msg("said, though refused: %s", sim->side[i].log);
	sim_end(sim, 1, 0);
}

static void test_no_child(void **state)
{
	no_child(
		fast,
		SIM_CONN(SIM_FAST, "",
			 SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
				   "esp_proposals = aes256gcm16")),
		"child net: we refuse it: no proposal chosen; it offers aes128gcm16-noesn; we take "
		"aes256gcm16-noesn");
	no_child(fast,
		 SIM_CONN(SIM_FAST, "",
			  SIM_CHILD("net", "192.168.0.0/16", "192.168.0.0/16",
				    "esp_proposals = aes128gcm16")),
		 "no selectors in common; it wants 10.0.0.0/8 === 10.0.0.0/8; we have net: "
		 "192.168.0.0/16 === 192.168.0.0/16");
	/* all that could have been meant */
	no_child(fast,
		 SIM_CONN(SIM_FAST, "",
			  SIM_CHILD("one", "192.168.0.0/16", "192.168.0.0/16",
				    "esp_proposals = aes128gcm16")
				  SIM_CHILD("two", "172.16.0.0/12", "172.16.0.0/12",
					    "mode = transport")),
		 "we have one: 192.168.0.0/16 === 192.168.0.0/16; two (transport): "
		 "172.16.0.0/12 === 172.16.0.0/12");
}

static void test_narrowing(void **state)
{
	static const char narrow[] = SIM_CONN(
		SIM_FAST, "",
		SIM_CHILD("net", "10.1.0.0/16", "10.2.0.0/16", "esp_proposals = aes128gcm16"));
	struct sim *sim = begin(fast, narrow);
	const struct xipsec_sa *out;

	assert_true(sim_up(sim, 2000));
	out = &sim->side[0].sa[1];
	assert_int_equal(out->dir, XIPSEC_DIR_OUT);
	assert_memory_equal(out->selector[0].local_lo.byte, ((__u8[]){10, 2, 0, 0}), 4);
	assert_memory_equal(out->selector[0].remote_lo.byte, ((__u8[]){10, 1, 0, 0}), 4);
	assert_memory_equal(out->selector[0].remote_hi.byte, ((__u8[]){10, 1, 255, 255}), 4);
	sim_end(sim, 1, 1);
}

static void test_transport(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "",
			 SIM_CHILD("net", "dynamic", "dynamic",
				   "esp_proposals = aes128-sha256\nmode = transport\ncopy_df = no\n"
				   "copy_ecn = no\ncopy_dscp = no\ndummies = 10"));
	struct sim *sim = begin(conn, conn);

	assert_true(sim_up(sim, 2000));
	assert_int_equal(sim->side[0].sa[0].mode, XIPSEC_MODE_TRANSPORT);
	assert_int_equal(sim->side[1].sa[1].mode, XIPSEC_MODE_TRANSPORT);
	assert_int_equal(sim->side[0].sa[0].key_len, 48);
	for (unsigned int i = 0; i < 2; i++) {
		const struct xipsec_sa *sa = &sim->side[0].sa[i];

		assert_int_equal(sa->dummies, sa->dir == XIPSEC_DIR_OUT ? 10 : 0);
		assert_int_equal(sa->tfc_size, 0);
		assert_int_equal(sa->flags, 0);
	}
	sim_end(sim, 1, 1);
}

/* What a child says of sealing is its outbound SA's alone; over IPv4 there is no flow label. */
static void test_sealing(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "dscp = 101110",
			 SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
				   "esp_proposals = aes128gcm16\nstart_action = trap\ndf = set\n"
				   "dscp = 34\nttl = 17\ndummies = 10"));
	struct sim *sim = begin(conn, conn);
	struct child_sa *child;
	struct xipsec_sa *sa;

	assert_true(sim_up(sim, 2000));
	for (unsigned int i = 0; i < 2; i++) {
		bool out = sim->side[0].sa[i].dir == XIPSEC_DIR_OUT;

		sa = &sim->side[0].sa[i];
		assert_int_equal(sa->df, XIPSEC_DF_SET);
		assert_int_equal(sa->dscp, out ? 34 : 0);
		assert_int_equal(sa->flags, out ? XIPSEC_SA_DSCP : 0);
		assert_int_equal(sa->ttl, out ? 17 : 0);
		assert_int_equal(sa->dummies, out ? 10 : 0);
	}
	assert_int_not_equal(sim->side[0].sa[0].dir, sim->side[0].sa[1].dir);
	child = sim_child(&sim->side[0], "net");
	sa = calloc(1, sizeof(*sa));
	assert_non_null(sa);
	/* With addresses that are known to be IPv4 the config refuses it; with a name it cannot. */
	((struct conn_child *)child->cfg)->flow_copy = true;
	assert_int_equal(child_describe(child, XIPSEC_DIR_OUT, sa), 0);
	assert_int_equal(sa->flags, XIPSEC_SA_DSCP);
	child->ike->path.family = XIPSEC_FAMILY_IP6;
	assert_int_equal(child_describe(child, XIPSEC_DIR_OUT, sa), 0);
	assert_int_equal(sa->flags, XIPSEC_SA_DSCP | XIPSEC_SA_FLOW_COPY);
	assert_int_equal(child_describe(child, XIPSEC_DIR_IN, sa), 0);
	assert_int_equal(sa->flags, 0);
	child->ike->path.family = XIPSEC_FAMILY_IP4;
	free(sa);
	sim_end(sim, 1, 1);
}

/* ------------------------------------------------------------------ who are they */

static void test_wrong_psk(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);

	sim->side[1].psk = "another";
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 7), -ECONNREFUSED);
	assert_true(sim_said(&sim->side[1], "we refuse it: its pre-shared key is another one"));
	assert_true(sim_said(&sim->side[0], "the peer refused us: AUTHENTICATION_FAILED"));
	assert_int_equal(sim->side[1].engine->counter[ENGINE_AUTH_FAILED], 1);
	end_empty(sim);
}

static void test_no_secret(void **state)
{
	struct sim *sim = sim_new(1, fast, fast);

	sim->side[0].psk = NULL;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 40000); /* the responder's half-open one expires */
	assert_true(sim_done(&sim->side[0], 7) < 0);
	assert_true(sim_said(&sim->side[0], "we could not authenticate ourselves"));
	assert_true(sim_said(&sim->side[1], "not authenticated in time"));
	end_empty(sim);
}

/* The initiator sees who answered at the end alone: it tells the responder, which is up already. */
static void test_wrong_responder(void **state)
{
	static const char wants[] =
		"c {\n%s\nproposals = " SIM_FAST "\nlocal { auth = psk\n id = a.example }\n"
		"remote { auth = psk\n id = *.example }\nchildren {\n" SIM_NET "} }";
	static const char is[] =
		"c {\n%s\nproposals = " SIM_FAST "\nlocal { auth = psk\n id = b.example.org }\n"
		"remote { auth = psk\n id = a.example }\nchildren {\n" SIM_NET "} }";
	struct sim *sim = begin(wants, is);

	sim->may_close = true;
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 7), -EACCES);
	assert_true(sim_said(&sim->side[0],
			     "we do not believe the peer: it is b.example.org, we want *.example"));
	assert_true(sim_said(&sim->side[1], "the peer says: AUTHENTICATION_FAILED"));
	sim_run(sim, 10000);
	end_empty(sim);
}

/* IDr chooses, IDi must fit. */
static void test_no_connection(void **state)
{
	static const char a[] =
		"c {\n%s\nproposals = " SIM_FAST "\nlocal { auth = psk\n id = a.example }\n"
		"remote { auth = psk\n id = b.example }\nchildren {\n" SIM_NET "} }";
	static const char b[] =
		"c {\n%s\nproposals = " SIM_FAST "\nlocal { auth = psk\n id = b.example }\n"
		"remote { auth = psk\n id = c.example }\nchildren {\n" SIM_NET "} }";
	struct sim *sim = begin(a, b);

	sim_run(sim, 3000);
	assert_true(sim_said(&sim->side[1], "no connection is for a.example (AUTH method 2), which "
					    "wants b.example"));
	end_empty(sim);
}

/* ------------------------------------------------------------------ NAT */

static void test_nat(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	struct sim *sim = sim_new(1, conn, conn);
	const struct ike_sa *ike;

	sim->nat = true;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	sim_run(sim, 3000);
	sim_good(sim);
	ike = sim_ike(&sim->side[1]);
	assert_non_null(ike);
	assert_true(ike->nat_remote && !ike->nat_local && ike->path.natt);
	assert_int_equal(be16toh(ike->path.remote_port), 14500);
	assert_true(sim_ike(&sim->side[0])->nat_local);
	assert_int_equal(sim->side[1].sa[0].flags & XIPSEC_SA_UDP, XIPSEC_SA_UDP);
	assert_int_equal(be16toh(sim->side[1].sa[0].src_port), 14500);
	assert_int_equal(be16toh(sim->side[0].sa[1].dst_port), 4500);
	/* who is behind it follows nobody, nor is anybody to be followed out of an SA */
	for (int side = 0; side < 2; side++)
		for (int i = 0; i < 2; i++) {
			const struct xipsec_sa *sa = &sim->side[side].sa[i];
			bool stays = side == 0 && sa->dir == XIPSEC_DIR_IN;

			assert_int_equal(sa->flags & XIPSEC_SA_STAY, stays ? XIPSEC_SA_STAY : 0);
		}
	/* the NAT has another port for it now: IKE follows, by what xipsecd says */
	engine_sa_mapping(sim->side[1].engine, "net-2-i", &ike->path.remote, htobe16(14501));
	assert_int_equal(be16toh(ike->path.remote_port), 14501);
	engine_sa_mapping(sim->side[1].engine, "net-2-i", &ike->path.remote, htobe16(14500));
	sim_run(sim, 60000);
	assert_in_range(sim->side[0].keepalives, 2, 4); /* every 20 s, by who is behind it */
	assert_int_equal(sim->side[1].keepalives, 0);
	sim_end(sim, 1, 1);
}

static const struct xipsec_sa *newest_out(const struct side *side)
{
	unsigned int i = side->n_sas;

	while (i-- && side->sa[i].dir != XIPSEC_DIR_OUT)
		;
	assert_true(i < side->n_sas);
	return &side->sa[i];
}

/* IKE that comes from elsewhere moves IKE. Where its SAs send to xipsecd knows by their own
 * packets; the next ones are told. */
static void test_nat_moves(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "# NAT", SIM_NET);
	struct sim *sim = sim_new(1, conn, conn);
	struct ike_sa *ike;

	sim->nat = true;
	engine_initiate(sim->side[0].engine, "c", "net", 7);
	assert_true(sim_up(sim, 3000));
	sim_run(sim, 1000);
	sim->nat_moved = 7;
	ike_task(sim_ike(&sim->side[0]), TASK_DPD);
	ike_work(sim_ike(&sim->side[0]));
	sim_run(sim, 1000);
	ike = sim_ike(&sim->side[1]);
	assert_int_equal(be16toh(ike->path.remote_port), 14507);
	assert_int_equal(sim->side[1].n_sas, 2);
	assert_int_equal(be16toh(newest_out(&sim->side[1])->dst_port), 14500);
	engine_rekey(sim->side[1].engine, &(struct engine_match){.child = "net"}, 8);
	sim_run(sim, 1000);
	assert_int_equal(sim_done(&sim->side[1], 8), 0);
	assert_int_equal(be16toh(newest_out(&sim->side[1])->dst_port), 14507);
	sim_end(sim, 1, 1);
}

/* Every message of the connection's, and none else, has its DSCP. */
static void test_dscp(void **state)
{
	static const char marked[] = SIM_CONN(SIM_FAST, "dscp = 101110", SIM_NET);
	struct sim *sim = begin(marked, fast);

	assert_true(sim_up(sim, 2000));
	engine_rekey(sim->side[1].engine, &(struct engine_match){.child = "net"}, 0);
	sim_run(sim, 2000);
	assert_int_equal(sim->side[0].dscps, 1ULL << 46);
	assert_int_equal(sim->side[1].dscps, 1);
	sim_end(sim, 1, 1);
}

/* Asked for, ESP goes in UDP without a NAT; not asked for, a float to 4500 alone does not do it. */
static void test_encap(void **state)
{
	static const char conn[] = SIM_CONN(SIM_FAST, "encap = yes", SIM_NET);
	struct sim *sim = begin(conn, fast);

	assert_true(sim_up(sim, 2000));
	/* who asks for it says that he is behind one: he is followed, and follows nobody */
	for (int side = 0; side < 2; side++)
		assert_int_equal(sim->side[side].sa[0].dir, XIPSEC_DIR_IN);
	assert_int_equal(sim->side[0].sa[0].flags, XIPSEC_SA_UDP | XIPSEC_SA_STAY);
	assert_int_equal(sim->side[1].sa[0].flags, XIPSEC_SA_UDP);
	sim_end(sim, 1, 1);

	sim = sim_new(2, fast, fast);
	sim->float_anyway = true;
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	assert_true(sim_ike(&sim->side[1])->path.natt);
	assert_int_equal(sim->side[1].sa[0].flags & XIPSEC_SA_UDP, 0);
	sim_end(sim, 1, 1);
}

/* Who the peer is shows in IKE_AUTH, and the connection of before that was a guess. What counts for
 * ESP is what was said meanwhile, for the peer goes by that: now, and after each rekey. */
static void encap_guessed(const char *guessed, const char *meant, bool udp)
{
	static const char us[] = "c {\nproposals = " SIM_FAST "\nlocal { auth = psk\nid = us }\n"
				 "remote { auth = psk }\nchildren {\n" SIM_NET "\n} }";
	char both[1024];
	struct sim *sim;

	snprintf(both, sizeof(both),
		 "guessed {\nproposals = " SIM_FAST "\n%s\nlocal { auth = psk }\n"
		 "remote { auth = psk\nid = others }\nchildren {\n" SIM_NET "\n} }\n"
		 "c {\nproposals = " SIM_FAST "\n%s\nlocal { auth = psk }\n"
		 "remote { auth = psk\nid = us }\nchildren {\n" SIM_NET "\n} }",
		 guessed, meant);
	sim = sim_new(1, us, both);
	engine_initiate(sim->side[0].engine, "c", "net", 0);
	assert_true(sim_up(sim, 2000));
	assert_string_equal(sim_ike(&sim->side[1])->conn->model.name, "c");
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(!!(newest_out(&sim->side[0])->flags & XIPSEC_SA_UDP), udp);
		assert_int_equal(!!(newest_out(&sim->side[1])->flags & XIPSEC_SA_UDP), udp);
		if (i == 1)
			engine_rekey(sim->side[1].engine, &(struct engine_match){.ike = "c"}, 0);
		sim_run(sim, 3000);
		engine_rekey(sim->side[1].engine, &(struct engine_match){.child = "net"}, 0);
		sim_run(sim, 3000);
	}
	sim_end(sim, 1, 1);
}

static void test_encap_guessed(void **state)
{
	encap_guessed("encap = yes", "encap = no", true);
	encap_guessed("encap = no", "encap = yes", false);
	encap_guessed("encap = yes", "encap = yes", true);
}

/* ------------------------------------------------------------------ nobody there, twice there */

static void test_silence(void **state)
{
	static const char conn[] =
		SIM_CONN(SIM_FAST, "keyingtries = 2",
			 SIM_CHILD("net", "10.0.0.0/8", "10.0.0.0/8",
				   "esp_proposals = aes128gcm16\nstart_action = start"));
	struct sim *sim = sim_new(1, conn, conn);

	sim->side[1].deaf = true;
	engine_start(sim->side[0].engine, "c");
	sim_run(sim, 1000000);
	assert_int_equal(sim->sent[IKE_SA_INIT][0], 2 * RETRANSMIT_TRIES); /* keyingtries */
	assert_true(sim_said(&sim->side[0], "no answer to 12 tries of IKE_SA_INIT request 0"));
	end_empty(sim);
}

static void unique(const char *policy, unsigned int left)
{
	char conn[512];
	struct sim *sim;

	snprintf(conn, sizeof(conn), SIM_CONN(SIM_FAST, "unique = %s", SIM_NET), "%s", policy);
	sim = begin(conn, conn);
	assert_true(sim_up(sim, 2000));
	sim->may_close = true;
	/* a second one, by who knows of the first: no INITIAL_CONTACT */
	setup_begin(sim->side[0].engine, ike_conn_find(sim->side[0].engine, "c"),
		    &ike_conn_find(sim->side[0].engine, "c")->model.children[0], 0);
	sim_run(sim, 20000);
	assert_int_equal(sim_ikes(&sim->side[1], -1), left);
	sim_end(sim, left, 1);
}

static void test_unique(void **state)
{
	unique("no", 2);
	unique("keep", 2); /* from the same address it may be back (test_engine_unique.c) */
	unique("replace", 1);
}

/* A peer that begins anew after a crash says so; the other end forgets what it had with it. */
static void test_initial_contact(void **state)
{
	struct sim *sim = begin(fast, fast);

	assert_true(sim_up(sim, 2000));
	sim->may_close = true;
	sim->traffic = false;
	sim_crash(sim, 0, fast);
	sim->side[0].n_sas = 0; /* xipsecd was started anew, too */
	engine_initiate(sim->side[0].engine, "c", "net", 8);
	sim_run(sim, 10000);
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	assert_true(sim_said(&sim->side[1], "INITIAL_CONTACT"));
	sim_end(sim, 1, 1);

	/* … but not while SAs of before carry traffic */
	sim = begin(fast, fast);
	assert_true(sim_up(sim, 2000));
	sim->may_close = true;
	sim_crash(sim, 0, fast);
	engine_conn_orphans(sim->side[0].engine, "c", true);
	engine_initiate(sim->side[0].engine, "c", "net", 8);
	sim_run(sim, 3000);
	assert_int_equal(sim_done(&sim->side[0], 8), 0);
	assert_false(sim_said(&sim->side[1], "INITIAL_CONTACT"));
	assert_int_equal(sim_ikes(&sim->side[1], IKE_UP), 2);
	sim_free(sim);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_up),
		cmocka_unit_test(test_each_lost),
		cmocka_unit_test(test_repeated),
		cmocka_unit_test(test_other_group),
		cmocka_unit_test(test_cookie_and_group),
		cmocka_unit_test(test_cookies_for_ever),
		cmocka_unit_test(test_no_proposal),
		cmocka_unit_test(test_no_child),
		cmocka_unit_test(test_narrowing),
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_sealing),
		cmocka_unit_test(test_wrong_psk),
		cmocka_unit_test(test_no_secret),
		cmocka_unit_test(test_wrong_responder),
		cmocka_unit_test(test_no_connection),
		cmocka_unit_test(test_nat),
		cmocka_unit_test(test_nat_moves),
		cmocka_unit_test(test_dscp),
		cmocka_unit_test(test_encap),
		cmocka_unit_test(test_encap_guessed),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_unique),
		cmocka_unit_test(test_initial_contact),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
