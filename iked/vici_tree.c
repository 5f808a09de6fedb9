// SPDX-License-Identifier: BSD-2-Clause
#include "iked/vici_tree.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct to_tree {
	struct reader r;
	const struct config_place *place;
	int err;
};

/* A node of its own copies; NULL: `to->err` says why. */
static struct config_node *node_new(struct to_tree *to, enum config_kind kind, struct bytes name,
				    struct bytes value)
{
	char *key = config_text((const char *)name.data, name.len);
	char *text = config_text((const char *)value.data, value.len);
	struct config_node *node = NULL;

	if (key && text) {
		node = config_node_new(kind, key, text, to->place);
	} else {
		config_text_free(key);
		config_text_free(text);
	}
	if (!node)
		to->err = -ENOMEM;
	else
		node->len = value.len;
	return node;
}

static void append(struct config_list *list, struct config_node *node)
{
	if (node)
		config_list_append(list, (struct config_list){node, node});
}

static bool is_text(struct bytes value)
{
	return !memchr(value.data, 0, value.len);
}

static struct config_node *read_value(struct to_tree *to, const struct vici_element *element)
{
	if (!is_text(element->value)) {
		to->err = -EINVAL;
		return NULL;
	}
	return node_new(to, CONFIG_VALUE, element->name, element->value);
}

static bool holds_blobs(const struct vici_element *list)
{
	return vici_name_is(list, "certs") || vici_name_is(list, "cacerts") ||
	       vici_name_is(list, "pubkeys");
}

static struct config_node *read_blobs(struct to_tree *to, const struct vici_element *list)
{
	struct config_node *node = node_new(to, CONFIG_BLOBS, list->name, BYTES("", 0));
	struct config_list items = {0};
	struct vici_element item;

	while (node && !to->err && vici_next(&to->r, &item) && item.kind == VICI_LIST_ITEM)
		append(&items, node_new(to, CONFIG_VALUE, BYTES("", 0), item.value));
	if (node)
		node->first = items.first;
	return node;
}

/* "a,b,c" into `text`. */
static void join_items(struct to_tree *to, FILE *text)
{
	struct vici_element item;
	const char *comma = "";

	while (!to->err && vici_next(&to->r, &item) && item.kind == VICI_LIST_ITEM) {
		if (!is_text(item.value) || memchr(item.value.data, ',', item.value.len))
			to->err = -EINVAL;
		fprintf(text, "%s%.*s", comma, (int)item.value.len, (const char *)item.value.data);
		comma = ",";
	}
}

static struct config_node *read_texts(struct to_tree *to, const struct vici_element *list)
{
	struct config_node *node = NULL;
	char *text = NULL;
	size_t len = 0;
	FILE *file = open_memstream(&text, &len);

	if (!file) {
		to->err = -ENOMEM;
		return NULL;
	}
	join_items(to, file);
	if (fclose(file))
		to->err = to->err ? to->err : -ENOMEM;
	if (!to->err)
		node = node_new(to, CONFIG_VALUE, list->name, BYTES(text, len));
	free(text);
	return node;
}

/* Up to the end of the section, or of the message. */
static void read_nodes(struct to_tree *to, struct config_list *out)
{
	struct vici_element element;

	while (!to->err && vici_next(&to->r, &element) && element.kind != VICI_SECTION_END) {
		struct config_node *node = NULL;
		struct config_list inner = {0};

		if (element.kind == VICI_KEY_VALUE) {
			node = read_value(to, &element);
		} else if (element.kind == VICI_LIST_START) {
			node = holds_blobs(&element) ? read_blobs(to, &element)
						     : read_texts(to, &element);
		} else {
			node = node_new(to, CONFIG_SECTION, element.name, BYTES("", 0));
			read_nodes(to, &inner);
			if (node)
				node->first = inner.first;
			else
				config_list_free(&inner);
		}
		append(out, node);
	}
}

int vici_to_tree(struct bytes message, const struct config_place *place, struct config_list *out)
{
	struct to_tree to = {.r = reader_of(message), .place = place};

	*out = (struct config_list){0};
	read_nodes(&to, out);
	return to.err;
}
