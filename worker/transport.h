/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transport mode: the place of ESP or AH between the IP header and what it carries (RFC 4303 3.1.1,
 * RFC 4302 3.1.1). IPv4: behind the options. IPv6: behind hop-by-hop and routing headers, and
 * destination options that stand before a routing header; later destination options are protected.
 */
#ifndef WORKER_TRANSPORT_H
#define WORKER_TRANSPORT_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <linux/types.h>
#include "xipsec/reason.h"
#include "worker/checksum.h"
#include "worker/inner.h"
#include "worker/packet.h"

#define TRANSPORT_IP4_NEXT 9 /* next_off of IPv4 */
#define TRANSPORT_IP6_NEXT 6 /* and of IPv6, where no extension header stays in front */

struct transport_place {
	__u16 off;      /* bytes of the headers that stay in front */
	__u16 next_off; /* of the byte that says what follows them */
	__u8 next;      /* what it says now */
};

/* For a packet that inner_parse() took. UNSPEC, or FRAG_TRANSPORT: a fragment cannot be protected
 * in this mode (RFC 4303 3.3.4), *place undefined then. */
enum xipsec_reason transport_find(const __u8 *data, const struct inner *inner,
				  struct transport_place *place);

/* The place of a header that stands `off` bytes into a packet of whose IP headers nothing was
 * checked. UNSPEC, or INNER_MALFORMED when `off` is none that a chain of headers leads to. */
enum xipsec_reason transport_find_at(const __u8 *data, __u32 off, struct transport_place *place);

/* Bytes of the IPv6 extension header `kind` at `ext`. A fragment header's second byte is reserved,
 * whatever stands there (RFC 8200 4.5). */
static inline __u32 transport_ext_len(const __u8 *ext, __u8 kind)
{
	return kind == IPPROTO_FRAGMENT ? 8 : 8 + ext[1] * 8u;
}

static inline __be32 transport_word(const __u8 *at)
{
	__be32 word;

	memcpy(&word, at, sizeof(word));
	return word;
}

/* The same as memmove() and transport_set() of an IPv4 header without options at `from`. All of it
 * is read before any is written, and no word is read that was just written: either waits. */
static inline void transport_move_ip4(__u8 *to, const __u8 *from, __u8 next, __u32 total)
{
	const __be32 first = (transport_word(from) & htonl(0xffff0000)) | htonl(total);
	const __be32 second = transport_word(from + 4);
	const __be32 ttl = transport_word(from + 8) & htonl(0xff000000);
	__be32 third = ttl | htonl((__u32)next << 16);
	__u64 addrs, sum;

	memcpy(&addrs, from + 12, sizeof(addrs));
	sum = (__u64)first + second + third + (__u32)addrs + (addrs >> 32);
	third |= htonl(ntohs((__u16)~csum_fold(sum)));
	memcpy(to, &first, 4);
	memcpy(to + 4, &second, 4);
	memcpy(to + 8, &third, 4);
	memcpy(to + 12, &addrs, sizeof(addrs));
}

/* The same of an IPv6 header. */
static inline void transport_move_ip6(__u8 *to, const __u8 *from, __u8 next, __u32 total)
{
	const __be32 first = transport_word(from);
	const __be32 hops = transport_word(from + 4) & htonl(0xff);
	const __be32 second = hops | htonl((total - 40) << 16 | (__u32)next << 8);
	__u64 addrs[4];

	memcpy(addrs, from + 8, sizeof(addrs));
	memcpy(to, &first, 4);
	memcpy(to + 4, &second, 4);
	memcpy(to + 8, addrs, sizeof(addrs));
}

/* Says in the headers at `data` that `next` follows at `place`, and that the packet has `total`
 * bytes. */
void transport_set(__u8 *data, const struct transport_place *place, __u8 next, __u32 total);

/* Takes a fragment header that cuts nothing out of the `front` bytes of IPv6 headers that p begins
 * with: AH does not see one (RFC 4302 A2), and what is cut after sealing gets one of its own.
 * p->data moves up. Returns how many bytes went, 8 or 0. */
__u32 transport_whole(struct packet *p, __u32 front);

#endif
