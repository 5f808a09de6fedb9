// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/config.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

static unsigned int rules_of(const struct config *config)
{
	unsigned int n = 0;

	for (unsigned int i = 0; i < config->n_policies; i++)
		n += config->policies[i].n_rules;
	return n;
}

/* Good, but hardly meant so. */
static void warn_empty(const char *path, const struct config *config)
{
	if (!config->n_ifaces)
		fprintf(stderr,
			"%s: warning: no interface has a role: `attach --all` has nothing to "
			"attach\n",
			path);
	if (!config->n_policies)
		fprintf(stderr,
			"%s: warning: there are no policies: what is attached discards "
			"everything\n",
			path);
}

static int check(const char *path)
{
	_cleanup_config_ struct config *config = NULL;
	int err = config_load_warn(path, &config, stderr, stderr);

	if (err == -EINVAL) {
		fprintf(stderr, "xipsec: %s is not a good config\n", path);
		return EXIT_CONFIG;
	}
	if (err) {
		fprintf(stderr, "xipsec: cannot read %s: %s\n", path, strerror(-err));
		return EXIT_CONFIG;
	}
	if (loader_policy_fits(config)) {
		fprintf(stderr, "xipsec: %s is not a good config\n", path);
		return EXIT_CONFIG;
	}
	warn_empty(path, config);
	printf("%s: good: %u interfaces with a role, %u policies (%u rules), %u SAs, %u "
	       "connections\n",
	       path, config->n_ifaces, config->n_policies, rules_of(config), config->n_sas,
	       config->n_conns);
	return EXIT_OK;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	if (argc < 2 || argc > 3 || strcmp(argv[1], "check") != 0) {
		fprintf(stderr, "usage: xipsec config check [FILE]\n");
		return EXIT_USAGE;
	}
	return check(argc == 3 ? argv[2] : opts->config_path);
}

const struct command cmd_config = {
	.name = "config",
	.args = "check [FILE]",
	.summary = "check a config file and say all that is wrong with it",
	.details =
		"Reads FILE (else the file of -c, else /etc/xipsec/xipsec.conf) and what it\n"
		"includes, and changes nothing. Every error is one line on stderr:\n"
		"  file:line:column: what is wrong: what was expected\n"
		"The policies are put into tables too, as attach does it.\n"
		"Warnings (no interfaces, no policies, an include that matches no file) are told\n"
		"there too and leave the file good.\n\n"
		"Exit codes: 0, the file is good; 2, usage; 3, it has errors or cannot be\n"
		"read.\n",
	.run = run,
};
