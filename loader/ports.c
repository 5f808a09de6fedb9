// SPDX-License-Identifier: BSD-2-Clause
#include "loader/ports.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <bpf/bpf.h>

#include "lib/log.h"

/* Frames for each socket: both rings of it that can hold some, twice over for what is in hand. */
#define FRAMES_PER_SOCKET (2 * XSK_RING_SIZE)
#define FRAMES_MAX        65536

/* Seconds before a queue that somebody else holds is tried again: each try waits for it. */
#define BUSY_REST 10

struct port {
	bool used;
	struct ctl_dev dev;
	char name[16];
	unsigned int n_queues;
	struct xsk xsk[XIPSEC_QUEUES_MAX];
	int failed; /* last error, said once */
	time_t again;
};

struct ports {
	const struct ports_hooks *hooks;
	void *ctx;
	unsigned int n; /* workers */
	struct xsk_umem umem[XIPSEC_WORKERS_MAX];
	struct port port[XIPSEC_SLOTS_MAX];
};

struct ports *ports_new(const struct ports_hooks *hooks, void *ctx)
{
	struct ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	ports->hooks = hooks;
	ports->ctx = ctx;
	return ports;
}

void ports_free(struct ports *ports)
{
	if (!ports)
		return;
	ports_close(ports, NULL);
	free(ports);
}

int ports_open(struct ports *ports, unsigned int n, __u32 frame_size, unsigned int sockets)
{
	__u32 frames = XSK_RING_SIZE * 2;
	int err;

	/* A power of two, with room for a few sockets that come later. */
	while (frames < (sockets + 2) * FRAMES_PER_SOCKET && frames < FRAMES_MAX)
		frames *= 2;
	for (unsigned int i = 0; i < n; i++) {
		err = xsk_umem_new(frame_size, frames, &ports->umem[i]);
		if (err) {
			ports_close(ports, NULL);
			return err;
		}
		ports->n = i + 1;
	}
	return 0;
}

/* ------------------------------------------------------------------ closing */

static void take_out(const struct datapath *dp, unsigned int slot, __u32 queue)
{
	__u32 key = slot * XIPSEC_QUEUES_MAX + queue;

	if (dp)
		bpf_map_delete_elem(dp->xsks, &key);
}

static void port_close(struct ports *ports, const struct datapath *dp, unsigned int slot)
{
	struct port *port = &ports->port[slot];

	for (__u32 q = 0; q < port->n_queues; q++) {
		take_out(dp, slot, q);
		xsk_close(&port->xsk[q]);
	}
	memset(port, 0, sizeof(*port));
}

void ports_close(struct ports *ports, const struct datapath *dp)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		if (ports->port[slot].used)
			port_close(ports, dp, slot);
	for (unsigned int i = 0; i < ports->n; i++)
		xsk_umem_free(&ports->umem[i]);
	ports->n = 0;
}

static void broadcast(struct ports *ports, const void *msg, size_t len)
{
	for (unsigned int i = 0; i < ports->n; i++)
		ports->hooks->send(ports->ctx, i, msg, len, NULL, 0);
}

static void port_gone(struct ports *ports, const struct datapath *dp, unsigned int slot)
{
	struct ctl_dev gone = {.hdr = {XIPSEC_CTL_DEV_GONE, XIPSEC_ABI, sizeof(gone)},
			       .slot = slot};

	log_info("%s is gone or has no role any more: its sockets are closed",
		 ports->port[slot].name);
	port_close(ports, dp, slot);
	broadcast(ports, &gone, sizeof(gone));
}

/* ------------------------------------------------------------------ opening */

/* Any bound socket of that worker. */
static int shared_socket(const struct ports *ports, unsigned int worker)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++) {
		const struct port *port = &ports->port[slot];

		for (__u32 q = worker; port->used && q < port->n_queues; q += ports->n)
			if (port->xsk[q].fd >= 0)
				return port->xsk[q].fd;
	}
	return -1;
}

static int open_queue(struct ports *ports, const struct attach_iface *iface, __u32 queue,
		      struct xsk *out)
{
	unsigned int worker = queue % ports->n;
	int shared = shared_socket(ports, worker);
	int err;

	if (shared >= 0) {
		err = xsk_open(&ports->umem[worker], shared, iface->ifindex, queue, iface->generic,
			       out);
		/* The other's mode (zero-copy) does not suit this device, or that socket's device
		 * has just gone: this one registers the memory for itself. */
		if (err != -EOPNOTSUPP && err != -EINVAL && err != -EBADF &&
		    err != -EPROTONOSUPPORT)
			return err;
	}
	return xsk_open(&ports->umem[worker], -1, iface->ifindex, queue, iface->generic, out);
}

static void send_xsk(struct ports *ports, unsigned int slot, __u32 queue)
{
	const struct xsk *xsk = &ports->port[slot].xsk[queue];
	struct ctl_xsk msg = {.hdr = {XIPSEC_CTL_XSK, XIPSEC_ABI, sizeof(msg)},
			      .slot = slot,
			      .queue = queue,
			      .rx = xsk->rx,
			      .tx = xsk->tx,
			      .fill = xsk->fill,
			      .comp = xsk->comp};

	ports->hooks->send(ports->ctx, queue % ports->n, &msg, sizeof(msg), &xsk->fd, 1);
}

static int add_queue(struct ports *ports, const struct datapath *dp,
		     const struct attach_iface *iface, __u32 queue)
{
	struct port *port = &ports->port[iface->slot];
	__u32 key = iface->slot * XIPSEC_QUEUES_MAX + queue;
	struct xsk xsk;
	int err;

	err = open_queue(ports, iface, queue, &xsk);
	if (err)
		return err;
	if (bpf_map_update_elem(dp->xsks, &key, &xsk.fd, BPF_ANY) < 0) {
		err = -errno;
		xsk_close(&xsk);
		return err;
	}
	port->xsk[queue] = xsk;
	if (queue >= port->n_queues)
		port->n_queues = queue + 1;
	send_xsk(ports, iface->slot, queue);
	log_info("%s queue %u: AF_XDP socket of worker %u, %s", iface->name, queue,
		 queue % ports->n, xsk.zerocopy ? "zero-copy" : "copy mode");
	return 0;
}

static void say_failed(struct port *port, const struct attach_iface *iface, __u32 queue, int err)
{
	if (err == port->failed)
		return;
	port->failed = err;
	log_warn("%s queue %u has no AF_XDP socket: %s%s; it is tried again", iface->name, queue,
		 strerror(-err),
		 err == -ENETDOWN ? " (the interface is down)"
		 : err == -EBUSY  ? " (another program has it)"
				  : "");
}

static void open_queues(struct ports *ports, const struct datapath *dp,
			const struct attach_iface *iface)
{
	struct port *port = &ports->port[iface->slot];
	unsigned int n = iface->queues < XIPSEC_QUEUES_MAX ? iface->queues : XIPSEC_QUEUES_MAX;
	int err;

	if (!port->dev.up || time(NULL) < port->again)
		return;
	for (__u32 q = 0; q < n; q++) {
		if (q < port->n_queues && port->xsk[q].fd >= 0)
			continue;
		err = add_queue(ports, dp, iface, q);
		if (err) {
			say_failed(port, iface, q, err);
			port->again = err == -EBUSY ? time(NULL) + BUSY_REST : 0;
			return;
		}
	}
	port->failed = 0;
}

static struct ctl_dev describe(const struct attach_iface *iface, const struct route_link *link)
{
	struct ctl_dev dev = {.hdr = {XIPSEC_CTL_DEV, XIPSEC_ABI, sizeof(dev)},
			      .slot = iface->slot,
			      .ifindex = iface->ifindex,
			      .role = iface->role,
			      .mtu = link->mtu,
			      .up = link->up,
			      .ip4 = link->ip4,
			      .ip6 = link->ip6};

	memcpy(dev.mac, link->mac, sizeof(dev.mac));
	return dev;
}

static void sync_one(struct ports *ports, const struct datapath *dp,
		     const struct attach_iface *iface, const struct route_link *link)
{
	struct port *port = &ports->port[iface->slot];
	struct ctl_dev dev = describe(iface, link);

	if (port->used && port->dev.ifindex != iface->ifindex)
		port_gone(ports, dp, iface->slot);
	if (!port->used) {
		port->used = true;
		for (int q = 0; q < XIPSEC_QUEUES_MAX; q++)
			port->xsk[q].fd = -1;
	}
	memcpy(port->name, iface->name, sizeof(port->name));
	if (memcmp(&port->dev, &dev, sizeof(dev)) != 0) {
		port->dev = dev;
		broadcast(ports, &dev, sizeof(dev));
	}
	open_queues(ports, dp, iface);
}

void ports_sync(struct ports *ports, const struct datapath *dp, const struct route *route,
		const struct attach_iface *list, unsigned int n)
{
	bool keep[XIPSEC_SLOTS_MAX] = {false};

	if (!ports->n)
		return;
	for (unsigned int i = 0; i < n; i++)
		if (list[i].ifindex && list[i].slot < XIPSEC_SLOTS_MAX &&
		    route_link(route, list[i].ifindex))
			keep[list[i].slot] = true;
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		if (ports->port[slot].used && !keep[slot])
			port_gone(ports, dp, slot);
	for (unsigned int i = 0; i < n; i++) {
		const struct route_link *link = route_link(route, list[i].ifindex);

		if (list[i].ifindex && list[i].slot < XIPSEC_SLOTS_MAX && link)
			sync_one(ports, dp, &list[i], link);
	}
}

void ports_fill(struct ports *ports, unsigned int worker)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++) {
		struct port *port = &ports->port[slot];

		if (!port->used)
			continue;
		ports->hooks->send(ports->ctx, worker, &port->dev, sizeof(port->dev), NULL, 0);
		for (__u32 q = worker; q < port->n_queues; q += ports->n)
			if (port->xsk[q].fd >= 0)
				send_xsk(ports, slot, q);
	}
}

void ports_memory(const struct ports *ports, unsigned int worker, int *umem, int *table,
		  struct ctl_hello *hello)
{
	*umem = ports->umem[worker].memory;
	*table = ports->umem[worker].table;
	hello->frame_size = ports->umem[worker].frame_size;
	hello->n_frames = ports->umem[worker].n_frames;
}

int ports_slot(const struct ports *ports, unsigned int ifindex)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		if (ports->port[slot].used && ports->port[slot].dev.ifindex == ifindex)
			return (int)slot;
	return -1;
}

void ports_count(struct ports *ports, struct xipsec_worker_stats *stats, size_t stride)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++) {
		struct port *port = &ports->port[slot];

		for (__u32 q = 0; port->used && q < port->n_queues; q++) {
			struct xipsec_worker_stats *s =
				(void *)((char *)stats + q % ports->n * stride);
			__u64 drops = xsk_new_drops(&port->xsk[q]);

			if (drops)
				__atomic_fetch_add(&s->reason[XIPSEC_REASON_RX_FULL].packets, drops,
						   __ATOMIC_RELAXED);
		}
	}
}
