/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sadb socket: how keys and questions reach xipsecd. SOCK_SEQPACKET at RUN_DIR/sadb.sock, mode
 * 0600; the peer's uid (SO_PEERCRED) must be 0 or xipsecd's own. One message a packet. A request is
 * answered by zero or more items (same type, XIPSEC_SADB_MORE set) and one final reply with `err`.
 *
 * A connection starts with every right. RESTRICT takes rights away for good: xipsec-iked's parent
 * does that before it lends a connection to the child that talks to strangers. A restricted
 * connection may only add, delete, list and be told of SAs of the children it was restricted to,
 * and none of sas {}. No reply ever carries a key.
 *
 * Whoever adds an SA: its selectors may narrow the policies of its child, none means all of them,
 * and xipsecd puts in the earlier rules that take something from them; the refusals that came with
 * it do not count. When a reload changes what the policies give an SA, it is deleted, after
 * XIPSEC_EVENT_EXPIRE_HARD; where only those refusals change, it goes on by the new ones.
 */
#ifndef XIPSEC_SADB_H
#define XIPSEC_SADB_H

#include <linux/types.h>
#include "xipsec/engine.h"
#include "xipsec/sa.h"

enum xipsec_sadb_type {
	XIPSEC_SADB_HELLO = 1,    /* -> sadb_hello */
	XIPSEC_SADB_RESTRICT,     /* sadb_name: a child; may be repeated; with CONNECTIONS: those of
				   * connections {}, as the config in force says it then -> reply */
	XIPSEC_SADB_SA_ADD,       /* sadb_sa_add -> reply */
	XIPSEC_SADB_SA_ADD_NAMED, /* sadb_name: SA of sas {} in the config, flags FRESH_KEY -> reply
				   */
	XIPSEC_SADB_SA_DELETE,    /* sadb_name, or by (dst, spi) in sadb_sa_ref -> reply */
	XIPSEC_SADB_SA_LIST,      /* -> sadb_sa_info... */
	XIPSEC_SADB_RELOAD,       /* sadb_path: read the config again -> reply. With WITHDRAW, to be
				   * asked before the policies are switched: only takes away the SAs
				   * that are another or none by that config, and has the others
				   * refuse what its earlier rules take from them */
	XIPSEC_SADB_STATUS,       /* -> sadb_status */
	XIPSEC_SADB_SUBSCRIBE,    /* sadb_subscribe, or a header: all but samples -> reply, then
				   * sadb_event as they come. Samples not where restricted */
	XIPSEC_SADB_EVENT,
	XIPSEC_SADB_IKE_SOCKETS, /* -> sadb_ike_sockets: lent until this connection ends */
	XIPSEC_SADB_SA_MOVE, /* sadb_name: SA or child, flags: enum xipsec_engine -> reply: it is
			      * rekeyed onto that engine. Not where restricted */
};

#define XIPSEC_SADB_MORE     1
#define XIPSEC_SADB_WITHDRAW 2 /* with RELOAD: see there */
#define XIPSEC_SADB_POLICIES 4 /* with RELOAD: all of it, xipsecd switches the policies, too */
#define XIPSEC_SADB_CONNECTIONS                                                                   \
	8 /* with RESTRICT; with RELOAD: `path` is the number of a client's connection that came, \
	   * changed or went (lib/config_clients.h); its policies are switched, and of SAs those  \
	   * looked at that they speak of. xipsecd may choose to do all that POLICIES does */
#define XIPSEC_SADB_ERR_TEXT 256

struct sadb_hdr {
	__u16 type;
	__u16 flags; /* XIPSEC_SADB_MORE and the others above */
	__u16 abi;   /* XIPSEC_ABI */
	__s16 err;   /* 0 or a negative errno, in final replies */
	__u32 len;   /* bytes, header included */
	__u32 seq;   /* the client's, echoed */
};

struct sadb_reply {
	struct sadb_hdr hdr;
	char text[XIPSEC_SADB_ERR_TEXT]; /* with err: what is wrong and what to do; else empty */
};

struct sadb_hello {
	struct sadb_hdr hdr;
	__u64 epoch; /* random, new at every start of xipsecd: SAs of an older one are gone */
	__u32 pid;
	__u32 pad;
};

struct sadb_name {
	struct sadb_hdr hdr;
	__u32 flags; /* XIPSEC_SA_FRESH_KEY with SA_ADD_NAMED, the engine with SA_MOVE */
	char name[XIPSEC_NAME_LEN];
};

struct sadb_path {
	struct sadb_hdr hdr;
	char path[4096]; /* of the config; empty: the one xipsecd was started with */
};

/* Ends with the last selector of the SA: XIPSEC_SA_SIZE(). */
struct sadb_sa_add {
	struct sadb_hdr hdr;
	struct xipsec_sa sa;
};

struct sadb_sa_ref {
	struct sadb_hdr hdr;
	struct xipsec_addr dst;
	__be32 spi;
	__u8 family;
	__u8 l4_proto;
	__u16 pad;
};

/* One SA, without its key: `sa.key` is zero. Ends with its last selector. */
struct sadb_sa_info {
	struct sadb_hdr hdr;
	__u32 index;
	__u32 generation;
	__u32 status;     /* enum xipsec_sa_status */
	__u32 backend;    /* enum xipsec_backend that runs it; AUTO: no worker has said yet */
	__u32 engine_why; /* enum xipsec_engine_why */
	__u32 pad;
	__u64 age;  /* seconds since it was installed */
	__u64 idle; /* seconds since the last packet; ~0: none yet */
	__u64 seq;  /* outbound: last used; inbound: highest received */
	__u64 seq_limit;
	__u64 packets;
	__u64 bytes;
	__u64 tfc_bytes; /* these three as in struct xipsec_sa_state */
	__u64 dummies;
	__u64 dummy_bytes;
	__u64 drops[XIPSEC_REASON_MAX];
	struct xipsec_sa sa;
};

static inline int sadb_sa_info_whole(const struct sadb_sa_info *info, unsigned long len)
{
	return len > __builtin_offsetof(struct sadb_sa_info, sa) &&
	       xipsec_sa_whole(&info->sa, len - __builtin_offsetof(struct sadb_sa_info, sa));
}

struct sadb_status {
	struct sadb_hdr hdr;
	__u64 epoch;
	__u32 pid;
	__u32 n_workers;
	__u32 n_sas;
	__u32 spd_generation;
	__u32 worker_pid[XIPSEC_WORKERS_MAX]; /* 0: down */
	__u32 worker_starts[XIPSEC_WORKERS_MAX];
	char backend[32];
};

/*
 * The sockets that IKE is spoken by; bound, marked for the guard, IP_PKTINFO or IPV6_RECVPKTINFO
 * on. That of port 4500 gets what begins with the non-ESP marker alone (RFC 3948 2.2).
 */
enum xipsec_ike_socket {
	XIPSEC_IKE_500_IP4,
	XIPSEC_IKE_4500_IP4,
	XIPSEC_IKE_500_IP6,
	XIPSEC_IKE_4500_IP6,
	XIPSEC_IKE_SOCKETS
};

/* Comes with a descriptor for each bit of `have`, lowest first (SCM_RIGHTS): duplicates, xipsecd
 * keeps its own. While nobody has borrowed them xipsecd reads and drops what arrives. Who asks
 * last is the borrower. */
struct sadb_ike_sockets {
	struct sadb_hdr hdr;
	__u32 have; /* bit n: enum xipsec_ike_socket n; others could not be opened */
	__u32 pad;
};

enum xipsec_event {
	XIPSEC_EVENT_ACQUIRE =
		1, /* a child's policy wants an SA: `child`; `sample` is the packet */
	XIPSEC_EVENT_EXPIRE_HARD, /* an SA has stopped, or a reload takes it away */
	XIPSEC_EVENT_EXPIRE_SOFT, /* an SA comes near its end: once in its life */
	XIPSEC_EVENT_IDLE,        /* no packet for limits.idle s: once until there is one */
	XIPSEC_EVENT_MAPPING,     /* the peer has another address or port now (RFC 3948) */
	XIPSEC_EVENT_SAMPLE,      /* a packet was dropped: `sample` */
	XIPSEC_EVENT_USED,        /* the first good packet came by an inbound SA */
	/* Dropped packets that IKE tells the peer of, at most one a second each kind. */
	XIPSEC_EVENT_NO_SA,     /* ESP or AH came and has no SA: src, dst, spi, family; no sample */
	XIPSEC_EVENT_SELECTORS, /* what came out of an SA is outside its selectors: `sample` is the
				 * inner packet */
	XIPSEC_EVENT_RELOAD,  /* xipsecd has taken over a config. Nothing but the time is told, and
			       * in `sa` the name of a client's connection if it alone has changed */
	XIPSEC_EVENT_PASS,    /* one passed in the clear by policy, or as OPENED_ECN: `sample` */
	XIPSEC_EVENT_ADDED,   /* an SA is there now, whoever made it; told as samples are */
	XIPSEC_EVENT_DELETED, /* one that was told so is gone; the same */
	XIPSEC_EVENT_COUNT
};

#define XIPSEC_EVENT_BIT(event) (1U << (event))

/* What an SA has reached, with EXPIRE_*. */
enum xipsec_limit {
	XIPSEC_LIMIT_NONE,
	XIPSEC_LIMIT_TIME,
	XIPSEC_LIMIT_PACKETS,
	XIPSEC_LIMIT_BYTES,
	XIPSEC_LIMIT_SEQUENCE, /* the end of the sequence numbers; soft: 7/8 of them are used */
	XIPSEC_LIMIT_POLICY,   /* its child's policies have changed */
	XIPSEC_LIMIT_COUNT
};

#define XIPSEC_SUBSCRIBE_PACKETS 1 /* samples with the first bytes of their packets */

struct sadb_subscribe {
	struct sadb_hdr hdr;
	__u32 events; /* XIPSEC_EVENT_BIT() of those wanted */
	__u32 flags;  /* XIPSEC_SUBSCRIBE_PACKETS */
};

/*
 * Samples are told at a limited rate, and dropped for a subscriber that does not read, as is what
 * SAs come and go (a reload may bring thousands): `lost` says how many did not reach it since the
 * last event that did. One that lets other events pile up is disconnected. `sa` is empty where no
 * SA is known, and so is `child`.
 */
struct sadb_event {
	struct sadb_hdr hdr;
	__u32 event; /* enum xipsec_event */
	__u32 limit; /* enum xipsec_limit */
	__u64 time;  /* CLOCK_BOOTTIME, ns */
	__u64 lost;
	__u32 sa_index;
	__u32 sa_generation;
	char sa[XIPSEC_NAME_LEN];
	char child[XIPSEC_NAME_LEN];
	char iface[16]; /* with a sample: it came in by, or left by; empty: not known */
	/* The SA's, as it is now: with MAPPING the inbound one, its src is the peer. */
	struct xipsec_addr src;
	struct xipsec_addr dst;
	struct xipsec_addr old_src; /* with MAPPING */
	__be32 spi;
	__u8 family; /* of these addresses; 0: no SA is known */
	__u8 dir;
	__be16 src_port; /* with ESP in UDP */
	__be16 dst_port;
	__be16 old_src_port;
	__u32 pad;
	struct xipsec_sample sample;
};

#endif
