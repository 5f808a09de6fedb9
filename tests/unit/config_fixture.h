/* SPDX-License-Identifier: BSD-2-Clause */
/* A folder with configs in it, to load good ones and to compare what is said about bad ones. */
#ifndef TESTS_UNIT_CONFIG_FIXTURE_H
#define TESTS_UNIT_CONFIG_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>
#include "lib/cleanup.h"
#include "lib/config.h"
#include "lib/config_clients.h"

#define FIXTURE  "tests/unit/config/good.conf"
#define KEY_FILE "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40414243"

static char dir[64];
static char good[8192];

static void path_of(char *path, size_t size, const char *name)
{
	snprintf(path, size, "%s/%s", dir, name);
}

static void put(const char *name, const char *text, size_t len, mode_t mode)
{
	char path[128];
	FILE *file;

	path_of(path, sizeof(path), name);
	unlink(path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(text, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, mode), 0);
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text), 0600);
}

static int config_setup(void **state)
{
	_cleanup_fclose_ FILE *file = fopen(FIXTURE, "r");
	size_t n;

	if (!file) {
		print_error("%s: run this from the top of the tree\n", FIXTURE);
		return -1;
	}
	n = fread(good, 1, sizeof(good) - 1, file);
	good[n] = 0;
	strcpy(dir, "/tmp/xipsec-config-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	put_text("key", KEY_FILE "\n");
	return 0;
}

static int config_teardown(void **state)
{
	static const char *const names[] = {"xipsec.conf", "key",    "open-key", "inc-a.conf",
					    "inc-b.conf",  "loop-a", "loop-b",   "short-key"};
	char path[128];
	bool any;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(path, sizeof(path), names[i]);
		unlink(path);
	}
	path_of(path, sizeof(path), CONFIG_CLIENTS_DIR);
	if (config_clients_forget(dir, &any) || rmdir(path))
		return -1;
	return rmdir(dir);
}

/* Loads xipsec.conf; *errors is the text of the errors, the folder's name taken off. */
static int load(struct config **out, char **errors)
{
	char path[128];
	char *text = NULL, *at;
	size_t len = 0, cut = strlen(dir) + 1;
	FILE *file = open_memstream(&text, &len);
	int err;

	path_of(path, sizeof(path), "xipsec.conf");
	assert_non_null(file);
	err = config_load(path, out, file);
	fclose(file);
	while ((at = strstr(text, dir)))
		memmove(at, at + cut, strlen(at + cut) + 1);
	*errors = text;
	return err;
}

static void load_good(const char *text, struct config **out)
{
	_cleanup_free_ char *errors = NULL;
	int err;

	put_text("xipsec.conf", text);
	err = load(out, &errors);
	if (err)
		print_error("%s", errors);
	assert_int_equal(err, 0);
	assert_string_equal(errors, "");
}

static inline void load_bad(const char *text, const char *expected)
{
	struct config *untouched = (void *)dir, *out = untouched;
	_cleanup_free_ char *errors = NULL;

	put_text("xipsec.conf", text);
	assert_int_equal(load(&out, &errors), -EINVAL);
	assert_ptr_equal(out, untouched);
	assert_null(strstr(errors, "0001020304"));
	assert_string_equal(errors, expected);
}

/* The good file with one place changed. Caller frees. */
static inline char *changed(const char *from, const char *to)
{
	const char *at = strstr(good, from);
	char *text;

	assert_non_null(at);
	assert_true(asprintf(&text, "%.*s%s%s", (int)(at - good), good, to, at + strlen(from)) > 0);
	return text;
}

static inline void assert_ip4(const struct xipsec_addr *addr, const char *text)
{
	struct xipsec_addr expected = {0};

	assert_int_equal(inet_pton(AF_INET, text, expected.byte), 1);
	assert_memory_equal(addr, &expected, sizeof(expected));
}

#endif
