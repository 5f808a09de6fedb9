// SPDX-License-Identifier: BSD-2-Clause
#include "iked/auth_scheme.h"

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <string.h>

/* ------------------------------------------------------------------ what is sent */

#define OID_SHA2(n)  0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, n
#define OID_PKCS1(n) 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, n

#define PKCS1(n)                                     \
	{                                            \
		0x30, 0x0d, OID_PKCS1(n), 0x05, 0x00 \
	}
#define ECDSA(n)                                                                    \
	{                                                                           \
		0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, n \
	}
/* As RFC 7427 A.4.3, but for trailerField: it has its default, which DER leaves out. */
#define PSS(n, salt)                                                                               \
	{                                                                                          \
		0x30, 0x41, OID_PKCS1(10), 0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d, OID_SHA2(n), 0x05,  \
			0x00, 0xa1, 0x1c, 0x30, 0x1a, OID_PKCS1(8), 0x30, 0x0d, OID_SHA2(n), 0x05, \
			0x00, 0xa2, 0x03, 0x02, 0x01, salt                                         \
	}

static const __u8 pkcs1_256[] = PKCS1(11), pkcs1_384[] = PKCS1(12), pkcs1_512[] = PKCS1(13);
static const __u8 pss_256[] = PSS(1, 32), pss_384[] = PSS(2, 48), pss_512[] = PSS(3, 64);
static const __u8 ecdsa_256[] = ECDSA(2), ecdsa_384[] = ECDSA(3), ecdsa_512[] = ECDSA(4);
static const __u8 ed25519[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
static const __u8 ed448[] = {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71};

#define BLOB(x)              \
	{                    \
		x, sizeof(x) \
	}

static const struct scheme schemes[AUTH_SCHEME_COUNT] = {
	[AUTH_SCHEME_NONE] = {"no signature", 0, 0, 0, false, 0, {NULL, 0}},
	[AUTH_RSA_PKCS1_SHA256] = {"RSA_EMSA_PKCS1_SHA2_256", EVP_PKEY_RSA, IKE_AUTH_SIGNATURE,
				   IKE_HASH_SHA256, false, 0, BLOB(pkcs1_256)},
	[AUTH_RSA_PKCS1_SHA384] = {"RSA_EMSA_PKCS1_SHA2_384", EVP_PKEY_RSA, IKE_AUTH_SIGNATURE,
				   IKE_HASH_SHA384, false, 0, BLOB(pkcs1_384)},
	[AUTH_RSA_PKCS1_SHA512] = {"RSA_EMSA_PKCS1_SHA2_512", EVP_PKEY_RSA, IKE_AUTH_SIGNATURE,
				   IKE_HASH_SHA512, false, 0, BLOB(pkcs1_512)},
	[AUTH_RSA_PSS_SHA256] = {"RSA_EMSA_PSS_SHA2_256", EVP_PKEY_RSA, IKE_AUTH_SIGNATURE,
				 IKE_HASH_SHA256, true, 0, BLOB(pss_256)},
	[AUTH_RSA_PSS_SHA384] = {"RSA_EMSA_PSS_SHA2_384", EVP_PKEY_RSA, IKE_AUTH_SIGNATURE,
				 IKE_HASH_SHA384, true, 0, BLOB(pss_384)},
	[AUTH_RSA_PSS_SHA512] = {"RSA_EMSA_PSS_SHA2_512", EVP_PKEY_RSA, IKE_AUTH_SIGNATURE,
				 IKE_HASH_SHA512, true, 0, BLOB(pss_512)},
	[AUTH_ECDSA_SHA256] = {"ECDSA_WITH_SHA256_DER", EVP_PKEY_EC, IKE_AUTH_SIGNATURE,
			       IKE_HASH_SHA256, false, 0, BLOB(ecdsa_256)},
	[AUTH_ECDSA_SHA384] = {"ECDSA_WITH_SHA384_DER", EVP_PKEY_EC, IKE_AUTH_SIGNATURE,
			       IKE_HASH_SHA384, false, 0, BLOB(ecdsa_384)},
	[AUTH_ECDSA_SHA512] = {"ECDSA_WITH_SHA512_DER", EVP_PKEY_EC, IKE_AUTH_SIGNATURE,
			       IKE_HASH_SHA512, false, 0, BLOB(ecdsa_512)},
	[AUTH_ED25519] = {"ED25519", EVP_PKEY_ED25519, IKE_AUTH_SIGNATURE, IKE_HASH_IDENTITY, false,
			  0, BLOB(ed25519)},
	[AUTH_ED448] = {"ED448", EVP_PKEY_ED448, IKE_AUTH_SIGNATURE, IKE_HASH_IDENTITY, false, 0,
			BLOB(ed448)},
	[AUTH_ECDSA_256] = {"ECDSA-256",
			    EVP_PKEY_EC,
			    IKE_AUTH_ECDSA_256,
			    IKE_HASH_SHA256,
			    false,
			    NID_X9_62_prime256v1,
			    {NULL, 0}},
	[AUTH_ECDSA_384] = {"ECDSA-384",
			    EVP_PKEY_EC,
			    IKE_AUTH_ECDSA_384,
			    IKE_HASH_SHA384,
			    false,
			    NID_secp384r1,
			    {NULL, 0}},
	[AUTH_ECDSA_521] = {"ECDSA-521",
			    EVP_PKEY_EC,
			    IKE_AUTH_ECDSA_521,
			    IKE_HASH_SHA512,
			    false,
			    NID_secp521r1,
			    {NULL, 0}},
};

const struct scheme *scheme_get(enum auth_scheme scheme)
{
	return &schemes[(unsigned int)scheme < AUTH_SCHEME_COUNT ? scheme : AUTH_SCHEME_NONE];
}

const char *auth_scheme_name(enum auth_scheme scheme)
{
	return scheme_get(scheme)->name;
}

__u8 auth_scheme_method(enum auth_scheme scheme)
{
	return scheme_get(scheme)->method;
}

/* ------------------------------------------------------------------ what is read */

static unsigned int hash_of(const X509_ALGOR *alg)
{
	const ASN1_OBJECT *object;
	int type;

	if (!alg)
		return IKE_HASH_SHA1; /* the default of RFC 4055 */
	X509_ALGOR_get0(&object, &type, NULL, alg);
	if (type != V_ASN1_NULL && type != V_ASN1_UNDEF)
		return 0;
	switch (OBJ_obj2nid(object)) {
	case NID_sha256: return IKE_HASH_SHA256;
	case NID_sha384: return IKE_HASH_SHA384;
	case NID_sha512: return IKE_HASH_SHA512;
	default: return 0;
	}
}

/* MGF1 and its hash. */
static unsigned int mask_hash(const X509_ALGOR *mgf)
{
	const ASN1_OBJECT *object;
	const void *value;
	X509_ALGOR *inner;
	unsigned int hash;
	int type;

	if (!mgf)
		return IKE_HASH_SHA1;
	X509_ALGOR_get0(&object, &type, &value, mgf);
	if (OBJ_obj2nid(object) != NID_mgf1 || type != V_ASN1_SEQUENCE)
		return 0;
	inner = ASN1_item_unpack(value, ASN1_ITEM_rptr(X509_ALGOR));
	hash = inner ? hash_of(inner) : 0;
	X509_ALGOR_free(inner);
	return hash;
}

static enum auth_scheme pss_scheme(const RSA_PSS_PARAMS *params, int *salt_len)
{
	unsigned int hash = hash_of(params->hashAlgorithm);
	long salt = params->saltLength ? ASN1_INTEGER_get(params->saltLength) : 20;
	long trailer = params->trailerField ? ASN1_INTEGER_get(params->trailerField) : 1;

	if (hash != mask_hash(params->maskGenAlgorithm) || trailer != 1 || salt < 0 || salt > 255)
		return AUTH_SCHEME_NONE;
	*salt_len = (int)salt;
	switch (hash) {
	case IKE_HASH_SHA256: return AUTH_RSA_PSS_SHA256;
	case IKE_HASH_SHA384: return AUTH_RSA_PSS_SHA384;
	case IKE_HASH_SHA512: return AUTH_RSA_PSS_SHA512;
	default: return AUTH_SCHEME_NONE;
	}
}

static enum auth_scheme pss_of_blob(struct bytes blob, int *salt_len)
{
	const unsigned char *at = blob.data;
	X509_ALGOR *alg = d2i_X509_ALGOR(NULL, &at, (long)blob.len);
	enum auth_scheme scheme = AUTH_SCHEME_NONE;
	RSA_PSS_PARAMS *params = NULL;
	const ASN1_OBJECT *object = NULL;
	const void *value = NULL;
	int type = 0;

	if (alg && at == blob.data + blob.len)
		X509_ALGOR_get0(&object, &type, &value, alg);
	if (object && OBJ_obj2nid(object) == NID_rsassaPss && type == V_ASN1_SEQUENCE)
		params = ASN1_item_unpack(value, ASN1_ITEM_rptr(RSA_PSS_PARAMS));
	if (params)
		scheme = pss_scheme(params, salt_len);
	RSA_PSS_PARAMS_free(params);
	X509_ALGOR_free(alg);
	ERR_clear_error();
	return scheme;
}

enum auth_scheme scheme_of_blob(struct bytes blob, int *salt_len)
{
	for (unsigned int i = 1; i < AUTH_SCHEME_COUNT; i++)
		if (schemes[i].blob.len && !schemes[i].pss && bytes_equal(schemes[i].blob, blob))
			return i;
	return pss_of_blob(blob, salt_len);
}

/* ------------------------------------------------------------------ keys */

int scheme_curve(EVP_PKEY *key)
{
	char name[40];
	size_t len;
	int nid;

	if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
	    !EVP_PKEY_get_group_name(key, name, sizeof(name), &len))
		return 0;
	nid = OBJ_txt2nid(name);
	if (nid == NID_undef)
		nid = EC_curve_nist2nid(name);
	return nid == NID_X9_62_prime256v1 || nid == NID_secp384r1 || nid == NID_secp521r1 ? nid
											   : 0;
}

bool auth_scheme_fits(enum auth_scheme scheme, EVP_PKEY *key)
{
	const struct scheme *s = scheme_get(scheme);
	int type = EVP_PKEY_get_base_id(key);

	if (!s->method)
		return false;
	if (type == EVP_PKEY_RSA_PSS)
		return s->pss;
	if (type != s->key)
		return false;
	if (type == EVP_PKEY_EC)
		return scheme_curve(key) && (!s->curve || s->curve == scheme_curve(key));
	return true;
}

/* The bits of the hash that is as strong as the key. */
static unsigned int strength(EVP_PKEY *key)
{
	int bits = EVP_PKEY_get_bits(key);

	if (EVP_PKEY_get_base_id(key) == EVP_PKEY_EC)
		return bits <= 256   ? IKE_HASH_SHA256
		       : bits <= 384 ? IKE_HASH_SHA384
				     : IKE_HASH_SHA512;
	return bits <= 3072 ? IKE_HASH_SHA256 : bits <= 7680 ? IKE_HASH_SHA384 : IKE_HASH_SHA512;
}

/* That hash if the peer takes it, else a stronger one, else a weaker one; 0: none. */
static unsigned int hash_choose(EVP_PKEY *key, __u32 hashes)
{
	unsigned int wish = strength(key);

	for (unsigned int hash = wish; hash <= IKE_HASH_SHA512; hash++)
		if (hashes & 1u << hash)
			return hash;
	for (unsigned int hash = wish; hash >= IKE_HASH_SHA256; hash--)
		if (hashes & 1u << hash)
			return hash;
	return 0;
}

static enum auth_scheme old_scheme(EVP_PKEY *key)
{
	for (unsigned int i = AUTH_ECDSA_256; i <= AUTH_ECDSA_521; i++)
		if (auth_scheme_fits(i, key))
			return i;
	return AUTH_SCHEME_NONE;
}

enum auth_scheme auth_scheme_choose(EVP_PKEY *key, __u32 hashes)
{
	int type = EVP_PKEY_get_base_id(key);
	unsigned int hash;

	if (!hashes)
		return old_scheme(key);
	if (type == EVP_PKEY_ED25519 || type == EVP_PKEY_ED448) {
		if (!(hashes & 1u << IKE_HASH_IDENTITY))
			return AUTH_SCHEME_NONE;
		return type == EVP_PKEY_ED25519 ? AUTH_ED25519 : AUTH_ED448;
	}
	hash = hash_choose(key, hashes);
	for (unsigned int i = AUTH_RSA_PSS_SHA256; hash && i <= AUTH_ECDSA_SHA512; i++)
		if (schemes[i].hash == hash && auth_scheme_fits(i, key))
			return i;
	return AUTH_SCHEME_NONE;
}
