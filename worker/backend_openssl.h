/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the backend of OpenSSL. One context per SA and direction, keyed once; a packet resets the
 * IV alone.
 *
 * EVP can fail only for want of memory or by a broken context. Then nothing of the plaintext may
 * leave: the packet goes out with neither text nor tag that fits, and the peer refuses it.
 */
#ifndef WORKER_BACKEND_OPENSSL_H
#define WORKER_BACKEND_OPENSSL_H

#include <openssl/evp.h>

#include "lib/alg.h"
#include "worker/crypto.h"

struct evp_ctx {
	EVP_CIPHER_CTX *enc; /* NULL without encryption */
	EVP_CIPHER_CTX *dec;
	EVP_MAC_CTX *mac; /* of HMAC; else NULL */
	int icv_len;
};

/* Fill key->seal and key->open and key the contexts in key->ctx, an empty struct evp_ctx. `cipher`
 * is NULL without encryption. 0, or -ENOMEM; then the caller frees what there is. */
int evp_aead_key_init(struct crypto_key *key, enum xipsec_alg alg, const EVP_CIPHER *cipher,
		      const __u8 *cipher_key);
int evp_hmac_key_init(struct crypto_key *key, enum xipsec_alg alg, const EVP_CIPHER *cipher,
		      EVP_MAC *hmac, const __u8 *cipher_key, const __u8 *auth_key);

/* After a failure of seal. */
void evp_wipe(struct crypto_op *op, int icv_len);

#endif
