// SPDX-License-Identifier: BSD-2-Clause
#include "iked/backoff.h"

#include <stdarg.h>
#include <stdio.h>

#include "iked/engine_state.h"

/* NULL: the child is of another state of the connection. */
static struct child_try *try_of(const struct ike_conn *conn, const struct conn_child *cfg)
{
	for (unsigned int i = 0; i < conn->model.n_children; i++)
		if (&conn->model.children[i] == cfg)
			return &conn->child_try[i];
	return NULL;
}

bool backoff_may(const struct ike_conn *conn, const struct conn_child *cfg)
{
	const struct child_try *t = try_of(conn, cfg);

	return !t || t->until <= engine_now(conn->engine);
}

static bool begins_itself(const struct ike_conn *conn, unsigned int i)
{
	return conn->child_try[i].wanted ||
	       conn->model.children[i].start_action == CONN_ACTION_START;
}

static __u64 later(__u64 a, __u64 b)
{
	return a > b ? a : b;
}

/* The next one that waits. One that is wanted and neither there nor on its way waits for nothing
 * but the end of back-offs, its own and that of an IKE SA that could not be had. */
void backoff_plan(struct ike_conn *conn)
{
	struct engine *engine = conn->engine;
	__u64 now = engine_now(engine), due = TIMER_NEVER;

	for (unsigned int i = 0; i < conn->model.n_children && conn->loaded; i++) {
		__u64 at = conn->child_try[i].until;

		if (!begins_itself(conn, i))
			continue;
		if (conn->child_try[i].wanted &&
		    !engine_has_child(engine, conn, &conn->model.children[i]))
			at = later(at, later(conn->acquire_at, now + 1));
		if (at > now && at < due)
			due = at;
	}
	if (due == TIMER_NEVER)
		timer_stop(&engine->timers, &conn->child_retry);
	else
		timer_set(&engine->timers, &conn->child_retry, due);
}

void backoff_want(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t)
		return;
	t->wanted = true;
	backoff_plan(conn);
}

bool backoff_drop(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);
	bool waited = t && (t->wanted || !backoff_may(conn, cfg));

	if (!t)
		return false;
	*t = (struct child_try){0};
	backoff_plan(conn);
	return waited;
}

__u64 backoff_wait(const struct engine *engine, unsigned int failed)
{
	__u64 wait = CHILD_RETRY_MS;

	while (--failed && wait < CHILD_RETRY_MAX_MS)
		wait *= 2;
	if (wait > CHILD_RETRY_MAX_MS)
		wait = CHILD_RETRY_MAX_MS;
	return wait + engine_jitter(engine, wait / 2);
}

void backoff_failed(struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *cfg,
		    const char *fmt, ...)
{
	struct child_try *t = try_of(conn, cfg);
	char text[768];
	va_list args;
	__u64 wait;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (!t) {
		ike_log(ike, LOG_LEVEL_WARN, "child %s: %s", cfg->name, text);
		return;
	}
	if (!backoff_may(conn, cfg))
		return;
	if (t->failed < UINT16_MAX)
		t->failed++;
	wait = backoff_wait(conn->engine, t->failed);
	if (ike->full_until > engine_now(conn->engine) + wait)
		wait = ike->full_until - engine_now(conn->engine);
	t->until = engine_now(conn->engine) + wait;
	ike_log(ike, LOG_LEVEL_WARN, "child %s: %s; not tried again of itself for %u s", cfg->name,
		text, (unsigned int)(wait / 1000));
	backoff_plan(conn);
}

void backoff_until(struct ike_conn *conn, const struct conn_child *cfg, __u64 until)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t || t->until >= until)
		return;
	t->wanted |= cfg->start_action == CONN_ACTION_START;
	t->until = until;
	backoff_plan(conn);
}

void backoff_withdrawn(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t || cfg->start_action == CONN_ACTION_NONE || !backoff_may(conn, cfg))
		return;
	t->wanted = true;
	t->until = engine_now(conn->engine) + WITHDRAWN_MS;
	backoff_plan(conn);
}

void backoff_inherit(struct ike_conn *fresh, const struct ike_conn *old)
{
	for (unsigned int i = 0; i < old->model.n_children; i++) {
		const struct child_try *was = &old->child_try[i];
		const struct conn_child *cfg =
			conn_child_find(&fresh->model, old->model.children[i].name);

		if (was->wanted && cfg &&
		    (cfg->start_action != CONN_ACTION_NONE ||
		     cfg->dpd_action == CONN_ACTION_START ||
		     cfg->close_action == CONN_ACTION_START))
			*try_of(fresh, cfg) = (struct child_try){
				.wanted = true, .until = engine_now(fresh->engine) + 1};
	}
	backoff_plan(fresh);
}

void backoff_forget(struct ike_conn *conn)
{
	struct engine *engine = conn->engine;
	__u64 now = engine_now(engine);

	conn->tries = 0;
	conn->acquire_at = 0;
	if (timer_is_set(&conn->retry))
		timer_set(&engine->timers, &conn->retry, now + engine_jitter(engine, FORGET_MS));
	for (unsigned int i = 0; i < conn->model.n_children; i++) {
		struct child_try *t = &conn->child_try[i];

		if (t->until <= now)
			continue;
		t->wanted |= t->failed && begins_itself(conn, i);
		t->failed = 0;
		t->until = now + 1;
	}
	backoff_plan(conn);
}

void backoff_over(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t || (!t->failed && !t->wanted))
		return;
	*t = (struct child_try){0};
	backoff_plan(conn);
}

/* Whose peer only comes to us is begun on an IKE SA that is there, once, or not at all. */
static void begin(struct ike_conn *conn, struct child_try *t, const struct conn_child *cfg)
{
	struct engine *engine = conn->engine;
	__u64 now = engine_now(engine);

	if (!ike_conn_callable(&conn->model)) {
		t->wanted = false;
		if (!engine_has_ike(engine, conn))
			return;
	}
	engine_begin(engine, conn, cfg, 0);
	if (!engine_has_child(engine, conn, cfg) && t->until <= now)
		t->until = now + CHILD_RETRY_MS; /* no memory, or too many tasks */
}

void backoff_due(struct timer *timer)
{
	struct ike_conn *conn =
		(struct ike_conn *)((char *)timer - offsetof(struct ike_conn, child_retry));

	ike_conn_ref(conn);
	for (unsigned int i = 0; conn->loaded && i < conn->model.n_children; i++) {
		const struct conn_child *cfg = &conn->model.children[i];
		struct child_try *t = &conn->child_try[i];

		if ((!t->failed && !t->wanted) || !begins_itself(conn, i) ||
		    !backoff_may(conn, cfg) ||
		    (t->wanted && conn->acquire_at > engine_now(conn->engine)))
			continue;
		if (!engine_has_child(conn->engine, conn, cfg))
			begin(conn, t, cfg);
	}
	backoff_plan(conn);
	ike_conn_unref(conn);
}
