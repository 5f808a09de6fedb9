// SPDX-License-Identifier: BSD-2-Clause
/* xipsec: a table of subcommands and nothing else. */
#include <getopt.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/config.h"
#include "lib/config_key.h"
#include "lib/core_dump.h"
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/commands.h"

const struct command *const commands[] = {
	&cmd_attach, &cmd_confirm, &cmd_detach, &cmd_status,  &cmd_policy,
	&cmd_reload, &cmd_explain, &cmd_sa,     &cmd_conn,    &cmd_up,
	&cmd_down,   &cmd_rekey,   &cmd_log,    &cmd_monitor, &cmd_metrics,
	&cmd_top,    &cmd_config,  &cmd_help,   &cmd_version, NULL,
};

const struct command *command_find(const char *name)
{
	for (unsigned int i = 0; commands[i]; i++)
		if (strcmp(commands[i]->name, name) == 0)
			return commands[i];
	return NULL;
}

int command_unknown(const char *name)
{
	const char *names[sizeof(commands) / sizeof(commands[0])] = {0}, *near;
	unsigned int n = 0;

	for (; commands[n]; n++)
		names[n] = commands[n]->name;
	near = config_nearest(name, names, n);
	fprintf(stderr, "xipsec: unknown command %s%s%s; `xipsec help` lists them\n", name,
		near ? ": did you mean " : "", near ? near : "");
	return EXIT_USAGE;
}

/* A full disk must not look like success: scripts read what `status --json` wrote. */
static int finish(int code)
{
	if (!fflush(stdout) && !ferror(stdout))
		return code;
	log_error("standard output: %s: what was to be printed is not complete", strerror(errno));
	return code == EXIT_OK ? EXIT_FAILED : code;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{0},
	};
	struct global_options opts = {.config_path = CONFIG_DEFAULT_PATH};
	const struct command *command;
	char *help[] = {"help", NULL}, *version[] = {"version", NULL};
	int option;

	log_open("xipsec", LOG_LEVEL_INFO);
	if (core_dump_off())
		return EXIT_FAILED;
	/* "+": what stands behind the subcommand's name is its own */
	while ((option = getopt_long(argc, argv, "+c:hV", options, NULL)) >= 0) {
		switch (option) {
		case 'c': opts.config_path = optarg; break;
		case 'h': return finish(cmd_help.run(&opts, 1, help));
		case 'V': return finish(cmd_version.run(&opts, 1, version));
		default: return EXIT_USAGE;
		}
	}
	argc -= optind;
	argv += optind;
	if (!argc) {
		cmd_help.run(&opts, 1, help);
		return EXIT_USAGE;
	}
	command = command_find(argv[0]);
	if (!command)
		return command_unknown(argv[0]);
	/* As people try it first; no command has other use for these words alone. */
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return finish(cmd_help.run(&opts, 2, (char *[]){"help", argv[0], NULL}));
	optind = 0; /* glibc: start anew, for the subcommand's own options */
	return finish(command->run(&opts, argc, argv));
}
