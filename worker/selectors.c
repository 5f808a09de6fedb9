// SPDX-License-Identifier: BSD-2-Clause
#include "worker/selectors.h"

#include <arpa/inet.h>
#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "worker/firsts.h"
#include "worker/quote.h"

/* With more selectors than this it is quicker to remember what packets of a kind were answered. */
#define FEW  SA_NETS4
#define SEEN 256 /* a power of 2 */

/* An IPv6 address in host order. */
__extension__ typedef unsigned __int128 word6_t;

struct seen {
	struct xipsec_flow flow;
	enum xipsec_reason reason;
	bool used;
};

static word6_t word6(const void *at)
{
	__be64 half[2];

	memcpy(half, at, sizeof(half));
	return (word6_t)be64toh(half[0]) << 64 | be64toh(half[1]);
}

/* The `len` bytes of a mask under which the addresses from `lo` to `hi`, and no others, are alike.
 * False: there is none. */
static bool mask_of(const struct xipsec_addr *lo, const struct xipsec_addr *hi, __u32 len,
		    __u8 *mask)
{
	const word6_t from = word6(lo) >> (128 - 8 * len), to = word6(hi) >> (128 - 8 * len);
	const word6_t differ = from ^ to;

	for (__u32 i = 0; i < len; i++)
		mask[i] = (__u8) ~(lo->byte[i] ^ hi->byte[i]);
	return !(differ & (differ + 1)) && !(from & differ);
}

/* Source and destination, `len` bytes each, under their masks. False: not such nets. */
static bool net_of(const struct xipsec_selector *sel, __u32 len, __u64 *want, __u64 *mask)
{
	__u8 addrs[32];

	memcpy(addrs, &sel->remote_lo, len);
	memcpy(addrs + len, &sel->local_lo, len);
	memcpy(want, addrs, 2 * len);
	return mask_of(&sel->remote_lo, &sel->remote_hi, len, (__u8 *)mask) &&
	       mask_of(&sel->local_lo, &sel->local_hi, len, (__u8 *)mask + len);
}

static void nets4_fill(struct sa *sa)
{
	__u32 n = 0;

	for (__u32 i = 0; i < sa->n_selectors; i++) {
		const struct xipsec_selector *sel = &sa->selector[i];
		struct sa_net4 *net = &sa->net4[n];

		if (sel->family && sel->family != XIPSEC_FAMILY_IP4)
			continue;
		if (!net_of(sel, 4, &net->want, &net->mask))
			return;
		net->refuse = sa->refuse[i];
		n++;
	}
	sa->n_nets4 = n;
}

static void nets6_fill(struct sa *sa)
{
	__u32 n = 0;

	for (__u32 i = 0; i < sa->n_selectors; i++) {
		const struct xipsec_selector *sel = &sa->selector[i];
		struct sa_net6 *net = &sa->net6[n];

		if (sel->family && sel->family != XIPSEC_FAMILY_IP6)
			continue;
		if (!net_of(sel, 16, net->want, net->mask))
			return;
		net->refuse = sa->refuse[i];
		n++;
	}
	sa->n_nets6 = n;
}

/* RFC 4301 7.1: such an SA carries later fragments without having agreed to it, whatever earlier
 * rules ask for. */
static bool accepts_any_port(const struct sa *sa)
{
	for (__u32 i = 0; i < sa->n_selectors; i++)
		if (!sa->refuse[i] && !xipsec_selector_any_port(&sa->selector[i]))
			return false;
	return true;
}

int selectors_init(struct sa *sa)
{
	if (sa->n_selectors > FEW) {
		sa->seen = calloc(SEEN, sizeof(*sa->seen));
		if (!sa->seen)
			return -ENOMEM;
	}
	sa->nets_alone = 1;
	for (__u32 i = 0; i < sa->n_selectors; i++)
		sa->nets_alone &= sa->selector[i].any_proto && !sa->selector[i].opaque &&
				  !sa->selector[i].dscp &&
				  xipsec_selector_any_port(&sa->selector[i]);
	if (sa->nets_alone && !sa->seen) {
		nets4_fill(sa);
		nets6_fill(sa);
	}
	if (sa->nets_alone || sa->dir != XIPSEC_DIR_IN || sa->transport ||
	    (!sa->later && !accepts_any_port(sa)))
		return 0;
	sa->firsts = firsts_new();
	return sa->firsts ? 0 : -ENOMEM;
}

static struct xipsec_addr addr_at(const __u8 *at, __u32 len)
{
	struct xipsec_addr addr = {0};

	memcpy(&addr, at, len);
	return addr;
}

static inline bool within(__be32 addr, const struct xipsec_addr *lo, const struct xipsec_addr *hi)
{
	return ntohl(addr) - ntohl(lo->word[0]) <= ntohl(hi->word[0]) - ntohl(lo->word[0]);
}

/* Where selectors name nets alone, as those of most tunnels do, a packet's addresses are all there
 * is to look at: 4 ns less than to describe it whole. */
static inline enum xipsec_match match_nets(const struct xipsec_selector *sel, const __u8 *data,
					   __u8 family)
{
	__be32 src, dst;

	if (sel->family && sel->family != family)
		return XIPSEC_MATCH_NO;
	if (family == XIPSEC_FAMILY_IP4) {
		memcpy(&src, data + 12, 4);
		memcpy(&dst, data + 16, 4);
		return within(src, &sel->remote_lo, &sel->remote_hi) &&
				       within(dst, &sel->local_lo, &sel->local_hi)
			       ? XIPSEC_MATCH_YES
			       : XIPSEC_MATCH_NO;
	}
	const struct xipsec_addr remote = addr_at(data + 8, 16), local = addr_at(data + 24, 16);

	return xipsec_addr_in(&remote, &sel->remote_lo, &sel->remote_hi, 4) &&
			       xipsec_addr_in(&local, &sel->local_lo, &sel->local_hi, 4)
		       ? XIPSEC_MATCH_YES
		       : XIPSEC_MATCH_NO;
}

/* RFC 4301 5.2, which takes a decorrelated SPD (4.4.1) for granted: this list keeps the order
 * instead. What a fragment hides counts against it: it may match what refuses, and must match for
 * certain what accepts. The selector that decides, NULL: none. */
static const struct xipsec_selector *find(const struct sa *sa, const struct xipsec_flow *flow)
{
	for (__u32 i = 0; i < sa->n_selectors; i++) {
		enum xipsec_match match = xipsec_selector_match(&sa->selector[i], flow);

		if (match == XIPSEC_MATCH_YES || (sa->refuse[i] && match != XIPSEC_MATCH_NO))
			return &sa->selector[i];
	}
	return NULL;
}

static bool refuses(const struct sa *sa, const struct xipsec_selector *sel)
{
	return sa->refuse[sel - sa->selector];
}

bool selectors_accept_plain(const struct sa *sa, const __u8 *addrs)
{
	__u64 both;

	memcpy(&both, addrs, sizeof(both));
	for (__u32 i = 0; i < sa->n_nets4; i++)
		if (!((both ^ sa->net4[i].want) & sa->net4[i].mask))
			return !sa->net4[i].refuse;
	return false;
}

bool selectors_accept_plain6(const struct sa *sa, const __u8 *addrs)
{
	__u64 both[4], differ;

	memcpy(both, addrs, sizeof(both));
	for (__u32 i = 0; i < sa->n_nets6; i++) {
		const struct sa_net6 *net = &sa->net6[i];

		differ = 0;
		for (int k = 0; k < 4; k++)
			differ |= (both[k] ^ net->want[k]) & net->mask[k];
		if (!differ)
			return !net->refuse;
	}
	return false;
}

static enum xipsec_reason check_nets(const struct sa *sa, const __u8 *data, __u8 family)
{
	for (__u32 i = 0; i < sa->n_selectors; i++)
		if (match_nets(&sa->selector[i], data, family) == XIPSEC_MATCH_YES)
			return sa->refuse[i] ? XIPSEC_REASON_SELECTOR : XIPSEC_REASON_UNSPEC;
	return XIPSEC_REASON_SELECTOR;
}

/* RFC 4301 6.2: a policy that names ICMP lets errors through whatever they quote. Else the quoted
 * packet must be one that this SA answers, wherever the error comes from: a peer could tell our
 * hosts lies about their traffic with others. */
static enum xipsec_reason check_error(const struct sa *sa, const __u8 *data,
				      const struct inner *inner)
{
	const struct xipsec_selector *sel, *quoted;
	struct xipsec_flow flow;

	inner_flow(data, inner, XIPSEC_DIR_IN, &flow);
	sel = find(sa, &flow);
	if (sel && refuses(sa, sel))
		return XIPSEC_REASON_SELECTOR;
	if (sel && !sel->any_proto)
		return XIPSEC_REASON_UNSPEC;
	quoted = quote_flow(data, inner, &flow) ? NULL : find(sa, &flow);
	if (quoted && !refuses(sa, quoted))
		return XIPSEC_REASON_UNSPEC;
	return sel ? XIPSEC_REASON_ICMP_QUOTE : XIPSEC_REASON_SELECTOR;
}

static enum xipsec_reason check_flow(const struct sa *sa, const struct xipsec_flow *flow)
{
	const struct xipsec_selector *sel = find(sa, flow);

	return sel && !refuses(sa, sel) ? XIPSEC_REASON_UNSPEC : XIPSEC_REASON_SELECTOR;
}

static __u32 seen_place(const struct xipsec_flow *flow)
{
	__u64 word[sizeof(*flow) / 8], hash = 0x51afd7ed558ccd17ULL;

	memcpy(word, flow, sizeof(word));
	for (unsigned int i = 0; i < sizeof(word) / sizeof(word[0]); i++) {
		hash = (hash ^ word[i]) * 0x9e3779b97f4a7c15ULL;
		hash ^= hash >> 32;
	}
	return hash & (SEEN - 1);
}

/* With another list comes another struct sa, so an answer is right for as long as there is this
 * one. */
static enum xipsec_reason check_seen(const struct sa *sa, const struct xipsec_flow *flow)
{
	struct seen *seen = &sa->seen[seen_place(flow)];

	if (!seen->used || memcmp(&seen->flow, flow, sizeof(*flow)))
		*seen = (struct seen){*flow, check_flow(sa, flow), true};
	return seen->reason;
}

static enum xipsec_reason check_any(const struct sa *sa, const struct xipsec_flow *flow)
{
	return sa->seen ? check_seen(sa, flow) : check_flow(sa, flow);
}

/* Does the first selector that may match do so by what the packet shows? */
static bool certain(const struct sa *sa, const struct xipsec_flow *flow)
{
	enum xipsec_match match = XIPSEC_MATCH_NO;

	for (__u32 i = 0; i < sa->n_selectors && match == XIPSEC_MATCH_NO; i++)
		match = xipsec_selector_match(&sa->selector[i], flow);
	return match == XIPSEC_MATCH_YES;
}

/* RFC 4301 7.3: where what it shows does not decide, a later fragment is asked about as its first
 * one was, if that was accepted. So selectors that ask for what is hidden keep their place among
 * the others, as in the SPD. None may write over what selectors ask for (7.2). */
static __attribute__((noinline)) enum xipsec_reason check_part(const struct sa *sa,
							       const __u8 *data,
							       const struct inner *inner,
							       struct xipsec_flow *flow)
{
	enum xipsec_reason reason;

	if (inner_writes_over(data, inner))
		return XIPSEC_REASON_SELECTOR;
	if (sa->firsts && inner->opaque && !certain(sa, flow))
		firsts_show(sa->firsts, data, inner, flow, sa->now_s);
	reason = check_any(sa, flow);
	if (!reason && sa->firsts && !inner->opaque)
		firsts_keep(sa->firsts, data, inner, flow, sa->now_s);
	return reason;
}

enum xipsec_reason selectors_check(const struct sa *sa, const __u8 *data, const struct inner *inner)
{
	struct xipsec_flow flow;

	if (__builtin_expect(quote_is_error(data, inner), 0))
		return check_error(sa, data, inner);
	if (sa->nets_alone && !sa->seen)
		return check_nets(sa, data, inner->family);
	inner_flow(data, inner, XIPSEC_DIR_IN, &flow);
	if (__builtin_expect(inner->flags & INNER_FRAG && !sa->nets_alone, 0))
		return check_part(sa, data, inner, &flow);
	return check_any(sa, &flow);
}
