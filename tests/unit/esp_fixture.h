/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the tests of the ESP steps share: packets in frames like the worker's, and SAs on states of
 * their own.
 */
#ifndef TESTS_UNIT_ESP_FIXTURE_H
#define TESTS_UNIT_ESP_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>
#include <netinet/in.h>
#include <cmocka.h>

#include "worker/checksum.h"
#include "worker/packet.h"
#include "lib/alg.h"
#include "worker/sa.h"

#define HEADROOM   256
#define FRAME_SIZE 4096
#define GENERATION 7
#define PATH_MTU   3400

struct frame {
	struct packet p;
	__u8 bytes[FRAME_SIZE];
};

/* The packet ends at the frame's end but for `tailroom`. */
static inline struct packet *frame_load(struct frame *frame, const __u8 *data, __u32 len)
{
	memset(frame, 0xee, sizeof(*frame));
	frame->p = (struct packet){
		.data = frame->bytes + HEADROOM,
		.len = len,
		.headroom = HEADROOM,
		.tailroom = FRAME_SIZE - HEADROOM - len,
		.family = data[0] >> 4,
	};
	memcpy(frame->p.data, data, len);
	return &frame->p;
}

static inline void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static inline __u16 get16(const __u8 *at)
{
	return (__u16)(at[0] << 8 | at[1]);
}

static inline void ip4_check(__u8 *ip)
{
	__u16 check;

	put16(ip + 10, 0);
	check = (__u16)~csum_fold(csum_add(0, ip, (ip[0] & 0xf) * 4));
	memcpy(ip + 10, &check, 2);
}

/* An IP header over what stands behind it: `l4_len` bytes of `proto`. Returns the header's length.
 */
static inline __u32 ip_write(__u8 *ip, int family, __u8 proto, __u32 l4_len)
{
	memset(ip, 0, family == 4 ? 20 : 40);
	if (family == 4) {
		ip[0] = 0x45;
		put16(ip + 2, 20 + l4_len);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, "\x0a\x01\x00\x05\x0a\x02\x00\x09", 8);
		ip4_check(ip);
		return 20;
	}
	ip[0] = 0x60;
	put16(ip + 4, l4_len);
	ip[6] = proto;
	ip[7] = 64;
	memcpy(ip + 8, "\xfd\0\0\1\0\0\0\0\0\0\0\0\0\0\0\5", 16);
	memcpy(ip + 24, "\xfd\0\0\2\0\0\0\0\0\0\0\0\0\0\0\x09", 16);
	return 40;
}

/* Folded sum of the pseudo-header: what Linux leaves in the field for hardware to complete. */
static inline __u16 pseudo_fold(const __u8 *ip, int family, __u8 proto, __u32 l4_len)
{
	__u64 sum = (__u64)htons((__u16)l4_len) + htons(proto);

	return csum_fold(family == 4 ? csum_add(sum, ip + 12, 8) : csum_add(sum, ip + 8, 32));
}

/* A right checksum at `check` bytes into the transport header. */
static inline void l4_check(__u8 *ip, int family, __u8 proto, __u32 l4_len, __u32 check)
{
	__u8 *l4 = ip + (family == 4 ? 20 : 40);
	__u16 field;

	put16(l4 + check, 0);
	field = (__u16)~csum_fold(csum_add(pseudo_fold(ip, family, proto, l4_len), l4, l4_len));
	memcpy(l4 + check, &field, 2);
}

/* UDP from port 4000 to 5000 with `payload` bytes, checksum complete. Returns the packet's bytes.
 */
static inline __u32 udp_write(__u8 *ip, int family, __u32 payload)
{
	__u32 off = ip_write(ip, family, IPPROTO_UDP, 8 + payload);
	__u8 *udp = ip + off;

	put16(udp, 4000);
	put16(udp + 2, 5000);
	put16(udp + 4, 8 + payload);
	for (__u32 i = 0; i < payload; i++)
		udp[8 + i] = (__u8)(i * 7 + 1);
	l4_check(ip, family, IPPROTO_UDP, 8 + payload, 6);
	return off + 8 + payload;
}

/* udp_write() with `ext_len` bytes of options or extension headers between the IP header and UDP;
 * `first`: what the IPv6 header says follows. */
static inline __u32 udp_with_ext(__u8 *ip, int family, __u32 payload, const __u8 *ext,
				 __u32 ext_len, __u8 first)
{
	__u32 len = udp_write(ip, family, payload), base = family == 4 ? 20 : 40;

	memmove(ip + base + ext_len, ip + base, len - base);
	memcpy(ip + base, ext, ext_len);
	if (family == 4) {
		ip[0] = (__u8)(0x45 + ext_len / 4);
		put16(ip + 2, len + ext_len);
		ip4_check(ip);
	} else {
		if (ext_len)
			ip[6] = first;
		put16(ip + 4, len + ext_len - 40);
	}
	return len + ext_len;
}

static inline struct xipsec_selector any_selector(void)
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

static inline struct xipsec_sa sa_config(enum xipsec_alg alg, int outer_family, int esn, __u8 dir)
{
	struct xipsec_sa sa = {
		.name = "test",
		.spi = htonl(0x1001),
		.outer_family = (__u8)outer_family,
		.l4_proto = IPPROTO_ESP,
		.dir = dir,
		.mode = XIPSEC_MODE_TUNNEL,
		.alg = (__u8)alg,
		.flags = esn ? XIPSEC_SA_ESN : 0,
		.window = 1024,
		.n_selectors = 1,
		.key_len = alg_key_len(alg),
	};
	const __u8 ip6[2][16] = {{0x20, 0x01, 0x0d, 0xb8, [15] = 1},
				 {0x20, 0x01, 0x0d, 0xb8, [15] = 2}};

	for (__u32 i = 0; i < sa.key_len; i++)
		sa.key[i] = (__u8)(0x40 + i);
	sa.selector[0] = any_selector();
	if (outer_family == 4) {
		sa.src.word[0] = htonl(0xc0000201);
		sa.dst.word[0] = htonl(0xc0000202);
	} else {
		memcpy(sa.src.byte, ip6[0], 16);
		memcpy(sa.dst.byte, ip6[1], 16);
	}
	return sa;
}

static inline void state_reset(struct xipsec_sa_state *state)
{
	memset(state, 0, sizeof(*state));
	state->generation = GENERATION;
	state->status = XIPSEC_SA_LIVE;
	state->seq_limit = ~0ULL;
}

static inline struct sa *sa_make(const struct xipsec_sa *config, struct xipsec_sa_state *state,
				 enum xipsec_backend backend)
{
	struct sa *sa;
	int err;

	state_reset(state);
	sa = sa_new(config, 3, GENERATION, state, backend, &err);
	assert_non_null(sa);
	return sa;
}

#endif
