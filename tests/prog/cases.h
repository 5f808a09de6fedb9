/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A table of packets for each branch of their way, with the reason that each must end with, and the
 * policies, SAs and interfaces under which it does. A test that includes this uses setup() and
 * run_case().
 */
#ifndef TESTS_PROG_CASES_H
#define TESTS_PROG_CASES_H

#include <netinet/in.h>
#include "tests/prog/harness.h"

/* A row of the table says what it is about and leaves the rest 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define SPD_GENERATION 77
#define CHILD_UP       5
#define CHILD_DOWN     6
#define CHILD_XFRM     7
#define CHILD_UNKNOWN  5000

#define SA_OUT 11
#define SA_IN  12
#define SA_GEN 9
#define TAP    4242 /* an index; a test run sends nothing there */

enum {
	CASE_NO_SPD = 1,    /* no SPD is loaded */
	CASE_FORWARDED = 2, /* TC: the packet came in by red */
	CASE_STRANGE = 4,   /* on an interface of the other role */
	CASE_ROLELESS = 8,  /* on an interface without a role */
	CASE_NO_TAP = 16,   /* xipsecd has no TAP */
};

struct prog_case {
	const char *name;
	enum prog prog;
	__u32 reason;
	struct packet_spec packet;
	unsigned int flags; /* CASE_* */
	__u32 mark;
	__u32 queue;
	unsigned int meta_len; /* somebody else's metadata before the frame */
};

static const struct rule_spec rules[] = {
	{XIPSEC_ACTION_BYPASS, .local = "10.1.0.0/24", .remote = "10.3.0.0/16"},
	{XIPSEC_ACTION_DISCARD, .remote = "10.4.0.0/16"},
	{XIPSEC_ACTION_BYPASS, .local = "192.0.2.1/32", .proto = IPPROTO_TCP, .local_port = 22},
	{XIPSEC_ACTION_PROTECT, .local = "10.1.0.0/16", .remote = "10.2.0.0/16", .child = CHILD_UP},
	{XIPSEC_ACTION_PROTECT, .local = "192.0.2.1/32", .remote = "10.2.0.0/16",
	 .child = CHILD_UP},
	{XIPSEC_ACTION_PROTECT, .remote = "10.5.0.0/16", .child = CHILD_DOWN},
	{XIPSEC_ACTION_PROTECT, .remote = "10.6.0.0/16", .child = CHILD_XFRM},
	{XIPSEC_ACTION_PROTECT, .remote = "10.7.0.0/16", .child = CHILD_UNKNOWN},
	{XIPSEC_ACTION_PROTECT, .local = "fd01::/16", .remote = "fd02::/16", .child = CHILD_UP},
	{XIPSEC_ACTION_BYPASS, .local = "fd01::/16", .remote = "fd03::/16", .proto = IPPROTO_UDP,
	 .remote_port = 53},
	{XIPSEC_ACTION_BYPASS, .local = "192.0.2.1/32", .remote = "192.0.2.9/32",
	 .proto = IPPROTO_UDP},
	{XIPSEC_ACTION_BYPASS, .remote = "192.0.2.9/32", .proto = IPPROTO_ICMP, .icmp_type = 3},
};

/* What ICMP errors quote: 8 bytes of transport header behind the IP header, as routers send it. */
static __u8 quote_esp4[28], quote_udp4[40], quote_esp6[48], quote_unknown4[28], quote_other4[28];
static const __u8 zeros[64];

/* The last three share all but one byte with one of ours, or lie in the unused places. */
static const __u8 mac_second[6] = SECOND_MAC, mac_other[6] = {2, 0, 0, 0, 0, 9},
		  mac_broadcast[6] = {255, 255, 255, 255, 255, 255},
		  mac_multicast[6] = {1, 0, 0x5e, 1, 2, 3},
		  mac_first_differs[6] = {6, 0, 0, 0, 0, 1},
		  mac_third_differs[6] = {2, 0, 8, 0, 0, 1}, mac_none[6];

#define RED4           .src = "10.1.0.5"
#define RED6           .src = "fd01::5"
#define IN4            .src = "192.0.2.2", .dst = "192.0.2.1"
#define IN6            .src = "2001:db8::2", .dst = "2001:db8::1"
#define OUT4           .src = "192.0.2.1", .dst = "192.0.2.2"
#define TRANSIT        .src = "10.2.0.5", .dst = "10.1.0.5"
#define UDP(from, to)  .proto = IPPROTO_UDP, .sport = (from), .dport = (to)
#define TCP(from, to)  .proto = IPPROTO_TCP, .sport = (from), .dport = (to)
#define DATA(n)        .payload_len = (n)
#define TO(mac)        .dst_mac = mac
#define PING           .proto = IPPROTO_ICMP, .icmp_type = 8, DATA(24)
#define ICMP6(t)       .proto = IPPROTO_ICMPV6, .icmp_type = (t), DATA(16)
#define PING6          ICMP6(128)
#define QUOTE(q)       .payload = (q), .payload_len = sizeof(q)
#define PATCH(at, to)  .patch = {true, (at), (to)}
#define PATCH2(at, to) .patch2 = {true, (at), (to)}
#define R(name)        XIPSEC_REASON_##name

/* clang-format off */
static const struct prog_case cases[] = {
	/* red: what is not outbound, built-in passes */
	{"red: ARP", PROG_RED, R(ARP), {.eth_type = 0x0806, DATA(28)}},
	{"red: ARP, tagged", PROG_RED, R(ARP), {.vlans = 1, .eth_type = 0x0806, DATA(28)}},
	{"red: LLDP", PROG_RED, R(NOT_OUTBOUND), {.eth_type = 0x88cc, DATA(40)}},
	{"red: neighbour solicitation", PROG_RED, R(ND), {RED6, .dst = "fd01::1", ICMP6(135), .ttl = 255}},
	{"red: neighbour advertisement, forwarded once", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", ICMP6(136), .ttl = 254}},
	{"red: neighbour advertisement in a fragment header", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", .ext = "F", ICMP6(136), .ttl = 255}},
	{"red: redirect is not a built-in pass", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", ICMP6(137), .ttl = 255}},
	{"red: echo is not ND", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", ICMP6(132), .ttl = 255}},
	{"red: to this host", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.1.0.1", PING}},
	{"red: to this host, v6", PROG_RED, R(NOT_OUTBOUND), {RED6, .dst = "fd01::1", TCP(4000, 22)}},
	{"red: to the black address of this host", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "192.0.2.1", PING}},
	{"red: to red", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.9.0.7", UDP(1, 2), DATA(9)}},
	{"red: multicast", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "224.0.0.251", UDP(5353, 5353), DATA(30)}},
	{"red: broadcast", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "255.255.255.255", UDP(68, 67), DATA(240)}},
	{"red: multicast, v6", PROG_RED, R(NOT_OUTBOUND), {RED6, .dst = "ff02::fb", UDP(5353, 5353), DATA(30)}},
	{"red: link-local, which black has too", PROG_RED, R(NOT_OUTBOUND), {RED6, .dst = "fe80::77", PING6}},
	{"black: ping to its link-local address", PROG_BLACK, R(NO_POLICY), {.src = "fe80::77", .dst = "fe80::b", PING6}},
	{"black: IKE to its link-local address", PROG_BLACK, R(IKE_IN), {.src = "fe80::77", .dst = "fe80::b", UDP(500, 500), DATA(28)}},
	{"red: no route", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.99.0.1", PING}},
	{"red: blackhole", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.66.0.1", PING}},
	{"red: no SPD, to this host", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.1.0.1", PING}, CASE_NO_SPD},

	/* red: policies */
	{"red: bypass", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", PING}},
	{"red: bypass, padded", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", UDP(1, 2), .pad = 18}},
	{"red: bypass, one tag", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", PING, .vlans = 1}},
	{"red: bypass, two tags", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", PING, .vlans = 2}},
	{"red: bypass, options", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", PING, .options = 40}},
	{"red: bypass, v6 port", PROG_RED, R(BYPASS_OUT), {RED6, .dst = "fd03::1", UDP(4444, 53), DATA(20)}},
	{"red: bypass, v6 port, six extension headers", PROG_RED, R(BYPASS_OUT), {RED6, .dst = "fd03::1", .ext = "HDRLFD", UDP(4444, 53), DATA(20)}},
	{"red: other v6 port", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", UDP(4444, 54), DATA(20)}},
	{"red: AH does not open the port behind it", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", .proto = IPPROTO_AH, DATA(40)}},
	{"red: discard", PROG_RED, R(DISCARD), {RED4, .dst = "10.4.0.1", PING}},
	{"red: no policy", PROG_RED, R(NO_POLICY), {RED4, .dst = "10.8.0.1", PING}},
	{"red: no SPD", PROG_RED, R(NO_SPD), {RED4, .dst = "10.3.0.1", PING}, CASE_NO_SPD},

	/* red: towards an interface without a role */
	{"red: protect, by an interface without a role", PROG_RED, R(PLAINTEXT_OUT), {RED4, .dst = "10.2.77.1", PING}},
	{"red: discard, by an interface without a role", PROG_RED, R(DISCARD), {RED4, .dst = "10.4.77.1", PING}},
	{"red: bypass, by an interface without a role", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.3.77.1", PING}},
	{"red: no policy, by an interface without a role", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.8.77.1", PING}},
	{"red: hidden port, by an interface without a role", PROG_RED, R(FRAG_OPAQUE), {RED6, .dst = "fd03:77::1", .ext = "F", .proto = IPPROTO_UDP, .frag_off = 8, DATA(64)}},
	{"red: no SPD, by an interface without a role", PROG_RED, R(NO_SPD), {RED4, .dst = "10.8.77.1", PING}, CASE_NO_SPD},

	/* red: protect */
	{"red: protect", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", PING}},
	{"red: protect, tcp, options, two tags", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", TCP(1, 2), .options = 12, .vlans = 2}},
	{"red: protect, later fragment", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_UDP, .frag_off = 100, DATA(64)}},
	{"red: protect, first fragment", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", UDP(1, 2), .more = true, DATA(64)}},
	{"red: protect, v6", PROG_RED, R(STEER_OUT), {RED6, .dst = "fd02::1", UDP(9, 9), DATA(100)}},
	{"red: protect, v6, extension headers", PROG_RED, R(STEER_OUT), {RED6, .dst = "fd02::1", .ext = "HR", UDP(9, 9), DATA(100)}},
	{"red: protect, v6 no next header", PROG_RED, R(STEER_OUT), {RED6, .dst = "fd02::1", .proto = IPPROTO_NONE}},
	{"red: protect, SCTP", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_SCTP, .sport = 1, .dport = 2, DATA(20)}},
	{"red: protect, DCCP", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_DCCP, .sport = 1, .dport = 2, DATA(20)}},
	{"red: protect, UDP-Lite", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_UDPLITE, .sport = 1, .dport = 2, DATA(20)}},
	{"red: protect, ESP of a host behind", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_ESP, .spi = 0x1001, DATA(40)}},
	{"red: protect, GRE", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_GRE, DATA(40)}},
	{"red: protect, with another's metadata", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", PING}, .meta_len = 8},
	{"red: protect, with 32 bytes of metadata", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", PING}, .meta_len = 32},
	{"red: protect, no worker on queue 1", PROG_RED, R(NO_WORKER), {RED4, .dst = "10.2.0.1", PING}, .queue = 1},
	{"red: protect, no SA", PROG_RED, R(NO_SA_OUT), {RED4, .dst = "10.5.0.1", PING}},
	{"red: protect, child out of bounds", PROG_RED, R(NO_SA_OUT), {RED4, .dst = "10.7.0.1", PING}},
	{"red: protect, kernel engine", PROG_RED, R(XFRM_OUT), {RED4, .dst = "10.6.0.1", PING}},
	{"red: protect, in several buffers", PROG_RED, R(ENGINE_CLOSED), {RED4, .dst = "10.2.0.1", UDP(1, 2), DATA(6000)}},
	{"red: bypass, in several buffers", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", UDP(1, 2), DATA(6000)}},

	/* red: fragments and lies */
	{"red: later fragment that hides port 53", PROG_RED, R(FRAG_OPAQUE), {RED6, .dst = "fd03::1", .ext = "F", .proto = IPPROTO_UDP, .frag_off = 8, DATA(64)}},
	{"red: later fragment that hides its protocol", PROG_RED, R(FRAG_OPAQUE), {RED6, .dst = "fd03::1", .ext = "F", .proto = IPPROTO_DSTOPTS, .frag_off = 8, DATA(64)}},
	{"red: later fragment of another protocol", PROG_RED, R(NO_POLICY), {RED6, .dst = "fd03::1", .ext = "F", .proto = IPPROTO_TCP, .frag_off = 8, DATA(64)}},
	{"red: first fragment that shows port 53", PROG_RED, R(BYPASS_OUT), {RED6, .dst = "fd03::1", .ext = "F", .more = true, UDP(3, 53), DATA(64)}},
	{"red: first fragment, TCP header cut", PROG_RED, R(FRAG_SHORT), {RED4, .dst = "10.3.0.1", .proto = IPPROTO_TCP, .more = true, PATCH(3, 36), .cut = 4}},
	{"red: first fragment, TCP options missing", PROG_RED, R(FRAG_SHORT), {RED4, .dst = "10.3.0.1", TCP(1, 2), .more = true, PATCH(32, 0xf0)}},
	{"red: first fragment, v6 chain cut", PROG_RED, R(FRAG_SHORT), {RED6, .dst = "fd03::1", .ext = "FD", .proto = IPPROTO_UDP, .more = true, PATCH(5, 12)}},
	{"red: first fragment, extension header longer than it", PROG_RED, R(FRAG_SHORT), {RED6, .dst = "fd03::1", .ext = "FD", UDP(1, 53), .more = true, PATCH(49, 200)}},
	{"red: fragment beyond 65535", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", .proto = IPPROTO_UDP, .frag_off = 8191, DATA(64)}},
	{"red: tag without an ethertype", PROG_RED, R(MALFORMED_ETH), {.eth_type = 0x8100, DATA(2)}},
	{"red: three tags", PROG_RED, R(MALFORMED_ETH), {RED4, .dst = "10.3.0.1", PING, .vlans = 3}},
	{"red: version 5", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", PING, PATCH(0, 0x55)}},
	{"red: header of 16 bytes", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", PING, PATCH(0, 0x44)}},
	{"red: total length shorter than the header", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", PING, PATCH(3, 19)}},
	{"red: total length beyond the frame", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", PING, .cut = 1}},
	{"red: options beyond the total length", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", .proto = IPPROTO_GRE, PATCH(0, 0x46), .pad = 26}},
	{"red: v6 of version 4", PROG_RED, R(MALFORMED_IP6), {RED6, .dst = "fd03::1", UDP(1, 53), PATCH(0, 0x40)}},
	{"red: v6 payload beyond the frame", PROG_RED, R(MALFORMED_IP6), {RED6, .dst = "fd03::1", UDP(1, 53), .cut = 1}},
	{"red: jumbogram", PROG_RED, R(MALFORMED_IP6), {RED6, .dst = "fd03::1", .ext = "H", UDP(1, 53), PATCH(5, 0)}},
	{"red: extension header beyond the payload", PROG_RED, R(MALFORMED_IP6), {RED6, .dst = "fd03::1", .ext = "D", UDP(1, 53), PATCH(41, 9)}},
	{"red: seven extension headers", PROG_RED, R(IP6_CHAIN), {RED6, .dst = "fd03::1", .ext = "HDRDDDD", UDP(1, 53)}},
	{"red: hop-by-hop header in second place", PROG_RED, R(IP6_CHAIN), {RED6, .dst = "fd03::1", .ext = "DH", UDP(1, 53)}},
	{"red: two fragment headers", PROG_RED, R(IP6_CHAIN), {RED6, .dst = "fd03::1", .ext = "FF", UDP(1, 53)}},
	{"red: UDP cut", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.3.0.1", UDP(1, 2), PATCH(3, 27)}},
	{"red: UDP longer than its packet", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.3.0.1", UDP(1, 2), DATA(4), PATCH(25, 13)}},
	{"red: UDP of length 7", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.3.0.1", UDP(1, 2), DATA(4), PATCH(25, 7)}},
	{"red: TCP header of 16 bytes", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.3.0.1", TCP(1, 2), PATCH(32, 0x40)}},
	{"red: TCP header beyond the packet", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.3.0.1", TCP(1, 2), PATCH(32, 0x60)}},
	{"red: ICMP cut", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.3.0.1", .proto = IPPROTO_ICMP, PATCH(3, 27)}},
	{"red: ESP cut", PROG_RED, R(MALFORMED_L4), {RED4, .dst = "10.2.0.1", .proto = IPPROTO_ESP, DATA(7)}},
	{"red: interface with another role", PROG_RED, R(NO_IFACE), {RED4, .dst = "10.3.0.1", PING}, CASE_STRANGE},
	{"red: interface without a role", PROG_RED, R(NO_IFACE), {RED4, .dst = "10.3.0.1", PING}, CASE_ROLELESS},

	/* black: built-in passes */
	{"black: ARP", PROG_BLACK, R(ARP), {.eth_type = 0x0806, DATA(28)}},
	{"black: ARP without an SPD", PROG_BLACK, R(ARP), {.eth_type = 0x0806, DATA(28)}, CASE_NO_SPD},
	{"black: LLDP, named", PROG_BLACK, R(ETHERTYPE_PASS), {.eth_type = 0x88cc, DATA(40)}},
	{"black: second named ethertype", PROG_BLACK, R(ETHERTYPE_PASS), {.eth_type = 0x8809, DATA(40)}},
	{"black: ethertype behind the named ones", PROG_BLACK, R(ETHERTYPE), {.eth_type = 0x8847, DATA(40)}},
	{"black: PPPoE", PROG_BLACK, R(ETHERTYPE), {.eth_type = 0x8864, DATA(40)}},
	{"black: 802.3 length", PROG_BLACK, R(ETHERTYPE), {.eth_type = 40, DATA(40)}},
	{"black: neighbour solicitation to us", PROG_BLACK, R(ND), {IN6, ICMP6(135), .ttl = 255}},
	{"black: neighbour advertisement to our link-local address", PROG_BLACK, R(ND), {.src = "fe80::2", .dst = "fe80::b", ICMP6(136), .ttl = 255}},
	{"black: neighbour advertisement to a host behind us", PROG_BLACK, R(NO_POLICY), {.src = "2001:db8::2", .dst = "fd01::2", ICMP6(136), .ttl = 255}},
	{"black: router advertisement to a host behind us", PROG_BLACK, R(NO_POLICY), {.src = "2001:db8::2", .dst = "fd01::2", ICMP6(134), .ttl = 255}},
	{"black: router advertisement", PROG_BLACK, R(ND), {.src = "fe80::1", .dst = "ff02::1", ICMP6(134), .ttl = 255}},
	{"black: neighbour advertisement, forwarded once", PROG_BLACK, R(NO_POLICY), {IN6, ICMP6(136), .ttl = 254}},
	{"black: MLD query", PROG_BLACK, R(MLD), {.src = "fe80::1", .dst = "ff02::1", .ext = "H", ICMP6(130), .ttl = 1}},
	{"black: MLDv2 report", PROG_BLACK, R(MLD), {.src = "fe80::1", .dst = "ff02::16", .ext = "H", ICMP6(143), .ttl = 1}},
	{"black: MLD query from afar", PROG_BLACK, R(NO_POLICY), {.src = "fe80::1", .dst = "ff02::1", ICMP6(130), .ttl = 64}},
	{"black: DHCP offer", PROG_BLACK, R(DHCP), {.src = "192.0.2.2", .dst = "255.255.255.255", UDP(67, 68), DATA(240)}},
	{"black: DHCP ack", PROG_BLACK, R(DHCP), {IN4, UDP(67, 68), DATA(240)}},
	{"black: DHCPv6 reply", PROG_BLACK, R(DHCP), {IN6, UDP(547, 546), DATA(24)}},
	{"black: DHCP in a first fragment", PROG_BLACK, R(NO_POLICY), {.src = "192.0.2.2", .dst = "255.255.255.255", UDP(67, 68), DATA(240), .more = true}},
	{"black: DHCP request from a stranger", PROG_BLACK, R(NO_POLICY), {.src = "0.0.0.0", .dst = "255.255.255.255", UDP(68, 67), DATA(240)}},
	{"black: DHCP ports in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, UDP(67, 68), DATA(24)}},

	/* black: ESP */
	{"black: ESP", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}},
	{"black: ESP, options, tag", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60), .options = 8, .vlans = 1}},
	{"black: ESP, v6", PROG_BLACK, R(STEER_IN), {IN6, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}},
	{"black: ESP, v6, destination options", PROG_BLACK, R(STEER_IN), {IN6, .ext = "D", .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}},
	{"black: ESP, v6, the only fragment", PROG_BLACK, R(STEER_IN), {IN6, .ext = "F", .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}},
	{"black: ESP in UDP", PROG_BLACK, R(STEER_UDP_IN), {IN4, UDP(7777, 4500), .spi = 0x1002, DATA(60)}},
	{"black: ESP in UDP, tag", PROG_BLACK, R(STEER_UDP_IN), {IN4, UDP(7777, 4500), .spi = 0x1002, DATA(60), .vlans = 1}},
	{"black: ESP in UDP, options, two tags", PROG_BLACK, R(STEER_UDP_IN), {IN4, UDP(7777, 4500), .spi = 0x1002, DATA(60), .options = 8, .vlans = 2}},
	{"black: ESP in UDP, two tags, no SA", PROG_BLACK, R(NO_SA), {IN4, UDP(7777, 4500), .spi = 0x9999, DATA(60), .vlans = 2}},
	{"black: ESP, v6, two tags", PROG_BLACK, R(STEER_IN), {IN6, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60), .vlans = 2}},
	{"black: AH, tag", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_AH, .spi = 0x1006, DATA(60), .vlans = 1}},
	{"black: AH, options, two tags", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_AH, .spi = 0x1006, DATA(60), .options = 12, .vlans = 2}},
	{"black: AH, tag, no SA", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_AH, .spi = 0x9999, DATA(60), .vlans = 1}},
	{"black: IKE, tag", PROG_BLACK, R(IKE_IN), {IN4, UDP(500, 500), DATA(28), .vlans = 1}},
	{"black: NAT keepalive, tag", PROG_BLACK, R(NAT_KEEPALIVE), {IN4, UDP(33333, 4500), .payload = "\xff", DATA(1), .pad = 17, .vlans = 1}},
	{"black: first fragment of ESP, two tags", PROG_BLACK, R(REASSEMBLE), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, .more = true, DATA(64), .vlans = 2}},
	{"black: ESP in UDP, with a checksum", PROG_BLACK, R(STEER_UDP_IN), {IN4, UDP(7777, 4500), .spi = 0x1002, DATA(60), PATCH(26, 0x5a)}},
	{"black: ESP with another's metadata", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}, .meta_len = 4},
	{"black: ESP, no worker on queue 1", PROG_BLACK, R(NO_WORKER), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}, .queue = 1},
	{"black: ESP in several buffers", PROG_BLACK, R(ENGINE_CLOSED), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(6000)}},
	{"black: ESP of a kernel SA, for a CPU", PROG_BLACK, R(XFRM_SPREAD), {IN4, .proto = IPPROTO_ESP, .spi = 0x1007, DATA(60)}},
	{"black: ESP of a kernel SA", PROG_BLACK, R(XFRM_IN), {IN4, .proto = IPPROTO_ESP, .spi = 0x1003, DATA(60)}},
	{"black: ESP, no SA", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x9999, DATA(60)}},
	{"black: ESP, SA of generation 0", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x1004, DATA(60)}},
	{"black: ESP, no SA, v6", PROG_BLACK, R(NO_SA), {IN6, .proto = IPPROTO_ESP, .spi = 0x9999, DATA(60)}},
	{"black: ESP, SPI of a UDP SA", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_ESP, .spi = 0x1002, DATA(60)}},
	{"black: ESP in UDP, SPI of a plain SA", PROG_BLACK, R(STEER_UDP_IN), {IN4, UDP(4500, 4500), .spi = 0x1001, DATA(60)}},
	{"black: ESP in UDP, SPI of a plain SA of the kernel", PROG_BLACK, R(NO_SA), {IN4, UDP(4500, 4500), .spi = 0x1003, DATA(60)}},
	{"black: ESP in UDP, no SA", PROG_BLACK, R(NO_SA), {IN4, UDP(4500, 4500), .spi = 0x9999, DATA(60)}},
	{"black: ESP, SPI of an outbound SA", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x1005, DATA(60)}},
	{"black: ESP in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, .proto = IPPROTO_ESP, .spi = 0x9999, DATA(60)}},
	{"black: ESP without an SPD", PROG_BLACK, R(NO_SPD), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}, CASE_NO_SPD},
	{"black: AH", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_AH, DATA(60)}},
	{"black: AH, v6", PROG_BLACK, R(NO_SA), {IN6, .proto = IPPROTO_AH, DATA(60)}},
	{"black: AH of an SA", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_AH, .spi = 0x1006, DATA(60)}},
	{"black: AH of an SA, v6", PROG_BLACK, R(STEER_IN), {IN6, .proto = IPPROTO_AH, .spi = 0x1006, DATA(60)}},
	{"black: AH with the SPI of ESP", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_AH, .spi = 0x1001, DATA(60)}},
	{"black: ESP with the SPI of AH", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x1006, DATA(60)}},
	{"black: AH in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, .proto = IPPROTO_AH, DATA(60)}},
	{"black: AH cut", PROG_BLACK, R(MALFORMED_L4), {IN4, .proto = IPPROTO_AH, PATCH(3, 31)}},

	/* black: IKE and NAT-T */
	{"black: IKE", PROG_BLACK, R(IKE_IN), {IN4, UDP(500, 500), DATA(28)}},
	{"black: IKE, v6", PROG_BLACK, R(IKE_IN), {IN6, UDP(500, 500), DATA(28)}},
	{"black: IKE on 4500", PROG_BLACK, R(IKE_IN), {IN4, UDP(33333, 4500), DATA(32)}},
	{"black: IKE in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, UDP(500, 500), DATA(28)}},
	{"black: IKE to multicast", PROG_BLACK, R(NO_POLICY), {.src = "192.0.2.2", .dst = "224.0.0.1", UDP(500, 500), DATA(28)}},
	{"black: NAT keepalive", PROG_BLACK, R(NAT_KEEPALIVE), {IN4, UDP(33333, 4500), .payload = "\xff", DATA(1), .pad = 17}},
	{"black: NAT keepalive, with a checksum", PROG_BLACK, R(NAT_KEEPALIVE), {IN4, UDP(33333, 4500), .payload = "\xff", DATA(1), .pad = 17, PATCH(26, 0x5a)}},
	{"black: NAT keepalive in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, UDP(4500, 4500), .payload = "\xff", DATA(1)}},
	{"black: one other byte to 4500", PROG_BLACK, R(NO_POLICY), {IN4, UDP(33333, 4500), .payload = "\xfe", DATA(1)}},
	{"black: seven bytes to 4500", PROG_BLACK, R(NO_POLICY), {IN4, UDP(33333, 4500), .payload = "\1\2\3\4\5\6\7", DATA(7)}},
	{"black: nothing to 4500", PROG_BLACK, R(NO_POLICY), {IN4, UDP(33333, 4500)}},
	{"black: TCP to 500", PROG_BLACK, R(NO_POLICY), {IN4, TCP(500, 500)}},

	/* black: fragments */
	{"black: first fragment of ESP", PROG_BLACK, R(REASSEMBLE), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, .more = true, DATA(64)}},
	{"black: first fragment of AH", PROG_BLACK, R(REASSEMBLE), {IN4, .proto = IPPROTO_AH, .spi = 0x1006, .more = true, DATA(64)}},
	{"black: first fragment of ESP, no SA", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x1999, .more = true, DATA(64)}},
	{"black: first fragment of ESP, an outbound SA", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x1005, .more = true, DATA(64)}},
	{"black: first fragment of ESP, the SA wants UDP", PROG_BLACK, R(REASSEMBLE), {IN4, .proto = IPPROTO_ESP, .spi = 0x1002, .more = true, DATA(64)}},
	{"black: first fragment of ESP, kernel's engine", PROG_BLACK, R(REASSEMBLE), {IN4, .proto = IPPROTO_ESP, .spi = 0x1003, .more = true, DATA(64)}},
	{"black: later fragment of ESP", PROG_BLACK, R(REASSEMBLY_CLOSED), {IN4, .proto = IPPROTO_ESP, .frag_off = 100, DATA(64)}},
	{"black: later fragment of ESP, v6", PROG_BLACK, R(REASSEMBLY_CLOSED), {IN6, .ext = "F", .proto = IPPROTO_ESP, .frag_off = 100, DATA(64)}},
	{"black: later fragment of AH", PROG_BLACK, R(REASSEMBLY_CLOSED), {IN4, .proto = IPPROTO_AH, .frag_off = 100, DATA(64)}},
	{"black: first fragment of IKE", PROG_BLACK, R(REASSEMBLE), {IN4, UDP(500, 500), .more = true, DATA(64)}},
	{"black: first fragment of ESP in UDP", PROG_BLACK, R(REASSEMBLE), {IN4, UDP(4500, 4500), .spi = 0x1002, .more = true, DATA(64)}},
	{"black: later fragment of UDP", PROG_BLACK, R(REASSEMBLY_CLOSED), {IN4, .proto = IPPROTO_UDP, .frag_off = 100, DATA(64)}},
	{"black: later fragment of UDP, bypassed for certain", PROG_BLACK, R(BYPASS_IN), {.src = "192.0.2.9", .dst = "192.0.2.1", .proto = IPPROTO_UDP, .frag_off = 100, DATA(64)}},
	{"black: first fragment of other UDP", PROG_BLACK, R(NO_POLICY), {IN4, UDP(700, 700), .more = true, DATA(64)}},
	{"black: later fragment of TCP", PROG_BLACK, R(FRAG_OPAQUE), {IN4, .proto = IPPROTO_TCP, .frag_off = 100, DATA(64)}},
	{"black: later fragment in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, .proto = IPPROTO_UDP, .frag_off = 100, DATA(64)}},
	{"black: later fragment of ESP in transit", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, .proto = IPPROTO_ESP, .frag_off = 100, DATA(64)}},
	{"black: first fragment cut", PROG_BLACK, R(FRAG_SHORT), {IN4, .proto = IPPROTO_UDP, .more = true, PATCH(3, 24)}},

	/* black: ICMP errors */
	{"black: error that quotes our ESP", PROG_BLACK, R(PMTU_IGNORED), {.src = "192.0.2.8", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4, QUOTE(quote_esp4)}},
	{"black: error that quotes our ESP in UDP", PROG_BLACK, R(PMTU_IGNORED), {.src = "192.0.2.8", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4, QUOTE(quote_udp4)}},
	{"black: error that quotes the kernel's ESP, v6", PROG_BLACK, R(XFRM_IN), {.src = "2001:db8::9", .dst = "2001:db8::1", .proto = IPPROTO_ICMPV6, .icmp_type = 2, QUOTE(quote_esp6)}},
	{"black: error that quotes ESP of no SA", PROG_BLACK, R(BYPASS_IN), {.src = "192.0.2.9", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4, QUOTE(quote_unknown4)}},
	{"black: error that quotes another's ESP", PROG_BLACK, R(BYPASS_IN), {.src = "192.0.2.9", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4, QUOTE(quote_other4)}},
	{"black: error that quotes nothing", PROG_BLACK, R(BYPASS_IN), {.src = "192.0.2.9", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 1, QUOTE(zeros)}},
	{"black: error whose quote is Ethernet padding", PROG_BLACK, R(BYPASS_IN), {.src = "192.0.2.9", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 3, .icmp_code = 4, QUOTE(quote_esp4), PATCH(3, 28)}},
	{"black: ICMP of another type with such a quote", PROG_BLACK, R(NO_POLICY), {.src = "192.0.2.9", .dst = "192.0.2.1", .proto = IPPROTO_ICMP, .icmp_type = 8, QUOTE(quote_esp4)}},

	/* black: plaintext */
	{"black: bypass", PROG_BLACK, R(BYPASS_IN), {IN4, TCP(5555, 22)}},
	{"black: bypass in transit", PROG_BLACK, R(BYPASS_IN), {.src = "10.3.0.1", .dst = "10.1.0.5", PING}},
	{"black: the bypassed port is the local one", PROG_BLACK, R(NO_POLICY), {IN4, TCP(22, 5555)}},
	{"black: plaintext under protect", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, PING}},
	{"black: plaintext under protect, v6", PROG_BLACK, R(PLAINTEXT_IN), {.src = "fd02::1", .dst = "fd01::5", UDP(9, 9)}},
	{"black: plaintext under protect, no SA", PROG_BLACK, R(PLAINTEXT_IN), {.src = "10.5.0.1", .dst = "10.1.0.5", PING}},
	{"black: discard", PROG_BLACK, R(DISCARD), {.src = "10.4.0.1", .dst = "10.1.0.5", PING}},
	{"black: no policy", PROG_BLACK, R(NO_POLICY), {.src = "10.8.0.1", .dst = "10.1.0.5", PING}},
	{"black: multicast", PROG_BLACK, R(NO_POLICY), {.src = "192.0.2.2", .dst = "224.0.0.5", .proto = 89, DATA(44)}},
	{"black: no SPD", PROG_BLACK, R(NO_SPD), {IN4, TCP(5555, 22)}, CASE_NO_SPD},
	{"black: three tags", PROG_BLACK, R(MALFORMED_ETH), {IN4, PING, .vlans = 3}},
	{"black: interface with another role", PROG_BLACK, R(NO_IFACE), {IN4, PING}, CASE_STRANGE},
	{"black: interface without a role", PROG_BLACK, R(NO_IFACE), {.eth_type = 0x0806, DATA(28)}, CASE_ROLELESS},

	/* MACs: another's, a group's, ours */
#define RED_OUT RED4, .dst = "10.2.0.1", PING
	{"red: to our second MAC", PROG_RED, R(STEER_OUT), {RED_OUT, TO(mac_second)}},
	{"red: to another MAC", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_other)}},
	{"red: to another MAC, tagged", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_other), .vlans = 2}},
	{"red: to another MAC, v6", PROG_RED, R(FOREIGN_MAC), {RED6, .dst = "fd02::1", UDP(1, 2), TO(mac_other)}},
	{"red: to a MAC whose first byte differs", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_first_differs)}},
	{"red: to a MAC whose third byte differs", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_third_differs)}},
	{"red: to the MAC of unused places", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_none)}},
	{"red: to broadcast", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_broadcast)}},
	{"red: to a multicast MAC", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_multicast)}},
	{"red: to another MAC, under bypass", PROG_RED, R(FOREIGN_MAC), {RED4, .dst = "10.3.0.1", PING, TO(mac_other)}},
	{"red: to another MAC, under discard", PROG_RED, R(FOREIGN_MAC), {RED4, .dst = "10.4.0.1", PING, TO(mac_other)}},
	{"red: to another MAC, no SPD", PROG_RED, R(FOREIGN_MAC), {RED_OUT, TO(mac_other)}, CASE_NO_SPD},
	{"red: to another MAC, not outbound", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.9.0.7", PING, TO(mac_other)}},
	{"red: to another MAC, to this host", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.1.0.1", PING, TO(mac_other)}},
	{"red: to another MAC, by an interface without a role, under protect", PROG_RED, R(PLAINTEXT_OUT), {RED4, .dst = "10.2.77.1", PING, TO(mac_other)}},
	{"red: ARP to another MAC", PROG_RED, R(ARP), {.eth_type = 0x0806, DATA(28), TO(mac_other)}},
#define ESP_IN IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)
	{"black: ESP to our second MAC", PROG_BLACK, R(STEER_IN), {ESP_IN, TO(mac_second)}},
	{"black: ESP to another MAC", PROG_BLACK, R(FOREIGN_MAC), {ESP_IN, TO(mac_other)}},
	{"black: ESP to another MAC, tagged", PROG_BLACK, R(FOREIGN_MAC), {ESP_IN, TO(mac_other), .vlans = 1}},
	{"black: ESP to another MAC, v6", PROG_BLACK, R(FOREIGN_MAC), {IN6, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60), TO(mac_other)}},
	{"black: ESP to the MAC of unused places", PROG_BLACK, R(FOREIGN_MAC), {ESP_IN, TO(mac_none)}},
	{"black: ESP to broadcast", PROG_BLACK, R(FOREIGN_MAC), {ESP_IN, TO(mac_broadcast)}},
	{"black: ESP in UDP to a multicast MAC", PROG_BLACK, R(FOREIGN_MAC), {IN4, UDP(4500, 4500), .spi = 0x1002, DATA(60), TO(mac_multicast)}},
	{"black: ESP in UDP to another MAC", PROG_BLACK, R(FOREIGN_MAC), {IN4, UDP(4500, 4500), .spi = 0x1002, DATA(60), TO(mac_other)}},
	{"black: IKE to another MAC", PROG_BLACK, R(FOREIGN_MAC), {IN4, UDP(500, 500), DATA(28), TO(mac_other)}},
	{"black: bypass to another MAC", PROG_BLACK, R(FOREIGN_MAC), {IN4, TCP(5555, 22), TO(mac_other)}},
	{"black: bypass to broadcast", PROG_BLACK, R(BYPASS_IN), {IN4, TCP(5555, 22), TO(mac_broadcast)}},
	{"black: plaintext to broadcast, under protect", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, PING, TO(mac_broadcast)}},
	{"black: DHCP offer to broadcast", PROG_BLACK, R(DHCP), {.src = "192.0.2.2", .dst = "255.255.255.255", UDP(67, 68), DATA(240), TO(mac_broadcast)}},
	{"black: neighbour solicitation to a multicast MAC", PROG_BLACK, R(ND), {.src = "2001:db8::2", .dst = "ff02::1:ff00:1", ICMP6(135), .ttl = 255, TO(mac_multicast)}},

	/* the guard */
	{"guard: to whatever MAC", PROG_GUARD, R(BYPASS_OUT), {OUT4, TCP(22, 5555), TO(mac_other)}},
	{"guard: ARP", PROG_GUARD, R(ARP), {.eth_type = 0x0806, DATA(28)}},
	{"guard: LLDP, named", PROG_GUARD, R(ETHERTYPE_PASS), {.eth_type = 0x88cc, DATA(40)}},
	{"guard: PPPoE", PROG_GUARD, R(ETHERTYPE), {.eth_type = 0x8864, DATA(40)}},
	{"guard: neighbour solicitation", PROG_GUARD, R(ND), {.src = "2001:db8::1", .dst = "ff02::1:ff00:2", ICMP6(135), .ttl = 255}},
	{"guard: neighbour solicitation, hop limit 64", PROG_GUARD, R(NO_POLICY), {.src = "2001:db8::1", .dst = "2001:db8::2", ICMP6(135)}},
	{"guard: MLDv2 report", PROG_GUARD, R(MLD), {.src = "fe80::1", .dst = "ff02::16", .ext = "H", ICMP6(143), .ttl = 1}},
	{"guard: MLDv2 report, not ours", PROG_GUARD, R(NO_POLICY), {.src = "fe80::1", .dst = "ff02::16", .ext = "H", ICMP6(143), .ttl = 1}, CASE_FORWARDED},
	{"guard: DHCP discover", PROG_GUARD, R(DHCP), {.src = "0.0.0.0", .dst = "255.255.255.255", UDP(68, 67), DATA(240)}},
	{"guard: DHCP in a first fragment", PROG_GUARD, R(NO_POLICY), {.src = "0.0.0.0", .dst = "255.255.255.255", UDP(68, 67), DATA(240), .more = true}},
	{"guard: DHCPv6 solicit in a first fragment", PROG_GUARD, R(NO_POLICY), {.src = "fe80::1", .dst = "ff02::1:2", .ext = "F", UDP(546, 547), DATA(24), .more = true}},
	{"guard: DHCPv6 solicit", PROG_GUARD, R(DHCP), {.src = "fe80::1", .dst = "ff02::1:2", UDP(546, 547), DATA(24)}},
	{"guard: DHCP of a red host", PROG_GUARD, R(PLAINTEXT_OUT), {RED4, .dst = "10.2.0.1", UDP(68, 67), DATA(24)}, CASE_FORWARDED},
	{"guard: DHCP answer of ours", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(67, 68), DATA(24)}},
	{"guard: kernel's ESP", PROG_GUARD, R(ESP_OWN), {OUT4, .proto = IPPROTO_ESP, .spi = 0x2001, DATA(60)}},
	{"guard: kernel's ESP, forwarded and sealed", PROG_GUARD, R(ESP_OWN), {OUT4, .proto = IPPROTO_ESP, .spi = 0x2001, DATA(60)}, CASE_FORWARDED, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: kernel's ESP, forwarded without the mark", PROG_GUARD, R(NO_POLICY), {OUT4, .proto = IPPROTO_ESP, .spi = 0x2001, DATA(60)}, CASE_FORWARDED},
	{"guard: kernel's ESP from another source", PROG_GUARD, R(NO_POLICY), {.src = "192.0.2.9", .dst = "192.0.2.2", .proto = IPPROTO_ESP, .spi = 0x2001, DATA(60)}, CASE_FORWARDED, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: marked for the kernel and still plaintext", PROG_GUARD, R(PLAINTEXT_OUT), {RED4, .dst = "10.6.0.1", PING}, CASE_FORWARDED, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: kernel's ESP, v6", PROG_GUARD, R(ESP_OWN), {.src = "2001:db8::1", .dst = "2001:db8::2", .proto = IPPROTO_ESP, .spi = 0x2001, DATA(60)}},
	{"guard: kernel's ESP in UDP, forwarded and sealed", PROG_GUARD, R(ESP_OWN), {OUT4, UDP(4500, 7777), .spi = 0x2004, DATA(60)}, CASE_FORWARDED, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: kernel's ESP in UDP, this host's", PROG_GUARD, R(ESP_OWN), {OUT4, UDP(4500, 7777), .spi = 0x2004, DATA(60)}, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: such ESP in UDP without the mark", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(4500, 7777), .spi = 0x2004, DATA(60)}},
	{"guard: such ESP in UDP from another port", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(4501, 7777), .spi = 0x2004, DATA(60)}, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: ESP in UDP of a plain SA", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(4500, 7777), .spi = 0x2001, DATA(60)}, .mark = XIPSEC_MARK_XFRM | CHILD_XFRM},
	{"guard: plain ESP of an SA in UDP", PROG_GUARD, R(NO_POLICY), {OUT4, .proto = IPPROTO_ESP, .spi = 0x2004, DATA(60)}},
	{"guard: such ESP, forwarded", PROG_GUARD, R(NO_POLICY), {OUT4, .proto = IPPROTO_ESP, .spi = 0x2001, DATA(60)}, CASE_FORWARDED},
	{"guard: ESP of a worker's SA", PROG_GUARD, R(NO_POLICY), {OUT4, .proto = IPPROTO_ESP, .spi = 0x2002, DATA(60)}},
	{"guard: ESP of no SA", PROG_GUARD, R(NO_POLICY), {OUT4, .proto = IPPROTO_ESP, .spi = 0x9999, DATA(60)}},
	{"guard: ESP of an inbound SA", PROG_GUARD, R(NO_POLICY), {.src = "192.0.2.1", .dst = "192.0.2.1", .proto = IPPROTO_ESP, .spi = 0x1003, DATA(60)}},
	{"guard: IKE of ours", PROG_GUARD, R(IKE_OUT), {OUT4, UDP(500, 500), DATA(28)}, .mark = XIPSEC_MARK_OWN | 7},
	{"guard: IKE of ours to a NAT's port", PROG_GUARD, R(IKE_OUT), {OUT4, UDP(4500, 33333), DATA(28)}, .mark = XIPSEC_MARK_OWN},
	{"guard: later fragment of IKE of ours", PROG_GUARD, R(IKE_OUT), {OUT4, .proto = IPPROTO_UDP, .frag_off = 100, DATA(64)}, .mark = XIPSEC_MARK_OWN},
	{"guard: IKE without the mark", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(500, 500), DATA(28)}},
	{"guard: IKE with another mark", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(500, 500), DATA(28)}, .mark = XIPSEC_MARK_XFRM},
	{"guard: IKE with the mark, forwarded", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(500, 500), DATA(28)}, CASE_FORWARDED, .mark = XIPSEC_MARK_OWN},
	{"guard: the mark on another port", PROG_GUARD, R(NO_POLICY), {OUT4, UDP(501, 500), DATA(28)}, .mark = XIPSEC_MARK_OWN},
	{"guard: the mark on TCP", PROG_GUARD, R(NO_POLICY), {OUT4, TCP(500, 500)}, .mark = XIPSEC_MARK_OWN},
	{"guard: bypass", PROG_GUARD, R(BYPASS_OUT), {OUT4, TCP(22, 5555)}},
	{"guard: bypass, tagged", PROG_GUARD, R(BYPASS_OUT), {OUT4, TCP(22, 5555), .vlans = 1}},
	{"guard: bypass, forwarded", PROG_GUARD, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", PING}, CASE_FORWARDED},
	{"guard: bypass, long", PROG_GUARD, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", UDP(1, 2), DATA(1400)}, CASE_FORWARDED},
	{"guard: discard", PROG_GUARD, R(DISCARD), {RED4, .dst = "10.4.0.1", PING}, CASE_FORWARDED},
	{"guard: no policy", PROG_GUARD, R(NO_POLICY), {RED4, .dst = "10.8.0.1", PING}, CASE_FORWARDED},
	{"guard: protect, forwarded", PROG_GUARD, R(PLAINTEXT_OUT), {RED4, .dst = "10.2.0.1", PING}, CASE_FORWARDED},
	{"guard: protect, this host's own", PROG_GUARD, R(HOST_OUT), {.src = "192.0.2.1", .dst = "10.2.0.1", PING}},
	{"guard: protect, its TCP", PROG_GUARD, R(HOST_OUT), {.src = "192.0.2.1", .dst = "10.2.0.1", TCP(1000, 80), DATA(600)}},
	{"guard: protect, its v6", PROG_GUARD, R(HOST_OUT), {.src = "fd01::1", .dst = "fd02::1", UDP(1, 2), DATA(600)}},
	{"guard: protect, tagged", PROG_GUARD, R(HOST_OUT), {.src = "192.0.2.1", .dst = "10.2.0.1", PING, .vlans = 1}},
	{"guard: protect, a later fragment", PROG_GUARD, R(HOST_OUT), {.src = "192.0.2.1", .dst = "10.2.0.1", .proto = IPPROTO_UDP, .frag_off = 100, DATA(64)}},
	{"guard: protect, whatever its mark", PROG_GUARD, R(HOST_OUT), {.src = "192.0.2.1", .dst = "10.2.0.1", PING}, .mark = XIPSEC_MARK_XFRM},
	{"guard: protect, no TAP", PROG_GUARD, R(HOST_CLOSED), {.src = "192.0.2.1", .dst = "10.2.0.1", PING}, CASE_NO_TAP},
	{"guard: protect, no SA", PROG_GUARD, R(NO_SA_OUT), {.src = "192.0.2.1", .dst = "10.5.0.1", PING}},
	{"guard: protect, no such child", PROG_GUARD, R(NO_SA_OUT), {.src = "192.0.2.1", .dst = "10.7.0.1", PING}},
	{"guard: protect, kernel's engine", PROG_GUARD, R(PLAINTEXT_OUT), {.src = "192.0.2.1", .dst = "10.6.0.1", PING}},
	{"guard: later fragment of this host's own", PROG_GUARD, R(FRAG_OPAQUE), {OUT4, .proto = IPPROTO_TCP, .frag_off = 100, DATA(64)}},
	{"guard: malformed", PROG_GUARD, R(MALFORMED_IP4), {OUT4, TCP(22, 5555), PATCH(3, 255)}},
	{"guard: three tags", PROG_GUARD, R(MALFORMED_ETH), {OUT4, TCP(22, 5555), .vlans = 3}},
	{"guard: no SPD", PROG_GUARD, R(NO_SPD), {OUT4, TCP(22, 5555)}, CASE_NO_SPD},
	{"guard: interface with another role", PROG_GUARD, R(NO_IFACE), {OUT4, TCP(22, 5555)}, CASE_STRANGE},
	{"guard: interface without a role", PROG_GUARD, R(NO_IFACE), {OUT4, TCP(22, 5555)}, CASE_ROLELESS},
};
/* clang-format on */

#define N_CASES (sizeof(cases) / sizeof(cases[0]))

/* ------------------------------------------------------------------ setting up */

static void quote_make(__u8 *quote, size_t size, const struct packet_spec *spec)
{
	static struct packet packet;

	packet_build(&packet, spec);
	assert_true(packet.len - packet.l3_off >= size);
	memcpy(quote, packet.data + packet.l3_off, size);
}

static void quotes_make(void)
{
	const struct packet_spec esp4 = {OUT4, .proto = IPPROTO_ESP, .spi = 0x2002, DATA(60)};
	const struct packet_spec udp4 = {OUT4, UDP(4500, 4500), .spi = 0x2003, DATA(60)};
	const struct packet_spec esp6 = {.src = "2001:db8::1",
					 .dst = "2001:db8::2",
					 .proto = IPPROTO_ESP,
					 .spi = 0x2001,
					 DATA(60)};
	const struct packet_spec unknown4 = {OUT4, .proto = IPPROTO_ESP, .spi = 0x9999, DATA(60)};
	const struct packet_spec other4 = {.src = "192.0.2.77",
					   .dst = "192.0.2.2",
					   .proto = IPPROTO_ESP,
					   .spi = 0x2002,
					   DATA(60)};

	quote_make(quote_esp4, sizeof(quote_esp4), &esp4);
	quote_make(quote_udp4, sizeof(quote_udp4), &udp4);
	quote_make(quote_esp6, sizeof(quote_esp6), &esp6);
	quote_make(quote_unknown4, sizeof(quote_unknown4), &unknown4);
	quote_make(quote_other4, sizeof(quote_other4), &other4);
}

static void sa_set_proto(const char *dst, __u32 spi, __u8 l4_proto, struct xipsec_sad_entry entry)
{
	struct xipsec_sad_key key = {.spi = htonl(spi), .l4_proto = l4_proto};

	key.family = strchr(dst, ':') ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
	inet_pton(key.family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, dst, &key.dst);
	map_set(harness.skel->maps.sad, &key, &entry);
}

static void sa_set(const char *dst, __u32 spi, struct xipsec_sad_entry entry)
{
	sa_set_proto(dst, spi, IPPROTO_ESP, entry);
}

static void sas_make(void)
{
	const struct xipsec_sad_entry in = {SA_IN, SA_GEN, XIPSEC_DIR_IN, XIPSEC_ENGINE_AFXDP};
	const struct xipsec_sad_entry out = {SA_OUT, SA_GEN, XIPSEC_DIR_OUT, XIPSEC_ENGINE_AFXDP};
	struct xipsec_sad_entry udp = in, xfrm = in, dead = in, out_xfrm = out;

	udp.udp = 1;
	xfrm.engine = out_xfrm.engine = XIPSEC_ENGINE_XFRM;
	xfrm.refused = XIPSEC_SAD_NO_UDP;
	out_xfrm.xfrm = htonl(0xc0000201);
	dead.sa_generation = 0;
	sa_set("192.0.2.1", 0x1001, in);
	sa_set("192.0.2.1", 0x1002, udp);
	sa_set("192.0.2.1", 0x1003, xfrm);
	xfrm.xfrm = 1; /* CPU 0, which has an entry */
	sa_set("192.0.2.1", 0x1007, xfrm);
	xfrm.xfrm = 9999;
	sa_set("192.0.2.1", 0x1008, xfrm);
	sa_set("192.0.2.1", 0x1004, dead);
	sa_set("192.0.2.1", 0x1005, out);
	sa_set("2001:db8::1", 0x1001, in);
	sa_set_proto("192.0.2.1", 0x1006, IPPROTO_AH, in);
	sa_set_proto("2001:db8::1", 0x1006, IPPROTO_AH, in);
	sa_set("192.0.2.2", 0x2001, out_xfrm);
	sa_set("192.0.2.2", 0x2002, out);
	sa_set("192.0.2.2", 0x2003, out);
	out_xfrm.udp = 1;
	sa_set("192.0.2.2", 0x2004, out_xfrm);
	out_xfrm.udp = 0;
	out_xfrm.xfrm = htonl(1);
	sa_set("2001:db8::2", 0x2001, out_xfrm);
}

static void cpus_make(void)
{
	struct bpf_cpumap_val value = {.qsize = 64};
	__u32 cpu = 0;

	map_set(harness.skel->maps.cpus, &cpu, &value);
}

static void child_set(__u32 id, __u32 generation, __u32 engine)
{
	struct xipsec_child child = {SA_OUT, generation, engine, {0}};

	map_set(harness.skel->maps.children, &id, &child);
}

static int setup(void **state)
{
	harness_setup(state);
	harness.spd.allow = XIPSEC_ALLOW_DHCP | XIPSEC_ALLOW_MLD;
	harness.spd.n_ethertypes = 2;
	harness.spd.ethertype[0] = 0x88cc;
	harness.spd.ethertype[1] = 0x8809;
	harness.spd.ethertype[2] = 0x8847;
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), SPD_GENERATION);
	child_set(CHILD_UP, SA_GEN, XIPSEC_ENGINE_AFXDP);
	child_set(CHILD_DOWN, 0, XIPSEC_ENGINE_AFXDP);
	child_set(CHILD_XFRM, SA_GEN, XIPSEC_ENGINE_XFRM);
	sas_make();
	cpus_make();
	quotes_make();
	return 0;
}

/* ------------------------------------------------------------------ verdicts */

static void spd_generation_set(__u32 generation)
{
	classifier_publish(&harness.memory.c, generation);
}

static void tap_set(__u32 ifindex)
{
	struct xipsec_globals globals = {.tap_ifindex = ifindex};
	__u32 zero = 0;

	map_set(harness.skel->maps.globals, &zero, &globals);
}

/* First fragments stay known from one case to the next. */
static bool keep_frags;

/* The state of maps and the context that the case wants. */
static void case_prepare(const struct prog_case *one, struct run *run)
{
	memset(run, 0, sizeof(*run));
	run->queue = one->queue;
	run->mark = one->mark;
	run->meta_len = one->meta_len;
	run->forwarded = one->flags & CASE_FORWARDED ? harness.red : 0;
	if (one->flags & CASE_STRANGE)
		run->ifindex = prog_is_red(one->prog) ? harness.black : harness.red;
	if (one->flags & CASE_ROLELESS)
		run->ifindex = if_nametoindex("lo");
	spd_generation_set(one->flags & CASE_NO_SPD ? 0 : SPD_GENERATION);
	tap_set(one->flags & CASE_NO_TAP ? 0 : TAP);
	if (!keep_frags)
		frags_clear();
}

static inline void run_case(const struct prog_case *one, const struct packet *packet,
			    struct run *run)
{
	case_prepare(one, run);
	run_packet(one->name, one->prog, packet->data, packet->len, run);
}

#endif
