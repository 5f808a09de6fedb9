// SPDX-License-Identifier: BSD-2-Clause
/* The engine's small parts: timers, the table, cookies, half-open bounds, collisions, the window,
 * memory for keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "iked/bounds.h"
#include "iked/collide.h"
#include "iked/cookie.h"
#include "iked/halfopen.h"
#include "iked/key_pool.h"
#include "iked/table.h"
#include "iked/timer.h"
#include "iked/window.h"
#include "tests/lib/mapping.h"

/* ------------------------------------------------------------------ timers */

enum { TIMERS = 1000 };

struct alarm {
	struct timer timer;
	unsigned int rung;
};

static __u64 last_due;
static unsigned int rung;

static void ring(struct timer *timer)
{
	assert_true(timer->due >= last_due);
	assert_false(timer_is_set(timer));
	last_due = timer->due;
	((struct alarm *)timer)->rung++;
	rung++;
}

/* In order, whatever was set anew or stopped in between; each once. */
static void test_timers(void **state)
{
	static struct alarm alarm[TIMERS];
	struct timers timers = {0};
	unsigned int stopped = 0;

	srand(5);
	assert_int_equal(timers_reserve(&timers, TIMERS), 0);
	assert_int_equal(timers_due(&timers), TIMER_NEVER);
	for (int i = 0; i < TIMERS; i++) {
		alarm[i].timer.fire = ring;
		timer_set(&timers, &alarm[i].timer, rand() % 500);
	}
	for (int i = 0; i < TIMERS; i++) {
		if (i % 3 == 0)
			timer_set(&timers, &alarm[i].timer, rand() % 500);
		if (i % 5 == 0) {
			timer_stop(&timers, &alarm[i].timer);
			timer_stop(&timers, &alarm[i].timer);
			stopped++;
		}
	}
	for (__u64 now = 0; now <= 500; now++) {
		assert_true(timers_due(&timers) >= now);
		while (timers_fire(&timers, now))
			;
	}
	assert_int_equal(rung, TIMERS - stopped);
	for (int i = 0; i < TIMERS; i++)
		assert_int_equal(alarm[i].rung, i % 5 != 0);
	timers_free(&timers);
}

/* ------------------------------------------------------------------ the table */

static void test_table(void **state)
{
	static struct table_link link[1000];
	struct table table = {0};

	assert_null(table_find(&table, 7));
	for (int i = 0; i < 1000; i++)
		assert_int_equal(table_add(&table, &link[i], i / 2), 0);
	for (int i = 0; i < 500; i++) {
		/* the newest first, after the table grew several times too */
		assert_ptr_equal(table_find(&table, i), &link[2 * i + 1]);
		assert_ptr_equal(table_next(&link[2 * i + 1]), &link[2 * i]);
		assert_null(table_next(&link[2 * i]));
		table_remove(&table, &link[2 * i + 1]);
		assert_ptr_equal(table_find(&table, i), &link[2 * i]);
		table_remove(&table, &link[2 * i]);
		assert_null(table_find(&table, i));
	}
	assert_int_equal(table.n, 0);
	table_free(&table);
}

/* ------------------------------------------------------------------ cookies */

static __u64 clock_ms = 1;
static __u8 counter;

static __u64 now(void *ctx)
{
	return clock_ms;
}

static void count(void *ctx, void *out, size_t len)
{
	memset(out, ++counter, len);
}

static const struct ike_env env = {.now = now, .random = count};

static void test_cookies(void **state)
{
	struct ike_path path = {
		.remote = {.byte = {192, 0, 2, 1}}, .remote_port = 500, .family = 4};
	struct ike_path other = path;
	__u8 nonce[32] = "nonce", cookie[COOKIE_LEN], changed[COOKIE_LEN];
	struct cookies cookies = {0};

	assert_int_equal(cookie_make(&cookies, &env, &path, 7, BYTES_OF(nonce), cookie), 0);
	assert_true(cookie_good(&cookies, &env, &path, 7, BYTES_OF(nonce), BYTES_OF(cookie)));
	/* each input counts, and each octet of it */
	other.remote.byte[3] = 2;
	assert_false(cookie_good(&cookies, &env, &other, 7, BYTES_OF(nonce), BYTES_OF(cookie)));
	other = path;
	other.remote_port = 501;
	assert_false(cookie_good(&cookies, &env, &other, 7, BYTES_OF(nonce), BYTES_OF(cookie)));
	assert_false(cookie_good(&cookies, &env, &path, 8, BYTES_OF(nonce), BYTES_OF(cookie)));
	assert_false(cookie_good(&cookies, &env, &path, 7, BYTES(nonce, 31), BYTES_OF(cookie)));
	assert_false(cookie_good(&cookies, &env, &path, 7, BYTES_OF(nonce), BYTES(cookie, 32)));
	for (int i = 0; i < COOKIE_LEN; i++) {
		memcpy(changed, cookie, COOKIE_LEN);
		changed[i] ^= 1;
		assert_false(
			cookie_good(&cookies, &env, &path, 7, BYTES_OF(nonce), BYTES_OF(changed)));
	}
	/* good for one change of the secret, not for two */
	clock_ms += COOKIE_SECRET_MS;
	assert_true(cookie_good(&cookies, &env, &path, 7, BYTES_OF(nonce), BYTES_OF(cookie)));
	clock_ms += COOKIE_SECRET_MS;
	assert_false(cookie_good(&cookies, &env, &path, 7, BYTES_OF(nonce), BYTES_OF(cookie)));
	cookies_wipe(&cookies);
	/* nor after a long time without any */
	cookie_make(&cookies, &env, &path, 7, BYTES_OF(nonce), cookie);
	clock_ms += 3 * COOKIE_SECRET_MS;
	assert_false(cookie_good(&cookies, &env, &path, 7, BYTES_OF(nonce), BYTES_OF(cookie)));
}

/* ------------------------------------------------------------------ half open */

static struct ike_path from(__u8 a, __u8 b)
{
	return (struct ike_path){.remote = {.byte = {10, 0, a, b}}, .family = XIPSEC_FAMILY_IP4};
}

static void test_halfopen(void **state)
{
	struct halfopen h = {.salt = 99};
	struct ike_path one = from(0, 1), two = from(0, 2), six, near, far;
	int n = 0;

	/* one address: first without, then with a cookie, then no more; others are not concerned */
	for (; halfopen_ask(&h, &one) == HALFOPEN_ROOM; n++)
		assert_int_equal(halfopen_add(&h, &one), 0);
	assert_int_equal(n, HALFOPEN_ADDR_COOKIES);
	assert_int_equal(halfopen_ask(&h, &two), HALFOPEN_ROOM);
	for (; halfopen_ask(&h, &one) == HALFOPEN_COOKIE; n++)
		assert_int_equal(halfopen_add(&h, &one), 0);
	assert_int_equal(n, HALFOPEN_ADDR_MAX);
	assert_int_equal(halfopen_ask(&h, &one), HALFOPEN_FULL);
	assert_int_equal(halfopen_ask(&h, &two), HALFOPEN_COOKIE); /* many in all */
	for (; n; n--)
		halfopen_remove(&h, &one);
	assert_int_equal(h.n, 0);
	assert_int_equal(h.by_addr.n, 0);
	assert_int_equal(halfopen_ask(&h, &one), HALFOPEN_ROOM);
	/* many addresses: cookies for all */
	for (n = 0; n < HALFOPEN_MAX; n++) {
		struct ike_path path = from(1 + n / 256, n % 256);

		assert_int_equal(halfopen_ask(&h, &path),
				 n < HALFOPEN_COOKIES ? HALFOPEN_ROOM : HALFOPEN_COOKIE);
		assert_int_equal(halfopen_add(&h, &path), 0);
	}
	assert_int_equal(halfopen_ask(&h, &two), HALFOPEN_COOKIE);
	halfopen_free(&h);
	/* a host of IPv6 is its /64 */
	six = (struct ike_path){.remote = {.byte = {0x20, 1, [7] = 1, [15] = 1}},
				.family = XIPSEC_FAMILY_IP6};
	near = six;
	near.remote.byte[15] = 2;
	far = six;
	far.remote.byte[7] = 2;
	for (n = 0; n < HALFOPEN_ADDR_COOKIES; n++)
		assert_int_equal(halfopen_add(&h, &six), 0);
	assert_int_equal(halfopen_ask(&h, &near), HALFOPEN_COOKIE);
	assert_int_equal(halfopen_ask(&h, &far), HALFOPEN_ROOM);
	halfopen_free(&h);
}

/* ------------------------------------------------------------------ collisions */

/* RFC 7296 2.25.1 and 2.25.2, sentence by sentence. */
static const struct {
	const char *rfc;
	enum collide_ask ask;
	enum collide_doing doing;
	bool known;
	enum collide_answer answer;
} sentences[] = {
	/* 2.25.1 */
	{"rekey a Child SA that it is currently trying to close: TEMPORARY_FAILURE",
	 ASK_CHILD_REKEY, DOING_CHILD_CLOSE, true, ANSWER_TEMPORARY},
	{"rekey a Child SA that it is currently rekeying: as usual, and nonces", ASK_CHILD_REKEY,
	 DOING_CHILD_REKEY, true, ANSWER_RIVAL},
	{"rekey a Child SA that does not exist: CHILD_SA_NOT_FOUND", ASK_CHILD_REKEY, DOING_NOTHING,
	 false, ANSWER_NOT_FOUND},
	{"close a Child SA that it is currently trying to close: without a Delete", ASK_CHILD_CLOSE,
	 DOING_CHILD_CLOSE, true, ANSWER_EMPTY},
	{"close a Child SA that it is currently rekeying: as usual", ASK_CHILD_CLOSE,
	 DOING_CHILD_REKEY, true, ANSWER_USUAL},
	{"close a Child SA that does not exist: without a Delete", ASK_CHILD_CLOSE, DOING_NOTHING,
	 false, ANSWER_EMPTY},
	{"rekey the IKE SA while creating a Child SA: TEMPORARY_FAILURE", ASK_IKE_REKEY,
	 DOING_CHILD, true, ANSWER_TEMPORARY},
	{"rekey the IKE SA while rekeying a Child SA: TEMPORARY_FAILURE", ASK_IKE_REKEY,
	 DOING_CHILD_REKEY, true, ANSWER_TEMPORARY},
	{"rekey the IKE SA while closing a Child SA: TEMPORARY_FAILURE", ASK_IKE_REKEY,
	 DOING_CHILD_CLOSE, true, ANSWER_TEMPORARY},
	/* 2.25.2 */
	{"rekey an IKE SA that it is currently rekeying: as usual, and nonces", ASK_IKE_REKEY,
	 DOING_IKE_REKEY, true, ANSWER_RIVAL},
	{"rekey an IKE SA that it is currently trying to close: TEMPORARY_FAILURE", ASK_IKE_REKEY,
	 DOING_IKE_CLOSE, true, ANSWER_TEMPORARY},
	{"close an IKE SA that it is currently rekeying: as usual, forget", ASK_IKE_CLOSE,
	 DOING_IKE_REKEY, true, ANSWER_FORGET},
	{"close an IKE SA that it is currently trying to close: as usual, forget", ASK_IKE_CLOSE,
	 DOING_IKE_CLOSE, true, ANSWER_FORGET},
	{"create a Child SA while rekeying the IKE SA: TEMPORARY_FAILURE", ASK_CHILD_NEW,
	 DOING_IKE_REKEY, true, ANSWER_TEMPORARY},
	{"rekey a Child SA while rekeying the IKE SA: TEMPORARY_FAILURE", ASK_CHILD_REKEY,
	 DOING_IKE_REKEY, true, ANSWER_TEMPORARY},
	{"delete a Child SA while rekeying the IKE SA: as usual, with a Delete", ASK_CHILD_CLOSE,
	 DOING_IKE_REKEY, true, ANSWER_USUAL},
	/* 2.8.2 */
	{"rekey an IKE SA that was rekeyed: TEMPORARY_FAILURE", ASK_IKE_REKEY, DOING_REPLACED, true,
	 ANSWER_TEMPORARY},
	/* nothing collides */
	{"nothing", ASK_CHILD_NEW, DOING_NOTHING, true, ANSWER_USUAL},
	{"nothing", ASK_CHILD_REKEY, DOING_NOTHING, true, ANSWER_USUAL},
	{"another child", ASK_CHILD_REKEY, DOING_CHILD, true, ANSWER_USUAL},
	{"another child", ASK_CHILD_CLOSE, DOING_CHILD, true, ANSWER_USUAL},
	{"nothing", ASK_IKE_REKEY, DOING_NOTHING, true, ANSWER_USUAL},
	{"nothing", ASK_IKE_CLOSE, DOING_NOTHING, true, ANSWER_USUAL},
};

static void test_collisions(void **state)
{
	for (size_t i = 0; i < sizeof(sentences) / sizeof(sentences[0]); i++)
		if (collide(sentences[i].ask, sentences[i].doing, sentences[i].known) !=
		    sentences[i].answer)
			fail_msg("%s", sentences[i].rfc);
}

/* 2.8.1: octet by octet; the end of a nonce is lower than anything. */
static void test_nonces(void **state)
{
	struct bytes a = BYTES("\x01\xff", 2), b = BYTES("\x02\x00", 2), c = BYTES("\x01", 1);
	struct bytes d = BYTES("\xff\xff", 2);

	assert_true(collide_loses(a, d, b, d));
	assert_false(collide_loses(b, d, a, d));
	assert_true(collide_loses(d, a, b, d));
	assert_false(collide_loses(d, d, d, b));
	assert_true(collide_loses(c, d, a, d));
	assert_false(collide_loses(a, d, c, d));
	assert_false(collide_loses(a, b, a, d)); /* equal: nobody loses, and that is 2^-128 */
	assert_ptr_equal(collide_lower(a, b).data, a.data);
	assert_ptr_equal(collide_lower(b, a).data, a.data);
}

/* ------------------------------------------------------------------ the window */

static void test_window(void **state)
{
	struct window w = {.out_id = 5, .in_id = 3};
	struct ike_header request = {.id = 3}, response = {.id = 5, .flags = IKE_FLAG_RESPONSE};
	struct ike_packets outstanding = {0};
	__u64 all = 0;

	assert_int_equal(window_ask(&w, &request), WINDOW_NEW);
	request.id = 2;
	assert_int_equal(window_ask(&w, &request), WINDOW_AGAIN);
	request.id = 1;
	assert_int_equal(window_ask(&w, &request), WINDOW_DROP);
	request.id = 4; /* a window of 1, whatever was offered */
	assert_int_equal(window_ask(&w, &request), WINDOW_DROP);
	w.in_id = 0;
	request.id = 0xffffffff;
	assert_int_equal(window_ask(&w, &request), WINDOW_AGAIN);
	assert_int_equal(window_ask(&w, &response), WINDOW_DROP); /* nothing is outstanding */
	w.request = &outstanding;
	assert_int_equal(window_ask(&w, &response), WINDOW_NEW);
	response.id = 4;
	assert_int_equal(window_ask(&w, &response), WINDOW_DROP);
	/* 2.4: exponentially, at least a dozen times over at least several minutes */
	assert_true(RETRANSMIT_TRIES >= 12);
	for (unsigned int i = 1; i <= RETRANSMIT_TRIES; i++) {
		assert_true(i == 1 || window_wait(i) >= window_wait(i - 1));
		all += window_wait(i);
	}
	assert_true(window_wait(2) == 2 * window_wait(1));
	assert_in_range(all, 180000, 300000);
}

/* ------------------------------------------------------------------ memory for keys */

/* Locked, in no dump; zeroed, and wiped when it is given back. */
static void test_key_pool(void **state)
{
	static const __u8 zero[KEY_SLOT];
	struct key_pool pool = {0};
	__u8 *slot[1000], *again;

	for (int i = 0; i < 1000; i++) {
		slot[i] = key_pool_take(&pool);
		assert_non_null(slot[i]);
		assert_memory_equal(slot[i], zero, KEY_SLOT);
		memset(slot[i], i, KEY_SLOT);
	}
	for (int i = 0; i < 1000; i++)
		assert_true(slot[i][0] == (__u8)i && slot[i][KEY_SLOT - 1] == (__u8)i);
#ifndef __SANITIZE_ADDRESS__ /* whose mlock() does nothing */
	assert_true(mapping_has(slot[0], " lo"));
	assert_true(mapping_has(slot[999], " lo"));
#endif
	assert_true(mapping_has(slot[999], " dd"));
	assert_false(mapping_has(slot, " lo"));
	key_pool_give(&pool, slot[7]);
	assert_memory_equal(slot[7] + sizeof(void *), zero, KEY_SLOT - sizeof(void *));
	again = key_pool_take(&pool);
	assert_ptr_equal(again, slot[7]);
	assert_memory_equal(again, zero, KEY_SLOT);
	key_pool_give(&pool, NULL);
	assert_int_equal(pool.n_used, 1000);
	key_pool_free(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_timers),     cmocka_unit_test(test_table),
		cmocka_unit_test(test_cookies),    cmocka_unit_test(test_halfopen),
		cmocka_unit_test(test_collisions), cmocka_unit_test(test_nonces),
		cmocka_unit_test(test_window),     cmocka_unit_test(test_key_pool),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
