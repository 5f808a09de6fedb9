/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The steps of the guard on black's egress: the last look at everything that the stack sends to
 * the network that is not trusted. Workers' ESP leaves by AF_XDP and is not seen here.
 */
#ifndef BPF_GUARD_H
#define BPF_GUARD_H

#include "bpf/errors.h"
#include "bpf/esp.h"
#include "bpf/pass.h"
#include "bpf/sample.h"
#include "bpf/frags.h"
#include "bpf/spd.h"
#include "xipsec/meta.h"

/* Made by this host, not forwarded. */
static __always_inline int guard_is_own(const struct __sk_buff *skb)
{
	return skb->ingress_ifindex == 0;
}

/* Of what was forwarded: where it came in; of our own: where it goes out. The VLANs of an interface
 * are that interface. 0: one that has no role, such as the bridge that it was put into. A function
 * of its own for the verifier, which would follow all that comes next once for each of its ends. */
__noinline int guard_dev(struct __sk_buff *skb)
{
	__u32 ifindex = skb->ingress_ifindex ? skb->ingress_ifindex : skb->ifindex;
	const struct xipsec_iface *iface = bpf_map_lookup_elem(&ifaces, &ifindex);

	return iface ? iface->dev : 0;
}

/* ESP or AH that kernel XFRM made: the destination and SPI of an outbound SA of ours, and its
 * source, which the stack takes from nobody outside. Any process with CAP_NET_RAW could send that
 * too; nobody without it can. In UDP any process could, while nobody holds port 4500: so the mark
 * is asked for that XFRM's policies want, which takes a privilege as well. */
static __always_inline enum xipsec_reason guard_esp(const struct pkt *pkt, __u32 mark)
{
	const struct xipsec_sad_entry *entry;
	int udp = pkt->l4_proto == IPPROTO_UDP && pkt->sport == PORT_NATT &&
		  (mark & XIPSEC_MARK_MASK) == XIPSEC_MARK_XFRM;
	__u32 at = udp ? 8 : pkt->l4_proto == IPPROTO_AH ? 4 : 0;
	__be32 *spi;

	if ((pkt->l4_proto != IPPROTO_ESP && pkt->l4_proto != IPPROTO_AH && !udp) ||
	    !pkt_has_l4(pkt))
		return GO_ON;
	spi = pkt_l4_at(pkt, at, 8);
	if (!spi)
		return GO_ON;
	entry = sad_lookup(&pkt->dst, pkt->family, *spi, udp ? IPPROTO_ESP : pkt->l4_proto);
	if (!entry || !!entry->udp != udp || entry->dir != XIPSEC_DIR_OUT ||
	    entry->engine != XIPSEC_ENGINE_XFRM ||
	    entry->xfrm != pkt->src.word[pkt->family == XIPSEC_FAMILY_IP6 ? 3 : 0])
		return GO_ON;
	way_sa(pkt, entry);
	return XIPSEC_REASON_ESP_OWN;
}

/* The stack may cut what XFRM made. What is not the first piece passes behind one that did; all of
 * them carry the mark of the packet. */
static __always_inline enum xipsec_reason guard_part(const struct pkt *pkt, __u32 ifindex,
						     __u32 mark, enum xipsec_reason reason)
{
	const struct xipsec_frag *frag;

	if (!(pkt->frag & PKT_FRAG_PART) || (mark & XIPSEC_MARK_MASK) != XIPSEC_MARK_XFRM)
		return reason;
	if (reason == XIPSEC_REASON_ESP_OWN && frag_is_first(pkt))
		frag_keep(pkt, ifindex, XIPSEC_DIR_OUT, XIPSEC_FRAG_OWN, 0);
	if (reason)
		return reason;
	frag = frag_find(pkt, ifindex, XIPSEC_DIR_OUT);
	return frag && frag->verdict == XIPSEC_FRAG_OWN ? XIPSEC_REASON_ESP_OWN : GO_ON;
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
	enum xipsec_reason reason = guard_esp(pkt, mark);

	return reason ? reason : guard_ike(pkt, mark);
}

/*
 * To a worker through the TAP of xipsecd, whole: in pieces or with a checksum left open, as the
 * stack made it. The verdict stands in the MAC bytes, which nobody needs any more. Packet pointers
 * are dead afterwards. Direction of failure: closed. A TAP that nobody reads drops what is sent
 * into it. It outlives a death of xipsecd, so its index cannot become another's meanwhile.
 */
static __always_inline enum xipsec_reason guard_protect(struct __sk_buff *skb,
							const struct pkt *pkt, __u32 spd_generation,
							__u32 child_id)
{
	const struct xipsec_child *child = bpf_map_lookup_elem(&children, &child_id);
	const struct xipsec_globals *known;
	struct xipsec_tap_meta verdict;
	__u32 zero = 0, tap;

	way_child(pkt, child_id, child);
	if (!child || child->sa_generation == 0) {
		sample_acquire_tc(skb, pkt, child_id);
		return XIPSEC_REASON_NO_SA_OUT;
	}
	/* The kernel's policies would have sealed it: they do not cover it, or are gone. */
	if (child->engine != XIPSEC_ENGINE_AFXDP)
		return XIPSEC_REASON_PLAINTEXT_OUT;
	known = bpf_map_lookup_elem(&globals, &zero);
	tap = known ? known->tap_ifindex : 0;
	if (!tap)
		return XIPSEC_REASON_HOST_CLOSED;
	if (explain)
		return XIPSEC_REASON_HOST_OUT;
	verdict.sa_index = child->sa_index | XIPSEC_TAP_MARK;
	verdict.sa_generation = child->sa_generation;
	verdict.spd_generation = spd_generation;
	if (bpf_skb_store_bytes(skb, 0, &verdict, sizeof(verdict), 0) ||
	    bpf_redirect(tap, 0) != TC_ACT_REDIRECT)
		return XIPSEC_REASON_HOST_CLOSED;
	return XIPSEC_REASON_HOST_OUT;
}

static __always_inline enum xipsec_reason guard_policy(struct __sk_buff *skb,
						       const struct xipsec_spd *rules,
						       const struct pkt *pkt, int own)
{
	enum spd_verdict verdict;
	struct spd_found found;

	verdict = frag_lookup(rules, pkt, skb->ifindex, XIPSEC_DIR_OUT, &found);
	if (verdict == SPD_NONE)
		verdict = error_lookup(rules, pkt, &found);
	if (verdict == SPD_BYPASS)
		return XIPSEC_REASON_BYPASS_OUT;
	if (verdict != SPD_PROTECT)
		return spd_drop_reason(verdict);
	return own ? guard_protect(skb, pkt, found.generation, found.child)
		   : XIPSEC_REASON_PLAINTEXT_OUT;
}

#endif
