/* SPDX-License-Identifier: BSD-2-Clause */
/* The way of a subcommand to a running xipsecd. */
#ifndef TOOLS_DAEMON_H
#define TOOLS_DAEMON_H

#include "tools/xipsec/command.h"

/* Connects to the sadb socket in the run_dir that the config names. EXIT_OK and the descriptor in
 * *fd, which the caller closes; or the exit code, after a log line. */
int daemon_connect(const struct global_options *opts, int *fd);

#endif
