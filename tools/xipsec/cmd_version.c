// SPDX-License-Identifier: BSD-2-Clause
#include <stdio.h>
#include "tools/xipsec/command.h"
#include "xipsec/maps.h"

static int run(const struct global_options *opts, int argc, char **argv)
{
	if (argc > 1) {
		fprintf(stderr, "usage: xipsec version\n");
		return EXIT_USAGE;
	}
	printf("xipsec %s (ABI %u)\n", XIPSEC_VERSION, XIPSEC_ABI);
	return EXIT_OK;
}

const struct command cmd_version = {
	.name = "version",
	.args = "",
	.summary = "print the version of this client and its ABI",
	.details = "The ABI is that of maps and messages: pins of another one are built anew by\n"
		   "`xipsec attach`. The version of what is attached stands in `xipsec status`.\n",
	.run = run,
};
