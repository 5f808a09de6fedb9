/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * NO_ADDITIONAL_SAS: the peer makes no more SAs on this IKE SA (RFC 7296 1.3), some peers never
 * more than one. What exists there cannot be rekeyed and is replaced by a new IKE SA, as a
 * reauthentication does it (4). After such an answer nothing that makes SAs on it is asked of the
 * peer for as long as a refused child waits (backoff.h), all its children together; but by a
 * command, and when one of them has ended.
 */
#ifndef IKED_FULL_H
#define IKED_FULL_H

#include "iked/ike_sa.h"

bool full_is(const struct ike_sa *ike);
/* The peer refused to rekey `ike` or a child of it so. */
void full_rekey(struct ike_sa *ike);
/* It refused a new child of `ike` so. On an IKE SA without any it never makes one: that is closed,
 * and the next try is another one's. `initial`: in IKE_AUTH. */
void full_child(struct ike_sa *ike, bool initial);
/* A child has got up or ended: there may be room again. */
void full_over(struct ike_sa *ike);

#endif
