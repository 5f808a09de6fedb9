// SPDX-License-Identifier: BSD-2-Clause
#include "loader/workers_inside.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "loader/worker_exec.h"

#define RESTART_FIRST 10    /* ms; a kill is mended within 100 */
#define RESTART_MAX   5000  /* ms */
#define RESTART_CALM  10000 /* ms of life after which a death is no longer one of a row */
#define STOP_PATIENCE 500   /* ms */
#define CTL_BUFFER    (8 << 20)

__u64 workers_now(void)
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

void worker_end(struct worker *worker, bool again)
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
	calm = workers_now() - worker->started > RESTART_CALM;
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

/* ------------------------------------------------------------------ birth */

/* What a worker begins with: 0 or -errno. */
static int make_hello(const struct worker *worker, struct ctl_hello *out, int fds[5])
{
	const struct workers *workers = worker->all;
	const struct workers_lend *lend = &workers->lend;

	*out = (struct ctl_hello){
		.hdr = {XIPSEC_CTL_HELLO, XIPSEC_ABI, sizeof(*out)},
		.worker = worker->number,
		.workers = workers->n,
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
		worker_exec(workers->binary, pair[1], worker->number);
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
	worker->started = workers_now();
	worker->starts++;
	__atomic_store_n(&stats_of(worker)->pid, pid, __ATOMIC_RELEASE);
	__atomic_store_n(&stats_of(worker)->starts, worker->starts, __ATOMIC_RELEASE);
	worker->readable = event_new(workers->base, worker->ctl, EV_READ | EV_PERSIST,
				     worker_on_readable, worker);
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
	__u64 deadline = workers_now() + STOP_PATIENCE;
	struct timespec pause = {.tv_nsec = 5000000};
	unsigned int alive = 1;
	siginfo_t info;

	/* The end of its channel tells a worker to end. */
	for (unsigned int i = 0; i < workers->n; i++) {
		event_del(workers->worker[i].restart);
		if (workers->worker[i].pid)
			shutdown(workers->worker[i].ctl, SHUT_RDWR);
	}
	while (alive && workers_now() < deadline) {
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

/* ------------------------------------------------------------------ the whole */

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
	workers->binary = worker_exec_open();
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
