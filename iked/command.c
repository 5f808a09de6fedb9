// SPDX-License-Identifier: BSD-2-Clause
/* What people want of the engine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/full.h"
#include "iked/match.h"
#include "iked/renew.h"
#include "iked/setup.h"
#include "iked/xchg.h"

/* ------------------------------------------------------------------ beginning */

static bool task_of(const struct ike_sa *ike, const struct task *task, const struct ike_conn *conn,
		    const struct conn_child *child)
{
	return task && task->kind == TASK_CHILD && renew_same(ike, task->cfg, conn, child);
}

bool ike_has_child(const struct ike_sa *ike, const struct ike_conn *conn,
		   const struct conn_child *child)
{
	for (const struct child_sa *c = ike->children; c; c = c->next)
		if ((c->state == CHILD_UP || c->state == CHILD_MAKING) &&
		    renew_same(ike, c->cfg, conn, child))
			return true;
	for (const struct task *task = ike->tasks; task; task = task->next)
		if (task_of(ike, task, conn, child))
			return true;
	return ike->ours && task_of(ike, ike->ours->task, conn, child);
}

bool engine_has_child(const struct engine *engine, const struct ike_conn *conn,
		      const struct conn_child *child)
{
	const struct ike_sa *ike = ike_of_conn(engine, conn->model.name);

	for (; ike; ike = ike_same_conn(ike))
		if (ike->state <= IKE_UP && ike_has_child(ike, conn, child))
			return true;
	return false;
}

/* The newest that is up, or gets up by our doing; of a peer's that is half open nothing is known
 * yet. */
static struct ike_sa *find_ike(const struct engine *engine, const struct ike_conn *conn)
{
	struct ike_sa *ike = ike_of_conn(engine, conn->model.name);

	for (; ike; ike = ike_same_conn(ike))
		if (ike->conn == conn && !ike->from && (!ike->reauth_of || ike_is_used(ike)) &&
		    (ike->state < IKE_UP ? ike->initiator : !ike_is_leaving(ike)))
			return ike;
	return NULL;
}

bool engine_has_ike(const struct engine *engine, const struct ike_conn *conn)
{
	return find_ike(engine, conn);
}

void engine_begin(struct engine *engine, struct ike_conn *conn, const struct conn_child *child,
		  __u64 ref)
{
	struct ike_sa *ike = find_ike(engine, conn);
	struct task *task;

	if (!ike) {
		setup_begin(engine, conn, child, ref);
		return;
	}
	if (!ref && full_is(ike)) {
		backoff_until(conn, child, ike->full_until);
		return;
	}
	task = ike_task(ike, TASK_CHILD);
	if (!task) {
		engine_done(engine, ref, -E2BIG, "too many requests wait for their turn");
		return;
	}
	task->conn = ike_conn_ref(conn);
	task->cfg = child;
	task->ref = ref;
	ike_work(ike);
}

int engine_start(struct engine *engine, const char *name)
{
	struct ike_conn *conn = ike_conn_find(engine, name);

	if (!conn)
		return -ENOENT;
	renew_begin(conn);
	for (unsigned int i = 0; i < conn->model.n_children; i++) {
		const struct conn_child *child = &conn->model.children[i];

		if (child->start_action == CONN_ACTION_START && backoff_may(conn, child) &&
		    !engine_has_child(engine, conn, child))
			engine_begin(engine, conn, child, 0);
	}
	engine_reap(engine);
	return 0;
}

const struct conn *engine_conn(const struct engine *engine, const char *name)
{
	const struct ike_conn *conn = ike_conn_find(engine, name);

	return conn ? &conn->model : NULL;
}

const struct conn *engine_conn_of_child(const struct engine *engine, const char *sadb_child)
{
	const struct conn_child *child;
	const struct ike_conn *conn = ike_conn_of_child(engine, sadb_child, &child);

	return conn ? &conn->model : NULL;
}

void engine_begin_child(struct engine *engine, const char *sadb_child)
{
	const struct conn_child *child;
	struct ike_conn *conn = ike_conn_of_child(engine, sadb_child, &child);

	if (conn && ike_conn_callable(&conn->model) && !engine_has_child(engine, conn, child)) {
		if (backoff_may(conn, child))
			engine_begin(engine, conn, child, 0);
		else
			backoff_want(conn, child);
	}
	engine_reap(engine);
}

void engine_initiate(struct engine *engine, const char *name, const char *child_name, __u64 ref)
{
	struct ike_conn *conn = ike_conn_find(engine, name);
	const struct conn_child *child = NULL;

	if (conn && child_name)
		child = conn_child_find(&conn->model, child_name);
	else if (conn && conn->model.n_children)
		child = &conn->model.children[0];
	if (!conn || !child)
		engine_done(engine, ref, -ENOENT, conn ? "no such child" : "no such connection");
	else if (child->mode == CONN_MODE_PASS || child->mode == CONN_MODE_DROP)
		engine_done(engine, ref, -EINVAL, "that child is a policy alone");
	else
		engine_begin(engine, conn, child, ref);
	engine_reap(engine);
}

/* ------------------------------------------------------------------ those that match */

/* Several are asked for at once: done() is told when the last one has ended. Direction of failure:
 * without memory nobody waits for them. */
struct todo {
	struct engine *engine;
	__u64 ref;
	struct batch *batch; /* until finish() it does not end */
	unsigned int n;
};

static struct todo begin(struct engine *engine, __u64 ref)
{
	return (struct todo){.engine = engine, .ref = ref, .batch = batch_new(engine, ref)};
}

static void give_ref(struct todo *todo, struct task *task)
{
	if (!task)
		return;
	todo->n++;
	if (!todo->batch || task->ref)
		return;
	task->ref = todo->ref;
	batch_more(todo->batch);
}

static void finish(struct todo *todo, const char *nothing)
{
	engine_done(todo->engine, todo->ref, todo->n ? 0 : -ENOENT, todo->n ? "" : nothing);
	engine_reap(todo->engine);
}

/* What would be begun again is wanted no more. */
static void drop_wishes(struct todo *todo, struct ike_conn *conn, const char *child)
{
	bool waited = false;

	for (unsigned int i = 0; i < conn->model.n_children; i++)
		if (!child || !strcmp(conn->model.children[i].name, child))
			waited |= backoff_drop(conn, &conn->model.children[i]);
	if (!child && timer_is_set(&conn->retry)) {
		timer_stop(&conn->engine->timers, &conn->retry);
		waited = true;
	}
	todo->n += waited;
}

static void drop_task(const struct task *task)
{
	if (task && task->kind == TASK_CHILD)
		backoff_drop(task->conn, task->cfg);
}

static void drop_named(struct todo *todo, const struct engine_match *m)
{
	struct ike_conn *conn = todo->engine->conns;

	if (m->ike_id || m->child_id || (!m->ike && !m->child))
		return;
	for (; conn; conn = conn->next)
		if (!m->ike || !strcmp(conn->model.name, m->ike))
			drop_wishes(todo, conn, m->child);
}

static void close_child(struct todo *todo, struct child_sa *child, bool force)
{
	bool up = child->state == CHILD_UP || child->state == CHILD_REPLACED;
	struct task *task;

	if (!up && !(force && child->state == CHILD_CLOSING))
		return;
	child->unwanted = true;
	backoff_drop(child->conn, child->cfg);
	task = up ? ike_task_child(child->ike, TASK_CHILD_CLOSE, child) : NULL;
	if (!force) {
		give_ref(todo, task);
		return;
	}
	child_cut(child);
	todo->n++;
}

static void close_children(struct todo *todo, const struct engine_match *m, bool force)
{
	struct picked picked;

	match_pick(todo->engine, m, &picked);
	for (unsigned int i = 0; i < picked.n; i++) {
		struct ike_sa *ike = ike_by_id(todo->engine, picked.id[i]);

		for (struct child_sa *child = ike ? ike->children : NULL; child;
		     child = child->next)
			if (match_child(child, m))
				close_child(todo, child, force);
		if (ike)
			ike_work(ike);
	}
	free(picked.id);
}

/* The delete goes out once, ahead of everything. */
static void say_goodbye(struct ike_sa *ike)
{
	struct xchg *x;

	if (ike->state != IKE_UP && ike->state != IKE_CLOSING && ike->state != IKE_REPLACED)
		return;
	if (ike->ours)
		return; /* the window is 1: the peer would not take it */
	x = xchg_new(ike, true, INFORMATIONAL);
	if (!x)
		return;
	xchg_open(x);
	ike_out_delete_ike(&x->out);
	xchg_request(x);
}

static void close_ike(struct todo *todo, struct ike_sa *ike, bool force)
{
	struct task *task;

	for (struct child_sa *child = ike->children; child; child = child->next)
		backoff_drop(child->conn, child->cfg);
	for (task = ike->tasks; task; task = task->next)
		drop_task(task);
	if (ike->ours)
		drop_task(ike->ours->task);
	if (ike->state < IKE_UP || force) {
		todo->n++;
		ike_log(ike, LOG_LEVEL_INFO, "terminated");
		say_goodbye(ike);
		ike_gone(ike, false);
		return;
	}
	task = ike_task(ike, TASK_IKE_CLOSE);
	give_ref(todo, task);
	ike_work(ike);
}

void engine_terminate(struct engine *engine, const struct engine_match *match, bool force,
		      __u64 ref)
{
	struct todo todo = begin(engine, ref);
	struct picked picked;

	drop_named(&todo, match);
	if (match->child || match->child_id) {
		close_children(&todo, match, force);
		finish(&todo, "no matching SAs to terminate found");
		return;
	}
	match_pick(engine, match, &picked);
	for (unsigned int i = 0; i < picked.n; i++) {
		struct ike_sa *ike = ike_by_id(engine, picked.id[i]);

		if (ike)
			close_ike(&todo, ike, force);
	}
	free(picked.id);
	finish(&todo, "no matching SAs to terminate found");
}

void engine_terminate_all(struct engine *engine)
{
	struct todo todo = {.engine = engine};

	for (struct ike_conn *conn = engine->conns; conn; conn = conn->next)
		drop_wishes(&todo, conn, NULL);
	while (engine->first) {
		say_goodbye(engine->first);
		ike_gone(engine->first, true);
	}
	lingers_end(engine);
	engine_reap(engine);
}

static void rekey_one(struct todo *todo, struct ike_sa *ike, const struct engine_match *match)
{
	bool children = match->child || match->child_id;

	if (ike->state != IKE_UP || ike->from)
		return;
	for (struct child_sa *child = ike->children; children && child; child = child->next)
		if (match_child(child, match) && child->state == CHILD_UP)
			give_ref(todo, ike_task_child(ike, TASK_CHILD_REKEY, child));
	if (!children)
		give_ref(todo, ike_task(ike, TASK_IKE_REKEY));
	ike_work(ike);
}

void engine_rekey(struct engine *engine, const struct engine_match *match, __u64 ref)
{
	struct todo todo = begin(engine, ref);
	struct picked picked;

	match_pick(engine, match, &picked);
	for (unsigned int i = 0; i < picked.n; i++) {
		struct ike_sa *ike = ike_by_id(engine, picked.id[i]);

		if (ike)
			rekey_one(&todo, ike, match);
	}
	free(picked.id);
	finish(&todo, "no such SA");
}

void engine_reauth(struct engine *engine, const struct engine_match *match, __u64 ref)
{
	struct picked picked;
	bool any = false;

	match_pick(engine, match, &picked);
	for (unsigned int i = 0; i < picked.n; i++) {
		struct ike_sa *ike = ike_by_id(engine, picked.id[i]);

		if (!ike || ike_is_leaving(ike) || ike->from || ike->reauth_of)
			continue;
		setup_reauth(ike, any ? 0 : ref);
		any = true;
	}
	free(picked.id);
	if (!any)
		engine_done(engine, ref, -ENOENT, "no such IKE SA");
	engine_reap(engine);
}
