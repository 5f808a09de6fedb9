// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hold_signals.h"

#include <stddef.h>

static const int waiting[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM};

#define N_WAITING (sizeof(waiting) / sizeof(waiting[0]))

void hold_signals(struct held_signals *held)
{
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < N_WAITING; i++)
		sigaddset(&set, waiting[i]);
	sigprocmask(SIG_BLOCK, &set, &held->mask);
	sigaction(SIGPIPE, &ignore, &held->pipe);
}

/* One that is ignored (nohup) waits too while it is blocked, and means nothing. */
static bool is_ignored(int signal)
{
	struct sigaction action;

	return !sigaction(signal, NULL, &action) && action.sa_handler == SIG_IGN;
}

bool held_signal_waits(void)
{
	sigset_t set;

	if (sigpending(&set))
		return false;
	for (size_t i = 0; i < N_WAITING; i++) {
		if (sigismember(&set, waiting[i]) == 1 && !is_ignored(waiting[i]))
			return true;
	}
	return false;
}

void release_signals(const struct held_signals *held)
{
	sigaction(SIGPIPE, &held->pipe, NULL);
	sigprocmask(SIG_SETMASK, &held->mask, NULL);
}
