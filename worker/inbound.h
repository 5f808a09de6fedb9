/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What ESP and AH have in common on the way in: a burst of packets of one SA through window,
 * integrity check, window again, selectors. Only what differs is in esp_in.c and ah_in.c.
 */
#ifndef WORKER_INBOUND_H
#define WORKER_INBOUND_H

#include <stdbool.h>
#include "worker/packet.h"
#include "worker/replay.h"
#include "worker/sa.h"

#define IP4_LEN 20
#define IP6_LEN 40

#define INBOUND_AHEAD 2 /* packets to prefetch */

/* Where a packet in UDP came from. */
struct origin {
	struct xipsec_addr addr;
	__be16 port;
};

struct inbound {
	struct packet *pkt[BURST_MAX];
	struct crypto_op op[BURST_MAX];
	__u8 outer_tos[BURST_MAX];
	__u64 seq[BURST_MAX];     /* 0: not authentic */
	__u16 refused[BURST_MAX]; /* why, by the window */
	struct origin from;       /* of the newest, in UDP */
	unsigned int n;
	unsigned int opened;
	__u64 bytes; /* inner bytes of those that were opened */
};

/* Lengths, then replay_infer() and replay_check(), then *op. UNSPEC or why not. */
typedef enum xipsec_reason inbound_admit_fn(struct sa *sa, struct packet *p, struct crypto_op *op,
					    __u8 *tos);

/* From a packet whose check held to one at its inner header, OPENED to be. UNSPEC or why not. */
typedef enum xipsec_reason inbound_deliver_fn(struct sa *sa, struct packet *p,
					      const struct crypto_op *op, __u8 tos);

/* Of a packet that was admitted, whose check did not hold or which the window refused then: makes
 * its headers what they were. */
typedef void inbound_refuse_fn(struct sa *sa, struct packet *p, const struct crypto_op *op);

/* Ends the packet, counted in the SA. */
void inbound_drop(struct sa *sa, struct packet *p, enum xipsec_reason reason);

/* The transport checksum of a packet with PACKET_SUM, whose TCP or UDP is at l4_off behind a plain
 * IP header: made; another packet stays as it is. Before it goes anywhere but to the stack. */
void inbound_sum(struct packet *p);

/* That of a packet with PACKET_SUM, which it keeps: the sum of the pseudo-header alone, for
 * VIRTIO_NET_HDR_F_NEEDS_CSUM: ESP has proven the rest. Returns the field's offset from l4_off. */
__u16 inbound_sum_open(struct packet *p);

/* May this SA be used at all now? UNSPEC, STALE_META or LIMIT. */
enum xipsec_reason inbound_state(const struct sa *sa);

/* Bytes of the packet by its outer header, 0 if it lies; its TOS in *tos. */
__u32 inbound_len(const struct packet *p, __u8 *tos);

/* Tunnel mode: the inner packet is in the `text_len` bytes at `text`, TFC padding behind it (RFC
 * 4303 2.7) goes. Selectors, ECN. */
enum xipsec_reason inbound_tunnel(struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
				  __u8 next, __u8 tos);

/* Transport mode: the headers in front of p->l4_off (and of UDP) move up to what was carried. */
enum xipsec_reason inbound_transport(struct sa *sa, struct packet *p, __u8 *text, __u32 text_len,
				     __u8 next);

/* Is ESP in UDP what came? An SA takes either form (RFC 7296 2.23). From IP to ESP it has been
 * parsed. */
bool inbound_in_udp(const struct packet *p);

/* UDP encapsulation: where the packet came from, while its outer headers stand. */
void inbound_origin(const struct packet *p, struct origin *from);

/* And when it was good to the last, a dummy included: the SA notes where its newest came from. */
void inbound_peer(struct sa *sa, const struct packet *p, const struct origin *from);

/* What was opened while the state went to another SA was not that one's to accept. */
void inbound_recheck(struct sa *sa, struct inbound *burst);

static inline __attribute__((always_inline)) void inbound_admit(struct sa *sa, struct packet **pkts,
								unsigned int n,
								struct inbound *burst,
								inbound_admit_fn *admit)
{
	enum xipsec_reason closed = inbound_state(sa);
	struct crypto_op *op = burst->op;
	unsigned int live = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = pkts[i];
		enum xipsec_reason reason;

		if (i + INBOUND_AHEAD < n)
			__builtin_prefetch(pkts[i + INBOUND_AHEAD]->data, 1);
		if (p->reason)
			continue;
		reason = closed ? closed : admit(sa, p, op, &burst->outer_tos[live]);
		if (reason) {
			inbound_drop(sa, p, reason);
			continue;
		}
		burst->seq[live] = p->seq;
		burst->pkt[live++] = p;
		op++;
	}
	burst->n = live;
}

/* The window moves by what is authentic, whatever becomes of it (RFC 4303 3.4.3): in one go, before
 * any packet of the burst goes on. */
static inline __attribute__((always_inline)) void inbound_commit(struct sa *sa,
								 struct inbound *burst)
{
	for (unsigned int i = 0; i < burst->n; i++)
		if (!burst->op[i].ok)
			burst->seq[i] = 0;
	replay_commit_burst(sa->state, sa->window, burst->seq, burst->n, burst->refused);
}

static inline __attribute__((always_inline)) void inbound_finish(struct sa *sa,
								 struct inbound *burst,
								 inbound_deliver_fn *deliver,
								 inbound_refuse_fn *refuse)
{
	/* Numbers are never 0: where nobody is followed none is the newest, nor need it be known.
	 */
	const bool follows = sa->follows;
	const __u64 top = follows ? __atomic_load_n(&sa->state->replay_top, __ATOMIC_RELAXED) : 0;
	const unsigned int n = burst->n;
	unsigned int opened = 0;
	__u64 bytes = 0;

	for (unsigned int i = 0; i < n; i++) {
		struct packet *p = burst->pkt[i];
		enum xipsec_reason reason = burst->op[i].ok ? burst->refused[i] : XIPSEC_REASON_ICV;
		const bool newest = follows && burst->seq[i] == top && inbound_in_udp(p);

		if (reason)
			refuse(sa, p, &burst->op[i]);
		else if (newest)
			inbound_origin(p, &burst->from);
		if (!reason) {
			reason = deliver(sa, p, &burst->op[i], burst->outer_tos[i]);
			if (newest && (!reason || reason == XIPSEC_REASON_DUMMY))
				inbound_peer(sa, p, &burst->from);
		}
		if (reason) {
			inbound_drop(sa, p, reason);
			continue;
		}
		p->reason = XIPSEC_REASON_OPENED;
		opened++;
		bytes += p->len;
	}
	burst->opened = opened;
	burst->bytes = bytes;
}

/* The whole way. A template: each of ESP and AH has a copy with its own steps inlined. */
static inline __attribute__((always_inline)) void inbound_run(struct sa *sa, struct packet **pkts,
							      unsigned int n, __u64 now_s,
							      inbound_admit_fn *admit,
							      inbound_deliver_fn *deliver,
							      inbound_refuse_fn *refuse)
{
	struct inbound burst;

	sa->now_s = now_s;
	for (unsigned int done = 0; done < n; done += BURST_MAX) {
		unsigned int part = n - done < BURST_MAX ? n - done : BURST_MAX;

		inbound_admit(sa, pkts + done, part, &burst, admit);
		if (!burst.n)
			continue;
		sa->open(sa->key->ctx, burst.op, burst.n, sa->aad_len);
		inbound_commit(sa, &burst);
		inbound_finish(sa, &burst, deliver, refuse);
		inbound_recheck(sa, &burst);
		sa_count(sa, burst.opened, burst.bytes, now_s);
	}
}

#endif
