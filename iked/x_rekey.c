// SPDX-License-Identifier: BSD-2-Clause
/* CREATE_CHILD_SA for an IKE SA: a new one takes over the children (RFC 7296 1.3.2, 2.8, 2.18). */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/doing.h"
#include "iked/engine_state.h"
#include "iked/full.h"
#include "iked/payload_sa.h"
#include "iked/unique.h"
#include "lib/cleanup.h"

/* Same ends, other keys. */
static int copy_ends(const struct ike_sa *old, struct ike_sa *fresh)
{
	fresh->from = old->id;
	fresh->first_id = old->first_id;
	fresh->origin = old->origin;
	fresh->nat_local = old->nat_local;
	fresh->nat_remote = old->nat_remote;
	fresh->nat_fake = old->nat_fake;
	fresh->fragments = old->fragments;
	fresh->auth_local = old->auth_local;
	fresh->auth_remote = old->auth_remote;
	fresh->reauth_at = old->reauth_at;
	fresh->local_id = ident_copy(old->local_id);
	fresh->remote_id = ident_copy(old->remote_id);
	return fresh->local_id && fresh->remote_id ? 0 : -ENOMEM;
}

static int derive(struct xchg *x, const struct proposal *chosen, struct bytes peer_public)
{
	struct ike_sa *fresh = x->fresh;
	const struct transform *encr = proposal_find(chosen, TRANSFORM_ENCR);
	_cleanup_secret_ struct secret shared = {0};
	struct keymat_in in = {.nonce_i = nonce_view(&x->nonce_i),
			       .nonce_r = nonce_view(&x->nonce_r),
			       .spi_i = fresh->spi_i,
			       .spi_r = fresh->spi_r};
	int err = dh_shared(x->dh, peer_public, &shared);

	if (err)
		return err;
	in.shared = secret_view(&shared);
	err = keymat_rekey(chosen, x->ike->keys, &in, fresh->keys);
	if (err)
		return err;
	fresh->suite = (struct ike_suite){.encr = encr ? encr->id : 0,
					  .key_bits = encr ? encr->key_bits : 0,
					  .integ = proposal_id(chosen, TRANSFORM_INTEG),
					  .prf = proposal_id(chosen, TRANSFORM_PRF),
					  .ke = proposal_id(chosen, TRANSFORM_KE)};
	engine_keylog(fresh);
	return 0;
}

/* ------------------------------------------------------------------ ours */

static int offer(struct xchg *x, struct proposals *ours)
{
	struct ike_sa *ike = x->ike;
	__u16 groups[PROPOSAL_TRANSFORMS_MAX];
	int err = ike_new(ike->engine, ike->conn, true, &ike->path, &x->fresh);

	if (err)
		return err;
	err = copy_ends(ike, x->fresh);
	if (err)
		return err;
	ike_conn_proposals(ike->conn, ours);
	for (unsigned int i = 0; i < ours->n; i++) {
		ours->p[i].spi_len = sizeof(x->fresh->spi_i);
		memcpy(ours->p[i].spi, &x->fresh->spi_i, sizeof(x->fresh->spi_i));
	}
	x->group = x->task->group;
	if (!x->group && proposals_groups(ours, groups, PROPOSAL_TRANSFORMS_MAX))
		x->group = groups[0];
	nonce_make(ike->engine, &x->nonce_i);
	return dh_new(x->group, &x->dh);
}

static void failed(struct xchg *x, int err, const char *why)
{
	struct ike_sa *ike = x->ike;

	ike_log(ike, LOG_LEVEL_WARN, "cannot be rekeyed: %s", why);
	if (!ike->rekey_at)
		ike->rekey_at =
			ike_now(ike) + REKEY_RETRY_MS + engine_jitter(ike->engine, REKEY_RETRY_MS);
	ike_timers(ike);
	xchg_done(x, err, why);
	xchg_free(x);
}

bool x_rekey_begin(struct xchg *x)
{
	_cleanup_free_ struct proposals *ours = malloc(sizeof(*ours));
	int err = ours ? offer(x, ours) : -ENOMEM;

	if (!err) {
		xchg_open(x);
		ike_out_sa(&x->out, ours);
		ike_out_nonce(&x->out, nonce_view(&x->nonce_i));
		ike_out_ke(&x->out, x->group, dh_public(x->dh));
		err = xchg_request(x);
	}
	if (err)
		failed(x, err, strerror(-err));
	return !err;
}

static int take(struct xchg *x, const struct ike_msg *msg)
{
	_cleanup_free_ struct proposals *list = malloc(2 * sizeof(*list));
	struct ike_fault fault = {0};
	struct proposal chosen;

	if (!list)
		return -ENOMEM;
	ike_conn_proposals(x->ike->conn, &list[0]);
	if (!msg->sa.data || payload_sa_parse(msg->sa, &list[1], &fault) ||
	    nonce_set(&x->nonce_r, msg->nonce) ||
	    proposal_accept(&list[0], &list[1], false, &chosen) ||
	    chosen.spi_len != sizeof(x->fresh->spi_r) || msg->ke.group != x->group ||
	    proposal_id(&chosen, TRANSFORM_KE) != x->group)
		return -EBADMSG;
	memcpy(&x->fresh->spi_r, chosen.spi, sizeof(x->fresh->spi_r));
	return derive(x, &chosen, msg->ke.data);
}

/* Of two new ones the one with the lowest nonce goes, by who began it; the other takes over the
 * children, and its initiator deletes the old one (2.8.2). */
static void settle(struct xchg *x)
{
	struct ike_sa *old = x->ike, *fresh = x->fresh;
	struct ike_sa *rival = x->rival ? ike_by_id(old->engine, x->rival) : NULL;
	struct bytes lower = nonce_view(&x->rival_nonce);
	/* Replaced meanwhile: the peer has used its own. */
	bool replaced = old->state == IKE_REPLACED;
	bool loses = replaced || (rival && collide_loses(nonce_view(&x->nonce_i),
							 nonce_view(&x->nonce_r), lower, lower));

	x->fresh = NULL;
	ike_up(fresh);
	xchg_done(x, 0, "");
	xchg_free(x);
	engine_count(old->engine, old->conn, ENGINE_IKE_REKEY_INIT);
	if (loses) {
		if (!replaced)
			ike_inherit(old, rival);
		ike_log(fresh, LOG_LEVEL_INFO,
			"one too many, for the peer rekeyed at the same time");
		fresh->from = 0;
		ike_task(fresh, TASK_IKE_CLOSE);
		ike_work(fresh);
		return;
	}
	if (rival)
		ike_redundant(rival);
	ike_inherit(old, fresh);
	ike_task(old, TASK_IKE_CLOSE);
	ike_work(old);
}

static bool wants_group(struct xchg *x, const struct ike_notify *n)
{
	_cleanup_free_ struct proposals *ours = malloc(sizeof(*ours));
	__u16 group = ike_notify_group(n);
	bool offered = false;

	if (!ours || x->task->group || !group)
		return false;
	ike_conn_proposals(x->ike->conn, ours);
	for (unsigned int i = 0; i < ours->n; i++)
		offered |= proposal_has_ke(&ours->p[i], group);
	if (offered)
		x->task->group = group;
	return offered;
}

static void refused(struct xchg *x, const struct ike_notify *error)
{
	struct ike_sa *ike = x->ike;
	struct ike_sa *rival = x->rival ? ike_by_id(ike->engine, x->rival) : NULL;
	const char *name = ike_notify_name(error->type);

	if (ike->state != IKE_UP) {
		xchg_done(x, 0, "");
		xchg_free(x);
	} else if (error->type == IKE_N_INVALID_KE_PAYLOAD && !rival && wants_group(x, error)) {
		x_again(x, 0);
		xchg_free(x);
	} else if (rival) {
		/* The peer rekeyed it without having seen that we do, and is about to close it. */
		xchg_done(x, 0, "");
		xchg_free(x);
		ike_inherit(ike, rival);
	} else if (error->type == IKE_N_TEMPORARY_FAILURE) {
		x_temporary(x);
		xchg_free(x);
	} else {
		failed(x, -ECONNREFUSED, name ? name : "an error");
		if (error->type == IKE_N_NO_ADDITIONAL_SAS)
			full_rekey(ike);
	}
	ike_work(ike);
}

void x_rekey_response(struct xchg *x, const struct ike_msg *msg)
{
	const struct ike_notify *error = ike_msg_error(msg);
	struct ike_sa *ike = x->ike;

	if (error) {
		refused(x, error);
	} else if (!take(x, msg)) {
		settle(x);
	} else {
		failed(x, -EPROTO, "its answer is not what we asked for");
		ike_work(ike);
	}
}

/* ------------------------------------------------------------------ the peer's */

static int choose(struct xchg *x, const struct ike_msg *msg, struct proposal *chosen)
{
	_cleanup_free_ struct proposals *list = malloc(2 * sizeof(*list));
	struct proposal_choice how = {.ke_group = msg->ke.group};
	struct ike_fault fault = {0};
	char ours[512], theirs[512];

	if (!list)
		return -ENOMEM;
	if (payload_sa_parse(msg->sa, &list[1], &fault) || !msg->nonce.data || !msg->ke.data.data)
		return -EBADMSG;
	ike_conn_proposals(x->ike->conn, &list[0]);
	if (!proposal_choose(&list[0], &list[1], &how, chosen))
		return chosen->spi_len == sizeof(__be64) ? 0 : -EBADMSG;
	proposals_print(&list[0], ours, sizeof(ours));
	proposals_print(&list[1], theirs, sizeof(theirs));
	ike_log(x->ike, LOG_LEVEL_WARN,
		"we refuse to rekey the IKE SA: no proposal chosen; it offers %s; we take %s",
		theirs, ours);
	return -ENOENT;
}

static int make(struct xchg *x, const struct ike_msg *msg, struct proposal *chosen)
{
	struct ike_sa *ike = x->ike;
	int err = ike_new(ike->engine, ike->conn, false, &ike->path, &x->fresh);

	if (err)
		return err;
	memcpy(&x->fresh->spi_i, chosen->spi, sizeof(x->fresh->spi_i));
	x->group = msg->ke.group;
	nonce_make(ike->engine, &x->nonce_r);
	err = copy_ends(ike, x->fresh);
	if (!err)
		err = nonce_set(&x->nonce_i, msg->nonce);
	if (!err)
		err = dh_new(x->group, &x->dh);
	if (!err)
		err = derive(x, chosen, msg->ke.data);
	memcpy(chosen->spi, &x->fresh->spi_r, sizeof(x->fresh->spi_r));
	return err;
}

static void answer_with(struct xchg *x, const struct proposal *chosen, bool rival)
{
	struct ike_sa *ike = x->ike, *fresh = x->fresh;
	struct bytes lower = collide_lower(nonce_view(&x->nonce_i), nonce_view(&x->nonce_r));

	if (rival) {
		ike->rival = ike->ours->rival = fresh->id;
		nonce_set(&ike->ours->rival_nonce, lower);
	}
	xchg_open(x);
	ike_out_chosen(&x->out, chosen);
	ike_out_nonce(&x->out, nonce_view(&x->nonce_r));
	ike_out_ke(&x->out, x->group, dh_public(x->dh));
	x->fresh = NULL;
	ike_up(fresh);
	engine_count(ike->engine, ike->conn, ENGINE_IKE_REKEY_RESP);
	xchg_respond(x);
	if (!rival)
		ike_inherit(ike, fresh);
}

void x_rekey_request(struct xchg *x, const struct ike_msg *msg)
{
	struct ike_sa *ike = x->ike;
	enum collide_answer answer = collide(ASK_IKE_REKEY, ike_doing(ike, NULL), true);
	struct proposal chosen;
	__be16 group;
	int err;

	if (answer == ANSWER_TEMPORARY || ike_rival(ike)) {
		xchg_refuse(x, IKE_N_TEMPORARY_FAILURE, BYTES_NONE);
		return;
	}
	err = choose(x, msg, &chosen);
	if (!err && proposal_id(&chosen, TRANSFORM_KE) != msg->ke.group) {
		group = htons(proposal_id(&chosen, TRANSFORM_KE));
		xchg_refuse(x, IKE_N_INVALID_KE_PAYLOAD, BYTES_OF(group));
		return;
	}
	/* who never deletes what it has rekeyed leaves a chain of them */
	unique_room(ike, true, NULL, 0);
	if (!err)
		err = make(x, msg, &chosen);
	if (!err)
		answer_with(x, &chosen, answer == ANSWER_RIVAL);
	else if (err == -EBADMSG)
		xchg_refuse(x, IKE_N_INVALID_SYNTAX, BYTES_NONE);
	else
		xchg_refuse(x, err == -ENOENT ? IKE_N_NO_PROPOSAL_CHOSEN : IKE_N_TEMPORARY_FAILURE,
			    BYTES_NONE);
}
