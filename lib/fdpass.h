/* SPDX-License-Identifier: BSD-2-Clause */
/* Messages with descriptors over a Unix socket (SCM_RIGHTS). */
#ifndef LIB_FDPASS_H
#define LIB_FDPASS_H

#include <stddef.h>
#include <sys/types.h>

#define FDPASS_MAX 8 /* descriptors of one message */

/* Sends now or not at all: 0 or -errno (-EAGAIN: the queue is full). The descriptors stay the
 * caller's. */
int fdpass_send(int sock, const void *data, size_t len, const int *fds, unsigned int n);

/* One message, without waiting: its length (0: the end), or -errno: -EAGAIN; -EBADMSG: longer than
 * `size`, or with more descriptors than there is room for; nothing is left open then. fds[]
 * (FDPASS_MAX) gets *n descriptors, closed on exec, which are the caller's. */
ssize_t fdpass_recv(int sock, void *data, size_t size, int *fds, unsigned int *n);

#endif
