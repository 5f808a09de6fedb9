// SPDX-License-Identifier: BSD-2-Clause
#include "iked/child_sa.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "iked/backoff.h"
#include "iked/engine_state.h"
#include "iked/full.h"
#include "iked/renew.h"
#include "iked/unique.h"
#include "lib/alg.h"
#include "lib/cleanup.h"

#define ESP_SPI_MIN 256 /* RFC 4303 2.1 */

#define QUESTION_CHILD 2 /* who asked: xchg.c */

/* ------------------------------------------------------------------ finding */

struct child_sa *child_by_id(const struct engine *engine, __u32 id)
{
	struct table_link *link = table_find(&engine->child_by_id, id);

	return link ? table_entry(link, struct child_sa, by_id) : NULL;
}

struct child_sa *child_by_spi_in(const struct ike_sa *ike, __be32 spi)
{
	struct child_sa *child = ike->children;

	while (child && child->spi_in != spi)
		child = child->next;
	return child;
}

struct child_sa *child_by_spi_out(const struct ike_sa *ike, __be32 spi)
{
	struct child_sa *child = ike->children;

	while (child && child->spi_out != spi)
		child = child->next;
	return child;
}

void child_sa_name(const struct child_sa *child, __u8 dir, char *to)
{
	memset(to, 0, XIPSEC_NAME_LEN);
	snprintf(to, XIPSEC_NAME_LEN, "%s-%u-%c", child->cfg->name, child->id,
		 dir == XIPSEC_DIR_IN ? 'i' : 'o');
}

struct child_sa *child_by_sa_name(const struct engine *engine, const char *name)
{
	char whole[XIPSEC_NAME_LEN];
	const char *way = strrchr(name, '-'), *id = way;
	struct child_sa *child;

	while (id && id > name && id[-1] != '-')
		id--;
	if (!way || id == name || (strcmp(way, "-i") && strcmp(way, "-o")))
		return NULL;
	child = child_by_id(engine, strtoul(id, NULL, 10));
	if (!child)
		return NULL;
	child_sa_name(child, way[1] == 'i' ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT, whole);
	return strcmp(whole, name) ? NULL : child;
}

/* ------------------------------------------------------------------ life */

static __be32 new_spi(const struct engine *engine)
{
	__be32 spi;

	do {
		spi = (__be32)engine_random(engine);
	} while (be32toh(spi) < ESP_SPI_MIN || table_find(&engine->child_by_spi, spi));
	return spi;
}

static void life_due(struct timer *timer);
static void later_due(struct timer *timer);

static int enter(struct engine *engine, struct child_sa *child)
{
	child->id = engine_new_id(engine);
	child->spi_in = new_spi(engine);
	if (table_add(&engine->child_by_id, &child->by_id, child->id))
		return -ENOMEM;
	if (!table_add(&engine->child_by_spi, &child->by_spi, child->spi_in))
		return 0;
	table_remove(&engine->child_by_id, &child->by_id);
	return -ENOMEM;
}

/* Of a child that there is already, which the new one takes the place of, or stands beside. */
static __u32 reqid_of(const struct ike_sa *ike, const char *name)
{
	const struct child_sa *child = ike->children;

	while (child && strcmp(child->cfg->name, name) != 0)
		child = child->next;
	return child ? child->reqid : 0;
}

int child_new(struct ike_sa *ike, struct ike_conn *conn, const struct conn_child *cfg,
	      struct child_sa **out)
{
	struct engine *engine = ike->engine;
	struct child_sa *child;

	if (ike->n_children >= IKE_CHILDREN_MAX)
		return -E2BIG;
	if (engine_timers_take(engine, CHILD_SA_TIMERS))
		return -ENOMEM;
	child = calloc(1, sizeof(*child));
	if (!child || enter(engine, child)) {
		engine_timers_give(engine, CHILD_SA_TIMERS);
		free(child);
		return -ENOMEM;
	}
	child->ike = ike;
	child->reqid = reqid_of(ike, cfg->name);
	if (!child->reqid)
		child->reqid = child->id;
	child->conn = ike_conn_ref(conn);
	child->cfg = cfg;
	child->l4_proto = cfg->l4_proto;
	child->since = engine_now(engine);
	child->life.fire = life_due;
	child->later.fire = later_due;
	child->next = ike->children;
	ike->children = child;
	ike->n_children++;
	*out = child;
	return 0;
}

void child_forget_key(struct child_sa *child)
{
	key_pool_give(&child->ike->engine->keys, child->key_out);
	child->key_out = NULL;
}

/* Nothing new is steered to the outbound SA any more: there is a later one. */
static bool is_followed(const struct child_sa *child)
{
	for (const struct child_sa *other = child->ike->children; other; other = other->next)
		if (other->id > child->id && other->out_added &&
		    !strcmp(other->cfg->sadb_name, child->cfg->sadb_name))
			return true;
	return false;
}

static void delete_sas(struct child_sa *child, bool at_once)
{
	struct engine *engine = child->ike->engine;
	char name[XIPSEC_NAME_LEN];

	if (child->out_added) {
		child_sa_name(child, XIPSEC_DIR_OUT, name);
		if (at_once || !is_followed(child))
			engine->env.sa_delete(engine->env.ctx, name);
		else
			linger(child->ike, name, OLD_OUTBOUND_MS);
	}
	if (!child->in_added)
		return;
	child_sa_name(child, XIPSEC_DIR_IN, name);
	if (at_once)
		engine->env.sa_delete(engine->env.ctx, name);
	else
		linger(child->ike, name, OLD_INBOUND_MS);
}

static void switch_to_successor(const struct child_sa *child);

void child_cut(struct child_sa *child)
{
	delete_sas(child, true);
	child->in_added = child->out_added = false;
	child_forget_key(child);
}

void child_followed(struct child_sa *child, const struct child_sa *by)
{
	if (child->ike == by->ike)
		child->successor = by->id;
	else
		child->heir = by->id;
}

/* By the text of today, which may be another. */
static void wanted_still(const struct child_sa *child)
{
	const struct conn_child *cfg;
	struct ike_conn *conn = ike_conn_of_child(child->ike->engine, child->cfg->sadb_name, &cfg);

	if (conn)
		backoff_plan(conn);
}

void child_free(struct child_sa *child, bool at_once)
{
	struct ike_sa *ike = child->ike;
	struct engine *engine = ike->engine;
	struct child_sa **at = &ike->children;

	switch_to_successor(child);
	if (child->up_told) {
		full_over(ike);
		ike_event(ike, IKE_EVENT_CHILD_DOWN, NULL, child, NULL);
	}
	delete_sas(child, at_once);
	while (*at != child)
		at = &(*at)->next;
	*at = child->next;
	ike->n_children--;
	table_remove(&engine->child_by_id, &child->by_id);
	table_remove(&engine->child_by_spi, &child->by_spi);
	timer_stop(&engine->timers, &child->life);
	timer_stop(&engine->timers, &child->later);
	engine_timers_give(engine, CHILD_SA_TIMERS);
	wanted_still(child);
	child_forget_key(child);
	free(child->ts);
	ike_conn_unref(child->conn);
	free(child);
}

int child_set_ts(struct child_sa *child, const struct ts_list *local, const struct ts_list *remote)
{
	struct ts *ts = calloc(local->n + remote->n, sizeof(*ts));

	if (!ts)
		return -ENOMEM;
	memcpy(ts, local->ts, local->n * sizeof(*ts));
	memcpy(ts + local->n, remote->ts, remote->n * sizeof(*ts));
	free(child->ts);
	child->ts = ts;
	child->n_local = local->n;
	child->n_remote = remote->n;
	return 0;
}

void child_ts(const struct child_sa *child, struct ts_list *local, struct ts_list *remote)
{
	local->n = child->n_local;
	remote->n = child->n_remote;
	memcpy(local->ts, child->ts, child->n_local * sizeof(*child->ts));
	memcpy(remote->ts, child->ts + child->n_local, child->n_remote * sizeof(*child->ts));
}

/* ------------------------------------------------------------------ at xipsecd */

/* Packets and bytes are xipsecd's to count; of the time it knows the hard end, in case that we are
 * not there then. */
static void fill_limits(const struct child_sa *child, struct xipsec_limits *limits)
{
	const struct conn_child *cfg = child->cfg;
	const struct engine *engine = child->ike->engine;
	__u64 spread = engine_random(engine);

	limits->hard_time = cfg->life_time;
	limits->hard_bytes = cfg->life_bytes;
	limits->hard_packets = cfg->life_packets;
	limits->soft_bytes = cfg->rekey_bytes;
	limits->soft_packets = cfg->rekey_packets;
	if (cfg->rand_bytes && cfg->rekey_bytes > cfg->rand_bytes)
		limits->soft_bytes -= spread % cfg->rand_bytes;
	if (cfg->rand_packets && cfg->rekey_packets > cfg->rand_packets)
		limits->soft_packets -= spread % cfg->rand_packets;
	limits->idle = cfg->inactivity;
}

static __u16 flags_of(const struct child_sa *child, bool in)
{
	__u16 flags = 0;

	if (child->esn)
		flags |= XIPSEC_SA_ESN;
	if (child->udp)
		flags |= XIPSEC_SA_UDP;
	if (in && child->udp && !ike_follows(child->ike))
		flags |= XIPSEC_SA_STAY;
	if (in && child->pieces)
		flags |= XIPSEC_SA_LATER;
	/* The rest is done where packets are sealed, to a header that is put in front. */
	if (in || child->mode == XIPSEC_MODE_TRANSPORT)
		return flags;
	if (!child->cfg->copy_ecn)
		flags |= XIPSEC_SA_NO_ECN;
	if (child->cfg->copy_dscp == CONN_DSCP_NO || child->cfg->copy_dscp == CONN_DSCP_IN)
		flags |= XIPSEC_SA_DSCP;
	/* Which family it will be is not known when the config is read. */
	if (child->cfg->flow_copy && child->ike->path.family == XIPSEC_FAMILY_IP6)
		flags |= XIPSEC_SA_FLOW_COPY;
	return flags;
}

/* What is done as packets are sealed. In transport mode there is no header and no padding of our
 * own to write it into; AH has neither padding nor dummies. */
static void fill_sealing(const struct child_sa *child, struct xipsec_sa *sa)
{
	const struct conn_child *cfg = child->cfg;

	if (sa->l4_proto == IPPROTO_ESP)
		sa->dummies = cfg->dummies;
	if (sa->mode == XIPSEC_MODE_TRANSPORT)
		return;
	sa->df = cfg->df;
	/* No router cuts IPv6. */
	if (sa->df == XIPSEC_DF_COPY && sa->outer_family == XIPSEC_FAMILY_IP6)
		sa->df = XIPSEC_DF_SET;
	sa->dscp = cfg->dscp;
	sa->ttl = cfg->ttl;
	if (sa->l4_proto == IPPROTO_ESP)
		sa->tfc_size = child->no_tfc ? 0 : cfg->tfc_size;
}

int child_describe(const struct child_sa *child, __u8 dir, struct xipsec_sa *sa)
{
	const struct ike_path *path = &child->ike->path;
	_cleanup_free_ struct ts_list *ts = calloc(2, sizeof(*ts));
	bool in = dir == XIPSEC_DIR_IN;
	int err;

	if (!ts)
		return -ENOMEM;
	memset(sa, 0, sizeof(*sa));
	child_sa_name(child, dir, sa->name);
	memcpy(sa->child, child->cfg->sadb_name, sizeof(sa->child));
	sa->src = in ? path->remote : path->local;
	sa->dst = in ? path->local : path->remote;
	if (child->udp) {
		sa->src_port = in ? path->remote_port : path->local_port;
		sa->dst_port = in ? path->local_port : path->remote_port;
	}
	sa->spi = in ? child->spi_in : child->spi_out;
	sa->outer_family = path->family;
	sa->l4_proto = child->l4_proto;
	sa->dir = dir;
	sa->mode = child->mode;
	sa->alg = child->alg;
	sa->flags = flags_of(child, in);
	sa->window = child->cfg->replay_window;
	sa->if_id = child->cfg->if_id;
	sa->engine = child->cfg->engine;
	if (!in)
		fill_sealing(child, sa);
	fill_limits(child, &sa->limits);
	child_ts(child, &ts[0], &ts[1]);
	err = ts_selectors(&ts[0], &ts[1], sa->selector, XIPSEC_SELECTORS_MAX, &sa->n_selectors);
	return err ? err : sa->n_selectors ? 0 : -EINVAL;
}

bool child_sadb_away(int err)
{
	return err == -ENOTCONN || err == -ECONNRESET;
}

int child_add(struct child_sa *child, __u8 dir, const __u8 *key, __u64 question)
{
	struct engine *engine = child->ike->engine;
	struct xipsec_sa *sa = calloc(1, sizeof(*sa));
	int err;

	if (!sa)
		return -ENOMEM;
	err = child_describe(child, dir, sa);
	if (!err) {
		sa->key_len = alg_key_len(child->alg);
		memcpy(sa->key, key, sa->key_len);
		if (dir == XIPSEC_DIR_IN)
			child->in_added = true;
		else
			child->out_added = true;
		engine->env.sa_add(engine->env.ctx, question, sa);
	}
	OPENSSL_cleanse(sa->key, sizeof(sa->key));
	free(sa);
	return err;
}

static void send_on(struct child_sa *child)
{
	struct engine *engine = child->ike->engine;
	int err;

	if (child->out_added || !child->key_out)
		return;
	child->question = (__u64)QUESTION_CHILD << 62 | (__u64)child->id << 30 |
			  (++engine->next_question & 0x3fffffff);
	err = child_add(child, XIPSEC_DIR_OUT, child->key_out, child->question);
	child_forget_key(child);
	if (err)
		ike_log(child->ike, LOG_LEVEL_ERROR,
			"child %s: cannot describe its outbound SA: %s", child->cfg->name,
			strerror(-err));
}

void child_switch(struct child_sa *child)
{
	/* Of what our Delete is out for the peer may have its half no more. */
	if (child->out_added || !child->key_out || child->state != CHILD_UP ||
	    child->ike->state == IKE_CLOSING)
		return;
	timer_stop(&child->ike->engine->timers, &child->later);
	send_on(child);
	unique_used(child->ike);
}

static struct child_sa *alive(const struct engine *engine, __u32 id)
{
	struct child_sa *child = id ? child_by_id(engine, id) : NULL;

	return child && child->ike->state != IKE_GONE ? child : NULL;
}

static struct child_sa *sibling_on(const struct ike_sa *ike, const struct child_sa *child)
{
	struct child_sa *other = ike->children;

	while (other && (other == child || !other->out_added ||
			 strcmp(other->cfg->sadb_name, child->cfg->sadb_name) != 0))
		other = other->next;
	return other;
}

/* Another one of that name, which sends to the same machine: on its IKE SA, while it is rekeyed; on
 * one of ours, if both ends authenticate anew. */
static struct child_sa *sibling_of(const struct child_sa *child)
{
	const struct ike_sa *ike = child->ike, *other = ike_of_peer(ike->engine, ike->remote_id);
	struct child_sa *sibling = sibling_on(ike, child);

	for (; other && !sibling; other = ike_same_peer(other))
		if (other->state == IKE_UP && ident_equal(other->remote_id, ike->remote_id) &&
		    ike_same_machine(other, ike))
			sibling = sibling_on(other, child);
	return sibling;
}

/* It may be rekeyed itself by now: the peer has this one, and its successor perhaps not yet. */
static void switch_to_heir(struct child_sa *heir)
{
	const struct child_sa *successor = alive(heir->ike->engine, heir->successor);

	if (heir->state == CHILD_UP)
		child_switch(heir);
	else if (heir->state == CHILD_REPLACED && !(successor && successor->out_added))
		send_on(heir);
}

/* The delete of what was rekeyed says that the peer has the new one (RFC 7296 2.8): we send on that
 * before the old one is gone. For one on an IKE SA that is authenticated anew the delete of the
 * last one here says it. */
static void switch_to_successor(const struct child_sa *child)
{
	const struct engine *engine = child->ike->engine;
	struct child_sa *successor = alive(engine, child->successor);
	struct child_sa *heir = alive(engine, child->heir), *sibling;

	if (successor)
		child_switch(successor);
	if (heir && heir->out_added)
		return; /* it sends already: it is no sibling that the heir has to wait for */
	sibling = heir ? sibling_of(child) : NULL;
	if (heir && !sibling)
		switch_to_heir(heir);
	else if (heir && !alive(engine, sibling->heir))
		sibling->heir = heir->id;
}

/* ------------------------------------------------------------------ timers */

static void life_begin(struct child_sa *child)
{
	const struct conn_child *cfg = child->cfg;
	struct engine *engine = child->ike->engine;
	__u64 now = engine_now(engine), rekey = (__u64)cfg->rekey_time * 1000;
	__u64 spread = (__u64)cfg->rand_time * 1000;

	child->life_end = cfg->life_time ? now + (__u64)cfg->life_time * 1000 : 0;
	if (rekey) {
		if (spread >= rekey)
			spread = rekey / 2;
		timer_set(&engine->timers, &child->life,
			  now + rekey - engine_jitter(engine, spread));
	} else if (child->life_end) {
		timer_set(&engine->timers, &child->life, child->life_end);
	}
}

/* … within its life. */
static void rekey_later(struct child_sa *child)
{
	struct engine *engine = child->ike->engine;
	__u64 again = engine_now(engine) + REKEY_RETRY_MS + engine_jitter(engine, REKEY_RETRY_MS);

	if (!child->life_end || again < child->life_end)
		timer_set(&engine->timers, &child->life, again);
}

void child_again(const struct child_sa *child)
{
	const struct conn_child *cfg;
	struct ike_conn *conn = ike_conn_of_child(child->ike->engine, child->cfg->sadb_name, &cfg);

	if (conn && child->state == CHILD_UP && !child->unwanted)
		backoff_want(conn, cfg);
}

void child_outlived(const struct child_sa *child)
{
	if (child->cfg->start_action != CONN_ACTION_NONE)
		child_again(child);
}

/* The end of its life: nobody replaced it in time. */
static void expired(struct child_sa *child)
{
	child_outlived(child);
	ike_log(child->ike, LOG_LEVEL_WARN, "child %s-%u: its life is over%s", child->cfg->name,
		child->id, child->rekey_failed ? ", it could not be rekeyed" : "");
	ike_task_child(child->ike, TASK_CHILD_CLOSE, child);
	ike_work(child->ike);
}

static void life_due(struct timer *timer)
{
	struct child_sa *child =
		(struct child_sa *)((char *)timer - offsetof(struct child_sa, life));
	struct engine *engine = child->ike->engine;

	if (child->life_end && engine_now(engine) >= child->life_end) {
		expired(child);
		return;
	}
	if (child->life_end)
		timer_set(&engine->timers, &child->life, child->life_end);
	if (child->state == CHILD_UP) {
		ike_task_child(child->ike, TASK_CHILD_REKEY, child);
		ike_work(child->ike);
	} else if (child->state == CHILD_REPLACED) {
		rekey_later(child); /* it may be back by then */
	}
}

/* UP: the peer sent nothing on it for so long that we switch anyway. REPLACED: the peer should have
 * deleted it long ago. */
static void later_due(struct timer *timer)
{
	struct child_sa *child =
		(struct child_sa *)((char *)timer - offsetof(struct child_sa, later));

	if (child->state == CHILD_UP) {
		child_switch(child);
	} else if (child->state == CHILD_REPLACED) {
		ike_task_child(child->ike, TASK_CHILD_CLOSE, child);
		ike_work(child->ike);
	}
}

void child_up(struct child_sa *child)
{
	struct engine *engine = child->ike->engine;

	child->state = CHILD_UP;
	child->up_told = true;
	backoff_over(child->conn, child->cfg);
	full_over(child->ike);
	life_begin(child);
	if (child->key_out)
		timer_set(&engine->timers, &child->later, engine_now(engine) + SWITCH_MS);
	ike_event(child->ike, IKE_EVENT_CHILD_UP, NULL, child, NULL);
	renew_done(child);
	unique_used(child->ike);
}

void child_replaced(struct child_sa *child, const struct child_sa *by)
{
	struct engine *engine;

	if (!child || child->state == CHILD_CLOSING)
		return;
	engine = child->ike->engine;
	if (by)
		ike_event(child->ike, IKE_EVENT_CHILD_REKEYED, NULL, by, child);
	child->state = CHILD_REPLACED;
	timer_set(&engine->timers, &child->later, engine_now(engine) + REPLACED_MS);
}

void child_back(struct ike_sa *ike, __u32 successor)
{
	struct timers *timers = &ike->engine->timers;
	struct child_sa *child = ike->children;

	while (child && (child->state != CHILD_REPLACED || child->successor != successor))
		child = child->next;
	if (!child)
		return;
	child->state = CHILD_UP;
	child->successor = 0;
	backoff_over(child->conn, child->cfg);
	timer_stop(timers, &child->later);
	if (child->key_out)
		timer_set(timers, &child->later, ike_now(ike) + SWITCH_MS);
	ike_log(ike, LOG_LEVEL_WARN, "child %s-%u: stays, for the peer has deleted its successor",
		child->cfg->name, child->id);
}

void child_rekey_failed(struct child_sa *child)
{
	child->rekey_failed = true;
	if (child->state == CHILD_UP)
		rekey_later(child);
}
