/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The TC programs behind XDP, and the mark by which they know what XDP has judged.
 *
 * An XDP program can be gone while its interface is up: somebody takes it off, or its slot in
 * libxdp's dispatcher dies with a pin. TC programs hang on no link (loader/hook_tc.h). So XDP
 * leaves 8 bytes before each frame that it lets pass, and TC lets pass what carries them; what does
 * not is judged by the same steps and the same maps, once more or for the first time. What only XDP
 * can do, handing a frame to a worker, ends as no_xdp.
 *
 * The mark is a random number of this generation, which stands in the map pass_key. It opens
 * nothing to who cannot read that map, so it does not matter who can put metadata before a frame (a
 * veth's other end can), and a mark of another generation counts as none. A mark that gets lost on
 * the way costs the frame a second look and a second count, not its passage: drivers and kernels
 * may drop metadata, programs of others behind ours may push it away.
 *
 * Of one length and one value, it does not keep GRO from merging.
 */
#ifndef BPF_BEHIND_H
#define BPF_BEHIND_H

#include "bpf/count.h"
#include "bpf/parse.h"
#include "xipsec/meta.h"

enum hook { HOOK_XDP, HOOK_TC };

/* Headers are read from the linear part; this much is made linear where less is. Longer chains
 * than that in scattered skbs are dropped as malformed. */
#define TC_LINEAR 256U

/* Direction of failure: closed, a pull that fails leaves the header short. */
static __always_inline void tc_load(struct __sk_buff *skb, struct pkt *pkt)
{
	__u32 want = skb->len < TC_LINEAR ? skb->len : TC_LINEAR;

	if (skb->data_end - skb->data < want)
		bpf_skb_pull_data(skb, want);
	__builtin_memset(pkt, 0, sizeof(*pkt));
	pkt->data = (void *)(long)skb->data;
	pkt->data_end = (void *)(long)skb->data_end;
	pkt->len = skb->len;
	pkt->ifindex = skb->ifindex;
	/* The stack counts from 1; 0 is not known, which was queue 0 if there is but one. */
	pkt->queue = skb->queue_mapping ? skb->queue_mapping - 1 : 0;
}

/* VLAN tags that the kernel has taken off the frame. */
static __always_inline __u32 tags_taken(const struct __sk_buff *skb)
{
	return skb->vlan_present ? 1 : 0;
}

/* The mark in force; NULL: none was made. */
static __always_inline const struct xipsec_passed *behind_key(void)
{
	__u32 zero = 0;
	const struct xipsec_passed *key = bpf_map_lookup_elem(&pass_key, &zero);

	return key && (key->word[0] | key->word[1]) ? key : NULL;
}

/* XDP: `size` bytes of metadata before the frame, in the place of all that was there. Moves packet
 * pointers. NULL: there is no room. */
static __always_inline void *behind_room(struct xdp_md *ctx, long size)
{
	void *room;
	long there;

	/* Read early, a half of a pointer would be spilled, which the verifier refuses. */
	asm volatile("" ::: "memory");
	there = (long)ctx->data - (long)ctx->data_meta;
	if (bpf_xdp_adjust_meta(ctx, there - size))
		return NULL;
	room = (void *)(long)ctx->data_meta;
	return room + size > (void *)(long)ctx->data ? NULL : room;
}

/* XDP, with every decision: what passes carries the mark and no other metadata. Moves packet
 * pointers. Direction of failure: judged again. */
static __always_inline void behind_mark(struct xdp_md *ctx, __u32 reason)
{
	const struct xipsec_passed *key;
	struct xipsec_passed *mark;

	if (!reason_passes(reason))
		return;
	key = behind_key();
	if (!key)
		return;
	mark = behind_room(ctx, sizeof(*mark));
	if (mark)
		*mark = *key;
}

/* XDP on red, with XFRM_OUT: the same, and the mark that the skb is to have. Direction of failure:
 * judged again by TC, which gives the skb that mark itself. */
static __always_inline void behind_mark_xfrm(struct xdp_md *ctx, __u32 skb_mark)
{
	const struct xipsec_passed *key = behind_key();
	struct xipsec_passed_xfrm *mark;

	if (!key)
		return;
	mark = behind_room(ctx, sizeof(*mark));
	if (!mark)
		return;
	mark->passed = *key;
	mark->mark = skb_mark;
}

/* TC on red, of what carries the mark: the one that the skb is to have, for kernel XFRM; 0: none.
 */
static __always_inline __u32 behind_xfrm_mark(const struct __sk_buff *skb)
{
	const struct xipsec_passed_xfrm *more = (void *)(long)skb->data_meta;

	if ((void *)(more + 1) > (void *)(long)skb->data ||
	    (more->mark & XIPSEC_MARK_MASK) != XIPSEC_MARK_XFRM)
		return 0;
	return more->mark;
}

/* The child, plus 1, by whose SA kernel XFRM has opened this; 0: it has not. The stack keeps beside
 * an skb the SAs that opened it, where nobody else writes. One inside another is none of ours. */
static __always_inline __u32 behind_opened(struct __sk_buff *skb)
{
	struct bpf_xfrm_state state = {0};

	if (bpf_skb_get_xfrm_state(skb, 1, &state, sizeof(state), 0) == 0 ||
	    bpf_skb_get_xfrm_state(skb, 0, &state, sizeof(state), 0) != 0 ||
	    (state.reqid & XIPSEC_MARK_MASK) != XIPSEC_MARK_OPENED)
		return 0;
	return (state.reqid & ~XIPSEC_MARK_MASK) + 1;
}

/* TC, before anything moves the skb's bytes: the kernel drops metadata then. */
static __always_inline int behind_is_marked(const struct __sk_buff *skb)
{
	const struct xipsec_passed *mark = (void *)(long)skb->data_meta;
	const struct xipsec_passed *key;

	if ((void *)(mark + 1) > (void *)(long)skb->data)
		return 0;
	key = behind_key();
	return key && mark->word[0] == key->word[0] && mark->word[1] == key->word[1];
}

/* A verdict for a worker before a frame that went to the stack. */
static __always_inline int behind_is_verdict(const struct __sk_buff *skb)
{
	const __u32 *magic = (void *)(long)skb->data_meta;

	return (void *)(magic + 1) <= (void *)(long)skb->data && *magic == XIPSEC_META_MAGIC;
}

/* Where XDP was not: what passes goes on to the programs of others at this hook. */
static __always_inline int behind_finish(__u32 reason, __u32 bytes)
{
	int action = tc_finish(reason, bytes);

	return action == TC_ACT_OK ? TC_ACT_UNSPEC : action;
}

#endif
