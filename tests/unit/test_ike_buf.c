// SPDX-License-Identifier: BSD-2-Clause
/* The reader never leaves its bytes, the writer never its bound, and nothing is left behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "iked/wire.h"

/* Memory of just n bytes: ASan sees one more. */
static __u8 *exactly(size_t n)
{
	__u8 *data = malloc(n ? n : 1);

	assert_non_null(data);
	for (size_t i = 0; i < n; i++)
		data[i] = (__u8)(i + 1);
	return data;
}

static void reads_numbers(void **state)
{
	__u8 *data = exactly(15);
	struct reader r = reader_of(BYTES(data, 15));

	assert_int_equal(reader_u8(&r), 0x01);
	assert_int_equal(reader_u16(&r), 0x0203);
	assert_int_equal(reader_u32(&r), 0x04050607);
	assert_true(reader_u64(&r) == 0x08090a0b0c0d0e0fULL);
	assert_false(r.failed);
	assert_int_equal(reader_left(&r), 0);
	free(data);
}

/* Past the end: zeros, and it stays failed even if what is asked for next would fit. */
static void fails_for_good(void **state)
{
	for (size_t n = 0; n < 8; n++) {
		__u8 *data = exactly(n);
		struct reader r = reader_of(BYTES(data, n));

		assert_true(reader_u64(&r) == 0);
		assert_true(r.failed);
		assert_int_equal(reader_u8(&r), 0);
		assert_int_equal(reader_left(&r), 0);
		assert_null(reader_bytes(&r, 0).data);
		free(data);
	}
}

static void views(void **state)
{
	__u8 *data = exactly(6);
	struct reader r = reader_of(BYTES(data, 6));
	struct bytes two = reader_bytes(&r, 2), none = reader_bytes(&r, 0), rest;

	assert_ptr_equal(two.data, data);
	assert_non_null(none.data);
	reader_skip(&r, 1);
	rest = reader_rest(&r);
	assert_ptr_equal(rest.data, data + 3);
	assert_int_equal(rest.len, 3);
	assert_int_equal(reader_rest(&r).len, 0);
	assert_false(r.failed);
	assert_null(reader_bytes(&r, (size_t)-1).data);
	free(data);
}

static void empty_is_fine(void **state)
{
	struct reader r = reader_of(BYTES_NONE);

	assert_int_equal(reader_rest(&r).len, 0);
	assert_false(r.failed);
	assert_int_equal(reader_u8(&r), 0);
	assert_true(r.failed);
}

static void writes(void **state)
{
	static const __u8 want[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 0, 0, 'x'};
	struct writer w = {0};

	writer_u8(&w, 0x01);
	writer_u16(&w, 0x0909);
	writer_u32(&w, 0x04050607);
	writer_u64(&w, 0x08090a0b0c0d0e0fULL);
	writer_zero(&w, 2);
	writer_bytes(&w, BYTES("x", 1));
	writer_set_u16(&w, 1, 0x0203);
	writer_set_u16(&w, 17, 0xffff); /* one byte of it is outside: nothing */
	assert_int_equal(w.err, 0);
	assert_int_equal(w.len, sizeof(want));
	assert_memory_equal(w.data, want, sizeof(want));
	writer_reset(&w);
	assert_int_equal(w.len, 0);
	assert_int_equal(w.data[0], 0); /* wiped */
	writer_free(&w);
	assert_null(w.data);
}

static void is_bounded(void **state)
{
	struct writer w = {0};

	writer_zero(&w, WRITER_MAX);
	assert_int_equal(w.err, 0);
	writer_u8(&w, 1);
	assert_int_equal(w.err, -EMSGSIZE);
	assert_int_equal(w.len, WRITER_MAX);
	writer_zero(&w, 0);
	assert_int_equal(w.err, -EMSGSIZE);
	writer_reset(&w);
	assert_null(writer_room(&w, (size_t)-1));
	writer_free(&w);
}

static void compares(void **state)
{
	struct bytes abc = BYTES("abc", 3), abd = BYTES("abd", 3), ab = BYTES("abc", 2);

	assert_true(bytes_equal(abc, abc) && bytes_equal_secret(abc, abc));
	assert_false(bytes_equal(abc, abd) || bytes_equal_secret(abc, abd));
	assert_false(bytes_equal(abc, ab) || bytes_equal_secret(abc, ab));
	assert_true(bytes_equal(BYTES_NONE, BYTES("", 0)));
}

static void names(void **state)
{
	assert_string_equal(ike_exchange_name(CREATE_CHILD_SA), "CREATE_CHILD_SA");
	assert_string_equal(ike_payload_name(IKE_PL_TSI), "TSi");
	assert_string_equal(ike_notify_name(17), "INVALID_KE_PAYLOAD");
	assert_string_equal(ike_notify_name(16431), "SIGNATURE_HASH_ALGORITHMS");
	assert_null(ike_exchange_name(33));
	assert_null(ike_payload_name(32));
	assert_null(ike_payload_name(50));
	assert_null(ike_payload_name(4000000000u));
	assert_null(ike_notify_name(2));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_numbers), cmocka_unit_test(fails_for_good),
		cmocka_unit_test(views),         cmocka_unit_test(empty_is_fine),
		cmocka_unit_test(writes),        cmocka_unit_test(is_bounded),
		cmocka_unit_test(compares),      cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
