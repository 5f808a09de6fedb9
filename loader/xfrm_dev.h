/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's interface of a tunnel: what routes lead into it is sealed by the SA of its if_id,
 * and what the SAs of that if_id open arrives by it (linux/if_link.h, IFLA_XFRM_*).
 *
 * It has no link below it: ESP goes where routes lead to the peer, by any black interface, and one
 * that is made anew takes nothing with it.
 */
#ifndef LOADER_XFRM_DEV_H
#define LOADER_XFRM_DEV_H

#include <stdbool.h>
#include "lib/netlink.h"

/* What the interfaces of tunnels {} are called beside their name (`ip link show`), so that one that
 * a former run has left is known, whatever kind it is of. */
#define TUNNEL_ALIAS "xipsec tunnel"

/* Makes the interface, or takes the one of that name and if_id that is there, and brings it up. One
 * of that name that is a tunnel of ours of another kind or if_id goes first. 0 with *ifindex, or
 * -errno: -EEXIST: somebody else's has that name, or that if_id; -EOPNOTSUPP: this kernel has no
 * xfrm interfaces. */
int xfrm_dev_open(struct netlink *nl, const char *name, __u32 if_id, unsigned int mtu,
		  unsigned int *ifindex);

/* Takes `name` away if it is a tunnel of ours, of whatever kind; `kernel_alone`: only if it is an
 * xfrm interface. 0, also if it is none or not there; or -errno. */
int xfrm_dev_remove(struct netlink *nl, const char *name, bool kernel_alone);

/* Takes away every xfrm interface that is a tunnel of ours and that `keeps` is false for. 0, or the
 * first -errno. */
int xfrm_dev_sweep(struct netlink *nl, bool (*keeps)(void *ctx, const char *name), void *ctx);

#endif
