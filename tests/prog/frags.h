/* SPDX-License-Identifier: BSD-2-Clause */
/* An SPD and SAs for fragments, and how they are written down. */
#ifndef TESTS_PROG_FRAGS_H
#define TESTS_PROG_FRAGS_H

#include <time.h>
#include "tests/prog/harness.h"

#define R(name) XIPSEC_REASON_##name

enum { CHILD = 3, CHILD_B, SA = 7, SA_B, SA_GEN = 9, TAP = 4242 };

/* Port 53 goes in the clear, DNS over red too; all else that belongs together is protected. */
static const struct rule_spec rules[] = {
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "10.3.0.0/16",
	 .proto = IPPROTO_UDP,
	 .remote_port = 53},
	{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "10.3.0.0/16", .icmp_type = -1},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "fd03::/16",
	 .proto = IPPROTO_UDP,
	 .remote_port = 53},
	{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "fd03::/16", .icmp_type = -1},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "192.0.2.0/24",
	 .proto = IPPROTO_UDP,
	 .local_port = 53},
	{.action = XIPSEC_ACTION_BYPASS,
	 .remote = "2001:db8::/32",
	 .proto = IPPROTO_UDP,
	 .local_port = 53},
};

static __u32 generation = 10;

static inline int setup(void **state)
{
	const struct xipsec_sad_entry in = {SA, SA_GEN, XIPSEC_DIR_IN, XIPSEC_ENGINE_AFXDP, 0,
					    0,  0};
	const struct xipsec_child child = {SA, SA_GEN, XIPSEC_ENGINE_AFXDP, {0}};
	const struct xipsec_child other = {SA_B, SA_GEN, XIPSEC_ENGINE_AFXDP, {0}};
	const struct xipsec_globals globals = {.tap_ifindex = TAP};
	struct xipsec_sad_key key = {.spi = htonl(0x1001), .l4_proto = IPPROTO_ESP};
	struct xipsec_sad_entry udp = in;
	__u32 id = CHILD, zero = 0;

	harness_setup(state);
	udp.udp = 1;
	key.family = XIPSEC_FAMILY_IP4;
	inet_pton(AF_INET, "192.0.2.1", &key.dst);
	map_set(harness.skel->maps.sad, &key, &in);
	key.spi = htonl(0x1002);
	map_set(harness.skel->maps.sad, &key, &udp);
	key.family = XIPSEC_FAMILY_IP6;
	key.spi = htonl(0x1001);
	inet_pton(AF_INET6, "2001:db8::1", &key.dst);
	map_set(harness.skel->maps.sad, &key, &in);
	map_set(harness.skel->maps.children, &id, &child);
	id = CHILD_B;
	map_set(harness.skel->maps.children, &id, &other);
	map_set(harness.skel->maps.globals, &zero, &globals);
	return 0;
}

static inline void sa_set(const char *dst, __u32 spi, const struct xipsec_sad_entry *entry)
{
	struct xipsec_sad_key key = {
		.spi = htonl(spi), .l4_proto = IPPROTO_ESP, .family = XIPSEC_FAMILY_IP4};

	inet_pton(AF_INET, dst, &key.dst);
	map_set(harness.skel->maps.sad, &key, entry);
}

/* bpf/frags.h counts anew with each window of 2^35 ns: none ends while a test counts. */
static inline void window_with_room(void)
{
	const __u64 window = 1ULL << 35, room = 4000000000ULL;
	struct timespec now;
	__u64 left;

	clock_gettime(CLOCK_MONOTONIC, &now);
	left = window - ((__u64)now.tv_sec * 1000000000 + (__u64)now.tv_nsec) % window;
	if (left < room)
		usleep((__u32)(left / 1000) + 1000);
}

static inline int fresh(void **state)
{
	window_with_room();
	frags_clear();
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), ++generation);
	return 0;
}

/* Sends one packet; `id` is written into its IPv4 header or IPv6 fragment header. */
static inline __u32 send_id(enum prog prog, const struct packet_spec *spec, __u16 id,
			    struct run *run)
{
	static struct packet packet;
	__u8 *ip;

	packet_build(&packet, spec);
	ip = packet.data + packet.l3_off;
	if (ip[0] >> 4 == 4) {
		/* the checksum is not looked at by the programs */
		ip[4] = id >> 8;
		ip[5] = (__u8)id;
	} else {
		ip[46] = id >> 8;
		ip[47] = (__u8)id;
	}
	run_packet("fragment", prog, packet.data, packet.len, run);
	return run->reason;
}

static inline __u32 send_one(enum prog prog, struct packet_spec spec, __u16 id)
{
	static struct run run;

	memset(&run, 0, sizeof(run));
	return send_id(prog, &spec, id, &run);
}

#define SPEC(...)  ((struct packet_spec){.payload_len = 64, __VA_ARGS__})
#define A4         .src = "10.1.0.5", .dst = "10.3.0.1"
#define H4         .src = "192.0.2.1", .dst = "10.3.0.1"
#define A6         .src = "fd01::5", .dst = "fd03::1", .ext = "F"
#define UDP        .proto = IPPROTO_UDP
#define ESP        .proto = IPPROTO_ESP
#define RED4(...)  SPEC(A4, UDP, __VA_ARGS__)
#define RED6(...)  SPEC(A6, UDP, __VA_ARGS__)
#define OWN4(...)  SPEC(H4, UDP, __VA_ARGS__)
#define IN4(...)   SPEC(.src = "192.0.2.2", .dst = "192.0.2.1", __VA_ARGS__)
#define IN6(...)   SPEC(.src = "2001:db8::2", .dst = "2001:db8::1", .ext = "F", __VA_ARGS__)
#define FIRST(to)  .sport = 4000, .dport = (to), .more = true
#define LATER      .frag_off = 9, .more = true
#define LAST       .frag_off = 18
#define STRANGER   .src = "192.0.2.3", .dst = "192.0.2.1"
#define STRANGER6  .src = "2001:db8::3", .dst = "2001:db8::1", .ext = "F"
#define PEER       .src = "192.0.2.2", .dst = "192.0.2.1"
#define PEER6      .src = "2001:db8::2", .dst = "2001:db8::1", .ext = "F"
#define ON(port)   UDP, .sport = (port), .dport = (port), .more = true
#define IKE(...)   SPEC(ON(500), __VA_ARGS__)
#define SIZE(len)  .payload_len = (len)
#define PIECE(...) ((struct packet_spec){__VA_ARGS__})

#define TEST(f) cmocka_unit_test_setup(f, fresh)

#endif
