/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a first fragment showed that passed, for those that come after it and hide their ports (RFC
 * 4301 7.4). Kept for FRAGS_AGE: each of them gets what the SPD in force says of the first one. So
 * a change of the SPD costs no datagram a piece, and no piece gets a verdict of before. A later
 * fragment that comes before its first is judged by what it shows. Direction of failure: closed, an
 * entry that is lost (the map is an LRU) leaves the later fragments to that judgement too.
 *
 * A sender may put what it likes behind a first fragment that passes: it is the receiver who puts
 * them together, by the first one's header. So nothing passes by an entry that the first fragment's
 * own header did not stand for.
 */
#ifndef BPF_FRAGS_H
#define BPF_FRAGS_H

#include "bpf/esp.h"
#include "bpf/flow_cache.h"
#include "bpf/maps.h"
#include "bpf/meta.h"
#include "bpf/spd.h"

#define FRAGS_AGE 2000000000ULL /* ns; IPv4 IDs come round again */

/*
 * What the stack keeps of datagrams that are not whole yet is bounded: by 4 MB for each family
 * (net.ipv4.ipfrag_high_thresh, net.ipv6.ip6frag_high_thresh), for 30 s (IPv4) or 60 s (IPv6); when
 * it is full, nothing new is put together, the ESP of peers neither. So what goes up without an SA
 * that stands for it is counted. IKE gives nothing back when a datagram is whole: nobody sees here
 * that it is. The counts begin anew with each window of 34 s, of which 60 s touch three at most. A
 * unit is a piece of up to 2 KB, for which a driver takes a page at most and an skb 256 bytes; a
 * longer one costs one more for each 2 KB:
 *
 *	3 windows * (96 + 64 + 64) units * 4352 bytes = 2.8 MB
 *
 * The other third is for what an SA stands for, whose pieces come in order and stay no time. Nobody
 * can send a first one of these without having seen an SPI. The twin of explain.h has counts of its
 * own, all 0: it tells what happens within them.
 */
#define FRAGS_EARLY_MAX 96 /* units that wait for their first one */
#define FRAGS_IKE_MAX   64 /* of IKE: of strangers, and as many of peers */
#define FRAGS_WINDOW    35 /* 2^n ns */
#define FRAGS_UNIT      2048
#define FRAGS_EARLY_AGE 60000000000ULL /* ns */

enum frags_budget {
	FRAGS_IKE_STRANGERS = 0,
	FRAGS_IKE_PEERS = 1,
	FRAGS_EARLY,
	FRAGS_BUDGETS,
};

__u64 frags_window; /* number of the one that is counted */
__u32 frags_waiting[FRAGS_BUDGETS];

static __always_inline int frag_is_first(const struct pkt *pkt)
{
	return (pkt->frag & (PKT_FRAG_PART | PKT_FRAG_LATER)) == PKT_FRAG_PART;
}

/* Over IPv6 a later fragment may show another protocol than the first; the ID alone counts there
 * (RFC 8200 4.5). */
static __always_inline void frag_key_of(const struct xipsec_flow *flow, __be32 id, __u32 ifindex,
					struct xipsec_frag_key *key)
{
	int out = flow->dir == XIPSEC_DIR_OUT;

	__builtin_memset(key, 0, sizeof(*key));
	key->src = out ? flow->local : flow->remote;
	key->dst = out ? flow->remote : flow->local;
	key->id = id;
	key->ifindex = ifindex;
	key->family = flow->family;
	key->l4_proto = flow->family == XIPSEC_FAMILY_IP4 ? flow->l4_proto : 0;
	key->dir = flow->dir;
}

static __always_inline void frag_key(const struct pkt *pkt, __u32 ifindex, __u32 dir,
				     struct xipsec_frag_key *key)
{
	struct xipsec_flow flow;

	spd_flow(pkt, dir, &flow);
	frag_key_of(&flow, pkt->frag_id, ifindex, key);
}

/* Of a flow and its datagram: an entry that is half another's fails it. */
static __always_inline __u32 frag_check(const struct xipsec_flow *flow, __be32 id)
{
	return (__u32)flow_hash(flow) ^ id * 0x9e3779b1U;
}

/* What the first fragment of this later one came to; NULL: not known, or not any more. */
static __always_inline const struct xipsec_frag *frag_find(const struct pkt *pkt, __u32 ifindex,
							   __u32 dir)
{
	const struct xipsec_frag *frag;
	struct xipsec_frag_key key;

	if (!(pkt->frag & PKT_FRAG_LATER))
		return NULL;
	frag_key(pkt, ifindex, dir, &key);
	frag = bpf_map_lookup_elem(&frags, &key);
	if (!frag || bpf_ktime_get_ns() - frag->seen > FRAGS_AGE)
		return NULL;
	return frag;
}

static __always_inline void frag_put(const struct xipsec_frag_key *key, struct xipsec_frag *frag)
{
	frag->seen = bpf_ktime_get_ns();
	bpf_map_update_elem(&frags, key, frag, BPF_ANY);
}

/* A verdict that no rule is asked about. */
static __always_inline void frag_keep(const struct pkt *pkt, __u32 ifindex, __u32 dir,
				      enum xipsec_frag_verdict verdict, __u32 n)
{
	struct xipsec_frag_key key;
	struct xipsec_frag frag;

	if (explain)
		return;
	frag_key(pkt, ifindex, dir, &key);
	__builtin_memset(&frag, 0, sizeof(frag));
	frag.verdict = verdict;
	frag.n = n;
	frag_put(&key, &frag);
}

/* ------------------------------------------------------------------ by the SPD */

/* A first fragment that passes (`frag`: PKT_FRAG_*): later ones will be asked about as this one.
 * Global, as spd_classify() is, and with a stack of its own. */
__noinline int frag_passes(const struct xipsec_flow *flow, __be32 id, __u32 ifindex, __u32 frag,
			   const struct spd_found *found)
{
	struct xipsec_frag_key key;
	struct xipsec_frag first;

	if (explain || !flow || !found ||
	    (frag & (PKT_FRAG_PART | PKT_FRAG_LATER)) != PKT_FRAG_PART)
		return 0;
	if (found->verdict != SPD_BYPASS &&
	    (found->verdict != SPD_PROTECT || flow->dir != XIPSEC_DIR_OUT))
		return 0;
	frag_key_of(flow, id, ifindex, &key);
	__builtin_memset(&first, 0, sizeof(first));
	first.verdict = XIPSEC_FRAG_ASK;
	first.flow = *flow;
	first.check = frag_check(flow, id);
	frag_put(&key, &first);
	return 0;
}

/* 1: this is a later fragment, its first one passed when it came, and the flow of that one stands
 * in the place of its own. The entry may become another datagram's while it is read: what is half
 * of one is none. Global, as above. */
__noinline int frag_follow(struct xipsec_flow *flow, __be32 id, __u32 ifindex, __u32 frag)
{
	const struct xipsec_frag *first;
	struct xipsec_frag_key key;
	struct xipsec_flow its;

	if (!flow || !(frag & PKT_FRAG_LATER))
		return 0;
	frag_key_of(flow, id, ifindex, &key);
	first = bpf_map_lookup_elem(&frags, &key);
	if (!first || first->verdict != XIPSEC_FRAG_ASK ||
	    bpf_ktime_get_ns() - first->seen > FRAGS_AGE)
		return 0;
	its = first->flow;
	if (first->check != frag_check(&its, id))
		return 0;
	*flow = its;
	if (explain)
		way_note.flags |= XIPSEC_WAY_FOLLOWED;
	return 1;
}

/* What the SPD says of a packet, and of a later fragment what it says of its first one. Where rules
 * ask for what hides its ports, these come before that, in their order. The hit is counted. */
static __always_inline enum spd_verdict frag_lookup(const struct xipsec_spd *rules,
						    const struct pkt *pkt, __u32 ifindex, __u32 dir,
						    struct spd_found *found)
{
	struct xipsec_flow flow;

	spd_flow(pkt, dir, &flow);
	if (!rules->opaque)
		frag_follow(&flow, pkt->frag_id, ifindex, pkt->frag);
	flow_classify(rules, &flow, found);
	if (found->verdict == SPD_OPAQUE && rules->opaque &&
	    frag_follow(&flow, pkt->frag_id, ifindex, pkt->frag)) {
		way_set(pkt, maybe, 0);
		flow_classify(rules, &flow, found);
	}
	frag_passes(&flow, pkt->frag_id, ifindex, pkt->frag, found);
	hit_count(found->rule, pkt->len);
	way_found(pkt, dir, found);
	return found->verdict;
}

/* ------------------------------------------------------------------ fragments of IPsec to us */

/* Does anybody read what the stack puts together? Worker and xipsecd hold those sockets as they
 * hold the queue's; with nobody, the stack would answer "protocol unreachable". */
static __always_inline int frag_is_awaited(const struct pkt *pkt, const struct xipsec_iface *iface)
{
	__u32 key = iface->slot * XIPSEC_QUEUES_MAX + pkt->queue;

	return pkt->queue < XIPSEC_QUEUES_MAX && bpf_map_lookup_elem(&xsks, &key);
}

static __always_inline __u32 frag_units(const struct pkt *pkt)
{
	return 1 + pkt->len / FRAGS_UNIT;
}

/* Two CPUs that begin a window at once may count a few anew, and let one each too many up: no harm.
 */
static __always_inline int frag_may_wait(const struct pkt *pkt, enum frags_budget budget, __u32 max)
{
	__u64 window = bpf_ktime_get_ns() >> FRAGS_WINDOW;
	__u32 units = frag_units(pkt);

	if (frags_window != window) {
		if (explain)
			return 1;
		frags_window = window;
		for (int i = 0; i < FRAGS_BUDGETS; i++)
			frags_waiting[i] = 0;
	}
	if (frags_waiting[budget] + units > max)
		return 0;
	if (!explain)
		__sync_fetch_and_add(&frags_waiting[budget], units);
	return 1;
}

/* Is an inbound SA by this protocol from and to these addresses? */
static __always_inline int frag_has_sa(const struct pkt *pkt, __u8 l4_proto)
{
	struct xipsec_peer_key key;

	__builtin_memset(&key, 0, sizeof(key));
	key.src = pkt->src;
	key.dst = pkt->dst;
	key.family = pkt->family;
	key.l4_proto = l4_proto;
	return bpf_map_lookup_elem(&peers, &key) != NULL;
}

/* IKE says where it comes from, and nothing else that could be looked up. Who does not know of
 * whom we have SAs takes nothing away from these. */
static __always_inline enum frags_budget frag_ike_budget(const struct pkt *pkt)
{
	return frag_has_sa(pkt, IPPROTO_UDP) || frag_has_sa(pkt, IPPROTO_ESP) ||
			       frag_has_sa(pkt, IPPROTO_AH)
		       ? FRAGS_IKE_PEERS
		       : FRAGS_IKE_STRANGERS;
}

/* A first fragment: of ESP or AH of a live SA, or of IKE. GO_ON: none of these. */
static __always_inline enum xipsec_reason frag_ipsec_seen(const struct pkt *pkt,
							  const struct esp_seen *seen)
{
	const struct xipsec_sad_entry *entry;

	if (seen->form == ESP_FORM_IKE)
		return XIPSEC_REASON_REASSEMBLE;
	if (seen->form != ESP_FORM_PLAIN && seen->form != ESP_FORM_UDP && seen->form != ESP_FORM_AH)
		return GO_ON;
	entry = sad_lookup(&pkt->dst, pkt->family, seen->spi,
			   seen->form == ESP_FORM_AH ? IPPROTO_AH : IPPROTO_ESP);
	if (!entry || entry->dir != XIPSEC_DIR_IN || sad_refuses(entry, seen->form == ESP_FORM_UDP))
		return XIPSEC_REASON_NO_SA;
	way_sa(pkt, entry);
	return XIPSEC_REASON_REASSEMBLE;
}

/* What was kept of a datagram of which pieces came before the first; NULL: nothing. Whatever the
 * SPD is by now: they are with the stack. */
static __always_inline struct xipsec_frag *frag_early(const struct pkt *pkt)
{
	struct xipsec_frag *frag;
	struct xipsec_frag_key key;

	frag_key(pkt, pkt->ifindex, XIPSEC_DIR_IN, &key);
	frag = bpf_map_lookup_elem(&frags, &key);
	if (!frag || frag->verdict != XIPSEC_FRAG_EARLY ||
	    bpf_ktime_get_ns() - frag->seen > FRAGS_EARLY_AGE)
		return NULL;
	return frag;
}

/* Units of this first one's datagram that went before it. For the verifier: any number. */
static __always_inline __u32 frag_early_count(const struct pkt *pkt)
{
	const struct xipsec_frag *early = frag_early(pkt);
	__u32 n = early ? early->n : 0;

	return n ^ blind_zero(pkt->len);
}

/* Its first one has come, with an SA that stands for it. */
static __always_inline void frag_early_done(__u32 n)
{
	if (!explain && n && n <= FRAGS_EARLY_MAX && frags_waiting[FRAGS_EARLY] >= n)
		__sync_fetch_and_add(&frags_waiting[FRAGS_EARLY], -n);
}

static __always_inline void frag_early_keep(const struct pkt *pkt)
{
	const __u32 units = frag_units(pkt);
	struct xipsec_frag *early = frag_early(pkt);

	if (early && !explain)
		__sync_fetch_and_add(&early->n, units);
	if (!early)
		frag_keep(pkt, pkt->ifindex, XIPSEC_DIR_IN, XIPSEC_FRAG_EARLY, units);
}

/*
 * A later fragment to this host before its first, of ESP, AH or UDP that no rule bypasses: up to
 * the stack too, while an inbound SA is from and to these addresses by this protocol, and few wait.
 * What the stack makes of it is what a first fragment says that frag_ipsec() has let up behind it,
 * or nothing; a first one of anything else does not pass any more (RFC 4301 7.4: no rule was asked
 * about these pieces).
 */
static __always_inline enum xipsec_reason frag_ipsec_early(const struct pkt *pkt,
							   const struct xipsec_iface *iface)
{
	const struct xipsec_frag *frag = frag_find(pkt, pkt->ifindex, XIPSEC_DIR_IN);

	/* Its first one has passed, by a rule that has changed since. */
	if (frag && frag->verdict == XIPSEC_FRAG_ASK)
		return XIPSEC_REASON_REASSEMBLY_CLOSED;
	if (!frag_has_sa(pkt, pkt->l4_proto))
		return XIPSEC_REASON_REASSEMBLY_CLOSED;
	if (!frag_is_awaited(pkt, iface))
		return XIPSEC_REASON_NO_WORKER;
	if (!frag_may_wait(pkt, FRAGS_EARLY, FRAGS_EARLY_MAX))
		return XIPSEC_REASON_REASSEMBLY_CLOSED;
	frag_early_keep(pkt);
	return XIPSEC_REASON_REASSEMBLE;
}

/* A first one. IKE does not give back what waited for it: anybody could say that it has come. */
static __always_inline enum xipsec_reason frag_ipsec_first(const struct pkt *pkt,
							   const struct xipsec_iface *iface,
							   const struct esp_seen *seen)
{
	enum xipsec_frag_verdict told = XIPSEC_FRAG_REASSEMBLE;
	__u32 budget = 0, early = frag_early_count(pkt);
	enum xipsec_reason reason = frag_ipsec_seen(pkt, seen);

	if (reason == GO_ON && early)
		return XIPSEC_REASON_REASSEMBLY_CLOSED;
	if (reason != XIPSEC_REASON_REASSEMBLE)
		return reason;
	if (!frag_is_awaited(pkt, iface))
		return XIPSEC_REASON_NO_WORKER;
	if (seen->form == ESP_FORM_IKE) {
		told = XIPSEC_FRAG_IKE;
		budget = frag_ike_budget(pkt);
		if (!frag_may_wait(pkt, budget & FRAGS_IKE_PEERS, FRAGS_IKE_MAX))
			return XIPSEC_REASON_REASSEMBLY_CLOSED;
	} else {
		frag_early_done(early);
	}
	frag_keep(pkt, pkt->ifindex, XIPSEC_DIR_IN, told, budget);
	return reason;
}

/* A later one whose first went up. */
static __always_inline enum xipsec_reason frag_ipsec_later(const struct pkt *pkt,
							   const struct xipsec_iface *iface,
							   const struct xipsec_frag *frag)
{
	way_flag(pkt, XIPSEC_WAY_FOLLOWED);
	if (!frag_is_awaited(pkt, iface))
		return XIPSEC_REASON_NO_WORKER;
	if (frag->verdict == XIPSEC_FRAG_IKE &&
	    !frag_may_wait(pkt, frag->n & FRAGS_IKE_PEERS, FRAGS_IKE_MAX))
		return XIPSEC_REASON_REASSEMBLY_CLOSED;
	return XIPSEC_REASON_REASSEMBLE;
}

/* Fragments to this host that are parts of ESP, AH or IKE, plain or in UDP: up to the stack, which
 * puts them together for kernel XFRM, whose SA it is, or for xipsecd's sockets. GO_ON: none, as far
 * as it shows. */
static __always_inline enum xipsec_reason frag_ipsec(const struct pkt *pkt,
						     const struct xipsec_iface *iface,
						     const struct esp_seen *seen)
{
	const struct xipsec_frag *frag;

	if (!(pkt->frag & PKT_FRAG_PART))
		return GO_ON;
	if (frag_is_first(pkt))
		return frag_ipsec_first(pkt, iface, seen);
	frag = frag_find(pkt, pkt->ifindex, XIPSEC_DIR_IN);
	if (frag && (frag->verdict == XIPSEC_FRAG_REASSEMBLE || frag->verdict == XIPSEC_FRAG_IKE))
		return frag_ipsec_later(pkt, iface, frag);
	/* Of a datagram whose first one passed by a rule: as that one. */
	if ((frag && frag->verdict != XIPSEC_FRAG_EARLY) || (pkt->opaque & XIPSEC_OPAQUE_PROTO))
		return GO_ON;
	if (pkt->l4_proto != IPPROTO_ESP && pkt->l4_proto != IPPROTO_AH)
		return GO_ON;
	return XIPSEC_REASON_REASSEMBLY_CLOSED; /* unless frag_ipsec_early() knows better */
}

#endif
