// SPDX-License-Identifier: BSD-2-Clause
/* The child's side of the channel to the parent: what it is sent, and what it asks. */
#include "iked/child_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "iked/conn_pack.h"
#include "iked/hostile.h"
#include "iked/keylog.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* ------------------------------------------------------------------ connections */

static void on_conn(struct child *c, int fd)
{
	struct conn conn = {0};
	char name[CONN_NAME_LEN];
	int err = conn_unpack(fd, &conn);

	if (err) {
		log_error("a connection cannot be read: %s", strerror(-err));
		return;
	}
	memcpy(name, conn.name, sizeof(name));
	err = engine_conn_load(c->engine, &conn);
	if (err)
		log_error("%s cannot be loaded: %s", name, strerror(-err));
	else if (c->listed)
		child_orphans_tell(c, name);
}

static void on_conn_gone(struct child *c, const char *name)
{
	struct engine_match match = {.ike = name};

	/* Its policies went with it: nobody could use these SAs any more. */
	engine_terminate(c->engine, &match, false, 0);
	engine_conn_unload(c->engine, name);
}

/* ------------------------------------------------------------------ certificates */

static void on_trust_begin(struct child *c)
{
	cert_store_free(c->next_trust);
	c->next_trust = cert_store_new();
	c->crl_missing = false;
}

static void on_ca(struct child *c, const struct chan_blob *m)
{
	char why[256] = "";

	if (c->next_trust &&
	    cert_store_add_ca(c->next_trust, BYTES(m->data, m->data_len), why, sizeof(why)))
		log_error("a CA certificate is not used: %s", why);
}

/* -1: the parent cannot open it, and has said so. */
static void on_crl(struct child *c, int fd)
{
	_cleanup_free_ __u8 *data = NULL;
	char why[256] = "";
	size_t len = 0;
	int err = fd < 0 ? 0 : conn_read_all(fd, CRL_SIZE_MAX, &data, &len);

	if (fd < 0)
		c->crl_missing = true;
	else if (err)
		snprintf(why, sizeof(why), "%s", strerror(-err));
	else if (c->next_trust)
		err = cert_store_add_crl(c->next_trust, BYTES(data, len), why, sizeof(why));
	if (!err)
		return;
	log_error("a CRL is not used: %s", why);
	c->crl_missing = true;
}

/* Somebody may be writing it at this moment: what it revoked does not become good by that. */
static void keep_crls(struct child *c)
{
	int err = c->trust ? cert_store_keep_crls(c->next_trust, c->trust) : 0;

	if (err)
		log_error("the CRLs of before cannot be kept: %s", strerror(-err));
	else
		log_warn("not every CRL can be read: those of before stay in force where no newer "
			 "one has come");
}

static void on_trust_end(struct child *c)
{
	struct cert_store *old = c->trust;

	if (!c->next_trust)
		return;
	if (c->crl_missing)
		keep_crls(c);
	c->trust = c->next_trust;
	c->next_trust = NULL;
	engine_trust(c->engine, c->trust);
	cert_store_free(old);
}

/* ------------------------------------------------------------------ the rest */

static void on_keylog(struct child *c, int *fds, unsigned int n)
{
	if (c->keylog >= 0)
		close(c->keylog);
	c->keylog = n ? fds[0] : -1;
	if (n)
		fds[0] = -1;
	engine_save_keys(c->engine, c->keylog >= 0);
}

static void on_sadb(struct child *c, int *fds)
{
	child_sadb_link(c, fds[0]);
	fds[0] = -1;
	if (c->hostile && !c->hostile_done) {
		c->hostile_done = true;
		child_hostile(c->hostile, c);
	}
}

/* Deletes go out once. */
static void on_stop(struct child *c, const struct chan_stop *m)
{
	c->stopping = true;
	if (!m->leave) {
		engine_terminate_all(c->engine);
		child_sadb_delete_late(c);
		child_orphans_delete(c);
	}
	child_udp_close(c);
	child_sadb_finish(c);
}

static void on_paths(struct child *c, const struct chan_paths_answer *m)
{
	engine_answer_paths(c->engine, m->id, m->err, m->path, m->n);
}

static void on_auth(struct child *c, const struct chan_auth_answer *m)
{
	if (m->verify)
		engine_answer_psk(c->engine, m->id, m->err);
	else
		engine_answer_auth(c->engine, m->id, m->err, m->method, m->data, m->data_len);
}

void child_parent_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	struct child *c = ctx;
	const void *m = hdr;

	switch (hdr->type) {
	case CHAN_SADB: on_sadb(c, fds); break;
	case CHAN_SOCKETS:
		child_udp_sockets(c, ((const struct chan_sockets *)m)->have, fds, n);
		break;
	case CHAN_CONN: on_conn(c, fds[0]); break;
	case CHAN_CONN_GONE: on_conn_gone(c, ((const struct chan_name *)m)->name); break;
	case CHAN_CONN_START: child_sadb_start(c, ((const struct chan_name *)m)->name); break;
	case CHAN_TRUST_BEGIN: on_trust_begin(c); break;
	case CHAN_CA: on_ca(c, m); break;
	case CHAN_CRL: on_crl(c, n ? fds[0] : -1); break;
	case CHAN_TRUST_END: on_trust_end(c); break;
	case CHAN_KEYLOG: on_keylog(c, fds, n); break;
	case CHAN_VICI: child_vici_command(c, m); break;
	case CHAN_VICI_MORE: child_vici_more(c, m); break;
	case CHAN_VICI_WANTED: c->vici_wanted = ((const struct chan_wanted *)m)->events; break;
	case CHAN_STOP: on_stop(c, m); return;
	case CHAN_PATHS_ANSWER: on_paths(c, m); break;
	case CHAN_AUTH_ANSWER: on_auth(c, m); break;
	default: log_error("the parent says what is not for the child (%u)", hdr->type);
	}
	child_plan(c);
}

void child_parent_free(struct child *c)
{
	if (c->keylog >= 0)
		close(c->keylog);
}

void child_parent_sadb_gone(struct child *c)
{
	struct chan_gone m = {.number = c->n_links};

	chan_send(c->chan, CHAN_SADB_GONE, &m, sizeof(m), NULL, 0);
}

/* ------------------------------------------------------------------ questions */

void child_parent_paths(void *ctx, __u64 id, const char *conn)
{
	struct child *c = ctx;
	struct chan_paths m = {.id = id};

	memcpy(m.name, conn, strnlen(conn, sizeof(m.name) - 1));
	chan_send(c->chan, CHAN_PATHS, &m, sizeof(m), NULL, 0);
}

static __u8 *append(__u8 *at, const __u8 *data, size_t len)
{
	if (len)
		memcpy(at, data, len);
	return at + len;
}

_Static_assert(sizeof(struct chan_auth) + IKE_MESSAGE_MAX + IKE_NONCE_MAX + PRF_LEN_MAX +
			       IDENT_LEN_MAX + 4 + IKE_AUTH_MAX <=
		       CHAN_MAX,
	       "whatever the engine asks fits into a message");

/* Direction of failure: what finds no memory gets no answer, and the exchange runs into its time
 * limit (HALFOPEN_MS, AUTHING_MS). */
static void ask_auth(struct child *c, __u64 id, const struct ike_auth_ask *ask, bool verify)
{
	size_t sum =
		ask->message_len + ask->nonce_len + ask->sk_p_len + ask->id_len + ask->auth_len;
	size_t len = sizeof(struct chan_auth) + sum;
	struct chan_auth *m = len <= CHAN_MAX ? calloc(1, len) : NULL;
	__u8 *at;

	if (!m) {
		log_error("%s: AUTH cannot be asked of the parent", ask->conn);
		return;
	}
	m->id = id;
	memcpy(m->name, ask->conn, strnlen(ask->conn, sizeof(m->name) - 1));
	m->path = *ask->path;
	m->verify = verify;
	m->initiator = ask->initiator;
	m->prf = ask->prf;
	for (; m->n_hashes < ask->n_hashes && m->n_hashes < CHAN_HASHES_MAX; m->n_hashes++)
		m->hashes[m->n_hashes] = ask->hashes[m->n_hashes];
	m->message_len = (__u32)ask->message_len;
	m->nonce_len = (__u32)ask->nonce_len;
	m->sk_p_len = (__u32)ask->sk_p_len;
	m->id_len = (__u32)ask->id_len;
	m->auth_len = (__u32)ask->auth_len;
	at = append(m->data, ask->message, ask->message_len);
	at = append(at, ask->nonce, ask->nonce_len);
	at = append(at, ask->sk_p, ask->sk_p_len);
	at = append(at, ask->id, ask->id_len);
	append(at, ask->auth, ask->auth_len);
	chan_send(c->chan, CHAN_AUTH, m, len, NULL, 0);
	OPENSSL_cleanse(m, len);
	free(m);
}

void child_parent_auth_make(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
	ask_auth(ctx, id, ask, false);
}

void child_parent_psk_verify(void *ctx, __u64 id, const struct ike_auth_ask *ask)
{
	ask_auth(ctx, id, ask, true);
}

/* ------------------------------------------------------------------ the key log */

void child_parent_keylog(void *ctx, const struct ike_keylog *line)
{
	struct child *c = ctx;
	char text[KEYLOG_LINE_MAX];
	int len;

	if (c->keylog < 0)
		return;
	len = keylog_ike(line->spi_i, line->spi_r, line->keys, text, sizeof(text));
	if (len > 0 && write(c->keylog, text, (size_t)len) != len)
		log_error("keys cannot be written to save_keys: %s", strerror(errno));
	OPENSSL_cleanse(text, sizeof(text));
}
