// SPDX-License-Identifier: BSD-2-Clause
#include "tests/fuzz/harness.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>

#include "worker/crypto.h"

/* Refusals to make an SA are no news here. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	MUST(!crypto_init());
	return 0;
}

/* ---------------------------------------------------------------- frames */

static __u8 *frames_map(void)
{
	__u8 *map = mmap(NULL, (2 * FRAMES + 1) * FRAME_MAX, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);

	MUST(map != MAP_FAILED);
	for (int i = 0; i < FRAMES; i++)
		MUST(!mprotect(map + (2 * i + 1) * FRAME_MAX, FRAME_MAX, PROT_READ | PROT_WRITE));
	return map;
}

__u8 *frame_get(unsigned int n, __u32 size)
{
	static __u8 *map;
	__u8 *frame;

	if (!map)
		map = frames_map();
	MUST(n < FRAMES && size <= FRAME_MAX);
	frame = map + (2 * n + 2) * FRAME_MAX - size;
	memset(frame, 0xee, size);
	return frame;
}

/* ---------------------------------------------------------------- SAs */

#define SELECTORS_MANY 12 /* more than a worker looks through each time */

static struct xipsec_selector any_selector(void)
{
	return (struct xipsec_selector){
		.local_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
		.remote_hi = {{.word = {~0U, ~0U, ~0U, ~0U}}},
		.local_port_hi = XIPSEC_PORT_MAX,
		.remote_port_hi = XIPSEC_PORT_MAX,
		.icmp_hi = XIPSEC_PORT_MAX,
		.any_proto = 1,
	};
}

static struct xipsec_selector from_prefix(int family, __u8 first, __u8 proto)
{
	struct xipsec_selector sel = any_selector();

	sel.family = (__u8)family;
	sel.remote_lo.byte[0] = sel.remote_hi.byte[0] = first;
	sel.any_proto = 0;
	sel.l4_proto = proto;
	return sel;
}

/* narrow_allows() says the same in another way. */
static void select_narrow(struct xipsec_sa *sa)
{
	struct xipsec_selector *refused = &sa->selector[0];

	*refused = any_selector();
	refused->local_port_lo = refused->local_port_hi = 23;
	sa->refuse[0] = 1;
	sa->selector[1] = from_prefix(4, 10, IPPROTO_UDP);
	sa->selector[2] = from_prefix(4, 10, IPPROTO_TCP);
	sa->selector[3] = from_prefix(6, 0xfd, IPPROTO_UDP);
	sa->selector[4] = from_prefix(6, 0xfd, IPPROTO_TCP);
	sa->n_selectors = 5;
}

/* The same again and again: none of those decides. */
static void select_many(struct xipsec_sa *sa)
{
	__u32 n = sa->n_selectors;

	for (; sa->n_selectors < SELECTORS_MANY; sa->n_selectors++) {
		sa->selector[sa->n_selectors] = sa->selector[sa->n_selectors - n];
		sa->refuse[sa->n_selectors] = sa->refuse[sa->n_selectors - n];
	}
}

static void config_fill(struct xipsec_sa *sa, __u8 proto, __u8 alg, __u8 shape, __u8 window)
{
	*sa = (struct xipsec_sa){
		.name = "fuzz",
		.spi = htonl(0x1001),
		.outer_family = shape & SHAPE_IP6 ? 6 : 4,
		.l4_proto = proto,
		.mode = shape & SHAPE_TRANSPORT ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL,
		.alg = alg,
		.flags = (shape & SHAPE_ESN ? XIPSEC_SA_ESN : 0) |
			 (shape & SHAPE_UDP ? XIPSEC_SA_UDP : 0),
		.window = 64u << (window & 7),
		.src_port = htons(4500),
		.dst_port = htons(4500),
		.key_len = alg_key_len(alg),
	};
	for (__u32 i = 0; i < sa->key_len; i++)
		sa->key[i] = (__u8)(0x40 + i);
	memset(sa->src.byte, 0x20, shape & SHAPE_IP6 ? 16 : 4);
	memset(sa->dst.byte, 0x30, shape & SHAPE_IP6 ? 16 : 4);
	if (shape & SHAPE_NARROW) {
		select_narrow(sa);
	} else {
		sa->selector[0] = any_selector();
		sa->n_selectors = 1;
	}
	if (shape & SHAPE_MANY)
		select_many(sa);
}

static struct sa *end_new(struct xipsec_sa *config, __u8 dir, struct xipsec_sa_state *state,
			  enum xipsec_backend backend)
{
	struct sa *sa;
	int err;

	memset(state, 0, sizeof(*state));
	state->generation = GENERATION;
	state->status = XIPSEC_SA_LIVE;
	state->seq_limit = ~0ULL;
	config->dir = dir;
	config->flags &= (__u16)~XIPSEC_SA_LATER;
	if (dir == XIPSEC_DIR_IN && config->mode == XIPSEC_MODE_TUNNEL)
		config->flags |= XIPSEC_SA_LATER;
	sa = sa_new(config, INDEX, GENERATION, state, backend, &err);
	if (!sa)
		sa = sa_new(config, INDEX, GENERATION, state, XIPSEC_BACKEND_AUTO, &err);
	MUST(sa);
	return sa;
}

static __u8 alg_pick(__u8 byte, __u8 proto)
{
	__u8 alg = 1 + byte % (XIPSEC_ALG_COUNT - 1);

	while (proto == IPPROTO_AH && !alg_fits_ah(alg))
		alg = 1 + alg % (XIPSEC_ALG_COUNT - 1);
	return alg;
}

/* First fragments that narrow_allows() said yes to, in tunnel mode: in transport mode the network
 * may cut what is sealed, but nobody seals fragments. */
static struct head {
	struct seen seen;
	__u8 addrs[32];
} heads[FRAMES];
static unsigned int n_heads;

void ends_open(struct ends *ends, struct input *in, __u8 proto)
{
	const enum xipsec_backend backends[2] = {XIPSEC_BACKEND_IPSEC_MB, XIPSEC_BACKEND_OPENSSL};
	__u8 alg = alg_pick(take8(in), proto), shape = take8(in);
	int mine;

	if (proto == IPPROTO_AH)
		shape &= (__u8)~SHAPE_UDP;
	mine = !!(shape & SHAPE_OPENSSL);
	ends->shape = shape;
	n_heads = 0;
	config_fill(&ends->config, proto, alg, shape, take8(in));
	ends->in = end_new(&ends->config, XIPSEC_DIR_IN, &ends->in_state, backends[mine]);
	ends->out = end_new(&ends->config, XIPSEC_DIR_OUT, &ends->out_state,
			    backends[shape & SHAPE_OTHER ? !mine : mine]);
}

void ends_close(struct ends *ends)
{
	sa_free(ends->in);
	sa_free(ends->out);
}

__u64 window_start(struct ends *ends, struct input *in)
{
	__u64 start = take64(in) % (SEQ_RING / 2);

	if (!(ends->shape & SHAPE_ESN))
		start &= 0xffffffff;
	ends->in_state.replay_top = start;
	return start;
}

/* ---------------------------------------------------------------- a second opinion */

static int see_ip4(const __u8 *data, __u32 len, struct seen *seen)
{
	__u32 frag;

	if (len < 20)
		return 0;
	*seen = (struct seen){
		.len = data[2] * 256u + data[3],
		.l4_off = (data[0] & 15) * 4u,
		.family = 4,
		.tos = data[1],
		.ttl = data[8],
		.proto = data[9],
		.src = data + 12,
		.dst = data + 16,
		.addr_len = 4,
	};
	frag = data[6] * 256u + data[7];
	seen->later = (frag & 8191) != 0;
	seen->fragment = (frag & 16383) != 0;
	seen->id = data[4] * 256u + data[5];
	seen->from = frag % 8192 * 8;
	seen->to = seen->from + seen->len - seen->l4_off;
	return seen->l4_off >= 20 && seen->len >= seen->l4_off && seen->len <= len;
}

#define EXTENSIONS 6 /* of IPv6, that are looked through */

static int is_extension(__u8 proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 60;
}

static int see_ip6(const __u8 *data, __u32 len, struct seen *seen)
{
	__u32 at = 40, n = 0, n_fragment = 0;

	if (len < 40)
		return 0;
	*seen = (struct seen){
		.len = 40 + data[4] * 256u + data[5],
		.family = 6,
		.tos = (__u8)((data[0] & 15) * 16 + data[1] / 16),
		.ttl = data[7],
		.proto = data[6],
		.src = data + 8,
		.dst = data + 24,
		.addr_len = 16,
	};
	if (seen->len > len)
		return 0;
	while (is_extension(seen->proto)) {
		__u32 frag = 0, size;

		if (at + 8 > seen->len)
			return 0;
		n_fragment += seen->proto == 44;
		seen->odd |= ++n > EXTENSIONS || (seen->proto == 0 && n > 1) || n_fragment > 1;
		size = seen->proto == 44 ? 8 : 8 + data[at + 1] * 8u;
		if (seen->proto == 44) {
			frag = data[at + 2] * 256u + data[at + 3];
			seen->id = (data[at + 4] * 256u + data[at + 5]) * 65536u +
				   data[at + 6] * 256u + data[at + 7];
			seen->from = frag / 8 * 8;
			seen->to = seen->from + seen->len - at - 8;
		}
		seen->fragment |= (frag & 0xfff9) != 0;
		seen->later |= frag >= 8;
		seen->proto = data[at];
		at += size;
		if (seen->later)
			break;
	}
	seen->l4_off = at;
	return at <= seen->len;
}

int packet_see(const __u8 *data, __u32 len, struct seen *seen)
{
	if (!len)
		return 0;
	if (data[0] / 16 == 4)
		return see_ip4(data, len, seen);
	return data[0] / 16 == 6 && see_ip6(data, len, seen);
}

/* The shortest header of a transport protocol, by the RFC of each. */
static __u32 transport_min(const struct seen *seen)
{
	switch (seen->proto) {
	case 6: return 20;
	case 33:
	case 51:
	case 132: return 12;
	case 17:
	case 50:
	case 136: return 8;
	case 1: return seen->family == 4 ? 8 : 0;
	case 58:
	case 135: return seen->family == 6 ? 8 : 0;
	default: return 0;
	}
}

int packet_sound(const __u8 *data, __u32 len, struct seen *seen)
{
	const __u8 *l4;
	__u32 l4_len;

	if (!packet_see(data, len, seen) || seen->odd)
		return 0;
	if (seen->later)
		return seen->family == 6 || seen->from + seen->len <= 65535;
	l4 = data + seen->l4_off;
	l4_len = seen->len - seen->l4_off;
	if (l4_len < transport_min(seen))
		return 0;
	if (seen->proto == 6)
		return l4[12] / 16 >= 5 && l4[12] / 16 * 4u <= l4_len;
	if (seen->proto == 17) /* the length is the datagram's, whose head this may be */
		return l4[4] * 256u + l4[5] >= 8 &&
		       (seen->fragment || l4[4] * 256u + l4[5] <= l4_len);
	return 1;
}

__u32 sum_bytes(__u32 sum, const __u8 *at, __u32 len)
{
	for (__u32 i = 0; i < len; i++)
		sum += i & 1 ? at[i] : at[i] * 256u;
	return sum;
}

__u16 sum_fold(__u32 sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

int packet_sum_fits(const __u8 *data)
{
	return data[0] / 16 != 4 || sum_fold(sum_bytes(0, data, (data[0] & 15) * 4u)) == 0xffff;
}

__u16 transport_sum(const struct seen *seen, const __u8 *data, __u8 proto)
{
	__u32 len = seen->len - seen->l4_off, sum = len + proto;

	sum = sum_bytes(sum, seen->src, seen->addr_len);
	sum = sum_bytes(sum, seen->dst, seen->addr_len);
	return sum_fold(sum_bytes(sum, data + seen->l4_off, len));
}

/* RFC 4301 6.2, for errors: who may be told what is decided by the packet that they quote. */
static int seen_error(const struct seen *seen, const __u8 *data)
{
	__u8 type;

	if (seen->later || seen->len < seen->l4_off + 8)
		return 0;
	type = data[seen->l4_off];
	if (seen->family == 6)
		return seen->proto == 58 && type < 128;
	return seen->proto == 1 &&
	       (type == 3 || type == 4 || type == 5 || type == 11 || type == 12);
}

/* Whether it goes to the sender of a packet that it quotes, which is seen as far as the quote goes:
 * `later` if that is not to the ports. */
static int quote_see(const struct seen *seen, const __u8 *data, struct seen *quote)
{
	const __u8 *at = data + seen->l4_off + 8;
	__u32 len = seen->len - seen->l4_off - 8, off, size, n = 0;
	int ip4 = seen->family == 4;

	if (len < (ip4 ? 20 : 40) || at[0] / 16 != seen->family || (ip4 && (at[0] & 15) < 5))
		return 0;
	*quote = (struct seen){.family = seen->family,
			       .proto = at[ip4 ? 9 : 6],
			       .src = at + (ip4 ? 12 : 8),
			       .dst = at + (ip4 ? 16 : 24),
			       .later = ip4 && (at[6] * 256u + at[7]) % 8192};
	off = ip4 ? (at[0] & 15) * 4u : 40;
	while (!ip4 && !quote->later && is_extension(quote->proto)) {
		if (off + 8 > len || n++ == EXTENSIONS)
			break;
		size = quote->proto == 44 ? 8 : 8 + at[off + 1] * 8u;
		quote->later = quote->proto == 44 && at[off + 2] * 256u + at[off + 3] >= 8;
		quote->proto = at[off];
		off += size;
	}
	quote->l4_off = seen->l4_off + 8 + off;
	quote->later |= off + 4 > len;
	return !memcmp(quote->src, seen->dst, seen->addr_len);
}

int quote_allows(const struct seen *seen, const __u8 *data)
{
	struct seen quote;

	return !seen_error(seen, data) || quote_see(seen, data, &quote);
}

/* What cannot be seen must not be allowed: a refused port may hide in it. */
static int narrow_quote(const struct seen *seen, const __u8 *data)
{
	struct seen quote;

	if (!quote_see(seen, data, &quote) || quote.later)
		return 0;
	return (quote.proto == 6 || quote.proto == 17) &&
	       data[quote.l4_off] * 256u + data[quote.l4_off + 1] != 23 &&
	       quote.dst[0] == (quote.family == 4 ? 10 : 0xfd);
}

static int datagram_same(const struct head *head, const struct seen *seen)
{
	return head->seen.family == seen->family && head->seen.id == seen->id &&
	       !memcmp(head->addrs, seen->src, 2 * seen->addr_len) &&
	       (seen->family == 6 || head->seen.proto == seen->proto);
}

static int narrow_later(const struct seen *seen)
{
	int known = 0;

	for (unsigned int i = 0; i < n_heads; i++) {
		if (!datagram_same(&heads[i], seen))
			continue;
		if (seen->from < heads[i].seen.to)
			return 0;
		known = 1;
	}
	return known;
}

static void head_note(const struct seen *seen)
{
	MUST(n_heads < FRAMES);
	heads[n_heads].seen = *seen;
	memcpy(heads[n_heads++].addrs, seen->src, 2 * seen->addr_len);
}

/* Whether the selectors of SHAPE_NARROW allow what was opened, asked in its order: UDP and TCP from
 * 10/8 or fd00::/8, but not to local port 23; or an error about what was sent so; or a fragment
 * that begins behind all that was opened of its datagram's head. */
static int narrow_allows(const struct seen *seen, const __u8 *data, int transport)
{
	__u32 port;

	if (seen->later)
		return narrow_later(seen);
	if (seen->len < seen->l4_off + 8)
		return 0;
	if (seen_error(seen, data))
		return narrow_quote(seen, data);
	port = data[seen->l4_off + 2] * 256u + data[seen->l4_off + 3];
	if ((seen->proto != 6 && seen->proto != 17) || port == 23 ||
	    seen->src[0] != (seen->family == 4 ? 10 : 0xfd))
		return 0;
	if (seen->fragment && seen->to % 8 == 0 && !transport)
		head_note(seen);
	return 1;
}

/* RFC 6040 4.2, figure 4: rows are the inner mark. -1: to be dropped. */
static int ecn_expected(__u8 inner, __u8 outer)
{
	static const int table[4][4] = {{0, 0, 0, -1}, {1, 1, 1, 3}, {2, 1, 2, 3}, {3, 3, 3, 3}};

	return table[inner & 3][outer & 3];
}

/* ---------------------------------------------------------------- what an SA carried */

/* Which byte of the IP headers in `len` bytes says what stands behind them; 0: they do not end
 * there, or are more than `max` behind that of IPv6. */
static __u32 front_next(const __u8 *front, __u32 len, __u32 max)
{
	__u32 at = 40, next = 6;

	if (front[0] / 16 == 4)
		return len >= 20 && len == (front[0] & 15) * 4u ? 9 : 0;
	for (__u32 n = 0; at + 8 <= len && n < max && is_extension(front[next]); n++) {
		__u32 size = front[next] == 44 ? 8 : 8 + front[at + 1] * 8u;

		next = at;
		at += size;
	}
	return at == len ? next : 0;
}

/* Do they say that UDP follows? Its header is the last in front, then. */
static int front_udp(const __u8 *front, __u32 len)
{
	__u32 here = front_next(front, len, len), before = front_next(front, len - 8, len);

	return (here && front[here] == 17) || (before && front[before] == 17);
}

int inside_make(const struct ends *ends, struct inside *inside, const __u8 *front, __u32 front_len,
		const __u8 *text, __u32 text_len, __u8 next)
{
	__u32 at;
	int udp;

	inside->sum_new = 0;
	inside->len = text_len;
	if (!(ends->shape & SHAPE_TRANSPORT)) {
		MUST(text_len <= INSIDE_MAX);
		memcpy(inside->data, text, text_len);
		return 1;
	}
	udp = front_udp(front, front_len);
	front_len -= udp ? 8 : 0;
	at = front_next(front, front_len, EXTENSIONS);
	if (!at)
		return 0;
	MUST(front_len + text_len <= INSIDE_MAX);
	memcpy(inside->data, front, front_len);
	memcpy(inside->data + front_len, text, text_len);
	inside->data[at] = next;
	inside->len += front_len;
	inside->sum_new = udp || ends->shape & SHAPE_UDP;
	packet_mend(inside->data, inside->len);
	return 1;
}

static int version_fits(const struct inside *inside, __u8 next)
{
	__u8 version = inside->len ? inside->data[0] / 16 : 0;

	return version == 4 ? next == IPPROTO_IPIP : version == 6 && next == IPPROTO_IPV6;
}

enum xipsec_reason inside_judge(const struct ends *ends, const struct inside *inside, __u8 next,
				__u8 outer_tos)
{
	const int transport = ends->shape & SHAPE_TRANSPORT;
	struct seen seen;

	if (!transport && !version_fits(inside, next))
		return XIPSEC_REASON_NEXT_HEADER;
	if (!packet_sound(inside->data, inside->len, &seen))
		return XIPSEC_REASON_INNER_MALFORMED;
	if (ends->shape & SHAPE_NARROW && !narrow_allows(&seen, inside->data, transport))
		return XIPSEC_REASON_SELECTOR;
	if (!quote_allows(&seen, inside->data))
		return XIPSEC_REASON_ICMP_QUOTE;
	if (!transport && ecn_expected(seen.tos, outer_tos) < 0)
		return XIPSEC_REASON_ECN;
	return XIPSEC_REASON_OPENED;
}

/* Of TCP, UDP and ICMPv6, from the packet's first byte; 0: it has none that is known here. */
static __u32 sum_place(const struct seen *seen)
{
	if (seen->later)
		return 0;
	if (seen->family == 6 && seen->proto == 58)
		return seen->l4_off + 2;
	return seen->proto == 6 ? seen->l4_off + 16 : seen->proto == 17 ? seen->l4_off + 6 : 0;
}

static void bytes_must(const struct ends *ends, const struct inside *inside, const struct packet *p,
		       __u8 outer_tos)
{
	__u8 expected[INSIDE_MAX];
	struct seen seen, before;
	__u32 sum = 0;

	MUST(packet_see(inside->data, inside->len, &before) && p->len == before.len);
	MUST(packet_see(p->data, p->len, &seen) && seen.len == p->len);
	MUST(seen.family == p->family && p->l4_off == (seen.later ? 0 : seen.l4_off));
	MUST(packet_sum_fits(p->data) == packet_sum_fits(inside->data));
	memcpy(expected, inside->data, p->len);
	if (ends->shape & SHAPE_TRANSPORT) {
		sum = inside->sum_new ? sum_place(&seen) : 0;
	} else {
		__u8 tos = (__u8)((before.tos & 0xfc) | ecn_expected(before.tos, outer_tos));

		MUST(seen.tos == tos);
		sum = seen.family == 4 && tos != before.tos ? 10 : 0;
		if (seen.family == 4) {
			expected[1] = tos;
		} else {
			expected[0] = 0x60 | tos >> 4;
			expected[1] = (__u8)(tos << 4 | (expected[1] & 15));
		}
	}
	if (sum)
		memcpy(expected + sum, p->data + sum, 2);
	MUST(!memcmp(p->data, expected, p->len));
}

void inside_must(const struct ends *ends, const struct inside *inside, const struct packet *p,
		 __u8 outer_tos, enum xipsec_reason deserved)
{
	struct seen seen;

	if (deserved) {
		MUST_END(p, deserved);
		if (deserved == XIPSEC_REASON_OPENED)
			bytes_must(ends, inside, p, outer_tos);
	} else if (p->reason == XIPSEC_REASON_OPENED) {
		MUST(packet_sound(p->data, p->len, &seen));
	}
}

void packet_mend(__u8 *data, __u32 len)
{
	__u32 header, sum;

	if (len >= 40 && data[0] / 16 == 6) {
		data[4] = (__u8)((len - 40) >> 8);
		data[5] = (__u8)(len - 40);
	}
	if (len < 20 || data[0] / 16 != 4)
		return;
	data[2] = (__u8)(len >> 8);
	data[3] = (__u8)len;
	data[10] = data[11] = 0;
	header = (data[0] & 15) * 4u;
	sum = sum_fold(sum_bytes(0, data, header < len ? header : len));
	data[10] = (__u8)(~sum >> 8);
	data[11] = (__u8)~sum;
}
