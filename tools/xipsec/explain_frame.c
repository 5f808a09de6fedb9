// SPDX-License-Identifier: BSD-2-Clause
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <netdb.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/ip6.h>
#include <stdlib.h>
#include <string.h>
#include "lib/config_value.h"
#include "lib/log.h"
#include "tools/xipsec/explain.h"

#define LATER_OFFSET 100 /* in 8 bytes */
#define PAYLOAD      56
#define NATT         4500
#define FRAG_ID      0x7869

/* ------------------------------------------------------------------ words */

int packet_parse_number(const char *option, const char *text, __u64 max, __u64 *out)
{
	char *end;
	__u64 value;

	errno = 0;
	value = strtoull(text, &end, 0);
	if (!errno && *text && !*end && text[0] != '-' && value <= max) {
		*out = value;
		return 0;
	}
	log_error("explain: %s %s: expected a number up to %llu", option, text,
		  (unsigned long long)max);
	return -EINVAL;
}

int packet_parse_addr(struct packet_words *words, const char *option, const char *text,
		      struct xipsec_addr *to)
{
	struct xipsec_addr addr = {0};
	__u8 family = strchr(text, ':') ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;

	if (inet_pton(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, text, &addr) != 1) {
		log_error("explain: %s %s: expected an address", option, text);
		return -EINVAL;
	}
	if (words->family && words->family != family) {
		log_error("explain: %s %s: --src and --dst must be of one family", option, text);
		return -EINVAL;
	}
	words->family = family;
	*to = addr;
	return 0;
}

int packet_parse_proto(struct packet_words *words, const char *text)
{
	const struct protoent *known = getprotobyname(text);
	char *end;
	long number;

	number = strtol(text, &end, 10);
	if (known)
		number = known->p_proto;
	else if (!*text || *end || number < 0 || number > 255) {
		log_error("explain: --proto %s: expected a name (/etc/protocols) or a number",
			  text);
		return -EINVAL;
	}
	words->proto = (int)number;
	return 0;
}

int packet_parse_icmp(struct packet_words *words, const char *text)
{
	unsigned int type, code = 0;
	char end;

	if ((sscanf(text, "%u/%u%c", &type, &code, &end) != 2 &&
	     sscanf(text, "%u%c", &type, &end) != 1) ||
	    type > 255 || code > 255) {
		log_error("explain: --icmp %s: expected TYPE or TYPE/CODE", text);
		return -EINVAL;
	}
	words->icmp = (int)(type << 8 | code);
	return 0;
}

int packet_parse_mh_type(struct packet_words *words, const char *text)
{
	__u64 number = 0;
	int err = packet_parse_number("--mh-type", text, 255, &number);

	words->mh_type = (int)number;
	return err;
}

int packet_parse_dscp(struct packet_words *words, const char *text)
{
	unsigned int dscp;

	if (!text_dscp(text, &dscp)) {
		log_error("explain: --dscp %s: expected a name (ef, af11, cs1, ...) or a number "
			  "up to %d",
			  text, XIPSEC_DSCPS - 1);
		return -EINVAL;
	}
	words->dscp = (__u8)dscp;
	return 0;
}

int packet_parse_frag(struct packet_words *words, const char *text)
{
	if (!strcmp(text, "first"))
		words->frag = PACKET_FIRST;
	else if (!strcmp(text, "later"))
		words->frag = PACKET_LATER;
	else {
		log_error("explain: --frag %s: expected first or later", text);
		return -EINVAL;
	}
	return 0;
}

static bool has_ports(int proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_SCTP ||
	       proto == IPPROTO_DCCP || proto == IPPROTO_UDPLITE;
}

static bool is_icmp(const struct packet_words *words, int proto)
{
	return proto == (words->family == XIPSEC_FAMILY_IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP);
}

static int contradiction(const char *what, const char *text)
{
	log_error("explain: %s: %s", what, text);
	return -EINVAL;
}

int packet_complete(struct packet_words *words)
{
	bool ports = words->sport >= 0 || words->dport >= 0;

	if (words->family == XIPSEC_FAMILY_ANY)
		return contradiction("--src, --dst", "both are needed, or --pcap FILE");
	if (words->proto < 0 && ports)
		return contradiction("--sport, --dport", "ports of what? --proto tcp, udp, ...");
	if (words->proto < 0 && words->mh_type >= 0)
		words->proto = IPPROTO_MH;
	if (words->proto < 0 && words->spi)
		words->proto = IPPROTO_ESP;
	if (words->proto < 0)
		words->proto = words->family == XIPSEC_FAMILY_IP6 ? IPPROTO_ICMPV6 : IPPROTO_ICMP;
	if (ports && !has_ports(words->proto))
		return contradiction("--sport, --dport", "this protocol has no ports");
	if (words->icmp >= 0 && !is_icmp(words, words->proto))
		return contradiction("--icmp", "this is no ICMP of the addresses' family");
	if (words->mh_type >= 0 &&
	    (words->proto != IPPROTO_MH || words->family != XIPSEC_FAMILY_IP6))
		return contradiction("--mh-type", "only a Mobility Header of IPv6 has one");
	if (words->spi && words->proto != IPPROTO_ESP && words->proto != IPPROTO_AH &&
	    words->proto != IPPROTO_UDP)
		return contradiction("--spi", "only ESP, AH and ESP in UDP have one");
	if (words->spi && words->proto == IPPROTO_UDP && !ports)
		words->sport = words->dport = NATT;
	if (words->icmp < 0 && is_icmp(words, words->proto))
		words->icmp = words->family == XIPSEC_FAMILY_IP6 ? ICMP6_ECHO_REQUEST << 8
								 : ICMP_ECHO << 8;
	words->sport = words->sport < 0 ? 0 : words->sport;
	words->dport = words->dport < 0 ? 0 : words->dport;
	words->ttl = words->ttl < 0 ? 64 : words->ttl;
	return 0;
}

/* ------------------------------------------------------------------ bytes */

static void put16(__u8 *at, unsigned int value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static void put32(__u8 *at, __u32 value)
{
	put16(at, value >> 16);
	put16(at + 2, value & 0xffff);
}

/* RFC 1071, over whole words. */
static unsigned int checksum(const __u8 *at, unsigned int len)
{
	__u32 sum = 0;

	for (unsigned int i = 0; i + 1 < len; i += 2)
		sum += (__u32)(at[i] << 8 | at[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* The transport header and zeros behind it; no program looks at checksums there. */
static unsigned int put_transport(const struct packet_words *words, __u8 *at)
{
	unsigned int len = 8;

	if (words->frag == PACKET_LATER)
		return PAYLOAD;
	if (has_ports(words->proto)) {
		put16(at, (unsigned int)words->sport);
		put16(at + 2, (unsigned int)words->dport);
	}
	if (words->proto == IPPROTO_TCP) {
		at[12] = 5 << 4;
		at[13] = 0x02; /* SYN */
		len = 20;
	} else if (words->proto == IPPROTO_SCTP || words->proto == IPPROTO_DCCP) {
		len = 12;
	} else if (words->proto == IPPROTO_UDP) {
		put16(at + 4, 8 + PAYLOAD);
		put32(at + 8, words->spi);
		put32(at + 12, words->spi ? 1 : 0);
	} else if (words->proto == IPPROTO_ESP) {
		put32(at, words->spi);
		put32(at + 4, 1);
	} else if (words->proto == IPPROTO_AH) {
		at[0] = IPPROTO_ICMP;
		at[1] = 5; /* 28 bytes */
		put32(at + 4, words->spi);
		put32(at + 8, 1);
	} else if (words->mh_type >= 0) { /* RFC 6275 6.1.1 */
		at[0] = IPPROTO_NONE;
		at[2] = (__u8)words->mh_type;
	} else if (words->icmp >= 0) {
		put16(at, (unsigned int)words->icmp);
	}
	return len + PAYLOAD;
}

static unsigned int put_ip4(const struct packet_words *words, __u8 *at)
{
	unsigned int len = 20 + put_transport(words, at + 20);

	at[0] = 0x45;
	at[1] = (__u8)(words->dscp << 2);
	put16(at + 2, len);
	put16(at + 4, FRAG_ID);
	if (words->frag == PACKET_FIRST)
		put16(at + 6, IP_MF);
	if (words->frag == PACKET_LATER)
		put16(at + 6, LATER_OFFSET);
	at[8] = (__u8)words->ttl;
	at[9] = (__u8)words->proto;
	memcpy(at + 12, words->src.byte, 4);
	memcpy(at + 16, words->dst.byte, 4);
	put16(at + 10, checksum(at, 20));
	return len;
}

static unsigned int put_ip6(const struct packet_words *words, __u8 *at)
{
	unsigned int off = 40, len;

	put16(at, 0x6000 | (unsigned int)words->dscp << 6);
	at[6] = (__u8)words->proto;
	at[7] = (__u8)words->ttl;
	memcpy(at + 8, words->src.byte, 16);
	memcpy(at + 24, words->dst.byte, 16);
	if (words->frag != PACKET_WHOLE) {
		at[6] = IPPROTO_FRAGMENT;
		at[40] = (__u8)words->proto;
		put16(at + 42, words->frag == PACKET_FIRST ? 1 : LATER_OFFSET << 3);
		put32(at + 44, FRAG_ID);
		off = 48;
	}
	len = off + put_transport(words, at + off);
	put16(at + 4, len - 40);
	return len;
}

unsigned int packet_frame(const struct packet_words *words, const __u8 mac[6],
			  __u8 out[LOADER_FRAME_MAX])
{
	bool ip6 = words->family == XIPSEC_FAMILY_IP6;

	memset(out, 0, LOADER_FRAME_MAX);
	memcpy(out, mac, ETH_ALEN);
	out[ETH_ALEN] = 2; /* from a locally administered MAC */
	put16(out + 12, ip6 ? ETH_P_IPV6 : ETH_P_IP);
	return ETH_HLEN + (ip6 ? put_ip6(words, out + ETH_HLEN) : put_ip4(words, out + ETH_HLEN));
}
