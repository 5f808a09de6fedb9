// SPDX-License-Identifier: BSD-2-Clause
#include "loader/confirm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "xipsec/loader.h"

#define POLL_NS 100000000 /* 0.1 s */

static void confirm_path(const char *run_dir, char path[512])
{
	snprintf(path, 512, "%s/confirm", run_dir);
}

bool confirm_pending(const char *run_dir)
{
	_cleanup_close_ int fd = -1;
	char path[512];

	confirm_path(run_dir, path);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK;
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

/* True when the file went away in time: that is the confirmation. */
static bool wait_for_it(const char *path, unsigned int seconds)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	time_t end = now() + (time_t)seconds;

	while (now() < end) {
		if (access(path, F_OK) && errno == ENOENT)
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static void detach_from_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	if (chdir("/"))
		syslog(LOG_WARNING, "chdir: %m");
}

static _Noreturn void waiter(struct session *s, const char *path, unsigned int seconds)
{
	bool confirmed;
	int lock;

	detach_from_terminal();
	openlog("xipsec", LOG_PID, LOG_DAEMON);
	confirmed = wait_for_it(path, seconds);
	lock = datapath_lock(s->config->run_dir);
	/* The word may have come between the last look and the lock. */
	confirmed = confirmed || access(path, F_OK);
	if (confirmed) {
		session_commit(s);
	} else {
		int err = undo_run(&s->undo, 0);

		syslog(LOG_NOTICE, "attach was not confirmed within %u s: taken back%s", seconds,
		       err ? ", with errors" : "");
		unlink(path);
	}
	if (lock >= 0)
		close(lock);
	_exit(0);
}

int confirm_wait(struct session *s, unsigned int seconds)
{
	_cleanup_close_ int fd = -1;
	char path[512];
	pid_t pid;

	confirm_path(s->config->run_dir, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB))
		return -errno;
	fflush(NULL);
	pid = fork();
	if (pid < 0) {
		int err = -errno;

		unlink(path);
		return err;
	}
	if (pid) {
		waitpid(pid, NULL, 0);
		return 0;
	}
	/* Twice, so that nobody has to wait for it. It keeps `fd` and with it the lock on the file,
	 * but not the loader's lock: its open file is shared with the parent, who closes it. */
	if (fork())
		_exit(0);
	close(s->lock);
	s->lock = -1;
	waiter(s, path, seconds);
}

int loader_confirm(const struct config *config)
{
	_cleanup_close_ int lock = -1;
	char path[512];

	lock = datapath_lock(config->run_dir);
	if (lock < 0) {
		log_error("%s/loader.lock: %s", config->run_dir, strerror(-lock));
		return lock;
	}
	confirm_path(config->run_dir, path);
	if (!confirm_pending(config->run_dir)) {
		unlink(path);
		log_error("nothing waits for a confirmation: no `attach --confirm` was made, or "
			  "its time is over and it was taken back");
		return -ENOENT;
	}
	return unlink(path) ? -errno : 0;
}
