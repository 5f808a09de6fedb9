/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * ESP in: ESP packets become inner packets, in place.
 */
#ifndef WORKER_ESP_IN_H
#define WORKER_ESP_IN_H

#include <linux/types.h>
#include "worker/packet.h"

struct sa;

/*
 * Opens a burst of packets of one inbound SA. On entry data is at the outer IP header and l4_off is
 * the ESP header's. `now_s`: CLOCK_BOOTTIME, seconds.
 *
 * Every packet whose reason is 0 ends with one: OPENED, with data at the inner header, len that of
 * the inner packet, family and l4_off set, selectors checked, ECN merged; or a drop. TTL is left to
 * who forwards it (inner_forward()), MSS to the gateway that seals. Whether the inner destination
 * is local or black is for the caller to see. Accounts packets, bytes, drops and last_use in the
 * SA's state; with UDP encapsulation it notes in the SA where the peer is.
 */
void esp_in_burst(struct sa *sa, struct packet **pkts, unsigned int n, __u64 now_s);

#endif
