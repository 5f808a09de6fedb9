// SPDX-License-Identifier: BSD-2-Clause
/*
 * SYNs that come out of an SA: their MSS is lowered to what the way back has room for, whatever the
 * SA is (ESP, ESP in UDP, AH; tunnel and transport) and wherever they go on to (red, this host by
 * the TAP, a tunnel's interface). The peer, which is the worker itself, clamped by an MTU that has
 * become smaller since.
 */
#include "tests/unit/pipeline_fixture.h"

#include <linux/virtio_net.h>

#include "lib/alg.h"
#include "worker/checksum.h"

enum { LATER_MTU = 1400, IF_ID = 7, VNET_HDR = 10, ETH = 14 };

struct way {
	const char *name;
	__u8 mode, l4_proto;
	enum xipsec_alg alg;
	bool udp;
	/* Bytes that it adds, IPv4 and IPv6: in a tunnel the outer header too. */
	__u32 adds4, adds6;
	__u32 step, trailer; /* of ESP */
};

#define TUNNEL    XIPSEC_MODE_TUNNEL
#define TRANSPORT XIPSEC_MODE_TRANSPORT
#define ESP       IPPROTO_ESP
#define AH        IPPROTO_AH
#define GCM       XIPSEC_ALG_AES128GCM16
#define CBC       XIPSEC_ALG_AES128CBC_SHA256
#define SHA256    XIPSEC_ALG_NULL_SHA256
#define SHA384    XIPSEC_ALG_NULL_SHA384

/* ESP header 8, IV, ICV 16; AH 12 and its ICV, a multiple of 4 over IPv4, of 8 over IPv6. */
static const struct way ways[] = {
	{"ESP, tunnel", TUNNEL, ESP, GCM, false, 20 + 8 + 8 + 16, 40 + 8 + 8 + 16, 4, 2},
	{"ESP, transport", TRANSPORT, ESP, GCM, false, 8 + 8 + 16, 8 + 8 + 16, 4, 2},
	{"ESP, tunnel, CBC", TUNNEL, ESP, CBC, false, 20 + 8 + 16 + 16, 40 + 8 + 16 + 16, 16, 2},
	{"ESP, transport, CBC", TRANSPORT, ESP, CBC, false, 8 + 16 + 16, 8 + 16 + 16, 16, 2},
	{"UDP, tunnel", TUNNEL, ESP, GCM, true, 20 + 8 + 8 + 8 + 16, 40 + 8 + 8 + 8 + 16, 4, 2},
	{"UDP, transport", TRANSPORT, ESP, GCM, true, 8 + 8 + 8 + 16, 8 + 8 + 8 + 16, 4, 2},
	{"AH, tunnel", TUNNEL, AH, SHA256, false, 20 + 12 + 16, 40 + 12 + 16 + 4, 1, 0},
	{"AH, transport", TRANSPORT, AH, SHA256, false, 12 + 16, 12 + 16 + 4, 1, 0},
	{"AH 384, tunnel", TUNNEL, AH, SHA384, false, 20 + 12 + 24, 40 + 12 + 24 + 4, 1, 0},
	{"AH 384, transport", TRANSPORT, AH, SHA384, false, 12 + 24, 12 + 24 + 4, 1, 0},
};

static __u8 frame[200];

static void put16(__u8 *at, __u32 value)
{
	at[0] = (__u8)(value >> 8);
	at[1] = (__u8)value;
}

static __u32 get16(const __u8 *at)
{
	return at[0] << 8 | at[1];
}

static __u32 ip_len(int family)
{
	return family == 4 ? 20 : 40;
}

/* Sum over pseudo-header and segment: 0xffff when the checksum is right. */
static __u16 tcp_sum(const __u8 *ip, int family, __u32 tcp_len)
{
	__u64 sum = (__u64)htons((__u16)tcp_len) + htons(IPPROTO_TCP);

	sum = family == 4 ? csum_add(sum, ip + 12, 8) : csum_add(sum, ip + 8, 32);
	return csum_fold(csum_add(sum, ip + ip_len(family), tcp_len));
}

static void syn_write(int family, __u32 mss)
{
	__u8 *ip = frame + 14, *tcp = ip + ip_len(family);
	__u16 check;

	memset(frame, 0, sizeof(frame));
	memcpy(frame, "\x02\0\0\0\0\x11\x02\0\0\0\0\x22", 12);
	put16(frame + 12, family == 4 ? 0x0800 : 0x86dd);
	if (family == 4) {
		memcpy(ip, "\x45\0\0\x2c\0\0\x40\0\x40\x06\0\0\x0a\x01\0\x01\x0a\x02\0\x01", 20);
		check = (__u16)~csum_fold(csum_add(0, ip, 20));
		memcpy(ip + 10, &check, 2);
	} else {
		memcpy(ip, "\x60\0\0\0\0\x18\x06\x40", 8);
		ip[8] = ip[24] = 0xfd;
		ip[23] = 1;
		ip[39] = 2;
	}
	put16(tcp, 4000);
	put16(tcp + 2, 80);
	tcp[12] = 0x60;
	tcp[13] = 0x02;
	memcpy(tcp + 20, "\x02\x04", 2);
	put16(tcp + 22, mss);
	check = (__u16)~tcp_sum(ip, family, 24);
	memcpy(tcp + 16, &check, 2);
}

/* The MSS of a segment that fills `mtu` to the last byte that can be used. */
static __u32 mss_of(const struct way *way, int family, int outer, __u32 mtu)
{
	__u32 headers = ip_len(family) + 20, room = mtu - (outer == 4 ? way->adds4 : way->adds6);

	if (way->mode == TUNNEL)
		return room / way->step * way->step - way->trailer - headers;
	room -= ip_len(family);
	return room / way->step * way->step - way->trailer - 20;
}

/* Both ends of an SA of that kind, in place of those that are there. */
static void tell_way(const struct way *way, int outer, __u32 if_id)
{
	for (__u8 dir = XIPSEC_DIR_OUT; dir; dir = dir == XIPSEC_DIR_OUT ? XIPSEC_DIR_IN : 0) {
		__u32 index = dir == XIPSEC_DIR_OUT ? SA_OUT : SA_IN;
		struct ctl_in in = sa_message(index, dir);
		struct xipsec_sa *sa = &in.msg.sa.sa;

		t.sas[index] = (struct xipsec_sa_state){.generation = GEN,
							.status = XIPSEC_SA_LIVE,
							.seq_limit = 1 << 20,
							.window = 1024};
		sa->mode = way->mode;
		sa->l4_proto = way->l4_proto;
		sa->alg = way->alg;
		sa->key_len = (__u16)alg_key_len(way->alg);
		sa->flags |= way->udp ? XIPSEC_SA_UDP : 0;
		sa->src_port = sa->dst_port = way->udp ? htons(4500) : 0;
		sa->if_id = dir == XIPSEC_DIR_IN ? if_id : 0;
		if (outer == 6) {
			sa->outer_family = XIPSEC_FAMILY_IP6;
			assert_int_equal(inet_pton(AF_INET6, "2001:db8::1", sa->src.byte), 1);
			assert_int_equal(inet_pton(AF_INET6, "2001:db8::2", sa->dst.byte), 1);
		}
		assert_int_equal(worker_message(t.w, &in), 0);
	}
}

static int tap_new(__u32 if_id)
{
	struct ctl_in in = {
		.n_fds = 1,
		.msg.tap = {.hdr.type = XIPSEC_CTL_TAP, .if_id = if_id, .mac = {2, 9, 9, 9, 9, 9}}};
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	in.fd[0] = pair[1];
	assert_int_equal(worker_message(t.w, &in), 0);
	return pair[0];
}

/* Sealed while black had `then`; its frame is in t.sent. */
static __u32 sealed(int family, __u32 mss, __u32 then)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	__u32 len;

	meta.family = family == 4 ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6;
	meta.l4_off = (__u16)(ETH + ip_len(family));
	tell_dev_mtu(BLACK, XIPSEC_ROLE_UNPROTECTED, then);
	syn_write(family, mss);
	rx(&t.red, frame, ETH + ip_len(family) + 24, &meta);
	go_round();
	len = tx(&t.black);
	assert_true(len > 0);
	return len;
}

/* Opened while black has `now`. */
static void opened(const struct way *way, int outer, __u32 len, __u32 now)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	meta.family = outer == 4 ? XIPSEC_FAMILY_IP4 : XIPSEC_FAMILY_IP6;
	meta.l4_off = (__u16)(ETH + ip_len(outer) + (way->udp ? 8 : 0));
	tell_dev_mtu(BLACK, XIPSEC_ROLE_UNPROTECTED, now);
	rx(&t.black, t.sent, len, &meta);
	go_round();
}

/* Where opened packets come out: a socket that stands for a TAP and the bytes before the IP header
 * there, or the red interface. */
struct exit {
	int fd; /* -1: red */
	__u32 front;
};

/* The checksum that is left to the stack. */
static void finish(__u8 *at, __u32 len)
{
	struct virtio_net_hdr hdr;
	__u16 check;

	memcpy(&hdr, at, VNET_HDR);
	if (!(hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	at += VNET_HDR + hdr.csum_start;
	check = (__u16)~csum_fold(csum_add(0, at, len - VNET_HDR - hdr.csum_start));
	memcpy(at + hdr.csum_offset, &check, sizeof(check));
}

/* What the SYN says that has come out. */
static __u32 mss_left(int family, const struct exit *exit)
{
	static __u8 got[2048];
	const __u32 len = exit->front + ip_len(family) + 24;
	const __u8 *ip = (exit->fd < 0 ? t.sent : got) + exit->front;

	if (exit->fd < 0)
		assert_int_equal(tx(&t.red), len);
	else
		assert_int_equal(recv(exit->fd, got, sizeof(got), MSG_DONTWAIT), len);
	if (exit->fd >= 0)
		finish(got, len);
	assert_int_equal(tcp_sum(ip, family, 24), 0xffff);
	return get16(ip + ip_len(family) + 22);
}

static __u32 mss_after(const struct way *way, int family, int outer, const struct exit *exit,
		       __u32 mss, __u32 then, __u32 now)
{
	opened(way, outer, sealed(family, mss, then), now);
	return mss_left(family, exit);
}

static void must_be(const struct way *way, int family, int outer, const char *what, __u32 found,
		    __u32 wanted)
{
	if (found != wanted)
		fail_msg("%s, %d in %d, %s: %u, not %u", way->name, family, outer, what, found,
			 wanted);
}

static void run(const struct way *way, int family, int outer, const struct exit *exit)
{
	const __u32 wide = mss_of(way, family, outer, 1500),
		    narrow = mss_of(way, family, outer, LATER_MTU);

	must_be(way, family, outer, "as sealed",
		mss_after(way, family, outer, exit, 8960, 1500, 1500), wide);
	must_be(way, family, outer, "lowered",
		mss_after(way, family, outer, exit, 8960, 1500, LATER_MTU), narrow);
	must_be(way, family, outer, "one more than fits",
		mss_after(way, family, outer, exit, narrow + 1, 1500, LATER_MTU), narrow);
	must_be(way, family, outer, "fits",
		mss_after(way, family, outer, exit, narrow, 1500, LATER_MTU), narrow);
	must_be(way, family, outer, "not raised",
		mss_after(way, family, outer, exit, 500, 1500, LATER_MTU), 500);
	must_be(way, family, outer, "stays",
		mss_after(way, family, outer, exit, 8960, LATER_MTU, 1500), narrow);
}

static void every_way(const struct exit *exit, __u32 if_id)
{
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop6("2001:db8::2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		for (int outer = 4; outer <= 6; outer += 2) {
			tell_way(&ways[i], outer, if_id);
			run(&ways[i], outer, outer, exit);
			if (ways[i].mode == TUNNEL)
				run(&ways[i], 10 - outer, outer, exit);
		}
	assert_int_equal(count(XIPSEC_REASON_TOO_BIG), 0);
}

static void to_red(void **state)
{
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	tell_hop6("fd00::2", XIPSEC_NEXTHOP_OK, RED);
	every_way(&(struct exit){-1, ETH}, 0);
}

static void to_this_host(void **state)
{
	int fd = tap_new(0);

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_LOCAL, 0);
	tell_hop6("fd00::2", XIPSEC_NEXTHOP_LOCAL, 0);
	every_way(&(struct exit){fd, VNET_HDR + ETH}, 0);
	assert_true(count(XIPSEC_REASON_OPENED_LOCAL) > 0);
	close(fd);
}

static void to_a_tunnels_interface(void **state)
{
	int fd = tap_new(IF_ID);

	every_way(&(struct exit){fd, VNET_HDR}, IF_ID);
	close(fd);
}

/* The way back has told that it takes less, for so many seconds from now. */
static void learned(const struct way *way, int family, int outer, __s32 left, __u32 mtu,
		    const char *what)
{
	__u32 len;

	t.w->next_reverse = 0; /* these SAs are new, sooner than in life */
	t.sas[SA_OUT].pmtu = 0;
	len = sealed(family, 8960, 1500);
	t.sas[SA_OUT].pmtu = 1300;
	t.sas[SA_OUT].pmtu_until = (__u32)(t.w->now_ms / 1000) + (__u32)left;
	opened(way, outer, len, 1500);
	must_be(way, family, outer, what, mss_left(family, &(struct exit){-1, ETH}),
		mss_of(way, family, outer, mtu));
}

static void to_what_the_path_takes(void **state)
{
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	tell_hop6("fd00::2", XIPSEC_NEXTHOP_OK, RED);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop6("2001:db8::2", XIPSEC_NEXTHOP_OK, BLACK);
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		for (int outer = 4; outer <= 6; outer += 2) {
			tell_way(&ways[i], outer, 0);
			learned(&ways[i], outer, outer, 600, 1300, "learned");
			learned(&ways[i], outer, outer, -1, 1500, "has passed");
		}
}

/* That of another child's SA is none of this one's. */
static void of_its_own_child(void **state)
{
	struct ctl_in in = sa_message(SA_IN, XIPSEC_DIR_IN);

	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	strcpy(in.msg.sa.sa.child, "other");
	assert_int_equal(worker_message(t.w, &in), 0);
	learned(&ways[0], 4, 4, 600, 1500, "of another child");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(to_red),
		TEST(to_this_host),
		TEST(to_a_tunnels_interface),
		TEST(to_what_the_path_takes),
		TEST(of_its_own_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
