/* SPDX-License-Identifier: BSD-2-Clause */
/* The frame that generators send: IPv4, UDP without checksum, 10.1.0.2 to 10.2.0.2. */
#ifndef TOOLS_BENCH_FRAME_H
#define TOOLS_BENCH_FRAME_H

#include <net/ethernet.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stddef.h>

#define FRAME_MIN (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define FRAME_MAX 3400

/* Writes len bytes, FRAME_MIN to FRAME_MAX, Ethernet header to end of packet, no FCS. */
void frame_build(unsigned char *frame, size_t len, const struct ether_addr *dst);

#endif
