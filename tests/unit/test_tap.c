// SPDX-License-Identifier: BSD-2-Clause
/*
 * Whole rounds of a worker with TAPs: the "TAP" is a socket pair that keeps frames apart, the other
 * end of which is the stack's. Every case asserts the reason, and that no frame is lost.
 */
#include "tests/unit/pipeline_fixture.h"

#include <linux/virtio_net.h>

enum {
	IF_ID = 7,
	TUN_OUT = 4,
	TUN_IN = 5,
	HOST_OUT = 6, /* transport mode */
	HOST_IN = 7,
	HDR = 10,
	ETH = 14,
};

static __u8 frame[70000], got[70000];

/* The stack's end of the TAP with that if_id. */
static int tap_new(__u32 if_id)
{
	struct ctl_in in = {
		.n_fds = 1,
		.msg.tap = {.hdr.type = XIPSEC_CTL_TAP, .if_id = if_id, .mac = {2, 9, 9, 9, 9, 9}}};
	int pair[2], size = 1 << 20;

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	in.fd[0] = pair[1];
	assert_int_equal(worker_message(t.w, &in), 0);
	assert_int_equal(in.fd[0], -1);
	return pair[0];
}

static void tell_tunnel_sa(__u32 index, __u8 dir)
{
	fixture_sa_if_id = IF_ID;
	tell_sa(index, dir);
	fixture_sa_if_id = 0;
}

static void seals_with(__u32 index, __u32 generation)
{
	struct ctl_in in = {.msg.tap_sa = {.hdr.type = XIPSEC_CTL_TAP_SA,
					   .if_id = IF_ID,
					   .index = index,
					   .generation = generation}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

/* A UDP packet of `payload` bytes as the guard sends it, at frame + HDR; gives its length. */
static __u32 host_frame(__u32 payload, bool df)
{
	const struct xipsec_tap_meta meta = {SA_OUT | XIPSEC_TAP_MARK, GEN, SPD};
	__u32 len = inner(frame + HDR, payload, df);

	memset(frame, 0, HDR);
	memcpy(frame + HDR, &meta, sizeof(meta));
	return len;
}

static void stack_sends(int fd, const void *data, __u32 len)
{
	assert_int_equal(send(fd, data, len, 0), len);
	go_round();
	go_round(); /* a queue found empty is left alone for some rounds */
	for (int i = 0; i < 10; i++)
		worker_round(t.w);
	assert_int_equal(worker_check(t.w), 0);
}

/* What the stack gets, 0: nothing. */
static __u32 stack_gets(int fd)
{
	ssize_t len = recv(fd, got, sizeof(got), MSG_DONTWAIT);

	return len < 0 ? 0 : (__u32)len;
}

static void set_meta(__u32 index, __u32 generation, __u32 spd)
{
	const struct xipsec_tap_meta meta = {index, generation, spd};

	memcpy(frame + HDR, &meta, sizeof(meta));
}

/* Samples that wait in the control channel; the last in *out. */
static unsigned int samples_told(struct ctl_sample *out)
{
	struct ctl_sample msg;
	unsigned int n = 0;
	ssize_t len;

	while ((len = recv(t.ctl, &msg, sizeof(msg), MSG_DONTWAIT)) > 0) {
		if (msg.hdr.type != XIPSEC_CTL_SAMPLE)
			continue;
		assert_int_equal(len, sizeof(msg));
		*out = msg;
		n++;
	}
	return n;
}

/* Nothing has been told; of that reason something may be told at once. */
static void tells_again(enum xipsec_reason reason)
{
	struct ctl_sample s;

	samples_told(&s);
	t.w->gates[reason] = (struct sample_gate){0};
	t.w->sample_tokens = 1000;
}

/* One drop was told: of the packet between these two, as it is inside, by the SA if there is one.
 */
static void told_inner(enum xipsec_reason reason, const char *src, const char *dst, __u32 sa)
{
	struct ctl_sample s;

	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.sample.reason, reason);
	assert_int_equal(s.sample.worker, 1);
	assert_int_equal(s.sample.inner, 1);
	assert_int_equal(s.sample.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(s.sample.src.word[0], inet_addr(src));
	assert_int_equal(s.sample.dst.word[0], inet_addr(dst));
	assert_int_equal(s.sample.l4_proto, IPPROTO_UDP);
	assert_int_equal(s.sample.sa_index, sa);
	assert_int_equal(s.sample.sa_generation, sa ? GEN : 0);
	assert_int_equal(s.sample.missed, 0);
}

/* ------------------------------------------------------------------ this host */

/* Out by the TAP: the length of what leaves by black. */
static __u32 goes_out(int fd, __u32 len)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	stack_sends(fd, frame, HDR + len);
	return tx(&t.black);
}

/* Out by the TAP, back in by black, and to the stack again: the same packet, its TTL too. */
static void there_and_back(void **state)
{
	int fd = tap_new(0);
	__u32 len = host_frame(64, false), sealed;

	sealed = goes_out(fd, len);
	assert_int_equal(sealed, ETH + 20 + 8 + 8 + 96 + 16);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	rx_sealed(sealed);
	assert_int_equal(count(XIPSEC_REASON_OPENED_LOCAL), 1);
	assert_int_equal(stack_gets(fd), HDR + len);
	assert_memory_equal(got, "\0\0\0\0\0\0\0\0\0\0", HDR);
	assert_memory_equal(got + HDR, "\x02\x09\x09\x09\x09\x09\x02\x09\x09\x09\x09\x09\x08\x00",
			    ETH);
	assert_memory_equal(got + HDR + ETH, frame + HDR + ETH, len - ETH);
	assert_int_equal(tx(&t.red), 0);
	close(fd);
}

/* As above, and a mark outside that no tunnel makes there (RFC 6040 4.2): told once, and taken. */
static void odd_congestion_marks_are_taken(void **state)
{
	struct ctl_sample s;
	int fd = tap_new(0);
	__u32 len = host_frame(64, false), sealed;

	sealed = goes_out(fd, len);
	t.sent[ETH + 1] |= 1;
	samples_told(&s);
	rx_sealed(sealed);
	assert_int_equal(count(XIPSEC_REASON_OPENED_ECN), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED_LOCAL), 0);
	assert_int_equal(stack_gets(fd), HDR + len);
	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_OPENED_ECN);
}

static void a_tag_is_passed_over(void **state)
{
	int fd = tap_new(0);
	__u32 len = host_frame(64, false);

	memmove(frame + HDR + 16, frame + HDR + 12, len - 12);
	memcpy(frame + HDR + 12, "\x81\x00\x00\x05", 4);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	stack_sends(fd, frame, HDR + len + 4);
	assert_int_equal(tx(&t.black), ETH + 20 + 8 + 8 + 96 + 16);
	close(fd);
}

/* Nothing is sealed but what the guard meant, and what it meant is still so. */
static void verdicts_are_checked(void **state)
{
	static const struct {
		__u32 index, generation, spd;
		enum xipsec_reason reason;
	} cases[] = {
		{SA_OUT, GEN, SPD, XIPSEC_REASON_BAD_META}, /* no mark */
		{SA_OUT | 0x7ac00000, GEN, SPD, XIPSEC_REASON_BAD_META},
		{0x70697802, 0x02023073, 0x73706978,
		 XIPSEC_REASON_BAD_META}, /* the TAP's own MAC */
		{SA_IN | XIPSEC_TAP_MARK, GEN, SPD, XIPSEC_REASON_BAD_META},
		{TUN_OUT | XIPSEC_TAP_MARK, GEN, SPD, XIPSEC_REASON_BAD_META}, /* a tunnel's */
		{N_SAS | XIPSEC_TAP_MARK, GEN, SPD, XIPSEC_REASON_BAD_META},
		{0xfffff | XIPSEC_TAP_MARK, GEN, SPD, XIPSEC_REASON_BAD_META},
		{7 | XIPSEC_TAP_MARK, GEN, SPD, XIPSEC_REASON_STALE_META}, /* a free place */
		{7 | XIPSEC_TAP_MARK, 0, SPD, XIPSEC_REASON_STALE_META},
		{SA_OUT | XIPSEC_TAP_MARK, GEN - 1, SPD, XIPSEC_REASON_STALE_META},
		{SA_OUT | XIPSEC_TAP_MARK, GEN, SPD - 1, XIPSEC_REASON_STALE_META},
	};
	struct ctl_sample s;
	int fd = tap_new(0);

	tell_tunnel_sa(TUN_OUT, XIPSEC_DIR_OUT);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 before = count(cases[i].reason);
		__u32 len = host_frame(64, false);

		set_meta(cases[i].index, cases[i].generation, cases[i].spd);
		tells_again(cases[i].reason);
		stack_sends(fd, frame, HDR + len);
		assert_int_equal(count(cases[i].reason), before + 1);
		assert_int_equal(samples_told(&s), 1);
		assert_int_equal(s.sample.reason, cases[i].reason);
		assert_int_equal(s.sample.src.word[0], inet_addr("10.1.0.1"));
		assert_int_equal(s.sample.dst.word[0], inet_addr("10.2.0.1"));
		assert_int_equal(s.sample.len, len);
		assert_int_equal(s.sample.inner, 1);
		assert_int_equal(tx(&t.black), 0);
	}
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	close(fd);
}

static __u64 drops(void)
{
	return count(XIPSEC_REASON_BAD_META) + count(XIPSEC_REASON_INNER_MALFORMED);
}

/* Ten a second of each reason, and how many there were between. */
static void many_are_not_told(void **state)
{
	struct ctl_sample s;
	int fd = tap_new(0);
	__u32 len = host_frame(64, false);

	set_meta(SA_OUT | XIPSEC_TAP_MARK, GEN - 1, SPD);
	tells_again(XIPSEC_REASON_STALE_META);
	stack_sends(fd, frame, HDR + len);
	told_inner(XIPSEC_REASON_STALE_META, "10.1.0.1", "10.2.0.1", 0);
	assert_in_range(t.w->gates[XIPSEC_REASON_STALE_META].next, 1, t.w->now_ms + 100);
	t.w->gates[XIPSEC_REASON_STALE_META].next = t.w->now_ms + 100000;
	for (int i = 0; i < 19; i++)
		stack_sends(fd, frame, HDR + len);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 20);
	assert_int_equal(samples_told(&s), 0);
	t.w->gates[XIPSEC_REASON_STALE_META].next = 0; /* that time has passed */
	stack_sends(fd, frame, HDR + len);
	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.sample.missed, 19);
	close(fd);
}

/* Each length of a cut frame ends once, as a drop, and is told without what it has not. */
static void cut_frames(void **state)
{
	struct ctl_sample s;
	int fd = tap_new(0);
	__u32 len = host_frame(64, false);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (__u32 cut = HDR; cut < HDR + len; cut++) {
		__u64 before = drops();

		tells_again(XIPSEC_REASON_BAD_META);
		tells_again(XIPSEC_REASON_INNER_MALFORMED);
		stack_sends(fd, frame, cut);
		if (drops() != before + 1)
			fail_msg("cut to %u bytes: %llu drops", cut, drops() - before);
		assert_int_equal(samples_told(&s), 1);
		assert_int_equal(s.sample.len, cut - HDR);
		assert_int_equal(s.sample.family, 0);
	}
	for (__u32 cut = 1; cut < HDR; cut++)
		stack_sends(fd, frame, cut);
	assert_int_equal(tx(&t.black), 0);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 0);
	close(fd);
}

/* A TCP packet with `payload` bytes, to be cut at `gso`; at frame. */
static __u32 tcp_frame(__u32 payload, __u16 gso)
{
	struct virtio_net_hdr hdr = {.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				     .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
				     .gso_size = gso,
				     .csum_start = ETH + 20,
				     .csum_offset = 16};
	__u32 len = host_frame(payload + 12, true); /* UDP's header and 12 more are TCP's */
	__u8 *tcp = frame + HDR + ETH + 20;

	memcpy(frame, &hdr, HDR);
	frame[HDR + ETH + 9] = IPPROTO_TCP;
	memset(tcp, 0, 20);
	tcp[12] = 5 << 4;
	tcp[13] = 0x10;
	return len;
}

/* Long ones, which do not fit one frame of the UMEM: in pieces that fit behind ESP. */
static void long_tcp_is_cut(void **state)
{
	/* 1500 - 20 - 8 - 8 - 16 = 1448, less 2: of that 40 are headers */
	const __u32 size = 1446 - 40;
	static const __u32 payloads[] = {1, 1400, 1406, 1407, 1448, 1900, 10000, 40000, 65535 - 40};
	int fd = tap_new(0);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < sizeof(payloads) / sizeof(payloads[0]); i++) {
		__u64 before = count(XIPSEC_REASON_SEALED);
		__u32 len = tcp_frame(payloads[i], 1448);

		stack_sends(fd, frame, HDR + len);
		assert_int_equal(count(XIPSEC_REASON_SEALED) - before,
				 (payloads[i] + size - 1) / size);
		assert_in_range(tx(&t.black), ETH + 20 + 16 + 40, ETH + 1500);
		go_round();
	}
	assert_int_equal(drops() + count(XIPSEC_REASON_TX_FULL) + count(XIPSEC_REASON_TOO_BIG), 0);
	close(fd);
}

/* More segments than the pool has frames: some are sealed, the rest is counted. */
static void pool_runs_dry(void **state)
{
	int fd = tap_new(0);
	__u32 len = tcp_frame(60000, 100);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	t.w->gates[XIPSEC_REASON_TX_FULL].next = ~0ULL; /* each waits to be told */
	stack_sends(fd, frame, HDR + len);
	assert_true(count(XIPSEC_REASON_TX_FULL) > 0);
	assert_int_equal(t.w->gates[XIPSEC_REASON_TX_FULL].missed, count(XIPSEC_REASON_TX_FULL));
	assert_in_range(count(XIPSEC_REASON_SEALED), 1, 599);
	close(fd);
}

/* The stack hears what fits, from the one it spoke to. */
static void too_long_is_told(void **state)
{
	int fd = tap_new(0);
	__u32 len = host_frame(1440, true);
	const __u8 *ip = got + HDR + ETH;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	stack_sends(fd, frame, HDR + len);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), 1);
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 1);
	assert_int_equal(tx(&t.black) + tx(&t.red), 0);
	assert_true(stack_gets(fd) > HDR + ETH + 28 + 28);
	assert_int_equal(ip[9], IPPROTO_ICMP);
	assert_memory_equal(ip + 12, frame + HDR + ETH + 16, 4);
	assert_memory_equal(ip + 16, frame + HDR + ETH + 12, 4);
	assert_memory_equal(ip + 20, "\x03\x04", 2);
	assert_int_equal(ip[26] << 8 | ip[27], 1446);
	assert_memory_equal(ip + 28, frame + HDR + ETH, 28);
	close(fd);
}

/* The drop is told, of the packet and not of the error, also where the stack has no room for that.
 */
static void too_long_and_not_told(void **state)
{
	int fd = tap_new(0), least = 1, n = 0;
	__u32 len = host_frame(1440, true);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	setsockopt(t.w->taps[0].fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	tells_again(XIPSEC_REASON_TOO_BIG);
	for (; n < 100 && count(XIPSEC_REASON_ICMP_SENT) == (__u64)n; n++) {
		tells_again(XIPSEC_REASON_TOO_BIG);
		stack_sends(fd, frame, HDR + len);
	}
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), n);
	assert_int_equal(count(XIPSEC_REASON_ICMP_SENT), n - 1);
	assert_true(n > 1);
	told_inner(XIPSEC_REASON_TOO_BIG, "10.1.0.1", "10.2.0.1", SA_OUT);
	close(fd);
}

/* What was one packet to the stack of the sender is one to that of the receiver. */
static void segments_come_together(void **state)
{
	static __u8 sealed[8][2048];
	__u32 lens[8], n = 0, len, payload = 5 * 1406 - 100;
	struct virtio_net_hdr hdr;
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);
	int fd = tap_new(0);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	len = tcp_frame(payload, 1448);
	stack_sends(fd, frame, HDR + len);
	while (*t.black.tx.consumer != *t.black.tx.producer) {
		const struct xdp_desc *desc =
			(struct xdp_desc *)t.black.tx.desc + (*t.black.tx.consumer % RING);

		lens[n] = desc->len;
		memcpy(sealed[n++], t.w->frames.umem + desc->addr, desc->len);
		((__u64 *)t.black.comp.desc)[*t.black.comp.producer % RING] = desc->addr;
		++*t.black.comp.producer;
		++*t.black.tx.consumer;
	}
	assert_int_equal(n, 5);
	for (__u32 i = 0; i < n; i++)
		rx(&t.black, sealed[i], lens[i], &meta);
	go_round();
	assert_int_equal(count(XIPSEC_REASON_OPENED_LOCAL), 5);
	assert_int_equal(stack_gets(fd), HDR + len);
	memcpy(&hdr, got, HDR);
	assert_int_equal(hdr.gso_size, 1406);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_TCPV4);
	assert_memory_equal(got + HDR + ETH + 40, frame + HDR + ETH + 40, payload);
	assert_int_equal(stack_gets(fd), 0);
	close(fd);
}

static __u16 sum16(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons((__u16)~sum);
}

static const struct xipsec_addr host6 = {.byte = {0x20, 1, 0xd, 0xb8, [15] = 1}};

static void tell_host6(__u32 status, __u32 slot)
{
	struct ctl_in in = {.msg.nexthop = {.hdr.type = XIPSEC_CTL_NEXTHOP,
					    .dst = host6,
					    .family = XIPSEC_FAMILY_IP6,
					    .status = status,
					    .slot = slot,
					    .mtu = 1500,
					    .src_mac = {2},
					    .dst_mac = {2, 1},
					    .lifetime = 60}};

	assert_int_equal(worker_message(t.w, &in), 0);
}

static void tell_transport_sa(__u32 index, __u8 dir, __u32 flags)
{
	struct ctl_in in = sa_message(index, dir);

	in.msg.sa.sa.mode = XIPSEC_MODE_TRANSPORT;
	in.msg.sa.sa.flags = flags;
	in.msg.sa.sa.outer_family = XIPSEC_FAMILY_IP6;
	in.msg.sa.sa.dst = in.msg.sa.sa.src = host6;
	in.msg.sa.sa.src.byte[15] = 2;
	t.sas[index] = t.sas[dir == XIPSEC_DIR_OUT ? SA_OUT : SA_IN];
	assert_int_equal(worker_message(t.w, &in), 0);
}

/* An ICMP packet of that type from this host, which goes round by the SAs and comes to it again. */
static void icmp_comes_round(int fd, __u8 family, __u8 type, __u8 hops, bool transport)
{
	const struct xipsec_tap_meta meta = {(transport ? HOST_OUT : SA_OUT) | XIPSEC_TAP_MARK, GEN,
					     SPD};
	struct xipsec_meta in = meta_of(XIPSEC_DIR_IN);
	__u8 *ip = frame + HDR + ETH, *l4 = ip + (family == XIPSEC_FAMILY_IP4 ? 20 : 40);
	__u32 sum = 0, len = ETH + 40 + 16, sealed;

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	tell_host6(XIPSEC_NEXTHOP_OK, BLACK);
	if (family == XIPSEC_FAMILY_IP4) {
		len = host_frame(28, false);
		ip[8] = hops;
		ip[9] = IPPROTO_ICMP;
		memset(ip + 10, 0, 2);
		for (int i = 0; i < 20; i += 2)
			sum += ip[i] << 8 | ip[i + 1];
		memcpy(ip + 10, &(__u16){sum16(sum)}, 2);
	} else {
		memset(frame, 0, HDR + len);
		memcpy(frame + HDR, &meta, sizeof(meta));
		memcpy(frame + HDR + 12, "\x86\xdd\x60\0\0\0\0\x10\x3a", 9);
		ip[7] = hops;
		memcpy(ip + 8, "\xfe\x80", 2);
		ip[23] = 1;
		memcpy(ip + 24, &host6, 16);
	}
	memset(l4, 0, 16);
	l4[0] = type;
	if (family == XIPSEC_FAMILY_IP4) { /* about a packet of the one it is for */
		memcpy(l4 + 8, ip, 20);
		l4[8 + 3] = 28;
		memcpy(l4 + 8 + 12, ip + 16, 4);
		memcpy(l4 + 8 + 16, ip + 12, 4);
	}
	stack_sends(fd, frame, HDR + len);
	sealed = tx(&t.black);
	assert_true(sealed > 0);
	tell_host6(XIPSEC_NEXTHOP_LOCAL, 0);
	if (transport) {
		in.sa_index = HOST_IN;
		in.family = XIPSEC_FAMILY_IP6;
		in.l4_off = ETH + 40;
	}
	rx(&t.black, t.sent, sealed, &in);
	go_round();
}

/* What only a neighbour may say reaches no stack by an SA: in a tunnel no ND at all, in transport
 * mode nothing of routers. Everything beside it does: other types, and hop limits that the stack
 * itself refuses. */
static void nobody_is_a_neighbour(void **state)
{
	static const struct {
		__u8 family, type, hops, transport, refused;
	} cases[] = {
		{XIPSEC_FAMILY_IP6, 132, 255, 0, 0}, {XIPSEC_FAMILY_IP6, 133, 255, 0, 1},
		{XIPSEC_FAMILY_IP6, 134, 255, 0, 1}, {XIPSEC_FAMILY_IP6, 135, 255, 0, 1},
		{XIPSEC_FAMILY_IP6, 136, 255, 0, 1}, {XIPSEC_FAMILY_IP6, 137, 255, 0, 1},
		{XIPSEC_FAMILY_IP6, 138, 255, 0, 0}, {XIPSEC_FAMILY_IP6, 128, 255, 0, 0},
		{XIPSEC_FAMILY_IP6, 134, 254, 0, 0}, {XIPSEC_FAMILY_IP4, 5, 64, 0, 1},
		{XIPSEC_FAMILY_IP4, 8, 64, 0, 0},    {XIPSEC_FAMILY_IP6, 133, 255, 1, 0},
		{XIPSEC_FAMILY_IP6, 134, 255, 1, 1}, {XIPSEC_FAMILY_IP6, 135, 255, 1, 0},
		{XIPSEC_FAMILY_IP6, 136, 255, 1, 0}, {XIPSEC_FAMILY_IP6, 137, 255, 1, 1},
	};
	int fd = tap_new(0);

	tell_transport_sa(HOST_OUT, XIPSEC_DIR_OUT, 0);
	tell_transport_sa(HOST_IN, XIPSEC_DIR_IN, 0);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u64 before = count(XIPSEC_REASON_LINK_SCOPE);

		icmp_comes_round(fd, cases[i].family, cases[i].type, cases[i].hops,
				 cases[i].transport);
		if (count(XIPSEC_REASON_LINK_SCOPE) - before != cases[i].refused ||
		    (stack_gets(fd) == 0) != cases[i].refused)
			fail_msg("case %zu", i);
	}
	close(fd);
}

enum { SUM_UDP = 24 };

/* UDP with a checksum of other addresses, from this host and back to host6, by SAs in UDP. */
static void udp_comes_round(int fd, __u32 status, __u32 slot)
{
	const struct xipsec_tap_meta meta = {HOST_OUT | XIPSEC_TAP_MARK, GEN, SPD};
	static const __u8 udp[SUM_UDP] = {0x10, 1,    0x20, 2,   0,   SUM_UDP,
					  0xab, 0xcd, 'w',  'e', 'l', 'l'};
	struct xipsec_meta in = meta_of(XIPSEC_DIR_IN);
	__u8 *ip = frame + HDR + ETH;
	__u32 sealed;

	memset(frame, 0, HDR + ETH + 40);
	memcpy(frame + HDR, &meta, sizeof(meta));
	memcpy(frame + HDR + 12, "\x86\xdd\x60\0\0\0\0\x18\x11\x40", 10);
	memcpy(ip + 8, &host6, 16);
	ip[23] = 2;
	memcpy(ip + 24, &host6, 16);
	memcpy(ip + 40, udp, sizeof(udp));
	tell_host6(XIPSEC_NEXTHOP_OK, BLACK);
	stack_sends(fd, frame, HDR + ETH + 40 + sizeof(udp));
	sealed = tx(&t.black);
	assert_true(sealed > 0);
	tell_host6(status, slot);
	in.sa_index = HOST_IN;
	in.family = XIPSEC_FAMILY_IP6;
	in.l4_off = ETH + 40 + 8;
	rx(&t.black, t.sent, sealed, &in);
	go_round();
}

/* The pseudo-header of a packet of IPv6 without extension headers, and `len` bytes behind it. */
static __u16 sum_of6(const __u8 *ip, __u32 len)
{
	__u32 sum = SUM_UDP + IPPROTO_UDP;

	for (__u32 i = 8; i < 40 + len; i += 2)
		sum += ip[i] << 8 | ip[i + 1];
	return sum16(sum);
}

/* Behind a NAT the checksum is not of these addresses. The stack is told that there is none to
 * verify; a packet that is forwarded gets it. */
static void sums_behind_a_nat(void **state)
{
	int fd = tap_new(0);
	struct virtio_net_hdr hdr;
	const __u8 *ip = got + HDR + ETH;

	tell_transport_sa(HOST_OUT, XIPSEC_DIR_OUT, XIPSEC_SA_UDP);
	tell_transport_sa(HOST_IN, XIPSEC_DIR_IN, XIPSEC_SA_UDP);
	udp_comes_round(fd, XIPSEC_NEXTHOP_LOCAL, 0);
	assert_int_equal(stack_gets(fd), HDR + ETH + 40 + SUM_UDP);
	memcpy(&hdr, got, HDR);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	assert_int_equal(hdr.csum_start, ETH + 40);
	assert_int_equal(hdr.csum_offset, 6);
	assert_int_equal((__u16)~sum_of6(ip, 0), ip[46] | ip[47] << 8);
	assert_memory_equal(ip + 48, frame + HDR + ETH + 48, SUM_UDP - 8);

	udp_comes_round(fd, XIPSEC_NEXTHOP_OK, RED);
	assert_int_equal(tx(&t.red), ETH + 40 + SUM_UDP);
	assert_int_equal(sum_of6(t.sent + ETH, SUM_UDP), 0);
	assert_memory_equal(t.sent + ETH + 48, frame + HDR + ETH + 48, SUM_UDP - 8);
	close(fd);
}

/* In a tunnel's interface no Ethernet header stands in front. */
static void sums_of_a_tunnel(void **state)
{
	int host = tap_new(0), fd = tap_new(IF_ID);
	struct virtio_net_hdr hdr;
	const __u8 *ip = got + HDR;

	tell_transport_sa(HOST_OUT, XIPSEC_DIR_OUT, XIPSEC_SA_UDP);
	fixture_sa_if_id = IF_ID;
	tell_transport_sa(HOST_IN, XIPSEC_DIR_IN, XIPSEC_SA_UDP);
	fixture_sa_if_id = 0;
	udp_comes_round(host, XIPSEC_NEXTHOP_LOCAL, 0);
	assert_int_equal(stack_gets(fd), HDR + 40 + SUM_UDP);
	memcpy(&hdr, got, HDR);
	assert_int_equal(hdr.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(hdr.csum_start, 40);
	assert_int_equal(hdr.csum_offset, 6);
	assert_int_equal((__u16)~sum_of6(ip, 0), ip[46] | ip[47] << 8);
	assert_memory_equal(ip + 48, frame + HDR + ETH + 48, SUM_UDP - 8);
	close(fd);
	close(host);
}

static void no_tap_no_way(void **state)
{
	__u32 len = seal_one();

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	tells_again(XIPSEC_REASON_INNER_LOCAL);
	rx_sealed(len);
	assert_int_equal(count(XIPSEC_REASON_INNER_LOCAL), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED_LOCAL), 0);
	told_inner(XIPSEC_REASON_INNER_LOCAL, "10.1.0.1", "10.2.0.1", SA_IN);
}

/* The stack does not read: what it has no room for is told. */
static void stack_is_full(void **state)
{
	int fd = tap_new(0), least = 1, n = 0;
	struct ctl_sample s;

	setsockopt(t.w->taps[0].fd, SOL_SOCKET, SO_SNDBUF, &least, sizeof(least));
	tells_again(XIPSEC_REASON_TX_FULL);
	for (; n < 100 && !count(XIPSEC_REASON_TX_FULL); n++) {
		__u32 len = seal_one();

		tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
		rx_sealed(len);
	}
	assert_int_equal(count(XIPSEC_REASON_TX_FULL), 1);
	assert_int_equal(count(XIPSEC_REASON_OPENED_LOCAL), n - 1);
	assert_true(n > 1);
	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_TX_FULL);
	assert_int_equal(s.sample.sa_index, SA_IN);
	assert_int_equal(s.sample.sa_generation, GEN);
	close(fd);
}

/* The interface is deleted: its end is closed, a new one takes its place. */
static void comes_again(void **state)
{
	int fd = tap_new(0), again;
	__u32 len;

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	close(fd);
	for (int i = 0; i < 20; i++)
		go_round();
	again = tap_new(0);
	assert_int_equal(t.w->n_taps, 1);
	len = host_frame(64, false);
	stack_sends(again, frame, HDR + len);
	assert_int_equal(count(XIPSEC_REASON_SEALED), 1);
	close(again);
}

/* ------------------------------------------------------------------ tunnels */

/* Without Ethernet, as of a TUN. */
static void tunnel_sends(int fd, __u32 payload)
{
	__u32 len = inner(frame + HDR, payload, false);

	memmove(frame + HDR, frame + HDR + ETH, len - ETH);
	memset(frame, 0, HDR);
	stack_sends(fd, frame, HDR + len - ETH);
}

static void tunnel_seals_with_its_sa(void **state)
{
	int fd = tap_new(IF_ID);

	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tunnel_sends(fd, 64);
	assert_int_equal(count(XIPSEC_REASON_NO_SA_OUT), 1);
	seals_with(SA_OUT, GEN); /* not a tunnel's */
	tunnel_sends(fd, 64);
	assert_int_equal(count(XIPSEC_REASON_BAD_META), 1);
	assert_int_equal(tx(&t.black), 0);
	tell_tunnel_sa(TUN_OUT, XIPSEC_DIR_OUT);
	seals_with(TUN_OUT, GEN);
	tunnel_sends(fd, 64);
	assert_int_equal(tx(&t.black), ETH + 20 + 8 + 8 + 96 + 16);
	assert_int_equal(t.sas[TUN_OUT].seq, 1);
	seals_with(TUN_OUT, GEN + 1); /* one that is no more */
	tunnel_sends(fd, 64);
	assert_int_equal(count(XIPSEC_REASON_STALE_META), 1);
	seals_with(0, 0);
	tunnel_sends(fd, 64);
	assert_int_equal(count(XIPSEC_REASON_NO_SA_OUT), 2);
	assert_int_equal(tx(&t.black), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
	close(fd);
}

/* Without an SA: the packet is told once a second, with its tunnel. */
static void tunnel_asks_for_an_sa(void **state)
{
	struct ctl_sample s;
	int fd = tap_new(IF_ID);

	samples_told(&s);
	for (int i = 0; i < 5; i++)
		tunnel_sends(fd, 64);
	assert_int_equal(count(XIPSEC_REASON_NO_SA_OUT), 5);
	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.if_id, IF_ID);
	assert_int_equal(s.sample.reason, XIPSEC_REASON_NO_SA_OUT);
	assert_int_equal(s.sample.family, XIPSEC_FAMILY_IP4);
	assert_int_equal(s.sample.src.word[0], inet_addr("10.1.0.1"));
	assert_int_equal(s.sample.dst.word[0], inet_addr("10.2.0.1"));
	assert_int_equal(s.sample.l4_proto, IPPROTO_UDP);
	assert_int_equal(s.sample.sport, 1);
	assert_int_equal(s.sample.dport, 2);
	assert_int_equal(s.sample.spi, 0);
	assert_int_equal(s.sample.missed, 0);
	assert_true(t.w->taps[0].acquire.next > t.w->now_ms + 900);
	assert_true(t.w->taps[0].acquire.next <= t.w->now_ms + 1000);
	t.w->taps[0].acquire.next = 0; /* that second has passed */
	tunnel_sends(fd, 64);
	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.sample.missed, 4);
	/* one that has an SA does not ask */
	t.w->taps[0].acquire.next = 0;
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_tunnel_sa(TUN_OUT, XIPSEC_DIR_OUT);
	seals_with(TUN_OUT, GEN);
	tunnel_sends(fd, 64);
	assert_int_equal(samples_told(&s), 0);
	close(fd);
}

/* What is no packet is told without one. */
static void tunnel_asks_about_nonsense(void **state)
{
	struct ctl_sample s;
	int fd = tap_new(IF_ID);

	memset(frame, 0xff, 100);
	memset(frame, 0, HDR);
	samples_told(&s);
	stack_sends(fd, frame, 60);
	assert_int_equal(count(XIPSEC_REASON_NO_SA_OUT), 1);
	assert_int_equal(samples_told(&s), 1);
	assert_int_equal(s.sample.family, 0);
	close(fd);
}

static void rx_for(__u32 index, __u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	meta.sa_index = index;
	rx(&t.black, t.sent, len, &meta);
	go_round();
}

/* Into its tunnel and nowhere else, whatever the routes say; without the tunnel, nowhere. */
static void tunnel_gets_its_own(void **state)
{
	int host = tap_new(0), fd;
	__u32 len;

	tell_tunnel_sa(TUN_IN, XIPSEC_DIR_IN);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	tells_again(XIPSEC_REASON_NO_TUNNEL);
	rx_for(TUN_IN, seal_one());
	assert_int_equal(count(XIPSEC_REASON_NO_TUNNEL), 1);
	told_inner(XIPSEC_REASON_NO_TUNNEL, "10.1.0.1", "10.2.0.1", TUN_IN);
	fd = tap_new(IF_ID);
	for (int i = 0; i < 2; i++) {
		tell_hop("10.2.0.1", i ? XIPSEC_NEXTHOP_LOCAL : XIPSEC_NEXTHOP_OK, RED);
		len = seal_one();
		rx_for(TUN_IN, len);
		assert_int_equal(count(XIPSEC_REASON_OPENED_LOCAL), i + 1);
		assert_int_equal(stack_gets(fd), HDR + 92);
		inner(frame, 64, false);
		/* red's TTL went down where it was sealed, and no further */
		assert_int_equal(got[HDR + 8], 63);
		assert_memory_equal(got + HDR + 12, frame + ETH + 12, 92 - 12);
	}
	assert_int_equal(stack_gets(host), 0);
	assert_int_equal(tx(&t.red), 0);
	close(fd);
	close(host);
}

/* What an SA without an if_id opens stays out of tunnels. */
static void tunnel_gets_no_other(void **state)
{
	int fd = tap_new(IF_ID);

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	rx_sealed(seal_one());
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	tx(&t.red);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	rx_sealed(seal_one());
	assert_int_equal(count(XIPSEC_REASON_INNER_LOCAL), 1);
	assert_int_equal(stack_gets(fd), 0);
	close(fd);
}

static void tunnel_goes(void **state)
{
	struct ctl_in gone = {.msg.tap = {.hdr.type = XIPSEC_CTL_TAP_GONE, .if_id = IF_ID}};
	int fd = tap_new(IF_ID);

	tell_tunnel_sa(TUN_IN, XIPSEC_DIR_IN);
	assert_int_equal(worker_message(t.w, &gone), 0);
	assert_int_equal(worker_message(t.w, &gone), 0);
	assert_int_equal(t.w->n_taps, 0);
	rx_for(TUN_IN, seal_one());
	assert_int_equal(count(XIPSEC_REASON_NO_TUNNEL), 1);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(there_and_back),
		TEST(odd_congestion_marks_are_taken),
		TEST(a_tag_is_passed_over),
		TEST(cut_frames),
		TEST(verdicts_are_checked),
		TEST(many_are_not_told),
		TEST(stack_is_full),
		TEST(too_long_and_not_told),
		TEST(long_tcp_is_cut),
		TEST(pool_runs_dry),
		TEST(too_long_is_told),
		TEST(nobody_is_a_neighbour),
		TEST(sums_behind_a_nat),
		TEST(sums_of_a_tunnel),
		TEST(no_tap_no_way),
		TEST(comes_again),
		TEST(tunnel_seals_with_its_sa),
		TEST(tunnel_asks_for_an_sa),
		TEST(tunnel_asks_about_nonsense),
		TEST(tunnel_gets_its_own),
		TEST(tunnel_gets_no_other),
		TEST(tunnel_goes),
		TEST(segments_come_together),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
