// SPDX-License-Identifier: BSD-2-Clause
/* Which table a rule goes into, and the lists in which programs go through them. */
#include "loader/classifier_inside.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

/* ------------------------------------------------------------------ lists */

/* The table stands in the list, neither its own best nor a bound up to it is above `priority`. They
 * only ever sink while programs read: a lower one never makes a search miss a rule. */
static void list_cover(struct xipsec_spd_list *list, __u32 table, __u32 place, __u32 priority)
{
	__u64 *member = &list->member[place / 64], bit = 1ULL << (place & 63);

	list->entry[place].table = table;
	if (list->entry[place].best > priority)
		__atomic_store_n(&list->entry[place].best, priority, __ATOMIC_RELEASE);
	for (__u32 i = place + 1; i-- > 0 && list->entry[i].bound > priority;) /* they ascend */
		__atomic_store_n(&list->entry[i].bound, priority, __ATOMIC_RELEASE);
	if (*member & bit)
		return;
	__atomic_store_n(member, *member | bit, __ATOMIC_RELEASE);
	__atomic_store_n(&list->n, list->n + 1, __ATOMIC_RELEASE);
}

void lists_cover(struct classifier *c, __u32 table, const struct xipsec_spd_rule *rule)
{
	const struct xipsec_spd_table *t = &c->head->table[table];

	for (__u32 dir = XIPSEC_DIR_OUT; dir <= XIPSEC_DIR_IN; dir++) {
		if (!(rule->dirs & dir))
			continue;
		for (__u32 view = 0; view < XIPSEC_VIEWS; view++)
			if (t->views >> view & 1)
				list_cover(&c->head->list[xipsec_spd_list_of(dir, t->family, view)],
					   table, t->place, rule->priority);
	}
}

/* ------------------------------------------------------------------ tables */

static __u64 prefix64(unsigned int bits)
{
	return bits == 0 ? 0 : bits >= 64 ? ~0ULL : ~0ULL << (64 - bits);
}

/* Masks are written as the addresses are: words of network order, two to a 64-bit word. */
static __u64 mask_words(unsigned int bits)
{
	__u64 mask = prefix64(bits);

	return (__u64)htonl((__u32)(mask >> 32)) << 32 | htonl((__u32)mask);
}

static void table_masks(struct xipsec_spd_table *table)
{
	unsigned int local = table->local_bits, remote = table->remote_bits;
	__u32 ports = (0xffffU << (16 - table->local_port_bits) & 0xffff) << 16 |
		      (0xffffU << (16 - table->remote_port_bits) & 0xffff);

	memset(table->mask, 0, sizeof(table->mask));
	if (table->family == XIPSEC_FAMILY_IP6) {
		table->mask[0] = mask_words(local > 64 ? 64 : local);
		table->mask[1] = mask_words(local > 64 ? local - 64 : 0);
		table->mask[2] = mask_words(remote > 64 ? 64 : remote);
		table->mask[3] = mask_words(remote > 64 ? remote - 64 : 0);
	} else {
		table->mask[0] = (mask_words(local) >> 32) << 32 | mask_words(remote) >> 32;
	}
	table->mask[4] = (table->proto_bits ? 0xffULL << 32 : 0) | ports;
}

/* How many candidates of one key are worth avoiding another table, where there are so many of the
 * family: another costs packets that the hints do not keep from it a look, a false candidate costs
 * those that meet it a rule. */
static __u32 crowd(__u32 n_tables, const struct xipsec_spd_table *table)
{
	__u32 bits = table->local_bits + table->remote_bits + table->local_port_bits +
		     table->remote_port_bits;

	if (!(table->views & SHOWN))
		return 8;
	if (bits < 16)
		return 1; /* nearly every packet would meet it */
	return n_tables < 8 ? 1 : n_tables < 48 ? 2 : n_tables < 96 ? 4 : 8;
}

static __u8 step_down(__u8 bits, const __u8 *steps, unsigned int n)
{
	while (n-- > 1)
		if (steps[n] <= bits)
			return steps[n];
	return steps[0];
}

#define STEPS(name, ...) static const __u8 name[] = {__VA_ARGS__}
STEPS(coarse4, 0, 8, 16, 24, 32);
STEPS(fine4, 0, 8, 12, 16, 18, 20, 22, 24, 26, 28, 30, 32);
STEPS(coarse6, 0, 16, 32, 48, 64, 128);
STEPS(fine6, 0, 8, 16, 20, 24, 28, 32, 36, 40, 44, 48, 52, 56, 60, 64, 96, 112, 128);
#define DOWN(bits, steps) step_down(bits, steps, sizeof(steps))

#define LEVELS 5

/* The tuple for a rule that no table takes; each level tells more rules apart. */
static struct xipsec_spd_table table_for(const struct shape *shape, __u8 views, unsigned int level)
{
	struct xipsec_spd_table t = {.family = shape->family, .views = views};
	bool ip6 = shape->family == XIPSEC_FAMILY_IP6;
	__u8 local = shape->local.bits, remote = shape->remote.bits;

	if (level == 0) {
		t.local_bits = ip6 ? DOWN(local, coarse6) : DOWN(local, coarse4);
		t.remote_bits = ip6 ? DOWN(remote, coarse6) : DOWN(remote, coarse4);
	} else if (level <= 2) {
		t.local_bits = ip6 ? DOWN(local, fine6) : DOWN(local, fine4);
		t.remote_bits = ip6 ? DOWN(remote, fine6) : DOWN(remote, fine4);
	} else {
		t.local_bits = local;
		t.remote_bits = remote;
	}
	if (views == HIDDEN)
		t.proto_bits = 8;
	if (views == SHOWN && shape->has_proto &&
	    (level >= 2 || t.local_bits + t.remote_bits < 16)) {
		t.proto_bits = 8;
		t.local_port_bits = range_grain(&shape->local_port, 1);
		t.remote_port_bits = range_grain(&shape->remote_port, 1);
		if (level == 4) {
			t.local_port_bits = range_grain(&shape->local_port, 2);
			t.remote_port_bits = range_grain(&shape->remote_port, 8);
		}
	}
	if (views == SHOWN && !t.proto_bits)
		t.views = ALL;
	table_masks(&t);
	return t;
}

static bool table_same(const struct xipsec_spd_table *a, const struct xipsec_spd_table *b)
{
	return a->family == b->family && a->views == b->views &&
	       !memcmp(a->mask, b->mask, sizeof(a->mask));
}

/* Places are kept for tables that take all rules of a kind, which is what no other table takes. Of
 * each family there is one such table for packets that show all, and those that serve packets which
 * hide something are of three kinds: HIDDEN, BLIND, and both in one. */
#define TAKE_ALL_SHOWN  1U
#define TAKE_ALL_HIDDEN 3U
#define TAKE_ALL        (2 * (TAKE_ALL_SHOWN + TAKE_ALL_HIDDEN))

/* How many there can be that share places with it. */
static __u32 places_max(const struct xipsec_spd_table *table)
{
	return table->views & SHOWN ? XIPSEC_PLACES_SHOWN : XIPSEC_TABLES_MAX - XIPSEC_PLACES_SHOWN;
}

static void table_take_all(struct xipsec_spd_table *table)
{
	*table = (struct xipsec_spd_table){.family = table->family,
					   .views = table->views & SHOWN ? ALL : table->views};
	table_masks(table);
}

/* The number of a new table, -EEXIST: there is one like it, -ENOSPC: no more fit. */
static int table_make(struct classifier *c, const struct xipsec_spd_table *like)
{
	bool ip6 = like->family == XIPSEC_FAMILY_IP6, hidden = !(like->views & SHOWN);
	__u32 n = c->head->n_tables, *places = &c->head->places[ip6][hidden];
	struct xipsec_spd_table want = *like;

	if (*places + (hidden ? TAKE_ALL_HIDDEN : TAKE_ALL_SHOWN) >= places_max(like) ||
	    n + TAKE_ALL >= XIPSEC_TABLES_MAX)
		table_take_all(&want);
	for (__u32 i = 0; i < n; i++)
		if (table_same(&c->head->table[i], &want))
			return -EEXIST;
	if (n == XIPSEC_TABLES_MAX || *places == places_max(like))
		return -ENOSPC;
	want.salt = n + 1;
	want.place = (__u8)((hidden ? XIPSEC_PLACES_SHOWN : 0) + (*places)++);
	c->head->table[n] = want;
	c->head->n_tables = n + 1;
	return (int)n;
}

static bool table_in_views(const struct xipsec_spd_table *table, const struct shape *shape,
			   __u8 views)
{
	if (views != SHOWN)
		return table->views == views;
	/* Without a protocol, one entry must serve all views. */
	return shape->has_proto ? table->views & SHOWN : table->views == ALL;
}

int table_choose(struct classifier *c, const struct shape *shape, __u8 views)
{
	__u32 best_n = ~0U, best_bits = 0;
	int best = -ENOSPC;

	for (__u32 i = 0; i < c->head->n_tables; i++) {
		const struct xipsec_spd_table *table = &c->head->table[i];
		__u32 n = 0, bits = table->local_bits + table->remote_bits;
		struct keys keys;

		if (!table_in_views(table, shape, views) || !shape_fits(table, shape))
			continue;
		shape_keys(table, shape, &keys);
		for (unsigned int k = 0; k < keys.n; k++) {
			__u32 at = slots_count(c, keys.hash[k]);

			n = at > n ? at : n;
		}
		if (n < best_n || (n == best_n && bits > best_bits)) {
			best = (int)i;
			best_n = n;
			best_bits = bits;
		}
	}
	if (best >= 0 &&
	    best_n < crowd(c->head->places[shape->family == XIPSEC_FAMILY_IP6][!(views & SHOWN)],
			   &c->head->table[best]))
		return best;
	for (unsigned int level = 0; level < LEVELS; level++) {
		struct xipsec_spd_table want = table_for(shape, views, level);
		int made;

		if (!shape_fits(
			    &(struct xipsec_spd_table){.salt = 1,
						       .family = want.family,
						       .local_bits = want.local_bits,
						       .remote_bits = want.remote_bits,
						       .proto_bits = want.proto_bits,
						       .local_port_bits = want.local_port_bits,
						       .remote_port_bits = want.remote_port_bits},
			    shape))
			continue;
		made = table_make(c, &want);
		if (made >= 0)
			return made;
		if (made == -ENOSPC)
			break;
	}
	return best;
}
