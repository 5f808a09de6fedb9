// SPDX-License-Identifier: BSD-2-Clause
#include "lib/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/cleanup.h"

int spawn_open(const char *path)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int high;

	if (fd < 0)
		return -errno;
	high = fcntl(fd, F_DUPFD_CLOEXEC, 100);
	return high < 0 ? -errno : high;
}

void spawn_exec(int binary, const char *argv0, const char *arg, int channel, int at)
{
	static const char *const keep[] = {"JOURNAL_STREAM", "ASAN_OPTIONS", "UBSAN_OPTIONS"};
	char *argv[] = {(char *)argv0, (char *)arg, NULL}, vars[3][256], *envp[4];
	int n = 0, null = open("/dev/null", O_RDONLY);
	sigset_t none;

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
	dup2(channel, at);
	/* Nothing else of the parent's, whoever forgot to mark it. */
	syscall(SYS_close_range, at + 1, UINT_MAX, 4U /* CLOSE_RANGE_CLOEXEC */);
	fexecve(binary, argv, envp);
	_exit(127);
}
