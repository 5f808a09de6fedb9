// SPDX-License-Identifier: BSD-2-Clause
/*
 * Datagrams that do not fit, in tunnels whose selectors ask for ports: a peer that looks at what
 * comes out of its SA knows them whole alone. The peer is this worker, with the same selectors
 * turned round.
 */
#include "tests/unit/oversize_fixture.h"

#include "lib/alg.h"
#include "worker/fragment.h"

enum { BIG = 1472, IP6_FRAG = 44 };

/* As policies write them, seen from the sender: packets are UDP from port 1 to port 2. */
static const struct asks {
	bool any_proto, ports;
	__u16 local_lo, local_hi, remote_lo, remote_hi;
	__u64 dscp;
} asks[] = {
	{false, true, 0, 65535, 2, 2, 0},      {false, true, 1, 9, 0, 65535, 0},
	{true, true, 0, 1023, 0, 1023, 0},     {true, false, 0, 65535, 0, 65535, 0},
	{false, false, 0, 65535, 0, 65535, 0}, {true, false, 0, 65535, 0, 65535, 1},
};

static const struct carrier {
	__u8 family, proto, flags;
	__u32 l4_off; /* of ESP or AH in a frame */
} carriers[] = {
	{XIPSEC_FAMILY_IP4, IPPROTO_ESP, 0, 34},
	{XIPSEC_FAMILY_IP4, IPPROTO_ESP, XIPSEC_SA_UDP, 42},
	{XIPSEC_FAMILY_IP4, IPPROTO_AH, 0, 34},
	{XIPSEC_FAMILY_IP6, IPPROTO_ESP, 0, 54},
	{XIPSEC_FAMILY_IP6, IPPROTO_ESP, XIPSEC_SA_UDP, 62},
};

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct xipsec_addr ends6[2] = {
	{.byte = {0x20, 1, 0xd, 0xb8, [15] = 1}},
	{.byte = {0x20, 1, 0xd, 0xb8, [15] = 2}},
};

static void ask(struct xipsec_selector *sel, const struct asks *a, __u8 dir)
{
	const bool out_way = dir == XIPSEC_DIR_OUT;

	sel->any_proto = a->any_proto;
	sel->l4_proto = a->any_proto ? 0 : IPPROTO_UDP;
	sel->local_port_lo = out_way ? a->local_lo : a->remote_lo;
	sel->local_port_hi = out_way ? a->local_hi : a->remote_hi;
	sel->remote_port_lo = out_way ? a->remote_lo : a->local_lo;
	sel->remote_port_hi = out_way ? a->remote_hi : a->local_hi;
	sel->dscp = out_way ? a->dscp : 0;
}

static bool later_follow, later_apart;

static void remake(__u8 dir, const struct carrier *by, const struct asks *a, __u8 df, __u32 tfc)
{
	struct ctl_in in = sa_message(dir == XIPSEC_DIR_OUT ? SA_OUT : SA_IN, dir);
	struct xipsec_sa *sa = &in.msg.sa.sa;

	ask(&sa->selector[0], a, dir);
	sa->outer_family = by->family;
	sa->l4_proto = by->proto;
	sa->flags = by->flags;
	if (dir == XIPSEC_DIR_OUT && a->ports)
		sa->flags |= XIPSEC_SA_WHOLE;
	if (dir == XIPSEC_DIR_OUT && later_apart)
		sa->flags |= XIPSEC_SA_APART;
	if (dir == XIPSEC_DIR_IN && later_follow)
		sa->flags |= XIPSEC_SA_LATER;
	sa->df = df;
	sa->tfc_size = dir == XIPSEC_DIR_OUT ? tfc : 0;
	if (by->flags & XIPSEC_SA_UDP)
		sa->src_port = sa->dst_port = htons(4500);
	if (by->proto == IPPROTO_AH) {
		sa->alg = XIPSEC_ALG_NULL_SHA256;
		sa->key_len = alg_key_len(XIPSEC_ALG_NULL_SHA256);
	}
	if (by->family == XIPSEC_FAMILY_IP6) {
		sa->src = ends6[0];
		sa->dst = ends6[1];
	}
	assert_int_equal(worker_message(t.w, &in), 0);
}

static void pair(const struct carrier *by, const struct asks *a, __u8 df)
{
	remake(XIPSEC_DIR_OUT, by, a, df, 0);
	remake(XIPSEC_DIR_IN, by, a, XIPSEC_DF_SET, 0);
}

static void tell_hops(void)
{
	tell_hop6("2001:db8::2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("192.0.2.2", XIPSEC_NEXTHOP_OK, BLACK);
	tell_hop("10.2.0.1", XIPSEC_NEXTHOP_OK, RED);
}

/* As assemble(), of IPv6: fragment headers (RFC 8200 4.5) that follow the first header at once. */
static __u32 assemble6(void)
{
	__u32 total = 0, seen = 0;

	memset(whole, 0, sizeof(whole));
	for (unsigned int i = 0; i < out.n; i++) {
		const __u8 *ip = out.frame[i] + 14;
		__u32 len = at16(ip + 4) + 40, off = at16(ip + 42) & 0xfff8;

		assert_int_equal(len + 14, out.len[i]);
		assert_true(len <= 1500);
		assert_int_equal(ip[6], IP6_FRAG);
		assert_memory_equal(ip + IP6_FRAG, out.frame[0] + 14 + IP6_FRAG, 4);
		memcpy(whole + 40 + off, ip + 48, len - 48);
		seen += len - 48;
		if (!(ip[43] & 1))
			total = off + len - 48;
	}
	assert_true(total > 0);
	assert_int_equal(seen, total);
	memcpy(whole, out.frame[0] + 14, 40);
	whole[4] = total >> 8;
	whole[5] = (__u8)total;
	whole[6] = out.frame[0][14 + 40];
	return 40 + total;
}

static void rx_carried(const struct carrier *by, const void *frame, __u32 len)
{
	struct xipsec_meta meta = meta_of(XIPSEC_DIR_IN);

	meta.family = by->family;
	meta.l4_off = (__u16)by->l4_off;
	rx(&t.black, frame, len, &meta);
	go_round();
}

/* What was sent in pieces, as the stack would have it for the slow path: one packet. */
static void rx_assembled(const struct carrier *by)
{
	__u32 len = by->family == XIPSEC_FAMILY_IP4 ? assemble(1500) : assemble6();

	assert_true(len > 1500);
	memcpy(out.frame[0] + 14, whole, len);
	rx_carried(by, out.frame[0], len + 14);
}

/* In pieces that are sealed each for itself the later ones would be nobody's (RFC 4301 7.3), for a
 * peer that does not remember the first one. */
static void sealed_whole(const struct carrier *by, const struct asks *a, __u8 df)
{
	__u64 seq = t.sas[SA_OUT].seq, sealed = count(XIPSEC_REASON_SEALED);
	__u64 opened = count(XIPSEC_REASON_OPENED), cut = count(XIPSEC_REASON_FRAGMENTED);
	static __u32 last_id = 0x10000;
	__u32 len = big(BIG, false);

	pair(by, a, df);
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 2);
	assert_int_equal(t.sas[SA_OUT].seq - seq, 1);
	assert_int_equal(count(XIPSEC_REASON_SEALED) - sealed, 2);
	assert_int_equal(count(XIPSEC_REASON_FRAGMENTED) - cut, 1);
	if (by->family == XIPSEC_FAMILY_IP4) {
		assert_int_equal(at16(out.frame[0] + 20), 0x2000);
		assert_int_equal(at16(out.frame[1] + 20), 1480 / 8);
		assert_int_not_equal(at16(out.frame[0] + 18), last_id);
		last_id = at16(out.frame[0] + 18);
	}
	rx_assembled(by);
	assert_int_equal(count(XIPSEC_REASON_SELECTOR), 0);
	assert_int_equal(count(XIPSEC_REASON_ICV), 0);
	assert_int_equal(count(XIPSEC_REASON_OPENED) - opened, 1);
	collect(&t.red);
	assert_int_equal(out.n, 1);
	assert_int_equal(assemble(1500), len - 14);
	assert_is_packet(len, 2);
}

static void whole_where_ports_count(void **state)
{
	static const __u8 dfs[] = {XIPSEC_DF_SET, XIPSEC_DF_CLEAR, XIPSEC_DF_COPY};

	tell_hops();
	for (size_t i = 0; i < COUNT(asks) * COUNT(carriers) * COUNT(dfs); i++) {
		const struct asks *a = &asks[i % COUNT(asks)];
		const struct carrier *by = &carriers[i / COUNT(asks) % COUNT(carriers)];
		const __u8 df = dfs[i / COUNT(asks) / COUNT(carriers)];

		if (a->ports && (df != XIPSEC_DF_COPY || by->family == XIPSEC_FAMILY_IP4))
			sealed_whole(by, a, df);
	}
}

/* What later fragments show too, protocol and DSCP, is no reason: each piece goes by itself, which
 * spares the peer the slow way. */
static void pieces_where_none_is_asked_for(void **state)
{
	tell_hops();
	for (size_t i = 0; i < COUNT(asks) * COUNT(carriers); i++) {
		const struct carrier *by = &carriers[i / COUNT(asks)];
		__u64 seq = t.sas[SA_OUT].seq, opened = count(XIPSEC_REASON_OPENED);
		__u32 len = big(BIG, false);

		if (asks[i % COUNT(asks)].ports)
			continue;
		packet[15] = 0; /* DSCP 0 */
		pair(by, &asks[i % COUNT(asks)], XIPSEC_DF_SET);
		rx_big(len);
		collect(&t.black);
		assert_int_equal(out.n, 2);
		assert_int_equal(t.sas[SA_OUT].seq - seq, 2);
		for (unsigned int n = 0; n < 2; n++)
			rx_carried(by, out.frame[n], out.len[n]);
		assert_int_equal(count(XIPSEC_REASON_OPENED) - opened, 2);
		assert_int_equal(count(XIPSEC_REASON_SELECTOR), 0);
		collect(&t.red);
		assert_int_equal(assemble(1500), len - 14);
		assert_is_packet(len, 2);
	}
}

/* The peer refuses a port first, and takes the nets afterwards: of pieces that are sealed each for
 * itself it would take the first alone. */
static void by_an_earlier_rule(void **state)
{
	static const struct asks earlier = {false, true, 0, 65535, 5060, 5060, 0}, *nets = &asks[3];
	struct ctl_in in = sa_message(SA_IN, XIPSEC_DIR_IN);
	struct xipsec_sa *sa = &in.msg.sa.sa;
	struct asks whole_nets = *nets;
	__u32 len = big(BIG, false);

	tell_hops();
	sa->n_selectors = 2;
	sa->selector[1] = sa->selector[0];
	ask(&sa->selector[0], &earlier, XIPSEC_DIR_IN);
	sa->refuse[0] = 1;
	remake(XIPSEC_DIR_OUT, &carriers[0], nets, XIPSEC_DF_SET, 0);
	assert_int_equal(worker_message(t.w, &in), 0);
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 2);
	for (unsigned int n = 2; n-- > 0;) /* the later one before the first */
		rx_carried(&carriers[0], out.frame[n], out.len[n]);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	assert_int_equal(count(XIPSEC_REASON_SELECTOR), 1);
	collect(&t.red);
	/* xipsecd says so */
	whole_nets.ports = true;
	remake(XIPSEC_DIR_OUT, &carriers[0], &whole_nets, XIPSEC_DF_SET, 0);
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 2);
	rx_assembled(&carriers[0]);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 2);
	assert_int_equal(count(XIPSEC_REASON_SELECTOR), 1);
	collect(&t.red);
	assert_int_equal(assemble(1500), len - 14);
	assert_is_packet(len, 2);
}

/* Fragments that came from behind us are cut further, and the peer has them all; it would be no
 * better off with the first ones whole. */
static void fragments_go_in_pieces(void **state)
{
	static struct {
		__u8 frame[2][2048];
		__u32 len[2];
	} part;
	struct fragment_cut cut;
	__u32 len = big(1900, false);

	later_follow = true;
	tell_hops();
	for (size_t c = 0; c < COUNT(carriers); c++) {
		const struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
		__u64 seq = t.sas[SA_OUT].seq, opened = count(XIPSEC_REASON_OPENED);

		/* another datagram each, for the SA's first fragments outlive its other forms */
		packet[14 + 5] = (__u8)(100 + c);
		assert_int_equal(fragment_ip4(&cut, packet + 14, len - 14, 1500), 0);
		for (int i = 0; i < 2; i++) {
			memcpy(part.frame[i], packet, 14);
			part.len[i] = 14 + fragment_next(&cut, part.frame[i] + 14);
		}
		pair(&carriers[c], &asks[0], XIPSEC_DF_SET);
		for (int i = 0; i < 2; i++)
			rx(&t.red, part.frame[i], part.len[i], &meta);
		go_round();
		collect(&t.black);
		assert_int_equal(out.n, 3);
		assert_int_equal(t.sas[SA_OUT].seq - seq, 3);
		for (unsigned int n = 0; n < 3; n++)
			rx_carried(&carriers[c], out.frame[n], out.len[n]);
		assert_int_equal(count(XIPSEC_REASON_SELECTOR), 0);
		assert_int_equal(count(XIPSEC_REASON_OPENED) - opened, 3);
		collect(&t.red);
		assert_int_equal(assemble(1500), len - 14);
		assert_is_packet(len, 2);
	}
	later_follow = false;
}

/* Those behind the first one go by another SA, whose rule stands in front of this one's; by this
 * one the peer takes none. */
static void first_goes_whole(void **state)
{
	const struct xipsec_meta meta = meta_of(XIPSEC_DIR_OUT);
	struct fragment_cut cut;
	__u8 frame[2048];
	__u32 len = big(1900, false);

	later_apart = true;
	tell_hops();
	assert_int_equal(fragment_ip4(&cut, packet + 14, len - 14, 1500), 0);
	memcpy(frame, packet, 14);
	len = 14 + fragment_next(&cut, frame + 14);
	pair(&carriers[0], &asks[0], XIPSEC_DF_SET);
	rx(&t.red, frame, len, &meta);
	go_round();
	collect(&t.black);
	assert_int_equal(out.n, 2);
	assert_int_equal(t.sas[SA_OUT].seq, 1);
	rx_assembled(&carriers[0]);
	assert_int_equal(count(XIPSEC_REASON_OPENED), 1);
	collect(&t.red);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.len[0], len);
	assert_memory_equal(out.frame[0] + 14 + 20, frame + 14 + 20, len - 14 - 20);
	later_apart = false;
}

/* DF is its sender's word, whatever the selectors ask for. */
static void df_is_told(void **state)
{
	__u32 len = big(BIG, true);

	tell_hops();
	pair(&carriers[0], &asks[0], XIPSEC_DF_SET);
	rx_big(len);
	collect(&t.black);
	assert_int_equal(out.n, 0);
	collect(&t.red);
	assert_int_equal(out.n, 1);
	assert_memory_equal(out.frame[0] + 34, "\x03\x04", 2);
	assert_int_equal(t.sas[SA_OUT].seq, 0);
}

/* ------------------------------------------------------------------ this host's own */

/* The datagram in `packet`, `len` bytes with its frame, in two pieces as the stack makes them. */
static void own_pieces(__u32 len, __u32 max)
{
	struct fragment_cut cut;

	assert_int_equal(fragment_ip4(&cut, packet + 14, len - 14, max), 0);
	for (int i = 0; i < 2; i++)
		take_own_piece(&cut, SA_OUT, GEN);
	go_round();
	collect(&t.black);
}

static void own_datagrams_go_whole(void **state)
{
	__u32 len = big(BIG, false);

	tell_hops();
	for (size_t c = 0; c < COUNT(carriers); c++) {
		__u64 opened = count(XIPSEC_REASON_OPENED);

		pair(&carriers[c], &asks[0], XIPSEC_DF_SET);
		own_pieces(len, 1300);
		assert_int_equal(count(XIPSEC_REASON_REASSEMBLED), 2 * (c + 1));
		assert_int_equal(t.sas[SA_OUT].seq, c + 1);
		assert_int_equal(out.n, 2);
		rx_assembled(&carriers[c]);
		assert_int_equal(count(XIPSEC_REASON_OPENED) - opened, 1);
		collect(&t.red);
		assert_int_equal(out.n, 1);
		assert_int_equal(assemble(1500), len - 14);
		assert_is_packet(len, 1);
	}
	assert_int_equal(count(XIPSEC_REASON_SELECTOR), 0);
}

static void own_pieces_go_by_nets(void **state)
{
	__u32 len = big(BIG, false);

	tell_hops();
	pair(&carriers[0], &asks[3], XIPSEC_DF_SET);
	own_pieces(len, 1300);
	assert_int_equal(count(XIPSEC_REASON_REASSEMBLED), 0);
	assert_int_equal(t.sas[SA_OUT].seq, 2);
	assert_int_equal(out.n, 2);
	rx_all();
	assert_int_equal(count(XIPSEC_REASON_OPENED), 2);
}

/* What fits after all is as long as its SA makes all others. */
static void own_whole_hides_its_length(void **state)
{
	__u32 len = big(700, false), text = 1500 - 20 - 16 - 16 - 2;

	tell_hops();
	remake(XIPSEC_DIR_OUT, &carriers[0], &asks[0], XIPSEC_DF_SET, XIPSEC_TFC_MTU);
	remake(XIPSEC_DIR_IN, &carriers[0], &asks[0], XIPSEC_DF_SET, 0);
	own_pieces(len, 576);
	assert_int_equal(t.sas[SA_OUT].seq, 1);
	assert_int_equal(out.n, 1);
	assert_int_equal(out.len[0], 14 + 1500);
	assert_int_equal(t.sas[SA_OUT].tfc_bytes, text - (len - 14));
	rx_all();
	collect(&t.red);
	assert_int_equal(out.n, 1);
	assert_int_equal(assemble(1500), len - 14);
	assert_is_packet(len, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_where_ports_count),    TEST(pieces_where_none_is_asked_for),
		TEST(by_an_earlier_rule),         TEST(df_is_told),
		TEST(own_datagrams_go_whole),     TEST(own_pieces_go_by_nets),
		TEST(own_whole_hides_its_length), TEST(fragments_go_in_pieces),
		TEST(first_goes_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
