/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The slow path: ESP, AH and ESP in UDP that were cut on the way. The programs let such fragments
 * up, the stack puts them together, and sockets that xipsecd opened and lent (worker 0 has them)
 * deliver the datagrams here. They find their SA without the programs' verdict, are opened where
 * they were read to, and go on like all others, in frames of the UMEM where they fit into one.
 *
 * What a socket holds and what is read in one go is bounded: fragments are no way to keep a worker
 * from its rings.
 */
#ifndef WORKER_SLOW_H
#define WORKER_SLOW_H

#include "worker/loop.h"

/* Message SLOW: 0, or -errno after a log line. */
int slow_add(struct worker *w, struct ctl_in *in);
void slow_free(struct worker *w);

/* An SA has come to this place, or is about to leave it. */
void slow_sa_add(struct worker *w, struct sa_place *place);
void slow_sa_gone(struct worker *w, struct sa_place *place);

/* Writes what poll() is to look at, XIPSEC_SLOW_KINDS entries at most. How many. */
unsigned int slow_polls(const struct worker *w, struct pollfd *polls);

/* Reads what waits, SLOW_BURST datagrams of each socket at most. */
#define SLOW_BURST 16
void slow_round(struct worker *w);

/* A packet with PACKET_OUTSIDE moves into its frame. False: it is too long for one. */
bool slow_settle(struct worker *w, struct packet *p);

#endif
