/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * How a child is made, be it in IKE_AUTH or in CREATE_CHILD_SA: what is asked (RFC 7296 2.9, 2.17,
 * 1.3.1), what is chosen, its keys, its SAs at xipsecd. Works on x->child.
 */
#ifndef IKED_CHILD_MAKE_H
#define IKED_CHILD_MAKE_H

#include "iked/xchg.h"

/* Why there is no child: what answers it, and what is told (it was logged). */
struct refusal {
	__u16 notify; /* enum ike_notify_type; 0: none */
	__be16 group; /* of INVALID_KE_PAYLOAD */
};

/* Initiator: notifies, SA, Nonce, KE, TSi, TSr of a request for `cfg`, with an x->child made for
 * it. In IKE_AUTH (x->initial) there is no nonce and no key exchange. 0 or -errno (logged). */
int child_offer(struct xchg *x, struct ike_conn *conn, const struct conn_child *cfg);

/* Initiator: what the peer answered, into x->child, and its keys. 0; -EBADMSG: it is not what we
 * offered, or cannot be read (logged): the peer has it and is to delete it, child_half(). */
int child_take(struct xchg *x, const struct ike_msg *msg);

/* Responder: one of the connection's children, or that of `old`, which it rekeys (NULL: none); an
 * algorithm, selectors, and keys; x->child is made. 0; -EACCES: `why` says what answers it
 * (logged).
 */
int child_choose(struct xchg *x, const struct ike_msg *msg, const struct child_sa *old,
		 struct refusal *why);
/* Responder: the payloads that say what was chosen. */
void child_answer(struct xchg *x);

/* The peer refused x->child, which is ours; `error` NULL: without a word. Says so, with what we
 * offered, and the child waits (backoff.h); with SINGLE_PAIR_REQUIRED it is asked for again. */
void child_refused(struct xchg *x, const struct ike_notify *error);

/*
 * The inbound half, and with `both` the outbound one after it; else that waits (child_switch(), or
 * child_install_out()). Then x->installed is called with 0 or -errno and what xipsecd said. Until
 * then x is parked.
 */
void child_install(struct xchg *x, bool both,
		   void (*installed)(struct xchg *x, int err, const char *text));
/* The outbound half, when the inbound one is there. */
void child_install_out(struct xchg *x,
		       void (*installed)(struct xchg *x, int err, const char *text));

/* x->child is up and no longer the exchange's. */
struct child_sa *child_made(struct xchg *x);
/* x->child is not whole and the peer may believe that it is: it never gets up, and is deleted, by
 * our SPI (RFC 7296 1.4.1), so the peer's need not be known. */
void child_half(struct xchg *x);

/* "child net: aes128gcm16-x25519, 10.0.0.0/8 === 10.1.0.0/16" */
void child_print(const struct child_sa *child, char *to, size_t size);

#endif
