/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The guard that is there before the interface: the nftables table `inet xipsec` of this network
 * namespace. A black interface that is deleted and made anew comes without programs, and needs
 * no process to be used. So its name is closed, both ways, except for the interface, known by its
 * index, that carries our programs right now:
 *
 *	set names     black interfaces on record, whether they exist or not
 *	set attached  indexes of those whose XDP and TC programs are in force
 *	postrouting   oifname @names oif != @attached counter drop
 *	prerouting    iifname @names iif != @attached counter drop
 *
 * It sees IP that is routed to or from the interface itself: not what an AF_PACKET socket sends,
 *nor what goes by a device stacked on the interface (a VLAN, a bridge).
 *
 * The kernel takes each change of the table whole or not at all. The caller holds the loader's
 *lock.
 */
#ifndef LOADER_HOOK_NFT_H
#define LOADER_HOOK_NFT_H

#include "loader/iflist.h"
#include "loader/record.h"

#define HOOK_NFT_TABLE "inet xipsec"

enum nft_state {
	NFT_STATE_NONE,    /* nftables cannot be asked: the kernel has none */
	NFT_STATE_ABSENT,  /* there is no such table */
	NFT_STATE_CHANGED, /* there is, but it does not do what ours does */
	NFT_STATE_WHOLE,
};

struct nft_table {
	enum nft_state state;
	char name[XIPSEC_SLOTS_MAX][16];
	unsigned int n_names;
	unsigned int attached[XIPSEC_SLOTS_MAX]; /* ifindexes */
	unsigned int n_attached;
	__u64 packets, bytes; /* dropped since the table was made */
};

const char *hook_nft_state_name(enum nft_state state);

/* The table as it is. 0, or -errno with state NONE. */
int hook_nft_read(struct nft_table *out);

/* Makes such a table with nothing in it. 0 or -errno: this kernel has not all that it needs. For a
 * network namespace that nobody uses. */
int hook_nft_try(void);

bool hook_nft_has_name(const struct nft_table *table, const char *name);
bool hook_nft_has_index(const struct nft_table *table, unsigned int ifindex);

/* Makes the table say what is true: names from the record, indexes of those of `links` that carry
 * our programs. Takes it away where no black interface is on record. Returns 1 when something was
 * changed; 0: nothing, also where the kernel has no nftables; -errno: what stood before stands on,
 * so a name stays closed. A process warns once. */
int hook_nft_sync(const struct record *record, const struct iflist_entry *links, unsigned int n);

/* For undo, when hooks and record are as before: `was`: there was a table, so that it says what is
 * true again; else it goes. */
int hook_nft_back(const char *run_dir, bool was);

#endif
