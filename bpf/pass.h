/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The built-in passes, narrow on purpose: each returns its PASS reason or GO_ON. `xipsec policy`
 * shows them.
 */
#ifndef BPF_PASS_H
#define BPF_PASS_H

#include "bpf/maps.h"
#include "bpf/parse.h"

#define ND_FIRST 133 /* router solicitation */
#define ND_LAST  136 /* neighbour advertisement; redirects are left out */

#define MLD_QUERY   130
#define MLD_DONE    132
#define MLD2_REPORT 143

/* ICMPv6 that came whole and unfragmented: its type, else -1. RFC 6980 forbids even a fragment
 * header that stands alone. */
static __always_inline int pass_icmp6_type(const struct pkt *pkt)
{
	if (pkt->family != XIPSEC_FAMILY_IP6 || pkt->l4_proto != IPPROTO_ICMPV6 || pkt->frag)
		return -1;
	return pkt->icmp >> 8;
}

/* Hop limit 255 proves that no router has forwarded it (RFC 4861 11.2). */
static __always_inline enum xipsec_reason pass_link(const struct pkt *pkt)
{
	int type = pass_icmp6_type(pkt);

	if (pkt->eth_type == ETH_P_ARP)
		return XIPSEC_REASON_ARP;
	if (type >= ND_FIRST && type <= ND_LAST && pkt->hop_limit == 255)
		return XIPSEC_REASON_ND;
	return GO_ON;
}

/* Hop limit 1: never forwarded (RFC 3810 5). */
static __always_inline enum xipsec_reason pass_mld(const struct pkt *pkt, __u32 allow)
{
	int type = pass_icmp6_type(pkt);

	if (!(allow & XIPSEC_ALLOW_MLD) || pkt->hop_limit != 1)
		return GO_ON;
	if ((type >= MLD_QUERY && type <= MLD_DONE) || type == MLD2_REPORT)
		return XIPSEC_REASON_MLD;
	return GO_ON;
}

/* This host as a DHCP client: `client` and `server` are the ports of its own and the other side. */
static __always_inline enum xipsec_reason pass_dhcp(const struct pkt *pkt, __u32 allow,
						    __u16 client, __u16 server)
{
	int ip6 = pkt->family == XIPSEC_FAMILY_IP6;

	if (!(allow & XIPSEC_ALLOW_DHCP) || pkt->l4_proto != IPPROTO_UDP || pkt->frag)
		return GO_ON;
	if (client == (ip6 ? 546 : 68) && server == (ip6 ? 547 : 67))
		return XIPSEC_REASON_DHCP;
	return GO_ON;
}

#endif
