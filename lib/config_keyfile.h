/* SPDX-License-Identifier: BSD-2-Clause */
/* Key material of an SA, written in the config or in a file of its own. */
#ifndef LIB_CONFIG_KEYFILE_H
#define LIB_CONFIG_KEYFILE_H

#include <linux/types.h>
#include "lib/config_tree.h"

/* Hex with or without 0x, or file:PATH, of at most `max` bytes into `key`, *len of them. false: it
 * has told why, and `key` is zero. No message holds a byte of a key. */
bool parse_key(struct config_diag *diag, const struct config_node *node, __u8 *key, size_t max,
	       __u32 *len);

#endif
