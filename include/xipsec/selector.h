/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Selectors (RFC 4301 4.4.1.1) and the one function that matches them: the programs use it on the
 * SPD, the workers on decrypted packets (RFC 4301 5.2), so the two cannot disagree.
 *
 * Addresses are in network byte order; IPv4 stands in word[0], the other words are 0.
 * Ports and ICMP are in host byte order.
 */
#ifndef XIPSEC_SELECTOR_H
#define XIPSEC_SELECTOR_H

#include <linux/types.h>

struct xipsec_addr {
	union {
		__u8 byte[16];
		__be32 word[4];
	};
};

/* Of one byte in maps and messages: bpftool prints the names. */
enum __attribute__((packed)) xipsec_family {
	XIPSEC_FAMILY_ANY = 0,
	XIPSEC_FAMILY_IP4 = 4,
	XIPSEC_FAMILY_IP6 = 6,
};

enum __attribute__((packed)) xipsec_dir {
	XIPSEC_DIR_NONE = 0,
	XIPSEC_DIR_OUT = 1,
	XIPSEC_DIR_IN = 2,
	XIPSEC_DIR_BOTH = 3, /* of rules */
};

_Static_assert(sizeof(enum xipsec_family) == 1 && sizeof(enum xipsec_dir) == 1, "ABI");

#define XIPSEC_PORT_MAX 65535

/* What cannot be seen in this packet: a non-first fragment hides its ports, some hide the protocol.
 */
#define XIPSEC_OPAQUE_PORTS 1
#define XIPSEC_OPAQUE_PROTO 2

#define XIPSEC_DSCPS 64 /* values of a DSCP */

/* All ranges are inclusive. A prefix is a range of addresses like any other. */
struct xipsec_selector {
	struct xipsec_addr local_lo;
	struct xipsec_addr local_hi;
	struct xipsec_addr remote_lo;
	struct xipsec_addr remote_hi;
	__u64 dscp;          /* bit n: DSCP n; 0: any */
	__u16 local_port_lo; /* any port: 0 to 65535 */
	__u16 local_port_hi;
	__u16 remote_port_lo;
	__u16 remote_port_hi;
	__u16 icmp_lo; /* type << 8 | code; any: 0 to 65535; so are types of the Mobility Header */
	__u16 icmp_hi;
	enum xipsec_family family; /* ANY: both addresses from all zeros to all ones */
	__u8 any_proto;            /* 1: l4_proto does not count */
	__u8 l4_proto;             /* IPPROTO_* */
	__u8 opaque; /* XIPSEC_OPAQUE_*: only packets that hide this (RFC 4301 4.4.1.1) */
};

/* A packet as the SPD sees it, turned so that `local` is our side in either direction. */
struct xipsec_flow {
	struct xipsec_addr local;
	struct xipsec_addr remote;
	__u16 local_port;
	__u16 remote_port;
	__u16 icmp; /* type << 8 | code, with ICMP and ICMPv6; type << 8 of a Mobility Header */
	enum xipsec_family family;
	__u8 l4_proto;
	__u8 opaque;         /* XIPSEC_OPAQUE_* */
	enum xipsec_dir dir; /* no selector looks at it */
	__u8 dscp;           /* 0 to 63 */
	__u8 pad;
	__u16 dev; /* where it came in, of this host's own where it goes out; 0: by no interface
		      that has a name among rules; no selector looks at it */
	__u8 pad2[2];
};

_Static_assert(sizeof(struct xipsec_selector) == 88, "ABI");
_Static_assert(sizeof(struct xipsec_flow) == 48, "ABI");

enum xipsec_match {
	XIPSEC_MATCH_NO,
	XIPSEC_MATCH_MAYBE, /* matches if what is hidden happens to fit */
	XIPSEC_MATCH_YES,
};

static inline __attribute__((always_inline)) __u64 xipsec_addr_word(const struct xipsec_addr *addr,
								    int i)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	return __builtin_bswap32(addr->word[i]);
#else
	return addr->word[i];
#endif
}

/* lo <= addr <= hi, as numbers, of the first `words` words: one subtraction a word, and what it
 * borrows from the word before. */
static inline __attribute__((always_inline)) int xipsec_addr_in(const struct xipsec_addr *addr,
								const struct xipsec_addr *lo,
								const struct xipsec_addr *hi,
								int words)
{
	__u64 below = 0, above = 0;

	for (int i = words - 1; i >= 0; i--) {
		__u64 word = xipsec_addr_word(addr, i);

		below = (word - xipsec_addr_word(lo, i) - below) >> 63;
		above = (xipsec_addr_word(hi, i) - word - above) >> 63;
	}
	return !(below | above);
}

/* The addresses of a flow whose family is the selector's, or whose selector has none. */
static inline __attribute__((always_inline)) int xipsec_selector_nets(
	const struct xipsec_selector *sel, const struct xipsec_flow *flow)
{
	if (flow->family == XIPSEC_FAMILY_IP4) /* in the first word, whatever the selector's family
						*/
		return xipsec_addr_in(&flow->local, &sel->local_lo, &sel->local_hi, 1) &&
		       xipsec_addr_in(&flow->remote, &sel->remote_lo, &sel->remote_hi, 1);
	return xipsec_addr_in(&flow->local, &sel->local_lo, &sel->local_hi, 4) &&
	       xipsec_addr_in(&flow->remote, &sel->remote_lo, &sel->remote_hi, 4);
}

static inline __attribute__((always_inline)) int xipsec_selector_any_port(
	const struct xipsec_selector *sel)
{
	return sel->local_port_lo == 0 && sel->local_port_hi == XIPSEC_PORT_MAX &&
	       sel->remote_port_lo == 0 && sel->remote_port_hi == XIPSEC_PORT_MAX &&
	       sel->icmp_lo == 0 && sel->icmp_hi == XIPSEC_PORT_MAX;
}

static inline __attribute__((always_inline)) enum xipsec_match xipsec_selector_match(
	const struct xipsec_selector *sel, const struct xipsec_flow *flow)
{
	enum xipsec_match best = XIPSEC_MATCH_YES;

	if (sel->family && sel->family != flow->family)
		return XIPSEC_MATCH_NO;
	if ((sel->opaque & ~flow->opaque) || (sel->dscp && !(sel->dscp >> (flow->dscp & 63) & 1)) ||
	    !xipsec_selector_nets(sel, flow))
		return XIPSEC_MATCH_NO;
	if (!sel->any_proto) {
		if (flow->opaque & XIPSEC_OPAQUE_PROTO)
			best = XIPSEC_MATCH_MAYBE;
		else if (sel->l4_proto != flow->l4_proto)
			return XIPSEC_MATCH_NO;
	}
	if (xipsec_selector_any_port(sel))
		return best;
	if (flow->opaque)
		return XIPSEC_MATCH_MAYBE;
	if (flow->local_port < sel->local_port_lo || flow->local_port > sel->local_port_hi ||
	    flow->remote_port < sel->remote_port_lo || flow->remote_port > sel->remote_port_hi ||
	    flow->icmp < sel->icmp_lo || flow->icmp > sel->icmp_hi)
		return XIPSEC_MATCH_NO;
	return best;
}

#endif
