/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames that name an SA of which the message still waits in the control channel. Messages cannot
 * be read in the middle of a round, for they take sockets and SAs away: so such frames, at most a
 * burst of them, wait for the end of the round, when messages are read.
 */
#ifndef WORKER_LATE_H
#define WORKER_LATE_H

#include "worker/loop.h"

/* Is it worth to hold? Where not, the verdict is stale. */
bool late_may_come(const struct worker *w, const struct work *work);

/* Holds a frame that late_may_come() said yes to; has messages read at the end of this round. */
void late_hold(struct worker *w, const struct work *work);

/* After messages were read: all that was held goes on, or is dropped (`stale_meta`). */
void late_run(struct worker *w);

#endif
