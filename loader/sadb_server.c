// SPDX-License-Identifier: BSD-2-Clause
#include "loader/sadb_server.h"

#include <stddef.h>
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
#include "lib/fdpass.h"
#include "lib/log.h"
#include "lib/sa_selectors.h"
#include "loader/sadb_rights.h"

#define CLIENTS_MAX     64
#define QUEUE_MAX       (32 << 20)  /* bytes that wait for a client that does not read */
#define SAMPLES_MAX     (256 << 10) /* bytes that may wait when a sample comes */
#define LIST_MAX        (256 << 10) /* bytes of a list that are written ahead of its reader */
#define REQUESTS_A_TURN 32

union request {
	struct sadb_hdr hdr;
	struct sadb_name name;
	struct sadb_path path;
	struct sadb_sa_add add;
	struct sadb_sa_ref ref;
	struct sadb_subscribe subscribe;
};

struct message {
	struct message *next;
	size_t len;
	char data[];
};

struct client {
	struct sadb_server *server;
	struct client *next;
	int fd;
	struct event *readable, *writable;
	struct message *first, **last;
	size_t queued;
	__u32 events; /* XIPSEC_EVENT_BIT() of those it wants */
	bool packets; /* samples with the first bytes of their packets */
	__u64 lost;   /* events since the last that it got */
	struct sadb_rights rights;
	/* A list under way: its request, and the place in the SADB where it goes on. Nothing else
	 * is read until it ends, for answers come in the order of requests. */
	bool listing;
	struct sadb_hdr list_req;
	__u32 list_at;
	bool deaf;   /* it has gone: no answers, but what it asked before is done */
	bool broken; /* to be ended when nobody uses it */
};

struct sadb_server {
	struct event_base *base;
	const struct sadb_hooks *hooks;
	void *ctx;
	int fd;
	char path[108];
	struct event *acceptable;
	struct client *clients;
	unsigned int n_clients;
	struct client *ike; /* who has borrowed the sockets of IKE; NULL: nobody */
};

/* ------------------------------------------------------------------ answers */

static bool send_now(struct client *client, const void *data, size_t len)
{
	return send(client->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

static void put(struct client *client, const void *data, size_t len)
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

static void head(struct sadb_hdr *hdr, const struct sadb_hdr *request, size_t len, __u16 flags)
{
	*hdr = (struct sadb_hdr){.type = request->type,
				 .flags = flags,
				 .abi = XIPSEC_ABI,
				 .len = len,
				 .seq = request->seq};
}

static void reply(struct client *client, const struct sadb_hdr *request, int err, const char *text)
{
	struct sadb_reply answer = {0};

	head(&answer.hdr, request, sizeof(answer), 0);
	answer.hdr.err = (__s16)err;
	if (err)
		snprintf(answer.text, sizeof(answer.text), "%s", text[0] ? text : strerror(-err));
	put(client, &answer, sizeof(answer));
}

/* ------------------------------------------------------------------ requests */

static void on_restrict(struct client *client, const struct sadb_name *req)
{
	int err = -EINVAL;

	if (memchr(req->name, 0, sizeof(req->name)))
		err = sadb_rights_add(&client->rights, req->name);
	reply(client, &req->hdr, err,
	      err == -EINVAL  ? "name without an end"
	      : err == -EPERM ? "the rights of this connection are fixed"
			      : "");
}

/* A restricted client speaks for a process that reads what strangers send. */
static const char not_yours[] = "this connection may not speak for that child";

static void on_add(struct client *client, struct sadb_sa_add *req)
{
	struct sas *sas = client->server->hooks->sas(client->server->ctx);
	const struct config *config = client->server->hooks->config(client->server->ctx);
	const char *why = NULL;
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err;

	/* Manual keys come from the config alone: their numbers outlive us. */
	req->sa.flags &= ~(XIPSEC_SA_MANUAL | XIPSEC_SA_FRESH_KEY);
	if (!sadb_rights_serve(&client->rights, req->sa.child))
		why = not_yours;
	else
		why = sa_selectors_narrow(config, &req->sa);
	err = why ? -EPERM : sas_add(sas, &req->sa, text);
	reply(client, &req->hdr, err, why ? why : text);
}

static void on_delete(struct client *client, const union request *req, size_t len)
{
	struct sas *sas = client->server->hooks->sas(client->server->ctx);
	struct sa *sa = NULL;
	int err;

	if (len == sizeof(req->ref))
		sa = sas_by_spi(sas, &req->ref.dst, req->ref.family, req->ref.spi,
				req->ref.l4_proto);
	else if (memchr(req->name.name, 0, sizeof(req->name.name)))
		sa = sas_by_name(sas, req->name.name);
	if (!sa) {
		reply(client, &req->hdr, -ENOENT, "there is no such SA");
		return;
	}
	if (!sadb_rights_own(&client->rights, &sa->sa)) {
		reply(client, &req->hdr, -EPERM, not_yours);
		return;
	}
	err = sas_delete(sas, &sa, 1);
	reply(client, &req->hdr, err,
	      "the SA is deleted, but what it received cannot be written to state_dir: make room "
	      "there, then add it and delete it again");
}

/* As much of the list as its reader has room for. An SA that comes or goes meanwhile is in it or
 * not. */
static void list_on(struct client *client)
{
	struct sas *sas = client->server->hooks->sas(client->server->ctx);
	struct sadb_sa_info info;
	size_t len;

	while (client->queued < LIST_MAX && !client->broken) {
		const struct sa *sa = sas_from(sas, client->list_at);

		if (!sa) {
			client->listing = false;
			reply(client, &client->list_req, 0, "");
			return;
		}
		client->list_at = sa->index + 1;
		if (!sadb_rights_own(&client->rights, &sa->sa))
			continue;
		sas_info(sas, sa, &info);
		len = offsetof(struct sadb_sa_info, sa) + XIPSEC_SA_SIZE(sa->sa.n_selectors);
		head(&info.hdr, &client->list_req, len, XIPSEC_SADB_MORE);
		put(client, &info, len);
	}
}

static void on_list(struct client *client, const struct sadb_hdr *req)
{
	client->listing = true;
	client->list_req = *req;
	client->list_at = 0;
	list_on(client);
	if (client->listing)
		event_del(client->readable);
}

static void on_status(struct client *client, const struct sadb_hdr *req)
{
	struct sadb_status status = {0};

	client->server->hooks->status(client->server->ctx, &status);
	head(&status.hdr, req, sizeof(status), 0);
	put(client, &status, sizeof(status));
}

static void on_hello(struct client *client, const struct sadb_hdr *req)
{
	struct sadb_status status = {0};
	struct sadb_hello hello = {0};

	client->server->hooks->status(client->server->ctx, &status);
	head(&hello.hdr, req, sizeof(hello), 0);
	hello.epoch = status.epoch;
	hello.pid = status.pid;
	put(client, &hello, sizeof(hello));
}

static void on_named(struct client *client, const struct sadb_name *req)
{
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err = -EINVAL;

	if (memchr(req->name, 0, sizeof(req->name)))
		err = client->server->hooks->add_named(client->server->ctx, req->name,
						       req->flags & XIPSEC_SA_FRESH_KEY, text);
	reply(client, &req->hdr, err, text);
}

static void on_reload(struct client *client, const struct sadb_path *req)
{
	const struct sadb_hooks *hooks = client->server->hooks;
	int (*what)(void *ctx, const char *path, char *text) = hooks->reload;
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err = -EINVAL;

	if (req->hdr.flags & XIPSEC_SADB_WITHDRAW)
		what = hooks->withdraw;
	else if (req->hdr.flags & XIPSEC_SADB_POLICIES)
		what = hooks->policies;
	if (memchr(req->path, 0, sizeof(req->path)))
		err = what(client->server->ctx, req->path, text);
	reply(client, &req->hdr, err, text);
}

static void on_subscribe(struct client *client, const struct sadb_subscribe *req)
{
	const __u32 packets = XIPSEC_EVENT_BIT(XIPSEC_EVENT_SAMPLE) |
			      XIPSEC_EVENT_BIT(XIPSEC_EVENT_PASS);
	struct sadb_server *server = client->server;
	bool whole = req->hdr.len == sizeof(*req);

	if (whole && !client->rights.restricted && (req->events & packets) &&
	    !server->hooks->config(server->ctx)->audit) {
		reply(client, &req->hdr, -EPERM,
		      "no packets are told: the config says audit = no in datapath {}; events of "
		      "SAs alone can be had (xipsec monitor --events)");
		return;
	}
	client->events = whole ? req->events : ~packets;
	client->packets = whole && (req->flags & XIPSEC_SUBSCRIBE_PACKETS);
	/* Other people's packets. */
	if (client->rights.restricted) {
		client->events &= ~packets;
		client->packets = false;
	}
	reply(client, &req->hdr, 0, "");
}

/* What has to wait for its turn cannot carry descriptors. */
static void on_ike_sockets(struct client *client, const struct sadb_hdr *req)
{
	struct sadb_server *server = client->server;
	struct sadb_ike_sockets answer = {0};
	int fds[XIPSEC_IKE_SOCKETS];
	unsigned int n = 0;
	const struct ike_ports *ports = server->hooks->ike_lend(server->ctx);

	head(&answer.hdr, req, sizeof(answer), 0);
	for (int i = 0; i < XIPSEC_IKE_SOCKETS; i++) {
		if (ports->ike[i] < 0)
			continue;
		answer.have |= 1U << i;
		fds[n++] = ports->ike[i];
	}
	if (client->first || fdpass_send(client->fd, &answer, sizeof(answer), fds, n)) {
		if (!server->ike)
			server->hooks->ike_back(server->ctx);
		reply(client, req, -EAGAIN, "read what was sent before you borrow the sockets");
		return;
	}
	if (server->ike && server->ike != client)
		log_warn(
			"sadb: the sockets of IKE go to another client before the first one ended");
	server->ike = client;
}

/* What each request is like, and whether a restricted connection may make it. */
static const struct {
	size_t len, len2;
	bool restricted;
} forms[] = {
	[XIPSEC_SADB_HELLO] = {sizeof(struct sadb_hdr), sizeof(struct sadb_hello), true},
	[XIPSEC_SADB_RESTRICT] = {sizeof(struct sadb_name), 0, true},
	[XIPSEC_SADB_SA_ADD] = {sizeof(struct sadb_sa_add), 0, true},
	[XIPSEC_SADB_SA_ADD_NAMED] = {sizeof(struct sadb_name), 0, false},
	[XIPSEC_SADB_SA_DELETE] = {sizeof(struct sadb_name), sizeof(struct sadb_sa_ref), true},
	[XIPSEC_SADB_SA_LIST] = {sizeof(struct sadb_hdr), 0, true},
	[XIPSEC_SADB_RELOAD] = {sizeof(struct sadb_path), 0, false},
	[XIPSEC_SADB_STATUS] = {sizeof(struct sadb_hdr), 0, false},
	[XIPSEC_SADB_SUBSCRIBE] = {sizeof(struct sadb_hdr), sizeof(struct sadb_subscribe), true},
	[XIPSEC_SADB_IKE_SOCKETS] = {sizeof(struct sadb_hdr), 0, false},
};

/* An SA may end with its last selector. */
static bool len_fits(const union request *req, size_t len)
{
	const __u16 type = req->hdr.type;

	if (type == XIPSEC_SADB_SA_ADD)
		return len > offsetof(struct sadb_sa_add, sa) &&
		       xipsec_sa_whole(&req->add.sa, len - offsetof(struct sadb_sa_add, sa));
	return len == forms[type].len || len == forms[type].len2;
}

static void dispatch(struct client *client, union request *req, size_t len)
{
	const struct sadb_hdr *hdr = &req->hdr;

	switch (hdr->type) {
	case XIPSEC_SADB_HELLO: on_hello(client, hdr); break;
	case XIPSEC_SADB_RESTRICT: on_restrict(client, &req->name); break;
	case XIPSEC_SADB_SA_ADD: on_add(client, &req->add); break;
	case XIPSEC_SADB_SA_ADD_NAMED: on_named(client, &req->name); break;
	case XIPSEC_SADB_SA_DELETE: on_delete(client, req, len); break;
	case XIPSEC_SADB_SA_LIST: on_list(client, hdr); break;
	case XIPSEC_SADB_RELOAD: on_reload(client, &req->path); break;
	case XIPSEC_SADB_STATUS: on_status(client, hdr); break;
	case XIPSEC_SADB_SUBSCRIBE: on_subscribe(client, &req->subscribe); break;
	case XIPSEC_SADB_IKE_SOCKETS: on_ike_sockets(client, hdr); break;
	}
}

static void handle(struct client *client, union request *req, size_t len)
{
	const struct sadb_hdr *hdr = &req->hdr;

	if (len < sizeof(*hdr) || hdr->len != len) {
		client->broken = true;
		return;
	}
	if (hdr->abi != XIPSEC_ABI) {
		reply(client, hdr, -EPROTO, "this xipsecd is of another release");
		return;
	}
	if (hdr->type >= sizeof(forms) / sizeof(forms[0]) || !forms[hdr->type].len ||
	    !len_fits(req, len)) {
		reply(client, hdr, -EINVAL, "malformed request");
		return;
	}
	if (client->rights.restricted && !forms[hdr->type].restricted) {
		reply(client, hdr, -EPERM, "this connection is restricted");
		return;
	}
	if (hdr->type != XIPSEC_SADB_RESTRICT)
		sadb_rights_seal(&client->rights);
	dispatch(client, req, len);
}

/* ------------------------------------------------------------------ connections */

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
	union request req;
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
			handle(client, &req, len);
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
	list_on(client);
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

static void on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct sadb_server *server = ctx;
	_cleanup_close_ int conn = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct client *client;

	if (conn < 0 || !peer_allowed(conn))
		return;
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

/* Samples may get lost, what else happens may not. */
static void tell(struct client *client, const struct sadb_event *event)
{
	struct sadb_event copy = *event;

	if ((event->event == XIPSEC_EVENT_SAMPLE || event->event == XIPSEC_EVENT_PASS) &&
	    client->queued > SAMPLES_MAX) {
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
	put(client, &copy, sizeof(copy));
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
		     sadb_rights_serve(&client->rights, event->child)))
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
	event_free(server->acceptable);
	close(server->fd);
	free(server);
}
