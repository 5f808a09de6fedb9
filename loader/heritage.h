/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a new generation takes over from the one before: `sa_state`, where replay windows and
 * sequence counters stand, and `worker_stats`, which tells an xipsecd which workers a dead one
 * left.
 *
 * Every program is bound to them and to `version` (BPF_PROG_BIND_MAP), though it reads none of
 * them: so they live as long as an interface runs one of our programs, whoever dies and whatever
 * becomes of bpffs, and are found again by the programs.
 *
 * What cannot be taken over (another ABI, another max_sas) is settled before it goes: the highest
 * number received goes into the record of each key, and everything up to there will be refused. An
 * xipsecd that runs has the records locked, and does it itself when it moves or ends.
 */
#ifndef LOADER_HERITAGE_H
#define LOADER_HERITAGE_H

#include <bpf/libbpf.h>
#include "lib/config.h"

struct heritage {
	__u32 abi;                  /* whose layout they have */
	int sa_state, worker_stats; /* map descriptors, -1: there is none */
};

/* By the current pins; where there are none, by the programs that run on interfaces of this network
 * namespace. Finding nothing is no error. The caller ends it with heritage_close(). */
void heritage_find(const char *pin_dir, struct heritage *out);
/* Of the generation pinned as PIN_DIR/NAME, current or not; as above. */
void heritage_of(const char *pin_dir, const char *name, struct heritage *out);
void heritage_close(struct heritage *heritage);

/* Gives an object that is not loaded yet the maps that it can go on with, and settles the windows
 * of those it cannot. -errno, with a message: what was received would be forgotten. */
int heritage_take(const struct config *config, const struct heritage *heritage,
		  struct bpf_object *obj);

/* Binds the programs of a loaded object to the maps. 0 or -errno. */
int heritage_bind(struct bpf_object *obj);

/* When the object is loaded: settles once more what it did not take (`sa_state` is its own), for a
 * worker outlives its xipsecd by milliseconds. 0 or -errno, as above. */
int heritage_leave(const char *state_dir, const struct heritage *heritage, int sa_state);

/* Writes what was received to the records in `state_dir`. 0, also where there are none; -EBUSY: an
 * xipsecd runs; else -errno, with a message: then these windows must not go. */
int heritage_settle(const char *state_dir, const struct heritage *heritage);

#endif
