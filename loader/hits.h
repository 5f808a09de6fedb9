/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What each rule decided: `spd_hits`, a plain array that user space reads as memory. Each CPU has
 * as many counters in it as there may be rules, one behind the other, and writes those alone: rule
 * n of CPU c stands at c * rules + n. A per-CPU map would be a pointer in one line of memory and
 * the counter in another, and a system call for each rule to read.
 */
#ifndef LOADER_HITS_H
#define LOADER_HITS_H

#include <bpf/libbpf.h>
#include <stddef.h>
#include "xipsec/maps.h"

struct hits {
	struct xipsec_counter *at;
	size_t size;
	__u32 rules; /* that there is room for */
	unsigned int cpus;
};

#define HITS_NONE \
	{         \
	}

/* Makes a map that is not loaded yet large enough; the program's `hits_rules` must say the same.
 * 0, -E2BIG: more counters than a map can have; -errno. */
int hits_make_room(struct bpf_map *map, __u32 rules);

/* How many rules the map `spd_hits` has room for; 0: it cannot be asked. */
__u32 hits_rules(int map);

/* 0 or -errno; *out is untouched on failure, else the caller ends it with hits_close(). */
int hits_open(int map, struct hits *out);
void hits_close(struct hits *hits);
#define _cleanup_hits_ __attribute__((cleanup(hits_close)))

/* Of all CPUs. Zero where there is no such rule, or with HITS_NONE. */
struct xipsec_counter hits_sum(const struct hits *hits, __u32 rule);

/* Rules from `first` to before `end` begin at 0, on all CPUs. A packet that counts at this moment
 * may be lost, or bring back what was there: who must not see that waits for programs first. */
void hits_clear(const struct hits *hits, __u32 first, __u32 end);

/* What rule `from` counted is what `to` begins at, which nobody counts for yet. What comes after
 * this moment is not carried. */
void hits_carry(const struct hits *hits, __u32 from, __u32 to);

#endif
