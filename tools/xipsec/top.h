/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * `xipsec top` in two halves: what is known at a moment and what changed since the one before
 * (top_data.c), and a page of it on a terminal (top_view.c).
 */
#ifndef TOOLS_TOP_H
#define TOOLS_TOP_H

#include <stdbool.h>
#include <stddef.h>
#include "lib/config.h"
#include "xipsec/loader.h"
#include "xipsec/sadb.h"

/* ------------------------------------------------------------------ data */

struct top_sa {
	char name[XIPSEC_NAME_LEN];
	char child[XIPSEC_NAME_LEN];
	__u32 index, generation;
	__u8 dir;
	__u32 status; /* enum xipsec_sa_status */
	__u64 packets, bytes, drops;
	double packets_rate, bytes_rate, drops_rate; /* a second */
};

struct top_reason {
	__u32 reason;
	__u64 packets;
	double rate;
};

struct top_worker {
	__u32 number, pid, starts;
	double load; /* share of rounds with packets, 0 to 1; below 0: not known yet */
	double rx_rate, tx_rate;
	double rx_fill, tx_fill; /* of its fullest queues, 0 to 1, the most of the last second */
};

struct top_data {
	double seconds; /* since the moment before; 0: there was none */
	bool attached, daemon;
	char generation[32];
	__u32 spd_generation, n_rules;
	double cache; /* share of look-ups that the flow cache answered since; below 0: not known */
	struct top_sa *sa;
	size_t n_sas;
	struct top_reason reason[XIPSEC_REASON_COUNT];
	struct top_worker worker[XIPSEC_WORKERS_MAX];
	unsigned int n_workers;
	struct loader_status *status; /* for interfaces */
};

/* What is now, with rates against `before` (NULL: none). 0 or -errno, after a log line; the caller
 * ends *out with top_data_free(). */
int top_data_read(const struct config *config, const struct top_data *before,
		  struct top_data **out);
void top_data_free(struct top_data *data);

/* ------------------------------------------------------------------ view */

enum top_sort { TOP_BY_RATE, TOP_BY_BYTES, TOP_BY_DROPS, TOP_BY_NAME, TOP_SORTS };

struct top_view {
	enum top_sort sort;
	bool reverse;
	bool all_reasons; /* a page of them, passes and hand-overs too, instead of drops and SAs */
	bool paused;
	bool typing; /* the filter is being typed */
	char filter[32];
	unsigned int first; /* SA, or reason, at the top of the list */
};

/* Sorts data->sa as the view says. */
void top_view_sort(const struct top_view *view, struct top_data *data);

/* Draws a whole page with curses: 24 lines of 80 columns are enough. */
void top_view_draw(struct top_view *view, struct top_data *data);

/* A key; false: the user wants to go. */
bool top_view_key(struct top_view *view, int key);

#endif
