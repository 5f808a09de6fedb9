// SPDX-License-Identifier: BSD-2-Clause
#include "loader/probe.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/hook_tc.h"

static bool has_cap(const struct __user_cap_data_struct *data, unsigned int cap)
{
	return data[cap / 32].effective >> (cap % 32) & 1;
}

int probe_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {0};
	bool admin;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	admin = has_cap(data, CAP_SYS_ADMIN);
	if (!admin && !has_cap(data, CAP_BPF)) {
		log_error("no CAP_BPF: loading programs needs root, or the capabilities CAP_BPF "
			  "and CAP_NET_ADMIN");
		return -EPERM;
	}
	if (!has_cap(data, CAP_NET_ADMIN)) {
		log_error("no CAP_NET_ADMIN: attaching programs to interfaces needs root, or the "
			  "capabilities CAP_BPF and CAP_NET_ADMIN");
		return -EPERM;
	}
	return 0;
}

int probe_bpffs(const char *dir)
{
	_cleanup_free_ char *path = strdup(dir);
	struct statfs fs;

	if (!path)
		return -ENOMEM;
	while (statfs(path, &fs)) {
		char *slash = strrchr(path, '/');

		if (errno != ENOENT || !slash || slash == path) {
			log_error("pin_dir %s: %s", dir, strerror(errno));
			return -ENOTSUP;
		}
		*slash = 0;
	}
	if (fs.f_type == BPF_FS_MAGIC)
		return 0;
	log_error("pin_dir %s is not on a mounted bpffs: run `mount -t bpf bpf /sys/fs/bpf`, or "
		  "name a folder of a bpffs in `datapath { pin_dir = }`",
		  dir);
	return -ENOTSUP;
}

bool probe_tcx(unsigned int ifindex)
{
	return tcx_query(ifindex, TC_EGRESS, NULL, 0) >= 0;
}

unsigned int probe_kernel(void)
{
	unsigned int major = 0, minor = 0;
	struct utsname name;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return 0;
	return KERNEL_VERSION(major, minor, 0);
}

/*
 * Drivers whose native XDP gives no metadata area (they call xdp_prepare_buff() with meta_valid
 * false). There is no way to ask: bpf_xdp_adjust_meta() fails only once a frame is there.
 */
static const struct {
	const char *driver;
	unsigned int since; /* first Linux that has it, 0: none that we know */
} no_metadata[] = {
	{"ena", 0},  {"hv_netvsc", 0},    {"mvneta", 0},    {"netsec", 0},
	{"qede", 0}, {"sfc", 0},          {"sfc-siena", 0}, {"nicvf", 0},
	{"vif", 0},  {"xen_netfront", 0}, {"ti-cpsw", 0},   {"tun", KERNEL_VERSION(6, 15, 0)},
};

bool probe_driver_metadata(const char *driver, unsigned int kernel)
{
	for (size_t i = 0; i < sizeof(no_metadata) / sizeof(no_metadata[0]); i++) {
		if (!strcmp(driver, no_metadata[i].driver))
			return no_metadata[i].since && kernel >= no_metadata[i].since;
	}
	return true;
}
