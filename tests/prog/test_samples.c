// SPDX-License-Identifier: BSD-2-Clause
/* What the programs tell of the packets they drop, and how often. */
#include <time.h>
#include "tests/prog/harness.h"

static struct ring_buffer *ring;
static struct xipsec_sample last;
static unsigned int n_samples;

static int on_sample(void *ctx, void *data, size_t size)
{
	assert_int_equal(size, sizeof(last));
	memcpy(&last, data, sizeof(last));
	n_samples++;
	return 0;
}

/* Samples that came since the last call; the newest in `last`. */
static unsigned int heard(void)
{
	n_samples = 0;
	assert_true(ring_buffer__consume(ring) >= 0);
	return n_samples;
}

static int setup(void **state)
{
	static const struct rule_spec rules[] = {
		{.action = XIPSEC_ACTION_DISCARD, .remote = "10.4.0.0/16"},
		{.action = XIPSEC_ACTION_PROTECT, .child = 5, .remote = "10.5.0.0/16"},
		{.action = XIPSEC_ACTION_PROTECT, .child = 6, .remote = "10.6.0.0/16"},
		{.action = XIPSEC_ACTION_PROTECT, .child = 7, .remote = "192.0.2.0/24"},
		{.action = XIPSEC_ACTION_BYPASS, .remote = "10.8.0.0/16"},
	};

	harness_setup(state);
	spd_set(rules, sizeof(rules) / sizeof(rules[0]), 1);
	ring = ring_buffer__new(bpf_map__fd(harness.skel->maps.events), on_sample, NULL, NULL);
	return ring ? 0 : -1;
}

static int teardown(void **state)
{
	ring_buffer__free(ring);
	return harness_teardown(state);
}

static void gates_clear(void)
{
	size_t size = harness.n_cpus * sizeof(struct xipsec_gate);
	void *zero = calloc(1, size);

	for (__u32 i = 0; i < XIPSEC_REASON_MAX; i++)
		map_set(harness.skel->maps.sample_gates, &i, zero);
	for (__u32 i = 0; i < 16; i++)
		map_set(harness.skel->maps.acquire_gates, &i, zero);
	free(zero);
	heard();
}

static void drop(enum prog prog, const struct packet_spec *spec, __u32 reason)
{
	static struct packet packet;
	static struct run run;

	packet_build(&packet, spec);
	run_packet("a packet", prog, packet.data, packet.len, &run);
	assert_int_equal(run.reason, reason);
}

static const struct packet_spec esp4 = {.src = "192.0.2.2",
					.dst = "192.0.2.1",
					.proto = IPPROTO_ESP,
					.spi = 0x9999,
					.payload_len = 60};

static void assert_addr(const struct xipsec_addr *addr, const char *text)
{
	struct xipsec_addr want = {0};

	inet_pton(strchr(text, ':') ? AF_INET6 : AF_INET, text, &want);
	assert_memory_equal(addr, &want, sizeof(want));
}

static void esp_without_an_sa(void **state)
{
	gates_clear();
	drop(PROG_BLACK, &esp4, XIPSEC_REASON_NO_SA);
	assert_int_equal(heard(), 1);
	assert_int_equal(last.reason, XIPSEC_REASON_NO_SA);
	assert_int_equal(last.spi, htonl(0x9999));
	assert_addr(&last.src, "192.0.2.2");
	assert_addr(&last.dst, "192.0.2.1");
	assert_int_equal(last.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(last.l4_proto, IPPROTO_ESP);
	assert_int_equal(last.ifindex, harness.black);
	assert_int_equal(last.len, 14 + 20 + 8 + 60);
	assert_int_equal(last.missed, 0);
	assert_int_equal(last.worker, 0);
	assert_true(last.time != 0);
}

static void sequence_numbers(void **state)
{
	static const __u8 seq[4] = {0x12, 0x34, 0x56, 0x78};
	struct packet_spec in_udp = {.src = "2001:db8::2",
				     .dst = "2001:db8::1",
				     .proto = IPPROTO_UDP,
				     .sport = 4500,
				     .dport = 4500,
				     .spi = 0x9998,
				     .payload_len = 60};
	static struct packet packet;
	static struct run run;

	gates_clear();
	packet_build(&packet, &in_udp);
	memcpy(packet.data + packet.l4_off + 12, seq, 4);
	memcpy(packet.data + packet.l3_off, "\x6f\xfa\xbc\xde", 4); /* class 0xff */
	run_packet("ESP in UDP", PROG_BLACK, packet.data, packet.len, &run);
	assert_int_equal(heard(), 1);
	assert_int_equal(last.spi, htonl(0x9998));
	assert_int_equal(last.seq, 0x12345678);
	assert_int_equal(last.flow, 0xabcde);
	assert_int_equal(last.sport, 4500);
	assert_addr(&last.src, "2001:db8::2");
}

static __u64 coarse_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &ts);
	return (__u64)ts.tv_sec * 1000000000 + (__u64)ts.tv_nsec;
}

/* When any CPU tells of that reason again, at the latest. */
static __u64 gate_opens(__u32 reason)
{
	struct xipsec_gate gate[harness.n_cpus];
	__u64 latest = 0;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(harness.skel->maps.sample_gates), &reason, gate),
		0);
	for (int i = 0; i < harness.n_cpus; i++)
		latest = gate[i].next > latest ? gate[i].next : latest;
	return latest;
}

/* A tenth of a second is closed after a sample, however fast or slow this machine is. */
static void for_a_tenth_of_a_second(void **state)
{
	__u64 before, after;

	gates_clear();
	before = coarse_ns();
	drop(PROG_BLACK, &esp4, XIPSEC_REASON_NO_SA);
	after = coarse_ns();
	assert_int_equal(heard(), 1);
	assert_in_range(gate_opens(XIPSEC_REASON_NO_SA), before + 100000000, after + 100000000);
}

/* Ten a second of a reason and CPU; the next one says how many were not told. */
static void at_a_limited_rate(void **state)
{
	unsigned int n = 0;

	gates_clear();
	for (int i = 0; i < 50; i++)
		drop(PROG_BLACK, &esp4, XIPSEC_REASON_NO_SA);
	n = heard();
	assert_true(n >= 1 && n <= 10);
	/* On a slow machine the gate may have opened at the very last of them: more, until it opens
	 * again. */
	for (int i = 0; i < 50 && !last.missed; i++) {
		usleep(10000);
		drop(PROG_BLACK, &esp4, XIPSEC_REASON_NO_SA);
		n += heard();
	}
	assert_true(last.missed > 0);
	/* Another reason has a gate of its own. */
	drop(PROG_RED,
	     &(struct packet_spec){.src = "10.1.0.2",
				   .dst = "10.4.0.1",
				   .proto = IPPROTO_UDP,
				   .sport = 7,
				   .dport = 9,
				   .payload_len = 4},
	     XIPSEC_REASON_DISCARD);
	assert_int_equal(heard(), 1);
	assert_int_equal(last.reason, XIPSEC_REASON_DISCARD);
	assert_int_equal(last.sport, 7);
	assert_int_equal(last.dport, 9);
	assert_int_equal(last.ifindex, harness.red);
}

static void what_passes_is_not_told(void **state)
{
	static const __u8 keepalive = 0xff;

	gates_clear();
	drop(PROG_RED,
	     &(struct packet_spec){
		     .src = "10.1.0.2", .dst = "10.8.0.1", .proto = IPPROTO_UDP, .payload_len = 4},
	     XIPSEC_REASON_BYPASS_OUT);
	drop(PROG_BLACK,
	     &(struct packet_spec){.src = "192.0.2.2",
				   .dst = "192.0.2.1",
				   .proto = IPPROTO_UDP,
				   .sport = 4500,
				   .dport = 4500,
				   .payload = &keepalive,
				   .payload_len = 1},
	     XIPSEC_REASON_NAT_KEEPALIVE);
	assert_int_equal(heard(), 0);
}

/* ------------------------------------------------------------------ what subscribers ask for */

static void tell_set(__u32 tell)
{
	struct xipsec_globals globals = {.tell = tell};
	__u32 zero = 0;

	map_set(harness.skel->maps.globals, &zero, &globals);
}

static const struct packet_spec passes = {.src = "10.1.0.2",
					  .dst = "10.8.0.1",
					  .proto = IPPROTO_UDP,
					  .sport = 5,
					  .dport = 6,
					  .payload_len = 4};

static void passes_are_told_to_who_asks(void **state)
{
	gates_clear();
	tell_set(XIPSEC_TELL_PASSES);
	drop(PROG_RED, &passes, XIPSEC_REASON_BYPASS_OUT);
	assert_int_equal(heard(), 1);
	assert_int_equal(last.reason, XIPSEC_REASON_BYPASS_OUT);
	assert_int_equal(last.sport, 5);
	assert_int_equal(last.captured, 0);
	for (int i = 0; i < 50; i++) /* at the same rate */
		drop(PROG_RED, &passes, XIPSEC_REASON_BYPASS_OUT);
	assert_true(heard() <= 10);
	tell_set(0);
}

static void bytes_are_told_to_who_asks(void **state)
{
	static const struct packet_spec dropped[] = {
		{.src = "10.1.0.2", .dst = "10.4.0.1", .proto = IPPROTO_UDP, .sport = 7},
		{.src = "10.1.0.2", .dst = "10.4.0.1", .proto = IPPROTO_UDP, .payload_len = 214},
		{.src = "10.1.0.2", .dst = "10.4.0.1", .proto = IPPROTO_UDP, .payload_len = 215},
		{.src = "10.1.0.2", .dst = "10.4.0.1", .proto = IPPROTO_UDP, .payload_len = 1400},
		{.src = "10.1.0.2", .dst = "10.4.0.1", .proto = IPPROTO_UDP, .payload_len = 6000},
	};
	static const __u8 zeros[XIPSEC_SAMPLE_BYTES];
	static struct packet packet;

	for (size_t i = 0; i < 2 * sizeof(dropped) / sizeof(dropped[0]); i++) {
		enum prog prog = i % 2 ? PROG_GUARD : PROG_RED;
		unsigned int want;

		packet_build(&packet, &dropped[i / 2]);
		if (prog == PROG_GUARD && packet.len > 4000)
			continue; /* more than the kernel's test run of TC takes */
		want = packet.len < XIPSEC_SAMPLE_BYTES ? packet.len : XIPSEC_SAMPLE_BYTES;
		gates_clear();
		tell_set(XIPSEC_TELL_PACKETS);
		drop(prog, &dropped[i / 2], XIPSEC_REASON_DISCARD);
		assert_int_equal(heard(), 1);
		assert_int_equal(last.captured, want);
		assert_int_equal(last.len, packet.len);
		assert_int_equal(last.raw, 0);
		assert_memory_equal(last.data, packet.data, want);
		assert_memory_equal(last.data + want, zeros, sizeof(last.data) - want);
		gates_clear();
		tell_set(0);
		drop(prog, &dropped[i / 2], XIPSEC_REASON_DISCARD);
		assert_int_equal(heard(), 1);
		assert_int_equal(last.captured, 0);
		assert_memory_equal(last.data, zeros, sizeof(zeros));
	}
}

static void wants_an_sa(enum prog prog, const char *src, const char *dst, __u32 child)
{
	struct packet_spec spec = {
		.src = src, .dst = dst, .proto = IPPROTO_UDP, .sport = 1, .dport = 2};

	for (int i = 0; i < 5; i++)
		drop(prog, &spec, XIPSEC_REASON_NO_SA_OUT);
	assert_int_equal(heard(), 1);
	assert_int_equal(last.reason, XIPSEC_REASON_NO_SA_OUT);
	assert_int_equal(last.child, child);
	assert_addr(&last.dst, dst);
}

/* One acquire of each child in a second, from red and from this host. */
static void acquires(void **state)
{
	gates_clear();
	wants_an_sa(PROG_RED, "10.1.0.2", "10.5.0.1", 5);
	wants_an_sa(PROG_RED, "10.1.0.2", "10.6.0.1", 6);
	wants_an_sa(PROG_GUARD, "192.0.2.1", "192.0.2.2", 7);
	usleep(1050000);
	wants_an_sa(PROG_RED, "10.1.0.2", "10.5.0.1", 5);
}

/* A reader that is not there: the packets are dropped all the same. */
static void a_full_ring(void **state)
{
	unsigned int n = XIPSEC_EVENTS_SIZE / sizeof(struct xipsec_sample) + 10;

	for (unsigned int i = 0; i < n; i++) {
		__u32 reason = XIPSEC_REASON_NO_SA;

		memset(harness.percpu, 0, harness.n_cpus * sizeof(struct xipsec_gate));
		map_set(harness.skel->maps.sample_gates, &reason, harness.percpu);
		drop(PROG_BLACK, &esp4, XIPSEC_REASON_NO_SA);
	}
	n = heard();
	assert_true(n > 100 && n <= XIPSEC_EVENTS_SIZE / sizeof(struct xipsec_sample));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(esp_without_an_sa),
		cmocka_unit_test(sequence_numbers),
		cmocka_unit_test(for_a_tenth_of_a_second),
		cmocka_unit_test(at_a_limited_rate),
		cmocka_unit_test(what_passes_is_not_told),
		cmocka_unit_test(passes_are_told_to_who_asks),
		cmocka_unit_test(bytes_are_told_to_who_asks),
		cmocka_unit_test(acquires),
		cmocka_unit_test(a_full_ring),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
