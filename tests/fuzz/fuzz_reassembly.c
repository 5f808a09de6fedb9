// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragments put together: some datagrams cut here, and their pieces given in any order, again,
 * shifted, cut short, grown, changed, with other tags, and later. Beside it runs a reassembly of
 * the harness's own that thinks in bytes where the real one thinks in blocks; the two must agree
 * about every piece, and about every byte of what is whole. With RAW, any packet may come in
 * between.
 */
#include "tests/fuzz/harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>

#include "tests/fuzz/see.h"
#include "worker/inner.h"
#include "worker/reassembly.h"

#define DATAGRAMS 3
#define TAGS      2
#define PAYLOAD   2048
#define PIECE_MAX (60 + 64 + PAYLOAD + 8192)
#define BYTES     65536
#define NONE      0x100 /* no byte is there */
#define CASES     (DATAGRAMS * TAGS)

/* How a piece is given; the low bits name the datagram. */
#define OTHER_TAG   0x04
#define SHIFTED     0x08
#define SHORTER     0x10
#define CHANGED     0x20
#define MORE_TURNED 0x40
#define LATER       0x80 /* than the one before */

struct datagram {
	__u32 head_len; /* of the headers that stay */
	__u32 len;      /* of the payload */
	__u32 step;     /* bytes of a piece, of 8s */
	int family;
	__u8 head[64];
	__u8 payload[PAYLOAD];
};

/* What the harness knows of one that is being put together. */
struct case_of {
	__u64 until;
	int given_up;
	__u32 total, top, n;
	__u16 byte[BYTES];
};

struct piece {
	__u32 off, len, more;
	const __u8 *bytes;
};

static struct datagram datagrams[DATAGRAMS];
static struct case_of cases[CASES];
static struct reassembly *r, *raw;
static __u64 now;

/* ---------------------------------------------------------------- making them */

static void datagram_make(struct datagram *d, unsigned int n, struct input *in)
{
	__u8 kind = take8(in);

	d->family = kind & 1 ? 6 : 4;
	d->step = 8 + (kind >> 1) % 16 * 8;
	d->len = 1 + take16(in) % PAYLOAD;
	memset(d->head, 0, sizeof(d->head));
	for (__u32 i = 0; i < d->len; i++)
		d->payload[i] = (__u8)(i * 7 + n);
	if (d->family == 4) {
		d->head_len = kind & 0x40 ? 24 : 20;
		d->head[0] = (__u8)(0x40 + d->head_len / 4);
		d->head[5] = (__u8)n;
		d->head[8] = 64;
		d->head[9] = IPPROTO_UDPLITE;
		memcpy(d->head + 12, "\x0a\1\0\5\x0a\2\0\x09\1\1\1\0", 12);
		return;
	}
	d->head_len = kind & 0x40 ? 48 : 40;
	d->head[0] = 0x60;
	d->head[6] = kind & 0x40 ? IPPROTO_DSTOPTS : IPPROTO_FRAGMENT;
	d->head[7] = 64;
	d->head[8] = d->head[24] = 0xfd;
	d->head[39] = (__u8)n;
	d->head[40] = IPPROTO_FRAGMENT;
	d->head[42] = 1;
	d->head[43] = 4;
}

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

/* The packet that carries `piece`; bytes in all. */
static __u32 piece_write(const struct datagram *d, unsigned int n, const struct piece *piece,
			 __u8 *at)
{
	__u32 frag_len = d->family == 6 ? 8 : 0, len = d->head_len + frag_len + piece->len;

	memcpy(at, d->head, d->head_len);
	if (d->family == 4) {
		put16(at + 2, len);
		put16(at + 6, piece->off / 8 | (piece->more ? 0x2000 : 0));
	} else {
		put16(at + 4, len - 40);
		memset(at + d->head_len, 0, 8);
		at[d->head_len] = IPPROTO_UDPLITE;
		put16(at + d->head_len + 2, piece->off | piece->more);
		at[d->head_len + 7] = (__u8)n;
	}
	memcpy(at + d->head_len + frag_len, piece->bytes, piece->len);
	packet_mend(at, len);
	return len;
}

/* ---------------------------------------------------------------- what must come of them */

static void case_start(struct case_of *c)
{
	for (__u32 i = 0; i < c->top; i++)
		c->byte[i] = NONE;
	c->until = now + REASSEMBLY_MS;
	c->given_up = 0;
	c->total = c->top = c->n = 0;
}

static void cases_reset(void)
{
	static int made;

	for (unsigned int i = 0; i < CASES; i++) {
		if (!made)
			cases[i].top = BYTES;
		case_start(&cases[i]);
		cases[i].until = 0;
	}
	made = 1;
}

/* As reassembly_take() says. */
static int case_take(struct case_of *c, const struct datagram *d, const struct piece *piece)
{
	__u32 end = piece->off + piece->len, there = 0, same = 0;

	if (!piece->len || (!piece->more && !piece->off) || (piece->more && piece->len % 8) ||
	    end + d->head_len > 65535)
		return -EINVAL;
	if (c->until <= now)
		case_start(c);
	if (c->given_up)
		return -EEXIST;
	for (__u32 i = piece->off; i < end; i++) {
		there += c->byte[i] != NONE;
		same += c->byte[i] == piece->bytes[i - piece->off];
	}
	c->given_up = 1;
	if (c->total && (piece->more ? end > c->total : end != c->total))
		return -EINVAL;
	if (!piece->more && c->top > end)
		return -EINVAL;
	if (there && same != piece->len)
		return -EEXIST;
	c->given_up = 0;
	if (there)
		return 0;
	for (__u32 i = piece->off; i < end; i++)
		c->byte[i] = piece->bytes[i - piece->off];
	c->n += piece->len;
	c->top = c->top > end ? c->top : end;
	if (!piece->more)
		c->total = end;
	return c->total && c->n == c->total;
}

static void whole_must(struct case_of *c, const struct datagram *d, const __u8 *out, __u32 len)
{
	struct seen seen;

	MUST(len == d->head_len + c->total);
	MUST(packet_see(out, len, &seen) && seen.len == len && !seen.fragment);
	MUST(seen.proto == IPPROTO_UDPLITE && seen.l4_off == d->head_len && packet_sum_fits(out));
	MUST(!memcmp(seen.src, d->head + (d->family == 4 ? 12 : 8), seen.addr_len * 2));
	for (__u32 i = 0; i < c->total; i++)
		MUST(out[d->head_len + i] == c->byte[i]);
	/* There is room around it, and it may be written. */
	memset((__u8 *)out - REASSEMBLY_ROOM, 0xee, REASSEMBLY_ROOM);
	memset((__u8 *)out + len, 0xee, REASSEMBLY_ROOM);
	c->until = 0;
}

/* ---------------------------------------------------------------- the run */

static int give(struct reassembly *to, const __u8 *at, __u32 len, __u64 tag, __u8 **out,
		__u32 *out_len)
{
	/* In memory of just its length, which ASan watches. */
	__u8 *copy = malloc(len);
	int ret;

	memcpy(copy, at, len);
	ret = reassembly_take(to, copy, len, tag, now, out, out_len);
	free(copy);
	return ret;
}

static void piece_run(struct input *in, __u8 how)
{
	static __u8 packet[PIECE_MAX], bytes[PIECE_MAX];
	unsigned int n = (how & 3) % DATAGRAMS, tag = !!(how & OTHER_TAG);
	struct case_of *c = &cases[n * TAGS + tag];
	const struct datagram *d = &datagrams[n];
	__u32 n_pieces = (d->len + d->step - 1) / d->step, off = take8(in) % n_pieces * d->step;
	__u32 out_len;
	struct piece piece = {.off = off, .bytes = bytes};
	__u8 *out = NULL;
	int want, got;

	piece.len = d->len - off < d->step ? d->len - off : d->step;
	piece.more = off + piece.len < d->len;
	memcpy(bytes, d->payload + off, piece.len);
	if (how & SHIFTED)
		piece.off = take16(in) & 0xfff8;
	if (how & SHORTER)
		piece.len -= take8(in) % (piece.len + 1);
	if (how & CHANGED && piece.len)
		bytes[take8(in) % piece.len] ^= 1;
	if (how & MORE_TURNED)
		piece.more = !piece.more;
	want = case_take(c, d, &piece);
	got = give(r, packet, piece_write(d, n, &piece, packet), tag, &out, &out_len);
	MUST(got == want);
	if (got == 1)
		whole_must(c, d, out, out_len);
}

/* Any packet that inner_parse() takes, to a store of its own: the slots are few. */
static void raw_run(struct input *in)
{
	static __u8 packet[2048];
	__u32 want = take16(in) % sizeof(packet), len = take(in, packet, want), out_len;
	struct inner inner;
	struct seen seen;
	__u8 *out;
	int ret;

	packet_mend(packet, len);
	if (inner_parse(packet, len, &inner))
		return;
	ret = give(raw, packet, inner.len, 0, &out, &out_len);
	MUST(ret == 0 || ret == 1 || ret == -EINVAL || ret == -EEXIST);
	if (ret != 1)
		return;
	MUST(packet_see(out, out_len, &seen) && seen.len == out_len && packet_sum_fits(out));
	MUST(out_len > inner.len - inner.l4_off);
}

/* Stores are used again, for to make them costs more than an input does: what an earlier input left
 * is past its time, and must not show. */
static void stores_ready(void)
{
	static unsigned int inputs;

	if (inputs++ % 256 == 0) {
		reassembly_free(r);
		reassembly_free(raw);
		r = reassembly_new();
		raw = reassembly_new();
		now = 0;
	}
	MUST(r && raw);
	now += 2 * REASSEMBLY_MS;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	__u8 first = take8(&in);

	stores_ready();
	now += 1 + first % 4;
	cases_reset();
	for (unsigned int n = 0; n < DATAGRAMS; n++)
		datagram_make(&datagrams[n], n, &in);
	while (in.left) {
		__u8 how = take8(&in);

		if (how & LATER)
			now += take8(&in) * 10;
		if (first & 0x80 && (how & 3) == 3)
			raw_run(&in);
		else
			piece_run(&in, how);
	}
	return 0;
}
