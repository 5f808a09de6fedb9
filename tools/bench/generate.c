// SPDX-License-Identifier: BSD-2-Clause
/*
 * The generator: live frames of BPF_PROG_TEST_RUN, redirected into a veth. One core gives more than
 * any gateway here takes, so what is measured is the gateway.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/ethernet.h>
#include <netinet/ether.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "bench.skel.h"
#include "tools/bench/bench.h"

#define FRAME_MIN (sizeof(struct ether_header) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define FRAME_MAX 3400
#define BATCH     256
#define REPEAT    (64 * BATCH) /* a call; short enough to stop in time */

static uint16_t ip_checksum(const void *header)
{
	const uint16_t *word = header;
	uint32_t sum = 0;

	for (int i = 0; i < 10; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

/* 10.1.0.2 to 10.2.0.2, UDP without checksum: a frame of `len` bytes, no FCS. */
static void build_frame(unsigned char *frame, size_t len, const struct ether_addr *dst)
{
	struct ether_header *eth = (void *)frame;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);

	memset(frame, 0, len);
	memcpy(eth->ether_dhost, dst, 6);
	memcpy(eth->ether_shost, "\x02\0\0\0\0\x01", 6);
	eth->ether_type = htons(ETHERTYPE_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tot_len = htons(len - sizeof(*eth));
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = htonl(0x0a010002);
	ip->daddr = htonl(0x0a020002);
	ip->check = ip_checksum(ip);
	udp->source = htons(9);
	udp->dest = htons(9);
	udp->len = htons(len - sizeof(*eth) - sizeof(*ip));
}

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
	skel = bench_load(ifindex);
	if (!skel)
		return 1;
	prog_fd = bpf_program__fd(skel->progs.bench_generate);
	/* A program that is attached nowhere costs each test run an RCU grace period (24 ms). */
	err = bpf_xdp_attach(spare, prog_fd, XDP_FLAGS_DRV_MODE, NULL);
	if (err)
		fprintf(stderr, "bench: %s: %s: the load will have gaps\n", argv[1],
			strerror(-err));
	build_frame(frame, len, dst);
	err = run(prog_fd, ifindex, frame, len, end);
	bpf_xdp_detach(spare, XDP_FLAGS_DRV_MODE, NULL);
	bench_bpf__destroy(skel);
	return err;
}
