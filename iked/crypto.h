/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What layer 2 asks of OpenSSL, fetched once: a fetch looks into providers and, the first time,
 * into the file system, and is slower than what it is for.
 */
#ifndef IKED_CRYPTO_H
#define IKED_CRYPTO_H

#include <linux/types.h>
#include <openssl/evp.h>

/*
 * Before anything else of this layer, once a process, while the file system is still there. Returns
 * 0 or -EIO: `*what` (NULL is fine) names the algorithm that OpenSSL does not have. Who does not
 * call it pays at the first use.
 */
int ike_crypto_init(const char **what);

/* NULL: none of ours, or not to be had. `hash`: enum ike_hash. */
const EVP_MD *ike_md(unsigned int hash);
EVP_MAC_CTX *ike_hmac(unsigned int hash); /* a fresh HMAC without a key: EVP_MAC_CTX_free() it */
const EVP_CIPHER *ike_cipher(__u16 encr, __u16 key_bits); /* enum encr_id */

#endif
