// SPDX-License-Identifier: BSD-2-Clause
#include "loader/hook_tc.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include "lib/cleanup.h"

/* tcx is newer than the headers that this is built with. */
#define TCX_ATTACH_INGRESS 46
#define TCX_ATTACH_EGRESS  47
#define TCX_F_REPLACE      (1U << 2)
#define TCX_F_BEFORE       (1U << 3)
#define TCX_IDS_MAX        64

/* Place of our clsact filter: before those that tc numbers by itself. */
#define CLSACT_HANDLE   1
#define CLSACT_PRIORITY 1

/* The parts of union bpf_attr that tcx uses, as the kernel lays them out since 6.6. */
struct tcx_attach_attr {
	__u32 ifindex;
	__u32 prog_fd;
	__u32 type;
	__u32 flags;
	__u32 replace_fd;
	__u32 relative_fd;
	__u64 revision;
};

struct tcx_query_attr {
	__u32 ifindex;
	__u32 type;
	__u32 query_flags;
	__u32 attach_flags;
	__u64 ids __attribute__((aligned(8)));
	__u32 count;
	__u32 pad;
	__u64 prog_attach_flags;
	__u64 link_ids;
	__u64 link_attach_flags;
	__u64 revision;
};

static int sys_bpf(int cmd, void *attr, unsigned int size)
{
	return syscall(SYS_bpf, cmd, attr, size) < 0 ? -errno : 0;
}

static __u32 tcx_type(enum tc_point point)
{
	return point == TC_INGRESS ? TCX_ATTACH_INGRESS : TCX_ATTACH_EGRESS;
}

const struct tc_place tc_place[TC_PLACES] = {
	[TC_GUARD] = {XIPSEC_ROLE_UNPROTECTED, TC_EGRESS, "xipsec_guard"},
	[TC_BLACKTC] = {XIPSEC_ROLE_UNPROTECTED, TC_INGRESS, "xipsec_blacktc"},
	[TC_REDTC] = {XIPSEC_ROLE_PROTECTED, TC_INGRESS, "xipsec_redtc"},
};

unsigned int tc_behind(enum xipsec_role role)
{
	return role == XIPSEC_ROLE_PROTECTED ? TC_REDTC : TC_BLACKTC;
}

const char *tc_kind_name(enum tc_kind kind)
{
	static const char *const names[] = {"none", "tcx", "clsact"};

	return names[kind];
}

int tcx_query(unsigned int ifindex, enum tc_point point, __u32 *ids, unsigned int max)
{
	struct tcx_query_attr attr = {
		.ifindex = ifindex,
		.type = tcx_type(point),
		.ids = (__u64)(unsigned long)ids,
		.count = max,
	};
	int err = sys_bpf(BPF_PROG_QUERY, &attr, sizeof(attr));

	return err ? err : (int)attr.count;
}

static int prog_has_name(__u32 id, const char *name)
{
	_cleanup_close_ int fd = bpf_prog_get_fd_by_id(id);
	struct bpf_prog_info info = {0};
	__u32 len = sizeof(info);

	if (fd < 0 || bpf_obj_get_info_by_fd(fd, &info, &len))
		return 0;
	return !strcmp(info.name, name);
}

static void clsact_hook(struct bpf_tc_hook *hook, unsigned int ifindex, enum tc_point point)
{
	memset(hook, 0, sizeof(*hook));
	hook->sz = sizeof(*hook);
	hook->ifindex = (int)ifindex;
	hook->attach_point = point == TC_INGRESS ? BPF_TC_INGRESS : BPF_TC_EGRESS;
}

int tc_query(unsigned int ifindex, enum tc_point point, const char *prog_name, struct tc_state *out)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	struct bpf_tc_hook hook;
	libbpf_print_fn_t print;
	__u32 ids[TCX_IDS_MAX];
	int err, n = tcx_query(ifindex, point, ids, TCX_IDS_MAX);

	if (n < 0 && n != -EINVAL && n != -ENOENT)
		return n;
	for (int i = 0; i < n; i++) {
		if (prog_has_name(ids[i], prog_name)) {
			*out = (struct tc_state){.kind = TC_KIND_TCX, .prog_id = ids[i]};
			return 0;
		}
	}
	clsact_hook(&hook, ifindex, point);
	/* libbpf would tell each interface without a qdisc. */
	print = libbpf_set_print(NULL);
	err = bpf_tc_query(&hook, &opts);
	libbpf_set_print(print);
	/* Fails where there is no such filter or no qdisc: then nothing of ours is there. */
	if (!err && prog_has_name(opts.prog_id, prog_name))
		*out = (struct tc_state){.kind = TC_KIND_CLSACT, .prog_id = opts.prog_id};
	else
		*out = (struct tc_state){.kind = TC_KIND_NONE};
	return 0;
}

int tc_query_place(unsigned int ifindex, const struct tc_place *place, struct tc_state *out)
{
	return tc_query(ifindex, place->point, place->prog_name, out);
}

static int tcx_swap(unsigned int ifindex, enum tc_point point, int new_fd, int old_fd)
{
	struct tcx_attach_attr attr = {
		.ifindex = ifindex,
		.prog_fd = (__u32)(new_fd >= 0 ? new_fd : old_fd),
		.type = tcx_type(point),
	};

	if (new_fd < 0)
		return sys_bpf(BPF_PROG_DETACH, &attr, sizeof(attr));
	if (old_fd >= 0) {
		attr.flags = TCX_F_REPLACE;
		attr.replace_fd = (__u32)old_fd;
	} else {
		attr.flags = TCX_F_BEFORE;
	}
	return sys_bpf(BPF_PROG_ATTACH, &attr, sizeof(attr));
}

static int clsact_swap(unsigned int ifindex, enum tc_point point, int new_fd, int old_fd)
{
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = CLSACT_HANDLE, .priority = CLSACT_PRIORITY);
	struct bpf_tc_hook hook;
	int err;

	clsact_hook(&hook, ifindex, point);
	if (new_fd < 0)
		return bpf_tc_detach(&hook, &opts);
	err = bpf_tc_hook_create(&hook);
	if (err && err != -EEXIST)
		return err;
	opts.prog_fd = new_fd;
	opts.flags = old_fd >= 0 ? BPF_TC_F_REPLACE : 0;
	return bpf_tc_attach(&hook, &opts);
}

int tc_swap(unsigned int ifindex, enum tc_point point, enum tc_kind kind, int new_fd, int old_fd)
{
	if (kind == TC_KIND_TCX)
		return tcx_swap(ifindex, point, new_fd, old_fd);
	return clsact_swap(ifindex, point, new_fd, old_fd);
}
