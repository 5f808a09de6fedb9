// SPDX-License-Identifier: BSD-2-Clause
/*
 * The five programs. Each entry point decides on one reason and counts it; the action follows from
 * the reason's kind (count.h). Programs that read a table of contents: the steps are in the
 * headers.
 *
 *	xipsec_red      XDP on protected interfaces     what leaves by black: SPD-O
 *	xipsec_black    XDP on unprotected interfaces   ESP to workers, plaintext: SPD-I
 *	xipsec_redtc    TC ingress of protected ones    what XDP did not see: the same steps
 *	xipsec_blacktc  TC ingress of unprotected ones  what XDP did not see: the same steps
 *	xipsec_guard    TC egress of unprotected ones   the stack's own traffic: SPD-O
 *
 * The steps of red and black serve XDP and the TC program behind it (behind.h): `ctx` is an xdp_md
 *or an sk_buff, as `hook` says, a constant.
 */
#include "bpf/maps.h"
#include "bpf/explain.h"
#include "bpf/count.h"
#include "bpf/parse.h"
#include "bpf/link.h"
#include "bpf/pass.h"
#include "bpf/spd.h"
#include "bpf/sad.h"
#include "bpf/fib.h"
#include "bpf/meta.h"
#include "bpf/esp.h"
#include "bpf/frags.h"
#include "bpf/pmtu.h"
#include "bpf/sample.h"
#include "bpf/guard.h"
#include "bpf/behind.h"

/* bpf_fib_lookup is for GPL-compatible programs. */
char LICENSE[] SEC("license") = "Dual BSD/GPL";

/*
 * How libxdp's dispatcher orders programs on one interface: it reads this from our BTF, and so does
 * every tool that rebuilds the dispatcher later. We run before those that nobody has ordered (50)
 * and before xdp-filter (10); what we pass goes on to them, our drops and redirects end the chain.
 */
struct {
	__uint(priority, 1);
	__uint(XDP_PASS, 1);
} _xipsec_red SEC(".xdp_run_config"), _xipsec_black SEC(".xdp_run_config");

static __always_inline void xdp_load(struct xdp_md *ctx, struct pkt *pkt)
{
	__builtin_memset(pkt, 0, sizeof(*pkt));
	pkt->data = (void *)(long)ctx->data;
	pkt->data_end = (void *)(long)ctx->data_end;
	pkt->len = bpf_xdp_get_buff_len(ctx);
	pkt->ifindex = ctx->ingress_ifindex;
	pkt->queue = ctx->rx_queue_index;
	way_start();
}

static __always_inline const struct xipsec_iface *iface_of(__u32 ifindex, __u32 role)
{
	const struct xipsec_iface *iface = bpf_map_lookup_elem(&ifaces, &ifindex);

	return iface && iface->role == role ? iface : NULL;
}

/*
 * What is left to do with a packet is the same for every reason. The verifier would follow it once
 * for each reason and each way to it, so what it knows of them is taken from it here. Packet
 * pointers are dead afterwards.
 */
static __always_inline __u32 decided(struct pkt *pkt, __u32 reason)
{
	pkt->data = NULL;
	pkt->data_end = NULL;
	return reason ^ blind_zero(pkt->len);
}

/* ------------------------------------------------------------------ red */

/* The policy says PROTECT: to the worker of the child's SA. Direction of failure: closed, without
 * an SA or with an engine that is not there the packet ends. */
static __always_inline enum xipsec_reason red_protect(void *ctx, enum hook hook, struct pkt *pkt,
						      const struct xipsec_iface *iface,
						      __u32 spd_generation, __u32 child_id)
{
	const struct xipsec_child *child = bpf_map_lookup_elem(&children, &child_id);
	struct xipsec_meta verdict;

	way_child(pkt, child_id, child);
	if (!child || child->sa_generation == 0) {
		if (hook == HOOK_XDP)
			sample_acquire_xdp(ctx, pkt, child_id);
		else
			sample_acquire_tc(ctx, pkt, child_id);
		return XIPSEC_REASON_NO_SA_OUT;
	}
	if (child->engine == XIPSEC_ENGINE_XFRM) {
		pkt->mark = XIPSEC_MARK_XFRM | child_id;
		return XIPSEC_REASON_XFRM_OUT;
	}
	if (child->engine != XIPSEC_ENGINE_AFXDP)
		return XIPSEC_REASON_ENGINE_CLOSED;
	if (hook != HOOK_XDP)
		return XIPSEC_REASON_NO_XDP;
	__builtin_memset(&verdict, 0, sizeof(verdict));
	verdict.dir = XIPSEC_DIR_OUT;
	verdict.sa_index = child->sa_index;
	verdict.sa_generation = child->sa_generation;
	verdict.spd_generation = spd_generation;
	verdict.l4_off = pkt_has_l4(pkt) ? pkt->l4_off : 0;
	verdict.reason = XIPSEC_REASON_STEER_OUT;
	return steer(ctx, pkt, iface, &verdict);
}

/* Direction of failure: closed for all that leaves by black; what does not is the stack's. The
 * stack cannot forward what is not IP, and the guard drops it on black. */
static __always_inline enum xipsec_reason red_reason(void *ctx, enum hook hook, struct pkt *pkt)
{
	const struct xipsec_iface *iface = iface_of(pkt->ifindex, XIPSEC_ROLE_PROTECTED);
	const struct xipsec_spd *rules;
	enum xipsec_reason reason;
	struct spd_found found;
	enum spd_verdict verdict;
	enum fib_way way;

	if (!iface)
		return XIPSEC_REASON_NO_IFACE;
	pkt->dev = iface->dev;
	reason = parse_frame(pkt, hook == HOOK_TC ? tags_taken(ctx) : 0);
	if (reason)
		return reason;
	reason = pass_link(pkt);
	if (reason)
		return reason;
	if (pkt->family == XIPSEC_FAMILY_ANY)
		return XIPSEC_REASON_NOT_OUTBOUND;
	way = fib_way_out(ctx, pkt);
	if (way == FIB_ELSEWHERE)
		return XIPSEC_REASON_NOT_OUTBOUND;
	/* Another gateway's, or a broadcast: the stack would not forward it either. What does not
	 * leave by black stays the stack's, for a bridge or the containers above this interface. */
	if (way == FIB_BLACK && !link_is_own(pkt, iface))
		return XIPSEC_REASON_FOREIGN_MAC;
	rules = spd_current();
	if (!rules)
		return XIPSEC_REASON_NO_SPD;
	verdict = frag_lookup(rules, pkt, pkt->ifindex, XIPSEC_DIR_OUT, &found);
	if (verdict == SPD_NONE && way == FIB_BLACK)
		verdict = error_lookup(rules, pkt, &found);
	/* No guard stands there: what a rule says must be ESP or must not go does not go; what no
	 * rule speaks of is between the networks that have no role. */
	if (way == FIB_UNKNOWN && verdict == SPD_PROTECT)
		return XIPSEC_REASON_PLAINTEXT_OUT;
	if (way == FIB_UNKNOWN && (verdict == SPD_BYPASS || verdict == SPD_NONE))
		return XIPSEC_REASON_NOT_OUTBOUND;
	if (verdict == SPD_BYPASS)
		return XIPSEC_REASON_BYPASS_OUT;
	if (verdict == SPD_PROTECT)
		return red_protect(ctx, hook, pkt, iface, found.generation, found.child);
	return spd_drop_reason(verdict);
}

SEC("xdp.frags")
int xipsec_red(struct xdp_md *ctx)
{
	struct pkt pkt;
	__u32 reason;

	xdp_load(ctx, &pkt);
	reason = decided(&pkt, red_reason(ctx, HOOK_XDP, &pkt));
	if (explain)
		return explain_xdp(ctx, &pkt, reason);
	sample_xdp(ctx, &pkt, reason);
	if (reason == XIPSEC_REASON_XFRM_OUT)
		behind_mark_xfrm(ctx, pkt.mark);
	else
		behind_mark(ctx, reason);
	return xdp_finish(reason, pkt.len);
}

/* ------------------------------------------------------------------ black */

/*
 * Kernel XFRM opens where a packet goes up. One SA's packets stay on one CPU, so in order, whatever
 * queue they came by; that of many SAs is spread. Which CPU is xipsecd's choice, for the SAs are
 * its. The frame loses its metadata on the way, so TC judges it there, once more and the same.
 * Without that CPU it goes up here; so it does from libxdp's dispatcher: the kernel lends a CPUMAP
 * to programs of one kind, and an extension is of another.
 */
const volatile __u32 spreads = 1;

static __always_inline enum xipsec_reason spread(const struct xipsec_sad_entry *entry)
{
	__u32 cpu = entry->xfrm;

	if (!spreads || !cpu)
		return XIPSEC_REASON_XFRM_IN;
	if (explain)
		return XIPSEC_REASON_XFRM_SPREAD;
	return bpf_redirect_map(&cpus, cpu - 1, XDP_PASS) == XDP_REDIRECT
		       ? XIPSEC_REASON_XFRM_SPREAD
		       : XIPSEC_REASON_XFRM_IN;
}

/* ESP or AH that could be ours: to the worker of its SA. GO_ON: no SA has this destination and SPI.
 * Direction of failure: closed. */
static __always_inline enum xipsec_reason black_esp(void *ctx, enum hook hook,
						    const struct pkt *pkt,
						    const struct xipsec_iface *iface,
						    __u32 spd_generation,
						    const struct esp_seen *seen)
{
	const struct xipsec_sad_entry *entry;
	struct xipsec_meta verdict;
	int udp = seen->form == ESP_FORM_UDP;

	if ((pkt->frag & PKT_FRAG_PART) ||
	    (!udp && seen->form != ESP_FORM_PLAIN && seen->form != ESP_FORM_AH))
		return GO_ON;
	entry = sad_lookup(&pkt->dst, pkt->family, seen->spi,
			   seen->form == ESP_FORM_AH ? IPPROTO_AH : IPPROTO_ESP);
	if (!entry || entry->dir != XIPSEC_DIR_IN)
		return GO_ON;
	way_sa(pkt, entry);
	if (sad_refuses(entry, udp))
		return XIPSEC_REASON_NO_SA;
	if (link_is_group(pkt))
		return XIPSEC_REASON_FOREIGN_MAC;
	if (entry->engine == XIPSEC_ENGINE_XFRM)
		return hook == HOOK_XDP ? spread(entry) : XIPSEC_REASON_XFRM_IN;
	if (entry->engine != XIPSEC_ENGINE_AFXDP)
		return XIPSEC_REASON_ENGINE_CLOSED;
	if (hook != HOOK_XDP)
		return XIPSEC_REASON_NO_XDP;
	__builtin_memset(&verdict, 0, sizeof(verdict));
	verdict.dir = XIPSEC_DIR_IN;
	verdict.sa_index = entry->sa_index;
	verdict.sa_generation = entry->sa_generation;
	verdict.spd_generation = spd_generation;
	verdict.reason = udp ? XIPSEC_REASON_STEER_UDP_IN : XIPSEC_REASON_STEER_IN;
	verdict.l4_off = seen->esp_off;
	return steer(ctx, pkt, iface, &verdict);
}

/* Whole packets of IPsec to this host that no SA took. GO_ON: plaintext. */
static __always_inline enum xipsec_reason black_local(const struct pkt *pkt,
						      const struct esp_seen *seen)
{
	const struct xipsec_sad_entry *entry;
	struct quote quote;

	switch (pkt->frag & PKT_FRAG_PART ? ESP_FORM_NONE : seen->form) {
	case ESP_FORM_PLAIN:
	case ESP_FORM_AH:
	case ESP_FORM_UDP: return XIPSEC_REASON_NO_SA;
	case ESP_FORM_KEEPALIVE: return XIPSEC_REASON_NAT_KEEPALIVE;
	case ESP_FORM_IKE: return XIPSEC_REASON_IKE_IN;
	}
	if (pkt->l4_proto == IPPROTO_AH && !(pkt->frag & PKT_FRAG_PART))
		return XIPSEC_REASON_NO_SA;
	entry = quoted_sa(pkt, &quote);
	if (entry && entry->engine == XIPSEC_ENGINE_XFRM)
		return XIPSEC_REASON_XFRM_IN;
	return entry ? pmtu_learn(pkt, &quote, entry) : GO_ON;
}

/* A later fragment of UDP hides its ports: it may be IKE or ESP in UDP. */
static __always_inline int black_is_udp_part(const struct pkt *pkt)
{
	return pkt->l4_proto == IPPROTO_UDP && !(pkt->opaque & XIPSEC_OPAQUE_PROTO) &&
	       !pkt_has_l4(pkt);
}

static __always_inline enum xipsec_reason black_plaintext(const struct xipsec_spd *rules,
							  const struct pkt *pkt, int local)
{
	enum spd_verdict verdict;
	struct spd_found found;

	verdict = frag_lookup(rules, pkt, pkt->ifindex, XIPSEC_DIR_IN, &found);
	/* RFC 4301 5.2: what came out of an SA is what its child's policies say. */
	if (pkt->opened)
		return verdict == SPD_PROTECT && found.child + 1 == pkt->opened
			       ? XIPSEC_REASON_XFRM_OPENED
			       : XIPSEC_REASON_SELECTOR;
	if (verdict == SPD_BYPASS)
		return XIPSEC_REASON_BYPASS_IN;
	if (local && black_is_udp_part(pkt))
		return XIPSEC_REASON_REASSEMBLY_CLOSED;
	if (verdict == SPD_PROTECT)
		return XIPSEC_REASON_PLAINTEXT_IN;
	return spd_drop_reason(verdict);
}

/* What is ESP, AH, IKE or a built-in pass. GO_ON: plaintext; *local: to this host. */
static __always_inline enum xipsec_reason black_ipsec(void *ctx, enum hook hook,
						      const struct pkt *pkt,
						      const struct xipsec_iface *iface,
						      const struct xipsec_spd *rules, int *local)
{
	enum xipsec_reason reason;
	struct esp_seen seen;

	esp_look(pkt, &seen);
	way_set(pkt, spi, seen.spi);
	reason = black_esp(ctx, hook, pkt, iface, rules->generation, &seen);
	if (reason)
		return reason;
	reason = pass_mld(pkt, rules->allow);
	if (reason)
		return reason;
	*local = fib_is_local(ctx, pkt);
	reason = *local || pkt_multicast(pkt) ? pass_dhcp(pkt, rules->allow, pkt->dport, pkt->sport)
					      : GO_ON;
	if (reason)
		return reason;
	reason = *local ? frag_ipsec(pkt, iface, &seen) : GO_ON;
	if (reason)
		return reason;
	return *local ? black_local(pkt, &seen) : GO_ON;
}

/* Everything that is IP. Direction of failure: closed. */
static __always_inline enum xipsec_reason black_ip(void *ctx, enum hook hook, const struct pkt *pkt,
						   const struct xipsec_iface *iface,
						   const struct xipsec_spd *rules)
{
	enum xipsec_reason reason;
	int local = 0;

	reason = pkt->opened ? GO_ON : black_ipsec(ctx, hook, pkt, iface, rules, &local);
	if (!reason)
		reason = black_plaintext(rules, pkt, local);
	if (reason == XIPSEC_REASON_REASSEMBLY_CLOSED && (pkt->frag & PKT_FRAG_LATER))
		return frag_ipsec_early(pkt, iface);
	return reason;
}

/* Neighbour discovery is between this host and its link. Routers do not mind what they forward:
 * sent to a host behind black it would come out on red in the clear. */
static __always_inline enum xipsec_reason black_link(void *ctx, const struct pkt *pkt)
{
	enum xipsec_reason reason = pass_link(pkt);

	if (reason == XIPSEC_REASON_ND && !pkt_multicast(pkt) && !fib_is_local(ctx, pkt))
		return GO_ON;
	return reason;
}

/* Direction of failure: closed. */
static __always_inline enum xipsec_reason black_reason(void *ctx, enum hook hook, struct pkt *pkt)
{
	const struct xipsec_iface *iface = iface_of(pkt->ifindex, XIPSEC_ROLE_UNPROTECTED);
	const struct xipsec_spd *rules;
	enum xipsec_reason reason;

	if (!iface)
		return XIPSEC_REASON_NO_IFACE;
	/* What an SA brought came in by that, and by no interface. */
	pkt->dev = pkt->opened ? 0 : iface->dev;
	reason = parse_frame(pkt, hook == HOOK_TC ? tags_taken(ctx) : 0);
	if (reason)
		return reason;
	reason = pkt->opened ? GO_ON : black_link(ctx, pkt);
	if (reason)
		return reason;
	/* For another host. Whoever above this interface would take it (a bridge, a macvlan of
	 * another namespace) has no policy here. */
	if (pkt->family != XIPSEC_FAMILY_ANY && !link_is_own(pkt, iface) && !link_is_group(pkt))
		return XIPSEC_REASON_FOREIGN_MAC;
	rules = spd_current();
	if (!rules)
		return XIPSEC_REASON_NO_SPD;
	if (pkt->family == XIPSEC_FAMILY_ANY)
		return spd_ethertype_named(rules, pkt->eth_type) ? XIPSEC_REASON_ETHERTYPE_PASS
								 : XIPSEC_REASON_ETHERTYPE;
	return black_ip(ctx, hook, pkt, iface, rules);
}

SEC("xdp.frags")
int xipsec_black(struct xdp_md *ctx)
{
	struct pkt pkt;
	__u32 reason;

	xdp_load(ctx, &pkt);
	reason = decided(&pkt, black_reason(ctx, HOOK_XDP, &pkt));
	if (explain)
		return explain_xdp(ctx, &pkt, reason);
	sample_xdp(ctx, &pkt, reason);
	behind_mark(ctx, reason);
	return xdp_finish(reason, pkt.len);
}

/* ------------------------------------------------------------------ the guard */

/* Direction of failure: closed. */
static __always_inline enum xipsec_reason guard_reason(struct __sk_buff *skb, struct pkt *pkt)
{
	int own = guard_is_own(skb);
	const struct xipsec_spd *rules;
	enum xipsec_reason reason;

	if (own)
		way_flag(pkt, XIPSEC_WAY_OWN);
	if (!iface_of(skb->ifindex, XIPSEC_ROLE_UNPROTECTED))
		return XIPSEC_REASON_NO_IFACE;
	pkt->dev = (__u16)guard_dev(skb);
	reason = parse_frame(pkt, tags_taken(skb));
	if (reason)
		return reason;
	reason = pass_link(pkt);
	if (!reason && own)
		reason = guard_own(pkt, skb->mark);
	else if (!reason && (skb->mark & XIPSEC_MARK_MASK) == XIPSEC_MARK_XFRM)
		reason = guard_esp(pkt, skb->mark); /* forwarded, sealed on the way */
	if (!reason || reason == XIPSEC_REASON_ESP_OWN)
		reason = guard_part(pkt, skb->ifindex, skb->mark, reason);
	if (reason)
		return reason;
	rules = spd_current();
	if (!rules)
		return XIPSEC_REASON_NO_SPD;
	if (pkt->family == XIPSEC_FAMILY_ANY)
		return spd_ethertype_named(rules, pkt->eth_type) ? XIPSEC_REASON_ETHERTYPE_PASS
								 : XIPSEC_REASON_ETHERTYPE;
	reason = own ? pass_mld(pkt, rules->allow) : GO_ON;
	if (!reason && own)
		reason = pass_dhcp(pkt, rules->allow, pkt->sport, pkt->dport);
	return reason ? reason : guard_policy(skb, rules, pkt, own);
}

SEC("tc")
int xipsec_guard(struct __sk_buff *skb)
{
	struct pkt pkt;
	__u32 reason;

	tc_load(skb, &pkt);
	way_start();
	reason = decided(&pkt, guard_reason(skb, &pkt));
	if (explain)
		return explain_tc(skb, &pkt, reason);
	sample_tc(skb, &pkt, reason);
	return tc_finish(reason, pkt.len);
}

/* ------------------------------------------------------------------ behind XDP */

/* What has the mark of behind.h was judged and counted: "no opinion", so that the programs of
 * others go on. All else is judged here. Direction of failure: closed. */
SEC("tc")
int xipsec_blacktc(struct __sk_buff *skb)
{
	struct pkt pkt;
	__u32 reason;

	if (explain)
		return TC_ACT_SHOT; /* the twin of XDP tells what they would say */
	if (behind_is_marked(skb))
		return TC_ACT_UNSPEC;
	tc_load(skb, &pkt);
	pkt.opened = behind_opened(skb);
	reason = decided(&pkt, black_reason(skb, HOOK_TC, &pkt));
	sample_tc(skb, &pkt, reason);
	return behind_finish(reason, pkt.len);
}

/*
 * The same on red. A mark that only this host may give does not come in from red: veth keeps marks
 * inside one network namespace.
 *
 * What kernel XFRM is to seal gets the mark that its policies know: XDP's choice from the metadata,
 * or this program's own. A verdict for a worker has no meaning here, and the packet ends.
 */
SEC("tc")
int xipsec_redtc(struct __sk_buff *skb)
{
	struct pkt pkt;
	__u32 reason;

	if (explain)
		return TC_ACT_SHOT; /* the twin of XDP tells what they would say */
	skb->mark &= ~XIPSEC_MARK_MASK;
	if (behind_is_marked(skb)) {
		skb->mark |= behind_xfrm_mark(skb);
		return TC_ACT_UNSPEC;
	}
	if (behind_is_verdict(skb))
		return tc_finish(XIPSEC_REASON_ENGINE_CLOSED, skb->len);
	tc_load(skb, &pkt);
	reason = decided(&pkt, red_reason(skb, HOOK_TC, &pkt));
	sample_tc(skb, &pkt, reason);
	if (reason == XIPSEC_REASON_XFRM_OUT)
		skb->mark |= pkt.mark;
	return behind_finish(reason, pkt.len);
}
