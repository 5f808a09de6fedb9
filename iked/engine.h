/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The engine: all IKE SAs and what happens to them. Deterministic: the same calls with the same
 * answers of struct ike_env (env.h) do the same things. One thread; no call blocks.
 *
 * What comes in: datagrams, the time (engine_run()), commands, news from xipsecd, and the answers
 * to the engine's own questions. After every call, ask engine_due() when to call engine_run().
 */
#ifndef IKED_ENGINE_H
#define IKED_ENGINE_H

#include "iked/env.h"
#include "lib/conn.h"

struct engine;
struct cert_store;
struct xipsec_sample;

/* `env` is copied; the engine keeps no other reference to it. NULL: no memory. */
struct engine *engine_new(const struct ike_env *env);
/* Says nothing to peers, deletes nothing at xipsecd: SAs live on (see engine_terminate_all()).
 * Wipes all keys. */
void engine_free(struct engine *engine);

/* Unique ids of IKE SAs and children count from behind `id`. SAs at xipsecd are called by them: who
 * finds some of before its time there ("net-7-i") begins behind theirs. */
void engine_ids_behind(struct engine *engine, __u32 id);

/* ------------------------------------------------------------------ connections */

/*
 * A connection is there from now on, in place of one with the same name. Takes `conn` over, whether
 * it fails or not (it is zero afterwards). Its certificates and CAs are bytes (`data` is there): of
 * local.certs the own one first, then what leads to a CA, all of which is sent. The CAs of
 * remote.cacerts must be in engine_trust()'s store, too.
 * IKE SAs and children that the new text describes in the same way notice nothing (other bytes of
 * its certificates count from the next IKE_AUTH on); others keep what they were made with until
 * engine_start() has them made anew (renew.h), or until they end.
 * Children with start_action = start are not begun by this: engine_start() does that.
 * Returns 0, -ENOMEM, -E2BIG (ENGINE_CONNS_MAX), -EINVAL (a proposal or identity that does not
 * parse; logged).
 */
int engine_conn_load(struct engine *engine, struct conn *conn);
/* Its SAs live on until they end or are terminated; nothing new comes of it. -ENOENT. */
int engine_conn_unload(struct engine *engine, const char *name);
/* What is loaded by that name, or has the child that xipsecd calls so; NULL: nothing. It lives
 * until the next load or unload. */
const struct conn *engine_conn(const struct engine *engine, const char *name);
const struct conn *engine_conn_of_child(const struct engine *engine, const char *sadb_child);
/* Begins that child whatever its start_action, if it is not there or on its way, and the peer can
 * be called; after one in vain not before its time. */
void engine_begin_child(struct engine *engine, const char *sadb_child);
/* Begins every child of `name` whose start_action is start and which is not up; what is up by an
 * older text than it has now is made anew. -ENOENT. */
int engine_start(struct engine *engine, const char *name);

/* What peers' chains may end in, and the CRLs. The engine does not own it: it outlives the engine
 * or the next call. NULL: nothing is trusted. */
void engine_trust(struct engine *engine, const struct cert_store *trust);
/* The time of day of env->now() == 0, seconds since 1970: certificates have dates. 0 until told. */
void engine_wall_clock(struct engine *engine, __s64 at_zero);

/* Does xipsecd have SAs to that peer from before this process began? While it does, no
 * INITIAL_CONTACT is sent: the peer would delete what still carries traffic. The owner of the
 * socket to xipsecd deletes them when the connection's children are up again. -ENOENT. */
int engine_conn_orphans(struct engine *engine, const char *name, bool there_are);

/* Connections' IKE keys go to env->keylog() from now on, or no more. */
void engine_save_keys(struct engine *engine, bool on);

/* ------------------------------------------------------------------ the network and the clock */

/* One datagram from UDP 500 or (path->natt, non-ESP marker taken off) 4500. `data` is not kept. */
void engine_datagram(struct engine *engine, const struct ike_path *path, const __u8 *data,
		     size_t len);
/* Does everything that is due at env->now(). */
void engine_run(struct engine *engine);
/* When engine_run() has something to do, in ms of env->now(); ~0ULL: nothing is planned. */
__u64 engine_due(const struct engine *engine);

/* ------------------------------------------------------------------ commands */

/*
 * `ref` 0: nobody waits; else env->done() is called once when the command has ended, well or not,
 * perhaps before this returns. Names that fit nothing: -ENOENT by env->done().
 */

/* `child` NULL: the IKE SA alone is wanted if the connection has no children, else the first. */
void engine_initiate(struct engine *engine, const char *conn, const char *child, __u64 ref);

/* Which SAs a command means; what is NULL or 0 does not count, all of it together must fit. */
struct engine_match {
	const char *ike;   /* connection */
	__u32 ike_id;      /* unique id */
	const char *child; /* child of a connection */
	__u32 child_id;
};

/* With `child` or `child_id`: children alone. `force`: does not wait for the peer's answer: what
 * the SAs are at xipsecd goes at once. */
void engine_terminate(struct engine *engine, const struct engine_match *match, bool force,
		      __u64 ref);
/* Every IKE SA gets its Delete, once and without retransmission, and its SAs at xipsecd go. */
void engine_terminate_all(struct engine *engine);
void engine_rekey(struct engine *engine, const struct engine_match *match, __u64 ref);
/* IKE SAs: a new one beside the old, then the old one goes (RFC 7296 2.8.3). */
void engine_reauth(struct engine *engine, const struct engine_match *match, __u64 ref);

/* ------------------------------------------------------------------ news from xipsecd */

/* A packet wants an SA of this child. The same while one is on its way: nothing. */
void engine_acquire(struct engine *engine, const char *sadb_child);
/* Is that SA at xipsecd, by its name, of a child of this engine? */
bool engine_has_sa(const struct engine *engine, const char *sa);
/* By the name of the SA that engine's sa_add() gave it. Unknown names are ignored. */
void engine_sa_soft(struct engine *engine, const char *sa); /* a soft limit: rekey */
void engine_sa_hard(struct engine *engine, const char *sa); /* it has stopped */
/* A reload has taken it away: what its policies protect is another thing now. Its child is closed,
 * and begun again by what is loaded then, unless its start_action is none. */
void engine_sa_withdrawn(struct engine *engine, const char *sa);
void engine_sa_idle(struct engine *engine, const char *sa); /* `inactivity` is over: delete */
/* The first valid packet has come in by it (RFC 7296 2.8: now we may send on its other half). */
void engine_sa_used(struct engine *engine, const char *sa);
/* The peer sends ESP from elsewhere (RFC 3948): IKE follows, as RFC 7296 2.23 has it. */
void engine_sa_mapping(struct engine *engine, const char *sa, const struct xipsec_addr *remote,
		       __be16 remote_port);
/* ESP came for an SPI that xipsecd does not have: an INVALID_SPI to who has an IKE SA with us from
 * that address (RFC 7296 1.5), on each at a limited rate. */
void engine_spi_unknown(struct engine *engine, const struct xipsec_addr *remote, __u8 family,
			__be32 spi);
/* What came out of that SA is outside its selectors, and was dropped: an INVALID_SELECTORS to the
 * peer (RFC 4301 5.2, RFC 7296 3.10.1), at a limited rate. */
void engine_sa_selectors(struct engine *engine, const char *sa, const struct xipsec_sample *inner);
/* xipsecd has a new epoch: every SA there is gone. All children are made anew (CREATE_CHILD_SA)
 * and the old ones deleted; keys are never installed twice. What was asked of the old one and not
 * answered is answered with an error before this. */
void engine_sadb_lost(struct engine *engine);

/* ------------------------------------------------------------------ answers */

/* Answers whose question is forgotten are ignored. Lengths and counts beyond the bounds count as an
 * error. */
void engine_answer_paths(struct engine *engine, __u64 id, int err, const struct ike_path *path,
			 unsigned int n);
/* `method`: IANA number of AUTH; `data`: AUTH data (with method 14 RFC 7427's ASN.1 before it). */
void engine_answer_auth(struct engine *engine, __u64 id, int err, __u8 method, const __u8 *data,
			size_t len);
/* 0: the peer knows the PSK; -EACCES: it does not; -ENOENT: there is none for it. */
void engine_answer_psk(struct engine *engine, __u64 id, int err);
/* `text`: what xipsecd said. */
void engine_answer_sa(struct engine *engine, __u64 id, int err, const char *text);

/* ------------------------------------------------------------------ to look inside */

/* The structs are told in ike_sa.h and child_sa.h. `each` returns
 * false to stop. It must not call the engine. */
void engine_each(const struct engine *engine, bool (*each)(void *arg, const struct ike_sa *ike),
		 void *arg);
/* Those that what `m` says of IKE SAs fits (its child and child_id do not count, but child_id alone
 * means the IKE SA that has it). */
void engine_each_match(const struct engine *engine, const struct engine_match *m,
		       bool (*each)(void *arg, const struct ike_sa *ike), void *arg);

/* X(symbol, name): what is counted, by the names of VICI's get-counters, and ours after them. */
#define ENGINE_COUNTERS(X)                        \
	X(IKE_REKEY_INIT, "ike-rekey-init")       \
	X(IKE_REKEY_RESP, "ike-rekey-resp")       \
	X(CHILD_REKEY, "child-rekey")             \
	X(IN_INVALID, "invalid")                  \
	X(IN_INVALID_IKE_SPI, "invalid-spi")      \
	X(IN_INIT_REQ, "ike-init-in-req")         \
	X(IN_INIT_RSP, "ike-init-in-resp")        \
	X(OUT_INIT_REQ, "ike-init-out-req")       \
	X(OUT_INIT_RSP, "ike-init-out-resp")      \
	X(IN_AUTH_REQ, "ike-auth-in-req")         \
	X(IN_AUTH_RSP, "ike-auth-in-resp")        \
	X(OUT_AUTH_REQ, "ike-auth-out-req")       \
	X(OUT_AUTH_RSP, "ike-auth-out-resp")      \
	X(IN_CHILD_REQ, "create-child-in-req")    \
	X(IN_CHILD_RSP, "create-child-in-resp")   \
	X(OUT_CHILD_REQ, "create-child-out-req")  \
	X(OUT_CHILD_RSP, "create-child-out-resp") \
	X(IN_INFO_REQ, "info-in-req")             \
	X(IN_INFO_RSP, "info-in-resp")            \
	X(OUT_INFO_REQ, "info-out-req")           \
	X(OUT_INFO_RSP, "info-out-resp")          \
	X(IN_IKEV1, "in-ikev1")                   \
	X(IN_UNEXPECTED, "in-unexpected")         \
	X(COOKIE_SENT, "cookie-sent")             \
	X(COOKIE_WRONG, "cookie-wrong")           \
	X(HALFOPEN_REFUSED, "halfopen-refused")   \
	X(RETRANSMIT_OUT, "retransmit-out")       \
	X(RETRANSMIT_IN, "retransmit-in")         \
	X(AUTH_FAILED, "auth-failed")             \
	X(PEER_DEAD, "peer-dead")

enum engine_counter {
#define ENGINE_COUNTER_ENUM(sym, name) ENGINE_##sym,
	ENGINE_COUNTERS(ENGINE_COUNTER_ENUM)
#undef ENGINE_COUNTER_ENUM
		ENGINE_COUNTER_MAX
};

/* Of all connections; `conn` other than NULL: of that one (-ENOENT). */
int engine_counters(const struct engine *engine, const char *conn,
		    __u64 counter[ENGINE_COUNTER_MAX]);
/* To 0: those of `conn` (-ENOENT), with NULL those of all connections together, which go on beside
 * each other; engine_counters_reset_all() both, of every connection. engine_counters_each() names
 * the connections. */
int engine_counters_reset(struct engine *engine, const char *conn);
void engine_counters_each(const struct engine *engine, void (*each)(void *arg, const char *conn),
			  void *arg);
void engine_counters_reset_all(struct engine *engine);
/* "none" for what is unknown. */
const char *engine_counter_name(enum engine_counter counter);

#endif
