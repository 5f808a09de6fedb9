// SPDX-License-Identifier: BSD-2-Clause
/* xipsecd: options, what must be so before the first key is read, and the daemon. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/config.h"
#include "lib/core_dump.h"
#include "lib/log.h"
#include "loader/daemon.h"

enum { OPT_BUSY_POLL = 256, OPT_METRICS, OPT_HOSTILE, OPT_NO_REMAP, OPT_VERSION };

static const struct option options[] = {
	{"config", required_argument, NULL, 'c'},
	{"verbose", no_argument, NULL, 'v'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, OPT_VERSION},
	{"busy-poll", no_argument, NULL, OPT_BUSY_POLL},
	{"metrics", required_argument, NULL, OPT_METRICS},
#ifdef XIPSEC_HOSTILE
	{"hostile", required_argument, NULL, OPT_HOSTILE},
	{"no-remap", no_argument, NULL, OPT_NO_REMAP},
#endif
	{NULL, 0, NULL, 0},
};

static void usage(FILE *out)
{
	fputs("usage: xipsecd [-c FILE] [-v] [--busy-poll] [--metrics WHERE]\n"
	      "  -c, --config FILE  instead of " CONFIG_DEFAULT_PATH "\n"
	      "  -v, --verbose      say more\n"
	      "      --busy-poll    workers never sleep (benchmarks)\n"
	      "      --metrics WHERE  tell counters (OpenMetrics) at PORT of the loopback,\n"
	      "                     ADDR:PORT or unix:PATH\n"
	      "      --version\n"
	      "Runs in the foreground. SIGTERM stops it, SIGHUP reads the config again.\n",
	      out);
}

/* A socket for every queue of every interface, and more. */
static void raise_limits(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
		files.rlim_cur = files.rlim_max;
		setrlimit(RLIMIT_NOFILE, &files);
	}
}

int main(int argc, char **argv)
{
	struct daemon_options opts = {.config_path = CONFIG_DEFAULT_PATH};
	enum log_level level = LOG_LEVEL_INFO;
	int opt;

	while ((opt = getopt_long(argc, argv, "c:vh", options, NULL)) != -1) {
		switch (opt) {
		case 'c': opts.config_path = optarg; break;
		case 'v': level = LOG_LEVEL_DEBUG; break;
		case 'h': usage(stdout); return DAEMON_OK;
		case OPT_VERSION: puts("xipsecd " XIPSEC_VERSION); return DAEMON_OK;
		case OPT_BUSY_POLL: opts.busy_poll = true; break;
		case OPT_METRICS: opts.metrics = optarg; break;
		case OPT_NO_REMAP: opts.no_remap = true; break;
		case OPT_HOSTILE: opts.hostile = (unsigned int)strtoul(optarg, NULL, 10); break;
		default: usage(stderr); return DAEMON_USAGE;
		}
	}
	if (optind != argc) {
		usage(stderr);
		return DAEMON_USAGE;
	}
	log_open("xipsecd", level);
	if (core_dump_off())
		return DAEMON_FAILED;
	raise_limits();
	signal(SIGPIPE, SIG_IGN);
	return daemon_run(&opts);
}
