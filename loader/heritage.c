// SPDX-License-Identifier: BSD-2-Clause
#include "loader/heritage.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/datapath.h"
#include "loader/hook_tc.h"
#include "loader/hook_xdp.h"
#include "loader/iflist.h"
#include "loader/reserve.h"
#include "loader/sa_maps.h"

#define MAPS_MAX 64 /* of one program */

static const char *const bound[] = {"version", "sa_state", "worker_stats"};

#define N_BOUND (sizeof(bound) / sizeof(bound[0]))

void heritage_close(struct heritage *heritage)
{
	if (heritage->sa_state >= 0)
		close(heritage->sa_state);
	if (heritage->worker_stats >= 0)
		close(heritage->worker_stats);
	heritage->sa_state = heritage->worker_stats = -1;
}

/* ------------------------------------------------------------------ finding */

static bool open_pins(const char *pin_dir, const char *name, struct heritage *out)
{
	struct xipsec_version version;
	char dir[320], path[400];

	snprintf(dir, sizeof(dir), "%s/%s", pin_dir, name);
	if (datapath_abi(dir, &version))
		return false;
	snprintf(path, sizeof(path), "%s/sa_state", dir);
	out->sa_state = bpf_obj_get(path);
	snprintf(path, sizeof(path), "%s/worker_stats", dir);
	out->worker_stats = bpf_obj_get(path);
	out->abi = version.abi;
	return out->sa_state >= 0;
}

static bool find_by_pins(const char *pin_dir, struct heritage *out)
{
	char current[32];

	return !datapath_current(pin_dir, current) && open_pins(pin_dir, current, out);
}

static int prog_maps(__u32 prog_id, __u32 ids[MAPS_MAX])
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(prog_id);
	struct bpf_prog_info info = {.nr_map_ids = MAPS_MAX, .map_ids = (__u64)(unsigned long)ids};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	return info.nr_map_ids < MAPS_MAX ? (int)info.nr_map_ids : MAPS_MAX;
}

static int map_of(const __u32 *ids, int n, const char *name)
{
	for (int i = 0; i < n; i++) {
		_cleanup_close_ int fd = bpf_map_get_fd_by_id(ids[i]);
		struct bpf_map_info info = {0};
		__u32 len = sizeof(info);

		if (fd >= 0 && !bpf_obj_get_info_by_fd(fd, &info, &len) &&
		    strcmp(info.name, name) == 0)
			return take_fd(&fd);
	}
	return -1;
}

static bool find_by_program(__u32 prog_id, struct heritage *out)
{
	struct xipsec_version version;
	_cleanup_close_ int fd = -1;
	__u32 ids[MAPS_MAX];
	int n = prog_id ? prog_maps(prog_id, ids) : 0;

	fd = map_of(ids, n, "version");
	if (fd < 0 || datapath_abi_of(fd, &version))
		return false;
	heritage_close(out);
	out->sa_state = map_of(ids, n, "sa_state");
	out->worker_stats = map_of(ids, n, "worker_stats");
	out->abi = version.abi;
	return out->sa_state >= 0;
}

static bool find_by_interface(unsigned int ifindex, struct heritage *out)
{
	struct xdp_state xdp;
	struct tc_state tc;

	if (!xdp_query(ifindex, &xdp) && xdp.role && find_by_program(xdp.prog_id, out))
		return true;
	for (unsigned int i = 0; i < TC_PLACES; i++) {
		if (!tc_query_place(ifindex, &tc_place[i], &tc) && find_by_program(tc.prog_id, out))
			return true;
	}
	return false;
}

void heritage_find(const char *pin_dir, struct heritage *out)
{
	_cleanup_free_ struct iflist_entry *links = NULL;
	unsigned int n = 0;

	*out = (struct heritage){.sa_state = -1, .worker_stats = -1};
	if (find_by_pins(pin_dir, out) || iflist_get(&links, &n))
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (find_by_interface(links[i].ifindex, out))
			return;
	}
}

void heritage_of(const char *pin_dir, const char *name, struct heritage *out)
{
	*out = (struct heritage){.sa_state = -1, .worker_stats = -1};
	open_pins(pin_dir, name, out);
}

/* ------------------------------------------------------------------ settling */

struct look {
	int map;
	unsigned int n;
	char *value; /* room for one entry, of whatever ABI */
};

static const struct xipsec_sa_state *look_at(void *ctx, __u32 index)
{
	struct look *look = ctx;

	if (index >= look->n || bpf_map_lookup_elem(look->map, &index, look->value))
		return NULL;
	return (void *)look->value;
}

static int settle_locked(const struct reserve *reserve, int map)
{
	_cleanup_free_ char *value = NULL;
	struct bpf_map_info info = {0};
	char where[RESERVE_WHERE_LEN];
	__u32 len = sizeof(info);
	struct look look;
	size_t size;
	int err;

	err = bpf_obj_get_info_by_fd(map, &info, &len) ? -errno : 0;
	if (!err)
		err = sa_maps_where(map, where, sizeof(where));
	if (err)
		return err;
	size = info.value_size > sizeof(struct xipsec_sa_state) ? info.value_size
								: sizeof(struct xipsec_sa_state);
	value = calloc(1, size);
	if (!value)
		return -ENOMEM;
	look = (struct look){map, info.max_entries, value};
	return reserve_settle(reserve, where, look_at, &look);
}

int heritage_settle(const char *state_dir, const struct heritage *heritage)
{
	struct reserve reserve = {.dir = -1, .lock = -1};
	char path[300], text[RESERVE_TEXT_MAX] = "";
	int err;

	snprintf(path, sizeof(path), "%s/keys", state_dir);
	/* No xipsecd has ever had a manual key. */
	if (heritage->sa_state < 0 || (access(path, F_OK) && errno == ENOENT))
		return 0;
	err = reserve_open(state_dir, &reserve, text);
	if (err == -EBUSY)
		return err;
	if (!err)
		err = settle_locked(&reserve, heritage->sa_state);
	reserve_close(&reserve);
	if (err)
		log_error("what was received cannot be noted in %s: %s; without that it could be "
			  "replayed, so the maps that know it must stay",
			  path, text[0] ? text : strerror(-err));
	return err;
}

/* ------------------------------------------------------------------ taking over */

/* Same layout and meaning; `*n` of entries may differ. */
static bool fits(const struct bpf_map *map, int fd, __u32 *n)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	if (bpf_obj_get_info_by_fd(fd, &info, &len))
		return false;
	*n = info.max_entries;
	return info.type == bpf_map__type(map) && info.key_size == bpf_map__key_size(map) &&
	       info.value_size == bpf_map__value_size(map) &&
	       info.map_flags == bpf_map__map_flags(map);
}

static int reuse(struct bpf_map *map, int fd)
{
	int err = bpf_map__reuse_fd(map, fd);

	if (err)
		log_error("map %s cannot be taken over: %s", bpf_map__name(map), strerror(-err));
	return err;
}

static int take_states(const struct config *config, const struct heritage *heritage,
		       struct bpf_map *map)
{
	__u32 n = 0;
	int err;

	if (heritage->sa_state < 0)
		return 0;
	if (heritage->abi != XIPSEC_ABI || !fits(map, heritage->sa_state, &n)) {
		err = heritage_settle(config->state_dir, heritage);
		return err == -EBUSY ? 0 : err; /* it notices, and ends with exact records */
	}
	if (n == bpf_map__max_entries(map))
		return reuse(map, heritage->sa_state);
	err = heritage_settle(config->state_dir, heritage);
	if (!err)
		return 0;
	log_warn("max_sas = %u has to wait, there is room for %u SAs as before: %s, then `xipsec "
		 "attach --all --upgrade`",
		 bpf_map__max_entries(map), n, err == -EBUSY ? "stop xipsecd" : "mend that");
	return reuse(map, heritage->sa_state);
}

int heritage_take(const struct config *config, const struct heritage *heritage,
		  struct bpf_object *obj)
{
	struct bpf_map *states = bpf_object__find_map_by_name(obj, "sa_state");
	struct bpf_map *stats = bpf_object__find_map_by_name(obj, "worker_stats");
	__u32 n = 0;
	int err;

	if (!states || !stats)
		return -EINVAL;
	err = take_states(config, heritage, states);
	if (err || heritage->worker_stats < 0 || heritage->abi != XIPSEC_ABI ||
	    !fits(stats, heritage->worker_stats, &n) || n != bpf_map__max_entries(stats))
		return err;
	return reuse(stats, heritage->worker_stats);
}

static __u32 map_id(int fd)
{
	struct bpf_map_info info = {0};
	__u32 len = sizeof(info);

	return fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len) ? 0 : info.id;
}

int heritage_leave(const char *state_dir, const struct heritage *heritage, int sa_state)
{
	int err = 0;

	if (map_id(heritage->sa_state) != map_id(sa_state))
		err = heritage_settle(state_dir, heritage);
	return err == -EBUSY ? 0 : err;
}

int heritage_bind(struct bpf_object *obj)
{
	struct bpf_program *prog;

	bpf_object__for_each_program(prog, obj)
	{
		if (bpf_program__fd(prog) < 0)
			continue;
		for (size_t i = 0; i < N_BOUND; i++) {
			int map = bpf_object__find_map_fd_by_name(obj, bound[i]);

			if (bpf_prog_bind_map(bpf_program__fd(prog), map, NULL)) {
				log_error("program %s cannot hold map %s: %s",
					  bpf_program__name(prog), bound[i], strerror(errno));
				return -errno;
			}
		}
	}
	return 0;
}
