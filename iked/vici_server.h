/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The socket of VICI: clients, what they ask and which events they want. What a command does is
 * told by a table; an answer may come later. One command at a time for each client, as VICI has it.
 *
 * Never waits for a client: who does not read is disconnected when too much waits for it.
 */
#ifndef IKED_VICI_SERVER_H
#define IKED_VICI_SERVER_H

#include <event2/event.h>
#include "lib/vici_msg.h"

#define VICI_CLIENTS_MAX 64
#define VICI_WAITING_MAX (64u << 20)  /* bytes, of one client */
#define VICI_WAITING_ALL (128u << 20) /* of all together: then the one that waits for most goes */
#define VICI_AHEAD       (256u << 10) /* bytes that are written ahead of a client's reading */

struct vici_server;
struct vici_request;

struct vici_command {
	const char *name; /* NULL ends a table */
	/* Answers with vici_answer(), now or later. */
	void (*run)(void *ctx, struct vici_request *request);
};

/* Events by the names that clients know. */
#define VICI_EVENTS(X)                      \
	X(LOG, "log")                       \
	X(CONTROL_LOG, "control-log")       \
	X(LIST_SA, "list-sa")               \
	X(LIST_POLICY, "list-policy")       \
	X(LIST_CONN, "list-conn")           \
	X(LIST_CERT, "list-cert")           \
	X(LIST_AUTHORITY, "list-authority") \
	X(IKE_UPDOWN, "ike-updown")         \
	X(IKE_REKEY, "ike-rekey")           \
	X(IKE_UPDATE, "ike-update")         \
	X(CHILD_UPDOWN, "child-updown")     \
	X(CHILD_REKEY, "child-rekey")       \
	X(ALERT, "alert")

enum vici_event {
#define VICI_EVENT_ENUM(sym, name) VICI_EVENT_##sym,
	VICI_EVENTS(VICI_EVENT_ENUM)
#undef VICI_EVENT_ENUM
		VICI_EVENT_COUNT
};

/* VICI_EVENT_COUNT: no such event. */
enum vici_event vici_event_find(const char *name);

/*
 * Listens on `path`, mode 0600; a socket that a dead server left there is replaced, a live one's is
 * not (-EADDRINUSE). Clients must be root or of our own uid. `on_events` (may be NULL) is told when
 * the events that somebody wants are others than before: 1 << enum vici_event each. 0 or -errno
 * after a log line.
 */
int vici_server_new(struct event_base *base, const char *path, const struct vici_command *commands,
		    void (*on_events)(void *ctx, __u32 events), void *ctx,
		    struct vici_server **out);
/* Disconnects all and removes the socket. Requests under way end unanswered. NULL is fine. */
void vici_server_free(struct vici_server *server);

/* To all who registered. Consumes nothing of `w`. */
void vici_server_event(struct vici_server *server, enum vici_event event,
		       const struct vici_writer *w);
bool vici_server_wanted(const struct vici_server *server, enum vici_event event);

/* Those that somebody wants. */
__u32 vici_server_events(const struct vici_server *server);
/* Every request under way is answered so. */
void vici_server_fail(struct vici_server *server, const char *text);

/* ------------------------------------------------------------------ a request */

/* Valid; lives as long as the request. */
struct bytes vici_request_message(const struct vici_request *request);
const char *vici_request_command(const struct vici_request *request);
/* Never 0, never used again. A request whose client is gone is not found. */
__u64 vici_request_id(const struct vici_request *request);
struct vici_request *vici_request_find(struct vici_server *server, __u64 id);

/* One of the events by which the answer comes, to this client alone, if it registered. */
void vici_stream(struct vici_request *request, enum vici_event event, struct bytes message);
/* `gone`: the client is, and with it the request when this returns. */
typedef void (*vici_drained_fn)(void *ctx, struct vici_request *request, bool gone);
/* Calls `fn` once, with the context of the commands, when little of what was sent waits for the
 * client to read it (VICI_AHEAD): perhaps before this returns; or when the client goes. Not at all
 * when the request is answered before, or the server goes. */
void vici_when_drained(struct vici_request *request, vici_drained_fn fn);
/* Calls `fn` once, with `gone`, if the client goes before the answer. */
void vici_when_gone(struct vici_request *request, vici_drained_fn fn);
/* The answer: ends the request. */
void vici_answer(struct vici_request *request, struct bytes message);
/* Answers with success = yes, or no and that text. */
void vici_answer_ok(struct vici_request *request);
void vici_answer_error(struct vici_request *request, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

#endif
