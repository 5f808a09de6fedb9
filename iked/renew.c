// SPDX-License-Identifier: BSD-2-Clause
#include "iked/renew.h"

#include <string.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/ident.h"

bool renew_same(const struct ike_sa *ike, const struct conn_child *cfg, const struct ike_conn *conn,
		const struct conn_child *today)
{
	return !strcmp(cfg->sadb_name, today->sadb_name) && conn_child_same(cfg, today) &&
	       (ike->conn == conn || conn_same(&ike->conn->model, &conn->model));
}

/* ------------------------------------------------------------------ beginning */

static const struct conn_child *today(const struct ike_conn *conn, const struct child_sa *child)
{
	const struct conn_child *cfg = conn_child_find(&conn->model, child->cfg->name);

	return cfg && cfg->mode != CONN_MODE_PASS && cfg->mode != CONN_MODE_DROP ? cfg : NULL;
}

/* On the IKE SA that it is on, if that has not changed: there may be others, with other peers. */
static void begin(struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *cfg)
{
	struct task *task;

	if (cfg->start_action == CONN_ACTION_NONE || !backoff_may(conn, cfg))
		return;
	if (ike->conn != conn) {
		if (ike_conn_callable(&conn->model) && !engine_has_child(conn->engine, conn, cfg))
			engine_begin(conn->engine, conn, cfg, 0);
		return;
	}
	if (ike_has_child(ike, conn, cfg) || !(task = ike_task(ike, TASK_CHILD)))
		return;
	task->conn = ike_conn_ref(conn);
	task->cfg = cfg;
}

static void renew_ike(struct ike_sa *ike, struct ike_conn *conn)
{
	for (struct child_sa *child = ike->children; child; child = child->next) {
		const struct conn_child *cfg = today(conn, child);

		if (child->state != CHILD_UP)
			continue;
		if (!cfg) {
			ike_log(ike, LOG_LEVEL_INFO,
				"child %s-%u: closed, the config has it no more", child->cfg->name,
				child->id);
			child->unwanted = true;
			ike_task_child(ike, TASK_CHILD_CLOSE, child);
		} else if (!renew_same(ike, child->cfg, conn, cfg)) {
			begin(ike, conn, cfg);
		} else if (ike->conn == conn && child->conn != conn) {
			/* Nothing has changed but where it is written. */
			ike_conn_unref(child->conn);
			child->conn = ike_conn_ref(conn);
			child->cfg = cfg;
		}
	}
	ike_work(ike);
}

void renew_begin(struct ike_conn *conn)
{
	struct ike_sa *ike = ike_of_conn(conn->engine, conn->model.name), *next;

	for (; ike; ike = next) {
		next = ike_same_conn(ike);
		if (ike->state == IKE_UP && !ike->from)
			renew_ike(ike, conn);
	}
}

/* ------------------------------------------------------------------ the end of the old ones */

static bool of_conn(const struct ike_sa *ike, const struct ike_conn *conn)
{
	return ike->conn && !strcmp(ike->conn->model.name, conn->model.name);
}

/* What is to be closed is closed when the answer that makes the new one is out; on another IKE SA
 * nothing else would keep the order. */
static void close_old(struct ike_sa *ike, const struct child_sa *fresh)
{
	bool left = false;
	struct task *task;

	for (struct child_sa *child = ike->children; child; child = child->next) {
		if (child == fresh || child->state != CHILD_UP)
			continue;
		if (strcmp(child->cfg->sadb_name, fresh->cfg->sadb_name) != 0 ||
		    renew_same(ike, child->cfg, fresh->conn, fresh->cfg)) {
			left = true;
			continue;
		}
		ike_log(ike, LOG_LEVEL_INFO, "child %s-%u: closed, %s-%u is what the config says",
			child->cfg->name, child->id, fresh->cfg->name, fresh->id);
		child->unwanted = true;
		task = ike_task_child(ike, TASK_CHILD_CLOSE, child);
		if (task && ike != fresh->ike)
			task->not_before = ike_now(ike) + OLD_OUTBOUND_MS;
	}
	if (ike == fresh->ike)
		return;
	if (!left && !conn_same(&ike->conn->model, &fresh->conn->model)) {
		task = ike_task(ike, TASK_IKE_CLOSE);
		if (task)
			task->not_before = ike_now(ike) + OLD_OUTBOUND_MS;
	}
	ike_work(ike);
}

void renew_done(const struct child_sa *fresh)
{
	const struct ike_conn *conn = fresh->conn;
	struct ike_sa *ike, *next;

	/* Of the first text nothing can be older, and peers may have thousands with one identity.
	 */
	if (!conn->heir || !conn->loaded)
		return;
	for (ike = ike_of_peer(conn->engine, fresh->ike->remote_id); ike; ike = next) {
		next = ike_same_peer(ike);
		if (ike->state == IKE_UP && !ike->from && of_conn(ike, conn) &&
		    ident_equal(ike->remote_id, fresh->ike->remote_id))
			close_old(ike, fresh);
	}
}
