// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/lib/packet_build.h"

static void put(struct packet *packet, const void *bytes, unsigned int len)
{
	if (packet->len + len > PACKET_MAX) {
		fprintf(stderr, "packet_build: longer than %d bytes\n", PACKET_MAX);
		abort();
	}
	if (bytes)
		memcpy(packet->data + packet->len, bytes, len);
	else
		memset(packet->data + packet->len, 0, len);
	packet->len += len;
}

static void put8(struct packet *packet, __u8 value)
{
	put(packet, &value, 1);
}

static void put16(struct packet *packet, __u16 value)
{
	value = htons(value);
	put(packet, &value, 2);
}

static void put32(struct packet *packet, __u32 value)
{
	value = htonl(value);
	put(packet, &value, 4);
}

static void put_addr(struct packet *packet, int family, const char *text)
{
	__u8 addr[16];

	if (inet_pton(family, text, addr) != 1) {
		fprintf(stderr, "packet_build: '%s' is no address\n", text);
		abort();
	}
	put(packet, addr, family == AF_INET ? 4 : 16);
}

static bool is_ip6(const struct packet_spec *spec)
{
	return strchr(spec->src, ':') != NULL;
}

static void put_eth(struct packet *packet, const struct packet_spec *spec)
{
	static const __u8 dst[6] = PACKET_MAC, src[6] = {2, 0, 0, 0, 0, 2};

	put(packet, spec->dst_mac ? spec->dst_mac : dst, sizeof(dst));
	put(packet, src, sizeof(src));
	for (unsigned int i = 0; i < spec->vlans; i++) {
		put16(packet, i + 1 < spec->vlans ? 0x88a8 : 0x8100);
		put16(packet, 5 + i);
	}
	if (spec->eth_type)
		put16(packet, spec->eth_type);
	else
		put16(packet, is_ip6(spec) ? 0x86dd : 0x0800);
	packet->l3_off = packet->len;
}

static void put_ip4(struct packet *packet, const struct packet_spec *spec)
{
	put8(packet, 0x45 + spec->options / 4);
	put8(packet, spec->tos);
	put16(packet, 0); /* total length: later */
	put16(packet, 0x1234);
	put16(packet, (spec->more ? 0x2000 : 0) | spec->frag_off);
	put8(packet, spec->ttl ? spec->ttl : 64);
	put8(packet, spec->proto);
	put16(packet, 0); /* checksum: later */
	put_addr(packet, AF_INET, spec->src);
	put_addr(packet, AF_INET, spec->dst);
	for (unsigned int i = 0; i < spec->options; i++)
		put8(packet, 1);
}

static __u8 ext_number(char letter)
{
	switch (letter) {
	case 'H': return IPPROTO_HOPOPTS;
	case 'R': return IPPROTO_ROUTING;
	case 'D':
	case 'L': return IPPROTO_DSTOPTS;
	case 'F': return IPPROTO_FRAGMENT;
	}
	fprintf(stderr, "packet_build: no extension header '%c'\n", letter);
	abort();
}

static void put_ip6(struct packet *packet, const struct packet_spec *spec)
{
	const char *ext = spec->ext ? spec->ext : "";

	put32(packet, 0x60000000 | (__u32)spec->tos << 20);
	put16(packet, 0); /* payload length: later */
	put8(packet, *ext ? ext_number(*ext) : spec->proto);
	put8(packet, spec->ttl ? spec->ttl : 64);
	put_addr(packet, AF_INET6, spec->src);
	put_addr(packet, AF_INET6, spec->dst);
	for (; *ext; ext++) {
		put8(packet, ext[1] ? ext_number(ext[1]) : spec->proto);
		put8(packet, *ext == 'L' ? 32 : 0);
		put16(packet, *ext == 'F' ? spec->frag_off << 3 | spec->more : 0x0104);
		put32(packet, 0);
		put(packet, NULL, *ext == 'L' ? 256 : 0);
	}
}

static void put_ports(struct packet *packet, const struct packet_spec *spec)
{
	put16(packet, spec->sport);
	put16(packet, spec->dport);
}

static void put_l4(struct packet *packet, const struct packet_spec *spec)
{
	switch (spec->proto) {
	case IPPROTO_TCP:
		put_ports(packet, spec);
		put(packet, NULL, 8);
		put32(packet, 0x50020000);
		put32(packet, 0);
		break;
	case IPPROTO_UDP:
	case IPPROTO_UDPLITE:
		put_ports(packet, spec);
		put16(packet, 8 + spec->payload_len + (spec->spi ? 8 : 0));
		put16(packet, 0);
		break;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
		put_ports(packet, spec);
		put(packet, NULL, 8);
		break;
	case IPPROTO_AH:
		put(packet, NULL, 4);
		put32(packet, spec->spi);
		put(packet, NULL, 4);
		break;
	case IPPROTO_MH:
		put8(packet, IPPROTO_NONE);
		put8(packet, 0);
		put8(packet, spec->icmp_type);
		put(packet, NULL, 5);
		break;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		put8(packet, spec->icmp_type);
		put8(packet, spec->icmp_code);
		put(packet, NULL, 6);
		break;
	}
	if (spec->spi) {
		put32(packet, spec->spi);
		put32(packet, 1);
	}
}

void packet_fix_length(struct packet *packet)
{
	__u8 *ip = packet->data + packet->l3_off;
	unsigned int len = packet->len - packet->l3_off;
	__u32 sum = 0;

	if (ip[0] >> 4 == 6) {
		len = len > 40 ? len - 40 : 0;
		ip[4] = len >> 8;
		ip[5] = len;
		return;
	}
	ip[2] = len >> 8;
	ip[3] = len;
	ip[10] = ip[11] = 0;
	for (int i = 0; i < (ip[0] & 15) * 4; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~((sum & 0xffff) + (sum >> 16));
	ip[10] = sum >> 8;
	ip[11] = sum;
}

static void patch(struct packet *packet, const struct packet_patch *patch)
{
	if (patch->set)
		packet->data[packet->l3_off + patch->off] = patch->value;
}

void packet_build(struct packet *packet, const struct packet_spec *spec)
{
	memset(packet, 0, sizeof(*packet));
	put_eth(packet, spec);
	if (!spec->eth_type) {
		if (is_ip6(spec))
			put_ip6(packet, spec);
		else
			put_ip4(packet, spec);
		packet->l4_off = packet->len;
		if (!spec->frag_off)
			put_l4(packet, spec);
	}
	put(packet, spec->payload, spec->payload_len);
	if (!spec->eth_type)
		packet_fix_length(packet);
	patch(packet, &spec->patch);
	patch(packet, &spec->patch2);
	packet->len -= spec->cut;
	put(packet, NULL, spec->pad);
}
