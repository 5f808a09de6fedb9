// SPDX-License-Identifier: BSD-2-Clause
/* The connection that the parent lends the child: again when that was in vain, and what becomes of
 * a child that has lost its own. The rest of the parent, and xipsecd, are this test's. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <cmocka.h>

#include "iked/parent_inside.h"

static struct parent parent;
static struct config config;
static char said[512];
static int listener, own, lent; /* xipsecd's ends: of the parent's connection, of the child's */
static struct chan *chan;       /* to the child */
static int child_end;

static void note(const char *what)
{
	strncat(said, what, sizeof(said) - strlen(said) - 1);
}

struct chan *proc_chan(struct proc_slot *slot)
{
	return chan;
}

void proc_renew(struct proc_slot *slot)
{
	note("renewed ");
}

void parent_load_lent(struct parent *p)
{
	note("lent ");
}

void parent_vici_lent(struct parent *p)
{
}

int parent_reload(struct parent *p)
{
	return 0;
}

int parent_reload_clients(struct parent *p)
{
	return 0;
}

/* ------------------------------------------------------------------ xipsecd and the child */

static void turn(unsigned int ms)
{
	const struct timeval wait = {0, (suseconds_t)ms * 1000};

	event_base_loopexit(parent.base, &wait);
	event_base_dispatch(parent.base);
}

/* The next request is of that type; its seq. */
static __u32 asked(int fd, enum xipsec_sadb_type type)
{
	static union {
		struct sadb_hdr hdr;
		char room[4096];
	} buf;

	assert_true(recv(fd, &buf, sizeof(buf), MSG_DONTWAIT) >= (ssize_t)sizeof(buf.hdr));
	assert_int_equal(buf.hdr.type, type);
	return buf.hdr.seq;
}

static int accepted(void)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static bool nobody_comes(void)
{
	return accept(listener, NULL, NULL) < 0 && errno == EAGAIN;
}

static void answer(int fd, __u32 seq, int err)
{
	struct sadb_reply m = {.hdr = {.abi = XIPSEC_ABI,
				       .type = XIPSEC_SADB_RESTRICT,
				       .len = sizeof(m),
				       .seq = seq,
				       .err = err}};

	assert_int_equal(send(fd, &m, sizeof(m), MSG_NOSIGNAL), sizeof(m));
	turn(20);
}

/* Has the child been sent a connection? */
static bool child_has_it(void)
{
	struct chan_hdr hdr;
	int fds[FDPASS_MAX];
	unsigned int n;
	ssize_t len = fdpass_recv(child_end, &hdr, sizeof(hdr), fds, &n);

	if (len != sizeof(hdr))
		return false;
	assert_int_equal(hdr.type, CHAN_SADB);
	assert_int_equal(n, 1);
	close(fds[0]);
	return true;
}

static void child_lost(__u32 number)
{
	struct chan_gone m = {.number = number};

	parent_sadb_gone(&parent, &m);
}

static int setup(void **state)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int pair[2];

	parent = (struct parent){.base = event_base_new(), .config = &config, .child_ready = true};
	strcpy(config.run_dir, "/tmp/xipsec-lend-XXXXXX");
	if (!mkdtemp(config.run_dir))
		return -1;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "%.80s/sadb.sock", config.run_dir);
	listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&addr, sizeof(addr)) || listen(listener, 8) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -1;
	chan = chan_new(parent.base, pair[0], NULL, NULL, NULL);
	child_end = pair[1];
	if (parent_sadb_start(&parent))
		return -1;
	turn(20);
	own = accepted();
	asked(own, XIPSEC_SADB_SUBSCRIBE);
	asked(own, XIPSEC_SADB_IKE_SOCKETS);
	lent = accepted();
	said[0] = 0;
	return 0;
}

static int teardown(void **state)
{
	char path[300];

	parent_sadb_stop(&parent);
	chan_free(chan);
	event_base_free(parent.base);
	snprintf(path, sizeof(path), "%s/sadb.sock", config.run_dir);
	unlink(path);
	rmdir(config.run_dir);
	close(listener);
	close(own);
	close(lent);
	close(child_end);
	return 0;
}

/* ------------------------------------------------------------------ the tests */

static void is_lent(void **state)
{
	assert_false(child_has_it());
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	assert_true(child_has_it());
	assert_string_equal(said, "lent ");
	turn(500);
	assert_true(nobody_comes());
}

/* It is refused, or ends: once more, ever more rarely. */
static void is_lent_again(void **state)
{
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), -EPERM);
	assert_false(child_has_it());
	assert_string_equal(said, "lent "); /* who waits does not wait for ever */
	assert_true(nobody_comes());
	turn(250);
	close(lent);
	lent = accepted();
	asked(lent, XIPSEC_SADB_RESTRICT);
	close(lent);
	turn(250);
	assert_true(nobody_comes());
	turn(250);
	lent = accepted();
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	assert_true(child_has_it());
	turn(1000);
	assert_true(nobody_comes());
}

/* xipsecd lives, and nobody knows what it was not told: another child begins. */
static void child_alone_loses_it(void **state)
{
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	child_lost(0); /* an older one */
	turn(300);
	assert_null(strstr(said, "renewed"));
	child_lost(1);
	turn(100);
	assert_null(strstr(said, "renewed"));
	turn(200);
	assert_string_equal(said, "lent renewed ");
	turn(300);
	assert_string_equal(said, "lent renewed ");
}

/* xipsecd has ended, whichever end of a connection is read first: the next one lends anew. */
static void xipsecd_ends(void **state)
{
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	assert_true(child_has_it());
	child_lost(1);
	close(own);
	turn(20);
	child_lost(1);
	close(lent);
	turn(280);
	own = accepted();
	lent = accepted();
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	assert_true(child_has_it());
	child_lost(1);
	turn(300);
	assert_null(strstr(said, "renewed"));
}

/* The child tells of its end only when the next xipsecd is there: it is about to get another. */
static void child_is_late(void **state)
{
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	assert_true(child_has_it());
	close(own);
	close(lent);
	turn(280);
	own = accepted();
	lent = accepted();
	child_lost(1);
	answer(lent, asked(lent, XIPSEC_SADB_RESTRICT), 0);
	assert_true(child_has_it());
	turn(300);
	assert_null(strstr(said, "renewed"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(is_lent),      TEST(is_lent_again), TEST(child_alone_loses_it),
		TEST(xipsecd_ends), TEST(child_is_late),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("parent_sadb", tests, NULL, NULL);
}
