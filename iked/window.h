/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Message IDs, retransmission and cached answers of an IKE SA (RFC 7296 2.1 to 2.3). The window is
 * 1 in both directions, whatever the peer offers with SET_WINDOW_SIZE: a larger one is a
 * permission.
 */
#ifndef IKED_WINDOW_H
#define IKED_WINDOW_H

#include "iked/out.h"
#include "iked/timer.h"

struct window {
	__u32 out_id;                 /* of our outstanding request, or of the next one */
	__u32 in_id;                  /* that the peer's next request has */
	struct ike_packets *request;  /* outstanding; NULL: none */
	struct ike_packets *response; /* to in_id - 1; NULL: none, or forgotten */
	__u8 tries;                   /* of the request, the first included */
	struct timer again;           /* the next retransmission, or the end */
	struct timer forget;          /* the response */
};

enum window_verdict {
	WINDOW_NEW,   /* the peer's next request, or the answer to ours */
	WINDOW_AGAIN, /* the request that was answered last */
	WINDOW_DROP,  /* out of the window, or an answer to nothing */
};

/* Decided by the header alone, before anything is decrypted. */
enum window_verdict window_ask(const struct window *w, const struct ike_header *h);

/* Wait before try number `tries` + 1, ms (RETRANSMIT_MS, doubled, up to RETRANSMIT_MAX_MS). */
__u64 window_wait(unsigned int tries);

void window_free(struct window *w, struct timers *timers);

#endif
