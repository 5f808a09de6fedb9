// SPDX-License-Identifier: BSD-2-Clause
/* Where peers are that have names, while the process that asks name servers ends and begins: no
 * question is lost, none goes round for ever. The parent around it is this test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#include "iked/parent_inside.h"

enum { CHILD, RESOLVER };

static struct parent parent;
static struct chan *chan[2];
static int end[2]; /* the other ends; -1: it does not run */

struct chan *proc_chan(struct proc_slot *slot)
{
	return chan[slot == (struct proc_slot *)&chan[RESOLVER]];
}

const struct conn *parent_conn(const struct parent *p, const char *name)
{
	return config_conn_find(p->config, name);
}

static void begin(int who)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	chan[who] = chan_new(parent.base, pair[0], NULL, NULL, NULL);
	assert_non_null(chan[who]);
	end[who] = pair[1];
	if (who == RESOLVER)
		parent_paths_go_on(&parent);
}

static void die(int who)
{
	chan_free(chan[who]);
	chan[who] = NULL;
	close(end[who]);
	if (who == RESOLVER)
		parent_paths_wait(&parent);
}

static int setup(void **state)
{
#define CONN(name, addrs) \
	name " { remote_addrs = " addrs "\nlocal { auth = psk }\nremote { auth = psk } }\n"
	static const char text[] = "connections {\n" CONN("addr", "127.0.0.9")
		CONN("name", "a.example.org")
			CONN("both", "a.example.org, 127.0.0.8, b.example.org") "}\n";
	char path[] = "/tmp/xipsec-paths-XXXXXX";
	int fd = mkstemp(path);

	if (fd < 0 || write(fd, text, strlen(text)) != (ssize_t)strlen(text) || close(fd))
		return -1;
	if (config_load(path, &parent.config, stderr) || unlink(path))
		return -1;
	parent.base = event_base_new();
	parent.child = (struct proc_slot *)&chan[CHILD];
	parent.resolver = (struct proc_slot *)&chan[RESOLVER];
	parent.child_ready = true;
	begin(CHILD);
	return 0;
}

static int teardown(void **state)
{
	parent_paths_free(&parent);
	die(CHILD);
	if (chan[RESOLVER])
		die(RESOLVER);
	event_base_free(parent.base);
	config_free(parent.config);
	memset(&parent, 0, sizeof(parent));
	return 0;
}

static void ask(__u64 id, const char *conn)
{
	struct chan_paths m = {.id = id};

	strcpy(m.name, conn);
	parent_paths(&parent, &m);
}

/* The resolver's next question is for that host. Its number. */
static __u64 asked(const char *host)
{
	struct chan_resolve m = {0};

	assert_int_equal(recv(end[RESOLVER], &m, sizeof(m), MSG_DONTWAIT), sizeof(m));
	assert_int_equal(m.hdr.type, CHAN_RESOLVE);
	assert_string_equal(m.host, host);
	return m.id;
}

static void silent(int who)
{
	char byte;

	assert_int_equal(recv(end[who], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
}

static void found(__u64 number, __u8 last)
{
	struct chan_resolved m = {.id = number, .n = 1};

	m.address[0] =
		(struct chan_address){.addr.byte = {127, 0, 0, last}, .family = XIPSEC_FAMILY_IP4};
	parent_paths_resolved(&parent, &m);
}

/* The child's next answer: `n` peers, the first one at 127.0.0.`first`. */
static void answered(__u64 id, __u32 n, __u8 first)
{
	struct chan_paths_answer m = {0};

	assert_int_equal(recv(end[CHILD], &m, sizeof(m), MSG_DONTWAIT), sizeof(m));
	assert_int_equal(m.id, id);
	assert_int_equal(m.n, n);
	assert_int_equal(m.err, n ? 0 : -ENOENT);
	if (n)
		assert_int_equal(m.path[0].remote.byte[3], first);
}

static void test_address(void **state)
{
	ask(1, "addr"); /* no resolver is wanted for that */
	answered(1, 1, 9);
	ask(2, "nobody");
	answered(2, 0, 0);
}

/* It comes when there is one to ask. */
static void test_waits(void **state)
{
	ask(1, "name");
	silent(CHILD);
	begin(RESOLVER);
	found(asked("a.example.org"), 7);
	answered(1, 1, 7);
	silent(RESOLVER);
	silent(CHILD);
}

/* One ends in the midst of it: the next one is asked for all of it, and nothing counts twice. */
static void test_renewed(void **state)
{
	__u64 first;

	begin(RESOLVER);
	ask(1, "both");
	first = asked("a.example.org");
	assert_int_equal(asked("b.example.org"), first);
	found(first, 7);
	die(RESOLVER);
	silent(CHILD);
	begin(RESOLVER);
	first = asked("a.example.org");
	assert_int_equal(asked("b.example.org"), first);
	found(first, 7);
	silent(CHILD);
	found(first, 6);
	answered(1, 3, 8);
	silent(CHILD);
}

/* The third that dies of a question has been asked it last; others wait on. */
static void test_deadly(void **state)
{
	begin(RESOLVER);
	ask(1, "name");
	for (int i = 0; i < 2; i++) {
		die(RESOLVER);
		silent(CHILD);
		begin(RESOLVER);
	}
	ask(2, "name");
	die(RESOLVER);
	answered(1, 0, 0);
	silent(CHILD);
	begin(RESOLVER);
	found(asked("a.example.org"), 7);
	answered(2, 1, 7);
	assert_int_equal(parent.n_searches, 0);
}

/* What one child has asked is no answer for the next one, whose ids are the same. */
static void test_another_child(void **state)
{
	__u64 first, second;

	begin(RESOLVER);
	ask(1, "name");
	first = asked("a.example.org");
	die(CHILD);
	parent_paths_free(&parent);
	begin(CHILD);
	ask(1, "name");
	second = asked("a.example.org");
	found(first, 5);
	silent(CHILD);
	found(second, 7);
	answered(1, 1, 7);
}

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_address), TEST(test_waits),         TEST(test_renewed),
		TEST(test_deadly),  TEST(test_another_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
