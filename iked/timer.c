// SPDX-License-Identifier: BSD-2-Clause
#include "iked/timer.h"

#include <errno.h>
#include <stdlib.h>

int timers_reserve(struct timers *timers, unsigned int n)
{
	unsigned int size = timers->size ? timers->size : 64;
	struct timer **heap;

	if (n <= timers->size)
		return 0;
	while (size < n)
		size *= 2;
	heap = reallocarray(timers->heap, size, sizeof(*heap));
	if (!heap)
		return -ENOMEM;
	timers->heap = heap;
	timers->size = size;
	return 0;
}

void timers_free(struct timers *timers)
{
	for (unsigned int i = 0; i < timers->n; i++)
		timers->heap[i]->place = 0;
	free(timers->heap);
	*timers = (struct timers){0};
}

static void put(struct timers *timers, unsigned int at, struct timer *timer)
{
	timers->heap[at] = timer;
	timer->place = at + 1;
}

static void up(struct timers *timers, unsigned int at, struct timer *timer)
{
	while (at > 0) {
		unsigned int parent = (at - 1) / 2;

		if (timers->heap[parent]->due <= timer->due)
			break;
		put(timers, at, timers->heap[parent]);
		at = parent;
	}
	put(timers, at, timer);
}

static void down(struct timers *timers, unsigned int at, struct timer *timer)
{
	for (;;) {
		unsigned int child = 2 * at + 1;

		if (child >= timers->n)
			break;
		if (child + 1 < timers->n &&
		    timers->heap[child + 1]->due < timers->heap[child]->due)
			child++;
		if (timers->heap[child]->due >= timer->due)
			break;
		put(timers, at, timers->heap[child]);
		at = child;
	}
	put(timers, at, timer);
}

void timer_stop(struct timers *timers, struct timer *timer)
{
	unsigned int at = timer->place;
	struct timer *last;

	if (!at)
		return;
	at--;
	timer->place = 0;
	last = timers->heap[--timers->n];
	if (last == timer)
		return;
	if (at > 0 && timers->heap[(at - 1) / 2]->due > last->due)
		up(timers, at, last);
	else
		down(timers, at, last);
}

void timer_set(struct timers *timers, struct timer *timer, __u64 due)
{
	timer_stop(timers, timer);
	timer->due = due;
	/* timers_reserve() was asked; a timer too many would be a defect of its caller. */
	if (timers->n == timers->size)
		abort();
	up(timers, timers->n++, timer);
}

__u64 timers_due(const struct timers *timers)
{
	return timers->n ? timers->heap[0]->due : TIMER_NEVER;
}

int timers_fire(struct timers *timers, __u64 now)
{
	struct timer *timer;

	if (timers_due(timers) > now)
		return 0;
	timer = timers->heap[0];
	timer_stop(timers, timer);
	timer->fire(timer);
	return 1;
}
