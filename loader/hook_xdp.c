// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hook_xdp.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <string.h>
#include "lib/cleanup.h"

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

int xdp_query(unsigned int ifindex, struct xdp_state *out)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	struct xdp_state state = {0};
	int err = bpf_xdp_query((int)ifindex, 0, &query);

	if (err)
		return err;
	if (query.drv_prog_id) {
		state.mode = XDP_MODE_NATIVE;
		state.prog_id = query.drv_prog_id;
	} else if (query.hw_prog_id) {
		state.mode = XDP_MODE_OFFLOAD;
		state.prog_id = query.hw_prog_id;
	} else if (query.skb_prog_id) {
		state.mode = XDP_MODE_GENERIC_SKB;
		state.prog_id = query.skb_prog_id;
	}
	if (state.prog_id) {
		_cleanup_close_ int fd = bpf_prog_get_fd_by_id(state.prog_id);
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);

		if (fd < 0)
			return -errno;
		if (bpf_obj_get_info_by_fd(fd, &info, &len))
			return -errno;
		memcpy(state.prog_name, info.name, sizeof(state.prog_name) - 1);
		state.role = xdp_role_of(state.prog_name);
	}
	*out = state;
	return 0;
}

int xdp_swap(unsigned int ifindex, enum xdp_mode mode, int new_fd, int old_fd)
{
	__u32 flags = mode == XDP_MODE_GENERIC_SKB ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE;
	LIBBPF_OPTS(bpf_xdp_attach_opts, opts, .old_prog_fd = old_fd);

	if (old_fd >= 0)
		return bpf_xdp_attach((int)ifindex, new_fd, flags, &opts);
	return bpf_xdp_attach((int)ifindex, new_fd, flags | XDP_FLAGS_UPDATE_IF_NOEXIST, NULL);
}
