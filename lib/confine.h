/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a process that reads what strangers send gives up what it does not need, for good: its root
 * directory, its user, its capabilities, its system calls. In that order; each in words of a table
 * of the process' own. Direction of failure: closed, a process that cannot confine itself ends.
 */
#ifndef LIB_CONFINE_H
#define LIB_CONFINE_H

#include <stddef.h>
#include <linux/types.h>
#include <seccomp.h>

/* Makes `dir` (empty, root's; made if it is not there) the root directory. 0 or -errno after a log
 * line. Needs CAP_SYS_CHROOT. */
int confine_root(const char *dir);

/* Becomes `uid` without any group but its own, capability or way back; no core dump; nobody of the
 * same uid can look inside. `what` names the process and how its uid is set, for the log line.
 * 0 or -errno. */
int confine_user(__u32 uid, const char *what);

/* One call that is allowed, with up to two conditions on its arguments. */
struct confine_rule {
	int call;
	unsigned int n_args;
	struct scmp_arg_cmp args[2];
};

/* Argument n compared; with MASKED_EQ, `a` is the mask and `b` the value. */
#define CONFINE_ARG(n, how, a, b)                               \
	{                                                       \
		.arg = n, .op = how, .datum_a = a, .datum_b = b \
	}

/* From here on any other call ends the process. 0 or -errno after a log line. */
int confine_calls(const struct confine_rule *rules, size_t n);

#endif
