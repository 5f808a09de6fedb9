// SPDX-License-Identifier: BSD-2-Clause
/*
 * The programs' twin (`xipsec explain`) on the packets of cases.h: it comes to the same reason as
 * the programs, tells the steps that led there, drops everything, and writes nothing: every map is
 * compared byte for byte before and after.
 */
#include "tests/prog/cases.h"
#include "tests/prog/twin.h"

static int setup_twin(void **state)
{
	setup(state);
	twin_load();
	return 0;
}

static int teardown_twin(void **state)
{
	twin_end();
	return harness_teardown(state);
}

static void explain_case(const struct prog_case *one, const struct packet *packet,
			 struct xipsec_explain *out)
{
	static struct run run;
	__u32 ifindex;

	case_prepare(one, &run);
	run.meta_len = 0;
	ifindex = run.ifindex ? run.ifindex : prog_is_red(one->prog) ? harness.red : harness.black;
	twin_run(one->name, one->prog, ifindex, packet, &run, out);
	assert_int_equal(out->magic, XIPSEC_EXPLAIN_MAGIC);
	assert_int_equal(out->abi, XIPSEC_ABI);
	assert_int_equal(out->ifindex, ifindex);
	assert_int_equal(out->len, packet->len);
}

/* ------------------------------------------------------------------ the same reason */

static void the_twin_agrees(void **state)
{
	static struct packet packet;
	struct xipsec_explain answer;
	static struct run run;

	for (size_t i = 0; i < N_CASES; i++) {
		packet_build(&packet, &cases[i].packet);
		explain_case(&cases[i], &packet, &answer);
		run_case(&cases[i], &packet, &run);
		if (answer.reason != run.reason)
			fail_msg("%s: the twin says %s, the program %s", cases[i].name,
				 reason_name(answer.reason), reason_name(run.reason));
	}
}

/* Also of what came cut short, and of every later fragment behind its first. */
static void it_agrees_on_cut_packets(void **state)
{
	static struct packet whole, packet;
	struct xipsec_explain answer;
	static struct run run;

	for (size_t i = 0; i < N_CASES; i++) {
		packet_build(&whole, &cases[i].packet);
		for (unsigned int len = 58; len < whole.len && len < 150; len += 3) {
			packet = whole;
			packet.len = len;
			explain_case(&cases[i], &packet, &answer);
			run_case(&cases[i], &packet, &run);
			if (answer.reason != run.reason)
				fail_msg("%s, cut at %u: the twin says %s, the program %s",
					 cases[i].name, len, reason_name(answer.reason),
					 reason_name(run.reason));
		}
	}
}

static const struct prog_case first = {
	"first fragment",
	PROG_RED,
	R(BYPASS_OUT),
	{RED6, .dst = "fd03::1", .ext = "F", .more = true, UDP(3, 53), DATA(64)}};
static const struct prog_case later = {
	"later fragment",
	PROG_RED,
	R(BYPASS_OUT),
	{RED6, .dst = "fd03::1", .ext = "F", .proto = IPPROTO_UDP, .frag_off = 8, DATA(64)}};

static void it_knows_first_fragments_and_keeps_none(void **state)
{
	static struct packet packet_first, packet_later;
	struct xipsec_explain answer;
	static struct run run;

	packet_build(&packet_first, &first.packet);
	packet_build(&packet_later, &later.packet);
	explain_case(&first, &packet_first, &answer);
	assert_int_equal(answer.reason, R(BYPASS_OUT));
	explain_case(&later, &packet_later, &answer); /* the explained first one was never there */
	assert_int_equal(answer.reason, R(FRAG_OPAQUE));
	run_case(&first, &packet_first, &run);
	memset(&run, 0, sizeof(run));
	run_xdp(twin_fd(PROG_RED), harness.red, packet_later.data, packet_later.len, &run);
	memcpy(&answer, run.out, sizeof(answer));
	assert_int_equal(answer.reason, R(BYPASS_OUT));
	assert_true(answer.way.flags & XIPSEC_WAY_FOLLOWED);
}

/* The stack takes 96 pieces that wait for their first ones; those that are explained are none of
 * them, and take no room from one another. */
static void it_counts_no_fragments(void **state)
{
	static const struct prog_case early = {
		"piece before its first",
		PROG_BLACK,
		R(REASSEMBLE),
		{IN4, .proto = IPPROTO_ESP, .frag_off = 8, DATA(64)}};
	struct xipsec_peer_key key = {.family = XIPSEC_FAMILY_IP4, .l4_proto = IPPROTO_ESP};
	static struct packet packet;
	struct xipsec_explain answer;
	__u32 one = 1;

	packet_build(&packet, &early.packet);
	memcpy(&key.src, packet.data + 26, 4);
	memcpy(&key.dst, packet.data + 30, 4);
	map_set(harness.skel->maps.peers, &key, &one);
	for (int i = 0; i < 200; i++) {
		explain_case(&early, &packet, &answer);
		assert_int_equal(answer.reason, R(REASSEMBLE));
	}
	for (size_t i = 0; i < sizeof(twin->bss->frags_waiting) / sizeof(__u32); i++)
		assert_int_equal(twin->bss->frags_waiting[i], 0);
	bpf_map_delete_elem(bpf_map__fd(harness.skel->maps.peers), &key);
}

/* ------------------------------------------------------------------ nothing is written */

struct snapshot {
	__u8 *data;
	size_t len, room;
};

static void add(struct snapshot *to, const void *data, size_t len)
{
	if (to->len + len > to->room) {
		to->room = (to->len + len) * 2;
		to->data = realloc(to->data, to->room);
		assert_non_null(to->data);
	}
	memcpy(to->data + to->len, data, len);
	to->len += len;
}

static void add_ring(struct snapshot *to, int fd)
{
	long page = sysconf(_SC_PAGESIZE);
	__u64 *producer = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, page);

	assert_true(producer != MAP_FAILED);
	add(to, producer, sizeof(*producer));
	munmap(producer, page);
}

/* Every entry, in the order in which the kernel lists them. */
static void add_map(struct snapshot *to, const struct bpf_map *map)
{
	static __u8 key[256], next[256], value[64 * 65536];
	int fd = bpf_map__fd(map);
	void *at = NULL;

	if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF) {
		add_ring(to, fd);
		return;
	}
	memset(value, 0, sizeof(value));
	while (!bpf_map_get_next_key(fd, at, next)) {
		memcpy(key, next, sizeof(key));
		at = key;
		if (bpf_map__type(map) == BPF_MAP_TYPE_XSKMAP)
			continue; /* what stands in it cannot be read */
		assert_int_equal(bpf_map_lookup_elem(fd, key, value), 0);
		add(to, key, bpf_map__key_size(map));
		add(to, value,
		    bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY
			    ? bpf_map__value_size(map) * (size_t)harness.n_cpus
			    : bpf_map__value_size(map));
	}
}

static struct snapshot snapshot_take(unsigned int *n_maps)
{
	struct snapshot snapshot = {0};
	struct bpf_map *map;

	*n_maps = 0;
	bpf_object__for_each_map(map, harness.skel->obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		add(&snapshot, bpf_map__name(map), strlen(bpf_map__name(map)));
		add_map(&snapshot, map);
		++*n_maps;
	}
	return snapshot;
}

static bool same(const struct snapshot *a, const struct snapshot *b)
{
	return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

static bool is_plain(const struct prog_case *one)
{
	return !(one->flags & (CASE_NO_SPD | CASE_NO_TAP));
}

static void it_writes_nothing(void **state)
{
	static struct packet packet;
	struct xipsec_explain answer;
	struct snapshot before, after;
	unsigned int n = 0, n_maps;
	static struct run run;

	/* every state that a packet could change is there: a first fragment, SAs, a TAP */
	packet_build(&packet, &first.packet);
	run_case(&first, &packet, &run);
	before = snapshot_take(&n_maps);
	keep_frags = true;
	while (n < 1000) {
		for (size_t i = 0; i < N_CASES; i++) {
			if (!is_plain(&cases[i]))
				continue;
			packet_build(&packet, &cases[i].packet);
			explain_case(&cases[i], &packet, &answer);
			n++;
		}
	}
	after = snapshot_take(&n_maps);
	keep_frags = false;
	if (!same(&before, &after))
		fail_msg("a map is another after %u explained packets", n);
	print_message("  %u explained packets, %zu bytes in %u maps compared\n", n, before.len,
		      n_maps);
	/* one packet of the programs shows that such a change would be seen */
	free(after.data);
	packet_build(&packet, &cases[0].packet);
	run_only(cases[0].name, cases[0].prog, packet.data, packet.len, &run);
	after = snapshot_take(&n_maps);
	assert_false(same(&before, &after));
	free(before.data);
	free(after.data);
	reasons_clear();
}

/* "Too big" that quotes what our SA has just sent would lower its MTU. */
static void it_learns_no_mtu(void **state)
{
	static __u8 quote[sizeof(quote_esp4)];
	static const struct prog_case one = {"too big",
					     PROG_BLACK,
					     R(PMTU_LEARNED),
					     {.src = "192.0.2.8",
					      .dst = "192.0.2.1",
					      .proto = IPPROTO_ICMP,
					      .icmp_type = 3,
					      .icmp_code = 4,
					      QUOTE(quote),
					      PATCH(26, 4),
					      PATCH2(27, 0)}};
	static struct xipsec_sa_state sa, after;
	static struct packet packet;
	struct xipsec_explain answer;
	static struct run run;
	__u32 index = SA_OUT;
	int states = bpf_map__fd(harness.skel->maps.sa_state);

	memcpy(quote, quote_esp4, sizeof(quote));
	quote[2] = 1500 >> 8;
	quote[3] = 1500 & 255;
	sa.generation = SA_GEN;
	sa.seq = 1;
	map_set(harness.skel->maps.sa_state, &index, &sa);
	packet_build(&packet, &one.packet);
	explain_case(&one, &packet, &answer);
	assert_int_equal(answer.reason, R(PMTU_LEARNED));
	assert_int_equal(answer.way.sa_index, SA_OUT);
	assert_int_equal(bpf_map_lookup_elem(states, &index, &after), 0);
	assert_memory_equal(&sa, &after, sizeof(sa));
	run_case(&one, &packet, &run);
	assert_int_equal(run.reason, R(PMTU_LEARNED));
	assert_int_equal(bpf_map_lookup_elem(states, &index, &after), 0);
	assert_int_equal(after.pmtu, 1024);
	sa.generation = 0;
	map_set(harness.skel->maps.sa_state, &index, &sa);
}

/* ------------------------------------------------------------------ the steps */

struct way_case {
	struct prog_case one;
	int rule; /* -1: none */
	int maybe;
	__u32 child;
	__u32 sa_index, sa_generation;
	__u32 spi;
	__u8 dir;
	__u8 egress; /* 'b', 'u'; 0: none */
	__u32 flags;
};

#define WAY_NO_SPD -1, -1, 0, 0, 0, 0, 0, 0, 0

/* clang-format off */
static const struct way_case ways[] = {
	{{"bypass", PROG_RED, R(BYPASS_OUT), {RED4, .dst = "10.3.0.1", PING}},
		0, -1, 0, 0, 0, 0, XIPSEC_DIR_OUT, 'b', 0},
	{{"discard", PROG_RED, R(DISCARD), {RED4, .dst = "10.4.0.1", PING}},
		1, -1, 0, 0, 0, 0, XIPSEC_DIR_OUT, 'b', 0},
	{{"no policy", PROG_RED, R(NO_POLICY), {RED4, .dst = "10.8.0.1", PING}},
		-1, -1, 0, 0, 0, 0, XIPSEC_DIR_OUT, 'b', 0},
	{{"protect", PROG_RED, R(STEER_OUT), {RED4, .dst = "10.2.0.1", PING}},
		3, -1, CHILD_UP, SA_OUT, SA_GEN, 0, XIPSEC_DIR_OUT, 'b', XIPSEC_WAY_SOCKET},
	{{"protect, no socket", PROG_RED, R(NO_WORKER), {RED4, .dst = "10.2.0.1", PING}, .queue = 1},
		3, -1, CHILD_UP, SA_OUT, SA_GEN, 0, XIPSEC_DIR_OUT, 'b', 0},
	{{"protect, no SA", PROG_RED, R(NO_SA_OUT), {RED4, .dst = "10.5.0.1", PING}},
		5, -1, CHILD_DOWN, SA_OUT, 0, 0, XIPSEC_DIR_OUT, 'b', 0},
	{{"protect, no role", PROG_RED, R(PLAINTEXT_OUT), {RED4, .dst = "10.2.77.1", PING}},
		3, -1, CHILD_UP, 0, 0, 0, XIPSEC_DIR_OUT, 'u', 0},
	{{"hidden port", PROG_RED, R(FRAG_OPAQUE), {RED6, .dst = "fd03::1", .ext = "F", .proto = IPPROTO_UDP, .frag_off = 8, DATA(64)}},
		-1, 9, 0, 0, 0, 0, XIPSEC_DIR_OUT, 'b', 0},
	{{"malformed", PROG_RED, R(MALFORMED_IP4), {RED4, .dst = "10.3.0.1", PING, .cut = 1}}, WAY_NO_SPD},
	{{"to this host", PROG_RED, R(NOT_OUTBOUND), {RED4, .dst = "10.1.0.1", PING}}, WAY_NO_SPD},
	{{"ESP", PROG_BLACK, R(STEER_IN), {IN4, .proto = IPPROTO_ESP, .spi = 0x1001, DATA(60)}},
		-1, -1, 0, SA_IN, SA_GEN, 0x1001, 0, 0, XIPSEC_WAY_SOCKET},
	{{"ESP of no SA", PROG_BLACK, R(NO_SA), {IN4, .proto = IPPROTO_ESP, .spi = 0x7777, DATA(60)}},
		-1, -1, 0, 0, 0, 0x7777, 0, 0, XIPSEC_WAY_LOCAL},
	{{"plaintext", PROG_BLACK, R(PLAINTEXT_IN), {TRANSIT, PING}},
		3, -1, CHILD_UP, 0, 0, 0, XIPSEC_DIR_IN, 'r', 0},
	{{"our own", PROG_GUARD, R(HOST_OUT), {.src = "192.0.2.1", .dst = "10.2.0.1", PING}},
		4, -1, CHILD_UP, SA_OUT, SA_GEN, 0, XIPSEC_DIR_OUT, 0, XIPSEC_WAY_OWN},
	{{"forwarded plaintext", PROG_GUARD, R(PLAINTEXT_OUT), {RED4, .dst = "10.2.0.1", PING}, CASE_FORWARDED},
		3, -1, CHILD_UP, 0, 0, 0, XIPSEC_DIR_OUT, 0, 0},
};
/* clang-format on */

static __u32 egress_of(__u8 letter)
{
	switch (letter) {
	case 'b': return harness.black;
	case 'r': return harness.red;
	case 'u': return if_nametoindex("u0");
	default: return 0;
	}
}

#define assert_way(field, want)                                                            \
	do {                                                                               \
		if ((__u64)(field) != (__u64)(want))                                       \
			fail_msg("%s: " #field " is %llu, not %llu", way->one.name,        \
				 (unsigned long long)(field), (unsigned long long)(want)); \
	} while (0)

static void it_tells_the_way(void **state)
{
	static struct packet packet;
	struct xipsec_explain answer;

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		const struct way_case *way = &ways[i];

		packet_build(&packet, &way->one.packet);
		explain_case(&way->one, &packet, &answer);
		assert_way(answer.reason, way->one.reason);
		assert_way(answer.way.rule, way->rule + 1);
		assert_way(answer.way.maybe, way->maybe + 1);
		if (!way->dir != !answer.way.tables)
			fail_msg("%s: %u tables", way->one.name, answer.way.tables);
		assert_way(answer.way.child, way->child ? way->child + 1 : 0);
		assert_way(answer.way.sa_index, way->sa_index);
		assert_way(answer.way.sa_generation, way->sa_generation);
		assert_way(ntohl(answer.way.spi), way->spi);
		assert_way(answer.way.dir, way->dir);
		assert_way(answer.way.egress, egress_of(way->egress));
		assert_way(answer.way.flags, way->flags);
		assert_way(answer.way.spd_generation, way->dir ? SPD_GENERATION : 0);
		assert_way(answer.queue, way->one.queue);
	}
}

static void it_tells_what_it_read(void **state)
{
	static const struct prog_case one = {
		"parsed",
		PROG_RED,
		R(BYPASS_OUT),
		{RED6, .dst = "fd03::1", .ext = "HDRLFD", UDP(4444, 53), DATA(20), .vlans = 1}};
	static struct packet packet;
	struct xipsec_explain answer;
	char text[INET6_ADDRSTRLEN];

	packet_build(&packet, &one.packet);
	explain_case(&one, &packet, &answer);
	assert_string_equal(inet_ntop(AF_INET6, &answer.src, text, sizeof(text)), "fd01::5");
	assert_string_equal(inet_ntop(AF_INET6, &answer.dst, text, sizeof(text)), "fd03::1");
	assert_int_equal(answer.family, XIPSEC_FAMILY_IP6);
	assert_int_equal(answer.l4_proto, IPPROTO_UDP);
	assert_int_equal(answer.sport, 4444);
	assert_int_equal(answer.dport, 53);
	assert_int_equal(answer.eth_type, 0x86dd);
	assert_int_equal(answer.l3_off, 18);
	assert_int_equal(answer.l4_off, packet.l4_off);
	assert_int_equal(answer.hop_limit, 64);
	assert_int_equal(answer.frag, XIPSEC_FRAG_HEADER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_twin_agrees),
		cmocka_unit_test(it_agrees_on_cut_packets),
		cmocka_unit_test(it_knows_first_fragments_and_keeps_none),
		cmocka_unit_test(it_counts_no_fragments),
		cmocka_unit_test(it_writes_nothing),
		cmocka_unit_test(it_learns_no_mtu),
		cmocka_unit_test(it_tells_the_way),
		cmocka_unit_test(it_tells_what_it_read),
	};

	return cmocka_run_group_tests(tests, setup_twin, teardown_twin);
}
