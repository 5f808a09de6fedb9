/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One generation: the maps and programs of one build, pinned in a directory of its own. A new one
 * is built beside the old, filled, and only then do hooks and `current` move to it.
 *
 * The names below PIN_DIR (gen-N, prog/NAME, version, current) are the same in every ABI; nothing
 * else of another ABI's generation is ever opened.
 */
#ifndef LOADER_GENERATION_H
#define LOADER_GENERATION_H

#include "loader/datapath.h"

struct bpf_object;
struct xipsec_bpf;

struct generation {
	char name[32]; /* "gen-3" */
	char dir[320];
	int red, black; /* program descriptors */
	int tc[3];      /* TC_PLACES, loader/hook_tc.h */
	struct datapath dp;
};

/* Loads programs and maps, pins them as the next gen-N, fills the SPD from `config` (its generation
 * goes on from `spd_base`). The states of SAs stay in their map (heritage.h). Tells why it failed
 * and leaves nothing then. */
int generation_build(const struct config *config, __u32 spd_base, struct generation *out);

/* The current one. -ENOENT: none; -EPROTO: of another ABI; -errno. */
int generation_open(const char *pin_dir, struct generation *out);
void generation_close(struct generation *gen);

/* The object, not loaded yet, with the settings of this host in its read-only data, and counters
 * for `rules`. Whatever is loaded of it, programs, twin or extension, begins here: they must not
 * differ but by what makes them the one or the other. The caller destroys it; NULL after a log
 * line. */
struct xipsec_bpf *generation_object(__u32 rules);

/* Gives an object that is not loaded yet the maps of this generation. 0 or -errno, with a message.
 */
int generation_reuse_maps(const struct generation *gen, struct bpf_object *obj);

/* The XDP program of a role once more, as an extension for libxdp's dispatcher, on the maps of this
 * generation. A descriptor that the caller closes, or -errno. */
int generation_extension(const struct generation *gen, enum xipsec_role role);

/* Makes `name` the current one by one rename, and keeps the symlinks for people beside it; NULL:
 * there is none any more. */
int generation_set_current(const char *pin_dir, const char *name);

/* Unpins gen-N. What interfaces still run stays alive until it is replaced there. */
void generation_remove(const char *pin_dir, const char *name);

/* Removes every generation but `keep` (NULL: keeps none, and takes the symlinks and pin_dir away
 * too). */
void generation_sweep(const char *pin_dir, const char *keep);

#endif
