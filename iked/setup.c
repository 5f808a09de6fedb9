// SPDX-License-Identifier: BSD-2-Clause
#include "iked/setup.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/unique.h"

int setup_new(struct ike_sa *ike)
{
	ike->setup = calloc(1, sizeof(*ike->setup));
	if (!ike->setup)
		return -ENOMEM;
	ike->setup->ike = ike;
	return 0;
}

/* The oldest of the address that has most, so that a flood from a few displaces itself. One whose
 * IKE_AUTH has come is about to prove who it is, and stays. NULL: there is no other. */
static struct ike_setup *one_to_go(const struct engine *engine)
{
	struct ike_setup *found = NULL;
	unsigned int most = 0;

	for (struct ike_setup *s = engine->oldest; s; s = s->newer) {
		unsigned int n = s->ike->peers ? 0 : halfopen_of(&engine->halfopen, &s->path);

		if (n > most) {
			found = s;
			most = n;
		}
	}
	return found;
}

static int make_room(struct engine *engine)
{
	struct ike_setup *s;

	if (engine->halfopen.n < HALFOPEN_MAX)
		return 0;
	engine_count(engine, NULL, ENGINE_HALFOPEN_REFUSED);
	s = one_to_go(engine);
	if (!s)
		return -EBUSY;
	ike_gone(s->ike, true);
	return 0;
}

int setup_half(struct ike_setup *s)
{
	struct engine *engine = s->ike->engine;
	int err = make_room(engine);

	if (err)
		return err;
	err = halfopen_add(&engine->halfopen, &s->path);
	if (err)
		return err;
	err = table_add(&engine->setup_by_peer, &s->by_peer, s->ike->spi_i ^ engine->halfopen.salt);
	if (err) {
		halfopen_remove(&engine->halfopen, &s->path);
		return err;
	}
	s->older = engine->newest;
	*(s->older ? &s->older->newer : &engine->oldest) = s;
	engine->newest = s;
	s->halfopen = true;
	return 0;
}

static void not_half(struct ike_setup *s)
{
	struct engine *engine = s->ike->engine;

	*(s->older ? &s->older->newer : &engine->oldest) = s->newer;
	*(s->newer ? &s->newer->older : &engine->newest) = s->older;
	halfopen_remove(&engine->halfopen, &s->path);
	table_remove(&engine->setup_by_peer, &s->by_peer);
}

void setup_free(struct ike_sa *ike)
{
	struct ike_setup *s = ike->setup;

	if (!s)
		return;
	if (s->halfopen)
		not_half(s);
	dh_free(s->dh);
	free(s->own);
	free(s->peer);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
	ike->setup = NULL;
}

int setup_keep(__u8 **to, size_t *to_len, struct bytes message)
{
	__u8 *copy = message.len <= IKE_MESSAGE_MAX ? malloc(message.len) : NULL;

	if (!copy)
		return -ENOMEM;
	memcpy(copy, message.data, message.len);
	free(*to);
	*to = copy;
	*to_len = message.len;
	return 0;
}

/* ------------------------------------------------------------------ beginning */

static void paths_known(struct xchg *x, const struct answer *answer)
{
	struct ike_sa *ike = x->ike;
	struct ike_setup *s = ike->setup;

	if (answer->err || !answer->data.len) {
		setup_failed(ike, answer->err ? "its address is not known" : "it has no address");
		return;
	}
	timer_stop(&ike->engine->timers, &ike->life);
	s->n_paths = answer->data.len / sizeof(s->paths[0]);
	memcpy(s->paths, answer->data.data, answer->data.len);
	s->at = 0;
	ike->path = s->paths[0];
	x_init_begin(ike);
}

/* The first message goes out when the peer's address is known. */
static int ask(struct ike_sa *ike)
{
	struct engine *engine = ike->engine;
	struct xchg *x;

	if (setup_new(ike))
		return -ENOMEM;
	x = xchg_new(ike, true, IKE_SA_INIT);
	if (!x)
		return -ENOMEM;
	timer_set(&engine->timers, &ike->life, ike_now(ike) + PATHS_MS);
	engine->env.find_paths(engine->env.ctx, xchg_ask(x, paths_known), ike->conn->model.name);
	return 0;
}

static int want_child(struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *child,
		      __u64 ref)
{
	struct task *task = ike_task(ike, TASK_CHILD);

	if (!task)
		return -ENOMEM;
	task->conn = ike_conn_ref(conn);
	task->cfg = child;
	task->ref = ref;
	return 0;
}

struct ike_sa *setup_begin(struct engine *engine, struct ike_conn *conn,
			   const struct conn_child *child, __u64 ref)
{
	struct ike_path nowhere = {.family = XIPSEC_FAMILY_ANY};
	struct ike_sa *ike;
	int err = ike_new(engine, conn, true, &nowhere, &ike);

	if (!err && (err = want_child(ike, conn, child, 0)))
		ike_gone(ike, true);
	if (!err && (err = ask(ike)))
		ike_gone(ike, true);
	if (err) {
		engine_log(engine, NULL, LOG_LEVEL_ERROR, "%s: cannot begin an IKE SA: %s",
			   conn->model.name, strerror(-err));
		engine_done(engine, ref, err, strerror(-err));
		return NULL;
	}
	ike->tasks->ref = ref;
	ike_log(ike, LOG_LEVEL_INFO, "begins, for child %s", child->name);
	return ike;
}

/* As a rekey that was refused, up to the end of its life. */
static void reauth_later(struct ike_sa *old)
{
	if (old->state != IKE_UP || old->reauth_at)
		return;
	old->reauth_at = ike_now(old) + REKEY_RETRY_MS + engine_jitter(old->engine, REKEY_RETRY_MS);
	ike_timers(old);
}

static void reauth_again(struct ike_sa *old)
{
	old->reauth_by = 0;
	old->reauth_half = false;
	reauth_later(old);
}

void setup_reauth_ended(struct ike_sa *ike)
{
	struct ike_sa *old = ike->reauth_of ? ike_by_id(ike->engine, ike->reauth_of) : NULL;
	struct ike_sa *fresh = ike->reauth_by ? ike_by_id(ike->engine, ike->reauth_by) : NULL;

	if (fresh && fresh->reauth_of == ike->id) {
		fresh->reauth_of = 0;
		unique_cross(fresh);
	}
	if (!old || old->reauth_by != ike->id)
		return;
	ike_log(old, LOG_LEVEL_WARN, "is not authenticated anew: IKE SA %u is gone", ike->id);
	reauth_again(old);
}

static bool is_coming(const struct ike_sa *ike)
{
	for (const struct task *task = ike->tasks; task; task = task->next)
		if (task->kind == TASK_CHILD)
			return true;
	return ike->ours && ike->ours->task && ike->ours->task->kind == TASK_CHILD;
}

static bool is_in(const struct ts *part, const struct ts *whole, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++)
		if (ts_contains(&whole[i], part))
			return true;
	return false;
}

static bool carries(const struct child_sa *child, const struct child_sa *what)
{
	for (unsigned int i = 0; i < what->n_local; i++)
		if (!is_in(&what->ts[i], child->ts, child->n_local))
			return false;
	for (unsigned int i = 0; i < what->n_remote; i++)
		if (!is_in(&what->ts[what->n_local + i], child->ts + child->n_local,
			   child->n_remote))
			return false;
	return true;
}

/* What we ask for ourselves in place of another one is what there is of it. What the peer has made
 * may be narrower, or one of several of that name. */
static bool has_child(const struct ike_sa *ike, const struct child_sa *like)
{
	for (const struct child_sa *child = ike->children; child; child = child->next)
		if (child->state == CHILD_UP && child->out_added &&
		    !strcmp(child->cfg->sadb_name, like->cfg->sadb_name) &&
		    (ike->origin.ours || carries(child, like)))
			return true;
	return false;
}

/* What is on its way there counts: it would get up only to go. */
bool setup_has_all(const struct ike_sa *old, const struct ike_sa *fresh)
{
	for (const struct child_sa *child = old->children; child; child = child->next)
		if (child->state <= CHILD_UP && !has_child(fresh, child))
			return false;
	return !is_coming(old);
}

bool setup_followed(const struct ike_sa *old)
{
	const struct ike_sa *fresh = old->reauth_by ? ike_by_id(old->engine, old->reauth_by) : NULL;

	return fresh && setup_has_all(old, fresh);
}

/* Once, however often it is tried again. */
static void say_stays(struct child_sa *child, const struct ike_sa *fresh)
{
	if (child->stays_for != fresh->first_id)
		ike_log(child->ike, LOG_LEVEL_WARN, "child %s-%u stays: IKE SA %u does not have it",
			child->cfg->name, child->id, fresh->id);
	child->stays_for = fresh->first_id;
}

/* What has a successor is closed: the IKE SA, unless the peer has a child made on it until then. */
static void close_followed(struct ike_sa *old, const struct ike_sa *fresh)
{
	struct task *task;

	if (setup_has_all(old, fresh)) {
		task = ike_task(old, TASK_IKE_CLOSE);
		if (task)
			task->followed = true;
		return;
	}
	for (struct child_sa *child = old->children; child; child = child->next)
		if (child->state == CHILD_UP && has_child(fresh, child))
			ike_task_child(old, TASK_CHILD_CLOSE, child);
		else if (child->state == CHILD_UP)
			say_stays(child, fresh);
}

/* It has some of the children of `old`, and may get the others. */
static bool takes_more(const struct ike_sa *ike)
{
	return !ike_is_leaving(ike) && !ike->from && !ike->n_full;
}

static void take_along(struct ike_sa *old, struct ike_sa *fresh, __u64 ref)
{
	for (struct child_sa *child = old->children; child; child = child->next) {
		if (child->state != CHILD_UP || ike_has_child(fresh, child->conn, child->cfg) ||
		    want_child(fresh, child->conn, child->cfg, ref))
			continue;
		ref = 0;
	}
	engine_done(old->engine, ref, 0, "");
	ike_work(fresh);
}

void setup_fill(struct ike_sa *old, struct ike_sa *fresh)
{
	if (takes_more(fresh))
		take_along(old, fresh, 0);
}

void setup_reauth(struct ike_sa *old, __u64 ref)
{
	struct engine *engine = old->engine;
	struct ike_sa *ike = old->reauth_by ? ike_by_id(engine, old->reauth_by) : NULL;

	if (ike_is_leaving(old) || (ike && !old->reauth_half)) {
		reauth_later(old); /* it may stay after all */
		engine_done(engine, ref, -EALREADY, "it is being authenticated anew");
		return;
	}
	if (ike && takes_more(ike)) {
		old->reauth_half = false;
		take_along(old, ike, ref);
		setup_complete(ike);
		return;
	}
	if (ike)
		ike->reauth_of = 0;
	old->reauth_half = false;
	ike = NULL;
	for (struct child_sa *child = old->children; child; child = child->next) {
		if (child->state != CHILD_UP)
			continue;
		if (!ike)
			ike = setup_begin(engine, old->conn, child->cfg, ref);
		else if (!ike_has_child(ike, child->conn, child->cfg)) /* two while it is rekeyed */
			want_child(ike, child->conn, child->cfg, 0);
		if (!ike) {
			reauth_again(old);
			return;
		}
	}
	if (!ike) {
		engine_done(engine, ref, -ENOENT, "it has no child");
		return;
	}
	ike->origin.renews = true;
	ike->reauth_of = old->id;
	old->reauth_by = ike->id;
	ike_log(old, LOG_LEVEL_INFO, "is authenticated anew, by IKE SA %u", ike->id);
}

void setup_follow(struct ike_sa *old, struct ike_sa *by)
{
	bool whole = setup_has_all(old, by);

	if (old->reauth_by == by->id && !whole)
		return;
	if (!old->reauth_by)
		ike_log(old, LOG_LEVEL_INFO,
			"one too many, for the peer began IKE SA %u at the same time", by->id);
	old->reauth_by = by->id;
	old->reauth_half = true;
	by->reauth_of = old->id;
	old->reauth_at = ike_now(old);
	if (!whole) /* the peer is making the rest */
		old->reauth_at += REKEY_RETRY_MS + engine_jitter(old->engine, REKEY_RETRY_MS);
	ike_timers(old);
}

void setup_complete(struct ike_sa *ike)
{
	struct ike_sa *old = ike->reauth_of ? ike_by_id(ike->engine, ike->reauth_of) : NULL;

	if (is_coming(ike) || (old && old->reauth_half))
		return;
	if (!old) {
		ike->reauth_of = 0;
		unique_cross(ike);
		if (!unique_spare(ike))
			return;
		ike_task(ike, TASK_IKE_CLOSE);
		ike_work(ike);
	} else if (!ike_is_used(ike)) {
		ike->reauth_of = 0;
		ike_task(ike, TASK_IKE_CLOSE);
		ike_work(ike);
		reauth_again(old);
	} else {
		close_followed(old, ike);
		reauth_again(old);
		old->reauth_by = ike->id;
		old->reauth_half = true;
		ike_work(old);
	}
}

/* ------------------------------------------------------------------ failing */

static __u64 retry_wait(unsigned int tries)
{
	__u64 wait = INIT_RETRY_MS;

	while (tries-- > 1 && wait < INIT_RETRY_MAX_MS)
		wait *= 2;
	return wait < INIT_RETRY_MAX_MS ? wait : INIT_RETRY_MAX_MS;
}

/* Only what should always be up is tried again: an acquire comes again by itself, and counts again
 * after a while, as does what is wanted (backoff.h); a command is told. */
static void try_again(struct ike_conn *conn)
{
	struct engine *engine = conn->engine;
	__u64 now = engine_now(engine), wait;

	conn->tries++;
	wait = retry_wait(conn->tries);
	wait += engine_jitter(engine, wait / 4);
	conn->acquire_at = now + (wait < ACQUIRE_RETRY_MAX_MS ? wait : ACQUIRE_RETRY_MAX_MS);
	if (!conn->loaded || (conn->model.keyingtries && conn->tries >= conn->model.keyingtries))
		return;
	timer_set(&engine->timers, &conn->retry, now + wait);
}

void setup_failed(struct ike_sa *ike, const char *why)
{
	struct ike_setup *s = ike->setup;
	struct ike_conn *conn;

	if (ike->state == IKE_INIT && ike->initiator && s && s->at + 1 < s->n_paths) {
		ike_log(ike, LOG_LEVEL_WARN, "%s; trying its next address", why);
		s->at++;
		ike->path = s->paths[s->at];
		s->cookie_len = 0;
		s->retries = 0;
		s->first_error_told = false;
		x_init_begin(ike);
		return;
	}
	ike_log(ike, LOG_LEVEL_WARN, "not established: %s", why);
	conn = ike->initiator ? ike_conn_ref(ike->conn) : NULL;
	for (struct task *task = ike->tasks; task; task = task->next) {
		engine_done(ike->engine, task->ref, -ECONNREFUSED, why);
		task->ref = 0;
	}
	if (ike->ours)
		xchg_done(ike->ours, -ECONNREFUSED, why);
	ike_gone(ike, true);
	if (conn) {
		try_again(conn);
		backoff_plan(conn);
	}
	ike_conn_unref(conn);
}
