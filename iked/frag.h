/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages that come in fragments (RFC 7383 2.6): texts of SKF payloads, already opened, gathered
 * until all are there. The other way is ike_out_sealed().
 */
#ifndef IKED_FRAG_H
#define IKED_FRAG_H

#include "iked/message.h"

/* IKE_MESSAGE_MAX in fragments of 576 bytes, and some to spare. */
#define IKE_FRAGMENTS_MAX 128

/* One message ID's. All zero: nothing gathered. Grows to IKE_MESSAGE_MAX bytes at most: one of each
 * direction is enough for an IKE SA with a window of 1. */
struct frag {
	__u32 id;
	__u16 total; /* 0: empty */
	__u16 have;
	__u8 first;                /* type of the first payload inside, from fragment 1 */
	__u32 len;                 /* bytes gathered */
	struct frag_piece **piece; /* `total` of them */
};

enum frag_result {
	FRAG_WAIT,  /* kept; more are to come */
	FRAG_WHOLE, /* all there: frag_take() */
	FRAG_DROP,  /* double, of an older set, or out of bounds: as if it had not come */
	FRAG_ERROR, /* no memory */
};

/* Cheap, before decryption: would frag_add() take it? false: drop in silence (2.6: numbers are
 * wrong, it is a double, or its set is older). */
bool frag_wanted(const struct frag *g, const struct ike_msg *msg);

/* `text`, of `msg`'s SKF, was authenticated. Another message ID, or a larger total, begins anew. It
 * is copied. */
enum frag_result frag_add(struct frag *g, const struct ike_msg *msg, struct bytes text);

/* The whole text into `out`, its first payload's type into `first`; `g` is empty then. 0 or -errno.
 */
int frag_take(struct frag *g, struct writer *out, __u8 *first);

void frag_reset(struct frag *g); /* wiped and empty */

#endif
