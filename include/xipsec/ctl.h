/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Between xipsecd and one of its workers: a SOCK_SEQPACKET pair, one message a packet, inherited by
 * the worker as descriptor XIPSEC_CTL_FD. Descriptors travel with the message that names them.
 *
 * Start: xipsecd sends HELLO, then every DEV, XSK, SA and NEXTHOP that is known, then GO. The
 * worker maps memory, gives up its privileges before it reads GO's successors, answers READY, and
 * works.
 *
 * A socket is lent before it is bound, because kernels before 6.4 map the rings of no bound one:
 * XSK, then the worker's XSK_MAPPED, then xipsecd binds it, puts it into the XSKMAP, and says
 * XSK_BOUND. A worker that takes over gets XSK and XSK_BOUND of what is bound already.
 */
#ifndef XIPSEC_CTL_H
#define XIPSEC_CTL_H

#include <linux/types.h>
#include "xipsec/sa.h"

#define XIPSEC_CTL_FD 3

enum xipsec_ctl_type {
	/* xipsecd to worker */
	XIPSEC_CTL_HELLO = 1, /* ctl_hello; fds: UMEM memfd, frame-table memfd, sa_state,
				 worker_stats, globals */
	XIPSEC_CTL_DEV,       /* ctl_dev: new or changed */
	XIPSEC_CTL_DEV_GONE,  /* ctl_dev, slot only: close its sockets */
	XIPSEC_CTL_XSK,       /* ctl_xsk; fds: the socket */
	XIPSEC_CTL_SA,        /* ctl_sa: install */
	XIPSEC_CTL_SA_GONE,   /* ctl_sa_ref: forget and wipe */
	XIPSEC_CTL_NEXTHOP,   /* ctl_nexthop: answer, or news */
	XIPSEC_CTL_GO,        /* header only */
	XIPSEC_CTL_XSK_BOUND, /* ctl_xsk_ref: packets may be sent by it */
	XIPSEC_CTL_TAP,       /* ctl_tap; fds: the worker's queue of it */
	XIPSEC_CTL_TAP_GONE,  /* ctl_tap, if_id only */
	XIPSEC_CTL_TAP_SA,    /* ctl_tap_sa: which SA seals what routes lead into a tunnel */
	XIPSEC_CTL_SLOW,      /* ctl_slow; fds: the socket. To worker 0 alone */
	/* worker to xipsecd */
	XIPSEC_CTL_READY = 64,  /* header only */
	XIPSEC_CTL_NEXTHOP_ASK, /* ctl_nexthop, dst and family only */
	XIPSEC_CTL_SA_STOPPED,  /* ctl_sa_ref: its sequence numbers are used up */
	XIPSEC_CTL_SA_GONE_OK,  /* ctl_sa_ref: wiped; no packet of it will be sent any more */
	XIPSEC_CTL_XSK_MAPPED,  /* ctl_xsk_ref: its rings are mapped, it may be bound */
	XIPSEC_CTL_SA_RUNS,     /* ctl_sa_runs: what became of SA, at the latest a tick after it */
	XIPSEC_CTL_PEER,        /* ctl_peer: the peer comes from elsewhere now */
	XIPSEC_CTL_SAMPLE, /* ctl_sample: a packet was dropped; lost when the channel is full */
};

struct ctl_hdr {
	__u16 type; /* enum xipsec_ctl_type */
	__u16 abi;  /* XIPSEC_ABI; another one ends the worker */
	__u32 len;  /* bytes, header included */
};

enum xipsec_backend {
	XIPSEC_BACKEND_AUTO,
	XIPSEC_BACKEND_IPSEC_MB,
	XIPSEC_BACKEND_OPENSSL,
	XIPSEC_BACKEND_NONE, /* in answers: there is no backend that runs it */
};

struct ctl_hello {
	struct ctl_hdr hdr;
	__u32 worker;     /* number, from 0 */
	__u32 n_sas;      /* entries of sa_state */
	__u32 frame_size; /* bytes, 2048 or 4096 */
	__u32 n_frames;
	__u32 backend;   /* enum xipsec_backend */
	__u32 uid;       /* to become; gid alike */
	__u32 busy_poll; /* 1: never sleep (benchmarks) */
	__u32 hostile; /* debug builds only: number of the attack to try after the sandbox is closed
			*/
	__u64 sa_state_size; /* bytes to map */
	__u64 stats_size;
	__u32 sa_state_stride; /* bytes from one entry to the next */
	__u32 stats_stride;
	__u32 multi_buffer; /* 1: its sockets take packets in several frames */
	__u32 workers;      /* how many there are, 1 at least */
};

#define XIPSEC_MTU_MAX 15872 /* of the widest link: what a worker puts together in one piece */

#define XIPSEC_VLANS_MAX     2  /* tags that programs and workers see through */
#define XIPSEC_DEV_VLANS_MAX 64 /* VLANs of one interface whose addresses workers know */

/* A VLAN, or a VLAN in a VLAN, that stands on an interface. */
struct ctl_vlan {
	__be32 vlan[XIPSEC_VLANS_MAX]; /* ethertype and tag, outer first, as in a frame; 0: none */
	struct xipsec_addr ip4;        /* as those of the interface */
	struct xipsec_addr ip6;
};

struct ctl_dev {
	struct ctl_hdr hdr;
	__u32 slot;
	__u32 ifindex;
	__u32 role; /* enum xipsec_role */
	__u32 mtu;  /* bytes of IP, XIPSEC_MTU_MAX at most */
	__u32 up;
	__u8 mac[6];
	__u16 pad;
	struct xipsec_addr ip4; /* an address of the interface for ICMP errors; 0: none */
	struct xipsec_addr ip6;
	__u32 n_vlans; /* with an address; those above the limit are not told */
	struct ctl_vlan vlan[XIPSEC_DEV_VLANS_MAX];
};

/* Offsets as XDP_MMAP_OFFSETS gives them; a ring's size is in descriptors. */
struct ctl_ring {
	__u64 producer, consumer, desc, flags;
	__u32 size;
	__u32 pad;
};

struct ctl_xsk {
	struct ctl_hdr hdr;
	__u32 slot;
	__u32 queue;
	struct ctl_ring rx, tx, fill, comp;
};

struct ctl_xsk_ref {
	struct ctl_hdr hdr;
	__u32 slot;
	__u32 queue;
};

/* A TAP or TUN with IFF_VNET_HDR, one queue a worker, O_NONBLOCK. */
struct ctl_tap {
	struct ctl_hdr hdr;
	__u32 if_id; /* 0: the TAP of this host's own traffic, else a TUN of tunnels {} */
	__u8 mac[6]; /* of the TAP */
	__u16 pad;
};

struct ctl_tap_sa {
	struct ctl_hdr hdr;
	__u32 if_id;
	__u32 index;
	__u32 generation; /* 0: there is none */
};

/* What delivers datagrams that came in fragments: raw sockets, and those of UDP 4500. All tell
 * destination and TOS with each datagram. */
enum xipsec_slow_kind {
	XIPSEC_SLOW_ESP4,
	XIPSEC_SLOW_AH4,
	XIPSEC_SLOW_ESP6,
	XIPSEC_SLOW_AH6,
	XIPSEC_SLOW_NATT4,
	XIPSEC_SLOW_NATT6,
	XIPSEC_SLOW_KINDS
};

struct ctl_slow {
	struct ctl_hdr hdr;
	__u32 kind; /* enum xipsec_slow_kind; another one of a kind takes its place */
	__u32 pad;
};

/* Ends with the last selector of the SA: XIPSEC_SA_SIZE(). */
struct ctl_sa {
	struct ctl_hdr hdr;
	__u32 index; /* into sa_state */
	__u32 generation;
	struct xipsec_sa sa;
};

struct ctl_sa_ref {
	struct ctl_hdr hdr;
	__u32 index;
	__u32 generation;
};

struct ctl_sa_runs {
	struct ctl_hdr hdr;
	__u32 index;
	__u32 generation;
	__u32 backend; /* enum xipsec_backend, never AUTO; NONE: it cannot run, its packets end as
			  stale_meta */
	__s32 err;     /* with NONE: a negative errno */
};

/* Of an inbound SA with UDP: where its newest authentic packet came from (RFC 3948, RFC 7296 2.23).
 * At most one a second of each SA. */
struct ctl_peer {
	struct ctl_hdr hdr;
	__u32 index;
	__u32 generation;
	struct xipsec_addr addr;
	__be16 port;
	__u16 pad;
	__u32 pad2;
};

struct ctl_sample {
	struct ctl_hdr hdr;
	struct xipsec_sample sample;
	__u32 if_id; /* with NO_SA_OUT: of the tunnel that a route led into; else 0 */
	__u32 pad;
};

enum xipsec_nexthop_status {
	XIPSEC_NEXTHOP_UNKNOWN, /* being resolved */
	XIPSEC_NEXTHOP_OK,
	XIPSEC_NEXTHOP_NO_ROUTE, /* also: route is blackhole, prohibit, or by an interface without a
				    role */
	XIPSEC_NEXTHOP_NO_NEIGH,
	XIPSEC_NEXTHOP_LOCAL, /* the destination is this host */
};

/* Of questions: 0 is of those that are nobody's alone; n + 1 is of what comes out of SAs whose
 * index is n modulo XIPSEC_NEXTHOP_SHARES, and is addressed by their peers. */
#define XIPSEC_NEXTHOP_SHARES 1024

struct ctl_nexthop {
	struct ctl_hdr hdr;
	struct xipsec_addr dst; /* what was asked for */
	__u32 family;
	__u32 status; /* enum xipsec_nexthop_status */
	__u32 slot;   /* of the interface it leaves by */
	__u32 mtu;    /* of the route, bytes of IP */
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u32 n_vlans;                 /* tags of the VLANs that the route leads through */
	__be32 vlan[XIPSEC_VLANS_MAX]; /* ethertype and tag, outer first, as in a frame */
	__u32 lifetime;                /* seconds; ask again after that if still in use */
	__u32 share;                   /* of the question; in answers 0 */
};

#endif
