/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The process that a user starts: reads the config, owns the credentials, speaks to xipsecd without
 * a restriction, and keeps child and resolver alive. parent_creds.c credentials, parent_auth.c AUTH
 * for the child, parent_paths.c where peers are, parent_sadb.c xipsecd, parent_load.c what the
 * child is told of the config.
 */
#ifndef IKED_PARENT_H
#define IKED_PARENT_H

#include <stdbool.h>
#include "lib/log.h"
#include <linux/types.h>

struct parent_options {
	const char *config_path;
	enum log_level level;
	bool json;     /* log lines are JSON */
	__u32 hostile; /* debug builds: which attack the child tries */
};

/* Exit statuses, told in xipsec-iked(8); those of xipsecd. */
enum { PARENT_OK = 0, PARENT_FAILED = 1, PARENT_USAGE = 2, PARENT_CONFIG = 3 };

int parent_run(const struct parent_options *options);

#endif
