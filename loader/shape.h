/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a rule asks for, as tables see it: a range on each axis, cut where it is no prefix, and the
 * keys that it has in a table. Pure.
 */
#ifndef LOADER_SHAPE_H
#define LOADER_SHAPE_H

#include <stdbool.h>
#include "xipsec/classifier.h"

struct range {
	__u32 lo, hi;
};

/* Addresses as numbers: IPv4 in the first 32 of 128 bits. */
__extension__ typedef unsigned __int128 wide;

struct net {
	wide lo, hi;
	__u8 bits; /* of a key: with so many leading bits few blocks cover the range */
};

/* A rule as tables see it: how many bits of each axis its packets have in common, or nearly. */
struct shape {
	__u8 family, l4_proto;
	__u8 has_proto;
	struct net local, remote;
	struct range local_port;
	struct range remote_port; /* or ICMP type and code */
};

/* Of a selector, for packets of `family`, which it takes. */
struct shape shape_of(const struct xipsec_selector *sel, __u8 family);

/* Leading bits of 16 with which at most `max` blocks cover the range: few distinct granularities,
 * so that many rules share a table. */
__u8 range_grain(const struct range *range, __u32 max);

/* Hashes of the keys of a rule in a table. */
struct keys {
	unsigned int n;
	__u64 hash[XIPSEC_KEYS_MAX];
};

void shape_keys(const struct xipsec_spd_table *table, const struct shape *shape, struct keys *keys);

/* Do all packets of the rule fall on few keys of this table? */
bool shape_fits(const struct xipsec_spd_table *table, const struct shape *shape);

#endif
