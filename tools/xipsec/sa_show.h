/* SPDX-License-Identifier: BSD-2-Clause */
/* An SA for people and for programs. */
#ifndef TOOLS_SA_SHOW_H
#define TOOLS_SA_SHOW_H

#include <json-c/json.h>
#include "xipsec/sadb.h"

/* Prints some lines to stdout. */
void sa_show_text(const struct sadb_sa_info *info);

/* docs/json-sa.md. The caller puts it. */
struct json_object *sa_show_json(const struct sadb_sa_info *info);

#endif
