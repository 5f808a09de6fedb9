// SPDX-License-Identifier: BSD-2-Clause
#include <linux/if_ether.h>
#include <netinet/in.h>
#include "tools/xipsec/explain.h"

#define IP4_BYTES  20
#define IP6_BYTES  40
#define TAGS_BYTES 8 /* of two VLAN tags */
#define MARK_BYTES 8 /* behind UDP's header: IKE's marker, or ESP's SPI and number */
#define PORT_NATT  4500

/* Bytes that the capture has. */
static unsigned int held(const struct explain_shown *shown)
{
	return shown->frame->len - shown->missing;
}

unsigned int explain_ip_length(const struct explain_shown *shown)
{
	const struct xipsec_explain *answer = &shown->what->answer;
	unsigned int at = answer->l3_off + (answer->eth_type == ETH_P_IPV6 ? 4 : 2);
	const __u8 *frame = shown->frame->data;

	if ((answer->eth_type != ETH_P_IP && answer->eth_type != ETH_P_IPV6) ||
	    held(shown) < at + 2)
		return 0;
	return (unsigned int)(frame[at] << 8 | frame[at + 1]) +
	       (answer->eth_type == ETH_P_IPV6 ? IP6_BYTES : 0);
}

/* Of the transport layer: what the programs read of it, ICMP errors with what they quote. */
static unsigned int l4_read(const struct xipsec_explain *answer)
{
	unsigned int type = answer->icmp >> 8;

	switch (answer->l4_proto) {
	case IPPROTO_TCP: return 20;
	case IPPROTO_SCTP:
	case IPPROTO_DCCP:
	case IPPROTO_AH: return 12;
	case IPPROTO_UDPLITE:
	case IPPROTO_ESP:
	case IPPROTO_MH: return 8;
	case IPPROTO_UDP:
		return answer->sport == PORT_NATT || answer->dport == PORT_NATT ? 8 + MARK_BYTES
										: 8;
	case IPPROTO_ICMP:
		return type == 3 || type == 5 || type == 11 || type == 12 ? 8 + IP4_BYTES + 8 : 8;
	case IPPROTO_ICMPV6: return type < 128 ? 8 + IP6_BYTES + 8 : 8;
	default: return 0;
	}
}

/* Where the headers end that decide about the packet, as far as they could be followed. */
static unsigned int headers_end(const struct xipsec_explain *answer)
{
	if (!answer->l3_off)
		return ETH_HLEN + TAGS_BYTES;
	if (answer->eth_type != ETH_P_IP && answer->eth_type != ETH_P_IPV6)
		return answer->l3_off;
	if (!answer->l4_off)
		return answer->l3_off + (answer->eth_type == ETH_P_IPV6 ? IP6_BYTES : IP4_BYTES);
	if (answer->frag & XIPSEC_FRAG_LATER)
		return answer->l4_off;
	return answer->l4_off + l4_read(answer);
}

bool explain_headers_cut(const struct explain_shown *shown)
{
	return shown->missing && held(shown) < headers_end(&shown->what->answer);
}
