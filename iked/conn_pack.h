/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection as it travels from the parent, which understood it, to the child: structs as they
 * are (both ends are one build), each list behind the struct that it belongs to. It goes in a
 * memfd, for certificates may make it large.
 */
#ifndef IKED_CONN_PACK_H
#define IKED_CONN_PACK_H

#include "lib/conn.h"

#define CONN_PACK_MAX (4 << 20) /* bytes */

/* A sealed memfd, or -errno: -E2BIG, -ENOMEM. Certificates have to be read in: only bytes travel.
 */
int conn_pack(const struct conn *conn);

/* *out is zero before. 0; -EBADMSG: no connection; -ENOMEM; -errno of reading. `fd` stays open. */
int conn_unpack(int fd, struct conn *out);

/* The whole file behind `fd` from its begin, `max` bytes at most (-EFBIG). *data is for free(), and
 * ends with a 0 that *len does not count. 0 or -errno; untouched then. */
int conn_read_all(int fd, size_t max, __u8 **data, size_t *len);

#endif
