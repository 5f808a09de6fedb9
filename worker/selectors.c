// SPDX-License-Identifier: BSD-2-Clause
#include "worker/selectors.h"

#include <string.h>

void selectors_init(struct sa *sa)
{
	sa->nets_alone = 1;
	for (__u32 i = 0; i < sa->n_selectors; i++)
		sa->nets_alone &= sa->selector[i].any_proto &&
				  xipsec_selector_any_port(&sa->selector[i]);
}

static struct xipsec_addr addr_at(const __u8 *at, __u32 len)
{
	struct xipsec_addr addr = {0};

	memcpy(&addr, at, len);
	return addr;
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
		return ((src ^ sel->remote.word[0]) & sel->remote_mask.word[0]) |
				       ((dst ^ sel->local.word[0]) & sel->local_mask.word[0])
			       ? XIPSEC_MATCH_NO
			       : XIPSEC_MATCH_YES;
	}
	const struct xipsec_addr remote = addr_at(data + 8, 16), local = addr_at(data + 24, 16);

	return xipsec_addr_in(&remote, &sel->remote, &sel->remote_mask) &&
			       xipsec_addr_in(&local, &sel->local, &sel->local_mask)
		       ? XIPSEC_MATCH_YES
		       : XIPSEC_MATCH_NO;
}

/* RFC 4301 5.2, which takes a decorrelated SPD (4.4.1) for granted: this list keeps the order
 * instead. What a fragment hides counts against it: it may match what refuses, and must match for
 * certain what accepts. */
enum xipsec_reason selectors_check(const struct sa *sa, const __u8 *data, const struct inner *inner)
{
	struct xipsec_flow flow;

	if (!sa->nets_alone)
		inner_flow(data, inner, XIPSEC_DIR_IN, &flow);
	for (__u32 i = 0; i < sa->n_selectors; i++) {
		const struct xipsec_selector *sel = &sa->selector[i];
		enum xipsec_match match = sa->nets_alone ? match_nets(sel, data, inner->family)
							 : xipsec_selector_match(sel, &flow);

		if (sa->refuse[i] && match != XIPSEC_MATCH_NO)
			return XIPSEC_REASON_SELECTOR;
		if (match == XIPSEC_MATCH_YES)
			return XIPSEC_REASON_UNSPEC;
	}
	return XIPSEC_REASON_SELECTOR;
}
