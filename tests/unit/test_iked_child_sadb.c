// SPDX-License-Identifier: BSD-2-Clause
/* The child and its connection to xipsecd: who asks for an SA hears what became of it, and nothing
 * begins before it is known which SAs there are. The engine and the other end of the socket are
 * this test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "iked/child_inside.h"
#include "lib/log.h"

static struct child c;
static int peer = -1; /* xipsecd's end */
static char said[2048];

static void note(const char *what, const char *more)
{
	size_t len = strlen(said);

	snprintf(said + len, sizeof(said) - len, "%s%s ", what, more);
}

/* ------------------------------------------------------------------ the engine, and the rest */

void child_plan(struct child *child)
{
}

void child_finish(struct child *child, int status)
{
	note("finish", "");
}

void child_udp_close(struct child *child)
{
	note("deaf", "");
}

void child_udp_listen(struct child *child)
{
	note("listens", "");
}

void child_parent_sadb_gone(struct child *child)
{
	char more[16];

	snprintf(more, sizeof(more), "%u", child->n_links);
	note("gone", more);
}

void engine_answer_sa(struct engine *engine, __u64 id, int err, const char *text)
{
	char more[32];

	snprintf(more, sizeof(more), "%llu:%d", (unsigned long long)id, err);
	note("answer", more);
}

int engine_start(struct engine *engine, const char *name)
{
	note("start:", name);
	return 0;
}

void engine_sadb_lost(struct engine *engine)
{
	note("lost", "");
}

void engine_sa_hard(struct engine *engine, const char *sa)
{
	note("hard:", sa);
}

void engine_sa_withdrawn(struct engine *engine, const char *sa)
{
	note("withdrawn:", sa);
}

void engine_sa_idle(struct engine *engine, const char *sa)
{
	note("idle:", sa);
}

/* Not asked here. */
void engine_acquire(struct engine *engine, const char *sadb_child)
{
}

void engine_sa_soft(struct engine *engine, const char *sa)
{
}

void engine_sa_used(struct engine *engine, const char *sa)
{
	note("used:", sa);
}

void engine_sa_mapping(struct engine *engine, const char *sa, const struct xipsec_addr *remote,
		       __be16 remote_port)
{
}

void engine_spi_unknown(struct engine *engine, const struct xipsec_addr *remote, __u8 family,
			__be32 spi)
{
}

void engine_sa_selectors(struct engine *engine, const char *sa, const struct xipsec_sample *inner)
{
}

void child_orphans_see(struct child *child, const struct xipsec_sa *sa, bool stopped)
{
	note(stopped ? "stopped:" : "sees:", sa->name);
}

void child_orphans_seen(struct child *child)
{
	note("seen", "");
}

/* It has some of connection "later". */
bool child_orphans_start(const struct child *child, const char *conn)
{
	return strcmp(conn, "later") == 0;
}

void child_orphans_over(struct child *child, const char *sa, const char *sadb_child, bool again)
{
	note(again ? "over:" : "idles:", sa);
}

void child_orphans_used(struct child *child, const char *sa, const char *sadb_child,
			const struct xipsec_addr *from)
{
	char more[64];

	snprintf(more, sizeof(more), "%s/%s/%u", sa, sadb_child, from->byte[3]);
	note("follows:", more);
}

void child_orphans_lost(struct child *child)
{
	note("loses", "");
}

void child_orphans_free(struct child *child)
{
	note("forgets", "");
}

/* ------------------------------------------------------------------ xipsecd */

static void connect_it(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		abort();
	peer = pair[1];
	child_sadb_link(&c, pair[0]);
}

static void hang_up(void)
{
	close(peer);
	peer = -1;
}

static void turn(void)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(c.base, EVLOOP_NONBLOCK);
}

/* The next request is of that type; its seq. */
static __u32 asked(enum xipsec_sadb_type type)
{
	static union {
		struct sadb_hdr hdr;
		char room[65536];
	} buf;

	assert_true(recv(peer, &buf, sizeof(buf), 0) >= (ssize_t)sizeof(buf.hdr));
	assert_int_equal(buf.hdr.type, type);
	return buf.hdr.seq;
}

static void say(void *message, size_t len, __u16 flags, __u32 seq)
{
	struct sadb_hdr *hdr = message;

	hdr->abi = XIPSEC_ABI;
	hdr->len = (__u32)len;
	hdr->flags = flags;
	hdr->seq = seq;
	assert_int_equal(send(peer, message, len, MSG_NOSIGNAL), len);
	turn();
}

static void hello(__u64 epoch)
{
	struct sadb_hello m = {.hdr.type = XIPSEC_SADB_HELLO, .epoch = epoch};

	turn();
	asked(XIPSEC_SADB_SUBSCRIBE);
	say(&m, sizeof(m), 0, asked(XIPSEC_SADB_HELLO));
}

static void list_item(__u32 seq, const char *name, __u32 status)
{
	struct sadb_sa_info *m = calloc(1, sizeof(*m));
	size_t len = offsetof(struct sadb_sa_info, sa) + XIPSEC_SA_SIZE(0);

	m->hdr.type = XIPSEC_SADB_SA_LIST;
	m->status = status;
	strcpy(m->sa.name, name);
	say(m, len, XIPSEC_SADB_MORE, seq);
	free(m);
}

static void list_end(__u32 seq)
{
	struct sadb_hdr m = {.type = XIPSEC_SADB_SA_LIST};

	say(&m, sizeof(m), 0, seq);
}

static void tell(enum xipsec_event what, enum xipsec_limit limit)
{
	struct sadb_event m = {.hdr.type = XIPSEC_SADB_EVENT, .event = what, .limit = limit};

	strcpy(m.sa, "net-7-o");
	strcpy(m.child, "c/net");
	m.src.byte[3] = 9;
	say(&m, sizeof(m), 0, 0);
}

static int setup(void **state)
{
	c = (struct child){.base = event_base_new()};
	said[0] = 0;
	return !c.base;
}

static int teardown(void **state)
{
	child_sadb_free(&c);
	event_base_free(c.base);
	if (peer >= 0)
		hang_up();
	return 0;
}

static void add(__u64 id)
{
	struct xipsec_sa sa = {.name = "net-1-i"};

	child_sadb_add(&c, id, &sa);
}

/* ------------------------------------------------------------------ the tests */

/* Begins, listens: when the list is whole. */
static void waits_for_the_list(void **state)
{
	__u32 seq;

	child_sadb_start(&c, "a");
	child_sadb_start(&c, "later");
	child_sadb_start(&c, "b");
	connect_it();
	hello(1);
	seq = asked(XIPSEC_SADB_SA_LIST);
	list_item(seq, "net-7-i", XIPSEC_SA_LIVE);
	list_item(seq, "net-7-o", XIPSEC_SA_STOPPED);
	assert_string_equal(said, "forgets sees:net-7-i stopped:net-7-o ");
	said[0] = 0;
	list_end(seq);
	assert_string_equal(said, "seen start:a start:b listens ");
	said[0] = 0;
	child_sadb_start(&c, "a");
	child_sadb_start(&c, "later");
	assert_string_equal(said, "start:a ");
}

/* The connection ends in the middle of it: the next one is asked, whole. */
static void lists_again(void **state)
{
	__u32 seq;

	child_sadb_start(&c, "a");
	connect_it();
	hello(1);
	list_item(asked(XIPSEC_SADB_SA_LIST), "net-7-i", XIPSEC_SA_LIVE);
	hang_up();
	turn();
	assert_string_equal(said, "forgets sees:net-7-i deaf gone1 ");
	said[0] = 0;
	connect_it();
	hello(1);
	seq = asked(XIPSEC_SADB_SA_LIST);
	list_item(seq, "net-7-i", XIPSEC_SA_LIVE);
	list_end(seq);
	assert_string_equal(said, "forgets sees:net-7-i seen start:a listens ");
	said[0] = 0;
	hang_up();
	turn();
	connect_it();
	hello(1); /* nothing new */
	assert_string_equal(said, "deaf gone2 ");
	assert_int_equal(recv(peer, said, 1, 0), -1);
}

/* An xipsecd of a new epoch, before the first one's list had come. */
static void another_xipsecd(void **state)
{
	child_sadb_start(&c, "a");
	connect_it();
	hello(1);
	hang_up();
	turn();
	said[0] = 0;
	connect_it();
	/* Whether it is a new one is not known yet: what it was asked now the engine would forget
	 * when it hears of the loss, and nobody would ever delete it. */
	add(5);
	hello(2);
	assert_string_equal(said, "answer5:-107 forgets lost ");
	said[0] = 0;
	list_end(asked(XIPSEC_SADB_SA_LIST));
	assert_string_equal(said, "seen start:a listens ");
	add(6);
	turn();
	asked(XIPSEC_SADB_SA_ADD);
	hang_up();
	turn();
	assert_string_equal(said, "seen start:a listens answer6:-104 deaf gone2 ");
}

/* A connection to the next xipsecd comes before the end of the last one is read: whether it is a
 * new one is not known here either. */
static void another_before_the_end(void **state)
{
	int old;

	connect_it();
	hello(1);
	list_end(asked(XIPSEC_SADB_SA_LIST));
	old = peer;
	said[0] = 0;
	connect_it();
	add(5);
	hello(2);
	assert_string_equal(said, "answer5:-107 loses lost ");
	add(6);
	turn();
	asked(XIPSEC_SADB_SA_ADD);
	close(old);
}

/* … and after it: what had an SA of before begins all the same, at its time. */
static void another_one_later(void **state)
{
	connect_it();
	hello(1);
	list_end(asked(XIPSEC_SADB_SA_LIST));
	hang_up();
	turn();
	said[0] = 0;
	connect_it();
	hello(2);
	assert_string_equal(said, "loses lost ");
	assert_int_equal(recv(peer, said, 1, 0), -1);
}

/* Whoever asks for an SA is answered: there is no xipsecd, it goes, it has just gone, another
 * connection takes its place. */
static void every_add_is_answered(void **state)
{
	add(1);
	assert_string_equal(said, "");
	turn();
	assert_string_equal(said, "answer1:-107 ");
	said[0] = 0;
	connect_it();
	add(2);
	hang_up();
	add(3);
	add(4);
	assert_string_equal(said, "");
	turn();
	assert_string_equal(said, "answer2:-104 answer3:-104 answer4:-104 deaf gone1 ");
	said[0] = 0;
	connect_it();
	add(5);
	hang_up();
	connect_it();
	assert_string_equal(said, "answer5:-104 ");
	turn();
	assert_string_equal(said, "answer5:-104 ");
}

/* What ends may be the engine's or an orphan, what is used may end one: both hear of it. */
static void news_are_told(void **state)
{
	connect_it();
	hello(1);
	said[0] = 0;
	tell(XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_TIME);
	assert_string_equal(said, "over:net-7-o hard:net-7-o ");
	said[0] = 0;
	tell(XIPSEC_EVENT_EXPIRE_HARD, XIPSEC_LIMIT_POLICY);
	assert_string_equal(said, "over:net-7-o withdrawn:net-7-o ");
	said[0] = 0;
	tell(XIPSEC_EVENT_IDLE, XIPSEC_LIMIT_NONE);
	assert_string_equal(said, "idles:net-7-o idle:net-7-o ");
	said[0] = 0;
	tell(XIPSEC_EVENT_USED, XIPSEC_LIMIT_NONE);
	assert_string_equal(said, "follows:net-7-o/c/net/9 used:net-7-o ");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(waits_for_the_list),     TEST(lists_again),       TEST(another_xipsecd),
		TEST(another_before_the_end), TEST(another_one_later), TEST(every_add_is_answered),
		TEST(news_are_told),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("child_sadb", tests, NULL, NULL);
}
