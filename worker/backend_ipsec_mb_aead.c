// SPDX-License-Identifier: BSD-2-Clause
/*
 * AES-CCM and ChaCha20-Poly1305 by libipsec-mb's jobs, the whole burst under way at once: CCM's CBC
 * is serial within a packet, so lanes are filled with packets. (ChaCha20-Poly1305 by the direct
 * calls costs 80 ns more a packet: they make the one-time key and the first block separately.)
 */
#include "worker/backend_ipsec_mb.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <openssl/crypto.h>

/* From here on the wide manager is faster with CCM: packets, and bytes of text in each. Lanes that
 * stay empty cost as much as full ones: one packet of 64 bytes takes 300 ns there, 150 in the
 * narrow one. */
#define CCM_WIDE_N   16
#define CCM_WIDE_LEN 768

struct mb_aead {
	/* CCM: the expanded key; ChaCha20: the key itself. */
	__u32 key[4 * 15] __attribute__((aligned(16)));
	__u32 unused[4 * 15] __attribute__((aligned(16))); /* expansion wants it */
	__u32 key_len, icv_len, nonce_len;
	IMB_CIPHER_MODE mode;
	IMB_HASH_ALG hash;
};

static void job_fill(IMB_JOB *job, const struct mb_aead *mb, const struct crypto_op *op,
		     __u32 aad_len, __u8 *tag)
{
	job->enc_keys = mb->key;
	job->dec_keys = mb->key;
	job->key_len_in_bytes = mb->key_len;
	job->src = op->text;
	job->dst = op->text;
	job->cipher_start_src_offset_in_bytes = 0;
	job->msg_len_to_cipher_in_bytes = op->len;
	job->hash_start_src_offset_in_bytes = 0;
	job->msg_len_to_hash_in_bytes = op->len;
	job->iv = op->nonce;
	job->iv_len_in_bytes = mb->nonce_len;
	job->auth_tag_output = tag;
	job->auth_tag_output_len_in_bytes = mb->icv_len;
	job->cipher_mode = mb->mode;
	job->hash_alg = mb->hash;
	if (mb->mode == IMB_CIPHER_CCM) {
		job->u.CCM.aad = op->aad;
		job->u.CCM.aad_len_in_bytes = aad_len;
	} else {
		job->u.CHACHA20_POLY1305.aad = op->aad;
		job->u.CHACHA20_POLY1305.aad_len_in_bytes = aad_len;
	}
}

static IMB_MGR *choose(const struct mb_aead *mb, const struct crypto_op *ops, unsigned int n)
{
	__u64 bytes = 0;

	if (mb->mode != IMB_CIPHER_CCM)
		return mb_wide;
	if (n < CCM_WIDE_N)
		return mb_narrow;
	for (unsigned int i = 0; i < n; i++)
		bytes += ops[i].len;
	return bytes >= (__u64)n * CCM_WIDE_LEN ? mb_wide : mb_narrow;
}

/* How many of these jobs were done, the given one first. */
static unsigned int count_done(IMB_MGR *mgr, IMB_JOB *job)
{
	unsigned int done = 0;

	for (; job; job = IMB_GET_COMPLETED_JOB(mgr))
		done += job->status == IMB_STATUS_COMPLETED;
	return done;
}

/* 0 if all `n` were done; the tags of seal are the packets', those of open stand at `tags`. */
static int run(const struct mb_aead *mb, struct crypto_op *ops, unsigned int n, __u32 aad_len,
	       __u8 (*tags)[XIPSEC_ICV_MAX])
{
	bool ccm = mb->mode == IMB_CIPHER_CCM;
	IMB_MGR *mgr = choose(mb, ops, n);
	unsigned int done = 0;

	for (unsigned int i = 0; i < n; i++) {
		IMB_JOB *job = IMB_GET_NEXT_JOB(mgr);

		job_fill(job, mb, &ops[i], aad_len, tags ? tags[i] : ops[i].tag);
		job->cipher_direction = tags ? IMB_DIR_DECRYPT : IMB_DIR_ENCRYPT;
		/* CCM authenticates the plaintext, ChaCha20-Poly1305 the ciphertext. */
		job->chain_order = ccm == !tags ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
		done += count_done(mgr, IMB_SUBMIT_JOB_NOCHECK(mgr));
	}
	for (IMB_JOB *job = IMB_FLUSH_JOB(mgr); job; job = IMB_FLUSH_JOB(mgr))
		done += job->status == IMB_STATUS_COMPLETED;
	return done == n ? 0 : -EIO;
}

static void seal_batch(const struct mb_aead *mb, struct crypto_op *ops, unsigned int n,
		       __u32 aad_len)
{
	if (!run(mb, ops, n, aad_len, NULL))
		return;
	/* It cannot happen. If it did, no plaintext would leave. */
	for (unsigned int i = 0; i < n; i++) {
		OPENSSL_cleanse(ops[i].text, ops[i].len);
		OPENSSL_cleanse(ops[i].tag, mb->icv_len);
	}
}

static void open_batch(const struct mb_aead *mb, struct crypto_op *ops, unsigned int n,
		       __u32 aad_len)
{
	__u8 tags[MB_BATCH][XIPSEC_ICV_MAX];
	int err = run(mb, ops, n, aad_len, tags);

	for (unsigned int i = 0; i < n; i++) {
		ops[i].ok = !err && CRYPTO_memcmp(tags[i], ops[i].tag, mb->icv_len) == 0;
		if (!ops[i].ok)
			OPENSSL_cleanse(ops[i].text, ops[i].len);
	}
	/* The right tag of a forged packet must not stay on the stack. */
	OPENSSL_cleanse(tags, n * sizeof(tags[0]));
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

int mb_aead_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key)
{
	struct mb_aead *mb = mb_ctx_new(key, sizeof(*mb));

	if (!mb)
		return -ENOMEM;
	mb->key_len = alg_get(alg)->cipher_key;
	mb->icv_len = alg_get(alg)->icv;
	if (alg_kind(alg) == ALG_CHACHA) {
		mb->mode = IMB_CIPHER_CHACHA20_POLY1305;
		mb->hash = IMB_AUTH_CHACHA20_POLY1305;
		mb->nonce_len = 12;
		memcpy(mb->key, cipher_key, mb->key_len);
	} else {
		mb->mode = IMB_CIPHER_CCM;
		mb->hash = IMB_AUTH_AES_CCM;
		mb->nonce_len = 11; /* RFC 4309 4 */
		if (mb->key_len == IMB_KEY_128_BYTES)
			IMB_AES_KEYEXP_128(mb_wide, cipher_key, mb->key, mb->unused);
		else
			IMB_AES_KEYEXP_256(mb_wide, cipher_key, mb->key, mb->unused);
	}
	key->seal = seal_burst;
	key->open = open_burst;
	return 0;
}
