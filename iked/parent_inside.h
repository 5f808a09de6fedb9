/* SPDX-License-Identifier: BSD-2-Clause */
/* The inside of the parent, for the files that make it up (parent.h tells which). */
#ifndef IKED_PARENT_INSIDE_H
#define IKED_PARENT_INSIDE_H

#include "iked/clients.h"
#include "iked/creds.h"
#include "iked/parent.h"
#include "iked/proc.h"
#include "iked/sadb_link.h"
#include "lib/config.h"
#include "lib/vici_msg.h"

/* Connections whose start_action is due as soon as the child may speak for their children. */
struct conn_starts {
	char (*names)[CONN_NAME_LEN];
	unsigned int n;
};

struct parent {
	const struct parent_options *options;
	struct config *config; /* without secrets: `creds` has them; without policies */
	struct creds *creds;
	struct event_base *base;
	int lock;   /* of run_dir/iked.lock */
	int binary; /* our own executable */
	struct proc_slot *child, *resolver;
	bool child_ready; /* the sandbox is closed */
	/* xipsecd */
	struct sadb_link *link; /* NULL: it does not run */
	struct event *again;    /* the next try to connect */
	bool said_waiting;
	struct lending *lending; /* a restricted connection on its way */
	__u32 n_lent;            /* this child has got so many */
	struct event *lend;      /* the next try, after one in vain */
	unsigned int lend_ms;    /* after that long */
	struct event *lost;      /* the child has lost its own: has xipsecd ended? */
	struct conn_starts starts;
	/* where peers are */
	struct search *searches;
	unsigned int n_searches;
	__u64 last_search;
	/* VICI */
	struct vici_server *vici;
	struct vici_writer vici_part;  /* a message of the child's that is not whole yet */
	struct vici_change *vici_held; /* answered when the child may speak for new children */
	unsigned int vici_changes;     /* for which xipsecd has been asked to switch */
	bool vici_switched;            /* it says so of the first of them: the answer follows */
	struct clients clients;
	struct event *renew; /* parent_creds_renew() */
	bool renewing;
	__s64 began; /* CLOCK_BOOTTIME, seconds */
	struct event *signals[5];
	int status;
	bool leave; /* SAs stay when it ends */
};

/* ------------------------------------------------------------------ parent.c */

/* Reads config and credentials anew and applies what is different. 0 or -errno, after log lines:
 * then nothing changes. */
int parent_reload(struct parent *p);
/* The same when only connections of clients can differ: what files say is not looked at anew for
 * each of them. */
int parent_reload_clients(struct parent *p);

/* The credentials of clients are others: those of the config are read with them, soon, and once for
 * all that come meanwhile. parent_settle(): now, before somebody needs them. */
void parent_creds_renew(struct parent *p);
void parent_settle(struct parent *p);

const struct conn *parent_conn(const struct parent *p, const char *name);

/* ------------------------------------------------------------------ parent_load.c */

/* Everything, to a child that has just begun. */
void parent_load_all(struct parent *p);
/* Every start_action is due, as soon as rights are lent that are on their way now. */
void parent_load_start(struct parent *p);
/* What differs between `old` and the config now. `all`: what files say may be another thing, so
 * connections that are as they were are told of again. */
void parent_load_changes(struct parent *p, const struct config *old, bool all);
/* The connection of a client that is called so has come, changed or gone: the config has it, and
 * the child is told. Nothing else is looked at, so this costs the same however many there are. 0 or
 * -errno after a log line. */
int parent_load_one(struct parent *p, const char *name);
/* The child has a connection to xipsecd with the rights of now, or gets none: what it was given
 * begins. */
void parent_load_lent(struct parent *p);

/* ------------------------------------------------------------------ parent_sadb.c */

int parent_sadb_start(struct parent *p);
void parent_sadb_stop(struct parent *p);
/* Lends a new child what the old one had, and the one there is what a new xipsecd has. */
void parent_sadb_lend(struct parent *p);
void parent_sadb_lend_sockets(struct parent *p);
/* The child says that a connection has ended that it was lent. */
void parent_sadb_gone(struct parent *p, const struct chan_gone *m);

/* ------------------------------------------------------------------ parent_vici.c */

int parent_vici_start(struct parent *p);
void parent_vici_stop(struct parent *p);
void parent_vici_message(struct parent *p, const struct chan_vici *m);
/* The child has more for a client: it goes on when that has read what it was sent. */
void parent_vici_more(struct parent *p, const struct chan_vici *m);
void parent_vici_child_ready(struct parent *p);
void parent_vici_child_died(struct parent *p);
/* The child has a connection to xipsecd with the rights of now, or gets none. */
void parent_vici_lent(struct parent *p);

/* ------------------------------------------------------------------ parent_auth.c */

void parent_auth(struct parent *p, const struct chan_auth *ask);

/* ------------------------------------------------------------------ parent_paths.c */

void parent_paths(struct parent *p, const struct chan_paths *ask);
void parent_paths_resolved(struct parent *p, const struct chan_resolved *answer);
/* The resolver has ended: what it was asked the next one is asked. parent_paths_go_on(): there
 * is one. */
void parent_paths_wait(struct parent *p);
void parent_paths_go_on(struct parent *p);
/* Nobody waits for answers any more. */
void parent_paths_free(struct parent *p);

#endif
