// SPDX-License-Identifier: BSD-2-Clause
#include "worker/ah.h"

#include <netinet/in.h>

#include "worker/outbound.h"
#include "worker/seq.h"
#include "worker/transport.h"

static __u32 front_len(const struct sa *sa, const struct outbound *burst, unsigned int i)
{
	return sa->transport ? burst->place[i].off : sa->outer.len;
}

/* Without the fragment header that its sender put in front, if that cuts nothing. */
static void ah_place(struct packet *p, struct transport_place *place)
{
	__u32 gone = transport_whole(p, place->off);

	if (gone)
		transport_find_at(p->data, place->off - gone, place);
}

/* Before numbers are drawn: what has headers that cannot be protected goes. */
static void ah_filter(struct sa *sa, struct outbound *burst)
{
	unsigned int kept = 0;

	for (unsigned int i = 0; i < burst->n && sa->transport; i++) {
		enum xipsec_reason reason = XIPSEC_REASON_AH_FRONT;
		__u8 front[AH_FRONT_MAX];
		__u32 len;

		ah_place(burst->pkt[i], &burst->place[i]);
		len = burst->place[i].off;
		if (len <= sizeof(front)) {
			memcpy(front, burst->pkt[i]->data, len);
			reason = ah_mask(front, len);
		}
		if (reason) {
			outbound_drop(sa, burst->pkt[i], reason);
			continue;
		}
		burst->pkt[kept] = burst->pkt[i];
		burst->shown[kept] = burst->shown[i];
		burst->place[kept++] = burst->place[i];
	}
	if (sa->transport)
		burst->n = kept;
}

/* At `ah`, the ICV zero as RFC 4302 3.3.3.1 wants it while it is computed. */
static void ah_header(const struct sa *sa, __u8 *ah, __u8 next, __u64 seq)
{
	__be32 seq_lo = htobe32((__u32)seq);

	memset(ah, 0, sa->head_len);
	ah[0] = next;
	ah[1] = (__u8)(sa->head_len / 4 - 2);
	memcpy(ah + 4, &sa->spi, sizeof(sa->spi));
	memcpy(ah + 8, &seq_lo, sizeof(seq_lo));
}

static void out_grow(const struct sa *sa, struct packet *p, __u32 by, __u32 ah_off)
{
	p->data -= by;
	p->headroom -= by;
	p->len += by;
	p->family = sa->outer_family;
	p->l4_off = (__u16)ah_off;
	p->reason = XIPSEC_REASON_SEALED;
}

static void ah_write(const struct sa *sa, struct outbound *burst, unsigned int i)
{
	struct packet *p = burst->pkt[i];
	const struct shown *shown = &burst->shown[i];
	__u32 front = front_len(sa, burst, i);

	burst->bytes += p->len;
	if (sa->transport) {
		memmove(p->data - sa->head_len, p->data, front);
		out_grow(sa, p, sa->head_len, front);
		ah_header(sa, p->data + front, burst->place[i].next, p->seq);
		transport_set(p->data, &burst->place[i], IPPROTO_AH, p->len);
		return;
	}
	out_grow(sa, p, sa->outer.len + sa->head_len, front);
	ah_header(sa, p->data + front, shown->next, p->seq);
	outer_write(&sa->outer, p->data, p->len, shown, outer_id(&sa->outer, shown, p->seq));
}

/* All of the packet is authenticated, GMAC's IV in it (RFC 4543 7), and the high half of an ESN
 * behind it (RFC 4302 2.5.1). */
static void ah_op(const struct sa *sa, struct packet *p, __u32 front, struct crypto_op *op)
{
	const struct form form = form_of(sa, false);
	__be32 seq_hi = htobe32((__u32)(p->seq >> 32));

	memcpy(p->data - front, p->data, front);
	ah_mask(p->data, front); /* ah_filter() saw that it can be done */
	if (sa->esn)
		memcpy(p->data + p->len, &seq_hi, sizeof(seq_hi));
	op->text = p->data;
	op->len = p->len + (sa->esn ? sizeof(seq_hi) : 0);
	op->tag = p->data + front + sa->icv_off;
	op->head_len = 0;
	outbound_nonce(&form, op->nonce, htobe64(p->seq));
	memcpy(p->data + front + AH_LEN, op->nonce + sa->salt_len, sa->iv_len);
}

static void ah_seal(struct sa *sa, struct outbound *burst)
{
	enum xipsec_reason reason;
	__u64 first = 0;
	unsigned int n = seq_reserve(sa->state, sa->generation, sa->esn, burst->n, &first, &reason);

	for (unsigned int i = 0; i < n; i++) {
		burst->pkt[i]->seq = first + i;
		ah_write(sa, burst, i);
		ah_op(sa, burst->pkt[i], front_len(sa, burst, i), &burst->op[i]);
	}
	for (unsigned int i = n; i < burst->n; i++)
		outbound_drop(sa, burst->pkt[i], reason);
	burst->n = n;
	sa->seal(sa->key->ctx, burst->op, n, 0);
	/* The mutable fields come back. */
	for (unsigned int i = 0; i < n; i++) {
		__u32 front = front_len(sa, burst, i);

		memcpy(burst->pkt[i]->data, burst->pkt[i]->data - front, front);
	}
}

void ah_out_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu, __u64 now_s)
{
	struct outbound burst;

	path_mtu = sa_path_mtu(sa, path_mtu, now_s);
	for (unsigned int done = 0; done < n; done += BURST_MAX) {
		unsigned int part = n - done < BURST_MAX ? n - done : BURST_MAX;

		burst.n = 0;
		burst.bytes = 0;
		outbound_admit(sa, pkts + done, part, path_mtu, &burst);
		ah_filter(sa, &burst);
		if (!burst.n)
			continue;
		ah_seal(sa, &burst);
		sa_count(sa, burst.n, burst.bytes, now_s);
	}
}
