/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * TAPs: where packets of this host come from and go to without a wire. One is the host's own, what
 * the guard on black's egress redirects: a TAP with the verdict in the MAC bytes. The others are
 * the interfaces of tunnels {}, TUNs that routes lead into, each with an if_id; what comes out of
 * them is sealed by the outbound SA of that if_id, and what its inbound SAs open goes into it,
 * nothing else.
 *
 * A worker is lent one queue of each, with O_NONBLOCK; xipsecd made it and keeps it open. Frames
 * come with a struct virtio_net_hdr: checksums open, TCP and UDP uncut.
 */
#ifndef WORKER_TAP_H
#define WORKER_TAP_H

#include <stdbool.h>
#include <linux/types.h>
#include "worker/work.h"

struct worker;
struct ctl_in;
struct ctl_tap_sa;
struct sa_place;

/* Messages TAP, TAP_GONE, TAP_SA: 0, or -errno after a log line. */
int taps_add(struct worker *w, struct ctl_in *in);
int taps_gone(struct worker *w, __u32 if_id);
int taps_seal_with(struct worker *w, const struct ctl_tap_sa *msg);

void taps_free(struct worker *w);

/* Reads what waits, so much at most that the sockets get their turn, and carries it through.
 * Returns how many frames were read. Queues that were empty lately are not asked every time. */
unsigned int taps_round(struct worker *w);

/* After a poll() on w->polls: those that have something are asked in the next round. */
void taps_woken(struct worker *w);

/* Frames are missing: what waits is not read, and poll() would not sleep. */
bool taps_blocked(const struct worker *w);

/* Gives an opened packet to the stack: with if_id 0 to this host, else as arriving by that tunnel.
 * It ends as OPENED_LOCAL or with the drop that says what is missing, at the latest in
 * taps_flush(); as LINK_SCOPE where it is neighbour discovery (in transport mode: a router's word)
 * or a redirect, which no SA may say. Its SA is there. Segments of one TCP flow are written
 * together. Until then it stays where it is. */
void tap_deliver(struct worker *w, __u32 if_id, struct work *work);

/* Writes what tap_deliver() has gathered. */
void taps_flush(struct worker *w);

/* Answers a packet that came by a TAP (PACKET_LOCAL) and has been refused with the ICMP error its
 * reason asks for, back into that TAP, where one may be sent; its frame comes back. */
void tap_answer(struct worker *w, struct work *work, bool allowed);

#endif
