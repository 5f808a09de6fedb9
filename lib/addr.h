/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ranges of addresses and the prefixes among them. Addresses in network byte order, IPv4 in
 * word[0], the other words 0. XIPSEC_FAMILY_ANY counts as 128 bits.
 */
#ifndef LIB_ADDR_H
#define LIB_ADDR_H

#include <string.h>
#include "xipsec/selector.h"

static inline unsigned int addr_bits(__u8 family)
{
	return family == XIPSEC_FAMILY_IP4 ? 32 : 128;
}

/* The first and the last address of the prefix of `bits` bits around *addr. */
static inline struct xipsec_addr addr_first(const struct xipsec_addr *addr, unsigned int bits)
{
	struct xipsec_addr first = *addr;

	for (unsigned int i = 0; i < 16; i++)
		first.byte[i] &= bits >= 8 * (i + 1) ? 0xff
				 : bits <= 8 * i     ? 0
						     : (__u8)(0xff << (8 * (i + 1) - bits));
	return first;
}

static inline struct xipsec_addr addr_last(const struct xipsec_addr *addr, __u8 family,
					   unsigned int bits)
{
	struct xipsec_addr last = *addr;

	for (unsigned int i = 0; i < addr_bits(family) / 8; i++)
		last.byte[i] |= bits >= 8 * (i + 1) ? 0
				: bits <= 8 * i     ? 0xff
						    : (__u8)(0xff >> (bits - 8 * i));
	return last;
}

/* Less than, equal to or greater than 0, as memcmp(). */
static inline int addr_compare(const struct xipsec_addr *a, const struct xipsec_addr *b)
{
	return memcmp(a->byte, b->byte, sizeof(a->byte));
}

/* How many bits lo and hi begin with in common. */
static inline unsigned int addr_common(const struct xipsec_addr *lo, const struct xipsec_addr *hi,
				       __u8 family)
{
	unsigned int bits = 0;

	while (bits < addr_bits(family) &&
	       !((lo->byte[bits / 8] ^ hi->byte[bits / 8]) & 0x80 >> bits % 8))
		bits++;
	return bits;
}

/* The length of the prefix that lo to hi is; -1: it is none. */
static inline int addr_prefix(const struct xipsec_addr *lo, const struct xipsec_addr *hi,
			      __u8 family)
{
	unsigned int bits = addr_common(lo, hi, family);
	struct xipsec_addr first = addr_first(lo, bits), last = addr_last(lo, family, bits);

	return addr_compare(lo, &first) || addr_compare(hi, &last) ? -1 : (int)bits;
}

/* All addresses of the family. */
static inline void addr_any(__u8 family, struct xipsec_addr *lo, struct xipsec_addr *hi)
{
	memset(lo, 0, sizeof(*lo));
	*hi = addr_last(lo, family, 0);
}

#endif
