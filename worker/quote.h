/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The packet that an ICMP or ICMPv6 error is about, as far as the error quotes it (RFC 792, RFC
 * 4443 2.4 (c)): its receiver acts on the quote, so RFC 4301 6.2 has it checked.
 */
#ifndef WORKER_QUOTE_H
#define WORKER_QUOTE_H

#include <stdbool.h>
#include "worker/inner.h"

/* Is it an error, and one whose type can be seen? After inner_parse(). */
bool quote_is_error(const __u8 *data, const struct inner *inner);

/* The quoted packet as one that left from here: RFC 4301 6.2's reversal, for an error that comes
 * in. What the quote is too short for is opaque. 0; or -EINVAL and *flow undefined where it is no
 * start of an IP packet of the error's family, or the error does not go to its sender. */
int quote_flow(const __u8 *data, const struct inner *inner, struct xipsec_flow *flow);

#endif
