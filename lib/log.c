// SPDX-License-Identifier: BSD-2-Clause
#include "lib/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static const char *log_who = "xipsec";
static enum log_level log_max = LOG_LEVEL_INFO;
static int log_journal;

void log_open(const char *who, enum log_level max)
{
	log_who = who;
	log_max = max;
	log_journal = getenv("JOURNAL_STREAM") != NULL;
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
	if (log_journal)
		fprintf(stderr, "<%d>%s: %s\n", level, log_who, line);
	else
		fprintf(stderr, "%s: %s\n", log_who, line);
}
