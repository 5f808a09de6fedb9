/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What first fragments showed that came out of an SA, for those that come after them and hide it
 * (RFC 4301 7.3). Of a bounded number, each for two seconds; the oldest gives way.
 *
 * The peer is authentic and may lie all the same: the receiving host puts together what passes
 * here. So a later fragment follows only if it begins behind all that first ones of its datagram
 * brought, which is their whole transport header at least: nothing writes over what was judged (RFC
 * 1858, RFC 3128).
 */
#ifndef WORKER_FIRSTS_H
#define WORKER_FIRSTS_H

#include <stdbool.h>
#include "worker/inner.h"

#define FIRSTS_MAX 32 /* of one SA: pieces of a datagram come one behind the other */
#define FIRSTS_AGE 2  /* s, of whole ones: IPv4 IDs come round again */

struct firsts;

struct firsts *firsts_new(void); /* NULL: no memory. free() frees it */

/* Of a first fragment that was accepted as `flow`. One that IP does not allow (of no whole 8 bytes)
 * is not kept. */
void firsts_keep(struct firsts *firsts, const __u8 *data, const struct inner *inner,
		 const struct xipsec_flow *flow, __u64 now_s);

/* Gives *flow, of a later fragment, what it hides. False: its first one is not known, or it reaches
 * into that; *flow stays as it was. */
bool firsts_show(const struct firsts *firsts, const __u8 *data, const struct inner *inner,
		 struct xipsec_flow *flow, __u64 now_s);

#endif
