/* SPDX-License-Identifier: BSD-2-Clause */
/* Certificates and CRLs made by OpenSSL, at a time that stands still. */
#ifndef TESTS_UNIT_CERT_FIXTURE_H
#define TESTS_UNIT_CERT_FIXTURE_H

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#include "tests/unit/ike_fixture.h"

#define NOW ((time_t)1700000000) /* 14 November 2023 */
#define DAY 86400

struct made {
	X509 *cert;
	EVP_PKEY *key;
	__u8 *der;
	size_t len;
};

/* What is left out is usual: an ECDSA key, SHA-256, valid from a day ago for a year. */
struct wish {
	const char *cn;
	const struct made *issuer; /* NULL: self-signed */
	EVP_PKEY *key;             /* taken */
	const char *ca;            /* basicConstraints */
	const char *usage;         /* keyUsage */
	const char *extended;      /* extendedKeyUsage */
	const char *names;         /* subjectAltName */
	const char *constraints;   /* nameConstraints */
	const char *crl_place;     /* crlDistributionPoints */
	const EVP_MD *md;
	bool no_md; /* Ed25519, Ed448 */
	bool pss;
	bool critical; /* an extension that nobody knows */
	bool v1;
	long from, until; /* seconds from now */
	long serial;
};

static inline void add_ext(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *ext;

	if (!value)
		return;
	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	ext = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	if (!ext)
		fail_msg("extension: %s", value);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
}

static inline void add_critical(X509 *cert)
{
	ASN1_OBJECT *object = OBJ_txt2obj("1.3.6.1.4.1.99999.1", 1);
	ASN1_OCTET_STRING *value = ASN1_OCTET_STRING_new();
	X509_EXTENSION *ext;

	ASN1_OCTET_STRING_set(value, (const unsigned char *)"\x05\0", 2);
	ext = X509_EXTENSION_create_by_OBJ(NULL, object, 1, value);
	X509_add_ext(cert, ext, -1);
	X509_EXTENSION_free(ext);
	ASN1_OCTET_STRING_free(value);
	ASN1_OBJECT_free(object);
}

static inline void sign_cert(X509 *cert, EVP_PKEY *key, const struct wish *wish)
{
	const EVP_MD *md = wish->no_md ? NULL : wish->md ? wish->md : EVP_sha256();
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;

	assert_true(EVP_DigestSignInit(ctx, &pctx, md, NULL, key) > 0);
	if (wish->pss) {
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
		EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, 32);
	}
	assert_true(X509_sign_ctx(cert, ctx) > 0);
	EVP_MD_CTX_free(ctx);
}

static inline void add_extensions(X509 *cert, X509 *issuer, const struct wish *wish)
{
	add_ext(cert, issuer, NID_basic_constraints, wish->ca);
	add_ext(cert, issuer, NID_key_usage, wish->usage);
	add_ext(cert, issuer, NID_ext_key_usage, wish->extended);
	add_ext(cert, issuer, NID_subject_alt_name, wish->names);
	add_ext(cert, issuer, NID_name_constraints, wish->constraints);
	add_ext(cert, issuer, NID_crl_distribution_points, wish->crl_place);
	add_ext(cert, issuer, NID_subject_key_identifier, "hash");
	if (wish->critical)
		add_critical(cert);
}

static inline struct made make_cert(struct wish wish)
{
	struct made made = {.cert = X509_new(), .key = wish.key ? wish.key : EVP_EC_gen("P-256")};
	X509 *issuer = wish.issuer ? wish.issuer->cert : made.cert;
	X509_NAME *name = X509_get_subject_name(made.cert);
	unsigned char *der = NULL;
	static long serial = 1000;

	X509_set_version(made.cert, wish.v1 ? 0 : 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.cert), wish.serial ? wish.serial : serial++);
	ASN1_TIME_set(X509_getm_notBefore(made.cert), NOW + (wish.from ? wish.from : -DAY));
	ASN1_TIME_set(X509_getm_notAfter(made.cert), NOW + (wish.until ? wish.until : 365 * DAY));
	X509_NAME_add_entry_by_txt(name, "C", MBSTRING_ASC, (const unsigned char *)"CH", -1, -1, 0);
	X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)wish.cn, -1,
				   -1, 0);
	X509_set_issuer_name(made.cert, X509_get_subject_name(issuer));
	X509_set_pubkey(made.cert, made.key);
	if (!wish.v1)
		add_extensions(made.cert, issuer, &wish);
	sign_cert(made.cert, wish.issuer ? wish.issuer->key : made.key, &wish);
	made.len = (size_t)i2d_X509(made.cert, &der);
	made.der = exact_copy(der, made.len);
	OPENSSL_free(der);
	return made;
}

static inline void made_free(struct made *made)
{
	X509_free(made->cert);
	EVP_PKEY_free(made->key);
	free(made->der);
}

static inline struct bytes made_bytes(const struct made *made)
{
	return BYTES(made->der, made->len);
}

/* A CRL of `issuer` that names one serial number (0: none). */
static inline struct bytes make_crl(const struct made *issuer, long serial, long from, long until)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *at = ASN1_TIME_set(NULL, NOW + from);
	unsigned char *der = NULL;
	X509_REVOKED *revoked;
	struct bytes out;

	X509_CRL_set_version(crl, 1);
	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer->cert));
	X509_CRL_set1_lastUpdate(crl, at);
	if (serial) {
		revoked = X509_REVOKED_new();
		ASN1_INTEGER *number = ASN1_INTEGER_new();

		ASN1_INTEGER_set(number, serial);
		X509_REVOKED_set_serialNumber(revoked, number);
		X509_REVOKED_set_revocationDate(revoked, at);
		X509_CRL_add0_revoked(crl, revoked);
		ASN1_INTEGER_free(number);
	}
	ASN1_TIME_set(at, NOW + until);
	X509_CRL_set1_nextUpdate(crl, at);
	X509_CRL_sort(crl);
	assert_true(X509_CRL_sign(crl, issuer->key, EVP_sha256()) > 0);
	out.len = (size_t)i2d_X509_CRL(crl, &der);
	out.data = exact_copy(der, out.len);
	OPENSSL_free(der);
	ASN1_TIME_free(at);
	X509_CRL_free(crl);
	return out;
}

#endif
