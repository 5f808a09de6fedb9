/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Inside the backend of libipsec-mb. Its managers are the process's and know no locks: a worker has
 * one thread. Nothing stays in them from one burst to the next.
 */
#ifndef WORKER_BACKEND_IPSEC_MB_H
#define WORKER_BACKEND_IPSEC_MB_H

#include <intel-ipsec-mb.h>

#include "lib/alg.h"
#include "worker/crypto.h"

/* Packets that one call of the library gets. It takes up to IMB_MAX_BURST_SIZE. */
#define MB_BATCH 64

/* Wide: the widest vectors that this CPU has, so the most packets at once, good at large bursts and
 * long packets. Narrow: at most AVX2; hashes SHA-256 by the CPU's SHA instructions if it has them.
 * Both are the same where there is nothing wider than AVX2. NULL until mb_init() was lucky. */
extern IMB_MGR *mb_wide, *mb_narrow;

/* As key_init of struct crypto_backend, of the kinds that each file is there for. */
int mb_gcm_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key);
int mb_aead_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key);
int mb_hmac_key_init(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
		     const __u8 *auth_key);

/* Key memory of `size` bytes, which mb_key_fini() wipes and frees. NULL: no memory. */
void *mb_ctx_new(struct crypto_key *key, size_t size);

#endif
