/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The outer IP header: a template made once per SA, completed for each packet.
 *
 * DF is always set (what does not fit is refused before, so that nobody fragments ESP), TTL is 64,
 * DSCP and ECN are copied from the inner packet (RFC 6040 normal mode). With DF set the IPv4 ID
 * means nothing (RFC 6864); the low bits of the sequence number stand there. The IPv6 flow label is
 * 0.
 */
#ifndef WORKER_OUTER_H
#define WORKER_OUTER_H

#include <linux/types.h>
#include "xipsec/selector.h"

#define OUTER_TTL 64
#define OUTER_MAX 40 /* bytes of the longest outer header */

struct outer;

/* Writes the header at `to`. `total`: bytes of the whole packet, this header included; `tos`: DSCP
 * and ECN, as one byte; `id`: the IPv4 ID. */
typedef void outer_write_fn(const struct outer *outer, __u8 *to, __u32 total, __u8 tos, __u16 id);

struct outer {
	__u8 header[OUTER_MAX];
	__u32 len; /* of the header: 20 or 40 */
	__u32 sum; /* IPv4: of the header without length, TOS and ID */
	outer_write_fn *write;
};

/* 0, or -EINVAL for another family than 4 and 6. */
int outer_init(struct outer *outer, __u8 family, const struct xipsec_addr *src,
	       const struct xipsec_addr *dst, __u8 l4_proto);

#endif
