// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hits.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include "loader/datapath.h"

int hits_make_room(struct bpf_map *map, __u32 rules)
{
	int cpus = libbpf_num_possible_cpus();

	if (cpus <= 0)
		return cpus ? cpus : -EINVAL;
	if ((__u64)rules * (unsigned int)cpus > ~0U)
		return -E2BIG;
	return bpf_map__set_max_entries(map, rules * (unsigned int)cpus);
}

__u32 hits_rules(int map)
{
	int cpus = libbpf_num_possible_cpus();
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (cpus <= 0 || bpf_obj_get_info_by_fd(map, &info, &len))
		return 0;
	return info.max_entries / (unsigned int)cpus;
}

int hits_open(int map, struct hits *out)
{
	struct hits hits = {.rules = hits_rules(map)};
	int cpus = libbpf_num_possible_cpus();
	size_t stride;

	if (!hits.rules || cpus <= 0)
		return -EINVAL;
	hits.cpus = (unsigned int)cpus;
	hits.at = datapath_mmap(map, &hits.size, &stride);
	if (!hits.at)
		return -errno;
	*out = hits;
	return 0;
}

void hits_close(struct hits *hits)
{
	if (hits->at)
		munmap(hits->at, hits->size);
	*hits = (struct hits)HITS_NONE;
}

struct xipsec_counter hits_sum(const struct hits *hits, __u32 rule)
{
	struct xipsec_counter sum = {0};

	for (unsigned int cpu = 0; rule < hits->rules && cpu < hits->cpus; cpu++) {
		const struct xipsec_counter *at = &hits->at[(size_t)cpu * hits->rules + rule];

		sum.packets += __atomic_load_n(&at->packets, __ATOMIC_RELAXED);
		sum.bytes += __atomic_load_n(&at->bytes, __ATOMIC_RELAXED);
	}
	return sum;
}

void hits_clear(const struct hits *hits, __u32 first, __u32 end)
{
	end = end < hits->rules ? end : hits->rules;
	for (unsigned int cpu = 0; first < end && cpu < hits->cpus; cpu++)
		memset(&hits->at[(size_t)cpu * hits->rules + first], 0,
		       (end - first) * sizeof(hits->at[0]));
}

void hits_carry(const struct hits *hits, __u32 from, __u32 to)
{
	struct xipsec_counter *at = hits->at;

	for (unsigned int cpu = 0; cpu < hits->cpus; cpu++, at += hits->rules)
		if (to < hits->rules)
			at[to] = from < hits->rules ? at[from] : (struct xipsec_counter){0};
}
