// SPDX-License-Identifier: BSD-2-Clause
/* What of an SA outlives xipsecd, its maps and the machine: replay windows and numbers, and what
 * comes of a death or of a broken disk in between. */
#include "sadb_fixture.h"

static bool seen(unsigned int index, __u64 seq)
{
	__u64 block = seq / 32;
	__u64 word = states[index].replay[block % XIPSEC_REPLAY_WORDS];

	return word >> 32 == block / XIPSEC_REPLAY_WORDS && (word >> seq % 32 & 1);
}

static void window_lives_on_while_the_maps_do(void **state)
{
	struct sa *sa = add("in", XIPSEC_DIR_IN, 0x2001);
	unsigned int index = sa->index;
	__u32 generation = sa->generation;

	states[index].replay_top = 40;
	states[index].replay[1] = 0x101; /* 32 and 40 were seen */
	crash();
	start("boot:1");
	/* Another comes first and takes another place. */
	assert_int_not_equal(add("new", XIPSEC_DIR_IN, 0x2002)->index, index);
	sa = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_int_equal(sa->index, index);
	assert_true(sa->generation > generation);
	assert_true(states[index].replay_top == 40);
	assert_true(seen(index, 32) && seen(index, 40) && !seen(index, 39));
}

static void window_is_closed_after_a_reboot(void **state)
{
	struct sa *sa = add("in", XIPSEC_DIR_IN, 0x2001);

	states[sa->index].replay_top = 20007;
	sleep(1); /* tops are written once a second */
	sas_tick(sas);
	crash();
	memset(homes, 0, sizeof(homes));
	start("boot:2");
	sa = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_true(states[sa->index].replay_top == 20007);
	for (__u64 seq = 20007 - XIPSEC_WINDOW_MAX; seq <= 20007; seq++)
		assert_true(seen(sa->index, seq));
	assert_false(seen(sa->index, 20008));
}

/* The memory as it was when a record became durable: death between record and state. */
static struct xipsec_sa_state at_record[2][MAX];

static int fsync_and_note(int fd)
{
	memcpy(at_record, homes, sizeof(homes));
	return fsync(fd);
}

static void assert_nothing_open_up_to_40(unsigned int index)
{
	assert_true(states[index].replay_top == 40);
	for (__u64 seq = 1; seq <= 40; seq++)
		assert_true(seen(index, seq));
	assert_false(seen(index, 41));
}

static void killed_between_record_and_state(void **state)
{
	struct reserve_io noting = *reserve.io;

	noting.fsync = fsync_and_note;
	add_with_window("in", 0x2001);
	crash();
	start("boot:1");
	reserve.io = &noting;
	add("in", XIPSEC_DIR_IN, 0x2001);
	crash();
	memcpy(homes, at_record, sizeof(homes));
	start("boot:1");
	assert_nothing_open_up_to_40(add("in", XIPSEC_DIR_IN, 0x2001)->index);
}

static void move_to(const char *where)
{
	states = homes[1];
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, where), 0);
}

static void killed_in_the_middle_of_a_move(void **state)
{
	struct reserve_io noting = *reserve.io;

	noting.fsync = fsync_and_note;
	add_with_window("in", 0x2001);
	reserve.io = &noting;
	move_to("boot:2");
	crash();
	memcpy(homes, at_record, sizeof(homes));
	start("boot:2");
	assert_nothing_open_up_to_40(add("in", XIPSEC_DIR_IN, 0x2001)->index);
}

static int no_rename(int at, const char *from, const char *to)
{
	errno = EIO;
	return -1;
}

/* The record still names the old maps when the move ends before this SA's turn. */
static void move_that_never_reached_it(void **state)
{
	struct reserve_io broken = *reserve.io;

	broken.rename = no_rename;
	add_with_window("in", 0x2001);
	reserve.io = &broken;
	states = homes[1];
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, "boot:2"), -EIO);
	assert_int_equal(sas_count(sas), 0);
	crash();
	start("boot:2");
	assert_nothing_open_up_to_40(add("in", XIPSEC_DIR_IN, 0x2001)->index);
}

static void window_moves_and_is_found_there(void **state)
{
	struct sa *sa = add_with_window("in", 0x2001);
	unsigned int index = sa->index;
	__u32 generation;

	/* The place there has a past of its own. */
	homes[1][index].generation = 77;
	states[index].packets = 2;
	said[0] = 0;
	move_to("boot:2");
	assert_string_equal(said, "key0 sad0 ");
	sa = sas_by_name(sas, "in");
	assert_true(sa->generation > 77);
	assert_true(states[index].replay_top == 40 && states[index].packets == 2);
	assert_true(seen(index, 32) && seen(index, 40) && !seen(index, 39));
	generation = sa->generation;
	crash();
	start("boot:2");
	/* Not closed but found: the record names the new place. */
	sa = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_true(sa->index == index && sa->generation > generation);
	assert_true(seen(index, 32) && seen(index, 40) && !seen(index, 39));
}

/* A new generation with the same map of states: the SA stays in its place. */
static void stays_where_the_map_is_the_same(void **state)
{
	struct sa *sa = add_with_window("in", 0x2001);
	struct sa *out = add("one", XIPSEC_DIR_OUT, 0x1001);
	unsigned int index = sa->index;
	__u32 generation = sa->generation;

	states[out->index].seq = 1000;
	sas_tick(sas);
	states[out->index].seq = 5;
	said[0] = 0;
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, "boot:1"), 0);
	assert_string_equal(said, "key0 sad0 key1 sad1 child1 ");
	assert_true(sas_by_name(sas, "in")->generation == generation);
	assert_true(states[index].generation == generation);
	assert_int_equal(status_of(index), XIPSEC_SA_LIVE);
	assert_true(seen(index, 32) && seen(index, 40) && !seen(index, 39));
	assert_true(states[out->index].seq == 1000);
	assert_true(states[out->index].seq_limit == RESERVE_CHUNK);
	crash();
	start("boot:1");
	/* Not closed but found. */
	sa = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_true(sa->index == index && sa->generation > generation);
	assert_true(seen(index, 32) && seen(index, 40) && !seen(index, 39));
}

static void numbers_go_on_after_a_move(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

	states[sa->index].seq = 1000;
	sas_tick(sas);
	/* A worker turns the counter back just before its maps go. */
	states[sa->index].seq = 5;
	move_to("boot:2");
	assert_true(states[sa->index].seq == 1000);
	assert_true(states[sa->index].seq_limit == RESERVE_CHUNK);
	assert_int_equal(child_now.sa_generation, sa->generation);
}

/* Something stands in the place that the record names, and it is not that SA's window. */
static void assert_not_adopted(const char *where, __u32 generation)
{
	struct sa *sa = add_with_window("in", 0x2001);
	unsigned int index = sa->index;

	sleep(1); /* tops are written once a second */
	sas_tick(sas);
	crash();
	states[index].generation = generation ? generation : sa->generation;
	states[index].replay_top = 5;
	memset(states[index].replay, 0, sizeof(states[index].replay));
	states[index].packets = 99;
	start(where);
	sa = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_true(states[sa->index].packets == 0);
	assert_nothing_open_up_to_40(sa->index);
}

static void place_of_other_maps_is_not_its_own(void **state)
{
	assert_not_adopted("boot:2", 1);
}

static void place_of_another_generation_is_not_its_own(void **state)
{
	assert_not_adopted("boot:1", 9);
}

static void full_disk_at_delete(void **state)
{
	struct reserve_io full = *reserve.io;
	const struct reserve_io *good = reserve.io;
	struct sa *sa = add_with_window("in", 0x2001);

	full.write = no_room;
	reserve.io = &full;
	assert_int_equal(sas_delete(sas, &sa, 1), 0);
	reserve.io = good;
	assert_nothing_open_up_to_40(add("in", XIPSEC_DIR_IN, 0x2001)->index);
}

/* Not even the slot can be written: it is told, and the window waits in its place. */
static void broken_disk_at_delete(void **state)
{
	struct reserve_io broken = *reserve.io;
	const struct reserve_io *good = reserve.io;
	struct sa *sa = add_with_window("in", 0x2001);
	unsigned int index = sa->index;

	broken.write = no_room;
	broken.pwrite = no_touch;
	reserve.io = &broken;
	assert_int_equal(sas_delete(sas, &sa, 1), -ENOSPC);
	assert_int_equal(sas_count(sas), 0);
	reserve.io = good;
	/* Others do not take its place. */
	assert_int_not_equal(add("new", XIPSEC_DIR_IN, 0x2002)->index, index);
	sa = add("in", XIPSEC_DIR_IN, 0x2001);
	assert_int_equal(sa->index, index);
	assert_true(seen(index, 32) && seen(index, 40) && !seen(index, 39));
	assert_int_equal(sas_delete(sas, &sa, 1), 0);
	assert_int_equal(states[index].status, XIPSEC_SA_FREE);
}

/* What add says to it, with `packets` and `seconds` as hard limits. */
static int add_limited(__u64 packets, __u64 seconds)
{
	struct xipsec_sa sa = make("one", XIPSEC_DIR_OUT, 0x1001);

	sa.limits.hard_packets = packets;
	sa.limits.hard_time = seconds;
	return sas_add(sas, &sa, text);
}

static void spent_packets_stay_spent(void **state)
{
	assert_int_equal(add_limited(10, 0), 0);
	states[0].packets = 9;
	crash();
	start("boot:1");
	assert_int_equal(add_limited(10, 0), 0);
	assert_true(states[0].packets == 9);
	states[0].packets = 10;
	crash();
	start("boot:1");
	assert_int_equal(add_limited(10, 0), -EKEYEXPIRED);
	assert_non_null(strstr(text, "limit of packets"));
	/* Whoever raises it has the rest. */
	assert_int_equal(add_limited(20, 0), 0);
	assert_true(states[sas_by_name(sas, "one")->index].packets == 10);
}

/* It stopped, then the machine went: its maps are no more. */
static void stopped_stays_so_over_a_reboot(void **state)
{
	unsigned int index;

	assert_int_equal(add_limited(10, 0), 0);
	states[0].packets = 11;
	states[0].bytes = 1000;
	states[0].status = XIPSEC_SA_STOPPED;
	sas_tick(sas);
	assert_int_equal(limit_told, XIPSEC_LIMIT_PACKETS);
	crash();
	memset(homes, 0, sizeof(homes));
	start("boot:2");
	assert_int_equal(add_limited(10, 0), -EKEYEXPIRED);
	assert_int_equal(add_limited(12, 0), 0);
	index = sas_by_name(sas, "one")->index;
	assert_true(states[index].packets == 11 && states[index].bytes == 1000);
}

static void deleted_and_added_again_it_counts_on(void **state)
{
	assert_int_equal(add_limited(10, 0), 0);
	states[0].packets = 10;
	delete (sas_by_name(sas, "one"));
	assert_int_equal(add_limited(10, 0), -EKEYEXPIRED);
}

static void time_is_the_keys(void **state)
{
	struct sadb_sa_info info;

	assert_int_equal(add_limited(0, 100), 0);
	sleep(2);
	crash();
	start("boot:1");
	assert_int_equal(add_limited(0, 2), -EKEYEXPIRED);
	assert_non_null(strstr(text, "limit of time"));
	assert_int_equal(add_limited(0, 100), 0);
	sas_info(sas, sas_by_name(sas, "one"), &info);
	assert_in_range(info.age, 2, 50);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(window_lives_on_while_the_maps_do),
		TEST(window_is_closed_after_a_reboot),
		TEST(killed_between_record_and_state),
		TEST(killed_in_the_middle_of_a_move),
		TEST(move_that_never_reached_it),
		TEST(window_moves_and_is_found_there),
		TEST(stays_where_the_map_is_the_same),
		TEST(numbers_go_on_after_a_move),
		TEST(place_of_other_maps_is_not_its_own),
		TEST(place_of_another_generation_is_not_its_own),
		TEST(full_disk_at_delete),
		TEST(broken_disk_at_delete),
		TEST(spent_packets_stay_spent),
		TEST(stopped_stays_so_over_a_reboot),
		TEST(deleted_and_added_again_it_counts_on),
		TEST(time_is_the_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
