// SPDX-License-Identifier: BSD-2-Clause
/* What a certificate says of its holder: names, key, usage. */
#include <ctype.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "iked/cert_x509.h"
#include "iked/crypto.h"
#include "iked/ident_dn.h"

X509 *cert_of_der(struct bytes der)
{
	const unsigned char *at = der.data;
	X509 *cert;

	if (!der.len || der.len > CERT_SIZE_MAX)
		return NULL;
	cert = d2i_X509(NULL, &at, (long)der.len);
	if (cert && at != der.data + der.len) {
		X509_free(cert);
		cert = NULL;
	}
	ERR_clear_error();
	return cert;
}

bool cert_hash(X509 *cert, __u8 out[CERT_HASH_LEN])
{
	const EVP_MD *sha1 = ike_md(IKE_HASH_SHA1);
	unsigned char *der = NULL;
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = sha1 && len > 0 && EVP_Digest(der, (size_t)len, out, NULL, sha1, NULL);

	OPENSSL_free(der);
	return ok;
}

bool cert_hash_in(X509 *cert, struct bytes hashes)
{
	__u8 hash[CERT_HASH_LEN];

	if (!cert_hash(cert, hash))
		return false;
	for (size_t at = 0; at + CERT_HASH_LEN <= hashes.len; at += CERT_HASH_LEN)
		if (!memcmp(hashes.data + at, hash, CERT_HASH_LEN))
			return true;
	return false;
}

struct ident *cert_name(X509 *cert)
{
	unsigned char *der = NULL;
	int len = i2d_X509_NAME(X509_get_subject_name(cert), &der);
	struct ident *id = len > 0 ? ident_new(IKE_ID_DN, BYTES(der, (size_t)len)) : NULL;

	OPENSSL_free(der);
	return id;
}

/* ------------------------------------------------------------------ names */

static bool same_text(const ASN1_STRING *name, const struct ident *id)
{
	const unsigned char *text = ASN1_STRING_get0_data(name);

	if (ASN1_STRING_length(name) != id->len)
		return false;
	for (unsigned int i = 0; i < id->len; i++)
		if (tolower(text[i]) != tolower(id->data[i]))
			return false;
	return true;
}

static bool same_bytes(const ASN1_STRING *value, const struct ident *id)
{
	return bytes_equal(BYTES(ASN1_STRING_get0_data(value), (size_t)ASN1_STRING_length(value)),
			   BYTES(id->data, id->len));
}

static bool alt_name_is(const GENERAL_NAME *name, const struct ident *id)
{
	switch (name->type) {
	case GEN_DNS: return id->type == IKE_ID_FQDN && same_text(name->d.dNSName, id);
	case GEN_EMAIL: return id->type == IKE_ID_RFC822 && same_text(name->d.rfc822Name, id);
	case GEN_IPADD:
		return (id->type == IKE_ID_IPV4 || id->type == IKE_ID_IPV6) &&
		       same_bytes(name->d.iPAddress, id);
	default: return false;
	}
}

static bool has_alt_name(X509 *cert, const struct ident *id)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	bool found = false;

	for (int i = 0; i < sk_GENERAL_NAME_num(names) && !found; i++)
		found = alt_name_is(sk_GENERAL_NAME_value(names, i), id);
	GENERAL_NAMES_free(names);
	return found;
}

static bool has_subject(X509 *cert, const struct ident *id)
{
	struct ident *subject = cert_name(cert);
	bool same = subject && dn_match(BYTES(subject->data, subject->len),
					BYTES(id->data, id->len)) == IDENT_MATCH_EXACT;

	/* a `*` in a certificate is a letter, not a pattern */
	if (same && dn_is_pattern(BYTES(subject->data, subject->len)))
		same = bytes_equal(BYTES(subject->data, subject->len), BYTES(id->data, id->len));
	free(subject);
	return same;
}

bool cert_has_name(X509 *cert, const struct ident *id)
{
	const ASN1_OCTET_STRING *key_id;

	switch (id->type) {
	case IKE_ID_DN: return has_subject(cert, id);
	case IKE_ID_KEY_ID:
		key_id = X509_get0_subject_key_id(cert);
		return key_id && same_bytes(key_id, id);
	default: return has_alt_name(cert, id);
	}
}

bool cert_bears(struct bytes der, const struct ident *id)
{
	_cleanup_x509_ X509 *cert = cert_of_der(der);

	return cert && cert_has_name(cert, id);
}

struct ident *cert_subject(struct bytes der)
{
	_cleanup_x509_ X509 *cert = cert_of_der(der);

	return cert ? cert_name(cert) : NULL;
}

bool cert_print_subject(struct bytes data, char *to, size_t size)
{
	_cleanup_writer_ struct writer der = {0};
	struct ident *subject = NULL;

	*to = 0;
	if (!cert_der(data, &der))
		subject = cert_subject(BYTES(der.data, der.len));
	if (subject)
		ident_print(subject, to, size);
	free(subject);
	return *to != 0;
}

struct ident *cert_default_id(struct bytes der)
{
	_cleanup_x509_ X509 *cert = cert_of_der(der);

	return cert && X509_NAME_entry_count(X509_get_subject_name(cert)) ? cert_name(cert) : NULL;
}

EVP_PKEY *cert_key(struct bytes der)
{
	_cleanup_x509_ X509 *cert = cert_of_der(der);
	EVP_PKEY *key = cert ? X509_get_pubkey(cert) : NULL;

	ERR_clear_error();
	return key;
}

/* ------------------------------------------------------------------ usage */

static bool is_ike_use(const ASN1_OBJECT *use)
{
	static const char *const dotted[] = {"1.3.6.1.5.5.7.3.17", "1.3.6.1.5.5.8.2.2"};
	char text[80];

	switch (OBJ_obj2nid(use)) {
	case NID_server_auth:
	case NID_client_auth:
	case NID_anyExtendedKeyUsage: return true;
	default: break;
	}
	OBJ_obj2txt(text, sizeof(text), use, 1);
	return !strcmp(text, dotted[0]) || !strcmp(text, dotted[1]);
}

static bool extended_use_is_fine(X509 *cert)
{
	EXTENDED_KEY_USAGE *uses;
	int critical;
	bool fine;

	uses = X509_get_ext_d2i(cert, NID_ext_key_usage, &critical, NULL);
	fine = !uses && critical == -1; /* not there at all */
	for (int i = 0; i < sk_ASN1_OBJECT_num(uses) && !fine; i++)
		fine = is_ike_use(sk_ASN1_OBJECT_value(uses, i));
	EXTENDED_KEY_USAGE_free(uses);
	return fine;
}

const char *cert_usage_fault(X509 *cert)
{
	uint32_t usage = X509_get_key_usage(cert);

	if (usage != UINT32_MAX && !(usage & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)))
		return "keyUsage has neither digitalSignature nor nonRepudiation";
	if (!extended_use_is_fine(cert))
		return "extendedKeyUsage has none of ipsecIKE, ikeIntermediate, serverAuth, "
		       "clientAuth, any";
	return NULL;
}

/* ------------------------------------------------------------------ files */

int cert_der(struct bytes data, struct writer *out)
{
	_cleanup_x509_ X509 *cert = cert_of_der(data);
	unsigned char *der = NULL;
	BIO *bio;
	int len;

	if (!cert) {
		bio = BIO_new_mem_buf(data.data, (int)data.len);
		cert = bio ? PEM_read_bio_X509(bio, NULL, NULL, NULL) : NULL;
		BIO_free(bio);
		ERR_clear_error();
	}
	if (!cert)
		return -EINVAL;
	len = i2d_X509(cert, &der);
	if (len <= 0)
		return -ENOMEM;
	writer_bytes(out, BYTES(der, (size_t)len));
	OPENSSL_free(der);
	return out->err ? -ENOMEM : 0;
}
