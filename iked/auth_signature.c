// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#include "iked/auth.h"
#include "iked/auth_scheme.h"
#include "iked/crypto.h"

#define RSA_BITS_MIN 2048 /* RFC 8247 4.1: smaller is SHOULD NOT */

/* ------------------------------------------------------------------ OpenSSL */

/* A context for making or verifying, with hash and padding of the scheme. */
static EVP_MD_CTX *md_open(const struct scheme *s, EVP_PKEY *key, int salt_len, bool sign)
{
	const EVP_MD *md = s->hash == IKE_HASH_IDENTITY ? NULL : ike_md(s->hash);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL;
	int ok = ctx && (sign ? EVP_DigestSignInit(ctx, &pctx, md, NULL, key)
			      : EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key)) > 0;

	if (ok && s->pss)
		ok = EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING) > 0 &&
		     EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, salt_len) > 0 &&
		     EVP_PKEY_CTX_set_rsa_mgf1_md(pctx, md) > 0;
	if (ok)
		return ctx;
	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return NULL;
}

/* ------------------------------------------------------------------ r | s (RFC 4754 3) */

static size_t half_len(const struct scheme *s)
{
	return s->curve == NID_X9_62_prime256v1 ? 32 : s->curve == NID_secp384r1 ? 48 : 66;
}

/* DER to r | s, each of the curve's size. */
static int plain_of_der(const struct scheme *s, struct bytes der, struct writer *out)
{
	const unsigned char *at = der.data;
	ECDSA_SIG *sig = d2i_ECDSA_SIG(NULL, &at, (long)der.len);
	int half = (int)half_len(s), ok = 0;
	__u8 *to = sig ? writer_room(out, 2 * (size_t)half) : NULL;

	if (to)
		ok = BN_bn2binpad(ECDSA_SIG_get0_r(sig), to, half) == half &&
		     BN_bn2binpad(ECDSA_SIG_get0_s(sig), to + half, half) == half;
	ECDSA_SIG_free(sig);
	return ok ? 0 : -EIO;
}

static int der_of_plain(const struct scheme *s, struct bytes plain, struct writer *out)
{
	size_t half = half_len(s);
	ECDSA_SIG *sig = ECDSA_SIG_new();
	BIGNUM *r, *t;
	unsigned char *der = NULL;
	int len = -1;

	if (!sig || plain.len != 2 * half) {
		ECDSA_SIG_free(sig);
		return -EACCES;
	}
	r = BN_bin2bn(plain.data, (int)half, NULL);
	t = BN_bin2bn(plain.data + half, (int)half, NULL);
	if (r && t && ECDSA_SIG_set0(sig, r, t)) {
		len = i2d_ECDSA_SIG(sig, &der);
	} else {
		BN_free(r);
		BN_free(t);
	}
	ECDSA_SIG_free(sig);
	if (len <= 0)
		return -ENOMEM;
	writer_bytes(out, BYTES(der, (size_t)len));
	OPENSSL_free(der);
	return out->err;
}

/* ------------------------------------------------------------------ making */

static int salt_of(const struct scheme *s)
{
	return s->hash == IKE_HASH_SHA256 ? 32 : s->hash == IKE_HASH_SHA384 ? 48 : 64;
}

static int sign_octets(const struct scheme *s, EVP_PKEY *key, struct bytes octets,
		       struct writer *sig)
{
	EVP_MD_CTX *ctx = md_open(s, key, salt_of(s), true);
	size_t len = (size_t)EVP_PKEY_get_size(key);
	__u8 *to = ctx ? writer_room(sig, len) : NULL;
	int ok = to && EVP_DigestSign(ctx, to, &len, octets.data, octets.len) > 0;

	EVP_MD_CTX_free(ctx);
	if (!ok) {
		ERR_clear_error();
		return -EIO;
	}
	sig->len = len;
	return 0;
}

int auth_sign(const struct auth_in *in, EVP_PKEY *key, enum auth_scheme scheme, struct writer *out)
{
	const struct scheme *s = scheme_get(scheme);
	_cleanup_writer_ struct writer octets = {0}, sig = {0};
	int err;

	if (!auth_scheme_fits(scheme, key))
		return -EINVAL;
	err = auth_octets(in, &octets);
	if (!err)
		err = sign_octets(s, key, writer_view(&octets), &sig);
	if (err)
		return err;
	if (s->curve)
		return plain_of_der(s, writer_view(&sig), out);
	writer_u8(out, (__u8)s->blob.len);
	writer_bytes(out, s->blob);
	writer_bytes(out, writer_view(&sig));
	return out->err;
}

/* ------------------------------------------------------------------ verifying */

static int verify_octets(const struct scheme *s, EVP_PKEY *key, int salt_len, struct bytes octets,
			 struct bytes sig)
{
	EVP_MD_CTX *ctx = md_open(s, key, salt_len, false);
	int ok = ctx && sig.len &&
		 EVP_DigestVerify(ctx, sig.data, sig.len, octets.data, octets.len) == 1;

	EVP_MD_CTX_free(ctx);
	ERR_clear_error();
	return ok ? 0 : -EACCES;
}

static int refuse(char *why, size_t size, int err, const char *what)
{
	snprintf(why, size, "%s", what);
	return err;
}

/* Takes the signature out of AUTH data: `sig`, and how it was made. */
static int data_split(__u8 method, struct bytes data, enum auth_scheme *scheme, int *salt_len,
		      struct bytes *sig, char *why, size_t size)
{
	struct reader r = reader_of(data);
	struct bytes blob;

	*sig = data;
	switch (method) {
	case IKE_AUTH_ECDSA_256: *scheme = AUTH_ECDSA_256; return 0;
	case IKE_AUTH_ECDSA_384: *scheme = AUTH_ECDSA_384; return 0;
	case IKE_AUTH_ECDSA_521: *scheme = AUTH_ECDSA_521; return 0;
	case IKE_AUTH_SIGNATURE: break;
	case IKE_AUTH_RSA:
		return refuse(why, size, -EOPNOTSUPP,
			      "method 1, RSA with SHA-1: the peer does not know RFC 7427");
	default: snprintf(why, size, "method %u", method); return -EOPNOTSUPP;
	}
	blob = reader_bytes(&r, reader_u8(&r));
	*sig = reader_rest(&r);
	if (r.failed)
		return refuse(why, size, -EACCES, "AUTH data is too short");
	*scheme = scheme_of_blob(blob, salt_len);
	if (*scheme == AUTH_SCHEME_NONE)
		return refuse(why, size, -EOPNOTSUPP,
			      "a signature algorithm, hash or parameter that is not taken");
	return 0;
}

static int check_key(enum auth_scheme scheme, EVP_PKEY *key, char *why, size_t size)
{
	int type = EVP_PKEY_get_base_id(key), bits = EVP_PKEY_get_bits(key);

	if ((type == EVP_PKEY_RSA || type == EVP_PKEY_RSA_PSS) && bits < RSA_BITS_MIN) {
		snprintf(why, size, "RSA of %d bits, less than %d", bits, RSA_BITS_MIN);
		return -EOPNOTSUPP;
	}
	if (!auth_scheme_fits(scheme, key)) {
		snprintf(why, size, "%s is none of the key's", auth_scheme_name(scheme));
		return -EACCES;
	}
	return 0;
}

int auth_verify(const struct auth_in *in, EVP_PKEY *key, __u8 method, struct bytes data,
		enum auth_scheme *scheme, char *why, size_t size)
{
	_cleanup_writer_ struct writer octets = {0}, der = {0};
	enum auth_scheme how = AUTH_SCHEME_NONE;
	struct bytes sig;
	int salt_len = 0, err;

	err = data_split(method, data, &how, &salt_len, &sig, why, size);
	if (!err)
		err = check_key(how, key, why, size);
	if (!err)
		err = auth_octets(in, &octets);
	if (!err && scheme_get(how)->curve) {
		err = der_of_plain(scheme_get(how), sig, &der);
		sig = writer_view(&der);
	}
	if (err)
		return err;
	err = verify_octets(scheme_get(how), key, salt_len, writer_view(&octets), sig);
	if (err)
		snprintf(why, size, "%s signature is wrong", auth_scheme_name(how));
	else if (scheme)
		*scheme = how;
	return err;
}
