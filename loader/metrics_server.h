/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xipsecd --metrics: the page of metrics.h over HTTP, GET /metrics, in xipsecd's own event loop.
 * libevent's HTTP server is used and not another library: it is linked already and lives in this
 * loop, with no thread and no second poll. A page is written family by family, one a turn of the
 * loop, so that ten thousand SAs do not hold up what keys need.
 *
 * Whoever can connect can read all counters and names. So it is off unless asked for, on the
 * loopback unless an address is given, and a Unix socket is xipsecd's own user's (0600).
 */
#ifndef LOADER_METRICS_SERVER_H
#define LOADER_METRICS_SERVER_H

#include <event2/event.h>
#include "xipsec/loader.h"

struct metrics_server;

struct metrics_server_hooks {
	/* The config to read by, and what xipsecd knows; asked at each page. next_sa must bear that
	 * SAs come and go between its calls: *at is an index then. */
	const struct config *(*config)(void *ctx);
	void (*daemon)(void *ctx, struct loader_metrics_daemon *out);
};

/* `where`: PORT (of 127.0.0.1), ADDR:PORT, [ADDR6]:PORT or unix:PATH. 0, or -errno after a log
 * line. */
int metrics_server_new(struct event_base *base, const char *where,
		       const struct metrics_server_hooks *hooks, void *ctx,
		       struct metrics_server **out);
void metrics_server_free(struct metrics_server *server);

#endif
