// SPDX-License-Identifier: BSD-2-Clause
/* From a datagram to the exchange that it belongs to. Whatever cannot be believed ends here. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine_state.h"
#include "iked/gather.h"
#include "iked/setup.h"
#include "iked/xchg.h"
#include "lib/cleanup.h"

/* ------------------------------------------------------------------ strangers */

/* One notify in the clear, to whom we have no IKE SA with (1.5, 2.5): the request's header is
 * copied. */
static void reply(struct engine *engine, const struct ike_path *path, const struct ike_header *h,
		  __u8 exchange, enum ike_notify_type type, struct bytes data)
{
	_cleanup_out_ struct ike_out out = {0};
	_cleanup_free_ struct ike_packets *packets = NULL;
	struct ike_header header = {.spi_i = h->spi_i,
				    .spi_r = h->spi_r,
				    .id = h->id,
				    .exchange = exchange,
				    .flags = IKE_FLAG_RESPONSE | (~h->flags & IKE_FLAG_INITIATOR)};

	if (ike_is_response(h) || !engine_error_allowed(engine))
		return;
	ike_out_open(&out, &header);
	ike_out_notify(&out, 0, BYTES_NONE, type, data);
	if (!ike_out_plain(&out, &packets))
		engine_send(engine, path, packets);
}

static void wrong_version(struct engine *engine, const struct ike_path *path,
			  const struct ike_header *h)
{
	__u8 version = IKE_MAJOR << 4 | IKE_MINOR;
	bool v1 = h->major < IKE_MAJOR;

	engine_count(engine, NULL, v1 ? ENGINE_IN_IKEV1 : ENGINE_IN_INVALID);
	/* IKEv1 has its response flag nowhere: bit 0x20 means nothing there. */
	reply(engine, path,
	      v1 ? &(struct ike_header){.spi_i = h->spi_i,
					.spi_r = h->spi_r,
					.flags = IKE_FLAG_INITIATOR}
		 : h,
	      v1 ? INFORMATIONAL : h->exchange, IKE_N_INVALID_MAJOR_VERSION, BYTES_OF(version));
}

static void unknown_spi(struct engine *engine, const struct ike_path *path,
			const struct ike_header *h)
{
	engine_count(engine, NULL, ENGINE_IN_INVALID_IKE_SPI);
	reply(engine, path, h, h->exchange, IKE_N_INVALID_IKE_SPI, BYTES_NONE);
}

/* ------------------------------------------------------------------ counting */

static void count_in(struct engine *engine, struct ike_conn *conn, const struct ike_header *h)
{
	bool response = ike_is_response(h);

	switch (h->exchange) {
	case IKE_SA_INIT:
		engine_count(engine, conn, response ? ENGINE_IN_INIT_RSP : ENGINE_IN_INIT_REQ);
		break;
	case IKE_AUTH:
		engine_count(engine, conn, response ? ENGINE_IN_AUTH_RSP : ENGINE_IN_AUTH_REQ);
		break;
	case CREATE_CHILD_SA:
		engine_count(engine, conn, response ? ENGINE_IN_CHILD_RSP : ENGINE_IN_CHILD_REQ);
		break;
	case INFORMATIONAL:
		engine_count(engine, conn, response ? ENGINE_IN_INFO_RSP : ENGINE_IN_INFO_REQ);
		break;
	default: engine_count(engine, conn, ENGINE_IN_INVALID);
	}
}

/* It can be read, and nobody waits for it: late, early, double, out of its order or made up. */
static void unexpected(struct ike_sa *ike)
{
	engine_count(ike->engine, ike->conn, ENGINE_IN_UNEXPECTED);
}

/* ------------------------------------------------------------------ authenticated messages */

/* Before the IKE SA is up it is the float to 4500. */
static void follow(struct ike_sa *ike, const struct ike_path *path)
{
	bool floats = ike->state == IKE_AUTHING && !ike->initiator;

	if (!memcmp(&ike->path, path, sizeof(*path)))
		return;
	if (floats || ike_follows(ike))
		ike->path = *path;
}

/* A request on the new IKE SA says that the peer has chosen it: it takes the children now. Its
 * delete says the contrary. */
static void take_over(struct ike_sa *ike, const struct ike_msg *msg)
{
	struct ike_sa *old = ike->from ? ike_by_id(ike->engine, ike->from) : NULL;

	for (unsigned int i = 0; i < msg->n_del; i++)
		if (msg->del[i].protocol == PROPOSAL_IKE)
			return;
	if (old && ike->state == IKE_UP && old->state == IKE_UP)
		ike_inherit(old, ike);
}

static void request(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg)
{
	struct xchg *x;

	if ((msg->h.exchange == IKE_AUTH) != (ike->state == IKE_AUTHING)) {
		unexpected(ike);
		return;
	}
	x = xchg_new(ike, false, msg->h.exchange);
	if (!x)
		return;
	x->path = *path;
	take_over(ike, msg);
	if (msg->h.exchange == IKE_AUTH)
		x_auth_request(x, msg);
	else if (msg->h.exchange == CREATE_CHILD_SA)
		x_child_request(x, msg);
	else if (msg->h.exchange == INFORMATIONAL)
		x_info_request(x, msg);
	else
		xchg_refuse(x, IKE_N_INVALID_SYNTAX, BYTES_NONE);
}

static void response(struct ike_sa *ike, const struct ike_msg *msg)
{
	struct xchg *x = ike->ours;

	if (!x || x->exchange != msg->h.exchange) {
		unexpected(ike);
		return;
	}
	timer_stop(&ike->engine->timers, &ike->w.again);
	free(ike->w.request);
	ike->w.request = NULL;
	ike->w.out_id++;
	ike_id_used(ike, ike->w.out_id);
	if (x->exchange == IKE_AUTH)
		x_auth_response(x, msg);
	else if (x->exchange == INFORMATIONAL)
		x_info_response(x, msg);
	else if (x->task->kind == TASK_IKE_REKEY)
		x_rekey_response(x, msg);
	else
		x_child_response(x, msg);
}

/* 2.21: a request that cannot be read is answered, and ends the IKE SA if it is malformed as a
 * whole. */
static void faulty(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg,
		   const struct ike_fault *fault)
{
	struct xchg *x;

	engine_count(ike->engine, ike->conn, ENGINE_IN_INVALID);
	ike_log(ike, LOG_LEVEL_WARN, "its %s %s cannot be read: %s",
		ike_exchange_name(msg->h.exchange) ? ike_exchange_name(msg->h.exchange) : "message",
		ike_is_response(&msg->h) ? "response" : "request", fault->what);
	if (ike_is_response(&msg->h)) {
		/* nothing is sent back; the exchange can only end by the peer's silence */
		if (ike->state < IKE_UP)
			setup_failed(ike, "its response cannot be read");
		else
			ike_dead(ike, "its response cannot be read");
		return;
	}
	if (!fault->notify)
		return;
	x = xchg_new(ike, false, msg->h.exchange);
	if (!x)
		return;
	x->path = *path;
	xchg_refuse(x, fault->notify, BYTES(fault->data, fault->data_len));
	if (fault->notify == IKE_N_INVALID_SYNTAX)
		ike_closed_by_peer(ike); /* it knows that we end it */
}

static void whole(struct ike_sa *ike, const struct ike_path *path, struct ike_msg *msg,
		  struct bytes text, __u8 first)
{
	struct ike_fault fault = {0};

	ike->heard = ike_now(ike);
	follow(ike, path);
	count_in(ike->engine, ike->conn, &msg->h);
	if (ike_msg_parse_inner(msg, text, first, &fault))
		faulty(ike, path, msg, &fault);
	else if (ike_is_response(&msg->h))
		response(ike, msg);
	else
		request(ike, path, msg);
}

/* One fragment (RFC 7383 2.6), authentic. */
static void fragment(struct ike_sa *ike, const struct ike_path *path, struct ike_msg *msg,
		     struct bytes text)
{
	_cleanup_writer_ struct writer all = {0};
	__u8 first;

	if (gather_add(ike, msg, text, &all, &first))
		whole(ike, path, msg, writer_view(&all), first);
}

/* Is what we have kept an answer to that? Who sends IKE_AUTH with the number of IKE_SA_INIT has had
 * none. */
static bool answers(const struct ike_packets *kept, const struct ike_msg *msg)
{
	struct ike_header h;

	return !ike_header_parse(ike_packet(kept, 0), &h) && h.exchange == msg->h.exchange;
}

static void resend(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg)
{
	if (ike->w.response && !answers(ike->w.response, msg)) {
		unexpected(ike);
		return;
	}
	engine_count(ike->engine, ike->conn, ENGINE_RETRANSMIT_IN);
	/* of a fragmented request the first fragment alone calls for it (RFC 7383 2.6.1) */
	if (!ike->w.response || (msg->sk.fragment && msg->sk.number != 1))
		return;
	ike->sent = ike_now(ike);
	engine_send(ike->engine, path, ike->w.response);
}

/* A forged INVALID_IKE_SPI must not end anything (2.4), but for what we are closing anyway: the
 * peer has forgotten it, and only the answer got lost. */
static bool forgotten(const struct ike_sa *ike, const struct ike_msg *msg)
{
	return ike_is_response(&msg->h) && msg->h.exchange == INFORMATIONAL && ike->ours &&
	       ike->ours->task && ike->ours->task->kind == TASK_IKE_CLOSE &&
	       msg->h.id == ike->w.out_id && ike_msg_notify(msg, IKE_N_INVALID_IKE_SPI);
}

/* Whom we called has shown us nothing yet (1.2): until its IKE_AUTH response is good, it has
 * nothing to ask, and least of all to become somebody else by an IKE_AUTH of its own. */
static bool too_early(const struct ike_sa *ike, const struct ike_msg *msg)
{
	return ike->initiator && ike->state < IKE_UP && !ike_is_response(&msg->h);
}

static void protected_message(struct ike_sa *ike, const struct ike_path *path, struct ike_msg *msg)
{
	const struct sk_key *key = ike->initiator ? &ike->keys->r : &ike->keys->i;
	enum window_verdict verdict = window_ask(&ike->w, &msg->h);
	_cleanup_writer_ struct writer text = {0};

	if (!msg->sk.here) {
		if (forgotten(ike, msg)) {
			ike_log(ike, LOG_LEVEL_INFO, "closed: the peer does not know it any more");
			ike_gone(ike, false);
		} else {
			unexpected(ike);
		}
		return;
	}
	if (verdict == WINDOW_DROP || !ike->keys->len || too_early(ike, msg) ||
	    (verdict == WINDOW_NEW && !ike_is_response(&msg->h) && ike->peers) ||
	    (msg->sk.fragment && verdict == WINDOW_NEW && !gather_wanted(ike, msg))) {
		unexpected(ike);
		return;
	}
	if (sk_open(key, msg, &text)) {
		engine_count(ike->engine, ike->conn, ENGINE_IN_INVALID);
		return;
	}
	if (verdict == WINDOW_AGAIN)
		resend(ike, path, msg);
	else if (msg->sk.fragment)
		fragment(ike, path, msg, writer_view(&text));
	else
		whole(ike, path, msg, writer_view(&text), msg->sk.first);
}

/* ------------------------------------------------------------------ the door */

static void init_message(struct engine *engine, const struct ike_path *path,
			 const struct ike_msg *msg)
{
	struct ike_sa *ike;

	if (!ike_is_response(&msg->h)) {
		count_in(engine, NULL, &msg->h);
		x_init_request(engine, path, msg);
		return;
	}
	ike = ike_by_spi(engine, msg->h.spi_i);
	count_in(engine, ike ? ike->conn : NULL, &msg->h);
	if (ike)
		x_init_response(ike, path, msg);
	else
		engine_count(engine, NULL, ENGINE_IN_UNEXPECTED);
}

/* By the SPI that we chose (2.6). */
static struct ike_sa *find(const struct engine *engine, const struct ike_header *h)
{
	bool by_initiator = h->flags & IKE_FLAG_INITIATOR;

	return ike_by_spi(engine, by_initiator ? h->spi_r : h->spi_i);
}

/* The other SPI must fit as well. A new one that rekeys another has none of the peer until we have
 * its answer: what comes for it before that is early, and will come again. */
static bool fits(const struct ike_sa *ike, const struct ike_header *h)
{
	return ike->spi_i == h->spi_i && ike->spi_r == h->spi_r;
}

static void receive(struct engine *engine, const struct ike_path *path, struct bytes data)
{
	struct ike_msg *msg;
	struct ike_fault fault = {0};
	struct ike_header h;
	struct ike_sa *ike;

	if (data.len > IKE_MESSAGE_MAX || ike_header_parse(data, &h)) {
		engine_count(engine, NULL, ENGINE_IN_INVALID);
		return;
	}
	if (h.major != IKE_MAJOR) {
		wrong_version(engine, path, &h);
		return;
	}
	ike = h.exchange == IKE_SA_INIT ? NULL : find(engine, &h);
	if (h.exchange != IKE_SA_INIT && !ike) {
		unknown_spi(engine, path, &h);
		return;
	}
	if (ike && !fits(ike, &h)) {
		unexpected(ike);
		return;
	}
	msg = malloc(sizeof(*msg));
	if (!msg)
		return;
	if (ike_msg_parse(data, msg, &fault)) {
		engine_count(engine, ike ? ike->conn : NULL, ENGINE_IN_INVALID);
		/* In the clear inside an IKE SA: anybody's. Else it may be told, at a limited rate.
		 */
		if (!ike && fault.notify)
			reply(engine, path, &h, h.exchange, fault.notify,
			      BYTES(fault.data, fault.data_len));
	} else if (!ike) {
		init_message(engine, path, msg);
	} else {
		protected_message(ike, path, msg);
	}
	free(msg);
}

void engine_datagram(struct engine *engine, const struct ike_path *path, const __u8 *data,
		     size_t len)
{
	receive(engine, path, BYTES(data, len));
	engine_reap(engine);
}
