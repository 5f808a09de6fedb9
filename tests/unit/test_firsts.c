// SPDX-License-Identifier: BSD-2-Clause
/*
 * Fragments that come out of an SA whose selectors ask for ports: later ones follow their first one
 * (RFC 4301 7.3), and nothing follows that could write over what was judged.
 */
#include "tests/unit/esp_pair.h"

#include "worker/selectors.h"

#define NOW 1000

static struct xipsec_sa_state state, other_state;

/* A fragment of the datagram `id` from 10.1.0.5 to 10.2.0.9 (fd00:1::5, fd00:2::9). */
struct piece {
	int family;
	__u8 proto;
	__u32 id, off, len;
	bool more;
	__u16 dport; /* of a first one */
};

static const struct piece udp4 = {4, IPPROTO_UDP, 77, 0, 64, true, 5000};
static const struct piece udp6 = {6, IPPROTO_UDP, 0x10077, 0, 64, true, 5000};

/* Bytes of it in all. */
static __u32 piece_write(__u8 *ip, const struct piece *piece)
{
	const __u32 frag_len = piece->family == 4 ? 0 : 8;
	__u32 at = ip_write(ip, piece->family, piece->proto, frag_len + piece->len);
	__u32 id_be = htonl(piece->id);
	__u8 *l4 = ip + at + frag_len;

	if (piece->family == 4) {
		put16(ip + 4, piece->id);
		put16(ip + 6, piece->off / 8 | (piece->more ? 0x2000 : 0));
		ip4_check(ip);
	} else {
		ip[6] = IPPROTO_FRAGMENT;
		ip[at] = piece->proto;
		ip[at + 1] = 0;
		put16(ip + at + 2, piece->off | piece->more);
		memcpy(ip + at + 4, &id_be, 4);
	}
	memset(l4, 0x55, piece->len);
	if (!piece->off) {
		put16(l4, 4000);
		put16(l4 + 2, piece->dport);
		put16(l4 + 4, 2000);
	}
	return at + frag_len + piece->len;
}

static enum xipsec_reason packet_judged(struct sa *sa, __u64 now_s, const __u8 *ip, __u32 len)
{
	struct inner inner;

	assert_int_equal(inner_parse(ip, len, &inner), 0);
	sa->now_s = now_s;
	return selectors_check(sa, ip, &inner);
}

static enum xipsec_reason judged(struct sa *sa, __u64 now_s, struct piece piece)
{
	__u8 ip[512];

	return packet_judged(sa, now_s, ip, piece_write(ip, &piece));
}

/* The later one of `first` that begins at `off`. */
static struct piece later(struct piece first, __u32 off)
{
	first.off = off;
	first.more = off < 512;
	return first;
}

#define GOES(sa, now, piece)  assert_int_equal(judged(sa, now, piece), XIPSEC_REASON_UNSPEC)
#define STAYS(sa, now, piece) assert_int_equal(judged(sa, now, piece), XIPSEC_REASON_SELECTOR)

/* To port 5000. */
static struct xipsec_sa config_port(__u8 proto)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);

	config.flags = XIPSEC_SA_LATER;
	config.selector[0].any_proto = 0;
	config.selector[0].l4_proto = proto;
	config.selector[0].local_port_lo = config.selector[0].local_port_hi = 5000;
	return config;
}

static struct sa *sa_port(__u8 proto)
{
	struct xipsec_sa config = config_port(proto);

	return sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
}

static void test_follow(void **unused)
{
	for (int f = 0; f < 2; f++) {
		const struct piece first = f ? udp6 : udp4;
		struct xipsec_sa config = config_port(IPPROTO_UDP);
		struct sa *sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		struct sa *other = sa_make(&config, &other_state, XIPSEC_BACKEND_OPENSSL);
		struct piece piece;
		__u8 ip[512];
		__u32 len;

		STAYS(sa, NOW, later(first, 64)); /* before its first one */
		GOES(sa, NOW, first);
		GOES(sa, NOW, later(first, 64));
		GOES(sa, NOW, later(first, 256));
		GOES(sa, NOW, later(first, 1024)); /* the last one, in any order */
		GOES(sa, NOW, later(first, 128));
		STAYS(other, NOW, later(first, 64)); /* out of another SA */
		/* of other datagrams: by the ID, by either address */
		piece = later(first, 64);
		piece.id ^= f ? 0x10000 : 0x100;
		STAYS(sa, NOW, piece);
		piece = later(first, 64);
		for (int end = 0; end < 2; end++) {
			__u32 last = f ? 23 + 16 * end : 15 + 4 * end;

			len = piece_write(ip, &piece);
			ip[last] ^= 1;
			assert_int_equal(packet_judged(sa, NOW, ip, len), XIPSEC_REASON_SELECTOR);
		}
		/* by the protocol, which over IPv6 does not count, nor does what hides it */
		piece.proto = IPPROTO_UDPLITE;
		assert_int_equal(judged(sa, NOW, piece), f ? 0 : XIPSEC_REASON_SELECTOR);
		piece.proto = IPPROTO_DSTOPTS;
		assert_int_equal(judged(sa, NOW, piece), f ? 0 : XIPSEC_REASON_SELECTOR);
		sa_free(sa);
		sa_free(other);
	}
}

/* An SA that gets another list goes on with its datagrams, but for those that it refuses now. */
static void test_another_list(void **unused)
{
	struct xipsec_sa config = config_port(IPPROTO_UDP);
	struct sa *sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL), *next;

	for (int refuses = 0; refuses < 2; refuses++) {
		GOES(sa, NOW, udp4);
		config.n_selectors = 2;
		config.selector[1] = config.selector[0];
		config.selector[0].local_port_lo = config.selector[0].local_port_hi =
			refuses ? 5000 : 5001;
		config.refuse[0] = 1;
		next = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		STAYS(next, NOW, later(udp4, 64));
		sa_succeed(next, sa);
		STAYS(sa, NOW, later(udp4, 64));
		sa_free(sa);
		sa = next;
		if (refuses)
			STAYS(sa, NOW, later(udp4, 64));
		else
			GOES(sa, NOW, later(udp4, 64));
		config.selector[0] = config.selector[1];
	}
	config.refuse[0] = 0;
	config.selector[0].any_proto = 1;
	config.selector[0].local_port_lo = 0;
	config.selector[0].local_port_hi = XIPSEC_PORT_MAX;
	config.n_selectors = 1; /* keeps none */
	next = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	sa_succeed(next, sa);
	assert_null(next->firsts);
	sa_free(next);
	sa_free(sa);
}

static void test_families_apart(void **unused)
{
	struct sa *sa = sa_port(IPPROTO_UDP);
	struct piece first = udp6, piece = udp4;
	__u8 ip[512];
	__u32 len;

	/* IPv6 with the addresses of IPv4: as flows they differ by the family alone */
	first.id = ntohl(0x00004d00); /* as that of IPv4 stands in its word */
	piece.id = 77;
	len = piece_write(ip, &first);
	memset(ip + 8, 0, 32);
	memcpy(ip + 8, "\x0a\x01\x00\x05", 4);
	memcpy(ip + 24, "\x0a\x02\x00\x09", 4);
	assert_int_equal(packet_judged(sa, NOW, ip, len), XIPSEC_REASON_UNSPEC);
	STAYS(sa, NOW, later(piece, 64));
	GOES(sa, NOW, piece);
	GOES(sa, NOW, later(piece, 64));
	sa_free(sa);
}

static void test_refused_first(void **unused)
{
	for (int f = 0; f < 2; f++) {
		struct piece first = f ? udp6 : udp4;
		struct sa *sa = sa_port(IPPROTO_UDP);

		first.dport = 5001;
		STAYS(sa, NOW, first);
		STAYS(sa, NOW, later(first, 64));
		sa_free(sa);
	}
}

/* A whole packet, or IPv6's fragment of all, is no first fragment. */
static void test_whole(void **unused)
{
	for (int f = 0; f < 2; f++) {
		struct piece whole = f ? udp6 : udp4;
		struct sa *sa = sa_port(IPPROTO_UDP);
		__u8 ip[512];
		__u32 len;

		whole.more = false;
		len = piece_write(ip, &whole);
		put16(ip + (f ? 52 : 24), 64);
		assert_int_equal(packet_judged(sa, NOW, ip, len), XIPSEC_REASON_UNSPEC);
		STAYS(sa, NOW, later(whole, 64));
		sa_free(sa);
	}
}

/* What the first one showed is not written over, whatever the peer sends after it. */
static void test_overlap(void **unused)
{
	for (int f = 0; f < 2; f++) {
		struct piece first = f ? udp6 : udp4, second = first;
		struct sa *sa = sa_port(IPPROTO_UDP);

		GOES(sa, NOW, first);
		for (__u32 off = 8; off < 64; off += 8)
			STAYS(sa, NOW, later(first, off));
		GOES(sa, NOW, later(first, 64));
		/* a shorter one does not open what the longer one closed */
		second.len = 8;
		GOES(sa, NOW, second);
		STAYS(sa, NOW, later(first, 8));
		STAYS(sa, NOW, later(first, 56));
		GOES(sa, NOW, later(first, 64));
		/* and a longer one closes more */
		second.len = 128;
		GOES(sa, NOW, second);
		STAYS(sa, NOW, later(first, 64));
		STAYS(sa, NOW, later(first, 120));
		GOES(sa, NOW, later(first, 128));
		/* another datagram begins anew */
		second.id++;
		second.len = 8;
		GOES(sa, NOW, second);
		GOES(sa, NOW, later(second, 8));
		sa_free(sa);
	}
}

/* RFC 1858, RFC 3128: TCP's header is whole in the first fragment, and is not reached by others. */
static void test_tiny(void **unused)
{
	struct sa *sa = sa_port(IPPROTO_TCP);
	struct piece first = {4, IPPROTO_TCP, 9, 0, 24, true, 5000};
	struct inner inner;
	__u8 ip[512];
	__u32 len;

	for (first.len = 8; first.len < 20; first.len += 4) {
		len = piece_write(ip, &first);
		assert_int_equal(inner_parse(ip, len, &inner), XIPSEC_REASON_INNER_MALFORMED);
	}
	/* no whole 8 bytes: receivers would leave some of the header away */
	first.len = 20;
	GOES(sa, NOW, first);
	STAYS(sa, NOW, later(first, 24));
	first.len = 24;
	GOES(sa, NOW, first);
	STAYS(sa, NOW, later(first, 8));
	STAYS(sa, NOW, later(first, 16));
	GOES(sa, NOW, later(first, 24));
	sa_free(sa);
}

/* An SA for later fragments alone has no first ones to go by (RFC 4301 7.2). */
static void test_opaque_alone(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct piece first = {4, IPPROTO_TCP, 9, 0, 24, true, 5000};
	struct sa *sa;

	config.selector[0].opaque = XIPSEC_OPAQUE_PORTS;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	STAYS(sa, NOW, first);
	STAYS(sa, NOW, later(first, 8));
	STAYS(sa, NOW, later(first, 16));
	GOES(sa, NOW, later(first, 24));
	first.proto = IPPROTO_SCTP;
	STAYS(sa, NOW, later(first, 8));
	GOES(sa, NOW, later(first, 16));
	first.proto = IPPROTO_UDP;
	GOES(sa, NOW, later(first, 8));
	/* of IPv6 nothing tells where the header ended */
	first.family = 6;
	first.proto = IPPROTO_TCP;
	sa_free(sa);
	config = sa_config(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DIR_IN);
	config.selector[0].opaque = XIPSEC_OPAQUE_PORTS;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	GOES(sa, NOW, later(first, 8));
	sa_free(sa);
}

/* Behind IPv4 options and IPv6 extension headers offsets count from where what is cut begins. */
static void test_headers_in_front(void **unused)
{
	struct sa *sa = sa_port(IPPROTO_UDP);
	__u8 ip[512];
	__u32 len = piece_write(ip, &udp4);

	memmove(ip + 40, ip + 20, len - 20);
	memset(ip + 20, 1, 20);
	ip[0] = 0x4a;
	put16(ip + 2, len + 20);
	assert_int_equal(packet_judged(sa, NOW, ip, len + 20), XIPSEC_REASON_UNSPEC);
	STAYS(sa, NOW, later(udp4, 56));
	GOES(sa, NOW, later(udp4, 64));

	/* in front of the fragment header: of no datagram, in the later one too */
	len = piece_write(ip, &udp6);
	memmove(ip + 48, ip + 40, len - 40);
	memcpy(ip + 40, "\x2c\0\1\4\0\0\0\0", 8);
	ip[6] = IPPROTO_HOPOPTS;
	put16(ip + 4, len + 8 - 40);
	assert_int_equal(packet_judged(sa, NOW, ip, len + 8), XIPSEC_REASON_UNSPEC);
	put16(ip + 48 + 2, 56 | 1);
	assert_int_equal(packet_judged(sa, NOW, ip, len + 8), XIPSEC_REASON_SELECTOR);
	put16(ip + 48 + 2, 64 | 1);
	assert_int_equal(packet_judged(sa, NOW, ip, len + 8), XIPSEC_REASON_UNSPEC);
	GOES(sa, NOW, later(udp6, 64));

	/* behind it: a part of what is cut */
	len = piece_write(ip, &udp6);
	memmove(ip + 56, ip + 48, len - 48);
	memcpy(ip + 48, "\x11\0\1\4\0\0\0\0", 8);
	ip[40] = IPPROTO_DSTOPTS;
	put16(ip + 4, len + 8 - 40);
	assert_int_equal(packet_judged(sa, NOW, ip, len + 8), XIPSEC_REASON_UNSPEC);
	STAYS(sa, NOW, later(udp6, 64));
	GOES(sa, NOW, later(udp6, 72));
	sa_free(sa);
}

static void test_age(void **unused)
{
	for (int f = 0; f < 2; f++) {
		const struct piece first = f ? udp6 : udp4;
		struct sa *sa = sa_port(IPPROTO_UDP);

		GOES(sa, NOW, first);
		GOES(sa, NOW + 2, later(first, 64)); /* asks, and does not keep it alive */
		STAYS(sa, NOW + 3, later(first, 64));
		GOES(sa, NOW + 4, first);
		GOES(sa, NOW + 5, first);
		GOES(sa, NOW + 7, later(first, 64));
		sa_free(sa);
	}
}

/* As many as there is room for; the oldest gives way, and one that comes again takes no room. */
static void test_room(void **unused)
{
	struct sa *sa = sa_port(IPPROTO_UDP);
	struct piece first = udp4;

	for (first.id = 0; first.id < 32; first.id++) {
		GOES(sa, NOW, first);
		GOES(sa, NOW, first);
	}
	for (first.id = 0; first.id < 32; first.id++)
		GOES(sa, NOW, later(first, 64));
	GOES(sa, NOW, first);
	GOES(sa, NOW, later(first, 64));
	first.id = 0;
	STAYS(sa, NOW, later(first, 64));
	for (first.id = 1; first.id < 33; first.id++)
		GOES(sa, NOW, later(first, 64));
	sa_free(sa);
}

/* One that IP does not allow, or the selectors, takes nobody's room. */
static void test_room_for_the_good(void **unused)
{
	struct sa *sa = sa_port(IPPROTO_UDP);
	struct piece bad = udp4;

	GOES(sa, NOW, udp4);
	bad.len = 65;
	for (bad.id = 100; bad.id < 200; bad.id++)
		GOES(sa, NOW, bad);
	bad.len = 64;
	bad.dport = 5001;
	for (bad.id = 100; bad.id < 200; bad.id++)
		STAYS(sa, NOW, bad);
	GOES(sa, NOW, later(udp4, 64));
	sa_free(sa);
}

/* Whatever order accepts and refuses: a later one has the verdict of its datagram. */
static void test_order(void **unused)
{
	static const struct {
		__u16 port[2]; /* 0: any */
		__u8 refuse[2];
		bool goes[2]; /* to port 5000, 5001 */
	} lists[] = {
		{{5001, 0}, {1, 0}, {true, false}},
		{{5000, 5001}, {0, 0}, {true, true}},
		{{5000, 0}, {0, 1}, {true, false}},
		{{5000, 5000}, {1, 0}, {false, false}},
	};

	for (size_t i = 0; i < sizeof(lists) / sizeof(lists[0]); i++) {
		struct xipsec_sa config = config_port(IPPROTO_UDP);
		struct sa *sa;

		config.n_selectors = 2;
		for (int k = 0; k < 2; k++) {
			config.selector[k] = config.selector[0];
			config.refuse[k] = lists[i].refuse[k];
			if (!lists[i].port[k])
				config.selector[k] = any_selector();
			else
				config.selector[k].local_port_lo =
					config.selector[k].local_port_hi = lists[i].port[k];
		}
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		for (int port = 0; port < 2; port++) {
			struct piece first = udp4;
			int want = lists[i].goes[port] ? 0 : XIPSEC_REASON_SELECTOR;

			first.dport = (__u16)(5000 + port);
			first.id += port;
			assert_int_equal(judged(sa, NOW, first), want);
			assert_int_equal(judged(sa, NOW, later(first, 64)), want);
		}
		sa_free(sa);
	}
}

/* A first one speaks for itself, whatever another of its datagram showed. */
static void test_first_again(void **unused)
{
	struct xipsec_sa config = config_port(IPPROTO_UDP);
	struct piece first = {6, 99, 7, 0, 0, true, 5000};
	struct sa *sa;
	__u8 ip[512];
	__u32 len = piece_write(ip, &first);

	config.n_selectors = 2;
	config.refuse[0] = 1;
	config.selector[1] = any_selector();
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_int_equal(packet_judged(sa, NOW, ip, 48), XIPSEC_REASON_UNSPEC);
	assert_int_equal(len, 48);
	first.proto = IPPROTO_UDP;
	first.len = 64;
	STAYS(sa, NOW, first);
	sa_free(sa);
}

/* What it shows itself is asked of itself: its DSCP. */
static void test_dscp(void **unused)
{
	struct xipsec_sa config = config_port(IPPROTO_UDP);
	struct piece piece = later(udp4, 64);
	struct sa *sa;
	__u8 ip[512];
	__u32 len;

	config.selector[0].dscp = 1;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	GOES(sa, NOW, udp4);
	len = piece_write(ip, &piece);
	assert_int_equal(packet_judged(sa, NOW, ip, len), XIPSEC_REASON_UNSPEC);
	ip[1] = 4;
	assert_int_equal(packet_judged(sa, NOW, ip, len), XIPSEC_REASON_SELECTOR);
	sa_free(sa);
}

/* Where answers are remembered. */
static void test_many(void **unused)
{
	struct xipsec_sa config = config_port(IPPROTO_UDP);
	struct sa *sa;

	config.n_selectors = 20;
	for (__u32 i = 1; i < 20; i++) {
		config.selector[i] = config.selector[0];
		config.selector[i].local_port_lo = config.selector[i].local_port_hi =
			(__u16)(6000 + i);
	}
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_non_null(sa->seen);
	STAYS(sa, NOW, later(udp4, 64));
	GOES(sa, NOW, udp4);
	GOES(sa, NOW, later(udp4, 64));
	STAYS(sa, NOW + 3, later(udp4, 64));
	sa_free(sa);

	for (__u32 i = 0; i < 20; i++)
		config.selector[i] = any_selector();
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_non_null(sa->seen);
	assert_null(sa->firsts);
	GOES(sa, NOW, udp4);
	GOES(sa, NOW, later(udp4, 8));
	sa_free(sa);
}

/* Opaque ports are asked for in their place among the others, and that a datagram's first part was
 * accepted does not change whose the others are. */
static void test_opaque_in_order(void **unused)
{
	for (int f = 0; f < 2; f++) {
		const struct piece first = f ? udp6 : udp4;

		for (int front = 0; front < 2; front++) {
			struct xipsec_sa config = config_port(IPPROTO_UDP);
			struct sa *sa;

			config.n_selectors = 2;
			config.selector[front] = config.selector[0];
			config.selector[!front] = any_selector();
			config.selector[!front].opaque = XIPSEC_OPAQUE_PORTS;
			config.refuse[!front] = 1;
			sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
			GOES(sa, NOW, first);
			assert_int_equal(judged(sa, NOW, later(first, 64)),
					 front ? XIPSEC_REASON_SELECTOR : XIPSEC_REASON_UNSPEC);
			sa_free(sa);
		}
	}
}

/* RFC 4301 7.1: an SA for any port has all fragments without a word about it, also where an earlier
 * rule takes a port from it. */
static void test_any_port(void **unused)
{
	for (int f = 0; f < 2; f++) {
		struct xipsec_sa config = config_port(IPPROTO_UDP);
		struct piece first = f ? udp6 : udp4, refused = first;
		struct sa *sa;

		config.flags = 0;
		config.n_selectors = 2;
		config.selector[1] = any_selector();
		config.refuse[0] = 1;
		first.dport = 5001;
		refused.id++;
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		STAYS(sa, NOW, later(first, 64));
		GOES(sa, NOW, first);
		GOES(sa, NOW, later(first, 64));
		STAYS(sa, NOW, refused);
		STAYS(sa, NOW, later(refused, 64));
		first.proto =
			IPPROTO_TCP; /* of another protocol than what is refused: for certain */
		first.id += 2;
		GOES(sa, NOW, later(first, 64));
		sa_free(sa);
	}
}

/* Types of ICMP, source ports; an error is judged by its quote, and nothing follows it. */
static void test_what_is_asked(void **unused)
{
	struct xipsec_sa config = config_port(IPPROTO_ICMP);
	struct piece echo = {4, IPPROTO_ICMP, 5, 0, 64, true, 0};
	struct sa *sa;
	__u8 ip[512];
	__u32 len;

	config.selector[0].local_port_lo = 0;
	config.selector[0].local_port_hi = XIPSEC_PORT_MAX;
	config.selector[0].icmp_lo = 0x0300;
	config.selector[0].icmp_hi = 0x08ff;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	for (int error = 0; error < 2; error++) {
		echo.id += error;
		len = piece_write(ip, &echo);
		put16(ip + 20, error ? 0x0300 : 0x0800);
		assert_int_equal(packet_judged(sa, NOW, ip, len), XIPSEC_REASON_UNSPEC);
		assert_int_equal(judged(sa, NOW, later(echo, 64)),
				 error ? XIPSEC_REASON_SELECTOR : 0);
	}
	sa_free(sa);

	config = config_port(IPPROTO_UDP);
	config.selector[0].remote_port_lo = config.selector[0].remote_port_hi = 4000;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	GOES(sa, NOW, udp4);
	GOES(sa, NOW, later(udp4, 64));
	sa_free(sa);
}

/* Whoever needs none keeps none. */
static void test_who_keeps(void **unused)
{
	struct xipsec_sa config = config_port(IPPROTO_UDP);
	struct sa *sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);

	assert_non_null(sa->firsts);
	sa_free(sa);
	config.flags = 0; /* not agreed on: RFC 4301 7.3 has them dropped */
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_null(sa->firsts);
	GOES(sa, NOW, udp4);
	STAYS(sa, NOW, later(udp4, 64));
	sa_free(sa);
	config.flags = XIPSEC_SA_LATER;
	config.mode = XIPSEC_MODE_TRANSPORT;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_null(sa->firsts);
	sa_free(sa);
	config.mode = XIPSEC_MODE_TUNNEL;
	config.dir = XIPSEC_DIR_OUT;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_null(sa->firsts);
	sa_free(sa);
	config.dir = XIPSEC_DIR_IN;
	config.selector[0] = any_selector();
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_null(sa->firsts);
	GOES(sa, NOW, later(udp4, 64));
	sa_free(sa);
}

static enum xipsec_reason carried(struct pair *pair, struct piece piece, __u64 now_s)
{
	const struct packet *p = &frame.p;
	__u8 ip[512], before[512];
	__u32 len = piece_write(ip, &piece);

	memcpy(before, ip, len);
	assert_int_equal(seal(pair, ip, len, PATH_MTU), XIPSEC_REASON_SEALED);
	if (open_at(pair, now_s) == XIPSEC_REASON_OPENED) {
		assert_int_equal(p->len, len);
		assert_memory_equal(p->data, before, len);
		assert_int_equal(p->l4_off, piece.off ? 0 : piece.family == 4 ? 20 : 48);
	}
	return p->reason;
}

/* Through ESP, whose clock it is. */
static void test_through_esp(void **unused)
{
	for (int f = 0; f < 2; f++) {
		const struct piece first = f ? udp6 : udp4;
		struct pair pair = {.config = config_port(IPPROTO_UDP)};

		pair_open(&pair);
		assert_int_equal(carried(&pair, later(first, 64), NOW), XIPSEC_REASON_SELECTOR);
		assert_int_equal(carried(&pair, first, NOW), XIPSEC_REASON_OPENED);
		assert_int_equal(carried(&pair, later(first, 64), NOW + 2), XIPSEC_REASON_OPENED);
		assert_int_equal(carried(&pair, later(first, 56), NOW + 2), XIPSEC_REASON_SELECTOR);
		assert_int_equal(carried(&pair, later(first, 64), NOW + 3), XIPSEC_REASON_SELECTOR);
		assert_int_equal(in_state.drops[XIPSEC_REASON_SELECTOR], 3);
		pair_close(&pair);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_follow),
		cmocka_unit_test(test_another_list),
		cmocka_unit_test(test_families_apart),
		cmocka_unit_test(test_refused_first),
		cmocka_unit_test(test_whole),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_tiny),
		cmocka_unit_test(test_opaque_alone),
		cmocka_unit_test(test_headers_in_front),
		cmocka_unit_test(test_age),
		cmocka_unit_test(test_room),
		cmocka_unit_test(test_room_for_the_good),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_first_again),
		cmocka_unit_test(test_dscp),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_opaque_in_order),
		cmocka_unit_test(test_any_port),
		cmocka_unit_test(test_what_is_asked),
		cmocka_unit_test(test_who_keeps),
		cmocka_unit_test(test_through_esp),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
