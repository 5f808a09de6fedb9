// SPDX-License-Identifier: BSD-2-Clause
/*
 * ESP in. The input says an SA and a burst of packets: text, padding, next header, number, headers
 * in front. Each is sealed with the SA's key here, so that it gets past the ICV, and then perhaps
 * damaged. tests/fuzz/seeds.py writes the same layout.
 */
#include "tests/fuzz/harness.h"

#include <endian.h>
#include <netinet/in.h>

#include "tests/fuzz/inside.h"
#include "tests/fuzz/see.h"
#include "worker/esp_in.h"
#include "worker/inbound.h"

#define FLIP     1   /* a byte from the SPI to the ICV is changed after sealing */
#define POKE     2   /* a byte of the headers in front is */
#define MEND     4   /* the inner packet's lengths fit the text */
#define PADDED   8   /* padding as it should be, else as the text ends */
#define WILD     16  /* ESP is said to be where it is not */
#define SLACK    32  /* bytes behind the packet, as Ethernet pads */
#define NOT_NOW  64  /* waits for the next packet: one burst */
#define FAR_AWAY 128 /* the number is anywhere, else near the others */

#define HEADROOM  256
#define TEXT_MAX  3000
#define FRONT_MAX 100

struct parcel {
	struct packet p;
	__u8 *frame;
	__u32 size; /* of the frame */
	__u64 seq;
	__u8 front[FRONT_MAX]; /* the headers in front, as they came */
	__u32 front_len;
	__u8 text[TEXT_MAX + 300]; /* what was sealed */
	__u32 text_len;
	__u8 next, tos;
	__u8 flipped, wild;
	__u8 lies; /* the outer header's version or length was changed */
};

static struct ends ends;
static struct parcel parcels[FRAMES];
static __u64 taken[FRAMES]; /* numbers that the window has, whatever became of the packet */
static unsigned int n_taken, n_opened, n_all;
static __u64 top_before;     /* of the window, before the burst */
static struct inside inside; /* of the packet that is judged */

/* ---------------------------------------------------------------- sealing */

/* The headers in front: IP, what the input wants behind it, UDP. Returns where ESP begins. */
static __u32 front_write(struct parcel *c, struct input *in, __u8 *to)
{
	__u32 ip_len = ends.shape & SHAPE_IP6 ? 40 : 20, more = take8(in) % 41 & ~3u;

	memset(to, 0, ip_len);
	to[0] = ends.shape & SHAPE_IP6 ? 0x60 | c->tos >> 4 : 0x45 + more / 4;
	to[1] = ends.shape & SHAPE_IP6 ? (__u8)(c->tos << 4) : c->tos;
	to[ends.shape & SHAPE_IP6 ? 6 : 9] = ends.shape & SHAPE_UDP ? IPPROTO_UDP : IPPROTO_ESP;
	if (ends.shape & SHAPE_IP6) {
		more &= ~7u;
		if (more)
			to[6] = take8(in);
	}
	memset(to + ip_len, 0, more);
	take(in, to + ip_len, more);
	if (!(ends.shape & SHAPE_UDP))
		return ip_len + more;
	memcpy(to + ip_len + more, "\x11\x94\x11\x94\0\0\0\0", 8);
	to[ip_len + more] ^= take8(in); /* a port that moves */
	return ip_len + more + 8;
}

/* RFC 4303 2.4, as it should be. */
static __u32 trailer_add(__u8 *text, __u32 len, __u32 align)
{
	__u32 pad = 0;

	while ((len + pad + 2) % align) {
		text[len + pad] = (__u8)(pad + 1);
		pad++;
	}
	text[len + pad] = (__u8)pad;
	return len + pad + 2;
}

/* The nonce and AAD by RFC 4106, RFC 8750, RFC 3686, RFC 4303 2.2.1; the IV of CBC is any. */
static void parcel_seal(struct parcel *c, __u8 *esp)
{
	const struct alg *alg = alg_get(ends.config.alg);
	__be64 seq = htobe64(c->seq), aad = ends.shape & SHAPE_ESN ? seq : htobe64(c->seq << 32);
	struct crypto_op op = {
		.text = esp + 8 + alg->iv,
		.tag = esp + 8 + alg->iv + c->text_len,
		.len = c->text_len,
		.head_len = 8u + alg->iv,
	};

	memcpy(esp, &ends.config.spi, 4);
	memcpy(esp + 4, (__u8 *)&seq + 4, 4);
	memset(esp + 8, 0x77, alg->iv);
	memcpy(op.text, c->text, c->text_len);
	memcpy(op.nonce, ends.config.key + alg->cipher_key, alg->salt);
	memcpy(op.nonce + alg->salt, &seq, 8);
	memcpy(op.nonce + 12, "\0\0\0\1", 4);
	memcpy(op.nonce + alg->salt, esp + 8, alg->iv);
	memcpy(op.aad, esp, 4);
	memcpy(op.aad + 4, &aad, 8);
	ends.out->seal(ends.out->key->ctx, &op, 1, ends.shape & SHAPE_ESN ? 12 : 8);
}

static void parcel_damage(struct parcel *c, struct input *in, __u8 kind, __u32 l4_off, __u32 len)
{
	const __u32 length_off = ends.shape & SHAPE_IP6 ? 4 : 2;
	__u8 *data = c->p.data;

	c->flipped = 0;
	if (kind & FLIP) {
		__u32 off = l4_off + take16(in) % (len - l4_off);

		c->flipped = take8(in);
		data[off] ^= c->flipped;
	}
	if (kind & POKE) {
		__u32 off = take8(in) % l4_off;

		data[off] ^= take8(in);
	}
	c->lies = (data[0] ^ c->front[0]) > 15 ||
		  memcmp(data + length_off, c->front + length_off, 2);
	memcpy(c->front, data, l4_off);
	c->tos = data[0] / 16 == 4 ? data[1] : (__u8)(data[0] << 4 | data[1] >> 4);
}

static void text_make(struct parcel *c, struct input *in, __u8 kind)
{
	const struct alg *alg = alg_get(ends.config.alg);
	__u32 want = take16(in) % TEXT_MAX;

	c->text_len = take(in, c->text, want);
	if (kind & MEND)
		packet_mend(c->text, c->text_len);
	if (kind & PADDED) {
		c->text_len = trailer_add(c->text, c->text_len, alg->align);
	} else {
		while (c->text_len < 2 || c->text_len % alg->align)
			c->text[c->text_len++] = 0;
	}
	c->text[c->text_len - 1] = c->next;
}

static void parcel_make(struct parcel *c, unsigned int n, struct input *in, __u8 kind, __u64 base)
{
	const struct alg *alg = alg_get(ends.config.alg);
	__u32 l4_off, len, slack = 0;

	c->seq = kind & FAR_AWAY ? take64(in) : base + (__u64)(__s64)(__s16)take16(in);
	if (!(ends.shape & SHAPE_ESN))
		c->seq &= 0xffffffff;
	c->next = take8(in);
	c->tos = take8(in);
	if (kind & SLACK)
		slack = take8(in) % 64;
	l4_off = c->front_len = front_write(c, in, c->front);
	text_make(c, in, kind);
	len = l4_off + 8 + alg->iv + c->text_len + alg->icv;

	c->size = kind & SLACK ? FRAME_MAX : HEADROOM + len;
	c->frame = frame_get(n, c->size);
	c->p = packet_in(c->frame, c->size, HEADROOM, len + slack);
	c->p.l4_off = kind & WILD ? take16(in) : (__u16)l4_off;
	c->wild = c->p.l4_off != l4_off;
	c->p.family = ends_family(&ends);
	memcpy(c->p.data, c->front, l4_off);
	packet_mend(c->p.data, len);
	memcpy(c->front, c->p.data, l4_off);
	parcel_seal(c, c->p.data + l4_off);
	parcel_damage(c, in, kind, l4_off, len);
}

/* ---------------------------------------------------------------- what must hold */

static int was_taken(__u64 seq)
{
	for (unsigned int i = 0; i < n_taken; i++)
		if (taken[i] == seq)
			return 1;
	return 0;
}

/* Only what is authentic and new moves the window. */
static void number_taken(const struct parcel *c)
{
	MUST(!c->flipped && !c->wild && c->p.seq == c->seq && !was_taken(c->seq));
	taken[n_taken++] = c->seq;
}

static __u32 padding_right(const struct parcel *c)
{
	__u32 pad = c->text[c->text_len - 2];

	if (pad + 2 > c->text_len)
		return 0;
	for (__u32 i = 0; i < pad; i++)
		if (c->text[c->text_len - 2 - pad + i] != (__u8)(i + 1))
			return 0;
	return 1;
}

/* What is to become of a packet that is authentic and new: OPENED, or why not; UNSPEC: anything. */
static enum xipsec_reason deserved(const struct parcel *c)
{
	__u32 pad = c->text[c->text_len - 2];

	if (c->next == IPPROTO_NONE)
		return XIPSEC_REASON_DUMMY;
	if (!padding_right(c))
		return XIPSEC_REASON_ESP_PAD;
	if (!inside_make(&ends, &inside, c->front, c->front_len, c->text, c->text_len - 2 - pad,
			 c->next))
		return XIPSEC_REASON_UNSPEC;
	return inside_judge(&ends, &inside, c->next, c->tos);
}

/* RFC 4303 A2.2: the one number with these low bits that is in the window or less than 2^32 behind
 * where it begins. 0: there would be none before the first. */
static __u64 number_inferred(const struct parcel *c)
{
	__u64 bottom = top_before - ends.config.window + 1, seq;

	if (!(ends.shape & SHAPE_ESN))
		return c->seq;
	seq = bottom + (__u32)(c->seq - bottom);
	return (__s64)seq < 0 ? 0 : seq;
}

/* Whatever is refused deserved it, whatever is opened did too. */
static void end_must(const struct parcel *c)
{
	const int damaged = c->flipped || c->lies || c->wild;
	const int other = !damaged && c->p.seq != c->seq; /* ESN: not as it was sealed */

	if (!damaged)
		MUST(c->p.seq == number_inferred(c));
	switch (c->p.reason) {
	case XIPSEC_REASON_ICV: MUST(damaged || other); break;
	case XIPSEC_REASON_ESP_SHORT: MUST(c->lies || c->wild); break;
	case XIPSEC_REASON_REPLAY: MUST(damaged || other || was_taken(c->seq)); break;
	case XIPSEC_REASON_REPLAY_OLD:
		MUST(damaged || other || !c->seq ||
		     c->seq + ends.config.window <= ends.in_state.replay_top || c->seq >= SEQ_RING);
		break;
	default:
		number_taken(c);
		MUST(c->seq && c->seq <= ends.in_state.replay_top);
		MUST(c->seq > top_before || top_before - c->seq < ends.config.window);
		inside_must(&ends, &inside, &c->p, c->tos, deserved(c));
		n_opened += c->p.reason == XIPSEC_REASON_OPENED;
	}
}

/* The checksum that was left to whoever sends the packet on. */
static void sum_must(struct parcel *c)
{
	struct seen seen;

	if (!(c->p.flags & PACKET_SUM))
		return;
	MUST(ends.shape & SHAPE_TRANSPORT);
	inbound_sum(&c->p);
	MUST(packet_see(c->p.data, c->p.len, &seen));
	MUST(seen.proto == 6 || seen.proto == 17);
	MUST(transport_sum(&seen, c->p.data, seen.proto) == 0xffff);
}

static void burst_run(unsigned int n)
{
	struct packet *pkts[FRAMES];
	__u64 drops = 0;

	for (unsigned int i = 0; i < n; i++)
		pkts[i] = &parcels[i].p;
	top_before = ends.in_state.replay_top;
	esp_in_burst(ends.in, pkts, n, 1);
	for (unsigned int i = 0; i < n; i++) {
		struct parcel *c = &parcels[i];

		packet_must_fit(&c->p, c->frame, c->size);
		if (c->p.reason == XIPSEC_REASON_OPENED)
			sum_must(c);
		end_must(c);
	}
	for (unsigned int i = 0; i < XIPSEC_REASON_MAX; i++)
		drops += ends.in_state.drops[i];
	n_all += n;
	MUST(ends.in_state.packets == n_opened && n_opened + drops == n_all);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned int n = 0, done = 0;
	__u64 base;

	ends_open(&ends, &in, IPPROTO_ESP);
	inside_begin();
	base = window_start(&ends, &in);
	n_taken = n_opened = n_all = 0;
	for (; in.left && done < FRAMES; done++) {
		__u8 kind = take8(&in);

		parcel_make(&parcels[n], n, &in, kind, base);
		n++;
		if (kind & NOT_NOW)
			continue;
		burst_run(n);
		n = 0;
	}
	if (n)
		burst_run(n);
	ends_close(&ends);
	return 0;
}
