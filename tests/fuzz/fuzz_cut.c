// SPDX-License-Identifier: BSD-2-Clause
/*
 * Cutting: IP fragments, and the segments of a GSO frame, of raw bytes. The pieces are put together
 * again here and must be the packet. Joining: what coalesce.c makes of segments, one of them
 * damaged perhaps, must be cut into the very same again.
 */
#include "tests/fuzz/harness.h"

#include <netinet/in.h>
#include <linux/virtio_net.h>

#include "tests/fuzz/see.h"
#include "worker/coalesce.h"
#include "worker/fragment.h"
#include "worker/inner.h"
#include "worker/segment.h"

#define L3_OFF 14

static __u8 *packet; /* memory of just its size */
static __u32 packet_len;

static __u32 be16(const __u8 *at)
{
	return at[0] * 256u + at[1];
}

static __u32 be32(const __u8 *at)
{
	return be16(at) << 16 | be16(at + 2);
}

/* ---------------------------------------------------------------- fragments */

/* One piece: where its payload is, its offset in the whole, and whether more follows. */
struct piece {
	__u32 head, offset;
	int more;
};

static struct piece piece4(const __u8 *at, __u32 len)
{
	struct seen seen;

	MUST(packet_see(at, len, &seen) && seen.len == len && packet_sum_fits(at));
	MUST(seen.proto == packet[9] && be16(at + 4) == be16(packet + 4));
	return (struct piece){seen.l4_off, (be16(at + 6) & 0x1fff) * 8, !!(at[6] & 0x20)};
}

static struct piece piece6(const __u8 *at, __u32 len, __u32 off)
{
	MUST(len >= off + 8 && be16(at + 4) + 40 == len);
	return (struct piece){off + 8, be16(at + off + 2) & 0xfff8u, at[off + 3] & 1};
}

/* `off`: bytes of IPv6 headers in front of the fragment header; 0: IPv4. */
static void put_together(struct fragment_cut *cut, __u32 off, __u32 max)
{
	const int ip6 = off != 0;
	__u32 head = ip6 ? off : (packet[0] & 15) * 4u, base = 0, done = 0, n = 0, len;
	const __u32 count = fragment_count(cut);
	int base_more = 0;

	if (!ip6) {
		base = (be16(packet + 6) & 0x1fff) * 8;
		base_more = !!(packet[6] & 0x20);
	}
	for (;;) {
		__u8 *to = malloc(max);
		struct piece piece;

		MUST(to);
		len = fragment_next(cut, to);
		if (!len) {
			free(to);
			break;
		}
		MUST(len <= max);
		piece = ip6 ? piece6(to, len, off) : piece4(to, len);
		len -= piece.head;
		MUST(piece.offset == base + done && done + len <= packet_len - head);
		MUST(!memcmp(to + piece.head, packet + head + done, len));
		done += len;
		MUST(piece.more == (done < packet_len - head || base_more));
		MUST(done == packet_len - head || !(len % 8));
		n++;
		free(to);
	}
	MUST(n == count && done == packet_len - head);
}

static void fragments_run(struct input *in)
{
	struct fragment_cut cut;
	__u32 max = take16(in) % 4096, off = take8(in);

	if (!off) {
		if (!fragment_ip4(&cut, packet, packet_len, max) && packet_len > max)
			put_together(&cut, 0, max);
		return;
	}
	if (!fragment_ip6(&cut, packet, packet_len, off, max, 0x11223344))
		put_together(&cut, off, max);
}

/* ---------------------------------------------------------------- segments */

/* Behind a routing header the sum is as the header of the whole would have it. */
static void segment_must(const struct segments *s, const __u8 *to, __u32 len, __u32 done,
			 bool routed)
{
	const __u8 *l4 = to + s->l4_off, *was = packet + s->l4_off;
	struct seen seen;
	__u8 flags;

	MUST(packet_see(to, len, &seen) && seen.len == len && packet_sum_fits(to));
	MUST(seen.l4_off == s->l4_off);
	MUST(routed || transport_sum(&seen, to, s->l4_proto) == 0xffff);
	MUST(!memcmp(l4, was, 4));
	MUST(!memcmp(to + s->head, packet + s->head + done, len - s->head));
	if (s->l4_proto == IPPROTO_UDP) {
		MUST(be16(l4 + 4) == len - s->l4_off);
		return;
	}
	MUST(be32(l4 + 4) == (__u32)(be32(was + 4) + done));
	flags = was[13];
	if (done + len - s->head < s->payload)
		flags &= 0xf6; /* FIN, PSH */
	if (done)
		flags &= 0x7f; /* CWR */
	MUST(l4[13] == flags);
}

static void segments_run(struct input *in)
{
	struct virtio_net_hdr hdr = {.flags = take8(in), .gso_type = take8(in)};
	__u32 max, done = 0, len;
	struct segments s;
	struct inner inner;
	int kind;

	hdr.gso_size = take16(in);
	hdr.csum_start = take16(in);
	hdr.csum_offset = take16(in);
	max = take16(in);
	if (inner_parse(packet, packet_len, &inner))
		return;
	kind = segments_start(&hdr, L3_OFF, packet, &inner, max, &s);
	if (kind != 1)
		return;
	do {
		__u8 *to = malloc(segments_longest(&s));

		MUST(to);
		len = segments_next(&s, to);
		if (len) {
			MUST(len <= segments_longest(&s));
			MUST(s.l4_proto != IPPROTO_TCP || len <= max);
			segment_must(&s, to, len, done, inner.flags & INNER_ROUTED);
			done += len - s.head;
		}
		free(to);
	} while (len);
	MUST(done == s.payload);
}

/* ---------------------------------------------------------------- joining */

#define JOIN_MAX 8

struct join {
	struct packet p[JOIN_MAX];
	__u8 *bytes[JOIN_MAX]; /* as they were cut */
	__u32 n, joined;
};

static void join_add(struct join *join, const __u8 *at, __u32 len)
{
	__u32 n = join->n++;

	join->bytes[n] = malloc(2 * len);
	MUST(join->bytes[n]);
	memcpy(join->bytes[n], at, len);
	memcpy(join->bytes[n] + len, at, len);
	join->p[n] =
		(struct packet){.data = join->bytes[n] + len, .len = len, .family = at[0] >> 4};
}

/* The packets that follow each other as one, as the TAP gets it. */
static __u8 *join_whole(const struct join *join, const struct coalesce *c)
{
	__u8 *whole = malloc(c->len);
	__u32 at = 0;

	MUST(whole);
	for (__u32 i = 0; i < join->joined; i++) {
		__u32 skip = i ? c->head : 0, len = join->p[i].len - skip;

		MUST(join->p[i].len >= skip && at + len <= c->len);
		memcpy(whole + at, join->p[i].data + skip, len);
		at += len;
	}
	MUST(at == c->len);
	return whole;
}

static void join_must(struct join *join, struct coalesce *c)
{
	_cleanup_free_ __u8 *whole = NULL, *to = NULL;
	struct virtio_net_hdr hdr;
	struct segments s;
	struct inner inner;

	coalesce_finish(c, &join->p[join->joined - 1], L3_OFF, &hdr);
	whole = join_whole(join, c);
	MUST(!inner_parse(whole, c->len, &inner) && inner.len == c->len);
	MUST(segments_start(&hdr, L3_OFF, whole, &inner, 65535, &s) == 1);
	to = malloc(segments_longest(&s));
	MUST(to);
	for (__u32 i = 0; i < join->joined; i++) {
		MUST(segments_next(&s, to) == join->p[i].len);
		/* With DF the ID means nothing (RFC 6864), and another one comes out. */
		if (inner.family == 4 && to[6] & 0x40) {
			memcpy(to + 4, join->bytes[i] + 4, 2);
			packet_mend(to, join->p[i].len);
		}
		MUST(!memcmp(to, join->bytes[i], join->p[i].len));
	}
	MUST(!segments_next(&s, to));
}

/* Damage that the sums do not tell. */
static void damage(__u8 *at, __u32 len, __u32 off, __u8 change)
{
	struct seen seen;
	__u32 sum;

	at[off % len] ^= change;
	packet_mend(at, len);
	if (!packet_see(at, len, &seen) || seen.len < seen.l4_off + 20)
		return;
	memset(at + seen.l4_off + 16, 0, 2);
	sum = transport_sum(&seen, at, IPPROTO_TCP);
	if (sum == 0xffff)
		sum = 0; /* both fields mean the same: this one is how segment.c writes it */
	at[seen.l4_off + 16] = (__u8)(~sum >> 8);
	at[seen.l4_off + 17] = (__u8)~sum;
}

static void join_run(struct input *in)
{
	struct join join = {0};
	struct virtio_net_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4};
	__u32 len, which = take8(in) % JOIN_MAX, off;
	__u8 change = take8(in);
	struct segments s;
	struct coalesce c;
	struct inner inner;
	__u8 to[4096];

	hdr.gso_size = take16(in);
	off = take16(in);
	if (inner_parse(packet, packet_len, &inner) || inner.flags & INNER_ROUTED)
		return;
	if (inner.family == 6)
		hdr.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	if (segments_start(&hdr, L3_OFF, packet, &inner, sizeof(to), &s) != 1)
		return;
	while (join.n < JOIN_MAX && (len = segments_next(&s, to)) > 0) {
		if (join.n == which)
			damage(to, len, off, change);
		join_add(&join, to, len);
	}
	/* As the worker does: it asks only of what inner_parse() takes. */
	for (__u32 i = 0; i < join.n; i++)
		if (inner_parse(join.p[i].data, join.p[i].len, &inner) ||
		    inner.len != join.p[i].len)
			goto out;
	if (coalesce_start(&c, &join.p[0])) {
		join.joined = 1;
		while (join.joined < join.n && coalesce_add(&c, &join.p[join.joined]))
			join.joined++;
		if (join.joined > 1)
			join_must(&join, &c);
	}
out:
	for (__u32 i = 0; i < join.n; i++)
		free(join.bytes[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input head = {data, size < 12 ? size : 12},
		     in = {data + head.left, size - head.left};
	__u8 kind = take8(&head);

	packet_len = (__u32)in.left;
	packet = malloc(packet_len ? packet_len : 1);
	MUST(packet);
	take(&in, packet, packet_len);
	if (kind & 2)
		packet_mend(packet, packet_len);
	if (kind & 4)
		join_run(&head);
	else if (kind & 1)
		segments_run(&head);
	else
		fragments_run(&head);
	free(packet);
	return 0;
}
