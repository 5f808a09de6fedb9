// SPDX-License-Identifier: BSD-2-Clause
/* IKE_SA_INIT (RFC 7296 1.2): algorithms, nonces, a key exchange; NAT detection (2.23), cookies
 * (2.6). */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/auth.h"
#include "iked/engine_state.h"
#include "iked/payload_sa.h"
#include "iked/setup.h"
#include "iked/wishes.h"
#include "lib/cleanup.h"

/* ------------------------------------------------------------------ what both ends do */

static struct bytes addr_bytes(const struct ike_path *path, const struct xipsec_addr *addr)
{
	return BYTES(addr->byte, path->family == XIPSEC_FAMILY_IP6 ? 16 : 4);
}

/* `encap` asks for ESP in UDP: a source that no hash can be of looks like a NAT to the peer. */
static void add_nat(struct ike_sa *ike, struct ike_out *out)
{
	const struct ike_path *path = &ike->path;
	__u8 nobody[IKE_NAT_HASH_LEN];

	ike->nat_fake = ike->conn->model.encap;
	if (ike->nat_fake) {
		ike->engine->env.random(ike->engine->env.ctx, nobody, sizeof(nobody));
		ike_out_notify(out, 0, BYTES_NONE, IKE_N_NAT_DETECTION_SOURCE_IP, BYTES_OF(nobody));
	} else {
		ike_out_nat(out, IKE_N_NAT_DETECTION_SOURCE_IP, addr_bytes(path, &path->local),
			    path->local_port);
	}
	ike_out_nat(out, IKE_N_NAT_DETECTION_DESTINATION_IP, addr_bytes(path, &path->remote),
		    path->remote_port);
}

static void add_extensions(const struct wishes *wishes, struct ike_out *out)
{
	if (wishes->fragments)
		ike_out_status(out, IKE_N_FRAGMENTATION_SUPPORTED);
	ike_out_hashes(out, AUTH_HASHES);
}

/* Is none of the peer's hashes that of this address as we see it? Peers that send none know no NAT.
 */
static bool nat_seen(const struct ike_msg *msg, enum ike_notify_type type,
		     const struct ike_path *path, const struct xipsec_addr *addr, __be16 port)
{
	__u8 hash[IKE_NAT_HASH_LEN];
	bool any = false;

	if (ike_nat_hash(msg->h.spi_i, msg->h.spi_r, addr_bytes(path, addr), port, hash))
		return false;
	for (unsigned int i = 0; i < msg->n_notify; i++) {
		if (msg->notify[i].type != type)
			continue;
		if (bytes_equal(msg->notify[i].data, BYTES_OF(hash)))
			return false;
		any = true;
	}
	return any;
}

static void read_extensions(struct ike_sa *ike, const struct ike_path *path,
			    const struct ike_msg *msg)
{
	const struct ike_notify *hashes = ike_msg_notify(msg, IKE_N_SIGNATURE_HASH_ALGORITHMS);

	ike->nat_remote = nat_seen(msg, IKE_N_NAT_DETECTION_SOURCE_IP, path, &path->remote,
				   path->remote_port);
	ike->nat_local = nat_seen(msg, IKE_N_NAT_DETECTION_DESTINATION_IP, path, &path->local,
				  path->local_port);
	ike->setup->fragments = ike_msg_notify(msg, IKE_N_FRAGMENTATION_SUPPORTED);
	ike->fragments = ike->setup->fragments && ike->conn->model.fragmentation != CONN_FRAG_NO;
	ike->setup->hashes = hashes ? ike_notify_hashes(hashes) : 0;
	ike->setup->certreq = msg->n_certreq > 0;
}

static void set_suite(struct ike_sa *ike, const struct proposal *chosen)
{
	const struct transform *encr = proposal_find(chosen, TRANSFORM_ENCR);

	ike->suite = (struct ike_suite){.encr = encr ? encr->id : 0,
					.key_bits = encr ? encr->key_bits : 0,
					.integ = proposal_id(chosen, TRANSFORM_INTEG),
					.prf = proposal_id(chosen, TRANSFORM_PRF),
					.ke = proposal_id(chosen, TRANSFORM_KE)};
}

/* SKEYSEED and what comes of it. */
static int make_keys(struct ike_sa *ike, const struct proposal *chosen, struct bytes peer_public)
{
	struct ike_setup *s = ike->setup;
	_cleanup_secret_ struct secret shared = {0};
	struct keymat_in in = {.nonce_i = nonce_view(&s->nonce_i),
			       .nonce_r = nonce_view(&s->nonce_r),
			       .spi_i = ike->spi_i,
			       .spi_r = ike->spi_r};
	int err = dh_shared(s->dh, peer_public, &shared);

	if (err)
		return err;
	in.shared = secret_view(&shared);
	err = keymat_ike(chosen, &in, ike->keys);
	if (err)
		return err;
	set_suite(ike, chosen);
	dh_free(s->dh);
	s->dh = NULL;
	engine_keylog(ike);
	return 0;
}

/* ------------------------------------------------------------------ initiator */

static int choose_group(const struct ike_sa *ike, const struct proposals *ours, __u16 wish)
{
	__u16 groups[PROPOSAL_TRANSFORMS_MAX];
	unsigned int n = proposals_groups(ours, groups, PROPOSAL_TRANSFORMS_MAX);

	if (!wish)
		return n ? groups[0] : -ENOENT;
	for (unsigned int i = 0; i < n; i++)
		if (groups[i] == wish)
			return wish;
	return -ENOENT;
}

static int write_request(struct xchg *x, const struct proposals *ours)
{
	struct ike_sa *ike = x->ike;
	struct ike_setup *s = ike->setup;
	_cleanup_wishes_ struct wishes wishes = {0};

	wishes_of(ike->conn, &wishes);
	xchg_open(x);
	if (s->cookie_len)
		ike_out_notify(&x->out, 0, BYTES_NONE, IKE_N_COOKIE,
			       BYTES(s->cookie, s->cookie_len));
	ike_out_sa(&x->out, ours);
	ike_out_ke(&x->out, s->group, dh_public(s->dh));
	ike_out_nonce(&x->out, nonce_view(&s->nonce_i));
	add_nat(ike, &x->out);
	add_extensions(&wishes, &x->out);
	return xchg_request(x);
}

void x_init_begin(struct ike_sa *ike)
{
	_cleanup_free_ struct proposals *ours = malloc(sizeof(*ours));
	struct ike_setup *s = ike->setup;
	int group, err = -ENOMEM;

	if (!ours)
		goto failed;
	ike_conn_proposals(ike->conn, ours);
	group = choose_group(ike, ours, s->group);
	err = group < 0 ? group : 0;
	if (err)
		goto failed;
	s->group = group;
	if (s->dh && dh_group(s->dh) != s->group) {
		dh_free(s->dh);
		s->dh = NULL;
	}
	if (!s->dh)
		err = dh_new(s->group, &s->dh);
	if (!s->nonce_i.len)
		nonce_make(ike->engine, &s->nonce_i);
	if (!err)
		err = write_request(ike->ours, ours);
	if (!err)
		err = setup_keep(&s->own, &s->own_len, ike_packet(ike->w.request, 0));
	if (!err)
		return;
failed:
	s->n_paths = 0; /* no other address would make it better */
	setup_failed(ike, strerror(-err));
}

/* COOKIE and INVALID_KE_PAYLOAD ask for another try (2.6.1, 1.2); they may be forged, so a few
 * times. */
static bool try_again(struct ike_sa *ike, const struct ike_msg *msg)
{
	struct ike_setup *s = ike->setup;
	const struct ike_notify *n = ike_msg_notify(msg, IKE_N_COOKIE);
	_cleanup_free_ struct proposals *ours = NULL;
	__u16 group;

	if (s->retries >= INIT_RETRIES_MAX)
		return false;
	if (n) {
		if (!n->data.len || n->data.len > sizeof(s->cookie))
			return false;
		memcpy(s->cookie, n->data.data, n->data.len);
		s->cookie_len = n->data.len;
	} else {
		n = ike_msg_notify(msg, IKE_N_INVALID_KE_PAYLOAD);
		ours = malloc(sizeof(*ours));
		group = n ? ike_notify_group(n) : 0;
		if (!ours || !group || group == s->group)
			return false;
		ike_conn_proposals(ike->conn, ours);
		if (choose_group(ike, ours, group) < 0)
			return false;
		s->group = group;
	}
	s->retries++;
	x_init_begin(ike);
	return true;
}

/* An error that anybody could have sent: better may come, for a while (2.21.1). */
static void unprotected_error(struct ike_sa *ike, const struct ike_notify *n)
{
	_cleanup_free_ struct proposals *ours = malloc(sizeof(*ours));
	const char *name = ike_notify_name(n->type);
	char text[512] = "";

	if (ike->setup->first_error_told)
		return;
	ike->setup->first_error_told = true;
	if (ours) {
		ike_conn_proposals(ike->conn, ours);
		proposals_print(ours, text, sizeof(text));
	}
	ike_log(ike, LOG_LEVEL_WARN, "the peer refused IKE_SA_INIT: %s (%u); we offered %s",
		name ? name : "error", n->type, text);
	timer_set(&ike->engine->timers, &ike->life, ike_now(ike) + INIT_ERROR_MS);
}

/* *chosen is what the peer chose of ours; its text in `what` if not. */
static int check_answer(const struct ike_sa *ike, const struct ike_msg *msg,
			struct proposal *chosen, const char **what)
{
	_cleanup_free_ struct proposals *list = malloc(2 * sizeof(*list));
	struct ike_fault fault = {0};

	*what = "no memory";
	if (!list)
		return -ENOMEM;
	*what = "its SA payload cannot be read";
	if (payload_sa_parse(msg->sa, &list[1], &fault))
		return -EBADMSG;
	ike_conn_proposals(ike->conn, &list[0]);
	*what = "it chose a proposal that we did not offer";
	if (proposal_accept(&list[0], &list[1], false, chosen))
		return -EBADMSG;
	*what = "its KE payload is of another group";
	if (msg->ke.group != ike->setup->group ||
	    proposal_id(chosen, TRANSFORM_KE) != ike->setup->group)
		return -EBADMSG;
	return 0;
}

/* Through a NAT, or when ESP in UDP is asked for, IKE goes on at 4500 (2.23). */
static void float_ports(struct ike_sa *ike)
{
	if (ike->path.natt || !(ike->nat_local || ike->nat_remote || ike->nat_fake))
		return;
	ike->path.natt = true;
	ike->path.local_port = htons(IKE_NATT_PORT);
	ike->path.remote_port = htons(IKE_NATT_PORT);
}

static void answered(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg)
{
	struct ike_setup *s = ike->setup;
	struct proposal chosen;
	const char *what;
	int err = check_answer(ike, msg, &chosen, &what);

	if (!err) {
		what = "its key exchange is not valid";
		ike->spi_r = msg->h.spi_r;
		err = nonce_set(&s->nonce_r, msg->nonce);
	}
	if (!err)
		err = make_keys(ike, &chosen, msg->ke.data);
	if (!err)
		err = setup_keep(&s->peer, &s->peer_len, msg->raw);
	if (err) {
		/* unprotected as well: the real one may still come */
		ike->spi_r = 0;
		if (engine_error_allowed(ike->engine))
			ike_log(ike, LOG_LEVEL_WARN, "its IKE_SA_INIT response is ignored: %s",
				what);
		return;
	}
	read_extensions(ike, path, msg);
	timer_set(&ike->engine->timers, &ike->life, ike_now(ike) + AUTHING_MS);
	timer_stop(&ike->engine->timers, &ike->w.again);
	free(ike->w.request);
	ike->w.request = NULL;
	ike->w.out_id = 1;
	ike->state = IKE_AUTHING;
	float_ports(ike);
	xchg_free(ike->ours);
	x_auth_begin(ike);
}

void x_init_response(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg)
{
	const struct ike_notify *error = ike_msg_error(msg);

	if (ike->state != IKE_INIT || !ike->initiator || !ike->w.request || msg->h.id != 0) {
		engine_count(ike->engine, ike->conn, ENGINE_IN_UNEXPECTED);
		return;
	}
	if (msg->sa.data && msg->ke.data.data && msg->nonce.data && msg->h.spi_r)
		answered(ike, path, msg);
	else if ((ike_msg_notify(msg, IKE_N_COOKIE) ||
		  ike_msg_notify(msg, IKE_N_INVALID_KE_PAYLOAD)) &&
		 try_again(ike, msg))
		return;
	else if (error)
		unprotected_error(ike, error);
}

/* ------------------------------------------------------------------ responder, without state */

/* Answers one notify, with no IKE SA: responder's SPI 0 (2.6). */
static void reply(struct engine *engine, const struct ike_path *path, const struct ike_msg *msg,
		  enum ike_notify_type type, struct bytes data)
{
	_cleanup_out_ struct ike_out out = {0};
	_cleanup_free_ struct ike_packets *packets = NULL;
	struct ike_header h = {
		.spi_i = msg->h.spi_i, .exchange = IKE_SA_INIT, .flags = IKE_FLAG_RESPONSE};

	ike_out_open(&out, &h);
	ike_out_notify(&out, 0, BYTES_NONE, type, data);
	if (ike_out_plain(&out, &packets))
		return;
	engine_count(engine, NULL, ENGINE_OUT_INIT_RSP);
	engine_send(engine, path, packets);
}

/* false: it was too many of them, and a log line would be, too. */
static bool malformed(struct engine *engine, const struct ike_path *path, const struct ike_msg *msg)
{
	engine_count(engine, NULL, ENGINE_IN_INVALID);
	if (!engine_error_allowed(engine))
		return false;
	reply(engine, path, msg, IKE_N_INVALID_SYNTAX, BYTES_NONE);
	return true;
}

/* 0: go on; else the request has had its answer, or gets none. */
static int admit(struct engine *engine, const struct ike_path *path, const struct ike_msg *msg)
{
	const struct ike_notify *n = ike_msg_notify(msg, IKE_N_COOKIE);
	bool proven = n && cookie_good(&engine->cookies, &engine->env, path, msg->h.spi_i,
				       msg->nonce, n->data);
	enum halfopen_verdict verdict = halfopen_ask(&engine->halfopen, path);
	__u8 cookie[COOKIE_LEN];

	if (n && !proven)
		engine_count(engine, NULL, ENGINE_COOKIE_WRONG);
	if (verdict == HALFOPEN_FULL) {
		engine_count(engine, NULL, ENGINE_HALFOPEN_REFUSED);
		return -EBUSY;
	}
	if (verdict == HALFOPEN_ROOM || proven)
		return 0;
	if (!cookie_make(&engine->cookies, &engine->env, path, msg->h.spi_i, msg->nonce, cookie)) {
		engine_count(engine, NULL, ENGINE_COOKIE_SENT);
		reply(engine, path, msg, IKE_N_COOKIE, BYTES_OF(cookie));
	}
	return -EAGAIN;
}

static void refuse_proposals(struct engine *engine, const struct ike_path *path,
			     const struct ike_msg *msg, const struct proposals *ours,
			     const struct proposals *theirs)
{
	char text[2][512];

	if (!engine_error_allowed(engine))
		return;
	proposals_print(theirs, text[0], sizeof(text[0]));
	proposals_print(ours, text[1], sizeof(text[1]));
	if (ours->n)
		engine_log(
			engine, path, LOG_LEVEL_WARN,
			"we refuse its IKE_SA_INIT: no proposal chosen; it offers %s; we take %s",
			text[0], text[1]);
	else
		engine_log(engine, path, LOG_LEVEL_WARN,
			   "we refuse its IKE_SA_INIT: no connection is for that address");
	reply(engine, path, msg, IKE_N_NO_PROPOSAL_CHOSEN, BYTES_NONE);
}

struct best {
	const struct ike_path *path;
	struct proposals *list; /* ours, theirs */
	struct proposal_choice how;
	struct proposal *chosen;
	struct ike_conn *conn;
	int says;
	unsigned int tries;
};

static bool try_conn(void *arg, struct ike_conn *conn)
{
	struct best *best = arg;
	int says = ike_conn_says(conn, best->path);
	struct proposal chosen;

	if (says < best->says || !says || (says == best->says && conn->order > best->conn->order))
		return true;
	if (++best->tries > INIT_CONNS_MAX)
		return false;
	ike_conn_proposals(conn, &best->list[0]);
	if (proposal_choose(&best->list[0], &best->list[1], &best->how, &chosen))
		return true;
	*best->chosen = chosen;
	best->conn = conn;
	best->says = says;
	return true;
}

/* Of those whose proposals fit the one whose addresses say most, then the one that was loaded
 * first. A stranger makes us look into so many at the most. */
static struct ike_conn *best_of(struct engine *engine, const struct ike_path *path,
				const struct ike_msg *msg, struct proposals *list,
				struct proposal *chosen)
{
	struct best best = {
		.path = path, .list = list, .how = {.ke_group = msg->ke.group}, .chosen = chosen};

	conn_index_at(&engine->index, path, try_conn, &best);
	return best.conn;
}

/* The connection for that address and proposal; NULL: none, it was answered. */
static struct ike_conn *choose(struct engine *engine, const struct ike_path *path,
			       const struct ike_msg *msg, struct proposal *chosen)
{
	_cleanup_free_ struct proposals *list = calloc(2, sizeof(*list));
	struct ike_fault fault = {0};
	struct ike_conn *conn;

	if (!list)
		return NULL;
	if (payload_sa_parse(msg->sa, &list[1], &fault)) {
		malformed(engine, path, msg);
		return NULL;
	}
	conn = best_of(engine, path, msg, list, chosen);
	if (!conn)
		refuse_proposals(engine, path, msg, &list[0], &list[1]);
	return conn;
}

/* ------------------------------------------------------------------ responder, with state */

static int respond(struct ike_sa *ike, const struct proposal *chosen)
{
	struct ike_setup *s = ike->setup;
	struct xchg *x = xchg_new(ike, false, IKE_SA_INIT);
	_cleanup_wishes_ struct wishes wishes = {0};

	if (!x)
		return -ENOMEM;
	wishes_at(ike->engine, &ike->path, &wishes);
	xchg_open(x);
	ike_out_chosen(&x->out, chosen);
	ike_out_ke(&x->out, s->group, dh_public(s->dh));
	ike_out_nonce(&x->out, nonce_view(&s->nonce_r));
	add_nat(ike, &x->out);
	wishes_certreq(&wishes, ike->engine, &x->out);
	add_extensions(&wishes, &x->out);
	return 0;
}

static int open_half(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg,
		     const struct proposal *chosen)
{
	struct engine *engine = ike->engine;
	struct ike_setup *s;
	int err = setup_new(ike);

	if (err)
		return err;
	s = ike->setup;
	s->path = *path;
	s->group = msg->ke.group;
	ike->spi_i = msg->h.spi_i;
	err = setup_half(s);
	if (err)
		return err;
	read_extensions(ike, path, msg);
	nonce_make(engine, &s->nonce_r);
	err = nonce_set(&s->nonce_i, msg->nonce);
	if (!err)
		err = dh_new(s->group, &s->dh);
	if (!err)
		err = setup_keep(&s->peer, &s->peer_len, msg->raw);
	/* the answer is written while the public value is there, and sent when the keys are */
	if (!err)
		err = respond(ike, chosen);
	if (!err)
		err = make_keys(ike, chosen, msg->ke.data);
	return err;
}

static void begin(struct engine *engine, struct ike_conn *conn, const struct ike_path *path,
		  const struct ike_msg *msg, const struct proposal *chosen)
{
	struct ike_sa *ike;
	int err = ike_new(engine, conn, false, path, &ike);

	if (err)
		return;
	err = open_half(ike, path, msg, chosen);
	if (err) {
		if (err == -EBADMSG ? malformed(engine, path, msg) : engine_error_allowed(engine))
			ike_log(ike, LOG_LEVEL_WARN, "its IKE_SA_INIT is refused: %s",
				err == -EBADMSG ? "its key exchange is not valid" : strerror(-err));
		ike_gone(ike, true);
		return;
	}
	ike->state = IKE_AUTHING;
	timer_set(&engine->timers, &ike->life, engine_now(engine) + HALFOPEN_MS);
	xchg_respond(ike->peers);
	if (!ike->w.response ||
	    setup_keep(&ike->setup->own, &ike->setup->own_len, ike_packet(ike->w.response, 0)))
		ike_gone(ike, true);
}

/* 2.1: a retransmission is told by the whole message, for two peers behind one NAT may have the
 * same SPI. It gets the same answer, until IKE_AUTH has come; at another port as well, for a NAT
 * may have given it that. From another address it is as any other first message: admit() says how
 * many of them. */
static bool again(struct engine *engine, const struct ike_path *path, const struct ike_msg *msg)
{
	struct table_link *link =
		table_find(&engine->setup_by_peer, msg->h.spi_i ^ engine->halfopen.salt);

	for (; link; link = table_next(link)) {
		struct ike_setup *s = table_entry(link, struct ike_setup, by_peer);

		if (!bytes_equal(BYTES(s->peer, s->peer_len), msg->raw) ||
		    s->path.family != path->family ||
		    memcmp(&s->path.remote, &path->remote, sizeof(path->remote)) != 0)
			continue;
		engine_count(engine, NULL, ENGINE_RETRANSMIT_IN);
		if (s->ike->w.in_id == 1 && !s->ike->peers && s->ike->w.response)
			engine_send(engine, path, s->ike->w.response);
		return true;
	}
	return false;
}

/* The first message that there can be between two (2.2, 3.1). */
static bool is_first(const struct ike_header *h)
{
	return h->spi_i && !h->spi_r && !h->id && h->flags & IKE_FLAG_INITIATOR;
}

void x_init_request(struct engine *engine, const struct ike_path *path, const struct ike_msg *msg)
{
	struct proposal chosen;
	struct ike_conn *conn;
	__be16 group;

	if (!is_first(&msg->h)) {
		engine_count(engine, NULL, ENGINE_IN_UNEXPECTED);
		return;
	}
	if (!msg->sa.data || !msg->ke.data.data || !msg->nonce.data) {
		malformed(engine, path, msg);
		return;
	}
	if (again(engine, path, msg) || admit(engine, path, msg))
		return;
	conn = choose(engine, path, msg, &chosen);
	if (!conn)
		return;
	if (proposal_id(&chosen, TRANSFORM_KE) != msg->ke.group) {
		/* not limited: it is shorter than the request, and a flood meets cookies first */
		group = htons(proposal_id(&chosen, TRANSFORM_KE));
		reply(engine, path, msg, IKE_N_INVALID_KE_PAYLOAD, BYTES_OF(group));
		return;
	}
	begin(engine, conn, path, msg, &chosen);
}
