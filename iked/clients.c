// SPDX-License-Identifier: BSD-2-Clause
#include "iked/clients.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "iked/conn_pack.h"
#include "lib/cleanup.h"
#include "lib/config_clients.h"
#include "lib/log.h"

/* ------------------------------------------------------------------ connections */

void conn_free(struct conn *conn)
{
	if (conn)
		conn_clear(conn);
	free(conn);
}

static const char *name_of(const void *conns, __u32 i)
{
	return ((struct conn *const *)conns)[i]->name;
}

static __u32 conn_place(const struct clients *clients, const char *name)
{
	return name_index_find(&clients->index, clients->conns, name);
}

const struct conn *clients_conn(const struct clients *clients, const char *name)
{
	__u32 i = conn_place(clients, name);

	return i == NAME_NONE ? NULL : clients->conns[i];
}

/* In the place of the one at `i`. */
static void put_at(struct clients *clients, __u32 i, struct conn *conn, struct conn **old)
{
	*old = clients->conns[i];
	conn->client = (*old)->client;
	clients->conns[i] = conn;
}

/* Among the others by its number; a new one is the last. */
static int put_new(struct clients *clients, struct conn *conn)
{
	struct conn **more = realloc(clients->conns, (clients->n_conns + 1) * sizeof(*more));
	unsigned int i = clients->n_conns;
	bool ok;

	if (!more)
		return -ENOMEM;
	clients->conns = more;
	if (!conn->client)
		conn->client = clients->last + 1;
	while (i && more[i - 1]->client > conn->client)
		i--;
	memmove(&more[i + 1], &more[i], (clients->n_conns - i) * sizeof(*more));
	more[i] = conn;
	ok = i == clients->n_conns
		     ? name_index_put(&clients->index, name_of, more, i)
		     : name_index_make(&clients->index, name_of, more, clients->n_conns + 1);
	if (!ok) {
		memmove(&more[i], &more[i + 1], (clients->n_conns - i) * sizeof(*more));
		return -ENOMEM;
	}
	clients->n_conns++;
	if (conn->client > clients->last)
		clients->last = conn->client;
	return 0;
}

int clients_conn_put(struct clients *clients, struct conn *conn, struct conn **old)
{
	struct conn *taken = malloc(sizeof(*taken));
	__u32 i = conn_place(clients, conn->name);
	int err = i == NAME_NONE && clients->n_conns == CLIENTS_CONNS_MAX ? -E2BIG
		  : taken                                                 ? 0
									  : -ENOMEM;

	*old = NULL;
	if (!err) {
		*taken = *conn;
		if (i != NAME_NONE)
			put_at(clients, i, taken, old);
		else
			err = put_new(clients, taken);
	}
	if (err) {
		conn_clear(conn);
		free(taken);
		return err;
	}
	memset(conn, 0, sizeof(*conn));
	return 0;
}

struct conn *clients_conn_take(struct clients *clients, const char *name)
{
	__u32 i = conn_place(clients, name);
	struct conn *conn;

	if (i == NAME_NONE)
		return NULL;
	conn = clients->conns[i];
	clients->n_conns--;
	memmove(&clients->conns[i], &clients->conns[i + 1],
		(clients->n_conns - i) * sizeof(*clients->conns));
	if (!name_index_make(&clients->index, name_of, clients->conns, clients->n_conns)) {
		memmove(&clients->conns[i + 1], &clients->conns[i],
			(clients->n_conns - i) * sizeof(*clients->conns));
		clients->conns[i] = conn;
		clients->n_conns++;
		return NULL;
	}
	return conn;
}

/* By the way that a connection goes to the child. */
int conn_copy(const struct conn *conn, struct conn *out)
{
	_cleanup_close_ int fd = conn_pack(conn);

	return fd < 0 ? fd : conn_unpack(fd, out);
}

int clients_fill_in(const struct clients *clients, struct config *config)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < config->n_conns; i++) {
		struct conn *conn = &config->conns[i], full = {0};
		__u32 number = conn->client;
		const struct conn *loaded = number ? clients_conn(clients, conn->name) : NULL;

		if (loaded && conn_copy(loaded, &full))
			return -ENOMEM;
		if (number)
			conn_clear(conn);
		if (loaded) {
			*conn = full;
			conn->client = number;
		}
		if (conn->name[0] && kept != i) {
			config->conns[kept] = *conn;
			memset(conn, 0, sizeof(*conn));
		}
		kept += config->conns[kept].name[0] != 0;
	}
	if (kept == config->n_conns)
		return 0;
	config->n_conns = kept;
	return name_index_make(&config->conn_index, config_conn_name, config->conns, kept)
		       ? 0
		       : -ENOMEM;
}

static const struct conn *by_number(const struct clients *clients, __u32 number)
{
	unsigned int i = clients->n_conns;

	while (i && clients->conns[i - 1]->client > number)
		i--;
	return i && clients->conns[i - 1]->client == number ? clients->conns[i - 1] : NULL;
}

int clients_write(struct clients *clients, const char *run_dir, __u32 number, bool *all)
{
	bool any = false;
	int err = clients->own_files ? 0 : config_clients_forget(run_dir, &any);

	if (!err)
		err = config_client_write(run_dir, number, by_number(clients, number));
	if (!err)
		clients->own_files = true;
	*all = any;
	return err;
}

/* ------------------------------------------------------------------ credentials */

static bool is_secret(enum client_cred_kind kind)
{
	return kind == CLIENT_PSK || kind == CLIENT_KEY;
}

static void cred_clear(struct client_cred *cred)
{
	for (unsigned int i = 0; i < cred->owners.n; i++)
		free(cred->owners.text[i]);
	free(cred->owners.text);
	if (is_secret(cred->kind))
		OPENSSL_secure_clear_free(cred->data, cred->len);
	else
		free(cred->data);
	memset(cred, 0, sizeof(*cred));
}

static int cred_fill(struct client_cred *cred, enum client_cred_kind kind, const char *id,
		     struct bytes data)
{
	cred->kind = kind;
	cred->data = is_secret(kind) ? OPENSSL_secure_malloc(data.len + 1) : malloc(data.len + 1);
	if (!cred->data)
		return -ENOMEM;
	memcpy(cred->data, data.data, data.len);
	cred->len = data.len;
	memcpy(cred->id, id, strnlen(id, sizeof(cred->id) - 1));
	return 0;
}

static void remove_at(struct clients *clients, unsigned int i)
{
	cred_clear(&clients->creds[i]);
	clients->creds[i] = clients->creds[--clients->n_creds];
}

/* A certificate or CRL that is there already: clients bring all of theirs every time. */
static void remove_same(struct clients *clients, enum client_cred_kind kind, struct bytes data)
{
	for (unsigned int i = 0; i < clients->n_creds; i++) {
		const struct client_cred *cred = &clients->creds[i];

		if (cred->kind == kind && bytes_equal(BYTES(cred->data, cred->len), data)) {
			remove_at(clients, i);
			return;
		}
	}
}

int clients_cred_put(struct clients *clients, enum client_cred_kind kind, const char *id,
		     struct bytes data, struct conn_texts *owners)
{
	struct client_cred cred = {.owners = *owners}, *more;
	int err = clients->n_creds == CLIENTS_CREDS_MAX || data.len > CLIENTS_CREDS_SIZE ||
				  strlen(id) >= CLIENTS_ID_LEN
			  ? -E2BIG
			  : cred_fill(&cred, kind, id, data);

	*owners = (struct conn_texts){0};
	more = err ? NULL : realloc(clients->creds, (clients->n_creds + 1) * sizeof(*more));
	if (!more) {
		cred.kind = kind;
		cred_clear(&cred);
		return err ? err : -ENOMEM;
	}
	clients->creds = more;
	if (is_secret(kind) || id[0])
		clients_cred_remove(clients, kind, id);
	else
		remove_same(clients, kind, data);
	clients->creds[clients->n_creds++] = cred;
	return 0;
}

bool clients_cred_remove(struct clients *clients, enum client_cred_kind kind, const char *id)
{
	for (unsigned int i = 0; i < clients->n_creds; i++) {
		const struct client_cred *cred = &clients->creds[i];

		if (cred->kind != kind || strcmp(cred->id, id) != 0)
			continue;
		remove_at(clients, i);
		return true;
	}
	return false;
}

void clients_creds_clear(struct clients *clients)
{
	for (unsigned int i = clients->n_creds; i-- > 0;)
		if (clients->creds[i].kind != CLIENT_AUTHORITY)
			remove_at(clients, i);
}

static void add_psk(const struct client_cred *cred, struct creds *creds)
{
	struct conn_secret secret = {.kind = CONN_SECRET_IKE,
				     .owners = cred->owners,
				     .data = cred->data,
				     .len = cred->len};

	snprintf(secret.name, sizeof(secret.name), "%.*s", (int)sizeof(secret.name) - 1, cred->id);
	creds_add_psk(creds, &secret);
}

void clients_creds_add(const struct clients *clients, struct creds *creds)
{
	static const char from[] = "a client's";

	for (unsigned int i = 0; i < clients->n_creds; i++) {
		const struct client_cred *cred = &clients->creds[i];
		struct bytes data = BYTES(cred->data, cred->len);

		switch (cred->kind) {
		case CLIENT_PSK: add_psk(cred, creds); break;
		case CLIENT_KEY: creds_add_key(creds, from, data); break;
		case CLIENT_CERT:
		case CLIENT_CA:
		case CLIENT_AUTHORITY:
			creds_add_cert(creds, from, data, cred->kind != CLIENT_CERT);
			break;
		case CLIENT_CRL: creds_add_crl(creds, data); break;
		}
	}
}

void clients_clear(struct clients *clients)
{
	for (unsigned int i = 0; i < clients->n_conns; i++)
		conn_free(clients->conns[i]);
	free(clients->conns);
	clients->conns = NULL;
	clients->n_conns = 0;
	name_index_free(&clients->index);
	while (clients->n_creds)
		remove_at(clients, clients->n_creds - 1);
	free(clients->creds);
	clients->creds = NULL;
}
