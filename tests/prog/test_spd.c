// SPDX-License-Identifier: BSD-2-Clause
/*
 * The SPD in the programs: the first rule that matches wins, whatever its prefixes; fragments that
 * hide something pass only where nothing hangs on it. Also prints what a look-up costs.
 */
#include <netinet/in.h>
#include <time.h>
#include "tests/prog/harness.h"

/* A row of a table says what it is about and leaves the rest 0. */
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

#define BYPASS        XIPSEC_ACTION_BYPASS
#define DISCARD       XIPSEC_ACTION_DISCARD
#define PROTECT       XIPSEC_ACTION_PROTECT
#define R(name)       XIPSEC_REASON_##name
#define RULES_MAX_ROW 4

/* Children 1 and 2 have an SA; which one was chosen shows in the metadata. */
static const __u32 child_sa[] = {[1] = 101, [2] = 102};

static int setup(void **state)
{
	harness_setup(state);
	for (__u32 id = 1; id <= 2; id++) {
		struct xipsec_child child = {child_sa[id], 3, XIPSEC_ENGINE_AFXDP, {0}};

		map_set(harness.skel->maps.children, &id, &child);
	}
	return 0;
}

/* A generation of its own for each SPD: flows are remembered by it. */
static __u32 fresh;

static struct packet packet;
static struct run run;

static __u32 red_reason(const char *name, const struct packet_spec *spec)
{
	packet_build(&packet, spec);
	memset(&run, 0, sizeof(run));
	run_packet(name, PROG_RED, packet.data, packet.len, &run);
	return run.reason;
}

static void assert_reason(const char *name, __u32 found, __u32 wanted)
{
	if (found != wanted)
		fail_msg("%s: %s, not %s", name, reason_name(found), reason_name(wanted));
}

/* ------------------------------------------------------------------ order */

struct order_row {
	const char *name;
	struct rule_spec rule[RULES_MAX_ROW];
	unsigned int n_rules;
	struct packet_spec packet;
	__u32 reason;
	int hit; /* rule that counts the packet, -1: none */
};

#define UDP_TO(port) \
	.src = "10.1.0.5", .dst = "10.2.3.4", .proto = IPPROTO_UDP, .sport = 1000, .dport = (port)
#define MOBILE_OF(t) .src = "fd01::5", .dst = "fd02::4", .proto = IPPROTO_MH, .icmp_type = (t)
#define PING_OF(t)   .src = "10.1.0.5", .dst = "10.2.3.4", .proto = IPPROTO_ICMP, .icmp_type = (t)

/* clang-format off */
static const struct order_row order_rows[] = {
	{"no rule at all", {}, 0, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"wide before narrow", {{DISCARD}, {BYPASS, .remote = "10.2.3.4/32"}}, 2, {UDP_TO(53)}, R(DISCARD), 0},
	{"wide protect before narrow bypass", {{PROTECT, .child = 1, .remote = "10.0.0.0/8"}, {BYPASS, .local = "10.1.0.5/32", .remote = "10.2.3.4/32", .proto = IPPROTO_UDP, .remote_port = 53}}, 2, {UDP_TO(53)}, R(STEER_OUT), 0},
	{"narrow before wide", {{BYPASS, .remote = "10.2.3.4/32"}, {DISCARD}}, 2, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"same selector twice", {{BYPASS, .remote = "10.2.0.0/16"}, {DISCARD, .remote = "10.2.0.0/16"}}, 2, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"the other direction's rule does not count", {{BYPASS, .dirs = XIPSEC_DIR_IN}, {DISCARD, .dirs = XIPSEC_DIR_OUT}}, 2, {UDP_TO(53)}, R(DISCARD), 1},
	{"a rule of no direction never matches", {{BYPASS, .dirs = 4}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"prefix one bit off", {{BYPASS, .remote = "10.2.3.5/32"}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"prefix of 31 bits", {{BYPASS, .remote = "10.2.3.4/31"}}, 1, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"local is the source", {{BYPASS, .local = "10.2.0.0/16"}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"v6 rule and v4 packet", {{BYPASS, .remote = "::/0"}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"port, first of the range", {{BYPASS, .proto = IPPROTO_UDP, .remote_port = 53, .remote_port_hi = 60}}, 1, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"port, last of the range", {{BYPASS, .proto = IPPROTO_UDP, .remote_port = 53, .remote_port_hi = 60}}, 1, {UDP_TO(60)}, R(BYPASS_OUT), 0},
	{"port, below the range", {{BYPASS, .proto = IPPROTO_UDP, .remote_port = 53, .remote_port_hi = 60}}, 1, {UDP_TO(52)}, R(NO_POLICY), -1},
	{"port, above the range", {{BYPASS, .proto = IPPROTO_UDP, .remote_port = 53, .remote_port_hi = 60}}, 1, {UDP_TO(61)}, R(NO_POLICY), -1},
	{"port of the wrong side", {{BYPASS, .proto = IPPROTO_UDP, .local_port = 53}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"protocol", {{BYPASS, .proto = IPPROTO_TCP}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"ICMP type", {{BYPASS, .proto = IPPROTO_ICMP, .icmp_type = 8}}, 1, {PING_OF(8)}, R(BYPASS_OUT), 0},
	{"another ICMP type", {{BYPASS, .proto = IPPROTO_ICMP, .icmp_type = 8}}, 1, {PING_OF(13)}, R(NO_POLICY), -1},
	{"first of a range of addresses", {{BYPASS, .remote = "10.2.3.4-10.2.3.9"}}, 1, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"last of a range of addresses", {{BYPASS, .remote = "10.1.255.250-10.2.3.4"}}, 1, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"below a range of addresses", {{BYPASS, .remote = "10.2.3.5-10.2.3.9"}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"above a range of addresses", {{BYPASS, .remote = "10.1.255.250-10.2.3.3"}}, 1, {UDP_TO(53)}, R(NO_POLICY), -1},
	{"ranges on both sides", {{BYPASS, .local = "10.0.255.255-10.1.0.5", .remote = "9.255.255.255-10.2.3.4"}}, 1, {UDP_TO(53)}, R(BYPASS_OUT), 0},
	{"a range of IPv6", {{BYPASS, .remote = "fd02::3-fd02::1:0"}}, 1, {.src = "fd01::5", .dst = "fd02::4", .proto = IPPROTO_TCP, .dport = 80}, R(BYPASS_OUT), 0},
	{"above a range of IPv6", {{BYPASS, .remote = "fd01:ffff::-fd02::3"}}, 1, {.src = "fd01::5", .dst = "fd02::4", .proto = IPPROTO_TCP, .dport = 80}, R(NO_POLICY), -1},
	{"DSCP", {{BYPASS, .dscp = 1ULL << 46 | 1}}, 1, {UDP_TO(53), .tos = 46 << 2 | 1}, R(BYPASS_OUT), 0},
	{"another DSCP", {{BYPASS, .dscp = 1ULL << 46}}, 1, {UDP_TO(53), .tos = 45 << 2 | 3}, R(NO_POLICY), -1},
	{"DSCP of IPv6", {{BYPASS, .dscp = 1ULL << 63}}, 1, {.src = "fd01::5", .dst = "fd02::4", .proto = IPPROTO_TCP, .dport = 80, .tos = 63 << 2}, R(BYPASS_OUT), 0},
	{"no DSCP of IPv6", {{BYPASS, .dscp = 1ULL << 63}}, 1, {.src = "fd01::5", .dst = "fd02::4", .proto = IPPROTO_TCP, .dport = 80}, R(NO_POLICY), -1},
	{"Mobility Header type", {{BYPASS, .proto = IPPROTO_MH, .icmp_type = 5}}, 1, {MOBILE_OF(5)}, R(BYPASS_OUT), 0},
	{"another Mobility Header type", {{BYPASS, .proto = IPPROTO_MH, .icmp_type = 5}}, 1, {MOBILE_OF(6)}, R(NO_POLICY), -1},
	{"opaque ports and a packet that shows them", {{BYPASS, .proto = IPPROTO_UDP, .opaque = XIPSEC_OPAQUE_PORTS}, {DISCARD}}, 2, {UDP_TO(53)}, R(DISCARD), 1},
	{"an action that does not exist", {{9}}, 1, {UDP_TO(53)}, R(DISCARD), 0},
};
/* clang-format on */

static void assert_hits(const struct order_row *row)
{
	for (__u32 rule = 0; rule < RULES_MAX_ROW; rule++) {
		struct xipsec_counter sum = rule_hits(rule);
		bool hit = row->hit == (int)rule;

		if (sum.packets != hit || sum.bytes != (hit ? packet.len : 0))
			fail_msg("%s: rule %u has %llu hits", row->name, rule, sum.packets);
	}
}

static void test_order(void **state)
{
	for (size_t i = 0; i < sizeof(order_rows) / sizeof(order_rows[0]); i++) {
		const struct order_row *row = &order_rows[i];

		spd_set(row->rule, row->n_rules, ++fresh);
		hits_forget();
		assert_reason(row->name, red_reason(row->name, &row->packet), row->reason);
		assert_hits(row);
	}
}

/* ------------------------------------------------------------------ interfaces */

struct dev_row {
	const char *name;
	enum prog prog;
	__u32 forwarded; /* at the guard: came in by red */
	struct rule_spec rule[RULES_MAX_ROW];
	unsigned int n_rules;
	__u32 reason;
	bool later; /* a fragment that hides its ports */
};

#define OUT XIPSEC_DIR_OUT
#define IN  XIPSEC_DIR_IN

/* clang-format off */
static const struct dev_row dev_rows[] = {
	{"came in by red", PROG_RED, 0, {{BYPASS, OUT, .dev = RED_DEV}, {DISCARD}}, 2, R(BYPASS_OUT)},
	{"came in by another than the rule's", PROG_RED, 0, {{BYPASS, OUT, .dev = RED_DEV + 7}, {DISCARD}}, 2, R(DISCARD)},
	{"leaves by black, which it did not come in by", PROG_RED, 0, {{BYPASS, OUT, .dev = BLACK_DEV}, {DISCARD}}, 2, R(DISCARD)},
	{"the rule before it is another's", PROG_RED, 0, {{DISCARD, OUT, .dev = BLACK_DEV}, {BYPASS, OUT, .dev = RED_DEV}}, 2, R(BYPASS_OUT)},
	{"the first of its own", PROG_RED, 0, {{BYPASS, OUT, .dev = BLACK_DEV}, {DISCARD, OUT, .dev = RED_DEV}, {BYPASS}}, 3, R(DISCARD)},
	{"this host's own goes out by black", PROG_GUARD, 0, {{BYPASS, OUT, .dev = BLACK_DEV}, {DISCARD}}, 2, R(BYPASS_OUT)},
	{"this host's own came in by none", PROG_GUARD, 0, {{BYPASS, OUT, .dev = RED_DEV}, {DISCARD}}, 2, R(DISCARD)},
	{"forwarded: the guard says what red said", PROG_GUARD, 1, {{BYPASS, OUT, .dev = RED_DEV}, {DISCARD}}, 2, R(BYPASS_OUT)},
	{"forwarded: where it leaves does not count", PROG_GUARD, 1, {{BYPASS, OUT, .dev = BLACK_DEV}, {DISCARD}}, 2, R(DISCARD)},
	{"hidden ports: what another's rule says stands in for nothing", PROG_RED, 0, {{BYPASS, OUT, .dev = BLACK_DEV, .proto = IPPROTO_UDP}, {BYPASS, OUT, .dev = RED_DEV, .proto = IPPROTO_UDP}}, 2, R(BYPASS_OUT), .later = true},
	{"hidden ports: of all, behind another's", PROG_RED, 0, {{BYPASS, OUT, .dev = BLACK_DEV, .proto = IPPROTO_UDP}, {BYPASS, OUT, .proto = IPPROTO_UDP}}, 2, R(BYPASS_OUT), .later = true},
	{"hidden ports: two of another's contradict nobody", PROG_RED, 0, {{BYPASS, OUT, .dev = BLACK_DEV, .proto = IPPROTO_UDP}, {DISCARD, OUT, .dev = BLACK_DEV, .proto = IPPROTO_UDP}, {BYPASS, OUT, .proto = IPPROTO_UDP}}, 3, R(BYPASS_OUT), .later = true},
	{"arrived by black", PROG_BLACK, 0, {{BYPASS, IN, .dev = BLACK_DEV}, {DISCARD}}, 2, R(BYPASS_IN)},
	{"arrived by another", PROG_BLACK, 0, {{BYPASS, IN, .dev = RED_DEV}, {DISCARD}}, 2, R(DISCARD)},
};
/* clang-format on */

static void dev_row_run(const struct dev_row *row)
{
	const struct packet_spec out = {UDP_TO(53), .frag_off = row->later ? 10 : 0,
					.payload_len = 40},
				 in = {.src = "10.2.3.4",
				       .dst = "10.1.0.5",
				       .proto = IPPROTO_UDP,
				       .sport = 53,
				       .dport = 1000};

	packet_build(&packet, row->prog == PROG_BLACK ? &in : &out);
	memset(&run, 0, sizeof(run));
	run.forwarded = row->forwarded ? harness.red : 0;
	run_packet(row->name, row->prog, packet.data, packet.len, &run);
	assert_reason(row->name, run.reason, row->reason);
}

/* Each twice: the second time from what is remembered of the flow. */
static void test_devs(void **state)
{
	for (size_t i = 0; i < sizeof(dev_rows) / sizeof(dev_rows[0]); i++) {
		spd_set(dev_rows[i].rule, dev_rows[i].n_rules, ++fresh);
		dev_row_run(&dev_rows[i]);
		dev_row_run(&dev_rows[i]);
	}
}

/* What is remembered of a flow by one interface is not said of it by another. */
static void test_devs_remembered(void **state)
{
	const struct rule_spec rules[] = {{BYPASS, OUT, .dev = RED_DEV}, {DISCARD}};
	struct dev_row row = {"one flow", PROG_GUARD, 1, {{0}}, 0, R(BYPASS_OUT)};

	spd_set(rules, 2, ++fresh);
	for (unsigned int i = 0; i < 6; i++) {
		row.forwarded = i % 2 == 0;
		row.reason = i % 2 == 0 ? R(BYPASS_OUT) : R(DISCARD);
		dev_row_run(&row);
	}
}

#define MANY 1000

static struct rule_spec many[MANY];

/* Rule n says something else to every packet from it on: the first match is visible. */
static void test_first_of_many(void **state)
{
	static const unsigned int first[] = {0, 1, 127, MANY - 2, MANY - 1};
	const struct packet_spec spec = {UDP_TO(53)};

	for (size_t i = 0; i < sizeof(first) / sizeof(first[0]); i++) {
		for (unsigned int n = 0; n < MANY; n++)
			many[n] = (struct rule_spec){.action = n > first[i] ? DISCARD : BYPASS,
						     .remote = n < first[i] || n > first[i] + 200
								       ? "10.77.0.0/16"
								       : "10.2.0.0/16",
						     .proto = n % 250 ? (int)(n % 250) : 17};
		many[first[i]].proto = 0;
		spd_set(many, MANY, ++fresh);
		hits_forget();
		assert_reason("first of many", red_reason("first of many", &spec), R(BYPASS_OUT));
		assert_int_equal(rule_hits(first[i]).packets, 1);
	}
	many[MANY - 1].remote = "10.77.0.0/16";
	spd_set(many, MANY, ++fresh);
	assert_reason("none of many", red_reason("none of many", &spec), R(NO_POLICY));
}

static void flows_forget(void)
{
	struct classifier *c = &harness.memory.c;

	classifier_log_forget(c, ++fresh);
	classifier_publish(c, fresh);
}

/* Memory that lies ends closed: a rule that is not there, a table that is not there, no maps. */
static void test_broken_memory(void **state)
{
	const struct packet_spec spec = {UDP_TO(53)};
	const struct rule_spec rules[] = {{BYPASS}};
	struct xipsec_spd *head;
	__u32 place;

	spd_set(rules, 1, ++fresh);
	head = harness.memory.c.head;
	assert_reason("whole", red_reason("whole", &spec), R(BYPASS_OUT));
	harness.memory.c.rule[0].dirs = 0;
	flows_forget();
	assert_reason("no direction", red_reason("no direction", &spec), R(NO_POLICY));
	for (__u32 i = 0; i < XIPSEC_LISTS; i++)
		head->list[i].entry[0].table = 100000;
	flows_forget();
	assert_reason("no table", red_reason("no table", &spec), R(FRAG_OPAQUE));
	for (__u32 i = 0; i < XIPSEC_LISTS; i++)
		memset(head->list[i].member, 0xff, sizeof(head->list[i].member));
	flows_forget();
	assert_reason("endless", red_reason("endless", &spec), R(FRAG_OPAQUE));
	spd_set(rules, 1, ++fresh);
	place = harness.memory.c.head->place;
	bpf_map_delete_elem(bpf_map__fd(harness.skel->maps.spd_rules_of), &place);
	assert_reason("no rules", red_reason("no rules", &spec), R(NO_POLICY));
}

/* ------------------------------------------------------------------ switch */

/* A new SPD in new maps rules from one update of the outer map on, and its generation is what
 * workers are told. */
static void test_switch(void **state)
{
	const struct rule_spec old_rules[] = {{PROTECT, .child = 1}};
	const struct rule_spec new_rules[] = {{PROTECT, .child = 2}};
	const struct packet_spec spec = {UDP_TO(53)};
	struct xipsec_meta *meta = (struct xipsec_meta *)run.out;
	struct spd_memory memory;
	__u32 zero = 0;

	spd_set(old_rules, 1, 1004);
	assert_reason("before", red_reason("before", &spec), R(STEER_OUT));
	assert_int_equal(meta->spd_generation, 1004);
	assert_int_equal(meta->sa_index, child_sa[1]);
	spd_build_next(new_rules, 1, 1005, &memory);
	assert_reason("built", red_reason("built", &spec), R(STEER_OUT));
	assert_int_equal(meta->spd_generation, 1004);
	spd_switch_to(&memory);
	assert_reason("switched", red_reason("switched", &spec), R(STEER_OUT));
	assert_int_equal(meta->spd_generation, 1005);
	assert_int_equal(meta->sa_index, child_sa[2]);
	assert_int_equal(bpf_map_delete_elem(bpf_map__fd(harness.skel->maps.spd), &zero), 0);
	assert_reason("no SPD", red_reason("no SPD", &spec), R(NO_SPD));
	spd_set(new_rules, 1, 1006);
	assert_reason("again", red_reason("again", &spec), R(STEER_OUT));
}

/* ------------------------------------------------------------------ fragments */

struct frag_row {
	const char *name;
	struct rule_spec rule[RULES_MAX_ROW];
	unsigned int n_rules;
	bool opaque_proto;
	__u32 reason;
	__u32 sa; /* with STEER_OUT */
};

#define DNS     .proto = IPPROTO_UDP, .remote_port = 53
#define NTP     .proto = IPPROTO_UDP, .remote_port = 123
#define ANY_UDP .proto = IPPROTO_UDP

/* clang-format off */
static const struct frag_row frag_rows[] = {
	{"certain alone", {{BYPASS, ANY_UDP}}, 1, false, R(BYPASS_OUT)},
	{"maybe alone, bypass", {{BYPASS, DNS}}, 1, false, R(FRAG_OPAQUE)},
	{"maybe alone, protect", {{PROTECT, .child = 1, DNS}}, 1, false, R(FRAG_OPAQUE)},
	{"maybe alone, discard", {{DISCARD, DNS}}, 1, false, R(NO_POLICY)},
	{"maybe bypass, then wide bypass", {{BYPASS, DNS}, {BYPASS}}, 2, false, R(BYPASS_OUT)},
	{"maybe bypass, then wide protect", {{BYPASS, DNS}, {PROTECT, .child = 1}}, 2, false, R(FRAG_OPAQUE)},
	{"maybe bypass, then wide discard", {{BYPASS, DNS}, {DISCARD}}, 2, false, R(FRAG_OPAQUE)},
	{"maybe protect, then wide bypass", {{PROTECT, .child = 1, DNS}, {BYPASS}}, 2, false, R(FRAG_OPAQUE)},
	{"maybe discard, then wide bypass", {{DISCARD, DNS}, {BYPASS}}, 2, false, R(FRAG_OPAQUE)},
	{"maybe discard, then wide discard", {{DISCARD, DNS}, {DISCARD}}, 2, false, R(DISCARD)},
	{"maybe protect, then the same child", {{PROTECT, .child = 1, DNS}, {PROTECT, .child = 1}}, 2, false, R(STEER_OUT), 101},
	{"maybe protect, then another child", {{PROTECT, .child = 1, DNS}, {PROTECT, .child = 2}}, 2, false, R(FRAG_OPAQUE)},
	{"two maybes that agree, then certain", {{BYPASS, DNS}, {BYPASS, NTP}, {BYPASS}}, 3, false, R(BYPASS_OUT)},
	{"two maybes that disagree, then certain as the first", {{BYPASS, DNS}, {DISCARD, NTP}, {BYPASS}}, 3, false, R(FRAG_OPAQUE)},
	{"two maybes of two children", {{PROTECT, .child = 1, DNS}, {PROTECT, .child = 2, NTP}, {PROTECT, .child = 1}}, 3, false, R(FRAG_OPAQUE)},
	{"certain first, what follows does not count", {{PROTECT, .child = 2}, {BYPASS, DNS}}, 2, false, R(STEER_OUT), 102},
	{"a maybe of another protocol is none", {{BYPASS, .proto = IPPROTO_TCP, .remote_port = 53}, {PROTECT, .child = 1}}, 2, false, R(STEER_OUT), 101},
	{"a maybe of another prefix is none", {{BYPASS, .remote = "fd03::/16", DNS}, {PROTECT, .child = 1}}, 2, false, R(STEER_OUT), 101},
	{"opaque is certain", {{BYPASS, ANY_UDP, .opaque = XIPSEC_OPAQUE_PORTS}, {PROTECT, .child = 1}}, 2, false, R(BYPASS_OUT)},
	{"opaque behind a maybe that says else", {{PROTECT, .child = 2, DNS}, {BYPASS, ANY_UDP, .opaque = XIPSEC_OPAQUE_PORTS}}, 2, false, R(FRAG_OPAQUE)},
	{"opaque of another protocol", {{BYPASS, .proto = IPPROTO_TCP, .opaque = XIPSEC_OPAQUE_PORTS}, {PROTECT, .child = 1}}, 2, false, R(STEER_OUT), 101},
	{"opaque protocol where it is shown", {{BYPASS, .opaque = XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO}, {PROTECT, .child = 1}}, 2, false, R(STEER_OUT), 101},
	{"opaque protocol where it is hidden", {{BYPASS, .opaque = XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO}, {PROTECT, .child = 1}}, 2, true, R(BYPASS_OUT)},
	{"opaque protocol does not stand in for opaque ports", {{BYPASS, .opaque = XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO}, {BYPASS, .opaque = XIPSEC_OPAQUE_PORTS}, {PROTECT, .child = 1}}, 3, false, R(BYPASS_OUT)},
	{"opaque ports where the protocol is hidden, too", {{BYPASS, .opaque = XIPSEC_OPAQUE_PORTS}, {PROTECT, .child = 1}}, 2, true, R(BYPASS_OUT)},
	{"hidden protocol, certain without one", {{PROTECT, .child = 1}}, 1, true, R(STEER_OUT), 101},
	{"hidden protocol, maybe any UDP, then wide", {{BYPASS, ANY_UDP}, {PROTECT, .child = 1}}, 2, true, R(FRAG_OPAQUE)},
	{"hidden protocol, maybe any UDP alone", {{BYPASS, ANY_UDP}}, 1, true, R(FRAG_OPAQUE)},
	{"hidden protocol, agreeing", {{BYPASS, ANY_UDP}, {BYPASS}}, 2, true, R(BYPASS_OUT)},
};
/* clang-format on */

static void test_fragments(void **state)
{
	for (size_t i = 0; i < sizeof(frag_rows) / sizeof(frag_rows[0]); i++) {
		const struct frag_row *row = &frag_rows[i];
		const struct packet_spec spec = {.src = "fd01::5",
						 .dst = "fd02::4",
						 .ext = "F",
						 .proto = row->opaque_proto ? IPPROTO_DSTOPTS
									    : IPPROTO_UDP,
						 .frag_off = 10,
						 .payload_len = 40};
		struct xipsec_meta *meta = (struct xipsec_meta *)run.out;

		spd_set(row->rule, row->n_rules, ++fresh);
		assert_reason(row->name, red_reason(row->name, &spec), row->reason);
		if (row->reason == R(STEER_OUT))
			assert_int_equal(meta->sa_index, row->sa);
	}
}

/* A datagram whose first piece ends inside the destination options: nobody sees what they are
 * followed by, in neither piece. The bytes of both, as they stand on the wire. */
static const __u8 hidden_first[] = {
	2,    0, 0,  0,  0,    1,    2, 0, 0, 0, 0, 9, 0x86, 0xdd, 0x60, 0, 0,
	0,    0, 24, 44, 64,                                                /* 24 bytes */
	0xfd, 1, 0,  0,  0,    0,    0, 0, 0, 0, 0, 0, 0,    0,    0,    5, /* from */
	0xfd, 2, 0,  0,  0,    0,    0, 0, 0, 0, 0, 0, 0,    0,    0,    4, /* to */
	60,   0, 0,  1,  0xca, 0xfe, 0, 1, /* options follow, offset 0, more */
	17,   2, 1,  12, 0,    0,    0, 0, 0, 0, 0, 0, 0,    0,    0,    0, /* 16 of 24 bytes; UDP
									       is next */
};
static const __u8 hidden_later[] = {
	2,    0,    0, 0,  0,  1,  2,    0,    0, 0,  0,    9,    0x86, 0xdd, 0x60, 0,
	0,    0,    0, 28, 44, 64, 0xfd, 1,    0, 0,  0,    0,    0,    0,    0,    0,
	0,    0,    0, 0,  0,  5,  0xfd, 2,    0, 0,  0,    0,    0,    0,    0,    0,
	0,    0,    0, 0,  0,  4,  60,   0,    0, 16, 0xca, 0xfe, 0,    1, /* at 16, the last */
	1,    6,    0, 0,  0,  0,  0,    0, /* the options' end, which looks like a header */
	0x03, 0xe8, 0, 53, 0,  12, 0x12, 0x34, 1, 2,  3,    4, /* UDP, 1000 to 53 */
};

static __u32 bytes_reason(const char *name, const void *bytes, __u32 len)
{
	memset(&run, 0, sizeof(run));
	run_packet(name, PROG_RED, bytes, len, &run);
	return run.reason;
}

static void test_hidden_protocol(void **state)
{
	/* clang-format off */
	static const struct frag_row rows[] = {
		{"DNS bypassed", {{BYPASS, DNS}}, 1, true, R(FRAG_OPAQUE)},
		{"DNS bypassed, the rest protected", {{BYPASS, DNS}, {PROTECT, .child = 1}}, 2, true, R(FRAG_OPAQUE)},
		{"TCP bypassed, the rest protected", {{BYPASS, .proto = IPPROTO_TCP}, {PROTECT, .child = 1}}, 2, true, R(FRAG_OPAQUE)},
		{"destination options are no protocol", {{BYPASS, .proto = IPPROTO_DSTOPTS}, {PROTECT, .child = 1}}, 2, true, R(FRAG_OPAQUE)},
		{"DNS discarded, the rest too", {{DISCARD, DNS}, {DISCARD}}, 2, true, R(DISCARD)},
		{"all protected", {{PROTECT, .child = 1}}, 1, true, R(STEER_OUT), 101},
		{"all bypassed", {{BYPASS}}, 1, true, R(BYPASS_OUT)},
		{"what is hidden, bypassed", {{BYPASS, .opaque = XIPSEC_OPAQUE_PORTS | XIPSEC_OPAQUE_PROTO}, {PROTECT, .child = 1}}, 2, true, R(BYPASS_OUT)},
	};
	/* clang-format on */
	struct xipsec_meta *meta = (struct xipsec_meta *)run.out;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct frag_row *row = &rows[i];

		spd_set(row->rule, row->n_rules, ++fresh);
		/* the first is none of any policy (RFC 7112 5), and the later ones learn nothing */
		for (int twice = 0; twice < 2; twice++) {
			assert_reason(row->name,
				      bytes_reason(row->name, hidden_first, sizeof(hidden_first)),
				      R(FRAG_SHORT));
			assert_reason(row->name,
				      bytes_reason(row->name, hidden_later, sizeof(hidden_later)),
				      row->reason);
		}
		if (row->reason == R(STEER_OUT))
			assert_int_equal(meta->sa_index, row->sa);
	}
}

/* The same rules and a packet that shows its port: certain again. */
static void test_first_fragment_is_certain(void **state)
{
	const struct rule_spec rules[] = {{BYPASS, DNS}, {PROTECT, .child = 1}};
	const struct packet_spec dns = {UDP_TO(53), .more = true, .payload_len = 40};
	const struct packet_spec other = {UDP_TO(54), .more = true, .payload_len = 40};

	spd_set(rules, 2, ++fresh);
	assert_reason("first, 53", red_reason("first, 53", &dns), R(BYPASS_OUT));
	assert_reason("first, 54", red_reason("first, 54", &other), R(STEER_OUT));
}

/* ------------------------------------------------------------------ hits */

/* Each CPU counts in its own part of the map, and those who read add them up. */
static void test_hits_of_each_cpu(void **state)
{
	const struct rule_spec rules[] = {{DISCARD, .remote = "10.77.0.0/16"},
					  {BYPASS, .remote = "10.2.0.0/16"}};
	const struct packet_spec spec = {UDP_TO(53)};
	__u64 all = 0;
	cpu_set_t mine, one;

	assert_int_equal(sched_getaffinity(0, sizeof(mine), &mine), 0);
	spd_set(rules, 2, ++fresh);
	hits_forget();
	for (unsigned int cpu = 0; cpu < (unsigned int)harness.n_cpus; cpu++) {
		if (!CPU_ISSET(cpu, &mine))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
		for (unsigned int n = 0; n < cpu + 2; n++, all++)
			assert_reason("each CPU", red_reason("each CPU", &spec), R(BYPASS_OUT));
		assert_int_equal(hits_of_cpu(cpu, 0).packets, 0);
		assert_int_equal(hits_of_cpu(cpu, 1).packets, cpu + 2);
		assert_int_equal(hits_of_cpu(cpu, 1).bytes, (cpu + 2) * packet.len);
	}
	assert_int_equal(sched_setaffinity(0, sizeof(mine), &mine), 0);
	assert_int_equal(rule_hits(0).packets, 0);
	assert_int_equal(rule_hits(1).packets, all);
	assert_int_equal(rule_hits(1).bytes, all * packet.len);
	assert_int_equal(rule_hits(harness_rules).packets, 0); /* the next CPU's first rule */
}

/* ------------------------------------------------------------------ cost */

static __u32 run_cost(const struct packet_spec *spec)
{
	/* Numbers of an emulation mean nothing: there it is only seen to run. */
	LIBBPF_OPTS(bpf_test_run_opts, opts, .repeat = getenv("XIPSEC_SLOW") ? 1000 : 1000000);
	struct xdp_md ctx_in = {.ingress_ifindex = harness.red};
	__u32 best = ~0U;

	packet_build(&packet, spec);
	ctx_in.data_end = packet.len;
	opts.data_in = packet.data;
	opts.data_size_in = packet.len;
	opts.ctx_in = &ctx_in;
	opts.ctx_size_in = sizeof(ctx_in);
	for (int i = 0; i < 5; i++) {
		int err = bpf_prog_test_run_opts(bpf_program__fd(prog_of(PROG_RED)), &opts);

		assert_int_equal(err, 0);
		if (opts.duration < best)
			best = opts.duration;
	}
	return best;
}

/* Not an assertion, a measurement: best of five million-packet runs; the packets are bypassed, so
 * that the run changes nothing. */
static void test_cost(void **state)
{
	static const unsigned int n_rules[] = {1, 16, 256, 1000};
	const struct packet_spec spec = {UDP_TO(53), .payload_len = 18};

	for (size_t i = 0; i < sizeof(n_rules) / sizeof(n_rules[0]); i++) {
		for (unsigned int n = 0; n < n_rules[i]; n++)
			many[n] = (struct rule_spec){.action = BYPASS,
						     .remote = n + 1 < n_rules[i] ? "10.77.0.0/16"
										  : "10.2.0.0/16"};
		spd_set(many, n_rules[i], ++fresh);
		print_message("  xipsec_red, 60 bytes, rule %u of %u: %u ns a packet\n", n_rules[i],
			      n_rules[i], run_cost(&spec));
	}
	reasons_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_devs),
		cmocka_unit_test(test_devs_remembered),
		cmocka_unit_test(test_first_of_many),
		cmocka_unit_test(test_broken_memory),
		cmocka_unit_test(test_switch),
		cmocka_unit_test(test_fragments),
		cmocka_unit_test(test_hidden_protocol),
		cmocka_unit_test(test_first_fragment_is_certain),
		cmocka_unit_test(test_hits_of_each_cpu),
		cmocka_unit_test(test_cost),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
