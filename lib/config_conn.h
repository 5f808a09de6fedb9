/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Values of connections {}: one parse_x() a kind, as in config_value.h. What they allocate belongs
 * to *out, also on failure: conn_clear() frees it.
 */
#ifndef LIB_CONFIG_CONN_H
#define LIB_CONFIG_CONN_H

#include "lib/config_key.h"
#include "lib/config_value.h"
#include "lib/conn.h"

#define CONN_ID_MAX 256 /* letters of an identity */

/* Addresses, prefixes, ranges, names of the DNS, %any, with commas between. */
bool parse_hosts(struct config_diag *diag, const struct config_node *node, struct conn_hosts *out);
/* `dynamic`, prefixes, ranges, each with [PROTO/PORTS] behind it if wanted. */
bool parse_ts(struct config_diag *diag, const struct config_node *node, struct conn_ts_list *out);
/* Any texts, with commas between; at most `max`. */
bool parse_texts(struct config_diag *diag, const struct config_node *node, unsigned int max,
		 struct conn_texts *out);
/* Proposals of IKE (l4_proto 0), ESP or AH, with commas between; each is checked. `default` is as
 * if nothing were said. */
bool parse_proposals(struct config_diag *diag, const struct config_node *node, __u8 l4_proto,
		     struct conn_texts *out);
/* Names of files with commas between, or the bytes that a client sends. */
bool parse_blobs(struct config_diag *diag, const struct config_node *node, struct conn_blobs *out);
/* An identity as a text; not NULL then. */
bool parse_identity(struct config_diag *diag, const struct config_node *node, char **out);
/* What strongSwan calls `auth`: psk, pubkey, rsa-2048-sha256, ... */
bool parse_auth(struct config_diag *diag, const struct config_node *node, struct conn_auth *out);

/* What stands in no single key. */
struct conn_draft {
	struct conn *conn;
	bool has_local, has_remote;
	bool has_over, has_rand, has_rekey;
};

/* A section of a connection: local* or remote*, children. `into` is a struct conn_draft. */
bool config_conn_local(struct config_diag *diag, const struct config_node *node, void *into);
bool config_conn_remote(struct config_diag *diag, const struct config_node *node, void *into);
bool config_conn_children(struct config_diag *diag, const struct config_node *node, void *into);

/* What a child says of how packets are sealed, against its mode, protocol and engine, and against
 * the connection's addresses. `node` is the child's; tells what does not fit, by the key's name. */
void config_conn_seal_fits(struct config_diag *diag, const struct config_node *node,
			   const struct conn *conn, const struct conn_child *child);

/* A key of strongSwan's that has one good value here: tells that and why, or is true. */
bool parse_only(struct config_diag *diag, const struct config_node *node, const char *good,
		const char *why);

/* A key of strongSwan's that is not there: a config_parse_fn that says so. */
bool key_unsupported(struct config_diag *diag, const struct config_node *node, void *into);

/* Of all that stands in `section` but for subsections called `but`. */
bool config_conn_digest(struct config_diag *diag, const struct config_node *section,
			const char *but, __u8 digest[CONN_DIGEST_LEN]);

#endif
