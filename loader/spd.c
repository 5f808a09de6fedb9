// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/hits.h"
#include "loader/spd_change.h"
#include "loader/spd_names.h"
#include "loader/standin_change.h"

/* ------------------------------------------------------------------ compiling */

/* Rules of one policy: every local x remote pair that the config multiplied out. */
static int compile_policy(const struct config_policy *policy, const struct spd_ids *ids,
			  __u32 number, struct spd_source *to)
{
	int child = 0, dev = policy->dev[0] ? ids->dev(ids->arg, policy->dev) : 0;

	if (dev < 0) {
		log_error("policy %s: dev %s gets no number: %s", policy->name, policy->dev,
			  datapath_id_why(dev));
		return dev;
	}
	for (unsigned int i = 0; i < policy->n_rules; i++) {
		struct xipsec_spd_rule *rule = &to->rule[to->n_rules++];

		*rule = policy->rules[i];
		rule->child = 0;
		rule->dev = (__u16)dev;
		rule->policy = number;
		if (rule->action != XIPSEC_ACTION_PROTECT)
			continue;
		if (i == 0 || !child)
			child = ids->child(ids->arg, policy->child);
		if (child < 0) {
			log_error("policy %s: child %s gets no number: %s", policy->name,
				  policy->child, datapath_id_why(child));
			return child;
		}
		rule->child = (__u32)child;
	}
	return 0;
}

int spd_compile(const struct config *config, const struct spd_ids *ids, struct spd_source *out)
{
	_cleanup_spd_source_ struct spd_source made = {.allow = config->allow,
						       .n_ethertypes = config->n_ethertypes};
	__u64 n = 0;

	if (config->n_ethertypes > XIPSEC_ALLOW_ETHERTYPES)
		return -E2BIG;
	for (unsigned int i = 0; i < config->n_policies; i++)
		n += config->policies[i].n_rules;
	if (n > config->max_rules) {
		log_error(
			"policies {}: %llu rules, but max_rules is %u (each pair of a local and a "
			"remote prefix is a rule of its own): join prefixes, or raise max_rules "
			"in datapath {} and attach anew",
			(unsigned long long)n, config->max_rules);
		return -E2BIG;
	}
	made.rule = calloc(n + 1, sizeof(made.rule[0]));
	if (!made.rule)
		return -ENOMEM;
	made.counted = config->max_rules;
	memcpy(made.ethertype, config->ethertypes, config->n_ethertypes * sizeof(__u16));
	for (unsigned int i = 0; i < config->n_policies; i++) {
		int err = compile_policy(&config->policies[i], ids, i, &made);

		if (err)
			return err;
	}
	*out = made;
	made.rule = NULL;
	return 0;
}

int spd_fill(struct classifier *c, const struct spd_source *source)
{
	__u32 gap = 0xfffffff0U / (source->n_rules + 1);

	gap = gap > SPD_PRIORITY_GAP ? SPD_PRIORITY_GAP : gap;
	c->head->allow = source->allow;
	c->head->n_ethertypes = source->n_ethertypes;
	memcpy(c->head->ethertype, source->ethertype, sizeof(source->ethertype));
	/* Rules that have their places first, so that new ones get none of those. */
	for (__u32 i = 0; source->number && i < source->n_rules; i++)
		if (source->number[i] != SPD_NEW && source->number[i] < c->head->max_rules)
			c->rule[source->number[i]].used = XIPSEC_USED_TAKEN;
	for (__u32 i = 0; i < source->n_rules; i++) {
		struct xipsec_spd_rule rule = source->rule[i];
		__u32 number = source->number ? source->number[i] : CLASSIFIER_ANY;
		int err;

		rule.priority = (i + 1) * gap;
		rule.born = rule.dies = 0;
		err = classifier_put(c, &rule, &number);
		if (err)
			return err;
		if (source->number)
			source->number[i] = number;
	}
	c->head->n_rules = source->n_rules;
	return 0;
}

void spd_tell_unfit(__u32 n_rules, int err)
{
	log_error("policies: %u rules cannot be put into tables: %s", n_rules,
		  err == -E2BIG    ? "hundreds of them differ only in ranges, of addresses or of "
				     "ports, that overlap; join those"
		  : err == -ENOSPC ? "they need more buckets than were made for them, also the "
				     "fourth time; join rules"
				   : strerror(-err));
}

int spd_build(const struct btf *btf, const struct spd_source *source, struct spd_memory *out)
{
	int err = -ENOSPC;

	for (unsigned int attempt = 0; err == -ENOSPC && attempt < SPD_BUILD_ATTEMPTS; attempt++) {
		_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
		struct classifier_size size =
			classifier_size(source->rule, source->n_rules, attempt);

		for (__u32 i = 0; source->number && i < source->n_rules; i++) {
			if (source->counted && source->number[i] >= source->counted)
				source->number[i] = SPD_NEW;
			if (source->number[i] != SPD_NEW && source->number[i] >= size.rules)
				size.rules = source->number[i] + 1;
		}
		if (source->counted && size.rules > source->counted)
			size.rules = source->counted;
		err = spd_memory_make(btf, &size, &memory);
		if (err) {
			log_error("policies: the kernel refuses maps for %u rules: %s",
				  source->n_rules, strerror(-err));
			return err;
		}
		err = spd_fill(&memory.c, source);
		if (err)
			continue;
		*out = memory;
		memory = (struct spd_memory)SPD_MEMORY_NONE;
	}
	if (err)
		spd_tell_unfit(source->n_rules, err);
	return err;
}

/* ------------------------------------------------------------------ switching */

__u32 spd_last_generation(const struct datapath *dp)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	struct xipsec_globals globals = {0};
	__u32 zero = 0, last;

	bpf_map_lookup_elem(dp->globals, &zero, &globals);
	last = globals.spd_generation;
	if (!spd_memory_open(dp, &memory) && (__s32)(memory.c.head->generation - last) > 0)
		last = memory.c.head->generation;
	return last;
}

/* Workers read `spd_generation` there without a system call. */
static struct xipsec_globals *globals_map(const struct datapath *dp)
{
	size_t size = 0, stride = 0;

	return datapath_mmap(dp->globals, &size, &stride);
}

/* Rules have moved to other numbers: their counts start anew. */
static void clear_hits(const struct datapath *dp, __u32 n)
{
	_cleanup_hits_ struct hits hits = HITS_NONE;

	if (!hits_open(dp->spd_hits, &hits))
		hits_clear(&hits, 0, n);
}

/* Before a switch. */
struct in_force {
	__u32 next;    /* generation of another SPD, never 0 */
	__u32 place;   /* where the maps of this one do not stand */
	__u32 counted; /* its rules have numbers below this */
};

/* 0, where there is no SPD yet, too; -errno: it is there and cannot be read, so it must stay. */
static int in_force_read(const struct datapath *dp, struct in_force *out)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	int err = spd_memory_open(dp, &memory);
	__u32 last;

	if (err && err != -ENOENT)
		return err;
	last = spd_last_generation(dp);
	if (!err && (__s32)(memory.c.head->generation - last) > 0)
		last = memory.c.head->generation;
	out->next = last + 1 ? last + 1 : 1;
	out->place = err ? 1 : !memory.c.head->place;
	out->counted = err ? 0 : memory.c.head->rules_end;
	return 0;
}

/* The three maps; the last update is the switch. No run searches the other place: the switch that
 * left it waited for the last one. Each of these updates waits too, so when they are done nobody
 * searches what was in force. */
static int maps_update(const struct datapath *dp, const struct spd_memory *memory, __u32 place)
{
	__u32 zero = 0;

	if (bpf_map_update_elem(dp->spd_buckets_of, &place, &memory->buckets, BPF_ANY) ||
	    bpf_map_update_elem(dp->spd_rules_of, &place, &memory->rules, BPF_ANY) ||
	    bpf_map_update_elem(dp->spd, &zero, &memory->head, BPF_ANY))
		return -errno;
	return 0;
}

/* *counted: the rules before had numbers below this. What can fail comes before the switch. */
static int switch_maps(const struct datapath *dp, struct spd_memory *memory, __u32 *generation,
		       __u32 *counted)
{
	struct xipsec_globals *globals;
	struct in_force before;
	int err = in_force_read(dp, &before);

	if (err) {
		log_error("policies: those in force cannot be read, and stay: %s", strerror(-err));
		return err;
	}
	globals = globals_map(dp);
	err = globals ? 0 : -errno;
	memory->c.head->place = before.place;
	classifier_log_forget(&memory->c, before.next);
	memory->c.head->log_base = before.next;
	classifier_publish(&memory->c, before.next);
	if (!err)
		err = maps_update(dp, memory, before.place);
	if (err) {
		log_error("policies: the switch to generation %u failed: %s; those before stay "
			  "in force",
			  before.next, strerror(-err));
	} else {
		__u32 old = !before.place;

		__atomic_store_n(&globals->spd_generation, before.next, __ATOMIC_RELEASE);
		bpf_map_delete_elem(dp->spd_buckets_of, &old);
		bpf_map_delete_elem(dp->spd_rules_of, &old);
		*generation = before.next;
		*counted = before.counted;
	}
	if (globals)
		munmap(globals, sizeof(*globals));
	return err;
}

int spd_switch(const struct datapath *dp, struct spd_memory *memory, __u32 *generation)
{
	__u32 counted, end = memory->c.head->rules_end;
	int err = switch_maps(dp, memory, generation, &counted);

	if (!err)
		clear_hits(dp, counted > end ? counted : end);
	return err;
}

/* One rename: people with bpftool see either the old map or the new one. */
static int pin_map(int fd, const char *gen_dir, const char *name)
{
	char path[512], fresh[512];

	snprintf(path, sizeof(path), "%s/%s", gen_dir, name);
	snprintf(fresh, sizeof(fresh), "%s/%s_new", gen_dir, name);
	unlink(fresh);
	if (bpf_obj_pin(fd, fresh))
		return -errno;
	if (rename(fresh, path)) {
		int err = -errno;

		unlink(fresh);
		return err;
	}
	return 0;
}

void spd_pin(const struct spd_memory *memory, const char *gen_dir)
{
	int err = pin_map(memory->head, gen_dir, "spd_head");

	if (!err)
		err = pin_map(memory->buckets, gen_dir, "spd_buckets");
	if (!err)
		err = pin_map(memory->rules, gen_dir, "spd_rules");
	if (err)
		log_warn("policies: the maps in %s are not those in force, for bpftool: %s",
			 gen_dir, strerror(-err));
}

int spd_replace(const struct datapath *dp, struct spd_memory *memory, const char *gen_dir,
		__u32 *generation)
{
	struct xipsec_globals before = {0};
	__u32 counted, zero = 0;
	int err;

	bpf_map_lookup_elem(dp->globals, &zero, &before);
	err = switch_maps(dp, memory, generation, &counted);
	if (err || !gen_dir)
		return err;
	spd_pin(memory, gen_dir);
	spd_names_carry(gen_dir, before.spd_generation, *generation);
	return 0;
}

int spd_install(const struct datapath *dp, const char *gen_dir, const struct btf *btf,
		const struct spd_source *source, const struct spd_ready *ready, __u32 *generation)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	int err = spd_build(btf, source, &memory);

	if (!err)
		err = spd_ready_call(ready);
	if (!err)
		err = spd_switch(dp, &memory, generation);
	if (!err)
		spd_pin(&memory, gen_dir);
	return err;
}

static int child_id_of(void *arg, const char *name)
{
	return datapath_child_id(arg, name);
}

static int dev_id_of(void *arg, const char *name)
{
	return datapath_dev_id(arg, name);
}

struct spd_ids spd_ids_of(const struct datapath *dp)
{
	return (struct spd_ids){child_id_of, dev_id_of, (void *)dp};
}

struct btf *spd_btf(const struct datapath *dp)
{
	_cleanup_spd_memory_ struct spd_memory memory = SPD_MEMORY_NONE;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	struct btf *btf;
	int fd;

	if (spd_memory_open(dp, &memory) || bpf_obj_get_info_by_fd(memory.rules, &info, &len) ||
	    !info.btf_id)
		return NULL;
	btf = btf__load_from_kernel_by_id(info.btf_id);
	fd = btf ? bpf_btf_get_fd_by_id(info.btf_id) : -1;
	if (fd >= 0)
		btf__set_fd(btf, fd); /* which libbpf does not keep by itself */
	return btf;
}

/* Each rule has a counter, and those were made with the generation. */
static int refuse_uncounted(const struct datapath *dp, struct spd_source *source)
{
	__u32 room = hits_rules(dp->spd_hits);

	source->counted = room;
	if (!room || source->n_rules <= room)
		return 0;
	log_error("policies {}: %u rules, but this data path was made with max_rules = %u: `xipsec "
		  "attach --all --upgrade` takes the new number over",
		  source->n_rules, room);
	return -E2BIG;
}

int spd_load(const struct config *config, const struct datapath *dp, const char *pin_dir,
	     const struct spd_ready *ready, __u32 *generation)
{
	_cleanup_spd_source_ struct spd_source source = {0};
	struct spd_ids ids = spd_ids_of(dp);
	struct btf *btf = spd_btf(dp);
	char gen_dir[320];
	int err;

	err = spd_compile(config, &ids, &source);
	if (!err)
		err = refuse_uncounted(dp, &source);
	snprintf(gen_dir, sizeof(gen_dir), "%s/%s", pin_dir, dp->generation);
	if (!err)
		err = spd_change(dp, gen_dir, config->max_rules, &source, ready, generation);
	if (err == -EAGAIN) {
		err = standin_carry(dp, config->max_rules, &source);
		if (!err)
			err = spd_install(dp, gen_dir, btf, &source, ready, generation);
	}
	btf__free(btf);
	return err;
}
