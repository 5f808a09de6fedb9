/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the fuzz targets share: bytes of the input one by one, frames between pages that nobody may
 * touch, SAs made of the input.
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

/* The family of what the SA makes: in transport mode it takes no other. */
static inline __u8 ends_family(const struct ends *ends)
{
	return ends->shape & SHAPE_IP6 ? 6 : 4;
}

/* The number that the window of `ends->in` starts with. replay.c compares turns of its ring as
 * serial numbers: a window whose words are still those of number 0 is good for 2^45 of them. */
#define SEQ_RING (1ULL << 45)
__u64 window_start(struct ends *ends, struct input *in);

#endif
