// SPDX-License-Identifier: BSD-2-Clause
/*
 * OpenSSL by EVP: one context per SA and direction, keyed once; a packet resets the IV alone.
 */
#include "worker/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#define GCM_TAG_LEN 16

struct evp_ctx {
	EVP_CIPHER_CTX *enc;
	EVP_CIPHER_CTX *dec;
};

/* Fetched once, before the sandbox closes. */
static EVP_CIPHER *aes128_gcm, *aes256_gcm;

static int evp_init(void)
{
	if (aes128_gcm && aes256_gcm)
		return 0;
	/* No openssl.cnf: what it could change here (engines, providers) is not wanted. */
	OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG, NULL);
	if (!aes128_gcm)
		aes128_gcm = EVP_CIPHER_fetch(NULL, "AES-128-GCM", NULL);
	if (!aes256_gcm)
		aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	return aes128_gcm && aes256_gcm ? 0 : -ENOTSUP;
}

/* EVP can fail only for want of memory or by a broken context. Then nothing of the plaintext may
 * leave: the packet goes out with neither text nor tag that fits, and the peer refuses it. */
static void evp_seal_one(EVP_CIPHER_CTX *ctx, struct crypto_op *op, __u32 aad_len)
{
	int len, ok;

	ok = EVP_EncryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) &&
	     EVP_EncryptUpdate(ctx, NULL, &len, op->aad, (int)aad_len) &&
	     EVP_EncryptUpdate(ctx, op->text, &len, op->text, (int)op->len) &&
	     EVP_EncryptFinal_ex(ctx, op->text + op->len, &len) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, op->tag);
	if (!ok) {
		OPENSSL_cleanse(op->text, op->len);
		OPENSSL_cleanse(op->tag, GCM_TAG_LEN);
	}
}

static void evp_seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	struct evp_ctx *evp = ctx;

	for (unsigned int i = 0; i < n; i++)
		evp_seal_one(evp->enc, &ops[i], aad_len);
}

static void evp_open_one(EVP_CIPHER_CTX *ctx, struct crypto_op *op, __u32 aad_len)
{
	int len;

	op->ok = EVP_DecryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) &&
		 EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, GCM_TAG_LEN, op->tag) &&
		 EVP_DecryptUpdate(ctx, NULL, &len, op->aad, (int)aad_len) &&
		 EVP_DecryptUpdate(ctx, op->text, &len, op->text, (int)op->len) &&
		 EVP_DecryptFinal_ex(ctx, op->text + op->len, &len) > 0;
	if (!op->ok)
		OPENSSL_cleanse(op->text, op->len);
}

static void evp_open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	struct evp_ctx *evp = ctx;

	for (unsigned int i = 0; i < n; i++)
		evp_open_one(evp->dec, &ops[i], aad_len);
}

static void evp_key_fini(struct crypto_key *key)
{
	struct evp_ctx *evp = key->ctx;

	if (!evp)
		return;
	/* Wipes the expanded key. */
	EVP_CIPHER_CTX_free(evp->enc);
	EVP_CIPHER_CTX_free(evp->dec);
	free(evp);
	key->ctx = NULL;
}

static const EVP_CIPHER *evp_cipher(enum xipsec_alg alg)
{
	if (alg == XIPSEC_ALG_AES128GCM16)
		return aes128_gcm;
	return alg == XIPSEC_ALG_AES256GCM16 ? aes256_gcm : NULL;
}

static int evp_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
			const __u8 *auth_key)
{
	const EVP_CIPHER *cipher = evp_cipher(alg);
	struct evp_ctx *evp;

	if (!cipher)
		return -ENOTSUP;
	evp = calloc(1, sizeof(*evp));
	if (!evp)
		return -ENOMEM;
	key->ctx = evp;
	evp->enc = EVP_CIPHER_CTX_new();
	evp->dec = EVP_CIPHER_CTX_new();
	/* 12 bytes of IV are GCM's default. */
	if (!evp->enc || !evp->dec ||
	    !EVP_EncryptInit_ex2(evp->enc, cipher, cipher_key, NULL, NULL) ||
	    !EVP_DecryptInit_ex2(evp->dec, cipher, cipher_key, NULL, NULL)) {
		evp_key_fini(key);
		return -ENOMEM;
	}
	key->seal = evp_seal_burst;
	key->open = evp_open_burst;
	return 0;
}

const struct crypto_backend crypto_openssl = {
	.id = XIPSEC_BACKEND_OPENSSL,
	.name = "openssl",
	.init = evp_init,
	.key_init = evp_key_init,
	.key_fini = evp_key_fini,
};
