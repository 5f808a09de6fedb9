// SPDX-License-Identifier: BSD-2-Clause
#include "loader/probe.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/version.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/vfs.h>
#include "lib/cleanup.h"
#include "lib/if_xdp.h"
#include "lib/log.h"
#include "loader/hook_tc.h"
#include "stub.skel.h"

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

/* Flags are judged before anything else, then no interface has index 0. */
bool probe_multi_buffer(void)
{
	struct sockaddr_xdp addr = {.sxdp_family = AF_XDP, .sxdp_flags = XDP_USE_SG};
	_cleanup_close_ int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);

	return fd >= 0 && bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 && errno == ENODEV;
}

unsigned int probe_cpus(void)
{
	int n = libbpf_num_possible_cpus();

	return n > 0 ? (unsigned int)n : 1;
}

static void stub_freep(struct stub_bpf **stub)
{
	stub_bpf__destroy(*stub);
}
#define _cleanup_stub_ __attribute__((cleanup(stub_freep)))

/* Loads one program of the stub: as XDP, or with a host as an extension of it. Descriptor, -errno.
 */
static int stub_load(const char *name, int host_fd, const char *host)
{
	_cleanup_stub_ struct stub_bpf *stub = stub_bpf__open();
	struct bpf_program *prog, *wanted = NULL;
	int err;

	if (!stub)
		return -EINVAL;
	bpf_object__for_each_program(prog, stub->obj)
	{
		bool is_it = !strcmp(bpf_program__name(prog), name);

		bpf_program__set_autoload(prog, is_it);
		wanted = is_it ? prog : wanted;
	}
	if (!wanted)
		return -ENOENT;
	if (host_fd >= 0) {
		err = bpf_program__set_attach_target(wanted, host_fd, host);
		if (err)
			return err;
		bpf_program__set_type(wanted, BPF_PROG_TYPE_EXT);
		bpf_program__set_expected_attach_type(wanted, 0);
	}
	err = bpf_object__load(stub->obj);
	if (err)
		return err;
	err = fcntl(bpf_program__fd(wanted), F_DUPFD_CLOEXEC, 3);
	return err < 0 ? -errno : err;
}

int probe_extension_host(void)
{
	return stub_load(PROBE_HOST, -1, NULL);
}

static bool takes_extension(const char *host)
{
	_cleanup_close_ int host_fd = stub_load(host, -1, NULL);
	_cleanup_close_ int guest = -1;

	if (host_fd >= 0)
		guest = stub_load("xipsec_guest", host_fd, host);
	return guest >= 0;
}

enum probe_extension probe_extension(void)
{
	static int answer = -1;

	if (answer >= 0)
		return (enum probe_extension)answer;
	if (takes_extension("xipsec_quiet"))
		answer = PROBE_EXTENSION_FREE;
	else
		answer = takes_extension(PROBE_HOST) ? PROBE_EXTENSION_STRICT
						     : PROBE_EXTENSION_NONE;
	return (enum probe_extension)answer;
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
