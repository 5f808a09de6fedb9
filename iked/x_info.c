// SPDX-License-Identifier: BSD-2-Clause
/* INFORMATIONAL (RFC 7296 1.4): deletes, and is the peer alive? */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "iked/doing.h"
#include "iked/engine_state.h"
#include "iked/setup.h"

static enum proposal_protocol protocol_of(const struct child_sa *child)
{
	return child->l4_proto == IPPROTO_AH ? PROPOSAL_AH : PROPOSAL_ESP;
}

/* ------------------------------------------------------------------ ours */

static bool write_request(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	const struct child_sa *child;

	switch (x->task->kind) {
	case TASK_CHILD_CLOSE:
		child = child_by_id(ike->engine, x->task->child);
		if (!child || child->ike != ike)
			return false;
		ike_out_delete(&x->out, protocol_of(child), &child->spi_in, 1);
		return true;
	case TASK_IKE_CLOSE:
		if (ike->state == IKE_UP)
			ike->state = IKE_CLOSING;
		ike_out_delete_ike(&x->out);
		return true;
	case TASK_INVALID_SPI:
		ike_out_notify(&x->out, 0, BYTES_NONE, IKE_N_INVALID_SPI, BYTES_OF(x->task->spi));
		return true;
	case TASK_INVALID_SELECTORS:
		child = child_by_id(ike->engine, x->task->child);
		if (!child || child->ike != ike)
			return false;
		ike_out_notify(&x->out, protocol_of(child), BYTES_OF(child->spi_in),
			       IKE_N_INVALID_SELECTORS,
			       BYTES(x->task->header, x->task->header_len));
		return true;
	default: return true; /* TASK_DPD: empty (2.4) */
	}
}

bool x_info_begin(struct xchg *x)
{
	xchg_open(x);
	if (write_request(x) && !xchg_request(x))
		return true;
	xchg_done(x, 0, "");
	xchg_free(x);
	return false;
}

void x_info_response(struct xchg *x, const struct ike_msg *msg)
{
	struct ike_sa *ike = x->ike;
	enum task_kind kind = x->task ? x->task->kind : TASK_AUTH_FAILED;
	struct child_sa *child;

	if (kind == TASK_AUTH_FAILED) {
		setup_failed(ike, "the peer is not who it should be");
		return;
	}
	if (kind == TASK_CHILD_CLOSE) {
		child = child_by_id(ike->engine, x->task->child);
		if (child)
			child_free(child, false);
	}
	xchg_done(x, 0, "");
	xchg_free(x);
	if (kind == TASK_IKE_CLOSE) {
		ike_log(ike, LOG_LEVEL_INFO, "closed");
		ike_gone(ike, false);
	}
	ike_work(ike);
}

/* ------------------------------------------------------------------ the peer's: children */

static void close_child(struct child_sa *child)
{
	struct ike_sa *ike = child->ike;
	__u32 id = child->id;

	if (child->state == CHILD_UP)
		ike_log(ike, LOG_LEVEL_INFO, "child %s-%u: deleted by the peer", child->cfg->name,
			child->id);
	if (child->cfg->close_action == CONN_ACTION_START)
		child_again(child);
	child_free(child, false);
	child_back(ike, id);
}

/* The answer that tells us of it has not come yet: remember it, or it would live on here alone. */
static void note_doomed(struct ike_sa *ike, __be32 spi)
{
	struct xchg *ours = ike->ours;

	if (ours && ours->child && ours->n_doomed < XCHG_DOOMED_MAX)
		ours->doomed[ours->n_doomed++] = spi;
}

/* One Delete payload of ours answers one of theirs, with the other halves (1.4.1). */
static void close_children(struct xchg *x, const struct ike_delete *del)
{
	struct ike_sa *ike = x->ike;
	__be32 spis[IKE_CHILDREN_MAX];
	unsigned int n = 0;

	for (unsigned int i = 0; i < del->n && n < IKE_CHILDREN_MAX; i++) {
		__be32 spi = ike_delete_spi(del, i);
		struct child_sa *child = child_by_spi_out(ike, spi);
		enum collide_answer answer = collide(ASK_CHILD_CLOSE, ike_doing(ike, child), child);

		if (!child || child->state == CHILD_MAKING) {
			note_doomed(ike, spi);
			continue;
		}
		if (answer == ANSWER_EMPTY || protocol_of(child) != del->protocol)
			continue;
		spis[n++] = child->spi_in;
		close_child(child);
	}
	if (n)
		ike_out_delete(&x->out, del->protocol, spis, n);
}

/* ------------------------------------------------------------------ the peer's: the IKE SA */

static bool closes_ike(const struct ike_msg *msg)
{
	for (unsigned int i = 0; i < msg->n_del; i++)
		if (msg->del[i].protocol == PROPOSAL_IKE)
			return true;
	return false;
}

/* 2.25.2: answered as usual, whatever we are doing. If we were rekeying it, and the peer was too,
 * its new one is the one that counts (2.8.2). */
static void close_ike(struct xchg *x)
{
	struct ike_sa *ike = x->ike, *rival = NULL;
	bool replaced = ike->state == IKE_REPLACED;

	if (ike->ours && ike->ours->rival && ike->state == IKE_UP)
		rival = ike_by_id(ike->engine, ike->ours->rival);
	xchg_respond(x);
	if (rival && rival->state == IKE_UP) {
		ike_inherit(ike, rival);
		replaced = true;
	}
	ike_log(ike, LOG_LEVEL_INFO, "closed by the peer");
	if (replaced)
		ike_gone(ike, false);
	else
		ike_closed_by_peer(ike);
}

/* The peer gets ESP of us for which it has no SA any more (1.5). It is authentic here: what it
 * means is rekeyed, and CHILD_SA_NOT_FOUND will have it made anew. A young one may only be ahead of
 * it. */
static void spi_unknown(struct ike_sa *ike, const struct ike_notify *n)
{
	struct child_sa *child;
	__be32 spi;

	if (n->data.len != sizeof(spi))
		return;
	memcpy(&spi, n->data.data, sizeof(spi));
	child = child_by_spi_out(ike, spi);
	if (!child || child->state != CHILD_UP || ike_now(ike) - child->since < INVALID_SPI_MS)
		return;
	ike_log(ike, LOG_LEVEL_WARN, "child %s-%u: the peer does not know its SPI: rekeyed",
		child->cfg->name, child->id);
	ike_task_child(ike, TASK_CHILD_REKEY, child);
}

static void told(struct ike_sa *ike, const struct ike_notify *n)
{
	const char *name = ike_notify_name(n->type);
	const struct child_sa *child = NULL;
	__be32 spi;

	if (n->type >= IKE_NOTIFY_STATUS)
		return;
	if (n->spi.len == sizeof(spi)) {
		memcpy(&spi, n->spi.data, sizeof(spi));
		child = child_by_spi_out(ike, spi);
	}
	if (child)
		ike_log(ike, LOG_LEVEL_WARN, "child %s-%u: the peer says: %s (%u)",
			child->cfg->name, child->id, name ? name : "error", n->type);
	else
		ike_log(ike, LOG_LEVEL_WARN, "the peer says: %s (%u)", name ? name : "error",
			n->type);
	if (n->type == IKE_N_INVALID_SPI)
		spi_unknown(ike, n);
}

void x_info_request(struct xchg *x, const struct ike_msg *msg)
{
	struct ike_sa *ike = x->ike;

	for (unsigned int i = 0; i < msg->n_notify; i++)
		told(ike, &msg->notify[i]);
	xchg_open(x);
	if (closes_ike(msg)) {
		close_ike(x);
		return;
	}
	if (ike_msg_notify(msg, IKE_N_AUTHENTICATION_FAILED)) {
		/* it does not believe us after all (2.21.2) */
		xchg_respond(x);
		ike_closed_by_peer(ike);
		return;
	}
	for (unsigned int i = 0; i < msg->n_del; i++)
		if (msg->del[i].protocol == PROPOSAL_ESP || msg->del[i].protocol == PROPOSAL_AH)
			close_children(x, &msg->del[i]);
	xchg_respond(x);
	ike_work(ike);
}
