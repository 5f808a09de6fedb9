// SPDX-License-Identifier: BSD-2-Clause
/*
 * Instructions a packet, in a guest whose clock counts them (idle.h): live frames of
 * BPF_PROG_TEST_RUN go through an XDP program as if they came in by an interface, in bursts; each
 * is over when the machine is quiet again.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.skel.h"
#include "tools/bench/bench.h"
#include "tools/bench/frame.h"
#include "tools/bench/idle.h"

#define BURST  256
#define BATCH  64 /* frames before the kernel passes on what it has, as a driver's poll */
#define WARMUP 4  /* bursts: caches of the kernel, of flows and of ours */

static int own_mac(const char *ifname, struct ether_addr *out)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), err = 0;
	struct ifreq ifr = {0};

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCGIFHWADDR, &ifr) < 0)
		err = -errno;
	close(fd);
	if (!err)
		memcpy(out, ifr.ifr_hwaddr.sa_data, sizeof(*out));
	return err;
}

/* The one on that interface, libxdp's dispatcher with it: ours alone could not be run. */
static int attached_program(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, query);
	int err = bpf_xdp_query((int)ifindex, 0, &query);

	if (err)
		return err;
	return query.prog_id ? bpf_prog_get_fd_by_id(query.prog_id) : -ENOENT;
}

static int one_burst(int prog_fd, struct xdp_md *ctx, unsigned char *frame, size_t len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .ctx_in = ctx,
		    .ctx_size_in = sizeof(*ctx), .repeat = BURST, .batch_size = BATCH,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES);
	int err;

	do
		err = bpf_prog_test_run_opts(prog_fd, &opts);
	while (err == -EINTR);
	return err;
}

static int bursts(const struct idle *idle, int prog_fd, struct xdp_md *ctx, unsigned char *frame,
		  size_t len, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		int err = one_burst(prog_fd, ctx, frame, len);

		if (err)
			return err;
		if (!idle_settle(idle))
			return -EBUSY;
	}
	return 0;
}

static int measure(int prog_fd, unsigned int ifindex, unsigned char *frame, size_t len,
		   unsigned int n)
{
	struct xdp_md ctx = {.data_end = (__u32)len, .ingress_ifindex = ifindex};
	struct idle_mark before;
	struct idle idle;
	int err = idle_start(&idle);

	if (err)
		return err;
	err = bursts(&idle, prog_fd, &ctx, frame, len, WARMUP);
	if (!err) {
		idle_mark(&idle, &before);
		err = bursts(&idle, prog_fd, &ctx, frame, len, n);
	}
	if (!err)
		printf("%.1f %u\n", idle_others(&idle, &before) / n / BURST, (n + WARMUP) * BURST);
	idle_stop(&idle);
	return err;
}

/* A descriptor of ours to close, or -errno. */
static int program(const struct bench_bpf *skel, const char *name, unsigned int ifindex)
{
	if (!strcmp(name, "attached"))
		return attached_program(ifindex);
	if (!strcmp(name, "pass"))
		return dup(bpf_program__fd(skel->progs.bench_pass));
	if (!strcmp(name, "reset"))
		return dup(bpf_program__fd(skel->progs.bench_reset));
	if (!strcmp(name, "drop"))
		return dup(bpf_program__fd(skel->progs.bench_drop));
	if (!strncmp(name, "redirect:", 9))
		return dup(bpf_program__fd(skel->progs.bench_generate));
	return -EINVAL;
}

int bench_insn(int argc, char **argv)
{
	unsigned int ifindex = bench_ifindex(argv[0]), spare = bench_ifindex(argv[1]), out = 0;
	size_t len = strtoul(argv[3], NULL, 10);
	unsigned int n = (unsigned int)strtoul(argv[4], NULL, 10);
	static unsigned char frame[FRAME_MAX];
	struct bench_bpf *skel;
	struct ether_addr mac;
	int prog_fd, err;

	if (!strncmp(argv[2], "redirect:", 9))
		out = bench_ifindex(argv[2] + 9);
	if (!ifindex || !spare || !n || len < FRAME_MIN || len > FRAME_MAX)
		return 2;
	err = own_mac(argv[0], &mac);
	frame_build(frame, len, &mac);
	skel = err ? NULL : bench_load(out, frame);
	if (!skel)
		return 1;
	prog_fd = program(skel, argv[2], ifindex);
	err = prog_fd < 0 ? prog_fd : 0;
	/* A program that is attached nowhere is put into the dispatcher and out of it, each run. */
	if (!err && strcmp(argv[2], "attached") != 0)
		err = bpf_xdp_attach((int)spare, prog_fd, XDP_FLAGS_DRV_MODE, NULL);
	err = err ? err : measure(prog_fd, ifindex, frame, len, n);
	if (err)
		fprintf(stderr, "bench: %s, %s: %s\n", argv[0], argv[2], strerror(-err));
	if (prog_fd >= 0)
		close(prog_fd);
	bpf_xdp_detach((int)spare, XDP_FLAGS_DRV_MODE, NULL);
	bench_bpf__destroy(skel);
	return err ? 1 : 0;
}

/* IDLE_INSTRUCTIONS a turn here too. */
static void loop(uint64_t turns)
{
	__asm__ volatile("1: .rept 14\n nop\n .endr\n dec %0\n jnz 1b" : "+r"(turns) : : "cc");
}

int bench_insn_check(int argc, char **argv)
{
	uint64_t instructions = strtoull(argv[0], NULL, 10);
	double expected = strtod(argv[1], NULL), got;
	struct idle_mark before;
	struct idle idle;

	if (instructions < 1000 * IDLE_INSTRUCTIONS || idle_start(&idle))
		return 1;
	idle_settle(&idle);
	idle_mark(&idle, &before);
	loop(instructions / IDLE_INSTRUCTIONS);
	idle_settle(&idle);
	got = idle_others(&idle, &before);
	idle_stop(&idle);
	printf("%.0f\n", got);
	if (got > expected * 0.99 && got < expected * 1.01)
		return 0;
	fprintf(stderr, "bench: %.0f instructions measured, %.0f expected\n", got, expected);
	return 1;
}
