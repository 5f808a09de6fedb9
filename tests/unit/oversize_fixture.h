/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What leaves a worker in pieces: collected frame by frame, and put together again by code of the
 * tests' own.
 */
#ifndef TESTS_UNIT_OVERSIZE_FIXTURE_H
#define TESTS_UNIT_OVERSIZE_FIXTURE_H

#include "tests/unit/pipeline_fixture.h"

#include "worker/checksum.h"

enum { MAX_SENT = 16, INNER = 14 };

static struct {
	__u8 frame[MAX_SENT][2048];
	__u32 len[MAX_SENT];
	unsigned int n;
} out;

static __u8 packet[2048], whole[4096];

/* Everything that stands in the TX ring, into `out`. */
static inline void collect(struct port *port)
{
	out.n = 0;
	while (*port->tx.consumer != *port->tx.producer) {
		const struct xdp_desc *desc =
			(struct xdp_desc *)port->tx.desc + (*port->tx.consumer % RING);

		assert_true(out.n < MAX_SENT);
		out.len[out.n] = desc->len;
		memcpy(out.frame[out.n++], t.w->frames.umem + desc->addr, desc->len);
		((__u64 *)port->comp.desc)[*port->comp.producer % RING] = desc->addr;
		++*port->comp.producer;
		++*port->tx.consumer;
	}
}

static inline __u32 at16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

/* An inner packet in its frame, payload different everywhere. */
static inline __u32 big(__u32 payload, bool df)
{
	__u32 len = inner(packet, payload, df);

	for (__u32 i = 0; i < payload; i++)
		packet[42 + i] = (__u8)(i * 13 + i / 251);
	return len;
}

/* IPv4 fragments in `out`, in any order, of one datagram: puts it together behind a header like
 * theirs in `whole`. Returns its bytes. */
static inline __u32 assemble(__u32 mtu)
{
	__u32 total = 0, seen = 0;

	memset(whole, 0, sizeof(whole));
	for (unsigned int i = 0; i < out.n; i++) {
		const __u8 *ip = out.frame[i] + 14;
		__u32 len = at16(ip + 2), frag = at16(ip + 6), off = (frag & 0x1fff) * 8;

		assert_int_equal(len + 14, out.len[i]);
		assert_true(len <= mtu);
		assert_int_equal(csum_fold(csum_add(0, ip, 20)), 0xffff);
		assert_memory_equal(ip + 4, out.frame[0] + 18, 2);
		memcpy(whole + 20 + off, ip + 20, len - 20);
		seen += len - 20;
		if (!(frag & 0x2000))
			total = off + len - 20;
	}
	assert_true(total > 0);
	assert_int_equal(seen, total);
	memcpy(whole, out.frame[0] + 14, 20);
	whole[2] = (20 + total) >> 8;
	whole[3] = (__u8)(20 + total);
	whole[6] &= 0xc0;
	whole[7] = 0;
	return 20 + total;
}

/* What is sent back into a worker that is its own peer. */
static inline void rx_all(void)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	for (unsigned int i = 0; i < out.n; i++)
		rx(&t.black, out.frame[i], out.len[i], &meta);
	go_round();
}

static inline void rx_big(__u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);

	rx(&t.red, packet, len, &meta);
	go_round();
}

/* The datagram in `whole` is the packet, forwarded `hops` times. */
static inline void assert_is_packet(__u32 len, int hops)
{
	assert_int_equal(whole[8], packet[14 + 8] - hops);
	assert_memory_equal(whole + 12, packet + 26, 8);
	assert_memory_equal(whole + 20, packet + 34, len - 34);
}

#endif
