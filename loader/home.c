// SPDX-License-Identifier: BSD-2-Clause
#include "loader/home.h"

#include <errno.h>
#include <sys/mman.h>

void home_close(struct home *home)
{
	if (home->states)
		munmap(home->states, home->states_size);
	if (home->stats)
		munmap(home->stats, home->stats_size);
	datapath_close(&home->dp);
}

int home_open(const char *pin_dir, struct home *out)
{
	struct home home = {0};
	int err = datapath_open(pin_dir, &home.dp);

	if (err)
		return err;
	home.states = datapath_mmap(home.dp.sa_state, &home.states_size, &home.states_stride);
	home.stats = datapath_mmap(home.dp.worker_stats, &home.stats_size, &home.stats_stride);
	if (!home.states || !home.stats)
		err = -errno;
	if (err) {
		home_close(&home);
		return err;
	}
	*out = home;
	return 0;
}
