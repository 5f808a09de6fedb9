// SPDX-License-Identifier: BSD-2-Clause
#include "worker/replay.h"

#include <stdbool.h>

#define WORD_BITS 32

static __u32 word_slot(__u64 seq)
{
	return (seq / WORD_BITS) % XIPSEC_REPLAY_WORDS;
}

static __u32 word_tag(__u64 seq)
{
	return (__u32)(seq / WORD_BITS / XIPSEC_REPLAY_WORDS);
}

static __u64 word_bit(__u64 seq)
{
	return 1ULL << (seq % WORD_BITS);
}

/* Number 0 is never sent (RFC 4303 2.2). */
static bool left_of(__u64 top, __u32 window, __u64 seq)
{
	return seq == 0 || (seq < top && top - seq >= window);
}

/* What `word` says about `seq`, which has this tag. Tags are compared as serial numbers: they wrap
 * after 2^46 packets.
 */
static enum xipsec_reason word_check(__u64 word, __u32 tag, __u64 seq)
{
	__s32 newer = (__s32)((__u32)(word >> 32) - tag);

	if (newer > 0)
		return XIPSEC_REASON_REPLAY_OLD;
	if (newer == 0 && (word & word_bit(seq)))
		return XIPSEC_REASON_REPLAY;
	return XIPSEC_REASON_UNSPEC;
}

/* The word for `seq`'s block: what stands there, unless that is of an older block. */
static __u64 word_for(__u64 word, __u64 seq)
{
	__s32 newer = (__s32)((__u32)(word >> 32) - word_tag(seq));

	return newer >= 0 ? word : (__u64)word_tag(seq) << 32;
}

__u64 replay_infer(const struct xipsec_sa_state *state, __u32 window, int esn, __u32 seq_lo)
{
	__u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);
	__u32 top_lo = (__u32)top, top_hi = (__u32)(top >> 32);
	__u32 bottom = top_lo - window + 1;

	if (!esn)
		return seq_lo;
	if (top_lo >= window - 1) /* case A: the window lies in one subspace */
		top_hi += seq_lo < bottom;
	else if (seq_lo >= bottom) { /* case B: it reaches back into the subspace before */
		if (top_hi == 0)
			return 0;
		top_hi--;
	}
	return (__u64)top_hi << 32 | seq_lo;
}

enum xipsec_reason replay_check(const struct xipsec_sa_state *state, __u32 window, __u64 seq)
{
	if (left_of(__atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE), window, seq))
		return XIPSEC_REASON_REPLAY_OLD;
	return word_check(__atomic_load_n(&state->replay[word_slot(seq)], __ATOMIC_ACQUIRE),
			  word_tag(seq), seq);
}

static void replay_advance(struct xipsec_sa_state *state, __u64 seq)
{
	__u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);

	while (top < seq && !__atomic_compare_exchange_n(&state->replay_top, &top, seq, 1,
							 __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
		;
}

/* Those of `n` numbers that begin the list and share one word of the ring, by one exchange of that
 * word. Returns how many they are. *top: the window's, and these. */
static unsigned int commit_word(struct xipsec_sa_state *state, __u32 window, __u64 *top,
				const __u64 *seq, unsigned int n, __u16 *reason)
{
	__u64 *slot = &state->replay[word_slot(seq[0])], block = seq[0] / WORD_BITS;
	__u64 word = __atomic_load_n(slot, __ATOMIC_ACQUIRE), next;
	unsigned int done;

	do {
		next = word_for(word, seq[0]);
		for (done = 0; done < n && seq[done] / WORD_BITS == block; done++) {
			reason[done] =
				(__u16)(left_of(*top, window, seq[done])
						? XIPSEC_REASON_REPLAY_OLD
						: word_check(next, word_tag(seq[0]), seq[done]));
			if (reason[done])
				continue;
			next |= word_bit(seq[done]);
			*top = seq[done] > *top ? seq[done] : *top;
		}
	} while (next != word && !__atomic_compare_exchange_n(slot, &word, next, 1,
							      __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
	return done;
}

void replay_commit_burst(struct xipsec_sa_state *state, __u32 window, const __u64 *seq,
			 unsigned int n, __u16 *reason)
{
	__u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0; i < n;)
		i += commit_word(state, window, &top, seq + i, n - i, reason + i);
	/* Dying here leaves the window behind by these, which the next ones make good. */
	replay_advance(state, top);
}
