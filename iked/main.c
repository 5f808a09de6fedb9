// SPDX-License-Identifier: BSD-2-Clause
/* xipsec-iked: options, or which of its processes this is. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "iked/parent.h"
#include "iked/proc.h"
#include "lib/config.h"
#include "lib/core_dump.h"
#include "lib/log.h"

enum { OPT_HOSTILE = 256, OPT_VERSION };

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"json", no_argument, NULL, 'j'},
	{"version", no_argument, NULL, OPT_VERSION},
#ifdef XIPSEC_HOSTILE
	{"hostile", required_argument, NULL, OPT_HOSTILE},
#endif
	{NULL, 0, NULL, 0},
};

static void usage(FILE *out)
{
	fputs("usage: xipsec-iked [-c FILE] [-v] [-j]\n"
	      "  -c, --config FILE  instead of " CONFIG_DEFAULT_PATH "\n"
	      "  -v, --verbose      say more\n"
	      "  -j, --json         log lines are JSON objects\n"
	      "      --version\n"
	      "Runs in the foreground. SIGTERM ends it and all tunnels, SIGUSR2 ends it and "
	      "leaves\n"
	      "them to the next one, SIGHUP reads the config again.\n",
	      out);
}

int main(int argc, char **argv)
{
	struct parent_options opts = {.config_path = CONFIG_DEFAULT_PATH, .level = LOG_LEVEL_INFO};
	enum proc_id id = proc_of(argc, argv);
	int opt;

	if (id != PROC_PARENT)
		return proc_main(id);
	while ((opt = getopt_long(argc, argv, "c:vjh", options, NULL)) != -1) {
		switch (opt) {
		case 'c': opts.config_path = optarg; break;
		case 'v': opts.level = LOG_LEVEL_DEBUG; break;
		case 'j': opts.json = true; break;
		case 'h': usage(stdout); return PARENT_OK;
		case OPT_VERSION: puts("xipsec-iked " XIPSEC_VERSION); return PARENT_OK;
		case OPT_HOSTILE: opts.hostile = (__u32)strtoul(optarg, NULL, 10); break;
		default: usage(stderr); return PARENT_USAGE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return PARENT_USAGE;
	}
	log_open("xipsec-iked", opts.level);
	if (opts.json)
		log_as_json();
	if (core_dump_off())
		return PARENT_FAILED;
	signal(SIGPIPE, SIG_IGN);
	return parent_run(&opts);
}
