/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Counters as OpenMetrics text (version 1.0.0): a table of families, each with its help, its type
 * and the samples that it is made of. `xipsec metrics` and `xipsecd --metrics` print the same.
 */
#ifndef LOADER_METRICS_H
#define LOADER_METRICS_H

#include <stdio.h>

#include "xipsec/loader.h"

/* What the kernel tells; read once a page. */
struct metrics_view {
	const struct config *config;
	__u32 attached; /* 0: there is no generation of our ABI, and nothing more to tell */
	struct xipsec_counter programs[XIPSEC_REASON_MAX];
	struct xipsec_worker_stats *worker;
	unsigned int n_workers;
	struct loader_policy *policy; /* NULL: none is in force */
	__u32 max_rules, n_tables;
	struct loader_special special;
	__u64 spd_bytes;
	struct loader_room sas, children, slots;
	struct xipsec_flow_stats flows;
	struct loader_metrics_daemon daemon;
};

/* The caller ends it with metrics_close(). 0 or -errno; nothing attached is no error. */
int metrics_open(const struct config *config, const struct loader_metrics_daemon *daemon,
		 struct metrics_view **out);
void metrics_close(struct metrics_view *view);

/* Families are written one by one, so that whoever has other work to do can do it in between. */
unsigned int metrics_families(void);
void metrics_write(struct metrics_view *view, unsigned int family, FILE *out);

/* What ends the page. */
#define METRICS_END          "# EOF\n"
#define METRICS_CONTENT_TYPE "application/openmetrics-text; version=1.0.0; charset=utf-8"

#endif
