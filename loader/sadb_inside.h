/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the sadb socket share, and nobody else sees: sadb_server.c has the connections,
 * sadb_dispatch.c what they ask. */
#ifndef LOADER_SADB_INSIDE_H
#define LOADER_SADB_INSIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <event2/event.h>
#include "lib/accept_pause.h"
#include "loader/sadb_rights.h"
#include "loader/sadb_server.h"

#define SADB_LIST_MAX (256 << 10) /* bytes of a list that are written ahead of its reader */

union sadb_request {
	struct sadb_hdr hdr;
	struct sadb_name name;
	struct sadb_path path;
	struct sadb_sa_add add;
	struct sadb_sa_ref ref;
	struct sadb_subscribe subscribe;
};

struct message;

struct client {
	struct sadb_server *server;
	struct client *next;
	int fd;
	struct event *readable, *writable;
	struct message *first, **last;
	size_t queued;
	__u32 events; /* XIPSEC_EVENT_BIT() of those it wants */
	bool packets; /* samples with the first bytes of their packets */
	__u64 lost;   /* events since the last that it got */
	struct sadb_rights rights;
	/* A list under way: its request, and the place in the SADB where it goes on. Nothing else
	 * is read until it ends, for answers come in the order of requests. */
	bool listing;
	struct sadb_hdr list_req;
	__u32 list_at;
	bool deaf;   /* it has gone: no answers, but what it asked before is done */
	bool broken; /* to be ended when nobody uses it */
};

struct sadb_server {
	struct event_base *base;
	const struct sadb_hooks *hooks;
	void *ctx;
	int fd;
	char path[108];
	struct event *acceptable;
	struct accept_pause pause;
	struct client *clients;
	unsigned int n_clients;
	struct client *ike; /* who has borrowed the sockets of IKE; NULL: nobody */
};

/* Sends a message, or has it wait for its turn. One that does not read becomes broken: whoever
 * called from outside of this client's events leaves it to them to end it. */
void sadb_put(struct client *client, const void *data, size_t len);

/* Does what is asked, or refuses it in words; what cannot be a request breaks the connection. */
void sadb_handle(struct client *client, union sadb_request *req, size_t len);

/* Goes on with the list under way. */
void sadb_list_on(struct client *client);

#endif
