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

/* The next one that waits. */
static void plan(struct ike_conn *conn)
{
	struct engine *engine = conn->engine;
	__u64 now = engine_now(engine), due = TIMER_NEVER;

	for (unsigned int i = 0; i < conn->model.n_children; i++)
		if (begins_itself(conn, i) && conn->child_try[i].until > now &&
		    conn->child_try[i].until < due)
			due = conn->child_try[i].until;
	if (due == TIMER_NEVER || !conn->loaded)
		timer_stop(&engine->timers, &conn->child_retry);
	else
		timer_set(&engine->timers, &conn->child_retry, due);
}

void backoff_begin(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);

	if (backoff_may(conn, cfg)) {
		engine_begin(conn->engine, conn, cfg, 0);
		return;
	}
	t->wanted = true;
	plan(conn);
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

void backoff_failed(const struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *cfg,
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
	plan(conn);
}

void backoff_until(struct ike_conn *conn, const struct conn_child *cfg, __u64 until)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t || t->until >= until)
		return;
	t->wanted |= cfg->start_action == CONN_ACTION_START;
	t->until = until;
	plan(conn);
}

void backoff_withdrawn(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t || cfg->start_action == CONN_ACTION_NONE || !backoff_may(conn, cfg))
		return;
	t->wanted = true;
	t->until = engine_now(conn->engine) + WITHDRAWN_MS;
	plan(conn);
}

void backoff_inherit(struct ike_conn *fresh, const struct ike_conn *old)
{
	for (unsigned int i = 0; i < old->model.n_children; i++) {
		const struct child_try *was = &old->child_try[i];
		const struct conn_child *cfg =
			conn_child_find(&fresh->model, old->model.children[i].name);

		if (was->wanted && cfg && cfg->start_action != CONN_ACTION_NONE)
			*try_of(fresh, cfg) = (struct child_try){
				.wanted = true, .until = engine_now(fresh->engine) + 1};
	}
	plan(fresh);
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
	plan(conn);
}

void backoff_over(struct ike_conn *conn, const struct conn_child *cfg)
{
	struct child_try *t = try_of(conn, cfg);

	if (!t || !t->failed)
		return;
	*t = (struct child_try){0};
	plan(conn);
}

void backoff_due(struct timer *timer)
{
	struct ike_conn *conn =
		(struct ike_conn *)((char *)timer - offsetof(struct ike_conn, child_retry));

	ike_conn_ref(conn);
	for (unsigned int i = 0; conn->loaded && i < conn->model.n_children; i++) {
		const struct conn_child *cfg = &conn->model.children[i];

		if ((!conn->child_try[i].failed && !conn->child_try[i].wanted) ||
		    !begins_itself(conn, i) || !backoff_may(conn, cfg))
			continue;
		conn->child_try[i].wanted = false;
		if (!engine_has_child(conn->engine, conn, cfg))
			engine_begin(conn->engine, conn, cfg, 0);
	}
	plan(conn);
	ike_conn_unref(conn);
}
