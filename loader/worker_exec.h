/* SPDX-License-Identifier: BSD-2-Clause */
/* The executable xipsec-worker: found, opened at start, become in a forked child. Its name tells
 * orphans too, so workers_bury() (workers.h) lives in worker_exec.c. */
#ifndef LOADER_WORKER_EXEC_H
#define LOADER_WORKER_EXEC_H

/* Opens it, beside this executable or else where it was installed. A descriptor that the caller
 * closes, or -errno after a log line. */
int worker_exec_open(void);

/* In the child, before exec: only what is safe there. `ctl` becomes XIPSEC_CTL_FD; every other
 * descriptor ends. */
void worker_exec(int binary, int ctl, unsigned int number) __attribute__((noreturn));

#endif
