/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A connection as the engine holds it: the model, and what was made of it once. Counted references:
 * SAs keep the one that they were made with.
 */
#ifndef IKED_IKE_CONN_H
#define IKED_IKE_CONN_H

#include "iked/conn_index.h"
#include "iked/engine.h"
#include "iked/ident.h"
#include "iked/timer.h"
#include "iked/ts.h"
#include "lib/proposal.h"

struct child_try;

struct ike_conn {
	unsigned int refs;
	struct ike_conn *next, *prev; /* of those that are loaded, the newest first */
	struct conn_place place;      /* in the index of those */
	__u64 order;                  /* of loading: which one if all else is equal */
	struct engine *engine;
	bool loaded; /* false: there is a newer one of that name, or none */
	bool heir;   /* it took the place of another text */
	bool orphans;
	struct conn model;
	__u8 certs[CONN_DIGEST_LEN]; /* of all that its certificates' files said */
	struct ident *local_id;      /* NULL, or %any: our address */
	struct ident *remote_id;     /* a pattern; NULL: any */
	__u8 *cas;                   /* hashes of remote.cacerts; NULL: any CA */
	size_t cas_len;
	struct ident *ca_id; /* remote.ca_id, a pattern; NULL: any CA */

	/* Its begin: who is tried next, and when again. */
	struct timer retry;
	unsigned int tries; /* in vain, since it was last up */
	__u64 acquire_at;   /* ms: packets begin it not before */
	struct timer child_retry;
	struct child_try *child_try; /* as many as the model has children; backoff.h */
	__u64 counter[ENGINE_COUNTER_MAX];
};

struct ike_conn *ike_conn_ref(struct ike_conn *conn);
void ike_conn_unref(struct ike_conn *conn);
void ike_conn_unrefp(struct ike_conn **conn);
#define _cleanup_conn_ __attribute__((cleanup(ike_conn_unrefp)))

/* NULL: none of that name is loaded. */
struct ike_conn *ike_conn_find(const struct engine *engine, const char *name);
/* The one with a child that xipsecd knows by that name. */
struct ike_conn *ike_conn_of_child(const struct engine *engine, const char *sadb_child,
				   const struct conn_child **child);

/* What it offers for IKE, and a child for ESP or AH. The words were checked when it was loaded. */
void ike_conn_proposals(const struct ike_conn *conn, struct proposals *out);
void ike_child_proposals(const struct conn_child *child, struct proposals *out);

/* One of the config's; `own` where it is dynamic. */
struct ts ike_ts(const struct conn_ts *ts, __u8 family, const struct xipsec_addr *own);
/* A child's selectors, with the IKE SA's addresses where they are dynamic. */
void ike_child_ts(const struct conn_child *child, const struct ike_path *path,
		  struct ts_list *local, struct ts_list *remote);

/* Can we call the peer at all, or does it only come to us? */
bool ike_conn_callable(const struct conn *model);

/*
 * How much do a connection's addresses say of a peer at that path? 0: it is not for it; else the
 * more, the more exact they are, the peer's before ours. Below IKE_CONN_SAYS.
 */
#define IKE_CONN_SAYS 16
int ike_conn_says(const struct ike_conn *conn, const struct ike_path *path);

#endif
