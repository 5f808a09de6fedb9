// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sadb_server.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>
#include <openssl/crypto.h>

#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/sadb_inside.h"

#define CLIENTS_MAX     64
#define QUEUE_MAX       (32 << 20)  /* bytes that wait for a client that does not read */
#define SAMPLES_MAX     (256 << 10) /* bytes that may wait when a sample comes */
#define REQUESTS_A_TURN 32

struct message {
	struct message *next;
	size_t len;
	char data[];
};

static bool send_now(struct client *client, const void *data, size_t len)
{
	return send(client->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

void sadb_put(struct client *client, const void *data, size_t len)
{
	struct message *message;

	if (client->broken || client->deaf || (!client->first && send_now(client, data, len)))
		return;
	message = malloc(sizeof(*message) + len);
	if (!message || client->queued + len > QUEUE_MAX) {
		free(message);
		client->broken = true;
		return;
	}
	message->next = NULL;
	message->len = len;
	memcpy(message->data, data, len);
	*client->last = message;
	client->last = &message->next;
	client->queued += len;
	event_add(client->writable, NULL);
}

static void forget_answers(struct client *client)
{
	while (client->first) {
		struct message *message = client->first;

		client->first = message->next;
		free(message);
	}
	client->last = &client->first;
	client->queued = 0;
}

static void client_end(struct client *client)
{
	struct sadb_server *server = client->server;
	struct client **link = &server->clients;

	while (*link != client)
		link = &(*link)->next;
	*link = client->next;
	server->n_clients--;
	if (server->ike == client) {
		server->ike = NULL;
		server->hooks->ike_back(server->ctx);
	}
	event_free(client->readable);
	event_free(client->writable);
	close(client->fd);
	forget_answers(client);
	sadb_rights_free(&client->rights);
	free(client);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct client *client = ctx;
	union sadb_request req;
	ssize_t len;

	for (int i = 0; i < REQUESTS_A_TURN && !client->broken && !client->listing; i++) {
		len = recv(client->fd, &req, sizeof(req), MSG_DONTWAIT);
		/* It went without reading all answers; its last requests come next. */
		if (len < 0 && errno == ECONNRESET)
			continue;
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (len <= 0)
			client->broken = true;
		else
			sadb_handle(client, &req, len);
	}
	OPENSSL_cleanse(&req, sizeof(req));
	if (client->broken)
		client_end(client);
}

static void grow_deaf(struct client *client)
{
	forget_answers(client);
	client->deaf = true;
	client->listing = false;
	event_add(client->readable, NULL);
}

/* false: there is more than it takes now, or it is gone. */
static bool send_queued(struct client *client)
{
	struct message *message;

	while ((message = client->first)) {
		if (!send_now(client, message->data, message->len)) {
			if (errno == EAGAIN)
				event_add(client->writable, NULL);
			else
				grow_deaf(client);
			return false;
		}
		client->first = message->next;
		if (!client->first)
			client->last = &client->first;
		client->queued -= message->len;
		free(message);
	}
	return true;
}

static void on_writable(evutil_socket_t fd, short what, void *ctx)
{
	struct client *client = ctx;

	if (!send_queued(client) || !client->listing)
		return;
	sadb_list_on(client);
	if (client->broken)
		client_end(client);
	else if (!client->listing)
		event_add(client->readable, NULL);
}

static bool peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	if (peer.uid == 0 || peer.uid == geteuid())
		return true;
	log_warn("sadb: uid %u (pid %d) is turned away", peer.uid, peer.pid);
	return false;
}

static void resume_accepting(void *ctx)
{
	struct sadb_server *server = ctx;

	event_add(server->acceptable, NULL);
}

static void on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct sadb_server *server = ctx;
	_cleanup_close_ int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (conn < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) {
		accept_pause_begin(&server->pause, errno);
		event_del(server->acceptable);
	}
	if (conn < 0 || !peer_allowed(conn))
		return;
	accept_pause_over(&server->pause);
	if (server->n_clients >= CLIENTS_MAX) {
		log_warn("sadb: more than %u clients at once: one is turned away", CLIENTS_MAX);
		return;
	}
	client = calloc(1, sizeof(*client));
	if (!client)
		return;
	client->server = server;
	client->last = &client->first;
	client->fd = take_fd(&conn);
	client->readable =
		event_new(server->base, client->fd, EV_READ | EV_PERSIST, on_readable, client);
	client->writable = event_new(server->base, client->fd, EV_WRITE, on_writable, client);
	client->next = server->clients;
	server->clients = client;
	server->n_clients++;
	event_add(client->readable, NULL);
}

/* What is told elsewhere too: samples by the counters, SAs by their list. */
static bool may_get_lost(__u32 event)
{
	return XIPSEC_EVENT_BIT(event) &
	       (XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS) |
		XIPSEC_EVENT_BIT(XIPSEC_EVENT_ADDED) | XIPSEC_EVENT_BIT(XIPSEC_EVENT_DELETED));
}

static void tell(struct client *client, const struct sadb_event *event)
{
	struct sadb_event copy = *event;

	if (may_get_lost(event->event) && client->queued > SAMPLES_MAX) {
		client->lost++;
		return;
	}
	copy.lost = client->lost;
	client->lost = 0;
	/* Another one asked for them. */
	if (!client->packets) {
		copy.sample.captured = 0;
		memset(copy.sample.data, 0, sizeof(copy.sample.data));
	}
	sadb_put(client, &copy, sizeof(copy));
}

void sadb_server_event(struct sadb_server *server, struct sadb_event *event)
{
	struct timespec now;

	event->hdr = (struct sadb_hdr){.type = XIPSEC_SADB_EVENT,
				       .flags = XIPSEC_SADB_MORE,
				       .abi = XIPSEC_ABI,
				       .len = sizeof(*event)};
	if (!event->time) {
		clock_gettime(CLOCK_BOOTTIME, &now);
		event->time = (__u64)now.tv_sec * 1000000000 + now.tv_nsec;
	}
	/* One that does not read becomes broken and is ended by its next readable event: never
	 * here, where a caller may be in the middle of its request. */
	for (struct client *client = server->clients; client; client = client->next)
		if (client->events & XIPSEC_EVENT_BIT(event->event) &&
		    (event->event == XIPSEC_EVENT_NO_SA ||
		     sadb_rights_serve(&client->rights, server->hooks->config(server->ctx),
				       event->child)))
			tell(client, event);
}

__u32 sadb_server_tell(const struct sadb_server *server)
{
	__u32 tell_what = 0;

	for (const struct client *client = server->clients; client; client = client->next) {
		if (client->events & XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS))
			tell_what |= XIPSEC_TELL_PASSES;
		if (client->packets)
			tell_what |= XIPSEC_TELL_PACKETS;
	}
	return tell_what;
}

bool sadb_server_wanted(const struct sadb_server *server, enum xipsec_event event)
{
	for (const struct client *client = server->clients; client; client = client->next)
		if (client->events & XIPSEC_EVENT_BIT(event))
			return true;
	return false;
}

int sadb_server_new(struct event_base *base, const char *run_dir, const struct sadb_hooks *hooks,
		    void *ctx, struct sadb_server **out)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	_cleanup_close_ int fd = -1;
	struct sadb_server *server;
	mode_t mask;
	int err;

	if (snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/sadb.sock", run_dir) >=
	    (int)sizeof(addr.sun_path)) {
		log_error("%s/sadb.sock: longer than a socket's name can be", run_dir);
		return -ENAMETOOLONG;
	}
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	unlink(addr.sun_path);
	mask = umask(0177);
	err = fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) < 0 ? -errno : 0;
	umask(mask);
	if (!err && listen(fd, 16) < 0)
		err = -errno;
	server = err ? NULL : calloc(1, sizeof(*server));
	if (!server) {
		log_error("%s: %s", addr.sun_path, strerror(err ? -err : ENOMEM));
		return err ? err : -ENOMEM;
	}
	server->base = base;
	server->hooks = hooks;
	server->ctx = ctx;
	server->fd = take_fd(&fd);
	memcpy(server->path, addr.sun_path, sizeof(server->path));
	server->acceptable =
		event_new(base, server->fd, EV_READ | EV_PERSIST, on_connection, server);
	if (!server->acceptable ||
	    accept_pause_open(&server->pause, base, "sadb: a client", resume_accepting, server)) {
		log_error("%s: no memory", server->path);
		sadb_server_free(server);
		return -ENOMEM;
	}
	event_add(server->acceptable, NULL);
	*out = server;
	return 0;
}

void sadb_server_free(struct sadb_server *server)
{
	if (!server)
		return;
	unlink(server->path);
	server->ike = NULL; /* its sockets end with us */
	while (server->clients)
		client_end(server->clients);
	if (server->acceptable)
		event_free(server->acceptable);
	accept_pause_close(&server->pause);
	close(server->fd);
	free(server);
}
