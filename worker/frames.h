/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The frames of a worker's UMEM and who has each of them.
 *
 * The frame table is shared memory that outlives the worker: one byte a frame, its owner in the low
 * two bits and the slot of the interface in the bits above. It is written in such an order that a
 * death at any point leaves every frame either findable or lost, never with two owners:
 *	giving	table says FILL or TX, then the ring's producer index moves
 *	taking	table says WORKER, then the ring's consumer index moves
 * So a frame that says WORKER and stands in no RX or completion ring is free for the next worker.
 * One that says FILL or TX comes back by itself through those rings, unless death struck between
 * the two steps of giving: those are lost, at most one burst a death.
 *
 * Beside them a worker has jumbo frames: memory of its own, for packets that no frame holds. Their
 * addresses follow those of the UMEM, so that who only holds a packet need not ask which it lies
 * in; no ring ever sees one, and they die with the worker.
 */
#ifndef WORKER_FRAMES_H
#define WORKER_FRAMES_H

#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>

enum frame_owner {
	FRAME_WORKER = 0,
	FRAME_FILL = 1,
	FRAME_TX = 2,
	/* Was with a socket that is closed. A kernel or a device that has not noticed yet may
	 * still use it: it rests for FRAME_REST_MS before it is ours again. */
	FRAME_RESTING = 3,
};

#define FRAME_REST_MS 10000

#define FRAME_LEAD  256u   /* bytes of a frame before a packet, as XDP leaves them */
#define FRAME_JUMBO 16384u /* bytes of a jumbo frame */
#define JUMBOS      256u   /* how many there are; memory is spent on those in use */

#define FRAME_OWNER_MASK 3
#define FRAME_SLOT_SHIFT 2

struct frames {
	__u8 *umem;
	__u8 *table;
	__u32 n;
	__u32 size; /* bytes of a frame, a power of two */
	__u32 shift;
	__u32 n_free;
	__u32 *free;         /* numbers of free frames, a stack: the warmest is used first */
	__u64 rest_until;    /* ms; 0: no frame rests */
	__u64 end;           /* of the UMEM: jumbo frames begin here */
	__u32 n_jumbos;      /* free */
	__u16 jumbo[JUMBOS]; /* their numbers, a stack */
	bool multi;          /* sockets take packets in several frames */
};

/* Maps UMEM and table (both memfds, at least n * size and n bytes). Nothing is free before
 * frames_adopt(). 0 or -errno; *frames is untouched on failure. */
int frames_open(struct frames *frames, int umem_fd, int table_fd, __u32 n, __u32 size);
void frames_close(struct frames *frames);

/* Fills the pool of a worker that starts. `in_ring`: a byte a frame, the frame's slot + 1 if it
 * stands in an RX or completion ring now, else 0; `slots`: bit s is set when a socket of slot s
 * exists. Frames given to sockets that exist no more are laid to rest. Returns how many are not
 * in the pool. `now` in ms. */
__u32 frames_adopt(struct frames *frames, const __u8 *in_ring, __u32 slots, __u64 now);

/* The sockets of a slot are closed: what was given to them rests. */
void frames_rest_slot(struct frames *frames, __u32 slot, __u64 now);

/* Takes back what has rested long enough. Cheap when there is nothing. */
void frames_wake(struct frames *frames, __u64 now);

static inline __u32 frame_number(const struct frames *frames, __u64 addr)
{
	return addr >> frames->shift;
}

static inline __u8 *frame_at(const struct frames *frames, __u64 addr)
{
	return frames->umem + addr;
}

/* Fetches a line that will be written. (The compiler's own makes it a fetch for reading, after
 * which the first store asks the other core again.) Any address will do. */
static inline void prefetch_write(const void *at)
{
#ifdef __x86_64__
	asm volatile("prefetchw %0" ::"m"(*(const char *)at));
#else
	__builtin_prefetch(at, 1);
#endif
}

/* First byte of the frame that addr points into. */
static inline __u64 frame_base(const struct frames *frames, __u64 addr)
{
	return addr & ~(__u64)(frames->size - 1);
}

/* Takes a free frame's address. Only with n_free > 0. */
static inline __u64 frame_take(struct frames *frames)
{
	return (__u64)frames->free[--frames->n_free] << frames->shift;
}

static inline bool frame_is_jumbo(const struct frames *frames, __u64 addr)
{
	return __builtin_expect(addr >= frames->end, 0);
}

/* Bytes of the frame, whichever kind. */
static inline __u32 frame_bytes(const struct frames *frames, __u64 addr)
{
	return frame_is_jumbo(frames, addr) ? FRAME_JUMBO : frames->size;
}

/* Only with n_jumbos > 0. */
static inline __u64 jumbo_take(struct frames *frames)
{
	return frames->end + (__u64)frames->jumbo[--frames->n_jumbos] * FRAME_JUMBO;
}

static inline __u32 jumbo_number(const struct frames *frames, __u64 addr)
{
	return (__u32)((addr - frames->end) / FRAME_JUMBO);
}

static inline void frame_free(struct frames *frames, __u64 addr)
{
	if (frame_is_jumbo(frames, addr)) {
		frames->jumbo[frames->n_jumbos++] = (__u16)jumbo_number(frames, addr);
		return;
	}
	frames->free[frames->n_free++] = frame_number(frames, addr);
}

/* The table's word must be in memory before the ring's index is: the ring's release store orders
 * it. */
static inline void frame_set(struct frames *frames, __u64 addr, enum frame_owner owner, __u32 slot)
{
	__atomic_store_n(&frames->table[frame_number(frames, addr)],
			 owner | (owner ? slot << FRAME_SLOT_SHIFT : 0), __ATOMIC_RELAXED);
}

static inline enum frame_owner frame_owner(const struct frames *frames, __u64 addr)
{
	return __atomic_load_n(&frames->table[frame_number(frames, addr)], __ATOMIC_RELAXED) &
	       FRAME_OWNER_MASK;
}

/* The invariant: every frame is in its pool, in `held` (addresses in the worker's hands), or given
 * away, and only once. 0, or -EIO after a log line that names the frame. For tests and debugging;
 * costs a pass over all frames. */
int frames_check(const struct frames *frames, const __u64 *held, size_t n_held);

#endif
