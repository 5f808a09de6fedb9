// SPDX-License-Identifier: BSD-2-Clause
#include "worker/esp_out.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/inner.h"
#include "worker/sa.h"
#include "worker/seq.h"

#define PREFETCH_AHEAD 2

/* What is on its way through a burst: the packets that live, and what is known of them. */
struct out_burst {
	struct packet *pkt[BURST_MAX];
	struct inner inner[BURST_MAX];
	struct crypto_op op[BURST_MAX];
	unsigned int n;
	__u64 bytes; /* inner bytes of those that were sealed */
};

static void out_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason)
{
	p->reason = (__u16)reason;
	sa_count_drop(sa, reason);
}

static enum xipsec_reason out_admit_one(const struct sa *sa, struct packet *p, __u32 inner_max,
					struct inner *inner)
{
	enum xipsec_reason reason = inner_parse(p->data, p->len, inner);

	if (reason)
		return reason;
	/* Before anything in the packet changes. */
	if (p->headroom < sa->outer.len + sa->head_len ||
	    p->tailroom + (p->len - inner->len) < sa->tail_room) {
		p->icmp_mtu = inner_max;
		return XIPSEC_REASON_TOO_BIG;
	}
	return inner_out(p, inner, inner_max);
}

static void out_admit(struct sa *sa, struct packet **pkts, unsigned int n, __u32 inner_max,
		      struct out_burst *burst)
{
	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		enum xipsec_reason reason;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + PREFETCH_AHEAD]->data, 1);
		if (p->reason)
			continue;
		reason = out_admit_one(sa, p, inner_max, &burst->inner[burst->n]);
		if (reason)
			out_drop(sa, p, reason);
		else
			burst->pkt[burst->n++] = p;
	}
}

/* Padding 1, 2, 3… (RFC 4303 2.4), pad length, next header. The padding is written whole: what it
 * has too many bytes is overwritten by what follows. Returns the bytes of text. */
static __u32 trailer_write(const struct sa *sa, struct packet *p, const struct inner *inner)
{
	static const __u8 padding[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	__u32 pad = (0 - (p->len + ESP_TRAILER_MIN)) & (sa->align - 1u);
	__u8 *tail = p->data + p->len;

	memcpy(tail, padding, sizeof(padding));
	tail[pad] = (__u8)pad;
	tail[pad + 1] = inner->family == XIPSEC_FAMILY_IP4 ? IPPROTO_IPIP : IPPROTO_IPV6;
	return p->len + pad + ESP_TRAILER_MIN;
}

/* The nonce, for every algorithm alike: salt and sequence number, then CTR's block counter (RFC
 * 3686 4), which the others do not read. CBC wants an IV that nobody can foresee (RFC 3602 3). */
static void nonce_write(const struct sa *sa, __u8 *nonce, __be64 seq)
{
	static const __u8 counter[4] = {0, 0, 0, 1};

	memcpy(nonce, sa->salt, sizeof(sa->salt));
	memcpy(nonce + sa->salt_len, &seq, sizeof(seq));
	memcpy(nonce + 12, counter, sizeof(counter));
	if (sa->iv_len == XIPSEC_IV_MAX)
		crypto_random_iv(nonce);
}

static void out_write(const struct sa *sa, struct packet *p, const struct inner *inner,
		      struct crypto_op *op)
{
	__u32 head_len = sa->outer.len + sa->head_len;
	__be64 seq = htobe64(p->seq), aad_seq = htobe64(p->seq << sa->aad_shift);
	__be32 seq_lo = htobe32((__u32)p->seq);
	__u8 *esp;

	op->text = p->data;
	op->len = trailer_write(sa, p, inner);
	op->tag = p->data + op->len;
	op->head_len = sa->head_len;
	nonce_write(sa, op->nonce, seq);
	memcpy(op->aad, &sa->spi, sizeof(sa->spi));
	memcpy(op->aad + sizeof(sa->spi), &aad_seq, sizeof(aad_seq));

	esp = p->data - sa->head_len;
	memcpy(esp, &sa->spi, sizeof(sa->spi));
	memcpy(esp + 4, &seq_lo, sizeof(seq_lo));
	memcpy(esp + ESP_HEADER_LEN, op->nonce + sa->salt_len, sa->iv_len);

	p->tailroom -= op->len - p->len + sa->icv_len;
	p->headroom -= head_len;
	p->data -= head_len;
	p->len = head_len + op->len + sa->icv_len;
	p->family = sa->outer_family;
	p->l4_off = (__u16)sa->outer.len;
	p->reason = XIPSEC_REASON_SEALED;
	sa->outer.write(&sa->outer, p->data, p->len, inner->tos, (__u16)p->seq);
}

static void out_seal(struct sa *sa, struct out_burst *burst)
{
	enum xipsec_reason reason;
	__u64 first = 0;
	unsigned int n = seq_reserve(sa->state, sa->generation, sa->esn, burst->n, &first, &reason);

	for (unsigned int i = 0; i < n; i++) {
		burst->bytes += burst->inner[i].len;
		burst->pkt[i]->seq = first + i;
		out_write(sa, burst->pkt[i], &burst->inner[i], &burst->op[i]);
	}
	for (unsigned int i = n; i < burst->n; i++)
		out_drop(sa, burst->pkt[i], reason);
	burst->n = n;
	sa->seal(sa->key->ctx, burst->op, n, sa->aad_len);
}

void esp_out_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu, __u64 now_s)
{
	__u32 inner_max = sa_inner_max(sa, path_mtu);
	struct out_burst burst;

	for (unsigned int done = 0; done < n; done += BURST_MAX) {
		unsigned int part = n - done < BURST_MAX ? n - done : BURST_MAX;

		burst.n = 0;
		burst.bytes = 0;
		out_admit(sa, pkts + done, part, inner_max, &burst);
		if (!burst.n)
			continue;
		out_seal(sa, &burst);
		sa_count(sa, burst.n, burst.bytes, now_s);
	}
}
