// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hints.h"

/* A rule that takes more values on an axis than this makes the table a wild one there. */
#define VALUES_MAX 512

__u32 hints_words(__u64 n)
{
	__u32 words = 512;

	while (words < n && words < 1U << 18)
		words *= 2;
	return words;
}

__u32 hints_buckets(__u32 words)
{
	return 2 * words / 8;
}

static void word_or(__u64 *word, __u64 bit)
{
	if (!(*word & bit))
		__atomic_store_n(word, *word | bit, __ATOMIC_RELEASE);
}

static void axis_set(struct classifier *c, const struct xipsec_spd_table *table,
		     enum xipsec_hint axis, __u64 lo, __u64 n)
{
	int ip6 = table->family == XIPSEC_FAMILY_IP6;
	__u64 *words = axis < XIPSEC_HINT_LOCAL_WIDE
			       ? (__u64 *)&c->bucket[c->head->hint_at]
			       : c->head->hint[ip6][axis - XIPSEC_HINT_LOCAL_WIDE];
	__u64 *wild = &c->head->wild[ip6][axis];
	__u64 bit = 1ULL << (table->place & 63);

	if (*wild & bit)
		return;
	if (n > VALUES_MAX) {
		word_or(wild, bit);
		return;
	}
	for (__u64 i = 0; i < n; i++)
		word_or(&words[xipsec_hint_word(c->head, axis, ip6, lo + i)], bit);
}

static void axis_net(struct classifier *c, const struct xipsec_spd_table *table,
		     enum xipsec_hint axis, const struct net *net, __u8 bits)
{
	wide lo = net->lo >> (128 - bits), n = (net->hi >> (128 - bits)) - lo;

	axis_set(c, table, axis, (__u64)lo, n < VALUES_MAX ? (__u64)n + 1 : VALUES_MAX + 1);
}

static void axis_port(struct classifier *c, const struct xipsec_spd_table *table,
		      const struct shape *shape)
{
	__u32 lo = xipsec_port_block(shape->remote_port.lo);
	__u32 hi = xipsec_port_block(shape->remote_port.hi);

	if (!shape->has_proto)
		axis_set(c, table, XIPSEC_HINT_PORT, 0, VALUES_MAX + 1);
	else if (lo <= hi)
		axis_set(c, table, XIPSEC_HINT_PORT, (__u64)shape->l4_proto << 9 | lo, hi - lo + 1);
}

void hints_set(struct classifier *c, __u32 number, const struct shape *shape)
{
	const struct xipsec_spd_table *table = &c->head->table[number];
	__u8 unit = table->family == XIPSEC_FAMILY_IP6 ? 2 : 1;

	axis_net(c, table, XIPSEC_HINT_LOCAL, &shape->local, 24 * unit);
	axis_net(c, table, XIPSEC_HINT_REMOTE, &shape->remote, 24 * unit);
	axis_net(c, table, XIPSEC_HINT_LOCAL_WIDE, &shape->local, 10 * unit);
	axis_net(c, table, XIPSEC_HINT_REMOTE_WIDE, &shape->remote, 10 * unit);
	axis_port(c, table, shape);
}
