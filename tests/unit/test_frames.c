// SPDX-License-Identifier: BSD-2-Clause
/* Who owns a frame, also after a death at any point. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/frames.h"

enum { N = 64, SIZE = 2048, SLOT_A = 3, SLOT_B = 7, NOW = 5000 };

struct fixture {
	int umem, table;
	struct frames frames;
	__u8 in_ring[N];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->umem = memfd_create("umem", 0);
	f->table = memfd_create("table", 0);
	assert_int_equal(ftruncate(f->umem, N * SIZE), 0);
	assert_int_equal(ftruncate(f->table, N), 0);
	assert_int_equal(frames_open(&f->frames, f->umem, f->table, N, SIZE), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	frames_close(&f->frames);
	close(f->umem);
	close(f->table);
	free(f);
	return 0;
}

/* The successor: same memory, new mapping. */
static __u32 reborn(struct fixture *f, __u32 slots)
{
	frames_close(&f->frames);
	assert_int_equal(frames_open(&f->frames, f->umem, f->table, N, SIZE), 0);
	return frames_adopt(&f->frames, f->in_ring, slots, NOW);
}

static void refuses_what_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct frames frames = {.n = 99};

	assert_int_equal(frames_open(&frames, f->umem, f->table, N, 1024), -EINVAL);
	assert_int_equal(frames_open(&frames, f->umem, f->table, 0, SIZE), -EINVAL);
	assert_int_equal(frames_open(&frames, f->umem, f->table, N + 1, SIZE), -EINVAL);
	assert_int_equal(frames_open(&frames, f->umem, f->table, N, 2 * SIZE), -EINVAL);
	assert_int_equal(frames_open(&frames, -1, f->table, N, SIZE), -EBADF);
	assert_int_equal(frames.n, 99);
}

static void first_worker_has_all(void **state)
{
	struct fixture *f = *state;
	__u8 seen[N] = {0};

	assert_int_equal(frames_adopt(&f->frames, f->in_ring, 1u << SLOT_A, NOW), 0);
	assert_int_equal(f->frames.n_free, N);
	assert_int_equal(frames_check(&f->frames, NULL, 0), 0);
	for (int i = 0; i < N; i++) {
		__u64 addr = frame_take(&f->frames);

		assert_int_equal(addr % SIZE, 0);
		assert_int_equal(seen[frame_number(&f->frames, addr)]++, 0);
	}
	assert_int_equal(f->frames.n_free, 0);
}

static void addresses(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(frame_base(&f->frames, 5 * SIZE + 256), 5 * SIZE);
	assert_int_equal(frame_number(&f->frames, 5 * SIZE + SIZE - 1), 5);
	assert_ptr_equal(frame_at(&f->frames, 5 * SIZE + 7), f->frames.umem + 5 * SIZE + 7);
}

/* Frames 0.. in every state a death can leave behind. */
static void successor_goes_on(void **state)
{
	struct fixture *f = *state;
	__u32 slots = 1u << SLOT_A;

	frames_adopt(&f->frames, f->in_ring, slots, NOW);
	frame_set(&f->frames, 0 * SIZE, FRAME_FILL,
		  SLOT_A);                                 /* in a fill ring, or with the kernel */
	frame_set(&f->frames, 1 * SIZE, FRAME_TX, SLOT_A); /* in a TX ring, or being sent */
	frame_set(&f->frames, 2 * SIZE, FRAME_FILL, SLOT_A); /* received, waiting in RX */
	f->in_ring[2] = SLOT_A + 1;
	f->in_ring[3] = SLOT_A + 1; /* taken from RX, death before the index moved */
	frame_set(&f->frames, 4 * SIZE, FRAME_FILL, SLOT_B); /* of a socket that is gone */
	frame_set(&f->frames, 5 * SIZE, FRAME_TX, SLOT_B);
	/* 6 and above: in the pool or in the dead worker's hands */

	assert_int_equal(reborn(f, slots), 6);
	assert_int_equal(f->frames.n_free, N - 6);
	assert_int_equal(frames_check(&f->frames, NULL, 0), 0);
	assert_int_equal(frame_owner(&f->frames, 0 * SIZE), FRAME_FILL);
	assert_int_equal(frame_owner(&f->frames, 1 * SIZE), FRAME_TX);
	assert_int_equal(frame_owner(&f->frames, 2 * SIZE), FRAME_FILL);
	assert_int_equal(frame_owner(&f->frames, 3 * SIZE), FRAME_FILL);
	assert_int_equal(frame_owner(&f->frames, 4 * SIZE), FRAME_RESTING);
	assert_int_equal(frame_owner(&f->frames, 5 * SIZE), FRAME_RESTING);
	while (f->frames.n_free)
		assert_in_range(frame_number(&f->frames, frame_take(&f->frames)), 6, N - 1);
}

static void frames_of_closed_sockets_rest(void **state)
{
	struct fixture *f = *state;

	frames_adopt(&f->frames, f->in_ring, 1u << SLOT_A | 1u << SLOT_B, NOW);
	for (int i = 0; i < 8; i++)
		frame_set(&f->frames, frame_take(&f->frames), i & 1 ? FRAME_TX : FRAME_FILL,
			  i < 4 ? SLOT_A : SLOT_B);
	frames_rest_slot(&f->frames, SLOT_A, NOW);
	assert_int_equal(f->frames.n_free, N - 8);
	frames_wake(&f->frames, NOW + FRAME_REST_MS - 1);
	assert_int_equal(f->frames.n_free, N - 8);
	frames_wake(&f->frames, NOW + FRAME_REST_MS);
	assert_int_equal(f->frames.n_free, N - 4);
	assert_int_equal(frames_check(&f->frames, NULL, 0), 0);
	/* twice is once */
	frames_wake(&f->frames, NOW + 3 * FRAME_REST_MS);
	assert_int_equal(f->frames.n_free, N - 4);
}

/* A successor lets them rest anew: it does not know since when. */
static void rest_survives_death(void **state)
{
	struct fixture *f = *state;

	frames_adopt(&f->frames, f->in_ring, 1u << SLOT_A, NOW);
	frame_set(&f->frames, frame_take(&f->frames), FRAME_FILL, SLOT_A);
	frames_rest_slot(&f->frames, SLOT_A, 0);
	assert_int_equal(reborn(f, 1u << SLOT_A), 1);
	frames_wake(&f->frames, NOW + FRAME_REST_MS - 1);
	assert_int_equal(f->frames.n_free, N - 1);
	frames_wake(&f->frames, NOW + FRAME_REST_MS);
	assert_int_equal(f->frames.n_free, N);
}

static void checker_sees_lies(void **state)
{
	struct fixture *f = *state;
	__u64 held[2];

	frames_adopt(&f->frames, f->in_ring, 1u << SLOT_A, NOW);
	held[0] = frame_take(&f->frames);
	held[1] = held[0] + 256; /* the same frame */
	assert_int_equal(frames_check(&f->frames, held, 1), 0);
	assert_int_equal(frames_check(&f->frames, NULL, 0), -EIO); /* nowhere */
	assert_int_equal(frames_check(&f->frames, held, 2), -EIO); /* twice */
	frame_set(&f->frames, held[0], FRAME_TX, SLOT_A);
	assert_int_equal(frames_check(&f->frames, held, 1), -EIO); /* given away and held */
	assert_int_equal(frames_check(&f->frames, NULL, 0), 0);
	held[0] = (__u64)N * SIZE;
	assert_int_equal(frames_check(&f->frames, held, 1), -EIO); /* outside */
}

/* A worker's own: each once, apart from the others, and back to where they came from. */
static void jumbo_frames(void **state)
{
	struct fixture *f = *state;
	__u8 seen[JUMBOS] = {0};
	__u64 addr[JUMBOS], frame;

	frames_adopt(&f->frames, f->in_ring, 1u << SLOT_A, NOW);
	frame = frame_take(&f->frames);
	assert_false(frame_is_jumbo(&f->frames, frame + SIZE - 1));
	assert_int_equal(frame_bytes(&f->frames, frame), SIZE);
	for (__u32 i = 0; i < JUMBOS; i++) {
		addr[i] = jumbo_take(&f->frames);
		assert_true(addr[i] >= N * SIZE && (addr[i] - N * SIZE) % FRAME_JUMBO == 0);
		assert_int_equal(seen[jumbo_number(&f->frames, addr[i])]++, 0);
		assert_int_equal(frame_base(&f->frames, addr[i] + 256), addr[i]);
		assert_true(frame_is_jumbo(&f->frames, addr[i]));
		assert_int_equal(frame_bytes(&f->frames, addr[i]), FRAME_JUMBO);
		memset(frame_at(&f->frames, addr[i]), (int)i, FRAME_JUMBO);
	}
	assert_int_equal(f->frames.n_jumbos, 0);
	assert_int_equal(*frame_at(&f->frames, addr[7]), 7);
	assert_int_equal(*frame_at(&f->frames, addr[7] + FRAME_JUMBO - 1), 7);
	frame_free(&f->frames, frame);
	assert_int_equal(f->frames.n_free, N);
	for (__u32 i = 1; i < JUMBOS; i++)
		frame_free(&f->frames, addr[i]);
	assert_int_equal(f->frames.n_free, N);
	assert_int_equal(f->frames.n_jumbos, JUMBOS - 1);
	/* one is missing, held, or there twice */
	assert_int_equal(frames_check(&f->frames, NULL, 0), -EIO);
	assert_int_equal(frames_check(&f->frames, &addr[0], 1), 0);
	assert_int_equal(frames_check(&f->frames, &addr[1], 1), -EIO);
	frame = f->frames.end + (__u64)JUMBOS * FRAME_JUMBO;
	assert_int_equal(frames_check(&f->frames, &frame, 1), -EIO);
	/* with the worker go its jumbo frames: the next one has them all */
	reborn(f, 1u << SLOT_A);
	assert_int_equal(f->frames.n_jumbos, JUMBOS);
	assert_int_equal(*frame_at(&f->frames, addr[7]), 0);
	assert_int_equal(frames_check(&f->frames, NULL, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(refuses_what_does_not_fit, setup, teardown),
		cmocka_unit_test_setup_teardown(first_worker_has_all, setup, teardown),
		cmocka_unit_test_setup_teardown(addresses, setup, teardown),
		cmocka_unit_test_setup_teardown(successor_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(frames_of_closed_sockets_rest, setup, teardown),
		cmocka_unit_test_setup_teardown(rest_survives_death, setup, teardown),
		cmocka_unit_test_setup_teardown(checker_sees_lies, setup, teardown),
		cmocka_unit_test_setup_teardown(jumbo_frames, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
