// SPDX-License-Identifier: BSD-2-Clause
#include "worker/esp_out.h"

#include <endian.h>
#include <netinet/in.h>
#include <string.h>

#include "worker/outbound.h"
#include "worker/sa.h"
#include "worker/seq.h"
#include "worker/transport.h"

/* ---------------------------------------------------------------- ESP */

/* Zeroes behind the inner packet, as many as the SA asks for and the path and the frame have room
 * for. The receiver finds the end by the inner header. */
static __attribute__((noinline)) __u32 tfc_pad(const struct sa *sa, struct packet *p,
					       __u32 inner_max)
{
	__u32 to = sa->tfc_size < inner_max ? sa->tfc_size : inner_max;
	__u32 room = p->tailroom - sa->tail_room, pad;

	if (p->len >= to)
		return 0;
	pad = to - p->len < room ? to - p->len : room;
	memset(p->data + p->len, 0, pad);
	p->len += pad;
	p->tailroom -= pad;
	return pad;
}

/* Padding 1, 2, 3… (RFC 4303 2.4), pad length, next header. The padding is written whole: what it
 * has too many bytes is overwritten by what follows. Returns the bytes of text. */
static __u32 trailer_write(const struct sa *sa, __u8 *text, __u32 len, __u8 next)
{
	static const __u8 padding[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	__u32 pad = (0 - (len + ESP_TRAILER_MIN)) & (sa->align - 1u);
	__u8 *tail = text + len;

	memcpy(tail, padding, sizeof(padding));
	tail[pad] = (__u8)pad;
	tail[pad + 1] = next;
	return len + pad + ESP_TRAILER_MIN;
}

/* Everything from the ESP header to the trailer around `len` bytes at `text`. */
static void esp_write(const struct sa *sa, __u64 seq, __u8 *text, __u32 len, __u8 next,
		      struct crypto_op *op)
{
	__be32 seq_lo = htobe32((__u32)seq);
	__u8 *esp = text - sa->head_len;

	op->text = text;
	op->len = trailer_write(sa, text, len, next);
	op->tag = text + op->len;
	op->head_len = sa->head_len;
	outbound_nonce(sa, op->nonce, htobe64(seq));
	outbound_aad(sa, op->aad, seq);
	memcpy(esp, &sa->spi, sizeof(sa->spi));
	memcpy(esp + 4, &seq_lo, sizeof(seq_lo));
	crypto_iv_copy(esp + ESP_HEADER_LEN, op->nonce + sa->salt_len, sa->iv_len);
}

/* The packet begins `head` bytes earlier now; behind `text_len` bytes of it follow trailer and ICV.
 */
static void out_grow(const struct sa *sa, struct packet *p, const struct crypto_op *op, __u32 head,
		     __u32 text_len, __u32 l4_off)
{
	__u32 tail = op->len - text_len + sa->icv_len;

	p->tailroom -= tail;
	p->headroom -= head;
	p->data -= head;
	p->len += head + tail;
	p->family = sa->outer_family;
	p->l4_off = (__u16)l4_off;
	p->reason = XIPSEC_REASON_SEALED;
}

static void tunnel_write(const struct sa *sa, struct packet *p, const struct inner *inner,
			 struct crypto_op *op)
{
	__u8 next = inner->family == XIPSEC_FAMILY_IP4 ? IPPROTO_IPIP : IPPROTO_IPV6;

	esp_write(sa, p->seq, p->data, p->len, next, op);
	out_grow(sa, p, op, sa->outer.len + sa->head_len, p->len, sa->outer.len);
	outer_write(&sa->outer, p->data, p->len, inner, (__u16)p->seq);
}

/* The headers in front move down, ESP (and UDP) comes between them and what they carried. */
static void transport_write(const struct sa *sa, struct packet *p,
			    const struct transport_place *place, struct crypto_op *op)
{
	__u32 head = sa->outer.len + sa->head_len, text_len = p->len - place->off;
	__u8 *text = p->data + place->off;

	memmove(p->data - head, p->data, place->off);
	esp_write(sa, p->seq, text, text_len, place->next, op);
	out_grow(sa, p, op, head, text_len, place->off + sa->outer.len);
	if (sa->udp)
		outer_write_udp(&sa->outer, p->data + place->off, p->len - place->off);
	transport_set(p->data, place, sa->udp ? IPPROTO_UDP : IPPROTO_ESP, p->len);
}

static void out_write(const struct sa *sa, struct outbound *burst, unsigned int i)
{
	struct packet *p = burst->pkt[i];

	burst->bytes += p->len;
	if (sa->transport) {
		transport_write(sa, p, &burst->place[i], &burst->op[i]);
		return;
	}
	if (sa->tfc_size)
		burst->tfc += tfc_pad(sa, p, burst->inner_max);
	tunnel_write(sa, p, &burst->inner[i], &burst->op[i]);
}

static void out_seal(struct sa *sa, struct outbound *burst)
{
	enum xipsec_reason reason;
	__u64 first = 0;
	unsigned int n = seq_reserve(sa->state, sa->generation, sa->esn, burst->n, &first, &reason);

	for (unsigned int i = 0; i < n; i++) {
		burst->pkt[i]->seq = first + i;
		out_write(sa, burst, i);
	}
	for (unsigned int i = n; i < burst->n; i++)
		outbound_drop(sa, burst->pkt[i], reason);
	burst->n = n;
	sa->seal(sa->key->ctx, burst->op, n, sa->aad_len);
	if (sa->udp && sa->outer_family == XIPSEC_FAMILY_IP6)
		for (unsigned int i = 0; i < n; i++)
			outer_finish_udp6(burst->pkt[i]->data, burst->pkt[i]->l4_off - OUTER_UDP,
					  burst->pkt[i]->len);
}

/* Flattened: the calls between the small steps of a packet were a tenth of sealing a small one. */
__attribute__((flatten)) void esp_out_burst(struct sa *sa, struct packet **pkts, unsigned int n,
					    __u32 path_mtu, __u64 now_s)
{
	struct outbound burst;

	path_mtu = sa_path_mtu(sa, path_mtu, now_s);
	burst.inner_max = sa_inner_max(sa, path_mtu);
	for (unsigned int done = 0; done < n; done += BURST_MAX) {
		unsigned int part = n - done < BURST_MAX ? n - done : BURST_MAX;

		burst.bytes = burst.tfc = 0;
		outbound_admit(sa, pkts + done, part, path_mtu, &burst);
		if (!burst.n)
			continue;
		out_seal(sa, &burst);
		sa_count(sa, burst.n, burst.bytes, now_s);
		if (burst.tfc)
			__atomic_fetch_add(&sa->state->tfc_bytes, burst.tfc, __ATOMIC_RELAXED);
	}
}

/* ---------------------------------------------------------------- dummies */

enum xipsec_reason esp_out_dummy(struct sa *sa, struct packet *p, __u32 len)
{
	const struct inner inner = {.family = sa->outer_family, .flags = INNER_DF};
	__u32 head = sa->outer.len + sa->head_len;
	enum xipsec_reason reason;
	struct crypto_op op;
	__u64 seq = 0;

	if (sa->transport || p->headroom < head || p->len + p->tailroom < len + sa->tail_room)
		return XIPSEC_REASON_TOO_BIG;
	if (!seq_reserve(sa->state, sa->generation, sa->esn, 1, &seq, &reason))
		return reason;
	p->tailroom += p->len - len;
	p->len = len;
	p->seq = seq;
	memset(p->data, 0, len);
	esp_write(sa, seq, p->data, len, IPPROTO_NONE, &op);
	out_grow(sa, p, &op, head, len, sa->outer.len);
	outer_write(&sa->outer, p->data, p->len, &inner, (__u16)seq);
	sa->seal(sa->key->ctx, &op, 1, sa->aad_len);
	if (sa->udp && sa->outer_family == XIPSEC_FAMILY_IP6)
		outer_finish_udp6(p->data, p->l4_off - OUTER_UDP, p->len);
	__atomic_fetch_add(&sa->state->dummies, 1, __ATOMIC_RELAXED);
	return XIPSEC_REASON_UNSPEC;
}
