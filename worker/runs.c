// SPDX-License-Identifier: BSD-2-Clause
/*
 * Which backend runs which SA, for xipsecd to know. The answers wait where their SAs have a place,
 * for at a start there are more of them than the channel takes, and xipsecd is busy sending.
 */
#include "worker/loop.h"

#include <errno.h>
#include <stdlib.h>

struct sa_run {
	__u32 generation;
	__s16 err;
	__u8 backend;
	bool owed;
};

int runs_new(struct worker *w)
{
	w->runs = calloc(w->n_sas, sizeof(*w->runs));
	return w->runs ? 0 : -ENOMEM;
}

void runs_note(struct worker *w, __u32 index, __u32 generation, enum xipsec_backend backend,
	       int err)
{
	struct sa_run *run = &w->runs[index];

	w->n_runs_owed += !run->owed;
	*run = (struct sa_run){generation, (__s16)err, (__u8)backend, true};
}

static int tell(struct worker *w, __u32 index)
{
	struct sa_run *run = &w->runs[index];
	struct ctl_sa_runs msg = {.index = index,
				  .generation = run->generation,
				  .backend = run->backend,
				  .err = run->err};
	int err = ctl_send(w->ctl, XIPSEC_CTL_SA_RUNS, &msg, sizeof(msg));

	if (!err) {
		run->owed = false;
		w->n_runs_owed--;
	}
	return err;
}

/* A channel that is broken is found by whoever reads from it. */
void runs_tell(struct worker *w)
{
	for (__u32 i = 0; w->n_runs_owed && i < w->n_sas; i++) {
		if (w->runs[w->runs_at].owed && tell(w, w->runs_at))
			return;
		w->runs_at = (w->runs_at + 1) % w->n_sas;
	}
}
