/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A subcommand of xipsec: one file, one entry in the table of main.c.
 */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include <stdbool.h>

/* Exit codes, told in xipsec(8). */
enum {
	EXIT_OK = 0,
	EXIT_FAILED = 1,  /* it was tried and did not work; stderr says why */
	EXIT_USAGE = 2,   /* the command line is wrong */
	EXIT_CONFIG = 3,  /* the config is wrong */
	EXIT_ALREADY = 4, /* it is so already, or there is nothing to do it to */
	EXIT_DAEMON = 5,  /* xipsecd does not run */
	EXIT_UNSAFE = 6,  /* status: an up interface has no role and no exemption, or a program is
			     missing */
};

struct global_options {
	const char *config_path; /* -c, --config */
};

struct command {
	const char *name;
	const char *args;    /* usage after the name */
	const char *summary; /* one line */
	const char *details; /* for `xipsec help NAME`: options and exit codes, lines ended by \n */
	/* argv[0] is the subcommand's name; returns an exit code */
	int (*run)(const struct global_options *opts, int argc, char **argv);
};

extern const struct command cmd_attach;
extern const struct command cmd_confirm;
extern const struct command cmd_detach;
extern const struct command cmd_status;
extern const struct command cmd_policy;
extern const struct command cmd_reload;
extern const struct command cmd_explain;
extern const struct command cmd_sa;
extern const struct command cmd_monitor;
extern const struct command cmd_conn;
extern const struct command cmd_up;
extern const struct command cmd_down;
extern const struct command cmd_rekey;
extern const struct command cmd_log;
extern const struct command cmd_metrics;
extern const struct command cmd_top;
extern const struct command cmd_config;
extern const struct command cmd_version;
extern const struct command cmd_help;

#endif
