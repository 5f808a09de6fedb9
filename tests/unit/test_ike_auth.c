// SPDX-License-Identifier: BSD-2-Clause
/* AUTH (RFC 7296 2.15, RFC 7427, RFC 4754, RFC 8420): what is signed, what is never signed, how
 * signatures are named, and which are refused. OpenSSL's own calls are the second opinion. */
#include "tests/unit/ike_fixture.h"

#include <errno.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rsa.h>

#include "iked/auth.h"

static const __u8 sk_p[32] = {7, 7}, nonce[32] = {1, 2, 3};

/* An IKE_SA_INIT message, and the rest of what is authenticated. */
struct example {
	struct ike_packets *init;
	struct writer id;
	struct auth_in in;
};

static void example_open(struct example *e, bool initiator)
{
	struct ike_header h =
		ike_test_header(IKE_SA_INIT, initiator ? IKE_FLAG_INITIATOR : IKE_FLAG_RESPONSE, 0);
	struct ike_out m = {0};

	*e = (struct example){0};
	ike_out_open(&m, &h);
	ike_out_nonce(&m, BYTES_OF(nonce));
	assert_int_equal(ike_out_plain(&m, &e->init), 0);
	ike_out_free(&m);
	auth_id_body(&e->id, IKE_ID_FQDN, BYTES("moon", 4));
	e->in = (struct auth_in){.initiator = initiator,
				 .init = ike_packet(e->init, 0),
				 .nonce = BYTES_OF(nonce),
				 .prf = PRF_HMAC_SHA2_256,
				 .sk_p = BYTES_OF(sk_p),
				 .id = writer_view(&e->id)};
}

static void example_close(struct example *e)
{
	free(e->init);
	writer_free(&e->id);
}

/* RealMessage | Nonce | prf(SK_p, ID body), put together by hand. */
static size_t octets_by_hand(const struct auth_in *in, __u8 *to)
{
	static const __u8 id[] = {IKE_ID_FQDN, 0, 0, 0, 'm', 'o', 'o', 'n'};
	unsigned int n;

	memcpy(to, in->init.data, in->init.len);
	memcpy(to + in->init.len, nonce, 32);
	HMAC(EVP_sha256(), sk_p, 32, id, sizeof(id), to + in->init.len + 32, &n);
	return in->init.len + 64;
}

static void octets(void **state)
{
	for (int initiator = 0; initiator < 2; initiator++) {
		struct writer out = {0};
		struct example e;
		__u8 want[300];
		size_t len;

		example_open(&e, initiator);
		len = octets_by_hand(&e.in, want);
		writer_u8(&out, 9);
		assert_int_equal(auth_octets(&e.in, &out), 0);
		assert_int_equal(out.len, len + 1);
		assert_memory_equal(out.data + 1, want, len);
		writer_free(&out);
		example_close(&e);
	}
}

/* Nothing but an IKE_SA_INIT message of that end is ever signed. */
static void never_signed(void **state)
{
	static const struct {
		__u8 at, value;
	} rows[] = {
		{18, IKE_AUTH},
		{18, INFORMATIONAL},
		{23, 1}, /* message ID */
		{17, 0x10},
		{17, 0x30}, /* versions */
		{19, IKE_FLAG_RESPONSE},
		{19, 0},
		{19, IKE_FLAG_RESPONSE | IKE_FLAG_INITIATOR},
		{16, IKE_PL_SK},
		{16, 0},
		{31, 9},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct writer out = {0};
		struct example e;
		__u8 *copy;

		example_open(&e, true);
		copy = exact_copy(e.in.init.data, e.in.init.len);
		copy[rows[i].at] = rows[i].value;
		e.in.init.data = copy;
		if (auth_octets(&e.in, &out) != -EINVAL)
			fail_msg("row %zu is signed", i);
		assert_int_equal(out.len, 0);
		free(copy);
		example_close(&e);
	}
}

static void incomplete(void **state)
{
	struct example e;
	struct writer out = {0};

	example_open(&e, true);
	e.in.init.len--; /* shorter, or longer, than its header says */
	assert_int_equal(auth_octets(&e.in, &out), -EINVAL);
	e.in.init.len++;
	{
		__u8 *longer = malloc(e.in.init.len + 1);

		memcpy(longer, e.in.init.data, e.in.init.len);
		longer[e.in.init.len] = 0;
		e.in.init = BYTES(longer, e.in.init.len + 1);
		assert_int_equal(auth_octets(&e.in, &out), -EINVAL);
		e.in.init = ike_packet(e.init, 0);
		free(longer);
	}
	e.in.sk_p.len = 31;
	assert_int_equal(auth_octets(&e.in, &out), -EINVAL);
	e.in.sk_p.len = 32;
	e.in.nonce = BYTES_NONE;
	assert_int_equal(auth_octets(&e.in, &out), -EINVAL);
	e.in.nonce = BYTES_OF(nonce);
	e.in.id.len = 3;
	assert_int_equal(auth_octets(&e.in, &out), -EINVAL);
	assert_int_equal(out.len, 0);
	example_close(&e);
}

/* prf(prf(PSK, "Key Pad for IKEv2"), octets). */
static void psk(void **state)
{
	__u8 text[300], key[32], want[32], out[PRF_LEN_MAX];
	struct example e;
	unsigned int n;
	size_t len;

	example_open(&e, false);
	len = octets_by_hand(&e.in, text);
	HMAC(EVP_sha256(), "secret", 6, (const __u8 *)"Key Pad for IKEv2", 17, key, &n);
	HMAC(EVP_sha256(), key, 32, text, len, want, &n);
	assert_int_equal(auth_psk(&e.in, BYTES("secret", 6), out), 0);
	assert_memory_equal(out, want, 32);
	assert_int_equal(auth_psk_verify(&e.in, BYTES("secret", 6), BYTES(want, 32)), 0);
	assert_int_equal(auth_psk_verify(&e.in, BYTES("Secret", 6), BYTES(want, 32)), -EACCES);
	assert_int_equal(auth_psk_verify(&e.in, BYTES("secret", 6), BYTES(want, 31)), -EACCES);
	assert_int_equal(auth_psk_verify(&e.in, BYTES("secret", 6), BYTES_NONE), -EACCES);
	assert_int_equal(auth_psk_verify(&e.in, BYTES_NONE, BYTES(want, 32)), -EINVAL);
	want[31] ^= 1;
	assert_int_equal(auth_psk_verify(&e.in, BYTES("secret", 6), BYTES(want, 32)), -EACCES);
	example_close(&e);
}

/* ------------------------------------------------------------------ keys */

static EVP_PKEY *keys[8];
enum { RSA_2048, RSA_1024, RSA_PSS, P256, P384, P521, ED25519, ED448 };

static EVP_PKEY *pss_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, "RSA-PSS", NULL);
	EVP_PKEY *key = NULL;

	assert_true(EVP_PKEY_keygen_init(ctx) > 0 && EVP_PKEY_keygen(ctx, &key) > 0);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int make_keys(void **state)
{
	keys[RSA_2048] = EVP_RSA_gen(2048);
	keys[RSA_1024] = EVP_RSA_gen(1024);
	keys[RSA_PSS] = pss_key();
	keys[P256] = EVP_EC_gen("P-256");
	keys[P384] = EVP_EC_gen("P-384");
	keys[P521] = EVP_EC_gen("P-521");
	keys[ED25519] = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	keys[ED448] = EVP_PKEY_Q_keygen(NULL, NULL, "ED448");
	return 0;
}

static int free_keys(void **state)
{
	for (int i = 0; i < 8; i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

/* Which schemes go with which keys. */
static const struct {
	enum auth_scheme first, last;
	__u8 keys; /* bits */
} fits[] = {
	{AUTH_RSA_PKCS1_SHA256, AUTH_RSA_PKCS1_SHA512, 1 << RSA_2048},
	{AUTH_RSA_PSS_SHA256, AUTH_RSA_PSS_SHA512, 1 << RSA_2048 | 1 << RSA_PSS},
	{AUTH_ECDSA_SHA256, AUTH_ECDSA_SHA512, 1 << P256 | 1 << P384 | 1 << P521},
	{AUTH_ED25519, AUTH_ED25519, 1 << ED25519},
	{AUTH_ED448, AUTH_ED448, 1 << ED448},
	{AUTH_ECDSA_256, AUTH_ECDSA_256, 1 << P256},
	{AUTH_ECDSA_384, AUTH_ECDSA_384, 1 << P384},
	{AUTH_ECDSA_521, AUTH_ECDSA_521, 1 << P521},
};

static void round_trip(enum auth_scheme scheme, EVP_PKEY *key)
{
	__u8 method = auth_scheme_method(scheme);
	enum auth_scheme found = AUTH_SCHEME_NONE;
	struct writer data = {0};
	struct example e;
	char why[200];

	example_open(&e, true);
	assert_int_equal(auth_sign(&e.in, key, scheme, &data), 0);
	if (auth_verify(&e.in, key, method, writer_view(&data), &found, why, sizeof(why)))
		fail_msg("%s: %s", auth_scheme_name(scheme), why);
	assert_int_equal(found, scheme);
	for (size_t i = 0; i < data.len; i++) {
		data.data[i] ^= 0x10;
		assert_int_not_equal(
			auth_verify(&e.in, key, method, writer_view(&data), NULL, why, sizeof(why)),
			0);
		data.data[i] ^= 0x10;
	}
	for (size_t n = 0; n < data.len; n++)
		assert_int_not_equal(auth_verify(&e.in, key, method, BYTES(data.data, n), NULL, why,
						 sizeof(why)),
				     0);
	e.in.nonce.len--; /* other octets */
	assert_int_equal(
		auth_verify(&e.in, key, method, writer_view(&data), NULL, why, sizeof(why)),
		-EACCES);
	writer_free(&data);
	example_close(&e);
}

static void signs_and_verifies(void **state)
{
	unsigned int tried = 0;

	for (size_t row = 0; row < sizeof(fits) / sizeof(fits[0]); row++) {
		for (unsigned int scheme = fits[row].first; scheme <= fits[row].last; scheme++) {
			for (int k = 0; k < 8; k++) {
				if (k == RSA_1024)
					continue;
				assert_int_equal(auth_scheme_fits(scheme, keys[k]),
						 !!(fits[row].keys & 1 << k));
				if (fits[row].keys & 1 << k) {
					round_trip(scheme, keys[k]);
					tried++;
				}
			}
		}
	}
	assert_int_equal(tried, 3 + 6 + 9 + 2 + 3);
}

/* RFC 7427 A and RFC 8420 A: the AlgorithmIdentifier in front of the signature. */
static const struct {
	enum auth_scheme scheme;
	int key;
	__u8 len;
	const char *blob;
} sent[] = {
	{AUTH_RSA_PKCS1_SHA256, RSA_2048, 15,
	 "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00"},
	{AUTH_RSA_PKCS1_SHA384, RSA_2048, 15,
	 "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00"},
	{AUTH_RSA_PKCS1_SHA512, RSA_2048, 15,
	 "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00"},
	{AUTH_ECDSA_SHA256, P256, 12, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02"},
	{AUTH_ECDSA_SHA384, P256, 12, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03"},
	{AUTH_ECDSA_SHA512, P256, 12, "\x30\x0a\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04"},
	{AUTH_ED25519, ED25519, 7, "\x30\x05\x06\x03\x2b\x65\x70"},
	{AUTH_ED448, ED448, 7, "\x30\x05\x06\x03\x2b\x65\x71"},
};

static void algorithm_identifiers(void **state)
{
	for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++) {
		struct writer data = {0};
		struct example e;

		example_open(&e, true);
		assert_int_equal(auth_sign(&e.in, keys[sent[i].key], sent[i].scheme, &data), 0);
		assert_int_equal(data.data[0], sent[i].len);
		assert_memory_equal(data.data + 1, sent[i].blob, sent[i].len);
		writer_free(&data);
		example_close(&e);
	}
}

/* A signature of ours under the identifier of somebody else. */
static int verify_with_blob(enum auth_scheme scheme, EVP_PKEY *key, const char *blob, __u8 len,
			    char *why)
{
	struct writer data = {0}, other = {0};
	struct example e;
	int err;

	example_open(&e, true);
	assert_int_equal(auth_sign(&e.in, key, scheme, &data), 0);
	writer_u8(&other, len);
	writer_bytes(&other, BYTES(blob, len));
	writer_bytes(&other, BYTES(data.data + 1 + data.data[0], data.len - 1 - data.data[0]));
	err = auth_verify(&e.in, key, IKE_AUTH_SIGNATURE, writer_view(&other), NULL, why, 200);
	writer_free(&data);
	writer_free(&other);
	example_close(&e);
	return err;
}

#define PSS       "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a"
#define SHA256_ID "\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00"
#define MGF1_ID   "\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08"
#define SHA1_ID   "\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00"

static void pss_parameters(void **state)
{
	static const struct {
		const char *what, *blob;
		__u8 len;
		int err;
	} rows[] = {
		{"RFC 7427 A.4.3, with trailerField",
		 "\x30\x46" PSS "\x30\x39\xa0\x0f" SHA256_ID "\xa1\x1c\x30\x1a" MGF1_ID SHA256_ID
		 "\xa2\x03\x02\x01\x20\xa3\x03\x02\x01\x01",
		 72, 0},
		{"as DER has it",
		 "\x30\x41" PSS "\x30\x34\xa0\x0f" SHA256_ID "\xa1\x1c\x30\x1a" MGF1_ID SHA256_ID
		 "\xa2\x03\x02\x01\x20",
		 67, 0},
		{"another salt",
		 "\x30\x41" PSS "\x30\x34\xa0\x0f" SHA256_ID "\xa1\x1c\x30\x1a" MGF1_ID SHA256_ID
		 "\xa2\x03\x02\x01\x14",
		 67, -EACCES},
		{"A.4.1, empty: SHA-1", "\x30\x0d" PSS "\x30\x00", 15, -EOPNOTSUPP},
		{"A.4.2, SHA-1",
		 "\x30\x3e" PSS "\x30\x31\xa0\x0b" SHA1_ID "\xa1\x18\x30\x16" MGF1_ID SHA1_ID
		 "\xa2\x03\x02\x01\x14\xa3\x03\x02\x01\x01",
		 64, -EOPNOTSUPP},
		{"SHA-256 with a mask of SHA-1",
		 "\x30\x26" PSS "\x30\x19\xa0\x0f" SHA256_ID "\xa2\x06\x02\x04\x00\x00\x00\x20", 40,
		 -EOPNOTSUPP},
		{"SHA-1 by default, with a mask of SHA-256",
		 "\x30\x30" PSS "\x30\x23\xa1\x1c\x30\x1a" MGF1_ID SHA256_ID "\xa2\x03\x02\x01\x20",
		 50, -EOPNOTSUPP},
		{"another trailer",
		 "\x30\x46" PSS "\x30\x39\xa0\x0f" SHA256_ID "\xa1\x1c\x30\x1a" MGF1_ID SHA256_ID
		 "\xa2\x03\x02\x01\x20\xa3\x03\x02\x01\x02",
		 72, -EOPNOTSUPP},
		{"bytes behind",
		 "\x30\x41" PSS "\x30\x34\xa0\x0f" SHA256_ID "\xa1\x1c\x30\x1a" MGF1_ID SHA256_ID
		 "\xa2\x03\x02\x01\x20\x00",
		 68, -EOPNOTSUPP},
		{"PKCS#1 with SHA-1",
		 "\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00", 15, -EOPNOTSUPP},
		{"nothing", "", 0, -EOPNOTSUPP},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char why[200] = "";
		int err = verify_with_blob(AUTH_RSA_PSS_SHA256, keys[RSA_2048], rows[i].blob,
					   rows[i].len, why);

		if (err != rows[i].err)
			fail_msg("%s: %d, %s", rows[i].what, err, why);
	}
}

/* RFC 4754 3: r | s without DER, each of the curve's size; judged by OpenSSL's own ECDSA. */
static void plain_signature(void **state)
{
	static const struct {
		enum auth_scheme scheme;
		int key;
		size_t half;
	} rows[] = {
		{AUTH_ECDSA_256, P256, 32}, {AUTH_ECDSA_384, P384, 48}, {AUTH_ECDSA_521, P521, 66}};

	for (int i = 0; i < 3; i++) {
		const EVP_MD *md[] = {EVP_sha256(), EVP_sha384(), EVP_sha512()};
		struct writer data = {0}, text = {0};
		ECDSA_SIG *sig = ECDSA_SIG_new();
		EVP_MD_CTX *ctx = EVP_MD_CTX_new();
		unsigned char *der = NULL;
		struct example e;
		int len;

		example_open(&e, true);
		assert_int_equal(auth_sign(&e.in, keys[rows[i].key], rows[i].scheme, &data), 0);
		assert_int_equal(data.len, 2 * rows[i].half);
		assert_int_equal(auth_octets(&e.in, &text), 0);
		ECDSA_SIG_set0(sig, BN_bin2bn(data.data, (int)rows[i].half, NULL),
			       BN_bin2bn(data.data + rows[i].half, (int)rows[i].half, NULL));
		len = i2d_ECDSA_SIG(sig, &der);
		assert_true(EVP_DigestVerifyInit(ctx, NULL, md[i], NULL, keys[rows[i].key]) > 0);
		assert_int_equal(EVP_DigestVerify(ctx, der, (size_t)len, text.data, text.len), 1);
		OPENSSL_free(der);
		ECDSA_SIG_free(sig);
		EVP_MD_CTX_free(ctx);
		writer_free(&data);
		writer_free(&text);
		example_close(&e);
	}
}

static void refused(void **state)
{
	struct writer data = {0};
	struct example e;
	char why[200];

	example_open(&e, true);
	assert_int_equal(auth_sign(&e.in, keys[P256], AUTH_RSA_PSS_SHA256, &data), -EINVAL);
	assert_int_equal(auth_sign(&e.in, keys[P256], AUTH_ECDSA_384, &data), -EINVAL);
	assert_int_equal(auth_sign(&e.in, keys[P256], AUTH_SCHEME_NONE, &data), -EINVAL);
	assert_int_equal(auth_sign(&e.in, keys[RSA_1024], AUTH_RSA_PSS_SHA256, &data), 0);
	assert_int_equal(auth_verify(&e.in, keys[RSA_1024], IKE_AUTH_SIGNATURE, writer_view(&data),
				     NULL, why, sizeof(why)),
			 -EOPNOTSUPP);
	assert_string_equal(why, "RSA of 1024 bits, less than 2048");
	assert_int_equal(auth_verify(&e.in, keys[P256], IKE_AUTH_SIGNATURE, writer_view(&data),
				     NULL, why, sizeof(why)),
			 -EACCES);
	assert_int_equal(auth_verify(&e.in, keys[RSA_2048], IKE_AUTH_RSA, writer_view(&data), NULL,
				     why, sizeof(why)),
			 -EOPNOTSUPP);
	assert_string_equal(why, "method 1, RSA with SHA-1: the peer does not know RFC 7427");
	assert_int_equal(
		auth_verify(&e.in, keys[RSA_2048], 3, writer_view(&data), NULL, why, sizeof(why)),
		-EOPNOTSUPP);
	/* made by another key of the same kind */
	writer_reset(&data);
	assert_int_equal(auth_sign(&e.in, keys[P384], AUTH_ECDSA_SHA256, &data), 0);
	assert_int_equal(auth_verify(&e.in, keys[P256], IKE_AUTH_SIGNATURE, writer_view(&data),
				     NULL, why, sizeof(why)),
			 -EACCES);
	assert_string_equal(why, "ECDSA_WITH_SHA256_DER signature is wrong");
	writer_free(&data);
	example_close(&e);
}

#define SHA256 (1u << IKE_HASH_SHA256)
#define SHA384 (1u << IKE_HASH_SHA384)
#define SHA512 (1u << IKE_HASH_SHA512)
#define SHA1   (1u << IKE_HASH_SHA1)
#define IDENT  (1u << IKE_HASH_IDENTITY)

static const struct {
	int key;
	__u32 hashes;
	enum auth_scheme scheme;
} choices[] = {
	{RSA_2048, AUTH_HASHES, AUTH_RSA_PSS_SHA256},
	{RSA_2048, SHA512 | SHA384, AUTH_RSA_PSS_SHA384},
	{RSA_2048, SHA1, AUTH_SCHEME_NONE},
	{RSA_2048, 0, AUTH_SCHEME_NONE}, /* that would be SHA-1 */
	{RSA_PSS, AUTH_HASHES, AUTH_RSA_PSS_SHA256},
	{P256, AUTH_HASHES, AUTH_ECDSA_SHA256},
	{P384, AUTH_HASHES, AUTH_ECDSA_SHA384},
	{P521, AUTH_HASHES, AUTH_ECDSA_SHA512},
	{P521, SHA256, AUTH_ECDSA_SHA256}, /* weaker rather than none */
	{P256, 0, AUTH_ECDSA_256},
	{P384, 0, AUTH_ECDSA_384},
	{P521, 0, AUTH_ECDSA_521},
	{ED25519, AUTH_HASHES, AUTH_ED25519},
	{ED448, IDENT, AUTH_ED448},
	{ED25519, SHA256 | SHA512, AUTH_SCHEME_NONE},
	{ED25519, 0, AUTH_SCHEME_NONE},
};

static void chooses(void **state)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		enum auth_scheme got = auth_scheme_choose(keys[choices[i].key], choices[i].hashes);

		if (got != choices[i].scheme)
			fail_msg("row %zu: %s", i, auth_scheme_name(got));
	}
	assert_string_equal(auth_scheme_name(AUTH_RSA_PSS_SHA512), "RSA_EMSA_PSS_SHA2_512");
	assert_string_equal(auth_scheme_name(99), "no signature");
	assert_int_equal(auth_scheme_method(AUTH_ECDSA_521), 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(octets),
		cmocka_unit_test(never_signed),
		cmocka_unit_test(incomplete),
		cmocka_unit_test(psk),
		cmocka_unit_test(signs_and_verifies),
		cmocka_unit_test(algorithm_identifiers),
		cmocka_unit_test(pss_parameters),
		cmocka_unit_test(plain_signature),
		cmocka_unit_test(refused),
		cmocka_unit_test(chooses),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
