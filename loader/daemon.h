/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * xipsecd: opens the pinned data path, keys it, runs the workers, and follows what changes. The
 * programs enforce without it: whenever it is not there, what needs an SA is dropped.
 */
#ifndef LOADER_DAEMON_H
#define LOADER_DAEMON_H

#include <stdbool.h>

struct daemon_options {
	const char *config_path;
	const char *metrics; /* where counters are told (metrics_server.h); NULL: nowhere */
	bool busy_poll;
	unsigned int hostile; /* debug builds */
	bool no_remap;        /* debug builds: as on a kernel before 6.4 (loader/ports.h) */
};

/* Exit statuses, told in xipsecd(8). */
enum {
	DAEMON_OK = 0,
	DAEMON_FAILED = 1,
	DAEMON_USAGE = 2,
	DAEMON_CONFIG = 3,
	DAEMON_OTHER_ABI = 7, /* the pins are of another release: start that one's xipsecd */
};

/* Runs until it is told to stop; returns an exit status. */
int daemon_run(const struct daemon_options *options);

#endif
