// SPDX-License-Identifier: BSD-2-Clause
/* SAs of a process before: what they hold back, when each begins again, and when each goes. The
 * engine and xipsecd are this test's: it writes down what they are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>
#include "iked/child_inside.h"
#include "lib/log.h"

static __u64 now;
static char said[1024]; /* "begin:c/net delete:net-7-o orphans:c=1 " */
static __u32 behind;
static struct conn conn = {.name = "c", .n_children = 2};
static struct conn_child children[] = {{.sadb_name = "c/net"}, {.sadb_name = "c/lan"}};
static struct child c;

static void note(const char *what, const char *name, const char *more)
{
	size_t len = strlen(said);

	if (len < sizeof(said) / 2) /* of many the first are enough */
		snprintf(said + len, sizeof(said) - len, "%s:%s%s ", what, name, more);
}

__u64 child_now(void)
{
	return now;
}

void child_plan(struct child *child)
{
}

void child_sadb_delete(void *ctx, const char *name)
{
	note("delete", name, "");
}

void engine_ids_behind(struct engine *engine, __u32 id)
{
	behind = id > behind ? id : behind;
}

void engine_begin_child(struct engine *engine, const char *sadb_child)
{
	note("begin", sadb_child, "");
}

int engine_start(struct engine *engine, const char *name)
{
	note("start", name, "");
	return 0;
}

bool engine_has_sa(const struct engine *engine, const char *sa)
{
	return strcmp(sa, "ours-3-i") == 0;
}

int engine_conn_orphans(struct engine *engine, const char *name, bool there_are)
{
	note("orphans", name, there_are ? "=1" : "=0");
	return 0;
}

const struct conn *engine_conn(const struct engine *engine, const char *name)
{
	return strcmp(name, "c") ? NULL : &conn;
}

const struct conn *engine_conn_of_child(const struct engine *engine, const char *sadb_child)
{
	return strncmp(sadb_child, "c/", 2) ? NULL : &conn;
}

static int setup(void **state)
{
	conn.children = children;
	now = 100000;
	behind = 0;
	said[0] = 0;
	c = (struct child){.base = event_base_new()};
	c.linger = event_new(c.base, -1, 0, child_orphans_linger, &c);
	c.restart = event_new(c.base, -1, 0, child_orphans_restart, &c);
	return !c.linger || !c.restart;
}

static int teardown(void **state)
{
	child_orphans_free(&c);
	event_free(c.linger);
	event_free(c.restart);
	event_base_free(c.base);
	return 0;
}

static struct xipsec_addr host(__u8 n)
{
	return (struct xipsec_addr){.byte = {192, 0, 2, n}};
}

static void see_one(const char *name, const char *child, __u8 peer, bool stopped)
{
	struct xipsec_sa sa = {.src = host(1), .dst = host(1)};
	bool out = name[strlen(name) - 1] == 'o';

	sa.dir = out ? XIPSEC_DIR_OUT : XIPSEC_DIR_IN;
	*(out ? &sa.dst : &sa.src) = host(peer);
	strcpy(sa.name, name);
	strcpy(sa.child, child);
	child_orphans_see(&c, &sa, stopped);
}

static void see(const char *name, const char *child, __u8 peer)
{
	see_one(name, child, peer, false);
}

static void two(void)
{
	see("net-7-i", "c/net", 2);
	see("net-7-o", "c/net", 2);
	child_orphans_seen(&c);
	said[0] = 0;
}

static void replaced(const char *child, __u8 peer)
{
	struct xipsec_addr addr = host(peer);

	child_orphans_replaced(&c, child, &addr);
}

static void used(const char *sa, const char *child, __u8 peer)
{
	struct xipsec_addr addr = host(peer);

	child_orphans_used(&c, sa, child, &addr);
}

static void at(__u64 ms)
{
	now = 100000 + ms;
	child_orphans_restart(-1, 0, &c);
	child_orphans_linger(-1, 0, &c);
}

/* Ours must not be called like theirs; and INITIAL_CONTACT must wait (engine_conn_orphans()). */
static void names_and_contact(void **state)
{
	see("net-7-i", "c/net", 2);
	see("l-a-n-41-o", "c/lan", 2);
	see("odd", "c/lan", 2);
	see("ours-3-i", "c/net", 2);     /* made while the list was under way */
	see("other-99-x", "z/other", 2); /* of no connection that is loaded */
	assert_int_equal(behind, 99);
	assert_string_equal(said, "");
	child_orphans_seen(&c);
	assert_non_null(strstr(said, "orphans:c=1 "));
	assert_null(strstr(said, "orphans:z"));
	assert_null(strstr(said, "=0"));
	said[0] = 0;
	child_orphans_tell(&c, "c"); /* it was loaded again */
	assert_string_equal(said, "orphans:c=1 ");
	child_orphans_tell(&c, "none");
	said[0] = 0;
	child_orphans_delete(&c);
	assert_null(strstr(said, "ours"));
}

/* Names that do not end are nobody's. */
static void names_without_end(void **state)
{
	struct xipsec_sa sa = {.dir = XIPSEC_DIR_IN, .child = "c/net"};

	memset(sa.name, 'x', sizeof(sa.name));
	child_orphans_see(&c, &sa, false);
	assert_null(c.orphans);
	memset(sa.child, 'x', sizeof(sa.child));
	strcpy(sa.name, "net-7-i");
	child_orphans_see(&c, &sa, false);
	assert_null(c.orphans);
}

/* Once each child, within three seconds, not all at once. */
static void begins_again(void **state)
{
	unsigned int first = 0;

	for (int i = 0; i < 200; i++) {
		char name[32], child[32];

		snprintf(name, sizeof(name), "n-%d-i", i);
		snprintf(child, sizeof(child), "c/n%d", i);
		see(name, child, 2);
		name[strlen(name) - 1] = 'o';
		see(name, child, 2);
	}
	said[0] = 0;
	child_orphans_restart(-1, 0, &c);
	assert_string_equal(said, ""); /* each has a wait of its own */
	for (int ms = 10; ms <= 3000; ms += 10) {
		at(ms);
		for (const char *s = said; (s = strstr(s, "begin:")); s++)
			first++;
		assert_in_range(strlen(said), 0, 400); /* of 200 never many in 10 ms */
		said[0] = 0;
	}
	assert_int_equal(first, 200);
	at(30000);
	assert_string_equal(said, "");
}

/* Nobody answers: ever more rarely, each child once, whatever there is of it; the connection with
 * it the first time alone. */
static void begins_until_replaced(void **state)
{
	__u64 last = 0;
	int n = 0;

	two();
	assert_true(child_orphans_start(&c, "c"));
	assert_false(child_orphans_start(&c, "none"));
	at(3000);
	assert_string_equal(said, "begin:c/net start:c ");
	assert_false(child_orphans_start(&c, "c"));
	said[0] = 0;
	for (__u64 ms = 3000; ms < 3600000; ms += 100) {
		at(ms);
		if (!said[0])
			continue;
		assert_string_equal(said, "begin:c/net ");
		said[0] = 0;
		assert_in_range(ms - last, n > 3 ? 300000 : 30000 << n,
				n > 3 ? 603100 : 66000 << n);
		last = ms;
		n++;
	}
	assert_in_range(n, 6, 14);
	replaced("c/net", 2);
	now += 4999;
	child_orphans_restart(-1, 0, &c);
	now += 3600000;
	child_orphans_restart(-1, 0, &c);
	assert_string_equal(said, "");
}

/* It has reached a limit: it goes at once, its child begins, the other half stays. */
static void stops(void **state)
{
	two();
	at(3000);
	said[0] = 0;
	child_orphans_over(&c, "net-8-o", "c/net", true); /* nobody's */
	child_orphans_over(&c, "net-7-o", "c/lan", true);
	assert_string_equal(said, "");
	child_orphans_over(&c, "net-7-o", "c/net", true);
	assert_string_equal(said, "delete:net-7-o orphans:c=1 ");
	child_orphans_over(&c, "net-7-o", "c/net", true);
	at(6000);
	assert_string_equal(said, "delete:net-7-o orphans:c=1 begin:c/net ");
	child_orphans_over(&c, "net-7-i", "c/net", true);
	said[0] = 0;
	at(9001);
	assert_string_equal(said, "begin:c/net ");
	assert_null(c.orphans);
}

/* Idle: it is not wanted any more. */
static void idles(void **state)
{
	two();
	child_orphans_over(&c, "net-7-o", "c/net", false);
	child_orphans_over(&c, "net-7-i", "c/net", false);
	assert_non_null(strstr(said, "delete:net-7-i orphans:c=0 "));
	at(60000);
	assert_null(strstr(said, "begin"));
	assert_null(c.orphans);
}

/* One that is to go anyway, for its child is up: it begins nothing. */
static void stops_when_replaced(void **state)
{
	two();
	replaced("c/net", 2);
	at(0);
	child_orphans_over(&c, "net-7-i", "c/net", true);
	assert_string_equal(said, "delete:net-7-o orphans:c=0 delete:net-7-i orphans:c=0 ");
	at(60000);
	assert_null(strstr(said, "begin"));
	assert_null(strstr(strstr(said, "net-7-i") + 1, "net-7-i"));
	assert_null(c.orphans);
}

/* It had stopped before we began: nobody tells it again. */
static void has_stopped(void **state)
{
	see_one("net-7-o", "c/net", 2, true);
	child_orphans_seen(&c);
	assert_string_equal(said, "delete:net-7-o orphans:c=0 ");
	assert_true(child_orphans_start(&c, "c"));
	at(3000);
	assert_non_null(strstr(said, "begin:c/net start:c "));
	assert_null(c.orphans);
}

/* When its child is up with that peer: the outbound SA at once, the inbound one after 35 s, for so
 * long a peer that gets nothing by ours sends by it; then the connection has none any more. */
static void goes_when_replaced(void **state)
{
	two();
	replaced("c/lan", 2); /* another child */
	replaced("c/net", 3); /* another peer */
	now += 60000;
	child_orphans_linger(-1, 0, &c);
	assert_string_equal(said, "");
	now -= 60000;
	replaced("c/net", 2);
	assert_string_equal(said, ""); /* not from inside the engine */
	assert_int_equal(c.linger_at, now);
	at(0);
	assert_string_equal(said, "delete:net-7-o orphans:c=0 ");
	replaced("c/net", 2); /* a rekey: no new term */
	at(34999);
	assert_string_equal(said, "delete:net-7-o orphans:c=0 ");
	at(35000);
	assert_string_equal(said, "delete:net-7-o orphans:c=0 delete:net-7-i orphans:c=0 ");
	assert_null(c.orphans);
	at(90000); /* it has begun: not again */
	assert_null(strstr(said, "begin"));
}

/* A packet by an SA of ours: the peer has changed over, 5 s are enough. */
static void goes_when_followed(void **state)
{
	two();
	see("net-8-i", "c/net", 3);
	used("ours-3-i", "c/net", 2); /* its answer is still under way */
	at(0);
	assert_null(strstr(said, "delete"));
	said[0] = 0;
	replaced("c/net", 2);
	replaced("c/net", 3);
	at(1000);
	said[0] = 0;
	used("net-7-i", "c/net", 2); /* its own first packet says nothing */
	used("ours-3-i", "c/lan", 2);
	at(10000);
	assert_string_equal(said, "");
	used("ours-3-i", "c/net", 2);
	assert_int_equal(c.linger_at, now + 5000);
	at(14999);
	assert_string_equal(said, "");
	at(15000);
	assert_string_equal(said, "delete:net-7-i orphans:c=0 ");
	said[0] = 0;
	at(31000);
	used("ours-3-i", "c/net", 3); /* no new term */
	at(35000);
	assert_string_equal(said, "delete:net-8-i orphans:c=0 ");
	assert_null(c.orphans);
}

/* Gone with xipsecd's epoch: nothing is to be deleted. What it was to begin begins: nobody else
 * would, for its connection waits for that. */
static void lost(void **state)
{
	two();
	child_orphans_lost(&c);
	assert_string_equal(said, "orphans:c=0 orphans:c=0 ");
	assert_true(child_orphans_start(&c, "c"));
	said[0] = 0;
	at(3000);
	assert_string_equal(said, "begin:c/net start:c ");
	assert_null(c.orphans);
	said[0] = 0;
	at(90000);
	assert_string_equal(said, "");
	two(); /* their child is up: there is nothing to begin */
	replaced("c/net", 2);
	child_orphans_lost(&c);
	assert_null(c.orphans);
	said[0] = 0;
	at(180000);
	assert_string_equal(said, "");
}

static void the_end(void **state)
{
	two();
	child_orphans_delete(&c);
	assert_non_null(strstr(said, "delete:net-7-i "));
	assert_non_null(strstr(said, "delete:net-7-o "));
	assert_null(c.orphans);
	said[0] = 0;
	two();
	child_orphans_free(&c);
	assert_string_equal(said, "");
	at(90000);
	assert_string_equal(said, "");
}

/* Ten thousand peers of one child: nothing walks through all for each. Far below what it would take
 * then, which is seconds. */
static void many(void **state)
{
	struct xipsec_sa sa = {.child = "c/net", .dir = XIPSEC_DIR_IN, .src = host(1)};
	clock_t begun = clock();

	for (int lose = 0; lose < 2; lose++) {
		for (unsigned int i = 0; i < 20000; i++) {
			snprintf(sa.name, sizeof(sa.name), "net-%u-i", i + 1);
			memcpy(&sa.src.byte[4], &i, sizeof(i));
			child_orphans_see(&c, &sa, false);
		}
		child_orphans_seen(&c);
		for (unsigned int i = 0; i < 20000 && !lose; i++) {
			memcpy(&sa.src.byte[4], &i, sizeof(i));
			child_orphans_replaced(&c, "c/net", &sa.src);
			child_orphans_used(&c, "ours-3-i", "c/net", &sa.src);
		}
		if (lose)
			child_orphans_lost(&c);
		at(now + 60000);
		assert_null(c.orphans);
	}
	assert_in_range(clock() - begun, 0, CLOCKS_PER_SEC);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_and_contact),
		TEST(names_without_end),
		TEST(begins_again),
		TEST(goes_when_replaced),
		TEST(goes_when_followed),
		TEST(lost),
		TEST(the_end),
		TEST(many),
		TEST(begins_until_replaced),
		TEST(stops),
		TEST(idles),
		TEST(stops_when_replaced),
		TEST(has_stopped),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("orphans", tests, NULL, NULL);
}
