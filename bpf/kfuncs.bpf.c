// SPDX-License-Identifier: BSD-2-Clause
/*
 * One program for each function of the kernel that not every kernel has (kfuncs): it has what the
 * verifier lets through. Loaded one at a time by `xipsec status --features`, never attached.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Weak, or one that is missing would keep the others from being loaded. What is called and is not
 * there is refused by the verifier. Of the structs only the kind is compared, not even the name. */
struct xfrm_state___probe {
	int any;
};
struct bpf_xfrm_state_opts___probe {
	__s32 error, netns_id;
	__u32 mark;
	__u32 daddr[4];
	__u32 spi;
	__u8 proto;
	__u16 family;
};
struct bpf_xfrm_info___probe {
	__u32 if_id;
	int link;
};

extern struct xfrm_state___probe *bpf_xdp_get_xfrm_state(struct xdp_md *ctx,
							 struct bpf_xfrm_state_opts___probe *opts,
							 __u32 opts__sz) __ksym __weak;
extern void bpf_xdp_xfrm_state_release(struct xfrm_state___probe *x) __ksym __weak;
extern int bpf_skb_set_xfrm_info(struct __sk_buff *skb,
				 const struct bpf_xfrm_info___probe *from) __ksym __weak;

SEC("xdp")
int kfunc_get_state(struct xdp_md *ctx)
{
	struct bpf_xfrm_state_opts___probe opts = {.netns_id = -1};
	struct xfrm_state___probe *x = bpf_xdp_get_xfrm_state(ctx, &opts, sizeof(opts));

	if (x)
		bpf_xdp_xfrm_state_release(x);
	return XDP_DROP;
}

SEC("tc")
int kfunc_set_info(struct __sk_buff *skb)
{
	struct bpf_xfrm_info___probe info = {.if_id = 1};

	return bpf_skb_set_xfrm_info(skb, &info) ? 2 : 0;
}
