// SPDX-License-Identifier: BSD-2-Clause
/*
 * Every way to sum, beside a sum made byte by byte: all lengths of what a frame can hold, from and
 * up to every place in a line of the cache, between pages that cannot be read.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <unistd.h>

#include "worker/checksum.h"

#define LEN_MAX 9100u
#define LINE    64u
#define ROOM    12288u /* whole pages, more than LEN_MAX and LINE */
#define CLOSED  4096u

static __u8 *room; /* ROOM bytes between two closed pages */

static void room_make(void)
{
	__u8 *map = mmap(NULL, ROOM + 2 * CLOSED, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(map, MAP_FAILED);
	assert_int_equal(sysconf(_SC_PAGESIZE), CLOSED);
	room = map + CLOSED;
	assert_int_equal(mprotect(room, ROOM, PROT_READ | PROT_WRITE), 0);
}

static void room_free(void)
{
	assert_int_equal(munmap(room - CLOSED, ROOM + 2 * CLOSED), 0);
}

/* RFC 1071's own words: pairs of bytes as numbers in network order, carries back in. A sum is 0
 * only where all is 0. */
static __u16 plain_fold(__u64 sum)
{
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)sum;
}

static void fill_random(void)
{
	srand(1);
	for (__u32 i = 0; i < ROOM; i++)
		room[i] = (__u8)(rand() >> 8);
}

static __u64 n_sums;

static void compare(const struct csum_way *way, const __u8 *data, __u32 len, __u64 want)
{
	const __u16 begun = 0xbeef;
	__u16 got = csum_fold(way->add(0, data, len));

	n_sums++;
	if (ntohs(got) != plain_fold(want))
		fail_msg("%s: %u bytes at %u: %04x for %04x", way->name, len,
			 (__u32)((uintptr_t)data % LINE), ntohs(got), plain_fold(want));
	got = csum_fold(way->add(htons(begun), data, len));
	if (ntohs(got) != plain_fold(want + begun))
		fail_msg("%s: %u bytes on top of another sum", way->name, len);
}

/* The `i`th byte of what is summed. */
static __u64 value(const __u8 *data, __u32 i)
{
	return i % 2 ? data[i] : (__u64)data[i] << 8;
}

static void compare_from_all_places(const struct csum_way *way)
{
	for (__u32 place = 0; place < LINE; place++) {
		__u64 want = 0;

		for (__u32 len = 0; len <= LEN_MAX; len++) {
			compare(way, room + place, len, want);
			want += value(room + place, len);
		}
	}
}

/* What ends where nothing can be read begins at all places, too. */
static void compare_up_to_the_end(const struct csum_way *way)
{
	for (__u32 len = 0; len <= LEN_MAX; len++) {
		const __u8 *data = room + ROOM - len;
		__u64 want = 0;

		for (__u32 i = 0; i < len; i++)
			want += value(data, i);
		compare(way, data, len, want);
	}
}

static void compare_all(void)
{
	for (unsigned int i = 0; i < csum_n_ways; i++) {
		if (!csum_ways[i].here())
			continue;
		n_sums = 0;
		compare_from_all_places(&csum_ways[i]);
		compare_up_to_the_end(&csum_ways[i]);
		assert_int_equal(n_sums, (LINE + 1) * (LEN_MAX + 1));
	}
}

static void test_random(void **unused)
{
	room_make();
	fill_random();
	compare_all();
	room_free();
}

/* As many carries as there can be; and none: only 0 is 0. */
static void test_ones_and_zeroes(void **unused)
{
	room_make();
	memset(room, 0xff, ROOM);
	compare_all();
	memset(room, 0, ROOM);
	compare_all();
	room_free();
}

/* One byte alone counts wherever it stands. */
static void test_each_byte(void **unused)
{
	room_make();
	for (unsigned int i = 0; i < csum_n_ways; i++)
		for (__u32 at = 0; csum_ways[i].here() && at < LEN_MAX; at++) {
			room[at] = 0x5a;
			compare(&csum_ways[i], room, LEN_MAX, value(room, at));
			compare(&csum_ways[i], room + 1, LEN_MAX, at ? value(room + 1, at - 1) : 0);
			room[at] = 0;
		}
	room_free();
}

/* The first runs everywhere, and the last of those that run here is the one in use. What is summed
 * in place of a call is the same. */
static void test_choice(void **unused)
{
	static const __u8 bytes[64] = {1, 2, 3, [17] = 0xfe, [40] = 0xff, [62] = 0x80, 0x7f};
	csum_add_fn *widest = NULL;

	assert_true(csum_ways[0].here());
	for (unsigned int i = 0; i < csum_n_ways; i++)
		if (csum_ways[i].here()) {
			widest = csum_ways[i].add;
			print_message("%s can be had here\n", csum_ways[i].name);
		}
	assert_ptr_equal(csum_add_many, widest);
	for (volatile __u32 len = 64; len >= 63; len--)
		assert_int_equal(csum_fold(csum_add(7, bytes, len == 64 ? 64 : 63)),
				 csum_fold(csum_add_many(7, bytes, len)));
}

/* Whatever stood in the field, and for every sum that there is: then all of it sums to all ones,
 * and UDP's is not 0, which would mean that it has none. */
static void test_renew(void **unused)
{
	__u8 l4[23] = "some bytes of transport", *field = l4 + 6;
	unsigned int ones = 0, zeroes = 0;
	__u16 check, word;

	for (int udp = 0; udp < 2; udp++)
		for (__u32 i = 0; i < 65536; i++) {
			word = (__u16)i;
			memcpy(l4 + 8, &word, 2);
			csum_renew(l4, sizeof(l4), 6, 0xabcde, udp);
			assert_int_equal(csum_fold(csum_add(0xabcde, l4, sizeof(l4))), 0xffff);
			memcpy(&check, field, 2);
			ones += check == 0xffff;
			zeroes += check == 0;
			assert_false(udp && !check);
		}
	assert_int_equal(ones, 1);
	assert_int_equal(zeroes, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random),    cmocka_unit_test(test_ones_and_zeroes),
		cmocka_unit_test(test_each_byte), cmocka_unit_test(test_choice),
		cmocka_unit_test(test_renew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
