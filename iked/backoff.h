/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child that could not be had is not begun again at once by what happens of itself: an acquire,
 * close_action, dpd_action, start_action. It waits CHILD_RETRY_MS, twice as long each time,
 * jittered, CHILD_RETRY_MAX_MS at most. A command does not wait.
 */
#ifndef IKED_BACKOFF_H
#define IKED_BACKOFF_H

#include "iked/ike_sa.h"

/* Of one child of a connection. */
struct child_try {
	__u64 until;  /* ms: not before */
	__u16 failed; /* in vain, since it was last up */
	bool wanted;  /* it is to be up whatever its start_action: begun until it is */
};

/* How long after so many refusals in a row, ms. */
__u64 backoff_wait(const struct engine *engine, unsigned int failed);
bool backoff_may(const struct ike_conn *conn, const struct conn_child *cfg);
/*
 * close_action, dpd_action and the like: it is begun as soon as it is neither there nor on its way
 * and may be, from the clock, and again until it is up, whatever `keyingtries`. If the peer cannot
 * be called: once, on an IKE SA that is there.
 */
void backoff_want(struct ike_conn *conn, const struct conn_child *cfg);
/* Nobody wants it any more. False: nothing of it waited. */
bool backoff_drop(struct ike_conn *conn, const struct conn_child *cfg);
/* Something is not there or not on its way any more: what is wanted of it? */
void backoff_plan(struct ike_conn *conn);

/* It could not be had on that IKE SA, and is not tried again before that has room (full.h); one
 * line says why and until when. While it waits already (the peer goes on asking), nothing is said
 * and nothing changes. */
void backoff_failed(struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *cfg,
		    const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* Not before, ms; nothing is said. */
void backoff_until(struct ike_conn *conn, const struct conn_child *cfg, __u64 until);
/* It was up, and is to be again: after WITHDRAWN_MS, by what is loaded then. */
void backoff_withdrawn(struct ike_conn *conn, const struct conn_child *cfg);
/* `fresh` has taken the place of `old`: what was withdrawn is begun by the new text; what failed by
 * the old one counts no more. */
void backoff_inherit(struct ike_conn *fresh, const struct ike_conn *old);
/* What has failed may have been mended: all may be tried again at once. */
void backoff_forget(struct ike_conn *conn);
/* It is up. */
void backoff_over(struct ike_conn *conn, const struct conn_child *cfg);

void backoff_due(struct timer *timer);

#endif
