/* SPDX-License-Identifier: BSD-2-Clause */
/* How many workers there are and how big their frames: from the config, the cores, the interfaces.
 */
#ifndef LOADER_PLAN_H
#define LOADER_PLAN_H

#include "lib/config.h"
#include "loader/attach.h"

struct plan {
	unsigned int n;       /* workers, 0: no interface yet */
	__u32 frame_size;     /* bytes */
	bool multi;           /* some packets do not fit one frame, and the kernel cuts them up */
	unsigned int sockets; /* of one worker */
};

/* For the `n` interfaces of `list`. *why: what decided, for the log; a constant. */
struct plan plan_make(const struct config *config, const struct attach_iface *list, unsigned int n,
		      const char **why);

/* Name of an outbound SA that workers cannot share, or NULL. */
const char *plan_small_window(const struct config *config);

#endif
