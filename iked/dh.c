// SPDX-License-Identifier: BSD-2-Clause
#include "iked/dh.h"

#include <errno.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <stdlib.h>
#include <string.h>

enum dh_kind { DH_MODP, DH_ECP, DH_RAW };

struct dh_kind_of {
	__u16 group;
	__u8 kind;        /* enum dh_kind */
	const char *name; /* OpenSSL's, of the group or of the key type */
	__u16 len;        /* of a public value, bytes */
	int nid;          /* of the curve */
};

static const struct dh_kind_of groups[] = {
	{KE_MODP_2048, DH_MODP, "modp_2048", 256, 0},
	{KE_MODP_3072, DH_MODP, "modp_3072", 384, 0},
	{KE_MODP_4096, DH_MODP, "modp_4096", 512, 0},
	{KE_MODP_6144, DH_MODP, "modp_6144", 768, 0},
	{KE_MODP_8192, DH_MODP, "modp_8192", 1024, 0},
	{KE_ECP_256, DH_ECP, "P-256", 64, NID_X9_62_prime256v1},
	{KE_ECP_384, DH_ECP, "P-384", 96, NID_secp384r1},
	{KE_ECP_521, DH_ECP, "P-521", 132, NID_secp521r1},
	{KE_X25519, DH_RAW, "X25519", 32, 0},
	{KE_X448, DH_RAW, "X448", 56, 0},
};

struct dh {
	const struct dh_kind_of *group;
	EVP_PKEY *key;
	__u8 public[];
};

static const struct dh_kind_of *group_find(__u16 group)
{
	for (size_t i = 0; i < sizeof(groups) / sizeof(groups[0]); i++)
		if (groups[i].group == group)
			return &groups[i];
	return NULL;
}

bool dh_supported(__u16 group)
{
	return group_find(group);
}

size_t dh_public_len(__u16 group)
{
	const struct dh_kind_of *g = group_find(group);

	return g ? g->len : 0;
}

__u16 dh_group(const struct dh *dh)
{
	return dh->group->group;
}

struct bytes dh_public(const struct dh *dh)
{
	return BYTES(dh->public, dh->group->len);
}

void dh_free(struct dh *dh)
{
	if (!dh)
		return;
	EVP_PKEY_free(dh->key); /* OpenSSL wipes its private value */
	free(dh);
}

void dh_freep(struct dh **dh)
{
	dh_free(*dh);
}

/* ------------------------------------------------------------------ OpenSSL's keys */

static const char *type_of(const struct dh_kind_of *g)
{
	return g->kind == DH_MODP ? "DH" : g->kind == DH_ECP ? "EC" : g->name;
}

static EVP_PKEY *key_generate(const struct dh_kind_of *g)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type_of(g), NULL);
	EVP_PKEY *key = NULL;
	int ok = ctx && EVP_PKEY_keygen_init(ctx) > 0;

	if (ok && g->kind != DH_RAW)
		ok = EVP_PKEY_CTX_set_group_name(ctx, g->name) > 0;
	if (ok && EVP_PKEY_keygen(ctx, &key) <= 0)
		key = NULL;
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* The public value in the form of the KE payload. */
static int public_write(const struct dh_kind_of *g, EVP_PKEY *key, __u8 *out)
{
	__u8 point[1 + 132];
	BIGNUM *pub = NULL;
	size_t len = g->len;
	int ok;

	switch (g->kind) {
	case DH_MODP:
		ok = EVP_PKEY_get_bn_param(key, OSSL_PKEY_PARAM_PUB_KEY, &pub) &&
		     BN_bn2binpad(pub, out, g->len) == g->len;
		BN_free(pub);
		break;
	case DH_ECP:
		ok = EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point,
						     sizeof(point), &len) &&
		     len == g->len + 1u && point[0] == POINT_CONVERSION_UNCOMPRESSED;
		if (ok)
			memcpy(out, point + 1, g->len);
		break;
	default: ok = EVP_PKEY_get_raw_public_key(key, out, &len) && len == g->len; break;
	}
	return ok ? 0 : -EIO;
}

/* Takes the key. */
static int dh_wrap(const struct dh_kind_of *g, EVP_PKEY *key, struct dh **out)
{
	struct dh *dh = key ? malloc(sizeof(*dh) + g->len) : NULL;
	int err;

	if (!dh) {
		EVP_PKEY_free(key);
		ERR_clear_error();
		return key ? -ENOMEM : -EIO;
	}
	dh->group = g;
	dh->key = key;
	err = public_write(g, key, dh->public);
	if (err)
		dh_free(dh);
	else
		*out = dh;
	return err;
}

int dh_new(__u16 group, struct dh **out)
{
	const struct dh_kind_of *g = group_find(group);

	return g ? dh_wrap(g, key_generate(g), out) : -EINVAL;
}

/* A key of group and public value, and of a private one if there is. */
static EVP_PKEY *key_of_params(const struct dh_kind_of *g, const BIGNUM *private, const BIGNUM *pub,
			       struct bytes point)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type_of(g), NULL);
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	OSSL_PARAM *params = NULL;
	EVP_PKEY *key = NULL;
	int ok = ctx && bld &&
		 OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, g->name, 0);

	if (ok && private)
		ok = OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PRIV_KEY, private);
	if (ok && pub)
		ok = OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_PUB_KEY, pub);
	if (ok && point.data)
		ok = OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, point.data,
						      point.len);
	if (ok)
		params = OSSL_PARAM_BLD_to_param(bld);
	if (params && EVP_PKEY_fromdata_init(ctx) > 0 &&
	    EVP_PKEY_fromdata(ctx, &key, private ? EVP_PKEY_KEYPAIR : EVP_PKEY_PUBLIC_KEY,
			      params) <= 0)
		key = NULL;
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* ------------------------------------------------------------------ the peer's value */

static EVP_PKEY *peer_key(const struct dh_kind_of *g, struct bytes peer)
{
	__u8 point[1 + 132];
	EVP_PKEY *key;
	BIGNUM *pub;

	switch (g->kind) {
	case DH_MODP:
		pub = BN_bin2bn(peer.data, (int)peer.len, NULL);
		key = pub ? key_of_params(g, NULL, pub, BYTES_NONE) : NULL;
		BN_free(pub);
		return key;
	case DH_ECP:
		point[0] = POINT_CONVERSION_UNCOMPRESSED;
		memcpy(point + 1, peer.data, peer.len);
		return key_of_params(g, NULL, NULL, BYTES(point, 1 + peer.len));
	default: return EVP_PKEY_new_raw_public_key_ex(NULL, g->name, NULL, peer.data, peer.len);
	}
}

/*
 * RFC 6989 2.1 and 2.3: in range, not 1 or p - 1; on the curve. The quick check is all of that:
 * these primes are safe and these curves have cofactor 1, so the order needs no exponentiation. Of
 * X25519 and X448, the all-zero result is refused when deriving (RFC 8031 4, RFC 7748 6).
 */
static bool peer_is_valid(const struct dh_kind_of *g, EVP_PKEY *key)
{
	EVP_PKEY_CTX *ctx;
	bool ok;

	if (g->kind == DH_RAW)
		return true;
	ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key, NULL);
	ok = ctx && EVP_PKEY_public_check_quick(ctx) > 0;
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

static int derive(const struct dh *dh, EVP_PKEY *peer, struct secret *out)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, dh->key, NULL);
	size_t len = sizeof(out->data);
	int err = -EIO;

	if (ctx && EVP_PKEY_derive_init(ctx) > 0 &&
	    (dh->group->kind != DH_MODP || EVP_PKEY_CTX_set_dh_pad(ctx, 1) > 0) &&
	    EVP_PKEY_derive_set_peer_ex(ctx, peer, 0) > 0)
		err = EVP_PKEY_derive(ctx, out->data, &len) > 0 ? 0 : -EBADMSG;
	EVP_PKEY_CTX_free(ctx);
	if (!err)
		out->len = len;
	return err;
}

int dh_shared(const struct dh *dh, struct bytes peer, struct secret *out)
{
	_cleanup_secret_ struct secret shared = {0};
	EVP_PKEY *key;
	int err = -EBADMSG;

	if (peer.len != dh->group->len)
		return -EBADMSG;
	key = peer_key(dh->group, peer);
	if (key && peer_is_valid(dh->group, key))
		err = derive(dh, key, &shared);
	EVP_PKEY_free(key);
	if (err)
		ERR_clear_error();
	else
		*out = shared;
	return err;
}

/* ------------------------------------------------------------------ of a given private value */

static EVP_PKEY *modp_of_private(const struct dh_kind_of *g, const BIGNUM *private)
{
	EVP_PKEY *any = key_generate(g), *key = NULL;
	BIGNUM *p = NULL, *base = NULL, *pub = BN_new();
	BN_CTX *ctx = BN_CTX_new();

	if (any && pub && ctx && EVP_PKEY_get_bn_param(any, OSSL_PKEY_PARAM_FFC_P, &p) &&
	    EVP_PKEY_get_bn_param(any, OSSL_PKEY_PARAM_FFC_G, &base) &&
	    BN_mod_exp(pub, base, private, p, ctx))
		key = key_of_params(g, private, pub, BYTES_NONE);
	BN_free(p);
	BN_free(base);
	BN_free(pub);
	BN_CTX_free(ctx);
	EVP_PKEY_free(any);
	return key;
}

static EVP_PKEY *ecp_of_private(const struct dh_kind_of *g, const BIGNUM *private)
{
	EC_GROUP *group = EC_GROUP_new_by_curve_name(g->nid);
	EC_POINT *point = group ? EC_POINT_new(group) : NULL;
	EVP_PKEY *key = NULL;
	__u8 pub[1 + 132];
	size_t len;

	if (point && EC_POINT_mul(group, point, private, NULL, NULL, NULL)) {
		len = EC_POINT_point2oct(group, point, POINT_CONVERSION_UNCOMPRESSED, pub,
					 sizeof(pub), NULL);
		key = len ? key_of_params(g, private, NULL, BYTES(pub, len)) : NULL;
	}
	EC_POINT_free(point);
	EC_GROUP_free(group);
	return key;
}

int dh_of_private(__u16 group, struct bytes private, struct dh **out)
{
	const struct dh_kind_of *g = group_find(group);
	EVP_PKEY *key = NULL;
	BIGNUM *bn;

	if (!g)
		return -EINVAL;
	if (g->kind == DH_RAW) {
		key = EVP_PKEY_new_raw_private_key_ex(NULL, g->name, NULL, private.data,
						      private.len);
	} else {
		bn = BN_bin2bn(private.data, (int)private.len, NULL);
		if (bn)
			key = g->kind == DH_MODP ? modp_of_private(g, bn) : ecp_of_private(g, bn);
		BN_clear_free(bn);
	}
	return dh_wrap(g, key, out);
}
