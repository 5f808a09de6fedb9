/* SPDX-License-Identifier: BSD-2-Clause */
/* The config file as xipsecd reads it: at start, at a reload, and for the keys of its SAs. */
#ifndef LOADER_SETTINGS_H
#define LOADER_SETTINGS_H

#include "lib/config.h"

/* Reads `path`. 0 or -errno: with `text` (XIPSEC_SADB_ERR_TEXT), the first error goes there; else
 * all go to the log. *out is config_free()'s, with keys until settings_forget_keys(). */
int settings_read(const char *path, struct config **out, char *text);

void settings_forget_keys(struct config *config);

/* Settings of the start stay as they are, whatever the new file says; a difference is logged. */
void settings_keep(const struct config *old, struct config *new);

#endif
