/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The usual packet, recognised in few steps: TCP or UDP in IPv4 without options or in IPv6 without
 * extension headers, whole, and as long as it says. What is not plain takes the long way, by
 * inner_parse(), which says of plain packets the same.
 */
#ifndef WORKER_PLAIN_H
#define WORKER_PLAIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include "worker/checksum.h"

#define PLAIN_L4    20 /* where the transport header begins */
#define PLAIN6_L4   40 /* the same of IPv6 */
#define PLAIN_UDP   8
#define PLAIN_TCP   20
#define PLAIN_FLAGS 13 /* of TCP */
#define PLAIN_SYN   0x02
#define PLAIN_DF    0x4000 /* in the low half of `second` */
#define PLAIN_FRAG  0x3fff /* and what makes a fragment */

struct plain {
	__u32 first;     /* version, header length, TOS, length: host order */
	__u32 second;    /* ID, DF */
	__u32 third;     /* TTL, protocol, checksum */
	__u32 check_off; /* of the transport checksum, from the transport header */
};

struct plain6 {
	__u32 first;  /* version, traffic class, flow label: host order */
	__u32 second; /* payload length, next header, hop limit */
	__u32 check_off;
};

static inline __u32 plain_word(const __u8 *at)
{
	__be32 word;

	memcpy(&word, at, sizeof(word));
	return ntohl(word);
}

/* Are the `len` bytes at `l4`, 8 at least, TCP or UDP as long as they say? */
static inline bool plain_l4(const __u8 *l4, __u32 len, __u8 proto, __u32 *check_off)
{
	__u32 stated;

	if (proto == IPPROTO_UDP) {
		stated = (__u32)(l4[4] << 8 | l4[5]);
		*check_off = 6;
		return stated - PLAIN_UDP <= len - PLAIN_UDP;
	}
	if (proto != IPPROTO_TCP || len < PLAIN_TCP)
		return false;
	stated = (l4[12] >> 4) * 4u;
	*check_off = 16;
	return stated - PLAIN_TCP <= len - PLAIN_TCP;
}

/* Is this the usual packet of IPv4? Then *plain is filled. */
static inline bool plain_read(const __u8 *data, __u32 len, struct plain *plain)
{
	if (len < PLAIN_L4 + PLAIN_UDP)
		return false;
	plain->first = plain_word(data);
	plain->second = plain_word(data + 4);
	plain->third = plain_word(data + 8);
	if ((plain->first & 0xff00ffff) != (0x45000000 | len) || plain->second & PLAIN_FRAG)
		return false;
	return plain_l4(data + PLAIN_L4, len - PLAIN_L4, (__u8)(plain->third >> 16),
			&plain->check_off);
}

/* Of IPv6? */
static inline bool plain6_read(const __u8 *data, __u32 len, struct plain6 *plain)
{
	if (len < PLAIN6_L4 + PLAIN_UDP)
		return false;
	plain->first = plain_word(data);
	plain->second = plain_word(data + 4);
	if (plain->first >> 28 != 6 || plain->second >> 16 != len - PLAIN6_L4)
		return false;
	return plain_l4(data + PLAIN6_L4, len - PLAIN6_L4, (__u8)(plain->second >> 8),
			&plain->check_off);
}

static inline __u8 plain_tos(const struct plain *plain)
{
	return (__u8)(plain->first >> 16);
}

static inline __u8 plain_ttl(const struct plain *plain)
{
	return (__u8)(plain->third >> 24);
}

static inline __u8 plain_proto(const struct plain *plain)
{
	return (__u8)(plain->third >> 16);
}

/* Does it open a TCP connection? Such have an MSS option. */
static inline bool plain_opens(const __u8 *data, const struct plain *plain)
{
	return plain_proto(plain) == IPPROTO_TCP && data[PLAIN_L4 + PLAIN_FLAGS] & PLAIN_SYN;
}

/* Of `len` bytes from `l4` on: is that checksum the sum of the pseudo-header alone, whose addresses
 * stand in the last `addr_len` bytes of the IP header before `l4`? */
static inline bool plain_l4_partial(const __u8 *l4, __u32 len, __u8 proto, __u32 check_off,
				    __u32 addr_len)
{
	__u16 check;

	memcpy(&check, l4 + check_off, sizeof(check));
	return check == csum_fold(csum_add(htonl(len + proto), l4 - addr_len, addr_len));
}

/* Does the transport checksum hold the sum of the pseudo-header alone, as senders leave it to
 * hardware? (Or by chance: inner_complete() tells them apart.) */
static inline bool plain_sum_partial(const __u8 *data, __u32 len, const struct plain *plain)
{
	return plain_l4_partial(data + PLAIN_L4, len - PLAIN_L4, plain_proto(plain),
				plain->check_off, 8);
}

static inline __u8 plain6_tos(const struct plain6 *plain)
{
	return (__u8)(plain->first >> 20);
}

static inline __u8 plain6_proto(const struct plain6 *plain)
{
	return (__u8)(plain->second >> 8);
}

static inline bool plain6_opens(const __u8 *data, const struct plain6 *plain)
{
	return plain6_proto(plain) == IPPROTO_TCP && data[PLAIN6_L4 + PLAIN_FLAGS] & PLAIN_SYN;
}

static inline bool plain6_sum_partial(const __u8 *data, __u32 len, const struct plain6 *plain)
{
	return plain_l4_partial(data + PLAIN6_L4, len - PLAIN6_L4, plain6_proto(plain),
				plain->check_off, 32);
}

#endif
