/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The twin that `xipsec explain` runs: the programs loaded once more on the same maps with
 * `explain` set. It goes the same way to the same reason, notes the steps, and does nothing: every
 * write to a map, every redirect and every sample stands behind `if (explain)` or way_set(). The
 * verifier knows the value and removes what cannot run, on either side.
 *
 * The look-up in `frags` is the one trace that it leaves: an LRU map marks what was looked up.
 *
 * Direction of failure: closed. Attached by mistake, the twin drops everything.
 */
#ifndef BPF_EXPLAIN_H
#define BPF_EXPLAIN_H

#include <linux/pkt_cls.h>
#include "bpf/parse.h"
#include "xipsec/explain.h"
#include "xipsec/maps.h"

const volatile __u32 explain = 0;

/* The steps of the twin's run. Not on the stack, which has no room left; the programs themselves
 * never touch it. One run at a time: whoever runs the twin holds a lock (loader/explain.c). */
struct xipsec_way way_note;

#define way_set(pkt, field, value)                \
	do {                                      \
		if (explain)                      \
			way_note.field = (value); \
	} while (0)

static __always_inline void way_flag(const struct pkt *pkt, __u32 flag)
{
	if (explain)
		way_note.flags |= flag;
}

static __always_inline void way_start(void)
{
	if (explain)
		__builtin_memset(&way_note, 0, sizeof(way_note));
}

static __always_inline void explain_fill(struct xipsec_explain *to, const struct pkt *pkt,
					 __u32 reason)
{
	__builtin_memset(to, 0, sizeof(*to));
	to->magic = XIPSEC_EXPLAIN_MAGIC;
	to->abi = XIPSEC_ABI;
	to->reason = reason;
	to->src = pkt->src;
	to->dst = pkt->dst;
	to->len = pkt->len;
	to->frag_id = pkt->frag_id;
	to->eth_type = pkt->eth_type;
	to->l3_off = pkt->l3_off;
	to->l4_off = pkt->l4_off;
	to->sport = pkt->sport;
	to->dport = pkt->dport;
	to->icmp = pkt->icmp;
	to->family = pkt->family;
	to->l4_proto = pkt->l4_proto;
	to->hop_limit = pkt->hop_limit;
	to->frag = pkt->frag;
	to->opaque = pkt->opaque;
	to->dscp = pkt_dscp(pkt);
	to->ifindex = pkt->ifindex;
	to->queue = pkt->queue;
	to->way = way_note;
}

/* The twin's last step: the answer before the frame. */
static __always_inline int explain_xdp(struct xdp_md *ctx, const struct pkt *pkt, __u32 reason)
{
	struct xipsec_explain *answer;

	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*answer)))
		return XDP_ABORTED;
	answer = (void *)(long)ctx->data;
	if ((void *)(answer + 1) > (void *)(long)ctx->data_end)
		return XDP_ABORTED;
	explain_fill(answer, pkt, reason);
	return XDP_DROP;
}

/* Over the frame: there is no room before it where it is as long as the MTU allows. A shorter one
 * is made longer, the packet has been read. */
static __always_inline int explain_tc(struct __sk_buff *skb, const struct pkt *pkt, __u32 reason)
{
	struct xipsec_explain *answer;

	if (skb->len < sizeof(*answer) && bpf_skb_change_tail(skb, sizeof(*answer), 0))
		return TC_ACT_SHOT;
	if (bpf_skb_pull_data(skb, sizeof(*answer)))
		return TC_ACT_SHOT;
	answer = (void *)(long)skb->data;
	if ((void *)(answer + 1) > (void *)(long)skb->data_end)
		return TC_ACT_SHOT;
	explain_fill(answer, pkt, reason);
	return TC_ACT_SHOT;
}

#endif
