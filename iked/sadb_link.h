/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection to xipsecd's sadb socket that nobody waits for: requests are sent, answers come to
 * who asked, in order; events as they come. Parent and child have one each, the child's restricted.
 */
#ifndef IKED_SADB_LINK_H
#define IKED_SADB_LINK_H

#include <event2/event.h>
#include "lib/fdpass.h"
#include "xipsec/sadb.h"

struct sadb_link;

/*
 * An answer: items have XIPSEC_SADB_MORE, the last message has not and its hdr.err counts. NULL:
 * it will not come, for the connection has ended or a later one was answered. Descriptors left in
 * fds[] are closed afterwards.
 */
typedef void (*sadb_answer_fn)(void *ctx, __u64 arg, const struct sadb_hdr *answer, size_t len,
			       int *fds, unsigned int n);

struct sadb_link_hooks {
	void (*event)(void *ctx, const struct sadb_event *event);
	/* xipsecd has gone, or speaks another language. sadb_link_free() may be called in it. */
	void (*gone)(void *ctx);
};

/* Owns `fd`. NULL: no memory, fd is closed then too. */
struct sadb_link *sadb_link_new(struct event_base *base, int fd,
				const struct sadb_link_hooks *hooks, void *ctx);
/* Questions that are open are not answered. */
void sadb_link_free(struct sadb_link *link);
/* Each of them is told NULL, when it is gone. NULL is allowed. */
void sadb_link_end(struct sadb_link *link);

/* Connects to run_dir/sadb.sock without waiting: a descriptor, or -errno. */
int sadb_link_connect(const char *run_dir);

/* hdr.type and what comes behind the header are the caller's. `fn` NULL: nobody wants the answer.
 * What waits is a copy and is wiped. `fn` is never called from in here, and once, whatever becomes
 * of the connection. Direction of failure: without memory the connection ends, and this one
 * question is not answered. */
void sadb_link_ask(struct sadb_link *link, struct sadb_hdr *request, size_t len, sadb_answer_fn fn,
		   __u64 arg);
/* A request that is its header alone. */
void sadb_link_ask_plain(struct sadb_link *link, enum xipsec_sadb_type type, sadb_answer_fn fn,
			 __u64 arg);

/* The text of a final reply, or "". */
const char *sadb_answer_text(const struct sadb_hdr *answer, size_t len);

#endif
