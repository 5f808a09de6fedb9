// SPDX-License-Identifier: BSD-2-Clause
#include "iked/peer_auth.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/auth.h"
#include "iked/engine_state.h"
#include "lib/cleanup.h"

struct ident *peer_auth_own_id(const struct ike_conn *conn, const struct ike_path *path)
{
	if (conn->local_id && !ident_is_pattern(conn->local_id))
		return ident_copy(conn->local_id);
	return ident_of_addr(path->family, path->local.byte);
}

/* ------------------------------------------------------------------ which connection */

static bool kind_fits(const struct conn_auth *auth, __u8 method)
{
	return (auth->kind == CONN_AUTH_PSK) == (method == IKE_AUTH_PSK);
}

static bool suite_fits(const struct ike_conn *conn, const struct ike_suite *suite)
{
	_cleanup_free_ struct proposals *list = malloc(2 * sizeof(*list));
	struct proposal_choice how = {.ke_group = suite->ke};
	struct proposal *p, chosen;

	if (!list)
		return false;
	ike_conn_proposals(conn, &list[0]);
	list[1].n = 1;
	p = &list[1].p[0];
	*p = (struct proposal){.number = 1, .protocol = PROPOSAL_IKE};
	p->t[p->n++] = (struct transform){
		.type = TRANSFORM_ENCR, .id = suite->encr, .key_bits = suite->key_bits};
	p->t[p->n++] = (struct transform){.type = TRANSFORM_PRF, .id = suite->prf};
	if (suite->integ)
		p->t[p->n++] = (struct transform){.type = TRANSFORM_INTEG, .id = suite->integ};
	p->t[p->n++] = (struct transform){.type = TRANSFORM_KE, .id = suite->ke};
	return !proposal_choose(&list[0], &list[1], &how, &chosen);
}

/* 0: not for these two. */
static int says_of(const struct ike_conn *conn, const struct ike_path *path,
		   const struct ident *id_i, const struct ident *id_r)
{
	_cleanup_free_ struct ident *own = peer_auth_own_id(conn, path);

	if (id_r && (!own || !ident_match(id_r, own)))
		return 0;
	return conn->remote_id ? ident_match(conn->remote_id, id_i) : 1;
}

struct best {
	const struct ike_sa *ike;
	const struct ident *id_i, *id_r;
	__u8 method;
	struct ike_conn *conn;
	int says;
};

static bool try_conn(void *arg, struct ike_conn *conn)
{
	struct best *best = arg;
	const struct ike_sa *ike = best->ike;
	int addrs = ike_conn_says(conn, &ike->path), says;

	if (!addrs || !kind_fits(&conn->model.remote, best->method))
		return true;
	says = says_of(conn, &ike->path, best->id_i, best->id_r) * IKE_CONN_SAYS;
	if (!says || says + addrs < best->says ||
	    (says + addrs == best->says && conn->order > best->conn->order) ||
	    !suite_fits(conn, &ike->suite))
		return true;
	best->conn = conn;
	best->says = says + addrs;
	return true;
}

/* Identities count first, then addresses, then the order of loading. */
struct ike_conn *peer_auth_choose(const struct ike_sa *ike, const struct ident *id_i,
				  const struct ident *id_r, __u8 method)
{
	struct best best = {.ike = ike, .id_i = id_i, .id_r = id_r, .method = method};

	conn_index_peer(&ike->engine->index, &ike->path, id_i, try_conn, &best);
	return best.conn;
}

/* ------------------------------------------------------------------ AUTH */

static struct auth_in inputs(const struct ike_sa *ike, const struct ike_id *id)
{
	const struct ike_setup *s = ike->setup;
	bool peer_initiates = !ike->initiator;

	return (struct auth_in){
		.initiator = peer_initiates,
		.init = BYTES(s->peer, s->peer_len),
		.nonce = nonce_view(peer_initiates ? &s->nonce_r : &s->nonce_i),
		.prf = ike->suite.prf,
		.sk_p = BYTES(peer_initiates ? ike->keys->sk_pi : ike->keys->sk_pr, ike->keys->len),
		.id = id->body};
}

static void ask_psk(struct xchg *x, const struct ike_msg *msg, const struct ike_id *id,
		    void (*then)(struct xchg *x, const struct answer *answer))
{
	struct ike_sa *ike = x->ike;
	struct auth_in in = inputs(ike, id);
	struct ike_auth_ask ask = {.conn = ike->conn->model.name,
				   .path = &ike->path,
				   .initiator = in.initiator,
				   .prf = in.prf,
				   .message = in.init.data,
				   .message_len = in.init.len,
				   .nonce = in.nonce.data,
				   .nonce_len = in.nonce.len,
				   .sk_p = in.sk_p.data,
				   .sk_p_len = in.sk_p.len,
				   .id = in.id.data,
				   .id_len = in.id.len,
				   .auth = msg->auth.data.data,
				   .auth_len = msg->auth.data.len};

	ike->engine->env.psk_verify(ike->engine->env.ctx, xchg_ask(x, then), &ask);
}

static unsigned int collect(const struct ike_msg *msg, const struct conn_blobs *pinned,
			    struct bytes *certs)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < msg->n_cert && n < CERT_CHAIN_MAX; i++)
		if (msg->cert[i].encoding == IKE_CERT_X509_SIGNATURE)
			certs[n++] = msg->cert[i].data;
	/* Who sends none may be known by its certificate all the same. */
	for (unsigned int i = 0; !msg->n_cert && i < pinned->n && n < CERT_CHAIN_MAX; i++)
		certs[n++] = BYTES(pinned->blob[i].data, pinned->blob[i].len);
	return n;
}

static int check_cert(const struct ike_sa *ike, const struct ike_msg *msg, struct cert_peer *peer,
		      char *why, size_t size)
{
	const struct conn_auth *remote = &ike->conn->model.remote;
	const unsigned int hashes = remote->chain_hashes;
	struct bytes certs[CERT_CHAIN_MAX], pinned[CONN_CERTS_MAX];
	struct cert_policy policy = {.now = ike->engine->wall + ike_now(ike) / 1000,
				     .revocation = (enum cert_revocation)remote->revocation,
				     .pinned = pinned,
				     .n_pinned = remote->certs.n,
				     .cas = BYTES(ike->conn->cas, ike->conn->cas_len),
				     .ca_id = ike->conn->ca_id,
				     .min_rsa = remote->min_rsa,
				     .min_ecdsa = remote->min_ecdsa};
	unsigned int n = collect(msg, &remote->certs, certs);

	policy.hashes |= hashes & CONN_HASH_SHA256 ? 1U << IKE_HASH_SHA256 : 0;
	policy.hashes |= hashes & CONN_HASH_SHA384 ? 1U << IKE_HASH_SHA384 : 0;
	policy.hashes |= hashes & CONN_HASH_SHA512 ? 1U << IKE_HASH_SHA512 : 0;
	for (unsigned int i = 0; i < remote->certs.n && i < CONN_CERTS_MAX; i++)
		pinned[i] = BYTES(remote->certs.blob[i].data, remote->certs.blob[i].len);
	if (!n || (!ike->engine->trust && (!policy.n_pinned || policy.ca_id))) {
		snprintf(why, size, "%s", n ? "no CA is trusted" : "it sent no certificate");
		return -EACCES;
	}
	return cert_check(ike->engine->trust, certs, n, ike->remote_id, &policy, peer, why, size);
}

/* What the connection's `auth` allows of the signature in AUTH. */
static bool scheme_allowed(const struct conn_auth *remote, enum auth_scheme scheme)
{
	static const struct {
		unsigned int key, hash;
	} of[AUTH_SCHEME_COUNT] = {
		[AUTH_RSA_PKCS1_SHA256] = {CONN_KEY_RSA, CONN_HASH_SHA256},
		[AUTH_RSA_PKCS1_SHA384] = {CONN_KEY_RSA, CONN_HASH_SHA384},
		[AUTH_RSA_PKCS1_SHA512] = {CONN_KEY_RSA, CONN_HASH_SHA512},
		[AUTH_RSA_PSS_SHA256] = {CONN_KEY_RSA_PSS, CONN_HASH_SHA256},
		[AUTH_RSA_PSS_SHA384] = {CONN_KEY_RSA_PSS, CONN_HASH_SHA384},
		[AUTH_RSA_PSS_SHA512] = {CONN_KEY_RSA_PSS, CONN_HASH_SHA512},
		[AUTH_ECDSA_SHA256] = {CONN_KEY_ECDSA, CONN_HASH_SHA256},
		[AUTH_ECDSA_SHA384] = {CONN_KEY_ECDSA, CONN_HASH_SHA384},
		[AUTH_ECDSA_SHA512] = {CONN_KEY_ECDSA, CONN_HASH_SHA512},
		[AUTH_ECDSA_256] = {CONN_KEY_ECDSA, CONN_HASH_SHA256},
		[AUTH_ECDSA_384] = {CONN_KEY_ECDSA, CONN_HASH_SHA384},
		[AUTH_ECDSA_521] = {CONN_KEY_ECDSA, CONN_HASH_SHA512},
		[AUTH_ED25519] = {CONN_KEY_ED25519, 0},
		[AUTH_ED448] = {CONN_KEY_ED448, 0},
	};

	return (!remote->keys || remote->keys & of[scheme].key) &&
	       (!remote->hashes || !of[scheme].hash || remote->hashes & of[scheme].hash);
}

static int check_signature(const struct ike_sa *ike, const struct ike_msg *msg,
			   const struct ike_id *id, char *why, size_t size)
{
	struct auth_in in = inputs(ike, id);
	enum auth_scheme scheme = AUTH_SCHEME_NONE;
	struct cert_peer peer = {0};
	int err = check_cert(ike, msg, &peer, why, size);

	if (err)
		return err;
	snprintf(why, size, "its signature is wrong");
	err = auth_verify(&in, peer.key, msg->auth.method, msg->auth.data, &scheme, why, size);
	if (!err && !scheme_allowed(&ike->conn->model.remote, scheme)) {
		snprintf(why, size, "%s is not what `auth` allows", auth_scheme_name(scheme));
		err = -EACCES;
	}
	cert_peer_free(&peer);
	return err;
}

void peer_auth_check(struct xchg *x, const struct ike_msg *msg, const struct ike_id *id,
		     void (*then)(struct xchg *x, const struct answer *answer))
{
	struct ike_sa *ike = x->ike;
	char why[256] = "";
	struct answer answer = {.text = why};

	ike->auth_remote = msg->auth.method;
	if (!kind_fits(&ike->conn->model.remote, msg->auth.method)) {
		snprintf(why, sizeof(why), "it authenticates by method %u, we want %s",
			 msg->auth.method,
			 ike->conn->model.remote.kind == CONN_AUTH_PSK ? "a pre-shared key"
								       : "a signature");
		answer.err = -EACCES;
	} else if (msg->auth.data.len > IKE_AUTH_MAX) {
		snprintf(why, sizeof(why), "its AUTH has %zu bytes, %d are the most",
			 msg->auth.data.len, IKE_AUTH_MAX);
		answer.err = -EMSGSIZE;
	} else if (msg->auth.method == IKE_AUTH_PSK) {
		ask_psk(x, msg, id, then);
		return;
	} else {
		answer.err = check_signature(ike, msg, id, why, sizeof(why));
	}
	then(x, &answer);
}
