// SPDX-License-Identifier: BSD-2-Clause
#include "loader/worker_exec.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/spawn.h"
#include "loader/workers.h"

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/xipsec"
#endif

#define WORKER_NAME   "xipsec-worker"
#define STOP_PATIENCE 500 /* ms */

/* ------------------------------------------------------------------ the executable */

int worker_exec_open(void)
{
	char path[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - sizeof(WORKER_NAME) - 1);
	char *slash;
	int fd = -ENOENT;

	path[len > 0 ? len : 0] = 0;
	slash = strrchr(path, '/');
	if (slash) {
		strcpy(slash + 1, WORKER_NAME);
		fd = spawn_open(path);
	}
	if (fd < 0)
		fd = spawn_open(LIBEXECDIR "/" WORKER_NAME);
	if (fd < 0)
		log_error("%s is neither beside xipsecd nor in %s: install it", WORKER_NAME,
			  LIBEXECDIR);
	return fd;
}

void worker_exec(int binary, int ctl, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "%u", number);
	spawn_exec(binary, WORKER_NAME, name, ctl, XIPSEC_CTL_FD);
}

/* ------------------------------------------------------------------ orphans */

/* By its command line, which only the process itself could change: fexecve leaves no useful comm.
 */
static bool is_worker(pid_t pid)
{
	_cleanup_fclose_ FILE *file = NULL;
	char path[64], name[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	file = fopen(path, "re");
	return file && fread(name, 1, sizeof(name) - 1, file) > 0 && strcmp(name, WORKER_NAME) == 0;
}

void workers_bury(const struct xipsec_worker_stats *stats, size_t stride)
{
	for (unsigned int i = 0; i < XIPSEC_WORKERS_MAX; i++) {
		const struct xipsec_worker_stats *s = (void *)((char *)stats + i * stride);
		pid_t pid = (pid_t)__atomic_load_n(&s->pid, __ATOMIC_ACQUIRE);
		_cleanup_close_ int pidfd = -1;
		struct pollfd pfd;

		if (pid <= 1)
			continue;
		/* The descriptor first: after that the number cannot become another's. */
		pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
		if (pidfd < 0 || !is_worker(pid))
			continue;
		pfd = (struct pollfd){.fd = pidfd, .events = POLLIN};
		if (poll(&pfd, 1, STOP_PATIENCE) > 0)
			continue;
		log_warn("worker %u (pid %d) of an xipsecd that is dead still runs: it is ended", i,
			 pid);
		syscall(SYS_pidfd_send_signal, pidfd, SIGKILL, NULL, 0);
		poll(&pfd, 1, 5000);
	}
}
