/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker: what it was lent, what it knows, and its rounds.
 *
 *	loop.c      rounds: poll, receive, flush, sleep
 *	receive.c   frames off an RX ring
 *	verdict.c   what the programs say of them
 *	pipeline.c  a burst: check the verdicts, group by SA, and by pipeline_out.c, pipeline_in.c,
 *		    pipeline_end.c: seal or open, address, hand to TX
 *	control.c   what xipsecd says: interfaces, sockets, SAs, next hops
 */
#ifndef WORKER_LOOP_H
#define WORKER_LOOP_H

#include <poll.h>
#include <stdbool.h>
#include "worker/coalesce.h"
#include "worker/ctl.h"
#include "worker/frames.h"
#include "worker/nexthop.h"
#include "worker/ring.h"
#include "worker/work.h"
#include "xipsec/maps.h"

/* An SA's place: by its index. Holds no key, struct sa does. */
struct sa_place {
	struct sa *sa; /* NULL: free */
	struct xipsec_sa_state *state;
	__u32 generation;
	__u8 dir;
	__u8 outer_family;
	bool told_stopped;
	bool listed; /* in worker.quiet, perhaps from an SA before */
	__u8 group;  /* of the burst that `burst` names */
	__u64 burst;
	__u32 reverse;          /* of the inbound one: place of oversize_reverse() */
	struct xipsec_addr dst; /* outer */
	__u32 if_id;            /* of a tunnel; 0: policies lead into it */
	__be16 src_port;        /* as xipsecd said it */
	__u64 next_peer;        /* ms: when it may be told again where the peer is */
};

/* Of one reason: when a drop may be told next, ms, and how many were not. */
struct sample_gate {
	__u64 next;
	__u32 missed;
};

struct device {
	bool known;
	struct ctl_dev ctl;
};

/* One queue of a TAP (tap.h). */
struct tap {
	int fd;      /* -1: it is gone, another will come */
	__u32 if_id; /* 0: of this host's own traffic */
	__u32 wait;  /* rounds until it is asked again */
	/* Of a tunnel: what seals; generation 0: nothing. */
	__u32 sa_index, sa_generation;
	struct sample_gate acquire; /* without one: when somebody may be told */
	__u8 mac[6];
};

/* Opened packets that will be written to one TAP together; none between two bursts. */
struct tap_gather {
	struct tap *tap;
	struct coalesce flow;
	struct work *work[BURST_MAX];
	unsigned int n;
};

#define TAPS_MAX      257        /* 256 tunnels */
#define TAP_FRAME_MAX (1u << 17) /* bytes: a whole packet with its headers */

#define OWED_MAX 256

struct worker {
	int ctl;
	bool going;
	bool busy_poll;
	__u32 number;
	enum xipsec_backend backend;
	__u64 now_ms; /* CLOCK_BOOTTIME, of this round */

	struct frames frames;
	struct xsk **xsks;
	struct pollfd *polls; /* of sockets, TAPs, and the control channel last */
	unsigned int n_polls;
	unsigned int n_xsks;
	struct tap *taps;
	unsigned int n_taps;
	struct tap_gather gather;
	__u8 *tap_buffer; /* a frame's size, then TAP_FRAME_MAX */
	struct xsk
		*tx_of[XIPSEC_SLOTS_MAX][XIPSEC_QUEUES_MAX]; /* by slot and the queue it came in */
	struct device dev[XIPSEC_SLOTS_MAX];

	struct sa_place *sas;
	__u32 n_sas;
	struct reassembly *own_frags; /* of this host, for transport mode; NULL: none came yet */
	struct slow *slow;            /* datagrams that came in fragments; NULL: another worker's */
	__u8 *sa_state;
	size_t sa_state_size, sa_state_stride;
	const struct xipsec_globals *globals;
	struct xipsec_worker_stats *stats; /* own entry */
	void *stats_map;
	size_t stats_map_size;
	struct nexthops *nhs;

	__u64 burst;       /* number of the burst in hand */
	__u64 icmp_tokens; /* in thousandths */
	__u64 icmp_filled;
	__u64 next_reverse; /* ms: when a missing SA may be searched for again */
	__u32 fragment_id;  /* last one given to an IPv6 packet that was cut; 0: none yet */
	__u64 next_tick, next_ctl;
	__u64 next_fill;        /* ms: when stats->rx_fill and tx_fill are told */
	__u32 rx_most, tx_most; /* packets in the fullest rings since they were told last */

	struct work late[BURST_MAX]; /* late.h */
	unsigned int n_late;

	/* Answers that the full control channel did not take yet. */
	struct {
		__u16 type;
		union {
			struct ctl_sa_ref sa;
			struct ctl_xsk_ref xsk;
		} ref; /* of one size */
	} owed[OWED_MAX];
	unsigned int n_owed;

	struct sample_gate gates[XIPSEC_REASON_MAX];
	__u64 sample_tokens; /* in thousandths */
	__u64 samples_filled;

	bool peers_wait; /* some SA's peer is elsewhere than xipsecd says */
	__u64 next_peers;

	struct quiet *quiet; /* SAs that send something while they are idle */
	unsigned int n_quiet, n_dummies;
	__u64 next_quiet;

	struct sa_run *runs; /* by index, as the SAs */
	__u32 n_runs_owed, runs_at;
};

/* Makes a worker from HELLO, mapping the memory that came with it. 0 or -errno after a log line;
 * *out is untouched on failure. */
int worker_new(int ctl, struct ctl_in *hello, struct worker **out);

/* Wipes every key, unmaps, closes. The control descriptor stays the caller's. NULL is fine. */
void worker_free(struct worker *w);

/* Does what a message says. 0; -errno after a log line: the worker has to end. */
int worker_message(struct worker *w, struct ctl_in *in);

/* Reads messages until GO, takes over what a worker before left, and answers READY. 0 or -errno
 * (-EPIPE: xipsecd is gone). */
int worker_wait_go(struct worker *w);

/* Works until the control channel ends (-EPIPE) or breaks (-errno). */
int worker_run(struct worker *w);

/* One round over all sockets. Returns the number of packets received. */
unsigned int worker_round(struct worker *w);

/* Clock, timers and messages: what a round does beside packets. `now`: read messages even if it
 * was done a moment ago. 0 or -errno. */
int worker_housekeep(struct worker *w, bool now);

/* Answers xipsecd about an SA, now or as soon as the channel takes it; about a socket. */
void worker_owe(struct worker *w, enum xipsec_ctl_type type, __u32 index, __u32 generation);
void worker_owe_xsk(struct worker *w, enum xipsec_ctl_type type, __u32 slot, __u32 queue);

/* Notes what became of an SA; runs_tell() tells xipsecd, as far as the channel takes it. `err` with
 * XIPSEC_BACKEND_NONE. runs_new(): 0 or -ENOMEM. (runs.c) */
int runs_new(struct worker *w);
void runs_note(struct worker *w, __u32 index, __u32 generation, enum xipsec_backend backend,
	       int err);
void runs_tell(struct worker *w);

/* Tells xipsecd of a dropped packet, as often as it may; of those that go on OPENED_ECN alone is
 * told. (sample.c) */
void sample_drop(struct worker *w, const struct work *work, __u16 reason);

/* The same of what became no work: *known holds its reason and what else is known of it. `data`:
 * the packet from its IP header, `len` bytes of it, 0: it has none. (sample.c) */
void sample_stranger(struct worker *w, const struct xipsec_sample *known, const __u8 *data,
		     __u32 len);

/* Tells it that the packet of `len` bytes, which a route led into this tunnel, has no SA: somebody
 * may make one. Once in XIPSEC_ACQUIRE_GAP for each tunnel. (sample.c) */
void sample_acquire(struct worker *w, struct tap *tap, const __u8 *data, __u32 len);

/* Tells xipsecd that the peer of an inbound SA is elsewhere; peers_tick() does it again. (peer.c)
 */
void peer_tell(struct worker *w, struct sa_place *place);
void peers_tick(struct worker *w);

/* An SA that is to send dummies or keepalives while it is idle, one in place of one of its index;
 * it goes with its place. 0 or -ENOMEM. quiet_tick() sends what is due. (quiet.c) */
int quiet_add(struct worker *w, const struct ctl_sa *msg);
void quiet_tick(struct worker *w);

/* Sends what could not be sent before. 0, or -EPIPE when xipsecd does not read any more. */
int worker_pay(struct worker *w);

/* Pipeline: receives and carries through up to BURST_MAX packets. Returns how many. */
unsigned int pipeline_receive(struct worker *w, struct xsk *xsk);

/* Pipeline: goes on with packets whose next hop has been decided. */
void pipeline_resume(struct worker *w);

/* Pipeline: seals packets that came by a TAP, BURST_MAX at most; verdicts are checked here. */
void pipeline_take(struct worker *w, struct work **works, unsigned int n);

/* Pipeline: bytes of IP that the link towards an outbound SA's peer takes; while its next hop is
 * not known, the narrowest that there is. */
__u32 pipeline_out_mtu(struct worker *w, const struct sa_place *place);

/* Control: the set of sockets or TAPs has changed. 0 or -ENOMEM: the old one is polled. */
int worker_polls_changed(struct worker *w);

/* Pipeline: drops what waits under an SA that goes. */
void pipeline_drop_sa(struct worker *w, __u32 sa_index);

/* Every frame has one owner: frames_check() over what the worker holds between two rounds. */
int worker_check(const struct worker *w);

static inline void worker_count(struct worker *w, __u16 reason, __u32 bytes)
{
	struct xipsec_counter *c = &w->stats->reason[reason];

	/* One writer, many readers: no lock prefix is needed. */
	__atomic_store_n(&c->packets, c->packets + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&c->bytes, c->bytes + bytes, __ATOMIC_RELAXED);
}

static inline void worker_add(__u64 *counter, __u64 n)
{
	__atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

#endif
