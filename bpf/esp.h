/* SPDX-License-Identifier: BSD-2-Clause */
/* Recognising what belongs to IPsec: ESP, ESP in UDP (RFC 3948), IKE, and errors that quote ESP. */
#ifndef BPF_ESP_H
#define BPF_ESP_H

#include "bpf/parse.h"
#include "bpf/sad.h"

#define PORT_IKE  500
#define PORT_NATT 4500

enum esp_form {
	ESP_FORM_NONE = 0,
	ESP_FORM_PLAIN,
	ESP_FORM_UDP,
	ESP_FORM_KEEPALIVE, /* one byte 0xff to port 4500 */
	ESP_FORM_IKE,       /* port 500, or 4500 with the non-ESP marker */
};

struct esp_seen {
	__u32 form;    /* enum esp_form */
	__be32 spi;    /* with PLAIN and UDP */
	__u32 esp_off; /* of the ESP header in the frame */
};

/* What a datagram to port 4500 is (RFC 3948 2): the first word tells. */
static __always_inline void esp_look_natt(const struct pkt *pkt, struct esp_seen *seen)
{
	__u8 *udp_len_lo = pkt_l4_at(pkt, 4, 2);
	__u8 *one = pkt_l4_at(pkt, 8, 1);
	__be32 *word = pkt_l4_at(pkt, 8, 4);
	__u32 payload;

	if (!udp_len_lo || !one)
		return;
	payload = (udp_len_lo[0] << 8 | udp_len_lo[1]) - 8;
	if (payload == 1 && *one == 0xff) {
		seen->form = ESP_FORM_KEEPALIVE;
	} else if (word && payload >= 4 && *word == 0) {
		seen->form = ESP_FORM_IKE;
	} else if (word && payload >= 8) {
		seen->form = ESP_FORM_UDP;
		seen->spi = *word;
		seen->esp_off = pkt->l4_off + 8;
	}
}

/* Fragments are none of these: they need reassembly first. */
static __always_inline void esp_look(const struct pkt *pkt, struct esp_seen *seen)
{
	__builtin_memset(seen, 0, sizeof(*seen));
	if (pkt->frag & PKT_FRAG_PART)
		return;
	if (pkt->l4_proto == IPPROTO_ESP) {
		__be32 *spi = pkt_l4_at(pkt, 0, 8);

		if (!spi)
			return;
		seen->form = ESP_FORM_PLAIN;
		seen->spi = *spi;
		seen->esp_off = pkt->l4_off;
	} else if (pkt->l4_proto == IPPROTO_UDP && pkt->dport == PORT_IKE) {
		seen->form = ESP_FORM_IKE;
	} else if (pkt->l4_proto == IPPROTO_UDP && pkt->dport == PORT_NATT) {
		esp_look_natt(pkt, seen);
	}
}

static __always_inline int icmp_is_error(const struct pkt *pkt)
{
	__u8 type = pkt->icmp >> 8;

	if (!pkt_has_l4(pkt))
		return 0;
	if (pkt->family == XIPSEC_FAMILY_IP6)
		return pkt->l4_proto == IPPROTO_ICMPV6 && type >= 1 && type <= 4;
	return pkt->l4_proto == IPPROTO_ICMP &&
	       (type == 3 || type == 4 || type == 11 || type == 12);
}

/* The packet that an ICMP error quotes, as far as we must know it. */
struct quote {
	struct xipsec_addr src;
	struct xipsec_addr dst;
	__u32 l4_off; /* from the start of pkt's transport header */
	__u8 l4_proto;
};

/* Quoted extension headers are not walked: our own ESP has none. 0 or -1. */
static __always_inline int quote_read(const struct pkt *pkt, struct quote *quote)
{
	__builtin_memset(quote, 0, sizeof(*quote));
	if (pkt->family == XIPSEC_FAMILY_IP4) {
		struct iphdr *ip = pkt_l4_at(pkt, 8, sizeof(*ip));

		if (!ip || ip->version != 4 || ip->ihl < 5 || (ip->frag_off & bpf_htons(0x1fff)))
			return -1;
		quote->src.word[0] = ip->saddr;
		quote->dst.word[0] = ip->daddr;
		quote->l4_proto = ip->protocol;
		quote->l4_off = 8 + ip->ihl * 4;
	} else {
		struct ipv6hdr *ip6 = pkt_l4_at(pkt, 8, sizeof(*ip6));

		if (!ip6 || ip6->version != 6)
			return -1;
		__builtin_memcpy(&quote->src, &ip6->saddr, sizeof(quote->src));
		__builtin_memcpy(&quote->dst, &ip6->daddr, sizeof(quote->dst));
		quote->l4_proto = ip6->nexthdr;
		quote->l4_off = 8 + sizeof(*ip6);
	}
	return 0;
}

static __always_inline int addr_equal(const struct xipsec_addr *a, const struct xipsec_addr *b)
{
	return a->word[0] == b->word[0] && a->word[1] == b->word[1] && a->word[2] == b->word[2] &&
	       a->word[3] == b->word[3];
}

/* Does this ICMP error quote ESP that an outbound SA of ours sent from the address it returns to?
 * A quote too short to show the SPI is an error like any other. */
static __always_inline int quotes_our_esp(const struct pkt *pkt)
{
	const struct xipsec_sad_entry *entry;
	struct quote quote;
	__be32 *spi;

	if (!icmp_is_error(pkt) || quote_read(pkt, &quote) || !addr_equal(&quote.src, &pkt->dst))
		return 0;
	if (quote.l4_proto == IPPROTO_UDP) {
		__be16 *port = pkt_l4_at(pkt, quote.l4_off, 4);

		if (!port || (port[0] != bpf_htons(PORT_NATT) && port[1] != bpf_htons(PORT_NATT)))
			return 0;
		quote.l4_off += 8;
	} else if (quote.l4_proto != IPPROTO_ESP) {
		return 0;
	}
	spi = pkt_l4_at(pkt, quote.l4_off, 4);
	if (!spi)
		return 0;
	entry = sad_lookup(&quote.dst, pkt->family, *spi);
	return entry && entry->dir == XIPSEC_DIR_OUT;
}

#endif
