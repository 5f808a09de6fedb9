/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A child SA: a pair of ESP or AH SAs, one each way, and what becomes of them.
 *
 *	MAKING ──> UP ──> REPLACED ──> gone      rekeyed: it waits for its delete
 *	            └──> CLOSING ───> gone       our delete is on its way, or will be
 *
 * When it goes, the outbound SA goes at once, or after OLD_OUTBOUND_MS when a later one sends; the
 * inbound one lives on for OLD_INBOUND_MS: packets are under way (linger.h).
 */
#ifndef IKED_CHILD_SA_H
#define IKED_CHILD_SA_H

#include "iked/ike_conn.h"
#include "iked/table.h"
#include "iked/timer.h"

struct ike_sa;

enum child_state { CHILD_MAKING, CHILD_UP, CHILD_REPLACED, CHILD_CLOSING };

struct child_sa {
	struct table_link by_id, by_spi; /* spi_in */
	struct child_sa *next;           /* of its IKE SA */
	struct ike_sa *ike;
	struct ike_conn *conn; /* a reference */
	const struct conn_child *cfg;
	__u32 id;        /* unique */
	__u32 reqid;     /* the same over all rekeys: the id of the first */
	__u32 successor; /* id of what the peer made in its place; when this one goes, we switch */
	__u32 heir;      /* the same, on an IKE SA that takes the place of this one's */
	__u32 stays_for; /* first_id of the IKE SA that takes its place without it; 0: none */
	__be32 spi_in, spi_out;
	__u8 state;    /* enum child_state */
	__u8 l4_proto; /* IPPROTO_ESP or IPPROTO_AH */
	__u8 alg;      /* enum xipsec_alg */
	__u8 mode;     /* enum xipsec_mode */
	__u16 ke;      /* group of its key exchange; 0: none */
	bool esn, udp;
	bool pieces;              /* later fragments go by it (NON_FIRST_FRAGMENTS_ALSO) */
	bool no_tfc;              /* the peer takes no TFC padding (RFC 7296 3.10.1) */
	bool in_added, out_added; /* xipsecd was asked to install it */
	bool used;                /* a packet came in */
	bool unwanted;            /* somebody closes it: what rekeys it at that moment goes, too */
	bool up_told;             /* an event said that it is up */
	bool rekey_failed;
	struct ts *ts; /* own memory: n_local of ours, then n_remote of the peer's */
	__u8 n_local, n_remote;
	/* Outbound keys until they are installed (the responder of a rekey waits, RFC 7296 2.8);
	 * wiped then. NULL: none. */
	__u8 *key_out;
	__u64 since;        /* ms: it was made then */
	__u64 life_end;     /* ms; 0: none */
	__u64 question;     /* to xipsecd, of the outbound half; 0: none */
	struct timer life;  /* rekey, then the end */
	struct timer later; /* UP: switch to it; REPLACED: the peer has not deleted it */
};

/* A new one, MAKING, with an inbound SPI of its own; -E2BIG: IKE_CHILDREN_MAX; -ENOMEM. */
int child_new(struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *cfg,
	      struct child_sa **out);

/* Keeps the selectors that were negotiated. 0 or -ENOMEM. */
int child_set_ts(struct child_sa *child, const struct ts_list *local, const struct ts_list *remote);
void child_ts(const struct child_sa *child, struct ts_list *local, struct ts_list *remote);

/* The SA as xipsecd wants it, without key. -E2BIG: selectors that do not fit. */
int child_describe(const struct child_sa *child, __u8 dir, struct xipsec_sa *sa);

/* Asks xipsecd; the answer has that id. */
int child_add(struct child_sa *child, __u8 dir, const __u8 *key, __u64 question);
/* Is that answer of it none, for it has ended? Another one comes, and is told of everything. */
bool child_sadb_away(int err);
/* Sends on it from now on, if it does not yet: uses up key_out. */
void child_switch(struct child_sa *child);

/* Wipes key_out. */
void child_forget_key(struct child_sa *child);

/* It is up: timers run, and an event says so. */
void child_up(struct child_sa *child);
/* Another one has taken its place, or it is one too many: REPLACED, until somebody deletes it.
 * `child` may be NULL. */
void child_replaced(struct child_sa *child, const struct child_sa *by);
/* The peer made that one in its place: we go on sending on this one until it goes, or the other is
 * used. */
void child_followed(struct child_sa *child, const struct child_sa *by);
/* The peer made that one in place of another, and deletes it while the other is there: it could not
 * use it. UP again, with its own life. */
void child_back(struct ike_sa *ike, __u32 successor);

/* Its SAs at xipsecd go at once; it stays until the peer has heard that. */
void child_cut(struct child_sa *child);
/* It ends against our will and is to be again (backoff.h), by what is loaded. */
void child_again(const struct child_sa *child);
/* Its life, or that of its IKE SA, is over: the same, unless its start_action is none. */
void child_outlived(const struct child_sa *child);

/* Rekeying it did not work: again in a while, up to its end. */
void child_rekey_failed(struct child_sa *child);

/* It goes, struct and all. Its inbound SA lives on for a while, unless `at_once`. */
void child_free(struct child_sa *child, bool at_once);

/* Of an IKE SA. NULL: none. */
struct child_sa *child_by_spi_in(const struct ike_sa *ike, __be32 spi);
struct child_sa *child_by_spi_out(const struct ike_sa *ike, __be32 spi);
/* Of all. */
struct child_sa *child_by_id(const struct engine *engine, __u32 id);
/* By the name of one of its two SAs at xipsecd. */
struct child_sa *child_by_sa_name(const struct engine *engine, const char *name);

/* "net-7-i": XIPSEC_NAME_LEN bytes. */
void child_sa_name(const struct child_sa *child, __u8 dir, char *to);

#endif
