// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_names.h"

#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "loader/datapath.h"

/* Types of xipsec_spd_name, which no program has, for bpftool alone. The caller frees; NULL: names
 * are written without. */
static struct btf *make_types(int *key, int *value)
{
	struct btf *btf = btf__new_empty();
	int letter, letters;

	if (!btf)
		return NULL;
	*key = btf__add_int(btf, "__u32", sizeof(__u32), 0);
	letter = btf__add_int(btf, "char", 1, BTF_INT_SIGNED);
	letters = btf__add_array(btf, *key, letter, XIPSEC_NAME_LEN);
	*value = btf__add_struct(btf, "xipsec_spd_name", sizeof(struct xipsec_spd_name));
	if (*key > 0 && letter > 0 && letters > 0 && *value > 0 &&
	    !btf__add_field(btf, "spd_generation", *key,
			    8 * offsetof(struct xipsec_spd_name, spd_generation), 0) &&
	    !btf__add_field(btf, "policy", letters, 8 * offsetof(struct xipsec_spd_name, policy),
			    0) &&
	    !btf__load_into_kernel(btf))
		return btf;
	btf__free(btf);
	return NULL;
}

static int make_names(unsigned int n)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = BPF_F_MMAPABLE);
	int key = 0, value = 0, fd;
	struct btf *btf = make_types(&key, &value);

	if (btf) {
		opts.btf_fd = (__u32)btf__fd(btf);
		opts.btf_key_type_id = (__u32)key;
		opts.btf_value_type_id = (__u32)value;
	}
	fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "spd_names", sizeof(__u32),
			    sizeof(struct xipsec_spd_name), n ? n : 1, &opts);
	fd = fd < 0 ? -errno : fd;
	btf__free(btf);
	return fd;
}

static int pin_names(int fd, const char *gen_dir)
{
	char path[512], fresh[512];

	snprintf(path, sizeof(path), "%s/spd_names", gen_dir);
	snprintf(fresh, sizeof(fresh), "%s/spd_names_new", gen_dir);
	unlink(fresh);
	if (bpf_obj_pin(fd, fresh))
		return -errno;
	return rename(fresh, path) ? -errno : 0;
}

/* In memory: a call into the kernel for each of ten thousand would take longer than all the rest of
 * a change. */
int spd_names_write(const char *gen_dir, const struct config *config, __u32 spd_generation)
{
	_cleanup_close_ int fd = make_names(config->n_policies);
	size_t size = 0, stride = 0;
	char *memory;

	if (fd < 0)
		return fd;
	memory = datapath_mmap(fd, &size, &stride);
	if (!memory)
		return -errno;
	for (unsigned int i = 0; i < config->n_policies; i++) {
		struct xipsec_spd_name *name = (void *)(memory + i * stride);

		name->spd_generation = spd_generation;
		memcpy(name->policy, config->policies[i].name, sizeof(name->policy));
	}
	munmap(memory, size);
	return pin_names(fd, gen_dir);
}

static int open_names(const char *gen_dir, __u32 *n)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	_cleanup_close_ int fd = -1;
	char path[512];

	snprintf(path, sizeof(path), "%s/spd_names", gen_dir);
	fd = bpf_obj_get(path);
	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ||
	    info.value_size != sizeof(struct xipsec_spd_name))
		return -1;
	*n = info.max_entries;
	return take_fd(&fd);
}

void spd_names_carry(const char *gen_dir, __u32 from, __u32 to)
{
	size_t size = 0, stride = 0;
	__u32 n = 0;
	_cleanup_close_ int fd = open_names(gen_dir, &n);
	char *memory = fd < 0 ? NULL : datapath_mmap(fd, &size, &stride);

	if (!memory)
		return;
	for (__u32 i = 0; i < n; i++) {
		struct xipsec_spd_name *name = (void *)(memory + i * stride);

		if (name->spd_generation == from)
			name->spd_generation = to;
	}
	munmap(memory, size);
}

struct xipsec_spd_name *spd_names_read(const char *gen_dir, __u32 *n)
{
	struct xipsec_spd_name *names;
	__u32 room = 0;
	_cleanup_close_ int fd = open_names(gen_dir, &room);

	if (fd < 0)
		return NULL;
	names = calloc(room, sizeof(*names));
	for (__u32 i = 0; names && i < room; i++)
		if (bpf_map_lookup_elem(fd, &i, &names[i]))
			names[i].spd_generation = 0;
	*n = names ? room : 0;
	return names;
}
