/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Frames for tests, from a description: one field of the description, one thing on the wire.
 * Lengths and the IPv4 checksum are right unless `patch` makes them wrong on purpose.
 */
#ifndef TESTS_LIB_PACKET_BUILD_H
#define TESTS_LIB_PACKET_BUILD_H

#include <stdbool.h>
#include <linux/types.h>

#define PACKET_MAX 9000

/* Where frames go unless they say otherwise; tests give it to their interfaces. */
#define PACKET_MAC               \
	{                        \
		2, 0, 0, 0, 0, 1 \
	}

struct packet_patch {
	bool set;
	unsigned int off; /* from the IP header */
	__u8 value;
};

struct packet_spec {
	/* Ethernet */
	const __u8 *dst_mac; /* NULL: PACKET_MAC */
	unsigned int vlans;  /* tags: the first 802.1ad if there are two, the last 802.1Q */
	__u16 eth_type;      /* set: not IP, `payload` follows at once */
	/* IP: the family is that of the texts */
	const char *src;
	const char *dst;
	__u8 ttl;             /* 0: 64 */
	__u8 tos;             /* or traffic class */
	unsigned int options; /* bytes of IPv4 options, no-ops */
	const char *ext; /* IPv6 extension headers in order: H op-by-hop, R outing, D estination, F
			    ragment, and L: destination options of 264 bytes */
	unsigned int frag_off; /* in 8 bytes */
	bool more;             /* more fragments */
	__u8 proto;
	/* transport; a later fragment has payload alone */
	__u16 sport;
	__u16 dport;
	__u8 icmp_type; /* or that of a Mobility Header */
	__u8 icmp_code;
	__u32 spi; /* ESP and AH; with UDP: the first 8 bytes of the payload are an ESP header */
	const void *payload; /* NULL: zeros */
	unsigned int payload_len;
	/* mistakes */
	unsigned int cut; /* bytes taken off the end */
	unsigned int pad; /* bytes added, as Ethernet does */
	struct packet_patch patch;
	struct packet_patch patch2;
};

struct packet {
	__u8 data[PACKET_MAX];
	unsigned int len;
	unsigned int l3_off;
	unsigned int l4_off; /* of the transport header, or of a later fragment's data */
};

/* Ends the process when the description makes no sense. */
void packet_build(struct packet *packet, const struct packet_spec *spec);

/* Writes the IP length fields again so that they fit a frame that was cut to packet->len. */
void packet_fix_length(struct packet *packet);

#endif
