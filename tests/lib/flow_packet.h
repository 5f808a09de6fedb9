/* SPDX-License-Identifier: BSD-2-Clause */
/* Frames of which the programs should see a given flow. */
#ifndef TESTS_LIB_FLOW_PACKET_H
#define TESTS_LIB_FLOW_PACKET_H

#include "tests/lib/packet_build.h"
#include "xipsec/selector.h"

/*
 * Of what hides something: a later fragment. Of the rest: a whole packet, or the first one of
 * fragments. VLAN tags, options and extension headers are drawn. What no frame can show (ICMP types
 * of the other family's protocol, a hidden protocol over IPv4) is put right in *flow, which is what
 * the frame shows then. `id`: of the datagram, if it is a fragment.
 */
void flow_packet(struct xipsec_flow *flow, __u16 id, __u64 *seed, struct packet *packet);

#endif
