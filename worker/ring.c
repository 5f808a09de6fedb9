// SPDX-License-Identifier: BSD-2-Clause
#include "worker/ring.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/cleanup.h"
#include "xipsec/maps.h"

#define RING_OFFSET_MAX 4096
#define RING_SIZE_MAX   65536
#define FILL_STEP       BURST_FILL
#define CACHE_LINE      64

enum { BURST_FILL = 64 };

static int offsets_ok(const struct ctl_ring *r)
{
	return r->size && r->size <= RING_SIZE_MAX && !(r->size & (r->size - 1)) &&
	       r->producer <= RING_OFFSET_MAX && r->consumer <= RING_OFFSET_MAX &&
	       r->flags <= RING_OFFSET_MAX && r->desc <= RING_OFFSET_MAX && !(r->producer & 3) &&
	       !(r->consumer & 3) && !(r->flags & 3) && !(r->desc & 7) &&
	       r->producer + 4 <= r->desc && r->consumer + 4 <= r->desc && r->flags + 4 <= r->desc;
}

/* libxdp's two ring structs have the same members; this is what is common to them. */
struct ring_view {
	__u32 mask, size;
	__u32 *producer, *consumer, *flags;
	void *ring;
};

static int ring_map(struct xsk *xsk, int n, int fd, const struct ctl_ring *r, size_t entry,
		    off_t where, struct ring_view *out)
{
	size_t len = r->desc + r->size * entry;
	__u8 *p;

	if (!offsets_ok(r))
		return -EINVAL;
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, where);
	if (p == MAP_FAILED)
		return -errno;
	xsk->map[n].at = p;
	xsk->map[n].len = len;
	*out = (struct ring_view){
		.mask = r->size - 1,
		.size = r->size,
		.producer = (__u32 *)(p + r->producer),
		.consumer = (__u32 *)(p + r->consumer),
		.flags = (__u32 *)(p + r->flags),
		.ring = p + r->desc,
	};
	return 0;
}

static void prod_start(struct xsk_ring_prod *prod, const struct ring_view *v)
{
	*prod = (struct xsk_ring_prod){
		.cached_prod = __atomic_load_n(v->producer, __ATOMIC_ACQUIRE),
		.cached_cons = __atomic_load_n(v->consumer, __ATOMIC_ACQUIRE) + v->size,
		.mask = v->mask,
		.size = v->size,
		.producer = v->producer,
		.consumer = v->consumer,
		.ring = v->ring,
		.flags = v->flags,
	};
}

static void cons_start(struct xsk_ring_cons *cons, const struct ring_view *v)
{
	*cons = (struct xsk_ring_cons){
		.cached_prod = __atomic_load_n(v->producer, __ATOMIC_ACQUIRE),
		.cached_cons = __atomic_load_n(v->consumer, __ATOMIC_ACQUIRE),
		.mask = v->mask,
		.size = v->size,
		.producer = v->producer,
		.consumer = v->consumer,
		.ring = v->ring,
		.flags = v->flags,
	};
}

static void unmap_all(struct xsk *xsk)
{
	for (int i = 0; i < 4; i++)
		if (xsk->map[i].at)
			munmap(xsk->map[i].at, xsk->map[i].len);
}

static int map_rings(struct xsk *xsk, const struct ctl_xsk *msg, int fd)
{
	struct ring_view rx, tx, fill, comp;
	int err;

	err = ring_map(xsk, 0, fd, &msg->rx, sizeof(struct xdp_desc), XDP_PGOFF_RX_RING, &rx);
	if (err)
		return err;
	err = ring_map(xsk, 1, fd, &msg->tx, sizeof(struct xdp_desc), XDP_PGOFF_TX_RING, &tx);
	if (err)
		return err;
	err = ring_map(xsk, 2, fd, &msg->fill, sizeof(__u64), XDP_UMEM_PGOFF_FILL_RING, &fill);
	if (err)
		return err;
	err = ring_map(xsk, 3, fd, &msg->comp, sizeof(__u64), XDP_UMEM_PGOFF_COMPLETION_RING,
		       &comp);
	if (err)
		return err;
	cons_start(&xsk->rx, &rx);
	prod_start(&xsk->tx, &tx);
	prod_start(&xsk->fill, &fill);
	cons_start(&xsk->comp, &comp);
	return 0;
}

int ring_open(const struct ctl_xsk *msg, int fd, struct xsk **out)
{
	struct xsk *xsk;
	int err;

	if (msg->slot >= XIPSEC_SLOTS_MAX || msg->queue >= XIPSEC_QUEUES_MAX)
		return -EINVAL;
	xsk = calloc(1, sizeof(*xsk));
	if (!xsk)
		return -ENOMEM;
	err = map_rings(xsk, msg, fd);
	if (err) {
		unmap_all(xsk);
		free(xsk);
		return err;
	}
	xsk->fd = fd;
	xsk->slot = msg->slot;
	xsk->queue = msg->queue;
	xsk->rx_fetched = xsk->rx.cached_cons;
	xsk->fill_target = xsk->fill.size;
	/* What a dead worker left in the TX ring wants a kick, what it sent wants reaping. */
	xsk->tx_unsent = *xsk->tx.producer - *xsk->tx.consumer;
	xsk->tx_flying = xsk->tx.size;
	*out = xsk;
	return 0;
}

void ring_close(struct xsk *xsk)
{
	if (!xsk)
		return;
	/* The mappings hold the socket too: with them gone, close() is the end of it here. */
	unmap_all(xsk);
	close(xsk->fd);
	free(xsk);
}

static void mark(const struct frames *frames, __u8 *in_ring, __u64 addr, __u32 slot)
{
	__u32 frame = frame_number(frames, addr);

	if (frame < frames->n)
		in_ring[frame] = slot + 1;
}

void ring_mark(const struct xsk *xsk, const struct frames *frames, __u8 *in_ring)
{
	__u32 end;

	end = __atomic_load_n(xsk->rx.producer, __ATOMIC_ACQUIRE);
	for (__u32 i = *xsk->rx.consumer; i != end; i++)
		mark(frames, in_ring, xsk_ring_cons__rx_desc(&xsk->rx, i)->addr, xsk->slot);
	end = __atomic_load_n(xsk->comp.producer, __ATOMIC_ACQUIRE);
	for (__u32 i = *xsk->comp.consumer; i != end; i++)
		mark(frames, in_ring, *xsk_ring_cons__comp_addr(&xsk->comp, i), xsk->slot);
}

/* The other core has read these lines of the fill ring; when they are written next, one after the
 * other, they shall be here already. Only where there is room: the rest it is still to read. */
static void fetch_fill(struct xsk_ring_prod *fill)
{
	__u32 free = fill->cached_cons - fill->cached_prod;

	if (free > FILL_STEP)
		free = FILL_STEP;
	for (__u32 i = 0; i < free; i += CACHE_LINE / sizeof(__u64))
		prefetch_write(xsk_ring_prod__fill_addr(fill, fill->cached_prod + i));
}

void ring_refill(struct xsk *xsk, struct frames *frames)
{
	__u32 room = xsk_prod_nb_free(&xsk->fill, xsk->fill.size);
	__u32 used = xsk->fill.size - room;
	__u32 n = used < xsk->fill_target ? xsk->fill_target - used : 0;
	__u32 index;

	if (n > frames->n_free)
		n = frames->n_free;
	/* In steps: what stands between the table and the index is what a death may cost. */
	while (n) {
		__u32 step = n < FILL_STEP ? n : FILL_STEP;

		if (!xsk_ring_prod__reserve(&xsk->fill, step, &index))
			return;
		for (__u32 i = 0; i < step; i++) {
			__u64 addr = frame_take(frames);

			frame_set(frames, addr, FRAME_FILL, xsk->slot);
			*xsk_ring_prod__fill_addr(&xsk->fill, index + i) = addr;
		}
		xsk_ring_prod__submit(&xsk->fill, step);
		n -= step;
	}
	fetch_fill(&xsk->fill);
}
