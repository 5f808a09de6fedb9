/* SPDX-License-Identifier: BSD-2-Clause */
/* What the tests of the crypto backends share: ESP packets as the backends get them, and keys. */
#ifndef TESTS_UNIT_CRYPTO_FIXTURE_H
#define TESTS_UNIT_CRYPTO_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "lib/alg.h"
#include "worker/crypto.h"

#define PARCEL_ROOM 9216 /* of text */
#define CANARY      32
#define ESP_HEAD    8

/* An ESP packet from its header to its ICV, and bytes behind it that are nobody's. */
struct parcel {
	__u8 bytes[ESP_HEAD + XIPSEC_IV_MAX + PARCEL_ROOM + XIPSEC_ICV_MAX + CANARY];
};

static const enum xipsec_backend backends[2] = {XIPSEC_BACKEND_IPSEC_MB, XIPSEC_BACKEND_OPENSSL};

static inline __u32 unhex(__u8 *to, const char *hex)
{
	__u32 n = (__u32)strlen(hex) / 2;
	unsigned int byte;

	for (__u32 i = 0; i < n; i++) {
		assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
		to[i] = (__u8)byte;
	}
	return n;
}

/* A key of the algorithm's length out of its parts; the salt is zero. A part that is not wanted may
 * be NULL. Never NULL. */
static inline struct crypto_key *key_of(enum xipsec_alg alg, enum xipsec_backend backend,
					const __u8 *cipher_key, const __u8 *auth_key)
{
	const struct alg *a = alg_get(alg);
	__u8 raw[XIPSEC_KEY_MAX] = {0};
	struct crypto_key *key;
	int err = 0;

	if (cipher_key)
		memcpy(raw, cipher_key, a->cipher_key);
	if (auth_key)
		memcpy(raw + a->cipher_key + a->salt, auth_key, a->auth_key);
	key = crypto_key_new(alg, raw, alg_key_len(alg), backend, &err);
	if (!key) {
		fail_msg("%s by backend %d: %s", a->name, backend, strerror(-err));
		return NULL;
	}
	assert_int_equal(key->backend->id, backend);
	return key;
}

/* A key of bytes that differ. */
static inline struct crypto_key *some_key(enum xipsec_alg alg, enum xipsec_backend backend)
{
	__u8 raw[XIPSEC_KEY_MAX];

	for (int i = 0; i < XIPSEC_KEY_MAX; i++)
		raw[i] = (__u8)(i * 11 + 5);
	return key_of(alg, backend, raw, raw + 32);
}

static inline __u32 parcel_head(enum xipsec_alg alg)
{
	return ESP_HEAD + alg_get(alg)->iv;
}

static inline __u8 *parcel_text(struct parcel *p, enum xipsec_alg alg)
{
	return p->bytes + parcel_head(alg);
}

/* As esp_in.c makes one of a packet, with the high half of its number from elsewhere. */
static inline struct crypto_op parcel_op(struct parcel *p, enum xipsec_alg alg, __u32 text_len,
					 __be32 seq_high, __u32 aad_len)
{
	static const __u8 salt[4] = {0xa1, 0xa2, 0xa3, 0xa4};
	const struct alg *a = alg_get(alg);
	struct crypto_op op = {.text = parcel_text(p, alg),
			       .tag = parcel_text(p, alg) + text_len,
			       .len = text_len,
			       .head_len = parcel_head(alg)};

	memcpy(op.nonce, salt, a->salt);
	memcpy(op.nonce + a->salt, &seq_high, 4); /* an IV that does not travel */
	memcpy(op.nonce + a->salt + 4, p->bytes + 4, 4);
	memcpy(op.nonce + 12, "\0\0\0\1", 4);
	memcpy(op.nonce + a->salt, p->bytes + ESP_HEAD, a->iv);
	memcpy(op.aad, p->bytes, 4);
	if (aad_len == 12) {
		memcpy(op.aad + 4, &seq_high, 4);
		memcpy(op.aad + 8, p->bytes + 4, 4);
	} else {
		memcpy(op.aad + 4, p->bytes + 4, 4);
	}
	return op;
}

/* Head, text and canary of some bytes. */
static inline void parcel_fill(struct parcel *p, enum xipsec_alg alg, __u32 text_len, __u32 seed)
{
	__u32 len = parcel_head(alg) + text_len + XIPSEC_ICV_MAX + CANARY;

	for (__u32 i = 0; i < len; i++)
		p->bytes[i] = (__u8)((seed + i) * 2654435761u >> 13);
}

#endif
