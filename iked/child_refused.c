// SPDX-License-Identifier: BSD-2-Clause
/* The peer does not want a child that we asked for: what is said, and what is done. */
#include <stdio.h>
#include <stdlib.h>

#include "iked/backoff.h"
#include "iked/child_make.h"
#include "iked/engine_state.h"
#include "iked/full.h"
#include "lib/cleanup.h"

/* What of ours it refused: the peer says nothing but a number. */
static void offer_print(const struct xchg *x, __u16 error, char *to, size_t size)
{
	const struct conn_child *cfg = x->child->cfg;
	_cleanup_free_ struct proposals *ours = malloc(sizeof(*ours));
	_cleanup_free_ struct ts_list *ts = calloc(2, sizeof(*ts));
	char text[2][256];

	if (!ours || !ts)
		return;
	if (error == IKE_N_TS_UNACCEPTABLE || error == IKE_N_SINGLE_PAIR_REQUIRED) {
		ike_child_ts(cfg, &x->ike->path, &ts[0], &ts[1]);
		ts_list_print(&ts[0], text[0], sizeof(text[0]));
		ts_list_print(&ts[1], text[1], sizeof(text[1]));
		snprintf(to, size, "; we asked for %s === %s", text[0], text[1]);
	} else if (error == IKE_N_NO_PROPOSAL_CHOSEN || error == IKE_N_INVALID_KE_PAYLOAD) {
		ike_child_proposals(cfg, ours);
		if (x->initial)
			proposals_strip_ke(ours);
		proposals_print(ours, text[0], sizeof(text[0]));
		snprintf(to, size, "; we offered %s", text[0]);
	}
}

/* RFC 7296 2.9: again with one selector on each side. */
static bool one_pair(struct xchg *x)
{
	struct task *task;

	if (!x->task || x->task->single)
		return false;
	task = ike_task(x->ike, TASK_CHILD);
	if (!task)
		return false;
	task->conn = ike_conn_ref(x->child->conn);
	task->cfg = x->child->cfg;
	task->single = true;
	task->ref = x->task->ref;
	x->task->ref = 0;
	ike_log(x->ike, LOG_LEVEL_INFO,
		"child %s: the peer wants one pair of selectors: asked for the first of each",
		x->child->cfg->name);
	return true;
}

void child_refused(struct xchg *x, const struct ike_notify *error)
{
	const char *name = error ? ike_notify_name(error->type) : "it says nothing of it";
	char offer[600] = "";

	if (error && error->type == IKE_N_SINGLE_PAIR_REQUIRED && one_pair(x))
		return;
	if (error)
		offer_print(x, error->type, offer, sizeof(offer));
	if (error && error->type == IKE_N_NO_ADDITIONAL_SAS)
		full_child(x->ike, x->initial);
	backoff_failed(x->ike, x->child->conn, x->child->cfg, "the peer refused it: %s%s",
		       name ? name : "an error", offer);
}
