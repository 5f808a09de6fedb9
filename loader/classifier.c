// SPDX-License-Identifier: BSD-2-Clause
#include "loader/classifier.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include "lib/addr.h"
#include "lib/config_policy.h"
#include "loader/hints.h"
#include "loader/shape.h"

/* ------------------------------------------------------------------ sizes */

static __u32 power_above(__u64 n)
{
	__u32 power = 64;

	while (power < n && power < 1U << 23)
		power *= 2;
	return power;
}

static bool sides_are_prefixes(const struct xipsec_selector *sel)
{
	return addr_prefix(&sel->local_lo, &sel->local_hi, sel->family) >= 0 &&
	       addr_prefix(&sel->remote_lo, &sel->remote_hi, sel->family) >= 0;
}

struct classifier_size classifier_size(const struct xipsec_spd_rule *rule, __u32 n, __u32 attempt)
{
	struct classifier_size size;
	__u64 entries = 64 + n + n / 4;

	for (__u32 i = 0; i < n; i++)
		entries += !rule[i].sel.any_proto + 3 * !sides_are_prefixes(&rule[i].sel);
	size.hashed = power_above((entries / 4) << attempt);
	size.hints = hints_words(n / 4);
	size.buckets = size.hashed + size.hashed / 8 + hints_buckets(size.hints) +
		       (size.hashed / 4 << attempt) + 64;
	size.rules = n + n / 4 + 256;
	if (size.rules > XIPSEC_RULES_LIMIT)
		size.rules = XIPSEC_RULES_LIMIT;
	return size;
}

void classifier_init(struct classifier *c, const struct classifier_size *size)
{
	c->head->n_buckets = size->buckets;
	c->head->bucket_mask = size->hashed - 1;
	c->head->filter_at = size->hashed;
	c->head->filter_mask = size->hashed * 64 - 1;
	c->head->hint_at = size->hashed + size->hashed / 8;
	c->head->hint_mask = size->hints - 1;
	c->head->buckets_used = c->head->hint_at + hints_buckets(size->hints);
	c->head->max_rules = size->rules;
	c->free_from = 0;
	for (__u32 i = 0; i < XIPSEC_LISTS; i++)
		for (__u32 p = 0; p < XIPSEC_TABLES_MAX; p++)
			c->head->list[i].entry[p].bound = ~0U;
}

/* ------------------------------------------------------------------ slots */

/* Candidates with this hash, as programs would find them. */
static __u32 slots_count(const struct classifier *c, __u64 hash)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask);
	__u32 finger = xipsec_hash_finger(hash), n = 0;

	do {
		const struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++)
			n += bucket->slot[i] && ((__u32)bucket->slot[i] >> 20) == finger;
		at = bucket->more;
	} while (at);
	return n;
}

/* Bits are never cleared: one too many costs a search a bucket. */
static void filter_set(struct classifier *c, __u64 hash)
{
	struct xipsec_filter_bit at = xipsec_filter_bit(c->head, hash);
	__u64 *word = (__u64 *)&c->bucket[at.bucket] + at.word;

	__atomic_store_n(word, *word | at.bit, __ATOMIC_RELEASE);
}

/* 0, -ENOSPC, -E2BIG. */
static int slot_put(struct classifier *c, __u64 hash, __u32 priority, __u32 number)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask), chained = 0;
	__u64 slot = xipsec_slot(priority, xipsec_hash_finger(hash), number);
	struct xipsec_spd_bucket *bucket, *fresh;

	filter_set(c, hash);
	for (;;) {
		bucket = &c->bucket[at];
		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++) {
			if (bucket->slot[i])
				continue;
			__atomic_store_n(&bucket->slot[i], slot, __ATOMIC_RELEASE);
			return 0;
		}
		if (!bucket->more)
			break;
		at = bucket->more;
		chained++;
	}
	if (chained == XIPSEC_BUCKET_MORE)
		return -E2BIG;
	if (c->head->buckets_used == c->head->n_buckets)
		return -ENOSPC;
	at = c->head->buckets_used++;
	fresh = &c->bucket[at];
	memset(fresh, 0, sizeof(*fresh));
	fresh->slot[0] = slot;
	__atomic_store_n(&bucket->more, at, __ATOMIC_RELEASE);
	return 0;
}

/* One slot of this rule, if there is any. */
static void slot_clear(struct classifier *c, __u64 hash, __u32 priority, __u32 number)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask);
	__u64 slot = xipsec_slot(priority, xipsec_hash_finger(hash), number);

	do {
		struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++) {
			if (bucket->slot[i] != slot)
				continue;
			__atomic_store_n(&bucket->slot[i], 0, __ATOMIC_RELEASE);
			return;
		}
		at = bucket->more;
	} while (at);
}

/* ------------------------------------------------------------------ lists */

/* The table stands in the list, and no bound up to it is above `priority`. Bounds only ever sink
 * while programs read: a lower one never makes a search stop too early. */
static void list_cover(struct xipsec_spd_list *list, __u32 table, __u32 place, __u32 priority)
{
	__u64 *member = &list->member[place / 64], bit = 1ULL << (place & 63);

	list->entry[place].table = table;
	for (__u32 i = place + 1; i-- > 0 && list->entry[i].bound > priority;) /* they ascend */
		__atomic_store_n(&list->entry[i].bound, priority, __ATOMIC_RELEASE);
	if (*member & bit)
		return;
	__atomic_store_n(member, *member | bit, __ATOMIC_RELEASE);
	__atomic_store_n(&list->n, list->n + 1, __ATOMIC_RELEASE);
}

static void lists_cover(struct classifier *c, __u32 table, const struct xipsec_spd_rule *rule)
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

#define SHOWN  (1U << XIPSEC_VIEW_WHOLE)
#define HIDDEN (1U << XIPSEC_VIEW_HIDDEN)
#define BLIND  (1U << XIPSEC_VIEW_BLIND)
#define ALL    (SHOWN | HIDDEN | BLIND)

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

/* Of each family for all views, and for hidden ones by three sets of views. */
#define TAKE_ALL 8

/* How many of its kind there can be; the last ones are for what no other takes. */
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

	if (*places + 1 >= places_max(like) || n + TAKE_ALL >= XIPSEC_TABLES_MAX)
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

/* The table for a rule: one with room where it is, else a new one, else the least crowded. */
static int table_choose(struct classifier *c, const struct shape *shape, __u8 views)
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

/* ------------------------------------------------------------------ rules */

static int entries_put(struct classifier *c, __u32 table, const struct shape *shape,
		       const struct xipsec_spd_rule *rule, __u32 number)
{
	struct keys keys;
	int err = 0;

	shape_keys(&c->head->table[table], shape, &keys);
	if (c->head->table[table].views & SHOWN)
		hints_set(c, table, shape);
	lists_cover(c, table, rule);
	for (unsigned int k = 0; k < keys.n && !err; k++)
		err = slot_put(c, keys.hash[k], rule->priority, number);
	c->head->table[table].n_entries += keys.n;
	return err;
}

static __u32 rule_says(const struct xipsec_spd_rule *rule)
{
	return rule->action == XIPSEC_ACTION_PROTECT ? rule->child << 2 | 2U : rule->action & 1U;
}

/* What of a rule stands beside its selector. */
static bool rule_asks_less(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return (a->dirs & b->dirs) == b->dirs && (!a->dev || a->dev == b->dev);
}

/* Earlier, and matches what `b` matches, hidden or not, with no less certainty. */
static bool rule_as_uncertain(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->priority < b->priority && a->dies == 0 && rule_asks_less(a, b) &&
	       a->sel.family == b->sel.family && a->sel.any_proto == b->sel.any_proto &&
	       a->sel.l4_proto == b->sel.l4_proto && !(a->sel.opaque & ~b->sel.opaque) &&
	       selector_dscp_within(b->sel.dscp, a->sel.dscp) &&
	       !memcmp(&a->sel.local_lo, &b->sel.local_lo, 4 * sizeof(a->sel.local_lo)) &&
	       (xipsec_selector_any_port(&a->sel) || !xipsec_selector_any_port(&b->sel));
}

/* The same for packets that hide their protocol, which `b` asks for: it is never certain. */
static bool rule_as_blind(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->priority < b->priority && a->dies == 0 && rule_asks_less(a, b) &&
	       a->sel.family == b->sel.family && !b->sel.any_proto &&
	       !(a->sel.opaque & ~b->sel.opaque) &&
	       selector_dscp_within(b->sel.dscp, a->sel.dscp) &&
	       !memcmp(&a->sel.local_lo, &b->sel.local_lo, 4 * sizeof(a->sel.local_lo));
}

/* Every packet that shows all and matches `b` matches `a` first. */
static bool rule_shadows(const struct xipsec_spd_rule *a, const struct xipsec_spd_rule *b)
{
	return a->priority < b->priority && a->dies == 0 && rule_asks_less(a, b) &&
	       selector_within(&b->sel, &a->sel);
}

/* Rules that stand in for another, so that it need not be found. */
struct stand_ins {
	const struct xipsec_spd_rule *rule;
	struct xipsec_spd_rule *by[2];
	unsigned int n;
};

/* One that says the same is enough; so are two that contradict each other: behind both, nothing
 * passes any more that hides its ports. */
static bool stand_in_note(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	if (rule_says(there) == rule_says(found->rule)) {
		found->by[0] = there;
		found->n = 1;
		return true;
	}
	if (found->n == 1 && rule_says(there) == rule_says(found->by[0]))
		return false;
	found->by[found->n++] = there;
	return found->n == 2;
}

static bool stand_in_hidden(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	return rule_as_uncertain(there, found->rule) && stand_in_note(found, there);
}

static bool stand_in_blind(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	return rule_as_blind(there, found->rule) && stand_in_note(found, there);
}

static bool stand_in_whole(struct stand_ins *found, struct xipsec_spd_rule *there)
{
	if (!rule_shadows(there, found->rule))
		return false;
	found->by[0] = there;
	found->n = 1;
	return true;
}

/* Looks among the candidates of the rule's first key. */
static bool stand_ins_find(const struct classifier *c, __u32 table, const struct shape *shape,
			   bool (*ask)(struct stand_ins *found, struct xipsec_spd_rule *there),
			   struct stand_ins *found)
{
	__u32 at, finger;
	struct keys keys;

	shape_keys(&c->head->table[table], shape, &keys);
	finger = xipsec_hash_finger(keys.hash[0]);
	at = xipsec_hash_bucket(keys.hash[0], c->head->bucket_mask);
	do {
		const struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int i = 0; i < XIPSEC_BUCKET_SLOTS; i++) {
			__u32 slot = (__u32)bucket->slot[i];

			if (bucket->slot[i] && slot >> 20 == finger &&
			    ask(found, &c->rule[slot & (XIPSEC_RULES_LIMIT - 1)]))
				return true;
		}
		at = bucket->more;
	} while (at);
	return false;
}

static void stand_ins_note(struct stand_ins *found)
{
	for (unsigned int i = 0; i < found->n; i++)
		found->by[i]->stands_for++;
}

static int rule_hide_in(struct classifier *c, const struct shape *shape,
			const struct xipsec_spd_rule *rule, __u32 number, __u8 views)
{
	int table = table_choose(c, shape, views);
	struct stand_ins found = {.rule = rule};

	if (table < 0)
		return table;
	if (stand_ins_find(c, (__u32)table, shape,
			   views == BLIND ? stand_in_blind : stand_in_hidden, &found)) {
		stand_ins_note(&found);
		return 0;
	}
	return entries_put(c, (__u32)table, shape, rule, number);
}

/* Into the tables for packets that hide something. */
static int rule_hide(struct classifier *c, const struct shape *shape,
		     const struct xipsec_spd_rule *rule, __u32 number)
{
	int err;

	if (!shape->has_proto)
		return rule_hide_in(c, shape, rule, number, HIDDEN | BLIND);
	err = rule_hide_in(c, shape, rule, number, HIDDEN);
	return err ? err : rule_hide_in(c, shape, rule, number, BLIND);
}

/* Where a key has this many candidates it is worth asking whether another is needed. */
#define CROWDED 16

static int rule_enter(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 number,
		      __u8 family)
{
	struct shape shape = shape_of(&rule->sel, family);
	struct stand_ins found = {.rule = rule};
	struct keys keys;
	int table, err;

	if (rule->sel.opaque)
		return rule_hide(c, &shape, rule, number);
	table = table_choose(c, &shape, SHOWN);
	if (table < 0)
		return table;
	shape_keys(&c->head->table[table], &shape, &keys);
	if (slots_count(c, keys.hash[0]) >= CROWDED &&
	    stand_ins_find(c, (__u32)table, &shape, stand_in_whole, &found)) {
		stand_ins_note(&found);
		return shape.has_proto ? rule_hide(c, &shape, rule, number) : 0;
	}
	err = entries_put(c, (__u32)table, &shape, rule, number);
	if (!err && c->head->table[table].views == SHOWN)
		err = rule_hide(c, &shape, rule, number);
	return err;
}

void classifier_undo(struct classifier *c, __u32 number)
{
	if (c->rule[number].born)
		__atomic_store_n(&c->rule[number].dies, c->rule[number].born, __ATOMIC_RELEASE);
	else
		classifier_forget(c, number);
}

static __u32 free_place(const struct classifier *c)
{
	__u32 at = c->free_from;

	while (at < c->head->max_rules && c->rule[at].used)
		at++;
	return at;
}

int classifier_put(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 *number)
{
	__u32 at = *number == CLASSIFIER_ANY ? free_place(c) : *number;
	int err = 0;

	if (at >= c->head->max_rules)
		return -ENOSPC;
	c->rule[at] = *rule;
	c->rule[at].used = 1;
	c->rule[at].stands_for = 0;
	if (rule->sel.opaque)
		__atomic_store_n(&c->head->opaque, 1, __ATOMIC_RELEASE);
	if (*number == CLASSIFIER_ANY)
		c->free_from = at + 1;
	if (c->head->rules_end <= at)
		__atomic_store_n(&c->head->rules_end, at + 1, __ATOMIC_RELEASE);
	if (rule->sel.family != XIPSEC_FAMILY_IP6)
		err = rule_enter(c, &c->rule[at], at, XIPSEC_FAMILY_IP4);
	if (!err && rule->sel.family != XIPSEC_FAMILY_IP4)
		err = rule_enter(c, &c->rule[at], at, XIPSEC_FAMILY_IP6);
	if (err) {
		classifier_undo(c, at);
		return err;
	}
	*number = at;
	return 0;
}

static void rule_leave(struct classifier *c, const struct xipsec_spd_rule *rule, __u32 number,
		       __u8 family)
{
	struct shape shape = shape_of(&rule->sel, family);

	for (__u32 i = 0; i < c->head->n_tables; i++) {
		struct keys keys;

		if (!shape_fits(&c->head->table[i], &shape))
			continue;
		shape_keys(&c->head->table[i], &shape, &keys);
		for (unsigned int k = 0; k < keys.n; k++)
			slot_clear(c, keys.hash[k], rule->priority, number);
	}
}

void classifier_forget(struct classifier *c, __u32 number)
{
	struct xipsec_spd_rule *rule = &c->rule[number];

	if (rule->sel.family != XIPSEC_FAMILY_IP6)
		rule_leave(c, rule, number, XIPSEC_FAMILY_IP4);
	if (rule->sel.family != XIPSEC_FAMILY_IP4)
		rule_leave(c, rule, number, XIPSEC_FAMILY_IP6);
	memset(rule, 0, sizeof(*rule));
	if (number < c->free_from)
		c->free_from = number;
}

/* Rules of one hash. */
static void slots_visit(const struct classifier *c, __u64 hash,
			void (*visit)(void *arg, __u32 number), void *arg)
{
	__u32 at = xipsec_hash_bucket(hash, c->head->bucket_mask);

	do {
		const struct xipsec_spd_bucket *bucket = &c->bucket[at];

		for (unsigned int k = 0; k < XIPSEC_BUCKET_SLOTS; k++)
			if (bucket->slot[k] &&
			    (__u32)bucket->slot[k] >> 20 == xipsec_hash_finger(hash))
				visit(arg, (__u32)bucket->slot[k] & (XIPSEC_RULES_LIMIT - 1));
		at = bucket->more;
	} while (at);
}

void classifier_candidates(const struct classifier *c, const struct xipsec_flow *flow,
			   void (*visit)(void *arg, __u32 number), void *arg)
{
	const struct xipsec_spd_list *list =
		&c->head->list[xipsec_spd_list_of(flow->dir, flow->family, xipsec_view_of(flow))];
	struct xipsec_key key;

	xipsec_key_of(flow, &key);
	for (__u32 p = 0; p < XIPSEC_TABLES_MAX; p++)
		if (list->member[p / 64] >> (p & 63) & 1)
			slots_visit(c,
				    xipsec_key_hash(&c->head->table[list->entry[p].table], &key,
						    flow->family == XIPSEC_FAMILY_IP6),
				    visit, arg);
}

bool classifier_lives(const struct xipsec_spd_rule *rule, __u32 generation)
{
	return rule->used && (!rule->born || (__s32)(generation - rule->born) >= 0) &&
	       (!rule->dies || (__s32)(generation - rule->dies) < 0);
}

bool classifier_stands_for_others(const struct classifier *c, __u32 number)
{
	return c->rule[number].stands_for != 0;
}

/* ------------------------------------------------------------------ changes */

void classifier_log_forget(struct classifier *c, __u32 generation)
{
	if ((__s32)(generation - c->head->log_base) > 0)
		__atomic_store_n(&c->head->log_base, generation, __ATOMIC_SEQ_CST);
}

void classifier_log(struct classifier *c, __u32 number, __u32 generation)
{
	struct xipsec_spd_change *change = &c->head->change[c->head->n_changes % XIPSEC_CHANGES];

	/* What is overwritten is forgotten first: a reader looks at log_base last. */
	if (change->generation)
		classifier_log_forget(c, change->generation);
	__atomic_store_n(&change->generation, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&change->rule, number, __ATOMIC_RELEASE);
	__atomic_store_n(&change->generation, generation, __ATOMIC_RELEASE);
	__atomic_store_n(&c->head->n_changes, c->head->n_changes + 1, __ATOMIC_RELEASE);
}

void classifier_publish(struct classifier *c, __u32 generation)
{
	__atomic_store_n(&c->head->generation, generation, __ATOMIC_RELEASE);
}
