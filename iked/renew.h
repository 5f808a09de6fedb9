/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A reload has given a connection another text, or taken SAs away: what is up by the old text is
 * made anew by the new one, beside it, and goes when that is up. What the new text does not have
 * goes at once. With start_action = none nobody negotiates: such a child keeps what it was made
 * with until it ends.
 */
#ifndef IKED_RENEW_H
#define IKED_RENEW_H

#include "iked/ike_sa.h"

/* Is `cfg`, on that IKE SA, what the connection says of that child today? */
bool renew_same(const struct ike_sa *ike, const struct conn_child *cfg, const struct ike_conn *conn,
		const struct conn_child *today);

/* `conn` is loaded: begins what its text changes. */
void renew_begin(struct ike_conn *conn);

/* It is up: those of the same child and the same peer that are of an older text are closed, and an
 * IKE SA of one when it has nothing else. */
void renew_done(const struct child_sa *fresh);

#endif
