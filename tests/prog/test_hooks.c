// SPDX-License-Identifier: BSD-2-Clause
/*
 * The hooks of an interface, both kinds of TC and XDP, in a network namespace of this process
 * alone: attach, replace, undo, and what is not ours stays.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <unistd.h>
#include "tests/lib/skip.h"
#include "loader/hook_tc.h"
#include "loader/hook_xdp.h"
#include "loader/probe.h"
#include "loader/session.h"
#include "loader/undo.h"

static unsigned int lo;

static int load(enum bpf_prog_type type, const char *name, int verdict)
{
	const struct bpf_insn insns[] = {
		{.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = verdict},
		{.code = BPF_JMP | BPF_EXIT},
	};
	int fd = bpf_prog_load(type, name, "GPL", insns, 2, NULL);

	assert_true(fd >= 0);
	return fd;
}

static __u32 guard_now(enum tc_kind *kind)
{
	struct tc_state state;

	assert_int_equal(tc_query(lo, TC_EGRESS, "xipsec_guard", &state), 0);
	*kind = state.kind;
	return state.prog_id;
}

/* The whole life of one hook, with a second program and with undo. */
static void tc_life(enum tc_kind kind)
{
	int first = load(BPF_PROG_TYPE_SCHED_CLS, "xipsec_guard", -1);
	int second = load(BPF_PROG_TYPE_SCHED_CLS, "xipsec_guard", -1);
	struct undo undo = {.pin_dir = "/nonexistent", .run_dir = "/nonexistent"};
	struct undo_step step = {.kind = UNDO_TC,
				 .ifindex = lo,
				 .tc_point = TC_EGRESS,
				 .tc_kind = kind,
				 .new_fd = second,
				 .old_fd = first,
				 .map_fd = -1};
	enum tc_kind seen;

	assert_int_equal(guard_now(&seen), 0);
	assert_int_equal(seen, TC_KIND_NONE);
	assert_int_equal(tc_swap(lo, TC_EGRESS, kind, first, -1), 0);
	assert_int_equal(guard_now(&seen), session_prog_id(first));
	assert_int_equal(seen, kind);
	/* Something of ours is there: not as if nothing were. */
	if (kind == TC_KIND_CLSACT)
		assert_int_not_equal(tc_swap(lo, TC_EGRESS, kind, second, -1), 0);
	assert_int_equal(undo_note(&undo, &step), 0);
	assert_int_equal(tc_swap(lo, TC_EGRESS, kind, second, first), 0);
	assert_int_equal(guard_now(&seen), session_prog_id(second));
	assert_int_equal(undo_run(&undo, 0), 0);
	assert_int_equal(guard_now(&seen), session_prog_id(first));
	assert_int_equal(tc_swap(lo, TC_EGRESS, kind, -1, first), 0);
	assert_int_equal(guard_now(&seen), 0);
	undo_free(&undo);
	close(first);
	close(second);
}

static void tc_by_clsact(void **state)
{
	tc_life(TC_KIND_CLSACT);
}

static void tc_by_tcx(void **state)
{
	if (!probe_tcx(lo))
		skip_because("this kernel has no tcx");
	tc_life(TC_KIND_TCX);
}

/* A program that ends the chain was there first: ours goes before it, and it stays behind. */
static void tcx_stands_first(void **state)
{
	int other = load(BPF_PROG_TYPE_SCHED_CLS, "other", TC_ACT_OK);
	int ours = load(BPF_PROG_TYPE_SCHED_CLS, "xipsec_guard", -1);
	__u32 ids[4] = {0};

	if (!probe_tcx(lo))
		skip_because("this kernel has no tcx");
	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_TCX, other, -1), 0);
	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_TCX, ours, -1), 0);
	assert_int_equal(tcx_query(lo, TC_EGRESS, ids, 4), 2);
	assert_int_equal(ids[0], session_prog_id(ours));
	assert_int_equal(ids[1], session_prog_id(other));
	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_TCX, -1, ours), 0);
	assert_int_equal(tcx_query(lo, TC_EGRESS, ids, 4), 1);
	assert_int_equal(ids[0], session_prog_id(other));
	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_TCX, -1, other), 0);
	close(other);
	close(ours);
}

/* Another's filter in our place of clsact is neither ours nor replaced. */
static void clsact_of_another(void **state)
{
	int other = load(BPF_PROG_TYPE_SCHED_CLS, "other", TC_ACT_OK);
	int ours = load(BPF_PROG_TYPE_SCHED_CLS, "xipsec_guard", -1);
	enum tc_kind seen;

	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_CLSACT, other, -1), 0);
	assert_int_equal(guard_now(&seen), 0);
	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_CLSACT, ours, -1), -EEXIST);
	assert_int_equal(tc_swap(lo, TC_EGRESS, TC_KIND_CLSACT, -1, other), 0);
	close(other);
	close(ours);
}

/* A swap names what it expects to find; if that is not there, nothing happens. */
static void xdp_expects(void **state)
{
	int red = load(BPF_PROG_TYPE_XDP, "xipsec_red", XDP_PASS);
	int red2 = load(BPF_PROG_TYPE_XDP, "xipsec_red", XDP_PASS);
	int other = load(BPF_PROG_TYPE_XDP, "other", XDP_PASS);
	struct xdp_state now;

	assert_int_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, red, -1), 0);
	assert_int_equal(xdp_query(lo, &now), 0);
	assert_int_equal(now.mode, XDP_MODE_GENERIC_SKB);
	assert_int_equal(now.role, XIPSEC_ROLE_PROTECTED);
	assert_int_equal(now.prog_id, session_prog_id(red));
	assert_int_not_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, other, -1), 0);
	assert_int_not_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, other, red2), 0);
	assert_int_not_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, -1, other), 0);
	assert_int_equal(xdp_query(lo, &now), 0);
	assert_int_equal(now.prog_id, session_prog_id(red));
	assert_int_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, red2, red), 0);
	assert_int_equal(xdp_query(lo, &now), 0);
	assert_int_equal(now.prog_id, session_prog_id(red2));
	assert_int_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, -1, red2), 0);
	assert_int_equal(xdp_query(lo, &now), 0);
	assert_int_equal(now.prog_id, 0);
	assert_int_equal(xdp_swap(lo, XDP_MODE_GENERIC_SKB, other, -1), 0);
	assert_int_equal(xdp_query(lo, &now), 0);
	assert_int_equal(now.role, XIPSEC_ROLE_NONE);
	assert_string_equal(now.prog_name, "other");
	close(red);
	close(red2);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tc_by_clsact),     cmocka_unit_test(tc_by_tcx),
		cmocka_unit_test(tcx_stands_first), cmocka_unit_test(clsact_of_another),
		cmocka_unit_test(xdp_expects),
	};

	session_quiet();
	if (unshare(CLONE_NEWNET)) {
		perror("unshare");
		return 1;
	}
	lo = if_nametoindex("lo");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
