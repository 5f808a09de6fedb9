/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a change to the data path has done so far, so that it can be taken back: when a step fails,
 * and when an `attach --confirm` was not confirmed. Steps hold descriptors of the programs that
 * were there before, so even programs without a pin come back.
 */
#ifndef LOADER_UNDO_H
#define LOADER_UNDO_H

#include "loader/hook_tc.h"
#include "loader/hook_xdp.h"
#include "loader/record.h"

enum undo_kind {
	UNDO_XDP,        /* put old_fd where new_fd is */
	UNDO_TC,         /* the same */
	UNDO_IFACE,      /* delete the entry of map_fd */
	UNDO_VLAN_STRIP, /* on again */
	UNDO_CURRENT,    /* `current` to name, "": away */
	UNDO_BUILT,      /* remove the generation of that name, when its windows are on record */
	UNDO_RECORD,     /* write `record` */
	UNDO_NFT,        /* noted first, so the last: the table says what is true, or goes */
};

struct undo_step {
	enum undo_kind kind;
	unsigned int ifindex;
	char ifname[16];
	char name[32];
	enum xdp_mode xdp_mode;
	enum tc_point tc_point;
	enum tc_kind tc_kind;
	bool nft_was;               /* there was a table */
	int new_fd, old_fd, map_fd; /* -1: none; copies of its own */
	struct record *record;
};

struct undo {
	char pin_dir[256];
	char run_dir[256];
	char state_dir[256]; /* with the records of keys */
	struct undo_step *step;
	unsigned int n;
};

/* Notes a step; descriptors are duplicated, `record` is copied. -ENOMEM, -EMFILE: do not take the
 * step then. */
int undo_note(struct undo *undo, const struct undo_step *step);

/* Forgets the last step: it did not happen. */
void undo_drop_last(struct undo *undo);

/* Takes back every step after the first `keep`, last one first, and forgets them. Goes on over
 * failures, which it tells; returns the first. */
int undo_run(struct undo *undo, unsigned int keep);

void undo_free(struct undo *undo);

#endif
