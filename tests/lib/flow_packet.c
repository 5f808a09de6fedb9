// SPDX-License-Identifier: BSD-2-Clause
#include "tests/lib/flow_packet.h"

#include <arpa/inet.h>
#include <stdio.h>
#include "tests/lib/draw.h"

#define PROTO_EXPERIMENT 253 /* RFC 3692 */

static bool is_ip6(const struct xipsec_flow *flow)
{
	return flow->family == XIPSEC_FAMILY_IP6;
}

static bool is_ext(__u8 proto)
{
	return proto == IPPROTO_HOPOPTS || proto == IPPROTO_ROUTING || proto == IPPROTO_FRAGMENT ||
	       proto == IPPROTO_DSTOPTS;
}

static bool shows_icmp(const struct xipsec_flow *flow)
{
	return !flow->opaque && flow->l4_proto != (is_ip6(flow) ? IPPROTO_ICMP : IPPROTO_ICMPV6) &&
	       (flow->l4_proto != IPPROTO_MH || is_ip6(flow));
}

/* To what a frame can show. */
static void flow_settle(struct xipsec_flow *flow)
{
	if (!is_ip6(flow))
		flow->opaque &= ~XIPSEC_OPAQUE_PROTO;
	else if (flow->opaque & XIPSEC_OPAQUE_PROTO)
		flow->l4_proto = IPPROTO_DSTOPTS;
	else if (flow->opaque && is_ext(flow->l4_proto))
		flow->opaque |= XIPSEC_OPAQUE_PROTO;
	else if (is_ext(flow->l4_proto))
		flow->l4_proto = PROTO_EXPERIMENT;
	if (!shows_icmp(flow))
		flow->icmp = 0;
}

static void spec_fragment(const struct xipsec_flow *flow, __u64 *seed, struct packet_spec *spec)
{
	bool first = !flow->opaque && chance(seed, 10);

	if (flow->opaque)
		spec->frag_off = 1 + below(seed, 8000);
	spec->more = first || (flow->opaque && chance(seed, 50));
}

static void spec_draw(const struct xipsec_flow *flow, __u64 *seed, struct packet_spec *spec)
{
	static const char *const ext[] = {"", "D", "R", "H", "HD", "HDRD", "L"};
	static const char *const ext_frag[] = {"F", "DF", "RF", "HF", "HDF", "HDRDF", "LF"};
	__u32 which = chance(seed, 20) ? below(seed, 7) : 0;

	spec->vlans = chance(seed, 10) ? 1 + below(seed, 2) : 0;
	spec->tos = (__u8)(flow->dscp << 2 | below(seed, 4));
	spec->payload_len = below(seed, 64);
	spec_fragment(flow, seed, spec);
	if (!is_ip6(flow))
		spec->options = chance(seed, 10) ? 4 * below(seed, 11) : 0;
	else if (spec->frag_off || spec->more || chance(seed, 3))
		spec->ext = ext_frag[which];
	else
		spec->ext = ext[which];
}

/* The fragment header comes last. */
static void id_write(const struct xipsec_flow *flow, __u16 id, struct packet *packet)
{
	__u8 *at = packet->data + (is_ip6(flow) ? packet->l4_off - 2 : packet->l3_off + 4);

	at[0] = id >> 8;
	at[1] = id & 0xff;
	packet_fix_length(packet);
}

void flow_packet(struct xipsec_flow *flow, __u16 id, __u64 *seed, struct packet *packet)
{
	char local[INET6_ADDRSTRLEN], remote[INET6_ADDRSTRLEN];
	int af = is_ip6(flow) ? AF_INET6 : AF_INET;
	bool out = flow->dir == XIPSEC_DIR_OUT;
	struct packet_spec spec = {0};

	flow_settle(flow);
	inet_ntop(af, &flow->local, local, sizeof(local));
	inet_ntop(af, &flow->remote, remote, sizeof(remote));
	spec.src = out ? local : remote;
	spec.dst = out ? remote : local;
	spec.proto = flow->l4_proto;
	spec.sport = out ? flow->local_port : flow->remote_port;
	spec.dport = out ? flow->remote_port : flow->local_port;
	spec.icmp_type = flow->icmp >> 8;
	spec.icmp_code = flow->icmp & 0xff;
	spec.spi = flow->l4_proto == IPPROTO_ESP ? 0x01020304 : 0;
	spec_draw(flow, seed, &spec);
	packet_build(packet, &spec);
	if (spec.frag_off || spec.more)
		id_write(flow, id, packet);
}
