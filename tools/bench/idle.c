// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench/idle.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/bench/bench.h"

#define TOLERANCE 0.03 /* ticks, and what else a quiet machine does */
#define SLICE_US  2000

/* 14 + 2 instructions: IDLE_INSTRUCTIONS. */
static void __attribute__((noreturn)) run(volatile uint64_t *turns)
{
	const struct sched_param lowest = {0};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (sched_setscheduler(0, SCHED_IDLE, &lowest) < 0)
		_exit(1);
	for (;;)
		__asm__ volatile("1: .rept 14\n nop\n .endr\n incq (%0)\n jmp 1b"
				 :
				 : "r"(turns)
				 : "memory");
}

void idle_mark(const struct idle *idle, struct idle_mark *out)
{
	out->turns = *idle->turns;
	out->ns = bench_now_ns();
}

double idle_others(const struct idle *idle, const struct idle_mark *since)
{
	struct idle_mark now;

	idle_mark(idle, &now);
	return (double)(now.ns - since->ns) - (double)(now.turns - since->turns) * idle->turn_ns;
}

static int measure_turn(struct idle *idle)
{
	struct idle_mark before, after;

	usleep(100000);
	idle_mark(idle, &before);
	usleep(200000);
	idle_mark(idle, &after);
	if (after.turns == before.turns)
		return -ERANGE;
	idle->turn_ns = (double)(after.ns - before.ns) / (double)(after.turns - before.turns);
	if (idle->turn_ns < IDLE_INSTRUCTIONS * 0.999 ||
	    idle->turn_ns > IDLE_INSTRUCTIONS * (1 + TOLERANCE))
		return -ERANGE;
	return 0;
}

int idle_start(struct idle *idle)
{
	int err;

	idle->turns = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (idle->turns == MAP_FAILED)
		return -errno;
	idle->pid = fork();
	if (idle->pid < 0) {
		err = -errno;
		munmap((void *)idle->turns, 4096);
		return err;
	}
	if (!idle->pid)
		run(idle->turns);
	err = measure_turn(idle);
	if (!err)
		return 0;
	fprintf(stderr,
		"bench: a loop of %d instructions takes %.2f ns: the clock does not count "
		"instructions (tests/vm/run.sh -i), or the machine is not quiet\n",
		IDLE_INSTRUCTIONS, idle->turn_ns);
	idle_stop(idle);
	return err;
}

void idle_stop(struct idle *idle)
{
	kill(idle->pid, SIGKILL);
	waitpid(idle->pid, NULL, 0);
	munmap((void *)idle->turns, 4096);
}

bool idle_settle(const struct idle *idle)
{
	struct idle_mark before;

	for (int i = 0; i < 1000000 / SLICE_US; i++) {
		idle_mark(idle, &before);
		usleep(SLICE_US);
		if (idle_others(idle, &before) < SLICE_US * 1000 / 50)
			return true;
	}
	return false;
}
