// SPDX-License-Identifier: BSD-2-Clause
/* The direct calls of each library, for each kind of algorithm. One at a time: jobs are static. */
#include "tools/bench/esp_bare.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <intel-ipsec-mb.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "lib/alg.h"

#define AAD_LEN 8

struct bare {
	const struct alg *alg;
	enum alg_kind kind;
	struct crypto_op *ops;
	unsigned int (*run)(struct bare *bare, bool open); /* how many tags fit */
	__u8 tags[BARE_BURST][64];
	/* libipsec-mb */
	struct gcm_key_data gcm;
	struct gcm_context_data scratch;
	__u32 enc_keys[60] __attribute__((aligned(16)));
	__u32 dec_keys[60] __attribute__((aligned(16)));
	__u8 ipad[64], opad[64], raw[32];
	IMB_MGR *mgr;
	IMB_HASH_ALG hash;
	IMB_CIPHER_MODE mode;
	IMB_JOB job[2][BARE_BURST]; /* seal, open */
	/* OpenSSL */
	EVP_CIPHER_CTX *ctx[2];
	EVP_MAC_CTX *mac;
};

static IMB_MGR *wide, *narrow;

static unsigned int compare(const struct bare *bare)
{
	unsigned int fit = 0;

	for (unsigned int i = 0; i < BARE_BURST; i++)
		fit += !CRYPTO_memcmp(bare->tags[i], bare->ops[i].tag, bare->alg->icv);
	return fit;
}

/* ------------------------------------------------------------------ libipsec-mb */

static unsigned int mb_gcm(struct bare *bare, bool open)
{
	bool is128 = bare->alg->cipher_key == 16, gmac = bare->kind == ALG_GMAC;
	aes_gcm_enc_dec_t call = open && !gmac ? (is128 ? wide->gcm128_dec : wide->gcm256_dec)
					       : (is128 ? wide->gcm128_enc : wide->gcm256_enc);

	for (unsigned int i = 0; i < BARE_BURST; i++) {
		struct crypto_op *op = &bare->ops[i];
		__u8 *tag = open ? bare->tags[i] : op->tag;

		if (gmac)
			call(&bare->gcm, &bare->scratch, NULL, NULL, 0, op->nonce,
			     op->text - op->head_len, op->head_len + op->len, tag, 16);
		else
			call(&bare->gcm, &bare->scratch, op->text, op->text, op->len, op->nonce,
			     op->aad, AAD_LEN, tag, 16);
	}
	return open ? compare(bare) : BARE_BURST;
}

static unsigned int mb_jobs(struct bare *bare, bool open)
{
	IMB_JOB *job;

	for (unsigned int i = 0; i < BARE_BURST; i++) {
		job = IMB_GET_NEXT_JOB(bare->mgr);
		*job = bare->job[open][i];
		for (job = IMB_SUBMIT_JOB_NOCHECK(bare->mgr); job;
		     job = IMB_GET_COMPLETED_JOB(bare->mgr))
			;
	}
	while (IMB_FLUSH_JOB(bare->mgr))
		;
	return open ? compare(bare) : BARE_BURST;
}

static unsigned int mb_hmac(struct bare *bare, bool open)
{
	IMB_JOB *jobs = bare->job[open];
	unsigned int fit = BARE_BURST;

	if (!open && bare->mode != IMB_CIPHER_NULL)
		IMB_SUBMIT_CIPHER_BURST_NOCHECK(wide, jobs, BARE_BURST, bare->mode, IMB_DIR_ENCRYPT,
						bare->alg->cipher_key);
	IMB_SUBMIT_HASH_BURST_NOCHECK(bare->mgr, jobs, BARE_BURST, bare->hash);
	if (open)
		fit = compare(bare);
	if (open && bare->mode != IMB_CIPHER_NULL)
		IMB_SUBMIT_CIPHER_BURST_NOCHECK(wide, jobs, BARE_BURST, bare->mode, IMB_DIR_DECRYPT,
						bare->alg->cipher_key);
	return fit;
}

static void mb_aead_job(struct bare *bare, IMB_JOB *job)
{
	bool ccm = bare->kind == ALG_CCM;

	job->cipher_mode = ccm ? IMB_CIPHER_CCM : IMB_CIPHER_CHACHA20_POLY1305;
	job->hash_alg = ccm ? IMB_AUTH_AES_CCM : IMB_AUTH_CHACHA20_POLY1305;
	job->chain_order = ccm == (job->cipher_direction == IMB_DIR_ENCRYPT)
				   ? IMB_ORDER_HASH_CIPHER
				   : IMB_ORDER_CIPHER_HASH;
	job->enc_keys = job->dec_keys = ccm ? (void *)bare->enc_keys : (void *)bare->raw;
	job->iv_len_in_bytes = ccm ? 11 : 12;
}

static void mb_job(struct bare *bare, bool open, unsigned int i)
{
	const struct crypto_op *op = &bare->ops[i];
	IMB_JOB *job = &bare->job[open][i];
	bool hmac = bare->alg->auth_key;
	__u32 head = hmac ? op->head_len : 0;

	job->enc_keys = bare->enc_keys;
	job->dec_keys = bare->dec_keys;
	job->key_len_in_bytes = bare->alg->cipher_key;
	job->src = op->text - head;
	job->dst = op->text;
	job->cipher_start_src_offset_in_bytes = head;
	job->msg_len_to_cipher_in_bytes = op->len;
	job->msg_len_to_hash_in_bytes = head + op->len;
	job->iv = op->nonce;
	job->iv_len_in_bytes = 16;
	job->auth_tag_output = open ? bare->tags[i] : op->tag;
	job->auth_tag_output_len_in_bytes = bare->alg->icv;
	job->cipher_direction = open ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT;
	if (hmac) {
		job->u.HMAC._hashed_auth_key_xor_ipad = bare->ipad;
		job->u.HMAC._hashed_auth_key_xor_opad = bare->opad;
		return;
	}
	/* At the same place for both. */
	job->u.CCM.aad = op->aad;
	job->u.CCM.aad_len_in_bytes = AAD_LEN;
	mb_aead_job(bare, job);
}

static void mb_pads(struct bare *bare, const __u8 *key)
{
	hash_one_block_t one = wide->sha512_one_block;
	__u8 block[2][128];

	memset(block[0], 0x36, sizeof(block[0]));
	memset(block[1], 0x5c, sizeof(block[1]));
	for (int i = 0; i < bare->alg->auth_key; i++) {
		block[0][i] ^= key[i];
		block[1][i] ^= key[i];
	}
	bare->hash = IMB_AUTH_HMAC_SHA_512;
	bare->mgr = wide;
	if (bare->alg->auth_key == 32) {
		bare->hash = IMB_AUTH_HMAC_SHA_256;
		one = wide->sha256_one_block;
		bare->mgr = narrow->features & IMB_FEATURE_SHANI ? narrow : wide;
	} else if (bare->alg->auth_key == 48) {
		bare->hash = IMB_AUTH_HMAC_SHA_384;
		one = wide->sha384_one_block;
	}
	one(block[0], bare->ipad);
	one(block[1], bare->opad);
}

static bool mb_managers(void)
{
	if (wide)
		return true;
	wide = alloc_mb_mgr(0);
	narrow = alloc_mb_mgr(0);
	if (!wide || !narrow)
		return false;
	init_mb_mgr_auto(wide, NULL);
	if (wide->used_arch == IMB_ARCH_AVX512)
		init_mb_mgr_avx2(narrow);
	else
		init_mb_mgr_auto(narrow, NULL);
	return !imb_get_errno(wide) && !imb_get_errno(narrow);
}

static bool mb_new(struct bare *bare, const __u8 *raw)
{
	const struct alg *alg = bare->alg;

	if (!mb_managers())
		return false;
	bare->mgr = wide;
	if (bare->kind == ALG_CCM && bare->ops[0].len < 768)
		bare->mgr = narrow;
	if (alg->cipher_key == 16) {
		IMB_AES128_GCM_PRE(wide, raw, &bare->gcm);
		IMB_AES_KEYEXP_128(wide, raw, bare->enc_keys, bare->dec_keys);
	} else if (alg->cipher_key == 32) {
		IMB_AES256_GCM_PRE(wide, raw, &bare->gcm);
		IMB_AES_KEYEXP_256(wide, raw, bare->enc_keys, bare->dec_keys);
		memcpy(bare->raw, raw, 32);
	}
	bare->mode = bare->kind == ALG_CBC_HMAC   ? IMB_CIPHER_CBC
		     : bare->kind == ALG_CTR_HMAC ? IMB_CIPHER_CNTR
						  : IMB_CIPHER_NULL;
	bare->run = bare->kind == ALG_GCM || bare->kind == ALG_GMAC ? mb_gcm
		    : alg->auth_key                                 ? mb_hmac
								    : mb_jobs;
	if (alg->auth_key)
		mb_pads(bare, raw + alg->cipher_key + alg->salt);
	for (unsigned int i = 0; i < BARE_BURST; i++) {
		mb_job(bare, false, i);
		mb_job(bare, true, i);
	}
	return true;
}

/* ------------------------------------------------------------------ OpenSSL */

/* GCM and ChaCha20-Poly1305 by the fewest steps: EVP_Cipher() hands text on unseen, and parameters
 * made beforehand carry the tag, which a ctrl() would make anew. */
static unsigned int evp_seal(struct bare *bare)
{
	EVP_CIPHER_CTX *ctx = bare->ctx[0];
	OSSL_PARAM tag[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 16),
			    OSSL_PARAM_END};
	int len;

	for (unsigned int i = 0; i < BARE_BURST; i++) {
		struct crypto_op *op = &bare->ops[i];

		EVP_EncryptInit_ex2(ctx, NULL, NULL, op->nonce, NULL);
		EVP_Cipher(ctx, NULL, op->aad, AAD_LEN);
		EVP_Cipher(ctx, op->text, op->text, op->len);
		EVP_EncryptFinal_ex(ctx, op->tag, &len);
		tag[0].data = op->tag;
		EVP_CIPHER_CTX_get_params(ctx, tag);
	}
	return BARE_BURST;
}

static unsigned int evp_open(struct bare *bare)
{
	EVP_CIPHER_CTX *ctx = bare->ctx[1];
	OSSL_PARAM tag[] = {OSSL_PARAM_octet_string(OSSL_CIPHER_PARAM_AEAD_TAG, NULL, 16),
			    OSSL_PARAM_END};
	unsigned int fit = 0;
	int len;

	for (unsigned int i = 0; i < BARE_BURST; i++) {
		struct crypto_op *op = &bare->ops[i];

		tag[0].data = op->tag;
		EVP_DecryptInit_ex2(ctx, NULL, NULL, op->nonce, tag);
		EVP_Cipher(ctx, NULL, op->aad, AAD_LEN);
		EVP_Cipher(ctx, op->text, op->text, op->len);
		fit += EVP_DecryptFinal_ex(ctx, op->tag, &len) > 0;
	}
	return fit;
}

static unsigned int evp_aead(struct bare *bare, bool open)
{
	return open ? evp_open(bare) : evp_seal(bare);
}

static unsigned int evp_hmac(struct bare *bare, bool open)
{
	int (*init)(EVP_CIPHER_CTX *, const EVP_CIPHER *, const unsigned char *,
		    const unsigned char *, const OSSL_PARAM *) = open ? EVP_DecryptInit_ex2
								      : EVP_EncryptInit_ex2;
	EVP_CIPHER_CTX *ctx = bare->ctx[open];
	size_t tag_len;

	for (unsigned int i = 0; i < BARE_BURST; i++) {
		struct crypto_op *op = &bare->ops[i];

		for (int step = 0; step < 2; step++) {
			if (step == open) {
				init(ctx, NULL, NULL, op->nonce, NULL);
				EVP_Cipher(ctx, op->text, op->text, op->len);
				continue;
			}
			EVP_MAC_init(bare->mac, NULL, 0, NULL);
			EVP_MAC_update(bare->mac, op->text - op->head_len, op->head_len + op->len);
			EVP_MAC_final(bare->mac, bare->tags[i], &tag_len, sizeof(bare->tags[i]));
			if (!open)
				memcpy(op->tag, bare->tags[i], bare->alg->icv);
		}
	}
	return open ? compare(bare) : BARE_BURST;
}

static EVP_MAC_CTX *evp_mac(const __u8 *key, __u32 len)
{
	char *digest = len == 32 ? "SHA2-256" : len == 48 ? "SHA2-384" : "SHA2-512";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	EVP_MAC *hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	EVP_MAC_CTX *ctx = hmac ? EVP_MAC_CTX_new(hmac) : NULL;

	EVP_MAC_free(hmac);
	return ctx && EVP_MAC_init(ctx, key, len, params) ? ctx : NULL;
}

static bool evp_new(struct bare *bare, const __u8 *raw)
{
	bool is128 = bare->alg->cipher_key == 16;
	const EVP_CIPHER *cipher = NULL;

	if (bare->kind == ALG_GCM)
		cipher = is128 ? EVP_aes_128_gcm() : EVP_aes_256_gcm();
	else if (bare->kind == ALG_CHACHA)
		cipher = EVP_chacha20_poly1305();
	else if (bare->kind == ALG_CBC_HMAC)
		cipher = is128 ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
	if (!cipher)
		return false;
	for (int open = 0; open < 2; open++) {
		bare->ctx[open] = EVP_CIPHER_CTX_new();
		if (!bare->ctx[open] ||
		    !EVP_CipherInit_ex2(bare->ctx[open], cipher, raw, NULL, !open, NULL))
			return false;
	}
	bare->run = evp_aead;
	if (bare->alg->auth_key) {
		bare->run = evp_hmac;
		bare->mac =
			evp_mac(raw + bare->alg->cipher_key + bare->alg->salt, bare->alg->auth_key);
		return bare->mac;
	}
	return true;
}

/* ------------------------------------------------------------------ both */

struct bare *bare_new(enum xipsec_alg alg, enum xipsec_backend backend, const __u8 *raw,
		      struct crypto_op *ops)
{
	struct bare *bare = crypto_memory_new(sizeof(*bare));
	bool done;

	if (!bare)
		return NULL;
	bare->alg = alg_get(alg);
	bare->kind = alg_kind(alg);
	bare->ops = ops;
	done = backend == XIPSEC_BACKEND_OPENSSL ? evp_new(bare, raw) : mb_new(bare, raw);
	if (done)
		return bare;
	bare_free(bare);
	return NULL;
}

void bare_free(struct bare *bare)
{
	if (!bare)
		return;
	EVP_CIPHER_CTX_free(bare->ctx[0]);
	EVP_CIPHER_CTX_free(bare->ctx[1]);
	EVP_MAC_CTX_free(bare->mac);
	crypto_memory_free(bare, sizeof(*bare));
}

void bare_seal(struct bare *bare)
{
	bare->run(bare, false);
}

unsigned int bare_open(struct bare *bare)
{
	return bare->run(bare, true);
}
