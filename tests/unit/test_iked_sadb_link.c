// SPDX-License-Identifier: BSD-2-Clause
/* iked's connection to xipsecd: whose answer is whose, what waits when the socket is full, and what
 * is said to those who wait when it ends. The other end of the socket is this test. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>
#include "iked/sadb_link.h"
#include "lib/log.h"

static struct event_base *base;
static struct sadb_link *link_;
static int peer; /* xipsecd's end */

static char heard[8192]; /* "a1 a2+ none3 event gone " */
static unsigned int n_fds;
static bool free_in_answer;

static void note(const char *what, __u64 arg, const char *more)
{
	size_t len = strlen(heard);

	snprintf(heard + len, sizeof(heard) - len, "%s%llu%s ", what, (unsigned long long)arg,
		 more);
}

static void on_event(void *ctx, const struct sadb_event *event)
{
	note("event", event->event, "");
}

static void on_gone(void *ctx)
{
	note("gone", 0, "");
	sadb_link_free(link_);
	link_ = NULL;
}

static void on_answer(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len, int *fds,
		      unsigned int n)
{
	if (!answer)
		note("none", arg, "");
	else
		note("a", arg, answer->flags & XIPSEC_SADB_MORE ? "+" : answer->err ? "!" : "");
	n_fds += n;
	if (!free_in_answer)
		return;
	sadb_link_free(link_);
	link_ = NULL;
}

static const struct sadb_link_hooks hooks = {on_event, on_gone};

static int setup(void **state)
{
	int pair[2], small = 4096;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair))
		return -1;
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	peer = pair[1];
	base = event_base_new();
	link_ = sadb_link_new(base, pair[0], &hooks, NULL);
	heard[0] = 0;
	n_fds = 0;
	free_in_answer = false;
	return !link_;
}

static int teardown(void **state)
{
	sadb_link_free(link_);
	close(peer);
	event_base_free(base);
	return 0;
}

static void turn(void)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

static void ask(__u64 arg)
{
	sadb_link_ask_plain(link_, XIPSEC_SADB_HELLO, on_answer, arg);
}

/* The next request; its seq. 0: none. */
static __u32 request(void)
{
	struct sadb_hdr hdr = {0};
	ssize_t len = recv(peer, &hdr, sizeof(hdr), 0);

	if (len < 0)
		return 0;
	assert_int_equal(len, sizeof(hdr));
	assert_int_equal(hdr.abi, XIPSEC_ABI);
	assert_int_equal(hdr.len, sizeof(hdr));
	assert_int_equal(hdr.type, XIPSEC_SADB_HELLO);
	return hdr.seq;
}

static void say(__u32 seq, __u16 flags, int err)
{
	struct sadb_hdr hdr = {.type = XIPSEC_SADB_HELLO,
			       .abi = XIPSEC_ABI,
			       .len = sizeof(hdr),
			       .seq = seq,
			       .err = err,
			       .flags = flags};

	assert_int_equal(send(peer, &hdr, sizeof(hdr), MSG_NOSIGNAL), sizeof(hdr));
}

static void answers_go_to_who_asked(void **state)
{
	__u32 seq[4];

	for (int i = 0; i < 4; i++)
		ask(i);
	for (int i = 0; i < 4; i++)
		seq[i] = request();
	say(seq[0], 0, 0);
	say(seq[1], XIPSEC_SADB_MORE, 0);
	say(seq[1], XIPSEC_SADB_MORE, 0);
	say(seq[1], 0, -EPERM);
	turn();
	assert_string_equal(heard, "a0 a1+ a1+ a1! ");
	/* in order: who was passed over gets none any more, and hears that; late ones are nobody's
	 */
	say(seq[3], 0, 0);
	say(seq[2], 0, 0);
	say(seq[3], 0, 0);
	say(99999, 0, 0);
	turn();
	assert_string_equal(heard, "a0 a1+ a1+ a1! none2 a3 ");
	ask(7);
	say(seq[2], 0, 0);
	say(99999, 0, 0);
	turn();
	assert_string_equal(heard, "a0 a1+ a1+ a1! none2 a3 ");
	say(request(), 0, 0);
	turn();
	assert_string_equal(heard, "a0 a1+ a1+ a1! none2 a3 a7 ");
}

static void events_of_the_right_size(void **state)
{
	struct sadb_event event = {.hdr = {.type = XIPSEC_SADB_EVENT, .abi = XIPSEC_ABI},
				   .event = XIPSEC_EVENT_RELOAD};

	event.hdr.len = sizeof(event) - 8;
	assert_int_equal(send(peer, &event, sizeof(event) - 8, 0), sizeof(event) - 8);
	turn();
	assert_string_equal(heard, "");
	event.hdr.len = sizeof(event);
	assert_int_equal(send(peer, &event, sizeof(event), 0), sizeof(event));
	turn();
	assert_int_equal(strncmp(heard, "event", 5), 0);
}

/* More than the socket takes waits, goes out in order, and is answered. */
static void what_does_not_fit_waits(void **state)
{
	enum { MANY = 500 };
	__u32 last = 0, seq;
	int n = 0;

	for (int i = 0; i < MANY; i++)
		ask(i);
	while ((seq = request())) {
		assert_int_equal(seq, last + 1);
		last = seq;
		n++;
	}
	assert_in_range(n, 1, MANY - 1); /* else this shows nothing */
	ask(MANY);                       /* there is room now, but others wait longer */
	for (int k = 0; k < MANY && n <= MANY; k++) {
		turn();
		while ((seq = request())) {
			assert_int_equal(seq, last + 1);
			last = seq;
			n++;
		}
	}
	assert_int_equal(n, MANY + 1);
	say(last, 0, 0);
	turn();
	assert_string_equal(heard + strlen(heard) - strlen("none499 a500 "), "none499 a500 ");
}

static void the_end_is_told(void **state)
{
	ask(1);
	ask(2);
	close(peer);
	turn();
	assert_string_equal(heard, "none1 none2 gone0 ");
	peer = -1;
}

/* It has gone, and the loop has not come round to saying so. */
static void asked_too_late(void **state)
{
	ask(1);
	close(peer);
	peer = -1;
	ask(2); /* EPIPE */
	ask(3);
	assert_string_equal(heard, ""); /* not while it asks */
	turn();
	assert_string_equal(heard, "none1 none2 none3 gone0 ");
}

/* Another one takes its place. */
static void ended(void **state)
{
	ask(1);
	ask(2);
	sadb_link_end(link_);
	link_ = NULL;
	assert_string_equal(heard, "none1 none2 ");
	sadb_link_end(NULL);
	turn();
}

static void freed_when_it_ends(void **state)
{
	ask(1);
	ask(2);
	free_in_answer = true;
	close(peer);
	peer = -1;
	turn();
	assert_string_equal(heard, "none1 ");
	assert_null(link_);
}

static void freed_when_passed_over(void **state)
{
	__u32 last;

	ask(1);
	ask(2);
	ask(3);
	request();
	request();
	last = request();
	free_in_answer = true;
	say(last, 0, 0);
	turn();
	assert_string_equal(heard, "none1 ");
	assert_null(link_);
}

static void another_release(void **state)
{
	struct sadb_hdr hdr = {.type = XIPSEC_SADB_HELLO, .len = sizeof(hdr)};

	for (int i = 0; i < 2; i++) {
		hdr.abi = i ? XIPSEC_ABI : XIPSEC_ABI + 1;
		hdr.len = i ? sizeof(hdr) + 1 : sizeof(hdr); /* or longer than it is */
		ask(5);
		assert_int_equal(send(peer, &hdr, sizeof(hdr), 0), sizeof(hdr));
		turn();
		assert_string_equal(heard, "none5 gone0 ");
		teardown(NULL);
		setup(NULL);
	}
}

/* Descriptors that nobody keeps are closed. */
static void descriptors(void **state)
{
	struct sadb_hdr hdr = {.abi = XIPSEC_ABI, .len = sizeof(hdr)};
	int pipe_[2];
	char byte;

	assert_int_equal(pipe2(pipe_, O_NONBLOCK | O_CLOEXEC), 0);
	for (int i = 0; i < 2; i++) {
		ask(3);
		hdr.seq = i ? 77777 : request(); /* also with an answer that is nobody's */
		assert_int_equal(fdpass_send(peer, &hdr, sizeof(hdr), &pipe_[1], 1), 0);
		turn();
	}
	close(pipe_[1]);
	assert_int_equal(n_fds, 1);
	assert_int_equal(read(pipe_[0], &byte, 1), 0); /* no writer is left */
	close(pipe_[0]);
}

static void freed_by_an_answer(void **state)
{
	ask(1);
	ask(2);
	free_in_answer = true;
	say(request(), 0, 0);
	say(request(), 0, 0);
	turn();
	assert_string_equal(heard, "a1 ");
	assert_null(link_);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(answers_go_to_who_asked),
		TEST(events_of_the_right_size),
		TEST(what_does_not_fit_waits),
		TEST(the_end_is_told),
		TEST(another_release),
		TEST(descriptors),
		TEST(freed_by_an_answer),
		TEST(asked_too_late),
		TEST(ended),
		TEST(freed_when_it_ends),
		TEST(freed_when_passed_over),
	};

	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("sadb_link", tests, NULL, NULL);
}
