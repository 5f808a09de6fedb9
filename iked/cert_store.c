// SPDX-License-Identifier: BSD-2-Clause
/* CA certificates and CRLs: what is trusted, and what not any more. */
#include <ctype.h>
#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/cert_x509.h"

struct cert_store *cert_store_new(void)
{
	struct cert_store *store = calloc(1, sizeof(*store));

	if (!store)
		return NULL;
	store->trust = X509_STORE_new();
	store->cas = sk_X509_new_null();
	store->crls = sk_X509_CRL_new_null();
	if (store->trust && store->cas && store->crls)
		return store;
	cert_store_free(store);
	return NULL;
}

void cert_store_free(struct cert_store *store)
{
	if (!store)
		return;
	X509_STORE_free(store->trust);
	sk_X509_pop_free(store->cas, X509_free);
	sk_X509_CRL_pop_free(store->crls, X509_CRL_free);
	free(store);
}

unsigned int cert_store_cas(const struct cert_store *store)
{
	return (unsigned int)sk_X509_num(store->cas);
}

static int refuse(char *why, size_t size, int err, const char *what)
{
	snprintf(why, size, "%s", what);
	return err;
}

/* ------------------------------------------------------------------ CAs */

static const char *ca_fault(X509 *cert)
{
	uint32_t usage = X509_get_key_usage(cert);

	if (X509_check_ca(cert) != 1)
		return "is no CA: basicConstraints lacks CA, or keyUsage lacks keyCertSign";
	if (usage != UINT32_MAX && !(usage & KU_KEY_CERT_SIGN))
		return "is no CA: keyUsage lacks keyCertSign";
	return NULL;
}

static bool has_ca(const struct cert_store *store, X509 *cert)
{
	for (int i = 0; i < sk_X509_num(store->cas); i++)
		if (!X509_cmp(sk_X509_value(store->cas, i), cert))
			return true;
	return false;
}

/* Takes its own references. */
static int add_ca(struct cert_store *store, X509 *cert, char *why, size_t size)
{
	const char *fault = ca_fault(cert);

	if (fault)
		return refuse(why, size, -EINVAL, fault);
	if (has_ca(store, cert))
		return 0;
	if (!X509_STORE_add_cert(store->trust, cert))
		return -ENOMEM;
	X509_up_ref(cert);
	if (sk_X509_push(store->cas, cert))
		return 0;
	X509_free(cert);
	return -ENOMEM;
}

static int add_pem_cas(struct cert_store *store, struct bytes data, char *why, size_t size)
{
	BIO *bio = BIO_new_mem_buf(data.data, (int)data.len);
	unsigned int n = 0;
	int err = 0;
	X509 *cert;

	while (!err && bio && (cert = PEM_read_bio_X509(bio, NULL, NULL, NULL))) {
		err = add_ca(store, cert, why, size);
		X509_free(cert);
		n++;
	}
	BIO_free(bio);
	ERR_clear_error();
	return err || n ? err : refuse(why, size, -EINVAL, "is no certificate, DER or PEM");
}

int cert_store_add_ca(struct cert_store *store, struct bytes data, char *why, size_t size)
{
	_cleanup_x509_ X509 *cert = cert_of_der(data);

	if (cert)
		return add_ca(store, cert, why, size);
	if (data.len > CRL_SIZE_MAX)
		return refuse(why, size, -E2BIG, "is too large");
	return add_pem_cas(store, data, why, size);
}

void cert_store_hashes(const struct cert_store *store, struct writer *out)
{
	__u8 hash[CERT_HASH_LEN];

	for (int i = 0; i < sk_X509_num(store->cas); i++)
		if (cert_hash(sk_X509_value(store->cas, i), hash))
			writer_bytes(out, BYTES_OF(hash));
}

/* ------------------------------------------------------------------ CRLs */

/* Of the same CA and of the same key of it? */
static bool same_issuer(X509_CRL *a, X509_CRL *b)
{
	AUTHORITY_KEYID *x, *y;
	bool same = !X509_NAME_cmp(X509_CRL_get_issuer(a), X509_CRL_get_issuer(b));

	x = X509_CRL_get_ext_d2i(a, NID_authority_key_identifier, NULL, NULL);
	y = X509_CRL_get_ext_d2i(b, NID_authority_key_identifier, NULL, NULL);
	if (same && x && y && x->keyid && y->keyid)
		same = !ASN1_OCTET_STRING_cmp(x->keyid, y->keyid);
	AUTHORITY_KEYID_free(x);
	AUTHORITY_KEYID_free(y);
	return same;
}

static bool is_newer(const X509_CRL *a, const X509_CRL *b)
{
	return ASN1_TIME_compare(X509_CRL_get0_lastUpdate(a), X509_CRL_get0_lastUpdate(b)) > 0;
}

/* Takes its own reference; what it takes the place of falls out, what is older than what is there
 * does not come in. */
static int add_crl(struct cert_store *store, X509_CRL *crl, char *why, size_t size)
{
	if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0)
		return refuse(why, size, -EINVAL, "is a delta CRL: only whole ones are read");
	for (int i = sk_X509_CRL_num(store->crls); i-- > 0;) {
		X509_CRL *old = sk_X509_CRL_value(store->crls, i);

		if (!same_issuer(old, crl))
			continue;
		if (!is_newer(crl, old))
			return 0;
		X509_CRL_free(sk_X509_CRL_delete(store->crls, i));
	}
	X509_CRL_up_ref(crl);
	if (sk_X509_CRL_push(store->crls, crl))
		return 0;
	X509_CRL_free(crl);
	return -ENOMEM;
}

/* Behind its last CRL there is nothing that may be the beginning of another one. */
static bool ends_pem(struct bytes data)
{
	static const char end[] = "-----END X509 CRL-----";
	size_t len = data.len;

	while (len && isspace(data.data[len - 1]))
		len--;
	return len >= strlen(end) && !memcmp(data.data + len - strlen(end), end, strlen(end));
}

static int add_pem_crls(struct cert_store *store, struct bytes data, char *why, size_t size)
{
	BIO *bio = BIO_new_mem_buf(data.data, (int)data.len);
	unsigned int n = 0;
	X509_CRL *crl;
	int err = 0;

	while (!err && bio && (crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL))) {
		err = add_crl(store, crl, why, size);
		X509_CRL_free(crl);
		n++;
	}
	BIO_free(bio);
	ERR_clear_error();
	if (!err && n && !ends_pem(data))
		return refuse(why, size, -EINVAL, "cannot be read to its end");
	return err || n ? err : refuse(why, size, -EINVAL, "is no CRL, DER or PEM");
}

int cert_store_add_crl(struct cert_store *store, struct bytes data, char *why, size_t size)
{
	const unsigned char *at = data.data;
	X509_CRL *crl;
	int err;

	if (data.len > CRL_SIZE_MAX)
		return refuse(why, size, -E2BIG, "is too large");
	crl = data.len ? d2i_X509_CRL(NULL, &at, (long)data.len) : NULL;
	ERR_clear_error();
	if (!crl)
		return add_pem_crls(store, data, why, size);
	err = at == data.data + data.len
		      ? add_crl(store, crl, why, size)
		      : refuse(why, size, -EINVAL, "is a CRL with bytes behind it");
	X509_CRL_free(crl);
	return err;
}

void cert_store_drop_crls(struct cert_store *store)
{
	while (sk_X509_CRL_num(store->crls))
		X509_CRL_free(sk_X509_CRL_pop(store->crls));
}

int cert_store_keep_crls(struct cert_store *store, const struct cert_store *old)
{
	char why[64];
	int err = 0;

	for (int i = 0; !err && i < sk_X509_CRL_num(old->crls); i++)
		err = add_crl(store, sk_X509_CRL_value(old->crls, i), why, sizeof(why));
	return err;
}

/* ------------------------------------------------------------------ CERTREQ */

static X509 *issuer_among(STACK_OF(X509) * certs, X509 *cert)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (X509_check_issued(sk_X509_value(certs, i), cert) == X509_V_OK)
			return sk_X509_value(certs, i);
	return NULL;
}

/* Up from `cert`: is one of the hashes above it? */
static bool is_below(STACK_OF(X509) * chain, const struct cert_store *store, X509 *cert,
		     struct bytes hashes)
{
	for (unsigned int depth = 0; cert && depth <= CERT_CHAIN_MAX; depth++) {
		X509 *issuer = issuer_among(chain, cert);

		if (!issuer && store)
			issuer = issuer_among(store->cas, cert);
		if (issuer && cert_hash_in(issuer, hashes))
			return true;
		cert = issuer == cert ? NULL : issuer;
	}
	return false;
}

bool cert_wanted(const struct bytes *chain, unsigned int n, const struct cert_store *store,
		 struct bytes hashes)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	bool wanted = false;

	for (unsigned int i = 0; i < n && certs; i++) {
		X509 *cert = cert_of_der(chain[i]);

		if (cert && !sk_X509_push(certs, cert))
			X509_free(cert);
	}
	if (sk_X509_num(certs) > 0)
		wanted = !hashes.len || cert_hash_in(sk_X509_value(certs, 0), hashes) ||
			 is_below(certs, store, sk_X509_value(certs, 0), hashes);
	sk_X509_pop_free(certs, X509_free);
	return wanted;
}
