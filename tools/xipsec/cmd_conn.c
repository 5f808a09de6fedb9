// SPDX-License-Identifier: BSD-2-Clause
/* conn: the connections that xipsec-iked knows, and which of them are up. log: what it does. */
#include <stdio.h>
#include <string.h>
#include "lib/log.h"
#include "tools/xipsec/ike.h"

struct listing {
	struct json_object *conns; /* by name, as list-conn has them */
	struct json_object *sas;   /* list-sa, in the order that they come */
};

static int on_conn(void *ctx, const char *event, struct bytes message)
{
	struct json_object *all = ctx, *one = ike_json(message);

	json_object_object_foreach(one, name, conn)
		json_object_object_add(all, name, json_object_get(conn));
	json_object_put(one);
	return 0;
}

static int on_sa(void *ctx, const char *event, struct bytes message)
{
	json_object_array_add(ctx, ike_json(message));
	return 0;
}

/* "a, b" of a list. */
static void print_list(struct json_object *list)
{
	size_t n = list && json_object_is_type(list, json_type_array)
			   ? json_object_array_length(list)
			   : 0;

	for (size_t i = 0; i < n; i++)
		printf("%s%s", i ? ", " : "",
		       json_object_get_string(json_object_array_get_idx(list, i)));
}

/* The state of a child of a connection in the list of SAs: the best one. "": none. */
static const char *child_state(struct json_object *sas, const char *conn, const char *child)
{
	const char *best = "";

	for (size_t i = 0; i < json_object_array_length(sas); i++) {
		struct json_object *ike = ike_json_part(json_object_array_get_idx(sas, i), conn);
		struct json_object *children = ike ? ike_json_part(ike, "child-sas") : NULL;

		if (!children)
			continue;
		json_object_object_foreach(children, name, sa)
		{
			if (name && strcmp(ike_json_text(sa, "name"), child) == 0 &&
			    strcmp(best, "INSTALLED") != 0)
				best = ike_json_text(sa, "state");
		}
	}
	return best;
}

static void print_conn(const char *name, struct json_object *conn, struct json_object *sas)
{
	struct json_object *children = ike_json_part(conn, "children");

	printf("%s: ", name);
	print_list(ike_json_part(conn, "local_addrs"));
	printf(" ... ");
	print_list(ike_json_part(conn, "remote_addrs"));
	printf("\n");
	if (!children)
		return;
	json_object_object_foreach(children, child_name, child)
	{
		const char *state = child_state(sas, name, child_name);

		printf("    %s: ", child_name);
		print_list(ike_json_part(child, "local-ts"));
		printf(" === ");
		print_list(ike_json_part(child, "remote-ts"));
		printf(", %s\n", state[0] ? state : "down");
	}
}

static int list(struct vici_client *client, bool json)
{
	struct listing all = {json_object_new_object(), json_object_new_array()};
	int code = ike_command(client, "list-conns", NULL, "list-conn", on_conn, all.conns);

	if (!code)
		code = ike_command(client, "list-sas", NULL, "list-sa", on_sa, all.sas);
	if (!code && json) {
		puts(json_object_to_json_string_ext(all.conns, JSON_C_TO_STRING_PRETTY |
								       JSON_C_TO_STRING_SPACED));
	} else if (!code) {
		json_object_object_foreach(all.conns, name, conn) print_conn(name, conn, all.sas);
	}
	json_object_put(all.conns);
	json_object_put(all.sas);
	return code;
}

/* ------------------------------------------------------------------ log */

static int on_log(void *ctx, const char *event, struct bytes message)
{
	const bool *json = ctx;
	struct json_object *line = ike_json(message);

	if (*json)
		puts(json_object_to_json_string_ext(line, JSON_C_TO_STRING_PLAIN));
	else
		puts(ike_json_text(line, "msg"));
	json_object_put(line);
	return fflush(stdout) ? -1 : 0;
}

static int follow(struct vici_client *client, bool json)
{
	static const char *const events[] = {"log", NULL};

	vici_listen(client, events, on_log, &json);
	log_error("xipsec-iked has gone");
	return EXIT_DAEMON;
}

static int run(const struct global_options *opts, int argc, char **argv,
	       int (*what)(struct vici_client *client, bool json))
{
	_cleanup_ike_ struct vici_client *client = NULL;
	bool json = argc == 2 && strcmp(argv[1], "--json") == 0;
	int code;

	if (argc > 1 + json) {
		fprintf(stderr, "usage: xipsec %s [--json]\n", argv[0]);
		return EXIT_USAGE;
	}
	code = ike_connect(opts, false, &client);
	return code ? code : what(client, json);
}

static int run_conn(const struct global_options *opts, int argc, char **argv)
{
	return run(opts, argc, argv, list);
}

static int run_log(const struct global_options *opts, int argc, char **argv)
{
	return run(opts, argc, argv, follow);
}

const struct command cmd_conn = {
	.name = "conn",
	.args = "[--json]",
	.summary = "list the connections of xipsec-iked and the state of their children",
	.details = "Those of the config and those that clients loaded (swanctl).\n\n"
		   "--json  by name, with the keys of VICI's list-conn\n\n"
		   "Exit: 0 done, 1 failed, 2 usage, 5 xipsec-iked does not run.\n",
	.run = run_conn,
};

const struct command cmd_log = {
	.name = "log",
	.args = "[--json]",
	.summary = "print what xipsec-iked does, as it does it",
	.details = "One line an event, until interrupted. No key is ever in it.\n\n"
		   "--json  an object a line, with the keys of VICI's log event\n\n"
		   "Exit: 1 failed, 2 usage, 5 xipsec-iked does not run, or has ended.\n",
	.run = run_log,
};
