// SPDX-License-Identifier: BSD-2-Clause
#include "loader/home.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define LOCK_TRIES 10 /* 0.1 s apart: a predecessor may be about to end */

/* Who holds the lock on that file, 0: not known. */
static int holder(int fd)
{
	_cleanup_fclose_ FILE *file = fopen("/proc/locks", "re");
	unsigned int major, minor;
	unsigned long inode;
	struct stat st;
	char line[128];
	int pid;

	if (!file || fstat(fd, &st) < 0)
		return 0;
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "%*d: FLOCK %*s WRITE %d %x:%x:%lu", &pid, &major, &minor,
			   &inode) == 4 &&
		    inode == st.st_ino && makedev(major, minor) == st.st_dev)
			return pid;
	return 0;
}

/* The directory itself: it is the same for all who would share the maps, whatever their run_dir. */
static int lock_generation(const char *pin_dir, const char *generation)
{
	const struct timespec pause = {.tv_nsec = 100000000};
	_cleanup_close_ int fd = -1;
	char path[320];
	int tries = LOCK_TRIES;

	snprintf(path, sizeof(path), "%s/%s", pin_dir, generation);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		if (--tries == 0) {
			log_error("another xipsecd (pid %d) uses pin_dir %s: stop it first, or "
				  "give this one another pin_dir, run_dir and state_dir",
				  holder(fd), pin_dir);
			return -EBUSY;
		}
		nanosleep(&pause, NULL);
	}
	return take_fd(&fd);
}

void home_close(struct home *home)
{
	if (home->states)
		munmap(home->states, home->states_size);
	if (home->stats)
		munmap(home->stats, home->stats_size);
	datapath_close(&home->dp);
	if (home->lock >= 0)
		close(home->lock);
}

int home_open(const char *pin_dir, struct home *out)
{
	struct home home = {0};
	int err = datapath_open(pin_dir, &home.dp);

	if (err)
		return err;
	home.lock = lock_generation(pin_dir, home.dp.generation);
	if (home.lock < 0) {
		err = home.lock;
		home_close(&home);
		return err;
	}
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
