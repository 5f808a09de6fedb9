// SPDX-License-Identifier: BSD-2-Clause
/* Which backend gets an SA: another table stands before crypto_table.c's. */
#include "tests/unit/crypto_fixture.h"

#include <errno.h>

static int first_init, first_key;
static int keys, wiped;

static int init(void)
{
	return first_init;
}

static int second_init(void)
{
	return 0;
}

static int first_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
			  const __u8 *auth_key)
{
	return alg == XIPSEC_ALG_AES128GCM16 ? first_key : -ENOTSUP;
}

/* Looks at what it is given: KEYMAT is cipher key, salt, integrity key. */
static int second_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
			   const __u8 *auth_key)
{
	assert_int_equal(cipher_key[0], 0);
	assert_int_equal(auth_key[0], alg_get(alg)->cipher_key + alg_get(alg)->salt);
	keys++;
	return 0;
}

static void fini(struct crypto_key *key)
{
	wiped++;
}

static const struct crypto_backend first = {XIPSEC_BACKEND_IPSEC_MB, "first", init, first_key_init,
					    fini};
static const struct crypto_backend second = {XIPSEC_BACKEND_OPENSSL, "second", second_init,
					     second_key_init, fini};
const struct crypto_backend *const crypto_backends[] = {&first, &second, NULL};

static const struct crypto_backend *choose(enum xipsec_alg alg, enum xipsec_backend wanted,
					   int *err)
{
	const struct crypto_backend *chosen = NULL;
	__u8 raw[XIPSEC_KEY_MAX];
	struct crypto_key *key;

	for (int i = 0; i < XIPSEC_KEY_MAX; i++)
		raw[i] = (__u8)i;
	*err = 0;
	key = crypto_key_new(alg, raw, alg_key_len(alg), wanted, err);
	if (key)
		chosen = key->backend;
	crypto_key_free(key);
	return chosen;
}

static void test_falls_through(void **unused)
{
	int err;

	assert_ptr_equal(choose(XIPSEC_ALG_AES128GCM16, XIPSEC_BACKEND_AUTO, &err), &first);
	for (enum xipsec_alg alg = XIPSEC_ALG_AES256GCM16; alg < XIPSEC_ALG_COUNT; alg++)
		assert_ptr_equal(choose(alg, XIPSEC_BACKEND_AUTO, &err), &second);
	assert_int_equal(keys, XIPSEC_ALG_COUNT - 2);
	assert_int_equal(wiped, XIPSEC_ALG_COUNT - 1);
}

/* Who asked for one backend gets no other. */
static void test_wanted(void **unused)
{
	int err;

	assert_null(choose(XIPSEC_ALG_AES256GCM16, XIPSEC_BACKEND_IPSEC_MB, &err));
	assert_int_equal(err, -ENOTSUP);
	assert_ptr_equal(choose(XIPSEC_ALG_AES128GCM16, XIPSEC_BACKEND_OPENSSL, &err), &second);
}

/* A machine that the first cannot run on. */
static void test_absent(void **unused)
{
	int err;

	first_init = -ENOTSUP;
	assert_int_equal(crypto_init(), 0);
	assert_ptr_equal(choose(XIPSEC_ALG_AES128GCM16, XIPSEC_BACKEND_AUTO, &err), &second);
	assert_null(choose(XIPSEC_ALG_AES128GCM16, XIPSEC_BACKEND_IPSEC_MB, &err));
	assert_int_equal(err, -ENOTSUP);
	first_init = 0;
}

/* Only "not by this one" goes on to the next. */
static void test_failure(void **unused)
{
	int err;

	first_key = -ENOMEM;
	assert_null(choose(XIPSEC_ALG_AES128GCM16, XIPSEC_BACKEND_AUTO, &err));
	assert_int_equal(err, -ENOMEM);
	first_key = 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_falls_through),
		cmocka_unit_test(test_wanted),
		cmocka_unit_test(test_absent),
		cmocka_unit_test(test_failure),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
