// SPDX-License-Identifier: BSD-2-Clause
#include "tools/xipsec/ike.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "lib/config.h"
#include "lib/log.h"

int ike_connect(const struct global_options *opts, bool quiet, struct vici_client **out)
{
	_cleanup_config_ struct config *config = config_paths(opts->config_path);
	char path[sizeof(config->run_dir) + sizeof(config->iked.vici_socket)];
	int err;

	if (!config)
		return EXIT_FAILED;
	if (config->iked.vici_socket[0])
		snprintf(path, sizeof(path), "%s", config->iked.vici_socket);
	else
		snprintf(path, sizeof(path), "%s/charon.vici", config->run_dir);
	err = vici_connect(path, out);
	if (!err)
		return EXIT_OK;
	if (err == -ENOENT || err == -ECONNREFUSED) {
		if (!quiet)
			log_error("%s: xipsec-iked does not run", path);
		return EXIT_DAEMON;
	}
	log_error("%s: %s", path, strerror(-err));
	return EXIT_FAILED;
}

int ike_command(struct vici_client *client, const char *command, const struct vici_writer *request,
		const char *event, vici_event_fn fn, void *ctx)
{
	_cleanup_vici_ struct vici_writer answer = {0};
	int err = vici_call(client, command, request, event, fn, ctx, &answer);
	char text[1024];

	if (err) {
		log_error("%s: %s", command,
			  err == -ENOSYS ? "this xipsec-iked does not know that" : strerror(-err));
		return EXIT_FAILED;
	}
	if (vici_get_bool(vici_view(&answer), "success", true))
		return EXIT_OK;
	vici_get_text(vici_view(&answer), "errmsg", text, sizeof(text));
	log_error("%s: %s", command, text[0] ? text : "refused without a reason");
	return EXIT_FAILED;
}

/* ------------------------------------------------------------------ names */

struct search {
	const char *text;
	struct ike_name *out;
	unsigned int conns, children; /* that are called so */
};

static void copy_name(char *to, struct bytes name)
{
	snprintf(to, CONN_NAME_LEN, "%.*s", (int)name.len, (const char *)name.data);
}

/* list-conn: CONN { ... children { NAME { ... } } } */
static int on_conn(void *ctx, const char *event, struct bytes message)
{
	struct search *search = ctx;
	struct reader r = reader_of(message);
	struct vici_element element;
	struct bytes conn = BYTES_NONE;
	unsigned int depth = 0;
	bool children = false;

	while (vici_next(&r, &element)) {
		if (element.kind == VICI_SECTION_END)
			depth--;
		if (element.kind != VICI_SECTION_START)
			continue;
		if (depth == 0)
			conn = element.name;
		if (depth == 0 && vici_name_is(&element, search->text)) {
			search->conns++;
			copy_name(search->out->conn, conn);
		}
		if (depth == 1)
			children = vici_name_is(&element, "children");
		if (depth == 2 && children && vici_name_is(&element, search->text)) {
			if (!search->conns && !search->children++)
				copy_name(search->out->conn, conn);
			copy_name(search->out->child, element.name);
		}
		depth++;
	}
	return 0;
}

int ike_name_find(struct vici_client *client, const char *text, struct ike_name *out)
{
	const char *slash = strchr(text, '/');
	struct search search = {.text = text, .out = out};
	int code;

	memset(out, 0, sizeof(*out));
	if (slash && slash - text < CONN_NAME_LEN && strlen(slash + 1) < CONN_NAME_LEN) {
		snprintf(out->conn, CONN_NAME_LEN, "%.*s", (int)(slash - text), text);
		strcpy(out->child, slash + 1);
		return EXIT_OK;
	}
	code = ike_command(client, "list-conns", NULL, "list-conn", on_conn, &search);
	if (code)
		return code;
	if (search.conns) {
		out->child[0] = 0;
		return EXIT_OK;
	}
	if (search.children == 1)
		return EXIT_OK;
	if (search.children)
		log_error("%s: several connections have a child of that name: give CONN/%s", text,
			  text);
	else
		log_error("%s: neither a connection nor a child; `xipsec conn` lists them", text);
	return search.children ? EXIT_USAGE : EXIT_ALREADY;
}

/* ------------------------------------------------------------------ JSON */

static struct json_object *json_text(struct bytes value)
{
	return json_object_new_string_len((const char *)value.data, value.len);
}

static struct json_object *json_list(struct reader *r)
{
	struct json_object *list = json_object_new_array();
	struct vici_element item;

	while (vici_next(r, &item) && item.kind == VICI_LIST_ITEM)
		json_object_array_add(list, json_text(item.value));
	return list;
}

static struct json_object *json_section(struct reader *r)
{
	struct json_object *section = json_object_new_object();
	struct vici_element element;

	while (vici_next(r, &element) && element.kind != VICI_SECTION_END) {
		char name[VICI_NAME_MAX + 1];
		struct json_object *value;

		snprintf(name, sizeof(name), "%.*s", (int)element.name.len,
			 (const char *)element.name.data);
		if (element.kind == VICI_SECTION_START)
			value = json_section(r);
		else
			value = element.kind == VICI_LIST_START ? json_list(r)
								: json_text(element.value);
		json_object_object_add(section, name, value);
	}
	return section;
}

struct json_object *ike_json(struct bytes message)
{
	struct reader r = reader_of(message);

	return json_section(&r);
}

const char *ike_json_text(struct json_object *object, const char *key)
{
	struct json_object *value = ike_json_part(object, key);

	return value ? json_object_get_string(value) : "";
}

struct json_object *ike_json_part(struct json_object *object, const char *key)
{
	struct json_object *value;

	return json_object_object_get_ex(object, key, &value) ? value : NULL;
}
