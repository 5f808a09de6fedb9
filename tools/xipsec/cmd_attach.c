// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config.h"
#include "lib/log.h"
#include "tools/xipsec/command.h"
#include "xipsec/loader.h"

#define CONFIRM_MAX 86400 /* seconds */

static int parse_role(const char *name, enum xipsec_role *role)
{
	if (!strcmp(name, "protected"))
		*role = XIPSEC_ROLE_PROTECTED;
	else if (!strcmp(name, "unprotected"))
		*role = XIPSEC_ROLE_UNPROTECTED;
	else
		return -EINVAL;
	return 0;
}

static int parse_seconds(const char *text, unsigned int *seconds)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	if (!*text || *end || *text == '-' || value < 1 || value > CONFIRM_MAX)
		return -EINVAL;
	*seconds = (unsigned int)value;
	return 0;
}

enum {
	OPT_ROLE = 1,
	OPT_CONFIRM,
	OPT_UPGRADE,
	OPT_GENERIC,
	OPT_DISPATCHER,
	OPT_ALONE,
	OPT_ALL,
	OPT_CONFIG
};

static const struct option options[] = {
	{"role", required_argument, NULL, OPT_ROLE},
	{"confirm", required_argument, NULL, OPT_CONFIRM},
	{"upgrade", no_argument, NULL, OPT_UPGRADE},
	{"generic", no_argument, NULL, OPT_GENERIC},
	{"dispatcher", no_argument, NULL, OPT_DISPATCHER},
	{"no-dispatcher", no_argument, NULL, OPT_ALONE},
	{"all", no_argument, NULL, OPT_ALL},
	{"config", required_argument, NULL, OPT_CONFIG},
	{0},
};

struct attach_args {
	struct loader_attach what;
	const char *config_path;
	int all;
};

static int parse_args(int argc, char **argv, struct attach_args *args)
{
	int opt;

	optind = 0; /* main.c has used getopt with another order: begin anew */
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == OPT_ROLE && parse_role(optarg, &args->what.role)) {
			log_error("--role %s: expected protected (towards the hosts behind this "
				  "gateway) or unprotected (towards the untrusted network)",
				  optarg);
			return -EINVAL;
		}
		if (opt == OPT_CONFIRM && parse_seconds(optarg, &args->what.confirm)) {
			log_error("--confirm %s: expected seconds, 1 to %d", optarg, CONFIRM_MAX);
			return -EINVAL;
		}
		if (opt == OPT_UPGRADE)
			args->what.flags |= LOADER_UPGRADE;
		else if (opt == OPT_GENERIC)
			args->what.flags |= LOADER_GENERIC;
		else if (opt == OPT_DISPATCHER)
			args->what.flags |= LOADER_DISPATCHER;
		else if (opt == OPT_ALONE)
			args->what.flags |= LOADER_NO_DISPATCHER;
		else if (opt == OPT_ALL)
			args->all = 1;
		else if (opt == OPT_CONFIG)
			args->config_path = optarg;
		else if (opt == '?')
			return -EINVAL;
	}
	if ((args->what.flags & LOADER_DISPATCHER) && (args->what.flags & LOADER_NO_DISPATCHER)) {
		log_error("attach: --dispatcher or --no-dispatcher, not both");
		return -EINVAL;
	}
	if (optind < argc)
		args->what.ifname = argv[optind++];
	if (optind < argc || args->all == (args->what.ifname != NULL)) {
		log_error("attach: name one interface, or --all");
		return -EINVAL;
	}
	return 0;
}

/* Without --role the config may say it. */
static int find_role(const struct config *config, struct loader_attach *what)
{
	if (!what->ifname || what->role)
		return 0;
	for (unsigned int i = 0; i < config->n_ifaces; i++) {
		if (!strcmp(config->ifaces[i].name, what->ifname))
			what->role = config->ifaces[i].role;
	}
	if (what->role)
		return 0;
	log_error("attach %s: the config gives it no role: say --role protected or --role "
		  "unprotected",
		  what->ifname);
	return -EINVAL;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	struct attach_args args = {.config_path = opts->config_path};
	const char *path;
	int err;

	if (parse_args(argc, argv, &args))
		return EXIT_USAGE;
	path = args.config_path ? args.config_path : CONFIG_DEFAULT_PATH;
	err = config_load(path, &config, stderr);
	if (err) {
		log_error("%s: %s; nothing was changed", path,
			  err == -EINVAL ? "the config has errors" : strerror(-err));
		return EXIT_CONFIG;
	}
	/* With --confirm a process stays behind that has no use for keys. */
	config_forget_sas(config);
	if (find_role(config, &args.what))
		return EXIT_USAGE;
	err = loader_attach(config, &args.what);
	if (err == -EALREADY)
		return EXIT_ALREADY;
	return err ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_attach = {
	.name = "attach",
	.args = "IFACE --role protected|unprotected | --all",
	.summary = "put an interface under the policies of the config",
	.details =
		"Loads and pins the programs, fills the policies from the config, then attaches\n"
		"them. From then on the interface passes only what a policy lets pass. Needs no\n"
		"daemon. If a step fails, everything that was done is taken back.\n"
		"\n"
		"  --role ROLE        protected: towards the hosts behind this gateway;\n"
		"                     unprotected: towards the network that is not trusted.\n"
		"                     Default: what interfaces {} in the config says\n"
		"  --all              every interface of interfaces {}; those that do not exist "
		"yet\n"
		"                     are told and noted, and xipsecd attaches them as they come\n"
		"  --confirm SECONDS  take it back unless `xipsec confirm` comes in time\n"
		"  --upgrade          build new programs and maps beside the pinned ones and\n"
		"                     switch every attached interface to them (done unasked where\n"
		"                     the pins are of another version)\n"
		"  --generic          XDP in generic mode, for drivers without XDP metadata\n"
		"  --no-dispatcher    XDP as the only program of the interface. Default: in\n"
		"                     libxdp's dispatcher, beside the XDP programs of others, "
		"where\n"
		"                     kernel and libxdp can do that; else alone, which is told\n"
		"  --dispatcher       takes an earlier --no-dispatcher back: both are remembered\n"
		"  --config FILE      as the global -c\n"
		"\n"
		"Exit: 0 attached, 1 failed, 2 usage, 3 config, 4 attached already.\n",
	.run = run,
};

static int run_confirm(const struct global_options *opts, int argc, char **argv)
{
	_cleanup_config_ struct config *config = NULL;
	int err;

	if (argc > 1) {
		log_error("confirm: takes no argument, got %s", argv[1]);
		return EXIT_USAGE;
	}
	config = config_paths(opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH);
	if (!config)
		return EXIT_FAILED;
	err = loader_confirm(config);
	if (!err)
		log_info("confirmed");
	return err == -ENOENT ? EXIT_ALREADY : err ? EXIT_FAILED : EXIT_OK;
}

const struct command cmd_confirm = {
	.name = "confirm",
	.args = "",
	.summary = "keep what `attach --confirm` did",
	.details = "Exit: 0 kept, 1 failed, 4 nothing waits for it.\n",
	.run = run_confirm,
};
