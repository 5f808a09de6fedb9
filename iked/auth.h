/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The AUTH payload (RFC 7296 2.15): octets from structured inputs, pre-shared keys, signatures
 * (RFC 7427, RFC 4754, RFC 8420). SHA-1 is neither made nor taken, so method 1 is not there.
 */
#ifndef IKED_AUTH_H
#define IKED_AUTH_H

#include <openssl/evp.h>

#include "iked/message.h"
#include "iked/prf.h"

/* Bits 1 << enum ike_hash: what we announce and take. */
#define AUTH_HASHES                                                              \
	(1u << IKE_HASH_SHA256 | 1u << IKE_HASH_SHA384 | 1u << IKE_HASH_SHA512 | \
	 1u << IKE_HASH_IDENTITY)

/*
 * What is authenticated, by whoever makes AUTH (`initiator` says which end that is): its own
 * IKE_SA_INIT message, as sent last; the other's nonce; its SK_p; its identity.
 */
struct auth_in {
	bool initiator;
	struct bytes init;  /* whole, from the IKE header */
	struct bytes nonce; /* of the other end */
	__u16 prf;
	struct bytes sk_p;     /* SK_pi or SK_pr, prf_len() bytes */
	struct bytes id;       /* ID payload without its generic header: type, 3 zero bytes, data */
	struct bytes int_auth; /* RFC 9242 3.3.2, later; empty */
};

/*
 * The octets to be signed. -EINVAL if `init` is not an IKE_SA_INIT message of that end, message ID
 * 0, version 2, as long as its header says and all in the clear: nothing else is ever signed.
 * Others: -EIO, -ENOMEM.
 */
int auth_octets(const struct auth_in *in, struct writer *out);

/* The body of an ID payload: type, three zero bytes, data (`id` of struct auth_in). */
void auth_id_body(struct writer *w, __u8 type, struct bytes data);

/* AUTH data with a pre-shared key: prf(prf(PSK, "Key Pad for IKEv2"), octets), prf_len() bytes. */
int auth_psk(const struct auth_in *in, struct bytes psk, __u8 out[PRF_LEN_MAX]);

/* Is that AUTH data right? Constant time. 0; -EACCES: no; others: as above. */
int auth_psk_verify(const struct auth_in *in, struct bytes psk, struct bytes data);

/*
 * How to sign with `key` for a peer that announced `hashes` (bits of enum ike_hash, 0: none, it
 * does not know RFC 7427). `preferred` (0: no wish) is one of them.
 */
enum auth_scheme {
	AUTH_SCHEME_NONE,
	AUTH_RSA_PKCS1_SHA256, /* RFC 7427 A.1 */
	AUTH_RSA_PKCS1_SHA384,
	AUTH_RSA_PKCS1_SHA512,
	AUTH_RSA_PSS_SHA256, /* A.4; salt of the hash's length */
	AUTH_RSA_PSS_SHA384,
	AUTH_RSA_PSS_SHA512,
	AUTH_ECDSA_SHA256, /* A.3 */
	AUTH_ECDSA_SHA384,
	AUTH_ECDSA_SHA512,
	AUTH_ED25519, /* RFC 8420 */
	AUTH_ED448,
	AUTH_ECDSA_256, /* RFC 4754: methods 9 to 11, r | s */
	AUTH_ECDSA_384,
	AUTH_ECDSA_521,
	AUTH_SCHEME_COUNT
};

/* As strongSwan calls them ("RSA_EMSA_PSS_SHA2_256", "ED25519", "ECDSA-256"): for logs. */
const char *auth_scheme_name(enum auth_scheme scheme);
__u8 auth_scheme_method(enum auth_scheme scheme); /* enum ike_auth_method; 0: NONE */

/*
 * With hashes: RFC 7427, the smallest of SHA-2 that is as strong as the key, RSA as PSS; without:
 * RFC 4754 where the curve has a number. AUTH_SCHEME_NONE: the peer can verify nothing that this
 * key makes (RSA without RFC 7427 would be SHA-1).
 */
enum auth_scheme auth_scheme_choose(EVP_PKEY *key, __u32 hashes);

/* Can that key sign so? */
bool auth_scheme_fits(enum auth_scheme scheme, EVP_PKEY *key);

/*
 * Signs the octets: AUTH data (with RFC 7427's AlgorithmIdentifier in front) to `out`. 0; -EINVAL:
 * key and scheme do not fit, or `init` is refused; -EIO.
 */
int auth_sign(const struct auth_in *in, EVP_PKEY *key, enum auth_scheme scheme, struct writer *out);

/*
 * Verifies AUTH of `method` and `data` with the peer's public key. `*scheme` (NULL is fine) tells
 * how it was signed. 0; -EACCES: wrong; -EOPNOTSUPP: a method, algorithm, hash or parameter that we
 * do not take; `why` (size bytes) says what, for the log. Keys under 2048 bits of RSA are refused.
 */
int auth_verify(const struct auth_in *in, EVP_PKEY *key, __u8 method, struct bytes data,
		enum auth_scheme *scheme, char *why, size_t size);

#endif
