// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "lib/sadb_client.h"
#include "tools/xipsec/top.h"

struct reading {
	struct top_data data;
	double at; /* CLOCK_MONOTONIC, seconds */
	size_t room;
};

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* A counter that began anew has no rate. */
static double rate(__u64 value, __u64 before, double seconds)
{
	return seconds > 0 && value >= before ? (double)(value - before) / seconds : 0;
}

/* ------------------------------------------------------------------ SAs */

static int on_sa(void *ctx, const struct sadb_hdr *item, size_t len)
{
	const struct sadb_sa_info *info = (const void *)item;
	struct reading *reading = ctx;
	struct top_data *data = &reading->data;
	struct top_sa *sa;

	if (!sadb_sa_info_whole(info, len))
		return -EBADMSG;
	if (data->n_sas == reading->room) {
		size_t room = reading->room ? reading->room * 2 : 64;

		sa = realloc(data->sa, room * sizeof(*sa));
		if (!sa)
			return -ENOMEM;
		data->sa = sa;
		reading->room = room;
	}
	sa = &data->sa[data->n_sas++];
	memset(sa, 0, sizeof(*sa));
	memcpy(sa->name, info->sa.name, sizeof(sa->name));
	memcpy(sa->child, info->sa.child, sizeof(sa->child));
	sa->index = info->index;
	sa->generation = info->generation;
	sa->dir = info->sa.dir;
	sa->status = info->status;
	sa->packets = info->packets;
	sa->bytes = info->bytes;
	for (unsigned int i = 0; i < XIPSEC_REASON_COUNT; i++)
		sa->drops += info->drops[i];
	return 0;
}

static void read_daemon(const struct config *config, struct reading *reading)
{
	struct sadb_hdr list = {.type = XIPSEC_SADB_SA_LIST};
	int fd = sadb_connect(config->run_dir);

	if (fd < 0)
		return;
	reading->data.daemon = !sadb_call(fd, &list, sizeof(list), on_sa, reading, NULL);
	close(fd);
}

static int by_place(const void *a, const void *b)
{
	const struct top_sa *x = a, *y = b;

	return x->index < y->index ? -1 : x->index > y->index;
}

/* Both by place: one pass. */
static void rate_sas(struct top_data *data, struct top_data *before, double seconds)
{
	size_t k = 0;

	qsort(data->sa, data->n_sas, sizeof(*data->sa), by_place);
	qsort(before->sa, before->n_sas, sizeof(*before->sa), by_place);
	for (size_t i = 0; i < data->n_sas; i++) {
		struct top_sa *sa = &data->sa[i];
		const struct top_sa *old;

		while (k < before->n_sas && before->sa[k].index < sa->index)
			k++;
		old = k < before->n_sas ? &before->sa[k] : NULL;
		if (!old || old->index != sa->index || old->generation != sa->generation)
			continue;
		sa->packets_rate = rate(sa->packets, old->packets, seconds);
		sa->bytes_rate = rate(sa->bytes, old->bytes, seconds);
		sa->drops_rate = rate(sa->drops, old->drops, seconds);
	}
}

/* ------------------------------------------------------------------ counters */

static void read_counters(struct top_data *data, const struct top_data *before, double seconds)
{
	const struct loader_status *status = data->status;

	for (unsigned int i = 0; i < XIPSEC_REASON_COUNT; i++) {
		struct top_reason *reason = &data->reason[i];

		reason->reason = i;
		reason->packets = status->programs[i].packets + status->workers[i].packets;
		if (before)
			reason->rate = rate(reason->packets, before->reason[i].packets, seconds);
	}
	data->n_workers = status->n_workers;
	for (unsigned int i = 0; i < status->n_workers; i++) {
		const struct xipsec_worker_stats *stats = &status->worker[i], *old;
		struct top_worker *worker = &data->worker[i];

		*worker = (struct top_worker){.number = i,
					      .pid = stats->pid,
					      .starts = stats->starts,
					      .load = -1,
					      .rx_fill = stats->rx_fill / 1000.0,
					      .tx_fill = stats->tx_fill / 1000.0};
		if (!before || i >= before->n_workers)
			continue;
		old = &before->status->worker[i];
		worker->rx_rate = rate(stats->rx_packets, old->rx_packets, seconds);
		worker->tx_rate = rate(stats->tx_packets, old->tx_packets, seconds);
		if (stats->loops > old->loops && stats->idle_loops >= old->idle_loops)
			worker->load = 1 - (double)(stats->idle_loops - old->idle_loops) /
						   (double)(stats->loops - old->loops);
	}
}

static double cache_share(const struct xipsec_flow_stats *now,
			  const struct xipsec_flow_stats *before)
{
	__u64 hits = now->hits - before->hits, misses = now->misses - before->misses;

	if (now->hits < before->hits || now->misses < before->misses || !(hits + misses))
		return -1;
	return (double)hits / (double)(hits + misses);
}

int top_data_read(const struct config *config, const struct top_data *before, struct top_data **out)
{
	struct reading *reading = calloc(1, sizeof(*reading));
	const struct reading *old = (const void *)before;
	struct top_data *data;
	int err;

	if (!reading)
		return -ENOMEM;
	data = &reading->data;
	err = loader_status(config, &data->status);
	if (err) {
		free(reading);
		return err;
	}
	read_daemon(config, reading);
	reading->at = now();
	data->attached = data->status->attached;
	memcpy(data->generation, data->status->generation, sizeof(data->generation));
	data->spd_generation = data->status->spd_generation;
	data->n_rules = data->status->n_rules;
	data->seconds = old ? reading->at - old->at : 0;
	read_counters(data, before, data->seconds);
	data->cache = before ? cache_share(&data->status->flows, &before->status->flows) : -1;
	if (old)
		rate_sas(data, (struct top_data *)before, data->seconds);
	*out = data;
	return 0;
}

void top_data_free(struct top_data *data)
{
	if (!data)
		return;
	loader_status_free(data->status);
	free(data->sa);
	free((struct reading *)data); /* its first field */
}
