// SPDX-License-Identifier: BSD-2-Clause
/* CREATE_CHILD_SA for a child: a new one, or one that takes another's place (RFC 7296 1.3, 2.8). */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/backoff.h"
#include "iked/child_make.h"
#include "iked/collide.h"
#include "iked/doing.h"
#include "iked/engine_state.h"
#include "iked/full.h"
#include "iked/payload_sa.h"
#include "iked/setup.h"
#include "iked/unique.h"

static enum proposal_protocol protocol_of(const struct child_sa *child)
{
	return child->l4_proto == IPPROTO_AH ? PROPOSAL_AH : PROPOSAL_ESP;
}

/* ------------------------------------------------------------------ ours: the request */

/* Is it wanted still? What a task was for may have happened by the peer's doing. */
static struct child_sa *to_rekey(const struct xchg *x)
{
	struct child_sa *old;

	if (x->task->kind != TASK_CHILD_REKEY)
		return NULL;
	old = child_by_id(x->ike->engine, x->task->child);
	return old && old->ike == x->ike ? old : NULL;
}

bool x_child_begin(struct xchg *x)
{
	struct child_sa *old = to_rekey(x);
	struct ike_conn *conn = old ? old->conn : x->task->conn;
	const struct conn_child *cfg = old ? old->cfg : x->task->cfg;

	if (x->task->kind == TASK_CHILD_REKEY && !old) {
		xchg_done(x, 0, "");
		xchg_free(x);
		return false;
	}
	x->group = x->task->group;
	xchg_open(x);
	if (old) {
		x->rekeys = old->id;
		ike_out_notify(&x->out, protocol_of(old), BYTES_OF(old->spi_in), IKE_N_REKEY_SA,
			       BYTES_NONE);
	}
	if (child_offer(x, conn, cfg) || xchg_request(x)) {
		xchg_done(x, -EIO, "the request could not be made");
		xchg_free(x);
		return false;
	}
	return true;
}

/* ------------------------------------------------------------------ ours: the response */

/* It goes back into the queue, in front, for later. */
void x_again(struct xchg *x, __u64 wait)
{
	struct ike_sa *ike = x->ike;
	struct task *task = x->task;

	x->task = NULL;
	task->not_before = wait ? ike_now(ike) + wait + engine_jitter(ike->engine, wait) : 0;
	task->next = ike->tasks;
	ike->tasks = task;
	ike->n_tasks++;
}

bool x_temporary(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	__u64 now = ike_now(ike);

	if (!x->task->first_try)
		x->task->first_try = now ? now : 1;
	if (now - x->task->first_try < TEMPORARY_MAX_MS) {
		x_again(x, TEMPORARY_MS);
		return true;
	}
	/* 2.25: after several minutes the two do not agree any more on what there is. */
	ike_log(ike, LOG_LEVEL_WARN, "TEMPORARY_FAILURE for minutes: the IKE SA is closed");
	ike_outlived(ike);
	return false;
}

/* The peer does not have what we rekey (2.25): ours goes, and a new one is made. If the peer
 * replaced it meanwhile, there is nothing to do (2.8.1). */
static void not_found(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	struct child_sa *old = child_by_id(ike->engine, x->rekeys);
	struct task *task;

	if (x->rival || !old || old->state == CHILD_REPLACED)
		return;
	ike_log(ike, LOG_LEVEL_WARN, "child %s-%u: the peer does not have it; it is made anew",
		old->cfg->name, old->id);
	task = ike_task(ike, TASK_CHILD);
	if (task) {
		task->conn = ike_conn_ref(old->conn);
		task->cfg = old->cfg;
	}
	child_free(old, false);
}

static bool wants_group(struct xchg *x, const struct ike_notify *n)
{
	struct proposals *ours = malloc(sizeof(*ours));
	__u16 group = ike_notify_group(n);
	bool offered = false;

	if (!ours)
		return false;
	ike_child_proposals(x->child->cfg, ours);
	for (unsigned int i = 0; i < ours->n; i++)
		offered |= proposal_has_ke(&ours->p[i], group);
	free(ours);
	if (!offered || !group || x->task->group)
		return false;
	x->task->group = group;
	return true;
}

static void refused(struct xchg *x, const struct ike_notify *error)
{
	struct child_sa *old = child_by_id(x->ike->engine, x->rekeys);
	const char *name = ike_notify_name(error->type), *text = name ? name : "an error";

	if (x->rival)
		child_replaced(old, child_by_id(x->ike->engine, x->rival));
	if (error->type == IKE_N_INVALID_KE_PAYLOAD && wants_group(x, error)) {
		x_again(x, 0);
		return;
	}
	if (error->type == IKE_N_TEMPORARY_FAILURE && !x->rival && (!x->rekeys || old)) {
		x_temporary(x);
		return;
	}
	if (error->type == IKE_N_CHILD_SA_NOT_FOUND && x->rekeys) {
		not_found(x);
		xchg_done(x, 0, "");
		return;
	}
	if (x->rekeys)
		ike_log(x->ike, x->rival ? LOG_LEVEL_INFO : LOG_LEVEL_WARN,
			"child %s: the peer refused to rekey it: %s", x->child->cfg->name, text);
	else
		child_refused(x, error);
	if (old && !x->rival) {
		child_rekey_failed(old);
		if (error->type == IKE_N_NO_ADDITIONAL_SAS)
			full_rekey(x->ike);
	}
	xchg_done(x, -ECONNREFUSED, text);
}

/*
 * Both have answered both: the exchange with the lowest nonce is given up by who began it (2.8.1),
 * the other's initiator deletes what was rekeyed.
 */
static bool loses(const struct xchg *x)
{
	const struct engine *engine = x->ike->engine;
	struct bytes rival = nonce_view(&x->rival_nonce);

	if (!x->rival)
		return false;
	/* Who deletes what was rekeyed has won, and may have gone on to the next since then. */
	if (!child_by_id(engine, x->rekeys))
		return true;
	return child_by_id(engine, x->rival) &&
	       collide_loses(nonce_view(&x->nonce_i), nonce_view(&x->nonce_r), rival, rival);
}

static void rekeyed(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	struct child_sa *old = child_by_id(ike->engine, x->rekeys);
	struct child_sa *rival = x->rival ? child_by_id(ike->engine, x->rival) : NULL;
	struct child_sa *fresh = child_made(x);

	if (x->rekeys)
		engine_count(ike->engine, ike->conn, ENGINE_CHILD_REKEY);
	if (old) {
		ike_event(ike, IKE_EVENT_CHILD_REKEYED, NULL, fresh, old);
		if (old->unwanted)
			ike_task_child(ike, TASK_CHILD_CLOSE, fresh);
		ike_task_child(ike, TASK_CHILD_CLOSE, old);
	}
	child_replaced(rival, NULL); /* the peer deletes it */
}

static void lost(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	struct child_sa *old = child_by_id(ike->engine, x->rekeys);
	struct child_sa *redundant = child_made(x);

	ike_log(ike, LOG_LEVEL_INFO,
		"child %s-%u: one too many, for the peer rekeyed at the same time",
		redundant->cfg->name, redundant->id);
	ike_task_child(ike, TASK_CHILD_CLOSE, redundant);
	child_replaced(old, child_by_id(ike->engine, x->rival)); /* the peer deletes it */
}

/* It was built, but xipsecd would not have it: the peer should not keep its half. */
static void half_made(struct xchg *x, int err, const char *text)
{
	struct ike_sa *ike = x->ike;
	struct child_sa *old = child_by_id(ike->engine, x->rekeys);

	if (old)
		ike_log(ike, LOG_LEVEL_ERROR, "child %s: xipsecd refused its successor: %s",
			x->child->cfg->name, text);
	else
		backoff_failed(ike, x->child->conn, x->child->cfg, "xipsecd refused it: %s", text);
	if (old)
		child_rekey_failed(old);
	child_half(x);
	xchg_done(x, err, text);
}

static bool doomed(const struct xchg *x)
{
	for (unsigned int i = 0; i < x->n_doomed; i++)
		if (x->doomed[i] == x->child->spi_out)
			return true;
	return false;
}

static void installed(struct xchg *x, int err, const char *text)
{
	struct ike_sa *ike = x->ike;
	struct child_sa *old = child_by_id(ike->engine, x->rekeys);

	if (doomed(x)) {
		/* made and deleted before we heard of it, and not for the sake of the old one */
		if (old)
			ike_task_child(ike, TASK_CHILD_CLOSE, old);
		err = -ECONNRESET;
		text = "the peer has deleted it again";
	} else if (err)
		half_made(x, err, text);
	else if (loses(x))
		lost(x);
	else
		rekeyed(x);
	xchg_done(x, err, text ? text : "");
	xchg_free(x);
	ike_work(ike);
	setup_complete(ike);
}

/* Both halves are installed one after the other, and the second is the switch: whether we win is
 * asked before each. */
static void in_installed(struct xchg *x, int err, const char *text)
{
	if (!err && !loses(x)) {
		child_install_out(x, installed);
		return;
	}
	installed(x, err, text);
}

void x_child_response(struct xchg *x, const struct ike_msg *msg)
{
	struct ike_sa *ike = x->ike;
	const struct ike_notify *error = ike_msg_error(msg);

	if (error) {
		refused(x, error);
	} else if (!child_take(x, msg)) {
		child_install(x, false, in_installed);
		return;
	} else {
		struct child_sa *old = child_by_id(ike->engine, x->rekeys);

		if (old)
			child_rekey_failed(old);
		child_half(x);
		xchg_done(x, -EPROTO, "its answer is not what we asked for");
	}
	xchg_free(x);
	ike_work(ike);
	setup_complete(ike);
}

/* ------------------------------------------------------------------ the peer's */

static void peers_installed(struct xchg *x, int err, const char *text)
{
	struct ike_sa *ike = x->ike;
	struct child_sa *old = child_by_id(ike->engine, x->rekeys), *fresh;
	bool rival = ike->ours && ike->ours->rival == x->child->id;
	/* Our own exchange has won while xipsecd was at work. */
	bool redundant = x->child->state == CHILD_REPLACED;

	if (err) {
		backoff_failed(ike, x->child->conn, x->child->cfg,
			       "xipsecd refused what the peer asks for: %s", text);
		/* While xipsecd is away it is nothing that stays so (2.25). */
		xchg_refuse(
			x, child_sadb_away(err) ? IKE_N_TEMPORARY_FAILURE : IKE_N_NO_ADDITIONAL_SAS,
			BYTES_NONE);
		ike_work(ike);
		return;
	}
	xchg_open(x);
	child_answer(x);
	fresh = child_made(x);
	if (redundant)
		child_replaced(fresh, NULL);
	else if (old && old->unwanted)
		ike_task_child(ike, TASK_CHILD_CLOSE, fresh);
	if (!old)
		old = unique_twin(ike, fresh->cfg, fresh);
	if (old && !redundant)
		child_followed(old, fresh);
	if (x->rekeys)
		engine_count(ike->engine, ike->conn, ENGINE_CHILD_REKEY);
	if (x->rekeys && !rival)
		child_replaced(old, fresh);
	if (!old)
		child_switch(fresh);
	xchg_respond(x);
	ike_work(ike);
}

static void note_rival(struct xchg *x)
{
	struct xchg *ours = x->ike->ours;
	struct bytes lower = collide_lower(nonce_view(&x->nonce_i), nonce_view(&x->nonce_r));

	ours->rival = x->child->id;
	nonce_set(&ours->rival_nonce, lower);
}

static void refuse(struct xchg *x, const struct refusal *why)
{
	if (why->notify == IKE_N_INVALID_KE_PAYLOAD)
		xchg_refuse(x, why->notify, BYTES_OF(why->group));
	else
		xchg_refuse(x, why->notify, BYTES_NONE);
}

static bool is_ike(const struct ike_msg *msg)
{
	/* protocol of the first proposal (3.3.1): its second octet but one */
	return msg->sa.len > 5 && msg->sa.data[5] == PROPOSAL_IKE;
}

void x_child_request(struct xchg *x, const struct ike_msg *msg)
{
	const struct ike_notify *n = ike_msg_notify(msg, IKE_N_REKEY_SA);
	struct ike_sa *ike = x->ike;
	struct child_sa *old = NULL;
	struct refusal why = {0};
	enum collide_answer answer;
	__be32 spi = 0;

	if (!n && is_ike(msg)) {
		x_rekey_request(x, msg);
		return;
	}
	if (n && n->spi.len == sizeof(spi)) {
		memcpy(&spi, n->spi.data, sizeof(spi));
		old = child_by_spi_out(ike, spi);
		if (old && old->state == CHILD_MAKING)
			old = NULL;
	}
	answer = collide(n ? ASK_CHILD_REKEY : ASK_CHILD_NEW, ike_doing(ike, old), old);
	if (answer == ANSWER_TEMPORARY) {
		xchg_refuse(x, IKE_N_TEMPORARY_FAILURE, BYTES_NONE);
	} else if (answer == ANSWER_NOT_FOUND) {
		xchg_open(x);
		ike_out_notify(&x->out, n->protocol, n->spi, IKE_N_CHILD_SA_NOT_FOUND, BYTES_NONE);
		xchg_respond(x);
	} else if (child_choose(x, msg, old, &why)) {
		refuse(x, &why);
	} else {
		x->rekeys = old ? old->id : 0;
		if (answer == ANSWER_RIVAL)
			note_rival(x);
		child_install(x, !old && !unique_twin(ike, x->child->cfg, x->child),
			      peers_installed);
		return;
	}
	ike_work(ike);
}
