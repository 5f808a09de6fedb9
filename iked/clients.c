// SPDX-License-Identifier: BSD-2-Clause
#include "iked/clients.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "iked/conn_pack.h"
#include "lib/cleanup.h"
#include "lib/log.h"

/* ------------------------------------------------------------------ connections */

void conn_free(struct conn *conn)
{
	if (conn)
		conn_clear(conn);
	free(conn);
}

static int conn_place(const struct clients *clients, const char *name)
{
	for (unsigned int i = 0; i < clients->n_conns; i++)
		if (strcmp(clients->conns[i]->name, name) == 0)
			return i;
	return -1;
}

const struct conn *clients_conn(const struct clients *clients, const char *name)
{
	int i = conn_place(clients, name);

	return i < 0 ? NULL : clients->conns[i];
}

int clients_conn_put(struct clients *clients, struct conn *conn, struct conn **old)
{
	struct conn *taken = malloc(sizeof(*taken)), **more;
	int i = conn_place(clients, conn->name);
	int err = i < 0 && clients->n_conns == CLIENTS_CONNS_MAX ? -E2BIG : 0;

	*old = NULL;
	more = err || !taken ? NULL
			     : realloc(clients->conns, (clients->n_conns + 1) * sizeof(*more));
	if (!more) {
		conn_clear(conn);
		free(taken);
		return err ? err : -ENOMEM;
	}
	clients->conns = more;
	*taken = *conn;
	taken->client = true;
	memset(conn, 0, sizeof(*conn));
	if (i >= 0)
		*old = more[i];
	more[i >= 0 ? (unsigned int)i : clients->n_conns++] = taken;
	return 0;
}

struct conn *clients_conn_take(struct clients *clients, const char *name)
{
	int i = conn_place(clients, name);
	struct conn *conn;

	if (i < 0)
		return NULL;
	conn = clients->conns[i];
	clients->n_conns--;
	memmove(&clients->conns[i], &clients->conns[i + 1],
		(clients->n_conns - i) * sizeof(*clients->conns));
	return conn;
}

/* A deep copy, by the way that a connection goes to the child. */
static int conn_copy(const struct conn *conn, struct conn *out)
{
	_cleanup_close_ int fd = conn_pack(conn);

	return fd < 0 ? fd : conn_unpack(fd, out);
}

int clients_fill_in(const struct clients *clients, struct config *config)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < config->n_conns; i++) {
		struct conn *conn = &config->conns[i], full = {0};
		const struct conn *loaded = conn->client ? clients_conn(clients, conn->name) : NULL;

		if (loaded && conn_copy(loaded, &full))
			return -ENOMEM;
		if (conn->client)
			conn_clear(conn);
		if (loaded)
			*conn = full;
		if (conn->name[0] && kept != i) {
			config->conns[kept] = *conn;
			memset(conn, 0, sizeof(*conn));
		}
		kept += config->conns[kept].name[0] != 0;
	}
	config->n_conns = kept;
	return 0;
}

int clients_write(const struct clients *clients, const char *run_dir)
{
	return conn_clients_write(run_dir, (const struct conn *const *)clients->conns,
				  clients->n_conns);
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
	if (is_secret(kind))
		clients_cred_remove(clients, kind, id);
	clients->creds[clients->n_creds++] = cred;
	return 0;
}

bool clients_cred_remove(struct clients *clients, enum client_cred_kind kind, const char *id)
{
	for (unsigned int i = 0; i < clients->n_creds; i++) {
		struct client_cred *cred = &clients->creds[i];

		if (cred->kind != kind || strcmp(cred->id, id) != 0)
			continue;
		cred_clear(cred);
		*cred = clients->creds[--clients->n_creds];
		return true;
	}
	return false;
}

void clients_creds_clear(struct clients *clients)
{
	for (unsigned int i = 0; i < clients->n_creds; i++)
		cred_clear(&clients->creds[i]);
	free(clients->creds);
	clients->creds = NULL;
	clients->n_creds = 0;
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
		case CLIENT_CA: creds_add_cert(creds, from, data, cred->kind == CLIENT_CA); break;
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
	clients_creds_clear(clients);
}
