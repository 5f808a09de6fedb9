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

/* ------------------------------------------------------------------ by xipsecd */

/* It reads the same file, and its working directory is another one. */
static int ask_daemon(int fd, const char *path, __u16 flags, char *text)
{
	struct sadb_path request = {.hdr = {.type = XIPSEC_SADB_RELOAD, .flags = flags}};
	_cleanup_free_ char *full = realpath(path, NULL);

	if (!full || strlen(full) >= sizeof(request.path))
		return -ENAMETOOLONG;
	strcpy(request.path, full);
	return sadb_call(fd, &request.hdr, sizeof(request), NULL, NULL, text);
}

static int ask_generation(int fd, __u32 *out)
{
	struct sadb_hdr request = {.type = XIPSEC_SADB_STATUS};
	struct sadb_status status;
	int err = sadb_ask(fd, &request, sizeof(request), &status, sizeof(status), NULL);

	if (!err)
		*out = status.spd_generation;
	return err;
}

/* What is wrong with the file, all of it: xipsecd told the first error alone. */
static int tell_config(const char *path)
{
	_cleanup_config_ struct config *config = NULL;
	int err = config_load(path, &config, stderr);

	if (!err)
		return EXIT_OK;
	log_error("%s: %s; the policies in force stay", path,
		  err == -EINVAL ? "the config has errors" : strerror(-err));
	return EXIT_CONFIG;
}

/* The whole reload is xipsecd's where it runs: the file is read once, and one model is what the
 * policies, the SAs and the clients are bound by. *done: with `status`, the exit status; else it
 * does not run, has no data path, or (*hangs) does not answer within 30 s: policies need no daemon.
 */
static bool by_daemon(const struct config *paths, const char *path, int *status, bool *hangs)
{
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	_cleanup_close_ int fd = sadb_connect(paths->run_dir);
	__u32 generation = 0;
	int err = fd < 0 ? fd : ask_generation(fd, &generation);

	if (!err && generation)
		loader_wait(paths); /* here, where nobody else is held up by it */
	if (!err && generation)
		err = ask_daemon(fd, path, XIPSEC_SADB_POLICIES, text);
	*hangs = err == -ETIMEDOUT;
	if (*hangs || fd < 0 || !generation)
		return false;
	if (!err && !ask_generation(fd, &generation))
		log_info("policies: generation %u is in force", generation);
	*status = err ? tell_config(path) : EXIT_OK;
	if (err && *status == EXIT_OK) {
		log_error("%s", text[0] ? text : strerror(-err));
		*status = EXIT_FAILED;
	}
	return true;
}

/* ------------------------------------------------------------------ without it */

/* The socket of one that came, or does not answer yet: it has to know. */
static int tell_daemon(const struct config *config, const char *path, __u16 flags)
{
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	_cleanup_close_ int fd = sadb_connect(config->run_dir);
	int err;

	if (fd == -ENOENT || fd == -ECONNREFUSED) {
		if (!flags)
			log_info("xipsecd does not run: SAs are read when it starts");
		return 0;
	}
	err = fd < 0 ? fd : ask_daemon(fd, path, flags, text);
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
	bool hangs; /* it was asked already, for 30 s */
	bool asked;
	int err;
};

/* What the new policies do not allow any more goes when they are built and only not in force yet:
 * nothing comes out of an SA by the old list when they are, and no SA goes for policies that cannot
 * be built. An xipsecd that does not answer has held them up for 30 s, and does not for ever. */
static int withdraw_first(void *ctx)
{
	struct withdrawal *w = ctx;

	w->asked = true;
	w->err = w->hangs ? -ETIMEDOUT : tell_daemon(w->config, w->path, XIPSEC_SADB_WITHDRAW);
	return 0;
}

static int by_ourselves(const char *path, bool hangs)
{
	_cleanup_config_ struct config *config = NULL;
	struct withdrawal withdrawal;
	__u32 generation = 0;
	int err;

	err = config_load(path, &config, stderr);
	if (err) {
		log_error("%s: %s; the policies in force stay", path,
			  err == -EINVAL ? "the config has errors" : strerror(-err));
		return EXIT_CONFIG;
	}
	withdrawal = (struct withdrawal){.config = config, .path = path, .hangs = hangs};
	if (loader_reload(config, withdraw_first, &withdrawal, &generation)) {
		log_error("the policies in force stay%s",
			  withdrawal.asked ? "; SAs that the new config has otherwise are down "
					     "until a reload succeeds"
					   : ", and so does every SA");
		return EXIT_FAILED;
	}
	log_info("policies: generation %u is in force", generation);
	if (hangs)
		log_error("xipsecd does not answer: its SAs are what they were; `xipsec reload` "
			  "again when it does");
	else
		err = tell_daemon(config, path, 0);
	return err || withdrawal.err ? EXIT_FAILED : EXIT_OK;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	const char *path = opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH;
	_cleanup_config_ struct config *paths = NULL;
	int status = EXIT_OK;
	bool hangs = false;

	if (argc > 1) {
		log_error("reload: takes no argument, got %s", argv[1]);
		return EXIT_USAGE;
	}
	paths = config_paths(path);
	if (!paths)
		return EXIT_FAILED;
	if (by_daemon(paths, path, &status, &hangs))
		return status;
	return by_ourselves(path, hangs);
}

const struct command cmd_reload = {
	.name = "reload",
	.args = "",
	.summary = "read the config again: policies in one atomic switch, then the SAs",
	.details = "A config with errors changes nothing. Policies need no daemon; where xipsecd\n"
		   "runs it does all of it. Interfaces are not changed: see attach, detach.\n"
		   "\n"
		   "Exit: 0 in force, 1 failed, 2 usage, 3 config.\n",
	.run = run,
};
