// SPDX-License-Identifier: BSD-2-Clause
#include "worker/firsts.h"

#include <stdlib.h>
#include <string.h>

#define IP6_FRAG_LEN 8

/* Which datagram, and which bytes of it. */
struct part {
	__be32 id;
	__u32 off, end;
};

struct first {
	struct xipsec_flow flow;
	__be32 id;
	__u32 end;    /* of the longest one */
	__u64 before; /* s: when it is forgotten; 0: free */
};

struct firsts {
	struct first first[FIRSTS_MAX];
	__u32 next; /* the oldest */
};

struct firsts *firsts_new(void)
{
	return calloc(1, sizeof(struct firsts));
}

static __u32 be16_at(const __u8 *at)
{
	return (__u32)(at[0] << 8 | at[1]);
}

static struct part part_of(const __u8 *data, const struct inner *inner)
{
	struct part part = {0};
	__u32 head_len;

	if (inner->family == XIPSEC_FAMILY_IP4) {
		head_len = inner->l4_off;
		memcpy(&part.id, data + 4, 2);
		part.off = (be16_at(data + 6) & 0x1fff) * 8;
	} else {
		head_len = inner->frag_off + IP6_FRAG_LEN;
		memcpy(&part.id, data + inner->frag_off + 4, 4);
		part.off = be16_at(data + inner->frag_off + 2) & 0xfff8;
	}
	part.end = part.off + inner->len - head_len;
	return part;
}

/* Over IPv6 a later fragment may name another protocol than the first: the ID alone counts there
 * (RFC 8200 4.5). */
static bool of_one(const struct first *first, const struct xipsec_flow *flow, __be32 id,
		   __u64 now_s)
{
	return first->before > now_s && first->id == id && first->flow.family == flow->family &&
	       (flow->family == XIPSEC_FAMILY_IP6 || first->flow.l4_proto == flow->l4_proto) &&
	       !memcmp(&first->flow.local, &flow->local, sizeof(flow->local)) &&
	       !memcmp(&first->flow.remote, &flow->remote, sizeof(flow->remote));
}

static const struct first *find(const struct firsts *firsts, const struct xipsec_flow *flow,
				__be32 id, __u64 now_s)
{
	for (int i = 0; i < FIRSTS_MAX; i++)
		if (of_one(&firsts->first[i], flow, id, now_s))
			return &firsts->first[i];
	return NULL;
}

/* A second one of a datagram takes the place of the first, which may have been longer. */
void firsts_keep(struct firsts *firsts, const __u8 *data, const struct inner *inner,
		 const struct xipsec_flow *flow, __u64 now_s)
{
	const struct part part = part_of(data, inner);
	const struct first *known = find(firsts, flow, part.id, now_s);
	struct first *first = &firsts->first[known ? known - firsts->first : firsts->next];
	const __u32 end = known && known->end > part.end ? known->end : part.end;

	if (part.end & 7)
		return;
	if (!known)
		firsts->next = (firsts->next + 1) % FIRSTS_MAX;
	*first = (struct first){*flow, part.id, end, now_s + FIRSTS_AGE + 1};
}

bool firsts_show(const struct firsts *firsts, const __u8 *data, const struct inner *inner,
		 struct xipsec_flow *flow, __u64 now_s)
{
	const struct part part = part_of(data, inner);
	const struct first *first = find(firsts, flow, part.id, now_s);

	if (!first || part.off < first->end)
		return false;
	flow->l4_proto = first->flow.l4_proto;
	flow->local_port = first->flow.local_port;
	flow->remote_port = first->flow.remote_port;
	flow->icmp = first->flow.icmp;
	flow->opaque = 0;
	return true;
}
