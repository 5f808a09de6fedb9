// SPDX-License-Identifier: BSD-2-Clause
#include "worker/ah.h"

#include <endian.h>
#include <string.h>

#include "worker/inbound.h"
#include "worker/transport.h"

#define IP4_LEN    20
#define ICV_FIELDS (AH_FRONT_MAX + XIPSEC_ICV_MAX) /* what is put aside, bytes */

/* The length that the header claims, if it is one that this SA has: padded to 4 or 8 bytes over
 * IPv4 (RFC 4302 2.6 asks for 4, others pad to 8), to 8 over IPv6. */
static __u32 ah_header_len(const struct sa *sa, const __u8 *ah)
{
	__u32 len = (ah[1] + 2u) * 4;

	return len == sa->head_len || len == ((sa->head_len + 7u) & ~7u) ? len : 0;
}

/* Puts the headers and the ICV aside, right before the packet, and makes both what the sender
 * computed with. */
static enum xipsec_reason ah_prepare(const struct sa *sa, struct packet *p, __u32 len,
				     struct crypto_op *op)
{
	__u32 front = p->l4_off, esn_len = sa->esn ? 4 : 0;
	__u8 *ah = p->data + front;
	__be32 seq_hi = htobe32((__u32)(p->seq >> 32));
	enum xipsec_reason reason;

	if (front > AH_FRONT_MAX || p->headroom < ICV_FIELDS ||
	    p->tailroom + (p->len - len) < esn_len)
		return XIPSEC_REASON_AH_FRONT;
	memcpy(p->data - front, p->data, front);
	reason = ah_mask(p->data, front);
	if (reason) {
		memcpy(p->data, p->data - front, front);
		return reason;
	}
	op->tag = p->data - ICV_FIELDS;
	memcpy(op->tag, ah + sa->icv_off, sa->icv_len);
	memcpy(op->nonce, sa->salt, sizeof(sa->salt));
	memcpy(op->nonce + sa->salt_len, ah + AH_LEN, sa->iv_len);
	memset(ah + sa->icv_off, 0, sa->icv_len); /* GMAC's IV stays (RFC 4543 7) */
	memcpy(p->data + len, &seq_hi, esn_len);
	op->text = p->data;
	op->len = len + esn_len;
	op->head_len = 0;
	return XIPSEC_REASON_UNSPEC;
}

static enum xipsec_reason ah_admit(struct sa *sa, struct packet *p, struct crypto_op *op, __u8 *tos)
{
	__u32 len, ah_len, seq_lo;
	enum xipsec_reason reason;
	const __u8 *ah;

	p->l4_off -= (__u16)transport_whole(p, p->l4_off);
	len = inbound_len(p, tos);
	ah = p->data + p->l4_off;
	if (p->l4_off < IP4_LEN || len < (__u32)p->l4_off + AH_LEN)
		return XIPSEC_REASON_AH_SHORT;
	ah_len = ah_header_len(sa, ah);
	if (!ah_len || len < p->l4_off + ah_len)
		return XIPSEC_REASON_AH_SHORT;
	memcpy(&seq_lo, ah + 8, sizeof(seq_lo));
	p->seq = replay_infer(sa->state, sa->window, sa->esn, be32toh(seq_lo));
	reason = replay_check(sa->state, sa->window, p->seq);
	return reason ? reason : ah_prepare(sa, p, len, op);
}

static enum xipsec_reason ah_deliver(struct sa *sa, struct packet *p, const struct crypto_op *op,
				     __u8 tos)
{
	__u8 *ah = p->data + p->l4_off;
	__u32 ah_len = ah_header_len(sa, ah);
	__u32 text_len = op->len - (sa->esn ? 4 : 0) - p->l4_off - ah_len;

	memcpy(p->data, p->data - p->l4_off, p->l4_off);
	return sa->transport ? inbound_transport(sa, p, ah + ah_len, text_len, ah[0])
			     : inbound_tunnel(sa, p, ah + ah_len, text_len, ah[0], tos);
}

/* The packet is told as it came, without a fragment header that cut nothing. */
static void ah_refuse(struct sa *sa, struct packet *p, const struct crypto_op *op)
{
	memcpy(p->data, p->data - p->l4_off, p->l4_off);
	memcpy(p->data + p->l4_off + sa->icv_off, op->tag, sa->icv_len);
}

void ah_in_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u64 now_s)
{
	inbound_run(sa, pkts, n, now_s, ah_admit, ah_deliver, ah_refuse);
}
