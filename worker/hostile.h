/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What hostile code inside a worker would try, for tests of the sandbox. Only in builds with
 * EXTRA_CPPFLAGS=-DXIPSEC_HOSTILE: others refuse to start when asked for it.
 */
#ifndef WORKER_HOSTILE_H
#define WORKER_HOSTILE_H

#include <errno.h>
#include <linux/types.h>

#define HOSTILE_ACTS 18

#ifdef XIPSEC_HOSTILE

/* Tries attack number n, 1 to HOSTILE_ACTS. Before it, writes "hostile N NAME: trying" to stderr;
 * if still alive after it, "hostile N NAME: got E..." or "... SUCCEEDED". A kill by the filter
 * leaves the first line alone and ends the process with SIGSYS. 0; -EINVAL: no such attack. */
int hostile_act(__u32 n);

#else

#include "lib/log.h"

static inline int hostile_act(__u32 n)
{
	log_error("asked for hostile act %u, but this is no debug build", n);
	return -EINVAL;
}

#endif
#endif
