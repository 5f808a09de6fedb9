/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Ports: the interfaces with a role as the workers have them, a socket on every queue. Queue q of
 * each belongs to worker q % n, which has one memory for all its sockets.
 *
 * A socket is made, lent, mapped by its worker, and only then bound and put into the XSKMAP: before
 * 6.4 the kernel maps the rings of no bound socket. After a worker's death its sockets live on
 * where its successor can map them again; where not, they and the memory are made anew, and what
 * was on its way in them is dropped.
 */
#ifndef LOADER_PORTS_H
#define LOADER_PORTS_H

#include "loader/attach.h"
#include "loader/datapath.h"
#include "loader/route.h"
#include "loader/xsk.h"

/* Up to here every packet lies in one frame: drivers receive it into one page, beside XDP's
 * headroom and an skb's tail room, and a frame of 4096 bytes has room to seal it. */
#define PORTS_FRAME_MTU 3498

struct ports_hooks {
	void (*send)(void *ctx, unsigned int worker, const void *msg, size_t len, const int *fds,
		     unsigned int n_fds);
};

struct ports;

/* NULL: no memory. `no_remap` is for tests: sockets are made anew on every kernel. */
struct ports *ports_new(const struct ports_hooks *hooks, void *ctx, bool no_remap);
void ports_free(struct ports *ports);

/* Makes the memory of `n` workers, for `sockets` sockets each; with `multi` they take packets in
 * several frames, else links count as no wider than one frame's PORTS_FRAME_MTU. What sockets drop
 * is counted in `stats`, `stride` bytes apart, which stays the caller's and stays until
 * ports_close(). 0 or -errno. */
int ports_open(struct ports *ports, unsigned int n, __u32 frame_size, bool multi,
	       unsigned int sockets, struct xipsec_worker_stats *stats, size_t stride);
/* Closes everything and takes it out of the XSKMAP. */
void ports_close(struct ports *ports, const struct datapath *dp);

/* Makes the sockets be what `list` asks for, and tells the workers what changed. An interface that
 * is down or busy is tried again by the next call, or by ports_tick(). */
void ports_sync(struct ports *ports, const struct datapath *dp, const struct route *route,
		const struct attach_iface *list, unsigned int n);

/* To be called every 20 ms or so: tries queues again that their last owner has just left. */
void ports_tick(struct ports *ports, const struct datapath *dp);

/* A worker says that it has mapped a socket: binds it. What it says is checked. */
void ports_mapped(struct ports *ports, const struct datapath *dp, unsigned int worker, __u32 slot,
		  __u32 queue);

/* A worker is dead and reaped: makes ready what its successor starts with. */
void ports_worker_died(struct ports *ports, const struct datapath *dp, unsigned int worker);

/* Tells a worker that starts everything. */
void ports_fill(struct ports *ports, unsigned int worker);
/* What it needs before: 0 or -errno. */
int ports_memory(struct ports *ports, unsigned int worker, int *umem, int *table,
		 struct ctl_hello *hello);

/* Slot of an interface, or -1. */
int ports_slot(const struct ports *ports, unsigned int ifindex);

/* Adds what sockets dropped since the last call to the workers' statistics: to be called every half
 * second or so; what is closed is counted first. Nobody else writes rx_full: a socket outlives its
 * worker, and fills up just then. */
void ports_count(struct ports *ports);

#endif
