/* SPDX-License-Identifier: BSD-2-Clause */
/* A bpffs of a test's own: a machine that nobody has set up yet has none mounted. */
#ifndef TESTS_LIB_BPFFS_H
#define TESTS_LIB_BPFFS_H

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* Makes `path` one that this process and its children see alone. 0 or -errno. */
static inline int bpffs_mount(const char *path)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mkdir(path, 0700) || mount("bpf", path, "bpf", 0, NULL))
		return -errno;
	return 0;
}

#endif
