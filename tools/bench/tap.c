// SPDX-License-Identifier: BSD-2-Clause
/* The way out of the gateways whose instructions are counted: the same TAP for all, unread. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <net/ethernet.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "tools/bench/bench.h"

static int open_tap(const char *ifname)
{
	struct ifreq ifr = {.ifr_flags = IFF_TAP | IFF_NO_PI};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0) {
		fprintf(stderr, "bench: %s: %s\n", ifname, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	return fd;
}

int bench_tap(int argc, char **argv)
{
	unsigned long left = strtoul(argv[1], NULL, 10);
	unsigned char frame[4096];
	int fd = open_tap(argv[0]);

	if (fd < 0)
		return 1;
	while (left) {
		const struct ether_header *eth = (void *)frame;
		const struct iphdr *ip = (void *)(eth + 1);
		ssize_t n = read(fd, frame, sizeof(frame));

		if (n < 0)
			break;
		if ((size_t)n < sizeof(*eth) + sizeof(*ip) ||
		    eth->ether_type != htons(ETHERTYPE_IP))
			continue;
		printf("%zd %u\n", n, ip->protocol);
		fflush(stdout);
		left--;
	}
	while (!bench_stop)
		pause();
	close(fd);
	return 0;
}
