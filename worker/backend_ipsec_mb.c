// SPDX-License-Identifier: BSD-2-Clause
/* libipsec-mb: its managers, and which part of it serves which algorithm. */
#include "worker/backend_ipsec_mb.h"

#include <errno.h>

IMB_MGR *mb_wide, *mb_narrow;

static int mb_fits(const IMB_MGR *mgr)
{
	const __u64 need = IMB_FEATURE_AESNI | IMB_FEATURE_PCLMULQDQ;

	if ((mgr->features & need) != need)
		return 0;
	return !(mgr->features & IMB_FEATURE_SELF_TEST) ||
	       (mgr->features & IMB_FEATURE_SELF_TEST_PASS);
}

/* In memory of ours: between two calls it holds states of hashes and ciphers, which belong into no
 * dump. */
static IMB_MGR *mb_new(void (*init)(IMB_MGR *mgr))
{
	void *memory = crypto_memory_new(imb_get_mb_mgr_size());
	IMB_MGR *mgr = memory ? imb_set_pointers_mb_mgr(memory, 0, 1) : NULL;

	if (mgr)
		init(mgr);
	if (mgr && !imb_get_errno(mgr) && mb_fits(mgr))
		return mgr;
	crypto_memory_free(memory, imb_get_mb_mgr_size());
	return NULL;
}

static void init_widest(IMB_MGR *mgr)
{
	init_mb_mgr_auto(mgr, NULL);
}

static int mb_init(void)
{
	if (mb_wide)
		return 0;
	mb_wide = mb_new(init_widest);
	if (!mb_wide)
		return -ENOTSUP;
	if (mb_wide->used_arch == IMB_ARCH_AVX512)
		mb_narrow = mb_new(init_mb_mgr_avx2);
	if (!mb_narrow)
		mb_narrow = mb_wide;
	return 0;
}

void *mb_ctx_new(struct crypto_key *key, size_t size)
{
	key->ctx = crypto_memory_new(size);
	key->ctx_size = size;
	return key->ctx;
}

static int mb_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
		       const __u8 *auth_key)
{
	switch (alg_kind(alg)) {
	case ALG_GCM:
	case ALG_GMAC: return mb_gcm_key_init(key, alg, cipher_key);
	case ALG_CHACHA:
	case ALG_CCM: return mb_aead_key_init(key, alg, cipher_key);
	case ALG_CBC_HMAC:
	case ALG_CTR_HMAC:
	case ALG_NULL_HMAC: return mb_hmac_key_init(key, alg, cipher_key, auth_key);
	case ALG_NONE: break;
	}
	return -ENOTSUP;
}

static void mb_key_fini(struct crypto_key *key)
{
	crypto_memory_free(key->ctx, key->ctx_size);
	key->ctx = NULL;
}

const struct crypto_backend crypto_ipsec_mb = {
	.id = XIPSEC_BACKEND_IPSEC_MB,
	.name = "ipsec-mb",
	.init = mb_init,
	.key_init = mb_key_init,
	.key_fini = mb_key_fini,
};
