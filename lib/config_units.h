/* SPDX-License-Identifier: BSD-2-Clause */
/* Values with units, as swanctl.conf has them. 0 means none. */
#ifndef LIB_CONFIG_UNITS_H
#define LIB_CONFIG_UNITS_H

#include "lib/config_tree.h"
#include "xipsec/sa.h"

/* Seconds: a number, with s, m, h or d behind it if wanted. */
bool parse_time(struct config_diag *diag, const struct config_node *node, __u32 *out);
/* Bytes: a number, with k, m or g behind it if wanted (times 1024). */
bool parse_bytes(struct config_diag *diag, const struct config_node *node, __u64 *out);
/* A number without unit. */
bool parse_count(struct config_diag *diag, const struct config_node *node, __u64 *out);

#endif
