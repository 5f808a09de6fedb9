// SPDX-License-Identifier: BSD-2-Clause
#include "worker/hostile.h"

#ifdef XIPSEC_HOSTILE

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>

#include "xipsec/ctl.h"

/* Each returns >= 0 if it got what it wanted, else -1 with errno. */

static long act_bpf(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY};

	attr.key_size = 4;
	attr.value_size = 4;
	attr.max_entries = 1;
	return syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr));
}

static long act_open(void)
{
	return open("/etc/hostname", O_RDONLY);
}

static long act_openat_shadow(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/etc/shadow", O_RDONLY);
}

static long act_socket(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static long act_connect(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX, .sun_path = "/run/xipsec/sadb.sock"};

	return connect(XIPSEC_CTL_FD, (struct sockaddr *)&to, sizeof(to));
}

static long act_ptrace_parent(void)
{
	return ptrace(PTRACE_ATTACH, getppid(), NULL, NULL);
}

static long act_readv_parent(void)
{
	char here[16];
	struct iovec local = {here, sizeof(here)};
	struct iovec remote = {(void *)&act_readv_parent, sizeof(here)};

	return syscall(SYS_process_vm_readv, getppid(), &local, 1, &remote, 1, 0);
}

static long act_kill_parent(void)
{
	return kill(getppid(), SIGKILL);
}

static long act_execve(void)
{
	char *const argv[] = {"/bin/true", NULL};

	return execve(argv[0], argv, NULL);
}

static long act_fork(void)
{
	return fork();
}

static long act_mount(void)
{
	return mount("none", "/mnt", "tmpfs", 0, NULL);
}

/* A map of xipsecd's by id: no descriptor is needed to ask for one. */
static long act_map_write(void)
{
	union bpf_attr attr = {.map_id = 1};
	int fd = syscall(SYS_bpf, BPF_MAP_GET_FD_BY_ID, &attr, sizeof(attr));
	__u64 value[8] = {0};
	__u32 key = 0;

	if (fd < 0)
		return -1;
	memset(&attr, 0, sizeof(attr));
	attr.map_fd = fd;
	attr.key = (__u64)(unsigned long)&key;
	attr.value = (__u64)(unsigned long)value;
	return syscall(SYS_bpf, BPF_MAP_UPDATE_ELEM, &attr, sizeof(attr));
}

static long act_setuid(void)
{
	return setuid(0);
}

static long act_fd_table(void)
{
	char byte;

	/* Whatever answers to read() is not a ring and not the control channel. */
	for (int fd = 0; fd < 1024; fd++)
		if (fd != STDERR_FILENO && fd != XIPSEC_CTL_FD && read(fd, &byte, 1) > 0)
			return fd;
	return -1;
}

/* Calls that the filter allows, bent to another end: mapping instead of reading. EBADF, EACCES and
 * ENODEV are what nothing to be mapped gives. */
static long act_fd_map(void)
{
	for (int fd = 4; fd < 1024; fd++) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);

		/* Offset 0 of an AF_XDP socket is its own RX ring, which it has anyway. */
		if (p != MAP_FAILED && sendto(fd, NULL, 0, MSG_DONTWAIT, NULL, 0) < 0 &&
		    errno == ENOTSOCK)
			return fd;
	}
	errno = EPERM;
	return -1;
}

static long act_exec_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) ==
			       MAP_FAILED
		       ? -1
		       : 0;
}

/* Making the policy generation writable, which is mapped for reading. */
static long act_mprotect(void)
{
	return mprotect((void *)((unsigned long)&act_mprotect & ~4095ul), 4096,
			PROT_READ | PROT_WRITE);
}

static long act_sendto(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(53)};

	return sendto(XIPSEC_CTL_FD, "x", 1, 0, (struct sockaddr *)&to, sizeof(to));
}

static const struct {
	const char *name;
	long (*act)(void);
} acts[HOSTILE_ACTS] = {
	{"bpf", act_bpf},
	{"open", act_open},
	{"openat_shadow", act_openat_shadow},
	{"socket", act_socket},
	{"connect", act_connect},
	{"ptrace_parent", act_ptrace_parent},
	{"readv_parent", act_readv_parent},
	{"kill_parent", act_kill_parent},
	{"execve", act_execve},
	{"fork", act_fork},
	{"mount", act_mount},
	{"map_write", act_map_write},
	{"setuid", act_setuid},
	{"fd_table", act_fd_table},
	{"fd_map", act_fd_map},
	{"exec_memory", act_exec_memory},
	{"mprotect", act_mprotect},
	{"sendto", act_sendto},
};

int hostile_act(__u32 n)
{
	long got;

	if (!n || n > HOSTILE_ACTS)
		return -EINVAL;
	fprintf(stderr, "hostile %u %s: trying\n", n, acts[n - 1].name);
	got = acts[n - 1].act();
	if (got >= 0)
		fprintf(stderr, "hostile %u %s: SUCCEEDED\n", n, acts[n - 1].name);
	else
		fprintf(stderr, "hostile %u %s: got %s\n", n, acts[n - 1].name,
			strerrorname_np(errno));
	return 0;
}

#endif
