// SPDX-License-Identifier: BSD-2-Clause
/*
 * The classifier of bpf/spd.h without a packet around it, for tests and benchmarks: each run of the
 * program takes the next flow of a table. Never attached, never pinned.
 */
#include "bpf/maps.h"
#include "bpf/count.h"
#include "bpf/parse.h"
#include "bpf/flow_cache.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* A power of 2: so many flows of the table are used, over and over. */
const volatile __u32 opt_flows = 1;
/* 1: nothing is looked up, for what the run itself costs. */
const volatile __u32 opt_empty;

/* 1: what each flow takes is written to `took`. */
const volatile __u32 opt_timed;

#define FLOWS_MAX 65536

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct xipsec_flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, struct spd_found);
} answers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FLOWS_MAX);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64); /* ns, the clock's own cost included */
} took SEC(".maps");

__u32 run_number;

static __always_inline int look_up(const struct xipsec_flow *flow, struct spd_found *answer)
{
	const struct xipsec_spd *head;
	struct spd_found found;

	if (opt_empty)
		return flow->dir + answer->rule;
	head = spd_current();
	if (!head) {
		answer->rule = SPD_NO_RULE;
		answer->verdict = SPD_NONE;
		return 0;
	}
	if (flow_classify(head, flow, &found) > SPD_OPAQUE)
		return -1;
	/* As frag_judge() does: a hit is a line of memory more. */
	hit_count(found.rule, 100);
	*answer = found;
	return 1;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	__u32 at = run_number++ & (opt_flows - 1);
	const struct xipsec_flow *flow;
	struct spd_found *answer;
	struct xipsec_flow copy;
	__u64 *spent, start;
	int ret;

	flow = bpf_map_lookup_elem(&flows, &at);
	answer = bpf_map_lookup_elem(&answers, &at);
	if (!flow || !answer)
		return -1;
	copy = *flow;
	if (!opt_timed)
		return look_up(&copy, answer);
	spent = bpf_map_lookup_elem(&took, &at);
	if (!spent)
		return -1;
	start = bpf_ktime_get_ns();
	ret = look_up(&copy, answer);
	*spent = bpf_ktime_get_ns() - start;
	return ret;
}
