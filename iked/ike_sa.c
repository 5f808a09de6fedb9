// SPDX-License-Identifier: BSD-2-Clause
#include "iked/ike_sa.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <arpa/inet.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/gather.h"
#include "iked/setup.h"
#include "iked/unique.h"
#include "iked/xchg.h"

#define owner(timer, member) ((struct ike_sa *)((char *)(timer)-offsetof(struct ike_sa, member)))

__u64 ike_now(const struct ike_sa *ike)
{
	return engine_now(ike->engine);
}

__be64 ike_own_spi(const struct ike_sa *ike)
{
	return ike->initiator ? ike->spi_i : ike->spi_r;
}

/* ------------------------------------------------------------------ finding */

struct ike_sa *ike_by_id(const struct engine *engine, __u32 id)
{
	struct table_link *link = table_find(&engine->by_id, id);

	return link ? table_entry(link, struct ike_sa, by_id) : NULL;
}

struct ike_sa *ike_by_spi(const struct engine *engine, __be64 own_spi)
{
	struct table_link *link = table_find(&engine->by_spi, own_spi);

	return link ? table_entry(link, struct ike_sa, by_spi) : NULL;
}

static struct ike_sa *of_link(struct table_link *link)
{
	return link ? table_entry(link, struct ike_sa, by_peer) : NULL;
}

struct ike_sa *ike_of_peer(const struct engine *engine, const struct ident *remote_id)
{
	return remote_id ? of_link(table_find(&engine->by_peer, ident_hash(remote_id))) : NULL;
}

struct ike_sa *ike_same_peer(const struct ike_sa *ike)
{
	return of_link(table_next(&ike->by_peer));
}

static __u64 hash_name(const char *name)
{
	__u64 hash = 0xcbf29ce484222325ULL; /* FNV-1a */

	while (*name)
		hash = (hash ^ (__u8)*name++) * 0x100000001b3ULL;
	return hash;
}

static struct ike_sa *named(struct table_link *link, const char *name)
{
	for (; link; link = table_next(link)) {
		struct ike_sa *ike = table_entry(link, struct ike_sa, by_conn);

		if (!strcmp(ike->conn->model.name, name))
			return ike;
	}
	return NULL;
}

struct ike_sa *ike_of_conn(const struct engine *engine, const char *name)
{
	return named(table_find(&engine->by_conn, hash_name(name)), name);
}

struct ike_sa *ike_same_conn(const struct ike_sa *ike)
{
	return named(table_next(&ike->by_conn), ike->conn->model.name);
}

int ike_set_conn(struct ike_sa *ike, struct ike_conn *conn)
{
	struct table *table = &ike->engine->by_conn;
	struct ike_conn *old = ike->conn;

	if (!conn || !old || strcmp(conn->model.name, old->model.name)) {
		if (ike->in_by_conn)
			table_remove(table, &ike->by_conn);
		ike->in_by_conn = false;
		if (conn && table_add(table, &ike->by_conn, hash_name(conn->model.name)))
			return -ENOMEM;
		ike->in_by_conn = conn;
	}
	ike->conn = ike_conn_ref(conn);
	ike_conn_unref(old);
	return 0;
}

/* ------------------------------------------------------------------ beginning */

static void life_due(struct timer *timer);
static void alive_due(struct timer *timer);
static void work_due(struct timer *timer);

static int enter(struct engine *engine, struct ike_sa *ike)
{
	__be64 spi;

	do {
		spi = engine_random(engine);
	} while (!spi || ike_by_spi(engine, spi));
	if (ike->initiator)
		ike->spi_i = spi;
	else
		ike->spi_r = spi;
	ike->id = ike->first_id = engine_new_id(engine);
	if (table_add(&engine->by_spi, &ike->by_spi, spi))
		return -ENOMEM;
	if (table_add(&engine->by_id, &ike->by_id, ike->id)) {
		table_remove(&engine->by_spi, &ike->by_spi);
		return -ENOMEM;
	}
	ike->prev = engine->last;
	*(engine->last ? &engine->last->next : &engine->first) = ike;
	engine->last = ike;
	engine->n_ikes++;
	return 0;
}

int ike_new(struct engine *engine, struct ike_conn *conn, bool initiator,
	    const struct ike_path *path, struct ike_sa **out)
{
	struct ike_sa *ike;

	if (engine->n_ikes >= ENGINE_IKE_SAS_MAX)
		return -E2BIG;
	if (engine_timers_take(engine, IKE_SA_TIMERS))
		return -ENOMEM;
	ike = calloc(1, sizeof(*ike));
	if (!ike || !(ike->keys = key_pool_take(&engine->keys)))
		goto no_memory;
	ike->engine = engine;
	ike->initiator = initiator;
	ike->path = *path;
	ike->since = engine_now(engine);
	ike->heard = ike->since;
	ike->origin = (struct ike_origin){.ours = initiator, .began = ike->since};
	ike->life.fire = life_due;
	ike->alive.fire = alive_due;
	ike->work.fire = work_due;
	ike->w.again.fire = xchg_again;
	ike->w.forget.fire = xchg_forget;
	if (ike_set_conn(ike, conn))
		goto no_memory;
	if (enter(engine, ike)) {
		ike_set_conn(ike, NULL);
		goto no_memory;
	}
	*out = ike;
	return 0;

no_memory:
	engine_timers_give(engine, IKE_SA_TIMERS);
	if (ike)
		key_pool_give(&engine->keys, ike->keys);
	free(ike);
	return -ENOMEM;
}

/* ------------------------------------------------------------------ timers */

static __u64 in_future(const struct ike_sa *ike, __u32 seconds, __u32 spread)
{
	__u64 wait = (__u64)seconds * 1000, jitter = (__u64)spread * 1000;

	if (!seconds)
		return 0;
	if (jitter >= wait)
		jitter = wait / 2;
	return ike_now(ike) + wait - engine_jitter(ike->engine, jitter);
}

static __u64 sooner(__u64 a, __u64 b)
{
	if (!a || !b)
		return a ? a : b;
	return a < b ? a : b;
}

/* Of a new IKE SA. A rekeyed one inherits when it was authenticated: reauth_at stays. */
static void life_begin(struct ike_sa *ike, bool inherited)
{
	const struct conn *model = &ike->conn->model;
	__u64 next;

	ike->rekey_at = in_future(ike, model->rekey_time, model->rand_time);
	if (!inherited)
		ike->reauth_at = in_future(ike, model->reauth_time, model->rand_time);
	/* Without reauth_time it is but tried again, and nothing ends if that is in vain. */
	next = sooner(ike->rekey_at, model->reauth_time ? ike->reauth_at : 0);
	ike->end_at = next ? next + (__u64)model->over_time * 1000 : 0;
}

void ike_timers(struct ike_sa *ike)
{
	struct engine *engine = ike->engine;
	__u64 next =
		sooner(sooner(ike->rekey_at, ike->reauth_at), sooner(ike->end_at, ike->cross_at));
	__u64 alive = 0, delay;

	if (next)
		timer_set(&engine->timers, &ike->life, next);
	else
		timer_stop(&engine->timers, &ike->life);
	delay = ike->conn ? (__u64)ike->conn->model.dpd_delay * 1000 : 0;
	if (delay)
		alive = ike->heard + delay;
	if (ike->nat_local)
		alive = sooner(alive, ike->sent + KEEPALIVE_MS);
	if (alive && ike->state == IKE_UP)
		timer_set(&engine->timers, &ike->alive, alive);
	else
		timer_stop(&engine->timers, &ike->alive);
}

bool ike_is_used(const struct ike_sa *ike)
{
	for (const struct child_sa *child = ike->children; child; child = child->next)
		if (child->state == CHILD_UP)
			return true;
	return false;
}

void ike_id_used(struct ike_sa *ike, __u32 next)
{
	if (next < MESSAGE_ID_REKEY || next % MESSAGE_ID_AGAIN || ike->state != IKE_UP)
		return;
	ike_log(ike, LOG_LEVEL_WARN, "%u messages: rekeyed before their numbers end", next);
	ike->rekey_at = ike_now(ike);
	ike_timers(ike);
}

/* The time to rekey or to authenticate again has come. */
static void replace_begin(struct ike_sa *ike, bool reauth)
{
	if (!reauth) {
		ike->rekey_at = 0;
		ike_task(ike, TASK_IKE_REKEY);
	} else {
		ike->reauth_at = 0;
		setup_reauth(ike, 0);
	}
	ike_timers(ike);
	ike_work(ike);
}

static void life_due(struct timer *timer)
{
	struct ike_sa *ike = owner(timer, life);
	__u64 now = ike_now(ike);

	if (ike->state < IKE_UP) {
		setup_failed(ike, ike->path.family ? "it was not authenticated in time"
						   : "nobody said in time where the peer is");
	} else if (ike->state == IKE_REPLACED) {
		/* The peer, who rekeyed it, should have deleted it. */
		ike_gone(ike, false);
	} else if (ike->cross_at && now >= ike->cross_at) {
		unique_look(ike);
	} else if (ike->end_at && now >= ike->end_at) {
		ike_log(ike, LOG_LEVEL_WARN, "its life is over, it could not be replaced");
		ike->end_at = 0;
		ike_outlived(ike);
		ike_work(ike);
	} else if (ike->state == IKE_UP) {
		replace_begin(ike, ike->reauth_at && now >= ike->reauth_at);
	}
}

/* Nothing was heard for dpd_delay: ask. Nothing was sent for KEEPALIVE_MS through a NAT: keep it
 * open. */
static void alive_due(struct timer *timer)
{
	struct ike_sa *ike = owner(timer, alive);
	struct engine *engine = ike->engine;
	__u64 now = ike_now(ike), delay = (__u64)ike->conn->model.dpd_delay * 1000;

	if (ike->nat_local && now >= ike->sent + KEEPALIVE_MS) {
		engine->env.keepalive(engine->env.ctx, &ike->path);
		ike->sent = now;
	}
	if (delay && now >= ike->heard + delay) {
		/* an outstanding request asks the same */
		if (!ike->ours && !ike->tasks)
			ike_task(ike, TASK_DPD);
		ike->heard = now;
	}
	ike_timers(ike);
	ike_work(ike);
}

static void work_due(struct timer *timer)
{
	ike_work(owner(timer, work));
}

/* ------------------------------------------------------------------ up, replaced, gone */

void ike_up(struct ike_sa *ike)
{
	bool inherited = ike->from != 0;

	ike->state = IKE_UP;
	ike->since = ike_now(ike);
	ike->heard = ike->since;
	setup_free(ike);
	ike_keys_wipe_auth(ike->keys);
	if (!ike->in_by_peer && ike->remote_id)
		ike->in_by_peer = !table_add(&ike->engine->by_peer, &ike->by_peer,
					     ident_hash(ike->remote_id));
	life_begin(ike, inherited);
	ike_timers(ike);
	if (inherited)
		return;
	ike->origin.up = ike->since;
	ike->origin.tie = be64toh(ike->spi_i ^ ike->spi_r);
	ike->up_told = true;
	ike_event(ike, IKE_EVENT_IKE_UP, NULL, NULL, NULL);
}

static void move_tasks(struct ike_sa *old, struct ike_sa *fresh)
{
	struct task *task;

	while ((task = old->tasks)) {
		bool closes = task->kind == TASK_IKE_CLOSE && !task->followed && !task->outdone;

		old->tasks = task->next;
		old->n_tasks--;
		task->next = NULL;
		if (task->kind == TASK_IKE_REKEY || task->kind == TASK_DPD) {
			engine_done(old->engine, task->ref, 0, "");
			task_free(task);
			continue;
		}
		struct task **at = &fresh->tasks;

		while (*at)
			at = &(*at)->next;
		*at = task;
		fresh->n_tasks++;
		if (closes)
			fresh->state = IKE_CLOSING;
	}
}

/* Who was to take its place takes that of the new one. */
static void move_reauth(struct ike_sa *old, struct ike_sa *fresh)
{
	struct ike_sa *other = old->reauth_by ? ike_by_id(old->engine, old->reauth_by) : NULL;

	if (!other || other->reauth_of != old->id)
		return;
	other->reauth_of = fresh->id;
	fresh->reauth_by = other->id;
	fresh->reauth_half = old->reauth_half;
}

void ike_inherit(struct ike_sa *old, struct ike_sa *fresh)
{
	struct child_sa **at = &fresh->children;
	struct ike_sa *replaced;

	while (*at)
		at = &(*at)->next;
	*at = old->children;
	for (struct child_sa *child = old->children; child; child = child->next)
		child->ike = fresh;
	fresh->n_children += old->n_children;
	old->children = NULL;
	old->n_children = 0;
	fresh->from = 0;
	fresh->reauth_of = old->reauth_of;
	replaced = fresh->reauth_of ? ike_by_id(old->engine, fresh->reauth_of) : NULL;
	if (replaced)
		replaced->reauth_by = fresh->id;
	fresh->up_told = old->up_told;
	old->up_told = false; /* it goes without a word: the other one took its place */
	move_reauth(old, fresh);
	fresh->reauth_at = old->reauth_at;
	fresh->cross_at = old->cross_at;
	old->reauth_of = old->reauth_by = 0;
	move_tasks(old, fresh);
	timer_stop(&old->engine->timers, &old->work);
	ike_redundant(old);
	ike_timers(fresh);
	ike_log(fresh, LOG_LEVEL_INFO, "takes the place of IKE SA %u", old->id);
	ike_event(fresh, IKE_EVENT_IKE_REKEYED, old, NULL, NULL);
	ike_work(fresh);
}

struct ike_sa *ike_rival(const struct ike_sa *old)
{
	struct ike_sa *rival = old->rival ? ike_by_id(old->engine, old->rival) : NULL;

	return rival && rival->from == old->id && rival->state != IKE_REPLACED ? rival : NULL;
}

void ike_redundant(struct ike_sa *ike)
{
	ike->state = IKE_REPLACED;
	ike->rekey_at = ike->reauth_at = ike->cross_at = 0;
	ike->end_at = ike_now(ike) + REPLACED_MS;
	ike_timers(ike);
}

static void unlink_ike(struct ike_sa *ike)
{
	struct engine *engine = ike->engine;

	*(ike->prev ? &ike->prev->next : &engine->first) = ike->next;
	*(ike->next ? &ike->next->prev : &engine->last) = ike->prev;
	engine->n_ikes--;
	table_remove(&engine->by_spi, &ike->by_spi);
	table_remove(&engine->by_id, &ike->by_id);
	if (ike->in_by_peer)
		table_remove(&engine->by_peer, &ike->by_peer);
	if (ike->in_by_conn)
		table_remove(&engine->by_conn, &ike->by_conn);
	ike->in_by_conn = false;
	timer_stop(&engine->timers, &ike->life);
	timer_stop(&engine->timers, &ike->alive);
	timer_stop(&engine->timers, &ike->work);
	window_free(&ike->w, &engine->timers);
	gather_end(ike);
	engine_timers_give(engine, IKE_SA_TIMERS);
	ike->next = engine->graves;
	engine->graves = ike;
}

void ike_gone(struct ike_sa *ike, bool at_once)
{
	struct engine *engine = ike->engine;
	struct ike_sa *rival = ike_rival(ike);
	struct task *task;

	if (ike->state == IKE_GONE)
		return;
	ike->state = IKE_GONE;
	if (ike->ours)
		xchg_free(ike->ours);
	if (ike->peers)
		xchg_free(ike->peers);
	while (ike->children)
		child_free(ike->children, at_once);
	while ((task = ike->tasks)) {
		ike->tasks = task->next;
		engine_done(engine, task->ref, task->kind == TASK_IKE_CLOSE ? 0 : -ECONNRESET,
			    "the IKE SA is gone");
		task_free(task);
	}
	if (ike->up_told)
		ike_event(ike, IKE_EVENT_IKE_DOWN, NULL, NULL, NULL);
	setup_free(ike);
	ike_keys_wipe(ike->keys);
	setup_reauth_ended(ike);
	unlink_ike(ike);
	if (ike->conn && ike->conn->loaded)
		backoff_plan(ike->conn); /* what it was to bring */
	if (rival) /* nobody can choose it any more, and until then it does no work */
		ike_redundant(rival);
}

void ike_dead(struct ike_sa *ike, const char *why)
{
	engine_count(ike->engine, ike->conn, ENGINE_PEER_DEAD);
	ike_log(ike, LOG_LEVEL_WARN, "the peer does not answer: %s", why);
	for (struct child_sa *child = ike->children; child; child = child->next)
		if (ike->state == IKE_UP && child->cfg->dpd_action == CONN_ACTION_START)
			child_again(child);
	ike_gone(ike, true);
}

void ike_closed_by_peer(struct ike_sa *ike)
{
	for (struct child_sa *child = ike->children; child; child = child->next)
		if (ike->state == IKE_UP && child->cfg->close_action == CONN_ACTION_START)
			child_again(child);
	ike_gone(ike, false);
}

void ike_outlived(struct ike_sa *ike)
{
	for (struct child_sa *child = ike->children; child; child = child->next)
		child_outlived(child);
	ike_task(ike, TASK_IKE_CLOSE);
}

/* ------------------------------------------------------------------ words */

static void say(struct ike_sa *ike, enum log_level level, const char *fmt, va_list args)
{
	const struct engine *engine = ike->engine;
	char text[1536], peer[INET6_ADDRSTRLEN] = "";
	struct ike_log line = {.level = level,
			       .conn = ike->conn ? ike->conn->model.name : "",
			       .ike_id = ike->id,
			       .path = &ike->path,
			       .text = text};
	int n;

	/* Before a name is resolved there is no peer. */
	if (ike->path.family)
		inet_ntop(ike->path.family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET,
			  &ike->path.remote, peer, sizeof(peer));
	n = snprintf(text, sizeof(text), "%s[%u]%s%s: ", *line.conn ? line.conn : "?", ike->id,
		     peer[0] ? " " : "", peer);
	vsnprintf(text + n, sizeof(text) - n, fmt, args);
	engine->env.log(engine->env.ctx, &line);
}

static void say_now(struct ike_sa *ike, enum log_level level, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	say(ike, level, fmt, args);
	va_end(args);
}

void ike_log(struct ike_sa *ike, enum log_level level, const char *fmt, ...)
{
	/* Who has proven nothing may come under any number of IKE SAs. */
	const bool stranger = !ike->initiator && ike->setup;
	struct ike_words *words = stranger ? &ike->engine->strangers : &ike->words;
	const __u32 unsaid = words->unsaid;
	va_list args;

	if (!engine_allows(ike->engine, &words->at, stranger ? STRANGERS_LINES_MAX : IKE_LINES_MAX,
			   stranger ? STRANGERS_LINE_MS : IKE_LINE_MS)) {
		words->unsaid++;
		return;
	}
	words->unsaid = 0;
	if (unsaid)
		say_now(ike, LOG_LEVEL_WARN, "%u lines are left out here", unsaid);
	va_start(args, fmt);
	say(ike, level, fmt, args);
	va_end(args);
}

void ike_event(const struct ike_sa *ike, enum ike_event_kind kind, const struct ike_sa *old,
	       const struct child_sa *child, const struct child_sa *old_child)
{
	struct ike_event event = {
		.kind = kind, .ike = ike, .old = old, .child = child, .old_child = old_child};

	ike->engine->env.event(ike->engine->env.ctx, &event);
}
