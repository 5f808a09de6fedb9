// SPDX-License-Identifier: BSD-2-Clause
/* The records of manual keys: whatever breaks at whatever step, no number comes twice. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loader/reserve.h"

static char dir[64];
static struct reserve reserve;
static char text[RESERVE_TEXT_MAX];

static void open_it(void)
{
	assert_int_equal(reserve_open(dir, &reserve, text), 0);
}

static int setup(void **state)
{
	strcpy(dir, "/tmp/xipsec-reserve.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	open_it();
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	reserve_close(&reserve);
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static struct xipsec_sa make_sa(__u8 first, __u8 direction, __u16 flags)
{
	struct xipsec_sa sa = {.name = "net-out",
			       .child = "net",
			       .spi = htonl(0x1001),
			       .outer_family = XIPSEC_FAMILY_IP4,
			       .l4_proto = IPPROTO_ESP,
			       .dir = direction,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .engine = XIPSEC_ENGINE_AFXDP,
			       .alg = XIPSEC_ALG_AES128GCM16,
			       .flags = flags | XIPSEC_SA_MANUAL,
			       .key_len = 20};

	sa.key[0] = first;
	inet_pton(AF_INET, "192.0.2.2", &sa.dst);
	return sa;
}

static int claim(const struct xipsec_sa *sa, struct reserve_record *out)
{
	text[0] = 0;
	return reserve_claim(&reserve, sa, sa->key, out, text);
}

static void record_path(const struct xipsec_sa *sa, char out[160])
{
	char fingerprint[RESERVE_NAME_LEN];

	reserve_fingerprint(sa->alg, sa->key, sa->key_len, fingerprint);
	snprintf(out, 160, "%s/keys/%s", dir, fingerprint);
}

static void unknown_key_is_refused_unless_fresh(void **state)
{
	struct xipsec_sa sa = make_sa(1, XIPSEC_DIR_OUT, 0);
	struct reserve_record r = {.reserved = 77};

	assert_int_equal(claim(&sa, &r), -ENOKEY);
	assert_non_null(strstr(text, "fresh_key"));
	assert_int_equal(r.reserved, 77);
	sa.flags |= XIPSEC_SA_FRESH_KEY;
	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(r.reserved, 0);
}

static void record_wins_over_fresh(void **state)
{
	struct xipsec_sa sa = make_sa(2, XIPSEC_DIR_OUT, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r, again;

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_ahead(&reserve, &r, 0, false), 0);
	assert_int_equal(r.reserved, RESERVE_CHUNK);
	assert_int_equal(claim(&sa, &again), 0);
	assert_int_equal(again.reserved, RESERVE_CHUNK);
	/* A tombstone counts like any other. */
	again.state = RESERVE_DELETED;
	again.reserved = 500;
	assert_int_equal(reserve_write(&reserve, &again), 0);
	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(r.reserved, 500);
	assert_int_equal(r.state, RESERVE_DELETED);
}

static void every_field_comes_back(void **state)
{
	struct xipsec_sa sa = make_sa(3, XIPSEC_DIR_IN, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r, got;

	assert_int_equal(claim(&sa, &r), 0);
	r.replay_top = 0xfedcba9876543210ULL;
	r.reserved = 0x123456789abcdefULL;
	strcpy(r.where, "a8d4fdfd-9b22-49ae-8673-0f711c2cd75b:1263");
	r.index = 4294967295u;
	r.generation = 7;
	assert_int_equal(reserve_write(&reserve, &r), 0);
	assert_int_equal(reserve_read(&reserve, r.fingerprint, &got), 0);
	assert_memory_equal(&r, &got, sizeof(r));
	r.replay_top++;
	assert_int_equal(reserve_touch(&reserve, &r), 0);
	assert_int_equal(reserve_read(&reserve, r.fingerprint, &got), 0);
	assert_true(got.replay_top == r.replay_top);
}

/* As reserve.c has it: the record, and two slots for replay_top in blocks of their own. */
#define RECORD_BYTES 1024
#define SLOT_BYTES   512
static const off_t slot_at[] = {4096, 8192};

/* Flips each byte of the record, and cuts the file at each length: never trusted, fresh or not. */
static void damage_is_never_trusted(void **state)
{
	struct xipsec_sa sa = make_sa(4, XIPSEC_DIR_OUT, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r;
	char path[160], byte;
	struct stat st;
	int fd;

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_ahead(&reserve, &r, 0, false), 0);
	record_path(&sa, path);
	fd = open(path, O_RDWR);
	assert_int_equal(fstat(fd, &st), 0);
	for (off_t i = 0; i < RECORD_BYTES; i++) {
		assert_int_equal(pread(fd, &byte, 1, i), 1);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
		/* The last byte is the line's end behind the check. */
		if (i < RECORD_BYTES - 1)
			assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
		byte ^= 1;
		assert_int_equal(pwrite(fd, &byte, 1, i), 1);
	}
	assert_int_equal(claim(&sa, &r), 0);
	for (off_t len = st.st_size - 1; len >= 0; len--) {
		assert_int_equal(ftruncate(fd, len), 0);
		assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
	}
	assert_non_null(strstr(text, "damaged"));
	close(fd);
}

static void touch(struct reserve_record *r, __u64 top)
{
	r->replay_top = top;
	assert_int_equal(reserve_touch(&reserve, r), 0);
}

/* A loss of power while replay_top was rewritten: cut off after any number of bytes, or with
 * anything in it. At most that number is lost, never the one before it, nor the record. */
static void torn_top_costs_no_key(void **state)
{
	struct xipsec_sa sa = make_sa(8, XIPSEC_DIR_IN, XIPSEC_SA_FRESH_KEY);
	static const char junk[SLOT_BYTES];
	char path[160], before[9000], after[9000];
	struct reserve_record r, got;
	ssize_t len;
	int fd;

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_write(&reserve, &r), 0);
	record_path(&sa, path);
	fd = open(path, O_RDWR);
	for (__u64 top = 1000; top < 1004; top++) {
		int changed = -1;

		touch(&r, top);
		len = pread(fd, before, sizeof(before), 0);
		touch(&r, top + 1);
		assert_int_equal(pread(fd, after, sizeof(after), 0), len);
		for (int i = 0; i < 2; i++)
			if (memcmp(before + slot_at[i], after + slot_at[i], SLOT_BYTES) != 0) {
				assert_int_equal(changed, -1);
				changed = i;
			}
		assert_int_not_equal(changed, -1);
		/* Nothing but that one slot was written. */
		memcpy(after + slot_at[changed], before + slot_at[changed], SLOT_BYTES);
		assert_memory_equal(before, after, len);
		for (off_t n = 0; n <= SLOT_BYTES; n++) {
			assert_int_equal(pwrite(fd, junk, n, slot_at[changed]), n);
			assert_int_equal(claim(&sa, &got), 0);
			assert_true(got.replay_top >= top);
		}
		/* The next one heals it, and does not touch the slot that is whole. */
		touch(&r, top + 1);
		assert_int_equal(claim(&sa, &got), 0);
		assert_true(got.replay_top == top + 1);
	}
	for (int i = 0; i < 2; i++)
		assert_int_equal(pwrite(fd, junk, SLOT_BYTES, slot_at[i]), SLOT_BYTES);
	assert_int_equal(claim(&sa, &got), -EKEYREJECTED);
	close(fd);
}

/* A slot that another key's file was copied into says nothing. */
static void slot_of_another_key(void **state)
{
	struct xipsec_sa sa = make_sa(9, XIPSEC_DIR_IN, XIPSEC_SA_FRESH_KEY);
	struct xipsec_sa other = make_sa(10, XIPSEC_DIR_IN, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r, got;
	char path[160], slot[SLOT_BYTES];
	int fd;

	assert_int_equal(claim(&other, &r), 0);
	r.replay_top = 77;
	assert_int_equal(reserve_write(&reserve, &r), 0);
	record_path(&other, path);
	fd = open(path, O_RDONLY);
	assert_int_equal(pread(fd, slot, SLOT_BYTES, slot_at[0]), SLOT_BYTES);
	close(fd);
	assert_int_equal(claim(&sa, &r), 0);
	r.replay_top = 5;
	assert_int_equal(reserve_write(&reserve, &r), 0);
	record_path(&sa, path);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, slot, SLOT_BYTES, slot_at[0]), SLOT_BYTES);
	close(fd);
	assert_int_equal(claim(&sa, &got), 0);
	assert_true(got.replay_top == 5);
}

static void others_could_have_written_it(void **state)
{
	struct xipsec_sa sa = make_sa(5, XIPSEC_DIR_OUT, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r;
	char path[160], other[180];

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_ahead(&reserve, &r, 0, false), 0);
	record_path(&sa, path);
	assert_int_equal(chmod(path, 0622), 0);
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
	assert_int_equal(chmod(path, 0600), 0);
	assert_int_equal(claim(&sa, &r), 0);
	snprintf(other, sizeof(other), "%s.moved", path);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(symlink(other, path), 0);
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
}

static void one_engine_direction_and_algorithm(void **state)
{
	struct xipsec_sa sa = make_sa(6, XIPSEC_DIR_IN, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r;

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_write(&reserve, &r), 0);
	sa.dir = XIPSEC_DIR_OUT;
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
	sa.dir = XIPSEC_DIR_IN;
	sa.engine = XIPSEC_ENGINE_XFRM;
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
	sa.engine = XIPSEC_ENGINE_AFXDP;
	sa.alg = XIPSEC_ALG_AES256GCM16;
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
}

static void the_space_ends(void **state)
{
	struct xipsec_sa sa = make_sa(7, XIPSEC_DIR_OUT, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r;

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_ahead(&reserve, &r, UINT32_MAX - 5, false), 0);
	assert_true(r.reserved == UINT32_MAX);
	assert_int_equal(claim(&sa, &r), -EKEYEXPIRED);
	/* With ESN the same key has room left. */
	sa.flags |= XIPSEC_SA_ESN;
	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_ahead(&reserve, &r, UINT64_MAX - 5, true), 0);
	assert_true(r.reserved == UINT64_MAX);
}

/* ------------------------------------------------------------------ when a map goes */

#define HERE "a8d4fdfd-9b22-49ae-8673-0f711c2cd75b:1263"

struct places {
	struct xipsec_sa_state state[4];
	bool unreadable;
	unsigned int looked;
};

static const struct xipsec_sa_state *look_at(void *ctx, __u32 index)
{
	struct places *places = ctx;

	places->looked++;
	return places->unreadable || index >= 4 ? NULL : &places->state[index];
}

/* A record of key `first` at a place of the map HERE, or elsewhere. */
static void placed(__u8 first, __u8 direction, const char *where, __u32 index, __u32 generation,
		   __u64 top)
{
	struct xipsec_sa sa = make_sa(first, direction, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r;

	assert_int_equal(claim(&sa, &r), 0);
	strcpy(r.where, where);
	r.index = index;
	r.generation = generation;
	r.replay_top = top;
	assert_int_equal(reserve_write(&reserve, &r), 0);
}

static __u64 top_of(__u8 first, __u8 direction)
{
	struct xipsec_sa sa = make_sa(first, direction, 0);
	struct reserve_record r;

	assert_int_equal(claim(&sa, &r), 0);
	return r.replay_top;
}

/* What stands in a place goes to the record that names this place, this SA of it, and the map; no
 * record goes back. */
static void settled_before_the_map_goes(void **state)
{
	struct places places = {
		.state = {{.generation = 5, .status = XIPSEC_SA_LIVE, .replay_top = 900},
			  {.generation = 9, .status = XIPSEC_SA_STOPPED, .replay_top = 901},
			  {.generation = 2, .status = XIPSEC_SA_FREE, .replay_top = 902},
			  {.generation = 3, .status = XIPSEC_SA_LIVE, .replay_top = 40}}};

	placed(40, XIPSEC_DIR_IN, HERE, 0, 5, 100);
	placed(41, XIPSEC_DIR_IN, HERE, 1, 9, 100);
	placed(42, XIPSEC_DIR_IN, HERE, 0, 4, 100);     /* the place is another's now */
	placed(43, XIPSEC_DIR_IN, HERE "1", 0, 5, 100); /* of another map */
	placed(44, XIPSEC_DIR_IN, HERE, 2, 2, 100);     /* given back */
	placed(45, XIPSEC_DIR_IN, HERE, 3, 3, 100);     /* knows more than the state */
	placed(46, XIPSEC_DIR_OUT, HERE, 0, 5, 0);      /* receives nothing */
	placed(47, XIPSEC_DIR_IN, "", 0, 5, 100);       /* was nowhere */
	assert_int_equal(reserve_settle(&reserve, HERE, look_at, &places), 0);
	assert_true(top_of(40, XIPSEC_DIR_IN) == 900);
	assert_true(top_of(41, XIPSEC_DIR_IN) == 901);
	for (__u8 key = 42; key <= 47; key++)
		assert_true(top_of(key, key == 46 ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN) ==
			    (key == 46 ? 0 : 100));
	assert_int_equal(places.looked, 5);
}

/* A record of key `first` with a key of the engine xfrm. */
static struct xipsec_sa of_kernel(__u8 first, __u8 direction, __u32 spi)
{
	struct xipsec_sa sa = make_sa(first, direction, XIPSEC_SA_FRESH_KEY);

	sa.engine = XIPSEC_ENGINE_XFRM;
	sa.spi = htonl(spi);
	return sa;
}

static void write_it(const struct xipsec_sa *sa, enum reserve_state state, struct reserve_record *r)
{
	assert_int_equal(claim(sa, r), 0);
	r->state = state;
	r->reserved = sa->dir == XIPSEC_DIR_OUT ? 100 : 0;
	r->replay_top = sa->dir == XIPSEC_DIR_IN ? 100 : 0;
	assert_int_equal(reserve_write(&reserve, r), 0);
}

static struct xfrm_state in_kernel(__u32 spi, const char *dst, __u64 sent, __u64 heard)
{
	struct xfrm_state state = {
		.id = {.spi = htonl(spi), .family = AF_INET}, .sent.seq = sent, .heard.seq = heard};

	inet_pton(AF_INET, dst, &state.id.daddr);
	return state;
}

/* What kernel XFRM counted after xipsecd had died goes to the record of that SA alone. */
static void settled_after_a_death(void **state)
{
	const struct xipsec_sa in = of_kernel(60, XIPSEC_DIR_IN, 0x2001);
	const struct xipsec_sa out = of_kernel(61, XIPSEC_DIR_OUT, 0x2002);
	const struct xipsec_sa old = of_kernel(62, XIPSEC_DIR_IN, 0x2001);
	const struct xipsec_sa elsewhere = of_kernel(63, XIPSEC_DIR_IN, 0x2003);
	const struct xipsec_sa ahead = of_kernel(64, XIPSEC_DIR_IN, 0x2004);
	const struct xfrm_state list[] = {
		in_kernel(0x2001, "192.0.2.2", 0, 900), in_kernel(0x2002, "192.0.2.2", 1700000, 0),
		in_kernel(0x2003, "192.0.2.3", 0, 900), in_kernel(0x2004, "192.0.2.2", 0, 99)};
	struct reserve_record r;

	write_it(&in, RESERVE_LIVE, &r);
	write_it(&out, RESERVE_LIVE, &r);
	write_it(&old, RESERVE_DELETED, &r);
	write_it(&elsewhere, RESERVE_LIVE, &r);
	write_it(&ahead, RESERVE_LIVE, &r);
	assert_int_equal(reserve_settle_kernel(&reserve, list, 4), 0);
	assert_int_equal(claim(&in, &r), 0);
	assert_int_equal(r.replay_top, 900);
	assert_int_equal(claim(&out, &r), 0);
	assert_int_equal(r.reserved, 1700000);
	assert_int_equal(claim(&old, &r), 0);
	assert_int_equal(r.replay_top, 100);
	assert_int_equal(claim(&elsewhere, &r), 0);
	assert_int_equal(r.replay_top, 100);
	assert_int_equal(claim(&ahead, &r), 0);
	assert_int_equal(r.replay_top, 100);
}

static ssize_t no_pwrite(int fd, const void *buf, size_t len, off_t at)
{
	errno = EIO;
	return -1;
}

/* Who settles must hear that it did not work, and a record in ruins keeps no other from it. */
static void settling_fails_aloud(void **state)
{
	struct places places = {
		.state = {{.generation = 5, .status = XIPSEC_SA_LIVE, .replay_top = 900}}};
	static const struct reserve_io broken = {write, fsync, NULL, no_pwrite};
	const struct reserve_io *good = reserve.io;
	struct xipsec_sa ruined = make_sa(51, XIPSEC_DIR_IN, 0);
	char path[160];

	placed(50, XIPSEC_DIR_IN, HERE, 0, 5, 100);
	placed(51, XIPSEC_DIR_IN, HERE, 0, 5, 100);
	record_path(&ruined, path);
	assert_int_equal(truncate(path, 7), 0);
	reserve.io = &broken;
	assert_int_equal(reserve_settle(&reserve, HERE, look_at, &places), -EIO);
	reserve.io = good;
	places.unreadable = true;
	assert_int_equal(reserve_settle(&reserve, HERE, look_at, &places), -EIO);
	assert_true(top_of(50, XIPSEC_DIR_IN) == 100);
	places.unreadable = false;
	assert_int_equal(reserve_settle(&reserve, HERE, look_at, &places), 0);
	assert_true(top_of(50, XIPSEC_DIR_IN) == 900);
}

/* ------------------------------------------------------------------ breaking at each step */

static int fail_at, step;

static bool breaks(void)
{
	return ++step == fail_at;
}

static ssize_t bad_write(int fd, const void *buf, size_t len)
{
	if (!breaks())
		return write(fd, buf, len);
	/* A disk that is full in the middle. */
	return write(fd, buf, len / 2);
}

static int bad_fsync(int fd)
{
	errno = EIO;
	return breaks() ? -1 : fsync(fd);
}

static int bad_rename(int at, const char *from, const char *to)
{
	errno = EIO;
	return breaks() ? -1 : renameat(at, from, at, to);
}

static const struct reserve_io bad_io = {bad_write, bad_fsync, bad_rename, pwrite};

/* Plays a life of the counter: everything given out so far is below `used`. After a failure at any
 * step and a restart, the next number is above it. */
static void no_number_twice_whatever_breaks(void **state)
{
	const struct reserve_io *good = reserve.io;

	for (fail_at = 1; fail_at <= 9; fail_at++) {
		struct xipsec_sa sa = make_sa(20 + fail_at, XIPSEC_DIR_OUT, XIPSEC_SA_FRESH_KEY);
		struct reserve_record r, after;
		__u64 used = 0;
		bool broke = false;

		assert_int_equal(claim(&sa, &r), 0);
		reserve.io = &bad_io;
		step = 0;
		for (int round = 0; round < 2 && !broke; round++) {
			__u64 before = r.reserved;

			if (reserve_ahead(&reserve, &r, used, false)) {
				assert_true(r.reserved == before);
				broke = true;
			}
			used = r.reserved; /* the worker uses all it may */
		}
		assert_int_equal(broke, fail_at <= 8);
		reserve_close(&reserve);
		open_it();
		assert_ptr_equal(reserve.io, good);
		assert_int_equal(claim(&sa, &after), 0);
		assert_true(after.reserved >= used);
	}
}

static void one_user_of_a_state_dir(void **state)
{
	struct reserve other;

	assert_int_equal(reserve_open(dir, &other, text), -EBUSY);
	assert_non_null(strstr(text, "another xipsecd"));
}

/* ------------------------------------------------------------------ the earlier name */

static struct xipsec_sa make_ctr(__u8 direction, __u8 mac)
{
	struct xipsec_sa sa = make_sa(60, direction, XIPSEC_SA_FRESH_KEY);

	sa.alg = XIPSEC_ALG_AES128CTR_SHA256;
	sa.key_len = 52;
	memset(sa.key + 20, mac, 32);
	return sa;
}

/* As versions before wrote it: named after all of the key. */
static void earlier(const struct xipsec_sa *sa, __u64 reserved, __u64 top, char path[160])
{
	struct reserve_record r = {.engine = sa->engine,
				   .alg = sa->alg,
				   .dir = sa->dir,
				   .family = sa->outer_family,
				   .dst = sa->dst,
				   .reserved = reserved,
				   .replay_top = top,
				   .since = 1000,
				   .where = "boot:1",
				   .index = 3,
				   .generation = 4};

	reserve_fingerprint(XIPSEC_ALG_NONE, sa->key, sa->key_len, r.fingerprint);
	snprintf(path, 160, "%s/keys/%s", dir, r.fingerprint);
	assert_int_equal(reserve_write(&reserve, &r), 0);
}

/* Its numbers and its place go on under the new name; it goes when that one is on the disk. */
static void earlier_record_goes_on(void **state)
{
	struct xipsec_sa sa = make_ctr(XIPSEC_DIR_OUT, 0xaa),
			 other = make_ctr(XIPSEC_DIR_OUT, 0xbb);
	struct reserve_record r, again;
	char old[160], now[160];

	earlier(&sa, 500, 0, old);
	record_path(&sa, now);
	assert_string_not_equal(old, now);
	assert_int_equal(claim(&sa, &r), 0);
	assert_true(r.reserved == 500 && r.since == 1000 && r.index == 3 && r.generation == 4);
	assert_string_equal(r.where, "boot:1");
	/* Nothing is written before it is reserved: whoever dies here has lost nothing. */
	assert_int_equal(access(now, F_OK), -1);
	assert_int_equal(reserve_ahead(&reserve, &r, 500, false), 0);
	assert_int_equal(access(old, F_OK), 0);
	/* Nor here: both count. */
	assert_int_equal(claim(&sa, &again), 0);
	assert_true(again.reserved == 500 + RESERVE_CHUNK);
	reserve_moved(&reserve, &sa, sa.key);
	assert_int_equal(access(old, F_OK), -1);
	assert_int_equal(claim(&sa, &again), 0);
	assert_true(again.reserved == 500 + RESERVE_CHUNK);
	/* Two that had one key stream: the higher number of both. */
	earlier(&other, 9 * RESERVE_CHUNK, 0, old);
	assert_int_equal(claim(&other, &again), 0);
	assert_true(again.reserved == 9 * RESERVE_CHUNK);
	assert_string_equal(again.fingerprint, r.fingerprint);
	assert_int_equal(truncate(old, 7), 0);
	assert_int_equal(claim(&other, &again), -EKEYREJECTED);
	assert_int_equal(unlink(old), 0);
	assert_int_equal(truncate(now, 7), 0);
	assert_int_equal(claim(&other, &again), -EKEYREJECTED);
}

static void earlier_record_refuses(void **state)
{
	struct xipsec_sa sa = make_ctr(XIPSEC_DIR_IN, 0xaa);
	struct reserve_record r;
	char old[160];

	earlier(&sa, 0, 77, old);
	assert_int_equal(claim(&sa, &r), 0);
	assert_true(r.replay_top == 77);
	sa.dir = XIPSEC_DIR_OUT;
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
	earlier(&sa, UINT32_MAX, 0, old);
	assert_int_equal(claim(&sa, &r), -EKEYEXPIRED);
	assert_int_equal(truncate(old, 7), 0);
	assert_int_equal(claim(&sa, &r), -EKEYREJECTED);
	assert_non_null(strstr(text, "damaged"));
}

/* Removes nothing where the two names are one. */
static void nothing_moved(void **state)
{
	struct xipsec_sa sa = make_sa(61, XIPSEC_DIR_OUT, XIPSEC_SA_FRESH_KEY);
	struct reserve_record r;

	assert_int_equal(claim(&sa, &r), 0);
	assert_int_equal(reserve_ahead(&reserve, &r, 0, false), 0);
	reserve_moved(&reserve, &sa, sa.key);
	sa.flags &= ~XIPSEC_SA_FRESH_KEY;
	assert_int_equal(claim(&sa, &r), 0);
}

static void fingerprint_is_the_agreed_one(void **state)
{
	/* printf 'xipsec key fingerprint' | openssl dgst -sha256 -mac HMAC -macopt hexkey:0001..13
	 */
	char got[RESERVE_NAME_LEN];
	__u8 key[20];

	for (int i = 0; i < 20; i++)
		key[i] = i;
	reserve_fingerprint(XIPSEC_ALG_AES128GCM16, key, sizeof(key), got);
	assert_string_equal(got, "089d47ae83f98ff86114decc491e2ef9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(unknown_key_is_refused_unless_fresh, setup,
						teardown),
		cmocka_unit_test_setup_teardown(record_wins_over_fresh, setup, teardown),
		cmocka_unit_test_setup_teardown(every_field_comes_back, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_never_trusted, setup, teardown),
		cmocka_unit_test_setup_teardown(torn_top_costs_no_key, setup, teardown),
		cmocka_unit_test_setup_teardown(slot_of_another_key, setup, teardown),
		cmocka_unit_test_setup_teardown(others_could_have_written_it, setup, teardown),
		cmocka_unit_test_setup_teardown(one_engine_direction_and_algorithm, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_space_ends, setup, teardown),
		cmocka_unit_test_setup_teardown(settled_before_the_map_goes, setup, teardown),
		cmocka_unit_test_setup_teardown(settled_after_a_death, setup, teardown),
		cmocka_unit_test_setup_teardown(settling_fails_aloud, setup, teardown),
		cmocka_unit_test_setup_teardown(no_number_twice_whatever_breaks, setup, teardown),
		cmocka_unit_test_setup_teardown(one_user_of_a_state_dir, setup, teardown),
		cmocka_unit_test_setup_teardown(earlier_record_goes_on, setup, teardown),
		cmocka_unit_test_setup_teardown(earlier_record_refuses, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_moved, setup, teardown),
		cmocka_unit_test(fingerprint_is_the_agreed_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
