/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The XDP hook of one interface: our program as an extension in libxdp's dispatcher
 * (loader/dispatcher.h), or alone. Alone it is attached by plain netlink, not by a link: a link
 * dies with its pin. In a dispatcher it hangs on one; what stands behind XDP then is in
 * bpf/behind.h.
 */
#ifndef LOADER_HOOK_XDP_H
#define LOADER_HOOK_XDP_H

#include <stdbool.h>
#include <linux/types.h>
#include "xipsec/maps.h"

enum xdp_mode { XDP_MODE_OFF, XDP_MODE_NATIVE, XDP_MODE_GENERIC_SKB, XDP_MODE_OFFLOAD };

struct xdp_state {
	enum xdp_mode mode; /* OFF: there is no program */
	__u32 prog_id;      /* in a dispatcher: of our program, where it is there */
	char prog_name[16];
	enum xipsec_role role; /* of a program of ours by its name, else NONE */
	__u32 main_id;         /* what the interface itself runs: the program or the dispatcher */
	bool dispatcher;
	unsigned int n_ours;   /* in the dispatcher; two in the middle of a switch */
	unsigned int n_others; /* programs of others that live in it */
};

/* What is attached now. 0 or -errno. */
int xdp_query(unsigned int ifindex, struct xdp_state *out);

/* Puts new_fd where old_fd is, atomically: -EEXIST or -EBUSY if that is not so any more. old_fd
 * -1: nothing may be there. new_fd -1: take old_fd away. Direction of failure: what was there
 * stays.
 *
 * Extension programs go into or out of the dispatcher, whose other programs live on: the new one
 * is added first, then the old one is taken out. In between a packet passes only where both pass
 * it. */
int xdp_swap(unsigned int ifindex, enum xdp_mode mode, int new_fd, int old_fd);

/* Is this program one for a dispatcher (BPF_PROG_TYPE_EXT)? */
bool xdp_is_extension(int fd);

const char *xdp_mode_name(enum xdp_mode mode);

/* Name of the program of a role, and the role of a program's name. */
const char *xdp_prog_name(enum xipsec_role role);
enum xipsec_role xdp_role_of(const char *prog_name);

#endif
