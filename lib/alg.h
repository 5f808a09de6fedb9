/* SPDX-License-Identifier: BSD-2-Clause */
/* What there is to know of an algorithm: the table of include/xipsec/sa.h, to be looked up. */
#ifndef LIB_ALG_H
#define LIB_ALG_H

#include "xipsec/sa.h"

/* What protects the text: each kind wants the struct crypto_op (worker/crypto.h) in its own way. */
enum alg_kind {
	ALG_NONE,
	ALG_GCM,
	ALG_GMAC,
	ALG_CHACHA,
	ALG_CCM,
	/* with HMAC over what stands in the packet; the hash follows from auth_key */
	ALG_CBC_HMAC,
	ALG_CTR_HMAC,
	ALG_NULL_HMAC,
};

/* Lengths in bytes. */
struct alg {
	const char *name;
	__u8 cipher_key, auth_key;
	__u8 salt;
	__u8 iv; /* as it travels */
	__u8 icv;
	__u8 align; /* of the encrypted part: padding goes up to it */
};

/* Never NULL: what is unknown has the name "none" and lengths of 0. */
const struct alg *alg_get(unsigned int alg);

enum alg_kind alg_kind(unsigned int alg);

/* Bytes of cipher key, salt and integrity key together; 0: no such algorithm. */
__u32 alg_key_len(unsigned int alg);

/* May AH (RFC 4302) use it? */
int alg_fits_ah(unsigned int alg);

/* The name as proposals write it; of AH the part that AH uses ("sha256"). */
const char *alg_name(unsigned int alg, __u8 l4_proto);

#endif
