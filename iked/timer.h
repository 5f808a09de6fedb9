/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Timers: a heap of those that are set. A timer is part of what it wakes, and knows where in the
 * heap it stands, so that setting and stopping cost O(log n) and memory 8 bytes more.
 */
#ifndef IKED_TIMER_H
#define IKED_TIMER_H

#include <linux/types.h>

struct timer;

struct timers {
	struct timer **heap; /* heap[0]: the next */
	unsigned int n, size;
};

/* All zero but `fire` when it is not set. */
struct timer {
	__u64 due; /* ms */
	void (*fire)(struct timer *timer);
	__u32 place; /* in the heap, from 1; 0: not set */
};

#define TIMER_NEVER (~0ULL)

/* Room for n timers in all, so that timer_set() cannot fail: whoever makes an owner of timers asks
 * first. 0 or -ENOMEM. */
int timers_reserve(struct timers *timers, unsigned int n);
void timers_free(struct timers *timers);

/* Sets it, or sets it anew. */
void timer_set(struct timers *timers, struct timer *timer, __u64 due);
void timer_stop(struct timers *timers, struct timer *timer);
static inline int timer_is_set(const struct timer *timer)
{
	return timer->place != 0;
}

/* TIMER_NEVER: none is set. */
__u64 timers_due(const struct timers *timers);

/* Takes the next one that is due out of the heap and fires it; 0: none is due. It may free its
 * owner. */
int timers_fire(struct timers *timers, __u64 now);

#endif
