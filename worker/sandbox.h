/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What a worker gives up before it looks at the first packet: its user, its capabilities, core
 * dumps, debuggers, and every system call that the loop does not need. There is no way back.
 */
#ifndef WORKER_SANDBOX_H
#define WORKER_SANDBOX_H

#include <linux/types.h>

/* Closes the sandbox for the calling process (of one thread). uid and gid become `uid`, which may
 * not be 0. Needs CAP_SETUID, CAP_SETGID, CAP_SETPCAP. 0 or -errno after a log line; after a
 * failure the process must end: it may be half closed. */
int sandbox_close(__u32 uid);

/* Of the two halves, for tests: who we are, and what we may call. */
int sandbox_drop_privileges(__u32 uid);
int sandbox_filter(void);

#endif
