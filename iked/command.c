// SPDX-License-Identifier: BSD-2-Clause
/* What people and xipsecd want of the engine. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_state.h"
#include "iked/setup.h"
#include "iked/xchg.h"

/* ------------------------------------------------------------------ beginning */

static bool task_of(const struct task *task, const struct conn_child *child)
{
	return task && task->kind == TASK_CHILD && !strcmp(task->cfg->sadb_name, child->sadb_name);
}

static bool ike_has_child(const struct ike_sa *ike, const struct conn_child *child)
{
	for (const struct child_sa *c = ike->children; c; c = c->next)
		if ((c->state == CHILD_UP || c->state == CHILD_MAKING) &&
		    !strcmp(c->cfg->sadb_name, child->sadb_name))
			return true;
	for (const struct task *task = ike->tasks; task; task = task->next)
		if (task_of(task, child))
			return true;
	return ike->ours && task_of(ike->ours->task, child);
}

bool engine_has_child(const struct engine *engine, const struct ike_conn *conn,
		      const struct conn_child *child)
{
	for (const struct ike_sa *ike = engine->first; ike; ike = ike->next)
		if (ike->conn && ike->state <= IKE_UP &&
		    !strcmp(ike->conn->model.name, conn->model.name) && ike_has_child(ike, child))
			return true;
	return false;
}

/* One that is up, or gets up by our doing; of a peer's that is half open nothing is known yet. */
static struct ike_sa *find_ike(const struct engine *engine, const struct ike_conn *conn)
{
	struct ike_sa *best = NULL;

	for (struct ike_sa *ike = engine->first; ike; ike = ike->next)
		if (ike->conn == conn && !ike->reauth_of &&
		    ((ike->state == IKE_UP && !ike->from) ||
		     (ike->state < IKE_UP && ike->initiator)))
			best = ike;
	return best;
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
	for (unsigned int i = 0; i < conn->model.n_children; i++) {
		const struct conn_child *child = &conn->model.children[i];

		if (child->start_action == CONN_ACTION_START &&
		    !engine_has_child(engine, conn, child))
			engine_begin(engine, conn, child, 0);
	}
	engine_reap(engine);
	return 0;
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

void engine_acquire(struct engine *engine, const char *sadb_child)
{
	const struct conn_child *child;
	struct ike_conn *conn = ike_conn_of_child(engine, sadb_child, &child);

	/* `none` means that nobody negotiates: its rules are there all the same. */
	if (conn && child->start_action != CONN_ACTION_NONE &&
	    !engine_has_child(engine, conn, child))
		engine_begin(engine, conn, child, 0);
	engine_reap(engine);
}

/* ------------------------------------------------------------------ those that match */

static bool ike_matches(const struct ike_sa *ike, const struct engine_match *m)
{
	return (!m->ike || (ike->conn && !strcmp(ike->conn->model.name, m->ike))) &&
	       (!m->ike_id || ike->id == m->ike_id);
}

static bool child_matches(const struct child_sa *child, const struct engine_match *m)
{
	return ike_matches(child->ike, m) && (!m->child || !strcmp(child->cfg->name, m->child)) &&
	       (!m->child_id || child->id == m->child_id);
}

/* Several are asked for at once: done() is told when the last one has ended. So the first one bears
 * the ref, and it has to be one that will be the last: tasks of one IKE SA end in order. */
struct todo {
	struct engine *engine;
	__u64 ref;
	unsigned int n;
};

static void give_ref(struct todo *todo, struct task *task)
{
	if (!task)
		return;
	todo->n++;
	if (!task->ref) {
		task->ref = todo->ref;
		todo->ref = 0;
	}
}

static void finish(struct todo *todo, const char *nothing)
{
	if (todo->ref)
		engine_done(todo->engine, todo->ref, todo->n ? 0 : -ENOENT, todo->n ? "" : nothing);
	engine_reap(todo->engine);
}

static void close_child(struct todo *todo, struct child_sa *child, bool force)
{
	struct ike_sa *ike = child->ike;

	if (child->state != CHILD_UP && child->state != CHILD_REPLACED)
		return;
	child->unwanted = true;
	give_ref(todo, ike_task_child(ike, TASK_CHILD_CLOSE, child));
	if (force && todo->n) {
		engine_done(todo->engine, todo->ref, 0, "");
		todo->ref = 0;
	}
}

static void close_children(struct todo *todo, const struct engine_match *m, bool force)
{
	for (struct ike_sa *ike = todo->engine->first; ike; ike = ike->next) {
		for (struct child_sa *child = ike->children; child; child = child->next)
			if (child_matches(child, m))
				close_child(todo, child, force);
		ike_work(ike);
	}
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
	struct todo todo = {.engine = engine, .ref = ref};
	struct ike_sa *ike, *next;

	if (match->child || match->child_id) {
		close_children(&todo, match, force);
		finish(&todo, "no such child SA");
		return;
	}
	for (ike = engine->first; ike; ike = next) {
		next = ike->next;
		if (ike_matches(ike, match))
			close_ike(&todo, ike, force);
	}
	finish(&todo, "no such IKE SA");
}

void engine_terminate_all(struct engine *engine)
{
	while (engine->first) {
		say_goodbye(engine->first);
		ike_gone(engine->first, true);
	}
	lingers_end(engine);
	engine_reap(engine);
}

void engine_rekey(struct engine *engine, const struct engine_match *match, __u64 ref)
{
	struct todo todo = {.engine = engine, .ref = ref};
	bool children = match->child || match->child_id;

	for (struct ike_sa *ike = engine->first; ike; ike = ike->next) {
		if (ike->state != IKE_UP || ike->from)
			continue;
		for (struct child_sa *child = ike->children; children && child; child = child->next)
			if (child_matches(child, match) && child->state == CHILD_UP)
				give_ref(&todo, ike_task_child(ike, TASK_CHILD_REKEY, child));
		if (!children && ike_matches(ike, match))
			give_ref(&todo, ike_task(ike, TASK_IKE_REKEY));
		ike_work(ike);
	}
	finish(&todo, "no such SA");
}

void engine_reauth(struct engine *engine, const struct engine_match *match, __u64 ref)
{
	__u32 last = engine->last ? engine->last->id : 0;
	bool any = false;

	for (struct ike_sa *ike = engine->first; ike && ike->id <= last; ike = ike->next)
		if (ike->state == IKE_UP && !ike->from && ike_matches(ike, match)) {
			setup_reauth(ike, any ? 0 : ref);
			any = true;
		}
	if (!any)
		engine_done(engine, ref, -ENOENT, "no such IKE SA");
	engine_reap(engine);
}

/* ------------------------------------------------------------------ news from xipsecd */

void engine_sa_soft(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child && child->state == CHILD_UP) {
		ike_task_child(child->ike, TASK_CHILD_REKEY, child);
		ike_work(child->ike);
	}
	engine_reap(engine);
}

/* It has stopped: what is not replaced yet never will be in time. */
void engine_sa_hard(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child && (child->state == CHILD_UP || child->state == CHILD_REPLACED)) {
		ike_log(child->ike, LOG_LEVEL_WARN, "child %s-%u: %s has stopped: a hard limit",
			child->cfg->name, child->id, sa);
		ike_task_child(child->ike, TASK_CHILD_CLOSE, child);
		ike_work(child->ike);
	}
	engine_reap(engine);
}

void engine_sa_idle(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child && child->state == CHILD_UP) {
		ike_log(child->ike, LOG_LEVEL_INFO, "child %s-%u: no traffic for %u s: deleted",
			child->cfg->name, child->id, child->cfg->inactivity);
		child->unwanted = true;
		ike_task_child(child->ike, TASK_CHILD_CLOSE, child);
		ike_work(child->ike);
	}
	engine_reap(engine);
}

void engine_sa_used(struct engine *engine, const char *sa)
{
	struct child_sa *child = child_by_sa_name(engine, sa);

	if (child) {
		child->used = true;
		child_switch(child);
	}
	engine_reap(engine);
}

void engine_sa_mapping(struct engine *engine, const char *sa, const struct xipsec_addr *remote,
		       __be16 remote_port)
{
	struct child_sa *child = child_by_sa_name(engine, sa);
	struct ike_sa *ike = child ? child->ike : NULL;

	if (!ike || !ike->nat_remote || ike->nat_local)
		return;
	ike->path.remote = *remote;
	ike->path.remote_port = remote_port;
	ike_log(ike, LOG_LEVEL_INFO, "the peer's NAT has another address or port for it now");
}

void engine_spi_unknown(struct engine *engine, const struct xipsec_addr *remote, __u8 family,
			__be32 spi)
{
	__u64 now = engine_now(engine);
	struct task *task;

	if (engine->spi_at && now - engine->spi_at < INVALID_SPI_MS)
		return;
	for (struct ike_sa *ike = engine->first; ike; ike = ike->next) {
		if (ike->state != IKE_UP || ike->path.family != family ||
		    memcmp(&ike->path.remote, remote, sizeof(*remote)))
			continue;
		engine->spi_at = now;
		task = ike_task(ike, TASK_INVALID_SPI);
		if (task)
			task->spi = spi;
		ike_work(ike);
		break;
	}
	engine_reap(engine);
}

/* Children are made anew, and the old ones, which are nothing but names by now, are deleted:
 * rekeying does both, and the peer goes on receiving on its half until then. */
void engine_sadb_lost(struct engine *engine)
{
	for (struct ike_sa *ike = engine->first; ike; ike = ike->next) {
		for (struct child_sa *child = ike->children; child; child = child->next) {
			child->in_added = child->out_added = false;
			child_forget_key(child);
			if (child->state == CHILD_UP)
				ike_task_child(ike, TASK_CHILD_REKEY, child);
		}
		ike_work(ike);
	}
	engine_reap(engine);
}
