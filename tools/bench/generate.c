// SPDX-License-Identifier: BSD-2-Clause
/*
 * The generator: live frames of BPF_PROG_TEST_RUN, redirected into a veth. One core gives more than
 * any gateway here takes, so what is measured is the gateway.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.skel.h"
#include "tools/bench/bench.h"
#include "tools/bench/frame.h"

#define BATCH  256
#define REPEAT (64 * BATCH) /* a call; short enough to stop in time */

static int run(int prog_fd, unsigned int ifindex, unsigned char *frame, size_t len, uint64_t end)
{
	struct xdp_md ctx = {.data_end = len, .ingress_ifindex = ifindex};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = &ctx,
		    .ctx_size_in = sizeof(ctx), .repeat = REPEAT, .batch_size = BATCH,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);

	while (!bench_stop && bench_now_ns() < end) {
		int err = bpf_prog_test_run_opts(prog_fd, &opts);

		if (err && err != -EINTR) {
			fprintf(stderr, "bench: live frames: %s\n", strerror(-err));
			return 1;
		}
	}
	return 0;
}

int bench_generate(int argc, char **argv)
{
	unsigned int ifindex = bench_ifindex(argv[0]), spare = bench_ifindex(argv[1]);
	const struct ether_addr *dst = ether_aton(argv[2]);
	size_t len = strtoul(argv[3], NULL, 10);
	uint64_t end = bench_now_ns() + (uint64_t)(atof(argv[4]) * 1e9);
	static unsigned char frame[FRAME_MAX];
	struct bench_bpf *skel;
	int prog_fd, err;

	if (!ifindex || !spare || !dst || len < FRAME_MIN || len > FRAME_MAX)
		return 2;
	skel = bench_load(ifindex, NULL);
	if (!skel)
		return 1;
	prog_fd = bpf_program__fd(skel->progs.bench_generate);
	/* A program that is attached nowhere costs each test run an RCU grace period (24 ms). */
	err = bpf_xdp_attach(spare, prog_fd, XDP_FLAGS_DRV_MODE, NULL);
	if (err)
		fprintf(stderr, "bench: %s: %s: the load will have gaps\n", argv[1],
			strerror(-err));
	frame_build(frame, len, dst);
	err = run(prog_fd, ifindex, frame, len, end);
	bpf_xdp_detach(spare, XDP_FLAGS_DRV_MODE, NULL);
	bench_bpf__destroy(skel);
	return err;
}
