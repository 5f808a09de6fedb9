/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attaching and detaching interfaces, and keeping them attached.
 *
 * The kernel's attached programs are the truth about which interface is under guard now. Beside
 * it stands a record of what should be, RUN_DIR/ifaces: text, one interface a line, so that it
 * means the same to every ABI and outlives the pins and the interfaces themselves.
 */
#ifndef LOADER_ATTACH_H
#define LOADER_ATTACH_H

#include <stdbool.h>
#include "lib/config.h"
#include "xipsec/loader.h"

struct attach_iface {
	char name[16];
	enum xipsec_role role;
	unsigned int slot;
	unsigned int ifindex; /* 0: there is no such interface now */
	unsigned int queues;  /* receive queues, at least 1 */
	unsigned int mtu;
	bool up;
	bool generic; /* XDP runs in generic mode: sockets bind in copy mode */
};

/* The interfaces that the current generation knows (its map `ifaces`), and those of the record
 * that do not exist now (ifindex 0). Gives *out an array of *n entries that the caller frees. 0;
 * -ENOENT: nothing is attached; -EPROTO: another ABI; -errno. */
int attach_ifaces(const struct config *config, struct attach_iface **out, unsigned int *n);

/* Looks after every interface of the record: one that lost a program or was made anew gets its
 * programs again, its old entry in `ifaces` goes and its slot is kept; one whose programs cannot be
 * attached is set down, so that nothing passes it in the clear. Where the pins are gone or of
 * another ABI, a new generation is built from `config` and all interfaces are switched to it.
 * Takes the loader's lock itself. Cheap when there is nothing to do: call it at start and at every
 * RTM_NEWLINK or RTM_DELLINK. Returns how many interfaces were changed (then read attach_ifaces()
 * and datapath_current() again), or -errno of the first that could not be mended; the others are
 * done all the same. */
int attach_repair(const struct config *config);

#endif
