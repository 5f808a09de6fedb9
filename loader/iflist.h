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
	unsigned int lower;  /* a VLAN's or macvlan's: ifindex below it in this namespace, else 0 */
	unsigned short type; /* ARPHRD_* */
	__u8 mac[6];         /* zeros: it has none of six bytes */
	bool up;
	bool loopback;
	bool vlan; /* a VLAN whose `lower` is in this namespace */
};

/* All of them; caller frees *out. 0 or -errno. */
int iflist_get(struct iflist_entry **out, unsigned int *n);

/* One, by name. -ENODEV: there is none. */
int iflist_find(const char *name, struct iflist_entry *out);

/* The MACs at which the stack takes unicast that comes in by `ifindex`: its own first, then those
 * of the VLANs and macvlans above it that are up, each once. Returns how many there are; `mac`
 * holds the first `max` of them. */
unsigned int iflist_macs(const struct iflist_entry *list, unsigned int n, unsigned int ifindex,
			 __u8 (*mac)[6], unsigned int max);

/* The interface below a VLAN, or below a VLAN in a VLAN (the programs see through two tags), for
 * which `is_ours` says yes; NULL: none. */
const struct iflist_entry *iflist_vlan_base(const struct iflist_entry *list, unsigned int n,
					    const struct iflist_entry *vlan,
					    bool (*is_ours)(void *ctx, unsigned int ifindex),
					    void *ctx);

/* Takes IFF_UP away. */
int iflist_set_down(const char *name);

#endif
