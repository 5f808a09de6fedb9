/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Messages of NETLINK_XFRM, made and read without a socket: what the kernel is told of SAs and
 * policies of the engine xfrm (linux/xfrm.h).
 *
 * The SPD stays ours. A program decides which child a packet is for and says so in a mark; the
 * kernel's policies only know marks:
 *
 *	out       mark XIPSEC_MARK_XFRM | child    -> the SA whose reqid the policy names
 *	fwd, in   mark XIPSEC_MARK_OPENED | child  <- an SA of that child came before
 *	out       no mark of ours, a selector      -> the same SA, for this host's own packets
 *	out       an if_id, whatever the mark      -> the SA of that tunnel (xfrm_dev.h)
 *	fwd, in   that if_id and the second mark, selectors
 *
 * The kernel puts the second one on what an inbound SA has opened (XFRMA_SET_MARK), the first one
 * on what an outbound SA has sealed. A reqid names the child of an inbound SA, and the place of an
 * outbound one, so that a policy can name one SA.
 *
 * This host's own packets have met no program when the kernel looks for a policy. So policies for
 * them say what the SPD says (xfrm_sel.h), of children from which no earlier rule takes anything:
 * then their order means nothing. They match what has no mark of ours (XFRM_HOST_BIT), so that
 * neither IKE is sealed nor what a program has judged. What goes from one red network to another
 * has met none that marks it: it is sealed like this host's own if it is in those selectors. In
 * transport mode what an SA opens is delivered without another look of a program: policies `in`,
 * and the SA itself, compare selectors there.
 */
#ifndef LOADER_XFRM_MSG_H
#define LOADER_XFRM_MSG_H

#include <stdbool.h>
#include <linux/xfrm.h>
#include "lib/netlink.h"
#include "lib/sa_fault.h"
#include "xipsec/sa.h"

/* Every mark of ours has this bit. */
#define XFRM_HOST_BIT 0x40000000

enum xfrm_way_kind {
	XFRM_WAY_SA,    /* by an SA of `reqid` */
	XFRM_WAY_PLAIN, /* as it is: the guard looks at it */
	XFRM_WAY_BLOCK,
};

/* One policy. */
struct xfrm_way {
	__u8 dir;                    /* XFRM_POLICY_IN, OUT or FWD */
	__u8 kind;                   /* enum xfrm_way_kind */
	bool host;                   /* out: of what has no mark of ours */
	__u16 family;                /* AF_INET or AF_INET6, of what it carries */
	struct xfrm_selector sel;    /* without its family; all zero: every packet */
	__u32 priority;              /* the lowest wins */
	__u32 child;                 /* id; of the mark */
	__u32 if_id;                 /* of a tunnel: nothing else meets it; 0: policies lead */
	__u32 reqid;                 /* of the SA that it asks for */
	__u8 mode;                   /* enum xipsec_mode */
	__u8 l4_proto;               /* IPPROTO_ESP or IPPROTO_AH */
	__u8 sa_family;              /* XIPSEC_FAMILY_*, of src and dst */
	struct xipsec_addr src, dst; /* of a tunnel; all zero: whatever they are */
};

/* What the kernel counts of an SA. */
struct xfrm_count {
	__u64 packets;
	__u64 bytes;
	__u64 seq; /* outbound: last one used; inbound: highest received */
};

/* An SA that is listed, or that has just been deleted. */
struct xfrm_state {
	struct xfrm_usersa_id id;
	__u32 reqid;
	struct xfrm_count sent, heard; /* the same but for seq: the numbers of either direction */
};

enum xfrm_news_kind {
	XFRM_NEWS_NONE,
	XFRM_NEWS_ACQUIRE,       /* a policy found no SA: `reqid` */
	XFRM_NEWS_SOFT,          /* of packets or bytes: `sa`, `count` without seq */
	XFRM_NEWS_HARD,          /* the same; the kernel has deleted it */
	XFRM_NEWS_MAPPING,       /* ESP in UDP comes from elsewhere: `sa`, `src`, `src_port` */
	XFRM_NEWS_POLICIES_GONE, /* one, with its mark in `reqid` (XIPSEC_MARK_XFRM: of this
				    host's own packets); or, with 0 there, all */
	XFRM_NEWS_SAS_GONE,      /* `sa`; or, with protocol 0 there, all */
};

struct xfrm_news {
	enum xfrm_news_kind kind;
	__u32 reqid;
	struct xfrm_usersa_id sa;
	struct xfrm_count count;
	struct xipsec_addr src;
	__be16 src_port;
};

__u32 xfrm_reqid(const struct xipsec_sa *sa, __u32 index, __u32 child);

/* These start a message in `buf` (NETLINK_REQUEST_MAX bytes) and return it, ready for
 * netlink_call(). The first holds the key: whoever sent it wipes `buf`. */

/* `seq`: the last number that was used or received. What the kernel cannot do: sa_faults(). */
struct nlmsghdr *xfrm_msg_sa(void *buf, const struct xipsec_sa *sa, __u32 index, __u32 child,
			     __u64 seq);

/* Of that message: what the SA opens is compared with this. */
void xfrm_msg_sa_narrow(struct nlmsghdr *nlh, const struct xfrm_selector *sel);

/* All packets between the ends of an SA in transport mode. */
struct xfrm_selector xfrm_between(const struct xipsec_sa *sa);

struct nlmsghdr *xfrm_msg_sa_gone(void *buf, const struct xipsec_sa *sa);

/* Asks for its counters: the answer holds no key. Read by xfrm_read_count(). */
struct nlmsghdr *xfrm_msg_sa_ask(void *buf, const struct xipsec_sa *sa);

/* Adds a policy, or puts it in place of the one of the same dir, family and child. */
struct nlmsghdr *xfrm_msg_way(void *buf, const struct xfrm_way *way);
struct nlmsghdr *xfrm_msg_way_gone(void *buf, const struct xfrm_way *way);

/* A reqid or a mark that we gave? */
bool xfrm_is_ours(__u32 word);

/* A policy that is listed, as far as it must be known to take it away. false: it is not ours, with
 * *out untouched. */
bool xfrm_read_way(const struct nlmsghdr *nlh, struct xfrm_way *out);

/* That of a policy for this host's own packets? */
bool xfrm_mark_is_host(const struct xfrm_mark *mark);

/* 0, or -EBADMSG with *out untouched. `dir`: XIPSEC_DIR_*, of the SA that was asked about. */
int xfrm_read_count(const struct nlmsghdr *nlh, __u8 dir, struct xfrm_count *out);

/* Of XFRM_MSG_NEWSA, which lists one, and XFRM_MSG_DELSA, which tells the end of one. 0, or
 * -EBADMSG with *out untouched. */
int xfrm_read_state(const struct nlmsghdr *nlh, struct xfrm_state *out);

/* What a message of the groups XFRMNLGRP_ACQUIRE, EXPIRE and MAPPING tells; NONE: nothing of ours
 * to know. Lengths are checked. */
void xfrm_read_news(const struct nlmsghdr *nlh, struct xfrm_news *out);

#endif
