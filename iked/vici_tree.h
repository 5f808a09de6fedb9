/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sections of a VICI message as a tree of the config (lib/config_tree.h), so that what a client
 * loads means what the same text means in a file; and a tree as a message, which is how a
 * connection goes to the process that uses it.
 */
#ifndef IKED_VICI_TREE_H
#define IKED_VICI_TREE_H

#include "lib/vici_msg.h"
#include "lib/config_tree.h"

/*
 * Everything in a valid message. Lists of texts become one value with commas between; certs,
 * cacerts and pubkeys become CONFIG_BLOBS. All places are (*place). Returns 0, -EINVAL (a zero byte
 * in a text, a comma in an item of a list), -ENOMEM; *out is for config_list_free() in every case.
 */
int vici_to_tree(struct bytes message, const struct config_place *place, struct config_list *out);

#endif
