// SPDX-License-Identifier: BSD-2-Clause
/*
 * Three tiny programs for one question: does this kernel let one program replace a function of
 * another (BPF_PROG_TYPE_EXT), which is how libxdp's dispatcher runs several? Never attached.
 *
 *	xipsec_quiet  a host that leaves packets alone, as the dispatcher's slots do before
 *xdp-tools 1.5.5 xipsec_loud   a host that says it may change them; ours is verified against it
 *	xipsec_guest  changes them, as our programs do; loaded as an extension of either
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("xdp")
int xipsec_quiet(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int xipsec_loud(struct xdp_md *ctx)
{
	bpf_xdp_adjust_tail(ctx, 0);
	return XDP_DROP;
}

SEC("xdp")
int xipsec_guest(struct xdp_md *ctx)
{
	bpf_xdp_adjust_meta(ctx, 0);
	return XDP_DROP;
}
