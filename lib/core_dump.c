// SPDX-License-Identifier: BSD-2-Clause
#include "lib/core_dump.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include "lib/log.h"

int core_dump_off(void)
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
