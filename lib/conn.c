// SPDX-License-Identifier: BSD-2-Clause
/* The model of a connection: freeing, finding, comparing. */
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "lib/conn.h"

static void texts_clear(struct conn_texts *texts)
{
	for (unsigned int i = 0; i < texts->n; i++)
		free(texts->text[i]);
	free(texts->text);
}

static void blobs_clear(struct conn_blobs *blobs)
{
	for (unsigned int i = 0; i < blobs->n; i++) {
		free(blobs->blob[i].file);
		free(blobs->blob[i].data);
	}
	free(blobs->blob);
}

static void hosts_clear(struct conn_hosts *hosts)
{
	for (unsigned int i = 0; i < hosts->n; i++)
		free(hosts->host[i].name);
	free(hosts->host);
}

static void auth_clear(struct conn_auth *auth)
{
	free(auth->id);
	free(auth->ca_id);
	blobs_clear(&auth->certs);
	blobs_clear(&auth->cacerts);
}

static void child_clear(struct conn_child *child)
{
	texts_clear(&child->proposals);
	free(child->local_ts.ts);
	free(child->remote_ts.ts);
}

void conn_clear(struct conn *conn)
{
	hosts_clear(&conn->local_addrs);
	hosts_clear(&conn->remote_addrs);
	texts_clear(&conn->proposals);
	auth_clear(&conn->local);
	auth_clear(&conn->remote);
	for (unsigned int i = 0; i < conn->n_children; i++)
		child_clear(&conn->children[i]);
	free(conn->children);
	memset(conn, 0, sizeof(*conn));
}

void conn_secret_clear(struct conn_secret *secret)
{
	texts_clear(&secret->owners);
	free(secret->file);
	if (secret->data)
		OPENSSL_cleanse(secret->data, secret->len);
	free(secret->data);
	OPENSSL_cleanse(secret, sizeof(*secret));
}

const struct conn_child *conn_child_find(const struct conn *conn, const char *name)
{
	for (unsigned int i = 0; i < conn->n_children; i++)
		if (strcmp(conn->children[i].name, name) == 0)
			return &conn->children[i];
	return NULL;
}

bool conn_same(const struct conn *a, const struct conn *b)
{
	return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

bool conn_child_same(const struct conn_child *a, const struct conn_child *b)
{
	return memcmp(a->digest, b->digest, sizeof(a->digest)) == 0;
}

bool conn_same_all(const struct conn *a, const struct conn *b)
{
	if (!conn_same(a, b) || a->n_children != b->n_children)
		return false;
	for (unsigned int i = 0; i < a->n_children; i++)
		if (strcmp(a->children[i].name, b->children[i].name) != 0 ||
		    strcmp(a->children[i].sadb_name, b->children[i].sadb_name) != 0 ||
		    !conn_child_same(&a->children[i], &b->children[i]))
			return false;
	return true;
}

bool conn_hosts_match(const struct conn_hosts *hosts, const struct xipsec_addr *addr, __u8 family)
{
	if (hosts->n == 0)
		return true;
	for (unsigned int i = 0; i < hosts->n; i++) {
		const struct conn_host *host = &hosts->host[i];

		if (host->kind == CONN_HOST_ANY && (!host->family || host->family == family))
			return true;
		if (host->kind == CONN_HOST_RANGE && host->family == family &&
		    memcmp(addr->byte, host->lo.byte, sizeof(addr->byte)) >= 0 &&
		    memcmp(addr->byte, host->hi.byte, sizeof(addr->byte)) <= 0)
			return true;
	}
	return false;
}
