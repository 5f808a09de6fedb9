/* SPDX-License-Identifier: BSD-2-Clause */
/* IKE SAs, their child SAs and the SAs of the data path that these are made of, as one tree. */
#ifndef TOOLS_SA_TREE_H
#define TOOLS_SA_TREE_H

#include <json-c/json.h>
#include "tools/xipsec/ike.h"

/* `sas`: a list of sa_show_json(). Asks xipsec-iked for its IKE SAs, with `client` NULL (it does
 * not run) there are none, and moves into their children the SAs that they name. docs/json-sa.md
 * tells what *out is; the caller puts it, and `sas` as before. EXIT_OK, or the exit code after a
 * log line. */
int sa_tree_make(struct vici_client *client, struct json_object *sas, struct json_object **out);

/* Prints it to stdout. */
void sa_tree_text(struct json_object *tree);

#endif
