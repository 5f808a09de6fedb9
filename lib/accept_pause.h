/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A server that cannot accept a client, for there is no descriptor or no memory: who knocks is
 * still there the next moment, and a loop that asks again at once does nothing else. So the socket
 * is left alone for a second.
 */
#ifndef LIB_ACCEPT_PAUSE_H
#define LIB_ACCEPT_PAUSE_H

#include <stdbool.h>

struct event;
struct event_base;

struct accept_pause {
	const char *whom; /* "vici: a client", for the log */
	void (*resume)(void *ctx);
	void *ctx;
	struct event *again;
	bool said;
};

/* `whom` is kept; `resume` has the server look at its socket again. 0 or -ENOMEM. */
int accept_pause_open(struct accept_pause *pause, struct event_base *base, const char *whom,
		      void (*resume)(void *ctx), void *ctx);
/* accept() failed with errno `err`; the caller looks at its socket no more until resume(). One line
 * in the log, until accept_pause_over(). */
void accept_pause_begin(struct accept_pause *pause, int err);
/* Somebody was accepted. */
void accept_pause_over(struct accept_pause *pause);
/* Also after an open that failed, or of zeroes. */
void accept_pause_close(struct accept_pause *pause);

#endif
