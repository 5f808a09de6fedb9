// SPDX-License-Identifier: BSD-2-Clause
/* AH of every size from 0 to the MTU, with options, extension headers and without: sealed by one
 * backend, judged by OpenSSL's own calls over headers masked by hand, opened by the other backend.
 */
#include "tests/unit/esp_fixture.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdbool.h>

#include "worker/ah.h"

static struct xipsec_sa_state out_state, in_state;
static struct frame frame;

static const enum xipsec_alg algs[] = {XIPSEC_ALG_NULL_SHA256, XIPSEC_ALG_NULL_SHA384,
				       XIPSEC_ALG_NULL_SHA512, XIPSEC_ALG_AES128GMAC,
				       XIPSEC_ALG_AES256GMAC};

struct pair {
	struct sa *out, *in;
};

/* Headers in front, as they go in, and what of them the ICV is over (RFC 4302 A1, A2): both by
 * hand. */
static const struct shape {
	const char *name;
	int family;
	__u8 first;     /* behind the IPv6 header */
	__u32 ext_len;  /* of options or extension headers */
	__u32 front;    /* bytes of them that AH has before it */
	__u32 next_off; /* from the IP header: of the byte that says AH */
	__u8 ext[40], masked[40];
} shapes[] = {
	{"IPv4", 4, 0, 0, 0, 9, {0}, {0}},
	{"router alert, record route",
	 4,
	 0,
	 12,
	 12,
	 9,
	 {0x94, 4, 0, 0, 7, 7, 4, 1, 2, 3, 4, 0},
	 {0x94, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}},
	{"no-ops, security, timestamp",
	 4,
	 0,
	 16,
	 16,
	 9,
	 {1, 1, 0x82, 3, 0xab, 1, 1, 1, 0x44, 8, 5, 0, 1, 2, 3, 4},
	 {1, 1, 0x82, 3, 0xab, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0}},
	{"IPv6", 6, 0, 0, 0, 6, {0}, {0}},
	{"hop-by-hop, one option that stays, one that may change",
	 6,
	 0,
	 8,
	 8,
	 40,
	 {17, 0, 0x1e, 1, 0x77, 0x3e, 1, 0x77},
	 {51, 0, 0x1e, 1, 0x77, 0x3e, 1, 0}},
	{"destination options, routing, and destination options behind AH",
	 6,
	 60,
	 40,
	 32,
	 48,
	 {43, 0, 0x3e, 1, 0x77, 1, 1, 0, 60, 2, 4, 0, 1, 2, 3, 4, [32] = 17, 0, 1, 4},
	 {43, 0, 0x3e, 1, 0, 1, 1, 0, 51, 2, 4, 0, 1, 2, 3, 4}},
};

/* The ICV by OpenSSL's own calls, never by a backend: over the masked headers, AH with zeroes for
 * the ICV, the text and the high half of the number. */
static void judge_icv(const struct xipsec_sa *config, const __u8 *covered, __u32 len,
		      const __u8 *iv, __u8 *icv)
{
	const struct alg *alg = alg_get(config->alg);
	const EVP_MD *md = alg->auth_key == 32   ? EVP_sha256()
			   : alg->auth_key == 48 ? EVP_sha384()
						 : EVP_sha512();
	__u8 full[EVP_MAX_MD_SIZE], nonce[12];
	EVP_CIPHER_CTX *ctx;
	unsigned int n = 0;
	int got;

	if (!alg->iv) {
		assert_non_null(HMAC(md, config->key, alg->auth_key, covered, len, full, &n));
		memcpy(icv, full, alg->icv);
		return;
	}
	memcpy(nonce, config->key + alg->cipher_key, 4);
	memcpy(nonce + 4, iv, 8);
	ctx = EVP_CIPHER_CTX_new();
	assert_non_null(ctx);
	assert_int_equal(EVP_EncryptInit_ex(
				 ctx, alg->cipher_key == 16 ? EVP_aes_128_gcm() : EVP_aes_256_gcm(),
				 NULL, config->key, nonce),
			 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &got, covered, (int)len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, full, &got), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, 16, icv), 1);
	EVP_CIPHER_CTX_free(ctx);
}

/* The sealed packet in `frame`; `shape`: what stands in front of AH. */
static void judge(const struct xipsec_sa *config, const struct shape *shape, __u64 seq,
		  const __u8 *text, __u32 text_len)
{
	const struct alg *alg = alg_get(config->alg);
	__u32 base = shape->family == 4 ? 20 : 40, pad = shape->family == 4 ? 4 : 8;
	__u32 front = base + shape->front,
	      ah_len = (12 + alg->iv + alg->icv + pad - 1) & ~(pad - 1);
	const __u8 *ip = frame.p.data, *ah = ip + front;
	__be64 seq_be = htobe64(seq);
	__u8 covered[2048], icv[32];
	__u32 len = front + ah_len + text_len;

	assert_int_equal(frame.p.len, len);
	assert_int_equal(shape->family == 4 ? get16(ip + 2) : get16(ip + 4) + 40u, len);
	if (shape->family == 4)
		assert_int_equal(csum_fold(csum_add(0, ip, front)), 0xffff);
	assert_int_equal(ip[shape->next_off], IPPROTO_AH);
	assert_int_equal(ah[1], ah_len / 4 - 2);
	assert_int_equal(get16(ah + 2), 0);
	assert_memory_equal(ah + 4, &config->spi, 4);
	assert_memory_equal(ah + 8, (__u8 *)&seq_be + 4, 4);
	assert_memory_equal(ah + ah_len, text, text_len);
	memcpy(covered, ip, len);
	memcpy(covered + base, shape->masked, shape->front);
	if (shape->family == 4) {
		covered[1] = 0;
		memset(covered + 6, 0, 3);
		memset(covered + 10, 0, 2);
	} else {
		memcpy(covered, "\x60\0\0\0", 4);
		covered[7] = 0;
	}
	memset(covered + front + 12 + alg->iv, 0, ah_len - 12 - alg->iv);
	if (config->flags & XIPSEC_SA_ESN)
		memcpy(covered + len, &seq_be, 4);
	judge_icv(config, covered, len + (config->flags & XIPSEC_SA_ESN ? 4 : 0), ah + 12, icv);
	assert_memory_equal(ah + 12 + alg->iv, icv, alg->icv);
}

/* Sealed by one backend, judged, opened by the other. False: it does not fit. */
static bool there_and_back(struct pair *pair, const struct xipsec_sa *config,
			   const struct shape *shape, const __u8 *inner, __u32 len)
{
	const struct shape *outer = config->mode == XIPSEC_MODE_TRANSPORT ? shape
				    : config->outer_family == 4           ? &shapes[0]
									  : &shapes[3];
	__u32 behind = config->mode == XIPSEC_MODE_TUNNEL
			       ? 0
			       : (shape->family == 4 ? 20 : 40) + shape->front;
	struct packet *p = frame_load(&frame, inner, len);

	p->flags = PACKET_LOCAL;
	ah_out_burst(pair->out, &p, 1, 1500, 1);
	if (p->reason == XIPSEC_REASON_TOO_BIG)
		return false;
	if (p->reason != XIPSEC_REASON_SEALED)
		fail_msg("%s, %u bytes: reason %u", shape->name, len, p->reason);
	assert_in_range(p->len, 1, 1500);
	judge(config, outer, p->seq, inner + behind, len - behind);
	p->reason = 0;
	ah_in_burst(pair->in, &p, 1, 1);
	if (p->reason != XIPSEC_REASON_OPENED)
		fail_msg("%s, %u bytes: back: reason %u", shape->name, len, p->reason);
	assert_int_equal(p->len, len);
	assert_memory_equal(p->data, inner, len);
	return true;
}

static void run_sizes(const struct shape *shape, struct xipsec_sa config, enum xipsec_backend by,
		      enum xipsec_backend to)
{
	struct pair pair;
	__u32 longest = 0, len = 0, payload;
	__u8 inner[2048];

	config.l4_proto = IPPROTO_AH;
	pair.out = sa_make(&config, &out_state, by);
	config.dir = XIPSEC_DIR_IN;
	pair.in = sa_make(&config, &in_state, to);
	in_state.replay_top = out_state.seq = config.flags & XIPSEC_SA_ESN ? 0x2fffffff0ULL : 5;
	for (payload = 0; payload < 1500; payload += payload < 66 || payload > 1260 ? 1 : 17) {
		len = udp_with_ext(inner, shape->family, payload, shape->ext, shape->ext_len,
				   shape->first);
		if (!there_and_back(&pair, &config, shape, inner, len))
			break;
		longest = frame.p.len;
	}
	/* and the first that did not fit is one byte more than the path takes */
	assert_int_equal(frame.p.reason, XIPSEC_REASON_TOO_BIG);
	assert_int_equal(frame.p.icmp_mtu, len - 1);
	assert_int_equal(longest, len - 1);
	sa_free(pair.out);
	sa_free(pair.in);
}

static void test_sizes(void **unused)
{
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
		for (size_t a = 0; a < sizeof(algs) / sizeof(algs[0]); a++)
			for (int esn = 0; esn < 2; esn++)
				for (int b = XIPSEC_BACKEND_IPSEC_MB; b <= XIPSEC_BACKEND_OPENSSL;
				     b++) {
					int other = b == XIPSEC_BACKEND_OPENSSL
							    ? XIPSEC_BACKEND_IPSEC_MB
							    : XIPSEC_BACKEND_OPENSSL;
					struct xipsec_sa config = sa_config(
						algs[a], shapes[s].family, esn, XIPSEC_DIR_OUT);

					run_sizes(&shapes[s], config, b, other);
					config.mode = XIPSEC_MODE_TRANSPORT;
					run_sizes(&shapes[s], config, b, other);
				}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_sizes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
