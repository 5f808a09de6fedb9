// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

/* Of each SA what stands before its selectors, which no counter needs. */
#define SLIM (offsetof(struct sadb_sa_info, sa) + XIPSEC_SA_SIZE(0))

struct listing {
	char *info;
	size_t n, room;
};

static int on_item(void *ctx, const struct sadb_hdr *item, size_t len)
{
	struct listing *listing = ctx;

	if (!sadb_sa_info_whole((const struct sadb_sa_info *)item, len))
		return -EBADMSG;
	if (listing->n == listing->room) {
		size_t room = listing->room ? listing->room * 2 : 64;
		char *more = realloc(listing->info, room * SLIM);

		if (!more)
			return -ENOMEM;
		listing->info = more;
		listing->room = room;
	}
	memcpy(listing->info + listing->n++ * SLIM, item, SLIM);
	return 0;
}

static int next_sa(void *ctx, void **at, struct sadb_sa_info *out)
{
	const struct listing *listing = ctx;
	size_t i = (size_t)*at;

	if (i >= listing->n)
		return 0;
	memcpy(out, listing->info + i * SLIM, SLIM);
	*at = (void *)(i + 1);
	return 1;
}

/* What xipsecd says, or nothing where it does not run. */
static void ask(const struct config *config, struct listing *listing, struct sadb_status *status,
		struct loader_metrics_daemon *out)
{
	struct sadb_hdr list = {.type = XIPSEC_SADB_SA_LIST}, state = {.type = XIPSEC_SADB_STATUS};
	_cleanup_close_ int fd = sadb_connect(config->run_dir);

	if (fd < 0 || sadb_ask(fd, &state, sizeof(state), status, sizeof(*status), NULL) ||
	    sadb_call(fd, &list, sizeof(list), on_item, listing, NULL))
		return;
	out->runs = 1;
	out->n_sas = (__u32)listing->n;
	out->n_workers = status->n_workers < XIPSEC_WORKERS_MAX ? status->n_workers
								: XIPSEC_WORKERS_MAX;
	out->worker_pid = status->worker_pid;
	out->next_sa = next_sa;
	out->ctx = listing;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	struct loader_metrics_daemon daemon = {0};
	_cleanup_free_ char *text = NULL;
	struct listing listing = {0};
	struct sadb_status status;
	int err;

	if (argc > 1) {
		log_error("metrics: %s is not known; it takes no options", argv[1]);
		return EXIT_USAGE;
	}
	config = config_paths(opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH);
	if (!config)
		return EXIT_FAILED;
	ask(config, &listing, &status, &daemon);
	err = loader_metrics(config, &daemon, &text);
	free(listing.info);
	if (err)
		return EXIT_FAILED;
	fputs(text, stdout);
	return EXIT_OK;
}

const struct command cmd_metrics = {
	.name = "metrics",
	.args = "",
	.summary = "all counters as OpenMetrics text, as `xipsecd --metrics` serves them",
	.details =
		"Reasons, policies, SAs and workers, with help and type of each; for a textfile\n"
		"collector, or to look at. Without xipsecd the SAs are missing, and\n"
		"xipsec_xipsecd_up is 0.\n"
		"\n"
		"Exit: 0, 1 reading failed, 2 usage.\n",
	.run = run,
};
