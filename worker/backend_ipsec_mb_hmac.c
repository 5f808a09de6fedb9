// SPDX-License-Identifier: BSD-2-Clause
/*
 * HMAC-SHA-2 with AES-CBC, AES-CTR or no encryption, by libipsec-mb's cipher and hash bursts: one
 * call for all packets of a burst, spread over the lanes. The key's states after ipad and opad (RFC
 * 2104) are computed once per SA.
 *
 * Opening authenticates the whole burst before it decrypts any of it.
 */
#include "worker/backend_ipsec_mb.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <openssl/crypto.h>

#define BLOCK_MAX   128 /* SHA-384 and SHA-512; SHA-256 has 64 */
#define ESN_HIGH    4   /* bytes */
#define ESN_AAD_LEN 12

/* SHA-384 and SHA-512 have 8 lanes in the wide manager and 4 in the narrow one. */
#define SHA512_WIDE_N 5

struct mb_hmac {
	__u32 enc_keys[4 * 15] __attribute__((aligned(16)));
	__u32 dec_keys[4 * 15] __attribute__((aligned(16)));
	__u8 ipad[64] __attribute__((aligned(16)));
	__u8 opad[64] __attribute__((aligned(16)));
	IMB_CIPHER_MODE mode;
	IMB_KEY_SIZE_BYTES key_len;
	IMB_HASH_ALG hash;
	__u32 icv_len;
	IMB_MGR *few, *many; /* who hashes bursts of that size */
};

/* What the library wants to know of each packet. Pointers and lengths alone, no key. */
static IMB_JOB jobs[MB_BATCH];

/* The high half of an ESN is hashed behind the text, where the tag goes. */
static void jobs_fill(const struct mb_hmac *mb, const struct crypto_op *ops, unsigned int n,
		      __u32 aad_len, __u8 (*tags)[XIPSEC_ICV_MAX])
{
	__u32 esn_high = aad_len == ESN_AAD_LEN ? ESN_HIGH : 0;

	for (unsigned int i = 0; i < n; i++) {
		const struct crypto_op *op = &ops[i];
		IMB_JOB *job = &jobs[i];

		job->enc_keys = mb->enc_keys;
		job->dec_keys = mb->dec_keys;
		job->key_len_in_bytes = mb->key_len;
		job->src = op->text - op->head_len;
		job->dst = op->text;
		job->cipher_start_src_offset_in_bytes = op->head_len;
		job->msg_len_to_cipher_in_bytes = op->len;
		job->hash_start_src_offset_in_bytes = 0;
		job->msg_len_to_hash_in_bytes = op->head_len + op->len + esn_high;
		job->iv = op->nonce;
		job->iv_len_in_bytes = CRYPTO_NONCE_MAX;
		job->auth_tag_output = tags ? tags[i] : op->tag;
		job->auth_tag_output_len_in_bytes = mb->icv_len;
		job->u.HMAC._hashed_auth_key_xor_ipad = mb->ipad;
		job->u.HMAC._hashed_auth_key_xor_opad = mb->opad;
	}
}

static bool cipher(const struct mb_hmac *mb, unsigned int n, IMB_CIPHER_DIRECTION dir)
{
	if (mb->mode == IMB_CIPHER_NULL || !n)
		return true;
	return IMB_SUBMIT_CIPHER_BURST_NOCHECK(mb_wide, jobs, n, mb->mode, dir, mb->key_len) == n;
}

static bool hash(const struct mb_hmac *mb, unsigned int n)
{
	IMB_MGR *mgr = n < SHA512_WIDE_N ? mb->few : mb->many;

	return IMB_SUBMIT_HASH_BURST_NOCHECK(mgr, jobs, n, mb->hash) == n;
}

static void seal_batch(const struct mb_hmac *mb, struct crypto_op *ops, unsigned int n,
		       __u32 aad_len)
{
	for (unsigned int i = 0; aad_len == ESN_AAD_LEN && i < n; i++)
		memcpy(ops[i].text + ops[i].len, ops[i].aad + 4, ESN_HIGH);
	jobs_fill(mb, ops, n, aad_len, NULL);
	if (cipher(mb, n, IMB_DIR_ENCRYPT) && hash(mb, n))
		return;
	/* It cannot happen. If it did, no plaintext would leave. */
	for (unsigned int i = 0; i < n; i++) {
		OPENSSL_cleanse(ops[i].text, ops[i].len);
		OPENSSL_cleanse(ops[i].tag, mb->icv_len);
	}
}

/* Decrypts what is authentic, wipes the rest. Its order in `jobs` is that of the ops. */
static void decrypt(const struct mb_hmac *mb, struct crypto_op *ops, unsigned int n)
{
	unsigned int good = 0;

	if (mb->mode == IMB_CIPHER_NULL)
		return;
	for (unsigned int i = 0; i < n; i++) {
		if (!ops[i].ok)
			OPENSSL_cleanse(ops[i].text, ops[i].len);
		else if (good++ != i)
			jobs[good - 1] = jobs[i];
	}
	if (cipher(mb, good, IMB_DIR_DECRYPT))
		return;
	for (unsigned int i = 0; i < n; i++) {
		OPENSSL_cleanse(ops[i].text, ops[i].len);
		ops[i].ok = 0;
	}
}

static void open_batch(const struct mb_hmac *mb, struct crypto_op *ops, unsigned int n,
		       __u32 aad_len)
{
	__u8 tags[MB_BATCH][XIPSEC_ICV_MAX], saved[MB_BATCH][ESN_HIGH];
	bool esn = aad_len == ESN_AAD_LEN, done;

	for (unsigned int i = 0; esn && i < n; i++) {
		__u8 *behind = ops[i].text + ops[i].len;

		memcpy(saved[i], behind, ESN_HIGH);
		memcpy(behind, ops[i].aad + 4, ESN_HIGH);
	}
	jobs_fill(mb, ops, n, aad_len, tags);
	done = hash(mb, n);
	for (unsigned int i = 0; i < n; i++) {
		if (esn)
			memcpy(ops[i].text + ops[i].len, saved[i], ESN_HIGH);
		ops[i].ok = done && CRYPTO_memcmp(tags[i], ops[i].tag, mb->icv_len) == 0;
	}
	/* The right tag of a forged packet must not stay on the stack. */
	OPENSSL_cleanse(tags, n * sizeof(tags[0]));
	decrypt(mb, ops, n);
}

static void seal_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	for (; n > MB_BATCH; n -= MB_BATCH, ops += MB_BATCH)
		seal_batch(ctx, ops, MB_BATCH, aad_len);
	seal_batch(ctx, ops, n, aad_len);
}

static void open_burst(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len)
{
	for (; n > MB_BATCH; n -= MB_BATCH, ops += MB_BATCH)
		open_batch(ctx, ops, MB_BATCH, aad_len);
	open_batch(ctx, ops, n, aad_len);
}

/* ------------------------------------------------------------------ keys */

static void half_key(hash_one_block_t one_block, const __u8 *key, __u32 len, __u8 pad, __u8 *state)
{
	__u8 block[BLOCK_MAX];

	memset(block, pad, sizeof(block));
	for (__u32 i = 0; i < len; i++)
		block[i] ^= key[i];
	one_block(block, state);
	OPENSSL_cleanse(block, sizeof(block));
}

/* The key is as long as the hash (RFC 4868 2.1.1), so shorter than a block. */
static void hmac_init(struct mb_hmac *mb, const __u8 *key, __u32 len)
{
	bool sha_ni = mb_narrow->features & IMB_FEATURE_SHANI;
	hash_one_block_t one_block = mb_wide->sha512_one_block;

	mb->few = mb_narrow;
	mb->many = mb_wide;
	mb->hash = IMB_AUTH_HMAC_SHA_512;
	if (len == 32) {
		mb->hash = IMB_AUTH_HMAC_SHA_256;
		one_block = mb_wide->sha256_one_block;
		/* 16 lanes of AVX-512, all of them full, are no faster than SHA instructions. */
		if (sha_ni)
			mb->many = mb_narrow;
	} else if (len == 48) {
		mb->hash = IMB_AUTH_HMAC_SHA_384;
		one_block = mb_wide->sha384_one_block;
	}
	half_key(one_block, key, len, 0x36, mb->ipad);
	half_key(one_block, key, len, 0x5c, mb->opad);
}

int mb_hmac_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
		     const __u8 *auth_key)
{
	enum alg_kind kind = alg_kind(alg);
	struct mb_hmac *mb = mb_ctx_new(key, sizeof(*mb));

	if (!mb)
		return -ENOMEM;
	mb->mode = kind == ALG_CBC_HMAC   ? IMB_CIPHER_CBC
		   : kind == ALG_CTR_HMAC ? IMB_CIPHER_CNTR
					  : IMB_CIPHER_NULL;
	mb->key_len = alg_get(alg)->cipher_key;
	mb->icv_len = alg_get(alg)->icv;
	if (mb->key_len == IMB_KEY_128_BYTES)
		IMB_AES_KEYEXP_128(mb_wide, cipher_key, mb->enc_keys, mb->dec_keys);
	else if (mb->key_len)
		IMB_AES_KEYEXP_256(mb_wide, cipher_key, mb->enc_keys, mb->dec_keys);
	hmac_init(mb, auth_key, alg_get(alg)->auth_key);
	key->seal = seal_burst;
	key->open = open_burst;
	return 0;
}
