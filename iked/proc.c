// SPDX-License-Identifier: BSD-2-Clause
#include "iked/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "iked/child.h"
#include "iked/resolver.h"
#include "lib/cleanup.h"
#include "lib/core_dump.h"
#include "lib/log.h"
#include "lib/spawn.h"

#define NAME_PREFIX "xipsec-iked: "
#define AGAIN_MS    100 /* before a dead one is started again; doubled while it dies young */
#define AGAIN_MAX   5000
#define YOUNG_S     10

const struct proc procs[PROC_COUNT] = {
	/*
	 * Owns what identifies this machine: private keys, preshared keys, the unrestricted
	 * connection to xipsecd. Reads no byte of the network, and of the child checked structs
	 * alone. Keeps: uid 0, for files of root's and xipsecd's socket; CAP_SETUID, CAP_SETGID,
	 * CAP_SETPCAP, CAP_SYS_CHROOT, for the others to give up what they are born with; CAP_KILL,
	 * to end them, for they have uids of their own. Nothing of CAP_NET_*: xipsecd opens the
	 * sockets.
	 */
	[PROC_PARENT] = {"parent", NULL},
	/*
	 * Reads what strangers send: messages, certificates. Holds the keys of its IKE SAs, no
	 * private key and no preshared key. Keeps: the sockets of IKE, a restricted connection to
	 * xipsecd, its channel, stderr, perhaps the key log. Own uid, an empty root directory, no
	 * capability, the system calls of child_sandbox.c.
	 */
	[PROC_CHILD] = {"child", child_main},
	/*
	 * Asks name servers. Has no key at all. Keeps: its channel, stderr, sockets of its own; of
	 * the file system what it read before it closed itself in (resolv.conf, hosts). Own uid, an
	 * empty root directory, no capability, the system calls of resolver.c.
	 */
	[PROC_RESOLVER] = {"resolver", resolver_main},
};

enum proc_id proc_of(int argc, char **argv)
{
	for (int id = PROC_CHILD; id < PROC_COUNT; id++)
		if (argc == 2 && strncmp(argv[0], NAME_PREFIX, strlen(NAME_PREFIX)) == 0 &&
		    strcmp(argv[1], procs[id].name) == 0)
			return (enum proc_id)id;
	return PROC_PARENT;
}

/* ------------------------------------------------------------------ in child and resolver */

static int check_channel(void)
{
	int type = 0;
	socklen_t len = sizeof(type);

	if (getsockopt(CHAN_FD, SOL_SOCKET, SO_TYPE, &type, &len) || type != SOCK_SEQPACKET) {
		log_error(
			"descriptor %d is no channel: this is started by xipsec-iked, not by hand",
			CHAN_FD);
		return -EBADF;
	}
	return 0;
}

/* Nothing but stderr and the channel comes in with us, whatever the parent left open. */
static int close_others(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return -errno;
	if (null < CHAN_FD)
		return -EBADF; /* stderr or the channel was not open */
	return close_range(CHAN_FD + 1, ~0U, 0) < 0 ? -errno : 0;
}

int proc_main(enum proc_id id)
{
	struct chan_setup setup;
	ssize_t len;

	log_open(procs[id].name, LOG_LEVEL_INFO);
	if (core_dump_off() || check_channel() || close_others())
		return 1;
	/* Whoever kills the parent leaves nobody behind. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return 1;
	signal(SIGPIPE, SIG_IGN);
	do {
		len = recv(CHAN_FD, &setup, sizeof(setup), 0);
	} while (len < 0 && errno == EINTR);
	if (len != sizeof(setup) || !chan_check(&setup, sizeof(setup), 0) ||
	    setup.hdr.type != CHAN_SETUP)
		return 1;
	log_open(procs[id].name, (enum log_level)setup.level);
	if (setup.json)
		log_as_json();
	return procs[id].run(CHAN_FD, &setup);
}

/* ------------------------------------------------------------------ in the parent */

struct proc_slot {
	struct event_base *base;
	enum proc_id id;
	int binary;
	const struct proc_hooks *hooks;
	void *ctx;
	pid_t pid; /* 0: none */
	struct chan *chan;
	struct event *again;
	int again_ms;
	time_t since;
	bool renewing; /* its end is wanted, and is nothing to speak of */
	bool ending;   /* for good */
};

static time_t now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec;
}

static void start_later(struct proc_slot *slot)
{
	struct timeval wait = {slot->again_ms / 1000, slot->again_ms % 1000 * 1000};

	if (slot->ending)
		return;
	event_add(slot->again, &wait);
	slot->again_ms = slot->again_ms * 2 < AGAIN_MAX ? slot->again_ms * 2 : AGAIN_MAX;
}

/* It has closed its channel, or speaks nonsense: it is ended in any case. */
static void on_gone(void *ctx)
{
	struct proc_slot *slot = ctx;

	chan_free(slot->chan);
	slot->chan = NULL;
	if (slot->pid)
		kill(slot->pid, SIGKILL);
	slot->hooks->died(slot->ctx);
}

static void on_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
	struct proc_slot *slot = ctx;

	slot->hooks->message(slot->ctx, hdr, fds, n);
}

/* The child's end of the channel is closed here in any case. */
static pid_t fork_exec(const struct proc_slot *slot, int channel)
{
	char argv0[32];
	pid_t pid;

	snprintf(argv0, sizeof(argv0), NAME_PREFIX "%s", procs[slot->id].name);
	pid = fork();
	if (pid == 0)
		spawn_exec(slot->binary, argv0, procs[slot->id].name, channel, CHAN_FD);
	close(channel);
	return pid;
}

static int start(struct proc_slot *slot)
{
	struct chan_setup setup = {0};
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	slot->pid = fork_exec(slot, pair[1]);
	if (slot->pid < 0) {
		slot->pid = 0;
		close(pair[0]);
		return -errno;
	}
	slot->renewing = false;
	slot->since = now();
	slot->chan = chan_new(slot->base, pair[0], on_message, on_gone, slot);
	if (!slot->chan)
		return -ENOMEM;
	slot->hooks->setup(slot->ctx, &setup);
	chan_send(slot->chan, CHAN_SETUP, &setup, sizeof(setup), NULL, 0);
	log_info("%s runs (pid %d)", procs[slot->id].name, slot->pid);
	slot->hooks->started(slot->ctx, slot->chan);
	return 0;
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct proc_slot *slot = ctx;
	int err = start(slot);

	if (!err)
		return;
	log_error("%s cannot be started: %s", procs[slot->id].name, strerror(-err));
	if (slot->pid)
		kill(slot->pid, SIGKILL);
	else
		start_later(slot);
}

struct proc_slot *proc_start(struct event_base *base, enum proc_id id, int binary,
			     const struct proc_hooks *hooks, void *ctx)
{
	struct proc_slot *slot = calloc(1, sizeof(*slot));

	if (!slot)
		return NULL;
	*slot = (struct proc_slot){.base = base,
				   .id = id,
				   .binary = binary,
				   .hooks = hooks,
				   .ctx = ctx,
				   .again_ms = AGAIN_MS};
	slot->again = event_new(base, -1, 0, on_again, slot);
	if (!slot->again) {
		free(slot);
		return NULL;
	}
	event_active(slot->again, EV_TIMEOUT, 0);
	return slot;
}

struct chan *proc_chan(struct proc_slot *slot)
{
	return slot ? slot->chan : NULL;
}

pid_t proc_pid(const struct proc_slot *slot)
{
	return slot->pid;
}

static void say_end(const struct proc_slot *slot, int status)
{
	const char *name = procs[slot->id].name;

	if (slot->ending || slot->renewing)
		return;
	if (WIFSIGNALED(status))
		log_warn("%s (pid %d) was killed by signal %d (%s)%s", name, slot->pid,
			 WTERMSIG(status), strsignal(WTERMSIG(status)),
			 WTERMSIG(status) == SIGSYS
				 ? ": it asked for a system call that it may not "
				   "make"
				 : "");
	else
		log_warn("%s (pid %d) ended with status %d", name, slot->pid, WEXITSTATUS(status));
}

void proc_reap(struct proc_slot *slot)
{
	bool old;
	int status;

	if (!slot || !slot->pid || waitpid(slot->pid, &status, WNOHANG) != slot->pid)
		return;
	say_end(slot, status);
	slot->pid = 0;
	if (slot->chan)
		on_gone(slot);
	old = now() - slot->since >= YOUNG_S;
	if (old)
		slot->again_ms = AGAIN_MS;
	if (old && slot->renewing && !slot->ending)
		event_active(slot->again, EV_TIMEOUT, 0);
	else
		start_later(slot);
}

void proc_renew(struct proc_slot *slot)
{
	if (!slot || !slot->pid)
		return;
	slot->renewing = true;
	kill(slot->pid, SIGTERM);
}

void proc_stop(struct proc_slot *slot, int patience)
{
	static const struct timespec moment = {.tv_nsec = 10000000};
	int status;

	if (!slot)
		return;
	slot->ending = true;
	if (slot->chan)
		chan_flush(slot->chan);
	for (; slot->pid && patience > 0; patience -= 10) {
		if (waitpid(slot->pid, &status, WNOHANG) == slot->pid)
			slot->pid = 0;
		else
			nanosleep(&moment, NULL);
	}
	if (slot->pid) {
		kill(slot->pid, SIGKILL);
		waitpid(slot->pid, &status, 0);
	}
	chan_free(slot->chan);
	event_free(slot->again);
	free(slot);
}
