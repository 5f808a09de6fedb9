// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "lib/log.h"

/* Into a place of another map: first the record names it, then it is filled. */
static int move_state(struct sas *sas, struct sa *sa, const struct xipsec_sa_state *from)
{
	struct xipsec_sa_state *state = sas_state(sas, sa->index);
	int err;

	sa->generation = sa_generation_after(state);
	if (sa->sa.flags & XIPSEC_SA_MANUAL) {
		struct reserve_record next = sa->record;

		memcpy(next.where, sas->where, sizeof(next.where));
		next.generation = sa->generation;
		err = reserve_write(sas->reserve, &next);
		if (err)
			return err;
		sa->record = next;
	}
	__atomic_store_n(&state->status, XIPSEC_SA_FREE, __ATOMIC_SEQ_CST);
	memcpy((char *)state + offsetof(struct xipsec_sa_state, seq), (const char *)&from->seq,
	       sizeof(*state) - offsetof(struct xipsec_sa_state, seq));
	if (sa->sa.dir == XIPSEC_DIR_OUT && (sa->sa.flags & XIPSEC_SA_MANUAL))
		state->seq_limit = sa->record.reserved;
	__atomic_store_n(&state->generation, sa->generation, __ATOMIC_SEQ_CST);
	__atomic_store_n(&state->status, from->status, __ATOMIC_SEQ_CST);
	return 0;
}

/* `from` NULL: the new generation has the same map of states, and the SA stays in its place: same
 * generation, same window, same record. No worker lives that could be at it. */
static int move_one(struct sas *sas, struct sa *sa, const struct xipsec_sa_state *from)
{
	int err = sas->ops->child_id(sas->ctx, &sa->sa);

	if (err < 0)
		return err;
	/* The kernel knows it by the old one, and a key is given to it once. */
	if (sa_is_kernel(sa) && (__u32)err != sa->child)
		return -ESTALE;
	sa->child = err;
	err = from ? move_state(sas, sa, from) : 0;
	if (err)
		return err;
	sas_state(sas, sa->index)->seq = sa->seq_seen;
	if (!sa_is_kernel(sa))
		sas_give_to_workers(sas, sa);
	sa->peer_told = false; /* the new map is empty */
	return sas_publish(sas, sa);
}

int sas_bind(struct sas *sas, void *states, size_t stride, unsigned int n, const char *where)
{
	char *old = sas->states;
	size_t old_stride = sas->stride;
	bool same = strcmp(sas->where, where) == 0;
	int err, first = 0;

	/* The records still name the old maps, which nobody may find again: whatever ends the move
	 * before an SA's turn, its top is on record. What has no place in the new one ends while it
	 * has one in the old. */
	for (struct sa *sa = sas_next(sas, NULL); sa; sa = sas_next(sas, sa)) {
		if (sa->index >= n)
			sa_kernel_gone(sas, sa);
		sa_record_see(sas, sa);
		if ((sa->sa.flags & XIPSEC_SA_MANUAL) && sa->sa.dir == XIPSEC_DIR_IN)
			sa_record_top(sas, sa);
	}
	sas->states = states;
	sas->stride = stride;
	sas->n = n;
	snprintf(sas->where, sizeof(sas->where), "%s", where);
	for (__u32 i = 0; i < sas->max; i++) {
		struct sa *sa = sas->table[i];

		if (!sa)
			continue;
		err = i >= n ? -ENOSPC
			     : move_one(sas, sa, same ? NULL : (void *)(old + i * old_stride));
		if (!err)
			continue;
		log_error("SA %s is lost with the old maps: %s", sa->sa.name,
			  err == -ENOSPC ? "max_sas was made smaller, and it has no room any more"
					 : strerror(-err));
		first = first ? first : err;
		if (sa_is_kernel(sa)) {
			sas_expire(sas, sa);
			sa_kernel_gone(sas, sa);
		}
		/* Nothing leads to it; its record keeps what was reserved. */
		sas_find_drop(sas, sa);
		OPENSSL_cleanse(sas_key(sas, i), SAS_KEY_STRIDE);
		sas->table[i] = NULL;
		sas->count--;
		free(sa);
	}
	return first;
}
