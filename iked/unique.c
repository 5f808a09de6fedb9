// SPDX-License-Identifier: BSD-2-Clause
#include "iked/unique.h"

#include <stdio.h>
#include <string.h>

#include "iked/engine_state.h"
#include "iked/message.h"
#include "iked/setup.h"

static bool same(const struct ike_sa *ike, const struct ike_sa *other)
{
	return other != ike && other->state == IKE_UP && !other->from && ike->local_id &&
	       ike->remote_id && other->local_id && other->remote_id &&
	       ident_equal(ike->local_id, other->local_id) &&
	       ident_equal(ike->remote_id, other->remote_id);
}

static bool same_family(const struct ike_sa *ike, const struct ike_sa *other)
{
	return other->path.family == ike->path.family;
}

/* `unique` is about one connection: two that mean the same peer, or one by IPv4 and IPv6, are meant
 * to be beside each other. */
static bool rivals(const struct ike_sa *ike, const struct ike_sa *other)
{
	return same(ike, other) && same_family(ike, other) &&
	       !strcmp(ike->conn->model.name, other->conn->model.name);
}

/* ------------------------------------------------------------------ INITIAL_CONTACT, ours */

static bool is_exact(const struct ident *id)
{
	return id && !ident_is_pattern(id);
}

/* Identities, patterns of them, or NULL, any: can no peer be both? */
static bool differ(const struct ident *a, const struct ident *b)
{
	if (is_exact(a) && b)
		return !ident_match(b, a);
	return is_exact(b) && a && !ident_match(a, b);
}

static bool is_address(const struct ident *id)
{
	return id->type == IKE_ID_IPV4 || id->type == IKE_ID_IPV6;
}

/* Will `other` be between the same two as `ike`, of whose peer nothing is known yet but its address
 * and what the config says? One of ours that is on its way counts as well, unless it comes behind
 * this one; of a peer's nothing is known. */
static bool may_be_same(const struct ike_sa *ike, const struct ike_sa *other)
{
	const struct ident *want = ike->conn->remote_id, *is = other->remote_id;

	if (other == ike || other->state == IKE_GONE ||
	    (other->state < IKE_UP && !other->initiator) ||
	    (other->state == IKE_INIT && other->id > ike->id) ||
	    (other->local_id && !ident_equal(other->local_id, ike->local_id)))
		return false;
	if (!is && other->conn)
		is = other->conn->remote_id;
	if (differ(want, is))
		return false;
	/* Who calls itself by its address is nowhere else. */
	return (is_exact(want) && is_exact(is)) || ike_same_host(ike, other) ||
	       (other->remote_id && !is_address(other->remote_id));
}

static bool may_have_orphans(const struct ike_sa *ike, const struct ike_conn *conn)
{
	const struct ident *want = ike->conn->remote_id;

	if (!conn->orphans || conn == ike->conn)
		return conn->orphans;
	if (differ(want, conn->remote_id) || differ(ike->local_id, conn->local_id))
		return false;
	return (is_exact(want) && is_exact(conn->remote_id)) || ike_conn_says(conn, &ike->path);
}

bool unique_first(const struct ike_sa *ike)
{
	const struct engine *engine = ike->engine;

	if (ike->conn->model.unique == CONN_UNIQUE_NEVER || ike->reauth_of)
		return false;
	/* Seldom any has some, and there are as many connections as there will be IKE SAs. */
	for (const struct ike_conn *conn = engine->n_orphans ? engine->conns : NULL; conn;
	     conn = conn->next)
		if (may_have_orphans(ike, conn))
			return false;
	for (const struct ike_sa *other = engine->first; other; other = other->next)
		if (may_be_same(ike, other))
			return false;
	return true;
}

/* ------------------------------------------------------------------ how many there may be */

/* Is it alive? Nobody knows, for its peer comes anew. */
static void probe(struct ike_sa *ike)
{
	if (!ike->ours && !ike->tasks)
		ike_task(ike, TASK_DPD);
	ike_work(ike);
}

bool unique_refuses(const struct ike_sa *ike, char *why, size_t size)
{
	struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id), *next;
	bool refused = false;

	if (ike->conn->model.unique != CONN_UNIQUE_KEEP)
		return false;
	for (; other; other = next) {
		next = ike_same_peer(other);
		if (!rivals(ike, other))
			continue;
		if (!ike_same_host(ike, other)) {
			refused = true;
			snprintf(why, size, "IKE SA %u is with the same peer, `unique = keep`",
				 other->id);
		}
		probe(other);
	}
	return refused;
}

bool unique_room(struct ike_sa *ike, bool rekey, char *why, size_t size)
{
	struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id), *oldest = NULL;
	bool replaces = ike->conn->model.unique == CONN_UNIQUE_REPLACE, newer = false, rival;
	unsigned int up = 0, leaving = 0;

	for (; other; other = ike_same_peer(other)) {
		if (other == ike || !ident_equal(other->remote_id, ike->remote_id))
			continue;
		rival = replaces && rivals(ike, other);
		if (ike_is_leaving(other) || (rival && newer)) { /* it waits for newer ones */
			oldest = other;
			leaving++;
		} else {
			up++;
			newer |= rival;
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

/* Began each end its own before it knew of the other? Ends that authenticate anew go on by the old
 * one until theirs is whole, and may begin up to then. */
static bool crossed(const struct ike_sa *ike, const struct ike_sa *other)
{
	const struct ike_origin *a = &ike->origin, *b = &other->origin;
	const bool replaces = ike->conn->model.unique == CONN_UNIQUE_REPLACE;
	const __u64 slack = replaces ? 0 : RENEWS_MS;

	return rivals(ike, other) && ike_same_machine(ike, other) && a->ours != b->ours &&
	       (replaces || (a->ours ? a : b)->renews) && a->began <= b->up + slack &&
	       b->began <= a->up + slack;
}

/* ms since both are up. */
static __u64 crossed_for(const struct ike_sa *ike, const struct ike_sa *other)
{
	__u64 a = ike->origin.up, b = other->origin.up;

	return ike_now(ike) - (a > b ? a : b);
}

static void look_in(struct ike_sa *ike, __u64 ms)
{
	__u64 at = ike_now(ike) + ms;

	if (ike->cross_at && ike->cross_at <= at)
		return;
	ike->cross_at = at;
	ike_timers(ike);
}

/* When CROSSED_MS are over, and when `replace` waits no longer. */
static void look_again(struct ike_sa *ike, struct ike_sa *other)
{
	bool replaces = ike->conn->model.unique == CONN_UNIQUE_REPLACE;
	__u64 age = crossed_for(ike, other), next = CROSSED_MS;

	if (age >= CROSSED_MS)
		next = replaces ? RENEWS_MS : 0;
	if (age >= next)
		return;
	look_in(ike, next - age);
	look_in(other, next - age);
}

static void give_way(struct ike_sa *ours, struct ike_sa *theirs)
{
	if (ours->origin.tie < theirs->origin.tie && !ike_is_leaving(ours) && !ours->from &&
	    !ours->reauth_of && (!ours->reauth_by || ours->reauth_by == theirs->id) &&
	    !ike_is_leaving(theirs) && (!theirs->reauth_of || theirs->reauth_of == ours->id) &&
	    ike_is_used(theirs))
		setup_follow(ours, theirs);
}

/* Of ours most are not asked: there may be thousands with one peer. */
static struct ike_sa *first_to_cross(const struct ike_sa *ike)
{
	bool may = !ike->origin.ours || ike->origin.renews ||
		   ike->conn->model.unique == CONN_UNIQUE_REPLACE;

	return may && ike->state == IKE_UP ? ike_of_peer(ike->engine, ike->remote_id) : NULL;
}

void unique_cross(struct ike_sa *ike)
{
	struct ike_sa *other = first_to_cross(ike);

	for (; other; other = ike_same_peer(other)) {
		if (!crossed(ike, other))
			continue;
		if (crossed_for(ike, other) >= CROSSED_MS)
			give_way(ike->origin.ours ? ike : other, ike->origin.ours ? other : ike);
		look_again(ike, other);
	}
}

void unique_look(struct ike_sa *ike)
{
	ike->cross_at = 0;
	if (ike_is_used(ike))
		unique_used(ike);
	else if (!ike->reauth_of)
		setup_complete(ike);
	ike_timers(ike);
}

bool unique_spare(const struct ike_sa *ike)
{
	const struct ike_sa *other = first_to_cross(ike);

	if (!ike->origin.ours || ike_is_used(ike) || ike_is_leaving(ike))
		return false;
	while (other && !(crossed(ike, other) && crossed_for(ike, other) >= CROSSED_MS &&
			  ike_is_used(other) && !ike_is_leaving(other)))
		other = ike_same_peer(other);
	return other;
}

/* Of two that crossed neither is: both ends take the same one for it. */
static bool is_older(const struct ike_sa *ike, const struct ike_sa *other)
{
	return crossed(ike, other) ? other->origin.tie < ike->origin.tie
				   : other->first_id < ike->first_id;
}

/* Has `ike` all that the older one carries, or has it had the time for it? By another address the
 * older one's peer may be there no more. */
static bool outdoes(const struct ike_sa *ike, const struct ike_sa *other)
{
	return setup_has_all(other, ike) || !ike_same_host(ike, other) ||
	       ike_now(ike) - ike->origin.up >= RENEWS_MS;
}

/* What it lacks its initiator has made after a while, then the other end. */
static void replace(struct ike_sa *ike, struct ike_sa *other)
{
	__u64 age = ike_now(ike) - ike->origin.up;
	__u64 fills = ike->origin.ours ? REPLACE_FILLS_MS : 2 * REPLACE_FILLS_MS;
	struct task *task;

	if (ike_is_leaving(other))
		return;
	if (age < RENEWS_MS)
		look_in(ike, (age < fills ? fills : RENEWS_MS) - age);
	if (!outdoes(ike, other)) {
		if (age >= fills)
			setup_fill(other, ike);
		return;
	}
	task = ike_task(other, TASK_IKE_CLOSE);
	if (task) {
		task->not_before = ike_now(ike) + OLD_INBOUND_MS;
		task->outdone = true;
	}
	ike_work(other);
}

bool unique_outdone(const struct ike_sa *ike)
{
	const struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id);

	while (other && !(rivals(ike, other) && is_older(other, ike) && !ike_is_leaving(other) &&
			  outdoes(other, ike)))
		other = ike_same_peer(other);
	return other;
}

/* What we authenticate anew ourselves is taken down by who does that. Of two that crossed who made
 * it takes it down, if the peer does as we do; there are some that do not. */
static bool is_older_rival(const struct ike_sa *ike, const struct ike_sa *other)
{
	return rivals(ike, other) && is_older(ike, other) && other->id != ike->reauth_of &&
	       (!crossed(ike, other) || crossed_for(ike, other) >= RENEWS_MS);
}

void unique_check(struct ike_sa *ike, __u64 initial_contact)
{
	enum conn_unique policy = ike->conn->model.unique;
	struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id), *next;

	if (policy == CONN_UNIQUE_NEVER || (!initial_contact && policy != CONN_UNIQUE_REPLACE))
		return;
	for (; other; other = next) {
		next = ike_same_peer(other);
		if (same(ike, other) && same_family(ike, other) && other->since < initial_contact) {
			ike_log(other, LOG_LEVEL_INFO,
				"deleted: its peer begins anew (INITIAL_CONTACT on IKE SA %u)",
				ike->id);
			ike_gone(other, false);
		} else if (policy == CONN_UNIQUE_REPLACE && is_older_rival(ike, other) &&
			   (ike_is_used(ike) || !ike_is_used(other))) {
			replace(ike, other);
		}
	}
}

void unique_used(struct ike_sa *ike)
{
	struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id), *next;

	unique_cross(ike);
	if (ike->conn->model.unique != CONN_UNIQUE_REPLACE || ike->state != IKE_UP)
		return;
	for (; other; other = next) {
		next = ike_same_peer(other);
		if (is_older_rival(ike, other))
			replace(ike, other);
	}
}

struct child_sa *unique_twin(const struct ike_sa *ike, const struct conn_child *cfg,
			     const struct child_sa *but)
{
	const struct ike_sa *other = ike_of_peer(ike->engine, ike->remote_id);

	for (; other; other = ike_same_peer(other)) {
		if (other != ike && (!same(ike, other) || !ike_same_machine(ike, other)))
			continue;
		for (struct child_sa *child = other->children; child; child = child->next)
			if (child != but &&
			    (child->state == CHILD_UP || child->state == CHILD_CLOSING) &&
			    !strcmp(child->cfg->sadb_name, cfg->sadb_name))
				return child;
	}
	return NULL;
}
