// SPDX-License-Identifier: BSD-2-Clause
/* The far end: counts what arrives, drops it, and tells rate, size, and what it cost a process. */
#include <bpf/bpf.h>
#include <linux/if_link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.skel.h"
#include "tools/bench/bench.h"

struct count {
	uint64_t packets, bytes;
};

static int read_count(int map_fd, struct count *out)
{
	int n = libbpf_num_possible_cpus();
	struct count *percpu;
	uint32_t zero = 0;
	int err;

	if (n < 1)
		return n;
	percpu = calloc(n, sizeof(*percpu));
	if (!percpu)
		return -1;
	err = bpf_map_lookup_elem(map_fd, &zero, percpu);
	memset(out, 0, sizeof(*out));
	for (int i = 0; i < n; i++) {
		out->packets += percpu[i].packets;
		out->bytes += percpu[i].bytes;
	}
	free(percpu);
	return err;
}

/* Nanoseconds that a process has run, softirqs in its system calls included; 0 on failure. The
 * kernel writes it at ticks and switches: a few milliseconds wrong. */
static uint64_t cpu_ns(const char *pid)
{
	unsigned long long ns = 0;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/schedstat", pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%llu", &ns) != 1)
		ns = 0;
	fclose(file);
	return ns;
}

static void tell(const struct count *before, const struct count *after, double seconds, double ns)
{
	double packets = after->packets - before->packets;

	printf("%.0f %.1f %.1f\n", packets / seconds,
	       packets > 0 ? (after->bytes - before->bytes) / packets : 0,
	       packets > 0 ? ns / packets : 0);
}

int bench_sink(int argc, char **argv)
{
	unsigned int ifindex = bench_ifindex(argv[0]);
	struct count before, after;
	struct bench_bpf *skel;
	uint64_t start, ran;
	double seconds;
	int err, map_fd;

	skel = ifindex ? bench_load(0, NULL) : NULL;
	if (!skel)
		return 1;
	err = bpf_xdp_attach(ifindex, bpf_program__fd(skel->progs.bench_sink), XDP_FLAGS_DRV_MODE,
			     NULL);
	if (err) {
		fprintf(stderr, "bench: %s: XDP: %s\n", argv[0], strerror(-err));
		bench_bpf__destroy(skel);
		return 1;
	}
	map_fd = bpf_map__fd(skel->maps.sunk);
	usleep(strtoul(argv[1], NULL, 10) * 1000);
	start = bench_now_ns();
	ran = cpu_ns(argv[3]);
	err = read_count(map_fd, &before);
	usleep(strtoul(argv[2], NULL, 10) * 1000);
	seconds = (bench_now_ns() - start) / 1e9;
	ran = cpu_ns(argv[3]) - ran;
	err = err ? err : read_count(map_fd, &after);
	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	bench_bpf__destroy(skel);
	if (err)
		return 1;
	tell(&before, &after, seconds, ran);
	return 0;
}
