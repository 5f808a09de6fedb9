/* SPDX-License-Identifier: BSD-2-Clause */
/* Reading counters out of the maps, for those who describe them. */
#ifndef LOADER_DESCRIBE_H
#define LOADER_DESCRIBE_H

#include "loader/classifier.h"
#include "loader/datapath.h"
#include "xipsec/loader.h"

/* The programs' counters of reasons, of all CPUs, into out[XIPSEC_REASON_MAX]. What cannot be read
 * adds nothing. */
void describe_sum_reasons(int map, struct xipsec_counter *out);

/* The same of the flow cache's counters. */
void describe_sum_flows(int map, struct xipsec_flow_stats *out);

/* How many of the rules in force are not what the config says. */
void describe_special(const struct datapath *dp, const struct classifier *c,
		      struct loader_special *out);

/* Fills in what has a limit, but rules: `sas` to `links`. */
void describe_room(const struct datapath *dp, struct loader_status *status);

/* Fills worker (allocated, the caller frees), n_workers and workers. 0 or -errno. */
int describe_workers(const struct datapath *dp, struct loader_status *status);

#endif
