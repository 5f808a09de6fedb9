// SPDX-License-Identifier: BSD-2-Clause
/*
 * RFC 8750: with an implicit IV the nonce is made of the whole number that the packet has, of which
 * with ESN half travels. Judged by OpenSSL's own calls, never by a backend: both ends of the worker
 * could be wrong alike.
 */
#include "tests/unit/esp_fixture.h"

#include <stdbool.h>
#include <endian.h>
#include <openssl/evp.h>

#include "worker/esp_in.h"
#include "worker/esp_out.h"

#define HEADERS 28 /* outer IPv4 and ESP: no IV */

static const enum xipsec_alg algs[] = {
	XIPSEC_ALG_AES128GCM16IIV, XIPSEC_ALG_AES256GCM16IIV, XIPSEC_ALG_CHACHA20POLY1305IIV,
	XIPSEC_ALG_AES128CCM8IIV,  XIPSEC_ALG_AES256CCM8IIV,
};

static struct xipsec_sa_state out_state, in_state;
static struct frame frame;

static const EVP_CIPHER *cipher_of(enum xipsec_alg alg)
{
	switch (alg) {
	case XIPSEC_ALG_AES128GCM16IIV: return EVP_aes_128_gcm();
	case XIPSEC_ALG_AES256GCM16IIV: return EVP_aes_256_gcm();
	case XIPSEC_ALG_AES128CCM8IIV: return EVP_aes_128_ccm();
	case XIPSEC_ALG_AES256CCM8IIV: return EVP_aes_256_ccm();
	default: return EVP_chacha20_poly1305();
	}
}

/* RFC 8750 4: the 64 bits of the extended number, or 32 zeroes and the 32 bits of the other. */
static __u32 nonce_of(const struct xipsec_sa *config, __u64 seq, __u8 nonce[12])
{
	const struct alg *alg = alg_get(config->alg);

	memcpy(nonce, config->key + alg->cipher_key, alg->salt);
	for (int i = 0; i < 8; i++)
		nonce[alg->salt + i] = (__u8)(seq >> (56 - 8 * i));
	return alg->salt + 8;
}

/* Opens the sealed packet `esp` of `len` bytes into `text`; false: its tag is another. */
static bool judge(const struct xipsec_sa *config, __u64 seq, const __u8 *esp, __u32 len, __u8 *text)
{
	const struct alg *alg = alg_get(config->alg);
	const bool ccm = alg->salt == 3;
	const int n = (int)(len - 8 - alg->icv);
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	__u8 nonce[12], aad[12], tag[16];
	int got = 0, aad_len = 8, ok;

	assert_non_null(ctx);
	memcpy(tag, esp + len - alg->icv, alg->icv);
	memcpy(aad, esp, 8);
	if (config->flags & XIPSEC_SA_ESN) {
		__be32 high = htonl((__u32)(seq >> 32));

		memcpy(aad + 4, &high, 4);
		memcpy(aad + 8, esp + 4, 4);
		aad_len = 12;
	}
	assert_int_equal(EVP_DecryptInit_ex(ctx, cipher_of(config->alg), NULL, NULL, NULL), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_IVLEN,
					     (int)nonce_of(config, seq, nonce), NULL),
			 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, alg->icv, tag), 1);
	assert_int_equal(EVP_DecryptInit_ex(ctx, NULL, NULL, config->key, nonce), 1);
	if (ccm)
		assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &got, NULL, n), 1);
	assert_int_equal(EVP_DecryptUpdate(ctx, NULL, &got, aad, aad_len), 1);
	ok = EVP_DecryptUpdate(ctx, text, &got, esp + 8, n) == 1;
	if (!ccm)
		ok = ok && EVP_DecryptFinal_ex(ctx, text + got, &got) == 1;
	EVP_CIPHER_CTX_free(ctx);
	return ok;
}

static void one_number(struct xipsec_sa config, enum xipsec_backend backend, __u64 seq)
{
	const struct alg *alg = alg_get(config.alg);
	__u8 inner[512], text[512];
	__u32 len = udp_write(inner, 4, 101), sealed;
	struct packet *p = frame_load(&frame, inner, len);
	struct sa *out = sa_make(&config, &out_state, backend), *in;
	__be32 low = htonl((__u32)seq);

	config.dir = XIPSEC_DIR_IN;
	in = sa_make(&config, &in_state, backend);
	out_state.seq = in_state.replay_top = seq - 1;
	esp_out_burst(out, &p, 1, 1500, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
	sealed = p->len - 20;
	assert_int_equal(p->len, HEADERS + (len + 2 + 3) / 4 * 4 + alg->icv);
	assert_memory_equal(p->data + 24, &low, 4);
	assert_true(judge(&config, seq, p->data + 20, sealed, text));
	assert_memory_equal(text + 12, inner + 12, len - 12);
	/* the judge does look at the nonce */
	assert_false(judge(&config, seq ^ 1ULL << 63, p->data + 20, sealed, text));
	p->reason = 0;
	esp_in_burst(in, &p, 1, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_OPENED);
	assert_int_equal(p->seq, seq);
	assert_memory_equal(p->data + 12, inner + 12, len - 12);
	sa_free(out);
	sa_free(in);
}

static void test_whole_numbers(void **unused)
{
	static const __u64 esn[] = {1,           0xffffffff,        0x100000000ULL, 0x100000001ULL,
				    0x7fffff05a, 0x89abcdef01234ULL};
	static const __u64 plain[] = {1, 0x01020304, 0xfffffffe};

	for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
		for (int b = XIPSEC_BACKEND_IPSEC_MB; b <= XIPSEC_BACKEND_OPENSSL; b++) {
			for (size_t i = 0; i < sizeof(esn) / sizeof(esn[0]); i++)
				one_number(sa_config(algs[a], 4, 1, XIPSEC_DIR_OUT), b, esn[i]);
			for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
				one_number(sa_config(algs[a], 4, 0, XIPSEC_DIR_OUT), b, plain[i]);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole_numbers),
	};

	if (crypto_init())
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
