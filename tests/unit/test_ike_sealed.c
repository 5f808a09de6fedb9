// SPDX-License-Identifier: BSD-2-Clause
/* SK and SKF (RFC 7296 3.14, RFC 5282, RFC 7634, RFC 7383): sealed here, opened here; RFC 7634's
 * message byte for byte; no bit may be another. Others judge in tests/interop. */
#include "tests/unit/ike_fixture.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "iked/frag.h"

static const char *const suites[] = {
	"aes128gcm16-prfsha256-x25519",
	"aes256gcm16-prfsha256-x25519",
	"chacha20poly1305-prfsha256-x25519",
	"aes128-sha256-x25519",
	"aes256-sha384-x25519",
	"aes256-sha512-x25519",
};

#define SUITES (sizeof(suites) / sizeof(suites[0]))

static struct ike_packets *seal_text(struct sk_key *key, size_t len, unsigned int fragment)
{
	struct ike_header h = ike_test_header(INFORMATIONAL, IKE_FLAG_INITIATOR, 3);
	struct ike_packets *packets = NULL;
	struct ike_out m = {0};
	struct writer body = {0};

	ike_out_open(&m, &h);
	for (size_t i = 0; i + 4 < len; i++)
		writer_u8(&body, (__u8)i);
	if (len >= 4)
		ike_out_payload(&m, IKE_PL_VENDOR, false, writer_view(&body));
	assert_int_equal(ike_out_sealed(&m, key, fragment, &packets), 0);
	writer_free(&body);
	ike_out_free(&m);
	return packets;
}

static int open_one(const struct sk_key *key, struct bytes packet, struct ike_msg *msg,
		    struct writer *text)
{
	struct ike_fault fault;

	assert_int_equal(ike_msg_parse(packet, msg, &fault), 0);
	assert_true(msg->sk.here);
	return sk_open(key, msg, text);
}

/* Of every length up to two blocks more than needed for any padding. */
static void round_trip(void **state)
{
	for (size_t s = 0; s < SUITES; s++) {
		struct sk_key key = sk_key_of(suites[s], 0x40), other = key;

		for (size_t len = 4; len < 60; len++) {
			struct ike_packets *packets = seal_text(&key, len, 0);
			struct writer text = {0};
			struct ike_fault fault;
			struct ike_msg msg;

			writer_bytes(&text, BYTES("before", 6));
			assert_int_equal(open_one(&other, ike_packet(packets, 0), &msg, &text), 0);
			assert_int_equal(text.len, 6 + len);
			assert_false(msg.sk.fragment);
			assert_int_equal(ike_msg_parse_inner(&msg, BYTES(text.data + 6, len),
							     msg.sk.first, &fault),
					 0);
			assert_int_equal(msg.n_vendor, 1);
			assert_int_equal(msg.vendor[0].len, len - 4);
			assert_int_equal(msg.raw.len, 32 + len + sk_overhead(&key, len));
			writer_free(&text);
			free(packets);
		}
	}
}

/* An empty INFORMATIONAL (dead peer detection). */
static void empty(void **state)
{
	for (size_t s = 0; s < SUITES; s++) {
		struct sk_key key = sk_key_of(suites[s], 1);
		struct ike_packets *packets = seal_text(&key, 0, 1280);
		struct writer text = {0};
		struct ike_fault fault;
		struct ike_msg msg;
		char line[60];

		assert_int_equal(packets->n, 1);
		assert_int_equal(open_one(&key, ike_packet(packets, 0), &msg, &text), 0);
		assert_int_equal(text.len, 0);
		assert_int_equal(msg.sk.first, IKE_PL_NONE);
		assert_int_equal(
			ike_msg_parse_inner(&msg, writer_view(&text), msg.sk.first, &fault), 0);
		ike_msg_print(&msg, line, sizeof(line));
		assert_string_equal(line, "INFORMATIONAL request 3: -");
		writer_free(&text);
		free(packets);
	}
}

/* RFC 7634 B. */
static void rfc7634_message(void **state)
{
	static const __u8 want[] = {
		0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xd0, 0xd1, 0xd2, 0xd3, 0xd4, 0xd5,
		0xd6, 0xd7, 0x2e, 0x20, 0x25, 0x00, 0x00, 0x00, 0x00, 0x09, 0x00, 0x00, 0x00, 0x45,
		0x29, 0x00, 0x00, 0x29, 0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x61, 0x03,
		0x94, 0x70, 0x1f, 0x8d, 0x01, 0x7f, 0x7c, 0x12, 0x92, 0x48, 0x89, 0x6b, 0x71, 0xbf,
		0xe2, 0x52, 0x36, 0xef, 0xd7, 0xcd, 0xc6, 0x70, 0x66, 0x90, 0x63, 0x15, 0xb2,
	};
	struct sk_key key = sk_key_of("chacha20poly1305-prfsha256-x25519", 0x80);
	struct ike_header h = {.exchange = INFORMATIONAL, .id = 9};
	struct ike_packets *packets;
	struct ike_out m = {0};

	memcpy(key.encr_key + 32, "\xa0\xa1\xa2\xa3", 4);
	key.iv = 0x1011121314151617ULL;
	h.spi_i = htobe64(0xc0c1c2c3c4c5c6c7ULL);
	h.spi_r = htobe64(0xd0d1d2d3d4d5d6d7ULL);
	ike_out_open(&m, &h);
	ike_out_notify(&m, 0, BYTES_NONE, IKE_N_SET_WINDOW_SIZE, BYTES("\0\0\0\x0a", 4));
	assert_int_equal(ike_out_sealed(&m, &key, 0, &packets), 0);
	assert_true(bytes_equal(ike_packet(packets, 0), BYTES_OF(want)));
	free(packets);
	ike_out_free(&m);
}

/* Each bit of a message, and each shorter one. */
static void forged(void **state)
{
	for (size_t s = 0; s < SUITES; s++) {
		struct sk_key key = sk_key_of(suites[s], 5);
		struct ike_packets *packets = seal_text(&key, 21, 0);
		struct bytes whole = ike_packet(packets, 0);
		struct writer text = {0};

		for (size_t bit = 0; bit < whole.len * 8; bit++) {
			__u8 *copy = exact_copy(whole.data, whole.len);
			struct ike_msg msg;

			copy[bit / 8] ^= (__u8)(1 << bit % 8);
			if (!ike_msg_parse(BYTES(copy, whole.len), &msg, NULL) && msg.sk.here)
				assert_int_equal(sk_open(&key, &msg, &text), -EBADMSG);
			assert_int_equal(text.len, 0);
			free(copy);
		}
		for (size_t n = 32; n < whole.len; n++) {
			__u8 *copy = exact_copy(whole.data, n);
			struct ike_msg msg;

			copy[27] = copy[31] = 0;
			copy[27] = (__u8)n;
			copy[31] = (__u8)(n - 28);
			assert_int_equal(ike_msg_parse(BYTES(copy, n), &msg, NULL), 0);
			assert_int_equal(sk_open(&key, &msg, &text), -EBADMSG);
			free(copy);
		}
		writer_free(&text);
		free(packets);
	}
}

/* HMAC-SHA-256-128 of all before it. */
static void icv_by_hand(const struct sk_key *key, __u8 *message, size_t len)
{
	__u8 full[32];
	unsigned int n;

	assert_non_null(HMAC(EVP_sha256(), key->integ_key, 32, message, len - 16, full, &n));
	memcpy(message + len - 16, full, 16);
}

/* RFC 7296 3.14: padding of any length is taken that fits; one longer than the text is not. Sealed
 * by hand. */
static void padding(void **state)
{
	for (unsigned int pad = 0; pad < 256; pad++) {
		struct sk_key key = sk_key_of("aes128-sha256-x25519", 5);
		__u8 message[28 + 4 + 16 + 48 + 16] = {
			[16] = 46, [17] = 0x20, [18] = 37, [27] = 112, [31] = 84};
		__u8 text[48] = {1, 2, 3}, *body = message + 32;
		EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
		struct writer out = {0};
		struct ike_msg msg;
		int n;

		text[47] = (__u8)pad;
		EVP_EncryptInit_ex(ctx, EVP_aes_128_cbc(), NULL, key.encr_key, body);
		EVP_CIPHER_CTX_set_padding(ctx, 0);
		EVP_EncryptUpdate(ctx, body + 16, &n, text, sizeof(text));
		EVP_CIPHER_CTX_free(ctx);
		icv_by_hand(&key, message, sizeof(message));
		assert_int_equal(ike_msg_parse(BYTES_OF(message), &msg, NULL), 0);
		assert_int_equal(sk_open(&key, &msg, &out), pad < 48 ? 0 : -EBADMSG);
		assert_int_equal(out.len, pad < 48 ? 47 - pad : 0);
		assert_memory_equal(out.data, text, out.len);
		writer_free(&out);
	}
}

/* IVs of an AEAD count: no two messages of a key have the same; at the end there is none. */
/* The shortest that fills a block: header, SK, IV, text with padding and its length, ICV. */
static void padding_sent(void **state)
{
	for (size_t len = 4; len < 70; len++) {
		struct sk_key cbc = sk_key_of("aes128-sha256-x25519", 5),
			      gcm = sk_key_of("aes128gcm16-prfsha256-x25519", 5);
		struct ike_packets *packets = seal_text(&cbc, len, 0);
		size_t text = ike_packet(packets, 0).len - 28 - 4 - 16 - 16;

		assert_int_equal(text % 16, 0);
		assert_in_range(text, len + 1, len + 16);
		free(packets);
		packets = seal_text(&gcm, len, 0);
		assert_int_equal(ike_packet(packets, 0).len, 28 + 4 + 8 + len + 1 + 16);
		free(packets);
	}
}

static void ivs(void **state)
{
	struct sk_key key = sk_key_of("aes128gcm16-prfsha256-x25519", 5);
	struct ike_header h = ike_test_header(INFORMATIONAL, 0, 0);
	struct ike_packets *packets;
	struct ike_out m = {0};

	for (__u8 i = 0; i < 3; i++) {
		__u8 want[8] = {[7] = i};

		packets = seal_text(&key, 10, 0);
		assert_memory_equal(ike_packet(packets, 0).data + 32, want, 8);
		free(packets);
	}
	/* CBC's are drawn: the same message with the same key has another each time */
	for (__u8 i = 0; i < 4; i++) {
		struct sk_key cbc = sk_key_of("aes128-sha256-x25519", 5);
		static __u8 seen[4][16];

		packets = seal_text(&cbc, 10, 0);
		memcpy(seen[i], ike_packet(packets, 0).data + 32, 16);
		for (__u8 k = 0; k < i; k++)
			assert_memory_not_equal(seen[i], seen[k], 16);
		free(packets);
	}
	key.iv = ~0ULL - 1;
	free(seal_text(&key, 10, 0));
	ike_out_open(&m, &h);
	packets = (void *)&m;
	assert_int_equal(ike_out_sealed(&m, &key, 0, &packets), -EOVERFLOW);
	assert_ptr_equal(packets, &m);
}

/* ------------------------------------------------------------------ fragments */

static enum frag_result take_fragment(struct frag *g, const struct sk_key *key, struct bytes packet)
{
	struct writer text = {0};
	enum frag_result result;
	struct ike_msg msg;

	assert_int_equal(open_one(key, packet, &msg, &text), 0);
	assert_true(msg.sk.fragment);
	result = frag_wanted(g, &msg) ? frag_add(g, &msg, writer_view(&text)) : FRAG_DROP;
	writer_free(&text);
	return result;
}

static void check_whole(struct frag *g, size_t len)
{
	struct writer whole = {0};
	struct ike_msg msg = {0};
	__u8 first;

	assert_int_equal(frag_take(g, &whole, &first), 0);
	assert_int_equal(whole.len, len);
	assert_int_equal(first, IKE_PL_VENDOR);
	assert_int_equal(ike_msg_parse_inner(&msg, writer_view(&whole), first, NULL), 0);
	for (size_t i = 0; i < len - 4; i++)
		assert_int_equal(msg.vendor[0].data[i], i & 0xff);
	assert_int_equal(g->total, 0);
	assert_int_equal(frag_take(g, &whole, &first), -EINVAL);
	writer_free(&whole);
}

/* No fragment longer than asked for, none but the last shorter than could be; in any order. */
static void fragments(void **state)
{
	for (size_t s = 0; s < SUITES; s++) {
		for (unsigned int size = 500; size < 540; size++) {
			struct sk_key key = sk_key_of(suites[s], 5);
			struct ike_packets *packets = seal_text(&key, 2000, size);
			struct frag g = {0};

			assert_true(packets->n >= 4);
			for (unsigned int i = 0; i < packets->n; i++) {
				struct bytes p = ike_packet(packets, packets->n - 1 - i);
				enum frag_result want = i + 1 < packets->n ? FRAG_WAIT : FRAG_WHOLE;

				assert_true(p.len <= size);
				if (i)
					assert_true(p.len + 16 > size);
				assert_int_equal(take_fragment(&g, &key, p), want);
			}
			check_whole(&g, 2000);
			free(packets);
		}
	}
}

/* RFC 7383 2.5: the bytes of an SKF payload. */
static void fragment_header(void **state)
{
	struct sk_key key = sk_key_of(suites[0], 5);
	struct ike_packets *packets = seal_text(&key, 700, 500);

	assert_int_equal(packets->n, 2);
	assert_int_equal(ike_packet(packets, 0).data[16], IKE_PL_SKF);
	assert_memory_equal(ike_packet(packets, 0).data + 28, "\x2b\0\1\xd8\0\1\0\2", 8);
	assert_memory_equal(ike_packet(packets, 1).data + 32, "\0\2\0\2", 4);
	assert_int_equal(ike_packet(packets, 1).data[28], IKE_PL_NONE);
	free(packets);
}

/* RFC 7383 2.6: doubles, older sets and wrong numbers are dropped, a newer set begins anew. */
static void fragment_sets(void **state)
{
	struct sk_key key = sk_key_of(suites[0], 5);
	struct ike_packets *few = seal_text(&key, 2000, 1000), *many = seal_text(&key, 2000, 600);
	struct frag g = {0};
	struct ike_msg msg;

	assert_int_equal(few->n, 3);
	assert_int_equal(many->n, 4);
	assert_int_equal(take_fragment(&g, &key, ike_packet(few, 0)), FRAG_WAIT);
	assert_int_equal(take_fragment(&g, &key, ike_packet(few, 0)), FRAG_DROP);
	assert_int_equal(take_fragment(&g, &key, ike_packet(few, 1)), FRAG_WAIT);
	assert_int_equal(take_fragment(&g, &key, ike_packet(many, 2)), FRAG_WAIT);
	assert_int_equal(g.have, 1);
	assert_int_equal(take_fragment(&g, &key, ike_packet(few, 2)), FRAG_DROP);
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(take_fragment(&g, &key, ike_packet(many, i)), i == 2 ? FRAG_DROP
									       : i == 3
										       ? FRAG_WHOLE
										       : FRAG_WAIT);
	check_whole(&g, 2000);

	/* another message ID begins anew */
	assert_int_equal(take_fragment(&g, &key, ike_packet(few, 0)), FRAG_WAIT);
	assert_int_equal(ike_msg_parse(ike_packet(few, 1), &msg, NULL), 0);
	msg.h.id++;
	assert_int_equal(frag_add(&g, &msg, BYTES("x", 1)), FRAG_WAIT);
	assert_int_equal(g.id, msg.h.id);
	assert_int_equal(g.have, 1);

	msg.sk.total = IKE_FRAGMENTS_MAX + 1;
	assert_false(frag_wanted(&g, &msg));
	msg.sk.total = 3;
	msg.sk.number = 4;
	assert_false(frag_wanted(&g, &msg));
	msg.sk.number = 0;
	assert_false(frag_wanted(&g, &msg));
	frag_reset(&g);
	free(few);
	free(many);
}

static void fragments_are_bounded(void **state)
{
	static const __u8 big[20000]; /* twice that is more than IKE_MESSAGE_MAX */
	struct ike_msg msg = {.sk = {.here = true, .fragment = true, .number = 1, .total = 3}};
	struct frag g = {0};

	assert_int_equal(frag_add(&g, &msg, BYTES(big, 20000)), FRAG_WAIT);
	msg.sk.number = 2;
	assert_int_equal(frag_add(&g, &msg, BYTES(big, 20000)), FRAG_DROP);
	assert_int_equal(g.total, 0);
}

static void too_large(void **state)
{
	struct sk_key key = sk_key_of(suites[0], 5);
	struct ike_header h = ike_test_header(INFORMATIONAL, 0, 0);
	struct ike_packets *packets = NULL;
	struct ike_out m = {0};

	ike_out_open(&m, &h);
	for (int i = 0; i < 6; i++) {
		static const __u8 body[10000];

		ike_out_vendor(&m, BYTES_OF(body));
	}
	assert_int_equal(ike_out_sealed(&m, &key, 300, &packets), -EMSGSIZE); /* 129 and more */
	assert_int_equal(ike_out_sealed(&m, &key, 60, &packets), -EMSGSIZE);  /* no room at all */
	assert_int_equal(ike_out_sealed(&m, &key, 600, &packets), 0);
	free(packets);
	packets = NULL;
	for (int i = 0; i < 6; i++)
		ike_out_vendor(&m, writer_view(&m.text));
	assert_int_equal(ike_out_sealed(&m, &key, 600, &packets), -EMSGSIZE);
	assert_int_equal(ike_out_plain(&m, &packets), -EMSGSIZE);
	assert_null(packets);
	ike_out_free(&m);
}

/* What may stand around SK (RFC 7296 3.14: it is the last; RFC 7383 2.5). */
static void around_sk(void **state)
{
	static const __u8 body[60];
	struct ike_header h = ike_test_header(INFORMATIONAL, 0, 0);
	struct ike_packets *packets;
	struct ike_fault fault;
	struct ike_msg msg;
	struct ike_out m = {0};

	for (unsigned int i = 0; i < 5; i++) {
		static const struct {
			__u8 first, second;
			int err;
		} rows[] = {{IKE_PL_SK, IKE_PL_VENDOR, -EBADMSG}, /* bytes behind it */
			    {IKE_PL_VENDOR, IKE_PL_SK, -EBADMSG}, /* not authenticated yet */
			    {200, IKE_PL_SK, 0},
			    {IKE_PL_SKF, IKE_PL_NONE, -EBADMSG}, /* fragment 0 of 0 */
			    {IKE_PL_SK, IKE_PL_NONE, 0}};

		ike_out_open(&m, &h);
		ike_out_payload(&m, rows[i].first, false, BYTES_OF(body));
		if (rows[i].second)
			ike_out_payload(&m, rows[i].second, false, BYTES_OF(body));
		assert_int_equal(ike_out_plain(&m, &packets), 0);
		assert_int_equal(ike_msg_parse(ike_packet(packets, 0), &msg, &fault), rows[i].err);
		free(packets);
	}
	/* SK inside of SK */
	msg = (struct ike_msg){0};
	assert_int_equal(ike_msg_parse_inner(&msg, BYTES("\0\0\0\4", 4), IKE_PL_SK, &fault),
			 -EBADMSG);
	assert_int_equal(fault.notify, IKE_N_INVALID_SYNTAX);
	ike_out_free(&m);
}

static void keys(void **state)
{
	struct proposal chosen = chosen_of(PROPOSAL_IKE, "aes128gcm16-prfsha256-x25519");
	static const __u8 bytes[64];
	struct sk_key key;
	__u8 encr, integ;

	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), 0);
	assert_int_equal(encr, 20);
	assert_int_equal(integ, 0);
	assert_int_equal(sk_key_init(&key, &chosen, BYTES(bytes, 16), BYTES_NONE), -EINVAL);
	chosen.protocol = PROPOSAL_ESP;
	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), -EINVAL);
	chosen = chosen_of(PROPOSAL_IKE, "aes256-sha512-x25519");
	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), 0);
	assert_int_equal(encr, 32);
	assert_int_equal(integ, 64);
	chosen.t[1].id = 2; /* HMAC-SHA1-96 */
	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), -EINVAL);
	chosen.t[1].id = 0; /* CBC without integrity */
	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), -EINVAL);
	chosen = chosen_of(PROPOSAL_IKE, "chacha20poly1305-prfsha256-x25519");
	assert_int_equal(sk_key_lengths(&chosen, &encr, &integ), 0);
	assert_int_equal(encr, 36);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(empty),
		cmocka_unit_test(rfc7634_message),
		cmocka_unit_test(forged),
		cmocka_unit_test(padding),
		cmocka_unit_test(padding_sent),
		cmocka_unit_test(ivs),
		cmocka_unit_test(fragments),
		cmocka_unit_test(fragment_header),
		cmocka_unit_test(fragment_sets),
		cmocka_unit_test(fragments_are_bounded),
		cmocka_unit_test(too_large),
		cmocka_unit_test(around_sk),
		cmocka_unit_test(keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
