/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Everything of the engine that a peer, or a stranger, can make grow, and every time that it waits.
 * Times are ms.
 */
#ifndef IKED_BOUNDS_H
#define IKED_BOUNDS_H

/* ------------------------------------------------------------------ how much */

#define ENGINE_CONNS_MAX   16384
#define ENGINE_IKE_SAS_MAX 131072 /* half-open ones included */

#define HALFOPEN_MAX          4096 /* IKE SAs that we answered and that are not authenticated yet */
#define HALFOPEN_ADDR_MAX     256  /* of one address; of IPv6 one /64 */
#define HALFOPEN_COOKIES      128 /* from so many on in all, who cannot return a cookie gets no more */
#define HALFOPEN_ADDR_COOKIES 8 /* from so many on of one address, the same for it alone */

/* IKE SAs of one peer, by the identity that it has proven: those that are up, then a new one is
 * refused; beside them those that are on their way out (rekeyed, replaced, closing), then the
 * oldest goes at once. */
#define IKE_PEER_SAS_MAX     256
#define IKE_PEER_LEAVING_MAX 64

#define IKE_CHILDREN_MAX 128   /* of one IKE SA, those that are on their way out included */
#define IKE_LINGERS_MAX  128   /* SAs of one IKE SA that outlive their delete (linger.h) */
#define IKE_TASKS_MAX    256   /* requests of ours that wait for their turn */
#define IKE_MESSAGE_MAX  32768 /* one message as it came, or put together of fragments */
#define IKE_NONCE_LEN    32    /* of ours: at least half of the longest PRF key that we offer */
#define IKE_COOKIE_MAX   64    /* RFC 7296 2.6 */
#define IKE_AUTH_MAX     2048  /* octets of AUTH data, of ours and of the peer */
#define FRAGMENT_MIN     500   /* who asks in shorter ones gets these */
#define FRAGMENT_LEN     1228  /* of an IKE message: 1280 less IPv6, UDP and the non-ESP marker */

/* Lines of the log that one IKE SA may cause at once, and one more each IKE_LINE_MS: a peer can ask
 * for what is refused as often as it likes. */
#define IKE_LINES_MAX 500
#define IKE_LINE_MS   100
/* The same for all IKE SAs together whose peers have not proven who they are. */
#define STRANGERS_LINES_MAX 2000
#define STRANGERS_LINE_MS   10

#define INIT_CONNS_MAX   64 /* connections whose proposals one IKE_SA_INIT makes us read */
#define INIT_RETRIES_MAX 5  /* answers COOKIE or INVALID_KE_PAYLOAD to one IKE_SA_INIT of ours */

/* Answers to what nobody proved to have sent: so many at once, then one each ERRORS_MS. */
#define ERRORS_BURST 64
#define ERRORS_MS    20

/* Message ids never wrap (RFC 7296 2.2): from the first on, an IKE SA that nobody has rekeyed asks
 * for it, at every multiple of the second; behind the last id it ends. */
#define MESSAGE_ID_REKEY 0x80000000U
#define MESSAGE_ID_AGAIN 0x01000000U

/* ------------------------------------------------------------------ how long */

#define PATHS_MS                                                                        \
	60000 /* for the answer where the peer is: name servers have had theirs by then \
	       */
#define HALFOPEN_MS 30000 /* for the peer to authenticate itself */
/* For all of our own IKE_AUTH: longer than its retransmission takes, in case an answer of the
 * parent or of xipsecd never comes. */
#define AUTHING_MS 300000

#define COOKIE_SECRET_MS 60000 /* a new secret; the one before it is good for as long again */

/* Retransmission (RFC 7296 2.1, 2.4): a dozen times over about three and a half minutes. */
#define RETRANSMIT_MS     500
#define RETRANSMIT_MAX_MS 30000
#ifndef RETRANSMIT_TRIES /* the debug build gives up sooner: its tests cannot wait for minutes */
#define RETRANSMIT_TRIES 12
#endif

#define FRAGMENTS_MS 60000 /* from the first fragment of a message to the last */

#define RESPONSE_MS 180000 /* an answer is kept for so long (RFC 7296 2.1 "several minutes") */

/* After TEMPORARY_FAILURE (RFC 7296 2.25): a wait, jittered upwards by as much again, and the end.
 */
#define TEMPORARY_MS     2000
#define TEMPORARY_MAX_MS 180000

#define OLD_OUTBOUND_MS 1000  /* one that was rekeyed: packets wait in our own rings */
#define OLD_INBOUND_MS  5000  /* an inbound SA lives on after its delete: packets are under way */
#define SWITCH_MS       30000 /* responder of a rekey: we send on the new SA at the latest then */
/* What the peer has to delete after a collision, or after its own rekey; then we do it ourselves.
 */
#define REPLACED_MS 60000

#define INIT_ERROR_MS 3000 /* an unprotected error may be forged: so long we wait for better */
#define REKEY_RETRY_MS                                                             \
	30000 /* after a rekey that was refused; jittered upwards by as much again \
	       */
/* Both ends authenticate an IKE SA anew at once: theirs is up so long before ours begins, or begins
 * so long after ours is up, at most. And how long `unique = replace` leaves both, for the peer to
 * close its own, or for what the newer one lacks. */
#define RENEWS_MS         120000
#define REPLACE_FILLS_MS  30000 /* … which its initiator asks for then, and the other end later */
#define CROSSED_MS        15000 /* … and we ours, for the peer may be closing the other one */
#define KEEPALIVE_MS      20000 /* RFC 3948 4 */
#define INIT_RETRY_MS     5000  /* between two tries of a connection, doubled up to the next */
#define INIT_RETRY_MAX_MS 300000
#define INVALID_SPI_MS    10000 /* at most one each on an IKE SA, and of INVALID_SELECTORS */
#define INVALID_SPI_MAX   8     /* IKE SAs that one packet without an SA has told so */
#define HEADER_TOLD_MAX   44    /* bytes of a packet that INVALID_SELECTORS shows */
/* A child that could not be had, doubled up to the second, jittered upwards by half (backoff.h). */
#define CHILD_RETRY_MS     2000
#define CHILD_RETRY_MAX_MS 60000
#define WITHDRAWN_MS       500  /* the config that takes an SA away is loaded meanwhile */
#define FORGET_MS          1000 /* after a reload, what has failed begins within so long */
#define ACQUIRE_RETRY_MAX_MS \
	60000 /* after a failed IKE SA packets begin none for so long at most */

#endif
