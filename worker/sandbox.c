// SPDX-License-Identifier: BSD-2-Clause
#include "worker/sandbox.h"

#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/confine.h"
#include "xipsec/ctl.h"

static const struct confine_rule rules[] = {
	/* sleeping until a ring or the control channel has something */
	{SCMP_SYS(poll), 0, {}},
	{SCMP_SYS(ppoll), 0, {}},
	/* the kernel goes on with a poll() that a stop signal cut short */
	{SCMP_SYS(restart_syscall), 0, {}},
	/* kicking TX; messages to xipsecd. On connected sockets only: no address may be given */
	{SCMP_SYS(sendto), 1, {CONFINE_ARG(4, SCMP_CMP_EQ, 0, 0)}},
	/* kicking a fill ring that wants it */
	{SCMP_SYS(recvfrom), 0, {}},
	/* messages from xipsecd, with the descriptors of new sockets */
	{SCMP_SYS(recvmsg), 0, {}},
	/* rings of new sockets, memory; never to be executed */
	{SCMP_SYS(mmap), 1, {CONFINE_ARG(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
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
	{SCMP_SYS(write), 1, {CONFINE_ARG(0, SCMP_CMP_EQ, STDERR_FILENO, 0)}},
	/* queues of TAPs; nothing that was there at the start, and all else beyond it is sockets,
	 * which recvmsg and sendto reach anyway */
	{SCMP_SYS(readv), 1, {CONFINE_ARG(0, SCMP_CMP_GT, XIPSEC_CTL_FD, 0)}},
	{SCMP_SYS(writev), 1, {CONFINE_ARG(0, SCMP_CMP_GT, XIPSEC_CTL_FD, 0)}},
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
	return confine_calls(rules, sizeof(rules) / sizeof(rules[0]));
}

int sandbox_drop_privileges(__u32 uid)
{
	return confine_user(uid, "a worker: set datapath.worker_uid");
}

int sandbox_close(__u32 uid)
{
	int err = sandbox_drop_privileges(uid);

	return err ? err : sandbox_filter();
}
