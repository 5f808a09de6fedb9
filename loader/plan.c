// SPDX-License-Identifier: BSD-2-Clause
#include "loader/plan.h"

#include <sched.h>
#include <stddef.h>

#include "loader/ports.h"
#include "loader/probe.h"
#include "loader/sas.h"

#define PLAIN_MTU 1500 /* up to here a frame with its headroom fits 2048 bytes */

static unsigned int cores(void)
{
	cpu_set_t set;

	return sched_getaffinity(0, sizeof(set), &set) == 0 ? (unsigned int)CPU_COUNT(&set) : 1;
}

const char *plan_small_window(const struct config *config)
{
	for (unsigned int i = 0; i < config->n_sas; i++)
		if (config->sas[i].sa.dir == XIPSEC_DIR_OUT &&
		    config->sas[i].sa.window < SAS_SHARED_WINDOW_MIN)
			return config->sas[i].sa.name;
	return NULL;
}

struct plan plan_make(const struct config *config, const struct attach_iface *list, unsigned int n,
		      const char **why)
{
	unsigned int want = config->workers ? config->workers : cores();
	struct plan plan = {.frame_size = 2048};
	const char *small = plan_small_window(config);

	*why = config->workers ? "as configured" : "one a core";
	if (small && want > 1) {
		want = 1;
		*why = "an outbound SA has replay_window below 1024, so it cannot be shared";
	}
	if (want > XIPSEC_WORKERS_MAX)
		want = XIPSEC_WORKERS_MAX;
	for (unsigned int i = 0; i < n; i++) {
		unsigned int queues = list[i].queues ? list[i].queues : 1;

		if (!list[i].ifindex)
			continue;
		plan.n = want;
		if (queues < want) {
			want = plan.n = queues;
			*why = "an interface has no more queues";
		}
		if (list[i].mtu > PLAIN_MTU)
			plan.frame_size = 4096;
		if (list[i].mtu > PORTS_FRAME_MTU)
			plan.multi = probe_multi_buffer();
	}
	for (unsigned int i = 0; i < n && plan.n; i++)
		plan.sockets += (list[i].queues + plan.n - 1) / plan.n;
	return plan;
}
