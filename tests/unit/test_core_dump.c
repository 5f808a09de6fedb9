// SPDX-License-Identifier: BSD-2-Clause
/* What core_dump_off() leaves of a process's memory in a core file that comes nevertheless: a
 * process that has done this part of it alone crashes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <openssl/crypto.h>
#include <openssl/rand.h>

#include "lib/core_dump.h"
#include "tests/lib/skip.h"

/* Longer than what a vector register holds: registers are in a core file whatever is left out. */
#define SECRET 256

static char dir[] = "/tmp/xipsec-core.XXXXXX";
static uint8_t half[2][SECRET]; /* the secret is their sum: here it is nowhere */

static void make_secret(volatile uint8_t *out)
{
	for (int i = 0; i < SECRET; i++)
		out[i] = half[0][i] ^ half[1][i];
}

static int lift(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_CORE, &limit))
		return -1;
	limit.rlim_cur = limit.rlim_max;
	return setrlimit(RLIMIT_CORE, &limit);
}

/* On the heap, on libcrypto's, on the stack: where a daemon's keys are. */
static void crash(bool off)
{
	uint8_t *heap = malloc(SECRET), *crypto = OPENSSL_malloc(SECRET);
	volatile uint8_t stack[SECRET];

	if (!heap || !crypto || (off && core_dump_leave_out()) || lift() || chdir(dir))
		_exit(1);
	make_secret(heap);
	make_secret(crypto);
	make_secret(stack);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* How often the secret is in the file, which goes. */
static unsigned int count_in(const char *name, size_t *size)
{
	uint8_t secret[SECRET], *data;
	unsigned int n = 0;
	char path[300];
	FILE *file;

	make_secret(secret);
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	file = fopen(path, "r");
	assert_non_null(file);
	fseek(file, 0, SEEK_END);
	*size = (size_t)ftell(file);
	rewind(file);
	data = malloc(*size + 1);
	assert_non_null(data);
	assert_int_equal(fread(data, 1, *size, file), *size);
	fclose(file);
	unlink(path);
	for (const uint8_t *at = data;
	     (at = memmem(at, *size - (size_t)(at - data), secret, SECRET)); at++)
		n++;
	free(data);
	return n;
}

/* The core file of a process that crashed; false: there is none. */
static bool core_of(bool off, unsigned int *n, size_t *size)
{
	const struct dirent *entry;
	bool found = false;
	int status;
	DIR *folder;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (!pid)
		crash(off);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (!WIFSIGNALED(status))
		return false;
	folder = opendir(dir);
	assert_non_null(folder);
	while ((entry = readdir(folder)))
		if (entry->d_name[0] != '.') {
			*n = count_in(entry->d_name, size);
			found = true;
		}
	closedir(folder);
	return found;
}

static void no_memory_is_in_a_dump(void **state)
{
	unsigned int n = 0;
	size_t size = 0;

#ifdef __SANITIZE_ADDRESS__
	skip_because("a core file of the address sanitizer's shadow has terabytes");
#endif
	assert_int_equal(RAND_bytes(half[0], 2 * SECRET), 1);
	if (!core_of(false, &n, &size))
		skip_because("no core file comes to the working folder here (core_pattern)");
	assert_true(n >= 3); /* the control: all three are found */
	assert_true(core_of(true, &n, &size));
	assert_true(size > 0);
	assert_int_equal(n, 0);
}

static int setup(void **state)
{
	return mkdtemp(dir) ? 0 : -1;
}

static int teardown(void **state)
{
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(no_memory_is_in_a_dump)};

	return cmocka_run_group_tests(tests, setup, teardown);
}
