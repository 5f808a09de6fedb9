/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Transport mode: the place of ESP or AH between the IP header and what it carries (RFC 4303 3.1.1,
 * RFC 4302 3.1.1). IPv4: behind the options. IPv6: behind hop-by-hop and routing headers, and
 * destination options that stand before a routing header; later destination options are protected.
 */
#ifndef WORKER_TRANSPORT_H
#define WORKER_TRANSPORT_H

#include <linux/types.h>
#include "xipsec/reason.h"
#include "worker/inner.h"

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

/* Says in the headers at `data` that `next` follows at `place`, and that the packet has `total`
 * bytes. */
void transport_set(__u8 *data, const struct transport_place *place, __u8 next, __u32 total);

#endif
