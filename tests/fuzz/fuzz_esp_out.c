// SPDX-License-Identifier: BSD-2-Clause
/*
 * ESP out. The input says an SA and inner packets, raw. What is sealed must be whole, fit the path
 * and open at the other end to what was sent; what is not sealed must be as it was.
 */
#include "tests/fuzz/harness.h"

#include <netinet/in.h>

#include "tests/fuzz/see.h"
#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/inbound.h"
#include "worker/inner.h"
#include "worker/outer.h"

#define MEND    1
#define LOCAL   2 /* of this host: its TTL stays */
#define DUMMY   4
#define TIGHT   8  /* just the tailroom that the input says */
#define NOT_NOW 16 /* waits for the next packet: one burst */

#define TEXT_MAX 3000

struct parcel {
	struct packet p;
	__u8 *frame;
	__u32 size;
	__u8 kind;
	__u8 before[TEXT_MAX];
	__u32 before_len;
};

static struct ends ends;
static struct parcel parcels[FRAMES];
static __u32 path_mtu;
static __u64 last_seq;

static void outer_choose(struct xipsec_sa *config, struct input *in)
{
	__u8 byte = take8(in);

	config->df = byte % 3;
	config->flags |= byte & 4 ? XIPSEC_SA_NO_ECN : 0;
	config->flags |= byte & 8 ? XIPSEC_SA_FLOW_COPY : 0;
	config->flags |= byte & 16 ? XIPSEC_SA_DSCP : 0;
	config->dscp = take8(in) & 63;
	config->ttl = take8(in);
	config->tfc_size = byte & 32 ? take16(in) : 0;
	if (byte & 64)
		config->tfc_size = XIPSEC_TFC_MTU;
}

/* ends_open() knows nothing of how a tunnel looks from outside. */
static void out_again(struct input *in)
{
	enum xipsec_backend backend = sa_backend(ends.out);
	int err;

	sa_free(ends.out);
	outer_choose(&ends.config, in);
	ends.out = sa_new(&ends.config, INDEX, GENERATION, &ends.out_state, backend, &err);
	MUST(ends.out);
}

static void parcel_make(struct parcel *c, unsigned int n, struct input *in)
{
	__u32 headroom = take8(in), room = take16(in), len = take16(in) % TEXT_MAX, least;

	c->before_len = take(in, c->before, len);
	if (c->kind & MEND)
		packet_mend(c->before, c->before_len);
	least = headroom + c->before_len;
	c->size = c->kind & TIGHT && least + room < FRAME_MAX ? least + room : FRAME_MAX;
	c->frame = frame_get(n, c->size);
	c->p = packet_in(c->frame, c->size, headroom, c->before_len);
	memcpy(c->p.data, c->before, c->before_len);
	c->p.flags = c->kind & LOCAL ? PACKET_LOCAL : 0;
}

/* ---------------------------------------------------------------- what must hold */

/* What the peer gets: TTL, checksums and MSS as a router makes them; unit tests know these steps
 * byte for byte. Its bytes are in `at`; returns how many. */
static __u32 expected_make(const struct parcel *c, __u8 *at, __u32 inner_max)
{
	struct packet p = {.data = at, .len = c->before_len, .flags = c->p.flags};
	struct inner inner;

	memcpy(at, c->before, c->before_len);
	MUST(!inner_parse(at, c->before_len, &inner));
	MUST(!inner_out(&p, &inner, inner_max));
	return inner.len;
}

/* What padding makes of every packet. */
static __u32 hidden_len(void)
{
	__u32 max = sa_inner_max(ends.out, path_mtu);

	if (ends.shape & SHAPE_TRANSPORT)
		return 0;
	return ends.out->tfc_size < max ? ends.out->tfc_size : max;
}

static void header_must(const struct parcel *c)
{
	const __u8 *data = c->p.data;
	struct seen seen;
	__u32 udp_off = c->p.l4_off - 8u;

	MUST(packet_see(data, c->p.len, &seen));
	MUST(seen.len == c->p.len && c->p.len <= path_mtu);
	MUST(seen.family == ends_family(&ends));
	MUST(c->p.len > hidden_len());
	MUST(packet_sum_fits(data) && c->p.seq > last_seq);
	last_seq = c->p.seq;
	if (!(ends.shape & SHAPE_UDP)) {
		MUST(seen.proto == IPPROTO_ESP ||
		     (ends.shape & SHAPE_TRANSPORT && seen.family == 6));
		return;
	}
	MUST(data[udp_off + 4] * 256u + data[udp_off + 5] == c->p.len - udp_off);
	if (!(ends.shape & SHAPE_TRANSPORT)) {
		MUST(seen.proto == IPPROTO_UDP);
		MUST(seen.family == 4 || transport_sum(&seen, data, IPPROTO_UDP) == 0xffff);
	}
}

static void opens_must(struct parcel *c)
{
	struct packet *p = &c->p;
	__u8 expected[TEXT_MAX];
	__u32 front = p->l4_off - (ends.shape & SHAPE_UDP ? 8u : 0u), len, inner_max;
	struct inner inner;
	struct seen seen;

	inner_max = ends.shape & SHAPE_TRANSPORT ? sa_transport_max(ends.out, path_mtu, front)
						 : sa_inner_max(ends.out, path_mtu);
	len = expected_make(c, expected, inner_max);
	MUST(!inner_parse(expected, len, &inner));
	if ((ends.shape & (SHAPE_TRANSPORT | SHAPE_UDP)) == (SHAPE_TRANSPORT | SHAPE_UDP))
		inner_checksum(expected, &inner);
	if (ends.shape & SHAPE_TRANSPORT)
		packet_mend(expected, len); /* an IPv4 checksum that was wrong is made anew */

	p->reason = 0;
	esp_in_burst(ends.in, &p, 1, 1);
	packet_must_fit(p, c->frame, c->size);
	if (ends.shape & SHAPE_NARROW && p->reason == XIPSEC_REASON_SELECTOR)
		return;
	MUST(packet_see(expected, len, &seen));
	if (!quote_allows(&seen, expected)) {
		MUST_END(p, XIPSEC_REASON_ICMP_QUOTE);
		return;
	}
	/* RFC 4303 2.6: IPv6 with nothing behind its headers cannot be told from a dummy, unless
	 * ESP stands before the last of them. */
	if (ends.shape & SHAPE_TRANSPORT && inner.l4_proto == IPPROTO_NONE &&
	    inner.l4_off == front) {
		MUST_END(p, XIPSEC_REASON_DUMMY);
		return;
	}
	MUST_END(p, XIPSEC_REASON_OPENED);
	inbound_sum(p);
	MUST(p->len == len && !memcmp(p->data, expected, len));
}

static void untouched_must(const struct parcel *c)
{
	MUST(c->p.len <= c->before_len && !memcmp(c->p.data, c->before, c->p.len));
	if (c->p.reason == XIPSEC_REASON_TTL)
		MUST(!(c->kind & LOCAL) && c->before[c->before[0] >> 4 == 4 ? 8 : 7] <= 1);
	if (c->p.reason == XIPSEC_REASON_TOO_BIG)
		MUST(c->p.icmp_mtu || path_mtu < 200);
}

static void parcel_must(struct parcel *c)
{
	struct seen seen;

	packet_must_fit(&c->p, c->frame, c->size);
	switch (c->p.reason) {
	case XIPSEC_REASON_SEALED:
		header_must(c);
		opens_must(c);
		break;
	case XIPSEC_REASON_TOO_BIG:
	case XIPSEC_REASON_TTL:
		MUST(packet_see(c->before, c->before_len, &seen));
		untouched_must(c);
		break;
	case XIPSEC_REASON_FRAG_TRANSPORT:
		MUST(packet_see(c->before, c->before_len, &seen));
		MUST(ends.shape & SHAPE_TRANSPORT && seen.fragment);
		break;
	case XIPSEC_REASON_SELECTOR:
		MUST(packet_see(c->before, c->before_len, &seen));
		MUST(ends.shape & SHAPE_TRANSPORT && seen.family != ends_family(&ends));
		break;
	case XIPSEC_REASON_TX_FULL:
		MUST(hidden_len() && c->p.len + c->p.tailroom < hidden_len() + ends.out->tail_room);
		break;
	default: MUST_END(&c->p, XIPSEC_REASON_INNER_MALFORMED);
	}
}

static void dummy_run(struct parcel *c)
{
	struct packet *p = &c->p;
	__u32 len = c->before_len % 200;
	enum xipsec_reason reason;
	struct outer outer;
	struct seen seen;

	MUST(!outer_init(&outer, &ends.config));
	reason = esp_out_dummy(ends.out, &outer, p, len);
	packet_must_fit(p, c->frame, c->size);
	if (reason) {
		MUST(reason == XIPSEC_REASON_TOO_BIG && !p->reason);
		return;
	}
	MUST(p->reason == XIPSEC_REASON_SEALED && p->seq > last_seq);
	last_seq = p->seq;
	MUST(packet_see(p->data, p->len, &seen) && seen.len == p->len);
	MUST(packet_sum_fits(p->data));
	p->reason = 0;
	esp_in_burst(ends.in, &p, 1, 1);
	MUST_END(p, XIPSEC_REASON_DUMMY);
}

static void burst_run(unsigned int n)
{
	struct packet *pkts[FRAMES];

	for (unsigned int i = 0; i < n; i++)
		pkts[i] = &parcels[i].p;
	esp_out_burst(ends.out, pkts, n, path_mtu, 1);
	for (unsigned int i = 0; i < n; i++)
		parcel_must(&parcels[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = {data, size};
	unsigned int n = 0, done = 0;

	ends_open(&ends, &in, IPPROTO_ESP);
	out_again(&in);
	path_mtu = take16(&in);
	last_seq = 0;
	for (; in.left && done < FRAMES; done++) {
		parcels[n].kind = take8(&in);
		parcel_make(&parcels[n], n, &in);
		if (parcels[n].kind & DUMMY) {
			dummy_run(&parcels[n]);
			continue;
		}
		if (parcels[n++].kind & NOT_NOW)
			continue;
		burst_run(n);
		n = 0;
	}
	if (n)
		burst_run(n);
	ends_close(&ends);
	return 0;
}
