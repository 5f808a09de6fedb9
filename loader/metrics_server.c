// SPDX-License-Identifier: BSD-2-Clause
#include "loader/metrics_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/accept_pause.h"
#include "lib/cleanup.h"
#include "lib/log.h"
#include "loader/metrics.h"

#define TIMEOUT      10   /* seconds for a request and for a reader */
#define HEADERS_MAX  4096 /* bytes of a request */
#define PAGES_MAX    8    /* that are being written at a time */
#define LISTEN_QUEUE 16

struct page {
	struct metrics_server *server;
	struct page *next;
	struct evhttp_request *request;
	struct metrics_view *view;
	struct event *turn;
	unsigned int family; /* to be written next */
};

struct metrics_server {
	struct event_base *base;
	struct evhttp *http;
	struct evconnlistener *listener; /* of http */
	struct accept_pause pause;
	const struct metrics_server_hooks *hooks;
	void *ctx;
	struct page *pages;
	unsigned int n_pages;
	char path[108]; /* of a Unix socket */
};

/* ------------------------------------------------------------------ a page */

static void page_free(struct page *page)
{
	struct page **at = &page->server->pages;

	while (*at != page)
		at = &(*at)->next;
	*at = page->next;
	page->server->n_pages--;
	if (page->turn)
		event_free(page->turn);
	metrics_close(page->view);
	free(page);
}

/* The reader has gone: libevent frees the request itself. */
static void on_gone(struct evhttp_connection *connection, void *ctx)
{
	page_free(ctx);
}

static void page_end(struct page *page)
{
	struct evhttp_request *request = page->request;

	evhttp_connection_set_closecb(evhttp_request_get_connection(request), NULL, NULL);
	page_free(page);
	evhttp_send_reply_end(request);
}

/* One family, or the end. */
static int page_piece(struct page *page, struct evbuffer *to)
{
	_cleanup_free_ char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);

	if (!out)
		return -ENOMEM;
	if (page->family < metrics_families())
		metrics_write(page->view, page->family, out);
	else
		fputs(METRICS_END, out);
	if (fclose(out) || evbuffer_add(to, text, len))
		return -ENOMEM;
	return 0;
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	static const struct timeval soon;
	struct page *page = ctx;
	struct evbuffer *piece = evbuffer_new();

	/* Without "# EOF" a reader knows that the page is not whole. */
	if (!piece || page_piece(page, piece)) {
		if (piece)
			evbuffer_free(piece);
		page_end(page);
		return;
	}
	evhttp_send_reply_chunk(page->request, piece);
	evbuffer_free(piece);
	if (page->family++ == metrics_families())
		page_end(page);
	else
		event_add(page->turn, &soon);
}

static int page_start(struct metrics_server *server, struct evhttp_request *request)
{
	static const struct timeval soon;
	struct loader_metrics_daemon daemon = {0};
	struct page *page = calloc(1, sizeof(*page));
	int err;

	if (!page)
		return -ENOMEM;
	server->hooks->daemon(server->ctx, &daemon);
	err = metrics_open(server->hooks->config(server->ctx), &daemon, &page->view);
	if (err) {
		free(page);
		return err;
	}
	page->server = server;
	page->request = request;
	page->next = server->pages;
	server->pages = page;
	server->n_pages++;
	page->turn = event_new(server->base, -1, 0, on_turn, page);
	if (!page->turn) {
		page_free(page);
		return -ENOMEM;
	}
	evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_gone, page);
	evhttp_send_reply_start(request, HTTP_OK, "OK");
	event_add(page->turn, &soon);
	return 0;
}

static void on_metrics(struct evhttp_request *request, void *ctx)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	struct metrics_server *server = ctx;

	evhttp_add_header(headers, "Content-Type", METRICS_CONTENT_TYPE);
	evhttp_add_header(headers, "Connection", "close");
	if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
		evhttp_send_reply(request, HTTP_OK, "OK", NULL);
	else if (server->n_pages >= PAGES_MAX || page_start(server, request))
		evhttp_send_error(request, HTTP_SERVUNAVAIL, "busy");
}

static void on_other(struct evhttp_request *request, void *ctx)
{
	evhttp_send_error(request, HTTP_NOTFOUND, "only /metrics is here");
}

/* ------------------------------------------------------------------ where */

union place {
	struct sockaddr any;
	struct sockaddr_in ip4;
	struct sockaddr_in6 ip6;
	struct sockaddr_un path;
};

static int parse_port(const char *text, __be16 *out)
{
	char *end;
	unsigned long port = strtoul(text, &end, 10);

	if (!*text || *end || !port || port > 65535)
		return -EINVAL;
	*out = htons((__u16)port);
	return 0;
}

/* ADDR:PORT, [ADDR6]:PORT, PORT. */
static int parse_inet(const char *where, union place *out, socklen_t *len)
{
	const char *colon = strrchr(where, ':');
	char addr[INET6_ADDRSTRLEN + 2] = "127.0.0.1";
	size_t n = colon ? (size_t)(colon - where) : 0;

	if (n >= sizeof(addr))
		return -EINVAL;
	if (n) {
		memcpy(addr, where, n);
		addr[n] = 0;
	}
	memset(out, 0, sizeof(*out));
	if (addr[0] == '[' && addr[n - 1] == ']') {
		addr[n - 1] = 0;
		out->ip6.sin6_family = AF_INET6;
		*len = sizeof(out->ip6);
		if (inet_pton(AF_INET6, addr + 1, &out->ip6.sin6_addr) != 1)
			return -EINVAL;
		return parse_port(colon + 1, &out->ip6.sin6_port);
	}
	out->ip4.sin_family = AF_INET;
	*len = sizeof(out->ip4);
	if (inet_pton(AF_INET, addr, &out->ip4.sin_addr) != 1)
		return -EINVAL;
	return parse_port(colon ? colon + 1 : where, &out->ip4.sin_port);
}

static int parse_where(const char *where, union place *out, socklen_t *len)
{
	static const char unix_front[] = "unix:";
	const char *path = where + strlen(unix_front);

	if (strncmp(where, unix_front, strlen(unix_front)) != 0)
		return parse_inet(where, out, len);
	memset(out, 0, sizeof(*out));
	out->path.sun_family = AF_UNIX;
	if (path[0] != '/' || strlen(path) >= sizeof(out->path.sun_path))
		return -EINVAL;
	strcpy(out->path.sun_path, path);
	*len = sizeof(out->path);
	return 0;
}

/* A socket that somebody listens on is not taken away; a dead one's name is. */
static int clear_path(const struct sockaddr_un *place)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct stat st;

	if (lstat(place->sun_path, &st))
		return errno == ENOENT ? 0 : -errno;
	if (!S_ISSOCK(st.st_mode))
		return -EEXIST;
	if (fd >= 0 && !connect(fd, (const struct sockaddr *)place, sizeof(*place)))
		return -EADDRINUSE;
	return unlink(place->sun_path) ? -errno : 0;
}

static int make_socket(const union place *place, socklen_t len)
{
	_cleanup_close_ int fd =
		socket(place->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1, err = 0;
	mode_t mask;

	if (fd < 0)
		return -errno;
	if (place->any.sa_family == AF_UNIX)
		err = clear_path(&place->path);
	else if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)))
		err = -errno;
	if (err)
		return err;
	mask = umask(0177);
	err = bind(fd, &place->any, len) ? -errno : 0;
	umask(mask);
	if (err)
		return err;
	return listen(fd, LISTEN_QUEUE) ? -errno : take_fd(&fd);
}

static void resume_accepting(void *ctx)
{
	struct metrics_server *server = ctx;

	evconnlistener_enable(server->listener);
}

/* What the listener hands its callbacks is libevent's own: it does not lead here. A process has one
 * server. */
static struct metrics_server *listening;

static void on_accept_error(struct evconnlistener *listener, void *ctx)
{
	accept_pause_begin(&listening->pause, errno);
	evconnlistener_disable(listener);
}

static int start(struct metrics_server *server, int fd)
{
	struct evhttp_bound_socket *bound;

	server->http = evhttp_new(server->base);
	if (!server->http || accept_pause_open(&server->pause, server->base, "--metrics: a reader",
					       resume_accepting, server))
		return -ENOMEM;
	evhttp_set_timeout(server->http, TIMEOUT);
	evhttp_set_max_headers_size(server->http, HEADERS_MAX);
	evhttp_set_max_body_size(server->http, 0);
	evhttp_set_allowed_methods(server->http, EVHTTP_REQ_GET | EVHTTP_REQ_HEAD);
	evhttp_set_gencb(server->http, on_other, server);
	if (evhttp_set_cb(server->http, "/metrics", on_metrics, server))
		return -ENOMEM;
	bound = evhttp_accept_socket_with_handle(server->http, fd);
	if (!bound)
		return -ENOMEM;
	server->listener = evhttp_bound_socket_get_listener(bound);
	listening = server;
	evconnlistener_set_error_cb(server->listener, on_accept_error);
	return 0;
}

int metrics_server_new(struct event_base *base, const char *where,
		       const struct metrics_server_hooks *hooks, void *ctx,
		       struct metrics_server **out)
{
	struct metrics_server *server;
	union place place;
	socklen_t len = 0;
	int fd, err;

	if (parse_where(where, &place, &len)) {
		log_error("--metrics %s: expected PORT, ADDR:PORT, [ADDR6]:PORT or unix:/PATH",
			  where);
		return -EINVAL;
	}
	server = calloc(1, sizeof(*server));
	if (!server)
		return -ENOMEM;
	server->base = base;
	server->hooks = hooks;
	server->ctx = ctx;
	fd = make_socket(&place, len);
	err = fd < 0 ? fd : start(server, fd);
	if (fd >= 0 && place.any.sa_family == AF_UNIX)
		strcpy(server->path, place.path.sun_path);
	if (err) {
		log_error("--metrics %s: %s", where, strerror(-err));
		if (fd >= 0 && !server->listener)
			close(fd);
		metrics_server_free(server);
		return err;
	}
	log_info("metrics are told at %s%s", where,
		 place.any.sa_family == AF_UNIX ? "" : "/metrics");
	*out = server;
	return 0;
}

void metrics_server_free(struct metrics_server *server)
{
	if (!server)
		return;
	while (server->pages) {
		struct page *page = server->pages;

		evhttp_connection_set_closecb(evhttp_request_get_connection(page->request), NULL,
					      NULL);
		page_free(page);
	}
	if (server->http)
		evhttp_free(server->http);
	accept_pause_close(&server->pause);
	listening = NULL;
	if (server->path[0])
		unlink(server->path);
	free(server);
}
