/* SPDX-License-Identifier: BSD-2-Clause */
/* Protocols, as selectors see them. */
#ifndef LIB_PROTO_H
#define LIB_PROTO_H

#include <netinet/in.h>
#include <stdbool.h>
#include <linux/types.h>

/* Has a type where others have ports: icmp_lo and icmp_hi of a selector count. */
static inline bool proto_has_type(__u8 l4_proto)
{
	return l4_proto == IPPROTO_ICMP || l4_proto == IPPROTO_ICMPV6 || l4_proto == IPPROTO_MH;
}

#endif
