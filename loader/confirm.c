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

/* What may end the wait before its time; blocked, and fetched by sigtimedwait(). */
static void ending_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

enum loader_confirm_state confirm_read(const char *run_dir, unsigned int *seconds)
{
	_cleanup_fclose_ FILE *file = NULL;
	long long deadline = 0;
	char path[512];
	int pid = 0;

	*seconds = 0;
	confirm_path(run_dir, path);
	file = fopen(path, "re");
	if (!file)
		return LOADER_CONFIRM_NONE;
	if (fscanf(file, "pid %d deadline %lld", &pid, &deadline) == 2 && deadline > now())
		*seconds = (unsigned int)(deadline - now());
	/* Shared: those who look do not take each other for the one who waits. */
	if (flock(fileno(file), LOCK_SH | LOCK_NB))
		return errno == EWOULDBLOCK ? LOADER_CONFIRM_WAITS : LOADER_CONFIRM_NONE;
	*seconds = 0;
	/* Empty: just made, its owner is about to lock it. */
	return pid ? LOADER_CONFIRM_ORPHANED : LOADER_CONFIRM_NONE;
}

bool confirm_pending(const char *run_dir)
{
	unsigned int seconds;

	return confirm_read(run_dir, &seconds) == LOADER_CONFIRM_WAITS;
}

/* The caller holds the loader's lock and has seen that nobody waits: what holds the file now only
 * looks at it, and lets go. 0 or -errno. */
static int lock_patiently(int fd)
{
	const struct timespec pause = {.tv_nsec = 10000000};

	for (int i = 0; i < 100; i++) {
		if (!flock(fd, LOCK_EX | LOCK_NB))
			return 0;
		if (errno != EWOULDBLOCK)
			return -errno;
		nanosleep(&pause, NULL);
	}
	return -EBUSY;
}

enum answer { ANSWER_YES, ANSWER_NONE, ANSWER_SIGNAL };

/* The confirmation is that the file goes away. */
static enum answer wait_for_it(const char *path, time_t deadline)
{
	const struct timespec pause = {.tv_nsec = POLL_NS};
	sigset_t ending;

	ending_signals(&ending);
	while (now() < deadline) {
		if (access(path, F_OK) && errno == ENOENT)
			return ANSWER_YES;
		if (sigtimedwait(&ending, NULL, &pause) > 0)
			return ANSWER_SIGNAL;
	}
	return ANSWER_NONE;
}

static void detach_from_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (null >= 0) {
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
	}
	if (chdir("/"))
		syslog(LOG_WARNING, "chdir: %m");
}

static _Noreturn void waiter(struct session *s, const char *path, time_t deadline)
{
	enum answer answer;
	int lock;

	detach_from_terminal();
	openlog("xipsec", LOG_PID, LOG_DAEMON);
	answer = wait_for_it(path, deadline);
	lock = datapath_lock(s->config->run_dir);
	/* The word may have come between the last look and the lock. */
	if (answer == ANSWER_YES || access(path, F_OK)) {
		session_commit(s);
	} else {
		int err = undo_run(&s->undo, 0);

		syslog(LOG_NOTICE, "attach was not confirmed %s: taken back%s",
		       answer == ANSWER_SIGNAL ? "before a signal came" : "in time",
		       err ? ", with errors" : "");
		unlink(path);
	}
	if (lock >= 0)
		close(lock);
	_exit(0);
}

/* In the child: forks again, so that nobody has to wait for the process, and writes down who it is.
 * It keeps `fd` and with it the lock on the file, but not the loader's lock: its open file is
 * shared with the parent, who closes it. */
static _Noreturn void leave_waiter(struct session *s, int fd, const char *path,
				   unsigned int seconds)
{
	time_t deadline = now() + (time_t)seconds;
	pid_t pid = fork();

	if (pid < 0)
		_exit(errno);
	if (pid) {
		/* Only people read it; without it the process waits all the same. */
		if (ftruncate(fd, 0) ||
		    dprintf(fd, "pid %d\ndeadline %lld\n", pid, (long long)deadline) < 0)
			log_warn("%s: %s", path, strerror(errno));
		_exit(0);
	}
	close(s->lock);
	s->lock = -1;
	waiter(s, path, deadline);
}

int confirm_wait(struct session *s, unsigned int seconds)
{
	_cleanup_close_ int fd = -1;
	sigset_t ending, before;
	char path[512];
	int err, status;
	pid_t pid;

	confirm_path(s->config->run_dir, path);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	err = lock_patiently(fd);
	if (err)
		return err;
	fflush(NULL);
	/* From here on a signal must not end the one that would take the attach back. */
	ending_signals(&ending);
	sigaddset(&ending, SIGHUP); /* until the process has come to ignore it */
	sigprocmask(SIG_BLOCK, &ending, &before);
	pid = fork();
	if (!pid)
		leave_waiter(s, fd, path, seconds);
	if (pid < 0)
		err = -errno;
	else if (waitpid(pid, &status, 0) == pid && (!WIFEXITED(status) || WEXITSTATUS(status)))
		err = WIFEXITED(status) ? -WEXITSTATUS(status) : -EINTR;
	if (err)
		unlink(path);
	sigprocmask(SIG_SETMASK, &before, NULL);
	return err;
}

/* The process was killed: what it would have taken back stays, so what was kept for that can go. */
static void keep_orphaned(const struct config *config)
{
	char current[32];

	if (!datapath_current(config->pin_dir, current))
		generation_sweep(config->pin_dir, current);
	log_error("the process that would have taken the attach back was killed: nobody waits any "
		  "more, the attach stays (`xipsec detach` takes it off)");
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
		if (!unlink(path))
			keep_orphaned(config);
		else
			log_error("nothing waits for a confirmation: no `attach --confirm` was "
				  "made, or it was confirmed or taken back already");
		return -ENOENT;
	}
	return unlink(path) ? -errno : 0;
}
