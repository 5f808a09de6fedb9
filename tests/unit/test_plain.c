// SPDX-License-Identifier: BSD-2-Clause
/*
 * The short ways of the usual packet beside the long ones. A packet takes the long way when a byte
 * stands behind it, as Ethernet's padding or as TFC padding, and the writer for any SA when the SA
 * has a TFC size: nothing else may differ.
 */
#include "tests/unit/esp_fixture.h"

#include "worker/esp_in.h"
#include "worker/esp_out.h"
#include "worker/inbound.h"
#include "worker/inner.h"
#include "worker/plain.h"

#define LEN_MAX 128

static struct xipsec_sa_state state;
static struct frame short_frame, long_frame;

/* A TCP segment with `options` bytes of options, right checksums. */
static __u32 tcp_write(__u8 *ip, int family, __u8 flags, __u32 options, __u32 payload)
{
	__u32 tcp_len = 20 + options, l4_len = tcp_len + payload, off;
	__u8 *tcp;

	off = ip_write(ip, family, IPPROTO_TCP, l4_len);
	tcp = ip + off;
	memset(tcp, 0, l4_len);
	put16(tcp, 4000);
	put16(tcp + 2, 443);
	tcp[12] = (__u8)(tcp_len / 4 << 4);
	tcp[13] = flags;
	memset(tcp + 20, 1, options);
	if (options >= 4)
		memcpy(tcp + 20, "\x02\x04\x7f\xff", 4); /* MSS */
	l4_check(ip, family, IPPROTO_TCP, l4_len, 16);
	return off + l4_len;
}

/* UDP that says it is 3 bytes shorter than it is, or without a checksum. */
static __u32 odd_write(__u8 *ip, int family, bool shorter)
{
	const __u32 len = udp_write(ip, family, 24);
	__u8 *udp = ip + (family == 4 ? 20 : 40);

	if (shorter)
		put16(udp + 4, 8 + 24 - 3);
	else
		put16(udp + 6, 0);
	return len;
}

static __u32 sample_write(__u8 *ip, int family, unsigned int kind)
{
	switch (kind) {
	case 0: return udp_write(ip, family, 0);
	case 1: return udp_write(ip, family, 37);
	case 2: return tcp_write(ip, family, 0x10, 0, 0);
	case 3: return tcp_write(ip, family, 0x18, 12, 21);
	case 4: return tcp_write(ip, family, 0x02, 8, 0);
	case 5: return odd_write(ip, family, true);
	case 6: return odd_write(ip, family, false);
	default: return 0;
	}
}

/* ---------------------------------------------------------------- recognised */

static unsigned int n_plain;

static void read_compare6(const __u8 *ip, __u32 len)
{
	struct inner inner;
	struct plain6 plain;
	__u8 *copy = malloc(len ? len : 1);

	assert_non_null(copy);
	memcpy(copy, ip, len);
	if (plain6_read(copy, len, &plain)) {
		n_plain++;
		assert_int_equal(inner_parse(copy, len, &inner), XIPSEC_REASON_UNSPEC);
		assert_int_equal(inner.len, len);
		assert_int_equal(inner.family, XIPSEC_FAMILY_IP6);
		assert_int_equal(inner.l4_off, PLAIN6_L4);
		assert_int_equal(inner.opaque, 0);
		assert_int_equal(inner.flow, plain.first & 0xfffff);
		assert_int_equal(inner.tos, plain6_tos(&plain));
		assert_int_equal(inner.l4_proto, plain6_proto(&plain));
		assert_int_equal(inner.flags, INNER_DF);
		assert_int_equal(plain.check_off, inner.l4_proto == IPPROTO_UDP ? 6 : 16);
	}
	free(copy);
}

static void read_compare4(const __u8 *ip, __u32 len)
{
	struct inner inner;
	struct plain plain;
	__u8 *copy = malloc(len ? len : 1); /* nothing behind it to be read */

	assert_non_null(copy);
	memcpy(copy, ip, len);
	if (plain_read(copy, len, &plain)) {
		n_plain++;
		assert_int_equal(inner_parse(copy, len, &inner), XIPSEC_REASON_UNSPEC);
		assert_int_equal(inner.len, len);
		assert_int_equal(inner.family, XIPSEC_FAMILY_IP4);
		assert_int_equal(inner.l4_off, PLAIN_L4);
		assert_int_equal(inner.opaque, 0);
		assert_int_equal(inner.flow, 0);
		assert_int_equal(inner.tos, plain_tos(&plain));
		assert_int_equal(inner.l4_proto, plain_proto(&plain));
		assert_int_equal(inner.flags, plain.second & PLAIN_DF ? INNER_DF : 0);
		assert_int_equal(plain.check_off, inner.l4_proto == IPPROTO_UDP ? 6 : 16);
	}
	free(copy);
}

static void read_compare(int family, const __u8 *ip, __u32 len)
{
	if (family == 4)
		read_compare4(ip, len);
	else
		read_compare6(ip, len);
}

static void read_all(int family)
{
	__u8 ip[LEN_MAX], kept;
	__u32 len;

	for (unsigned int kind = 0; (len = sample_write(ip, family, kind)); kind++) {
		n_plain = 0;
		for (__u32 cut = 0; cut <= len; cut++)
			read_compare(family, ip, cut);
		assert_int_equal(n_plain, 1);
		for (__u32 at = 0; at < len && at < 60; at++) {
			kept = ip[at];
			for (__u32 value = 0; value < 256; value++) {
				ip[at] = (__u8)value;
				read_compare(family, ip, len);
			}
			ip[at] = kept;
		}
		assert_true(n_plain > 10 * 256);
	}
}

/* Every value of every byte of both headers, and every length: what is taken for plain is what
 * inner_parse() takes, and it says the same. */
static void test_read(void **unused)
{
	read_all(4);
	read_all(6);
}

/* The lengths that transport headers state, at both borders of what is right. */
static void test_read_borders(void **unused)
{
	__u8 ip[LEN_MAX];
	struct plain plain;
	__u32 len = udp_write(ip, 4, 10);

	for (__u32 stated = 0; stated < 70000; stated += stated < 40 ? 1 : 997) {
		put16(ip + 24, stated);
		assert_int_equal(plain_read(ip, len, &plain),
				 (stated & 0xffff) >= 8 && (stated & 0xffff) <= len - 20);
	}
	len = tcp_write(ip, 4, 0x10, 0, 8);
	for (__u32 words = 0; words < 16; words++) {
		ip[32] = (__u8)(words << 4);
		assert_int_equal(plain_read(ip, len, &plain), words >= 5 && words <= 7);
	}
}

/* ---------------------------------------------------------------- sealed */

struct way {
	struct sa *sa;
	struct frame *frame;
	__u32 behind; /* bytes behind the packet */
};

static bool is_plain(int family, const __u8 *ip, __u32 len)
{
	struct plain plain;
	struct plain6 plain6;

	return family == 4 ? plain_read(ip, len, &plain) : plain6_read(ip, len, &plain6);
}

static enum xipsec_reason seal(const struct way *way, const __u8 *ip, __u32 len, __u8 flags,
			       __u32 mtu)
{
	struct packet *p = frame_load(way->frame, ip, len);

	p->len += way->behind;
	p->tailroom -= way->behind;
	p->flags = flags;
	state.seq = 0x1234;
	esp_out_burst(way->sa, &p, 1, mtu, 1);
	return p->reason;
}

/* What may be cut has an ID that counts: taken over, with the sum over it, where both are right. */
static void same_id(const struct packet *from, const struct packet *to)
{
	if (from->reason != XIPSEC_REASON_SEALED || from->data[0] >> 4 != 4 || from->data[6] & 0x40)
		return;
	assert_int_equal(csum_fold(csum_add(0, from->data, 20)), 0xffff);
	assert_int_equal(csum_fold(csum_add(0, to->data, 20)), 0xffff);
	memcpy(to->data + 4, from->data + 4, 2);
	memcpy(to->data + 10, from->data + 10, 2);
}

static void same(const struct packet *a, const struct packet *b)
{
	assert_int_equal(a->reason, b->reason);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->headroom, b->headroom);
	assert_int_equal(a->tailroom, b->tailroom);
	assert_int_equal(a->l4_off, b->l4_off);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->flags, b->flags);
	assert_int_equal(a->icmp_mtu, b->icmp_mtu);
	assert_int_equal(a->seq, b->seq);
	same_id(a, b);
	assert_memory_equal(a->data, b->data, a->len);
}

/* All samples, with every bit of their headers turned in turn: sealed by both ways. How many were
 * plain. */
static unsigned int seal_compare(const struct way *one, const struct way *other, int family,
				 __u32 mtu)
{
	__u8 ip[LEN_MAX];
	unsigned int n = 0;
	__u32 len;

	for (unsigned int kind = 0; (len = sample_write(ip, family, kind)); kind++)
		for (__u32 bit = 0; bit <= 8 * 60 && bit < 8 * len; bit++) {
			ip[bit / 8] ^= (__u8)(1 << bit % 8);
			if (is_plain(family, ip, len)) {
				n++;
				for (__u8 flags = 0; flags <= PACKET_LOCAL; flags++) {
					seal(one, ip, len, flags, mtu);
					seal(other, ip, len, flags, mtu);
					same(&one->frame->p, &other->frame->p);
				}
			}
			ip[bit / 8] ^= (__u8)(1 << bit % 8);
		}
	return n;
}

static void seal_ways(struct xipsec_sa *config)
{
	const int transport = config->mode == XIPSEC_MODE_TRANSPORT;
	struct way one = {.frame = &short_frame}, other = {.frame = &long_frame};

	one.sa = sa_make(config, &state, XIPSEC_BACKEND_AUTO);
	config->tfc_size = 1; /* which every packet has */
	other.sa = sa_make(config, &state, XIPSEC_BACKEND_AUTO);
	if (transport)
		other.sa->way = SA_ANY;
	assert_int_equal(other.sa->way, SA_ANY);
	for (other.behind = 0; other.behind < 2; other.behind++)
		for (int family = 4; family <= 6; family += 2) {
			if (transport && family != config->outer_family)
				continue;
			/* some are too big */
			assert_true(seal_compare(&one, &other, family, PATH_MTU) > 500);
			assert_true(seal_compare(&one, &other, family, 100) > 500);
		}
	sa_free(one.sa);
	sa_free(other.sa);
}

static void seal_variants(enum xipsec_alg alg, int outer_family, int esn, __u8 df, __u16 udp)
{
	struct xipsec_sa config = sa_config(alg, outer_family, esn, XIPSEC_DIR_OUT);

	config.df = df;
	if (udp) {
		config.flags |= XIPSEC_SA_UDP;
		config.src_port = config.dst_port = htons(udp);
	}
	seal_ways(&config);
}

static void test_seal(void **unused)
{
	for (__u8 df = XIPSEC_DF_SET; df <= XIPSEC_DF_COPY; df++)
		for (int esn = 0; esn < 2; esn++)
			seal_variants(XIPSEC_ALG_AES128GCM16, 4, esn, df, 0);
	seal_variants(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DF_SET, 0);
	seal_variants(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DF_SET, 4500);
	seal_variants(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DF_SET, 4500);
	seal_variants(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DF_CLEAR, 4500);
	seal_variants(XIPSEC_ALG_AES256GCM16, 4, 1, XIPSEC_DF_SET, 0);
	seal_variants(XIPSEC_ALG_CHACHA20POLY1305, 4, 0, XIPSEC_DF_SET, 0);
	seal_variants(XIPSEC_ALG_AES128GMAC, 4, 1, XIPSEC_DF_SET, 0);
	seal_variants(XIPSEC_ALG_AES128CTR_SHA256, 4, 0, XIPSEC_DF_SET, 0);
	seal_variants(XIPSEC_ALG_NULL_SHA256, 4, 0, XIPSEC_DF_SET, 0);
	seal_variants(XIPSEC_ALG_AES128CCM16, 4, 0, XIPSEC_DF_SET, 0);
}

/* What is copied out of IPv6 into the header around it, and what is not. */
static void test_seal_flow(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DIR_OUT);

	config.flags |= XIPSEC_SA_FLOW_COPY;
	seal_ways(&config);
	config.flags = XIPSEC_SA_DSCP | XIPSEC_SA_NO_ECN;
	config.dscp = 46;
	config.tfc_size = 0;
	seal_ways(&config);
}

static void test_seal_transport(void **unused)
{
	for (int kind = 0; kind < 4; kind++) {
		struct xipsec_sa config =
			sa_config(XIPSEC_ALG_AES128GCM16, kind & 1 ? 6 : 4, 1, XIPSEC_DIR_OUT);

		config.mode = XIPSEC_MODE_TRANSPORT;
		config.flags |= kind & 2 ? XIPSEC_SA_UDP : 0;
		seal_ways(&config);
	}
}

/* Each has its own; what is not usual has none. */
static void test_ways(void **unused)
{
	static const enum sa_way ways[] = {
		SA_TUNNEL4,    SA_TUNNEL4_UDP,    SA_TUNNEL6,    SA_TUNNEL6_UDP,
		SA_TRANSPORT4, SA_TRANSPORT4_UDP, SA_TRANSPORT6, SA_TRANSPORT6_UDP,
	};

	for (int kind = 0; kind < 16; kind++) {
		struct xipsec_sa config =
			sa_config(kind & 8 ? XIPSEC_ALG_AES128CBC_SHA256 : XIPSEC_ALG_AES128GCM16,
				  kind & 2 ? 6 : 4, 0, XIPSEC_DIR_OUT);
		struct sa *sa;

		config.mode = kind & 4 ? XIPSEC_MODE_TRANSPORT : XIPSEC_MODE_TUNNEL;
		config.flags |= kind & 1 ? XIPSEC_SA_UDP : 0;
		sa = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
		assert_int_equal(sa->way, kind & 8 ? SA_ANY : ways[kind]);
		sa_free(sa);
	}
}

/* A checksum that was left to hardware is completed, and a SYN's MSS clamped, the packets around
 * them being plain. */
static void test_seal_burst(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_OUT);
	static struct frame frames[4], want[4];
	struct packet *pkts[4], *alone;
	struct sa *sa = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
	__u8 ip[4][LEN_MAX];
	__u16 pseudo;

	for (unsigned int i = 0; i < 4; i++) {
		__u32 len = i == 2 ? tcp_write(ip[i], 4, 0x02, 4, 0) : udp_write(ip[i], 4, 30);

		if (i == 1) {
			pseudo = pseudo_fold(ip[i], 4, IPPROTO_UDP, len - 20);
			memcpy(ip[i] + 26, &pseudo, 2);
		}
		pkts[i] = frame_load(&frames[i], ip[i], len);
		alone = frame_load(&want[i], ip[i], len);
		alone->len++;
		alone->tailroom--;
	}
	state.seq = 0;
	esp_out_burst(sa, pkts, 4, 120, 1);
	state.seq = 0;
	for (unsigned int i = 0; i < 4; i++) {
		alone = &want[i].p;
		esp_out_burst(sa, &alone, 1, 120, 1);
		assert_int_equal(alone->reason, XIPSEC_REASON_SEALED);
		same(pkts[i], alone);
	}
	assert_int_equal(state.seq, 4);
	sa_free(sa);
}

/* ---------------------------------------------------------------- opened */

/* Seals with `behind` bytes of TFC padding, marks the outer header, opens. */
static const struct packet *there_and_back(struct xipsec_sa *config, struct sa *in,
					   struct frame *frame, const __u8 *ip, __u32 len,
					   __u32 behind, __u8 mark)
{
	static struct xipsec_sa_state out_state;
	struct packet *p = frame_load(frame, ip, len);
	struct sa *out;

	config->dir = XIPSEC_DIR_OUT;
	config->tfc_size = behind ? len + behind : 0;
	out = sa_make(config, &out_state, XIPSEC_BACKEND_AUTO);
	p->flags = PACKET_LOCAL;
	esp_out_burst(out, &p, 1, PATH_MTU, 1);
	assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
	sa_free(out);
	if (p->data[0] >> 4 == 4)
		p->data[1] = (__u8)((p->data[1] & ~3) | mark);
	else
		p->data[1] = (__u8)((p->data[1] & ~0x30) | mark << 4);
	p->reason = p->flags = 0;
	state_reset(&state);
	esp_in_burst(in, &p, 1, 1);
	if (p->reason == XIPSEC_REASON_OPENED)
		assert_int_equal(state.tfc_bytes, behind);
	return p;
}

static unsigned int open_compare(struct xipsec_sa *config, struct sa *in, int family)
{
	static struct frame frames[2];
	const struct packet *one, *other;
	__u8 ip[LEN_MAX];
	unsigned int n = 0;
	__u32 len;

	for (unsigned int kind = 0; (len = sample_write(ip, family, kind)); kind++)
		for (__u32 bit = 8; bit < 8 * (family == 4 ? 28 : 48); bit++) {
			ip[bit / 8] ^= (__u8)(1 << bit % 8);
			for (__u8 mark = 0; mark < 4 && is_plain(family, ip, len); mark++) {
				one = there_and_back(config, in, &frames[0], ip, len, 0, mark);
				other = there_and_back(config, in, &frames[1], ip, len, 1, mark);
				assert_int_equal(one->reason, other->reason);
				assert_int_equal(one->flags, other->flags);
				n += one->reason == XIPSEC_REASON_OPENED;
				if (one->reason != XIPSEC_REASON_OPENED)
					continue;
				assert_int_equal(one->len, len);
				assert_int_equal(other->len, len);
				assert_int_equal(one->l4_off, other->l4_off);
				assert_int_equal(one->family, other->family);
				assert_int_equal(one->headroom, other->headroom);
				assert_ptr_equal(one->data - frames[0].bytes,
						 (ptrdiff_t)(other->data - frames[1].bytes));
				assert_memory_equal(one->data, other->data, len);
			}
			ip[bit / 8] ^= (__u8)(1 << bit % 8);
		}
	return n;
}

/* What an SA lets through, with selectors that refuse some, in order. */
static void test_open(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	unsigned int all, some;
	struct sa *in = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);

	all = open_compare(&config, in, 4);
	sa_free(in);
	assert_true(all > 2000);

	/* 10.1.0.4/31 not; 10.1.0.0/16 to 10.2.0.9 alone */
	config.dir = XIPSEC_DIR_IN;
	config.tfc_size = 0;
	config.n_selectors = 2;
	config.selector[0] = config.selector[1] = any_selector();
	config.selector[0].remote_lo.word[0] = htonl(0x0a010004);
	config.selector[0].remote_hi = (struct xipsec_addr){.word[0] = htonl(0x0a010005)};
	config.selector[0].local_hi = (struct xipsec_addr){.word[0] = ~0u};
	config.refuse[0] = 1;
	config.selector[1].family = XIPSEC_FAMILY_IP4;
	config.selector[1].remote_lo.word[0] = htonl(0x0a010000);
	config.selector[1].remote_hi = (struct xipsec_addr){.word[0] = htonl(0x0a01ffff)};
	config.selector[1].local_lo.word[0] = htonl(0x0a020009);
	config.selector[1].local_hi = (struct xipsec_addr){.word[0] = htonl(0x0a020009)};
	in = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
	some = open_compare(&config, in, 4);
	sa_free(in);
	assert_true(some > 100 && some < all / 2);

	/* UDP from port 4000 alone */
	config.dir = XIPSEC_DIR_IN;
	config.tfc_size = 0;
	config.n_selectors = 1;
	config.refuse[0] = 0;
	config.selector[0] = any_selector();
	config.selector[0].any_proto = 0;
	config.selector[0].l4_proto = IPPROTO_UDP;
	config.selector[0].remote_port_lo = config.selector[0].remote_port_hi = 4000;
	in = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
	some = open_compare(&config, in, 4);
	sa_free(in);
	assert_true(some > 100 && some < all / 2);
}

static struct xipsec_addr addr6(const char *text)
{
	struct xipsec_addr addr;

	assert_int_equal(inet_pton(AF_INET6, text, &addr), 1);
	return addr;
}

static void test_open6(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 6, 0, XIPSEC_DIR_IN);
	unsigned int all, some;
	struct sa *in = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);

	all = open_compare(&config, in, 6);
	sa_free(in);
	assert_true(all > 2000);

	/* fd00:1::4 not; fd00:1::/64 to fd00:2::9 alone: borders in either half */
	config.dir = XIPSEC_DIR_IN;
	config.tfc_size = 0;
	config.n_selectors = 3;
	for (int i = 0; i < 3; i++)
		config.selector[i] = any_selector();
	config.selector[0].family = XIPSEC_FAMILY_IP4; /* no IPv4 */
	config.selector[1].remote_lo = addr6("fd00:1::4");
	config.selector[1].remote_hi = addr6("fd00:1::4");
	config.refuse[0] = config.refuse[1] = 1;
	config.selector[2].family = XIPSEC_FAMILY_IP6;
	config.selector[2].remote_lo = addr6("fd00:1::");
	config.selector[2].remote_hi = addr6("fd00:1::ffff:ffff:ffff:ffff");
	config.selector[2].local_lo = config.selector[2].local_hi = addr6("fd00:2::9");
	in = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
	some = open_compare(&config, in, 6);
	sa_free(in);
	assert_true(some > 100 && some < all);
}

/* Opens a sealed packet by this SA, in a frame of its own. */
static const struct packet *open_copy(struct sa *in, struct frame *frame, const __u8 *sealed,
				      __u32 len, __u32 l4_off)
{
	struct packet *p = frame_load(frame, sealed, len);

	p->l4_off = (__u16)l4_off;
	state_reset(&state);
	esp_in_burst(in, &p, 1, 1);
	inbound_sum(p);
	return p;
}

/* With every bit of the header in front of ESP turned: with many selectors, of the same meaning,
 * all packets take the long way. `flags` of the SA that seals; that which opens is of the same
 * form, or of the other: it takes either. */
static void open_transport(int family, __u32 flags, bool other_form)
{
	const __u32 front = (family == 4 ? 20 : 40) + (flags & XIPSEC_SA_UDP ? 8 : 0);
	const bool renewed = flags & XIPSEC_SA_UDP || other_form;
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, XIPSEC_DIR_OUT);
	static struct xipsec_sa_state out_state;
	static struct frame frames[3];
	struct sa *out, *one, *other;
	__u8 ip[LEN_MAX];
	unsigned int opened = 0;
	__u32 len;

	config.mode = XIPSEC_MODE_TRANSPORT;
	config.flags |= flags;
	out = sa_make(&config, &out_state, XIPSEC_BACKEND_AUTO);
	config.dir = XIPSEC_DIR_IN;
	config.flags ^= other_form ? XIPSEC_SA_UDP : 0;
	one = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
	config.n_selectors = SA_NETS4 + 1;
	for (__u32 i = 0; i < config.n_selectors; i++)
		config.selector[i] = any_selector();
	other = sa_make(&config, &state, XIPSEC_BACKEND_AUTO);
	assert_true(one->n_nets4 == 1 && other->n_nets4 == 0);
	assert_true(one->n_nets6 == 1 && other->n_nets6 == 0);

	for (unsigned int kind = 0; (len = sample_write(ip, family, kind)); kind++) {
		struct packet *p = frame_load(&frames[2], ip, len);

		p->flags = PACKET_LOCAL;
		esp_out_burst(out, &p, 1, PATH_MTU, 1);
		assert_int_equal(p->reason, XIPSEC_REASON_SEALED);
		assert_int_equal(p->l4_off, front);
		for (__u32 bit = 0; bit <= 8 * front; bit++) {
			const struct packet *a, *b;

			p->data[bit / 8] ^= (__u8)(bit < 8 * front) << bit % 8;
			a = open_copy(one, &frames[0], p->data, p->len, front);
			b = open_copy(other, &frames[1], p->data, p->len, front);
			p->data[bit / 8] ^= (__u8)(bit < 8 * front) << bit % 8;
			same(a, b);
			if (bit == 8 * front) {
				assert_int_equal(a->reason, XIPSEC_REASON_OPENED);
				assert_int_equal(a->len, len);
				/* whose MSS was clamped; whose sum was wrong, or none */
				if (kind != 4 && !renewed)
					assert_memory_equal(a->data, ip, len);
			}
			opened += a->reason == XIPSEC_REASON_OPENED;
		}
	}
	assert_true(opened > 200);
	sa_free(out);
	sa_free(one);
	sa_free(other);
}

static void test_open_transport(void **unused)
{
	for (int kind = 0; kind < 8; kind++)
		open_transport(kind & 1 ? 6 : 4, kind & 2 ? XIPSEC_SA_UDP : 0, kind & 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),           cmocka_unit_test(test_read_borders),
		cmocka_unit_test(test_seal),           cmocka_unit_test(test_seal_burst),
		cmocka_unit_test(test_open),           cmocka_unit_test(test_open6),
		cmocka_unit_test(test_seal_flow),      cmocka_unit_test(test_seal_transport),
		cmocka_unit_test(test_open_transport), cmocka_unit_test(test_ways),
	};

	return crypto_init() ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
