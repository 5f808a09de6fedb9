// SPDX-License-Identifier: BSD-2-Clause
#include "iked/keymat.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

void ike_keys_wipe(struct ike_keys *keys)
{
	OPENSSL_cleanse(keys, sizeof(*keys));
}

void ike_keys_wipe_auth(struct ike_keys *keys)
{
	OPENSSL_cleanse(keys->sk_pi, sizeof(keys->sk_pi));
	OPENSSL_cleanse(keys->sk_pr, sizeof(keys->sk_pr));
}

/* SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi, SK_pr, in this order (RFC 7296 2.14). */
#define STREAM_MAX (3 * PRF_LEN_MAX + 2 * (SK_INTEG_KEY_MAX + SK_ENCR_KEY_MAX))

static int keys_cut(const struct proposal *chosen, __u8 *stream, __u8 encr, __u8 integ,
		    struct ike_keys *keys)
{
	size_t len = keys->len;
	__u8 *ai = stream + len, *ar = ai + integ, *ei = ar + integ, *er = ei + encr;
	int err;

	memcpy(keys->sk_d, stream, len);
	memcpy(keys->sk_pi, er + encr, len);
	memcpy(keys->sk_pr, er + encr + len, len);
	err = sk_key_init(&keys->i, chosen, BYTES(ei, encr), BYTES(ai, integ));
	return err ? err : sk_key_init(&keys->r, chosen, BYTES(er, encr), BYTES(ar, integ));
}

/* {SK_d | …} = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr) */
static int keys_expand(const struct proposal *chosen, struct bytes skeyseed,
		       const struct keymat_in *in, struct ike_keys *out)
{
	const struct bytes parts[] = {in->nonce_i, in->nonce_r, BYTES_OF(in->spi_i),
				      BYTES_OF(in->spi_r)};
	_cleanup_keys_ struct ike_keys keys = {.prf = proposal_id(chosen, TRANSFORM_PRF)};
	__u8 stream[STREAM_MAX], encr, integ;
	int err = sk_key_lengths(chosen, &encr, &integ);

	keys.len = (__u8)prf_len(keys.prf);
	if (err || !keys.len)
		return -EINVAL;
	err = prf_plus(keys.prf, skeyseed, parts, 4, stream, 3u * keys.len + 2u * (encr + integ));
	if (!err)
		err = keys_cut(chosen, stream, encr, integ, &keys);
	if (!err)
		*out = keys;
	OPENSSL_cleanse(stream, sizeof(stream));
	return err;
}

static bool complete(const struct keymat_in *in)
{
	return in->nonce_i.len && in->nonce_r.len && in->nonce_i.len <= IKE_NONCE_MAX &&
	       in->nonce_r.len <= IKE_NONCE_MAX;
}

/* SKEYSEED = prf(Ni | Nr, g^ir) */
int keymat_ike(const struct proposal *chosen, const struct keymat_in *in, struct ike_keys *out)
{
	__u8 nonces[2 * IKE_NONCE_MAX], skeyseed[PRF_LEN_MAX];
	__u16 prf_id = proposal_id(chosen, TRANSFORM_PRF);
	int err;

	if (!complete(in) || !in->shared.len)
		return -EINVAL;
	memcpy(nonces, in->nonce_i.data, in->nonce_i.len);
	memcpy(nonces + in->nonce_i.len, in->nonce_r.data, in->nonce_r.len);
	err = prf(prf_id, BYTES(nonces, in->nonce_i.len + in->nonce_r.len), &in->shared, 1,
		  skeyseed);
	if (!err)
		err = keys_expand(chosen, BYTES(skeyseed, prf_len(prf_id)), in, out);
	OPENSSL_cleanse(skeyseed, sizeof(skeyseed));
	return err;
}

/* SKEYSEED = prf(SK_d (old), g^ir (new) | Ni | Nr), the old SA's prf; prf+ is the new one's. */
int keymat_rekey(const struct proposal *chosen, const struct ike_keys *old,
		 const struct keymat_in *in, struct ike_keys *out)
{
	const struct bytes parts[] = {in->shared, in->nonce_i, in->nonce_r};
	__u8 skeyseed[PRF_LEN_MAX];
	int err;

	if (!complete(in) || !in->shared.len)
		return -EINVAL;
	err = prf(old->prf, BYTES(old->sk_d, old->len), parts, 3, skeyseed);
	if (!err)
		err = keys_expand(chosen, BYTES(skeyseed, old->len), in, out);
	OPENSSL_cleanse(skeyseed, sizeof(skeyseed));
	return err;
}

/* KEYMAT = prf+(SK_d, [g^ir (new) |] Ni | Nr); what the initiator sends with comes first. */
int keymat_child(const struct ike_keys *ike, const struct keymat_in *in, size_t key_len, __u8 *i2r,
		 __u8 *r2i)
{
	const struct bytes parts[] = {in->shared, in->nonce_i, in->nonce_r};
	__u8 stream[2 * XIPSEC_KEY_MAX];
	int err;

	if (!complete(in) || !key_len || key_len > XIPSEC_KEY_MAX)
		return -EINVAL;
	err = prf_plus(ike->prf, BYTES(ike->sk_d, ike->len), parts, 3, stream, 2 * key_len);
	if (!err) {
		memcpy(i2r, stream, key_len);
		memcpy(r2i, stream + key_len, key_len);
	}
	OPENSSL_cleanse(stream, sizeof(stream));
	return err;
}
