/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the programs tell the worker about a frame: the look-ups were made once, in the program.
 *
 * It stands in the metadata area right before the frame (XDP). Frames wait in rings while SAs and
 * policies come and go, so the worker checks magic, ABI, bounds and both generations first.
 */
#ifndef XIPSEC_META_H
#define XIPSEC_META_H

#include <linux/types.h>

#define XIPSEC_META_MAGIC 0x78697073 /* "xips" */

struct xipsec_meta {
	__u32 magic;
	__u16 abi;
	__u8 dir;    /* XIPSEC_DIR_OUT: to be sealed, XIPSEC_DIR_IN: to be opened */
	__u8 l3_off; /* of the (outer) IP header from the start of the frame, bytes */
	__u32 sa_index;
	__u32 sa_generation;
	__u32 spd_generation;
	__u16 l4_off; /* IN: of the ESP header; OUT: of the transport header, 0 if hidden. Bytes
			 from the start */
	__u16 reason; /* enum xipsec_reason, a STEER one */
	__u8 family;  /* of the (outer) IP header */
	__u8 l4_proto;
	__u16 pad;
	__u32 pad2;
};

/*
 * The same for this host's own packets, which go through a TAP: metadata does not live through
 * that, the 12 bytes of the MAC addresses do. The mark in sa_index is no index of any SA (they end
 * at 2^20), nor is it in what the TAP's own MAC would read as.
 */
#define XIPSEC_TAP_MARK      0x7ab00000
#define XIPSEC_TAP_MARK_MASK 0xfff00000

struct xipsec_tap_meta {
	__u32 sa_index; /* | XIPSEC_TAP_MARK */
	__u32 sa_generation;
	__u32 spd_generation;
};

/* What XDP leaves before a frame that it lets pass to the stack, for the TC program behind it
 * (bpf/behind.h): the random number of the map pass_key. All zero: none. */
struct xipsec_passed {
	__u32 word[2];
};

/* The same before a frame that kernel XFRM is to seal: TC gives the skb this mark. */
struct xipsec_passed_xfrm {
	struct xipsec_passed passed;
	__u32 mark; /* XIPSEC_MARK_XFRM | child */
};

_Static_assert(sizeof(struct xipsec_passed_xfrm) == 12, "metadata comes in steps of 4");
_Static_assert(sizeof(struct xipsec_passed) == 8, "metadata comes in steps of 4");
_Static_assert(sizeof(struct xipsec_tap_meta) == 12, "two MAC addresses");
_Static_assert(sizeof(struct xipsec_meta) == 32, "metadata holds at most 32 bytes, in steps of 4");

#endif
