/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ICMP and ICMPv6 errors about packets that we could not forward.
 */
#ifndef WORKER_ICMP_H
#define WORKER_ICMP_H

#include "xipsec/selector.h"
#include "worker/packet.h"

/*
 * Turns a packet that ended with TOO_BIG (icmp_mtu tells the MTU) or TTL into the error to its
 * sender, in place: data at the new IP header, len set, checksums complete, source `src` (of the
 * packet's family: an address of the interface that it came in by). The reason is left as it is.
 * Needs 28 (IPv4) or 48 (IPv6) bytes of headroom.
 *
 * 0, or -ENOTSUP and the packet untouched when none may be sent (RFC 1812 4.3.2.7, RFC 4443 2.4
 * (e): about errors, later fragments, to or from what is no single host) or the reason asks for
 * none. The caller limits the rate (RFC 4443 2.4 (f)).
 */
int icmp_error_build(struct packet *p, const struct xipsec_addr *src);

#endif
