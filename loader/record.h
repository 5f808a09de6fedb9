/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * RUN_DIR/ifaces: which interfaces should be attached, as text, one line each:
 *	NAME protected|unprotected [vlan-strip] [dispatcher|no-dispatcher]
 *
 * Text in RUN_DIR and not a map, so that every ABI reads it, and that it survives a cleared bpffs
 * and an interface that is deleted and made anew. vlan-strip: the interface stripped VLAN tags
 * before it was attached, and gets that back when it is detached. The last word: it was attached
 *with that option.
 */
#ifndef LOADER_RECORD_H
#define LOADER_RECORD_H

#include <stdbool.h>
#include "xipsec/maps.h"

struct record_entry {
	char name[16];
	enum xipsec_role role;
	bool vlan_strip;
	bool dispatcher;
	bool no_dispatcher;
};

struct record {
	struct record_entry entry[XIPSEC_SLOTS_MAX];
	unsigned int n;
};

/* 0 (no file: empty) or -errno. Lines that make no sense are passed over with a warning. */
int record_read(const char *run_dir, struct record *out);

/* Replaces the file by one rename. */
int record_write(const char *run_dir, const struct record *record);

/* NULL: it is not there. */
struct record_entry *record_find(struct record *record, const char *name);

/* Adds or changes. -ENOSPC: full. */
int record_set(struct record *record, const char *name, enum xipsec_role role);
void record_remove(struct record *record, const char *name);

const char *role_name(enum xipsec_role role);

#endif
