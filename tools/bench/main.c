// SPDX-License-Identifier: BSD-2-Clause
#include <errno.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "bench.skel.h"
#include "tools/bench/bench.h"

volatile int bench_stop;

static const struct {
	const char *name, *args;
	int argc;
	int (*run)(int argc, char **argv);
} commands[] = {
	{"generate", "IFNAME SPARE DST_MAC FRAME_BYTES SECONDS", 5, bench_generate},
	{"sink", "IFNAME WARMUP_MS MEASURE_MS PID", 4, bench_sink},
	{"insn", "IFNAME SPARE PROGRAM FRAME_BYTES BURSTS", 5, bench_insn},
	{"insn-check", "INSTRUCTIONS EXPECTED", 2, bench_insn_check},
	{"tap", "IFNAME FRAMES", 2, bench_tap},
	{"reflect", "RX_IFNAME TX_IFNAME DST_MAC HEAD_BYTES TAIL_BYTES", 5, bench_reflect},
};

struct bench_bpf *bench_load(unsigned int out_ifindex, const unsigned char *head)
{
	struct bench_bpf *skel = bench_bpf__open();

	if (!skel) {
		fprintf(stderr, "bench: programs do not open: %s\n", strerror(errno));
		return NULL;
	}
	skel->rodata->opt_out_ifindex = out_ifindex;
	if (head)
		memcpy((void *)skel->rodata->opt_head, head, sizeof(skel->rodata->opt_head));
	if (bench_bpf__load(skel)) {
		fprintf(stderr, "bench: programs do not load: %s\n", strerror(errno));
		bench_bpf__destroy(skel);
		return NULL;
	}
	return skel;
}

unsigned int bench_ifindex(const char *ifname)
{
	unsigned int ifindex = if_nametoindex(ifname);

	if (!ifindex)
		fprintf(stderr, "bench: no interface %s here\n", ifname);
	return ifindex;
}

uint64_t bench_now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ull + ts.tv_nsec;
}

static void on_signal(int sig)
{
	bench_stop = 1;
}

int main(int argc, char **argv)
{
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (argc == commands[i].argc + 2 && !strcmp(argv[1], commands[i].name))
			return commands[i].run(argc - 2, argv + 2);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		fprintf(stderr, "usage: xipsec-bench %s %s\n", commands[i].name, commands[i].args);
	return 2;
}
