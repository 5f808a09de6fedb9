// SPDX-License-Identifier: BSD-2-Clause
/* up, down, rekey: what xipsec-iked shall do with a connection or a child. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/log.h"
#include "tools/xipsec/ike.h"

#define TIMEOUT_DEFAULT 60 /* seconds */

struct line {
	const char *name;
	int timeout; /* seconds */
	bool force, reauth, quiet;
};

static int parse(int argc, char **argv, const char *allowed, struct line *out)
{
	static const struct option options[] = {
		{"timeout", required_argument, NULL, 't'},
		{"force", no_argument, NULL, 'f'},
		{"reauth", no_argument, NULL, 'r'},
		{"quiet", no_argument, NULL, 'q'},
		{0},
	};
	struct line line = {.timeout = TIMEOUT_DEFAULT};
	int option;

	while ((option = getopt_long(argc, argv, "t:frq", options, NULL)) >= 0) {
		if (option == '?' || !strchr(allowed, option))
			return EXIT_USAGE;
		line.force |= option == 'f';
		line.reauth |= option == 'r';
		line.quiet |= option == 'q';
		if (option == 't')
			line.timeout = atoi(optarg);
	}
	if (optind + 1 != argc || line.timeout < 1)
		return EXIT_USAGE;
	line.name = argv[optind];
	*out = line;
	return EXIT_OK;
}

/* What the daemon says while it is at it. */
static int on_log(void *ctx, const char *event, struct bytes message)
{
	const struct line *line = ctx;
	struct bytes text = vici_get(message, "msg");

	if (!line->quiet && text.data)
		printf("%.*s\n", (int)text.len, (const char *)text.data);
	return 0;
}

static int usage(const struct command *command)
{
	fprintf(stderr, "usage: xipsec %s %s\n", command->name, command->args);
	return EXIT_USAGE;
}

static int ask(const struct global_options *opts, const struct line *line, const char *command)
{
	_cleanup_vici_ struct vici_writer request = {0};
	_cleanup_ike_ struct vici_client *client = NULL;
	bool logs = strcmp(command, "rekey") != 0;
	struct ike_name name;
	int code = ike_connect(opts, false, &client);

	if (!code)
		code = ike_name_find(client, line->name, &name);
	if (code)
		return code;
	vici_text(&request, "ike", "%s", name.conn);
	if (name.child[0])
		vici_text(&request, "child", "%s", name.child);
	if (logs)
		vici_text(&request, "timeout", "%d", line->timeout * 1000);
	if (line->force)
		vici_bool(&request, "force", true);
	if (line->reauth)
		vici_bool(&request, "reauth", true);
	return ike_command(client, command, &request, logs ? "control-log" : NULL, on_log,
			   (void *)line);
}

static int run_up(const struct global_options *opts, int argc, char **argv)
{
	struct line line;

	return parse(argc, argv, "tq", &line) ? usage(&cmd_up) : ask(opts, &line, "initiate");
}

static int run_down(const struct global_options *opts, int argc, char **argv)
{
	struct line line;

	return parse(argc, argv, "tfq", &line) ? usage(&cmd_down) : ask(opts, &line, "terminate");
}

static int run_rekey(const struct global_options *opts, int argc, char **argv)
{
	struct line line;

	return parse(argc, argv, "r", &line) ? usage(&cmd_rekey) : ask(opts, &line, "rekey");
}

#define NAME_HELP                                                                        \
	"NAME is a connection, CONN/CHILD, or a child's name where one connection has\n" \
	"it. "
#define EXIT_HELP                                                                       \
	"Exit: 0 done, 1 failed (stderr says why), 2 usage, 4 there is no such name,\n" \
	"5 xipsec-iked does not run.\n"

const struct command cmd_up = {
	.name = "up",
	.args = "[--timeout SECONDS] [--quiet] NAME",
	.summary = "negotiate a connection or one of its children",
	.details = NAME_HELP "Prints what is negotiated, and waits until it is up or has\n"
			     "failed, 60 seconds unless told otherwise.\n\n" EXIT_HELP,
	.run = run_up,
};

const struct command cmd_down = {
	.name = "down",
	.args = "[--timeout SECONDS] [--force] [--quiet] NAME",
	.summary = "close a connection or one of its children",
	.details = NAME_HELP "What its policies protect is dropped from then on; a\n"
			     "trap may bring it up again.\n\n"
			     "--force  does not wait for the peer's answer\n\n" EXIT_HELP,
	.run = run_down,
};

const struct command cmd_rekey = {
	.name = "rekey",
	.args = "[--reauth] NAME",
	.summary = "make new keys for a connection or one of its children",
	.details = NAME_HELP "New SAs are made before the old ones go.\n\n"
			     "--reauth  of a connection: authenticates anew, too\n\n" EXIT_HELP,
	.run = run_rekey,
};
