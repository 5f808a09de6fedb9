// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sas_inside.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

static bool place_free(const struct sas *sas, __u32 index)
{
	return index < sas->n && index < sas->max && !sas->table[index];
}

int sa_place_choose(struct sas *sas, const struct reserve_record *record, __u32 *index,
		    bool *adopted)
{
	unsigned int n = sas->n < sas->max ? sas->n : sas->max;

	*adopted = false;
	if (record->where[0] && strcmp(record->where, sas->where) == 0 &&
	    place_free(sas, record->index)) {
		const struct xipsec_sa_state *state = sas_state(sas, record->index);

		if (__atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) == record->generation &&
		    state->status != XIPSEC_SA_FREE) {
			*adopted = true;
			*index = record->index;
			return 0;
		}
	}
	for (unsigned int tried = 0; tried < n; tried++) {
		__u32 i = sas->cursor++ % n;

		/* A place that a dead xipsecd left may hold the window of an SA that is still to
		 * be read from the config: those go last. */
		if (place_free(sas, i) && sas_state(sas, i)->status == XIPSEC_SA_FREE) {
			*index = i;
			return 0;
		}
	}
	for (__u32 i = 0; i < n; i++) {
		if (place_free(sas, i)) {
			*index = i;
			return 0;
		}
	}
	return -ENOSPC;
}

/* Everything at or below `top` counts as seen. Words as in maps.h. */
static void window_close(struct xipsec_sa_state *state, __u64 top)
{
	__u64 last = top / 32;

	for (__u64 i = 0; i < XIPSEC_REPLAY_WORDS && i <= last; i++) {
		__u64 block = last - i;
		__u64 tag = (block / XIPSEC_REPLAY_WORDS) & UINT32_MAX;
		__u32 bits = i ? UINT32_MAX : UINT32_MAX >> (31 - top % 32);

		__atomic_store_n(&state->replay[block % XIPSEC_REPLAY_WORDS], tag << 32 | bits,
				 __ATOMIC_RELAXED);
	}
	state->replay_top = top;
}

__u32 sa_generation_after(const struct xipsec_sa_state *state)
{
	__u32 next = __atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) + 1;

	return next ? next : 1;
}

void sa_place_prepare(struct sas *sas, const struct sa *sa, bool adopted)
{
	struct xipsec_sa_state *state = sas_state(sas, sa->index);
	bool out = sa->sa.dir == XIPSEC_DIR_OUT;

	__atomic_store_n(&state->status, XIPSEC_SA_FREE, __ATOMIC_SEQ_CST);
	/* before any number is there: seq_reserve() */
	__atomic_store_n(&state->generation, sa->generation, __ATOMIC_SEQ_CST);
	if (!adopted) {
		memset((char *)state + sizeof(state->generation), 0,
		       sizeof(*state) - sizeof(state->generation));
		state->packets = sa->record.packets;
		state->bytes = sa->record.bytes;
		if (!out && sa->record.replay_top)
			window_close(state, sa->record.replay_top);
	} else if (!out && sa->record.replay_top > state->replay_top) {
		window_close(state, sa->record.replay_top);
	}
	state->window = sa->sa.window;
	state->esn = sa->sa.flags & XIPSEC_SA_ESN ? 1 : 0;
	state->seq = out ? sa->seq_seen : 0;
	state->seq_limit = 0;
	if (out)
		state->seq_limit = sa->sa.flags & XIPSEC_SA_MANUAL ? sa->record.reserved
								   : reserve_end(state->esn);
	__atomic_store_n(&state->status, XIPSEC_SA_LIVE, __ATOMIC_SEQ_CST);
}

void sa_place_put(struct sas *sas, struct sa *sa)
{
	sas->table[sa->index] = sa;
	sas->count++;
	sas_find_put(sas, sa);
}

void sa_place_release(struct sas *sas, struct sa *sa, bool keep_window)
{
	if (!keep_window)
		__atomic_store_n(&sas_state(sas, sa->index)->status, XIPSEC_SA_FREE,
				 __ATOMIC_SEQ_CST);
	sas_find_drop(sas, sa);
	OPENSSL_cleanse(sas_key(sas, sa->index), SAS_KEY_STRIDE);
	sas->table[sa->index] = NULL;
	sas->count--;
	free(sa);
}
