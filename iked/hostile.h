/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Attacks from within the child, for a test (debug builds, -DXIPSEC_HOSTILE): what would somebody
 * get who runs code of his own in the process that reads the network?
 */
#ifndef IKED_HOSTILE_H
#define IKED_HOSTILE_H

#include <linux/types.h>

#define HOSTILE_ACTS 21

struct child;

#ifdef XIPSEC_HOSTILE
/* Tries attack n (from 1) and says on stderr what came of it, if the process still lives. */
void child_hostile(__u32 n, struct child *c);
#else
static inline void child_hostile(__u32 n, struct child *c)
{
}
#endif

#endif
