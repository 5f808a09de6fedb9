/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The BPF maps: what stands in them, who writes them, who reads them.
 *
 *	map           kind                  key          value                      written by
 *	version       array, 1              0            xipsec_version             loader, once
 *	globals       array, 1, mmapable    0            xipsec_globals             loader
 *	pass_key      array, 1              0            xipsec_passed              loader, once
 *	ifaces        hash                  ifindex      xipsec_iface               loader, xipsecd
 *	spd           array of maps, 1      0            -> spd_head                loader, one
 *switch spd_buckets_of array of maps, 2     place        -> spd_buckets             loader
 *	spd_rules_of  array of maps, 2      place        -> spd_rules               loader
 *	spd_head      array, 1, mmapable    0            xipsec_spd                 loader, xipsecd
 *	spd_buckets   array, mmapable       hash         xipsec_spd_bucket          loader, xipsecd
 *	spd_rules     array, mmapable       rule number  xipsec_spd_rule            loader, xipsecd
 *	spd_hits      array, mmapable       CPU * max_rules + rule number xipsec_counter programs
 *	flow_cache    per-CPU array         hash of a flow xipsec_cached_set        programs
 *	flow_stats    per-CPU array, 1      0            xipsec_flow_stats          programs
 *	spd_names     array                 policy       xipsec_spd_name            loader
 *	child_ids     hash                  child name   child id ("": the next)    loader
 *	dev_ids       hash                  interface name  dev id ("": the next)   loader
 *	children      array                 child id     xipsec_child               xipsecd
 *	sad           hash                  xipsec_sad_key xipsec_sad_entry         xipsecd
 *	peers         hash                  xipsec_peer_key xipsec_peer             xipsecd
 *	sa_state      array, mmapable       SA index     xipsec_sa_state            workers, xipsecd
 *	frags         LRU hash              xipsec_frag_key xipsec_frag        programs
 *	xsks          XSKMAP                slot * XIPSEC_QUEUES_MAX + queue        xipsecd
 *	reasons       per-CPU array, 1      0            xipsec_reasons             programs
 *	worker_stats  array, mmapable       worker       xipsec_worker_stats        worker (own
 *entry), xipsecd
 *	events        ring buffer                        xipsec_sample              programs
 *	sample_gates  per-CPU array         xipsec_reason xipsec_gate               programs
 *	acquire_gates array                 child id     xipsec_gate                programs
 *
 * No key is ever in a map. All are pinned under one generation's directory, with BTF.
 * A zero-filled entry of any of them is harmless: action 0 is DISCARD, generation 0 is nothing.
 */
#ifndef XIPSEC_MAPS_H
#define XIPSEC_MAPS_H

#include <linux/types.h>
#include "xipsec/classifier.h"
#include "xipsec/explain.h"
#include "xipsec/reason.h"
#include "xipsec/selector.h"

/* Raised by every change of a map's or the metadata's layout or meaning. The loader builds a new
 * generation beside pins of another ABI, and never reads or writes those. */
#ifndef XIPSEC_ABI
#define XIPSEC_ABI 15
#endif

#define XIPSEC_SLOTS_MAX    32  /* interfaces with a role */
#define XIPSEC_IFACES_MAX   288 /* those, and VLANs on them */
#define XIPSEC_QUEUES_MAX   64  /* receive queues of one interface */
#define XIPSEC_CHILDREN_MAX 65536
#define XIPSEC_SAS_DEFAULT  1024 /* entries of sad and sa_state unless the config says more */
#define XIPSEC_WORKERS_MAX  64
#define XIPSEC_NAME_LEN     64 /* names of children, with the final 0 */

struct xipsec_version {
	__u32 abi;
	__u32 pad;
	char release[32]; /* text, for people */
};

struct xipsec_counter {
	__u64 packets;
	__u64 bytes; /* frame bytes, Ethernet header included, in the programs and at a worker's
			entry */
};

/* A counter of each reason, in the order of enum xipsec_reason. One value with names, so that
 * bpftool prints them: it knows none for the keys of an array. */
struct xipsec_reasons {
#define XIPSEC_REASON_MEMBER(sym, name, kind, text) struct xipsec_counter name;
	XIPSEC_REASONS(XIPSEC_REASON_MEMBER)
#undef XIPSEC_REASON_MEMBER
	struct xipsec_counter later[XIPSEC_REASON_MAX - XIPSEC_REASON_COUNT];
};

/* ------------------------------------------------------------------ interfaces */

enum xipsec_role {
	XIPSEC_ROLE_NONE = 0,
	XIPSEC_ROLE_PROTECTED = 1,   /* red */
	XIPSEC_ROLE_UNPROTECTED = 2, /* black */
};

#define XIPSEC_IFACE_MACS 8
#define XIPSEC_IFNAME_LEN 16
#define XIPSEC_DEVS_MAX   1024 /* names of interfaces in the life of a generation */

/* The MACs: its own first, then those of VLANs and macvlans (VRRP) above it in this network
 * namespace. n_macs 0: no frame is for us. */
struct xipsec_iface {
	enum xipsec_role role;
	__u32 slot; /* 0 to XIPSEC_SLOTS_MAX - 1, unique */
	char name[16];
	__u8 mac[XIPSEC_IFACE_MACS][6];
	__u32 n_macs;
	__u16 vlan; /* 1: a VLAN on the interface of that name and slot: for routes alone, no
		       program runs on it */
	__u16 dev;  /* id of that name in dev_ids, which rules ask for; 0: no rule can */
};

/* Built-in passes that the config asked for. */
#define XIPSEC_ALLOW_DHCP 1
#define XIPSEC_ALLOW_MLD  2

/* A policy that rules came from, for people. */
struct xipsec_spd_name {
	__u32 spd_generation; /* that the SPD with it began with */
	char policy[XIPSEC_NAME_LEN];
};

/* What workers and others must know without a system call. */
struct xipsec_globals {
	__u32 spd_generation; /* that the SPD which is current began with; written after the
				 switch, untouched by changes of single rules */
	__u32 tap_ifindex;    /* where the host's own packets go to be sealed; 0: nowhere */
	__u32 tell;           /* XIPSEC_TELL_*: what subscribers of xipsecd want beside drops */
	__u32 pmtu_age;       /* seconds that a path MTU is believed; 0: XIPSEC_PMTU_AGE */
};

#define XIPSEC_TELL_PASSES  1 /* samples of what a policy lets pass in the clear */
#define XIPSEC_TELL_PACKETS 2 /* the first bytes of the packet with each sample */

/* ------------------------------------------------------------------ SAs */

enum __attribute__((packed)) xipsec_engine {
	XIPSEC_ENGINE_NONE = 0,
	XIPSEC_ENGINE_AFXDP = 1,
	XIPSEC_ENGINE_XFRM = 2,
};

/* The outbound SA that a child uses now. sa_generation 0: none is up. */
struct xipsec_child {
	__u32 sa_index;
	__u32 sa_generation;
	enum xipsec_engine engine;
	__u8 pad[7];
};

struct xipsec_sad_key {
	struct xipsec_addr dst; /* outer destination */
	__be32 spi;
	enum xipsec_family family; /* of dst */
	__u8 l4_proto;             /* IPPROTO_ESP or IPPROTO_AH */
	__u16 pad;
};

#define XIPSEC_SAD_NO_PLAIN 1 /* ESP that is not in UDP */
#define XIPSEC_SAD_NO_UDP   2

struct xipsec_sad_entry {
	__u32 sa_index;
	__u32 sa_generation;
	enum xipsec_dir dir; /* in or out */
	enum xipsec_engine engine;
	__u8 udp;     /* 1: ESP in UDP is sent */
	__u8 refused; /* inbound: forms that are no_sa, XIPSEC_SAD_NO_*. Workers take either (RFC
			 7296 2.23), kernel XFRM the SA's alone */
	__u32 xfrm;   /* of kernel XFRM. Outbound: last word of the source address that has one;
			 inbound: CPU that opens it, plus 1, 0: the one that receives it */
};

/* Who may send us IPsec in pieces: source and destination of inbound SAs. */
struct xipsec_peer_key {
	struct xipsec_addr src;
	struct xipsec_addr dst;
	enum xipsec_family family;
	__u8 l4_proto; /* IPPROTO_ESP, _AH; _UDP: ESP in UDP */
	__u16 pad;
};

struct xipsec_peer {
	__u32 sas; /* how many inbound SAs: never 0 */
};

/*
 * The replay window is a ring of words that name the block of sequence numbers they stand for, so
 * that several workers commit without a lock and a stale word is recognised, never cleared:
 *	word = tag << 32 | 32 bits, block = seq / 32, slot = block % WORDS, tag = (block / WORDS)
 *mod 2^32
 */
#define XIPSEC_REPLAY_WORDS 512
#define XIPSEC_WINDOW_MIN   64
#define XIPSEC_WINDOW_MAX   8192

#define XIPSEC_PMTU_AGE     600 /* seconds (RFC 1191 6.3, RFC 8201 5.3), unless configured */
#define XIPSEC_PMTU_AGE_MIN 300 /* RFC 8201 4: no larger one is tried earlier */
#define XIPSEC_PMTU_AGE_MAX 86400

enum xipsec_sa_status {
	XIPSEC_SA_FREE = 0,
	XIPSEC_SA_LIVE = 1,
	XIPSEC_SA_STOPPED = 2, /* hard limit or end of the sequence numbers */
	XIPSEC_SA_REFUSED = 3, /* in listings alone: a worker cannot run it */
};

/* The state that workers share and that outlives them. All fields are accessed atomically. */
struct xipsec_sa_state {
	__u32 generation; /* of the SA in this place, never 0 in use */
	enum xipsec_sa_status status;
	__u64 seq;        /* outbound: last number given out, 0 before the first */
	__u64 seq_limit;  /* outbound: last number that may be given out now (reserved on disk) */
	__u64 replay_top; /* inbound: highest authenticated number */
	__u32 window;     /* inbound: packets */
	__u32 esn;        /* 1: 64-bit sequence numbers */
	__u64 packets;    /* sealed, or opened and accepted */
	__u64 bytes;      /* inner bytes of those */
	__u64 last_use;   /* CLOCK_BOOTTIME, seconds */
	__u64 tfc_bytes;  /* padding behind these that hides lengths (RFC 4303 2.7) */
	__u64 dummies;    /* dummy packets (2.6): sent, or received; and what they carry: */
	__u64 dummy_bytes;
	__u32 pmtu;       /* outbound: of the path, as authentic ICMP errors told; 0: not known */
	__u32 pmtu_until; /* it is believed so long, CLOCK_BOOTTIME, seconds */
	__u64 drops[XIPSEC_REASON_MAX];
	__u64 replay[XIPSEC_REPLAY_WORDS];
};

/* ------------------------------------------------------------------ fragments */

#define XIPSEC_FRAGS_MAX 4096

/* What later fragments of a datagram meet: see bpf/frags.h. */
enum xipsec_frag_verdict {
	XIPSEC_FRAG_ASK = 1,    /* the SPD, about `flow`, that of the first one: it passed */
	XIPSEC_FRAG_REASSEMBLE, /* up to the stack: ESP or AH of an SA */
	XIPSEC_FRAG_IKE,        /* the same; `n`: which budget, 1 of peers, 0 of strangers */
	XIPSEC_FRAG_OWN,        /* they pass: ESP that kernel XFRM made, to black */
	XIPSEC_FRAG_EARLY,      /* no first one was seen; `n`: units that are up already */
};

/* A datagram that comes in fragments, as one interface sees it. */
struct xipsec_frag_key {
	struct xipsec_addr src;
	struct xipsec_addr dst;
	__be32 id; /* IPv4: 16 bits of it */
	__u32 ifindex;
	enum xipsec_family family;
	__u8 l4_proto; /* IPv4 */
	enum xipsec_dir dir;
	__u8 pad[5];
};

/* What its first fragment came to. */
struct xipsec_frag {
	__u64 seen; /* CLOCK_MONOTONIC, ns */
	enum xipsec_frag_verdict verdict;
	__u32 n;     /* with XIPSEC_FRAG_EARLY and _IKE: see there */
	__u32 check; /* with XIPSEC_FRAG_ASK: made from the flow and the datagram's ID */
	__u32 pad;
	struct xipsec_flow flow; /* with XIPSEC_FRAG_ASK */
};

/* ------------------------------------------------------------------ workers */

struct xipsec_worker_stats {
	struct xipsec_counter reason[XIPSEC_REASON_MAX];
	__u64 loops;      /* rounds of the main loop */
	__u64 idle_loops; /* of those, with no packet */
	__u64 rx_packets;
	__u64 tx_packets;
	__u32 pid;
	__u32 starts; /* times that this worker was started */
	/* Of its fullest rings, in thousandths, the most of the last second: packets that waited
	   behind those in its hands; packets that the device had not sent. */
	__u32 rx_fill;
	__u32 tx_fill;
};

/* ------------------------------------------------------------------ samples */

#define XIPSEC_SAMPLE_BYTES 256 /* of a packet, at most */

/*
 * A dropped packet (or one that passed in the clear), for people and for iked. The addresses are
 * those of the outermost IP header; `inner`: of the packet that an SA carries or carried.
 */
struct xipsec_sample {
	__u64 time; /* CLOCK_BOOTTIME, ns */
	struct xipsec_addr src;
	struct xipsec_addr dst;
	__be32 spi;     /* 0: not known */
	__u32 seq;      /* as in the ESP header; with SPI */
	__u32 ifindex;  /* 0: not known */
	__u32 len;      /* bytes of the frame */
	__u32 missed;   /* drops of this reason that were not told since the last one, by this CPU
			   or worker */
	__u32 child;    /* id, with NO_SA_OUT */
	__u32 sa_index; /* with sa_generation; 0: no SA is known */
	__u32 sa_generation;
	__u16 reason; /* enum xipsec_reason */
	__u16 sport;  /* host order; 0: none, or not seen */
	__u16 dport;
	__u8 family; /* 0: it was not parsed so far */
	__u8 l4_proto;
	__u8 worker; /* 1: of a worker, 0: of a program */
	__u8 inner;
	__u8 raw; /* 1: `data` begins with an IP header, 0: with an Ethernet header */
	__u8 pad;
	__u32 flow;     /* IPv6: the flow label, host order */
	__u16 captured; /* bytes of `data`; 0 unless XIPSEC_TELL_PACKETS */
	__u8 pad2[6];
	__u8 data[XIPSEC_SAMPLE_BYTES];
};

/* When the next one may be told, CLOCK_MONOTONIC (coarse), ns, and how many were not since. */
struct xipsec_gate {
	__u64 next;
	__u64 missed;
};

#define XIPSEC_SAMPLE_GAP  100000000ULL  /* ns: ten a second of each reason */
#define XIPSEC_ACQUIRE_GAP 1000000000ULL /* of each child */
#define XIPSEC_EVENTS_SIZE (64 * 1024)   /* bytes of the ring buffer */

/* Marks of skbs: who made this packet. SO_MARK needs CAP_NET_ADMIN, so no other user can claim it.
 */
#define XIPSEC_MARK_MASK 0xff000000
#define XIPSEC_MARK_OWN  0x49000000 /* a socket that xipsecd opened */
#define XIPSEC_MARK_XFRM 0x4a000000 /* | child: the policy's choice was kernel XFRM */
#define XIPSEC_MARK_OPENED \
	0x4b000000 /* | child: kernel XFRM has opened it, by an inbound SA of that child */

_Static_assert(sizeof(struct xipsec_reasons) == 16 * XIPSEC_REASON_MAX, "as an array");
_Static_assert(sizeof(struct xipsec_iface) == 80, "ABI");
_Static_assert(sizeof(struct xipsec_sad_key) == 24, "ABI");
_Static_assert(sizeof(struct xipsec_sad_entry) == 16, "ABI");
_Static_assert(sizeof(struct xipsec_peer_key) == 36, "ABI");
_Static_assert(sizeof(struct xipsec_child) == 16, "ABI");
_Static_assert(sizeof(struct xipsec_frag_key) == 48, "ABI");
_Static_assert(sizeof(struct xipsec_frag) == 72, "ABI");
_Static_assert(sizeof(struct xipsec_sample) == 96 + XIPSEC_SAMPLE_BYTES, "ABI");
_Static_assert(sizeof(struct xipsec_globals) == 16, "ABI");
_Static_assert(sizeof(struct xipsec_sa_state) == 96 + 8 * (XIPSEC_REASON_MAX + XIPSEC_REPLAY_WORDS),
	       "ABI");
_Static_assert(XIPSEC_REPLAY_WORDS * 32 >= 2 * XIPSEC_WINDOW_MAX, "window and slack fit the ring");

#endif
