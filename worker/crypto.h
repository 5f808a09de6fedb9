/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Sealing and opening in bursts, behind one table of functions. A backend and its functions are
 * chosen once, when the SA is made; the loop over packets has no branch on algorithm or backend.
 *
 * Which backends there are, and in which order `auto` tries them, stands in crypto_table.c alone,
 * so that a tool can link another table.
 */
#ifndef WORKER_CRYPTO_H
#define WORKER_CRYPTO_H

#include <stddef.h>
#include <string.h>
#include <linux/types.h>
#include "xipsec/ctl.h"
#include "xipsec/sa.h"

#define CRYPTO_NONCE_MAX 16
#define CRYPTO_AAD_MAX   12

/*
 * One packet's share of a burst. Text is encrypted or decrypted in place. It is as long as ESP's
 * is: with CBC whole blocks, and empty with GCM, GMAC and ChaCha20-Poly1305 at most.
 *
 * nonce: AEAD and GMAC: salt and IV (12 bytes; CCM: 11). CTR: RFC 3686's counter block. CBC: the
 * IV. aad: SPI and sequence number as RFC 4106 5 has them; 12 bytes with ESN, else 8.
 *
 * Algorithms with HMAC authenticate what stands in the packet instead: `head_len` bytes before the
 * text (ESP header and IV), the text, and with 12 bytes of aad its middle word, the high half of
 * the ESN (RFC 4303 2.2.1). For that word the tag must stand right behind the text. GMAC (RFC 4543
 * 3.3): the same `head_len` bytes and the text; with 12 bytes of aad, these stand for the first 8.
 * AH hands over all that it covers as text, with head_len and aad_len 0; its tag may stand anywhere
 * outside of the text.
 */
struct crypto_op {
	__u8 *text;
	__u8 *tag; /* seal: written; open: compared in constant time; as long as the algorithm's ICV
		    */
	__u32 len; /* bytes of text */
	__u32 ok;  /* open: 1 if the tag fits; else the text has been wiped, unless it was in clear
		    */
	__u32 head_len;
	__u8 nonce[CRYPTO_NONCE_MAX];
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
	/* Fills key->ctx, seal and open. The keys are as long as the algorithm has them. -ENOTSUP:
	 * not by this backend. */
	int (*key_init)(struct crypto_key *key, enum xipsec_alg alg, const __u8 *cipher_key,
			const __u8 *auth_key);
	/* Wipes. */
	void (*key_fini)(struct crypto_key *key);
};

struct crypto_key {
	const struct crypto_backend *backend;
	void *ctx;
	size_t ctx_size; /* bytes, where the backend wants to remember them */
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

/* `key` is in KEYMAT's order (sa.h), of alg_key_len() bytes; the salt in it is not used here. AUTO
 * takes the first backend that has the algorithm. NULL, with -EINVAL (no such algorithm, another
 * length), -ENOTSUP (no backend has it here) or -ENOMEM in *err. */
struct crypto_key *crypto_key_new(enum xipsec_alg alg, const __u8 *key, __u32 key_len,
				  enum xipsec_backend wanted, int *err);
void crypto_key_free(struct crypto_key *key);

/* An IV as it travels: 0, 8 or 16 bytes. Spelled out, for a copy whose length the compiler does not
 * know costs 4 ns. */
static inline void crypto_iv_copy(__u8 *to, const __u8 *from, __u32 len)
{
	if (__builtin_expect(len == 8, 1))
		memcpy(to, from, 8);
	else if (len == XIPSEC_IV_MAX)
		memcpy(to, from, XIPSEC_IV_MAX);
}

/* 16 bytes that nobody can foresee, for CBC. Never fails: a generator that cannot be had ends the
 * process. */
void crypto_random_iv(__u8 iv[16]);

/* Whole pages that stay out of core dumps, zeroed; wiped when freed. NULL: no memory. */
void *crypto_memory_new(size_t size);
void crypto_memory_free(void *memory, size_t size);

#endif
