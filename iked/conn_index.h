/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which connection is it? By its name, by what xipsecd calls its child, and for a peer: by where it
 * is and, once it says so, who it is. None of it looks at all connections.
 *
 * Until a peer says who it is, connections with the same addresses, proposals and wishes for
 * IKE_SA_INIT are the same to it: a shape, of which one stands for all.
 */
#ifndef IKED_CONN_INDEX_H
#define IKED_CONN_INDEX_H

#include <stdbool.h>
#include "iked/env.h"
#include "iked/table.h"

struct conn_shape;
struct ident;
struct ike_conn;

struct conn_index {
	struct table by_name, by_child, by_id, by_shape, by_addr;
	struct conn_shape *open, *open_last; /* those whose peers may be at many an address */
};

/* A child of a connection, by what xipsecd calls it. */
struct conn_child_link {
	struct table_link link;
	struct ike_conn *conn;
};

/* What a connection has of the index. */
struct conn_place {
	struct table_link by_name, by_id;
	struct conn_child_link *children; /* as many as the model has */
	struct conn_shape *shape;         /* NULL: it is not in the index */
	struct ike_conn *next, *prev; /* of the shape: those with one identity, or those without */
	bool named;                   /* its peer has one identity, no pattern */
};

/* 0 or -ENOMEM: it is not in there then. Its name must not be in there, its identities are known.
 */
int conn_index_add(struct conn_index *index, struct ike_conn *conn);
/* Nothing, if it is not in there. */
void conn_index_remove(struct conn_index *index, struct ike_conn *conn);
void conn_index_free(struct conn_index *index);

struct ike_conn *conn_index_name(const struct conn_index *index, const char *name);
/* Whose child is it? NULL: nobody's. */
struct ike_conn *conn_index_child(const struct conn_index *index, const char *sadb_child);

/* false: enough. */
typedef bool (*conn_index_fn)(void *arg, struct ike_conn *conn);

/* One of each shape that a peer there may be meant by; whether it is, ike_conn_says() tells. */
void conn_index_at(const struct conn_index *index, const struct ike_path *path, conn_index_fn each,
		   void *arg);
/* All that a peer there, with that identity, may be meant by. */
void conn_index_peer(const struct conn_index *index, const struct ike_path *path,
		     const struct ident *id, conn_index_fn each, void *arg);

#endif
