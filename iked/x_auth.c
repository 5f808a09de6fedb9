// SPDX-License-Identifier: BSD-2-Clause
/* IKE_AUTH (RFC 7296 1.2, 2.15): who are they; and the first child. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/auth.h"
#include "iked/backoff.h"
#include "iked/child_make.h"
#include "iked/engine_state.h"
#include "iked/peer_auth.h"
#include "iked/setup.h"
#include "iked/unique.h"
#include "iked/wishes.h"
#include "lib/cleanup.h"

/* ------------------------------------------------------------------ what both ends do */

static void ask_auth(struct xchg *x, void (*then)(struct xchg *x, const struct answer *answer))
{
	struct ike_sa *ike = x->ike;
	const struct ike_setup *s = ike->setup;
	__u16 hashes[16];
	const struct nonce *nonce = ike->initiator ? &s->nonce_r : &s->nonce_i;
	struct ike_auth_ask ask = {.conn = ike->conn->model.name,
				   .path = &ike->path,
				   .initiator = ike->initiator,
				   .prf = ike->suite.prf,
				   .message = s->own,
				   .message_len = s->own_len,
				   .nonce = nonce->data,
				   .nonce_len = nonce->len,
				   .sk_p = ike->initiator ? ike->keys->sk_pi : ike->keys->sk_pr,
				   .sk_p_len = ike->keys->len,
				   .hashes = hashes};
	_cleanup_writer_ struct writer id = {0};

	for (unsigned int i = 0; i < 16; i++)
		if (s->hashes & 1u << i)
			hashes[ask.n_hashes++] = i;
	/* whose pre-shared key it is; the initiator does not know yet who will answer */
	if (ike->remote_id)
		auth_id_body(&id, ike->remote_id->type,
			     BYTES(ike->remote_id->data, ike->remote_id->len));
	ask.id = id.data;
	ask.id_len = id.len;
	ike->engine->env.auth_make(ike->engine->env.ctx, xchg_ask(x, then), &ask);
}

static void add_certs(const struct ike_sa *ike, struct ike_out *out)
{
	const struct conn *model = &ike->conn->model;

	if (model->local.kind != CONN_AUTH_PUBKEY || model->send_cert == CONN_SEND_CERT_NEVER ||
	    (model->send_cert == CONN_SEND_CERT_IFASKED && !ike->setup->certreq))
		return;
	for (unsigned int i = 0; i < model->local.certs.n && i < CERT_CHAIN_MAX; i++) {
		const struct conn_blob *blob = &model->local.certs.blob[i];

		if (blob->data)
			ike_out_cert(out, IKE_CERT_X509_SIGNATURE, BYTES(blob->data, blob->len));
	}
}

static void established(struct ike_sa *ike)
{
	char id[IDENT_TEXT_MAX];

	ident_print(ike->remote_id, id, sizeof(id));
	ike_log(ike, LOG_LEVEL_INFO, "established with %s%s%s", id,
		ike->nat_local ? ", we are behind a NAT" : "",
		ike->nat_remote ? ", the peer is behind a NAT" : "");
	ike->conn->tries = 0;
	ike->conn->acquire_at = 0;
	timer_stop(&ike->engine->timers, &ike->conn->retry);
	ike_up(ike);
}

/* ------------------------------------------------------------------ initiator: the request */

static struct task *first_child(struct ike_sa *ike)
{
	struct task **at = &ike->tasks, *task;

	while ((task = *at) && task->kind != TASK_CHILD)
		at = &task->next;
	if (!task)
		return NULL;
	*at = task->next;
	task->next = NULL;
	ike->n_tasks--;
	return task;
}

static void auth_made(struct xchg *x, const struct answer *answer)
{
	struct ike_sa *ike = x->ike;
	const struct ident *remote = ike->conn->remote_id;
	_cleanup_wishes_ struct wishes wishes = {0};
	int err = answer->err;

	if (err) {
		setup_failed(ike, "we could not authenticate ourselves: no key or secret fits");
		return;
	}
	ike->auth_local = answer->method;
	xchg_open(x);
	ike_out_id(&x->out, IKE_PL_IDI, ike->local_id);
	add_certs(ike, &x->out);
	if (unique_first(ike))
		ike_out_status(&x->out, IKE_N_INITIAL_CONTACT);
	wishes_of(ike->conn, &wishes);
	wishes_certreq(&wishes, ike->engine, &x->out);
	if (remote && !ident_is_pattern(remote))
		ike_out_id(&x->out, IKE_PL_IDR, remote);
	ike_out_auth(&x->out, answer->method, answer->data);
	if (x->task)
		err = child_offer(x, x->task->conn, x->task->cfg);
	if (!err)
		err = xchg_request(x);
	if (err)
		setup_failed(ike, strerror(-err));
}

void x_auth_begin(struct ike_sa *ike)
{
	struct xchg *x = xchg_new(ike, true, IKE_AUTH);

	free(ike->local_id);
	ike->local_id = peer_auth_own_id(ike->conn, &ike->path);
	if (!x || !ike->local_id) {
		setup_failed(ike, "no memory");
		return;
	}
	x->initial = true;
	x->task = first_child(ike);
	ask_auth(x, auth_made);
}

/* ------------------------------------------------------------------ initiator: the response */

/* The IKE SA is up, with its child or without. */
static void initiator_up(struct xchg *x, int err, const char *text)
{
	struct ike_sa *ike = x->ike;

	established(ike);
	if (err) {
		if (x->child && x->keys)
			backoff_failed(ike, x->child->conn, x->child->cfg, "xipsecd refused it: %s",
				       text);
		xchg_done(x, err, text);
		if (x->child && x->accepted)
			child_half(x);
	} else if (x->child) {
		child_made(x);
		xchg_done(x, 0, "");
	}
	xchg_free(x);
	unique_check(ike, 0);
	ike_work(ike);
	setup_complete(ike);
}

/* The responder believes that we are established: tell it that we are not (2.21.2). */
static void disown(struct xchg *x)
{
	struct ike_sa *ike = x->ike;

	for (struct task *task = ike->tasks; task; task = task->next) {
		engine_done(ike->engine, task->ref, -EACCES, "the peer is not who it should be");
		task->ref = 0;
	}
	xchg_done(x, -EACCES, "the peer is not who it should be");
	xchg_free(x);
	x = xchg_new(ike, true, INFORMATIONAL);
	if (!x) {
		setup_failed(ike, "no memory");
		return;
	}
	xchg_open(x);
	ike_out_status(&x->out, IKE_N_AUTHENTICATION_FAILED);
	if (xchg_request(x))
		setup_failed(ike, "no memory");
}

static void peer_checked(struct xchg *x, const struct answer *answer)
{
	struct ike_sa *ike = x->ike;

	if (!answer->err) {
		if (x->keys)
			child_install(x, true, initiator_up);
		else if (x->accepted)
			initiator_up(x, -EPROTO, "its answer is not what we asked for");
		else
			initiator_up(x, x->child ? -ECONNREFUSED : 0, "the peer refused it");
		return;
	}
	engine_count(ike->engine, ike->conn, ENGINE_AUTH_FAILED);
	ike_log(ike, LOG_LEVEL_WARN, "we do not believe the peer: %s",
		answer->text && *answer->text ? answer->text : "its AUTH is wrong");
	disown(x);
}

static int check_id(struct ike_sa *ike, const struct ike_id *id, char *why, size_t size)
{
	char want[IDENT_TEXT_MAX] = "%any", is[IDENT_TEXT_MAX] = "?";
	int err = ident_of_payload(id, &ike->remote_id, why, size);

	if (err)
		return -EACCES;
	if (!ike->conn->remote_id || ident_match(ike->conn->remote_id, ike->remote_id))
		return 0;
	ident_print(ike->conn->remote_id, want, sizeof(want));
	ident_print(ike->remote_id, is, sizeof(is));
	snprintf(why, size, "it is %.100s, we want %.100s", is, want);
	return -EACCES;
}

/* Which child the peer made of the one that we asked for; refused ones are told. */
static void take_child(struct xchg *x, const struct ike_msg *msg)
{
	const struct ike_notify *error = ike_msg_error(msg);

	if (!x->child)
		return;
	x->accepted = !error && msg->sa.data;
	if (x->accepted)
		child_take(x, msg);
	else
		child_refused(x, error);
}

void x_auth_response(struct xchg *x, const struct ike_msg *msg)
{
	struct ike_sa *ike = x->ike;
	const struct ike_notify *error = ike_msg_error(msg);
	char why[320] = "";
	struct answer answer = {.err = -EACCES, .text = why};

	if (!msg->id_r.body.data || !msg->auth.data.data) {
		snprintf(why, sizeof(why), "the peer refused us: %s",
			 error && ike_notify_name(error->type) ? ike_notify_name(error->type)
							       : "its IKE_AUTH lacks IDr or AUTH");
		if (error && error->type == IKE_N_AUTHENTICATION_FAILED)
			engine_count(ike->engine, ike->conn, ENGINE_AUTH_FAILED);
		setup_failed(ike, why);
		return;
	}
	if (check_id(ike, &msg->id_r, why, sizeof(why))) {
		peer_checked(x, &answer);
		return;
	}
	/* Read now, for the message is gone when the parent answers; installed after that alone. */
	take_child(x, msg);
	peer_auth_check(x, msg, &msg->id_r, peer_checked);
}

/* ------------------------------------------------------------------ responder */

static void refuse(struct xchg *x, const char *why)
{
	struct ike_sa *ike = x->ike;

	engine_count(ike->engine, ike->conn, ENGINE_AUTH_FAILED);
	ike_log(ike, LOG_LEVEL_WARN, "we refuse it: %s", why);
	xchg_refuse(x, IKE_N_AUTHENTICATION_FAILED, BYTES_NONE);
	ike_gone(ike, true);
}

struct later {
	struct proposal chosen; /* first: child_answer() reads it */
	struct refusal refusal;
	__u64 initial_contact; /* unique_check() */
	__u8 method;
	size_t auth_len;
	__u8 auth[IKE_AUTH_MAX];
};

/* We go on sending on what it had before until it uses the new one. */
static void note_successor(struct child_sa *fresh)
{
	struct child_sa *old = unique_twin(fresh->ike, fresh->cfg, fresh);

	if (old && !fresh->out_added)
		child_followed(old, fresh);
	else
		child_switch(fresh);
}

static void responder_up(struct xchg *x, int err, const char *text)
{
	struct ike_sa *ike = x->ike;
	struct later *l = x->arg;
	__u64 initial_contact = l->initial_contact;
	char why[128];

	/* others of that peer may have got up while xipsecd thought */
	if (!unique_room(x->ike, false, why, sizeof(why))) {
		refuse(x, why);
		return;
	}
	if (err) {
		backoff_failed(ike, x->child->conn, x->child->cfg,
			       "xipsecd refused what the peer asks for: %s", text);
		l->refusal.notify = IKE_N_NO_ADDITIONAL_SAS;
		child_free(x->child, true);
		x->child = NULL;
	}
	xchg_open(x);
	ike_out_id(&x->out, IKE_PL_IDR, ike->local_id);
	add_certs(ike, &x->out);
	ike_out_auth(&x->out, l->method, BYTES(l->auth, l->auth_len));
	if (x->child)
		child_answer(x);
	else if (l->refusal.notify)
		ike_out_status(&x->out, l->refusal.notify);
	established(ike);
	if (x->child)
		note_successor(child_made(x));
	xchg_respond(x);
	unique_check(ike, initial_contact);
	ike_work(ike);
}

static void own_auth_made(struct xchg *x, const struct answer *answer)
{
	struct later *l = x->arg;

	if (answer->err || answer->data.len > sizeof(l->auth)) {
		refuse(x, "we could not authenticate ourselves: no key or secret fits");
		return;
	}
	x->ike->auth_local = answer->method;
	l->method = answer->method;
	l->auth_len = answer->data.len;
	memcpy(l->auth, answer->data.data, answer->data.len);
	if (x->child)
		child_install(x, !unique_twin(x->ike, x->child->cfg, x->child), responder_up);
	else
		responder_up(x, 0, "");
}

static void initiator_checked(struct xchg *x, const struct answer *answer)
{
	const struct later *l = x->arg;
	char why[128];

	if (answer->err)
		refuse(x, answer->text && *answer->text ? answer->text : "its AUTH is wrong");
	else if ((!l->initial_contact && unique_refuses(x->ike, why, sizeof(why))) ||
		 !unique_room(x->ike, false, why, sizeof(why)))
		refuse(x, why);
	else
		ask_auth(x, own_auth_made);
}

/* Identities choose the connection; addresses alone had to do so far. */
static int choose_conn(struct xchg *x, const struct ike_msg *msg, char *why, size_t size)
{
	struct ike_sa *ike = x->ike;
	_cleanup_free_ struct ident *wanted = NULL;
	char id[IDENT_TEXT_MAX] = "?", text[IDENT_TEXT_MAX] = "%any";
	struct ike_conn *conn;

	if (ident_of_payload(&msg->id_i, &ike->remote_id, why, size) ||
	    (msg->id_r.body.data && ident_of_payload(&msg->id_r, &wanted, why, size)))
		return -EACCES;
	conn = peer_auth_choose(ike, ike->remote_id, wanted, msg->auth.method);
	if (!conn) {
		ident_print(ike->remote_id, id, sizeof(id));
		if (wanted)
			ident_print(wanted, text, sizeof(text));
		snprintf(why, size,
			 "no connection is for %.100s (AUTH method %u), which wants %.100s", id,
			 msg->auth.method, text);
		return -EACCES;
	}
	if (ike_set_conn(ike, conn))
		return -ENOMEM;
	ike->fragments = ike->setup->fragments && conn->model.fragmentation != CONN_FRAG_NO;
	ike->local_id = peer_auth_own_id(conn, &ike->path);
	return ike->local_id ? 0 : -ENOMEM;
}

static void choose_child(struct xchg *x, const struct ike_msg *msg, struct later *l)
{
	if (!msg->sa.data || child_choose(x, msg, NULL, &l->refusal))
		return;
	memcpy(&l->chosen, x->arg, sizeof(l->chosen));
	free(x->arg);
	x->arg = NULL;
}

void x_auth_request(struct xchg *x, const struct ike_msg *msg)
{
	struct ike_sa *ike = x->ike;
	struct later *l = calloc(1, sizeof(*l));
	char why[320] = "no memory";

	x->initial = true;
	if (!l || !msg->id_i.body.data || !msg->auth.data.data) {
		free(l);
		refuse(x, l ? "its IKE_AUTH lacks IDi or AUTH (EAP is not supported)" : why);
		return;
	}
	/* not established yet: since when it is on its way */
	l->initial_contact = ike_msg_notify(msg, IKE_N_INITIAL_CONTACT) ? ike->since : 0;
	ike->setup->certreq |= msg->n_certreq > 0;
	if (choose_conn(x, msg, why, sizeof(why))) {
		free(l);
		refuse(x, why);
		return;
	}
	/* Chosen now, for the message is gone when the parent answers; installed after that alone.
	 */
	choose_child(x, msg, l);
	x->arg = l;
	peer_auth_check(x, msg, &msg->id_i, initiator_checked);
}
