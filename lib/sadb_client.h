/* SPDX-License-Identifier: BSD-2-Clause */
/* The client's side of the sadb socket (include/xipsec/sadb.h). */
#ifndef LIB_SADB_CLIENT_H
#define LIB_SADB_CLIENT_H

#include <stddef.h>
#include "xipsec/sadb.h"

/* Called for each item of a listing; `len` bytes are there. Returns 0 to go on, or -errno. */
typedef int (*sadb_item_fn)(void *ctx, const struct sadb_hdr *item, size_t len);

/* Connects to run_dir/sadb.sock. Returns a descriptor (closed on exec) or -errno: -ENOENT and
 * -ECONNREFUSED mean that xipsecd does not run. */
int sadb_connect(const char *run_dir);

/* Sends one request (hdr.type and hdr.flags are the caller's, the rest of the header is filled in)
 * and waits for its final reply, 30 s at most. `item` (may be NULL) sees the items before it.
 * Returns the reply's err, or -errno of the transport; `text` (XIPSEC_SADB_ERR_TEXT bytes, may be
 * NULL) says why. */
int sadb_call(int fd, struct sadb_hdr *request, size_t len, sadb_item_fn item, void *ctx,
	      char *text);

/* As above for requests whose one answer is a struct of their own (HELLO, STATUS): *answer gets
 * `answer_len` bytes, untouched on failure. */
int sadb_ask(int fd, struct sadb_hdr *request, size_t len, void *answer, size_t answer_len,
	     char *text);

/* After SUBSCRIBE: waits for the next event as long as it takes. 0, or -errno: -ECONNRESET, the
 * connection has ended; -EPROTO, -EBADMSG, it is no event that this client knows. `text` as above.
 */
int sadb_event(int fd, struct sadb_event *out, char *text);

#endif
