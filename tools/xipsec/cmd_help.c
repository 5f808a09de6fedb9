// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include "tools/xipsec/commands.h"

static int help_all(void)
{
	printf("usage: xipsec [-c FILE] COMMAND [ARGUMENT...]\n\n");
	for (unsigned int i = 0; commands[i]; i++)
		printf("  %-8s  %s\n", commands[i]->name, commands[i]->summary);
	printf("\n  -c, --config FILE   instead of /etc/xipsec/xipsec.conf\n"
	       "  -h, --help          this\n"
	       "  -V, --version       the version\n\n"
	       "`xipsec help COMMAND` tells more about one; see also xipsec(8).\n");
	return EXIT_OK;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	const struct command *command;

	if (argc < 2)
		return help_all();
	if (argc > 2) {
		fprintf(stderr, "usage: xipsec help [COMMAND]\n");
		return EXIT_USAGE;
	}
	command = command_find(argv[1]);
	if (!command)
		return command_unknown(argv[1]);
	printf("usage: xipsec [-c FILE] %s%s%s\n\n%s\n", command->name, command->args[0] ? " " : "",
	       command->args, command->summary);
	if (command->details && command->details[0])
		printf("\n%s", command->details);
	return EXIT_OK;
}

const struct command cmd_help = {
	.name = "help",
	.args = "[COMMAND]",
	.summary = "list the commands, or tell about one",
	.details = "Exit codes: 0, or 2 if there is no such command.\n",
	.run = run,
};
