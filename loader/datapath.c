// SPDX-License-Identifier: BSD-2-Clause
#include "loader/datapath.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "lib/cleanup.h"

static const struct {
	const char *name;
	size_t offset;
} datapath_maps[] = {
	{"globals", offsetof(struct datapath, globals)},
	{"ifaces", offsetof(struct datapath, ifaces)},
	{"spd", offsetof(struct datapath, spd)},
	{"spd_buckets_of", offsetof(struct datapath, spd_buckets_of)},
	{"spd_rules_of", offsetof(struct datapath, spd_rules_of)},
	{"spd_hits", offsetof(struct datapath, spd_hits)},
	{"flow_stats", offsetof(struct datapath, flow_stats)},
	{"child_ids", offsetof(struct datapath, child_ids)},
	{"dev_ids", offsetof(struct datapath, dev_ids)},
	{"children", offsetof(struct datapath, children)},
	{"sad", offsetof(struct datapath, sad)},
	{"sa_state", offsetof(struct datapath, sa_state)},
	{"xsks", offsetof(struct datapath, xsks)},
	{"reasons", offsetof(struct datapath, reasons)},
	{"worker_stats", offsetof(struct datapath, worker_stats)},
	{"events", offsetof(struct datapath, events)},
	{"cpus", offsetof(struct datapath, cpus)},
	{"peers", offsetof(struct datapath, peers)},
};

/* The last ones came with the same ABI later: builds without them are none the worse. */
#define N_OPTIONAL 3

#define N_MAPS (sizeof(datapath_maps) / sizeof(datapath_maps[0]))

static int *map_slot(struct datapath *dp, size_t i)
{
	return (int *)((char *)dp + datapath_maps[i].offset);
}

void datapath_close(struct datapath *dp)
{
	for (size_t i = 0; i < N_MAPS; i++) {
		int *fd = map_slot(dp, i);

		if (*fd >= 0)
			close(*fd);
		*fd = -1;
	}
}

int datapath_current(const char *pin_dir, char out[32])
{
	char path[512], target[32];
	ssize_t len;

	snprintf(path, sizeof(path), "%s/current", pin_dir);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -errno;
	target[len] = 0;
	memcpy(out, target, sizeof(target));
	return 0;
}

int datapath_abi_of(int fd, struct xipsec_version *out)
{
	_cleanup_free_ struct xipsec_version *version = NULL;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info), zero = 0;
	size_t size;

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return -errno;
	/* Another ABI may have a longer value; its first word is the ABI for ever. */
	size = info.value_size > sizeof(*version) ? info.value_size : sizeof(*version);
	version = calloc(1, size);
	if (!version)
		return -ENOMEM;
	if (bpf_map_lookup_elem(fd, &zero, version))
		return -errno;
	*out = *version;
	out->release[sizeof(out->release) - 1] = 0;
	return 0;
}

int datapath_abi(const char *gen_dir, struct xipsec_version *out)
{
	_cleanup_close_ int fd = -1;
	char path[512];

	snprintf(path, sizeof(path), "%s/version", gen_dir);
	fd = bpf_obj_get(path);
	return fd < 0 ? -errno : datapath_abi_of(fd, out);
}

int datapath_open_dir(const char *gen_dir, struct datapath *out)
{
	struct xipsec_version version;
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	const char *slash = strrchr(gen_dir, '/');
	struct datapath dp;
	int err = datapath_abi(gen_dir, &version);

	if (err)
		return err;
	if (version.abi != XIPSEC_ABI)
		return -EPROTO;
	for (size_t i = 0; i < N_MAPS; i++)
		*map_slot(&dp, i) = -1;
	snprintf(dp.generation, sizeof(dp.generation), "%s", slash ? slash + 1 : gen_dir);
	for (size_t i = 0; i < N_MAPS; i++) {
		char path[512];

		snprintf(path, sizeof(path), "%s/%s", gen_dir, datapath_maps[i].name);
		*map_slot(&dp, i) = bpf_obj_get(path);
		if (*map_slot(&dp, i) < 0 && (i < N_MAPS - N_OPTIONAL || errno != ENOENT)) {
			err = -errno;
			datapath_close(&dp);
			return err;
		}
	}
	if (bpf_obj_get_info_by_fd(dp.sa_state, &info, &len)) {
		err = -errno;
		datapath_close(&dp);
		return err;
	}
	dp.n_sas = info.max_entries;
	*out = dp;
	return 0;
}

int datapath_open(const char *pin_dir, struct datapath *out)
{
	char current[32], gen_dir[320];
	int err = datapath_current(pin_dir, current);

	if (err)
		return err;
	snprintf(gen_dir, sizeof(gen_dir), "%s/%s", pin_dir, current);
	return datapath_open_dir(gen_dir, out);
}

static const char next_child[XIPSEC_NAME_LEN]; /* no child has this name */

__u32 datapath_children(const struct datapath *dp)
{
	__u32 n = 0;

	return bpf_map_lookup_elem(dp->child_ids, next_child, &n) ? 0 : n;
}

__u32 datapath_devs(const struct datapath *dp)
{
	static const char nobody[XIPSEC_IFNAME_LEN];
	__u32 next = 0;

	return bpf_map_lookup_elem(dp->dev_ids, nobody, &next) || !next ? 0 : next - 1;
}

/* Of the name in key[size], in a map from names to ids; ids from `first`, at most `max`. The next
 * id moves first: who dies in between wastes one. */
static int name_id(int map, const char *key, size_t size, __u32 first, __u32 max)
{
	_cleanup_free_ char *nobody = calloc(1, size);
	__u32 id = 0, fresh = first, next;

	if (!nobody)
		return -ENOMEM;
	if (!bpf_map_lookup_elem(map, key, &id))
		return (int)id;
	bpf_map_lookup_elem(map, nobody, &fresh);
	if (fresh - first >= max)
		return -ENOSPC;
	next = fresh + 1;
	if (bpf_map_update_elem(map, nobody, &next, BPF_ANY) ||
	    bpf_map_update_elem(map, key, &fresh, BPF_NOEXIST))
		return -errno;
	return (int)fresh;
}

int datapath_child_id(const struct datapath *dp, const char *name)
{
	char key[XIPSEC_NAME_LEN] = "";

	if (!name[0] || strlen(name) >= sizeof(key))
		return name[0] ? -ENAMETOOLONG : -EINVAL;
	strcpy(key, name);
	return name_id(dp->child_ids, key, sizeof(key), 0, XIPSEC_CHILDREN_MAX);
}

int datapath_dev_id(const struct datapath *dp, const char *name)
{
	char key[XIPSEC_IFNAME_LEN] = "";

	if (!name[0] || strlen(name) >= sizeof(key))
		return name[0] ? -ENAMETOOLONG : -EINVAL;
	strcpy(key, name);
	return name_id(dp->dev_ids, key, sizeof(key), 1, XIPSEC_DEVS_MAX);
}

void *datapath_mmap(int map_fd, size_t *size, size_t *stride)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	size_t page = (size_t)sysconf(_SC_PAGESIZE), step, total;
	void *at;

	if (bpf_obj_get_info_by_fd(map_fd, &info, &len))
		return NULL;
	step = ((size_t)info.value_size + 7) & ~(size_t)7;
	total = (step * info.max_entries + page - 1) / page * page;
	at = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);
	if (at == MAP_FAILED)
		return NULL;
	*size = total;
	*stride = step;
	return at;
}

int datapath_mkdir(const char *path, unsigned int mode)
{
	_cleanup_free_ char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	for (char *at = copy + 1;; at++) {
		char was = *at;

		if (was != '/' && was != 0)
			continue;
		*at = 0;
		if (mkdir(copy, mode) && errno != EEXIST)
			return -errno;
		*at = was;
		if (!was)
			return 0;
	}
}

int datapath_lock(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	char path[512];
	int err = datapath_mkdir(run_dir, 0755);

	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/loader.lock", run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX)) {
		if (errno != EINTR)
			return -errno;
	}
	return take_fd(&fd);
}

int datapath_publish(const struct datapath *dp, __u32 tell, __u32 pmtu_age)
{
	size_t size = 0, stride = 0;
	struct xipsec_globals *globals = datapath_mmap(dp->globals, &size, &stride);

	if (!globals)
		return -errno;
	__atomic_store_n(&globals->tell, tell, __ATOMIC_RELAXED);
	__atomic_store_n(&globals->pmtu_age, pmtu_age, __ATOMIC_RELAXED);
	munmap(globals, size);
	return 0;
}
