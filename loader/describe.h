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

/* Rules in force that ask for an interface which is not attached, and so match nothing. */
__u32 describe_waiting(const struct datapath *dp, const struct classifier *c);

/* Fills in what has a limit, but rules: `sas` to `links`. */
void describe_room(const struct datapath *dp, struct loader_status *status);

/* Fills worker (allocated, the caller frees), n_workers and workers. 0 or -errno. */
int describe_workers(const struct datapath *dp, struct loader_status *status);

#endif
