/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * An SA as a worker runs it: made once from struct xipsec_sa, then only read. What changes with
 * every packet (numbers, window, counters) lies in struct xipsec_sa_state, which workers share.
 *
 * The key lives in one place, the crypto context that sa_new() made; sa_free() wipes it. The caller
 * wipes the struct xipsec_sa it came from.
 */
#ifndef WORKER_SA_H
#define WORKER_SA_H

#include <linux/types.h>
#include "xipsec/ctl.h"
#include "xipsec/maps.h"
#include "xipsec/sa.h"
#include "worker/crypto.h"
#include "worker/outer.h"

#define ESP_HEADER_LEN  8 /* SPI and sequence number */
#define ESP_TRAILER_MIN 2 /* pad length and next header */
#define SA_USUAL_IV     8 /* bytes of the IV of most algorithms */

/* A selector that names nets alone, as the addresses of an IPv4 header are compared with it: source
 * and destination as they stand there. */
struct sa_net4 {
	__u64 want, mask;
	__u32 refuse;
};

/* The same of IPv6. */
struct sa_net6 {
	__u64 want[4], mask[4];
	__u32 refuse;
};

#define SA_NETS4 8

/* Whose packets are all written alike: by a way of their own that is told apart once for a burst.
 * All but ANY have salts of 4 bytes, IVs of SA_USUAL_IV and hide no lengths. */
enum sa_way {
	SA_ANY,
	SA_TUNNEL4,
	SA_TUNNEL4_UDP,
	SA_TUNNEL6,
	SA_TUNNEL6_UDP,
	SA_TRANSPORT4,
	SA_TRANSPORT4_UDP,
	SA_TRANSPORT6,
	SA_TRANSPORT6_UDP,
};

struct sa {
	struct xipsec_sa_state *state;
	struct crypto_key *key;
	crypto_burst_fn *seal;
	crypto_burst_fn *open;
	struct outer outer;          /* the headers' template; transport mode: of UDP alone */
	char child[XIPSEC_NAME_LEN]; /* whose policies it serves */
	struct xipsec_addr src;
	struct xipsec_addr dst; /* outer; the next hop of what is sealed */
	__u32 index;
	__u32 generation;
	__be32 spi;
	__u8 dir; /* XIPSEC_DIR_* */
	__u8 outer_family;
	__u8 esn;
	__u8 transport; /* the mode; else tunnel */
	__u8 udp;       /* ESP in UDP */
	__u8 follows;   /* inbound, in UDP: where its newest packet came from is told */
	__u8 df_clear;  /* outbound: what carries its packets may be cut */
	__u8 later;     /* inbound: later fragments follow their first one */
	__u8 apart;     /* outbound: an earlier rule sends later fragments elsewhere */
	__u8 whole;     /* datagrams are sealed whole alone: transport mode, or a selector asks for
			   what later fragments hide */
	__u8 ah;        /* the protocol; else ESP */
	__u8 usual_iv;  /* its salt is of 4 bytes and its IV of SA_USUAL_IV, as most are */
	__u8 way;       /* enum sa_way */
	__u8 aad_len;
	/* Whole words, for each packet asks for them. */
	__u32 aad_shift; /* 32 without ESN: the AAD holds the low half alone */
	/* Of its algorithm, in bytes. */
	__u32 salt_len;
	__u32 iv_len; /* as it travels: 0, 8 or 16 */
	__u32 icv_len;
	__u32 align;     /* of what is encrypted, trailer included */
	__u32 head_len;  /* ESP header and IV; AH with its ICV */
	__u32 esp_min;   /* ESP, inbound: bytes of it, at least */
	__u32 icv_off;   /* AH: of the ICV in it */
	__u32 head_room; /* that sealing may write in front: all headers; AH puts some aside there
			  */
	__u32 tail_room; /* that it may write behind: padding, trailer, ICV; AH: an ESN's high half
			  */
	__u8 salt[XIPSEC_SALT_MAX];
	__u32 window; /* inbound: packets */
	__u32 tfc_size;
	__u32 dummies;                  /* a second, while idle */
	__u64 hard_packets, hard_bytes; /* ~0: no limit */
	/* UDP encapsulation, inbound: where the newest authentic packet came from. */
	struct xipsec_addr peer;
	__be16 peer_port;
	__u8 peer_changed; /* the caller tells xipsecd and clears it */
	/* Inbound: what may come out of it and what not, as in struct xipsec_sa. */
	__u32 n_selectors;
	__u8 nets_alone; /* none of them asks for a protocol or a port */
	__u32 n_nets4;   /* where that is so, they are few and no range is odd: those for IPv4, in
			    order; else 0 */
	__u32 n_nets6;   /* and those for IPv6 */
	struct sa_net4 net4[SA_NETS4];
	struct sa_net6 net6[SA_NETS4];
	struct seen *seen; /* what was answered before, where there are many; NULL: there are few */
	struct firsts *firsts; /* of its datagrams, where later fragments may follow and hide what
				  selectors ask for; else NULL */
	__u64 now_s;           /* of the burst in hand */
	__u8 refuse[XIPSEC_SELECTORS_MAX];
	struct xipsec_selector selector[];
};

/* `state` stays the caller's and must outlive the SA. NULL on failure, with a negative errno in
 * *err: -EINVAL (contradicts itself), -ENOTSUP (algorithm, mode or backend not to be had here),
 * -ENOMEM. Has one line logged. */
struct sa *sa_new(const struct xipsec_sa *sa, __u32 index, __u32 generation,
		  struct xipsec_sa_state *state, enum xipsec_backend backend, int *err);

/* `sa` takes the place of `old`, which is the same with another list or another peer: datagrams
 * whose first fragment came by that one go on, as the new list judges them. */
void sa_succeed(struct sa *sa, struct sa *old);

/* Wipes the key. NULL is fine. */
void sa_free(struct sa *sa);

/* The one that was chosen: never AUTO. */
enum xipsec_backend sa_backend(const struct sa *sa);

/* The largest inner packet that fits `path_mtu` bytes of IP on the black link, 0 if none does. */
__u32 sa_inner_max(const struct sa *sa, __u32 path_mtu);

/* The same in transport mode, for packets of which `front` bytes stay in front of ESP. */
__u32 sa_transport_max(const struct sa *sa, __u32 path_mtu, __u32 front);

/* In place of an MTU: packets are sealed whatever their length, and cut then. */
#define SA_ANY_MTU 0x10000u

/* What is left of `link_mtu` by the path's own MTU, as authentic ICMP errors told it, while it is
 * believed. SA_ANY_MTU stays what it is. */
__u32 sa_path_mtu(const struct sa *sa, __u32 link_mtu, __u64 now_s);

/* From LIVE to STOPPED, if the state is still this SA's. */
void sa_stop(struct sa *sa);

/* Have the hard limits been reached? They count what the key was used for: beside packets and their
 * bytes also dummies and all padding that hides lengths (RFC 4301 4.4.2.1 a). At one the SA stops;
 * each worker may have one burst in hand then: together they overshoot by BURST_MAX packets for
 * each, less one, and by what as many packets hold. */
static inline void sa_look_limits(struct sa *sa, __u64 packets, __u64 bytes)
{
	packets += __atomic_load_n(&sa->state->dummies, __ATOMIC_RELAXED);
	bytes += __atomic_load_n(&sa->state->tfc_bytes, __ATOMIC_RELAXED) +
		 __atomic_load_n(&sa->state->dummy_bytes, __ATOMIC_RELAXED);
	if (__builtin_expect(packets >= sa->hard_packets || bytes >= sa->hard_bytes, 0))
		sa_stop(sa);
}

/* Relaxed loads and stores: the counters are read by others at any time, no order is promised.
 * Padding of these packets is in tfc_bytes already. */
static inline void sa_count(struct sa *sa, __u32 packets, __u64 bytes, __u64 now_s)
{
	struct xipsec_sa_state *state = sa->state;
	__u64 all_packets, all_bytes;

	if (!packets)
		return;
	all_packets = __atomic_add_fetch(&state->packets, packets, __ATOMIC_RELAXED);
	all_bytes = __atomic_add_fetch(&state->bytes, bytes, __ATOMIC_RELAXED);
	if (__atomic_load_n(&state->last_use, __ATOMIC_RELAXED) != now_s)
		__atomic_store_n(&state->last_use, now_s, __ATOMIC_RELAXED);
	sa_look_limits(sa, all_packets, all_bytes);
}

/* A dummy whose text is `bytes` long. The SA stays as idle as it was: that is about what users
 * send. */
static inline void sa_count_dummy(struct sa *sa, __u32 bytes)
{
	__atomic_fetch_add(&sa->state->dummies, 1, __ATOMIC_RELAXED);
	__atomic_fetch_add(&sa->state->dummy_bytes, bytes, __ATOMIC_RELAXED);
	sa_look_limits(sa, __atomic_load_n(&sa->state->packets, __ATOMIC_RELAXED),
		       __atomic_load_n(&sa->state->bytes, __ATOMIC_RELAXED));
}

static inline void sa_count_drop(struct sa *sa, enum xipsec_reason reason)
{
	__atomic_fetch_add(&sa->state->drops[reason], 1, __ATOMIC_RELAXED);
}

#endif
