// SPDX-License-Identifier: BSD-2-Clause
/* EVP calls that fail in the middle of a packet, as for want of memory: neither plaintext nor a
 * fitting tag leaves, and nothing counts as authentic. */
#include "tests/unit/crypto_fixture.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <openssl/evp.h>

static int calls, fail_at; /* the call of that number fails, counted from 1; 0: none */

static bool fails(void)
{
	return ++calls == fail_at;
}

#define NEXT(name) ((__typeof__(&(name)))dlsym(RTLD_NEXT, #name))

/* Stand before libcrypto's. What it is called with is done all the same where that could matter:
 * a half-made packet is the worst case. */
int EVP_CipherInit_ex2(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const unsigned char *key,
		       const unsigned char *iv, int enc, const OSSL_PARAM *params)
{
	return fails() ? 0 : NEXT(EVP_CipherInit_ex2)(ctx, cipher, key, iv, enc, params);
}

int EVP_EncryptInit_ex2(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const unsigned char *key,
			const unsigned char *iv, const OSSL_PARAM *params)
{
	return fails() ? 0 : NEXT(EVP_EncryptInit_ex2)(ctx, cipher, key, iv, params);
}

int EVP_DecryptInit_ex2(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const unsigned char *key,
			const unsigned char *iv, const OSSL_PARAM *params)
{
	return fails() ? 0 : NEXT(EVP_DecryptInit_ex2)(ctx, cipher, key, iv, params);
}

int EVP_EncryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in,
		      int inl)
{
	return fails() ? 0 : NEXT(EVP_EncryptUpdate)(ctx, out, outl, in, inl);
}

int EVP_DecryptUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in,
		      int inl)
{
	int done = NEXT(EVP_DecryptUpdate)(ctx, out, outl, in, inl);

	return fails() ? 0 : done;
}

int EVP_CipherUpdate(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl, const unsigned char *in,
		     int inl)
{
	return fails() ? 0 : NEXT(EVP_CipherUpdate)(ctx, out, outl, in, inl);
}

int EVP_EncryptFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl)
{
	return fails() ? 0 : NEXT(EVP_EncryptFinal_ex)(ctx, out, outl);
}

int EVP_DecryptFinal_ex(EVP_CIPHER_CTX *ctx, unsigned char *out, int *outl)
{
	return fails() ? 0 : NEXT(EVP_DecryptFinal_ex)(ctx, out, outl);
}

int EVP_CIPHER_CTX_ctrl(EVP_CIPHER_CTX *ctx, int type, int arg, void *ptr)
{
	return fails() ? 0 : NEXT(EVP_CIPHER_CTX_ctrl)(ctx, type, arg, ptr);
}

int EVP_MAC_init(EVP_MAC_CTX *ctx, const unsigned char *key, size_t len, const OSSL_PARAM params[])
{
	return fails() ? 0 : NEXT(EVP_MAC_init)(ctx, key, len, params);
}

int EVP_MAC_update(EVP_MAC_CTX *ctx, const unsigned char *data, size_t len)
{
	return fails() ? 0 : NEXT(EVP_MAC_update)(ctx, data, len);
}

int EVP_MAC_final(EVP_MAC_CTX *ctx, unsigned char *out, size_t *outl, size_t size)
{
	return fails() ? 0 : NEXT(EVP_MAC_final)(ctx, out, outl, size);
}

#define TEXT 64

static bool is_clear(enum xipsec_alg alg)
{
	return alg_kind(alg) == ALG_GMAC || alg_kind(alg) == ALG_NULL_HMAC;
}

/* The calls that one packet takes. */
static int count_calls(struct crypto_key *key, crypto_burst_fn *burst, struct crypto_op *op)
{
	fail_at = 0;
	calls = 0;
	burst(key->ctx, op, 1, 12);
	return calls;
}

static void check_seal(enum xipsec_alg alg, struct crypto_key *key)
{
	const __u8 zero[TEXT] = {0};
	struct parcel plain, sealed, parcel;
	struct crypto_op op;
	int n;

	parcel_fill(&plain, alg, TEXT, 1);
	sealed = plain;
	op = parcel_op(&sealed, alg, TEXT, 1, 12);
	n = count_calls(key, key->seal, &op);
	assert_true(n >= 4);
	for (int at = 1; at <= n; at++) {
		parcel = plain;
		op = parcel_op(&parcel, alg, TEXT, 1, 12);
		calls = 0;
		fail_at = at;
		key->seal(key->ctx, &op, 1, 12);
		assert_memory_equal(op.text, zero, TEXT);
		assert_memory_equal(op.tag, zero, alg_get(alg)->icv);
		fail_at = 0;
		/* The next packet is none the worse. */
		parcel = plain;
		op = parcel_op(&parcel, alg, TEXT, 1, 12);
		key->seal(key->ctx, &op, 1, 12);
		assert_memory_equal(parcel.bytes, sealed.bytes,
				    parcel_head(alg) + TEXT + alg_get(alg)->icv);
	}
}

static void check_open(enum xipsec_alg alg, struct crypto_key *key)
{
	const __u8 zero[TEXT] = {0};
	struct parcel sealed, parcel;
	struct crypto_op op;
	int n;

	parcel_fill(&sealed, alg, TEXT, 1);
	op = parcel_op(&sealed, alg, TEXT, 1, 12);
	fail_at = 0;
	key->seal(key->ctx, &op, 1, 12);
	parcel = sealed;
	op = parcel_op(&parcel, alg, TEXT, 1, 12);
	n = count_calls(key, key->open, &op);
	assert_true(n >= 4);
	for (int at = 1; at <= n; at++) {
		parcel = sealed;
		op = parcel_op(&parcel, alg, TEXT, 1, 12);
		calls = 0;
		fail_at = at;
		key->open(key->ctx, &op, 1, 12);
		assert_false(op.ok);
		assert_memory_equal(op.text, is_clear(alg) ? parcel_text(&sealed, alg) : zero,
				    TEXT);
		fail_at = 0;
		parcel = sealed;
		op = parcel_op(&parcel, alg, TEXT, 1, 12);
		key->open(key->ctx, &op, 1, 12);
		assert_true(op.ok);
	}
}

static void test_failures(void **unused)
{
	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++) {
		struct crypto_key *key = some_key(alg, XIPSEC_BACKEND_OPENSSL);

		check_seal(alg, key);
		check_open(alg, key);
		crypto_key_free(key);
	}
}

/* A key that cannot be set up is none, and leaks nothing. */
static void test_key_failures(void **unused)
{
	const __u8 raw[XIPSEC_KEY_MAX] = {1};

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++) {
		struct crypto_key *key;
		int n, err = 0;

		fail_at = 0;
		calls = 0;
		key = some_key(alg, XIPSEC_BACKEND_OPENSSL);
		n = calls;
		crypto_key_free(key);
		assert_true(n);
		for (int at = 1; at <= n; at++) {
			calls = 0;
			fail_at = at;
			assert_null(crypto_key_new(alg, raw, alg_key_len(alg),
						   XIPSEC_BACKEND_OPENSSL, &err));
			assert_int_equal(err, -ENOMEM);
		}
	}
	fail_at = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_key_failures),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
