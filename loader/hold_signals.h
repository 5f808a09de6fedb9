/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * No signal ends a change of the data path half-way. SIGHUP, SIGINT, SIGQUIT and SIGTERM wait until
 * it is over; SIGPIPE, from a log line that nobody reads any more, is ignored. For a process of one
 * thread.
 */
#ifndef LOADER_HOLD_SIGNALS_H
#define LOADER_HOLD_SIGNALS_H

#include <signal.h>
#include <stdbool.h>

struct held_signals {
	sigset_t mask;         /* as it was */
	struct sigaction pipe; /* as it was */
};

void hold_signals(struct held_signals *held);

/* Does one wait? Then what is not committed is to be taken back. */
bool held_signal_waits(void);

/* What waits comes now, and may end the process. */
void release_signals(const struct held_signals *held);

#endif
