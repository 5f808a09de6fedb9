// SPDX-License-Identifier: BSD-2-Clause
/*
 * What a peer that has the keys sends: any text, sealed here, whole or in fragments, opened and
 * read.
 *
 * Input: algorithms, type of the first payload, size of fragments, order of fragments, byte to
 * change; then the text.
 */
#include "iked/frag.h"
#include "iked/sk.h"
#include "tests/fuzz/ike_must.h"

static struct sk_key keys[6];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char *const words[] = {
		"aes128gcm16-prfsha256-x25519",
		"aes256gcm16-prfsha256-x25519",
		"chacha20poly1305-prfsha256-x25519",
		"aes128-sha256-x25519",
		"aes256-sha384-x25519",
		"aes256-sha512-x25519",
	};
	static const __u8 bytes[100] = {1, 2, 3};
	static struct proposals list;
	char why[100];
	__u8 encr, integ;

	for (int i = 0; i < 6; i++) {
		list.n = 0;
		MUST(!proposals_add(&list, PROPOSAL_IKE, words[i], why, sizeof(why)));
		MUST(!sk_key_lengths(&list.p[0], &encr, &integ));
		MUST(!sk_key_init(&keys[i], &list.p[0], BYTES(bytes, encr),
				  BYTES(bytes + encr, integ)));
	}
	return 0;
}

/* One message, SK (total 0) or SKF, around a text. */
static void seal(struct sk_key *key, struct writer *w, __u8 first, __u16 number, __u16 total,
		 struct bytes text)
{
	size_t own = total ? 8 : 4, len = own + sk_overhead(key, text.len) + text.len;

	writer_zero(w, 16);
	writer_u8(w, total ? IKE_PL_SKF : IKE_PL_SK);
	writer_u8(w, 0x20);
	writer_u8(w, INFORMATIONAL);
	writer_u8(w, 0);
	writer_u32(w, 1);
	writer_u32(w, (__u32)(IKE_HEADER_LEN + len));
	writer_u8(w, first);
	writer_u8(w, 0);
	writer_u16(w, (__u16)len);
	if (total) {
		writer_u16(w, number);
		writer_u16(w, total);
	}
	MUST(!sk_seal(key, w, text));
}

static void changed_must_fail(const struct sk_key *key, struct bytes packet, __u16 where)
{
	__u8 *copy = malloc(packet.len);
	struct writer text = {0};
	struct ike_msg msg;

	MUST(copy);
	memcpy(copy, packet.data, packet.len);
	copy[where % packet.len] ^= (__u8)(1 << (where & 7));
	if (!ike_msg_parse(BYTES(copy, packet.len), &msg, NULL) && msg.sk.here)
		MUST(sk_open(key, &msg, &text) && !text.len);
	writer_free(&text);
	free(copy);
}

static void inner_must(const struct ike_msg *outer, struct bytes text, __u8 first)
{
	struct ike_msg msg = *outer;
	struct ike_fault fault = {0};

	if (ike_msg_parse_inner(&msg, text, first, &fault)) {
		ike_fault_must(&fault);
		MUST(!memcmp(&msg, outer, sizeof(msg)));
		return;
	}
	ike_msg_must(&msg, outer->raw, text);
}

static void whole(struct sk_key *key, __u8 first, __u16 where, struct bytes text)
{
	struct writer w = {0}, opened = {0};
	struct ike_msg msg;
	__u8 *copy = malloc(text.len ? text.len : 1);

	MUST(copy);
	seal(key, &w, first, 0, 0, text);
	MUST(!ike_msg_parse(writer_view(&w), &msg, NULL));
	MUST(!sk_open(key, &msg, &opened) && bytes_equal(writer_view(&opened), text));
	changed_must_fail(key, writer_view(&w), where);
	if (text.len)
		memcpy(copy, text.data, text.len);
	inner_must(&msg, BYTES(copy, text.len), first);
	free(copy);
	writer_free(&w);
	writer_free(&opened);
}

/* In any order, some of them twice: the text comes together once. */
static void fragments(struct sk_key *key, __u8 first, __u8 size, __u8 order, struct bytes text)
{
	size_t piece = size + 8u, total = (text.len + piece - 1) / piece, wholes = 0;
	struct frag g = {0};

	if (total < 2 || total > 64)
		return;
	for (size_t i = 0; i < 2 * total && !wholes; i++) {
		size_t n = (i * (2 * (order >> 1) + 1) + order) % total;
		struct writer w = {0}, opened = {0};
		struct ike_msg msg;
		size_t len;

		/* twice around with an odd step that may miss some; the second time every one */
		if (i >= total)
			n = i - total;
		len = text.len - n * piece < piece ? text.len - n * piece : piece;
		seal(key, &w, n ? 0 : first, (__u16)(n + 1), (__u16)total,
		     BYTES(text.data + n * piece, len));
		MUST(!ike_msg_parse(writer_view(&w), &msg, NULL) && msg.sk.fragment);
		MUST(!sk_open(key, &msg, &opened));
		wholes += frag_add(&g, &msg, writer_view(&opened)) == FRAG_WHOLE;
		writer_free(&w);
		writer_free(&opened);
	}
	MUST(wholes == 1);
	{
		struct writer all = {0};
		__u8 type;

		MUST(!frag_take(&g, &all, &type) && type == first);
		MUST(bytes_equal(writer_view(&all), text));
		writer_free(&all);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	struct sk_key *key = &keys[take8(&in) % 6];
	__u8 first = take8(&in), piece = take8(&in), order = take8(&in);
	__u16 where = take16(&in);
	struct bytes text = BYTES(in.at, in.left);

	if (text.len > 16000)
		return 0;
	whole(key, first, where, text);
	fragments(key, first, piece, order, text);
	return 0;
}
