/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loaded programs in a network namespace of the test's own, and one packet at a time through
 * one of them:
 *
 *	 r1 ── r0  [ this host ]  b0 ── b1
 *	       red                black
 *	10.1.0.1/24, fd01::1/64   192.0.2.1/24, 2001:db8::1/64
 *
 * 10.2.0.0/15 to 10.8.0.0/16 and fd02::/16, fd03::/16 lie behind black. A program of no meaning is
 * attached to both, because a veth has receive queues for BPF_PROG_TEST_RUN only then; ours are
 * not attached, so nothing but the test's own packets is counted.
 */
#ifndef TESTS_PROG_HARNESS_H
#define TESTS_PROG_HARNESS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include <linux/bpf.h>
#include <linux/if_link.h>
#include <linux/if_xdp.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "lib/config_policy.h"
#include "lib/reason.h"
#include "loader/hits.h"
#include "loader/spd.h"
#include "tests/lib/packet_build.h"
#include "xipsec/maps.h"
#include "xipsec/meta.h"
#include "xipsec.skel.h"

#define RED_SLOT   2
#define BLACK_SLOT 3
#define RED_DEV    5 /* as dev_ids would have it */
#define BLACK_DEV  6

/* A second MAC of the test's interfaces, as a macvlan above them gives it: VRRP's. */
#define SECOND_MAC                   \
	{                            \
		0, 0, 0x5e, 0, 1, 51 \
	}

struct harness {
	struct xipsec_bpf *skel;
	__u32 red; /* interface indices */
	__u32 black;
	int n_cpus;
	struct spd_source spd; /* without rules: what spd_set() adds to them */
	struct spd_memory memory;
	struct xipsec_counter *percpu; /* room for one value of `reasons` */
};

static struct harness harness;

/* How many rules the programs have counters for; set before the setup. No power of 2. */
static __u32 harness_rules = 4099;

/* Whether the programs take AF_XDP to take packets in several frames; set before the setup. */
static __u32 harness_multi_buffer;

static inline void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static inline void map_set(struct bpf_map *map, const void *key, const void *value)
{
	int err = bpf_map_update_elem(bpf_map__fd(map), key, value, BPF_ANY);

	if (err)
		fail_msg("writing map %s: %s", bpf_map__name(map), strerror(-err));
}

/* ------------------------------------------------------------------ policies */

struct rule_spec {
	__u8 action;
	__u8 dirs; /* 0: both */
	__u32 child;
	const char *local; /* prefix, NULL: any */
	const char *remote;
	int proto;        /* 0: any */
	__u16 local_port; /* 0: any */
	__u16 remote_port;
	__u16 remote_port_hi; /* 0: as remote_port */
	int icmp_type;        /* -1 with any; or that of a Mobility Header */
	__u64 dscp;           /* bit n: DSCP n; 0: any */
	__u8 opaque;          /* XIPSEC_OPAQUE_* */
	__u16 dev;            /* RED_DEV, BLACK_DEV; 0: any */
};

/* ADDRESS/LENGTH or FIRST-LAST. */
static inline void rule_net(struct xipsec_selector *sel, struct xipsec_addr *lo,
			    struct xipsec_addr *hi, const char *text)
{
	if (text)
		assert_true(text_addr_range(text, lo, hi, &sel->family));
}

static inline struct xipsec_spd_rule rule_make(const struct rule_spec *spec)
{
	struct xipsec_spd_rule rule = {.action = spec->action,
				       .dirs = spec->dirs ? spec->dirs
							  : XIPSEC_DIR_OUT | XIPSEC_DIR_IN,
				       .child = spec->child,
				       .dev = spec->dev};
	struct xipsec_selector *sel = &rule.sel;

	*sel = selector_any;
	rule_net(sel, &sel->local_lo, &sel->local_hi, spec->local);
	rule_net(sel, &sel->remote_lo, &sel->remote_hi, spec->remote);
	sel->dscp = spec->dscp;
	sel->opaque = spec->opaque;
	sel->any_proto = spec->proto == 0;
	sel->l4_proto = spec->proto;
	if (spec->local_port)
		sel->local_port_lo = sel->local_port_hi = spec->local_port;
	if (spec->remote_port) {
		sel->remote_port_lo = spec->remote_port;
		sel->remote_port_hi = spec->remote_port_hi ? spec->remote_port_hi
							   : spec->remote_port;
	}
	if (spec->icmp_type > 0) {
		sel->icmp_lo = spec->icmp_type << 8;
		sel->icmp_hi = spec->icmp_type << 8 | 0xff;
	}
	return rule;
}

/* The maps of an SPD, in the place that no program searches. */
static inline void spd_build_next(const struct rule_spec *rules, unsigned int n_rules,
				  __u32 generation, struct spd_memory *memory)
{
	struct spd_source source = harness.spd;
	__u32 place = harness.memory.c.head ? !harness.memory.c.head->place : 1;

	source.rule = calloc(n_rules + 1, sizeof(source.rule[0]));
	source.n_rules = n_rules;
	for (unsigned int i = 0; i < n_rules; i++)
		source.rule[i] = rule_make(&rules[i]);
	assert_int_equal(spd_build(bpf_object__btf(harness.skel->obj), &source, memory), 0);
	free(source.rule);
	memory->c.head->generation = generation;
	memory->c.head->log_base = generation;
	memory->c.head->place = place;
	map_set(harness.skel->maps.spd_buckets_of, &place, &memory->buckets);
	map_set(harness.skel->maps.spd_rules_of, &place, &memory->rules);
}

/* The switch; takes over `memory`. */
static inline void spd_switch_to(struct spd_memory *memory)
{
	__u32 zero = 0;

	map_set(harness.skel->maps.spd, &zero, &memory->head);
	spd_memory_close(&harness.memory);
	harness.memory = *memory;
}

/* Makes these rules the SPD. */
static inline void spd_set(const struct rule_spec *rules, unsigned int n_rules, __u32 generation)
{
	struct spd_memory memory;

	spd_build_next(rules, n_rules, generation, &memory);
	spd_switch_to(&memory);
}

/* ------------------------------------------------------------------ counters */

/* Of a reason, all of which stand in one value. */
static inline struct xipsec_counter reason_sum(__u32 reason)
{
	struct xipsec_counter sum = {0};
	__u32 zero = 0;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(harness.skel->maps.reasons), &zero, harness.percpu),
		0);
	for (int cpu = 0; cpu < harness.n_cpus; cpu++) {
		sum.packets += harness.percpu[cpu * XIPSEC_REASON_MAX + reason].packets;
		sum.bytes += harness.percpu[cpu * XIPSEC_REASON_MAX + reason].bytes;
	}
	return sum;
}

/* Of the rule on one CPU, as the map is laid out. */
static inline struct xipsec_counter hits_of_cpu(unsigned int cpu, __u32 rule)
{
	__u32 at = cpu * harness.skel->rodata->hits_rules + rule;
	struct xipsec_counter counter;

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(harness.skel->maps.spd_hits), &at, &counter), 0);
	return counter;
}

static inline struct xipsec_counter rule_hits(__u32 rule)
{
	struct hits hits = HITS_NONE;
	struct xipsec_counter sum;

	assert_int_equal(hits_open(bpf_map__fd(harness.skel->maps.spd_hits), &hits), 0);
	sum = hits_sum(&hits, rule);
	hits_close(&hits);
	return sum;
}

static inline void hits_forget(void)
{
	struct hits hits = HITS_NONE;

	assert_int_equal(hits_open(bpf_map__fd(harness.skel->maps.spd_hits), &hits), 0);
	hits_clear(&hits, 0, hits.rules);
	hits_close(&hits);
}

/* Forgets every first fragment, and what waits. */
static inline void frags_clear(void)
{
	int fd = bpf_map__fd(harness.skel->maps.frags);
	struct xipsec_frag_key key;

	memset(harness.skel->bss->frags_waiting, 0, sizeof(harness.skel->bss->frags_waiting));
	while (!bpf_map_get_next_key(fd, NULL, &key))
		assert_int_equal(bpf_map_delete_elem(fd, &key), 0);
}

static inline void reasons_clear(void)
{
	__u32 zero = 0;

	memset(harness.percpu, 0, harness.n_cpus * sizeof(struct xipsec_reasons));
	map_set(harness.skel->maps.reasons, &zero, harness.percpu);
}

/* The one reason that was counted since the counters were cleared, by one packet of `bytes`. */
static inline __u32 reason_counted(const char *name, unsigned int bytes)
{
	__u32 found = XIPSEC_REASON_COUNT;

	for (__u32 reason = 0; reason < XIPSEC_REASON_MAX; reason++) {
		struct xipsec_counter sum = reason_sum(reason);

		if (!sum.packets && !sum.bytes)
			continue;
		if (found != XIPSEC_REASON_COUNT)
			fail_msg("%s: counted as %s and %s", name, reason_name(found),
				 reason_name(reason));
		if (sum.packets != 1 || sum.bytes != bytes)
			fail_msg("%s: %s counted %llu packets, %llu bytes, not 1 and %u", name,
				 reason_name(reason), sum.packets, sum.bytes, bytes);
		found = reason;
	}
	if (found == XIPSEC_REASON_COUNT)
		fail_msg("%s: no reason was counted", name);
	reasons_clear();
	return found;
}

/* ------------------------------------------------------------------ running */

enum prog { PROG_RED, PROG_BLACK, PROG_GUARD, PROG_REDTC, PROG_BLACKTC, PROG_COUNT };

struct run {
	/* in */
	__u32 ifindex; /* 0: the program's usual one */
	__u32 queue;
	__u32 mark;            /* TC */
	__u32 forwarded;       /* TC: came in by this interface */
	unsigned int meta_len; /* XDP: of somebody else's metadata before the frame */
	/* out */
	int action;
	__u32 reason; /* with run_packet() */
	__u32 mark_out;
	unsigned int meta_out; /* bytes before the frame */
	__u8 out[PACKET_MAX + 64];
	unsigned int out_len; /* metadata included */
};

static inline struct bpf_program *prog_of(enum prog prog)
{
	switch (prog) {
	case PROG_RED: return harness.skel->progs.xipsec_red;
	case PROG_BLACK: return harness.skel->progs.xipsec_black;
	case PROG_GUARD: return harness.skel->progs.xipsec_guard;
	case PROG_BLACKTC: return harness.skel->progs.xipsec_blacktc;
	default: return harness.skel->progs.xipsec_redtc;
	}
}

static inline int run_xdp(int prog_fd, __u32 ifindex, const void *data, unsigned int len,
			  struct run *run)
{
	__u8 in[PACKET_MAX + 64];
	struct xdp_md ctx_in = {.data = run->meta_len,
				.data_end = run->meta_len + len,
				.ingress_ifindex = ifindex,
				.rx_queue_index = run->queue};
	struct xdp_md ctx_out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = in, .data_size_in = run->meta_len + len,
		    .data_out = run->out, .data_size_out = sizeof(run->out), .ctx_in = &ctx_in,
		    .ctx_size_in = sizeof(ctx_in), .ctx_out = &ctx_out,
		    .ctx_size_out = sizeof(ctx_out), .repeat = 1);
	int err;

	memset(in, 0x5a, run->meta_len);
	memcpy(in + run->meta_len, data, len);
	err = bpf_prog_test_run_opts(prog_fd, &opts);
	run->action = opts.retval;
	run->out_len = opts.data_size_out;
	run->meta_out = ctx_out.data;
	return err;
}

static inline int run_tc(int prog_fd, __u32 ifindex, const void *data, unsigned int len,
			 struct run *run)
{
	struct __sk_buff ctx_in = {
		.ifindex = ifindex, .ingress_ifindex = run->forwarded, .mark = run->mark};
	struct __sk_buff ctx_out = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = len,
		    .data_out = run->out, .data_size_out = sizeof(run->out), .ctx_in = &ctx_in,
		    .ctx_size_in = sizeof(ctx_in), .ctx_out = &ctx_out,
		    .ctx_size_out = sizeof(ctx_out), .repeat = 1);
	int err = bpf_prog_test_run_opts(prog_fd, &opts);

	run->action = opts.retval;
	run->out_len = opts.data_size_out;
	run->meta_out = 0;
	run->mark_out = ctx_out.mark;
	return err;
}

static inline bool prog_is_red(enum prog prog)
{
	return prog == PROG_RED || prog == PROG_REDTC;
}

static inline void run_only(const char *name, enum prog prog, const void *data, unsigned int len,
			    struct run *run)
{
	__u32 usual = prog_is_red(prog) ? harness.red : harness.black;
	__u32 ifindex = run->ifindex ? run->ifindex : usual;
	int prog_fd = bpf_program__fd(prog_of(prog));
	int err;

	if (prog == PROG_RED || prog == PROG_BLACK)
		err = run_xdp(prog_fd, ifindex, data, len, run);
	else
		err = run_tc(prog_fd, ifindex, data, len, run);
	if (err)
		fail_msg("%s: test run of %u bytes: %s", name, len, strerror(-err));
}

static inline int action_of(enum prog prog, __u32 reason)
{
	bool xdp = prog == PROG_RED || prog == PROG_BLACK;

	switch (reason_kind(reason)) {
	case XIPSEC_KIND_PASS:
		if (xdp)
			return XDP_PASS;
		return prog == PROG_GUARD ? TC_ACT_OK : TC_ACT_UNSPEC;
	case XIPSEC_KIND_STEER: return xdp ? XDP_REDIRECT : TC_ACT_REDIRECT;
	default: return xdp ? XDP_DROP : TC_ACT_SHOT;
	}
}

/* One packet: exactly one reason is counted once with the right bytes, and the action fits it. */
static inline void run_packet(const char *name, enum prog prog, const void *data, unsigned int len,
			      struct run *run)
{
	run_only(name, prog, data, len, run);
	run->reason = reason_counted(name, len);
	if (run->action != action_of(prog, run->reason))
		fail_msg("%s: action %d with reason %s", name, run->action,
			 reason_name(run->reason));
}

/* ------------------------------------------------------------------ setting up */

/* An AF_XDP socket that a map accepts: memory, fill and receive ring. Never bound: nothing is
 * received, the map's entry is what counts. */
static inline int xsk_make(void)
{
	size_t size = 4096 * 8;
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct xdp_umem_reg reg = {.addr = (uintptr_t)memory, .len = size, .chunk_size = 4096};
	int fd = socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0);
	int ring = 8;

	assert_true(memory != MAP_FAILED && fd >= 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_UMEM_FILL_RING, &ring, sizeof(ring)), 0);
	assert_int_equal(setsockopt(fd, SOL_XDP, XDP_RX_RING, &ring, sizeof(ring)), 0);
	return fd;
}

/* The mark of what XDP passed, as the loader makes it. */
static const struct xipsec_passed pass_mark = {{0x01020304, 0xfefdfcfb}};

static inline void pass_mark_set(const struct xipsec_passed *mark)
{
	__u32 zero = 0;

	map_set(harness.skel->maps.pass_key, &zero, mark);
}

static inline int xdp_nothing_load(void)
{
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_XDP, "nothing", "GPL", insns, 2, NULL);
}

static inline void iface_set(__u32 ifindex, __u32 role, __u32 slot, __u16 dev)
{
	struct xipsec_iface iface = {.role = role,
				     .slot = slot,
				     .dev = dev,
				     .name = "test",
				     .mac = {PACKET_MAC, SECOND_MAC},
				     .n_macs = 2};

	map_set(harness.skel->maps.ifaces, &ifindex, &iface);
}

static inline void namespace_make(void)
{
	int nothing = xdp_nothing_load();

	assert_true(nothing >= 0);
	if (unshare(CLONE_NEWNET))
		fail_msg("unshare: %s (run as root)", strerror(errno));
	shell("ip link set lo up; "
	      "ip link add r0 numrxqueues 2 numtxqueues 2 type veth peer name r1 numrxqueues 2 "
	      "numtxqueues 2 && ip link add b0 numrxqueues 2 numtxqueues 2 type veth peer name b1 "
	      "numrxqueues 2 numtxqueues 2");
	shell("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1 && "
	      "for i in r0 r1 b0 b1; do ip link set $i addrgenmode none up; done");
	shell("ip addr add 10.1.0.1/24 dev r0 && ip addr add fd01::1/64 dev r0 nodad && "
	      "ip addr add 10.9.0.1/24 dev r0 && ip addr add 192.0.2.1/24 dev b0 && "
	      "ip addr add 2001:db8::1/64 dev b0 nodad && "
	      "ip addr add fe80::b/64 dev b0 nodad");
	shell("for n in 2 3 4 5 6 7 8; do ip route add 10.$n.0.0/16 via 192.0.2.2; done; "
	      "ip route add blackhole 10.66.0.0/16; "
	      "for n in 2 3; do ip route add fd0$n::/16 via 2001:db8::2; done");
	/* an interface without a role, which takes 77 of every network */
	shell("ip link add u0 type veth peer name u1 && "
	      "for i in u0 u1; do ip link set $i addrgenmode none up; done && "
	      "ip addr add 198.51.100.1/24 dev u0 && "
	      "for n in 2 3 4 8; do ip route add 10.$n.77.0/24 via 198.51.100.2; done; "
	      "ip route add fd03:77::/32 dev u0");
	harness.red = if_nametoindex("r0");
	harness.black = if_nametoindex("b0");
	assert_int_equal(bpf_xdp_attach(harness.red, nothing, XDP_FLAGS_DRV_MODE, NULL), 0);
	assert_int_equal(bpf_xdp_attach(harness.black, nothing, XDP_FLAGS_DRV_MODE, NULL), 0);
}

static inline void sockets_place(void)
{
	__u32 red_key = RED_SLOT * XIPSEC_QUEUES_MAX;
	__u32 black_key = BLACK_SLOT * XIPSEC_QUEUES_MAX;
	int red_fd = xsk_make();
	int black_fd = xsk_make();

	map_set(harness.skel->maps.xsks, &red_key, &red_fd);
	map_set(harness.skel->maps.xsks, &black_key, &black_fd);
}

/* cmocka's group setup: programs loaded, namespace made, sockets on queue 0 of both. */
static inline int harness_setup(void **state)
{
	harness.skel = xipsec_bpf__open();
	assert_non_null(harness.skel);
	harness.skel->rodata->multi_buffer = harness_multi_buffer;
	harness.skel->rodata->hits_rules = harness_rules;
	assert_int_equal(hits_make_room(harness.skel->maps.spd_hits, harness_rules), 0);
	if (xipsec_bpf__load(harness.skel))
		fail_msg("the programs do not load (run as root)");
	harness.memory = (struct spd_memory)SPD_MEMORY_NONE;
	harness.n_cpus = libbpf_num_possible_cpus();
	harness.percpu = calloc(harness.n_cpus, sizeof(struct xipsec_reasons));
	namespace_make();
	sockets_place();
	iface_set(harness.red, XIPSEC_ROLE_PROTECTED, RED_SLOT, RED_DEV);
	iface_set(harness.black, XIPSEC_ROLE_UNPROTECTED, BLACK_SLOT, BLACK_DEV);
	pass_mark_set(&pass_mark);
	reasons_clear();
	return 0;
}

/* The namespace goes with the process. */
static inline int harness_teardown(void **state)
{
	spd_memory_close(&harness.memory);
	xipsec_bpf__destroy(harness.skel);
	free(harness.percpu);
	return 0;
}

#endif
