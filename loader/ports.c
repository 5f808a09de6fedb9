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

/* How long a queue may be busy because its last owner has just left it. */
#define BUSY_PATIENCE 2000 /* ms */

struct port_queue {
	struct xsk xsk;
	bool mapped;      /* by the worker that lives */
	bool ready;       /* bound, and in the XSKMAP */
	__u64 busy_since; /* ms, 0: it is not */
};

struct port {
	bool used;
	struct ctl_dev dev;
	struct attach_iface iface;
	unsigned int n_queues;
	struct port_queue queue[XIPSEC_QUEUES_MAX];
	int failed; /* last error, said once */
};

struct ports {
	const struct ports_hooks *hooks;
	void *ctx;
	unsigned int n; /* workers */
	__u32 frame_size, n_frames;
	bool multi;                        /* packets in several frames */
	struct xipsec_worker_stats *stats; /* stats_stride bytes apart */
	size_t stats_stride;
	struct xsk_umem umem[XIPSEC_WORKERS_MAX];
	struct port port[XIPSEC_SLOTS_MAX];
	bool probed; /* whether rings can be mapped again */
	bool can_remap;
	bool waiting; /* some queue is busy */
};

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

struct ports *ports_new(const struct ports_hooks *hooks, void *ctx, bool no_remap)
{
	struct ports *ports = calloc(1, sizeof(*ports));

	if (!ports)
		return NULL;
	ports->hooks = hooks;
	ports->ctx = ctx;
	ports->probed = no_remap;
	return ports;
}

void ports_free(struct ports *ports)
{
	if (!ports)
		return;
	ports_close(ports, NULL);
	free(ports);
}

int ports_open(struct ports *ports, unsigned int n, __u32 frame_size, bool multi,
	       unsigned int sockets, struct xipsec_worker_stats *stats, size_t stride)
{
	__u32 frames = XSK_RING_SIZE * 2;
	int err;

	/* A power of two, with room for a few sockets that come later. */
	while (frames < (sockets + 2) * FRAMES_PER_SOCKET && frames < FRAMES_MAX)
		frames *= 2;
	ports->frame_size = frame_size;
	ports->multi = multi;
	ports->n_frames = frames;
	ports->stats = stats;
	ports->stats_stride = stride;
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

static void count_drops(struct ports *ports, unsigned int slot, __u32 queue)
{
	struct xipsec_worker_stats *stats =
		(void *)((char *)ports->stats + queue % ports->n * ports->stats_stride);
	__u64 drops = xsk_new_drops(&ports->port[slot].queue[queue].xsk);

	if (drops)
		__atomic_fetch_add(&stats->reason[XIPSEC_REASON_RX_FULL].packets, drops,
				   __ATOMIC_RELAXED);
}

static void port_close(struct ports *ports, const struct datapath *dp, unsigned int slot)
{
	struct port *port = &ports->port[slot];

	for (__u32 q = 0; q < port->n_queues; q++) {
		take_out(dp, slot, q);
		count_drops(ports, slot, q);
		xsk_close(&port->queue[q].xsk);
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
		 ports->port[slot].iface.name);
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
			if (port->queue[q].xsk.bound)
				return port->queue[q].xsk.fd;
	}
	return -1;
}

static void send_bound(struct ports *ports, unsigned int slot, __u32 queue)
{
	struct ctl_xsk_ref msg = {.hdr = {XIPSEC_CTL_XSK_BOUND, XIPSEC_ABI, sizeof(msg)},
				  .slot = slot,
				  .queue = queue};

	ports->hooks->send(ports->ctx, queue % ports->n, &msg, sizeof(msg), NULL, 0);
}

static void send_xsk(struct ports *ports, unsigned int slot, __u32 queue)
{
	const struct xsk *xsk = &ports->port[slot].queue[queue].xsk;
	struct ctl_xsk msg = {.hdr = {XIPSEC_CTL_XSK, XIPSEC_ABI, sizeof(msg)},
			      .slot = slot,
			      .queue = queue,
			      .rx = xsk->rx,
			      .tx = xsk->tx,
			      .fill = xsk->fill,
			      .comp = xsk->comp};

	ports->hooks->send(ports->ctx, queue % ports->n, &msg, sizeof(msg), &xsk->fd, 1);
	if (ports->port[slot].queue[queue].ready)
		send_bound(ports, slot, queue);
}

static void say_failed(struct port *port, __u32 queue, int err)
{
	if (err == port->failed)
		return;
	port->failed = err;
	log_warn("%s queue %u has no AF_XDP socket: %s%s; it is tried again", port->iface.name,
		 queue, strerror(-err),
		 err == -ENETDOWN ? " (the interface is down)"
		 : err == -EBUSY  ? " (another program has it)"
				  : "");
}

static void probe_remap(struct ports *ports, const struct xsk *xsk)
{
	if (ports->probed)
		return;
	ports->probed = true;
	ports->can_remap = xsk_can_remap(xsk);
	if (!ports->can_remap)
		log_info("this kernel maps the rings of a bound socket only once (Linux 6.4 can "
			 "again): the sockets of a worker that dies are made anew");
}

/* Bound, in the XSKMAP, and its worker told: 0 or -errno, then it can be tried again. */
static int make_ready(struct ports *ports, const struct datapath *dp, unsigned int slot,
		      __u32 queue)
{
	const struct attach_iface *iface = &ports->port[slot].iface;
	struct port_queue *at = &ports->port[slot].queue[queue];
	__u32 key = slot * XIPSEC_QUEUES_MAX + queue;
	unsigned int worker = queue % ports->n;
	int err = 0;

	if (!at->xsk.bound)
		err = xsk_bind(&at->xsk, &ports->umem[worker], shared_socket(ports, worker),
			       iface->ifindex, queue, iface->generic, ports->multi);
	if (err)
		return err;
	probe_remap(ports, &at->xsk);
	if (bpf_map_update_elem(dp->xsks, &key, &at->xsk.fd, BPF_ANY) < 0)
		return -errno;
	at->ready = true;
	send_bound(ports, slot, queue);
	log_info("%s queue %u: AF_XDP socket of worker %u, %s", iface->name, queue, worker,
		 at->xsk.zerocopy ? "zero-copy" : "copy mode");
	return 0;
}

/* Gets a mapped socket going. A queue that is busy may be so for a moment only. */
static void ready_queue(struct ports *ports, const struct datapath *dp, unsigned int slot,
			__u32 queue)
{
	struct port *port = &ports->port[slot];
	struct port_queue *at = &port->queue[queue];
	int err;

	if (at->xsk.fd < 0 || !at->mapped || at->ready || !port->dev.up)
		return;
	err = make_ready(ports, dp, slot, queue);
	if (!err) {
		at->busy_since = 0;
		port->failed = 0;
		return;
	}
	if (err == -EBUSY && !at->busy_since)
		at->busy_since = now_ms();
	if (err == -EBUSY && now_ms() - at->busy_since < BUSY_PATIENCE)
		ports->waiting = true;
	else
		say_failed(port, queue, err);
}

/* Makes and lends what is missing, and gets going what could not be so far. */
static void open_queues(struct ports *ports, const struct datapath *dp, unsigned int slot)
{
	struct port *port = &ports->port[slot];
	unsigned int n = port->iface.queues;
	int err;

	if (!port->dev.up)
		return;
	for (__u32 q = 0; q < n && q < XIPSEC_QUEUES_MAX; q++) {
		if (port->queue[q].xsk.fd >= 0) {
			ready_queue(ports, dp, slot, q);
			continue;
		}
		err = xsk_new(&port->queue[q].xsk);
		if (err) {
			say_failed(port, q, err);
			return;
		}
		if (q >= port->n_queues)
			port->n_queues = q + 1;
		send_xsk(ports, slot, q);
	}
}

void ports_tick(struct ports *ports, const struct datapath *dp)
{
	if (!ports->waiting)
		return;
	ports->waiting = false;
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		for (__u32 q = 0; q < ports->port[slot].n_queues; q++)
			if (ports->port[slot].queue[q].busy_since)
				ready_queue(ports, dp, slot, q);
}

void ports_mapped(struct ports *ports, const struct datapath *dp, unsigned int worker, __u32 slot,
		  __u32 queue)
{
	struct port_queue *at;

	if (slot >= XIPSEC_SLOTS_MAX || queue >= ports->port[slot].n_queues ||
	    queue % ports->n != worker)
		return;
	at = &ports->port[slot].queue[queue];
	/* Once only: what follows may cost something. */
	if (at->mapped)
		return;
	at->mapped = true;
	ready_queue(ports, dp, slot, queue);
}

/* ------------------------------------------------------------------ a worker's death */

static bool any_bound(const struct ports *ports, unsigned int worker)
{
	return shared_socket(ports, worker) >= 0;
}

static void renew_queue(struct ports *ports, const struct datapath *dp, unsigned int slot,
			__u32 queue)
{
	struct port_queue *at = &ports->port[slot].queue[queue];
	int err;

	take_out(dp, slot, queue);
	count_drops(ports, slot, queue);
	xsk_close(&at->xsk);
	*at = (struct port_queue){.xsk.fd = -1};
	err = xsk_new(&at->xsk);
	if (err)
		say_failed(&ports->port[slot], queue, err);
}

/* Sockets that only the dead could use, and the memory whose table tells of their rings. */
static void renew_worker(struct ports *ports, const struct datapath *dp, unsigned int worker)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		for (__u32 q = worker; q < ports->port[slot].n_queues; q += ports->n)
			renew_queue(ports, dp, slot, q);
	xsk_umem_free(&ports->umem[worker]);
	log_info("worker %u gets new sockets and new memory", worker);
}

void ports_worker_died(struct ports *ports, const struct datapath *dp, unsigned int worker)
{
	if (worker >= ports->n)
		return;
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		for (__u32 q = worker; q < ports->port[slot].n_queues; q += ports->n)
			ports->port[slot].queue[q].mapped = false;
	/* Sockets that are not bound yet can be mapped again on every kernel. */
	if (!ports->can_remap && any_bound(ports, worker))
		renew_worker(ports, dp, worker);
}

/* ------------------------------------------------------------------ keeping up */

/* Workers never meet a packet that their sockets cannot carry: its sender is told of a smaller MTU.
 */
static __u32 usable_mtu(const struct ports *ports, __u32 mtu)
{
	__u32 max = ports->multi ? XIPSEC_MTU_MAX : PORTS_FRAME_MTU;

	return mtu < max ? mtu : max;
}

static struct ctl_dev describe(const struct ports *ports, const struct route *route,
			       const struct attach_iface *iface, const struct route_link *link)
{
	struct ctl_dev dev = {.hdr = {XIPSEC_CTL_DEV, XIPSEC_ABI, sizeof(dev)},
			      .slot = iface->slot,
			      .ifindex = iface->ifindex,
			      .role = iface->role,
			      .mtu = usable_mtu(ports, link->mtu),
			      .up = link->up,
			      .ip4 = link->ip4,
			      .ip6 = link->ip6};

	memcpy(dev.mac, link->mac, sizeof(dev.mac));
	dev.n_vlans = route_vlans(route, iface->ifindex, dev.vlan, XIPSEC_DEV_VLANS_MAX);
	return dev;
}

static void sync_one(struct ports *ports, const struct datapath *dp, const struct route *route,
		     const struct attach_iface *iface, const struct route_link *link)
{
	struct port *port = &ports->port[iface->slot];
	struct ctl_dev dev = describe(ports, route, iface, link);

	if (port->used && port->dev.ifindex != iface->ifindex)
		port_gone(ports, dp, iface->slot);
	if (!port->used) {
		port->used = true;
		for (int q = 0; q < XIPSEC_QUEUES_MAX; q++)
			port->queue[q].xsk.fd = -1;
	}
	port->iface = *iface;
	if (memcmp(&port->dev, &dev, sizeof(dev)) != 0) {
		port->dev = dev;
		broadcast(ports, &dev, sizeof(dev));
	}
	open_queues(ports, dp, iface->slot);
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
			sync_one(ports, dp, route, &list[i], link);
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
			if (port->queue[q].xsk.fd >= 0)
				send_xsk(ports, slot, q);
	}
}

int ports_memory(struct ports *ports, unsigned int worker, int *umem, int *table,
		 struct ctl_hello *hello)
{
	struct xsk_umem *mine = &ports->umem[worker];
	int err = 0;

	if (mine->memory < 0)
		err = xsk_umem_new(ports->frame_size, ports->n_frames, mine);
	if (err)
		return err;
	*umem = mine->memory;
	*table = mine->table;
	hello->frame_size = mine->frame_size;
	hello->n_frames = mine->n_frames;
	hello->multi_buffer = ports->multi;
	return 0;
}

int ports_slot(const struct ports *ports, unsigned int ifindex)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		if (ports->port[slot].used && ports->port[slot].dev.ifindex == ifindex)
			return (int)slot;
	return -1;
}

void ports_count(struct ports *ports)
{
	for (unsigned int slot = 0; slot < XIPSEC_SLOTS_MAX; slot++)
		for (__u32 q = 0; q < ports->port[slot].n_queues; q++)
			count_drops(ports, slot, q);
}
