// SPDX-License-Identifier: BSD-2-Clause
/*
 * What BPF_PROG_TEST_RUN cannot make: metadata before an skb, VLAN tags that the kernel keeps
 * beside the frame, skbs in pieces. The programs are attached, the frames are real.
 */
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/sendfile.h>
#include "tests/prog/harness.h"

#define BYPASS  XIPSEC_ACTION_BYPASS
#define DISCARD XIPSEC_ACTION_DISCARD

#pragma GCC diagnostic ignored "-Wmissing-field-initializers"

/* The reason that a packet which is under way ends in; waits up to a second for it. */
static __u32 reason_wait(const char *name, __u64 *bytes)
{
	for (int i = 0; i < 100; i++) {
		for (__u32 reason = 0; reason < XIPSEC_REASON_MAX; reason++) {
			struct xipsec_counter sum = reason_sum(reason);

			if (!sum.packets)
				continue;
			*bytes = sum.bytes;
			reasons_clear();
			return reason;
		}
		usleep(10000);
	}
	fail_msg("%s: nothing was counted", name);
	return 0;
}

static void assert_counted(const char *name, __u32 wanted, __u64 wanted_bytes)
{
	__u64 bytes;
	__u32 reason = reason_wait(name, &bytes);

	if (reason != wanted || bytes != wanted_bytes)
		fail_msg("%s: %s with %llu bytes, not %s with %llu", name, reason_name(reason),
			 bytes, reason_name(wanted), wanted_bytes);
}

static int frame_socket(const char *iface)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET,
				   .sll_protocol = htons(ETH_P_ALL),
				   .sll_ifindex = if_nametoindex(iface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL));

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* ENOBUFS is how a drop at TC egress looks to a packet socket. */
static void frame_send(const char *iface, const struct packet_spec *spec, unsigned int *len)
{
	static struct packet packet;
	int fd = frame_socket(iface);

	packet_build(&packet, spec);
	if (send(fd, packet.data, packet.len, 0) < 0 && errno != ENOBUFS)
		fail_msg("sending on %s: %s", iface, strerror(errno));
	*len = packet.len;
	close(fd);
}

static void tc_attach(__u32 ifindex, enum bpf_tc_attach_point point, int prog_fd, __u32 priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = 1, .priority = priority);

	assert_true(prog_fd >= 0);
	bpf_tc_hook_create(&hook);
	assert_int_equal(bpf_tc_attach(&hook, &opts), 0);
}

static void tc_detach(__u32 ifindex, enum bpf_tc_attach_point point, __u32 priority)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = ifindex, .attach_point = point);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = 1, .priority = priority);

	assert_int_equal(bpf_tc_detach(&hook, &opts), 0);
}

/* Puts an 802.1Q tag beside the frame, as a VLAN device above does, and has no opinion. */
static int tc_tagger_load(void)
{
	struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = htons(0x8100)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_3, .imm = 5},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_skb_vlan_push},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = TC_ACT_UNSPEC},
		{.code = BPF_JMP | BPF_EXIT},
	};

	return bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "tagger", "GPL", insns,
			     sizeof(insns) / sizeof(insns[0]), NULL);
}

/* Writes n words of metadata before the frame and passes it. */
static int xdp_meta_load(const __u32 *word, int n)
{
	struct bpf_insn insns[16] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_6, .src_reg = BPF_REG_1},
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_2, .imm = -4 * n},
		{.code = BPF_JMP | BPF_CALL, .imm = BPF_FUNC_xdp_adjust_meta},
		{.code = BPF_LDX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_2,
		 .src_reg = BPF_REG_6,
		 .off = offsetof(struct xdp_md, data_meta)},
		{.code = BPF_LDX | BPF_MEM | BPF_W,
		 .dst_reg = BPF_REG_3,
		 .src_reg = BPF_REG_6,
		 .off = offsetof(struct xdp_md, data)},
		{.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = BPF_REG_4, .src_reg = BPF_REG_2},
		{.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = BPF_REG_4, .imm = 4 * n},
		{.code = BPF_JMP | BPF_JGT | BPF_X,
		 .dst_reg = BPF_REG_4,
		 .src_reg = BPF_REG_3,
		 .off = n},
	};
	int at = 8;

	for (int i = 0; i < n; i++)
		insns[at++] = (struct bpf_insn){.code = BPF_ST | BPF_MEM | BPF_W,
						.dst_reg = BPF_REG_2,
						.off = 4 * i,
						.imm = word[i]};
	insns[at++] = (struct bpf_insn){
		.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = XDP_PASS};
	insns[at++] = (struct bpf_insn){.code = BPF_JMP | BPF_EXIT};
	return bpf_prog_load(BPF_PROG_TYPE_XDP, "meta", "GPL", insns, at, NULL);
}

static int xdp_magic_load(__u32 magic)
{
	return xdp_meta_load(&magic, 1);
}

static void xdp_replace(__u32 ifindex, int prog_fd)
{
	assert_true(prog_fd >= 0);
	assert_int_equal(bpf_xdp_attach(ifindex, prog_fd, XDP_FLAGS_DRV_MODE, NULL), 0);
}

static void settle(void)
{
	usleep(100000);
	reasons_clear();
}

static int setup(void **state)
{
	static const struct rule_spec rules[] = {
		{DISCARD, .dirs = 0, .remote = "10.4.0.0/16"},
		{BYPASS, .dirs = 0, .remote = "10.3.0.0/16"},
	};

	harness_setup(state);
	spd_set(rules, 2, 1);
	tc_attach(harness.red, BPF_TC_INGRESS, bpf_program__fd(prog_of(PROG_REDTC)), 2);
	tc_attach(harness.black, BPF_TC_EGRESS, bpf_program__fd(prog_of(PROG_GUARD)), 2);
	tc_attach(harness.black, BPF_TC_INGRESS, bpf_program__fd(prog_of(PROG_BLACKTC)), 2);
	/* so that the stack takes what is to PACKET_MAC */
	shell("ip link set b0 address 02:00:00:00:00:01 && "
	      "sysctl -qw net.ipv4.conf.all.rp_filter=0 net.ipv4.conf.b0.rp_filter=0");
	/* The stack's own ND and MLD would be counted between ours. */
	shell("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 && "
	      "ip neigh add 192.0.2.2 lladdr 02:00:00:00:00:22 dev b0");
	settle();
	return 0;
}

/* redtc: our magic without a meaning ends there; another program's metadata is not ours, so its
 * frame is judged. */
static void test_metadata(void **state)
{
	const struct packet_spec spec = {
		.src = "10.1.0.5", .dst = "10.1.0.1", .proto = IPPROTO_UDP, .sport = 5, .dport = 6};
	unsigned int len;

	xdp_replace(harness.red, xdp_magic_load(XIPSEC_META_MAGIC));
	settle();
	frame_send("r1", &spec, &len);
	assert_counted("our magic", XIPSEC_REASON_ENGINE_CLOSED, len);
	xdp_replace(harness.red, xdp_magic_load(0x12345678));
	settle();
	frame_send("r1", &spec, &len);
	assert_counted("another's magic", XIPSEC_REASON_NOT_OUTBOUND, len);
	xdp_replace(harness.red, xdp_nothing_load());
	settle();
}

/* How often a reason was counted, once nothing more comes. */
static __u64 counted(__u32 reason)
{
	struct xipsec_counter sum;

	usleep(200000);
	sum = reason_sum(reason);
	reasons_clear();
	return sum.packets;
}

static int stack_socket(__u16 port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	return fd;
}

/* Did a datagram come as far as this socket? */
static bool stack_has(int fd)
{
	struct pollfd pfd = {.fd = fd, .events = POLLIN};
	char data[64];

	return poll(&pfd, 1, 200) > 0 && recv(fd, data, sizeof(data), 0) >= 0;
}

#define FROM_BYPASSED .src = "10.3.0.5", .dst = "192.0.2.1", .proto = IPPROTO_UDP, .sport = 5
#define FROM_NOWHERE  .src = "10.8.0.5", .dst = "192.0.2.1", .proto = IPPROTO_UDP, .sport = 5

/* The mark lives from XDP to TC, also under a tap and through the untagging of a VLAN: what passes
 * is counted once, and arrives. What is dropped in XDP never comes to TC. */
static void test_mark_lives(void **state)
{
	const struct packet_spec pass = {FROM_BYPASSED, .dport = 7777};
	const struct packet_spec tagged = {FROM_BYPASSED, .dport = 7777, .vlans = 1};
	const struct packet_spec drop = {FROM_NOWHERE, .dport = 7777};
	int fd = stack_socket(7777), tap;
	unsigned int len;

	xdp_replace(harness.black, bpf_program__fd(prog_of(PROG_BLACK)));
	settle();
	frame_send("b1", &pass, &len);
	assert_true(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_BYPASS_IN), 1);
	frame_send("b1", &tagged, &len);
	assert_int_equal(counted(XIPSEC_REASON_BYPASS_IN), 1);
	frame_send("b1", &drop, &len);
	assert_false(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_NO_POLICY), 1);
	tap = frame_socket("b0");
	frame_send("b1", &pass, &len);
	assert_true(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_BYPASS_IN), 1);
	close(tap);
	close(fd);
	xdp_replace(harness.black, xdp_nothing_load());
	settle();
}

/* With the program gone, or another in its place, TC judges. */
static void test_no_xdp(void **state)
{
	const struct packet_spec pass = {FROM_BYPASSED, .dport = 7777};
	const struct packet_spec drop = {FROM_NOWHERE, .dport = 7777};
	const struct packet_spec tagged = {FROM_NOWHERE, .dport = 7777, .vlans = 2};
	int fd = stack_socket(7777);
	unsigned int len;

	frame_send("b1", &pass, &len);
	assert_true(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_BYPASS_IN), 1);
	frame_send("b1", &drop, &len);
	assert_false(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_NO_POLICY), 1);
	frame_send("b1", &tagged, &len);
	assert_int_equal(counted(XIPSEC_REASON_NO_POLICY), 1);
	close(fd);
}

/* Metadata that is not the mark opens nothing; the mark itself does, which shows that it is what
 * the others lack. */
static void test_forged_mark(void **state)
{
	const struct packet_spec drop = {FROM_NOWHERE, .dport = 7777};
	__u32 forged[3] = {pass_mark.word[0], pass_mark.word[1] ^ 1};
	static const struct xipsec_passed none;
	int fd = stack_socket(7777);
	unsigned int len;

	for (int n = 1; n <= 3; n++) {
		xdp_replace(harness.black, xdp_meta_load(forged, n));
		settle();
		frame_send("b1", &drop, &len);
		assert_false(stack_has(fd));
		assert_int_equal(counted(XIPSEC_REASON_NO_POLICY), 1);
	}
	xdp_replace(harness.black, xdp_meta_load(pass_mark.word, 2));
	settle();
	frame_send("b1", &drop, &len);
	assert_true(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_NO_POLICY), 0);
	/* A map that nobody filled trusts nobody, not even zeros. */
	pass_mark_set(&none);
	xdp_replace(harness.black, xdp_meta_load(none.word, 2));
	settle();
	frame_send("b1", &drop, &len);
	assert_false(stack_has(fd));
	assert_int_equal(counted(XIPSEC_REASON_NO_POLICY), 1);
	pass_mark_set(&pass_mark);
	xdp_replace(harness.black, xdp_nothing_load());
	settle();
	close(fd);
}

/* A tag beside the frame is a tag: with it and two more in the frame there are three. */
static void test_tag_beside_the_frame(void **state)
{
	struct packet_spec spec = {.src = "192.0.2.1",
				   .dst = "10.4.0.1",
				   .proto = IPPROTO_UDP,
				   .sport = 5,
				   .dport = 6};
	unsigned int len;

	tc_attach(harness.black, BPF_TC_EGRESS, tc_tagger_load(), 1);
	frame_send("b0", &spec, &len);
	assert_counted("one tag", XIPSEC_REASON_DISCARD, len);
	spec.vlans = 1;
	frame_send("b0", &spec, &len);
	assert_counted("two tags", XIPSEC_REASON_DISCARD, len);
	spec.vlans = 2;
	frame_send("b0", &spec, &len);
	assert_counted("three tags", XIPSEC_REASON_MALFORMED_ETH, len);
	tc_detach(harness.black, BPF_TC_EGRESS, 1);
	settle();
}

/* What this host sends itself, as the stack makes it: no ports hidden, headers perhaps not linear.
 * A bypassed datagram reaches the wire, a discarded one does not. */
static void udp_send(const char *dst, unsigned int len)
{
	static char data[8000];
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	inet_pton(AF_INET, dst, &addr.sin_addr);
	assert_true(fd >= 0);
	assert_int_equal(sendto(fd, data, len, 0, (struct sockaddr *)&addr, sizeof(addr)), len);
	close(fd);
}

static bool wire_has(int wire, const char *dst)
{
	struct pollfd pfd = {.fd = wire, .events = POLLIN};
	__u8 frame[2048], addr[4];

	inet_pton(AF_INET, dst, addr);
	while (poll(&pfd, 1, 200) > 0) {
		ssize_t len = recv(wire, frame, sizeof(frame), 0);

		if (len >= 34 && frame[12] == 8 && !frame[13] && !memcmp(frame + 30, addr, 4))
			return true;
	}
	return false;
}

static void test_own_traffic(void **state)
{
	int wire = frame_socket("b1");

	udp_send("10.3.0.1", 100);
	assert_counted("own, bypass", XIPSEC_REASON_BYPASS_OUT, 142);
	assert_true(wire_has(wire, "10.3.0.1"));
	udp_send("10.4.0.1", 100);
	assert_counted("own, discard", XIPSEC_REASON_DISCARD, 142);
	assert_false(wire_has(wire, "10.4.0.1"));
	udp_send("10.3.0.1", 1472);
	assert_counted("own, as long as the MTU", XIPSEC_REASON_BYPASS_OUT, 1514);
	close(wire);
}

/* sendfile() makes skbs whose payload is in pages: the guard makes the header linear. */
static void test_skb_in_pieces(void **state)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);

	inet_pton(AF_INET, "10.3.0.1", &addr.sin_addr);
	assert_true(fd >= 0 && file >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	assert_int_equal(sendfile(fd, file, NULL, 1000), 1000);
	assert_counted("in pieces", XIPSEC_REASON_BYPASS_OUT, 1042);
	close(file);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_metadata),
		cmocka_unit_test(test_mark_lives),
		cmocka_unit_test(test_no_xdp),
		cmocka_unit_test(test_forged_mark),
		cmocka_unit_test(test_tag_beside_the_frame),
		cmocka_unit_test(test_own_traffic),
		cmocka_unit_test(test_skb_in_pieces),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
