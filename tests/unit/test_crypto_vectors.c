// SPDX-License-Identifier: BSD-2-Clause
/*
 * Both backends against the vectors of NIST's CAVP and of the RFCs, all that fit ESP's lengths. Of
 * the combined algorithms each part is tested: of CBC and CTR the ciphertext, of HMAC the tag.
 */
#include "tests/unit/crypto_fixture.h"

#include <stdbool.h>
#include <strings.h>
#include <openssl/sha.h>

#include "tests/lib/vectors.h"

#define CAVP "/usr/lib/python3/dist-packages/cryptography_vectors/"
#define OURS "tests/unit/vectors/"
#define ROOM 2048

/* crypto_op with room for more AAD than ESP has: it is the last member. */
union roomy_op {
	struct crypto_op op;
	__u8 bytes[sizeof(struct crypto_op) + ROOM];
};

_Static_assert(offsetof(struct crypto_op, aad) + CRYPTO_AAD_MAX == sizeof(struct crypto_op),
	       "what is behind aad is behind the op");

struct file {
	const char *path;
	unsigned int (*run)(void *ctx, const struct vector *v);
	unsigned int floor; /* vectors that are known to be in it, for each backend */
};

static enum xipsec_backend backend;

/* A vector as AEADs have it. tag NULL: it stands behind the ciphertext. */
struct names {
	const char *nonce, *aad, *plain, *sealed, *tag;
};

struct aead {
	enum xipsec_alg alg;
	__u8 key[32], plain[ROOM], sealed[ROOM];
	long len;
	bool right; /* the tag fits */
	bool wrong; /* it does not */
};

/* True if the lengths are those of the algorithm. */
static bool read_aead(const struct vector *v, const struct names *names, struct aead *a,
		      union roomy_op *roomy, long *aad_len)
{
	const struct alg *alg = alg_get(a->alg);
	struct crypto_op *op = &roomy->op;
	long tag_len, sealed_len;

	if (vector_bytes(v, "key", a->key, sizeof(a->key)) != alg->cipher_key ||
	    strlen(vector_text(v, names->nonce)) != (alg->salt + 8u) * 2)
		return false;
	vector_bytes(v, names->nonce, op->nonce, sizeof(op->nonce));
	*aad_len = vector_bytes(v, names->aad, op->aad, ROOM);
	a->len = vector_bytes(v, names->plain, a->plain, sizeof(a->plain));
	sealed_len = vector_bytes(v, names->sealed, a->sealed, sizeof(a->sealed));
	if (names->tag) {
		tag_len = vector_bytes(v, names->tag, a->sealed + sealed_len, XIPSEC_ICV_MAX);
	} else {
		tag_len = alg->icv;
		sealed_len -= tag_len;
	}
	a->right = a->len == sealed_len;
	if (!a->right)
		a->len = sealed_len;
	return tag_len == alg->icv;
}

static void check_seal(const struct crypto_key *key, const struct aead *a, struct crypto_op *op,
		       __u32 aad_len)
{
	memcpy(op->text, a->plain, a->len);
	key->seal(key->ctx, op, 1, aad_len);
	assert_memory_equal(op->text, a->sealed, a->len + alg_get(a->alg)->icv);
}

static void check_open(const struct crypto_key *key, const struct aead *a, struct crypto_op *op,
		       __u32 aad_len)
{
	memcpy(op->text, a->sealed, a->len + alg_get(a->alg)->icv);
	key->open(key->ctx, op, 1, aad_len);
	assert_int_equal(op->ok, !a->wrong);
	if (!a->wrong)
		assert_memory_equal(op->text, a->plain, a->len);
}

static unsigned int run_aead(const struct vector *v, const struct names *names, enum xipsec_alg alg,
			     bool wrong)
{
	struct aead a = {.alg = alg, .wrong = wrong};
	union roomy_op roomy = {0};
	struct crypto_key *key;
	__u8 text[ROOM];
	long aad_len;

	if (!read_aead(v, names, &a, &roomy, &aad_len))
		return 0;
	assert_true(a.right || a.wrong);
	roomy.op.text = text;
	roomy.op.tag = text + a.len;
	roomy.op.len = (__u32)a.len;
	key = key_of(alg, backend, a.key, NULL);
	if (!a.wrong)
		check_seal(key, &a, &roomy.op, (__u32)aad_len);
	check_open(key, &a, &roomy.op, (__u32)aad_len);
	crypto_key_free(key);
	return 1;
}

static unsigned int run_gcm(void *ctx, const struct vector *v)
{
	static const struct names names = {"iv", "aad", "pt", "ct", "tag"};
	bool is128 = vector_number(v, "keylen") == 128;

	if (!vector_has(v, "key") || vector_number(v, "ivlen") != 96 ||
	    vector_number(v, "taglen") != 128)
		return 0;
	return run_aead(v, &names, is128 ? XIPSEC_ALG_AES128GCM16 : XIPSEC_ALG_AES256GCM16,
			vector_has(v, "fail"));
}

/* GCM without a plaintext is GMAC of its AAD. */
static unsigned int run_gmac(void *ctx, const struct vector *v)
{
	bool is128 = vector_number(v, "keylen") == 128;
	__u8 raw[32], text[ROOM], want[16], tag[16];
	struct crypto_op op = {.text = text, .tag = tag};
	struct crypto_key *key;

	if (!vector_has(v, "key") || vector_number(v, "ivlen") != 96 ||
	    vector_number(v, "taglen") != 128 || vector_number(v, "ptlen") != 0)
		return 0;
	vector_bytes(v, "key", raw, sizeof(raw));
	vector_bytes(v, "iv", op.nonce, sizeof(op.nonce));
	op.len = (__u32)vector_bytes(v, "aad", text, sizeof(text));
	vector_bytes(v, "tag", want, sizeof(want));
	key = key_of(is128 ? XIPSEC_ALG_AES128GMAC : XIPSEC_ALG_AES256GMAC, backend, raw, NULL);
	key->seal(key->ctx, &op, 1, 0);
	assert_int_equal(memcmp(tag, want, 16) == 0, !vector_has(v, "fail"));
	op.tag = want;
	key->open(key->ctx, &op, 1, 0);
	assert_int_equal(op.ok, !vector_has(v, "fail"));
	crypto_key_free(key);
	return 1;
}

static unsigned int run_ccm(void *ctx, const struct vector *v)
{
	static const struct names names = {"nonce", "adata", "payload", "ct", NULL};
	bool is128 = strlen(vector_text(v, "key") ? vector_text(v, "key") : "") == 32;

	if (!vector_has(v, "ct") || vector_number(v, "nlen") != 11)
		return 0;
	if (vector_number(v, "tlen") == 16)
		return run_aead(v, &names, is128 ? XIPSEC_ALG_AES128CCM16 : XIPSEC_ALG_AES256CCM16,
				false);
	if (vector_number(v, "tlen") == 8)
		return run_aead(v, &names, is128 ? XIPSEC_ALG_AES128CCM8 : XIPSEC_ALG_AES256CCM8,
				false);
	return 0;
}

static unsigned int run_chacha(void *ctx, const struct vector *v)
{
	static const struct names openssl = {"iv", "aad", "plaintext", "ciphertext", "tag"};
	static const struct names boringssl = {"nonce", "ad", "in", "ct", "tag"};

	return run_aead(v, vector_has(v, "nonce") ? &boringssl : &openssl,
			XIPSEC_ALG_CHACHA20POLY1305, vector_has(v, "result"));
}

/* ------------------------------------------------------------------ CBC, CTR, HMAC */

/* The ciphertext is checked after seal; for open it gets a tag, made without encryption. */
static void check_cipher(enum xipsec_alg alg, const __u8 *cipher_key, struct crypto_op *op,
			 const __u8 *plain, const __u8 *sealed)
{
	static const __u8 auth_key[XIPSEC_KEY_MAX] = {7};
	struct crypto_key *key = key_of(alg, backend, cipher_key, auth_key);
	struct crypto_key *mac = key_of(XIPSEC_ALG_NULL_SHA256, backend, NULL, auth_key);
	__u8 tag[16];

	memcpy(op->text, plain, op->len);
	key->seal(key->ctx, op, 1, 8);
	assert_memory_equal(op->text, sealed, op->len);
	memcpy(tag, op->tag, sizeof(tag));

	memcpy(op->text, sealed, op->len);
	mac->seal(mac->ctx, op, 1, 8);
	assert_memory_equal(op->tag, tag, sizeof(tag));
	key->open(key->ctx, op, 1, 8);
	assert_true(op->ok);
	assert_memory_equal(op->text, plain, op->len);
	crypto_key_free(key);
	crypto_key_free(mac);
}

static unsigned int run_cipher(const struct vector *v, enum xipsec_alg alg128,
			       enum xipsec_alg alg256)
{
	__u8 raw[32], plain[ROOM], sealed[ROOM], packet[24 + ROOM] = {0};
	struct crypto_op op = {.text = packet + 24, .head_len = 24};
	long key_len;

	if (!vector_has(v, "key"))
		return 0;
	key_len = vector_bytes(v, "key", raw, sizeof(raw));
	if (key_len != 16 && key_len != 32)
		return 0;
	assert_int_equal(vector_bytes(v, "iv", op.nonce, sizeof(op.nonce)), 16);
	op.len = (__u32)vector_bytes(v, "plaintext", plain, sizeof(plain));
	assert_int_equal(vector_bytes(v, "ciphertext", sealed, sizeof(sealed)), op.len);
	op.tag = op.text + op.len;
	check_cipher(key_len == 16 ? alg128 : alg256, raw, &op, plain, sealed);
	return 1;
}

static unsigned int run_cbc(void *ctx, const struct vector *v)
{
	return run_cipher(v, XIPSEC_ALG_AES128CBC_SHA256, XIPSEC_ALG_AES256CBC_SHA256);
}

static unsigned int run_ctr(void *ctx, const struct vector *v)
{
	return run_cipher(v, XIPSEC_ALG_AES128CTR_SHA256, XIPSEC_ALG_AES256CTR_SHA256);
}

/* RFC 2104 2: a short key gets zeros behind it, one longer than a block is hashed. */
static void fit_key(enum xipsec_alg alg, __u8 *key, long len)
{
	__u8 hash[64];

	if (len <= alg_get(alg)->auth_key)
		return;
	if (alg == XIPSEC_ALG_NULL_SHA256)
		SHA256(key, (size_t)len, hash);
	else if (alg == XIPSEC_ALG_NULL_SHA384)
		SHA384(key, (size_t)len, hash);
	else
		SHA512(key, (size_t)len, hash);
	memcpy(key, hash, alg_get(alg)->auth_key);
}

/* With half of the message as head: it is authenticated alike. */
static unsigned int run_hmac(enum xipsec_alg alg, const struct vector *v)
{
	__u8 raw[256] = {0}, message[ROOM], want[64], tag[32];
	struct crypto_op op = {.tag = tag};
	struct crypto_key *key;
	long key_len, len;

	if (!vector_has(v, "md"))
		return 0;
	key_len = vector_bytes(v, "key", raw, sizeof(raw));
	len = vector_bytes(v, "msg", message, sizeof(message));
	assert_true(vector_bytes(v, "md", want, sizeof(want)) >= alg_get(alg)->icv);
	fit_key(alg, raw, key_len);
	key = key_of(alg, backend, NULL, raw);
	for (op.head_len = 0; op.head_len < len && op.head_len <= 24; op.head_len += 4) {
		op.text = message + op.head_len;
		op.len = (__u32)len - op.head_len;
		key->seal(key->ctx, &op, 1, 0);
		assert_memory_equal(tag, want, alg_get(alg)->icv);
		key->open(key->ctx, &op, 1, 0);
		assert_true(op.ok);
	}
	crypto_key_free(key);
	return 1;
}

static unsigned int run_sha256(void *ctx, const struct vector *v)
{
	return run_hmac(XIPSEC_ALG_NULL_SHA256, v);
}

static unsigned int run_sha384(void *ctx, const struct vector *v)
{
	return run_hmac(XIPSEC_ALG_NULL_SHA384, v);
}

static unsigned int run_sha512(void *ctx, const struct vector *v)
{
	return run_hmac(XIPSEC_ALG_NULL_SHA512, v);
}

static unsigned int run_rfc4868(void *ctx, const struct vector *v)
{
	long len = vector_number(v, "l");

	return run_hmac(len == 32   ? XIPSEC_ALG_NULL_SHA256
			: len == 48 ? XIPSEC_ALG_NULL_SHA384
				    : XIPSEC_ALG_NULL_SHA512,
			v);
}

/* ------------------------------------------------------------------ whole packets */

static unsigned int run_our_packet(const struct vector *v)
{
	enum xipsec_alg alg = vector_alg(v);
	const struct alg *a = alg_get(alg);
	static struct parcel parcel, want;
	__u8 raw[XIPSEC_KEY_MAX], text[ROOM];
	__u32 aad_len = vector_has(v, "high") ? 12 : 8;
	long len = vector_bytes(v, "text", text, sizeof(text));
	struct crypto_op op;
	struct crypto_key *key;
	__be32 high = 0;

	assert_int_equal(vector_bytes(v, "keymat", raw, sizeof(raw)), alg_key_len(alg));
	assert_int_equal(vector_bytes(v, "packet", want.bytes, sizeof(want.bytes)),
			 parcel_head(alg) + len + a->icv);
	if (aad_len == 12)
		vector_bytes(v, "high", (__u8 *)&high, sizeof(high));
	memcpy(parcel.bytes, want.bytes, parcel_head(alg));
	memcpy(parcel_text(&parcel, alg), text, (size_t)len);
	op = parcel_op(&parcel, alg, (__u32)len, high, aad_len);
	memcpy(op.nonce, raw + a->cipher_key, a->salt);
	key = key_of(alg, backend, raw, raw + a->cipher_key + a->salt);
	key->seal(key->ctx, &op, 1, aad_len);
	assert_memory_equal(parcel.bytes, want.bytes, parcel_head(alg) + len + a->icv);
	key->open(key->ctx, &op, 1, aad_len);
	assert_true(op.ok);
	assert_memory_equal(op.text, text, len);
	crypto_key_free(key);
	return 1;
}

static unsigned int run_packet(void *ctx, const struct vector *v)
{
	return vector_has(v, "refused") ? 0 : run_our_packet(v);
}

static void run_files(const struct file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (int b = 0; b < 2; b++) {
			unsigned int run;

			backend = backends[b];
			run = vectors_run(files[i].path, files[i].run, NULL);
			print_message("%5u of %s by %s\n", run, files[i].path,
				      b ? "openssl" : "ipsec-mb");
			assert_true(run >= files[i].floor);
		}
}

#define RUN(files) run_files(files, sizeof(files) / sizeof((files)[0]))

static void test_gcm(void **unused)
{
	static const struct file files[] = {
		{CAVP "ciphers/AES/GCM/gcmEncryptExtIV128.rsp", run_gcm, 375},
		{CAVP "ciphers/AES/GCM/gcmEncryptExtIV256.rsp", run_gcm, 375},
		{CAVP "ciphers/AES/GCM/gcmDecrypt128.rsp", run_gcm, 375},
		{CAVP "ciphers/AES/GCM/gcmDecrypt256.rsp", run_gcm, 375},
	};

	RUN(files);
}

static void test_gmac(void **unused)
{
	static const struct file files[] = {
		{CAVP "ciphers/AES/GCM/gcmEncryptExtIV128.rsp", run_gmac, 75},
		{CAVP "ciphers/AES/GCM/gcmEncryptExtIV256.rsp", run_gmac, 75},
		{CAVP "ciphers/AES/GCM/gcmDecrypt128.rsp", run_gmac, 75},
		{CAVP "ciphers/AES/GCM/gcmDecrypt256.rsp", run_gmac, 75},
	};

	RUN(files);
}

static void test_ccm(void **unused)
{
	static const struct file files[] = {
		{CAVP "ciphers/AES/CCM/VNT128.rsp", run_ccm, 10},
		{CAVP "ciphers/AES/CCM/VNT256.rsp", run_ccm, 10},
	};

	RUN(files);
}

static void test_chacha(void **unused)
{
	static const struct file files[] = {
		{CAVP "ciphers/ChaCha20Poly1305/boringssl.txt", run_chacha, 66},
		{CAVP "ciphers/ChaCha20Poly1305/openssl.txt", run_chacha, 5},
		{OURS "rfc7634-ike.txt", run_chacha, 1},
	};

	RUN(files);
}

static void test_cbc(void **unused)
{
	static const struct file files[] = {
		{CAVP "ciphers/AES/CBC/CBCGFSbox128.rsp", run_cbc, 14},
		{CAVP "ciphers/AES/CBC/CBCGFSbox256.rsp", run_cbc, 10},
		{CAVP "ciphers/AES/CBC/CBCKeySbox128.rsp", run_cbc, 42},
		{CAVP "ciphers/AES/CBC/CBCKeySbox256.rsp", run_cbc, 32},
		{CAVP "ciphers/AES/CBC/CBCVarKey128.rsp", run_cbc, 256},
		{CAVP "ciphers/AES/CBC/CBCVarKey256.rsp", run_cbc, 512},
		{CAVP "ciphers/AES/CBC/CBCVarTxt128.rsp", run_cbc, 256},
		{CAVP "ciphers/AES/CBC/CBCVarTxt256.rsp", run_cbc, 256},
		{CAVP "ciphers/AES/CBC/CBCMMT128.rsp", run_cbc, 20},
		{CAVP "ciphers/AES/CBC/CBCMMT256.rsp", run_cbc, 20},
		{OURS "rfc3602.txt", run_cbc, 8},
	};

	RUN(files);
}

/* RFC 3686 6. */
static void test_ctr(void **unused)
{
	static const struct file files[] = {
		{CAVP "ciphers/AES/CTR/aes-128-ctr.txt", run_ctr, 3},
		{CAVP "ciphers/AES/CTR/aes-256-ctr.txt", run_ctr, 3},
	};

	RUN(files);
}

static void test_hmac(void **unused)
{
	static const struct file files[] = {
		{CAVP "HMAC/rfc-4231-sha256.txt", run_sha256, 6},
		{CAVP "HMAC/rfc-4231-sha384.txt", run_sha384, 6},
		{CAVP "HMAC/rfc-4231-sha512.txt", run_sha512, 6},
		{OURS "rfc4868.txt", run_rfc4868, 12},
	};

	RUN(files);
}

static void test_packets(void **unused)
{
	static const struct file files[] = {{OURS "esp-packets.txt", run_packet, 17}};

	RUN(files);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_gcm),  cmocka_unit_test(test_gmac),
		cmocka_unit_test(test_ccm),  cmocka_unit_test(test_chacha),
		cmocka_unit_test(test_cbc),  cmocka_unit_test(test_ctr),
		cmocka_unit_test(test_hmac), cmocka_unit_test(test_packets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
