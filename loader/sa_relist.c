// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* Of what the kernel opens in tunnel mode a program compares with the policies in force, and routes
 * decide of the tunnels {}. In transport mode it has the list in policies of its own, which cannot
 * change together. */
static bool kernel_compares(const struct sa *sa)
{
	return sa_is_kernel(sa) && sa->sa.dir == XIPSEC_DIR_IN &&
	       (sa->sa.mode == XIPSEC_MODE_TRANSPORT || sa->sa.if_id);
}

struct sa *sas_relist(struct sas *sas, struct sa *sa, const struct xipsec_sa *with)
{
	const __u32 n = with->n_selectors;
	struct sa *now;

	if (kernel_compares(sa))
		return NULL;
	now = calloc(1, offsetof(struct sa, sa) + XIPSEC_SA_SIZE(n));
	if (!now)
		return NULL;
	memcpy(now, sa, offsetof(struct sa, sa) + offsetof(struct xipsec_sa, refuse));
	now->sa.flags = (__u16)((sa->sa.flags & ~SA_LIST_FLAGS) | (with->flags & SA_LIST_FLAGS));
	now->sa.n_selectors = n;
	memcpy(now->sa.refuse, with->refuse, n);
	memcpy(now->sa.selector, with->selector, n * sizeof(with->selector[0]));
	sas_find_drop(sas, sa);
	sas->table[sa->index] = now;
	sas_find_put(sas, now);
	free(sa);
	/* The same generation: numbers and window stand in the state, where a worker goes on. */
	if (!sa_is_kernel(now)) {
		sas_give_to_workers(sas, now);
		sas->unsettled = true;
	}
	return now;
}

void sas_settle(struct sas *sas)
{
	if (sas->unsettled)
		sas->ops->settle(sas->ctx);
	sas->unsettled = false;
}
