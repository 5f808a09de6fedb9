/* SPDX-License-Identifier: BSD-2-Clause */
/* Recognising what belongs to IPsec: ESP, ESP in UDP (RFC 3948), AH and IKE. */
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
	ESP_FORM_AH,
	ESP_FORM_KEEPALIVE, /* one byte 0xff to port 4500 */
	ESP_FORM_IKE,       /* port 500, or 4500 with the non-ESP marker */
};

struct esp_seen {
	__u32 form;    /* enum esp_form */
	__be32 spi;    /* with PLAIN, UDP and AH */
	__u32 esp_off; /* of the ESP or AH header in the frame */
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

/* The first of fragments shows what they are part of; whoever steers asks whether it is whole. */
static __always_inline void esp_look(const struct pkt *pkt, struct esp_seen *seen)
{
	__builtin_memset(seen, 0, sizeof(*seen));
	if (!pkt_has_l4(pkt))
		return;
	if (pkt->l4_proto == IPPROTO_ESP) {
		__be32 *spi = pkt_l4_at(pkt, 0, 8);

		if (!spi)
			return;
		seen->form = ESP_FORM_PLAIN;
		seen->spi = *spi;
		seen->esp_off = pkt->l4_off;
	} else if (pkt->l4_proto == IPPROTO_AH) {
		__be32 *spi = pkt_l4_at(pkt, 4, 8);

		if (!spi)
			return;
		seen->form = ESP_FORM_AH;
		seen->spi = *spi;
		seen->esp_off = pkt->l4_off;
	} else if (pkt->l4_proto == IPPROTO_UDP && pkt->dport == PORT_IKE) {
		seen->form = ESP_FORM_IKE;
	} else if (pkt->l4_proto == IPPROTO_UDP && pkt->dport == PORT_NATT) {
		esp_look_natt(pkt, seen);
	}
}

#endif
