/* SPDX-License-Identifier: BSD-2-Clause */
/* What the engine consists of: for its own files alone. */
#ifndef IKED_ENGINE_STATE_H
#define IKED_ENGINE_STATE_H

#include "iked/batch.h"
#include "iked/bounds.h"
#include "iked/cert.h"
#include "iked/cookie.h"
#include "iked/halfopen.h"
#include "iked/ike_conn.h"
#include "iked/ike_sa.h"
#include "iked/key_pool.h"
#include "iked/linger.h"
#include "iked/table.h"

struct engine {
	struct ike_env env;
	struct timers timers;
	unsigned int n_timers; /* of all owners together: room is reserved */

	struct ike_conn *conns; /* the newest first */
	unsigned int n_conns;
	unsigned int n_orphans; /* connections that have some */
	__u64 next_order;
	struct conn_index index; /* of those */

	struct ike_sa *first, *last; /* in the order of ids */
	unsigned int n_ikes;
	struct table by_spi, by_id, by_peer, by_conn, child_by_id, child_by_spi;
	struct table setup_by_peer;        /* half-open ones, by the initiator's SPI */
	struct ike_setup *oldest, *newest; /* of those */
	struct batch *batches;             /* commands that wait for several things */
	struct ike_sa *graves;             /* gone: freed when the entry point returns */
	__u32 next_id;                     /* of IKE SAs and children: unique in both */
	__u32 next_question;

	struct key_pool keys; /* of IKE SAs, and of children until xipsecd has them */
	struct cookies cookies;
	struct halfopen halfopen;
	struct lingers lingers;
	const struct cert_store *trust;
	__s64 wall;
	bool save_keys;

	struct ike_words strangers; /* of all peers that have proven nothing */
	__u64 errors_at;            /* ms: up to then answers to strangers are used up */
	__u64 counter[ENGINE_COUNTER_MAX];
};

static inline __u64 engine_now(const struct engine *engine)
{
	return engine->env.now(engine->env.ctx);
}

/* Counts, for the connection too if it is known. */
void engine_count(struct engine *engine, struct ike_conn *conn, enum engine_counter counter);

/* Log lines outside of an IKE SA; `path` may be NULL. */
void engine_log(const struct engine *engine, const struct ike_path *path, enum log_level level,
		const char *fmt, ...) __attribute__((format(printf, 4, 5)));
/* `burst` at once, then one each `ms`; *at is 0 at first. */
bool engine_allows(const struct engine *engine, __u64 *at, unsigned int burst, unsigned int ms);

/* May another answer go to a stranger now (ERRORS_BURST, ERRORS_MS)? */
bool engine_error_allowed(struct engine *engine);

/* Sends, and counts. */
void engine_send(struct engine *engine, const struct ike_path *path,
		 const struct ike_packets *packets);

/* Its keys go to env->keylog(), if keys are saved. */
void engine_keylog(const struct ike_sa *ike);

/* Room for so many timers more. 0 or -ENOMEM. engine_timers_give(): they are not needed any more.
 */
int engine_timers_take(struct engine *engine, unsigned int n);
void engine_timers_give(struct engine *engine, unsigned int n);

__u32 engine_new_id(struct engine *engine);
__u64 engine_random(const struct engine *engine); /* 64 bits */
/* 0 to max, both included, ms. */
__u64 engine_jitter(const struct engine *engine, __u64 max);

void engine_done(struct engine *engine, __u64 ref, int err, const char *text);

/* The graves are emptied: at the end of every entry point. */
void engine_reap(struct engine *engine);

/* Begins a child, on an IKE SA of the connection or on a new one. */
void engine_begin(struct engine *engine, struct ike_conn *conn, const struct conn_child *child,
		  __u64 ref);
/* Is there an IKE SA that engine_begin() would take? */
bool engine_has_ike(const struct engine *engine, const struct ike_conn *conn);
/* Is there an SA of that child, as the connection describes it today, or one on its way? */
bool ike_has_child(const struct ike_sa *ike, const struct ike_conn *conn,
		   const struct conn_child *child);
bool engine_has_child(const struct engine *engine, const struct ike_conn *conn,
		      const struct conn_child *child);

#endif
