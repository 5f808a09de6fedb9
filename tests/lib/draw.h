/* SPDX-License-Identifier: BSD-2-Clause */
/* What rules and packets are drawn with: numbers of a seed, addresses as numbers. */
#ifndef TESTS_LIB_DRAW_H
#define TESTS_LIB_DRAW_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include "lib/addr.h"

__extension__ typedef unsigned __int128 wide;

static inline __u64 random_next(__u64 *seed)
{
	__u64 x = *seed += 0x9e3779b97f4a7c15ULL;

	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9ULL;
	x = (x ^ x >> 27) * 0x94d049bb133111ebULL;
	return x ^ x >> 31;
}

static inline __u32 below(__u64 *seed, __u32 n)
{
	return (__u32)(random_next(seed) >> 32) % n;
}

/* True `percent` times of a hundred. */
static inline int chance(__u64 *seed, __u32 percent)
{
	return below(seed, 100) < percent;
}

/* As a number; those of IPv4 have 32 bits. */
static inline wide wide_of(const struct xipsec_addr *addr, __u8 family)
{
	wide number = 0;

	for (unsigned int i = 0; i < addr_bits(family) / 8; i++)
		number = number << 8 | addr->byte[i];
	return number;
}

static inline void addr_of(wide number, __u8 family, struct xipsec_addr *addr)
{
	memset(addr, 0, sizeof(*addr));
	for (unsigned int i = addr_bits(family) / 8; i-- > 0; number >>= 8)
		addr->byte[i] = (__u8)number;
}

/* Any address of the family. */
static inline wide draw_wide(__u64 *seed, __u8 family)
{
	wide number = random_next(seed);

	number = number << 64 | random_next(seed);
	return number >> (128 - addr_bits(family));
}

static inline bool proto_has_ports(__u8 l4_proto)
{
	return l4_proto == IPPROTO_TCP || l4_proto == IPPROTO_UDP || l4_proto == IPPROTO_SCTP ||
	       l4_proto == IPPROTO_UDPLITE || l4_proto == IPPROTO_DCCP;
}

#endif
