// SPDX-License-Identifier: BSD-2-Clause
/*
 * Crypto switched off: stands in for worker/crypto_table.c in the benchmark's second worker, which
 * shows what the pipeline around the cipher costs. It protects nothing and is never installed.
 */
#include <string.h>
#include "worker/crypto.h"

static int null_init(void)
{
	return 0;
}

static void null_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	for (unsigned int i = 0; i < n; i++)
		ops[i].ok = 1;
}

static int null_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
			 const __u8 *auth_key)
{
	key->ctx = NULL;
	key->seal = null_burst;
	key->open = null_burst;
	return 0;
}

static void null_key_fini(struct crypto_key *key)
{
}

static const struct crypto_backend null_backend = {
	.id = XIPSEC_BACKEND_IPSEC_MB,
	.name = "none (benchmark: no protection)",
	.init = null_init,
	.key_init = null_key_init,
	.key_fini = null_key_fini,
};

const struct crypto_backend *const crypto_backends[] = {&null_backend, NULL};
