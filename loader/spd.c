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

/* Rules of one policy: every local x remote pair that the config multiplied out. */
static int compile_policy(const struct config_policy *policy, spd_child_fn child_id, void *arg,
			  struct xipsec_spd *spd)
{
	int child = 0;

	for (unsigned int i = 0; i < policy->n_rules; i++) {
		struct xipsec_spd_rule *rule;

		if (spd->n_rules == XIPSEC_RULES_MAX) {
			log_error("policies {}: more than %d rules (policy %s: each pair of a "
				  "local and a remote prefix is a rule of its own); join prefixes",
				  XIPSEC_RULES_MAX, policy->name);
			return -E2BIG;
		}
		rule = &spd->rule[spd->n_rules++];
		*rule = policy->rules[i];
		rule->child = 0;
		if (rule->action != XIPSEC_ACTION_PROTECT)
			continue;
		if (i == 0 || !child)
			child = child_id(arg, policy->child);
		if (child < 0) {
			log_error("policy %s: child %s gets no number: %s", policy->name,
				  policy->child, strerror(-child));
			return child;
		}
		rule->child = (__u32)child;
	}
	return 0;
}

int spd_compile(const struct config *config, spd_child_fn child_id, void *arg,
		struct xipsec_spd *out)
{
	_cleanup_free_ struct xipsec_spd *spd = calloc(1, sizeof(*spd));

	if (!spd)
		return -ENOMEM;
	if (config->n_ethertypes > XIPSEC_ALLOW_ETHERTYPES)
		return -E2BIG;
	spd->allow = config->allow;
	spd->n_ethertypes = config->n_ethertypes;
	memcpy(spd->ethertype, config->ethertypes, config->n_ethertypes * sizeof(__u16));
	for (unsigned int i = 0; i < config->n_policies; i++) {
		int err = compile_policy(&config->policies[i], child_id, arg, spd);

		if (err)
			return err;
	}
	*out = *spd;
	return 0;
}

/* The generation after the one in force, never 0. */
static __u32 next_generation(const struct datapath *dp)
{
	struct xipsec_globals globals = {0};
	__u32 zero = 0;

	bpf_map_lookup_elem(dp->globals, &zero, &globals);
	return globals.spd_generation + 1 ? globals.spd_generation + 1 : 1;
}

/* Workers read this word without a system call; one aligned store, after the switch. */
static int publish_generation(const struct datapath *dp, __u32 generation)
{
	struct xipsec_globals *globals;
	size_t size = 0, stride = 0;

	globals = datapath_mmap(dp->globals, &size, &stride);
	if (!globals)
		return -errno;
	__atomic_store_n(&globals->spd_generation, generation, __ATOMIC_RELEASE);
	munmap(globals, size);
	return 0;
}

/* Rules have moved to other numbers: their counts start anew. */
static void clear_hits(const struct datapath *dp)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct xipsec_counter *zero = NULL;

	if (cpus <= 0)
		return;
	zero = calloc((size_t)cpus, sizeof(*zero));
	if (!zero)
		return;
	for (__u32 i = 0; i < XIPSEC_RULES_MAX; i++)
		bpf_map_update_elem(dp->spd_hits, &i, zero, BPF_ANY);
}

/* One rename: people with bpftool see either the old rules or the new ones. */
static int pin_rules(int fd, const char *gen_dir)
{
	char path[512], fresh[512];

	snprintf(path, sizeof(path), "%s/spd_rules", gen_dir);
	snprintf(fresh, sizeof(fresh), "%s/spd_rules_new", gen_dir);
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

int spd_install(const struct datapath *dp, const char *gen_dir, int btf_fd, __u32 btf_key,
		__u32 btf_value, struct xipsec_spd *spd)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts);
	_cleanup_close_ int inner = -1;
	__u32 zero = 0;
	int err;

	if (btf_fd >= 0) {
		opts.btf_fd = (__u32)btf_fd;
		opts.btf_key_type_id = btf_key;
		opts.btf_value_type_id = btf_value;
	}
	spd->generation = next_generation(dp);
	inner = bpf_map_create(BPF_MAP_TYPE_ARRAY, "spd_rules", sizeof(__u32), sizeof(*spd), 1,
			       &opts);
	if (inner < 0) {
		err = -errno;
		log_error("policies: the kernel refuses the map spd_rules: %s", strerror(-err));
		return err;
	}
	if (bpf_map_update_elem(inner, &zero, spd, BPF_ANY) ||
	    bpf_map_update_elem(dp->spd, &zero, &inner, BPF_ANY)) {
		err = -errno;
		log_error("policies: the switch to generation %u failed: %s; those before stay "
			  "in force",
			  spd->generation, strerror(-err));
		return err;
	}
	err = publish_generation(dp, spd->generation);
	if (err)
		return err;
	clear_hits(dp);
	return pin_rules(inner, gen_dir);
}

static int child_id_of(void *arg, const char *name)
{
	return datapath_child_id(arg, name);
}

/* The rules in force, as a map: a descriptor or -errno. Not from their pin, which may be gone. */
static int rules_map(const struct datapath *dp)
{
	__u32 zero = 0, id = 0;
	int fd;

	if (bpf_map_lookup_elem(dp->spd, &zero, &id))
		return -errno;
	fd = bpf_map_get_fd_by_id(id);
	return fd < 0 ? -errno : fd;
}

/* Type information of the rules in force: -1 where there is none. Older kernels (6.1) refuse a
 * successor with other types than its predecessor's. */
static int rules_btf(const struct datapath *dp, __u32 *key, __u32 *value)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	_cleanup_close_ int fd = rules_map(dp);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) || !info.btf_id)
		return -1;
	*key = info.btf_key_type_id;
	*value = info.btf_value_type_id;
	return bpf_btf_get_fd_by_id(info.btf_id);
}

int spd_load(const struct config *config, const struct datapath *dp, const char *pin_dir,
	     __u32 *generation)
{
	_cleanup_free_ struct xipsec_spd *spd = calloc(1, sizeof(*spd));
	_cleanup_close_ int btf_fd = -1;
	__u32 key = 0, value = 0;
	char gen_dir[320];
	int err;

	if (!spd)
		return -ENOMEM;
	err = spd_compile(config, child_id_of, (void *)dp, spd);
	if (err)
		return err;
	snprintf(gen_dir, sizeof(gen_dir), "%s/%s", pin_dir, dp->generation);
	btf_fd = rules_btf(dp, &key, &value);
	err = spd_install(dp, gen_dir, btf_fd, key, value, spd);
	if (err)
		return err;
	*generation = spd->generation;
	return 0;
}

int spd_read(const struct datapath *dp, struct xipsec_spd *out)
{
	_cleanup_close_ int inner = rules_map(dp);
	__u32 zero = 0;

	if (inner < 0)
		return inner;
	return bpf_map_lookup_elem(inner, &zero, out) ? -errno : 0;
}
