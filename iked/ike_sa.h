/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An IKE SA (RFC 7296 2.4 to 2.8).
 *
 *	INIT ──> AUTH ──> UP ──> REPLACED ──> gone     rekeyed: a successor has its children
 *	                   └──> CLOSING ───> gone      our delete is on its way, or will be
 *
 * It has at most one exchange of ours and one of the peer's in progress (xchg.h); what else we want
 * waits as tasks, in order.
 */
#ifndef IKED_IKE_SA_H
#define IKED_IKE_SA_H

#include <string.h>

#include "iked/bounds.h"
#include "iked/child_sa.h"
#include "iked/keymat.h"
#include "iked/window.h"

struct xchg;
struct ike_setup;
struct gather;

enum ike_state { IKE_INIT, IKE_AUTHING, IKE_UP, IKE_REPLACED, IKE_CLOSING, IKE_GONE };

/* The algorithms that were chosen. */
struct ike_suite {
	__u16 encr, key_bits, integ, prf, ke;
};

enum task_kind {
	TASK_CHILD,       /* a new child of `cfg` */
	TASK_CHILD_REKEY, /* `child` */
	TASK_CHILD_CLOSE, /* `child` */
	TASK_IKE_REKEY,
	TASK_IKE_CLOSE,
	TASK_DPD,
	TASK_AUTH_FAILED, /* tells the responder that we do not believe it (RFC 7296 2.21.2) */
	TASK_INVALID_SPI, /* ESP came for `spi` (RFC 7296 1.5) */
	TASK_INVALID_SELECTORS, /* `child` got a packet that begins with `header` */
	TASK_COUNT
};

struct task {
	struct task *next;
	__u8 kind; /* enum task_kind */
	__u32 child;
	__be32 spi;
	bool single;           /* TASK_CHILD: one pair of selectors alone (RFC 7296 2.9) */
	bool followed;         /* TASK_IKE_CLOSE: only if reauth_by has all its children by then */
	bool outdone;          /* TASK_IKE_CLOSE: only if a younger one is up by then (unique.h) */
	__u16 group;           /* that the peer wants (INVALID_KE_PAYLOAD); 0: it said nothing */
	struct ike_conn *conn; /* TASK_CHILD: a reference that holds cfg */
	const struct conn_child *cfg;
	__u8 header[HEADER_TOLD_MAX], header_len;
	__u64 not_before; /* ms */
	__u64 first_try;  /* ms: the first TEMPORARY_FAILURE; 0: none yet */
	__u64 ref;        /* of a command that waits; 0: none */
};

struct ike_words {
	__u64 at;     /* of engine_allows() */
	__u32 unsaid; /* lines */
};

/* Of what was authenticated: a rekey has that of the old one. */
struct ike_origin {
	bool ours;       /* we began it */
	bool renews;     /* … to authenticate another one anew */
	__u64 tie;       /* of both SPIs: the same number at both ends */
	__u64 began, up; /* ms */
};

struct ike_sa {
	struct table_link by_spi, by_id;
	struct table_link by_peer; /* a hash of remote_id, once it is up */
	struct table_link by_conn; /* a hash of the name of its connection */
	bool in_by_peer, in_by_conn;
	struct ike_sa *next, *prev; /* of all, in the order of ids */
	struct engine *engine;
	struct ike_conn *conn; /* a reference; NULL: a responder's that has not chosen yet */
	__u32 id;              /* unique */
	__u32 first_id;        /* of what was authenticated; a rekey has that of the old one */
	struct ike_origin origin;
	__u8 state;                 /* enum ike_state */
	bool initiator;             /* the original one of this IKE SA */
	bool up_told;               /* an event said that it is up */
	bool nat_local, nat_remote; /* somebody is behind a NAT */
	bool nat_fake;              /* we told the peer that we are, for ESP in UDP is asked for */
	bool fragments;             /* the peer takes them */
	bool certs_asked;
	bool reauth_half;             /* reauth_by is up, and has what it could get so far */
	bool reauth;                  /* the life timer reauthenticates instead of rekeying */
	__u8 auth_local, auth_remote; /* enum ike_auth_method */
	struct ike_suite suite;
	__be64 spi_i, spi_r;
	struct ike_path path;
	struct ike_keys *keys; /* of the engine's pool; wiped when it is gone */
	struct window w;
	/* Messages that are coming in fragments: the peer's request, and its response to ours.
	 * Their IDs may be the same number. NULL: none. */
	struct gather *gather[2];
	__u32 asked_in; /* bytes: the longest fragment of the peer's request; 0: it is whole */
	struct child_sa *children;
	unsigned int n_children;
	unsigned int n_lingers; /* SAs of its children that outlive their delete */
	struct task *tasks;
	unsigned int n_tasks;
	struct xchg *ours, *peers; /* in progress; NULL: none */
	struct ike_setup *setup;   /* until it is up */
	struct ident *local_id, *remote_id;
	__u32 from;       /* id of the IKE SA whose children it may take over; until then no work */
	__u32 rival;      /* id of the one that the peer made of it while we rekeyed it; 0: none */
	__u32 reauth_of;  /* id of the one that goes when this one is complete; 0: none */
	__u32 reauth_by;  /* id of the one of which this one is reauth_of; 0: none */
	__u64 since;      /* ms: established, or made */
	__u64 heard;      /* ms: the last fresh message of the peer */
	__u64 sent;       /* ms: our last datagram */
	__u64 cross_at;   /* ms: unique_look() is due; 0: never */
	__u64 full_until; /* ms: the peer makes no more SAs on it (full.h); 0: it does */
	__u64 spi_at;     /* ms: our last INVALID_SPI; 0: none yet */
	__u64 selectors_at;                /* ms: our last INVALID_SELECTORS; 0: none yet */
	__u16 n_full;                      /* how often it said so, since a child came or went */
	__u64 rekey_at, reauth_at, end_at; /* ms; 0: never */
	struct timer life;                 /* half open: the end; else rekey, reauth, end */
	struct timer alive;                /* DPD, keepalives */
	struct timer work;                 /* tasks that wait for their time */
	struct ike_words words;
};

#define IKE_SA_TIMERS   5 /* with the window's two */
#define CHILD_SA_TIMERS 2

__u64 ike_now(const struct ike_sa *ike);
__be64 ike_own_spi(const struct ike_sa *ike);

/* A new one with an SPI of its own; -E2BIG: ENGINE_IKE_SAS_MAX; -ENOMEM. `conn` may be NULL. */
int ike_new(struct engine *engine, struct ike_conn *conn, bool initiator,
	    const struct ike_path *path, struct ike_sa **out);
/* It is of that connection from now on, in place of another one or of none. -ENOMEM: it goes on
 * with the old one, and ike_of_conn() finds it no more. */
int ike_set_conn(struct ike_sa *ike, struct ike_conn *conn);
/* From AUTH to UP: timers run, and an event says so. */
void ike_up(struct ike_sa *ike);
/* It is out of all tables at once, its children with it; its memory goes when the engine's entry
 * point returns. `at_once`: see child_free(). */
void ike_gone(struct ike_sa *ike, bool at_once);
/* Nobody answers: gone, and what dpd_action wants of its children is done. */
void ike_dead(struct ike_sa *ike, const char *why);
/* The peer closed it: gone, and what close_action wants of its children is done. */
void ike_closed_by_peer(struct ike_sa *ike);
/* It ends of itself, by the clock or because nothing works on it any more: a task closes it, and
 * what is up on it is begun anew unless its start_action is none. */
void ike_outlived(struct ike_sa *ike);
/* `fresh` takes over children and tasks of `old`, which is REPLACED then. */
void ike_inherit(struct ike_sa *old, struct ike_sa *fresh);
/* The one that the peer made of `old` while we rekeyed that, if neither end has chosen yet. */
struct ike_sa *ike_rival(const struct ike_sa *old);
/* The peer made it while we made a better one: it goes without a word if the peer does not delete
 * it. */
void ike_redundant(struct ike_sa *ike);
/* Does it have a child that is up? */
bool ike_is_used(const struct ike_sa *ike);
/* 2.23: who is behind a NAT may come from elsewhere tomorrow, and is followed by who is behind
 * none.
 */
static inline bool ike_follows(const struct ike_sa *ike)
{
	return ike->nat_remote && !ike->nat_local;
}

/* Are their peers at one address? */
static inline bool ike_same_host(const struct ike_sa *a, const struct ike_sa *b)
{
	return a->path.family == b->path.family &&
	       !memcmp(&a->path.remote, &b->path.remote, sizeof(a->path.remote));
}

/* Behind one address there may be several machines, if it is a NAT's. Without one the port says
 * nothing: the peer may go on at 4500 with what it began, and we at 500 with ours. */
static inline bool ike_same_machine(const struct ike_sa *a, const struct ike_sa *b)
{
	return ike_same_host(a, b) &&
	       ((!a->nat_remote && !b->nat_remote) || a->path.remote_port == b->path.remote_port);
}

/* The next message id one way is `next`: it may be time for an IKE SA that begins at 0. */
void ike_id_used(struct ike_sa *ike, __u32 next);
/* Life and alive are set anew. */
void ike_timers(struct ike_sa *ike);

/* Those that are up with the same peer: the first that was established last, then ike_same_peer()
 * of that. Compare the identities: a hash found them. */
struct ike_sa *ike_of_peer(const struct engine *engine, const struct ident *remote_id);
struct ike_sa *ike_same_peer(const struct ike_sa *ike);
/* Those of a connection, by its name, of all states: the newest, and the one before it. */
struct ike_sa *ike_of_conn(const struct engine *engine, const char *name);
struct ike_sa *ike_same_conn(const struct ike_sa *ike);
struct ike_sa *ike_by_id(const struct engine *engine, __u32 id);
struct ike_sa *ike_by_spi(const struct engine *engine, __be64 own_spi);

/* ------------------------------------------------------------------ tasks */

/* At the end of the queue. NULL: no memory, or IKE_TASKS_MAX: a log line says so. What closes has
 * no part in that bound: there is one of it for each child and one for the IKE SA. */
struct task *ike_task(struct ike_sa *ike, enum task_kind kind);
struct task *ike_task_child(struct ike_sa *ike, enum task_kind kind, struct child_sa *child);
void task_free(struct task *task);
/* It is not up (any more), or a task will close it. */
bool ike_is_leaving(const struct ike_sa *ike);
/* Begins the next one that may, if nothing of ours is outstanding. */
void ike_work(struct ike_sa *ike);

/* ------------------------------------------------------------------ words */

/* One line: "CONN[7] 192.0.2.1: " in front. What is beyond IKE_LINES_MAX, or
 * STRANGERS_LINES_MAX while a peer that began has not proven who it is, is counted, and told with
 * the next. */
void ike_log(struct ike_sa *ike, enum log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void ike_event(const struct ike_sa *ike, enum ike_event_kind kind, const struct ike_sa *old,
	       const struct child_sa *child, const struct child_sa *old_child);

#endif
