/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of an IKE SA that come in fragments (RFC 7383 2.6): gathered until all are there, for
 * FRAGMENTS_MS at most. Requests and responses have message IDs of their own (RFC 7296 2.2), so
 * there is one place for each.
 */
#ifndef IKED_GATHER_H
#define IKED_GATHER_H

#include "iked/ike_sa.h"

/* Cheap, before decryption: see frag_wanted(). */
bool gather_wanted(const struct ike_sa *ike, const struct ike_msg *msg);
/* `text` of `msg`'s fragment was authenticated. true: the message is whole, its payloads are in
 * `all`, the type of the first one in *first. */
bool gather_add(struct ike_sa *ike, const struct ike_msg *msg, struct bytes text,
		struct writer *all, __u8 *first);
/* What is there goes, wiped. */
void gather_end(struct ike_sa *ike);

#endif
