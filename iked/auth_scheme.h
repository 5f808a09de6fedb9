/* SPDX-License-Identifier: BSD-2-Clause */
/* How signatures are named in AUTH data (RFC 7427 3, appendix A; RFC 8420). Of auth*.c alone. */
#ifndef IKED_AUTH_SCHEME_H
#define IKED_AUTH_SCHEME_H

#include "iked/auth.h"

struct scheme {
	const char *name;
	int key;     /* EVP_PKEY_* */
	__u8 method; /* enum ike_auth_method */
	__u8 hash;   /* enum ike_hash */
	bool pss;
	int curve;         /* of RFC 4754, NID; else 0 */
	struct bytes blob; /* the AlgorithmIdentifier that is sent; RFC 7427 alone */
};

const struct scheme *scheme_get(enum auth_scheme scheme); /* never NULL */

/*
 * Which scheme an AlgorithmIdentifier means, and of PSS the length of its salt. AUTH_SCHEME_NONE:
 * none of ours. PSS is read with its parameters, for DER has several ways to write them (RFC
 * 4055 3.1).
 */
enum auth_scheme scheme_of_blob(struct bytes blob, int *salt_len);

/* NID of the curve of an EC key; 0: none, or not one of P-256, P-384, P-521. */
int scheme_curve(EVP_PKEY *key);

#endif
