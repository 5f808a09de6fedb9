/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of the workers, for workers.c (their lives) and worker_channel.c (what is said to
 * them). Everybody else includes workers.h.
 */
#ifndef LOADER_WORKERS_INSIDE_H
#define LOADER_WORKERS_INSIDE_H

#include <sys/types.h>

#include "loader/workers.h"

struct worker {
	struct workers *all;
	unsigned int number;
	pid_t pid; /* 0: none */
	int ctl;   /* -1: none */
	bool ready;
	bool behind; /* does not read: to be killed at the next safe moment */
	struct event *readable;
	struct event *restart;
	unsigned int delay; /* ms before the next restart */
	__u64 started;      /* ms */
	__u32 starts;
	bool *acked; /* while forgetting: of each reference */
	unsigned int acks_left;
};

struct workers {
	struct event_base *base;
	const struct workers_hooks *hooks;
	void *ctx;
	int binary;
	struct event *sigchld;
	struct workers_config config;
	struct workers_lend lend;
	unsigned int n;
	struct worker worker[XIPSEC_WORKERS_MAX];
	const struct ctl_sa_ref *forgetting;
	unsigned int n_forgetting;
};

__u64 workers_now(void); /* CLOCK_MONOTONIC, ms */

/* Buries a worker, dead or not, and, with `again`, plans its successor. */
void worker_end(struct worker *worker, bool again);

/* libevent's callback for a worker's channel. */
void worker_on_readable(evutil_socket_t fd, short what, void *ctx);

#endif
