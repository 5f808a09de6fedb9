/* SPDX-License-Identifier: BSD-2-Clause */
/* How many IKE SAs there may be between the same two identities: `unique`, INITIAL_CONTACT (2.4).
 */
#ifndef IKED_UNIQUE_H
#define IKED_UNIQUE_H

#include "iked/ike_sa.h"

/* Initiator, before the peer has said who it is: may it say INITIAL_CONTACT? Not if there may be
 * another IKE SA with the same identities, of whatever connection, or SAs at xipsecd from before a
 * restart: the peer would delete what still carries traffic. */
bool unique_first(const struct ike_sa *ike);

/*
 * Responder, of a peer that has proven who it is: does `unique = keep` refuse it, since there is
 * one, from another address? `why` says so. From the same address it may authenticate anew, or be
 * back after a crash. The old one is asked whether it is alive, in any case.
 */
bool unique_refuses(const struct ike_sa *ike, char *why, size_t size);

/*
 * Is there room for one more IKE SA of `ike`'s peer, whose identity is proven? Of those that are on
 * their way out beyond IKE_PEER_LEAVING_MAX the oldest goes for it, at once. `rekey`: it takes the
 * place of `ike`, so that the number of those that are up does not change; else false at
 * IKE_PEER_SAS_MAX of them, and `why` says so.
 */
bool unique_room(struct ike_sa *ike, bool rekey, char *why, size_t size);

/* A child of that name on an IKE SA with the same peer at the same address, this one or another, up
 * or with our Delete on its way; NULL: none. Who authenticates anew makes a second one beside it:
 * the responder goes on sending on the first until the second is used, as with a rekey. By another
 * address, or another port of a NAT, it may be another machine, with the same identity. */
struct child_sa *unique_twin(const struct ike_sa *ike, const struct conn_child *cfg,
			     const struct child_sa *but);

/*
 * It is established: others go. With INITIAL_CONTACT at once and in silence, for the peer does not
 * know them any more: those of the same family that were up before `initial_contact`, the time
 * (ms) when its first message came (0: it did not say so); later ones the peer has made knowingly.
 * By `unique = replace` older ones of the same connection and family, a little later, so that who
 * authenticates anew can take the old one down itself, without a gap: when this one has all that
 * they carry, or after RENEWS_MS; one with a child stays until this one has a child, too.
 */
void unique_check(struct ike_sa *ike, __u64 initial_contact);
/* Is there a younger one still, for which this one goes by `unique = replace`, with all that it
 * carries? The peer may have seen that they crossed, and taken that one down. */
bool unique_outdone(const struct ike_sa *ike);
/* It has one more child, or we send by it now: what `unique = replace` left for that goes. */
void unique_used(struct ike_sa *ike);

/*
 * Both ends have begun one at once, by `unique = replace` or to authenticate anew what is gone now:
 * neither is the older one. As of two rekeys (2.8.2) one goes, by who made it: the one with the
 * lower number made of its SPIs. Its children are made on the other one first. Not before
 * CROSSED_MS are over: the peer may close the other one by a rule of its own. What it should have
 * closed by ours, and did not, `replace` closes after RENEWS_MS.
 */
void unique_cross(struct ike_sa *ike);
/* `cross_at` has come. */
void unique_look(struct ike_sa *ike);
/* Is it one of two such ones, without a child, which the other has? */
bool unique_spare(const struct ike_sa *ike);

#endif
