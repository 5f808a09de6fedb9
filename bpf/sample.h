/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Dropped packets, told to xipsecd through the ring buffer `events`: some of each reason on each
 * CPU, and of each child without an SA one a second, whichever CPU comes first. What passes by a
 * policy is told alike while somebody listens to that. Costs nothing where a packet is steered.
 * Direction of failure: none, the packet has been decided on; a full ring loses the sample.
 *
 * The functions that do it are global, so that the verifier looks at them once and not again for
 * every reason: inline they are a million instructions to it. They read the packet by the context,
 * for the pointers of `pkt` mean nothing there.
 */
#ifndef BPF_SAMPLE_H
#define BPF_SAMPLE_H

#include "bpf/count.h"
#include "bpf/parse.h"

/* 1: this one may be told. Two CPUs at a gate at the same time may both pass: harmless. */
static __always_inline int gate_open(struct xipsec_gate *gate, __u64 gap)
{
	__u64 now;

	if (!gate)
		return 0;
	now = bpf_ktime_get_coarse_ns();
	if (now < gate->next) {
		gate->missed++;
		return 0;
	}
	gate->next = now + gap;
	return 1;
}

/* What subscribers want beside drops. */
static __always_inline __u32 sample_asked(void)
{
	const struct xipsec_globals *known;
	__u32 zero = 0;

	known = bpf_map_lookup_elem(&globals, &zero);
	return known ? known->tell : 0;
}

/* The first bytes of the frame. `xdp` is known at compile time, as the context's type is. */
static __always_inline void sample_copy(void *ctx, int xdp, struct xipsec_sample *sample)
{
	__u32 len = sample->len < XIPSEC_SAMPLE_BYTES ? sample->len : XIPSEC_SAMPLE_BYTES;
	long err;

	if (len == 0)
		return;
	/* Linux 6.1 learns from a mask what it does not from a comparison: 1 to 256. */
	len--;
	asm volatile("" : "+r"(len));
	len = (len & (XIPSEC_SAMPLE_BYTES - 1)) + 1;
	err = xdp ? bpf_xdp_load_bytes(ctx, 0, sample->data, len)
		  : bpf_skb_load_bytes(ctx, 0, sample->data, len);
	if (!err)
		sample->captured = len;
}

/* SPI and sequence number of ESP, plain or in UDP, as far as the frame shows them. The packet
 * pointers of `pkt` may be dead: these are fresh from the context. */
static __always_inline void sample_esp(struct xipsec_sample *sample, const struct pkt *pkt,
				       void *data, void *data_end)
{
	__u32 off = pkt->l4_off;
	__be32 *esp;

	if (pkt->l4_proto == IPPROTO_UDP && pkt->dport == 4500)
		off += 8;
	else if (pkt->l4_proto == IPPROTO_AH)
		off += 4;
	else if (pkt->l4_proto != IPPROTO_ESP)
		return;
	if (!pkt_has_l4(pkt) || off > PARSE_OFF_MAX || off + 8 > pkt->l3_end)
		return;
	esp = data + off;
	if ((void *)(esp + 2) > data_end)
		return;
	sample->spi = esp[0];
	sample->seq = bpf_ntohl(esp[1]);
}

static __always_inline void sample_write(void *ctx, int xdp, const struct pkt *pkt, __u32 reason,
					 __u32 ifindex, __u32 child, __u64 missed, void *data,
					 void *data_end)
{
	struct xipsec_sample *sample = bpf_ringbuf_reserve(&events, sizeof(*sample), 0);

	if (!sample)
		return;
	__builtin_memset(sample, 0, sizeof(*sample));
	sample->time = bpf_ktime_get_boot_ns();
	sample->reason = reason;
	sample->ifindex = ifindex;
	sample->child = child;
	sample->missed = missed;
	sample->len = pkt->len;
	sample->family = pkt->family;
	if (pkt->family != XIPSEC_FAMILY_ANY) {
		sample->src = pkt->src;
		sample->dst = pkt->dst;
		sample->l4_proto = pkt->l4_proto;
		sample->flow = bpf_ntohl(pkt->flowinfo) & 0xfffff;
		sample->sport = pkt->sport;
		sample->dport = pkt->dport;
		sample_esp(sample, pkt, data, data_end);
	}
	if (sample_asked() & XIPSEC_TELL_PACKETS)
		sample_copy(ctx, xdp, sample);
	bpf_ringbuf_submit(sample, 0);
}

/* Which of the two gates, and through it. */
static __always_inline void sample_take(void *ctx, int xdp, const struct pkt *pkt, __u32 reason,
					__u32 ifindex, __u32 child, void *data, void *data_end)
{
	int acquire = reason == XIPSEC_REASON_NO_SA_OUT;
	struct xipsec_gate *gate = acquire ? bpf_map_lookup_elem(&acquire_gates, &child)
					   : bpf_map_lookup_elem(&sample_gates, &reason);

	if (!gate_open(gate, acquire ? XIPSEC_ACQUIRE_GAP : XIPSEC_SAMPLE_GAP))
		return;
	sample_write(ctx, xdp, pkt, reason, ifindex, child, gate->missed, data, data_end);
	gate->missed = 0;
}

__noinline int sample_xdp_take(struct xdp_md *ctx, struct pkt *pkt, __u32 reason, __u32 child)
{
	if (pkt)
		sample_take(ctx, 1, pkt, reason, ctx->ingress_ifindex, child,
			    (void *)(long)ctx->data, (void *)(long)ctx->data_end);
	return 0;
}

__noinline int sample_tc_take(struct __sk_buff *ctx, struct pkt *pkt, __u32 reason, __u32 child)
{
	if (pkt)
		sample_take(ctx, 0, pkt, reason, ctx->ifindex, child, (void *)(long)ctx->data,
			    (void *)(long)ctx->data_end);
	return 0;
}

/* A drop that no sample_acquire has told, and that tells something; or what a policy lets pass, if
 * somebody asked. */
static __always_inline int sample_wanted(__u32 reason)
{
	if (explain)
		return 0;
	if (reason == XIPSEC_REASON_BYPASS_OUT || reason == XIPSEC_REASON_BYPASS_IN)
		return sample_asked() & XIPSEC_TELL_PASSES;
	return !reason_passes(reason) && !reason_steers(reason) &&
	       reason != XIPSEC_REASON_NO_SA_OUT && reason != XIPSEC_REASON_NAT_KEEPALIVE;
}

/* With every decision. */
static __always_inline void sample_xdp(struct xdp_md *ctx, struct pkt *pkt, __u32 reason)
{
	if (sample_wanted(reason))
		sample_xdp_take(ctx, pkt, reason, 0);
}

static __always_inline void sample_tc(struct __sk_buff *skb, struct pkt *pkt, __u32 reason)
{
	if (sample_wanted(reason))
		sample_tc_take(skb, pkt, reason, 0);
}

/* A child's policy protects this packet and has no SA for it: somebody may make one. */
static __always_inline void sample_acquire_xdp(struct xdp_md *ctx, const struct pkt *pkt,
					       __u32 child)
{
	if (!explain)
		sample_xdp_take(ctx, (struct pkt *)pkt, XIPSEC_REASON_NO_SA_OUT, child);
}

static __always_inline void sample_acquire_tc(struct __sk_buff *skb, const struct pkt *pkt,
					      __u32 child)
{
	if (!explain)
		sample_tc_take(skb, (struct pkt *)pkt, XIPSEC_REASON_NO_SA_OUT, child);
}

#endif
