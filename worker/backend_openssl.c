// SPDX-License-Identifier: BSD-2-Clause
/* OpenSSL by EVP: what is fetched of it, and which part serves which algorithm. */
#include "worker/backend_openssl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <openssl/crypto.h>

/* By key length: 16 bytes, 32 bytes. Fetched once, before the sandbox closes. */
enum { AES128, AES256, SIZES };
static EVP_CIPHER *gcm[SIZES], *ccm[SIZES], *cbc[SIZES], *ctr[SIZES], *chacha;
static EVP_MAC *hmac;

static void fetch(EVP_CIPHER **pair, const char *name128, const char *name256)
{
	pair[AES128] = EVP_CIPHER_fetch(NULL, name128, NULL);
	pair[AES256] = EVP_CIPHER_fetch(NULL, name256, NULL);
}

static int evp_init(void)
{
	static bool tried;

	if (!tried) {
		tried = true;
		/* No openssl.cnf: what it could change here (engines, providers) is not wanted. */
		OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
		fetch(gcm, "AES-128-GCM", "AES-256-GCM");
		fetch(ccm, "AES-128-CCM", "AES-256-CCM");
		fetch(cbc, "AES-128-CBC", "AES-256-CBC");
		fetch(ctr, "AES-128-CTR", "AES-256-CTR");
		chacha = EVP_CIPHER_fetch(NULL, "ChaCha20-Poly1305", NULL);
		hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	}
	return gcm[AES128] && gcm[AES256] ? 0 : -ENOTSUP;
}

void evp_wipe(struct crypto_op *op, int icv_len)
{
	OPENSSL_cleanse(op->text, op->len);
	OPENSSL_cleanse(op->tag, icv_len);
}

/* NULL: there is none, or none here. */
static const EVP_CIPHER *find_cipher(enum xipsec_alg alg)
{
	int size = alg_get(alg)->cipher_key == 16 ? AES128 : AES256;

	switch (alg_kind(alg)) {
	case ALG_GCM:
	case ALG_GMAC: return gcm[size];
	case ALG_CCM: return ccm[size];
	case ALG_CHACHA: return chacha;
	case ALG_CBC_HMAC: return cbc[size];
	case ALG_CTR_HMAC: return ctr[size];
	case ALG_NULL_HMAC:
	case ALG_NONE: break;
	}
	return NULL;
}

static void evp_key_fini(struct crypto_key *key)
{
	struct evp_ctx *evp = key->ctx;

	if (!evp)
		return;
	/* Wipe what was expanded of the key. */
	EVP_CIPHER_CTX_free(evp->enc);
	EVP_CIPHER_CTX_free(evp->dec);
	EVP_MAC_CTX_free(evp->mac);
	free(evp);
	key->ctx = NULL;
}

static int evp_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
			const __u8 *auth_key)
{
	const EVP_CIPHER *cipher = find_cipher(alg);
	bool with_hmac = alg_get(alg)->auth_key;
	struct evp_ctx *evp;
	int err;

	if (alg_kind(alg) == ALG_NONE || (!cipher && alg_get(alg)->cipher_key) ||
	    (with_hmac && !hmac))
		return -ENOTSUP;
	evp = calloc(1, sizeof(*evp));
	if (!evp)
		return -ENOMEM;
	key->ctx = evp;
	evp->icv_len = alg_get(alg)->icv;
	if (with_hmac)
		err = evp_hmac_key_init(key, alg, cipher, hmac, cipher_key, auth_key);
	else
		err = evp_aead_key_init(key, alg, cipher, cipher_key);
	if (err)
		evp_key_fini(key);
	return err;
}

const struct crypto_backend crypto_openssl = {
	.id = XIPSEC_BACKEND_OPENSSL,
	.name = "openssl",
	.init = evp_init,
	.key_init = evp_key_init,
	.key_fini = evp_key_fini,
};
