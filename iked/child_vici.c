// SPDX-License-Identifier: BSD-2-Clause
/*
 * Commands of VICI's clients that are the engine's: the parent passes them on with names completed
 * (a child's connection is always there), and relays what this end writes.
 */
#include "iked/child_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/ike_sa.h"
#include "iked/vici_sas.h"
#include "iked/vici_server.h"
#include "lib/cleanup.h"
#include "lib/log.h"

#define WAITS_MAX 256

/* A command that is not answered yet. */
struct vici_wait {
	struct vici_wait *next;
	struct child *child;
	__u64 id; /* of the request; what the engine calls `ref` */
	char conn[CONN_NAME_LEN];
	unsigned int matches;  /* terminate: SAs that it is about; 0: not told */
	struct event *timeout; /* NULL: none */
};

/* ------------------------------------------------------------------ answers */

void child_vici_answer(struct child *c, __u64 id, const struct vici_writer *w)
{
	chan_say_vici(c->chan, CHAN_VICI_ANSWER, id, 0, NULL, vici_view(w));
}

void child_vici_refuse(struct child *c, __u64 id, const char *text)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_failure(&w, "%s", text);
	child_vici_answer(c, id, &w);
}

/* `ended`: how many SAs terminate has ended; 0: it is not about that. */
static void answer_ok(struct child *c, __u64 id, unsigned int ended)
{
	_cleanup_vici_ struct vici_writer w = {0};

	vici_success(&w);
	if (ended) {
		vici_text(&w, "matches", "%u", ended);
		vici_text(&w, "terminated", "%u", ended);
	}
	child_vici_answer(c, id, &w);
}

/* ------------------------------------------------------------------ what waits */

static struct vici_wait *wait_new(struct child *c, __u64 id, const char *conn)
{
	struct vici_wait *wait = c->n_vici_waits < WAITS_MAX ? calloc(1, sizeof(*wait)) : NULL;

	if (!wait) {
		child_vici_refuse(c, id, "too many commands are under way");
		return NULL;
	}
	wait->child = c;
	wait->id = id;
	memcpy(wait->conn, conn, strnlen(conn, sizeof(wait->conn) - 1));
	wait->next = c->vici_waits;
	c->vici_waits = wait;
	c->n_vici_waits++;
	return wait;
}

static void wait_free(struct vici_wait *wait)
{
	struct vici_wait **at = &wait->child->vici_waits;

	while (*at != wait)
		at = &(*at)->next;
	*at = wait->next;
	wait->child->n_vici_waits--;
	if (wait->timeout)
		event_free(wait->timeout);
	free(wait);
}

static struct vici_wait *wait_find(struct child *c, __u64 id)
{
	struct vici_wait *wait = c->vici_waits;

	while (wait && wait->id != id)
		wait = wait->next;
	return wait;
}

/* What was begun goes on; the client is told that it has not ended. */
static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct vici_wait *wait = ctx;

	child_vici_refuse(wait->child, wait->id, "not done in time; it goes on");
	wait_free(wait);
}

/* `ms` 0: as long as it takes. False: no memory, answered. */
static bool wait_until(struct vici_wait *wait, long ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};

	if (ms <= 0)
		return true;
	wait->timeout = event_new(wait->child->base, -1, 0, on_timeout, wait);
	if (wait->timeout && !event_add(wait->timeout, &tv))
		return true;
	child_vici_refuse(wait->child, wait->id, "no memory");
	wait_free(wait);
	return false;
}

void child_vici_done(struct child *c, __u64 ref, int err, const char *text)
{
	struct vici_wait *wait = wait_find(c, ref);

	if (!wait)
		return;
	if (err)
		child_vici_refuse(c, ref, text && text[0] ? text : strerror(-err));
	else
		answer_ok(c, ref, wait->matches);
	wait_free(wait);
}

/* What its command has begun goes on. */
void child_vici_more(struct child *c, const struct chan_vici *m)
{
	struct vici_wait *wait = m->more ? wait_find(c, m->id) : NULL;

	if (wait)
		wait_free(wait);
	child_list_more(c, m);
}

void child_vici_free(struct child *c)
{
	while (c->vici_waits)
		wait_free(c->vici_waits);
	child_list_free(c);
}

/* ------------------------------------------------------------------ initiate, terminate, rekey */

/* VICI: timeout in ms, 0 waits, -1 does not. Returns the ref for the engine; ~0: answered. */
static __u64 begin_wait(struct child *c, __u64 id, const struct vici_names *names, long ms)
{
	struct vici_wait *wait;

	if (ms < 0)
		return 0;
	wait = wait_new(c, id, names->ike);
	return wait && wait_until(wait, ms) ? id : ~0ULL;
}

static void run_initiate(struct child *c, __u64 id, struct bytes message)
{
	long ms = vici_get_number(message, "timeout", 0);
	struct vici_names names;
	__u64 ref;

	vici_names_read(message, &names);
	if (!names.match.ike) {
		child_vici_refuse(c, id, "which connection? Give ike or child");
		return;
	}
	ref = begin_wait(c, id, &names, ms);
	if (ref == ~0ULL)
		return;
	engine_initiate(c->engine, names.ike, names.match.child, ref);
	if (ms < 0)
		answer_ok(c, id, 0);
}

struct count {
	const struct engine_match *match;
	unsigned int n;
};

/* IKE SAs; of a match that names a child, its children. */
static bool count_matches(void *arg, const struct ike_sa *ike)
{
	struct count *count = arg;

	count->n += vici_matches(ike, count->match);
	return true;
}

static unsigned int count_sas(const struct child *c, const struct engine_match *match)
{
	struct count count = {.match = match};

	engine_each_match(c->engine, match, count_matches, &count);
	return count.n;
}

/* Does it name anything? Without a name all would be meant, which nobody asks for so. */
static bool names_any(const struct engine_match *match)
{
	return match->ike || match->child || match->ike_id || match->child_id;
}

static void run_terminate(struct child *c, __u64 id, struct bytes message)
{
	long ms = vici_get_number(message, "timeout", 0);
	struct vici_names names;
	__u64 ref;

	vici_names_read(message, &names);
	if (!names_any(&names.match)) {
		child_vici_refuse(c, id, "missing terminate selector");
		return;
	}
	ref = begin_wait(c, id, &names, ms);
	if (ref == ~0ULL)
		return;
	if (ref)
		wait_find(c, ref)->matches = count_sas(c, &names.match);
	engine_terminate(c->engine, &names.match, vici_get_bool(message, "force", false), ref);
	if (ms < 0)
		answer_ok(c, id, 0);
}

/* Answered at once, as strongSwan does: with how many it is about. */
static void run_rekey(struct child *c, __u64 id, struct bytes message)
{
	_cleanup_vici_ struct vici_writer w = {0};
	struct vici_names names;
	unsigned int n;

	vici_names_read(message, &names);
	if (!names_any(&names.match)) {
		child_vici_refuse(c, id, "missing rekey selector");
		return;
	}
	n = count_sas(c, &names.match);
	if (n && vici_get_bool(message, "reauth", false))
		engine_reauth(c->engine, &names.match, 0);
	else if (n)
		engine_rekey(c->engine, &names.match, 0);
	if (n)
		vici_success(&w);
	else
		vici_failure(&w, "no matching SAs to rekey found");
	vici_text(&w, "matches", "%u", n);
	child_vici_answer(c, id, &w);
}

/* ------------------------------------------------------------------ counters, stats */

struct counters {
	const struct engine *engine;
	struct vici_writer w;
	int err; /* -ENOENT: of a connection that there is not */
};

/* `name` NULL: of all together. */
static void put_counters(void *arg, const char *name)
{
	struct counters *to = arg;
	__u64 counter[ENGINE_COUNTER_MAX];

	to->err = engine_counters(to->engine, name, counter);
	if (to->err)
		return;
	vici_section(&to->w, name ? name : "");
	for (unsigned int i = 0; i < ENGINE_COUNTER_MAX; i++)
		vici_text(&to->w, engine_counter_name(i), "%" PRIu64, (uint64_t)counter[i]);
	vici_section_end(&to->w);
}

/* By `name`; with `all` of each connection; else of all together. */
static void run_get_counters(struct child *c, __u64 id, struct bytes message)
{
	struct counters to = {.engine = c->engine};
	char name[CONN_NAME_LEN];
	bool named = vici_get_text(message, "name", name, sizeof(name));

	vici_section(&to.w, "counters");
	if (vici_get_bool(message, "all", false))
		engine_counters_each(c->engine, put_counters, &to);
	else
		put_counters(&to, named ? name : NULL);
	vici_section_end(&to.w);
	vici_success(&to.w);
	if (to.err)
		child_vici_refuse(c, id, "no such connection");
	else
		child_vici_answer(c, id, &to.w);
	vici_free(&to.w);
}

static void run_reset_counters(struct child *c, __u64 id, struct bytes message)
{
	_cleanup_vici_ struct vici_writer w = {0};
	char name[CONN_NAME_LEN];
	bool named = vici_get_text(message, "name", name, sizeof(name));

	if (vici_get_bool(message, "all", false))
		engine_counters_reset_all(c->engine);
	else if (engine_counters_reset(c->engine, named ? name : NULL)) {
		child_vici_refuse(c, id, "no such connection");
		return;
	}
	vici_success(&w);
	child_vici_answer(c, id, &w);
}

struct totals {
	unsigned int all, half_open;
};

static bool total(void *arg, const struct ike_sa *ike)
{
	struct totals *totals = arg;

	totals->all++;
	totals->half_open += ike->state < IKE_UP;
	return true;
}

/* The parent adds what it knows itself. */
static void run_stats(struct child *c, __u64 id, struct bytes message)
{
	_cleanup_vici_ struct vici_writer w = {0};
	struct totals totals = {0};

	engine_each(c->engine, total, &totals);
	vici_section(&w, "ikesas");
	vici_text(&w, "total", "%u", totals.all);
	vici_text(&w, "half-open", "%u", totals.half_open);
	vici_section_end(&w);
	child_vici_answer(c, id, &w);
}

static const struct {
	const char *name;
	void (*run)(struct child *c, __u64 id, struct bytes message);
} commands[] = {
	{"initiate", run_initiate},
	{"terminate", run_terminate},
	{"rekey", run_rekey},
	{"list-sas", child_list_begin},
	{"stats", run_stats},
	{"get-counters", run_get_counters},
	{"reset-counters", run_reset_counters},
};

void child_vici_command(struct child *c, const struct chan_vici *m)
{
	struct bytes message = BYTES(m->data, m->data_len);

	for (unsigned int i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(commands[i].name, m->command) == 0 && !m->more &&
		    !vici_validate(message)) {
			commands[i].run(c, m->id, message);
			return;
		}
	}
	child_vici_refuse(c, m->id, "not for this process");
}

/* ------------------------------------------------------------------ what is told */

static bool wanted(const struct child *c, enum vici_event event)
{
	return c->vici_wanted & 1U << event;
}

static void tell(struct child *c, enum vici_event event, const struct vici_writer *w)
{
	if (!w->err)
		chan_say_vici(c->chan, CHAN_VICI_EVENT, 0, event, NULL, vici_view(w));
}

void child_vici_event(struct child *c, const struct ike_event *event)
{
	static const enum vici_event kinds[IKE_EVENT_COUNT] = {
		[IKE_EVENT_IKE_UP] = VICI_EVENT_IKE_UPDOWN,
		[IKE_EVENT_IKE_DOWN] = VICI_EVENT_IKE_UPDOWN,
		[IKE_EVENT_IKE_REKEYED] = VICI_EVENT_IKE_REKEY,
		[IKE_EVENT_CHILD_UP] = VICI_EVENT_CHILD_UPDOWN,
		[IKE_EVENT_CHILD_DOWN] = VICI_EVENT_CHILD_UPDOWN,
		[IKE_EVENT_CHILD_REKEYED] = VICI_EVENT_CHILD_REKEY,
	};
	_cleanup_vici_ struct vici_writer w = {0};

	if (!wanted(c, kinds[event->kind]))
		return;
	if (event->kind == IKE_EVENT_IKE_UP || event->kind == IKE_EVENT_CHILD_UP)
		vici_bool(&w, "up", true);
	if (event->kind == IKE_EVENT_IKE_REKEYED)
		vici_put_ike_rekey(&w, event->old, event->ike);
	else if (event->kind == IKE_EVENT_CHILD_REKEYED)
		vici_put_child_rekey(&w, event->old_child, event->child);
	else if (kinds[event->kind] == VICI_EVENT_IKE_UPDOWN)
		vici_put_ike_brief(&w, event->ike);
	else
		vici_put_child_brief(&w, event->child);
	tell(c, kinds[event->kind], &w);
}

static void put_log(struct vici_writer *w, const struct ike_log *line)
{
	vici_text(w, "group", "IKE");
	vici_text(w, "level", "%d", line->level >= LOG_LEVEL_DEBUG ? 2 : 1);
	vici_text(w, "thread", "1");
	if (line->conn[0])
		vici_text(w, "ikesa-name", "%s", line->conn);
	if (line->ike_id)
		vici_text(w, "ikesa-uniqueid", "%u", line->ike_id);
	vici_text(w, "msg", "%s", line->text);
}

/* To who follows the log, and to who waits for a command about that connection. */
void child_vici_log(struct child *c, const struct ike_log *line)
{
	_cleanup_vici_ struct vici_writer w = {0};

	if (!wanted(c, VICI_EVENT_LOG) && !c->vici_waits)
		return;
	put_log(&w, line);
	if (wanted(c, VICI_EVENT_LOG))
		tell(c, VICI_EVENT_LOG, &w);
	for (const struct vici_wait *wait = c->vici_waits; wait; wait = wait->next)
		if (line->conn[0] && strcmp(wait->conn, line->conn) == 0 && !w.err)
			chan_say_vici(c->chan, CHAN_VICI_STREAM, wait->id, VICI_EVENT_CONTROL_LOG,
				      NULL, vici_view(&w));
}
