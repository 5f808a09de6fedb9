/* SPDX-License-Identifier: BSD-2-Clause */
/* The table of subcommands, for main.c and help. */
#ifndef TOOLS_COMMANDS_H
#define TOOLS_COMMANDS_H

#include "tools/xipsec/command.h"

extern const struct command *const commands[]; /* NULL ends it */

const struct command *command_find(const char *name); /* NULL: unknown */

/* Says that there is no such subcommand, and which one is near. Returns EXIT_USAGE. */
int command_unknown(const char *name);

#endif
