// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

/* SAs are xipsecd's: it reads the same file. Its working directory is another one. */
static int tell_daemon(const struct config *config, const char *path, __u16 flags)
{
	struct sadb_path request = {.hdr = {.type = XIPSEC_SADB_RELOAD, .flags = flags}};
	_cleanup_free_ char *full = realpath(path, NULL);
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	_cleanup_close_ int fd = -1;
	int err;

	if (!full || strlen(full) >= sizeof(request.path))
		return -ENAMETOOLONG;
	strcpy(request.path, full);
	fd = sadb_connect(config->run_dir);
	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		if (flags)
			return 0;
		log_info("xipsecd does not run: SAs are read when it starts");
		return 0;
	}
	err = fd < 0 ? fd : sadb_call(fd, &request.hdr, sizeof(request), NULL, NULL, text);
	if (err)
		log_error("%s: %s",
			  flags ? "xipsecd, asked to take away old SAs"
				: "the policies are switched, but xipsecd did not take the SAs",
			  text[0] ? text : strerror(-err));
	return err;
}

struct withdrawal {
	const struct config *config;
	const char *path;
	bool asked;
	int err;
};

/* What the new policies do not allow any more goes when they are built and only not in force yet:
 * nothing comes out of an SA by the old list when they are, and no SA goes for policies that cannot
 * be built. An xipsecd that does not answer holds them up for 30 s, not for ever. */
static int withdraw_first(void *ctx)
{
	struct withdrawal *w = ctx;

	w->asked = true;
	w->err = tell_daemon(w->config, w->path, XIPSEC_SADB_WITHDRAW);
	return 0;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	const char *path = opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH;
	_cleanup_config_ struct config *config = NULL;
	__u32 generation = 0;
	struct withdrawal withdrawal;
	int err;

	if (argc > 1) {
		log_error("reload: takes no argument, got %s", argv[1]);
		return EXIT_USAGE;
	}
	err = config_load(path, &config, stderr);
	if (err) {
		log_error("%s: %s; the policies in force stay", path,
			  err == -EINVAL ? "the config has errors" : strerror(-err));
		return EXIT_CONFIG;
	}
	withdrawal = (struct withdrawal){.config = config, .path = path};
	if (loader_reload(config, withdraw_first, &withdrawal, &generation)) {
		log_error("the policies in force stay%s",
			  withdrawal.asked ? "; SAs that the new config has otherwise are down "
					     "until a reload succeeds"
					   : ", and so does every SA");
		return EXIT_FAILED;
	}
	log_info("policies: generation %u is in force", generation);
	return tell_daemon(config, path, 0) || withdrawal.err ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_reload = {
	.name = "reload",
	.args = "",
	.summary = "read the config again: policies in one atomic switch, then the SAs",
	.details = "A config with errors changes nothing. Policies need no daemon; SAs are read\n"
		   "again by xipsecd if it runs. Interfaces are not changed: see attach, detach.\n"
		   "\n"
		   "Exit: 0 in force, 1 failed, 2 usage, 3 config.\n",
	.run = run,
};
