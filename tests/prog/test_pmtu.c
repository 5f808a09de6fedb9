// SPDX-License-Identifier: BSD-2-Clause
/* ICMP errors that quote our ESP or AH: which of them lower the path MTU of an SA. */
#include "tests/prog/harness.h"

#include <time.h>

#define GENERATION 9
#define SEQ        0x00400000u

static const struct {
	const char *src, *dst;
	__u32 spi, index;
	__u8 proto, spi_off; /* from the transport header */
	const char *ext;
} sas[] = {
	{"192.0.2.1", "192.0.2.2", 0x2002, 5, IPPROTO_ESP, 0, ""},
	{"192.0.2.1", "192.0.2.2", 0x2003, 6, IPPROTO_UDP, 8, ""},
	{"2001:db8::1", "2001:db8::2", 0x2001, 7, IPPROTO_ESP, 0, ""},
	{"192.0.2.1", "192.0.2.2", 0x2004, 8, IPPROTO_AH, 4, ""},
	{"2001:db8::1", "2001:db8::2", 0x2004, 9, IPPROTO_AH, 4, ""},
	/* sealed, then cut: the first fragment is quoted */
	{"2001:db8::1", "2001:db8::2", 0x2005, 10, IPPROTO_ESP, 0, "F"},
	{"2001:db8::1", "2001:db8::2", 0x2006, 11, IPPROTO_AH, 4, "F"},
	/* transport mode: behind what the packet had itself */
	{"2001:db8::1", "2001:db8::2", 0x2007, 12, IPPROTO_ESP, 0, "H"},
	{"2001:db8::1", "2001:db8::2", 0x2008, 13, IPPROTO_ESP, 0, "HRD"},
	{"2001:db8::1", "2001:db8::2", 0x2009, 14, IPPROTO_AH, 4, "DF"},
	{"2001:db8::1", "2001:db8::2", 0x200a, 15, IPPROTO_UDP, 8, "D"},
};

#define SAS (int)(sizeof(sas) / sizeof(sas[0]))

static int is_ip6(int i)
{
	return strchr(sas[i].src, ':') != NULL;
}

static struct xipsec_sa_state state_get(int i)
{
	struct xipsec_sa_state state;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(harness.skel->maps.sa_state),
					     &sas[i].index, &state),
			 0);
	return state;
}

static void state_set(int i, __u32 pmtu, __u32 age)
{
	static struct xipsec_sa_state state;
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	memset(&state, 0, sizeof(state));
	state.generation = GENERATION;
	state.status = XIPSEC_SA_LIVE;
	state.seq = SEQ;
	state.pmtu = pmtu;
	state.pmtu_until = pmtu ? (__u32)ts.tv_sec + XIPSEC_PMTU_AGE - age : 0;
	map_set(harness.skel->maps.sa_state, &sas[i].index, &state);
}

static void seq_set(int i, __u64 seq)
{
	struct xipsec_sa_state state = state_get(i);

	state.seq = seq;
	map_set(harness.skel->maps.sa_state, &sas[i].index, &state);
}

static int setup(void **unused)
{
	harness_setup(unused);
	spd_set(NULL, 0, 1);
	for (int i = 0; i < SAS; i++) {
		struct xipsec_sad_key key = {.spi = htonl(sas[i].spi),
					     .l4_proto = sas[i].proto == IPPROTO_AH ? IPPROTO_AH
										    : IPPROTO_ESP};
		struct xipsec_sad_entry entry = {.sa_index = sas[i].index,
						 .sa_generation = GENERATION,
						 .dir = XIPSEC_DIR_OUT,
						 .engine = XIPSEC_ENGINE_AFXDP,
						 .udp = sas[i].proto == IPPROTO_UDP};

		key.family = is_ip6(i) ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4;
		inet_pton(is_ip6(i) ? AF_INET6 : AF_INET, sas[i].dst, &key.dst);
		map_set(harness.skel->maps.sad, &key, &entry);
	}
	return 0;
}

/* An error about a packet of `quoted` bytes with that sequence number, which tells `mtu`. `seen`:
 * bytes of it that are quoted, after its IP header. */
struct error {
	__u32 mtu, quoted, seq, seen;
	int type, code;  /* 0: too big */
	__u16 frag_off;  /* of a fragment that is not the first */
	const char *ext; /* NULL: those of the SA's packets */
	__u16 sport;     /* of UDP; 0: 4500 */
	__u16 dport;
};

static __u32 error_run(int i, const struct error *e)
{
	struct packet inside, packet;
	struct run run = {0};
	__u32 ip_len = is_ip6(i) ? 40 : 20, n = ip_len + e->seen;
	__u8 payload[200] = {0};
	struct packet_spec quote = {.src = sas[i].src,
				    .dst = sas[i].dst,
				    .proto = sas[i].proto,
				    .ext = e->ext ? e->ext : sas[i].ext,
				    .more = strchr(sas[i].ext, 'F') != NULL,
				    .sport = e->sport ? e->sport : 4500,
				    .dport = e->dport ? e->dport : 4500,
				    .spi = sas[i].spi,
				    .frag_off = e->frag_off};
	struct packet_spec spec = {.src = is_ip6(i) ? "2001:db8::9" : "192.0.2.9",
				   .dst = sas[i].src,
				   .proto = is_ip6(i) ? IPPROTO_ICMPV6 : IPPROTO_ICMP,
				   .icmp_type = is_ip6(i) ? 2 : 3,
				   .icmp_code = is_ip6(i) ? 0 : 4,
				   .payload = payload,
				   .payload_len = n};
	__be32 seq = htonl(e->seq), spi = htonl(sas[i].spi);

	if (e->type) {
		spec.icmp_type = (__u8)e->type;
		spec.icmp_code = (__u8)e->code;
	}
	packet_build(&inside, &quote);
	quote.payload_len = e->quoted - (inside.len - inside.l3_off);
	packet_build(&inside, &quote);
	memcpy(inside.data + inside.l4_off + sas[i].spi_off, &spi, 4);
	memcpy(inside.data + inside.l4_off + sas[i].spi_off + 4, &seq, 4);
	assert_int_equal(inside.len - inside.l3_off, e->quoted);
	memcpy(payload, inside.data + inside.l3_off, n);
	packet_build(&packet, &spec);
	packet.data[packet.l4_off + 4] = (__u8)(e->mtu >> 24);
	packet.data[packet.l4_off + 5] = (__u8)(e->mtu >> 16);
	packet.data[packet.l4_off + 6] = (__u8)(e->mtu >> 8);
	packet.data[packet.l4_off + 7] = (__u8)e->mtu;
	run_packet("an error", PROG_BLACK, packet.data, packet.len, &run);
	return run.reason;
}

static void assert_learns(int i, __u32 mtu, const struct error *e)
{
	assert_int_equal(error_run(i, e), XIPSEC_REASON_PMTU_LEARNED);
	assert_int_equal(state_get(i).pmtu, mtu);
}

static void assert_ignores(int i, const struct error *e)
{
	struct xipsec_sa_state before = state_get(i), after;

	assert_int_equal(error_run(i, e), XIPSEC_REASON_PMTU_IGNORED);
	after = state_get(i);
	assert_memory_equal(&before, &after, sizeof(after));
}

#define GOOD                                                             \
	{                                                                \
		.mtu = 1400, .quoted = 1500, .seq = SEQ - 10, .seen = 60 \
	}

static void test_learn(void **unused)
{
	for (int i = 0; i < SAS; i++) {
		struct error e = GOOD;

		state_set(i, 0, 0);
		assert_learns(i, 1400, &e);
		assert_true(state_get(i).pmtu_until > 0);
	}
}

/* Eight bytes behind the IP header are enough for ESP (RFC 792), not for ESP in UDP. */
static void test_short(void **unused)
{
	struct error e = GOOD;

	state_set(0, 0, 0);
	e.seen = 8;
	assert_learns(0, 1400, &e);
	state_set(1, 0, 0);
	assert_int_equal(error_run(1, &e), XIPSEC_REASON_NO_POLICY);
	assert_int_equal(state_get(1).pmtu, 0);
}

/* An AH header of which its number cannot be seen: ours, and not believed. */
static void test_short_ah(void **unused)
{
	struct error e = GOOD;

	state_set(3, 0, 0);
	e.seen = 8;
	assert_ignores(3, &e);
	e.seen = 12;
	assert_learns(3, 1400, &e);
}

/* What it shows at the SPI's place is text. */
static void test_later_fragment(void **unused)
{
	for (int i = 5; i < 7; i++) {
		struct error e = GOOD;

		state_set(i, 0, 0);
		e.frag_off = 1;
		assert_int_equal(error_run(i, &e), XIPSEC_REASON_NO_POLICY);
		assert_int_equal(state_get(i).pmtu, 0);
	}
}

/* ESP in UDP is sent from port 4500; to whichever the peer's NAT has for it. */
static void test_ports(void **unused)
{
	static const __u16 others[] = {4501, 500, 1, 65535};

	for (int i = 1; i < SAS; i++) {
		struct error e = GOOD;

		if (sas[i].proto != IPPROTO_UDP)
			continue;
		for (int k = 0; k < 4; k++) {
			state_set(i, 0, 0);
			e.sport = others[k];
			e.dport = 4500;
			assert_int_equal(error_run(i, &e), XIPSEC_REASON_NO_POLICY);
			assert_int_equal(state_get(i).pmtu, 0);
			e.sport = 4500;
			e.dport = others[k];
			assert_learns(i, 1400, &e);
		}
	}
}

/* Where the quote ends inside the chain, and where the chain goes on beyond what is walked. */
static void test_chains(void **unused)
{
	struct error e = GOOD;

	state_set(7, 0, 0);
	e.seen = 8 + 4; /* the header, and an SPI without its number */
	assert_ignores(7, &e);
	e.seen = 8 + 3;
	assert_int_equal(error_run(7, &e), XIPSEC_REASON_NO_POLICY);
	e.seen = 7;
	assert_int_equal(error_run(7, &e), XIPSEC_REASON_NO_POLICY);
	e.seen = 60;
	e.ext = "DDDDDD";
	assert_learns(7, 1400, &e);
	state_set(7, 0, 0);
	e.seen = 80;
	e.ext = "DDDDDDD";
	assert_int_equal(error_run(7, &e), XIPSEC_REASON_NO_POLICY);
	assert_int_equal(state_get(7).pmtu, 0);
}

/* The SPI of an AH SA in ESP, and the other way round. */
static void test_other_protocol(void **unused)
{
	struct error e = GOOD;

	for (int i = 0; i < 4; i += 3) {
		const struct xipsec_sad_entry entry = {.sa_index = sas[i].index,
						       .sa_generation = GENERATION,
						       .dir = XIPSEC_DIR_OUT,
						       .engine = XIPSEC_ENGINE_AFXDP};
		struct xipsec_sad_key key = {.spi = htonl(sas[i].spi),
					     .family = XIPSEC_FAMILY_IP4,
					     .l4_proto = sas[i].proto};

		inet_pton(AF_INET, sas[i].dst, &key.dst);
		assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness.skel->maps.sad), &key), 0);
		key.l4_proto = sas[i].proto == IPPROTO_AH ? IPPROTO_ESP : IPPROTO_AH;
		map_set(harness.skel->maps.sad, &key, &entry);
		state_set(i, 0, 0);
		assert_int_equal(error_run(i, &e), XIPSEC_REASON_NO_POLICY);
		assert_int_equal(state_get(i).pmtu, 0);
	}
}

static void test_not_recent(void **unused)
{
	const __u32 seqs[] = {SEQ + 1, SEQ - (1u << 20), 0, 0xffffffff};

	for (int i = 0; i < SAS; i++)
		for (int k = 0; k < 4; k++) {
			struct error e = GOOD;

			state_set(i, 0, 0);
			e.seq = seqs[k];
			assert_ignores(i, &e);
			e.seq = SEQ - (1u << 20) + 1;
			assert_learns(i, 1400, &e);
			state_set(i, 0, 0);
			e.seq = SEQ;
			assert_learns(i, 1400, &e);
		}
}

/* A young SA has sent few numbers: all others are made up. */
static void test_never_sent(void **unused)
{
	const __u32 seqs[] = {0, 6, 0xffffffff, 0xfff80000, 0x80000000};

	for (int i = 0; i < SAS; i++) {
		struct error e = GOOD;

		state_set(i, 0, 0);
		seq_set(i, 5);
		for (size_t k = 0; k < sizeof(seqs) / sizeof(*seqs); k++) {
			e.seq = seqs[k];
			assert_ignores(i, &e);
		}
		e.seq = 1;
		assert_learns(i, 1400, &e);
		state_set(i, 0, 0);
		seq_set(i, 5);
		e.seq = 5;
		assert_learns(i, 1400, &e);
		/* ESN: the low half began anew a little ago */
		state_set(i, 0, 0);
		seq_set(i, (1ULL << 32) + 5);
		e.seq = 0xffffffff;
		assert_learns(i, 1400, &e);
	}
}

static void test_bounds(void **unused)
{
	for (int i = 0; i < SAS; i++) {
		struct error e = GOOD;

		state_set(i, 0, 0);
		e.mtu = 1500; /* it would have fitted */
		assert_ignores(i, &e);
		e.mtu = 0;
		assert_ignores(i, &e);
		e.mtu = 68;
		assert_learns(i, is_ip6(i) ? 1280 : 576, &e);
		state_set(i, 0, 0);
		e.mtu = 68;
		e.quoted = is_ip6(i) ? 1280 : 576; /* nothing longer than the floor was sent */
		assert_ignores(i, &e);
	}
}

/* Down at once, up only by age. */
static void test_order(void **unused)
{
	struct error e = GOOD;

	state_set(0, 1300, 10);
	assert_ignores(0, &e);
	state_set(0, 1450, 10);
	assert_learns(0, 1400, &e);
	state_set(0, 1300, XIPSEC_PMTU_AGE);
	assert_learns(0, 1400, &e);
}

static __u32 boot_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (__u32)ts.tv_sec;
}

/* As long as the config says: a whole second may lie between the two clocks. */
static void test_age(void **unused)
{
	struct xipsec_globals globals = {.pmtu_age = 3600};
	struct error e = GOOD;
	__u32 zero = 0, until;

	state_set(0, 0, 0);
	assert_learns(0, 1400, &e);
	until = state_get(0).pmtu_until - boot_seconds();
	assert_in_range(until, XIPSEC_PMTU_AGE - 1, XIPSEC_PMTU_AGE);
	map_set(harness.skel->maps.globals, &zero, &globals);
	state_set(0, 0, 0);
	assert_learns(0, 1400, &e);
	until = state_get(0).pmtu_until - boot_seconds();
	assert_in_range(until, 3599, 3600);
	globals.pmtu_age = 0;
	map_set(harness.skel->maps.globals, &zero, &globals);
}

/* Once a second: a second may turn between two lines of this test, not five times. */
static void test_rate(void **unused)
{
	int refused = 0;

	for (int k = 0; k < 5 && !refused; k++) {
		struct error e = GOOD;

		state_set(0, 1450, 0);
		refused = error_run(0, &e) == XIPSEC_REASON_PMTU_IGNORED;
	}
	assert_true(refused);
}

static void test_other_generation(void **unused)
{
	struct error e = GOOD;
	static struct xipsec_sa_state state;

	state_set(0, 0, 0);
	state = state_get(0);
	state.generation++;
	map_set(harness.skel->maps.sa_state, &sas[0].index, &state);
	assert_ignores(0, &e);
}

/* What tells of no size ends here too: it is about ESP, which nobody but us sends. */
static void test_other_errors(void **unused)
{
	struct error e = GOOD;

	state_set(0, 0, 0);
	e.type = 3;
	e.code = 1;
	assert_ignores(0, &e);
	e.type = 11;
	e.code = 0;
	assert_ignores(0, &e);
	state_set(2, 0, 0);
	e.type = 1;
	assert_ignores(2, &e);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_learn),
		cmocka_unit_test(test_short),
		cmocka_unit_test(test_not_recent),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_never_sent),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_other_generation),
		cmocka_unit_test(test_other_errors),
		cmocka_unit_test(test_short_ah),
		cmocka_unit_test(test_later_fragment),
		cmocka_unit_test(test_chains),
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_other_protocol), /* last: it takes SAs away */
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
