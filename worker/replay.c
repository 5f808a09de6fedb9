// SPDX-License-Identifier: BSD-2-Clause
#include "worker/replay.h"

#include <stdbool.h>
#include <string.h>

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

/* Is `word` of an older block than `tag` says? Tags are compared as serial numbers: they wrap after
 * 2^46 packets. A word that was never written is older than any; every other has a bit set. */
static bool word_older(__u64 word, __u32 tag)
{
	return !word || (__s32)((__u32)(word >> 32) - tag) < 0;
}

/* What `word` says about `seq`, which has this tag. */
static enum xipsec_reason word_check(__u64 word, __u32 tag, __u64 seq)
{
	if (word_older(word, tag))
		return XIPSEC_REASON_UNSPEC;
	if (word >> 32 != tag)
		return XIPSEC_REASON_REPLAY_OLD;
	return word & word_bit(seq) ? XIPSEC_REASON_REPLAY : XIPSEC_REASON_UNSPEC;
}

/* The word for `seq`'s block: what stands there, unless that is of an older block. */
static __u64 word_for(__u64 word, __u64 seq)
{
	return word_older(word, word_tag(seq)) ? (__u64)word_tag(seq) << 32 : word;
}

__u64 replay_infer(const struct xipsec_sa_state *state, __u32 window, int esn, __u32 seq_lo)
{
	__u32 top_lo, top_hi, bottom;
	__u64 top;

	if (!esn)
		return seq_lo;
	top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);
	top_lo = (__u32)top;
	top_hi = (__u32)(top >> 32);
	bottom = top_lo - window + 1;
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
	const __u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);

	/* Right of the window, where nearly all come: a nanosecond less than to ask their words. A
	 * number there that a worker took before it died is refused after the ICV. */
	if (__builtin_expect(seq > top, 1))
		return XIPSEC_REASON_UNSPEC;
	if (left_of(top, window, seq))
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

/* How many numbers that begin the list ascend inside one block, and their bits. */
static unsigned int ascending(const __u64 *seq, unsigned int n, __u64 *bits)
{
	__u64 end = (seq[0] | (WORD_BITS - 1)) + 1, last = seq[0];
	unsigned int done = 1;

	*bits = word_bit(last);
	for (; done < n && seq[done] > last && seq[done] < end; done++) {
		last = seq[done];
		*bits |= word_bit(last);
	}
	return done;
}

/* The usual case of commit_word(): numbers that come in order, none of them seen. What holds for
 * the first of them holds for all: the window moves by no more than they do. Returns how many were
 * committed; 0, and nothing has changed: not such numbers. */
static unsigned int commit_run(struct xipsec_sa_state *state, __u32 window, __u64 *top,
			       const __u64 *seq, unsigned int n, __u16 *reason)
{
	__u64 *slot = &state->replay[word_slot(seq[0])], bits;
	__u64 word = __atomic_load_n(slot, __ATOMIC_ACQUIRE), next = word_for(word, seq[0]);
	unsigned int done = ascending(seq, n, &bits);

	if (left_of(*top, window, seq[0]) || next >> 32 != word_tag(seq[0]) || next & bits ||
	    !__atomic_compare_exchange_n(slot, &word, next | bits, 0, __ATOMIC_ACQ_REL,
					 __ATOMIC_ACQUIRE))
		return 0;
	memset(reason, 0, done * sizeof(*reason));
	*top = seq[done - 1] > *top ? seq[done - 1] : *top;
	return done;
}

/* Those of `n` numbers that begin the list, the first not 0, and share one word of the ring, by one
 * exchange of that word. Where none is taken it stays what it is: a block that is left of the
 * window takes no word. Returns how many they are. *top: the window's, and these. */
static __attribute__((noinline)) unsigned int commit_word(struct xipsec_sa_state *state,
							  __u32 window, __u64 *top,
							  const __u64 *seq, unsigned int n,
							  __u16 *reason)
{
	__u64 *slot = &state->replay[word_slot(seq[0])], block = seq[0] / WORD_BITS;
	__u64 word = __atomic_load_n(slot, __ATOMIC_ACQUIRE), next, bits;
	unsigned int done;

	do {
		next = word_for(word, seq[0]);
		bits = 0;
		for (done = 0; done < n && seq[done] / WORD_BITS == block; done++) {
			reason[done] = (__u16)(left_of(*top, window, seq[done])
						       ? XIPSEC_REASON_REPLAY_OLD
						       : word_check(next | bits, word_tag(seq[0]),
								    seq[done]));
			if (reason[done])
				continue;
			bits |= word_bit(seq[done]);
			*top = seq[done] > *top ? seq[done] : *top;
		}
	} while (bits && !__atomic_compare_exchange_n(slot, &word, next | bits, 1, __ATOMIC_ACQ_REL,
						      __ATOMIC_ACQUIRE));
	return done;
}

void replay_commit_burst(struct xipsec_sa_state *state, __u32 window, const __u64 *seq,
			 unsigned int n, __u16 *reason)
{
	__u64 top = __atomic_load_n(&state->replay_top, __ATOMIC_ACQUIRE);

	for (unsigned int i = 0, done; i < n; i += done) {
		if (__builtin_expect(!seq[i], 0)) { /* not a number: it touches no word */
			reason[i] = XIPSEC_REASON_REPLAY_OLD;
			done = 1;
			continue;
		}
		done = commit_run(state, window, &top, seq + i, n - i, reason + i);
		if (!done)
			done = commit_word(state, window, &top, seq + i, n - i, reason + i);
	}
	/* Dying here leaves the window behind by these, which the next ones make good. */
	replay_advance(state, top);
}
