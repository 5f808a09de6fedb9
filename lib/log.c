// SPDX-License-Identifier: BSD-2-Clause
#include "lib/log.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *log_who = "xipsec";
static enum log_level log_max = LOG_LEVEL_INFO;
static int log_journal;
static bool log_json;
static char *log_kept; /* where the first error goes, too; NULL: nowhere */
static size_t log_kept_size;

void log_open(const char *who, enum log_level max)
{
	log_who = who;
	log_max = max;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
}

void log_as_json(void)
{
	log_json = true;
}

void log_keep_error(char *text, size_t size)
{
	log_kept = text;
	log_kept_size = size;
	if (text)
		text[0] = 0;
}

/* ------------------------------------------------------------------ JSON */

/* One write a line, or those of two processes would mix. What does not fit is cut off. */
struct json_line {
	char data[4096];
	size_t len;
};

static void add(struct json_line *line, const char *fmt, ...)
{
	size_t room = sizeof(line->data) - line->len;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(line->data + line->len, room, fmt, args);
	va_end(args);
	if (n > 0 && (size_t)n < room)
		line->len += (size_t)n;
	else
		line->data[line->len] = 0; /* a letter as a whole or not at all */
}

/* Room is left for what ends the line. */
static void add_text(struct json_line *line, const char *text)
{
	add(line, "\"");
	for (const unsigned char *c = (const unsigned char *)text;
	     *c && line->len < sizeof(line->data) - 64; c++) {
		if (*c == '"' || *c == '\\')
			add(line, "\\%c", *c);
		else if (*c < 0x20)
			add(line, "\\u%04x", *c);
		else
			add(line, "%c", *c);
	}
	add(line, "\"");
}

static void add_field(struct json_line *line, const char *name, const char *value)
{
	if (!value || !*value || line->len > sizeof(line->data) - 128)
		return;
	add(line, ", \"%s\": ", name);
	add_text(line, value);
}

static const char *level_name(enum log_level level)
{
	switch (level) {
	case LOG_LEVEL_ERROR: return "error";
	case LOG_LEVEL_WARN: return "warning";
	case LOG_LEVEL_INFO: return "info";
	default: return "debug";
	}
}

static void write_json(enum log_level level, const struct log_field *fields, unsigned int n,
		       const char *text)
{
	struct json_line line = {0};
	char when[32] = "";
	struct timespec now;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &now);
	if (gmtime_r(&now.tv_sec, &tm))
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	add(&line, "{\"time\": \"%s.%03ldZ\"", when, now.tv_nsec / 1000000);
	add_field(&line, "level", level_name(level));
	add_field(&line, "daemon", log_who);
	for (unsigned int i = 0; i < n; i++)
		add_field(&line, fields[i].name, fields[i].value);
	add_field(&line, "text", text);
	if (log_journal)
		fprintf(stderr, "<%d>%s}\n", level, line.data);
	else
		fprintf(stderr, "%s}\n", line.data);
}

/* ------------------------------------------------------------------ lines */

void log_fields(enum log_level level, const struct log_field *fields, unsigned int n,
		const char *text)
{
	if (level == LOG_LEVEL_ERROR && log_kept && !log_kept[0])
		snprintf(log_kept, log_kept_size, "%s", text);
	if (level > log_max)
		return;
	if (log_json)
		write_json(level, fields, n, text);
	else if (log_journal)
		fprintf(stderr, "<%d>%s: %s\n", level, log_who, text);
	else
		fprintf(stderr, "%s: %s\n", log_who, text);
}

void log_line(enum log_level level, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	if (level > log_max)
		return;
	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	log_fields(level, NULL, 0, line);
}
