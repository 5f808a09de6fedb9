/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Exchange collisions (RFC 7296 2.25, 2.8.1, 2.8.2) as a table: what the peer asks, against what we
 * are doing ourselves, gives how we answer.
 */
#ifndef IKED_COLLIDE_H
#define IKED_COLLIDE_H

#include "lib/buf.h"

/* What the peer asks for. */
enum collide_ask {
	ASK_CHILD_NEW,
	ASK_CHILD_REKEY,
	ASK_CHILD_CLOSE,
	ASK_IKE_REKEY,
	ASK_IKE_CLOSE,
	COLLIDE_ASKS
};

/* What we are doing with that IKE SA: the one thing that matters most (the last that applies).
 * "This" is the child that the peer's request is about. */
enum collide_doing {
	DOING_NOTHING,
	DOING_CHILD,       /* making a child, or rekeying or closing another one */
	DOING_CHILD_REKEY, /* rekeying this one */
	DOING_CHILD_CLOSE, /* closing this one, or about to */
	DOING_IKE_REKEY,
	DOING_IKE_CLOSE, /* closing it, or about to */
	DOING_REPLACED,  /* it was rekeyed: it has a successor, and waits for its delete */
	COLLIDE_DOINGS
};

enum collide_answer {
	ANSWER_USUAL,
	ANSWER_RIVAL,     /* as usual, and compare nonces when both exchanges are over */
	ANSWER_FORGET,    /* as usual, and give up our own exchange */
	ANSWER_EMPTY,     /* without a Delete payload */
	ANSWER_TEMPORARY, /* TEMPORARY_FAILURE */
	ANSWER_NOT_FOUND, /* CHILD_SA_NOT_FOUND */
};

/*
 * `known`: is there the child that the request is about? Only counts for rekeys and closes of a
 * child. While we make one ourselves, an unknown one may be that: its answer is still under way,
 * and the peer will find us wiser later.
 */
enum collide_answer collide(enum collide_ask ask, enum collide_doing doing, bool known);

/*
 * Of two exchanges that rekey the same SA: does the one with nonces a1, a2 lose against that with
 * b1, b2? The lowest of the four nonces is its (RFC 7296 2.8.1: octet by octet, the shorter is
 * lower when one is the other's beginning). Equal nonces: no.
 */
bool collide_loses(struct bytes a1, struct bytes a2, struct bytes b1, struct bytes b2);

/* The lower of two nonces. */
struct bytes collide_lower(struct bytes a, struct bytes b);

#endif
