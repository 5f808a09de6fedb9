/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whom a frame is addressed to at the link layer. XDP runs before the kernel has looked: a
 * promiscuous NIC or a flooding switch hands it what is for others, which the stack would not take.
 */
#ifndef BPF_LINK_H
#define BPF_LINK_H

#include "bpf/parse.h"
#include "xipsec/maps.h"

/* Broadcast and multicast. Direction of failure: yes, which is never steered. */
static __always_inline int link_is_group(const struct pkt *pkt)
{
	__u8 *dst = pkt_at(pkt, 0, ETH_ALEN);

	return !dst || (dst[0] & 1);
}

/* To one of the MACs of `iface`; the first is the interface's own, so the rest is only read for
 * frames that others may take. Direction of failure: no. */
static __always_inline int link_is_own(const struct pkt *pkt, const struct xipsec_iface *iface)
{
	__u16 *dst = pkt_at(pkt, 0, ETH_ALEN);

	if (!dst)
		return 0;
	for (__u32 i = 0; i < XIPSEC_IFACE_MACS; i++) {
		const __u16 *mac = (const __u16 *)iface->mac[i];

		if (i >= iface->n_macs)
			return 0;
		if (dst[0] == mac[0] && dst[1] == mac[1] && dst[2] == mac[2])
			return 1;
	}
	return 0;
}

#endif
