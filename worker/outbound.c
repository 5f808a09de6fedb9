// SPDX-License-Identifier: BSD-2-Clause
#include "worker/outbound.h"

#include <string.h>

#include "worker/plain.h"

#define PREFETCH_AHEAD 2
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
static __attribute__((noinline)) void move_up(const struct sa *sa, struct packet *p)
{
	__u32 by = outbound_shift(sa, p);

	if (p->tailroom < sa->tail_room + by)
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
	__u32 plain4_max, plain6_max; /* longer ones are not taken by the short way */
	bool transport;
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
		reason = inner.family == sa->outer_family ? transport_find(p->data, &inner, place)
							  : XIPSEC_REASON_SELECTOR;
	if (reason)
		return reason;
	*shown = shown_of(&inner);
	if (sa->transport)
		inner_max = sa_transport_max(sa, bounds->path_mtu, place->off);
	if (__builtin_expect(p->headroom < sa->head_room, 0))
		move_up(sa, p);
	/* Before anything in the packet changes. */
	if (p->headroom < sa->head_room || p->tailroom + (p->len - inner.len) < sa->tail_room)
		return inner_too_big(p, &inner, inner_max);
	return inner_out(p, &inner, inner_max);
}

static inline bool has_room(const struct packet *p, const struct bounds *bounds, __u32 max)
{
	return p->len <= max && p->headroom >= bounds->head_room &&
	       p->tailroom >= bounds->tail_room;
}

/* TTL: false, and nothing has changed, when it ends here. */
static inline bool goes_on(const struct packet *p, __u8 family)
{
	return p->flags & PACKET_LOCAL || !inner_forward(p->data, family);
}

/* The same for the usual packet that nothing is to be done to but what a router does: a third of
 * the steps. False, and nothing has changed: not such a packet. */
static inline bool admit_plain(const struct packet *p, const struct bounds *bounds,
			       struct shown *shown, struct transport_place *place)
{
	const __u8 *data = p->data;
	struct plain plain;

	if (!has_room(p, bounds, bounds->plain4_max) || !plain_read(data, p->len, &plain) ||
	    plain_opens(data, &plain) || plain_sum_partial(data, p->len, &plain) ||
	    !goes_on(p, XIPSEC_FAMILY_IP4))
		return false;
	if (bounds->transport)
		*place =
			(struct transport_place){PLAIN_L4, TRANSPORT_IP4_NEXT, plain_proto(&plain)};
	else
		*shown = (struct shown){.df = plain.second & OUTER_DF,
					.tos = plain_tos(&plain),
					.next = IPPROTO_IPIP};
	return true;
}

static inline bool admit_plain6(const struct packet *p, const struct bounds *bounds,
				struct shown *shown, struct transport_place *place)
{
	const __u8 *data = p->data;
	struct plain6 plain;

	if (!has_room(p, bounds, bounds->plain6_max) || !plain6_read(data, p->len, &plain) ||
	    plain6_opens(data, &plain) || plain6_sum_partial(data, p->len, &plain) ||
	    !goes_on(p, XIPSEC_FAMILY_IP6))
		return false;
	if (bounds->transport)
		*place = (struct transport_place){PLAIN6_L4, TRANSPORT_IP6_NEXT,
						  plain6_proto(&plain)};
	else
		*shown = (struct shown){.flow = plain.first & 0xfffff,
					.df = OUTER_DF,
					.tos = plain6_tos(&plain),
					.next = IPPROTO_IPV6};
	return true;
}

/* In transport mode a packet of the other family has no place: such takes the long way, to its end.
 */
static __u32 plain_max(const struct sa *sa, __u8 family, __u32 path_mtu, __u32 front)
{
	if (!sa->transport)
		return sa_inner_max(sa, path_mtu);
	return sa->outer_family == family ? sa_transport_max(sa, path_mtu, front) : 0;
}

void outbound_admit(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu,
		    struct outbound *burst)
{
	const struct bounds bounds = {
		.path_mtu = path_mtu,
		.inner_max = sa_inner_max(sa, path_mtu),
		.plain4_max = plain_max(sa, XIPSEC_FAMILY_IP4, path_mtu, PLAIN_L4),
		.plain6_max = plain_max(sa, XIPSEC_FAMILY_IP6, path_mtu, PLAIN6_L4),
		.transport = sa->transport,
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
		if (unlikely(!admit_plain(p, &bounds, &burst->shown[live], &burst->place[live])) &&
		    !admit_plain6(p, &bounds, &burst->shown[live], &burst->place[live])) {
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
