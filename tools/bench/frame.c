// SPDX-License-Identifier: BSD-2-Clause
#include "tools/bench/frame.h"

#include <arpa/inet.h>
#include <stdint.h>
#include <string.h>

static uint16_t ip_checksum(const void *header)
{
	const uint16_t *word = header;
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

void frame_build(unsigned char *frame, size_t len, const struct ether_addr *dst)
{
	struct ether_header *eth = (void *)frame;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	memset(frame, 0, len);
	memcpy(eth->ether_dhost, dst, 6);
	memcpy(eth->ether_shost, "\x02\0\0\0\0\x01", 6);
	eth->ether_type = htons(ETHERTYPE_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(len - sizeof(*eth));
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = htonl(0x0a010002);
	ip->daddr = htonl(0x0a020002);
	ip->check = ip_checksum(ip);
	udp->source = htons(9);
	udp->dest = htons(9);
	udp->len = htons(len - sizeof(*eth) - sizeof(*ip));
}
