// SPDX-License-Identifier: BSD-2-Clause
#include "worker/outbound.h"

#include <string.h>

#define PREFETCH_AHEAD 2
#define SHIFT_ALIGN    16u

void outbound_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason)
{
	p->reason = (__u16)reason;
	sa_count_drop(sa, reason);
}

/* Makes headroom out of tailroom, by moving the packet up in its frame. Rare steps like this one
 * stay calls, where the others are flattened: inlined they take registers away from the usual way.
 */
static __attribute__((noinline)) void move_up(struct packet *p, __u32 head_need, __u32 tail_need)
{
	__u32 by = (head_need - p->headroom + SHIFT_ALIGN - 1) & ~(SHIFT_ALIGN - 1);

	if (p->tailroom < tail_need + by)
		return;
	memmove(p->data + by, p->data, p->len);
	p->data += by;
	p->headroom += by;
	p->tailroom -= by;
}

static enum xipsec_reason admit_one(const struct sa *sa, struct packet *p, __u32 path_mtu,
				    __u32 inner_max, struct inner *inner,
				    struct transport_place *place)
{
	enum xipsec_reason reason = inner_parse(p->data, p->len, inner);

	if (!reason && sa->transport)
		reason = transport_find(p->data, inner, place);
	if (reason)
		return reason;
	if (sa->transport)
		inner_max = sa_transport_max(sa, path_mtu, place->off);
	if (__builtin_expect(p->headroom < sa->head_room, 0))
		move_up(p, sa->head_room, sa->tail_room);
	/* Before anything in the packet changes. */
	if (p->headroom < sa->head_room || p->tailroom + (p->len - inner->len) < sa->tail_room) {
		p->icmp_mtu = inner_max;
		return XIPSEC_REASON_TOO_BIG;
	}
	return inner_out(p, inner, inner_max);
}

void outbound_admit(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu,
		    struct outbound *burst)
{
	__u32 tunnel_max = sa_inner_max(sa, path_mtu);
	struct transport_place *place = burst->place;
	struct inner *inner = burst->inner;
	struct packet **live = burst->pkt;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		enum xipsec_reason reason;

		if (i + PREFETCH_AHEAD < n)
			__builtin_prefetch(pkts[i + PREFETCH_AHEAD]->data, 1);
		if (p->reason)
			continue;
		reason = admit_one(sa, p, path_mtu, tunnel_max, inner, place);
		if (reason) {
			outbound_drop(sa, p, reason);
			continue;
		}
		*live++ = p;
		inner++;
		place++;
	}
	burst->n = (unsigned int)(live - burst->pkt);
}
