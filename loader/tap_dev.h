/* SPDX-License-Identifier: BSD-2-Clause */
/* One TAP or TUN: an interface whose packets are read and written by processes. */
#ifndef LOADER_TAP_DEV_H
#define LOADER_TAP_DEV_H

#include <stdbool.h>
#include <linux/types.h>
#include "lib/netlink.h"
#include "xipsec/maps.h"

/* The TAP of this host's own traffic. */
#define TAP_NAME "xipsec0"

/* No valid mark of struct xipsec_tap_meta begins like this: what the stack itself sends into the
 * TAP carries it, and is refused. */
#define TAP_MAC                                 \
	{                                       \
		0x02, 0x78, 0x69, 0x70, 0x73, 0 \
	}

/* What fits the stack's largest packets. */
#define TAP_MTU 65521

struct tap_dev {
	char name[16];
	bool tun;
	unsigned int mtu;
	unsigned int ifindex;
	unsigned int n; /* queues */
	int fd[XIPSEC_WORKERS_MAX];
};

/* Makes the interface, or takes the one of that name that a process before left, with `n` queues,
 * each O_NONBLOCK with struct virtio_net_hdr, checksums and segmentation left to its reader. It
 * stays when all descriptors are closed. One that is new is set up and brought up: a TAP takes
 * packets for this host from anywhere, sends neither ARP nor neighbour discovery, has no addresses;
 * a TUN is the user's to give addresses and routes. 0 or -errno: -ENOENT: there is no /dev/net/tun;
 * -EINVAL, -EBUSY: another interface has that name. *dev is untouched on failure. */
int tap_dev_open(struct netlink *nl, struct tap_dev *dev, const char *name, bool tun,
		 unsigned int mtu, unsigned int n);

/* The interface is still there, under its name. */
bool tap_dev_lives(const struct tap_dev *dev);

/* Closes the queues; with `remove` the interface goes with them. */
void tap_dev_close(struct tap_dev *dev, bool remove);

#endif
