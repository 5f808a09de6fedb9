// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include "lib/alg.h"
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/log.h"
#include "lib/reason.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"

/* JSON names: docs/json-sa.md */

static const char *name_of(const char *const *names, size_t n, unsigned int i)
{
	return i < n ? names[i] : "unknown";
}

static const char *backend_name(unsigned int backend)
{
	static const char *const names[] = {"auto", "ipsec-mb", "openssl"};

	return name_of(names, 3, backend);
}

static const char *engine_name(unsigned int engine)
{
	static const char *const names[] = {"none", "afxdp", "xfrm"};

	return name_of(names, 3, engine);
}

static const char *status_name(unsigned int status)
{
	static const char *const names[] = {"free", "live", "stopped"};

	return name_of(names, 3, status);
}

static const char *mode_name(unsigned int mode)
{
	return mode == XIPSEC_MODE_TRANSPORT ? "transport" : "tunnel";
}

static const char *addr_text(char text[INET6_ADDRSTRLEN], __u8 family,
			     const struct xipsec_addr *addr)
{
	inet_ntop(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, addr, text, INET6_ADDRSTRLEN);
	return text;
}

/* ------------------------------------------------------------------ text */

static void print_drops(const struct sadb_sa_info *info)
{
	bool any = false;

	for (int i = 0; i < XIPSEC_REASON_COUNT; i++) {
		if (!info->drops[i])
			continue;
		printf("%s %s %" PRIu64, any ? "," : "    drops:", reason_name(i),
		       (uint64_t)info->drops[i]);
		any = true;
	}
	if (any)
		putchar('\n');
}

static int print_text(const struct sadb_sa_info *info)
{
	char src[INET6_ADDRSTRLEN], dst[INET6_ADDRSTRLEN], idle[32] = "never used";
	const struct xipsec_sa *sa = &info->sa;
	bool out = sa->dir == XIPSEC_DIR_OUT;

	if (info->idle != ~0ULL)
		snprintf(idle, sizeof(idle), "idle %" PRIu64 " s", (uint64_t)info->idle);
	printf("%s: %s, child %s, %s\n", sa->name, out ? "outbound" : "inbound", sa->child,
	       status_name(info->status));
	printf("    %s -> %s, SPI 0x%08x, %s, %s, engine %s, backend %s\n",
	       addr_text(src, sa->outer_family, &sa->src),
	       addr_text(dst, sa->outer_family, &sa->dst), ntohl(sa->spi), mode_name(sa->mode),
	       alg_name(sa->alg, sa->l4_proto), engine_name(sa->engine),
	       backend_name(info->backend));
	if (out)
		printf("    sequence %" PRIu64 " of %" PRIu64 " reserved%s\n", (uint64_t)info->seq,
		       (uint64_t)info->seq_limit, sa->flags & XIPSEC_SA_ESN ? ", ESN" : "");
	else
		printf("    highest received %" PRIu64 ", window %u%s\n", (uint64_t)info->seq,
		       sa->window, sa->flags & XIPSEC_SA_ESN ? ", ESN" : "");
	printf("    age %" PRIu64 " s, %s, %" PRIu64 " packets, %" PRIu64 " bytes\n",
	       (uint64_t)info->age, idle, (uint64_t)info->packets, (uint64_t)info->bytes);
	print_drops(info);
	return 0;
}

/* ------------------------------------------------------------------ JSON */

static void add_text(struct json_object *object, const char *name, const char *value)
{
	json_object_object_add(object, name, json_object_new_string(value));
}

static void add_number(struct json_object *object, const char *name, __u64 value)
{
	json_object_object_add(object, name, json_object_new_uint64(value));
}

static struct json_object *json_of(const struct sadb_sa_info *info)
{
	struct json_object *object = json_object_new_object();
	struct json_object *drops = json_object_new_object();
	const struct xipsec_sa *sa = &info->sa;
	bool out = sa->dir == XIPSEC_DIR_OUT;
	char text[INET6_ADDRSTRLEN], spi[16];

	snprintf(spi, sizeof(spi), "0x%08x", ntohl(sa->spi));
	add_text(object, "name", sa->name);
	add_text(object, "child", sa->child);
	add_text(object, "direction", out ? "out" : "in");
	add_text(object, "src", addr_text(text, sa->outer_family, &sa->src));
	add_text(object, "dst", addr_text(text, sa->outer_family, &sa->dst));
	add_text(object, "spi", spi);
	add_text(object, "mode", mode_name(sa->mode));
	add_text(object, "algorithm", alg_name(sa->alg, sa->l4_proto));
	add_text(object, "engine", engine_name(sa->engine));
	add_text(object, "backend", backend_name(info->backend));
	add_text(object, "status", status_name(info->status));
	json_object_object_add(object, "esn", json_object_new_boolean(sa->flags & XIPSEC_SA_ESN));
	json_object_object_add(object, "manual",
			       json_object_new_boolean(sa->flags & XIPSEC_SA_MANUAL));
	add_number(object, "index", info->index);
	add_number(object, "generation", info->generation);
	add_number(object, "age", info->age);
	json_object_object_add(object, "idle",
			       info->idle == ~0ULL ? NULL : json_object_new_uint64(info->idle));
	add_number(object, "sequence", info->seq);
	add_number(object, "sequence_limit", info->seq_limit);
	add_number(object, "replay_window", sa->window);
	add_number(object, "packets", info->packets);
	add_number(object, "bytes", info->bytes);
	for (int i = 0; i < XIPSEC_REASON_COUNT; i++)
		if (info->drops[i])
			add_number(drops, reason_name(i), info->drops[i]);
	json_object_object_add(object, "drops", drops);
	return object;
}

/* ------------------------------------------------------------------ requests */

struct listing {
	struct json_object *array; /* NULL: text */
};

static int on_item(void *ctx, const struct sadb_hdr *item, size_t len)
{
	const struct sadb_sa_info *info = (const void *)item;
	struct listing *listing = ctx;

	if (len != sizeof(*info))
		return -EBADMSG;
	if (!listing->array)
		return print_text(info);
	json_object_array_add(listing->array, json_of(info));
	return 0;
}

static int list(int fd, bool json)
{
	struct sadb_hdr request = {.type = XIPSEC_SADB_SA_LIST};
	struct listing listing = {json ? json_object_new_array() : NULL};
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err;

	err = sadb_call(fd, &request, sizeof(request), on_item, &listing, text);
	if (err)
		log_error("sa list: %s", text[0] ? text : strerror(-err));
	else if (json)
		puts(json_object_to_json_string_ext(
			listing.array, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
	json_object_put(listing.array);
	return err ? EXIT_FAILED : EXIT_OK;
}

static int named(int fd, enum xipsec_sadb_type type, const char *name, __u32 flags)
{
	struct sadb_name request = {.hdr = {.type = type}, .flags = flags};
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err;

	if (snprintf(request.name, sizeof(request.name), "%s", name) >= (int)sizeof(request.name)) {
		log_error("%s: names have at most %zu characters", name, sizeof(request.name) - 1);
		return EXIT_USAGE;
	}
	err = sadb_call(fd, &request.hdr, sizeof(request), NULL, NULL, text);
	if (!err)
		return EXIT_OK;
	log_error("%s", text[0] ? text : strerror(-err));
	return err == -EEXIST || err == -ENOENT ? EXIT_ALREADY : EXIT_FAILED;
}

/* ------------------------------------------------------------------ the command line */

struct line {
	const char *verb;
	const char *name;
	bool json, fresh;
};

static int parse(int argc, char **argv, struct line *out)
{
	struct line line = {.verb = "list"};
	int i = 1;

	if (argc > 1 && argv[1][0] != '-')
		line.verb = argv[i++];
	for (; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0 && strcmp(line.verb, "list") == 0)
			line.json = true;
		else if (strcmp(argv[i], "--fresh-key") == 0 && strcmp(line.verb, "add") == 0)
			line.fresh = true;
		else if (argv[i][0] != '-' && !line.name && strcmp(line.verb, "list") != 0)
			line.name = argv[i];
		else {
			log_error("sa %s: unexpected: %s", line.verb, argv[i]);
			return -EINVAL;
		}
	}
	if (strcmp(line.verb, "list") == 0) {
		*out = line;
		return 0;
	}
	if (strcmp(line.verb, "add") != 0 && strcmp(line.verb, "delete") != 0) {
		log_error("sa: %s is none of list, add, delete", line.verb);
		return -EINVAL;
	}
	if (!line.name) {
		log_error("sa %s: which one? Give its name in sas {} of the config", line.verb);
		return -EINVAL;
	}
	*out = line;
	return 0;
}

static int run(const struct global_options *opts, int argc, char **argv)
{
	const char *path = opts->config_path ? opts->config_path : CONFIG_DEFAULT_PATH;
	_cleanup_config_ struct config *config = NULL;
	_cleanup_close_ int fd = -1;
	struct line line;

	if (parse(argc, argv, &line))
		return EXIT_USAGE;
	config = config_paths(path);
	if (!config)
		return EXIT_FAILED;
	fd = sadb_connect(config->run_dir);
	if (fd < 0) {
		log_error("%s/sadb.sock: %s", config->run_dir,
			  fd == -ENOENT || fd == -ECONNREFUSED ? "xipsecd does not run"
							       : strerror(-fd));
		return fd == -EACCES ? EXIT_FAILED : EXIT_DAEMON;
	}
	if (strcmp(line.verb, "list") == 0)
		return list(fd, line.json);
	if (strcmp(line.verb, "add") == 0)
		return named(fd, XIPSEC_SADB_SA_ADD_NAMED, line.name,
			     line.fresh ? XIPSEC_SA_FRESH_KEY : 0);
	return named(fd, XIPSEC_SADB_SA_DELETE, line.name, 0);
}

const struct command cmd_sa = {
	.name = "sa",
	.args = "[list [--json] | add NAME [--fresh-key] | delete NAME]",
	.summary = "list, install and delete SAs",
	.details =
		"list     every SA with its counters; keys are never shown\n"
		"add      installs an SA of sas {} in the config that xipsecd was started with\n"
		"         (-c of this command only finds xipsecd's socket)\n"
		"delete   takes one away; what its policies protect is dropped from then on\n"
		"\n"
		"--fresh-key  swears that the key was never used, here or elsewhere: needed once\n"
		"             for a key that xipsecd has no record of\n"
		"--json       names and meanings: docs/json-sa.md\n"
		"\n"
		"Exit: 0 done, 1 failed, 2 usage, 4 it is there already or is not there,\n"
		"5 xipsecd does not run.\n",
	.run = run,
};
