/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's side of VICI (lib/vici_msg.h): blocking, one command at a time. */
#ifndef LIB_VICI_CLIENT_H
#define LIB_VICI_CLIENT_H

#include "lib/vici_msg.h"

struct vici_client;

/* Called for each event; `message` is valid and lives for the call. 0 to go on, or -errno. */
typedef int (*vici_event_fn)(void *ctx, const char *event, struct bytes message);

/* Connects to a stream socket. 0; -errno: -ENOENT and -ECONNREFUSED mean that nobody serves it. */
int vici_connect(const char *path, struct vici_client **out);
/* NULL is fine. */
void vici_disconnect(struct vici_client *client);

/*
 * Asks and waits as long as it takes. With `event` (its answer comes in such events) `fn` sees
 * each. `answer` is empty before, the answer after success, the caller frees it. Returns 0;
 * -ENOSYS: the server does not know the command or the event; what `fn` returned; -EPROTO; -errno.
 */
int vici_call(struct vici_client *client, const char *command, const struct vici_writer *request,
	      const char *event, vici_event_fn fn, void *ctx, struct vici_writer *answer);

/* Registers for `events` (NULL ends them) and gives them to `fn` until it returns other than 0, or
 * the server goes (-ECONNRESET). */
int vici_listen(struct vici_client *client, const char *const *events, vici_event_fn fn, void *ctx);

#endif
