/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SPD's way from the config into the programs, in two steps: spd_compile() makes the ordered
 * rules, the reference form that `xipsec policy` shows and every classifier must agree with;
 * spd_install() makes them current. A classifier faster than the walk over the rules builds its
 * tables in spd_install() and becomes current with the same switch.
 */
#ifndef LOADER_SPD_H
#define LOADER_SPD_H

#include "lib/config.h"
#include "loader/datapath.h"

/* Gives out ids of child names: an id, or -errno. */
typedef int (*spd_child_fn)(void *arg, const char *name);

/* Policies of `config` in file order. generation stays 0: spd_install() sets it. -E2BIG: more than
 * XIPSEC_RULES_MAX rules; what child_id returned; *out is untouched on failure. Pure but for
 * child_id. */
int spd_compile(const struct config *config, spd_child_fn child_id, void *arg,
		struct xipsec_spd *out);

/* Fills a new inner map beside the one in force, switches by one update of the outer map, then
 * publishes the generation in `globals` and pins the new map as spd_rules below `gen_dir`. Sets
 * spd->generation. Direction of failure: the SPD in force stays. */
int spd_install(const struct datapath *dp, const char *gen_dir, int btf_fd, __u32 btf_key,
		__u32 btf_value, struct xipsec_spd *spd);

/* Both steps on an open generation, with the type information of the map in force. */
int spd_load(const struct config *config, const struct datapath *dp, const char *pin_dir,
	     __u32 *generation);

/* The SPD in force. 0, -ENOENT: none yet, -errno. */
int spd_read(const struct datapath *dp, struct xipsec_spd *out);

#endif
