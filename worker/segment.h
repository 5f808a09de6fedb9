/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the stack leaves to hardware, done here: frames of a TAP come with a struct virtio_net_hdr
 * that says which checksum is open and whether the packet is to be cut into segments (TSO, USO).
 */
#ifndef WORKER_SEGMENT_H
#define WORKER_SEGMENT_H

#include <stdbool.h>
#include <linux/types.h>
#include <linux/virtio_net.h>
#include "worker/inner.h"

struct segments {
	const __u8 *data; /* the whole packet, from its IP header */
	__u32 head;       /* bytes of headers, IP and transport, of every segment */
	__u32 payload;    /* bytes behind them */
	__u32 size;       /* payload of each segment but the last */
	__u32 done;       /* payload that went into segments */
	__u32 n;          /* segments so far */
	__u64 pseudo;     /* sum of what all their pseudo-headers have in common */
	__u16 l4_off;
	__u8 family;
	__u8 l4_proto;
};

/*
 * Reads a header that came with the packet at `data`, which inner_parse() took, `l3_off` bytes into
 * its frame, and does what it asks for: an open checksum is completed in place, from csum_start to
 * the end of the packet. 0: the packet is whole; 1: it is to be cut, *out is set up (data must stay
 * as it is until the last segment). -EINVAL: the header contradicts the packet; nothing is known of
 * the checksum then.
 *
 * `max`: bytes of IP that a segment may have at most. TCP is cut to what fits, however the stack
 * wanted it (it does not know how much ESP adds). Datagrams keep
 * their bounds, whether they fit or not. -EMSGSIZE: not even one byte beside the headers fits.
 */
int segments_start(const struct virtio_net_hdr *hdr, __u32 l3_off, __u8 *data,
		   const struct inner *inner, __u32 max, struct segments *out);

/* The length of the longest segment, headers included. */
__u32 segments_longest(const struct segments *s);

/* Writes the next segment with all its checksums to `to`, segments_longest() bytes of room, and
 * returns its length; 0: there is none left. */
__u32 segments_next(struct segments *s, __u8 *to);

#endif
