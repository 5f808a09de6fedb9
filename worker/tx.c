// SPDX-License-Identifier: BSD-2-Clause
#include "worker/tx.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "lib/if_xdp.h"

#define REAP_STEP 256

/* In copy mode one call sends at most 32 frames and says EAGAIN when more are waiting; other errors
 * (no queue room, link down) are tried again in the next round. */
#define KICK_FRAMES 32

/* Descriptors are published in bursts, not one by one: the index is a cache line that the kernel
 * reads. Not later, either: what is written and not published is lost if the worker dies. */
#define PUBLISH_STEP 32

/* `cached_prod` runs ahead of *producer by what is not published. */
static __u32 unpublished(const struct xsk *xsk)
{
	return xsk->tx.cached_prod - *xsk->tx.producer;
}

static void publish(struct xsk *xsk)
{
	__u32 n = unpublished(xsk);

	if (n)
		xsk_ring_prod__submit(&xsk->tx, n);
}

static void kick(struct xsk *xsk)
{
	int calls = 1 + xsk->tx_unsent / KICK_FRAMES;

	while (calls--) {
		if (sendto(xsk->fd, NULL, 0, MSG_DONTWAIT, NULL, 0) >= 0)
			break;
		if (errno != EAGAIN)
			break;
	}
	xsk->tx_unsent = *xsk->tx.producer - __atomic_load_n(xsk->tx.consumer, __ATOMIC_ACQUIRE);
}

static int reserve(struct xsk *xsk, struct frames *frames, __u32 n, __u32 *index)
{
	if (xsk_ring_prod__reserve(&xsk->tx, n, index))
		return 0;
	tx_reap(xsk, frames);
	tx_flush(xsk);
	return xsk_ring_prod__reserve(&xsk->tx, n, index) ? 0 : -ENOBUFS;
}

static void give(struct xsk *xsk, struct frames *frames, __u32 index, __u64 addr, __u32 len,
		 __u32 options)
{
	struct xdp_desc *desc = xsk_ring_prod__tx_desc(&xsk->tx, index);

	frame_set(frames, addr, FRAME_TX, xsk->slot);
	desc->addr = addr;
	desc->len = len;
	desc->options = options;
	xsk->tx_unsent++;
	xsk->tx_flying++;
	xsk->tx_given++;
}

int tx_send(struct xsk *xsk, struct frames *frames, __u64 addr, __u32 len)
{
	__u32 index;

	if (reserve(xsk, frames, 1, &index))
		return -ENOBUFS;
	give(xsk, frames, index, addr, len, 0);
	if (unpublished(xsk) >= PUBLISH_STEP)
		publish(xsk);
	return 0;
}

int tx_send_jumbo(struct xsk *xsk, struct frames *frames, const __u8 *data, __u32 len)
{
	__u32 room = frames->size - FRAME_LEAD, n = (len + room - 1) / room, index;

	if (n > 1 && !frames->multi)
		return -EMSGSIZE;
	if (frames->n_free < n)
		tx_reap(xsk, frames);
	if (frames->n_free < n || reserve(xsk, frames, n, &index))
		return -ENOBUFS;
	for (__u32 i = 0; i < n; i++) {
		__u32 part = len < room ? len : room;
		__u64 addr = frame_take(frames) + FRAME_LEAD;

		memcpy(frame_at(frames, addr), data, part);
		len -= part;
		give(xsk, frames, index + i, addr, part, len ? XDP_PKT_CONTD : 0);
		data += part;
	}
	/* All of it is there: the index moves past whole packets alone. */
	if (unpublished(xsk) >= PUBLISH_STEP)
		publish(xsk);
	return 0;
}

void tx_flush(struct xsk *xsk)
{
	publish(xsk);
	if (xsk->tx_unsent) {
		if (xsk_ring_prod__needs_wakeup(&xsk->tx))
			kick(xsk);
		else
			xsk->tx_unsent = 0;
	}
}

__u32 tx_reap(struct xsk *xsk, struct frames *frames)
{
	__u32 index, n;

	n = xsk_ring_cons__peek(&xsk->comp, REAP_STEP, &index);
	if (!n)
		return 0;
	for (__u32 i = 0; i < n; i++) {
		__u64 addr = *xsk_ring_cons__comp_addr(&xsk->comp, index + i);

		frame_set(frames, addr, FRAME_WORKER, 0);
		frame_free(frames, addr);
	}
	xsk_ring_cons__release(&xsk->comp, n);
	xsk->tx_flying -= n < xsk->tx_flying ? n : xsk->tx_flying;
	xsk->tx_given -= n < xsk->tx_given ? n : xsk->tx_given;
	return n;
}
