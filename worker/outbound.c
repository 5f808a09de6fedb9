// SPDX-License-Identifier: BSD-2-Clause
#include "worker/outbound.h"

#include <string.h>

#include "worker/plain.h"

#define PREFETCH_AHEAD 2
#define SHIFT_ALIGN    16u
#define unlikely(x)    __builtin_expect(!!(x), 0)

void outbound_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason)
{
	p->reason = (__u16)reason;
	sa_count_drop(sa, reason);
}

/* Makes headroom out of tailroom, by moving the packet up in its frame, the Ethernet header before
 * it included: an ICMP error goes back by that. Rare steps like this one stay calls, where the
 * others are flattened: inlined they take registers away from the usual way.
 */
static __attribute__((noinline)) void move_up(struct packet *p, __u32 head_need, __u32 tail_need)
{
	__u32 by = (head_need - p->headroom + SHIFT_ALIGN - 1) & ~(SHIFT_ALIGN - 1);

	if (p->tailroom < tail_need + by)
		return;
	memmove(p->data + by - p->l2_len, p->data - p->l2_len, p->l2_len + p->len);
	p->data += by;
	p->headroom += by;
	p->tailroom -= by;
}

/* What bounds the packets of a burst. */
struct bounds {
	__u32 path_mtu;
	__u32 inner_max;
	__u32 plain_max; /* longer ones are not taken by the short way */
	__u32 head_room;
	__u32 tail_room;
};

/* Any packet, by all steps. */
static __attribute__((noinline)) enum xipsec_reason admit_any(const struct sa *sa, struct packet *p,
							      const struct bounds *bounds,
							      struct shown *shown,
							      struct transport_place *place)
{
	__u32 inner_max = bounds->inner_max;
	enum xipsec_reason reason;
	struct inner inner;

	reason = inner_parse(p->data, p->len, &inner);
	if (!reason && sa->transport)
		reason = transport_find(p->data, &inner, place);
	if (reason)
		return reason;
	*shown = shown_of(&inner);
	if (sa->transport)
		inner_max = sa_transport_max(sa, bounds->path_mtu, place->off);
	if (__builtin_expect(p->headroom < sa->head_room, 0))
		move_up(p, sa->head_room, sa->tail_room);
	/* Before anything in the packet changes. */
	if (p->headroom < sa->head_room || p->tailroom + (p->len - inner.len) < sa->tail_room)
		return inner_too_big(p, &inner, inner_max);
	return inner_out(p, &inner, inner_max);
}

/* The same for the usual packet that nothing is to be done to but what a router does: a third of
 * the steps. False, and nothing has changed: not such a packet. */
static inline bool admit_plain(struct packet *p, const struct bounds *bounds, struct shown *shown)
{
	__u8 *data = p->data;
	struct plain plain;
	__u32 len = p->len;

	if (len > bounds->plain_max || p->headroom < bounds->head_room ||
	    p->tailroom < bounds->tail_room || p->flags & PACKET_LOCAL)
		return false;
	if (!plain_read(data, len, &plain) || plain_opens(data, &plain) ||
	    plain_sum_partial(data, len, &plain) || inner_forward(data, XIPSEC_FAMILY_IP4))
		return false;
	*shown = (struct shown){
		.df = plain.second & OUTER_DF, .tos = plain_tos(&plain), .next = IPPROTO_IPIP};
	return true;
}

void outbound_admit(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu,
		    struct outbound *burst)
{
	const __u32 tunnel_max = sa_inner_max(sa, path_mtu);
	const struct bounds bounds = {
		.path_mtu = path_mtu,
		.inner_max = tunnel_max,
		.plain_max = sa->transport ? 0 : tunnel_max,
		.head_room = sa->head_room,
		.tail_room = sa->tail_room,
	};
	unsigned int live = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		enum xipsec_reason reason;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + PREFETCH_AHEAD]->data, 1);
		if (p->reason)
			continue;
		if (unlikely(!admit_plain(p, &bounds, &burst->shown[live]))) {
			reason =
				admit_any(sa, p, &bounds, &burst->shown[live], &burst->place[live]);
			if (reason) {
				outbound_drop(sa, p, reason);
				continue;
			}
		}
		burst->pkt[live++] = p;
	}
	burst->n = live;
}
