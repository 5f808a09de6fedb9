/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AEAD in bursts, behind one table of functions. A backend and its functions are chosen once, when
 * the SA is made; the loop over packets has no branch on algorithm or backend.
 *
 * Which backends there are, and in which order `auto` tries them, stands in crypto_table.c alone,
 * so that a tool can link another table.
 */
#ifndef WORKER_CRYPTO_H
#define WORKER_CRYPTO_H

#include <stddef.h>
#include <linux/types.h>
#include "xipsec/ctl.h"
#include "xipsec/sa.h"

#define CRYPTO_SALT_LEN  4
#define CRYPTO_NONCE_LEN 12
#define CRYPTO_TAG_LEN   16
#define CRYPTO_AAD_MAX   12

/* One packet's share of a burst. Text is encrypted or decrypted in place. */
struct crypto_op {
	__u8 *text;
	__u8 *tag; /* seal: written; open: compared in constant time */
	__u32 len; /* bytes of text */
	__u32 ok;  /* open: 1 if the tag fits; else the text has been wiped */
	__u8 nonce[CRYPTO_NONCE_LEN];
	__u8 aad[CRYPTO_AAD_MAX];
};

/* All ops of a burst have the same length of AAD. */
typedef void crypto_burst_fn(void *ctx, struct crypto_op *ops, unsigned int n, __u32 aad_len);

struct crypto_key;

struct crypto_backend {
	enum xipsec_backend id;
	const char *name;
	/* Everything that needs files or locks, done before the sandbox closes. 0, or -ENOTSUP when
	 * this machine lacks what it needs. May be called again. */
	int (*init)(void);
	/* Fills key->ctx, seal and open. The cipher key has the length that the algorithm has. */
	int (*key_init)(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key);
	/* Wipes. */
	void (*key_fini)(struct crypto_key *key);
};

struct crypto_key {
	const struct crypto_backend *backend;
	void *ctx;
	crypto_burst_fn *seal;
	crypto_burst_fn *open;
};

extern const struct crypto_backend crypto_ipsec_mb;
extern const struct crypto_backend crypto_openssl;

/* In the order that AUTO tries them, NULL at the end (crypto_table.c). */
extern const struct crypto_backend *const crypto_backends[];

/* Makes all backends ready. Call it once before the sandbox closes; 0, or -ENOTSUP when none can be
 * used here. */
int crypto_init(void);

/* The backend that `wanted` means here, or NULL. */
const struct crypto_backend *crypto_backend(enum xipsec_backend wanted);

struct crypto_key *crypto_key_new(enum xipsec_alg alg, const __u8 *cipher_key, __u32 cipher_key_len,
				  enum xipsec_backend wanted, int *err);
void crypto_key_free(struct crypto_key *key);

/* Lengths in bytes, salt not counted; 0: no such algorithm. */
__u32 crypto_alg_key_len(enum xipsec_alg alg);

/* Whole pages that stay out of core dumps, zeroed; wiped when freed. NULL: no memory. */
void *crypto_memory_new(size_t size);
void crypto_memory_free(void *memory, size_t size);

#endif
