/* SPDX-License-Identifier: BSD-2-Clause */
/* `xipsec status --features`: what this kernel and the drivers of the config's interfaces have. */
#ifndef TOOLS_FEATURES_SHOW_H
#define TOOLS_FEATURES_SHOW_H

#include <stdbool.h>
#include "lib/config.h"

/* EXIT_*. */
int features_show(const struct config *config, bool json);

#endif
