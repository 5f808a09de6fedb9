// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "lib/cleanup.h"
#include "lib/log.h"
#include "lib/sadb_client.h"
#include "tools/xipsec/command.h"
#include "tools/xipsec/daemon.h"
#include "tools/xipsec/sa_show.h"
#include "tools/xipsec/sa_tree.h"

/* ------------------------------------------------------------------ requests */

struct listing {
	struct json_object *array; /* NULL: text */
};

static int on_item(void *ctx, const struct sadb_hdr *item, size_t len)
{
	const struct sadb_sa_info *info = (const void *)item;
	struct listing *listing = ctx;

	if (!sadb_sa_info_whole(info, len))
		return -EBADMSG;
	if (listing->array)
		json_object_array_add(listing->array, sa_show_json(info));
	else
		sa_show_text(info);
	return 0;
}

static int ask(int fd, struct listing *listing)
{
	struct sadb_hdr request = {.type = XIPSEC_SADB_SA_LIST};
	char text[XIPSEC_SADB_ERR_TEXT] = "";
	int err = sadb_call(fd, &request, sizeof(request), on_item, listing, text);

	if (err)
		log_error("sa list: %s", text[0] ? text : strerror(-err));
	return err ? EXIT_FAILED : EXIT_OK;
}

static void print_json(struct json_object *object)
{
	puts(json_object_to_json_string_ext(object,
					    JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED));
}

static int list(int fd, bool json)
{
	struct listing listing = {json ? json_object_new_array() : NULL};
	int code = ask(fd, &listing);

	if (!code && json)
		print_json(listing.array);
	json_object_put(listing.array);
	return code;
}

/* Who has no xipsec-iked has manual SAs alone. */
static int tree(const struct global_options *opts, int fd, bool json)
{
	_cleanup_ike_ struct vici_client *client = NULL;
	struct listing listing = {json_object_new_array()};
	struct json_object *made = NULL;
	int code = ike_connect(opts, true, &client);

	if (code == EXIT_OK || code == EXIT_DAEMON)
		code = ask(fd, &listing);
	if (!code)
		code = sa_tree_make(client, listing.array, &made);
	if (!code && json)
		print_json(made);
	else if (!code)
		sa_tree_text(made);
	json_object_put(made);
	json_object_put(listing.array);
	return code;
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
	return err == -EEXIST || err == -ENOENT || err == -EALREADY ? EXIT_ALREADY : EXIT_FAILED;
}

/* ------------------------------------------------------------------ move */

#define MOVE_SECONDS 15 /* for a rekey, its repeats included */

/* Which engine the newest outbound SA of a child has. */
struct watched {
	const char *name;            /* of the child, or of an SA of it */
	char child[XIPSEC_NAME_LEN]; /* "": not known yet */
	__u64 age;
	__u8 engine;
};

static int on_watched(void *ctx, const struct sadb_hdr *item, size_t len)
{
	const struct sadb_sa_info *info = (const void *)item;
	struct watched *w = ctx;

	if (!sadb_sa_info_whole(info, len))
		return -EBADMSG;
	if (!w->child[0] && (!strcmp(info->sa.name, w->name) || !strcmp(info->sa.child, w->name)))
		memcpy(w->child, info->sa.child, sizeof(w->child));
	if (w->child[0] && !strcmp(info->sa.child, w->child) && info->sa.dir == XIPSEC_DIR_OUT &&
	    info->age <= w->age) {
		w->age = info->age;
		w->engine = info->sa.engine;
	}
	return 0;
}

static int look(int fd, struct watched *w)
{
	struct sadb_hdr request = {.type = XIPSEC_SADB_SA_LIST};
	char text[XIPSEC_SADB_ERR_TEXT] = "";

	w->age = ~0ULL;
	return sadb_call(fd, &request, sizeof(request), on_watched, w, text);
}

/* The peer has to agree: that takes a moment, or does not happen. */
static int move(int fd, const char *name, __u8 engine)
{
	struct watched w = {.name = name};
	int code, err = look(fd, &w);

	if (!err)
		err = look(fd, &w); /* the list's order is any: now the child is known */
	code = named(fd, XIPSEC_SADB_SA_MOVE, name, engine);
	if (code)
		return code;
	for (int tries = 0; !err && tries < MOVE_SECONDS * 10; tries++) {
		nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
		err = look(fd, &w);
		if (!err && w.engine == engine)
			return EXIT_OK;
	}
	log_error("%s: not rekeyed within %d s: does xipsec-iked run, does the peer answer, does "
		  "xipsecd's log say more? It goes on as it was",
		  name, MOVE_SECONDS);
	return EXIT_FAILED;
}

/* ------------------------------------------------------------------ the command line */

struct line {
	const char *verb;
	const char *name;
	bool json, fresh;
	__u8 engine; /* with move */
};

static __u8 engine_of(const char *word)
{
	return !strcmp(word, "xfrm")    ? XIPSEC_ENGINE_XFRM
	       : !strcmp(word, "afxdp") ? XIPSEC_ENGINE_AFXDP
					: XIPSEC_ENGINE_NONE;
}

static bool shows(const char *verb)
{
	return !verb[0] || strcmp(verb, "list") == 0;
}

static int parse(int argc, char **argv, struct line *out)
{
	struct line line = {.verb = ""};
	int i = 1;

	if (argc > 1 && argv[1][0] != '-')
		line.verb = argv[i++];
	for (; i < argc; i++) {
		if (strcmp(argv[i], "--json") == 0 && shows(line.verb))
			line.json = true;
		else if (strcmp(argv[i], "--fresh-key") == 0 && strcmp(line.verb, "add") == 0)
			line.fresh = true;
		else if (strcmp(argv[i], "--engine") == 0 && strcmp(line.verb, "move") == 0 &&
			 i + 1 < argc && engine_of(argv[i + 1]))
			line.engine = engine_of(argv[++i]);
		else if (argv[i][0] != '-' && !line.name && !shows(line.verb))
			line.name = argv[i];
		else {
			log_error("sa%s%s: unexpected: %s", line.verb[0] ? " " : "", line.verb,
				  argv[i]);
			return -EINVAL;
		}
	}
	if (shows(line.verb)) {
		*out = line;
		return 0;
	}
	if (strcmp(line.verb, "add") != 0 && strcmp(line.verb, "delete") != 0 &&
	    strcmp(line.verb, "move") != 0) {
		log_error("sa: %s is none of list, add, delete, move", line.verb);
		return -EINVAL;
	}
	if (!strcmp(line.verb, "move") && !line.engine) {
		log_error("sa move: where to? Give --engine xfrm or --engine afxdp");
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
	_cleanup_close_ int fd = -1;
	struct line line;
	int err;

	if (parse(argc, argv, &line))
		return EXIT_USAGE;
	err = daemon_connect(opts, &fd);
	if (err)
		return err;
	if (!line.verb[0])
		return tree(opts, fd, line.json);
	if (strcmp(line.verb, "list") == 0)
		return list(fd, line.json);
	if (strcmp(line.verb, "add") == 0)
		return named(fd, XIPSEC_SADB_SA_ADD_NAMED, line.name,
			     line.fresh ? XIPSEC_SA_FRESH_KEY : 0);
	if (strcmp(line.verb, "move") == 0)
		return move(fd, line.name, line.engine);
	return named(fd, XIPSEC_SADB_SA_DELETE, line.name, 0);
}

const struct command cmd_sa = {
	.name = "sa",
	.args = "[[list] [--json] | add NAME [--fresh-key] | delete NAME | move NAME --engine "
		"xfrm|afxdp]",
	.summary = "show, install and delete SAs",
	.details =
		"         IKE SAs, their child SAs and what these are in the data path, as a "
		"tree;\n"
		"         those of no IKE SA (manual keys, or left from before) come last\n"
		"list     every SA of the data path with all that is known; keys are never shown\n"
		"add      installs an SA of sas {} in the config that xipsecd was started with\n"
		"         (-c of this command only finds xipsecd's socket)\n"
		"delete   takes one away; what its policies protect is dropped from then on\n"
		"move     has the child of an SA, or the child NAME, rekeyed onto the other "
		"engine;\n"
		"         waits for it. Never one of sas {}: a key never changes its engine\n"
		"\n"
		"--fresh-key  swears that the key was never used, here or elsewhere: needed once\n"
		"             for a key that xipsecd has no record of\n"
		"--json       names and meanings: docs/json-sa.md\n"
		"\n"
		"Exit: 0 done, 1 failed, 2 usage, 4 it is there already or is not there,\n"
		"5 xipsecd does not run.\n",
	.run = run,
};
