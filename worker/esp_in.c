// SPDX-License-Identifier: BSD-2-Clause
#include "worker/esp_in.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/inbound.h"
#include "worker/replay.h"
#include "worker/sa.h"

#define IP4_LEN 20

/* RFC 3686 4: CTR's block counter starts at one. */
static const __u8 ctr_start[4] = {0, 0, 0, 1};

/* Lengths first, then the window, then what the AEAD needs. The SPI of the packet, not the SA's,
 * goes into the AAD: a frame that was steered to the wrong SA fails there. */
static enum xipsec_reason esp_admit(struct sa *sa, struct packet *p, struct crypto_op *op,
				    __u8 *tos)
{
	__u32 len = inbound_len(p, tos), fixed = sa->head_len + sa->icv_len, seq_lo;
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
	crypto_iv_copy(op->nonce + sa->salt_len, esp + ESP_HEADER_LEN, sa->iv_len);
	memcpy(op->aad, esp, 4);
	memcpy(op->aad + 4, &aad_seq, sizeof(aad_seq));
	return XIPSEC_REASON_UNSPEC;
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

/* From an authentic text to a packet at its inner header. */
static enum xipsec_reason esp_deliver(struct sa *sa, struct packet *p, const struct crypto_op *op,
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
	return sa->transport ? inbound_transport(sa, p, op->text, text_len, next)
			     : inbound_tunnel(sa, p, op->text, text_len, next, tos);
}

void esp_in_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u64 now_s)
{
	inbound_run(sa, pkts, n, now_s, esp_admit, esp_deliver);
}
