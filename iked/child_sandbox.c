// SPDX-License-Identifier: BSD-2-Clause
#include "iked/child_inside.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>

#include "lib/confine.h"
#include "lib/log.h"

#define SYS(name) SCMP_SYS(name)

static const struct confine_rule rules[] = {
	/* the loop: waiting, and what is waited for */
	{SYS(epoll_wait), 0, {}},
	{SYS(epoll_pwait), 0, {}},
	{SYS(epoll_pwait2), 0, {}},
	{SYS(epoll_ctl), 0, {}},
	{SYS(restart_syscall), 0, {}},
	/* before the end: what was said to the parent gets there (chan_flush()) */
	{SYS(poll), 0, {}},
	{SYS(ppoll), 0, {}},
	/* datagrams of IKE, with the address that they come from or go to; messages of parent and
	 * xipsecd, with descriptors. There is no call that makes a socket, and none that connects
	 */
	{SYS(recvmsg), 0, {}},
	{SYS(sendmsg), 0, {}},
	/* connections, CRLs: files that the parent opened and passed */
	{SYS(pread64), 0, {}},
	/* log lines, and the key log */
	{SYS(write), 0, {}},
	/* descriptors that were passed, and duplicates of those that wait to be passed on */
	{SYS(close), 0, {}},
	{SYS(fcntl), 1, {CONFINE_ARG(1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0)}},
	/* memory; never to be executed */
	{SYS(mmap), 1, {CONFINE_ARG(2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0)}},
	{SYS(munmap), 0, {}},
	{SYS(mremap), 0, {}},
	{SYS(brk), 0, {}},
	{SYS(madvise), 0, {}},
	/* pages with keys are not swapped out */
	{SYS(mlock), 0, {}},
	/* qsort() of glibc asks how much memory there is before it sorts more than a page or so */
	{SYS(sysinfo), 0, {}},
	/* the time, where the vDSO cannot tell it */
	{SYS(clock_gettime), 0, {}},
	{SYS(gettimeofday), 0, {}},
	/* locks inside libcrypto; wakes nobody, there is one thread */
	{SYS(futex), 0, {}},
	/* libcrypto's generator asks whether it is still in the process that it was seeded in, and
	 * seeds itself anew now and then; malloc() too */
	{SYS(getpid), 0, {}},
	{SYS(getrandom), 0, {}},
	/* the end */
	{SYS(exit), 0, {}},
	{SYS(exit_group), 0, {}},
};

int child_sandbox(const struct chan_setup *setup)
{
	int err = confine_root(setup->root);

	if (!err)
		err = confine_user(setup->uid, "the process that reads the network: set iked.uid");
	/* Changing uid has reset it. */
	if (!err && prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		err = -errno;
	return err ? err : confine_calls(rules, sizeof(rules) / sizeof(rules[0]));
}
