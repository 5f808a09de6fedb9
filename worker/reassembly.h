/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Putting a datagram together whose fragments came one by one: this host's own, for an SA that
 * takes whole datagrams alone. Bytes in, bytes out, in a bounded store:
 * REASSEMBLY_SLOTS datagrams, REASSEMBLY_MS each; the oldest gives way.
 *
 * Fragments that overlap end their datagram, with all that is still to come of it (RFC 5722); one
 * that is there already, byte for byte, is passed over. A congestion mark on any of them is the
 * whole's (RFC 3168 5.3).
 */
#ifndef WORKER_REASSEMBLY_H
#define WORKER_REASSEMBLY_H

#include <linux/types.h>

#define REASSEMBLY_SLOTS 8
#define REASSEMBLY_MS    2000
#define REASSEMBLY_ROOM  256 /* writable bytes before the datagram, and behind the longest */

/* Writable bytes behind one of `len`. */
#define REASSEMBLY_TAIL(len) (REASSEMBLY_ROOM + 65535 - (len))

struct reassembly;

struct reassembly *reassembly_new(void); /* NULL: no memory */
void reassembly_free(struct reassembly *r);

/*
 * Takes a fragment, a whole IP packet of `len` bytes that inner_parse() took. `tag` keeps apart
 * what may not come together. `now` in ms.
 *
 * 1: the datagram is whole: *out and *out_len, until the next call. 0: kept, more are missing, or
 * it is there already. -EEXIST: overlaps. -EINVAL: no fragment, or one that contradicts itself or
 * the others; with both errors the datagram is given up.
 */
int reassembly_take(struct reassembly *r, const __u8 *data, __u32 len, __u64 tag, __u64 now,
		    __u8 **out, __u32 *out_len);

/* Datagrams that were kept and did not become whole, in time or because others came, since this was
 * asked last. Who is late is seen when the next fragment comes. */
__u32 reassembly_lost(struct reassembly *r);

#endif
