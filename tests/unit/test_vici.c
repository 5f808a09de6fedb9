// SPDX-License-Identifier: BSD-2-Clause
/* VICI: messages cut off at every byte, connections as swanctl sends them, clients that misbehave.
 */
#include <errno.h>
#include <malloc.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "iked/vici_server.h"
#include "iked/vici_tree.h"
#include "lib/cleanup.h"
#include "lib/conn.h"
#include "lib/log.h"

/* The example of strongSwan's description of the protocol, byte by byte. */
static const __u8 example[] = "\x03\x04key1\x00\x06value1"
			      "\x01\x08section1"
			      "\x01\x0bsub-section"
			      "\x03\x04key2\x00\x06value2"
			      "\x02"
			      "\x04\x05list1"
			      "\x05\x00\x05item1"
			      "\x05\x00\x05item2"
			      "\x06"
			      "\x02";
#define EXAMPLE BYTES(example, sizeof(example) - 1)

static void test_writer(void **state)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_text(&w, "key1", "value%u", 1);
	vici_section(&w, "section1");
	vici_section(&w, "sub-section");
	vici_blob(&w, "key2", BYTES("value2", 6));
	vici_section_end(&w);
	vici_list(&w, "list1");
	vici_item_text(&w, "item1");
	vici_item_text(&w, "item2");
	vici_list_end(&w);
	vici_section_end(&w);
	assert_int_equal(w.err, 0);
	assert_int_equal(w.len, sizeof(example) - 1);
	assert_memory_equal(w.data, example, w.len);
}

/* Only at the end of an element at the top is it a message too. */
static void test_cut_off(void **state)
{
	for (size_t len = 0; len <= EXAMPLE.len; len++) {
		_cleanup_free_ __u8 *copy = malloc(len + 1);

		memcpy(copy, example, len);
		assert_int_equal(vici_validate(BYTES(copy, len)),
				 len == 0 || len == 14 || len == EXAMPLE.len ? 0 : -EINVAL);
	}
}

static void test_malformed(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} rows[] = {
		{"\x02", 1},                           /* end of no section */
		{"\x06", 1},                           /* end of no list */
		{"\x05\x00\x01x", 4},                  /* item of no list */
		{"\x04\x01l\x01\x01s\x02\x06", 8},     /* section in a list */
		{"\x04\x01l\x03\x01k\x00\x00\x06", 9}, /* value in a list */
		{"\x04\x01l\x04\x01m\x06\x06", 8},     /* list in a list */
		{"\x03\x00\x00\x00", 4},               /* no name */
		{"\x03\x01\n\x00\x00", 5},             /* a name that is not printable */
		{"\x00", 1},                           /* kinds that are not there */
		{"\x07\x01x", 3},
	};
	__u8 deep[3 * (VICI_DEPTH_MAX + 1) * 2];
	size_t len = 0;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(vici_validate(BYTES(rows[i].bytes, rows[i].len)), -EINVAL);
	for (unsigned int i = 0; i <= VICI_DEPTH_MAX; i++, len += 3)
		memcpy(deep + len, "\x01\x01s", 3);
	for (unsigned int i = 0; i <= VICI_DEPTH_MAX; i++)
		deep[len++] = VICI_SECTION_END;
	assert_int_equal(vici_validate(BYTES(deep, len)), -EINVAL);
	assert_int_equal(vici_validate(BYTES(deep + 3, len - 4)), 0);
}

static void test_get(void **state)
{
	_cleanup_vici_ struct vici_writer w = {0};
	struct reader r = {0};
	struct bytes item;
	char text[8];

	vici_section(&w, "s");
	vici_text(&w, "inner", "1");
	vici_section_end(&w);
	vici_text(&w, "n", "-17");
	vici_text(&w, "no", "17x");
	vici_bool(&w, "b", true);
	vici_blob(&w, "z", BYTES("a\0b", 3));
	vici_list(&w, "l");
	vici_item_text(&w, "x");
	vici_item_text(&w, "");
	vici_list_end(&w);
	assert_null(vici_get(vici_view(&w), "inner").data);
	assert_int_equal(vici_get_number(vici_view(&w), "n", 5), -17);
	assert_int_equal(vici_get_number(vici_view(&w), "no", 5), 5);
	assert_int_equal(vici_get_number(vici_view(&w), "gone", 5), 5);
	assert_true(vici_get_bool(vici_view(&w), "b", false));
	assert_false(vici_get_bool(vici_view(&w), "n", true));
	assert_true(vici_get_bool(vici_view(&w), "gone", true));
	assert_false(vici_get_text(vici_view(&w), "z", text, sizeof(text)));
	assert_string_equal(text, "");
	assert_false(vici_get_text(vici_view(&w), "n", text, 3));
	assert_true(vici_get_text(vici_view(&w), "n", text, 4));
	assert_true(vici_get_item(vici_view(&w), "l", &r, &item));
	assert_int_equal(item.len, 1);
	assert_true(vici_get_item(vici_view(&w), "l", &r, &item));
	assert_int_equal(item.len, 0);
	assert_false(vici_get_item(vici_view(&w), "l", &r, &item));
	r = (struct reader){0};
	assert_false(vici_get_item(vici_view(&w), "none", &r, &item));
}

static void test_writer_bound(void **state)
{
	_cleanup_vici_ struct vici_writer w = {0};
	static const __u8 zeros[0x10000];

	for (unsigned int i = 0; i < 7; i++)
		vici_blob(&w, "k", BYTES(zeros, 0xffff));
	assert_int_equal(w.err, 0);
	vici_blob(&w, "k", BYTES(zeros, 0x10000));
	assert_int_equal(w.err, -EMSGSIZE);
	vici_free(&w);
	for (unsigned int i = 0; i < 8; i++)
		vici_blob(&w, "k", BYTES(zeros, 0xffff));
	assert_int_equal(w.err, -EMSGSIZE);
	assert_true(w.len <= VICI_SEGMENT_MAX);
}

/* ------------------------------------------------------------------ connections */

static void put_conn(struct vici_writer *w)
{
	vici_section(w, "gw");
	vici_text(w, "version", "2");
	vici_list(w, "remote_addrs");
	vici_item_text(w, "192.0.2.2");
	vici_item_text(w, "peer.example.org");
	vici_list_end(w);
	vici_section(w, "local");
	vici_text(w, "auth", "pubkey");
	vici_list(w, "certs");
	vici_item(w, BYTES("\x30\x00,\x01", 4));
	vici_list_end(w);
	vici_section_end(w);
	vici_section(w, "remote");
	vici_text(w, "auth", "psk");
	vici_text(w, "id", "C=CH, CN=moon");
	vici_section_end(w);
	vici_section(w, "children");
	vici_section(w, "net");
	vici_list(w, "local_ts");
	vici_item_text(w, "10.1.0.0/16");
	vici_item_text(w, "10.2.0.0/16[tcp/80]");
	vici_list_end(w);
	vici_section_end(w);
	vici_section_end(w);
	vici_section_end(w);
}

static void test_connection(void **state)
{
	struct config_file file = {.name = "vici"};
	struct config_place place = {.file = &file};
	struct config_diag diag = {.out = stderr};
	_cleanup_vici_ struct vici_writer w = {0};
	struct config_list list;
	struct conn conn = {0};

	put_conn(&w);
	assert_int_equal(vici_validate(vici_view(&w)), 0);
	assert_int_equal(vici_to_tree(vici_view(&w), &place, &list), 0);
	assert_string_equal(list.first->name, "gw");
	assert_null(list.first->next);
	assert_true(config_conn(&diag, list.first, &conn));
	assert_string_equal(conn.name, "gw");
	assert_int_equal(conn.line, 0);
	assert_int_equal(conn.remote_addrs.n, 2);
	assert_string_equal(conn.remote_addrs.host[1].name, "peer.example.org");
	assert_int_equal(conn.local.certs.n, 1);
	assert_null(conn.local.certs.blob[0].file);
	assert_int_equal(conn.local.certs.blob[0].len, 4);
	assert_memory_equal(conn.local.certs.blob[0].data, "\x30\x00,\x01", 4);
	assert_string_equal(conn.remote.id, "C=CH, CN=moon");
	assert_int_equal(conn.children[0].local_ts.n, 2);
	assert_int_equal(conn.children[0].local_ts.ts[1].port_lo, 80);
	conn_clear(&conn);
	config_list_free(&list);
}

static void test_tree_refuses(void **state)
{
	struct config_file file = {.name = "vici"};
	struct config_place place = {.file = &file};
	_cleanup_vici_ struct vici_writer zero = {0}, comma = {0};
	struct config_list list;

	vici_blob(&zero, "id", BYTES("a\0b", 3));
	assert_int_equal(vici_to_tree(vici_view(&zero), &place, &list), -EINVAL);
	config_list_free(&list);
	vici_list(&comma, "local_ts");
	vici_item_text(&comma, "10.0.0.0/8,11.0.0.0/8");
	vici_list_end(&comma);
	assert_int_equal(vici_to_tree(vici_view(&comma), &place, &list), -EINVAL);
	config_list_free(&list);
}

/* ------------------------------------------------------------------ the server */

struct fixture {
	__u32 events;
	struct event_base *base;
	struct vici_server *server;
	struct vici_request *held;
	unsigned int drained, gone;
	char dir[64], path[96];
	int client;
};

static void run_version(void *ctx, struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_text(&w, "daemon", "test");
	vici_stream(request, VICI_EVENT_LIST_SA, vici_view(&w));
	vici_answer(request, vici_view(&w));
}

static void run_hold(void *ctx, struct vici_request *request)
{
	struct fixture *f = ctx;

	f->held = request;
}

static void run_fail(void *ctx, struct vici_request *request)
{
	vici_answer_error(request, "no %s", "such thing");
}

static void on_drained(void *ctx, struct vici_request *request, bool gone)
{
	struct fixture *f = ctx;

	assert_ptr_equal(request, f->held);
	f->drained++;
	f->gone += gone;
}

/* More than a socket takes that nobody reads; then waits. */
static void run_pour(void *ctx, struct vici_request *request)
{
	static const __u8 much[65000];
	struct fixture *f = ctx;

	for (unsigned int i = 0; i < 32; i++)
		vici_stream(request, VICI_EVENT_LIST_SA, BYTES(much, sizeof(much)));
	f->held = request;
	vici_when_drained(request, on_drained);
}

static const struct vici_command commands[] = {{"version", run_version},
					       {"hold", run_hold},
					       {"fail", run_fail},
					       {"pour", run_pour},
					       {NULL, NULL}};

static void on_events(void *ctx, __u32 events)
{
	((struct fixture *)ctx)->events = events;
}

static int client_new(struct fixture *f)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	strcpy(addr.sun_path, f->path);
	assert_int_equal(connect(fd, (void *)&addr, sizeof(addr)), 0);
	return fd;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	strcpy(f->dir, "/tmp/xipsec-vici-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof(f->path), "%s/charon.vici", f->dir);
	f->base = event_base_new();
	if (vici_server_new(f->base, f->path, commands, on_events, f, &f->server))
		return -1;
	f->client = client_new(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	close(f->client);
	vici_server_free(f->server);
	event_base_free(f->base);
	assert_int_equal(access(f->path, F_OK), -1);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void turn(struct fixture *f)
{
	for (unsigned int i = 0; i < 8; i++)
		event_base_loop(f->base, EVLOOP_NONBLOCK);
}

static void say(struct fixture *f, const char *packet, size_t len)
{
	__u8 head[4] = {0, 0, len >> 8, len};

	assert_int_equal(write(f->client, head, 4), 4);
	assert_int_equal(write(f->client, packet, len), len);
	turn(f);
}

/* What has come: `expected` behind its length, and nothing else. */
static void hear(struct fixture *f, const char *expected, size_t len)
{
	__u8 bytes[1024];

	assert_int_equal(recv(f->client, bytes, sizeof(bytes), MSG_DONTWAIT), len + 4);
	assert_int_equal(bytes[2] << 8 | bytes[3], len);
	assert_memory_equal(bytes + 4, expected, len);
}

static void assert_gone(struct fixture *f)
{
	__u8 byte;

	turn(f);
	assert_int_equal(recv(f->client, &byte, 1, MSG_DONTWAIT), 0);
}

#define SAY(text)  say(f, text, sizeof(text) - 1)
#define HEAR(text) hear(f, text, sizeof(text) - 1)

static void test_commands(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
	SAY("\x00\x04none");
	HEAR("\x02");
	SAY("\x00\x04"
	    "fail");
	HEAR("\x01\x03\x07success\x00\x02no\x03\x06"
	     "errmsg\x00\x0dno such thing");
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	_cleanup_vici_ struct vici_writer w = {0};

	assert_false(vici_server_wanted(f->server, VICI_EVENT_LIST_SA));
	SAY("\x03\x07list-sa");
	HEAR("\x05");
	assert_true(vici_server_wanted(f->server, VICI_EVENT_LIST_SA));
	assert_int_equal(f->events, 1 << VICI_EVENT_LIST_SA);
	vici_server_event(f->server, VICI_EVENT_LIST_SA, &w);
	vici_server_event(f->server, VICI_EVENT_LOG, &w);
	turn(f);
	HEAR("\x07\x07list-sa");
	SAY("\x04\x07list-sa");
	HEAR("\x05");
	SAY("\x04\x07list-sa");
	HEAR("\x06");
	assert_int_equal(f->events, 0);
	SAY("\x03\x05other");
	HEAR("\x06");
	SAY("\x03\x03log");
	assert_int_equal(f->events, 1 << VICI_EVENT_LOG);
	close(f->client);
	turn(f);
	assert_int_equal(f->events, 0);
	f->client = client_new(f);
}

static void test_later(void **state)
{
	struct fixture *f = *state;
	__u64 id;

	SAY("\x00\x04hold");
	assert_non_null(f->held);
	id = vici_request_id(f->held);
	assert_ptr_equal(vici_request_find(f->server, id), f->held);
	assert_string_equal(vici_request_command(f->held), "hold");
	vici_answer_ok(f->held);
	turn(f);
	HEAR("\x01\x03\x07success\x00\x03yes");
	assert_null(vici_request_find(f->server, id));
}

static void test_client_leaves(void **state)
{
	struct fixture *f = *state;
	__u64 id;

	SAY("\x00\x04hold");
	id = vici_request_id(f->held);
	close(f->client);
	turn(f);
	assert_null(vici_request_find(f->server, id));
	f->client = client_new(f);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
}

static void pour(struct fixture *f)
{
	SAY("\x03\x07list-sa");
	HEAR("\x05");
	SAY("\x00\x04pour");
	assert_int_equal(f->drained, 0);
}

/* Who streams is told that the client has read, or never will: once. */
static void test_drained(void **state)
{
	struct fixture *f = *state;
	__u8 bytes[65536];

	pour(f);
	for (unsigned int i = 0; i < 1000 && !f->drained; i++) {
		assert_true(recv(f->client, bytes, sizeof(bytes), MSG_DONTWAIT) > 0);
		turn(f);
	}
	assert_int_equal(f->drained, 1);
	assert_int_equal(f->gone, 0);
	close(f->client);
	turn(f);
	assert_int_equal(f->drained, 1);

	f->client = client_new(f);
	f->drained = 0;
	pour(f);
	close(f->client);
	turn(f);
	assert_int_equal(f->drained, 1);
	assert_int_equal(f->gone, 1);

	f->client = client_new(f);
	f->drained = 0;
	pour(f);
	vici_answer_ok(f->held);
	close(f->client);
	turn(f);
	assert_int_equal(f->drained, 0);

	f->client = client_new(f);
	pour(f); /* the server goes: nobody is there to be told */
}

static int not_told(void **state)
{
	struct fixture *f = *state;
	struct vici_server *server = f->server;

	f->server = NULL;
	vici_server_free(server);
	assert_int_equal(f->drained, 0);
	return teardown(state);
}

static void test_protocol_broken(void **state)
{
	static const struct {
		const char *packet;
		size_t len;
	} rows[] = {
		{"\x00\x07versio", 8},       /* a name that is cut off */
		{"\x00\x07version\x02", 10}, /* a bad message */
		{"\x01", 1},                 /* what only servers say */
		{"\x07\x07list-sa", 9},
		{"\x09", 1},
		{"", 0},
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		say(f, rows[i].packet, rows[i].len);
		assert_gone(f);
		close(f->client);
		f->client = client_new(f);
	}
	SAY("\x00\x04hold");
	SAY("\x00\x07version"); /* two at once */
	assert_gone(f);
	close(f->client);
	f->client = client_new(f);
	assert_int_equal(write(f->client, "\x00\x08\x00\x01", 4), 4); /* too long */
	assert_gone(f);
}

/* A packet may come byte by byte: it counts when it is whole, and not before. */
static void test_half_a_packet(void **state)
{
	static const char packet[] = "\x00\x00\x00\x09\x00\x07version";
	struct fixture *f = *state;
	__u8 byte;

	for (size_t i = 0; i + 1 < sizeof(packet); i++) {
		turn(f);
		assert_int_equal(recv(f->client, &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		assert_int_equal(write(f->client, &packet[i], 1), 1);
	}
	turn(f);
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
	/* half of one, and the client goes: so does what it said */
	assert_int_equal(write(f->client, packet, 7), 7);
	turn(f);
	close(f->client);
	turn(f);
	f->client = client_new(f);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
}

/* One too many is turned away, the others are served on; who leaves makes room. */
static void test_bounded_clients(void **state)
{
	struct fixture *f = *state;
	int more[VICI_CLIENTS_MAX];
	__u8 byte;

	for (unsigned int i = 1; i < VICI_CLIENTS_MAX; i++) {
		more[i] = client_new(f);
		turn(f);
		assert_int_equal(recv(more[i], &byte, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
	}
	more[0] = client_new(f);
	turn(f);
	assert_int_equal(recv(more[0], &byte, 1, MSG_DONTWAIT), 0);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
	close(more[1]);
	turn(f);
	more[1] = client_new(f);
	turn(f);
	assert_int_equal(recv(more[1], &byte, 1, MSG_DONTWAIT), -1);
	assert_int_equal(errno, EAGAIN);
	for (unsigned int i = 0; i < VICI_CLIENTS_MAX; i++)
		close(more[i]);
	turn(f);
}

static bool closed(int fd)
{
	__u8 bytes[65536];
	ssize_t n;

	do {
		n = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	} while (n > 0);
	return n == 0 || errno != EAGAIN;
}

/* Clients that do not read: what waits for all together is bounded, and it is the slowest that goes
 * for it. Who reads is served on. */
static void test_bounded_waiting(void **state)
{
	static char text[65000];
	struct vici_writer w = {0};
	struct fixture *f = *state;
	int slow[3], gone = 0;
	size_t sent = 0;

	memset(text, 'x', sizeof(text) - 1);
	vici_text(&w, "much", "%s", text);
	for (int i = 0; i < 3; i++) {
		int reader = f->client;

		f->client = client_new(f);
		SAY("\x03\x07list-sa");
		HEAR("\x05");
		slow[i] = f->client;
		f->client = reader;
		/* the first one has more to read than the others */
		vici_server_event(f->server, VICI_EVENT_LIST_SA, &w);
		turn(f);
	}
	for (; sent < VICI_WAITING_ALL / 3 + (2 << 20); sent += sizeof(text))
		vici_server_event(f->server, VICI_EVENT_LIST_SA, &w);
	turn(f);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
	for (int i = 0; i < 3; i++)
		gone += closed(slow[i]);
	assert_int_equal(gone, 1);
	assert_true(closed(slow[0]));
	for (int i = 0; i < 3; i++)
		close(slow[i]);
	vici_free(&w);
	turn(f);
}

/* 0: the server has closed the connection without a word. */
static int stranger(const char *path)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	__u8 byte;

	strcpy(addr.sun_path, path);
	if (setresuid(65534, 65534, 65534) || connect(fd, (void *)&addr, sizeof(addr)))
		return 2;
	return recv(fd, &byte, 1, 0) == 0 ? 0 : 1;
}

/* Should the mode be loosened: who is neither root nor us is turned away all the same. */
static void test_strangers(void **state)
{
	struct fixture *f = *state;
	int status;
	pid_t pid;

	if (geteuid() != 0) {
		print_message("needs root, to be somebody else\n");
		skip();
	}
	assert_int_equal(chmod(f->path, 0666), 0);
	assert_int_equal(chmod(f->dir, 0755), 0);
	pid = fork();
	if (!pid)
		_exit(stranger(f->path));
	for (int i = 0; i < 200 && waitpid(pid, &status, WNOHANG) == 0; i++) {
		turn(f);
		usleep(10000);
	}
	if (waitpid(pid, &status, WNOHANG) == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
}

static void test_second_server(void **state)
{
	struct fixture *f = *state;
	struct vici_server *other = NULL;

	assert_int_equal(vici_server_new(f->base, f->path, commands, on_events, f, &other),
			 -EADDRINUSE);
	assert_null(other);
	SAY("\x00\x07version");
	HEAR("\x01\x03\x06"
	     "daemon\x00\x04test");
}

static const char secret[] = "a secret that nobody finds again";
static unsigned int found; /* pieces of libevent's that were freed with it */

static void look_and_free(void *data)
{
	if (data && memmem(data, malloc_usable_size(data), secret, 16))
		found++;
	free(data);
}

/* Whole, in pieces, or never to the end: what came is wiped before libevent frees it. */
static void test_wiped(void **state)
{
	static __u8 packet[100000];
	struct fixture *f = *state;
	const size_t at[] = {30, 5000, 99900};

	memcpy(packet, "\x00\x01\x86\x9c\x00\x04hold", 10);
	for (int i = 0; i < 3; i++)
		memcpy(packet + at[i], secret, sizeof(secret));
	for (int whole = 0; whole < 2; whole++) {
		for (size_t n = 0; n < sizeof(packet) - !whole;) {
			size_t part = sizeof(packet) - !whole - n;

			part = part > 7777 ? 7777 : part;
			assert_int_equal(write(f->client, packet + n, part), part);
			n += part;
			turn(f);
		}
		close(f->client);
		turn(f);
		f->client = client_new(f);
		assert_int_equal(found, 0);
	}
}

#define WITH_SERVER(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_writer),
		cmocka_unit_test(test_cut_off),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_get),
		cmocka_unit_test(test_writer_bound),
		cmocka_unit_test(test_connection),
		cmocka_unit_test(test_tree_refuses),
		WITH_SERVER(test_commands),
		WITH_SERVER(test_events),
		WITH_SERVER(test_later),
		WITH_SERVER(test_client_leaves),
		cmocka_unit_test_setup_teardown(test_drained, setup, not_told),
		WITH_SERVER(test_protocol_broken),
		WITH_SERVER(test_half_a_packet),
		WITH_SERVER(test_bounded_clients),
		WITH_SERVER(test_wiped),
		WITH_SERVER(test_bounded_waiting),
		WITH_SERVER(test_strangers),
		WITH_SERVER(test_second_server),
	};

	signal(SIGPIPE, SIG_IGN);
	event_set_mem_functions(malloc, realloc, look_and_free);
	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("vici", tests, NULL, NULL);
}
