// SPDX-License-Identifier: BSD-2-Clause
#include "worker/sandbox.h"

#include <errno.h>
#include <seccomp.h>
#include <string.h>
#include <unistd.h>
#include <cap-ng.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "lib/log.h"
#include "xipsec/ctl.h"

static int no_dumps(void)
{
	static const struct rlimit none = {0, 0};

	if (setrlimit(RLIMIT_CORE, &none))
		return -errno;
	/* Also keeps others of our uid from attaching with ptrace or reading /proc/PID/mem.
	 * Changing uid resets it, so this comes last. */
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return -errno;
	return 0;
}

int sandbox_drop_privileges(__u32 uid)
{
	int err;

	if (!uid || uid == (__u32)-1) {
		log_error("a worker cannot run as uid %u: set datapath.worker_uid", uid);
		return -EINVAL;
	}
	/* The bounding set goes first: dropping it needs a capability. */
	capng_clear(CAPNG_SELECT_ALL);
	err = capng_change_id(uid, uid,
			      CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING | CAPNG_CLEAR_AMBIENT);
	if (err) {
		log_error("giving up root for uid %u failed (libcap-ng %d)", uid, err);
		return -EPERM;
	}
	if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid) || getuid() != uid ||
	    geteuid() != uid || setuid(0) == 0) {
		log_error("uid %u did not stick", uid);
		return -EPERM;
	}
	if (capng_get_caps_process() || capng_have_capabilities(CAPNG_SELECT_BOTH) != CAPNG_NONE) {
		log_error("capabilities are left");
		return -EPERM;
	}
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -errno;
	return no_dumps();
}

/* One rule: a call, with up to two conditions on its arguments. */
struct rule {
	int call;
	unsigned int n_args;
	struct scmp_arg_cmp args[2];
};

/* Argument n compared; with MASKED_EQ, `a` is the mask and `b` the value. */
#define ARG(n, how, a, b)                                       \
	{                                                       \
		.arg = n, .op = how, .datum_a = a, .datum_b = b \
	}

static const struct rule rules[] = {
	/* sleeping until a ring or the control channel has something */
	{SCMP_SYS(poll), 0, {}},
	{SCMP_SYS(ppoll), 0, {}},
	/* the kernel goes on with a poll() that a stop signal cut short */
	{SCMP_SYS(restart_syscall), 0, {}},
	/* kicking TX; messages to xipsecd. On connected sockets only: no address may be given */
	{SCMP_SYS(sendto), 1, {ARG(4, SCMP_CMP_EQ, 0, 0)}},
	/* kicking a fill ring that wants it */
	{SCMP_SYS(recvfrom), 0, {}},
	/* messages from xipsecd, with the descriptors of new sockets */
	{SCMP_SYS(recvmsg), 0, {}},
	/* rings of new sockets, memory; never to be executed */
	{SCMP_SYS(mmap), 1, {ARG(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
	{SCMP_SYS(munmap), 0, {}},
	/* realloc() of large blocks moves them without a copy; the protection stays as it was */
	{SCMP_SYS(mremap), 0, {}},
	/* the heap */
	{SCMP_SYS(brk), 0, {}},
	/* MADV_DONTDUMP on pages with keys; free() */
	{SCMP_SYS(madvise), 0, {}},
	/* sockets of interfaces that are gone */
	{SCMP_SYS(close), 0, {}},
	/* log lines, to stderr alone */
	{SCMP_SYS(write), 1, {ARG(0, SCMP_CMP_EQ, STDERR_FILENO, 0)}},
	/* queues of TAPs; nothing that was there at the start, and all else beyond it is sockets,
	 * which recvmsg and sendto reach anyway */
	{SCMP_SYS(readv), 1, {ARG(0, SCMP_CMP_GT, XIPSEC_CTL_FD, 0)}},
	{SCMP_SYS(writev), 1, {ARG(0, SCMP_CMP_GT, XIPSEC_CTL_FD, 0)}},
	/* the time, where the vDSO cannot tell it */
	{SCMP_SYS(clock_gettime), 0, {}},
	/* pthread_once() and locks inside libcrypto; wakes nobody, there is one thread */
	{SCMP_SYS(futex), 0, {}},
	/* libcrypto's generator asks before each use whether it is still in the process it was
	 * seeded in */
	{SCMP_SYS(getpid), 0, {}},
	/* malloc() and libcrypto seed themselves */
	{SCMP_SYS(getrandom), 0, {}},
	/* the end */
	{SCMP_SYS(exit), 0, {}},
	{SCMP_SYS(exit_group), 0, {}},
};

int sandbox_filter(void)
{
	/* Death, not an error code: a worker that asks for anything else is not ours any more. */
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
	int err = ctx ? 0 : -ENOMEM;

	for (size_t i = 0; !err && i < sizeof(rules) / sizeof(rules[0]); i++) {
		err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, rules[i].call, rules[i].n_args,
					     rules[i].args);
		/* not every architecture has every call */
		if (err == -EDOM)
			err = 0;
	}
	if (!err)
		err = seccomp_load(ctx);
	if (ctx)
		seccomp_release(ctx);
	return err;
}

int sandbox_close(__u32 uid)
{
	int err = sandbox_drop_privileges(uid);

	if (err)
		return err;
	err = sandbox_filter();
	if (err)
		log_error("the system call filter could not be loaded: %s (does the kernel have "
			  "CONFIG_SECCOMP_FILTER?)",
			  strerror(-err));
	return err;
}
