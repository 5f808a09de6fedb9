/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * AF_XDP sockets as the parent of the workers has them: it makes them, lends them, and keeps them
 * open, so that a worker's death loses neither socket nor frame. The parent never touches a ring.
 *
 * The kernel's interface is used directly: libxdp's helper binds every shared socket to the one
 * that registered the memory, which dies with its device, while any bound socket serves as well.
 */
#ifndef LOADER_XSK_H
#define LOADER_XSK_H

#include <stdbool.h>
#include <stddef.h>
#include "xipsec/ctl.h"

#define XSK_RING_SIZE 2048 /* descriptors in each of the four rings */

/* The memory of one worker's packets, and the table that says who owns which frame. */
struct xsk_umem {
	int memory; /* memfd, -1: none */
	int table;  /* memfd, a byte a frame */
	__u32 frame_size;
	__u32 n_frames;
};

struct xsk {
	int fd; /* -1: none */
	bool bound;
	bool owner; /* registered the memory for itself */
	bool zerocopy;
	struct ctl_ring rx, tx, fill, comp;
	__u64 drops; /* counted so far */
};

/* 0 or -errno; ended by xsk_umem_free(). Both memfds are sealed against a change of size: a worker
 * cannot pull them away under its parent. */
int xsk_umem_new(__u32 frame_size, __u32 n_frames, struct xsk_umem *out);
void xsk_umem_free(struct xsk_umem *umem);

/* Makes a socket with its four rings, bound to nothing: only so can another process map them on
 * every kernel. 0 or -errno; *out untouched on failure. */
int xsk_new(struct xsk *out);

/* Binds it to a queue. `shared` is any bound socket of the same umem, or -1: then this one
 * registers the memory. `copy` forces copy mode. With `multi` it takes packets in several frames,
 * if the one that registered the memory does (Linux 6.6). 0 or -errno, and it may be tried again;
 * -EBUSY: another has the queue, or its last owner has just left it and the kernel has not noticed
 * (about 0.1 s). */
int xsk_bind(struct xsk *xsk, const struct xsk_umem *umem, int shared, unsigned int ifindex,
	     __u32 queue, bool copy, bool multi);

/* Whether a second process can still map the rings of a bound socket: since Linux 6.4 ("xsk: allow
 * remap of fill and/or completion rings"). Tried for real on a socket that is bound. */
bool xsk_can_remap(const struct xsk *xsk);

void xsk_close(struct xsk *xsk);

/* Packets that the kernel dropped at this socket since the last call: ring full, no frame. */
__u64 xsk_new_drops(struct xsk *xsk);

#endif
