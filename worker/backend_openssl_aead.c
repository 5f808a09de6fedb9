// SPDX-License-Identifier: BSD-2-Clause
/* AES-GCM, AES-GMAC, AES-CCM and ChaCha20-Poly1305 by EVP. */
#include "worker/backend_openssl.h"

#include <errno.h>
#include <openssl/crypto.h>

#define GCM_TAG_LEN   16
#define CCM_NONCE_LEN 11 /* RFC 4309 4 */
#define ESP_HEADER    8  /* of the head; with ESN the aad stands for it */

/* ------------------------------------------------------------------ GCM, ChaCha20-Poly1305 */

static void seal_one(EVP_CIPHER_CTX *ctx, struct crypto_op *op, __u32 aad_len)
{
	int len, ok;

	ok = EVP_EncryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) &&
	     EVP_EncryptUpdate(ctx, NULL, &len, op->aad, (int)aad_len) &&
	     EVP_EncryptUpdate(ctx, op->text, &len, op->text, (int)op->len) &&
	     EVP_EncryptFinal_ex(ctx, op->text + op->len, &len) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, op->tag);
	if (!ok)
		evp_wipe(op, GCM_TAG_LEN);
}

static void seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	const struct evp_ctx *evp = ctx;

	for (unsigned int i = 0; i < n; i++)
		seal_one(evp->enc, &ops[i], aad_len);
}

static void open_one(EVP_CIPHER_CTX *ctx, struct crypto_op *op, __u32 aad_len)
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

static void open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	const struct evp_ctx *evp = ctx;

	for (unsigned int i = 0; i < n; i++)
		open_one(evp->dec, &ops[i], aad_len);
}

/* ------------------------------------------------------------------ CCM */

/* CCM must hear the length of the text before anything else of it, and takes the text in one piece.
 * EVP has no final step for it. */
static void ccm_seal_one(const struct evp_ctx *evp, struct crypto_op *op, __u32 aad_len)
{
	EVP_CIPHER_CTX *ctx = evp->enc;
	int len, ok;

	ok = EVP_EncryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) &&
	     EVP_EncryptUpdate(ctx, NULL, &len, NULL, (int)op->len) &&
	     EVP_EncryptUpdate(ctx, NULL, &len, op->aad, (int)aad_len) &&
	     EVP_EncryptUpdate(ctx, op->text, &len, op->text, (int)op->len) &&
	     EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, evp->icv_len, op->tag);
	if (!ok)
		evp_wipe(op, evp->icv_len);
}

static void ccm_seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	for (unsigned int i = 0; i < n; i++)
		ccm_seal_one(ctx, &ops[i], aad_len);
}

/* The tag is given before the text: it is the text's step that says no. */
static void ccm_open_one(const struct evp_ctx *evp, struct crypto_op *op, __u32 aad_len)
{
	EVP_CIPHER_CTX *ctx = evp->dec;
	int len;

	op->ok = EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, evp->icv_len, op->tag) &&
		 EVP_DecryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) &&
		 EVP_DecryptUpdate(ctx, NULL, &len, NULL, (int)op->len) &&
		 EVP_DecryptUpdate(ctx, NULL, &len, op->aad, (int)aad_len) &&
		 EVP_DecryptUpdate(ctx, op->text, &len, op->text, (int)op->len) > 0;
	if (!op->ok)
		OPENSSL_cleanse(op->text, op->len);
}

static void ccm_open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	for (unsigned int i = 0; i < n; i++)
		ccm_open_one(ctx, &ops[i], aad_len);
}

/* ------------------------------------------------------------------ GMAC */

/* All is AAD; there is no text. 1: the tag was made. */
static int gmac(EVP_CIPHER_CTX *ctx, const struct crypto_op *op, __u32 aad_len, __u8 *tag)
{
	__u32 skip = aad_len > ESP_HEADER ? ESP_HEADER : 0, head_len = op->head_len - skip;
	int len;

	return EVP_EncryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL) &&
	       (!skip || EVP_EncryptUpdate(ctx, NULL, &len, op->aad, (int)aad_len)) &&
	       EVP_EncryptUpdate(ctx, NULL, &len, op->text - head_len, (int)(head_len + op->len)) &&
	       EVP_EncryptFinal_ex(ctx, tag, &len) &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, GCM_TAG_LEN, tag);
}

static void gmac_seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	const struct evp_ctx *evp = ctx;

	for (unsigned int i = 0; i < n; i++)
		if (!gmac(evp->enc, &ops[i], aad_len, ops[i].tag))
			evp_wipe(&ops[i], GCM_TAG_LEN);
}

static void gmac_open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	const struct evp_ctx *evp = ctx;
	__u8 tag[GCM_TAG_LEN];

	for (unsigned int i = 0; i < n; i++)
		ops[i].ok = gmac(evp->enc, &ops[i], aad_len, tag) &&
			    CRYPTO_memcmp(tag, ops[i].tag, sizeof(tag)) == 0;
	/* The right tag of a forged packet must not stay on the stack. */
	OPENSSL_cleanse(tag, sizeof(tag));
}

/* ------------------------------------------------------------------ keys */

/* 12 bytes of IV and 16 of tag are the default of all but CCM, whose lengths come before its key.
 */
static int prepare(EVP_CIPHER_CTX *ctx, const EVP_CIPHER *cipher, const __u8 *key, int ccm_icv_len,
		   int enc)
{
	if (!ctx || !EVP_CipherInit_ex2(ctx, cipher, NULL, NULL, enc, NULL))
		return -ENOMEM;
	if (ccm_icv_len &&
	    (!EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN, CCM_NONCE_LEN, NULL) ||
	     !EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, ccm_icv_len, NULL)))
		return -ENOMEM;
	return EVP_CipherInit_ex2(ctx, NULL, key, NULL, enc, NULL) ? 0 : -ENOMEM;
}

int evp_aead_key_init(struct crypto_key *key, enum xipsec_alg alg, const EVP_CIPHER *cipher,
		      const __u8 *cipher_key)
{
	enum alg_kind kind = alg_kind(alg);
	struct evp_ctx *evp = key->ctx;
	int ccm_icv_len = kind == ALG_CCM ? evp->icv_len : 0;

	evp->enc = EVP_CIPHER_CTX_new();
	evp->dec = EVP_CIPHER_CTX_new();
	if (prepare(evp->enc, cipher, cipher_key, ccm_icv_len, 1) ||
	    prepare(evp->dec, cipher, cipher_key, ccm_icv_len, 0))
		return -ENOMEM;
	if (kind == ALG_CCM) {
		key->seal = ccm_seal_burst;
		key->open = ccm_open_burst;
	} else if (kind == ALG_GMAC) {
		key->seal = gmac_seal_burst;
		key->open = gmac_open_burst;
	} else {
		key->seal = seal_burst;
		key->open = open_burst;
	}
	return 0;
}
