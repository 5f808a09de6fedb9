/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker processes: started from an executable that was opened at start, told everything over
 * their control channel, started again when they die. Their sockets, memory and SAs are the
 * parent's, so a new one goes on where a dead one stopped.
 */
#ifndef LOADER_WORKERS_H
#define LOADER_WORKERS_H

#include <stdbool.h>
#include <stddef.h>
#include <event2/event.h>
#include "xipsec/ctl.h"

struct workers_config {
	unsigned int n;
	unsigned int uid; /* worker i runs as uid + i */
	enum xipsec_backend backend;
	bool busy_poll;
	unsigned int hostile; /* debug builds */
};

/* What a worker is lent, besides sockets. */
struct workers_lend {
	/* Map descriptors. A read-only one of globals could not be mapped at all (the kernel wants
	 * a shared mapping and gives none to a file that is not open for writing); the worker maps
	 * it for reading before it reads a packet, and such a mapping can never become writable. */
	int sa_state, worker_stats, globals;
	__u32 n_sas;
	size_t sa_state_size, sa_state_stride;
	size_t stats_size, stats_stride;
	struct xipsec_worker_stats *stats; /* mapped, for pid and starts */
	/* of worker i; 0 or -errno */
	int (*memory)(void *ctx, unsigned int i, int *umem, int *table, struct ctl_hello *hello);
};

struct workers_hooks {
	/* Worker i has HELLO and waits for DEV, XSK, SA, NEXTHOP; GO comes after it. */
	void (*fill)(void *ctx, unsigned int i);
	/* As it says, unchecked. */
	void (*ask)(void *ctx, const struct ctl_nexthop *question);
	void (*sa_stopped)(void *ctx, __u32 index, __u32 generation);
	/* Which backend runs an SA in worker i; `runs` is as it says, unchecked. */
	void (*sa_runs)(void *ctx, unsigned int i, const struct ctl_sa_runs *runs);
	/* The peer of an SA moved, a packet was dropped; as worker says, unchecked. */
	void (*peer)(void *ctx, const struct ctl_peer *peer);
	void (*sample)(void *ctx, const struct ctl_sample *sample);
	/* Worker i has mapped the rings of a socket; slot and queue are as it says, unchecked. */
	void (*mapped)(void *ctx, unsigned int i, __u32 slot, __u32 queue);
	/* Worker i is dead and reaped; another will be started. */
	void (*died)(void *ctx, unsigned int i);
};

struct workers;

/* Opens xipsec-worker: beside this executable, else in the place it was installed to. 0 or -errno
 * after a log line. */
int workers_new(struct event_base *base, const struct workers_hooks *hooks, void *ctx,
		struct workers **out);
void workers_free(struct workers *workers);

/* Makes sure that no worker of a dead xipsecd lives: they end by themselves when their channel
 * closes, and nothing may be written to shared state before they have. */
void workers_bury(const struct xipsec_worker_stats *stats, size_t stride);

void workers_start(struct workers *workers, const struct workers_config *config,
		   const struct workers_lend *lend);

/* Returns when all are dead and reaped. */
void workers_stop(struct workers *workers);

/* A worker that does not read for a second is killed and started again. */
void workers_send(struct workers *workers, unsigned int i, const void *msg, size_t len,
		  const int *fds, unsigned int n_fds);
void workers_broadcast(struct workers *workers, const void *msg, size_t len);

/* Sends SA_GONE and returns when every worker has said SA_GONE_OK to all of them or is dead. */
void workers_forget(struct workers *workers, const struct ctl_sa_ref *refs, unsigned int n);

/* Returns when every worker has read and done all that it was sent, or is dead. */
void workers_settle(struct workers *workers);

unsigned int workers_count(const struct workers *workers);
__u32 workers_pid(const struct workers *workers, unsigned int i); /* 0: down */
__u32 workers_starts(const struct workers *workers, unsigned int i);

#endif
