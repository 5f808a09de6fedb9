// SPDX-License-Identifier: BSD-2-Clause
#include "worker/frames.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "lib/cleanup.h"
#include "lib/log.h"

#define FRAMES_MAX (1u << 22)

/* A mapping beyond the end of a memfd is a SIGBUS at first touch: measure before. `at`: where,
 * whatever is mapped there; NULL: anywhere. */
static int map_shared(int fd, size_t size, __u8 *at, __u8 **out)
{
	struct stat st;
	void *p;

	if (fstat(fd, &st))
		return -errno;
	if ((size_t)st.st_size < size)
		return -EINVAL;
	p = mmap(at, size, PROT_READ | PROT_WRITE, MAP_SHARED | (at ? MAP_FIXED : 0), fd, 0);
	if (p == MAP_FAILED)
		return -errno;
	/* Frames hold other people's packets in the clear. */
	madvise(p, size, MADV_DONTDUMP);
	*out = p;
	return 0;
}

/* The UMEM, and behind it the jumbo frames, in one range of addresses. */
static int map_frames(int fd, size_t size, __u8 **out)
{
	size_t all = size + (size_t)JUMBOS * FRAME_JUMBO;
	__u8 *at = mmap(NULL, all, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int err;

	if (at == MAP_FAILED)
		return -errno;
	madvise(at, all, MADV_DONTDUMP);
	err = map_shared(fd, size, at, out);
	if (err)
		munmap(at, all);
	return err;
}

int frames_open(struct frames *frames, int umem_fd, int table_fd, __u32 n, __u32 size)
{
	_cleanup_free_ __u32 *stack = NULL;
	__u8 *umem, *table;
	int err;

	if ((size != 2048 && size != 4096) || !n || n > FRAMES_MAX)
		return -EINVAL;
	stack = calloc(n, sizeof(*stack));
	if (!stack)
		return -ENOMEM;
	err = map_frames(umem_fd, (size_t)n * size, &umem);
	if (err)
		return err;
	err = map_shared(table_fd, n, NULL, &table);
	if (err) {
		munmap(umem, (size_t)n * size + (size_t)JUMBOS * FRAME_JUMBO);
		return err;
	}
	*frames = (struct frames){
		.umem = umem,
		.table = table,
		.n = n,
		.size = size,
		.shift = __builtin_ctz(size),
		.free = take_ptr(stack),
		.end = (__u64)n * size,
		.n_jumbos = JUMBOS,
	};
	for (__u32 i = 0; i < JUMBOS; i++)
		frames->jumbo[i] = (__u16)(JUMBOS - 1 - i);
	return 0;
}

void frames_close(struct frames *frames)
{
	if (!frames->umem)
		return;
	munmap(frames->umem, frames->end + (size_t)JUMBOS * FRAME_JUMBO);
	munmap(frames->table, frames->n);
	free(frames->free);
	*frames = (struct frames){0};
}

__u32 frames_adopt(struct frames *frames, const __u8 *in_ring, __u32 slots, __u64 now)
{
	__u32 away = 0;

	frames->n_free = 0;
	/* Downwards, so that the stack gives out the lowest first. */
	for (__u32 i = frames->n; i-- > 0;) {
		enum frame_owner owner = frames->table[i] & FRAME_OWNER_MASK;
		__u32 slot = frames->table[i] >> FRAME_SLOT_SHIFT;
		__u64 addr = (__u64)i << frames->shift;

		if (in_ring[i]) {
			/* Perhaps it says WORKER already: death came before the index moved. */
			if (owner == FRAME_WORKER)
				frame_set(frames, addr, FRAME_FILL, in_ring[i] - 1);
			away++;
			continue;
		}
		if (owner == FRAME_RESTING ||
		    (owner != FRAME_WORKER && !(slots & 1u << (slot & 31)))) {
			frame_set(frames, addr, FRAME_RESTING, slot);
			frames->rest_until = now + FRAME_REST_MS;
		}
		if (owner != FRAME_WORKER) {
			away++;
			continue;
		}
		frame_set(frames, addr, FRAME_WORKER, 0);
		frame_free(frames, addr);
	}
	return away;
}

void frames_rest_slot(struct frames *frames, __u32 slot, __u64 now)
{
	for (__u32 i = 0; i < frames->n; i++) {
		enum frame_owner owner = frames->table[i] & FRAME_OWNER_MASK;

		if (owner == FRAME_WORKER || frames->table[i] >> FRAME_SLOT_SHIFT != (int)slot)
			continue;
		frame_set(frames, (__u64)i << frames->shift, FRAME_RESTING, slot);
		frames->rest_until = now + FRAME_REST_MS;
	}
}

void frames_wake(struct frames *frames, __u64 now)
{
	if (!frames->rest_until || now < frames->rest_until)
		return;
	frames->rest_until = 0;
	for (__u32 i = 0; i < frames->n; i++) {
		__u64 addr = (__u64)i << frames->shift;

		if (frame_owner(frames, addr) != FRAME_RESTING)
			continue;
		frame_set(frames, addr, FRAME_WORKER, 0);
		frame_free(frames, addr);
	}
}

/* Jumbo frames are numbered after the others. */
static __u32 number_of(const struct frames *frames, __u64 addr)
{
	return frame_is_jumbo(frames, addr) ? frames->n + jumbo_number(frames, addr)
					    : frame_number(frames, addr);
}

static int mark_once(__u8 *seen, const struct frames *frames, __u32 frame, const char *where)
{
	if (frame >= frames->n + JUMBOS) {
		log_error("frame %u of %s is outside the UMEM", frame, where);
		return -EIO;
	}
	if (seen[frame]++) {
		log_error("frame %u of %s has two owners", frame, where);
		return -EIO;
	}
	if (frame < frames->n && frames->table[frame] & FRAME_OWNER_MASK) {
		log_error("frame %u of %s is given away by the table", frame, where);
		return -EIO;
	}
	return 0;
}

int frames_check(const struct frames *frames, const __u64 *held, size_t n_held)
{
	_cleanup_free_ __u8 *seen = calloc(frames->n + JUMBOS, 1);
	int err = 0;

	if (!seen)
		return -ENOMEM;
	for (__u32 i = 0; i < frames->n_free && !err; i++)
		err = mark_once(seen, frames, frames->free[i], "the pool");
	for (__u32 i = 0; i < frames->n_jumbos && !err; i++)
		err = mark_once(seen, frames, frames->n + frames->jumbo[i], "the pool");
	for (size_t i = 0; i < n_held && !err; i++)
		err = mark_once(seen, frames, number_of(frames, held[i]), "the hand");
	for (__u32 i = 0; i < frames->n + JUMBOS && !err; i++) {
		if (!seen[i] && (i >= frames->n || !(frames->table[i] & FRAME_OWNER_MASK))) {
			log_error("frame %u is nowhere", i);
			err = -EIO;
		}
	}
	return err;
}
