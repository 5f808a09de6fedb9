/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ESP out: inner packets become ESP packets, in place.
 */
#ifndef WORKER_ESP_OUT_H
#define WORKER_ESP_OUT_H

#include <linux/types.h>
#include "worker/packet.h"

struct outer;
struct sa;

/*
 * Seals a burst of packets of one outbound SA. `path_mtu`: bytes of IP on the black link for this
 * SA. `now_s`: CLOCK_BOOTTIME, seconds.
 *
 * Every packet whose reason is 0 ends with one: SEALED, with data at the outer IP header, ready for
 * layer 2; or a drop, and then the inner packet is still as it came when the reason is TOO_BIG
 * (icmp_mtu is set) or TTL, so that icmp_error_build() can quote it. Packets with a reason are left
 * alone. In transport mode one of the other family ends as SELECTOR. Needs headroom for the outer
 * headers, ESP header and IV (or that much more tailroom, into which it moves the packet), and
 * tailroom for padding, trailer and ICV: with less a packet ends as TOO_BIG.
 *
 * TCP MSS is clamped here, in what leaves, by the path MTU; what arrives by mss.c. Accounts
 * packets, bytes, drops and last_use in the SA's state. A number that was reserved is never given
 * back: a death in here costs numbers, not nonces.
 */
void esp_out_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u32 path_mtu,
		   __u64 now_s);

/*
 * Makes a dummy packet (RFC 4303 2.6) out of a frame: `len` zero bytes at p->data, sealed with next
 * header 59, behind the headers of `outer`: outer_init() of the same SA, for in transport mode it
 * has no IP header of its own. UNSPEC with reason SEALED in p, or why not (then p is unchanged).
 */
enum xipsec_reason esp_out_dummy(struct sa *sa, const struct outer *outer, struct packet *p,
				 __u32 len);

#endif
