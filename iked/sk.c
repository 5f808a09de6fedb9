// SPDX-License-Identifier: BSD-2-Clause
#include "iked/sk.h"

#include <errno.h>
#include <openssl/rand.h>
#include <string.h>

#include "iked/crypto.h"

#define SALT_LEN    4 /* RFC 5282 7.1, RFC 7634 2: the end of SK_e */
#define AEAD_IV_LEN 8
#define AEAD_TAG    16
#define CBC_BLOCK   16

/* ------------------------------------------------------------------ lengths */

static bool is_aead(const struct sk_key *key)
{
	return key->encr != ENCR_AES_CBC;
}

static unsigned int integ_hash(__u16 integ)
{
	switch (integ) {
	case INTEG_HMAC_SHA2_256_128: return IKE_HASH_SHA256;
	case INTEG_HMAC_SHA2_384_192: return IKE_HASH_SHA384;
	case INTEG_HMAC_SHA2_512_256: return IKE_HASH_SHA512;
	default: return 0;
	}
}

/* RFC 4868 2.1.1: a key as long as the hash, an ICV half as long. */
static __u8 integ_key_len(__u16 integ)
{
	switch (integ) {
	case INTEG_HMAC_SHA2_256_128: return 32;
	case INTEG_HMAC_SHA2_384_192: return 48;
	case INTEG_HMAC_SHA2_512_256: return 64;
	default: return 0;
	}
}

static size_t iv_len(const struct sk_key *key)
{
	return is_aead(key) ? AEAD_IV_LEN : CBC_BLOCK;
}

static size_t icv_len(const struct sk_key *key)
{
	return is_aead(key) ? AEAD_TAG : integ_key_len(key->integ) / 2;
}

/* With the byte that tells how much (RFC 7296 3.14; RFC 5282 3: AEADs need none but that byte). */
static size_t padding_len(const struct sk_key *key, size_t len)
{
	return is_aead(key) ? 1 : CBC_BLOCK - len % CBC_BLOCK;
}

size_t sk_overhead(const struct sk_key *key, size_t len)
{
	return iv_len(key) + padding_len(key, len) + icv_len(key);
}

size_t sk_text_max(const struct sk_key *key, size_t room)
{
	size_t fixed = iv_len(key) + icv_len(key);

	if (room <= fixed + 1)
		return 0;
	room -= fixed;
	if (!is_aead(key))
		room -= room % CBC_BLOCK;
	return room ? room - 1 : 0;
}

/* ------------------------------------------------------------------ keys */

static int lengths(__u16 encr, __u16 key_bits, __u16 integ, __u8 *encr_len, __u8 *integ_len)
{
	bool aead = encr != ENCR_AES_CBC;
	__u8 bytes = encr == ENCR_CHACHA20_POLY1305 ? 32 : (__u8)(key_bits / 8);

	if (!ike_cipher(encr, key_bits) || aead == !!integ || (integ && !integ_key_len(integ)))
		return -EINVAL;
	*encr_len = (__u8)(bytes + (aead ? SALT_LEN : 0));
	*integ_len = integ_key_len(integ);
	return 0;
}

int sk_key_lengths(const struct proposal *chosen, __u8 *encr_key_len, __u8 *integ_len)
{
	const struct transform *encr = proposal_find(chosen, TRANSFORM_ENCR);

	if (!encr || chosen->protocol != PROPOSAL_IKE)
		return -EINVAL;
	return lengths(encr->id, encr->key_bits, proposal_id(chosen, TRANSFORM_INTEG), encr_key_len,
		       integ_len);
}

int sk_key_init(struct sk_key *key, const struct proposal *chosen, struct bytes encr_key,
		struct bytes integ_key)
{
	struct sk_key k = {0};
	int err = sk_key_lengths(chosen, &k.encr_key_len, &k.integ_key_len);

	if (err || encr_key.len != k.encr_key_len || integ_key.len != k.integ_key_len)
		return -EINVAL;
	k.encr = proposal_id(chosen, TRANSFORM_ENCR);
	k.key_bits = proposal_find(chosen, TRANSFORM_ENCR)->key_bits;
	k.integ = proposal_id(chosen, TRANSFORM_INTEG);
	memcpy(k.encr_key, encr_key.data, encr_key.len);
	if (integ_key.len)
		memcpy(k.integ_key, integ_key.data, integ_key.len);
	*key = k;
	sk_key_wipe(&k);
	return 0;
}

void sk_key_wipe(struct sk_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

/* ------------------------------------------------------------------ ciphers */

/* A context with key and IV (AEADs: salt | IV); NULL: OpenSSL failed. */
static EVP_CIPHER_CTX *cipher_open(const struct sk_key *key, const __u8 *iv, int seal)
{
	const EVP_CIPHER *cipher = ike_cipher(key->encr, key->key_bits);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	__u8 nonce[SALT_LEN + AEAD_IV_LEN];

	if (is_aead(key)) {
		memcpy(nonce, key->encr_key + key->encr_key_len - SALT_LEN, SALT_LEN);
		memcpy(nonce + SALT_LEN, iv, AEAD_IV_LEN);
		iv = nonce;
	}
	if (ctx && cipher && EVP_CipherInit_ex2(ctx, cipher, key->encr_key, iv, seal, NULL) &&
	    EVP_CIPHER_CTX_set_padding(ctx, 0))
		return ctx;
	EVP_CIPHER_CTX_free(ctx);
	return NULL;
}

static int hmac(const struct sk_key *key, struct bytes data, __u8 *icv)
{
	__u8 full[64];
	EVP_MAC_CTX *ctx = ike_hmac(integ_hash(key->integ));
	size_t len;
	int ok = ctx && EVP_MAC_init(ctx, key->integ_key, key->integ_key_len, NULL) &&
		 EVP_MAC_update(ctx, data.data, data.len) &&
		 EVP_MAC_final(ctx, full, &len, sizeof(full));

	EVP_MAC_CTX_free(ctx);
	if (!ok)
		return -EIO;
	memcpy(icv, full, icv_len(key));
	OPENSSL_cleanse(full, sizeof(full));
	return 0;
}

/* ------------------------------------------------------------------ sealing */

static int iv_draw(struct sk_key *key, __u8 *iv)
{
	if (!is_aead(key)) /* unpredictable (RFC 7296 3.14) */
		return RAND_bytes(iv, CBC_BLOCK) == 1 ? 0 : -EIO;
	if (key->iv == ~0ULL)
		return -EOVERFLOW;
	for (int i = 0; i < AEAD_IV_LEN; i++)
		iv[i] = (__u8)(key->iv >> 8 * (AEAD_IV_LEN - 1 - i));
	key->iv++;
	return 0;
}

/* In place. AEAD: the tag goes behind it. */
static int encrypt(const struct sk_key *key, struct bytes aad, const __u8 *iv, __u8 *text,
		   size_t len)
{
	EVP_CIPHER_CTX *ctx = cipher_open(key, iv, 1);
	bool aead = is_aead(key);
	int n, ok;

	ok = ctx && (!aead || EVP_CipherUpdate(ctx, NULL, &n, aad.data, (int)aad.len)) &&
	     EVP_CipherUpdate(ctx, text, &n, text, (int)len) &&
	     EVP_CipherFinal_ex(ctx, text + n, &n) &&
	     (!aead || EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, AEAD_TAG, text + len));
	EVP_CIPHER_CTX_free(ctx);
	return ok ? 0 : -EIO;
}

int sk_seal(struct sk_key *key, struct writer *w, struct bytes text)
{
	size_t start = w->len, pad = padding_len(key, text.len);
	__u8 *iv = writer_room(w, sk_overhead(key, text.len) + text.len), *at;
	int err;

	if (!iv)
		return w->err;
	at = iv + iv_len(key);
	if (text.len)
		memcpy(at, text.data, text.len);
	memset(at + text.len, 0, pad);
	at[text.len + pad - 1] = (__u8)(pad - 1);
	err = iv_draw(key, iv);
	if (!err)
		err = encrypt(key, BYTES(w->data, start), iv, at, text.len + pad);
	if (!err && !is_aead(key))
		err = hmac(key, BYTES(w->data, (size_t)(at - w->data) + text.len + pad),
			   at + text.len + pad);
	if (err) /* no plaintext stays in what could be sent */
		OPENSSL_cleanse(iv, w->len - start);
	return err;
}

/* ------------------------------------------------------------------ opening */

static int check_hmac(const struct sk_key *key, struct bytes raw)
{
	size_t icv = icv_len(key);
	__u8 want[32];
	int err = hmac(key, BYTES(raw.data, raw.len - icv), want);

	if (!err && CRYPTO_memcmp(want, raw.data + raw.len - icv, icv))
		err = -EBADMSG;
	OPENSSL_cleanse(want, sizeof(want));
	return err;
}

static int decrypt(const struct sk_key *key, const struct ike_sk *sk, __u8 *text, size_t len)
{
	const __u8 *from = sk->body.data + iv_len(key);
	EVP_CIPHER_CTX *ctx = cipher_open(key, sk->body.data, 0);
	bool aead = is_aead(key);
	int n, ok, err = 0;

	ok = ctx &&
	     (!aead ||
	      (EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, AEAD_TAG, (void *)(from + len)) &&
	       EVP_CipherUpdate(ctx, NULL, &n, sk->aad.data, (int)sk->aad.len))) &&
	     EVP_CipherUpdate(ctx, text, &n, from, (int)len);
	if (!ok)
		err = -EIO;
	else if (!EVP_CipherFinal_ex(ctx, text + n, &n))
		err = aead ? -EBADMSG : -EIO;
	EVP_CIPHER_CTX_free(ctx);
	return err;
}

int sk_open(const struct sk_key *key, const struct ike_msg *msg, struct writer *text)
{
	const struct ike_sk *sk = &msg->sk;
	size_t start = text->len, fixed = iv_len(key) + icv_len(key), len, pad;
	__u8 *to;
	int err = 0;

	if (!sk->here || sk->body.len <= fixed)
		return -EBADMSG;
	len = sk->body.len - fixed;
	if (!is_aead(key)) {
		if (len % CBC_BLOCK)
			return -EBADMSG;
		err = check_hmac(key, msg->raw);
		if (err)
			return err;
	}
	to = writer_room(text, len);
	if (!to)
		return text->err;
	err = decrypt(key, sk, to, len);
	pad = to[len - 1] + 1u;
	if (!err && pad > len)
		err = -EBADMSG;
	if (err) {
		OPENSSL_cleanse(to, len);
		text->len = start;
		return err;
	}
	text->len = start + len - pad;
	return 0;
}
