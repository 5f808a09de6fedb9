// SPDX-License-Identifier: BSD-2-Clause
/* How often the parent starts a process that ends. The process is this program once more. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "iked/child.h"
#include "iked/proc.h"
#include "iked/resolver.h"
#include "lib/log.h"
#include "lib/spawn.h"

static struct event_base *base;
static struct proc_slot *slot;
static unsigned int n_started;
static bool renews;

int child_main(int channel, const struct chan_setup *setup)
{
	return 1;
}

int resolver_main(int channel, const struct chan_setup *setup)
{
	return 1;
}

static void on_started(void *ctx, struct chan *chan)
{
	n_started++;
	if (renews)
		proc_renew(slot);
}

static void on_died(void *ctx)
{
}

static void on_message(void *ctx, const struct chan_hdr *hdr, int *fds, unsigned int n)
{
}

static void on_setup(void *ctx, struct chan_setup *out)
{
}

static void on_sigchld(evutil_socket_t fd, short what, void *ctx)
{
	proc_reap(slot);
}

static void turn(unsigned int ms)
{
	const struct timeval wait = {ms / 1000, (suseconds_t)(ms % 1000) * 1000};

	event_base_loopexit(base, &wait);
	event_base_dispatch(base);
}

/* One whose end is wanted as soon as it runs does not keep the machine busy. */
static void is_renewed_ever_more_rarely(void **state)
{
	static const struct proc_hooks hooks = {on_started, on_died, on_message, on_setup};
	int binary = spawn_open("/proc/self/exe");
	struct event *reaper;

	assert_true(binary >= 0);
	base = event_base_new();
	reaper = evsignal_new(base, SIGCHLD, on_sigchld, NULL);
	event_add(reaper, NULL);
	renews = true;
	slot = proc_start(base, PROC_RESOLVER, binary, &hooks, NULL);
	assert_non_null(slot);
	turn(1000);
	assert_in_range(n_started, 2, 4); /* at 0, 0.1, 0.3, 0.7 s; the next one at 1.5 s */
	renews = false;
	for (unsigned int before = n_started, i = 0; n_started == before && i < 50; i++)
		turn(100);
	assert_true(proc_pid(slot) > 0);
	proc_stop(slot, 0);
	event_free(reaper);
	event_base_free(base);
	close(binary);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(is_renewed_ever_more_rarely)};

	if (proc_of(argc, argv) == PROC_RESOLVER)
		return pause();
	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("proc", tests, NULL, NULL);
}
