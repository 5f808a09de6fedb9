/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Traffic selectors (RFC 7296 2.9, 3.13): ranges of addresses and ports. Addresses in network order
 * (IPv4 in word[0], the other words 0), ports in host order.
 */
#ifndef IKED_TS_H
#define IKED_TS_H

#include "iked/message.h"
#include "xipsec/selector.h"

/*
 * Ports of ICMP, ICMPv6 and MIPv6 (protocols 1, 58, 135) are type << 8 | code (3.13.1). OPAQUE is
 * port_lo 65535 and port_hi 0: what has no ports, or hides them.
 */
struct ts {
	__u8 family; /* XIPSEC_FAMILY_IP4 or IP6 */
	__u8 proto;  /* IPPROTO_*, 0: any */
	__u16 port_lo, port_hi;
	__u16 pad;
	struct xipsec_addr lo, hi; /* inclusive */
};

#define TS_MAX 64

struct ts_list {
	unsigned int n;
	struct ts ts[TS_MAX];
};

/*
 * `body` is `ts_i` or `ts_r` of struct ike_msg. Selectors of types that we do not know are passed
 * over, what is behind TS_MAX is validated and not kept: narrowing may leave out anything. n can
 * be 0 then (TS_UNACCEPTABLE). Returns 0; -EBADMSG: `fault` is INVALID_SYNTAX, *out is untouched: a
 * length or count is wrong, or a range begins behind its end (but for OPAQUE).
 */
int payload_ts_parse(struct bytes body, struct ts_list *out, struct ike_fault *fault);

/* The body. */
void payload_ts_write(struct writer *w, const struct ts_list *list);

/* "10.0.0.0/8[tcp/443]", "10.0.0.1-10.0.0.9", "fd00::/8[icmpv6/128]", "0.0.0.0/0[udp/OPAQUE]": as
 * strongSwan writes them. Returns the length in full, as snprintf() does. */
size_t ts_print(const struct ts *ts, char *to, size_t size);
size_t ts_list_print(const struct ts_list *list, char *to, size_t size); /* "A, B" */

/* Is all of `part` in `whole`? */
bool ts_contains(const struct ts *whole, const struct ts *part);
bool ts_list_contains(const struct ts_list *whole, const struct ts *part); /* in one of them */
bool ts_equal(const struct ts *a, const struct ts *b);
bool ts_list_equal(const struct ts_list *a, const struct ts_list *b); /* as sets */

/* What both hold. false: nothing, *out is untouched. */
bool ts_intersect(const struct ts *a, const struct ts *b, struct ts *out);

/*
 * Narrowing (2.9): what of `theirs` is in `ours`, in the order of `theirs` (so that what holds
 * their first, specific selector stays first), nothing that another one of the result holds. n is 0
 * if there is nothing. true: something of `theirs` is not in the result.
 */
bool ts_narrow(const struct ts_list *theirs, const struct ts_list *ours, struct ts_list *out);

/* The initiator's check of an answer: is all of `answer` in what was `offered`, and is it not
 * empty? */
bool ts_accept(const struct ts_list *offered, const struct ts_list *answer);

/* For addresses of a host: the range of one; of a prefix, 0 to 32 or 128 bits. Any port and proto.
 */
struct ts ts_of_addr(__u8 family, const struct xipsec_addr *addr);
struct ts ts_of_prefix(__u8 family, const struct xipsec_addr *addr, unsigned int bits);

/*
 * A rule's selector as what IKE proposes for it, `local` and `remote`. XIPSEC_FAMILY_ANY gives two
 * of each: `out_n` is 1 or 2.
 */
void ts_of_selector(const struct xipsec_selector *sel, struct ts local[2], struct ts remote[2],
		    unsigned int *out_n);

/*
 * What was negotiated as selectors of an SA: every local with every remote of its family and
 * protocol. Returns 0 with *n, which can be 0; -E2BIG: more than `max`, *n is untouched.
 */
int ts_selectors(const struct ts_list *local, const struct ts_list *remote,
		 struct xipsec_selector *out, unsigned int max, unsigned int *n);

#endif
