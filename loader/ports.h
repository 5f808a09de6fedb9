/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports: the interfaces with a role as the workers have them, a socket on every queue. Queue q of
 * each belongs to worker q % n, which has one memory for all its sockets.
 */
#ifndef LOADER_PORTS_H
#define LOADER_PORTS_H

#include "loader/attach.h"
#include "loader/datapath.h"
#include "loader/route.h"
#include "loader/xsk.h"

struct ports_hooks {
	void (*send)(void *ctx, unsigned int worker, const void *msg, size_t len, const int *fds,
		     unsigned int n_fds);
};

struct ports;

struct ports *ports_new(const struct ports_hooks *hooks, void *ctx); /* NULL: no memory */
void ports_free(struct ports *ports);

/* Makes the memory of `n` workers, for `sockets` sockets each. 0 or -errno. */
int ports_open(struct ports *ports, unsigned int n, __u32 frame_size, unsigned int sockets);
/* Closes everything and takes it out of the XSKMAP. */
void ports_close(struct ports *ports, const struct datapath *dp);

/* Makes the sockets be what `list` asks for, and tells the workers what changed. An interface that
 * is down or busy is tried again by the next call. */
void ports_sync(struct ports *ports, const struct datapath *dp, const struct route *route,
		const struct attach_iface *list, unsigned int n);

/* Tells a worker that starts everything. */
void ports_fill(struct ports *ports, unsigned int worker);
void ports_memory(const struct ports *ports, unsigned int worker, int *umem, int *table,
		  struct ctl_hello *hello);

/* Slot of an interface, or -1. */
int ports_slot(const struct ports *ports, unsigned int ifindex);

/* Adds what sockets dropped to the workers' statistics. */
void ports_count(struct ports *ports, struct xipsec_worker_stats *stats, size_t stride);

#endif
