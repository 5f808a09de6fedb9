// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <string.h>
#include "lib/config.h"
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	const char *name;
	int err;

	if (argc != 2 || (argv[1][0] == '-' && strcmp(argv[1], "--all"))) {
		log_error("detach: name one interface, or --all");
		return EXIT_USAGE;
	}
	name = strcmp(argv[1], "--all") ? argv[1] : NULL;
	/* Must work beside a broken config: it is the way out. */
	config = config_paths(opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH);
	if (!config)
		return EXIT_FAILED;
	err = loader_detach(config, name);
	return err == -ENOENT ? EXIT_ALREADY : err ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_detach = {
	.name = "detach",
	.args = "IFACE | --all",
	.summary = "take our programs off an interface: it then passes everything",
	.details = "Removes programs of xipsec only, whatever version put them there. The last\n"
		   "interface takes pins and maps with it; the records of used sequence numbers\n"
		   "in state_dir stay. Works beside a broken config.\n"
		   "\n"
		   "Exit: 0 detached, 1 failed, 2 usage, 4 it is not attached.\n",
	.run = run,
};
