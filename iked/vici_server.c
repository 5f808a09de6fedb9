// SPDX-License-Identifier: BSD-2-Clause
#include "iked/vici_server.h"
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/listener.h>
#include "lib/accept_pause.h"
#include "lib/cleanup.h"
#include "lib/log.h"

struct vici_request {
	struct vici_client *client;
	__u64 id;
	char name[VICI_NAME_MAX + 1];
	__u8 *data; /* the message; wiped when it goes: it may hold a secret */
	size_t len;
	vici_drained_fn drained; /* NULL: nobody waits for it */
	vici_drained_fn gone;    /* NULL: nobody wants to know */
};

struct vici_client {
	struct vici_client *next;
	struct vici_server *server;
	struct bufferevent *bev;
	__u32 events;                 /* 1 << enum vici_event */
	struct vici_request *request; /* NULL: none is under way */
	bool leaving;                 /* it goes as soon as the loop turns */
};

struct vici_server {
	struct event_base *base;
	struct evconnlistener *listener;
	struct accept_pause pause;
	char path[108];
	const struct vici_command *commands;
	void (*on_events)(void *ctx, __u32 events);
	void *ctx;
	__u32 events_told;
	struct vici_client *clients;
	unsigned int n_clients;
	__u64 last_id;
};

enum vici_event vici_event_find(const char *name)
{
	static const char *const names[] = {
#define VICI_EVENT_NAME(sym, name) name,
		VICI_EVENTS(VICI_EVENT_NAME)
#undef VICI_EVENT_NAME
	};
	unsigned int i = 0;

	while (i < VICI_EVENT_COUNT && strcmp(names[i], name) != 0)
		i++;
	return i;
}

static const char *event_name(enum vici_event event)
{
	static const char *const names[] = {
#define VICI_EVENT_NAME(sym, name) name,
		VICI_EVENTS(VICI_EVENT_NAME)
#undef VICI_EVENT_NAME
	};

	return names[event];
}

/* ------------------------------------------------------------------ clients */

static void request_free(struct vici_request *request)
{
	if (!request)
		return;
	request->client->request = NULL;
	if (request->data)
		explicit_bzero(request->data, request->len);
	free(request->data);
	free(request);
}

__u32 vici_server_events(const struct vici_server *server)
{
	__u32 events = 0;

	for (const struct vici_client *client = server->clients; client; client = client->next)
		events |= client->events;
	return events;
}

static void tell_events(struct vici_server *server)
{
	__u32 events = vici_server_events(server);

	if (events == server->events_told || !server->on_events)
		return;
	server->events_told = events;
	server->on_events(server->ctx, events);
}

/* The first bytes of what has come, which may hold a secret: libevent frees its pieces as they are.
 * `to` NULL: to nowhere. */
static void take_input(struct evbuffer *in, __u8 *to, size_t len)
{
	struct evbuffer_iovec piece;

	while (len && evbuffer_peek(in, 1, NULL, &piece, 1) > 0) {
		size_t n = piece.iov_len < len ? piece.iov_len : len;

		if (to)
			memcpy(to, piece.iov_base, n);
		to = to ? to + n : NULL;
		explicit_bzero(piece.iov_base, n);
		evbuffer_drain(in, n);
		len -= n;
	}
}

static void client_free(struct vici_client *client)
{
	struct vici_server *server = client->server;
	struct vici_request *request = client->request;
	struct vici_client **at = &client->server->clients;
	struct evbuffer *in = bufferevent_get_input(client->bev);

	if (request && request->drained)
		request->drained(server->ctx, request, true);
	else if (request && request->gone)
		request->gone(server->ctx, request, true);
	while (*at != client)
		at = &(*at)->next;
	*at = client->next;
	client->server->n_clients--;
	request_free(client->request);
	take_input(in, NULL, evbuffer_get_length(in));
	bufferevent_free(client->bev);
	free(client);
	tell_events(server);
}

static size_t waiting(const struct vici_client *client)
{
	return client->leaving ? 0 : evbuffer_get_length(bufferevent_get_output(client->bev));
}

/* From the loop: it may be the one that we are in the middle of. */
static void disconnect(struct vici_client *client)
{
	log_warn("vici: a client does not read, %zu MiB wait for it: disconnected",
		 waiting(client) >> 20);
	client->leaving = true;
	client->events = 0;
	bufferevent_trigger_event(client->bev, BEV_EVENT_ERROR, BEV_TRIG_DEFER_CALLBACKS);
}

/* Makes room for `len` bytes more to that client. False: it has let too much wait itself. */
static bool make_room(struct vici_client *to, size_t len)
{
	struct vici_client *most = to;
	size_t all = len;

	for (struct vici_client *c = to->server->clients; c; c = c->next) {
		all += waiting(c);
		if (waiting(c) > waiting(most))
			most = c;
	}
	if (waiting(to) + len > VICI_WAITING_MAX)
		most = to;
	else if (all <= VICI_WAITING_ALL)
		return true;
	disconnect(most);
	return most != to;
}

/* A packet: length, type, name if it has one, message. */
static void send_packet(struct vici_client *client, enum vici_packet type, const char *name,
			struct bytes message)
{
	struct evbuffer *out = bufferevent_get_output(client->bev);
	__u8 name_len = name ? strlen(name) : 0;
	__u32 len = htonl(1 + (name ? 1 + name_len : 0) + message.len);
	__u8 byte = type;

	if (client->leaving || !make_room(client, message.len))
		return;
	evbuffer_add(out, &len, sizeof(len));
	evbuffer_add(out, &byte, 1);
	if (name) {
		evbuffer_add(out, &name_len, 1);
		evbuffer_add(out, name, name_len);
	}
	evbuffer_add(out, message.data, message.len);
}

static const struct vici_command *command_find(const struct vici_server *server, const char *name)
{
	const struct vici_command *command = server->commands;

	while (command->name && strcmp(command->name, name) != 0)
		command++;
	return command->name ? command : NULL;
}

/* False: it breaks the protocol. */
static bool on_request(struct vici_client *client, const char *name, struct bytes message)
{
	const struct vici_command *command = command_find(client->server, name);
	struct vici_request *request;

	if (client->request || vici_validate(message))
		return false;
	if (!command) {
		send_packet(client, VICI_CMD_UNKNOWN, NULL, BYTES("", 0));
		return true;
	}
	request = calloc(1, sizeof(*request));
	if (request)
		request->data = malloc(message.len + 1);
	if (!request || !request->data) {
		free(request);
		return false;
	}
	memcpy(request->data, message.data, message.len);
	request->len = message.len;
	request->client = client;
	request->id = ++client->server->last_id;
	strcpy(request->name, name);
	client->request = request;
	command->run(client->server->ctx, request);
	return true;
}

static void on_register(struct vici_client *client, const char *name, bool on)
{
	enum vici_event event = vici_event_find(name);
	__u32 bit = 1U << event;

	if (event == VICI_EVENT_COUNT || (!on && !(client->events & bit))) {
		send_packet(client, VICI_EVENT_UNKNOWN, NULL, BYTES("", 0));
		return;
	}
	client->events = on ? client->events | bit : client->events & ~bit;
	tell_events(client->server);
	send_packet(client, VICI_EVENT_CONFIRM, NULL, BYTES("", 0));
}

static bool on_packet(struct vici_client *client, struct bytes packet)
{
	struct reader r = reader_of(packet);
	enum vici_packet type = reader_u8(&r);
	struct bytes name = reader_bytes(&r, reader_u8(&r));
	char text[VICI_NAME_MAX + 1] = "";

	if (r.failed || memchr(name.data, 0, name.len))
		return false;
	memcpy(text, name.data, name.len);
	switch (type) {
	case VICI_CMD_REQUEST: return on_request(client, text, reader_rest(&r));
	case VICI_EVENT_REGISTER:
	case VICI_EVENT_UNREGISTER:
		on_register(client, text, type == VICI_EVENT_REGISTER);
		return true;
	default: return false;
	}
}

/* One packet of what has come, if it is whole: 1, 0: not yet, -1: the client has to go. */
static int read_packet(struct vici_client *client)
{
	struct evbuffer *in = bufferevent_get_input(client->bev);
	__u32 len;
	__u8 *data;
	bool good;

	if (evbuffer_copyout(in, &len, sizeof(len)) < (ssize_t)sizeof(len))
		return 0;
	len = ntohl(len);
	if (len > VICI_SEGMENT_MAX)
		return -1;
	if (evbuffer_get_length(in) < sizeof(len) + len)
		return 0;
	data = malloc(len + 1);
	if (!data)
		return -1;
	evbuffer_drain(in, sizeof(len));
	take_input(in, data, len);
	good = on_packet(client, BYTES(data, len));
	explicit_bzero(data, len);
	free(data);
	return good ? 1 : -1;
}

static void on_read(struct bufferevent *bev, void *arg)
{
	struct vici_client *client = arg;
	int more = 1;

	while (more > 0)
		more = read_packet(client);
	if (more < 0) {
		log_warn("vici: a client broke the protocol: disconnected");
		client_free(client);
	}
}

/* Down to the low watermark. */
static void on_written(struct bufferevent *bev, void *arg)
{
	struct vici_client *client = arg;
	struct vici_request *request = client->request;

	if (request && request->drained)
		vici_when_drained(request, request->drained);
}

static void on_end(struct bufferevent *bev, short what, void *arg)
{
	client_free(arg);
}

static bool may_connect(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 &&
	       (peer.uid == 0 || peer.uid == geteuid());
}

static void on_connect(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *addr,
		       int len, void *arg)
{
	struct vici_server *server = arg;
	struct vici_client *client;

	accept_pause_over(&server->pause);
	if (!may_connect(fd) || server->n_clients == VICI_CLIENTS_MAX) {
		log_warn("vici: a client was turned away: %s",
			 may_connect(fd) ? "too many clients" : "not root");
		close(fd);
		return;
	}
	client = calloc(1, sizeof(*client));
	if (client)
		client->bev = bufferevent_socket_new(server->base, fd, BEV_OPT_CLOSE_ON_FREE);
	if (!client || !client->bev) {
		free(client);
		close(fd);
		return;
	}
	client->server = server;
	client->next = server->clients;
	server->clients = client;
	server->n_clients++;
	bufferevent_setcb(client->bev, on_read, on_written, on_end, client);
	bufferevent_setwatermark(client->bev, EV_WRITE, VICI_AHEAD, 0);
	bufferevent_setwatermark(client->bev, EV_READ, 0, VICI_SEGMENT_MAX + 4);
	bufferevent_enable(client->bev, EV_READ | EV_WRITE);
}

static void resume_accepting(void *ctx)
{
	struct vici_server *server = ctx;

	evconnlistener_enable(server->listener);
}

static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	struct vici_server *server = ctx;

	accept_pause_begin(&server->pause, errno);
	evconnlistener_disable(listener);
}

/* ------------------------------------------------------------------ the socket */

/* Does somebody answer there? */
static bool is_alive(const struct sockaddr_un *addr)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd >= 0 && connect(fd, (const void *)addr, sizeof(*addr)) == 0;
}

static int socket_listen(const char *path, int *out)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	mode_t before;
	int err;

	if (fd < 0)
		return -errno;
	if (strlen(path) >= sizeof(addr.sun_path))
		return -ENAMETOOLONG;
	strcpy(addr.sun_path, path);
	if (is_alive(&addr))
		return -EADDRINUSE;
	unlink(path);
	before = umask(0177);
	err = bind(fd, (const void *)&addr, sizeof(addr)) ? -errno : 0;
	umask(before);
	if (!err && listen(fd, 16))
		err = -errno;
	if (!err)
		*out = take_fd(&fd);
	return err;
}

int vici_server_new(struct event_base *base, const char *path, const struct vici_command *commands,
		    void (*on_events)(void *ctx, __u32 events), void *ctx, struct vici_server **out)
{
	struct vici_server *server = calloc(1, sizeof(*server));
	int err = server ? 0 : -ENOMEM, fd = -1;

	if (!err)
		err = accept_pause_open(&server->pause, base, "vici: a client", resume_accepting,
					server);
	if (!err)
		err = socket_listen(path, &fd);
	if (!err) {
		server->listener = evconnlistener_new(base, on_connect, server,
						      LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC,
						      0, fd);
		if (!server->listener) {
			close(fd);
			unlink(path);
			err = -ENOMEM;
		}
	}
	if (err) {
		log_error("vici: cannot listen on %s: %s%s", path, strerror(-err),
			  err == -EADDRINUSE ? ": another daemon serves it" : "");
		if (server)
			accept_pause_close(&server->pause);
		free(server);
		return err;
	}
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	server->base = base;
	server->commands = commands;
	server->on_events = on_events;
	server->ctx = ctx;
	strcpy(server->path, path);
	*out = server;
	return 0;
}

void vici_server_free(struct vici_server *server)
{
	if (!server)
		return;
	server->on_events = NULL;
	for (struct vici_client *client = server->clients; client; client = client->next)
		if (client->request)
			client->request->drained = client->request->gone = NULL;
	while (server->clients)
		client_free(server->clients);
	evconnlistener_free(server->listener);
	accept_pause_close(&server->pause);
	unlink(server->path);
	free(server);
}

void vici_server_event(struct vici_server *server, enum vici_event event,
		       const struct vici_writer *w)
{
	for (struct vici_client *client = server->clients; client; client = client->next)
		if (client->events & 1U << event)
			send_packet(client, VICI_EVENT, event_name(event), vici_view(w));
}

bool vici_server_wanted(const struct vici_server *server, enum vici_event event)
{
	for (const struct vici_client *client = server->clients; client; client = client->next)
		if (client->events & 1U << event)
			return true;
	return false;
}

void vici_server_fail(struct vici_server *server, const char *text)
{
	for (struct vici_client *client = server->clients; client; client = client->next)
		if (client->request)
			vici_answer_error(client->request, "%s", text);
}

/* ------------------------------------------------------------------ requests */

struct bytes vici_request_message(const struct vici_request *request)
{
	return BYTES(request->data, request->len);
}

const char *vici_request_command(const struct vici_request *request)
{
	return request->name;
}

__u64 vici_request_id(const struct vici_request *request)
{
	return request->id;
}

struct vici_request *vici_request_find(struct vici_server *server, __u64 id)
{
	for (struct vici_client *client = server->clients; client; client = client->next)
		if (client->request && client->request->id == id)
			return client->request;
	return NULL;
}

void vici_stream(struct vici_request *request, enum vici_event event, struct bytes message)
{
	if (request->client->events & 1U << event)
		send_packet(request->client, VICI_EVENT, event_name(event), message);
}

void vici_when_drained(struct vici_request *request, vici_drained_fn fn)
{
	struct vici_client *client = request->client;
	bool full = evbuffer_get_length(bufferevent_get_output(client->bev)) > VICI_AHEAD;

	request->drained = full ? fn : NULL;
	if (!full)
		fn(client->server->ctx, request, false);
}

void vici_when_gone(struct vici_request *request, vici_drained_fn fn)
{
	request->gone = fn;
}

void vici_answer(struct vici_request *request, struct bytes message)
{
	struct vici_client *client = request->client;

	request_free(request);
	send_packet(client, VICI_CMD_RESPONSE, NULL, message);
}

void vici_answer_ok(struct vici_request *request)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_success(&w);
	vici_answer(request, vici_view(&w));
}

void vici_answer_error(struct vici_request *request, const char *fmt, ...)
{
	_cleanup_vici_ struct vici_writer w = {0};
	char text[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	vici_failure(&w, "%s", text);
	vici_answer(request, vici_view(&w));
}
