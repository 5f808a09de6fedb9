// SPDX-License-Identifier: BSD-2-Clause
/*
 * Frames in several buffers: steered like all others where AF_XDP takes them, the verdict before
 * the first buffer and every byte behind it untouched; dropped and counted where it does not.
 */
#include <netinet/in.h>
#include "tests/prog/harness.h"

enum { GENERATION = 77, CHILD = 5, SA_OUT = 11, SA_IN = 12, SA_GEN = 9 };

static const struct rule_spec rules[] = {
	{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "10.2.0.0/16"},
	{.action = XIPSEC_ACTION_PROTECT, .child = CHILD, .remote = "fd02::/16"},
	{.action = XIPSEC_ACTION_BYPASS, .remote = "10.3.0.0/16"},
};

/* What a program is shown; the kernel's test run puts some 3,500 bytes into the first buffer and a
 * page into each that follows. */
static const struct {
	const char *name;
	enum prog prog;
	struct packet_spec packet;
	__u32 steered; /* the reason */
} cases[] = {
	{"UDP",
	 PROG_RED,
	 {.src = "10.1.0.5", .dst = "10.2.0.1", .proto = IPPROTO_UDP, .sport = 1, .dport = 2},
	 XIPSEC_REASON_STEER_OUT},
	{"UDP, IPv6",
	 PROG_RED,
	 {.src = "fd01::5", .dst = "fd02::1", .proto = IPPROTO_UDP, .sport = 1, .dport = 2},
	 XIPSEC_REASON_STEER_OUT},
	{"ESP",
	 PROG_BLACK,
	 {.src = "192.0.2.2", .dst = "192.0.2.1", .proto = IPPROTO_ESP, .spi = 0x1001},
	 XIPSEC_REASON_STEER_IN},
	{"ESP, IPv6",
	 PROG_BLACK,
	 {.src = "2001:db8::2", .dst = "2001:db8::1", .proto = IPPROTO_ESP, .spi = 0x1001},
	 XIPSEC_REASON_STEER_IN},
	{"UDP, tag",
	 PROG_RED,
	 {.src = "10.1.0.5",
	  .dst = "10.2.0.1",
	  .proto = IPPROTO_UDP,
	  .sport = 1,
	  .dport = 2,
	  .vlans = 1},
	 XIPSEC_REASON_STEER_OUT},
	{"ESP, tag",
	 PROG_BLACK,
	 {.src = "192.0.2.2", .dst = "192.0.2.1", .proto = IPPROTO_ESP, .spi = 0x1001, .vlans = 1},
	 XIPSEC_REASON_STEER_IN},
	{"ESP, IPv6, two tags",
	 PROG_BLACK,
	 {.src = "2001:db8::2",
	  .dst = "2001:db8::1",
	  .proto = IPPROTO_ESP,
	  .spi = 0x1001,
	  .vlans = 2},
	 XIPSEC_REASON_STEER_IN},
};

static const __u32 sizes[] = {1500, 3400, 3498, 3600, 4096, 7594, 7595, 8192, 8900};

static void sa_in(const char *dst, __u8 family)
{
	const struct xipsec_sad_entry in = {.sa_index = SA_IN,
					    .sa_generation = SA_GEN,
					    .dir = XIPSEC_DIR_IN,
					    .engine = XIPSEC_ENGINE_AFXDP};
	struct xipsec_sad_key key = {
		.spi = htonl(0x1001), .l4_proto = IPPROTO_ESP, .family = family};

	inet_pton(family == XIPSEC_FAMILY_IP6 ? AF_INET6 : AF_INET, dst, &key.dst);
	map_set(harness.skel->maps.sad, &key, &in);
}

static int setup_with(__u32 multi_buffer)
{
	const struct xipsec_child child = {SA_OUT, SA_GEN, XIPSEC_ENGINE_AFXDP, {0}};
	__u32 id = CHILD;

	harness_multi_buffer = multi_buffer;
	harness_setup(NULL);
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), GENERATION);
	map_set(harness.skel->maps.children, &id, &child);
	sa_in("192.0.2.1", XIPSEC_FAMILY_IP4);
	sa_in("2001:db8::1", XIPSEC_FAMILY_IP6);
	return 0;
}

static int setup_several(void **state)
{
	return setup_with(1);
}

static int setup_one(void **state)
{
	return setup_with(0);
}

/* The same packets, different everywhere; *steered: how many were. */
static void run_all(struct packet *packet, struct run *run,
		    void (*judge)(const struct packet *packet, const struct run *run,
				  __u32 steered))
{
	static __u8 payload[PACKET_MAX];

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (__u8)(i * 13 + i / 251);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		for (size_t j = 0; j < sizeof(sizes) / sizeof(sizes[0]); j++) {
			struct packet_spec spec = cases[i].packet;

			spec.payload = payload;
			spec.payload_len = sizes[j];
			packet_build(packet, &spec);
			memset(run, 0, sizeof(*run));
			run_packet(cases[i].name, cases[i].prog, packet->data, packet->len, run);
			judge(packet, run, cases[i].steered);
		}
	}
}

static void is_steered(const struct packet *packet, const struct run *run, __u32 steered)
{
	struct xipsec_meta meta;

	assert_int_equal(run->reason, steered);
	assert_int_equal(run->action, XDP_REDIRECT);
	assert_int_equal(run->meta_out, sizeof(meta));
	assert_int_equal(run->out_len, sizeof(meta) + packet->len);
	memcpy(&meta, run->out, sizeof(meta));
	assert_int_equal(meta.magic, XIPSEC_META_MAGIC);
	assert_int_equal(meta.sa_index, steered == XIPSEC_REASON_STEER_OUT ? SA_OUT : SA_IN);
	assert_int_equal(meta.l3_off, packet->l3_off);
	assert_int_equal(meta.l4_off, packet->l4_off);
	assert_memory_equal(run->out + sizeof(meta), packet->data, packet->len);
}

static void steered_where_sockets_take_them(void **state)
{
	static struct packet packet;
	static struct run run;

	run_all(&packet, &run, is_steered);
}

static void is_dropped_when_split(const struct packet *packet, const struct run *run, __u32 steered)
{
	/* Between these two it depends on the kernel's headroom. */
	if (packet->len <= 3400)
		assert_int_equal(run->reason, steered);
	else if (packet->len >= 4096)
		assert_int_equal(run->reason, XIPSEC_REASON_ENGINE_CLOSED);
	if (run->reason == XIPSEC_REASON_ENGINE_CLOSED)
		assert_int_equal(run->action, XDP_DROP);
}

static void dropped_where_they_do_not(void **state)
{
	static struct packet packet;
	static struct run run;

	run_all(&packet, &run, is_dropped_when_split);
}

/* Headers that do not stand in the first buffer count as missing, and a policy that passes passes
 * the whole. */
static void what_passes_is_whole(void **state)
{
	static const struct packet_spec spec = {.src = "10.1.0.5",
						.dst = "10.3.0.1",
						.proto = IPPROTO_UDP,
						.sport = 1,
						.dport = 2,
						.payload_len = 8900};
	static struct packet packet;
	static struct run run;

	packet_build(&packet, &spec);
	run_packet("bypass", PROG_RED, packet.data, packet.len, &run);
	assert_int_equal(run.reason, XIPSEC_REASON_BYPASS_OUT);
	/* behind what XDP leaves for TC */
	assert_int_equal(run.out_len, run.meta_out + packet.len);
	assert_memory_equal(run.out + run.meta_out, packet.data, packet.len);
}

int main(void)
{
	const struct CMUnitTest several[] = {
		cmocka_unit_test(steered_where_sockets_take_them),
		cmocka_unit_test(what_passes_is_whole),
	};
	const struct CMUnitTest one[] = {
		cmocka_unit_test(dropped_where_they_do_not),
	};
	int failed = cmocka_run_group_tests(several, setup_several, harness_teardown);

	return failed + cmocka_run_group_tests(one, setup_one, harness_teardown);
}
