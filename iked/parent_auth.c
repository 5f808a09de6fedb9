// SPDX-License-Identifier: BSD-2-Clause
/*
 * AUTH for the child: the one service by which a private key or a preshared key is used. The octets
 * are built here (RFC 7296 2.15) of what the child says was exchanged and of an identity that the
 * child has no say in; auth.h refuses whatever is not an IKE_SA_INIT message. So a child that was
 * taken over can at worst authenticate as what the config names it, for IKE, while it lives.
 */
#include "iked/parent_inside.h"

#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "iked/auth.h"
#include "iked/cert.h"
#include "lib/cleanup.h"

static void ident_freep(struct ident **id)
{
	free(*id);
}
#define _cleanup_ident_ __attribute__((cleanup(ident_freep)))

static bool has_address(const struct sockaddr *sa, const struct ike_path *path)
{
	if (sa && sa->sa_family == AF_INET && path->family == XIPSEC_FAMILY_IP4)
		return !memcmp(&((const struct sockaddr_in *)sa)->sin_addr, path->local.byte, 4);
	if (sa && sa->sa_family == AF_INET6 && path->family == XIPSEC_FAMILY_IP6)
		return !memcmp(&((const struct sockaddr_in6 *)sa)->sin6_addr, path->local.byte, 16);
	return false;
}

/* Does this host have that address? bind() is no answer: ip_nonlocal_bind lets it take any. */
static bool address_is_ours(const struct ike_path *path)
{
	struct ifaddrs *list, *at;
	bool found = false;

	if (getifaddrs(&list))
		return false;
	for (at = list; at && !found; at = at->ifa_next)
		found = has_address(at->ifa_addr, path);
	freeifaddrs(list);
	return found;
}

/* Ours, by the config; else the subject of our certificate, else our address. -EACCES: it is that,
 * and it is not ours. */
static int own_identity(const struct parent *p, const struct conn *conn,
			const struct ike_path *path, struct ident **out)
{
	struct bytes chain[CREDS_CHAIN_MAX];
	char why[160];

	if (conn->local.id && strcmp(conn->local.id, "%any") != 0)
		return ident_parse(conn->local.id, out, why, sizeof(why));
	if (conn->local.kind == CONN_AUTH_PUBKEY && creds_chain(p->creds, conn, chain))
		*out = cert_default_id(chain[0]);
	if (*out)
		return 0;
	if (!address_is_ours(path))
		return -EACCES;
	*out = ident_of_addr(path->family, path->local.byte);
	return *out ? 0 : -ENOMEM;
}

/* May that peer use this connection's PSK at all? The child has checked it; it may have been taken
 * over, and ask for a MAC by another's PSK, or for a yes to one. */
static bool peer_fits(const struct conn *conn, const struct ident *peer)
{
	_cleanup_ident_ struct ident *pattern = NULL;
	char why[160];

	if (!conn->remote.id)
		return true;
	return !ident_parse(conn->remote.id, &pattern, why, sizeof(why)) &&
	       ident_match(pattern, peer) > 0;
}

/* Is it where the config says that the peer is? What a name stands for today the resolver knows. */
static bool address_fits(const struct conn *conn, const struct ike_path *path)
{
	for (unsigned int i = 0; i < conn->remote_addrs.n; i++)
		if (conn->remote_addrs.host[i].kind == CONN_HOST_NAME)
			return true;
	return !conn->remote_addrs.n ||
	       conn_hosts_match(&conn->remote_addrs, &path->remote, path->family);
}

/* The peer by what the config says; else by where it is. */
static int peer_by_config(const struct conn *conn, const struct ike_path *path, struct ident **out)
{
	char why[160];

	if (conn->remote.id && strcmp(conn->remote.id, "%any") != 0)
		return ident_parse(conn->remote.id, out, why, sizeof(why));
	if (!address_fits(conn, path))
		return -EACCES;
	*out = ident_of_addr(path->family, path->remote.byte);
	return *out ? 0 : -ENOMEM;
}

/* Whose PSK it is: what the child says that the peer is, if the connection is for that; without a
 * word of the child (an initiator does not know yet who will answer) peer_by_config(). It chooses a
 * PSK, nothing else. -EACCES: it is not for that peer. */
static int peer_identity(const struct conn *conn, const struct ike_path *path, struct bytes id,
			 struct ident **out)
{
	struct ike_id payload;
	char why[160];

	if (!id.len)
		return peer_by_config(conn, path, out);
	if (id.len <= 4)
		return -EACCES;
	payload = (struct ike_id){.type = id.data[0], .data = BYTES(id.data + 4, id.len - 4)};
	if (ident_of_payload(&payload, out, why, sizeof(why)))
		return -EACCES;
	return peer_fits(conn, *out) ? 0 : -EACCES;
}

struct parts {
	struct bytes message, nonce, sk_p, id, auth;
};

/* chan_check() has seen that they add up. */
static struct parts parts_of(const struct chan_auth *ask)
{
	const __u8 *at = ask->data;
	struct parts p;

	p.message = BYTES(at, ask->message_len);
	p.nonce = BYTES(at += ask->message_len, ask->nonce_len);
	p.sk_p = BYTES(at += ask->nonce_len, ask->sk_p_len);
	p.id = BYTES(at += ask->sk_p_len, ask->id_len);
	p.auth = BYTES(at + ask->id_len, ask->auth_len);
	return p;
}

static struct auth_in inputs(const struct chan_auth *ask, const struct parts *parts,
			     struct bytes id)
{
	return (struct auth_in){.initiator = ask->initiator,
				.init = parts->message,
				.nonce = parts->nonce,
				.prf = ask->prf,
				.sk_p = parts->sk_p,
				.id = id};
}

static __u32 hashes_of(const struct chan_auth *ask)
{
	__u32 bits = 0;

	for (__u32 i = 0; i < ask->n_hashes; i++)
		if (ask->hashes[i] < 32)
			bits |= 1U << ask->hashes[i];
	return bits;
}

/* ------------------------------------------------------------------ schemes */

/* The config may want PKCS#1 v1.5, or a hash: then the others are as if the peer did not know them.
 */
static enum auth_scheme choose(const struct conn *conn, EVP_PKEY *key, __u32 hashes)
{
	const unsigned int want = conn->local.hashes;
	__u32 wanted = 0;
	enum auth_scheme scheme;

	wanted |= want & CONN_HASH_SHA256 ? 1U << IKE_HASH_SHA256 : 0;
	wanted |= want & CONN_HASH_SHA384 ? 1U << IKE_HASH_SHA384 : 0;
	wanted |= want & CONN_HASH_SHA512 ? 1U << IKE_HASH_SHA512 : 0;
	if (want && hashes)
		hashes &= wanted | 1U << IKE_HASH_IDENTITY;
	scheme = auth_scheme_choose(key, hashes);
	if (!(conn->local.keys & CONN_KEY_RSA) || conn->local.keys & CONN_KEY_RSA_PSS)
		return scheme;
	switch (scheme) {
	case AUTH_RSA_PSS_SHA256: return AUTH_RSA_PKCS1_SHA256;
	case AUTH_RSA_PSS_SHA384: return AUTH_RSA_PKCS1_SHA384;
	case AUTH_RSA_PSS_SHA512: return AUTH_RSA_PKCS1_SHA512;
	default: return scheme;
	}
}

static int sign(const struct parent *p, const struct conn *conn, const struct auth_in *in,
		__u32 hashes, __u8 *method, struct writer *out)
{
	struct bytes chain[CREDS_CHAIN_MAX];
	EVP_PKEY *key = creds_chain(p->creds, conn, chain) ? creds_key(p->creds, chain[0]) : NULL;
	enum auth_scheme scheme;

	if (!key) {
		log_error("%s: no private key belongs to the certificate of its local end",
			  conn->name);
		return -ENOENT;
	}
	scheme = choose(conn, key, hashes);
	if (scheme == AUTH_SCHEME_NONE) {
		log_error("%s: the peer can verify no signature that this key makes (SHA-1 is not "
			  "made)",
			  conn->name);
		return -EOPNOTSUPP;
	}
	*method = auth_scheme_method(scheme);
	return auth_sign(in, key, scheme, out);
}

/* ------------------------------------------------------------------ answers */

static int make(const struct parent *p, const struct conn *conn, const struct chan_auth *ask,
		__u8 *method, struct writer *out)
{
	_cleanup_ident_ struct ident *me = NULL, *peer = NULL;
	struct parts parts = parts_of(ask);
	_cleanup_writer_ struct writer id = {0};
	__u8 mac[PRF_LEN_MAX];
	struct auth_in in;
	struct bytes psk;
	int err = own_identity(p, conn, &ask->path, &me);

	if (err)
		return err;
	auth_id_body(&id, me->type, BYTES(me->data, me->len));
	in = inputs(ask, &parts, writer_view(&id));
	if (id.err)
		return id.err;
	if (conn->local.kind == CONN_AUTH_PUBKEY)
		return sign(p, conn, &in, hashes_of(ask), method, out);
	err = peer_identity(conn, &ask->path, parts.id, &peer);
	if (err)
		return err;
	psk = creds_psk(p->creds, me, peer);
	/* who will answer may be called otherwise than by its address: it must show that it has it
	 */
	if (!psk.data && !parts.id.len)
		psk = creds_psk(p->creds, me, NULL);
	if (!psk.data) {
		log_error("%s: secrets {} has no ike secret for these identities", conn->name);
		return -ENOENT;
	}
	*method = IKE_AUTH_PSK;
	err = auth_psk(&in, psk, mac);
	if (!err)
		writer_bytes(out, BYTES(mac, prf_len(ask->prf)));
	OPENSSL_cleanse(mac, sizeof(mac));
	return err ? err : out->err;
}

static int verify(const struct parent *p, const struct conn *conn, const struct chan_auth *ask)
{
	_cleanup_ident_ struct ident *me = NULL, *peer = NULL;
	struct parts parts = parts_of(ask);
	struct auth_in in = inputs(ask, &parts, parts.id);
	struct bytes psk;
	int err;

	if (conn->remote.kind != CONN_AUTH_PSK || parts.id.len <= 4)
		return -EACCES;
	err = own_identity(p, conn, &ask->path, &me);
	if (err)
		return err;
	err = peer_identity(conn, &ask->path, parts.id, &peer);
	if (err)
		return err;
	psk = creds_psk(p->creds, me, peer);
	return psk.data ? auth_psk_verify(&in, psk, parts.auth) : -ENOENT;
}

static void answer(struct parent *p, const struct chan_auth *ask, int err, __u8 method,
		   struct bytes data)
{
	union {
		struct chan_auth_answer m;
		__u8 room[sizeof(struct chan_auth_answer) + IKE_AUTH_MAX];
	} u = {0};

	u.m.id = ask->id;
	u.m.verify = ask->verify;
	u.m.method = method;
	u.m.err = !err && data.len > IKE_AUTH_MAX ? -EMSGSIZE : err;
	if (!u.m.err) {
		u.m.data_len = (__u32)data.len;
		if (data.len)
			memcpy(u.m.data, data.data, data.len);
	}
	chan_send(proc_chan(p->child), CHAN_AUTH_ANSWER, &u, sizeof(u.m) + u.m.data_len, NULL, 0);
}

void parent_auth(struct parent *p, const struct chan_auth *ask)
{
	_cleanup_writer_ struct writer data = {0};
	const struct conn *conn;
	__u8 method = 0;
	int err = -ENOENT;

	parent_settle(p);
	conn = parent_conn(p, ask->name);
	if (conn)
		err = ask->verify ? verify(p, conn, ask) : make(p, conn, ask, &method, &data);
	answer(p, ask, err, method, err ? BYTES_NONE : writer_view(&data));
}
