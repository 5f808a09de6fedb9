/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A worker without a kernel, for tests of whole rounds: the "sockets" are memory files whose rings
 * the test fills and empties as the kernel would.
 */
#ifndef TESTS_UNIT_PIPELINE_FIXTURE_H
#define TESTS_UNIT_PIPELINE_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <arpa/inet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "lib/if_xdp.h"
#include "worker/crypto.h"
#include "worker/fragment.h"
#include "worker/loop.h"
#include "xipsec/meta.h"

enum {
	RED = 1,
	BLACK = 4,
	RING = 128,
	N_FRAMES = 512,
	SIZE = 2048,
	SA_OUT = 2,
	SA_IN = 3,
	N_SAS = 8,
	GEN = 5,
	SPD = 10,
	DESC_OFF = 256,
};

struct ring_mem {
	__u32 *producer, *consumer;
	void *desc;
};

struct port {
	__u32 slot;
	int fd;
	struct ring_mem rx, tx, fill, comp;
};

static struct {
	struct worker *w;
	int ctl; /* xipsecd's end */
	struct xipsec_sa_state *sas;
	struct xipsec_globals *globals;
	struct port red, black;
	__u8 sent[FRAME_JUMBO]; /* the last packet that tx() gave */
	__u32 parts;            /* frames that it lay in */
} t;

/* ------------------------------------------------------------------ a kernel of one's own */

static inline struct ring_mem map_ring(int fd, off_t off)
{
	__u8 *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);

	assert_true(p != MAP_FAILED);
	return (struct ring_mem){(__u32 *)p, (__u32 *)(p + 64), p + DESC_OFF};
}

static inline void port_new(struct port *port, __u32 slot)
{
	struct ctl_ring r = {.producer = 0, .consumer = 64, .flags = 128, .desc = DESC_OFF};
	struct ctl_in in = {.n_fds = 1};

	port->slot = slot;
	port->fd = memfd_create("port", MFD_CLOEXEC);
	assert_true(port->fd >= 0);
	assert_int_equal(ftruncate(port->fd, XDP_UMEM_PGOFF_COMPLETION_RING + 65536), 0);
	port->rx = map_ring(port->fd, XDP_PGOFF_RX_RING);
	port->tx = map_ring(port->fd, XDP_PGOFF_TX_RING);
	port->fill = map_ring(port->fd, XDP_UMEM_PGOFF_FILL_RING);
	port->comp = map_ring(port->fd, XDP_UMEM_PGOFF_COMPLETION_RING);
	r.size = RING;
	in.fd[0] = dup(port->fd);
	in.msg.xsk = (struct ctl_xsk){
		.hdr.type = XIPSEC_CTL_XSK, .slot = slot, .rx = r, .tx = r, .fill = r, .comp = r};
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_int_equal(in.fd[0], -1);
	in.msg.xsk_ref =
		(struct ctl_xsk_ref){.hdr.type = XIPSEC_CTL_XSK_BOUND, .slot = slot, .queue = 0};
	assert_int_equal(worker_message(t.w, &in), 0);
}

static inline struct xipsec_meta meta_of(__u8 dir)
{
	return (struct xipsec_meta){
		.magic = XIPSEC_META_MAGIC,
		.abi = XIPSEC_ABI,
		.dir = dir,
		.l3_off = 14,
		.sa_index = dir == XIPSEC_DIR_OUT ? SA_OUT : SA_IN,
		.sa_generation = GEN,
		.spd_generation = SPD,
		.l4_off = 34,
		.family = XIPSEC_FAMILY_IP4,
	};
}

/* Bytes that the kernel puts into one frame. */
#define FRAME_ROOM (SIZE - 256u)

/* A frame arrives: out of the fill ring, into the RX ring. Without `meta` no program has written a
 * verdict before it. */
static inline void rx_part(struct port *port, const void *frame, __u32 len,
			   const struct xipsec_meta *meta, __u32 options)
{
	struct xdp_desc *desc = (struct xdp_desc *)port->rx.desc + (*port->rx.producer % RING);
	__u64 addr;

	assert_true(*port->fill.producer != *port->fill.consumer);
	addr = ((__u64 *)port->fill.desc)[*port->fill.consumer % RING];
	++*port->fill.consumer;
	memcpy(t.w->frames.umem + addr + 256, frame, len);
	if (meta)
		memcpy(t.w->frames.umem + addr + 256 - sizeof(*meta), meta, sizeof(*meta));
	*desc = (struct xdp_desc){.addr = addr + 256, .len = len, .options = options};
	++*port->rx.producer;
}

/* A packet arrives, in as many frames as it needs. */
static inline void rx(struct port *port, const void *packet, __u32 len,
		      const struct xipsec_meta *meta)
{
	const __u8 *at = packet;

	for (; len > FRAME_ROOM; at += FRAME_ROOM, len -= FRAME_ROOM, meta = NULL)
		rx_part(port, at, FRAME_ROOM, meta, XDP_PKT_CONTD);
	rx_part(port, at, len, meta, 0);
}

/* Sends what stands in the TX ring; gives the length of the last packet, 0: none. */
static inline __u32 tx(struct port *port)
{
	__u32 len = 0;
	bool goes_on = false;

	while (*port->tx.consumer != *port->tx.producer) {
		const struct xdp_desc *desc =
			(struct xdp_desc *)port->tx.desc + (*port->tx.consumer % RING);

		if (!goes_on)
			len = t.parts = 0;
		assert_true(desc->len > 0 && len + desc->len <= sizeof(t.sent));
		memcpy(t.sent + len, t.w->frames.umem + desc->addr, desc->len);
		len += desc->len;
		t.parts++;
		goes_on = desc->options & XDP_PKT_CONTD;
		((__u64 *)port->comp.desc)[*port->comp.producer % RING] = desc->addr;
		++*port->comp.producer;
		++*port->tx.consumer;
	}
	assert_false(goes_on);
	return len;
}

static inline void go_round(void)
{
	worker_round(t.w);
	assert_int_equal(worker_housekeep(t.w, true), 0);
	worker_round(t.w);
	assert_int_equal(worker_check(t.w), 0);
}

static inline __u64 count(enum xipsec_reason reason)
{
	return t.w->stats->reason[reason].packets;
}

/* ------------------------------------------------------------------ a worker */

static inline int memory(size_t size, void **map)
{
	int fd = memfd_create("test", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, size), 0);
	if (map) {
		*map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_true(*map != MAP_FAILED);
	}
	return fd;
}

/* Of the interfaces and routes that are told. */
static __u32 fixture_mtu = 1500;

static inline void tell_dev_mtu(__u32 slot, __u32 role, __u32 mtu)
{
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = slot,
					.role = role,
					.mtu = mtu,
					.up = 1,
					.ip4.word[0] = inet_addr("10.1.0.254")}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

static inline void tell_dev(__u32 slot, __u32 role)
{
	tell_dev_mtu(slot, role, fixture_mtu);
}

/* Of the next SAs that are told; 0 but for those of a tunnel. */
static __u32 fixture_sa_if_id;

/* The message that gives the worker an SA, to be changed before it is told. */
static inline struct ctl_in sa_message(__u32 index, __u8 dir)
{
	struct ctl_in in = {.msg.sa = {.hdr.type = XIPSEC_CTL_SA,
				       .index = index,
				       .generation = GEN,
				       .sa = {
					       .src.word[0] = inet_addr("192.0.2.1"),
					       .dst.word[0] = inet_addr("192.0.2.2"),
					       .spi = htonl(0x1001),
					       .outer_family = XIPSEC_FAMILY_IP4,
					       .l4_proto = IPPROTO_ESP,
					       .dir = dir,
					       .mode = XIPSEC_MODE_TUNNEL,
					       .engine = XIPSEC_ENGINE_AFXDP,
					       .alg = XIPSEC_ALG_AES128GCM16,
					       .window = 1024,
					       .key_len = 20,
					       .key = {9, 8, 7},
					       .n_selectors = 1,
					       .if_id = fixture_sa_if_id,
				       }}};
	struct xipsec_selector *sel = &in.msg.sa.sa.selector[0];

	memset(&sel->local_hi, 0xff, sizeof(sel->local_hi));
	memset(&sel->remote_hi, 0xff, sizeof(sel->remote_hi));
	sel->local_port_hi = sel->remote_port_hi = sel->icmp_hi = XIPSEC_PORT_MAX;
	sel->any_proto = 1;
	return in;
}

static inline void tell_sa(__u32 index, __u8 dir)
{
	struct ctl_in in = sa_message(index, dir);

	t.sas[index] = (struct xipsec_sa_state){
		.generation = GEN,
		.status = XIPSEC_SA_LIVE,
		.seq_limit = 1 << 20,
		.window = 1024,
	};
	assert_int_equal(worker_message(t.w, &in), 0);
}

static inline void tell_hop(const char *dst, __u32 status, __u32 slot)
{
	struct ctl_in in = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					    .dst.word[0] = inet_addr(dst),
					    .family = XIPSEC_FAMILY_IP4,
					    .status = status,
					    .slot = slot,
					    .mtu = fixture_mtu,
					    .src_mac = {2, 0, 0, 0, 0, slot},
					    .dst_mac = {2, 0, 0, 0, 1, slot},
					    .lifetime = 60}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

static inline void tell_hop6(const char *dst, __u32 status, __u32 slot)
{
	struct ctl_in in = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					    .family = XIPSEC_FAMILY_IP6,
					    .status = status,
					    .slot = slot,
					    .mtu = fixture_mtu,
					    .lifetime = 60}};

	assert_int_equal(inet_pton(AF_INET6, dst, in.msg.nexthop.dst.byte), 1);
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* The next piece of a datagram of this host's own, as the stack cuts it, goes to the SA. */
static inline void take_own_piece(struct fragment_cut *cut, __u32 index, __u32 generation)
{
	struct work work = {.p.flags = PACKET_LOCAL,
			    .p.family = XIPSEC_FAMILY_IP4,
			    .p.frame = frame_take(&t.w->frames),
			    .p.headroom = 200,
			    .bytes = 100,
			    .dir = XIPSEC_DIR_OUT,
			    .sa_index = index,
			    .sa_generation = generation,
			    .spd_generation = SPD};
	struct work *works = &work;

	work.p.data = frame_at(&t.w->frames, work.p.frame) + 256;
	work.p.len = fragment_next(cut, work.p.data);
	work.p.tailroom = SIZE - 256 - work.p.len;
	pipeline_take(t.w, &works, 1);
}

static inline int setup(void **state)
{
	struct ctl_in in = {.n_fds = 5};
	struct ctl_in go = {.msg.hdr.type = XIPSEC_CTL_GO};
	int pair[2];

	memset(&t, 0, sizeof(t));
	assert_int_equal(crypto_init(), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
	t.ctl = pair[0];
	in.msg.hello = (struct ctl_hello){
		.hdr.type = XIPSEC_CTL_HELLO,
		.n_sas = N_SAS,
		.frame_size = SIZE,
		.n_frames = N_FRAMES,
		.multi_buffer = 1,
		.sa_state_size = N_SAS * sizeof(struct xipsec_sa_state),
		.sa_state_stride = sizeof(struct xipsec_sa_state),
		.stats_size = sizeof(struct xipsec_worker_stats),
		.stats_stride = sizeof(struct xipsec_worker_stats),
	};
	in.fd[0] = memory(N_FRAMES * SIZE, NULL);
	in.fd[1] = memory(N_FRAMES, NULL);
	in.fd[2] = memory(N_SAS * sizeof(*t.sas), (void **)&t.sas);
	in.fd[3] = memory(sizeof(struct xipsec_worker_stats), NULL);
	in.fd[4] = memory(sizeof(*t.globals), (void **)&t.globals);
	t.globals->spd_generation = SPD;
	assert_int_equal(worker_new(pair[1], &in, &t.w), 0);
	ctl_done(&in);
	tell_dev(RED, XIPSEC_ROLE_PROTECTED);
	tell_dev(BLACK, XIPSEC_ROLE_UNPROTECTED);
	port_new(&t.red, RED);
	port_new(&t.black, BLACK);
	tell_sa(SA_OUT, XIPSEC_DIR_OUT);
	tell_sa(SA_IN, XIPSEC_DIR_IN);
	assert_int_equal(worker_message(t.w, &go), 0);
	assert_int_equal(worker_housekeep(t.w, true), 0); /* the clock */
	assert_int_equal(*t.red.fill.producer - *t.red.fill.consumer, RING);
	assert_int_equal(worker_check(t.w), 0);
	return 0;
}

static inline int teardown(void **state)
{
	int ctl = t.w->ctl;

	worker_free(t.w);
	close(ctl);
	close(t.ctl);
	close(t.red.fd);
	close(t.black.fd);
	return 0;
}

static inline __u32 inner(__u8 *frame, __u32 payload, bool df)
{
	__u32 len = 14 + 20 + 8 + payload;
	__be16 words[10] = {htons(0x4500), htons(len - 14), 0, df ? htons(0x4000) : 0,
			    htons(64 << 8 | IPPROTO_UDP)};
	__u32 addr, sum = 0;
	const __be16 udp[4] = {htons(1), htons(2), htons(8 + payload), 0};

	memset(frame, 0, len);
	memcpy(frame, "\x02\x00\x00\x00\x00\x11\x02\x00\x00\x00\x00\x22\x08\x00", 14);
	addr = inet_addr("10.1.0.1");
	memcpy(&words[6], &addr, 4);
	addr = inet_addr("10.2.0.1");
	memcpy(&words[8], &addr, 4);
	for (int i = 0; i < 10; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	words[5] = ~(sum + (sum >> 16));
	memcpy(frame + 14, words, 20);
	memcpy(frame + 34, udp, 8);
	memset(frame + 42, 0x5a, payload);
	return len;
}

static inline void rx_inner(void)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);

	rx(&t.red, frame, len, &meta);
}

/* Seals one packet and leaves its frame in t.sent; gives its length. */
static inline __u32 seal_one(void)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_inner();
	go_round();
	return tx(&t.black);
}

static inline void rx_sealed(__u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	rx(&t.black, t.sent, len, &meta);
	go_round();
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
