// SPDX-License-Identifier: BSD-2-Clause
#include "tools/xipsec/daemon.h"

#include <errno.h>
#include <string.h>
#include "lib/config.h"
#include "lib/log.h"
#include "lib/sadb_client.h"

int daemon_connect(const struct global_options *opts, int *fd)
{
	const char *path = opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH;
	_cleanup_config_ struct config *config = config_paths(path);
	int made;

	if (!config)
		return EXIT_FAILED;
	made = sadb_connect(config->run_dir);
	if (made < 0) {
		log_error("%s/sadb.sock: %s", config->run_dir,
			  made == -ENOENT || made == -ECONNREFUSED ? "xipsecd does not run"
								   : strerror(-made));
		return made == -EACCES ? EXIT_FAILED : EXIT_DAEMON;
	}
	*fd = made;
	return EXIT_OK;
}
