/* SPDX-License-Identifier: BSD-2-Clause */
/* What cert*.c share of OpenSSL's certificates. */
#ifndef IKED_CERT_X509_H
#define IKED_CERT_X509_H

#include <openssl/x509.h>

#include "iked/cert.h"

struct cert_store {
	X509_STORE *trust; /* the CAs, for OpenSSL's walk */
	STACK_OF(X509) * cas;
	STACK_OF(X509_CRL) * crls;
};

/* Of DER that is nothing but a certificate and not too large; NULL. X509_free() it. */
X509 *cert_of_der(struct bytes der);

/* SHA-1 of its SubjectPublicKeyInfo. false: OpenSSL failed. */
bool cert_hash(X509 *cert, __u8 out[CERT_HASH_LEN]);

/* Is it one of a list of hashes? */
bool cert_hash_in(X509 *cert, struct bytes hashes);

/* Subject as an identity; NULL: none, no memory. */
struct ident *cert_name(X509 *cert);

bool cert_has_name(X509 *cert, const struct ident *id);

/* NULL: it may sign for IKE; else what is wrong (RFC 4945 5.1.3.2, 5.1.3.12). */
const char *cert_usage_fault(X509 *cert);

static inline void cert_x509_freep(X509 **cert)
{
	X509_free(*cert);
}

#define _cleanup_x509_ __attribute__((cleanup(cert_x509_freep)))

#endif
