// SPDX-License-Identifier: BSD-2-Clause
/*
 * AH, in and out. Inbound the input says an SA, headers in front with options of any kind, what AH
 * carries, and damage: a change that routers may not make must never get through. Outbound it says
 * a packet, which must come back.
 */
#include "tests/fuzz/harness.h"

#include <endian.h>
#include <netinet/in.h>

#include "tests/fuzz/inside.h"
#include "tests/fuzz/see.h"
#include "worker/ah.h"
#include "worker/inner.h"
#include "worker/transport.h"

#define FLIP     1
#define SEAL_OUT 2 /* by ah_out_burst(), else here */
#define MEND     4
#define SLACK    8
#define LONG     16 /* padded to 8 bytes over IPv4 too */
#define WILD     32 /* AH is said to be where it is not */
#define FAR_AWAY 64
#define LOCAL    128

#define TEXT_MAX  2000
#define FRONT_MAX 340 /* more than can be protected */

struct parcel {
	struct packet p;
	__u8 *frame;
	__u32 size;
	__u32 front, ah_len;
	__u64 seq;
	__u8 text[TEXT_MAX];
	__u32 text_len;
	__u8 next;
	__u8 sealed[FRAME_MAX]; /* the packet, before damage */
	__u32 sealed_len;
	__u32 behind;     /* bytes of the frame behind it */
	int sealed_right; /* else its headers are none that AH can protect */
};

static struct ends ends;
static struct parcel parcel;
static struct inside inside; /* of the packet that is judged */
static __u64 taken[FRAMES];  /* numbers that the window has, whatever became of the packet */
static unsigned int n_taken;

/* ---------------------------------------------------------------- sealing */

static __u32 front_write(struct parcel *c, struct input *in, __u8 *to)
{
	__u32 ip_len = ends.shape & SHAPE_IP6 ? 40 : 20, more = take16(in) % 301 & ~3u;

	memset(to, 0, FRONT_MAX);
	if (ends.shape & SHAPE_IP6) {
		more &= ~7u;
		to[0] = 0x60;
		to[6] = more ? take8(in) : IPPROTO_AH;
	} else {
		more %= 41;
		more &= ~3u;
		to[0] = (__u8)(0x45 + more / 4);
		to[6] = take8(in);
		to[9] = IPPROTO_AH;
	}
	take(in, to + 1, 1);
	take(in, to + ip_len - 4, 4);
	take(in, to + ip_len, more);
	return ip_len + more;
}

/* The headers in front as the ICV is over them, in `out`; how many bytes, 0: they cannot be
 * protected. */
static __u32 front_masked(const __u8 *data, __u32 front, __u8 out[AH_FRONT_MAX + 8])
{
	struct packet p = {.data = out, .len = front};
	__u32 len;

	if (front > AH_FRONT_MAX + 8)
		return 0;
	memcpy(out, data, front);
	len = front - transport_whole(&p, front);
	if (len > AH_FRONT_MAX || ah_mask(p.data, len))
		return 0;
	memmove(out, p.data, len);
	return len;
}

/* The ICV of RFC 4302 3.3.3 over a copy, the mutable fields by ah_mask() itself: tests/unit has an
 * independent judge of those. 0: ah_mask() says that these headers cannot be protected. */
static int icv_make(struct parcel *c, __u8 *data, __u32 len)
{
	const struct alg *alg = alg_get(ends.config.alg);
	__u8 copy[FRAME_MAX], *ah = data + c->front;
	__be64 seq = htobe64(c->seq);
	struct crypto_op op = {.text = copy, .tag = ah + AH_LEN + alg->iv};
	__u32 front;

	memset(ah + AH_LEN, 0, c->ah_len - AH_LEN);
	memcpy(ah + AH_LEN, &seq, alg->iv); /* GMAC's IV is covered (RFC 4543 7) */
	front = front_masked(data, c->front, copy);
	if (!front)
		return 0;
	memcpy(copy + front, ah, len - c->front);
	op.len = front + len - c->front;
	if (ends.shape & SHAPE_ESN) {
		memcpy(copy + op.len, &seq, 4);
		op.len += 4;
	}
	memcpy(op.nonce, ends.config.key + alg->cipher_key, alg->salt);
	memcpy(op.nonce + alg->salt, &seq, 8);
	memcpy(op.nonce + 12, "\0\0\0\1", 4);
	ends.out->seal(ends.out->key->ctx, &op, 1, 0);
	return 1;
}

static int parcel_seal(struct parcel *c, struct input *in, __u8 kind, __u64 base)
{
	__u32 headroom = 100 + take8(in), len, slack = kind & SLACK ? take8(in) % 64 : 0;
	__u8 front[FRONT_MAX], *data;
	__be32 seq_lo;

	c->seq = kind & FAR_AWAY ? take64(in) : base + (__u64)(__s64)(__s16)take16(in);
	if (!(ends.shape & SHAPE_ESN))
		c->seq &= 0xffffffff;
	c->next = take8(in);
	c->front = front_write(c, in, front);
	c->text_len = take(in, c->text, take16(in) % TEXT_MAX);
	if (kind & MEND)
		packet_mend(c->text, c->text_len);
	c->ah_len = ends.out->head_len;
	if (kind & LONG)
		c->ah_len = (c->ah_len + 7) & ~7u;
	len = c->front + c->ah_len + c->text_len;
	c->behind = slack + (ends.shape & SHAPE_ESN && !(kind & LOCAL) ? 4 : 0);
	c->size = headroom + len + c->behind;
	c->frame = frame_get(0, c->size);
	c->p = packet_in(c->frame, c->size, headroom, len + slack);
	data = c->p.data;
	memcpy(data, front, c->front);
	memcpy(data + c->front + c->ah_len, c->text, c->text_len);
	packet_mend(data, len);
	data[c->front] = c->next;
	data[c->front + 1] = (__u8)(c->ah_len / 4 - 2);
	memset(data + c->front + 2, 0, 2);
	memcpy(data + c->front + 4, &ends.config.spi, 4);
	seq_lo = htobe32((__u32)c->seq);
	memcpy(data + c->front + 8, &seq_lo, 4);
	c->p.l4_off = (__u16)c->front;
	c->sealed_len = len;
	return icv_make(c, data, len);
}

/* Does the change meet a byte that routers may change? */
static int change_allowed(const struct parcel *c, const __u8 *data)
{
	__u8 was[AH_FRONT_MAX + 8], is[AH_FRONT_MAX + 8];
	__u32 len;

	if (memcmp(data + c->front, c->sealed + c->front, c->sealed_len - c->front))
		return 0;
	len = front_masked(c->sealed, c->front, was);
	return len && len == front_masked(data, c->front, is) && !memcmp(was, is, len);
}

/* ---------------------------------------------------------------- what must hold */

static int was_taken(__u64 seq)
{
	for (unsigned int i = 0; i < n_taken; i++)
		if (taken[i] == seq)
			return 1;
	return 0;
}

/* Of a packet as it came that is authentic and new: OPENED, or why not; UNSPEC: anything. */
static enum xipsec_reason in_deserved(const struct parcel *c, const __u8 *came, __u8 tos)
{
	__u8 front[FRONT_MAX];
	struct packet p = {.data = front, .len = c->front};

	/* A fragment header that cuts nothing is taken out. */
	memcpy(front, came, c->front);
	transport_whole(&p, c->front);
	if (!inside_make(&ends, &inside, p.data, p.len, c->text, c->text_len, c->next))
		return XIPSEC_REASON_UNSPEC;
	return inside_judge(&ends, &inside, c->next, tos);
}

static void end_must(const struct parcel *c, const __u8 *came, int damaged, __u64 top)
{
	const __u8 tos = came[0] / 16 == 4 ? came[1] : (__u8)(came[0] << 4 | came[1] >> 4);
	const struct packet *p = &c->p;
	const int other = p->seq != c->seq; /* ESN: not as it was sealed */

	switch (p->reason) {
	case XIPSEC_REASON_ICV: MUST(damaged || other); break;
	case XIPSEC_REASON_REPLAY: MUST(damaged || other || was_taken(c->seq)); break;
	case XIPSEC_REASON_AH_SHORT: MUST(damaged); break;
	case XIPSEC_REASON_REPLAY_OLD:
		MUST(damaged || other || !c->seq || c->seq + ends.config.window <= top ||
		     c->seq >= SEQ_RING);
		break;
	case XIPSEC_REASON_AH_FRONT:
		MUST(damaged || !c->sealed_right || p->headroom < AH_FRONT_MAX + XIPSEC_ICV_MAX ||
		     (ends.shape & SHAPE_ESN && c->behind < 4));
		break;
	default:
		MUST(c->sealed_right && !damaged && !other && c->seq && !was_taken(c->seq));
		MUST(c->seq <= ends.in_state.replay_top);
		MUST(c->seq > top || top - c->seq < ends.config.window);
		taken[n_taken++] = c->seq;
		inside_must(&ends, &inside, p, tos, in_deserved(c, came, tos));
	}
}

static void in_run(struct parcel *c, struct input *in, __u8 kind, __u64 base)
{
	const __u64 top = ends.in_state.replay_top;
	struct packet *p = &c->p;
	__u8 came[FRAME_MAX];
	int damaged = 0;

	c->sealed_right = parcel_seal(c, in, kind, base);
	memcpy(c->sealed, p->data, c->sealed_len);
	if (kind & FLIP) {
		p->data[take16(in) % c->sealed_len] ^= take8(in);
		if (memcmp(c->sealed, p->data, c->sealed_len))
			damaged = !c->sealed_right || !change_allowed(c, p->data);
	}
	if (kind & WILD)
		p->l4_off = take16(in);
	damaged |= p->l4_off != c->front;
	memcpy(came, p->data, c->sealed_len);
	ah_in_burst(ends.in, &p, 1, 1);
	packet_must_fit(p, c->frame, c->size);
	end_must(c, came, damaged, top);
}

/* ---------------------------------------------------------------- out and back */

/* Of a fragment header in front of AH, `front` bytes behind it, that is taken out. */
static __u32 atomic_len(const struct parcel *c, __u32 front)
{
	__u8 copy[TEXT_MAX];
	struct packet p = {.data = copy, .len = c->text_len};

	memcpy(copy, c->text, c->text_len);
	return ends.shape & SHAPE_TRANSPORT ? transport_whole(&p, front + 8) : 0;
}

static __u32 expected_make(const struct parcel *c, __u8 *at, __u32 inner_max, __u32 front)
{
	struct packet p = {.data = at, .len = c->text_len, .flags = c->p.flags};
	struct inner inner;

	memcpy(at, c->text, c->text_len);
	MUST(!inner_parse(at, c->text_len, &inner));
	MUST(!inner_out(&p, &inner, inner_max));
	if (!(ends.shape & SHAPE_TRANSPORT))
		return inner.len;
	transport_whole(&p, front + 8);
	memmove(at, p.data, p.len);
	packet_mend(at, p.len);
	return p.len;
}

static void back_must(struct parcel *c, __u32 path_mtu)
{
	struct packet *p = &c->p;
	__u32 front = p->l4_off, len;
	__u8 expected[TEXT_MAX];
	enum xipsec_reason deserved;
	struct seen seen;

	MUST(packet_see(p->data, p->len, &seen) && seen.len == p->len && p->len <= path_mtu);
	MUST(packet_sum_fits(p->data) && seen.family == ends_family(&ends));
	len = expected_make(
		c, expected,
		ends.shape & SHAPE_TRANSPORT
			? sa_transport_max(ends.out, path_mtu, front + atomic_len(c, front))
			: sa_inner_max(ends.out, path_mtu),
		front);
	if (p->headroom < AH_FRONT_MAX + XIPSEC_ICV_MAX || p->tailroom < 4)
		return; /* frames that come in have more */
	p->reason = 0;
	ah_in_burst(ends.in, &p, 1, 1);
	packet_must_fit(p, c->frame, c->size);
	memcpy(inside.data, expected, len);
	inside.len = len;
	deserved = inside_judge(&ends, &inside, expected[0] / 16 == 4 ? 4 : 41, 0);
	MUST_END(p, deserved);
	if (p->reason == XIPSEC_REASON_OPENED)
		MUST(p->len == len && !memcmp(p->data, expected, len));
}

static void out_run(struct parcel *c, struct input *in, __u8 kind)
{
	__u32 headroom = take16(in) % 400, path_mtu = take16(in);
	struct packet *p = &c->p;
	struct seen seen;

	c->text_len = take(in, c->text, take16(in) % TEXT_MAX);
	if (kind & MEND)
		packet_mend(c->text, c->text_len);
	c->size = headroom + c->text_len + (kind & SLACK ? take16(in) % 512 : 512);
	c->frame = frame_get(1, c->size);
	c->p = packet_in(c->frame, c->size, headroom, c->text_len);
	memcpy(c->p.data, c->text, c->text_len);
	c->p.flags = kind & LOCAL ? PACKET_LOCAL : 0;
	ah_out_burst(ends.out, &p, 1, path_mtu, 1);
	packet_must_fit(p, c->frame, c->size);
	switch (p->reason) {
	case XIPSEC_REASON_SEALED: back_must(c, path_mtu); break;
	case XIPSEC_REASON_TOO_BIG:
	case XIPSEC_REASON_TTL: MUST(!memcmp(p->data, c->text, p->len)); break;
	case XIPSEC_REASON_INNER_MALFORMED: break;
	case XIPSEC_REASON_SELECTOR:
		MUST(ends.shape & SHAPE_TRANSPORT && packet_see(c->text, c->text_len, &seen));
		MUST(seen.family != ends_family(&ends));
		break;
	case XIPSEC_REASON_FRAG_TRANSPORT:
	default:
		MUST(ends.shape & SHAPE_TRANSPORT);
		if (p->reason != XIPSEC_REASON_FRAG_TRANSPORT)
			MUST_END(p, XIPSEC_REASON_AH_FRONT);
	}
}

/* The numbers of out_run() are not those of in_run(). */
static void window_clear(void)
{
	ends.in_state.replay_top = 0;
	memset(ends.in_state.replay, 0, sizeof(ends.in_state.replay));
	n_taken = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	__u64 base;

	ends_open(&ends, &in, IPPROTO_AH);
	inside_begin();
	base = window_start(&ends, &in);
	n_taken = 0;
	for (int i = 0; in.left && i < FRAMES; i++) {
		__u8 kind = take8(&in);

		if (kind & SEAL_OUT) {
			window_clear();
			out_run(&parcel, &in, kind);
			window_clear();
		} else {
			in_run(&parcel, &in, kind, base);
		}
	}
	ends_close(&ends);
	return 0;
}
