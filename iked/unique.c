// SPDX-License-Identifier: BSD-2-Clause
#include "iked/unique.h"

#include <stdio.h>
#include <string.h>

#include "iked/engine_state.h"

static bool same(const struct ike_sa *ike, const struct ike_sa *other)
{
	return other != ike && other->state == IKE_UP && !other->from && ike->local_id &&
	       ike->remote_id && other->local_id && other->remote_id &&
	       ident_equal(ike->local_id, other->local_id) &&
	       ident_equal(ike->remote_id, other->remote_id);
}

/* The initiator does not know yet who will answer: it goes by the connection, or by its identity.
 */
bool unique_first(const struct ike_sa *ike)
{
	const struct ike_conn *conn = ike->conn;

	if (conn->model.unique == CONN_UNIQUE_NEVER || conn->orphans || ike->reauth_of)
		return false;
	if (conn->remote_id && !ident_is_pattern(conn->remote_id))
		return !ike_of_peer(ike->engine, conn->remote_id);
	for (const struct ike_sa *other = ike_of_conn(ike->engine, conn->model.name); other;
	     other = ike_same_conn(other))
		if (other != ike)
			return false;
	return true;
}

bool unique_refuses(const struct ike_sa *ike, char *why, size_t size)
{
	const struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id);

	if (ike->conn->model.unique != CONN_UNIQUE_KEEP)
		return false;
	for (; other; other = ike_same_peer(other))
		if (same(ike, other)) {
			snprintf(why, size, "IKE SA %u is with the same peer, `unique = keep`",
				 other->id);
			return true;
		}
	return false;
}

static bool is_leaving(const struct ike_sa *ike)
{
	if (ike->state != IKE_UP)
		return true;
	for (const struct task *task = ike->tasks; task; task = task->next)
		if (task->kind == TASK_IKE_CLOSE)
			return true;
	return false;
}

bool unique_room(struct ike_sa *ike, bool rekey, char *why, size_t size)
{
	struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id), *oldest = NULL;
	unsigned int up = 0, leaving = 0;

	for (; other; other = ike_same_peer(other)) {
		if (other == ike || !ident_equal(other->remote_id, ike->remote_id))
			continue;
		if (is_leaving(other)) {
			oldest = other;
			leaving++;
		} else {
			up++;
		}
	}
	if (leaving >= IKE_PEER_LEAVING_MAX) {
		ike_log(oldest, LOG_LEVEL_INFO, "gone before its time: %u of its peer go", leaving);
		ike_gone(oldest, false);
	}
	if (rekey || up < IKE_PEER_SAS_MAX)
		return true;
	snprintf(why, size, "%u IKE SAs are up with that peer, which is the most", up);
	return false;
}

static void replace(struct ike_sa *ike, struct ike_sa *other, bool initial_contact)
{
	struct task *task;

	if (initial_contact) {
		ike_log(other, LOG_LEVEL_INFO,
			"deleted: its peer begins anew (INITIAL_CONTACT on IKE SA %u)", ike->id);
		ike_gone(other, false);
		return;
	}
	if (is_leaving(other))
		return;
	task = ike_task(other, TASK_IKE_CLOSE);
	if (task)
		task->not_before = ike_now(ike) + OLD_INBOUND_MS;
	ike_work(other);
}

void unique_check(struct ike_sa *ike, bool initial_contact)
{
	enum conn_unique policy = ike->conn->model.unique;
	struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id), *next;

	if (policy == CONN_UNIQUE_NEVER || (!initial_contact && policy != CONN_UNIQUE_REPLACE))
		return;
	for (; other; other = next) {
		next = ike_same_peer(other);
		if (same(ike, other))
			replace(ike, other, initial_contact);
	}
}

struct child_sa *unique_twin(const struct ike_sa *ike, const struct conn_child *cfg,
			     const struct child_sa *but)
{
	const struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id);

	for (; other; other = ike_same_peer(other)) {
		if (other != ike && !same(ike, other))
			continue;
		for (struct child_sa *child = other->children; child; child = child->next)
			if (child != but &&
			    (child->state == CHILD_UP || child->state == CHILD_CLOSING) &&
			    !strcmp(child->cfg->sadb_name, cfg->sadb_name))
				return child;
	}
	return NULL;
}
