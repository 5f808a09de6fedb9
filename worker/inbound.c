// SPDX-License-Identifier: BSD-2-Clause
#include "worker/inbound.h"

#include <netinet/in.h>
#include <string.h>

#include "worker/inner.h"
#include "worker/plain.h"
#include "worker/selectors.h"
#include "worker/transport.h"

void inbound_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason)
{
	p->reason = (__u16)reason;
	sa_count_drop(sa, reason);
}

enum xipsec_reason inbound_state(const struct sa *sa)
{
	__u32 status = __atomic_load_n(&sa->state->status, __ATOMIC_ACQUIRE);

	if (__atomic_load_n(&sa->state->generation, __ATOMIC_ACQUIRE) != sa->generation ||
	    status == XIPSEC_SA_FREE)
		return XIPSEC_REASON_STALE_META;
	return status == XIPSEC_SA_LIVE ? XIPSEC_REASON_UNSPEC : XIPSEC_REASON_LIMIT;
}

__u32 inbound_len(const struct packet *p, __u8 *tos)
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

/* Does the next header say what begins there? */
static int version_right(__u8 next, const __u8 *text)
{
	return text[0] >> 4 == 4 ? next == IPPROTO_IPIP : text[0] >> 4 == 6 && next == IPPROTO_IPV6;
}

/* The usual packet out of the usual tunnel, to which nothing is to be done. False, and nothing has
 * changed: another, or one that is refused. */
static bool tunnel_plain(const struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
			 __u8 next, __u8 tos)
{
	struct plain plain;

	if (next != IPPROTO_IPIP || !plain_read(text, text_len, &plain))
		return false;
	if (tos & 3 && (tos ^ plain_tos(&plain)) & 3)
		return false;
	if (!selectors_accept_plain(sa, text + 12))
		return false;
	in_shrink(p, text, text_len);
	p->family = XIPSEC_FAMILY_IP4;
	p->l4_off = PLAIN_L4;
	return true;
}

static bool tunnel_plain6(const struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
			  __u8 next, __u8 tos)
{
	struct plain6 plain;

	if (next != IPPROTO_IPV6 || !plain6_read(text, text_len, &plain))
		return false;
	if (tos & 3 && (tos ^ plain6_tos(&plain)) & 3)
		return false;
	if (!selectors_accept_plain6(sa, text + 8))
		return false;
	in_shrink(p, text, text_len);
	p->family = XIPSEC_FAMILY_IP6;
	p->l4_off = PLAIN6_L4;
	return true;
}

/* Any other. TFC padding behind the inner packet (RFC 4303 2.7) goes. What the selectors refuse, or
 * ECN, is told as it is inside: the packet is that already. */
static __attribute__((noinline)) enum xipsec_reason tunnel_any(struct sa *sa, struct packet *p,
							       __u8 *text, __u32 text_len,
							       __u8 next, __u8 tos)
{
	enum xipsec_reason reason;
	struct inner inner;

	if (!text_len || !version_right(next, text))
		return XIPSEC_REASON_NEXT_HEADER;
	reason = inner_parse(text, text_len, &inner);
	if (reason)
		return reason;
	in_shrink(p, text, inner.len);
	in_describe(p, &inner);
	reason = selectors_check(sa, text, &inner);
	if (reason)
		return reason;
	if (text_len > inner.len)
		__atomic_fetch_add(&sa->state->tfc_bytes, text_len - inner.len, __ATOMIC_RELAXED);
	reason = inner_in(p->data, &inner, tos);
	if (reason != XIPSEC_REASON_OPENED_ECN)
		return reason;
	p->flags |= PACKET_ECN;
	return XIPSEC_REASON_UNSPEC;
}

enum xipsec_reason inbound_tunnel(struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
				  __u8 next, __u8 tos)
{
	if (__builtin_expect(tunnel_plain(sa, p, text, text_len, next, tos), 1))
		return XIPSEC_REASON_UNSPEC;
	if (tunnel_plain6(sa, p, text, text_len, next, tos))
		return XIPSEC_REASON_UNSPEC;
	return tunnel_any(sa, p, text, text_len, next, tos);
}

bool inbound_in_udp(const struct packet *p)
{
	__u32 at = IP6_LEN;
	__u8 next = p->data[TRANSPORT_IP6_NEXT];

	if (p->data[0] >> 4 == 4)
		return p->data[9] == IPPROTO_UDP;
	while (next != IPPROTO_UDP && next != IPPROTO_ESP && at + OUTER_UDP <= p->l4_off) {
		const __u8 *ext = p->data + at;

		at += transport_ext_len(ext, next);
		next = *ext;
	}
	return next == IPPROTO_UDP;
}

/* Its `len` bytes of TCP or UDP at `l4` have a checksum, of other addresses. */
static inline void note_sum(struct packet *p, const __u8 *l4, __u32 len, __u8 proto, bool ip4)
{
	const __u32 stated = (__u32)(l4[4] << 8 | l4[5]);
	const bool none = !(l4[6] | l4[7]) && ip4;

	if (proto != IPPROTO_UDP || (stated == len && !none))
		p->flags |= PACKET_SUM;
}

/* The field's offset from l4_off, and the sum of the pseudo-header. */
static __u16 sum_field(const struct packet *p, __u64 *pseudo)
{
	const bool ip4 = p->family == XIPSEC_FAMILY_IP4;
	const __u8 proto = p->data[ip4 ? TRANSPORT_IP4_NEXT : TRANSPORT_IP6_NEXT];

	*pseudo = csum_pseudo(p->data, proto, p->len - p->l4_off);
	return proto == IPPROTO_UDP ? 6 : 16;
}

void inbound_sum(struct packet *p)
{
	__u64 pseudo;
	__u16 field;

	if (!(p->flags & PACKET_SUM))
		return;
	p->flags &= (__u8)~PACKET_SUM;
	field = sum_field(p, &pseudo);
	csum_renew(p->data + p->l4_off, p->len - p->l4_off, field, pseudo, field == 6);
}

__u16 inbound_sum_open(struct packet *p)
{
	__u64 pseudo;
	const __u16 field = sum_field(p, &pseudo), check = csum_fold(pseudo);

	memcpy(p->data + p->l4_off + field, &check, sizeof(check));
	return field;
}

/* The usual packet in transport mode, behind an IPv4 header without options. False, and nothing has
 * changed: another, or one that is refused. */
static inline bool transport_plain(const struct sa *sa, struct packet *p, __u8 *text,
				   __u32 text_len, __u8 next)
{
	const __u32 len = PLAIN_L4 + text_len;
	const __u8 *front = p->data;
	const bool udp = front[TRANSPORT_IP4_NEXT] == IPPROTO_UDP;
	__u32 check_off;

	if (front[0] != 0x45 || p->l4_off != PLAIN_L4 + (udp ? OUTER_UDP : 0) ||
	    text_len < PLAIN_UDP || plain_word(front + 4) & PLAIN_FRAG ||
	    !plain_l4(text, text_len, next, &check_off))
		return false;
	if (!selectors_accept_plain(sa, front + 12))
		return false;
	if (udp || sa->udp)
		note_sum(p, text, text_len, next, true);
	in_shrink(p, text - PLAIN_L4, len);
	transport_move_ip4(p->data, front, next, len);
	p->family = XIPSEC_FAMILY_IP4;
	p->l4_off = PLAIN_L4;
	return true;
}

/* The same behind an IPv6 header without extension headers. */
static inline bool transport_plain6(const struct sa *sa, struct packet *p, __u8 *text,
				    __u32 text_len, __u8 next)
{
	const __u32 len = PLAIN6_L4 + text_len;
	const __u8 *front = p->data;
	const bool udp = front[TRANSPORT_IP6_NEXT] == IPPROTO_UDP;
	__u32 check_off;

	if (front[0] >> 4 != 6 || p->l4_off != PLAIN6_L4 + (udp ? OUTER_UDP : 0) ||
	    text_len < PLAIN_UDP || !plain_l4(text, text_len, next, &check_off))
		return false;
	if (!selectors_accept_plain6(sa, front + 8))
		return false;
	if (udp || sa->udp)
		note_sum(p, text, text_len, next, false);
	in_shrink(p, text - PLAIN6_L4, len);
	transport_move_ip6(p->data, front, next, len);
	p->family = XIPSEC_FAMILY_IP6;
	p->l4_off = PLAIN6_L4;
	return true;
}

/* Any other: the headers in front move up to what ESP carried, and do not stand any more where they
 * stood: from then on the packet is the inner one, refused or not. */
static __attribute__((noinline)) enum xipsec_reason transport_any(struct sa *sa, struct packet *p,
								  __u8 *text, __u32 text_len,
								  __u8 next)
{
	const bool udp = inbound_in_udp(p);
	const __u32 front = p->l4_off - (udp ? OUTER_UDP : 0u);
	enum xipsec_reason reason;
	struct transport_place place;
	struct inner inner;
	__u8 *data = text - front;

	reason = transport_find_at(p->data, front, &place);
	if (reason)
		return reason;
	memmove(data, p->data, front);
	transport_set(data, &place, next, front + text_len);
	in_shrink(p, data, front + text_len);
	reason = inner_parse(data, p->len, &inner);
	if (reason)
		return reason;
	in_describe(p, &inner);
	reason = selectors_check(sa, data, &inner);
	if (reason)
		return reason;
	if (udp || sa->udp)
		inner_checksum(p->data, &inner);
	return XIPSEC_REASON_UNSPEC;
}

enum xipsec_reason inbound_transport(struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
				     __u8 next)
{
	/* Behind a NAT the addresses are not those that the transport checksum was made with: it is
	 * made anew (RFC 3948 3.1.2), of the usual packet by who sends it on. */
	if (__builtin_expect(transport_plain(sa, p, text, text_len, next), 1))
		return XIPSEC_REASON_UNSPEC;
	if (transport_plain6(sa, p, text, text_len, next))
		return XIPSEC_REASON_UNSPEC;
	return transport_any(sa, p, text, text_len, next);
}

void inbound_origin(const struct packet *p, struct origin *from)
{
	__u32 ip4 = p->data[0] >> 4 == 4;

	memset(from, 0, sizeof(*from));
	memcpy(from->addr.byte, p->data + (ip4 ? 12 : 8), ip4 ? 4 : 16);
	memcpy(&from->port, p->data + p->l4_off - OUTER_UDP, 2);
}

/* RFC 3948 4.4, RFC 7296 2.23: a peer behind a NAT may come from elsewhere now. Believed of a
 * packet that is authentic and newer than all others, so a replay of an old one moves nobody. In
 * transport mode the address is part of what selectors and connections name: the port alone. */
void inbound_peer(struct sa *sa, const struct packet *p, const struct origin *from)
{
	int same = !memcmp(&from->addr, &sa->peer, sizeof(from->addr));

	if (p->seq != __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED))
		return;
	if (same ? from->port == sa->peer_port : sa->transport)
		return;
	sa->peer = from->addr;
	sa->peer_port = from->port;
	sa->peer_changed = 1;
}

/* If the state went to another SA meanwhile, the window that accepted these was not theirs. */
void inbound_recheck(struct sa *sa, struct inbound *burst)
{
	if (__atomic_load_n(&sa->state->generation, __ATOMIC_ACQUIRE) == sa->generation)
		return;
	for (unsigned int i = 0; i < burst->n; i++)
		if (burst->pkt[i]->reason == XIPSEC_REASON_OPENED)
			burst->pkt[i]->reason = XIPSEC_REASON_STALE_META;
	burst->opened = 0;
}
