/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Cutting an IP packet into fragments (RFC 791 3.2, RFC 8200 4.5). Bytes in, bytes out; the packet
 * that is cut is only read.
 */
#ifndef WORKER_FRAGMENT_H
#define WORKER_FRAGMENT_H

#include <linux/types.h>

#define FRAGMENT_IP4_MAX 60 /* bytes of an IPv4 header with all its options */

struct fragment_cut {
	const __u8 *data; /* the packet */
	__u32 head_len;   /* of the headers of its first piece, without an IPv6 fragment header */
	__u32 later_len;  /* of those of all others: IPv4 options may stay behind */
	__u32 payload;    /* bytes that are cut */
	__u32 done;       /* of those, handed out */
	__u32 max;        /* bytes of a piece */
	__u16 base;       /* IPv4: the packet's own offset and flags, as in its header */
	__u16 next_off;   /* IPv6: of the byte that says what follows the headers */
	__be32 id;        /* IPv6 */
	__u8 later[FRAGMENT_IP4_MAX];
};

/* A whole IPv4 packet of `len` bytes by its header, perhaps itself a fragment; DF is not asked
 * for and stays as it is. 0; -EMSGSIZE: `max` has no room for 8 bytes; -EINVAL: header, options or
 * length contradict themselves. */
int fragment_ip4(struct fragment_cut *cut, const __u8 *data, __u32 len, __u32 max);

/* An IPv6 packet of this host: every piece begins with its first `off` bytes, the IP header and
 * what else must come before the fragment header. 0; -EMSGSIZE; -EINVAL: `off` is no place that the
 * chain of headers leads to, or a fragment header stands before it. */
int fragment_ip6(struct fragment_cut *cut, const __u8 *data, __u32 len, __u32 off, __u32 max,
		 __be32 id);

/* How many pieces are still to come. */
__u32 fragment_count(const struct fragment_cut *cut);

/* Writes the next piece, at most `max` bytes, to `to`. Its length; 0: there is none. */
__u32 fragment_next(struct fragment_cut *cut, __u8 *to);

#endif
