// SPDX-License-Identifier: BSD-2-Clause
#include "worker/seq.h"

#include <stddef.h>

/* Generation and status as they stand in memory, to be exchanged at once. */
union standing {
	struct {
		__u32 generation, status;
	} is;
	__u64 word;
};

typedef __u64 __attribute__((may_alias)) word_of_state;

_Static_assert(offsetof(struct xipsec_sa_state, generation) == 0 &&
		       offsetof(struct xipsec_sa_state, status) == 4 &&
		       sizeof(((struct xipsec_sa_state *)0)->status) == 4,
	       "generation and status are one word");

void seq_stop(struct xipsec_sa_state *state, __u32 generation)
{
	union standing live = {{generation, XIPSEC_SA_LIVE}};
	const union standing stopped = {{generation, XIPSEC_SA_STOPPED}};

	__atomic_compare_exchange_n((word_of_state *)state, &live.word, stopped.word, 0,
				    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

static enum xipsec_reason seq_refusal(struct xipsec_sa_state *state, __u32 generation, __u64 last,
				      __u64 end)
{
	if (last < end)
		return XIPSEC_REASON_SEQ_WAIT;
	seq_stop(state, generation);
	return XIPSEC_REASON_SEQ_END;
}

unsigned int seq_reserve(struct xipsec_sa_state *state, __u32 generation, int esn, unsigned int n,
			 __u64 *first, enum xipsec_reason *reason)
{
	__u64 last = __atomic_load_n(&state->seq, __ATOMIC_ACQUIRE);
	__u64 end = seq_end(esn), limit, take;
	__u32 status = __atomic_load_n(&state->status, __ATOMIC_ACQUIRE);

	*reason = XIPSEC_REASON_STALE_META;
	if (__atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) != generation ||
	    status == XIPSEC_SA_FREE)
		return 0;
	*reason = last >= end ? XIPSEC_REASON_SEQ_END : XIPSEC_REASON_LIMIT;
	if (status != XIPSEC_SA_LIVE)
		return 0;
	do {
		limit = __atomic_load_n(&state->seq_limit, __ATOMIC_ACQUIRE);
		if (limit > end)
			limit = end;
		if (last >= limit) {
			*reason = seq_refusal(state, generation, last, end);
			return 0;
		}
		take = limit - last < n ? limit - last : n;
	} while (!__atomic_compare_exchange_n(&state->seq, &last, last + take, 0, __ATOMIC_ACQ_REL,
					      __ATOMIC_ACQUIRE));
	/* Numbers drawn from another SA's counter may have been used with this key. They are lost
	 * to the other SA, which harms nothing. */
	if (__atomic_load_n(&state->generation, __ATOMIC_ACQUIRE) != generation) {
		*reason = XIPSEC_REASON_STALE_META;
		return 0;
	}
	*first = last + 1;
	*reason = take < n ? seq_refusal(state, generation, last + take, end)
			   : XIPSEC_REASON_UNSPEC;
	return (unsigned int)take;
}
