// SPDX-License-Identifier: BSD-2-Clause
/* Log lines as JSON: one object a line, whatever stands in the text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"

static char said[16384];

/* What log_fields() writes to stderr. */
static void say(enum log_level level, const struct log_field *fields, unsigned int n,
		const char *text)
{
	int pipes[2], was = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(pipe2(pipes, O_NONBLOCK), 0);
	dup2(pipes[1], STDERR_FILENO);
	log_fields(level, fields, n, text);
	dup2(was, STDERR_FILENO);
	close(was);
	len = read(pipes[0], said, sizeof(said) - 1);
	said[len > 0 ? len : 0] = 0;
	close(pipes[0]);
	close(pipes[1]);
}

static void test_json(void **state)
{
	const struct log_field fields[] = {
		{"connection", "peer"}, {"ike", "7"}, {"peer", ""}, {"none", NULL}};
	char *at;

	unsetenv("JOURNAL_STREAM");
	log_open("child", LOG_LEVEL_INFO);
	say(LOG_LEVEL_WARN, fields, 4, "plain \"text\"");
	assert_string_equal(said, "child: plain \"text\"\n");
	log_as_json();
	say(LOG_LEVEL_DEBUG, fields, 4, "not at this level");
	assert_string_equal(said, "");
	say(LOG_LEVEL_WARN, fields, 4, "a \"b\" \\ \n \x01 \x7f é");
	assert_memory_equal(said, "{\"time\": \"20", 12);
	at = strstr(said, "Z\", ");
	assert_non_null(at);
	assert_string_equal(at,
			    "Z\", \"level\": \"warning\", \"daemon\": \"child\", \"connection\": "
			    "\"peer\", \"ike\": \"7\", "
			    "\"text\": \"a \\\"b\\\" \\\\ \\u000a \\u0001 \x7f é\"}\n");
}

/* Too long for a line: cut off, and an object still. */
static void test_long(void **state)
{
	static char text[8000];
	struct log_field field = {"connection", text};
	size_t len;

	memset(text, '"', sizeof(text) - 1);
	say(LOG_LEVEL_ERROR, &field, 1, text);
	len = strlen(said);
	assert_in_range(len, 3000, 4200);
	assert_string_equal(said + len - 4, "\"\"}\n");
	assert_ptr_equal(strchr(said, '\n'), said + len - 1);
	field.value = "peer";
	say(LOG_LEVEL_ERROR, &field, 1, text);
	len = strlen(said);
	assert_in_range(len, 3000, 4200);
	assert_string_equal(said + len - 5, "\\\"\"}\n");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json),
		cmocka_unit_test(test_long),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
