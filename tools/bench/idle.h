/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A process that runs when nobody else wants to, through a loop of known length: what it did not
 * run of a time, others did. On a clock that counts instructions (qemu -icount shift=0: a
 * nanosecond each) that is how many they took, system calls, interrupts and other processes with
 * them. It also keeps the processor from ever being idle, when that clock would jump.
 */
#ifndef TOOLS_BENCH_IDLE_H
#define TOOLS_BENCH_IDLE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define IDLE_INSTRUCTIONS 16 /* a turn of its loop */

struct idle {
	volatile uint64_t *turns; /* shared with the process */
	pid_t pid;
	double turn_ns; /* of a quiet machine: ticks of its clock count as idle */
};

/* A moment: what the clock and the loop said. */
struct idle_mark {
	uint64_t ns, turns;
};

/* Starts the process, on a machine with one processor, and looks for 0.2 s how long a turn is. 0;
 * or -errno; -ERANGE, told on stderr, where that is not what its instructions say. */
int idle_start(struct idle *idle);
void idle_stop(struct idle *idle);

void idle_mark(const struct idle *idle, struct idle_mark *out);

/* Instructions of others since then. */
double idle_others(const struct idle *idle, const struct idle_mark *since);

/* Waits until others want less than a fiftieth of the time. false: not within a second. */
bool idle_settle(const struct idle *idle);

#endif
