/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TC hooks: the guard on a black interface's egress, the second half of the red program on a
 * red one's ingress. tcx where the kernel has it, clsact otherwise; in both, ours stands first, so
 * that nothing that ends the chain early can go round it.
 */
#ifndef LOADER_HOOK_TC_H
#define LOADER_HOOK_TC_H

#include <linux/types.h>
#include "xipsec/maps.h"

enum tc_point { TC_INGRESS, TC_EGRESS };
enum tc_kind { TC_KIND_NONE, TC_KIND_TCX, TC_KIND_CLSACT };

struct tc_state {
	enum tc_kind kind; /* NONE: no program of ours is there */
	__u32 prog_id;
};

/* Which hook a role has, and its program's name. */
enum tc_point tc_point_of(enum xipsec_role role);
const char *tc_prog_name(enum xipsec_role role);
const char *tc_kind_name(enum tc_kind kind);

/* The program of that name, if it is attached. 0 or -errno. */
int tc_query(unsigned int ifindex, enum tc_point point, const char *prog_name,
	     struct tc_state *out);

/* As xdp_swap(): old_fd -1: ours is not there yet; new_fd -1: take old_fd away. With TC_KIND_CLSACT
 * a qdisc is made where there is none, and left behind. */
int tc_swap(unsigned int ifindex, enum tc_point point, enum tc_kind kind, int new_fd, int old_fd);

/* Ids of the programs at a tcx hook, first to last; returns how many, or -errno (-EINVAL: no tcx in
 * this kernel). */
int tcx_query(unsigned int ifindex, enum tc_point point, __u32 *ids, unsigned int max);

#endif
