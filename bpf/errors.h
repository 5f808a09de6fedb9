/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP errors on their way out that no rule speaks of: they go by the SA that the answer to the
 * packet which they quote would go by (RFC 4301 6.2). So a router or a host behind red can tell the
 * other side of a tunnel for TCP alone that a port or a path is closed; the receiver checks the
 * quote the same way. What a rule discards stays discarded, and nobody is asked for an SA.
 *
 * Direction of failure: closed. A quote that does not tell enough is told by no rule.
 */
#ifndef BPF_ERRORS_H
#define BPF_ERRORS_H

#include "bpf/flow_cache.h"
#include "bpf/pmtu.h"

/* What selectors ask of the quoted transport header, turned round. */
static __always_inline void error_flow_l4(const struct pkt *pkt, const struct quote *quote,
					  struct xipsec_flow *flow)
{
	__be16 *word = pkt_l4_at(pkt, quote->l4_off, 4);

	flow->local_port = flow->remote_port = flow->icmp = 0;
	flow->l4_proto = quote->l4_proto;
	if (pkt->family == XIPSEC_FAMILY_IP6 && ip6_is_ext(quote->l4_proto)) {
		flow->opaque = XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO;
		return;
	}
	if (!word) {
		flow->opaque = XIPSEC_OPAQUE_PORTS;
		return;
	}
	switch (quote->l4_proto) {
	case IPPROTO_TCP:
	case IPPROTO_UDP:
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_UDPLITE:
		flow->local_port = bpf_ntohs(word[1]);
		flow->remote_port = bpf_ntohs(word[0]);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6: flow->icmp = bpf_ntohs(word[0]); break;
	case IPPROTO_MH: flow->icmp = bpf_ntohs(word[1]) & 0xff00; break;
	}
}

/* SPD_PROTECT with the child in *found, which has an SA, or SPD_NONE. */
static __always_inline enum spd_verdict error_lookup(const struct xipsec_spd *rules,
						     const struct pkt *pkt, struct spd_found *found)
{
	const struct xipsec_child *child;
	struct xipsec_flow flow;
	struct quote quote;

	if (!icmp_is_error(pkt) || quote_read(pkt, &quote) || !addr_equal(&quote.src, &pkt->dst))
		return SPD_NONE;
	spd_flow(pkt, XIPSEC_DIR_OUT, &flow);
	flow.local = quote.dst;
	error_flow_l4(pkt, &quote, &flow);
	if (flow_classify(rules, &flow, found) != SPD_PROTECT)
		return SPD_NONE;
	way_found(pkt, XIPSEC_DIR_OUT, found);
	child = bpf_map_lookup_elem(&children, &found->child);
	if (!child || child->sa_generation == 0)
		return SPD_NONE;
	hit_count(found->rule, pkt->len);
	return SPD_PROTECT;
}

#endif
