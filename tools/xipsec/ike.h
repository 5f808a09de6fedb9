/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a subcommand to a running xipsec-iked, and what its answers say. */
#ifndef TOOLS_IKE_H
#define TOOLS_IKE_H

#include <json-c/json.h>
#include "lib/conn.h"
#include "lib/vici_client.h"
#include "tools/xipsec/command.h"

/* Connects to vici_socket of the config, or charon.vici in its run_dir. EXIT_OK and a client for
 * vici_disconnect(), or the exit code after a log line. With `quiet` nothing is said of a daemon
 * that does not run. */
int ike_connect(const struct global_options *opts, bool quiet, struct vici_client **out);

static inline void ike_disconnectp(struct vici_client **client)
{
	vici_disconnect(*client);
}
#define _cleanup_ike_ __attribute__((cleanup(ike_disconnectp)))

/* What a user calls "CONN", "CONN/CHILD", or by the child's name alone where one connection has it.
 */
struct ike_name {
	char conn[CONN_NAME_LEN];
	char child[CONN_NAME_LEN]; /* "": the connection */
};

/* Asks the daemon which connection that is. EXIT_OK, or the exit code after a log line. */
int ike_name_find(struct vici_client *client, const char *text, struct ike_name *out);

/* Calls, and says what the answer refuses. EXIT_OK, EXIT_FAILED. */
int ike_command(struct vici_client *client, const char *command, const struct vici_writer *request,
		const char *event, vici_event_fn fn, void *ctx);

/* Sections as objects, lists as arrays, values as strings. The caller puts it. */
struct json_object *ike_json(struct bytes message);
/* Of an object: a value as text ("": there is none), and what stands under that name (NULL). Both
 * stay the object's. */
const char *ike_json_text(struct json_object *object, const char *key);
struct json_object *ike_json_part(struct json_object *object, const char *key);

#endif
