/* SPDX-License-Identifier: BSD-2-Clause */
/* The interfaces of this network namespace, by rtnetlink. */
#ifndef LOADER_IFLIST_H
#define LOADER_IFLIST_H

#include <stdbool.h>
#include <linux/types.h>

struct iflist_entry {
	char name[16];
	unsigned int ifindex;
	unsigned int mtu;
	bool up;
	bool loopback;
};

/* All of them; caller frees *out. 0 or -errno. */
int iflist_get(struct iflist_entry **out, unsigned int *n);

/* One, by name. -ENODEV: there is none. */
int iflist_find(const char *name, struct iflist_entry *out);

/* Takes IFF_UP away. */
int iflist_set_down(const char *name);

#endif
