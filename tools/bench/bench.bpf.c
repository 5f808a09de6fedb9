// SPDX-License-Identifier: BSD-2-Clause
/* The benchmark's own programs: where packets come from, where they end, and the reflector. */
#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

const volatile __u32 opt_out_ifindex;
const volatile __u64 opt_head[6]; /* of the frame */

/* One entry a CPU: packets and bytes that reached the sink. */
struct count {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct count);
} sunk SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} sockets SEC(".maps");

/* Run by live-frame test runs: each frame goes out as it is. */
SEC("xdp")
int bench_generate(struct xdp_md *ctx)
{
	return bpf_redirect(opt_out_ifindex, 0);
}

/* IPv4 is the load and ends here; ARP and the like go on. */
SEC("xdp")
int bench_sink(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct count *count;
	__be16 *eth_type = data + 12;
	__u32 zero = 0;

	if ((void *)(eth_type + 1) > data_end || *eth_type != bpf_htons(0x0800))
		return XDP_PASS;
	count = bpf_map_lookup_elem(&sunk, &zero);
	if (count) {
		count->packets++;
		count->bytes += data_end - data;
	}
	return XDP_DROP;
}

/* The frames of a test run are used again as who had them left them: headers are written anew. */
static __always_inline bool reset(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;

	if (data + sizeof(opt_head) > data_end)
		return false;
	for (unsigned int i = 0; i < sizeof(opt_head) / sizeof(opt_head[0]); i++)
		((__u64 *)data)[i] = opt_head[i];
	return true;
}

SEC("xdp")
int bench_pass(struct xdp_md *ctx)
{
	return reset(ctx) ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int bench_reset(struct xdp_md *ctx)
{
	return reset(ctx) ? XDP_DROP : XDP_ABORTED;
}

SEC("xdp")
int bench_drop(struct xdp_md *ctx)
{
	return XDP_DROP;
}

SEC("xdp")
int bench_reflect(struct xdp_md *ctx)
{
	return bpf_redirect_map(&sockets, 0, XDP_DROP);
}

char _license[] SEC("license") = "Dual BSD/GPL";
