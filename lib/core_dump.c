// SPDX-License-Identifier: BSD-2-Clause
#include "lib/core_dump.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/log.h"

int core_dump_leave_out(void)
{
	_cleanup_close_ int fd = open("/proc/self/coredump_filter", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0\n", 2) != 2)
		return -errno;
	return 0;
}

int core_dump_refuse(void)
{
	struct rlimit none = {0, 0};

	/* Both: a core_pattern that is a pipe takes no notice of the limit. */
	if (setrlimit(RLIMIT_CORE, &none) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0) {
		int err = -errno;

		log_error("core dumps cannot be switched off: %s", strerror(-err));
		return err;
	}
	return 0;
}

int core_dump_off(void)
{
	int left_out = core_dump_leave_out();

	/* A second lock beside the others, which hold without it. */
	if (left_out && left_out != -ENOENT)
		log_warn("memory is not left out of core dumps: %s", strerror(-left_out));
	return core_dump_refuse();
}
