// SPDX-License-Identifier: BSD-2-Clause
#include "worker/esp_in.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/inner.h"
#include "worker/replay.h"
#include "worker/sa.h"
#include "worker/transport.h"

#define PREFETCH_AHEAD 2
#define IP4_LEN        20
#define IP6_LEN        40

/* RFC 3686 4: CTR's block counter starts at one. */
static const __u8 ctr_start[4] = {0, 0, 0, 1};

struct in_burst {
	struct packet *pkt[BURST_MAX];
	struct crypto_op op[BURST_MAX];
	__u8 outer_tos[BURST_MAX];
	unsigned int n;
	unsigned int opened;
	__u64 bytes; /* inner bytes of those that were opened */
};

static void in_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason)
{
	p->reason = (__u16)reason;
	sa_count_drop(sa, reason);
}

/* May this SA be used at all now? */
static enum xipsec_reason in_state(const struct sa *sa)
{
	__u32 status = __atomic_load_n(&sa->state->status, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&sa->state->generation, __ATOMIC_ACQUIRE) != sa->generation ||
	    status == XIPSEC_SA_FREE)
		return XIPSEC_REASON_STALE_META;
	return status == XIPSEC_SA_LIVE ? XIPSEC_REASON_UNSPEC : XIPSEC_REASON_LIMIT;
}

/* Bytes of the packet by its outer header, 0 if it lies; its TOS in *tos. */
static __u32 outer_len(const struct packet *p, __u8 *tos)
{
	const __u8 *data = p->data;
	__u32 len;

	if (p->len < IP4_LEN)
		return 0;
	if (data[0] >> 4 == 4) {
		len = (__u32)(data[2] << 8 | data[3]);
		*tos = data[1];
	} else if (data[0] >> 4 == 6 && p->len >= IP6_LEN) {
		len = IP6_LEN + (__u32)(data[4] << 8 | data[5]);
		*tos = (__u8)(data[0] << 4 | data[1] >> 4);
	} else {
		return 0;
	}
	return len <= p->len ? len : 0;
}

/* Lengths first, then the window, then what the AEAD needs. The SPI of the packet, not the SA's,
 * goes into the AAD: a frame that was steered to the wrong SA fails there. */
static enum xipsec_reason in_admit_one(const struct sa *sa, struct packet *p, struct crypto_op *op,
				       __u8 *tos)
{
	__u32 len = outer_len(p, tos), fixed = sa->head_len + sa->icv_len, seq_lo;
	enum xipsec_reason reason;
	__be64 aad_seq, seq;
	__u8 *esp;

	if (p->l4_off < IP4_LEN + (sa->udp ? OUTER_UDP : 0) || len < p->l4_off + fixed + sa->align)
		return XIPSEC_REASON_ESP_SHORT;
	op->len = len - p->l4_off - fixed;
	if (op->len & (sa->align - 1u))
		return XIPSEC_REASON_ESP_SHORT;
	esp = p->data + p->l4_off;
	memcpy(&seq_lo, esp + 4, sizeof(seq_lo));
	p->seq = replay_infer(sa->state, sa->window, sa->esn, be32toh(seq_lo));
	reason = replay_check(sa->state, sa->window, p->seq);
	if (reason)
		return reason;

	aad_seq = htobe64(p->seq << sa->aad_shift);
	seq = htobe64(p->seq);
	op->text = esp + sa->head_len;
	op->tag = op->text + op->len;
	op->head_len = sa->head_len;
	memcpy(op->nonce, sa->salt, sizeof(sa->salt));
	memcpy(op->nonce + sa->salt_len, &seq, sizeof(seq)); /* the IV that does not travel */
	memcpy(op->nonce + 12, ctr_start, sizeof(ctr_start));
	memcpy(op->nonce + sa->salt_len, esp + ESP_HEADER_LEN, sa->iv_len);
	memcpy(op->aad, esp, 4);
	memcpy(op->aad + 4, &aad_seq, sizeof(aad_seq));
	return XIPSEC_REASON_UNSPEC;
}

static void in_admit(struct sa *sa, struct packet **pkts, unsigned int n, struct in_burst *burst)
{
	enum xipsec_reason closed = in_state(sa);

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		enum xipsec_reason reason;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + PREFETCH_AHEAD]->data, 1);
		if (p->reason)
			continue;
		reason = closed ? closed
				: in_admit_one(sa, p, &burst->op[burst->n],
					       &burst->outer_tos[burst->n]);
		if (reason)
			in_drop(sa, p, reason);
		else
			burst->pkt[burst->n++] = p;
	}
}

/* Takes pad, pad length and next header off: what is left of the text in *len. RFC 4303 2.4: the
 * padding is 1, 2, 3…; a dummy's text is anything, so it is recognised first (2.6). */
static enum xipsec_reason trailer_read(const __u8 *text, __u32 *len, __u8 *next)
{
	__u8 pad = text[*len - 2], wrong = 0;
	__u32 left = *len - ESP_TRAILER_MIN;

	*next = text[*len - 1];
	if (*next == IPPROTO_NONE)
		return XIPSEC_REASON_DUMMY;
	if (pad > left)
		return XIPSEC_REASON_ESP_PAD;
	left -= pad;
	for (__u32 i = 0; i < pad; i++)
		wrong |= text[left + i] ^ (__u8)(i + 1);
	if (wrong)
		return XIPSEC_REASON_ESP_PAD;
	*len = left;
	return XIPSEC_REASON_UNSPEC;
}

/* RFC 4301 5.2, which takes a decorrelated SPD (4.4.1) for granted: this list keeps the order
 * instead. What a fragment hides counts against it: it may match what refuses, and must match for
 * certain what accepts. */
static enum xipsec_reason in_select(const struct sa *sa, const __u8 *data,
				    const struct inner *inner)
{
	struct xipsec_flow flow;

	inner_flow(data, inner, XIPSEC_DIR_IN, &flow);
	for (__u32 i = 0; i < sa->n_selectors; i++) {
		enum xipsec_match match = xipsec_selector_match(&sa->selector[i], &flow);

		if (sa->refuse[i] && match != XIPSEC_MATCH_NO)
			return XIPSEC_REASON_SELECTOR;
		if (match == XIPSEC_MATCH_YES)
			return XIPSEC_REASON_UNSPEC;
	}
	return XIPSEC_REASON_SELECTOR;
}

/* From here on the packet is the `len` bytes at `data`, inside what it was. */
static void in_shrink(struct packet *p, __u8 *data, __u32 len)
{
	__u32 moved = (__u32)(data - p->data);

	p->headroom += moved;
	p->tailroom += p->len - moved - len;
	p->data = data;
	p->len = len;
}

static void in_describe(struct packet *p, const struct inner *inner)
{
	p->family = inner->family;
	p->l4_off = inner->opaque ? 0 : inner->l4_off;
}

/* Tunnel mode. TFC padding behind the inner packet (RFC 4303 2.7) goes. */
static enum xipsec_reason tunnel_open(struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
				      __u8 next, __u8 tos)
{
	enum xipsec_reason reason = XIPSEC_REASON_NEXT_HEADER;
	struct inner inner;

	if ((next == IPPROTO_IPIP && text_len && text[0] >> 4 == 4) ||
	    (next == IPPROTO_IPV6 && text_len && text[0] >> 4 == 6))
		reason = inner_parse(text, text_len, &inner);
	if (!reason)
		reason = in_select(sa, text, &inner);
	if (reason)
		return reason;
	if (text_len > inner.len)
		__atomic_fetch_add(&sa->state->tfc_bytes, text_len - inner.len, __ATOMIC_RELAXED);
	in_shrink(p, text, inner.len);
	in_describe(p, &inner);
	return inner_in(p->data, &inner, tos);
}

/* Transport mode: the headers in front move up to what ESP carried. Behind a NAT the addresses are
 * not those that the transport checksum was made with: it is made anew (RFC 3948 3.1.2). */
static enum xipsec_reason transport_open(struct sa *sa, struct packet *p, __u8 *text,
					 __u32 text_len, __u8 next)
{
	__u32 front = p->l4_off - (sa->udp ? OUTER_UDP : 0u);
	enum xipsec_reason reason;
	struct transport_place place;
	struct inner inner;
	__u8 *data = text - front;

	reason = transport_find_at(p->data, front, &place);
	if (reason)
		return reason;
	memmove(data, p->data, front);
	transport_set(data, &place, next, front + text_len);
	reason = inner_parse(data, front + text_len, &inner);
	if (!reason)
		reason = in_select(sa, data, &inner);
	if (reason)
		return reason;
	in_shrink(p, data, inner.len);
	in_describe(p, &inner);
	if (sa->udp)
		inner_checksum(p->data, &inner);
	return XIPSEC_REASON_UNSPEC;
}

/* From an authentic text to a packet at its inner header. */
static enum xipsec_reason in_deliver(struct sa *sa, struct packet *p, const struct crypto_op *op,
				     __u8 tos)
{
	__u32 text_len = op->len;
	enum xipsec_reason reason;
	__u8 next;

	reason = trailer_read(op->text, &text_len, &next);
	if (reason == XIPSEC_REASON_DUMMY)
		__atomic_fetch_add(&sa->state->dummies, 1, __ATOMIC_RELAXED);
	if (reason)
		return reason;
	return sa->transport ? transport_open(sa, p, op->text, text_len, next)
			     : tunnel_open(sa, p, op->text, text_len, next, tos);
}

/* RFC 3948 4.4, RFC 7296 2.23: a peer behind a NAT may come from elsewhere now. Believed of a
 * packet that is authentic and newer than all others, so a replay of an old one moves nobody. */
static void peer_look(struct sa *sa, const struct packet *p)
{
	__u32 ip4 = p->data[0] >> 4 == 4;
	const __u8 *udp = p->data + p->l4_off - OUTER_UDP;
	struct xipsec_addr from = {0};

	if (p->seq != __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED))
		return;
	memcpy(from.byte, p->data + (ip4 ? 12 : 8), ip4 ? 4 : 16);
	if (!memcmp(&from, &sa->peer, sizeof(from)) && !memcmp(udp, &sa->peer_port, 2))
		return;
	sa->peer = from;
	memcpy(&sa->peer_port, udp, 2);
	sa->peer_changed = 1;
}

/* The window moves by what is authentic, whatever becomes of it (RFC 4303 3.4.3). */
static void in_finish(struct sa *sa, struct in_burst *burst)
{
	for (unsigned int i = 0; i < burst->n; i++) {
		struct packet *p = burst->pkt[i];
		enum xipsec_reason reason = XIPSEC_REASON_ICV;

		if (burst->op[i].ok)
			reason = replay_commit(sa->state, sa->window, p->seq);
		if (!reason && sa->udp)
			peer_look(sa, p);
		if (!reason)
			reason = in_deliver(sa, p, &burst->op[i], burst->outer_tos[i]);
		if (reason) {
			in_drop(sa, p, reason);
			continue;
		}
		p->reason = XIPSEC_REASON_OPENED;
		burst->opened++;
		burst->bytes += p->len;
	}
}

/* If the state went to another SA meanwhile, the window that accepted these was not theirs. */
static void in_recheck(struct sa *sa, struct in_burst *burst)
{
	if (__atomic_load_n(&sa->state->generation, __ATOMIC_ACQUIRE) == sa->generation)
		return;
	for (unsigned int i = 0; i < burst->n; i++)
		if (burst->pkt[i]->reason == XIPSEC_REASON_OPENED)
			burst->pkt[i]->reason = XIPSEC_REASON_STALE_META;
	burst->opened = 0;
}

void esp_in_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u64 now_s)
{
	struct in_burst burst;

	for (unsigned int done = 0; done < n; done += BURST_MAX) {
		unsigned int part = n - done < BURST_MAX ? n - done : BURST_MAX;

		burst.n = 0;
		burst.opened = 0;
		burst.bytes = 0;
		in_admit(sa, pkts + done, part, &burst);
		if (!burst.n)
			continue;
		sa->open(sa->key->ctx, burst.op, burst.n, sa->aad_len);
		in_finish(sa, &burst);
		in_recheck(sa, &burst);
		sa_count(sa, burst.opened, burst.bytes, now_s);
	}
}
