// SPDX-License-Identifier: BSD-2-Clause
/* Every attack of worker/hostile.c, from inside the closed sandbox: none succeeds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define XIPSEC_HOSTILE
#include "worker/hostile.c"

#include <stdlib.h>
#include <sys/wait.h>

#include "worker/sandbox.h"

#define HOSTILE_UID 61500

struct outcome {
	int status;
	char text[512];
};

/* The attack with nothing closed is the control: it has to succeed for some, or the test sees
 * nothing. */
static struct outcome attack(__u32 n, int closed)
{
	struct outcome o = {0};
	int out[2], ctl[2];
	size_t len = 0;
	ssize_t got;
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ctl), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], STDERR_FILENO);
		dup2(ctl[0], 100);
		dup2(100, XIPSEC_CTL_FD);
		close_range(XIPSEC_CTL_FD + 1, ~0u, 0);
		if (closed && sandbox_close(HOSTILE_UID))
			_exit(99);
		hostile_act(n);
		_exit(0);
	}
	close(out[1]);
	while (len < sizeof(o.text) - 1 &&
	       (got = read(out[0], o.text + len, sizeof(o.text) - 1 - len)) > 0)
		len += got;
	close(out[0]);
	close(ctl[0]);
	close(ctl[1]);
	assert_int_equal(waitpid(pid, &o.status, 0), pid);
	return o;
}

static void no_attack_succeeds(void **state)
{
	for (__u32 n = 1; n <= HOSTILE_ACTS; n++) {
		struct outcome o = attack(n, 1);
		int killed = WIFSIGNALED(o.status) && WTERMSIG(o.status) == SIGSYS;
		int refused = WIFEXITED(o.status) && !WEXITSTATUS(o.status) &&
			      strstr(o.text, "got E");

		if (!strstr(o.text, "trying") || strstr(o.text, "SUCCEEDED") ||
		    (!killed && !refused))
			fail_msg("attack %u: wait status 0x%x, said: %s", n, o.status, o.text);
	}
}

/* Without the sandbox root opens /etc/shadow (3) and maps executable memory (16). */
static void the_attacks_are_real(void **state)
{
	assert_non_null(strstr(attack(3, 0).text, "SUCCEEDED"));
	assert_non_null(strstr(attack(4, 0).text, "SUCCEEDED"));
	assert_non_null(strstr(attack(16, 0).text, "SUCCEEDED"));
}

static int setup(void **state)
{
	if (!geteuid())
		return 0;
	fprintf(stderr, "test_hostile needs root: it gives it up\n");
	return -1;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_attacks_are_real),
		cmocka_unit_test(no_attack_succeeds),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
