/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * All differences between kernels, drivers and rights, asked in one place. Answers are found by
 * trying where trying is harmless, by table only where it is not.
 */
#ifndef LOADER_PROBE_H
#define LOADER_PROBE_H

#include <stdbool.h>
#include <stddef.h>

/* 0, or -EPERM after saying which capability is missing. */
int probe_rights(void);

/* Is `dir` (or, where it does not exist yet, its nearest parent) on a bpffs? 0, or -ENOTSUP after
 * saying how to mount one. */
int probe_bpffs(const char *dir);

/* Does the kernel have tcx (Linux 6.6)? */
bool probe_tcx(unsigned int ifindex);

enum probe_extension {
	PROBE_EXTENSION_NONE,   /* the kernel takes no BPF_PROG_TYPE_EXT: no dispatcher */
	PROBE_EXTENSION_STRICT, /* not into functions that leave packets alone: the dispatcher must
				 * be that of xdp-tools 1.5.5 or later */
	PROBE_EXTENSION_FREE,
};

/* Would libxdp's dispatcher take a program like ours? Asked once in the life of a process, by
 * loading one. */
enum probe_extension probe_extension(void);

/* A loaded program (function "xipsec_loud") against which extensions can be verified before there
 * is a dispatcher. A descriptor, or -errno. */
#define PROBE_HOST "xipsec_loud"
int probe_extension_host(void);

/* Do AF_XDP sockets take packets in several frames (XDP_USE_SG, Linux 6.6)? Asked of a socket that
 * is bound to nothing. */
bool probe_multi_buffer(void);

/* CPUs that this machine may ever have, 1 at least. */
unsigned int probe_cpus(void);

/* Has this driver's native XDP a metadata area, on a Linux of this version (KERNEL_VERSION)? */
bool probe_driver_metadata(const char *driver, unsigned int kernel);
unsigned int probe_kernel(void);

#endif
