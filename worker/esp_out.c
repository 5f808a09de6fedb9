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

/* As long as the SA asks for and the path takes; 0: nothing is padded. What is sealed whole to be
 * cut is longer than the path takes: no padding beside. */
static __u32 tfc_len(const struct sa *sa, __u32 path_mtu)
{
	__u32 inner_max;

	if (!sa->tfc_size || sa->transport || path_mtu >= SA_ANY_MTU)
		return 0;
	inner_max = sa_inner_max(sa, path_mtu);
	return sa->tfc_size < inner_max ? sa->tfc_size : inner_max;
}

/* Ends those whose frame has no room for that: shorter than the others they would show what padding
 * hides. */
static __attribute__((noinline)) void tfc_admit(struct sa *sa, struct outbound *burst)
{
	unsigned int live = 0;

	for (unsigned int i = 0; i < burst->n; i++) {
		struct packet *p = burst->pkt[i];

		if (p->len + p->tailroom < burst->hidden + sa->tail_room) {
			outbound_drop(sa, p, XIPSEC_REASON_TX_FULL);
			continue;
		}
		burst->shown[live] = burst->shown[i];
		burst->pkt[live++] = p;
	}
	burst->n = live;
}

/* Zeroes behind the inner packet, which has room for them. The receiver finds the end by the inner
 * header. */
static __attribute__((noinline)) __u32 tfc_pad(struct packet *p, __u32 to)
{
	__u32 pad;

	if (p->len >= to)
		return 0;
	pad = to - p->len;
	memset(p->data + p->len, 0, pad);
	p->len += pad;
	p->tailroom -= pad;
	return pad;
}

/* Bytes of text around `len`, trailer included. */
static always_inline __u32 padded(const struct form *form, __u32 len)
{
	return (len + ESP_TRAILER_MIN + form->align - 1u) & ~(form->align - 1u);
}

/* Padding 1, 2, 3… (RFC 4303 2.4), pad length, next header. The padding is written whole: what it
 * has too many bytes is overwritten by what follows. Returns the bytes of text. */
static always_inline __u32 trailer_write(const struct form *form, __u8 *text, __u32 len, __u8 next)
{
	static const __u8 padding[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	__u32 pad = padded(form, len) - len - ESP_TRAILER_MIN;
	__u8 *tail = text + len;

	memcpy(tail, padding, sizeof(padding));
	tail[pad] = (__u8)pad;
	tail[pad + 1] = next;
	return len + pad + ESP_TRAILER_MIN;
}

/* Everything from the ESP header to the trailer around `len` bytes at `text`. */
static always_inline void esp_write(const struct form *form, __u64 seq, __u8 *text, __u32 len,
				    __u8 next, struct crypto_op *op)
{
	__u32 text_len = trailer_write(form, text, len, next);
	__be32 seq_lo = htobe32((__u32)seq);
	__be64 iv = htobe64(seq);
	__u8 *esp = text - form->head_len;

	op->text = text;
	op->len = text_len;
	op->tag = text + text_len;
	op->head_len = form->head_len;
	outbound_nonce(form, op->nonce, iv);
	outbound_aad(form, op->aad, seq);
	memcpy(esp, &form->spi, sizeof(form->spi));
	memcpy(esp + 4, &seq_lo, sizeof(seq_lo));
	if (form->iv_len == sizeof(iv))
		memcpy(esp + ESP_HEADER_LEN, &iv, sizeof(iv));
	else
		crypto_iv_copy(esp + ESP_HEADER_LEN, op->nonce + form->salt_len, form->iv_len);
}

/* The packet begins `head` bytes earlier now and is `len` bytes long, the last `tail` of them
 * trailer and ICV. */
static always_inline void out_grow(struct packet *p, __u8 *data, __u32 len, __u32 head, __u32 tail)
{
	p->tailroom -= tail;
	p->headroom -= head;
	p->data = data;
	p->len = len;
	p->reason = XIPSEC_REASON_SEALED;
}

/* What a way says of the headers in front of ESP; SA_ANY says nothing. */
static always_inline bool way_ip6(const enum sa_way way)
{
	return way == SA_TUNNEL6 || way == SA_TUNNEL6_UDP || way == SA_TRANSPORT6 ||
	       way == SA_TRANSPORT6_UDP;
}

static always_inline __u32 way_udp(const enum sa_way way)
{
	return way == SA_TUNNEL4_UDP || way == SA_TUNNEL6_UDP || way == SA_TRANSPORT4_UDP ||
			       way == SA_TRANSPORT6_UDP
		       ? OUTER_UDP
		       : 0;
}

static always_inline __u32 way_ip(const enum sa_way way)
{
	return way_ip6(way) ? OUTER_IP6 : OUTER_IP4;
}

static always_inline __u32 outer_len(const struct outer *outer, const enum sa_way way)
{
	return way == SA_ANY ? outer->len : way_ip(way) + way_udp(way);
}

/* `way` is known when this is compiled: no call goes through a pointer, IPv6 draws no ID. */
static always_inline void headers_write(const struct outer *outer, __u8 *to, __u32 total,
					const struct shown *shown, __u64 seq, const enum sa_way way)
{
	switch (way) {
	case SA_TUNNEL4:
		outer_write_ip4(outer, to, total, shown, outer_id(outer, shown, seq));
		return;
	case SA_TUNNEL4_UDP:
		outer_write_ip4_udp(outer, to, total, shown, outer_id(outer, shown, seq));
		return;
	case SA_TUNNEL6: outer_write_ip6(outer, to, total, shown, 0); return;
	case SA_TUNNEL6_UDP: outer_write_ip6_udp(outer, to, total, shown, 0); return;
	default: outer_write(outer, to, total, shown, outer_id(outer, shown, seq));
	}
}

static always_inline __u8 family_of(const struct sa *sa, const enum sa_way way)
{
	if (way == SA_ANY)
		return sa->outer_family;
	return way_ip6(way) ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
}

static always_inline void tunnel_write(const struct sa *sa, const struct outer *outer,
				       const struct form *form, struct packet *p, __u64 seq,
				       const struct shown *shown, struct crypto_op *op,
				       const enum sa_way way)
{
	const __u32 front = outer_len(outer, way);
	__u32 head = front + form->head_len, inner_len = p->len, tail, len;
	__u8 *text = p->data, *data = text - head;

	esp_write(form, seq, text, inner_len, shown->next, op);
	tail = op->len - inner_len + form->icv_len;
	len = head + inner_len + tail;
	p->seq = seq;
	p->family = family_of(sa, way);
	p->l4_off = (__u16)front;
	out_grow(p, data, len, head, tail);
	headers_write(outer, data, len, shown, seq, way);
}

/* Transport mode: an IP header without options or extension headers moves down. */
static always_inline void transport_write_plain(const struct sa *sa, const struct form *form,
						struct packet *p, __u64 seq, __u8 next,
						struct crypto_op *op, const enum sa_way way)
{
	const __u32 front = way_ip(way), udp = way_udp(way);
	const __u8 proto = udp ? IPPROTO_UDP : IPPROTO_ESP;
	__u32 text_len = p->len - front, head = udp + form->head_len;
	__u32 tail = padded(form, text_len) - text_len + form->icv_len;
	__u32 len = p->len + head + tail;
	__u8 *text = p->data + front, *data = p->data - head;

	if (way_ip6(way))
		transport_move_ip6(data, p->data, proto, len);
	else
		transport_move_ip4(data, p->data, proto, len);
	if (udp)
		outer_write_udp(&sa->outer, data + front, len - front);
	esp_write(form, seq, text, text_len, next, op);
	p->seq = seq;
	p->family = family_of(sa, way);
	p->l4_off = (__u16)(front + udp);
	out_grow(p, data, len, head, tail);
}

/* The headers in front move down, ESP (and UDP) comes between them and what they carried. */
static void transport_write(const struct sa *sa, const struct form *form, struct packet *p,
			    const struct transport_place *place, struct crypto_op *op)
{
	__u32 head = sa->outer.len + form->head_len, text_len = p->len - place->off, tail;
	__u8 *text = p->data + place->off;

	memmove(p->data - head, p->data, place->off);
	esp_write(form, p->seq, text, text_len, place->next, op);
	tail = op->len - text_len + form->icv_len;
	p->family = sa->outer_family;
	p->l4_off = (__u16)(place->off + sa->outer.len);
	out_grow(p, p->data - head, p->len + head + tail, head, tail);
	if (sa->udp)
		outer_write_udp(&sa->outer, p->data + place->off, p->len - place->off);
	transport_set(p->data, place, sa->udp ? IPPROTO_UDP : IPPROTO_ESP, p->len);
}

static void out_write(const struct sa *sa, const struct form *form, struct outbound *burst,
		      unsigned int i, __u64 seq)
{
	struct packet *p = burst->pkt[i];

	burst->bytes += p->len;
	p->seq = seq;
	if (sa->transport) {
		transport_write(sa, form, p, &burst->place[i], &burst->op[i]);
		return;
	}
	if (burst->hidden)
		burst->tfc += tfc_pad(p, burst->hidden);
	tunnel_write(sa, &sa->outer, form, p, seq, &burst->shown[i], &burst->op[i], SA_ANY);
}

/* All of a burst, with successive numbers. */
static void out_write_any(const struct sa *sa, struct outbound *burst, unsigned int n, __u64 first)
{
	const struct form form = form_of(sa, false);

	for (unsigned int i = 0; i < n; i++)
		out_write(sa, &form, burst, i, first + i);
}

static always_inline void out_write_tunnel(const struct sa *sa, struct outbound *burst,
					   unsigned int n, __u64 first, const enum sa_way way)
{
	const struct form form = form_of(sa, true);
	__u64 bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = burst->pkt[i];

		bytes += p->len;
		tunnel_write(sa, &sa->outer, &form, p, first + i, &burst->shown[i], &burst->op[i],
			     way);
	}
	burst->bytes += bytes;
}

static always_inline void out_write_transport(const struct sa *sa, struct outbound *burst,
					      unsigned int n, __u64 first, const enum sa_way way)
{
	const __u32 front = way_ip(way);
	const struct form form = form_of(sa, true);
	__u64 bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct transport_place *place = &burst->place[i];
		struct packet *p = burst->pkt[i];

		bytes += p->len;
		p->seq = first + i;
		if (__builtin_expect(place->off == front, 1))
			transport_write_plain(sa, &form, p, first + i, place->next, &burst->op[i],
					      way);
		else
			transport_write(sa, &form, p, place, &burst->op[i]);
	}
	burst->bytes += bytes;
}

static always_inline void out_write_burst(const struct sa *sa, struct outbound *burst,
					  unsigned int n, __u64 first)
{
	switch (sa->way) {
	case SA_TUNNEL4: out_write_tunnel(sa, burst, n, first, SA_TUNNEL4); break;
	case SA_TUNNEL4_UDP: out_write_tunnel(sa, burst, n, first, SA_TUNNEL4_UDP); break;
	case SA_TUNNEL6: out_write_tunnel(sa, burst, n, first, SA_TUNNEL6); break;
	case SA_TUNNEL6_UDP: out_write_tunnel(sa, burst, n, first, SA_TUNNEL6_UDP); break;
	case SA_TRANSPORT4: out_write_transport(sa, burst, n, first, SA_TRANSPORT4); break;
	case SA_TRANSPORT4_UDP: out_write_transport(sa, burst, n, first, SA_TRANSPORT4_UDP); break;
	case SA_TRANSPORT6: out_write_transport(sa, burst, n, first, SA_TRANSPORT6); break;
	case SA_TRANSPORT6_UDP: out_write_transport(sa, burst, n, first, SA_TRANSPORT6_UDP); break;
	default: out_write_any(sa, burst, n, first);
	}
}

static void out_seal(struct sa *sa, struct outbound *burst)
{
	enum xipsec_reason reason;
	__u64 first = 0;
	unsigned int n = seq_reserve(sa->state, sa->generation, sa->esn, burst->n, &first, &reason);

	out_write_burst(sa, burst, n, first);
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
	burst.hidden = tfc_len(sa, path_mtu);
	for (unsigned int done = 0; done < n; done += BURST_MAX) {
		unsigned int part = n - done < BURST_MAX ? n - done : BURST_MAX;

		burst.bytes = burst.tfc = 0;
		outbound_admit(sa, pkts + done, part, path_mtu, &burst);
		if (__builtin_expect(burst.hidden, 0))
			tfc_admit(sa, &burst);
		if (!burst.n)
			continue;
		out_seal(sa, &burst);
		if (burst.tfc)
			__atomic_fetch_add(&sa->state->tfc_bytes, burst.tfc, __ATOMIC_RELAXED);
		sa_count(sa, burst.n, burst.bytes, now_s);
	}
}

/* ---------------------------------------------------------------- dummies */

enum xipsec_reason esp_out_dummy(struct sa *sa, const struct outer *outer, struct packet *p,
				 __u32 len)
{
	const struct shown shown = {.df = OUTER_DF, .next = IPPROTO_NONE};
	const struct form form = form_of(sa, false);
	__u32 head = outer->len + sa->head_len;
	enum xipsec_reason reason;
	struct crypto_op op;
	__u64 seq = 0;

	if (p->headroom < head || p->len + p->tailroom < len + sa->tail_room)
		return XIPSEC_REASON_TOO_BIG;
	if (!seq_reserve(sa->state, sa->generation, sa->esn, 1, &seq, &reason))
		return reason;
	p->tailroom += p->len - len;
	p->len = len;
	memset(p->data, 0, len);
	tunnel_write(sa, outer, &form, p, seq, &shown, &op, SA_ANY);
	sa->seal(sa->key->ctx, &op, 1, sa->aad_len);
	if (sa->udp && sa->outer_family == XIPSEC_FAMILY_IP6)
		outer_finish_udp6(p->data, p->l4_off - OUTER_UDP, p->len);
	sa_count_dummy(sa, len);
	return XIPSEC_REASON_UNSPEC;
}
