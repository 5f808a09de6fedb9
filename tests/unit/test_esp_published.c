// SPDX-License-Identifier: BSD-2-Clause
/*
 * What others have published of ESP, as packets of an SA: RFC 3602 4, RFC 3686 6, RFC 4868 2.7.2,
 * RFC 7634 A and draft-mcgrew-gcm-test-01, by both backends.
 *
 * In: opened to the very bytes. Out: the very bytes where the IV can be had, which is CBC's (it is
 * drawn, and the test draws). Of the other algorithms the IV is our sequence number and theirs is
 * not, so what can be the same is: headers, and the text with its trailer.
 */
#include "tests/unit/esp_fixture.h"

#include <stdbool.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "tests/lib/vectors.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"

#define OURS     "tests/unit/vectors/"
#define ROOM     512
#define IP4      20
#define HMAC_ICV 16 /* bytes of HMAC-SHA-256-128 */

static const enum xipsec_backend backends[] = {XIPSEC_BACKEND_IPSEC_MB, XIPSEC_BACKEND_OPENSSL};
static enum xipsec_backend backend;
static struct xipsec_sa_state state;
static struct frame frame;
static unsigned int refused, empty;

/* Random numbers of this program: the IV that is wanted, over and over. */
static __u8 wanted_iv[16];

int RAND_bytes(unsigned char *to, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = wanted_iv[i % 16];
	return 1;
}

/* Until what was drawn before is used up. */
static void draw_iv(const __u8 *iv)
{
	__u8 next[16];

	memcpy(wanted_iv, iv, sizeof(wanted_iv));
	do
		crypto_random_iv(next);
	while (memcmp(next, iv, sizeof(next)) != 0);
}

static const __u8 auth_key[32] = {0xa5, 1, 2, 3, 4};

static void hmac_write(const __u8 *from, __u32 len, __u8 *to)
{
	__u8 hash[EVP_MAX_MD_SIZE];

	assert_non_null(HMAC(EVP_sha256(), auth_key, sizeof(auth_key), from, len, hash, NULL));
	memcpy(to, hash, HMAC_ICV);
}

static void set_addresses(struct xipsec_sa *config, const __u8 *ip)
{
	memcpy(config->src.byte, ip + 12, 4);
	memcpy(config->dst.byte, ip + 16, 4);
}

/* As if all numbers before had been there to be seen: the words of the window name their blocks,
 * and an empty one is no block's that lies 2^45 numbers ahead. */
static void come_to(__u64 seq)
{
	state.replay_top = seq - 1;
	for (unsigned int i = 0; i < XIPSEC_REPLAY_WORDS; i++)
		state.replay[i] = ((seq / 32 / XIPSEC_REPLAY_WORDS - 1) & 0xffffffff) << 32;
}

/* With `flip` in the last byte of its ICV. */
static enum xipsec_reason open_flipped(const struct xipsec_sa *config, const __u8 *packet,
				       __u32 len, __u64 seq, __u8 flip)
{
	struct xipsec_sa in = *config;
	struct packet *p = frame_load(&frame, packet, len);
	struct sa *sa;

	in.dir = XIPSEC_DIR_IN;
	sa = sa_make(&in, &state, backend);
	come_to(seq);
	p->l4_off = IP4;
	p->data[len - 1] ^= flip;
	esp_in_burst(sa, &p, 1, 1);
	if (p->reason == XIPSEC_REASON_OPENED)
		assert_int_equal(p->seq, seq);
	sa_free(sa);
	return p->reason;
}

static enum xipsec_reason open_whole(const struct xipsec_sa *config, const __u8 *packet, __u32 len,
				     __u64 seq)
{
	enum xipsec_reason reason = open_flipped(config, packet, len, seq, 0);

	assert_int_equal(state.replay_top, seq);
	return reason;
}

/* Any bit of the ICV: refused, and nothing moves. */
static void refuse_forged(const struct xipsec_sa *config, const __u8 *packet, __u32 len, __u64 seq)
{
	assert_int_equal(open_flipped(config, packet, len, seq, 0x10), XIPSEC_REASON_ICV);
	assert_int_equal(state.replay_top, seq - 1);
}

static void seal_whole(const struct xipsec_sa *config, const __u8 *inner, __u32 len, __u64 seq)
{
	struct xipsec_sa out = *config;
	struct packet *p = frame_load(&frame, inner, len);
	struct sa *sa;

	out.dir = XIPSEC_DIR_OUT;
	sa = sa_make(&out, &state, backend);
	state.seq = seq - 1;
	p->flags = PACKET_LOCAL;
	esp_out_burst(sa, &p, 1, PATH_MTU, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
	assert_int_equal(p->seq, seq);
	sa_free(sa);
}

/* The packet inside a text: in transport mode `header` stands in front. Returns its bytes. */
static __u32 inner_of(const struct xipsec_sa *config, const __u8 *header, const __u8 *text,
		      __u32 text_len, __u8 *inner)
{
	__u32 len = text_len - ESP_TRAILER_MIN - text[text_len - 2];

	if (config->mode == XIPSEC_MODE_TUNNEL) {
		memcpy(inner, text, len);
		return len;
	}
	memcpy(inner, header, IP4);
	inner[9] = text[text_len - 1];
	put16(inner + 2, IP4 + len);
	ip4_check(inner);
	memcpy(inner + IP4, text, len);
	return IP4 + len;
}

static void set_mode(struct xipsec_sa *config, const __u8 *text, long len)
{
	bool tunnel = text[len - 1] == IPPROTO_IPIP;

	config->mode = tunnel ? XIPSEC_MODE_TUNNEL : XIPSEC_MODE_TRANSPORT;
}

/* ---------------------------------------------------------------- RFC 7634, draft-mcgrew-gcm-test
 */

/* What was sealed, opened by the library alone: the text is the published one, trailer included. */
static void check_sealed(const struct xipsec_sa *config, const __u8 *published, const __u8 *text,
			 __u32 text_len, __u64 seq)
{
	const struct alg *alg = alg_get(config->alg);
	__u32 head = IP4 + ESP_HEADER_LEN + alg->iv, total = head + text_len + alg->icv;
	__be64 seq_be = htobe64(config->flags & XIPSEC_SA_ESN ? seq : seq << 32);
	struct crypto_op op = {.text = frame.p.data + head,
			       .tag = frame.p.data + head + text_len,
			       .len = text_len,
			       .head_len = ESP_HEADER_LEN + alg->iv};
	struct crypto_key *key;
	int err;

	assert_int_equal(frame.p.len, total);
	assert_memory_equal(frame.p.data + IP4, published + IP4, ESP_HEADER_LEN);
	frame.p.data[4] = published[4]; /* the ID is the sender's own */
	frame.p.data[5] = published[5];
	ip4_check(frame.p.data);
	assert_memory_equal(frame.p.data, published, IP4);
	key = crypto_key_new(config->alg, config->key, config->key_len, backend, &err);
	assert_non_null(key);
	memcpy(op.nonce, config->key + alg->cipher_key, alg->salt);
	memcpy(op.nonce + alg->salt, frame.p.data + IP4 + ESP_HEADER_LEN, alg->iv);
	memcpy(op.aad, &config->spi, 4);
	memcpy(op.aad + 4, &seq_be, 8);
	key->open(key->ctx, &op, 1, config->flags & XIPSEC_SA_ESN ? 12 : 8);
	assert_true(op.ok);
	assert_memory_equal(op.text, text, text_len);
	crypto_key_free(key);
}

/* The outer header that was published, or one of ours. */
static __u32 outer_of(const struct vector *v, __u8 *packet, __u32 esp_len)
{
	if (vector_has(v, "outer"))
		return (__u32)vector_bytes(v, "outer", packet, IP4);
	return ip_write(packet, 4, IPPROTO_ESP, esp_len);
}

static unsigned int run_packet(void *ctx, const struct vector *v)
{
	__u8 packet[ROOM], text[ROOM], inner[ROOM];
	struct xipsec_sa config;
	__be32 half[2] = {0, 0};
	__u32 len, inner_len;
	long esp_len, text_len;
	__u64 seq;

	if (vector_has(v, "refused")) {
		refused++;
		return 0;
	}
	config = sa_config(vector_alg(v), 4, vector_has(v, "high"), 0);
	assert_int_equal(vector_bytes(v, "keymat", config.key, sizeof(config.key)), config.key_len);
	text_len = vector_bytes(v, "text", text, sizeof(text));
	esp_len = vector_bytes(v, "packet", packet + IP4, sizeof(packet) - IP4);
	len = outer_of(v, packet, (__u32)esp_len) + (__u32)esp_len;
	memcpy(&config.spi, packet + IP4, 4);
	memcpy(&half[1], packet + IP4 + 4, 4);
	if (vector_has(v, "high"))
		vector_bytes(v, "high", (__u8 *)&half[0], 4);
	seq = (__u64)ntohl(half[0]) << 32 | ntohl(half[1]);
	set_mode(&config, text, text_len);
	set_addresses(&config, packet);
	config.df = XIPSEC_DF_CLEAR;
	inner_len = inner_of(&config, packet, text, (__u32)text_len, inner);

	refuse_forged(&config, packet, len, seq);
	/* One holds ICMP of no bytes: authentic, and no packet. */
	if (config.mode == XIPSEC_MODE_TRANSPORT && inner_len == IP4) {
		empty++;
		assert_int_equal(open_whole(&config, packet, len, seq),
				 XIPSEC_REASON_INNER_MALFORMED);
		return 1;
	}
	assert_int_equal(open_whole(&config, packet, len, seq), XIPSEC_REASON_OPENED);
	assert_int_equal(frame.p.len, inner_len);
	assert_memory_equal(frame.p.data, inner, inner_len);
	seal_whole(&config, inner, inner_len, seq);
	check_sealed(&config, packet, text, (__u32)text_len, seq);
	return 1;
}

/* ---------------------------------------------------------------- RFC 3602 */

/* These have no ICV, and encryption without one MUST NOT be (RFC 8221 5): there is no such SA here.
 * With one of HMAC-SHA-256 behind, all bytes in front are those published, but for the outer
 * header's length and sum. */
static unsigned int run_cbc(void *ctx, const struct vector *v)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128CBC_SHA256, 4, 0, 0);
	__u8 packet[ROOM], text[ROOM], header[IP4], inner[ROOM];
	__u32 inner_len;
	long len = vector_bytes(v, "packet", packet, sizeof(packet) - HMAC_ICV);
	long text_len = vector_bytes(v, "text", text, sizeof(text));
	__u64 seq;

	assert_int_equal(vector_bytes(v, "key", config.key, sizeof(config.key)), 16);
	memcpy(config.key + 16, auth_key, sizeof(auth_key));
	assert_int_equal(vector_bytes(v, "original", header, sizeof(header)), IP4);
	assert_int_equal(get16(packet + 2), len);
	hmac_write(packet + IP4, (__u32)len - IP4, packet + len);
	len += HMAC_ICV;
	put16(packet + 2, (__u32)len);
	ip4_check(packet);
	memcpy(&config.spi, packet + IP4, 4);
	seq = packet[IP4 + 7];
	set_mode(&config, text, text_len);
	set_addresses(&config, packet);
	config.df = XIPSEC_DF_CLEAR;
	inner_len = inner_of(&config, header, text, (__u32)text_len, inner);
	assert_memory_equal(inner, header, IP4);

	assert_int_equal(open_whole(&config, packet, (__u32)len, seq), XIPSEC_REASON_OPENED);
	assert_int_equal(frame.p.len, inner_len);
	assert_memory_equal(frame.p.data, inner, inner_len);
	refuse_forged(&config, packet, (__u32)len, seq);

	draw_iv(packet + IP4 + ESP_HEADER_LEN);
	seal_whole(&config, inner, inner_len, seq);
	assert_int_equal(frame.p.len, len);
	if (config.mode == XIPSEC_MODE_TUNNEL) { /* the ID is the sender's own */
		memcpy(frame.p.data + 4, packet + 4, 2);
		ip4_check(frame.p.data);
	}
	assert_memory_equal(frame.p.data, packet, len);
	return 1;
}

/* ---------------------------------------------------------------- RFC 3686, RFC 4868 */

/* No packets, and their texts have no trailer: they are decrypted in place, and end there. */
static unsigned int run_ctr(void *ctx, const struct vector *v)
{
	__u8 packet[ROOM], key[32], plain[ROOM];
	long key_len = vector_bytes(v, "key", key, sizeof(key)), len;
	struct xipsec_sa config;
	__u32 head = IP4 + ESP_HEADER_LEN + 8, total;

	if (key_len == 24) {
		refused++;
		return 0;
	}
	config = sa_config(
		key_len == 16 ? XIPSEC_ALG_AES128CTR_SHA256 : XIPSEC_ALG_AES256CTR_SHA256, 4, 0, 0);
	memcpy(config.key, key, (size_t)key_len);
	assert_int_equal(vector_bytes(v, "nonce", config.key + key_len, 4), 4);
	memcpy(config.key + key_len + 4, auth_key, sizeof(auth_key));
	len = vector_bytes(v, "ciphertext", packet + head, sizeof(packet) - head - HMAC_ICV);
	assert_int_equal(vector_bytes(v, "plaintext", plain, sizeof(plain)), len);
	total = head + (__u32)len + HMAC_ICV;
	ip_write(packet, 4, IPPROTO_ESP, total - IP4);
	memcpy(packet + IP4, "\0\0\x10\1\0\0\0\7", ESP_HEADER_LEN);
	assert_int_equal(vector_bytes(v, "iv", packet + IP4 + ESP_HEADER_LEN, 8), 8);
	hmac_write(packet + IP4, total - IP4 - HMAC_ICV, packet + total - HMAC_ICV);

	assert_int_equal(open_whole(&config, packet, total, 7), XIPSEC_REASON_ESP_PAD);
	assert_memory_equal(frame.p.data + head, plain, len);
	refuse_forged(&config, packet, total, 7);
	return 1;
}

/* Messages that are as long as an ESP packet can be: their first 8 bytes are SPI and number, and
 * the tag is the ICV. The text has no trailer, so they end there. */
static unsigned int run_hmac(void *ctx, const struct vector *v)
{
	long icv = vector_number(v, "l") / 2, len;
	struct xipsec_sa config = sa_config(icv == 16   ? XIPSEC_ALG_NULL_SHA256
					    : icv == 24 ? XIPSEC_ALG_NULL_SHA384
							: XIPSEC_ALG_NULL_SHA512,
					    4, 0, 0);
	__u8 packet[ROOM];
	__be32 seq;

	len = vector_bytes(v, "msg", packet + IP4, sizeof(packet) - IP4 - XIPSEC_ICV_MAX);
	if (len % 4 || len < 12)
		return 0;
	assert_int_equal(vector_bytes(v, "key", config.key, sizeof(config.key)), config.key_len);
	assert_int_equal(vector_bytes(v, "md", packet + IP4 + len, XIPSEC_ICV_MAX), icv);
	ip_write(packet, 4, IPPROTO_ESP, (__u32)(len + icv));
	memcpy(&seq, packet + IP4 + 4, 4);
	assert_int_equal(open_whole(&config, packet, (__u32)(IP4 + len + icv), ntohl(seq)),
			 XIPSEC_REASON_ESP_PAD);
	refuse_forged(&config, packet, (__u32)(IP4 + len + icv), ntohl(seq));
	return 1;
}

/* `n` run by each backend; `n_refused` are of algorithms that are none of ours. */
static void run_file(const char *path, unsigned int (*run)(void *ctx, const struct vector *v),
		     unsigned int n, unsigned int n_refused)
{
	for (int b = 0; b < 2; b++) {
		backend = backends[b];
		refused = 0;
		assert_int_equal(vectors_run(path, run, NULL), n);
		assert_int_equal(refused, n_refused);
		print_message("%u of %s by %s; %u with AES-192, which is no algorithm of ours\n", n,
			      path, b ? "openssl" : "ipsec-mb", n_refused);
	}
}

static void test_packets(void **unused)
{
	run_file(OURS "esp-packets.txt", run_packet, 17, 1);
	assert_int_equal(empty, 2); /* by each backend */
}

static void test_rfc3602(void **unused)
{
	run_file(OURS "rfc3602-packets.txt", run_cbc, 4, 0);
}

static void test_rfc3686(void **unused)
{
	run_file(OURS "rfc3686.txt", run_ctr, 6, 3);
}

static void test_rfc4868(void **unused)
{
	run_file(OURS "rfc4868.txt", run_hmac, 3, 0);
}

/* RFC 4303 2.2.1: with ESN the ICV of a separate integrity algorithm is over the packet and then
 * the high half of the number, which does not travel. */
static void test_esn_icv(void **unused)
{
	const __u64 seq = (3ULL << 32) + 5;
	__u8 inner[256], text[512];
	__u32 len = udp_write(inner, 4, 77);

	for (int b = 0; b < 2; b++)
		for (int cbc = 0; cbc < 2; cbc++) {
			enum xipsec_alg alg = cbc ? XIPSEC_ALG_AES128CBC_SHA256
						  : XIPSEC_ALG_NULL_SHA256;
			struct xipsec_sa config = sa_config(alg, 4, 1, XIPSEC_DIR_OUT);
			__u32 esp_len;

			backend = backends[b];
			memcpy(config.key + config.key_len - 32, auth_key, 32);
			seal_whole(&config, inner, len, seq);
			assert_memory_equal(frame.p.data + IP4 + 4, "\0\0\0\5", 4);
			esp_len = frame.p.len - IP4 - HMAC_ICV;
			memcpy(text, frame.p.data + IP4, esp_len);
			memcpy(text + esp_len, "\0\0\0\3", 4);
			hmac_write(text, esp_len + 4, text + esp_len + 4);
			assert_memory_equal(frame.p.data + IP4 + esp_len, text + esp_len + 4,
					    HMAC_ICV);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets), cmocka_unit_test(test_rfc3602),
		cmocka_unit_test(test_rfc3686), cmocka_unit_test(test_rfc4868),
		cmocka_unit_test(test_esn_icv),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
