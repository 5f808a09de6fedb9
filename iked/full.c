// SPDX-License-Identifier: BSD-2-Clause
#include "iked/full.h"

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/setup.h"

bool full_is(const struct ike_sa *ike)
{
	return ike->full_until > ike_now(ike);
}

void full_over(struct ike_sa *ike)
{
	ike->full_until = 0;
	ike->n_full = 0;
}

/* Children that wait for their turn on it do no more. */
static void fill(struct ike_sa *ike)
{
	struct task **at = &ike->tasks, *task;

	if (ike->n_full < UINT16_MAX)
		ike->n_full++;
	ike->full_until = ike_now(ike) + backoff_wait(ike->engine, ike->n_full);
	while ((task = *at)) {
		if (task->kind != TASK_CHILD || task->ref) {
			at = &task->next;
			continue;
		}
		backoff_until(task->conn, task->cfg, ike->full_until);
		*at = task->next;
		ike->n_tasks--;
		task_free(task);
	}
}

void full_rekey(struct ike_sa *ike)
{
	/* After one in vain the clock tries again (setup.c). */
	bool soon = ike->reauth_at && ike->reauth_at < ike_now(ike) + 2 * REKEY_RETRY_MS;
	bool begins = !full_is(ike) && !soon;

	fill(ike);
	if (begins && ike_conn_callable(&ike->conn->model))
		setup_reauth(ike, 0);
}

void full_child(struct ike_sa *ike, bool initial)
{
	if (initial || ike_is_used(ike) || !ike_conn_callable(&ike->conn->model))
		fill(ike);
	else
		ike_task(ike, TASK_IKE_CLOSE);
}
