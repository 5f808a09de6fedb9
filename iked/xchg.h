/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An exchange in progress: a request of ours that waits for its answer, or one of the peer's that
 *is being answered. Whichever waits for an answer of the world (env.h) is parked with what goes on
 *then.
 *
 *	ours:	task ─> begin ─> [questions] ─> request sent ─> response ─> [questions] ─> end
 *	peer's:	request ─> [questions] ─> response sent, cached ─> end
 */
#ifndef IKED_XCHG_H
#define IKED_XCHG_H

#include "iked/dh.h"
#include "iked/ike_sa.h"

#define XCHG_DOOMED_MAX 8

struct nonce {
	__u16 len;
	__u8 data[IKE_NONCE_MAX];
};

/* What the world answered. */
struct answer {
	int err;
	const char *text; /* xipsecd's */
	__u8 method;      /* AUTH */
	struct bytes data;
};

struct xchg {
	struct ike_sa *ike;
	struct task *task; /* ours: why; owned */
	bool ours;
	bool initial;  /* IKE_AUTH's child */
	bool accepted; /* … which the peer has made, to our liking or not */
	__u8 exchange; /* enum ike_exchange */
	__u32 msg_id;
	struct ike_path path; /* the peer's: where its request came from */
	__u64 question;       /* it waits for the answer with this id; 0: for none */
	void (*answered)(struct xchg *x, const struct answer *answer);

	/* A key exchange, of a child or an IKE SA. `nonce_i`: of who began this exchange. */
	struct nonce nonce_i, nonce_r;
	struct dh *dh;
	__u16 group; /* tried, by the peer's wish */
	bool regrouped;
	struct child_sa *child; /* being made: ours alone until it is up */
	__u32 rekeys;           /* id of the child that it rekeys; 0: none */
	__u8 *keys;             /* key_in, key_out of the child being made: wiped */
	size_t key_len;
	struct ike_sa *fresh; /* the IKE SA being made */

	/* While we rekey, the peer rekeys the same (RFC 7296 2.8.1): what it made, and the lower of
	 * its two nonces. */
	__u32 rival;
	struct nonce rival_nonce;

	/* What the peer deleted while we waited for its answer: one of them may be what it made. */
	__be32 doomed[XCHG_DOOMED_MAX];
	unsigned int n_doomed;

	struct ike_out out; /* what it sends, as far as it is */
	/* After child_install(). */
	void (*installed)(struct xchg *x, int err, const char *text);
	void *arg; /* what one exchange keeps for itself: free()d */
};

/* NULL: no memory. It is ike->ours or ike->peers then. */
struct xchg *xchg_new(struct ike_sa *ike, bool ours, __u8 exchange);
/* It is over, well or not; what it still owns goes with it: a child or an IKE SA that did not get
 * up too. */
void xchg_free(struct xchg *x);
/* Wipes x->keys. */
void xchg_forget_keys(struct xchg *x);

/* Parks it: `answered` is called with the answer to the id returned. */
__u64 xchg_ask(struct xchg *x, void (*answered)(struct xchg *x, const struct answer *answer));

/* The world has answered the question with this id. Unknown ids are ignored. */
void xchg_answer(struct engine *engine, __u64 question, const struct answer *answer);

/* Begins x->out: the header of its message. */
void xchg_open(struct xchg *x);

/* Sends x->out as the request, keeps it for retransmission. 0 or -errno (logged). */
int xchg_request(struct xchg *x);
/* Sends x->out as the response, keeps it, and ends the exchange. */
void xchg_respond(struct xchg *x);
/* Retransmits, or gives up (`again` of the window). */
void xchg_again(struct timer *timer);
/* The response is kept no longer (`forget` of the window). */
void xchg_forget(struct timer *timer);
/* The command or task behind an exchange of ours has ended; `text` says why. */
void xchg_done(struct xchg *x, int err, const char *text);
/* The same with one notify. */
void xchg_refuse(struct xchg *x, enum ike_notify_type type, struct bytes data);

/* A fresh nonce of ours. */
void nonce_make(const struct engine *engine, struct nonce *nonce);
int nonce_set(struct nonce *nonce, struct bytes b);
static inline struct bytes nonce_view(const struct nonce *nonce)
{
	return BYTES(nonce->data, nonce->len);
}

/* ------------------------------------------------------------------ the exchanges */

/* `msg` is authenticated, parsed, and in the window. Requests of the peer: `x` is its exchange. */
void x_auth_request(struct xchg *x, const struct ike_msg *msg);
void x_child_request(struct xchg *x, const struct ike_msg *msg); /* decides which, too */
void x_rekey_request(struct xchg *x, const struct ike_msg *msg);
void x_info_request(struct xchg *x, const struct ike_msg *msg);

/* Answers to ours. */
void x_auth_response(struct xchg *x, const struct ike_msg *msg);
void x_child_response(struct xchg *x, const struct ike_msg *msg);
void x_rekey_response(struct xchg *x, const struct ike_msg *msg);
void x_info_response(struct xchg *x, const struct ike_msg *msg);

/* IKE_SA_INIT, in the clear. */
void x_init_request(struct engine *engine, const struct ike_path *path, const struct ike_msg *msg);
void x_init_response(struct ike_sa *ike, const struct ike_path *path, const struct ike_msg *msg);
/* Sends the first (or the next) IKE_SA_INIT of an IKE SA of ours. */
void x_init_begin(struct ike_sa *ike);
/* IKE_SA_INIT is over: on to IKE_AUTH, as its initiator. */
void x_auth_begin(struct ike_sa *ike);

/* Begin what a task wants; `x` owns the task. false: nothing was sent, it is over. */
bool x_child_begin(struct xchg *x);
bool x_rekey_begin(struct xchg *x);
bool x_info_begin(struct xchg *x);

#endif
