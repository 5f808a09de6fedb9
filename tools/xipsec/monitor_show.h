/* SPDX-License-Identifier: BSD-2-Clause */
/* Events of xipsecd for people, as JSON (docs/json-monitor.md), and in a capture's comments. */
#ifndef TOOLS_MONITOR_SHOW_H
#define TOOLS_MONITOR_SHOW_H

#include <stddef.h>
#include "xipsec/sadb.h"

/* One line each, to stdout. */
void monitor_print_json(const struct sadb_event *event);
void monitor_print_text(const struct sadb_event *event);

/* The reason and what is known of the SA of a packet that was dropped or passed. */
void monitor_comment(const struct sadb_event *event, char *text, size_t size);

/* ns since boot to ns since 1970: what lies between them moves with the clock. */
__u64 monitor_time(__u64 boot_ns);

#endif
