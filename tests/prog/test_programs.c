// SPDX-License-Identifier: BSD-2-Clause
/*
 * Each branch of the way of a packet: bytes in, and verdict, reason, counter and metadata out. The
 * same packets then come cut at every byte. The last test fails if a reason of the programs was
 * never seen.
 */
#include <netinet/in.h>
#include "tests/prog/cases.h"

static bool reason_seen[XIPSEC_REASON_MAX];

static bool has_ports(const struct packet_spec *spec)
{
	return spec->frag_off == 0;
}

/* The metadata byte for byte, and the frame behind it untouched. */
static void assert_steered(const struct prog_case *one, const struct packet *packet,
			   const struct run *run)
{
	bool in = one->prog == PROG_BLACK;
	bool ip6 = strchr(one->packet.src, ':') != NULL;
	struct xipsec_meta want = {
		.magic = XIPSEC_META_MAGIC,
		.abi = XIPSEC_ABI,
		.dir = in ? XIPSEC_DIR_IN : XIPSEC_DIR_OUT,
		.l3_off = packet->l3_off,
		.sa_index = in ? SA_IN : SA_OUT,
		.sa_generation = SA_GEN,
		.spd_generation = SPD_GENERATION,
		.l4_off = has_ports(&one->packet) ? packet->l4_off : 0,
		.reason = in ? XIPSEC_REASON_STEER_IN : XIPSEC_REASON_STEER_OUT,
		.family = ip6 ? XIPSEC_FAMILY_IP6 : XIPSEC_FAMILY_IP4,
		.l4_proto = one->packet.proto,
	};

	if (in && one->packet.proto == IPPROTO_UDP) {
		want.reason = XIPSEC_REASON_STEER_UDP_IN;
		want.l4_off += 8;
	}
	assert_int_equal(run->meta_out, sizeof(want));
	assert_int_equal(run->out_len, sizeof(want) + packet->len);
	assert_memory_equal(run->out, &want, sizeof(want));
	assert_memory_equal(run->out + sizeof(want), packet->data, packet->len);
}

/* The verdict in the MAC bytes, and what follows them untouched. */
static void assert_to_tap(const struct packet *packet, const struct run *run)
{
	const struct xipsec_tap_meta want = {SA_OUT | XIPSEC_TAP_MARK, SA_GEN, SPD_GENERATION};

	assert_int_equal(run->out_len, packet->len);
	assert_memory_equal(run->out, &want, sizeof(want));
	assert_memory_equal(run->out + sizeof(want), packet->data + sizeof(want),
			    packet->len - sizeof(want));
}

/* To the stack at another CPU, where TC judges it: no mark goes with it. */
static void assert_as_it_came(const struct packet *packet, const struct run *run)
{
	assert_int_equal(run->meta_out, 0);
	assert_int_equal(run->out_len, packet->len);
	assert_memory_equal(run->out, packet->data, packet->len);
}

/* What passes leaves as it came; XDP has put the mark in the place of whatever metadata it had,
 * with the skb's behind it for kernel XFRM. */
static void assert_untouched(const struct prog_case *one, const struct packet *packet,
			     const struct run *run)
{
	const struct xipsec_passed_xfrm wanted = {pass_mark, XIPSEC_MARK_XFRM | CHILD_XFRM};
	bool xdp = one->prog == PROG_RED || one->prog == PROG_BLACK;
	unsigned int before = xdp ? sizeof(pass_mark) : 0;

	if (one->reason == XIPSEC_REASON_XFRM_OUT && xdp)
		before = sizeof(wanted);
	else if (one->reason == XIPSEC_REASON_XFRM_OUT)
		assert_int_equal(run->mark_out, wanted.mark);
	assert_int_equal(run->meta_out, before);
	assert_memory_equal(run->out, &wanted, before);
	assert_int_equal(run->out_len, before + packet->len);
	assert_memory_equal(run->out + before, packet->data, packet->len);
}

static void test_verdicts(void **state)
{
	static struct packet packet;
	static struct run run;

	for (size_t i = 0; i < N_CASES; i++) {
		const struct prog_case *one = &cases[i];

		packet_build(&packet, &one->packet);
		run_case(one, &packet, &run);
		if (run.reason != one->reason)
			fail_msg("%s: %s, not %s", one->name, reason_name(run.reason),
				 reason_name(one->reason));
		reason_seen[run.reason] = true;
		if (run.reason == XIPSEC_REASON_HOST_OUT)
			assert_to_tap(&packet, &run);
		else if (run.reason == XIPSEC_REASON_XFRM_SPREAD)
			assert_as_it_came(&packet, &run);
		else if (reason_kind(run.reason) == XIPSEC_KIND_STEER ||
			 run.reason == XIPSEC_REASON_NO_WORKER)
			assert_steered(one, &packet, &run);
		else if (reason_kind(run.reason) == XIPSEC_KIND_PASS)
			assert_untouched(one, &packet, &run);
	}
}

/* ------------------------------------------------------------------ truncation */

/* Putting the length right would heal a packet whose fields lie, or that is too long. */
static bool is_well_formed(const struct packet_spec *spec)
{
	return !spec->eth_type && !spec->patch.set && !spec->cut && spec->payload_len < 3000;
}

static bool is_open(__u32 reason)
{
	enum xipsec_reason_kind kind = reason_kind(reason);

	return kind == XIPSEC_KIND_PASS || kind == XIPSEC_KIND_STEER;
}

static void run_cut(const struct prog_case *one, struct packet *packet, unsigned int len, bool fix)
{
	static struct run run;

	packet->len = len;
	if (fix)
		packet_fix_length(packet);
	run_case(one, packet, &run);
	if (is_open(run.reason) && run.reason != one->reason)
		fail_msg("%s: %s when cut at %u%s, not %s", one->name, reason_name(run.reason), len,
			 fix ? " with the length put right" : "", reason_name(one->reason));
}

/* The shortest frame that the kernel's test run takes: for TC it wants the IP header that the
 * ethertype promises. */
static unsigned int shortest(const struct prog_case *one, const struct packet *whole)
{
	if (one->prog != PROG_GUARD)
		return 14;
	if (one->packet.eth_type)
		return 15;
	return whole->l3_off + (strchr(one->packet.src, ':') ? 40 : 20);
}

/* A packet that lost its end never gets further than the whole one, whether its length fields know
 * of the loss or not. */
static void test_truncation(void **state)
{
	static struct packet whole, packet;
	unsigned long n_runs = 0;

	for (size_t i = 0; i < N_CASES; i++) {
		const struct prog_case *one = &cases[i];

		packet_build(&whole, &one->packet);
		for (unsigned int len = shortest(one, &whole); len < whole.len && len < 200;
		     len++) {
			packet = whole;
			run_cut(one, &packet, len, false);
			n_runs++;
			if (!is_well_formed(&one->packet) || len < whole.l3_off + 20)
				continue;
			run_cut(one, &packet, len, true);
			n_runs++;
		}
	}
	print_message("  %lu cut packets\n", n_runs);
}

/* ------------------------------------------------------------------ behind XDP */

/* What TC says where XDP was not: the same, but that it hands nothing to a worker. */
static __u32 reason_behind(const struct prog_case *one)
{
	if (one->reason == XIPSEC_REASON_STEER_OUT || one->reason == XIPSEC_REASON_STEER_IN ||
	    one->reason == XIPSEC_REASON_STEER_UDP_IN)
		return XIPSEC_REASON_NO_XDP;
	/* There it is where it was sent to. */
	if (one->reason == XIPSEC_REASON_XFRM_SPREAD)
		return XIPSEC_REASON_XFRM_IN;
	/* A whole packet on a queue without a socket. */
	if (!one->packet.frag_off && !one->packet.more && one->reason == XIPSEC_REASON_NO_WORKER)
		return XIPSEC_REASON_NO_XDP;
	return one->reason;
}

/* Every packet of the table without the mark: the TC program behind XDP decides as XDP does, and
 * what it lets pass is as it was. */
static void test_behind_xdp(void **state)
{
	static struct packet packet;
	static struct run run;
	unsigned int n = 0;

	for (size_t i = 0; i < N_CASES; i++) {
		struct prog_case one = cases[i];

		/* A test run of TC has one queue and one page, and takes no cut IP header. */
		if (one.prog > PROG_BLACK || (one.queue && one.packet.more))
			continue;
		packet_build(&packet, &one.packet);
		if (packet.len < packet.l3_off + 40 || packet.len > 3000)
			continue;
		one.prog = one.prog == PROG_RED ? PROG_REDTC : PROG_BLACKTC;
		run_case(&one, &packet, &run);
		if (run.reason != reason_behind(&one))
			fail_msg("behind XDP, %s: %s, not %s", one.name, reason_name(run.reason),
				 reason_name(reason_behind(&one)));
		reason_seen[run.reason] = true;
		if (reason_kind(run.reason) == XIPSEC_KIND_PASS)
			assert_untouched(&one, &packet, &run);
		n++;
	}
	print_message("  %u packets\n", n);
	assert_true(n > 150);
}

/* A CPU that the map has not: the packet goes up where it is. */
static void test_no_such_cpu(void **state)
{
	static const struct packet_spec spec = {IN4, .proto = IPPROTO_ESP, .spi = 0x1008, DATA(60)};
	static struct packet packet;
	static struct run run;

	packet_build(&packet, &spec);
	run_packet("no such CPU", PROG_BLACK, packet.data, packet.len, &run);
	assert_int_equal(run.reason, XIPSEC_REASON_XFRM_IN);
	assert_int_equal(run.action, XDP_PASS);
}

/* Before the loader has made one, XDP leaves none, nor does it touch that of others. */
static void test_no_mark_is_made(void **state)
{
	static const struct packet_spec spec = {IN4, UDP(500, 500), DATA(28)};
	static const struct xipsec_passed none;
	static struct packet packet;
	static struct run run;

	packet_build(&packet, &spec);
	pass_mark_set(&none);
	run_packet("no mark", PROG_BLACK, packet.data, packet.len, &run);
	assert_int_equal(run.reason, XIPSEC_REASON_IKE_IN);
	assert_int_equal(run.meta_out, 0);
	pass_mark_set(&pass_mark);
}

static void test_redtc_clears_our_marks(void **state)
{
	static const struct packet_spec spec = {RED4, .dst = "10.3.0.1", PING};
	static struct packet packet;
	static struct run run;

	packet_build(&packet, &spec);
	run.mark = XIPSEC_MARK_OWN | 0x1234;
	run_packet("redtc", PROG_REDTC, packet.data, packet.len, &run);
	assert_int_equal(run.action, TC_ACT_UNSPEC);
	assert_int_equal(run.reason, XIPSEC_REASON_BYPASS_OUT);
	assert_int_equal(run.mark_out, 0x1234);
	run.ifindex = harness.black;
	run_packet("redtc on black", PROG_REDTC, packet.data, packet.len, &run);
	assert_int_equal(run.reason, XIPSEC_REASON_NO_IFACE);
}

/* ------------------------------------------------------------------ completeness */

/* Reasons that only workers give. Whatever else the list holds must have been seen above. */
static bool reason_is_workers(__u32 reason)
{
	switch (reason) {
	case XIPSEC_REASON_FRAG_TRANSPORT:
	case XIPSEC_REASON_LINK_SCOPE:
	case XIPSEC_REASON_LIMIT:
	case XIPSEC_REASON_NO_TUNNEL:
	case XIPSEC_REASON_AH_SHORT:
	case XIPSEC_REASON_AH_FRONT:
	case XIPSEC_REASON_FRAG_LOST:
	case XIPSEC_REASON_ICMP_QUOTE:
	case XIPSEC_REASON_IKE_CLOSED:
	case XIPSEC_REASON_ECN: return true;
	case XIPSEC_REASON_PMTU_LEARNED: return true; /* the programs': test_pmtu.c */
	case XIPSEC_REASON_XFRM_OPENED: return true;  /* of real packets alone: vm/engine.sh */
	default: break;
	}
	return reason == XIPSEC_REASON_UNSPEC || reason_kind(reason) == XIPSEC_KIND_DONE ||
	       (reason >= XIPSEC_REASON_STALE_META && reason <= XIPSEC_REASON_CRYPTO);
}

static void test_every_reason_was_seen(void **state)
{
	int missing = 0;

	for (__u32 reason = 0; reason < XIPSEC_REASON_COUNT; reason++) {
		if (reason_is_workers(reason) || reason_seen[reason])
			continue;
		print_error("  never seen: %s\n", reason_name(reason));
		missing++;
	}
	assert_int_equal(missing, 0);
}

/* ------------------------------------------------------------------ what they cost to load */

/* Twice what the most expensive one takes. A step that is inline where it should be a function, or
 * that leaves more states behind than it must, multiplies instead of adding. */
#define VERIFIED_MAX 250000

static void test_verifier_work(void **state)
{
	for (enum prog prog = 0; prog < PROG_COUNT; prog++) {
		struct bpf_prog_info info = {0};
		__u32 len = sizeof(info);

		assert_int_equal(
			bpf_obj_get_info_by_fd(bpf_program__fd(prog_of(prog)), &info, &len), 0);
		print_message("  %s: %u instructions verified\n", bpf_program__name(prog_of(prog)),
			      info.verified_insns);
		assert_true(info.verified_insns > 0);
		if (info.verified_insns > VERIFIED_MAX)
			fail_msg("%s: the verifier follows %u instructions, more than %u",
				 bpf_program__name(prog_of(prog)), info.verified_insns,
				 VERIFIED_MAX);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verifier_work),
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_truncation),
		cmocka_unit_test(test_behind_xdp),
		cmocka_unit_test(test_no_such_cpu),
		cmocka_unit_test(test_no_mark_is_made),
		cmocka_unit_test(test_redtc_clears_our_marks),
		cmocka_unit_test(test_every_reason_was_seen),
	};

	return cmocka_run_group_tests(tests, setup, harness_teardown);
}
