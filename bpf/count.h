/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The last step of every program: a reason is counted, and the action follows from its kind. So
 * there is no pass without a PASS reason, and UNSPEC (nobody decided) is a counted drop.
 */
#ifndef BPF_COUNT_H
#define BPF_COUNT_H

#include <linux/pkt_cls.h>
#include "bpf/explain.h"
#include "bpf/maps.h"

/* Bit sets of the reasons of one kind, made from the one list at compile time: a look-up table
 * would need a map access and a bound. */
#define KIND_IN_WORD(sym, wanted, kind, first)                                   \
	((XIPSEC_KIND_##kind == (wanted) && XIPSEC_REASON_##sym / 64 == (first)) \
		 ? 1ULL << (XIPSEC_REASON_##sym % 64)                            \
		 : 0)
#define PASS_WORD_0(sym, name, kind, text)  | KIND_IN_WORD(sym, XIPSEC_KIND_PASS, kind, 0)
#define PASS_WORD_1(sym, name, kind, text)  | KIND_IN_WORD(sym, XIPSEC_KIND_PASS, kind, 1)
#define STEER_WORD_0(sym, name, kind, text) | KIND_IN_WORD(sym, XIPSEC_KIND_STEER, kind, 0)
#define STEER_WORD_1(sym, name, kind, text) | KIND_IN_WORD(sym, XIPSEC_KIND_STEER, kind, 1)

#define REASON_IN(reason, word_0, word_1) \
	(((reason) < 64 ? (word_0) : (word_1)) >> ((reason)&63) & 1)

static __always_inline int reason_passes(__u32 reason)
{
	return REASON_IN(reason, (0ULL XIPSEC_REASONS(PASS_WORD_0)),
			 (0ULL XIPSEC_REASONS(PASS_WORD_1)));
}

static __always_inline int reason_steers(__u32 reason)
{
	return REASON_IN(reason, (0ULL XIPSEC_REASONS(STEER_WORD_0)),
			 (0ULL XIPSEC_REASONS(STEER_WORD_1)));
}

/* Per-CPU, so a plain add: programs of one kind do not interrupt each other on a CPU. */
static __always_inline void counter_add(struct xipsec_counter *counter, __u32 bytes)
{
	if (explain || !counter)
		return;
	counter->packets++;
	counter->bytes += bytes;
}

static __always_inline void count_reason(__u32 reason, __u32 bytes)
{
	__u32 zero = 0;
	struct xipsec_counter *counter = bpf_map_lookup_elem(&reasons, &zero);

	if (counter && reason < XIPSEC_REASON_MAX)
		counter_add(counter + reason, bytes);
}

/* A STEER reason is only given after bpf_redirect_map() or bpf_redirect() said yes. */
static __always_inline int xdp_finish(__u32 reason, __u32 bytes)
{
	count_reason(reason, bytes);
	if (reason_passes(reason))
		return XDP_PASS;
	if (reason_steers(reason))
		return XDP_REDIRECT;
	return XDP_DROP;
}

static __always_inline int tc_finish(__u32 reason, __u32 bytes)
{
	count_reason(reason, bytes);
	if (reason_passes(reason))
		return TC_ACT_OK;
	return reason_steers(reason) ? TC_ACT_REDIRECT : TC_ACT_SHOT;
}

#endif
