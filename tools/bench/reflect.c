// SPDX-License-Identifier: BSD-2-Clause
/*
 * The least that AF_XDP can do between two interfaces: take a burst from one, write an Ethernet
 * header, give it to the other. No policy, no ESP. What the gateway's pipeline is measured against.
 *
 * HEAD and TAIL make it send frames of the size that ESP makes of them, as the kernel's part, by
 * far the greatest, depends on the bytes. What is in them is what lay there.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <netinet/ether.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <xdp/xsk.h>
#include "bench.skel.h"
#include "tools/bench/bench.h"
#include "worker/frames.h"

#define FRAMES       8192
#define FRAME_SIZE   2048
#define RING         2048
#define BURST        64
#define XDP_HEADROOM 256
#define TX_A_CALL    32 /* what the kernel sends in one sendto() in copy mode */

struct reflector {
	void *area;
	struct xsk_umem *umem;
	struct xsk_socket *in, *out;
	struct xsk_ring_prod fill, tx, fill_out;
	struct xsk_ring_cons comp, rx, comp_out;
	unsigned int in_flight; /* in the TX ring or not yet completed */
	struct ether_addr dst;
	unsigned int head, tail; /* bytes that each frame grows by, in front and behind */
};

static int open_sockets(struct reflector *r, const char *in, const char *out)
{
	const struct xsk_umem_config umem_config = {
		.fill_size = RING * 2,
		.comp_size = RING,
		.frame_size = FRAME_SIZE,
	};
	struct xsk_socket_config config = {
		.rx_size = RING,
		.tx_size = RING,
		.libxdp_flags = XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
		.bind_flags = XDP_USE_NEED_WAKEUP | XDP_COPY,
	};
	size_t size = (size_t)FRAMES * FRAME_SIZE;
	int err;

	r->area = mmap(NULL, size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (r->area == MAP_FAILED)
		return -errno;
	err = xsk_umem__create(&r->umem, r->area, size, &r->fill, &r->comp, &umem_config);
	if (err)
		return err;
	err = xsk_socket__create_shared(&r->in, in, 0, r->umem, &r->rx, NULL, &r->fill, &r->comp,
					&config);
	if (err)
		return err;
	return xsk_socket__create_shared(&r->out, out, 0, r->umem, NULL, &r->tx, &r->fill_out,
					 &r->comp_out, &config);
}

static void give_back(struct reflector *r)
{
	__u32 done, fill;
	unsigned int n = xsk_ring_cons__peek(&r->comp_out, BURST * 4, &done);

	if (!n || xsk_ring_prod__reserve(&r->fill, n, &fill) != n) {
		if (n)
			xsk_ring_cons__cancel(&r->comp_out, n);
		return;
	}
	for (unsigned int i = 0; i < n; i++)
		*xsk_ring_prod__fill_addr(&r->fill, fill + i) =
			*xsk_ring_cons__comp_addr(&r->comp_out, done + i);
	xsk_ring_prod__submit(&r->fill, n);
	xsk_ring_cons__release(&r->comp_out, n);
	r->in_flight -= n;
}

/* All lines that will be read or written, for they come from another core. */
static void fetch(struct reflector *r, __u32 rx, unsigned int n)
{
	for (unsigned int i = 0; i < n; i++) {
		const struct xdp_desc *in = xsk_ring_cons__rx_desc(&r->rx, rx + i);
		const __u8 *frame = xsk_umem__get_data(r->area, in->addr);

		prefetch_write(frame - r->head);
		prefetch_write(frame);
		if (r->tail)
			prefetch_write(frame + in->len + r->tail - 1);
	}
}

static void reflect_one(struct reflector *r, const struct xdp_desc *in, struct xdp_desc *out)
{
	__u8 *from = xsk_umem__get_data(r->area, in->addr), *to = from - r->head;

	if (r->head)
		memcpy(to + ETH_ALEN, from + ETH_ALEN, sizeof(struct ether_header) - ETH_ALEN);
	memcpy(to, &r->dst, sizeof(r->dst));
	*out = (struct xdp_desc){
		.addr = in->addr - r->head,
		.len = in->len + r->head + r->tail,
	};
}

static unsigned int forward(struct reflector *r)
{
	__u32 rx, tx;
	unsigned int n = xsk_ring_cons__peek(&r->rx, BURST, &rx);

	if (!n)
		return 0;
	if (xsk_ring_prod__reserve(&r->tx, n, &tx) != n) {
		xsk_ring_cons__cancel(&r->rx, n);
		return 0;
	}
	fetch(r, rx, n);
	for (unsigned int i = 0; i < n; i++)
		reflect_one(r, xsk_ring_cons__rx_desc(&r->rx, rx + i),
			    xsk_ring_prod__tx_desc(&r->tx, tx + i));
	xsk_ring_cons__release(&r->rx, n);
	xsk_ring_prod__submit(&r->tx, n);
	r->in_flight += n;
	return n;
}

static void loop(struct reflector *r)
{
	struct pollfd pfd = {.fd = xsk_socket__fd(r->in), .events = POLLIN};
	int out_fd = xsk_socket__fd(r->out);

	while (!bench_stop) {
		unsigned int n = forward(r);

		for (unsigned int sent = 0; sent < r->in_flight; sent += TX_A_CALL)
			sendto(out_fd, NULL, 0, MSG_DONTWAIT, NULL, 0);
		give_back(r);
		if (!n && !r->in_flight)
			poll(&pfd, 1, 100);
	}
}

int bench_reflect(int argc, char **argv)
{
	static struct reflector r;
	const struct ether_addr *dst = ether_aton(argv[2]);
	unsigned int ifindex = bench_ifindex(argv[0]);
	struct bench_bpf *skel;
	__u32 zero = 0, fill = 0;
	int err, fd;

	r.head = strtoul(argv[3], NULL, 10);
	r.tail = strtoul(argv[4], NULL, 10);
	if (!dst || !ifindex || r.head > XDP_HEADROOM || r.tail > FRAME_SIZE / 4)
		return 2;
	r.dst = *dst;
	skel = bench_load(0, NULL);
	if (!skel)
		return 1;
	err = bpf_xdp_attach(ifindex, bpf_program__fd(skel->progs.bench_reflect),
			     XDP_FLAGS_DRV_MODE, NULL);
	err = err ? err : open_sockets(&r, argv[0], argv[1]);
	if (!err) {
		xsk_ring_prod__reserve(&r.fill, RING * 2, &fill);
		for (unsigned int i = 0; i < RING * 2; i++)
			*xsk_ring_prod__fill_addr(&r.fill, fill + i) = (__u64)i * FRAME_SIZE;
		xsk_ring_prod__submit(&r.fill, RING * 2);
		fd = xsk_socket__fd(r.in);
		err = bpf_map_update_elem(bpf_map__fd(skel->maps.sockets), &zero, &fd, 0);
	}
	if (err)
		fprintf(stderr, "bench: reflector: %s\n", strerror(-err));
	else
		loop(&r);
	bpf_xdp_detach(ifindex, XDP_FLAGS_DRV_MODE, NULL);
	bench_bpf__destroy(skel);
	return err ? 1 : 0;
}
