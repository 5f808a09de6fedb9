/* SPDX-License-Identifier: BSD-2-Clause */
/* Names of algorithms, and why some are not there. */
#ifndef LIB_CONFIG_ALG_H
#define LIB_CONFIG_ALG_H

#include "lib/config_tree.h"
#include "xipsec/sa.h"

/* The algorithm that `node` names, for `l4_proto` (IPPROTO_ESP or IPPROTO_AH). false: told. */
bool parse_algorithm(struct config_diag *diag, const struct config_node *node, __u8 l4_proto,
		     __u8 *out);

#endif
