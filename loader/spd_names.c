// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_names.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/cleanup.h"

struct spd_name {
	__u32 spd_generation;
	char policy[XIPSEC_NAME_LEN];
};

static int open_names(const char *gen_dir)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/spd_names", gen_dir);
	return bpf_obj_get(path);
}

static int make_names(const char *gen_dir)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "spd_names", sizeof(__u32),
				sizeof(struct spd_name), XIPSEC_RULES_MAX, NULL);
	char path[512];

	snprintf(path, sizeof(path), "%s/spd_names", gen_dir);
	if (fd >= 0 && bpf_obj_pin(fd, path)) {
		int err = -errno;

		close(fd);
		return err;
	}
	return fd;
}

int spd_names_write(const char *gen_dir, const struct config *config, __u32 spd_generation)
{
	_cleanup_close_ int fd = open_names(gen_dir);
	__u32 rule = 0;

	if (fd < 0)
		fd = make_names(gen_dir);
	if (fd < 0)
		return fd;
	/* In the order of spd_compile(). */
	for (unsigned int i = 0; i < config->n_policies; i++) {
		const struct config_policy *policy = &config->policies[i];
		struct spd_name name = {.spd_generation = spd_generation};

		snprintf(name.policy, sizeof(name.policy), "%s", policy->name);
		for (unsigned int k = 0; k < policy->n_rules; k++, rule++) {
			if (bpf_map_update_elem(fd, &rule, &name, BPF_ANY))
				return -errno;
		}
	}
	return 0;
}

void spd_names_read(const char *gen_dir, __u32 spd_generation, char (*names)[XIPSEC_NAME_LEN])
{
	_cleanup_close_ int fd = open_names(gen_dir);

	for (__u32 rule = 0; rule < XIPSEC_RULES_MAX; rule++) {
		struct spd_name name = {0};

		names[rule][0] = 0;
		if (fd >= 0 && !bpf_map_lookup_elem(fd, &rule, &name) &&
		    name.spd_generation == spd_generation)
			snprintf(names[rule], sizeof(names[rule]), "%.63s", name.policy);
	}
}
