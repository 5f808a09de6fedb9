// SPDX-License-Identifier: BSD-2-Clause
/* ESP in its other shapes: transport mode, limits, the path's MTU. */
#include "tests/unit/esp_pair.h"

#include <stdbool.h>

#include "worker/transport.h"

/* ---------------------------------------------------------------- transport mode */

static const struct {
	const char *name;
	int family;
	__u8 first; /* header behind the IPv6 header */
	__u32 len, front;
	__u32 next_off; /* of the byte that says ESP */
	__u8 ext[48];
} shapes[] = {
	{"IPv4", 4, 0, 0, 20, 9, {0}},
	{"IPv4 options", 4, 0, 8, 28, 9, {0x94, 4, 0, 0, 1, 1, 1, 0}},
	{"IPv6", 6, 0, 0, 40, 6, {0}},
	{"hop-by-hop", 6, 0, 8, 48, 40, {17, 0, 1, 4}},
	{"destination options", 6, 60, 8, 40, 6, {17, 0, 1, 4}},
	{"hop-by-hop, destination options", 6, 0, 16, 48, 40, {60, 0, 1, 4, [8] = 17, 0, 1, 4}},
	{"destination options, routing, destination options",
	 6,
	 60,
	 40,
	 72,
	 48,
	 {43, 0, 1, 4, [8] = 60, 2, 4, 0, [32] = 17, 0, 1, 4}},
	{"a fragment header that cuts nothing", 6, 44, 8, 48, 40, {17, 0, 0, 0, 1, 2, 3, 4}},
};

/* `other`: the SA that opens it was made for the other form. */
static void run_shape(size_t s, int udp, bool other, __u32 payload)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, shapes[s].family, 1, 0)};
	__u8 inner[2200];
	__u32 front = shapes[s].front, udp_len = udp ? 8 : 0, len;
	struct packet *p = &frame.p;

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair.config.flags |= udp ? XIPSEC_SA_UDP : 0;
	pair.config.src_port = pair.config.dst_port = htons(4500);
	pair_open(&pair);
	len = udp_with_ext(inner, shapes[s].family, payload, shapes[s].ext, shapes[s].len,
			   shapes[s].first);
	if (seal(&pair, inner, len, PATH_MTU) != XIPSEC_REASON_SEALED)
		fail_msg("%s: reason %u", shapes[s].name, p->reason);

	/* The headers in front are the same but for next, length and sum. */
	assert_int_equal(p->l4_off, front + udp_len);
	assert_int_equal(p->data[shapes[s].next_off], udp ? IPPROTO_UDP : IPPROTO_ESP);
	if (shapes[s].family == 4) {
		assert_int_equal(get16(p->data + 2), p->len);
		assert_int_equal(csum_fold(csum_add(0, p->data, front)), 0xffff);
		assert_memory_equal(p->data + 12, inner + 12, front - 12);
		assert_int_equal(p->data[8], inner[8]);
	} else {
		assert_int_equal(get16(p->data + 4) + 40, p->len);
		assert_memory_equal(p->data + 8, inner + 8, 32);
		assert_int_equal(p->data[7], inner[7]);
	}
	if (udp)
		assert_int_equal(get16(p->data + front + 4), p->len - front);
	assert_memory_equal(p->data + front + udp_len, &pair.config.spi, 4);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);

	pair.in->udp ^= other;
	if (open_it(&pair) != XIPSEC_REASON_OPENED)
		fail_msg("%s: back: reason %u", shapes[s].name, p->reason);
	assert_int_equal(p->len, len);
	assert_memory_equal(p->data, inner, len);
	assert_int_equal(p->headroom + p->len + p->tailroom, FRAME_SIZE);
	pair_close(&pair);
}

static void test_transport(void **unused)
{
	for (size_t s = 0; s < sizeof(shapes) / sizeof(shapes[0]); s++)
		for (__u32 payload = 0; payload <= 1800; payload += payload < 40 ? 1 : 97) {
			run_shape(s, 0, false, payload);
			run_shape(s, 1, false, payload);
			run_shape(s, 0, true, payload);
			run_shape(s, 1, true, payload);
		}
}

/* RFC 7296 2.23: a tunnel's SA takes ESP in UDP and without. What has no port moves no peer. */
static void test_other_form(void **unused)
{
	static const __u8 elsewhere[16] = {0xcb, 0, 0x71, 9};

	for (int i = 0; i < 4; i++) {
		const int family = i & 1 ? 6 : 4, udp = i >> 1;
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};
		__u8 inner[128];
		__u32 len = udp_write(inner, 4, 40);

		pair.config.flags = udp ? XIPSEC_SA_UDP : 0;
		pair.config.src_port = pair.config.dst_port = htons(4500);
		pair_open(&pair);
		assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SEALED);
		memcpy(frame.p.data + (family == 4 ? 12 : 8), elsewhere, family == 4 ? 4 : 16);
		pair.in->udp = pair.in->follows = !udp;
		assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		assert_int_equal(frame.p.len, len);
		assert_memory_equal(frame.p.data, inner, len);
		assert_int_equal(pair.in->peer_changed, 0);
		pair_close(&pair);
	}
}

/* RFC 4303 3.3.4: whole datagrams alone. */
static void test_transport_fragment(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 64);

	pair.config.mode = XIPSEC_MODE_TRANSPORT;
	pair_open(&pair);
	for (__u32 frag = 0x2000; frag; frag = frag == 0x2000 ? 0x2001 : frag == 0x2001 ? 4 : 0) {
		put16(inner + 6, frag);
		ip4_check(inner);
		assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_FRAG_TRANSPORT);
		assert_memory_equal(frame.p.data, inner, len);
	}
	assert_int_equal(out_state.seq, 0);
	pair_close(&pair);
}

/* No header of the other family is rewritten as one of the SA's: not where both are 40 bytes long.
 */
static void test_transport_family(void **unused)
{
	static const __u8 options[20] = {0x94, 4, 0, 0, 1, 1, 1, 1, 1, 1,
					 1,    1, 1, 1, 1, 1, 1, 1, 1, 0};

	for (int family = 4; family <= 6; family += 2) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};
		int other = family == 4 ? 6 : 4;
		__u8 inner[256];

		pair.config.mode = XIPSEC_MODE_TRANSPORT;
		pair_open(&pair);
		for (__u32 ext = 0; ext <= (other == 4 ? 20 : 0); ext += 20) {
			__u32 len = udp_with_ext(inner, other, 64, options, ext, 0);

			assert_int_equal(seal(&pair, inner, len, PATH_MTU), XIPSEC_REASON_SELECTOR);
			assert_memory_equal(frame.p.data, inner, len);
		}
		assert_int_equal(out_state.seq, 0);
		pair_close(&pair);
	}
}

/* What fits is sealed and is no longer than the path allows; one byte more is refused. */
static void test_transport_mtu(void **unused)
{
	for (int family = 4; family <= 6; family += 2) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, family, 0, 0)};
		__u32 front = family == 4 ? 20 : 40, longest = 0, most = 0;
		__u8 inner[1600];

		pair.config.mode = XIPSEC_MODE_TRANSPORT;
		pair_open(&pair);
		for (__u32 payload = 1300; payload < 1400; payload++) {
			__u32 len = udp_write(inner, family, payload);

			if (seal(&pair, inner, len, 1400) == XIPSEC_REASON_SEALED) {
				longest = len;
				most = frame.p.len;
				continue;
			}
			assert_int_equal(frame.p.reason, XIPSEC_REASON_TOO_BIG);
			assert_int_equal(frame.p.icmp_mtu, longest);
			assert_int_equal(longest, sa_transport_max(pair.out, 1400, front));
		}
		assert_in_range(most, 1397, 1400);
		pair_close(&pair);
	}
}

/* A header that lies where no chain of headers leads to. */
static void test_transport_lies(void **unused)
{
	__u8 ip[128] = {0x60, [6] = 0, [40] = 60, [48] = 17};
	struct transport_place place;

	assert_int_equal(transport_find_at(ip, 48, &place), 0);
	assert_int_equal(place.next, 60);
	for (__u32 off = 40; off < 100; off++)
		assert_int_equal(
			transport_find_at(ip, off, &place),
			off == 40 || off == 48 || off == 56 ? 0 : XIPSEC_REASON_INNER_MALFORMED);
	ip[0] = 0x46;
	for (__u32 off = 0; off < 60; off++)
		assert_int_equal(transport_find_at(ip, off, &place),
				 off == 24 ? 0 : XIPSEC_REASON_INNER_MALFORMED);
}

/* ---------------------------------------------------------------- limits, path MTU */

static void test_limits(void **unused)
{
	for (int bytes = 0; bytes < 2; bytes++) {
		struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
		__u8 inner[256];
		__u32 len = udp_write(inner, 4, 72);

		if (bytes)
			pair.config.limits.hard_bytes = 10 * len;
		else
			pair.config.limits.hard_packets = 10;
		pair_open(&pair);
		for (int i = 0; i < 10; i++) {
			assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
			assert_int_equal(open_it(&pair), XIPSEC_REASON_OPENED);
		}
		assert_int_equal(out_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
		assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_LIMIT);
		out_state.status = XIPSEC_SA_LIVE;
		assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
		assert_int_equal(open_it(&pair), XIPSEC_REASON_LIMIT);
		pair_close(&pair);
	}
}

/* What xipsec.conf(5) says of hard limits: the burst that reaches one is the last, and what goes
 * beyond is at most that burst, less one. */
static void test_limits_burst(void **unused)
{
	static struct frame frames[BURST_MAX + 10];
	struct packet *pkts[BURST_MAX + 10];
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};
	__u8 inner[256];
	__u32 len = udp_write(inner, 4, 72);

	pair.config.limits.hard_packets = 10;
	pair_open(&pair);
	for (int i = 0; i < 9; i++)
		assert_int_equal(seal(&pair, inner, len, 1400), XIPSEC_REASON_SEALED);
	assert_int_equal(out_state.status, XIPSEC_SA_LIVE);
	for (int i = 0; i < BURST_MAX + 10; i++) {
		pkts[i] = frame_load(&frames[i], inner, len);
		pkts[i]->flags = PACKET_LOCAL;
	}
	esp_out_burst(pair.out, pkts, BURST_MAX + 10, 1400, 1);
	for (int i = 0; i < BURST_MAX + 10; i++)
		assert_int_equal(pkts[i]->reason,
				 i < BURST_MAX ? XIPSEC_REASON_SEALED : XIPSEC_REASON_LIMIT);
	assert_int_equal(out_state.packets, 10 + 64 - 1);
	for (int i = 0; i < BURST_MAX; i++)
		pkts[i]->reason = 0;
	in_state.packets = 9;
	esp_in_burst(pair.in, pkts, BURST_MAX, 1);
	assert_int_equal(in_state.packets, 10 + 64 - 1);
	assert_int_equal(in_state.status, XIPSEC_SA_STOPPED);
	pair_close(&pair);
}

static void test_pmtu(void **unused)
{
	struct pair pair = {.config = sa_config(XIPSEC_ALG_AES128GCM16, 4, 0, 0)};

	pair_open(&pair);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5000), 1500);
	out_state.pmtu = 1300;
	out_state.pmtu_until = 5600;
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5000), 1300);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5599), 1300);
	assert_int_equal(sa_path_mtu(pair.out, 1280, 5000), 1280);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5600), 1500);
	assert_int_equal(sa_path_mtu(pair.out, 1500, 5601), 1500);
	pair_close(&pair);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transport),
		cmocka_unit_test(test_other_form),
		cmocka_unit_test(test_transport_fragment),
		cmocka_unit_test(test_transport_mtu),
		cmocka_unit_test(test_transport_family),
		cmocka_unit_test(test_transport_lies),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_limits_burst),
		cmocka_unit_test(test_pmtu),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
