// SPDX-License-Identifier: BSD-2-Clause
#include "loader/workers.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#ifndef LIBEXECDIR
#define LIBEXECDIR "/usr/local/libexec/xipsec"
#endif

#define WORKER_NAME     "xipsec-worker"
#define RESTART_FIRST   10    /* ms; a kill is mended within 100 */
#define RESTART_MAX     5000  /* ms */
#define RESTART_CALM    10000 /* ms of life after which a death is no longer one of a row */
#define SEND_PATIENCE   1000  /* ms */
#define FORGET_PATIENCE 2000  /* ms */
#define STOP_PATIENCE   500   /* ms */
#define CTL_BUFFER      (8 << 20)
#define READ_BURST      64 /* messages of one worker before the others get their turn */

struct worker {
	struct workers *all;
	unsigned int number;
	pid_t pid; /* 0: none */
	int ctl;   /* -1: none */
	bool ready;
	bool behind; /* does not read: to be killed at the next safe moment */
	struct event *readable;
	struct event *restart;
	unsigned int delay; /* ms before the next restart */
	__u64 started;      /* ms */
	__u32 starts;
	bool *acked; /* while forgetting: of each reference */
	unsigned int acks_left;
};

struct workers {
	struct event_base *base;
	const struct workers_hooks *hooks;
	void *ctx;
	int binary;
	struct event *sigchld;
	struct workers_config config;
	struct workers_lend lend;
	unsigned int n;
	struct worker worker[XIPSEC_WORKERS_MAX];
	const struct ctl_sa_ref *forgetting;
	unsigned int n_forgetting;
};

static void spawn(struct worker *worker);

static __u64 now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000ULL + ts.tv_nsec / 1000000;
}

static struct xipsec_worker_stats *stats_of(const struct worker *worker)
{
	const struct workers_lend *lend = &worker->all->lend;

	return (void *)((char *)lend->stats + worker->number * lend->stats_stride);
}

/* ------------------------------------------------------------------ death */

/* Buries a worker, dead or not, and plans its successor. */
static void worker_end(struct worker *worker, bool again)
{
	struct timeval delay;
	int status = 0;
	bool calm;

	if (!worker->pid)
		return;
	kill(worker->pid, SIGKILL);
	while (waitpid(worker->pid, &status, 0) < 0 && errno == EINTR)
		;
	event_free(worker->readable);
	worker->readable = NULL;
	close(worker->ctl);
	worker->ctl = -1;
	__atomic_store_n(&stats_of(worker)->pid, 0, __ATOMIC_RELEASE);
	worker->acks_left = 0;
	calm = now_ms() - worker->started > RESTART_CALM;
	if (calm || !worker->delay)
		worker->delay = RESTART_FIRST;
	if (again) {
		if (WIFEXITED(status))
			log_warn("worker %u (pid %d) ended with status %d; another starts in %u ms",
				 worker->number, worker->pid, WEXITSTATUS(status), worker->delay);
		else
			log_warn("worker %u (pid %d) was ended by signal %d; another starts in %u "
				 "ms",
				 worker->number, worker->pid, WTERMSIG(status), worker->delay);
		delay = (struct timeval){.tv_sec = worker->delay / 1000,
					 .tv_usec = worker->delay % 1000 * 1000};
		event_add(worker->restart, &delay);
		worker->delay = worker->delay * 2 > RESTART_MAX ? RESTART_MAX : worker->delay * 2;
	}
	worker->pid = 0;
	if (again)
		worker->all->hooks->died(worker->all->ctx, worker->number);
}

static void on_sigchld(evutil_socket_t sig, short what, void *ctx)
{
	struct workers *workers = ctx;
	siginfo_t info;

	/* Looks without reaping: worker_end() does that. Other children are not ours to reap. */
	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		if (!worker->pid)
			continue;
		info.si_pid = 0;
		if (waitid(P_PID, worker->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
		    info.si_pid == worker->pid)
			worker_end(worker, true);
	}
}

/* ------------------------------------------------------------------ messages */

static void on_gone_ok(struct worker *worker, const struct ctl_sa_ref *ref)
{
	const struct workers *workers = worker->all;

	for (unsigned int i = 0; worker->acked && i < workers->n_forgetting; i++) {
		if (workers->forgetting[i].index != ref->index ||
		    workers->forgetting[i].generation != ref->generation || worker->acked[i])
			continue;
		worker->acked[i] = true;
		worker->acks_left--;
		return;
	}
}

static void dispatch(struct worker *worker, const void *buf, size_t len)
{
	struct workers *workers = worker->all;
	const struct ctl_hdr *hdr = buf;
	const struct ctl_nexthop *hop = buf;
	const struct ctl_sa_ref *ref = buf;
	const struct ctl_xsk_ref *xsk = buf;

	/* The sender parses packets from strangers: every length is checked. */
	if (len < sizeof(*hdr) || hdr->abi != XIPSEC_ABI || hdr->len != len)
		return;
	switch (hdr->type) {
	case XIPSEC_CTL_READY:
		worker->ready = true;
		log_debug("worker %u (pid %d) is ready", worker->number, worker->pid);
		break;
	case XIPSEC_CTL_NEXTHOP_ASK:
		if (len == sizeof(*hop))
			workers->hooks->ask(workers->ctx, &hop->dst, hop->family);
		break;
	case XIPSEC_CTL_SA_STOPPED:
		if (len == sizeof(*ref))
			workers->hooks->sa_stopped(workers->ctx, ref->index, ref->generation);
		break;
	case XIPSEC_CTL_SA_GONE_OK:
		if (len == sizeof(*ref))
			on_gone_ok(worker, ref);
		break;
	case XIPSEC_CTL_XSK_MAPPED:
		if (len == sizeof(*xsk))
			workers->hooks->mapped(workers->ctx, worker->number, xsk->slot, xsk->queue);
		break;
	}
}

/* Reads what waits. False: the worker is gone or does not read. */
static bool read_messages(struct worker *worker)
{
	char buf[sizeof(struct ctl_sa)] __attribute__((aligned(8)));
	ssize_t len;

	for (int i = 0; i < READ_BURST && !worker->behind; i++) {
		len = recv(worker->ctl, buf, sizeof(buf), MSG_DONTWAIT);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			return true;
		if (len <= 0)
			return false;
		dispatch(worker, buf, len);
	}
	return !worker->behind;
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct worker *worker = ctx;

	if (!read_messages(worker))
		worker_end(worker, true);
}

void workers_send(struct workers *workers, unsigned int i, const void *msg, size_t len,
		  const int *fds, unsigned int n_fds)
{
	union {
		char buf[CMSG_SPACE(5 * sizeof(int))];
		struct cmsghdr align;
	} control = {0};
	struct worker *worker = &workers->worker[i];
	struct iovec iov = {(void *)msg, len};
	struct msghdr mh = {.msg_iov = &iov, .msg_iovlen = 1};
	struct pollfd pfd = {.fd = worker->ctl, .events = POLLOUT};

	if (i >= workers->n || !worker->pid || worker->behind)
		return;
	if (n_fds) {
		mh.msg_control = &control;
		mh.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
		CMSG_FIRSTHDR(&mh)->cmsg_level = SOL_SOCKET;
		CMSG_FIRSTHDR(&mh)->cmsg_type = SCM_RIGHTS;
		CMSG_FIRSTHDR(&mh)->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
		memcpy(CMSG_DATA(CMSG_FIRSTHDR(&mh)), fds, n_fds * sizeof(int));
	}
	while (sendmsg(worker->ctl, &mh, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
		if (errno == EINTR)
			continue;
		if (errno == EAGAIN && poll(&pfd, 1, SEND_PATIENCE) > 0 &&
		    !(pfd.revents & (POLLERR | POLLHUP)))
			continue;
		/* It missed a message, so what it knows is wrong from here on. Its death is
		 * handled where nobody holds a pointer into it. */
		worker->behind = true;
		kill(worker->pid, SIGKILL);
		return;
	}
}

void workers_broadcast(struct workers *workers, const void *msg, size_t len)
{
	for (unsigned int i = 0; i < workers->n; i++)
		workers_send(workers, i, msg, len, NULL, 0);
}

/* ------------------------------------------------------------------ forgetting SAs */

static bool forget_wait(struct workers *workers, int ms)
{
	struct pollfd pfd[XIPSEC_WORKERS_MAX];
	unsigned int who[XIPSEC_WORKERS_MAX], n = 0;

	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		if (!worker->pid || !worker->acks_left)
			continue;
		who[n] = i;
		pfd[n++] = (struct pollfd){.fd = worker->ctl, .events = POLLIN};
	}
	if (!n)
		return false;
	if (poll(pfd, n, ms) <= 0)
		return true;
	for (unsigned int i = 0; i < n; i++)
		if (pfd[i].revents && !read_messages(&workers->worker[who[i]]))
			worker_end(&workers->worker[who[i]], true);
	return true;
}

void workers_forget(struct workers *workers, const struct ctl_sa_ref *refs, unsigned int n)
{
	__u64 deadline = now_ms() + FORGET_PATIENCE;

	workers->forgetting = refs;
	workers->n_forgetting = n;
	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		if (!worker->pid)
			continue;
		worker->acked = calloc(n, sizeof(bool));
		worker->acks_left = worker->acked ? n : 0;
		if (!worker->acked)
			worker_end(worker, true);
		for (unsigned int r = 0; r < n; r++)
			workers_send(workers, i, &refs[r], sizeof(refs[r]), NULL, 0);
	}
	while (now_ms() < deadline && forget_wait(workers, 100))
		;
	for (unsigned int i = 0; i < workers->n; i++) {
		struct worker *worker = &workers->worker[i];

		free(worker->acked);
		worker->acked = NULL;
		if (worker->pid && worker->acks_left) {
			log_error("worker %u does not give up an SA: it is ended", i);
			worker_end(worker, true);
		}
	}
	workers->forgetting = NULL;
	workers->n_forgetting = 0;
}

/* ------------------------------------------------------------------ birth */

/* In the child, before exec: only what is safe there. */
static void __attribute__((noreturn)) become_worker(int binary, int ctl, unsigned int number)
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

/* What a worker begins with: 0 or -errno. */
static int make_hello(const struct worker *worker, struct ctl_hello *out, int fds[5])
{
	const struct workers *workers = worker->all;
	const struct workers_lend *lend = &workers->lend;

	*out = (struct ctl_hello){
		.hdr = {XIPSEC_CTL_HELLO, XIPSEC_ABI, sizeof(*out)},
		.worker = worker->number,
		.n_sas = lend->n_sas,
		.backend = workers->config.backend,
		.uid = workers->config.uid + worker->number,
		.busy_poll = workers->config.busy_poll,
		.hostile = workers->config.hostile,
		.sa_state_size = lend->sa_state_size,
		.stats_size = lend->stats_size,
		.sa_state_stride = (__u32)lend->sa_state_stride,
		.stats_stride = (__u32)lend->stats_stride,
	};
	fds[2] = lend->sa_state;
	fds[3] = lend->worker_stats;
	fds[4] = lend->globals;
	return lend->memory(workers->ctx, worker->number, &fds[0], &fds[1], out);
}

static void send_start(struct worker *worker, const struct ctl_hello *hello, const int fds[5])
{
	const struct ctl_hdr go = {XIPSEC_CTL_GO, XIPSEC_ABI, sizeof(go)};
	struct workers *workers = worker->all;

	workers_send(workers, worker->number, hello, sizeof(*hello), fds, 5);
	workers->hooks->fill(workers->ctx, worker->number);
	workers_send(workers, worker->number, &go, sizeof(go), NULL, 0);
}

static void retry_later(struct worker *worker, const char *what, int err)
{
	struct timeval delay = {.tv_sec = 1};

	log_error("worker %u cannot be started: %s: %s", worker->number, what, strerror(err));
	event_add(worker->restart, &delay);
}

static void spawn(struct worker *worker)
{
	struct workers *workers = worker->all;
	int pair[2], fds[5], size = CTL_BUFFER, err;
	struct ctl_hello hello;
	pid_t pid;

	err = make_hello(worker, &hello, fds);
	if (err) {
		retry_later(worker, "memory for packets", -err);
		return;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0) {
		retry_later(worker, "socketpair", errno);
		return;
	}
	if (setsockopt(pair[0], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)) < 0)
		log_debug("control channel keeps its small buffer: %s", strerror(errno));
	pid = fork();
	if (pid == 0)
		become_worker(workers->binary, pair[1], worker->number);
	if (pid < 0)
		retry_later(worker, "fork", errno);
	close(pair[1]);
	if (pid < 0) {
		close(pair[0]);
		return;
	}
	worker->pid = pid;
	worker->ctl = pair[0];
	worker->ready = worker->behind = false;
	worker->started = now_ms();
	worker->starts++;
	__atomic_store_n(&stats_of(worker)->pid, pid, __ATOMIC_RELEASE);
	__atomic_store_n(&stats_of(worker)->starts, worker->starts, __ATOMIC_RELEASE);
	worker->readable =
		event_new(workers->base, worker->ctl, EV_READ | EV_PERSIST, on_readable, worker);
	event_add(worker->readable, NULL);
	send_start(worker, &hello, fds);
	log_info("worker %u runs (pid %d)", worker->number, pid);
}

static void on_restart(evutil_socket_t fd, short what, void *ctx)
{
	spawn(ctx);
}

void workers_start(struct workers *workers, const struct workers_config *config,
		   const struct workers_lend *lend)
{
	workers->config = *config;
	workers->lend = *lend;
	workers->n = config->n;
	for (unsigned int i = 0; i < workers->n; i++) {
		workers->worker[i].delay = 0;
		spawn(&workers->worker[i]);
	}
}

void workers_stop(struct workers *workers)
{
	__u64 deadline = now_ms() + STOP_PATIENCE;
	struct timespec pause = {.tv_nsec = 5000000};
	unsigned int alive = 1;
	siginfo_t info;

	/* The end of its channel tells a worker to end. */
	for (unsigned int i = 0; i < workers->n; i++) {
		event_del(workers->worker[i].restart);
		if (workers->worker[i].pid)
			shutdown(workers->worker[i].ctl, SHUT_RDWR);
	}
	while (alive && now_ms() < deadline) {
		alive = 0;
		for (unsigned int i = 0; i < workers->n; i++) {
			pid_t pid = workers->worker[i].pid;

			info.si_pid = 0;
			if (pid && waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
			    info.si_pid != pid)
				alive++;
		}
		if (alive)
			nanosleep(&pause, NULL);
	}
	for (unsigned int i = 0; i < workers->n; i++)
		worker_end(&workers->worker[i], false);
	workers->n = 0;
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

/* ------------------------------------------------------------------ the whole */

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

static int open_binary(void)
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

int workers_new(struct event_base *base, const struct workers_hooks *hooks, void *ctx,
		struct workers **out)
{
	struct workers *workers = calloc(1, sizeof(*workers));

	if (!workers)
		return -ENOMEM;
	workers->base = base;
	workers->hooks = hooks;
	workers->ctx = ctx;
	for (unsigned int i = 0; i < XIPSEC_WORKERS_MAX; i++) {
		struct worker *worker = &workers->worker[i];

		*worker = (struct worker){.all = workers, .number = i, .ctl = -1};
		worker->restart = event_new(base, -1, 0, on_restart, worker);
	}
	workers->sigchld = event_new(base, SIGCHLD, EV_SIGNAL | EV_PERSIST, on_sigchld, workers);
	event_add(workers->sigchld, NULL);
	workers->binary = open_binary();
	if (workers->binary < 0) {
		int err = workers->binary;

		workers_free(workers);
		return err;
	}
	*out = workers;
	return 0;
}

void workers_free(struct workers *workers)
{
	if (!workers)
		return;
	workers_stop(workers);
	for (unsigned int i = 0; i < XIPSEC_WORKERS_MAX; i++)
		event_free(workers->worker[i].restart);
	event_free(workers->sigchld);
	if (workers->binary >= 0)
		close(workers->binary);
	free(workers);
}

unsigned int workers_count(const struct workers *workers)
{
	return workers->n;
}

__u32 workers_pid(const struct workers *workers, unsigned int i)
{
	return workers->worker[i].pid;
}

__u32 workers_starts(const struct workers *workers, unsigned int i)
{
	return workers->worker[i].starts;
}
