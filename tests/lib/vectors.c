// SPDX-License-Identifier: BSD-2-Clause
#include "tests/lib/vectors.h"

#include <ctype.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <cmocka.h>

#include "lib/alg.h"

static const struct vector_field *find(const struct vector *v, const char *name)
{
	for (unsigned int i = 0; i < v->n; i++)
		if (!strcasecmp(v->field[i].name, name))
			return &v->field[i];
	return NULL;
}

static char *strip(char *text)
{
	char *end = text + strlen(text);

	while (end > text && isspace((unsigned char)end[-1]))
		*--end = 0;
	while (isspace((unsigned char)*text))
		text++;
	return text;
}

static void put(struct vector *v, char *line, bool here)
{
	char *value = strchr(line, '=');
	struct vector_field *field;

	if (value)
		*value++ = 0;
	line = strip(line);
	value = value ? strip(value) : "";
	field = (struct vector_field *)find(v, line);
	if (!field) /* of a word that is gone */
		field = (struct vector_field *)find(v, "");
	if (!field) {
		assert_true(v->n < VECTOR_FIELDS);
		field = &v->field[v->n++];
	}
	assert_true(strlen(line) < sizeof(field->name) && strlen(value) < VECTOR_VALUE);
	strcpy(field->name, line);
	strcpy(field->value, value);
	field->here = here;
}

/* [ENCRYPT] and [DECRYPT] shut each other out. */
static void put_section(struct vector *v, char *line)
{
	char *save = NULL, *end = strchr(line, ']');

	if (end)
		*end = 0;
	if (!strchr(line, '='))
		for (unsigned int i = 0; i < v->n; i++)
			if (!v->field[i].value[0])
				v->field[i].name[0] = 0;
	for (char *part = strtok_r(line + 1, ",", &save); part; part = strtok_r(NULL, ",", &save))
		put(v, part, false);
}

/* The words of this vector alone go with it. */
static void next(struct vector *v)
{
	for (unsigned int i = 0; i < v->n; i++) {
		if (v->field[i].here && !v->field[i].value[0])
			v->field[i].name[0] = 0;
		v->field[i].here = false;
	}
}

unsigned int vectors_run(const char *path, unsigned int (*run)(void *ctx, const struct vector *v),
			 void *ctx)
{
	static char line[VECTOR_VALUE + 64];
	struct vector *v = calloc(1, sizeof(*v));
	FILE *f = fopen(path, "r");
	unsigned int sum = 0;
	bool any = false;

	if (!f)
		fail_msg("%s: %s; make deps installs the vectors", path, strerror(errno));
	assert_non_null(v);
	while (f && fgets(line, sizeof(line), f)) {
		char *text = strip(line);

		v->line++;
		if (*text == '#')
			continue;
		if (*text == '[') {
			put_section(v, text);
		} else if (*text) {
			put(v, text, true);
			any = true;
		} else if (any) {
			sum += run(ctx, v);
			next(v);
			any = false;
		}
	}
	if (any)
		sum += run(ctx, v);
	if (f)
		fclose(f);
	free(v);
	return sum;
}

const char *vector_text(const struct vector *v, const char *name)
{
	const struct vector_field *field = find(v, name);

	return field ? field->value : NULL;
}

bool vector_has(const struct vector *v, const char *name)
{
	const struct vector_field *field = find(v, name);

	return field && field->here;
}

long vector_number(const struct vector *v, const char *name)
{
	const char *text = vector_text(v, name);

	return text ? strtol(text, NULL, 10) : -1;
}

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)tolower((unsigned char)c);
	assert_true(c >= 'a' && c <= 'f');
	return c - 'a' + 10;
}

long vector_bytes(const struct vector *v, const char *name, uint8_t *to, size_t size)
{
	const char *text = vector_text(v, name);
	size_t len;

	if (!text)
		return -1;
	if (*text == '"') {
		len = strlen(text) - 2;
		assert_true(len <= size);
		memcpy(to, text + 1, len);
		return (long)len;
	}
	len = strlen(text) / 2;
	assert_true(len <= size && strlen(text) % 2 == 0);
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)(digit(text[2 * i]) << 4 | digit(text[2 * i + 1]));
	return (long)len;
}

enum xipsec_alg vector_alg(const struct vector *v)
{
	const char *name = vector_text(v, "alg");

	for (enum xipsec_alg alg = 1; alg < XIPSEC_ALG_COUNT; alg++)
		if (!strcmp(alg_get(alg)->name, name))
			return alg;
	fail_msg("no algorithm %s", name);
	return XIPSEC_ALG_NONE;
}
