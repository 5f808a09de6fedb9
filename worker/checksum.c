// SPDX-License-Identifier: BSD-2-Clause
/*
 * Sums over whole packets. Lanes of 64 bits hold two words of 32 each: one register adds whole
 * lanes, what overflows is lost; another adds their upper halves, of which none overflows. What the
 * first lacks of the second is the lower halves' sum, exactly.
 */
#include "worker/checksum.h"

static int here_always(void)
{
	return 1;
}

#ifdef __x86_64__
#include <immintrin.h>

#define LANES2 32u /* bytes of a register */
#define LANES5 64u

/* Compilers would fetch a lane once for each of its uses. */
#define FETCHED(lane) asm("" : "+v"(lane))

#define TARGET_AVX2   __attribute__((target("avx2")))
#define TARGET_AVX512 __attribute__((target("avx512f,avx512bw")))

static int here_avx2(void)
{
	return !!__builtin_cpu_supports("avx2");
}

static int here_avx512(void)
{
	return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
}

static TARGET_AVX2 __u64 csum_add_avx2(__u64 sum, const void *data, __u32 len)
{
	__m256i whole = _mm256_setzero_si256(), upper = whole, lane;
	const __u8 *at = data;
	__u64 part[4];

	if (len < LANES2)
		return csum_add_words(sum, at, len);
	for (; len >= LANES2; len -= LANES2, at += LANES2) {
		lane = _mm256_loadu_si256((const __m256i_u *)at);
		FETCHED(lane);
		whole = _mm256_add_epi64(whole, lane);
		upper = _mm256_add_epi64(upper, _mm256_srli_epi64(lane, 32));
	}
	whole = _mm256_sub_epi64(whole, _mm256_slli_epi64(upper, 32));
	_mm256_storeu_si256((__m256i_u *)part, _mm256_add_epi64(whole, upper));
	return csum_add_words(sum + part[0] + part[1] + part[2] + part[3], at, len);
}

static TARGET_AVX512 __u64 csum_add_avx512(__u64 sum, const void *data, __u32 len)
{
	__m512i whole = _mm512_setzero_si512(), upper = whole, lane;
	const __u8 *at = data;

	for (; len > LANES5; len -= LANES5, at += LANES5) {
		lane = _mm512_loadu_si512(at);
		FETCHED(lane);
		whole = _mm512_add_epi64(whole, lane);
		upper = _mm512_add_epi64(upper, _mm512_srli_epi64(lane, 32));
	}
	/* What a mask leaves out is not read. */
	lane = _mm512_maskz_loadu_epi8(len ? ~0ull >> (LANES5 - len) : 0, at);
	whole = _mm512_add_epi64(whole, lane);
	upper = _mm512_add_epi64(upper, _mm512_srli_epi64(lane, 32));
	whole = _mm512_sub_epi64(whole, _mm512_slli_epi64(upper, 32));
	return sum + (__u64)_mm512_reduce_add_epi64(_mm512_add_epi64(whole, upper));
}
#endif

const struct csum_way csum_ways[] = {
	{"words", csum_add_words, here_always},
#ifdef __x86_64__
	{"avx2", csum_add_avx2, here_avx2},
	{"avx512bw", csum_add_avx512, here_avx512},
#endif
};

const unsigned int csum_n_ways = sizeof(csum_ways) / sizeof(*csum_ways);

csum_add_fn *csum_add_many = csum_add_words;

static __attribute__((constructor)) void csum_choose(void)
{
	for (unsigned int i = 0; i < csum_n_ways; i++)
		if (csum_ways[i].here())
			csum_add_many = csum_ways[i].add;
}
