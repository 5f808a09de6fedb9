// SPDX-License-Identifier: BSD-2-Clause
#include "worker/quote.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#define ICMP_LEN    8
#define IP4_LEN     20
#define IP6_LEN     40
#define IP6_EXT_MAX 6

struct quote {
	const __u8 *at;
	__u32 len; /* bytes that can be read */
};

/* RFC 792: unreachable, source quench, redirect, time exceeded, parameter problem. */
static bool is_error4(__u8 type)
{
	return type == 3 || type == 4 || type == 5 || type == 11 || type == 12;
}

bool quote_is_error(const __u8 *data, const struct inner *inner)
{
	if (!inner->l4_min)
		return false;
	if (inner->family == XIPSEC_FAMILY_IP4)
		return inner->l4_proto == IPPROTO_ICMP && is_error4(data[inner->l4_off]);
	return inner->l4_proto == IPPROTO_ICMPV6 && data[inner->l4_off] < 128; /* RFC 4443 2.1 */
}

static __u16 be16_at(const __u8 *at)
{
	return (__u16)(at[0] << 8 | at[1]);
}

/* What selectors ask of the transport header, `off` bytes into the quote. */
static void flow_l4(const struct quote *quote, __u32 off, struct xipsec_flow *flow)
{
	const __u8 *l4 = quote->at + off;

	switch (flow->l4_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
	case IPPROTO_ICMP:
	case IPPROTO_MH:
	case IPPROTO_ICMPV6: break;
	default: return;
	}
	if (flow->opaque)
		return;
	if (off + 4 > quote->len) {
		flow->opaque = XIPSEC_OPAQUE_PORTS;
		return;
	}
	if (flow->l4_proto == IPPROTO_ICMP || flow->l4_proto == IPPROTO_ICMPV6) {
		flow->icmp = be16_at(l4);
		return;
	}
	if (flow->l4_proto == IPPROTO_MH) { /* RFC 6275 6.1.1 */
		flow->icmp = (__u16)(l4[2] << 8);
		return;
	}
	flow->local_port = be16_at(l4);
	flow->remote_port = be16_at(l4 + 2);
}

static int flow_ip4(const struct quote *quote, struct xipsec_flow *flow)
{
	__u32 header_len = (quote->at[0] & 0xf) * 4u;

	if (quote->len < IP4_LEN || header_len < IP4_LEN)
		return -EINVAL;
	memcpy(&flow->local, quote->at + 12, 4);
	memcpy(&flow->remote, quote->at + 16, 4);
	flow->l4_proto = quote->at[9];
	flow->dscp = quote->at[1] >> 2;
	if (be16_at(quote->at + 6) & 0x1fff)
		flow->opaque = XIPSEC_OPAQUE_PORTS;
	flow_l4(quote, header_len, flow);
	return 0;
}

static bool is_ext(__u8 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING || next == IPPROTO_DSTOPTS ||
	       next == IPPROTO_FRAGMENT;
}

/* A chain that the quote ends in, or that is too long for us to have let it out, hides all. */
static int flow_ip6(const struct quote *quote, struct xipsec_flow *flow)
{
	__u32 off = IP6_LEN;

	if (quote->len < IP6_LEN)
		return -EINVAL;
	memcpy(&flow->local, quote->at + 8, 16);
	memcpy(&flow->remote, quote->at + 24, 16);
	flow->l4_proto = quote->at[6];
	flow->dscp = be16_at(quote->at) >> 6 & 63;
	for (int i = 0; is_ext(flow->l4_proto) && !flow->opaque; i++) {
		const __u8 *ext = quote->at + off;
		bool fragment = flow->l4_proto == IPPROTO_FRAGMENT;

		if (i == IP6_EXT_MAX || off + 8 > quote->len) {
			flow->opaque = XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO;
			return 0;
		}
		if (fragment && be16_at(ext + 2) & 0xfff8)
			flow->opaque = XIPSEC_OPAQUE_PORTS |
				       (is_ext(ext[0]) ? XIPSEC_OPAQUE_PROTO : 0);
		flow->l4_proto = ext[0];
		off += fragment ? 8 : 8 + ext[1] * 8u;
	}
	flow_l4(quote, off, flow);
	return 0;
}

int quote_flow(const __u8 *data, const struct inner *inner, struct xipsec_flow *flow)
{
	const bool ip4 = inner->family == XIPSEC_FAMILY_IP4;
	const struct quote quote = {data + inner->l4_off + ICMP_LEN,
				    inner->len - inner->l4_off - ICMP_LEN};
	int err;

	*flow = (struct xipsec_flow){.family = inner->family};
	if (!quote.len || quote.at[0] >> 4 != inner->family)
		return -EINVAL;
	err = ip4 ? flow_ip4(&quote, flow) : flow_ip6(&quote, flow);
	if (err)
		return err;
	return memcmp(&flow->local, data + (ip4 ? 16 : 24), ip4 ? 4 : 16) ? -EINVAL : 0;
}
