// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sa_maps.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <bpf/bpf.h>

#include "lib/cleanup.h"

int sa_maps_sad_set(const struct datapath *dp, const struct xipsec_sad_key *key,
		    const struct xipsec_sad_entry *entry)
{
	return bpf_map_update_elem(dp->sad, key, entry, BPF_ANY) < 0 ? -errno : 0;
}

int sa_maps_sad_delete(const struct datapath *dp, const struct xipsec_sad_key *key)
{
	return bpf_map_delete_elem(dp->sad, key) < 0 ? -errno : 0;
}

int sa_maps_peer(const struct datapath *dp, const struct xipsec_peer_key *key, bool more)
{
	struct xipsec_peer peer = {0};
	int err;

	if (dp->peers < 0)
		return 0;
	if (bpf_map_lookup_elem(dp->peers, key, &peer) && errno != ENOENT)
		return -errno;
	if (more)
		peer.sas++;
	else if (peer.sas)
		peer.sas--;
	else
		return -ENOENT;
	err = peer.sas ? bpf_map_update_elem(dp->peers, key, &peer, BPF_ANY)
		       : bpf_map_delete_elem(dp->peers, key);
	return err ? -errno : 0;
}

int sa_maps_child_set(const struct datapath *dp, __u32 id, const struct xipsec_child *child)
{
	return bpf_map_update_elem(dp->children, &id, child, BPF_ANY) < 0 ? -errno : 0;
}

int sa_maps_clear(const struct datapath *dp)
{
	struct xipsec_sad_key key;
	struct xipsec_peer_key peer;
	struct xipsec_child none = {0};

	for (__u32 id = 0, n = datapath_children(dp); id < n; id++)
		if (bpf_map_update_elem(dp->children, &id, &none, BPF_ANY) < 0)
			return -errno;
	while (bpf_map_get_next_key(dp->sad, NULL, &key) == 0)
		if (bpf_map_delete_elem(dp->sad, &key) < 0 && errno != ENOENT)
			return -errno;
	while (dp->peers >= 0 && bpf_map_get_next_key(dp->peers, NULL, &peer) == 0)
		if (bpf_map_delete_elem(dp->peers, &peer) < 0 && errno != ENOENT)
			return -errno;
	return 0;
}

int sa_maps_where(int map_fd, char *out, size_t size)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);
	_cleanup_fclose_ FILE *file = NULL;
	char boot[40] = "";

	if (bpf_obj_get_info_by_fd(map_fd, &info, &len) < 0)
		return -errno;
	file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file || !fgets(boot, sizeof(boot), file))
		return -EIO;
	boot[strcspn(boot, "\n")] = 0;
	snprintf(out, size, "%s:%u", boot, info.id);
	return 0;
}
