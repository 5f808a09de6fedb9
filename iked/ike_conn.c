// SPDX-License-Identifier: BSD-2-Clause
#include "iked/ike_conn.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/evp.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "lib/cleanup.h"

#define CONN_TIMERS 2

struct ike_conn *ike_conn_ref(struct ike_conn *conn)
{
	if (conn)
		conn->refs++;
	return conn;
}

void ike_conn_unref(struct ike_conn *conn)
{
	if (!conn || --conn->refs)
		return;
	timer_stop(&conn->engine->timers, &conn->retry);
	timer_stop(&conn->engine->timers, &conn->child_retry);
	engine_timers_give(conn->engine, CONN_TIMERS);
	free(conn->child_try);
	conn_clear(&conn->model);
	free(conn->local_id);
	free(conn->remote_id);
	free(conn->cas);
	free(conn->ca_id);
	free(conn);
}

void ike_conn_unrefp(struct ike_conn **conn)
{
	ike_conn_unref(*conn);
}

/* ------------------------------------------------------------------ loading */

static int check_words(const struct engine *engine, const struct conn *model,
		       const struct conn_texts *words, enum proposal_protocol protocol)
{
	_cleanup_free_ struct proposals *list = calloc(1, sizeof(*list));
	char why[160];

	if (!list)
		return -ENOMEM;
	for (unsigned int i = 0; i < words->n; i++)
		if (proposals_add(list, protocol, words->text[i], why, sizeof(why))) {
			engine_log(engine, NULL, LOG_LEVEL_ERROR, "%s: proposal \"%s\": %s",
				   model->name, words->text[i], why);
			return -EINVAL;
		}
	return 0;
}

static enum proposal_protocol protocol_of(const struct conn_child *child)
{
	return child->l4_proto == IPPROTO_AH ? PROPOSAL_AH : PROPOSAL_ESP;
}

static int check_proposals(const struct engine *engine, const struct conn *model)
{
	int err = check_words(engine, model, &model->proposals, PROPOSAL_IKE);

	for (unsigned int i = 0; !err && i < model->n_children; i++)
		err = check_words(engine, model, &model->children[i].proposals,
				  protocol_of(&model->children[i]));
	return err;
}

static int parse_id(const struct ike_conn *conn, const char *text, struct ident **out)
{
	char why[160];
	int err;

	if (!text)
		return 0;
	err = ident_parse(text, out, why, sizeof(why));
	if (err)
		engine_log(conn->engine, NULL, LOG_LEVEL_ERROR, "%s: identity \"%s\": %s",
			   conn->model.name, text, err == -EINVAL ? why : "no memory");
	return err;
}

/* Of remote.cacerts: only chains through these are good. */
static int hash_cas(struct ike_conn *conn)
{
	const struct conn_blobs *cas = &conn->model.remote.cacerts;
	_cleanup_writer_ struct writer hashes = {0};
	struct cert_store *store;
	char why[160];
	int err = 0;

	if (!cas->n)
		return 0;
	store = cert_store_new();
	if (!store)
		return -ENOMEM;
	for (unsigned int i = 0; !err && i < cas->n; i++) {
		err = cert_store_add_ca(store, BYTES(cas->blob[i].data, cas->blob[i].len), why,
					sizeof(why));
		if (err)
			engine_log(conn->engine, NULL, LOG_LEVEL_ERROR, "%s: cacerts: %s",
				   conn->model.name, why);
	}
	if (!err) {
		cert_store_hashes(store, &hashes);
		err = hashes.err;
	}
	cert_store_free(store);
	if (err)
		return err;
	conn->cas = take_ptr(hashes.data);
	conn->cas_len = hashes.len;
	return 0;
}

/* What is sent with each AUTH, and what a peer's is compared with: DER, made once. One that cannot
 * be read is sent to nobody, and no peer has it. */
static int read_certs(const struct ike_conn *conn, const char *end, const struct conn_blobs *certs)
{
	for (unsigned int i = 0; i < certs->n; i++) {
		struct conn_blob *blob = &certs->blob[i];
		_cleanup_writer_ struct writer der = {0};
		int err = blob->data ? cert_der(BYTES(blob->data, blob->len), &der) : 0;

		if (!blob->data)
			continue;
		if (err == -ENOMEM)
			return err;
		if (err)
			engine_log(conn->engine, NULL, LOG_LEVEL_ERROR,
				   "%s: %s.certs: no certificate can be read in it",
				   conn->model.name, end);
		free(blob->data);
		blob->data = take_ptr(der.data);
		blob->len = der.len;
	}
	return 0;
}

static void retry_due(struct timer *timer)
{
	struct ike_conn *conn =
		(struct ike_conn *)((char *)timer - offsetof(struct ike_conn, retry));

	engine_start(conn->engine, conn->model.name);
}

static bool hash_blobs(EVP_MD_CTX *hash, const struct conn_blobs *blobs)
{
	bool ok = true;

	for (unsigned int i = 0; i < blobs->n; i++) {
		const struct conn_blob *blob = &blobs->blob[i];
		__u64 len = blob->data ? blob->len : ~0ULL;

		ok = ok && EVP_DigestUpdate(hash, &len, sizeof(len)) &&
		     (!blob->data || EVP_DigestUpdate(hash, blob->data, blob->len));
	}
	return ok && EVP_DigestUpdate(hash, &blobs->n, sizeof(blobs->n));
}

/* What its files say: digests of the config know their names alone. */
static bool hash_certs(const struct conn *model, __u8 out[CONN_DIGEST_LEN])
{
	EVP_MD_CTX *hash = EVP_MD_CTX_new();
	bool ok = hash && EVP_DigestInit_ex(hash, EVP_sha256(), NULL) &&
		  hash_blobs(hash, &model->local.certs) && hash_blobs(hash, &model->remote.certs) &&
		  hash_blobs(hash, &model->remote.cacerts) && EVP_DigestFinal_ex(hash, out, NULL);

	EVP_MD_CTX_free(hash);
	return ok;
}

static struct ike_conn *make(struct engine *engine, struct conn *model)
{
	struct ike_conn *conn = calloc(1, sizeof(*conn));

	if (conn)
		conn->child_try = calloc(model->n_children + 1, sizeof(*conn->child_try));
	if (!conn || !conn->child_try || !hash_certs(model, conn->certs) ||
	    engine_timers_take(engine, CONN_TIMERS)) {
		if (conn)
			free(conn->child_try);
		free(conn);
		conn_clear(model);
		return NULL;
	}
	conn->refs = 1;
	conn->engine = engine;
	conn->retry.fire = retry_due;
	conn->child_retry.fire = backoff_due;
	conn->model = *model;
	memset(model, 0, sizeof(*model));
	return conn;
}

/* Ends and children. */
static bool all_same(const struct conn *a, const struct conn *b)
{
	if (!conn_same(a, b) || a->n_children != b->n_children)
		return false;
	for (unsigned int i = 0; i < a->n_children; i++)
		if (strcmp(a->children[i].name, b->children[i].name) ||
		    !conn_child_same(&a->children[i], &b->children[i]))
			return false;
	return true;
}

static void mark_orphans(struct ike_conn *conn, bool there_are)
{
	conn->engine->n_orphans += there_are;
	conn->engine->n_orphans -= conn->orphans;
	conn->orphans = there_are;
}

/* IKE SAs whose ends are described as before make their next children by the new text. */
static void take_place(struct engine *engine, struct ike_conn *old, struct ike_conn *fresh)
{
	struct ike_sa *ike, *next;

	memcpy(fresh->counter, old->counter, sizeof(fresh->counter));
	fresh->heir = true;
	mark_orphans(fresh, old->orphans);
	backoff_inherit(fresh, old);
	if (!conn_same(&old->model, &fresh->model))
		return;
	for (ike = ike_of_conn(engine, old->model.name); ike; ike = next) {
		next = ike_same_conn(ike);
		if (ike->conn == old)
			ike_set_conn(ike, fresh);
	}
}

/* ------------------------------------------------------------------ in and out */

static int enter(struct engine *engine, struct ike_conn *conn, const struct ike_conn *old)
{
	int err = conn_index_add(&engine->index, conn);

	if (err)
		return err;
	conn->loaded = true;
	conn->order = old ? old->order : ++engine->next_order;
	conn->next = engine->conns;
	if (conn->next)
		conn->next->prev = conn;
	engine->conns = conn;
	engine->n_conns++;
	return 0;
}

/* Its reference is the caller's. */
static void leave(struct engine *engine, struct ike_conn *conn)
{
	conn_index_remove(&engine->index, conn);
	*(conn->prev ? &conn->prev->next : &engine->conns) = conn->next;
	if (conn->next)
		conn->next->prev = conn->prev;
	engine->n_conns--;
	engine->n_orphans -= conn->orphans;
	conn->loaded = false;
	timer_stop(&engine->timers, &conn->retry);
	timer_stop(&engine->timers, &conn->child_retry);
}

/* Who has a certificate and names no identity is its subject; the parent finds the same. */
static void default_id(struct ike_conn *conn)
{
	const struct conn_auth *local = &conn->model.local;
	struct ident *id = NULL;

	if (conn->local_id && conn->local_id->type != IDENT_ANY)
		return;
	if (local->kind == CONN_AUTH_PUBKEY && local->certs.n && local->certs.blob[0].data)
		id = cert_default_id(BYTES(local->certs.blob[0].data, local->certs.blob[0].len));
	if (!id)
		return;
	free(conn->local_id);
	conn->local_id = id;
}

/* What was made of its texts once. */
static int understand(struct engine *engine, struct ike_conn *conn)
{
	int err = check_proposals(engine, &conn->model);

	if (!err)
		err = parse_id(conn, conn->model.local.id, &conn->local_id);
	if (!err)
		err = parse_id(conn, conn->model.remote.id, &conn->remote_id);
	if (!err)
		err = parse_id(conn, conn->model.remote.ca_id, &conn->ca_id);
	if (!err)
		err = read_certs(conn, "local", &conn->model.local.certs);
	if (!err)
		default_id(conn);
	if (!err)
		err = read_certs(conn, "remote", &conn->model.remote.certs);
	return err ? err : hash_cas(conn);
}

#define SWAP(a, b)                          \
	do {                                \
		__typeof__(a) swapped_ = a; \
		a = b;                      \
		b = swapped_;               \
	} while (0)

/* What `fresh` knows of certificates counts from now on: what is up notices nothing, the next
 * IKE_AUTH goes by it. The rest of both is the same. */
static int take_certs(struct engine *engine, struct ike_conn *conn, struct ike_conn *fresh)
{
	int err;

	engine_log(engine, NULL, LOG_LEVEL_INFO,
		   "%s: its certificates are others; they count from the next IKE_AUTH on",
		   conn->model.name);
	conn_index_remove(&engine->index, conn); /* by `cas`, among others */
	SWAP(conn->model.local.certs, fresh->model.local.certs);
	SWAP(conn->model.remote.certs, fresh->model.remote.certs);
	SWAP(conn->model.remote.cacerts, fresh->model.remote.cacerts);
	SWAP(conn->local_id, fresh->local_id);
	SWAP(conn->cas, fresh->cas);
	SWAP(conn->cas_len, fresh->cas_len);
	memcpy(conn->certs, fresh->certs, sizeof(conn->certs));
	err = conn_index_add(&engine->index, conn);
	if (err) {
		leave(engine, conn);
		ike_conn_unref(conn);
	}
	return err;
}

int engine_conn_load(struct engine *engine, struct conn *model)
{
	struct ike_conn *old = ike_conn_find(engine, model->name);
	_cleanup_conn_ struct ike_conn *conn = NULL;
	bool same;
	int err;

	if (!old && engine->n_conns >= ENGINE_CONNS_MAX) {
		conn_clear(model);
		return -E2BIG;
	}
	conn = make(engine, model);
	if (!conn)
		return -ENOMEM;
	same = old && all_same(&old->model, &conn->model);
	if (same)
		backoff_forget(old);
	if (same && !memcmp(old->certs, conn->certs, sizeof(old->certs)))
		return 0;
	err = understand(engine, conn);
	if (err)
		return err;
	if (same)
		return take_certs(engine, old, conn);
	if (old)
		leave(engine, old);
	err = enter(engine, conn, old);
	if (old && !err)
		take_place(engine, old, conn);
	ike_conn_unref(old);
	if (!err)
		conn = NULL;
	return err;
}

int engine_conn_unload(struct engine *engine, const char *name)
{
	struct ike_conn *conn = ike_conn_find(engine, name);

	if (!conn)
		return -ENOENT;
	leave(engine, conn);
	ike_conn_unref(conn);
	return 0;
}

int engine_conn_orphans(struct engine *engine, const char *name, bool there_are)
{
	struct ike_conn *conn = ike_conn_find(engine, name);

	if (!conn)
		return -ENOENT;
	mark_orphans(conn, there_are);
	return 0;
}

/* ------------------------------------------------------------------ asking it */

struct ike_conn *ike_conn_find(const struct engine *engine, const char *name)
{
	return conn_index_name(&engine->index, name);
}

struct ike_conn *ike_conn_of_child(const struct engine *engine, const char *sadb_child,
				   const struct conn_child **child)
{
	struct ike_conn *conn = conn_index_child(&engine->index, sadb_child);

	for (unsigned int i = 0; conn && i < conn->model.n_children; i++)
		if (!strcmp(conn->model.children[i].sadb_name, sadb_child))
			*child = &conn->model.children[i];
	return conn;
}

static void parse_words(const struct conn_texts *words, enum proposal_protocol protocol,
			struct proposals *out)
{
	char why[160];

	out->n = 0;
	if (!words->n) {
		proposals_default(out, protocol);
		return;
	}
	for (unsigned int i = 0; i < words->n; i++)
		proposals_add(out, protocol, words->text[i], why, sizeof(why));
}

void ike_conn_proposals(const struct ike_conn *conn, struct proposals *out)
{
	parse_words(&conn->model.proposals, PROPOSAL_IKE, out);
}

void ike_child_proposals(const struct conn_child *child, struct proposals *out)
{
	parse_words(&child->proposals, protocol_of(child), out);
}

struct ts ike_ts(const struct conn_ts *ts, __u8 family, const struct xipsec_addr *own)
{
	return (struct ts){.family = ts->dynamic ? family : ts->family,
			   .proto = ts->any_proto ? 0 : ts->l4_proto,
			   .port_lo = ts->opaque ? 65535 : ts->port_lo,
			   .port_hi = ts->opaque ? 0 : ts->port_hi,
			   .lo = ts->dynamic ? *own : ts->lo,
			   .hi = ts->dynamic ? *own : ts->hi};
}

static void fill_ts(const struct conn_ts_list *from, __u8 family, const struct xipsec_addr *own,
		    struct ts_list *out)
{
	out->n = 0;
	for (unsigned int i = 0; i < from->n && out->n < TS_MAX; i++)
		out->ts[out->n++] = ike_ts(&from->ts[i], family, own);
}

void ike_child_ts(const struct conn_child *child, const struct ike_path *path,
		  struct ts_list *local, struct ts_list *remote)
{
	fill_ts(&child->local_ts, path->family, &path->local, local);
	fill_ts(&child->remote_ts, path->family, &path->remote, remote);
}

/* ------------------------------------------------------------------ for a peer */

/* How much do the hosts say of that address? 0: it is not one of them. */
static int hosts_say(const struct conn_hosts *hosts, const struct xipsec_addr *addr, __u8 family)
{
	int best = hosts->n ? 0 : 1;

	for (unsigned int i = 0; i < hosts->n; i++) {
		const struct conn_host *host = &hosts->host[i];
		struct conn_hosts one = {.n = 1, .host = &hosts->host[i]};
		int say;

		/* A name could be anything here: who it is, the identity tells. */
		if (host->kind == CONN_HOST_NAME)
			say = 1;
		else if (!conn_hosts_match(&one, addr, family))
			continue;
		else if (host->kind == CONN_HOST_ANY)
			say = 1;
		else
			say = memcmp(&host->lo, &host->hi, sizeof(host->lo)) ? 2 : 3;
		if (say > best)
			best = say;
	}
	return best;
}

bool ike_conn_callable(const struct conn *model)
{
	for (unsigned int i = 0; i < model->remote_addrs.n; i++) {
		const struct conn_host *host = &model->remote_addrs.host[i];

		if (host->kind == CONN_HOST_NAME ||
		    (host->kind == CONN_HOST_RANGE &&
		     !memcmp(&host->lo, &host->hi, sizeof(host->lo))))
			return true;
	}
	return false;
}

int ike_conn_says(const struct ike_conn *conn, const struct ike_path *path)
{
	int local = hosts_say(&conn->model.local_addrs, &path->local, path->family);
	int remote = hosts_say(&conn->model.remote_addrs, &path->remote, path->family);

	return local && remote ? 4 * remote + local : 0;
}
