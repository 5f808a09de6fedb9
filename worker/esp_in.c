// SPDX-License-Identifier: BSD-2-Clause
#include "worker/esp_in.h"

#include <endian.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>

#include "worker/inbound.h"
#include "worker/replay.h"
#include "worker/sa.h"

/* RFC 3686 4: CTR's block counter starts at one. */
static const __u8 ctr_start[4] = {0, 0, 0, 1};

/* Salt and IV, then CTR's counter, which the others do not read. */
static void esp_nonce(const struct sa *sa, const __u8 *esp, __u64 seq, __u8 nonce[CRYPTO_NONCE_MAX])
{
	__be64 seq_be = htobe64(seq);

	memcpy(nonce, sa->salt, sizeof(sa->salt));
	memcpy(nonce + 12, ctr_start, sizeof(ctr_start));
	if (__builtin_expect(sa->usual_iv, 1)) {
		memcpy(nonce + XIPSEC_SALT_MAX, esp + ESP_HEADER_LEN, SA_USUAL_IV);
		return;
	}
	memcpy(nonce + sa->salt_len, &seq_be, sizeof(seq_be)); /* the IV that does not travel */
	crypto_iv_copy(nonce + sa->salt_len, esp + ESP_HEADER_LEN, sa->iv_len);
}

/* Lengths first, then the window, then what the AEAD needs. The SPI of the packet, not the SA's,
 * goes into the AAD: a frame that was steered to the wrong SA fails there. */
static enum xipsec_reason esp_admit(struct sa *sa, struct packet *p, struct crypto_op *op,
				    __u8 *tos)
{
	__u32 off = p->l4_off, len = inbound_len(p, tos), head_len = sa->head_len, text_len, seq_lo;
	enum xipsec_reason reason;
	__be64 aad_seq;
	__u8 *esp;
	__u64 seq;

	if (off < IP4_LEN || len < off + sa->esp_min)
		return XIPSEC_REASON_ESP_SHORT;
	text_len = len - off - head_len - sa->icv_len;
	if (text_len & (sa->align - 1u))
		return XIPSEC_REASON_ESP_SHORT;
	esp = p->data + off;
	memcpy(&seq_lo, esp + 4, sizeof(seq_lo));
	seq = replay_infer(sa->state, sa->window, sa->esn, be32toh(seq_lo));
	p->seq = seq; /* for samples of what is refused, too */
	reason = replay_check(sa->state, sa->window, seq);
	if (reason)
		return reason;

	aad_seq = htobe64(seq << sa->aad_shift);
	op->text = esp + head_len;
	op->tag = op->text + text_len;
	op->len = text_len;
	op->head_len = head_len;
	esp_nonce(sa, esp, seq, op->nonce);
	memcpy(op->aad, esp, 4);
	memcpy(op->aad + 4, &aad_seq, sizeof(aad_seq));
	return XIPSEC_REASON_UNSPEC;
}

#define PAD_AT_ONCE 16

/* Do 1, 2, 3… `pad` stand before `end`? A cipher's own padding is compared at once, by tables that
 * are 0 where the text goes on: a loop of a length that differs from packet to packet costs 4 ns.
 * (What stands in front, headers if not text, is more than 16 bytes.) */
static bool padding_right(const __u8 *end, __u32 pad)
{
	static const __u8 count[2 * PAD_AT_ONCE] = {
		[PAD_AT_ONCE] = 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	static const __u8 mask[2 * PAD_AT_ONCE] = {[PAD_AT_ONCE... 2 * PAD_AT_ONCE - 1] = 0xff};
	typedef __u64 bytes __attribute__((vector_size(PAD_AT_ONCE)));
	bytes got, want, relevant;

	if (pad > PAD_AT_ONCE) {
		for (; pad; pad--, end--)
			if (end[-1] != pad)
				return false;
		return true;
	}
	memcpy(&got, end - PAD_AT_ONCE, PAD_AT_ONCE);
	memcpy(&want, count + pad, PAD_AT_ONCE);
	memcpy(&relevant, mask + pad, PAD_AT_ONCE);
	got = (got ^ want) & relevant;
	return !(got[0] | got[1]);
}

/* Takes pad, pad length and next header off: what is left of the text in *len. RFC 4303 2.4: the
 * padding is 1, 2, 3…; a dummy's text is anything, so it is recognised first (2.6). */
static enum xipsec_reason trailer_read(const __u8 *text, __u32 *len, __u8 *next)
{
	const __u8 *trailer = text + *len - ESP_TRAILER_MIN;
	__u8 pad = trailer[0];

	*next = trailer[1];
	if (*next == IPPROTO_NONE)
		return XIPSEC_REASON_DUMMY;
	if (pad > *len - ESP_TRAILER_MIN || !padding_right(trailer, pad))
		return XIPSEC_REASON_ESP_PAD;
	*len -= ESP_TRAILER_MIN + pad;
	return XIPSEC_REASON_UNSPEC;
}

/* From an authentic text to a packet at its inner header. */
static inline enum xipsec_reason esp_deliver(struct sa *sa, struct packet *p,
					     const struct crypto_op *op, __u8 tos,
					     const bool transport)
{
	__u32 text_len = op->len;
	enum xipsec_reason reason;
	__u8 next;

	reason = trailer_read(op->text, &text_len, &next);
	if (reason == XIPSEC_REASON_DUMMY)
		sa_count_dummy(sa, text_len - ESP_TRAILER_MIN);
	if (reason)
		return reason;
	return transport ? inbound_transport(sa, p, op->text, text_len, next)
			 : inbound_tunnel(sa, p, op->text, text_len, next, tos);
}

static enum xipsec_reason deliver_tunnel(struct sa *sa, struct packet *p,
					 const struct crypto_op *op, __u8 tos)
{
	return esp_deliver(sa, p, op, tos, false);
}

static enum xipsec_reason deliver_transport(struct sa *sa, struct packet *p,
					    const struct crypto_op *op, __u8 tos)
{
	return esp_deliver(sa, p, op, tos, true);
}

/* ESP's headers stand as they came. */
static void esp_refuse(struct sa *sa, struct packet *p, const struct crypto_op *op)
{
}

/* Flattened: the calls between the small steps of a packet were a tenth of opening a small one.
 * Each mode has a copy, of which the compiler keeps more in registers. */
static __attribute__((flatten, noinline)) void in_burst_tunnel(struct sa *sa, struct packet **pkts,
							       unsigned int n, __u64 now_s)
{
	inbound_run(sa, pkts, n, now_s, esp_admit, deliver_tunnel, esp_refuse);
}

static __attribute__((flatten, noinline)) void in_burst_transport(struct sa *sa,
								  struct packet **pkts,
								  unsigned int n, __u64 now_s)
{
	inbound_run(sa, pkts, n, now_s, esp_admit, deliver_transport, esp_refuse);
}

void esp_in_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u64 now_s)
{
	if (sa->transport)
		in_burst_transport(sa, pkts, n, now_s);
	else
		in_burst_tunnel(sa, pkts, n, now_s);
}
