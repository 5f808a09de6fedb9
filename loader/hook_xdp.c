// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hook_xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include "lib/cleanup.h"
#include "loader/dispatcher.h"

const char *xdp_prog_name(enum xipsec_role role)
{
	return role == XIPSEC_ROLE_PROTECTED ? "xipsec_red" : "xipsec_black";
}

enum xipsec_role xdp_role_of(const char *prog_name)
{
	if (!strcmp(prog_name, "xipsec_red"))
		return XIPSEC_ROLE_PROTECTED;
	if (!strcmp(prog_name, "xipsec_black"))
		return XIPSEC_ROLE_UNPROTECTED;
	return XIPSEC_ROLE_NONE;
}

const char *xdp_mode_name(enum xdp_mode mode)
{
	static const char *const names[] = {"none", "native", "generic", "offload"};

	return names[mode];
}

static int prog_info(__u32 id, struct bpf_prog_info *info)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	__u32 len = sizeof(*info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, info, &len))
		return -errno;
	return 0;
}

/* Ours in the dispatcher stands for the hook. Of two the one that came last: ids only grow. */
static int query_dispatcher(struct xdp_state *state)
{
	struct dispatcher_guest list[DISPATCHER_GUESTS_MAX];
	int n = dispatcher_guests(state->main_id, list);

	if (n < 0)
		return n;
	state->dispatcher = true;
	for (int i = 0; i < n; i++) {
		enum xipsec_role role = xdp_role_of(list[i].prog_name);

		if (!role) {
			state->n_others++;
			continue;
		}
		state->n_ours++;
		if (state->role && list[i].prog_id < state->prog_id)
			continue;
		state->role = role;
		state->prog_id = list[i].prog_id;
		memcpy(state->prog_name, list[i].prog_name, sizeof(state->prog_name));
	}
	return 0;
}

int xdp_query(unsigned int ifindex, struct xdp_state *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct xdp_state state = {0};
	struct bpf_prog_info info = {0};
	int err = bpf_xdp_query((int)ifindex, 0, &query);

	if (err)
		return err;
	if (query.drv_prog_id) {
		state.mode = XDP_MODE_NATIVE;
		state.main_id = query.drv_prog_id;
	} else if (query.hw_prog_id) {
		state.mode = XDP_MODE_OFFLOAD;
		state.main_id = query.hw_prog_id;
	} else if (query.skb_prog_id) {
		state.mode = XDP_MODE_GENERIC_SKB;
		state.main_id = query.skb_prog_id;
	}
	if (state.main_id) {
		err = prog_info(state.main_id, &info);
		if (err)
			return err;
		state.prog_id = state.main_id;
		memcpy(state.prog_name, info.name, sizeof(state.prog_name) - 1);
		state.role = xdp_role_of(state.prog_name);
		if (!strcmp(state.prog_name, DISPATCHER_NAME))
			err = query_dispatcher(&state);
		if (err)
			return err;
	}
	*out = state;
	return 0;
}

static __u32 extension_id(int fd)
{
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	return info.type == BPF_PROG_TYPE_EXT ? info.id : 0;
}

bool xdp_is_extension(int fd)
{
	return extension_id(fd) != 0;
}

static int swap_main(unsigned int ifindex, enum xdp_mode mode, int new_fd, int old_fd)
{
	__u32 flags = mode == XDP_MODE_GENERIC_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = old_fd);

	if (old_fd >= 0)
		return bpf_xdp_attach((int)ifindex, new_fd, flags, &opts);
	return bpf_xdp_attach((int)ifindex, new_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}

/* Without its pins libxdp cannot rebuild a dispatcher. If nothing of others lives in it, it goes as
 * a whole. */
static int take_out(unsigned int ifindex, enum xdp_mode mode, int ext_fd)
{
	_cleanup_close_ int main_fd = -1;
	struct xdp_state now;
	int err;

	if (dispatcher_is_pinned(ifindex))
		return dispatcher_remove(ifindex, mode == XDP_MODE_GENERIC_SKB, ext_fd);
	err = xdp_query(ifindex, &now);
	if (err)
		return err;
	if (!now.dispatcher || now.prog_id != extension_id(ext_fd))
		return -ENOENT;
	if (now.n_others)
		return -EBUSY;
	main_fd = bpf_prog_get_fd_by_id(now.main_id);
	return main_fd < 0 ? -errno : swap_main(ifindex, now.mode, -1, main_fd);
}

/* What a switch that died half-way left there. */
static void take_out_others_of_ours(unsigned int ifindex, enum xdp_mode mode, __u32 keep)
{
	struct dispatcher_guest list[DISPATCHER_GUESTS_MAX];
	struct xdp_state now;
	int n;

	if (xdp_query(ifindex, &now) || !now.dispatcher || now.n_ours < 2)
		return;
	n = dispatcher_guests(now.main_id, list);
	for (int i = 0; i < n; i++) {
		_cleanup_close_ int fd = -1;

		if (list[i].prog_id == keep || !xdp_role_of(list[i].prog_name))
			continue;
		fd = bpf_prog_get_fd_by_id(list[i].prog_id);
		if (fd >= 0)
			take_out(ifindex, mode, fd);
	}
}

static int swap_extension(unsigned int ifindex, enum xdp_mode mode, int new_fd, int old_fd)
{
	int err = 0;

	if (new_fd >= 0)
		err = dispatcher_add(ifindex, mode == XDP_MODE_GENERIC_SKB, new_fd);
	if (err || old_fd < 0)
		return err;
	err = take_out(ifindex, mode, old_fd);
	if (new_fd < 0)
		return err;
	if (err)
		take_out(ifindex, mode, new_fd);
	else
		take_out_others_of_ours(ifindex, mode, extension_id(new_fd));
	return err;
}

int xdp_swap(unsigned int ifindex, enum xdp_mode mode, int new_fd, int old_fd)
{
	if (extension_id(new_fd) || extension_id(old_fd))
		return swap_extension(ifindex, mode, new_fd, old_fd);
	return swap_main(ifindex, mode, new_fd, old_fd);
}
