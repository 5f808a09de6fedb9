/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The SPD's way from the config into the programs, in two steps: spd_compile() makes the ordered
 * rules, the reference form that every classifier must agree with; spd_install() builds tables of
 * them beside those in force and makes them current with one switch (docs/classifier.md).
 */
#ifndef LOADER_SPD_H
#define LOADER_SPD_H

#include <errno.h>
#include <stdlib.h>
#include <bpf/btf.h>
#include "lib/config.h"
#include "loader/datapath.h"
#include "loader/spd_memory.h"

/* An SPD as an ordered list. */
struct spd_source {
	__u32 allow; /* XIPSEC_ALLOW_* */
	__u32 n_ethertypes;
	__u16 ethertype[XIPSEC_ALLOW_ETHERTYPES];
	__u32 n_rules;
	struct xipsec_spd_rule *rule; /* first wins; priority is given out by spd_fill() */
	__u32 *number; /* that rules have, or SPD_NEW, which is filled in; NULL: all are new */
	__u32 counted; /* numbers below it have a counter, and no rule gets another; 0: any may */
};

#define SPD_NEW (~0U)

/* Between the priorities of neighbours, where there is room: for rules that come one by one. */
#define SPD_PRIORITY_GAP 65536U

static inline void spd_source_free(struct spd_source *source)
{
	free(source->rule);
	free(source->number);
	source->rule = NULL;
	source->number = NULL;
}
#define _cleanup_spd_source_ __attribute__((cleanup(spd_source_free)))

/* What has to be done when a new SPD is whole and only not in force yet: nothing that comes after
 * it fails for want of room. 0; another: the SPD in force stays, and that is what the builder
 * returns.
 */
struct spd_ready {
	int (*fn)(void *ctx);
	void *ctx;
};

static inline int spd_ready_call(const struct spd_ready *ready)
{
	int err = ready ? ready->fn(ready->ctx) : 0;

	return err == -EAGAIN ? -EIO : err; /* the builders' word for another way */
}

/* Who gives out ids of names: an id (of interfaces: 1 to 65535), or -errno. */
struct spd_ids {
	int (*child)(void *arg, const char *name);
	int (*dev)(void *arg, const char *name);
	void *arg;
};

/* Those of a generation, which keeps them. */
struct spd_ids spd_ids_of(const struct datapath *dp);

/* Policies of `config` in file order. -E2BIG: more than max_rules; what `ids` returned; *out is
 * untouched on failure. The caller frees. Pure but for `ids`. */
int spd_compile(const struct config *config, const struct spd_ids *ids, struct spd_source *out);

/* Gives priorities with room between them and puts all into an empty classifier. 0, -ENOSPC,
 * -E2BIG as classifier_put(). Pure. */
int spd_fill(struct classifier *c, const struct spd_source *source);

#define SPD_BUILD_ATTEMPTS 4 /* each larger, where buckets do not suffice */

/* Says why spd_fill() failed in the end, and what to do. */
void spd_tell_unfit(__u32 n_rules, int err);

/* New maps, filled, of whatever size it takes; not in force yet. 0 or -errno, after a message. */
int spd_build(const struct btf *btf, const struct spd_source *source, struct spd_memory *out);

/* Builds beside the SPD in force, switches by one update of an outer map, then publishes the
 * generation in `globals` and pins the maps below `gen_dir`. `ready` may be NULL. Direction of
 * failure: the SPD in force stays. */
int spd_install(const struct datapath *dp, const char *gen_dir, const struct btf *btf,
		const struct spd_source *source, const struct spd_ready *ready, __u32 *generation);

/* spd_switch() of an SPD whose rules kept their numbers, and the pins, unless gen_dir is NULL. */
int spd_replace(const struct datapath *dp, struct spd_memory *memory, const char *gen_dir,
		__u32 *generation);

/* Makes what spd_build() made the SPD in force, and forgets the hits of the one before. 0 or
 * -errno; then the one in force stays. Returns when no program run searches the old one any more.
 */
int spd_switch(const struct datapath *dp, struct spd_memory *memory, __u32 *generation);

/* Pins the maps below `gen_dir`, in place of those that are: for people, so where it fails that is
 * logged, and no more. */
void spd_pin(const struct spd_memory *memory, const char *gen_dir);

/* All steps on an open generation, with the type information of the maps in force. Where few rules
 * differ from those in force, only these are changed (loader/spd_change.h). `ready` may be NULL. */
int spd_load(const struct config *config, const struct datapath *dp, const char *pin_dir,
	     const struct spd_ready *ready, __u32 *generation);

/* The last generation of an SPD that was in force, 0: none was. */
__u32 spd_last_generation(const struct datapath *dp);

/* Types of the maps in force; NULL: there are none. The caller ends it with btf__free(). */
struct btf *spd_btf(const struct datapath *dp);

#endif
