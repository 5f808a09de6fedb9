/* SPDX-License-Identifier: BSD-2-Clause */
/* Handing a frame to a worker: the verdict before the frame, the frame to the queue's socket. */
#ifndef BPF_META_H
#define BPF_META_H

#include "bpf/maps.h"
#include "bpf/parse.h"
#include "xipsec/meta.h"

/* Set before the load: AF_XDP of this kernel takes packets in several frames. */
const volatile __u32 multi_buffer = 0;

/*
 * Makes the 32 bytes before the frame ours, whatever metadata stood there, and fills them. 0 or -1.
 * Moves packet pointers: pkt->data and data_end are dead afterwards.
 */
static __always_inline int meta_write(struct xdp_md *ctx, const struct xipsec_meta *verdict)
{
	long there = (long)ctx->data - (long)ctx->data_meta;
	struct xipsec_meta *meta;
	void *data;

	if (bpf_xdp_adjust_meta(ctx, there - (long)sizeof(*meta)))
		return -1;
	meta = (void *)(long)ctx->data_meta;
	data = (void *)(long)ctx->data;
	if ((void *)(meta + 1) > data)
		return -1;
	__builtin_memcpy(meta, verdict, sizeof(*meta));
	return 0;
}

/* The twin's look at the same socket: it moves nothing. */
static __always_inline enum xipsec_reason steer_explain(const struct pkt *pkt,
							const struct xipsec_iface *iface,
							__u32 queue, __u32 reason)
{
	__u32 key = iface->slot * XIPSEC_QUEUES_MAX + queue;

	if (!bpf_map_lookup_elem(&xsks, &key))
		return XIPSEC_REASON_NO_WORKER;
	way_flag(pkt, XIPSEC_WAY_SOCKET);
	return reason;
}

/*
 * Gives the frame to the worker of (slot, receive queue); the caller has filled in what the verdict
 * is about. Returns verdict->reason, or the drop that came instead. Direction of failure: closed.
 * The verdict stands before the first buffer. Where sockets take packets in one frame alone, those
 * in several buffers are dropped here, where it is counted: the kernel would drop them silently.
 */
static __always_inline enum xipsec_reason steer(struct xdp_md *ctx, const struct pkt *pkt,
						const struct xipsec_iface *iface,
						struct xipsec_meta *verdict)
{
	__u32 queue = ctx->rx_queue_index;
	__u32 linear = pkt->data_end - pkt->data;

	if (!multi_buffer && linear != pkt->len)
		return XIPSEC_REASON_ENGINE_CLOSED;
	if (queue >= XIPSEC_QUEUES_MAX || iface->slot >= XIPSEC_SLOTS_MAX)
		return XIPSEC_REASON_NO_WORKER;
	if (explain)
		return steer_explain(pkt, iface, queue, verdict->reason);
	verdict->magic = XIPSEC_META_MAGIC;
	verdict->abi = XIPSEC_ABI;
	verdict->l3_off = pkt->l3_off;
	verdict->family = pkt->family;
	verdict->l4_proto = pkt->l4_proto;
	if (meta_write(ctx, verdict))
		return XIPSEC_REASON_ENGINE_CLOSED;
	if (bpf_redirect_map(&xsks, iface->slot * XIPSEC_QUEUES_MAX + queue, XDP_DROP) !=
	    XDP_REDIRECT)
		return XIPSEC_REASON_NO_WORKER;
	return verdict->reason;
}

#endif
