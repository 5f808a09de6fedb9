/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SPD as programs search it: what stands in the three maps of one SPD, and the hash that writer
 * and programs share. docs/classifier.md tells how they work together and why it is right.
 *
 *	spd_head     array, 1   xipsec_spd         generation, tables and their order, change log
 *	spd_buckets  array      xipsec_spd_bucket  one hash over all tables: keys to candidates
 *	spd_rules    array      xipsec_spd_rule    the rules; a rule keeps its number while it lives
 *
 * A table is a tuple of masks. Hashing only ever proposes rules: each candidate is matched whole by
 * xipsec_selector_match(), so a collision costs time and never an answer.
 *
 * All words that change while programs read are aligned and written by single stores, in an order
 * that each reader may stop at: see loader/classifier.h.
 */
#ifndef XIPSEC_CLASSIFIER_H
#define XIPSEC_CLASSIFIER_H

#include <linux/types.h>
#include "xipsec/selector.h"

#define XIPSEC_RULES_DEFAULT 131072     /* max_rules unless the config says more or less */
#define XIPSEC_RULES_LIMIT   (1U << 20) /* a slot has 20 bits for a rule's number */
#define XIPSEC_TABLES_MAX    256
#define XIPSEC_KEYS_MAX      16 /* entries of one rule in one table */
#define XIPSEC_CHANGES       64 /* rules that the change log remembers */

#define XIPSEC_ALLOW_ETHERTYPES 8 /* how many can be named */

enum __attribute__((packed)) xipsec_action {
	XIPSEC_ACTION_DISCARD = 0,
	XIPSEC_ACTION_BYPASS = 1,
	XIPSEC_ACTION_PROTECT = 2,
};

_Static_assert(sizeof(enum xipsec_action) == 1, "ABI");

/* The number of a rule is its place in the array; which of two rules comes first says `priority`.
 */
struct xipsec_spd_rule {
	struct xipsec_selector sel;
	enum xipsec_action action;
	enum xipsec_dir dirs;
	__u16 dev;      /* of an interface, by its name (`dev_ids`); 0: any */
	__u32 child;    /* index into `children`, with PROTECT */
	__u32 line;     /* of the config file, for people */
	__u32 priority; /* lower is earlier, never 0, unique */
	__u32 born;     /* generation that it appeared in; 0: with the SPD, or long ago */
	__u32 dies;     /* generation that does not have it any more; 0: none yet */
	__u32 policy;   /* index into `spd_names`, for people */
	__u32 used;     /* XIPSEC_USED_*; 0: this place is free */
	/* the writer's own */
	__u32 stands_for; /* later rules that are left out where this one says the same */
	__u32 origin;     /* XIPSEC_RULE_*; 0: the config says it as it is */
};

#define XIPSEC_USED_TAKEN    1
#define XIPSEC_USED_LEFT_OUT 2 /* some packets do not find it: others stand in for it */

/* A DISCARD in place of a child's rule: its local, its remote address comes with an SA. */
#define XIPSEC_RULE_LOCAL_LATER  1
#define XIPSEC_RULE_REMOTE_LATER 2
#define XIPSEC_RULE_OF_SA        4 /* it came with an SA, and goes with it */

/* What a rule asks for beside its selector: the direction, and the interface. Where that is hidden
 * from nobody, there is no "maybe". */
static inline __attribute__((always_inline)) int xipsec_rule_asks(
	const struct xipsec_spd_rule *rule, const struct xipsec_flow *flow)
{
	return (rule->dirs & flow->dir) && (!rule->dev || rule->dev == flow->dev);
}

/* Candidates of one hash value. A slot is priority << 32 | fingerprint << 20 | rule; 0 is free. */
#define XIPSEC_BUCKET_SLOTS 7
#define XIPSEC_BUCKET_MORE  255 /* buckets chained to one, at most: more are refused */
struct xipsec_spd_bucket {
	__u64 slot[XIPSEC_BUCKET_SLOTS];
	__u32 more; /* bucket that goes on, 0: none */
	__u32 pad;
};

/* What of a packet a table's key is made of. IPv4 addresses stand together in mask[0]; IPv6 has the
 * local address in 0 and 1, the remote one in 2 and 3. mask[4] is next layer protocol << 32 | local
 * port << 16 | remote port or ICMP type and code. */
#define XIPSEC_KEY_WORDS 5
struct xipsec_spd_table {
	__u64 mask[XIPSEC_KEY_WORDS];
	__u32 n_entries;
	__u32 salt; /* unlike for every table; 0: there is no such table */
	__u8 family;
	__u8 local_bits; /* the masks again, for people */
	__u8 remote_bits;
	__u8 proto_bits; /* 0 or 8 */
	__u8 local_port_bits;
	__u8 remote_port_bits; /* or of ICMP type and code */
	__u8 views;            /* bit v: it stands in the lists of enum xipsec_view v */
	__u8 place;            /* in the lists of its family */
	__u8 pad[8];
};

/* Packets that show all: VIEW_WHOLE. Those that hide ports are searched for by addresses and
 * protocol, those that hide the protocol by their addresses alone, among all rules that could be
 * theirs. Tables without protocol serve all three. */
enum xipsec_view {
	XIPSEC_VIEW_WHOLE = 0,
	XIPSEC_VIEW_HIDDEN = 1,
	XIPSEC_VIEW_BLIND = 2,
	XIPSEC_VIEWS = 3,
};

static inline __attribute__((always_inline)) __u32 xipsec_view_of(const struct xipsec_flow *flow)
{
	return flow->opaque & XIPSEC_OPAQUE_PROTO ? XIPSEC_VIEW_BLIND
	       : flow->opaque                     ? XIPSEC_VIEW_HIDDEN
						  : XIPSEC_VIEW_WHOLE;
}

/* Places in a list: first of tables that packets search which show all, then of the others. */
#define XIPSEC_PLACES_SHOWN 128

/* Tables in the order of search. A table has one place in all lists of its family; bit p % 64 of
 * member[p / 64] says whether it stands in this one. No rule of this list at place p or behind it
 * has a priority below entry[p].bound: that is where a search may stop. None at place p has one
 * below entry[p].best: a search that has found an earlier rule passes that table over. */
#define XIPSEC_LIST_WORDS (XIPSEC_TABLES_MAX / 64)
struct xipsec_spd_list {
	__u32 n; /* tables in it */
	__u32 pad;
	__u64 member[XIPSEC_LIST_WORDS];
	struct {
		__u32 bound;
		__u32 best;
		__u32 table;
	} entry[XIPSEC_TABLES_MAX];
};

/* direction x family x view */
#define XIPSEC_LISTS 12
static inline __attribute__((always_inline)) __u32 xipsec_spd_list_of(__u32 dir, __u32 family,
								      __u32 view)
{
	return (dir == XIPSEC_DIR_IN ? 6 : 0) + (family == XIPSEC_FAMILY_IP6 ? 3 : 0) + view;
}

/*
 * Hints: which tables are worth a look. For each axis there is an array of words, which a packet's
 * value on that axis is hashed to; bit p % 64 of the word is set if a rule in the table at place p
 * of the list takes this value. A table whose bit is missing on one axis has nothing for the
 * packet. Rules that take too many values have the table's bit in `wild` instead. Bits are only
 * ever set: one too many costs a look.
 */
enum xipsec_hint {
	XIPSEC_HINT_LOCAL, /* the first 24 bits of the address, 48 of IPv6 */
	XIPSEC_HINT_REMOTE,
	XIPSEC_HINT_LOCAL_WIDE, /* 10, 20 */
	XIPSEC_HINT_REMOTE_WIDE,
	XIPSEC_HINT_PORT, /* protocol, and the remote port or ICMP type and code by blocks */
	XIPSEC_HINTS,
};
#define XIPSEC_LIST_SHORT 4    /* so few tables are looked at without asking */
#define XIPSEC_HINT_SMALL 3    /* axes from XIPSEC_HINT_LOCAL_WIDE on */
#define XIPSEC_HINT_WORDS 1024 /* of each of those */

/* A rule that came or went with this generation. */
struct xipsec_spd_change {
	__u32 generation;
	__u32 rule;
};

struct xipsec_spd {
	__u32 generation; /* never 0 in use, grows with every change */
	__u32 log_base;   /* `change` tells all that changed after this generation */
	__u32 n_rules;
	__u32 allow; /* XIPSEC_ALLOW_* */
	__u32 n_ethertypes;
	__u16 ethertype[XIPSEC_ALLOW_ETHERTYPES]; /* host byte order */
	__u32 place;       /* of this SPD's maps in spd_buckets_of and spd_rules_of */
	__u32 bucket_mask; /* buckets that keys hash to, less one; a power of 2 */
	__u32 rules_end;   /* no rule has this number or a higher one */
	__u32 n_tables;
	__u32 n_changes; /* ever logged: the next goes to n_changes % XIPSEC_CHANGES */
	/* A bit for each hash that any entry has, among the buckets: see xipsec_filter_word(). */
	__u32 filter_at;   /* first bucket of it */
	__u32 filter_mask; /* its bits, less one; a power of 2 */
	__u32 hint_at;     /* first bucket of the hints by addresses, local ones first */
	__u32 hint_mask;   /* words of each of the two axes, less one; a power of 2 */
	/* the writer's own */
	__u32 n_edits;      /* changes begun, those that were taken back or died as well */
	__u32 n_buckets;    /* entries of spd_buckets */
	__u32 buckets_used; /* of those; behind bucket_mask stand the chained ones */
	__u32 max_rules;    /* entries of spd_rules */
	__u32 opaque;       /* 1: there is or was a rule for packets that hide something */
	__u32 places[2][2]; /* given to tables of IPv4, of IPv6: for all views, for hidden ones */
	__u64 wild[2][XIPSEC_HINTS]; /* IPv4, IPv6: bits that each word of an axis has */
	__u64 hint[2][XIPSEC_HINT_SMALL][XIPSEC_HINT_WORDS]; /* the axes that are small */
	struct xipsec_spd_change change[XIPSEC_CHANGES];
	struct xipsec_spd_list list[XIPSEC_LISTS];
	struct xipsec_spd_table table[XIPSEC_TABLES_MAX];
};

_Static_assert(sizeof(struct xipsec_spd_rule) == 128, "ABI");
_Static_assert(sizeof(struct xipsec_spd_bucket) == 64, "ABI: one cache line");
_Static_assert(sizeof(struct xipsec_spd_table) == 64, "ABI: one cache line");
_Static_assert(sizeof(struct xipsec_spd_list) == 8 + 8 * XIPSEC_LIST_WORDS + 12 * XIPSEC_TABLES_MAX,
	       "ABI");

/* What the SPD says of a packet. */
enum __attribute__((packed)) spd_verdict {
	SPD_NONE = 0, /* no rule: discard */
	SPD_DISCARD,
	SPD_BYPASS,
	SPD_PROTECT,
	SPD_OPAQUE, /* it hides what would decide: discard */
};

_Static_assert(sizeof(enum spd_verdict) == 1, "ABI");

/* A flow that a CPU has looked up. `check` is made from all the rest but `met`. */
struct xipsec_cached {
	struct xipsec_flow flow;
	__u32 generation; /* that the answer is right for; 0: none */
	enum spd_verdict verdict;
	__u32 child : 20; /* with SPD_PROTECT */
	__u32 met : 4;    /* times that it was met again, up to XIPSEC_CACHED_MET */
	__u32 rule;
	__u32 check;
};

#define XIPSEC_CACHED_MET  15
#define XIPSEC_CACHED_KEPT 3
#define XIPSEC_CACHED_SETS 8192 /* of each CPU */
struct xipsec_cached_set {
	struct xipsec_cached kept[XIPSEC_CACHED_KEPT]; /* met more than once, and passed */
	struct xipsec_cached newcomer;
};

_Static_assert(sizeof(struct xipsec_cached) == 64, "ABI: one cache line");

/* What the flow cache was asked, since the generation's programs were loaded. */
struct xipsec_flow_stats {
	__u64 hits;   /* answered by an entry that was right */
	__u64 misses; /* looked up in the tables */
};

/* A packet, or a rule's masked selector, as words that masks apply to. */
struct xipsec_key {
	__u64 word[XIPSEC_KEY_WORDS];
};

static inline __attribute__((always_inline)) void xipsec_key_of(const struct xipsec_flow *flow,
								struct xipsec_key *key)
{
	if (flow->family == XIPSEC_FAMILY_IP6) {
		key->word[0] = (__u64)flow->local.word[0] << 32 | flow->local.word[1];
		key->word[1] = (__u64)flow->local.word[2] << 32 | flow->local.word[3];
		key->word[2] = (__u64)flow->remote.word[0] << 32 | flow->remote.word[1];
		key->word[3] = (__u64)flow->remote.word[2] << 32 | flow->remote.word[3];
	} else {
		key->word[0] = (__u64)flow->local.word[0] << 32 | flow->remote.word[0];
		key->word[1] = key->word[2] = key->word[3] = 0;
	}
	/* ICMP has no ports, and what has ports no ICMP type. */
	key->word[4] = (__u64)flow->l4_proto << 32 | (__u32)flow->local_port << 16 |
		       (flow->remote_port | flow->icmp);
}

static inline __attribute__((always_inline)) __u64 xipsec_hash_step(__u64 hash, __u64 word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ULL;
	return hash ^ hash >> 32;
}

/* Bits 32 and up choose the bucket, bits 20 to 31 are the fingerprint. */
static inline __attribute__((always_inline)) __u64 xipsec_key_hash(
	const struct xipsec_spd_table *table, const struct xipsec_key *key, int ip6)
{
	__u64 hash = (__u64)table->salt * 0xd6e8feb86659fd93ULL;

	hash = xipsec_hash_step(hash, key->word[0] & table->mask[0]);
	if (ip6) {
		hash = xipsec_hash_step(hash, key->word[1] & table->mask[1]);
		hash = xipsec_hash_step(hash, key->word[2] & table->mask[2]);
		hash = xipsec_hash_step(hash, key->word[3] & table->mask[3]);
	}
	hash = xipsec_hash_step(hash, key->word[4] & table->mask[4]);
	return hash * 0xc2b2ae3d27d4eb4fULL;
}

static inline __attribute__((always_inline)) __u32 xipsec_hash_bucket(__u64 hash, __u32 bucket_mask)
{
	return (__u32)(hash >> 40) & bucket_mask;
}

static inline __attribute__((always_inline)) __u32 xipsec_hash_finger(__u64 hash)
{
	return (__u32)(hash >> 28) & 0xfff;
}

/* Most probes find nothing; this tells so from memory that fits a cache: the word of 64 bits, as
 * number of a bucket and place in it, and the bit of a hash. */
struct xipsec_filter_bit {
	__u32 bucket;
	__u32 word;
	__u64 bit;
};

static inline __attribute__((always_inline)) struct xipsec_filter_bit xipsec_filter_bit(
	const struct xipsec_spd *head, __u64 hash)
{
	__u32 at = (__u32)(hash >> 24) & head->filter_mask;

	return (struct xipsec_filter_bit){head->filter_at + (at >> 9), at >> 6 & 7,
					  1ULL << (at & 63)};
}

/* Ports in few blocks: those below 1024 by four, others by 256. Grows with the port. */
static inline __attribute__((always_inline)) __u32 xipsec_port_block(__u32 port)
{
	return port < 1024 ? port >> 2 : 252 + (port >> 8);
}

/* Where the word of a hint stands: of the first two axes in words from the first bucket of the
 * hints, of the others in head->hint[ip6][axis]. `value`: on the axis, below 2^48. */
static inline __attribute__((always_inline)) __u32 xipsec_hint_word(const struct xipsec_spd *head,
								    enum xipsec_hint axis, int ip6,
								    __u64 value)
{
	__u32 hash = (__u32)(((value << 1 | ip6) * 0x9e3779b97f4a7c15ULL) >> 40);

	if (axis < XIPSEC_HINT_LOCAL_WIDE)
		return axis * (head->hint_mask + 1) + (hash & head->hint_mask);
	return hash & (XIPSEC_HINT_WORDS - 1);
}

static inline __attribute__((always_inline)) __u64 xipsec_slot(__u32 priority, __u32 finger,
							       __u32 rule)
{
	return (__u64)priority << 32 | finger << 20 | rule;
}

#endif
