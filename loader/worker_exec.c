// SPDX-License-Identifier: BSD-2-Clause
#include "loader/worker_exec.h"

#include <errno.h>
#include <fcntl.h>
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
#include "loader/workers.h"

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/xipsec"
#endif

#define WORKER_NAME   "xipsec-worker"
#define STOP_PATIENCE 500 /* ms */

/* ------------------------------------------------------------------ the executable */

/* High, so that it is in nobody's way when the child puts its channel at its number. */
static int open_high(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int high;

	if (fd < 0)
		return -errno;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	return high < 0 ? -errno : high;
}

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
		fd = open_high(path);
	}
	if (fd < 0)
		fd = open_high(LIBEXECDIR "/" WORKER_NAME);
	if (fd < 0)
		log_error("%s is neither beside xipsecd nor in %s: install it", WORKER_NAME,
			  LIBEXECDIR);
	return fd;
}

void worker_exec(int binary, int ctl, unsigned int number)
{
	static const char *const keep[] = {"JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS"};
	char name[16], vars[3][256], *argv[] = {(char *)WORKER_NAME, name, NULL}, *envp[4];
	int n = 0, null = open("/dev/null", O_RDONLY);
	sigset_t none;

	snprintf(name, sizeof(name), "%u", number);
	for (size_t i = 0; i < sizeof(keep) / sizeof(keep[0]); i++) {
		const char *value = getenv(keep[i]);

		if (value && snprintf(vars[n], sizeof(vars[n]), "%s=%s", keep[i], value) <
				     (int)sizeof(vars[n])) {
			envp[n] = vars[n];
			n++;
		}
	}
	envp[n] = NULL;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (null >= 0)
		dup2(null, 0);
	dup2(ctl, XIPSEC_CTL_FD);
	/* Nothing else of the parent's, whoever forgot to mark it. */
	syscall(SYS_close_range, XIPSEC_CTL_FD + 1, UINT_MAX, 4U /* CLOSE_RANGE_CLOEXEC */);
	fexecve(binary, argv, envp);
	_exit(127);
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
