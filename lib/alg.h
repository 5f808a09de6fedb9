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

/*
 * Writes to `out` what an SA may share with no other, of a key in KEYMAT's order; returns its
 * bytes, at most `key_len` or XIPSEC_KEY_MAX. The caller wipes it.
 *
 * In counter modes that is the cipher key and the 4 bytes before the IV in a counter block: with
 * these and one number the key stream is one, whichever mode it is (RFC 3686 4, RFC 4106 8.1) and
 * whatever the integrity key is. Those 4 bytes are the salt; of CCM its flags, 3, and the 3 bytes
 * of salt (RFC 3610 2.3, RFC 4309 4). Of other algorithms, and of a key that is not as long as
 * `alg` wants, it is all of the key.
 */
__u32 alg_nonces(unsigned int alg, const __u8 *key, __u32 key_len, __u8 out[XIPSEC_KEY_MAX]);

/* May AH (RFC 4302) use it? */
int alg_fits_ah(unsigned int alg);

/* The name as proposals write it; of AH the part that AH uses ("sha256"). */
const char *alg_name(unsigned int alg, __u8 l4_proto);

#endif
