/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TC hooks: the guard on a black interface's egress, and on the ingress of both roles the
 * program behind XDP. tcx where the kernel has it, clsact otherwise; in both, ours stands first, so
 * that nothing that ends the chain early can go round it. By no link: a link dies with its pin.
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

/* Where a role has a program. */
struct tc_place {
	enum xipsec_role role;
	enum tc_point point;
	const char *prog_name;
};

/* In the order in which they are attached: first nothing leaves, then nothing comes in. */
#define TC_GUARD   0
#define TC_BLACKTC 1
#define TC_REDTC   2
#define TC_PLACES  3
extern const struct tc_place tc_place[TC_PLACES];

/* The place behind XDP on the ingress of a role, TC_BLACKTC or TC_REDTC. */
unsigned int tc_behind(enum xipsec_role role);

const char *tc_kind_name(enum tc_kind kind);

/* What is there of ours. 0 or -errno. */
int tc_query_place(unsigned int ifindex, const struct tc_place *place, struct tc_state *out);

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
