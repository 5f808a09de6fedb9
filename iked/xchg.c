// SPDX-License-Identifier: BSD-2-Clause
#include "iked/xchg.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <openssl/crypto.h>

#include "iked/engine_state.h"
#include "iked/setup.h"

#define owner(timer, member) ((struct ike_sa *)((char *)(timer)-offsetof(struct ike_sa, w.member)))

/* ------------------------------------------------------------------ its life */

struct xchg *xchg_new(struct ike_sa *ike, bool ours, __u8 exchange)
{
	struct xchg *x = calloc(1, sizeof(*x));

	if (!x)
		return NULL;
	x->ike = ike;
	x->ours = ours;
	x->exchange = exchange;
	x->msg_id = ours ? ike->w.out_id : ike->w.in_id;
	x->path = ike->path;
	*(ours ? &ike->ours : &ike->peers) = x;
	return x;
}

static void drop_rival_of(const struct xchg *x)
{
	struct xchg *ours = x->ike->ours;

	/* What the peer began and we could not finish is nobody's rival. */
	if (ours && ours->rival &&
	    ((x->child && ours->rival == x->child->id) ||
	     (x->fresh && ours->rival == x->fresh->id)))
		ours->rival = 0;
}

void xchg_forget_keys(struct xchg *x)
{
	key_pool_give(&x->ike->engine->keys, x->keys);
	x->keys = NULL;
}

void xchg_free(struct xchg *x)
{
	struct ike_sa *ike = x->ike;

	*(x->ours ? &ike->ours : &ike->peers) = NULL;
	if (!x->ours)
		drop_rival_of(x);
	if (x->child)
		child_free(x->child, true);
	if (x->fresh)
		ike_gone(x->fresh, true);
	if (x->task)
		xchg_done(x, -ECONNABORTED, "given up");
	xchg_forget_keys(x);
	free(x->arg);
	dh_free(x->dh);
	ike_out_free(&x->out);
	free(x);
}

void xchg_done(struct xchg *x, int err, const char *text)
{
	struct task *task = x->task;

	if (!task)
		return;
	x->task = NULL;
	engine_done(x->ike->engine, task->ref, err, text);
	task_free(task);
}

/* ------------------------------------------------------------------ questions */

/* An id says who asked: 2 bits which exchange (2: a child), 32 whose, 30 a number. */
enum { WHO_OURS, WHO_PEERS, WHO_CHILD };

__u64 xchg_ask(struct xchg *x, void (*answered)(struct xchg *x, const struct answer *answer))
{
	x->answered = answered;
	x->question = (__u64)(x->ours ? WHO_OURS : WHO_PEERS) << 62 | (__u64)x->ike->id << 30 |
		      (++x->ike->engine->next_question & 0x3fffffff);
	return x->question;
}

static void answer_child(struct child_sa *child, const struct answer *answer)
{
	struct ike_sa *ike = child->ike;

	child->question = 0;
	if (!answer->err)
		return;
	/* Without its outbound half it is useless; the other end should know, or, when xipsecd is
	 * there again, have another one. */
	ike_log(ike, LOG_LEVEL_ERROR, "child %s-%u: xipsecd refused its outbound SA: %s",
		child->cfg->name, child->id, answer->text);
	child->out_added = false;
	if (!child_sadb_away(answer->err))
		ike_task_child(ike, TASK_CHILD_CLOSE, child);
	else if (child->state == CHILD_UP)
		ike_task_child(ike, TASK_CHILD_REKEY, child);
	ike_work(ike);
}

void xchg_answer(struct engine *engine, __u64 question, const struct answer *answer)
{
	__u32 id = question >> 30;
	struct child_sa *child;
	struct ike_sa *ike;
	struct xchg *x;

	if (question >> 62 == WHO_CHILD) {
		child = child_by_id(engine, id);
		if (child && child->question == question)
			answer_child(child, answer);
		return;
	}
	ike = ike_by_id(engine, id);
	x = !ike ? NULL : question >> 62 == WHO_OURS ? ike->ours : ike->peers;
	if (!x || x->question != question)
		return;
	x->question = 0;
	x->answered(x, answer);
}

/* ------------------------------------------------------------------ messages */

void xchg_open(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	struct ike_header h = {.spi_i = ike->spi_i,
			       .spi_r = ike->spi_r,
			       .id = x->msg_id,
			       .exchange = x->exchange,
			       .flags = (ike->initiator ? IKE_FLAG_INITIATOR : 0) |
					(x->ours ? 0 : IKE_FLAG_RESPONSE)};

	ike_out_free(&x->out);
	ike_out_open(&x->out, &h);
}

static enum engine_counter counter_of(__u8 exchange, bool response)
{
	switch (exchange) {
	case IKE_SA_INIT: return response ? ENGINE_OUT_INIT_RSP : ENGINE_OUT_INIT_REQ;
	case IKE_AUTH: return response ? ENGINE_OUT_AUTH_RSP : ENGINE_OUT_AUTH_REQ;
	case CREATE_CHILD_SA: return response ? ENGINE_OUT_CHILD_RSP : ENGINE_OUT_CHILD_REQ;
	default: return response ? ENGINE_OUT_INFO_RSP : ENGINE_OUT_INFO_REQ;
	}
}

/* An answer fits where its request did (RFC 7383 2.5.1). */
static unsigned int fragment_len(const struct xchg *x)
{
	const struct ike_sa *ike = x->ike;

	if (!ike->fragments)
		return 0;
	if (x->ours || !ike->asked_in || ike->asked_in >= FRAGMENT_LEN)
		return FRAGMENT_LEN;
	return ike->asked_in > FRAGMENT_MIN ? ike->asked_in : FRAGMENT_MIN;
}

static int seal(struct xchg *x, struct ike_packets **out)
{
	struct ike_sa *ike = x->ike;
	struct sk_key *key = ike->initiator ? &ike->keys->i : &ike->keys->r;
	int err = x->exchange == IKE_SA_INIT ? ike_out_plain(&x->out, out)
					     : ike_out_sealed(&x->out, key, fragment_len(x), out);

	if (!err)
		(*out)->dscp = ike->conn->model.dscp;
	return err;
}

int xchg_request(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	struct engine *engine = ike->engine;
	struct ike_packets *packets;
	int err = ike->w.out_id == UINT32_MAX ? -EOVERFLOW : seal(x, &packets);

	ike_out_free(&x->out);
	if (err) {
		ike_log(ike, LOG_LEVEL_ERROR, "cannot make the %s request: %s",
			ike_exchange_name(x->exchange), strerror(-err));
		return err;
	}
	free(ike->w.request);
	ike->w.request = packets;
	ike->w.tries = 1;
	timer_set(&engine->timers, &ike->w.again, ike_now(ike) + window_wait(1));
	ike->sent = ike_now(ike);
	engine_count(engine, ike->conn, counter_of(x->exchange, false));
	engine_send(engine, &ike->path, packets);
	return 0;
}

void xchg_respond(struct xchg *x)
{
	struct ike_sa *ike = x->ike;
	struct engine *engine = ike->engine;
	struct ike_path path = x->path;
	struct ike_packets *packets;
	int err = seal(x, &packets);

	ike->asked_in = 0;
	if (err) {
		ike_log(ike, LOG_LEVEL_ERROR, "cannot make the %s response: %s",
			ike_exchange_name(x->exchange), strerror(-err));
		packets = NULL;
	}
	free(ike->w.response);
	ike->w.response = packets;
	ike->w.in_id++;
	timer_set(&engine->timers, &ike->w.forget, ike_now(ike) + RESPONSE_MS);
	ike->sent = ike_now(ike);
	engine_count(engine, ike->conn, counter_of(x->exchange, true));
	if (packets)
		engine_send(engine, &path, packets);
	xchg_free(x);
	ike_id_used(ike, ike->w.in_id);
	if (!ike->w.in_id) /* what was answered first could come again (2.2) */
		ike_gone(ike, false);
}

void xchg_refuse(struct xchg *x, enum ike_notify_type type, struct bytes data)
{
	xchg_open(x);
	ike_out_notify(&x->out, 0, BYTES_NONE, type, data);
	xchg_respond(x);
}

void xchg_again(struct timer *timer)
{
	struct ike_sa *ike = owner(timer, again);
	struct engine *engine = ike->engine;
	struct window *w = &ike->w;
	char why[96];

	if (w->tries >= RETRANSMIT_TRIES) {
		snprintf(why, sizeof(why), "no answer to %u tries of %s request %u", w->tries,
			 ike_exchange_name(ike->ours ? ike->ours->exchange : 0), w->out_id);
		if (ike->state < IKE_UP)
			setup_failed(ike, why);
		else
			ike_dead(ike, why);
		return;
	}
	w->tries++;
	timer_set(&engine->timers, &w->again, ike_now(ike) + window_wait(w->tries));
	ike->sent = ike_now(ike);
	engine_count(engine, ike->conn, ENGINE_RETRANSMIT_OUT);
	engine_send(engine, &ike->path, w->request);
}

void xchg_forget(struct timer *timer)
{
	struct ike_sa *ike = owner(timer, forget);

	free(ike->w.response);
	ike->w.response = NULL;
}

/* ------------------------------------------------------------------ nonces */

void nonce_make(const struct engine *engine, struct nonce *nonce)
{
	nonce->len = IKE_NONCE_LEN;
	engine->env.random(engine->env.ctx, nonce->data, IKE_NONCE_LEN);
}

int nonce_set(struct nonce *nonce, struct bytes b)
{
	if (b.len < IKE_NONCE_MIN || b.len > IKE_NONCE_MAX)
		return -EINVAL;
	nonce->len = b.len;
	memcpy(nonce->data, b.data, b.len);
	return 0;
}
