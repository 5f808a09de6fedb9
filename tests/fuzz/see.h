/* SPDX-License-Identifier: BSD-2-Clause */
/* A second opinion on packets, byte by byte, that shares no code with worker/. */
#ifndef TESTS_FUZZ_SEE_H
#define TESTS_FUZZ_SEE_H

#include <linux/types.h>

#define EXTENSIONS 6 /* of IPv6, that are looked through */

static inline int is_extension(__u8 proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 60;
}

/* What can be seen of a packet, by a parser of its own. */
struct seen {
	__u32 len;    /* by its header */
	__u32 l4_off; /* behind all IPv6 extension headers, or behind the fragment header */
	__u8 family, tos, ttl, proto;
	__u8 later;         /* a fragment that is not the first */
	__u8 fragment;      /* any fragment */
	__u8 odd;           /* IPv6: extension headers that are too many, or out of place */
	__u32 id, from, to; /* of a fragment: the datagram, and which bytes of it these are */
	const __u8 *src, *dst;
	__u32 addr_len;
};

/* 0: this is no IP packet within `len` bytes. */
int packet_see(const __u8 *data, __u32 len, struct seen *seen);

/* Whether packet_see() takes it and it may be carried: a transport header that is to be seen is
 * whole, IPv6 headers are few and in their place, a fragment ends within the longest packet. */
int packet_sound(const __u8 *data, __u32 len, struct seen *seen);

/* Does the IPv4 header's checksum fit? Always, for IPv6. */
int packet_sum_fits(const __u8 *data);

/* RFC 1071, byte by byte, of `len` bytes and an earlier sum. Not folded. */
__u32 sum_bytes(__u32 sum, const __u8 *at, __u32 len);

/* Folded: 0xffff where the checksum in the bytes is right. */
__u16 sum_fold(__u32 sum);

/* The sum of what stands behind the IP headers with its pseudo-header. */
__u16 transport_sum(const struct seen *seen, const __u8 *data, __u8 proto);

/* Makes the lengths in an IP header fit `len` bytes, and the IPv4 checksum: mutations of what
 * stands behind it need not find these by chance. */
void packet_mend(__u8 *data, __u32 len);

/* RFC 4301 6.2, for errors: who may be told what is decided by the packet that they quote. */
int seen_error(const struct seen *seen, const __u8 *data);

/* Whether it goes to the sender of a packet that it quotes, which is seen as far as the quote goes:
 * `later` if that is not to the ports. */
int quote_see(const struct seen *seen, const __u8 *data, struct seen *quote);

/* Whether it is no ICMP error, or one that goes to the sender of a packet that it quotes. */
int quote_allows(const struct seen *seen, const __u8 *data);

#endif
