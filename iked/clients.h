/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What clients of VICI loaded, as they said it: connections, secrets, keys, certificates. It lives
 * as long as the parent, and is put into every config and every store of credentials that is made.
 */
#ifndef IKED_CLIENTS_H
#define IKED_CLIENTS_H

#include "iked/creds.h"
#include "lib/config.h"

#define CLIENTS_CONNS_MAX  16384
#define CLIENTS_CREDS_MAX  16384
#define CLIENTS_CREDS_SIZE 65535 /* bytes of one */
#define CLIENTS_ID_LEN     128

enum client_cred_kind {
	CLIENT_PSK,
	CLIENT_KEY,
	CLIENT_CERT,
	CLIENT_CA,
	CLIENT_CRL,
	CLIENT_AUTHORITY, /* a CA's certificate, by a name */
};

struct client_cred {
	enum client_cred_kind kind;
	char id[CLIENTS_ID_LEN]; /* the client's, of a secret or an authority; of a key its
				  * hash; else "" */
	struct conn_texts owners;
	__u8 *data; /* of libcrypto's secure heap if it is a secret */
	size_t len;
};

/* All zero is an empty one. */
struct clients {
	struct conn **conns; /* in the order of their numbers */
	unsigned int n_conns;
	struct name_index index; /* of conns */
	__u32 last;              /* number that was given out */
	bool own_files;          /* connections.d holds what is in conns, nothing older */
	struct client_cred *creds;
	unsigned int n_creds;
};

/* Wipes and frees all; it is empty then. */
void clients_clear(struct clients *clients);

/* ------------------------------------------------------------------ connections */

const struct conn *clients_conn(const struct clients *clients, const char *name);
/* Takes *conn over (zero afterwards, also on failure), in place of one of that name, which *old
 * gets (NULL: there was none) for conn_free(), and with its number; that of *conn, if it has one,
 * is kept else. 0, -ENOMEM, -E2BIG. */
int clients_conn_put(struct clients *clients, struct conn *conn, struct conn **old);
/* Takes it out; the caller frees it with conn_free(). NULL: there is none. */
struct conn *clients_conn_take(struct clients *clients, const char *name);
void conn_free(struct conn *conn);

/* Of a config that was just read: the connections of clients, of which RUN_DIR/connections.d
 * knows no more than their rules, become what was loaded. Those that a client of an earlier daemon
 * loaded go: their rules stay in force, closed, until somebody loads them again. 0 or -ENOMEM. */
int clients_fill_in(const struct clients *clients, struct config *config);

/* Makes RUN_DIR/connections.d say what there is of the connection with that number. What a daemon
 * before left there goes first: *all then, for more has changed than that one. 0 or -errno. */
int clients_write(struct clients *clients, const char *run_dir, __u32 number, bool *all);

/* A deep copy. *out is zero before. 0 or -errno. */
int conn_copy(const struct conn *conn, struct conn *out);

/* ------------------------------------------------------------------ credentials */

/* Copies `data`; one of the same kind and id is replaced, and of those without an id the same one
 * is kept once, however often it is loaded. 0, -ENOMEM, -E2BIG. `owners` is taken over, and zero
 * afterwards. */
int clients_cred_put(struct clients *clients, enum client_cred_kind kind, const char *id,
		     struct bytes data, struct conn_texts *owners);
/* False: there is none. */
bool clients_cred_remove(struct clients *clients, enum client_cred_kind kind, const char *id);
/* All credentials but authorities, no connection. */
void clients_creds_clear(struct clients *clients);
/* Adds them to a store that was just loaded. */
void clients_creds_add(const struct clients *clients, struct creds *creds);

#endif
