// SPDX-License-Identifier: BSD-2-Clause
/*
 * What clients bring: connections, secrets, keys, certificates. A connection counts when its rules
 * are in force: the answer waits until xipsecd has switched, and the child may speak for its
 * children.
 */
#include "iked/parent_vici.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/vici_tree.h"
#include "lib/cleanup.h"
#include "lib/config_key.h"

/* ------------------------------------------------------------------ connections */

/* One that waits for xipsecd; the request, for its client may be gone by then. */
struct vici_change {
	struct vici_change *next; /* of those that wait for the child's rights */
	struct parent *parent;
	__u64 request;
	char name[CONN_NAME_LEN];
	__u32 number;
	struct conn *old; /* what stood there before */
};

static void change_free(struct vici_change *change)
{
	conn_free(change->old);
	free(change);
}

static void answer_change(struct vici_change *change, int err, const char *text)
{
	struct parent *p = change->parent;
	struct vici_request *request = p->vici ? vici_request_find(p->vici, change->request) : NULL;

	if (request && err)
		vici_answer_error(request, "%s", text && text[0] ? text : strerror(-err));
	else if (request)
		vici_answer_ok(request);
}

/* As it was before; the policies in force have not changed. */
static void take_back(struct vici_change *change)
{
	struct parent *p = change->parent;
	struct conn *ignored = NULL;
	bool all;

	if (change->old)
		clients_conn_put(&p->clients, change->old, &ignored);
	else
		ignored = clients_conn_take(&p->clients, change->name);
	conn_free(ignored);
	clients_write(&p->clients, p->config->run_dir, change->number, &all);
}

void parent_vici_lent(struct parent *p)
{
	while (p->vici_held) {
		struct vici_change *change = p->vici_held;

		p->vici_held = change->next;
		answer_change(change, 0, "");
		change_free(change);
	}
}

static void finish(struct vici_change *change)
{
	struct parent *p = change->parent;

	if (p->lending) {
		change->next = p->vici_held;
		p->vici_held = change;
		return;
	}
	answer_change(change, 0, "");
	change_free(change);
}

/* The child is told before the client, and may be without its connection to xipsecd still: who
 * hears "loaded" may initiate at once. */
static void on_switched(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
			unsigned int n)
{
	struct vici_change *change = (void *)(uintptr_t)arg;
	int err = answer ? answer->err : -ECONNRESET;

	change->parent->vici_changes--;
	change->parent->vici_switched = false;
	if (err)
		take_back(change);
	if (!err) {
		parent_load_one(change->parent, change->name);
		finish(change);
		return;
	}
	answer_change(change, err, answer ? sadb_answer_text(answer, len) : "xipsecd has ended");
	change_free(change);
}

/* Without xipsecd there is nothing to switch: it reads the files when it begins. */
static void apply(struct vici_change *change)
{
	struct sadb_path req = {.hdr = {.type = XIPSEC_SADB_RELOAD}};
	struct parent *p = change->parent;
	bool all = false;
	int err = clients_write(&p->clients, p->config->run_dir, change->number, &all);

	if (!err && p->link) {
		req.hdr.flags = all ? XIPSEC_SADB_POLICIES : XIPSEC_SADB_CONNECTIONS;
		if (!all)
			snprintf(req.path, sizeof(req.path), "%u", change->number);
		p->vici_changes++;
		sadb_link_ask(p->link, &req.hdr, sizeof(req), on_switched,
			      (__u64)(uintptr_t)change);
		return;
	}
	if (!err)
		err = all ? parent_reload_clients(p) : parent_load_one(p, change->name);
	if (err)
		take_back(change);
	answer_change(change, err, err ? "the config of xipsec-iked has errors: see its log" : "");
	change_free(change);
}

static struct vici_change *change_new(struct parent *p, struct vici_request *request,
				      const char *name)
{
	struct vici_change *change = calloc(1, sizeof(*change));

	if (!change) {
		vici_answer_error(request, "no memory");
		return NULL;
	}
	change->parent = p;
	change->request = vici_request_id(request);
	snprintf(change->name, sizeof(change->name), "%s", name);
	return change;
}

/* "vici:0:0: what: expected", line by line, without the place. */
static void without_places(char *text)
{
	static const char place[] = "vici:0:0: ";
	char *at;

	while ((at = strstr(text, place)))
		memmove(at, at + sizeof(place) - 1, strlen(at + sizeof(place) - 1) + 1);
	for (at = text; *at; at++)
		if (*at == '\n')
			*at = at[1] ? ';' : 0;
}

/* Understands the one section of the message. 0, or -errno with `why` (malloc()ed or NULL). */
static int read_conn(struct bytes message, struct conn *out, char **why)
{
	struct config_file file = {.name = (char *)"vici"};
	struct config_place place = {.file = &file};
	struct config_list list = {0};
	struct config_diag diag = {0};
	size_t len;
	int err = vici_to_tree(message, &place, &list);

	diag.out = open_memstream(why, &len);
	if (!diag.out) {
		config_list_free(&list);
		return -ENOMEM;
	}
	if (!err && (!list.first || list.first->next || list.first->kind != CONFIG_SECTION))
		err = -EINVAL;
	if (!err && strlen(list.first->name) >= CONN_NAME_LEN) {
		config_error(&diag, &place, "%s: expected a name of at most %u letters",
			     list.first->name, CONN_NAME_LEN - 1);
		err = -EINVAL;
	}
	if (!err && !config_conn(&diag, list.first, out))
		err = diag.nomem ? -ENOMEM : -EINVAL;
	fclose(diag.out);
	config_list_free(&list);
	return err;
}

/* A child's tunnel gives it its name at xipsecd, as lib/config_conns.c does for the file. */
static bool tunnels_known(const struct config *config, const struct conn *conn)
{
	for (unsigned int i = 0; i < conn->n_children; i++) {
		struct conn_child *child = &conn->children[i];
		const struct config_tunnel *tunnel = config_tunnel_find(config, child->if_id);

		if (child->if_id && !tunnel)
			return false;
		if (tunnel)
			snprintf(child->sadb_name, sizeof(child->sadb_name), "%s", tunnel->name);
	}
	return true;
}

static bool in_file(const struct parent *p, const char *name)
{
	const struct conn *conn = parent_conn(p, name);

	return conn && !conn->client;
}

/* Is it in force just as it is? `swanctl --load-conns` brings all of them every time, and each that
 * differs has every policy compiled anew. */
static bool in_force(const struct parent *p, const struct conn *conn)
{
	const struct conn *loaded = clients_conn(&p->clients, conn->name);

	return loaded && !p->vici_changes && parent_conn(p, conn->name) &&
	       conn_same_all(loaded, conn);
}

static void put_conn(struct parent *p, struct vici_request *request, struct conn *conn)
{
	struct vici_change *change = change_new(p, request, conn->name);
	int err;

	if (!change || in_force(p, conn)) {
		conn_clear(conn);
		if (change)
			finish(change);
		return;
	}
	err = clients_conn_put(&p->clients, conn, &change->old);
	if (err) {
		vici_answer_error(request, "%s", strerror(-err));
		change_free(change);
		return;
	}
	change->number = clients_conn(&p->clients, change->name)->client;
	apply(change);
}

void vici_load_conn(void *ctx, struct vici_request *request)
{
	_cleanup_free_ char *why = NULL;
	struct conn conn = {0};
	struct parent *p = ctx;
	int err = read_conn(vici_request_message(request), &conn, &why);

	if (err) {
		if (why)
			without_places(why);
		vici_answer_error(request, "%s",
				  why && why[0] ? why : "expected one section, NAME { ... }");
	} else if (in_file(p, conn.name)) {
		vici_answer_error(request, "%s is a connection of the config file %s", conn.name,
				  p->options->config_path);
		conn_clear(&conn);
	} else if (!tunnels_known(p->config, &conn)) {
		vici_answer_error(request, "%s: no tunnel of the config has that if_id", conn.name);
		conn_clear(&conn);
	} else {
		put_conn(p, request, &conn);
	}
}

void vici_unload_conn(void *ctx, struct vici_request *request)
{
	struct vici_change *change;
	char name[CONN_NAME_LEN];
	struct parent *p = ctx;

	if (!vici_get_text(vici_request_message(request), "name", name, sizeof(name)) ||
	    !clients_conn(&p->clients, name)) {
		vici_answer_error(request, "no client has loaded a connection of that name");
		return;
	}
	change = change_new(p, request, name);
	if (!change)
		return;
	change->old = clients_conn_take(&p->clients, name);
	change->number = change->old ? change->old->client : 0;
	apply(change);
}

/* Those of clients: who unloads what is not in its own file must not see others. */
void vici_get_conns(void *ctx, struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0};
	const struct parent *p = ctx;

	vici_list(&w, "conns");
	for (unsigned int i = 0; i < p->clients.n_conns; i++)
		vici_item_text(&w, p->clients.conns[i]->name);
	vici_list_end(&w);
	vici_answer(request, vici_view(&w));
}

/* ------------------------------------------------------------------ secrets and keys */

static int read_owners(struct bytes message, struct conn_texts *out)
{
	struct reader r = {0};
	struct bytes item;

	while (vici_get_item(message, "owners", &r, &item)) {
		char **more = realloc(out->text, (out->n + 1) * sizeof(*more));

		if (!more)
			return -ENOMEM;
		out->text = more;
		more[out->n] = strndup((const char *)item.data, item.len);
		if (!more[out->n++])
			return -ENOMEM;
	}
	return 0;
}

bool vici_put_cred(struct parent *p, struct vici_request *request, enum client_cred_kind kind,
		   const char *id, struct bytes data, struct conn_texts *owners)
{
	int err = clients_cred_put(&p->clients, kind, id, data, owners);

	if (err) {
		vici_answer_error(request, "%s", strerror(-err));
		return false;
	}
	parent_creds_renew(p);
	return true;
}

static void put_cred(struct parent *p, struct vici_request *request, enum client_cred_kind kind,
		     const char *id, struct bytes data, struct conn_texts *owners)
{
	if (vici_put_cred(p, request, kind, id, data, owners))
		vici_answer_ok(request);
}

void vici_load_shared(void *ctx, struct vici_request *request)
{
	struct bytes message = vici_request_message(request);
	struct conn_texts owners = {0};
	char type[16], id[CLIENTS_ID_LEN] = "";
	struct bytes data = vici_get(message, "data");

	vici_get_text(message, "type", type, sizeof(type));
	if (strcasecmp(type, "ike") != 0) {
		vici_answer_error(request, "secrets of type %s are not supported in this version",
				  type);
		return;
	}
	if (!data.len || read_owners(message, &owners)) {
		for (unsigned int i = 0; i < owners.n; i++)
			free(owners.text[i]);
		free(owners.text);
		vici_answer_error(request, "the secret is empty");
		return;
	}
	vici_get_text(message, "id", id, sizeof(id));
	put_cred(ctx, request, CLIENT_PSK, id, data, &owners);
}

void vici_unload_id(struct parent *p, struct vici_request *request, enum client_cred_kind kind,
		    const char *key)
{
	char id[CLIENTS_ID_LEN];

	vici_get_text(vici_request_message(request), key, id, sizeof(id));
	if (!clients_cred_remove(&p->clients, kind, id)) {
		vici_answer_error(request, "no client has loaded %s", id);
		return;
	}
	parent_creds_renew(p);
	vici_answer_ok(request);
}

void vici_answer_ids(const struct parent *p, struct vici_request *request,
		     enum client_cred_kind kind, const char *list)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_list(&w, list);
	for (unsigned int i = 0; i < p->clients.n_creds; i++)
		if (p->clients.creds[i].kind == kind && p->clients.creds[i].id[0])
			vici_item_text(&w, p->clients.creds[i].id);
	vici_list_end(&w);
	vici_answer(request, vici_view(&w));
}

void vici_unload_shared(void *ctx, struct vici_request *request)
{
	vici_unload_id(ctx, request, CLIENT_PSK, "id");
}

void vici_get_shared(void *ctx, struct vici_request *request)
{
	vici_answer_ids(ctx, request, CLIENT_PSK, "keys");
}

void vici_unload_key(void *ctx, struct vici_request *request)
{
	vici_unload_id(ctx, request, CLIENT_KEY, "id");
}

void vici_get_keys(void *ctx, struct vici_request *request)
{
	vici_answer_ids(ctx, request, CLIENT_KEY, "keys");
}

void vici_load_key(void *ctx, struct vici_request *request)
{
	struct bytes data = vici_get(vici_request_message(request), "data");
	_cleanup_vici_ struct vici_writer w = {0};
	struct conn_texts owners = {0};
	char id[CREDS_KEY_ID_LEN];
	struct parent *p = ctx;

	if (!data.len || !creds_key_id(data, id)) {
		vici_answer_error(request, "no private key that can be used: expected RSA, ECDSA, "
					   "Ed25519 or Ed448 in PEM or DER, not encrypted");
		return;
	}
	if (clients_cred_put(&p->clients, CLIENT_KEY, id, data, &owners)) {
		vici_answer_error(request, "the key cannot be kept: no memory, or too many");
		return;
	}
	parent_creds_renew(p);
	vici_success(&w);
	vici_text(&w, "id", "%s", id);
	vici_answer(request, vici_view(&w));
}

/* ------------------------------------------------------------------ certificates */

void vici_load_cert(void *ctx, struct vici_request *request)
{
	struct bytes message = vici_request_message(request);
	struct bytes data = vici_get(message, "data");
	struct conn_texts owners = {0};
	char type[16], flag[16];
	bool ca;

	vici_get_text(message, "type", type, sizeof(type));
	vici_get_text(message, "flag", flag, sizeof(flag));
	ca = strcasecmp(flag, "CA") == 0;
	if (!data.len)
		vici_answer_error(request, "the certificate is empty");
	else if (strcasecmp(type, "X509_CRL") == 0)
		put_cred(ctx, request, CLIENT_CRL, "", data, &owners);
	else if (strcasecmp(type, "X509") == 0)
		put_cred(ctx, request, ca ? CLIENT_CA : CLIENT_CERT, "", data, &owners);
	else
		vici_answer_error(
			request, "certificates of type %s are not supported in this version", type);
}

void vici_clear_creds(void *ctx, struct vici_request *request)
{
	struct parent *p = ctx;

	clients_creds_clear(&p->clients);
	parent_creds_renew(p);
	vici_answer_ok(request);
}

void vici_reload_settings(void *ctx, struct vici_request *request)
{
	if (parent_reload(ctx))
		vici_answer_error(request, "the config of xipsec-iked has errors: see its log");
	else
		vici_answer_ok(request);
}
