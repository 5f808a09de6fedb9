// SPDX-License-Identifier: BSD-2-Clause
#include "loader/spd_room.h"

#include <errno.h>

#define PRIORITY_END 0xfffffff0U

/* ------------------------------------------------------------------ one rule */

static __u32 priority_of(const struct spd_editor *e, __u32 number)
{
	return e->memory.c.rule[number].priority;
}

/* Still met by programs: until it is tidied away, until the change is published. */
static bool priority_taken(const struct spd_editor *e, __u32 priority)
{
	for (unsigned int i = 0; i < e->n_pending; i++)
		if (priority_of(e, e->pending[i]) == priority)
			return true;
	for (unsigned int i = 0; i < e->n_moves; i++)
		if (priority_of(e, e->move[i].from) == priority)
			return true;
	return false;
}

/* Room is left where the next one is likely to come: behind this one, before the same neighbour; or
 * before this one, as it came before the newest. */
__u32 room_between(const struct spd_editor *e, __u32 before)
{
	__u32 after = before == NONE ? e->order.last : e->order.at[before].before;
	__u32 low = after == NONE ? 0 : priority_of(e, after);
	__u32 high = before == NONE ? PRIORITY_END : priority_of(e, before);
	__u32 room = high - low, priority, step;

	if (room < 2)
		return 0;
	step = room / 64 ? room / 64 : 1;
	if (before != NONE && before == e->newest) {
		priority = high - step;
		while (priority > low && priority_taken(e, priority))
			priority--;
		return priority > low ? priority : 0;
	}
	if (before == NONE)
		step = room > 2 * SPD_PRIORITY_GAP ? SPD_PRIORITY_GAP : 1;
	priority = low + step;
	while (priority < high && priority_taken(e, priority))
		priority++;
	return priority < high ? priority : 0;
}

/* ------------------------------------------------------------------ a window */

/* Neighbours in order, and what stands on both sides of them. */
struct window {
	__u32 number[MOVES_MAX];
	unsigned int n_left, n; /* left of the place, in all */
	__u32 low, high;        /* priorities beside it, exclusive */
	__u32 gap;              /* between rules once they have moved */
	unsigned int need;      /* places between the two halves */
};

/* It belongs to the change itself. */
static bool stands_fast(const struct spd_editor *e, const struct spd_edit *change, __u32 number,
			__u32 next)
{
	return e->memory.c.rule[number].born == next || spd_edit_removes(change, number);
}

static void window_take(const struct spd_editor *e, const struct spd_edit *change, __u32 before,
			__u32 next, unsigned int half, struct window *w)
{
	__u32 left = before == NONE ? e->order.last : e->order.at[before].before, right = before;

	w->n = 0;
	while (left != NONE && w->n < half && !stands_fast(e, change, left, next)) {
		w->number[w->n++] = left;
		left = e->order.at[left].before;
	}
	w->n_left = w->n;
	for (unsigned int i = 0; i < w->n / 2; i++) {
		__u32 other = w->number[w->n - 1 - i];

		w->number[w->n - 1 - i] = w->number[i];
		w->number[i] = other;
	}
	while (right != NONE && w->n - w->n_left < half && !stands_fast(e, change, right, next)) {
		w->number[w->n++] = right;
		right = e->order.at[right].after;
	}
	w->low = left == NONE ? 0 : priority_of(e, left);
	w->high = right == NONE ? PRIORITY_END : priority_of(e, right);
	w->gap = (w->high - w->low) / (w->n + w->need + 1);
}

/* The smallest one that gives its rules room in proportion to how many they are: so windows stay
 * small most of the time, as in Bender et al., "Two simplified algorithms for maintaining order in
 * a list" (2002). The largest need not give more than a little. */
static int window_find(const struct spd_editor *e, const struct spd_edit *change, __u32 before,
		       __u32 next, struct window *w)
{
	w->need = change->n_add;
	for (unsigned int half = 1; half <= MOVES_MAX / 2; half *= 2) {
		window_take(e, change, before, next, half, w);
		if (w->n + e->n_moves > MOVES_MAX)
			return -EAGAIN;
		if (w->gap >= w->n + w->need && w->gap >= 4)
			return 0;
	}
	return w->n && w->gap >= 4 ? 0 : -EAGAIN;
}

/* ------------------------------------------------------------------ moving */

static int move_one(struct spd_editor *e, unsigned int i, __u32 priority, __u32 next)
{
	struct classifier *c = &e->memory.c;
	__u32 from = e->move[i].from, to = CLASSIFIER_ANY;
	struct xipsec_spd_rule rule = c->rule[from];

	rule.priority = priority;
	rule.born = next;
	rule.dies = 0;
	if (classifier_put(c, &rule, &to)) {
		if (to != CLASSIFIER_ANY)
			e->pending[e->n_pending++] = to;
		return -EAGAIN;
	}
	/* What was left out because of it may stay so: it stands before the same rules. */
	c->rule[to].stands_for += c->rule[from].stands_for;
	e->move[i].to = to;
	order_replace(e, from, to);
	return 0;
}

/* All are marked before the first is put: none that goes may stand in for one that comes. */
static int window_move(struct spd_editor *e, const struct window *w, __u32 next)
{
	unsigned int first = e->n_moves;

	for (unsigned int i = 0; i < w->n; i++) {
		__atomic_store_n(&e->memory.c.rule[w->number[i]].dies, next, __ATOMIC_RELEASE);
		e->move[e->n_moves].from = w->number[i];
		e->move[e->n_moves++].to = NONE;
	}
	for (unsigned int i = 0; i < w->n; i++) {
		__u32 place = i + 1 + (i >= w->n_left ? w->need : 0);
		__u32 priority = w->low + place * w->gap, end = priority + w->gap;

		while (priority < end && priority_taken(e, priority))
			priority++;
		if (priority == end || move_one(e, first + i, priority, next))
			return -EAGAIN;
	}
	return 0;
}

int room_make(struct spd_editor *e, const struct spd_edit *change, __u32 before, __u32 next)
{
	unsigned int n = change->n_add + change->n_remove;
	struct window w;
	int err = window_find(e, change, before, next, &w);

	if (err)
		return err;
	if (e->n_pending + n + 2 * (e->n_moves + w.n) > PENDING_MAX) {
		if (e->n_moves || spd_tidy(e))
			return -EAGAIN;
	}
	return window_move(e, &w, next);
}

__u32 room_number(const struct spd_editor *e, __u32 number)
{
	for (unsigned int i = 0; i < e->n_moves; i++)
		if (e->move[i].from == number && e->move[i].to != NONE)
			return e->move[i].to;
	return number;
}

/* ------------------------------------------------------------------ the end of a change */

void room_log(struct spd_editor *e, __u32 next)
{
	/* That one comes need not be told: whose flow it matches, the one that goes did. */
	for (unsigned int i = 0; i < e->n_moves; i++)
		classifier_log(&e->memory.c, e->move[i].from, next);
	for (unsigned int i = 0; i < e->n_moves; i++)
		hits_carry(&e->hits, e->move[i].from, e->move[i].to);
}

void room_taken(struct spd_editor *e)
{
	for (unsigned int i = 0; i < e->n_moves; i++) {
		e->pending[e->n_pending++] = e->move[i].from;
		e->pending[e->n_pending++] = e->move[i].to;
	}
	e->n_moves = 0;
}

void room_take_back(struct spd_editor *e)
{
	for (unsigned int i = 0; i < e->n_moves; i++) {
		__u32 from = e->move[i].from, to = e->move[i].to;

		__atomic_store_n(&e->memory.c.rule[from].dies, 0, __ATOMIC_RELEASE);
		if (to == NONE)
			continue;
		order_replace(e, to, from);
		classifier_undo(&e->memory.c, to);
		e->pending[e->n_pending++] = to;
	}
	e->n_moves = 0;
}
