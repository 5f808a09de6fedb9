// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole rounds of a worker without a kernel: the "sockets" are memory files whose rings this test
 * fills and empties as the kernel would. Every case asserts the reason, and that no frame is lost.
 */
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
#include <linux/if_xdp.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "worker/crypto.h"
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
	__u8 sent[2048]; /* the last frame that tx() gave */
} t;

/* ------------------------------------------------------------------ a kernel of one's own */

static struct ring_mem map_ring(int fd, off_t off)
{
	__u8 *p = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, off);

	assert_true(p != MAP_FAILED);
	return (struct ring_mem){(__u32 *)p, (__u32 *)(p + 64), p + DESC_OFF};
}

static void port_new(struct port *port, __u32 slot)
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

static struct xipsec_meta meta_of(__u8 dir)
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

/* A frame arrives: out of the fill ring, into the RX ring. */
static void rx(struct port *port, const void *frame, __u32 len, const struct xipsec_meta *meta)
{
	struct xdp_desc *desc = (struct xdp_desc *)port->rx.desc + (*port->rx.producer % RING);
	__u64 addr;

	assert_true(*port->fill.producer != *port->fill.consumer);
	addr = ((__u64 *)port->fill.desc)[*port->fill.consumer % RING];
	++*port->fill.consumer;
	memcpy(t.w->frames.umem + addr + 256, frame, len);
	memcpy(t.w->frames.umem + addr + 256 - sizeof(*meta), meta, sizeof(*meta));
	*desc = (struct xdp_desc){.addr = addr + 256, .len = len};
	++*port->rx.producer;
}

/* Sends what stands in the TX ring; gives the length of the last frame, 0: none. */
static __u32 tx(struct port *port)
{
	__u32 len = 0;

	while (*port->tx.consumer != *port->tx.producer) {
		const struct xdp_desc *desc =
			(struct xdp_desc *)port->tx.desc + (*port->tx.consumer % RING);

		len = desc->len;
		memcpy(t.sent, t.w->frames.umem + desc->addr, len);
		((__u64 *)port->comp.desc)[*port->comp.producer % RING] = desc->addr;
		++*port->comp.producer;
		++*port->tx.consumer;
	}
	return len;
}

static void go_round(void)
{
	worker_round(t.w);
	assert_int_equal(worker_housekeep(t.w, true), 0);
	worker_round(t.w);
	assert_int_equal(worker_check(t.w), 0);
}

static __u64 count(enum xipsec_reason reason)
{
	return t.w->stats->reason[reason].packets;
}

/* ------------------------------------------------------------------ a worker */

static int memory(size_t size, void **map)
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

static void tell_dev(__u32 slot, __u32 role)
{
	struct ctl_in in = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV,
					.slot = slot,
					.role = role,
					.mtu = 1500,
					.up = 1,
					.ip4.word[0] = inet_addr("10.1.0.254")}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

static void tell_sa(__u32 index, __u8 dir)
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
				       }}};
	struct xipsec_selector *sel = &in.msg.sa.sa.selector[0];

	sel->local_port_hi = sel->remote_port_hi = sel->icmp_hi = XIPSEC_PORT_MAX;
	sel->any_proto = 1;
	t.sas[index] = (struct xipsec_sa_state){
		.generation = GEN,
		.status = XIPSEC_SA_LIVE,
		.seq_limit = 1 << 20,
		.window = 1024,
	};
	assert_int_equal(worker_message(t.w, &in), 0);
}

static void tell_hop(const char *dst, __u32 status, __u32 slot)
{
	struct ctl_in in = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					    .dst.word[0] = inet_addr(dst),
					    .family = XIPSEC_FAMILY_IP4,
					    .status = status,
					    .slot = slot,
					    .mtu = 1500,
					    .src_mac = {2, 0, 0, 0, 0, slot},
					    .dst_mac = {2, 0, 0, 0, 1, slot},
					    .lifetime = 60}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

static int setup(void **state)
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

static int teardown(void **state)
{
	int ctl = t.w->ctl;

	worker_free(t.w);
	close(ctl);
	close(t.ctl);
	close(t.red.fd);
	close(t.black.fd);
	return 0;
}

static __u32 inner(__u8 *frame, __u32 payload, bool df)
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

static void rx_inner(void)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);

	rx(&t.red, frame, len, &meta);
}

/* Seals one packet and leaves its frame in t.sent; gives its length. */
static __u32 seal_one(void)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_inner();
	go_round();
	return tx(&t.black);
}

static void rx_sealed(__u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	rx(&t.black, t.sent, len, &meta);
	go_round();
}

/* ------------------------------------------------------------------ cases */

static void seals_and_addresses(void **state)
{
	__u32 len = seal_one();

	/* 20 outer + 8 + 8 + (92 + 2 padded to 4) + 16 */
	assert_int_equal(len, 14 + 20 + 8 + 8 + 96 + 16);
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x01\x04\x02\x00\x00\x00\x00\x04\x08\x00", 14);
	assert_int_equal(t.sent[14 + 9], IPPROTO_ESP);
	assert_memory_equal(t.sent + 34, "\x00\x00\x10\x01\x00\x00\x00\x01", 8);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(t.w->stats->reason[XIPSEC_REASON_SEALED].bytes, 14 + 92);
	assert_int_equal(tx(&t.red), 0);
}

static void opens_and_addresses(void **state)
{
	__u8 want[2048];
	__u32 len = seal_one();

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	inner(want, 64, false);
	assert_int_equal(tx(&t.red), 14 + 92);
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x01\x01\x02\x00\x00\x00\x00\x01\x08\x00", 14);
	assert_int_equal(t.sent[14 + 8], 62); /* each gateway forwards once */
	assert_memory_equal(t.sent + 26, want + 26, 92 - 12);
}

static void replay_is_dropped(void **state)
{
	__u8 copy[2048];
	__u32 len = seal_one();

	memcpy(copy, t.sent, len);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_sealed(len);
	tx(&t.red);
	memcpy(t.sent, copy, len);
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	assert_int_equal(count(XIPSEC_REASON_REPLAY), 1);
	assert_int_equal(tx(&t.red), 0);
}

static void inner_goes_to_red_alone(void **state)
{
	static const struct {
		__u32 status, slot;
		enum xipsec_reason reason;
	} hops[] = {
		{XIPSEC_NEXTHOP_OK, BLACK, XIPSEC_REASON_INNER_BLACK},
		{XIPSEC_NEXTHOP_OK, 9, XIPSEC_REASON_NO_ROUTE}, /* no such interface */
		{XIPSEC_NEXTHOP_LOCAL, 0, XIPSEC_REASON_INNER_LOCAL},
		{XIPSEC_NEXTHOP_NO_ROUTE, 0, XIPSEC_REASON_NO_ROUTE},
		{XIPSEC_NEXTHOP_NO_NEIGH, 0, XIPSEC_REASON_NO_NEIGH},
	};

	for (size_t i = 0; i < sizeof(hops) / sizeof(hops[0]); i++) {
		__u32 len = seal_one();
		__u64 before = count(hops[i].reason);

		tell_hop("10.2.0.1", hops[i].status, hops[i].slot);
		rx_sealed(len);
		assert_int_equal(count(hops[i].reason), before + 1);
		assert_int_equal(tx(&t.red), 0);
		assert_int_equal(tx(&t.black), 0);
	}
}

static void lies_in_metadata(void **state)
{
	struct xipsec_meta good = meta_of(XIPSEC_DIR_OUT), bad[12];
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);
	int n = 0;

	for (int i = 0; i < 12; i++)
		bad[i] = good;
	bad[n++].magic = 0;
	bad[n++].abi = XIPSEC_ABI + 1;
	bad[n++].dir = 0;
	bad[n++].dir = XIPSEC_DIR_IN; /* of an outbound SA */
	bad[n++].sa_index = N_SAS;
	bad[n++].sa_index = ~0u;
	bad[n++].family = 0;
	bad[n++].l3_off = 13;
	bad[n++].l3_off = 255;
	bad[n++].l4_off = 14;
	bad[n++].l4_off = len + 1;
	bad[n++].l4_off = 65535;
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (int i = 0; i < n; i++) {
		rx(&t.red, frame, len, &bad[i]);
		go_round();
		assert_int_equal(count(XIPSEC_REASON_BAD_META), i + 1);
		assert_int_equal(tx(&t.black), 0);
	}
	/* cut short behind the verdict's back */
	rx(&t.red, frame, 33, &good);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_BAD_META), n + 1);
	rx(&t.red, frame, len - 1, &good);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_MALFORMED_IP4), 1);
}

static void stale_verdicts(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 64, false);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	meta.sa_generation = GEN - 1;
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	meta = meta_of(XIPSEC_DIR_OUT);
	meta.sa_index = 0; /* none there */
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 2);
	meta = meta_of(XIPSEC_DIR_OUT);
	meta.spd_generation = SPD - 1;
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 3);
	meta.spd_generation = SPD + 1; /* the switch comes before the announcement */
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 3);
	assert_true(tx(&t.black) > 0);
	t.sas[SA_OUT].generation = GEN + 1; /* xipsecd is faster than its message */
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 4);
	assert_int_equal(tx(&t.black), 0);
}

/* Waiting comes before sealing: no number is held back. */
static void waits_for_the_next_hop(void **state)
{
	struct ctl_nexthop ask;

	for (int i = 0; i < HELD_PER_DST + 3; i++)
		rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_NO_NEIGH), 3);
	assert_int_equal(nexthops_held(t.w->nhs), HELD_PER_DST);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	/* two sockets were mapped, and READY came first */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT),
				 sizeof(struct ctl_xsk_ref));
		assert_int_equal(ask.hdr.type, XIPSEC_CTL_XSK_MAPPED);
	}
	assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT), sizeof(struct ctl_hdr));
	assert_int_equal(recv(t.ctl, &ask, sizeof(ask), MSG_DONTWAIT), sizeof(ask));
	assert_int_equal(ask.hdr.type, XIPSEC_CTL_NEXTHOP_ASK);
	assert_int_equal(ask.dst.word[0], inet_addr("192.0.2.2"));
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), HELD_PER_DST);
	assert_int_equal(t.sas[SA_OUT].seq, HELD_PER_DST);
	assert_true(tx(&t.black) > 0);
}

static void gone_sa_takes_its_packets(void **state)
{
	struct ctl_in gone = {
		.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = SA_OUT, .generation = GEN}};
	union ctl_msg answer;

	rx_inner();
	go_round();
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	while (recv(t.ctl, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
		;
	assert_int_equal(worker_message(t.w, &gone), 0);
	assert_int_equal(nexthops_held(t.w->nhs), 0);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	assert_int_equal(recv(t.ctl, &answer, sizeof(answer), MSG_DONTWAIT),
			 sizeof(struct ctl_sa_ref));
	assert_int_equal(answer.hdr.type, XIPSEC_CTL_SA_GONE_OK);
	assert_int_equal(answer.sa_ref.index, SA_OUT);
	assert_int_equal(answer.sa_ref.generation, GEN);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 2);
	assert_int_equal(tx(&t.black), 0);
}

static void stop_is_told_once(void **state)
{
	union ctl_msg answer;
	int told = 0;

	t.sas[SA_OUT].seq = 0xffffffff - 1;
	t.sas[SA_OUT].seq_limit = ~0ull;
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (int i = 0; i < 4; i++) {
		rx_inner();
		go_round();
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	assert_int_equal(count(XIPSEC_REASON_SEQ_END), 3);
	while (recv(t.ctl, &answer, sizeof(answer), MSG_DONTWAIT) > 0)
		told += answer.hdr.type == XIPSEC_CTL_SA_STOPPED;
	assert_int_equal(told, 1);
}

static void too_big_is_answered(void **state)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u8 frame[2048];
	__u32 len = inner(frame, 1472, true), addr = inet_addr("10.1.0.254");

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	rx(&t.red, frame, len, &meta);
	go_round();
	assert_int_equal(tx(&t.black), 0);
	assert_true(tx(&t.red) > 14 + 28);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	/* back to where it came from */
	assert_memory_equal(t.sent, "\x02\x00\x00\x00\x00\x22\x02\x00\x00\x00\x00\x11\x08\x00", 14);
	assert_memory_equal(t.sent + 26, &addr, 4);
	assert_int_equal(t.sent[14 + 9], IPPROTO_ICMP);
	assert_memory_equal(t.sent + 34, "\x03\x04", 2);
}

static void full_ring_drops(void **state)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	/* nobody takes from black's TX ring */
	for (int i = 0; i < RING + 10; i++) {
		rx_inner();
		go_round();
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), RING);
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 10);
	assert_true(tx(&t.black) > 0);
	go_round();
	rx_inner();
	go_round();
	assert_int_equal(count(XIPSEC_REASON_SEALED), RING + 1);
}

static void closed_devices_give_back(void **state)
{
	struct ctl_in gone = {.msg.dev = {.hdr.type = XIPSEC_CTL_DEV_GONE, .slot = BLACK}};
	__u32 before;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	before = t.w->frames.n_free;
	assert_int_equal(worker_message(t.w, &gone), 0);
	assert_int_equal(worker_check(t.w), 0);
	rx_inner();
	go_round();
	/* the next hop is forgotten: it waits */
	assert_int_equal(nexthops_held(t.w->nhs), 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	frames_wake(&t.w->frames, t.w->now_ms + FRAME_REST_MS + 1000);
	/* the fill ring's of black, less what red's took since */
	assert_true(t.w->frames.n_free >= before + RING - 2);
	assert_int_equal(worker_check(t.w), 0);
}

static void malformed_messages_end_it(void **state)
{
	struct ctl_in in;
	struct ctl_sa_ref ref = {.index = 1};

	assert_int_equal(ctl_send(t.ctl, XIPSEC_CTL_SA_GONE, &ref, sizeof(ref) - 1), 0);
	assert_int_equal(worker_housekeep(t.w, true), -EPROTO);
	assert_int_equal(ctl_send(t.ctl, XIPSEC_CTL_READY, &ref, sizeof(ref)), 0);
	assert_int_equal(worker_housekeep(t.w, true), -EPROTO);
	ref.hdr = (struct ctl_hdr){XIPSEC_CTL_SA_GONE, XIPSEC_ABI + 1, sizeof(ref)};
	assert_int_equal(send(t.ctl, &ref, sizeof(ref), 0), sizeof(ref));
	assert_int_equal(worker_housekeep(t.w, true), -EPROTO);
	in = (struct ctl_in){.msg.sa_ref = {.hdr.type = XIPSEC_CTL_SA_GONE, .index = N_SAS}};
	assert_int_equal(worker_message(t.w, &in), -EPROTO);
	in = (struct ctl_in){.msg.hdr.type = XIPSEC_CTL_GO};
	assert_int_equal(worker_message(t.w, &in), -EPROTO);
	shutdown(t.ctl, SHUT_RDWR);
	assert_int_equal(worker_housekeep(t.w, true), -EPIPE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(seals_and_addresses),       TEST(opens_and_addresses),
		TEST(replay_is_dropped),         TEST(inner_goes_to_red_alone),
		TEST(lies_in_metadata),          TEST(stale_verdicts),
		TEST(waits_for_the_next_hop),    TEST(gone_sa_takes_its_packets),
		TEST(stop_is_told_once),         TEST(too_big_is_answered),
		TEST(full_ring_drops),           TEST(closed_devices_give_back),
		TEST(malformed_messages_end_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
