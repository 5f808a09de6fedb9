/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of the guard on black's egress: the last look at everything that the stack sends to
 * the network that is not trusted. Workers' ESP leaves by AF_XDP and is not seen here.
 */
#ifndef BPF_GUARD_H
#define BPF_GUARD_H

#include "bpf/esp.h"
#include "bpf/pass.h"
#include "bpf/spd.h"

/* Headers are read from the linear part; this much is made linear where less is. Longer chains
 * than that in scattered skbs are dropped as malformed. */
#define GUARD_LINEAR 256U

/* Direction of failure: closed, a pull that fails leaves the header short. */
static __always_inline void guard_load(struct __sk_buff *skb, struct pkt *pkt)
{
	__u32 want = skb->len < GUARD_LINEAR ? skb->len : GUARD_LINEAR;

	if (skb->data_end - skb->data < want)
		bpf_skb_pull_data(skb, want);
	__builtin_memset(pkt, 0, sizeof(*pkt));
	pkt->data = (void *)(long)skb->data;
	pkt->data_end = (void *)(long)skb->data_end;
	pkt->len = skb->len;
}

/* Made by this host, not forwarded. */
static __always_inline int guard_is_own(const struct __sk_buff *skb)
{
	return skb->ingress_ifindex == 0;
}

/* ESP that kernel XFRM made: the destination and SPI of an outbound SA of ours. Any process with
 * CAP_NET_RAW could send that too; nobody without it can. */
static __always_inline enum xipsec_reason guard_esp(const struct pkt *pkt)
{
	const struct xipsec_sad_entry *entry;
	__be32 *spi;

	if (pkt->l4_proto != IPPROTO_ESP || !pkt_has_l4(pkt))
		return GO_ON;
	spi = pkt_l4_at(pkt, 0, 8);
	if (!spi)
		return GO_ON;
	entry = sad_lookup(&pkt->dst, pkt->family, *spi);
	if (!entry || entry->dir != XIPSEC_DIR_OUT || entry->engine != XIPSEC_ENGINE_XFRM)
		return GO_ON;
	return XIPSEC_REASON_ESP_OWN;
}

/* IKE: a port proves nothing (any user may bind 4500 while iked is dead), the mark does. Later
 * fragments inherit the mark of their socket, which is why they may hide the port. */
static __always_inline enum xipsec_reason guard_ike(const struct pkt *pkt, __u32 mark)
{
	if (pkt->l4_proto != IPPROTO_UDP || (pkt->opaque & XIPSEC_OPAQUE_PROTO) ||
	    (mark & XIPSEC_MARK_MASK) != XIPSEC_MARK_OWN)
		return GO_ON;
	if (pkt_has_l4(pkt) && pkt->sport != PORT_IKE && pkt->sport != PORT_NATT)
		return GO_ON;
	return XIPSEC_REASON_IKE_OUT;
}

static __always_inline enum xipsec_reason guard_own(const struct pkt *pkt, __u32 mark)
{
	enum xipsec_reason reason = guard_esp(pkt);

	return reason ? reason : guard_ike(pkt, mark);
}

static __always_inline enum xipsec_reason guard_policy(const struct xipsec_spd *rules,
						       const struct pkt *pkt, int own)
{
	enum spd_verdict verdict;
	__u32 child;

	verdict = spd_lookup(rules, pkt, XIPSEC_DIR_OUT, &child);
	if (verdict == SPD_BYPASS)
		return XIPSEC_REASON_BYPASS_OUT;
	if (verdict == SPD_PROTECT)
		return own ? XIPSEC_REASON_HOST_CLOSED : XIPSEC_REASON_PLAINTEXT_OUT;
	return spd_drop_reason(verdict);
}

#endif
