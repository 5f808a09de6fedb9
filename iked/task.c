// SPDX-License-Identifier: BSD-2-Clause
/* What an IKE SA wants of its peer, one after the other (RFC 7296 2.3: the window is 1). */
#include <errno.h>
#include <stdlib.h>

#include "iked/engine_state.h"
#include "iked/full.h"
#include "iked/setup.h"
#include "iked/unique.h"
#include "iked/xchg.h"

void task_free(struct task *task)
{
	if (!task)
		return;
	ike_conn_unref(task->conn);
	free(task);
}

struct task *ike_task(struct ike_sa *ike, enum task_kind kind)
{
	struct task **at = &ike->tasks, *task;

	bool closes = kind == TASK_CHILD_CLOSE || kind == TASK_IKE_CLOSE;

	/* There are not more closes than children; what is to end must end. */
	if ((ike->n_tasks >= IKE_TASKS_MAX && !closes) || ike->state == IKE_GONE) {
		ike_log(ike, LOG_LEVEL_ERROR, "too many requests wait for their turn");
		return NULL;
	}
	task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->kind = kind;
	while (*at)
		at = &(*at)->next;
	*at = task;
	ike->n_tasks++;
	return task;
}

/* At most one of a kind for each child: what is wanted twice is wanted once. */
static struct task *find(const struct ike_sa *ike, enum task_kind kind, __u32 child)
{
	for (struct task *task = ike->tasks; task; task = task->next)
		if (task->kind == kind && task->child == child)
			return task;
	return NULL;
}

struct task *ike_task_child(struct ike_sa *ike, enum task_kind kind, struct child_sa *child)
{
	struct task *task = find(ike, kind, child->id);

	if (kind == TASK_CHILD_CLOSE)
		child->state = CHILD_CLOSING;
	if (task)
		return task;
	if (ike->ours && ike->ours->task && ike->ours->task->kind == kind &&
	    ike->ours->task->child == child->id)
		return NULL;
	task = ike_task(ike, kind);
	if (task)
		task->child = child->id;
	return task;
}

bool ike_is_leaving(const struct ike_sa *ike)
{
	if (ike->state != IKE_UP)
		return true;
	for (const struct task *task = ike->tasks; task; task = task->next)
		if (task->kind == TASK_IKE_CLOSE)
			return true;
	return false;
}

/* Is there still something to do? */
static bool wanted(struct ike_sa *ike, const struct task *task)
{
	const struct child_sa *child;

	switch (task->kind) {
	case TASK_CHILD_REKEY:
		child = child_by_id(ike->engine, task->child);
		return ike->state == IKE_UP && child && child->state == CHILD_UP;
	case TASK_CHILD_CLOSE:
		/* closing the IKE SA closes its children */
		return ike->state == IKE_UP && child_by_id(ike->engine, task->child);
	case TASK_CHILD:
	case TASK_IKE_REKEY: return ike->state == IKE_UP;
	case TASK_IKE_CLOSE:
		return (!task->followed || setup_followed(ike)) &&
		       (!task->outdone || unique_outdone(ike));
	default: return ike->state == IKE_UP;
	}
}

/* What it has made the peer does not replace for now; a command asks all the same. */
static __u64 not_before(const struct ike_sa *ike, const struct task *task)
{
	bool rekeys = task->kind == TASK_CHILD_REKEY || task->kind == TASK_IKE_REKEY;

	return rekeys && !task->ref && full_is(ike) ? ike->full_until : task->not_before;
}

/* An IKE SA is not rekeyed while the peer makes, rekeys or closes a child on it: it would not know
 * to whom that belongs. */
static bool may_begin(const struct ike_sa *ike, const struct task *task)
{
	if (not_before(ike, task) > ike_now(ike))
		return false;
	if (!ike->peers)
		return true;
	/* Nor a child that the peer is rekeying: when that is done, it has another. */
	return task->kind != TASK_IKE_REKEY && (!task->child || ike->peers->rekeys != task->child);
}

static bool begin(struct ike_sa *ike, struct task *task)
{
	struct xchg *x = xchg_new(ike, true,
				  task->kind == TASK_CHILD || task->kind == TASK_CHILD_REKEY ||
						  task->kind == TASK_IKE_REKEY
					  ? CREATE_CHILD_SA
					  : INFORMATIONAL);
	bool sent;

	if (!x) {
		engine_done(ike->engine, task->ref, -ENOMEM, "no memory");
		task_free(task);
		return false;
	}
	x->task = task;
	if (task->kind == TASK_IKE_REKEY)
		sent = x_rekey_begin(x);
	else if (x->exchange == CREATE_CHILD_SA)
		sent = x_child_begin(x);
	else
		sent = x_info_begin(x);
	return sent;
}

static void wait_for(struct ike_sa *ike)
{
	__u64 due = TIMER_NEVER;

	for (struct task *task = ike->tasks; task; task = task->next)
		if (not_before(ike, task) > ike_now(ike) && not_before(ike, task) < due)
			due = not_before(ike, task);
	if (due != TIMER_NEVER)
		timer_set(&ike->engine->timers, &ike->work, due);
	else
		timer_stop(&ike->engine->timers, &ike->work);
}

void ike_work(struct ike_sa *ike)
{
	struct task **at = &ike->tasks, *task;

	if (ike->state < IKE_UP || ike->state == IKE_GONE || ike->from)
		return;
	while (!ike->ours && (task = *at)) {
		if (!wanted(ike, task)) {
			*at = task->next;
			ike->n_tasks--;
			engine_done(ike->engine, task->ref, 0, "");
			task_free(task);
		} else if (!may_begin(ike, task)) {
			at = &task->next;
		} else {
			*at = task->next;
			ike->n_tasks--;
			task->next = NULL;
			if (!begin(ike, task))
				at = &ike->tasks;
			if (ike->state == IKE_GONE)
				return;
		}
	}
	wait_for(ike);
}
