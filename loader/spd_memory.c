// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_memory.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void spd_memory_close(struct spd_memory *memory)
{
	if (memory->c.head)
		munmap(memory->c.head, memory->head_size);
	if (memory->c.bucket)
		munmap(memory->c.bucket, memory->buckets_size);
	if (memory->c.rule)
		munmap(memory->c.rule, memory->rules_size);
	if (memory->head >= 0)
		close(memory->head);
	if (memory->buckets >= 0)
		close(memory->buckets);
	if (memory->rules >= 0)
		close(memory->rules);
	*memory = (struct spd_memory)SPD_MEMORY_NONE;
}

static int map_all(struct spd_memory *memory)
{
	size_t stride;

	memory->c.head = datapath_mmap(memory->head, &memory->head_size, &stride);
	if (!memory->c.head)
		return -errno;
	memory->c.bucket = datapath_mmap(memory->buckets, &memory->buckets_size, &stride);
	if (!memory->c.bucket)
		return -errno;
	memory->c.rule = datapath_mmap(memory->rules, &memory->rules_size, &stride);
	return memory->c.rule ? 0 : -errno;
}

/* Older kernels (6.1) refuse a successor with other types than its predecessor's. */
static int make_map(const struct btf *btf, const char *name, const char *type, __u32 value_size,
		    __u32 entries, __u32 flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE | flags);
	int key = btf ? btf__find_by_name_kind(btf, "__u32", BTF_KIND_TYPEDEF) : -1;
	int value = btf ? btf__find_by_name_kind(btf, type, BTF_KIND_STRUCT) : -1;
	int fd;

	if (key > 0 && value > 0) {
		opts.btf_fd = (__u32)btf__fd(btf);
		opts.btf_key_type_id = (__u32)key;
		opts.btf_value_type_id = (__u32)value;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, name, sizeof(__u32), value_size, entries, &opts);
	return fd < 0 ? -errno : fd;
}

int spd_memory_make(const struct btf *btf, const struct classifier_size *size,
		    struct spd_memory *out)
{
	struct spd_memory memory = SPD_MEMORY_NONE;
	int err;

	memory.head = make_map(btf, "spd_head", "xipsec_spd", sizeof(struct xipsec_spd), 1, 0);
	memory.buckets = make_map(btf, "spd_buckets", "xipsec_spd_bucket",
				  sizeof(struct xipsec_spd_bucket), size->buckets, BPF_F_INNER_MAP);
	memory.rules = make_map(btf, "spd_rules", "xipsec_spd_rule", sizeof(struct xipsec_spd_rule),
				size->rules, BPF_F_INNER_MAP);
	err = memory.head < 0      ? memory.head
	      : memory.buckets < 0 ? memory.buckets
	      : memory.rules < 0   ? memory.rules
				   : map_all(&memory);
	if (err) {
		spd_memory_close(&memory);
		return err;
	}
	classifier_init(&memory.c, size);
	*out = memory;
	return 0;
}

/* The map in a slot of an outer map. Not by its pin, which may be gone. */
static int inner_map(int outer, __u32 slot)
{
	__u32 id = 0;
	int fd;

	if (bpf_map_lookup_elem(outer, &slot, &id))
		return -errno;
	fd = bpf_map_get_fd_by_id(id);
	return fd < 0 ? -errno : fd;
}

int spd_memory_open(const struct datapath *dp, struct spd_memory *out)
{
	struct spd_memory memory = SPD_MEMORY_NONE;
	size_t stride;
	int err = 0;

	memory.head = inner_map(dp->spd, 0);
	if (memory.head < 0)
		return memory.head;
	memory.c.head = datapath_mmap(memory.head, &memory.head_size, &stride);
	if (!memory.c.head)
		err = -errno;
	else if (!memory.c.head->generation)
		err = -ENOENT;
	if (!err) {
		memory.buckets = inner_map(dp->spd_buckets_of, memory.c.head->place);
		memory.rules = inner_map(dp->spd_rules_of, memory.c.head->place);
		err = memory.buckets < 0 ? memory.buckets : memory.rules < 0 ? memory.rules : 0;
	}
	if (!err) {
		munmap(memory.c.head, memory.head_size);
		memory.c.head = NULL;
		err = map_all(&memory);
	}
	if (err) {
		spd_memory_close(&memory);
		return err;
	}
	*out = memory;
	return 0;
}

__u64 spd_memory_bytes(const struct spd_memory *memory)
{
	return memory->head_size + memory->buckets_size + memory->rules_size;
}
