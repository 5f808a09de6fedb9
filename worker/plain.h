/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The usual packet, recognised in few steps: TCP or UDP in IPv4 without options, whole, and as long
 * as it says. What is not plain takes the long way, by inner_parse(), which says of plain packets
 * the same.
 */
#ifndef WORKER_PLAIN_H
#define WORKER_PLAIN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include "worker/checksum.h"

#define PLAIN_L4    20 /* where the transport header begins */
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
	__u32 check_off; /* of the transport checksum, from the IP header */
};

static inline __u32 plain_word(const __u8 *at)
{
	__be32 word;

	memcpy(&word, at, sizeof(word));
	return ntohl(word);
}

/* Is this the usual packet? Then *plain is filled. */
static inline bool plain_read(const __u8 *data, __u32 len, struct plain *plain)
{
	__u32 l4_len = len - PLAIN_L4, stated;

	if (len < PLAIN_L4 + PLAIN_UDP)
		return false;
	plain->first = plain_word(data);
	plain->second = plain_word(data + 4);
	plain->third = plain_word(data + 8);
	if ((plain->first & 0xff00ffff) != (0x45000000 | len) || plain->second & PLAIN_FRAG)
		return false;
	if ((plain->third & 0xff0000) == IPPROTO_UDP << 16) {
		stated = (__u32)(data[PLAIN_L4 + 4] << 8 | data[PLAIN_L4 + 5]);
		plain->check_off = PLAIN_L4 + 6;
		return stated - PLAIN_UDP <= l4_len - PLAIN_UDP;
	}
	if ((plain->third & 0xff0000) != IPPROTO_TCP << 16 || l4_len < PLAIN_TCP)
		return false;
	stated = (data[PLAIN_L4 + 12] >> 4) * 4u;
	plain->check_off = PLAIN_L4 + 16;
	return stated - PLAIN_TCP <= l4_len - PLAIN_TCP;
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

/* Does the transport checksum hold the sum of the pseudo-header alone, as senders leave it to
 * hardware? (Or by chance: inner_complete() tells them apart.) */
static inline bool plain_sum_partial(const __u8 *data, __u32 len, const struct plain *plain)
{
	__u64 sum = htonl(len - PLAIN_L4 + plain_proto(plain));
	__u16 check;

	memcpy(&check, data + plain->check_off, sizeof(check));
	return check == csum_fold(csum_add(sum, data + 12, 8));
}

#endif
