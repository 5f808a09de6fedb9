// SPDX-License-Identifier: BSD-2-Clause
/*
 * VICI. Even first byte: a message; valid, then it lies in its bounds, says the same when it is
 * written again, and becomes a connection or a secret as the config would have it, or errors in
 * words. Odd: what a client writes to the server's socket; it is answered by packets, each whole,
 * or disconnected, and leaves nothing behind.
 */
#include "tests/fuzz/harness.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "iked/conn_pack.h"
#include "iked/vici_server.h"
#include "iked/vici_tree.h"
#include "lib/conn.h"
#include "lib/log.h"

static struct event_base *base;
static struct vici_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static FILE *errors;
static __u64 late; /* a request that is not answered yet */
static unsigned int asked;

/* ------------------------------------------------------------------ a message */

/* Writes what was read; nothing else makes the same bytes. */
static void put(struct vici_writer *w, const struct vici_element *element)
{
	char name[VICI_NAME_MAX + 1] = "";

	MUST(element->name.len <= VICI_NAME_MAX);
	if (element->name.len)
		memcpy(name, element->name.data, element->name.len);
	for (size_t i = 0; i < element->name.len; i++)
		MUST(isprint(element->name.data[i]));
	switch (element->kind) {
	case VICI_SECTION_START: vici_section(w, name); break;
	case VICI_SECTION_END: vici_section_end(w); break;
	case VICI_KEY_VALUE: vici_blob(w, name, element->value); break;
	case VICI_LIST_START: vici_list(w, name); break;
	case VICI_LIST_ITEM: vici_item(w, element->value); break;
	case VICI_LIST_END: vici_list_end(w); break;
	}
}

static void message_must(struct bytes message)
{
	_cleanup_vici_ struct vici_writer w = {0};
	struct reader r = reader_of(message);
	struct vici_element element;
	int depth = 0, deepest = 0;

	while (vici_next(&r, &element)) {
		MUST(!element.value.len ||
		     (element.value.data >= message.data &&
		      element.value.data + element.value.len <= message.data + message.len));
		depth += (element.kind == VICI_SECTION_START) - (element.kind == VICI_SECTION_END);
		MUST(depth >= 0);
		deepest = depth > deepest ? depth : deepest;
		put(&w, &element);
	}
	MUST(!r.failed && depth == 0 && deepest <= VICI_DEPTH_MAX);
	MUST(!w.err && w.len == message.len);
	MUST(!w.len || !memcmp(w.data, message.data, w.len));
}

/* As the parent gives it to the child: the same comes out. */
static void pack_must(const struct conn *conn)
{
	struct conn copy = {0};
	int fd;

	/* Files are read before. */
	if (conn->local.certs.n || conn->remote.certs.n || conn->remote.cacerts.n)
		return;
	fd = conn_pack(conn);
	MUST(fd >= 0);
	MUST(!conn_unpack(fd, &copy));
	MUST(conn_same(conn, &copy) && conn->n_children == copy.n_children);
	for (unsigned int i = 0; i < copy.n_children; i++)
		MUST(conn_child_same(&conn->children[i], &copy.children[i]));
	conn_clear(&copy);
	close(fd);
}

static void conn_must(const struct conn *conn)
{
	static const struct conn nothing;

	MUST(memcmp(conn, &nothing, sizeof(nothing)));
	MUST(memchr(conn->name, 0, sizeof(conn->name)));
	MUST(conn->local_addrs.n <= CONN_HOSTS_MAX && conn->remote_addrs.n <= CONN_HOSTS_MAX);
	for (unsigned int i = 0; i < conn->n_children; i++) {
		const struct conn_child *child = &conn->children[i];

		MUST(memchr(child->name, 0, sizeof(child->name)));
		MUST(child->local_ts.n && child->local_ts.n <= CONN_TS_MAX);
		MUST(child->remote_ts.n && child->remote_ts.n <= CONN_TS_MAX);
		MUST(child->proposals.n <= CONN_PROPOSALS_MAX);
		for (unsigned int k = 0; k < child->local_ts.n; k++)
			MUST(child->local_ts.ts[k].port_lo <= child->local_ts.ts[k].port_hi ||
			     child->local_ts.ts[k].opaque);
	}
	pack_must(conn);
}

/* Each section as a connection and as a secret. */
static void sections_must(const struct config_list *list)
{
	for (const struct config_node *node = list->first; node; node = node->next) {
		struct config_diag diag = {.out = errors};
		struct conn_secret secret = {0}, no_secret = {0};
		struct conn conn = {0}, no_conn = {0};

		if (node->kind != CONFIG_SECTION || strlen(node->name) >= CONN_NAME_LEN)
			continue;
		if (config_conn(&diag, node, &conn))
			conn_must(&conn);
		else
			MUST(diag.errors && !memcmp(&conn, &no_conn, sizeof(conn)));
		conn_clear(&conn);
		diag = (struct config_diag){.out = errors};
		if (!config_secret(&diag, node, &secret))
			MUST(diag.errors && !memcmp(&secret, &no_secret, sizeof(secret)));
		conn_secret_clear(&secret);
	}
}

static void try_message(struct bytes message)
{
	struct config_file file = {.name = (char *)"vici"};
	struct config_place place = {.file = &file};
	struct config_list list;
	char text[64];
	int err = vici_validate(message);

	if (err) {
		MUST(err == -EINVAL);
		return;
	}
	message_must(message);
	if (vici_get_text(message, "child", text, sizeof(text)))
		MUST(strlen(text) < sizeof(text));
	vici_get_number(message, "timeout", 0);
	err = vici_to_tree(message, &place, &list);
	MUST(!err || err == -EINVAL);
	if (!err)
		sections_must(&list);
	config_list_free(&list);
}

/* ------------------------------------------------------------------ a client */

static void run_echo(void *ctx, struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0}; /* the request is gone before its answer goes */

	asked++;
	MUST(!vici_validate(vici_request_message(request)));
	vici_append(&w, vici_request_message(request));
	vici_answer(request, vici_view(&w));
}

static void run_stream(void *ctx, struct vici_request *request)
{
	asked++;
	vici_stream(request, VICI_EVENT_LIST_SA, vici_request_message(request));
	vici_answer_ok(request);
}

static void run_late(void *ctx, struct vici_request *request)
{
	asked++;
	late = vici_request_id(request);
}

static const struct vici_command commands[] = {
	{"echo", run_echo}, {"stream", run_stream}, {"late", run_late}, {NULL, NULL}};

static void turn(void)
{
	for (int i = 0; i < 8; i++)
		event_base_loop(base, EVLOOP_NONBLOCK);
}

/* Whole packets, of the kinds that a server sends. */
static void answers_must(struct bytes all)
{
	struct reader r = reader_of(all);
	unsigned int answers = 0;

	while (reader_left(&r)) {
		struct bytes packet = reader_bytes(&r, reader_u32(&r));
		struct reader p = reader_of(packet);
		enum vici_packet type = reader_u8(&p);

		MUST(!r.failed && packet.len && packet.len <= VICI_SEGMENT_MAX);
		if (type == VICI_EVENT)
			reader_bytes(&p, reader_u8(&p));
		else
			MUST(type == VICI_CMD_RESPONSE || type == VICI_CMD_UNKNOWN ||
			     type == VICI_EVENT_CONFIRM || type == VICI_EVENT_UNKNOWN);
		MUST(!p.failed);
		if (type == VICI_EVENT || type == VICI_CMD_RESPONSE)
			MUST(!vici_validate(reader_rest(&p)));
		answers += type == VICI_CMD_RESPONSE;
	}
	MUST(answers <= asked);
}

static void try_client(struct bytes stream)
{
	static __u8 answers[1 << 20];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	size_t got = 0;
	ssize_t n;

	asked = 0;
	late = 0;
	MUST(fd >= 0 && !connect(fd, (const void *)&address, sizeof(address)));
	MUST(write(fd, stream.data, stream.len) == (ssize_t)stream.len);
	turn();
	if (late) {
		struct vici_request *request = vici_request_find(server, late);

		if (request)
			vici_answer_error(request, "late");
		turn();
	}
	while ((n = read(fd, answers + got, sizeof(answers) - got)) > 0)
		got += n;
	answers_must(BYTES(answers, got));
	close(fd);
	turn();
	MUST(!vici_server_events(server));
	MUST(!late || !vici_request_find(server, late));
}

static void leave(void)
{
	vici_server_free(server);
	event_base_free(base);
	fclose(errors);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	log_open("fuzz", 0);
	errors = fopen("/dev/null", "w");
	base = event_base_new();
	MUST(errors && base);
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/fuzz-vici.%d", getpid());
	MUST(!vici_server_new(base, address.sun_path, commands, NULL, NULL, &server));
	atexit(leave);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	__u8 *copy;

	/* A key file could be any file of this machine. */
	if (!size || memmem(data, size, "file", 4))
		return 0;
	copy = malloc(size); /* ASan guards its end */
	MUST(copy);
	memcpy(copy, data + 1, size - 1);
	if (data[0] & 1)
		try_client(BYTES(copy, size - 1));
	else
		try_message(BYTES(copy, size - 1));
	free(copy);
	return 0;
}
