// SPDX-License-Identifier: BSD-2-Clause
/*
 * HMAC-SHA-2 with AES-CBC, AES-CTR or no encryption, by EVP. The MAC's context keeps its key, with
 * the states after ipad and opad; a packet starts it again. What is not authentic is not decrypted.
 */
#include "worker/backend_openssl.h"

#include <errno.h>
#include <string.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/params.h>

#define ESN_HIGH    4 /* bytes */
#define ESN_AAD_LEN 12
#define HASH_MAX    64

/* 1: `tag` holds the whole MAC, of which the algorithm takes the first icv_len bytes. */
static int mac(EVP_MAC_CTX *ctx, const struct crypto_op *op, __u32 aad_len, __u8 tag[HASH_MAX])
{
	size_t len;

	return EVP_MAC_init(ctx, NULL, 0, NULL) &&
	       EVP_MAC_update(ctx, op->text - op->head_len, op->head_len + op->len) &&
	       (aad_len != ESN_AAD_LEN || EVP_MAC_update(ctx, op->aad + 4, ESN_HIGH)) &&
	       EVP_MAC_final(ctx, tag, &len, HASH_MAX);
}

/* CBC's text is whole blocks, so a final step has nothing to do with either cipher. 1: done. */
static int crypt(EVP_CIPHER_CTX *ctx, struct crypto_op *op, int enc)
{
	int len = 0;

	return !ctx || (EVP_CipherInit_ex2(ctx, NULL, NULL, op->nonce, enc, NULL) &&
			EVP_CipherUpdate(ctx, op->text, &len, op->text, (int)op->len) &&
			len == (int)op->len);
}

static void seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	const struct evp_ctx *evp = ctx;
	__u8 tag[HASH_MAX];

	for (unsigned int i = 0; i < n; i++) {
		if (crypt(evp->enc, &ops[i], 1) && mac(evp->mac, &ops[i], aad_len, tag))
			memcpy(ops[i].tag, tag, (size_t)evp->icv_len);
		else
			evp_wipe(&ops[i], evp->icv_len);
	}
}

static void open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	const struct evp_ctx *evp = ctx;
	__u8 tag[HASH_MAX];

	for (unsigned int i = 0; i < n; i++) {
		struct crypto_op *op = &ops[i];

		op->ok = mac(evp->mac, op, aad_len, tag) &&
			 CRYPTO_memcmp(tag, op->tag, (size_t)evp->icv_len) == 0 &&
			 crypt(evp->dec, op, 0);
		if (!op->ok && evp->dec)
			OPENSSL_cleanse(op->text, op->len);
	}
	/* The right tag of a forged packet must not stay on the stack. */
	OPENSSL_cleanse(tag, sizeof(tag));
}

static EVP_CIPHER_CTX *cipher_new(const EVP_CIPHER *cipher, const __u8 *key, int enc)
{
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();

	if (ctx && EVP_CipherInit_ex2(ctx, cipher, key, NULL, enc, NULL) &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0))
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static EVP_MAC_CTX *mac_new(EVP_MAC *hmac, const __u8 *key, size_t len)
{
	char *digest = len == 32 ? "SHA2-256" : len == 48 ? "SHA2-384" : "SHA2-512";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC_CTX *ctx = EVP_MAC_CTX_new(hmac);

	if (ctx && EVP_MAC_init(ctx, key, len, params))
		return ctx;
	EVP_MAC_CTX_free(ctx);
	return NULL;
}

int evp_hmac_key_init(struct crypto_key *key, enum xipsec_alg alg, const EVP_CIPHER *cipher,
		      EVP_MAC *hmac, const __u8 *cipher_key, const __u8 *auth_key)
{
	struct evp_ctx *evp = key->ctx;

	evp->mac = mac_new(hmac, auth_key, alg_get(alg)->auth_key);
	if (!evp->mac)
		return -ENOMEM;
	if (cipher) {
		evp->enc = cipher_new(cipher, cipher_key, 1);
		evp->dec = cipher_new(cipher, cipher_key, 0);
		if (!evp->enc || !evp->dec)
			return -ENOMEM;
	}
	key->seal = seal_burst;
	key->open = open_burst;
	return 0;
}
