/* SPDX-License-Identifier: BSD-2-Clause */
/* The generation that xipsecd lives in: its maps, and the two that are memory shared with the
 * workers. */
#ifndef LOADER_HOME_H
#define LOADER_HOME_H

#include <stddef.h>

#include "loader/datapath.h"

struct home {
	struct datapath dp;
	int lock;             /* on the generation's directory */
	void *states, *stats; /* sa_state, worker_stats: mapped whole, bytes */
	size_t states_size, states_stride;
	size_t stats_size, stats_stride;
};

/* Opens and maps the current generation below `pin_dir`. 0 or -errno, as datapath_open(); -EBUSY
 * after a log line: another xipsecd lives there, and two would end each other's workers and empty
 * each other's SAD. *out is untouched on failure. */
int home_open(const char *pin_dir, struct home *out);
void home_close(struct home *home);

#endif
