// SPDX-License-Identifier: BSD-2-Clause
/*
 * libipsec-mb by its direct GCM calls: the key is expanded once per SA, a packet costs one call.
 * The job interface would add 35 to 65 ns to each.
 */
#include "worker/crypto.h"

#include <errno.h>
#include <string.h>
#include <intel-ipsec-mb.h>
#include <openssl/crypto.h>

#define GCM_TAG_LEN 16

struct mb_ctx {
	struct gcm_key_data key;
	struct gcm_context_data scratch; /* holds key stream: wiped with the key */
	aes_gcm_enc_dec_t enc;
	aes_gcm_enc_dec_t dec;
};

/* One for the process: direct calls keep no state in it. NULL until mb_init() was lucky. */
static IMB_MGR *mgr;

static int mb_fits(const IMB_MGR *candidate)
{
	const __u64 need = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;

	if ((candidate->features & need) != need)
		return 0;
	return !(candidate->features & IMB_FEATURE_SELF_TEST) ||
	       (candidate->features & IMB_FEATURE_SELF_TEST_PASS);
}

static int mb_init(void)
{
	IMB_MGR *candidate;

	if (mgr)
		return 0;
	candidate = alloc_mb_mgr(0);
	if (!candidate)
		return -ENOTSUP;
	init_mb_mgr_auto(candidate, NULL);
	if (imb_get_errno(candidate) || !mb_fits(candidate)) {
		free_mb_mgr(candidate);
		return -ENOTSUP;
	}
	mgr = candidate;
	return 0;
}

static void mb_seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	struct mb_ctx *mb = ctx;

	for (unsigned int i = 0; i < n; i++)
		mb->enc(&mb->key, &mb->scratch, ops[i].text, ops[i].text, ops[i].len, ops[i].nonce,
			ops[i].aad, aad_len, ops[i].tag, GCM_TAG_LEN);
}

static void mb_open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	struct mb_ctx *mb = ctx;
	__u8 tag[GCM_TAG_LEN];

	for (unsigned int i = 0; i < n; i++) {
		mb->dec(&mb->key, &mb->scratch, ops[i].text, ops[i].text, ops[i].len, ops[i].nonce,
			ops[i].aad, aad_len, tag, sizeof(tag));
		ops[i].ok = CRYPTO_memcmp(tag, ops[i].tag, sizeof(tag)) == 0;
		if (!ops[i].ok)
			OPENSSL_cleanse(ops[i].text, ops[i].len);
	}
	/* The right tag of a forged packet must not stay on the stack. */
	OPENSSL_cleanse(tag, sizeof(tag));
}

static int mb_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
		       const __u8 *auth_key)
{
	struct mb_ctx *mb = crypto_memory_new(sizeof(*mb));

	if (!mb)
		return -ENOMEM;
	if (alg == XIPSEC_ALG_AES128GCM16) {
		IMB_AES128_GCM_PRE(mgr, cipher_key, &mb->key);
		mb->enc = mgr->gcm128_enc;
		mb->dec = mgr->gcm128_dec;
	} else if (alg == XIPSEC_ALG_AES256GCM16) {
		IMB_AES256_GCM_PRE(mgr, cipher_key, &mb->key);
		mb->enc = mgr->gcm256_enc;
		mb->dec = mgr->gcm256_dec;
	} else {
		crypto_memory_free(mb, sizeof(*mb));
		return -ENOTSUP;
	}
	key->ctx = mb;
	key->seal = mb_seal_burst;
	key->open = mb_open_burst;
	return 0;
}

static void mb_key_fini(struct crypto_key *key)
{
	crypto_memory_free(key->ctx, sizeof(struct mb_ctx));
	key->ctx = NULL;
}

const struct crypto_backend crypto_ipsec_mb = {
	.id = XIPSEC_BACKEND_IPSEC_MB,
	.name = "ipsec-mb",
	.init = mb_init,
	.key_init = mb_key_init,
	.key_fini = mb_key_fini,
};
