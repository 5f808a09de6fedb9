/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share: bytes of the input one by one, frames between pages that nobody may
 * touch, SAs made of the input, and a second opinion on packets that shares no code with worker/.
 */
#ifndef TESTS_FUZZ_HARNESS_H
#define TESTS_FUZZ_HARNESS_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/alg.h"
#include "lib/cleanup.h"
#include "worker/packet.h"
#include "worker/sa.h"

#define FRAME_MAX  4096
#define FRAMES     8 /* of one input */
#define GENERATION 7
#define INDEX      3

/* A promise that does not hold is a crash, which the fuzzer keeps the input of. */
#define MUST(cond)                                                                                \
	do {                                                                                      \
		if (!(cond)) {                                                                    \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
			abort();                                                                  \
		}                                                                                 \
	} while (0)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The same for a packet's end. */
#define MUST_END(p, expected)                                        \
	do {                                                         \
		if ((p)->reason != (expected))                       \
			fprintf(stderr, "reason %u\n", (p)->reason); \
		MUST((p)->reason == (expected));                     \
	} while (0)

/* ---------------------------------------------------------------- the input */

/* Past the end everything is 0. */
struct input {
	const __u8 *at;
	size_t left;
};

static inline __u8 take8(struct input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->at++;
}

static inline __u16 take16(struct input *in)
{
	__u16 hi = take8(in);

	return (__u16)(hi << 8 | take8(in));
}

static inline __u64 take64(struct input *in)
{
	__u64 value = 0;

	for (int i = 0; i < 8; i++)
		value = value << 8 | take8(in);
	return value;
}

/* At most `max` bytes to `to`; how many there were. */
static inline __u32 take(struct input *in, __u8 *to, __u32 max)
{
	__u32 n = in->left < max ? (__u32)in->left : max;

	memcpy(to, in->at, n);
	in->at += n;
	in->left -= n;
	return n;
}

/* ---------------------------------------------------------------- frames */

/* Frame `n` of `size` bytes, at most FRAME_MAX, filled with 0xee. The page behind it is closed, for
 * libraries in assembler too, which ASan does not see; that in front too where `size` is a page. */
__u8 *frame_get(unsigned int n, __u32 size);

/* A packet of `len` bytes at `headroom`. */
static inline struct packet packet_in(__u8 *frame, __u32 size, __u32 headroom, __u32 len)
{
	return (struct packet){
		.data = frame + headroom,
		.len = len,
		.headroom = headroom,
		.tailroom = size - headroom - len,
	};
}

/* Headroom, packet and tailroom are still the whole frame. */
static inline void packet_must_fit(const struct packet *p, const __u8 *frame, __u32 size)
{
	MUST(p->headroom <= size && p->len <= size && p->tailroom <= size);
	MUST(p->headroom + p->len + p->tailroom == size);
	MUST(p->data == frame + p->headroom);
}

/* ---------------------------------------------------------------- SAs */

#define SHAPE_TRANSPORT 1
#define SHAPE_UDP       2
#define SHAPE_ESN       4
#define SHAPE_IP6       8   /* outside */
#define SHAPE_OTHER     16  /* the peer uses the other backend */
#define SHAPE_OPENSSL   32  /* else libipsec-mb, where it can */
#define SHAPE_NARROW    64  /* selectors that not everything matches */
#define SHAPE_MANY      128 /* so many selectors that answers are remembered */

/* Two ends of one SA, with states of their own. */
struct ends {
	struct xipsec_sa config;
	__u8 shape; /* SHAPE_* */
	struct sa *out, *in;
	struct xipsec_sa_state out_state, in_state;
};

/* Of l4_proto `proto`, from the first bytes of an input: algorithm, shape, window. Ends the process
 * if the SA cannot be made. */
void ends_open(struct ends *ends, struct input *in, __u8 proto);
void ends_close(struct ends *ends);

/* The number that the window of `ends->in` starts with. replay.c compares turns of its ring as
 * serial numbers: a window whose words are still those of number 0 is good for 2^45 of them. */
#define SEQ_RING (1ULL << 45)
__u64 window_start(struct ends *ends, struct input *in);

/* ---------------------------------------------------------------- a second opinion */

/* What can be seen of a packet, by a parser of the harness's own. */
struct seen {
	__u32 len;    /* by its header */
	__u32 l4_off; /* behind all IPv6 extension headers, or behind the fragment header */
	__u8 family, tos, ttl, proto;
	__u8 later;         /* a fragment that is not the first */
	__u8 fragment;      /* any fragment */
	__u8 odd;           /* IPv6: extension headers that are too many, or out of place */
	__u32 id, from, to; /* of a fragment: the datagram, and which bytes of it these are */
	const __u8 *src, *dst;
	__u32 addr_len;
};

/* 0: this is no IP packet within `len` bytes. */
int packet_see(const __u8 *data, __u32 len, struct seen *seen);

/* Whether packet_see() takes it and it may be carried: a transport header that is to be seen is
 * whole, IPv6 headers are few and in their place, a fragment ends within the longest packet. */
int packet_sound(const __u8 *data, __u32 len, struct seen *seen);

/* Does the IPv4 header's checksum fit? Always, for IPv6. */
int packet_sum_fits(const __u8 *data);

/* RFC 1071, byte by byte, of `len` bytes and an earlier sum. Not folded. */
__u32 sum_bytes(__u32 sum, const __u8 *at, __u32 len);

/* Folded: 0xffff where the checksum in the bytes is right. */
__u16 sum_fold(__u32 sum);

/* The sum of what stands behind the IP headers with its pseudo-header. */
__u16 transport_sum(const struct seen *seen, const __u8 *data, __u8 proto);

/* Whether it is no ICMP error, or one that goes to the sender of a packet that it quotes. */
int quote_allows(const struct seen *seen, const __u8 *data);

/* What an SA carried, in packets as they were before they were sealed. */
#define INSIDE_MAX 4096
struct inside {
	__u8 data[INSIDE_MAX];
	__u32 len;
	__u8 sum_new; /* its transport checksum is to be made anew */
};

/* Of the text that was sealed, in transport mode behind the `front_len` bytes in front of ESP or AH
 * as they came. 0: those do not lead to it, so the programs let none such through. */
int inside_make(const struct ends *ends, struct inside *inside, const __u8 *front, __u32 front_len,
		const __u8 *text, __u32 text_len, __u8 next);

/* What is to become of it, OPENED or why not, asked once of each that was authentic and in their
 * order: a later fragment is allowed as its datagram's head was. */
enum xipsec_reason inside_judge(const struct ends *ends, const struct inside *inside, __u8 next,
				__u8 outer_tos);

/* `p` ended as it `deserved` (UNSPEC: that cannot be said); what was opened is just what is inside,
 * but for ECN and checksums. */
void inside_must(const struct ends *ends, const struct inside *inside, const struct packet *p,
		 __u8 outer_tos, enum xipsec_reason deserved);

/* Makes the lengths in an IP header fit `len` bytes, and the IPv4 checksum: mutations of what
 * stands behind it need not find these by chance. */
void packet_mend(__u8 *data, __u32 len);

#endif
