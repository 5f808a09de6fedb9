// SPDX-License-Identifier: BSD-2-Clause
#include "tools/xipsec/sa_tree.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint64_t number_of(struct json_object *object, const char *key)
{
	return json_object_get_uint64(ike_json_part(object, key));
}

/* ------------------------------------------------------------------ making it */

/* list-sa: one section, by the connection's name. */
static int on_ike(void *ctx, const char *event, struct bytes message)
{
	struct json_object *one = ike_json(message);

	json_object_object_foreach(one, name, ike)
	{
		json_object_object_add(ike, "name", json_object_new_string(name));
		json_object_array_add(ctx, json_object_get(ike));
	}
	json_object_put(one);
	return 0;
}

/* Ours are told apart by SPI; the peer chose the other ones, so another peer may have the same. */
static bool is_of(struct json_object *sa, struct json_object *ike, struct json_object *child)
{
	bool out = strcmp(ike_json_text(sa, "direction"), "out") == 0;
	const char *spi = ike_json_text(child, out ? "spi-out" : "spi-in");

	return strtoul(ike_json_text(sa, "spi"), NULL, 16) == strtoul(spi, NULL, 16) &&
	       strcasecmp(ike_json_text(sa, "protocol"), ike_json_text(child, "protocol")) == 0 &&
	       (!out || strcmp(ike_json_text(sa, "dst"), ike_json_text(ike, "remote-host")) == 0);
}

static void take(struct json_object *sas, bool *taken, struct json_object *ike,
		 struct json_object *child)
{
	struct json_object *mine = json_object_new_array();

	for (size_t i = 0; i < json_object_array_length(sas); i++) {
		struct json_object *sa = json_object_array_get_idx(sas, i);

		if (taken[i] || !is_of(sa, ike, child))
			continue;
		taken[i] = true;
		json_object_array_add(mine, json_object_get(sa));
	}
	json_object_object_add(child, "sas", mine);
}

int sa_tree_make(struct vici_client *client, struct json_object *sas, struct json_object **out)
{
	size_t n = json_object_array_length(sas);
	struct json_object *tree = json_object_new_object(), *ikes = json_object_new_array(),
			   *other = json_object_new_array();
	bool *taken = calloc(n + 1, sizeof(*taken));
	int code = EXIT_OK;

	json_object_object_add(tree, "iked", json_object_new_boolean(client != NULL));
	json_object_object_add(tree, "ike", ikes);
	json_object_object_add(tree, "other", other);
	if (client)
		code = ike_command(client, "list-sas", NULL, "list-sa", on_ike, ikes);
	if (code || !taken) {
		free(taken);
		json_object_put(tree);
		return code ? code : EXIT_FAILED;
	}
	for (size_t i = 0; i < json_object_array_length(ikes); i++) {
		struct json_object *ike = json_object_array_get_idx(ikes, i);
		struct json_object *children = ike_json_part(ike, "child-sas");

		if (!children)
			continue;
		json_object_object_foreach(children, name, child) if (name)
			take(sas, taken, ike, child);
	}
	for (size_t i = 0; i < n; i++)
		if (!taken[i])
			json_object_array_add(other,
					      json_object_get(json_object_array_get_idx(sas, i)));
	free(taken);
	*out = tree;
	return EXIT_OK;
}

/* ------------------------------------------------------------------ text */

static void print_end(struct json_object *ike, const char *side)
{
	char host[32], port[32], id[32];

	snprintf(host, sizeof(host), "%s-host", side);
	snprintf(port, sizeof(port), "%s-port", side);
	snprintf(id, sizeof(id), "%s-id", side);
	printf("%s[%s] %s", ike_json_text(ike, host), ike_json_text(ike, port),
	       ike_json_text(ike, id));
}

static void print_due(struct json_object *object, const char *key, const char *what)
{
	const char *seconds = ike_json_text(object, key);

	if (seconds[0])
		printf(", %s in %s s", what, seconds);
}

static void print_suite(struct json_object *object)
{
	static const char *const keys[] = {"integ-alg", "prf-alg", "dh-group"};
	const char *bits = ike_json_text(object, "encr-keysize"),
		   *encr = ike_json_text(object, "encr-alg");

	printf("%s%s%s", encr[0] ? encr : "NULL", bits[0] ? "-" : "", bits);
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (ike_json_text(object, keys[i])[0])
			printf("/%s", ike_json_text(object, keys[i]));
}

static void print_ts(struct json_object *list)
{
	for (size_t i = 0; list && i < json_object_array_length(list); i++)
		printf("%s%s", i ? ", " : "",
		       json_object_get_string(json_object_array_get_idx(list, i)));
}

static void print_sa(struct json_object *sa, const char *indent)
{
	struct json_object *drops = ike_json_part(sa, "drops");
	uint64_t lost = 0;

	if (drops) {
		json_object_object_foreach(drops, reason, packets) if (reason)
			lost += json_object_get_uint64(packets);
	}
	printf("%s%-3s %s %s, %s, %s -> %s, %" PRIu64 " packets, %" PRIu64 " bytes", indent,
	       ike_json_text(sa, "direction"), ike_json_text(sa, "spi"), ike_json_text(sa, "name"),
	       ike_json_text(sa, "status"), ike_json_text(sa, "src"), ike_json_text(sa, "dst"),
	       number_of(sa, "packets"), number_of(sa, "bytes"));
	if (lost)
		printf(", %" PRIu64 " dropped", lost);
	if (ike_json_text(sa, "idle")[0])
		printf(", idle %s s", ike_json_text(sa, "idle"));
	printf("\n");
}

static void print_sas(struct json_object *sas, const char *indent)
{
	for (size_t i = 0; sas && i < json_object_array_length(sas); i++)
		print_sa(json_object_array_get_idx(sas, i), indent);
}

static void print_child(struct json_object *child)
{
	printf("    %s #%s: %s, %s, %s%s, ", ike_json_text(child, "name"),
	       ike_json_text(child, "uniqueid"), ike_json_text(child, "state"),
	       ike_json_text(child, "mode"), ike_json_text(child, "protocol"),
	       ike_json_text(child, "encap")[0] ? " in UDP" : "");
	print_suite(child);
	print_due(child, "rekey-time", "rekey");
	printf("\n        ");
	print_ts(ike_json_part(child, "local-ts"));
	printf(" === ");
	print_ts(ike_json_part(child, "remote-ts"));
	printf("\n");
	print_sas(ike_json_part(child, "sas"), "        ");
}

static void print_ike(struct json_object *ike)
{
	struct json_object *children = ike_json_part(ike, "child-sas");

	printf("%s #%s: %s, ", ike_json_text(ike, "name"), ike_json_text(ike, "uniqueid"),
	       ike_json_text(ike, "state"));
	print_end(ike, "local");
	printf(" ... ");
	print_end(ike, "remote");
	printf("\n    ");
	print_suite(ike);
	if (ike_json_text(ike, "established")[0])
		printf(", up for %s s", ike_json_text(ike, "established"));
	print_due(ike, "rekey-time", "rekey");
	print_due(ike, "reauth-time", "reauthentication");
	printf("\n");
	if (!children)
		return;
	json_object_object_foreach(children, name, child) if (name) print_child(child);
}

void sa_tree_text(struct json_object *tree)
{
	struct json_object *ikes = ike_json_part(tree, "ike"),
			   *other = ike_json_part(tree, "other");

	for (size_t i = 0; i < json_object_array_length(ikes); i++)
		print_ike(json_object_array_get_idx(ikes, i));
	if (json_object_array_length(other)) {
		printf("of no IKE SA%s:\n", json_object_get_boolean(ike_json_part(tree, "iked"))
						    ? ""
						    : " (xipsec-iked does not run)");
		print_sas(other, "    ");
	}
}
