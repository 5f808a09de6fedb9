/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Log lines of the daemons: to stderr, with the journal's priority prefix when that is where stderr
 * goes. One line an event, no key at any level.
 */
#ifndef LIB_LOG_H
#define LIB_LOG_H

#include <stddef.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARN = 4, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* `who` stands before every line ("xipsecd", "worker 1"); it is kept, not copied. Lines above `max`
 * are not written. */
void log_open(const char *who, enum log_level max);

/* From now on a line is a JSON object: time (UTC), level, daemon, text, and what is known besides.
 */
void log_as_json(void);

/* Of a line, besides its text. */
struct log_field {
	const char *name, *value; /* value NULL or "": left out */
};

void log_fields(enum log_level level, const struct log_field *fields, unsigned int n,
		const char *text);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* From now on the first line of an error goes to text[size], too, which is empty until then; NULL:
 * not any more. For who answers a client. */
void log_keep_error(char *text, size_t size);

#define log_error(...) log_line(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...)  log_line(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...)  log_line(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) log_line(LOG_LEVEL_DEBUG, __VA_ARGS__)

#endif
