/* SPDX-License-Identifier: BSD-2-Clause */
/* The config file as xipsecd reads it: at start, at a reload, and for the keys of its SAs. */
#ifndef LOADER_SETTINGS_H
#define LOADER_SETTINGS_H

#include "lib/config.h"

/* Reads `path`. 0 or -errno: with `text` (XIPSEC_SADB_ERR_TEXT), the first error goes there; else
 * all go to the log. *out is config_free()'s, with keys until settings_forget_keys(). */
int settings_read(const char *path, struct config **out, char *text);

void settings_forget_keys(struct config *config);

/* Logs a difference in settings of the start, which stay as they are. */
void settings_say_restart(const struct config *old, const struct config *new);

/* Settings of the start stay as they are, whatever the new file says. */
void settings_keep(const struct config *old, struct config *new);

#endif
