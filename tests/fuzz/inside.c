// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/inside.h"

#include <netinet/in.h>

#include "tests/fuzz/see.h"

/* ---------------------------------------------------------------- selectors */

/* First fragments that narrow_allows() said yes to, in tunnel mode: in transport mode the network
 * may cut what is sealed, but nobody seals fragments. */
static struct head {
	struct seen seen;
	__u8 addrs[32];
} heads[FRAMES];
static unsigned int n_heads;

void inside_begin(void)
{
	n_heads = 0;
}

/* What cannot be seen must not be allowed: a refused port may hide in it. */
static int narrow_quote(const struct seen *seen, const __u8 *data)
{
	struct seen quote;

	if (!quote_see(seen, data, &quote) || quote.later)
		return 0;
	return (quote.proto == 6 || quote.proto == 17) &&
	       data[quote.l4_off] * 256u + data[quote.l4_off + 1] != 23 &&
	       quote.dst[0] == (quote.family == 4 ? 10 : 0xfd);
}

static int datagram_same(const struct head *head, const struct seen *seen)
{
	return head->seen.family == seen->family && head->seen.id == seen->id &&
	       !memcmp(head->addrs, seen->src, 2 * seen->addr_len) &&
	       (seen->family == 6 || head->seen.proto == seen->proto);
}

static int narrow_later(const struct seen *seen)
{
	int known = 0;

	for (unsigned int i = 0; i < n_heads; i++) {
		if (!datagram_same(&heads[i], seen))
			continue;
		if (seen->from < heads[i].seen.to)
			return 0;
		known = 1;
	}
	return known;
}

static void head_note(const struct seen *seen)
{
	MUST(n_heads < FRAMES);
	heads[n_heads].seen = *seen;
	memcpy(heads[n_heads++].addrs, seen->src, 2 * seen->addr_len);
}

/* Whether the selectors of SHAPE_NARROW allow what was opened, asked in its order: UDP and TCP from
 * 10/8 or fd00::/8, but not to local port 23; or an error about what was sent so; or a fragment
 * that begins behind all that was opened of its datagram's head. */
static int narrow_allows(const struct seen *seen, const __u8 *data, int transport)
{
	__u32 port;

	if (seen->later)
		return narrow_later(seen);
	if (seen->len < seen->l4_off + 8)
		return 0;
	if (seen_error(seen, data))
		return narrow_quote(seen, data);
	port = data[seen->l4_off + 2] * 256u + data[seen->l4_off + 3];
	if ((seen->proto != 6 && seen->proto != 17) || port == 23 ||
	    seen->src[0] != (seen->family == 4 ? 10 : 0xfd))
		return 0;
	if (seen->fragment && seen->to % 8 == 0 && !transport)
		head_note(seen);
	return 1;
}

/* ---------------------------------------------------------------- what an SA carried */

/* RFC 6040 4.2, figure 4: rows are the inner mark. -1: to be dropped. */
static int ecn_expected(__u8 inner, __u8 outer)
{
	static const int table[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

	return table[inner & 3][outer & 3];
}

/* Which byte of the IP headers in `len` bytes says what stands behind them; 0: they do not end
 * there, or are more than `max` behind that of IPv6. */
static __u32 front_next(const __u8 *front, __u32 len, __u32 max)
{
	__u32 at = 40, next = 6;

	if (front[0] / 16 == 4)
		return len >= 20 && len == (front[0] & 15) * 4u ? 9 : 0;
	for (__u32 n = 0; at + 8 <= len && n < max && is_extension(front[next]); n++) {
		__u32 size = front[next] == 44 ? 8 : 8 + front[at + 1] * 8u;

		next = at;
		at += size;
	}
	return at == len ? next : 0;
}

/* Do they say that UDP follows? Its header is the last in front, then. */
static int front_udp(const __u8 *front, __u32 len)
{
	__u32 here = front_next(front, len, len), before = front_next(front, len - 8, len);

	return (here && front[here] == 17) || (before && front[before] == 17);
}

int inside_make(const struct ends *ends, struct inside *inside, const __u8 *front, __u32 front_len,
		const __u8 *text, __u32 text_len, __u8 next)
{
	__u32 at;
	int udp;

	inside->sum_new = 0;
	inside->len = text_len;
	if (!(ends->shape & SHAPE_TRANSPORT)) {
		MUST(text_len <= INSIDE_MAX);
		memcpy(inside->data, text, text_len);
		return 1;
	}
	udp = front_udp(front, front_len);
	front_len -= udp ? 8 : 0;
	at = front_next(front, front_len, EXTENSIONS);
	if (!at)
		return 0;
	MUST(front_len + text_len <= INSIDE_MAX);
	memcpy(inside->data, front, front_len);
	memcpy(inside->data + front_len, text, text_len);
	inside->data[at] = next;
	inside->len += front_len;
	inside->sum_new = udp || ends->shape & SHAPE_UDP;
	packet_mend(inside->data, inside->len);
	return 1;
}

static int version_fits(const struct inside *inside, __u8 next)
{
	__u8 version = inside->len ? inside->data[0] / 16 : 0;

	return version == 4 ? next == IPPROTO_IPIP : version == 6 && next == IPPROTO_IPV6;
}

enum xipsec_reason inside_judge(const struct ends *ends, const struct inside *inside, __u8 next,
				__u8 outer_tos)
{
	const int transport = ends->shape & SHAPE_TRANSPORT;
	struct seen seen;

	if (!transport && !version_fits(inside, next))
		return XIPSEC_REASON_NEXT_HEADER;
	if (!packet_sound(inside->data, inside->len, &seen))
		return XIPSEC_REASON_INNER_MALFORMED;
	if (ends->shape & SHAPE_NARROW && !narrow_allows(&seen, inside->data, transport))
		return XIPSEC_REASON_SELECTOR;
	if (!quote_allows(&seen, inside->data))
		return XIPSEC_REASON_ICMP_QUOTE;
	if (!transport && ecn_expected(seen.tos, outer_tos) < 0)
		return XIPSEC_REASON_ECN;
	return XIPSEC_REASON_OPENED;
}

/* Of TCP, UDP and ICMPv6, from the packet's first byte; 0: it has none that is known here. */
static __u32 sum_place(const struct seen *seen)
{
	if (seen->later)
		return 0;
	if (seen->family == 6 && seen->proto == 58)
		return seen->l4_off + 2;
	return seen->proto == 6 ? seen->l4_off + 16 : seen->proto == 17 ? seen->l4_off + 6 : 0;
}

static void bytes_must(const struct ends *ends, const struct inside *inside, const struct packet *p,
		       __u8 outer_tos)
{
	__u8 expected[INSIDE_MAX];
	struct seen seen, before;
	__u32 sum = 0;

	MUST(packet_see(inside->data, inside->len, &before) && p->len == before.len);
	MUST(packet_see(p->data, p->len, &seen) && seen.len == p->len);
	MUST(seen.family == p->family && p->l4_off == (seen.later ? 0 : seen.l4_off));
	MUST(packet_sum_fits(p->data) == packet_sum_fits(inside->data));
	memcpy(expected, inside->data, p->len);
	if (ends->shape & SHAPE_TRANSPORT) {
		sum = inside->sum_new ? sum_place(&seen) : 0;
	} else {
		__u8 tos = (__u8)((before.tos & 0xfc) | ecn_expected(before.tos, outer_tos));

		MUST(seen.tos == tos);
		sum = seen.family == 4 && tos != before.tos ? 10 : 0;
		if (seen.family == 4) {
			expected[1] = tos;
		} else {
			expected[0] = 0x60 | tos >> 4;
			expected[1] = (__u8)(tos << 4 | (expected[1] & 15));
		}
	}
	if (sum)
		memcpy(expected + sum, p->data + sum, 2);
	MUST(!memcmp(p->data, expected, p->len));
}

void inside_must(const struct ends *ends, const struct inside *inside, const struct packet *p,
		 __u8 outer_tos, enum xipsec_reason deserved)
{
	struct seen seen;

	if (deserved) {
		MUST_END(p, deserved);
		if (deserved == XIPSEC_REASON_OPENED)
			bytes_must(ends, inside, p, outer_tos);
	} else if (p->reason == XIPSEC_REASON_OPENED) {
		MUST(packet_sound(p->data, p->len, &seen));
	}
}
