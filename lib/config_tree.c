// SPDX-License-Identifier: BSD-2-Clause
#include <ctype.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>
#include "lib/config_tree.h"

/* Half of the shortest key: no honest name or value holds that many hex digits in a row. */
#define HEX_RUN_MAX 20

void config_error(struct config_diag *diag, const struct config_place *place, const char *fmt, ...)
{
	va_list args;

	diag->errors++;
	if (!diag->out)
		return;
	fprintf(diag->out, "%s:%u:%u: ", place->file->name, place->line, place->column);
	va_start(args, fmt);
	vfprintf(diag->out, fmt, args);
	va_end(args);
	fputc('\n', diag->out);
}

void config_warn(struct config_diag *diag, const struct config_place *place, const char *fmt, ...)
{
	va_list args;

	if (!diag->warnings)
		return;
	fprintf(diag->warnings, "%s:%u:%u: warning: ", place->file->name, place->line,
		place->column);
	va_start(args, fmt);
	vfprintf(diag->warnings, fmt, args);
	va_end(args);
	fputc('\n', diag->warnings);
}

const char *config_shown(const char *text)
{
	unsigned int run = 0;

	for (const char *c = text; *c; c++) {
		run = isxdigit((unsigned char)*c) ? run + 1 : 0;
		if (run >= HEX_RUN_MAX)
			return "(hidden: looks like a key)";
		if (!isprint((unsigned char)*c))
			return "(hidden: unprintable)";
	}
	return strlen(text) > 128 ? "(hidden: long)" : text;
}

char *config_text(const char *bytes, size_t len)
{
	char *text = malloc(len + 1);

	if (!text)
		return NULL;
	memcpy(text, bytes, len);
	text[len] = 0;
	return text;
}

static char unescape(char c)
{
	switch (c) {
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	case 'b': return '\b';
	case 'f': return '\f';
	default: return c;
	}
}

char *config_text_quoted(const char *bytes, size_t len)
{
	char *text = malloc(len + 1), *to = text;

	if (!text)
		return NULL;
	for (size_t i = 1; i + 1 < len; i++) {
		if (bytes[i] != '\\') {
			*to++ = bytes[i];
			continue;
		}
		/* the scanner saw to it that something follows; an escaped newline joins lines */
		if (bytes[++i] != '\n')
			*to++ = unescape(bytes[i]);
	}
	*to = 0;
	return text;
}

char *config_text_join(char *left, char *right)
{
	size_t a = strlen(left), b = strlen(right);
	char *text = malloc(a + b + 2);

	if (text) {
		memcpy(text, left, a);
		text[a] = ' ';
		memcpy(text + a + 1, right, b + 1);
	}
	config_text_free(left);
	config_text_free(right);
	return text;
}

void config_text_free(char *text)
{
	if (text)
		OPENSSL_cleanse(text, strlen(text));
	free(text);
}

struct config_node *config_node_new(enum config_kind kind, char *name, char *value,
				    const struct config_place *place)
{
	struct config_node *node = calloc(1, sizeof(*node));

	if (!node) {
		config_text_free(name);
		config_text_free(value);
		return NULL;
	}
	node->kind = kind;
	node->name = name;
	node->value = value;
	node->len = value ? strlen(value) : 0;
	node->place = *place;
	node->value_place = *place;
	return node;
}

void config_list_append(struct config_list *list, struct config_list more)
{
	if (!more.first)
		return;
	if (list->last)
		list->last->next = more.first;
	else
		list->first = more.first;
	list->last = more.last;
}

/* Recursion ends: the scanner refuses more than CONFIG_DEPTH_MAX sections in each other. */
void config_list_free(struct config_list *list)
{
	struct config_node *node = list->first;

	while (node) {
		struct config_node *next = node->next;
		struct config_list inner = {node->first, NULL};

		config_list_free(&inner);
		config_text_free(node->name);
		config_text_free(node->value);
		free(node);
		node = next;
	}
	list->first = list->last = NULL;
}

void config_tree_free(struct config_tree *tree)
{
	config_list_free(&tree->list);
	while (tree->files) {
		struct config_file *next = tree->files->next;

		free(tree->files->name);
		free(tree->files);
		tree->files = next;
	}
}
