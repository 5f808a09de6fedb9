// SPDX-License-Identifier: BSD-2-Clause
/* What may come out of an SA: the short way for nets alone answers as the whole one does. */
#include "tests/unit/esp_fixture.h"

#include "lib/addr.h"
#include "worker/selectors.h"

static struct xipsec_sa_state state;

/* Few addresses near each other, so that nets of any length hold some and not others. */
static struct xipsec_addr addr_random(int family)
{
	struct xipsec_addr addr = {0};

	if (family == 6)
		addr.word[0] = htonl(0x20010db8);
	addr.word[family == 6 ? 3 : 0] = htonl(0x0a000000 | (__u32)rand() % 16);
	return addr;
}

/* A prefix, or any range. */
static void net_random(struct xipsec_addr *lo, struct xipsec_addr *hi, int family)
{
	unsigned int bits = addr_bits((__u8)family);
	unsigned int len = rand() % 8 ? bits - (unsigned int)rand() % 5 : 0;
	struct xipsec_addr other = addr_random(family);

	*lo = addr_random(family);
	*hi = addr_last(lo, (__u8)family, len);
	*lo = addr_first(lo, len);
	if (rand() % 3)
		return;
	*hi = addr_compare(lo, &other) < 0 ? other : *lo;
	*lo = addr_compare(lo, &other) < 0 ? *lo : other;
}

static struct xipsec_selector selector_random(void)
{
	struct xipsec_selector sel = any_selector();

	sel.family = (__u8[]){XIPSEC_FAMILY_ANY, 4, 4, 6, 6}[rand() % 5];
	if (!sel.family)
		return sel;
	net_random(&sel.local_lo, &sel.local_hi, sel.family);
	net_random(&sel.remote_lo, &sel.remote_hi, sel.family);
	return sel;
}

static __u32 packet_random(__u8 *ip)
{
	int family = rand() % 2 ? 4 : 6;
	struct xipsec_addr src = addr_random(family), dst = addr_random(family);
	__u32 len = udp_write(ip, family, 30);

	memcpy(ip + (family == 4 ? 12 : 8), &src, family == 4 ? 4 : 16);
	memcpy(ip + (family == 4 ? 16 : 24), &dst, family == 4 ? 4 : 16);
	if (family == 4 && rand() % 4 == 0)
		put16(ip + 6, 1); /* a later fragment */
	return len;
}

static bool is_prefix(const struct xipsec_addr *lo, const struct xipsec_addr *hi, __u8 family)
{
	for (unsigned int len = 0; len <= addr_bits(family); len++) {
		struct xipsec_addr first = addr_first(lo, len), last = addr_last(lo, family, len);

		if (!addr_compare(&first, lo) && !addr_compare(&last, hi))
			return true;
	}
	return false;
}

/* How many selectors the shortest way should know of: none, if one of them is an odd range. */
static __u32 short_of(const struct xipsec_sa *config, __u8 family)
{
	__u32 n = 0;

	for (__u32 i = 0; i < config->n_selectors; i++) {
		const struct xipsec_selector *sel = &config->selector[i];

		if (sel->family && sel->family != family)
			continue;
		if (sel->family && !(is_prefix(&sel->local_lo, &sel->local_hi, family) &&
				     is_prefix(&sel->remote_lo, &sel->remote_hi, family)))
			return 0;
		n++;
	}
	return n;
}

static void short_compare(const struct sa *sa, const __u8 *ip, bool accepted)
{
	bool ip4 = ip[0] >> 4 == 4;
	__u32 known = ip4 ? sa->n_nets4 : sa->n_nets6;

	assert_int_equal(ip4 ? selectors_accept_plain(sa, ip + 12)
			     : selectors_accept_plain6(sa, ip + 8),
			 known ? accepted : 0);
}

static void test_nets_alone(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	unsigned int let[2] = {0}, known[2] = {0};
	struct inner inner;
	__u8 ip[128];

	srand(7);
	for (int round = 0; round < 3000; round++) {
		struct sa *sa;

		config.n_selectors = (__u32)rand() % 5;
		for (__u32 i = 0; i < config.n_selectors; i++) {
			config.selector[i] = selector_random();
			config.refuse[i] = rand() % 3 == 0;
		}
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		assert_int_equal(sa->nets_alone, 1);
		assert_int_equal(sa->n_nets4, short_of(&config, XIPSEC_FAMILY_IP4));
		assert_int_equal(sa->n_nets6, short_of(&config, XIPSEC_FAMILY_IP6));
		known[0] += sa->n_nets4 > 1;
		known[1] += sa->n_nets6 > 1;
		for (int i = 0; i < 50; i++) {
			enum xipsec_reason quick, whole;

			assert_int_equal(inner_parse(ip, packet_random(ip), &inner), 0);
			sa->nets_alone = 1;
			quick = selectors_check(sa, ip, &inner);
			sa->nets_alone = 0;
			whole = selectors_check(sa, ip, &inner);
			assert_int_equal(quick, whole);
			short_compare(sa, ip, whole == XIPSEC_REASON_UNSPEC);
			let[quick == XIPSEC_REASON_UNSPEC]++;
		}
		sa_free(sa);
	}
	assert_in_range(let[0], 10000, 140000);
	assert_in_range(let[1], 10000, 140000);
	assert_in_range(known[0], 300, 2000);
	assert_in_range(known[1], 300, 2000);
}

/* Each length of prefix on either side, and what differs from it in one bit: by the shortest way as
 * by the list. */
static void test_prefixes(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct xipsec_selector *sel = &config.selector[0];

	for (int kind = 0; kind < 4; kind++) {
		const int family = kind & 1 ? 6 : 4;
		const __u32 bits = family == 4 ? 32 : 128, at = family == 4 ? 12 : 8;

		for (__u32 len = 0; len <= bits; len++) {
			struct xipsec_addr src = addr_random(family), dst = addr_random(family);
			struct xipsec_addr *narrow = kind & 2 ? &dst : &src;
			struct xipsec_addr first = addr_first(narrow, len);
			__u8 ip[128];
			struct sa *sa;

			*sel = any_selector();
			sel->family = (__u8)family;
			sel->local_hi = sel->remote_hi = addr_last(&src, (__u8)family, 0);
			*(kind & 2 ? &sel->local_lo : &sel->remote_lo) = first;
			*(kind & 2 ? &sel->local_hi : &sel->remote_hi) =
				addr_last(&first, (__u8)family, len);
			sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
			assert_int_equal(family == 4 ? sa->n_nets4 : sa->n_nets6, 1);
			assert_int_equal(family == 4 ? sa->n_nets6 : sa->n_nets4, 0);
			for (__u32 bit = 0; bit <= bits; bit++) {
				udp_write(ip, family, 30);
				memcpy(ip + at, &src, bits / 8);
				memcpy(ip + at + bits / 8, &dst, bits / 8);
				if (bit < bits)
					ip[at + (kind & 2 ? bits / 8 : 0) + bit / 8] ^=
						(__u8)(0x80 >> bit % 8);
				short_compare(sa, ip, bit >= len);
			}
			sa_free(sa);
		}
	}
}

/* RFC 4301 5.2 over an ordered list, for a packet that is no ICMP error. */
static enum xipsec_reason by_the_list(const struct xipsec_sa *config,
				      const struct xipsec_flow *flow)
{
	for (__u32 i = 0; i < config->n_selectors; i++) {
		enum xipsec_match match = xipsec_selector_match(&config->selector[i], flow);

		if (config->refuse[i] && match != XIPSEC_MATCH_NO)
			return XIPSEC_REASON_SELECTOR;
		if (match == XIPSEC_MATCH_YES)
			return XIPSEC_REASON_UNSPEC;
	}
	return XIPSEC_REASON_SELECTOR;
}

/* One address on either side, so that hundreds of them do not take all. */
static struct xipsec_selector narrow_random(void)
{
	struct xipsec_selector sel = any_selector();

	sel.family = rand() % 2 ? 4 : 6;
	sel.local_lo = sel.local_hi = addr_random(sel.family);
	sel.remote_lo = sel.remote_hi = addr_random(sel.family);
	if (rand() % 2) {
		sel.any_proto = 0;
		sel.l4_proto = IPPROTO_UDP;
		sel.local_port_lo = (__u16)(rand() % 8);
		sel.local_port_hi = (__u16)(sel.local_port_lo + rand() % 4);
	}
	return sel;
}

/* Hundreds of selectors: each packet is answered as the list does, when it is first met and when it
 * was met before, and places that several kinds of packets share give no one's answer to another.
 */
static void test_hundreds(void **unused)
{
	static struct xipsec_sa config;
	unsigned int let[2] = {0};
	struct xipsec_flow flow;
	struct inner inner;
	__u8 ip[128];

	srand(11);
	config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	for (int round = 0; round < 40; round++) {
		struct sa *sa;

		config.n_selectors = round ? 9 + (__u32)rand() % 503 : XIPSEC_SELECTORS_MAX;
		for (__u32 i = 0; i < config.n_selectors; i++) {
			config.selector[i] = narrow_random();
			config.refuse[i] = rand() % 3 == 0;
		}
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		assert_non_null(sa->seen);
		assert_int_equal(sa->n_nets4, 0);
		for (int i = 0; i < 3000; i++) {
			__u32 len = packet_random(ip), off = ip[0] >> 4 == 4 ? 20 : 40;
			enum xipsec_reason said;

			put16(ip + off + 2, (__u16)(rand() % 12));
			assert_int_equal(inner_parse(ip, len, &inner), 0);
			inner_flow(ip, &inner, XIPSEC_DIR_IN, &flow);
			said = selectors_check(sa, ip, &inner);
			assert_int_equal(said, by_the_list(&config, &flow));
			assert_int_equal(selectors_check(sa, ip, &inner), said);
			let[said == XIPSEC_REASON_UNSPEC]++;
		}
		sa_free(sa);
	}
	assert_in_range(let[0], 10000, 110000);
	assert_in_range(let[1], 10000, 110000);
}

/* What is remembered of one kind of packets is not said of another, be it other in its DSCP alone,
 * or in hiding the ports that it would have as zeros: so many kinds that places are shared. */
static void test_hundreds_told_apart(void **unused)
{
	static struct xipsec_sa config;
	unsigned int let[2] = {0};
	struct xipsec_flow flow;
	struct inner inner;
	struct sa *sa;
	__u8 ip[128];

	config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	config.n_selectors = 12;
	for (__u32 i = 0; i < config.n_selectors; i++) {
		config.selector[i] = any_selector();
		config.selector[i].any_proto = 0; /* of no packet here */
		config.selector[i].l4_proto = IPPROTO_TCP;
		config.refuse[i] = 1;
	}
	config.selector[9] = any_selector();
	config.selector[9].dscp = 0x5555555555555555;
	config.selector[10].l4_proto = IPPROTO_UDP;
	config.selector[10].local_port_lo = config.selector[10].local_port_hi = 7;
	config.selector[11] = any_selector();
	config.refuse[11] = 0;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_non_null(sa->seen);
	for (__u32 i = 0; i < 64 * 2 * 64; i++) {
		__u32 len = udp_write(ip, 4, 30);

		ip[12 + 3] = (__u8)(i / 128);
		ip[1] = (__u8)(i / 2 % 64 << 2);
		put16(ip + 6, i % 2); /* a later fragment */
		put16(ip + 20, 0);
		put16(ip + 22, 0);
		assert_int_equal(inner_parse(ip, len, &inner), 0);
		inner_flow(ip, &inner, XIPSEC_DIR_IN, &flow);
		assert_int_equal(selectors_check(sa, ip, &inner), by_the_list(&config, &flow));
		let[by_the_list(&config, &flow) == XIPSEC_REASON_UNSPEC]++;
	}
	assert_int_equal(let[1], 64 * 32);
	assert_int_equal(let[0], 64 * 96);
	sa_free(sa);
}

/* One selector of a list that asks for more is enough for the whole way. */
static void test_more_than_nets(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);

	config.n_selectors = 2;
	config.selector[1] = any_selector();
	for (int what = 0; what < 5; what++) {
		struct xipsec_selector *sel = &config.selector[1];
		struct sa *sa;

		*sel = any_selector();
		switch (what) {
		case 0: sel->any_proto = 0; break;
		case 1: sel->local_port_lo = 1; break;
		case 2: sel->remote_port_hi = 80; break;
		case 3: sel->icmp_lo = 0x0800; break;
		default: sel->icmp_hi = 0x08ff; break;
		}
		sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
		assert_int_equal(sa->nets_alone, 0);
		assert_int_equal(sa->n_nets4, 0);
		sa_free(sa);
	}
}

/* ---------------------------------------------------------------- what ICMP errors quote */

/* An ICMP error from 10.1.0.5 to 10.2.0.9 (fd00:1::5, fd00:2::9) that quotes `quote_len` bytes at
 * `quote`; bytes in all. */
static __u32 error_write(__u8 *ip, int family, __u8 type, const __u8 *quote, __u32 quote_len)
{
	__u32 off =
		ip_write(ip, family, family == 4 ? IPPROTO_ICMP : IPPROTO_ICMPV6, 8 + quote_len);

	memset(ip + off, 0, 8);
	ip[off] = type;
	memcpy(ip + off + 8, quote, quote_len);
	return off + 8 + quote_len;
}

/* What 10.2.0.9 sent to 10.1.0.5 (ip_write() goes the other way), from port 5000 to 4000. */
static __u32 sent_write(__u8 *ip, int family)
{
	__u32 len = udp_write(ip, family, 20), off = family == 4 ? 20 : 40;
	__u32 addr = family == 4 ? 12 : 8, addr_len = family == 4 ? 4 : 16;
	__u8 swap[16];

	memcpy(swap, ip + addr, addr_len);
	memcpy(ip + addr, ip + addr + addr_len, addr_len);
	memcpy(ip + addr + addr_len, swap, addr_len);
	put16(ip + off, 5000);
	put16(ip + off + 2, 4000);
	return len;
}

/* In memory of just its length, which sanitizers watch. */
static enum xipsec_reason judged(const struct sa *sa, const __u8 *ip, __u32 len)
{
	__u8 *copy = malloc(len);
	enum xipsec_reason reason;
	struct inner inner;

	memcpy(copy, ip, len);
	assert_int_equal(inner_parse(copy, len, &inner), 0);
	reason = selectors_check(sa, copy, &inner);
	free(copy);
	return reason;
}

/* Local 10.2.0.0/24 or fd00:2::/32, remote 10.1.0.5 or fd00:1::5. */
static struct xipsec_selector here_to_there(int family)
{
	struct xipsec_selector sel = any_selector();

	sel.family = (__u8)family;
	if (family == 4) {
		sel.local_lo.word[0] = htonl(0x0a020000);
		sel.local_hi = addr_last(&sel.local_lo, 4, 24);
		sel.remote_lo.word[0] = htonl(0x0a010005);
		sel.remote_hi = sel.remote_lo;
		return sel;
	}
	memcpy(sel.local_lo.byte, "\xfd\0\0\2", 4);
	sel.local_hi = addr_last(&sel.local_lo, 6, 32);
	memcpy(sel.remote_lo.byte, "\xfd\0\0\1\0\0\0\0\0\0\0\0\0\0\0\5", 16);
	sel.remote_hi = sel.remote_lo;
	return sel;
}

static struct sa *sa_of(const struct xipsec_selector *sel)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);

	config.selector[0] = *sel;
	return sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
}

/* RFC 4301 6.2, nets alone: the header fits, so all depends on the quote. */
static void test_error_quotes(void **unused)
{
	static const __u8 types[2][5] = {{3, 4, 5, 11, 12}, {1, 2, 3, 4, 127}};

	for (int f = 0; f < 2; f++) {
		int family = f ? 6 : 4;
		__u32 ip_len = family == 4 ? 20 : 40, len, quote_len, off = ip_len + 8;
		struct xipsec_selector sel = here_to_there(family);
		struct sa *sa = sa_of(&sel);
		__u8 quote[128] = {0}, ip[256] = {0};

		quote_len = sent_write(quote, family);
		for (int i = 0; i < 5; i++) {
			len = error_write(ip, family, types[f][i], quote, quote_len);
			assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_UNSPEC);
		}
		/* all that is left of it: the IP header, and less */
		assert_int_equal(judged(sa, ip, error_write(ip, family, 3, quote, ip_len)),
				 XIPSEC_REASON_UNSPEC);
		assert_int_equal(judged(sa, ip, error_write(ip, family, 3, quote, ip_len - 1)),
				 XIPSEC_REASON_ICMP_QUOTE);
		assert_int_equal(judged(sa, ip, error_write(ip, family, 3, quote, 0)),
				 XIPSEC_REASON_ICMP_QUOTE);
		/* sent to another peer: the lie that 6.2 is about */
		len = error_write(ip, family, 3, quote, quote_len);
		ip[off + (family == 4 ? 19 : 39)] ^= 1;
		assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_ICMP_QUOTE);
		/* sent by another host than the one that is told */
		len = error_write(ip, family, 3, quote, quote_len);
		ip[off + (family == 4 ? 15 : 23)] ^= 1;
		assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_ICMP_QUOTE);
		/* no packet of this family */
		len = error_write(ip, family, 3, quote, quote_len);
		ip[off] = family == 4 ? 0x60 : 0x45;
		assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_ICMP_QUOTE);
		/* no errors: whatever follows is data */
		len = error_write(ip, family, family == 4 ? 0 : 129, quote, 0);
		assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_UNSPEC);
		sa_free(sa);
	}
}

/* A router behind the peer, whose address no policy names, tells what became of our packet. */
static void test_error_from_elsewhere(void **unused)
{
	struct xipsec_selector sel = here_to_there(4);
	struct sa *sa = sa_of(&sel);
	__u8 quote[128] = {0}, ip[256] = {0};
	__u32 len = sent_write(quote, 4);

	len = error_write(ip, 4, 11, quote, len);
	ip[12] = 192;
	assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_UNSPEC);
	ip[20] = 8; /* no error any more */
	assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_SELECTOR);
	ip[20] = 11;
	ip[28 + 19] ^= 1;
	assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_SELECTOR);
	sa_free(sa);
}

/* With ports: those of the quote, turned round; what it is too short for does not fit. */
static void test_error_ports(void **unused)
{
	struct xipsec_selector sel = here_to_there(4);
	__u8 quote[128] = {0}, ip[256] = {0};
	__u32 len = sent_write(quote, 4);
	struct sa *sa;

	sel.any_proto = 0;
	sel.l4_proto = IPPROTO_UDP;
	sel.local_port_lo = sel.local_port_hi = 5000;
	sel.remote_port_lo = sel.remote_port_hi = 4000;
	sa = sa_of(&sel);
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, len)), XIPSEC_REASON_UNSPEC);
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, 24)), XIPSEC_REASON_UNSPEC);
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, 23)), XIPSEC_REASON_SELECTOR);
	put16(quote + 20, 5001);
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, len)), XIPSEC_REASON_SELECTOR);
	put16(quote + 20, 5000);
	put16(quote + 22, 4001);
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, len)), XIPSEC_REASON_SELECTOR);
	put16(quote + 22, 4000);
	quote[9] = IPPROTO_UDPLITE;
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, len)), XIPSEC_REASON_SELECTOR);
	quote[9] = IPPROTO_UDP;
	put16(quote + 6, 1); /* a later fragment hides them */
	assert_int_equal(judged(sa, ip, error_write(ip, 4, 3, quote, len)), XIPSEC_REASON_SELECTOR);
	sa_free(sa);
}

/* The convention of 6.2: who wants no look at quotes names ICMP in a policy. What refuses ICMP
 * refuses errors, whatever they quote. */
static void test_error_policies(void **unused)
{
	struct xipsec_sa config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, XIPSEC_DIR_IN);
	struct xipsec_selector icmp = here_to_there(4);
	__u8 quote[128] = {0}, ip[256] = {0};
	__u32 len = sent_write(quote, 4);
	struct sa *sa;

	icmp.any_proto = 0;
	icmp.l4_proto = IPPROTO_ICMP;
	len = error_write(ip, 4, 3, quote, len);
	sa = sa_of(&icmp);
	ip[28 + 19] ^= 1;
	assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_UNSPEC);
	sa_free(sa);

	ip[28 + 19] ^= 1;
	config.n_selectors = 2;
	config.selector[0] = icmp;
	config.selector[1] = here_to_there(4);
	config.refuse[0] = 1;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_SELECTOR);
	sa_free(sa);
	/* … and what refuses the quoted packet */
	config.selector[0].l4_proto = IPPROTO_UDP;
	sa = sa_make(&config, &state, XIPSEC_BACKEND_OPENSSL);
	assert_int_equal(judged(sa, ip, len), XIPSEC_REASON_ICMP_QUOTE);
	sa_free(sa);
}

/* IPv6: behind extension headers, and where the quote ends among them. */
static void test_error_chain(void **unused)
{
	static const __u8 ext[] = {IPPROTO_DSTOPTS,
				   0,
				   1,
				   4,
				   0,
				   0,
				   0,
				   0,
				   IPPROTO_UDP,
				   1,
				   1,
				   12,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0,
				   0};
	struct xipsec_selector sel = here_to_there(6);
	__u8 quote[160] = {0}, ip[256] = {0};
	__u32 len = sent_write(quote, 6), cut;
	struct sa *sa;

	sel.any_proto = 0;
	sel.l4_proto = IPPROTO_UDP;
	sel.local_port_lo = sel.local_port_hi = 5000;
	memmove(quote + 40 + sizeof(ext), quote + 40, len - 40);
	memcpy(quote + 40, ext, sizeof(ext));
	quote[6] = IPPROTO_HOPOPTS;
	sa = sa_of(&sel);
	cut = 40 + sizeof(ext) + 4;
	assert_int_equal(judged(sa, ip, error_write(ip, 6, 3, quote, cut)), XIPSEC_REASON_UNSPEC);
	for (cut--; cut > 0; cut--)
		assert_int_equal(judged(sa, ip, error_write(ip, 6, 3, quote, cut)),
				 XIPSEC_REASON_SELECTOR);
	put16(quote + 40 + sizeof(ext), 5001);
	cut = 40 + sizeof(ext) + 8;
	assert_int_equal(judged(sa, ip, error_write(ip, 6, 3, quote, cut)), XIPSEC_REASON_SELECTOR);
	put16(quote + 40 + sizeof(ext), 5000);
	/* a fragment header in place of the first: the first fragment, then a later one */
	memcpy(quote + 40, "\x3c\0\0\1\0\0\0\7", 8);
	quote[6] = IPPROTO_FRAGMENT;
	assert_int_equal(judged(sa, ip, error_write(ip, 6, 3, quote, cut)), XIPSEC_REASON_UNSPEC);
	quote[43] = 9;
	assert_int_equal(judged(sa, ip, error_write(ip, 6, 3, quote, cut)), XIPSEC_REASON_SELECTOR);
	sa_free(sa);
}

/* RFC 4301 4.4.1.1: a range of types and codes is one of numbers of 16 bits. */
static void test_icmp_range(void **unused)
{
	struct xipsec_selector sel = any_selector();

	sel.any_proto = 0;
	sel.l4_proto = IPPROTO_ICMP;
	sel.icmp_lo = 8 << 8 | 3;
	sel.icmp_hi = 10 << 8 | 1;
	for (__u32 icmp = 0; icmp < 0x10000; icmp++) {
		struct xipsec_flow flow = {
			.family = XIPSEC_FAMILY_IP4, .l4_proto = IPPROTO_ICMP, .icmp = (__u16)icmp};
		enum xipsec_match want = icmp >= 0x0803 && icmp <= 0x0a01 ? XIPSEC_MATCH_YES
									  : XIPSEC_MATCH_NO;

		if (xipsec_selector_match(&sel, &flow) != want)
			fail_msg("type %u, code %u", icmp >> 8, icmp & 255);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nets_alone),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_hundreds),
		cmocka_unit_test(test_hundreds_told_apart),
		cmocka_unit_test(test_more_than_nets),
		cmocka_unit_test(test_error_quotes),
		cmocka_unit_test(test_error_from_elsewhere),
		cmocka_unit_test(test_error_ports),
		cmocka_unit_test(test_error_policies),
		cmocka_unit_test(test_error_chain),
		cmocka_unit_test(test_icmp_range),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
