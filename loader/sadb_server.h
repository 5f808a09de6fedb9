/* SPDX-License-Identifier: BSD-2-Clause */
/* The server's side of the sadb socket: who may ask, what, and the answers. */
#ifndef LOADER_SADB_SERVER_H
#define LOADER_SADB_SERVER_H

#include <event2/event.h>
#include "lib/config.h"
#include "loader/ike_ports.h"
#include "loader/sas.h"

struct sadb_hooks {
	/* 0 or -errno with text (XIPSEC_SADB_ERR_TEXT). `path` empty: the config of the start. */
	int (*add_named)(void *ctx, const char *name, __u32 flags, char *text);
	int (*reload)(void *ctx, const char *path, char *text);
	int (*withdraw)(void *ctx, const char *path, char *text);
	int (*policies)(void *ctx, const char *path, char *text); /* withdraw, switch, reload */
	/* The connection of a client whose number is `number`: what has changed of it. */
	int (*connection)(void *ctx, const char *number, char *text);
	void (*status)(void *ctx, struct sadb_status *out); /* without hdr */
	/* The SADB, and the config whose policies bound what clients add. */
	struct sas *(*sas)(void *ctx);
	const struct config *(*config)(void *ctx);
	/* The sockets of IKE: a client that lives reads them now; nobody does any more. */
	const struct ike_ports *(*ike_lend)(void *ctx);
	void (*ike_back)(void *ctx);
};

struct sadb_server;

/* Listens on run_dir/sadb.sock, mode 0600; a socket that a dead xipsecd left is replaced (the
 * caller holds run_dir's lock). 0 or -errno after a log line. */
int sadb_server_new(struct event_base *base, const char *run_dir, const struct sadb_hooks *hooks,
		    void *ctx, struct sadb_server **out);
/* Closes and removes the socket. */
void sadb_server_free(struct sadb_server *server);

/* To every subscriber that wants it; fills in hdr, lost and, where it is 0, time. Never waits: who
 * does not read loses samples, and is disconnected when it leaves too many of the others. */
void sadb_server_event(struct sadb_server *server, struct sadb_event *event);

/* What subscribers want of programs and workers beside drops: XIPSEC_TELL_*. */
__u32 sadb_server_tell(const struct sadb_server *server);

/* Would anybody get it? */
bool sadb_server_wanted(const struct sadb_server *server, enum xipsec_event event);

#endif
