// SPDX-License-Identifier: BSD-2-Clause
#include "iked/conn_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/ike_conn.h"

/* An address at which the peers of a shape are. */
struct addr_link {
	struct table_link link;
	struct conn_shape *shape;
};

struct members {
	struct ike_conn *first, *last; /* in the order of loading */
};

struct conn_shape {
	struct table_link by_shape;
	struct members named, unnamed;  /* whose peer has one identity, and the others */
	unsigned int n_addrs;           /* 0: it is open */
	struct conn_shape *next, *prev; /* of the open ones */
	struct addr_link addr[];
};

/* ------------------------------------------------------------------ keys */

/* FNV-1a. The config chose what is hashed, not a peer. */
static __u64 mix(__u64 hash, const void *data, size_t len)
{
	const __u8 *byte = data;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ byte[i]) * 0x100000001b3ULL;
	return hash;
}

#define SEED 0xcbf29ce484222325ULL

static __u64 key_text(const char *text)
{
	return mix(SEED, text, strlen(text));
}

static __u64 key_addr(__u8 family, const struct xipsec_addr *addr)
{
	return mix(SEED ^ family, addr, sizeof(*addr));
}

static __u64 mix_hosts(__u64 hash, const struct conn_hosts *hosts)
{
	hash = mix(hash, &hosts->n, sizeof(hosts->n));
	for (unsigned int i = 0; i < hosts->n; i++) {
		const struct conn_host *host = &hosts->host[i];

		hash = mix(hash, &host->kind, sizeof(host->kind));
		hash = mix(hash, &host->family, sizeof(host->family));
		hash = mix(hash, &host->lo, sizeof(host->lo));
		hash = mix(hash, &host->hi, sizeof(host->hi));
	}
	return hash;
}

/* All that counts before IKE_AUTH. */
static __u64 key_shape(const struct ike_conn *conn)
{
	const struct conn *model = &conn->model;
	const __u32 wishes[] = {model->fragmentation, model->encap, model->send_certreq,
				model->remote.kind};
	__u64 hash = mix_hosts(SEED, &model->local_addrs);

	hash = mix_hosts(hash, &model->remote_addrs);
	for (unsigned int i = 0; i < model->proposals.n; i++)
		hash = mix(hash, model->proposals.text[i], strlen(model->proposals.text[i]) + 1);
	hash = mix(hash, wishes, sizeof(wishes));
	return mix(hash, conn->cas, conn->cas_len);
}

/* ------------------------------------------------------------------ shapes */

static bool is_address(const struct conn_host *host)
{
	return host->kind == CONN_HOST_RANGE && !memcmp(&host->lo, &host->hi, sizeof(host->lo));
}

/* How many addresses its peers are at; 0: many, or who knows. */
static unsigned int addresses(const struct conn_hosts *hosts)
{
	for (unsigned int i = 0; i < hosts->n; i++)
		if (!is_address(&hosts->host[i]))
			return 0;
	return hosts->n;
}

static void shape_out(struct conn_index *index, struct conn_shape *shape)
{
	for (unsigned int i = 0; i < shape->n_addrs; i++)
		table_remove(&index->by_addr, &shape->addr[i].link);
	table_remove(&index->by_shape, &shape->by_shape);
	if (!shape->n_addrs) {
		*(shape->prev ? &shape->prev->next : &index->open) = shape->next;
		*(shape->next ? &shape->next->prev : &index->open_last) = shape->prev;
	}
	free(shape);
}

static struct conn_shape *shape_new(struct conn_index *index, const struct conn_hosts *hosts,
				    __u64 key)
{
	unsigned int n = addresses(hosts);
	struct conn_shape *shape = calloc(1, sizeof(*shape) + n * sizeof(shape->addr[0]));

	if (!shape || table_add(&index->by_shape, &shape->by_shape, key)) {
		free(shape);
		return NULL;
	}
	for (; shape->n_addrs < n; shape->n_addrs++) {
		struct addr_link *addr = &shape->addr[shape->n_addrs];
		const struct conn_host *host = &hosts->host[shape->n_addrs];

		addr->shape = shape;
		if (table_add(&index->by_addr, &addr->link, key_addr(host->family, &host->lo))) {
			shape_out(index, shape);
			return NULL;
		}
	}
	if (n)
		return shape;
	shape->prev = index->open_last;
	*(shape->prev ? &shape->prev->next : &index->open) = shape;
	index->open_last = shape;
	return shape;
}

static struct conn_shape *shape_of(struct conn_index *index, const struct ike_conn *conn)
{
	__u64 key = key_shape(conn);
	struct table_link *link = table_find(&index->by_shape, key);

	return link ? table_entry(link, struct conn_shape, by_shape)
		    : shape_new(index, &conn->model.remote_addrs, key);
}

static struct members *members(struct conn_shape *shape, const struct ike_conn *conn)
{
	return conn->place.named ? &shape->named : &shape->unnamed;
}

static void shape_join(struct conn_shape *shape, struct ike_conn *conn)
{
	struct members *list = members(shape, conn);

	conn->place.shape = shape;
	conn->place.next = NULL;
	conn->place.prev = list->last;
	*(list->last ? &list->last->place.next : &list->first) = conn;
	list->last = conn;
}

static void shape_leave(struct conn_index *index, struct ike_conn *conn)
{
	struct conn_place *place = &conn->place;
	struct conn_shape *shape = place->shape;
	struct members *list = members(shape, conn);

	*(place->prev ? &place->prev->place.next : &list->first) = place->next;
	*(place->next ? &place->next->place.prev : &list->last) = place->prev;
	place->shape = NULL;
	if (!shape->named.first && !shape->unnamed.first)
		shape_out(index, shape);
}

/* ------------------------------------------------------------------ in and out */

static void children_out(struct conn_index *index, struct ike_conn *conn, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		table_remove(&index->by_child, &conn->place.children[i].link);
	free(conn->place.children);
	conn->place.children = NULL;
}

static int children_in(struct conn_index *index, struct ike_conn *conn)
{
	const struct conn *model = &conn->model;
	struct conn_child_link *links = calloc(model->n_children + 1, sizeof(*links));

	if (!links)
		return -ENOMEM;
	conn->place.children = links;
	for (unsigned int i = 0; i < model->n_children; i++) {
		links[i].conn = conn;
		if (!table_add(&index->by_child, &links[i].link,
			       key_text(model->children[i].sadb_name)))
			continue;
		children_out(index, conn, i);
		return -ENOMEM;
	}
	return 0;
}

static int names_in(struct conn_index *index, struct ike_conn *conn)
{
	struct conn_place *place = &conn->place;

	if (table_add(&index->by_name, &place->by_name, key_text(conn->model.name)))
		return -ENOMEM;
	if (!place->named || !table_add(&index->by_id, &place->by_id, ident_hash(conn->remote_id)))
		return 0;
	table_remove(&index->by_name, &place->by_name);
	return -ENOMEM;
}

int conn_index_add(struct conn_index *index, struct ike_conn *conn)
{
	struct conn_shape *shape = shape_of(index, conn);

	if (!shape)
		return -ENOMEM;
	conn->place.named = conn->remote_id && !ident_is_pattern(conn->remote_id);
	shape_join(shape, conn);
	if (children_in(index, conn)) {
		shape_leave(index, conn);
		return -ENOMEM;
	}
	if (!names_in(index, conn))
		return 0;
	children_out(index, conn, conn->model.n_children);
	shape_leave(index, conn);
	return -ENOMEM;
}

void conn_index_remove(struct conn_index *index, struct ike_conn *conn)
{
	if (!conn->place.shape)
		return;
	table_remove(&index->by_name, &conn->place.by_name);
	if (conn->place.named)
		table_remove(&index->by_id, &conn->place.by_id);
	children_out(index, conn, conn->model.n_children);
	shape_leave(index, conn);
}

void conn_index_free(struct conn_index *index)
{
	table_free(&index->by_name);
	table_free(&index->by_child);
	table_free(&index->by_id);
	table_free(&index->by_shape);
	table_free(&index->by_addr);
}

/* ------------------------------------------------------------------ asking */

struct ike_conn *conn_index_name(const struct conn_index *index, const char *name)
{
	struct table_link *link = table_find(&index->by_name, key_text(name));

	for (; link; link = table_next(link)) {
		struct ike_conn *conn = table_entry(link, struct ike_conn, place.by_name);

		if (!strcmp(conn->model.name, name))
			return conn;
	}
	return NULL;
}

static bool has_child(const struct ike_conn *conn, const char *sadb_child)
{
	for (unsigned int i = 0; i < conn->model.n_children; i++)
		if (!strcmp(conn->model.children[i].sadb_name, sadb_child))
			return true;
	return false;
}

struct ike_conn *conn_index_child(const struct conn_index *index, const char *sadb_child)
{
	struct table_link *link = table_find(&index->by_child, key_text(sadb_child));

	for (; link; link = table_next(link)) {
		struct ike_conn *conn = table_entry(link, struct conn_child_link, link)->conn;

		if (has_child(conn, sadb_child))
			return conn;
	}
	return NULL;
}

/* false: enough. */
typedef bool (*shape_fn)(const struct conn_shape *shape, conn_index_fn each, void *arg);

static void shapes_at(const struct conn_index *index, const struct ike_path *path, shape_fn look,
		      conn_index_fn each, void *arg)
{
	struct table_link *link =
		table_find(&index->by_addr, key_addr(path->family, &path->remote));

	for (; link; link = table_next(link))
		if (!look(table_entry(link, struct addr_link, link)->shape, each, arg))
			return;
	for (const struct conn_shape *shape = index->open; shape; shape = shape->next)
		if (!look(shape, each, arg))
			return;
}

static bool one(const struct conn_shape *shape, conn_index_fn each, void *arg)
{
	return each(arg, shape->named.first ? shape->named.first : shape->unnamed.first);
}

void conn_index_at(const struct conn_index *index, const struct ike_path *path, conn_index_fn each,
		   void *arg)
{
	shapes_at(index, path, one, each, arg);
}

static bool unnamed(const struct conn_shape *shape, conn_index_fn each, void *arg)
{
	for (struct ike_conn *conn = shape->unnamed.first; conn; conn = conn->place.next)
		if (!each(arg, conn))
			return false;
	return true;
}

void conn_index_peer(const struct conn_index *index, const struct ike_path *path,
		     const struct ident *id, conn_index_fn each, void *arg)
{
	struct table_link *link = table_find(&index->by_id, ident_hash(id));

	for (; link; link = table_next(link))
		if (!each(arg, table_entry(link, struct ike_conn, place.by_id)))
			return;
	shapes_at(index, path, unnamed, each, arg);
}
