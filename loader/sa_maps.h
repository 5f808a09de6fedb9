/* SPDX-License-Identifier: BSD-2-Clause */
/* The SADB's entries in the maps that the programs read: SAD and children. 0 or -errno. */
#ifndef LOADER_SA_MAPS_H
#define LOADER_SA_MAPS_H

#include "loader/datapath.h"

int sa_maps_sad_set(const struct datapath *dp, const struct xipsec_sad_key *key,
		    const struct xipsec_sad_entry *entry);
int sa_maps_sad_delete(const struct datapath *dp, const struct xipsec_sad_key *key);
/* One inbound SA more or less has these ends. A generation that was built without `peers` has
 * nothing to tell. One caller at a time. */
int sa_maps_peer(const struct datapath *dp, const struct xipsec_peer_key *key, bool more);
int sa_maps_child_set(const struct datapath *dp, __u32 id, const struct xipsec_child *child);

/* Takes away what a dead xipsecd left: children first, then the SAD and peers. Afterwards no packet
 * is steered to an SA: closed. */
int sa_maps_clear(const struct datapath *dp);

/* Names a map for as long as the machine runs: boot id and map id. */
int sa_maps_where(int map_fd, char *out, size_t size);

#endif
