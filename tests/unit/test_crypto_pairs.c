// SPDX-License-Identifier: BSD-2-Clause
/* The backends against each other, every algorithm: the same packet, byte for byte, in bursts of
 * all sizes; and not a bit of it may be another. */
#include "tests/unit/crypto_fixture.h"

#include <stdbool.h>
#include <stdlib.h>

#define BURST   64
#define LENGTHS 830 /* 0 to 600 all, from there to 9000 some */

static struct parcel plain[BURST], ours[BURST], theirs[BURST];
static __be32 seq_high = 0x01000000;

static __u32 shortest(enum xipsec_alg alg)
{
	switch (alg_kind(alg)) {
	case ALG_GCM:
	case ALG_GMAC:
	case ALG_CHACHA: return 0;
	default: return alg_get(alg)->align;
	}
}

/* Mixed: neighbours in a burst have lengths that are far from each other. */
static __u32 nth_length(enum xipsec_alg alg, __u32 i)
{
	__u32 k = i * 379 % LENGTHS, len = k < 600 ? k : 600 + (k - 600) * 37;

	if (alg_kind(alg) == ALG_CBC_HMAC)
		len = (len + 15) & ~15u;
	return len < shortest(alg) ? shortest(alg) : len;
}

static bool is_clear(enum xipsec_alg alg)
{
	return alg_kind(alg) == ALG_GMAC || alg_kind(alg) == ALG_NULL_HMAC;
}

struct pair {
	enum xipsec_alg alg;
	__u32 aad_len;
	struct crypto_key *key[2];
};

static void ops_of(const struct pair *pair, struct parcel *parcels, const __u32 *len,
		   unsigned int n, struct crypto_op *ops)
{
	for (unsigned int i = 0; i < n; i++)
		ops[i] = parcel_op(&parcels[i], pair->alg, len[i], seq_high, pair->aad_len);
}

/* Opens with `opener` what stands in `parcels`: the text is that of `plain` again, the rest of the
 * packet is as it was. */
static void check_open(const struct pair *pair, int opener, struct parcel *parcels,
		       const struct parcel *sealed, const __u32 *len, unsigned int n)
{
	__u32 head = parcel_head(pair->alg), icv = alg_get(pair->alg)->icv;
	struct crypto_op ops[BURST];

	ops_of(pair, parcels, len, n, ops);
	pair->key[opener]->open(pair->key[opener]->ctx, ops, n, pair->aad_len);
	for (unsigned int i = 0; i < n; i++) {
		assert_true(ops[i].ok);
		assert_memory_equal(parcels[i].bytes, plain[i].bytes, head + len[i]);
		assert_memory_equal(parcels[i].bytes + head + len[i],
				    sealed[i].bytes + head + len[i], icv + CANARY);
	}
}

static void check_burst(const struct pair *pair, const __u32 *len, unsigned int n, __u32 seed)
{
	static struct parcel sealed[BURST];
	__u32 head = parcel_head(pair->alg), icv = alg_get(pair->alg)->icv;
	struct crypto_op ops[BURST];

	for (unsigned int i = 0; i < n; i++) {
		size_t all = head + len[i] + XIPSEC_ICV_MAX + CANARY;

		parcel_fill(&plain[i], pair->alg, len[i], seed + i);
		memcpy(ours[i].bytes, plain[i].bytes, all);
		memcpy(theirs[i].bytes, plain[i].bytes, all);
	}
	ops_of(pair, ours, len, n, ops);
	pair->key[0]->seal(pair->key[0]->ctx, ops, n, pair->aad_len);
	ops_of(pair, theirs, len, n, ops);
	pair->key[1]->seal(pair->key[1]->ctx, ops, n, pair->aad_len);
	for (unsigned int i = 0; i < n; i++) {
		size_t all = head + len[i] + icv + CANARY;

		assert_memory_equal(ours[i].bytes, theirs[i].bytes, all);
		assert_memory_equal(ours[i].bytes, plain[i].bytes, head);
		assert_memory_equal(ours[i].bytes + all - CANARY, plain[i].bytes + all - CANARY,
				    CANARY);
		assert_memory_not_equal(ours[i].bytes + head + len[i],
					plain[i].bytes + head + len[i], icv);
		if (!is_clear(pair->alg) && len[i] >= 16)
			assert_memory_not_equal(ours[i].bytes + head, plain[i].bytes + head,
						len[i]);
		memcpy(sealed[i].bytes, ours[i].bytes, all);
	}
	check_open(pair, 1, ours, sealed, len, n);
	check_open(pair, 0, theirs, sealed, len, n);
}

static void pair_open(struct pair *pair, enum xipsec_alg alg, __u32 aad_len)
{
	*pair = (struct pair){.alg = alg, .aad_len = aad_len};
	for (int b = 0; b < 2; b++)
		pair->key[b] = some_key(alg, backends[b]);
}

static void pair_close(struct pair *pair)
{
	for (int b = 0; b < 2; b++)
		crypto_key_free(pair->key[b]);
}

static void test_pairs(void **unused)
{
	unsigned int packets = 0;
	struct pair pair;

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (__u32 aad_len = 8; aad_len <= 12; aad_len += 4) {
			__u32 at = 0, len[BURST];

			pair_open(&pair, alg, aad_len);
			for (unsigned int n = 1; n <= BURST; n++) {
				for (unsigned int i = 0; i < n; i++)
					len[i] = nth_length(alg, at++);
				check_burst(&pair, len, n, at);
				packets += n;
			}
			assert_true(at >= LENGTHS);
			pair_close(&pair);
		}
	print_message("%d algorithms, %u packets\n", XIPSEC_ALG_COUNT - 1, packets);
}

/* More in one burst than a backend hands on at once. */
static void test_long_burst(void **unused)
{
	enum { N = 150 };
	static struct parcel parcels[N];
	struct crypto_op ops[N];

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (int b = 0; b < 2; b++) {
			struct crypto_key *key = some_key(alg, backends[b]);

			for (__u32 i = 0; i < N; i++) {
				parcel_fill(&parcels[i], alg, 48, i);
				ops[i] = parcel_op(&parcels[i], alg, 48, seq_high, 12);
			}
			key->seal(key->ctx, ops, 0, 12);
			key->seal(key->ctx, ops, N, 12);
			key->open(key->ctx, ops, 0, 12);
			key->open(key->ctx, ops, N, 12);
			for (__u32 i = 0; i < N; i++) {
				parcel_fill(&plain[0], alg, 48, i);
				assert_true(ops[i].ok);
				assert_memory_equal(ops[i].text, parcel_text(&plain[0], alg), 48);
			}
			crypto_key_free(key);
		}
}

/* ------------------------------------------------------------------ forgeries */

#define SMALL 48

/* Opens copies of `good` that differ in bits from `first` on, behind one that is right. */
static void refuse_bits(const struct crypto_key *key, enum xipsec_alg alg, __u32 aad_len,
			const struct parcel *good, __u32 first, __u32 bits)
{
	__u32 size = parcel_head(alg) + SMALL + alg_get(alg)->icv, n = 1;
	struct crypto_op ops[BURST];
	__u8 zero[SMALL] = {0};

	memcpy(ours[0].bytes, good->bytes, size);
	ops[0] = parcel_op(&ours[0], alg, SMALL, seq_high, aad_len);
	for (__u32 bit = first; bit < bits && n < BURST; bit++, n++) {
		__be32 high = seq_high;

		memcpy(ours[n].bytes, good->bytes, size);
		if (bit < size * 8)
			ours[n].bytes[bit / 8] ^= (__u8)(1 << bit % 8);
		else
			high ^= 1u << (bit - size * 8);
		memcpy(theirs[n].bytes, ours[n].bytes, size);
		ops[n] = parcel_op(&ours[n], alg, SMALL, high, aad_len);
	}
	key->open(key->ctx, ops, n, aad_len);
	assert_true(ops[0].ok);
	for (__u32 i = 1; i < n; i++) {
		if (ops[i].ok)
			fail_msg("%s by %s: bit %u may be another", alg_get(alg)->name,
				 key->backend->name, first + i - 1);
		/* What did not fit has left nothing, unless it was in clear. */
		assert_memory_equal(ops[i].text,
				    is_clear(alg) ? parcel_text(&theirs[i], alg) : zero, SMALL);
	}
}

static void test_flips(void **unused)
{
	unsigned int flips = 0;
	struct parcel good;

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		for (__u32 aad_len = 8; aad_len <= 12; aad_len += 4)
			for (int b = 0; b < 2; b++) {
				struct crypto_key *key = some_key(alg, backends[b]);
				__u32 bits = (parcel_head(alg) + SMALL + alg_get(alg)->icv) * 8;
				struct crypto_op op;

				parcel_fill(&good, alg, SMALL, alg);
				op = parcel_op(&good, alg, SMALL, seq_high, aad_len);
				key->seal(key->ctx, &op, 1, aad_len);
				bits += aad_len == 12 ? 32 : 0;
				for (__u32 bit = 0; bit < bits; bit += BURST - 1)
					refuse_bits(key, alg, aad_len, &good, bit, bits);
				flips += bits;
				crypto_key_free(key);
			}
	print_message("%u bits\n", flips);
}

/* AH: text alone, the tag elsewhere. */
static void test_ah(void **unused)
{
	__u8 text[200], tag[2][XIPSEC_ICV_MAX];

	for (int i = 0; i < 200; i++)
		text[i] = (__u8)(i * 7);
	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++) {
		if (!alg_fits_ah(alg))
			continue;
		for (__u32 len = 24; len <= 200; len += 4) {
			for (int b = 0; b < 2; b++) {
				struct crypto_key *key = some_key(alg, backends[b]);
				struct crypto_op op = {.text = text, .len = len, .tag = tag[b]};

				op.nonce[11] = 9;
				key->seal(key->ctx, &op, 1, 0);
				key->open(key->ctx, &op, 1, 0);
				assert_true(op.ok);
				text[len / 2] ^= 1;
				key->open(key->ctx, &op, 1, 0);
				assert_false(op.ok);
				text[len / 2] ^= 1;
				crypto_key_free(key);
			}
			assert_memory_equal(tag[0], tag[1], alg_get(alg)->icv);
		}
	}
	for (int i = 0; i < 200; i++)
		assert_int_equal(text[i], (__u8)(i * 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pairs),
		cmocka_unit_test(test_long_burst),
		cmocka_unit_test(test_flips),
		cmocka_unit_test(test_ah),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
