// SPDX-License-Identifier: BSD-2-Clause
/* The SADB: in which order the world learns of an SA, where its state stands, what is refused, and
 * what of it outlives xipsecd. The maps are an array, the workers a list of what they were told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/addr.h"
#include "loader/manual.h"
#include "loader/sadb_server.h"

#define MAX 8

/* Two generations of maps; `states` is the one in force. */
static struct xipsec_sa_state homes[2][MAX];
static struct xipsec_sa_state *states = homes[0];
static char said[2048]; /* what was done, in order */
static struct xipsec_child child_now;
static struct xipsec_sad_key sad_key; /* what the map was given last */
static struct xipsec_sad_entry sad_entry;
static unsigned int n_workers;
static int sad_fails;
static char dir[64];
static struct reserve reserve;
static struct sas *sas;
static char text[XIPSEC_SADB_ERR_TEXT];

static void say(const char *what, unsigned int index)
{
	size_t at = strlen(said);

	snprintf(said + at, sizeof(said) - at, "%s%u ", what, index);
}

/* What the state says at that moment is part of the order. */
static unsigned int status_of(unsigned int index)
{
	return states[index].status;
}

static int sad_set(void *ctx, const struct xipsec_sad_key *key,
		   const struct xipsec_sad_entry *entry)
{
	assert_int_equal(status_of(entry->sa_index), XIPSEC_SA_LIVE);
	assert_int_equal(states[entry->sa_index].generation, entry->sa_generation);
	sad_key = *key;
	sad_entry = *entry;
	say("sad", entry->sa_index);
	return sad_fails;
}

static int sad_delete(void *ctx, const struct xipsec_sad_key *key)
{
	say("unsad", 0);
	return 0;
}

static int child_id(void *ctx, const struct xipsec_sa *of)
{
	return of->child[0] - 'a';
}

static int child_set(void *ctx, __u32 id, const struct xipsec_child *child)
{
	say(child->sa_generation ? "child" : "nochild", child->sa_index);
	child_now = *child;
	return 0;
}

static void install(void *ctx, const struct ctl_sa *msg)
{
	assert_int_equal(status_of(msg->index), XIPSEC_SA_LIVE);
	assert_true(msg->sa.key[0] != 0);
	say("key", msg->index);
}

static void forget(void *ctx, const struct ctl_sa_ref *refs, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		assert_int_equal(status_of(refs[i].index), XIPSEC_SA_LIVE);
		assert_int_equal(states[refs[i].index].generation, refs[i].generation);
		say("forget", refs[i].index);
	}
}

static void event(void *ctx, struct sadb_event *event)
{
	assert_int_equal(event->event, XIPSEC_EVENT_EXPIRE_HARD);
	assert_int_equal(event->limit, XIPSEC_LIMIT_POLICY);
	say("stopped", event->sa_index);
}

static unsigned int workers(void *ctx)
{
	return n_workers;
}

static const struct sas_ops ops = {sad_set, sad_delete, child_id, child_set, install,
				   forget,  event,      workers,  NULL};

static void start(const char *where)
{
	assert_int_equal(reserve_open(dir, &reserve, text), 0);
	sas = sas_new(MAX, &reserve, &ops, NULL);
	assert_non_null(sas);
	assert_int_equal(sas_bind(sas, states, sizeof(states[0]), MAX, where), 0);
}

/* As kill -9 does: nothing is written back. */
static void crash(void)
{
	sas_free(sas);
	reserve_close(&reserve);
}

static int setup(void **state)
{
	memset(homes, 0, sizeof(homes));
	states = homes[0];
	said[0] = 0;
	n_workers = 1;
	sad_fails = 0;
	strcpy(dir, "/tmp/xipsec-sadb.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	start("boot:1");
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	crash();
	snprintf(command, sizeof(command), "rm -rf '%s'", dir);
	return system(command);
}

static struct xipsec_sa make(const char *name, __u8 direction, __u32 spi)
{
	struct xipsec_sa sa = {.child = "a",
			       .spi = htonl(spi),
			       .outer_family = XIPSEC_FAMILY_IP4,
			       .l4_proto = IPPROTO_ESP,
			       .dir = direction,
			       .mode = XIPSEC_MODE_TUNNEL,
			       .alg = XIPSEC_ALG_AES128GCM16,
			       .flags = XIPSEC_SA_MANUAL | XIPSEC_SA_FRESH_KEY,
			       .window = 1024,
			       .n_selectors = direction == XIPSEC_DIR_IN,
			       .key_len = 20};

	strcpy(sa.name, name);
	for (int i = 3; i < 20; i++)
		sa.key[i] = 0xa0 + i;
	sa.key[0] = 1;
	sa.key[1] = spi & 0xff;
	sa.key[2] = spi >> 8 & 0xff;
	return sa;
}

static struct sa *add(const char *name, __u8 direction, __u32 spi)
{
	struct xipsec_sa sa = make(name, direction, spi);

	assert_int_equal(sas_add(sas, &sa, text), 0);
	return sas_by_name(sas, name);
}

static void delete (struct sa *sa)
{
	sas_delete(sas, &sa, 1);
}

static void order_of_install_and_delete(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

	assert_string_equal(said, "key0 sad0 child0 ");
	said[0] = 0;
	delete (sa);
	assert_string_equal(said, "nochild0 unsad0 forget0 ");
	assert_int_equal(states[0].status, XIPSEC_SA_FREE);
	assert_int_equal(sas_count(sas), 0);
}

static void generation_never_comes_back(void **state)
{
	__u32 last[MAX] = {0};

	for (int i = 0; i < 40; i++) {
		struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

		assert_true(sa->generation > last[sa->index]);
		last[sa->index] = sa->generation;
		delete (sa);
	}
	states[0].generation = UINT32_MAX;
	for (int i = 0; i < MAX; i++) {
		struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

		assert_int_not_equal(sa->generation, 0);
		delete (sa);
	}
}

static void failure_leaves_nothing(void **state)
{
	struct xipsec_sa sa = make("one", XIPSEC_DIR_OUT, 0x1001);

	sad_fails = -E2BIG;
	assert_int_equal(sas_add(sas, &sa, text), -E2BIG);
	assert_int_equal(sas_count(sas), 0);
	assert_int_equal(states[0].status, XIPSEC_SA_FREE);
	assert_non_null(strstr(said, "forget0"));
}

static void rekey_switches_and_back(void **state)
{
	struct sa *old = add("old", XIPSEC_DIR_OUT, 0x1001);
	struct sa *new = add("new", XIPSEC_DIR_OUT, 0x1002);

	assert_int_equal(child_now.sa_index, new->index);
	delete (new);
	assert_int_equal(child_now.sa_index, old->index);
	assert_int_equal(child_now.sa_generation, old->generation);
}

static void refusals(void **state)
{
	struct xipsec_sa sa;

	add("one", XIPSEC_DIR_OUT, 0x1001);
#define REFUSED(change, err, word)                              \
	do {                                                    \
		sa = make("two", XIPSEC_DIR_OUT, 0x1002);       \
		change;                                         \
		assert_int_equal(sas_add(sas, &sa, text), err); \
		assert_non_null(strstr(text, word));            \
	} while (0)
	REFUSED(strcpy(sa.name, "one"), -EEXIST, "of that name");
	REFUSED(sa.spi = htonl(0x1001), -EEXIST, "SPI");
	REFUSED(sa.key[1] = 1; sa.key[2] = 0x10, -EEXIST, "same key");
	REFUSED(sa.spi = htonl(255), -EINVAL, "reserved");
	REFUSED(sa.key_len = 16, -EINVAL, "length");
	REFUSED(sa.engine = XIPSEC_ENGINE_XFRM, -EINVAL, "no record on disk");
	REFUSED(sa.engine = XIPSEC_ENGINE_XFRM;
		sa.flags &= ~XIPSEC_SA_MANUAL, -EPROTONOSUPPORT, "no ESP");
	REFUSED(sa.window = 63, -EINVAL, "window");
	REFUSED(sa.dir = XIPSEC_DIR_IN, -EINVAL, "selectors");
	REFUSED(sa.flags &= ~XIPSEC_SA_FRESH_KEY, -ENOKEY, "fresh_key");
	REFUSED(sa.l4_proto = IPPROTO_AH, -EINVAL, "no cipher");
	REFUSED(n_workers = 2; sa.window = 512, -EINVAL, "replay_window");
#undef REFUSED
	assert_int_equal(sas_count(sas), 1);
}

/* How the programs find it: AH by its protocol, ESP in UDP by `udp`. */
static void forms_in_the_sad(void **state)
{
	struct xipsec_sa sa = make("esp", XIPSEC_DIR_OUT, 0x1001);

	sa.mode = XIPSEC_MODE_TRANSPORT;
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(sad_key.l4_proto, IPPROTO_ESP);
	assert_int_equal(sad_entry.udp, 0);
	sa = make("udp", XIPSEC_DIR_OUT, 0x1002);
	sa.flags |= XIPSEC_SA_UDP;
	sa.src_port = sa.dst_port = htons(4500);
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(sad_key.l4_proto, IPPROTO_ESP);
	assert_int_equal(sad_entry.udp, 1);
	sa = make("ah", XIPSEC_DIR_OUT, 0x1003);
	sa.l4_proto = IPPROTO_AH;
	sa.alg = XIPSEC_ALG_NULL_SHA256;
	sa.key_len = 32;
	assert_int_equal(sas_add(sas, &sa, text), 0);
	assert_int_equal(sad_key.l4_proto, IPPROTO_AH);
	assert_int_equal(sad_entry.udp, 0);
}

static void numbers_go_on_above_the_reserved(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);

	assert_true(states[0].seq == 0);
	assert_true(states[0].seq_limit == RESERVE_CHUNK);
	states[0].seq = RESERVE_CHUNK - 10;
	sas_tick(sas);
	assert_true(states[0].seq_limit == 2 * RESERVE_CHUNK - 10);
	/* A worker that turns its counter back fools nobody. */
	states[0].seq = 5;
	crash();
	start("boot:1");
	sa = add("one", XIPSEC_DIR_OUT, 0x1001);
	assert_true(states[sa->index].seq == 2 * RESERVE_CHUNK - 10);
	/* Deleted: the exact number. Made again: above it. */
	states[sa->index].seq += 7;
	delete (sa);
	sa = add("one", XIPSEC_DIR_OUT, 0x1001);
	assert_true(states[sa->index].seq == 2 * RESERVE_CHUNK - 10 + 7);
}

static ssize_t no_room(int fd, const void *buf, size_t len)
{
	errno = ENOSPC;
	return -1;
}

static void full_disk_stops_it(void **state)
{
	struct reserve_io full = *reserve.io;
	const struct reserve_io *good = reserve.io;

	add("one", XIPSEC_DIR_OUT, 0x1001);
	full.write = no_room;
	reserve.io = &full;
	states[0].seq = RESERVE_CHUNK - 1;
	sas_tick(sas);
	assert_true(states[0].seq_limit == RESERVE_CHUNK);
	reserve.io = good;
	sas_tick(sas);
	assert_true(states[0].seq_limit == 2 * RESERVE_CHUNK - 1);
}

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

/* An inbound SA that saw 32 and 40 and wrote nothing of it yet. */
static struct sa *add_with_window(const char *name, __u32 spi)
{
	struct sa *sa = add(name, XIPSEC_DIR_IN, spi);

	states[sa->index].replay_top = 40;
	states[sa->index].replay[1] = 0x101;
	return sa;
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

static ssize_t no_touch(int fd, const void *buf, size_t len, off_t at)
{
	errno = EIO;
	return -1;
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

static void deleted_key_is_wiped(void **state)
{
	struct sa *sa = add("one", XIPSEC_DIR_OUT, 0x1001);
	struct xipsec_sa want = make("one", XIPSEC_DIR_OUT, 0x1001);
	static struct sa gone;
	static const __u8 zero[XIPSEC_KEY_MAX];
	struct ctl_sa msg;

	memcpy(&gone, sa, offsetof(struct sa, sa) + XIPSEC_SA_SIZE(sa->sa.n_selectors));
	/* The message reads the SA's room in the mapping of keys, whoever is in it. */
	sas_message(sas, &gone, &msg);
	assert_memory_equal(msg.sa.key, want.key, want.key_len);
	delete (sa);
	sas_message(sas, &gone, &msg);
	assert_memory_equal(msg.sa.key, zero, sizeof(zero));
}

/* ------------------------------------------------------------------ the socket */

static struct sas *hook_sas(void *ctx)
{
	return sas;
}

static void hook_status(void *ctx, struct sadb_status *out)
{
	out->epoch = 1234;
}

static struct config *config;

static const struct config *hook_config(void *ctx)
{
	return config;
}

static const struct sadb_hooks hooks = {
	.sas = hook_sas, .status = hook_status, .config = hook_config};
static struct event_base *base;
static struct sadb_server *server;

static void serve(void)
{
	base = event_base_new();
	assert_int_equal(sadb_server_new(base, dir, &hooks, NULL, &server), 0);
}

static void unserve(void)
{
	sadb_server_free(server);
	event_base_free(base);
}

static int dial(void)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", dir);
	if (fd < 0 || connect(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0)
		return -1;
	return fd;
}

static bool ask(int fd, __u16 type)
{
	struct sadb_hdr hdr = {.type = type, .abi = XIPSEC_ABI, .len = sizeof(hdr)};

	return send(fd, &hdr, sizeof(hdr), MSG_NOSIGNAL) == sizeof(hdr);
}

static void turn(void)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void listing_has_no_key(void **state)
{
	struct xipsec_sa want = make("one", XIPSEC_DIR_OUT, 0x1001);
	char got[16384];
	int fd, items = 0;
	ssize_t len;

	add("one", XIPSEC_DIR_OUT, 0x1001);
	add("in", XIPSEC_DIR_IN, 0x2001);
	serve();
	fd = dial();
	assert_true(fd >= 0);
	assert_true(ask(fd, XIPSEC_SADB_SA_LIST));
	turn();
	while ((len = recv(fd, got, sizeof(got), MSG_DONTWAIT)) > 0) {
		items++;
		/* The parts that all keys here have in common: no four bytes of them in a row. */
		for (int i = 3; i + 4 <= 20; i++)
			assert_null(memmem(got, len, want.key + i, 4));
	}
	assert_int_equal(items, 3); /* two SAs and the reply */
	close(fd);
	unserve();
}

static bool ask_delete(int fd, const char *name)
{
	struct sadb_name req = {
		.hdr = {.type = XIPSEC_SADB_SA_DELETE, .abi = XIPSEC_ABI, .len = sizeof(req)}};

	snprintf(req.name, sizeof(req.name), "%s", name);
	return send(fd, &req, sizeof(req), MSG_NOSIGNAL) == sizeof(req);
}

/* A client asks `n` times, is answered or not, deletes an SA and goes. */
static void ask_and_go(__u16 type, int n, bool answered, const char *name)
{
	int fd = dial();

	for (int i = 0; i < n; i++)
		assert_true(ask(fd, type));
	if (answered)
		turn();
	assert_true(ask_delete(fd, name));
	close(fd);
	turn();
}

/* A daemon that ends asks for the end of its SAs and goes: with answers unread, with more requests
 * than one turn takes, with a list half read. */
static void last_requests_of_a_client_that_is_gone(void **state)
{
	add("one", XIPSEC_DIR_IN, 0x2001);
	add("two", XIPSEC_DIR_IN, 0x2002);
	add("three", XIPSEC_DIR_IN, 0x2003);
	serve();
	ask_and_go(XIPSEC_SADB_HELLO, 1, true, "one");
	assert_int_equal(sas_count(sas), 2);
	ask_and_go(XIPSEC_SADB_HELLO, 40, false, "two");
	assert_int_equal(sas_count(sas), 1);
	ask_and_go(XIPSEC_SADB_SA_LIST, 200, true, "three");
	assert_int_equal(sas_count(sas), 0);
	unserve();
}

static void client_hears_of_a_broken_disk(void **state)
{
	struct reserve_io broken = *reserve.io;
	struct sadb_reply got = {0};
	int fd;

	broken.write = no_room;
	broken.pwrite = no_touch;
	add_with_window("in", 0x2001);
	reserve.io = &broken;
	serve();
	fd = dial();
	assert_true(ask_delete(fd, "in"));
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(got.hdr.err, -ENOSPC);
	assert_non_null(strstr(got.text, "make room"));
	close(fd);
	unserve();
}

/* The same at a reload that takes the SA out. */
static void reload_tells_of_a_broken_disk(void **state)
{
	struct reserve_io broken = *reserve.io;
	struct config none = {0};

	broken.write = no_room;
	broken.pwrite = no_touch;
	add_with_window("in", 0x2001);
	reserve.io = &broken;
	assert_int_equal(manual_apply(sas, &none, text), -ENOSPC);
	assert_non_null(strstr(text, "make room"));
	assert_int_equal(sas_count(sas), 0);
}

/* In a child process: what `uid` gets for a question. Its answer is the exit status. */
static void ask_as(uid_t uid, int ready)
{
	struct sadb_hello hello;
	struct timeval limit = {.tv_sec = 5};
	char byte = 0;
	int fd;

	if (setresuid(uid, uid, uid) < 0)
		_exit(3);
	fd = dial();
	if (fd < 0)
		_exit(4); /* then the file's mode turned it away and not the server */
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	ask(fd, XIPSEC_SADB_HELLO);
	if (write(ready, &byte, 1) != 1)
		_exit(5);
	_exit(recv(fd, &hello, sizeof(hello), 0) == sizeof(hello) ? 1 : 2);
}

static int answer_for(uid_t uid)
{
	int ready[2], status;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	if (pid == 0)
		ask_as(uid, ready[1]);
	close(ready[1]);
	(void)!read(ready[0], &byte, 1);
	close(ready[0]);
	turn();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void other_users_are_turned_away(void **state)
{
	char path[100];

	if (geteuid() != 0)
		skip();
	serve();
	snprintf(path, sizeof(path), "%s/sadb.sock", dir);
	assert_int_equal(chmod(dir, 0755), 0);
	assert_int_equal(chmod(path, 0666), 0);
	assert_int_equal(answer_for(0), 1);
	assert_int_equal(answer_for(65534), 2);
	unserve();
}

/* ------------------------------------------------------------------ selectors of a client */

#define POLICY_A  "a { action = protect\n local = 10.1.0.0/16\n remote = 10.2.0.0/16 }\n"
#define DISCARD_9 "nine { action = discard\n remote = 10.2.9.0/24 }\n"
#define DISCARD_8 "eight { action = discard\n remote = 10.2.8.0/24 }\n"

static struct config *policies(const char *body)
{
	struct config *read = NULL;
	char path[100];
	FILE *file;

	snprintf(path, sizeof(path), "%s/conf", dir);
	file = fopen(path, "w");
	assert_non_null(file);
	fprintf(file, "policies {\n%s}\n", body);
	fclose(file);
	assert_int_equal(config_load(path, &read, stderr), 0);
	return read;
}

static struct xipsec_selector pair(const char *local, const char *remote, unsigned int bits)
{
	struct xipsec_selector sel = {.local_port_hi = 65535,
				      .remote_port_hi = 65535,
				      .icmp_hi = 65535,
				      .family = XIPSEC_FAMILY_IP4,
				      .any_proto = 1};

	inet_pton(AF_INET, local, &sel.local_lo);
	inet_pton(AF_INET, remote, &sel.remote_lo);
	sel.local_hi = addr_last(&sel.local_lo, sel.family, bits);
	sel.remote_hi = addr_last(&sel.remote_lo, sel.family, bits);
	return sel;
}

/* What the server says to that SA; its words in `text`. */
static int ask_add(const struct xipsec_sa *sa)
{
	struct sadb_sa_add req = {
		.hdr = {.type = XIPSEC_SADB_SA_ADD, .abi = XIPSEC_ABI, .len = sizeof(req)},
		.sa = *sa};
	struct sadb_reply got = {0};
	int fd;

	serve();
	fd = dial();
	assert_int_equal(send(fd, &req, sizeof(req), 0), sizeof(req));
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	close(fd);
	unserve();
	memcpy(text, got.text, sizeof(text));
	return got.hdr.err;
}

static void clients_get_the_list_of_the_policies(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);
	struct xipsec_selector sel;
	struct sa *sa;

	config = policies(DISCARD_9 POLICY_A);
	want.n_selectors = 0;
	assert_int_equal(ask_add(&want), 0);
	sa = sas_by_name(sas, "in");
	assert_int_equal(sa->sa.n_selectors, 2);
	assert_int_equal(sa->sa.refuse[0], 1);
	assert_int_equal(sa->sa.refuse[1], 0);
	sel = pair("10.1.0.0", "10.2.0.0", 16);
	assert_memory_equal(&sa->sa.selector[1], &sel, sizeof(sel));
	inet_pton(AF_INET, "10.2.9.0", &sel.remote_lo);
	assert_memory_equal(&sa->sa.selector[0].remote_lo, &sel.remote_lo, sizeof(sel.remote_lo));
	delete (sa);

	/* Narrower: what it brings of its own to refuse counts for nothing. */
	want.n_selectors = 2;
	want.selector[0] = pair("10.1.9.0", "10.2.8.0", 24);
	want.selector[1] = pair("10.1.8.0", "10.2.9.0", 24);
	want.refuse[0] = 1;
	assert_int_equal(ask_add(&want), 0);
	sa = sas_by_name(sas, "in");
	assert_int_equal(sa->sa.n_selectors, 2);
	assert_int_equal(sa->sa.refuse[0], 1);
	assert_memory_equal(&sa->sa.selector[0].remote_lo, &sel.remote_lo, sizeof(sel.remote_lo));
	assert_int_equal(sa->sa.refuse[1], 0);
	assert_memory_equal(&sa->sa.selector[1], &want.selector[1], sizeof(sel));
	config_free(config);
}

static void clients_cannot_widen(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);

	config = policies(DISCARD_9 POLICY_A "b { action = protect\n remote = 10.3.0.0/16 }\n");
	want.selector[0] = pair("10.1.0.0", "10.2.0.0", 15);
	assert_int_equal(ask_add(&want), -EPERM);
	assert_non_null(strstr(text, "outside"));
	want.selector[0] = pair("10.1.0.0", "10.3.0.0", 16); /* of another child */
	assert_int_equal(ask_add(&want), -EPERM);
	want.n_selectors = XIPSEC_SELECTORS_MAX + 1;
	assert_int_equal(ask_add(&want), -EINVAL);
	want.n_selectors = 0;
	strcpy(want.child, "c");
	assert_int_equal(ask_add(&want), -EPERM);
	assert_non_null(strstr(text, "no policy"));
	memset(want.child, 'a', sizeof(want.child));
	assert_int_equal(ask_add(&want), -EPERM);
	assert_int_equal(sas_count(sas), 0);
	config_free(config);
}

/* A client's SA of 400 selectors: it comes in a message that ends with the last of them, stands so,
 * and is told so. One that says more than it brings is refused. */
static void hundreds_of_selectors(void **state)
{
	static struct sadb_sa_add req;
	static struct sadb_sa_info info;
	struct sadb_reply got = {0};
	struct sadb_hdr list = {
		.type = XIPSEC_SADB_SA_LIST, .abi = XIPSEC_ABI, .len = sizeof(list)};
	const size_t len = offsetof(struct sadb_sa_add, sa) + XIPSEC_SA_SIZE(400);
	struct sa *sa;
	int fd;

	config = policies(POLICY_A);
	req.hdr = (struct sadb_hdr){.type = XIPSEC_SADB_SA_ADD, .abi = XIPSEC_ABI, .len = len};
	req.sa = make("in", XIPSEC_DIR_IN, 0x2001);
	req.sa.n_selectors = 400;
	for (unsigned int i = 0; i < 400; i++) {
		req.sa.selector[i] = pair("10.1.0.0", "10.2.0.0", 32);
		req.sa.selector[i].remote_lo.byte[2] = req.sa.selector[i].remote_hi.byte[2] =
			(__u8)(i / 200);
		req.sa.selector[i].remote_lo.byte[3] = req.sa.selector[i].remote_hi.byte[3] =
			(__u8)(i % 200);
	}
	serve();
	fd = dial();
	req.sa.n_selectors = 401;
	assert_int_equal(send(fd, &req, len, 0), len);
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(got.hdr.err, -EINVAL);
	req.sa.n_selectors = 400;
	assert_int_equal(send(fd, &req, len, 0), len);
	turn();
	assert_int_equal(recv(fd, &got, sizeof(got), MSG_DONTWAIT), sizeof(got));
	assert_int_equal(got.hdr.err, 0);
	sa = sas_by_name(sas, "in");
	assert_non_null(sa);
	assert_int_equal(sa->sa.n_selectors, 400);
	assert_memory_equal(sa->sa.selector, req.sa.selector, 400 * sizeof(req.sa.selector[0]));
	assert_int_equal(send(fd, &list, sizeof(list), 0), sizeof(list));
	turn();
	assert_int_equal(recv(fd, &info, sizeof(info), MSG_DONTWAIT),
			 offsetof(struct sadb_sa_info, sa) + XIPSEC_SA_SIZE(400));
	assert_true(sadb_sa_info_whole(&info, info.hdr.len));
	assert_memory_equal(info.sa.selector, req.sa.selector, 400 * sizeof(req.sa.selector[0]));
	close(fd);
	unserve();
	config_free(config);
}

static void new_policies_end_clients_sas(void **state)
{
	struct xipsec_sa want = make("in", XIPSEC_DIR_IN, 0x2001);
	struct config *next;

	config = policies(DISCARD_9 POLICY_A);
	want.n_selectors = 1;
	want.selector[0] = pair("10.1.8.0", "10.2.8.0", 24);
	assert_int_equal(ask_add(&want), 0);
	said[0] = 0;
	next = policies(DISCARD_9 POLICY_A "b { action = protect\n remote = 10.3.0.0/16 }\n");
	assert_int_equal(manual_apply(sas, next, text), 0);
	assert_int_equal(sas_count(sas), 1);
	assert_string_equal(said, "");
	config_free(next);
	next = policies(DISCARD_9 DISCARD_8 POLICY_A);
	assert_int_equal(manual_withdraw(sas, next, text), 0);
	assert_int_equal(sas_count(sas), 0);
	assert_non_null(strstr(said, "stopped0 "));
	assert_non_null(strstr(said, "forget0 "));
	config_free(next);
	config_free(config);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(order_of_install_and_delete),
		TEST(generation_never_comes_back),
		TEST(failure_leaves_nothing),
		TEST(rekey_switches_and_back),
		TEST(refusals),
		TEST(forms_in_the_sad),
		TEST(numbers_go_on_above_the_reserved),
		TEST(full_disk_stops_it),
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
		TEST(deleted_key_is_wiped),
		TEST(listing_has_no_key),
		TEST(last_requests_of_a_client_that_is_gone),
		TEST(client_hears_of_a_broken_disk),
		TEST(reload_tells_of_a_broken_disk),
		TEST(other_users_are_turned_away),
		TEST(clients_get_the_list_of_the_policies),
		TEST(clients_cannot_widen),
		TEST(hundreds_of_selectors),
		TEST(new_policies_end_clients_sas),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
