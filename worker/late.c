// SPDX-License-Identifier: BSD-2-Clause
#include "worker/late.h"

#include <string.h>

#include "worker/pipeline_inside.h"
#include "xipsec/reason.h"

/* xipsecd writes the state of a new SA, sends its message, and then has programs steer to it: a
 * frame may be here before that message was read. */
static bool is_news(const struct worker *w, const struct work *work)
{
	const struct xipsec_sa_state *state =
		(const void *)(w->sa_state + work->sa_index * w->sa_state_stride);
	const struct sa_place *place = &w->sas[work->sa_index];

	return (!place->sa || place->generation != work->sa_generation) &&
	       __atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) == work->sa_generation &&
	       __atomic_load_n(&state->status, __ATOMIC_ACQUIRE) == XIPSEC_SA_LIVE;
}

bool late_may_come(const struct worker *w, const struct work *work)
{
	return w->n_late < BURST_MAX && is_news(w, work);
}

void late_hold(struct worker *w, const struct work *work)
{
	w->late[w->n_late++] = *work;
	w->next_ctl = 0;
}

void late_run(struct worker *w)
{
	struct work store[BURST_MAX], *works[BURST_MAX];
	unsigned int n = 0, held = w->n_late;

	memcpy(store, w->late, held * sizeof(store[0]));
	w->n_late = 0;
	for (unsigned int i = 0; i < held; i++) {
		const struct sa_place *place = &w->sas[store[i].sa_index];

		if (place->sa && place->dir != store[i].dir)
			pipeline_drop(w, &store[i], XIPSEC_REASON_BAD_META);
		else
			works[n++] = &store[i];
	}
	pipeline_take(w, works, n);
}
